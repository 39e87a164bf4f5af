//! Life under a service manager: readiness, the watchdog, the order to stop.

use std::io;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Says that the program is ready, keeps the watchdog quiet, and returns when told to stop by
/// SIGTERM or SIGINT. Everything that waits for `stop` then ends.
pub async fn run_until_told(stop: &CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tell(&[NotifyState::Ready]);
    let mut watchdog = watchdog();
    loop {
        tokio::select! {
            _ = terminate.recv() => break,
            _ = interrupt.recv() => break,
            () = tick(&mut watchdog) => tell(&[NotifyState::Watchdog]),
        }
    }
    tell(&[NotifyState::Stopping]);
    stop.cancel();
    Ok(())
}

/// Ticks twice in the time after which the manager takes us for dead. A runtime that hangs does
/// not tick.
fn watchdog() -> Option<tokio::time::Interval> {
    let patience: Duration = sd_notify::watchdog_enabled()?;
    let mut interval = tokio::time::interval(patience / 2);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Some(interval)
}

async fn tick(watchdog: &mut Option<tokio::time::Interval>) {
    match watchdog {
        Some(interval) => {
            interval.tick().await;
        }
        None => std::future::pending().await,
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "the service manager was not told");
    }
}

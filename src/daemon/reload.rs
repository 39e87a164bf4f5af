//! Taking over the operator's files: when they were saved, at SIGHUP, and by command.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::signal::unix::Signal;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::local::{self, Local};
use super::writer::{Event, Events};
use crate::api::Reloaded;
use crate::config::Config;
use crate::model::time::Clock;
use crate::pipeline::report::PolicySays;
use crate::telemetry::Metrics;

/// Everything a reload needs.
pub struct Reloader {
    /// Where the files are.
    pub config: Arc<Config>,
    /// Where the accepted policy is kept.
    pub state: PathBuf,
    /// Keys hash tables.
    pub hash_seed: u64,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The writer.
    pub events: Events,
    /// What is known of the files.
    pub says: watch::Sender<PolicySays>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Has the configuration read again; SIGHUP reaches whoever does that by itself.
    pub configuration: Arc<Notify>,
}

impl Reloader {
    /// Reloads whenever something asks for it, until nothing can any more.
    pub async fn run(
        self,
        mut saved: mpsc::Receiver<()>,
        mut hangup: Signal,
        mut commands: mpsc::Receiver<oneshot::Sender<Reloaded>>,
    ) {
        loop {
            tokio::select! {
                Some(()) = saved.recv() => {
                    self.reload().await;
                }
                Some(()) = hangup.recv() => {
                    self.reload().await;
                }
                command = commands.recv() => match command {
                    Some(told) => {
                        self.configuration.notify_one();
                        // Whoever asked may have gone; the files are taken over all the same.
                        let _ = told.send(self.reload().await);
                    }
                    None => return,
                },
            }
        }
    }

    async fn reload(&self) -> Reloaded {
        let (config, seed, now) = (self.config.clone(), self.hash_seed, self.clock.now());
        let read = tokio::task::spawn_blocking(move || local::read(&config, seed, now)).await;
        let Ok(local) = read else {
            let findings = vec!["reading the files was interrupted".to_owned()];
            return Reloaded { accepted: false, findings };
        };
        let findings: Vec<String> = local.findings.iter().map(ToString::to_string).collect();
        for finding in &local.findings {
            tracing::warn!("{finding}");
        }
        let accepted = local.is_sound() && self.take_over(local).await;
        self.tell(accepted, &findings);
        Reloaded { accepted, findings }
    }

    /// Puts sound files in force and keeps them for a later start.
    async fn take_over(&self, local: Local) -> bool {
        let Some(policy) = local.policy.clone() else { return false };
        if let Err(error) = local.keep(&self.state) {
            tracing::error!(%error, "a start with broken files would not know this policy");
        }
        let (say, told) = oneshot::channel();
        let sent = self.events.send(Event::Local(policy, local.zones, Some(say)));
        sent.is_ok() && told.await.is_ok()
    }

    fn tell(&self, accepted: bool, findings: &[String]) {
        let now = self.clock.now();
        match accepted {
            true => self.metrics.policy_loaded(now),
            false => {
                self.metrics.policy_rejected();
                tracing::error!(findings = findings.len(), "the last good policy stays in force");
            }
        }
        self.says.send_modify(|says| {
            says.broken = !accepted;
            says.findings = findings.to_vec();
            if accepted {
                says.accepted_at = now.0;
            }
        });
    }
}

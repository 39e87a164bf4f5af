//! Telling secondaries of news (RFC 1996), until they say that they heard.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt as _};
use tokio::net::UdpSocket;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::fleet::Fleet;
use super::primary::Primary;
use super::secondaries::{Secondaries, Secondary};
use crate::model::Name;
use crate::model::time::Clock;
use crate::telemetry::Metrics;
use crate::zone::tsig::ClientSequence;
use crate::zone::wire::{Notify, TransferError};
use crate::zone::{Serial, Soa};

/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(3);
/// The wait after the first attempt without an answer; it doubles with each.
const BACKOFF_MIN: Duration = Duration::from_secs(5);
/// And the longest. A secondary that is back learns of news by its own refresh within an hour
/// anyway (the SOA of our zones).
const BACKOFF_MAX: Duration = Duration::from_secs(300);
/// How many zones one secondary is told of at once.
const AT_ONCE: usize = 8;
/// The longest answer: a question and a signature.
const ANSWER_OCTETS_MAX: usize = 1232;

/// Why nobody acknowledged.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no answer in {} s", PATIENCE.as_secs())]
    Silent,
    #[error("{0}")]
    Refused(TransferError),
}

/// What one zone's news are at.
#[derive(Debug, Clone, Copy)]
struct Round {
    serial: Serial,
    attempts: u32,
    /// When to try again; none once it was heard.
    next: Option<Instant>,
}

/// Everything that telling needs.
pub struct Announcer {
    /// The zones.
    pub primary: Arc<Primary>,
    /// Whom to tell.
    pub secondaries: Arc<Secondaries>,
    /// What is known of them.
    pub fleet: Arc<Fleet>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
}

impl Announcer {
    /// Tells one secondary, by its position, of all news; never ends by itself.
    pub async fn run(self: Arc<Self>, position: usize) {
        let Some((secondary, address)) =
            self.secondaries.at(position).and_then(|s| Some((s, s.address?)))
        else {
            return;
        };
        let mut news = self.primary.news();
        let mut rounds = BTreeMap::new();
        loop {
            news.borrow_and_update();
            self.begin_rounds(position, secondary, &mut rounds);
            let now = Instant::now();
            let due: Vec<(Name, Round, Soa)> = rounds
                .iter()
                .filter(|(_, round)| round.next.is_some_and(|at| at <= now))
                .filter_map(|(zone, round)| {
                    Some((zone.clone(), *round, self.soa(secondary, zone)?))
                })
                .collect();
            let this = &*self;
            let told = stream::iter(due).map(|(zone, round, soa)| async move {
                let heard = this.tell(secondary, address, &zone, soa).await;
                (zone, round, heard)
            });
            let told: Vec<_> = told.buffer_unordered(AT_ONCE).collect().await;
            for (zone, round, heard) in told {
                let round = self.note(position, secondary, &zone, round, heard);
                rounds.insert(zone, round);
            }
            let next = rounds.values().filter_map(|round| round.next).min();
            let wait = async {
                match next {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = news.changed() => if changed.is_err() { return },
                () = wait => {}
            }
        }
    }

    fn soa(&self, secondary: &Secondary, zone: &Name) -> Option<Soa> {
        let offer = self.primary.of(zone.as_ref())?;
        Some(offer.edition(secondary.canary).zone().soa().clone())
    }

    fn begin_rounds(
        &self,
        position: usize,
        secondary: &Secondary,
        rounds: &mut BTreeMap<Name, Round>,
    ) {
        let offers = self.primary.all();
        rounds.retain(|zone, _| offers.contains_key(zone));
        for (zone, offer) in offers.iter() {
            if !secondary.gets(zone.as_ref(), offer.for_everyone) {
                continue;
            }
            let serial = offer.edition(secondary.canary).serial();
            let fresh = Round { serial, attempts: 0, next: Some(Instant::now()) };
            let round = rounds.entry(zone.clone()).or_insert(fresh);
            if round.serial != serial {
                *round = fresh;
            }
            // Who has it need not be told any more.
            if self.fleet.of(position, zone).serial == Some(serial) {
                round.next = None;
            }
        }
    }

    async fn tell(
        &self,
        secondary: &Secondary,
        address: SocketAddr,
        zone: &Name,
        soa: Soa,
    ) -> Result<(), Unheard> {
        let notify = Notify { id: rand::random(), origin: zone.clone(), soa: Some(soa) };
        let mut message = Vec::new();
        notify.write(&mut message);
        let now = self.clock.now();
        let signed = secondary.key.clone().map(|key| ClientSequence::sign(key, &mut message, now));
        let any = match address {
            SocketAddr::V4(_) => SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            SocketAddr::V6(_) => SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(address).await?;
        timeout(PATIENCE, socket.send(&message)).await.map_err(|_| Unheard::Silent)??;
        let end = Instant::now() + PATIENCE;
        let mut answer = [0; ANSWER_OCTETS_MAX];
        loop {
            let received = timeout_at(end, socket.recv(&mut answer)).await;
            let length = received.map_err(|_| Unheard::Silent)??;
            let mut octets = answer[..length].to_vec();
            let sound = signed
                .clone()
                .is_none_or(|mut sequence| sequence.check(&mut octets, self.clock.now()).is_ok());
            match notify.is_answer(&octets) {
                Ok(true) if sound => return Ok(()),
                // A refusal need not be signed (RFC 8945 section 5.3.2), and changes nothing here.
                Err(refused) => return Err(Unheard::Refused(refused)),
                Ok(_) => {}
            }
        }
    }

    fn note(
        &self,
        position: usize,
        secondary: &Secondary,
        zone: &Name,
        round: Round,
        heard: Result<(), Unheard>,
    ) -> Round {
        let attempts = round.attempts.saturating_add(1);
        let (name, serial) = (&secondary.name, round.serial);
        let error = heard.err().map(|error| error.to_string());
        self.metrics.transfers.told(name, error.is_none());
        match &error {
            None => {
                tracing::info!(secondary = name, %zone, serial = serial.0, attempts, "told of a new version")
            }
            // Once for each version; how often it is tried shows in `sekisho zones`.
            Some(error) if attempts == 1 => {
                tracing::warn!(secondary = name, %zone, serial = serial.0, %error, "not told of a new version yet");
            }
            Some(error) => {
                tracing::debug!(secondary = name, %zone, serial = serial.0, %error, attempts, "not told yet");
            }
        }
        let now = self.clock.now();
        self.fleet.note(position, zone, |known| {
            known.told.serial = Some(serial);
            known.told.attempts = attempts;
            known.told.acknowledged_at = error.is_none().then_some(now);
            known.told.error = error.clone();
        });
        let next = error.map(|_| Instant::now() + backoff(attempts));
        Round { attempts, next, ..round }
    }
}

fn backoff(attempts: u32) -> Duration {
    let doubled = BACKOFF_MIN.saturating_mul(1 << attempts.saturating_sub(1).min(16));
    doubled.min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attempts_become_rarer_and_do_not_end() {
        let waits: Vec<u64> = (1..9).map(|n| backoff(n).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(backoff(u32::MAX), BACKOFF_MAX);
    }
}

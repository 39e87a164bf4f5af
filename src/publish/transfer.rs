//! Answering secondaries: SOA, AXFR (RFC 5936), IXFR (RFC 1995), signed where they sign.
//!
//! A zone leaves one message at a time, straight from the tables of the edition in place, and the
//! next is made when the last was taken: a slow reader holds an edition and some messages, never a
//! copy of the zone. Over UDP a question for changes is answered with the SOA alone, so that no
//! datagram of ours is larger than one of theirs (RFC 1995 section 2 leaves that to us); AXFR over
//! UDP is no question at all (RFC 5936 section 4.2).

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use super::edition::Edition;
use super::fleet::{Fleet, Kind, Transfer};
use super::primary::Primary;
use super::secondaries::Secondaries;
use crate::model::time::Clock;
use crate::model::{Name, NameRef, Timestamp};
use crate::ports::{MessageSender, TransferService};
use crate::telemetry::Metrics;
use crate::zone::Changes;
use crate::zone::tsig::{Keys, ServerSequence};
use crate::zone::wire::{
    MESSAGE_OCTETS, Notify, Request, RequestError, RequestKind, SoaRequest, TransferWriter,
    add_edns, has_edns, rcode, refusal,
};

/// How many transfers run at once. Each keeps at most 64 messages of 16 KiB in the queue of its
/// connection, so these are 64 MiB at most; BIND's `transfers-out` is 10, and ours cost less.
const TRANSFERS_MAX: usize = 64;
/// How many of them for one secondary, which may take all zones at once at its start.
const SECONDARY_TRANSFERS_MAX: usize = 16;
/// How many of a secondary's may wait for their turn; each is a connection or a part of one.
const WAITING_MAX: usize = 1_000;
/// How many transfers a secondary may begin in a minute. One with all 64 zones of BIND that asks
/// for each every ten seconds stays below.
const PER_MINUTE_MAX: u32 = 600;
/// How long a transfer waits for its turn before it is told to come again.
const WAIT: Duration = Duration::from_secs(60);
/// How long a secondary may take none of what is sent to it.
const IDLE: Duration = Duration::from_secs(60);
/// How long a transfer may take in all: BIND's `max-transfer-time-out`.
const TOTAL: Duration = Duration::from_secs(2 * 3600);

/// Everything that answers need.
pub struct TransferServer {
    /// The zones.
    pub primary: Arc<Primary>,
    /// Who gets them.
    pub secondaries: Arc<Secondaries>,
    /// The keys that requests may be signed with.
    pub keys: Keys,
    /// What is known of secondaries.
    pub fleet: Arc<Fleet>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    bounds: Bounds,
}

/// Bounds on transfers.
struct Bounds {
    running: Semaphore,
    secondaries: Vec<SecondaryBounds>,
}

/// Bounds on the transfers of one secondary.
struct SecondaryBounds {
    running: Semaphore,
    waiting: Semaphore,
    /// The current minute since 1970, and how many began in it.
    begun: Mutex<(u32, u32)>,
}

impl Bounds {
    fn new(secondaries: usize) -> Self {
        let secondary = || SecondaryBounds {
            running: Semaphore::new(SECONDARY_TRANSFERS_MAX),
            waiting: Semaphore::new(WAITING_MAX),
            begun: Mutex::default(),
        };
        Self {
            running: Semaphore::new(TRANSFERS_MAX),
            secondaries: (0..secondaries).map(|_| secondary()).collect(),
        }
    }

    /// Waits for a turn, which lasts until both permits are dropped; none where it does not come.
    async fn turn(&self, secondary: usize, now: Timestamp) -> Option<[SemaphorePermit<'_>; 2]> {
        let own = self.secondaries.get(secondary)?;
        {
            let mut begun = own.begun.lock();
            let minute = now.0 / 60;
            *begun = if begun.0 == minute { (minute, begun.1 + 1) } else { (minute, 1) };
            if begun.1 > PER_MINUTE_MAX {
                return None;
            }
        }
        let _waiting = own.waiting.try_acquire().ok()?;
        let turn =
            async { Some([own.running.acquire().await.ok()?, self.running.acquire().await.ok()?]) };
        timeout(WAIT, turn).await.ok()?
    }
}

/// A question that may be answered.
struct Admitted {
    asked: Asked,
    origin: Name,
    secondary: usize,
    edition: Arc<Edition>,
}

enum Asked {
    Soa,
    Zone(Request),
}

/// What becomes of a message.
enum Opened {
    /// It is answered with this, if with anything.
    Done(Option<Vec<u8>>),
    /// It is a good question.
    Admitted(Box<(Admitted, Option<ServerSequence>)>),
}

impl TransferServer {
    /// A server with nothing under way.
    pub fn new(
        primary: Arc<Primary>,
        secondaries: Arc<Secondaries>,
        keys: Keys,
        fleet: Arc<Fleet>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let bounds = Bounds::new(secondaries.iter().len());
        Self { primary, secondaries, keys, fleet, clock, metrics, bounds }
    }

    /// Checks signature, question and access.
    fn open(&self, message: &mut Vec<u8>, peer: IpAddr) -> Opened {
        let now = self.clock.now();
        let mut sequence = match ServerSequence::check(&self.keys, message, now) {
            Ok(sequence) => sequence,
            Err(refused) => {
                self.metrics.transfers.refused("signature");
                tracing::warn!(%peer, error = %refused.error, "a signature is refused");
                return Opened::Done(refused.response);
            }
        };
        let asked = match Request::read(message) {
            Ok(request) => Ok((request.origin.clone(), Asked::Zone(request))),
            Err(RequestError::NotTransfer) => match SoaRequest::read(message) {
                Ok(SoaRequest { origin, .. }) => Ok((origin, Asked::Soa)),
                // Nobody is told news that it did not ask for.
                Err(RequestError::NotTransfer) if Notify::read(message).is_ok() => {
                    Err(Some(rcode::NOTAUTH))
                }
                Err(error) => Err(error.rcode()),
            },
            Err(error) => Err(error.rcode()),
        };
        let admitted = asked.and_then(|(origin, asked)| {
            let signed_by = sequence.as_ref().map(|s| s.key().name());
            match self.admit(origin.as_ref(), peer, signed_by) {
                Ok((secondary, edition)) => Ok(Admitted { asked, origin, secondary, edition }),
                Err(code) => {
                    self.metrics.transfers.refused("access");
                    tracing::warn!(%peer, zone = %origin, signed = sequence.is_some(), "refused");
                    Err(Some(code))
                }
            }
        });
        match admitted {
            Ok(admitted) => Opened::Admitted(Box::new((admitted, sequence))),
            Err(code) => {
                let answer = code.and_then(|code| refusal(message, code));
                Opened::Done(answer.map(|answer| self.finished(answer, message, &mut sequence)))
            }
        }
    }

    /// Who asks, and what it gets.
    fn admit(
        &self,
        origin: NameRef<'_>,
        peer: IpAddr,
        signed_by: Option<NameRef<'_>>,
    ) -> Result<(usize, Arc<Edition>), u8> {
        let mut known = self.secondaries.from(peer, signed_by).peekable();
        if known.peek().is_none() {
            return Err(rcode::REFUSED);
        }
        // Only who gets zones at all is told which there are.
        let offer = self.primary.of(origin).ok_or(rcode::NOTAUTH)?;
        let (position, secondary) = known
            .find(|(_, secondary)| secondary.gets(origin, offer.for_everyone))
            .ok_or(rcode::REFUSED)?;
        Ok((position, offer.edition(secondary.canary).clone()))
    }

    /// An answer of one message with what its question makes due: OPT and signature.
    fn finished(
        &self,
        mut answer: Vec<u8>,
        message: &[u8],
        sequence: &mut Option<ServerSequence>,
    ) -> Vec<u8> {
        if has_edns(message) {
            add_edns(&mut answer);
        }
        if let Some(sequence) = sequence {
            sequence.sign(&mut answer, self.clock.now());
        }
        answer
    }

    /// The version alone.
    fn version(
        &self,
        admitted: &Admitted,
        message: &[u8],
        sequence: &mut Option<ServerSequence>,
    ) -> Option<Vec<u8>> {
        self.note_asked(admitted);
        let answer = SoaRequest::answer(message, admitted.edition.zone().soa())?;
        Some(self.finished(answer, message, sequence))
    }

    fn note_asked(&self, admitted: &Admitted) {
        let now = self.clock.now();
        let held = match &admitted.asked {
            Asked::Zone(Request { kind: RequestKind::Changes(soa), .. }) => Some(soa.serial),
            _ => None,
        };
        self.fleet.note(admitted.secondary, &admitted.origin, |known| {
            known.asked_at = Some(now);
            known.serial = held.or(known.serial);
        });
    }

    /// Sends a zone, its changes, or word that there are none.
    async fn transfer(
        &self,
        admitted: Admitted,
        request: &Request,
        message: &[u8],
        mut sequence: Option<ServerSequence>,
        answers: &MessageSender,
    ) {
        self.note_asked(&admitted);
        let started = Instant::now();
        let (kind, changes) = changes(&admitted.edition, request).await;
        let zone = admitted.edition.zone();
        let writer = match changes.as_ref().and_then(|slot| slot.get()) {
            Some(Changes::Delta(delta)) => TransferWriter::changes(request, zone, [delta]),
            Some(Changes::None) => TransferWriter::soa(request, zone),
            _ => TransferWriter::full(request, zone),
        };
        let reserved = sequence.as_ref().map_or(0, |s| s.key().signature_octets());
        let mut writer = writer.with_edns(has_edns(message)).with_size(MESSAGE_OCTETS, reserved);
        let (mut octets, mut out) = (0, Vec::with_capacity(MESSAGE_OCTETS));
        let sent = timeout(TOTAL, async {
            while writer.next_message(&mut out) {
                if let Some(sequence) = &mut sequence {
                    sequence.sign(&mut out, self.clock.now());
                }
                octets += out.len() as u64;
                let next = std::mem::replace(&mut out, Vec::with_capacity(MESSAGE_OCTETS));
                if !matches!(timeout(IDLE, answers.send(next)).await, Ok(Ok(()))) {
                    return false;
                }
            }
            true
        });
        let sent = sent.await.unwrap_or(false);
        let serial = zone.soa().serial;
        let took = started.elapsed();
        let transfer = Transfer { at: self.clock.now(), kind, octets, took, serial };
        self.note(&admitted, transfer, sent, writer.skipped());
    }

    fn note(&self, admitted: &Admitted, transfer: Transfer, sent: bool, skipped: usize) {
        let Transfer { kind, octets, took, serial, .. } = transfer;
        let who = self.secondaries.at(admitted.secondary).map_or("", |s| s.name.as_str());
        self.metrics.transfers.transferred(who, kind.as_str(), octets, sent);
        self.fleet.note(admitted.secondary, &admitted.origin, |known| match sent {
            // Who asks every second and has everything has taken nothing.
            true if kind == Kind::Nothing => known.serial = Some(serial),
            true => {
                known.transfers += 1;
                known.serial = Some(serial);
                known.transfer = Some(transfer);
            }
            false => known.failures += 1,
        });
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        let is_news = kind != Kind::Nothing;
        let (zone, serial, kind) = (&admitted.origin, serial.0, kind.as_str());
        match sent {
            true if !is_news => tracing::debug!(secondary = who, %zone, serial, "nothing newer"),
            true => {
                tracing::info!(secondary = who, %zone, serial, kind, octets, took_ms, skipped, "transferred");
            }
            false => {
                tracing::warn!(secondary = who, %zone, serial, kind, octets, took_ms, "transfer broken off");
            }
        }
    }
}

/// What to send, and the changes if it is those. Condensing large changes takes a while and is done
/// beside the threads that serve.
async fn changes(
    edition: &Arc<Edition>,
    request: &Request,
) -> (Kind, Option<Arc<std::sync::OnceLock<Changes>>>) {
    let RequestKind::Changes(held) = &request.kind else { return (Kind::Full, None) };
    let (edition, serial) = (edition.clone(), held.serial);
    let slot = tokio::task::spawn_blocking(move || edition.since(serial)).await.ok();
    let kind = match slot.as_ref().and_then(|slot| slot.get()) {
        Some(Changes::Delta(_)) => Kind::Changes,
        Some(Changes::None) => Kind::Nothing,
        _ => Kind::FullForChanges,
    };
    (kind, slot)
}

#[async_trait]
impl TransferService for TransferServer {
    fn publishes(&self, zone: NameRef<'_>) -> bool {
        self.primary.of(zone).is_some()
    }

    async fn datagram(&self, message: &[u8], peer: SocketAddr) -> Option<Vec<u8>> {
        let mut message = message.to_vec();
        let (admitted, mut sequence) = match self.open(&mut message, peer.ip()) {
            Opened::Done(answer) => return answer,
            Opened::Admitted(admitted) => *admitted,
        };
        match &admitted.asked {
            Asked::Zone(Request { kind: RequestKind::Full, .. }) => {
                let answer = refusal(&message, rcode::FORMERR)?;
                Some(self.finished(answer, &message, &mut sequence))
            }
            Asked::Zone(request) => {
                self.note_asked(&admitted);
                let mut answer = Vec::new();
                TransferWriter::soa(request, admitted.edition.zone()).next_message(&mut answer);
                Some(self.finished(answer, &message, &mut sequence))
            }
            Asked::Soa => self.version(&admitted, &message, &mut sequence),
        }
    }

    async fn stream(&self, message: &[u8], peer: SocketAddr, answers: MessageSender) {
        let mut message = message.to_vec();
        let (admitted, mut sequence) = match self.open(&mut message, peer.ip()) {
            Opened::Done(None) => return,
            Opened::Done(Some(answer)) => {
                let _ = timeout(IDLE, answers.send(answer)).await;
                return;
            }
            Opened::Admitted(admitted) => *admitted,
        };
        let Asked::Zone(request) = &admitted.asked else {
            if let Some(answer) = self.version(&admitted, &message, &mut sequence) {
                let _ = timeout(IDLE, answers.send(answer)).await;
            }
            return;
        };
        let request = request.clone();
        match self.bounds.turn(admitted.secondary, self.clock.now()).await {
            Some(_turn) => {
                self.transfer(admitted, &request, &message, sequence, &answers).await;
            }
            None => {
                self.metrics.transfers.refused("busy");
                tracing::warn!(peer = %peer.ip(), zone = %admitted.origin, "too many transfers at once");
                // It comes again by itself (RFC 1035 section 3.3.13, RETRY).
                if let Some(answer) = refusal(&message, rcode::SERVFAIL) {
                    let answer = self.finished(answer, &message, &mut sequence);
                    let _ = timeout(IDLE, answers.send(answer)).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;

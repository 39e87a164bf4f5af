//! A refresh by zone transfer (RFC 5936, RFC 1995): which version a primary has, and what changed.

use std::cmp::Ordering;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::UdpSocket;
use tokio::time::{Instant, timeout, timeout_at};

use super::link::{Link, LinkError};
use super::refresh::{Failure, Held, Refresh, Refreshed, Transfer, TransferKind};
use super::settings::{Primary, Secondary, Transport};
use crate::model::Timestamp;
use crate::model::time::Clock;
use crate::ports::Validators;
use crate::zone::tsig::{ClientSequence, TsigError};
use crate::zone::wire::{
    Progress, SoaRequest, TransferError, TransferReader, TransferReport, Transferred,
};
use crate::zone::{Serial, Soa, Zone};

/// An answer of one record. BIND waits five seconds for a try, too.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(5);
/// The same in a datagram, which may be lost: so often, and so long each time.
const DATAGRAM_TRIES: usize = 2;
const DATAGRAM_TIME_MAX: Duration = Duration::from_secs(2);
/// A datagram without EDNS has 512 octets (RFC 1035 section 4.2.1); more is read to be thrown away.
const DATAGRAM_OCTETS_MAX: usize = 4096;
/// Between the messages of a transfer, of which a primary has the next at hand.
const IDLE_TIME_MAX: Duration = Duration::from_secs(30);
/// For a whole transfer: 2 GiB at 10 Mbit/s. BIND allows two hours.
const TRANSFER_TIME_MAX: Duration = Duration::from_secs(1800);

/// Why one primary did not bring the zone up to date.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// The connection.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// What it said.
    #[error(transparent)]
    Transfer(#[from] TransferError),
    /// How it was signed.
    #[error(transparent)]
    Tsig(#[from] TsigError),
    /// It has an older version, or one whose serial cannot be compared.
    #[error("it has serial {found}, which is not newer than ours, {held}")]
    Older {
        /// Ours.
        held: Serial,
        /// Its own.
        found: Serial,
    },
    /// The whole of it took too long, however steadily it came.
    #[error("the transfer took longer than {} s", TRANSFER_TIME_MAX.as_secs())]
    TooSlow,
    /// The program stops.
    #[error("interrupted")]
    Interrupted,
}

/// Asks primaries.
pub struct ByTransfer {
    /// The zone and its primaries.
    pub zone: Arc<Secondary>,
    /// The time, for signatures.
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Refresh for ByTransfer {
    /// Asks the primaries in turn until one has a newer version. Where one says that there is none,
    /// the others may still have it.
    async fn refresh(&self, held: Option<Held<'_>>) -> Result<Refreshed, Vec<Failure>> {
        let (mut failed, mut confirmed) = (Vec::new(), false);
        for primary in &self.zone.primaries {
            let asking = Asking { zone: &self.zone, primary, clock: &*self.clock };
            match asking.refresh(held).await {
                Ok(Refreshed::Unchanged) => confirmed = true,
                Ok(transferred) => return Ok(transferred),
                Err(error) => {
                    let zone = &self.zone.origin;
                    tracing::debug!(%zone, %primary, %error, "the next primary is asked");
                    failed.push(Failure { from: primary.to_string(), reason: error.to_string() });
                }
            }
        }
        if confirmed { Ok(Refreshed::Unchanged) } else { Err(failed) }
    }
}

struct Asking<'a> {
    zone: &'a Secondary,
    primary: &'a Primary,
    clock: &'a dyn Clock,
}

impl Asking<'_> {
    async fn refresh(&self, held: Option<Held<'_>>) -> Result<Refreshed, RefreshError> {
        let (found, link) = self.version().await?;
        let mut link = match link {
            Some(link) => Some(link),
            None if held.is_some_and(|held| held.zone.soa().serial == found.serial) => None,
            None => Some(Link::open(self.primary).await?),
        };
        if let Some(held) = held {
            let ours = held.zone.soa().serial;
            if found.serial == ours {
                return Ok(Refreshed::Unchanged);
            }
            is_newer(found.serial, ours)?;
            if held.exact
                && let Some(link) = link.take()
            {
                match self.changes(link, held.zone).await {
                    // Old rules stay as they are; the whole zone is asked for on a new connection,
                    // since nobody knows what still comes on this one.
                    Err(error) if wants_full(&error) => {
                        let (zone, primary) = (&self.zone.origin, self.primary);
                        tracing::info!(%zone, %primary, %error, "the whole zone is asked for");
                    }
                    other => return other,
                }
            }
        }
        let link = match link {
            Some(link) => link,
            None => Link::open(self.primary).await?,
        };
        let refreshed = self.full(link).await?;
        if let (Some(held), Refreshed::Transferred(zone, _)) = (held, &refreshed) {
            is_newer(zone.soa().serial, held.zone.soa().serial)?;
        }
        Ok(refreshed)
    }

    /// Which version there is, and the connection if one was opened for the question.
    async fn version(&self) -> Result<(Soa, Option<Link>), RefreshError> {
        if matches!(self.primary.transport, Transport::Udp) {
            match self.version_by_datagram().await {
                Ok(found) => return Ok((found, None)),
                Err(error) => {
                    let (zone, primary) = (&self.zone.origin, self.primary);
                    tracing::debug!(%zone, %primary, %error, "asked again over TCP");
                }
            }
        }
        let mut link = Link::open(self.primary).await?;
        let (request, mut message) = self.soa_request();
        let sequence = self.sign(&mut message);
        link.send(&message).await?;
        link.receive(&mut message, ANSWER_TIME_MAX).await?;
        let found = self.read_soa(&request, sequence, &mut message)?;
        Ok((found, Some(link)))
    }

    async fn version_by_datagram(&self) -> Result<Soa, RefreshError> {
        let address = self.primary.address;
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await.map_err(LinkError::from)?;
        socket.connect(address).await.map_err(LinkError::from)?;
        let (request, mut message) = self.soa_request();
        let sequence = self.sign(&mut message);
        for _ in 0..DATAGRAM_TRIES {
            socket.send(&message).await.map_err(LinkError::from)?;
            let answer = self.soa_of(&socket, &request, sequence.as_ref());
            if let Ok(answer) = timeout(DATAGRAM_TIME_MAX, answer).await {
                return answer;
            }
        }
        Err(LinkError::Timeout(DATAGRAM_TIME_MAX).into())
    }

    /// Waits for an answer to our question. What somebody else may have sent is passed over.
    async fn soa_of(
        &self,
        socket: &UdpSocket,
        request: &SoaRequest,
        sequence: Option<&ClientSequence>,
    ) -> Result<Soa, RefreshError> {
        let mut buffer = vec![0; DATAGRAM_OCTETS_MAX];
        loop {
            let length = socket.recv(&mut buffer).await.map_err(LinkError::from)?;
            let mut message = buffer[..length].to_vec();
            match self.read_soa(request, sequence.cloned(), &mut message) {
                Err(RefreshError::Tsig(TsigError::Refused(code))) => {
                    return Err(TsigError::Refused(code).into());
                }
                Err(
                    RefreshError::Tsig(_)
                    | RefreshError::Transfer(TransferError::OtherRequest | TransferError::Malformed),
                ) => {}
                other => return other,
            }
        }
    }

    fn soa_request(&self) -> (SoaRequest, Vec<u8>) {
        let request = SoaRequest { id: rand::random(), origin: self.zone.origin.clone() };
        let mut message = Vec::new();
        request.write(&mut message);
        (request, message)
    }

    fn read_soa(
        &self,
        request: &SoaRequest,
        sequence: Option<ClientSequence>,
        message: &mut Vec<u8>,
    ) -> Result<Soa, RefreshError> {
        if let Some(mut sequence) = sequence {
            sequence.check(message, self.now())?;
            sequence.finish()?;
        }
        Ok(request.read_answer(message)?)
    }

    async fn changes(&self, link: Link, held: &Zone) -> Result<Refreshed, RefreshError> {
        let zone = self.zone;
        let reader =
            TransferReader::changes(held.clone(), rand::random(), zone.hash_seed, zone.limits);
        self.transfer(link, reader).await
    }

    async fn full(&self, link: Link) -> Result<Refreshed, RefreshError> {
        let zone = self.zone;
        let origin = zone.origin.clone();
        let reader = TransferReader::full(origin, rand::random(), zone.hash_seed, zone.limits);
        self.transfer(link, reader).await
    }

    /// Takes a transfer to its end, and makes the zone away from the threads that wait.
    async fn transfer(
        &self,
        mut link: Link,
        mut reader: TransferReader,
    ) -> Result<Refreshed, RefreshError> {
        let start = Instant::now();
        let taking = self.take(&mut link, &mut reader);
        let taken = timeout_at(start + TRANSFER_TIME_MAX, taking).await;
        taken.unwrap_or(Err(RefreshError::TooSlow))?;
        drop(link);
        let finishing = tokio::task::spawn_blocking(move || reader.finish());
        let finished = finishing.await.map_err(|_| RefreshError::Interrupted)?;
        let (transferred, report) = finished?;
        let (zone, kind) = match transferred {
            Transferred::Unchanged => return Ok(Refreshed::Unchanged),
            Transferred::Full(zone) => (zone, TransferKind::Full),
            Transferred::Changed(zone) => (zone, TransferKind::Changes),
        };
        let transfer = self.says(kind, start.elapsed(), report);
        Ok(Refreshed::Transferred(zone, transfer))
    }

    fn says(&self, kind: TransferKind, duration: Duration, report: TransferReport) -> Transfer {
        let rejects = report.rejects.iter();
        Transfer {
            from: self.primary.to_string(),
            kind,
            duration,
            records: report.records.into(),
            octets: report.octets,
            rejected: report.rejected,
            rejects: rejects
                .map(|reject| format!("{}: {}", reject.owner, reject.problem))
                .collect(),
            exact: report.clashes == 0,
            validators: Validators::default(),
        }
    }

    async fn take(&self, link: &mut Link, reader: &mut TransferReader) -> Result<(), RefreshError> {
        let mut message = Vec::new();
        reader.request().write(&mut message);
        let mut sequence = self.sign(&mut message);
        link.send(&message).await?;
        loop {
            link.receive(&mut message, IDLE_TIME_MAX).await?;
            if let Some(sequence) = &mut sequence {
                sequence.check(&mut message, self.now())?;
            }
            if reader.feed(&message)? == Progress::Done {
                return match sequence {
                    Some(sequence) => Ok(sequence.finish()?),
                    None => Ok(()),
                };
            }
        }
    }

    fn sign(&self, message: &mut Vec<u8>) -> Option<ClientSequence> {
        let key = self.zone.key.clone()?;
        Some(ClientSequence::sign(key, message, self.now()))
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }
}

fn is_newer(found: Serial, held: Serial) -> Result<(), RefreshError> {
    match found.partial_cmp(&held) {
        Some(Ordering::Greater) => Ok(()),
        _ => Err(RefreshError::Older { held, found }),
    }
}

/// Whether the whole zone may come where the changes did not. A signature that does not hold and
/// a transfer that is too large are no better whole.
fn wants_full(error: &RefreshError) -> bool {
    match error {
        RefreshError::Transfer(TransferError::TooLarge) | RefreshError::Tsig(_) => false,
        RefreshError::Transfer(_) | RefreshError::Link(_) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests;

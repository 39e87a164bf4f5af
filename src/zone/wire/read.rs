//! Taking the messages of a transfer, and the zone that they make.

use super::message::{HEADER_OCTETS, Header, IN, OPCODE, QR, TC, read_question, read_record};
use super::rcode;
use super::request::{Request, RequestKind};
use crate::model::{Name, NameBuffer, NameRef, Trigger};
use crate::zone::record::{
    Clash, ClashReason, Collector, Inexact, Op, Record, Unusable, rdata, write_owner,
};
use crate::zone::{Serial, Soa, TriggerRef, Zone};

/// How much a transfer may bring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferLimits {
    /// Records in all.
    pub records_max: u32,
    /// Octets of all messages.
    pub octets_max: u64,
    /// Rejects that are kept; further ones are only counted.
    pub rejects_kept_max: usize,
}

impl Default for TransferLimits {
    /// 50 million records, as of a file; 4 GiB hold them at about 85 octets each.
    fn default() -> Self {
        Self { records_max: 50_000_000, octets_max: 4 << 30, rejects_kept_max: 100 }
    }
}

/// Why a transfer failed. The zone that was there stays in force.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferError {
    /// A message that cannot be read, or no response.
    #[error("a malformed message")]
    Malformed,
    /// A response to another request.
    #[error("a response to another request")]
    OtherRequest,
    /// The primary refuses.
    #[error("the primary answers {}", rcode::name(*.0))]
    Refused(u8),
    /// The server does not serve the zone itself.
    #[error("the answer is not authoritative")]
    NotAuthoritative,
    /// A message that was cut, which over TCP none is.
    #[error("a truncated message")]
    Truncated,
    /// The first record is not the zone's SOA, or the last is another one.
    #[error("the transfer is not framed by one SOA of the zone")]
    Frame,
    /// The changes start from a version that was not asked for. Whoever takes such changes is left
    /// with neither the old rules nor the new.
    #[error("the changes start at serial {found} and not at {asked}")]
    Start {
        /// The serial that was asked for.
        asked: Serial,
        /// The serial that they start from.
        found: Serial,
    },
    /// A change that does not follow from the one before it.
    #[error("a change to serial {found} does not follow serial {after}")]
    Gap {
        /// The serial that was reached.
        after: Serial,
        /// The serial that comes next.
        found: Serial,
    },
    /// The changes remove a record that is not there.
    #[error("the changes do not fit the rule for {0:?}")]
    Inexact(Trigger),
    /// Records after the end.
    #[error("records after the end of the transfer")]
    Trailing,
    /// The messages end before the transfer does.
    #[error("the transfer ends early")]
    Incomplete,
    /// More than [`TransferLimits`] allows.
    #[error("the transfer is larger than allowed")]
    TooLarge,
}

impl TransferError {
    /// Whether to ask for the whole zone instead of the changes.
    pub fn wants_full(&self) -> bool {
        let cannot = [rcode::FORMERR, rcode::SERVFAIL, rcode::NOTIMP];
        match self {
            Self::Start { .. } | Self::Gap { .. } | Self::Inexact(_) | Self::Frame => true,
            Self::Refused(rcode) => cannot.contains(rcode),
            _ => false,
        }
    }
}

/// A record that was left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferReject {
    /// Its owner.
    pub owner: Name,
    /// What is wrong.
    pub problem: TransferProblem,
}

/// Why a record was left out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransferProblem {
    /// It is no rule.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// It cannot stand beside an earlier one.
    #[error("{0}")]
    Clash(#[from] ClashReason),
    /// Another class than IN.
    #[error("class {0}, and policy zones are of class IN")]
    Class(u16),
}

/// What came of a transfer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TransferReport {
    /// Records that came, those left out and every SOA included.
    pub records: u32,
    /// Octets of all messages.
    pub octets: u64,
    /// How many records were left out.
    pub rejected: usize,
    /// How many of these because of an earlier one. A zone of which records were left out so cannot
    /// take changes for sure: the next transfer has to be a full one.
    pub clashes: usize,
    /// The first of them, up to [`TransferLimits::rejects_kept_max`].
    pub rejects: Vec<TransferReject>,
}

/// Whether more messages are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// More.
    More,
    /// The transfer is whole.
    Done,
}

/// The zone after a transfer.
#[derive(Debug, Clone)]
pub enum Transferred {
    /// There is nothing newer.
    Unchanged,
    /// The whole zone came.
    Full(Zone),
    /// The old zone with the changes that came.
    Changed(Zone),
}

/// Takes the messages that answer a [`Request`].
pub struct TransferReader {
    request: Request,
    base: Option<Zone>,
    hash_seed: u64,
    limits: TransferLimits,
    state: State,
    target: Option<Soa>,
    collector: Collector,
    report: TransferReport,
    scratch: Vec<u8>,
}

/// Where in a transfer we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first record.
    Start,
    /// After the first record.
    First,
    /// Within a whole zone.
    Full,
    /// Among records that go, after the SOA of this version.
    Removed(Serial),
    /// Among records that come, after the SOA of this version.
    Added(Serial),
    /// After the last record.
    Done(Kind),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unchanged,
    Full,
    Changed,
}

impl TransferReader {
    /// Asks for the whole zone. `id` is best drawn at random; the seed keys the zone's hash tables.
    pub fn full(origin: Name, id: u16, hash_seed: u64, limits: TransferLimits) -> Self {
        let kind = RequestKind::Full;
        let request = Request { id, origin, kind, recursion_desired: false };
        Self::new(request, None, hash_seed, limits)
    }

    /// Asks for what changed since the version that we have; the whole zone may come instead.
    pub fn changes(base: Zone, id: u16, hash_seed: u64, limits: TransferLimits) -> Self {
        let origin = base.origin().to_owned();
        let kind = RequestKind::Changes(base.soa().clone());
        let request = Request { id, origin, kind, recursion_desired: false };
        Self::new(request, Some(base), hash_seed, limits)
    }

    fn new(request: Request, base: Option<Zone>, hash_seed: u64, limits: TransferLimits) -> Self {
        Self {
            collector: Collector::new(request.origin.clone()),
            request,
            base,
            hash_seed,
            limits,
            state: State::Start,
            target: None,
            report: TransferReport::default(),
            scratch: Vec::new(),
        }
    }

    /// The question to send.
    pub fn request(&self) -> &Request {
        &self.request
    }

    /// Takes the next message, after its signature was checked and removed. After an error the
    /// transfer is over.
    pub fn feed(&mut self, message: &[u8]) -> Result<Progress, TransferError> {
        self.report.octets += message.len() as u64;
        if self.report.octets > self.limits.octets_max {
            return Err(TransferError::TooLarge);
        }
        let (mut at, answers) = self.check_head(message)?;
        let mut owner = NameBuffer::default();
        for _ in 0..answers {
            let record = read_record(message, at, &mut owner).ok_or(TransferError::Malformed)?;
            let (raw, after) = record;
            at = after;
            self.report.records += 1;
            if self.report.records > self.limits.records_max {
                return Err(TransferError::TooLarge);
            }
            let mut data = std::mem::take(&mut self.scratch);
            data.clear();
            let sound = rdata::read(raw.rtype, message, raw.rdata.start, raw.rdata.end, &mut data);
            let record =
                Record { owner: owner.as_ref(), rtype: raw.rtype, ttl: raw.ttl, rdata: &data };
            match (raw.class, sound) {
                (IN, true) => self.take(record)?,
                (IN, false) => self.reject(record.owner, Unusable::Malformed(raw.rtype).into()),
                (class, _) => self.reject(record.owner, TransferProblem::Class(class)),
            }
            self.scratch = data;
        }
        self.end_of_message();
        Ok(if matches!(self.state, State::Done(_)) { Progress::Done } else { Progress::More })
    }

    /// Checks header and question (RFC 5936 section 2.2.1); gives where the answers start, and
    /// their number.
    fn check_head(&self, message: &[u8]) -> Result<(usize, u16), TransferError> {
        let header = Header::read(message).ok_or(TransferError::Malformed)?;
        if header.flags & QR == 0 || header.flags & OPCODE != 0 {
            return Err(TransferError::Malformed);
        }
        if header.id != self.request.id {
            return Err(TransferError::OtherRequest);
        }
        if header.rcode() != rcode::NOERROR {
            return Err(TransferError::Refused(header.rcode()));
        }
        if header.flags & TC != 0 {
            return Err(TransferError::Truncated);
        }
        let at = match header.counts[0] {
            0 => HEADER_OCTETS,
            1 => {
                let mut name = NameBuffer::default();
                let question = read_question(message, HEADER_OCTETS, &mut name);
                let (rtype, class, at) = question.ok_or(TransferError::Malformed)?;
                let same = name.as_ref() == self.request.origin.as_ref()
                    && (rtype, class) == (self.request.rtype(), IN);
                if !same {
                    return Err(TransferError::OtherRequest);
                }
                at
            }
            _ => return Err(TransferError::Malformed),
        };
        Ok((at, header.counts[1]))
    }

    /// Takes a record; the SOA records at the zone's name are what drives a transfer.
    fn take(&mut self, record: Record<'_>) -> Result<(), TransferError> {
        let apex = record.owner == self.request.origin.as_ref();
        if apex && record.rtype == rdata::SOA {
            let soa = Soa::from_wire(record.rdata, record.ttl).ok_or(TransferError::Malformed)?;
            return self.take_soa(soa);
        }
        let op = match self.state {
            State::Start => return Err(TransferError::Frame),
            State::Done(_) => return Err(TransferError::Trailing),
            State::First => {
                self.state = State::Full;
                Op::Add
            }
            State::Full | State::Added(_) => Op::Add,
            State::Removed(_) => Op::Remove,
        };
        match self.collector.push(record, op, self.report.records) {
            Err(problem) if op == Op::Add => self.reject(record.owner, problem.into()),
            // What was left out when it came cannot go, and was reported then.
            Ok(()) | Err(_) => {}
        }
        Ok(())
    }

    fn take_soa(&mut self, soa: Soa) -> Result<(), TransferError> {
        let found = soa.serial;
        let target = self.target.as_ref().map(|soa| soa.serial);
        let asked = self.base.as_ref().map(|zone| zone.soa().serial);
        self.state = match (self.state, target) {
            (State::Start, _) => {
                self.target = Some(soa);
                State::First
            }
            (State::First, _) if asked == Some(found) => match target == asked {
                true => State::Done(Kind::Unchanged),
                false => State::Removed(found),
            },
            (State::First | State::Full, Some(target)) if target == found => {
                State::Done(Kind::Full)
            }
            (State::First, _) => match asked {
                Some(asked) => return Err(TransferError::Start { asked, found }),
                None => return Err(TransferError::Frame),
            },
            (State::Full, _) => return Err(TransferError::Frame),
            (State::Removed(after), _) if found > after => State::Added(found),
            (State::Added(at), Some(target)) if at == found && target == found => {
                State::Done(Kind::Changed)
            }
            (State::Added(at), _) if at == found => State::Removed(found),
            (State::Removed(after) | State::Added(after), _) => {
                return Err(TransferError::Gap { after, found });
            }
            (State::Done(_), _) => return Err(TransferError::Trailing),
        };
        Ok(())
    }

    /// A message with nothing but the SOA says that there is nothing newer, if that is so.
    fn end_of_message(&mut self) {
        if let (State::First, Some(target), Some(base)) = (self.state, &self.target, &self.base) {
            let newer = target.serial > base.soa().serial;
            self.state = if newer { State::First } else { State::Done(Kind::Unchanged) };
        }
    }

    fn reject(&mut self, owner: NameRef<'_>, problem: TransferProblem) {
        self.report.rejected += 1;
        if self.report.rejects.len() < self.limits.rejects_kept_max {
            self.report.rejects.push(TransferReject { owner: owner.to_owned(), problem });
        }
    }

    /// The zone, once the transfer is whole.
    pub fn finish(self) -> Result<(Transferred, TransferReport), TransferError> {
        let Self { request, base, hash_seed, limits, state, target, collector, mut report, .. } =
            self;
        let (State::Done(kind), Some(soa)) = (state, target) else {
            return Err(TransferError::Incomplete);
        };
        let base = match kind {
            Kind::Unchanged => return Ok((Transferred::Unchanged, report)),
            Kind::Full => None,
            Kind::Changed => base,
        };
        let mut clash = |clash: Clash| {
            report.rejected += 1;
            report.clashes += 1;
            if report.rejects.len() < limits.rejects_kept_max {
                let owner = owner_of(&clash.trigger, request.origin.as_ref());
                let problem = clash.reason.into();
                report.rejects.push(TransferReject { owner, problem });
            }
        };
        let zone = collector
            .finish(soa, hash_seed, base.as_ref(), &mut clash)
            .map_err(|Inexact(trigger)| TransferError::Inexact(trigger))?;
        Ok(match kind {
            Kind::Changed => (Transferred::Changed(zone), report),
            _ => (Transferred::Full(zone), report),
        })
    }
}

/// The owner that a trigger came from; it was read, so it can be written.
fn owner_of(trigger: &Trigger, origin: NameRef<'_>) -> Name {
    let mut key = Vec::new();
    match write_owner(TriggerRef::from(trigger), origin, &mut key) {
        Ok(()) => NameRef::from_key(&key).to_owned(),
        Err(_) => origin.to_owned(),
    }
}

//! The bounded stream of query events: one for each query that is done with.
//!
//! Sending never waits, wakes nobody and allocates nothing, since threads that answer queries do
//! it. A full channel loses the event and counts it. The one receiver takes what has come in from
//! time to time ([`EventReceiver::drain`]).

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::{CacheLookup, Outcome, Transport};
use crate::model::name::WIRE_OCTETS_MAX;
use crate::model::{Name, NameError, Timestamp, TriggerKind};

/// A name as the client wrote it, kept where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AskedName {
    octets: [u8; WIRE_OCTETS_MAX],
    length: u8,
}

/// What became of a query.
#[derive(Debug, Clone, PartialEq)]
pub struct QueryEvent {
    /// When.
    pub at: Timestamp,
    /// Who asked.
    pub client: IpAddr,
    /// How the query came.
    pub transport: Transport,
    /// What was asked.
    pub name: AskedName,
    /// The query type's number.
    pub rtype: u16,
    /// What became of it.
    pub outcome: Outcome,
    /// The response code; that of a silent outcome means nothing.
    pub rcode: u16,
    /// The policy rule that decided, or else the first one that was merely observed.
    pub policy: Option<PolicyHit>,
    /// What the cache had, where it was asked.
    pub cache: Option<CacheLookup>,
    /// Microseconds that the client waited for the upstream; 0 where nobody had to be asked.
    pub waited_microseconds: u32,
}

/// A rule that matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyHit {
    /// The policy zone's name, without a final dot.
    pub zone: Arc<str>,
    /// What kind of trigger matched.
    pub trigger: TriggerKind,
    /// What was done, or would have been, in the word of the rule's action.
    pub action: &'static str,
    /// Whether it was done. A zone that observes does nothing.
    pub enforced: bool,
}

impl AskedName {
    /// Takes a name in uncompressed wire form; none where it is longer than a name can be.
    pub fn new(wire: &[u8]) -> Option<Self> {
        let mut octets = [0; WIRE_OCTETS_MAX];
        octets.get_mut(..wire.len())?.copy_from_slice(wire);
        Some(Self { octets, length: u8::try_from(wire.len()).ok()? })
    }

    /// The name in lookup form.
    pub fn to_name(&self) -> Result<Name, NameError> {
        Name::from_wire(&self.octets[..usize::from(self.length)])
    }
}

/// The end that queries report to. Cloning shares it.
#[derive(Debug, Clone)]
pub struct EventSender(Option<Shared>);

#[derive(Debug, Clone)]
struct Shared {
    events: SyncSender<QueryEvent>,
    lost: Arc<AtomicU64>,
}

/// The end that someone listens at.
#[derive(Debug)]
pub struct EventReceiver {
    events: Receiver<QueryEvent>,
    lost: Arc<AtomicU64>,
}

/// A channel that holds so many events; each takes about 350 octets from the start.
pub fn channel(events_max: usize) -> (EventSender, EventReceiver) {
    let (sender, receiver) = sync_channel(events_max);
    let lost = Arc::new(AtomicU64::new(0));
    let shared = Shared { events: sender, lost: Arc::clone(&lost) };
    (EventSender(Some(shared)), EventReceiver { events: receiver, lost })
}

impl EventSender {
    /// A sender that nobody listens to, for which no event need be made.
    pub fn nobody() -> Self {
        Self(None)
    }

    /// Reports a query; `event` is asked for only if someone listens. A full channel loses it.
    pub fn send(&self, event: impl FnOnce() -> Option<QueryEvent>) {
        let Some(shared) = &self.0 else { return };
        let Some(event) = event() else { return };
        if shared.events.try_send(event).is_err() {
            shared.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl EventReceiver {
    /// The events that have come in since the last time, at most so many.
    pub fn drain(&mut self, events_max: usize) -> impl Iterator<Item = QueryEvent> + '_ {
        self.events.try_iter().take(events_max)
    }

    /// Events lost since the last time this was asked.
    pub fn take_lost(&mut self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(rtype: u16) -> Option<QueryEvent> {
        Some(QueryEvent {
            at: Timestamp(1),
            client: IpAddr::from([192, 0, 2, 1]),
            transport: Transport::Udp,
            name: AskedName::new(b"\x03wWw\x04test\0")?,
            rtype,
            outcome: Outcome::Rewritten,
            rcode: 3,
            policy: None,
            cache: None,
            waited_microseconds: 0,
        })
    }

    #[test]
    fn a_full_channel_loses_the_newest_and_counts_them() {
        let (sender, mut receiver) = channel(2);
        (1..=4).for_each(|rtype| sender.send(|| event(rtype)));
        assert_eq!(receiver.drain(10).map(|e| e.rtype).collect::<Vec<_>>(), [1, 2]);
        assert_eq!((receiver.take_lost(), receiver.take_lost()), (2, 0));
        sender.send(|| event(5));
        assert_eq!(receiver.drain(10).count(), 1);
    }

    #[test]
    fn a_name_comes_back_in_lookup_form_and_one_too_long_not_at_all() {
        let name = event(1).unwrap().name.to_name().unwrap();
        assert_eq!(name, Name::from_presentation("www.test").unwrap());
        assert_eq!(AskedName::new(&[0; WIRE_OCTETS_MAX + 1]), None);
    }

    #[test]
    fn no_event_is_made_where_nobody_listens() {
        EventSender::nobody().send(|| panic!("made in vain"));
    }
}

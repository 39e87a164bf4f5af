//! Going through the rules of one zone, or of several side by side, without copying names.

use super::{Effect, Zone, read_payload};
use crate::model::{NamePattern, NameRef, Network, Trigger, TriggerKind};
use crate::names::Cursor;

/// A trigger that borrows its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TriggerRef<'a> {
    /// A query name or a nameserver name.
    Name {
        /// Which of the two.
        kind: TriggerKind,
        /// The name, or the parent of the names that are meant.
        name: NameRef<'a>,
        /// Whether the names below are meant and the name itself is not.
        wildcard: bool,
    },
    /// One of the three kinds of addresses.
    Network {
        /// Which of the three.
        kind: TriggerKind,
        /// The prefix.
        network: Network,
    },
}

impl TriggerRef<'_> {
    /// Its kind.
    pub fn kind(self) -> TriggerKind {
        match self {
            Self::Name { kind, .. } | Self::Network { kind, .. } => kind,
        }
    }

    /// An owned copy.
    pub fn to_owned(self) -> Trigger {
        match self {
            Self::Name { kind, name, wildcard } => {
                name_trigger(kind, NamePattern { name: name.to_owned(), wildcard })
            }
            Self::Network { kind: TriggerKind::ClientAddress, network } => {
                Trigger::ClientAddress(network)
            }
            Self::Network { kind: TriggerKind::AnswerAddress, network } => {
                Trigger::AnswerAddress(network)
            }
            Self::Network { network, .. } => Trigger::NameserverAddress(network),
        }
    }
}

fn name_trigger(kind: TriggerKind, pattern: NamePattern) -> Trigger {
    match kind {
        TriggerKind::NameserverName => Trigger::NameserverName(pattern),
        _ => Trigger::QueryName(pattern),
    }
}

impl<'a> From<&'a Trigger> for TriggerRef<'a> {
    fn from(trigger: &'a Trigger) -> Self {
        let kind = trigger.kind();
        match trigger {
            Trigger::QueryName(p) | Trigger::NameserverName(p) => {
                Self::Name { kind, name: p.name.as_ref(), wildcard: p.wildcard }
            }
            Trigger::ClientAddress(n)
            | Trigger::AnswerAddress(n)
            | Trigger::NameserverAddress(n) => Self::Network { kind, network: *n },
        }
    }
}

/// Gives every rule of a zone, by kind of trigger in order of precedence, then in canonical
/// order, a name before the names below it.
#[derive(Clone)]
pub struct Walk<'z> {
    merge: Merge<'z, 1>,
    /// The effect of the wildcard rule that comes next, plus one.
    below: u32,
}

impl<'z> Walk<'z> {
    pub(super) fn new(zone: &'z Zone) -> Self {
        Self { merge: Merge::new([zone]), below: 0 }
    }

    pub(super) fn of_kind(zone: &'z Zone, kind: TriggerKind) -> Self {
        Self { merge: Merge::of_kind([zone], kind), below: 0 }
    }

    /// The next rule. It borrows from the walk, which is why this is no iterator.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from itself")]
    pub fn next(&mut self) -> Option<(TriggerRef<'_>, &'z Effect)> {
        let (number, wildcard) = match std::mem::take(&mut self.below) {
            0 => match self.merge.advance()? {
                [[0, below]] => (below, true),
                [[exact, below]] => {
                    self.below = below;
                    (exact, false)
                }
            },
            below => (below, true),
        };
        let effect = &self.merge.zones[0].effects()[number as usize - 1];
        let (kind, subject) = self.merge.subject();
        Some((subject.trigger(kind, wildcard), effect))
    }
}

/// What triggers are about: a name with the names below it, or a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Subject<'a> {
    Name(NameRef<'a>),
    Network(Network),
}

impl<'a> Subject<'a> {
    /// The trigger for the subject itself, or for what lies below it.
    pub fn trigger(self, kind: TriggerKind, wildcard: bool) -> TriggerRef<'a> {
        match self {
            Subject::Name(name) => TriggerRef::Name { kind, name, wildcard },
            Subject::Network(network) => TriggerRef::Network { kind, network },
        }
    }
}

/// Effect numbers of a subject plus one, for itself and for what lies below it; 0 is none. A
/// prefix has nothing below it.
pub(super) type Numbers = [u32; 2];

/// Goes through several zones side by side, subject by subject.
#[derive(Clone)]
pub(super) struct Merge<'z, const N: usize> {
    zones: [&'z Zone; N],
    /// The kinds still to come, the current one first.
    kinds: &'static [TriggerKind],
    sides: [Side<'z>; N],
    /// The side whose subject is the current one.
    least: usize,
}

impl<'z, const N: usize> Merge<'z, N> {
    pub fn new(zones: [&'z Zone; N]) -> Self {
        Self::of_kinds(zones, &TriggerKind::ALL)
    }

    /// Only the rules with a trigger of one kind.
    pub fn of_kind(zones: [&'z Zone; N], kind: TriggerKind) -> Self {
        Self::of_kinds(zones, std::slice::from_ref(&TriggerKind::ALL[kind as usize]))
    }

    fn of_kinds(zones: [&'z Zone; N], kinds: &'static [TriggerKind]) -> Self {
        let mut merge = Self { zones, kinds, sides: [const { Side::Ended }; N], least: 0 };
        merge.start_kind();
        merge
    }

    fn start_kind(&mut self) {
        if let Some(&kind) = self.kinds.first() {
            self.sides = self.zones.map(|zone| Side::start(zone, kind));
        }
    }

    /// Moves to the next subject that one of the zones has rules for, and gives the effect
    /// numbers that each zone has there.
    pub fn advance(&mut self) -> Option<[Numbers; N]> {
        loop {
            if let Some(numbers) = self.advance_in_kind() {
                return Some(numbers);
            }
            self.kinds = self.kinds.get(1..)?;
            self.kinds.first()?;
            self.start_kind();
        }
    }

    fn advance_in_kind(&mut self) -> Option<[Numbers; N]> {
        let mut numbers = [[0; 2]; N];
        let mut least: Option<usize> = None;
        self.sides.iter_mut().for_each(Side::fill);
        for side in 0..N {
            let Some(subject) = self.sides[side].subject() else { continue };
            let order = match least.and_then(|l| self.sides[l].subject()) {
                Some(held) => subject.cmp(&held),
                None => std::cmp::Ordering::Less,
            };
            if order.is_lt() {
                numbers[..side].fill([0; 2]);
                least = Some(side);
            }
            if order.is_le() {
                numbers[side] = self.sides[side].numbers();
            }
        }
        self.least = least?;
        let given = self.sides.iter_mut().zip(&numbers).filter(|(_, numbers)| **numbers != [0; 2]);
        given.for_each(|(side, _)| side.consume());
        Some(numbers)
    }

    /// The kind and subject that [`Merge::advance`] moved to.
    pub fn subject(&self) -> (TriggerKind, Subject<'_>) {
        let subject = self.sides[self.least].subject().expect("a side that was moved to");
        (self.kinds[0], subject)
    }
}

/// One zone's rules of one kind.
#[derive(Clone)]
enum Side<'z> {
    Names { cursor: Cursor<'z>, payload: Option<&'z [u8]>, consumed: bool },
    Networks { rest: &'z [(Network, u32)], consumed: bool },
    Ended,
}

impl<'z> Side<'z> {
    fn start(zone: &'z Zone, kind: TriggerKind) -> Self {
        match zone.name_table(kind) {
            Some(table) => Side::Names { cursor: table.iter(), payload: None, consumed: true },
            None => Side::Networks { rest: zone.networks(kind), consumed: false },
        }
    }

    /// Stands on a subject that was not consumed, or at the end.
    fn fill(&mut self) {
        match self {
            Side::Names { cursor, payload, consumed } if *consumed => {
                *payload = cursor.next().map(|(_, payload)| payload);
                *consumed = false;
            }
            Side::Networks { rest, consumed } if *consumed => {
                *rest = rest.get(1..).unwrap_or_default();
                *consumed = false;
            }
            _ => {}
        }
    }

    fn consume(&mut self) {
        match self {
            Side::Names { consumed, .. } | Side::Networks { consumed, .. } => *consumed = true,
            Side::Ended => {}
        }
    }

    fn subject(&self) -> Option<Subject<'_>> {
        match self {
            Side::Names { cursor, payload, .. } => {
                payload.is_some().then(|| Subject::Name(cursor.name()))
            }
            Side::Networks { rest, .. } => rest.first().map(|(n, _)| Subject::Network(*n)),
            Side::Ended => None,
        }
    }

    fn numbers(&self) -> Numbers {
        match self {
            Side::Names { payload, .. } => payload.map_or([0; 2], |p| read_payload(p).into()),
            Side::Networks { rest, .. } => rest.first().map_or([0; 2], |(_, n)| [n + 1, 0]),
            Side::Ended => [0; 2],
        }
    }
}

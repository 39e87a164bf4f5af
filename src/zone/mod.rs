//! Zones as data: rules under one name, sorted, at most one for a trigger.
//!
//! A [`Zone`] is immutable and cheap to share. Its names lie in two [`NameTable`]s (query names and
//! nameserver names), its prefixes in three sorted lists, and its actions, of which a zone has few
//! different ones, in one list that all point into. So a rule costs about ten octets, and the
//! whole zone can be mapped from a file ([`octets`]). What a policy zone's operator may choose on
//! top of its rules stands in [`options`].
//!
//! Rules become records and records rules in [`record`] alone; [`file`] reads and writes them as
//! text, [`wire`] as transfers, which [`tsig`] signs. [`delta`] is what changes between two
//! versions, [`history`] the last of these changes. [`profile`] knows what other resolvers make of a
//! zone, [`lint`] says what they would complain of.

pub mod amend;
pub mod build;
pub mod delta;
pub mod file;
pub mod history;
pub mod lint;
pub mod octets;
pub mod options;
pub mod profile;
pub mod record;
pub mod soa;
pub mod structured;
pub mod tsig;
pub mod walk;
pub mod wire;

use std::sync::Arc;

pub use amend::Amendment;
pub use build::{Conflict, ZoneBuilder};
pub use delta::{Delta, DeltaError};
pub use history::{Changes, History, HistoryLimits};
pub use options::{Mode, Override, PolicyZone, ZoneOptions};
pub use record::{OwnedRecord, Record, records_of};
pub use soa::{Serial, Soa};
pub use walk::{TriggerRef, Walk};

use crate::model::{Action, Name, NameRef, Network, Rule, Trigger, TriggerKind};
use crate::names::{NameTable, hash_of};

/// An action with the seconds that its answer may be kept.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Effect {
    /// What happens.
    pub action: Action,
    /// TTL of synthesised records in seconds; local data carries its own.
    pub ttl: u32,
}

impl Effect {
    /// An effect in the one form that its records can give back: with local data the seconds are
    /// the fewest of its sets.
    fn normal(self) -> Effect {
        let ttl = match &self.action {
            Action::Data(sets) => sets.iter().map(|set| set.ttl).min().unwrap_or(self.ttl),
            _ => self.ttl,
        };
        Effect { ttl, ..self }
    }

    fn size_octets(&self) -> usize {
        let octets = match &self.action {
            Action::Redirect(name) | Action::RedirectBelow(name) => name.as_ref().key().len(),
            Action::Data(sets) => {
                let rdata = sets.iter().flat_map(|set| &set.rdata);
                size_of_val(&sets[..]) + rdata.map(|r| size_of_val(r) + r.len()).sum::<usize>()
            }
            _ => 0,
        };
        size_of::<Effect>() + octets
    }
}

/// The effects at one name: for the name itself and for all below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Effects<'z> {
    /// Of the rule for the name itself.
    pub exact: Option<&'z Effect>,
    /// Of the rule for the names below (`*.name`).
    pub below: Option<&'z Effect>,
}

/// Rules under one name. Cloning shares them.
#[derive(Clone)]
pub struct Zone(Arc<Rules>);

pub(in crate::zone) struct Rules {
    pub(in crate::zone) origin: Name,
    pub(in crate::zone) soa: Soa,
    pub(in crate::zone) effects: Box<[Effect]>,
    /// Eight octets a name: effect numbers plus one, little-endian, exact and below; 0 is none.
    pub(in crate::zone) query_names: NameTable,
    pub(in crate::zone) nameserver_names: NameTable,
    pub(in crate::zone) client_addresses: Box<[(Network, u32)]>,
    pub(in crate::zone) answer_addresses: Box<[(Network, u32)]>,
    pub(in crate::zone) nameserver_addresses: Box<[(Network, u32)]>,
    pub(in crate::zone) counts: [usize; 5],
}

impl Zone {
    /// The zone's own name.
    pub fn origin(&self) -> NameRef<'_> {
        self.0.origin.as_ref()
    }

    /// Its start of authority; the serial is the version of the content.
    pub fn soa(&self) -> &Soa {
        &self.0.soa
    }

    /// The same rules under another start of authority. The tables are shared, not copied.
    pub fn with_soa(&self, soa: Soa) -> Zone {
        self.renamed(self.0.origin.clone(), soa)
    }

    /// The same rules under another name. A feed whose owner names are written without the zone's
    /// name and with a final dot is read under the root, and then named.
    pub fn with_origin(&self, origin: Name) -> Zone {
        self.renamed(origin, self.0.soa.clone())
    }

    fn renamed(&self, origin: Name, soa: Soa) -> Zone {
        let r = &self.0;
        Zone(Arc::new(Rules {
            origin,
            soa,
            effects: r.effects.clone(),
            query_names: r.query_names.clone(),
            nameserver_names: r.nameserver_names.clone(),
            client_addresses: r.client_addresses.clone(),
            answer_addresses: r.answer_addresses.clone(),
            nameserver_addresses: r.nameserver_addresses.clone(),
            counts: r.counts,
        }))
    }

    /// How many rules there are in all.
    pub fn len(&self) -> usize {
        self.0.counts.iter().sum()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many rules have a trigger of this kind.
    pub fn count(&self, kind: TriggerKind) -> usize {
        self.0.counts[kind as usize]
    }

    /// The different effects that rules point to.
    pub fn effects(&self) -> &[Effect] {
        &self.0.effects
    }

    /// The table of query names (for a lookup by hash, see [`Zone::effects_of`]).
    pub fn query_names(&self) -> &NameTable {
        &self.0.query_names
    }

    /// The table of nameserver names.
    pub fn nameserver_names(&self) -> &NameTable {
        &self.0.nameserver_names
    }

    /// The prefixes of a kind of address trigger with the number of their effect in
    /// [`Zone::effects`], in the order of [`Network`]. Empty for the kinds that are names.
    pub fn networks(&self, kind: TriggerKind) -> &[(Network, u32)] {
        match kind {
            TriggerKind::ClientAddress => &self.0.client_addresses,
            TriggerKind::AnswerAddress => &self.0.answer_addresses,
            TriggerKind::NameserverAddress => &self.0.nameserver_addresses,
            TriggerKind::QueryName | TriggerKind::NameserverName => &[],
        }
    }

    /// What the payload of a name in one of the two tables says.
    pub fn effects_of(&self, payload: &[u8]) -> Effects<'_> {
        let (exact, below) = read_payload(payload);
        let effect = |number: u32| self.0.effects.get((number as usize).checked_sub(1)?);
        Effects { exact: effect(exact), below: effect(below) }
    }

    /// The effects at exactly this name in the table of a kind of name trigger.
    pub fn at_name(&self, kind: TriggerKind, name: NameRef<'_>) -> Option<Effects<'_>> {
        let table = self.name_table(kind)?;
        table.get(name).map(|payload| self.effects_of(payload))
    }

    /// The effect of exactly this trigger.
    pub fn effect(&self, trigger: &Trigger) -> Option<&Effect> {
        match trigger {
            Trigger::QueryName(pattern) | Trigger::NameserverName(pattern) => {
                let effects = self.at_name(trigger.kind(), pattern.name.as_ref())?;
                if pattern.wildcard { effects.below } else { effects.exact }
            }
            Trigger::ClientAddress(network)
            | Trigger::AnswerAddress(network)
            | Trigger::NameserverAddress(network) => {
                let networks = self.networks(trigger.kind());
                let at = networks.binary_search_by_key(network, |(n, _)| *n).ok()?;
                self.0.effects.get(networks[at].1 as usize)
            }
        }
    }

    /// Every rule, by kind of trigger in order of precedence, then in canonical order.
    pub fn walk(&self) -> Walk<'_> {
        Walk::new(self)
    }

    /// Every rule in the order of [`Zone::walk`]. Each is copied on the way.
    pub fn rules(&self) -> impl Iterator<Item = Rule> + '_ {
        owned(self.walk())
    }

    /// Every rule with a trigger of one kind, in canonical order.
    pub fn rules_of(&self, kind: TriggerKind) -> impl Iterator<Item = Rule> + '_ {
        owned(Walk::of_kind(self, kind))
    }

    fn name_table(&self, kind: TriggerKind) -> Option<&NameTable> {
        match kind {
            TriggerKind::QueryName => Some(&self.0.query_names),
            TriggerKind::NameserverName => Some(&self.0.nameserver_names),
            _ => None,
        }
    }

    /// The octets that the rules occupy, hash tables included.
    pub fn size_octets(&self) -> usize {
        let networks = TriggerKind::ALL.map(|kind| size_of_val(self.networks(kind)));
        self.0.query_names.size_octets()
            + self.0.nameserver_names.size_octets()
            + networks.iter().sum::<usize>()
            + self.0.effects.iter().map(Effect::size_octets).sum::<usize>()
    }

    /// Whether both are one and the same value, which costs nothing to see.
    pub fn is(&self, other: &Zone) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether both hold the same rules under the same name, whatever their serials.
    pub fn same_rules(&self, other: &Zone) -> bool {
        if self.0.counts != other.0.counts || self.0.origin != other.0.origin {
            return false;
        }
        let (a, b) = (&self.0, &other.0);
        // Zones made in the same way number their effects alike, and then octets tell.
        let alike = a.effects == b.effects
            && a.query_names.octets() == b.query_names.octets()
            && a.nameserver_names.octets() == b.nameserver_names.octets()
            && TriggerKind::ALL.iter().all(|kind| self.networks(*kind) == other.networks(*kind));
        if alike {
            return true;
        }
        let (mut ours, mut theirs) = (self.walk(), other.walk());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return true,
                (ours, theirs) if ours == theirs => {}
                _ => return false,
            }
        }
    }
}

impl std::fmt::Debug for Zone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Zone({} serial {}, {} rules)", self.0.origin, self.0.soa.serial, self.len())
    }
}

fn owned(mut walk: Walk<'_>) -> impl Iterator<Item = Rule> + '_ {
    std::iter::from_fn(move || {
        let (trigger, effect) = walk.next()?;
        Some(Rule { trigger: trigger.to_owned(), action: effect.action.clone(), ttl: effect.ttl })
    })
}

/// Effect numbers plus one, of the name itself and of the names below.
pub(crate) fn read_payload(payload: &[u8]) -> (u32, u32) {
    let number = |at: usize| {
        payload
            .get(at..at + 4)
            .map_or(0, |p| u32::from_le_bytes(p.try_into().expect("four octets")))
    };
    (number(0), number(4))
}

/// The hash under which a zone's tables are asked; one for all zones of an installation, so that
/// a name is hashed once for all of them.
pub fn zone_hash(seed: u64, name: NameRef<'_>) -> u64 {
    hash_of(seed, name)
}

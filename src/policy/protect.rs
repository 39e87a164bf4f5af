//! What a generated zone must never block, even where it is loaded alone.
//!
//! Locally an allow zone comes first and that settles it. A secondary that takes only the threat
//! zone has no such zone before it, so a generated zone carries the exceptions itself: the
//! PASSTHRU rules are copied in, and what lies under them is left out. Only what holds for everyone
//! is copied; the exception of a group would otherwise become everybody's.
//!
//! One thing a single zone cannot say: locally an allowed *network* also lets through a blocked
//! *name* that leads to it, since the zone comes first and zone order outranks the kind of trigger.
//! Inside one zone the query name outranks the answer's address (RPZ draft section 5.4). Whoever
//! publishes should publish the allow zone too and name it first.

use std::collections::BTreeMap;

use super::domains::DomainZone;
use super::{List, Policy, Target};
use crate::model::{Action, Name, NameRef, Network, Timestamp, TriggerKind};
use crate::zone::{Mode, Override, PolicyZone, Zone, ZoneBuilder, read_payload};

/// Names and networks that everyone may reach.
#[derive(Debug, Clone, Default)]
pub struct Allowed {
    names: Vec<AllowedName>,
    networks: Vec<Network>,
}

/// An allowed name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AllowedName {
    pub name: Name,
    pub itself: bool,
    pub below: bool,
}

impl Allowed {
    /// What the policy's allow list lets through for everyone at this time.
    pub fn of(policy: &Policy, now: Timestamp) -> Self {
        let mut names = BTreeMap::new();
        let mut networks = Vec::new();
        let entries = policy.entries.iter().filter(|entry| {
            entry.list == List::Allow && entry.is_for_everyone() && entry.in_force(now)
        });
        for subject in entries.flat_map(|entry| &entry.subjects) {
            match &subject.target {
                Target::Name(name, reach) => {
                    let reaches = (reach.takes_in_itself(), reach.takes_in_below());
                    add(&mut names, name.clone(), reaches);
                }
                Target::Network(network) => networks.push(*network),
            }
        }
        Self::new(names, networks)
    }

    /// The same together with what a zone of ours lets through for everyone, such as the list of
    /// protected names. Rules of other kinds in it are not looked at.
    pub fn and_zone(self, zone: &PolicyZone) -> Self {
        let options = &zone.options;
        let speaks_for_everyone = options.groups.is_empty()
            && options.mode == Mode::Enforce
            && options.policy == Override::Given;
        if !speaks_for_everyone {
            return self;
        }
        let mut names: BTreeMap<Name, (bool, bool)> =
            self.names.into_iter().map(|n| (n.name, (n.itself, n.below))).collect();
        let mut networks = self.networks;
        for rule in zone.zone.rules().filter(|rule| rule.action == Action::Passthru) {
            match rule.trigger {
                crate::model::Trigger::QueryName(pattern) => {
                    add(&mut names, pattern.name, (!pattern.wildcard, pattern.wildcard));
                }
                crate::model::Trigger::AnswerAddress(network) => networks.push(network),
                _ => {}
            }
        }
        Self::new(names, networks)
    }

    pub(super) fn new(names: BTreeMap<Name, (bool, bool)>, mut networks: Vec<Network>) -> Self {
        networks.sort();
        networks.dedup_by(|inner, outer| outer.covers(*inner));
        let names = names.into_iter();
        let names = names.map(|(name, (itself, below))| AllowedName { name, itself, below });
        Self { names: names.collect(), networks }
    }

    /// Whether a name is let through.
    pub fn takes_in_name(&self, asked: NameRef<'_>) -> bool {
        asked.ancestors().any(|ancestor| {
            let found = self.names.binary_search_by(|n| n.name.as_ref().cmp(&ancestor));
            found.is_ok_and(|at| {
                let held = &self.names[at];
                if ancestor == asked { held.itself } else { held.below }
            })
        })
    }

    /// Whether all addresses of a network are let through.
    pub fn takes_in_network(&self, asked: Network) -> bool {
        self.networks.iter().any(|network| network.covers(asked))
    }

    /// Copies a compiled zone so that it is safe alone.
    pub fn protect(&self, zone: &Zone, hash_seed: u64) -> Zone {
        let builder = ZoneBuilder::new(zone.origin().to_owned(), zone.soa().clone(), hash_seed);
        let mut copy = DomainZone::new(builder, self);
        let numbers: Vec<u32> =
            zone.effects().iter().map(|effect| copy.effect(effect.clone())).collect();
        let mut names = zone.query_names().iter();
        while let Some((name, payload)) = names.next() {
            // Payloads hold effect numbers plus one.
            let number = |plus_one: u32| Some(numbers[(plus_one as usize).checked_sub(1)?]);
            let (itself, below) = read_payload(payload);
            copy.push_rules(name, number(itself), number(below));
        }
        for (network, effect) in zone.networks(TriggerKind::AnswerAddress) {
            copy.push_network(*network, numbers[*effect as usize]);
        }
        for kind in [
            TriggerKind::ClientAddress,
            TriggerKind::NameserverName,
            TriggerKind::NameserverAddress,
        ] {
            zone.rules_of(kind).for_each(|rule| copy.insert(rule));
        }
        copy.finish().0
    }

    pub(super) fn names(&self) -> &[AllowedName] {
        &self.names
    }

    pub(super) fn networks(&self) -> &[Network] {
        &self.networks
    }
}

fn add(names: &mut BTreeMap<Name, (bool, bool)>, name: Name, (itself, below): (bool, bool)) {
    let held = names.entry(name).or_default();
    held.0 |= itself;
    held.1 |= below;
}

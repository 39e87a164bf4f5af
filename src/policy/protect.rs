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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rule;
    use crate::policy::testing::{NOW, load_files};
    use crate::zone::{Serial, Soa, ZoneOptions};

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    fn allowed(text: &str) -> Allowed {
        let (policy, _) = load_files(&[("p.toml", text)]);
        Allowed::of(&policy.unwrap(), NOW)
    }

    #[test]
    fn only_what_holds_for_everyone_now_is_let_through_everywhere() {
        let allowed = allowed(
            "[group.kids]\nnetworks = '192.0.2.0/24'\n\
             [[allow]]\nname = ['a.example', '*.b.example']\nnetwork = '198.51.100.0/24'\n\
             [[allow]]\nname = 'c.example'\nscope = 'exact'\n\
             [[allow]]\nname = 'group.example'\ngroups = 'kids'\n\
             [[allow]]\nname = 'observed.example'\nmode = 'observe'\n\
             [[allow]]\nname = 'ended.example'\nuntil = 2026-11-01\n\
             [[block]]\nname = 'blocked.example'\n",
        );
        for (asked, through) in [
            ("a.example", true),
            ("x.y.a.example", true),
            ("b.example", false),
            ("x.b.example", true),
            ("c.example", true),
            ("x.c.example", false),
            ("group.example", false),
            ("observed.example", false),
            ("ended.example", false),
            ("blocked.example", false),
        ] {
            assert_eq!(allowed.takes_in_name(name(asked).as_ref()), through, "{asked}");
        }
        let net = |text| Network::parse_strict(text).unwrap();
        assert!(allowed.takes_in_network(net("198.51.100.128/25")));
        assert!(!allowed.takes_in_network(net("198.51.0.0/16")));
    }

    #[test]
    fn a_zone_of_ours_adds_its_exceptions_if_it_speaks_for_everyone() {
        let mut builder = ZoneBuilder::new(name("protected"), Soa::ours(Serial(1)), 7);
        for (text, action) in
            [("time.example", Action::Passthru), ("bad.example", Action::NxDomain)]
        {
            for rule in Rule::domain(name(text).as_ref(), &action, 60) {
                builder.insert(rule);
            }
        }
        let mut zone = PolicyZone { zone: builder.finish().0, options: ZoneOptions::ours() };
        let lets_through = |zone: &PolicyZone, text: &str| {
            Allowed::default().and_zone(zone).takes_in_name(name(text).as_ref())
        };
        assert!(lets_through(&zone, "x.time.example"));
        assert!(!lets_through(&zone, "bad.example"));
        zone.options.mode = Mode::Observe;
        assert!(!lets_through(&zone, "x.time.example"));
    }

    #[test]
    fn a_protected_copy_keeps_serial_and_rules_of_every_kind() {
        use crate::model::{NamePattern, Trigger};
        let net = |text| Network::parse_strict(text).unwrap();
        let mut builder = ZoneBuilder::new(name("threat"), Soa::ours(Serial(9)), 7);
        let mut insert = |trigger| {
            builder.insert(Rule { trigger, action: Action::NxDomain, ttl: 30 });
        };
        insert(Trigger::NameserverName(NamePattern::exact(name("ns.example"))));
        insert(Trigger::NameserverAddress(net("203.0.113.7")));
        insert(Trigger::ClientAddress(net("192.0.2.7")));
        insert(Trigger::AnswerAddress(net("198.51.100.7")));
        insert(Trigger::AnswerAddress(net("203.0.113.0/24")));
        insert(Trigger::QueryName(NamePattern::exact(name("x.good.example"))));
        let zone = builder.finish().0;
        let allowed = allowed("[[allow]]\nname = 'good.example'\nnetwork = '198.51.100.0/24'\n");
        let copy = allowed.protect(&zone, 7);
        assert_eq!(copy.soa().serial, Serial(9));
        let shown: Vec<String> = copy
            .rules()
            .map(|rule| format!("{:?} {} {}", rule.trigger, rule.action.as_str(), rule.ttl))
            .collect();
        assert_eq!(
            shown,
            [
                "ClientAddress(192.0.2.7/32) nxdomain 30",
                "QueryName(NamePattern { name: good.example., wildcard: false }) passthru 60",
                "QueryName(NamePattern { name: good.example., wildcard: true }) passthru 60",
                "AnswerAddress(198.51.100.0/24) passthru 60",
                "AnswerAddress(203.0.113.0/24) nxdomain 30",
                "NameserverName(NamePattern { name: ns.example., wildcard: false }) nxdomain 30",
                "NameserverAddress(203.0.113.7/32) nxdomain 30",
            ]
        );
    }
}

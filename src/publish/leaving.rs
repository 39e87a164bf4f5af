//! The zones that leave a state, each as it is to be read alone.

use std::collections::BTreeMap;

use crate::model::Name;
use crate::policy::outward::{self, Exceptions};
use crate::snapshot::Snapshot;
use crate::zone::{PolicyZone, Zone};

/// A zone as it leaves, with the one in force here that it is made of.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// The zone in force here.
    pub here: PolicyZone,
    /// As others get it, under the serial that it has here.
    pub made: Zone,
}

/// A zone that leaves, not made yet: that costs a copy of its rules.
#[derive(Debug, Clone)]
pub struct Leaving<'s> {
    /// The zone in force here.
    pub zone: &'s PolicyZone,
    /// What the zones before it let through for all its clients.
    pub exceptions: Exceptions,
}

impl Leaving<'_> {
    /// The zone as others get it, under the serial that it has here.
    pub fn made(&self) -> Zone {
        outward::outward(self.zone, &self.exceptions)
    }
}

/// Makes the zones that leave, and makes those anew of which something changed.
#[derive(Debug, Default)]
pub struct Maker {
    made: BTreeMap<Name, Made>,
}

/// A zone as it was made, and what of.
#[derive(Debug)]
struct Made {
    here: PolicyZone,
    exceptions: Exceptions,
    zone: Zone,
}

impl Maker {
    /// The zones that leave a state, in order of precedence. What is the same as before is the
    /// same value.
    pub fn zones(&mut self, snapshot: &Snapshot) -> Vec<Outgoing> {
        let mut before = std::mem::take(&mut self.made);
        let leaving = leaving(snapshot);
        let outgoing = leaving.into_iter().map(|leaving| {
            let name = leaving.zone.name();
            let same = before.remove(&name).filter(|made| {
                made.here.options == leaving.zone.options
                    && made.exceptions == leaving.exceptions
                    && says_the_same(&made.here.zone, &leaving.zone.zone)
            });
            let zone = same.map_or_else(|| leaving.made(), |made| made.zone);
            let here = leaving.zone.clone();
            let exceptions = leaving.exceptions;
            self.made.insert(name, Made { here: here.clone(), exceptions, zone: zone.clone() });
            Outgoing { here, made: zone }
        });
        outgoing.collect()
    }
}

/// Whether two zones have the same rules and the same serial. A zone that somebody wrote may have
/// other rules under the serial of before.
pub fn says_the_same(a: &Zone, b: &Zone) -> bool {
    a.is(b) || (a.soa().serial == b.soa().serial && a.same_rules(b))
}

/// The zones that leave, in order of precedence.
pub fn leaving(snapshot: &Snapshot) -> Vec<Leaving<'_>> {
    let zones: Vec<&PolicyZone> = snapshot.zones().collect();
    let exempt = snapshot.exempt_groups();
    let leaving = zones.iter().enumerate().filter(|(_, zone)| outward::leaves(zone, exempt));
    leaving
        .map(|(at, zone)| {
            let before = zones[..at].iter().copied();
            Leaving { zone, exceptions: Exceptions::of(before, zone.options.groups) }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use rand::RngExt;
    use rand::seq::IndexedRandom;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;
    use crate::model::{
        Action, AnswerFacts, AnswerStep, GroupSet, Name, NamePattern, Nameserver, Network, Rule,
        Trigger, TriggerKind,
    };
    use crate::snapshot::{Query, Response, Step, Transport};
    use crate::zone::{Mode, Override, Serial, Soa, ZoneBuilder, ZoneOptions};

    const SEED: u64 = 0x5e15;
    const WORLDS: u64 = 20_000;

    struct Dice(ChaCha8Rng);

    impl Dice {
        fn below(&mut self, bound: usize) -> usize {
            self.0.random_range(0..bound)
        }

        fn name(&mut self) -> Name {
            let labels = ["a", "b", "c"];
            let mut text = String::from("t");
            for _ in 0..self.below(4) {
                text = format!("{}.{text}", labels.choose(&mut self.0).unwrap());
            }
            Name::from_presentation(&text).unwrap()
        }

        fn address(&mut self) -> IpAddr {
            format!("192.0.2.{}", self.below(8)).parse().unwrap()
        }

        fn network(&mut self) -> Network {
            let length = [29, 30, 31, 32][self.below(4)];
            Network::new(self.address(), length).unwrap()
        }

        fn pattern(&mut self) -> NamePattern {
            NamePattern { name: self.name(), wildcard: self.below(2) == 0 }
        }

        fn zone(&mut self, number: usize) -> PolicyZone {
            let origin = Name::from_presentation(&format!("z{number}.rpz")).unwrap();
            let mut builder = ZoneBuilder::new(origin, Soa::ours(Serial(1)), SEED);
            let mut seen = Vec::new();
            for _ in 0..self.below(6) {
                let trigger = match self.below(8) {
                    0 => Trigger::ClientAddress(self.network()),
                    1 => Trigger::AnswerAddress(self.network()),
                    2 => Trigger::NameserverName(self.pattern()),
                    3 => Trigger::NameserverAddress(self.network()),
                    _ => Trigger::QueryName(self.pattern()),
                };
                if !seen.contains(&trigger) {
                    seen.push(trigger.clone());
                    let actions = [Action::Passthru, Action::NxDomain, Action::NoData];
                    let action = actions[self.below(3)].clone();
                    builder.insert(Rule { trigger, action, ttl: 60 });
                }
            }
            let options = ZoneOptions {
                groups: GroupSet([0, 0, 1, 2, 3][self.below(5)]),
                mode: [Mode::Enforce, Mode::Enforce, Mode::Enforce, Mode::Observe][self.below(4)],
                policy: match self.below(12) {
                    0 => Override::Disabled,
                    1 => Override::Action(Action::Passthru),
                    2 => Override::Action(Action::NxDomain),
                    _ => Override::Given,
                },
                ..ZoneOptions::ours()
            };
            PolicyZone { zone: builder.finish().0, options }
        }

        fn facts(&mut self, name: &Name) -> AnswerFacts {
            let mut facts = AnswerFacts::default();
            for step in 0..=self.below(2) {
                let name = if step == 0 { name.clone() } else { self.name() };
                let server = Nameserver {
                    zone: Name::from_presentation("a.t").unwrap(),
                    name: self.name(),
                    addresses: vec![self.address()],
                };
                facts.steps.push(AnswerStep {
                    name,
                    addresses: vec![self.address()],
                    nameservers: vec![[server].into()],
                });
            }
            facts
        }
    }

    /// What decides: kind and stage of the trigger, and whether it lets the answer pass.
    type Decided = Option<(usize, TriggerKind, usize, bool)>;

    fn decided(snapshot: &Snapshot, query: &Query<'_>, facts: &AnswerFacts) -> Decided {
        let outcome = |hit: &crate::snapshot::Hit<'_>| {
            (hit.zone, hit.kind, hit.stage, hit.response == Response::Passthru)
        };
        match snapshot.begin(query) {
            Step::Decided { hit, .. } => Some(outcome(&hit)),
            Step::Resolve(evaluation) => evaluation.finish(facts).hit.as_ref().map(outcome),
        }
    }

    /// Whether a trigger takes in more than one name or address.
    fn is_wide(trigger: &Trigger) -> bool {
        match trigger {
            Trigger::QueryName(pattern) | Trigger::NameserverName(pattern) => pattern.wildcard,
            _ => true,
        }
    }

    fn alone(zone: Zone, options: &ZoneOptions, clients: &[(Network, GroupSet)]) -> Snapshot {
        // Written and read again, as it leaves, which also gives it a hash table.
        let mut text = Vec::new();
        crate::zone::file::write_zone(&zone, &mut text).unwrap();
        let origin = zone.origin().to_owned();
        let limits = crate::zone::file::Limits::default();
        let (read, _) = crate::zone::file::load(text.as_slice(), &origin, SEED, &limits).unwrap();
        assert!(read.same_rules(&zone), "{zone:?} is not read as it is written");
        let options = ZoneOptions { groups: options.groups, ..ZoneOptions::ours() };
        let zone = PolicyZone { zone: read, options };
        Snapshot::new(2, SEED, vec![zone], clients.to_vec(), None).unwrap()
    }

    /// A zone that leaves, evaluated by our own engine and alone, blocks nothing that the zones
    /// before it let through here, as far as one zone can say so; and where no exception plays a
    /// part it decides as it does here.
    #[test]
    fn what_an_earlier_zone_lets_through_a_zone_alone_never_blocks() {
        let (mut saved, mut same) = (0, 0);
        for number in 0..WORLDS {
            let mut dice = Dice(ChaCha8Rng::seed_from_u64(number));
            let zones: Vec<PolicyZone> = (0..3).map(|at| dice.zone(at)).collect();
            let client: IpAddr = "203.0.113.7".parse().unwrap();
            let groups = GroupSet([0, 1, 2, 3][dice.below(4)]);
            let clients = vec![(Network::host(client), groups)];
            let here = Snapshot::new(1, SEED, zones.clone(), clients.clone(), None).unwrap();
            let name = dice.name();
            let facts = dice.facts(&name);
            let query = Query {
                name: name.as_ref(),
                rtype: 1,
                client: if dice.below(4) == 0 { dice.address() } else { client },
                transport: Transport::Udp,
                recursion_desired: true,
                dnssec_ok: false,
            };
            let locally = decided(&here, &query, &facts);
            for leaving in leaving(&here) {
                let at = zones
                    .iter()
                    .position(|z| z.zone.origin() == leaving.zone.zone.origin())
                    .unwrap();
                let there = alone(leaving.made(), &zones[at].options, &clients);
                let alone = decided(&there, &query, &facts);
                let only = |zone: &PolicyZone| {
                    let zones = vec![zone.clone()];
                    Snapshot::new(3, SEED, zones, clients.clone(), None).unwrap()
                };
                let bare = decided(&only(&zones[at]), &query, &facts);
                // Exceptions that hold for all clients of the zone, one zone at a time.
                let exceptions = zones[..at].iter().filter(|zone| {
                    let groups = zone.options.groups;
                    groups.is_empty()
                        || (!zones[at].options.groups.is_empty()
                            && zones[at].options.groups.0 & !groups.0 == 0)
                });
                let mut exempt = false;
                let mut wide = false;
                for zone in exceptions {
                    wide |= zone.zone.rules().any(|rule| is_wide(&rule.trigger));
                    let says = decided(&only(zone), &query, &facts);
                    exempt |= says.is_some();
                    // A later kind or a later name of the chain cannot outrank in one zone.
                    if let (Some((_, k, s, true)), Some((_, kind, stage, passes))) = (says, alone)
                        && locally.is_some_and(|(z, _, _, passes)| passes && z < at)
                        && (s, k) <= (stage, kind)
                    {
                        assert!(passes, "world {number}: {k:?} at {s} saves, alone {alone:?}");
                        saved += 1;
                    }
                }
                if !exempt {
                    let shown = |d: Decided| d.map(|(_, k, s, p)| (k, s, p));
                    // No rule can say that there is none: within a wide exception, what was left
                    // out of it and the zone says nothing of is let through as well.
                    let let_through = wide && alone.is_some_and(|(.., passes)| passes);
                    let equal = let_through || shown(alone) == shown(bare);
                    assert!(equal, "world {number}, zone {at}: {bare:?}, as it leaves {alone:?}");
                    same += 1;
                }
            }
        }
        assert!(saved > 100 && same > 1000, "{saved} saved, {same} the same");
    }
}

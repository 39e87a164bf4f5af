//! Making a zone from rules in any order, or from names that are already in order.

use std::collections::HashMap;
use std::sync::Arc;

use super::walk::Subject;
use super::{Effect, Rules, Soa, Zone, read_payload};
use crate::model::{Name, NameRef, Network, Rule, Trigger, TriggerKind};
use crate::names::{NameSorter, NameTable, NameTableBuilder};

/// Two rules with one trigger but different effects; the first stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// What both rules ask for.
    pub trigger: Trigger,
    /// What stays.
    pub kept: Effect,
    /// What was left out.
    pub dropped: Effect,
}

/// Octets beside a name: two effect numbers.
const PAYLOAD_OCTETS: usize = 8;

/// Collects rules and makes the zone of them.
pub struct ZoneBuilder {
    origin: Name,
    soa: Soa,
    hash_seed: Option<u64>,
    effects: Vec<Effect>,
    numbers: HashMap<Effect, u32>,
    query_names: NameSorter<(bool, u32)>,
    nameserver_names: NameSorter<(bool, u32)>,
    sorted_names: [Option<NameTableBuilder>; 2],
    networks: [Vec<(Network, u32)>; 5],
}

impl ZoneBuilder {
    /// An empty zone. The seed keys its hash tables; all zones of an installation share it.
    pub fn new(origin: Name, soa: Soa, hash_seed: u64) -> Self {
        Self::with_seed(origin, soa, Some(hash_seed))
    }

    /// An empty zone; without a seed its names get no hash table, which saves half the space
    /// where nobody looks up single names.
    pub(in crate::zone) fn with_seed(origin: Name, soa: Soa, hash_seed: Option<u64>) -> Self {
        Self {
            origin,
            soa,
            hash_seed,
            effects: Vec::new(),
            numbers: HashMap::new(),
            query_names: NameSorter::default(),
            nameserver_names: NameSorter::default(),
            sorted_names: [None, None],
            networks: Default::default(),
        }
    }

    /// The number of an effect, for [`ZoneBuilder::push_sorted`].
    pub fn effect(&mut self, effect: Effect) -> u32 {
        let effect = effect.normal();
        if let Some(&number) = self.numbers.get(&effect) {
            return number;
        }
        let number = u32::try_from(self.effects.len()).expect("effects below 2³²");
        self.effects.push(effect.clone());
        self.numbers.insert(effect, number);
        number
    }

    /// Takes a rule.
    pub fn insert(&mut self, rule: Rule) {
        let effect = self.effect(Effect { action: rule.action, ttl: rule.ttl });
        match rule.trigger {
            Trigger::QueryName(p) => {
                self.query_names.push(p.name.as_ref(), (p.wildcard, effect));
            }
            Trigger::NameserverName(p) => {
                self.nameserver_names.push(p.name.as_ref(), (p.wildcard, effect));
            }
            Trigger::ClientAddress(n) => self.push_network(TriggerKind::ClientAddress, n, effect),
            Trigger::AnswerAddress(n) => self.push_network(TriggerKind::AnswerAddress, n, effect),
            Trigger::NameserverAddress(n) => {
                self.push_network(TriggerKind::NameserverAddress, n, effect);
            }
        }
    }

    fn push_network(&mut self, kind: TriggerKind, network: Network, effect: u32) {
        self.networks[kind as usize].push((network, effect));
    }

    /// Takes a query name in strictly ascending order, with the effects for itself and for all
    /// below it, by the numbers of [`ZoneBuilder::effect`]. The names of a kind come either in
    /// order or from [`ZoneBuilder::insert`], not both.
    pub fn push_sorted(&mut self, name: NameRef<'_>, exact: Option<u32>, below: Option<u32>) {
        self.push_sorted_name(TriggerKind::QueryName, name, [exact, below]);
    }

    /// Takes a subject of a kind in strictly ascending order.
    pub(in crate::zone) fn push_subject(
        &mut self,
        kind: TriggerKind,
        subject: Subject<'_>,
        effects: [Option<u32>; 2],
    ) {
        match (subject, effects) {
            (_, [None, None]) => {}
            (Subject::Name(name), effects) => self.push_sorted_name(kind, name, effects),
            (Subject::Network(network), [effect, _]) => {
                self.networks[kind as usize].extend(effect.map(|effect| (network, effect)));
            }
        }
    }

    fn push_sorted_name(
        &mut self,
        kind: TriggerKind,
        name: NameRef<'_>,
        effects: [Option<u32>; 2],
    ) {
        let seed = self.hash_seed;
        let [exact, below] = effects;
        self.sorted_names[usize::from(kind == TriggerKind::NameserverName)]
            .get_or_insert_with(|| NameTableBuilder::new(PAYLOAD_OCTETS, seed))
            .push(name, &payload(exact, below));
    }

    /// The zone, and the conflicts that were settled in favour of the rule that came first.
    pub fn finish(mut self) -> (Zone, Vec<Conflict>) {
        let mut conflicts = Vec::new();
        let [query_names, nameserver_names] = [
            (TriggerKind::QueryName, std::mem::take(&mut self.query_names)),
            (TriggerKind::NameserverName, std::mem::take(&mut self.nameserver_names)),
        ]
        .map(|(kind, names)| {
            match self.sorted_names[usize::from(kind == TriggerKind::NameserverName)].take() {
                Some(sorted) => {
                    assert!(names.is_empty(), "the names of a kind come in one of two ways");
                    NameTable::built(sorted)
                }
                None => self.name_table(names, kind, &mut conflicts),
            }
        });
        let [client, _, answer, _, nameserver] = std::mem::take(&mut self.networks);
        let client_addresses = self.network_list(client, Trigger::ClientAddress, &mut conflicts);
        let answer_addresses = self.network_list(answer, Trigger::AnswerAddress, &mut conflicts);
        let nameserver_addresses =
            self.network_list(nameserver, Trigger::NameserverAddress, &mut conflicts);
        let counts = [
            client_addresses.len(),
            rule_count(&query_names),
            answer_addresses.len(),
            rule_count(&nameserver_names),
            nameserver_addresses.len(),
        ];
        let rules = Rules {
            origin: self.origin,
            soa: self.soa,
            effects: self.effects.into(),
            query_names,
            nameserver_names,
            client_addresses,
            answer_addresses,
            nameserver_addresses,
            counts,
        };
        (Zone(Arc::new(rules)), conflicts)
    }

    fn name_table(
        &self,
        mut names: NameSorter<(bool, u32)>,
        kind: TriggerKind,
        conflicts: &mut Vec<Conflict>,
    ) -> NameTable {
        names.sort();
        let mut builder = NameTableBuilder::new(PAYLOAD_OCTETS, self.hash_seed);
        let mut current: Option<(NameRef<'_>, [Option<u32>; 2])> = None;
        for (name, (wildcard, effect)) in names.iter() {
            match &mut current {
                Some((held, effects)) if *held == name => {
                    let slot = &mut effects[usize::from(wildcard)];
                    match *slot {
                        None => *slot = Some(effect),
                        Some(kept) if kept == effect => {}
                        Some(kept) => {
                            let pattern =
                                crate::model::NamePattern { name: name.to_owned(), wildcard };
                            let trigger = match kind {
                                TriggerKind::NameserverName => Trigger::NameserverName(pattern),
                                _ => Trigger::QueryName(pattern),
                            };
                            conflicts.push(self.conflict(trigger, kept, effect));
                        }
                    }
                }
                _ => {
                    push_name(&mut builder, current.take());
                    let mut effects = [None; 2];
                    effects[usize::from(wildcard)] = Some(effect);
                    current = Some((name, effects));
                }
            }
        }
        push_name(&mut builder, current);
        NameTable::built(builder)
    }

    fn network_list(
        &self,
        mut networks: Vec<(Network, u32)>,
        trigger: impl Fn(Network) -> Trigger,
        conflicts: &mut Vec<Conflict>,
    ) -> Box<[(Network, u32)]> {
        networks.sort_by_key(|(network, _)| *network);
        networks.dedup_by(|later, first| {
            let same = later.0 == first.0;
            if same && later.1 != first.1 {
                conflicts.push(self.conflict(trigger(first.0), first.1, later.1));
            }
            same
        });
        networks.into()
    }

    fn conflict(&self, trigger: Trigger, kept: u32, dropped: u32) -> Conflict {
        let effect = |number: u32| self.effects[number as usize].clone();
        Conflict { trigger, kept: effect(kept), dropped: effect(dropped) }
    }
}

/// Carries the effect numbers of one zone over to another that is being built.
pub(in crate::zone) struct EffectMap<'z> {
    zone: &'z Zone,
    numbers: Vec<Option<u32>>,
}

impl<'z> EffectMap<'z> {
    pub fn new(zone: &'z Zone) -> Self {
        Self { zone, numbers: vec![None; zone.effects().len()] }
    }

    /// The builder's number of the effect that the zone numbers so, plus one; none for 0.
    pub fn number(&mut self, number: u32, builder: &mut ZoneBuilder) -> Option<u32> {
        let at = (number as usize).checked_sub(1)?;
        let effect = || builder.effect(self.zone.effects()[at].clone());
        Some(*self.numbers[at].get_or_insert_with(effect))
    }
}

fn push_name(builder: &mut NameTableBuilder, name: Option<(NameRef<'_>, [Option<u32>; 2])>) {
    if let Some((name, [exact, below])) = name {
        builder.push(name, &payload(exact, below));
    }
}

fn payload(exact: Option<u32>, below: Option<u32>) -> [u8; PAYLOAD_OCTETS] {
    let mut out = [0; PAYLOAD_OCTETS];
    out[..4].copy_from_slice(&exact.map_or(0, |n| n + 1).to_le_bytes());
    out[4..].copy_from_slice(&below.map_or(0, |n| n + 1).to_le_bytes());
    out
}

/// How many rules the payloads of a table stand for.
pub(in crate::zone) fn rule_count(table: &NameTable) -> usize {
    (0..table.len())
        .map(|at| {
            let (exact, below) = read_payload(table.payload(at));
            usize::from(exact > 0) + usize::from(below > 0)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, NamePattern};
    use crate::zone::Serial;

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    fn rule(trigger: Trigger, action: Action) -> Rule {
        Rule { trigger, action, ttl: 60 }
    }

    #[test]
    fn rules_come_back_sorted_and_the_first_of_a_conflict_stays() {
        let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(1)), 7);
        let query =
            |text: &str, wildcard| Trigger::QueryName(NamePattern { name: name(text), wildcard });
        let net = |text| Network::parse_strict(text).unwrap();
        builder.insert(rule(query("b.test", true), Action::NoData));
        builder.insert(rule(query("b.test", false), Action::NxDomain));
        builder.insert(rule(query("a.test", false), Action::NxDomain));
        builder.insert(rule(query("a.test", false), Action::Passthru));
        builder.insert(rule(Trigger::AnswerAddress(net("192.0.2.0/24")), Action::Drop));
        builder.insert(rule(Trigger::AnswerAddress(net("192.0.2.0/24")), Action::Drop));
        let (zone, conflicts) = builder.finish();

        let rules: Vec<Rule> = zone.rules().collect();
        assert_eq!(
            rules,
            [
                rule(query("a.test", false), Action::NxDomain),
                rule(query("b.test", false), Action::NxDomain),
                rule(query("b.test", true), Action::NoData),
                rule(Trigger::AnswerAddress(net("192.0.2.0/24")), Action::Drop),
            ]
        );
        assert_eq!(zone.len(), 4);
        assert_eq!(conflicts.len(), 1);
        assert_eq!(conflicts[0].trigger, query("a.test", false));
        for rule in &rules {
            assert_eq!(zone.effect(&rule.trigger).map(|e| &e.action), Some(&rule.action));
        }
        assert_eq!(zone.effect(&query("a.test", true)), None);
    }
}

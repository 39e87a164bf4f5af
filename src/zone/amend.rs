//! Rules put over those of a zone, with every other name left as it was.
//!
//! A new owner in a zone is more than a rule: it makes itself and all its ancestors exist, and what
//! exists is out of the reach of the wildcards above it (RFC 4592 section 2.2.2). So where an
//! amendment brings names into existence, they get rules that say what held there before.

use std::collections::BTreeMap;

use super::build::EffectMap;
use super::walk::Subject;
use super::{Effect, Rules, Zone, ZoneBuilder, read_payload};
use crate::model::{Action, Name, NameRef, Network, Trigger, TriggerKind};

/// What becomes of what a trigger takes in.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Change {
    /// This holds.
    Hold(Effect),
    /// What the zone says holds, whatever an amendment says that takes in more.
    Keep,
}

/// What is to hold, whatever the zone says.
#[derive(Debug, Clone, Default)]
pub struct Amendment {
    /// Query names and nameserver names: for the name itself, and for all names below it.
    names: [BTreeMap<Name, [Option<Change>; 2]>; 2],
    /// By [`TriggerKind`]; for all addresses of the prefix.
    networks: [BTreeMap<Network, Change>; 5],
}

impl Amendment {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.names.iter().all(BTreeMap::is_empty) && self.networks.iter().all(BTreeMap::is_empty)
    }

    /// Lets an effect hold for all that a trigger takes in: with a wildcard all names below it,
    /// also those that have rules of their own; with a prefix all its addresses likewise. Of two
    /// that overlap the one closer to the name or address holds.
    pub fn hold(&mut self, trigger: &Trigger, effect: Effect) {
        self.change(trigger, Change::Hold(effect));
    }

    /// Leaves what a trigger takes in as the zone has it, out of the reach of what holds for more.
    /// Nothing to do where nothing does.
    pub fn keep(&mut self, trigger: &Trigger) {
        let reached = match trigger {
            Trigger::QueryName(p) | Trigger::NameserverName(p) => {
                self.above(trigger.kind(), p.name.as_ref()).is_some()
            }
            Trigger::ClientAddress(n)
            | Trigger::AnswerAddress(n)
            | Trigger::NameserverAddress(n) => self.around(trigger.kind(), *n).is_some(),
        };
        if reached {
            self.change(trigger, Change::Keep);
        }
    }

    fn change(&mut self, trigger: &Trigger, change: Change) {
        let kind = trigger.kind();
        match trigger {
            Trigger::QueryName(pattern) | Trigger::NameserverName(pattern) => {
                let held = self.names[table_of(kind)].entry(pattern.name.clone()).or_default();
                held[usize::from(pattern.wildcard)] = Some(change);
            }
            Trigger::ClientAddress(network)
            | Trigger::AnswerAddress(network)
            | Trigger::NameserverAddress(network) => {
                self.networks[kind as usize].insert(*network, change);
            }
        }
    }

    /// What holds for a name through an amendment of a name above it.
    fn above(&self, kind: TriggerKind, name: NameRef<'_>) -> Option<&Effect> {
        let names = &self.names[table_of(kind)];
        let held = name.ancestors().skip(1).map(|above| names.get(&above.to_owned()));
        held.flatten().find_map(|[_, below]| below.as_ref())?.effect()
    }

    /// What holds for a prefix through an amendment of it or of one around it.
    fn around(&self, kind: TriggerKind, network: Network) -> Option<&Effect> {
        let around = self.networks[kind as usize].iter().filter(|(outer, _)| outer.covers(network));
        around.max_by_key(|(outer, _)| outer.length())?.1.effect()
    }
}

impl Change {
    fn effect(&self) -> Option<&Effect> {
        match self {
            Self::Hold(effect) => Some(effect),
            Self::Keep => None,
        }
    }
}

fn table_of(kind: TriggerKind) -> usize {
    usize::from(kind == TriggerKind::NameserverName)
}

impl Zone {
    /// What the zone says of a name: for itself, and for names below it that do not exist in the
    /// zone, as DNS reads wildcards.
    pub fn held_at(&self, kind: TriggerKind, name: NameRef<'_>) -> [Option<&Effect>; 2] {
        let Some(table) = self.name_table(kind) else { return [None; 2] };
        if let Some(effects) = self.at_name(kind, name) {
            return [effects.exact, effects.below];
        }
        if table.reaches(name) {
            return [None; 2];
        }
        let encloser = name.ancestors().skip(1).find(|above| table.reaches(*above));
        // The root exists whatever the zone holds.
        let encloser = encloser.unwrap_or(NameRef::ROOT);
        let below = self.at_name(kind, encloser).and_then(|effects| effects.below);
        [below; 2]
    }

    /// The zone with an amendment over its rules. Its names get no hash table: it is for writing
    /// out.
    pub fn amended(&self, amendment: &Amendment) -> Zone {
        if amendment.is_empty() {
            return self.clone();
        }
        let origin = self.origin().to_owned();
        let mut merger = Merger {
            zone: self,
            amendment,
            builder: ZoneBuilder::with_seed(origin, self.soa().clone(), None),
            map: EffectMap::new(self),
        };
        for kind in TriggerKind::ALL {
            match self.name_table(kind) {
                Some(_) => merger.names(kind),
                None => merger.networks(kind),
            }
        }
        merger.builder.finish().0
    }

    /// The same triggers with other effects.
    pub fn with_effects(&self, other: impl Fn(&Effect) -> Effect) -> Zone {
        let r = &self.0;
        Zone(std::sync::Arc::new(Rules {
            origin: r.origin.clone(),
            soa: r.soa.clone(),
            effects: r.effects.iter().map(|effect| other(effect).normal()).collect(),
            query_names: r.query_names.clone(),
            nameserver_names: r.nameserver_names.clone(),
            client_addresses: r.client_addresses.clone(),
            answer_addresses: r.answer_addresses.clone(),
            nameserver_addresses: r.nameserver_addresses.clone(),
            counts: r.counts,
        }))
    }
}

struct Merger<'z> {
    zone: &'z Zone,
    amendment: &'z Amendment,
    builder: ZoneBuilder,
    map: EffectMap<'z>,
}

impl Merger<'_> {
    fn names(&mut self, kind: TriggerKind) {
        let changed = self.changed(kind);
        let mut changed = changed.iter().peekable();
        let zone = self.zone;
        let mut cursor = zone.name_table(kind).expect("a kind of names").iter();
        while let Some((name, payload)) = cursor.next() {
            while let Some((other, effects)) = changed.next_if(|(n, _)| n.as_ref() < name) {
                self.push(kind, other.as_ref(), effects);
            }
            if let Some((other, effects)) = changed.next_if(|(n, _)| n.as_ref() == name) {
                self.push(kind, other.as_ref(), effects);
            } else if self.amendment.above(kind, name).is_none() {
                let (exact, below) = read_payload(payload);
                let numbers = [exact, below].map(|n| self.map.number(n, &mut self.builder));
                self.builder.push_subject(kind, Subject::Name(name), numbers);
            }
        }
        for (other, effects) in changed {
            self.push(kind, other.as_ref(), effects);
        }
    }

    fn push(&mut self, kind: TriggerKind, name: NameRef<'_>, effects: &[Option<Effect>; 2]) {
        let number = |effect: &Option<Effect>| effect.clone().map(|e| self.builder.effect(e));
        let numbers = effects.each_ref().map(number);
        self.builder.push_subject(kind, Subject::Name(name), numbers);
    }

    /// Every name that gets other rules than the zone has there, with the rules.
    fn changed(&self, kind: TriggerKind) -> BTreeMap<Name, [Option<Effect>; 2]> {
        let mut changed: BTreeMap<Name, [Option<Effect>; 2]> = BTreeMap::new();
        for (name, [exact, below]) in &self.amendment.names[table_of(kind)] {
            let held = self.held(kind, name.as_ref());
            let kept = self.zone.held_at(kind, name.as_ref());
            let settle = |at: usize, change: &Option<Change>| match change {
                Some(Change::Hold(effect)) => Some(effect.clone()),
                Some(Change::Keep) => kept[at].cloned(),
                None => held[at].clone(),
            };
            changed.insert(name.clone(), [settle(0, exact), settle(1, below)]);
            for between in name.as_ref().ancestors().skip(1).filter(|name| !name.is_root()) {
                if self.exists(kind, between) || changed.contains_key(&between.to_owned()) {
                    break;
                }
                changed.insert(between.to_owned(), self.held(kind, between));
            }
        }
        changed
    }

    /// What holds at a name and below it, the amendments of names above it counted.
    fn held(&self, kind: TriggerKind, name: NameRef<'_>) -> [Option<Effect>; 2] {
        match self.amendment.above(kind, name) {
            Some(effect) => [Some(effect.clone()), Some(effect.clone())],
            None => self.zone.held_at(kind, name).map(Option::<&Effect>::cloned),
        }
    }

    /// Whether the name exists in the zone and stays.
    fn exists(&self, kind: TriggerKind, name: NameRef<'_>) -> bool {
        let table = self.zone.name_table(kind).expect("a kind of names");
        table.reaches(name) && self.amendment.above(kind, name).is_none()
    }

    fn networks(&mut self, kind: TriggerKind) {
        let amended = &self.amendment.networks[kind as usize];
        let zone = self.zone;
        let stays = |network: Network| {
            !amended.contains_key(&network) && self.amendment.around(kind, network).is_none()
        };
        let kept = zone.networks(kind).iter().filter(|(network, _)| stays(*network));
        let kept: Vec<(Network, u32)> = kept.copied().collect();
        let mut all: Vec<(Network, u32)> = Vec::new();
        for (network, number) in kept {
            all.extend(self.map.number(number + 1, &mut self.builder).map(|n| (network, n)));
        }
        for (network, change) in amended {
            let effect = change.effect().or_else(|| {
                let around = zone.networks(kind).iter().filter(|(n, _)| n.covers(*network));
                let (_, number) = around.max_by_key(|(n, _)| n.length())?;
                zone.effects().get(*number as usize)
            });
            all.extend(effect.map(|effect| (*network, self.builder.effect(effect.clone()))));
        }
        all.sort_by_key(|(network, _)| *network);
        for (network, number) in all {
            self.builder.push_subject(kind, Subject::Network(network), [Some(number), None]);
        }
    }
}

impl Effect {
    /// The effect with no TTL longer than so many seconds, and none shorter than `least`.
    pub fn within(&self, least: u32, most: u32) -> Effect {
        let action = match &self.action {
            Action::Data(sets) => {
                let sets = sets.iter().cloned();
                let sets = sets.map(|set| crate::model::RrSet {
                    ttl: set.ttl.clamp(least, most.max(least)),
                    ..set
                });
                Action::Data(sets.collect())
            }
            other => other.clone(),
        };
        Effect { action, ttl: self.ttl.clamp(least, most.max(least)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NamePattern, Rule};
    use crate::zone::{Serial, Soa};
    use proptest::prelude::*;

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    fn pattern(text: &str) -> NamePattern {
        match text.strip_prefix("*.") {
            Some(parent) => NamePattern::below(name(parent)),
            None => NamePattern::exact(name(text)),
        }
    }

    fn zone(rules: &[(&str, Action)]) -> Zone {
        let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(1)), 7);
        for (text, action) in rules {
            let trigger = Trigger::QueryName(pattern(text));
            builder.insert(Rule { trigger, action: action.clone(), ttl: 60 });
        }
        builder.finish().0
    }

    fn amended(rules: &[(&str, Action)], passed: &[&str]) -> Vec<String> {
        let mut amendment = Amendment::default();
        for text in passed {
            let effect = Effect { action: Action::Passthru, ttl: 60 };
            amendment.hold(&Trigger::QueryName(pattern(text)), effect);
        }
        let shown = |rule: Rule| match rule.trigger {
            Trigger::QueryName(pattern) => format!("{pattern} {}", rule.action.as_str()),
            other => format!("{other:?}"),
        };
        zone(rules).amended(&amendment).rules().map(shown).collect()
    }

    #[test]
    fn names_that_come_into_existence_keep_what_a_wildcard_said_of_them() {
        use Action::NxDomain;
        assert_eq!(
            amended(&[("*.bad.test", NxDomain)], &["good.b.bad.test"]),
            [
                "*.bad.test nxdomain",
                "b.bad.test nxdomain",
                "*.b.bad.test nxdomain",
                "good.b.bad.test passthru",
                "*.good.b.bad.test nxdomain"
            ]
        );
    }

    #[test]
    fn what_lies_under_an_amendment_goes() {
        use Action::{NoData, NxDomain};
        assert_eq!(
            amended(
                &[("a.good.test", NxDomain), ("*.x.a.good.test", NoData), ("z.test", NoData)],
                &["*.good.test"]
            ),
            ["*.good.test passthru", "z.test nodata"]
        );
    }

    #[test]
    fn prefixes_cover_what_lies_in_them() {
        let net = |text| Network::parse_strict(text).unwrap();
        let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(1)), 7);
        for text in ["192.0.2.0/24", "192.0.2.7", "198.51.100.0/24"] {
            let trigger = Trigger::AnswerAddress(net(text));
            builder.insert(Rule { trigger, action: Action::Drop, ttl: 60 });
        }
        let mut amendment = Amendment::default();
        let passed = Effect { action: Action::Passthru, ttl: 60 };
        amendment.hold(&Trigger::AnswerAddress(net("192.0.2.0/28")), passed);
        let amended = builder.finish().0.amended(&amendment);
        let shown: Vec<_> =
            amended.rules().map(|r| format!("{:?} {}", r.trigger, r.action.as_str())).collect();
        assert_eq!(
            shown,
            [
                "AnswerAddress(192.0.2.0/24) drop",
                "AnswerAddress(192.0.2.0/28) passthru",
                "AnswerAddress(198.51.100.0/24) drop"
            ]
        );
    }

    /// What a zone says of a name, by the letter of RFC 4592.
    fn plain(zone: &Zone, asked: &Name) -> Option<Action> {
        let owners: Vec<(Name, bool, Action)> = zone
            .rules()
            .map(|rule| match rule.trigger {
                Trigger::QueryName(p) => (p.name, p.wildcard, rule.action),
                other => panic!("{other:?}"),
            })
            .collect();
        let exists = |n: NameRef<'_>| {
            n.is_root() || owners.iter().any(|(owner, ..)| owner.as_ref().is_at_or_below(n))
        };
        let rule = |n: NameRef<'_>, below: bool| {
            let found = owners.iter().find(|(owner, w, _)| owner.as_ref() == n && *w == below);
            found.map(|(.., action)| action.clone())
        };
        if exists(asked.as_ref()) {
            return rule(asked.as_ref(), false);
        }
        let encloser = asked.as_ref().ancestors().find(|n| exists(*n))?;
        rule(encloser, true)
    }

    proptest! {
        /// Names under an amendment get its effect, all others keep theirs.
        #[test]
        fn nothing_else_changes(
            rules in proptest::collection::vec(("(\\*\\.)?([ab]\\.){0,3}t", 0usize..2), 0..8),
            passed in proptest::collection::vec("(\\*\\.)?([ab]\\.){0,3}t", 0..4),
            kept in "([ab]\\.){0,3}t",
            asked in proptest::collection::vec("([abc]\\.){0,5}t", 1..20),
        ) {
            let actions = [Action::NxDomain, Action::NoData];
            let mut rules: Vec<(&str, Action)> =
                rules.iter().map(|(text, at)| (text.as_str(), actions[*at].clone())).collect();
            rules.sort();
            rules.dedup_by(|a, b| a.0 == b.0);
            let before = zone(&rules);
            let mut amendment = Amendment::default();
            let effect = Effect { action: Action::Passthru, ttl: 60 };
            for text in &passed {
                amendment.hold(&Trigger::QueryName(pattern(text)), effect.clone());
            }
            // Below this name, all but what is passed in its own right stays as it was.
            let kept = NamePattern::below(name(&kept));
            let closer = |p: &NamePattern| p.name.as_ref().is_at_or_below(kept.name.as_ref());
            let is_kept = !passed.iter().any(|text| closer(&pattern(text)));
            if is_kept {
                amendment.keep(&Trigger::QueryName(kept.clone()));
            }
            let after = before.amended(&amendment);
            for text in &asked {
                let asked = name(text);
                let takes_in = passed.iter().map(|text| pattern(text)).any(|p| match p.wildcard {
                    true => asked != p.name && asked.as_ref().is_at_or_below(p.name.as_ref()),
                    false => asked == p.name,
                });
                let under = asked != kept.name && closer(&NamePattern::exact(asked.clone()));
                let expected = match takes_in && !(is_kept && under) {
                    true => Some(Action::Passthru),
                    false => plain(&before, &asked),
                };
                prop_assert_eq!(plain(&after, &asked), expected, "{}", text);
            }
        }
    }
}

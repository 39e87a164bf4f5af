//! Zones made of millions of names, each meant with all that lies below it.
//!
//! A list says "this name and below". A zone says it with two rules, `name` and `*.name`, and reads
//! wildcards as DNS does (RFC 4592): `*.name` speaks for a name only where nothing that exists lies
//! between them, and every owner makes itself and all its ancestors exist. So `good.b.bad.example`
//! would take all of `b.bad.example` out of the reach of `*.bad.example`. [`DomainZone`] writes a
//! zone whose verdict for every name is that of the closest listed ancestor-or-self:
//!
//! - a name that its ancestor's rules cover with the same action is left out,
//! - where a deeper name has another action, the names between get rules with the ancestor's.
//!
//! Resolvers that ignore existence and take the nearest wildcard (PowerDNS, Knot) then come to the
//! same verdict. What the policy allows goes over everything: its PASSTHRU rules are copied in and
//! what lies under them is left out, so that the zone is safe where it is loaded alone.

use crate::model::name::WIRE_OCTETS_MAX;
use crate::model::{Action, NameRef, Network, Rule, Trigger};
use crate::zone::{Effect, Zone, ZoneBuilder};

use super::protect::{Allowed, AllowedName};

/// How long a synthesised answer may be kept, in seconds (SCORING 2.9: 60 s).
pub const RULE_TTL_SECONDS: u32 = 60;

/// A generated zone while it is written.
pub struct DomainZone<'a> {
    builder: ZoneBuilder,
    /// By their numbers in the builder.
    effects: Vec<Effect>,
    passthru: u32,
    allowed: &'a [AllowedName],
    allowed_networks: &'a [Network],
    networks: Vec<(Network, u32)>,
    /// The last name on the stack, whose beginnings are the others.
    path: Vec<u8>,
    stack: Vec<Cover>,
    summary: Summary,
}

/// What became of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// Names and networks that were given.
    pub given: usize,
    /// Those that an ancestor with the same action covers.
    pub covered: usize,
    /// Those that the policy lets through.
    pub allowed: usize,
    /// Names that had to be added between a name and its ancestor with another action.
    pub between: usize,
}

/// What holds below a name.
#[derive(Clone, Copy)]
struct Cover {
    /// Octets of the name's lookup form.
    length: usize,
    /// Everything below is let through.
    allowed: bool,
    /// The effect of the closest listed name.
    listed: Option<u32>,
    /// The zone has rules at this name.
    written: bool,
}

/// What is said of one name: for itself and for all below it.
#[derive(Clone, Copy, Default)]
struct Said {
    allowed: (bool, bool),
    listed: (Option<u32>, Option<u32>),
}

impl<'a> DomainZone<'a> {
    /// An empty zone in which `allowed` is let through. The builder has no rules yet.
    pub fn new(builder: ZoneBuilder, allowed: &'a Allowed) -> Self {
        let mut zone = Self {
            builder,
            effects: Vec::new(),
            passthru: 0,
            allowed: allowed.names(),
            allowed_networks: allowed.networks(),
            networks: Vec::new(),
            path: Vec::new(),
            stack: Vec::new(),
            summary: Summary::default(),
        };
        zone.passthru = zone.action(Action::Passthru);
        zone
    }

    /// The number of an action with the usual TTL, for [`DomainZone::push`].
    pub fn action(&mut self, action: Action) -> u32 {
        self.effect(Effect { action, ttl: RULE_TTL_SECONDS })
    }

    /// The number of an effect, for [`DomainZone::push`].
    pub fn effect(&mut self, effect: Effect) -> u32 {
        let number = self.builder.effect(effect.clone());
        if number as usize == self.effects.len() {
            self.effects.push(effect);
        }
        number
    }

    /// Takes a name that is meant with all below it. Names come in strictly ascending order.
    pub fn push(&mut self, name: NameRef<'_>, effect: u32) {
        self.push_rules(name, Some(effect), Some(effect));
    }

    /// Takes a name with separate effects for itself and for all below it, where there are any.
    /// Names come in strictly ascending order.
    pub fn push_rules(&mut self, name: NameRef<'_>, exact: Option<u32>, below: Option<u32>) {
        self.summary.given += 1;
        let mut said = Said { listed: (exact, below), ..Said::default() };
        while let Some((next, rest)) = self.allowed.split_first() {
            if next.name.as_ref() > name {
                break;
            }
            self.allowed = rest;
            if next.name.as_ref() == name {
                said.allowed = (next.itself, next.below);
                break;
            }
            self.place(next.name.as_ref(), Said::of(next));
        }
        self.place(name, said);
    }

    /// Takes a network whose addresses are meant where they stand in answers.
    pub fn push_network(&mut self, network: Network, effect: u32) {
        self.summary.given += 1;
        match self.allowed_networks.iter().any(|allowed| allowed.covers(network)) {
            true => self.summary.allowed += 1,
            false => self.networks.push((network, effect)),
        }
    }

    /// Takes a rule as it is. Query names and answer addresses have methods of their own.
    pub fn insert(&mut self, rule: Rule) {
        let own = matches!(rule.trigger, Trigger::QueryName(_) | Trigger::AnswerAddress(_));
        assert!(!own, "query names and answer addresses are pushed");
        self.builder.insert(rule);
    }

    /// The zone, and what became of the names.
    pub fn finish(mut self) -> (Zone, Summary) {
        for next in self.allowed {
            self.place(next.name.as_ref(), Said::of(next));
        }
        self.write_networks();
        let (zone, conflicts) = self.builder.finish();
        debug_assert!(conflicts.is_empty(), "{conflicts:?}");
        (zone, self.summary)
    }

    fn effect_of(&self, allowed: bool, listed: Option<u32>) -> Option<u32> {
        if allowed { Some(self.passthru) } else { listed }
    }

    /// Writes what is said of a name, as far as it differs from what holds there anyway.
    fn place(&mut self, name: NameRef<'_>, said: Said) {
        let key = name.key();
        let shared = self.path.iter().zip(key).take_while(|(a, b)| a == b).count();
        while self.stack.last().is_some_and(|cover| cover.length > shared) {
            self.stack.pop();
        }
        let above = self.stack.last().copied().unwrap_or(Cover {
            length: 0,
            allowed: false,
            listed: None,
            written: false,
        });
        let here = Cover {
            length: key.len(),
            allowed: above.allowed || said.allowed.1,
            listed: said.listed.1.or(above.listed),
            written: true,
        };
        let inherited = self.effect_of(above.allowed, above.listed);
        let itself =
            self.effect_of(above.allowed || said.allowed.0, said.listed.0.or(above.listed));
        let below = self.effect_of(here.allowed, here.listed);

        let nothing_new = itself == inherited && below == inherited;
        if said.listed != (None, None) {
            let allowed = above.allowed || said.allowed == (true, true);
            self.summary.allowed += usize::from(allowed);
            self.summary.covered += usize::from(!allowed && nothing_new);
        }
        if nothing_new && (here.allowed, here.listed) == (above.allowed, above.listed) {
            return;
        }
        if !nothing_new {
            self.write_between(key, above, inherited);
            self.write(name, itself, below);
        }
        self.path.clear();
        self.path.extend_from_slice(key);
        self.stack.push(Cover { written: !nothing_new, ..here });
    }

    /// Gives the names between the last one with rules and `key`, which come into existence with
    /// it, the effect that holds there.
    fn write_between(&mut self, key: &[u8], above: Cover, inherited: Option<u32>) {
        if inherited.is_none() {
            return;
        }
        let written = self.stack.iter().rev().find(|cover| cover.written);
        let from = written.map_or(0, |cover| cover.length);
        let ends = (from..key.len().saturating_sub(1)).filter(|at| key[*at] == 0);
        for end in ends {
            let name = NameRef::from_key(&key[..=end]);
            self.write(name, inherited, inherited);
            self.stack.push(Cover { length: end + 1, written: true, ..above });
            self.summary.between += 1;
        }
    }

    fn write(&mut self, name: NameRef<'_>, itself: Option<u32>, below: Option<u32>) {
        // Where `*.name` is too long for a name, nothing can lie below.
        let room =
            name.key().len() + 3 <= WIRE_OCTETS_MAX || name.wire_octets() + 2 <= WIRE_OCTETS_MAX;
        self.builder.push_sorted(name, itself, below.filter(|_| room));
    }

    /// Writes the networks, less those that a wider one with the same effect covers.
    fn write_networks(&mut self) {
        let passthru = self.passthru;
        let mut networks = std::mem::take(&mut self.networks);
        networks.extend(self.allowed_networks.iter().map(|network| (*network, passthru)));
        networks.sort_by_key(|(network, effect)| (*network, *effect != passthru));
        networks.dedup_by_key(|(network, _)| *network);
        let mut holding: Vec<(Network, u32)> = Vec::new();
        for (network, effect) in networks {
            holding.retain(|(outer, _)| outer.covers(network));
            if holding.last().is_some_and(|(_, outer)| *outer == effect) {
                self.summary.covered += usize::from(effect != passthru);
                continue;
            }
            holding.push((network, effect));
            let Effect { action, ttl } = self.effects[effect as usize].clone();
            self.builder.insert(Rule { trigger: Trigger::AnswerAddress(network), action, ttl });
        }
    }
}

impl Said {
    fn of(allowed: &AllowedName) -> Self {
        Self { allowed: (allowed.itself, allowed.below), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::*;
    use crate::model::{Name, NamePattern};
    use crate::policy::protect::Allowed;
    use crate::zone::{Serial, Soa};
    use proptest::prelude::*;

    /// What is listed at a name: the number of an action for itself and for all below.
    type Listed = BTreeMap<Name, (Option<u32>, Option<u32>)>;

    const ACTIONS: [Action; 2] = [Action::NxDomain, Action::NoData];

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    fn compile(listed: &Listed, allowed: &Allowed) -> (Zone, Summary) {
        let builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(1)), 7);
        let mut zone = DomainZone::new(builder, allowed);
        let numbers = ACTIONS.map(|action| zone.action(action));
        let number = |at: Option<u32>| at.map(|at| numbers[at as usize]);
        for (name, (itself, below)) in listed {
            zone.push_rules(name.as_ref(), number(*itself), number(*below));
        }
        zone.finish()
    }

    fn shown(listed: &[(&str, u32)], allowed: &[&str]) -> (Vec<String>, Summary) {
        let listed = listed.iter().map(|(text, at)| (name(text), (Some(*at), Some(*at))));
        let allowed = allowed.iter().map(|text| (name(text), (true, true)));
        let allowed = Allowed::new(allowed.collect(), Vec::new());
        let (zone, summary) = compile(&listed.collect(), &allowed);
        let shown = |rule: Rule| match rule.trigger {
            Trigger::QueryName(pattern) => format!("{pattern} {}", rule.action.as_str()),
            other => format!("{other:?}"),
        };
        (zone.rules().map(shown).collect(), summary)
    }

    #[test]
    fn what_an_ancestor_says_is_not_said_again() {
        let (rules, summary) = shown(
            &[("bad.test", 0), ("a.bad.test", 0), ("x.a.bad.test", 0), ("worse.test", 0)],
            &[],
        );
        let expected = [
            "bad.test nxdomain",
            "*.bad.test nxdomain",
            "worse.test nxdomain",
            "*.worse.test nxdomain",
        ];
        assert_eq!(rules, expected);
        assert_eq!(summary, Summary { given: 4, covered: 2, ..Summary::default() });
    }

    #[test]
    fn names_between_two_actions_get_the_upper_one() {
        let (rules, summary) = shown(&[("bad.test", 0), ("x.b.bad.test", 1)], &[]);
        assert_eq!(
            rules,
            [
                "bad.test nxdomain",
                "*.bad.test nxdomain",
                "b.bad.test nxdomain",
                "*.b.bad.test nxdomain",
                "x.b.bad.test nodata",
                "*.x.b.bad.test nodata",
            ]
        );
        assert_eq!(summary.between, 1);
    }

    #[test]
    fn what_is_allowed_is_copied_in_and_takes_out_what_lies_under_it() {
        let (rules, summary) = shown(
            &[("bad.test", 0), ("x.good.bad.test", 0), ("good.test", 1), ("x.good.test", 1)],
            &["good.test", "good.bad.test"],
        );
        assert_eq!(
            rules,
            [
                "bad.test nxdomain",
                "*.bad.test nxdomain",
                "good.bad.test passthru",
                "*.good.bad.test passthru",
                "good.test passthru",
                "*.good.test passthru",
            ]
        );
        assert_eq!(summary, Summary { given: 4, allowed: 3, ..Summary::default() });
    }

    #[test]
    fn networks_follow_the_longest_prefix() {
        let net = |text| Network::parse_strict(text).unwrap();
        let allowed = Allowed::new(BTreeMap::new(), vec![net("192.0.2.128/25"), net("10.0.0.0/8")]);
        let builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(1)), 7);
        let mut zone = DomainZone::new(builder, &allowed);
        let block = zone.action(Action::NxDomain);
        for network in ["192.0.2.0/24", "192.0.2.1", "192.0.2.200", "198.51.100.1"] {
            zone.push_network(net(network), block);
        }
        let (zone, summary) = zone.finish();
        let shown: Vec<String> = zone
            .rules()
            .map(|rule| match rule.trigger {
                Trigger::AnswerAddress(network) => format!("{network} {}", rule.action.as_str()),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(
            shown,
            [
                "10.0.0.0/8 passthru",
                "192.0.2.0/24 nxdomain",
                "192.0.2.128/25 passthru",
                "198.51.100.1 nxdomain"
            ]
        );
        assert_eq!(summary, Summary { given: 4, covered: 1, allowed: 1, between: 0 });
    }

    #[test]
    fn a_name_with_no_room_below_gets_one_rule() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "b".repeat(61));
        let longest = name(&longest);
        assert_eq!(longest.as_ref().wire_octets(), 255);
        let both = (Some(0), Some(0));
        let parent = longest.as_ref().parent().unwrap().to_owned();
        let (zone, _) = compile(&BTreeMap::from([(longest, both)]), &Allowed::default());
        assert_eq!(zone.len(), 1);
        let (zone, _) = compile(&BTreeMap::from([(parent, both)]), &Allowed::default());
        assert_eq!(zone.len(), 2);
    }

    /// The verdict that the lists mean.
    fn meant(
        listed: &Listed,
        allowed: &BTreeMap<Name, (bool, bool)>,
        asked: &Name,
    ) -> Option<Action> {
        let ancestors = || asked.as_ref().ancestors();
        let lets_through = |at: &NameRef<'_>| {
            let reaches = allowed.get(at.key()).copied().unwrap_or_default();
            if *at == asked.as_ref() { reaches.0 } else { reaches.1 }
        };
        if ancestors().any(|at| lets_through(&at)) {
            return Some(Action::Passthru);
        }
        let itself = listed.get(asked).and_then(|said| said.0);
        let below = || ancestors().skip(1).find_map(|at| listed.get(at.key())?.1);
        itself.or_else(below).map(|at| ACTIONS[at as usize].clone())
    }

    /// A plain reading of RFC 4592 section 3.3: an owner, else the wildcard at the closest
    /// encloser, where a name exists if it is an owner or an ancestor of one.
    struct Reading {
        rules: BTreeMap<NamePattern, Action>,
        existing: BTreeSet<Name>,
    }

    impl Reading {
        fn of(zone: &Zone) -> Self {
            let rules: BTreeMap<NamePattern, Action> = zone
                .rules()
                .filter_map(|rule| match rule.trigger {
                    Trigger::QueryName(pattern) => Some((pattern, rule.action)),
                    _ => None,
                })
                .collect();
            let ancestors = rules.keys().flat_map(|pattern| pattern.name.as_ref().ancestors());
            let existing = ancestors.map(NameRef::to_owned).collect();
            Self { rules, existing }
        }

        fn verdict(&self, asked: &Name) -> Option<Action> {
            if let Some(action) = self.rules.get(&NamePattern::exact(asked.clone())) {
                return Some(action.clone());
            }
            if self.existing.contains(asked) {
                return None;
            }
            let mut ancestors = asked.as_ref().ancestors().map(NameRef::to_owned);
            let encloser = ancestors.find(|at| self.existing.contains(at))?;
            self.rules.get(&NamePattern::below(encloser)).cloned()
        }

        /// The reading of resolvers that take the nearest wildcard, whatever exists.
        fn nearest_wildcard(&self, asked: &Name) -> Option<Action> {
            if let Some(action) = self.rules.get(&NamePattern::exact(asked.clone())) {
                return Some(action.clone());
            }
            let mut above = asked.as_ref().ancestors().skip(1);
            above.find_map(|at| self.rules.get(&NamePattern::below(at.to_owned()))).cloned()
        }
    }

    fn any_name() -> impl Strategy<Value = Name> {
        proptest::collection::vec("[ab]", 0..5).prop_map(|labels| match labels.is_empty() {
            true => Name::root(),
            false => name(&labels.join(".")),
        })
    }

    /// All names of up to five labels `a` and `b`.
    fn all_names() -> Vec<Name> {
        let mut names = vec![Name::root()];
        let mut last = names.clone();
        for _ in 0..5 {
            last = last.iter().flat_map(|n| [b"a", b"b"].map(|l| n.child(l).unwrap())).collect();
            names.extend(last.iter().cloned());
        }
        names
    }

    fn number() -> impl Strategy<Value = Option<u32>> {
        proptest::option::weighted(0.8, 0u32..2)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn the_zone_says_of_every_name_what_the_lists_mean(
            listed in proptest::collection::btree_map(any_name(), (number(), number()), 0..8),
            allowed in proptest::collection::btree_map(any_name(), any::<(bool, bool)>(), 0..4),
        ) {
            let (zone, _) = compile(&listed, &Allowed::new(allowed.clone(), Vec::new()));
            let reading = Reading::of(&zone);
            for asked in all_names() {
                let expected = meant(&listed, &allowed, &asked);
                prop_assert_eq!(reading.verdict(&asked), expected.clone(), "{}", asked);
                prop_assert_eq!(reading.nearest_wildcard(&asked), expected, "{}", asked);
            }
        }

        #[test]
        fn a_zone_that_is_protected_later_says_the_same(
            listed in proptest::collection::btree_map(any_name(), (number(), number()), 0..8),
            allowed in proptest::collection::btree_map(any_name(), any::<(bool, bool)>(), 0..4),
        ) {
            let allowed = Allowed::new(allowed, Vec::new());
            let (at_once, _) = compile(&listed, &allowed);
            let (bare, _) = compile(&listed, &Allowed::default());
            prop_assert_eq!(
                allowed.protect(&bare, 7).rules().collect::<Vec<_>>(),
                at_once.rules().collect::<Vec<_>>()
            );
        }
    }
}

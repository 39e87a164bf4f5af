//! A zone as a consumer takes it.
//!
//! What the consumer lacks is left out and counted. An action that it lacks becomes NXDOMAIN where
//! it blocks, so that nothing bad comes through that would not otherwise. Where a consumer cannot
//! let anything through, no rule stays that would block a name for which the zone has an exception.

use std::collections::BTreeMap;

use super::Profile;
use crate::model::{Action, NameRef, TriggerKind};
use crate::zone::build::EffectMap;
use crate::zone::record::{Encoder, Unwritable, rdata};
use crate::zone::walk::Subject;
use crate::zone::{Effect, TriggerRef, Zone, ZoneBuilder};

/// Why a rule is not in what a consumer gets, or is there in another form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// The consumer has no such trigger.
    Trigger,
    /// The consumer cannot let anything through, or not send a client to TCP.
    Action,
    /// The rule would block a name that the zone lets through, and the consumer cannot let it.
    Exception,
    /// The rule is for a name alone, and the consumer would take in all below it.
    Subtree,
    /// The owner is too long with the zone's name, or the rule has no form as records.
    Unwritable,
    /// A rule for all names there are.
    Root,
    /// Another action: NXDOMAIN for an alias or silence, or local data less a type.
    Replaced,
}

impl Loss {
    /// What became of the rule, in words that follow a number.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Trigger => "left out: the consumer has no such trigger",
            Self::Action => "left out: the consumer has no such action",
            Self::Exception => "left out: it would block what an exception lets through",
            Self::Subtree => "left out: it would take in all names below",
            Self::Unwritable => "left out: too long, or without a form as records",
            Self::Root => "left out: it is for all names there are",
            Self::Replaced => "with another action",
        }
    }
}

/// How many rules were lost, by reason.
pub type Losses = BTreeMap<Loss, usize>;

/// What an operator may ask for beside the profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FitOptions {
    /// Keeps rules for all names there are.
    pub root_rules: bool,
}

/// What becomes of a rule.
enum Treatment {
    Keep,
    Replace(Action),
    Lose(Loss),
}

/// Makes of a zone what a consumer takes.
pub fn fit(zone: &Zone, profile: &Profile, options: FitOptions) -> (Zone, Losses) {
    let bounded = zone.with_effects(|effect| effect.within(profile.ttl.0, profile.ttl.1));
    let mut fitter = Fitter {
        profile,
        options,
        losses: Losses::new(),
        exceptions: exceptions(&bounded, profile),
        encoder: Encoder::new(bounded.origin()),
        builder: ZoneBuilder::with_seed(bounded.origin().to_owned(), bounded.soa().clone(), None),
        map: EffectMap::new(&bounded),
        zone: &bounded,
    };
    for kind in TriggerKind::ALL {
        match bounded.name_table(kind) {
            Some(_) => fitter.names(kind),
            None => fitter.networks(kind),
        }
    }
    let Fitter { builder, losses, .. } = fitter;
    (builder.finish().0, losses)
}

/// Names that a consumer without exceptions must not block, sorted.
fn exceptions(zone: &Zone, profile: &Profile) -> Vec<Vec<u8>> {
    let mut names = Vec::new();
    let passes = |effect: Option<&Effect>| effect.is_some_and(|e| e.action == Action::Passthru);
    if profile.passthru || !zone.effects().iter().any(|effect| passes(Some(effect))) {
        return names;
    }
    let mut cursor = zone.query_names().iter();
    while let Some((name, payload)) = cursor.next() {
        let effects = zone.effects_of(payload);
        if passes(effects.exact) || passes(effects.below) {
            names.push(name.key().to_vec());
        }
    }
    names
}

struct Fitter<'z> {
    profile: &'z Profile,
    options: FitOptions,
    losses: Losses,
    exceptions: Vec<Vec<u8>>,
    encoder: Encoder<'z>,
    builder: ZoneBuilder,
    map: EffectMap<'z>,
    zone: &'z Zone,
}

impl<'z> Fitter<'z> {
    fn names(&mut self, kind: TriggerKind) {
        let zone = self.zone;
        let table = zone.name_table(kind).expect("a kind of names");
        let mut cursor = table.iter();
        while let Some((name, payload)) = cursor.next() {
            let effects = zone.effects_of(payload);
            let alone = effects.exact != effects.below;
            let both = [(effects.exact, false), (effects.below, true)];
            let numbers = both.map(|(effect, wildcard)| {
                let trigger = TriggerRef::Name { kind, name, wildcard };
                self.rule(trigger, effect?, alone && !wildcard)
            });
            self.builder.push_subject(kind, Subject::Name(name), numbers);
        }
    }

    fn networks(&mut self, kind: TriggerKind) {
        let zone = self.zone;
        for (network, number) in zone.networks(kind) {
            let trigger = TriggerRef::Network { kind, network: *network };
            let number = self.rule(trigger, &zone.effects()[*number as usize], false);
            self.builder.push_subject(kind, Subject::Network(*network), [number, None]);
        }
    }

    /// The number of the rule's effect, if it stays.
    fn rule(&mut self, trigger: TriggerRef<'_>, effect: &'z Effect, alone: bool) -> Option<u32> {
        let treatment = self.treatment(trigger, effect, alone);
        let number = match treatment {
            Treatment::Lose(loss) => {
                *self.losses.entry(loss).or_default() += 1;
                return None;
            }
            Treatment::Keep => {
                let effects = self.zone.effects();
                let at = effects.iter().position(|held| std::ptr::eq(held, effect))?;
                self.map.number(u32::try_from(at).ok()? + 1, &mut self.builder)?
            }
            Treatment::Replace(action) => {
                *self.losses.entry(Loss::Replaced).or_default() += 1;
                let ttl = effect.ttl.clamp(self.profile.ttl.0, self.profile.ttl.1);
                self.builder.effect(Effect { action, ttl })
            }
        };
        Some(number)
    }

    fn treatment(&mut self, trigger: TriggerRef<'_>, effect: &'z Effect, alone: bool) -> Treatment {
        let (profile, kind) = (self.profile, trigger.kind());
        if !profile.has(kind) {
            return Treatment::Lose(Loss::Trigger);
        }
        match self.encoder.take(trigger, effect) {
            Err(Unwritable::RootName) => return Treatment::Lose(Loss::Root),
            Err(_) => return Treatment::Lose(Loss::Unwritable),
            Ok(()) => {}
        }
        let blocks = effect.action != Action::Passthru;
        if let TriggerRef::Name { kind: TriggerKind::QueryName, name, .. } = trigger
            && blocks
        {
            if name.is_root() && !self.options.root_rules {
                return Treatment::Lose(Loss::Root);
            }
            if self.has_exception_below(name) {
                return Treatment::Lose(Loss::Exception);
            }
            // Local data is for the name alone everywhere.
            let data = matches!(effect.action, Action::Data(_));
            if profile.takes_subtree && alone && !data {
                return Treatment::Lose(Loss::Subtree);
            }
        }
        self.action(kind, &effect.action)
    }

    fn action(&self, kind: TriggerKind, action: &Action) -> Treatment {
        let profile = self.profile;
        match action {
            Action::Passthru if !profile.passthru => Treatment::Lose(Loss::Action),
            Action::TcpOnly if !profile.tcp_only.contains(&kind) => Treatment::Lose(Loss::Action),
            Action::Drop if !profile.drop => Treatment::Replace(Action::NxDomain),
            Action::Redirect(_) if !profile.redirect => Treatment::Replace(Action::NxDomain),
            Action::RedirectBelow(_) if !profile.redirect || !profile.expands.contains(&kind) => {
                Treatment::Replace(Action::NxDomain)
            }
            Action::Data(sets) if !profile.unknown_types => {
                let known: Vec<_> =
                    sets.iter().filter(|set| rdata::has_text(set.rtype)).cloned().collect();
                match known.len() {
                    all if all == sets.len() => Treatment::Keep,
                    0 => Treatment::Replace(Action::NoData),
                    _ => Treatment::Replace(Action::Data(known.into())),
                }
            }
            _ => Treatment::Keep,
        }
    }

    fn has_exception_below(&self, name: NameRef<'_>) -> bool {
        let at = self.exceptions.partition_point(|held| &held[..] < name.key());
        self.exceptions.get(at).is_some_and(|held| held.starts_with(name.key()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Name, NamePattern, Network, RrSet, Rule, Trigger};
    use crate::zone::{Serial, Soa};

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    fn qname(text: &str) -> Trigger {
        Trigger::QueryName(match text.strip_prefix("*.") {
            Some(parent) => NamePattern::below(name(parent)),
            None => NamePattern::exact(name(text)),
        })
    }

    fn fitted(rules: &[(Trigger, Action)], profile: &str) -> (Vec<String>, Vec<(Loss, usize)>) {
        let mut builder = ZoneBuilder::new(name("t.rpz"), Soa::ours(Serial(1)), 7);
        for (trigger, action) in rules {
            let (trigger, action) = (trigger.clone(), action.clone());
            builder.insert(Rule { trigger, action, ttl: 600 });
        }
        let profile = Profile::named(profile).unwrap();
        let (zone, losses) = fit(&builder.finish().0, profile, FitOptions::default());
        let shown = |rule: Rule| {
            let subject = match rule.trigger {
                Trigger::QueryName(pattern) => pattern.to_string(),
                other => other.kind().as_str().to_owned(),
            };
            format!("{subject} {} {}", rule.action.as_str(), rule.ttl)
        };
        (zone.rules().map(shown).collect(), losses.into_iter().collect())
    }

    #[test]
    fn what_a_consumer_lacks_is_left_out_and_counted() {
        let net = Network::parse_strict("192.0.2.0/24").unwrap();
        let rules = [
            (Trigger::ClientAddress(net), Action::Drop),
            (qname("bad.test"), Action::NxDomain),
            (qname("*.bad.test"), Action::NxDomain),
            (Trigger::AnswerAddress(net), Action::RedirectBelow(name("g.test"))),
            (Trigger::NameserverName(NamePattern::exact(name("ns.test"))), Action::TcpOnly),
        ];
        let all = ["client-ip drop 60", "bad.test nxdomain 60", "*.bad.test nxdomain 60"];
        assert_eq!(
            fitted(&rules, "bind").0,
            [&all[..], &["ip cname 60", "nsdname tcp-only 60"]].concat()
        );
        assert_eq!(
            fitted(&rules, "unbound"),
            (
                [&all[..], &["ip nxdomain 60"]].concat().into_iter().map(str::to_owned).collect(),
                vec![(Loss::Action, 1), (Loss::Replaced, 1)]
            )
        );
        assert_eq!(
            fitted(&rules, "knot"),
            (all[1..].iter().map(|s| (*s).to_owned()).collect(), vec![(Loss::Trigger, 3)])
        );
    }

    #[test]
    fn a_consumer_without_exceptions_blocks_nothing_that_one_lets_through() {
        let rules = [
            (qname("bad.test"), Action::NxDomain),
            (qname("*.bad.test"), Action::NxDomain),
            (qname("good.bad.test"), Action::Passthru),
            (qname("only.test"), Action::NxDomain),
            (qname("worse.test"), Action::Drop),
            (qname("*.worse.test"), Action::Drop),
        ];
        let (kept, losses) = fitted(&rules, "knot");
        assert_eq!(kept, ["worse.test nxdomain 60", "*.worse.test nxdomain 60"]);
        assert_eq!(
            losses,
            [(Loss::Action, 1), (Loss::Exception, 2), (Loss::Subtree, 1), (Loss::Replaced, 2)]
        );
        assert_eq!(fitted(&rules, "knot-5").0.len(), 6);
    }

    #[test]
    fn owners_that_are_too_long_and_rules_for_everything_are_left_out() {
        let long = format!("{}aaaaaaa", "a.".repeat(121));
        let rules = [
            (qname(&long), Action::NxDomain),
            (Trigger::QueryName(NamePattern::below(Name::root())), Action::NxDomain),
        ];
        let rules = [&rules[..], &[(qname("ok.test"), Action::NxDomain)]].concat();
        assert_eq!(
            fitted(&rules, "generic"),
            (vec!["ok.test nxdomain 60".to_owned()], vec![(Loss::Unwritable, 1), (Loss::Root, 1)])
        );
    }

    #[test]
    fn local_data_of_unknown_types_is_taken_out() {
        let set = |rtype| RrSet { rtype, ttl: 60, rdata: vec![[192, 0, 2, 1].into()] };
        let data = |types: &[u16]| Action::Data(types.iter().map(|t| set(*t)).collect());
        let rules = [(qname("a.test"), data(&[1, 65_280])), (qname("b.test"), data(&[65_280]))];
        let (kept, losses) = fitted(&rules, "pdns-recursor");
        assert_eq!(kept, ["a.test local-data 60", "b.test nodata 60"]);
        assert_eq!(losses, [(Loss::Replaced, 2)]);
    }
}

//! The change from one version of a zone to the next.
//!
//! A [`Delta`] is two small zones: the rules that go, under the old start of authority, and the
//! rules that come, under the new one. So it is as compact as a zone, is walked and written like
//! one, and a transfer sends it as it lies (RFC 1995 section 4).

use std::collections::HashMap;

use super::build::EffectMap;
use super::walk::Merge;
use super::{Effect, Serial, Soa, Zone, ZoneBuilder};
use crate::model::{Name, Trigger};

/// What changes between two versions of a zone. A rule with another effect goes and comes.
#[derive(Clone, Debug)]
pub struct Delta {
    removed: Zone,
    added: Zone,
}

/// Why a delta does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// It is for a zone of another name.
    #[error("a change of the zone `{expected}.` cannot be made to `{found}.`")]
    Origin {
        /// The zone that it changes.
        expected: Name,
        /// The zone that it was given.
        found: Name,
    },
    /// It starts from another version.
    #[error("a change from serial {expected} cannot be made to serial {found}")]
    Serial {
        /// The version that it starts from.
        expected: Serial,
        /// The version that it was given.
        found: Serial,
    },
    /// A rule that goes is not there, or one that comes is there already.
    #[error("the change does not fit the rule for {0:?}")]
    Inexact(Trigger),
}

impl Delta {
    /// The change from one version to another, found by walking both side by side.
    pub fn between(old: &Zone, new: &Zone) -> Delta {
        let mut writer = Writer::new(new.origin().to_owned(), old.soa(), new.soa());
        let (mut old_map, mut new_map) = (EffectMap::new(old), EffectMap::new(new));
        let same = same_effects(old, new);
        let mut merge = Merge::new([old, new]);
        while let Some([before, after]) = merge.advance() {
            if before.map(|number| same[number as usize]) == after {
                continue;
            }
            let (mut gone, mut come) = ([None; 2], [None; 2]);
            for at in 0..2 {
                if same[before[at] as usize] != after[at] {
                    gone[at] = old_map.number(before[at], &mut writer.removed);
                    come[at] = new_map.number(after[at], &mut writer.added);
                }
            }
            let (kind, subject) = merge.subject();
            writer.removed.push_subject(kind, subject, gone);
            writer.added.push_subject(kind, subject, come);
        }
        writer.finish()
    }

    /// The serial that it starts from.
    pub fn from(&self) -> Serial {
        self.removed.soa().serial
    }

    /// The serial that it leads to.
    pub fn to(&self) -> Serial {
        self.added.soa().serial
    }

    /// The rules that go, as a zone with the old start of authority.
    pub fn removed(&self) -> &Zone {
        &self.removed
    }

    /// The rules that come, as a zone with the new start of authority.
    pub fn added(&self) -> &Zone {
        &self.added
    }

    /// How many rules go and come.
    pub fn len(&self) -> usize {
        self.removed.len() + self.added.len()
    }

    /// Whether no rule goes or comes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The octets that it occupies.
    pub fn size_octets(&self) -> usize {
        self.removed.size_octets() + self.added.size_octets()
    }

    /// The same rules under another new start of authority.
    pub(super) fn with_new_soa(self, soa: Soa) -> Delta {
        Delta { added: self.added.with_soa(soa), ..self }
    }

    /// The change back.
    pub fn inverse(&self) -> Delta {
        Delta { removed: self.added.clone(), added: self.removed.clone() }
    }

    /// A change of these two, such as were read back from where they were kept; none where they
    /// are not of one zone.
    pub fn of(removed: Zone, added: Zone) -> Option<Delta> {
        (removed.origin() == added.origin()).then_some(Delta { removed, added })
    }

    /// The next version of a zone. The seed keys its hash tables.
    pub fn apply(&self, zone: &Zone, hash_seed: u64) -> Result<Zone, DeltaError> {
        self.check_start(zone.origin().to_owned(), zone.soa().serial)?;
        let zones = [zone, &self.removed, &self.added];
        let soa = self.added.soa().clone();
        let mut builder = ZoneBuilder::new(zone.origin().to_owned(), soa, hash_seed);
        let mut maps = zones.map(EffectMap::new);
        let same = same_effects(zone, &self.removed);
        let mut merge = Merge::new(zones);
        while let Some([held, gone, come]) = merge.advance() {
            let (kind, subject) = merge.subject();
            let mut effects = [None; 2];
            for at in 0..2 {
                let fits = match (gone[at], come[at]) {
                    (0, 0) => true,
                    (0, _) => held[at] == 0,
                    (number, _) => same[held[at] as usize] == number,
                };
                if !fits {
                    return Err(DeltaError::Inexact(subject.trigger(kind, at == 1).to_owned()));
                }
                effects[at] = match (gone[at], come[at]) {
                    (0, 0) => maps[0].number(held[at], &mut builder),
                    (_, number) => maps[2].number(number, &mut builder),
                };
            }
            builder.push_subject(kind, subject, effects);
        }
        Ok(builder.finish().0)
    }

    /// This change and the next as one (RFC 1995 section 5): what comes and goes again is in
    /// neither.
    pub fn then(&self, next: &Delta) -> Result<Delta, DeltaError> {
        next.check_start(self.added.origin().to_owned(), self.to())?;
        let zones = [&self.removed, &self.added, &next.removed, &next.added];
        let origin = self.added.origin().to_owned();
        let mut writer = Writer::new(origin, self.removed.soa(), next.added.soa());
        let mut maps = zones.map(EffectMap::new);
        let effect = |at: usize, number: u32| -> Option<&Effect> {
            zones[at].effects().get((number as usize).checked_sub(1)?)
        };
        let mut merge = Merge::new(zones);
        while let Some(numbers) = merge.advance() {
            let (kind, subject) = merge.subject();
            let (mut gone, mut come) = ([None; 2], [None; 2]);
            for at in 0..2 {
                let numbers = numbers.map(|numbers| numbers[at]);
                let steps = [0, 1, 2, 3].map(|step| effect(step, numbers[step]));
                let Some((before, after)) = condense(steps) else {
                    return Err(DeltaError::Inexact(subject.trigger(kind, at == 1).to_owned()));
                };
                let same = match (before, after) {
                    (Some(before), Some(after)) => steps[before] == steps[after],
                    (None, None) => true,
                    _ => false,
                };
                if !same {
                    gone[at] = before
                        .and_then(|step| maps[step].number(numbers[step], &mut writer.removed));
                    come[at] =
                        after.and_then(|step| maps[step].number(numbers[step], &mut writer.added));
                }
            }
            writer.removed.push_subject(kind, subject, gone);
            writer.added.push_subject(kind, subject, come);
        }
        Ok(writer.finish())
    }

    fn check_start(&self, found: Name, serial: Serial) -> Result<(), DeltaError> {
        if self.removed.origin() != found.as_ref() {
            let expected = self.removed.origin().to_owned();
            return Err(DeltaError::Origin { expected, found });
        }
        match self.from() == serial {
            true => Ok(()),
            false => Err(DeltaError::Serial { expected: self.from(), found: serial }),
        }
    }
}

/// Of the effects that went, came, went and came at one trigger: the positions of the one before
/// and the one after; none where the second change does not follow from the first.
fn condense(steps: [Option<&Effect>; 4]) -> Option<(Option<usize>, Option<usize>)> {
    let present = |at: usize| steps[at].is_some().then_some(at);
    let touched = steps[0].is_some() || steps[1].is_some();
    if touched && steps[1] != steps[2] && (steps[2].is_some() || steps[3].is_some()) {
        return None;
    }
    let before = if touched { present(0) } else { present(2) };
    let after = present(3).or(if steps[2].is_some() { None } else { present(1) });
    Some((before, after))
}

/// For each effect number plus one of the first zone the same effect's number plus one in the
/// second; one that no number equals where the second has no such effect. 0, none, is 0.
fn same_effects(first: &Zone, second: &Zone) -> Vec<u32> {
    let numbers: HashMap<&Effect, u32> = second.effects().iter().zip(1..).collect();
    let same = first.effects().iter().map(|effect| numbers.get(effect).copied());
    std::iter::once(0).chain(same.map(|number| number.unwrap_or(u32::MAX))).collect()
}

struct Writer {
    removed: ZoneBuilder,
    added: ZoneBuilder,
}

impl Writer {
    fn new(origin: Name, old: &Soa, new: &Soa) -> Self {
        Self {
            removed: ZoneBuilder::with_seed(origin.clone(), old.clone(), None),
            added: ZoneBuilder::with_seed(origin, new.clone(), None),
        }
    }

    fn finish(self) -> Delta {
        Delta { removed: self.removed.finish().0, added: self.added.finish().0 }
    }
}

/// The same rules between the same versions.
impl PartialEq for Delta {
    fn eq(&self, other: &Self) -> bool {
        let soas = |delta: &Delta| (delta.removed.soa().clone(), delta.added.soa().clone());
        soas(self) == soas(other)
            && self.removed.same_rules(&other.removed)
            && self.added.same_rules(&other.added)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, NamePattern, Network, Rule, TriggerKind};
    use proptest::prelude::*;

    fn zone(serial: u32, rules: &[Rule]) -> Zone {
        let origin = Name::from_presentation("rpz.test").unwrap();
        let mut builder = ZoneBuilder::new(origin, Soa::ours(Serial(serial)), 7);
        rules.iter().for_each(|rule| builder.insert(rule.clone()));
        builder.finish().0
    }

    fn query(text: &str, wildcard: bool, action: Action) -> Rule {
        let name = Name::from_presentation(text).unwrap();
        Rule { trigger: Trigger::QueryName(NamePattern { name, wildcard }), action, ttl: 60 }
    }

    #[test]
    fn a_delta_has_what_goes_and_what_comes() {
        let old = zone(
            1,
            &[
                query("a", false, Action::NxDomain),
                query("a", true, Action::NxDomain),
                query("b", false, Action::NxDomain),
                query("c", false, Action::Drop),
            ],
        );
        let new = zone(
            2,
            &[
                query("a", true, Action::NxDomain),
                query("b", false, Action::NoData),
                query("c", false, Action::Drop),
                query("d", false, Action::NxDomain),
            ],
        );
        let delta = Delta::between(&old, &new);
        let gone = [query("a", false, Action::NxDomain), query("b", false, Action::NxDomain)];
        let come = [query("b", false, Action::NoData), query("d", false, Action::NxDomain)];
        assert_eq!(delta.removed().rules().collect::<Vec<_>>(), gone);
        assert_eq!(delta.added().rules().collect::<Vec<_>>(), come);
        assert_eq!((delta.from(), delta.to(), delta.len()), (Serial(1), Serial(2), 4));
        assert!(delta.apply(&old, 7).unwrap().same_rules(&new));
        assert!(Delta::between(&new, &new).is_empty());
    }

    #[test]
    fn a_delta_is_refused_where_it_does_not_fit() {
        let old = zone(1, &[query("a", false, Action::NxDomain)]);
        let delta = Delta::between(&old, &zone(2, &[query("b", false, Action::NxDomain)]));
        let found = Serial(3);
        let refused = delta.apply(&zone(3, &[]), 7);
        assert_eq!(refused.unwrap_err(), DeltaError::Serial { expected: Serial(1), found });
        let inexact = |rules: &[Rule]| delta.apply(&zone(1, rules), 7).unwrap_err();
        let at = |rule: Rule| DeltaError::Inexact(rule.trigger);
        let a = query("a", false, Action::NxDomain);
        assert_eq!(inexact(&[]), at(a.clone()));
        assert_eq!(inexact(&[query("a", false, Action::NoData)]), at(a.clone()));
        let b = query("b", false, Action::NxDomain);
        assert_eq!(inexact(&[a, b.clone()]), at(b));
        assert_eq!(
            delta.then(&delta).unwrap_err(),
            DeltaError::Serial { expected: Serial(1), found: Serial(2) }
        );
        let other = old.with_origin(Name::root());
        assert!(matches!(delta.apply(&other, 7), Err(DeltaError::Origin { .. })));
    }

    fn any_rules() -> impl Strategy<Value = Vec<Rule>> {
        let rule = (0usize..5, 0u8..6, any::<bool>(), 0u8..3, 0u32..2).prop_map(
            |(kind, label, wildcard, action, ttl)| {
                let name = Name::from_presentation(&format!("n{label}.test")).unwrap();
                let pattern = NamePattern { name, wildcard };
                let network = Network::parse_strict(&format!("192.0.2.{label}")).unwrap();
                let trigger = match TriggerKind::ALL[kind] {
                    TriggerKind::QueryName => Trigger::QueryName(pattern),
                    TriggerKind::NameserverName => Trigger::NameserverName(pattern),
                    TriggerKind::ClientAddress => Trigger::ClientAddress(network),
                    TriggerKind::AnswerAddress => Trigger::AnswerAddress(network),
                    TriggerKind::NameserverAddress => Trigger::NameserverAddress(network),
                };
                let action =
                    [Action::NxDomain, Action::NoData, Action::Drop][action as usize].clone();
                Rule { trigger, action, ttl }
            },
        );
        proptest::collection::vec(rule, 0..30)
    }

    proptest! {
        #[test]
        fn one_delta_does_what_two_do(
            a in any_rules(),
            b in any_rules(),
            c in any_rules(),
        ) {
            let (a, b, c) = (zone(1, &a), zone(2, &b), zone(3, &c));
            let (first, second) = (Delta::between(&a, &b), Delta::between(&b, &c));
            let at_b = first.apply(&a, 7).unwrap();
            prop_assert!(at_b.same_rules(&b));
            prop_assert_eq!(at_b.soa(), b.soa());
            prop_assert!(second.apply(&at_b, 7).unwrap().same_rules(&c));
            prop_assert_eq!(first.then(&second).unwrap(), Delta::between(&a, &c));
            prop_assert_eq!(first.is_empty(), a.same_rules(&b));
        }
    }
}

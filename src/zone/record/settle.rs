//! Which rule the records at an owner make together, and what changes make of it.

use super::collect::{Change, Part};
use super::{Clash, ClashReason, Inexact, OWNER_RECORDS_MAX, action, rdata};
use crate::model::{Action, RrSet, Trigger, TriggerKind};
use crate::zone::build::EffectMap;
use crate::zone::walk::{Merge, Subject};
use crate::zone::{Effect, Zone, ZoneBuilder};

/// Goes through owners in order and decides what stands at each.
pub(super) struct Settler<'b, 'r> {
    builder: ZoneBuilder,
    parts: Vec<Part>,
    /// The effect that a part makes alone, once it did.
    numbers: Vec<Option<u32>>,
    base: Option<(&'b Zone, EffectMap<'b>)>,
    report: &'r mut dyn FnMut(Clash),
}

impl<'b, 'r> Settler<'b, 'r> {
    pub fn new(
        builder: ZoneBuilder,
        parts: Vec<Part>,
        base: Option<&'b Zone>,
        report: &'r mut dyn FnMut(Clash),
    ) -> Self {
        let base = base.map(|zone| (zone, EffectMap::new(zone)));
        Self { builder, numbers: vec![None; parts.len()], parts, base, report }
    }

    pub fn finish(self) -> Zone {
        let (zone, conflicts) = self.builder.finish();
        debug_assert!(conflicts.is_empty(), "subjects come once");
        zone
    }

    /// Takes all changes of a kind, in order of their subjects.
    pub fn settle<'c>(
        &mut self,
        kind: TriggerKind,
        changes: impl Iterator<Item = (Subject<'c>, Change)>,
    ) -> Result<(), Inexact> {
        let mut changes = changes.peekable();
        let mut base = self.base.as_ref().map(|(zone, _)| Merge::of_kind([*zone], kind));
        let mut held = base.as_mut().and_then(Merge::advance);
        let mut group = Vec::new();
        loop {
            let stands = base.as_ref().filter(|_| held.is_some()).map(|base| base.subject().1);
            let subject = match (stands, changes.peek()) {
                (None, None) => return Ok(()),
                (Some(stands), Some((subject, _))) => stands.min(*subject),
                (Some(subject), None) | (None, Some(&(subject, _))) => subject,
            };
            let numbers = match stands == Some(subject) {
                true => held.map_or([0; 2], |[numbers]| numbers),
                false => [0; 2],
            };
            group.clear();
            while let Some((_, change)) = changes.next_if(|(other, _)| *other == subject) {
                group.push(change);
            }
            let mut effects = [None; 2];
            for (below, effect) in [false, true].into_iter().zip(&mut effects) {
                let trigger = || subject.trigger(kind, below).to_owned();
                *effect = self.decide(numbers[usize::from(below)], &group, below, &trigger)?;
            }
            self.builder.push_subject(kind, subject, effects);
            if stands == Some(subject) {
                held = base.as_mut().and_then(Merge::advance);
            }
        }
    }

    /// The effect of one trigger: most often one record, or what the base had.
    fn decide(
        &mut self,
        number: u32,
        group: &[Change],
        below: bool,
        trigger: &dyn Fn() -> Trigger,
    ) -> Result<Option<u32>, Inexact> {
        let mut changes = group.iter().copied().filter(|c| c.is_for(below));
        let Some(first) = changes.clone().next() else {
            let base = self.base.as_mut();
            return Ok(base.and_then(|(_, map)| map.number(number, &mut self.builder)));
        };
        let part = first.part();
        if number == 0 && changes.all(|c| c.part() == part && !c.is_removal()) {
            if self.numbers[part].is_none() {
                let effect = effect_of(&mut [Held::of(&self.parts[part], 0)]);
                self.numbers[part] = effect.map(|effect| self.builder.effect(effect));
            }
            return Ok(self.numbers[part]);
        }
        let changes = group.iter().copied().filter(|c| c.is_for(below));
        let changes = changes.map(|change| (change, change.place(below)));
        let effect = self.weigh(number, changes, trigger)?;
        Ok(effect.map(|effect| self.builder.effect(effect)))
    }

    /// The effect of one trigger where several records have a say.
    fn weigh(
        &mut self,
        number: u32,
        changes: impl Iterator<Item = (Change, u32)>,
        trigger: &dyn Fn() -> Trigger,
    ) -> Result<Option<Effect>, Inexact> {
        let zone = self.base.as_ref().map(|(zone, _)| *zone);
        let base = zone.and_then(|zone| zone.effects().get((number as usize).checked_sub(1)?));
        let mut cname = Vec::new();
        let mut held = base.map_or_else(Vec::new, |effect| held_by(effect, &mut cname));
        for (change, place) in changes {
            let part = &self.parts[change.part()];
            let same = |h: &Held<'_>| h.rtype == part.rtype && *h.rdata == *part.rdata;
            let at = held.iter().position(same);
            match (at, change.is_removal()) {
                (Some(at), true) => drop(held.remove(at)),
                (None, true) => return Err(Inexact(trigger())),
                (Some(at), false) => held[at].ttl = held[at].ttl.min(part.ttl),
                (None, false) => match clash(&held, part) {
                    None => held.push(Held::of(part, place)),
                    Some(reason) => (self.report)(Clash {
                        trigger: trigger(),
                        reason,
                        kept: held[0].place,
                        dropped: place,
                    }),
                },
            }
        }
        Ok(effect_of(&mut held))
    }
}

/// A record that stands at an owner.
struct Held<'a> {
    rtype: u16,
    ttl: u32,
    rdata: &'a [u8],
    place: u32,
}

impl<'a> Held<'a> {
    fn of(part: &'a Part, place: u32) -> Self {
        Self { rtype: part.rtype, ttl: part.ttl, rdata: &part.rdata, place }
    }
}

fn held_by<'a>(effect: &'a Effect, cname: &'a mut Vec<u8>) -> Vec<Held<'a>> {
    if let Action::Data(sets) = &effect.action {
        let held = |set: &'a RrSet, rdata: &'a [u8]| Held {
            rtype: set.rtype,
            ttl: set.ttl,
            rdata,
            place: 0,
        };
        return sets.iter().flat_map(|set| set.rdata.iter().map(move |r| held(set, r))).collect();
    }
    match action::write_cname(&effect.action, cname) {
        Ok(true) => vec![Held { rtype: rdata::CNAME, ttl: effect.ttl, rdata: cname, place: 0 }],
        // An effect that cannot be written did not come from records, so no change fits it.
        _ => Vec::new(),
    }
}

fn clash(held: &[Held<'_>], part: &Part) -> Option<ClashReason> {
    let is_cname = |rtype| rtype == rdata::CNAME;
    let first = is_cname(held.first()?.rtype);
    match (first, is_cname(part.rtype)) {
        (true, true) => Some(ClashReason::SecondCname),
        (true, false) | (false, true) => Some(ClashReason::CnameAndData),
        (false, false) if held.len() >= OWNER_RECORDS_MAX => Some(ClashReason::TooMany),
        (false, false) => None,
    }
}

/// What the records at an owner do together.
fn effect_of(held: &mut [Held<'_>]) -> Option<Effect> {
    let first = held.first()?;
    if first.rtype == rdata::CNAME {
        let action = action::read_cname(first.rdata).ok()?;
        return Some(Effect { action, ttl: first.ttl });
    }
    held.sort_by(|a, b| (a.rtype, a.rdata).cmp(&(b.rtype, b.rdata)));
    let sets = held.chunk_by(|a, b| a.rtype == b.rtype).map(|set| RrSet {
        rtype: set[0].rtype,
        ttl: set.iter().map(|held| held.ttl).min().unwrap_or_default(),
        rdata: set.iter().map(|held| held.rdata.into()).collect(),
    });
    Some(Effect { action: Action::Data(sets.collect()), ttl: 0 })
}

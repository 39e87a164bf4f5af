//! How the rules about names lie to each other: wildcards that something closer cuts off, and
//! exceptions beside what they are for.

use super::collected::Lines;
use super::{Code, Linter, Spot};
use crate::model::{Action, Name, NameRef, TriggerKind};
use crate::zone::{TriggerRef, Zone};

/// Looks at a whole zone.
pub(super) fn look(zone: &Zone, lines: &Lines, linter: &mut Linter<'_>) {
    wildcards(zone, lines, linter);
    exceptions(zone, lines, linter);
}

/// A wildcard speaks for a name only where nothing that exists lies between them (RFC 4592), as
/// BIND and Unbound read it.
fn wildcards(zone: &Zone, lines: &Lines, linter: &mut Linter<'_>) {
    let takes_subtree = linter.profiles.iter().any(|profile| profile.takes_subtree);
    // The names with a blocking wildcard above the current one, the closest last.
    let mut above: Vec<Name> = Vec::new();
    let mut last = Name::root();
    let mut cursor = zone.query_names().iter();
    while let Some((name, payload)) = cursor.next() {
        let effects = zone.effects_of(payload);
        above.retain(|held| name.is_at_or_below(held.as_ref()));
        let exact = TriggerRef::Name { kind: TriggerKind::QueryName, name, wildcard: false };
        if let Some(wildcard) = above.last() {
            let wildcard = wildcard.as_ref();
            let between = name.ancestors().skip(1).take_while(|n| *n != wildcard);
            let empty = between.filter(|n| {
                let shown_before = last.as_ref().is_at_or_below(*n);
                !shown_before && zone.at_name(TriggerKind::QueryName, *n).is_none()
            });
            let empty: Vec<NameRef<'_>> = empty.collect();
            let cut = if effects.below.is_none() { Some(name) } else { None };
            for cut in empty.into_iter().chain(cut) {
                let text = format!("`{cut}` exists, so `*.{wildcard}` does not reach below it");
                let hint = format!("add rules for `{cut}` and `*.{cut}`");
                linter.find(Code::ShadowedWildcard, spot(lines, exact), text, Some(&hint));
            }
        }
        let alone = effects.exact.is_some() && effects.exact != effects.below;
        let blocks = |action: &Action| !matches!(action, Action::Passthru | Action::Data(_));
        if takes_subtree && alone && effects.exact.is_some_and(|e| blocks(&e.action)) {
            let text = format!("`{name}` is meant alone");
            linter.find(Code::Subtree, spot(lines, exact), text, None);
        }
        if effects.below.is_some_and(|e| e.action != Action::Passthru) {
            above.push(name.to_owned());
        }
        last = name.to_owned();
    }
}

fn spot(lines: &Lines, trigger: TriggerRef<'_>) -> Spot {
    let TriggerRef::Name { kind, name, .. } = trigger else {
        return Spot::line(lines.of(trigger));
    };
    let line = match lines.of(trigger) {
        0 => lines.of(TriggerRef::Name { kind, name, wildcard: true }),
        line => line,
    };
    Spot { column: u32::from(line > 0), ..Spot::line(line) }
}

/// Exceptions belong into a zone before, and are of the kind of what they are for.
fn exceptions(zone: &Zone, lines: &Lines, linter: &mut Linter<'_>) {
    let passes = |action: &Action| *action == Action::Passthru;
    if !zone.effects().iter().any(|effect| passes(&effect.action)) {
        return;
    }
    let blocks_names = zone.query_names().iter_effects(zone).any(|action| !passes(action));
    let mut blocks = blocks_names;
    let mut first = None;
    let mut walk = zone.walk();
    while let Some((trigger, effect)) = walk.next() {
        if !passes(&effect.action) {
            blocks = true;
            continue;
        }
        let line = lines.of(trigger);
        first.get_or_insert(line);
        if blocks_names && trigger.kind() > TriggerKind::QueryName {
            let kind = trigger.kind().as_str();
            let text = format!("an exception by {kind} in a zone that blocks names");
            let hint = "it does not save a name: name the exception, in a zone that comes before";
            linter.find(Code::ExceptionKind, Spot::line(line), text, Some(hint));
        }
    }
    if let (Some(line), true) = (first, blocks) {
        let text = "exceptions and blocks in one zone".to_owned();
        let hint = "put the exceptions into a zone of their own and name it first";
        linter.find(Code::PassthruEnds, Spot::line(line), text, Some(hint));
    }
}

trait Effects {
    fn iter_effects<'z>(&'z self, zone: &'z Zone) -> Box<dyn Iterator<Item = &'z Action> + 'z>;
}

impl Effects for crate::names::NameTable {
    fn iter_effects<'z>(&'z self, zone: &'z Zone) -> Box<dyn Iterator<Item = &'z Action> + 'z> {
        Box::new((0..self.len()).flat_map(move |at| {
            let effects = zone.effects_of(self.payload(at));
            [effects.exact, effects.below].into_iter().flatten().map(|effect| &effect.action)
        }))
    }
}

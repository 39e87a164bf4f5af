//! What a zone says where it is loaded alone, without the zones that stand before it here.
//!
//! Here an earlier zone that lets a name through settles it. Another resolver may take one zone of
//! ours and not the rest, so every zone that leaves carries the exceptions of the zones before it:
//! those that hold for each client that the zone is for. An exception for a group stays within the
//! zones of that group. Rules under an exception are dropped. The operator's override of a zone is
//! applied to its rules, and a zone that does not act here does not leave.
//!
//! One thing a single zone cannot say: here an earlier zone that lets an *address* through also
//! saves a *name* that leads there and that a later zone blocks, since zone order outranks the kind
//! of trigger. Inside one zone the query name outranks the answer's address (RPZ draft section
//! 5.4). Whoever publishes both kinds should publish the allow zone too and name it first.
//!
//! Nor can a rule say that there is none: where an exception takes in names or addresses except for
//! some, and the zone has no rule of its own about these, they are let through with the others.
//!
//! Every zone that leaves also has a rule for `canary.` and its own name, so that a question for
//! that name shows whether a resolver applies the zone.

use std::collections::BTreeMap;

use super::domains::RULE_TTL_SECONDS;
use crate::model::{
    Action, GroupSet, Name, NamePattern, NameRef, Network, RrSet, Trigger, TriggerKind,
};
use crate::zone::record::rdata;
use crate::zone::{Amendment, Effect, Mode, Override, PolicyZone, TriggerRef, Zone};

/// The first label of the name that shows whether a zone is applied.
pub const CANARY_LABEL: &[u8] = b"canary";

/// Whether a zone leaves: it acts, and not only for clients whose matches are exempt here.
pub fn leaves(zone: &PolicyZone, exempt: GroupSet) -> bool {
    let options = &zone.options;
    let groups = options.groups;
    let only_exempt = !groups.is_empty() && groups.0 & !exempt.0 == 0;
    options.mode == Mode::Enforce && options.policy != Override::Disabled && !only_exempt
}

/// What zones let through for every client of a zone that stands after them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exceptions {
    /// Query names and nameserver names: whether the name itself is let through, and whether the
    /// names below it are, as far as they have no entry of their own.
    names: [BTreeMap<Name, [bool; 2]>; 2],
    /// By [`TriggerKind`], likewise.
    networks: [BTreeMap<Network, bool>; 5],
}

impl Exceptions {
    /// What the zones before a zone for these groups let through for all its clients.
    pub fn of<'z>(before: impl Iterator<Item = &'z PolicyZone>, groups: GroupSet) -> Self {
        let zones: Vec<Zone> = before.filter_map(|zone| passing(zone, groups)).collect();
        let mut exceptions = Self::default();
        for kind in TriggerKind::ALL {
            let is_named = matches!(kind, TriggerKind::QueryName | TriggerKind::NameserverName);
            for zone in &zones {
                match is_named {
                    true => exceptions.take_names(kind, zone, &zones),
                    false => exceptions.take_networks(kind, zone, &zones),
                }
            }
        }
        exceptions
    }

    /// Takes every name at which what a zone lets through begins or ends.
    fn take_names(&mut self, kind: TriggerKind, zone: &Zone, zones: &[Zone]) {
        let mut passing: Vec<Name> = Vec::new();
        let mut walk = zone.walk();
        while let Some((trigger, effect)) = walk.next() {
            let TriggerRef::Name { kind: found, name, wildcard } = trigger else { continue };
            if found != kind {
                continue;
            }
            passing.retain(|above| name.is_at_or_below(above.as_ref()));
            let passes = effect.action == Action::Passthru;
            if passes {
                self.take_name(kind, name, zones);
            }
            // Each name that exists in the zone is out of the reach of a wildcard above it.
            let reach = passing.first().map(Name::as_ref);
            let within = |name: &NameRef<'_>| reach.is_some_and(|r| name.is_at_or_below(r));
            for name in name.ancestors().take_while(within) {
                self.take_name(kind, name, zones);
            }
            if passes && wildcard {
                passing.push(name.to_owned());
            }
        }
    }

    fn take_name(&mut self, kind: TriggerKind, name: NameRef<'_>, zones: &[Zone]) {
        let held = zones.iter().map(|zone| zone.held_at(kind, name));
        let mut reach = [false; 2];
        for effects in held {
            for (passes, effect) in reach.iter_mut().zip(effects) {
                *passes |= effect.is_some_and(|effect| effect.action == Action::Passthru);
            }
        }
        let names = &mut self.names[usize::from(kind == TriggerKind::NameserverName)];
        names.insert(name.to_owned(), reach);
    }

    /// Takes every prefix at which what a zone lets through begins or ends.
    fn take_networks(&mut self, kind: TriggerKind, zone: &Zone, zones: &[Zone]) {
        let effect = |zone: &Zone, network: Network| {
            let around = zone.networks(kind).iter().filter(|(held, _)| held.covers(network));
            let (_, number) = *around.max_by_key(|(held, _)| held.length())?;
            zone.effects().get(number as usize).map(|effect| effect.action == Action::Passthru)
        };
        // Prefixes stand before those inside them.
        let mut outer: Option<Network> = None;
        for (network, _) in zone.networks(kind) {
            let passes = effect(zone, *network) == Some(true);
            let inside = outer.is_some_and(|outer| outer.covers(*network));
            if passes && !inside {
                outer = Some(*network);
            }
            if passes || inside {
                let passes = zones.iter().any(|zone| effect(zone, *network) == Some(true));
                self.networks[kind as usize].insert(*network, passes);
            }
        }
    }

    /// What has to be said in the zone so that it alone respects the exceptions: all of them, where
    /// it blocks anything. One that meets no rule of the zone may still save a name whose alias
    /// leads to one, since an earlier name of a chain outranks a later one (RPZ draft section 5.1).
    fn amendment(&self, zone: &Zone) -> Amendment {
        let mut amendment = Amendment::default();
        let blocks = zone.effects().iter().any(|effect| effect.action != Action::Passthru);
        if zone.is_empty() || !blocks {
            return amendment;
        }
        let mut say = |trigger: Trigger, passes: bool| match passes {
            false => amendment.keep(&trigger),
            true => {
                let effect = Effect { action: Action::Passthru, ttl: RULE_TTL_SECONDS };
                amendment.hold(&trigger, effect);
            }
        };
        for kind in TriggerKind::ALL {
            for (network, passes) in &self.networks[kind as usize] {
                let trigger = match kind {
                    TriggerKind::ClientAddress => Trigger::ClientAddress(*network),
                    TriggerKind::AnswerAddress => Trigger::AnswerAddress(*network),
                    _ => Trigger::NameserverAddress(*network),
                };
                say(trigger, *passes);
            }
        }
        for (name, reach) in &self.names[0] {
            for (wildcard, passes) in [false, true].into_iter().zip(*reach) {
                let pattern = NamePattern { name: name.clone(), wildcard };
                say(Trigger::QueryName(pattern), passes);
            }
        }
        for (name, reach) in &self.names[1] {
            for (wildcard, passes) in [false, true].into_iter().zip(*reach) {
                let pattern = NamePattern { name: name.clone(), wildcard };
                say(Trigger::NameserverName(pattern), passes);
            }
        }
        amendment
    }
}

/// A zone that lets something through for all clients in these groups, with its override applied.
fn passing(zone: &PolicyZone, groups: GroupSet) -> Option<Zone> {
    let options = &zone.options;
    let for_all =
        options.groups.is_empty() || (!groups.is_empty() && groups.0 & !options.groups.0 == 0);
    if options.mode != Mode::Enforce || options.policy == Override::Disabled || !for_all {
        return None;
    }
    let zone = overridden(zone);
    let passes = zone.effects().iter().any(|effect| effect.action == Action::Passthru);
    passes.then_some(zone)
}

/// The rules with what the operator put in place of their actions.
fn overridden(zone: &PolicyZone) -> Zone {
    match &zone.options.policy {
        Override::Action(action) => {
            zone.zone.with_effects(|effect| Effect { action: action.clone(), ttl: effect.ttl })
        }
        _ => zone.zone.clone(),
    }
}

/// The name whose answer shows that a zone is applied; none where it is too long.
pub fn canary(zone: &Zone) -> Option<Name> {
    zone.origin().to_owned().child(CANARY_LABEL).ok()
}

/// The zone as it leaves.
pub fn outward(zone: &PolicyZone, exceptions: &Exceptions) -> Zone {
    let settled = overridden(zone);
    let settled = settled.with_effects(|effect| effect.within(0, zone.options.max_policy_ttl));
    let mut amendment = exceptions.amendment(&settled);
    if let Some(canary) = canary(&settled) {
        let trigger = Trigger::QueryName(NamePattern::exact(canary));
        amendment.hold(&trigger, canary_effect(&settled));
    }
    settled.amended(&amendment)
}

/// A TXT record that names the zone: `v=1 zone=threat.rpz`.
fn canary_effect(zone: &Zone) -> Effect {
    let text = format!("v=1 zone={}", zone.origin());
    let text = &text.as_bytes()[..text.len().min(usize::from(u8::MAX))];
    let length = u8::try_from(text.len()).expect("a string of at most 255 octets");
    let rdata = [&[length], text].concat().into();
    let set = RrSet { rtype: rdata::TXT, ttl: RULE_TTL_SECONDS, rdata: vec![rdata] };
    Effect { action: Action::Data([set].into()), ttl: RULE_TTL_SECONDS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Rule;
    use crate::zone::{Serial, Soa, ZoneBuilder, ZoneOptions};

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    fn zone(origin: &str, rules: &[(&str, Action)], groups: u64) -> PolicyZone {
        let mut builder = ZoneBuilder::new(name(origin), Soa::ours(Serial(1)), 7);
        for (text, action) in rules {
            let trigger = match Network::parse_strict(text) {
                Ok(network) => Trigger::AnswerAddress(network),
                Err(_) => Trigger::QueryName(match text.strip_prefix("*.") {
                    Some(parent) => NamePattern::below(name(parent)),
                    None => NamePattern::exact(name(text)),
                }),
            };
            builder.insert(Rule { trigger, action: action.clone(), ttl: 60 });
        }
        let options = ZoneOptions { groups: GroupSet(groups), ..ZoneOptions::ours() };
        PolicyZone { zone: builder.finish().0, options }
    }

    /// The last of the zones as it leaves, without its canary.
    fn leaving(zones: &[PolicyZone]) -> Vec<String> {
        let (last, before) = zones.split_last().unwrap();
        let exceptions = Exceptions::of(before.iter(), last.options.groups);
        let out = outward(last, &exceptions);
        let shown = |rule: Rule| match rule.trigger {
            Trigger::QueryName(pattern) => format!("{pattern} {}", rule.action.as_str()),
            Trigger::AnswerAddress(network) => format!("{network} {}", rule.action.as_str()),
            other => format!("{other:?}"),
        };
        out.rules().map(shown).filter(|line| !line.starts_with("canary")).collect()
    }

    #[test]
    fn the_exceptions_before_a_zone_that_blocks_are_carried() {
        let block = [("bad.test", Action::NxDomain), ("x.good.test", Action::NxDomain)];
        let allow = [("*.good.test", Action::Passthru), ("other.test", Action::Passthru)];
        assert_eq!(
            leaving(&[zone("allow", &allow, 0), zone("block", &block, 0)]),
            ["bad.test nxdomain", "*.good.test passthru", "other.test passthru"]
        );
        // An address rule could block what the name's exception lets through.
        let block = [("192.0.2.0/24", Action::NxDomain)];
        assert_eq!(
            leaving(&[zone("allow", &allow, 0), zone("block", &block, 0)]),
            ["*.good.test passthru", "other.test passthru", "192.0.2.0/24 nxdomain"]
        );
    }

    #[test]
    fn an_exception_of_a_group_stays_within_its_zones() {
        let allow = |groups| zone("allow", &[("bad.test", Action::Passthru)], groups);
        let block = |groups| zone("block", &[("bad.test", Action::NxDomain)], groups);
        assert_eq!(leaving(&[allow(1), block(0)]), ["bad.test nxdomain"]);
        assert_eq!(leaving(&[allow(1), block(3)]), ["bad.test nxdomain"]);
        assert_eq!(leaving(&[allow(3), block(1)]), ["bad.test passthru"]);
        assert_eq!(leaving(&[allow(0), block(1)]), ["bad.test passthru"]);
    }

    #[test]
    fn overrides_are_applied_and_what_does_not_act_does_not_leave() {
        let mut vendor = zone("vendor", &[("bad.test", Action::NxDomain)], 0);
        assert!(leaves(&vendor, GroupSet::NONE));
        vendor.options.policy = Override::Action(Action::NoData);
        assert_eq!(leaving(&[vendor.clone()]), ["bad.test nodata"]);
        vendor.options.policy = Override::Action(Action::Passthru);
        let block = zone("block", &[("bad.test", Action::NxDomain)], 0);
        assert_eq!(leaving(&[vendor.clone(), block]), ["bad.test passthru"]);
        vendor.options.policy = Override::Disabled;
        assert!(!leaves(&vendor, GroupSet::NONE));
        vendor.options.policy = Override::Given;
        vendor.options.mode = Mode::Observe;
        assert!(!leaves(&vendor, GroupSet::NONE));
        vendor.options.mode = Mode::Enforce;
        vendor.options.groups = GroupSet(1);
        assert!(!leaves(&vendor, GroupSet(3)) && leaves(&vendor, GroupSet(2)));
    }

    #[test]
    fn the_canary_names_the_zone() {
        let out = outward(&zone("block.rpz", &[], 0), &Exceptions::default());
        let rules: Vec<Rule> = out.rules().collect();
        assert_eq!(
            rules[0].trigger,
            Trigger::QueryName(NamePattern::exact(name("canary.block.rpz")))
        );
        let Action::Data(sets) = &rules[0].action else { panic!("{rules:?}") };
        assert_eq!(&sets[0].rdata[0][1..], b"v=1 zone=block.rpz");
    }
}

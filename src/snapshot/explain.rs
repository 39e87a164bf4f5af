//! Every rule that matches a query, in order of precedence, with what became of each.
//!
//! This looks at everything where evaluation looks for the best, and takes its time: it is for
//! people who ask why.

use std::net::IpAddr;

use super::evaluate::Step;
use super::fate::{Fate, Precedence};
use super::names::{self, Suffixes};
use super::query::{Hit, Matched, Query, Response};
use super::ruling::{Dropped, Ruling, Signed, rule_on};
use super::stage::{Look, Stage, rank};
use super::{IndexedZone, Snapshot, ZoneSet};
use crate::model::{AnswerFacts, NameRef, Nameserver, TriggerKind};
use crate::zone::{Effect, Mode};

/// A rule that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match<'a> {
    /// The rule, and what it would make of the reply.
    pub hit: Hit<'a>,
    /// What became of it.
    pub fate: Fate,
}

impl Snapshot {
    /// All rules that match a query and, if given, its answer, the preferred ones first. Rules of
    /// zones that are off or do not apply are among them.
    pub fn explain<'a>(
        &'a self,
        query: &Query<'a>,
        facts: Option<&'a AnswerFacts>,
    ) -> Vec<Match<'a>> {
        let mut found = Vec::new();
        let last = match facts {
            Some(facts) if query.follows_aliases() => facts.steps.len().max(1),
            _ => 1,
        };
        for number in 0..last {
            let stage = match (number, facts) {
                (0, None) => Stage::of_query(query, true, self.hash_seed),
                (0, Some(facts)) => Stage::of_query(query, true, self.hash_seed).with_answer(facts),
                (_, Some(facts)) => Stage::of_target(number, facts, true, self.hash_seed),
                (_, None) => break,
            };
            for (position, zone) in self.zones.iter().enumerate() {
                let look = Look { position, zone, stage: &stage, query };
                for kind in TriggerKind::ALL {
                    found.extend(all_of_kind(&look, kind).into_iter().map(|found| Found {
                        out: self.out_as_zone(zone, query).or(found.out),
                        ..found
                    }));
                }
            }
        }
        let decided_early =
            facts.is_none().then(|| matches!(self.begin(query), Step::Decided { .. }));
        self.with_fates(found, decided_early, self.acting_on(query))
    }

    /// Why a zone as a whole takes no part in a query.
    fn out_as_zone(&self, zone: &IndexedZone, query: &Query<'_>) -> Option<Fate> {
        let options = &zone.policy.options;
        let client = self.groups_of(query.client);
        if options.mode == Mode::Off || client.meets(self.off_groups) {
            Some(Fate::ZoneOff)
        } else if !options.groups.applies_to(client) {
            Some(Fate::OtherGroup)
        } else if options.recursive_only && !query.recursion_desired {
            Some(Fate::SavedByRecursionBit)
        } else {
            None
        }
    }

    /// Settles what became of each match. Without an answer, `decided_early` says whether the
    /// query alone was enough.
    fn with_fates<'a>(
        &self,
        found: Vec<Found<'a>>,
        decided_early: Option<bool>,
        acting: ZoneSet,
    ) -> Vec<Match<'a>> {
        let takes_part =
            |f: &Found<'_>| f.out.is_none() && !f.unless_signed && acting.has(f.hit.zone);
        let best = found.iter().position(takes_part);
        let winner = best.map(|at| found[at].hit.clone());
        let settled = if decided_early == Some(false) { Fate::Waits } else { Fate::Decides };
        let fate = |at: usize, found: &Found<'_>| match (found.out, best, &winner) {
            (Some(out), ..) => out,
            (None, Some(best), _) if at == best => settled,
            (None, Some(best), Some(winner)) if at > best => outranked(winner, &found.hit),
            _ => match self.zones[found.hit.zone].policy.options.mode {
                Mode::Observe => Fate::Observes,
                _ if !self.acting.has(found.hit.zone) => Fate::Disabled,
                _ if !acting.has(found.hit.zone) => Fate::Observes,
                _ => Fate::Waits,
            },
        };
        let fates: Vec<Fate> = found.iter().enumerate().map(|(at, f)| fate(at, f)).collect();
        found.into_iter().zip(fates).map(|(f, fate)| Match { hit: f.hit, fate }).collect()
    }
}

fn outranked(winner: &Hit<'_>, other: &Hit<'_>) -> Fate {
    let by = if winner.stage != other.stage {
        Precedence::Stage
    } else if winner.zone != other.zone {
        Precedence::Zone
    } else if winner.kind != other.kind {
        Precedence::Kind
    } else {
        match (winner.matched, other.matched) {
            (Matched::Address { network: a, .. }, Matched::Address { network: b, .. })
                if a.rpz_length() != b.rpz_length() =>
            {
                Precedence::PrefixLength
            }
            (Matched::Address { .. }, _) => Precedence::AddressOrder,
            (Matched::Name { .. }, _) => Precedence::NameOrder,
        }
    };
    match winner.response {
        Response::Passthru => Fate::Exempted(by),
        _ => Fate::Outranked(by),
    }
}

/// A match, and why it takes no part if it does not.
struct Found<'a> {
    hit: Hit<'a>,
    out: Option<Fate>,
    unless_signed: bool,
}

/// The matches of one kind in one zone at one stage, the preferred ones first.
fn all_of_kind<'a>(look: &Look<'_, 'a>, kind: TriggerKind) -> Vec<Found<'a>> {
    let stage = look.stage;
    let servers = || stage.servers();
    match kind {
        TriggerKind::ClientAddress => {
            addresses(look, kind, stage.client.into_iter().map(|address| (address, None)))
        }
        TriggerKind::QueryName => all_patterns(look, kind, stage.name, None),
        TriggerKind::AnswerAddress => {
            addresses(look, kind, stage.addresses.iter().map(|address| (*address, None)))
        }
        TriggerKind::NameserverName => {
            let mut servers: Vec<&Nameserver> = servers().collect();
            // A server looked at for one zone cut may be left out for another.
            servers.sort_by_key(|s| (std::cmp::Reverse(s.name.as_ref()), !look.looks_at(s)));
            servers.dedup_by(|a, b| a.name == b.name);
            servers
                .into_iter()
                .flat_map(|s| all_patterns(look, kind, s.name.as_ref(), left_out(look, s)))
                .collect()
        }
        TriggerKind::NameserverAddress => addresses(
            look,
            kind,
            servers().flat_map(|s| s.addresses.iter().map(|a| (*a, left_out(look, s)))),
        ),
    }
}

fn left_out(look: &Look<'_, '_>, server: &Nameserver) -> Option<Fate> {
    (!look.looks_at(server)).then_some(Fate::TooFewDots)
}

/// The rule for a name itself and those of all wildcards above it.
fn all_patterns<'a>(
    look: &Look<'_, 'a>,
    kind: TriggerKind,
    name: NameRef<'a>,
    out: Option<Fate>,
) -> Vec<Found<'a>> {
    let zone = &look.zone.policy.zone;
    let table = match kind {
        TriggerKind::NameserverName => zone.nameserver_names(),
        _ => zone.query_names(),
    };
    let suffixes = Suffixes::new(name, look.stage.hash_seed);
    let chosen = names::find(zone, table, &suffixes);
    let mut found = Vec::new();
    for pattern in name.ancestors() {
        let Some(payload) = table.get(pattern) else { continue };
        let effects = zone.effects_of(payload);
        let wildcard = pattern != name;
        let Some(effect) = (if wildcard { effects.below } else { effects.exact }) else { continue };
        let hidden = chosen.is_none_or(|c| (c.pattern, c.wildcard) != (pattern, wildcard));
        let matched = Matched::Name { name, pattern, wildcard };
        let out = out.or(hidden.then_some(Fate::CloserName));
        found.push(found_by(look, kind, matched, effect, Some(name), out));
    }
    found
}

/// All prefixes that hold one of the addresses; each address may have been left out.
fn addresses<'a>(
    look: &Look<'_, 'a>,
    kind: TriggerKind,
    addresses: impl Iterator<Item = (IpAddr, Option<Fate>)>,
) -> Vec<Found<'a>> {
    let zone = &look.zone.policy.zone;
    let networks = zone.networks(kind);
    let mut held: Vec<(usize, IpAddr, Option<Fate>)> = addresses
        .flat_map(|(address, out)| {
            let holding = look.zone.indexes[kind as usize].holding(networks, address);
            holding.map(move |at| (at, address, out))
        })
        .collect();
    // A prefix stands once, for an address that was looked at if there is one.
    held.sort_by_key(|(at, _, out)| (rank(networks[*at].0), out.is_some()));
    held.dedup_by_key(|(at, ..)| *at);
    held.into_iter()
        .map(|(at, address, out)| {
            let (network, effect) = networks[at];
            let matched = Matched::Address { address, network };
            found_by(look, kind, matched, &zone.effects()[effect as usize], None, out)
        })
        .collect()
}

fn found_by<'a>(
    look: &Look<'_, 'a>,
    kind: TriggerKind,
    matched: Matched<'a>,
    effect: &'a Effect,
    own: Option<NameRef<'a>>,
    out: Option<Fate>,
) -> Found<'a> {
    let rule =
        |signed| rule_on(&look.zone.policy, effect, look.stage.name, own, look.query, signed);
    let (ruling, dropped) = match rule(look.stage.signed) {
        Ok(ruling) => (ruling, None),
        // What it would have been is worth showing.
        Err(Dropped::SavedByDnssec) => {
            (rule(Signed::Known(false)).unwrap_or_else(no_data), Some(Fate::SavedByDnssecBit))
        }
        Err(dropped @ Dropped::NoSuchData) => (no_data(dropped), Some(Fate::NoSuchData)),
    };
    let unless_signed = ruling.unless_signed;
    let hit = look.candidate(kind, matched, effect, ruling).hit;
    Found { hit, out: out.or(dropped), unless_signed }
}

fn no_data<'a>(_: Dropped) -> Ruling<'a> {
    Ruling { response: Response::NoData, unless_signed: false }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{answer, name, query, snapshot, zone, zone_with};
    use super::*;
    use crate::model::{Action, GroupSet};
    use crate::zone::ZoneOptions;

    fn told(matches: &[Match<'_>]) -> Vec<String> {
        let line = |m: &Match<'_>| {
            format!("{} {} {}: {}", m.hit.zone, m.hit.kind.as_str(), m.hit.matched, m.fate)
        };
        matches.iter().map(line).collect()
    }

    #[test]
    fn every_match_is_told_with_its_fate() {
        let ours = ZoneOptions::ours;
        let off = ZoneOptions { mode: Mode::Off, ..ours() };
        let observing = ZoneOptions { mode: Mode::Observe, ..ours() };
        let staff = ZoneOptions { groups: GroupSet::of(1), ..ours() };
        let block = [("qname *.bad.test", Action::NxDomain)];
        let snapshot = snapshot(vec![
            zone_with(off, &block),
            zone_with(observing, &block),
            zone_with(staff, &block),
            zone(&[
                ("qname *.test", Action::Drop),
                ("qname *.bad.test", Action::Passthru),
                ("ip 192.0.2.0/24", Action::NoData),
                ("nsdname *.test", Action::NoData),
            ]),
            zone(&[("ip 192.0.2.1", Action::NxDomain), ("ip 192.0.2.0/24", Action::NoData)]),
        ]);
        let (bad, facts) = (name("www.bad.test"), answer(&["www.bad.test"], "192.0.2.1"));
        assert_eq!(
            told(&snapshot.explain(&query(&bad), Some(&facts))),
            [
                "0 qname *.bad.test: the zone is off",
                "1 qname *.bad.test: the zone only observes",
                "2 qname *.bad.test: the zone is for other client groups",
                "3 qname *.bad.test: decides",
                "3 qname *.test: a closer name exists in the zone",
                "3 ip 192.0.2.0/24: exempted by passthru: of a preferred kind of trigger",
                "3 nsdname *.test: exempted by passthru: of a preferred kind of trigger",
                "4 ip 192.0.2.1: exempted by passthru: in an earlier zone",
                "4 ip 192.0.2.0/24: exempted by passthru: in an earlier zone",
            ]
        );
    }

    #[test]
    fn within_one_kind_it_is_told_which_was_better() {
        let snapshot = snapshot(vec![zone(&[
            ("ip 192.0.2.2", Action::NoData),
            ("ip 192.0.2.1", Action::NxDomain),
            ("ip 192.0.2.0/24", Action::NoData),
        ])]);
        let (name, mut facts) = (name("www.bad.test"), answer(&["www.bad.test"], "192.0.2.1"));
        facts.steps[0].addresses.push("192.0.2.2".parse().unwrap());
        assert_eq!(
            told(&snapshot.explain(&query(&name), Some(&facts))),
            [
                "0 ip 192.0.2.1: decides",
                "0 ip 192.0.2.2: outranked: with a smaller address",
                "0 ip 192.0.2.0/24: outranked: with a longer prefix",
            ]
        );
    }

    #[test]
    fn bits_that_saved_a_name_are_told() {
        let snapshot =
            snapshot(vec![zone_with(ZoneOptions::draft(), &[("qname bad.test", Action::Drop)])]);
        let (bad, mut facts) = (name("bad.test"), answer(&["bad.test"], "192.0.2.1"));
        facts.signed = true;
        let fate = |query: Query<'_>| snapshot.explain(&query, Some(&facts))[0].fate;
        assert_eq!(fate(query(&bad)), Fate::Decides);
        assert_eq!(fate(Query { dnssec_ok: true, ..query(&bad) }), Fate::SavedByDnssecBit);
        let not_recursive = Query { recursion_desired: false, ..query(&bad) };
        assert_eq!(fate(not_recursive), Fate::SavedByRecursionBit);
        // Without the answer nobody can say.
        assert_eq!(snapshot.explain(&query(&bad), None)[0].fate, Fate::Waits);
    }

    #[test]
    fn a_server_that_min_ns_dots_leaves_out_is_told() {
        let snapshot = snapshot(vec![zone(&[("nsdname ns.zz", Action::Drop)])]);
        let (name, facts) = (name("www.zz"), answer(&["www.zz"], "192.0.2.1"));
        assert_eq!(
            told(&snapshot.explain(&query(&name), Some(&facts))),
            ["0 nsdname ns.zz: min-ns-dots leaves this server out"]
        );
    }
}

//! RPZ precedence for one query, in two steps around the resolution.
//!
//! [`Snapshot::begin`] looks at the client and the query name. It decides where nothing the
//! answer could bring would be preferred, and otherwise gives an [`Evaluation`] that
//! [`Evaluation::finish`] completes with the facts of the answer. Both walk stages, zones and
//! kinds of trigger in order of precedence (draft sections 5.1, 5.2 and 5.4), so that the first
//! match that takes part is the best.

use super::query::{Hit, Outcome, Query};
use super::stage::{Candidate, Look, Stage};
use super::{Snapshot, ZoneSet};
use crate::model::{AnswerFacts, TriggerKind};

/// What the query alone tells.
const OF_QUERY: [TriggerKind; 2] = [TriggerKind::ClientAddress, TriggerKind::QueryName];
/// What only the answer tells.
const OF_ANSWER: [TriggerKind; 3] =
    [TriggerKind::AnswerAddress, TriggerKind::NameserverName, TriggerKind::NameserverAddress];

/// Where the first look leads.
#[derive(Debug)]
pub enum Step<'a> {
    /// A rule decides already. The query is still resolved where the response is the truth or an
    /// alias.
    Decided {
        /// The rule that decides.
        hit: Hit<'a>,
        /// What zones that only observe would have done, as far as the query tells.
        observed: Vec<Hit<'a>>,
    },
    /// The answer is needed first.
    Resolve(Evaluation<'a>),
}

/// An evaluation that waits for the answer.
#[derive(Debug, Clone, Copy)]
pub struct Evaluation<'a> {
    pub(super) snapshot: &'a Snapshot,
    query: Query<'a>,
    pub(super) applying: ZoneSet,
    /// The zones whose rules act on this client.
    pub(super) acting: ZoneSet,
    /// The zones in which the client or the query name matched.
    matched: ZoneSet,
    /// The position of the zone whose rule for the query nothing but an earlier zone can beat.
    pub(super) settled: Option<usize>,
}

impl Snapshot {
    /// The first step. Allocates nothing unless an alias is made of the query name or a zone
    /// observes a match.
    pub fn begin<'a>(&'a self, query: &Query<'a>) -> Step<'a> {
        let applying = self.applying(query);
        let mut evaluation = Evaluation {
            snapshot: self,
            query: *query,
            applying,
            acting: self.acting_on(query),
            matched: ZoneSet::default(),
            settled: None,
        };
        let zones = applying.and(self.having_any(&OF_QUERY));
        if zones.is_empty() {
            return Step::Resolve(evaluation);
        }
        let look_at_name = !zones.and(self.having[TriggerKind::QueryName as usize]).is_empty();
        let stage = Stage::of_query(query, look_at_name, self.hash_seed);
        let mut observed = Vec::new();
        let mut unless_signed_before = false;
        for position in zones.positions() {
            let Some(Candidate { hit, unless_signed }) =
                self.best_of(&OF_QUERY, position, &stage, query)
            else {
                continue;
            };
            evaluation.matched.insert(position);
            match (evaluation.acting.has(position), unless_signed) {
                (true, true) => unless_signed_before = true,
                (false, true) => {}
                (false, false) => observed.push(hit),
                (true, false) if unless_signed_before || evaluation.waits_for_answer(&hit) => {
                    evaluation.settled = Some(position);
                    break;
                }
                (true, false) => return Step::Decided { hit, observed },
            }
        }
        Step::Resolve(evaluation)
    }

    /// The best match in a zone at a stage among some kinds, which stand in order of precedence.
    fn best_of<'a>(
        &'a self,
        kinds: &[TriggerKind],
        position: usize,
        stage: &Stage<'a>,
        query: &Query<'a>,
    ) -> Option<Candidate<'a>> {
        let look = Look { position, zone: &self.zones[position], stage, query };
        kinds
            .iter()
            .filter(|kind| self.having[**kind as usize].has(position))
            .find_map(|kind| look.best(*kind))
    }
}

impl<'a> Evaluation<'a> {
    /// Whether a hit on the query must wait: an earlier zone may have a better match at this
    /// stage, or its own zone does not want to show that it blocks without asking (section 12.4).
    fn waits_for_answer(&self, hit: &Hit<'_>) -> bool {
        let rivals = self.applying.and(self.acting).before(hit.zone);
        let waits = self.snapshot.zones[hit.zone].policy.options.qname_wait_recurse;
        !rivals.and(self.snapshot.having_any(&OF_ANSWER)).is_empty()
            || (waits
                && hit.kind == TriggerKind::QueryName
                && hit.response.rewrites(self.query.transport))
    }

    /// The query that this evaluates.
    pub fn query(&self) -> &Query<'a> {
        &self.query
    }

    /// The second step. The first of the facts' steps stands for the query name; where there is
    /// none, because nothing could be resolved, the query alone is looked at.
    pub fn finish<'f>(self, facts: &'f AnswerFacts) -> Outcome<'f>
    where
        'a: 'f,
    {
        let mut outcome = Outcome::default();
        // Each observing zone reports once.
        let mut watching = self.applying.without(self.acting);
        let stages = if self.query.follows_aliases() { facts.steps.len().max(1) } else { 1 };
        for number in 0..stages {
            let zones = self.zones_with_rules_at(number).and(watching.or(self.acting));
            if zones.is_empty() {
                continue;
            }
            let stage = self.stage(number, facts);
            for position in zones.positions() {
                let Some(candidate) = self.best(position, &stage) else { continue };
                if self.acting.has(position) {
                    outcome.hit = Some(candidate.hit);
                    return outcome;
                }
                outcome.observed.push(candidate.hit);
                watching = watching.without(ZoneSet::of(std::iter::once(position)));
            }
        }
        outcome
    }

    /// The zones worth a look at a stage; the first step has seen the others miss the query.
    fn zones_with_rules_at(&self, number: usize) -> ZoneSet {
        let of_answer = self.applying.and(self.snapshot.having_any(&OF_ANSWER));
        match number {
            0 => of_answer.or(self.matched),
            _ => {
                let names = self.snapshot.having[TriggerKind::QueryName as usize];
                of_answer.or(self.applying.and(names))
            }
        }
    }

    fn stage<'f>(&self, number: usize, facts: &'f AnswerFacts) -> Stage<'f>
    where
        'a: 'f,
    {
        let names = self.applying.and(self.snapshot.having[TriggerKind::QueryName as usize]);
        let seed = self.snapshot.hash_seed;
        match number {
            0 => Stage::of_query(&self.query, !self.matched.is_empty(), seed).with_answer(facts),
            _ => Stage::of_target(number, facts, !names.is_empty(), seed),
        }
    }

    fn best<'f>(&self, position: usize, stage: &Stage<'f>) -> Option<Candidate<'f>>
    where
        'a: 'f,
    {
        let query: Query<'f> = self.query;
        let kinds: &[TriggerKind] = match stage.number {
            0 if !self.matched.has(position) => &OF_ANSWER,
            0 => &TriggerKind::ALL,
            _ => &TriggerKind::ALL[1..],
        };
        self.snapshot.best_of(kinds, position, stage, &query)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::{answer, name, query, snapshot, zone, zone_with};
    use super::super::{Fate, Response};
    use super::*;
    use crate::model::Action;
    use crate::zone::{Mode, ZoneOptions};

    /// Position of the zone and what it does, before or after the answer.
    fn verdict(hit: Option<&Hit<'_>>) -> Option<(usize, &'static str)> {
        hit.map(|hit| (hit.zone, hit.response.as_str()))
    }

    fn early(snapshot: &Snapshot, query: &Query<'_>) -> Option<(usize, &'static str)> {
        match snapshot.begin(query) {
            Step::Decided { hit, .. } => verdict(Some(&hit)),
            Step::Resolve(_) => None,
        }
    }

    fn late(
        snapshot: &Snapshot,
        query: &Query<'_>,
        facts: &AnswerFacts,
    ) -> Option<(usize, &'static str)> {
        match snapshot.begin(query) {
            Step::Decided { hit, .. } => panic!("decided early: {hit:?}"),
            Step::Resolve(evaluation) => verdict(evaluation.finish(facts).hit.as_ref()),
        }
    }

    #[test]
    fn a_nameserver_rule_of_an_earlier_zone_holds_up_and_beats_a_query_name() {
        let snapshot = snapshot(vec![
            zone(&[("nsdname ns.evil.test", Action::NoData)]),
            zone(&[("qname www.evil.test", Action::NxDomain), ("qname ok.test", Action::Drop)]),
        ]);
        let (evil, ok) = (name("www.evil.test"), name("ok.test"));
        assert_eq!(early(&snapshot, &query(&evil)), None);
        let facts = answer(&["www.evil.test"], "192.0.2.1");
        assert_eq!(late(&snapshot, &query(&evil), &facts), Some((0, "nodata")));
        let facts = answer(&["ok.test"], "192.0.2.1");
        assert_eq!(late(&snapshot, &query(&ok), &facts), Some((1, "drop")));
    }

    #[test]
    fn a_query_name_decides_at_once_before_addresses_of_its_own_and_later_zones() {
        let snapshot = snapshot(vec![
            zone(&[("qname www.bad.test", Action::NxDomain), ("ip 0.0.0.0/0", Action::Drop)]),
            zone(&[("nsip 0.0.0.0/0", Action::Drop)]),
        ]);
        assert_eq!(early(&snapshot, &query(&name("www.bad.test"))), Some((0, "nxdomain")));
        assert_eq!(early(&snapshot, &query(&name("ok.bad.test"))), None);
    }

    #[test]
    fn an_earlier_stage_beats_an_earlier_zone() {
        let snapshot = snapshot(vec![
            zone(&[("qname www.bad.test", Action::NxDomain), ("ip 192.0.2.1", Action::NoData)]),
            zone(&[("qname alias.test", Action::Passthru)]),
        ]);
        let alias = name("alias.test");
        let facts = answer(&["alias.test", "www.bad.test"], "192.0.2.1");
        assert_eq!(late(&snapshot, &query(&alias), &facts), Some((1, "passthru")));
        let (other, facts) = (name("b.test"), answer(&["b.test", "www.bad.test"], "192.0.2.1"));
        assert_eq!(late(&snapshot, &query(&other), &facts), Some((0, "nxdomain")));
        let only_alias = Query { rtype: 5, ..query(&other) };
        assert_eq!(late(&snapshot, &only_alias, &facts), None);
    }

    #[test]
    fn an_alias_is_made_of_the_name_of_its_stage_and_may_be_too_long() {
        let below = Action::RedirectBelow(name("garden.test"));
        let snapshot = snapshot(vec![zone(&[("qname *.bad.test", below)])]);
        let short = name("www.bad.test");
        let Step::Decided { hit, .. } = snapshot.begin(&query(&short)) else { panic!("waits") };
        let Response::Alias(target) = hit.response else { panic!("{:?}", hit.response) };
        assert_eq!(target.to_string(), "www.bad.test.garden.test");
        let long = name(&format!("{}.bad.test", vec!["x".repeat(60); 4].join(".")));
        assert_eq!(long.as_ref().wire_octets(), 254);
        assert_eq!(early(&snapshot, &query(&long)), Some((0, "yxdomain")));
    }

    #[test]
    fn an_alias_to_the_name_itself_lets_it_through() {
        let garden = Action::Redirect(name("garden.test"));
        let snapshot = snapshot(vec![zone(&[("qname *.test", garden)])]);
        assert_eq!(early(&snapshot, &query(&name("garden.test"))), Some((0, "passthru")));
        assert_eq!(early(&snapshot, &query(&name("other.test"))), Some((0, "cname")));
    }

    #[test]
    fn a_validating_client_is_saved_from_zones_that_do_not_break_dnssec_only() {
        let rules = [("qname bad.test", Action::NxDomain), ("qname ok.test", Action::Passthru)];
        let draft = ZoneOptions { qname_wait_recurse: false, ..ZoneOptions::draft() };
        let block = [("qname bad.test", Action::NoData), ("qname ok.test", Action::NoData)];
        let snapshot = snapshot(vec![zone_with(draft, &rules), zone(&block)]);
        let (bad, ok) = (name("bad.test"), name("ok.test"));
        let validating = |name| Query { dnssec_ok: true, ..query(name) };
        let mut facts = answer(&["bad.test"], "192.0.2.1");
        assert_eq!(early(&snapshot, &query(&bad)), Some((0, "nxdomain")));
        assert_eq!(late(&snapshot, &validating(&bad), &facts), Some((0, "nxdomain")));
        facts.signed = true;
        assert_eq!(late(&snapshot, &validating(&bad), &facts), Some((1, "nodata")));
        assert_eq!(early(&snapshot, &validating(&ok)), Some((0, "passthru")));
    }

    #[test]
    fn groups_can_have_rules_observed_or_off() {
        use crate::model::{GroupSet, Network};
        let (lab, guests) = (GroupSet::of(0), GroupSet::of(1));
        let network = |text| Network::parse_strict(text).unwrap();
        let clients = vec![(network("192.0.2.1"), lab), (network("192.0.2.2"), guests)];
        let zones = vec![zone(&[("qname bad.test", Action::NxDomain)])];
        let snapshot = Snapshot::new(1, 7, zones, clients, None).unwrap();
        let snapshot = snapshot.with_group_modes(lab, guests);
        let bad = name("bad.test");
        let outcome = |client: &str| {
            let query = Query { client: client.parse().unwrap(), ..query(&bad) };
            let explained = snapshot.explain(&query, None).remove(0).fate;
            match snapshot.begin(&query) {
                Step::Decided { hit, .. } => (verdict(Some(&hit)), 0, explained),
                Step::Resolve(evaluation) => {
                    let facts = answer(&["bad.test"], "192.0.2.9");
                    let outcome = evaluation.finish(&facts);
                    (verdict(outcome.hit.as_ref()), outcome.observed.len(), explained)
                }
            }
        };
        assert_eq!(outcome("192.0.2.3"), (Some((0, "nxdomain")), 0, Fate::Decides));
        assert_eq!(outcome("192.0.2.1"), (None, 1, Fate::Observes));
        assert_eq!(outcome("192.0.2.2"), (None, 0, Fate::ZoneOff));
    }

    #[test]
    fn a_zone_that_observes_reports_and_holds_nobody_up() {
        let observing = ZoneOptions { mode: Mode::Observe, ..ZoneOptions::ours() };
        let rules = [("qname www.bad.test", Action::NxDomain), ("ip 192.0.2.1", Action::Drop)];
        let snapshot = snapshot(vec![
            zone_with(observing, &rules),
            zone(&[("qname www.bad.test", Action::NoData)]),
        ]);
        let bad = name("www.bad.test");
        let Step::Decided { hit, observed } = snapshot.begin(&query(&bad)) else { panic!("waits") };
        assert_eq!(verdict(Some(&hit)), Some((1, "nodata")));
        assert_eq!(verdict(observed.first()), Some((0, "nxdomain")));
        let other = name("www.good.test");
        let Step::Resolve(evaluation) = snapshot.begin(&query(&other)) else { panic!("decided") };
        assert!(evaluation.needs().answer_addresses);
        let facts = answer(&["www.good.test"], "192.0.2.1");
        let outcome = evaluation.finish(&facts);
        assert_eq!((outcome.hit, outcome.observed.len()), (None, 1));
    }

    #[test]
    fn a_rule_for_a_name_that_cannot_be_resolved_applies_all_the_same() {
        let snapshot = snapshot(vec![
            zone(&[("ip 192.0.2.1", Action::Passthru)]),
            zone(&[("qname down.test", Action::NxDomain)]),
        ]);
        let nothing = AnswerFacts::default();
        assert_eq!(late(&snapshot, &query(&name("down.test")), &nothing), Some((1, "nxdomain")));
    }
}

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
    snapshot: &'a Snapshot,
    query: Query<'a>,
    applying: ZoneSet,
    /// The zones in which the client or the query name matched.
    matched: ZoneSet,
    /// The position of the zone whose rule for the query nothing but an earlier zone can beat.
    settled: Option<usize>,
}

/// Whether policy needs something about the servers on the data path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// No rule looks at it.
    No,
    /// Rules look at what is known; nobody waits for more.
    IfKnown,
    /// The answer waits until it is known.
    Wait,
}

/// What [`Evaluation::finish`] will look at, so that nothing else is gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// Whether addresses in the answer matter.
    pub answer_addresses: bool,
    /// The names of servers.
    pub nameserver_names: Need,
    /// The addresses of servers.
    pub nameserver_addresses: Need,
    /// Servers of zone cuts of at most this many labels are not looked at: 0 is the root, 1 its
    /// children (`min-ns-dots` of the least demanding zone).
    pub zone_labels_ignored: u8,
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
            match (self.acting.has(position), unless_signed) {
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
        let rivals = self.applying.and(self.snapshot.acting).before(hit.zone);
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

    /// What of the answer [`Evaluation::finish`] will look at.
    pub fn needs(&self) -> Needs {
        // A rule of a later zone cannot be preferred to a settled one, nor a later kind of its own.
        let zones = match self.settled {
            Some(position) => self.applying.before(position),
            None => self.applying,
        };
        let having = |kind: TriggerKind| zones.and(self.snapshot.having[kind as usize]);
        let options = |position: usize| &self.snapshot.zones[position].policy.options;
        // Nobody waits for the sake of a zone that only observes.
        let acting = |position: &usize| self.snapshot.acting.has(*position);
        let need = |kind, waits: &dyn Fn(usize) -> bool| match having(kind) {
            none if none.is_empty() => Need::No,
            some if some.positions().filter(acting).any(waits) => Need::Wait,
            _ => Need::IfKnown,
        };
        let servers =
            having(TriggerKind::NameserverName).or(having(TriggerKind::NameserverAddress));
        Needs {
            answer_addresses: !having(TriggerKind::AnswerAddress).is_empty(),
            nameserver_names: need(TriggerKind::NameserverName, &|position| {
                options(position).nsdname_wait_recurse
            }),
            nameserver_addresses: need(TriggerKind::NameserverAddress, &|position| {
                options(position).nsip_wait_recurse
            }),
            zone_labels_ignored: servers
                .positions()
                .map(|position| options(position).min_ns_dots)
                .min()
                .unwrap_or(u8::MAX),
        }
    }

    /// The second step. The first of the facts' steps stands for the query name; where there is
    /// none, because nothing could be resolved, the query alone is looked at.
    pub fn finish<'f>(self, facts: &'f AnswerFacts) -> Outcome<'f>
    where
        'a: 'f,
    {
        let mut outcome = Outcome::default();
        // Each observing zone reports once.
        let mut watching = self.applying.without(self.snapshot.acting);
        let stages = if self.query.follows_aliases() { facts.steps.len().max(1) } else { 1 };
        for number in 0..stages {
            let zones = self.zones_with_rules_at(number).and(watching.or(self.snapshot.acting));
            if zones.is_empty() {
                continue;
            }
            let stage = self.stage(number, facts);
            for position in zones.positions() {
                let Some(candidate) = self.best(position, &stage) else { continue };
                if self.snapshot.acting.has(position) {
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

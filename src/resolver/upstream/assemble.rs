//! From the pieces that upstream servers gave to one resolution. Pure.
//!
//! Servers add what nobody asked for; only what hangs together with the question is taken: the
//! aliases one after another, the data at their end, and for a negative answer the SOA.

use std::sync::Arc;

use crate::model::{AnswerFacts, AnswerStep, Name, Nameserver};
use crate::ports::upstream::{RCODE_NAME_ERROR, RCODE_NO_ERROR, RCODE_SERVER_FAILURE};
use crate::ports::{
    ExtendedError, Question, Record, Resolution, Sections, Security, UpstreamError,
};

use super::convert::{Item, Meaning, Outcome};

/// Longer chains are loops for all practical purposes (BIND's max-query-restarts is 11, and 16
/// was its limit before).
pub(super) const CHAIN_MAX: usize = 16;

/// Record types that resolution treats specially.
pub(super) mod rtype {
    pub const A: u16 = 1;
    pub const NS: u16 = 2;
    pub const CNAME: u16 = 5;
    pub const SOA: u16 = 6;
    pub const AAAA: u16 = 28;
    pub const DNAME: u16 = 39;
    pub const RRSIG: u16 = 46;
    pub const NSEC: u16 = 47;
    pub const NSEC3: u16 = 50;
    pub const ANY: u16 = 255;
}

/// How a chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// With records of the type asked for.
    Data,
    /// With a name that has no such record here.
    Nothing,
    /// With a name that is somebody else's to answer.
    Elsewhere,
    /// In a name that stood in it before, or not within the steps allowed.
    Loop,
}

/// The way from a name through the aliases of an answer section.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chain {
    /// Positions in the answer section, in order.
    taken: Vec<usize>,
    /// The target of each alias.
    pub names: Vec<Name>,
    pub end: End,
}

impl Chain {
    /// Follows `answers` from `name` to data of type `wanted`, over at most `steps_max` aliases
    /// and no further than the first target that is `elsewhere`.
    pub fn follow(
        name: &Name,
        wanted: u16,
        answers: &[Item],
        steps_max: usize,
        elsewhere: impl Fn(&Name) -> bool,
    ) -> Self {
        let mut chain = Self { taken: Vec::new(), names: Vec::new(), end: End::Nothing };
        loop {
            let current = chain.names.last().unwrap_or(name).clone();
            if chain.take_data(&current, wanted, answers) {
                chain.end = End::Data;
                return chain;
            }
            let Some(target) = alias_of(&current, answers).filter(|_| is_followed(wanted)) else {
                return chain;
            };
            let is_known = target == name || chain.names.contains(target);
            if is_known || chain.names.len() == steps_max {
                chain.end = End::Loop;
                return chain;
            }
            chain.take_alias(&current, answers);
            chain.names.push(target.clone());
            if elsewhere(target) {
                chain.end = End::Elsewhere;
                return chain;
            }
        }
    }

    fn take_data(&mut self, at: &Name, wanted: u16, answers: &[Item]) -> bool {
        let here = |item: &Item| item.owner == *at;
        let matches = |item: &Item| wanted == rtype::ANY || item.record.rtype == wanted;
        let before = self.taken.len();
        self.take(answers, |item| here(item) && matches(item));
        let found = self.taken.len() > before;
        if found && wanted != rtype::ANY {
            self.take(answers, |item| here(item) && item.covers(wanted));
        }
        found
    }

    /// The alias itself, and the DNAME it was made from.
    fn take_alias(&mut self, at: &Name, answers: &[Item]) {
        let above =
            |item: &Item| item.owner != *at && at.as_ref().is_at_or_below(item.owner.as_ref());
        for kind in [rtype::DNAME, rtype::CNAME] {
            let stands = |item: &Item| match kind {
                rtype::DNAME => above(item),
                _ => item.owner == *at,
            };
            self.take(answers, |item| item.record.rtype == kind && stands(item));
            self.take(answers, |item| item.covers(kind) && stands(item));
        }
    }

    fn take(&mut self, answers: &[Item], wanted: impl Fn(&Item) -> bool) {
        for (at, item) in answers.iter().enumerate() {
            if wanted(item) && !self.taken.contains(&at) {
                self.taken.push(at);
            }
        }
    }
}

impl Item {
    fn covers(&self, kind: u16) -> bool {
        self.meaning == Meaning::Signature { covers: kind }
    }
}

/// Questions about the alias itself, and for everything, end at the alias.
pub(super) fn is_followed(wanted: u16) -> bool {
    wanted != rtype::CNAME && wanted != rtype::ANY
}

/// The target of the first CNAME at `name`.
pub(super) fn alias_of<'a>(name: &Name, answers: &'a [Item]) -> Option<&'a Name> {
    answers.iter().find_map(|item| match &item.meaning {
        Meaning::Alias(target) if item.owner == *name => Some(target),
        _ => None,
    })
}

/// A resolution in the making.
#[derive(Debug)]
pub(super) struct Assembly<'q> {
    question: &'q Question,
    answers: Vec<Record>,
    security: Security,
    /// The query name and the targets of aliases; their nameservers come at the end.
    steps: Vec<AnswerStep>,
    /// Targets of service records, which follow the aliases in the facts.
    service_targets: Vec<Name>,
    extended: Vec<ExtendedError>,
}

fn step(name: Name) -> AnswerStep {
    AnswerStep { name, ..AnswerStep::default() }
}

impl<'q> Assembly<'q> {
    pub fn new(question: &'q Question) -> Self {
        Self {
            question,
            answers: Vec::new(),
            security: Security::Secure,
            steps: vec![step(question.name.clone())],
            service_targets: Vec::new(),
            extended: Vec::new(),
        }
    }

    /// The query name and the names of the chain so far.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &Name> {
        self.steps.iter().map(|step| &step.name)
    }

    /// The name that is to be asked next.
    pub fn current(&self) -> &Name {
        self.names().next_back().expect("the query name is the first step")
    }

    /// The type asked for.
    pub fn wanted(&self) -> u16 {
        self.question.rtype
    }

    /// Aliases that may still be followed.
    pub fn steps_left(&self) -> usize {
        CHAIN_MAX + 1 - self.steps.len()
    }

    /// Adds what a chain took from `outcome`, or says that it comes back to a name it had.
    pub fn extend(&mut self, outcome: &Outcome, chain: &Chain) -> Result<(), UpstreamError> {
        let had = |name: &Name| self.names().any(|known| known == name);
        if chain.end == End::Loop || chain.names.iter().any(had) {
            return Err(alias_loop());
        }
        self.steps.extend(chain.names.iter().cloned().map(step));
        let dnssec = self.question.dnssec_ok;
        for item in chain.taken.iter().map(|&at| &outcome.answers[at]) {
            self.note(item);
            if dnssec || item.record.rtype != rtype::RRSIG || self.question.rtype == rtype::RRSIG {
                self.answers.push(item.record.clone());
            }
        }
        self.security = self.security.max(outcome.security.unwrap_or(Security::Secure));
        self.extended.extend(outcome.extended.iter().cloned());
        Ok(())
    }

    fn note(&mut self, item: &Item) {
        let addresses = match &item.meaning {
            Meaning::Address(address) => std::slice::from_ref(address),
            Meaning::Service { hints, alias } => {
                self.service_targets.extend(alias.iter().cloned());
                hints
            }
            Meaning::Signature { .. } => return,
            _ => &[],
        };
        self.security = self.security.max(item.security);
        if let Some(step) = self.steps.iter_mut().find(|step| step.name == item.owner) {
            step.addresses.extend_from_slice(addresses);
        }
    }

    /// Ends with what `outcome`, the last one, says about the end of the chain. `servers` gives those
    /// of the zone cuts on the way to a name.
    pub fn finish(
        mut self,
        outcome: &Outcome,
        end: End,
        servers: impl Fn(&Name) -> Vec<Arc<[Nameserver]>>,
    ) -> Result<Resolution, UpstreamError> {
        let is_negative = end != End::Data;
        let (authorities, negative_ttl) = self.authorities(outcome, is_negative);
        self.steps.extend(self.service_targets.drain(..).map(step));
        for step in &mut self.steps {
            step.nameservers = servers(&step.name);
        }
        let is_signature = |record: &Record| record.rtype == rtype::RRSIG;
        let signed = self.answers.iter().chain(&authorities).any(is_signature);
        if self.security == Security::Bogus && !self.question.checking_disabled {
            return Err(bogus(self.extended.iter().chain(&outcome.extended)));
        }
        let ttl = self.answers.iter().map(|record| record.ttl).min();
        let ttl_seconds = match is_negative {
            true => negative_ttl.unwrap_or(0).min(ttl.unwrap_or(u32::MAX)),
            false => ttl.unwrap_or(0),
        };
        let name = self.question.name.as_ref();
        let sections = Sections::encode(name, &self.answers, &authorities)
            .map_err(|error| failed(ExtendedError::OTHER, error.to_string()))?;
        Ok(Resolution {
            rcode: if is_negative { outcome.rcode } else { RCODE_NO_ERROR },
            is_negative,
            sections,
            security: self.security,
            ttl_seconds,
            facts: AnswerFacts { steps: self.steps, signed },
            extended_errors: self.extended,
        })
    }

    /// The failure to resolve the end of the chain, with the chain if there is one.
    pub fn broken(
        mut self,
        error: UpstreamError,
        servers: impl Fn(&Name) -> Vec<Arc<[Nameserver]>>,
    ) -> UpstreamError {
        if self.steps.len() == 1 {
            return error;
        }
        self.steps.extend(self.service_targets.drain(..).map(step));
        for step in &mut self.steps {
            step.nameservers = servers(&step.name);
        }
        let name = self.question.name.as_ref();
        let Ok(sections) = Sections::encode(name, &self.answers, &[]) else { return error };
        let chain = Resolution {
            rcode: RCODE_SERVER_FAILURE,
            is_negative: true,
            sections,
            security: self.security.max(Security::Indeterminate),
            ttl_seconds: 0,
            facts: AnswerFacts { steps: self.steps, signed: false },
            extended_errors: self.extended,
        };
        UpstreamError::Broken { error: Box::new(error), chain: Arc::new(chain) }
    }

    /// The SOA of a negative answer with the time to live of RFC 2308 section 5; with DO the
    /// proofs that come with it, and those of a wildcard answer (RFC 4035 section 3.1.3).
    fn authorities(&mut self, outcome: &Outcome, is_negative: bool) -> (Vec<Record>, Option<u32>) {
        let dnssec = self.question.dnssec_ok;
        let mut negative_ttl = None;
        let mut records = Vec::new();
        for item in &outcome.authorities {
            let mut record = item.record.clone();
            match (&item.meaning, record.rtype) {
                (Meaning::Authority { minimum }, _) if is_negative => {
                    record.ttl = record.ttl.min(*minimum);
                    negative_ttl.get_or_insert(record.ttl);
                }
                (Meaning::Signature { covers: rtype::SOA }, _) if is_negative && dnssec => {}
                (Meaning::Signature { covers: rtype::NSEC | rtype::NSEC3 }, _) if dnssec => {}
                (_, rtype::NSEC | rtype::NSEC3) if dnssec => {}
                _ => continue,
            }
            records.push(record);
        }
        let proofs = outcome.authorities.iter().filter(|item| {
            !matches!(item.meaning, Meaning::Signature { .. } | Meaning::Nameserver(_))
        });
        if is_negative {
            let found = proofs.map(|item| item.security).max();
            self.security = self.security.max(found.unwrap_or(Security::Indeterminate));
        }
        (records, negative_ttl)
    }
}

impl Outcome {
    /// Whether this says that a name or its data does not exist, rather than nothing at all.
    pub fn is_negative(&self) -> bool {
        let has_soa = || self.authorities.iter().any(|i| i.record.rtype == rtype::SOA);
        self.rcode == RCODE_NAME_ERROR || has_soa()
    }
}

pub(super) fn failed(code: u16, text: impl Into<String>) -> UpstreamError {
    UpstreamError::Failed(ExtendedError::new(code, text))
}

pub(super) fn alias_loop() -> UpstreamError {
    failed(ExtendedError::OTHER, "the aliases (CNAME) form a loop or are too many")
}

/// The first of `reasons` that is about validation, or just that it failed.
pub(super) fn bogus<'e>(reasons: impl IntoIterator<Item = &'e ExtendedError>) -> UpstreamError {
    let is_about_validation = |error: &&ExtendedError| ExtendedError::DNSSEC.contains(&error.code);
    let reason = reasons.into_iter().find(is_about_validation).cloned();
    UpstreamError::Bogus(reason.unwrap_or_else(|| {
        ExtendedError::new(ExtendedError::DNSSEC_BOGUS, "DNSSEC validation failed")
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{items, outcome, parsed};
    use super::*;
    use crate::ports::Ttl;

    fn texts(names: &[Name]) -> Vec<String> {
        names.iter().map(Name::to_string).collect()
    }

    /// Each name of the chain with how many addresses it has.
    fn steps(resolution: &Resolution) -> Vec<(String, usize)> {
        let of = |step: &AnswerStep| (step.name.to_string(), step.addresses.len());
        resolution.facts.steps.iter().map(of).collect()
    }

    fn follow(name: &str, wanted: u16, zone: &str) -> (Chain, Vec<String>) {
        let answers = items(zone);
        let chain = Chain::follow(&parsed(name), wanted, &answers, CHAIN_MAX, |_| false);
        let taken = chain.taken.iter().map(|&at| answers[at].owner.to_string()).collect();
        (chain, taken)
    }

    #[test]
    fn a_chain_takes_only_what_hangs_together_with_the_question() {
        let (chain, taken) = follow(
            "www.a.test",
            rtype::A,
            "x.b.test. 5 IN A 192.0.2.1
             www.a.test. 5 IN CNAME x.b.test.
             other.test. 5 IN A 192.0.2.2
             x.b.test. 5 IN AAAA 2001:db8::1",
        );
        assert_eq!((chain.end, texts(&chain.names)), (End::Data, vec!["x.b.test".to_owned()]));
        assert_eq!(taken, ["www.a.test", "x.b.test"]);
    }

    #[test]
    fn a_question_about_the_alias_ends_at_the_alias() {
        for wanted in [rtype::CNAME, rtype::ANY] {
            let (chain, taken) = follow("a.test", wanted, "a.test. 5 IN CNAME b.test.");
            assert_eq!((chain.end, chain.names.len(), taken.len()), (End::Data, 0, 1));
        }
    }

    #[test]
    fn loops_and_endless_chains_are_told_from_ends() {
        let (chain, _) = follow("a.test", 1, "a.test. 5 CNAME b.test.\nb.test. 5 CNAME a.test.");
        assert_eq!(chain.end, End::Loop);
        let step = |n: usize| format!("n{n}.test. 5 IN CNAME n{}.test.\n", n + 1);
        let (chain, _) = follow("n0.test", 1, &(0..CHAIN_MAX).map(step).collect::<String>());
        assert_eq!((chain.end, chain.names.len()), (End::Nothing, CHAIN_MAX));
        let (chain, _) = follow("n0.test", 1, &(0..=CHAIN_MAX).map(step).collect::<String>());
        assert_eq!(chain.end, End::Loop);
    }

    fn resolve(question: &Question, outcome: &Outcome) -> Result<Resolution, UpstreamError> {
        let mut assembly = Assembly::new(question);
        let chain = Chain::follow(
            &question.name,
            question.rtype,
            &outcome.answers,
            assembly.steps_left(),
            |_| false,
        );
        assembly.extend(outcome, &chain)?;
        assembly.finish(outcome, chain.end, |_| Vec::new())
    }

    #[test]
    fn a_negative_end_keeps_its_chain_and_counts_by_the_soa() {
        let mut outcome = outcome(
            "a.test. 300 IN CNAME gone.b.test.",
            "b.test. 3600 IN SOA ns.b.test. h.b.test. 1 2 3 4 60
             b.test. 3600 IN NS ns.b.test.",
        );
        outcome.rcode = RCODE_NAME_ERROR;
        let resolution = resolve(&Question::plain(parsed("a.test"), 1), &outcome).unwrap();
        assert_eq!(resolution.rcode, RCODE_NAME_ERROR);
        assert_eq!(steps(&resolution), [("a.test".into(), 0), ("gone.b.test".into(), 0)]);
        assert_eq!(resolution.ttl_seconds, 60);
        assert_eq!(resolution.sections.answer_count(), 1);
        let authorities = resolution.sections.authorities();
        assert_eq!((authorities.len(), authorities[0].ttl), (1, 60));
    }

    #[test]
    fn a_positive_answer_drops_the_authority_section_and_lives_as_its_shortest_record() {
        let outcome = outcome(
            "a.test. 300 IN CNAME b.test.
             b.test. 20 IN A 192.0.2.1",
            "test. 3600 IN NS ns.test.",
        );
        let resolution = resolve(&Question::plain(parsed("a.test"), 1), &outcome).unwrap();
        assert_eq!((resolution.ttl_seconds, resolution.sections.authority_count()), (20, 0));
        assert_eq!(steps(&resolution), [("a.test".into(), 0), ("b.test".into(), 1)]);
        let mut message = vec![0; resolution.sections.message_offset()];
        resolution.sections.append_to(&mut message, Ttl::Aged(0));
        assert!(message.len() > resolution.sections.message_offset());
    }

    #[test]
    fn service_aliases_follow_the_chain_and_hints_are_addresses() {
        let outcome = outcome(
            "a.test. 300 IN CNAME b.test.
             b.test. 20 IN HTTPS 0 c.test.
             b.test. 20 IN HTTPS 1 . ipv4hint=192.0.2.9",
            "",
        );
        let resolution = resolve(&Question::plain(parsed("a.test"), 65), &outcome).unwrap();
        let expected = [("a.test".into(), 0), ("b.test".into(), 1), ("c.test".into(), 0)];
        assert_eq!(steps(&resolution), expected);
    }

    #[test]
    fn one_bogus_record_fails_the_whole_unless_checking_is_disabled() {
        let mut outcome = outcome("a.test. 5 IN CNAME b.test.\nb.test. 5 IN A 192.0.2.1", "");
        outcome.answers.iter_mut().for_each(|item| item.security = Security::Secure);
        let mut question = Question::plain(parsed("a.test"), 1);
        assert_eq!(resolve(&question, &outcome).unwrap().security, Security::Secure);
        outcome.answers[0].security = Security::Bogus;
        assert_eq!(resolve(&question, &outcome), Err(bogus([])));
        question.checking_disabled = true;
        assert_eq!(resolve(&question, &outcome).unwrap().security, Security::Bogus);
    }

    #[test]
    fn signatures_and_proofs_come_only_with_do() {
        let mut outcome = outcome("a.test. 5 IN A 192.0.2.1\na.test. 5 IN TXT signature", "");
        outcome.answers[1].record.rtype = rtype::RRSIG;
        outcome.answers[1].meaning = Meaning::Signature { covers: rtype::A };
        let mut question = Question::plain(parsed("a.test"), 1);
        for (dnssec_ok, answers) in [(false, 1), (true, 2)] {
            question.dnssec_ok = dnssec_ok;
            let resolution = resolve(&question, &outcome).unwrap();
            assert_eq!(resolution.sections.answer_count(), answers);
            assert_eq!(resolution.facts.signed, dnssec_ok);
        }
    }
}

//! From a question to a reply, as far as what is known goes.
//!
//! [`Flow::attempt`] is the one way an answer is made. It never waits: where it needs to know what
//! the world says to a question, it says so, and is made again from the start once that is known.
//! So the thread that answers from memory and the task that waits for the upstream run the same
//! code, and policy is decided in one go with all facts.

#[cfg(test)]
mod tests;
mod text;
mod translate;

use std::borrow::Cow;

use super::cache::{Answer, QuestionRef};
use super::dns64::Dns64;
use super::handler::{Client, InForce};
use super::message::{Request, rcode, rtype};
use super::packet_cache::{Account, Counted};
use super::reply::{Body, Envelope, Reply, SoaPlace, SoaRecord};
use super::rewrite::{self, Lead};
use super::special::{self, SpecialAnswer, SpecialZones};
use crate::model::{AnswerFacts, Name, NameRef, RrSet};
use crate::ports::{Question, Record, Sections, Security, Ttl, UpstreamError};
use crate::snapshot::{self, Hit, Response, Step};
use crate::telemetry::events::PolicyHit;
use crate::telemetry::{CacheLookup, Outcome, Transport};
use text::{Text, reason};

/// Not Authoritative (RFC 8914 section 4.21).
const NOT_AUTHORITATIVE: u16 = 20;

/// What the upstream said to the questions of this very query.
pub(super) type Resolved = Vec<(Question, Result<Answer, UpstreamError>)>;

/// One query, and all it takes to answer it.
pub(super) struct Flow<'a> {
    pub request: &'a Request<'a>,
    pub envelope: Envelope<'a>,
    pub client: Client,
    pub in_force: &'a InForce,
    pub special: &'a SpecialZones,
    pub minimal_any: &'a [RrSet],
    /// How addresses are made up, for a client that gets them.
    pub dns64: Option<&'a Dns64>,
    pub recall: &'a dyn Fn(QuestionRef<'_>) -> Option<Result<Answer, UpstreamError>>,
    pub resolved: &'a Resolved,
}

/// Where an attempt leads.
pub(super) enum Attempt {
    /// The reply is written, or silence is due.
    Done(Done),
    /// This has to be known first.
    Needs(Question),
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Done {
    pub outcome: Outcome,
    pub policy: Option<PolicyHit>,
    pub cache: Option<CacheLookup>,
    pub counted: Hits,
}

impl Done {
    /// What is to be said of the same reply again; none where there was more to it than one
    /// answer or one rule.
    pub fn account(&self) -> Option<Account> {
        let whole = matches!(
            (self.outcome, self.cache),
            (Outcome::Rewritten | Outcome::Truncated, None)
                | (Outcome::Resolved, Some(CacheLookup::Hit))
        );
        let counted = match self.counted {
            Hits::None => None,
            Hits::One(hit) => Some(hit),
            Hits::Several => return None,
        };
        whole.then_some(Account { outcome: self.outcome, cache: self.cache, counted })
    }
}

/// The rules whose hits were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hits {
    None,
    One(Counted),
    Several,
}

/// What the world says to a question.
enum Truth<'a> {
    /// A zone that is served here.
    Special(SpecialAnswer<'a>),
    /// ANY, to which there is but one answer (RFC 8482 section 4.2).
    MinimalAny,
    Resolved(Answer, CacheLookup),
    Failed(UpstreamError),
    /// Nobody was to be asked (RD=0), and memory has nothing.
    NotHere,
}

impl Truth<'_> {
    fn known(result: Result<Answer, UpstreamError>, lookup: CacheLookup) -> Self {
        match result {
            Ok(answer) if answer.extended_error.is_some() => {
                Self::Resolved(answer, CacheLookup::Stale)
            }
            Ok(answer) => Self::Resolved(answer, lookup),
            Err(error) => Self::Failed(error),
        }
    }

    fn facts(&self) -> Option<&AnswerFacts> {
        match self {
            Self::Resolved(answer, _) => Some(&answer.resolution.facts),
            Self::Failed(error) => error.chain().map(|chain| &chain.facts),
            _ => None,
        }
    }

    fn cache(&self) -> Option<CacheLookup> {
        match self {
            Self::Resolved(_, lookup) => Some(*lookup),
            Self::Failed(_) | Self::NotHere => Some(CacheLookup::Miss),
            Self::Special(_) | Self::MinimalAny => None,
        }
    }
}

impl<'a> Flow<'a> {
    /// Writes the reply, or says what it takes.
    pub fn attempt(&self, out: &mut Vec<u8>) -> Attempt {
        match self.evaluate(out) {
            Ok(done) => Attempt::Done(done),
            Err(question) => Attempt::Needs(question),
        }
    }

    fn evaluate(&self, out: &mut Vec<u8>) -> Result<Done, Question> {
        let request = self.request;
        let query = snapshot::Query {
            name: request.name,
            rtype: request.rtype,
            client: self.client.address.ip(),
            transport: self.transport(),
            recursion_desired: request.recursion_desired(),
            dnssec_ok: request.dnssec_ok(),
        };
        match self.in_force.snapshot().begin(&query) {
            Step::Decided { hit, observed } => {
                let (outcome, cache) = self.act(&hit, None, out)?;
                Ok(self.done(outcome, cache, Some(&hit), &observed))
            }
            Step::Resolve(evaluation) => {
                let truth = self.truth()?;
                let nothing = AnswerFacts::default();
                let decided = evaluation.finish(truth.facts().unwrap_or(&nothing));
                let (outcome, cache) = match &decided.hit {
                    Some(hit) => self.act(hit, Some(&truth), out)?,
                    None => (self.tell(&truth, out), truth.cache()),
                };
                Ok(self.done(outcome, cache, decided.hit.as_ref(), &decided.observed))
            }
        }
    }

    fn transport(&self) -> snapshot::Transport {
        match self.client.transport {
            Transport::Udp => snapshot::Transport::Udp,
            _ => snapshot::Transport::Tcp,
        }
    }

    /// Counts the rules that matched and says what was done.
    fn done(
        &self,
        outcome: Outcome,
        cache: Option<CacheLookup>,
        hit: Option<&Hit<'_>>,
        observed: &[Hit<'_>],
    ) -> Done {
        let counted = |hit: &Hit<'_>, enforced| Counted {
            zone: hit.zone,
            kind: hit.kind,
            action: hit.response.as_str(),
            enforced,
        };
        let observed = observed.iter().map(|hit| counted(hit, false));
        let hits = observed.chain(hit.map(|hit| counted(hit, true)));
        let (mut policy, mut all) = (None, Hits::None);
        for hit in hits {
            // What was enforced is said before what was observed, and of that the first.
            let told = self.in_force.count(hit);
            if hit.enforced || policy.is_none() {
                policy = told;
            }
            all = match all {
                Hits::None => Hits::One(hit),
                _ => Hits::Several,
            };
        }
        Done { outcome, policy, cache, counted: all }
    }

    /// What the world says to the question as it was asked.
    fn truth(&self) -> Result<Truth<'a>, Question> {
        let request = self.request;
        if let Some(answer) = self.special.answer(request.name, request.rtype) {
            return Ok(Truth::Special(answer));
        }
        if request.rtype == rtype::ANY {
            return Ok(Truth::MinimalAny);
        }
        let recurse = request.recursion_desired();
        if let Some((target, dns64)) = self.translated_pointer() {
            return self.truth_of_pointer(target, dns64, recurse);
        }
        let truth = self.look_up(request.name, request.rtype, request.dnssec_ok(), recurse)?;
        self.translated(request.name, truth, request.dnssec_ok(), recurse)
    }

    /// What the world says to the same question about the target of a policy's alias. Policy does
    /// not apply to it, and its signatures would be of no use.
    fn truth_of_target(&self, target: NameRef<'_>) -> Result<Truth<'a>, Question> {
        match self.special.answer(target, self.request.rtype) {
            Some(answer) => Ok(Truth::Special(answer)),
            None => {
                let truth = self.look_up(target, self.request.rtype, false, true)?;
                self.translated(target, truth, false, true)
            }
        }
    }

    fn look_up(
        &self,
        name: NameRef<'_>,
        rtype: u16,
        dnssec_ok: bool,
        recurse: bool,
    ) -> Result<Truth<'a>, Question> {
        let question = QuestionRef {
            name,
            rtype,
            dnssec_ok,
            checking_disabled: self.request.checking_disabled(),
        };
        let resolved = self.resolved.iter().find(|(asked, _)| QuestionRef::from(asked) == question);
        if let Some((_, result)) = resolved {
            return Ok(Truth::known(result.clone(), CacheLookup::Miss));
        }
        match (self.recall)(question) {
            Some(result) => Ok(Truth::known(result, CacheLookup::Hit)),
            None if recurse => Err(question.to_owned()),
            None => Ok(Truth::NotHere),
        }
    }

    /// Writes the truth.
    fn tell(&self, truth: &Truth<'_>, out: &mut Vec<u8>) -> Outcome {
        let wanted = self.request.rtype;
        let made;
        let (reply, outcome) = match truth {
            Truth::Special(answer) => {
                let place = SoaPlace::Authority;
                let soa = SoaRecord { wire: answer.soa, ttl: special::TTL_SECONDS, place };
                made = self.made(answer.sets);
                let sets = made.as_deref().unwrap_or(answer.sets);
                let answer = SpecialAnswer { sets, ..*answer };
                let body = Body::Data { sets: answer.sets, rtype: wanted, ttl_max: u32::MAX };
                let reply = Reply {
                    authoritative: true,
                    body,
                    soa: answer.is_negative(wanted).then_some(soa),
                    ..Reply::empty(answer.rcode)
                };
                (reply, Outcome::Resolved)
            }
            Truth::MinimalAny => {
                let body =
                    Body::Data { sets: self.minimal_any, rtype: rtype::ANY, ttl_max: u32::MAX };
                (Reply { body, ..Reply::empty(rcode::NO_ERROR) }, Outcome::Resolved)
            }
            Truth::Resolved(answer, _) => {
                let resolution = &answer.resolution;
                let secure = resolution.security == Security::Secure;
                let stale = answer.extended_error.as_ref();
                let reply = Reply {
                    authenticated: secure && self.request.wants_authenticated_data(),
                    body: Body::Sections(&resolution.sections, answer.ttl),
                    reason: stale.map(|error| (error.code, error.text.as_str())),
                    errors: &resolution.extended_errors,
                    ..Reply::empty(resolution.rcode)
                };
                (reply, Outcome::Resolved)
            }
            Truth::Failed(error) => return self.fail(error, out),
            Truth::NotHere => {
                let reason = Some((NOT_AUTHORITATIVE, "recursion was not desired"));
                (Reply { reason, ..Reply::empty(rcode::REFUSED) }, Outcome::Refused)
            }
        };
        reply.write(&self.envelope, out);
        outcome
    }

    fn fail(&self, error: &UpstreamError, out: &mut Vec<u8>) -> Outcome {
        let errors = [error.extended_error()];
        let reply = Reply { errors: &errors, ..Reply::empty(rcode::SERVER_FAILURE) };
        reply.write(&self.envelope, out);
        Outcome::Failed
    }

    /// Does what a rule says. `truth` is what the world says, where that is known already.
    fn act(
        &self,
        hit: &Hit<'_>,
        truth: Option<&Truth<'_>>,
        out: &mut Vec<u8>,
    ) -> Result<(Outcome, Option<CacheLookup>), Question> {
        let cache = truth.and_then(Truth::cache);
        match &hit.response {
            Response::Drop => {
                out.clear();
                return Ok((Outcome::Silent, cache));
            }
            Response::TcpOnly if self.client.transport == Transport::Udp => {
                let reply = Reply { truncated: true, ..Reply::empty(rcode::NO_ERROR) };
                reply.write(&self.envelope, out);
                return Ok((Outcome::Truncated, cache));
            }
            Response::Passthru | Response::TcpOnly => {
                return Ok(match truth {
                    Some(truth) => (self.tell(truth, out), cache),
                    None => {
                        let truth = self.truth()?;
                        (self.tell(&truth, out), truth.cache())
                    }
                });
            }
            _ => {}
        }
        let lead = match truth {
            Some(Truth::Resolved(answer, _)) if hit.stage > 0 => {
                Some(rewrite::lead(&answer.resolution, answer.ttl, self.request.name, hit.name))
            }
            Some(Truth::Failed(error)) if hit.stage > 0 => error
                .chain()
                .map(|chain| rewrite::lead(chain, Ttl::Aged(0), self.request.name, hit.name)),
            _ => None,
        };
        let outcome = match lead {
            None => self.rewrite_question(hit, out)?,
            Some(lead) => self.rewrite_chain(hit, lead, out)?,
        };
        Ok((outcome, cache))
    }

    /// What a response comes to for this query. Addresses are made up after policy has decided, so
    /// that local data reach clients that have IPv6 alone.
    fn rewritten<'h>(&self, hit: &'h Hit<'_>) -> Rewritten<'h> {
        match (&hit.response, rewritten(hit, self.request.rtype)) {
            (Response::Data(sets), Rewritten::Negative(_)) => match self.made(sets) {
                Some(made) => Rewritten::Data(Cow::Owned(made)),
                None => Rewritten::Negative(rcode::NO_ERROR),
            },
            (_, rewritten) => rewritten,
        }
    }

    /// Rewrites the answer at the query name.
    fn rewrite_question(&self, hit: &Hit<'_>, out: &mut Vec<u8>) -> Result<Outcome, Question> {
        let wanted = self.request.rtype;
        match self.rewritten(hit) {
            Rewritten::Negative(code) => self.write(hit, code, Body::Empty, true, out),
            Rewritten::Data(sets) => {
                let body = Body::Data { sets: &sets, rtype: wanted, ttl_max: hit.ttl_max };
                self.write(hit, rcode::NO_ERROR, body, false, out);
            }
            Rewritten::Alias { target, ttl } if follows_aliases(wanted) => {
                return self.follow(hit, Vec::new(), target.as_ref(), ttl, out);
            }
            Rewritten::Alias { target, ttl } => {
                let body = Body::Alias { target: target.as_ref(), ttl };
                self.write(hit, rcode::NO_ERROR, body, false, out);
            }
        }
        Ok(Outcome::Rewritten)
    }

    /// Rewrites the answer at a later name of the chain.
    fn rewrite_chain(
        &self,
        hit: &Hit<'_>,
        lead: Lead,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Question> {
        let mut records = lead.records;
        match self.rewritten(hit) {
            _ if !lead.complete => self.compose(hit, rcode::NO_ERROR, &records, &[], out),
            Rewritten::Negative(code) => self.compose(hit, code, &records, &[], out),
            Rewritten::Data(sets) => {
                let wanted = self.request.rtype;
                records.extend(rewrite::data(hit.name, &sets, wanted, hit.ttl_max));
                self.compose(hit, rcode::NO_ERROR, &records, &[], out);
            }
            Rewritten::Alias { target, ttl } => {
                return self.follow(hit, records, target.as_ref(), ttl, out);
            }
        }
        Ok(Outcome::Rewritten)
    }

    /// Writes an alias, what led to it and what it leads to.
    fn follow(
        &self,
        hit: &Hit<'_>,
        mut records: Vec<Record>,
        target: NameRef<'_>,
        ttl: u32,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Question> {
        records.push(rewrite::alias(hit.name, target, ttl));
        let (code, (answers, authorities)) = match self.truth_of_target(target)? {
            Truth::Resolved(answer, _) => {
                let resolution = &answer.resolution;
                (resolution.rcode, rewrite::resolved(resolution, answer.ttl))
            }
            Truth::Special(answer) => {
                (answer.rcode, rewrite::special(&answer, target, self.request.rtype))
            }
            Truth::Failed(error) => return Ok(self.fail(&error, out)),
            Truth::MinimalAny | Truth::NotHere => (rcode::NO_ERROR, Default::default()),
        };
        records.extend(answers);
        self.compose(hit, code, &records, &authorities, out);
        Ok(Outcome::Rewritten)
    }

    /// Writes records that were put together.
    fn compose(
        &self,
        hit: &Hit<'_>,
        code: u16,
        answers: &[Record],
        authorities: &[Record],
        out: &mut Vec<u8>,
    ) {
        let sections = Sections::encode(self.request.name, answers, authorities);
        let Ok(sections) = sections else {
            // More than a message can hold.
            return Reply::empty(rcode::SERVER_FAILURE).write(&self.envelope, out);
        };
        let aliases_only = answers.iter().all(|record| record.rtype == rtype::CNAME);
        let negative = authorities.is_empty() && aliases_only;
        self.write(hit, code, Body::Sections(&sections, Ttl::Aged(0)), negative, out);
    }

    /// Writes a rewritten reply.
    fn write(&self, hit: &Hit<'_>, code: u16, body: Body<'_>, negative: bool, out: &mut Vec<u8>) {
        let zone = self.in_force.zone(hit.zone);
        let place = if negative { SoaPlace::Both } else { SoaPlace::Additional };
        let (mut text, mut json) = (Text::default(), String::new());
        let edns = self.request.edns;
        let as_data = edns.is_some_and(|edns| edns.structured_errors);
        let reply = Reply {
            body,
            soa: zone.filter(|zone| zone.policy.options.add_soa).map(|zone| SoaRecord {
                wire: zone.soa,
                ttl: hit.ttl,
                place,
            }),
            reason: zone
                .filter(|_| edns.is_some())
                .and_then(|zone| reason(zone, hit, as_data, &mut text, &mut json)),
            ..Reply::empty(code)
        };
        reply.write(&self.envelope, out);
    }
}

/// What a rewriting response comes to for a type.
enum Rewritten<'h> {
    Negative(u16),
    Data(Cow<'h, [RrSet]>),
    Alias { target: Name, ttl: u32 },
}

fn rewritten<'h>(hit: &'h Hit<'_>, wanted: u16) -> Rewritten<'h> {
    match &hit.response {
        Response::NxDomain => Rewritten::Negative(rcode::NAME_ERROR),
        Response::TooLong => Rewritten::Negative(rcode::NAME_EXISTS),
        // What a service binding says of the target does not hold for the name that was asked
        // (RFC 9460 section 2.4.3), and a browser without one uses plain addresses.
        Response::Alias(_) if is_service_binding(wanted) => Rewritten::Negative(rcode::NO_ERROR),
        Response::Alias(target) => {
            Rewritten::Alias { target: target.clone().into_owned(), ttl: hit.ttl }
        }
        Response::Data(sets) => match rewrite::alias_among(sets, wanted) {
            Some(_) if is_service_binding(wanted) => Rewritten::Negative(rcode::NO_ERROR),
            Some((target, ttl)) => Rewritten::Alias { target, ttl: ttl.min(hit.ttl_max) },
            None if wanted == rtype::ANY || sets.iter().any(|set| set.rtype == wanted) => {
                Rewritten::Data(Cow::Borrowed(sets))
            }
            None => Rewritten::Negative(rcode::NO_ERROR),
        },
        Response::NoData | Response::Passthru | Response::Drop | Response::TcpOnly => {
            Rewritten::Negative(rcode::NO_ERROR)
        }
    }
}

fn is_service_binding(wanted: u16) -> bool {
    matches!(wanted, rtype::SVCB | rtype::HTTPS)
}

/// Whether a question of this type wants what an alias leads to (RFC 1034 section 3.6.2).
fn follows_aliases(wanted: u16) -> bool {
    !matches!(wanted, rtype::CNAME | rtype::ANY)
}

//! Answers for clients that have IPv6 alone, on the way of a query (RFC 6147): what is asked
//! besides, and what is told in place of the truth.

use std::sync::Arc;

use super::super::cache::Answer;
use super::super::dns64::{self, Dns64, Finding};
use super::super::message::rtype;
use super::super::rewrite;
use super::{Flow, Truth};
use crate::model::{Name, NameRef, RrSet};
use crate::ports::{Question, Ttl, UpstreamError};
use crate::telemetry::CacheLookup;

impl<'a> Flow<'a> {
    /// How addresses are made up for this query. A client that validates by itself (CD and DO) gets
    /// none that it would have to reject (RFC 6147 section 5.5).
    fn dns64(&self) -> Option<&'a Dns64> {
        let validates = self.request.checking_disabled() && self.request.dnssec_ok();
        self.dns64.filter(|_| !validates)
    }

    /// What is said of a name's IPv6 addresses where it may have IPv4 addresses alone (RFC 6147
    /// section 5.1).
    pub(super) fn translated(
        &self,
        name: NameRef<'_>,
        truth: Truth<'a>,
        dnssec_ok: bool,
        recurse: bool,
    ) -> Result<Truth<'a>, Question> {
        let Some(dns64) = self.dns64().filter(|_| self.request.rtype == rtype::AAAA) else {
            return Ok(truth);
        };
        let ttl_max = match &truth {
            Truth::Resolved(answer, lookup) => match dns64.judge(&answer.resolution, answer.ttl) {
                Finding::Stands => return Ok(truth),
                Finding::Without(resolution) => {
                    let answer = Answer { resolution: Arc::new(resolution), ..answer.clone() };
                    return Ok(Truth::Resolved(answer, *lookup));
                }
                Finding::Absent { ttl_max } => ttl_max,
            },
            // Servers that do not know the type answer in many ways (section 5.1.2).
            Truth::Failed(error)
                if matches!(error.cause(), UpstreamError::Failed(_) | UpstreamError::Timeout) =>
            {
                dns64::TTL_SECONDS_MAX
            }
            _ => return Ok(truth),
        };
        let found = self.look_up(name, rtype::A, dnssec_ok, recurse)?;
        let Truth::Resolved(answer, lookup) = found else { return Ok(truth) };
        let made = dns64.synthesize(&answer.resolution, answer.ttl, ttl_max);
        Ok(match made {
            // The times to live have run down already.
            Some(made) => {
                let answer =
                    Answer { resolution: Arc::new(made), ttl: Ttl::Aged(0), ..answer.clone() };
                Truth::Resolved(answer, lookup)
            }
            None => truth,
        })
    }

    /// The name that a question about the name of a made-up address is about.
    pub(super) fn translated_pointer(&self) -> Option<(Name, &'a Dns64)> {
        let dns64 = self.dns64().filter(|_| self.request.rtype == rtype::PTR)?;
        Some((dns64.reverse(self.request.name)?, dns64))
    }

    pub(super) fn truth_of_pointer(
        &self,
        target: Name,
        dns64: &Dns64,
        recurse: bool,
    ) -> Result<Truth<'a>, Question> {
        let name = self.request.name;
        let truth = match self.special.answer(target.as_ref(), rtype::PTR) {
            Some(answer) => Truth::Special(answer),
            None => self.look_up(target.as_ref(), rtype::PTR, false, recurse)?,
        };
        let (found, answer, lookup) = match &truth {
            Truth::Resolved(answer, lookup) => (None, Some(answer.clone()), *lookup),
            Truth::Special(of) => {
                let (answers, authorities) = rewrite::special(of, target.as_ref(), rtype::PTR);
                let found = dns64::local(target.as_ref(), of.rcode, &answers, &authorities);
                (found, None, CacheLookup::Hit)
            }
            _ => return Ok(truth),
        };
        let made = match (&found, &answer) {
            (Some(found), _) => dns64.pointer(name, &target, found, Ttl::Aged(0)),
            (_, Some(answer)) => dns64.pointer(name, &target, &answer.resolution, answer.ttl),
            _ => None,
        };
        let Some(made) = made else { return Ok(truth) };
        let extended_error = answer.and_then(|answer| answer.extended_error);
        let answer = Answer { resolution: Arc::new(made), ttl: Ttl::Aged(0), extended_error };
        Ok(Truth::Resolved(answer, lookup))
    }

    /// IPv6 addresses made of local data, where they are asked for and there are none.
    pub(super) fn made(&self, sets: &[RrSet]) -> Option<Vec<RrSet>> {
        self.dns64().filter(|_| self.request.rtype == rtype::AAAA)?.sets(sets)
    }
}

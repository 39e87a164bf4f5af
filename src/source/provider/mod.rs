//! The services that are asked about single indicators: for each, how a question is put and how
//! its answer is read.
//!
//! ```text
//! question ─▶ request ─▶ (client) ─▶ reply ─▶ parse ─▶ facts, or a typed error
//! ```
//!
//! Everything in the modules named for services is pure. A parser is strict about types, so that a
//! changed answer is noticed and never taken for a clean one, and takes each of the forms where
//! descriptions of a service disagree. Every list and text of an answer is bounded.

mod apivoid;
mod bgpranking;
pub mod budget;
pub mod client;
mod dnsdumpster;
pub mod error;
mod ipasnhistory;
mod json;
pub mod keep;
pub mod settings;
mod tip;
mod virustotal;

#[cfg(test)]
mod samples;

pub use budget::{Budget, Hold, Purpose};
pub use client::{Client, ClientSettings, Received};
pub use error::{ProviderError, Window};
pub use settings::{ApiKey, Limits, Off, Plan, Provider, Uses};

use crate::model::Timestamp;
use crate::model::lookup::{Answer, Aspect, Service, Target};

/// Seconds of a day.
const DAY_SECONDS: u32 = 86_400;

/// What is asked of a service.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Question {
    /// Who is asked.
    pub service: Service,
    /// About what.
    pub target: Target,
    /// Of it what.
    pub aspect: Aspect,
    /// The page after the first, as the answer before named it.
    pub page: Option<String>,
    /// The source of a ranking, where one source's is wanted.
    pub source: Option<String>,
}

impl Question {
    /// The first page of an aspect.
    pub fn new(service: Service, target: Target, aspect: Aspect) -> Self {
        Self { service, target, aspect, page: None, source: None }
    }
}

/// How a request carries its method.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    Get,
    /// Sends a body.
    Post,
}

/// Where the key of a request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyPlace {
    /// No key is needed.
    Nowhere,
    /// In this header.
    Header(&'static str),
    /// In this parameter of the URL, which therefore is shown to nobody.
    Query(&'static str),
}

/// A request, without base URL and key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// GET or POST.
    pub method: Method,
    /// What follows the base URL; begins with `/`.
    pub path: String,
    /// Whether the path follows the host of the base URL alone.
    pub from_host: bool,
    /// The body with its type.
    pub body: Option<(&'static str, String)>,
    /// Where the key goes.
    pub key: KeyPlace,
    /// What it costs of the budget.
    pub units: u32,
}

impl Request {
    fn get(path: String, key: KeyPlace) -> Self {
        Self { method: Method::Get, path, from_host: false, body: None, key, units: 1 }
    }

    fn post_json(path: &str, body: &serde_json::Value, key: KeyPlace) -> Self {
        let body = Some(("application/json", body.to_string()));
        Self { method: Method::Post, body, ..Self::get(path.to_owned(), key) }
    }
}

/// What the headers of a reply say of quotas.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Signs {
    /// `Retry-After` (RFC 9110 section 10.2.3), in seconds.
    pub retry_after_seconds: Option<u32>,
    /// `X-Service-Quota` of APIVoid.
    pub service_quota: Option<String>,
    /// `X-RateLimit-Remaining` of Threat Intelligence Platform.
    pub rate_remaining: Option<u32>,
}

impl Signs {
    /// How many credits are left and when there are new ones, by `X-Service-Quota`.
    pub fn credits(&self) -> Option<(u64, Option<Timestamp>)> {
        let text = self.service_quota.as_ref()?;
        let member = |name: &str| {
            let mut members = text.split(';').filter_map(|member| member.split_once('='));
            members.find(|(key, _)| key.trim() == name).map(|(_, value)| value.trim())
        };
        let left = member("available")?.parse().ok()?;
        Some((left, member("reset").and_then(|at| at.parse().ok()).map(Timestamp)))
    }
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// What its headers say of quotas.
    pub signs: Signs,
    /// The body, unpacked.
    pub body: Vec<u8>,
}

/// How the question is put. None where the service does not answer such a question.
pub fn request(question: &Question, now: Timestamp) -> Option<Request> {
    match question.service {
        Service::VirusTotal => virustotal::request(question),
        Service::ThreatIntelligencePlatform => tip::request(question),
        Service::ApiVoid => apivoid::request(question),
        Service::DnsDumpster => dnsdumpster::request(question),
        Service::BgpRanking => bgpranking::request(question, now),
        Service::IpasnHistory => ipasnhistory::request(question, now),
    }
}

/// What the reply says.
pub fn parse(question: &Question, reply: &Reply) -> Result<Answer, ProviderError> {
    match question.service {
        Service::VirusTotal => virustotal::parse(question, reply),
        Service::ThreatIntelligencePlatform => tip::parse(question, reply),
        Service::ApiVoid => apivoid::parse(question, reply),
        Service::DnsDumpster => dnsdumpster::parse(question, reply),
        Service::BgpRanking => bgpranking::parse(question, reply),
        Service::IpasnHistory => ipasnhistory::parse(question, reply),
    }
}

/// A part of a URL: all but letters, digits and `-._~` escaped (RFC 3986 section 2.3).
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for octet in text.bytes() {
        match octet {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(octet));
            }
            _ => out.push_str(&format!("%{octet:02X}")),
        }
    }
    out
}

/// The date of a point in time, as `2026-08-20`.
fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_name_holds_cannot_leave_its_part_of_the_url() {
        assert_eq!(percent("a.b/../c?d=e&f#g h"), "a.b%2F..%2Fc%3Fd%3De%26f%23g%20h");
        let target = Target::parse("http://a.example/x?y").unwrap();
        let question = Question::new(Service::VirusTotal, target, Aspect::Report);
        let request = request(&question, Timestamp(0)).unwrap();
        assert_eq!(request.path, "/urls/aHR0cDovL2EuZXhhbXBsZS94P3k");
    }

    #[test]
    fn credits_are_read_from_the_header() {
        let text = "call-usage=1; available=24; reset=1788220800; overage-allowed=false";
        let signs = Signs { service_quota: Some(text.to_owned()), ..Signs::default() };
        assert_eq!(signs.credits(), Some((24, Some(Timestamp(1_788_220_800)))));
        let signs = Signs { service_quota: Some("available=many".to_owned()), ..Signs::default() };
        assert_eq!(signs.credits(), None);
    }
}

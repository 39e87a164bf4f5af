//! CIRCL IPASN History (github.com/D4-project/IPASN-History, `website/web/__init__.py`): which AS
//! announced an address, on which day.

use serde_json::json;

use super::error::{ProviderError, says};
use super::json::{self, Node};
use super::{DAY_SECONDS, KeyPlace, Question, Reply, Request, date};
use crate::model::Timestamp;
use crate::model::lookup::{Answer, Aspect, Fact, Target};

/// Days of a history: as many as a server keeps in memory by default.
const HISTORY_DAYS: u32 = 10;

pub(super) fn request(question: &Question, now: Timestamp) -> Option<Request> {
    let post = |path: &str, body| Some(Request::post_json(path, &body, KeyPlace::Nowhere));
    match (&question.target, question.aspect) {
        (Target::Address(address), Aspect::Report) => {
            post("/ip", json!({ "ip": address.to_string() }))
        }
        (Target::Address(address), Aspect::OriginHistory) => {
            let first = date(Timestamp(now.0.saturating_sub(HISTORY_DAYS * DAY_SECONDS)));
            let body = json!({ "ip": address.to_string(), "first": first, "last": date(now) });
            post("/ip", body)
        }
        (Target::As(asn), Aspect::Prefixes) => post("/asn_meta", json!({ "asn": asn.to_string() })),
        _ => None,
    }
}

pub(super) fn parse(question: &Question, reply: &Reply) -> Result<Answer, ProviderError> {
    if reply.status != 200 {
        let says = json::message(&reply.body);
        return Err(match reply.status {
            400..=499 => ProviderError::Refused { says },
            status => ProviderError::Server { status, says },
        });
    }
    let value = json::document(&reply.body)?;
    let root = Node::root(&value);
    if let Some(error) = root.text("error")? {
        return Err(match error.contains("Unable to find a date") {
            true => ProviderError::NoData,
            false => ProviderError::Refused { says: says(&error) },
        });
    }
    let response = root.need("response")?;
    let facts = match question.aspect {
        Aspect::Prefixes => prefixes(&response)?,
        aspect => origins(&response, aspect == Aspect::OriginHistory)?,
    };
    Ok(Answer { facts, ..Answer::default() })
}

/// By day, the latest first. AS 0 is no route; a day without members is not known yet.
fn origins(response: &Node<'_>, with_days: bool) -> Result<Vec<Fact>, ProviderError> {
    let mut facts = Vec::new();
    for (day, entry) in response.as_entries()? {
        let Some(day) = Timestamp::parse(&day) else {
            return Err(ProviderError::malformed("a day of the history is no date"));
        };
        if entry.get("asn")?.is_none() {
            continue;
        }
        let at = Some(day);
        facts.push(match entry.system("asn")? {
            None => Fact::NotAnnounced { at },
            Some(asn) => {
                let prefix = entry.text("prefix")?;
                Fact::Origin { address: None, asn, name: None, prefix, at }
            }
        });
    }
    facts.sort_by_key(|fact| match fact {
        Fact::Origin { at, .. } | Fact::NotAnnounced { at } => std::cmp::Reverse(*at),
        _ => std::cmp::Reverse(None),
    });
    if facts.is_empty() {
        return Err(ProviderError::NoData);
    }
    if !with_days && facts.iter().all(|fact| matches!(fact, Fact::NotAnnounced { .. })) {
        return Err(ProviderError::NotFound);
    }
    Ok(facts)
}

/// `ipcount` is a text, or null for an AS that announces nothing.
fn prefixes(response: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    let mut facts = Vec::new();
    // The latest table; earlier ones are not asked for.
    if let Some((_, systems)) = response.as_entries()?.into_iter().next() {
        for (_, system) in systems.as_entries()? {
            let count = system.integer("ipcount")?.and_then(|count| u64::try_from(count).ok());
            facts.extend(count.map(|count| Fact::AddressCount { count }));
            for prefix in system.texts("prefixes")? {
                facts.push(Fact::Announced { prefix });
            }
        }
    }
    match facts.is_empty() {
        true => Err(ProviderError::NotFound),
        false => Ok(facts),
    }
}

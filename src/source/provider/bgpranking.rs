//! CIRCL BGP Ranking (github.com/D4-project/BGP-Ranking, `website/web/genericapi.py`).
//!
//! There are no errors for AS that are not known: they have rank 0 and no position. A day that was
//! not ranked knows 0 AS, which says neither good nor bad. `source` on `/json/asn` fails on the
//! server, so one source's rank is looked up in that source's ranking.

use serde_json::json;

use super::error::{ProviderError, says};
use super::json::{self, Node};
use super::{DAY_SECONDS, KeyPlace, Question, Reply, Request, date};
use crate::model::Timestamp;
use crate::model::lookup::{Answer, Aspect, Fact, Target};

/// Days of a history.
const HISTORY_DAYS: u32 = 30;
/// AS of one source's ranking: enough for the AS to be among them if it is listed at all.
const RANKING_ROWS: u32 = 4000;

/// The day asked about is yesterday, as the service's own client does: today may not be ranked yet.
pub(super) fn request(question: &Question, now: Timestamp) -> Option<Request> {
    let Target::As(asn) = question.target else { return None };
    let asn = asn.to_string();
    let day = date(Timestamp(now.0.saturating_sub(DAY_SECONDS)));
    let post = |path: &str, body| Some(Request::post_json(path, &body, KeyPlace::Nowhere));
    match question.aspect {
        Aspect::Report => post("/json/asn", json!({ "asn": asn, "date": day })),
        Aspect::RankHistory => {
            let body = json!({ "asn": asn, "period": HISTORY_DAYS, "date": day });
            post("/json/asn_history", body)
        }
        Aspect::Descriptions => {
            post("/json/asn_descriptions", json!({ "asn": asn, "all_descriptions": true }))
        }
        Aspect::Ranking => {
            let mut body = json!({ "date": day, "limit": RANKING_ROWS });
            if let Some(source) = &question.source {
                body["source"] = json!(source);
            }
            post("/json/asns_global_ranking", body)
        }
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
        return Err(ProviderError::Refused { says: says(&error) });
    }
    let response = root.need("response")?;
    let day = root.get("meta")?.map_or(Ok(None), |meta| meta.time("date"))?;
    let facts = match question.aspect {
        Aspect::Report => rank(&response, day)?,
        Aspect::RankHistory => history(&response)?,
        Aspect::Descriptions => descriptions(&response)?,
        Aspect::Ranking => ranking(&response, question.source.as_deref())?,
        _ => return Err(ProviderError::malformed("nothing of the kind was asked")),
    };
    Ok(Answer { facts, ..Answer::default() })
}

fn rank(response: &Node<'_>, day: Option<Timestamp>) -> Result<Vec<Fact>, ProviderError> {
    let ranking = response.need("ranking")?;
    let total = ranking.count("total_known_asns")?.unwrap_or_default();
    if total == 0 {
        return Err(ProviderError::NoData);
    }
    let mut facts = vec![Fact::Rank {
        rank: ranking.number("rank")?.unwrap_or_default(),
        position: ranking.count("position")?,
        total,
        day,
        source: None,
    }];
    // An AS without a description has an empty object.
    let name = response.get("asn_description")?.filter(|node| !node.is_object());
    let name = name.map_or(Ok(None), |node| node.as_text(300))?;
    facts.extend(name.map(|name| Fact::AsName { name, at: None }));
    Ok(facts)
}

fn history(response: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    let mut facts = Vec::new();
    for pair in response.need("asn_history")?.as_items()? {
        let pair = pair.as_items()?;
        let [day, rank] = pair.as_slice() else {
            return Err(ProviderError::malformed("a day of the history is no pair"));
        };
        let day = day.as_text(32)?.and_then(|day| Timestamp::parse(&day));
        let day = day.ok_or_else(|| ProviderError::malformed("a day of the history is no date"))?;
        facts.push(Fact::RankOn { day, rank: rank.as_number()? });
    }
    Ok(facts)
}

/// The last one as a text, all of them by time, or an empty object.
fn descriptions(response: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    let node = response.need("asn_descriptions")?;
    if !node.is_object() {
        let name = node.as_text(300)?;
        return Ok(name.map(|name| Fact::AsName { name, at: None }).into_iter().collect());
    }
    let mut facts = Vec::new();
    for (at, name) in node.as_entries()? {
        let at = Timestamp::parse(&at);
        facts.extend(name.as_text(300)?.map(|name| Fact::AsName { name, at }));
    }
    match facts.is_empty() {
        true => Err(ProviderError::NotFound),
        false => Ok(facts),
    }
}

fn ranking(response: &Node<'_>, source: Option<&str>) -> Result<Vec<Fact>, ProviderError> {
    let mut facts = Vec::new();
    for pair in response.as_items()? {
        let pair = pair.as_items()?;
        let [asn, rank] = pair.as_slice() else {
            return Err(ProviderError::malformed("a row of the ranking is no pair"));
        };
        let asn = u32::try_from(asn.as_integer()?)
            .map_err(|_| ProviderError::malformed("a row of the ranking has no AS"))?;
        let source = source.map(str::to_owned);
        facts.push(Fact::RankedAs { asn, rank: rank.as_number()?, source });
    }
    match facts.is_empty() {
        true => Err(ProviderError::NoData),
        false => Ok(facts),
    }
}

//! APIVoid, version 2 (apivoid.com/api): what IPVoid and URLVoid show, for programs.
//!
//! Answers are flat; those of version 1, which some proxies still give, have the same members
//! below `data.report`. An `error` member counts whatever the status is.

use serde_json::json;

use super::error::{ProviderError, Window, says};
use super::json::{self, Node};
use super::{KeyPlace, Question, Reply, Request};
use crate::model::lookup::{Answer, Aspect, Engine, Fact, Scale, Target};

const KEY: KeyPlace = KeyPlace::Header("x-api-key");

pub(super) fn request(question: &Question) -> Option<Request> {
    let post = |path: &str, body| Some(Request::post_json(path, &body, KEY));
    match (question.aspect, &question.target) {
        (Aspect::Report, Target::Domain(name)) => {
            post("/domain-reputation", json!({ "host": name.to_string() }))
        }
        (Aspect::Report, Target::Address(address)) => {
            post("/ip-reputation", json!({ "ip": address.to_string() }))
        }
        (Aspect::Report, Target::Url(url)) => {
            post("/url-reputation", json!({ "url": url.as_str() }))
        }
        // What is left costs nothing to ask.
        (Aspect::Quota, _) => {
            let request = Request::post_json("/account-info", &json!({}), KEY);
            Some(Request { units: 0, ..request })
        }
        _ => None,
    }
}

pub(super) fn parse(question: &Question, reply: &Reply) -> Result<Answer, ProviderError> {
    let value = match json::document(&reply.body) {
        Ok(value) => value,
        Err(_) if reply.status != 200 => return Err(failure(reply, &json::message(&reply.body))),
        Err(error) => return Err(error),
    };
    let root = Node::root(&value);
    if root.get("error")?.is_some() || reply.status != 200 {
        return Err(failure(reply, &json::message(&reply.body)));
    }
    if question.aspect == Aspect::Quota {
        return account(&root);
    }
    let legacy = root.get("data")?;
    let root = match &legacy {
        None => root,
        Some(data) => match (data.get("report")?, data.get("records")?) {
            (Some(report), _) => report,
            (None, Some(records)) => return records_of(&records),
            (None, None) => return Err(ProviderError::malformed("data has no report")),
        },
    };
    let facts = report(&root)?;
    Ok(Answer { facts, ..Answer::default() })
}

fn failure(reply: &Reply, words: &str) -> ProviderError {
    let says = says(words);
    let lower = says.to_ascii_lowercase();
    let about = |word: &str| lower.contains(word);
    let credits = reply.signs.credits();
    let used_up = credits.is_some_and(|(left, _)| left == 0);
    let (window, until) = match (used_up, about("credit")) {
        (false, false) => (Window::Minute, None),
        _ => (Window::Month, credits.and_then(|(_, until)| until)),
    };
    let quota = |says| ProviderError::Quota {
        window,
        retry_after_seconds: reply.signs.retry_after_seconds,
        until,
        says,
    };
    match reply.status {
        429 => quota(says),
        500..=599 => ProviderError::Server { status: reply.status, says },
        _ if about("credit") || about("quota") || about("limit") || used_up => quota(says),
        _ if about("not valid") && (about("host") || about("ip address") || about("url")) => {
            ProviderError::Refused { says }
        }
        _ if about("key") && about("required") => ProviderError::KeyMissing { says },
        _ if about("key") => ProviderError::KeyRefused { says },
        403 => ProviderError::PaidPlan { says },
        401 => ProviderError::KeyRefused { says },
        404 => ProviderError::NotFound,
        _ => ProviderError::Refused { says },
    }
}

fn account(root: &Node<'_>) -> Result<Answer, ProviderError> {
    let left = root.need("credits")?.integer("remained")?;
    let left = left.and_then(|left| u64::try_from(left).ok());
    let quota = Fact::Quota { window: "credits".to_owned(), allowed: None, used: None, left };
    Ok(Answer { facts: vec![quota], ..Answer::default() })
}

fn report(root: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    let mut facts = Vec::new();
    // Of a URL the engines look at its domain.
    let blacklists = match root.get("blacklists")? {
        Some(blacklists) => blacklists,
        None => root.need("domain_blacklist")?,
    };
    facts.push(engines(&blacklists)?);
    if let Some(risk) = root.get("risk_score")? {
        let number = risk.need("result")?.as_number()?;
        let hundredths = (number * 100.0).round() as i64;
        facts.push(Fact::Score { name: "risk".to_owned(), hundredths, scale: Scale::HighIsBad });
    }
    for place in ["server_details", "server", "information"] {
        if let Some(node) = root.get(place)? {
            location(&node, &mut facts)?;
        }
    }
    if let Some(asn) = root.get("asn")? {
        origin(&asn, &mut facts)?;
    }
    for group in ["category", "security_checks", "anonymity", "information"] {
        let Some(node) = root.get(group)? else { continue };
        for (name, _) in node.as_entries()? {
            if name.starts_with("is_") && node.flag(&name)? == Some(true) {
                facts.push(Fact::Trait { name });
            }
        }
    }
    if let Some(checks) = root.get("security_checks")? {
        let text = checks.text("website_popularity")?;
        facts.extend(text.map(|text| Fact::Note { name: "popularity".to_owned(), text }));
    }
    url_facts(root, &mut facts)?;
    age(root, &mut facts)?;
    Ok(facts)
}

/// The engines: an object with numbers for keys.
fn engines(blacklists: &Node<'_>) -> Result<Fact, ProviderError> {
    let mut engines = Vec::new();
    let mut detected = 0_u32;
    for (number, engine) in blacklists.entries("engines")? {
        let name = engine.text("name")?.or(engine.text("engine")?).unwrap_or(number);
        let hit = engine.flag("detected")?.unwrap_or(false);
        detected += u32::from(hit);
        engines.push(Engine {
            name,
            verdict: if hit { "malicious" } else { "undetected" }.to_owned(),
            result: engine.text("confidence")?,
        });
    }
    let malicious = blacklists.count("detections")?.unwrap_or(detected);
    let asked = blacklists.count("engines_count")?;
    let asked = asked.unwrap_or_else(|| u32::try_from(engines.len()).unwrap_or(u32::MAX));
    Ok(Fact::Engines {
        malicious,
        suspicious: 0,
        harmless: 0,
        undetected: asked.saturating_sub(malicious),
        analysed_at: None,
        known_since: None,
        engines,
    })
}

fn location(node: &Node<'_>, facts: &mut Vec<Fact>) -> Result<(), ProviderError> {
    let address = node.text("ip")?;
    let (code, name) = (node.text("country_code")?, node.text("country_name")?);
    let places = [node.text("region_name")?, node.text("city_name")?];
    let place: Vec<String> = places.into_iter().flatten().collect();
    let provider = node.text("isp")?;
    let country = code.or(name);
    if country.is_some() || provider.is_some() {
        let place = (!place.is_empty()).then(|| place.join(", "));
        let address = address.clone();
        facts.push(Fact::Location { address, country, place, provider });
    }
    if let Some(name) = node.text("reverse_dns")? {
        facts.push(Fact::ReverseName { address: address.clone(), name });
    }
    if let Some(asn) = node.system("asn")? {
        facts.push(Fact::Origin {
            address: address.clone(),
            asn,
            name: None,
            prefix: None,
            at: None,
        });
    }
    if let Some(value) = address {
        let rtype = if value.contains(':') { "AAAA" } else { "A" }.to_owned();
        facts.push(Fact::Record { owner: None, rtype, value, ttl: None });
    }
    Ok(())
}

fn origin(asn: &Node<'_>, facts: &mut Vec<Fact>) -> Result<(), ProviderError> {
    let Some(number) = asn.system("asn")? else { return Ok(()) };
    facts.push(Fact::Origin {
        address: None,
        asn: number,
        name: asn.text("asname")?.or(asn.text("org")?),
        prefix: asn.text("route")?,
        at: None,
    });
    for (key, name) in [("abuse_email", "abuse contact"), ("type", "kind of network")] {
        let text = asn.text(key)?;
        facts.extend(text.map(|text| Fact::Note { name: name.to_owned(), text }));
    }
    Ok(())
}

fn url_facts(root: &Node<'_>, facts: &mut Vec<Fact>) -> Result<(), ProviderError> {
    let Some(records) = root.get("dns_records")? else { return Ok(()) };
    for (rtype, list) in records.as_entries()? {
        for record in list.items("records")? {
            let Some(value) = record.text("target")?.or(record.text("ip")?) else { continue };
            let rtype = rtype.to_ascii_uppercase();
            facts.push(Fact::Record { owner: None, rtype, value, ttl: None });
        }
    }
    if let Some(file) = root.get("file_type")? {
        let text = file.text("headers")?;
        facts.extend(text.map(|text| Fact::Note { name: "file type".to_owned(), text }));
    }
    Ok(())
}

/// What `domain_age` holds is not described; a date of creation is what it can be for.
fn age(root: &Node<'_>, facts: &mut Vec<Fact>) -> Result<(), ProviderError> {
    let Some(age) = root.get("domain_age")?.filter(Node::is_object) else { return Ok(()) };
    for key in ["domain_creation_date", "creation_date", "created"] {
        let Some(text) = age.text(key)? else { continue };
        let created = crate::model::Timestamp::parse(&text);
        facts.push(Fact::Registration {
            registrar: None,
            created,
            changed: None,
            expires: None,
            text: None,
            seen_at: None,
        });
        break;
    }
    Ok(())
}

/// The answer of version 1 to a look-up of records.
fn records_of(records: &Node<'_>) -> Result<Answer, ProviderError> {
    let mut facts = Vec::new();
    for item in records.items("items")? {
        let Some(rtype) = item.text("type")? else { continue };
        let Some(value) = item.text("ip")?.or(item.text("target")?) else { continue };
        let (owner, ttl) = (item.text("host")?, item.count("ttl")?);
        facts.push(Fact::Record { owner, rtype, value, ttl });
    }
    Ok(Answer { facts, ..Answer::default() })
}

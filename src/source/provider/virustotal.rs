//! VirusTotal, API version 3 (docs.virustotal.com/reference), and the one answer of version 2 that
//! tells free keys of detected URLs.

use data_encoding::BASE64URL_NOPAD;

use super::error::{ProviderError, Window, says};
use super::json::{self, Node};
use super::{KeyPlace, Method, Question, Reply, Request, percent};
use crate::model::lookup::{
    Answer, Aspect, Certificate, Engine, Fact, FileRelation, Scale, Target,
};

const KEY: KeyPlace = KeyPlace::Header("x-apikey");
/// The most objects of one page; clients of the service use no more.
const PAGE_OBJECTS: u32 = 40;

pub(super) fn request(question: &Question) -> Option<Request> {
    if question.aspect == Aspect::LegacyReport {
        return legacy_request(&question.target);
    }
    let object = match (&question.target, question.aspect) {
        (_, Aspect::Quota) => return None,
        (Target::Domain(name), _) => format!("/domains/{}", percent(&name.to_string())),
        (Target::Address(address), _) => format!("/ip_addresses/{}", percent(&address.to_string())),
        (Target::Url(url), _) => {
            format!("/urls/{}", BASE64URL_NOPAD.encode(url.as_str().as_bytes()))
        }
        (Target::Prefix(_) | Target::As(_), _) => return None,
    };
    if question.aspect == Aspect::Report {
        return Some(Request::get(object, KEY));
    }
    let relation = relation(&question.target, question.aspect)?;
    let cursor = question.page.as_ref().map(|page| format!("&cursor={}", percent(page)));
    let path = format!("{object}/{relation}?limit={PAGE_OBJECTS}{}", cursor.unwrap_or_default());
    Some(Request::get(path, KEY))
}

/// The service's word for related objects; none where the target has no such.
fn relation(target: &Target, aspect: Aspect) -> Option<&'static str> {
    let of_domain = matches!(target, Target::Domain(_));
    let of_url = matches!(target, Target::Url(_));
    match aspect {
        Aspect::Graphs => Some("graphs"),
        Aspect::Votes => Some("votes"),
        Aspect::CommunicatingFiles => Some("communicating_files"),
        Aspect::ReferrerFiles => Some("referrer_files"),
        Aspect::DownloadedFiles => Some("downloaded_files"),
        _ if of_url => None,
        Aspect::Resolutions => Some("resolutions"),
        Aspect::Subdomains if of_domain => Some("subdomains"),
        Aspect::Urls => Some("urls"),
        Aspect::HistoricalWhois => Some("historical_whois"),
        Aspect::HistoricalCertificates => Some("historical_ssl_certificates"),
        _ => None,
    }
}

fn legacy_request(target: &Target) -> Option<Request> {
    let path = match target {
        Target::Domain(name) => {
            format!("/vtapi/v2/domain/report?domain={}", percent(&name.to_string()))
        }
        Target::Address(address) => {
            format!("/vtapi/v2/ip-address/report?ip={}", percent(&address.to_string()))
        }
        _ => return None,
    };
    let request = Request::get(path, KeyPlace::Query("apikey"));
    Some(Request { from_host: true, method: Method::Get, ..request })
}

pub(super) fn parse(question: &Question, reply: &Reply) -> Result<Answer, ProviderError> {
    // Version 2 says so with an empty body.
    if reply.status == 204 {
        return Err(quota(reply, "no content"));
    }
    if reply.status != 200 {
        return Err(failure(reply));
    }
    let value = json::document(&reply.body)?;
    let root = Node::root(&value);
    if question.aspect == Aspect::LegacyReport {
        return legacy(question, &root);
    }
    if let Some(error) = root.get("error")? {
        return Err(coded(reply, &error));
    }
    let data = root.need("data")?;
    if question.aspect == Aspect::Quota {
        return quotas(&data);
    }
    if data.is_list() {
        return collection(question, &root, &data);
    }
    let facts = object(&data)?;
    Ok(Answer { facts, ..Answer::default() })
}

fn failure(reply: &Reply) -> ProviderError {
    let value = json::document(&reply.body).ok();
    let root = value.as_ref().map(Node::root).filter(Node::is_object);
    match root.and_then(|root| root.get("error").ok().flatten()).filter(Node::is_object) {
        Some(error) => coded(reply, &error),
        None => by_status(reply.status, reply, &json::message(&reply.body)),
    }
}

/// An error by its code, which says more than the status.
fn coded(reply: &Reply, error: &Node<'_>) -> ProviderError {
    let text = |key| error.text(key).ok().flatten().unwrap_or_default();
    let words = says(&text("message"));
    match text("code").as_str() {
        "NotFoundError" => ProviderError::NotFound,
        "NotAvailableYet" => ProviderError::NotYet,
        "AuthenticationRequiredError" => ProviderError::KeyMissing { says: words },
        "WrongCredentialsError" | "UserNotActiveError" => ProviderError::KeyRefused { says: words },
        "ForbiddenError" => ProviderError::PaidPlan { says: words },
        "QuotaExceededError" | "TooManyRequestsError" => quota(reply, &words),
        _ => by_status(reply.status, reply, &words),
    }
}

fn by_status(status: u16, reply: &Reply, words: &str) -> ProviderError {
    let says = words.to_owned();
    match status {
        401 => ProviderError::KeyRefused { says },
        403 => ProviderError::PaidPlan { says },
        404 => ProviderError::NotFound,
        429 => quota(reply, words),
        400..=499 => ProviderError::Refused { says },
        status => ProviderError::Server { status, says },
    }
}

/// The body does not say which quota ran out.
fn quota(reply: &Reply, words: &str) -> ProviderError {
    ProviderError::Quota {
        window: Window::Unknown,
        retry_after_seconds: reply.signs.retry_after_seconds,
        until: None,
        says: words.to_owned(),
    }
}

fn quotas(data: &Node<'_>) -> Result<Answer, ProviderError> {
    let mut facts = Vec::new();
    for (member, window) in [
        ("api_requests_hourly", "hour"),
        ("api_requests_daily", "day"),
        ("api_requests_monthly", "month"),
    ] {
        let Some(quota) = data.get(member)? else { continue };
        // Of a group's member the group's quota counts.
        let Some(quota) = quota.get("group")?.map_or_else(|| quota.get("user"), |g| Ok(Some(g)))?
        else {
            continue;
        };
        let count = |key| Ok(quota.integer(key)?.and_then(|n| u64::try_from(n).ok()));
        let (allowed, used): (Option<u64>, Option<u64>) = (count("allowed")?, count("used")?);
        let left = allowed.zip(used).map(|(allowed, used)| allowed.saturating_sub(used));
        facts.push(Fact::Quota { window: window.to_owned(), allowed, used, left });
    }
    Ok(Answer { facts, ..Answer::default() })
}

fn collection(
    question: &Question,
    root: &Node<'_>,
    data: &Node<'_>,
) -> Result<Answer, ProviderError> {
    let mut facts = Vec::new();
    for item in data.as_items()? {
        facts.extend(related(question, &item)?);
    }
    let meta = root.get("meta")?;
    let count = meta.as_ref().map_or(Ok(None), |meta| meta.integer("count"))?;
    let next = meta.map_or(Ok(None), |meta| meta.text("cursor"))?;
    Ok(Answer { facts, total: count.and_then(|n| u64::try_from(n).ok()), next })
}

/// An object of a collection; one that is only named has no attributes.
fn related(question: &Question, item: &Node<'_>) -> Result<Option<Fact>, ProviderError> {
    let kind = item.text("type")?.unwrap_or_default();
    let id = item.text("id")?.unwrap_or_default();
    let attributes = item.get("attributes")?;
    let a = attributes.as_ref();
    let malicious = match a {
        Some(a) => a.get("last_analysis_stats")?.map_or(Ok(None), |s| s.count("malicious"))?,
        None => None,
    };
    Ok(Some(match (kind.as_str(), a) {
        ("resolution", Some(a)) => resolution(question, a)?,
        ("domain", _) => Fact::Subdomain { name: id, malicious },
        ("file", a) => Fact::File {
            relation: match question.aspect {
                Aspect::DownloadedFiles => FileRelation::Downloaded,
                Aspect::ReferrerFiles => FileRelation::Referrer,
                _ => FileRelation::Communicating,
            },
            sha256: id,
            name: a.map_or(Ok(None), |a| a.text("meaningful_name"))?,
            kind: a.map_or(Ok(None), |a| a.text("type_description"))?,
            malicious,
            at: a.map_or(Ok(None), |a| a.time("last_analysis_date"))?,
        },
        ("url", a) => Fact::UrlSeen {
            url: a.map_or(Ok(None), |a| a.text("url"))?.unwrap_or(id),
            malicious: malicious.unwrap_or_default(),
            engines: a.map_or(Ok(None), engine_count)?,
            at: a.map_or(Ok(None), |a| a.time("last_analysis_date"))?,
        },
        ("whois", Some(a)) => Fact::Registration {
            registrar: a.text("registrar_name")?,
            created: whois_date(a, "Create date")?,
            changed: a.time("last_updated")?,
            expires: whois_date(a, "Expiry date")?,
            text: None,
            seen_at: a.time("first_seen_date")?,
        },
        ("ssl_cert", Some(a)) => {
            let mut certificate = certificate(a)?;
            let context = item.get("context_attributes")?;
            if let Some(context) = context {
                certificate.first_seen = context.time("first_seen_date")?;
            }
            Fact::Certificate(certificate)
        }
        ("vote", Some(a)) => Fact::Vote {
            at: a.time("date")?,
            verdict: a.text("verdict")?.unwrap_or_else(|| "unknown".to_owned()),
        },
        ("graph", Some(a)) => Fact::Graph {
            id,
            title: a.get("graph_data")?.map_or(Ok(None), |data| data.text("description"))?,
            nodes: u32::try_from(a.items("nodes")?.len()).unwrap_or(u32::MAX),
            created: a.time("creation_date")?,
        },
        _ => return Ok(None),
    }))
}

fn whois_date(
    attributes: &Node<'_>,
    key: &str,
) -> Result<Option<crate::model::Timestamp>, ProviderError> {
    let map = attributes.get("whois_map")?;
    // Registries write dates as they like; one that cannot be read is none.
    let text = map.map_or(Ok(None), |map| map.text(key))?;
    Ok(text.and_then(|text| crate::model::Timestamp::parse(&text)))
}

fn resolution(question: &Question, a: &Node<'_>) -> Result<Fact, ProviderError> {
    // What is said of the other end is what is new.
    let other = match question.target {
        Target::Address(_) => "host_name_last_analysis_stats",
        _ => "ip_address_last_analysis_stats",
    };
    Ok(Fact::Resolution {
        name: a.text("host_name")?.unwrap_or_default(),
        address: a.text("ip_address")?.unwrap_or_default(),
        last_seen: a.time("date")?,
        malicious: a.get(other)?.map_or(Ok(None), |stats| stats.count("malicious"))?,
    })
}

/// All that an object says of itself.
fn object(data: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    let kind = data.text("type")?.unwrap_or_default();
    let Some(a) = data.get("attributes")? else {
        // A URL that was handed in is answered with the name of an analysis.
        let id = data.text("id")?.unwrap_or_default();
        return Ok(vec![Fact::Note { name: kind, text: id }]);
    };
    if kind == "analysis" {
        return analysis(&a);
    }
    let mut facts = Vec::new();
    facts.extend(engines(&a, "last_analysis_stats", "last_analysis_results", kind == "domain")?);
    if let Some(votes) = a.get("total_votes")? {
        facts.push(Fact::Votes {
            malicious: votes.count("malicious")?.unwrap_or_default(),
            harmless: votes.count("harmless")?.unwrap_or_default(),
        });
    }
    if let Some(reputation) = a.integer("reputation")? {
        facts.push(Fact::Score {
            name: "community reputation".to_owned(),
            hundredths: reputation.saturating_mul(100),
            scale: Scale::LowIsBad,
        });
    }
    address_facts(&a, &mut facts)?;
    registration(&a, &mut facts)?;
    for (by, text) in a.entries("categories")? {
        facts.extend(text.as_text(200)?.map(|text| Fact::Category { by, text }));
    }
    for (list, place) in a.entries("popularity_ranks")? {
        facts.extend(place.count("rank")?.map(|rank| Fact::Popularity { list, rank }));
    }
    for record in a.items("last_dns_records")? {
        facts.extend(dns_record(&record)?);
    }
    if let Some(found) = a.get("last_https_certificate")? {
        facts.push(Fact::Certificate(certificate(&found)?));
    }
    facts.extend(a.texts("tags")?.into_iter().map(|name| Fact::Trait { name }));
    for (key, name) in [("jarm", "JARM"), ("title", "title"), ("last_final_url", "leads to")] {
        let text = a.text(key)?;
        facts.extend(text.map(|text| Fact::Note { name: name.to_owned(), text }));
    }
    Ok(facts)
}

/// The announcement and place of an address.
fn address_facts(a: &Node<'_>, facts: &mut Vec<Fact>) -> Result<(), ProviderError> {
    if let Some(asn) = a.system("asn")? {
        facts.push(Fact::Origin {
            address: None,
            asn,
            name: a.text("as_owner")?,
            prefix: a.text("network")?,
            at: None,
        });
    }
    let country = a.text("country")?;
    let registry = a.text("regional_internet_registry")?;
    if country.is_some() {
        let place = a.text("continent")?;
        facts.push(Fact::Location { address: None, country, place, provider: None });
    }
    facts.extend(registry.map(|text| Fact::Note { name: "registry".to_owned(), text }));
    Ok(())
}

fn registration(a: &Node<'_>, facts: &mut Vec<Fact>) -> Result<(), ProviderError> {
    let registrar = a.text("registrar")?;
    let (created, changed) = (a.time("creation_date")?, a.time("last_update_date")?);
    let (expires, text) = (a.time("expiration_date")?, a.long_text("whois")?);
    if registrar.is_some() || created.is_some() || text.is_some() {
        let seen_at = a.time("whois_date")?;
        facts.push(Fact::Registration { registrar, created, changed, expires, text, seen_at });
    }
    Ok(())
}

fn analysis(a: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    match a.text("status")?.as_deref() {
        Some("completed") => {}
        _ => return Err(ProviderError::NotYet),
    }
    Ok(engines(a, "stats", "results", false)?.into_iter().collect())
}

fn engine_count(a: &Node<'_>) -> Result<Option<u32>, ProviderError> {
    let Some(stats) = a.get("last_analysis_stats")? else { return Ok(None) };
    let mut sum = 0_u32;
    for key in ["malicious", "suspicious", "harmless", "undetected"] {
        sum = sum.saturating_add(stats.count(key)?.unwrap_or_default());
    }
    Ok(Some(sum))
}

/// What engines say. Names that were never analysed have no numbers, which is not the same as
/// nobody saying anything.
fn engines(
    a: &Node<'_>,
    stats: &str,
    results: &str,
    of_domain: bool,
) -> Result<Option<Fact>, ProviderError> {
    let Some(stats) = a.get(stats)? else { return Ok(None) };
    let count = |key| stats.count(key).map(Option::unwrap_or_default);
    let mut engines = Vec::new();
    for (name, result) in a.entries(results)? {
        engines.push(Engine {
            name: result.text("engine_name")?.unwrap_or(name),
            verdict: result.text("category")?.unwrap_or_else(|| "undetected".to_owned()),
            result: result.text("result")?,
        });
    }
    let known_since = match of_domain {
        true => a.time("first_seen_date")?.or(a.time("creation_date")?),
        false => a.time("first_submission_date")?,
    };
    Ok(Some(Fact::Engines {
        malicious: count("malicious")?,
        suspicious: count("suspicious")?,
        harmless: count("harmless")?,
        undetected: count("undetected")?,
        analysed_at: a.time("last_analysis_date")?.or(a.time("date")?),
        known_since,
        engines,
    }))
}

fn dns_record(record: &Node<'_>) -> Result<Option<Fact>, ProviderError> {
    let Some(rtype) = record.text("type")? else { return Ok(None) };
    let mut value = record.text("value")?.unwrap_or_default();
    if let Some(priority) = record.integer("priority")? {
        value = format!("{priority} {value}");
    }
    if let (Some(flag), Some(tag)) = (record.integer("flag")?, record.text("tag")?) {
        value = format!("{flag} {tag} {value}");
    }
    if let Some(rname) = record.text("rname")? {
        value = format!("{value} {rname}");
        for key in ["serial", "refresh", "retry", "expire", "minimum"] {
            let number = record.integer(key)?.unwrap_or_default();
            value = format!("{value} {number}");
        }
    }
    Ok(Some(Fact::Record { owner: None, rtype, value, ttl: record.count("ttl")? }))
}

fn certificate(a: &Node<'_>) -> Result<Certificate, ProviderError> {
    let member = |node: &str, key: &str| -> Result<Option<String>, ProviderError> {
        a.get(node)?.map_or(Ok(None), |node| node.text(key))
    };
    let time = |key: &str| -> Result<_, ProviderError> {
        a.get("validity")?.map_or(Ok(None), |validity| validity.time(key))
    };
    let names = a.get("extensions")?;
    let names = names.map_or_else(|| Ok(Vec::new()), |e| e.texts("subject_alternative_name"))?;
    Ok(Certificate {
        place: None,
        subject: member("subject", "CN")?,
        issuer: member("issuer", "CN")?,
        organisation: member("issuer", "O")?,
        not_before: time("not_before")?,
        not_after: time("not_after")?,
        serial: a.text("serial_number")?,
        sha256: a.text("thumbprint_sha256")?,
        key: member("public_key", "algorithm")?,
        names,
        first_seen: None,
    })
}

/// `GET /vtapi/v2/domain/report`: `response_code` 1 found, 0 not found, -1 not understood.
fn legacy(question: &Question, root: &Node<'_>) -> Result<Answer, ProviderError> {
    match root.integer("response_code")? {
        Some(1) => {}
        Some(0) => return Err(ProviderError::NotFound),
        _ => {
            let words = root.text("verbose_msg")?.unwrap_or_default();
            return Err(ProviderError::Refused { says: says(&words) });
        }
    }
    let mut facts = Vec::new();
    for item in root.items("detected_urls")? {
        facts.push(Fact::UrlSeen {
            url: item.text("url")?.unwrap_or_default(),
            malicious: item.count("positives")?.unwrap_or_default(),
            engines: item.count("total")?,
            at: item.time("scan_date")?,
        });
    }
    for (key, relation) in [
        ("detected_downloaded_samples", FileRelation::Downloaded),
        ("detected_communicating_samples", FileRelation::Communicating),
        ("detected_referrer_samples", FileRelation::Referrer),
    ] {
        for item in root.items(key)? {
            facts.push(Fact::File {
                relation,
                sha256: item.text("sha256")?.unwrap_or_default(),
                name: None,
                kind: None,
                malicious: item.count("positives")?,
                at: item.time("date")?,
            });
        }
    }
    let target = question.target.to_string();
    for item in root.items("resolutions")? {
        let (address, name) = (item.text("ip_address")?, item.text("hostname")?);
        facts.push(Fact::Resolution {
            name: name.unwrap_or_else(|| target.clone()),
            address: address.unwrap_or_else(|| target.clone()),
            last_seen: item.time("last_resolved")?,
            malicious: None,
        });
    }
    for name in root.texts("subdomains")? {
        facts.push(Fact::Subdomain { name, malicious: None });
    }
    Ok(Answer { facts, ..Answer::default() })
}

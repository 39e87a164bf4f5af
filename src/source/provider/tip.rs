//! Threat Intelligence Platform (threatintelligenceplatform.com/threat-intelligence-api-docs).
//!
//! In its scores 0 is dangerous and 100 safe. Only tests that lowered a score are listed, so a test
//! that ran and is not listed found nothing; which tests ran depends on the mode.

use super::error::{ProviderError, Window};
use super::json::{self, Node};
use super::{KeyPlace, Question, Reply, Request, percent};
use crate::model::lookup::{Answer, Aspect, Certificate, Fact, Scale, Target, Test};

/// The header takes the bare key, without `Bearer`.
const KEY: KeyPlace = KeyPlace::Header("authorization");
/// What a full reputation costs in credits; everything else costs one.
const FULL_UNITS: u32 = 3;
/// The test that looks into lists of malware.
pub const MALWARE_TEST: u32 = 82;

pub(super) fn request(question: &Question) -> Option<Request> {
    let name = match (&question.target, question.aspect) {
        (Target::Domain(name), _) => name.to_string(),
        (Target::Address(address), Aspect::Report) if address.is_ipv4() => address.to_string(),
        _ => return None,
    };
    let name = percent(&name);
    let path = match question.aspect {
        Aspect::Report => format!("/v2/reputation?domainName={name}&mode=full"),
        Aspect::Infrastructure => format!("/v1/infrastructureAnalysis?domainName={name}"),
        Aspect::CertificateChain => format!("/v1/sslCertificatesChain?domainName={name}"),
        Aspect::TlsConfiguration => format!("/v1/sslConfiguration?domainName={name}"),
        Aspect::MalwareCheck => format!("/v1/malwareCheck?domainName={name}"),
        Aspect::ConnectedDomains => format!("/v1/connectedDomains?domainName={name}"),
        _ => return None,
    };
    let units = if question.aspect == Aspect::Report { FULL_UNITS } else { 1 };
    Some(Request { units, ..Request::get(path, KEY) })
}

pub(super) fn parse(question: &Question, reply: &Reply) -> Result<Answer, ProviderError> {
    if reply.status != 200 {
        return Err(failure(reply));
    }
    let value = json::document(&reply.body)?;
    let root = Node::root(&value);
    let facts = match question.aspect {
        Aspect::Report => reputation(&root)?,
        Aspect::Infrastructure => infrastructure(&root)?,
        Aspect::CertificateChain => chain(&root)?,
        Aspect::TlsConfiguration => tls(&root)?,
        Aspect::MalwareCheck => malware(&root)?,
        Aspect::ConnectedDomains => return connected(&root),
        _ => return Err(ProviderError::malformed("nothing of the kind was asked")),
    };
    Ok(Answer { facts, ..Answer::default() })
}

/// A refused key and used up credits have one status and differ in words alone.
fn failure(reply: &Reply) -> ProviderError {
    let says = json::message(&reply.body);
    let words = says.to_ascii_lowercase();
    match reply.status {
        401 | 403 if words.contains("authorization required") => ProviderError::KeyMissing { says },
        401 | 403 if words.contains("access denied") => ProviderError::Quota {
            window: Window::Month,
            retry_after_seconds: reply.signs.retry_after_seconds,
            until: None,
            says,
        },
        401 | 403 => ProviderError::KeyRefused { says },
        422 if words.contains("doesn't exist") => ProviderError::NotFound,
        429 => ProviderError::Quota {
            window: Window::Minute,
            retry_after_seconds: reply.signs.retry_after_seconds,
            until: None,
            says,
        },
        404 => ProviderError::NotFound,
        400..=499 => ProviderError::Refused { says },
        status => ProviderError::Server { status, says },
    }
}

fn score(name: &str, number: f64) -> Fact {
    let hundredths = (number * 100.0).round() as i64;
    Fact::Score { name: name.to_owned(), hundredths, scale: Scale::LowIsBad }
}

fn reputation(root: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    let mut facts = vec![score("reputation", root.need("reputationScore")?.as_number()?)];
    let mut malware_listed = false;
    for item in root.need("testResults")?.as_items()? {
        let mut warnings = Vec::new();
        for warning in item.items("warnings")? {
            // Version 1 has texts, version 2 has objects.
            let text = match warning.is_object() {
                true => warning.text("warningDescription")?,
                false => warning.as_text(300)?,
            };
            warnings.extend(text);
        }
        let code = item.count("testCode")?;
        let name = item.text("test")?.unwrap_or_else(|| "a test without a name".to_owned());
        malware_listed |= code == Some(MALWARE_TEST) || name == "Malware databases check";
        let status = if warnings.is_empty() { "ok" } else { "warning" };
        facts.push(Fact::Test(Test { code, name, status: status.to_owned(), warnings }));
    }
    // It runs in both modes.
    if !malware_listed {
        facts.push(Fact::Test(Test {
            code: Some(MALWARE_TEST),
            name: "Malware databases check".to_owned(),
            status: "ok".to_owned(),
            warnings: Vec::new(),
        }));
    }
    Ok(facts)
}

/// The members of `geolocation` and `subnetwork` are not described anywhere: the likely ones are
/// read and what is not there is none.
fn infrastructure(root: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    let mut facts = Vec::new();
    for item in root.as_items()? {
        let of = |object: &str, key: &str| -> Result<Option<String>, ProviderError> {
            item.get(object)?.filter(Node::is_object).map_or(Ok(None), |node| node.text(key))
        };
        let address = item.text("ipv4")?;
        let role = item.text("resourceType")?.unwrap_or_else(|| "host".to_owned());
        let country = of("geolocation", "country")?;
        let places = [of("geolocation", "region")?, of("geolocation", "city")?];
        facts.push(Fact::Host {
            name: item.text("domainName")?.unwrap_or_default(),
            role,
            address: address.clone(),
            asn: None,
            network: of("subnetwork", "name")?,
            prefix: of("subnetwork", "cidr")?,
            country: country.clone(),
        });
        let place: Vec<String> = places.into_iter().flatten().collect();
        if country.is_some() || !place.is_empty() {
            let place = (!place.is_empty()).then(|| place.join(", "));
            facts.push(Fact::Location { address, country, place, provider: None });
        }
    }
    Ok(facts)
}

fn chain(root: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    let mut facts = Vec::new();
    for item in root.as_items()? {
        let issuer = item.get("issuer")?;
        let of_issuer = |key: &str| issuer.as_ref().map_or(Ok(None), |node| node.text(key));
        let key = item.get("publicKey")?;
        let of_key = |name: &str| key.as_ref().map_or(Ok(None), |node| node.text(name));
        let key = [of_key("type")?, of_key("bits")?].into_iter().flatten().collect::<Vec<_>>();
        let names = item.get("extensions")?.filter(Node::is_object);
        let names = names.map_or(Ok(None), |node| node.text("subjectAlternativeName"))?;
        let names = names.unwrap_or_default();
        let names = names.split(',').filter_map(|name| name.trim().strip_prefix("DNS:"));
        facts.push(Fact::Certificate(Certificate {
            place: item.text("chainHierarchy")?,
            subject: item.text("commonName")?,
            issuer: of_issuer("commonName")?,
            organisation: of_issuer("organization")?,
            not_before: item.time("validFrom")?,
            not_after: item.time("validTo")?,
            serial: item.text("serialNumber")?,
            sha256: None,
            key: (!key.is_empty()).then(|| key.join(" ")),
            names: names.map(str::to_owned).collect(),
            first_seen: None,
        }));
    }
    Ok(facts)
}

fn tls(root: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    let mut facts = Vec::new();
    for (name, result) in root.need("testResults")?.as_entries()? {
        let status = result.text("status")?.unwrap_or_else(|| "unknown".to_owned());
        let warnings = result.texts("details")?;
        // Older pages write SUCCESS and FAILED.
        let status = status.to_ascii_lowercase();
        let status = if status == "success" { "ok".to_owned() } else { status };
        facts.push(Fact::Test(Test { code: None, name, status, warnings }));
    }
    Ok(facts)
}

/// What the elements of `warningDetails` look like is not described: texts, or objects with one.
fn malware(root: &Node<'_>) -> Result<Vec<Fact>, ProviderError> {
    let mut warnings = Vec::new();
    for item in root.items("warningDetails")? {
        let text = match item.is_object() {
            false => item.as_text(300)?,
            true => match item.text("warningDescription")? {
                Some(text) => Some(text),
                None => item.text("description")?,
            },
        };
        warnings.push(text.unwrap_or_else(|| "a warning without words".to_owned()));
    }
    let status = if warnings.is_empty() { "ok" } else { "warning" }.to_owned();
    let test = Test { code: None, name: "malware check".to_owned(), status, warnings };
    let safe = root.need("safeScore")?.as_number()?;
    Ok(vec![score("safe", safe), Fact::Test(test)])
}

fn connected(root: &Node<'_>) -> Result<Answer, ProviderError> {
    let total = root.count("numberOfDomains")?.map(u64::from);
    let domains = root.texts("domains")?;
    let facts = domains.into_iter().map(|name| Fact::Neighbour { name }).collect();
    Ok(Answer { facts, total, next: None })
}

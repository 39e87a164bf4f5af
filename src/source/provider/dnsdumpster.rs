//! DNSdumpster (dnsdumpster.com/developer): the hosts of a domain, and where they are.

use super::error::{ProviderError, Window};
use super::json::{self, Node};
use super::{KeyPlace, Question, Reply, Request, percent};
use crate::model::lookup::{Answer, Aspect, Fact, Target};

const KEY: KeyPlace = KeyPlace::Header("x-api-key");

pub(super) fn request(question: &Question) -> Option<Request> {
    let (Target::Domain(name), Aspect::Report) = (&question.target, question.aspect) else {
        return None;
    };
    let page = question.page.as_ref().map(|page| format!("?page={}", percent(page)));
    let path = format!("/domain/{}{}", percent(&name.to_string()), page.unwrap_or_default());
    Some(Request::get(path, KEY))
}

pub(super) fn parse(question: &Question, reply: &Reply) -> Result<Answer, ProviderError> {
    if reply.status != 200 {
        return Err(failure(reply));
    }
    let value = json::document(&reply.body)?;
    let root = Node::root(&value);
    let mut facts = Vec::new();
    let mut hosts = 0;
    for (list, role) in
        [("a", "A"), ("aaaa", "AAAA"), ("cname", "CNAME"), ("mx", "MX"), ("ns", "NS")]
    {
        for item in root.items(list)? {
            hosts += u64::from(role == "A");
            host(&item, role, &mut facts)?;
        }
    }
    for value in root.texts("txt")? {
        let value = value.trim_matches('"').to_owned();
        facts.push(Fact::Record { owner: None, rtype: "TXT".to_owned(), value, ttl: None });
    }
    if facts.is_empty() {
        return Err(ProviderError::NotFound);
    }
    let total = root.integer("total_a_recs")?.and_then(|total| u64::try_from(total).ok());
    let page: u64 = question.page.as_ref().and_then(|page| page.parse().ok()).unwrap_or(1);
    // More than is shown so far: there are further pages, for those who pay.
    let more = hosts > 0 && total.is_some_and(|total| total > hosts * page);
    Ok(Answer { facts, total, next: more.then(|| (page + 1).to_string()) })
}

/// The daily quota and the pace have one status and differ in words alone.
fn failure(reply: &Reply) -> ProviderError {
    let says = json::message(&reply.body);
    match reply.status {
        401 => ProviderError::KeyRefused { says },
        403 => ProviderError::PaidPlan { says },
        404 => ProviderError::NotFound,
        429 => ProviderError::Quota {
            window: match says.to_ascii_lowercase().contains("daily") {
                true => Window::Day,
                false => Window::Minute,
            },
            retry_after_seconds: reply.signs.retry_after_seconds,
            until: None,
            says,
        },
        400..=499 => ProviderError::Refused { says },
        status => ProviderError::Server { status, says },
    }
}

/// A host with its addresses. That of a mail server carries its preference in front.
fn host(item: &Node<'_>, role: &str, facts: &mut Vec<Fact>) -> Result<(), ProviderError> {
    let written = item.text("host")?.unwrap_or_default();
    let name = written.rsplit(' ').next().unwrap_or_default().to_owned();
    if role == "MX" || role == "NS" {
        let (rtype, value) = (role.to_owned(), written);
        facts.push(Fact::Record { owner: None, rtype, value, ttl: None });
    }
    if let Some(value) = item.text("target")? {
        let (owner, rtype) = (Some(name.clone()), "CNAME".to_owned());
        facts.push(Fact::Record { owner, rtype, value, ttl: None });
    }
    let addresses = item.items("ips")?;
    if addresses.is_empty() {
        facts.push(Fact::Host {
            name: name.clone(),
            role: role.to_owned(),
            address: None,
            asn: None,
            network: None,
            prefix: None,
            country: None,
        });
    }
    for ip in addresses {
        let address = ip.text("ip")?;
        let country = match ip.text("country_code")? {
            Some(code) => Some(code),
            None => ip.text("country")?,
        };
        facts.push(Fact::Host {
            name: name.clone(),
            role: role.to_owned(),
            address: address.clone(),
            asn: ip.system("asn")?,
            network: ip.text("asn_name")?,
            prefix: ip.text("asn_range")?,
            country,
        });
        if let Some(name) = ip.text("ptr")? {
            facts.push(Fact::ReverseName { address: address.clone(), name });
        }
        banners(&ip, &name, address.as_deref().unwrap_or_default(), facts)?;
    }
    Ok(())
}

fn banners(
    ip: &Node<'_>,
    host: &str,
    address: &str,
    facts: &mut Vec<Fact>,
) -> Result<(), ProviderError> {
    for (protocol, banner) in ip.entries("banners")? {
        if !banner.is_object() {
            let says = banner.as_text(300)?.unwrap_or_default();
            let (host, address) = (host.to_owned(), address.to_owned());
            facts.push(Fact::Banner { host, address, protocol, says });
            continue;
        }
        let mut says = Vec::new();
        for key in ["server", "title", "redirect_location", "cn"] {
            says.extend(banner.text(key)?);
        }
        says.extend(banner.texts("apps")?);
        facts.push(Fact::Banner {
            host: host.to_owned(),
            address: address.to_owned(),
            protocol,
            says: says.join("; "),
        });
    }
    Ok(())
}

//! What an investigation finds out without any service: by asking the DNS, and from the tables that
//! are in force.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::rr::{RData, RecordType};
use hickory_proto::serialize::binary::{BinDecoder, Restrict};
use ipnet::IpNet;

use crate::investigate::Row;
use crate::model::lookup::text::harmless;
use crate::model::lookup::{Fact, Target, Test};
use crate::model::{Name, Network, Timestamp};
use crate::pipeline::Published;
use crate::ports::upstream::{Question, Security};
use crate::resolver::cache::CachingUpstream;

/// How long one question may take; the resolver gives up earlier as a rule.
const PATIENCE: Duration = Duration::from_secs(15);
/// Records of one type that are kept.
const RECORDS_MAX: usize = 50;
/// The longest data of one record that is shown.
const DATA_OCTETS_MAX: usize = 400;
/// Prefixes of an AS that are shown.
const PREFIXES_MAX: usize = 200;
/// RFC 1912 section 2.2: when a secondary gives up, in seconds.
const SOA_EXPIRE: std::ops::RangeInclusive<u32> = 1_209_600..=2_419_200;

/// What was found out.
#[derive(Debug, Default)]
pub struct Found {
    /// It, in rows.
    pub rows: Vec<Row>,
    /// The target's addresses.
    pub addresses: Vec<IpAddr>,
    /// The AS that announce them.
    pub systems: Vec<u32>,
}

/// Asks the DNS and the tables about a target.
pub async fn find_out(
    target: &Target,
    state: &Published,
    caching: Option<&Arc<CachingUpstream>>,
    now: Timestamp,
) -> Found {
    let mut found = Found::default();
    match target {
        Target::Address(address) => found.addresses.push(*address),
        Target::Url(url) => {
            if let Target::Address(address) = url.host() {
                found.addresses.push(*address);
            }
        }
        _ => {}
    }
    if let Some(name) = target.domain() {
        of_name(name, state, caching, &mut found).await;
    }
    for address in found.addresses.clone().iter().take(2) {
        reverse(*address, caching, &mut found).await;
    }
    of_networks(target, state, now, &mut found);
    found
}

async fn of_name(
    name: &Name,
    state: &Published,
    caching: Option<&Arc<CachingUpstream>>,
    found: &mut Found,
) {
    let Some(caching) = caching else {
        found.rows.push(missing("DNS", "the daemon is not running, so nothing was resolved"));
        return;
    };
    let registrable = state.standings.suffixes.registrable(name.as_ref()).to_owned();
    let ask = |name: &Name, rtype| ask(caching.clone(), name.clone(), rtype);
    let (a, aaaa, mx, ns, soa, txt, caa) = tokio::join!(
        ask(name, RecordType::A),
        ask(name, RecordType::AAAA),
        ask(name, RecordType::MX),
        ask(&registrable, RecordType::NS),
        ask(&registrable, RecordType::SOA),
        ask(name, RecordType::TXT),
        ask(&registrable, RecordType::CAA),
    );
    let security = match &a {
        Ok(answer) => answer.security,
        Err(_) => Security::Indeterminate,
    };
    let dnssec = match (security, &a) {
        (_, Err(error)) if error.contains("DNSSEC") => error.clone(),
        (Security::Secure, _) => "signed, and the signatures hold".to_owned(),
        (Security::Insecure, _) => "not signed".to_owned(),
        (Security::Bogus, _) => "signed, and the signatures do not hold".to_owned(),
        (Security::Indeterminate, _) => "not known: nobody validated the answer".to_owned(),
    };
    for answer in [&a, &aaaa].into_iter().flatten() {
        found.addresses.extend(answer.records.iter().filter_map(|(rtype, text, _)| {
            matches!(*rtype, RecordType::A | RecordType::AAAA)
                .then(|| text.parse::<IpAddr>().ok())
                .flatten()
        }));
    }
    let checks = checks(state, &ns, &soa, &mx);
    for (what, answer) in
        [("A", a), ("AAAA", aaaa), ("MX", mx), ("NS", ns), ("SOA", soa), ("TXT", txt), ("CAA", caa)]
    {
        found.rows.push(records(what, answer));
    }
    let note = Fact::Note { name: "DNSSEC".to_owned(), text: dnssec };
    found.rows.push(Row { what: "DNSSEC".to_owned(), facts: vec![note], ..Row::default() });
    found.rows.push(Row { what: "DNS configuration".to_owned(), facts: checks, ..Row::default() });
}

/// What one question brought.
struct Brought {
    records: Vec<(RecordType, String, u32)>,
    security: Security,
}

async fn ask(
    caching: Arc<CachingUpstream>,
    name: Name,
    rtype: RecordType,
) -> Result<Brought, String> {
    let question = Question::plain(name, u16::from(rtype));
    let answer = match tokio::time::timeout(PATIENCE, caching.answer(&question, None)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let resolution = &answer.resolution;
    let records = resolution.sections.answers().into_iter().take(RECORDS_MAX);
    let read = records.filter_map(|record| {
        let rtype = RecordType::from(record.rtype);
        let mut decoder = BinDecoder::new(&record.rdata);
        let length = Restrict::new(u16::try_from(record.rdata.len()).ok()?);
        let data = RData::read(&mut decoder, rtype, length).ok()?;
        let text = harmless(&data.to_string(), DATA_OCTETS_MAX);
        Some((rtype, text.trim_end_matches('.').to_owned(), record.ttl))
    });
    Ok(Brought { records: read.collect(), security: resolution.security })
}

fn records(what: &str, answer: Result<Brought, String>) -> Row {
    let mut row = Row { what: what.to_owned(), ..Row::default() };
    match answer {
        Err(error) => row.missing = Some(harmless(&error, DATA_OCTETS_MAX)),
        Ok(brought) => {
            let fact = |(rtype, value, ttl): (RecordType, String, u32)| Fact::Record {
                owner: None,
                rtype: rtype.to_string(),
                value,
                ttl: Some(ttl),
            };
            row.facts = brought.records.into_iter().map(fact).collect();
            if row.facts.is_empty() {
                row.missing = Some("there are none".to_owned());
            }
        }
    }
    row
}

/// What Threat Intelligence Platform's tests of the DNS look at, looked at here.
fn checks(
    _state: &Published,
    ns: &Result<Brought, String>,
    soa: &Result<Brought, String>,
    mx: &Result<Brought, String>,
) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut test = |name: &str, warnings: Vec<String>| {
        let status = if warnings.is_empty() { "ok" } else { "warning" }.to_owned();
        let test = Test { code: None, name: name.to_owned(), status, warnings };
        facts.push(Fact::Test(test));
    };
    let of_type = |answer: &Result<Brought, String>, wanted: RecordType| -> Option<Vec<String>> {
        let records = &answer.as_ref().ok()?.records;
        let same = records.iter().filter(|(rtype, ..)| *rtype == wanted);
        Some(same.map(|(_, text, _)| text.clone()).collect())
    };
    if let Some(servers) = of_type(ns, RecordType::NS) {
        // RFC 2182 section 5: at least two, and not in one place.
        let few = (servers.len() < 2).then(|| format!("{} name servers", servers.len()));
        test("name servers", few.into_iter().collect());
    }
    if let Some(soa) = of_type(soa, RecordType::SOA).and_then(|texts| texts.first().cloned()) {
        let numbers: Vec<u32> = soa.split(' ').filter_map(|part| part.parse().ok()).collect();
        let mut warnings = Vec::new();
        if let [_, refresh, retry, expire, _] = numbers.as_slice() {
            if !SOA_EXPIRE.contains(expire) {
                warnings.push(format!(
                    "expire is {expire} s; {} to {} s are usual",
                    SOA_EXPIRE.start(),
                    SOA_EXPIRE.end()
                ));
            }
            if retry >= refresh {
                warnings.push(format!("retry ({retry} s) is not below refresh ({refresh} s)"));
            }
        }
        test("SOA intervals (RFC 1912 section 2.2)", warnings);
    }
    if let Some(servers) = of_type(mx, RecordType::MX) {
        // RFC 7505: a single MX of preference 0 to the root takes no mail.
        let null = servers.len() == 1 && servers[0].trim() == "0";
        let none = servers.is_empty().then(|| "no mail servers".to_owned());
        let none = none.or(null.then(|| "takes no mail (RFC 7505)".to_owned()));
        test("mail servers", none.into_iter().collect());
    }
    facts
}

async fn reverse(address: IpAddr, caching: Option<&Arc<CachingUpstream>>, found: &mut Found) {
    let what = format!("PTR of {address}");
    let Some(caching) = caching else {
        found.rows.push(missing(&what, "the daemon is not running, so nothing was resolved"));
        return;
    };
    let name = match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            format!("{d}.{c}.{b}.{a}.in-addr.arpa")
        }
        IpAddr::V6(v6) => {
            let nibbles = v6.octets().into_iter().rev().flat_map(|o| [o & 15, o >> 4]);
            let labels: Vec<String> = nibbles.map(|nibble| format!("{nibble:x}")).collect();
            format!("{}.ip6.arpa", labels.join("."))
        }
    };
    let Ok(name) = Name::from_presentation(&name) else { return };
    let answer = ask(caching.clone(), name, RecordType::PTR).await;
    let mut row = records(&what, answer);
    for fact in &mut row.facts {
        if let Fact::Record { value, rtype, .. } = fact
            && rtype == "PTR"
        {
            *fact = Fact::ReverseName { address: Some(address.to_string()), name: value.clone() };
        }
    }
    found.rows.push(row);
}

/// Route and AS, the arithmetic of a prefix, and the rank of the neighbourhood.
fn of_networks(target: &Target, state: &Published, now: Timestamp, found: &mut Found) {
    let hood = &state.standings.neighbourhood;
    let mut facts = Vec::new();
    let networks: Vec<Network> = match target {
        Target::Prefix(network) => vec![*network],
        _ => found.addresses.iter().copied().map(Network::host).collect(),
    };
    for network in networks {
        let route = hood.table.covering(network);
        let prefix = route.as_ref().map(|route| route.network().to_string());
        let origins = hood.origins(network);
        for asn in &origins {
            facts.push(Fact::Origin {
                address: Some(network.to_string()),
                asn: *asn,
                name: hood.names.name(*asn).map(|name| harmless(name, DATA_OCTETS_MAX)),
                prefix: prefix.clone(),
                at: None,
            });
        }
        found.systems.extend(origins);
    }
    if let Target::As(number) = target {
        found.systems.push(*number);
        let name = hood.names.name(*number).map(|name| harmless(name, DATA_OCTETS_MAX));
        facts.extend(name.map(|name| Fact::AsName { name, at: None }));
        let routes =
            crate::bgp::Family::ALL.into_iter().flat_map(|family| hood.table.routes(family));
        let theirs = routes.filter(|route| route.origins().iter().any(|origin| origin == *number));
        let prefixes: Vec<String> =
            theirs.take(PREFIXES_MAX).map(|route| route.network().to_string()).collect();
        facts.extend(prefixes.into_iter().map(|prefix| Fact::Announced { prefix }));
    }
    found.systems.sort_unstable();
    found.systems.dedup();
    let mut row = Row { what: "Route and AS".to_owned(), facts, ..Row::default() };
    if row.facts.is_empty() {
        row.missing = Some("no table of routes knows it".to_owned());
    }
    found.rows.push(row);
    if let Some(rank) = rank(state, &found.systems, now) {
        found.rows.push(rank);
    }
    if let Target::Prefix(network) = target {
        found.rows.push(arithmetic(network.ipnet()));
    }
}

/// How bad the company is in the AS, by the lists that are read here.
fn rank(state: &Published, systems: &[u32], now: Timestamp) -> Option<Row> {
    let number = systems.first()?;
    let says = state.asn(*number, 7, now);
    let facts: Vec<Fact> = says
        .families
        .iter()
        .flat_map(|family| {
            let sources = family.sources.iter().map(|source| {
                let text = serde_json::to_string(source).unwrap_or_default();
                Fact::Note { name: "by source".to_owned(), text: harmless(&text, DATA_OCTETS_MAX) }
            });
            let text = format!("AS{number}: {} listed ({})", family.listed, family.family);
            std::iter::once(Fact::Note { name: "rank here".to_owned(), text }).chain(sources)
        })
        .collect();
    (!facts.is_empty()).then(|| Row { what: "AS by our lists".to_owned(), facts, ..Row::default() })
}

/// First and last address and size of a prefix.
fn arithmetic(net: IpNet) -> Row {
    let host_bits = u32::from(net.max_prefix_len() - net.prefix_len());
    let size = match host_bits {
        0..=63 => (1_u64 << host_bits).to_string(),
        bits => format!("2^{bits}"),
    };
    let note = |name: &str, text: String| Fact::Note { name: name.to_owned(), text };
    let facts = vec![
        note("first", net.network().to_string()),
        note("last", net.broadcast().to_string()),
        note("mask", net.netmask().to_string()),
        note("addresses", size),
    ];
    Row { what: "CIDR".to_owned(), facts, ..Row::default() }
}

fn missing(what: &str, why: &str) -> Row {
    Row { what: what.to_owned(), missing: Some(why.to_owned()), ..Row::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_are_computed() {
        let shown = |text: &str| {
            let row = arithmetic(text.parse().unwrap());
            let texts = row.facts.iter().map(|fact| match fact {
                Fact::Note { text, .. } => text.as_str(),
                _ => "",
            });
            texts.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown("192.0.2.64/26"), "192.0.2.64 192.0.2.127 255.255.255.192 64");
        assert!(shown("2001:db8::/32").ends_with("2^96"));
    }
}

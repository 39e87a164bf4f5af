//! Facts in words, for people and for tables.

use crate::model::Timestamp;
use crate::model::lookup::{Certificate, Fact, FileRelation, Scale};

/// A fact as a name and a value.
pub fn words(fact: &Fact) -> (String, String) {
    let say = |name: &str, value: String| (name.to_owned(), value);
    match fact {
        Fact::Engines {
            malicious, suspicious, harmless, undetected, analysed_at, engines, ..
        } => {
            let all = malicious + suspicious + harmless + undetected;
            let mut text = format!("{malicious} of {all} malicious");
            if *suspicious > 0 {
                text.push_str(&format!(", {suspicious} suspicious"));
            }
            let named = engines.iter().filter(|engine| engine.verdict == "malicious");
            let named: Vec<String> = named
                .map(|engine| match &engine.result {
                    Some(result) => format!("{} ({result})", engine.name),
                    None => engine.name.clone(),
                })
                .collect();
            if !named.is_empty() {
                text.push_str(&format!(": {}", named.join(", ")));
            }
            say("engines", dated(text, *analysed_at))
        }
        Fact::Votes { malicious, harmless } => {
            say("votes", format!("{malicious} malicious, {harmless} harmless"))
        }
        Fact::Vote { at, verdict } => say("vote", dated(verdict.clone(), *at)),
        Fact::Score { name, hundredths, scale } => {
            let end = match scale {
                Scale::LowIsBad => "low is bad",
                Scale::HighIsBad => "high is bad",
            };
            say(name, format!("{} ({end})", decimal(*hundredths)))
        }
        Fact::Origin { address, asn, name, prefix, at } => {
            let name = name.as_ref().map(|name| format!(" {name}")).unwrap_or_default();
            let prefix = prefix.as_ref().map(|p| format!(", {p}")).unwrap_or_default();
            say("AS", of(address, dated(format!("AS{asn}{name}{prefix}"), *at)))
        }
        Fact::NotAnnounced { at } => say("AS", dated("not announced".to_owned(), *at)),
        Fact::Location { address, country, place, provider } => {
            let parts = [country, place, provider].into_iter().flatten();
            let parts: Vec<&str> = parts.map(String::as_str).collect();
            say("place", of(address, parts.join(", ")))
        }
        Fact::Registration { registrar, created, changed, expires, text, seen_at } => {
            let mut parts: Vec<String> = registrar.iter().cloned().collect();
            for (name, at) in [("created", created), ("changed", changed), ("expires", expires)] {
                parts.extend(at.map(|at| format!("{name} {}", date(at))));
            }
            parts.extend(text.as_ref().map(|text| text.replace('\n', " | ")));
            say("registration", dated(parts.join(", "), *seen_at))
        }
        Fact::Resolution { name, address, last_seen, malicious } => {
            let against = against(*malicious);
            say("resolution", dated(format!("{name} → {address}{against}"), *last_seen))
        }
        Fact::Subdomain { name, malicious } => {
            say("subdomain", format!("{name}{}", against(*malicious)))
        }
        Fact::Neighbour { name } => say("same address", name.clone()),
        Fact::UrlSeen { url, malicious, engines, at } => {
            let engines = engines.map(|all| format!(" of {all}")).unwrap_or_default();
            say("URL", dated(format!("{url} ({malicious}{engines} malicious)"), *at))
        }
        Fact::File { relation, sha256, name, kind, malicious, at } => {
            let relation = match relation {
                FileRelation::Communicating => "talks to it",
                FileRelation::Downloaded => "came from it",
                FileRelation::Referrer => "mentions it",
            };
            let parts = [name, kind].into_iter().flatten().map(|part| format!(", {part}"));
            let about: String = parts.collect();
            let against = against(*malicious);
            say("file", dated(format!("{sha256}{about} ({relation}){against}"), *at))
        }
        Fact::Record { owner, rtype, value, ttl } => {
            let ttl = ttl.map(|ttl| format!(" ({ttl} s)")).unwrap_or_default();
            say(rtype, of(owner, format!("{value}{ttl}")))
        }
        Fact::Host { name, role, address, asn, network, prefix, country } => {
            let asn = asn.map(|asn| format!("AS{asn}"));
            let parts = [address.clone(), asn, network.clone(), prefix.clone(), country.clone()];
            let parts: Vec<String> = parts.into_iter().flatten().collect();
            let parts =
                if parts.is_empty() { String::new() } else { format!(": {}", parts.join(", ")) };
            say("host", format!("{name} ({role}){parts}"))
        }
        Fact::ReverseName { address, name } => say("reverse name", of(address, name.clone())),
        Fact::Banner { host, address, protocol, says } => {
            say("banner", format!("{protocol} on {host} ({address}): {says}"))
        }
        Fact::Certificate(certificate) => say("certificate", certificate_words(certificate)),
        Fact::Test(test) => {
            let warnings = match test.warnings.is_empty() {
                true => String::new(),
                false => format!(": {}", test.warnings.join("; ")),
            };
            say("test", format!("{} {}{warnings}", test.name, test.status))
        }
        Fact::Category { by, text } => say("category", format!("{text} ({by})")),
        Fact::Popularity { list, rank } => say("popularity", format!("{rank} in {list}")),
        Fact::Graph { id, title, nodes, created } => {
            let title = title.as_ref().map(|title| format!(" “{title}”")).unwrap_or_default();
            say("graph", dated(format!("{id}{title}, {nodes} nodes"), *created))
        }
        Fact::Trait { name } => say("trait", name.clone()),
        Fact::Rank { rank, position, total, day, source } => {
            let place = match position {
                Some(position) => format!("place {position} of {total}, 1 the worst"),
                None => format!("on no list, {total} AS are"),
            };
            let source = source.as_ref().map(|s| format!(" by {s}")).unwrap_or_default();
            say("rank", dated(format!("{rank} ({place}){source}"), *day))
        }
        Fact::RankOn { day, rank } => say("rank", format!("{rank} on {}", date(*day))),
        Fact::RankedAs { asn, rank, source } => {
            let source = source.as_ref().map(|s| format!(" by {s}")).unwrap_or_default();
            say("ranked", format!("AS{asn} {rank}{source}"))
        }
        Fact::AsName { name, at } => say("AS name", dated(name.clone(), *at)),
        Fact::Announced { prefix } => say("announces", prefix.clone()),
        Fact::AddressCount { count } => say("addresses", count.to_string()),
        Fact::Quota { window, left, .. } => {
            say("quota", format!("{} left of the {window}", left.unwrap_or_default()))
        }
        Fact::Note { name, text } => say(name, text.clone()),
    }
}

fn certificate_words(c: &Certificate) -> String {
    let mut parts: Vec<String> = Vec::new();
    parts.extend(c.subject.iter().cloned());
    parts.extend(c.issuer.as_ref().map(|issuer| format!("by {issuer}")));
    parts.extend(c.not_before.map(|at| format!("from {}", date(at))));
    parts.extend(c.not_after.map(|at| format!("to {}", date(at))));
    parts.extend(c.key.iter().cloned());
    if !c.names.is_empty() {
        parts.push(format!("for {}", c.names.join(" ")));
    }
    parts.extend(c.sha256.as_ref().map(|sha256| format!("SHA-256 {sha256}")));
    parts.extend(c.place.as_ref().map(|place| format!("({place})")));
    parts.join(", ")
}

/// A number with two decimals in hundredths, as people write it.
fn decimal(hundredths: i64) -> String {
    let (whole, rest) = (hundredths / 100, (hundredths % 100).abs());
    let sign = if hundredths < 0 && whole == 0 { "-" } else { "" };
    match rest {
        0 => whole.to_string(),
        rest => format!("{sign}{whole}.{rest:02}"),
    }
}

fn against(malicious: Option<u32>) -> String {
    match malicious {
        None | Some(0) => String::new(),
        Some(count) => format!(" ({count} malicious)"),
    }
}

fn of(subject: &Option<String>, text: String) -> String {
    match subject {
        Some(subject) => format!("{subject}: {text}"),
        None => text,
    }
}

fn dated(text: String, at: Option<Timestamp>) -> String {
    match at {
        Some(at) => format!("{text}, {}", date(at)),
        None => text,
    }
}

/// A day, as `2026-08-20`.
pub fn date(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_keep_their_sign() {
        let shown: Vec<String> = [-4200, 1137, -5, 0, 9150].into_iter().map(decimal).collect();
        assert_eq!(shown, ["-42", "11.37", "-0.05", "0", "91.50"]);
    }

    #[test]
    fn facts_are_said_in_a_line() {
        let fact = Fact::Resolution {
            name: "a.test".to_owned(),
            address: "192.0.2.1".to_owned(),
            last_seen: Some(Timestamp(1_787_216_400)),
            malicious: Some(3),
        };
        let (name, text) = words(&fact);
        assert_eq!(
            (name.as_str(), text.as_str()),
            ("resolution", "a.test → 192.0.2.1 (3 malicious), 2026-08-20")
        );
    }
}

//! What a registry says of a domain (RFC 9083 section 5.3).

use serde::Deserialize;

use crate::model::{Name, Timestamp};

/// States that are kept of one answer; registries have about twenty (RFC 8056).
const STATUSES_MAX: usize = 32;
/// Name servers that are kept: DNS itself allows 13 for most purposes.
const SERVERS_MAX: usize = 32;
/// The longest text that is kept, in octets.
const TEXT_OCTETS_MAX: usize = 200;

/// What is kept of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Facts {
    /// `registration`, the first one.
    pub registered_at: Option<Timestamp>,
    /// `last changed`.
    pub changed_at: Option<Timestamp>,
    /// `expiration`.
    pub expires_at: Option<Timestamp>,
    /// The registrar: its IANA number, else its handle.
    pub registrar: Option<String>,
    /// Its states.
    pub statuses: Vec<String>,
    /// Its name servers, sorted.
    pub name_servers: Vec<Name>,
}

/// Why an answer says nothing.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Not the JSON of RFC 9083.
    #[error("it does not read: {0}")]
    Json(#[from] serde_json::Error),
    /// About something else than a domain.
    #[error("it is about a `{0}`")]
    Class(String),
    /// About another domain.
    #[error("it is about `{0}`")]
    Other(String),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(rename = "objectClassName")]
    class: String,
    #[serde(rename = "ldhName", default)]
    name: Option<String>,
    #[serde(default)]
    events: Vec<Event>,
    #[serde(default)]
    status: Vec<String>,
    #[serde(default)]
    entities: Vec<Entity>,
    #[serde(default)]
    nameservers: Vec<Server>,
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "eventAction")]
    action: String,
    #[serde(rename = "eventDate", default)]
    date: Option<String>,
}

#[derive(Deserialize)]
struct Entity {
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    handle: Option<String>,
    #[serde(rename = "publicIds", default)]
    public_ids: Vec<PublicId>,
}

#[derive(Deserialize)]
struct PublicId {
    identifier: String,
}

#[derive(Deserialize)]
struct Server {
    #[serde(rename = "ldhName", default)]
    name: Option<String>,
}

/// Reads an answer about a domain. Registries leave members out and add others; what is there must
/// have its type, and be about what was asked.
pub fn read(octets: &[u8], domain: &Name) -> Result<Facts, AnswerError> {
    let answer: Answer = serde_json::from_slice(octets)?;
    if answer.class != "domain" {
        return Err(AnswerError::Class(kept(&answer.class)));
    }
    if let Some(name) = &answer.name
        && Name::from_presentation(name.trim_end_matches('.')).ok().as_ref() != Some(domain)
    {
        return Err(AnswerError::Other(kept(name)));
    }
    let at = |action: &str| {
        let events = answer.events.iter().filter(|event| event.action == action);
        events.filter_map(|event| Timestamp::parse(event.date.as_deref()?)).min()
    };
    let registrar = answer.entities.iter().find(|e| e.roles.iter().any(|r| r == "registrar"));
    let mut name_servers: Vec<Name> = answer
        .nameservers
        .iter()
        .take(SERVERS_MAX)
        .filter_map(|server| Name::from_presentation(server.name.as_deref()?).ok())
        .collect();
    name_servers.sort();
    name_servers.dedup();
    Ok(Facts {
        // A domain that was let go and taken again is as old as the taking.
        registered_at: at("reregistration").or_else(|| at("registration")),
        changed_at: at("last changed"),
        expires_at: at("expiration"),
        registrar: registrar.and_then(|entity| {
            let number = entity.public_ids.first().map(|id| kept(&id.identifier));
            number.or_else(|| entity.handle.as_deref().map(kept))
        }),
        statuses: answer.status.iter().take(STATUSES_MAX).map(|status| kept(status)).collect(),
        name_servers,
    })
}

/// A text of others, without control characters and not longer than is kept.
pub(super) fn kept(text: &str) -> String {
    let mut out = String::new();
    for c in text.trim().chars().filter(|c| !c.is_control()) {
        if out.len() + c.len_utf8() > TEXT_OCTETS_MAX {
            break;
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const FRESH: &str = r#"{"objectClassName": "domain", "ldhName": "FRESH-shop.example",
        "status": ["active"], "rdapConformance": ["rdap_level_0"],
        "events": [{"eventAction": "registration", "eventDate": "2026-08-18T11:12:44+02:00"},
                   {"eventAction": "expiration", "eventDate": "2027-08-18T09:12:44Z"}],
        "entities": [{"objectClassName": "entity", "roles": ["abuse"]},
                     {"objectClassName": "entity", "roles": ["registrar"],
                      "publicIds": [{"type": "IANA Registrar ID", "identifier": "9999"}]}],
        "nameservers": [{"objectClassName": "nameserver", "ldhName": "NS1.dns.example"}]}"#;

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    #[test]
    fn an_answer_says_when_and_by_whom() {
        let facts = read(FRESH.as_bytes(), &name("fresh-shop.example")).unwrap();
        assert_eq!(facts.registered_at.unwrap().to_string(), "2026-08-18T09:12:44Z");
        assert_eq!(facts.registrar.as_deref(), Some("9999"));
        assert_eq!(facts.name_servers, [name("ns1.dns.example")]);
        assert_eq!((facts.statuses.len(), facts.changed_at), (1, None));
    }

    #[test]
    fn what_is_not_about_the_domain_says_nothing() {
        let other = read(FRESH.as_bytes(), &name("other.example")).unwrap_err();
        assert!(other.to_string().contains("FRESH-shop.example"), "{other}");
        let error = r#"{"errorCode": 404, "title": "Not Found"}"#;
        assert!(read(error.as_bytes(), &name("a.example")).is_err());
        let network = r#"{"objectClassName": "ip network"}"#;
        let refused = read(network.as_bytes(), &name("a.example")).unwrap_err();
        assert!(refused.to_string().contains("ip network"));
        let odd = r#"{"objectClassName": "domain", "events": [{"eventAction": "registration",
            "eventDate": "long ago"}], "status": ["a\u0007b"]}"#;
        let facts = read(odd.as_bytes(), &name("a.example")).unwrap();
        assert_eq!((facts.registered_at, facts.statuses), (None, vec!["ab".to_owned()]));
    }

    /// Answers of several registries, recorded.
    #[test]
    fn recorded_answers_are_read() {
        for (file, domain, registered) in [
            ("domain_afnic_fr.json", "afnic.fr", "2001-12-10T23:00:00Z"),
            ("lemonde.fr.json", "lemonde.fr", "2005-08-02T14:16:36Z"),
            ("microsoft.click.json", "microsoft.click", "2014-11-12T19:15:55Z"),
        ] {
            let Some(path) = crate::model::recorded::shared(&format!("rdap/{file}")) else {
                return;
            };
            let octets = std::fs::read(path).unwrap();
            let facts = read(&octets, &name(domain)).unwrap();
            assert_eq!(facts.registered_at.map(|at| at.to_string()).as_deref(), Some(registered));
        }
    }
}

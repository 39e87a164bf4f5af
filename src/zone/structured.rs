//! What a client that asks for it is told about a rewriting, as data
//! (draft-ietf-dnsop-structured-dns-error): whom to ask, why, by whom, and which case it is.

use serde::Serialize;

/// Schemes of the addresses that a client can offer to its user (the draft names telephone, mail,
/// SIP and the web).
const SCHEMES: [&str; 5] = ["mailto:", "tel:", "sip:", "sips:", "https:"];
/// The most addresses: they all travel in one datagram.
pub const CONTACTS_MAX: usize = 4;
/// The longest address, and the longest name of an organisation or database, in octets.
pub const WORD_OCTETS_MAX: usize = 100;

/// A part of an extended error that programs can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StructuredError {
    /// URIs of who answers complaints, at least one.
    pub contacts: Vec<String>,
    /// Who filters.
    pub organisation: Option<String>,
    /// Why, by the draft's registry: 1 malware, 2 phishing, 3 spam, 4 spyware, 5 policy of the
    /// network's operator, 6 policy of the resolver's operator.
    pub suberror: Option<u8>,
    /// Where cases are listed, by its name in the registry of filtering databases
    /// (draft-nottingham-dnsop-censorship-transparency). The case's own number there is the zone
    /// and the trigger.
    pub database: Option<String>,
}

/// Members in the order in which a reader wants them; names are the drafts'.
#[derive(Serialize)]
struct Json<'a> {
    c: &'a [String],
    j: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    s: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    o: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fdbs: Option<[Entry<'a>; 1]>,
}

#[derive(Serialize)]
struct Entry<'a> {
    db: &'a str,
    id: &'a str,
}

impl StructuredError {
    /// Whether this is an address that a client can use.
    pub fn is_contact(uri: &str) -> bool {
        let of_scheme = |scheme: &&str| {
            uri.len() > scheme.len()
                && uri.is_char_boundary(scheme.len())
                && uri[..scheme.len()].eq_ignore_ascii_case(scheme)
        };
        SCHEMES.iter().any(of_scheme)
            && uri.len() <= WORD_OCTETS_MAX
            && !uri.chars().any(|c| c.is_whitespace() || c.is_control())
    }

    /// EXTRA-TEXT in I-JSON. `incident` names the zone and the trigger.
    pub fn json(&self, justification: &str, incident: &str) -> String {
        let entry = |db| [Entry { db, id: incident }];
        let json = Json {
            c: &self.contacts,
            j: justification,
            s: self.suberror,
            o: self.organisation.as_deref(),
            fdbs: self.database.as_deref().map(entry),
        };
        serde_json::to_string(&json).expect("texts and numbers have a form in JSON")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_are_the_drafts_and_what_is_not_known_is_left_out() {
        let whole = StructuredError {
            contacts: vec!["mailto:help@example.net".to_owned()],
            organisation: Some("Example \"Net\"".to_owned()),
            suberror: Some(6),
            database: Some("example".to_owned()),
        };
        assert_eq!(
            whole.json("malware", "local.rpz: bad.example"),
            r#"{"c":["mailto:help@example.net"],"j":"malware","s":6,"o":"Example \"Net\"","fdbs":[{"db":"example","id":"local.rpz: bad.example"}]}"#
        );
        let least = StructuredError { organisation: None, suberror: None, database: None, ..whole };
        assert_eq!(least.json("x", "y"), r#"{"c":["mailto:help@example.net"],"j":"x"}"#);
    }

    #[test]
    fn contacts_are_addresses_that_can_be_reached() {
        for (uri, is_one) in [
            ("https://help.example/", true),
            ("TEL:+358-555-1234567", true),
            ("sips:bob@phone.example", true),
            ("http://help.example/", false),
            ("javascript:alert(1)", false),
            ("help@example.net", false),
            ("mailto:", false),
            ("mailto:a b", false),
            ("häh", false),
        ] {
            assert_eq!(StructuredError::is_contact(uri), is_one, "{uri}");
        }
    }
}

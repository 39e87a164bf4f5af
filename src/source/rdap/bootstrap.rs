//! Which server knows which domain (RFC 9224).

use std::collections::HashMap;

use serde::Deserialize;

use crate::model::{Name, NameRef};

/// More than there are top-level domains.
const SERVICES_MAX: usize = 10_000;
/// A URL longer than this is none of a registry.
const URL_OCTETS_MAX: usize = 512;

/// The list of servers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bootstrap {
    servers: HashMap<Name, String>,
}

#[derive(Deserialize)]
struct File {
    version: String,
    services: Vec<(Vec<String>, Vec<String>)>,
}

/// Why octets are no list of servers.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// Not the JSON of RFC 9224 section 3.
    #[error("it does not read: {0}")]
    Json(#[from] serde_json::Error),
    /// Of another version.
    #[error("it is of version `{0}`; 1.0 is known")]
    Version(String),
    /// Longer than there are top-level domains, or empty.
    #[error("it has {0} services")]
    Services(usize),
}

impl Bootstrap {
    /// Reads the list. An entry that cannot be a domain or a server is left out.
    pub fn read(octets: &[u8]) -> Result<Self, BootstrapError> {
        let file: File = serde_json::from_slice(octets)?;
        if file.version != "1.0" {
            return Err(BootstrapError::Version(file.version));
        }
        if file.services.is_empty() || file.services.len() > SERVICES_MAX {
            return Err(BootstrapError::Services(file.services.len()));
        }
        let mut servers = HashMap::new();
        for (keys, urls) in file.services {
            let Some(base) = preferred(&urls) else { continue };
            for key in keys {
                if let Ok(name) = Name::from_presentation(&key) {
                    servers.insert(name, base.clone());
                }
            }
        }
        Ok(Self { servers })
    }

    /// The base URL of the server that knows a domain; it ends in `/`. The longest match counts
    /// (RFC 9224 section 4).
    pub fn server_of(&self, domain: NameRef<'_>) -> Option<&str> {
        let server = domain.ancestors().find_map(|name| self.servers.get(name.key()));
        server.map(String::as_str)
    }
}

/// An `https` URL where there is one (RFC 9224 section 3), else one of `http`.
fn preferred(urls: &[String]) -> Option<String> {
    let of = |scheme: &str| {
        urls.iter().find(|url| url.starts_with(scheme) && url.len() <= URL_OCTETS_MAX)
    };
    let url = of("https://").or_else(|| of("http://"))?;
    Some(format!("{}/", url.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_match_counts_and_https_comes_first() {
        let list = r#"{"version": "1.0", "publication": "2026-08-20T00:00:00Z", "services": [
            [["net", "com"], ["http://a.example/", "https://b.example/rdap"]],
            [["example.com"], ["https://c.example/"]],
            [["xn--p1ai", "not a tld!"], ["ftp://d.example/"]]]}"#;
        let bootstrap = Bootstrap::read(list.as_bytes()).unwrap();
        let of = |text: &str| {
            bootstrap.server_of(Name::from_host(text).unwrap().as_ref()).map(str::to_owned)
        };
        assert_eq!(of("shop.com").as_deref(), Some("https://b.example/rdap/"));
        assert_eq!(of("www.example.com").as_deref(), Some("https://c.example/"));
        assert_eq!((of("a.org"), of("a.xn--p1ai")), (None, None));
    }

    #[test]
    fn another_version_or_nothing_is_refused() {
        for (list, word) in [
            (r#"{"version": "2.0", "services": [[["a"], ["https://b/"]]]}"#, "2.0"),
            (r#"{"version": "1.0", "services": []}"#, "0 services"),
            (r#"{"services": 1}"#, "does not read"),
        ] {
            let error = Bootstrap::read(list.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}

//! What is looked up or investigated.

use std::fmt;
use std::net::IpAddr;

use super::super::{Indicator, Name, NameError, Network};

/// The longest URL that is looked up, in octets; more than browsers send is no address of a page.
const URL_OCTETS_MAX: usize = 2048;

/// A domain, an address, a prefix, an AS or a URL.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target {
    /// A domain name.
    Domain(Name),
    /// An address.
    Address(IpAddr),
    /// A prefix of more than one address.
    Prefix(Network),
    /// An autonomous system.
    As(u32),
    /// A URL.
    Url(Url),
}

/// An `http` or `https` URL with its host.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Url {
    text: String,
    host: Box<Target>,
}

/// Why a text is nothing to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a name, address, prefix or AS.
    #[error(transparent)]
    Name(#[from] NameError),
    /// Not a URL of the web.
    #[error("not an http:// or https:// URL")]
    Url,
    /// Longer than any.
    #[error("the URL is longer than {URL_OCTETS_MAX} octets")]
    UrlTooLong,
}

impl Url {
    /// Reads a URL. Spaces, control characters and user information are refused: no service is
    /// told a password.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        if text.len() > URL_OCTETS_MAX {
            return Err(TargetError::UrlTooLong);
        }
        let uri: http::Uri = text.parse().map_err(|_| TargetError::Url)?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority().filter(|_| is_web).ok_or(TargetError::Url)?;
        if authority.as_str().contains('@') {
            return Err(TargetError::Url);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let host = match Indicator::parse(host)? {
            Indicator::Domain(name) => Target::Domain(name),
            Indicator::Network(network) if network.is_host() => Target::Address(network.address()),
            _ => return Err(TargetError::Url),
        };
        Ok(Self { text: text.to_owned(), host: Box::new(host) })
    }

    /// The URL as it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The domain or address it leads to.
    pub fn host(&self) -> &Target {
        &self.host
    }
}

impl Target {
    /// Reads what a person types.
    pub fn parse(text: &str) -> Result<Self, TargetError> {
        let text = text.trim();
        if text.contains("://") {
            return Url::parse(text).map(Self::Url);
        }
        Ok(Indicator::parse(text)?.into())
    }

    /// What evidence is about it: for a URL, its host.
    pub fn indicator(&self) -> Indicator {
        match self {
            Self::Domain(name) => Indicator::Domain(name.clone()),
            Self::Address(address) => Indicator::Network(Network::host(*address)),
            Self::Prefix(network) => Indicator::Network(*network),
            Self::As(number) => Indicator::As(*number),
            Self::Url(url) => url.host().indicator(),
        }
    }

    /// The domain, also that of a URL.
    pub fn domain(&self) -> Option<&Name> {
        match self {
            Self::Domain(name) => Some(name),
            Self::Url(url) => url.host().domain(),
            _ => None,
        }
    }

    /// What kind of thing it is, in a word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Domain(_) => "domain",
            Self::Address(_) => "address",
            Self::Prefix(_) => "prefix",
            Self::As(_) => "AS",
            Self::Url(_) => "URL",
        }
    }
}

impl From<Indicator> for Target {
    fn from(indicator: Indicator) -> Self {
        match indicator {
            Indicator::Domain(name) => Self::Domain(name),
            Indicator::Network(network) if network.is_host() => Self::Address(network.address()),
            Indicator::Network(network) => Self::Prefix(network),
            Indicator::As(number) => Self::As(number),
        }
    }
}

/// As people type it, and as the ledger files it.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => name.fmt(f),
            Self::Address(address) => address.fmt(f),
            Self::Prefix(network) => network.fmt(f),
            Self::As(number) => write!(f, "AS{number}"),
            Self::Url(url) => f.write_str(url.as_str()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_type_names_addresses_prefixes_systems_and_urls() {
        for (text, shown, kind) in [
            ("Bad.Example.", "bad.example", "domain"),
            ("192.0.2.66", "192.0.2.66", "address"),
            ("192.0.2.0/24", "192.0.2.0/24", "prefix"),
            ("as64496", "AS64496", "AS"),
            ("http://bad.example/x?y=1", "http://bad.example/x?y=1", "URL"),
        ] {
            let target = Target::parse(text).unwrap();
            assert_eq!((target.to_string().as_str(), target.kind()), (shown, kind));
        }
        let url = Target::parse("https://[2001:db8::1]:8443/").unwrap();
        assert_eq!(url.indicator().to_string(), "2001:db8::1");
    }

    #[test]
    fn what_no_service_may_be_sent_is_no_target() {
        for bad in ["ftp://a.example/", "http://me:secret@a.example/", "http://", "http://a b/", ""]
        {
            assert!(Target::parse(bad).is_err(), "{bad}");
        }
        let long = format!("http://a.example/{}", "x".repeat(URL_OCTETS_MAX));
        assert_eq!(Target::parse(&long), Err(TargetError::UrlTooLong));
    }
}

//! What a claim is about.

use std::fmt;

use super::{Name, Network};

/// A domain (and what lies below it), an address prefix, or an AS number.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Indicator {
    /// A domain name.
    Domain(Name),
    /// An address or prefix.
    Network(Network),
    /// An autonomous system.
    As(u32),
}

impl Indicator {
    /// Reads what a person types: `AS64500`, an address, a prefix, or a host name.
    pub fn parse(text: &str) -> Result<Self, super::NameError> {
        let text = text.trim();
        if let Some(number) =
            text.get(..2).filter(|p| p.eq_ignore_ascii_case("as")).and(text.get(2..))
            && let Ok(number) = number.parse()
        {
            return Ok(Self::As(number));
        }
        match Network::parse_lenient(text) {
            Ok(network) => Ok(Self::Network(network)),
            Err(_) => Name::from_host(text).map(Self::Domain),
        }
    }
}

impl fmt::Display for Indicator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(name) => name.fmt(f),
            Self::Network(network) => network.fmt(f),
            Self::As(number) => write!(f, "AS{number}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_type_names_addresses_prefixes_and_as_numbers() {
        for (text, shown) in [
            ("AS64500", "AS64500"),
            ("as1", "AS1"),
            ("192.0.2.1", "192.0.2.1"),
            ("2001:db8::/32", "2001:db8::/32"),
            ("Bad.Example.", "bad.example"),
            ("asd.example", "asd.example"),
        ] {
            assert_eq!(Indicator::parse(text).unwrap().to_string(), shown);
        }
        assert!(Indicator::parse("not a name").is_err());
    }
}

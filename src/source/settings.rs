//! A source as the configuration declares it, and whether it may be used.

use std::fmt;

use super::decompress::DecompressLimits;
use super::feed::{Format, Limits};
use crate::bgp::load;
use crate::model::{Category, SourceId, Trust};
use crate::ports::{FetchLimits, Location};

/// What a source is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// It claims something about names, networks or AS numbers.
    #[default]
    Claims,
    /// It says how much names are used.
    Popularity,
    /// It is the public suffix list.
    PublicSuffixes,
    /// It says which AS announce which prefixes, or what AS are called.
    Routes(load::Format),
}

/// A source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name.
    pub id: SourceId,
    /// What it is for.
    pub role: Role,
    /// Where it is.
    pub location: Location,
    /// How it is written. Compression is recognised and not declared.
    pub format: Format,
    /// Which file of a zip file is meant, where it has several.
    pub member: Option<String>,
    /// What its claims are about where the feed does not say.
    pub category: Category,
    /// How far its word is taken.
    pub trust: Trust,
    /// Seconds between fetches.
    pub interval_seconds: u32,
    /// Who may use it.
    pub terms: Terms,
    /// Whether the operator has it switched on.
    pub enabled: bool,
    /// What fetching will not go beyond.
    pub fetch_limits: FetchLimits,
    /// What unpacking will not go beyond.
    pub decompress_limits: DecompressLimits,
    /// What parsing will not go beyond.
    pub parse_limits: Limits,
}

impl Source {
    /// A source with the usual limits, fetched once a day, for anyone to use.
    pub fn new(id: SourceId, location: Location, format: Format, category: Category) -> Self {
        Self {
            id,
            role: Role::Claims,
            location,
            format,
            member: None,
            category,
            trust: Trust::Scored,
            interval_seconds: 24 * 60 * 60,
            terms: Terms::Any,
            enabled: true,
            fetch_limits: FetchLimits::default(),
            decompress_limits: DecompressLimits::default(),
            parse_limits: Limits::default(),
        }
    }

    /// Why the source is not in use under this licence mode; none if it is.
    pub fn off(&self, mode: LicenceMode) -> Option<Off> {
        match (self.enabled, self.terms, mode) {
            (false, _, _) => Some(Off::Disabled),
            (true, Terms::Personal, LicenceMode::Commercial) => Some(Off::NonCommercialOnly),
            (true, Terms::Contract { held: false }, _) => Some(Off::ContractMissing),
            (true, _, _) => None,
        }
    }

    /// The word for how it is written.
    pub fn format_word(&self) -> &'static str {
        match self.role {
            Role::Routes(format) => format.as_str(),
            Role::PublicSuffixes => "public-suffix-list",
            Role::Claims | Role::Popularity => self.format.as_str(),
        }
    }

    /// The limits for parsing. The operator's own list may name whole top-level domains, and a
    /// warninglist claims no malice of them.
    pub fn limits(&self) -> Limits {
        let of_single_labels =
            self.trust == Trust::Operator || self.format == Format::MispWarninglist;
        let labels_min = if of_single_labels { 1 } else { self.parse_limits.labels_min };
        Limits { labels_min, ..self.parse_limits.clone() }
    }
}

/// Who may use a source, by its provider's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Terms {
    /// Anyone.
    Any,
    /// Non-commercial use only.
    Personal,
    /// Those with an own contract with the provider.
    Contract {
        /// Whether the operator says that there is one.
        held: bool,
    },
}

/// What the installation is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LicenceMode {
    /// At home or otherwise without commerce.
    Personal,
    /// In or for a business.
    Commercial,
}

impl fmt::Display for LicenceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Personal => "personal",
            Self::Commercial => "commercial",
        })
    }
}

/// Why a source is not in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Off {
    /// The configuration says so.
    #[error("switched off in the configuration")]
    Disabled,
    /// The terms forbid it.
    #[error("its terms allow non-commercial use only, and the licence mode is commercial")]
    NonCommercialOnly,
    /// The terms ask for a contract.
    #[error("its terms ask for a contract with the provider, and none is declared")]
    ContractMissing,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(terms: Terms) -> Source {
        let location = Location::parse("https://lists.example/phishing.txt").unwrap();
        let id = SourceId::new("phishing");
        Source { terms, ..Source::new(id, location, Format::Domains, Category::Phishing) }
    }

    #[test]
    fn terms_and_licence_mode_decide_what_is_on() {
        use LicenceMode::{Commercial, Personal};
        for (terms, mode, off) in [
            (Terms::Any, Personal, None),
            (Terms::Any, Commercial, None),
            (Terms::Personal, Personal, None),
            (Terms::Personal, Commercial, Some(Off::NonCommercialOnly)),
            (Terms::Contract { held: true }, Commercial, None),
            (Terms::Contract { held: false }, Commercial, Some(Off::ContractMissing)),
            (Terms::Contract { held: false }, Personal, Some(Off::ContractMissing)),
        ] {
            assert_eq!(source(terms).off(mode), off, "{terms:?} {mode}");
        }
        let disabled = Source { enabled: false, ..source(Terms::Any) };
        assert_eq!(disabled.off(Personal), Some(Off::Disabled));
    }

    #[test]
    fn only_own_lists_and_warninglists_may_name_top_level_domains() {
        let scored = source(Terms::Any);
        assert_eq!(scored.limits().labels_min, 2);
        let own = Source { trust: Trust::Operator, ..scored.clone() };
        assert_eq!(own.limits().labels_min, 1);
        let warnings = Source { format: Format::MispWarninglist, ..scored };
        assert_eq!(warnings.limits().labels_min, 1);
    }
}

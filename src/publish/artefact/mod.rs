//! What is made of a published state for those who fetch it over HTTP: zones as RPZ text, lists for
//! resolvers and blockers without RPZ, sets for firewalls, indicators for a SIEM.
//!
//! Only what holds for everyone is in a list; a zone of a group has its RPZ text alone. [`blocked`]
//! says what that is, the other modules write it down, [`shelf`] keeps the files. Everything is made
//! once for a state and streamed from disk, and an artefact with the same octets stays the same
//! artefact, whatever state it is of.

pub mod blocked;
pub mod firewall;
pub mod lists;
pub mod reasons;
pub mod shelf;
pub mod stix;

/// A list of what is blocked for everyone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// A name a line.
    Domains,
    /// `0.0.0.0 name`.
    Hosts,
    /// Rules of AdGuard Home and browser blockers.
    Adguard,
    /// `address=/name/`.
    Dnsmasq,
    /// `local-zone: "name" always_nxdomain`.
    Unbound,
    /// A JSON object a line, with score and reasons.
    JsonLines,
    /// A prefix a line.
    Addresses,
    /// Named sets for nftables.
    Nftables,
    /// For `ipset restore`.
    Ipset,
    /// A STIX 2.1 bundle.
    Stix,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 10] = [
        Self::Domains,
        Self::Hosts,
        Self::Adguard,
        Self::Dnsmasq,
        Self::Unbound,
        Self::JsonLines,
        Self::Addresses,
        Self::Nftables,
        Self::Ipset,
        Self::Stix,
    ];

    /// The name of its file.
    pub const fn file(self) -> &'static str {
        match self {
            Self::Domains => "domains.txt",
            Self::Hosts => "hosts.txt",
            Self::Adguard => "adguard.txt",
            Self::Dnsmasq => "dnsmasq.conf",
            Self::Unbound => "unbound.conf",
            Self::JsonLines => "names.jsonl",
            Self::Addresses => "addresses.txt",
            Self::Nftables => "addresses.nft",
            Self::Ipset => "addresses.ipset",
            Self::Stix => "stix.json",
        }
    }

    /// Its media type.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::JsonLines => "application/jsonl",
            Self::Stix => "application/stix+json;version=2.1",
            _ => "text/plain; charset=utf-8",
        }
    }
}

/// What a list holds and what it could not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Tally {
    /// Names or prefixes.
    pub entries: usize,
    /// Those that the format could not say without blocking more than is meant.
    pub left_out: usize,
}

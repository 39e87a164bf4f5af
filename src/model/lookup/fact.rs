//! What services say, one thing each.

use serde::{Deserialize, Serialize};

use super::super::Timestamp;

/// What one engine or list says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Engine {
    /// Its name.
    pub name: String,
    /// `malicious`, `suspicious`, `harmless` or `undetected`.
    pub verdict: String,
    /// What it calls the matter, such as `phishing`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

/// Which end of a number is the bad one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scale {
    /// Low is bad.
    LowIsBad,
    /// High is bad.
    HighIsBad,
}

/// What a file has to do with the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileRelation {
    /// It talks to it.
    Communicating,
    /// It came from it.
    Downloaded,
    /// It mentions it.
    Referrer,
}

/// A certificate of the web.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Certificate {
    /// `end-user`, `intermediate` and the like, where it is part of a chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// The subject's common name.
    pub subject: Option<String>,
    /// Who vouches for it.
    pub issuer: Option<String>,
    /// The issuer's organisation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// From when.
    pub not_before: Option<Timestamp>,
    /// Until when.
    pub not_after: Option<Timestamp>,
    /// Its serial number, as the service writes it.
    pub serial: Option<String>,
    /// SHA-256 of it, in hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// Key and signature, such as `RSA 2048`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The names it is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// When it was seen first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<Timestamp>,
}

/// One check of a set-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Test {
    /// The service's number for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// What is checked.
    pub name: String,
    /// `ok`, `warning` and the like, in small letters.
    pub status: String,
    /// What was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

/// One thing that a service said. Times are when it holds, not when it was asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fact", rename_all = "kebab-case")]
pub enum Fact {
    /// How many engines say what.
    Engines {
        /// Say malicious.
        malicious: u32,
        /// Say suspicious.
        suspicious: u32,
        /// Say harmless.
        harmless: u32,
        /// Say nothing.
        undetected: u32,
        /// When they looked.
        analysed_at: Option<Timestamp>,
        /// Since when the service knows the target, or since when it is registered.
        known_since: Option<Timestamp>,
        /// Single ones.
        engines: Vec<Engine>,
    },
    /// People's votes.
    Votes {
        /// For malicious.
        malicious: u32,
        /// For harmless.
        harmless: u32,
    },
    /// One vote.
    Vote {
        /// When.
        at: Option<Timestamp>,
        /// `malicious` or `harmless`.
        verdict: String,
    },
    /// A number of the service's own for how good or bad it is.
    Score {
        /// What it is called.
        name: String,
        /// The number, in hundredths.
        hundredths: i64,
        /// Its bad end.
        scale: Scale,
    },
    /// The AS that announces an address.
    Origin {
        /// The address, where it is not the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// The AS.
        asn: u32,
        /// What it is called.
        name: Option<String>,
        /// The prefix.
        prefix: Option<String>,
        /// On which day, where it is not now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// No AS announced it.
    NotAnnounced {
        /// On which day.
        at: Option<Timestamp>,
    },
    /// Where an address is.
    Location {
        /// The address, where it is not the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// The country, by letters or by name.
        country: Option<String>,
        /// Region and city.
        place: Option<String>,
        /// The provider there.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        provider: Option<String>,
    },
    /// The registration.
    Registration {
        /// The registrar.
        registrar: Option<String>,
        /// When it was made.
        created: Option<Timestamp>,
        /// When it was changed.
        changed: Option<Timestamp>,
        /// When it ends.
        expires: Option<Timestamp>,
        /// WHOIS as it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
        /// When it was read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        seen_at: Option<Timestamp>,
    },
    /// A name led to an address.
    Resolution {
        /// The name.
        name: String,
        /// The address.
        address: String,
        /// When last.
        last_seen: Option<Timestamp>,
        /// Engines against the other end of it.
        malicious: Option<u32>,
    },
    /// A name below.
    Subdomain {
        /// The name.
        name: String,
        /// Engines against it.
        malicious: Option<u32>,
    },
    /// A domain on the same address.
    Neighbour {
        /// The domain.
        name: String,
    },
    /// A URL on it.
    UrlSeen {
        /// The URL.
        url: String,
        /// Engines against it.
        malicious: u32,
        /// Engines asked.
        engines: Option<u32>,
        /// When they looked.
        at: Option<Timestamp>,
    },
    /// A file.
    File {
        /// What it has to do with it.
        relation: FileRelation,
        /// SHA-256 in hexadecimal digits.
        sha256: String,
        /// What it is called.
        name: Option<String>,
        /// What it is.
        kind: Option<String>,
        /// Engines against it.
        malicious: Option<u32>,
        /// When they looked.
        at: Option<Timestamp>,
    },
    /// A record of the DNS.
    Record {
        /// The owner, where it is not the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        owner: Option<String>,
        /// The type.
        rtype: String,
        /// The data.
        value: String,
        /// Seconds, where they are told.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ttl: Option<u32>,
    },
    /// A host by what it is for.
    Host {
        /// Its name.
        name: String,
        /// What it is for.
        role: String,
        /// Its address.
        address: Option<String>,
        /// The AS of the address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asn: Option<u32>,
        /// The name of the AS or network.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        network: Option<String>,
        /// The prefix.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        prefix: Option<String>,
        /// The country.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        country: Option<String>,
    },
    /// The name of an address.
    ReverseName {
        /// The address, where it is not the target.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        address: Option<String>,
        /// The name.
        name: String,
    },
    /// What a service of a host says when it is called.
    Banner {
        /// The host.
        host: String,
        /// The address.
        address: String,
        /// `http`, `https` and the like.
        protocol: String,
        /// Server, title and applications.
        says: String,
    },
    /// A certificate.
    Certificate(Certificate),
    /// A check of a set-up.
    Test(Test),
    /// What somebody thinks it is about.
    Category {
        /// Who.
        by: String,
        /// What.
        text: String,
    },
    /// A place in a list of popular names.
    Popularity {
        /// The list.
        list: String,
        /// The place.
        rank: u32,
    },
    /// A graph that somebody drew.
    Graph {
        /// The service's name for it.
        id: String,
        /// What it says of itself.
        title: Option<String>,
        /// Things in it.
        nodes: u32,
        /// When it was made.
        created: Option<Timestamp>,
    },
    /// A property that it has, such as `is_tor`.
    Trait {
        /// The service's word.
        name: String,
    },
    /// A place among the AS of one day.
    Rank {
        /// The sum; high is bad.
        rank: f64,
        /// The place, 1 the worst; none where the AS is not on any list.
        position: Option<u32>,
        /// How many AS have a place.
        total: u32,
        /// The day, where it is told.
        day: Option<Timestamp>,
        /// The list it is about, where it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// The sum of one day; 0 may be a day without data.
    RankOn {
        /// The day.
        day: Timestamp,
        /// The sum.
        rank: f64,
    },
    /// One of the worst AS.
    RankedAs {
        /// The AS.
        asn: u32,
        /// Its sum.
        rank: f64,
        /// The list it is about, where it is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
    },
    /// What an AS is called.
    AsName {
        /// The name.
        name: String,
        /// Since when, where it is told.
        at: Option<Timestamp>,
    },
    /// A prefix that an AS announces.
    Announced {
        /// The prefix.
        prefix: String,
    },
    /// How many addresses an AS announces.
    AddressCount {
        /// The number; overlapping prefixes count twice.
        count: u64,
    },
    /// How much may still be asked.
    Quota {
        /// `hour`, `day`, `month` or `credits`.
        window: String,
        /// How much is allowed.
        allowed: Option<u64>,
        /// How much is used.
        used: Option<u64>,
        /// How much is left.
        left: Option<u64>,
    },
    /// Something else that was said, for people.
    Note {
        /// What it is about.
        name: String,
        /// The words.
        text: String,
    },
}

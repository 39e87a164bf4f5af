//! Look-ups: which service is asked what about what, and the facts that come back.
//!
//! The facts are the same values in an investigation, in the ledger and on the way to the score.
//! Texts from a service are made harmless when they are read ([`text`]), so that nothing further
//! on can be moved by them.

pub mod fact;
pub mod target;
pub mod text;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use fact::{Certificate, Engine, Fact, FileRelation, Scale, Test};
pub use target::{Target, TargetError, Url};

/// A service that knows something of indicators.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// VirusTotal, API version 3.
    VirusTotal,
    /// Threat Intelligence Platform.
    ThreatIntelligencePlatform,
    /// APIVoid, which is IPVoid and URLVoid for programs.
    ApiVoid,
    /// DNSdumpster.
    DnsDumpster,
    /// CIRCL BGP Ranking.
    BgpRanking,
    /// CIRCL IPASN History.
    IpasnHistory,
}

impl Service {
    /// All of them, in the order in which an investigation shows them.
    pub const ALL: [Service; 6] = [
        Self::VirusTotal,
        Self::ThreatIntelligencePlatform,
        Self::ApiVoid,
        Self::DnsDumpster,
        Self::BgpRanking,
        Self::IpasnHistory,
    ];

    /// The word for files and commands.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::VirusTotal => "virustotal",
            Self::ThreatIntelligencePlatform => "threatintelligenceplatform",
            Self::ApiVoid => "apivoid",
            Self::DnsDumpster => "dnsdumpster",
            Self::BgpRanking => "bgpranking",
            Self::IpasnHistory => "ipasnhistory",
        }
    }

    /// Its name for people.
    pub const fn title(self) -> &'static str {
        match self {
            Self::VirusTotal => "VirusTotal",
            Self::ThreatIntelligencePlatform => "Threat Intelligence Platform",
            Self::ApiVoid => "IPVoid/URLVoid (APIVoid)",
            Self::DnsDumpster => "DNSdumpster",
            Self::BgpRanking => "CIRCL BGP Ranking",
            Self::IpasnHistory => "CIRCL IPASN History",
        }
    }

    /// The service of that word.
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| service.as_str() == word)
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is wanted of a service: one request answers one aspect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aspect {
    /// The service's main answer.
    Report,
    /// VirusTotal's answer by API version 2, the one that tells free keys of detected URLs.
    LegacyReport,
    /// Names and addresses that were seen together.
    Resolutions,
    /// Names below.
    Subdomains,
    /// Files that talk to it.
    CommunicatingFiles,
    /// Files that mention it.
    ReferrerFiles,
    /// Files that came from it.
    DownloadedFiles,
    /// URLs on it.
    Urls,
    /// Earlier registrations.
    HistoricalWhois,
    /// Earlier certificates.
    HistoricalCertificates,
    /// Graphs that people drew.
    Graphs,
    /// Single votes of people.
    Votes,
    /// Hosts by what they are for.
    Infrastructure,
    /// The certificate with those that vouch for it.
    CertificateChain,
    /// How TLS is set up.
    TlsConfiguration,
    /// Lists of malware.
    MalwareCheck,
    /// Other domains on its address.
    ConnectedDomains,
    /// A rank for each of the last days.
    RankHistory,
    /// The worst AS, by one source where one is named.
    Ranking,
    /// What the AS was called.
    Descriptions,
    /// The prefixes of an AS.
    Prefixes,
    /// AS and prefix of an address on earlier days.
    OriginHistory,
    /// How much may still be asked.
    Quota,
}

impl Aspect {
    /// The word for files and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Report => "report",
            Self::LegacyReport => "legacy-report",
            Self::Resolutions => "resolutions",
            Self::Subdomains => "subdomains",
            Self::CommunicatingFiles => "communicating-files",
            Self::ReferrerFiles => "referrer-files",
            Self::DownloadedFiles => "downloaded-files",
            Self::Urls => "urls",
            Self::HistoricalWhois => "historical-whois",
            Self::HistoricalCertificates => "historical-certificates",
            Self::Graphs => "graphs",
            Self::Votes => "votes",
            Self::Infrastructure => "infrastructure",
            Self::CertificateChain => "certificate-chain",
            Self::TlsConfiguration => "tls-configuration",
            Self::MalwareCheck => "malware-check",
            Self::ConnectedDomains => "connected-domains",
            Self::RankHistory => "rank-history",
            Self::Ranking => "ranking",
            Self::Descriptions => "descriptions",
            Self::Prefixes => "prefixes",
            Self::OriginHistory => "origin-history",
            Self::Quota => "quota",
        }
    }
}

/// What was read from an answer; the ledger keeps it in this form.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Answer {
    /// What the service said.
    pub facts: Vec<Fact>,
    /// How many such things the service has in all, where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
    /// Where the next page begins, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn services_are_found_by_the_word_that_serde_writes() {
        for service in Service::ALL {
            let word = serde_json::to_value(service).unwrap();
            assert_eq!(word, service.as_str());
            assert_eq!(Service::of_word(service.as_str()), Some(service));
        }
        assert_eq!(Service::of_word("shodan"), None);
    }
}

//! A service as the configuration declares it, and whether it may be asked.

use std::fmt;

use super::super::settings::LicenceMode;
use crate::model::lookup::Service;

/// What is paid for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Plan {
    /// Nothing.
    #[default]
    Free,
    /// A plan.
    Paid,
}

/// What a service may be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Uses {
    /// For nothing.
    Off,
    /// What a person investigates.
    #[default]
    Investigations,
    /// That, and in the background what may change a decision.
    All,
}

/// How much may be asked. Units are requests or, where a service counts them, credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Units within any sixty seconds.
    pub per_minute: u32,
    /// Seconds between two requests.
    pub spacing_seconds: u32,
    /// Units of a day (UTC).
    pub per_day: u32,
    /// Units of a month (UTC).
    pub per_month: u32,
}

/// A service that is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Which one.
    pub service: Service,
    /// What requests begin with, without a slash at the end.
    pub base: String,
    /// What is paid for.
    pub plan: Plan,
    /// What it is asked for.
    pub uses: Uses,
    /// How much.
    pub limits: Limits,
    /// VirusTotal: whether version 2, which tells free keys of detected URLs, is asked as well.
    /// Its key stands in the URL.
    pub legacy: bool,
}

impl Provider {
    /// A service with its own address and the limits of its plan.
    pub fn new(service: Service, plan: Plan) -> Self {
        Self {
            service,
            base: base(service).to_owned(),
            plan,
            uses: Uses::default(),
            limits: limits(service, plan),
            legacy: false,
        }
    }

    /// Whether it takes a key.
    pub fn needs_key(&self) -> bool {
        !matches!(self.service, Service::BgpRanking | Service::IpasnHistory)
    }

    /// Why it is not asked under this licence mode; none if it may be.
    pub fn off(&self, licence: LicenceMode) -> Option<Off> {
        match (self.uses, self.service, self.plan, licence) {
            (Uses::Off, ..) => Some(Off::Disabled),
            (_, Service::VirusTotal, Plan::Free, LicenceMode::Commercial) => {
                Some(Off::FreePlanIsPersonal)
            }
            _ => None,
        }
    }
}

/// Why a service is not asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Off {
    /// It is not in the configuration.
    #[error("not declared in the configuration")]
    Undeclared,
    /// The configuration says so.
    #[error("switched off in the configuration")]
    Disabled,
    /// Its terms forbid it (docs.virustotal.com/reference/public-vs-premium-api).
    #[error(
        "its free plan is not for commercial use, and the licence mode is commercial: say \
         `plan = \"paid\"` or `licence = \"personal\"` where that is true"
    )]
    FreePlanIsPersonal,
}

/// Where the service itself is.
pub const fn base(service: Service) -> &'static str {
    match service {
        Service::VirusTotal => "https://www.virustotal.com/api/v3",
        Service::ThreatIntelligencePlatform => "https://api.threatintelligenceplatform.com",
        Service::ApiVoid => "https://api.apivoid.com/v2",
        Service::DnsDumpster => "https://api.dnsdumpster.com",
        Service::BgpRanking => "https://bgpranking-ng.circl.lu",
        Service::IpasnHistory => "https://ipasnhistory.circl.lu",
    }
}

/// What a plan allows, as far as it is published.
const fn limits(service: Service, plan: Plan) -> Limits {
    let (per_minute, spacing_seconds, per_day, per_month) = match (service, plan) {
        // docs.virustotal.com/reference/public-vs-premium-api; 500 a day for 31 days.
        (Service::VirusTotal, Plan::Free) => (4, 0, 500, 15_500),
        // Contracts differ; `per_day` and `per_month` say what is bought.
        (Service::VirusTotal, Plan::Paid) => (60, 0, 5_000, 150_000),
        // 100 a minute are published; of free credits nothing is, so few are spent unless told.
        (Service::ThreatIntelligencePlatform, Plan::Free) => (10, 0, 30, 100),
        (Service::ThreatIntelligencePlatform, Plan::Paid) => (100, 0, 1_000, 30_000),
        // A trial has 25 credits.
        (Service::ApiVoid, Plan::Free) => (10, 0, 25, 25),
        (Service::ApiVoid, Plan::Paid) => (60, 0, 1_000, 30_000),
        // One request in two seconds; 50 a day by clients of the free plan.
        (Service::DnsDumpster, Plan::Free) => (30, 2, 50, 1_550),
        (Service::DnsDumpster, Plan::Paid) => (30, 2, 1_000, 30_000),
        // No limits are published: modest all the same.
        (Service::BgpRanking | Service::IpasnHistory, _) => (30, 0, 2_000, 60_000),
    };
    Limits { per_minute, spacing_seconds, per_day, per_month }
}

/// The key of a service. It is shown to nobody.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// The longest key, in octets; those of the services have 30 to 64.
    pub const OCTETS_MAX: usize = 512;

    /// Takes the content of a file. None unless it is one line of characters that can stand in a
    /// header.
    pub fn parse(octets: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(octets).ok()?.trim();
        let sound = (1..=Self::OCTETS_MAX).contains(&text.len())
            && text.bytes().all(|octet| octet.is_ascii_graphic());
        sound.then(|| Self(text.to_owned()))
    }

    /// The key, for the request alone.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }

    /// What tells this key from another one without giving it away: the beginning of its SHA-256.
    pub fn tag(&self) -> String {
        let digest = ring::digest::digest(&ring::digest::SHA256, self.0.as_bytes());
        data_encoding::HEXLOWER.encode(&digest.as_ref()[..4])
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_terms_forbid_is_off_and_says_why() {
        let off = |service, plan, licence| Provider::new(service, plan).off(licence);
        let virustotal = Service::VirusTotal;
        assert_eq!(
            off(virustotal, Plan::Free, LicenceMode::Commercial),
            Some(Off::FreePlanIsPersonal)
        );
        assert_eq!(off(virustotal, Plan::Paid, LicenceMode::Commercial), None);
        assert_eq!(off(virustotal, Plan::Free, LicenceMode::Personal), None);
        assert_eq!(off(Service::BgpRanking, Plan::Free, LicenceMode::Commercial), None);
    }

    #[test]
    fn a_key_is_one_line_and_is_never_shown() {
        let key = ApiKey::parse(b"  secret-key-1\n").unwrap();
        assert_eq!((key.reveal(), format!("{key:?}").as_str()), ("secret-key-1", "ApiKey"));
        assert!(!key.tag().contains("secret"));
        for bad in [&b""[..], b"two lines\nof it", b"a b", "schl\u{fc}ssel".as_bytes()] {
            assert_eq!(ApiKey::parse(bad), None);
        }
    }
}

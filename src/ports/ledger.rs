//! The ledger: what people ask about later and what must survive a restart.
//!
//! Records go in whole and are never edited: a later answer, audit or report stands beside the
//! earlier one. The one exception is what is known of a registration, of which the last word counts.
//! Nothing here names a client.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::model::{Name, Timestamp};

/// The longest text of a record, such as a note, in octets.
pub const TEXT_OCTETS_MAX: usize = 500;
/// The longest parsed facts of one answer, in octets: what a provider says of a name with a few
/// hundred resolutions.
pub const FACTS_OCTETS_MAX: usize = 256 << 10;

/// Why the ledger did not do something.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// More waits to be written than may.
    #[error("the ledger is busy: too much waits to be written")]
    Busy,
    /// It has been closed.
    #[error("the ledger is closed")]
    Closed,
    /// The database said no.
    #[error("the ledger: {0}")]
    Database(String),
    /// The file was written by a later version of this program.
    #[error("the ledger has version {found}, and this program knows {known}")]
    Newer {
        /// The file's version.
        found: u32,
        /// The latest that is known here.
        known: u32,
    },
    /// A record is larger than it may be.
    #[error("{what} is longer than {octets_max} octets")]
    TooLong {
        /// Which part.
        what: &'static str,
        /// The limit.
        octets_max: usize,
    },
}

/// How a question to a provider went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LookupOutcome {
    /// It knows the indicator.
    Found,
    /// It does not.
    NotFound,
    /// It was asked too often.
    Limited,
    /// It failed, or its answer could not be read.
    Failed,
}

/// One answer of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Who was asked.
    pub provider: String,
    /// About what, as [`crate::model::Indicator`] shows it.
    pub indicator: String,
    /// When.
    pub asked_at: Timestamp,
    /// How it went.
    pub outcome: LookupOutcome,
    /// SHA-256 of the body as it came, in hexadecimal digits.
    pub body_sha256: Option<String>,
    /// What was read from it, in JSON; at most [`FACTS_OCTETS_MAX`].
    pub facts: serde_json::Value,
    /// Until when it need not be asked again.
    pub keep_until: Timestamp,
}

/// Look-ups that were asked of a provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// Who was asked.
    pub provider: String,
    /// With which key, by the beginning of its hash; empty where none is needed.
    pub key_tag: String,
    /// When; kept by the minute.
    pub at: Timestamp,
    /// How much it took of the quota.
    pub units: u32,
}

/// Who said what is known of a registration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RegistrationProtocol {
    /// RDAP (RFC 9082).
    Rdap,
    /// WHOIS (RFC 3912).
    Whois,
}

/// What a registry says of a domain, with when it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Registration {
    /// The registrable domain.
    pub domain: Name,
    /// How the question went. What failed is kept, so that it is not asked again at once.
    pub outcome: LookupOutcome,
    /// How it was asked.
    pub protocol: RegistrationProtocol,
    /// The server that answered.
    pub server: String,
    /// When it was asked.
    pub asked_at: Timestamp,
    /// Until when it need not be asked again.
    pub keep_until: Timestamp,
    /// When the domain was registered; none where the answer does not say.
    pub registered_at: Option<Timestamp>,
    /// When it was last changed.
    pub changed_at: Option<Timestamp>,
    /// When it ends.
    pub expires_at: Option<Timestamp>,
    /// The registrar: its IANA number where it is told, else its name.
    pub registrar: Option<String>,
    /// Its states, as the registry words them.
    pub statuses: Vec<String>,
    /// Its name servers, sorted.
    pub name_servers: Vec<Name>,
    /// SHA-256 of the answer as it came, in hexadecimal digits.
    pub body_sha256: Option<String>,
}

/// What a reviewer found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// It ought to be blocked.
    Malicious,
    /// It ought not.
    Benign,
    /// It cannot be told; such an audit is no label.
    Unsure,
}

impl Answer {
    /// The word for files and people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malicious => "malicious",
            Self::Benign => "benign",
            Self::Unsure => "unsure",
        }
    }
}

/// An entry that was drawn for review and waits for an answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Draw {
    /// What is to be reviewed.
    pub indicator: String,
    /// The source whose entries it was drawn from.
    pub source: String,
    /// How many entries it was drawn from, each as likely as the others: the inclusion probability
    /// is one in so many.
    pub drawn_from: u64,
    /// When.
    pub drawn_at: Timestamp,
}

/// A reviewer's answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Audit {
    /// What was reviewed.
    pub indicator: String,
    /// What was found.
    pub answer: Answer,
    /// By whom.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// The sources that claimed it then.
    pub sources: Vec<String>,
    /// The source whose entries it was drawn from, and from how many; none where it was not drawn,
    /// so that it is no part of a sample.
    pub drawn: Option<(String, u64)>,
}

/// Somebody's word about an answer they got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// What it is about.
    pub indicator: String,
    /// What they say it is: benign things that are blocked, or malicious ones that are not.
    pub answer: Answer,
    /// Who.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// In their words.
    pub note: Option<String>,
    /// The sources that claimed it then, each with its share of the positive direct contributions
    /// in permille.
    pub sources: Vec<(String, u16)>,
    /// What was decided about it then.
    pub level: String,
}

/// A sign of something in the traffic of a group of clients.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sign {
    /// What it looks like: `tunnel`, `dga` or `beacon`.
    pub kind: String,
    /// The group of clients.
    pub group: String,
    /// The domain that it is about; the root for bursts of names of many domains.
    pub subject: Name,
    /// When it was seen first.
    pub first_at: Timestamp,
    /// When it was seen last.
    pub last_at: Timestamp,
    /// How often it was found.
    pub count: u32,
    /// What was found last, as an object of numbers and names.
    pub evidence: serde_json::Value,
}

/// Somebody's decision not to be shown a sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mute {
    /// The domain, and what lies below it; the root for bursts.
    pub subject: Name,
    /// The kind of sign; all where none is named.
    pub kind: Option<String>,
    /// The group of clients; all where none is named.
    pub group: Option<String>,
    /// Until when.
    pub until: Timestamp,
    /// Who decided it.
    pub by: String,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: Option<String>,
}

impl Mute {
    /// Whether it covers the sign at a time.
    pub fn covers(&self, sign: &Sign, now: Timestamp) -> bool {
        now < self.until
            && self.kind.as_ref().is_none_or(|kind| *kind == sign.kind)
            && self.group.as_ref().is_none_or(|group| *group == sign.group)
            && match self.subject.as_ref().is_root() {
                true => sign.subject.as_ref().is_root(),
                false => sign.subject.as_ref().is_at_or_below(self.subject.as_ref()),
            }
    }
}

/// What the ledger holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LedgerCounts {
    /// Answers of providers.
    pub lookups: u64,
    /// Domains of which a registry was asked.
    pub registrations: u64,
    /// Answers of reviewers.
    pub audits: u64,
    /// Reports.
    pub reports: u64,
    /// Signs.
    pub signs: u64,
}

/// Keeps records. SQLite in the program and in tests; a database for a fleet is another.
#[async_trait]
pub trait Ledger: Send + Sync {
    /// Keeps an answer of a provider.
    async fn keep_lookup(&self, lookup: Lookup) -> Result<(), LedgerError>;
    /// All answers about an indicator, the latest first.
    async fn lookups(&self, indicator: String) -> Result<Vec<Lookup>, LedgerError>;
    /// The answers since a time, the oldest first.
    async fn lookups_since(&self, since: Timestamp) -> Result<Vec<Lookup>, LedgerError>;
    /// Counts what is about to be asked, beside what was asked before.
    async fn keep_spend(&self, spend: Spend) -> Result<(), LedgerError>;
    /// What was asked of a provider with a key since a time, by minute, the oldest first.
    async fn spends(
        &self,
        provider: String,
        key_tag: String,
        since: Timestamp,
    ) -> Result<Vec<Spend>, LedgerError>;
    /// Keeps what a registry said, in place of what it said before. A failure leaves what was found
    /// before as it was, apart from when to ask again.
    async fn keep_registration(&self, registration: Registration) -> Result<(), LedgerError>;
    /// What is known of a domain's registration.
    async fn registration(&self, domain: Name) -> Result<Option<Registration>, LedgerError>;
    /// All registrations that are known, in canonical order of the domains.
    async fn registrations(&self) -> Result<Vec<Registration>, LedgerError>;
    /// Notes that an entry was drawn for review.
    async fn keep_draw(&self, draw: Draw) -> Result<(), LedgerError>;
    /// Draws without an answer, the oldest first.
    async fn draws(&self) -> Result<Vec<Draw>, LedgerError>;
    /// Keeps an audit. A draw that waits for it is taken from those that wait, and is noted with
    /// the audit.
    async fn keep_audit(&self, audit: Audit) -> Result<Audit, LedgerError>;
    /// All audits, the oldest first.
    async fn audits(&self) -> Result<Vec<Audit>, LedgerError>;
    /// Keeps a report.
    async fn keep_report(&self, report: Report) -> Result<(), LedgerError>;
    /// All reports, the oldest first.
    async fn reports(&self) -> Result<Vec<Report>, LedgerError>;
    /// Keeps a sign, joined with an earlier one of the same kind, group and subject.
    async fn keep_sign(&self, sign: Sign) -> Result<(), LedgerError>;
    /// All signs, the latest first.
    async fn signs(&self) -> Result<Vec<Sign>, LedgerError>;
    /// Keeps a mute.
    async fn keep_mute(&self, mute: Mute) -> Result<(), LedgerError>;
    /// Mutes that hold at a time.
    async fn mutes(&self, now: Timestamp) -> Result<Vec<Mute>, LedgerError>;
    /// Ends the mutes of a subject. How many there were.
    async fn unmute(&self, subject: Name, now: Timestamp) -> Result<usize, LedgerError>;
    /// Removes what is too old or too much to keep.
    async fn tidy(&self, now: Timestamp) -> Result<(), LedgerError>;
    /// How much there is.
    async fn counts(&self) -> Result<LedgerCounts, LedgerError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(kind: &str, group: &str, subject: &str) -> Sign {
        Sign {
            kind: kind.to_owned(),
            group: group.to_owned(),
            subject: Name::from_presentation(subject).unwrap(),
            first_at: Timestamp(1),
            last_at: Timestamp(2),
            count: 1,
            evidence: serde_json::Value::Null,
        }
    }

    #[test]
    fn a_mute_covers_what_it_names_until_it_ends() {
        let mute = Mute {
            subject: Name::from_presentation("cdn.test").unwrap(),
            kind: Some("tunnel".to_owned()),
            group: None,
            until: Timestamp(100),
            by: "amy".to_owned(),
            at: Timestamp(1),
            reason: None,
        };
        assert!(mute.covers(&sign("tunnel", "staff", "a.cdn.test"), Timestamp(99)));
        assert!(!mute.covers(&sign("tunnel", "staff", "a.cdn.test"), Timestamp(100)));
        assert!(!mute.covers(&sign("beacon", "staff", "cdn.test"), Timestamp(1)));
        assert!(!mute.covers(&sign("tunnel", "staff", "test"), Timestamp(1)));
        let bursts = Mute { subject: Name::root(), kind: None, ..mute };
        assert!(bursts.covers(&sign("dga", "staff", "."), Timestamp(1)));
        assert!(!bursts.covers(&sign("tunnel", "staff", "cdn.test"), Timestamp(1)));
    }
}

//! A source as the configuration declares it.

use std::collections::BTreeMap;

use crate::diagnostic::Place;
use crate::model::{Category, SourceId};
use crate::zone::Mode;

/// What the installation is used for; decides which terms of sources it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Licence {
    /// At home or otherwise without commerce.
    Personal,
    /// In or for a business.
    Commercial,
}

/// Where claims come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name. The scoring model knows the well-known ones by it; another one weighs as a list
    /// that nobody has reviewed (SCORING 2.3).
    pub id: SourceId,
    /// `https://…`, `http://…`, `file:///…` or an absolute path.
    pub url: String,
    /// How it is written.
    pub format: Format,
    /// Which file of a zip file is meant, where it has several.
    pub member: Option<String>,
    /// How far its word is taken.
    pub trust: Trust,
    /// What its claims are about where it does not say; for scored sources.
    pub category: Category,
    /// Seconds between fetches.
    pub interval_seconds: u32,
    /// The most octets of one fetch, if other than usual.
    pub octets_max: Option<u64>,
    /// Who may use it.
    pub terms: Terms,
    /// Whether it acts: `off` is not fetched, `observe` is fetched and never decides.
    pub mode: Mode,
    /// What the age of its entries counts from, if other than in the scoring model.
    pub reference: Option<Reference>,
    /// Where it stands.
    pub place: Place,
    /// Where its trust is declared.
    pub trust_place: Place,
}

impl Source {
    /// Whether the licence of the installation meets the source's terms.
    pub fn may_be_used(&self, licence: Licence) -> bool {
        match self.terms {
            Terms::Any => true,
            Terms::Personal => licence == Licence::Personal,
            Terms::Contract { held } => held,
        }
    }
}

/// How far a source's word is taken.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Trust {
    /// Its claims are evidence and enter the score.
    Scored,
    /// The operator answers for it: it blocks alone.
    Operator,
    /// It fills a category of the policy.
    Category(String),
}

/// Who may use a source, by its provider's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Terms {
    /// Anyone.
    Any,
    /// Non-commercial use only.
    Personal,
    /// Those with a contract or an account of their own with the provider.
    Contract {
        /// Whether the operator says that there is one.
        held: bool,
    },
}

/// What the age of an entry counts from (SCORING 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The date that the source itself gives.
    Upstream,
    /// The last fetch that held the entry: lists that take entries off again.
    LastPresent,
    /// The first fetch that held the entry: lists that only grow.
    FirstPresent,
}

/// How a source is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Format {
    /// One name a line.
    Domains,
    /// Hosts files.
    Hosts,
    /// AdGuard's DNS filtering rules.
    Adguard,
    /// dnsmasq options.
    Dnsmasq,
    /// Rows of fields.
    Csv(CsvLayout),
    /// One URL a line.
    Urls,
    /// Addresses and prefixes.
    Networks,
    /// Spamhaus DROP and ASN-DROP.
    SpamhausJson,
    /// One MISP warninglist.
    MispWarninglist,
}

/// Which columns of a CSV source matter and what they hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CsvLayout {
    /// What stands between fields.
    pub delimiter: char,
    /// The column that names the subject.
    pub subject: Column,
    /// What the subject column holds.
    pub kind: SubjectKind,
    /// The column with the date of the first sighting.
    pub first_seen: Option<Column>,
    /// The column with the date of the last sighting.
    pub last_seen: Option<Column>,
    /// The column with the source's word for what it is.
    pub category: Option<Column>,
    /// The source's words in lower case, and what they mean here.
    pub categories: BTreeMap<String, Category>,
    /// Rows that do not meet all of these are left out.
    pub conditions: Vec<Condition>,
}

/// A column by number, from 1, or by its name in the header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Column {
    /// By number, from 1.
    Number(usize),
    /// By name.
    Name(String),
}

/// What the subject column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// Any of the others, told apart by form.
    Any,
    /// Host names.
    Name,
    /// URLs.
    Url,
    /// Addresses and prefixes.
    Network,
    /// AS numbers.
    As,
}

/// What a column must hold for a row to count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// The column.
    pub column: Column,
    /// What it must hold.
    pub test: Test,
}

/// What a column must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// One of these words; letter case does not matter.
    OneOf(Vec<String>),
    /// A whole number that is not smaller.
    AtLeast(u64),
}

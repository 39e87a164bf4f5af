//! What one source says of one indicator.

use std::fmt;
use std::sync::Arc;

use super::Timestamp;

/// A source's name in the configuration, such as `urlhaus`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId(pub Arc<str>);

impl SourceId {
    /// A source by its name.
    pub fn new(name: &str) -> Self {
        Self(name.into())
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How far a source's word is taken.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Trust {
    /// Its claims are evidence and enter the score.
    #[default]
    Scored,
    /// The operator answers for it: it blocks alone, and only the guards G0 to G3 and G8 hold it.
    Operator,
    /// It fills a policy category such as `ads` or `bypass`, which is no matter of malice and never
    /// enters a score. G1 to G3 apply.
    Category(Arc<str>),
}

/// What kind of malice a claim speaks of. The order decides ties of the leading category
/// (SCORING 2.10).
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
#[repr(u8)]
pub enum Category {
    /// Command and control of malware.
    C2 = 0,
    /// Malware and its distribution.
    Malware = 1,
    /// Phishing.
    Phishing = 2,
    /// Fraud and fake shops.
    Scam = 3,
    /// Spam.
    Spam = 4,
    /// Nothing more precise is known.
    Suspicious = 5,
}

impl Category {
    /// All categories, in the order that decides ties.
    pub const ALL: [Category; 6] =
        [Self::C2, Self::Malware, Self::Phishing, Self::Scam, Self::Spam, Self::Suspicious];

    /// The word used in files and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::C2 => "c2",
            Self::Malware => "malware",
            Self::Phishing => "phishing",
            Self::Scam => "scam",
            Self::Spam => "spam",
            Self::Suspicious => "suspicious",
        }
    }

    /// The category of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|c| c.as_str() == word)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// How far a claim about a name reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Scope {
    /// The name and all below it.
    Name = 0,
    /// One URL on the host: a claim about the host only as far as the host is not shared
    /// (SCORING 2.9).
    Url = 1,
}

/// One source's dated claim about one indicator. Never edited: a refresh replaces all claims of a
/// source, and what is gone is withdrawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// When the source named it first, by the source's own date or else by ours.
    pub first_seen: Timestamp,
    /// When the source named it last.
    pub last_seen: Timestamp,
    /// How far it reaches.
    pub scope: Scope,
    /// What the source says it is.
    pub category: Category,
}

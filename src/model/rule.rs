//! RPZ's vocabulary: a trigger and an action make a rule (draft-vixie-dnsop-dns-rpz-00,
//! sections 3 and 4).

use std::sync::Arc;

use super::{Name, NameRef, Network};

/// A name, or all names below it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamePattern {
    /// The name, or the parent of the names that are meant.
    pub name: Name,
    /// Whether the names below are meant and the name itself is not (`*.name`).
    pub wildcard: bool,
}

impl NamePattern {
    /// The name itself.
    pub fn exact(name: Name) -> Self {
        Self { name, wildcard: false }
    }

    /// All names below `name`.
    pub fn below(name: Name) -> Self {
        Self { name, wildcard: true }
    }
}

/// `name` or `*.name`, without a final dot.
impl std::fmt::Display for NamePattern {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.wildcard, self.name.as_ref().is_root()) {
            (false, _) => self.name.fmt(f),
            (true, true) => f.write_str("*"),
            (true, false) => write!(f, "*.{}", self.name),
        }
    }
}

/// What makes a rule apply.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Trigger {
    /// The client's address (`rpz-client-ip`).
    ClientAddress(Network),
    /// The query name, or a name of the CNAME chain.
    QueryName(NamePattern),
    /// An A or AAAA record of the answer (`rpz-ip`).
    AnswerAddress(Network),
    /// The name of a server on the data path (`rpz-nsdname`).
    NameserverName(NamePattern),
    /// The address of a server on the data path (`rpz-nsip`).
    NameserverAddress(Network),
}

impl Trigger {
    /// Its kind.
    pub fn kind(&self) -> TriggerKind {
        match self {
            Self::ClientAddress(_) => TriggerKind::ClientAddress,
            Self::QueryName(_) => TriggerKind::QueryName,
            Self::AnswerAddress(_) => TriggerKind::AnswerAddress,
            Self::NameserverName(_) => TriggerKind::NameserverName,
            Self::NameserverAddress(_) => TriggerKind::NameserverAddress,
        }
    }
}

/// The kinds of trigger in their order of precedence (draft section 5.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
#[repr(u8)]
pub enum TriggerKind {
    /// `rpz-client-ip`.
    ClientAddress = 0,
    /// The query name.
    QueryName = 1,
    /// `rpz-ip`.
    AnswerAddress = 2,
    /// `rpz-nsdname`.
    NameserverName = 3,
    /// `rpz-nsip`.
    NameserverAddress = 4,
}

impl TriggerKind {
    /// All kinds, in order of precedence.
    pub const ALL: [TriggerKind; 5] = [
        Self::ClientAddress,
        Self::QueryName,
        Self::AnswerAddress,
        Self::NameserverName,
        Self::NameserverAddress,
    ];

    /// The draft's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientAddress => "client-ip",
            Self::QueryName => "qname",
            Self::AnswerAddress => "ip",
            Self::NameserverName => "nsdname",
            Self::NameserverAddress => "nsip",
        }
    }
}

/// Records of one type at a policy owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RrSet {
    /// The record type's number.
    pub rtype: u16,
    /// Seconds.
    pub ttl: u32,
    /// Record data in uncompressed wire form, sorted, without repeats, at least one.
    pub rdata: Vec<Box<[u8]>>,
}

/// Local data: sorted by type, at most one set a type, at least one.
pub type Data = Arc<[RrSet]>;

/// What happens when a rule applies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// The name does not exist (`CNAME .`).
    NxDomain,
    /// The name exists without data of any type (`CNAME *.`).
    NoData,
    /// The answer stays as it is and no later rule applies (`CNAME rpz-passthru.`).
    Passthru,
    /// No answer at all (`CNAME rpz-drop.`).
    Drop,
    /// Over UDP a short truncated answer, over TCP the truth (`CNAME rpz-tcp-only.`).
    TcpOnly,
    /// An alias for another name, which is resolved and included (`CNAME target.`).
    Redirect(Name),
    /// An alias made by writing the query name before the target (`CNAME *.target.`).
    RedirectBelow(Name),
    /// Local data: the types given, NODATA for others.
    Data(Data),
}

impl Action {
    /// The word used in files and output.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NxDomain => "nxdomain",
            Self::NoData => "nodata",
            Self::Passthru => "passthru",
            Self::Drop => "drop",
            Self::TcpOnly => "tcp-only",
            Self::Redirect(_) | Self::RedirectBelow(_) => "cname",
            Self::Data(_) => "local-data",
        }
    }
}

/// A trigger with its action.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// When it applies.
    pub trigger: Trigger,
    /// What it does.
    pub action: Action,
    /// Seconds that a synthesised answer may be kept. Local data carries its own.
    pub ttl: u32,
}

impl Rule {
    /// Two rules for a name and all below it, the shape of every rule about a domain.
    pub fn domain(name: NameRef<'_>, action: &Action, ttl: u32) -> [Rule; 2] {
        [false, true].map(|wildcard| Rule {
            trigger: Trigger::QueryName(NamePattern { name: name.to_owned(), wildcard }),
            action: action.clone(),
            ttl,
        })
    }
}

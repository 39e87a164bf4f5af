//! What is asked of a snapshot and what it answers.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use crate::model::{Data, Name, NamePattern, NameRef, Network, RrSet, Trigger, TriggerKind};

/// QTYPE ANY (RFC 1035 section 3.2.3).
pub(super) const TYPE_ANY: u16 = 255;
/// CNAME (RFC 1035 section 3.2.2).
pub(super) const TYPE_CNAME: u16 = 5;
/// DNAME (RFC 6672).
const TYPE_DNAME: u16 = 39;

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams, whose source may be forged.
    Udp,
    /// Anything that has proved the client's address: TCP, and DNS over TLS, HTTPS or QUIC.
    Tcp,
}

/// What policy looks at in a query.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    /// QNAME.
    pub name: NameRef<'q>,
    /// QTYPE.
    pub rtype: u16,
    /// Who asks. An IPv4 address in IPv6 dress counts as IPv4.
    pub client: IpAddr,
    /// How the query came.
    pub transport: Transport,
    /// RD.
    pub recursion_desired: bool,
    /// DO (RFC 3225).
    pub dnssec_ok: bool,
}

impl Query<'_> {
    /// Whether the targets of aliases are stages of their own (draft section 5.1).
    pub(super) fn follows_aliases(&self) -> bool {
        !matches!(self.rtype, TYPE_ANY | TYPE_CNAME | TYPE_DNAME)
    }
}

/// What a hit makes of the reply: the rule's action or the zone's override, with aliases spelled
/// out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Response<'a> {
    /// The name does not exist.
    NxDomain,
    /// The name exists without data of the type.
    NoData,
    /// The truth.
    Passthru,
    /// No reply at all.
    Drop,
    /// Over UDP a short truncated reply, otherwise the truth.
    TcpOnly,
    /// An alias at the name of the stage, which is resolved without policy (draft section 6).
    Alias(Cow<'a, Name>),
    /// Local data: the sets of the type asked for, or all for ANY; NODATA where there are none.
    Data(&'a Data),
    /// The alias would have more than 255 octets: YXDOMAIN, as for a DNAME (RFC 6672
    /// section 2.2).
    TooLong,
}

impl Response<'_> {
    /// The word used in logs and output.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::NxDomain => "nxdomain",
            Self::NoData => "nodata",
            Self::Passthru => "passthru",
            Self::Drop => "drop",
            Self::TcpOnly => "tcp-only",
            Self::Alias(_) => "cname",
            Self::Data(_) => "local-data",
            Self::TooLong => "yxdomain",
        }
    }

    /// Whether a reply over `transport` differs from the truth.
    pub fn rewrites(&self, transport: Transport) -> bool {
        match self {
            Self::Passthru => false,
            Self::TcpOnly => transport == Transport::Udp,
            _ => true,
        }
    }
}

/// What a trigger matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matched<'a> {
    /// A name of the chain, or the name of a server.
    Name {
        /// The name that was looked at.
        name: NameRef<'a>,
        /// The name in the trigger: the same, or for a wildcard an ancestor.
        pattern: NameRef<'a>,
        /// Whether the trigger is `*.pattern`.
        wildcard: bool,
    },
    /// The client's address, an address of the answer or of a server.
    Address {
        /// The address that was looked at.
        address: IpAddr,
        /// The prefix in the trigger.
        network: Network,
    },
}

/// The pattern or prefix of the trigger.
impl fmt::Display for Matched<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name { pattern, wildcard: false, .. } => pattern.fmt(f),
            Self::Name { pattern, .. } if pattern.is_root() => f.write_str("*"),
            Self::Name { pattern, .. } => write!(f, "*.{pattern}"),
            Self::Address { network, .. } => network.fmt(f),
        }
    }
}

/// A rule that applies to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit<'a> {
    /// The position of its zone in the snapshot.
    pub zone: usize,
    /// The kind of its trigger.
    pub kind: TriggerKind,
    /// What the trigger matched.
    pub matched: Matched<'a>,
    /// How many aliases were followed before: 0 for the query name itself.
    pub stage: usize,
    /// The name of that stage, at which an alias or local data stands in the reply.
    pub name: NameRef<'a>,
    /// What becomes of the reply.
    pub response: Response<'a>,
    /// Seconds that synthesised records may be kept, within the zone's `max_policy_ttl`. Local
    /// data has its own, see [`Hit::data_ttl`].
    pub ttl: u32,
    /// The zone's `max_policy_ttl` in seconds.
    pub ttl_max: u32,
}

impl Hit<'_> {
    /// Seconds that a set of local data may be kept.
    pub fn data_ttl(&self, set: &RrSet) -> u32 {
        set.ttl.min(self.ttl_max)
    }

    /// The trigger as a value of its own, such as [`crate::zone::Zone::effect`] takes.
    pub fn trigger(&self) -> Trigger {
        match (self.matched, self.kind) {
            (Matched::Name { pattern, wildcard, .. }, kind) => {
                let pattern = NamePattern { name: pattern.to_owned(), wildcard };
                match kind {
                    TriggerKind::NameserverName => Trigger::NameserverName(pattern),
                    _ => Trigger::QueryName(pattern),
                }
            }
            (Matched::Address { network, .. }, TriggerKind::ClientAddress) => {
                Trigger::ClientAddress(network)
            }
            (Matched::Address { network, .. }, TriggerKind::AnswerAddress) => {
                Trigger::AnswerAddress(network)
            }
            (Matched::Address { network, .. }, _) => Trigger::NameserverAddress(network),
        }
    }
}

/// What policy makes of a query.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outcome<'a> {
    /// The rule that decides, which may let the truth pass.
    pub hit: Option<Hit<'a>>,
    /// What zones that only observe would have done: at most one hit a zone, each one preferred
    /// to the rule that decides.
    pub observed: Vec<Hit<'a>>,
}

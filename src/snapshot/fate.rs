//! What became of a rule that matches, in words.

use std::fmt;

/// What became of a rule that matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fate {
    /// It decides.
    Decides,
    /// Its zone is off.
    ZoneOff,
    /// Its zone is for clients of other groups.
    OtherGroup,
    /// Its zone is for queries with RD=1 only, and this one had RD=0.
    SavedByRecursionBit,
    /// The client set DO=1, the answer is signed and the zone does not break DNSSEC.
    SavedByDnssecBit,
    /// Local data has no records of the type, and the zone's override says to look further.
    NoSuchData,
    /// The server belongs to a zone cut with fewer dots than the zone's `min-ns-dots`.
    TooFewDots,
    /// A closer name exists in the zone, with a rule or as the parent of others (RFC 4592).
    CloserName,
    /// Its zone only observes. The rule would be preferred to the one that decides.
    Observes,
    /// Its zone is disabled by its override. The rule would be preferred to the one that decides.
    Disabled,
    /// Another rule is preferred.
    Outranked(Precedence),
    /// A PASSTHRU rule is preferred, which exempts the whole answer.
    Exempted(Precedence),
    /// The answer is not known, and could bring a better match or signatures.
    Waits,
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decides => f.write_str("decides"),
            Self::ZoneOff => f.write_str("the zone is off"),
            Self::OtherGroup => f.write_str("the zone is for other client groups"),
            Self::SavedByRecursionBit => f.write_str("RD=0 saves the name from this zone"),
            Self::SavedByDnssecBit => f.write_str("DO=1 saves the signed name from this zone"),
            Self::NoSuchData => f.write_str("no local data of this type"),
            Self::TooFewDots => f.write_str("min-ns-dots leaves this server out"),
            Self::CloserName => f.write_str("a closer name exists in the zone"),
            Self::Observes => f.write_str("the zone only observes"),
            Self::Disabled => f.write_str("the zone is disabled"),
            Self::Outranked(by) => write!(f, "outranked: {by}"),
            Self::Exempted(by) => write!(f, "exempted by passthru: {by}"),
            Self::Waits => f.write_str("waits for the answer"),
        }
    }
}

/// The rule of precedence that prefers one match to another, by section of the draft.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precedence {
    /// 5.1: it is earlier in the chain of aliases.
    Stage,
    /// 5.2: its zone comes first.
    Zone,
    /// 5.4: its kind of trigger comes first.
    Kind,
    /// 5.5: the server's name comes last in canonical order.
    NameOrder,
    /// 5.6: its prefix is longer.
    PrefixLength,
    /// 5.7: its address is smaller.
    AddressOrder,
}

impl fmt::Display for Precedence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stage => "earlier in the chain of aliases",
            Self::Zone => "in an earlier zone",
            Self::Kind => "of a preferred kind of trigger",
            Self::NameOrder => "for a nameserver later in canonical order",
            Self::PrefixLength => "with a longer prefix",
            Self::AddressOrder => "with a smaller address",
        })
    }
}

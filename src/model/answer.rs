//! What policy looks at in an answer, apart from the answer's records.

use std::net::IpAddr;
use std::sync::Arc;

use super::Name;

/// The facts of a resolved query, in the order of its CNAME (or DNAME, or AliasMode) chain. They
/// are kept beside a cached answer, so that policy applies to every hit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerFacts {
    /// The query name first, then every target, also where the chain ends in NXDOMAIN or NODATA.
    pub steps: Vec<AnswerStep>,
    /// Whether the answer carries signatures, so that a rewrite would break validation at a
    /// client that set DO=1.
    pub signed: bool,
}

/// One name of the chain with what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AnswerStep {
    /// The name.
    pub name: Name,
    /// Addresses of A and AAAA records at this name in the answer section, and address hints of
    /// its SVCB and HTTPS records.
    pub addresses: Vec<IpAddr>,
    /// The servers on the data path of this name: a list for every zone cut from the root down to
    /// the closest one, sorted by name. Answers from below the same cut share its list.
    pub nameservers: Vec<Arc<[Nameserver]>>,
}

/// A server on the data path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nameserver {
    /// The zone cut whose NS record names it, such as `example.com` or `com`: `min-ns-dots`
    /// counts the dots of this name (RPZ draft section 9.3).
    pub zone: Name,
    /// Its name.
    pub name: Name,
    /// Its addresses as far as they are known, sorted.
    pub addresses: Vec<IpAddr>,
}

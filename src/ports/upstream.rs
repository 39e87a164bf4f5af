//! Asking the upstream: a question, what the world says about it, and the facts of the way there
//! that policy needs.
//!
//! A [`Resolution`] is never filtered and never depends on who asks, so it can be kept and policy
//! decides anew on every use.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;

use crate::model::{AnswerFacts, Name};

use super::sections::Sections;

/// NOERROR (RFC 1035 section 4.1.1).
pub const RCODE_NO_ERROR: u16 = 0;
/// SERVFAIL.
pub const RCODE_SERVER_FAILURE: u16 = 2;
/// NXDOMAIN.
pub const RCODE_NAME_ERROR: u16 = 3;

/// What is asked, in class IN. Two questions that compare equal have the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Question {
    /// The query name.
    pub name: Name,
    /// The query type's number.
    pub rtype: u16,
    /// DO: the DNSSEC records are wanted too (RFC 3225).
    pub dnssec_ok: bool,
    /// CD: answers that fail validation are wanted too (RFC 4035 section 3.2.2).
    pub checking_disabled: bool,
}

impl Question {
    /// A question as most clients ask it, without DO and CD.
    pub fn plain(name: Name, rtype: u16) -> Self {
        Self { name, rtype, dnssec_ok: false, checking_disabled: false }
    }
}

/// What validation found (RFC 4035 section 4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Security {
    /// A chain of signatures from a trust anchor covers everything: the AD bit may be set.
    Secure,
    /// Proved to be unsigned.
    Insecure,
    /// Nobody looked, or it could not be found out.
    Indeterminate,
    /// Ought to be signed and is not rightly so. Only seen with CD.
    Bogus,
}

/// An extended DNS error (RFC 8914).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ExtendedError {
    /// INFO-CODE.
    pub code: u16,
    /// EXTRA-TEXT, at most [`Self::TEXT_OCTETS_MAX`] octets.
    pub text: String,
}

impl ExtendedError {
    /// The codes of what validation finds, from DNSSEC Bogus to NSEC Missing.
    pub const DNSSEC: std::ops::RangeInclusive<u16> = Self::DNSSEC_BOGUS..=Self::NSEC_MISSING;
    /// Longer text is cut: an error must not make a reply too large for UDP.
    pub const TEXT_OCTETS_MAX: usize = 200;
    /// Other.
    pub const OTHER: u16 = 0;
    /// Stale Answer.
    pub const STALE_ANSWER: u16 = 3;
    /// DNSSEC Bogus.
    pub const DNSSEC_BOGUS: u16 = 6;
    /// Signature Expired.
    pub const SIGNATURE_EXPIRED: u16 = 7;
    /// Signature Not Yet Valid.
    pub const SIGNATURE_NOT_YET_VALID: u16 = 8;
    /// RRSIGs Missing.
    pub const RRSIGS_MISSING: u16 = 10;
    /// NSEC Missing.
    pub const NSEC_MISSING: u16 = 12;
    /// Cached Error.
    pub const CACHED_ERROR: u16 = 13;
    /// Blocked: by the operator of this server.
    pub const BLOCKED: u16 = 15;
    /// Stale NXDOMAIN Answer.
    pub const STALE_NAME_ERROR: u16 = 19;
    /// No Reachable Authority.
    pub const NO_REACHABLE_AUTHORITY: u16 = 22;
    /// Network Error.
    pub const NETWORK_ERROR: u16 = 23;

    /// A code with its text, cut to length.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        let mut text = text.into();
        let mut end = text.len().min(Self::TEXT_OCTETS_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        Self { code, text }
    }
}

/// What the world says to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolution {
    /// The response code: NOERROR, NXDOMAIN, or one that concerns the name (YXDOMAIN).
    pub rcode: u16,
    /// Whether there is no record of the type asked for: NXDOMAIN or NODATA, aliases apart.
    pub is_negative: bool,
    /// Answer and authority sections. The chain stands in order; an SOA is in the authority
    /// section of negative answers; DNSSEC records only with DO.
    pub sections: Sections,
    /// What validation found.
    pub security: Security,
    /// How long this may be kept: the smallest time to live, for negative answers that of RFC 2308
    /// section 5. 0 means not at all.
    pub ttl_seconds: u32,
    /// What policy needs. The steps have no nameservers where the way is not known: below a stub or
    /// forward zone, or behind a forwarder while nobody wants them.
    pub facts: AnswerFacts,
    /// What the upstream server said with its answer.
    pub extended_errors: Vec<ExtendedError>,
}

/// Why there is no answer. Each makes a SERVFAIL.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamError {
    /// Too many resolutions are under way.
    #[error("too many resolutions are under way")]
    Busy,
    /// This client waits for too many resolutions already.
    #[error("the client waits for too many resolutions")]
    ClientBusy,
    /// No answer before the deadline.
    #[error("no answer before the deadline")]
    Timeout,
    /// No server gave an answer that can be used.
    #[error("no usable answer: {}", .0.text)]
    Failed(ExtendedError),
    /// The answer fails DNSSEC validation, and CD was not set.
    #[error("DNSSEC validation failed: {}", .0.text)]
    Bogus(ExtendedError),
    /// The name is an alias, and what it leads to cannot be resolved.
    #[error("{error}")]
    Broken {
        /// Why not.
        error: Box<Self>,
        /// The aliases as far as they go, with their facts: policy may have a say at the last.
        chain: Arc<Resolution>,
    },
}

impl UpstreamError {
    /// What to tell the client beside SERVFAIL.
    pub fn extended_error(&self) -> ExtendedError {
        match self {
            Self::Busy | Self::ClientBusy => {
                ExtendedError::new(ExtendedError::OTHER, self.to_string())
            }
            Self::Timeout => {
                ExtendedError::new(ExtendedError::NO_REACHABLE_AUTHORITY, self.to_string())
            }
            Self::Failed(extended) | Self::Bogus(extended) => extended.clone(),
            Self::Broken { error, .. } => error.extended_error(),
        }
    }

    /// Whether the question failed (and may be remembered, RFC 9520) rather than this program.
    pub fn concerns_the_question(&self) -> bool {
        !matches!(self.cause(), Self::Busy | Self::ClientBusy)
    }

    /// The failure itself, without the aliases that led to it.
    pub fn cause(&self) -> &Self {
        match self {
            Self::Broken { error, .. } => error.cause(),
            error => error,
        }
    }

    /// The aliases that led to the failure.
    pub fn chain(&self) -> Option<&Resolution> {
        match self {
            Self::Broken { chain, .. } => Some(chain),
            _ => None,
        }
    }
}

/// Someone who answers questions: a recursor, forwarders, or a script in a test.
#[async_trait]
pub trait Upstream: Send + Sync {
    /// Answers one question. `client` is who waits for it, for the bound on questions under way
    /// for one client; none for the program's own.
    async fn resolve(
        &self,
        question: &Question,
        client: Option<IpAddr>,
    ) -> Result<Arc<Resolution>, UpstreamError>;
}

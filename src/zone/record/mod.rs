//! The one place that knows how RPZ writes rules as records (draft-vixie-dnsop-dns-rpz-00,
//! sections 3 and 4): owner names stand for triggers ([`owner`]), record data for actions
//! ([`action`]). [`Encoder`] turns rules into records, [`Collector`] records into a zone.
//!
//! Files and transfers read and write the same [`Record`]s, so what is exported and what is read
//! back cannot differ.

pub mod action;
pub mod collect;
pub mod encode;
pub mod owner;
pub mod rdata;
mod settle;

pub use collect::{Clash, ClashReason, Collector, Inexact, OWNER_RECORDS_MAX, Op};
pub use encode::{Encoder, Unwritable, records_of};
pub use owner::{AddressError, Owner, read_owner, write_owner};

use crate::model::{Name, NameRef};

/// A resource record of class IN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record<'a> {
    /// The owner's whole name, the zone's own included.
    pub owner: NameRef<'a>,
    /// The record type's number.
    pub rtype: u16,
    /// Seconds.
    pub ttl: u32,
    /// Record data in uncompressed wire form.
    pub rdata: &'a [u8],
}

/// A record that owns its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnedRecord {
    /// The owner's whole name, the zone's own included.
    pub owner: Name,
    /// The record type's number.
    pub rtype: u16,
    /// Seconds.
    pub ttl: u32,
    /// Record data in uncompressed wire form.
    pub rdata: Vec<u8>,
}

impl OwnedRecord {
    /// The record as a borrow.
    pub fn as_ref(&self) -> Record<'_> {
        let Self { owner, rtype, ttl, rdata } = self;
        Record { owner: owner.as_ref(), rtype: *rtype, ttl: *ttl, rdata }
    }
}

impl Record<'_> {
    /// An owned copy.
    pub fn to_owned(self) -> OwnedRecord {
        let Self { owner, rtype, ttl, rdata } = self;
        OwnedRecord { owner: owner.to_owned(), rtype, ttl, rdata: rdata.into() }
    }
}

/// Why a record is no rule. Such a record is left out and the rest of the zone stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// The owner is not below the zone's name.
    #[error("the owner is not in the zone")]
    OutOfZone,
    /// Something other than SOA and NS at the zone's own name. Some resolvers take it for a rule
    /// about the root and then resolve nothing.
    #[error("{} at the zone's own name is no rule", rdata::type_name(*.0))]
    AtApex(u16),
    /// A start of authority after the first.
    #[error("a second SOA")]
    SecondSoa,
    /// An `rpz-` label with nothing before it.
    #[error("an owner with no trigger before the `rpz-` label")]
    EmptyTrigger,
    /// An address trigger that is not in canonical form.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// SOA, NS, DNAME, DNSSEC and query types are never rules (section 3).
    #[error("{} records are never rules", rdata::type_name(*.0))]
    Type(u16),
    /// A target below a top-level label that RPZ keeps for actions, but no action that is known.
    #[error("`{0}.` is no action that is known")]
    UnknownAction(Name),
    /// The record data is not what its type asks for.
    #[error("malformed {} record data", rdata::type_name(*.0))]
    Malformed(u16),
    /// The names of the zone take more than 4 GiB.
    #[error("the zone is full")]
    Full,
}

/// The label under which RPZ files a kind of trigger; query names stand under none.
pub(in crate::zone) const KIND_LABELS: [(crate::model::TriggerKind, &[u8]); 4] = {
    use crate::model::TriggerKind::*;
    [
        (ClientAddress, b"rpz-client-ip\0"),
        (AnswerAddress, b"rpz-ip\0"),
        (NameserverName, b"rpz-nsdname\0"),
        (NameserverAddress, b"rpz-nsip\0"),
    ]
};

/// Top-level labels that start like this are kept for actions (section 3).
pub(in crate::zone) const RESERVED_PREFIX: &[u8] = b"rpz-";

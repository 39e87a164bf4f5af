//! Zone transfers as streams of DNS messages (RFC 5936, RFC 1995): [`Request`] asks,
//! [`TransferWriter`] answers one message at a time, [`TransferReader`] takes answers and makes
//! the new zone. [`SoaRequest`] asks for the version alone, and [`Notify`] (RFC 1996) says that
//! there is a new one. Sockets, frames and signatures are for others.

mod edns;
mod message;
mod notify;
mod read;
mod request;
mod soa;
mod write;

pub use edns::{add_edns, has_edns};
pub use notify::Notify;
pub use read::{
    Progress, TransferError, TransferLimits, TransferProblem, TransferReader, TransferReject,
    TransferReport, Transferred,
};
pub use request::{Request, RequestError, RequestKind, refusal};
pub use soa::SoaRequest;
pub use write::{MESSAGE_OCTETS, TransferWriter};

pub(in crate::zone) use message::{HEADER_OCTETS, Header, read_record, skip_question};

/// Response codes (RFC 1035 section 4.1.1, RFC 2136 section 2.2).
pub mod rcode {
    /// All is well.
    pub const NOERROR: u8 = 0;
    /// The message cannot be read.
    pub const FORMERR: u8 = 1;
    /// The server failed.
    pub const SERVFAIL: u8 = 2;
    /// The server does not know this kind of request.
    pub const NOTIMP: u8 = 4;
    /// The server does not want to.
    pub const REFUSED: u8 = 5;
    /// The server has no such zone, or the signature is not good (RFC 8945).
    pub const NOTAUTH: u8 = 9;

    /// What people call a code.
    pub fn name(code: u8) -> String {
        match code {
            FORMERR => "FORMERR (it cannot read us)".to_owned(),
            SERVFAIL => "SERVFAIL (it has no sound version of the zone)".to_owned(),
            NOTIMP => "NOTIMP (it does not know such requests)".to_owned(),
            REFUSED => "REFUSED (it does not hand the zone to us)".to_owned(),
            NOTAUTH => "NOTAUTH (it does not serve the zone)".to_owned(),
            other => format!("with response code {other}"),
        }
    }
}

#[cfg(test)]
mod interop;
#[cfg(test)]
mod tests;

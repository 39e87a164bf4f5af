//! Answers from the rest of the world.

mod assemble;
mod convert;
mod delegations;
mod forward;
mod health;
mod recurse;
mod roots;
mod route;
mod server;
mod stream;
mod stub;
mod tap;
#[cfg(test)]
mod testing;
mod walk;

use crate::model::Name;
use crate::ports::Question;

pub use forward::ForwardSettings;
pub use recurse::{RecursionSettings, Validation, host_has_ipv6};
pub use server::{CertificateRoots, ServerSettings, Transport};

/// One question on its way inside this folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ask {
    name: Name,
    rtype: u16,
    dnssec_ok: bool,
    checking_disabled: bool,
    /// How many questions deep this one was needed for another.
    depth: u8,
}

impl Ask {
    /// The question asked of another name.
    fn about(question: &Question, name: Name) -> Self {
        Self {
            name,
            rtype: question.rtype,
            dnssec_ok: question.dnssec_ok,
            checking_disabled: question.checking_disabled,
            depth: 0,
        }
    }
}

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Without IPv6 no root server is left.
    #[error("no root server has an address that can be reached")]
    NoRoots,
    /// There is nobody to forward to.
    #[error("no server is given")]
    NoServers,
    /// No certificate can have this name.
    #[error("`{0}` is not a server name")]
    ServerName(String),
    /// A certificate of those that may sign is none.
    #[error("certificate: {0}")]
    Certificate(String),
    /// The trust anchors are not DNSKEY records.
    #[error("trust anchors: {0}")]
    TrustAnchors(String),
    /// The recursor does not take the settings.
    #[error("recursor: {0}")]
    Recursor(String),
}

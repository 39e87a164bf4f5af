//! Answers from the rest of the world.

mod assemble;
mod convert;
mod delegations;
mod recurse;
mod roots;
mod tap;
#[cfg(test)]
mod testing;

use crate::model::Name;

pub use recurse::{RecursionSettings, Validation, host_has_ipv6};

/// One question on its way inside this folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ask {
    name: Name,
    rtype: u16,
    dnssec_ok: bool,
    checking_disabled: bool,
}

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Without IPv6 no root server is left.
    #[error("no root server has an address that can be reached")]
    NoRoots,
    /// The trust anchors are not DNSKEY records.
    #[error("trust anchors: {0}")]
    TrustAnchors(String),
    /// The recursor does not take the settings.
    #[error("recursor: {0}")]
    Recursor(String),
}

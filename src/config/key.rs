//! Keys that sign transfers (TSIG, RFC 8945), and where a secret is kept.

use std::path::{Path, PathBuf};

use crate::diagnostic::Place;
use crate::model::Name;
use crate::zone::tsig::Algorithm;

/// A key that is shared with whoever zones come from or go to. Its secret is not here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferKey {
    /// The name that both sides have for it.
    pub name: Name,
    /// How it signs.
    pub algorithm: Algorithm,
    /// Where the secret is.
    pub secret: Secret,
    /// Where it is declared.
    pub place: Place,
}

/// Where a secret is kept. A configuration file holds none, so it can be shown to anybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// A file.
    File(PathBuf),
    /// A credential that systemd hands over (`LoadCredential=`), by its name.
    Credential(String),
}

impl Secret {
    /// The file that holds it; `credentials` is the directory that systemd names. None where the
    /// program was not handed any credentials.
    pub fn path(&self, credentials: Option<&Path>) -> Option<PathBuf> {
        match self {
            Self::File(path) => Some(path.clone()),
            Self::Credential(name) => Some(credentials?.join(name)),
        }
    }
}

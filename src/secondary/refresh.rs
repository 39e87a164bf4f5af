//! What a refresh of a zone is asked, and what comes of it.

use std::time::Duration;

use async_trait::async_trait;

use crate::ports::Validators;
use crate::zone::Zone;

/// Brings a zone up to date. [`ByTransfer`](super::ByTransfer) and [`ByUrl`](super::ByUrl) ask
/// others; tests script it.
#[async_trait]
pub trait Refresh: Send + Sync {
    /// Asks for what is newer than `held`, or for whatever there is where nothing is held. An
    /// error has what each of those that were asked did.
    async fn refresh(&self, held: Option<Held<'_>>) -> Result<Refreshed, Vec<Failure>>;
}

/// The version that came before.
#[derive(Debug, Clone, Copy)]
pub struct Held<'a> {
    /// The zone.
    pub zone: &'a Zone,
    /// Whether changes can be applied to it: nothing that would be changed was left out.
    pub exact: bool,
    /// What came with it over HTTP.
    pub validators: &'a Validators,
}

/// What came of a refresh.
#[derive(Debug)]
pub enum Refreshed {
    /// The version that is held is current.
    Unchanged,
    /// Another version.
    Transferred(Zone, Transfer),
}

/// How a zone came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TransferKind {
    /// The whole of it.
    Full,
    /// Changes to the version that we had.
    Changes,
    /// As a file.
    File,
}

impl TransferKind {
    /// The word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "axfr",
            Self::Changes => "ixfr",
            Self::File => "http",
        }
    }
}

/// How a version came.
#[derive(Debug, Clone)]
pub struct Transfer {
    /// Who brought it.
    pub from: String,
    /// How.
    pub kind: TransferKind,
    /// How long it took.
    pub duration: Duration,
    /// Records that came.
    pub records: u64,
    /// Octets that came.
    pub octets: u64,
    /// How many records were left out.
    pub rejected: usize,
    /// The first of them, as people read it.
    pub rejects: Vec<String>,
    /// Whether changes can be applied to it.
    pub exact: bool,
    /// What to ask with the next time.
    pub validators: Validators,
}

/// What went wrong with one of those that were asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Who.
    pub from: String,
    /// What, as a sentence.
    pub reason: String,
}

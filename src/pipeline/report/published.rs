//! What is said of zones that leave by transfer, and of who takes them.

use serde::{Deserialize, Serialize};

/// A zone as it is published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublishedSays {
    /// The serial that secondaries get.
    pub serial: u32,
    /// Since when.
    pub at: u32,
    /// Its rules.
    pub rules: usize,
    /// How many versions secondaries may have and get only the changes for, the current one
    /// included.
    pub versions: usize,
    /// What canaries get, where that is newer.
    pub canary: Option<CanarySays>,
    /// The version whose content stays, by command.
    pub rolled_back_to: Option<u32>,
    /// Who gets it.
    pub secondaries: Vec<FleetSays>,
}

/// A version that is the canaries' alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CanarySays {
    /// Its serial.
    pub serial: u32,
    /// When all others get it, if nobody does anything.
    pub until: u32,
}

/// A secondary with one zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetSays {
    /// What it is called.
    pub name: String,
    /// Whether it gets versions before the others.
    pub canary: bool,
    /// The version it gets.
    pub offered: u32,
    /// The version it has, as far as is known.
    pub serial: Option<u32>,
    /// How long a newer one has been there, in seconds; none where its version is not known.
    pub lag_seconds: Option<u32>,
    /// When it last asked for anything.
    pub asked_at: Option<u32>,
    /// Its last transfer that came to its end.
    pub transfer: Option<TransferSays>,
    /// How many did.
    pub transfers: u64,
    /// How many were broken off.
    pub failures: u64,
    /// How it goes with telling it of news.
    pub notify: NotifySays,
}

/// A transfer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferSays {
    /// When it ended.
    pub at: u32,
    /// `full`, `changes`, or `full-for-changes` where changes were asked for.
    pub kind: String,
    /// Octets of its messages.
    pub octets: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// The version.
    pub serial: u32,
}

/// Telling of news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotifySays {
    /// `off`, `not-yet`, `acknowledged` or `trying`.
    pub state: String,
    /// The version it was told of last.
    pub serial: Option<u32>,
    /// How often.
    pub attempts: u32,
    /// When it acknowledged.
    pub acknowledged_at: Option<u32>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// A version of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionSays {
    /// Its serial.
    pub serial: u32,
    /// The serial of the policy zone that it was made of.
    pub source: u32,
    /// The snapshot that the policy zone was in.
    pub snapshot: String,
    /// When it was published.
    pub at: u32,
    /// Its rules.
    pub rules: usize,
    /// How many rules it takes away from the version before.
    pub removed: usize,
    /// How many it adds.
    pub added: usize,
    /// The version whose content it has, where it is a rollback.
    pub rolled_back_to: Option<u32>,
    /// Whether most secondaries get it now.
    pub current: bool,
}

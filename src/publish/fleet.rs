//! What is known of each secondary without asking it: what it took, what it has, what it was told.

use std::collections::BTreeMap;
use std::time::Duration;

use parking_lot::Mutex;

use crate::model::{Name, Timestamp};
use crate::zone::Serial;

/// What was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A whole zone, asked for as such.
    Full,
    /// A whole zone where changes were asked for.
    FullForChanges,
    /// Changes.
    Changes,
    /// Word that there is nothing newer.
    Nothing,
}

impl Kind {
    /// A word for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::FullForChanges => "full-for-changes",
            Self::Changes => "changes",
            Self::Nothing => "nothing",
        }
    }
}

/// A transfer that came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// When it ended.
    pub at: Timestamp,
    /// What was sent.
    pub kind: Kind,
    /// Octets of the messages, frames not counted.
    pub octets: u64,
    /// How long it took.
    pub took: Duration,
    /// The version that was sent.
    pub serial: Serial,
}

/// How telling a secondary of news goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Told {
    /// The version it was told of last.
    pub serial: Option<Serial>,
    /// How often it was told of that version.
    pub attempts: u32,
    /// When it acknowledged that version.
    pub acknowledged_at: Option<Timestamp>,
    /// Why the last attempt failed.
    pub error: Option<String>,
}

/// What is known of one zone at one secondary.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The version it has, by what it asked from or was sent.
    pub serial: Option<Serial>,
    /// The last transfer that came to its end.
    pub transfer: Option<Transfer>,
    /// Transfers that came to their end, and those that were broken off.
    pub transfers: u64,
    /// Transfers that were broken off.
    pub failures: u64,
    /// When it last asked for anything.
    pub asked_at: Option<Timestamp>,
    /// News.
    pub told: Told,
}

/// All secondaries, by position in the configuration, with their zones.
#[derive(Debug, Default)]
pub struct Fleet(Mutex<BTreeMap<(usize, Name), Known>>);

impl Fleet {
    /// Notes something.
    pub fn note(&self, secondary: usize, zone: &Name, note: impl FnOnce(&mut Known)) {
        note(self.0.lock().entry((secondary, zone.clone())).or_default());
    }

    /// What is known.
    pub fn of(&self, secondary: usize, zone: &Name) -> Known {
        self.0.lock().get(&(secondary, zone.clone())).cloned().unwrap_or_default()
    }
}

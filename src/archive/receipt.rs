//! Where a source's claims came from, when, and what was wrong with them.

use serde::{Deserialize, Serialize};

/// What is known of a source besides its claims. Unknown fields of a later version are dropped,
/// absent ones of an earlier version are empty: both load.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Receipt {
    /// Where the last good copy came from.
    pub url: String,
    /// `ETag` of the last good copy.
    pub etag: Option<String>,
    /// `Last-Modified` of the last good copy.
    pub last_modified: Option<String>,
    /// When the last good copy was taken over, in seconds since 1970.
    pub accepted_at: Option<u32>,
    /// When the source last said that nothing has changed, or was taken over.
    pub confirmed_at: Option<u32>,
    /// Entries of the last good copy.
    pub entries: usize,
    /// Lines of the last good copy that could not be read.
    pub rejects: usize,
    /// Some of those lines.
    pub samples: Vec<Reject>,
    /// Sizes of the last accepted copies, the newest last, fourteen at most (SCORING 4.4).
    pub sizes: Vec<usize>,
    /// How many entries came new with each of them (SCORING 4.4).
    pub additions: Vec<usize>,
    /// Until when what is put aside weighs nothing, in seconds since 1970.
    pub held_until: Option<u32>,
    /// How many entries are put aside.
    pub held: usize,
    /// Since when removals wait for a second fetch to agree, in seconds since 1970.
    pub shrunk_since: Option<u32>,
    /// When verdicts came that hang on it alone, and how many; those of the last day.
    #[serde(default)]
    pub pivotal: Vec<(u32, u64)>,
    /// What the last snapshot broke of its contract, the newest last.
    pub breaches: Vec<Attempt>,
    /// The last attempt that failed, if it was later than the last success.
    pub failure: Option<Attempt>,
    /// Attempts that failed in a row.
    pub failures: u32,
}

/// A line that could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reject {
    /// Its number, from 1.
    pub line: usize,
    /// Its beginning.
    pub text: String,
    /// What is wrong with it.
    pub reason: String,
}

/// An attempt that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// When, in seconds since 1970.
    pub at: u32,
    /// What went wrong, as a sentence.
    pub error: String,
}

/// How many sizes are looked back on (SCORING 4.4: the last 14 accepted snapshots).
const SIZES_MAX: usize = 14;

impl Receipt {
    /// Notes how many entries came new with an accepted copy.
    pub fn note_additions(&mut self, entries: usize) {
        self.additions.push(entries);
        let surplus = self.additions.len().saturating_sub(SIZES_MAX);
        self.additions.drain(..surplus);
    }

    /// Notes the size of an accepted copy.
    pub fn note_size(&mut self, entries: usize) {
        self.sizes.push(entries);
        let surplus = self.sizes.len().saturating_sub(SIZES_MAX);
        self.sizes.drain(..surplus);
    }
}

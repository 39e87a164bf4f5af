//! Which zones leave as files, and under which names.
//!
//! A zone that only observes never leaves: elsewhere nothing would hold its rules back. A zone
//! bound to groups leaves as a zone of its own, for the view of those clients.

use std::path::{Path, PathBuf};

use crate::model::NameRef;
use crate::zone::{Mode, PolicyZone};

/// Whether the zone leaves.
pub fn is_exported(zone: &PolicyZone) -> bool {
    zone.options.mode == Mode::Enforce
}

/// The file of a zone: its name, which ends in `rpz`.
pub fn path(directory: &Path, origin: NameRef<'_>) -> PathBuf {
    directory.join(origin.to_string())
}

//! Zones as RPZ master files, replaced as a whole.
//!
//! A zone that only observes never leaves: elsewhere nothing would hold its rules back. A zone
//! bound to groups leaves as a zone of its own, for the view of those clients.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::model::NameRef;
use crate::zone::file::{WriteReport, write_zone};
use crate::zone::{Mode, PolicyZone, Zone};

/// Whether the zone leaves.
pub fn is_exported(zone: &PolicyZone) -> bool {
    zone.options.mode == Mode::Enforce
}

/// The file of a zone: its name, with `.rpz` where it does not end so.
pub fn path(directory: &Path, origin: NameRef<'_>) -> PathBuf {
    let name = origin.to_string();
    match name.ends_with(".rpz") {
        true => directory.join(name),
        false => directory.join(name + ".rpz"),
    }
}

/// Writes a zone. Until all of it is on disk the old file stays as it was.
pub fn write(path: &Path, zone: &Zone) -> io::Result<WriteReport> {
    let mut report = None;
    disk::replace(path, |out| {
        report = Some(write_zone(zone, out)?);
        // Another server's user reads it, whatever mask we run under.
        out.get_ref().set_permissions(Permissions::from_mode(0o644))
    })?;
    report.ok_or_else(|| io::Error::other("nothing was written"))
}

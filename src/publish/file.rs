//! Zones as RPZ master files, replaced as a whole and only where something changed.
//!
//! A zone that only observes never leaves: elsewhere nothing would hold its rules back. A zone
//! bound to groups leaves as a zone of its own, for the view of those clients. The file is the
//! memory of what was published: what it says already is not written again, and its serial goes up
//! with its content and never back.

use std::fs::{File, Permissions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::disk;
use crate::model::{NameRef, Timestamp};
use crate::zone::file::{Limits, RecordReader, WriteReport, write_zone};
use crate::zone::record::rdata;
use crate::zone::{Serial, Soa, Zone};

/// How many records may stand before the SOA of a file of ours; more is not ours.
const RECORDS_BEFORE_SOA_MAX: usize = 1;

/// What came of publishing a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The serial of the file.
    pub serial: Serial,
    /// What was written; none where the file said it already.
    pub written: Option<WriteReport>,
}

/// The file of a zone: its name, with `.rpz` where it does not end so.
pub fn path(directory: &Path, origin: NameRef<'_>) -> PathBuf {
    let name = origin.to_string();
    match name.ends_with(".rpz") {
        true => directory.join(name),
        false => directory.join(name + ".rpz"),
    }
}

/// Writes a zone, unless the file holds the same rules. Until all of it is on disk the old file
/// stays as it was.
pub fn publish(path: &Path, zone: &Zone, now: Timestamp) -> io::Result<Published> {
    let held = serial_of(path, zone.origin())?;
    if let Some(serial) = held
        && says(path, &with_serial(zone, serial))?
    {
        return Ok(Published { serial, written: None });
    }
    let ours = zone.soa().serial;
    let is_ahead = held.is_none_or(|held| ours > held);
    let serial = held.filter(|_| !is_ahead).map_or(ours, |held| held.next(now));
    let report = write(path, &with_serial(zone, serial))?;
    Ok(Published { serial, written: Some(report) })
}

fn with_serial(zone: &Zone, serial: Serial) -> Zone {
    zone.with_soa(Soa { serial, ..zone.soa().clone() })
}

fn write(path: &Path, zone: &Zone) -> io::Result<WriteReport> {
    let mut report = None;
    disk::replace(path, |out| {
        report = Some(write_zone(zone, out)?);
        // Another server's user reads it, whatever mask we run under.
        out.get_ref().set_permissions(Permissions::from_mode(0o644))
    })?;
    report.ok_or_else(|| io::Error::other("nothing was written"))
}

fn open(path: &Path) -> io::Result<Option<BufReader<File>>> {
    match File::open(path) {
        Ok(file) => Ok(Some(BufReader::with_capacity(1 << 16, file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The serial of a file of ours; none where there is none or where it is something else.
fn serial_of(path: &Path, origin: NameRef<'_>) -> io::Result<Option<Serial>> {
    let Some(file) = open(path)? else { return Ok(None) };
    let mut reader = RecordReader::new(file, origin.to_owned(), &Limits::default());
    for _ in 0..=RECORDS_BEFORE_SOA_MAX {
        let Some(Ok(entry)) = reader.next()? else { return Ok(None) };
        if entry.record.rtype == rdata::SOA && entry.record.owner == origin {
            return Ok(Soa::from_wire(entry.record.rdata, entry.record.ttl).map(|soa| soa.serial));
        }
    }
    Ok(None)
}

/// Whether a file has exactly this zone's text.
fn says(path: &Path, zone: &Zone) -> io::Result<bool> {
    let Some(file) = open(path)? else { return Ok(false) };
    let mut comparison = Comparison { file, same: true };
    match write_zone(zone, &mut comparison) {
        Ok(_) => Ok(comparison.same && comparison.file.fill_buf()?.is_empty()),
        Err(_) if !comparison.same => Ok(false),
        Err(error) => Err(error),
    }
}

/// Takes what would be written and looks whether a file has it.
struct Comparison {
    file: BufReader<File>,
    same: bool,
}

impl Write for Comparison {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let mut held = vec![0; text.len()];
        let read = self.file.read_exact(&mut held);
        self.same = read.is_ok() && held == text;
        // The first difference ends the writing.
        if self.same { Ok(text.len()) } else { Err(io::Error::other("another text")) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Name, Rule};
    use crate::zone::ZoneBuilder;

    fn zone(names: &[&str], serial: u32) -> Zone {
        let origin = Name::from_host("t.rpz").unwrap();
        let mut builder = ZoneBuilder::new(origin, Soa::ours(Serial(serial)), 7);
        for name in names {
            let name = Name::from_host(name).unwrap();
            let rules = Rule::domain(name.as_ref(), &Action::NxDomain, 60);
            rules.into_iter().for_each(|rule| builder.insert(rule));
        }
        builder.finish().0
    }

    #[test]
    fn a_file_is_written_when_its_content_changes_and_its_serial_never_goes_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.rpz");
        let now = Timestamp(2_000);
        let publish = |names: &[&str], serial| {
            let published = publish(&path, &zone(names, serial), now).unwrap();
            (published.serial.0, published.written.is_some())
        };
        assert_eq!(publish(&["a.test"], 1_000), (1_000, true));
        assert_eq!(publish(&["a.test"], 1_000), (1_000, false));
        assert_eq!(publish(&["a.test"], 1_500), (1_000, false), "another serial is no news");
        assert_eq!(publish(&["a.test", "b.test"], 1_500), (1_500, true));
        assert_eq!(publish(&["a.test"], 900), (2_000, true), "older here than there");
        assert_eq!(publish(&["b.test"], 900), (2_001, true));
        assert_eq!(publish(&["b.test", "c.test"], 900), (2_002, true), "a beginning is not all");
        assert_eq!(publish(&["b.test"], 900), (2_003, true), "nor is an end");
    }

    #[test]
    fn what_is_no_zone_of_ours_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t.rpz");
        for text in ["", "<html>", "@ 60 A 192.0.2.1\n@ 60 A 192.0.2.2\n@ 60 A 192.0.2.3\n"] {
            std::fs::write(&path, text).unwrap();
            let published = publish(&path, &zone(&["a.test"], 5), Timestamp(9)).unwrap();
            assert!(published.written.is_some() && published.serial == Serial(5), "{text}");
        }
    }
}

//! The last good version of each zone, and what is known of it.
//!
//! ```text
//! STATE/transferred/NAME.zone    the version, compiled ([`crate::zone::octets`])
//! STATE/transferred/NAME.json    where it came from, when it was confirmed ([`Record`])
//! ```
//!
//! The version is written first. Where a stop came between the two, the record is of an older
//! version and counts for less: the next transfer is a whole one.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Schedule;
use crate::disk;
use crate::model::{Name, NameRef, Timestamp};
use crate::ports::Validators;
use crate::zone::{Soa, Zone};

/// A record has some kilobytes, most of them about records that were left out.
const RECORD_OCTETS_MAX: u64 = 1 << 20;

/// What is known of a zone besides its rules. Unknown fields of a later version are dropped,
/// absent ones of an earlier version are empty: both load.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Record {
    /// The serial of the version that this is about.
    pub serial: u32,
    /// Where the zone was to come from, as it was configured.
    pub configured: Vec<String>,
    /// Who brought the version.
    pub from: String,
    /// `axfr`, `ixfr` or `http`.
    pub kind: String,
    /// When it came, in seconds since 1970.
    pub taken_at: u32,
    /// When it last came or was confirmed.
    pub confirmed_at: Option<u32>,
    /// When somebody was asked last.
    pub asked_at: Option<u32>,
    /// How often in a row nothing came of that since.
    pub failures: u32,
    /// What went wrong then.
    pub error: Option<String>,
    /// Whether changes can be applied to the version.
    pub exact: bool,
    /// How many of its records were left out.
    pub rejected: usize,
    /// The first of them.
    pub rejects: Vec<String>,
    /// `ETag`.
    pub etag: Option<String>,
    /// `Last-Modified`.
    pub last_modified: Option<String>,
}

impl Record {
    /// When it is due, and until when the version is fresh.
    pub fn schedule(&self) -> Schedule {
        let (confirmed_at, asked_at) = (self.confirmed_at, self.asked_at);
        Schedule {
            confirmed_at: confirmed_at.map(Timestamp),
            asked_at: asked_at.map(Timestamp),
            failures: self.failures,
        }
    }

    /// The same with another schedule.
    pub fn set_schedule(&mut self, schedule: Schedule) {
        self.confirmed_at = schedule.confirmed_at.map(|at| at.0);
        self.asked_at = schedule.asked_at.map(|at| at.0);
        self.failures = schedule.failures;
    }

    /// What to ask with over HTTP.
    pub fn validators(&self) -> Validators {
        Validators { etag: self.etag.clone(), last_modified: self.last_modified.clone() }
    }

    /// Whether the publisher was silent for longer than its SOA allows.
    pub fn is_expired(&self, soa: &Soa, now: Timestamp) -> bool {
        self.schedule().expires_at(soa).is_some_and(|at| at <= now)
    }
}

/// The directory.
#[derive(Debug, Clone)]
pub struct Store {
    directory: PathBuf,
}

impl Store {
    /// The directory in a state directory; it is there.
    pub fn of(state: &Path) -> Self {
        Self { directory: state.join("transferred") }
    }

    fn path(&self, name: NameRef<'_>, ending: &str) -> PathBuf {
        self.directory.join(format!("{name}.{ending}"))
    }

    /// The version that came last; none where none ever did.
    pub fn load(&self, name: &Name) -> io::Result<Option<(Zone, Record)>> {
        let path = self.path(name.as_ref(), "zone");
        let at = |error: &dyn std::fmt::Display| {
            io::Error::other(format!("{}: {error}", path.display()))
        };
        let Some(octets) = disk::map(&path).map_err(|e| at(&e))? else { return Ok(None) };
        let zone = Zone::from_octets(octets).map_err(|error| at(&error))?;
        if zone.origin() != name.as_ref() {
            return Err(at(&format!("it is the zone `{}`", zone.origin())));
        }
        let mut record = self.record(name).unwrap_or_default();
        if record.serial != zone.soa().serial.0 {
            record = Record { exact: false, etag: None, last_modified: None, ..record };
        }
        Ok(Some((zone, record)))
    }

    /// What is known of a zone, with or without a version.
    pub fn record(&self, name: &Name) -> Option<Record> {
        let text = disk::read_small(&self.path(name.as_ref(), "json"), RECORD_OCTETS_MAX);
        serde_json::from_slice(&text.ok()??).ok()
    }

    /// Keeps a version and gives it back as it lies in the file.
    pub fn keep(&self, zone: &Zone) -> io::Result<Zone> {
        let path = self.path(zone.origin(), "zone");
        disk::replace(&path, |out| zone.write_octets(out))?;
        let octets = disk::map(&path)?.ok_or(io::ErrorKind::NotFound)?;
        Zone::from_octets(octets).map_err(io::Error::other)
    }

    /// Keeps what is known of a version.
    pub fn note(&self, name: &Name, record: &Record) -> io::Result<()> {
        disk::replace(&self.path(name.as_ref(), "json"), |out| {
            Ok(serde_json::to_writer_pretty(out, record)?)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{name, zone};
    use super::*;

    #[test]
    fn a_version_is_read_back_with_its_record() {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("transferred")).unwrap();
        let store = Store::of(state.path());
        let origin = name("rpz.test");
        assert!(store.load(&origin).unwrap().is_none());
        let kept = store.keep(&zone(4, 9)).unwrap();
        assert!(kept.same_rules(&zone(4, 9)));
        let record =
            Record { serial: 4, exact: true, etag: Some("e".to_owned()), ..Record::default() };
        store.note(&origin, &record).unwrap();
        let (read, found) = store.load(&origin).unwrap().unwrap();
        assert!(read.same_rules(&kept));
        assert_eq!(found, record);

        store.keep(&zone(5, 10)).unwrap();
        let (_, found) = store.load(&origin).unwrap().unwrap();
        assert_eq!((found.exact, found.etag), (false, None), "a record of an older version");
        std::fs::write(state.path().join("transferred/rpz.test.zone"), "torn").unwrap();
        assert!(store.load(&origin).is_err());
    }
}

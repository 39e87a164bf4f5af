//! Zones on disk as master files: replaced as a whole, and read back at start as the base of the
//! history, so that a restart without news publishes nothing and serials never go back.
//!
//! These functions block; asynchronous callers give them a thread.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::model::Name;
use crate::zone::Zone;
use crate::zone::file::{Limits, LoadError, LoadReport, WriteReport, load, write_zone};

/// Octets that are read or written at once.
const BUFFER_OCTETS: usize = 256 << 10;

/// Why a zone cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be written; the one that was there is still there.
    #[error("cannot write {}: {source}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is there but cannot be opened.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is no zone.
    #[error("{}: {source}", path.display())]
    Zone {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: LoadError,
    },
}

impl FileError {
    /// As a finding for people.
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Self::Zone { path, source } => {
                let finding = source.diagnostic();
                let message = format!("{}: {}", path.display(), finding.message);
                Diagnostic { message, ..finding }
            }
            Self::Write { .. } => Diagnostic::error(self.to_string())
                .hint("the file that was there before is unchanged"),
            Self::Read { .. } => Diagnostic::error(self.to_string()),
        }
    }
}

/// Writes a zone in place of the file at `path`. Whoever reads sees the old file or the new one,
/// also after a crash; after an error it is the old one.
pub fn write_file(path: &Path, zone: &Zone) -> Result<WriteReport, FileError> {
    let written = replace(path, |out| write_zone(zone, out));
    written.map_err(|source| FileError::Write { path: path.to_owned(), source })
}

/// Reads the zone `origin` from the file at `path`; none where there is no file yet. The seed keys
/// the zone's hash tables.
pub fn read_file(
    path: &Path,
    origin: &Name,
    hash_seed: u64,
    limits: &Limits,
) -> Result<Option<(Zone, LoadReport)>, FileError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(FileError::Read { path: path.to_owned(), source }),
    };
    let input = BufReader::with_capacity(BUFFER_OCTETS, file);
    let loaded = load(input, origin, hash_seed, limits);
    loaded.map(Some).map_err(|source| FileError::Zone { path: path.to_owned(), source })
}

/// Writes a file beside `path`, makes sure of it on disk, and gives it the name.
fn replace<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> io::Result<T> {
    let (directory, beside) = beside(path)?;
    let written = write_synced(&beside, write).and_then(|report| {
        fs::rename(&beside, path)?;
        Ok(report)
    });
    let report = match written {
        Ok(report) => report,
        Err(error) => {
            // The new file is of no use; the error that matters is the first.
            let _ = fs::remove_file(&beside);
            return Err(error);
        }
    };
    // The name, too, must survive a crash.
    File::open(directory)?.sync_all()?;
    Ok(report)
}

fn write_synced<T>(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<T>,
) -> io::Result<T> {
    let mut out = BufWriter::with_capacity(BUFFER_OCTETS, File::create(path)?);
    let report = write(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()?;
    Ok(report)
}

/// The directory of a file, and a name in it for what will replace the file. One writer has the
/// file, so a fixed name does, and what a crash left there is overwritten.
fn beside(path: &Path) -> io::Result<(&Path, PathBuf)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut hidden = std::ffi::OsString::from(".");
    hidden.push(name);
    hidden.push(".new");
    Ok((directory, directory.join(hidden)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, NamePattern, Rule, Timestamp, Trigger};
    use crate::zone::{History, HistoryLimits, Serial, Soa, ZoneBuilder};

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    fn zone(count: u32) -> Zone {
        let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(9)), 7);
        for at in 0..count {
            let pattern = NamePattern::exact(name(&format!("n{at}.test")));
            let trigger = Trigger::QueryName(pattern);
            builder.insert(Rule { trigger, action: Action::NxDomain, ttl: 60 });
        }
        builder.finish().0
    }

    fn read(path: &Path) -> Option<Zone> {
        let read = read_file(path, &name("rpz.test"), 7, &Limits::default()).unwrap();
        read.map(|(zone, report)| {
            assert_eq!(report.rejected, 0);
            zone
        })
    }

    fn files(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
    }

    #[test]
    fn a_restart_with_the_same_rules_publishes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rpz.zone");
        assert!(read(&path).is_none());
        let mut history = History::new(zone(3), HistoryLimits::default());
        history.advance(&zone(4), Timestamp(1000)).unwrap();
        assert_eq!(write_file(&path, history.current()).unwrap().records, 6);
        assert_eq!(files(directory.path()), ["rpz.zone"]);

        let mut again = History::new(read(&path).unwrap(), HistoryLimits::default());
        assert_eq!(again.current().soa(), history.current().soa());
        assert!(again.advance(&zone(4), Timestamp(2000)).is_none());
        let delta = again.advance(&zone(5), Timestamp(500)).unwrap();
        assert_eq!((delta.from(), delta.to()), (Serial(1000), Serial(1001)));
    }

    #[test]
    fn a_write_that_fails_leaves_the_old_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rpz.zone");
        write_file(&path, &zone(3)).unwrap();
        let failed = replace(&path, |out| {
            out.write_all(b"half a zone")?;
            out.flush()?;
            Err::<(), _>(io::ErrorKind::StorageFull.into())
        });
        assert_eq!(failed.unwrap_err().kind(), io::ErrorKind::StorageFull);
        assert_eq!(files(directory.path()), ["rpz.zone"]);
        assert!(read(&path).unwrap().same_rules(&zone(3)));

        fs::create_dir(directory.path().join(".rpz.zone.new")).unwrap();
        let finding = write_file(&path, &zone(4)).unwrap_err().diagnostic();
        assert!(finding.message.starts_with("cannot write "), "{finding}");
        assert!(read(&path).unwrap().same_rules(&zone(3)));
    }

    #[test]
    fn what_a_crash_left_beside_the_file_does_no_harm() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rpz.zone");
        fs::write(directory.path().join(".rpz.zone.new"), "half a zone").unwrap();
        assert!(read(&path).is_none());
        write_file(&path, &zone(3)).unwrap();
        assert!(read(&path).unwrap().same_rules(&zone(3)));
        assert_eq!(files(directory.path()), ["rpz.zone"]);
    }

    #[test]
    fn a_file_that_is_no_zone_is_an_error_and_not_a_fresh_start() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rpz.zone");
        fs::write(&path, "a CNAME .\n").unwrap();
        let error = read_file(&path, &name("rpz.test"), 7, &Limits::default()).unwrap_err();
        let finding = error.diagnostic();
        assert!(finding.message.contains("rpz.zone: the zone has no SOA"), "{finding}");
        assert!(finding.hint.unwrap().starts_with("line 1 was left out: no TTL"));
        let error = read_file(directory.path(), &name("rpz.test"), 7, &Limits::default());
        assert!(error.is_err());
    }
}

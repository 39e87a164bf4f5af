//! The state directory: whose it is, and the small things in it.
//!
//! ```text
//! STATE/lock        held while a daemon runs
//! STATE/seed        16 hexadecimal digits, drawn once: keys hash tables and jitter
//! STATE/archive/    last good claims ([`crate::archive`])
//! STATE/zones/      compiled zones of the last generation ([`crate::archive::generation`])
//! STATE/pdns.sqlite     what was resolved ([`super::observer`])
//! STATE/ledger.sqlite   records ([`super::records`])
//! STATE/transferred/  zones of other publishers ([`crate::secondary::store`])
//! STATE/prediction*.json  the model of names, and how it was trained ([`super::training`])
//! STATE/model.*     the model of scores, where reviewed changes were applied ([`super::learning`])
//! STATE/networks/   ranks of networks ([`super::neighbourhood`])
//! STATE/rpz/        exported zones, where the configuration names no other place
//! STATE/spool/      downloads under way
//! ```

use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::diagnostic::Diagnostic;
use crate::disk;

/// A state directory that is ours until this value is dropped.
#[derive(Debug)]
pub struct State {
    directory: PathBuf,
    /// Keys hash tables and jitter; drawn at the first start of an installation.
    pub seed: u64,
    _lock: Option<File>,
}

impl State {
    /// Takes the directory, making it where it is not there.
    pub fn take(directory: &Path) -> Result<Self, Diagnostic> {
        let failed = |at: &Path, error: &io::Error| {
            Diagnostic::error(format!("{}: {error}", at.display()))
                .hint("the state directory must be writable; `state` in the configuration names it")
        };
        let parts = ["zones", "transferred", "spool"].map(|part| directory.join(part));
        for part in std::iter::once(directory.to_owned()).chain(parts) {
            fs::create_dir_all(&part).map_err(|error| failed(&part, &error))?;
            disk::sweep(&part).map_err(|error| failed(&part, &error))?;
        }
        let path = directory.join("lock");
        let lock = File::create(&path).map_err(|error| failed(&path, &error))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let message = format!("{} is in use by another daemon", directory.display());
                return Err(Diagnostic::error(message)
                    .hint("stop it first, or give this one a state directory of its own"));
            }
            Err(TryLockError::Error(error)) => return Err(failed(&path, &error)),
        }
        clear_spool(directory).map_err(|error| failed(&directory.join("spool"), &error))?;
        let path = directory.join("seed");
        let seed = match read_seed(&path).map_err(|error| failed(&path, &error))? {
            Some(seed) => seed,
            None => draw_seed(&path).map_err(|error| failed(&path, &error))?,
        };
        Ok(Self { directory: directory.to_owned(), seed, _lock: Some(lock) })
    }

    /// Looks at the directory of a daemon that is down, or of one that runs, without taking it.
    /// None where there is nothing to look at.
    pub fn look(directory: &Path) -> io::Result<Option<Self>> {
        let seed = read_seed(&directory.join("seed"))?;
        Ok(seed.map(|seed| Self { directory: directory.to_owned(), seed, _lock: None }))
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }
}

/// Downloads that a stopped run left are of no use to anybody.
fn clear_spool(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory.join("spool"))? {
        fs::remove_file(entry?.path())?;
    }
    Ok(())
}

fn read_seed(path: &Path) -> io::Result<Option<u64>> {
    let Some(text) = disk::read_small(path, 64)? else { return Ok(None) };
    let text = String::from_utf8_lossy(&text);
    let seed = u64::from_str_radix(text.trim(), 16);
    seed.map(Some).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a seed"))
}

fn draw_seed(path: &Path) -> io::Result<u64> {
    let seed: u64 = rand::random();
    disk::replace(path, |out| writeln!(out, "{seed:016x}"))?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_belongs_to_one_daemon_and_keeps_its_seed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        assert!(State::look(&path).unwrap().is_none());
        let first = State::take(&path).unwrap();
        let error = State::take(&path).unwrap_err();
        assert!(error.to_string().contains("in use by another daemon"), "{error}");
        let seed = first.seed;
        drop(first);
        assert_eq!(State::take(&path).unwrap().seed, seed);
        assert_eq!(State::look(&path).unwrap().unwrap().seed, seed);
    }

    #[test]
    fn a_seed_that_cannot_be_read_is_said() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("seed"), "xyz").unwrap();
        let error = State::take(directory.path()).unwrap_err();
        assert!(error.to_string().contains("seed: not a seed"), "{error}");
    }
}

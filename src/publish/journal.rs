//! Published versions on disk, so that secondaries get changes over a restart.
//!
//! ```text
//! STATE/journal/NAME.zone      the zone as a whole, at one of the versions ([`crate::zone::octets`])
//! STATE/journal/NAME.journal   magic "skjrnl01", then the versions, oldest first:
//!                              length u32 · checksum u64 (XXH3) · entry
//! STATE/journal/NAME.rollback  the version whose content stays, while there is one (JSON)
//! ```
//!
//! An entry is the length of its version as u32, the version in JSON, and but for the first the
//! length of what goes as u32, what goes and what comes, each a zone in octets. Entries are appended and
//! made durable one by one; what a stop in the middle of one leaves is dropped when it is read. A
//! journal that has grown beyond its bounds is written anew with what is still kept.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64;

use super::edition::{Edition, Version};
use crate::disk;
use crate::model::NameRef;
use crate::zone::octets::OctetsError;
use crate::zone::{Delta, DeltaError, History, HistoryLimits, Serial, Zone};

const MAGIC: &[u8; 8] = b"skjrnl01";
/// Length and checksum of an entry.
const ENTRY_HEAD_OCTETS: usize = 12;
/// A journal is written anew once it has grown to so many times what is kept.
const GROWTH: usize = 3;
/// The most that a journal has, beyond which it is none of ours: far above every bound on what is
/// kept.
const JOURNAL_OCTETS_MAX: u64 = 4 << 30;
/// A note has some dozen octets.
const NOTE_OCTETS_MAX: u64 = 4096;

/// Why a journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk said no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The zone that changes are made to is not what this program writes.
    #[error("{path}: {error}")]
    Zone {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: OctetsError,
    },
    /// The changes do not fit the zone.
    #[error("{path}: {error}")]
    Changes {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: DeltaError,
    },
    /// There is no version that the zone of the journal is at.
    #[error("{0}: no version of the journal has this zone")]
    Apart(PathBuf),
}

/// What was read back.
#[derive(Debug, Default)]
pub struct Kept {
    /// The last version with the way to it, where all of it is sound.
    pub edition: Option<Edition>,
    /// The last serial that is known, even where nothing else is.
    pub serial: Option<Serial>,
    /// The version whose content stays.
    pub rolled_back_to: Option<Serial>,
    /// Octets at the end of the journal that were dropped, since a stop left an entry unfinished.
    pub torn_octets: usize,
}

/// The journal of one zone.
#[derive(Debug)]
pub struct Journal {
    directory: PathBuf,
    name: String,
    /// Whether the file holds everything up to the last version.
    whole: bool,
    octets: usize,
    entries: usize,
}

impl Journal {
    /// The journal of a zone in a state directory; nothing is read.
    pub fn of(state: &Path, zone: NameRef<'_>) -> Self {
        let directory = state.join("journal");
        Self { directory, name: file_name(zone), whole: false, octets: 0, entries: 0 }
    }

    fn path(&self, ending: &str) -> PathBuf {
        self.directory.join(format!("{}.{ending}", self.name))
    }

    fn io_error(&self, ending: &str) -> impl FnOnce(io::Error) -> JournalError {
        let path = self.path(ending);
        |error| JournalError::Io { path, error }
    }

    /// Reads back what is kept, and makes an end at what is not whole. Nothing of a journal that
    /// cannot be used is removed; the next version replaces it.
    pub fn open(&mut self, limits: HistoryLimits, hash_seed: u64) -> (Kept, Option<JournalError>) {
        let mut kept = Kept::default();
        let result = self.read(limits, hash_seed, &mut kept);
        (kept, result.err())
    }

    fn read(
        &mut self,
        limits: HistoryLimits,
        hash_seed: u64,
        kept: &mut Kept,
    ) -> Result<(), JournalError> {
        fs::create_dir_all(&self.directory).map_err(self.io_error("journal"))?;
        let note = disk::read_small(&self.path("rollback"), NOTE_OCTETS_MAX);
        kept.rolled_back_to = note
            .map_err(self.io_error("rollback"))?
            .and_then(|note| serde_json::from_slice(&note).ok());
        let Some(octets) = self.read_octets().map_err(self.io_error("journal"))? else {
            return Ok(());
        };
        let total = octets.len();
        let entries = entries(octets);
        kept.torn_octets = total - entries.octets;
        kept.serial = entries.versions.back().map(|version| version.serial);
        if entries.versions.is_empty() {
            return Ok(());
        }
        if kept.torn_octets > 0 {
            self.cut(entries.octets as u64).map_err(self.io_error("journal"))?;
        }
        let zone = self.zone_of(&entries, hash_seed)?;
        let mut history = History::new(zone, limits);
        history.restore(entries.deltas);
        kept.edition = Some(Edition::with_versions(history, entries.versions));
        (self.whole, self.octets, self.entries) = (true, entries.octets, entries.count);
        Ok(())
    }

    fn read_octets(&self) -> io::Result<Option<Bytes>> {
        let file = match File::open(self.path("journal")) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        // Not mapped: the file is written in place.
        let mut octets = Vec::new();
        file.take(JOURNAL_OCTETS_MAX).read_to_end(&mut octets)?;
        Ok(Some(octets.into()))
    }

    fn cut(&self, octets: u64) -> io::Result<()> {
        let file = File::options().write(true).open(self.path("journal"))?;
        file.set_len(octets)?;
        file.sync_all()
    }

    /// The zone of the last version: the one that is kept as a whole, with the changes since.
    fn zone_of(&self, entries: &Entries, hash_seed: u64) -> Result<Zone, JournalError> {
        let path = self.path("zone");
        let octets = disk::map(&path).map_err(self.io_error("zone"))?;
        let octets = octets.ok_or_else(|| JournalError::Apart(path.clone()))?;
        let base = Zone::from_octets(octets)
            .map_err(|error| JournalError::Zone { path: path.clone(), error })?;
        let at = base.soa().serial;
        let changes = |error| JournalError::Changes { path: self.path("journal"), error };
        let mut since = entries.deltas.iter().skip_while(|delta| delta.from() != at).cloned();
        match since.next() {
            None if entries.versions.back().is_some_and(|last| last.serial == at) => Ok(base),
            None => Err(JournalError::Apart(path)),
            Some(first) => {
                let change = since.try_fold(first, |all, next| all.then(&next));
                change.and_then(|change| change.apply(&base, hash_seed)).map_err(changes)
            }
        }
    }

    /// Keeps the version that an edition adds to the one before. On an error the disk holds an
    /// earlier version, and the next attempt writes everything anew.
    pub fn store(&mut self, edition: &Edition) -> Result<(), JournalError> {
        let limits = edition.history().limits();
        let grown = self.octets > limits.octets_max.saturating_mul(GROWTH)
            || self.entries > limits.deltas_max.saturating_mul(GROWTH);
        let delta = edition.last_delta().filter(|_| self.whole && !grown);
        let stored = match delta {
            Some(delta) => self.append(edition.version(), delta).map_err(self.io_error("journal")),
            None => self.rewrite(edition),
        };
        self.whole = stored.is_ok();
        stored
    }

    fn append(&mut self, version: &Version, delta: &Delta) -> io::Result<()> {
        let entry = entry(version, Some(delta))?;
        let mut file = File::options().append(true).open(self.path("journal"))?;
        // What an attempt before left unfinished would hide what comes after it.
        file.set_len(self.octets as u64)?;
        file.write_all(&entry)?;
        file.sync_data()?;
        self.octets += entry.len();
        self.entries += 1;
        Ok(())
    }

    /// Writes the zone and all versions that are kept. The zone goes first: the journal that is
    /// there, if it is of use, leads to it.
    fn rewrite(&mut self, edition: &Edition) -> Result<(), JournalError> {
        fs::create_dir_all(&self.directory).map_err(self.io_error("journal"))?;
        disk::replace(&self.path("zone"), |out| edition.zone().write_octets(out))
            .map_err(self.io_error("zone"))?;
        let (mut octets, mut count) = (MAGIC.len(), 0);
        disk::replace(&self.path("journal"), |out| {
            out.write_all(MAGIC)?;
            let deltas = std::iter::once(None).chain(edition.history().deltas().map(Some));
            for (version, delta) in edition.versions().zip(deltas) {
                let entry = entry(version, delta)?;
                out.write_all(&entry)?;
                octets += entry.len();
                count += 1;
            }
            Ok(())
        })
        .map_err(self.io_error("journal"))?;
        (self.octets, self.entries) = (octets, count);
        Ok(())
    }

    /// Notes which version's content stays, or that none does any more.
    pub fn note_rollback(&self, to: Option<Serial>) -> Result<(), JournalError> {
        let path = self.path("rollback");
        let noted = match to {
            Some(serial) => fs::create_dir_all(&self.directory).and_then(|()| {
                disk::replace(&path, |out| Ok(serde_json::to_writer(out, &serial)?))
            }),
            None => match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            },
        };
        noted.map_err(|error| JournalError::Io { path, error })
    }
}

/// Names of zones are host names; what else there may be is not for a file's name.
fn file_name(zone: NameRef<'_>) -> String {
    let text = zone.to_string();
    let sound = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text.chars().all(sound) && !text.starts_with('.') && text.len() < 200 {
        true => text,
        false => format!("zone-{:016x}", xxh3_64(zone.key())),
    }
}

fn entry(version: &Version, delta: Option<&Delta>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let version = serde_json::to_vec(version)?;
    content.extend((version.len() as u32).to_le_bytes());
    content.extend(version);
    if let Some(delta) = delta {
        let mut removed = Vec::new();
        delta.removed().write_octets(&mut removed)?;
        content.extend(length(&removed)?.to_le_bytes());
        content.extend(removed);
        delta.added().write_octets(&mut content)?;
    }
    let mut entry = Vec::with_capacity(ENTRY_HEAD_OCTETS + content.len());
    entry.extend(length(&content)?.to_le_bytes());
    entry.extend(xxh3_64(&content).to_le_bytes());
    entry.extend(content);
    Ok(entry)
}

fn length(octets: &[u8]) -> io::Result<u32> {
    u32::try_from(octets.len()).map_err(|_| io::ErrorKind::FileTooLarge.into())
}

/// What a journal holds as far as it is sound.
#[derive(Default)]
struct Entries {
    versions: VecDeque<Version>,
    deltas: Vec<Delta>,
    /// How far it is sound.
    octets: usize,
    count: usize,
}

fn entries(octets: Bytes) -> Entries {
    let mut found = Entries::default();
    let mut rest = octets;
    if rest.len() < MAGIC.len() || &rest.split_to(MAGIC.len())[..] != MAGIC {
        return found;
    }
    found.octets = MAGIC.len();
    while let Some(content) = take_entry(&mut rest) {
        let Some((version, delta)) = read_entry(content.clone()) else { break };
        let last = found.versions.back().map(|version: &Version| version.serial);
        match (delta, last) {
            (None, None) => {}
            (Some(delta), Some(last)) if delta.from() == last && delta.to() == version.serial => {
                found.deltas.push(delta);
            }
            _ => break,
        }
        found.versions.push_back(version);
        found.count += 1;
        found.octets += ENTRY_HEAD_OCTETS + content.len();
    }
    found
}

fn take_entry(rest: &mut Bytes) -> Option<Bytes> {
    let head = rest.get(..ENTRY_HEAD_OCTETS)?;
    let length = u32::from_le_bytes(head[..4].try_into().expect("four octets")) as usize;
    let checksum = u64::from_le_bytes(head[4..].try_into().expect("eight octets"));
    let content = rest.get(ENTRY_HEAD_OCTETS..)?.get(..length)?;
    if xxh3_64(content) != checksum {
        return None;
    }
    let _ = rest.split_to(ENTRY_HEAD_OCTETS);
    Some(rest.split_to(length))
}

fn take(rest: &mut Bytes) -> Option<Bytes> {
    let length = u32::from_le_bytes(*rest.first_chunk()?) as usize;
    let end = 4usize.checked_add(length).filter(|end| *end <= rest.len())?;
    let _ = rest.split_to(4);
    Some(rest.split_to(end - 4))
}

fn read_entry(mut content: Bytes) -> Option<(Version, Option<Delta>)> {
    let version: Version = serde_json::from_slice(&take(&mut content)?).ok()?;
    if content.is_empty() {
        return Some((version, None));
    }
    let removed = Zone::from_octets(take(&mut content)?).ok()?;
    let added = Zone::from_octets(content).ok()?;
    Some((version, Some(Delta::of(removed, added)?)))
}

#[cfg(test)]
mod tests {
    use super::super::edition::tests::{edition, version, zone};
    use super::*;
    use crate::model::Name;
    use crate::zone::Changes;

    fn limits(deltas_max: usize) -> HistoryLimits {
        HistoryLimits { deltas_max, octets_max: 1 << 20 }
    }

    fn journal(folder: &tempfile::TempDir) -> Journal {
        Journal::of(folder.path(), Name::from_presentation("threat.rpz").unwrap().as_ref())
    }

    fn reopen(folder: &tempfile::TempDir) -> (Journal, Kept) {
        let mut journal = journal(folder);
        let (kept, error) = journal.open(limits(20), 7);
        assert!(error.is_none(), "{error:?}");
        (journal, kept)
    }

    /// Versions 1 to `last`, each with one name more, kept one by one.
    fn kept(folder: &tempfile::TempDir, last: u32) -> Edition {
        let mut journal = journal(folder);
        journal.open(limits(20), 7);
        let mut edition = edition(1, 0..9);
        journal.store(&edition).unwrap();
        for serial in 2..=last {
            edition = edition.next(&zone(serial, 0..8 + serial), version(serial)).unwrap();
            journal.store(&edition).unwrap();
        }
        edition
    }

    #[test]
    fn changes_are_there_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let before = kept(&folder, 5);
        let (mut journal, kept) = reopen(&folder);
        let after = kept.edition.unwrap();
        assert!(after.zone().same_rules(before.zone()));
        assert_eq!(after.zone().soa(), before.zone().soa());
        let versions = |edition: &Edition| edition.versions().cloned().collect::<Vec<_>>();
        assert_eq!(versions(&after), versions(&before));
        let slot = after.since(Serial(2));
        let Some(Changes::Delta(delta)) = slot.get() else { panic!("no change") };
        assert_eq!((delta.from(), delta.to(), delta.len()), (Serial(2), Serial(5), 3));
        // And it goes on from there.
        let next = after.next(&zone(6, 0..20), version(6)).unwrap();
        journal.store(&next).unwrap();
        assert_eq!(reopen(&folder).1.serial, Some(Serial(6)));
    }

    #[test]
    fn a_stop_in_the_middle_of_an_entry_costs_that_entry_alone() {
        let folder = tempfile::tempdir().unwrap();
        kept(&folder, 4);
        let path = journal(&folder).path("journal");
        let whole = fs::read(&path).unwrap();
        let fourth = {
            let entries = entries(whole.clone().into());
            whole.len() - entry(&entries.versions[3], Some(&entries.deltas[2])).unwrap().len()
        };
        for end in [fourth + 1, fourth + ENTRY_HEAD_OCTETS, whole.len() - 1] {
            fs::write(&path, &whole[..end]).unwrap();
            let (mut journal, kept) = reopen(&folder);
            assert_eq!((kept.serial, kept.torn_octets), (Some(Serial(3)), end - fourth));
            let edition = kept.edition.unwrap();
            assert!(edition.zone().same_rules(&zone(3, 0..11)));
            // What comes next stands where the unfinished entry stood.
            let next = edition.next(&zone(9, 0..30), version(9)).unwrap();
            journal.store(&next).unwrap();
            assert_eq!(reopen(&folder).1.edition.unwrap().versions().len(), 4);
        }
        // An octet that changed on the disk is no entry either.
        let mut spoilt = whole.clone();
        spoilt[fourth + 40] ^= 1;
        fs::write(&path, spoilt).unwrap();
        assert_eq!(reopen(&folder).1.serial, Some(Serial(3)));
    }

    #[test]
    fn a_journal_without_its_zone_still_knows_the_serial() {
        let folder = tempfile::tempdir().unwrap();
        let edition = kept(&folder, 3);
        let mut journal = journal(&folder);
        fs::write(journal.path("zone"), b"skzone01 and then nothing of use").unwrap();
        let (kept, error) = journal.open(limits(20), 7);
        assert!(matches!(error, Some(JournalError::Zone { .. })), "{error:?}");
        assert!(kept.edition.is_none());
        assert_eq!(kept.serial, Some(Serial(3)));
        // The next version is written as a whole.
        journal.store(&edition.next(&zone(7, 0..3), version(7)).unwrap()).unwrap();
        assert_eq!(reopen(&folder).1.serial, Some(Serial(7)));
    }

    #[test]
    fn a_disk_that_says_no_costs_changes_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let third = kept(&folder, 3);
        let (mut journal, _) = reopen(&folder);
        let path = journal.path("journal");
        let away = folder.path().join("away");
        fs::rename(&path, &away).unwrap();
        fs::create_dir(&path).unwrap();
        let fourth = third.next(&zone(4, 0..30), version(4)).unwrap();
        assert!(journal.store(&fourth).is_err());
        fs::remove_dir(&path).unwrap();
        // Everything that is kept in memory is on disk again with the next version.
        let fifth = fourth.next(&zone(5, 0..31), version(5)).unwrap();
        journal.store(&fifth).unwrap();
        let versions = reopen(&folder).1.edition.unwrap();
        let serials: Vec<u32> = versions.versions().map(|v| v.serial.0).collect();
        assert_eq!(serials, [1, 2, 3, 4, 5]);
    }

    #[test]
    fn a_journal_does_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = journal(&folder);
        journal.open(limits(2), 7);
        let mut edition = Edition::new(History::new(zone(1, 0..9), limits(2)), version(1));
        journal.store(&edition).unwrap();
        let mut most = 0;
        for serial in 2..60 {
            edition = edition.next(&zone(serial, 0..8 + serial), version(serial)).unwrap();
            journal.store(&edition).unwrap();
            most = most.max(journal.entries);
        }
        assert_eq!(most, 2 * GROWTH + 1);
        let kept = reopen(&folder).1.edition.unwrap();
        assert!(kept.zone().same_rules(edition.zone()));
    }

    #[test]
    fn a_rollback_is_noted_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let journal = journal(&folder);
        journal.note_rollback(Some(Serial(7))).unwrap();
        assert_eq!(reopen(&folder).1.rolled_back_to, Some(Serial(7)));
        journal.note_rollback(None).unwrap();
        journal.note_rollback(None).unwrap();
        assert_eq!(reopen(&folder).1.rolled_back_to, None);
        assert_eq!(file_name(Name::root().as_ref()), format!("zone-{:016x}", xxh3_64(b"")));
    }
}

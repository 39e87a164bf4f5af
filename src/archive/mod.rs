//! Last good claims of every source, on disk.
//!
//! ```text
//! STATE/archive/SOURCE.claims     claims ([`crate::evidence::claims`] says how they lie)
//! STATE/archive/SOURCE.held       claims that its contract puts aside for now
//! STATE/archive/SOURCE.receipt    where they came from and when (JSON)
//! STATE/archive/SOURCE.DAY.ranks  a popularity list of one day since 1970, thirty at most
//! STATE/archive/SOURCE.routes     announced prefixes with their AS ([`crate::bgp`])
//! STATE/archive/SOURCE.asnames    names of AS
//! STATE/archive/SOURCE.text       a list that is kept as it is, such as public suffixes
//! ```
//!
//! Each file is replaced as a whole. Claims are written before their receipt, so that a stop in
//! between costs one more download and nothing else.

pub mod generation;
pub mod receipt;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;

pub use generation::{Generation, GenerationError, Generations};
pub use receipt::{Attempt, Receipt, Reject};

use crate::bgp::{AsNames, RouteTable};
use crate::disk;
use crate::evidence::popularity::DAYS;
use crate::evidence::{Claims, ClaimsError, RankList};
use crate::model::SourceId;
use crate::names::{LayoutError, NameTable};

/// A receipt holds some counts, tags and samples.
const RECEIPT_OCTETS_MAX: u64 = 1 << 20;

/// Why something could not be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The disk said no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The file is not what this program writes.
    #[error("{path}: {error}")]
    Claims {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: ClaimsError,
    },
    /// The file of ranks is not what this program writes.
    #[error("{path}: {error}")]
    Ranks {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: LayoutError,
    },
    /// The file of routes or names of AS is not what this program writes.
    #[error("{path}: {error}")]
    Routes {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: crate::bgp::OctetsError,
    },
    /// The receipt is not what this program writes.
    #[error("{path}: {error}")]
    Receipt {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
}

/// The directory of last good claims.
#[derive(Debug, Clone)]
pub struct Archive {
    directory: PathBuf,
}

impl Archive {
    /// Opens the directory, making it where it is not there, and clears away what a stopped run
    /// left unfinished.
    pub fn open(state: &Path) -> Result<Self, ArchiveError> {
        let directory = state.join("archive");
        let made = std::fs::create_dir_all(&directory).and_then(|()| disk::sweep(&directory));
        made.map_err(|error| ArchiveError::Io { path: directory.clone(), error })?;
        Ok(Self { directory })
    }

    fn path(&self, source: &SourceId, ending: &str) -> PathBuf {
        self.directory.join(format!("{source}.{ending}"))
    }

    /// Keeps a source's claims.
    pub fn store_claims(&self, source: &SourceId, claims: &Claims) -> Result<(), ArchiveError> {
        let path = self.path(source, "claims");
        disk::replace(&path, |out| claims.write_octets(out))
            .map_err(|error| ArchiveError::Io { path, error })
    }

    /// Keeps what is put aside of a source.
    pub fn store_held(&self, source: &SourceId, claims: &Claims) -> Result<(), ArchiveError> {
        let path = self.path(source, "held");
        disk::replace(&path, |out| claims.write_octets(out))
            .map_err(|error| ArchiveError::Io { path, error })
    }

    /// What is put aside of a source, mapped; none where nothing ever was.
    pub fn held(&self, source: &SourceId) -> Result<Option<Claims>, ArchiveError> {
        self.read_claims(self.path(source, "held"))
    }

    /// A source's claims, mapped; none where there are none yet.
    pub fn claims(&self, source: &SourceId) -> Result<Option<Claims>, ArchiveError> {
        self.read_claims(self.path(source, "claims"))
    }

    fn read_claims(&self, path: PathBuf) -> Result<Option<Claims>, ArchiveError> {
        match self.map(&path)? {
            None => Ok(None),
            Some(octets) => match Claims::from_octets(octets) {
                Ok(claims) => Ok(Some(claims)),
                Err(error) => Err(ArchiveError::Claims { path, error }),
            },
        }
    }

    /// Keeps a source's receipt.
    pub fn store_receipt(&self, source: &SourceId, receipt: &Receipt) -> Result<(), ArchiveError> {
        let path = self.path(source, "receipt");
        disk::replace(&path, |out| {
            serde_json::to_writer_pretty(&mut *out, receipt)?;
            out.write_all(b"\n")
        })
        .map_err(|error| ArchiveError::Io { path, error })
    }

    /// A source's receipt; none where there is none yet.
    pub fn receipt(&self, source: &SourceId) -> Result<Option<Receipt>, ArchiveError> {
        let path = self.path(source, "receipt");
        match disk::read_small(&path, RECEIPT_OCTETS_MAX) {
            Err(error) => Err(ArchiveError::Io { path, error }),
            Ok(None) => Ok(None),
            Ok(Some(text)) => match serde_json::from_slice(&text) {
                Ok(receipt) => Ok(Some(receipt)),
                Err(error) => Err(ArchiveError::Receipt { path, error }),
            },
        }
    }

    /// Keeps a popularity list and lets go of those that are thirty days older.
    pub fn store_ranks(&self, list: &RankList) -> Result<(), ArchiveError> {
        let path = self.path(&list.source, &format!("{}.ranks", list.day));
        disk::replace(&path, |out| out.write_all(list.ranks.octets()))
            .map_err(|error| ArchiveError::Io { path, error })?;
        for (day, path) in self.rank_files(&list.source)? {
            if day + DAYS <= list.day {
                std::fs::remove_file(&path).map_err(|error| ArchiveError::Io { path, error })?;
            }
        }
        Ok(())
    }

    /// The popularity lists of a source, one for each day that was kept.
    pub fn ranks(&self, source: &SourceId) -> Result<Vec<RankList>, ArchiveError> {
        let mut lists = Vec::new();
        for (day, path) in self.rank_files(source)? {
            if let Some(octets) = self.map(&path)? {
                let ranks = NameTable::from_octets(octets)
                    .map_err(|error| ArchiveError::Ranks { path, error })?;
                lists.push(RankList { source: source.clone(), day, ranks });
            }
        }
        Ok(lists)
    }

    fn rank_files(&self, source: &SourceId) -> Result<Vec<(u32, PathBuf)>, ArchiveError> {
        let io_error = |error| ArchiveError::Io { path: self.directory.clone(), error };
        let mut files = Vec::new();
        for entry in std::fs::read_dir(&self.directory).map_err(io_error)? {
            let path = entry.map_err(io_error)?.path();
            let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
            let day = name
                .strip_prefix(source.as_str())
                .and_then(|rest| rest.strip_prefix('.')?.strip_suffix(".ranks")?.parse().ok());
            if let Some(day) = day {
                files.push((day, path));
            }
        }
        files.sort();
        Ok(files)
    }

    /// Keeps announced prefixes and names of AS.
    pub fn store_routes(
        &self,
        source: &SourceId,
        table: &RouteTable,
        names: &AsNames,
    ) -> Result<(), ArchiveError> {
        for (ending, octets) in [("routes", table.octets()), ("asnames", names.octets())] {
            let path = self.path(source, ending);
            disk::replace(&path, |out| out.write_all(octets))
                .map_err(|error| ArchiveError::Io { path, error })?;
        }
        Ok(())
    }

    /// Announced prefixes and names of AS, mapped; none where there are none yet.
    pub fn routes(&self, source: &SourceId) -> Result<Option<(RouteTable, AsNames)>, ArchiveError> {
        let paths = ["routes", "asnames"].map(|ending| self.path(source, ending));
        let [table, names] = [self.map(&paths[0])?, self.map(&paths[1])?];
        let (Some(table), Some(names)) = (table, names) else { return Ok(None) };
        let [path, names_path] = paths;
        let table =
            RouteTable::from_octets(table).map_err(|error| ArchiveError::Routes { path, error })?;
        let names = AsNames::from_octets(names)
            .map_err(|error| ArchiveError::Routes { path: names_path, error })?;
        Ok(Some((table, names)))
    }

    /// Keeps a list as it is.
    pub fn store_text(&self, source: &SourceId, text: &[u8]) -> Result<(), ArchiveError> {
        let path = self.path(source, "text");
        disk::replace(&path, |out| out.write_all(text))
            .map_err(|error| ArchiveError::Io { path, error })
    }

    /// A list that was kept as it is.
    pub fn text(&self, source: &SourceId) -> Result<Option<Bytes>, ArchiveError> {
        self.map(&self.path(source, "text"))
    }

    fn map(&self, path: &Path) -> Result<Option<Bytes>, ArchiveError> {
        disk::map(path).map_err(|error| ArchiveError::Io { path: path.to_owned(), error })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::ClaimsBuilder;
    use crate::model::{Category, Claim, Indicator, Name, Scope, Timestamp};
    use crate::names::NameTableBuilder;

    fn archive() -> (tempfile::TempDir, Archive) {
        let directory = tempfile::tempdir().unwrap();
        let archive = Archive::open(directory.path()).unwrap();
        (directory, archive)
    }

    fn claims() -> Claims {
        let mut builder = ClaimsBuilder::default();
        let at = Timestamp(7);
        let claim =
            Claim { first_seen: at, last_seen: at, scope: Scope::Name, category: Category::C2 };
        builder.push(&Indicator::parse("bad.example").unwrap(), claim, false);
        builder.finish(None)
    }

    #[test]
    fn claims_and_receipts_come_back() {
        let (_directory, archive) = archive();
        let source = SourceId::new("urlhaus");
        assert!(archive.claims(&source).unwrap().is_none());
        assert_eq!(archive.receipt(&source).unwrap(), None);
        archive.store_claims(&source, &claims()).unwrap();
        let receipt = Receipt { entries: 1, ..Receipt::default() };
        archive.store_receipt(&source, &receipt).unwrap();
        assert_eq!(archive.claims(&source).unwrap().unwrap().len(), 1);
        assert_eq!(archive.receipt(&source).unwrap(), Some(receipt));
    }

    #[test]
    fn a_damaged_file_is_named_and_never_taken_for_claims() {
        let (directory, archive) = archive();
        let source = SourceId::new("urlhaus");
        archive.store_claims(&source, &claims()).unwrap();
        let path = directory.path().join("archive/urlhaus.claims");
        let mut octets = std::fs::read(&path).unwrap();
        *octets.last_mut().unwrap() ^= 1;
        std::fs::write(&path, octets).unwrap();
        let error = archive.claims(&source).unwrap_err().to_string();
        assert!(error.contains("urlhaus.claims") && error.contains("checksum"), "{error}");
    }

    #[test]
    fn thirty_days_of_ranks_are_kept() {
        let (_directory, archive) = archive();
        let source = SourceId::new("tranco");
        for day in 100..140 {
            let mut builder = NameTableBuilder::new(4, None);
            builder.push(Name::from_host("a.com").unwrap().as_ref(), &[1, 0, 0, 0]);
            let ranks = NameTable::built(builder);
            archive.store_ranks(&RankList { source: source.clone(), day, ranks }).unwrap();
        }
        let days: Vec<u32> = archive.ranks(&source).unwrap().iter().map(|l| l.day).collect();
        assert_eq!(days, (110..140).collect::<Vec<_>>());
        assert!(archive.ranks(&SourceId::new("tran")).unwrap().is_empty());
    }
}

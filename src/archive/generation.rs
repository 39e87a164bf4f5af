//! The zones of the last generation, compiled, so that a restart enforces at once.
//!
//! ```text
//! STATE/zones/NAME.zone      one compiled zone ([`crate::zone::octets`])
//! STATE/zones/verdicts       what was decided last ([`crate::names`])
//! STATE/zones/generation     which zones belong together (JSON), written last
//! ```

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use crate::disk;
use crate::names::{LayoutError, NameTable};
use crate::pipeline::{Origin, Tally, Verdicts};
use crate::zone::Zone;
use crate::zone::octets::OctetsError;

/// A list of zones has some kilobytes.
const LIST_OCTETS_MAX: u64 = 1 << 20;

/// Why a generation could not be kept or read back.
#[derive(Debug, thiserror::Error)]
pub enum GenerationError {
    /// The disk said no.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// The list of zones is not what this program writes.
    #[error("{path}: {error}")]
    List {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: serde_json::Error,
    },
    /// A zone is not what this program writes.
    #[error("{path}: {error}")]
    Zone {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: OctetsError,
    },
    /// The decisions are not what this program writes.
    #[error("{path}: {error}")]
    Verdicts {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: LayoutError,
    },
    /// A zone of the list is not there.
    #[error("{0}: no such file")]
    Missing(PathBuf),
}

/// What belongs together.
#[derive(Debug, Default, serde::Serialize, serde::Deserialize)]
struct List {
    zones: Vec<Origin>,
    /// Zones of the policy's own lists, by name.
    #[serde(default)]
    local: Vec<String>,
    #[serde(default)]
    tally: Tally,
}

/// Generated zones, the decisions behind them, and how they came about.
pub struct Generation {
    /// The generated zones.
    pub zones: Vec<(Origin, Zone)>,
    /// The zones of the policy's own lists.
    pub local: Vec<Zone>,
    /// The decisions.
    pub verdicts: Verdicts,
    /// What the rebuild counted.
    pub tally: Tally,
}

/// The directory of compiled zones.
#[derive(Debug, Clone)]
pub struct Generations {
    directory: PathBuf,
}

impl Generations {
    /// The directory in a state directory; it is there.
    pub fn of(state: &Path) -> Self {
        Self { directory: state.join("zones") }
    }

    fn zone_path(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{name}.zone"))
    }

    /// Keeps a zone and gives it back as it lies in the file.
    pub fn store_zone(&self, origin: &Origin, zone: &Zone) -> Result<Zone, GenerationError> {
        let name = origin.label().to_string();
        self.write_zone(&name, zone)?;
        self.load_zone(&name)
    }

    /// Keeps a zone of the policy's own lists.
    pub fn store_local(&self, zone: &Zone) -> Result<(), GenerationError> {
        self.write_zone(&zone.origin().to_string(), zone)
    }

    fn write_zone(&self, name: &str, zone: &Zone) -> Result<(), GenerationError> {
        let path = self.zone_path(name);
        disk::replace(&path, |out| zone.write_octets(out)).map_err(io_error(&path))
    }

    /// Keeps the decisions and gives them back as they lie in the file.
    pub fn store_verdicts(&self, verdicts: &Verdicts) -> Result<Verdicts, GenerationError> {
        let path = self.directory.join("verdicts");
        let octets = verdicts.0.octets().clone();
        disk::replace(&path, |out| out.write_all(&octets)).map_err(io_error(&path))?;
        self.load_verdicts()
    }

    /// Notes which zones belong together, after all of them are kept.
    pub fn store_list(
        &self,
        zones: Vec<Origin>,
        local: &[Zone],
        tally: Tally,
    ) -> Result<(), GenerationError> {
        let path = self.directory.join("generation");
        let local = local.iter().map(|zone| zone.origin().to_string()).collect();
        disk::replace(&path, |out| {
            serde_json::to_writer_pretty(&mut *out, &List { zones, local, tally })?;
            out.write_all(b"\n")
        })
        .map_err(io_error(&path))
    }

    /// The last generation; none where there is none yet.
    pub fn load(&self) -> Result<Option<Generation>, GenerationError> {
        let path = self.directory.join("generation");
        let text = disk::read_small(&path, LIST_OCTETS_MAX).map_err(io_error(&path))?;
        let Some(text) = text else { return Ok(None) };
        let list: List =
            serde_json::from_slice(&text).map_err(|error| GenerationError::List { path, error })?;
        let zones = list.zones.into_iter().map(|origin| {
            let zone = self.load_zone(&origin.label().to_string())?;
            Ok((origin, zone))
        });
        let zones = zones.collect::<Result<_, GenerationError>>()?;
        // A zone of the policy that is not there is made anew under a new serial.
        let local = list.local.iter().filter_map(|name| self.load_zone(name).ok()).collect();
        Ok(Some(Generation { zones, local, verdicts: self.load_verdicts()?, tally: list.tally }))
    }

    fn load_zone(&self, name: &str) -> Result<Zone, GenerationError> {
        let path = self.zone_path(name);
        let octets = disk::map(&path).map_err(io_error(&path))?;
        let octets = octets.ok_or_else(|| GenerationError::Missing(path.clone()))?;
        Zone::from_octets(octets).map_err(|error| GenerationError::Zone { path, error })
    }

    fn load_verdicts(&self) -> Result<Verdicts, GenerationError> {
        let path = self.directory.join("verdicts");
        match disk::map(&path).map_err(io_error(&path))? {
            None => Ok(Verdicts::default()),
            Some(octets) => match NameTable::from_octets(octets) {
                Ok(table) => Ok(Verdicts(table)),
                Err(error) => Err(GenerationError::Verdicts { path, error }),
            },
        }
    }
}

fn io_error(path: &Path) -> impl Fn(io::Error) -> GenerationError + '_ {
    |error| GenerationError::Io { path: path.to_owned(), error }
}

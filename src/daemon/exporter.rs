//! Writing zones out as files whenever what others get of them changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::Name;
use crate::model::time::Clock;
use crate::pipeline::Published;
use crate::policy::outward::Exceptions;
use crate::publish::file;
use crate::publish::leaving::{Leaving, leaving};
use crate::zone::{Serial, ZoneOptions};

/// What a file is made of. While it is the same there is nothing to write.
#[derive(Debug, PartialEq, Eq)]
struct Made {
    serial: Serial,
    options: ZoneOptions,
    exceptions: Exceptions,
}

/// Writes zones into a directory.
pub struct Exporter {
    directory: PathBuf,
    clock: Arc<dyn Clock>,
    made: BTreeMap<Name, Made>,
}

impl Exporter {
    /// An exporter into a directory, which is made where it is not there.
    pub fn open(directory: &Path, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        crate::disk::sweep(directory)?;
        Ok(Self { directory: directory.to_owned(), clock, made: BTreeMap::new() })
    }

    /// Writes what changed, now and whenever a state is published, until nothing more is.
    pub async fn run(mut self, mut published: watch::Receiver<Arc<Published>>) {
        loop {
            let state = published.borrow_and_update().clone();
            let done = tokio::task::spawn_blocking(move || {
                self.write_changed(&state);
                self
            });
            match done.await {
                Ok(exporter) => self = exporter,
                Err(error) => {
                    tracing::error!(%error, "zones are no longer exported");
                    return;
                }
            }
            if published.changed().await.is_err() {
                return;
            }
        }
    }

    fn write_changed(&mut self, state: &Published) {
        let leaving = leaving(&state.snapshot);
        for zone in &leaving {
            self.write_zone(zone);
        }
        self.remove_others(&leaving);
    }

    fn write_zone(&mut self, leaving: &Leaving<'_>) {
        let name = leaving.zone.name();
        let made = Made {
            serial: leaving.zone.zone.soa().serial,
            options: leaving.zone.options.clone(),
            exceptions: leaving.exceptions.clone(),
        };
        if self.made.get(&name) == Some(&made) {
            return;
        }
        let path = file::path(&self.directory, leaving.zone.zone.origin());
        let zone = leaving.made();
        match file::publish(&path, &zone, self.clock.now()) {
            Ok(file::Published { serial, written }) => {
                let (rules, serial) = (zone.len(), serial.0);
                match written {
                    Some(report) => {
                        let skipped = report.skipped;
                        tracing::info!(zone = %name, serial, rules, skipped, "exported");
                    }
                    None => tracing::info!(zone = %name, serial, rules, "exported before"),
                }
                self.made.insert(name, made);
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the old file stays");
            }
        }
    }

    /// A zone that is no longer in force must not be enforced by others for ever.
    fn remove_others(&mut self, leaving: &[Leaving<'_>]) {
        let is_there =
            |name: &Name| leaving.iter().any(|leaving| leaving.zone.zone.origin() == name.as_ref());
        let gone: Vec<Name> = self.made.keys().filter(|name| !is_there(name)).cloned().collect();
        for name in gone {
            let path = file::path(&self.directory, name.as_ref());
            match std::fs::remove_file(&path) {
                Ok(()) => tracing::info!(zone = %name, "no longer exported"),
                Err(error) => tracing::error!(path = %path.display(), %error, "not removed"),
            }
            self.made.remove(&name);
        }
    }
}

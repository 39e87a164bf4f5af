//! Writing zones out as files whenever their serial changed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::Name;
use crate::pipeline::Published;
use crate::publish::file;
use crate::zone::{PolicyZone, Serial};

/// What was written last, by zone.
#[derive(Debug, Default)]
pub struct Exporter {
    directory: PathBuf,
    written: BTreeMap<Name, Serial>,
}

impl Exporter {
    /// An exporter into a directory, which is made where it is not there. Files of an earlier run
    /// are written anew once, whatever they hold.
    pub fn open(directory: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(directory)?;
        crate::disk::sweep(directory)?;
        Ok(Self { directory: directory.to_owned(), written: BTreeMap::new() })
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
        let exported: Vec<&PolicyZone> =
            state.snapshot.zones().filter(|zone| file::is_exported(zone)).collect();
        for zone in &exported {
            self.write_zone(zone);
        }
        self.remove_others(&exported);
    }

    fn write_zone(&mut self, zone: &PolicyZone) {
        let (name, serial) = (zone.name(), zone.zone.soa().serial);
        if self.written.get(&name) == Some(&serial) {
            return;
        }
        let path = file::path(&self.directory, zone.zone.origin());
        match file::write(&path, &zone.zone) {
            Ok(report) => {
                let skipped = report.skipped;
                let (rules, serial_number) = (zone.zone.len(), serial.0);
                tracing::info!(zone = %name, serial = serial_number, rules, skipped, "exported");
                self.written.insert(name, serial);
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the old file stays");
            }
        }
    }

    /// A zone that is no longer in force must not be enforced by others for ever.
    fn remove_others(&mut self, exported: &[&PolicyZone]) {
        let gone: Vec<Name> = self
            .written
            .keys()
            .filter(|name| !exported.iter().any(|zone| zone.zone.origin() == name.as_ref()))
            .cloned()
            .collect();
        for name in gone {
            let path = file::path(&self.directory, name.as_ref());
            match std::fs::remove_file(&path) {
                Ok(()) => tracing::info!(zone = %name, "no longer exported"),
                Err(error) => tracing::error!(path = %path.display(), %error, "not removed"),
            }
            self.written.remove(&name);
        }
    }
}

//! Writing zones out as files whenever what others get of them changed.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::config::Folder;
use crate::model::time::Clock;
use crate::model::{Name, Timestamp};
use crate::pipeline::Published;
use crate::policy::outward::Exceptions;
use crate::publish::file;
use crate::publish::leaving::{Leaving, leaving, says_the_same};
use crate::zone::profile::fit::{FitOptions, Losses, fit};
use crate::zone::{Zone, ZoneOptions};

/// What a file is made of. While it is the same there is nothing to write.
struct Made {
    zone: Zone,
    options: ZoneOptions,
    exceptions: Exceptions,
}

impl Made {
    fn is_same(&self, other: &Made) -> bool {
        self.options == other.options
            && self.exceptions == other.exceptions
            && says_the_same(&self.zone, &other.zone)
    }
}

/// Writes zones into a directory, for a consumer if one is named.
pub struct Exporter {
    folder: Folder,
    clock: Arc<dyn Clock>,
    /// What each file is made of, and when it was written.
    made: BTreeMap<Name, (Made, Timestamp)>,
}

impl Exporter {
    /// An exporter into a directory, which is made where it is not there.
    pub fn open(folder: Folder, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        std::fs::create_dir_all(&folder.directory)?;
        crate::disk::sweep(&folder.directory)?;
        Ok(Self { folder, clock, made: BTreeMap::new() })
    }

    /// Writes what changed, now and whenever a state is published, until nothing more is. A
    /// consumer that wants time between two versions gets it.
    pub async fn run(mut self, mut published: watch::Receiver<Arc<Published>>) {
        loop {
            let state = published.borrow_and_update().clone();
            let done = tokio::task::spawn_blocking(move || {
                let wait = self.write_changed(&state);
                (self, wait)
            });
            let wait = match done.await {
                Ok((exporter, wait)) => {
                    self = exporter;
                    wait
                }
                Err(error) => {
                    tracing::error!(%error, "zones are no longer exported");
                    return;
                }
            };
            let due = async {
                match wait {
                    Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = published.changed() => if changed.is_err() { return },
                () = due => {}
            }
        }
    }

    /// Writes what is due; in how many seconds something else is.
    fn write_changed(&mut self, state: &Published) -> Option<u32> {
        let wanted = |leaving: &Leaving<'_>| {
            let name = leaving.zone.name();
            self.folder.zones.as_ref().is_none_or(|zones| zones.contains(&name))
        };
        let leaving: Vec<Leaving<'_>> =
            leaving(&state.snapshot).into_iter().filter(wanted).collect();
        let waits: Vec<u32> = leaving.iter().filter_map(|zone| self.write_zone(zone)).collect();
        self.remove_others(&leaving);
        waits.into_iter().min()
    }

    /// Writes a zone if it changed; in how many seconds it may be written, if it may not now.
    fn write_zone(&mut self, leaving: &Leaving<'_>) -> Option<u32> {
        let name = leaving.zone.name();
        let made = Made {
            zone: leaving.zone.zone.clone(),
            options: leaving.zone.options.clone(),
            exceptions: leaving.exceptions.clone(),
        };
        let now = self.clock.now();
        if let Some((held, at)) = self.made.get_mut(&name) {
            if held.is_same(&made) {
                // The same may lie elsewhere by now, and the old place is to be given up.
                *held = made;
                return None;
            }
            let interval = self.folder.profile.map_or(0, |profile| profile.interval_seconds);
            let early = interval.saturating_sub(at.age_seconds(now));
            if early > 0 {
                return Some(early);
            }
        }
        let path = file::path(&self.folder.directory, leaving.zone.zone.origin());
        let mut zone = leaving.made();
        let mut losses = Losses::new();
        if let Some(profile) = self.folder.profile {
            let options = FitOptions { root_rules: self.folder.root_rules };
            (zone, losses) = fit(&zone, profile, options);
        }
        match file::publish(&path, &zone, now) {
            Ok(file::Published { serial, written }) => {
                let (rules, serial) = (zone.len(), serial.0);
                let skipped = written.as_ref().map_or(0, |report| report.skipped)
                    + losses.values().sum::<usize>();
                match written {
                    Some(_) => tracing::info!(zone = %name, serial, rules, skipped, "exported"),
                    None => tracing::info!(zone = %name, serial, rules, "exported before"),
                }
                self.made.insert(name, (made, now));
            }
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "the old file stays");
            }
        }
        None
    }

    /// A zone that is no longer in force must not be enforced by others for ever.
    fn remove_others(&mut self, leaving: &[Leaving<'_>]) {
        let is_there =
            |name: &Name| leaving.iter().any(|leaving| leaving.zone.zone.origin() == name.as_ref());
        let gone: Vec<Name> = self.made.keys().filter(|name| !is_there(name)).cloned().collect();
        for name in gone {
            let path: PathBuf = file::path(&self.folder.directory, name.as_ref());
            match std::fs::remove_file(&path) {
                Ok(()) => tracing::info!(zone = %name, "no longer exported"),
                Err(error) => tracing::error!(path = %path.display(), %error, "not removed"),
            }
            self.made.remove(&name);
        }
    }
}

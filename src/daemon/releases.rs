//! Making versions for secondaries of what is in force: the one task that changes what is
//! published.
//!
//! A version is kept on disk before anybody gets it. Where the disk takes no more, secondaries still
//! get everything, and the log says what a restart would cost.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::config::Transfer;
use crate::diagnostic::Diagnostic;
use crate::model::time::Clock;
use crate::model::{Name, Timestamp};
use crate::pipeline::Published;
use crate::policy::Policy;
use crate::publish::catalog;
use crate::publish::edition::Edition;
use crate::publish::journal::Journal;
use crate::publish::leaving::{Maker, Outgoing};
use crate::publish::line::Line;
use crate::publish::primary::Primary;
use crate::publish::secondaries::Secondaries;
use crate::telemetry::Metrics;
use crate::zone::{Serial, Zone};

/// What somebody wants done with a zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Give everybody what canaries have.
    Promote,
    /// Publish the content of this version again.
    RollBack(Serial),
    /// Follow the policy zone again.
    Resume,
}

/// An order, and where to say how it went.
pub type Command = (Name, Order, oneshot::Sender<Result<String, Diagnostic>>);

/// Everything that making versions needs.
pub struct Releases {
    maker: Maker,
    lines: BTreeMap<Name, (Line, Journal)>,
    state: PathBuf,
    hash_seed: u64,
    settings: Transfer,
    secondaries: Arc<Secondaries>,
    primary: Arc<Primary>,
    clock: Arc<dyn Clock>,
    metrics: Arc<Metrics>,
    /// The policy that was in force last: another one is an administrator's doing.
    policy: Option<Arc<Policy>>,
    /// The catalog that was made last, with the zones that it lists.
    catalog: Option<(Vec<Name>, Zone)>,
}

impl Releases {
    /// Nothing is published yet.
    pub fn new(
        state: PathBuf,
        hash_seed: u64,
        settings: Transfer,
        secondaries: Arc<Secondaries>,
        primary: Arc<Primary>,
        clock: Arc<dyn Clock>,
        metrics: Arc<Metrics>,
    ) -> Self {
        Self {
            lines: BTreeMap::new(),
            maker: Maker::default(),
            state,
            hash_seed,
            settings,
            secondaries,
            primary,
            clock,
            metrics,
            policy: None,
            catalog: None,
        }
    }

    /// Publishes what changes, and does what it is told, until nothing changes any more.
    pub async fn run(
        mut self,
        mut published: watch::Receiver<Arc<Published>>,
        mut commands: mpsc::Receiver<Command>,
    ) {
        loop {
            let state = published.borrow_and_update().clone();
            let looked = tokio::task::spawn_blocking(move || {
                let next = self.look(&state);
                (self, next)
            });
            let next = match looked.await {
                Ok((releases, next)) => {
                    self = releases;
                    next
                }
                Err(error) => return tracing::error!(%error, "no new versions are published"),
            };
            let wait = async {
                match next {
                    Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds.into())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = published.changed() => if changed.is_err() { return },
                () = wait => {}
                Some((zone, order, told)) = commands.recv() => {
                    let obeyed = tokio::task::spawn_blocking(move || {
                        let outcome = self.obey(&zone, order);
                        (self, outcome)
                    });
                    match obeyed.await {
                        Ok((releases, outcome)) => {
                            self = releases;
                            // Whoever asked may have gone.
                            let _ = told.send(outcome);
                        }
                        Err(error) => return tracing::error!(%error, "no new versions are published"),
                    }
                }
            }
        }
    }

    /// Takes in what is in force and releases what is due. In how many seconds something is next.
    fn look(&mut self, state: &Published) -> Option<u32> {
        let now = self.clock.now();
        let edited = self.policy.replace(state.policy.clone());
        let edited = edited.is_some_and(|before| !Arc::ptr_eq(&before, &state.policy));
        let zones = self.maker.zones(&state.snapshot);
        let mut new = Vec::new();
        for zone in &zones {
            let for_everyone = zone.here.options.groups.is_empty();
            let first = self.take(&zone.made, state.snapshot.id(), for_everyone, edited, now);
            new.extend(first.map(|edition| (edition, false)));
        }
        // Zones that are no longer in force are not given to anybody either.
        self.lines.retain(|name, _| {
            let catalog = self.settings.catalog.as_ref();
            zones.iter().any(|zone| zone.made.origin() == name.as_ref()) || catalog == Some(name)
        });
        let first = self.take_catalog(&zones, state.snapshot.id(), now);
        new.extend(first.map(|edition| (edition, false)));
        let pace = self.settings.pace;
        for (name, (line, journal)) in &mut self.lines {
            let canaries = self.secondaries.has_canary(name.as_ref(), line.is_for_everyone());
            if let Some(edition) = line.advance(&pace, canaries, now) {
                keep(journal, &edition, &self.metrics);
                new.push((edition, canaries));
            }
        }
        self.offer();
        // What is said to be published can be had.
        new.iter().for_each(|(edition, canaries)| log(edition, *canaries));
        let due = self.lines.values().filter_map(|(line, _)| line.due(&pace, now)).min();
        due.map(|at| now.age_seconds(at).max(1))
    }

    /// Takes notice of a policy zone. The edition that it begins with, where that is new.
    fn take(
        &mut self,
        zone: &Zone,
        snapshot: u64,
        for_everyone: bool,
        edited: bool,
        now: Timestamp,
    ) -> Option<Arc<Edition>> {
        let name = zone.origin().to_owned();
        let mut first = None;
        let line = match self.lines.get_mut(&name) {
            Some((line, _)) => {
                if edited {
                    line.hurry(now);
                }
                line.want(zone, snapshot);
                line
            }
            None => {
                let (line, journal, edition) = self.begin(zone, snapshot, now);
                first = edition;
                &mut self.lines.entry(name).or_insert((line, journal)).0
            }
        };
        line.set_for_everyone(for_everyone);
        first
    }

    /// Makes the list of zones anew where there are others. Nobody waits for it.
    fn take_catalog(
        &mut self,
        zones: &[Outgoing],
        snapshot: u64,
        now: Timestamp,
    ) -> Option<Arc<Edition>> {
        let origin = self.settings.catalog.clone()?;
        let everyones = zones.iter().filter(|zone| zone.here.options.groups.is_empty());
        let mut members: Vec<Name> = everyones.map(|zone| zone.made.origin().to_owned()).collect();
        members.sort();
        if members.contains(&origin) {
            tracing::error!(zone = %origin, "no catalog: a policy zone has its name");
            return None;
        }
        let same = self.catalog.as_ref().filter(|(held, _)| *held == members);
        let zone = match same {
            Some((_, zone)) => zone.clone(),
            None => catalog::zone(origin, &members, self.hash_seed),
        };
        let changed = same.is_none();
        self.catalog = Some((members, zone.clone()));
        self.take(&zone, snapshot, true, changed, now)
    }

    /// A zone is published for the first time in this run.
    fn begin(
        &self,
        zone: &Zone,
        snapshot: u64,
        now: Timestamp,
    ) -> (Line, Journal, Option<Arc<Edition>>) {
        let mut journal = Journal::of(&self.state, zone.origin());
        let (kept, error) = journal.open(self.settings.journal, self.hash_seed);
        let zone_name = zone.origin();
        if let Some(error) = error {
            tracing::error!(zone = %zone_name, %error, "secondaries take this zone as a whole once");
        }
        if kept.torn_octets > 0 {
            let octets = kept.torn_octets;
            tracing::warn!(zone = %zone_name, octets, "an unfinished version was dropped");
        }
        let (line, is_new) = Line::begin(zone, snapshot, kept, self.settings.journal, now);
        let edition = is_new.then(|| line.offer().stable);
        if let Some(edition) = &edition {
            keep(&mut journal, edition, &self.metrics);
        }
        (line, journal, edition)
    }

    fn offer(&self) {
        let offers = self.lines.iter().map(|(name, (line, _))| (name.clone(), line.offer()));
        self.primary.offer(offers.collect());
    }

    fn obey(&mut self, zone: &Name, order: Order) -> Result<String, Diagnostic> {
        let now = self.clock.now();
        let known: Vec<String> = self.lines.keys().map(Name::to_string).collect();
        let Some((line, journal)) = self.lines.get_mut(zone) else {
            let finding = Diagnostic::error(format!("the zone `{zone}` is not published"));
            let near =
                crate::diagnostic::nearest(&zone.to_string(), known.iter().map(String::as_str));
            return Err(match near {
                Some(near) => finding.hint(format!("did you mean `{near}`?")),
                None => finding.hint("`sekisho zones` lists those that are"),
            });
        };
        let noted = |to: Option<Serial>| {
            journal.note_rollback(to).map_err(|error| {
                Diagnostic::error(error.to_string())
                    .hint("a restart would not know of it; make room on the disk first")
            })
        };
        let said = match order {
            Order::Promote => match line.promote() {
                true => format!("everybody gets {zone} {}", line.offer().stable.serial()),
                false => format!("everybody has been offered the newest version of {zone} already"),
            },
            Order::Resume => {
                noted(None)?;
                match line.resume(now) {
                    true => format!("{zone} follows what is in force again"),
                    false => format!("{zone} follows what is in force already"),
                }
            }
            Order::RollBack(to) => {
                let back = line.roll_back(to, self.hash_seed, now).map_err(|error| {
                    Diagnostic::error(error.to_string())
                        .hint(format!("`sekisho zones history {zone}` lists those that are"))
                })?;
                let noted = noted(Some(to));
                if let Some(edition) = back {
                    keep(journal, &edition, &self.metrics);
                }
                noted?;
                let serial = line.offer().stable.serial();
                format!(
                    "secondaries get the content of {zone} {to} as {serial}, until `sekisho zones \
                     resume {zone}`; this resolver goes by what is in force as before"
                )
            }
        };
        tracing::info!(%zone, ?order, "by command");
        self.offer();
        Ok(said)
    }
}

fn keep(journal: &mut Journal, edition: &Edition, metrics: &Metrics) {
    if let Err(error) = journal.store(edition) {
        metrics.transfers.journal_failed();
        let zone = edition.zone().origin();
        tracing::error!(%zone, %error, "after a restart secondaries would take this zone as a whole");
    }
}

fn log(edition: &Edition, canary: bool) {
    let version = edition.version();
    let (zone, serial, rules) = (edition.zone().origin(), version.serial.0, version.rules);
    let (removed, added) = (version.removed, version.added);
    tracing::info!(%zone, serial, rules, removed, added, canary, "published");
}

//! The ranks of networks, kept from day to day.
//!
//! ```text
//! STATE/networks/closed      standing after the last whole day ([`crate::bgp`] says how it lies)
//! STATE/networks/live        the same with today's counts so far
//! STATE/networks/NUMBER.day  what a day gave, by its number since 1970; 100 days at most
//! ```
//!
//! The writer counts again when lists of addresses or routes have changed, and when a day begins.
//! Each file is replaced as a whole; one that cannot be read is said and begins anew.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::bgp::{
    AddressList, AddressSet, Announced, AsNames, Census, DAYS_KEPT, Day, History, OctetsError,
    Reputation, RouteTable, Standing, UtcDay, circl,
};
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::model::{Network, SourceId, Timestamp, Trust};
use crate::pdns::View;
use crate::pipeline::{Hosting, Neighbourhood, Ranks, Source};
use crate::scoring::{Kind, Model};
use crate::zone::Mode;

/// Counting reads all lists and writes some ten megabytes: at most this often within a day.
const COUNT_SECONDS_MIN: u32 = 15 * 60;

/// The neighbourhood with what passive DNS knows of who lives where, if anybody watches.
pub fn joined(counting: &Counting, seen: &Arc<View>) -> Neighbourhood {
    let hosting = seen.since().map(|_| seen.clone() as Arc<dyn Hosting>);
    Neighbourhood { hosting, ..counting.neighbourhood() }
}

/// The counts of the day so far, and what came of the days before.
pub struct Counting {
    directory: PathBuf,
    neighbourhood: Neighbourhood,
    reputation: Reputation,
    /// What each source named today, gathered from fetch to fetch.
    today: BTreeMap<SourceId, Arc<AddressSet>>,
    day: UtcDay,
    counted_at: Option<Timestamp>,
    due: bool,
}

impl Counting {
    /// What a state directory holds, with routes and names as they are known now.
    pub fn open(state: &Path, table: RouteTable, names: AsNames) -> (Self, Vec<Diagnostic>) {
        let directory = state.join("networks");
        let mut findings = Vec::new();
        let closed = read(&directory.join("closed"), Standing::from_octets, &mut findings);
        let live = read(&directory.join("live"), Standing::from_octets, &mut findings);
        let reputation = match (closed, live) {
            (Some(closed), Some(live)) => Reputation::resume(closed, live),
            _ => Reputation::start(),
        };
        let mut history = History::default();
        let mut days = day_files(&directory).unwrap_or_default();
        days.sort();
        let surplus = days.len().saturating_sub(DAYS_KEPT as usize);
        for (_, path) in &days[surplus..] {
            let day = read(path, Day::from_octets, &mut findings);
            day.into_iter().for_each(|day| history.insert(day));
        }
        let neighbourhood = Neighbourhood {
            announced: Arc::new(Announced::of(&table)),
            table,
            names,
            standing: reputation.live().clone(),
            history: Arc::new(history),
            hosting: None,
        };
        let (today, day) = (BTreeMap::new(), UtcDay::default());
        let counting =
            Self { directory, neighbourhood, reputation, today, day, counted_at: None, due: true };
        (counting, findings)
    }

    /// How things stand.
    pub fn neighbourhood(&self) -> Neighbourhood {
        self.neighbourhood.clone()
    }

    /// Takes over routes and names as one.
    pub fn set_routes(&mut self, table: RouteTable, names: AsNames) {
        self.neighbourhood.announced = Arc::new(Announced::of(&table));
        (self.neighbourhood.table, self.neighbourhood.names) = (table, names);
        (self.due, self.counted_at) = (true, None);
    }

    /// Lists have changed.
    pub fn lists_changed(&mut self) {
        self.due = true;
    }

    /// Counts where that is due. True where the ranks are others now.
    pub fn count(&mut self, model: &Model, sources: &[Source], now: Timestamp) -> bool {
        let day = UtcDay::of(now);
        let recent = |at: Timestamp| at <= now && at.age_seconds(now) < COUNT_SECONDS_MIN;
        let same_day = day == self.day;
        if self.neighbourhood.table.is_empty()
            || same_day && (!self.due || self.counted_at.is_some_and(recent))
        {
            return false;
        }
        if !same_day {
            (self.day, self.today) = (day, BTreeMap::new());
        }
        let (lists, excluded) = self.lists(model, sources);
        let hood = &mut self.neighbourhood;
        let census = Census::take(day, &hood.table, &hood.announced, &lists, &excluded);
        self.reputation = self.reputation.counted(&census);
        hood.standing = self.reputation.live().clone();
        let mut history = History::clone(&hood.history);
        if hood.standing.day() == day {
            history.insert(Day::of(&hood.standing, &census));
        }
        hood.history = Arc::new(history);
        (self.due, self.counted_at) = (false, Some(now));
        if let Err(error) = self.keep() {
            tracing::error!(%error, "a restart would not know today's ranks of networks");
        }
        true
    }

    /// The lists that are counted with all they named today, and the addresses that are left out.
    fn lists(&mut self, model: &Model, sources: &[Source]) -> (Vec<AddressList>, AddressSet) {
        let mut lists = Vec::new();
        let mut excluded = AddressSet::default();
        for source in sources.iter().filter(|s| s.profile.mode != Mode::Off) {
            let profile = &source.profile;
            if profile.ranks == Ranks::Exclude {
                let theirs: AddressSet = source.claims.networks.iter().map(|(n, _)| *n).collect();
                excluded = excluded.union(&theirs);
            }
            let index = model.source_index(&profile.weighs_as);
            let precision = index.and_then(|index| model.source(index).precision_ppm(Kind::Ip));
            let counts = profile.ranks == Ranks::Count && profile.trust == Trust::Scored;
            let (true, Some(precision_ppm)) = (counts, precision) else { continue };
            let named: AddressSet =
                source.claims.networks.iter().map(|(n, _)| *n).filter(is_address).collect();
            let addresses = match self.today.get(&profile.id) {
                Some(before) => before.union(&named),
                None => named,
            };
            if addresses.is_empty() {
                continue;
            }
            let addresses = Arc::new(addresses);
            self.today.insert(profile.id.clone(), addresses.clone());
            lists.push(AddressList {
                source: profile.id.clone(),
                precision_ppm,
                impact_hundredths: circl::impact_hundredths(&profile.id),
                addresses,
            });
        }
        (lists, excluded)
    }

    fn keep(&self) -> io::Result<()> {
        std::fs::create_dir_all(&self.directory)?;
        let write = |name: &str, octets: &Bytes| {
            disk::replace(&self.directory.join(name), |out| out.write_all(octets))
        };
        write("closed", &self.reputation.closed().octets())?;
        write("live", &self.reputation.live().octets())?;
        let history = &self.neighbourhood.history;
        if let Some(newest) = history.newest() {
            write(&format!("{}.day", newest.day().0), newest.octets())?;
        }
        for (day, path) in day_files(&self.directory)? {
            if !history.days().iter().any(|known| known.day().0 == day) {
                std::fs::remove_file(path)?;
            }
        }
        Ok(())
    }
}

/// An entry about a whole network is direct evidence and no part of the sums.
fn is_address(network: &Network) -> bool {
    network.is_host() || network.address().is_ipv6() && network.length() >= 64
}

fn day_files(directory: &Path) -> io::Result<Vec<(u32, PathBuf)>> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let day = name.strip_suffix(".day").and_then(|day| day.parse().ok());
        files.extend(day.map(|day| (day, path)));
    }
    Ok(files)
}

fn read<T>(
    path: &Path,
    read: impl FnOnce(Bytes) -> Result<T, OctetsError>,
    findings: &mut Vec<Diagnostic>,
) -> Option<T> {
    let octets = match disk::map(path) {
        Ok(octets) => octets?,
        Err(error) => {
            findings.push(Diagnostic::warning(format!("{}: {error}", path.display())));
            return None;
        }
    };
    match read(octets) {
        Ok(value) => Some(value),
        Err(error) => {
            let finding = Diagnostic::warning(format!("{}: {error}", path.display()));
            findings.push(finding.hint("the ranks of networks go on without it"));
            None
        }
    }
}

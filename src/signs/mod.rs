//! Signs in what groups of clients ask: tunnels through DNS, names made up by malware, and
//! programs that call home by the clock. They are shown with their evidence and block nothing.
//!
//! ```text
//! queries ─▶ Watch ─┬─ tunnel: many long names below one domain
//!                   ├─ dga:    many domains that do not exist, in a short time
//!                   └─ beacon: one domain, asked for at even intervals for hours
//! ```
//!
//! What is popular or long in use here makes none of these signs: content networks ask for long
//! names, and updaters come by the clock. Everything is bounded: groups, domains, names of each.
//! Clients are not told apart; a sign is of a group.

mod beacon;
mod burst;
mod tunnel;

use std::collections::HashMap;
use std::hash::Hash;

use crate::model::{Name, NameRef, Timestamp};

use self::beacon::Beat;
use self::burst::Burst;
use self::tunnel::Flow;

/// Groups that are watched; policies have fewer.
const GROUPS_MAX: usize = 64;
/// Domains of all groups that are watched for one kind of sign.
const DOMAINS_MAX: usize = 4_096;
/// Names that are shown as evidence.
const SAMPLES_MAX: usize = 5;
/// A sign that goes on is told again after so long.
const AGAIN_SECONDS: u32 = 3600;

/// What a sign looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Data in names.
    Tunnel,
    /// Names made up by a program.
    Dga,
    /// A program that calls home.
    Beacon,
}

impl Kind {
    /// The word for files and people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Tunnel => "tunnel",
            Self::Dga => "dga",
            Self::Beacon => "beacon",
        }
    }
}

/// A query as far as signs look at it.
#[derive(Debug, Clone, Copy)]
pub struct Query<'q> {
    /// When.
    pub at: Timestamp,
    /// The group of the client.
    pub group: &'q str,
    /// What was asked.
    pub name: NameRef<'q>,
    /// Who holds it.
    pub holder: NameRef<'q>,
    /// The name does not exist.
    pub missing: bool,
    /// It is popular, or long in use here.
    pub usual: bool,
}

/// A sign, with what was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// What it looks like.
    pub kind: Kind,
    /// The group.
    pub group: String,
    /// The domain; the root for names of many domains.
    pub subject: Name,
    /// When it began.
    pub first_at: Timestamp,
    /// When it was found.
    pub at: Timestamp,
    /// What was found, in numbers and names.
    pub evidence: serde_json::Value,
}

/// Watches a stream of queries.
#[derive(Debug, Default)]
pub struct Watch {
    flows: Bounded<(String, Name), Flow>,
    beats: Bounded<(String, Name), Beat>,
    bursts: Bounded<String, Burst>,
    told: HashMap<(Kind, String, Name), Timestamp>,
}

impl Watch {
    /// Takes a query; what it makes a sign of is given to `found`.
    pub fn see(&mut self, query: &Query<'_>, mut found: impl FnMut(Found)) {
        if query.usual {
            return;
        }
        let key = || (query.group.to_owned(), query.holder.to_owned());
        let mut signs: Vec<Found> = Vec::new();
        let mut sign = |kind, subject: Name, first_at, evidence| {
            let group = query.group.to_owned();
            signs.push(Found { kind, group, subject, first_at, at: query.at, evidence });
        };
        if query.missing {
            let burst = self.bursts.at(query.group.to_owned(), query.at, GROUPS_MAX);
            if let Some((first_at, evidence)) = burst.see(query) {
                sign(Kind::Dga, Name::root(), first_at, evidence);
            }
        } else {
            let beat = self.beats.at(key(), query.at, DOMAINS_MAX);
            if let Some((first_at, evidence)) = beat.see(query.at) {
                sign(Kind::Beacon, query.holder.to_owned(), first_at, evidence);
            }
        }
        if query.name != query.holder {
            let flow = self.flows.at(key(), query.at, DOMAINS_MAX);
            if let Some((first_at, evidence)) = flow.see(query) {
                sign(Kind::Tunnel, query.holder.to_owned(), first_at, evidence);
            }
        }
        for sign in signs {
            if self.is_news(&sign) {
                found(sign);
            }
        }
    }

    fn is_news(&mut self, sign: &Found) -> bool {
        let key = (sign.kind, sign.group.clone(), sign.subject.clone());
        let told = self.told.get(&key).copied();
        if told.is_some_and(|at| at.age_seconds(sign.at) < AGAIN_SECONDS && at <= sign.at) {
            return false;
        }
        self.told.retain(|_, at| at.age_seconds(sign.at) < AGAIN_SECONDS);
        self.told.insert(key, sign.at);
        true
    }
}

/// A table that forgets what was not seen for longest where there is too much.
#[derive(Debug)]
struct Bounded<K, V>(HashMap<K, (Timestamp, V)>);

impl<K, V> Default for Bounded<K, V> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<K: Eq + Hash, V: Default> Bounded<K, V> {
    fn at(&mut self, key: K, now: Timestamp, most: usize) -> &mut V {
        if self.0.len() >= most && !self.0.contains_key(&key) {
            // A quarter at once, so that a flood of domains does not make each query dear.
            let mut times: Vec<Timestamp> = self.0.values().map(|(at, _)| *at).collect();
            let (_, oldest, _) = times.select_nth_unstable(most / 4);
            let oldest = *oldest;
            self.0.retain(|_, (at, _)| *at > oldest);
        }
        let entry = self.0.entry(key).or_insert_with(|| (now, V::default()));
        entry.0 = entry.0.max(now);
        &mut entry.1
    }
}

/// Hashes of names, up to a bound, with a few of the names.
#[derive(Debug, Default)]
struct Distinct {
    hashes: std::collections::HashSet<u32>,
    samples: Vec<String>,
}

impl Distinct {
    /// Whether the name is a new one; beyond the bound none is.
    fn add(&mut self, name: NameRef<'_>, most: usize) -> bool {
        if self.hashes.len() >= most {
            return false;
        }
        let new = self.hashes.insert(xxhash_rust::xxh3::xxh3_64(name.key()) as u32);
        if new && self.samples.len() < SAMPLES_MAX {
            self.samples.push(name.to_owned().to_string());
        }
        new
    }

    fn len(&self) -> usize {
        self.hashes.len()
    }

    fn clear(&mut self) {
        self.hashes.clear();
        self.samples.clear();
    }
}

#[cfg(test)]
mod tests;

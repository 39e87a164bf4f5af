//! All policy zones in force, in order, indexed; immutable and swapped as one.
//!
//! A [`Snapshot`] answers one question: which rule applies to this query? It follows
//! draft-vixie-dnsop-dns-rpz-00 as BIND reads it, in two steps around the resolution
//! ([`Snapshot::begin`], [`Evaluation::finish`]), and lists every match with what became of it
//! ([`Snapshot::explain`]). It resolves nothing and writes no reply.
//!
//! Where the draft leaves room:
//! - A zone that does not apply to a query (its mode, its groups, RD=0) is as if it were not
//!   there, PASSTHRU rules included. DO=1 on a signed answer takes out, rule by rule, what would
//!   change the answer.
//! - One query-name rule of a zone matches a name: the one a DNS server would find (RFC 4592).
//!   Where it drops out, no wildcard above takes its place; of prefixes the next shorter does.
//! - Between servers only their names count (section 5.5), whether a wildcard matched or not.
//! - For QTYPE ANY, CNAME and DNAME there is one stage, whatever the answer contains.

mod evaluate;
mod explain;
mod fate;
mod names;
mod needs;
mod networks;
mod query;
mod ruling;
#[cfg(test)]
mod sample;
mod stage;

use std::net::IpAddr;
use std::sync::Arc;

pub use evaluate::{Evaluation, Step};
pub use explain::Match;
pub use fate::{Fate, Precedence};
pub use needs::{Need, Needs};
pub use query::{Hit, Matched, Outcome, Query, Response, Transport};

use crate::model::{GroupSet, Name, Network, TriggerKind};
use crate::zone::{Mode, Override, PolicyZone};
use networks::NetworkIndex;
use stage::IndexedZone;

/// The most policy zones at once: a bit each in a word, and BIND's limit too
/// (`DNS_RPZ_MAX_ZONES`).
pub const ZONES_MAX: usize = 64;

/// Why zones cannot be put in force together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// More than [`ZONES_MAX`] zones.
    #[error("{0} policy zones are more than the {ZONES_MAX} that can be in force at once")]
    TooManyZones(usize),
    /// A zone whose names are hashed under another seed than the snapshot's.
    #[error("the names of policy zone {0} are hashed under another seed")]
    Seed(Name),
}

/// Policy zones by their position, a bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct ZoneSet(u64);

impl ZoneSet {
    fn of(positions: impl Iterator<Item = usize>) -> Self {
        Self(positions.fold(0, |bits, position| bits | 1 << position))
    }

    const fn is_empty(self) -> bool {
        self.0 == 0
    }

    const fn has(self, position: usize) -> bool {
        self.0 >> position & 1 == 1
    }

    const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Those that come before a position.
    const fn before(self, position: usize) -> Self {
        Self(self.0 & !(u64::MAX << position))
    }

    fn insert(&mut self, position: usize) {
        self.0 |= 1 << position;
    }

    /// The positions, ascending.
    fn positions(self) -> impl Iterator<Item = usize> {
        let mut bits = self.0;
        std::iter::from_fn(move || {
            let position = bits.trailing_zeros();
            bits &= bits.checked_sub(1)?;
            Some(position as usize)
        })
    }
}

/// All policy zones in force.
#[derive(Debug)]
pub struct Snapshot {
    id: u64,
    hash_seed: u64,
    zones: Box<[IndexedZone]>,
    clients: Box<[(Network, GroupSet)]>,
    client_index: NetworkIndex,
    /// The zones with rules, by [`TriggerKind`]; those that are off left out.
    having: [ZoneSet; 5],
    /// The zones whose rules act, as opposed to being observed.
    acting: ZoneSet,
    /// Groups whose clients' matches are only observed, or not even that.
    observing_groups: GroupSet,
    off_groups: GroupSet,
    recursive_only: ZoneSet,
    grouped: ZoneSet,
}

impl Snapshot {
    /// Puts zones in force in the order given. `clients` says which groups a client is in, by
    /// the longest prefix that holds its address; a prefix given twice is in the groups of both.
    /// `hash_seed` is the one under which all zones were made. Indexes of zones that are the same
    /// as in `previous` are taken from there.
    pub fn new(
        id: u64,
        hash_seed: u64,
        zones: Vec<PolicyZone>,
        clients: Vec<(Network, GroupSet)>,
        previous: Option<&Snapshot>,
    ) -> Result<Self, SnapshotError> {
        if zones.len() > ZONES_MAX {
            return Err(SnapshotError::TooManyZones(zones.len()));
        }
        if let Some(stranger) = zones.iter().find(|zone| !is_hashed_under(zone, hash_seed)) {
            return Err(SnapshotError::Seed(stranger.name()));
        }
        let set = |holds: &dyn Fn(&PolicyZone) -> bool| {
            ZoneSet::of((0..zones.len()).filter(|position| holds(&zones[*position])))
        };
        let having = TriggerKind::ALL
            .map(|kind| set(&|z| z.zone.count(kind) > 0 && z.options.mode != Mode::Off));
        let acting =
            set(&|z| z.options.mode == Mode::Enforce && z.options.policy != Override::Disabled);
        let recursive_only = set(&|z| z.options.recursive_only);
        let grouped = set(&|z| !z.options.groups.is_empty());
        let clients = merged(clients);
        Ok(Self {
            id,
            hash_seed,
            client_index: NetworkIndex::new(&clients),
            clients,
            having,
            acting,
            observing_groups: GroupSet::NONE,
            off_groups: GroupSet::NONE,
            recursive_only,
            grouped,
            zones: zones.into_iter().map(|zone| indexed(zone, previous)).collect(),
        })
    }

    /// The same zones with groups whose clients' matches are only observed, or not even that. A
    /// group can be milder than a zone's mode and never sharper.
    pub fn with_group_modes(self, observing: GroupSet, off: GroupSet) -> Self {
        Self { observing_groups: observing, off_groups: off, ..self }
    }

    /// Groups whose clients no rule acts for.
    pub fn exempt_groups(&self) -> GroupSet {
        self.observing_groups.union(self.off_groups)
    }

    /// The number given at its making, to tell snapshots apart in logs and caches.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The seed under which names are hashed.
    pub fn hash_seed(&self) -> u64 {
        self.hash_seed
    }

    /// The zones in order, those that are off included.
    pub fn zones(&self) -> impl ExactSizeIterator<Item = &PolicyZone> {
        self.zones.iter().map(|zone| &zone.policy)
    }

    /// The zone at a position, such as [`Hit::zone`].
    pub fn zone(&self, position: usize) -> Option<&PolicyZone> {
        self.zones.get(position).map(|zone| &zone.policy)
    }

    /// Which zones have rules of a kind, a bit each; those that are off left out.
    pub fn having(&self, kind: TriggerKind) -> u64 {
        self.having[kind as usize].0
    }

    /// The groups of a client.
    pub fn groups_of(&self, client: IpAddr) -> GroupSet {
        let found = self.client_index.longest(client.to_canonical());
        found.map_or(GroupSet::NONE, |at| self.clients[at].1)
    }

    /// Whose clients' queries are all treated alike, as far as this client is concerned: those in
    /// the same groups. None where rules look at clients' addresses.
    pub fn audience(&self, client: IpAddr) -> Option<GroupSet> {
        if !self.having[TriggerKind::ClientAddress as usize].is_empty() {
            return None;
        }
        let told_apart = !self.grouped.is_empty()
            || !self.off_groups.is_empty()
            || !self.observing_groups.is_empty();
        Some(if told_apart { self.groups_of(client) } else { GroupSet::NONE })
    }

    fn having_any(&self, kinds: &[TriggerKind]) -> ZoneSet {
        kinds.iter().fold(ZoneSet::default(), |all, kind| all.or(self.having[*kind as usize]))
    }

    /// The zones that apply to a query, whatever their rules.
    fn applying(&self, query: &Query<'_>) -> ZoneSet {
        let mut zones = self.having_any(&TriggerKind::ALL);
        if !query.recursion_desired {
            zones = zones.without(self.recursive_only);
        }
        let grouped = zones.and(self.grouped);
        if grouped.is_empty() && self.off_groups.is_empty() {
            return zones;
        }
        let client = self.groups_of(query.client);
        if client.meets(self.off_groups) {
            return ZoneSet::default();
        }
        let strange = grouped
            .positions()
            .filter(|at| !self.zones[*at].policy.options.groups.applies_to(client));
        zones.without(ZoneSet::of(strange))
    }
}

impl Snapshot {
    /// The zones whose rules act on a query's client.
    fn acting_on(&self, query: &Query<'_>) -> ZoneSet {
        let observed = !self.observing_groups.is_empty()
            && self.groups_of(query.client).meets(self.observing_groups);
        if observed { ZoneSet::default() } else { self.acting }
    }
}

fn is_hashed_under(zone: &PolicyZone, hash_seed: u64) -> bool {
    [zone.zone.query_names(), zone.zone.nameserver_names()]
        .iter()
        .all(|table| table.is_empty() || table.hash_seed() == Some(hash_seed))
}

/// The client table in order, groups of equal prefixes together.
fn merged(mut clients: Vec<(Network, GroupSet)>) -> Box<[(Network, GroupSet)]> {
    clients.sort_by_key(|(network, _)| *network);
    clients.dedup_by(|later, first| {
        let same = later.0 == first.0;
        if same {
            first.1 = first.1.union(later.1);
        }
        same
    });
    clients.into()
}

/// A zone with its indexes, which are shared with an earlier snapshot that holds the very same
/// lists.
fn indexed(policy: PolicyZone, previous: Option<&Snapshot>) -> IndexedZone {
    let index = |kind| {
        let networks = policy.zone.networks(kind);
        let old = previous.into_iter().flat_map(|p| &p.zones).find(|old| {
            !networks.is_empty() && std::ptr::eq(old.policy.zone.networks(kind), networks)
        });
        match old {
            Some(old) => Arc::clone(&old.indexes[kind as usize]),
            None => Arc::new(NetworkIndex::new(networks)),
        }
    };
    IndexedZone { indexes: TriggerKind::ALL.map(index), policy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Action;
    use sample::{SEED, zone};

    fn net(text: &str) -> Network {
        Network::parse_strict(text).unwrap()
    }

    #[test]
    fn sixty_four_zones_are_the_limit() {
        let zones = |count| vec![zone(&[("qname a.test", Action::NxDomain)]); count];
        assert!(Snapshot::new(1, SEED, zones(64), vec![], None).is_ok());
        let error = Snapshot::new(1, SEED, zones(65), vec![], None).unwrap_err();
        assert_eq!(error, SnapshotError::TooManyZones(65));
    }

    #[test]
    fn a_zone_hashed_under_another_seed_is_refused() {
        let zones = vec![zone(&[("qname a.test", Action::NxDomain)])];
        let error = Snapshot::new(1, SEED + 1, zones, vec![], None).unwrap_err();
        assert_eq!(error, SnapshotError::Seed(sample::name("rpz.test")));
    }

    #[test]
    fn the_longest_prefix_says_which_groups_a_client_is_in() {
        let (staff, guests) = (GroupSet::of(0), GroupSet::of(1));
        let clients = vec![
            (net("10.0.0.0/8"), staff),
            (net("10.1.0.0/16"), guests),
            (net("10.0.0.0/8"), GroupSet::of(2)),
        ];
        let snapshot = Snapshot::new(1, SEED, vec![], clients, None).unwrap();
        let groups = |text: &str| snapshot.groups_of(text.parse().unwrap());
        assert_eq!(groups("10.2.0.1"), staff.union(GroupSet::of(2)));
        assert_eq!(groups("::ffff:10.1.0.1"), guests);
        assert_eq!(groups("192.0.2.1"), GroupSet::NONE);
    }

    #[test]
    fn a_zone_that_stays_keeps_its_indexes() {
        let kept = zone(&[("ip 192.0.2.0/24", Action::NxDomain)]);
        let first = Snapshot::new(1, SEED, vec![kept.clone()], vec![], None).unwrap();
        let changed = zone(&[("ip 192.0.2.0/25", Action::NxDomain)]);
        let second = Snapshot::new(2, SEED, vec![changed, kept], vec![], Some(&first)).unwrap();
        let index = |snapshot: &Snapshot, position: usize| {
            Arc::clone(&snapshot.zones[position].indexes[TriggerKind::AnswerAddress as usize])
        };
        assert!(Arc::ptr_eq(&index(&second, 1), &index(&first, 0)));
        assert!(!Arc::ptr_eq(&index(&second, 0), &index(&first, 0)));
    }

    #[test]
    fn a_set_of_zones_counts_from_the_first_to_the_last() {
        let set = ZoneSet::of([0, 5, 63].into_iter());
        assert_eq!(set.positions().collect::<Vec<_>>(), [0, 5, 63]);
        assert_eq!(set.before(5), ZoneSet::of([0].into_iter()));
        assert_eq!(set.before(0), ZoneSet::default());
    }
}

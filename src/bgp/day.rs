//! What one day gave: ranks of AS and prefixes, and which source listed how much of them.
//!
//! A [`Day`] is one run of octets, so that a day is a file that is written once and mapped. It holds
//! the AS that matter: of which something was listed, or whose rank is above 0. An AS that is not
//! there had nothing listed and a rank of 0 or less. Of prefixes it holds those with listed
//! addresses.
//!
//! ```text
//! magic "skbgpday", checksum and lengths as in [`super::octets`], then eight sections:
//! head     day u32, then for IPv4 and IPv6: E_g u64, ΣH in ppm u64, ΣN u64
//! sources  names, each ended by a zero octet
//! systems  AS, rank i16, listed u32, H in ppm u64, N u64, CIRCL's rank f64: 34 octets, IPv4
//! prefixes first address, length u8, rank i16, listed u32: 11 octets, IPv4
//! by source  AS, source u16, listed u32: ten octets, IPv4
//! systems, prefixes (23 octets), by source of IPv6
//! ```
//!
//! Keys (AS, address, length, source) are in big-endian order, all else in little-endian order.

use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;

use super::census::{Census, Counted};
use super::family::{Family, Number, network};
use super::octets::{Kind, OctetsError, read_u32, read_u64};
use super::rate::Rate;
use super::reputation::{LOCAL_RANK_MBAN, Standing};
use super::rows::{Rows, prefix_key, system_key, system_of};
use crate::model::{Network, SourceId, Timestamp};

const KIND: Kind = Kind { magic: b"skbgpday", name: "file of a day's ranks" };
const FAMILY_HEAD_OCTETS: usize = 24;
const SYSTEM_OCTETS: usize = 34;
const BY_SOURCE_OCTETS: usize = 10;

/// A day of UTC, by its number since 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UtcDay(pub u32);

impl UtcDay {
    /// The day in which a point in time lies.
    pub const fn of(time: Timestamp) -> Self {
        Self(time.0 / 86_400)
    }

    /// When it begins; the last second that can be written, for days after that.
    pub const fn start(self) -> Timestamp {
        Timestamp(self.0.saturating_mul(86_400))
    }
}

/// `2026-11-24`.
impl fmt::Display for UtcDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let date = self.start().to_string();
        f.write_str(date.split('T').next().unwrap_or(&date))
    }
}

/// What a day gave for an AS in one family.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DayRecord {
    /// The AS.
    pub system: u32,
    /// Its rank after that day, within [`LOCAL_RANK_MBAN`].
    pub rank_mban: i16,
    /// Distinct listed addresses or /64s.
    pub listed: u32,
    /// H, in ppm.
    pub weight_ppm: u64,
    /// N: IPv4 addresses or IPv6 /48s.
    pub announced: u64,
    /// The day's rank in CIRCL's definition; 0 if it had none.
    pub circl: f64,
}

/// What a day gave for an announced prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PrefixRecord {
    /// The prefix.
    pub network: Network,
    /// Its rank after that day, within [`LOCAL_RANK_MBAN`].
    pub rank_mban: i16,
    /// Distinct listed addresses or /64s, at least 1.
    pub listed: u32,
}

/// How much of an AS one source listed on a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceRecord {
    /// The source.
    pub source: SourceId,
    /// Distinct listed addresses or /64s.
    pub listed: u32,
}

/// One day. Cheap to clone.
#[derive(Clone)]
pub struct Day {
    octets: Bytes,
    day: UtcDay,
    sources: std::sync::Arc<[SourceId]>,
    families: [FamilyDay; 2],
}

#[derive(Clone)]
struct FamilyDay {
    global: Rate,
    weight_ppm: u64,
    announced: u64,
    systems: Rows,
    prefixes: Rows,
    by_source: Rows,
}

impl Day {
    /// What is kept of a day, from its counts and how things stand after it.
    pub fn of(standing: &Standing, census: &Census) -> Self {
        let mut head = census.day.0.to_le_bytes().to_vec();
        for family in Family::ALL {
            head.extend(standing.global(family).0.to_le_bytes());
            head.extend(census.family(family).weight_ppm.to_le_bytes());
            head.extend(census.announced.total(family).to_le_bytes());
        }
        let names = census.sources.iter().map(|source| source.as_str().replace('\0', ""));
        let names: Vec<u8> = names.flat_map(|name| (name + "\0").into_bytes()).collect();
        let [systems4, systems6] = Family::ALL.map(|family| systems(standing, census, family));
        let prefixes4 = prefixes::<u32>(standing, census);
        let prefixes6 = prefixes::<u128>(standing, census);
        let [by_source4, by_source6] = Family::ALL.map(|family| by_source(census.family(family)));
        let sections =
            [&head, &names, &systems4, &prefixes4, &by_source4, &systems6, &prefixes6, &by_source6];
        let octets = KIND.join(&sections.map(Vec::as_slice));
        Self::from_octets(octets).expect("a day is written as it is read")
    }

    /// Reads a day. Its rows stay where they lie.
    pub fn from_octets(octets: Bytes) -> Result<Self, OctetsError> {
        let [head, names, s4, p4, b4, s6, p6, b6] = KIND.split(&octets)?;
        if head.len() != 4 + 2 * FAMILY_HEAD_OCTETS {
            return Err(KIND.shape());
        }
        let names = std::str::from_utf8(&names).map_err(|_| KIND.shape())?;
        let sources: Vec<SourceId> = names.split_terminator('\0').map(SourceId::new).collect();
        let family = |family: Family, systems, prefixes, by_source| {
            let at = 4 + family as usize * FAMILY_HEAD_OCTETS;
            let by_source = Rows::new(BY_SOURCE_OCTETS, by_source)?;
            let known =
                |row: &[u8]| usize::from(u16::from_be_bytes([row[4], row[5]])) < sources.len();
            by_source.iter().all(known).then_some(())?;
            Some(FamilyDay {
                global: Rate(read_u64(&head, at)),
                weight_ppm: read_u64(&head, at + 8),
                announced: read_u64(&head, at + 16),
                systems: Rows::new(SYSTEM_OCTETS, systems)?,
                prefixes: Rows::new(prefix_octets(family), prefixes)?,
                by_source,
            })
        };
        let v4 = family(Family::V4, s4, p4, b4).ok_or(KIND.shape())?;
        let v6 = family(Family::V6, s6, p6, b6).ok_or(KIND.shape())?;
        let day = UtcDay(read_u32(&head, 0));
        Ok(Self { octets, day, sources: sources.into(), families: [v4, v6] })
    }

    /// The octets, for writing them to a file.
    pub fn octets(&self) -> &Bytes {
        &self.octets
    }

    /// The day.
    pub fn day(&self) -> UtcDay {
        self.day
    }

    /// E_g after the day.
    pub fn global(&self, family: Family) -> Rate {
        self.family(family).global
    }

    /// ΣH in ppm and ΣN of the day, whose quotient is g.
    pub fn totals(&self, family: Family) -> (u64, u64) {
        (self.family(family).weight_ppm, self.family(family).announced)
    }

    /// The record of an AS; none means nothing listed and a rank of 0 or less.
    pub fn system(&self, family: Family, system: u32) -> Option<DayRecord> {
        self.family(family).systems.find(&system_key(system)).map(record)
    }

    /// All records of a family, by AS number.
    pub fn systems(&self, family: Family) -> impl Iterator<Item = DayRecord> {
        self.family(family).systems.iter().map(record)
    }

    /// The AS's place in CIRCL's ranking of the day, from 1, and how many AS are in it. AS of equal
    /// rank share the better place.
    pub fn circl_position(&self, family: Family, system: u32) -> Option<(usize, usize)> {
        let own = self.system(family, system)?.circl;
        if own == 0.0 {
            return None;
        }
        let ranked = || self.systems(family).filter(|record| record.circl > 0.0);
        Some((1 + ranked().filter(|record| record.circl > own).count(), ranked().count()))
    }

    /// The record of a prefix; none means that nothing in it was listed.
    pub fn prefix(&self, network: Network) -> Option<PrefixRecord> {
        let length = network.length();
        let [v4, v6] = &self.families;
        match network.address() {
            IpAddr::V4(start) => {
                v4.prefixes.find(&prefix_key(start.to_bits(), length)).map(prefix_record::<u32>)
            }
            IpAddr::V6(start) => {
                v6.prefixes.find(&prefix_key(start.to_bits(), length)).map(prefix_record::<u128>)
            }
        }
    }

    /// The prefixes with listed addresses, in order.
    pub fn prefixes(&self, family: Family) -> impl Iterator<Item = PrefixRecord> {
        let read = match family {
            Family::V4 => prefix_record::<u32>,
            Family::V6 => prefix_record::<u128>,
        };
        self.family(family).prefixes.iter().map(read)
    }

    /// Which sources listed how much of an AS, in the order of the sources.
    pub fn sources(&self, family: Family, system: u32) -> Vec<SourceRecord> {
        let key = system_key(system);
        let rows = self.family(family).by_source.starting_with(&key);
        let record = |row: &[u8]| SourceRecord {
            source: self.sources[usize::from(u16::from_be_bytes([row[4], row[5]]))].clone(),
            listed: read_u32(row, 6),
        };
        rows.map(record).collect()
    }

    fn family(&self, family: Family) -> &FamilyDay {
        &self.families[family as usize]
    }
}

impl fmt::Debug for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [v4, v6] = self.families.each_ref().map(|family| family.systems.len());
        write!(f, "Day({}, {v4} AS by IPv4, {v6} by IPv6, {} octets)", self.day, self.octets.len())
    }
}

/// A rank within its bounds, as a row has it; 0 where there is none.
fn clamped(mban: Option<i32>) -> i16 {
    let (min, max) = LOCAL_RANK_MBAN;
    mban.unwrap_or(0).clamp(min, max) as i16
}

fn narrow(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

fn systems(standing: &Standing, census: &Census, family: Family) -> Vec<u8> {
    let mut out = Vec::new();
    for (system, mban) in standing.system_ranks(family) {
        let count = census.family(family).system(system);
        let circl = census.circl.position(family, system).map_or(0.0, |(rank, _)| rank.rank);
        let rank = clamped(mban);
        if count.is_none() && circl == 0.0 && rank <= 0 {
            continue;
        }
        out.extend(system_key(system));
        out.extend(rank.to_le_bytes());
        out.extend(narrow(count.map_or(0, |count| count.listed)).to_le_bytes());
        out.extend(count.map_or(0, |count| count.weight_ppm).to_le_bytes());
        let space = census.announced.space(system);
        out.extend(space.map_or(0, |space| space.announced(family)).to_le_bytes());
        out.extend(circl.to_bits().to_le_bytes());
    }
    out
}

fn record(row: &[u8]) -> DayRecord {
    DayRecord {
        system: system_of(row),
        rank_mban: i16::from_le_bytes([row[4], row[5]]),
        listed: read_u32(row, 6),
        weight_ppm: read_u64(row, 10),
        announced: read_u64(row, 18),
        circl: f64::from_bits(read_u64(row, 26)),
    }
}

fn prefixes<N: Number>(standing: &Standing, census: &Census) -> Vec<u8> {
    let mut out = Vec::new();
    for count in &census.family(N::FAMILY).prefixes {
        let route = census.table.route_at(N::FAMILY, count.position);
        let start = census.table.side::<N>().start::<N>(count.position);
        out.extend(prefix_key(start, route.length()));
        out.extend(clamped(standing.prefix_mban(route.network())).to_le_bytes());
        out.extend(narrow(count.listed).to_le_bytes());
    }
    out
}

fn prefix_octets(family: Family) -> usize {
    match family {
        Family::V4 => <u32 as Number>::OCTETS + 7,
        Family::V6 => <u128 as Number>::OCTETS + 7,
    }
}

fn prefix_record<N: Number>(row: &[u8]) -> PrefixRecord {
    let length = row[N::OCTETS].min(N::BITS);
    PrefixRecord {
        network: network(N::read_sortable(row), length),
        rank_mban: i16::from_le_bytes([row[N::OCTETS + 1], row[N::OCTETS + 2]]),
        listed: read_u32(row, N::OCTETS + 3),
    }
}

fn by_source(counted: &Counted) -> Vec<u8> {
    let mut out = Vec::with_capacity(counted.sources.len() * BY_SOURCE_OCTETS);
    for (system, source, listed) in &counted.sources {
        out.extend(system_key(*system));
        out.extend(source.to_be_bytes());
        out.extend(narrow(*listed).to_le_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::Reputation;
    use crate::bgp::census::tests::{census, list};

    #[test]
    fn a_day_reads_back_as_it_was_written() {
        let routes: &[(&str, &[u32])] = &[
            ("192.0.2.0/24", &[64500]),
            ("198.51.100.0/22", &[64501]),
            ("2001:db8::/32", &[64502]),
        ];
        let lists = [
            list("one", 50, 5, "192.0.2.1 192.0.2.9"),
            list("two", 90, 3, "192.0.2.9 2001:db8::1"),
        ];
        let census = census(20_000, routes, &lists, "");
        let octets = Day::of(Reputation::start().counted(&census).live(), &census).octets().clone();
        let day = Day::from_octets(octets.clone()).unwrap();
        let record = day.system(Family::V4, 64500).unwrap();
        assert_eq!((record.listed, record.weight_ppm, record.announced), (2, 1_400_000, 256));
        assert_eq!(record.circl, (2.0 * 5.0 + 3.0) / 256.0);
        assert_eq!(day.circl_position(Family::V4, 64500), Some((1, 1)));
        assert_eq!(day.system(Family::V4, 64501), None, "nothing listed, and better than average");
        assert_eq!(day.totals(Family::V4), (1_400_000, 256 + 1024));
        let sources = day.sources(Family::V4, 64500);
        let shown = sources.iter().map(|s| (s.source.as_str(), s.listed)).collect::<Vec<_>>();
        assert_eq!(shown, [("one", 2), ("two", 1)]);
        let prefix = day.prefixes(Family::V6).next().unwrap();
        assert_eq!((prefix.network.to_string().as_str(), prefix.listed), ("2001:db8::/32", 1));
        assert_eq!(day.prefix(prefix.network), Some(prefix));
        assert_eq!(day.day().to_string(), "2024-10-04");
        for end in 0..octets.len() {
            assert!(Day::from_octets(octets.slice(..end)).is_err());
        }
    }
}

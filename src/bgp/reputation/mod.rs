//! The ranks of AS and prefixes (SCORING 2.8): daily rates, pulled towards the global rate where
//! there is little space, smoothed over days, and compared with the global rate.
//!
//! ```text
//! R = (H + κ·g)/(N + κ),  g = ΣH/ΣN        of one day
//! E ← λE + (1 − λ)R,  λ = 2^(−1/7)         E_g likewise from g; a new AS starts at E = E_g
//! rank = 1000 · log10(E / E_g) mban
//! ```
//!
//! A day on which nothing was counted is no day: the ranks stay as they are. What is announced no
//! more goes on with N = 0, so that nobody sheds a bad name by leaving for a day, until its rank has
//! come down to 0; then it is forgotten, and would start anew at just that.

use std::cmp::Reverse;
use std::net::IpAddr;

use bytes::Bytes;

use super::UtcDay;
use super::announced::{self, Announced};
use super::census::{Census, Counted};
use super::family::{Family, Number};
use super::octets::{Kind, OctetsError, read_u32, read_u64};
use super::rate::Rate;
use super::routes::{Route, RouteTable};
use super::rows::{Key, Rows, prefix_key, system_key, system_of};
use crate::model::Network;

/// What a rank can say, in mban: half as bad as the average to 32 times as bad (SCORING 2.5).
pub const LOCAL_RANK_MBAN: (i32, i32) = (-300, 1500);

/// κ, by family: as many IPv4 addresses, or IPv6 /48s, count as if they were average.
const KAPPA: [u64; 2] = [4096, 16];

/// An AS needs as much space to be counted in percentiles: a /24, or a /48.
const PERCENTILE_SPACE_MIN: [u64; 2] = [256, 1];

const KIND: Kind = Kind { magic: b"skstand1", name: "file of standings" };
const RATE_OCTETS: usize = 8;

/// Smoothed rates after one day: of all AS and all announced prefixes. Cheap to clone.
#[derive(Debug, Clone, PartialEq)]
pub struct Standing {
    day: UtcDay,
    families: [FamilyStanding; 2],
}

/// Rates of one family; rows are a key and a rate in big-endian order.
#[derive(Debug, Clone, PartialEq)]
struct FamilyStanding {
    /// E_g; 0 before the first day on which anything was counted.
    global: Rate,
    systems: Rows,
    prefixes: Rows,
}

/// An AS on the list of the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorstSystem {
    /// The AS.
    pub system: u32,
    /// Its smoothed rate.
    pub rate: Rate,
    /// `1000 · log10(E / E_g)`, not clamped.
    pub log_ratio_mban: i32,
}

impl Standing {
    /// Before the first day.
    pub fn start() -> Self {
        let rows = |width: usize| {
            Rows::new(width + RATE_OCTETS, Bytes::new())
                .expect("no rows are a whole number of rows")
        };
        let family = |family| FamilyStanding {
            global: Rate(0),
            systems: rows(4),
            prefixes: rows(prefix_key_octets(family)),
        };
        Self { day: UtcDay(0), families: Family::ALL.map(family) }
    }

    /// The day after which this is how things stand.
    pub fn day(&self) -> UtcDay {
        self.day
    }

    /// E_g, the smoothed rate of everything.
    pub fn global(&self, family: Family) -> Rate {
        self.family(family).global
    }

    /// How things stand after one more day.
    pub fn after(&self, census: &Census) -> Standing {
        let [v4, v6] = Family::ALL.map(|family| self.family(family));
        Standing { day: census.day, families: [v4.after::<u32>(census), v6.after::<u128>(census)] }
    }

    /// E of an AS; none for one that was never announced.
    pub fn system_rate(&self, family: Family, system: u32) -> Option<Rate> {
        self.family(family).systems.find(&system_key(system)).map(rate_of)
    }

    /// E of an announced prefix.
    pub fn prefix_rate(&self, network: Network) -> Option<Rate> {
        let key = match network.address() {
            IpAddr::V4(v4) => prefix_key(v4.to_bits(), network.length()),
            IpAddr::V6(v6) => prefix_key(v6.to_bits(), network.length()),
        };
        self.family(Family::of(network.address())).prefixes.find(&key).map(rate_of)
    }

    /// `1000 · log10(E / E_g)` of an AS in one family, in mban and not clamped.
    pub fn system_mban(&self, family: Family, system: u32) -> Option<i32> {
        self.system_rate(family, system)?.log_ratio_mban(self.global(family))
    }

    /// The same of an announced prefix.
    pub fn prefix_mban(&self, network: Network) -> Option<i32> {
        self.prefix_rate(network)?.log_ratio_mban(self.global(Family::of(network.address())))
    }

    /// What the neighbourhood says of an AS: the worse of its ranks in both families, not clamped.
    /// The scorer's `asn_local_log_ratio`.
    pub fn of_system(&self, system: u32) -> Option<i32> {
        Family::ALL.into_iter().filter_map(|family| self.system_mban(family, system)).max()
    }

    /// What it says of an address or prefix: the worst of the announced prefix around it and that
    /// prefix's origins, not clamped; none where nobody announces it. The scorer's
    /// `asn_local_log_ratio`. A prefix is the nearer neighbourhood, and the AS speaks where the
    /// prefix is too small to say much.
    pub fn of_network(&self, table: &RouteTable, network: Network) -> Option<i32> {
        let route = table.covering(network)?;
        let origins = route.origins().iter();
        let systems = origins.filter_map(|origin| self.system_mban(route.family(), origin));
        systems.chain(self.prefix_mban(route.network())).max()
    }

    /// The unclamped ranks of all AS of a family, by number.
    pub fn system_ranks(&self, family: Family) -> impl Iterator<Item = (u32, Option<i32>)> {
        let FamilyStanding { global, systems, .. } = self.family(family);
        systems.iter().map(|row| (system_of(row), rate_of(row).log_ratio_mban(*global)))
    }

    /// The AS with the highest rates, the worst first, equal ones by number.
    pub fn worst(&self, family: Family, count: usize) -> Vec<WorstSystem> {
        let standing = self.family(family);
        let rows = standing.systems.iter().map(|row| (Reverse(rate_of(row)), system_of(row)));
        let mut rated: Vec<_> = rows.collect();
        rated.sort_unstable();
        let worst = |&(Reverse(rate), system): &(Reverse<Rate>, u32)| {
            let log_ratio_mban = rate.log_ratio_mban(standing.global)?;
            Some(WorstSystem { system, rate, log_ratio_mban })
        };
        rated.iter().take(count).filter_map(worst).collect()
    }

    /// How many AS are better, in ppm: `(#{b: E_b < E_a} + ½·#{b ≠ a: E_b = E_a}) / #AS`, over the
    /// AS that announce at least a /24 or a /48. For display only.
    pub fn percentile_ppm(
        &self,
        family: Family,
        announced: &Announced,
        system: u32,
    ) -> Option<u32> {
        let rate = self.system_rate(family, system)?;
        let minimum = PERCENTILE_SPACE_MIN[family as usize];
        let (mut twice_better, mut all) = (0u64, 0u64);
        let spaces = announced.spaces().iter();
        for space in spaces.filter(|space| space.announced(family) >= minimum) {
            all += 1;
            let other = self.system_rate(family, space.system);
            twice_better += match other.map(|other| other.cmp(&rate)) {
                Some(std::cmp::Ordering::Less) => 2,
                Some(std::cmp::Ordering::Equal) if space.system != system => 1,
                _ => 0,
            };
        }
        let ppm = (twice_better * 1_000_000 + all).checked_div(2 * all)?;
        u32::try_from(ppm).ok()
    }

    /// The octets, for writing them to a file.
    pub fn octets(&self) -> Bytes {
        let mut head = Vec::new();
        head.extend(self.day.0.to_le_bytes());
        self.families.iter().for_each(|family| head.extend(family.global.0.to_le_bytes()));
        let [v4, v6] = &self.families;
        let rows = [&v4.systems, &v4.prefixes, &v6.systems, &v6.prefixes];
        let [a, b, c, d] = rows.map(|rows| &rows.octets()[..]);
        KIND.join(&[&head, a, b, c, d])
    }

    /// Reads a standing. Its rates stay where they lie.
    pub fn from_octets(octets: Bytes) -> Result<Self, OctetsError> {
        let [head, systems4, prefixes4, systems6, prefixes6] = KIND.split(&octets)?;
        if head.len() != 20 {
            return Err(KIND.shape());
        }
        let family = |family: Family, systems, prefixes| {
            let prefix_octets = prefix_key_octets(family) + RATE_OCTETS;
            Some(FamilyStanding {
                global: Rate(read_u64(&head, 4 + 8 * family as usize)),
                systems: Rows::new(4 + RATE_OCTETS, systems)?,
                prefixes: Rows::new(prefix_octets, prefixes)?,
            })
        };
        let v4 = family(Family::V4, systems4, prefixes4).ok_or(KIND.shape())?;
        let v6 = family(Family::V6, systems6, prefixes6).ok_or(KIND.shape())?;
        Ok(Self { day: UtcDay(read_u32(&head, 0)), families: [v4, v6] })
    }

    fn family(&self, family: Family) -> &FamilyStanding {
        &self.families[family as usize]
    }
}

impl FamilyStanding {
    fn after<N: Number>(&self, census: &Census) -> FamilyStanding {
        let (family, counted) = (N::FAMILY, census.family(N::FAMILY));
        let today = Rate::global(counted.weight_ppm, census.announced.total(family));
        // The first day starts everything at its own rate.
        let before = if self.global == Rate(0) { today } else { self.global };
        let step = Step {
            start: before,
            today,
            global: before.smoothed(today),
            kappa: KAPPA[family as usize],
        };
        if counted.weight_ppm == 0 {
            return self.clone();
        }
        FamilyStanding {
            global: step.global,
            systems: step.rows(&self.systems, 4, systems(family, census, counted)),
            prefixes: step.rows(
                &self.prefixes,
                prefix_key_octets(family),
                prefixes::<N>(census, counted),
            ),
        }
    }
}

/// What one day does to every rate of a family.
struct Step {
    /// E_g before the day, where what is new starts.
    start: Rate,
    /// g of the day.
    today: Rate,
    /// E_g after the day.
    global: Rate,
    kappa: u64,
}

/// What was counted of one AS or prefix.
struct Observed {
    announced: u64,
    weight_ppm: u64,
}

impl Step {
    fn rate(&self, before: Rate, observed: &Observed) -> Rate {
        let Observed { announced, weight_ppm } = *observed;
        before.smoothed(Rate::shrunken(weight_ppm, announced, self.today, self.kappa))
    }

    /// The rows after the day. Keys come in ascending order in both.
    fn rows(
        &self,
        before: &Rows,
        key_octets: usize,
        today: impl Iterator<Item = (Key, Observed)>,
    ) -> Rows {
        let mut out = Vec::with_capacity(before.octets().len());
        let mut put = |key: &[u8], rate: Rate| {
            out.extend_from_slice(key);
            out.extend(rate.0.to_be_bytes());
        };
        let mut old = before.iter().peekable();
        let gone = |row: &[u8]| {
            let rate = self.rate(rate_of(row), &Observed { announced: 0, weight_ppm: 0 });
            rate.log_ratio_mban(self.global).is_some_and(|mban| mban > 0).then_some(rate)
        };
        for (key, observed) in today {
            while let Some(row) = old.next_if(|row| row[..key_octets] < key[..]) {
                gone(row).into_iter().for_each(|rate| put(&row[..key_octets], rate));
            }
            let known = old.next_if(|row| row[..key_octets] == key[..]).map(rate_of);
            put(&key, self.rate(known.unwrap_or(self.start), &observed));
        }
        for row in old {
            gone(row).into_iter().for_each(|rate| put(&row[..key_octets], rate));
        }
        Rows::new(key_octets + RATE_OCTETS, out.into()).expect("rows are written whole")
    }
}

/// All AS that announce something in a family, with their counts.
fn systems(
    family: Family,
    census: &Census,
    counted: &Counted,
) -> impl Iterator<Item = (Key, Observed)> {
    let mut listed = counted.systems.iter().peekable();
    let spaces = census.announced.spaces().iter();
    spaces.filter(move |space| space.announced(family) > 0).map(move |space| {
        let count = listed.next_if(|count| count.system == space.system);
        let weight_ppm = count.map_or(0, |count| count.weight_ppm);
        let observed = Observed { announced: space.announced(family), weight_ppm };
        (Key::from_slice(&system_key(space.system)), observed)
    })
}

/// All announced prefixes of a family, with their counts. A part of a /48 counts as one.
fn prefixes<N: Number>(
    census: &Census,
    counted: &Counted,
) -> impl Iterator<Item = (Key, Observed)> {
    let mut listed = counted.prefixes.iter().peekable();
    census.table.routes(N::FAMILY).map(move |route: Route<'_>| {
        let count = listed.next_if(|count| count.position == route.position());
        let weight_ppm = count.map_or(0, |count| count.weight_ppm);
        let announced = announced::units(&route).unwrap_or(1);
        let start = census.table.side::<N>().start::<N>(route.position());
        (prefix_key(start, route.length()), Observed { announced, weight_ppm })
    })
}

fn prefix_key_octets(family: Family) -> usize {
    match family {
        Family::V4 => <u32 as Number>::OCTETS + 1,
        Family::V6 => <u128 as Number>::OCTETS + 1,
    }
}

fn rate_of(row: &[u8]) -> Rate {
    let octets = row[row.len() - RATE_OCTETS..].try_into();
    Rate(u64::from_be_bytes(octets.expect("a row ends with a rate")))
}

/// The standing after the last whole day, and with today's counts so far.
///
/// Lists change through the day, and counting again replaces what the day gave before: only the
/// last count of a day goes into the days that follow.
#[derive(Debug, Clone, PartialEq)]
pub struct Reputation {
    closed: Standing,
    live: Standing,
}

impl Default for Reputation {
    fn default() -> Self {
        Self::start()
    }
}

impl Reputation {
    /// Before the first day.
    pub fn start() -> Self {
        Self { closed: Standing::start(), live: Standing::start() }
    }

    /// Goes on from the standings that were kept.
    pub fn resume(closed: Standing, live: Standing) -> Self {
        Self { closed, live }
    }

    /// Takes the counts of a day, as known so far: a new day closes the one before. The day that was
    /// closed last is not opened again, so that a clock that wavers around midnight counts no day
    /// twice; one that was far ahead and is right again goes on from what was closed last.
    pub fn counted(&self, census: &Census) -> Reputation {
        let (closed, live) = (self.closed.day, self.live.day);
        if census.day > live {
            return Self { closed: self.live.clone(), live: self.live.after(census) };
        }
        match census.day <= closed && closed.0 - census.day.0 <= 1 {
            true => self.clone(),
            false => Self { closed: self.closed.clone(), live: self.closed.after(census) },
        }
    }

    /// After the last whole day.
    pub fn closed(&self) -> &Standing {
        &self.closed
    }

    /// With today's counts: what the scorer and the tables use.
    pub fn live(&self) -> &Standing {
        &self.live
    }
}

#[cfg(test)]
mod tests;

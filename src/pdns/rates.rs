//! How much worse the names on an object are than names are elsewhere (SCORING 2.7).
//!
//! Few names say little: a rate of few is pulled towards that of what the object lies in, an
//! address towards its prefix, a prefix towards its AS, an AS towards everybody.

use crate::bgp::Rate;

/// How many names of everybody's an AS is mixed with.
const SYSTEM_PULL: u64 = 200;
/// How many names of its AS a prefix is mixed with.
const PREFIX_PULL: u64 = 50;
/// How many names of its prefix an address is mixed with.
const ADDRESS_PULL: u64 = 10;
/// How many names of everybody's the names of a name server are mixed with.
const SERVER_PULL: u64 = 20;
/// How many names of everybody's a group of siblings is mixed with.
const SIBLING_PULL: u64 = 5;

/// Names on an object: how many there are, and how many of them are malicious.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Count {
    /// Malicious ones.
    pub bad: u32,
    /// All.
    pub all: u32,
}

impl Count {
    /// One more.
    pub fn add(&mut self, bad: bool) {
        self.all += 1;
        self.bad += u32::from(bad);
    }

    /// The others, where `bad` tells of the one that is asked about.
    pub fn without_one(self, bad: bool) -> Self {
        Self { bad: self.bad.saturating_sub(u32::from(bad)), all: self.all.saturating_sub(1) }
    }

    fn rate(self, within: Rate, pull: u64) -> Rate {
        Rate::of_counts(self.bad, self.all, within, pull)
    }
}

/// Everybody's rate, against which all others are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Everybody(Rate);

/// Weights of an address's neighbourhood, in mban and not clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostWeights {
    /// Of the AS.
    pub system: i32,
    /// Of the prefix.
    pub prefix: i32,
    /// Of the address.
    pub address: i32,
}

impl Everybody {
    /// The rate of all names; none where none or all are malicious, since nothing differs then.
    pub fn of(count: Count) -> Option<Self> {
        let some = count.bad > 0 && count.bad < count.all;
        some.then(|| Self(Rate::of_counts(count.bad, count.all, Rate::default(), 0)))
    }

    /// What an address says, with what it lies in.
    pub fn host(self, system: Count, prefix: Count, address: Count) -> HostWeights {
        let of_system = system.rate(self.0, SYSTEM_PULL);
        let of_prefix = prefix.rate(of_system, PREFIX_PULL);
        let of_address = address.rate(of_prefix, ADDRESS_PULL);
        HostWeights {
            system: self.weight(of_system),
            prefix: self.weight(of_prefix),
            address: self.weight(of_address),
        }
    }

    /// What the names of a name server say.
    pub fn server(self, names: Count) -> i32 {
        self.weight(names.rate(self.0, SERVER_PULL))
    }

    /// What names say that were registered together.
    pub fn siblings(self, names: Count) -> i32 {
        self.weight(names.rate(self.0, SIBLING_PULL))
    }

    /// `1000 · (logit10 r − logit10 g)`.
    fn weight(self, rate: Rate) -> i32 {
        rate.odds().log_ratio_mban(self.0.odds()).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(bad: u32, all: u32) -> Count {
        Count { bad, all }
    }

    /// The vectors of SCORING 2.7, with g = 0.01; the scorer clamps to −400 and +1200.
    #[test]
    fn the_vectors_of_the_document_hold() {
        let everybody = Everybody::of(count(1, 100)).unwrap();
        let of = |system, prefix, address| {
            let w = everybody.host(system, prefix, address);
            [w.system, w.prefix, w.address].map(|w| w.clamp(-400, 1200))
        };
        assert_eq!(of(count(30, 1000), count(12, 80), count(5, 6)), [433, 1054, 1200]);
        assert_eq!(of(count(900, 200_000), count(40, 9000), count(3, 4100)), [-349, -355, -400]);
        assert_eq!(of(count(30, 1000), count(1, 40), count(1, 1)), [433, 421, 1107]);
        assert_eq!(of(count(0, 5000), count(0, 300), count(0, 20)), [-400, -400, -400]);
    }

    #[test]
    fn where_nothing_differs_nothing_is_said() {
        assert_eq!(Everybody::of(count(0, 100)), None);
        assert_eq!(Everybody::of(count(100, 100)), None);
        let everybody = Everybody::of(count(1, 100)).unwrap();
        assert_eq!(everybody.server(Count::default()), 0);
        assert_eq!(everybody.siblings(count(0, 0)), 0);
    }
}

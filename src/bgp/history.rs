//! The last days, kept: how ranks went, and whether they rise or fall.

use super::day::{Day, DayRecord, UtcDay};
use super::family::Family;

/// How many days of history are kept, counted from the newest: as many as CIRCL's BGP Ranking shows
/// unless asked for more (`period` of `asn_history`).
pub const DAYS_KEPT: u32 = 100;

/// A trend compares with this many days before: the time in which half is forgotten.
const TREND_DAYS: u32 = 7;

/// The last days, in order.
#[derive(Debug, Clone, Default)]
pub struct History {
    days: Vec<Day>,
}

impl History {
    /// Takes a day, in the place of what was known of it. Days come in their order; those too old by
    /// then are forgotten, and so are days that lie ahead, of a clock that was wrong.
    pub fn insert(&mut self, day: Day) {
        let newest = day.day();
        self.days.retain(|known| known.day() < newest && newest.0 - known.day().0 < DAYS_KEPT);
        self.days.push(day);
    }

    /// The days, the oldest first.
    pub fn days(&self) -> &[Day] {
        &self.days
    }

    /// The newest day.
    pub fn newest(&self) -> Option<&Day> {
        self.days.last()
    }

    /// What each day gave for an AS, the oldest first. Days without a record are there without one.
    pub fn of_system(
        &self,
        family: Family,
        system: u32,
    ) -> impl Iterator<Item = (UtcDay, Option<DayRecord>)> {
        self.days.iter().map(move |day| (day.day(), day.system(family, system)))
    }

    /// By how much the unclamped rank of an AS changed, in mban, since a week before the newest day
    /// or the last day known before that; a day without a record counts as rank 0. None while the
    /// history is too short.
    pub fn trend_mban(&self, family: Family, system: u32) -> Option<i32> {
        let newest = self.newest()?;
        let before = self.days.iter().rfind(|day| newest.day().0 - day.day().0 >= TREND_DAYS)?;
        let rank = |day: &Day| {
            day.system(family, system).map_or(0, |record| i32::from(record.log_ratio_mban))
        };
        Some(rank(newest) - rank(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::Reputation;
    use crate::bgp::census::tests::{census, list};

    const ROUTES: &[(&str, &[u32])] =
        &[("192.0.2.0/24", &[64500]), ("198.51.100.0/22", &[64501]), ("2001:db8::/32", &[64502])];

    fn days(listed: &[(u32, &str)]) -> History {
        let (mut reputation, mut history) = (Reputation::start(), History::default());
        for (day, text) in listed {
            let lists = [list("one", 50, 5, text), list("two", 90, 3, "192.0.2.9 2001:db8::1")];
            let census = census(*day, ROUTES, &lists, "");
            reputation = reputation.counted(&census);
            history.insert(Day::of(reputation.live(), &census));
        }
        history
    }

    #[test]
    fn the_trend_is_the_change_in_a_week_and_unknown_before() {
        let mut listed: Vec<(u32, &str)> = (100..107).map(|day| (day, "198.51.100.1")).collect();
        assert_eq!(days(&listed).trend_mban(Family::V4, 64501), None);
        listed.push((107, "198.51.100.1 198.51.100.2 198.51.100.3"));
        let history = days(&listed);
        let [first, last] = [0, 7].map(|at| history.days()[at].system(Family::V4, 64501));
        let [first, last] = [first, last].map(|record| i32::from(record.unwrap().log_ratio_mban));
        assert_eq!(history.trend_mban(Family::V4, 64501), Some(last - first));
        assert_ne!(last, first);
        assert_eq!(history.trend_mban(Family::V4, 1), Some(0));
    }

    #[test]
    fn a_day_is_replaced_and_old_ones_go() {
        let mut history = days(&[(1, "192.0.2.1"), (2, "192.0.2.1")]);
        let again = days(&[(2, "192.0.2.1 192.0.2.2")]);
        history.insert(again.newest().unwrap().clone());
        assert_eq!(history.days().len(), 2);
        assert_eq!(history.newest().unwrap().system(Family::V4, 64500).unwrap().listed, 3);
        history.insert(days(&[(2 + DAYS_KEPT - 1, "192.0.2.1")]).newest().unwrap().clone());
        assert_eq!(history.days().iter().map(|day| day.day().0).collect::<Vec<_>>(), [2, 101]);
        history.insert(days(&[(3, "192.0.2.1")]).newest().unwrap().clone());
        assert_eq!(history.days().iter().map(|day| day.day().0).collect::<Vec<_>>(), [2, 3]);
        let seen = history.of_system(Family::V4, 64500).filter(|(_, record)| record.is_some());
        assert_eq!(seen.count(), 2);
    }

    #[test]
    fn an_as_stays_in_the_days_as_long_as_its_rank_is_above_0() {
        let both = "192.0.2.1 192.0.2.2 198.51.100.1";
        let on = |day, text| census(day, ROUTES, &[list("one", 50, 5, text)], "");
        let after = on(2, "198.51.100.1");
        let reputation = Reputation::start().counted(&on(1, both)).counted(&after);
        let record = Day::of(reputation.live(), &after).system(Family::V4, 64500).unwrap();
        assert_eq!((record.listed, record.circl), (0, 0.0));
        assert!(record.log_ratio_mban > 0, "{record:?}");
    }
}

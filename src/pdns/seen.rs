//! When a name was seen, on which days, and by how many.

use smallvec::SmallVec;

use super::DAY_SECONDS;
use crate::model::Timestamp;

/// Clients of a day are told apart up to so many: guards ask for five, people for "many".
pub const CLIENTS_MAX: usize = 16;
/// Days that are told apart, the last one included: the bits of a word, and more than the sixty
/// that a local history looks back on (SCORING 2.6).
const DAYS: u32 = 64;
/// A local history looks back on so many days (SCORING 2.6).
const HISTORY_DAYS: u32 = 60;
/// It needs so many of them.
const HISTORY_DAYS_MIN: u32 = 30;
/// And so many clients on one day. Clients of different days cannot be told apart, by design, so
/// this asks for more than "five clients in sixty days".
const HISTORY_CLIENTS_MIN: u8 = 5;

/// A client as far as it is remembered: a hash of its address under a key of the day. Two clients
/// in some thousand share one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ClientMark(pub u16);

/// When a name was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// First.
    pub first_at: Timestamp,
    /// Last.
    pub last_at: Timestamp,
    /// The days it was seen on: bit 0 is that of `last_at`, the next is the day before.
    pub days: u64,
    /// The most clients of one day, at most [`CLIENTS_MAX`].
    pub clients: u8,
    /// Queries on the day of `last_at`, and on the day before it.
    pub queries: [u32; 2],
    today: SmallVec<[ClientMark; 4]>,
}

fn day(at: Timestamp) -> u32 {
    at.0 / DAY_SECONDS
}

impl Seen {
    /// Seen once.
    pub fn at(at: Timestamp) -> Self {
        Self::restored(at, at, 1, 0, [0, 0])
    }

    /// As it was kept. The clients of the day are forgotten with a restart; their number stays.
    pub fn restored(
        first_at: Timestamp,
        last_at: Timestamp,
        days: u64,
        clients: u8,
        queries: [u32; 2],
    ) -> Self {
        let (first_at, days) = (first_at.min(last_at), days | 1);
        Self { first_at, last_at, days, clients, queries, today: SmallVec::new() }
    }

    /// Notes that it was resolved. A clock that was set back neither undoes nor invents a day.
    pub fn note(&mut self, at: Timestamp) {
        self.first_at = self.first_at.min(at);
        if at <= self.last_at {
            let back = day(self.last_at) - day(at);
            if back < DAYS {
                self.days |= 1 << back;
            }
            return;
        }
        let forward = day(at) - day(self.last_at);
        if forward > 0 {
            self.days = if forward < DAYS { self.days << forward | 1 } else { 1 };
            self.queries = [0, if forward == 1 { self.queries[0] } else { 0 }];
            self.today.clear();
        }
        self.last_at = at;
    }

    /// Notes that a client asked for it.
    pub fn note_query(&mut self, at: Timestamp, client: ClientMark) {
        self.note(at);
        if day(at) != day(self.last_at) {
            return;
        }
        self.queries[0] = self.queries[0].saturating_add(1);
        if self.today.len() < CLIENTS_MAX && !self.today.contains(&client) {
            self.today.push(client);
            self.clients = self.clients.max(self.today.len() as u8);
        }
    }

    /// On how many of the last `span` days, today included, it was seen.
    pub fn days_within(&self, span: u32, now: Timestamp) -> u32 {
        let since = day(now).saturating_sub(day(self.last_at));
        match span.checked_sub(since) {
            None | Some(0) => 0,
            Some(left) if left >= DAYS => self.days.count_ones(),
            Some(left) => (self.days & ((1u64 << left) - 1)).count_ones(),
        }
    }

    /// Whether people here have used it for long (SCORING 2.6).
    pub fn is_local_history(&self, now: Timestamp) -> bool {
        self.clients >= HISTORY_CLIENTS_MIN
            && self.days_within(HISTORY_DAYS, now) >= HISTORY_DAYS_MIN
    }

    /// About how many queries there were in the last 24 hours: those of today, and of yesterday's
    /// the part that is less than a day ago.
    pub fn queries_of_a_day(&self, now: Timestamp) -> u32 {
        let left = u64::from(DAY_SECONDS - now.0 % DAY_SECONDS);
        let part = |count: u32| (u64::from(count) * left / u64::from(DAY_SECONDS)) as u32;
        match day(now).saturating_sub(day(self.last_at)) {
            0 => self.queries[0].saturating_add(part(self.queries[1])),
            1 => part(self.queries[0]),
            _ => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(day: u32) -> Timestamp {
        Timestamp(day * DAY_SECONDS + 3600)
    }

    #[test]
    fn days_are_counted_once_and_forgotten_after_their_time() {
        let mut seen = Seen::at(on(100));
        for day in [100, 101, 101, 103] {
            seen.note(on(day));
        }
        assert_eq!(seen.days_within(60, on(103)), 3);
        assert_eq!(seen.days_within(2, on(103)), 1);
        assert_eq!(seen.days_within(3, on(104)), 1);
        assert_eq!(seen.days_within(60, on(163)), 0);
        seen.note(on(300));
        assert_eq!((seen.days_within(60, on(300)), seen.first_at), (1, on(100)));
    }

    #[test]
    fn a_clock_that_is_set_back_invents_no_day() {
        let mut seen = Seen::at(on(100));
        seen.note(on(98));
        seen.note(on(100));
        assert_eq!(
            (seen.days_within(60, on(100)), seen.first_at, seen.last_at),
            (2, on(98), on(100))
        );
    }

    #[test]
    fn a_local_history_takes_thirty_days_and_five_clients() {
        let mut seen = Seen::at(on(1));
        for day in 1..=30 {
            (0..4).for_each(|client| seen.note_query(on(day), ClientMark(client)));
        }
        assert!(!seen.is_local_history(on(30)), "four clients");
        seen.note_query(on(30), ClientMark(9));
        assert!(seen.is_local_history(on(30)));
        assert!(!seen.is_local_history(on(62)), "the first days are too long ago");
    }

    #[test]
    fn clients_are_counted_a_day_and_up_to_a_bound() {
        let mut seen = Seen::at(on(1));
        (0..3).for_each(|client| seen.note_query(on(1), ClientMark(client)));
        (0..3).for_each(|client| seen.note_query(on(2), ClientMark(100 + client)));
        assert_eq!(seen.clients, 3);
        (0..1000).for_each(|client| seen.note_query(on(3), ClientMark(client)));
        assert_eq!(usize::from(seen.clients), CLIENTS_MAX);
    }

    #[test]
    fn queries_of_the_last_day_fade_with_it() {
        let mut seen = Seen::at(on(1));
        (0..240).for_each(|_| seen.note_query(on(1), ClientMark(1)));
        assert_eq!(seen.queries_of_a_day(on(1)), 240);
        let noon = Timestamp(2 * DAY_SECONDS + DAY_SECONDS / 2);
        assert_eq!(seen.queries_of_a_day(noon), 120);
        seen.note_query(noon, ClientMark(1));
        assert_eq!(seen.queries_of_a_day(noon), 121);
        assert_eq!(seen.queries_of_a_day(on(3)), 0, "of one query less than one is left");
    }
}

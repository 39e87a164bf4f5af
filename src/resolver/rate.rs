//! How often a client is answered: response rate limiting over UDP, so that forged questions make
//! no flood at somebody else (as BIND and Knot do it), and a bound on each client's questions.
//!
//! Both are token buckets in a table of fixed size under a keyed hash: an account that is pushed
//! out by another begins anew, in favour of the client. Time is an argument.

use std::net::IpAddr;

use parking_lot::Mutex;
use xxhash_rust::xxh3::Xxh3;

use super::access::Access;

/// Accounts, 24 octets each. A flood of forged sources fills them and gets no more.
const ACCOUNTS: usize = 1 << 16;
/// Locks over the accounts, so that threads seldom meet.
const SHARDS: usize = 64;

/// How often clients are answered. A rate of 0 means no bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RateSettings {
    /// The same response to one network, over UDP without a cookie of ours, so often a second.
    pub responses_per_second: u32,
    /// Every so many responses beyond that one leaves truncated, so that a real client comes back
    /// over TCP; 0 sends none, 1 all of them (BIND's `slip`).
    pub slip: u32,
    /// For how many seconds a network pays for what came beyond the rate (BIND's `window`).
    pub window_seconds: u32,
    /// Prefix lengths of what counts as one network.
    pub v4_prefix: u8,
    /// The same for IPv6.
    pub v6_prefix: u8,
    /// Questions of one client (an IPv4 address, an IPv6 /64), over all transports, so often a
    /// second.
    pub client_queries_per_second: u32,
    /// Clients without bounds.
    pub exempt: Access,
}

impl Default for RateSettings {
    /// Switched off. The other figures are BIND's defaults.
    fn default() -> Self {
        Self {
            responses_per_second: 0,
            slip: 2,
            window_seconds: 15,
            v4_prefix: 24,
            v6_prefix: 56,
            client_queries_per_second: 0,
            exempt: Access::new(&[]),
        }
    }
}

/// What is to be done with a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sending {
    /// It leaves.
    Whole,
    /// The client is asked to come back over TCP.
    Truncated,
    /// Nothing leaves.
    Nothing,
}

/// What is alike among responses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind<'q> {
    /// Records or NODATA: the same name (wire form) and type.
    Data(&'q [u8], u16),
    /// Names that do not exist, of any name.
    NoName,
    /// Errors of any kind.
    Error,
}

#[derive(Debug, Clone, Copy, Default)]
struct Account {
    tag: u64,
    /// In thousandths of a response.
    balance: i64,
    /// Milliseconds; when the balance was right.
    at: u64,
    beyond: u32,
}

/// The accounts.
#[derive(Debug)]
pub struct Rates {
    seed: u64,
    shards: Box<[Mutex<Box<[Account]>>]>,
}

impl Rates {
    /// Empty accounts under a secret that keys their places.
    pub fn new(seed: u64) -> Self {
        let shard = || Mutex::new(vec![Account::default(); ACCOUNTS / SHARDS].into());
        Self { seed, shards: (0..SHARDS).map(|_| shard()).collect() }
    }

    /// Whether one more question of a client is taken at `now`, in milliseconds.
    pub fn take_query(&self, settings: &RateSettings, client: IpAddr, now: u64) -> bool {
        let rate = settings.client_queries_per_second;
        if rate == 0 || settings.exempt.allows(client) {
            return true;
        }
        let tag = self.tag(network(client, 32, 64), &[0], &[]);
        self.charge(tag, rate, 0, now).is_none()
    }

    /// What is to be done with a response over UDP at `now`, in milliseconds.
    pub fn response(
        &self,
        settings: &RateSettings,
        client: IpAddr,
        kind: Kind<'_>,
        now: u64,
    ) -> Sending {
        let rate = settings.responses_per_second;
        if rate == 0 || settings.exempt.allows(client) {
            return Sending::Whole;
        }
        let network = network(client, settings.v4_prefix, settings.v6_prefix);
        let tag = match kind {
            Kind::Data(name, rtype) => {
                let name = name.to_ascii_lowercase();
                self.tag(network, &name, &rtype.to_be_bytes())
            }
            Kind::NoName => self.tag(network, &[1], &[]),
            Kind::Error => self.tag(network, &[2], &[]),
        };
        match self.charge(tag, rate, settings.window_seconds, now) {
            None => Sending::Whole,
            Some(beyond) if settings.slip > 0 && beyond % settings.slip == 0 => Sending::Truncated,
            Some(_) => Sending::Nothing,
        }
    }

    fn tag(&self, network: u128, what: &[u8], rest: &[u8]) -> u64 {
        let mut hasher = Xxh3::with_seed(self.seed);
        hasher.update(&network.to_be_bytes());
        hasher.update(what);
        hasher.update(rest);
        hasher.digest()
    }

    /// Takes one from an account; how many were beyond the rate, if this one is.
    fn charge(&self, tag: u64, rate: u32, window_seconds: u32, now: u64) -> Option<u32> {
        let place = usize::try_from(tag % ACCOUNTS as u64).unwrap_or_default();
        let mut shard = self.shards[place % SHARDS].lock();
        let account = &mut shard[place / SHARDS];
        let whole = i64::from(rate) * 1000;
        if account.tag != tag {
            *account = Account { tag, balance: whole, at: now, beyond: 0 };
        }
        let passed = i64::try_from(now.saturating_sub(account.at)).unwrap_or(i64::MAX);
        let earned = passed.saturating_mul(i64::from(rate));
        account.balance = account.balance.saturating_add(earned).min(whole);
        account.at = now.max(account.at);
        let least = -whole * i64::from(window_seconds);
        account.balance = (account.balance - 1000).max(least.min(-1000));
        if account.balance >= 0 {
            account.beyond = 0;
            return None;
        }
        if window_seconds == 0 {
            // What is not taken costs nothing.
            account.balance += 1000;
        }
        account.beyond = account.beyond.wrapping_add(1);
        Some(account.beyond)
    }
}

fn network(client: IpAddr, v4_prefix: u8, v6_prefix: u8) -> u128 {
    match client.to_canonical() {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(v4_prefix.min(32))).unwrap_or(0);
            u128::from(v4.to_bits() & mask) | 0xffff << 32
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(v6_prefix.min(128))).unwrap_or(0);
            v6.to_bits() & mask
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Network;

    fn settings() -> RateSettings {
        RateSettings { responses_per_second: 5, slip: 2, ..RateSettings::default() }
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn beyond_the_rate_every_second_response_is_truncated_and_others_are_left_alone() {
        let (rates, settings) = (Rates::new(7), settings());
        let kind = Kind::Data(b"\x01a\0", 1);
        let send = |client: &str, kind, now| rates.response(&settings, address(client), kind, now);
        for n in 0..5 {
            assert_eq!(send("192.0.2.1", kind, 0), Sending::Whole, "{n}");
        }
        let beyond = [Sending::Nothing, Sending::Truncated, Sending::Nothing, Sending::Truncated];
        assert_eq!([(); 4].map(|()| send("192.0.2.99", Kind::Data(b"\x01A\0", 1), 0)), beyond);
        assert_eq!(send("192.0.3.1", kind, 0), Sending::Whole, "another network");
        assert_eq!(send("192.0.2.1", Kind::Data(b"\x01b\0", 1), 0), Sending::Whole, "other names");
        assert_eq!(send("192.0.2.1", Kind::NoName, 0), Sending::Whole);
        // Four were beyond: the debt takes 0.8 seconds, the next response 0.2.
        assert_eq!(send("192.0.2.1", kind, 990), Sending::Nothing);
        assert_eq!(send("192.0.2.1", kind, 1_400), Sending::Whole);
    }

    #[test]
    fn the_debt_has_an_end() {
        let (rates, settings) = (Rates::new(7), settings());
        let send = |now| rates.response(&settings, address("2001:db8::1"), Kind::Error, now);
        (0..10_000).for_each(|_| {
            send(0);
        });
        assert_ne!(send(14_000), Sending::Whole);
        assert_eq!(send(31_000), Sending::Whole);
    }

    #[test]
    fn a_client_asks_no_more_often_than_it_may_and_exempt_ones_as_they_like() {
        let rates = Rates::new(7);
        let exempt = Access::new(&[Network::parse_strict("127.0.0.1").unwrap()]);
        let settings =
            RateSettings { client_queries_per_second: 10, exempt, ..RateSettings::default() };
        let taken = |client: &str, now| {
            (0..100).filter(|_| rates.take_query(&settings, address(client), now)).count()
        };
        assert_eq!(taken("2001:db8::1", 0), 10);
        assert_eq!(taken("2001:db8::2", 0), 0, "the same /64");
        assert_eq!(taken("2001:db8::1", 500), 5);
        assert_eq!(taken("127.0.0.1", 0), 100);
        let off = RateSettings::default();
        assert!((0..100).all(|_| rates.take_query(&off, address("192.0.2.1"), 0)));
    }
}

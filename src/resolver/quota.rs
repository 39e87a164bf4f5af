//! Bounds on what is under way at once, over all and for one client.
//!
//! One client is an IPv4 address or an IPv6 /64, for a single machine can use all addresses of
//! one (RFC 6177 section 2).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::Notify;

/// How much may be under way at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Over all clients.
    pub all_max: usize,
    /// For one client.
    pub client_max: usize,
}

/// Which limit is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// That over all clients.
    All,
    /// That for this client.
    Client,
}

/// Counts what is under way.
#[derive(Debug)]
pub struct Quota {
    limits: Limits,
    counts: Mutex<Counts>,
    idle: Notify,
}

#[derive(Debug, Default)]
struct Counts {
    all: usize,
    clients: HashMap<ClientKey, usize, foldhash::fast::RandomState>,
}

type ClientKey = u128;

/// One thing under way; dropping it ends it.
#[derive(Debug)]
pub struct Permit {
    quota: Arc<Quota>,
    client: ClientKey,
}

impl Quota {
    /// A quota with nothing under way.
    pub fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self { limits, counts: Mutex::default(), idle: Notify::new() })
    }

    /// One more for a client, unless a limit is reached.
    pub fn enter(self: &Arc<Self>, client: IpAddr) -> Result<Permit, Full> {
        let client = client_key(client);
        let mut counts = self.counts.lock();
        if counts.all >= self.limits.all_max {
            return Err(Full::All);
        }
        // A client without an entry has nothing under way, and a limit of 0 is the caller's wish.
        let of_client = counts.clients.get(&client).copied().unwrap_or_default();
        if of_client >= self.limits.client_max {
            return Err(Full::Client);
        }
        counts.clients.insert(client, of_client + 1);
        counts.all += 1;
        Ok(Permit { quota: Arc::clone(self), client })
    }

    /// How much is under way.
    pub fn count(&self) -> usize {
        self.counts.lock().all
    }

    /// Waits until nothing is under way.
    pub async fn idle(&self) {
        let mut idle = std::pin::pin!(self.idle.notified());
        loop {
            // Registered before the count is read, so that no ending goes unheard.
            idle.as_mut().enable();
            if self.count() == 0 {
                return;
            }
            idle.as_mut().await;
            idle.set(self.idle.notified());
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut counts = self.quota.counts.lock();
        counts.all -= 1;
        if let Some(of_client) = counts.clients.get_mut(&self.client) {
            *of_client -= 1;
            if *of_client == 0 {
                counts.clients.remove(&self.client);
            }
        }
        if counts.all == 0 {
            self.quota.idle.notify_waiters();
        }
    }
}

fn client_key(client: IpAddr) -> ClientKey {
    match client.to_canonical() {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().to_bits(),
        IpAddr::V6(v6) => v6.to_bits() & !u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn neither_one_client_nor_all_together_go_beyond_their_limit() {
        let quota = Quota::new(Limits { all_max: 3, client_max: 2 });
        let first = quota.enter(address("2001:db8::1")).unwrap();
        let _second = quota.enter(address("2001:db8::2")).unwrap();
        assert_eq!(quota.enter(address("2001:db8::3")).unwrap_err(), Full::Client);
        let third = quota.enter(address("192.0.2.1")).unwrap();
        assert_eq!(quota.enter(address("192.0.2.2")).unwrap_err(), Full::All);
        drop(third);
        assert_eq!(quota.enter(address("2001:db8::3")).unwrap_err(), Full::Client);
        drop(first);
        assert!(quota.enter(address("2001:db8::3")).is_ok());
    }

    #[test]
    fn clients_that_are_done_leave_nothing_behind() {
        let quota = Quota::new(Limits { all_max: 100, client_max: 2 });
        for n in 0..50 {
            quota.enter(IpAddr::from([192, 0, 2, n])).unwrap();
        }
        assert_eq!(quota.count(), 0);
        assert!(quota.counts.lock().clients.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn idle_waits_for_the_last() {
        let quota = Quota::new(Limits { all_max: 3, client_max: 2 });
        quota.idle().await;
        let permits =
            [quota.enter(address("192.0.2.1")).unwrap(), quota.enter(address("::1")).unwrap()];
        let waiting = tokio::spawn({
            let quota = Arc::clone(&quota);
            async move { quota.idle().await }
        });
        for permit in permits {
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
            assert!(!waiting.is_finished());
            drop(permit);
        }
        waiting.await.unwrap();
    }
}

//! Counters of the query path.
//!
//! Each thread that answers queries holds its own [`Shard`] and adds to counters that no other
//! thread writes, so that counting costs a few nanoseconds at any rate; a scrape adds the shards
//! up. Shards may be shared between tasks, which is slower but loses nothing.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

/// How a query came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(usize)]
pub enum Transport {
    /// UDP (RFC 1035).
    Udp,
    /// TCP (RFC 7766).
    Tcp,
    /// DNS over TLS (RFC 7858).
    Dot,
    /// DNS over HTTPS on HTTP/2 (RFC 8484).
    Doh,
    /// DNS over QUIC (RFC 9250).
    Doq,
    /// DNS over HTTPS on HTTP/3.
    Doh3,
}

impl Transport {
    /// All of them.
    pub const ALL: [Transport; 6] =
        [Self::Udp, Self::Tcp, Self::Dot, Self::Doh, Self::Doq, Self::Doh3];

    /// The word used in metrics and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Dot => "dot",
            Self::Doh => "doh",
            Self::Doq => "doq",
            Self::Doh3 => "doh3",
        }
    }
}

/// What became of a query. Each query has exactly one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
#[repr(usize)]
pub enum Outcome {
    /// Answered as it was resolved, NXDOMAIN and NODATA included.
    Resolved,
    /// Policy wrote the answer.
    Rewritten,
    /// Policy sent a short truncated answer, so that the client comes back over TCP.
    Truncated,
    /// Policy kept silent.
    Silent,
    /// SERVFAIL: it could not be resolved.
    Failed,
    /// REFUSED: the client may not ask, or not this.
    Refused,
    /// FORMERR, NOTIMP or BADVERS: the question could not be taken as it was put.
    Malformed,
    /// No answer, and policy is not why; [`Loss`] says what is.
    Lost,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Outcome; 8] = [
        Self::Resolved,
        Self::Rewritten,
        Self::Truncated,
        Self::Silent,
        Self::Failed,
        Self::Refused,
        Self::Malformed,
        Self::Lost,
    ];

    /// The word used in metrics and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolved => "resolved",
            Self::Rewritten => "rewritten",
            Self::Truncated => "truncated",
            Self::Silent => "silent",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Malformed => "malformed",
            Self::Lost => "lost",
        }
    }
}

/// Why a query was lost without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum Loss {
    /// The queue to the resolver was full.
    QueueFull,
    /// The client asked more than its rate allows.
    RateLimited,
    /// Too short for a header, or itself an answer.
    NoQuery,
    /// The system did not take the answer.
    SendFailed,
    /// The client hung up first.
    Closed,
}

impl Loss {
    /// All of them.
    pub const ALL: [Loss; 5] =
        [Self::QueueFull, Self::RateLimited, Self::NoQuery, Self::SendFailed, Self::Closed];

    /// The word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::QueueFull => "queue-full",
            Self::RateLimited => "rate-limited",
            Self::NoQuery => "no-query",
            Self::SendFailed => "send-failed",
            Self::Closed => "closed",
        }
    }
}

/// What the cache had for a query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(usize)]
pub enum CacheLookup {
    /// A fresh answer.
    Hit,
    /// An answer past its time that was served all the same (RFC 8767).
    Stale,
    /// Nothing.
    Miss,
}

impl CacheLookup {
    /// All of them.
    pub const ALL: [CacheLookup; 3] = [Self::Hit, Self::Stale, Self::Miss];

    /// The word used in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
        }
    }
}

/// One thread's counters. Aligned so that two shards share no cache line, nor the pair of lines
/// that x86 fetches together.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Shard {
    queries: [[AtomicU64; Outcome::ALL.len()]; Transport::ALL.len()],
    losses: [AtomicU64; Loss::ALL.len()],
    cache_lookups: [AtomicU64; CacheLookup::ALL.len()],
}

impl Shard {
    /// Counts a query that is done with. For one without an answer use [`Shard::lost`].
    pub fn query(&self, transport: Transport, outcome: Outcome) {
        self.queries[transport as usize][outcome as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a query that gets no answer, with the reason.
    pub fn lost(&self, transport: Transport, loss: Loss) {
        self.query(transport, Outcome::Lost);
        self.losses[loss as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer that the system did not take, of a query that is counted already.
    pub fn unsent(&self) {
        self.losses[Loss::SendFailed as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a look into the cache.
    pub fn cache(&self, lookup: CacheLookup) {
        self.cache_lookups[lookup as usize].fetch_add(1, Ordering::Relaxed);
    }
}

/// All shards of a process; cloning shares them.
#[derive(Clone, Default)]
pub(in crate::telemetry) struct Shards(Arc<Mutex<Vec<Arc<Shard>>>>);

impl Shards {
    /// One more shard, kept for as long as the process counts, so that no total goes back when a
    /// thread ends.
    pub fn add(&self) -> Arc<Shard> {
        let shard = Arc::new(Shard::default());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(shard.clone());
        shard
    }

    fn sum(&self, counter: impl Fn(&Shard) -> &AtomicU64) -> u64 {
        let shards = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shards.iter().map(|shard| counter(shard).load(Ordering::Relaxed)).sum()
    }

    /// Queries with `outcome` over all transports.
    pub fn queries(&self, outcome: Outcome) -> u64 {
        Transport::ALL.iter().map(|t| self.sum(|s| &s.queries[*t as usize][outcome as usize])).sum()
    }
}

impl fmt::Debug for Shards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shards")
    }
}

impl Collector for Shards {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let queries = Transport::ALL.iter().flat_map(|t| {
            Outcome::ALL.iter().map(move |o| {
                let labels = [("transport", t.as_str()), ("outcome", o.as_str())];
                (labels, self.sum(|s| &s.queries[*t as usize][*o as usize]))
            })
        });
        family(&mut encoder, "queries", "Queries by transport and outcome", queries)?;
        let losses = Loss::ALL
            .iter()
            .map(|l| ([("reason", l.as_str())], self.sum(|s| &s.losses[*l as usize])));
        family(&mut encoder, "queries_lost", "Queries without an answer, by reason", losses)?;
        let lookups = CacheLookup::ALL
            .iter()
            .map(|c| ([("result", c.as_str())], self.sum(|s| &s.cache_lookups[*c as usize])));
        family(&mut encoder, "cache_lookups", "Looks into the cache, by result", lookups)
    }
}

fn family<L: EncodeLabelSet>(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    series: impl Iterator<Item = (L, u64)>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, count) in series {
        ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_at_the_place_of_their_number() {
        assert!(Transport::ALL.iter().enumerate().all(|(at, t)| *t as usize == at));
        assert!(Outcome::ALL.iter().enumerate().all(|(at, o)| *o as usize == at));
        assert!(Loss::ALL.iter().enumerate().all(|(at, l)| *l as usize == at));
        assert!(CacheLookup::ALL.iter().enumerate().all(|(at, c)| *c as usize == at));
    }

    #[test]
    fn shards_of_ended_threads_still_count() {
        let shards = Shards::default();
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let shard = shards.add();
                std::thread::spawn(move || {
                    (0..1000).for_each(|_| shard.query(Transport::Udp, Outcome::Resolved));
                    shard.lost(Transport::Tcp, Loss::QueueFull);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(shards.queries(Outcome::Resolved), 4000);
        assert_eq!(shards.queries(Outcome::Lost), 4);
    }

    #[test]
    fn two_shards_share_no_cache_line() {
        assert_eq!(align_of::<Shard>(), 128);
        assert_eq!(size_of::<Shard>() % 128, 0);
    }
}

//! Every series the program keeps, under one prefix in one registry that is passed in.
//!
//! Names carry their units, labels come from small fixed sets or from names in the configuration,
//! and never from a query, a client or a server met on the way. A point in time is a timestamp
//! series, from which the reader takes an age (`time() - sekisho_feed_refreshed_timestamp_seconds`),
//! so that an age keeps growing when nothing updates it any more.

use std::sync::Arc;

use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::hits::{Hits, ZoneHits};
use super::secondaries::SecondaryMetrics;
use super::shard::{Outcome, Shard, Shards};
use super::transfers::Transfers;
use crate::model::{SourceId, Timestamp};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What every name begins with.
const PREFIX: &str = "sekisho";

/// Upper bounds in seconds: a server nearby answers within one millisecond, and resolvers give up
/// after some ten seconds.
const UPSTREAM_BUCKETS: [f64; 13] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Upper bounds in seconds: an edited rule is in force within a millisecond, a rebuild of some
/// million names takes seconds.
const REBUILD_BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.01, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

type FeedLabel = [(&'static str, Arc<str>); 1];
type NameLabel = [(&'static str, Box<str>); 1];

/// All series.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    shards: Shards,
    hits: Hits,
    upstream_duration: Family<NameLabel, Histogram, fn() -> Histogram>,
    upstream_failures: Family<NameLabel, Counter>,
    feed_entries: Family<FeedLabel, Gauge>,
    feed_rejects: Family<FeedLabel, Gauge>,
    feed_refreshed: Family<FeedLabel, Gauge>,
    feed_failures: Family<FeedLabel, Counter>,
    feed_held: Family<FeedLabel, Gauge>,
    feed_breaches: Family<[(&'static str, Arc<str>); 2], Counter>,
    rebuild_duration: Histogram,
    snapshot_rules: Gauge,
    snapshot_swapped: Gauge,
    /// Zones that come from other publishers.
    pub secondaries: SecondaryMetrics,
    zone_serial: Family<NameLabel, Gauge>,
    zone_rules: Family<NameLabel, Gauge>,
    policy_accepted: Gauge,
    policy_loaded: Gauge,
    /// Queries that wait for an upstream answer now.
    pub queries_in_flight: Gauge,
    /// Answers in the cache now.
    pub cache_entries: Gauge,
    /// What the cache holds in memory now, in octets.
    pub cache_size_bytes: Gauge,
    /// Query events that no subscriber was quick enough to take.
    pub events_dropped: Counter,
    /// Zones that leave by transfer.
    pub transfers: Transfers,
}

/// One place where answers come from.
#[derive(Debug, Clone)]
pub struct Upstream {
    duration: Histogram,
    failures: Counter,
}

impl Upstream {
    /// An answer came after so many seconds, whatever its response code.
    pub fn answered(&self, seconds: f64) {
        self.duration.observe(seconds);
    }

    /// No answer that could be used came in time.
    pub fn failed(&self) {
        self.failures.inc();
    }
}

impl Metrics {
    /// Adds all series to `registry`, below the prefix `sekisho`. `version` is the program's.
    pub fn new(mut registry: Registry, version: &str) -> Metrics {
        let metrics = Metrics {
            registry: Registry::default(),
            shards: Shards::default(),
            hits: Hits::default(),
            upstream_duration: Family::new_with_constructor(|| Histogram::new(UPSTREAM_BUCKETS)),
            upstream_failures: Family::default(),
            feed_entries: Family::default(),
            feed_rejects: Family::default(),
            feed_refreshed: Family::default(),
            feed_failures: Family::default(),
            feed_held: Family::default(),
            feed_breaches: Family::default(),
            rebuild_duration: Histogram::new(REBUILD_BUCKETS),
            snapshot_rules: Gauge::default(),
            snapshot_swapped: Gauge::default(),
            secondaries: SecondaryMetrics::default(),
            zone_serial: Family::default(),
            zone_rules: Family::default(),
            policy_accepted: Gauge::default(),
            policy_loaded: Gauge::default(),
            queries_in_flight: Gauge::default(),
            cache_entries: Gauge::default(),
            cache_size_bytes: Gauge::default(),
            events_dropped: Counter::default(),
            transfers: Transfers::default(),
        };
        let ours = registry.sub_registry_with_prefix(PREFIX);
        ours.register("build", "The program", Info::new([("version", version.to_owned())]));
        metrics.register_queries(ours);
        metrics.register_decisions(ours);
        metrics.register_feeds(ours);
        metrics.transfers.register(ours);
        metrics.secondaries.register(ours);
        Metrics { registry, ..metrics }
    }

    fn register_queries(&self, r: &mut Registry) {
        r.register_collector(Box::new(self.shards.clone()));
        r.register_collector(Box::new(self.hits.clone()));
        let help = "Queries that wait for an upstream answer";
        r.register("queries_in_flight", help, self.queries_in_flight.clone());
        r.register("cache_entries", "Answers in the cache", self.cache_entries.clone());
        let help = "Memory of the cached answers";
        r.register_with_unit("cache_size", help, Unit::Bytes, self.cache_size_bytes.clone());
        let help = "Time until an upstream answered";
        let duration = self.upstream_duration.clone();
        r.register_with_unit("upstream_duration", help, Unit::Seconds, duration);
        let help = "Questions that an upstream did not answer usably";
        r.register("upstream_failures", help, self.upstream_failures.clone());
        let help = "Query events that no subscriber took in time";
        r.register("events_dropped", help, self.events_dropped.clone());
    }

    fn register_decisions(&self, r: &mut Registry) {
        let help = "Time from the start of a rebuild to the new snapshot in force";
        let duration = self.rebuild_duration.clone();
        r.register_with_unit("rebuild_duration", help, Unit::Seconds, duration);
        r.register("snapshot_rules", "Rules in force", self.snapshot_rules.clone());
        let help = "When the snapshot in force was swapped in, since 1970";
        let swapped = self.snapshot_swapped.clone();
        r.register_with_unit("snapshot_swapped_timestamp", help, Unit::Seconds, swapped);
        r.register("zone_serial", "SOA serial of a zone", self.zone_serial.clone());
        r.register("zone_rules", "Rules of a zone", self.zone_rules.clone());
        let help =
            "Whether the policy files as they are were accepted: 1, or 0 while older ones stay";
        r.register("policy_accepted", help, self.policy_accepted.clone());
        let help = "When the policy in force was loaded, since 1970";
        let loaded = self.policy_loaded.clone();
        r.register_with_unit("policy_loaded_timestamp", help, Unit::Seconds, loaded);
    }

    fn register_feeds(&self, r: &mut Registry) {
        r.register("feed_entries", "Claims of a feed", self.feed_entries.clone());
        let help = "Lines of a feed's last good copy that could not be read";
        r.register("feed_rejects", help, self.feed_rejects.clone());
        let help = "When a feed was last confirmed or replaced, since 1970";
        let refreshed = self.feed_refreshed.clone();
        r.register_with_unit("feed_refreshed_timestamp", help, Unit::Seconds, refreshed);
        let help = "Refreshes of a feed that failed or were refused";
        r.register("feed_failures", help, self.feed_failures.clone());
        let help = "Entries of a feed that its contract puts aside";
        r.register("feed_held", help, self.feed_held.clone());
        let help = "Breaches of a feed's contract by rule";
        r.register("feed_breaches", help, self.feed_breaches.clone());
    }

    /// A place to count for one thread that answers queries.
    pub fn shard(&self) -> Arc<Shard> {
        self.shards.add()
    }

    /// Queries with `outcome` since the start.
    pub fn queries(&self, outcome: Outcome) -> u64 {
        self.shards.queries(outcome)
    }

    /// The hits of the policy zone of that name, to be kept beside the zone: finding it costs a
    /// lock, counting does not.
    pub fn zone_hits(&self, zone: &str) -> Arc<ZoneHits> {
        self.hits.of(zone)
    }

    /// The series of one upstream: a configured forwarder by its name there, or the recursor.
    pub fn upstream(&self, name: &str) -> Upstream {
        let label = name_label("upstream", name);
        Upstream {
            duration: self.upstream_duration.get_or_create_owned(&label),
            failures: self.upstream_failures.get_or_create_owned(&label),
        }
    }

    /// A feed was replaced by `entries` claims, or confirmed unchanged with them.
    pub fn feed_refreshed(&self, feed: &SourceId, entries: usize, rejects: usize, now: Timestamp) {
        let label = feed_label(feed);
        self.feed_entries.get_or_create(&label).set(gauge(entries));
        self.feed_rejects.get_or_create(&label).set(gauge(rejects));
        self.feed_refreshed.get_or_create(&label).set(now.0.into());
        // A series that appears only with the first failure hides that failure from `rate()`.
        drop(self.feed_failures.get_or_create(&label));
    }

    /// A refresh failed or was refused; the last good claims stay.
    pub fn feed_failed(&self, feed: &SourceId) {
        self.feed_failures.get_or_create(&feed_label(feed)).inc();
    }

    /// So many entries of a feed are put aside.
    pub fn feed_held(&self, feed: &SourceId, entries: usize) {
        self.feed_held.get_or_create(&feed_label(feed)).set(gauge(entries));
    }

    /// A snapshot broke a rule of the feed's contract.
    pub fn feed_breach(&self, feed: &SourceId, rule: &'static str) {
        let label = [("feed", feed.0.clone()), ("rule", rule.into())];
        self.feed_breaches.get_or_create(&label).inc();
    }

    /// A feed is no longer configured.
    pub fn feed_removed(&self, feed: &SourceId) {
        let label = feed_label(feed);
        self.feed_entries.remove(&label);
        self.feed_rejects.remove(&label);
        self.feed_refreshed.remove(&label);
        self.feed_failures.remove(&label);
        self.feed_held.remove(&label);
    }

    /// A snapshot of so many rules came into force after so many seconds of work.
    pub fn rebuilt(&self, seconds: f64, rules: usize, now: Timestamp) {
        self.rebuild_duration.observe(seconds);
        self.snapshot_rules.set(gauge(rules));
        self.snapshot_swapped.set(now.0.into());
    }

    /// A zone is in force with this serial and so many rules.
    pub fn zone_published(&self, zone: &str, serial: u32, rules: usize) {
        let label = name_label("zone", zone);
        self.zone_serial.get_or_create(&label).set(serial.into());
        self.zone_rules.get_or_create(&label).set(gauge(rules));
    }

    /// A zone is no longer in force. Its hits stay counted.
    pub fn zone_removed(&self, zone: &str) {
        let label = name_label("zone", zone);
        self.zone_serial.remove(&label);
        self.zone_rules.remove(&label);
    }

    /// The policy files were accepted and are in force.
    pub fn policy_loaded(&self, now: Timestamp) {
        self.policy_accepted.set(1);
        self.policy_loaded.set(now.0.into());
    }

    /// The policy files have an error; what was in force stays.
    pub fn policy_rejected(&self) {
        self.policy_accepted.set(0);
    }

    /// All series as OpenMetrics text, of the media type [`CONTENT_TYPE`].
    pub fn encode(&self) -> String {
        let mut page = String::new();
        text::encode(&mut page, &self.registry).expect("a String takes every write");
        page
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn feed_label(feed: &SourceId) -> FeedLabel {
    [("feed", feed.0.clone())]
}

fn name_label(key: &'static str, name: &str) -> NameLabel {
    [(key, name.into())]
}

#[cfg(test)]
mod tests {
    use super::super::shard::{CacheLookup, Loss, Transport};
    use super::*;

    fn metrics() -> Metrics {
        Metrics::new(Registry::default(), "1.2.3")
    }

    fn has(metrics: &Metrics, line: &str) -> bool {
        metrics.encode().lines().any(|l| l == line)
    }

    #[test]
    fn queries_are_counted_by_transport_and_outcome() {
        let metrics = metrics();
        let (udp, tcp) = (metrics.shard(), metrics.shard());
        udp.query(Transport::Udp, Outcome::Rewritten);
        tcp.query(Transport::Udp, Outcome::Rewritten);
        tcp.lost(Transport::Tcp, Loss::QueueFull);
        udp.cache(CacheLookup::Stale);
        for line in [
            r#"sekisho_queries_total{transport="udp",outcome="rewritten"} 2"#,
            r#"sekisho_queries_total{transport="tcp",outcome="lost"} 1"#,
            r#"sekisho_queries_total{transport="doq",outcome="resolved"} 0"#,
            r#"sekisho_queries_lost_total{reason="queue-full"} 1"#,
            r#"sekisho_cache_lookups_total{result="stale"} 1"#,
        ] {
            assert!(has(&metrics, line), "{line}\n{}", metrics.encode());
        }
        assert_eq!(metrics.queries(Outcome::Rewritten), 2);
    }

    #[test]
    fn a_feed_tells_its_entries_rejects_time_and_failures_until_it_is_removed() {
        let metrics = metrics();
        let feed = SourceId::new("urlhaus");
        metrics.feed_refreshed(&feed, 312, 4, Timestamp(1_800_000_000));
        metrics.feed_failed(&feed);
        for line in [
            r#"sekisho_feed_entries{feed="urlhaus"} 312"#,
            r#"sekisho_feed_rejects{feed="urlhaus"} 4"#,
            r#"sekisho_feed_refreshed_timestamp_seconds{feed="urlhaus"} 1800000000"#,
            r#"sekisho_feed_failures_total{feed="urlhaus"} 1"#,
        ] {
            assert!(has(&metrics, line), "{line}\n{}", metrics.encode());
        }
        metrics.feed_removed(&feed);
        assert!(!metrics.encode().contains("urlhaus"));
    }

    #[test]
    fn a_rejected_policy_shows_while_the_older_one_stays_in_force() {
        let metrics = metrics();
        metrics.policy_loaded(Timestamp(7));
        metrics.policy_rejected();
        assert!(has(&metrics, "sekisho_policy_accepted 0"));
        assert!(has(&metrics, "sekisho_policy_loaded_timestamp_seconds 7"));
    }

    #[test]
    fn a_rebuild_tells_its_duration_and_what_is_in_force() {
        let metrics = metrics();
        metrics.rebuilt(0.3, 2_000_000, Timestamp(9));
        metrics.zone_published("threat", 4_294_967_295, 1_999_000);
        for line in [
            r#"sekisho_rebuild_duration_seconds_bucket{le="0.25"} 0"#,
            r#"sekisho_rebuild_duration_seconds_bucket{le="0.5"} 1"#,
            "sekisho_snapshot_rules 2000000",
            r#"sekisho_zone_serial{zone="threat"} 4294967295"#,
            r#"sekisho_zone_rules{zone="threat"} 1999000"#,
        ] {
            assert!(has(&metrics, line), "{line}\n{}", metrics.encode());
        }
        metrics.zone_removed("threat");
        assert!(!metrics.encode().contains("threat"));
    }

    #[test]
    fn an_upstream_tells_how_long_it_takes_and_how_often_it_fails() {
        let metrics = metrics();
        let upstream = metrics.upstream("quad9");
        upstream.answered(0.018);
        upstream.failed();
        let in_flight = metrics.queries_in_flight.clone();
        in_flight.inc();
        for line in [
            r#"sekisho_upstream_duration_seconds_bucket{le="0.025",upstream="quad9"} 1"#,
            r#"sekisho_upstream_failures_total{upstream="quad9"} 1"#,
            "sekisho_queries_in_flight 1",
        ] {
            assert!(has(&metrics, line), "{line}\n{}", metrics.encode());
        }
    }

    #[test]
    fn the_registry_that_is_passed_in_keeps_what_it_had() {
        let mut registry = Registry::default();
        registry.register("elsewhere", "Of another part", Counter::<u64>::default());
        let metrics = Metrics::new(registry, "1.2.3");
        assert!(has(&metrics, "elsewhere_total 0"));
        assert!(has(&metrics, r#"sekisho_build_info{version="1.2.3"} 1"#));
        assert!(metrics.encode().ends_with("# EOF\n"));
    }
}

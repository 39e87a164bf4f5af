//! Series about zones that come from other publishers.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use crate::model::Timestamp;

type ZoneLabel = [(&'static str, Box<str>); 1];

/// Series by zone.
#[derive(Debug, Default)]
pub struct SecondaryMetrics {
    transfers: Family<ZoneLabel, Counter>,
    failures: Family<ZoneLabel, Counter>,
    confirmed: Family<ZoneLabel, Gauge>,
    expired: Family<ZoneLabel, Gauge>,
    rejects: Family<ZoneLabel, Gauge>,
}

impl SecondaryMetrics {
    pub(super) fn register(&self, r: &mut Registry) {
        let help = "Versions of a zone that its publisher brought";
        r.register("zone_transfers", help, self.transfers.clone());
        let help = "Refreshes of a zone that brought nothing and confirmed nothing";
        r.register("zone_transfer_failures", help, self.failures.clone());
        let help = "When a zone's publisher last brought or confirmed its version, since 1970";
        let confirmed = self.confirmed.clone();
        r.register_with_unit("zone_confirmed_timestamp", help, Unit::Seconds, confirmed);
        let help = "Whether a zone's publisher was silent for longer than its SOA allows: 1 or 0";
        r.register("zone_expired", help, self.expired.clone());
        let help = "Records of a zone's version that were left out";
        r.register("zone_rejects", help, self.rejects.clone());
    }

    /// The publisher brought a version; so many of its records were left out.
    pub fn transferred(&self, zone: &str, rejects: usize) {
        self.transfers.get_or_create(&label(zone)).inc();
        self.rejects.get_or_create(&label(zone)).set(i64::try_from(rejects).unwrap_or(i64::MAX));
    }

    /// The publisher stands for the version in force.
    pub fn confirmed(&self, zone: &str, at: Timestamp) {
        self.confirmed.get_or_create(&label(zone)).set(at.0.into());
        self.expired(zone, false);
    }

    /// Nothing came of a refresh.
    pub fn failed(&self, zone: &str) {
        self.failures.get_or_create(&label(zone)).inc();
    }

    /// Whether the version in force is older than its publisher wants.
    pub fn expired(&self, zone: &str, expired: bool) {
        self.expired.get_or_create(&label(zone)).set(expired.into());
    }
}

fn label(zone: &str) -> ZoneLabel {
    [("zone", zone.into())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::Metrics;

    #[test]
    fn a_zone_tells_what_came_and_that_it_expired() {
        let metrics = Metrics::new(Registry::default(), "1.2.3");
        let zones = &metrics.secondaries;
        zones.transferred("v.rpz", 3);
        zones.confirmed("v.rpz", Timestamp(1_800_000_000));
        zones.failed("v.rpz");
        zones.expired("v.rpz", true);
        let page = metrics.encode();
        for line in [
            r#"sekisho_zone_transfers_total{zone="v.rpz"} 1"#,
            r#"sekisho_zone_transfer_failures_total{zone="v.rpz"} 1"#,
            r#"sekisho_zone_confirmed_timestamp_seconds{zone="v.rpz"} 1800000000"#,
            r#"sekisho_zone_expired{zone="v.rpz"} 1"#,
            r#"sekisho_zone_rejects{zone="v.rpz"} 3"#,
        ] {
            assert!(page.lines().any(|l| l == line), "{line}\n{page}");
        }
    }
}

//! Series about zones that leave by transfer.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

type Labels<const N: usize> = [(&'static str, Box<str>); N];

/// They carry names of the configuration and words of ours alone.
#[derive(Debug, Default)]
pub struct Transfers {
    done: Family<Labels<2>, Counter>,
    broken: Family<Labels<2>, Counter>,
    octets: Family<Labels<1>, Counter>,
    refused: Family<Labels<1>, Counter>,
    told: Family<Labels<2>, Counter>,
    journal_failures: Counter,
    lag: Family<Labels<2>, Gauge>,
}

impl Transfers {
    pub(super) fn register(&self, r: &mut Registry) {
        let help = "Transfers that came to their end, by secondary and kind";
        r.register("transfers", help, self.done.clone());
        let help = "Transfers that were broken off, by secondary and kind";
        r.register("transfers_broken", help, self.broken.clone());
        let help = "Octets of transfers, by secondary";
        r.register_with_unit("transfer", help, Unit::Bytes, self.octets.clone());
        let help = "Requests for zones that were refused, by reason";
        r.register("transfers_refused", help, self.refused.clone());
        let help = "Attempts to tell a secondary of a new version, by result";
        r.register("notifies", help, self.told.clone());
        let help = "Versions that could not be kept on disk";
        r.register("journal_failures", help, self.journal_failures.clone());
        let help = "How long a newer version has been there than the one a secondary has";
        r.register_with_unit("secondary_lag", help, Unit::Seconds, self.lag.clone());
    }

    /// A transfer to a secondary came to its end, or was broken off.
    pub fn transferred(&self, secondary: &str, kind: &str, octets: u64, whole: bool) {
        let label = [("secondary", secondary.into()), ("kind", kind.into())];
        let counted = if whole { &self.done } else { &self.broken };
        counted.get_or_create(&label).inc();
        self.octets.get_or_create(&[("secondary", secondary.into())]).inc_by(octets);
    }

    /// A request was refused for a reason of ours.
    pub fn refused(&self, reason: &'static str) {
        self.refused.get_or_create(&[("reason", reason.into())]).inc();
    }

    /// A secondary was told of news, and heard or did not.
    pub fn told(&self, secondary: &str, heard: bool) {
        let result = if heard { "acknowledged" } else { "failed" };
        self.told
            .get_or_create(&[("secondary", secondary.into()), ("result", result.into())])
            .inc();
    }

    /// A version could not be kept on disk.
    pub fn journal_failed(&self) {
        self.journal_failures.inc();
    }

    /// How long a secondary has been behind with a zone.
    pub fn lag(&self, secondary: &str, zone: &str, seconds: u32) {
        let label = [("secondary", secondary.into()), ("zone", zone.into())];
        self.lag.get_or_create(&label).set(seconds.into());
    }
}

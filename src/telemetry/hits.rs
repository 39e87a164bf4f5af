//! Hits of policy rules, counted for each zone by trigger, action and whether they acted.
//!
//! A zone has 70 possible series, of which few ever move; a scrape shows those that did. The
//! number of zones with series of their own is bounded.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;

use crate::model::{Action, Name, TriggerKind};

/// Zones with series of their own, the number of policy zones that BIND allows; hits in further
/// zones are counted together as [`OTHER`].
const ZONES_MAX: usize = 64;

/// The label of zones without series of their own.
const OTHER: &str = "other";

/// The words of [`Action::as_str`], in the order of [`action_position`].
const ACTIONS: [&str; 7] =
    ["nxdomain", "nodata", "passthru", "drop", "tcp-only", "cname", "local-data"];

/// The words of the `mode` label: an enforced hit acted, an observed one changed nothing.
const MODES: [&str; 2] = ["enforce", "observe"];

/// Hits in one policy zone. Counting is one addition without a lock.
#[derive(Default)]
pub struct ZoneHits([[[AtomicU64; MODES.len()]; ACTIONS.len()]; TriggerKind::ALL.len()]);

impl ZoneHits {
    /// Counts a hit; `enforced` tells whether it acted or was only observed.
    pub fn add(&self, trigger: TriggerKind, action: &Action, enforced: bool) {
        self.add_at(trigger, action_position(action), enforced);
    }

    /// The same with the action's word ([`Action::as_str`]); another word counts as `cname`, the
    /// one action that can come to something else.
    pub fn add_word(&self, trigger: TriggerKind, action: &str, enforced: bool) {
        let cname = action_position(&Action::Redirect(Name::root()));
        let position = ACTIONS.iter().position(|word| *word == action);
        self.add_at(trigger, position.unwrap_or(cname), enforced);
    }

    fn add_at(&self, trigger: TriggerKind, action_position: usize, enforced: bool) {
        let of_action = &self.0[trigger as usize][action_position];
        of_action[usize::from(!enforced)].fetch_add(1, Ordering::Relaxed);
    }

    /// What was hit, with the values of its labels and the count.
    fn series(&self) -> impl Iterator<Item = ([&'static str; 3], u64)> {
        let triggers = TriggerKind::ALL.iter().zip(&self.0);
        triggers
            .flat_map(|(trigger, actions)| {
                ACTIONS.iter().zip(actions).flat_map(|(action, modes)| {
                    MODES.iter().zip(modes).map(|(mode, count)| {
                        ([trigger.as_str(), *action, *mode], count.load(Ordering::Relaxed))
                    })
                })
            })
            .filter(|(_, count)| *count > 0)
    }
}

const fn action_position(action: &Action) -> usize {
    match action {
        Action::NxDomain => 0,
        Action::NoData => 1,
        Action::Passthru => 2,
        Action::Drop => 3,
        Action::TcpOnly => 4,
        Action::Redirect(_) | Action::RedirectBelow(_) => 5,
        Action::Data(_) => 6,
    }
}

/// Hits of all zones by name; cloning shares them.
#[derive(Clone, Default)]
pub(in crate::telemetry) struct Hits(Arc<Mutex<BTreeMap<Box<str>, Arc<ZoneHits>>>>);

impl Hits {
    /// The hits of the zone of that name.
    pub fn of(&self, zone: &str) -> Arc<ZoneHits> {
        let mut zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let name = if zones.len() < ZONES_MAX || zones.contains_key(zone) { zone } else { OTHER };
        zones.entry(name.into()).or_default().clone()
    }
}

impl fmt::Debug for Hits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hits")
    }
}

impl Collector for Hits {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        let help = "Hits of policy rules by zone, trigger, action and whether they acted";
        let mut metric =
            encoder.encode_descriptor("policy_hits", help, None, MetricType::Counter)?;
        let zones = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (zone, hits) in zones.iter() {
            for ([trigger, action, mode], count) in hits.series() {
                let labels =
                    [("zone", &**zone), ("trigger", trigger), ("action", action), ("mode", mode)];
                ConstCounter::new(count).encode(metric.encode_family(&labels)?)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text;
    use prometheus_client::registry::Registry;

    use super::*;

    fn lines(hits: &Hits) -> Vec<String> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(hits.clone()));
        let mut page = String::new();
        text::encode(&mut page, &registry).unwrap();
        page.lines().filter(|l| !l.starts_with('#')).map(str::to_owned).collect()
    }

    #[test]
    fn hits_tell_the_zone_the_trigger_the_action_and_whether_they_acted() {
        let hits = Hits::default();
        let threat = hits.of("threat");
        threat.add(TriggerKind::QueryName, &Action::NxDomain, true);
        let garden = Action::Redirect(Name::from_host("garden.example").unwrap());
        threat.add(TriggerKind::NameserverAddress, &garden, false);
        hits.of("threat").add_word(TriggerKind::QueryName, "nxdomain", true);
        assert_eq!(
            lines(&hits),
            [
                r#"policy_hits_total{zone="threat",trigger="qname",action="nxdomain",mode="enforce"} 2"#,
                r#"policy_hits_total{zone="threat",trigger="nsip",action="cname",mode="observe"} 1"#,
            ]
        );
    }

    #[test]
    fn every_action_is_counted_under_its_own_word() {
        let name = Name::from_host("garden.example").unwrap();
        let actions = [
            Action::NxDomain,
            Action::NoData,
            Action::Passthru,
            Action::Drop,
            Action::TcpOnly,
            Action::Redirect(name.clone()),
            Action::RedirectBelow(name),
            Action::Data(Arc::new([])),
        ];
        for action in actions {
            assert_eq!(ACTIONS[action_position(&action)], action.as_str());
        }
        assert!(TriggerKind::ALL.iter().enumerate().all(|(at, kind)| *kind as usize == at));
    }

    #[test]
    fn zones_beyond_the_bound_share_one_series() {
        let hits = Hits::default();
        for number in 0..ZONES_MAX + 10 {
            hits.of(&format!("zone-{number}")).add(TriggerKind::QueryName, &Action::Drop, true);
        }
        let lines = lines(&hits);
        assert_eq!(lines.len(), ZONES_MAX + 1);
        let rest =
            r#"policy_hits_total{zone="other",trigger="qname",action="drop",mode="enforce"} 10"#;
        assert!(lines.iter().any(|l| l == rest), "{lines:?}");
    }
}

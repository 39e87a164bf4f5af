//! Policy zones that the configuration names, each at its place: hand-written ones, and those of
//! other publishers in the version that came last.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Order;
use crate::model::{Action, Name, Trigger, TriggerKind};
use crate::zone::{Mode, PolicyZone, Zone, ZoneOptions};

/// A zone at its place.
#[derive(Debug, Clone)]
pub struct NamedZone {
    /// Its name.
    pub name: Name,
    /// Where it counts.
    pub order: Order,
    /// How it is applied.
    pub options: ZoneOptions,
    /// What its file holds. Of a zone of another publisher it is in force until a version came.
    pub own: Option<Zone>,
    /// Whether another publisher makes it.
    pub foreign: bool,
}

/// All of them, in order.
#[derive(Debug, Default)]
pub struct NamedZones {
    zones: Vec<NamedZone>,
    /// What came from other publishers; none is a zone that is out of force.
    versions: BTreeMap<Name, Option<Zone>>,
}

impl NamedZones {
    /// Takes over the zones. Versions that came stay what they are.
    pub fn set(&mut self, zones: Vec<NamedZone>) {
        self.zones = zones;
    }

    /// Takes over a version, or takes the zone out of force. Whether generated zones depend on it.
    pub fn set_version(&mut self, name: Name, version: Option<Zone>) -> bool {
        let depend = |zone: &NamedZone| zone.name == name && zone.order != Order::Last;
        let depend = self.zones.iter().any(depend);
        self.versions.insert(name, version);
        depend
    }

    /// The zones of a standing.
    pub fn of(&self, order: Order) -> impl Iterator<Item = PolicyZone> + '_ {
        let zones = self.zones.iter().filter(move |zone| zone.order == order);
        zones.filter_map(|zone| self.in_force(zone))
    }

    /// Names that hand-written zones let through for everyone. Another publisher has no say in what
    /// must resolve.
    pub fn critical(&self) -> Arc<[Name]> {
        let own = self.zones.iter().filter(|zone| !zone.foreign);
        let mut critical: Vec<Name> = own
            .filter_map(|zone| self.in_force(zone))
            .flat_map(|zone| passed_names(&zone))
            .collect();
        critical.sort();
        critical.dedup();
        critical.into()
    }

    fn in_force(&self, zone: &NamedZone) -> Option<PolicyZone> {
        let version = zone.foreign.then(|| self.versions.get(&zone.name)).flatten();
        let zone_data = version.unwrap_or(&zone.own).clone()?;
        Some(PolicyZone { zone: zone_data, options: zone.options.clone() })
    }
}

/// The query names that a zone lets through for everyone.
fn passed_names(zone: &PolicyZone) -> Vec<Name> {
    if zone.options.mode != Mode::Enforce || !zone.options.groups.is_empty() {
        return Vec::new();
    }
    zone.zone
        .rules_of(TriggerKind::QueryName)
        .filter_map(|rule| match (rule.trigger, rule.action) {
            (Trigger::QueryName(pattern), Action::Passthru) => Some(pattern.name),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{NamePattern, Rule};
    use crate::zone::{Serial, Soa, ZoneBuilder};

    fn zone(serial: u32) -> Zone {
        let origin = Name::from_host("v.rpz").unwrap();
        let mut builder = ZoneBuilder::new(origin, Soa::ours(Serial(serial)), 7);
        let name = NamePattern::exact(Name::from_host("passed.example").unwrap());
        let trigger = Trigger::QueryName(name);
        builder.insert(Rule { trigger, action: Action::Passthru, ttl: 60 });
        builder.finish().0
    }

    fn named(own: Option<Zone>, foreign: bool) -> NamedZone {
        let name = Name::from_host("v.rpz").unwrap();
        NamedZone { name, order: Order::First, options: ZoneOptions::ours(), own, foreign }
    }

    fn serials(zones: &NamedZones) -> Vec<u32> {
        zones.of(Order::First).map(|zone| zone.zone.soa().serial.0).collect()
    }

    #[test]
    fn a_version_replaces_the_file_and_stays_over_a_reload() {
        let name = Name::from_host("v.rpz").unwrap();
        let mut zones = NamedZones::default();
        zones.set(vec![named(None, true)]);
        assert!(serials(&zones).is_empty());
        zones.set(vec![named(Some(zone(1)), true)]);
        assert_eq!(serials(&zones), [1]);
        assert!(zones.set_version(name.clone(), Some(zone(2))));
        zones.set(vec![named(Some(zone(1)), true)]);
        assert_eq!(serials(&zones), [2]);
        zones.set_version(name, None);
        assert!(serials(&zones).is_empty(), "out of force, and its file too");
    }

    #[test]
    fn only_hand_written_zones_say_what_must_resolve() {
        let mut zones = NamedZones::default();
        zones.set(vec![named(Some(zone(1)), true)]);
        assert!(zones.critical().is_empty());
        zones.set(vec![named(Some(zone(1)), false)]);
        assert_eq!(zones.critical().len(), 1);
    }
}

//! The why zone: `dig TXT bad.example.why.threat.rpz` says in one string what a zone says of a name
//! and on what grounds, to whoever has the zone and not this program at hand.
//!
//! ```text
//! v=1 act=nxdomain by=*.bad.example s=17.31 cat=phishing src=certpl,openphish first=2026-11-02 serial=1795500000
//! ```
//!
//! Behind `why.` stands a zone that leaves, or what the names of all of them end in for what the
//! first zone with a rule says. `act=none` is a name that no rule is for.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;

use super::transfers::Transfers;
use crate::model::{Name, NameRef, Network, Timestamp, TriggerKind};
use crate::pipeline::Published;
use crate::policy::outward;
use crate::ports::{WhyAnswer, WhyService};
use crate::publish::artefact::reasons;
use crate::zone::{PolicyZone, Serial};

/// The label before the zone.
const WHY_LABEL: &[u8] = b"why";
/// The longest answer, in octets: with a long question it still fits a datagram of 512 octets.
const TEXT_OCTETS_MAX: usize = 199;
/// The most sources that are named; the others are counted.
const SOURCES_MAX: usize = 4;

/// Answers why.
pub struct WhyDesk {
    /// The state in force.
    pub published: watch::Receiver<Arc<Published>>,
    /// Who may ask.
    pub networks: Vec<Network>,
    /// What the names of all zones end in.
    pub origin: Name,
    /// What serials secondaries see, where zones leave by transfer.
    pub transfers: Option<Arc<Transfers>>,
}

impl WhyService for WhyDesk {
    fn answer(&self, asked: NameRef<'_>, client: IpAddr) -> Option<WhyAnswer> {
        let has_label = asked.labels().any(|label| label == WHY_LABEL);
        if !has_label {
            return None;
        }
        let state = self.published.borrow().clone();
        let exempt = state.snapshot.exempt_groups();
        let leaving = || state.snapshot.zones().filter(|zone| outward::leaves(zone, exempt));
        let (subject, zones): (Name, Vec<&PolicyZone>) = leaving()
            .find_map(|zone| Some((subject(asked, zone.zone.origin())?, vec![zone])))
            .or_else(|| {
                let for_everyone = leaving().filter(|zone| zone.options.groups.is_empty());
                Some((subject(asked, self.origin.as_ref())?, for_everyone.collect()))
            })?;
        let client = client.to_canonical();
        if !self.networks.iter().any(|network| network.contains(client)) {
            return Some(WhyAnswer::Refused);
        }
        let serial = |zone: &PolicyZone| {
            let offered = self.transfers.as_ref().and_then(|t| t.serial_of(zone.zone.origin()));
            offered.unwrap_or(zone.zone.soa().serial)
        };
        Some(WhyAnswer::Text(text(&state, &zones, subject.as_ref(), serial)))
    }
}

/// The name that is asked about: what stands before `why.` and the zone.
fn subject(asked: NameRef<'_>, zone: NameRef<'_>) -> Option<Name> {
    let within = asked.below(zone)?;
    let top = within.labels().next()?;
    let subject = within.below(within.top(1)).filter(|subject| !subject.is_root())?;
    (top == WHY_LABEL).then(|| subject.to_owned())
}

/// What is said of a name by the first of the zones that has a rule for it.
fn text(
    state: &Published,
    zones: &[&PolicyZone],
    name: NameRef<'_>,
    serial: impl Fn(&PolicyZone) -> Serial,
) -> String {
    let rule = |zone: &&PolicyZone| {
        let [exact, _] = zone.zone.held_at(TriggerKind::QueryName, name);
        Some((zone.zone.clone(), exact?.action.as_str()))
    };
    let decided = zones.iter().find_map(|zone| Some((*zone, rule(zone)?)));
    // The grounds are those of the closest name that anything is known of.
    let known = |name: &NameRef<'_>| {
        state.verdicts.of(*name).is_some() || reasons::first_seen(state, *name).is_some()
    };
    let grounds = name.ancestors().filter(|n| !n.is_root()).find(known);
    let mut parts = vec!["v=1".to_owned()];
    match &decided {
        Some((zone, (_, action))) => {
            parts.push(format!("act={action}"));
            if zones.len() > 1 {
                parts.push(format!("zone={}", zone.zone.origin()));
            }
        }
        None => parts.push("act=none".to_owned()),
    }
    if let Some(grounds) = grounds {
        if grounds != name {
            parts.push(format!("by={grounds}"));
        }
        if let Some(verdict) = state.verdicts.of(grounds) {
            parts.push(format!("s={:.2}", f64::from(verdict.score) / 100.0));
            parts.push(format!("cat={}", verdict.category));
        }
        let sources = reasons::sources(state, grounds);
        if !sources.is_empty() {
            let mut named = sources[..sources.len().min(SOURCES_MAX)].join(",");
            if sources.len() > SOURCES_MAX {
                named += &format!("+{}", sources.len() - SOURCES_MAX);
            }
            parts.push(format!("src={named}"));
        }
        if let Some(first) = reasons::first_seen(state, grounds) {
            parts.push(format!("first={}", date(first)));
        }
    }
    let zone = decided.map(|(zone, _)| zone).or(zones.first().copied());
    let serial = zone.map(|zone| format!("serial={}", serial(zone).0));
    joined(parts, serial)
}

/// The parts that have room, the serial always.
fn joined(parts: Vec<String>, serial: Option<String>) -> String {
    let tail = serial.map_or_else(String::new, |serial| format!(" {serial}"));
    let mut text = String::new();
    for part in parts {
        let more = part.len() + usize::from(!text.is_empty());
        if text.len() + more + tail.len() <= TEXT_OCTETS_MAX {
            text += if text.is_empty() { "" } else { " " };
            text += &part;
        }
    }
    text + &tail
}

fn date(at: Timestamp) -> String {
    let at = jiff::Timestamp::from_second(i64::from(at.0)).unwrap_or_default();
    at.strftime("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::from_presentation(text).unwrap()
    }

    #[test]
    fn the_subject_stands_before_why_and_the_zone() {
        let zone = name("threat.rpz");
        let of = |asked: &str| {
            subject(name(asked).as_ref(), zone.as_ref()).map(|subject| subject.to_string())
        };
        assert_eq!(of("bad.example.why.threat.rpz").as_deref(), Some("bad.example"));
        assert_eq!(of("why.why.threat.rpz").as_deref(), Some("why"));
        assert_eq!(of("why.threat.rpz"), None);
        assert_eq!(of("bad.example.threat.rpz"), None);
        assert_eq!(of("bad.example.why.other.rpz"), None);
    }

    #[test]
    fn what_has_no_room_is_left_out_and_the_serial_stays() {
        let long = format!("by={}", "a".repeat(190));
        let parts = vec!["v=1".to_owned(), "act=nxdomain".to_owned(), long, "s=1.00".to_owned()];
        let text = joined(parts, Some("serial=4294967295".to_owned()));
        assert_eq!(text, "v=1 act=nxdomain s=1.00 serial=4294967295");
        assert!(text.len() < 200);
        assert_eq!(date(Timestamp(0)), "1970-01-01");
    }
}

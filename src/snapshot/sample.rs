//! Small snapshots for tests, with triggers written as the draft names them.

use super::{Query, Snapshot, Transport};
use crate::model::{
    Action, AnswerFacts, AnswerStep, Name, NamePattern, Nameserver, Network, Rule, Trigger,
};
use crate::zone::{PolicyZone, Serial, Soa, ZoneBuilder, ZoneOptions};

pub(super) const SEED: u64 = 7;

pub(super) fn name(text: &str) -> Name {
    Name::from_presentation(text).unwrap()
}

/// `qname www.bad.test`, `ip 192.0.2.0/24` and so on.
fn trigger(text: &str) -> Trigger {
    let (kind, value) = text.split_once(' ').unwrap();
    let network = || Network::parse_strict(value).unwrap();
    let pattern = || match value.strip_prefix("*.") {
        Some(parent) => NamePattern::below(name(parent)),
        None => NamePattern::exact(name(value)),
    };
    match kind {
        "client-ip" => Trigger::ClientAddress(network()),
        "qname" => Trigger::QueryName(pattern()),
        "ip" => Trigger::AnswerAddress(network()),
        "nsdname" => Trigger::NameserverName(pattern()),
        "nsip" => Trigger::NameserverAddress(network()),
        other => panic!("no trigger is called {other}"),
    }
}

/// A zone of our own with these rules.
pub(super) fn zone(rules: &[(&str, Action)]) -> PolicyZone {
    zone_with(ZoneOptions::ours(), rules)
}

pub(super) fn zone_with(options: ZoneOptions, rules: &[(&str, Action)]) -> PolicyZone {
    let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(1)), SEED);
    for (text, action) in rules {
        builder.insert(Rule { trigger: trigger(text), action: action.clone(), ttl: 60 });
    }
    PolicyZone { zone: builder.finish().0, options }
}

pub(super) fn snapshot(zones: Vec<PolicyZone>) -> Snapshot {
    Snapshot::new(1, SEED, zones, Vec::new(), None).unwrap()
}

/// A query for A records over UDP with RD=1.
pub(super) fn query(name: &Name) -> Query<'_> {
    Query {
        name: name.as_ref(),
        rtype: 1,
        client: "10.0.0.1".parse().unwrap(),
        transport: Transport::Udp,
        recursion_desired: true,
        dnssec_ok: false,
    }
}

/// A chain of names; the last has the address, and each is served by `ns.` in its parent, which
/// has the address 198.51.100.53.
pub(super) fn answer(chain: &[&str], address: &str) -> AnswerFacts {
    let mut facts = AnswerFacts::default();
    for text in chain {
        let name = name(text);
        let zone = name.as_ref().parent().unwrap().to_owned();
        let server = Nameserver {
            name: zone.child(b"ns").unwrap(),
            zone,
            addresses: vec!["198.51.100.53".parse().unwrap()],
        };
        let nameservers = vec![[server].into()];
        facts.steps.push(AnswerStep { name, addresses: Vec::new(), nameservers });
    }
    facts.steps.last_mut().unwrap().addresses.push(address.parse().unwrap());
    facts
}

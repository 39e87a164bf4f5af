//! Zone files of the rules, written as section 4 of the draft says and with nothing of the engine's
//! own writer.

use std::fmt::Write as _;
use std::net::IpAddr;

use sekisho::model::{Action, Name, NamePattern, Network, Rule, Trigger};

use super::world::PlainZone;

/// The zone as the text of a master file, its owners relative to the zone.
pub fn zone_file(zone: &PlainZone) -> String {
    let mut text =
        "@ 60 SOA localhost. nobody.localhost. 1 2 3 4 5\n@ 60 NS localhost.\n".to_owned();
    for rule in &zone.rules {
        let owner = owner(&rule.trigger);
        for (ttl, data) in records(rule) {
            writeln!(text, "{owner} {ttl} {data}").expect("writing to memory");
        }
    }
    text
}

fn owner(trigger: &Trigger) -> String {
    match trigger {
        Trigger::QueryName(pattern) => name_owner(pattern),
        Trigger::NameserverName(pattern) => format!("{}.rpz-nsdname", name_owner(pattern)),
        Trigger::ClientAddress(network) => format!("{}.rpz-client-ip", address_owner(*network)),
        Trigger::AnswerAddress(network) => format!("{}.rpz-ip", address_owner(*network)),
        Trigger::NameserverAddress(network) => format!("{}.rpz-nsip", address_owner(*network)),
    }
}

fn name_owner(pattern: &NamePattern) -> String {
    let name = (pattern.name != Name::root()).then(|| pattern.name.to_string());
    let asterisk = pattern.wildcard.then(|| "*".to_owned());
    asterisk.into_iter().chain(name).collect::<Vec<_>>().join(".")
}

/// Section 4.1.1: the words from last to first, and `zz` for the longest run of zeros, the last of
/// equal ones in this order.
fn address_owner(network: Network) -> String {
    let words: Vec<u16> = match network.address() {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            return format!("{}.{d}.{c}.{b}.{a}", network.length());
        }
        IpAddr::V6(v6) => v6.segments().into_iter().rev().collect(),
    };
    let runs = (0..8).flat_map(|start| (start + 2..=8).map(move |end| start..end));
    let zeros = runs.filter(|run| words[run.clone()].iter().all(|word| *word == 0));
    let longest = zeros.max_by_key(|run| (run.len(), run.start));
    let mut labels = vec![network.length().to_string()];
    for (at, word) in words.iter().enumerate() {
        match &longest {
            Some(run) if at == run.start => labels.push("zz".to_owned()),
            Some(run) if run.contains(&at) => {}
            _ => labels.push(format!("{word:x}")),
        }
    }
    labels.join(".")
}

fn records(rule: &Rule) -> Vec<(u32, String)> {
    let alias = match &rule.action {
        Action::NxDomain => ".".to_owned(),
        Action::NoData => "*.".to_owned(),
        Action::Passthru => "rpz-passthru.".to_owned(),
        Action::Drop => "rpz-drop.".to_owned(),
        Action::TcpOnly => "rpz-tcp-only.".to_owned(),
        Action::Redirect(target) => format!("{target}."),
        Action::RedirectBelow(target) => format!("*.{target}."),
        Action::Data(sets) => {
            let text =
                |rdata: &[u8]| -> String { rdata.iter().map(|o| format!("{o:02x}")).collect() };
            return sets
                .iter()
                .flat_map(|set| set.rdata.iter().map(move |rdata| (set, rdata)))
                .map(|(set, rdata)| {
                    let data = format!("TYPE{} \\# {} {}", set.rtype, rdata.len(), text(rdata));
                    (set.ttl, data)
                })
                .collect();
        }
    };
    vec![(rule.ttl, format!("CNAME {alias}"))]
}

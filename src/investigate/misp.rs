//! A dossier as an event of MISP (misp-standard.org, core format).

use serde_json::{Value, json};

use super::Dossier;
use super::graph::{NodeKind, graph};
use super::stix::uuid5;
use super::words::date;
use crate::model::Timestamp;

/// Our name space of identifiers; drawn once.
const OURS: [u8; 16] = [
    0x8f, 0x0d, 0x2a, 0x55, 0x77, 0x1c, 0x4b, 0x0e, 0x9a, 0x3f, 0x41, 0xd2, 0xc6, 0x5b, 0x90, 0x12,
];

/// The event. What is held against the target is meant for detection; what is connected to it is
/// context.
pub fn event(dossier: &Dossier) -> Value {
    let graph = graph(dossier);
    let about = format!("{} {}", dossier.target, dossier.at);
    let attributes: Vec<Value> = graph
        .nodes
        .iter()
        .enumerate()
        .map(|(at, node)| {
            let (kind, category) = attribute(node.kind, node.label.len());
            let to_ids = at == 0 && dossier.verdict.is_bad();
            let value = match node.kind {
                NodeKind::System => node.label.to_ascii_uppercase(),
                _ => node.label.clone(),
            };
            let comments: Vec<String> = graph
                .edges
                .iter()
                .filter(|(_, to, _)| *to == at)
                .map(|(from, _, what)| format!("{what} of {}", graph.nodes[*from].label))
                .collect();
            json!({
                "uuid": uuid5(&OURS, format!("{about} {kind} {value}").as_bytes()),
                "type": kind, "category": category, "value": value, "to_ids": to_ids,
                "timestamp": dossier.at.to_string(), "comment": comments.join("; "),
                "distribution": "0",
            })
        })
        .collect();
    let level = match dossier.verdict.level.as_deref() {
        Some("block") => "1",
        Some("redirect") => "2",
        Some("monitor") => "3",
        _ => "4",
    };
    json!({"Event": {
        "uuid": uuid5(&OURS, about.as_bytes()),
        "info": format!("{}: {}", dossier.target, dossier.verdict.outcome),
        "date": date(Timestamp(dossier.at)), "timestamp": dossier.at.to_string(),
        "threat_level_id": level, "analysis": "2", "distribution": "0", "published": false,
        "Attribute": attributes,
    }})
}

/// MISP's type and category.
fn attribute(kind: NodeKind, octets: usize) -> (&'static str, &'static str) {
    let network = "Network activity";
    match kind {
        NodeKind::Name => ("domain", network),
        NodeKind::NameServer | NodeKind::MailServer => ("hostname", network),
        NodeKind::Address | NodeKind::Prefix => ("ip-dst", network),
        NodeKind::System => ("AS", network),
        NodeKind::Url => ("url", network),
        NodeKind::File => ("sha256", "Payload delivery"),
        NodeKind::Certificate if octets == 64 => ("x509-fingerprint-sha256", network),
        NodeKind::Certificate => ("text", "Other"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_target_is_for_detection() {
        let event = event(&super::super::tests::dossier());
        let attributes = event["Event"]["Attribute"].as_array().unwrap();
        let for_detection: Vec<&Value> =
            attributes.iter().filter(|a| a["to_ids"] == true).map(|a| &a["value"]).collect();
        assert_eq!(for_detection, ["evil.test"]);
        assert!(attributes.iter().any(|a| a["type"] == "AS" && a["value"] == "AS64496"));
        assert_eq!(event["Event"]["threat_level_id"], "1");
    }
}

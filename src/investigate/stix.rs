//! A dossier as a STIX 2.1 bundle (OASIS): the connections as observables and relationships, the
//! verdict as a note and, where it is held against the target, as an indicator.
//!
//! Identifiers follow from contents (section 2.9), so that two investigations of one thing speak of
//! one thing.

use serde_json::{Value, json};

use super::Dossier;
use super::graph::{Graph, Node, NodeKind, graph};
use crate::model::Timestamp;

/// The name space of identifiers of observables (STIX 2.1 section 2.9).
const OBSERVABLES: [u8; 16] = [
    0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42, 0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7,
];
/// Our own, for everything else; drawn once.
const OURS: [u8; 16] = [
    0x5e, 0x4b, 0x15, 0x40, 0x1d, 0x93, 0x4c, 0x1f, 0xa6, 0x27, 0x0b, 0x9d, 0x66, 0xe8, 0x2c, 0x71,
];
/// An indicator holds for as long as a blocking verdict may without being looked at again.
const VALID_SECONDS: u32 = 14 * 86_400;

/// The bundle.
pub fn bundle(dossier: &Dossier) -> Value {
    let graph = graph(dossier);
    let at = time(dossier.at);
    let observables: Vec<Option<Value>> = graph.nodes.iter().map(observable).collect();
    let id = |at: usize| observables[at].as_ref().map(|object| object["id"].clone());
    let mut objects: Vec<Value> = observables.iter().flatten().cloned().collect();
    objects.sort_by_key(|object| object["id"].to_string());
    objects.dedup_by_key(|object| object["id"].to_string());
    for (from, to, what) in &graph.edges {
        let (Some(source), Some(target)) = (id(*from), id(*to)) else { continue };
        let kind = relationship(&graph, *from, *to, what);
        objects.push(json!({
            "type": "relationship", "spec_version": "2.1",
            "id": ours("relationship", &format!("{source} {kind} {what} {target}")),
            "created": at, "modified": at, "relationship_type": kind, "description": what,
            "source_ref": source, "target_ref": target,
        }));
    }
    if let Some(subject) = graph.nodes.first().and_then(|_| id(0)) {
        let verdict = &dossier.verdict;
        let about = format!("{} {}", dossier.target, dossier.at);
        objects.push(json!({
            "type": "note", "spec_version": "2.1", "id": ours("note", &about),
            "created": at, "modified": at, "abstract": "verdict of sekisho",
            "content": content(dossier), "object_refs": [subject],
        }));
        if let (true, Some(pattern)) = (verdict.is_bad(), pattern(dossier)) {
            objects.push(json!({
                "type": "indicator", "spec_version": "2.1",
                "id": ours("indicator", &dossier.target),
                "created": at, "modified": at, "name": dossier.target,
                "indicator_types": ["malicious-activity"], "pattern": pattern,
                "pattern_type": "stix", "valid_from": at,
                "valid_until": time(dossier.at.saturating_add(VALID_SECONDS)),
                "confidence": if verdict.level.as_deref() == Some("block") { 85 } else { 60 },
            }));
        }
    }
    let all = format!("{} {}", dossier.target, dossier.at);
    json!({"type": "bundle", "id": ours("bundle", &all), "objects": objects})
}

fn content(dossier: &Dossier) -> String {
    let verdict = &dossier.verdict;
    let mut lines = vec![verdict.outcome.clone()];
    if let (Some(level), Some(score)) = (&verdict.level, &verdict.score) {
        lines.push(format!("score {score} points: {level}"));
    }
    let item = |(id, points, text): &(String, String, String)| format!("{id} {points}: {text}");
    lines.extend(verdict.contributions.iter().map(item));
    lines.join("\n")
}

/// A node as an observable; none where STIX has no object for it.
fn observable(node: &Node) -> Option<Value> {
    let label = &node.label;
    let (kind, contributing) = match node.kind {
        NodeKind::Name | NodeKind::NameServer | NodeKind::MailServer => {
            ("domain-name", json!({ "value": label }))
        }
        NodeKind::Address | NodeKind::Prefix => {
            let kind = if label.contains(':') { "ipv6-addr" } else { "ipv4-addr" };
            (kind, json!({ "value": label }))
        }
        NodeKind::System => {
            let number: u32 = label.trim_start_matches("as").parse().ok()?;
            ("autonomous-system", json!({ "number": number }))
        }
        NodeKind::Url => ("url", json!({ "value": label })),
        NodeKind::File => ("file", json!({ "hashes": { "SHA-256": label } })),
        NodeKind::Certificate if label.len() == 64 => {
            ("x509-certificate", json!({ "hashes": { "SHA-256": label } }))
        }
        NodeKind::Certificate => ("x509-certificate", json!({ "serial_number": label })),
    };
    // `serde_json` sorts members, as the canonical form asks for.
    let id = format!("{kind}--{}", uuid5(&OBSERVABLES, contributing.to_string().as_bytes()));
    let mut object = contributing;
    object["type"] = json!(kind);
    object["spec_version"] = json!("2.1");
    object["id"] = json!(id);
    Some(object)
}

fn relationship(graph: &Graph, from: usize, to: usize, what: &str) -> &'static str {
    let kinds = (graph.nodes[from].kind, graph.nodes[to].kind);
    let resolves = matches!(what, "resolved to" | "resolves to" | "alias of");
    let of_name = matches!(kinds.0, NodeKind::Name | NodeKind::NameServer | NodeKind::MailServer);
    match (resolves && of_name, kinds) {
        (true, _) => "resolves-to",
        (_, (NodeKind::Address | NodeKind::Prefix, NodeKind::System)) => "belongs-to",
        _ => "related-to",
    }
}

fn pattern(dossier: &Dossier) -> Option<String> {
    let value = dossier.target.replace('\\', "\\\\").replace('\'', "\\'");
    let object = match dossier.kind.as_str() {
        "domain" => "domain-name:value",
        "URL" => "url:value",
        "AS" => {
            let number = dossier.target.trim_start_matches("AS");
            return Some(format!("[autonomous-system:number = {number}]"));
        }
        _ if dossier.target.contains(':') => "ipv6-addr:value",
        _ => "ipv4-addr:value",
    };
    Some(format!("[{object} = '{value}']"))
}

fn time(at: u32) -> String {
    Timestamp(at).to_string().replace('Z', ".000Z")
}

fn ours(kind: &str, content: &str) -> String {
    format!("{kind}--{}", uuid5(&OURS, format!("{kind} {content}").as_bytes()))
}

/// An identifier that follows from a name (RFC 9562 section 5.5).
pub fn uuid5(space: &[u8; 16], name: &[u8]) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY);
    context.update(space);
    context.update(name);
    let digest = context.finish();
    let mut octets: [u8; 16] = digest.as_ref()[..16].try_into().expect("SHA-1 has 20 octets");
    octets[6] = octets[6] & 0x0f | 0x50;
    octets[8] = octets[8] & 0x3f | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&octets);
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_follow_the_standard() {
        // RFC 9562 appendix A.4: `www.example.com` in the name space of DNS.
        let dns = [
            0x6b, 0xa7, 0xb8, 0x10, 0x9d, 0xad, 0x11, 0xd1, 0x80, 0xb4, 0x00, 0xc0, 0x4f, 0xd4,
            0x30, 0xc8,
        ];
        assert_eq!(uuid5(&dns, b"www.example.com"), "2ed6657d-e927-568b-95e1-2665a8aea6a2");
    }

    #[test]
    fn a_bundle_has_its_objects_once_and_refers_to_nothing_else() {
        let bundle = bundle(&super::super::tests::dossier());
        let objects = bundle["objects"].as_array().unwrap();
        let mut ids: Vec<&str> = objects.iter().map(|o| o["id"].as_str().unwrap()).collect();
        for object in objects {
            for key in ["source_ref", "target_ref"] {
                if let Some(reference) = object[key].as_str() {
                    assert!(ids.contains(&reference), "{reference}");
                }
            }
        }
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
        let indicator = objects.iter().find(|o| o["type"] == "indicator").unwrap();
        assert_eq!(indicator["pattern"], "[domain-name:value = 'evil.test']");
        assert_eq!(indicator["valid_from"], "2026-08-21T08:13:20.000Z");
    }
}

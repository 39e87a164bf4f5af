//! Knot Resolver, which reads files: its own configuration, and Knot DNS as the secondary that
//! fetches them.

use super::{By, Facts, ZoneFacts, head};
use crate::zone::profile::Profile;

const CAVEATS: [&str; 3] = [
    "It reads query names alone: rules about addresses and servers are passed over, and only the \
     query name is looked at, no alias.",
    "6 passes over every target below `rpz-`, exceptions too: give it files made with \
     `--profile knot`, from which what would block an exception is left out.",
    "5 answers SERVFAIL for a rule that says DROP, and has no aliases.",
];

fn is_lua(profile: &Profile) -> bool {
    profile.name == "knot-5"
}

pub(super) fn by_file(facts: &Facts, profile: &Profile) -> String {
    let comment = if is_lua(profile) { "--" } else { "#" };
    let mut caveats = CAVEATS.to_vec();
    caveats.push(match is_lua(profile) {
        true => "5 watches the files: a change is in force at once.",
        false => "6 watches the files where `watchdog` is installed, else with `kresctl reload`.",
    });
    let mut out = head(comment, profile, By::File, facts, &caveats);
    out.push('\n');
    if is_lua(profile) {
        for ZoneFacts { file, .. } in &facts.zones {
            let file = file.display();
            out += &format!("policy.add(policy.rpz(policy.DENY, '{file}', true))\n");
        }
        return out;
    }
    out += "local-data:\n  rpz:\n";
    for ZoneFacts { file, .. } in &facts.zones {
        out += &format!("    - file: {}\n", file.display());
    }
    out
}

pub(super) fn by_transfer(facts: &Facts, profile: &Profile) -> String {
    let mut caveats = CAVEATS.to_vec();
    caveats.extend([
        "Knot DNS (knotd) takes the zones and keeps them as files; the resolver reads the files: ask \
         again with `--by file` for its part.",
        "`zonefile-sync: 0` writes the file with every version.",
    ]);
    let mut out = head("#", profile, By::Transfer, facts, &caveats);
    let (ip, port) = (facts.server.ip(), facts.server.port());
    let mut signed = String::new();
    if let Some(key) = &facts.key {
        let (name, algorithm, secret) = (&key.name, &key.algorithm, key.secret());
        out +=
            &format!("\nkey:\n  - id: {name}\n    algorithm: {algorithm}\n    secret: {secret}\n");
        signed = format!("    key: {name}\n");
    }
    out += &format!(
        "\nremote:\n  - id: sekisho\n    address: {ip}@{port}\n{signed}\n\
         acl:\n  - id: sekisho-notify\n    address: {ip}\n{signed}    action: notify\n\nzone:\n"
    );
    for zone in &facts.zones {
        let name = &zone.name;
        out += &format!(
            "  - domain: {name}\n    master: sekisho\n    acl: sekisho-notify\n    \
             file: {name}\n    zonefile-sync: 0\n"
        );
    }
    out
}

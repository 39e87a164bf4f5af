//! PowerDNS Recursor: the file that `lua-config-file` names, or YAML from 5.5 on.

use super::{By, Facts, KeyFacts, head};
use crate::zone::profile::Profile;

const CAVEATS: [&str; 3] = [
    "Put `packetcache-ttl=10` into recursor.conf: before 5.5 a kept packet has the verdict of its \
     time.",
    "Client addresses and query names of all zones come before addresses of any.",
    "An answer that was rewritten says so with extended error 15 (Blocked).",
];
const TRANSFER_CAVEATS: [&str; 2] = [
    "It hears of news by NOTIFY since 5.1 (`allow-notify-from`, `allow-notify-for`); before it asks \
     every `refresh` seconds.",
    "`axfrTimeout`: a transfer may take this long; the usual 20 s are short for large zones.",
];
/// How often it asks where it hears of no news, and how long a transfer may take, in seconds.
const REFRESH_SECONDS: u32 = 60;
const TRANSFER_SECONDS: u32 = 120;
/// "Blocked" (RFC 8914).
const BLOCKED: u16 = 15;

fn is_yaml(profile: &Profile) -> bool {
    profile.name == "pdns-recursor-5.5"
}

pub(super) fn by_transfer(facts: &Facts, profile: &Profile) -> String {
    let caveats = [&CAVEATS[..], &TRANSFER_CAVEATS[..]].concat();
    let comment = if is_yaml(profile) { "#" } else { "--" };
    let mut out = head(comment, profile, By::Transfer, facts, &caveats);
    out.push('\n');
    if is_yaml(profile) {
        out += "packetcache:\n  ttl: 10\nrecursor:\n  rpzs:\n";
    }
    for zone in &facts.zones {
        let (name, server) = (&zone.name, facts.server);
        out += &match is_yaml(profile) {
            true => format!(
                "    - name: {name}\n      addresses: ['{server}']\n{}      \
                 refresh: {REFRESH_SECONDS}\n      axfrTimeout: {TRANSFER_SECONDS}\n      \
                 extendedErrorCode: {BLOCKED}\n      includeSOA: true\n",
                facts.key.as_ref().map(yaml_key).unwrap_or_default()
            ),
            false => format!(
                "rpzPrimary({{\"{server}\"}}, \"{name}\", {{\n    {}refresh={REFRESH_SECONDS}, \
                 axfrTimeout={TRANSFER_SECONDS}, extendedErrorCode={BLOCKED},\n}})\n",
                facts.key.as_ref().map(lua_key).unwrap_or_default()
            ),
        };
    }
    out
}

fn yaml_key(key: &KeyFacts) -> String {
    format!(
        "      tsig:\n        name: {}\n        algo: {}\n        secret: '{}'\n",
        key.name,
        key.algorithm,
        key.secret()
    )
}

fn lua_key(key: &KeyFacts) -> String {
    format!(
        "tsigname=\"{}\", tsigalgo=\"{}\", tsigsecret=\"{}\",\n    ",
        key.name,
        key.algorithm,
        key.secret()
    )
}

pub(super) fn by_file(facts: &Facts, profile: &Profile) -> String {
    let mut caveats = CAVEATS.to_vec();
    caveats.push("It reads files again with `rec_control reload-lua-config`.");
    let comment = if is_yaml(profile) { "#" } else { "--" };
    let mut out = head(comment, profile, By::File, facts, &caveats);
    out.push('\n');
    if is_yaml(profile) {
        out += "packetcache:\n  ttl: 10\nrecursor:\n  rpzs:\n";
    }
    for zone in &facts.zones {
        let (name, file) = (&zone.name, zone.file.display());
        out += &match is_yaml(profile) {
            true => format!(
                "    - name: {file}\n      policyName: {name}\n      \
                 extendedErrorCode: {BLOCKED}\n      includeSOA: true\n"
            ),
            false => format!(
                "rpzFile(\"{file}\", {{ policyName=\"{name}\", extendedErrorCode={BLOCKED} }})\n"
            ),
        };
    }
    out
}

//! named.conf.

use super::{By, Facts, head};
use crate::zone::profile::Profile;

const CAVEATS: [&str; 4] = [
    "`break-dnssec yes`: blocked also where a client asks for DNSSEC and the name is signed. Without \
     it, signed bad names resolve for such clients.",
    "`qname-wait-recurse no`: a blocked name is not asked for first, so its servers learn nothing.",
    "At most 64 policy zones; what lets through comes first. A zone with `policy disabled` should \
     come before the others.",
    "The log names the rule as `via OWNER`; the SOA in an answer's additional section (`add-soa`) \
     has the serial of the version that decided.",
];

pub(super) fn by_transfer(facts: &Facts, profile: &Profile) -> String {
    let mut caveats = CAVEATS.to_vec();
    let interval = "`min-update-interval`: a version is taken a minute after the one before at the \
                    earliest, however often it is told of one.";
    caveats.push(interval);
    let mut out = head("//", profile, By::Transfer, facts, &caveats);
    let mut signed = String::new();
    if let Some(key) = &facts.key {
        let (name, secret) = (&key.name, key.secret());
        out += &format!(
            "\nkey \"{name}\" {{\n    algorithm {};\n    secret \"{secret}\";\n}};\n",
            key.algorithm
        );
        signed = format!(" key \"{name}\"");
    }
    let (ip, port) = (facts.server.ip(), facts.server.port());
    out += &options(facts, profile);
    for zone in &facts.zones {
        let name = &zone.name;
        out += &format!(
            "\nzone \"{name}\" {{\n    type secondary;\n    \
             primaries {{ {ip} port {port}{signed}; }};\n    file \"{name}.db\";\n    \
             allow-query {{ localhost; }};\n    allow-transfer {{ none; }};\n    notify no;\n}};\n"
        );
    }
    out + &logging()
}

pub(super) fn by_file(facts: &Facts, profile: &Profile) -> String {
    let mut caveats = CAVEATS.to_vec();
    let reload =
        "named reads a file again with `rndc reload ZONE`; the file is replaced as a whole.";
    caveats.push(reload);
    let mut out = head("//", profile, By::File, facts, &caveats);
    out += &options(facts, profile);
    for zone in &facts.zones {
        out += &format!(
            "\nzone \"{}\" {{\n    type primary;\n    file \"{}\";\n    \
             allow-query {{ localhost; }};\n    allow-transfer {{ none; }};\n    notify no;\n}};\n",
            zone.name,
            zone.file.display()
        );
    }
    out + &logging()
}

fn options(facts: &Facts, profile: &Profile) -> String {
    let mut out = "\n// One `options` block only: merge this with yours.\noptions {\n    \
                   response-policy {\n"
        .to_owned();
    for zone in &facts.zones {
        out += &format!("        zone \"{}\";\n", zone.name);
    }
    out + &format!(
        "    }} break-dnssec yes qname-wait-recurse no max-policy-ttl {} min-update-interval {};\n\
         }};\n",
        profile.ttl.1, profile.interval_seconds
    )
}

fn logging() -> String {
    "\n// One `logging` block only: merge this with yours.\nlogging {\n    channel rpz {\n        \
     file \"rpz.log\" versions 3 size 20m;\n        print-time yes;\n    };\n    \
     category rpz { rpz; };\n};\n"
        .to_owned()
}

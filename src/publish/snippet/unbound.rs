//! unbound.conf.

use super::{By, Facts, head};
use crate::zone::profile::Profile;

const CAVEATS: [&str; 4] = [
    "`respip` has to come first in `module-config`; take `validator` out if you do not validate.",
    "A name that one zone lets through is settled: no later zone is looked at for it, and zones of \
     others count as later ones.",
    "Query names of all zones come before addresses of any, whatever the order of the zones.",
    "Blocked names carry no extended error; the log line of a hit says `rpz`.",
];

pub(super) fn by_transfer(facts: &Facts, profile: &Profile) -> String {
    let mut caveats = CAVEATS.to_vec();
    caveats.extend([
        "There are no keys here: the primary knows this server by its address, and NOTIFY is taken \
         from the primary alone.",
        "After five transfers of changes it takes the sixth as a whole; a worker stands still while \
         a large zone loads.",
    ]);
    let mut out = head("#", profile, By::Transfer, facts, &caveats);
    out += &server();
    for zone in &facts.zones {
        let name = &zone.name;
        let (ip, port) = (facts.server.ip(), facts.server.port());
        out += &format!(
            "\nrpz:\n    name: \"{name}\"\n    primary: {ip}@{port}\n    allow-notify: {ip}\n    \
             zonefile: \"{name}\"\n{}",
            log(&name.to_string())
        );
    }
    out
}

pub(super) fn by_file(facts: &Facts, profile: &Profile) -> String {
    let mut caveats = CAVEATS.to_vec();
    caveats.push(
        "A file is read again with `unbound-control auth_zone_reload ZONE`. Under `chroot` its path \
         is below that directory.",
    );
    let mut out = head("#", profile, By::File, facts, &caveats);
    out += &server();
    for zone in &facts.zones {
        let (name, file) = (&zone.name, zone.file.display());
        out += &format!(
            "\nrpz:\n    name: \"{name}\"\n    zonefile: \"{file}\"\n{}",
            log(&name.to_string())
        );
    }
    out
}

fn server() -> String {
    "\nserver:\n    module-config: \"respip validator iterator\"\n".to_owned()
}

fn log(name: &str) -> String {
    format!("    rpz-log: yes\n    rpz-log-name: \"{name}\"\n")
}

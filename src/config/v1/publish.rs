//! The section `[publish]` and the tables `[[secondary]]`.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use super::super::TransferKey;
use super::super::publish::{Publish, SecondaryServer, Transfer};
use super::{files, listen, networks, path, words};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Table, Value};
use crate::model::Name;
use crate::policy::compile;
use crate::publish::line::Pace;
use crate::zone::HistoryLimits;

/// More than anybody runs by hand; each is a task, and a row in every table about them.
const SECONDARIES_MAX: usize = 1000;
/// The longest name of one, so that a table fits a screen.
const NAME_OCTETS_MAX: usize = 64;
/// A day: who wants zones more rarely does not want this.
const SECONDS_MAX: u32 = 86_400;
/// What a restart reads back, for each zone.
const VERSIONS_MAX: i64 = 10_000;
/// What a restart reads back at most.
const JOURNAL_OCTETS_MAX: u64 = 1 << 30;

pub(super) fn publish(
    root: &Table<'_>,
    table: Option<&Table<'_>>,
    keys: &[TransferKey],
    file: &str,
) -> Publish {
    let get = |key| table.and_then(|table| table.get(key));
    Publish {
        directory: get("directory").and_then(|v| path(&v)).map(PathBuf::from),
        profile: get("profile").and_then(|v| files::profile(&v)),
        folders: table.map(files::folders).unwrap_or_default(),
        http: table.and_then(|t| t.table("http", files::http)).unwrap_or_default(),
        why_from: table.map(|table| networks(table, "why_from")).unwrap_or_default(),
        origin: get("origin").and_then(|v| v.parse(words::zone_name)).unwrap_or_else(|| {
            Name::from_presentation(compile::ZONE_SUFFIX).expect("a constant name is sound")
        }),
        transfer: table.and_then(|t| t.table("transfer", transfer)).unwrap_or_default(),
        secondaries: secondaries(root, keys, file),
    }
}

fn transfer(table: &Table<'_>) -> Transfer {
    let usual = Transfer::default();
    let seconds = |key, otherwise: u32| {
        let read = |text: &str| words::seconds(text, 0..=SECONDS_MAX);
        table.get(key).and_then(|v| v.parse(read)).unwrap_or(otherwise)
    };
    let versions = table.get("journal_versions").and_then(|v| v.integer(1..=VERSIONS_MAX));
    let octets = table
        .get("journal_size")
        .and_then(|v| v.parse(|text| words::octets(text, 1 << 20..=JOURNAL_OCTETS_MAX)));
    let tls = listen(table, "tls");
    let certificate = super::resolver::certificate(table);
    if certificate.is_none() && !tls.is_empty() {
        table.report(
            Diagnostic::error("transfers over TLS need a certificate")
                .hint("add `certificate` and `key`, each the path of a file in PEM"),
        );
    }
    Transfer {
        pace: Pace {
            small_seconds: seconds("interval", usual.pace.small_seconds),
            large_seconds: seconds("interval_large", usual.pace.large_seconds),
            canary_seconds: seconds("canary_time", usual.pace.canary_seconds),
        },
        journal: HistoryLimits {
            deltas_max: versions
                .and_then(|number| usize::try_from(number).ok())
                .unwrap_or(usual.journal.deltas_max),
            octets_max: octets
                .and_then(|octets| usize::try_from(octets).ok())
                .unwrap_or(usual.journal.octets_max),
        },
        catalog: table.get("catalog").and_then(|v| v.parse(words::zone_name)),
        listen: listen(table, "listen"),
        tls,
        certificate,
    }
}

/// Reads all secondaries.
fn secondaries(root: &Table<'_>, keys: &[TransferKey], file: &str) -> Vec<SecondaryServer> {
    let mut secondaries: Vec<SecondaryServer> = Vec::new();
    root.each("secondary", |table| {
        let Some(secondary) = secondary(table, keys, file) else { return };
        if let Some(other) = secondaries.iter().find(|other| other.name == secondary.name) {
            let message =
                format!("there is another secondary `{}` at {}", secondary.name, other.place);
            table.report(Diagnostic::error(message).hint("give it a `name` of its own"));
        }
        if secondaries.len() == SECONDARIES_MAX {
            table.report(Diagnostic::error(format!("more than {SECONDARIES_MAX} secondaries")));
        }
        if secondaries.len() < SECONDARIES_MAX {
            secondaries.push(secondary);
        }
    });
    secondaries
}

fn secondary(table: &Table<'_>, keys: &[TransferKey], file: &str) -> Option<SecondaryServer> {
    let name = table.need("name").and_then(|v| v.text_within(NAME_OCTETS_MAX));
    let address = table.get("address").map(|v| v.parse(server_address));
    let from = networks(table, "from");
    let key = table.get("key").map(|v| key(&v, keys));
    let zones = table.get("zones").map(|_| {
        table.list("zones").iter().filter_map(|v| v.parse(words::zone_name)).collect::<Vec<_>>()
    });
    let flag = |key| table.get(key).and_then(|v| v.flag());
    let notify = flag("notify").unwrap_or(address.is_some());
    let canary = flag("canary").unwrap_or(false);
    if address.is_none() && key.is_none() && from.is_empty() && table.get("from").is_none() {
        table.report(
            Diagnostic::error("nothing says who this secondary is")
                .hint("add its `address`, the networks `from` which it asks, or its `key`"),
        );
    }
    if notify && address.is_none() {
        table.report(
            Diagnostic::error("there is no address to tell of news")
                .hint("add `address`, or take `notify` away"),
        );
    }
    Some(SecondaryServer {
        name: name?.to_owned(),
        address: address.flatten(),
        from,
        key: key.flatten(),
        zones,
        notify,
        canary,
        place: table.position().in_file(file),
    })
}

/// Reads the address of a server; without a port it is that of DNS.
fn server_address(text: &str) -> Result<SocketAddr, Diagnostic> {
    match text.parse::<IpAddr>() {
        Ok(address) => Ok(SocketAddr::from((address, 53))),
        Err(_) => text.parse().map_err(|_| {
            Diagnostic::error(format!("`{text}` is not an address"))
                .hint("as in `192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:53`")
        }),
    }
}

fn key(value: &Value<'_>, keys: &[TransferKey]) -> Option<Name> {
    let name = value.parse(words::zone_name)?;
    if keys.iter().any(|key| key.name == name) {
        return Some(name);
    }
    let known: Vec<String> = keys.iter().map(|key| key.name.to_string()).collect();
    let finding = Diagnostic::error(format!("there is no key `{name}`"));
    value.report(match nearest(&name.to_string(), known.iter().map(String::as_str)) {
        Some(near) => finding.hint(format!("did you mean `{near}`?")),
        None => finding.hint("add it as a `[[key]]`"),
    });
    None
}

#[cfg(test)]
mod tests {
    use crate::config::v1::tests::read;

    #[test]
    fn secondaries_are_read_with_who_they_are_and_what_they_get() {
        let (config, found) = read(
            "[publish.transfer]\ninterval = '10s'\njournal_versions = 5\n\
             [[key]]\nname = 'k'\nfile = 'k.key'\n\
             [[secondary]]\nname = 'a'\naddress = '192.0.2.1'\n\
             [[secondary]]\nname = 'b'\nkey = 'k'\nfrom = ['198.51.100.0/24']\n\
             zones = ['threat.rpz']\ncanary = true\n",
        );
        assert_eq!(found, "");
        let publish = config.unwrap().publish;
        assert_eq!(publish.transfer.pace.small_seconds, 10);
        assert_eq!(publish.transfer.pace.large_seconds, 300);
        assert_eq!(publish.transfer.journal.deltas_max, 5);
        let [a, b] = &publish.secondaries[..] else { panic!("not two") };
        assert_eq!(a.address, Some("192.0.2.1:53".parse().unwrap()));
        assert!(a.notify && !a.canary && a.zones.is_none() && a.key.is_none());
        assert_eq!(b.key.as_ref().unwrap().to_string(), "k");
        assert!(!b.notify && b.canary && b.from.len() == 1);
        assert_eq!(b.zones.as_ref().unwrap().len(), 1);
    }

    #[test]
    fn secondaries_that_cannot_be_served_are_found() {
        for (text, finding) in [
            (
                "name = 'a'\n",
                "error: nothing says who this secondary is\n  --> s.toml:1:1\n\
                 hint: add its `address`, the networks `from` which it asks, or its `key`",
            ),
            (
                "name = 'a'\nkey = 'x'\n",
                "error: there is no key `x`\n  --> s.toml:3:7\nhint: add it as a `[[key]]`",
            ),
            (
                "name = 'a'\nfrom = ['::1']\nnotify = true\n",
                "error: there is no address to tell of news\n  --> s.toml:1:1\n\
                 hint: add `address`, or take `notify` away",
            ),
            (
                "name = 'a'\naddress = 'ns1'\n",
                "error: `ns1` is not an address\n  --> s.toml:3:11\n\
                 hint: as in `192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:53`",
            ),
            (
                "name = 'a'\naddress = '::1'\n[publish.transfer]\ntls = '[::1]:853'\n",
                "error: transfers over TLS need a certificate\n  --> s.toml:4:1\n\
                 hint: add `certificate` and `key`, each the path of a file in PEM",
            ),
            (
                "name = 'a'\naddress = '::1'\n[[secondary]]\nname = 'a'\naddress = '::2'\n",
                "error: there is another secondary `a` at s.toml:1:1\n  --> s.toml:4:1\n\
                 hint: give it a `name` of its own",
            ),
        ] {
            assert_eq!(read(&format!("[[secondary]]\n{text}")).1, finding, "{text}");
        }
    }
}

//! The tables `[[zone]]`: policy zones from files and from elsewhere.

use std::path::{Path, PathBuf};

use super::super::{TransferKey, Zone};
use super::elsewhere::elsewhere;
use super::{path, words};
use crate::diagnostic::Diagnostic;
use crate::document::{Table, Value};
use crate::model::{Action, Name};
use crate::pipeline::Order;
use crate::policy::file::v1::MODES;
use crate::policy::notice::TEXT_OCTETS_MAX;
use crate::zone::options::ExtendedError;
use crate::zone::structured::{CONTACTS_MAX, StructuredError, WORD_OCTETS_MAX};
use crate::zone::{Override, ZoneOptions};

/// BIND takes at most 64 policy zones, and every query asks every zone.
const ZONES_MAX: usize = 64;

const STANDINGS: [(&str, Order); 3] =
    [("first", Order::First), ("before-generated", Order::BeforeGenerated), ("last", Order::Last)];

/// Extended errors that policy can mean (RFC 8914), by the words that BIND has for them.
const EXTENDED_ERRORS: [(&str, Option<u16>); 6] = [
    ("none", None),
    ("forged", Some(4)),
    ("blocked", Some(15)),
    ("censored", Some(16)),
    ("filtered", Some(17)),
    ("prohibited", Some(18)),
];

/// Reads all zones.
pub(super) fn zones(root: &Table<'_>, file: &str, keys: &[TransferKey]) -> Vec<Zone> {
    let mut zones: Vec<Zone> = Vec::new();
    root.each("zone", |table| {
        let Some(zone) = zone(table, file, keys) else { return };
        if let Some(other) = zones.iter().find(|other| other.name == zone.name) {
            let message = format!("there is another zone `{}` at {}", zone.name, other.place);
            table.report(Diagnostic::error(message).hint("give it a `name` of its own"));
        }
        if zones.len() == ZONES_MAX {
            table.report(Diagnostic::error(format!("more than {ZONES_MAX} zones")));
        }
        if zones.len() < ZONES_MAX {
            zones.push(zone);
        }
    });
    zones
}

fn zone(table: &Table<'_>, file: &str, keys: &[TransferKey]) -> Option<Zone> {
    let own = table.get("file").and_then(|v| Some((path(&v)?.to_owned(), v)));
    let name = match (table.get("name"), &own) {
        (Some(name), _) => name.parse(words::zone_name),
        (None, Some((path, value))) => name_of_file(path, value),
        (None, None) => None,
    };
    let elsewhere = elsewhere(table, keys);
    let from_elsewhere = table.has_any(&["primaries", "url"]);
    if !table.has_any(&["file"]) && !from_elsewhere {
        table.report(
            Diagnostic::error("the zone comes from nowhere")
                .hint("add `file`, or `primaries` or `url` for a zone of another publisher"),
        );
    } else if from_elsewhere && !table.has_any(&["name", "file"]) {
        table.report(Diagnostic::error("`[[zone]]` needs `name`"));
    }
    let order = table.get("standing").and_then(|v| v.word(&STANDINGS)).unwrap_or(Order::Last);
    let options = options(table);
    let groups = table
        .list("groups")
        .iter()
        .filter_map(|v| Some((v.text()?.to_owned(), v.position().in_file(file))))
        .collect();
    let place = table.position().in_file(file);
    let own = own.map(|(path, _)| PathBuf::from(path));
    Some(Zone { file: own, elsewhere, name: name?, order, options, groups, place })
}

/// The file `lists/local.rpz` is the zone `local.rpz`.
fn name_of_file(path: &str, value: &Value<'_>) -> Option<Name> {
    let file = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let name = Name::from_host(file);
    if name.is_err() {
        let message = format!("`{file}` is no name for a zone");
        value.report(Diagnostic::error(message).hint("add `name`"));
    }
    name.ok()
}

fn options(table: &Table<'_>) -> ZoneOptions {
    let ours = table.get("options").and_then(|v| v.word(&[("draft", false), ("ours", true)]));
    let mut options = match ours {
        Some(true) => ZoneOptions::ours(),
        _ => ZoneOptions::draft(),
    };
    let flag = |key, slot: &mut bool| {
        if let Some(flag) = table.get(key).and_then(|v| v.flag()) {
            *slot = flag;
        }
    };
    flag("log", &mut options.log);
    flag("recursive_only", &mut options.recursive_only);
    flag("break_dnssec", &mut options.break_dnssec);
    flag("qname_wait_recurse", &mut options.qname_wait_recurse);
    flag("nsip_wait_recurse", &mut options.nsip_wait_recurse);
    flag("nsdname_wait_recurse", &mut options.nsdname_wait_recurse);
    flag("add_soa", &mut options.add_soa);
    if let Some(mode) = table.get("mode").and_then(|v| v.word(&MODES)) {
        options.mode = mode;
    }
    if let Some(dots) = table.get("min_ns_dots").and_then(|v| v.integer(0..=127)) {
        options.min_ns_dots = u8::try_from(dots).unwrap_or(options.min_ns_dots);
    }
    if let Some(ttl) =
        table.get("max_policy_ttl").and_then(|v| v.parse(|text| words::seconds(text, 0..=604_800)))
    {
        options.max_policy_ttl = ttl;
    }
    if let Some(policy) = policy(table) {
        options.policy = policy;
    }
    extended_error(table, &mut options);
    options
}

/// Reads what replaces the actions of the rules (draft section 6.1).
fn policy(table: &Table<'_>) -> Option<Override> {
    let words = [
        ("given", Override::Given),
        ("disabled", Override::Disabled),
        ("nxdomain", Override::Action(Action::NxDomain)),
        ("nodata", Override::Action(Action::NoData)),
        ("passthru", Override::Action(Action::Passthru)),
        ("drop", Override::Action(Action::Drop)),
        ("tcp-only", Override::Action(Action::TcpOnly)),
        ("local-data-or-passthru", Override::LocalDataOrPassthru),
        ("local-data-or-disabled", Override::LocalDataOrDisabled),
    ];
    let value = table.get("policy")?;
    if let Some(target) = value.text().and_then(|text| text.strip_prefix("cname ")) {
        let target = target.trim();
        return value.parse(|_| match target.strip_prefix("*.") {
            Some(below) => words::zone_name(below).map(Action::RedirectBelow).map(Override::Action),
            None => words::zone_name(target).map(Action::Redirect).map(Override::Action),
        });
    }
    let mut positions: Vec<(&'static str, usize)> = Vec::new();
    positions.extend(words.iter().enumerate().map(|(at, (word, _))| (*word, at)));
    positions.push(("cname NAME", words.len()));
    value.word(&positions).and_then(|at| words.get(at)).map(|(_, policy)| policy.clone())
}

fn extended_error(table: &Table<'_>, options: &mut ZoneOptions) {
    let code = table.get("extended_error").and_then(|v| v.word(&EXTENDED_ERRORS));
    let text = table.get("extended_error_text");
    match code {
        Some(None) => options.extended_error = None,
        Some(Some(code)) => {
            options.extended_error = Some(ExtendedError::new(code, ""));
        }
        None => {}
    }
    let structured = structured_error(table);
    if let Some(error) = &mut options.extended_error {
        error.structured = structured;
    } else if let Some(contact) = table.get("contact") {
        contact.report(
            Diagnostic::error("there is no extended error for this contact")
                .hint("add `extended_error = \"blocked\"` or another code"),
        );
    }
    let Some(text) = text else { return };
    match &mut options.extended_error {
        Some(error) => {
            if let Some(text) = text.text_within(TEXT_OCTETS_MAX) {
                error.text = text.to_owned();
            }
        }
        None => text.report(
            Diagnostic::error("there is no extended error for this text")
                .hint("add `extended_error = \"blocked\"` or another code"),
        ),
    }
}

/// What clients are told that read extended errors as data.
fn structured_error(table: &Table<'_>) -> Option<StructuredError> {
    let contact = |text: &str| match StructuredError::is_contact(text) {
        true => Ok(text.to_owned()),
        false => Err(Diagnostic::error(format!("`{text}` is no address that a client can use"))
            .hint(
                "as in `mailto:help@example.net`, `https://help.example.net/` or `tel:+1-555-0100`",
            )),
    };
    let values = table.list("contact");
    if let Some(beyond) = values.get(CONTACTS_MAX) {
        beyond.report(Diagnostic::error(format!("more than {CONTACTS_MAX} contacts")));
    }
    let contacts: Vec<String> =
        values.iter().take(CONTACTS_MAX).filter_map(|v| v.parse(contact)).collect();
    let word = |key| {
        let value = table.get(key)?;
        if values.is_empty() {
            let finding =
                Diagnostic::error(format!("`{key}` is told to clients with a contact only"));
            value.report(finding.hint("add `contact = [\"mailto:help@example.net\"]`"));
        }
        Some(value)
    };
    let text = |key| {
        let value = word(key)?;
        value.text_within(WORD_OCTETS_MAX).map(str::to_owned)
    };
    let organisation = text("organisation");
    let database = text("incident_database");
    let suberror = word("suberror").and_then(|v| v.integer(1..=255));
    let suberror = suberror.and_then(|number| u8::try_from(number).ok());
    (!contacts.is_empty()).then_some(StructuredError { contacts, organisation, suberror, database })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{self, DEFAULT};
    use crate::zone::Mode;

    fn read(text: &str) -> (Vec<Zone>, String) {
        let (config, found) = config::read("s.toml", text);
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        (config.map_or_else(Vec::new, |config| config.zones), found.join("\n"))
    }

    #[test]
    fn the_shipped_zones_stand_around_the_lists() {
        let (zones, _) = read(DEFAULT);
        let shown: Vec<String> =
            zones.iter().map(|zone| format!("{} {:?}", zone.name, zone.order)).collect();
        assert_eq!(shown, ["local.rpz First", "protected.rpz BeforeGenerated"]);
        let data = ZoneOptions { extended_error: None, ..ZoneOptions::ours() };
        assert_eq!((&zones[0].options, &zones[1].options), (&data, &ZoneOptions::ours()));
    }

    #[test]
    fn every_option_of_a_zone_is_read() {
        let (zones, found) = read(
            "[[zone]]\nfile = 'x.rpz'\nname = 'vendor.rpz'\nstanding = 'first'\nmode = 'observe'\n\
             policy = 'cname *.garden.example'\nlog = false\nrecursive_only = false\n\
             break_dnssec = true\nqname_wait_recurse = false\nnsip_wait_recurse = false\n\
             nsdname_wait_recurse = false\nadd_soa = false\nmin_ns_dots = 2\n\
             max_policy_ttl = '5m'\nextended_error = 'censored'\nextended_error_text = 'law'\n\
             contact = 'mailto:a@b.example'\norganisation = 'B'\nsuberror = 1\n\
             incident_database = 'cases'\n",
        );
        assert_eq!(found, "");
        let garden = Name::from_host("garden.example").unwrap();
        let expected = ZoneOptions {
            policy: Override::Action(Action::RedirectBelow(garden)),
            mode: Mode::Observe,
            log: false,
            recursive_only: false,
            break_dnssec: true,
            qname_wait_recurse: false,
            nsip_wait_recurse: false,
            nsdname_wait_recurse: false,
            min_ns_dots: 2,
            max_policy_ttl: 300,
            add_soa: false,
            extended_error: Some(ExtendedError {
                structured: Some(StructuredError {
                    contacts: vec!["mailto:a@b.example".to_owned()],
                    organisation: Some("B".to_owned()),
                    suberror: Some(1),
                    database: Some("cases".to_owned()),
                }),
                ..ExtendedError::new(16, "law")
            }),
            ..ZoneOptions::draft()
        };
        assert_eq!(
            (&zones[0].options, zones[0].name.to_string().as_str()),
            (&expected, "vendor.rpz")
        );
    }

    #[test]
    fn overrides_have_the_words_of_the_draft() {
        let policy = |word: &str| {
            let (zones, found) = read(&format!("[[zone]]\nfile = 'x.rpz'\npolicy = '{word}'\n"));
            zones.first().map(|zone| zone.options.policy.clone()).ok_or(found)
        };
        let garden = Name::from_host("g.example").unwrap();
        for (word, expected) in [
            ("given", Override::Given),
            ("disabled", Override::Disabled),
            ("tcp-only", Override::Action(Action::TcpOnly)),
            ("local-data-or-passthru", Override::LocalDataOrPassthru),
            ("cname g.example", Override::Action(Action::Redirect(garden))),
        ] {
            assert_eq!(policy(word), Ok(expected));
        }
        assert_eq!(
            policy("nxdomian").unwrap_err(),
            "error: `policy` cannot be `nxdomian`\n  --> s.toml:3:10\n\
             hint: did you mean `nxdomain`?"
        );
        assert_eq!(
            policy("cname a..b").unwrap_err(),
            "error: the name `a..b` is refused: empty label\n  --> s.toml:3:10"
        );
    }

    #[test]
    fn zones_need_a_file_and_a_name_of_their_own() {
        assert_eq!(
            read("[[zone]]\n").1,
            "error: the zone comes from nowhere\n  --> s.toml:1:1\n\
             hint: add `file`, or `primaries` or `url` for a zone of another publisher"
        );
        assert_eq!(
            read("[[zone]]\nprimaries = '192.0.2.1'\n").1,
            "error: `[[zone]]` needs `name`\n  --> s.toml:1:1"
        );
        assert_eq!(
            read("[[zone]]\nfile = 'my list.rpz'\n").1,
            "error: `my list.rpz` is no name for a zone\n  --> s.toml:2:8\nhint: add `name`"
        );
        assert_eq!(
            read("[[zone]]\nfile = 'a.rpz'\n[[zone]]\nfile = 'b/a.rpz'\n").1,
            "error: there is another zone `a.rpz` at s.toml:1:1\n  --> s.toml:3:1\n\
             hint: give it a `name` of its own"
        );
        assert_eq!(
            read("[[zone]]\nfile = 'a.rpz'\nextended_error_text = 'x'\n").1,
            "error: there is no extended error for this text\n  --> s.toml:3:23\n\
             hint: add `extended_error = \"blocked\"` or another code"
        );
        assert_eq!(
            read("[[zone]]\nfile = 'a.rpz'\noptions = 'ours'\norganisation = 'x'\n").1,
            "error: `organisation` is told to clients with a contact only\n  --> s.toml:4:16\n\
             hint: add `contact = [\"mailto:help@example.net\"]`"
        );
        assert_eq!(
            read("[[zone]]\nfile = 'a.rpz'\noptions = 'ours'\ncontact = 'help'\n").1,
            "error: `help` is no address that a client can use\n  --> s.toml:4:11\n\
             hint: as in `mailto:help@example.net`, `https://help.example.net/` or `tel:+1-555-0100`"
        );
    }
    #[test]
    fn there_are_at_most_as_many_zones_as_bind_takes() {
        let zones: String =
            (0..=ZONES_MAX).map(|i| format!("[[zone]]\nfile = 'z{i}.rpz'\n")).collect();
        assert_eq!(read(&zones).1, "error: more than 64 zones\n  --> s.toml:129:1");
    }
}

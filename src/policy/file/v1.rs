//! What may stand in a policy file of version 1.
//!
//! ```toml
//! version = 1                  # optional
//! mode = "enforce"             # off | observe | enforce
//!
//! [thresholds]                 # points: 10 are odds of ten to one
//! block    = { on = 15, off = 11 }
//! redirect = { on = 10, off = 7 }
//! monitor  = { on = 0, off = -3 }
//!
//! [answers]
//! block = "nxdomain"           # nxdomain | nodata | drop
//! walled_garden = { addresses = ["192.0.2.80"] }   # or { name = "garden.example" }
//!
//! [zones]                      # modes of the generated zones
//! threat = "enforce"
//! operator = "enforce"
//!
//! [notice]
//! organisation = "…"           # and contact, blocked, redirected, filtered
//!
//! [group.kids]
//! networks = ["192.0.2.128/25"]
//! mode = "enforce"
//! categories = { adult = true }
//! redirect_predicted = true
//!
//! [category.adult]
//! enabled = false
//! action = "block"             # block | redirect
//! mode = "enforce"
//! groups = []
//! name = []                    # and file
//!
//! [[block]]                    # and [[allow]], [[redirect]]
//! name = "bad.example"         # or an array; `*.bad.example` is all names below
//! network = "198.51.100.0/24"  # or an array
//! file = "names.txt"           # or an array
//! scope = "subdomains"         # exact | subdomains
//! reason = "…"
//! owner = "amy"
//! until = 2026-12-31           # the whole of that day, UTC; or a time with an offset
//! groups = ["kids"]
//! mode = "enforce"
//! force = false                # may take in a public suffix
//! ```

use std::net::IpAddr;

use super::draft::{Draft, Reference};
use super::names;
use crate::diagnostic::Diagnostic;
use crate::document::{Table, Value};
use crate::model::{Action, GroupSet, Name, RrSet, Timestamp};
use crate::policy::notice::TEXT_OCTETS_MAX;
use crate::policy::{Entry, List, Mark, Reach, Subject, Target, Threshold, WalledGarden};
use crate::zone::Mode;

/// The modes and their words.
pub const MODES: [(&str, Mode); 3] =
    [("off", Mode::Off), ("observe", Mode::Observe), ("enforce", Mode::Enforce)];

/// The TTL of walled garden addresses, in seconds (SCORING 2.9: synthesised answers).
const GARDEN_TTL_SECONDS: u32 = 60;
/// The widest thresholds, in millibans: the cap of positive evidence (SCORING 2.5).
const THRESHOLD_MBAN_MAX: i64 = 6000;
/// The most addresses of a walled garden; all stand in every answer.
const GARDEN_ADDRESSES_MAX: usize = 16;
const TYPE_A: u16 = 1;
const TYPE_AAAA: u16 = 28;
/// The keys of an entry of a list.
const ENTRY_KEYS: [&str; 10] =
    ["scope", "name", "network", "file", "reason", "owner", "until", "mode", "groups", "force"];

/// Reads a file into the draft.
pub(super) fn read(draft: &mut Draft<'_>, root: &Table<'_>, file: u32) {
    if let Some(version) = root.get("version")
        && version.integer(0..=i64::MAX).is_some_and(|number| number != 1)
    {
        version.report(Diagnostic::error("this program reads version 1 of policy files"));
    }
    let reader = Reader { file };
    set(&mut draft.mode, root.get("mode").and_then(|v| v.word(&MODES)));
    root.table("thresholds", |table| reader.thresholds(draft, table));
    root.table("answers", |table| reader.answers(draft, table));
    root.table("zones", |table| {
        set(&mut draft.threat_mode, table.get("threat").and_then(|v| v.word(&MODES)));
        set(&mut draft.operator_mode, table.get("operator").and_then(|v| v.word(&MODES)));
    });
    root.table("notice", |table| reader.notice(draft, table));
    root.named("group", |name, table| reader.group(draft, &name, table));
    root.named("category", |name, table| reader.category(draft, &name, table));
    for list in List::ALL {
        root.each(list.as_str(), |table| reader.entry(draft, list, table));
    }
}

/// Overrides where there is something new.
fn set<T>(slot: &mut T, new: Option<T>) {
    if let Some(new) = new {
        *slot = new;
    }
}

struct Reader {
    file: u32,
}

impl Reader {
    fn mark(&self, value: &Value<'_>) -> Mark {
        Mark { file: self.file, position: value.position() }
    }

    fn thresholds(&self, draft: &mut Draft<'_>, table: &Table<'_>) {
        let read = |key, slot: &mut Threshold, mark: &mut Option<Mark>| {
            let points = |value: Value<'_>| {
                let mban = value.hundredths(-THRESHOLD_MBAN_MAX..=THRESHOLD_MBAN_MAX)?;
                i32::try_from(mban).ok()
            };
            table.table(key, |table| {
                set(&mut slot.on_mban, table.get("on").and_then(points));
                set(&mut slot.off_mban, table.get("off").and_then(points));
                *mark = Some(Mark { file: self.file, position: table.position() });
            });
        };
        let [block, redirect, monitor] = &mut draft.threshold_marks;
        read("block", &mut draft.thresholds.block, block);
        read("redirect", &mut draft.thresholds.redirect, redirect);
        read("monitor", &mut draft.thresholds.monitor, monitor);
    }

    fn answers(&self, draft: &mut Draft<'_>, table: &Table<'_>) {
        let words = [("nxdomain", 0), ("nodata", 1), ("drop", 2)];
        let actions = [Action::NxDomain, Action::NoData, Action::Drop];
        if let Some(at) = table.get("block").and_then(|v| v.word(&words)) {
            draft.block_action = actions[at].clone();
        }
        let garden = table.table("walled_garden", |table| {
            let addresses = table.list("addresses");
            let name = table.get("name").and_then(|v| {
                v.parse(|text| Name::from_host(text).map_err(|e| Diagnostic::error(e.to_string())))
            });
            match (name, addresses.is_empty()) {
                (Some(_), false) => {
                    table.report(
                        Diagnostic::error("a walled garden has either addresses or a name")
                            .hint("answers carry the addresses, or an alias to the name"),
                    );
                    None
                }
                (Some(name), true) => Some(WalledGarden::Name(name)),
                (None, false) => garden_of(&addresses),
                (None, true) => None,
            }
        });
        // An empty table takes back what an earlier file said.
        set(&mut draft.walled_garden, garden);
    }

    fn notice(&self, draft: &mut Draft<'_>, table: &Table<'_>) {
        let text = |key| {
            let text = table.get(key)?.text_within(TEXT_OCTETS_MAX)?;
            Some(text.to_owned())
        };
        let notice = &mut draft.notice;
        set(&mut notice.organisation, text("organisation").map(Some));
        set(&mut notice.contact, text("contact").map(Some));
        set(&mut notice.blocked, text("blocked"));
        set(&mut notice.redirected, text("redirected"));
        set(&mut notice.filtered, text("filtered"));
    }

    fn group(&self, draft: &mut Draft<'_>, name: &Value<'_>, table: &Table<'_>) {
        let networks = self.networks(table, "networks");
        let mode = table.get("mode").and_then(|v| v.word(&MODES));
        let predicted = table.get("redirect_predicted").and_then(|v| v.flag());
        let switches = table.children("categories");
        let Some(at) = draft.group(name.key(), self.mark(name)) else { return };
        let (group, switched) = &mut draft.groups[at];
        group.networks.extend(networks);
        set(&mut group.mode, mode);
        set(&mut group.redirect_predicted, predicted);
        for switch in switches {
            if let Some(on) = switch.flag() {
                switched.push((
                    Reference { name: switch.key().to_owned(), mark: self.mark(&switch) },
                    on,
                ));
            }
        }
    }

    fn category(&self, draft: &mut Draft<'_>, name: &Value<'_>, table: &Table<'_>) {
        let enabled = table.get("enabled").and_then(|v| v.flag());
        let actions = [("block", List::Block), ("redirect", List::Redirect)];
        let action = table.get("action").and_then(|v| v.word(&actions));
        let mode = table.get("mode").and_then(|v| v.word(&MODES));
        let groups = self.references(table, "groups");
        let subjects = self.subjects(draft, table, Reach::Subdomains, &["name", "file"]);
        let Some(at) = draft.category(name.key(), self.mark(name)) else { return };
        let (category, references) = &mut draft.categories[at];
        set(&mut category.enabled, enabled);
        set(&mut category.action, action);
        set(&mut category.mode, mode);
        category.subjects.extend(subjects);
        references.extend(groups);
    }

    fn entry(&self, draft: &mut Draft<'_>, list: List, table: &Table<'_>) {
        let scopes = [("exact", Reach::Exact), ("subdomains", Reach::Subdomains)];
        let scope = table.get("scope");
        let reach = scope.as_ref().and_then(|v| v.word(&scopes)).unwrap_or_default();
        let subjects = self.subjects(draft, table, reach, &["name", "network", "file"]);
        let below = |s: &Subject| matches!(s.target, Target::Name(_, Reach::Below));
        if let Some(scope) = scope
            && subjects.iter().any(|s| s.mark.file == self.file && below(s))
        {
            scope.report(
                Diagnostic::error("a name that starts with `*.` has no scope")
                    .hint("`*.name` is all names below; leave `scope` out, or leave `*.` out"),
            );
        }
        let text = |key| Some(table.get(key)?.text_within(TEXT_OCTETS_MAX)?.to_owned());
        let entry = Entry {
            list,
            subjects,
            reason: text("reason"),
            owner: text("owner"),
            until: table.get("until").and_then(|v| until(&v)),
            groups: GroupSet::NONE,
            mode: table.get("mode").and_then(|v| v.word(&MODES)).unwrap_or_default(),
            force: list != List::Allow
                && table.get("force").and_then(|v| v.flag()).unwrap_or_default(),
            mark: Mark { file: self.file, position: table.position() },
        };
        draft.entries.push((entry, self.references(table, "groups")));
    }

    /// The names, networks and files of names of an entry.
    fn subjects(
        &self,
        draft: &mut Draft<'_>,
        table: &Table<'_>,
        scope: Reach,
        keys: &[&'static str],
    ) -> Vec<Subject> {
        let mut subjects = Vec::new();
        let mut values = 0;
        for &key in keys {
            for value in table.list(key) {
                values += 1;
                let mark = self.mark(&value);
                match key {
                    "file" => {
                        if let Some(path) = value.text() {
                            subjects.extend(draft.names_file(path, scope, mark));
                        }
                    }
                    "network" => {
                        let network = value.parse(names::network).map(Target::Network);
                        subjects.extend(network.map(|target| Subject { target, mark }));
                    }
                    _ => {
                        let name = value.parse(|text| names::name(text, scope));
                        subjects.extend(name.map(|target| Subject { target, mark }));
                    }
                }
            }
        }
        // A category may have all its names from sources.
        // A key that does not exist was most likely meant to say it, and is reported.
        if values == 0 && keys.contains(&"network") && !table.has_other_key(&ENTRY_KEYS) {
            let finding = Diagnostic::error("the entry is about nothing");
            table.report(finding.hint("add `name`, `network` or `file`"));
        }
        let mark = Mark { file: self.file, position: table.position() };
        match draft.count_subjects(values, mark) {
            true => subjects,
            false => Vec::new(),
        }
    }

    fn networks(&self, table: &Table<'_>, key: &'static str) -> Vec<(crate::model::Network, Mark)> {
        let values = table.list(key);
        let read = |value: &Value<'_>| Some((value.parse(names::network)?, self.mark(value)));
        values.iter().filter_map(read).collect()
    }

    fn references(&self, table: &Table<'_>, key: &'static str) -> Vec<Reference> {
        let read = |value: &Value<'_>| {
            Some(Reference { name: value.text()?.to_owned(), mark: self.mark(value) })
        };
        table.list(key).iter().filter_map(read).collect()
    }
}

/// Local data of the walled garden: its A and AAAA records.
fn garden_of(values: &[Value<'_>]) -> Option<WalledGarden> {
    let mut v4: Vec<Box<[u8]>> = Vec::new();
    let mut v6: Vec<Box<[u8]>> = Vec::new();
    for value in values {
        let address = value.parse(|text| {
            text.parse::<IpAddr>()
                .map_err(|_| Diagnostic::error(format!("`{text}` is not an address")))
        })?;
        match address {
            IpAddr::V4(address) => v4.push(address.octets().into()),
            IpAddr::V6(address) => v6.push(address.octets().into()),
        }
    }
    if v4.len() + v6.len() > GARDEN_ADDRESSES_MAX {
        values[0].report(Diagnostic::error(format!(
            "a walled garden has at most {GARDEN_ADDRESSES_MAX} addresses"
        )));
        return None;
    }
    let set = |rtype, mut rdata: Vec<Box<[u8]>>| {
        rdata.sort();
        rdata.dedup();
        (!rdata.is_empty()).then_some(RrSet { rtype, ttl: GARDEN_TTL_SECONDS, rdata })
    };
    let sets: Vec<RrSet> = [set(TYPE_A, v4), set(TYPE_AAAA, v6)].into_iter().flatten().collect();
    Some(WalledGarden::Addresses(sets.into()))
}

/// Reads the end of a term: a date means the whole of that day in UTC.
fn until(value: &Value<'_>) -> Option<Timestamp> {
    let at = value.datetime()?;
    let time = match (at.date, at.time, at.offset) {
        (Some(_), None, None) => {
            Timestamp::parse(&at.to_string()).map(|midnight| midnight.plus_seconds(86_400))
        }
        (Some(_), Some(_), Some(_)) => Timestamp::parse(&at.to_string()),
        (Some(_), Some(_), None) => {
            value.report(
                Diagnostic::error(format!("`{}` needs an offset from UTC", value.key()))
                    .hint(format!("write `{at}Z`, or a date alone for the whole day")),
            );
            return None;
        }
        _ => None,
    };
    if time.is_none() {
        let finding = Diagnostic::error(format!("`{}` is not a date until 2106", value.key()));
        value.report(finding.hint("write it as in `until = 2027-03-31`"));
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{findings, load_files, sound};

    #[test]
    fn everything_that_may_stand_in_a_file_is_read() {
        let policy = sound(
            r#"
            version = 1
            mode = "observe"
            [thresholds]
            block = { on = 20.25, off = 12 }
            monitor = { off = -5 }
            [answers]
            block = "nodata"
            walled_garden = { addresses = ["2001:db8::80", "192.0.2.80"] }
            [zones]
            threat = "observe"
            operator = "off"
            [notice]
            organisation = "Example"
            contact = "noc@example.org"
            blocked = "b"
            redirected = "r"
            filtered = "f"
            [group.kids]
            networks = ["192.0.2.128/25"]
            mode = "enforce"
            categories = { adult = true }
            [category.adult]
            action = "redirect"
            mode = "observe"
            name = "adult.example"
            [[block]]
            name = ["bad.example", "*.worse.example"]
            network = "198.51.100.0/24"
            reason = "ticket 42"
            owner = "amy"
            until = 2026-12-31
            groups = "kids"
            mode = "observe"
            "#,
        );
        assert_eq!(
            (policy.mode, policy.threat_mode, policy.operator_mode),
            (Mode::Observe, Mode::Observe, Mode::Off)
        );
        let t = policy.thresholds;
        assert_eq!((t.block.on_mban, t.block.off_mban), (2025, 1200));
        assert_eq!((t.redirect.on_mban, t.monitor.off_mban), (1000, -500));
        assert_eq!(policy.block_action, Action::NoData);
        let Action::Data(garden) = policy.redirect_action() else { panic!("{policy:?}") };
        assert_eq!(garden.iter().map(|set| set.rtype).collect::<Vec<_>>(), [TYPE_A, TYPE_AAAA]);
        assert_eq!(policy.notice.contact.as_deref(), Some("noc@example.org"));
        let entry = &policy.entries[0];
        assert_eq!((entry.groups, entry.mode), (GroupSet::of(0), Mode::Observe));
        assert_eq!(entry.until.unwrap().to_string(), "2027-01-01T00:00:00Z");
        assert_eq!(
            (entry.reason.as_deref(), entry.owner.as_deref()),
            (Some("ticket 42"), Some("amy"))
        );
        let subjects: Vec<String> = entry.subjects.iter().map(|s| s.target.to_string()).collect();
        assert_eq!(subjects, ["bad.example", "*.worse.example", "198.51.100.0/24"]);
        assert_eq!(policy.categories[0].action, List::Redirect);
    }

    #[test]
    fn keys_words_and_types_that_are_wrong_are_found() {
        for (text, finding) in [
            (
                "mod = 'off'\n",
                "error: unknown key `mod` in the file\n  --> p.toml:1:1\nhint: did you mean `mode`?",
            ),
            (
                "mode = 'enforced'\n",
                "error: `mode` cannot be `enforced`\n  --> p.toml:1:8\n\
                 hint: did you mean `enforce`?",
            ),
            (
                "version = 2\n",
                "error: this program reads version 1 of policy files\n  --> p.toml:1:11",
            ),
            (
                "[thresholds]\nblock = { on = 15.001 }\n",
                "error: `on` cannot be 15.001\n  --> p.toml:2:16\n\
                 hint: a number from -60 to 60 with at most two decimals",
            ),
            (
                "[thresholds]\nblock = 15\n",
                "error: `block` takes a table, and this is an integer\n  --> p.toml:2:9",
            ),
            (
                "[block]\nname = 'a.example'\n",
                "error: `block` is an array of tables\n  --> p.toml:1:1\nhint: write `[[block]]`",
            ),
            (
                "[notice]\nblocked = 1\n",
                "error: `blocked` takes a string, and this is an integer\n  --> p.toml:2:11",
            ),
            (
                "[[allow]]\nname = 'a.example'\nforce = true\n",
                "error: unknown key `force` in `[[allow]]`\n  --> p.toml:3:1\n\
                 hint: known here are `scope`, `name`, `network`, `file`, `reason`, `owner`, \
                 `until`, `mode` and `groups`",
            ),
            (
                "[[block]]\nnames = 'a.example'\n",
                "error: unknown key `names` in `[[block]]`\n  --> p.toml:2:1\n\
                 hint: did you mean `name`?",
            ),
            (
                "[[block]]\nreason = 'x'\n",
                "error: the entry is about nothing\n  --> p.toml:1:1\n\
                 hint: add `name`, `network` or `file`",
            ),
        ] {
            assert_eq!(findings(text), finding, "{text}");
        }
        let long = findings(&format!("[notice]\nblocked = '{}'\n", "x".repeat(201)));
        assert_eq!(
            long,
            "error: `blocked` is longer than 200 octets\n  --> p.toml:2:11\nhint: it has 201"
        );
    }

    #[test]
    fn names_networks_and_dates_that_are_wrong_are_found() {
        let entry = |line: &str| findings(&format!("[[block]]\n{line}\n"));
        for (line, finding) in [
            (
                "name = 'a b.example'",
                "error: the name `a b.example` is refused: the character ' ' cannot stand in a \
                 host name\n  --> p.toml:2:8",
            ),
            (
                "name = 'https://a.example/'",
                "error: the name `https://a.example/` is refused: the character ':' cannot stand \
                 in a host name\n  --> p.toml:2:8\n\
                 hint: a name is not a URL: leave out the scheme and the path",
            ),
            (
                "name = 'a.*.example'",
                "error: the name `a.*.example` is refused: the character '*' cannot stand in a \
                 host name\n  --> p.toml:2:8\n\
                 hint: `*` can only stand for the whole first label, as in `*.example.com`",
            ),
            (
                "name = '192.0.2.1'",
                "error: the name `192.0.2.1` is refused: the last label is a number\n  \
                 --> p.toml:2:8\nhint: write an address as `network`",
            ),
            (
                "name = 'xn--\u{fffd}.example'",
                "error: the name `xn--\u{fffd}.example` is refused: not a valid internationalised \
                 name\n  --> p.toml:2:8",
            ),
            (
                "network = ['192.0.2.0/24', '192.0.2.1/24']",
                "error: the network `192.0.2.1/24` is refused: bits are set beyond the prefix \
                 length\n  --> p.toml:2:28\n\
                 hint: write `192.0.2.0/24`, or `192.0.2.1` for the one address",
            ),
            (
                "network = 'x'",
                "error: the network `x` is refused: not an address or prefix\n  --> p.toml:2:11\n\
                 hint: an address, or an address and a prefix length: `192.0.2.0/24`",
            ),
            (
                "name = '*.a.example'\nscope = 'exact'",
                "error: a name that starts with `*.` has no scope\n  --> p.toml:3:9\n\
                 hint: `*.name` is all names below; leave `scope` out, or leave `*.` out",
            ),
            (
                "name = 'a.example'\nuntil = '2027-01-01'",
                "error: `until` takes a date, and this is a string\n  --> p.toml:3:9",
            ),
            (
                "name = 'a.example'\nuntil = 2027-01-01T12:00:00",
                "error: `until` needs an offset from UTC\n  --> p.toml:3:9\n\
                 hint: write `2027-01-01T12:00:00Z`, or a date alone for the whole day",
            ),
            (
                "name = 'a.example'\nuntil = 2200-01-01",
                "error: `until` is not a date until 2106\n  --> p.toml:3:9\n\
                 hint: write it as in `until = 2027-03-31`",
            ),
        ] {
            assert_eq!(entry(line), finding, "{line}");
        }
    }

    #[test]
    fn a_walled_garden_that_is_wrong_is_found() {
        let garden = |text: &str| findings(&format!("[answers]\nwalled_garden = {text}\n"));
        assert_eq!(
            garden("{ name = 'g.example', addresses = '192.0.2.1' }"),
            "error: a walled garden has either addresses or a name\n  --> p.toml:2:17\n\
             hint: answers carry the addresses, or an alias to the name"
        );
        assert_eq!(
            garden("{ addresses = ['x'] }"),
            "error: `x` is not an address\n  --> p.toml:2:32"
        );
        let many: Vec<String> = (0..17).map(|i| format!("'192.0.2.{i}'")).collect();
        assert_eq!(
            garden(&format!("{{ addresses = [{}] }}", many.join(", "))),
            "error: a walled garden has at most 16 addresses\n  --> p.toml:2:32"
        );
    }

    #[test]
    fn names_of_groups_and_categories_that_cannot_be_are_found() {
        assert_eq!(
            findings("[group.Kids]\nnetworks = '192.0.2.0/24'\n"),
            "error: a group cannot be called `Kids`\n  --> p.toml:1:8\n\
             hint: 1 to 32 small letters, digits and hyphens, with no hyphen at either end"
        );
        assert_eq!(
            findings("[category.observe]\n"),
            "error: a category cannot be called `observe`, which is a mode\n  --> p.toml:1:11"
        );
    }

    #[test]
    fn the_walled_garden_of_an_earlier_file_can_be_taken_back() {
        let (policy, findings) = load_files(&[
            ("0.toml", "[answers]\nwalled_garden = { name = 'g.example' }\n"),
            ("1.toml", "[answers]\nwalled_garden = {}\n"),
        ]);
        assert_eq!((findings.as_str(), policy.unwrap().walled_garden), ("", None));
    }
}

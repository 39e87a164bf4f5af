//! Policy files: TOML that people write, in as many files as they like.
//!
//! Files count in the order of their names. What is single (a mode, a threshold, a text) is
//! overridden by the later file; what is a list (entries, networks of a group, names of a
//! category) grows. [`v1`] says what may stand in a file, [`names`] how a file of names reads, and a
//! draft joins the files and resolves the names of groups and categories between them.

mod draft;
pub mod names;
pub mod v1;

use std::io;

use draft::Draft;

use super::Policy;
use crate::diagnostic::Diagnostic;
use crate::document::Document;

/// Returns the text of a file of names.
pub type ReadNames<'a> = dyn FnMut(&str) -> io::Result<String> + 'a;

/// The largest policy file, in octets: a hundred times what a person writes.
pub const POLICY_FILE_OCTETS_MAX: usize = 16 << 20;
/// The largest file of names, in octets. A million names take about 20 MiB; longer lists are
/// feeds, which are streamed, and belong into the configuration as sources.
pub const NAMES_FILE_OCTETS_MAX: usize = 64 << 20;
/// The most names and networks on all lists together, about 300 MiB in memory.
pub const SUBJECTS_MAX: usize = 4_000_000;
/// The most categories; each is a zone, and every query asks every zone.
pub const CATEGORIES_MAX: usize = 64;

/// Reads the policy files. The policy holds what could be understood; it is in force only if no
/// finding is an error.
pub fn read(
    files: &[(String, String)],
    read_names: &mut ReadNames<'_>,
) -> (Policy, Vec<Diagnostic>) {
    let mut draft = Draft::new(read_names);
    let mut in_order: Vec<&(String, String)> = files.iter().collect();
    in_order.sort_by(|a, b| a.0.cmp(&b.0));
    for (file, text) in in_order {
        if text.len() > POLICY_FILE_OCTETS_MAX {
            let message = format!("{file} has more than {POLICY_FILE_OCTETS_MAX} octets");
            let hint = "put long lists into a file of names, and refer to it with `file`";
            draft.findings.push(Diagnostic::error(message).hint(hint));
            continue;
        }
        let document = Document::parse(file, text);
        let index = draft.add_file(file);
        document.read(|root| v1::read(&mut draft, root, index));
        draft.findings.extend(document.into_findings());
    }
    draft.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyCategory;
    use crate::policy::testing::{findings, load_files, sound};
    use crate::zone::Mode;

    #[test]
    fn later_files_override_what_is_single_and_add_to_lists() {
        let (policy, findings) = load_files(&[
            ("p/10-office.toml", "mode = 'enforce'\n[group.a]\nnetworks = '192.0.2.0/25'\n"),
            ("p/00-default.toml", "mode = 'observe'\n[group.a]\nnetworks = '198.51.100.0/24'\n"),
        ]);
        let policy = policy.unwrap();
        assert_eq!((findings.as_str(), policy.mode), ("", Mode::Enforce));
        let networks: Vec<String> =
            policy.groups[0].networks.iter().map(|(network, _)| network.to_string()).collect();
        assert_eq!(networks, ["198.51.100.0/24", "192.0.2.0/25"]);
        assert_eq!(
            policy.place(policy.groups[0].networks[1].1).to_string(),
            "p/10-office.toml:3:12"
        );
    }

    #[test]
    fn files_of_names_stand_beside_the_policy_and_are_told_to_the_watcher() {
        let (policy, findings) = load_files(&[
            ("p/00.toml", "[[block]]\nname = 'x.example'\nfile = 'names/bad.txt'\n"),
            ("p/names/bad.txt", "bad.example\n*.worse.example\n"),
        ]);
        let policy = policy.unwrap();
        assert_eq!(findings, "");
        let subjects = &policy.entries[0].subjects;
        assert_eq!(subjects.len(), 3);
        assert_eq!(policy.place(subjects[2].mark).to_string(), "p/names/bad.txt:2:1");
        let files: Vec<&str> = policy.files().iter().map(|file| &**file).collect();
        assert_eq!(files, ["p/00.toml", "p/names/bad.txt"]);
    }

    #[test]
    fn a_file_of_names_that_is_missing_or_too_large_is_found() {
        assert_eq!(
            findings("[[block]]\nfile = 'gone.txt'\n"),
            "error: cannot read the names in gone.txt: entity not found\n  --> p.toml:2:8"
        );
        let large = "#".repeat(NAMES_FILE_OCTETS_MAX + 1);
        let (policy, found) =
            load_files(&[("p.toml", "[[block]]\nfile = 'l.txt'\n"), ("l.txt", &large)]);
        assert!(policy.is_none());
        assert_eq!(found, "error: l.txt has more than 67108864 octets\n  --> p.toml:2:8");
    }

    #[test]
    fn a_policy_file_that_is_too_large_is_not_read() {
        let found = findings(&"#".repeat(POLICY_FILE_OCTETS_MAX + 1));
        assert_eq!(
            found,
            "error: p.toml has more than 16777216 octets\n\
             hint: put long lists into a file of names, and refer to it with `file`"
        );
    }

    #[test]
    fn groups_and_categories_that_do_not_exist_are_found() {
        let text = "[group.kids]\nnetworks = '192.0.2.0/24'\ncategories = { adlt = true }\n\
                    [category.adult]\n[[block]]\nname = 'a.example'\ngroups = ['kid', 'x']\n";
        assert_eq!(
            findings(text),
            "error: there is no category `adlt`\n  --> p.toml:3:16\nhint: did you mean `adult`?\n\
             error: there is no group `kid`\n  --> p.toml:7:11\nhint: did you mean `kids`?\n\
             error: there is no group `x`\n  --> p.toml:7:18\nhint: known are `kids`"
        );
        assert_eq!(
            findings("[[block]]\nname = 'a.example'\ngroups = 'kids'\n"),
            "error: there is no group `kids`\n  --> p.toml:3:10\n\
             hint: add `[group.kids]` to a policy file"
        );
    }

    #[test]
    fn more_groups_or_categories_than_there_is_room_for_are_found() {
        let groups: String =
            (0..65).map(|i| format!("[group.g{i}]\nnetworks = '10.0.{i}.0/24'\n")).collect();
        assert_eq!(findings(&groups), "error: there are more than 64 groups\n  --> p.toml:129:8");
        let categories: String = (0..65).map(|i| format!("[category.c{i}]\n")).collect();
        assert_eq!(
            findings(&categories),
            "error: there are more than 64 categories\n  --> p.toml:65:11"
        );
        let mut full: String = (0..64)
            .map(|i| format!("[group.g{i}]\nnetworks = '10.0.{i}.0/24'\ncategories.c = false\n"))
            .collect();
        full.push_str("[category.c]\nenabled = true\n");
        assert_eq!(
            findings(&full),
            "error: 64 groups and 1 sets of groups without a category are more than 64 in all\nhint: switch categories off for the same groups, or use fewer groups"
        );
    }

    #[test]
    fn an_entry_whose_groups_do_not_exist_never_becomes_everyones() {
        let mut read = |_: &str| Err(io::ErrorKind::NotFound.into());
        let text = "[[allow]]\nname = 'a.example'\ngroups = 'gone'\n".to_owned();
        let (policy, findings) = super::read(&[("p.toml".to_owned(), text)], &mut read);
        assert_eq!((policy.entries[0].mode, findings.len()), (Mode::Off, 1));
    }

    #[test]
    fn switches_of_categories_come_out_for_every_client() {
        let policy = sound(
            "[group.kids]\nnetworks = '192.0.2.0/24'\ncategories = { adult = true, ads = false }\n\
             [group.lab]\nnetworks = '198.51.100.0/24'\ncategories = { games = false }\n\
             [category.ads]\nenabled = true\n\
             [category.adult]\n\
             [category.bypass]\n\
             [category.games]\nenabled = true\ngroups = ['kids', 'lab']\n\
             [category.spam]\nenabled = true\n",
        );
        let on = |client: &str| {
            let groups = policy.clients.groups_of(client.parse().unwrap());
            let applies = |category: &&PolicyCategory| {
                category.applies_to.is_some_and(|bound| bound.applies_to(groups))
            };
            let on: Vec<&str> =
                policy.categories.iter().filter(applies).map(|c| c.name.as_str()).collect();
            on.join(" ")
        };
        assert_eq!(on("192.0.2.7"), "adult games spam");
        assert_eq!(on("198.51.100.7"), "ads spam");
        assert_eq!(on("203.0.113.7"), "ads spam");
        assert_eq!(on("2001:db8::7"), "ads spam");
    }

    #[test]
    fn on_is_stronger_than_off_for_a_client_in_two_groups() {
        let (policy, _) = load_files(&[(
            "p.toml",
            "[group.office]\nnetworks = '192.0.2.0/24'\ncategories = { ads = false }\n\
             [group.kids]\nnetworks = '192.0.2.128/25'\ncategories = { ads = true }\n\
             [category.ads]\nenabled = true\n",
        )]);
        let policy = policy.unwrap();
        let bound = policy.categories[0].applies_to.unwrap();
        let on = |client: &str| bound.applies_to(policy.clients.groups_of(client.parse().unwrap()));
        assert_eq!([on("192.0.2.1"), on("192.0.2.129"), on("198.51.100.1")], [false, true, true]);
    }

    #[test]
    fn the_mildest_group_decides_the_mode_of_a_client() {
        let (policy, _) = load_files(&[(
            "p.toml",
            "[group.office]\nnetworks = '192.0.2.0/24'\n\
             [group.lab]\nnetworks = '192.0.2.128/25'\nmode = 'off'\n",
        )]);
        let policy = policy.unwrap();
        let mode = |client: &str| policy.mode_of(policy.clients.groups_of(client.parse().unwrap()));
        assert_eq!(mode("192.0.2.1"), Mode::Enforce);
        assert_eq!(mode("192.0.2.129"), Mode::Off);
        assert_eq!(mode("203.0.113.1"), Mode::Enforce);
    }
}

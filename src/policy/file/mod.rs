//! Policy files: TOML that people write, in as many files as they like.
//!
//! Files count in the order of their names. What is single (a mode, a threshold, a text) is
//! overridden by the later file; what is a list (entries, networks of a group, names of a
//! category) grows. [`v1`] says what may stand in a file, [`names`] how a file of names reads, and
//! this module joins the files and resolves the names of groups and categories between them.

pub mod names;
pub mod v1;

use std::io;
use std::sync::Arc;

use super::category::Reached;
use super::{
    Clients, Entry, Group, List, Mark, Notice, Policy, PolicyCategory, Subject, Thresholds,
    WalledGarden,
};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Document, listed};
use crate::model::group::GROUPS_MAX;
use crate::model::{Action, GroupSet};
use crate::zone::Mode;

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

/// A name of a group or category, before it is known whether there is such a one.
pub(super) struct Reference {
    name: String,
    mark: Mark,
}

/// What the files have said so far.
pub(super) struct Draft<'r> {
    read_names: &'r mut ReadNames<'r>,
    files: Vec<Arc<str>>,
    findings: Vec<Diagnostic>,
    subjects: usize,
    mode: Mode,
    thresholds: Thresholds,
    threshold_marks: [Option<Mark>; 3],
    block_action: Action,
    walled_garden: Option<WalledGarden>,
    threat_mode: Mode,
    operator_mode: Mode,
    notice: Notice,
    groups: Vec<(Group, Vec<(Reference, bool)>)>,
    categories: Vec<(PolicyCategory, Vec<Reference>)>,
    entries: Vec<(Entry, Vec<Reference>)>,
}

impl<'r> Draft<'r> {
    fn new(read_names: &'r mut ReadNames<'_>) -> Self {
        Self {
            read_names,
            files: Vec::new(),
            findings: Vec::new(),
            subjects: 0,
            mode: Mode::default(),
            thresholds: Thresholds::default(),
            threshold_marks: [None; 3],
            block_action: Action::NxDomain,
            walled_garden: None,
            threat_mode: Mode::default(),
            operator_mode: Mode::default(),
            notice: Notice::default(),
            groups: Vec::new(),
            categories: Vec::new(),
            entries: Vec::new(),
        }
    }

    fn add_file(&mut self, file: &str) -> u32 {
        self.files.push(file.into());
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    fn report(&mut self, mark: Mark, finding: Diagnostic) {
        let file = self.files.get(mark.file as usize).map_or("", |file| file);
        self.findings.push(finding.at(mark.position.in_file(file)));
    }

    /// The group of that name, made where it is mentioned first.
    fn group(&mut self, name: &str, mark: Mark) -> Option<usize> {
        if let Some(at) = self.groups.iter().position(|(group, _)| group.name == name) {
            return Some(at);
        }
        if !self.accept_name("group", name, mark) {
            return None;
        }
        if self.groups.len() == GROUPS_MAX {
            let finding = Diagnostic::error(format!("there are more than {GROUPS_MAX} groups"));
            self.report(mark, finding);
            return None;
        }
        let group = Group {
            name: name.to_owned(),
            networks: Vec::new(),
            mode: Mode::Enforce,
            switches: Vec::new(),
            mark,
        };
        self.groups.push((group, Vec::new()));
        Some(self.groups.len() - 1)
    }

    /// The category of that name, made where it is mentioned first.
    fn category(&mut self, name: &str, mark: Mark) -> Option<usize> {
        if let Some(at) = self.categories.iter().position(|(category, _)| category.name == name) {
            return Some(at);
        }
        if !self.accept_name("category", name, mark) {
            return None;
        }
        if self.categories.len() == CATEGORIES_MAX {
            let message = format!("there are more than {CATEGORIES_MAX} categories");
            self.report(mark, Diagnostic::error(message));
            return None;
        }
        let category = PolicyCategory {
            name: name.to_owned(),
            enabled: false,
            action: List::Block,
            mode: Mode::Enforce,
            groups: GroupSet::NONE,
            subjects: Vec::new(),
            mark,
            applies_to: None,
        };
        self.categories.push((category, Vec::new()));
        Some(self.categories.len() - 1)
    }

    /// Names become labels of zone names, and the modes stand beside them there.
    fn accept_name(&mut self, what: &str, name: &str, mark: Mark) -> bool {
        let sound = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let sound = (1..=32).contains(&name.len())
            && name.bytes().all(sound)
            && !name.starts_with('-')
            && !name.ends_with('-');
        let finding = if !sound {
            Diagnostic::error(format!("a {what} cannot be called `{name}`"))
                .hint("1 to 32 small letters, digits and hyphens, with no hyphen at either end")
        } else if v1::MODES.iter().any(|(word, _)| *word == name) {
            Diagnostic::error(format!("a {what} cannot be called `{name}`, which is a mode"))
        } else {
            return true;
        };
        self.report(mark, finding);
        false
    }

    /// Takes note of more subjects; false once there are too many.
    fn count_subjects(&mut self, more: usize, mark: Mark) -> bool {
        let before = self.subjects;
        self.subjects += more;
        if before <= SUBJECTS_MAX && self.subjects > SUBJECTS_MAX {
            let message = format!("the lists have more than {SUBJECTS_MAX} names and networks");
            let hint = "name long lists as sources in the configuration, where they are streamed";
            self.report(mark, Diagnostic::error(message).hint(hint));
        }
        self.subjects <= SUBJECTS_MAX
    }

    /// Reads a file of names that stands relative to the policy file at `mark`.
    fn names_file(&mut self, path: &str, scope: super::Reach, mark: Mark) -> Vec<Subject> {
        let base = self.files[mark.file as usize].rfind('/').filter(|_| !path.starts_with('/'));
        let directory = base.map_or("", |at| &self.files[mark.file as usize][..=at]);
        let path = format!("{directory}{path}");
        let text = match (self.read_names)(&path) {
            Ok(text) if text.len() <= NAMES_FILE_OCTETS_MAX => text,
            Ok(_) => {
                let message = format!("{path} has more than {NAMES_FILE_OCTETS_MAX} octets");
                self.report(mark, Diagnostic::error(message));
                return Vec::new();
            }
            Err(error) => {
                let message = format!("cannot read the names in {path}: {error}");
                self.report(mark, Diagnostic::error(message));
                return Vec::new();
            }
        };
        let file = self.add_file(&path);
        let (subjects, findings) = names::read(&path, &text, file, scope);
        self.findings.extend(findings);
        match self.count_subjects(subjects.len(), mark) {
            true => subjects,
            false => Vec::new(),
        }
    }

    /// Resolves what refers to other parts of the files.
    fn finish(mut self) -> (Policy, Vec<Diagnostic>) {
        let groups: Vec<String> = self.groups.iter().map(|(group, _)| group.name.clone()).collect();
        let categories: Vec<String> =
            self.categories.iter().map(|(category, _)| category.name.clone()).collect();

        let mut entries = std::mem::take(&mut self.entries);
        for (entry, references) in &mut entries {
            entry.groups = self.group_set(references, &groups);
            // An entry for groups that are all unknown would otherwise hold for everyone.
            if entry.groups.is_empty() && !references.is_empty() {
                entry.mode = Mode::Off;
            }
        }

        let mut categories_read = std::mem::take(&mut self.categories);
        for (category, references) in &mut categories_read {
            category.groups = self.group_set(references, &groups);
        }
        let mut groups_read = std::mem::take(&mut self.groups);
        for (group, switches) in &mut groups_read {
            for (reference, on) in switches.iter() {
                if let Some(at) = self.resolve("category", reference, &categories) {
                    group.switches.push((at, *on));
                }
            }
        }
        let groups: Vec<Group> = groups_read.into_iter().map(|(group, _)| group).collect();
        let mut categories: Vec<PolicyCategory> =
            categories_read.into_iter().map(|(category, _)| category).collect();
        let clients = self.bind(&mut categories, &groups);

        let policy = Policy {
            mode: self.mode,
            thresholds: self.thresholds,
            threshold_marks: self.threshold_marks,
            block_action: self.block_action,
            walled_garden: self.walled_garden,
            threat_mode: self.threat_mode,
            operator_mode: self.operator_mode,
            notice: self.notice,
            groups,
            clients,
            categories,
            entries: entries.into_iter().map(|(entry, _)| entry).collect(),
            files: self.files,
        };
        (policy, self.findings)
    }

    /// Binds each category to the groups it applies to.
    fn bind(&mut self, categories: &mut [PolicyCategory], groups: &[Group]) -> Clients {
        let mut absent: Vec<GroupSet> = Vec::new();
        for (at, category) in categories.iter_mut().enumerate() {
            let switched = |on: bool| {
                let has = |group: &Group| group.switches.iter().rev().find(|s| s.0 == at).copied();
                let with =
                    groups.iter().enumerate().filter(|(_, group)| has(group) == Some((at, on)));
                with.fold(GroupSet::NONE, |set, (position, _)| set.union(GroupSet::of(position)))
            };
            category.applies_to = match category.reached(switched(true), switched(false)) {
                Reached::Nobody => None,
                Reached::Groups(set) => Some(set),
                Reached::EveryoneBut { but: GroupSet::NONE, .. } => Some(GroupSet::NONE),
                Reached::EveryoneBut { but, also } => {
                    let position = absent.iter().position(|set| *set == but).unwrap_or_else(|| {
                        absent.push(but);
                        absent.len() - 1
                    });
                    let rest = groups.len() + position;
                    (rest < GROUPS_MAX).then(|| also.union(GroupSet::of(rest)))
                }
            };
        }
        if groups.len() + absent.len() > GROUPS_MAX {
            self.findings.push(
                Diagnostic::error(format!(
                    "{} groups and {} sets of groups without a category are more than \
                     {GROUPS_MAX} in all",
                    groups.len(),
                    absent.len()
                ))
                .hint("switch categories off for the same groups, or use fewer groups"),
            );
            absent.clear();
        }
        Clients::new(groups, &absent)
    }

    fn group_set(&mut self, references: &[Reference], groups: &[String]) -> GroupSet {
        references.iter().fold(GroupSet::NONE, |set, reference| {
            match self.resolve("group", reference, groups) {
                Some(at) => set.union(GroupSet::of(at)),
                None => set,
            }
        })
    }

    fn resolve(&mut self, what: &str, reference: &Reference, known: &[String]) -> Option<usize> {
        let found = known.iter().position(|name| *name == reference.name);
        if found.is_none() {
            let hint = match nearest(&reference.name, known.iter().map(String::as_str)) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => {
                    format!("add `[{what}.{}]` to a policy file", reference.name)
                }
                None => format!("known are {}", listed(known.iter().map(String::as_str), "and")),
            };
            let message = format!("there is no {what} `{}`", reference.name);
            self.report(reference.mark, Diagnostic::error(message).hint(hint));
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::testing::{findings, load_files, sound};

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
    #[test]
    fn more_names_than_there_is_room_for_are_found_once() {
        let mut read = |_: &str| Err(io::ErrorKind::NotFound.into());
        let mut draft = Draft::new(&mut read);
        let file = draft.add_file("p.toml");
        let mark = Mark { file, position: crate::document::Position { line: 3, column: 1 } };
        assert!(draft.count_subjects(SUBJECTS_MAX, mark));
        assert!(!draft.count_subjects(1, mark));
        assert!(!draft.count_subjects(1, mark));
        let findings: Vec<String> = draft.findings.iter().map(ToString::to_string).collect();
        assert_eq!(
            findings,
            ["error: the lists have more than 4000000 names and networks\n  --> p.toml:3:1\n\
              hint: name long lists as sources in the configuration, where they are streamed"]
        );
    }
}

//! What the files have said so far, joined.

use std::sync::Arc;

use super::{CATEGORIES_MAX, NAMES_FILE_OCTETS_MAX, ReadNames, SUBJECTS_MAX, names, v1};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::listed;
use crate::model::group::GROUPS_MAX;
use crate::model::{Action, GroupSet};
use crate::policy::category::Reached;
use crate::policy::{
    Clients, Entry, Group, List, Mark, Notice, Policy, PolicyCategory, Reach, Subject, Thresholds,
    WalledGarden,
};
use crate::zone::Mode;

/// A name of a group or category, before it is known whether there is such a one.
pub(super) struct Reference {
    pub name: String,
    pub mark: Mark,
}

/// What the files have said so far.
pub(super) struct Draft<'r> {
    pub read_names: &'r mut ReadNames<'r>,
    pub files: Vec<Arc<str>>,
    pub findings: Vec<Diagnostic>,
    pub subjects: usize,
    pub mode: Mode,
    pub thresholds: Thresholds,
    pub threshold_marks: [Option<Mark>; 3],
    pub block_action: Action,
    pub walled_garden: Option<WalledGarden>,
    pub threat_mode: Mode,
    pub operator_mode: Mode,
    pub notice: Notice,
    pub groups: Vec<(Group, Vec<(Reference, bool)>)>,
    pub categories: Vec<(PolicyCategory, Vec<Reference>)>,
    pub entries: Vec<(Entry, Vec<Reference>)>,
}

impl<'r> Draft<'r> {
    pub fn new(read_names: &'r mut ReadNames<'_>) -> Self {
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

    pub fn add_file(&mut self, file: &str) -> u32 {
        self.files.push(file.into());
        u32::try_from(self.files.len() - 1).unwrap_or(u32::MAX)
    }

    fn report(&mut self, mark: Mark, finding: Diagnostic) {
        let file = self.files.get(mark.file as usize).map_or("", |file| file);
        self.findings.push(finding.at(mark.position.in_file(file)));
    }

    /// The group of that name, made where it is mentioned first.
    pub fn group(&mut self, name: &str, mark: Mark) -> Option<usize> {
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
            redirect_predicted: false,
            mark,
        };
        self.groups.push((group, Vec::new()));
        Some(self.groups.len() - 1)
    }

    /// The category of that name, made where it is mentioned first.
    pub fn category(&mut self, name: &str, mark: Mark) -> Option<usize> {
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
    pub fn count_subjects(&mut self, more: usize, mark: Mark) -> bool {
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
    pub fn names_file(&mut self, path: &str, scope: Reach, mark: Mark) -> Vec<Subject> {
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
    pub fn finish(mut self) -> (Policy, Vec<Diagnostic>) {
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
    use crate::document::Position;
    use std::io;

    #[test]
    fn more_names_than_there_is_room_for_are_found_once() {
        let mut read = |_: &str| Err(io::ErrorKind::NotFound.into());
        let mut draft = Draft::new(&mut read);
        let file = draft.add_file("p.toml");
        let mark = Mark { file, position: Position { line: 3, column: 1 } };
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

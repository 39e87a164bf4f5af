//! Policy files to decisions, decisions to rules.
//!
//! A [`Policy`] is what the operator wants, as plain values: thresholds, the lists of names and
//! networks to allow, block and redirect, categories with a switch for each group of clients, and
//! the words that a blocked client reads. [`file`] reads it from TOML and [`check`] looks for what
//! cannot be meant; [`load`] does both. [`compile`] makes the zones of the policy's own lists,
//! [`domains`] the large generated ones, and [`protect`] keeps a generated zone from blocking what
//! the policy lets through.

mod category;
pub mod check;
mod client;
pub mod compile;
pub mod domains;
mod entry;
pub mod file;
mod notice;
pub mod protect;
mod suffix;

use std::sync::Arc;

pub use category::PolicyCategory;
pub use client::{Clients, Group};
pub use entry::{Entry, List, Reach, Subject, Target};
pub use notice::{Notice, NoticeKind};
pub use suffix::Suffixes;

use crate::diagnostic::{Diagnostic, Place};
use crate::document::Position;
use crate::model::{Action, Data, GroupSet, Name, Timestamp};
use crate::zone::Mode;

/// What the operator wants.
#[derive(Debug, Clone)]
pub struct Policy {
    /// The mode of the whole installation. A rule, zone, source or group may only be milder.
    pub mode: Mode,
    /// When a score calls for an action.
    pub thresholds: Thresholds,
    /// What a client gets for a blocked name.
    pub block_action: Action,
    /// Where redirected clients go.
    pub walled_garden: Option<WalledGarden>,
    /// The mode of the zone made from scores.
    pub threat_mode: Mode,
    /// The mode of the zone made from sources with trust `operator`.
    pub operator_mode: Mode,
    /// What people are told.
    pub notice: Notice,
    /// Groups of clients; their place in the list is their place in a [`GroupSet`].
    pub groups: Vec<Group>,
    /// Which groups a client is in.
    pub clients: Clients,
    /// Categories in the order of the files.
    pub categories: Vec<PolicyCategory>,
    /// Everything on the lists, in the order of the files.
    pub entries: Vec<Entry>,
    /// Where the thresholds to block, redirect and monitor were set last.
    threshold_marks: [Option<Mark>; 3],
    files: Vec<Arc<str>>,
}

impl Policy {
    /// What a redirected client gets: the walled garden, or the name does not exist where there
    /// is none (SCORING 2.11 h: with no action at all most fresh phishing would stay reachable).
    pub fn redirect_action(&self) -> Action {
        self.walled_garden.as_ref().map_or(Action::NxDomain, WalledGarden::action)
    }

    /// The mode for a client: the mildest of its groups' modes, so that a group can exempt its
    /// clients and cannot sharpen anything.
    pub fn mode_of(&self, client: GroupSet) -> Mode {
        let groups = client.positions().filter_map(|at| self.groups.get(at));
        groups.map(|group| group.mode).fold(self.mode, Mode::min)
    }

    /// The position of a group.
    pub fn group(&self, name: &str) -> Option<usize> {
        self.groups.iter().position(|group| group.name == name)
    }

    /// The position of a category.
    pub fn category(&self, name: &str) -> Option<usize> {
        self.categories.iter().position(|category| category.name == name)
    }

    /// The names of the groups in a set, in the order of the files.
    pub fn group_names(&self, groups: GroupSet) -> impl Iterator<Item = &str> {
        groups.positions().filter_map(|at| self.groups.get(at)).map(|group| group.name.as_str())
    }

    /// The files that the policy was read from, those with names included: an edit to any of them
    /// is an edit to the policy.
    pub fn files(&self) -> &[Arc<str>] {
        &self.files
    }

    /// The place of a mark, for people.
    pub fn place(&self, mark: Mark) -> Place {
        mark.position.in_file(self.files.get(mark.file as usize).map_or("", |file| file))
    }

    /// Every entry about a name that is in force, in the order of the files. Looks at all of
    /// them: for explanations, not for queries.
    pub fn entries_about(&self, name: &Name, now: Timestamp) -> Vec<(&Entry, &Subject)> {
        let matching = |entry: &Entry| entry.in_force(now);
        self.entries
            .iter()
            .filter(|entry| matching(entry))
            .flat_map(|entry| entry.subjects.iter().map(move |subject| (entry, subject)))
            .filter(|(_, subject)| subject.target.takes_in_name(name.as_ref()))
            .collect()
    }
}

/// A place in one of the policy's files, small enough to stand beside every name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mark {
    /// The position of the file in [`Policy::files`].
    pub file: u32,
    /// Line and column.
    pub position: Position,
}

/// When a score calls for an action (SCORING 2.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// To block.
    pub block: Threshold,
    /// To redirect.
    pub redirect: Threshold,
    /// To take note.
    pub monitor: Threshold,
}

impl Default for Thresholds {
    /// The thresholds of SCORING 2.9: odds of 31.6, 10 and 1 to one.
    fn default() -> Self {
        let at = |on_mban, off_mban| Threshold { on_mban, off_mban };
        Self { block: at(1500, 1100), redirect: at(1000, 700), monitor: at(0, -300) }
    }
}

/// The scores at which an action begins and ends. Files have them in points of 100 millibans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Threshold {
    /// The action begins at this score, in millibans.
    pub on_mban: i32,
    /// An action in force ends below this score, in millibans.
    pub off_mban: i32,
}

/// Where redirected clients go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WalledGarden {
    /// To these addresses: answers to A and AAAA.
    Addresses(Data),
    /// To the addresses of another name, by CNAME.
    Name(Name),
}

impl WalledGarden {
    /// The action that leads there.
    pub fn action(&self) -> Action {
        match self {
            Self::Addresses(data) => Action::Data(data.clone()),
            Self::Name(name) => Action::Redirect(name.clone()),
        }
    }
}

/// Reads and checks the policy files. There is no policy where any finding is an error; the
/// caller then keeps the last good one.
///
/// `files` are names, for messages, and texts; they count in the order of their names, later ones
/// on top. `read` returns the text of a file of names, by a path that is relative to the same
/// directory as the names of `files` are; it refuses what is larger than
/// [`file::NAMES_FILE_OCTETS_MAX`].
pub fn load(
    files: &[(String, String)],
    read: &mut file::ReadNames<'_>,
    suffixes: &Suffixes,
    now: Timestamp,
) -> (Option<Policy>, Vec<Diagnostic>) {
    let (policy, mut findings) = file::read(files, read);
    findings.extend(check::check(&policy, suffixes, now));
    check::tidy(&mut findings);
    let sound = !findings.iter().any(Diagnostic::is_error);
    (sound.then_some(policy), findings)
}

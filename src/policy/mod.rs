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
pub mod notice;
pub mod outward;
pub mod protect;

use std::sync::Arc;

pub use category::PolicyCategory;
pub use client::{Clients, Group};
pub use entry::{Entry, List, Reach, Subject, Target};
pub use notice::{Notice, NoticeKind};

use crate::diagnostic::{Diagnostic, Place};
use crate::document::Position;
use crate::evidence::PublicSuffixes;
use crate::model::{Action, Data, GroupSet, Indicator, Name, Timestamp};
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

    /// Every entry in force that takes in a name or a network, in the order of the files. Looks
    /// at all of them: for explanations, not for queries.
    pub fn entries_about(&self, asked: &Indicator, now: Timestamp) -> Vec<(&Entry, &Subject)> {
        let in_force = self.entries.iter().filter(|entry| entry.in_force(now));
        in_force
            .flat_map(|entry| entry.subjects.iter().map(move |subject| (entry, subject)))
            .filter(|(_, subject)| match asked {
                Indicator::Domain(name) => subject.target.takes_in_name(name.as_ref()),
                Indicator::Network(network) => subject.target.takes_in_network(*network),
                Indicator::As(_) => false,
            })
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
    suffixes: &PublicSuffixes,
    now: Timestamp,
) -> (Option<Policy>, Vec<Diagnostic>) {
    let (policy, mut findings) = file::read(files, read);
    findings.extend(check::check(&policy, suffixes, now));
    check::tidy(&mut findings);
    let sound = !findings.iter().any(Diagnostic::is_error);
    (sound.then_some(policy), findings)
}

#[cfg(test)]
mod testing {
    //! Policies from a few lines of text.

    use super::*;

    /// Seconds of 2026-11-24T00:00:00Z.
    pub(super) const NOW: Timestamp = Timestamp(1_795_478_400);

    /// Loads policy files and files of names, told apart by their ending.
    pub(super) fn load_files(files: &[(&str, &str)]) -> (Option<Policy>, String) {
        let owned = |(file, text): &(&str, &str)| ((*file).to_owned(), (*text).to_owned());
        let policies: Vec<_> =
            files.iter().filter(|(file, _)| file.ends_with(".toml")).map(owned).collect();
        let mut read = |path: &str| match files.iter().find(|(file, _)| *file == path) {
            Some((_, text)) => Ok((*text).to_owned()),
            None => Err(std::io::ErrorKind::NotFound.into()),
        };
        let (policy, findings) = load(&policies, &mut read, &PublicSuffixes::default(), NOW);
        let findings: Vec<String> = findings.iter().map(ToString::to_string).collect();
        (policy, findings.join("\n"))
    }

    /// The findings about one policy file, `p.toml`.
    pub(super) fn findings(text: &str) -> String {
        load_files(&[("p.toml", text)]).1
    }

    /// A policy without findings.
    pub(super) fn sound(text: &str) -> Policy {
        let (policy, findings) = load_files(&[("p.toml", text)]);
        assert_eq!(findings, "");
        policy.unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{NOW, load_files, sound};
    use super::*;
    use crate::model::NamePattern;

    fn shipped(path: &str) -> String {
        let root = env!("CARGO_MANIFEST_DIR");
        std::fs::read_to_string(format!("{root}/{path}")).unwrap()
    }

    #[test]
    fn the_shipped_policy_is_without_findings_and_blocks_its_own_test_name() {
        let files = ["policies/00-default.toml", "policies/categories/bypass.txt"];
        let texts = files.map(shipped);
        let (policy, findings) = load_files(&[(files[0], &texts[0]), (files[1], &texts[1])]);
        assert_eq!(findings, "");
        let policy = policy.unwrap();
        assert_eq!((policy.mode, policy.thresholds), (Mode::Enforce, Thresholds::default()));
        assert!(policy.categories.iter().all(|category| category.applies_to.is_none()));
        let bypass = &policy.categories[policy.category("bypass").unwrap()];
        assert!(bypass.subjects.len() >= 50);

        let soa = crate::zone::Soa::ours(crate::zone::Serial(1));
        let zones = compile::local_zones(&policy, NOW, &soa, crate::model::NameRef::ROOT, 7).zones;
        let trigger = |text: &str| {
            let name = Name::from_host(text).unwrap();
            crate::model::Trigger::QueryName(NamePattern::exact(name))
        };
        let action = |text: &str| {
            let effects = zones.iter().filter_map(|zone| zone.zone.effect(&trigger(text)));
            effects.map(|effect| effect.action.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(action("blocked.sekisho.test"), ["nxdomain"]);
        assert_eq!(action("redirect.sekisho.test"), ["local-data"]);
        assert_eq!(action("ok.sekisho.test"), [""; 0]);
    }

    #[test]
    fn the_shipped_zones_hold_what_they_say() {
        use hickory_proto::rr::{Name as ZoneName, RData};
        use hickory_proto::serialize::txt::Parser;
        for (file, origin) in [("local", "local."), ("protected", "protected.")] {
            let origin: ZoneName = origin.parse().unwrap();
            let text = shipped(&format!("zones/{file}.rpz"));
            let (_, sets) = Parser::new(text, None, Some(origin.clone())).parse().unwrap();
            let mut names = 0;
            for set in sets.values() {
                assert!(origin.zone_of(set.name()), "{}", set.name());
                if *set.name() == origin {
                    continue;
                }
                names += 1;
                let owner = set.name().to_string();
                let owner = owner.strip_suffix(&format!(".{origin}")).unwrap();
                let host = Name::from_host(owner.trim_start_matches("*.")).unwrap();
                assert!(!PublicSuffixes::default().is_suffix(host.as_ref()), "{owner}");
                for record in set.records_without_rrsigs() {
                    match &record.data {
                        RData::CNAME(target) => assert_eq!(target.to_string(), "rpz-passthru."),
                        other => assert_eq!(file, "local", "{other:?}"),
                    }
                }
            }
            assert!(names >= if file == "local" { 3 } else { 80 }, "{file}: {names}");
        }
    }

    #[test]
    fn entries_about_a_name_are_found_for_explanations() {
        let policy = sound(
            "[[block]]\nname = 'bad.example'\nreason = 'first'\n\
             [[redirect]]\nname = ['x.example', '*.y.example']\n\
             network = '192.0.2.0/24'\nreason = 'second'\n",
        );
        let reasons = |text: &str| {
            let about = policy.entries_about(&Indicator::parse(text).unwrap(), NOW);
            let reasons = about.iter().map(|(entry, _)| entry.reason.as_deref().unwrap());
            reasons.collect::<Vec<_>>()
        };
        assert_eq!(reasons("www.bad.example"), ["first"]);
        assert_eq!(reasons("a.y.example"), ["second"]);
        assert_eq!(reasons("192.0.2.7"), ["second"]);
        assert_eq!(reasons("y.example"), [""; 0]);
        assert_eq!(reasons("192.0.2.0/23"), [""; 0]);
    }

    #[test]
    fn a_broken_policy_shows_every_finding_at_once() {
        let (policy, findings) = load_files(&[
            (
                "policies/00-default.toml",
                "mode = 'enforce'\n[thresholds]\nblock = { on = 15, off = 11 }\n",
            ),
            (
                "policies/10-office.toml",
                "mode = 'observed'\n\
                 [thresholds]\nblock = { on = 12, off = 13 }\nredirct = { on = 10 }\n\
                 [group.kids]\nnetworks = ['192.0.2.1/24', '192.0.2.0/24']\n\
                 categories = { adlut = true }\n\
                 [category.adult]\nenabled = 'yes'\n\
                 [[block]]\nname = ['*.co.uk', 'ex ample.com', 'bad.example']\n\
                 file = 'names.txt'\nreason = 'unfinished\n\
                 [[allow]]\nname = 'bad.example'\ngroups = ['kid']\nuntil = 2026-01-01\n",
            ),
            ("policies/names.txt", "one.example\ntwo three.example\n"),
        ]);
        assert!(policy.is_none());
        insta::assert_snapshot!(findings);
    }
}

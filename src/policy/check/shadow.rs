//! Entries that can never match, because another one that counts before them takes in all that
//! they do.

use std::collections::HashMap;
use std::hash::Hash;

use crate::diagnostic::Diagnostic;
use crate::model::{NameRef, Network, Timestamp};
use crate::policy::{Entry, List, Policy, Reach, Subject, Target};
use crate::zone::Mode;

/// An entry and one of its subjects, by position.
type Position = (u32, u32);

/// Reports the subjects that can never match. For a file of names that is one finding, since
/// lists made by machines repeat themselves.
pub(super) fn check(policy: &Policy, now: Timestamp, found: &mut Vec<Diagnostic>) {
    let index = Index::new(policy, now);
    let mut in_files: HashMap<u32, (usize, Diagnostic)> = HashMap::new();
    for (at, entry) in policy.entries.iter().enumerate().filter(|(_, e)| e.in_force(now)) {
        for (which, subject) in entry.subjects.iter().enumerate() {
            let position = (number(at), number(which));
            let Some((by, cover)) = index.shadower(policy, position, entry, subject) else {
                continue;
            };
            let finding = finding(policy, entry, subject, by, cover);
            if subject.mark.file == entry.mark.file {
                found.push(finding);
            } else {
                in_files.entry(subject.mark.file).or_insert((0, finding)).0 += 1;
            }
        }
    }
    found.extend(in_files.into_values().map(|(count, first)| match count {
        1 => first,
        _ => first.hint(format!("{} more names of this file are likewise covered", count - 1)),
    }));
}

fn finding(
    policy: &Policy,
    entry: &Entry,
    subject: &Subject,
    by: &Entry,
    cover: &Subject,
) -> Diagnostic {
    let shown = |list| match list {
        List::Allow => "allowed",
        List::Block => "blocked",
        List::Redirect => "redirected",
    };
    let place = policy.place(cover.mark);
    let message = match by.list == entry.list {
        true => format!(
            "`{}` is already {} by `{}` at {place}",
            subject.target,
            shown(by.list),
            cover.target
        ),
        false => format!(
            "`{}` is never {}: `{}` is {} at {place}",
            subject.target,
            shown(entry.list),
            cover.target,
            shown(by.list)
        ),
    };
    Diagnostic::warning(message).at(policy.place(subject.mark))
}

fn number(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Everything in force, by name and by network.
struct Index<'p> {
    names: Chains<NameRef<'p>>,
    networks: Chains<Network>,
}

/// Positions by key, several for a key in ascending order. A list has a million names, most of
/// them once, so a key has no allocation of its own.
struct Chains<K> {
    heads: HashMap<K, u32, foldhash::fast::RandomState>,
    links: Vec<(Position, Option<u32>)>,
}

impl<K: Eq + Hash> Chains<K> {
    fn new() -> Self {
        Self { heads: HashMap::default(), links: Vec::new() }
    }

    /// Puts a position before all others of the key.
    fn push(&mut self, key: K, position: Position) {
        let link = number(self.links.len());
        let next = self.heads.insert(key, link);
        self.links.push((position, next));
    }

    fn get(&self, key: &K) -> impl Iterator<Item = &Position> {
        let link = |at: &u32| self.links.get(*at as usize);
        std::iter::successors(self.heads.get(key).and_then(link), move |(_, next)| {
            next.as_ref().and_then(link)
        })
        .map(|(position, _)| position)
    }
}

impl<'p> Index<'p> {
    fn new(policy: &'p Policy, now: Timestamp) -> Self {
        let mut index = Self { names: Chains::new(), networks: Chains::new() };
        for (at, entry) in policy.entries.iter().enumerate().rev().filter(|(_, e)| e.in_force(now))
        {
            for (which, subject) in entry.subjects.iter().enumerate().rev() {
                let position = (number(at), number(which));
                match &subject.target {
                    Target::Name(name, _) => index.names.push(name.as_ref(), position),
                    Target::Network(network) => index.networks.push(*network, position),
                }
            }
        }
        index
    }

    /// The first subject that takes in all that this one does, and counts before it.
    fn shadower(
        &self,
        policy: &'p Policy,
        position: Position,
        entry: &Entry,
        subject: &Subject,
    ) -> Option<(&'p Entry, &'p Subject)> {
        let shadows = |other: &Position| {
            let by = &policy.entries[other.0 as usize];
            let cover = &by.subjects[other.1 as usize];
            // Of two that say the same, the one that stands first stays.
            let same =
                by.list == entry.list && cover.target == subject.target && outlasts(entry, by);
            let before = if same { *other < position } else { *other != position };
            (before && outlasts(by, entry) && reaches(&cover.target, &subject.target))
                .then_some((by, cover))
        };
        match &subject.target {
            Target::Name(name, _) => name
                .as_ref()
                .ancestors()
                .find_map(|ancestor| self.names.get(&ancestor).find_map(shadows)),
            Target::Network(network) => (0..=network.length()).find_map(|length| {
                let wider = Network::new(network.address(), length)?;
                self.networks.get(&wider).find_map(shadows)
            }),
        }
    }
}

/// Whether `by` counts before `entry` for every client of `entry`, as long as `entry` lasts.
fn outlasts(by: &Entry, entry: &Entry) -> bool {
    let acts = match by.list.cmp(&entry.list) {
        std::cmp::Ordering::Less => by.mode == Mode::Enforce,
        std::cmp::Ordering::Equal => by.mode >= entry.mode,
        std::cmp::Ordering::Greater => false,
    };
    let for_all_clients =
        by.groups.is_empty() || (!entry.groups.is_empty() && entry.groups.0 & !by.groups.0 == 0);
    let as_long = match (by.until, entry.until) {
        (None, _) => true,
        (Some(_), None) => false,
        (Some(end), Some(other)) => other <= end,
    };
    acts && for_all_clients && as_long
}

/// Whether `wide` takes in all that `narrow` does. Names are compared at or above each other.
fn reaches(wide: &Target, narrow: &Target) -> bool {
    match (wide, narrow) {
        (Target::Name(a, wide), Target::Name(b, narrow)) if a == b => {
            wide == narrow || *wide == Reach::Subdomains
        }
        (Target::Name(_, wide), Target::Name(..)) => wide.takes_in_below(),
        (Target::Network(wide), Target::Network(narrow)) => wide.covers(*narrow),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::policy::testing::{findings, load_files};

    #[test]
    fn what_an_earlier_list_takes_in_can_never_match() {
        assert_eq!(
            findings(
                "[[allow]]\nname = 'good.example'\n\
                 [[block]]\nname = ['x.good.example', 'bad.example']\n\
                 [[redirect]]\nname = 'bad.example'\nscope = 'exact'\n"
            ),
            "warning: `x.good.example` is never blocked: `good.example` is allowed at p.toml:2:8\n  \
             --> p.toml:4:9\n\
             warning: `bad.example` is never redirected: `bad.example` is blocked at p.toml:4:27\n  \
             --> p.toml:6:8"
        );
    }

    #[test]
    fn what_the_same_list_says_twice_is_found_even_across_files() {
        let (policy, found) = load_files(&[
            ("0.toml", "[[block]]\nname = 'bad.example'\nnetwork = '192.0.2.0/24'\n"),
            (
                "1.toml",
                "[[block]]\nname = ['bad.example', '*.bad.example']\nnetwork = '192.0.2.7'\n",
            ),
        ]);
        assert!(policy.is_some());
        assert_eq!(
            found,
            "warning: `bad.example` is already blocked by `bad.example` at 0.toml:2:8\n  \
             --> 1.toml:2:9\n\
             warning: `*.bad.example` is already blocked by `bad.example` at 0.toml:2:8\n  \
             --> 1.toml:2:24\n\
             warning: `192.0.2.7` is already blocked by `192.0.2.0/24` at 0.toml:3:11\n  \
             --> 1.toml:3:11"
        );
    }

    #[test]
    fn what_only_seems_to_be_covered_is_no_finding() {
        let groups = "[group.kids]\nnetworks = '192.0.2.0/25'\n\
                      [group.lab]\nnetworks = '192.0.2.128/25'\n";
        for (first, second) in [
            // A group's exception is not everybody's, and another group's is not this one's.
            ("[[allow]]\nname = 'a.example'\ngroups = 'kids'", "[[block]]\nname = 'a.example'"),
            (
                "[[allow]]\nname = 'a.example'\ngroups = 'kids'",
                "[[block]]\nname = 'a.example'\ngroups = 'lab'",
            ),
            // An exception that ends leaves the block in force.
            ("[[allow]]\nname = 'a.example'\nuntil = 2027-01-01", "[[block]]\nname = 'a.example'"),
            // A rule that only observes does not decide.
            ("[[allow]]\nname = 'a.example'\nmode = 'observe'", "[[block]]\nname = 'a.example'"),
            // Less than all of it is covered.
            ("[[allow]]\nname = 'a.example'\nscope = 'exact'", "[[block]]\nname = 'a.example'"),
            ("[[allow]]\nname = '*.a.example'", "[[block]]\nname = 'a.example'"),
            ("[[allow]]\nname = 'x.a.example'", "[[block]]\nname = 'a.example'"),
            ("[[allow]]\nnetwork = '192.0.2.0/25'", "[[block]]\nnetwork = '192.0.2.0/24'"),
            // The later list is the weaker one.
            ("[[block]]\nname = 'x.a.example'", "[[redirect]]\nname = 'a.example'"),
        ] {
            assert_eq!(findings(&format!("{groups}{first}\n{second}\n")), "", "{first}\n{second}");
        }
    }

    #[test]
    fn of_two_terms_the_shorter_is_the_idle_one() {
        assert_eq!(
            findings(
                "[[block]]\nname = 'a.example'\nuntil = 2027-01-01\n[[block]]\nname = 'a.example'\n"
            ),
            "warning: `a.example` is already blocked by `a.example` at p.toml:5:8\n  --> p.toml:2:8"
        );
    }

    #[test]
    fn a_file_of_names_that_repeats_itself_is_one_finding() {
        let (policy, found) = load_files(&[
            ("p.toml", "[[block]]\nfile = 'n.txt'\n"),
            ("n.txt", "a.example\na.example\nx.a.example\nb.example\n"),
        ]);
        assert!(policy.is_some());
        assert_eq!(
            found,
            "warning: `a.example` is already blocked by `a.example` at n.txt:1:1\n  --> n.txt:2:1\n\
             hint: 1 more names of this file are likewise covered"
        );
    }
}

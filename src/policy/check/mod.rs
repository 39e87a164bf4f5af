//! What reads well and cannot be meant.
//!
//! The reader of the files has refused what is no policy at all. Here a policy is looked at as a
//! whole: thresholds that contradict each other, entries that would take in a public suffix, that
//! have ended or that can never match, groups that overlap.

mod shadow;

use super::{Entry, List, Mark, Policy, PolicyCategory, Reach, Subject, Target};
use crate::diagnostic::{Diagnostic, Severity};
use crate::evidence::PublicSuffixes;
use crate::model::{Network, Timestamp};

/// The most findings that are worth printing.
pub const FINDINGS_MAX: usize = 500;
/// The shortest prefixes that a list may take in without `force`, as for feeds (SCORING 4.4, R6):
/// wider ones are a slip or a decision.
pub const PREFIX_LENGTH_MIN_V4: u8 = 16;
/// The same for IPv6.
pub const PREFIX_LENGTH_MIN_V6: u8 = 32;

/// Looks for what cannot be meant.
pub fn check(policy: &Policy, suffixes: &PublicSuffixes, now: Timestamp) -> Vec<Diagnostic> {
    let mut findings = Findings { policy, found: Vec::new() };
    findings.thresholds();
    findings.groups();
    for category in &policy.categories {
        findings.category(category, suffixes);
    }
    for entry in &policy.entries {
        findings.entry(entry, suffixes, now);
    }
    shadow::check(policy, now, &mut findings.found);
    findings.found
}

/// Puts findings in order of place, and leaves out what nobody would read.
pub fn tidy(findings: &mut Vec<Diagnostic>) {
    findings.sort_by(|a, b| a.place.cmp(&b.place));
    if findings.len() > FINDINGS_MAX {
        let rest = findings.split_off(FINDINGS_MAX);
        let errors = rest.iter().filter(|finding| finding.is_error()).count();
        let severity = if errors > 0 { Severity::Error } else { Severity::Warning };
        let message = format!("{} more findings, of which {errors} are errors", rest.len());
        findings.push(Diagnostic { severity, ..Diagnostic::error(message) });
    }
}

struct Findings<'p> {
    policy: &'p Policy,
    found: Vec<Diagnostic>,
}

impl Findings<'_> {
    fn report(&mut self, mark: Mark, finding: Diagnostic) {
        self.found.push(finding.at(self.policy.place(mark)));
    }

    fn thresholds(&mut self) {
        let t = &self.policy.thresholds;
        let named = [("block", t.block), ("redirect", t.redirect), ("monitor", t.monitor)];
        let marks = self.policy.threshold_marks;
        let mut found = Vec::new();
        for ((name, threshold), mark) in named.iter().zip(marks) {
            if threshold.off_mban > threshold.on_mban {
                let (on, off) = (points(threshold.on_mban), points(threshold.off_mban));
                let message = format!("`{name}` begins at {on} points and ends below {off}");
                let hint = "`off` is at most `on`; the gap keeps a verdict from flapping";
                found.push((mark, Diagnostic::error(message).hint(hint)));
            }
        }
        for (at, pair) in named.windows(2).enumerate() {
            let [(high, above), (low, below)] = pair else { continue };
            let mark = marks[at].or(marks[at + 1]);
            for (word, above, below) in
                [("begins", above.on_mban, below.on_mban), ("ends", above.off_mban, below.off_mban)]
            {
                if above < below {
                    let (above, below) = (points(above), points(below));
                    let message =
                        format!("`{high}` {word} at {above} points, below `{low}` at {below}");
                    let hint = "a stronger action needs at least as many points";
                    found.push((mark, Diagnostic::error(message).hint(hint)));
                }
            }
        }
        for (mark, finding) in found {
            match mark {
                Some(mark) => self.report(mark, finding),
                None => self.found.push(finding),
            }
        }
    }

    fn groups(&mut self) {
        let mut networks: Vec<(Network, Mark, usize)> = Vec::new();
        for (at, group) in self.policy.groups.iter().enumerate() {
            if group.networks.is_empty() {
                let message = format!("no client is in the group `{}`", group.name);
                self.report(group.mark, Diagnostic::warning(message).hint("add `networks`"));
            }
            networks.extend(group.networks.iter().map(|(network, mark)| (*network, *mark, at)));
        }
        // In this order the networks that hold another one come before it.
        networks.sort_by_key(|(network, _, at)| (*network, *at));
        let mut holding: Vec<(Network, Mark, usize)> = Vec::new();
        for (network, mark, group) in networks {
            holding.retain(|(outer, ..)| outer.covers(network));
            if let Some((outer, outer_mark, outer_group)) = holding.last().copied() {
                let inner_name = &self.policy.groups[group].name;
                let outer_name = &self.policy.groups[outer_group].name;
                let place = self.policy.place(outer_mark);
                let finding = match group == outer_group {
                    true => Diagnostic::warning(format!(
                        "`{network}` lies in `{outer}` of the same group, at {place}"
                    )),
                    false => Diagnostic::warning(format!(
                        "`{network}` of the group `{inner_name}` lies in `{outer}` of the group \
                         `{outer_name}`, at {place}"
                    ))
                    .hint(format!("a client there is in both `{inner_name}` and `{outer_name}`")),
                };
                self.report(mark, finding);
            }
            holding.push((network, mark, group));
        }
    }

    fn category(&mut self, category: &PolicyCategory, suffixes: &PublicSuffixes) {
        if !category.enabled && !category.groups.is_empty() {
            let message =
                format!("the groups of `{}` have no effect while it is off", category.name);
            let hint = "add `enabled = true`, or switch it on in the groups themselves";
            self.report(category.mark, Diagnostic::warning(message).hint(hint));
        }
        for subject in &category.subjects {
            if let Some(what) = too_wide(subject, suffixes) {
                let finding = Diagnostic::error(format!("`{}` {what}", subject.target));
                self.report(subject.mark, finding.hint("write the exact names"));
            }
        }
    }

    fn entry(&mut self, entry: &Entry, suffixes: &PublicSuffixes, now: Timestamp) {
        if let Some(until) = entry.until.filter(|until| *until <= now) {
            let message = format!("the entry ended at {until}");
            self.report(entry.mark, Diagnostic::warning(message).hint("remove it, or renew it"));
        }
        let wide: Vec<(&Subject, &str)> = entry
            .subjects
            .iter()
            .filter_map(|subject| Some((subject, too_wide(subject, suffixes)?)))
            .collect();
        if entry.list == List::Allow {
            for (subject, what) in wide {
                let message = format!("`{}` {what}, and all of it is let through", subject.target);
                let hint = "allow the exact names that are needed";
                self.report(subject.mark, Diagnostic::warning(message).hint(hint));
            }
            return;
        }
        if !entry.force {
            for (subject, what) in wide {
                let finding = Diagnostic::error(format!("`{}` {what}", subject.target));
                self.report(
                    subject.mark,
                    finding.hint(
                        "write the exact names, or add `force = true` with a reason and an owner",
                    ),
                );
            }
        } else if wide.is_empty() {
            let finding = Diagnostic::warning("`force` has no effect: nothing here needs it");
            self.report(entry.mark, finding.hint("leave it out"));
        } else if entry.reason.is_none() || entry.owner.is_none() {
            let finding = Diagnostic::error("`force` needs a reason and an owner");
            let hint = "add `reason` and `owner`, so that people know whom to ask";
            self.report(entry.mark, finding.hint(hint));
        }
    }
}

/// What is wrong with the width of a subject, if anything.
fn too_wide(subject: &Subject, suffixes: &PublicSuffixes) -> Option<&'static str> {
    match &subject.target {
        Target::Name(_, Reach::Exact) => None,
        Target::Name(name, _) if name.as_ref().is_root() => Some("covers every name"),
        Target::Name(name, _) if name.as_ref().label_count() == 1 => {
            Some("covers a whole top-level domain")
        }
        Target::Name(name, _) => {
            suffixes.is_suffix(name.as_ref()).then_some("covers a public suffix")
        }
        Target::Network(network) => {
            let min = match network.address().is_ipv6() {
                true => PREFIX_LENGTH_MIN_V6,
                false => PREFIX_LENGTH_MIN_V4,
            };
            (network.length() < min).then_some("is a very wide network")
        }
    }
}

/// Millibans as people write them.
fn points(mban: i32) -> String {
    let (sign, mban) = if mban < 0 { ("-", -mban) } else { ("", mban) };
    let text = format!("{sign}{}.{:02}", mban / 100, mban % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use crate::policy::testing::{findings, load_files, sound};

    #[test]
    fn thresholds_that_contradict_each_other_are_found() {
        assert_eq!(
            findings("[thresholds]\nblock = { on = 15, off = 15.5 }\n"),
            "error: `block` begins at 15 points and ends below 15.5\n  --> p.toml:2:9\n\
             hint: `off` is at most `on`; the gap keeps a verdict from flapping"
        );
        assert_eq!(
            findings("[thresholds]\nblock = { on = 9, off = 5 }\nredirect = { on = 10 }\n"),
            "error: `block` begins at 9 points, below `redirect` at 10\n  --> p.toml:2:9\n\
             hint: a stronger action needs at least as many points\n\
             error: `block` ends at 5 points, below `redirect` at 7\n  --> p.toml:2:9\n\
             hint: a stronger action needs at least as many points"
        );
        assert_eq!(
            findings("[thresholds.monitor]\non = 12\noff = -3.25\n"),
            "error: `redirect` begins at 10 points, below `monitor` at 12\n  --> p.toml:1:1\n\
             hint: a stronger action needs at least as many points"
        );
    }

    #[test]
    fn a_block_of_a_public_suffix_needs_force_with_a_reason_and_an_owner() {
        let entry = |lines: &str| findings(&format!("[[block]]\n{lines}\n"));
        let hint = "hint: write the exact names, or add `force = true` with a reason and an owner";
        for (name, what) in [
            ("*.co.uk", "covers a public suffix"),
            ("github.io", "covers a public suffix"),
            ("zip", "covers a whole top-level domain"),
        ] {
            assert_eq!(
                entry(&format!("name = '{name}'")),
                format!("error: `{name}` {what}\n  --> p.toml:2:8\n{hint}")
            );
        }
        for network in ["10.0.0.0/8", "2001:db8::/31"] {
            assert_eq!(
                entry(&format!("network = '{network}'")),
                format!("error: `{network}` is a very wide network\n  --> p.toml:2:11\n{hint}")
            );
        }
        assert_eq!(entry("name = 'github.io'\nscope = 'exact'"), "");
        assert_eq!(
            entry("name = 'zip'\nforce = true\nreason = 'x'"),
            "error: `force` needs a reason and an owner\n  --> p.toml:1:1\n\
             hint: add `reason` and `owner`, so that people know whom to ask"
        );
        assert_eq!(entry("name = 'zip'\nforce = true\nreason = 'x'\nowner = 'amy'"), "");
        assert_eq!(
            entry("name = 'bad.example'\nforce = true"),
            "warning: `force` has no effect: nothing here needs it\n  --> p.toml:1:1\n\
             hint: leave it out"
        );
        assert_eq!(
            findings("[category.x]\nname = 'com'\n"),
            "error: `com` covers a whole top-level domain\n  --> p.toml:2:8\n\
             hint: write the exact names"
        );
    }

    #[test]
    fn letting_a_whole_suffix_through_is_worth_a_warning() {
        let (policy, found) = load_files(&[("p.toml", "[[allow]]\nname = ['de', 'a.de']\n")]);
        assert!(policy.is_some());
        assert_eq!(
            found,
            "warning: `de` covers a whole top-level domain, and all of it is let through\n  \
             --> p.toml:2:9\nhint: allow the exact names that are needed\n\
             warning: `a.de` is already allowed by `de` at p.toml:2:9\n  --> p.toml:2:15"
        );
    }

    #[test]
    fn an_entry_that_has_ended_is_found() {
        assert_eq!(
            findings("[[block]]\nname = 'a.example'\nuntil = 2026-11-23\n"),
            "warning: the entry ended at 2026-11-24T00:00:00Z\n  --> p.toml:1:1\n\
             hint: remove it, or renew it"
        );
        sound("[[block]]\nname = 'a.example'\nuntil = 2026-11-24\n");
    }

    #[test]
    fn networks_of_groups_that_overlap_are_found() {
        assert_eq!(
            findings(
                "[group.lab]\nnetworks = '192.0.2.128/25'\n\
                 [group.office]\nnetworks = ['192.0.2.0/24', '192.0.2.1']\n"
            ),
            "warning: `192.0.2.128/25` of the group `lab` lies in `192.0.2.0/24` of the group \
             `office`, at p.toml:4:13\n  --> p.toml:2:12\n\
             hint: a client there is in both `lab` and `office`\n\
             warning: `192.0.2.1` lies in `192.0.2.0/24` of the same group, at p.toml:4:13\n  \
             --> p.toml:4:29"
        );
    }

    #[test]
    fn groups_that_do_nothing_are_found() {
        assert_eq!(
            findings("[group.lab]\n"),
            "warning: no client is in the group `lab`\n  --> p.toml:1:8\nhint: add `networks`"
        );
        assert_eq!(
            findings("[group.lab]\nnetworks = '192.0.2.0/24'\n[category.ads]\ngroups = 'lab'\n"),
            "warning: the groups of `ads` have no effect while it is off\n  --> p.toml:3:11\n\
             hint: add `enabled = true`, or switch it on in the groups themselves"
        );
    }

    #[test]
    fn a_thousand_findings_are_cut_short_and_stay_errors() {
        let text: String = (0..1000).map(|i| format!("key{i} = 1\n")).collect();
        let (policy, found) = load_files(&[("p.toml", &text)]);
        assert!(policy.is_none());
        assert!(found.ends_with("error: 500 more findings, of which 500 are errors"), "{found}");
    }
}

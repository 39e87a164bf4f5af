//! The zones of the policy's own lists and categories.
//!
//! A zone says one thing to one set of clients in one mode, so a list becomes as many zones as its
//! entries differ in groups and mode: `allow`, `block.kids`, `block.observe`. They stand in the
//! order of the lists, and what is allowed comes first. Where an entry has an end, the time of the
//! next end is given too: the zones are then to be made anew.

use std::collections::BTreeMap;

use super::domains::{DomainZone, Summary};
use super::protect::Allowed;
use super::{Entry, List, NoticeKind, Policy, Subject, Target};
use crate::model::{Action, GroupSet, Name, NameRef, Timestamp};
use crate::names::NameSorter;
use crate::zone::{Mode, PolicyZone, Soa, ZoneBuilder, ZoneOptions};

/// The zones of the policy's lists.
#[derive(Debug, Clone)]
pub struct LocalZones {
    /// In the order in which they count.
    pub zones: Vec<PolicyZone>,
    /// When the next entry ends.
    pub next_expiry: Option<Timestamp>,
}

/// Makes the zones of the allow, block and redirect lists, without the entries whose term has
/// ended. `soa` goes into each, and the seed keys their tables.
pub fn local_zones(
    policy: &Policy,
    now: Timestamp,
    soa: &Soa,
    suffix: NameRef<'_>,
    hash_seed: u64,
) -> LocalZones {
    let in_force = || policy.entries.iter().filter(|entry| entry.in_force(now));
    let mut parts: BTreeMap<(List, GroupSet, std::cmp::Reverse<Mode>), Vec<&Entry>> =
        BTreeMap::new();
    for entry in in_force() {
        let key = (entry.list, entry.groups, std::cmp::Reverse(entry.mode));
        parts.entry(key).or_default().push(entry);
    }
    let nothing = Allowed::default();
    let zones = parts.into_iter().map(|((list, groups, mode), entries)| {
        let mode = mode.0;
        let origin = zone_name(&origin(policy, list.as_str(), groups, mode), suffix);
        let builder = ZoneBuilder::new(origin, soa.clone(), hash_seed);
        let mut zone = DomainZone::new(builder, &nothing);
        let action = zone.action(policy.action_of(list));
        let subjects = entries.iter().flat_map(|entry| &entry.subjects);
        let mut names = sorted_names(subjects.clone());
        names.push_all(&mut zone, action);
        for subject in subjects {
            if let Target::Network(network) = subject.target {
                zone.push_network(network, action);
            }
        }
        let options = policy.options(policy.notice_kind(list), policy.mode.min(mode), groups);
        PolicyZone { zone: zone.finish().0, options }
    });
    LocalZones { zones: zones.collect(), next_expiry: in_force().filter_map(|e| e.until).min() }
}

/// Makes the zone of a category from the names of its sources, which `listed` gives in strictly
/// ascending order, and the policy's own. None where no client has the category switched on.
pub fn category_zone(
    policy: &Policy,
    at: usize,
    allowed: &Allowed,
    soa: &Soa,
    suffix: NameRef<'_>,
    hash_seed: u64,
    listed: impl FnOnce(&mut dyn FnMut(NameRef<'_>)),
) -> Option<(PolicyZone, Summary)> {
    let category = &policy.categories[at];
    policy.category_options(at)?;
    let origin =
        origin(policy, &format!("category.{}", category.name), GroupSet::NONE, Mode::Enforce);
    let origin = zone_name(&origin, suffix);
    let builder = ZoneBuilder::new(origin, soa.clone(), hash_seed);
    let mut zone = DomainZone::new(builder, allowed);
    let action = zone.action(policy.action_of(category.action));
    let mut own = sorted_names(&category.subjects);
    listed(&mut |name| {
        own.push_below(name, &mut zone, action);
        zone.push(name, action);
    });
    own.push_all(&mut zone, action);
    for subject in &category.subjects {
        if let Target::Network(network) = subject.target {
            zone.push_network(network, action);
        }
    }
    let options = policy.category_options(at)?;
    let (zone, summary) = zone.finish();
    Some((PolicyZone { zone, options }, summary))
}

impl Policy {
    /// What a list does with what it takes in.
    pub fn action_of(&self, list: List) -> Action {
        match list {
            List::Allow => Action::Passthru,
            List::Block => self.block_action.clone(),
            List::Redirect => self.redirect_action(),
        }
    }

    /// The options of a zone of the policy, for everyone or some groups.
    pub fn options(&self, kind: NoticeKind, mode: Mode, groups: GroupSet) -> ZoneOptions {
        let extended_error = Some(self.notice.extended_error(kind));
        ZoneOptions { mode, groups, extended_error, ..ZoneOptions::ours() }
    }

    /// The options of the zone of a category; none where it is on for nobody.
    pub fn category_options(&self, at: usize) -> Option<ZoneOptions> {
        let category = self.categories.get(at)?;
        let groups = category.applies_to.filter(|_| category.mode != Mode::Off)?;
        let kind = match self.notice_kind(category.action) {
            NoticeKind::Forged => NoticeKind::Forged,
            _ => NoticeKind::Filtered,
        };
        Some(self.options(kind, self.mode.min(category.mode), groups))
    }

    /// The options of the zone made from scores.
    pub fn threat_options(&self) -> ZoneOptions {
        self.options(NoticeKind::Blocked, self.mode.min(self.threat_mode), GroupSet::NONE)
    }

    /// The options of the zone made from predictions; none where no group wants it.
    pub fn predicted_options(&self) -> Option<ZoneOptions> {
        let wanting = self.groups.iter().enumerate().filter(|(_, group)| group.redirect_predicted);
        let groups = wanting.fold(GroupSet::NONE, |set, (at, _)| set.union(GroupSet::of(at)));
        let mode = self.mode.min(self.threat_mode);
        (!groups.is_empty()).then(|| self.options(self.notice_kind(List::Redirect), mode, groups))
    }

    /// The options of the zone made from sources with trust `operator`.
    pub fn operator_options(&self) -> ZoneOptions {
        self.options(NoticeKind::Blocked, self.mode.min(self.operator_mode), GroupSet::NONE)
    }

    /// What is said of an answer that a list changed. A redirect without a walled garden gives no
    /// answer, so it is a block.
    pub fn notice_kind(&self, list: List) -> NoticeKind {
        match (list, &self.walled_garden) {
            (List::Redirect, Some(_)) => NoticeKind::Forged,
            _ => NoticeKind::Blocked,
        }
    }
}

/// What the names of all zones of ours end in where nothing else is configured. Short, since owner names in an exported zone have
/// room for 255 octets together with it.
pub const ZONE_SUFFIX: &str = "rpz";

/// The name of a zone of ours: `threat` under `rpz` is `threat.rpz`. A suffix that leaves no room
/// is left out.
pub fn zone_name(label: &Name, suffix: NameRef<'_>) -> Name {
    suffix.with_prefix(label.as_ref()).unwrap_or_else(|_| label.clone())
}

/// `block`, `block.kids.staff`, `block.observe`.
fn origin(policy: &Policy, start: &str, groups: GroupSet, mode: Mode) -> Name {
    let mut name = start.to_owned();
    for group in policy.group_names(groups) {
        // A name has room for seven groups of any length; more stand as a number.
        if name.len() + group.len() > 220 {
            name = format!("{start}.groups-{:016x}", groups.0);
            break;
        }
        name.push('.');
        name.push_str(group);
    }
    if mode == Mode::Observe {
        name.push_str(".observe");
    }
    Name::from_presentation(&name).expect("groups and categories have host names")
}

/// Subjects that are names, in canonical order.
struct SortedNames {
    names: Vec<(Name, bool, bool)>,
    next: usize,
}

fn sorted_names<'a>(subjects: impl IntoIterator<Item = &'a Subject>) -> SortedNames {
    let mut sorter: NameSorter<(bool, bool)> = NameSorter::default();
    for subject in subjects {
        if let Target::Name(name, reach) = &subject.target {
            sorter.push(name.as_ref(), (reach.takes_in_itself(), reach.takes_in_below()));
        }
    }
    sorter.sort();
    let mut names: Vec<(Name, bool, bool)> = Vec::new();
    for (name, (itself, below)) in sorter.iter() {
        match names.last_mut() {
            Some(last) if last.0.as_ref() == name => {
                last.1 |= itself;
                last.2 |= below;
            }
            _ => names.push((name.to_owned(), itself, below)),
        }
    }
    SortedNames { names, next: 0 }
}

impl SortedNames {
    fn push_next(&mut self, zone: &mut DomainZone<'_>, action: u32) {
        let (name, itself, below) = &self.names[self.next];
        zone.push_rules(name.as_ref(), itself.then_some(action), below.then_some(action));
        self.next += 1;
    }

    /// Pushes the names before `name`, and passes over `name` itself.
    fn push_below(&mut self, name: NameRef<'_>, zone: &mut DomainZone<'_>, action: u32) {
        while self.names.get(self.next).is_some_and(|own| own.0.as_ref() < name) {
            self.push_next(zone, action);
        }
        if self.names.get(self.next).is_some_and(|own| own.0.as_ref() == name) {
            self.next += 1;
        }
    }

    fn push_all(&mut self, zone: &mut DomainZone<'_>, action: u32) {
        while self.next < self.names.len() {
            self.push_next(zone, action);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Rule, Trigger};
    use crate::policy::testing::{NOW, load_files, sound};
    use crate::zone::Serial;

    fn compile(policy: &Policy, now: Timestamp) -> LocalZones {
        local_zones(policy, now, &Soa::ours(Serial(1)), NameRef::ROOT, 7)
    }

    fn shown(rule: &Rule) -> String {
        match &rule.trigger {
            Trigger::QueryName(pattern) => format!("{pattern} {}", rule.action.as_str()),
            Trigger::AnswerAddress(network) => format!("{network} {}", rule.action.as_str()),
            other => format!("{other:?}"),
        }
    }

    /// Each zone as `name groups mode code: rules`.
    fn lines(zones: &[PolicyZone]) -> Vec<String> {
        let line = |zone: &PolicyZone| {
            let rules: Vec<String> = zone.zone.rules().map(|rule| shown(&rule)).collect();
            let code = zone.options.extended_error.as_ref().map_or(0, |error| error.code);
            let (groups, mode) = (zone.options.groups.0, zone.options.mode);
            format!("{} {groups:b} {mode:?} {code}: {}", zone.name(), rules.join(", "))
        };
        zones.iter().map(line).collect()
    }

    #[test]
    fn lists_become_zones_in_their_order_split_by_groups_and_mode() {
        let (policy, _) = load_files(&[(
            "p.toml",
            "[group.kids]\nnetworks = '192.0.2.0/25'\n[group.lab]\nnetworks = '192.0.2.128/25'\n\
             [[redirect]]\nname = 'r.example'\n\
             [[block]]\nname = ['b.example', 'x.c.example']\n\
             [[block]]\nname = '*.c.example'\n\
             [[block]]\nname = 'o.example'\nmode = 'observe'\n\
             [[block]]\nname = 'off.example'\nmode = 'off'\n\
             [[block]]\nname = 'k.example'\nscope = 'exact'\ngroups = ['lab', 'kids']\n\
             [[allow]]\nname = 'a.example'\nnetwork = '198.51.100.0/24'\n\
             [[allow]]\nname = 'a.a.example'\ngroups = 'kids'\nmode = 'observe'\n",
        )]);
        let zones = compile(&policy.unwrap(), NOW).zones;
        assert_eq!(
            lines(&zones),
            [
                "allow 0 Enforce 15: a.example passthru, *.a.example passthru, \
                 198.51.100.0/24 passthru",
                "allow.kids.observe 1 Observe 15: a.a.example passthru, *.a.a.example passthru",
                "block 0 Enforce 15: b.example nxdomain, *.b.example nxdomain, \
                 *.c.example nxdomain",
                "block.observe 0 Observe 15: o.example nxdomain, *.o.example nxdomain",
                "block.kids.lab 11 Enforce 15: k.example nxdomain",
                "redirect 0 Enforce 15: r.example nxdomain, *.r.example nxdomain",
            ]
        );
    }

    #[test]
    fn an_entry_is_left_out_when_it_ends_and_the_next_end_is_known() {
        let policy = sound(
            "[[block]]\nname = 'a.example'\nuntil = 2026-11-24\n\
             [[block]]\nname = 'b.example'\nuntil = 2026-12-01T00:00:00+01:00\n",
        );
        let first = Timestamp::parse("2026-11-25").unwrap();
        let second = Timestamp::parse("2026-11-30T23:00:00Z").unwrap();
        let rules = |now: Timestamp| {
            let zones = compile(&policy, now);
            (zones.zones.iter().map(|zone| zone.zone.len()).sum::<usize>(), zones.next_expiry)
        };
        assert_eq!(rules(NOW), (4, Some(first)));
        assert_eq!(rules(first), (2, Some(second)));
        assert_eq!(rules(second), (0, None));
    }

    #[test]
    fn a_redirect_leads_to_the_walled_garden_if_there_is_one() {
        let redirect = |garden: &str| {
            let policy = sound(&format!("[answers]\n{garden}\n[[redirect]]\nname = 'a.example'\n"));
            lines(&compile(&policy, NOW).zones)
        };
        let expected = |action: &str, code: u16| {
            vec![format!("redirect 0 Enforce {code}: a.example {action}, *.a.example {action}")]
        };
        assert_eq!(redirect(""), expected("nxdomain", 15));
        assert_eq!(redirect("walled_garden.name = 'g.example'"), expected("cname", 4));
        assert_eq!(redirect("walled_garden.addresses = '192.0.2.80'"), expected("local-data", 4));
    }

    #[test]
    fn the_mode_of_the_policy_holds_for_all_zones() {
        let policy = sound("mode = 'observe'\n[[block]]\nname = 'a.example'\n");
        assert_eq!(compile(&policy, NOW).zones[0].options.mode, Mode::Observe);
        assert_eq!(policy.threat_options().mode, Mode::Observe);
    }

    fn category(text: &str, listed: &[&str]) -> Vec<String> {
        let (policy, _) = load_files(&[("p.toml", text)]);
        let policy = policy.unwrap();
        let mut listed: Vec<Name> = listed.iter().map(|n| Name::from_host(n).unwrap()).collect();
        listed.sort();
        let allowed = Allowed::of(&policy, NOW);
        let zone =
            category_zone(&policy, 0, &allowed, &Soa::ours(Serial(1)), NameRef::ROOT, 7, |push| {
                listed.iter().for_each(|name| push(name.as_ref()));
            });
        lines(&zone.map(|(zone, _)| zone).into_iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_category_joins_its_sources_names_and_the_policys_own() {
        let text = "[category.ads]\nenabled = true\n\
                    name = ['*.ads.example', 'b.example', 'z.example']\n\
                    [[allow]]\nname = 'good.b.example'\n";
        assert_eq!(
            category(text, &["a.example", "b.example", "x.b.example", "y.ads.example"]),
            ["category.ads 0 Enforce 17: a.example nxdomain, *.a.example nxdomain, \
              *.ads.example nxdomain, b.example nxdomain, *.b.example nxdomain, \
              good.b.example passthru, *.good.b.example passthru, z.example nxdomain, \
              *.z.example nxdomain"]
        );
    }

    #[test]
    fn a_category_that_is_on_for_nobody_is_no_zone() {
        assert_eq!(category("[category.ads]\n", &["a.example"]), [""; 0]);
        assert_eq!(
            category("[category.ads]\nenabled = true\nmode = 'off'\n", &["a.example"]),
            [""; 0]
        );
        let groups = "[group.kids]\nnetworks = '192.0.2.0/24'\ncategories.ads = true\n\
                      [category.ads]\naction = 'redirect'\nmode = 'observe'\n";
        assert_eq!(
            category(groups, &["a.example"]),
            ["category.ads 1 Observe 17: a.example nxdomain, *.a.example nxdomain"]
        );
    }

    #[test]
    fn many_groups_still_make_a_zone_name() {
        let groups: String = (0..64)
            .map(|i| {
                format!("[group.a-rather-long-name-of-a-group{i}]\nnetworks = '10.{i}.0.0/16'\n")
            })
            .collect();
        let names: Vec<String> =
            (0..64).map(|i| format!("'a-rather-long-name-of-a-group{i}'")).collect();
        let policy = sound(&format!(
            "{groups}[[block]]\nname = 'a.example'\ngroups = [{}]\n",
            names.join(", ")
        ));
        let zones = compile(&policy, NOW).zones;
        assert_eq!(zones[0].name().to_string(), "block.groups-ffffffffffffffff");
    }
}

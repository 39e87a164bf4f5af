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
pub fn local_zones(policy: &Policy, now: Timestamp, soa: &Soa, hash_seed: u64) -> LocalZones {
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
        let origin = origin(policy, list.as_str(), groups, mode);
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
    hash_seed: u64,
    listed: impl FnOnce(&mut dyn FnMut(NameRef<'_>)),
) -> Option<(PolicyZone, Summary)> {
    let category = &policy.categories[at];
    policy.category_options(at)?;
    let origin =
        origin(policy, &format!("category.{}", category.name), GroupSet::NONE, Mode::Enforce);
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

/// What the names of all zones of ours end in. Short, since owner names in an exported zone have
/// room for 255 octets together with it.
pub const ZONE_SUFFIX: &str = "rpz";

/// `block.rpz`, `block.kids.staff.rpz`, `block.observe.rpz`.
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
    name.push('.');
    name.push_str(ZONE_SUFFIX);
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

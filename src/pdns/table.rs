//! What was seen: names, and records by name and by what they say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::ops::Bound;

use super::seen::{ClientMark, Seen};
use crate::model::{Name, NameRef, Timestamp};

/// Values of one name that are kept: content networks rotate through addresses, and the last ones
/// say where a name is.
const VALUES_MAX: usize = 32;
/// Hosts of one domain that are kept: a tunnel or a flood of made-up names has millions.
const HOSTS_MAX: u32 = 500;
/// Names below one domain that were kept from clients and are told apart; more count for the domain.
const KEPT_MAX: usize = 50;
/// What a name takes beside its octets, in octets: two times, days, counts, and its place in a tree.
const NAME_OVERHEAD: usize = 128;
/// What a record takes beside its octets, both ways.
const RECORD_OVERHEAD: usize = 160;
/// Where there is too much, the oldest of so many parts goes.
const FORGET_PARTS: usize = 10;
/// The kind of value that sorts before all others.
const FIRST_VALUE: Value = Value::Address(IpAddr::V4(Ipv4Addr::UNSPECIFIED));

/// How much is kept, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Octets, by our own account.
    pub size_octets_max: usize,
    /// Seconds after which what was not seen again is forgotten.
    pub age_seconds_max: u32,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// A or AAAA.
    Address(IpAddr),
    /// CNAME, or what stands for one.
    Alias(Name),
    /// NS.
    Server(Name),
}

impl Value {
    /// The record type's name.
    pub const fn rtype(&self) -> &'static str {
        match self {
            Self::Address(IpAddr::V4(_)) => "A",
            Self::Address(IpAddr::V6(_)) => "AAAA",
            Self::Alias(_) => "CNAME",
            Self::Server(_) => "NS",
        }
    }

    fn octets(&self) -> usize {
        match self {
            Self::Address(_) => 16,
            Self::Alias(name) | Self::Server(name) => name.as_ref().key().len(),
        }
    }
}

/// The data as in a master file.
impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Alias(name) | Self::Server(name) => write!(f, "{name}"),
        }
    }
}

/// When a record was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First.
    pub first_at: Timestamp,
    /// Last.
    pub last_at: Timestamp,
    /// How often an upstream said it.
    pub count: u32,
}

/// A domain, or a tenant's name on a platform: what one party holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// When anything of it was seen.
    pub seen: Seen,
    hosts: u32,
}

/// Which of the two tables of names a row is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// One name.
    Host,
    /// All that one party holds.
    Holder,
    /// A name that policy kept from those who asked.
    Kept,
}

/// A name as it is kept; none where it was forgotten.
pub type NameRow = (NameKind, Name, Option<Seen>);
/// A record as it is kept; none where it was forgotten.
pub type RecordRow = (Name, Value, Option<Span>);

/// What has changed since it was asked last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes {
    /// Names.
    pub names: Vec<NameRow>,
    /// Records.
    pub records: Vec<RecordRow>,
}

/// Everything that was seen.
#[derive(Debug)]
pub struct Table {
    limits: Limits,
    /// Since when there was anybody to see.
    pub since: Timestamp,
    hosts: BTreeMap<Name, Seen>,
    kept: BTreeMap<Name, Seen>,
    holders: BTreeMap<Name, Holder>,
    records: BTreeMap<(Name, Value), Span>,
    /// The same the other way round.
    owners: BTreeSet<(Value, Name)>,
    octets: usize,
    changed_names: BTreeSet<(NameKind, Name)>,
    changed_records: BTreeSet<(Name, Value)>,
}

impl Table {
    /// Nothing seen yet.
    pub fn new(limits: Limits, since: Timestamp) -> Self {
        Self {
            limits,
            since,
            hosts: BTreeMap::new(),
            kept: BTreeMap::new(),
            holders: BTreeMap::new(),
            records: BTreeMap::new(),
            owners: BTreeSet::new(),
            octets: 0,
            changed_names: BTreeSet::new(),
            changed_records: BTreeSet::new(),
        }
    }

    /// Takes back a name that was kept. Hosts come with who holds them.
    pub fn restore_name(&mut self, kind: NameKind, name: Name, seen: Seen, holder: Option<&Name>) {
        let octets = name_octets(&name);
        match kind {
            NameKind::Host => {
                if let Some(holder) = holder.and_then(|holder| self.holders.get_mut(holder)) {
                    holder.hosts += 1;
                }
                self.octets += if self.hosts.insert(name, seen).is_none() { octets } else { 0 };
            }
            NameKind::Kept => {
                self.octets += if self.kept.insert(name, seen).is_none() { octets } else { 0 };
            }
            NameKind::Holder => {
                let holder = Holder { seen, hosts: 0 };
                self.octets += if self.holders.insert(name, holder).is_none() { octets } else { 0 };
            }
        }
    }

    /// Takes back a record that was kept.
    pub fn restore_record(&mut self, owner: Name, value: Value, span: Span) {
        self.insert_record(owner, value, span);
    }

    /// Notes that a name was resolved, which `holder` holds. False where its domain has too many
    /// names already, so that nothing of it is to be noted.
    pub fn see_name(&mut self, name: NameRef<'_>, holder: NameRef<'_>, at: Timestamp) -> bool {
        let held = match self.holders.get_mut(holder.key()) {
            Some(held) => {
                held.seen.note(at);
                held
            }
            None => {
                let holder = holder.to_owned();
                self.octets += name_octets(&holder);
                let new = Holder { seen: Seen::at(at), hosts: 0 };
                self.holders.entry(holder).or_insert(new)
            }
        };
        self.changed_names.insert((NameKind::Holder, holder.to_owned()));
        match self.hosts.get_mut(name.key()) {
            Some(seen) => seen.note(at),
            None if held.hosts >= HOSTS_MAX => return false,
            None => {
                held.hosts += 1;
                let name = name.to_owned();
                self.octets += name_octets(&name);
                self.hosts.insert(name, Seen::at(at));
            }
        }
        self.changed_names.insert((NameKind::Host, name.to_owned()));
        true
    }

    /// Notes that a client asked for a name. What was never resolved is not noted.
    pub fn see_query(
        &mut self,
        name: NameRef<'_>,
        holder: NameRef<'_>,
        at: Timestamp,
        client: ClientMark,
    ) {
        let Some(held) = self.holders.get_mut(holder.key()) else { return };
        held.seen.note_query(at, client);
        self.changed_names.insert((NameKind::Holder, holder.to_owned()));
        if let Some(seen) = self.hosts.get_mut(name.key()) {
            seen.note_query(at, client);
            self.changed_names.insert((NameKind::Host, name.to_owned()));
        }
    }

    /// Notes that a client asked for a name and policy kept it from them.
    pub fn see_kept(
        &mut self,
        name: NameRef<'_>,
        holder: NameRef<'_>,
        at: Timestamp,
        client: ClientMark,
    ) {
        let known = self.kept.contains_key(name.key());
        let below = self.kept.range::<[u8], _>((Bound::Included(holder.key()), Bound::Unbounded));
        let below = below.take_while(|(n, _)| n.as_ref().is_at_or_below(holder));
        let name = match !known && below.take(KEPT_MAX).count() == KEPT_MAX {
            true => holder.to_owned(),
            false => name.to_owned(),
        };
        let octets = name_octets(&name);
        let seen = self.kept.entry(name.clone()).or_insert_with(|| {
            self.octets += octets;
            Seen::at(at)
        });
        seen.note_query(at, client);
        self.changed_names.insert((NameKind::Kept, name));
    }

    /// Whether clients asked, since a time, for a name or something below it: what was resolved for
    /// them and what policy kept from them.
    pub fn was_asked(&self, name: NameRef<'_>, since: Timestamp) -> bool {
        let any = |names: &BTreeMap<Name, Seen>| {
            let from = (Bound::Included(name.key()), Bound::Unbounded);
            let below = names.range::<[u8], _>(from);
            let mut below = below.take_while(|(n, _)| n.as_ref().is_at_or_below(name));
            below.any(|(_, seen)| seen.last_at >= since)
        };
        any(&self.kept) || any(&self.hosts)
    }

    /// Notes a record.
    pub fn see_record(&mut self, owner: &Name, value: Value, at: Timestamp) {
        let key = (owner.clone(), value);
        match self.records.get_mut(&key) {
            Some(span) => {
                span.first_at = span.first_at.min(at);
                span.last_at = span.last_at.max(at);
                span.count = span.count.saturating_add(1);
            }
            None => {
                self.make_room(owner);
                let span = Span { first_at: at, last_at: at, count: 1 };
                self.insert_record(key.0.clone(), key.1.clone(), span);
            }
        }
        self.changed_records.insert(key);
    }

    /// Lets the value of a name go that was not seen for longest, where there are too many.
    fn make_room(&mut self, owner: &Name) {
        let values = || self.values(owner.as_ref());
        if values().count() < VALUES_MAX {
            return;
        }
        let oldest = values().min_by_key(|(_, span)| span.last_at).map(|(value, _)| value.clone());
        if let Some(value) = oldest {
            self.remove_record(&(owner.clone(), value));
        }
    }

    fn insert_record(&mut self, owner: Name, value: Value, span: Span) {
        let octets = record_octets(&owner, &value);
        self.owners.insert((value.clone(), owner.clone()));
        if self.records.insert((owner, value), span).is_none() {
            self.octets += octets;
        }
    }

    fn remove_record(&mut self, key: &(Name, Value)) {
        if self.records.remove(key).is_some() {
            self.octets -= record_octets(&key.0, &key.1);
            self.owners.remove(&(key.1.clone(), key.0.clone()));
            self.changed_records.insert(key.clone());
        }
    }

    /// Forgets what is too old, and the oldest of what is too much. `holder_of` says who holds a
    /// name.
    pub fn tidy(&mut self, now: Timestamp, holder_of: impl Fn(NameRef<'_>) -> Option<Name>) {
        let oldest = Timestamp(now.0.saturating_sub(self.limits.age_seconds_max));
        self.forget_before(oldest, &holder_of);
        while self.octets > self.limits.size_octets_max {
            let mut times: Vec<Timestamp> = self.hosts.values().map(|seen| seen.last_at).collect();
            times.extend(self.kept.values().map(|seen| seen.last_at));
            times.extend(self.holders.values().map(|holder| holder.seen.last_at));
            times.extend(self.records.values().map(|span| span.last_at));
            if times.is_empty() {
                return;
            }
            let at = times.len() / FORGET_PARTS;
            let (_, oldest, _) = times.select_nth_unstable(at);
            let before = Timestamp(oldest.0.saturating_add(1));
            self.forget_before(before, &holder_of);
        }
    }

    fn forget_before(&mut self, time: Timestamp, holder_of: &impl Fn(NameRef<'_>) -> Option<Name>) {
        let old = self.records.iter().filter(|(_, span)| span.last_at < time);
        let old: Vec<(Name, Value)> = old.map(|(key, _)| key.clone()).collect();
        old.iter().for_each(|key| self.remove_record(key));
        let old = self.hosts.iter().filter(|(_, seen)| seen.last_at < time);
        let old: Vec<Name> = old.map(|(name, _)| name.clone()).collect();
        for name in old {
            self.hosts.remove(&name);
            self.octets -= name_octets(&name);
            let holder = holder_of(name.as_ref()).and_then(|h| self.holders.get_mut(&h));
            if let Some(holder) = holder {
                holder.hosts = holder.hosts.saturating_sub(1);
            }
            self.changed_names.insert((NameKind::Host, name));
        }
        let old = self.kept.iter().filter(|(_, seen)| seen.last_at < time);
        let old: Vec<Name> = old.map(|(name, _)| name.clone()).collect();
        for name in old {
            self.kept.remove(&name);
            self.octets -= name_octets(&name);
            self.changed_names.insert((NameKind::Kept, name));
        }
        let old = self.holders.iter().filter(|(_, holder)| holder.seen.last_at < time);
        let old: Vec<Name> = old.map(|(name, _)| name.clone()).collect();
        for name in old {
            self.holders.remove(&name);
            self.octets -= name_octets(&name);
            self.changed_names.insert((NameKind::Holder, name));
        }
    }

    /// What has changed since this was asked last.
    pub fn take_changes(&mut self) -> Changes {
        let names = std::mem::take(&mut self.changed_names).into_iter().map(|(kind, name)| {
            let seen = match kind {
                NameKind::Host => self.hosts.get(&name).cloned(),
                NameKind::Kept => self.kept.get(&name).cloned(),
                NameKind::Holder => self.holders.get(&name).map(|holder| holder.seen.clone()),
            };
            (kind, name, seen)
        });
        let names = names.collect();
        let records = std::mem::take(&mut self.changed_records).into_iter();
        let records = records.map(|key| {
            let span = self.records.get(&key).copied();
            (key.0, key.1, span)
        });
        Changes { names, records: records.collect() }
    }

    /// Octets that all takes, by our own account.
    pub fn size_octets(&self) -> usize {
        self.octets
    }

    /// Names and records.
    pub fn counts(&self) -> (usize, usize) {
        (self.hosts.len(), self.records.len())
    }

    /// One name.
    pub fn host(&self, name: NameRef<'_>) -> Option<&Seen> {
        self.hosts.get(name.key())
    }

    /// All that one party holds.
    pub fn holder(&self, name: NameRef<'_>) -> Option<&Seen> {
        self.holders.get(name.key()).map(|holder| &holder.seen)
    }

    /// All names, in canonical order.
    pub fn hosts(&self) -> impl Iterator<Item = (&Name, &Seen)> {
        self.hosts.iter()
    }

    /// All holders, in canonical order.
    pub fn holders(&self) -> impl Iterator<Item = (&Name, &Seen)> {
        self.holders.iter().map(|(name, holder)| (name, &holder.seen))
    }

    /// All records, in order.
    pub fn records(&self) -> impl Iterator<Item = (&Name, &Value, &Span)> {
        self.records.iter().map(|((owner, value), span)| (owner, value, span))
    }

    /// Records of a name.
    pub fn values(&self, owner: NameRef<'_>) -> impl Iterator<Item = (&Value, &Span)> {
        let owner = owner.to_owned();
        let from = (owner.clone(), FIRST_VALUE);
        self.records
            .range(from..)
            .take_while(move |((name, _), _)| *name == owner)
            .map(|((_, value), span)| (value, span))
    }

    /// Records at or below a name, those after `after` where it is given, in order.
    pub fn below(
        &self,
        name: NameRef<'_>,
        after: Option<(Name, Value)>,
    ) -> impl Iterator<Item = (&Name, &Value, &Span)> {
        let name = name.to_owned();
        let from = match after {
            Some(key) => Bound::Excluded(key),
            None => Bound::Included((name.clone(), FIRST_VALUE)),
        };
        self.records
            .range((from, Bound::Unbounded))
            .take_while(move |((owner, _), _)| owner.as_ref().is_at_or_below(name.as_ref()))
            .map(|((owner, value), span)| (owner, value, span))
    }

    /// Names whose records say this.
    pub fn owners_of(&self, value: &Value) -> impl Iterator<Item = (&Name, &Span)> {
        let value = value.clone();
        self.owners
            .range((value.clone(), Name::root())..)
            .take_while(move |(said, _)| *said == value)
            .filter_map(|(value, owner)| {
                Some((owner, self.records.get(&(owner.clone(), value.clone()))?))
            })
    }
}

fn name_octets(name: &Name) -> usize {
    name.as_ref().key().len() + NAME_OVERHEAD
}

fn record_octets(owner: &Name, value: &Value) -> usize {
    2 * (owner.as_ref().key().len() + value.octets()) + RECORD_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { size_octets_max: 100_000, age_seconds_max: 1000 };

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    fn address(last: u32) -> Value {
        Value::Address(IpAddr::from((0x0a00_0000 + last).to_be_bytes()))
    }

    fn two_labels(name: NameRef<'_>) -> Option<Name> {
        Some(name.top(2).to_owned())
    }

    fn see(table: &mut Table, host: &str, value: Value, at: u32) {
        let host = name(host);
        let holder = two_labels(host.as_ref()).unwrap();
        if table.see_name(host.as_ref(), holder.as_ref(), Timestamp(at)) {
            table.see_record(&host, value, Timestamp(at));
        }
    }

    #[test]
    fn a_record_is_found_by_name_and_by_address_with_its_time() {
        let mut table = Table::new(LIMITS, Timestamp(1));
        see(&mut table, "www.a.com", address(1), 10);
        see(&mut table, "www.a.com", address(1), 20);
        see(&mut table, "b.net", address(1), 15);
        see(&mut table, "b.net", Value::Alias(name("www.a.com")), 16);
        let span = Span { first_at: Timestamp(10), last_at: Timestamp(20), count: 2 };
        let www = name("www.a.com");
        assert_eq!(table.values(www.as_ref()).collect::<Vec<_>>(), [(&address(1), &span)]);
        let owner = |(name, _): (&Name, &Span)| name.to_string();
        let there: Vec<String> = table.owners_of(&address(1)).map(owner).collect();
        assert_eq!(there, ["www.a.com", "b.net"]);
        let alias = Value::Alias(www.clone());
        assert_eq!(table.owners_of(&alias).map(owner).collect::<Vec<_>>(), ["b.net"]);
        let below = |text: &str, after| {
            table.below(name(text).as_ref(), after).map(|(n, v, _)| format!("{n} {v}")).collect()
        };
        let all: Vec<String> = below("a.com", None);
        assert_eq!(all, ["www.a.com 10.0.0.1"]);
        let rest: Vec<String> = below("a.com", Some((www, address(1))));
        assert!(rest.is_empty());
        assert_eq!(table.counts(), (2, 3));
    }

    #[test]
    fn one_domain_cannot_fill_the_table_nor_one_name_its_records() {
        let mut table = Table::new(LIMITS, Timestamp(1));
        for n in 0..2 * HOSTS_MAX {
            see(&mut table, &format!("h{n}.a.com"), address(n), 10);
        }
        assert_eq!(table.counts().0, HOSTS_MAX as usize);
        for n in 0..100 {
            see(&mut table, "b.net", address(n), 100 + n);
        }
        let kept: Vec<&Value> = table.values(name("b.net").as_ref()).map(|(v, _)| v).collect();
        assert_eq!(kept.len(), VALUES_MAX);
        assert!(kept.contains(&&address(99)) && !kept.contains(&&address(0)));
    }

    #[test]
    fn what_was_kept_from_clients_is_counted_and_bounded() {
        let mut table = Table::new(LIMITS, Timestamp(1));
        let keep = |table: &mut Table, text: &str, at| {
            let host = name(text);
            table.see_kept(host.as_ref(), host.as_ref().top(2), Timestamp(at), ClientMark(1));
        };
        keep(&mut table, "x.bad.com", 10);
        assert!(table.was_asked(name("bad.com").as_ref(), Timestamp(10)));
        assert!(!table.was_asked(name("bad.com").as_ref(), Timestamp(11)));
        assert!(!table.was_asked(name("y.bad.com").as_ref(), Timestamp(0)));
        (0..1000).for_each(|n| keep(&mut table, &format!("r{n}.bad.com"), 20));
        assert_eq!(table.kept.len(), KEPT_MAX + 1);
        table.tidy(Timestamp(5000), two_labels);
        assert_eq!((table.kept.len(), table.size_octets()), (0, 0));
    }

    #[test]
    fn what_is_old_or_too_much_is_forgotten_and_said_as_changed() {
        let mut table = Table::new(LIMITS, Timestamp(1));
        see(&mut table, "old.com", address(1), 10);
        see(&mut table, "new.com", address(2), 900);
        table.take_changes();
        table.tidy(Timestamp(1500), two_labels);
        let gone = table.take_changes();
        let all = |row: &NameRow| row.1 == name("old.com") && row.2.is_none();
        assert_eq!((gone.names.len(), gone.records.len()), (2, 1));
        assert!(gone.names.iter().all(all));
        for n in 0..1000 {
            see(&mut table, &format!("d{n}.com"), address(n), 1000 + n);
        }
        assert!(table.size_octets() > LIMITS.size_octets_max);
        table.tidy(Timestamp(1999), two_labels);
        assert!(table.size_octets() <= LIMITS.size_octets_max);
        assert!(table.host(name("d999.com").as_ref()).is_some());
        assert!(table.host(name("d0.com").as_ref()).is_none());
        let rest = Table { octets: 0, ..table };
        let names = rest.hosts.keys().chain(rest.holders.keys()).map(name_octets);
        let records = rest.records.keys().map(|(owner, value)| record_octets(owner, value));
        assert!(names.chain(records).sum::<usize>() <= LIMITS.size_octets_max);
        assert_eq!(rest.records.len(), rest.owners.len());
    }

    #[test]
    fn what_was_kept_comes_back_as_it_was() {
        let mut table = Table::new(LIMITS, Timestamp(1));
        see(&mut table, "www.a.com", address(1), 10);
        table.see_query(
            name("www.a.com").as_ref(),
            name("a.com").as_ref(),
            Timestamp(11),
            ClientMark(4),
        );
        let mut back = Table::new(LIMITS, Timestamp(1));
        let Changes { names, records } = table.take_changes();
        let mut names: Vec<NameRow> = names;
        names.sort_by_key(|(kind, ..)| std::cmp::Reverse(*kind));
        for (kind, name, seen) in names {
            let holder = two_labels(name.as_ref());
            let Seen { first_at, last_at, days, clients, queries, .. } = seen.unwrap();
            let seen = Seen::restored(first_at, last_at, days, clients, queries);
            back.restore_name(kind, name, seen, holder.as_ref());
        }
        for (owner, value, span) in records {
            back.restore_record(owner, value, span.unwrap());
        }
        assert_eq!(back.size_octets(), table.size_octets());
        assert_eq!(back.counts(), table.counts());
        let host = back.host(name("www.a.com").as_ref()).unwrap();
        assert_eq!((host.clients, host.queries), (1, [1, 0]));
    }
}

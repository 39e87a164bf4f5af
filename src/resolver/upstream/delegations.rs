//! Who serves which zone, and which name is an alias: what the upstream servers said in passing.
//!
//! A side table of three bounded maps, filled by the tap and by the nameserver walk, read when a
//! resolution is put together. The recursor knows all this and does not tell. Time is an
//! argument, in milliseconds.
//!
//! Nothing here is believed beyond the question it answered: see [`tap`](super::tap).

use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use crate::model::{Name, NameRef, Nameserver};

use super::convert::Item;

/// Servers kept for a zone; 13 is what fits a referral of old, and few zones have more.
pub(super) const SERVERS_MAX: usize = 32;
/// Addresses kept for a server of a zone.
const ADDRESSES_MAX: usize = 16;
/// Entries live at least this long after they were seen: the recursor, which touches a server set
/// until its time to live ends, must not outlive what we know about it.
const LIFETIME_SECONDS_MIN: u32 = 3600;
/// And at most this long: the time to live of the delegations in most top-level zones.
const LIFETIME_SECONDS_MAX: u32 = 172_800;
/// An alias lives a little longer than the cached answer that made it.
const ALIAS_GRACE_SECONDS: u32 = 60;

/// Where a server set was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// In a referral: what the parent zone says.
    Parent = 0,
    /// In an answer: what the zone itself says.
    Child = 1,
}

/// The side table.
#[derive(Debug)]
pub(super) struct Delegations {
    root: Arc<[Nameserver]>,
    cuts: Cache<Name, Arc<Cut>, Octets>,
    hosts: Cache<Name, Arc<Host>, Octets>,
    aliases: Cache<Name, Arc<Alias>, Octets>,
}

/// A set of servers as one side named it. No server at all: there is no zone cut here.
#[derive(Debug, Clone)]
struct ServerSet {
    servers: Vec<(Name, Vec<IpAddr>)>,
    expires: u64,
}

#[derive(Debug)]
struct Cut {
    sides: [Option<ServerSet>; 2],
    /// The last joined form, so that answers made from the same facts share them.
    joined: Mutex<Option<Arc<[Nameserver]>>>,
}

/// A server's own addresses: IPv4 and IPv6, each with its end.
#[derive(Debug, Clone, Default)]
struct Host {
    families: [Option<(Vec<IpAddr>, u64)>; 2],
}

/// The CNAME at a name.
#[derive(Debug, Clone)]
pub(super) struct Alias {
    pub item: Item,
    pub target: Name,
    seen: u64,
    expires: u64,
}

impl Alias {
    /// The record with what is left of its time to live.
    pub fn aged(&self, now: u64) -> Item {
        let mut item = self.item.clone();
        let age = u32::try_from(now.saturating_sub(self.seen) / 1000).unwrap_or(u32::MAX);
        item.record.ttl = item.record.ttl.saturating_sub(age);
        item
    }
}

impl Delegations {
    /// An empty table that holds about `size_bytes_max`.
    pub fn new(size_bytes_max: u64, root: Arc<[Nameserver]>) -> Self {
        // Half for the cuts, a quarter each for the rest; an entry takes some 250 octets.
        let map = |octets: u64| (usize::try_from(octets / 250).unwrap_or(usize::MAX), octets);
        let (cut_items, cut_octets) = map(size_bytes_max / 2);
        let (items, octets) = map(size_bytes_max / 4);
        Self {
            root,
            cuts: Cache::with_weighter(cut_items, cut_octets, Octets),
            hosts: Cache::with_weighter(items, octets, Octets),
            aliases: Cache::with_weighter(items, octets, Octets),
        }
    }

    /// Forgets everything but the root servers.
    pub fn clear(&self) {
        self.cuts.clear();
        self.hosts.clear();
        self.aliases.clear();
    }

    /// Octets in use, by our own account.
    pub fn size_bytes(&self) -> u64 {
        self.cuts.weight() + self.hosts.weight() + self.aliases.weight()
    }

    /// Notes who serves `zone`, with the addresses that came along. The other side's word stands
    /// beside it: a zone cannot hide the servers its parent names.
    pub fn note_servers(
        &self,
        zone: &Name,
        side: Side,
        mut servers: Vec<(Name, Vec<IpAddr>)>,
        ttl_seconds: u32,
        now: u64,
    ) {
        servers.sort_unstable();
        servers.truncate(SERVERS_MAX);
        for (name, addresses) in &mut servers {
            addresses.truncate(ADDRESSES_MAX);
            if !self.hosts.contains_key(name.as_ref().key()) {
                self.hosts.insert(name.clone(), Arc::new(Host::default()));
            }
        }
        let old = self.cuts.get(zone.as_ref().key());
        let mut sides = old.as_ref().map(|cut| cut.sides.clone()).unwrap_or_default();
        sides[side as usize] = Some(ServerSet { servers, expires: lifetime(ttl_seconds, now) });
        let joined = Mutex::new(old.and_then(|cut| cut.joined.lock().clone()));
        self.cuts.insert(zone.clone(), Arc::new(Cut { sides, joined }));
    }

    /// Notes the addresses of one family of a host, if it is known as a nameserver.
    pub fn note_addresses(
        &self,
        host: &Name,
        is_v6: bool,
        mut addresses: Vec<IpAddr>,
        ttl_seconds: u32,
        now: u64,
    ) {
        let Some(old) = self.hosts.get(host.as_ref().key()) else { return };
        addresses.truncate(ADDRESSES_MAX);
        let mut new = Host::clone(&old);
        new.families[usize::from(is_v6)] = Some((addresses, lifetime(ttl_seconds, now)));
        self.hosts.insert(host.clone(), Arc::new(new));
    }

    /// Notes a CNAME.
    pub fn note_alias(&self, item: Item, target: Name, now: u64) {
        let kept = item.record.ttl.min(LIFETIME_SECONDS_MAX) + ALIAS_GRACE_SECONDS;
        let expires = now + u64::from(kept) * 1000;
        let owner = item.owner.clone();
        self.aliases.insert(owner, Arc::new(Alias { item, target, seen: now, expires }));
    }

    /// Notes that `name`, which may have been an alias, has data of its own or does not exist.
    pub fn note_no_alias(&self, name: &Name) {
        self.aliases.remove(name.as_ref().key());
    }

    /// The alias at `name`.
    pub fn alias(&self, name: &Name, now: u64) -> Option<Arc<Alias>> {
        self.aliases.get(name.as_ref().key()).filter(|alias| now < alias.expires)
    }

    /// Whether it is known if `zone` is a zone cut.
    pub fn knows(&self, zone: NameRef<'_>, now: u64) -> bool {
        let known = |cut: Arc<Cut>| cut.sides.iter().flatten().any(|set| now < set.expires);
        zone.is_root() || self.cuts.get(zone.key()).is_some_and(known)
    }

    /// Whether addresses of `host` are known.
    pub fn knows_addresses(&self, host: &Name, now: u64) -> bool {
        !self.addresses(host, now).is_empty()
    }

    /// The servers of the zone cuts on the way to `name`, from the root down.
    pub fn path(&self, name: &Name, now: u64) -> Vec<Arc<[Nameserver]>> {
        let mut path: Vec<Arc<[Nameserver]>> =
            name.as_ref().ancestors().filter_map(|zone| self.cut(zone, now)).collect();
        path.reverse();
        path
    }

    fn cut(&self, zone: NameRef<'_>, now: u64) -> Option<Arc<[Nameserver]>> {
        if zone.is_root() {
            return Some(self.root.clone());
        }
        let cut = self.cuts.get(zone.key())?;
        let servers = self.join(zone, &cut, now);
        if servers.is_empty() {
            return None;
        }
        let mut joined = cut.joined.lock();
        match &*joined {
            Some(last) if **last == *servers => {}
            _ => *joined = Some(servers.into()),
        }
        joined.clone()
    }

    /// Both sides' servers with all addresses known for them.
    fn join(&self, zone: NameRef<'_>, cut: &Cut, now: u64) -> Vec<Nameserver> {
        let current = cut.sides.iter().flatten().filter(|set| now < set.expires);
        let mut named: Vec<&(Name, Vec<IpAddr>)> = current.flat_map(|set| &set.servers).collect();
        named.sort_unstable();
        named
            .chunk_by(|a, b| a.0 == b.0)
            .map(|same| {
                let name = same[0].0.clone();
                let mut addresses: Vec<IpAddr> = same.iter().flat_map(|s| s.1.clone()).collect();
                addresses.extend(self.addresses(&name, now));
                addresses.sort_unstable();
                addresses.dedup();
                Nameserver { zone: zone.to_owned(), name, addresses }
            })
            .collect()
    }

    fn addresses(&self, host: &Name, now: u64) -> Vec<IpAddr> {
        let Some(host) = self.hosts.get(host.as_ref().key()) else { return Vec::new() };
        let current = host.families.iter().flatten().filter(|(_, expires)| now < *expires);
        current.flat_map(|(addresses, _)| addresses.clone()).collect()
    }

    /// The servers that `zone` is known to have, for the walk to find their addresses.
    pub fn servers(&self, zone: NameRef<'_>, now: u64) -> Vec<Name> {
        let Some(cut) = self.cuts.get(zone.key()) else { return Vec::new() };
        self.join(zone, &cut, now).into_iter().map(|server| server.name).collect()
    }
}

fn lifetime(ttl_seconds: u32, now: u64) -> u64 {
    now + u64::from(ttl_seconds.clamp(LIFETIME_SECONDS_MIN, LIFETIME_SECONDS_MAX)) * 1000
}

/// Weighs entries by the memory they take, roughly and rather too high.
#[derive(Debug, Clone)]
struct Octets;

/// Struct, allocations and the map's own share of an entry.
const ENTRY_OCTETS: u64 = 160;

fn octets_of(name: &Name) -> u64 {
    name.as_ref().key().len() as u64
}

impl Weighter<Name, Arc<Cut>> for Octets {
    fn weight(&self, name: &Name, cut: &Arc<Cut>) -> u64 {
        let servers = cut.sides.iter().flatten().flat_map(|set| &set.servers);
        // Twice: the joined form repeats them.
        let of = |(name, addresses): &(Name, Vec<IpAddr>)| {
            2 * (octets_of(name) + 17 * addresses.len() as u64 + 56)
        };
        ENTRY_OCTETS + octets_of(name) + servers.map(of).sum::<u64>()
    }
}

impl Weighter<Name, Arc<Host>> for Octets {
    fn weight(&self, name: &Name, host: &Arc<Host>) -> u64 {
        let addresses = host.families.iter().flatten().map(|(of, _)| of.len() as u64);
        ENTRY_OCTETS + octets_of(name) + 17 * addresses.sum::<u64>()
    }
}

impl Weighter<Name, Arc<Alias>> for Octets {
    fn weight(&self, name: &Name, alias: &Arc<Alias>) -> u64 {
        let record = &alias.item.record;
        let wire = (record.owner.len() + record.rdata.len()) as u64;
        ENTRY_OCTETS + 2 * octets_of(name) + octets_of(&alias.target) + wire
    }
}

#[cfg(test)]
mod tests {
    use super::super::roots;
    use super::super::testing::{items, parsed};
    use super::*;

    const NOW: u64 = 1_000_000;

    fn table() -> Delegations {
        Delegations::new(1 << 20, roots::servers(None))
    }

    fn server(name: &str, addresses: &[&str]) -> (Name, Vec<IpAddr>) {
        (parsed(name), addresses.iter().map(|a| a.parse().unwrap()).collect())
    }

    fn shown(table: &Delegations, name: &str, now: u64) -> Vec<String> {
        let of = |cut: &Arc<[Nameserver]>| {
            let server = |s: &Nameserver| format!("{} {:?}", s.name, s.addresses);
            let servers: Vec<String> = cut.iter().map(server).collect();
            format!("{}: {}", cut[0].zone, servers.join(", "))
        };
        table.path(&parsed(name), now).iter().skip(1).map(of).collect()
    }

    #[test]
    fn a_path_joins_both_sides_and_addresses_learnt_later() {
        let table = table();
        let (zone, host) = (parsed("example.com"), parsed("ns.other.net"));
        let parent = vec![server("ns1.example.com", &["192.0.2.1"]), server("ns.other.net", &[])];
        table.note_servers(&zone, Side::Parent, parent, 300, NOW);
        let child = vec![server("ns1.example.com", &["192.0.2.9"])];
        table.note_servers(&zone, Side::Child, child, 300, NOW);
        table.note_addresses(&host, false, vec!["192.0.2.3".parse().unwrap()], 60, NOW);
        table.note_addresses(&host, true, vec!["2001:db8::3".parse().unwrap()], 60, NOW);
        assert_eq!(
            shown(&table, "www.example.com", NOW),
            ["example.com: ns1.example.com [192.0.2.1, 192.0.2.9], \
              ns.other.net [192.0.2.3, 2001:db8::3]"]
        );
        assert!(shown(&table, "example.org", NOW).is_empty());
        assert!(shown(&table, "notexample.com", NOW).is_empty());
    }

    #[test]
    fn answers_made_from_the_same_facts_share_them() {
        let table = table();
        let set = || vec![server("ns1.example.com", &["192.0.2.1"])];
        table.note_servers(&parsed("example.com"), Side::Parent, set(), 300, NOW);
        let first = table.path(&parsed("a.example.com"), NOW);
        table.note_servers(&parsed("example.com"), Side::Parent, set(), 300, NOW + 5);
        let second = table.path(&parsed("b.example.com"), NOW + 9);
        assert!(Arc::ptr_eq(&first[0], &second[0]) && Arc::ptr_eq(&first[1], &second[1]));
    }

    #[test]
    fn entries_outlive_a_short_time_to_live_but_not_forever() {
        let table = table();
        let set = vec![server("ns1.example.com", &[])];
        table.note_servers(&parsed("example.com"), Side::Parent, set, 1, NOW);
        assert_eq!(shown(&table, "example.com", NOW + 3_599_999).len(), 1);
        assert!(table.knows(parsed("example.com").as_ref(), NOW + 3_599_999));
        assert_eq!(shown(&table, "example.com", NOW + 3_600_000).len(), 0);
        assert!(!table.knows(parsed("example.com").as_ref(), NOW + 3_600_000));
    }

    #[test]
    fn addresses_of_hosts_that_serve_nothing_are_not_kept() {
        let table = table();
        table.note_addresses(
            &parsed("www.test"),
            false,
            vec!["192.0.2.1".parse().unwrap()],
            9,
            NOW,
        );
        assert!(!table.knows_addresses(&parsed("www.test"), NOW));
    }

    #[test]
    fn an_alias_ages_and_goes() {
        let table = table();
        let item = items("a.test. 30 IN CNAME b.test.").remove(0);
        table.note_alias(item, parsed("b.test"), NOW);
        let alias = table.alias(&parsed("a.test"), NOW + 20_000).unwrap();
        assert_eq!(
            (alias.aged(NOW + 20_000).record.ttl, alias.aged(NOW + 99_000).record.ttl),
            (10, 0)
        );
        assert!(table.alias(&parsed("a.test"), NOW + 90_000).is_none());
        table.note_no_alias(&parsed("a.test"));
        assert!(table.alias(&parsed("a.test"), NOW).is_none());
    }

    #[test]
    fn the_table_keeps_its_size_whatever_it_is_told() {
        let table = Delegations::new(2_000_000, roots::servers(None));
        for n in 0..5_000 {
            let zone = parsed(&format!("z{n}.test"));
            let many = (0..60).map(|s| server(&format!("ns{s}.z{n}.test"), &["192.0.2.1"; 40]));
            table.note_servers(&zone, Side::Parent, many.collect(), 300, NOW);
            let alias = items(&format!("a{n}.test. 30 IN CNAME b.test.")).remove(0);
            table.note_alias(alias, parsed("b.test"), NOW);
        }
        assert!(table.size_bytes() <= 2_000_000 && table.size_bytes() > 1_000_000);
        assert!(
            table
                .cuts
                .iter()
                .all(|(_, c)| c.sides[0].as_ref().unwrap().servers.len() == SERVERS_MAX)
        );
    }
}

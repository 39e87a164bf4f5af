//! What scores need of a table at one moment.

use std::collections::HashMap;
use std::net::IpAddr;

use super::rates::{Count, Everybody};
use super::{DAY_SECONDS, RATE_DAYS, Table, Value};
use crate::bgp::RouteTable;
use crate::model::{Indicator, Name, NameRef, Network, Timestamp};

/// Until somebody has watched for so long, a name that is seen for the first time is new to us and
/// not to the world.
const LEARNING_SECONDS: u32 = 14 * DAY_SECONDS;
/// Rates need so many domains, and so many malicious ones among them, before they say anything:
/// with five, everybody's rate is known to about half of itself.
const DOMAINS_MIN: u32 = 1_000;
/// See [`DOMAINS_MIN`].
const BAD_MIN: u32 = 5;
/// A name server with so many domains says little (SCORING 2.7).
const SERVER_LARGE: u32 = 10_000;
/// Siblings are at least so many (SCORING 2.7).
const SIBLINGS_MIN: u32 = 3;
/// Names first seen within so many days are young (SCORING 2.6 looks back on seven).
const YOUNG_SECONDS: u32 = 7 * DAY_SECONDS;
/// Shares of queries are spoken of from so many queries on (SCORING 4.4).
const QUERIES_MIN: u64 = 10_000;
/// Hosts with more than one of so many queries are kept by themselves: half of what guard G5 asks
/// about.
const BUSY_PARTS: u64 = 2_000;
/// Aliases that are followed from a name to its addresses, as a resolver does.
const ALIASES_MAX: usize = 8;
/// Names of a network that are shown.
const NAMES_SHOWN: usize = 50;

type Map<K, V> = HashMap<K, V, foldhash::fast::FixedState>;

/// What a view is made from.
pub struct Material<'m> {
    /// What was seen.
    pub table: &'m Table,
    /// The time.
    pub now: Timestamp,
    /// Who holds a name; none for what belongs to nobody in particular.
    pub holder: &'m dyn Fn(NameRef<'_>) -> Option<Name>,
    /// Whether direct evidence alone would block the holder's name (SCORING 2.7).
    pub is_bad: &'m dyn Fn(NameRef<'_>) -> bool,
    /// Whether it has a rank of one million or better.
    pub is_popular: &'m dyn Fn(NameRef<'_>) -> bool,
    /// Sinkholes and parking: what lies there says nothing of its neighbours.
    pub is_left_out: &'m dyn Fn(IpAddr) -> bool,
    /// Domains that were registered together, each with a number of its group.
    pub registered_together: &'m dyn Fn(NameRef<'_>) -> Option<u64>,
    /// Announced prefixes.
    pub routes: &'m RouteTable,
}

/// The company a name keeps, in mban as the scorer takes it, not clamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Company {
    /// Of the AS, the prefix and the address it lies on, each saying all that the ones before do.
    pub host: Option<[i32; 3]>,
    /// Of its name servers.
    pub servers: Option<i32>,
    /// They serve so many domains that they say little.
    pub servers_large: bool,
    /// Of what was registered together with it.
    pub siblings: Option<i32>,
}

/// What lives on a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Hosted {
    /// Domains.
    pub domains: u32,
    /// Those of rank 1,000,000 or better.
    pub popular: u32,
}

/// What is known of one holder.
#[derive(Debug, Clone, Copy)]
struct Known {
    first_at: Timestamp,
    local_history: bool,
    servers: Option<i32>,
    servers_large: bool,
    siblings: Option<i32>,
    queries: u32,
}

/// What was seen here, as scores need it. Immutable, and cheap to look into.
#[derive(Debug, Default)]
pub struct View {
    since: Option<Timestamp>,
    holders: Map<Name, Known>,
    hosts: Map<Name, [i32; 3]>,
    /// Addresses with the domains on them, in order.
    addresses: Vec<(IpAddr, Vec<u32>)>,
    systems: Map<u32, Hosted>,
    /// Domains in each AS, by number, in order.
    in_systems: Vec<(u32, u32)>,
    names: Vec<(Name, bool)>,
    young: Vec<Name>,
    /// Queries of the last day for hosts that make up a share that a guard asks about.
    busy_hosts: Map<Name, u32>,
    queries: u64,
}

/// What lies on the addresses, while it is counted.
struct Places {
    /// Address and number of the holder, in order and once each.
    addresses: Vec<(IpAddr, u32)>,
    /// Addresses by host.
    of_host: Vec<(Name, u32, Vec<IpAddr>)>,
}

impl View {
    /// Counts everything.
    pub fn of(material: &Material<'_>) -> Self {
        let Material { table, now, .. } = *material;
        let since = Timestamp(now.0.saturating_sub(RATE_DAYS * DAY_SECONDS));
        let mut numbers: Map<Name, u32> = Map::default();
        let mut names: Vec<(Name, bool)> = Vec::new();
        let mut bad: Vec<bool> = Vec::new();
        let mut all = Count::default();
        for (name, _) in table.holders().filter(|(_, seen)| seen.last_at >= since) {
            numbers.insert(name.clone(), names.len() as u32);
            let is_bad = (material.is_bad)(name.as_ref());
            all.add(is_bad);
            bad.push(is_bad);
            names.push((name.clone(), (material.is_popular)(name.as_ref())));
        }
        let places = Places::of(material, &numbers, since);
        let enough = all.all >= DOMAINS_MIN && all.bad >= BAD_MIN;
        let everybody = Everybody::of(all).filter(|_| enough);
        let mut view = Self {
            since: Some(table.since),
            hosts: everybody.map_or_else(Map::default, |e| places.weights(material, &bad, e)),
            addresses: places.by_address(),
            ..Self::default()
        };
        view.in_systems = places.in_systems(material);
        for (system, number) in &view.in_systems {
            let hosted = view.systems.entry(*system).or_default();
            hosted.domains += 1;
            hosted.popular += u32::from(names[*number as usize].1);
        }
        let servers = everybody.map(|e| servers(material, &numbers, &bad, since, e));
        let siblings = everybody.map(|e| siblings(material, &names, &bad, e));
        for (name, seen) in table.holders() {
            let number = numbers.get(name).copied();
            let (weight, large) = number
                .and_then(|n| servers.as_ref()?.get(&n).copied())
                .map_or((None, false), |(weight, large)| (Some(weight), large));
            let known = Known {
                first_at: seen.first_at,
                local_history: seen.is_local_history(now),
                servers: weight,
                servers_large: large,
                siblings: number.and_then(|n| siblings.as_ref()?.get(&n).copied()),
                queries: seen.queries_of_a_day(now),
            };
            view.queries += u64::from(known.queries);
            if known.first_at.age_seconds(now) < YOUNG_SECONDS && view.is_learnt(known.first_at) {
                view.young.push(name.clone());
            }
            view.holders.insert(name.clone(), known);
        }
        let busy = u64::from(u32::MAX).min(view.queries / BUSY_PARTS).max(1) as u32;
        let hosts = table.hosts().map(|(name, seen)| (name, seen.queries_of_a_day(now)));
        view.busy_hosts =
            hosts.filter(|(_, n)| *n >= busy).map(|(name, n)| (name.clone(), n)).collect();
        view.names = names;
        view
    }

    fn is_learnt(&self, first_at: Timestamp) -> bool {
        self.since.is_some_and(|since| first_at >= since.plus_seconds(LEARNING_SECONDS))
    }

    /// Since when anybody watches; none where nobody does.
    pub fn since(&self) -> Option<Timestamp> {
        self.since
    }

    /// How many domains were seen.
    pub fn len(&self) -> usize {
        self.holders.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.holders.is_empty()
    }

    /// Hours since anything of a holder was seen here first. None where that is not known: nobody
    /// asked, or nobody watched long enough before to call it new.
    pub fn first_seen_hours(&self, holder: NameRef<'_>, now: Timestamp) -> Option<u32> {
        let known = self.holders.get(holder.key())?;
        self.is_learnt(known.first_at).then(|| known.first_at.age_hours(now))
    }

    /// Whether people here have used it for long.
    pub fn local_history(&self, holder: NameRef<'_>) -> bool {
        self.holders.get(holder.key()).is_some_and(|known| known.local_history)
    }

    /// The company that a name of a holder keeps.
    pub fn company(&self, name: NameRef<'_>, holder: NameRef<'_>) -> Company {
        let host = self.hosts.get(name.key()).or_else(|| self.hosts.get(holder.key())).copied();
        match self.holders.get(holder.key()) {
            Some(known) => Company {
                host,
                servers: known.servers,
                servers_large: known.servers_large,
                siblings: known.siblings,
            },
            None => Company { host, ..Company::default() },
        }
    }

    /// The share of the last 24 hours' queries that a rule for a name and all below it would have
    /// changed, in millionths. None where there were too few queries to speak of shares.
    pub fn query_share_ppm(&self, name: NameRef<'_>, holder: NameRef<'_>) -> Option<u32> {
        if self.queries < QUERIES_MIN {
            return None;
        }
        let asked = match name == holder {
            true => self.holders.get(holder.key()).map_or(0, |known| known.queries),
            false => self.busy_hosts.get(name.key()).copied().unwrap_or(0),
        };
        Some((u64::from(asked) * 1_000_000 / self.queries) as u32)
    }

    /// About how many queries there were in the last 24 hours for names of a holder, and for all.
    pub fn queries(&self, holder: NameRef<'_>) -> (u32, u64) {
        let known = self.holders.get(holder.key());
        (known.map_or(0, |known| known.queries), self.queries)
    }

    /// Holders that were seen first within the last week, in canonical order.
    pub fn young(&self) -> &[Name] {
        &self.young
    }

    /// What lives on a network or in an AS; none where nothing was seen there.
    pub fn hosted(&self, indicator: &Indicator) -> Option<Hosted> {
        match indicator {
            Indicator::Network(network) => {
                let domains = self.domains_on(*network);
                let popular = domains.iter().filter(|n| self.names[**n as usize].1).count();
                let hosted = Hosted { domains: domains.len() as u32, popular: popular as u32 };
                (!domains.is_empty()).then_some(hosted)
            }
            Indicator::As(number) => self.systems.get(number).copied(),
            Indicator::Domain(_) => None,
        }
    }

    /// Some of the domains on a network, in canonical order.
    pub fn names_on(&self, network: Network) -> Vec<String> {
        let domains = self.domains_on(network).into_iter().take(NAMES_SHOWN);
        domains.map(|number| self.names[number as usize].0.to_string()).collect()
    }

    /// Some of the domains in an AS, in canonical order.
    pub fn names_in(&self, system: u32) -> Vec<String> {
        let from = self.in_systems.partition_point(|(number, _)| *number < system);
        let there = self.in_systems[from..].iter().take_while(|(number, _)| *number == system);
        there.take(NAMES_SHOWN).map(|(_, n)| self.names[*n as usize].0.to_string()).collect()
    }

    fn domains_on(&self, network: Network) -> Vec<u32> {
        let from = self.addresses.partition_point(|(address, _)| *address < network.address());
        let inside = self.addresses[from..].iter().take_while(|(a, _)| network.contains(*a));
        let mut domains: Vec<u32> = inside.flat_map(|(_, on)| on.iter().copied()).collect();
        domains.sort_unstable();
        domains.dedup();
        domains
    }
}

impl Places {
    fn of(material: &Material<'_>, numbers: &Map<Name, u32>, since: Timestamp) -> Self {
        let table = material.table;
        let mut addresses = Vec::new();
        let mut of_host = Vec::new();
        for (host, _) in table.hosts().filter(|(_, seen)| seen.last_at >= since) {
            let number = (material.holder)(host.as_ref()).and_then(|h| numbers.get(&h).copied());
            let Some(number) = number else { continue };
            let mut there = Vec::new();
            follow(table, host, since, ALIASES_MAX, &mut there);
            there.retain(|address| !(material.is_left_out)(*address));
            addresses.extend(there.iter().map(|address| (*address, number)));
            if !there.is_empty() {
                of_host.push((host.clone(), number, there));
            }
        }
        addresses.sort_unstable();
        addresses.dedup();
        Self { addresses, of_host }
    }

    fn by_address(&self) -> Vec<(IpAddr, Vec<u32>)> {
        let same = self.addresses.chunk_by(|a, b| a.0 == b.0);
        same.map(|on| (on[0].0, on.iter().map(|(_, number)| *number).collect())).collect()
    }

    /// AS and the domains in them, in order and once each.
    fn in_systems(&self, material: &Material<'_>) -> Vec<(u32, u32)> {
        let mut pairs: Vec<(u32, u32)> = Vec::new();
        for (address, number) in &self.addresses {
            let route = material.routes.lookup(*address);
            let origins = route.into_iter().flat_map(|route| route.origins().iter());
            pairs.extend(origins.map(|system| (system, *number)));
        }
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    /// The heaviest address of each host, each against the other domains around it.
    fn weights(
        &self,
        material: &Material<'_>,
        bad: &[bool],
        everybody: Everybody,
    ) -> Map<Name, [i32; 3]> {
        let place = |address: IpAddr| {
            let route = material.routes.lookup(address);
            let system = route.and_then(|route| route.origins().iter().next());
            (system, route.map(|route| route.network()))
        };
        let on_address = counted(self.addresses.iter().copied(), bad);
        let prefixes = self.addresses.iter().filter_map(|(a, n)| Some((place(*a).1?, *n)));
        let on_prefix = counted(prefixes, bad);
        let systems = self.addresses.iter().filter_map(|(a, n)| Some((place(*a).0?, *n)));
        let in_system = counted(systems, bad);
        let mut weights = Map::default();
        for (host, number, addresses) in &self.of_host {
            let is_bad = bad[*number as usize];
            let others =
                |count: Option<&Count>| count.copied().unwrap_or_default().without_one(is_bad);
            let of = |address: &IpAddr| {
                let (system, prefix) = place(*address);
                // Where no route is known, the wider place is everybody.
                let w = everybody.host(
                    system.map_or_else(Count::default, |s| others(in_system.get(&s))),
                    prefix.map_or_else(Count::default, |p| others(on_prefix.get(&p))),
                    others(on_address.get(address)),
                );
                [w.system, w.prefix, w.address]
            };
            if let Some(heaviest) = addresses.iter().map(of).max_by_key(|w| w[2]) {
                weights.insert(host.clone(), heaviest);
            }
        }
        weights
    }
}

/// Addresses of a name, through its aliases.
fn follow(table: &Table, host: &Name, since: Timestamp, steps: usize, found: &mut Vec<IpAddr>) {
    for (value, _) in table.values(host.as_ref()).filter(|(_, span)| span.last_at >= since) {
        match value {
            Value::Address(address) => found.push(*address),
            Value::Alias(target) if steps > 0 => follow(table, target, since, steps - 1, found),
            Value::Alias(_) | Value::Server(_) => {}
        }
    }
}

/// How many different holders there are for each key.
fn counted<K: Copy + Ord + std::hash::Hash>(
    pairs: impl Iterator<Item = (K, u32)>,
    bad: &[bool],
) -> Map<K, Count> {
    let mut pairs: Vec<(K, u32)> = pairs.collect();
    pairs.sort_unstable();
    pairs.dedup();
    let mut counts: Map<K, Count> = Map::default();
    for (key, number) in pairs {
        counts.entry(key).or_default().add(bad[number as usize]);
    }
    counts
}

/// What the name servers of each holder say, by the registrable domain of the servers; the
/// heaviest where there are several.
fn servers(
    material: &Material<'_>,
    numbers: &Map<Name, u32>,
    bad: &[bool],
    since: Timestamp,
    everybody: Everybody,
) -> Map<u32, (i32, bool)> {
    let mut operators: Map<Name, u32> = Map::default();
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for (zone, value, _) in material.table.records().filter(|(.., s)| s.last_at >= since) {
        let Value::Server(server) = value else { continue };
        let holder = (material.holder)(zone.as_ref()).and_then(|h| numbers.get(&h).copied());
        let operator = (material.holder)(server.as_ref());
        let (Some(holder), Some(operator)) = (holder, operator) else { continue };
        let next = operators.len() as u32;
        pairs.push((*operators.entry(operator).or_insert(next), holder));
    }
    pairs.sort_unstable();
    pairs.dedup();
    let counts = counted(pairs.iter().copied(), bad);
    let mut said: Map<u32, (i32, bool)> = Map::default();
    for (operator, holder) in pairs {
        let count = counts[&operator];
        let weight = everybody.server(count.without_one(bad[holder as usize]));
        let new = (weight, count.all >= SERVER_LARGE);
        let held = said.entry(holder).or_insert(new);
        *held = (*held).max(new);
    }
    said
}

/// What domains say that were registered together.
fn siblings(
    material: &Material<'_>,
    names: &[(Name, bool)],
    bad: &[bool],
    everybody: Everybody,
) -> Map<u32, i32> {
    let group = |(number, (name, _)): (usize, &(Name, bool))| {
        Some(((material.registered_together)(name.as_ref())?, number as u32))
    };
    let pairs: Vec<(u64, u32)> = names.iter().enumerate().filter_map(group).collect();
    let counts = counted(pairs.iter().copied(), bad);
    let said = pairs.into_iter().filter(|(group, _)| counts[group].all >= SIBLINGS_MIN);
    said.map(|(group, number)| {
        let others = counts[&group].without_one(bad[number as usize]);
        (number, everybody.siblings(others))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::Limits;
    use super::*;
    use crate::bgp::RouteTableBuilder;

    const START: Timestamp = Timestamp(100 * DAY_SECONDS);
    const NOW: Timestamp = Timestamp(130 * DAY_SECONDS);

    fn name(text: &str) -> Name {
        Name::from_host(text).unwrap()
    }

    fn two_labels(name: NameRef<'_>) -> Option<Name> {
        (name.label_count() >= 2).then(|| name.top(2).to_owned())
    }

    fn see(table: &mut Table, host: &str, value: Value, at: Timestamp) {
        let host = name(host);
        let holder = two_labels(host.as_ref()).unwrap();
        assert!(table.see_name(host.as_ref(), holder.as_ref(), at));
        table.see_record(&host, value, at);
    }

    fn at(text: &str) -> Value {
        Value::Address(text.parse().unwrap())
    }

    /// A thousand domains on ten addresses of a clean AS, and ten on one address of another, of
    /// which six are bad.
    fn world() -> Table {
        let limits = Limits { size_octets_max: 64 << 20, age_seconds_max: 90 * DAY_SECONDS };
        let mut table = Table::new(limits, START);
        for n in 0..1_000 {
            let host = format!("clean{n}.com");
            see(&mut table, &host, at(&format!("8.8.0.{}", n % 10)), START);
            see(&mut table, &host, Value::Server(name("ns1.good-dns.net")), NOW);
        }
        for n in 0..10 {
            let host = format!("w{n}.top");
            see(&mut table, &host, at("9.9.0.1"), NOW);
            see(&mut table, &host, Value::Server(name("ns1.bad-dns.net")), NOW);
        }
        see(&mut table, "www.alias.org", Value::Alias(name("w0.top")), NOW);
        table
    }

    fn view(table: &Table) -> View {
        let mut routes = RouteTableBuilder::default();
        routes.add(Network::parse_strict("8.8.0.0/16").unwrap(), &[100]);
        routes.add(Network::parse_strict("9.9.0.0/16").unwrap(), &[200]);
        let bad = |name: NameRef<'_>| {
            let text = name.to_owned().to_string();
            text.strip_prefix('w').and_then(|t| t.strip_suffix(".top")).is_some_and(|n| n < "6")
        };
        View::of(&Material {
            table,
            now: NOW,
            holder: &two_labels,
            is_bad: &bad,
            is_popular: &|name| name == self::name("clean7.com").as_ref(),
            is_left_out: &|_| false,
            registered_together: &|name| {
                (name.to_owned().to_string().ends_with(".top")).then_some(7)
            },
            routes: &routes.finish(),
        })
    }

    #[test]
    fn bad_company_weighs_and_good_company_speaks_for_a_name() {
        let view = view(&world());
        let of = |text: &str| view.company(name(text).as_ref(), name(text).as_ref());
        let bad = of("w9.top");
        assert!(bad.host.unwrap()[2] > 1200, "{bad:?}");
        assert!(bad.servers.unwrap() > 1000 && bad.siblings.unwrap() > 1000, "{bad:?}");
        let clean = of("clean3.com");
        assert!(clean.host.unwrap()[2] < -400, "{clean:?}");
        assert_eq!((clean.siblings, clean.servers_large), (None, false));
        let aliased = view.company(name("www.alias.org").as_ref(), name("alias.org").as_ref());
        assert!(aliased.host.unwrap()[2] > 1200, "{aliased:?}");
        assert_eq!(of("unknown.net"), Company::default());
    }

    #[test]
    fn a_name_is_no_witness_against_itself() {
        let view = view(&world());
        // Of ten there, six are bad: a bad one has five bad ones around it, another has six.
        let of =
            |text: &str| view.company(name(text).as_ref(), name(text).as_ref()).host.unwrap()[2];
        assert!(of("w9.top") > of("w0.top"), "{} {}", of("w9.top"), of("w0.top"));
    }

    #[test]
    fn few_domains_make_no_rates() {
        let limits = Limits { size_octets_max: 64 << 20, age_seconds_max: 90 * DAY_SECONDS };
        let mut table = Table::new(limits, START);
        for n in 0..10 {
            see(&mut table, &format!("w{n}.top"), at("9.9.0.1"), NOW);
        }
        let view = view(&table);
        let company = view.company(name("w9.top").as_ref(), name("w9.top").as_ref());
        assert_eq!(company, Company::default());
        let address = Indicator::parse("9.9.0.1").unwrap();
        assert_eq!(view.hosted(&address), Some(Hosted { domains: 10, popular: 0 }));
    }

    #[test]
    fn what_lives_where_is_counted_by_domain() {
        let view = view(&world());
        let hosted = |text: &str| view.hosted(&Indicator::parse(text).unwrap());
        assert_eq!(hosted("8.8.0.7"), Some(Hosted { domains: 100, popular: 1 }));
        assert_eq!(hosted("8.8.0.0/16"), Some(Hosted { domains: 1000, popular: 1 }));
        assert_eq!(hosted("AS200"), Some(Hosted { domains: 11, popular: 0 }));
        assert_eq!(hosted("10.0.0.0/8"), None);
        let names = view.names_on(Network::parse_strict("9.9.0.1/32").unwrap());
        assert!(names.contains(&"alias.org".to_owned()) && names.len() == 11, "{names:?}");
    }

    #[test]
    fn a_name_is_new_only_where_somebody_has_watched_before() {
        let mut table = world();
        see(&mut table, "new.org", at("8.8.0.1"), Timestamp(NOW.0 - 7200));
        let view = view(&table);
        let hours = |text: &str| view.first_seen_hours(name(text).as_ref(), NOW);
        assert_eq!(hours("new.org"), Some(2));
        assert_eq!(hours("clean1.com"), None, "it was there when watching began");
        assert_eq!(hours("never.org"), None);
        assert!(view.young().contains(&name("new.org")));
        assert!(!view.young().contains(&name("clean1.com")));
    }
}

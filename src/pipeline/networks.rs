//! What scored sources say of addresses, prefixes and AS: judged like names, with the ranks of their
//! neighbourhood, and turned into rules about answer addresses.
//!
//! A claim about a prefix counts for every claimed address in it, and a claim about an AS for what
//! that AS announces. A blocked AS becomes rules for the prefixes of which it is the only origin,
//! or all of whose origins are blocked.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::sources::{Scored, listing};
use super::standing::Standings;
use super::verdicts::Verdict;
use crate::bgp::{Announced, AsNames, Family, History, RouteTable, Standing};
use crate::evidence::Claims;
use crate::model::{Category, Claim, Indicator, Network, Timestamp};
use crate::pdns;
use crate::scoring::{self, Facts, Kind, Level, Listing, Model, Previous};

/// An IPv6 address is judged as the /64 around it (SCORING 2.1).
const V6_UNIT_LENGTH: u8 = 64;

/// The most prefixes that one rebuild blocks because of their AS. The largest AS announce some ten
/// thousand; more than this is a mistake of a list and blocks nothing of its kind.
const SYSTEM_RULES_MAX: usize = 65_536;

/// What lives on an address, prefix or AS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hosted {
    /// Registrable domains.
    pub domains: u32,
    /// Those of rank 1,000,000 or better.
    pub popular: u32,
}

/// Whoever knows what names live where, such as a record of answers that were seen.
pub trait Hosting: Send + Sync {
    /// What lives there; none where that is not known.
    fn hosted(&self, indicator: &Indicator) -> Option<Hosted>;
    /// Some of the names that live there.
    fn names(&self, indicator: &Indicator) -> Vec<String>;
}

impl Hosting for pdns::View {
    fn hosted(&self, indicator: &Indicator) -> Option<Hosted> {
        let pdns::Hosted { domains, popular } = self.hosted(indicator)?;
        Some(Hosted { domains, popular })
    }

    fn names(&self, indicator: &Indicator) -> Vec<String> {
        match indicator {
            Indicator::Network(network) => self.names_on(*network),
            Indicator::As(number) => self.names_in(*number),
            Indicator::Domain(_) => Vec::new(),
        }
    }
}

/// Who announces what, and how bad the company is there. Cheap to clone.
#[derive(Clone)]
pub struct Neighbourhood {
    /// Announced prefixes.
    pub table: RouteTable,
    /// What each AS announces.
    pub announced: Arc<Announced>,
    /// What AS are called.
    pub names: AsNames,
    /// Smoothed rates, with today's counts so far.
    pub standing: Standing,
    /// The last days.
    pub history: Arc<History>,
    /// What lives where, where somebody knows.
    pub hosting: Option<Arc<dyn Hosting>>,
}

impl Default for Neighbourhood {
    fn default() -> Self {
        let table = RouteTable::empty();
        Self {
            announced: Arc::new(Announced::of(&table)),
            table,
            names: AsNames::empty(),
            standing: Standing::start(),
            history: Arc::default(),
            hosting: None,
        }
    }
}

impl Neighbourhood {
    /// What the ranks say of an indicator, in mban and not clamped.
    fn log_ratio_mban(&self, indicator: &Indicator) -> Option<i32> {
        match indicator {
            Indicator::Network(network) => self.standing.of_network(&self.table, *network),
            Indicator::As(number) => self.standing.of_system(*number),
            Indicator::Domain(_) => None,
        }
    }

    /// The AS that announce a network.
    pub fn origins(&self, network: Network) -> Vec<u32> {
        let route = self.table.covering(network);
        route.map_or_else(Vec::new, |route| route.origins().iter().collect())
    }
}

/// Decisions about networks and AS, in order.
pub type NetworkVerdicts = Arc<[(Indicator, Verdict)]>;

/// What a pass over all networks made.
#[derive(Debug, Default)]
pub(super) struct JudgedNetworks {
    pub verdicts: Vec<(Indicator, Verdict)>,
    /// Networks and AS by level, from allow to block.
    pub levels: [usize; 4],
    /// Networks whose addresses are to be kept out of answers.
    pub rules: Vec<(Network, Level)>,
}

/// What is known of a network or AS.
pub(super) struct NetworkFacts {
    pub facts: Facts,
    /// Nobody knows what lives there, and no source that may block alone names it: guard G4 cannot
    /// be passed, and the level is at most monitor.
    pub unseen: bool,
}

/// What the pass needs to know.
pub(super) struct NetworkCourt<'c> {
    pub model: &'c Model,
    pub standings: &'c Standings,
    pub scored: &'c Scored<'c>,
    pub previous: &'c [(Indicator, Verdict)],
    pub now: Timestamp,
}

/// The network that an entry about `network` is judged as.
pub(super) fn unit(network: Network) -> Network {
    match network.address() {
        IpAddr::V6(_) if network.length() > V6_UNIT_LENGTH => {
            Network::new(network.address(), V6_UNIT_LENGTH).unwrap_or(network)
        }
        _ => network,
    }
}

fn kind(network: Network) -> Kind {
    let is_unit = match network.address() {
        IpAddr::V4(_) => network.is_host(),
        IpAddr::V6(_) => network.length() >= V6_UNIT_LENGTH,
    };
    if is_unit { Kind::Ip } else { Kind::Prefix }
}

impl NetworkCourt<'_> {
    /// Judges every network and AS that a source lists or that had a decision.
    pub fn judge(&self) -> JudgedNetworks {
        let mut judged = JudgedNetworks::default();
        self.judge_networks(&mut judged);
        self.judge_systems(&mut judged);
        judged.verdicts.sort_by(|a, b| a.0.cmp(&b.0));
        judged
    }

    fn judge_networks(&self, judged: &mut JudgedNetworks) {
        let mut claims: Vec<(Network, usize, Claim)> = Vec::new();
        for (at, source) in self.scored.sources.iter().enumerate() {
            let networks = source.claims.networks.iter();
            claims.extend(networks.map(|(network, claim)| (unit(*network), at, *claim)));
        }
        claims.sort_by_key(|(network, at, _)| (*network, *at));
        let opinions = &self.standings.opinions;
        let listed = |network: &Network| claims.binary_search_by_key(network, |c| c.0).is_ok();
        for network in opinions.networks().filter(|network| !listed(network)) {
            let mut found = self.facts_of_network(network);
            self.settle(Indicator::Network(network), &mut found, judged, |level, judged| {
                judged.rules.push((network, level));
            });
        }
        // Claims about the prefixes around the one in hand, the widest first.
        let mut around: Vec<(Network, Listing)> = Vec::new();
        for same in claims.chunk_by(|a, b| a.0 == b.0) {
            let network = same[0].0;
            around.retain(|(outer, _)| outer.covers(network));
            for (_, at, claim) in same {
                around.push((network, self.listing(*at, claim)));
            }
            let mut found = self.network_facts(network, around.iter().map(|(_, listing)| *listing));
            self.settle(Indicator::Network(network), &mut found, judged, |level, judged| {
                judged.rules.push((network, level));
            });
        }
    }

    fn judge_systems(&self, judged: &mut JudgedNetworks) {
        let mut numbers: Vec<u32> = Vec::new();
        for source in &self.scored.sources {
            numbers.extend(source.claims.systems.iter().map(|(number, _)| *number));
        }
        numbers.extend(self.standings.opinions.systems());
        numbers.sort_unstable();
        numbers.dedup();
        let (mut blocked, mut held) = (BTreeSet::new(), Level::Block);
        for number in numbers {
            let mut found = self.facts_of_system(number);
            self.settle(Indicator::As(number), &mut found, judged, |level, _| {
                blocked.insert(number);
                held = held.min(level);
            });
        }
        if blocked.is_empty() {
            return;
        }
        let table = &self.standings.neighbourhood.table;
        let routes = Family::ALL.into_iter().flat_map(|family| table.routes(family));
        let theirs = routes.filter(|route| route.origins().iter().all(|o| blocked.contains(&o)));
        let rules: Vec<Network> =
            theirs.map(|route| route.network()).take(SYSTEM_RULES_MAX + 1).collect();
        if rules.len() <= SYSTEM_RULES_MAX {
            judged.rules.extend(rules.into_iter().map(|network| (network, held)));
        }
    }

    fn settle(
        &self,
        indicator: Indicator,
        found: &mut NetworkFacts,
        judged: &mut JudgedNetworks,
        rule: impl FnOnce(Level, &mut JudgedNetworks),
    ) {
        let verdict = self.verdict(&indicator, found);
        judged.levels[verdict.level as usize] += 1;
        if verdict.level > Level::Monitor {
            rule(verdict.level, judged);
        }
        if verdict.level > Level::Allow {
            judged.verdicts.push((indicator, verdict));
        }
    }

    fn verdict(&self, indicator: &Indicator, found: &NetworkFacts) -> Verdict {
        let before = self.before(indicator);
        let previous = before.map_or_else(Previous::default, |v| v.as_previous(self.now));
        let score = scoring::score(self.model, &found.facts);
        let decision = scoring::decide(self.model, &found.facts, &score, &previous);
        let most = if found.unseen { Level::Monitor } else { Level::Block };
        let mut verdict = Verdict {
            level: decision.level.min(most),
            score: i32::try_from(score.mban).unwrap_or(i32::MAX),
            since: self.now,
            category: score.category.unwrap_or(Category::Suspicious),
            counting_since: self.now,
            changes: 0,
        };
        if let Some(before) = before {
            verdict.follow(&before, self.now);
        }
        verdict
    }

    /// What was decided before.
    pub fn before(&self, indicator: &Indicator) -> Option<Verdict> {
        let at = self.previous.binary_search_by(|(known, _)| known.cmp(indicator)).ok()?;
        Some(self.previous[at].1)
    }

    /// The facts about one network, looked up; the pass gathers the same as it walks.
    pub fn facts_of_network(&self, network: Network) -> NetworkFacts {
        let network = unit(network);
        let mut listings: Vec<(Network, usize, Listing)> = Vec::new();
        for (at, source) in self.scored.sources.iter().enumerate() {
            let mut add = |(listed, claim): &(Network, Claim)| {
                listings.push((unit(*listed), at, self.listing(at, claim)));
            };
            source.claims.networks_covering(network).for_each(&mut add);
            inside(&source.claims, network).for_each(&mut add);
        }
        listings.sort_by_key(|(listed, at, _)| (*listed, *at));
        self.network_facts(network, listings.into_iter().map(|(_, _, listing)| listing))
    }

    fn network_facts(
        &self,
        network: Network,
        listings: impl Iterator<Item = Listing>,
    ) -> NetworkFacts {
        let mut facts = Facts::new(kind(network));
        facts.listings.extend(listings);
        let neighbourhood = &self.standings.neighbourhood;
        for (at, source) in self.scored.sources.iter().enumerate() {
            if !source.claims.systems.is_empty() {
                let origins = neighbourhood.origins(network).into_iter();
                let claims = origins.filter_map(|origin| source.claims.system(origin));
                facts.listings.extend(claims.map(|claim| self.listing(at, claim)));
            }
        }
        facts.special = self.standings.special_use.is_network(network);
        self.with_neighbourhood(&Indicator::Network(network), facts)
    }

    /// The facts about one AS.
    pub fn facts_of_system(&self, number: u32) -> NetworkFacts {
        let mut facts = Facts::new(Kind::Asn);
        for (at, source) in self.scored.sources.iter().enumerate() {
            let claim = source.claims.system(number);
            facts.listings.extend(claim.map(|claim| self.listing(at, claim)));
        }
        self.with_neighbourhood(&Indicator::As(number), facts)
    }

    fn with_neighbourhood(&self, indicator: &Indicator, mut facts: Facts) -> NetworkFacts {
        let neighbourhood = &self.standings.neighbourhood;
        facts.asn_local_log_ratio = neighbourhood.log_ratio_mban(indicator);
        facts.no_popularity_list = self.standings.popularity.lists == 0;
        let opinions = &self.standings.opinions;
        if let Some(opinion) = opinions.of_indicator(indicator) {
            opinion.fill(self.model, &mut facts, self.now);
        }
        if let Indicator::Network(network) = indicator {
            opinions.fill_rank(&neighbourhood.origins(*network), &mut facts, self.now);
        }
        let hosted = neighbourhood.hosting.as_ref().and_then(|h| h.hosted(indicator));
        facts.hosted_domains = hosted.map(|hosted| hosted.domains);
        facts.hosted_popular = hosted.map(|hosted| hosted.popular);
        let blocks_alone = |listing: &Listing| {
            let source = self.model.source(listing.source);
            source.is_tier_a() && source.weight(facts.kind, listing.age_h) > 0
        };
        let unseen = hosted.is_none() && !facts.listings.iter().any(blocks_alone);
        NetworkFacts { facts, unseen }
    }

    fn listing(&self, at: usize, claim: &Claim) -> Listing {
        let (index, reference) = self.scored.index(at);
        listing(index, reference, claim, self.now)
    }
}

/// Claims about longer IPv6 prefixes that are judged as the /64 in hand.
fn inside(claims: &Claims, network: Network) -> impl Iterator<Item = &(Network, Claim)> {
    let from = claims.networks.partition_point(|(listed, _)| *listed <= network);
    claims.networks[from..]
        .iter()
        .take_while(move |(listed, _)| network.covers(*listed))
        .filter(move |(listed, _)| unit(*listed) == network)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bgp::{AddressList, AddressSet, Census, Reputation, RouteTableBuilder, UtcDay};
    use crate::evidence::{ClaimsBuilder, Popularity, PublicSuffixes, RankList};
    use crate::model::{Name, Scope, SourceId};
    use crate::names::{NameTable, NameTableBuilder};
    use crate::pipeline::{Profile, Source};

    const NOW: Timestamp = Timestamp(1_790_000_000);

    fn network(text: &str) -> Network {
        Network::parse_strict(text).unwrap()
    }

    fn source(id: &str, indicators: &[&str]) -> Source {
        let claim =
            Claim { first_seen: NOW, last_seen: NOW, scope: Scope::Name, category: Category::C2 };
        let mut claims = ClaimsBuilder::default();
        for text in indicators {
            claims.push(&Indicator::parse(text).unwrap(), claim, false);
        }
        Source { profile: Profile::scored(id, id), claims: claims.finish(None) }
    }

    /// A popularity list is in force, and three prefixes are announced: one by AS 3333 alone, one by
    /// AS 3333 and AS 4444, one by AS 4444.
    fn standings() -> Standings {
        let mut names = NameTableBuilder::new(4, None);
        names.push(Name::from_host("popular.com").unwrap().as_ref(), &1u32.to_le_bytes());
        let list = RankList { source: SourceId::new("r"), day: 1, ranks: NameTable::built(names) };
        let popularity = Popularity::join(&[list], 1, &PublicSuffixes::default(), 0);
        let mut routes = RouteTableBuilder::default();
        routes.add(network("8.8.0.0/16"), &[3333]);
        routes.add(network("9.9.0.0/16"), &[3333, 4444]);
        routes.add(network("11.0.0.0/16"), &[4444]);
        let table = routes.finish();
        let announced = Arc::new(Announced::of(&table));
        let neighbourhood = Neighbourhood { table, announced, ..Neighbourhood::default() };
        Standings {
            popularity: Arc::new(popularity),
            neighbourhood: Arc::new(neighbourhood),
            ..Standings::default()
        }
    }

    fn rules(standings: &Standings, sources: &[Source]) -> Vec<(String, Level)> {
        let model = Model::shipped();
        let scored = Scored::of(sources, &model);
        let court =
            NetworkCourt { model: &model, standings, scored: &scored, previous: &[], now: NOW };
        let judged = court.judge();
        // The pass and the look-up for one network come to the same facts.
        for (indicator, verdict) in &judged.verdicts {
            let found = match indicator {
                Indicator::Network(network) => court.facts_of_network(*network),
                Indicator::As(number) => court.facts_of_system(*number),
                Indicator::Domain(_) => unreachable!(),
            };
            assert_eq!(court.verdict(indicator, &found), *verdict, "{indicator}");
        }
        judged.rules.into_iter().map(|(network, level)| (network.to_string(), level)).collect()
    }

    struct Lives(u32, u32);

    impl Hosting for Lives {
        fn hosted(&self, _: &Indicator) -> Option<Hosted> {
            Some(Hosted { domains: self.0, popular: self.1 })
        }
        fn names(&self, _: &Indicator) -> Vec<String> {
            Vec::new()
        }
    }

    #[test]
    fn a_source_that_may_block_alone_makes_a_rule_and_others_do_not_where_nothing_is_known() {
        let standings = standings();
        let feodo = source("feodo", &["8.8.4.4"]);
        assert_eq!(rules(&standings, &[feodo]), [("8.8.4.4".to_owned(), Level::Block)]);
        let two = [source("threatfox", &["8.8.4.4"]), source("et_compromised", &["8.8.4.4"])];
        assert_eq!(rules(&standings, &two), []);
    }

    #[test]
    fn what_lives_on_an_address_decides_whether_it_may_be_blocked() {
        let with = |domains, popular| {
            let mut standings = standings();
            let neighbourhood = Neighbourhood {
                hosting: Some(Arc::new(Lives(domains, popular))),
                ..Neighbourhood::clone(&standings.neighbourhood)
            };
            standings.neighbourhood = Arc::new(neighbourhood);
            let two = [source("threatfox", &["8.8.4.4"]), source("et_compromised", &["8.8.4.4"])];
            let one = [source("feodo", &["8.8.4.4"])];
            rules(&standings, &two).len() + rules(&standings, &one).len()
        };
        assert_eq!((with(2, 0), with(49, 0), with(50, 0), with(2, 1)), (2, 2, 0, 0));
    }

    #[test]
    fn a_blocked_as_takes_the_prefixes_of_which_no_other_is_the_origin() {
        let standings = standings();
        let one = source("spamhaus_asndrop", &["AS3333"]);
        assert_eq!(rules(&standings, &[one]), [("8.8.0.0/16".to_owned(), Level::Block)]);
        let both = source("spamhaus_asndrop", &["AS3333", "AS4444"]);
        let found = rules(&standings, &[both]);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn a_claim_about_a_prefix_counts_for_the_addresses_in_it() {
        let standings = standings();
        let sources = [source("spamhaus_drop", &["8.8.0.0/20"]), source("cins", &["8.8.4.4"])];
        let found = rules(&standings, &sources);
        assert_eq!(found[0], ("8.8.0.0/20".to_owned(), Level::Block));
        assert_eq!(found.get(1).map(|(network, _)| network.as_str()), Some("8.8.4.4"));
    }

    #[test]
    fn special_networks_make_no_rule() {
        let feodo = source("feodo", &["192.168.1.1", "10.0.0.0/8"]);
        assert_eq!(rules(&standings(), &[feodo]), []);
    }

    #[test]
    fn ipv6_addresses_are_judged_as_the_64_around_them() {
        let listed = ["2a00:1450::1", "2a00:1450::2", "2a00:1450::/64"];
        let found = rules(&standings(), &[source("feodo", &listed)]);
        assert_eq!(found, [("2a00:1450::/64".to_owned(), Level::Block)]);
    }

    /// The rank says +15 at most and the prior is −23, so a weak list and a bad neighbourhood stay
    /// below every threshold that acts.
    #[test]
    fn a_rank_and_a_weak_list_act_on_nothing() {
        let mut standings = standings();
        let hood = Neighbourhood::clone(&standings.neighbourhood);
        let listed: AddressSet = (0..=255u8)
            .map(|last| Network::host(std::net::Ipv4Addr::new(8, 8, 4, last).into()))
            .collect();
        let list = AddressList {
            source: SourceId::new("threatfox"),
            precision_ppm: 920_000,
            impact_hundredths: 500,
            addresses: Arc::new(listed),
        };
        let excluded = AddressSet::default();
        let census = Census::take(UtcDay(20_000), &hood.table, &hood.announced, &[list], &excluded);
        let standing = Reputation::start().counted(&census).live().clone();
        assert!(standing.of_system(3333) > Some(0));
        let hosting: Option<Arc<dyn Hosting>> = Some(Arc::new(Lives(0, 0)));
        standings.neighbourhood = Arc::new(Neighbourhood { standing, hosting, ..hood });
        assert_eq!(rules(&standings, &[source("blocklist_de", &["8.8.4.4"])]), []);
    }
}

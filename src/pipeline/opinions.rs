//! What look-up services say of indicators, as far as it enters the score (SCORING 2.5).
//!
//! A service that was not asked is no item, and never the same as a clean one. What a service copied
//! from a feed that is read here as well, and that lists the indicator, counts once.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::lookup::{Answer, Fact, Service};
use crate::model::{Indicator, NameRef, Network, Timestamp};
use crate::names::{NameTable, NameTableBuilder};
use crate::scoring::{ApiVoid, Facts, Model, Tip, VirusTotal};

/// Answers older than this weigh nothing (SCORING 2.5, Ageing).
pub const OPINION_SECONDS_MAX: u32 = 2160 * 3600;

/// Engines of VirusTotal that are feeds, with the sources of the model that read the same feed.
const FEED_ENGINES: [(&str, &str); 9] = [
    ("URLhaus", "urlhaus"),
    ("OpenPhish", "openphish"),
    ("PhishTank", "phishtank"),
    ("Phishtank", "phishtank"),
    ("Phishing Database", "phishing_database"),
    ("ThreatFox", "threatfox"),
    ("abuse.ch ThreatFox", "threatfox"),
    ("CERT Polska", "certpl"),
    ("Spamhaus", "spamhaus_drop"),
];

/// The test of Threat Intelligence Platform that looks into lists of malware.
const MALWARE_TEST: u32 = 82;

/// What VirusTotal says.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Engines {
    malicious: u32,
    suspicious: u32,
    harmless: u32,
    undetected: u32,
    analysed_at: Timestamp,
    known_since: Option<Timestamp>,
    votes_malicious: u32,
    votes_harmless: u32,
    /// Sources of the model whose feed is one of the engines that say malicious.
    feeds: Vec<&'static str>,
}

/// What services say of one indicator.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Opinion {
    virus_total: Option<Engines>,
    api_void: Option<(u32, u32, Timestamp)>,
    tip: Option<(bool, Timestamp)>,
    rank_ppm: Option<(u32, Timestamp)>,
}

impl Opinion {
    /// Takes over what a service said to its main question; what it said before is forgotten.
    /// Answers of services that give no verdict change nothing.
    pub fn take(&mut self, service: Service, answer: &Answer, asked_at: Timestamp) {
        match service {
            Service::VirusTotal => self.virus_total = virus_total(answer, asked_at),
            Service::ApiVoid => self.api_void = api_void(answer, asked_at),
            Service::ThreatIntelligencePlatform => self.tip = tip(answer, asked_at),
            Service::BgpRanking => self.rank_ppm = rank(answer, asked_at),
            Service::DnsDumpster | Service::IpasnHistory => {}
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Puts the items among the facts, whose listings are there already.
    pub(super) fn fill(&self, model: &Model, facts: &mut Facts, now: Timestamp) {
        let current = |at: Timestamp| at.age_seconds(now) < OPINION_SECONDS_MAX;
        if let Some(engines) = self.virus_total.as_ref().filter(|e| current(e.analysed_at)) {
            facts.vt = Some(engines.item(model, facts, now));
        }
        if let Some((detections, engines, at)) = self.api_void.filter(|(.., at)| current(*at)) {
            facts.apivoid = Some(ApiVoid { detections, engines, age_h: at.age_hours(now) });
        }
        if let Some((hit, at)) = self.tip.filter(|(_, at)| current(*at)) {
            facts.tip = Some(Tip { malware_db_hit: Some(hit), age_h: at.age_hours(now) });
        }
        if let Some((ppm, _)) = self.rank_ppm.filter(|(_, at)| current(*at)) {
            facts.bgpranking_q_ppm = Some(ppm);
        }
    }

    /// The services that say something, for people.
    pub fn services(&self) -> Vec<Service> {
        let said = [
            (Service::VirusTotal, self.virus_total.is_some()),
            (Service::ThreatIntelligencePlatform, self.tip.is_some()),
            (Service::ApiVoid, self.api_void.is_some()),
            (Service::BgpRanking, self.rank_ppm.is_some()),
        ];
        said.into_iter().filter_map(|(service, said)| said.then_some(service)).collect()
    }
}

impl Engines {
    fn item(&self, model: &Model, facts: &Facts, now: Timestamp) -> VirusTotal {
        let listed = |id: &&&str| {
            let index = model.source_index(id);
            index.is_some_and(|index| facts.listings.iter().any(|l| l.source == index))
        };
        let known = self.known_since.map(|since| since.age_hours(self.analysed_at));
        VirusTotal {
            malicious: self.malicious,
            suspicious: self.suspicious,
            harmless: self.harmless,
            undetected: self.undetected,
            dup_engines: u32::try_from(self.feeds.iter().filter(listed).count()).unwrap_or(0),
            age_h: self.analysed_at.age_hours(now),
            seen_h_before_analysis: known,
            votes_malicious: self.votes_malicious,
            votes_harmless: self.votes_harmless,
        }
    }
}

fn virus_total(answer: &Answer, asked_at: Timestamp) -> Option<Engines> {
    let mut votes = (0, 0);
    let mut found = None;
    for fact in &answer.facts {
        match fact {
            Fact::Votes { malicious, harmless } => votes = (*malicious, *harmless),
            Fact::Engines {
                malicious,
                suspicious,
                harmless,
                undetected,
                analysed_at,
                known_since,
                engines,
            } => {
                let bad = engines.iter().filter(|engine| engine.verdict == "malicious");
                let feed = |name: &str| {
                    let same = |(engine, _): &&(&str, _)| engine.eq_ignore_ascii_case(name);
                    FEED_ENGINES.iter().find(same).map(|(_, source)| *source)
                };
                let mut feeds: Vec<_> = bad.filter_map(|engine| feed(&engine.name)).collect();
                feeds.sort_unstable();
                feeds.dedup();
                found = Some(Engines {
                    malicious: *malicious,
                    suspicious: *suspicious,
                    harmless: *harmless,
                    undetected: *undetected,
                    analysed_at: analysed_at.unwrap_or(asked_at),
                    known_since: *known_since,
                    votes_malicious: 0,
                    votes_harmless: 0,
                    feeds,
                });
            }
            _ => {}
        }
    }
    // Votes without an analysis are votes all the same.
    let mut found = match (found, votes) {
        (Some(found), _) => found,
        (None, (0, 0)) => return None,
        (None, _) => Engines {
            malicious: 0,
            suspicious: 0,
            harmless: 0,
            undetected: 0,
            analysed_at: asked_at,
            known_since: None,
            votes_malicious: 0,
            votes_harmless: 0,
            feeds: Vec::new(),
        },
    };
    (found.votes_malicious, found.votes_harmless) = votes;
    Some(found)
}

fn api_void(answer: &Answer, asked_at: Timestamp) -> Option<(u32, u32, Timestamp)> {
    answer.facts.iter().find_map(|fact| match fact {
        Fact::Engines { malicious, undetected, .. } => {
            Some((*malicious, malicious.saturating_add(*undetected), asked_at))
        }
        _ => None,
    })
}

fn tip(answer: &Answer, asked_at: Timestamp) -> Option<(bool, Timestamp)> {
    answer.facts.iter().find_map(|fact| match fact {
        Fact::Test(test) if test.code == Some(MALWARE_TEST) => {
            Some((test.status != "ok", asked_at))
        }
        _ => None,
    })
}

/// The place among all ranked AS, in ppm. An AS without a place is on no list that day: no item,
/// since no list is no sign of anything.
fn rank(answer: &Answer, asked_at: Timestamp) -> Option<(u32, Timestamp)> {
    answer.facts.iter().find_map(|fact| match fact {
        Fact::Rank { position: Some(position), total, day, .. } if *total > 0 => {
            let ppm = u64::from(*position) * 1_000_000 / u64::from(*total);
            Some((u32::try_from(ppm).unwrap_or(u32::MAX), day.unwrap_or(asked_at)))
        }
        _ => None,
    })
}

impl super::Published {
    /// The same state with what services say by now, for a look before the next judgement.
    pub fn with_opinions(&self, opinions: Opinions) -> Self {
        Self {
            snapshot: self.snapshot.clone(),
            made_at: self.made_at,
            next_expiry: self.next_expiry,
            model: self.model.clone(),
            policy: self.policy.clone(),
            sources: self.sources.clone(),
            standings: super::Standings { opinions, ..self.standings.clone() },
            verdicts: self.verdicts.clone(),
            network_verdicts: self.network_verdicts.clone(),
            tally: self.tally.clone(),
        }
    }
}

/// What services say of all indicators that were asked about. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Opinions {
    /// Names, each with its place in `of_names`.
    pub(super) names: NameTable,
    of_names: Arc<[Opinion]>,
    networks: Arc<BTreeMap<Network, Opinion>>,
    systems: Arc<BTreeMap<u32, Opinion>>,
}

impl Default for Opinions {
    fn default() -> Self {
        Self {
            names: NameTable::empty(),
            of_names: [].into(),
            networks: Arc::default(),
            systems: Arc::default(),
        }
    }
}

impl Opinions {
    /// All opinions, by indicator.
    pub fn of(all: &BTreeMap<Indicator, Opinion>) -> Self {
        let mut names = NameTableBuilder::new(4, None);
        let mut of_names = Vec::new();
        let (mut networks, mut systems) = (BTreeMap::new(), BTreeMap::new());
        let mut sorted: Vec<_> = all.iter().filter(|(_, opinion)| !opinion.is_empty()).collect();
        sorted.sort_by(|(a, _), (b, _)| match (a, b) {
            (Indicator::Domain(a), Indicator::Domain(b)) => a.as_ref().cmp(&b.as_ref()),
            _ => a.cmp(b),
        });
        for (indicator, opinion) in sorted {
            match indicator {
                Indicator::Domain(name) => {
                    let place = u32::try_from(of_names.len()).expect("names below 2³²");
                    names.push(name.as_ref(), &place.to_le_bytes());
                    of_names.push(opinion.clone());
                }
                Indicator::Network(network) => {
                    networks.insert(super::networks::unit(*network), opinion.clone());
                }
                Indicator::As(number) => {
                    systems.insert(*number, opinion.clone());
                }
            }
        }
        Self {
            names: NameTable::built(names),
            of_names: of_names.into(),
            networks: Arc::new(networks),
            systems: Arc::new(systems),
        }
    }

    /// What is said of exactly this name.
    pub fn of_name(&self, name: NameRef<'_>) -> Option<&Opinion> {
        self.at(self.names.get(name)?)
    }

    /// What a walk over [`Self::names`] found beside a name.
    pub(super) fn at(&self, payload: &[u8]) -> Option<&Opinion> {
        let place = u32::from_le_bytes(payload.try_into().ok()?);
        self.of_names.get(place as usize)
    }

    /// What is said of a network or AS.
    pub(super) fn of_indicator(&self, indicator: &Indicator) -> Option<&Opinion> {
        match indicator {
            Indicator::Domain(name) => self.of_name(name.as_ref()),
            Indicator::Network(network) => self.networks.get(network),
            Indicator::As(number) => self.systems.get(number),
        }
    }

    /// The networks that something is said of.
    pub(super) fn networks(&self) -> impl Iterator<Item = Network> {
        self.networks.keys().copied()
    }

    /// The AS that something is said of.
    pub(super) fn systems(&self) -> impl Iterator<Item = u32> {
        self.systems.keys().copied()
    }

    /// What is said of the AS that announce a network: the worst place of them.
    pub(super) fn fill_rank(&self, origins: &[u32], facts: &mut Facts, now: Timestamp) {
        let places = origins.iter().filter_map(|origin| self.systems.get(origin)?.rank_ppm);
        let current = |(_, at): &(u32, Timestamp)| at.age_seconds(now) < OPINION_SECONDS_MAX;
        let worst = places.filter(current).map(|(ppm, _)| ppm).min();
        facts.bgpranking_q_ppm = facts.bgpranking_q_ppm.or(worst);
    }

    /// How many indicators something is said of.
    pub fn len(&self) -> usize {
        self.of_names.len() + self.networks.len() + self.systems.len()
    }

    /// Whether nothing is said of anything.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Pipeline, Profile, Source, Standings};
    use super::*;
    use crate::evidence::{ClaimsBuilder, Popularity, PublicSuffixes, RankList};
    use crate::model::lookup::{Engine, Test};
    use crate::model::{Category, Claim, Name, Scope, SourceId};
    use crate::policy;
    use crate::scoring::{Kind, Level};

    const NOW: Timestamp = Timestamp(1_790_000_000);

    fn engines(malicious: u32, by: &[&str]) -> Answer {
        let engine = |name: &&str| Engine {
            name: (*name).to_owned(),
            verdict: "malicious".to_owned(),
            result: None,
        };
        let fact = Fact::Engines {
            malicious,
            suspicious: 0,
            harmless: 60,
            undetected: 20,
            analysed_at: Some(Timestamp(NOW.0 - 3600)),
            known_since: Some(Timestamp(NOW.0 - 400 * 86_400)),
            engines: by.iter().map(engine).collect(),
        };
        Answer { facts: vec![fact, Fact::Votes { malicious: 7, harmless: 1 }], ..Answer::default() }
    }

    fn indicator(text: &str) -> Indicator {
        Indicator::parse(text).unwrap()
    }

    fn opinion(service: Service, answer: &Answer) -> Opinion {
        let mut opinion = Opinion::default();
        opinion.take(service, answer, NOW);
        opinion
    }

    #[test]
    fn engines_that_are_feeds_of_ours_count_once_and_only_where_ours_lists_it_too() {
        let model = Model::shipped();
        let opinion = opinion(Service::VirusTotal, &engines(3, &["OpenPhish", "URLhaus", "Other"]));
        let mut facts = Facts::new(Kind::Domain);
        opinion.fill(&model, &mut facts, NOW);
        let vt = facts.vt.unwrap();
        assert_eq!((vt.malicious, vt.dup_engines, vt.age_h), (3, 0, 1));
        assert_eq!((vt.votes_malicious, vt.votes_harmless), (7, 1));
        let index = model.source_index("openphish").unwrap();
        facts.listings.push(crate::scoring::Listing::new(index, 0));
        opinion.fill(&model, &mut facts, NOW);
        assert_eq!(facts.vt.unwrap().dup_engines, 1);
    }

    #[test]
    fn what_was_not_said_is_no_item_and_old_answers_are_none() {
        let model = Model::shipped();
        let test = |code, status: &str| {
            let (name, status) = ("x".to_owned(), status.to_owned());
            let test = Test { code, name, status, warnings: Vec::new() };
            Answer { facts: vec![Fact::Test(test)], ..Answer::default() }
        };
        let tip = Service::ThreatIntelligencePlatform;
        assert!(opinion(tip, &test(Some(93), "warning")).is_empty());
        let hit = opinion(tip, &test(Some(82), "warning"));
        let mut facts = Facts::new(Kind::Domain);
        hit.fill(&model, &mut facts, NOW);
        assert_eq!(facts.tip.unwrap().malware_db_hit, Some(true));
        let rank = |position, total| {
            let rank = Fact::Rank { rank: 0.1, position, total, day: None, source: None };
            opinion(Service::BgpRanking, &Answer { facts: vec![rank], ..Answer::default() })
        };
        assert!(rank(None, 15_000).is_empty(), "on no list");
        let mut facts = Facts::new(Kind::Asn);
        rank(Some(15), 15_000).fill(&model, &mut facts, NOW);
        assert_eq!(facts.bgpranking_q_ppm, Some(1000));
        let mut facts = Facts::new(Kind::Asn);
        let later = NOW.plus_seconds(OPINION_SECONDS_MAX);
        rank(Some(15), 15_000).fill(&model, &mut facts, later);
        hit.fill(&model, &mut facts, later);
        assert_eq!(facts, Facts::new(Kind::Asn));
    }

    /// A pipeline with one list and these opinions.
    fn decided(listed: &[&str], opinions: &[(&str, Opinion)]) -> Arc<super::super::Published> {
        let text = [("p.toml".to_owned(), "version = 1".to_owned())];
        let mut read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
        let policy = policy::load(&text, &mut read, &PublicSuffixes::default(), NOW).0.unwrap();
        let mut pipeline = Pipeline::new(Model::shipped(), Arc::new(policy), Name::root(), 7);
        let mut builder = ClaimsBuilder::default();
        let claim = Claim {
            first_seen: NOW,
            last_seen: NOW,
            scope: Scope::Name,
            category: Category::Phishing,
        };
        listed.iter().for_each(|name| builder.push(&indicator(name), claim, false));
        let profile = Profile::scored("openphish", "openphish");
        pipeline.set_sources(vec![Source { profile, claims: builder.finish(None) }]);
        let list = RankList { source: SourceId::new("r"), day: 11, ranks: NameTable::empty() };
        let popularity = Popularity::join(&[list], 11, &PublicSuffixes::default(), 7);
        let all = opinions.iter().map(|(text, opinion)| (indicator(text), opinion.clone()));
        let opinions = Opinions::of(&all.collect());
        let popularity = popularity.into();
        pipeline.set_standings(Standings { popularity, opinions, ..Standings::default() });
        pipeline.rebuild(NOW).unwrap()
    }

    fn level(state: &super::super::Published, text: &str) -> Level {
        let name = Name::from_host(text).unwrap();
        let level = state.verdicts.of(name.as_ref()).map(|verdict| verdict.level);
        // The look-up of one name comes to the same as the pass over all.
        let one = state.appraiser(NOW).appraise(name.as_ref()).level;
        assert_eq!(level.unwrap_or_default(), one, "{text}");
        one
    }

    #[test]
    fn what_services_say_decides_with_lists_and_without() {
        let bad = opinion(Service::VirusTotal, &engines(15, &[]));
        let copied = opinion(Service::VirusTotal, &engines(1, &["OpenPhish"]));
        let state = decided(
            &["both.net", "copied.net", "alone.net"],
            &[("both.net", bad.clone()), ("unlisted.net", bad), ("copied.net", copied)],
        );
        assert_eq!(level(&state, "alone.net"), Level::Redirect);
        assert_eq!(level(&state, "both.net"), Level::Block);
        assert_eq!(level(&state, "unlisted.net"), Level::Redirect, "one witness is not enough");
        // The one engine is our own list; that eighty others find nothing speaks for the name.
        assert_eq!(level(&state, "copied.net"), Level::Monitor);
        assert_eq!(level(&state, "other.net"), Level::Allow);
        let why = |text: &str| {
            let name = Name::from_host(text).unwrap();
            let subject = super::super::Subject {
                name,
                rtype: 1,
                client: std::net::Ipv4Addr::LOCALHOST.into(),
                transport: crate::snapshot::Transport::Udp,
                dnssec_ok: false,
                recursion_desired: true,
            };
            let score = state.why(&subject, None, NOW).score.unwrap();
            score.contributions.into_iter().map(|c| c.id).collect::<Vec<_>>().join(" ")
        };
        assert!(why("unlisted.net").contains("vt"), "{}", why("unlisted.net"));
        assert!(why("both.net").contains("openphish"), "{}", why("both.net"));
    }

    #[test]
    fn addresses_and_systems_are_judged_by_what_is_said_of_them() {
        let bad = opinion(Service::VirusTotal, &engines(20, &[]));
        let state = decided(&[], &[("192.0.2.66", bad.clone()), ("8.8.4.4", bad)]);
        let verdicts: Vec<String> =
            state.network_verdicts.iter().map(|(i, v)| format!("{i} {}", v.level)).collect();
        // Documentation space is never judged (G1).
        assert_eq!(verdicts, ["8.8.4.4 monitor"]);
    }
}

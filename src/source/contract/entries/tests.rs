//! Lists that change in each way of SCORING 4.4, and what a contract makes of them.

use std::sync::Arc;

use super::*;
use crate::evidence::{ClaimsBuilder, Popularity, PublicSuffixes, RankList};
use crate::model::{Category, Claim, Indicator};
use crate::names::{NameTable, NameTableBuilder};
use crate::pipeline::{Pipeline, Profile, Source};
use crate::policy;
use crate::scoring::Model;

const NOW: Timestamp = Timestamp(86_400 * 20_000);
const HOUR: u32 = 3600;

fn claims<T: AsRef<str>>(texts: impl IntoIterator<Item = T>) -> Claims {
    let mut builder = ClaimsBuilder::default();
    let claim =
        Claim { first_seen: NOW, last_seen: NOW, scope: Scope::Name, category: Category::Phishing };
    for text in texts {
        builder.push(&Indicator::parse(text.as_ref()).unwrap(), claim, false);
    }
    builder.finish(None)
}

/// Names `PREFIX-0.net` and on.
fn numbered(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}.net")).collect()
}

fn popularity() -> Popularity {
    let ranked =
        [("top.com", 10), ("known.com", 5_000), ("known2.com", 6_000), ("known3.com", 7_000)];
    let mut sorted: Vec<_> = ranked.map(|(n, rank)| (Name::from_host(n).unwrap(), rank)).into();
    sorted.sort();
    let mut builder = NameTableBuilder::new(4, None);
    sorted.iter().for_each(|(n, rank): &(Name, u32)| builder.push(n.as_ref(), &rank.to_le_bytes()));
    let ranks = NameTable::built(builder);
    let list = RankList { source: SourceId::new("ranks"), day: 20_000, ranks };
    Popularity::join(&[list], 20_000, &PublicSuffixes::default(), 1)
}

/// The state in force, with another source beside the one that is judged.
fn published(other: &Claims) -> Arc<Published> {
    let text = [("p.toml".to_owned(), "version = 1".to_owned())];
    let mut read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let policy = policy::load(&text, &mut read, &PublicSuffixes::default(), NOW).0.unwrap();
    let mut pipeline = Pipeline::new(Model::shipped(), Arc::new(policy), Name::root(), 7);
    let source = |id: &str, claims: &Claims| Source {
        profile: Profile::scored(id, id),
        claims: claims.clone(),
    };
    pipeline.set_sources(vec![source("urlhaus", &Claims::none()), source("certpl", other)]);
    let standings = Standings { popularity: Arc::new(popularity()), ..Standings::default() };
    pipeline.set_standings(standings);
    pipeline.rebuild(NOW).unwrap()
}

/// A source that is fetched again and again.
struct Feed {
    state: Arc<Published>,
    before: Claims,
    held: Claims,
    held_until: Option<Timestamp>,
    shrunk_since: Option<Timestamp>,
    history: History,
    trust: Trust,
    own_file: bool,
    id: &'static str,
    pivotal_today: u64,
}

impl Feed {
    fn of(before: Claims) -> Self {
        let size = before.len() as u64;
        Self {
            state: published(&Claims::none()),
            before,
            held: Claims::none(),
            held_until: None,
            shrunk_since: None,
            history: History::of([size; 3]).with_additions([0; 3]),
            trust: Trust::Scored,
            own_file: false,
            id: "urlhaus",
            pivotal_today: 0,
        }
    }

    /// Takes a snapshot `later_h` hours from now; the rules it broke.
    fn fetch(&mut self, claims: Claims, later_h: u32) -> Vec<&'static str> {
        let judged = judge(
            Incoming {
                id: &SourceId::new(self.id),
                trust: &self.trust,
                own_file: self.own_file,
                claims,
                before: &self.before,
                held: &self.held,
                held_until: self.held_until,
                history: &self.history,
                shrunk_since: self.shrunk_since,
                pivotal_today: self.pivotal_today,
                now: NOW.plus_seconds(later_h * HOUR),
            },
            Some(&self.state),
        );
        (self.before, self.held) = (judged.claims, judged.held);
        (self.held_until, self.shrunk_since) = (judged.held_until, judged.shrunk_since);
        self.pivotal_today += judged.pivotal;
        judged.breaches.iter().map(|breach| breach.rule.as_str()).collect()
    }

    fn sizes(&self) -> (usize, usize) {
        (self.before.len(), self.held.len())
    }
}

#[test]
fn an_ordinary_day_is_taken_over_as_it_is() {
    let mut feed = Feed::of(claims(numbered("old", 100)));
    let next = numbered("old", 90).into_iter().chain(numbered("new", 20));
    assert!(feed.fetch(claims(next), 0).is_empty());
    assert_eq!(feed.sizes(), (110, 0));
}

#[test]
fn r4_additions_of_a_list_that_doubled_wait_a_day() {
    let mut feed = Feed::of(claims(numbered("old", 100)));
    let doubled = claims(numbered("old", 100).into_iter().chain(numbered("junk", 101)));
    assert_eq!(feed.fetch(doubled.clone(), 0), ["R4"]);
    assert_eq!(feed.sizes(), (100, 101));
    assert!(feed.fetch(doubled.clone(), 23).is_empty());
    assert_eq!(feed.sizes(), (100, 101));
    assert!(feed.fetch(doubled, 24).is_empty());
    assert_eq!((feed.sizes(), feed.held_until), ((201, 0), None));
}

#[test]
fn r4_what_the_feed_takes_back_meanwhile_never_comes_into_force() {
    let mut feed = Feed::of(claims(numbered("old", 100)));
    feed.fetch(claims(numbered("old", 100).into_iter().chain(numbered("junk", 101))), 0);
    assert!(feed.fetch(claims(numbered("old", 100)), 1).is_empty());
    assert_eq!((feed.sizes(), feed.held_until), ((100, 0), None));
}

#[test]
fn r4_a_flood_counts_from_beyond_two_hundred_and_what_the_list_usually_gains() {
    for (added, usual, broken) in
        [(200, 0, 0), (400, 0, 0), (401, 0, 1), (401, 100, 0), (501, 100, 1)]
    {
        let mut feed = Feed::of(claims(numbered("old", 1000)));
        feed.history = History::of([1000; 3]).with_additions([usual; 3]);
        let next = numbered("old", 1000).into_iter().chain(numbered("new", added));
        assert_eq!(feed.fetch(claims(next), 0).len(), broken, "{added} beside {usual}");
    }
}

#[test]
fn r4_what_an_independent_source_names_as_well_does_not_wait() {
    let mut feed = Feed::of(claims(numbered("old", 100)));
    feed.state = published(&claims(["junk-7.net", "junk-50.net"]));
    let doubled = numbered("old", 100).into_iter().chain(numbered("junk", 101));
    assert_eq!(feed.fetch(claims(doubled), 0), ["R4"]);
    assert_eq!(feed.sizes(), (102, 99));
}

#[test]
fn r5_popular_domains_put_all_additions_aside_for_as_long_as_they_are_there() {
    let mut feed = Feed::of(claims(numbered("old", 100)));
    let planted = ["known.com", "www.known2.com", "known3.com", "fresh.net"].map(str::to_owned);
    let planted = claims(numbered("old", 100).into_iter().chain(planted));
    assert_eq!(feed.fetch(planted.clone(), 0), ["R5"]);
    assert_eq!(feed.sizes(), (100, 4));
    assert_eq!(feed.fetch(planted, 25), ["R5"]);
    assert_eq!(feed.sizes(), (100, 4), "its day is over, but it still names them");
    let mended = numbered("old", 100).into_iter().chain(["fresh.net".to_owned()]);
    assert!(feed.fetch(claims(mended), 60).is_empty());
    assert_eq!(feed.sizes(), (101, 0));
}

#[test]
fn r5_domains_of_the_first_thousand_are_dropped_and_hosts_below_popular_ones_are_not_counted() {
    let mut feed = Feed::of(claims(numbered("old", 100)));
    let planted = ["top.com", "a.known.com", "b.known.com", "c.known.com"].map(str::to_owned);
    let planted = claims(numbered("old", 100).into_iter().chain(planted));
    assert_eq!(feed.fetch(planted, 0), ["R5"]);
    assert_eq!(feed.sizes(), (103, 0));
    assert!(feed.before.name(Name::from_host("top.com").unwrap().as_ref()).is_none());
}

#[test]
fn r5_does_not_speak_of_categories() {
    let mut feed = Feed::of(claims(numbered("old", 100)));
    feed.trust = Trust::Category("ads".into());
    let next = ["top.com", "known.com", "known2.com", "known3.com"].map(str::to_owned);
    assert!(feed.fetch(claims(numbered("old", 100).into_iter().chain(next)), 0).is_empty());
}

#[test]
fn r6_what_no_list_may_name_is_dropped_and_much_of_it_makes_the_rest_wait() {
    let forbidden = ["co.uk", "github.io", "198.0.0.0/8", "2600::/20"].map(str::to_owned);
    let fresh = ["fresh.net", "198.0.0.0/16"].map(str::to_owned);
    let all = || forbidden.clone().into_iter().chain(fresh.clone());
    let mut feed = Feed::of(claims(numbered("old", 500)));
    assert_eq!(feed.fetch(claims(numbered("old", 500).into_iter().chain(all())), 0), ["R6"]);
    assert_eq!(feed.sizes(), (502, 0));
    let mut feed = Feed::of(claims(numbered("old", 50)));
    assert_eq!(feed.fetch(claims(numbered("old", 50).into_iter().chain(all())), 0), ["R6"]);
    assert_eq!(feed.sizes(), (50, 2));
    let mut feed = Feed::of(claims(numbered("old", 50)));
    feed.trust = Trust::Operator;
    assert!(feed.fetch(claims(numbered("old", 50).into_iter().chain(all())), 0).is_empty());
}

#[test]
fn r3_what_is_gone_stays_until_a_fetch_six_hours_later_agrees() {
    let mut feed = Feed::of(claims(numbered("old", 100)));
    let half = || claims(numbered("old", 49));
    assert_eq!(feed.fetch(half(), 0), ["R3"]);
    assert_eq!(feed.sizes(), (100, 0));
    assert_eq!(feed.fetch(half(), 5), ["R3"]);
    assert!(feed.fetch(half(), 6).is_empty());
    assert_eq!((feed.sizes(), feed.shrunk_since), ((49, 0), None));
    let mut feed = Feed::of(claims(numbered("old", 100)));
    feed.fetch(half(), 0);
    assert!(feed.fetch(claims(numbered("old", 100)), 7).is_empty());
    assert_eq!(feed.shrunk_since, None, "it was a passing fault");
    let mut feed = Feed::of(claims(numbered("old", 100)));
    assert!(feed.fetch(claims(numbered("old", 50)), 0).is_empty());
}

#[test]
fn a_young_history_and_a_file_of_the_operators_own_bind_to_nothing() {
    let swollen = || claims(numbered("old", 10).into_iter().chain(numbered("new", 300)));
    let mut feed = Feed::of(claims(numbered("old", 100)));
    feed.history = History::of([100; 2]);
    assert!(feed.fetch(swollen(), 0).is_empty());
    assert_eq!(feed.sizes(), (310, 0));
    let mut feed = Feed::of(claims(numbered("old", 100)));
    feed.own_file = true;
    assert!(feed.fetch(swollen(), 0).is_empty());
    assert_eq!(feed.sizes(), (310, 0));
}

/// The state in force where these domains were asked for, each as often, among 20,000 queries.
fn with_queries(busy: &[&str], each: u32) -> Arc<Published> {
    use crate::bgp::RouteTable;
    use crate::pdns::{ClientMark, Limits, Material, Table, View};
    let day = 86_400;
    let limits = Limits { size_octets_max: 64 << 20, age_seconds_max: 90 * day };
    let mut table = Table::new(limits, Timestamp(NOW.0 - 60 * day));
    let ask = |table: &mut Table, text: &str, times: u32| {
        let name = Name::from_host(text).unwrap();
        table.see_name(name.as_ref(), name.as_ref(), Timestamp(NOW.0 - 30 * day));
        (0..times).for_each(|_| {
            table.see_query(name.as_ref(), name.as_ref(), NOW, ClientMark(1));
        });
    };
    busy.iter().for_each(|name| ask(&mut table, name, each));
    ask(&mut table, "everything-else.net", 20_000 - each * busy.len() as u32);
    let view = View::of(&Material {
        table: &table,
        now: NOW,
        holder: &|name| Some(name.to_owned()),
        is_bad: &|_| false,
        is_popular: &|_| false,
        is_left_out: &|_| false,
        registered_together: &|_| None,
        routes: &RouteTable::empty(),
    });
    let text = [("p.toml".to_owned(), "version = 1".to_owned())];
    let mut read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let policy = policy::load(&text, &mut read, &PublicSuffixes::default(), NOW).0.unwrap();
    let mut pipeline = Pipeline::new(Model::shipped(), Arc::new(policy), Name::root(), 7);
    let source = |id: &str| Source { profile: Profile::scored(id, id), claims: Claims::none() };
    pipeline.set_sources(vec![source("openphish"), source("certpl")]);
    pipeline.set_standings(Standings {
        popularity: Arc::new(popularity()),
        seen: Arc::new(view),
        ..Standings::default()
    });
    pipeline.rebuild(NOW).unwrap()
}

#[test]
fn r7_holds_what_would_change_much_of_what_people_ask() {
    let usual = numbered("old", 1000);
    let with =
        |names: &[&str]| claims(usual.iter().map(String::as_str).chain(names.iter().copied()));
    // Ten domains with 12 of 20,000 queries each: 0.6 %, and each too few for guard G5.
    let busy = numbered("busy", 10);
    let busy: Vec<&str> = busy.iter().map(String::as_str).collect();
    let feed =
        || Feed { state: with_queries(&busy, 12), id: "openphish", ..Feed::of(claims(&usual)) };
    let mut both = feed();
    assert_eq!(both.fetch(with(&busy), 1), ["R7"]);
    assert_eq!(both.sizes(), (1000, 10));
    let mut one = feed();
    assert_eq!(one.fetch(with(&busy[..5]), 1), [""; 0], "half of that");
    assert_eq!(one.sizes(), (1005, 0));
    // It still would after a day, so it goes on waiting.
    assert_eq!(both.fetch(with(&busy), 20), ["R7"]);
    assert_eq!(both.sizes(), (1000, 10));
    let mut unknown = Feed::of(claims(&usual));
    assert_eq!(unknown.fetch(with(&busy), 1), [""; 0], "nobody has counted queries");
}

#[test]
fn r8_bounds_what_hangs_on_a_source_that_may_block_alone() {
    let usual = numbered("old", 1000);
    let with = |count: usize| {
        claims(usual.iter().cloned().chain(numbered("new", count)).collect::<Vec<_>>())
    };
    let feed = |id| Feed { id, ..Feed::of(claims(&usual)) };
    let mut certpl = feed("certpl");
    assert_eq!(certpl.fetch(with(40), 1), [""; 0]);
    assert_eq!((certpl.sizes(), certpl.pivotal_today), ((1040, 0), 40));
    assert_eq!(certpl.fetch(with(80), 2), ["R8"]);
    assert_eq!((certpl.sizes(), certpl.pivotal_today), ((1050, 30), 50));
    // One that only redirects alone is bounded by R4.
    let mut urlhaus = feed("urlhaus");
    assert_eq!(urlhaus.fetch(with(150), 1), [""; 0]);
    assert_eq!(urlhaus.sizes(), (1150, 0));
}

/// The table of SCORING 4.4 as one story: a feed is poisoned in each way, and what people get stays
/// what it was.
#[test]
fn a_poisoned_feed_changes_nothing_that_people_get() {
    let usual = numbered("old", 1000);
    let poisoned =
        |planted: Vec<String>| claims(usual.iter().cloned().chain(planted).collect::<Vec<_>>());
    // Top sites planted: dropped or put aside.
    let mut feed = Feed::of(claims(&usual));
    let top = ["top.com", "known.com", "known2.com", "known3.com", "www.top.com"];
    assert!(!feed.fetch(poisoned(top.map(str::to_owned).into()), 1).is_empty());
    assert_eq!(feed.sizes().0, 1000);
    // Doubled with junk: put aside.
    let mut feed = Feed::of(claims(&usual));
    assert!(feed.fetch(poisoned(numbered("junk", 1100)), 1).contains(&"R4"));
    assert_eq!(feed.sizes(), (1000, 1100));
    // Emptied to a third: what is gone stays until a second fetch agrees.
    let mut feed = Feed::of(claims(&usual));
    assert!(feed.fetch(claims(&usual[..300]), 1).contains(&"R3"));
    assert_eq!(feed.sizes().0, 1000);
    // Frozen: nothing is new and nothing breaks; claims fade by their own age.
    let mut feed = Feed::of(claims(&usual));
    for day in 1..=30 {
        assert_eq!(feed.fetch(claims(&usual), day * 24), [""; 0]);
    }
    assert_eq!(feed.sizes(), (1000, 0));
    // What no list may name: dropped.
    let mut feed = Feed::of(claims(&usual));
    let forbidden = ["co.uk", "github.io", "10.0.0.0/8", "0.0.0.0/0"];
    feed.fetch(poisoned(forbidden.map(str::to_owned).into()), 1);
    assert_eq!(feed.sizes(), (1000, 0));
}

//! What is kept, for how long, and what is pushed out.

use super::testing::*;
use super::*;
use rand::{RngExt, SeedableRng};

fn cache() -> Cache {
    Cache::new(CacheSettings::default())
}

/// The lookup in a word, with the time to live that would be given out.
fn look(cache: &Cache, of: &Question, now: u64) -> (&'static str, Option<Ttl>) {
    match cache.lookup(of.into(), now, 0) {
        Lookup::Fresh { answer, refresh: false, .. } => ("fresh", Some(answer.ttl)),
        Lookup::Fresh { answer, refresh: true, .. } => ("refresh", Some(answer.ttl)),
        Lookup::Stale { answer, retry: false } => ("stale", Some(answer.ttl)),
        Lookup::Stale { answer, retry: true } => ("stale, retry", Some(answer.ttl)),
        Lookup::Failed(_) => ("failed", None),
        Lookup::Miss => ("miss", None),
    }
}

#[test]
fn an_answer_ages_and_then_is_stale_and_then_gone() {
    let settings = CacheSettings { prefetch_hits_min: 0, ..CacheSettings::default() };
    let (cache, a) = (Cache::new(settings), about("a.test"));
    cache.insert(&a, address("a.test", 300), 1_000);
    for (now, expected) in [
        (1_000, ("fresh", Some(Ttl::Aged(0)))),
        (1_999, ("fresh", Some(Ttl::Aged(0)))),
        (61_000, ("fresh", Some(Ttl::Aged(60)))),
        (300_999, ("fresh", Some(Ttl::Aged(299)))),
        (301_000, ("stale, retry", Some(Ttl::Fixed(30)))),
        (86_700_999, ("stale, retry", Some(Ttl::Fixed(30)))),
        (86_701_000, ("miss", None)),
    ] {
        assert_eq!(look(&cache, &a, now), expected, "{now}");
    }
}

#[test]
fn a_stale_answer_says_so() {
    let cache = cache();
    cache.insert(&about("a.test"), address("a.test", 1), 0);
    cache.insert(&about("no.test"), nothing("no.test", 1), 0);
    for (of, code) in [("a.test", 3), ("no.test", 19)] {
        let Lookup::Stale { answer, .. } = cache.lookup((&about(of)).into(), 2_000, 0) else {
            panic!("{of} is stale");
        };
        assert_eq!(answer.extended_error.unwrap().code, code);
    }
}

#[test]
fn questions_that_differ_in_anything_have_answers_of_their_own() {
    let (cache, base) = (cache(), about("a.test"));
    cache.insert(&base, address("a.test", 300), 0);
    for other in [
        about("b.test"),
        Question { rtype: 28, ..base.clone() },
        Question { dnssec_ok: true, ..base.clone() },
        Question { checking_disabled: true, ..base.clone() },
    ] {
        assert_eq!(look(&cache, &other, 0).0, "miss", "{other:?}");
    }
    assert_eq!(look(&cache, &about("A.Test"), 0).0, "fresh");
    assert_eq!(QuestionRef::from(&base).to_owned(), base);
}

#[test]
fn what_may_not_be_kept_is_not_and_takes_the_old_away() {
    let (cache, a) = (cache(), about("a.test"));
    cache.insert(&a, address("a.test", 300), 0);
    cache.insert(&a, address("a.test", 0), 1_000);
    assert_eq!(look(&cache, &a, 1_000).0, "miss");
}

#[test]
fn times_to_live_have_bounds_by_kind() {
    let settings = CacheSettings { ttl_min_seconds: 60, ..CacheSettings::default() };
    let cache = Cache::new(settings);
    for (resolution, kept) in [
        (address("a.test", 5), 60),
        (address("a.test", 500), 500),
        (address("a.test", 999_999), 86_400),
        (nothing("a.test", 5), 5),
        (nothing("a.test", 999_999), 3_600),
    ] {
        let bounded = cache.insert(&about("a.test"), resolution, 0);
        assert_eq!(bounded.ttl_seconds, kept);
        assert_eq!(bounded.sections.ttl_min_seconds(), Some(kept));
    }
    let bogus = Resolution { security: Security::Bogus, ..(*address("a.test", 500)).clone() };
    assert_eq!(cache.insert(&about("a.test"), Arc::new(bogus), 0).ttl_seconds, 60);
}

#[test]
fn failures_are_kept_for_a_time_that_doubles_up_to_its_bound() {
    let (cache, a) = (cache(), about("a.test"));
    let (mut now, mut seconds) = (0, Vec::new());
    for _ in 0..7 {
        cache.insert_failure(&a, failure(), now);
        let start = now;
        while look(&cache, &a, now).0 == "failed" {
            now += 1_000;
        }
        seconds.push((now - start) / 1_000);
    }
    assert_eq!(seconds, [5, 10, 20, 40, 60, 60, 60]);
    cache.insert(&a, address("a.test", 1), now);
    let now = now + 90_000_000;
    cache.insert_failure(&a, failure(), now);
    assert_eq!(look(&cache, &a, now + 4_999).0, "failed");
    assert_eq!(look(&cache, &a, now + 5_000).0, "miss", "a new row of failures");
}

#[test]
fn after_a_failure_what_is_stale_is_given_out_without_trying_for_half_a_minute() {
    let (cache, a) = (cache(), about("a.test"));
    cache.insert(&a, address("a.test", 10), 0);
    cache.insert_failure(&a, failure(), 5_000);
    assert_eq!(look(&cache, &a, 9_999).0, "fresh");
    cache.insert_failure(&a, failure(), 20_000);
    for (now, expected) in [(20_000, "stale"), (49_999, "stale"), (50_000, "stale, retry")] {
        assert_eq!(look(&cache, &a, now).0, expected, "{now}");
    }
    cache.insert(&a, address("a.test", 10), 51_000);
    assert_eq!(look(&cache, &a, 51_000).0, "fresh");
}

#[test]
fn without_staleness_an_answer_ends_with_its_time() {
    let settings = CacheSettings { stale_max_seconds: 0, ..CacheSettings::default() };
    let (cache, a) = (Cache::new(settings), about("a.test"));
    cache.insert(&a, address("a.test", 10), 0);
    assert_eq!(look(&cache, &a, 10_000).0, "miss");
    cache.insert_failure(&a, failure(), 10_000);
    assert_eq!((look(&cache, &a, 14_999).0, look(&cache, &a, 15_000).0), ("failed", "miss"));
}

#[test]
fn a_popular_answer_is_asked_for_again_once_in_the_last_tenth_of_its_time() {
    let (cache, a) = (cache(), about("a.test"));
    cache.insert(&a, address("a.test", 100), 0);
    for now in [0, 50_000, 90_000] {
        assert_eq!(look(&cache, &a, now).0, "fresh");
    }
    assert_eq!(look(&cache, &a, 90_001).0, "refresh");
    assert_eq!(look(&cache, &a, 90_002).0, "fresh", "once is enough");
    for (ttl, hits) in [(100, 2), (9, 9)] {
        cache.insert(&a, address("a.test", ttl), 0);
        let last = u64::from(ttl) * 1_000 - 1;
        for _ in 0..hits {
            assert_eq!(look(&cache, &a, last).0, "fresh", "{ttl} {hits}");
        }
    }
}

#[test]
fn a_flush_takes_a_name_or_all_below_it_or_everything() {
    let cache = cache();
    let names = ["test", "a.test", "b.a.test", "nota.test"];
    let left = |cache: &Cache| -> Vec<&str> {
        names.into_iter().filter(|of| look(cache, &about(of), 0).0 == "fresh").collect()
    };
    let fill = || {
        for of in names {
            for rtype in [1, 28] {
                cache.insert(&Question { rtype, ..about(of) }, address(of, 9), 0);
            }
        }
    };
    fill();
    cache.flush_name(name("a.test").as_ref());
    assert_eq!(left(&cache), ["test", "b.a.test", "nota.test"]);
    fill();
    cache.flush_below(name("a.test").as_ref());
    assert_eq!((left(&cache), cache.entry_count()), (vec!["test", "nota.test"], 4));
    cache.flush();
    assert_eq!((cache.entry_count(), cache.size_bytes()), (0, 0));
}

#[test]
fn the_bound_in_octets_holds_under_random_load() {
    let size_bytes_max = 1 << 20;
    let cache = Cache::new(CacheSettings { size_bytes_max, ..CacheSettings::default() });
    for seed in 0..4 {
        let mut dice = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        for step in 0..20_000_u64 {
            let of = format!("n{}.test", dice.random_range(0..5_000));
            match dice.random_range(0..10) {
                0 => cache.insert_failure(&about(&of), failure(), step),
                1..4 => drop(cache.lookup((&about(&of)).into(), step, 0)),
                _ => {
                    let count = dice.random_range(0..8);
                    let octets = [4, 16, 600, 5_000][dice.random_range(0..4)];
                    cache.insert(&about(&of), with_records(&of, 300, count, octets), step);
                }
            }
            assert!(cache.size_bytes() <= size_bytes_max, "seed {seed} step {step}");
        }
        let counted: u64 = cache.map.iter().map(|(_, entry)| entry.octets).sum();
        assert_eq!(counted, cache.size_bytes(), "seed {seed}");
        assert!(counted > size_bytes_max / 2, "seed {seed}: the room is used");
    }
}

#[test]
fn shared_servers_of_the_top_are_not_counted_in_each_answer() {
    use crate::model::AnswerStep;
    let cut = |zone: &str| -> Arc<[Nameserver]> {
        let server = Nameserver { zone: name(zone), name: name("ns.test"), addresses: vec![] };
        vec![server; 13].into()
    };
    let with = |nameservers: Vec<Arc<[Nameserver]>>| {
        let mut resolution = (*address("a.example.com", 9)).clone();
        let name = name("a.example.com");
        resolution.facts.steps = vec![AnswerStep { name, nameservers, addresses: vec![] }];
        heap_octets(&resolution)
    };
    let (none, top, all) = (
        with(vec![]),
        with(vec![cut("."), cut("com")]),
        with(vec![cut("."), cut("com"), cut("example.com")]),
    );
    assert_eq!(top - none, 32);
    assert!(all - top > 13 * 72);
}

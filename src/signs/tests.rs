//! Streams of queries, made up.

use super::*;

const START: u32 = 1_000_000;

fn name(text: &str) -> Name {
    Name::from_host(text).unwrap()
}

/// What a stream makes signs of: kind, subject and time.
fn signs(queries: impl IntoIterator<Item = (u32, String, bool)>) -> Vec<(Kind, String, u32)> {
    let mut watch = Watch::default();
    let mut found = Vec::new();
    for (at, text, missing) in queries {
        let name = name(&text);
        let query = Query {
            at: Timestamp(START + at),
            group: "staff",
            name: name.as_ref(),
            holder: name.as_ref().top(2),
            missing,
            usual: false,
        };
        watch.see(&query, |sign| {
            found.push((sign.kind, sign.subject.to_string(), sign.at.0 - START));
        });
    }
    found
}

/// Letters that look random, always the same.
fn scrambled(seed: u32, length: usize) -> String {
    let mut state = u64::from(seed) * 2_654_435_761 + 1;
    (0..length)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + (state >> 33) as u8 % 26)
        })
        .collect()
}

#[test]
fn data_in_names_is_a_sign_once_an_hour() {
    let names = (0..1_000).map(|n| (n, format!("{}.t.evil.net", scrambled(n, 40)), false));
    let found = signs(names);
    assert_eq!(found, [(Kind::Tunnel, "evil.net".to_owned(), 99)]);
    let slow = (0..200).map(|n| (n * 60, format!("{}.t.evil.net", scrambled(n, 40)), false));
    assert!(signs(slow).iter().all(|(kind, ..)| *kind != Kind::Tunnel), "ten names in ten minutes");
    let short = (0..400).map(|n| (n, format!("host{n}.shop.net"), false));
    assert_eq!(signs(short), []);
}

#[test]
fn a_burst_of_made_up_domains_is_a_sign_and_typing_is_not() {
    let burst = (0..60).map(|n| (n, format!("{}.com", scrambled(n, 12)), true));
    assert_eq!(signs(burst), [(Kind::Dga, ".".to_owned(), 29)]);
    let slow = (0..60).map(|n| (n * 60, format!("{}.com", scrambled(n, 12)), true));
    assert_eq!(signs(slow), []);
    let one_domain = (0..200).map(|n| (n, format!("printer{n}.corp-name.com"), true));
    assert_eq!(signs(one_domain), []);
    let exist = (0..60).map(|n| (n, format!("{}.com", scrambled(n, 12)), false));
    assert_eq!(signs(exist), []);
}

#[test]
fn a_call_every_five_minutes_is_a_sign_and_a_person_is_not() {
    // A few seconds of jitter, and a second query right after each.
    let calls = (0..40u32).flat_map(|n| {
        let at = n * 300 + n * 7 % 11;
        [(at, "evil.net".to_owned(), false), (at + 1, "evil.net".to_owned(), false)]
    });
    let found = signs(calls);
    assert_eq!((found[0].0, found[0].1.as_str()), (Kind::Beacon, "evil.net"));
    assert!((6_000..6_100).contains(&found[0].2), "{found:?}");
    let person = (0..60u32).map(|n| (n * n * 17 % 20_000 + n * 300, "news.net".to_owned(), false));
    assert_eq!(signs(person), []);
}

#[test]
fn what_is_usual_makes_no_sign_and_the_tables_are_bounded() {
    let mut watch = Watch::default();
    for n in 0..30_000u32 {
        let name = name(&format!("{}.d{n}.com", scrambled(n, 40)));
        let query = Query {
            at: Timestamp(START + n / 100),
            group: "staff",
            name: name.as_ref(),
            holder: name.as_ref().top(2),
            missing: false,
            usual: n % 2 == 0,
        };
        watch.see(&query, |sign| panic!("{sign:?}"));
        assert!(watch.flows.0.len() <= DOMAINS_MAX && watch.beats.0.len() <= DOMAINS_MAX);
    }
    assert!(watch.flows.0.keys().all(|(_, holder)| {
        let text = holder.to_string();
        text.trim_start_matches('d').trim_end_matches(".com").parse::<u32>().unwrap() % 2 == 1
    }));
}

#[test]
fn a_clock_that_is_set_back_makes_no_sign() {
    let names = (0..200u32).map(|n| (200 - n, format!("{}.evil.net", scrambled(n, 40)), false));
    assert_eq!(signs(names), []);
}

//! Blocks as people get them.

use super::*;
use crate::zone::profile::PROFILES;

fn facts(signed: bool) -> Facts {
    let zone = |text: &str, groups: &[&str]| ZoneFacts {
        name: Name::from_presentation(text).unwrap(),
        file: PathBuf::from(format!("/var/lib/sekisho/rpz/{text}")),
        groups: groups.iter().map(|group| (*group).to_owned()).collect(),
    };
    let key = signed.then(|| KeyFacts {
        name: Name::from_presentation("transfer.example").unwrap(),
        algorithm: "hmac-sha256".to_owned(),
        secret: None,
    });
    Facts {
        zones: vec![zone("allow.rpz", &[]), zone("threat.rpz", &[])],
        server: "192.0.2.1:53".parse().unwrap(),
        key,
    }
}

fn block(profile: &str, by: By, signed: bool) -> String {
    snippet(&facts(signed), Profile::named(profile).unwrap(), by).unwrap()
}

#[test]
fn blocks_are_ready_to_use() {
    insta::assert_snapshot!("bind_by_transfer", block("bind", By::Transfer, true));
    insta::assert_snapshot!("bind_by_file", block("bind", By::File, false));
    insta::assert_snapshot!("unbound_by_transfer", block("unbound", By::Transfer, true));
    insta::assert_snapshot!("unbound_by_file", block("unbound", By::File, false));
    insta::assert_snapshot!("pdns_by_transfer", block("pdns-recursor", By::Transfer, true));
    insta::assert_snapshot!("pdns_by_file", block("pdns-recursor", By::File, false));
    insta::assert_snapshot!("pdns_5_5_by_transfer", block("pdns-recursor-5.5", By::Transfer, true));
    insta::assert_snapshot!("knot_by_transfer", block("knot", By::Transfer, true));
    insta::assert_snapshot!("knot_by_file", block("knot", By::File, false));
    insta::assert_snapshot!("knot_5_by_file", block("knot-5", By::File, false));
}

#[test]
fn a_secret_is_shown_only_where_it_was_asked_for() {
    let mut facts = facts(true);
    let all = |facts: &Facts| -> Vec<String> {
        let ways = [By::Transfer, By::File];
        let of = |p: &'static Profile| ways.map(|by| snippet(facts, p, by));
        PROFILES.iter().flat_map(of).flatten().collect()
    };
    assert!(all(&facts).iter().any(|text| text.contains("ask again with `--secrets`")));
    facts.key.as_mut().unwrap().secret = Some("c2VjcmV0".to_owned());
    let shown = all(&facts).iter().filter(|text| text.contains("c2VjcmV0")).count();
    // BIND, PowerDNS twice, Knot twice; Unbound has no keys.
    assert_eq!(shown, 5);
}

#[test]
fn zones_of_groups_say_so_and_lines_are_not_long() {
    let mut facts = facts(false);
    facts.zones[1].groups = vec!["kids".to_owned(), "guests".to_owned()];
    let text = snippet(&facts, Profile::of(Family::Bind), By::File).unwrap();
    assert!(text.contains("// - threat.rpz is for the clients of kids, guests alone.\n"), "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

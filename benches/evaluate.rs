//! What a query costs: the first look at one zone of a million random domains, and the second
//! look at an answer whose addresses are held against 300,000 prefixes.
//!
//! `cargo bench --bench evaluate`

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};

use criterion::{Criterion, criterion_group, criterion_main};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sekisho::model::{Action, AnswerFacts, AnswerStep, Name, Network, Rule, Trigger};
use sekisho::snapshot::{Query, Snapshot, Step, Transport};
use sekisho::zone::{PolicyZone, Serial, Soa, Zone, ZoneBuilder, ZoneOptions};

const DOMAINS: usize = 1_000_000;
const PREFIXES: usize = 300_000;
const SEED: u64 = 7;
/// Names asked in turn, so that no name stays in the processor's cache.
const ASKED: usize = 1 << 16;

fn begin(criterion: &mut Criterion) {
    let mut dice = ChaCha8Rng::seed_from_u64(1);
    let domains: Vec<Name> = (0..DOMAINS).map(|_| domain(&mut dice, "")).collect();
    let snapshot = snapshot(vec![name_zone(&domains)]);
    let listed = domains.iter().step_by(DOMAINS / ASKED).take(ASKED).cloned();
    let listed: Vec<Name> = listed.collect();
    let below = listed.iter().map(|name| name.child(b"www").expect("short"));
    let unlisted = (0..ASKED).map(|_| domain(&mut dice, "www.cdn."));
    for (title, names) in [
        ("begin, listed name", listed.clone()),
        ("begin, below a listed name", below.collect()),
        ("begin, not listed, four labels", unlisted.collect()),
    ] {
        let mut names = names.iter().cycle();
        criterion.bench_function(title, |bencher| {
            bencher.iter(|| {
                let name = names.next().expect("a cycle");
                matches!(snapshot.begin(black_box(&query(name))), Step::Decided { .. })
            });
        });
    }
    let mut names = listed.iter().cycle();
    let one = snapshot.zone(0).expect("one zone").zone.query_names();
    criterion.bench_function("the table alone, listed name", |bencher| {
        bencher.iter(|| one.find(black_box(names.next().expect("a cycle").as_ref())));
    });
}

fn finish(criterion: &mut Criterion) {
    let mut dice = ChaCha8Rng::seed_from_u64(2);
    let zones = vec![name_zone(&[]), address_zone(&mut dice)];
    let snapshot = snapshot(zones);
    let facts: Vec<AnswerFacts> = (0..ASKED).map(|_| facts(&mut dice)).collect();
    let mut facts = facts.iter().cycle();
    criterion.bench_function("finish, one address", |bencher| {
        bencher.iter(|| {
            let facts = facts.next().expect("a cycle");
            let Step::Resolve(evaluation) = snapshot.begin(&query(&facts.steps[0].name)) else {
                return false;
            };
            evaluation.finish(black_box(facts)).hit.is_some()
        });
    });
}

fn query(name: &Name) -> Query<'_> {
    Query {
        name: name.as_ref(),
        rtype: 1,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        transport: Transport::Udp,
        recursion_desired: true,
        dnssec_ok: true,
    }
}

fn facts(dice: &mut ChaCha8Rng) -> AnswerFacts {
    let addresses = vec![IpAddr::V4(Ipv4Addr::from_bits(dice.random()))];
    let step = AnswerStep { name: domain(dice, "www."), addresses, nameservers: Vec::new() };
    AnswerFacts { steps: vec![step], signed: false }
}

/// Eight to sixteen random letters under one of a few top-level domains.
fn domain(dice: &mut ChaCha8Rng, front: &str) -> Name {
    let length = dice.random_range(8..=16);
    let label: String = (0..length).map(|_| char::from(dice.random_range(b'a'..=b'z'))).collect();
    let top = ["com", "net", "org", "top", "xyz"][dice.random_range(0..5)];
    Name::from_host(&format!("{front}{label}.{top}")).expect("a host name")
}

fn name_zone(domains: &[Name]) -> Zone {
    let mut builder = builder();
    for name in domains {
        let rules = Rule::domain(name.as_ref(), &Action::NxDomain, 60);
        rules.into_iter().for_each(|rule| builder.insert(rule));
    }
    builder.finish().0
}

fn address_zone(dice: &mut ChaCha8Rng) -> Zone {
    let mut builder = builder();
    for _ in 0..PREFIXES {
        let address = IpAddr::V4(Ipv4Addr::from_bits(dice.random()));
        let network = Network::new(address, dice.random_range(16..=32)).expect("in range");
        let trigger = Trigger::AnswerAddress(network);
        builder.insert(Rule { trigger, action: Action::NxDomain, ttl: 60 });
    }
    builder.finish().0
}

fn builder() -> ZoneBuilder {
    ZoneBuilder::new(Name::from_host("rpz.test").expect("a name"), Soa::ours(Serial(1)), SEED)
}

fn snapshot(zones: Vec<Zone>) -> Snapshot {
    let policy = |zone| PolicyZone { zone, options: ZoneOptions::ours() };
    Snapshot::new(1, SEED, zones.into_iter().map(policy).collect(), Vec::new(), None)
        .expect("few zones, one seed")
}

criterion_group!(benches, begin, finish);
criterion_main!(benches);

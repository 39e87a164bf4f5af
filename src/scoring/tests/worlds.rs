//! Random cases: every field of the fact record, all four kinds, many values at the edges where
//! the document changes its mind.

use std::collections::BTreeMap;

use rand::RngExt;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use crate::model::Category;
use crate::scoring::facts::{Admin, ApiVoid, Facts, Host, Infrastructure, Kind, Tip, VirusTotal};
use crate::scoring::file::Class;
use crate::scoring::record::{FactRecord, ListingRecord};
use crate::scoring::replay::{Case, HeldRecord, PreviousRecord};
use crate::scoring::{Level, Model};

/// A random case for a model.
pub fn case(rng: &mut ChaCha8Rng, model: &Model, id: usize) -> Case {
    let kind = *Kind::ALL.choose(rng).unwrap();
    let mut facts = facts(rng, kind).with_listings(listings(rng, model, kind));
    let mut overlay = BTreeMap::new();
    if rng.random_bool(0.1) {
        // Ids that sort before and after all others.
        let prefix = if rng.random() { "a" } else { "z" };
        copy_one(rng, &mut facts, &mut overlay, |_, copy| format!("{prefix}{copy}"));
    }
    Case { id: id.to_string(), facts, prev: previous(rng), overlay, expect: None }
}

/// Makes the facts name ten copies of one of their listings beside it.
pub fn copy_one(
    rng: &mut ChaCha8Rng,
    facts: &mut FactRecord,
    overlay: &mut BTreeMap<String, (String, String)>,
    name: impl Fn(&str, usize) -> String,
) {
    let Some(original) = facts.listings.choose(rng).cloned() else { return };
    let like = original.source.clone();
    overlay.insert(like.clone(), (like.clone(), "one".to_owned()));
    for copy in 0..10 {
        let id = name(&like, copy);
        overlay.insert(id.clone(), (like.clone(), "one".to_owned()));
        facts.listings.push(ListingRecord { source: id, ..original.clone() });
    }
    facts.listings.shuffle(rng);
}

fn listings(rng: &mut ChaCha8Rng, model: &Model, kind: Kind) -> Vec<ListingRecord> {
    let lists = model.sources().iter().filter(|source| source.class() == Class::List);
    let (fitting, others): (Vec<_>, Vec<_>) =
        lists.partition(|source| source.precision_ppm(kind).is_some());
    let count = *[0, 1, 1, 2, 2, 3, 4, 6, 9, 20].choose(rng).unwrap();
    let mut chosen: Vec<_> = fitting.sample(rng, count).copied().collect();
    if rng.random_bool(0.1) {
        chosen.extend(others.choose(rng));
    }
    if rng.random_bool(0.02) {
        chosen.extend(chosen.first().copied());
    }
    let mut record = |id: &str| ListingRecord {
        source: id.to_owned(),
        age_h: match rng.random_range(0..4) {
            0 => rng.random_range(0..50),
            1 => rng.random_range(0..400),
            2 => rng.random_range(0..4000),
            _ => *[0, 47, 48, 49, 480, 719, 720, 721, u32::MAX].choose(rng).unwrap(),
        },
        quarantined: rng.random_bool(0.05),
        url: rng.random_bool(0.1),
        category: Category::ALL.choose(rng).copied().filter(|&c| c != Category::Suspicious),
    };
    chosen.into_iter().map(|source| record(source.id())).collect()
}

fn facts(rng: &mut ChaCha8Rng, kind: Kind) -> Facts {
    let mut facts = Facts::new(kind);
    if rng.random_bool(0.4) {
        facts.vt = Some(virus_total(rng));
    }
    if rng.random_bool(0.2) {
        facts.apivoid = Some(ApiVoid {
            detections: rng.random_range(0..9),
            engines: rng.random_range(0..100),
            age_h: age(rng),
        });
    }
    if rng.random_bool(0.2) {
        let malware_db_hit = *[None, Some(false), Some(true)].choose(rng).unwrap();
        facts.tip = Some(Tip { malware_db_hit, age_h: age(rng) });
    }
    facts.age_days =
        maybe(rng, 0.6, &[0, 1, 6, 7, 29, 30, 89, 90, 364, 365, 1824, 1825, 3649, 3650]);
    facts.nod_hours = maybe(rng, 0.3, &[0, 23, 24, 167, 168, 5000]);
    let edges = [1, 1000, 1001, 10_000, 10_001, 100_000, 100_001, 1_000_000, 1_000_001];
    facts.rank30 = maybe(rng, 0.3, &edges);
    facts.local_history = rng.random_bool(0.15);
    facts.prediction = rng.random_bool(0.3).then(|| rng.random_range(-500..3500));
    if rng.random_bool(0.5) {
        facts.infrastructure = infrastructure(rng);
    }
    facts.asn_local_log_ratio = rng.random_bool(0.4).then(|| rng.random_range(-1000..2500));
    facts.bgpranking_q_ppm = maybe(rng, 0.2, &[0, 999, 1000, 1001, 10_000, 10_001, 50_000, 50_001]);
    if rng.random_bool(0.03) {
        facts.admin = Some(*[Admin::Allow, Admin::Deny].choose(rng).unwrap());
    }
    facts.hosted_domains = maybe(rng, 0.3, &[0, 2, 49, 50, 41_000]);
    facts.hosted_popular = maybe(rng, 0.3, &[0, 0, 0, 1, 9]);
    facts.traffic_share_ppm = maybe(rng, 0.3, &[0, 3, 999, 1000, 41_000]);
    for rare in [
        &mut facts.special,
        &mut facts.public_suffix,
        &mut facts.critical,
        &mut facts.shared_range,
        &mut facts.multi_tenant_apex,
        &mut facts.multi_tenant,
        &mut facts.sinkholed,
        &mut facts.parked,
        &mut facts.no_popularity_list,
    ] {
        *rare = rng.random_bool(0.04);
    }
    facts.below_registrable = rng.random_bool(0.3);
    facts
}

fn virus_total(rng: &mut ChaCha8Rng) -> VirusTotal {
    let malicious = *[0, 0, 0, 1, 2, 3, 5, 7, 12, 16, 40].choose(rng).unwrap();
    VirusTotal {
        malicious,
        suspicious: rng.random_range(0..3),
        harmless: rng.random_range(0..60),
        undetected: rng.random_range(0..60),
        dup_engines: rng.random_range(0..3),
        age_h: age(rng),
        seen_h_before_analysis: maybe(rng, 0.8, &[0, 23, 24, 9000]),
        votes_malicious: rng.random_range(0..40),
        votes_harmless: *[0, 1, 5, 900].choose(rng).unwrap(),
    }
}

fn infrastructure(rng: &mut ChaCha8Rng) -> Infrastructure {
    let mut mban = |known: f64| rng.random_bool(known).then(|| rng.random_range(-700..1600));
    let host = Host { asn: mban(0.9), prefix: mban(0.9), ip: mban(0.9) };
    let (ns, siblings) = (mban(0.7), mban(0.4));
    let host = rng.random_bool(0.8).then_some(host);
    Infrastructure { host, ns, ns_large: rng.random_bool(0.3), siblings }
}

fn previous(rng: &mut ChaCha8Rng) -> Option<PreviousRecord> {
    let level = *Level::ALL.choose(rng).unwrap();
    match rng.random_range(0..4) {
        0 => None,
        1 => {
            let (held_h, changes) = (rng.random_range(0..9), rng.random_range(0..6));
            Some(PreviousRecord::Held(HeldRecord { level, held_h, changes }))
        }
        _ => Some(PreviousRecord::Level(level)),
    }
}

fn age(rng: &mut ChaCha8Rng) -> u32 {
    if rng.random_bool(0.7) {
        return rng.random_range(0..800);
    }
    *[0, 72, 73, 719, 720, 1511, 1512, 2231, 2232, u32::MAX].choose(rng).unwrap()
}

/// One of the values, if known.
fn maybe(rng: &mut ChaCha8Rng, known: f64, values: &[u32]) -> Option<u32> {
    rng.random_bool(known).then(|| *values.choose(rng).unwrap())
}

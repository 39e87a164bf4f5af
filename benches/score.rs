//! What a judgement costs: a million domains and 300,000 addresses of six sources, scored and
//! compiled to zones, and then again with one source of 10,000 entries changed.
//!
//! `cargo bench --bench score` prints seconds of processor time, as the system counts them for
//! this process, and the most memory it held.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::sync::Arc;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sekisho::evidence::{Claims, ClaimsBuilder, Popularity, PublicSuffixes, RankList};
use sekisho::model::{Category, Claim, Indicator, Name, Network, Scope, SourceId, Timestamp};
use sekisho::names::NameTable;
use sekisho::pipeline::{Pipeline, Profile, Source, Standings};
use sekisho::policy;
use sekisho::scoring::Model;

const DOMAINS: usize = 1_000_000;
const ADDRESSES: usize = 300_000;
const UPDATED: usize = 10_000;
const NOW: Timestamp = Timestamp(1_795_478_400);
const SUFFIXES: [&str; 6] = ["com", "net", "top", "co.uk", "pages.dev", "xyz"];

fn main() {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let domains: Vec<String> = (0..DOMAINS).map(|_| domain(&mut dice)).collect();
    let addresses: Vec<String> = (0..ADDRESSES)
        .map(|_| Ipv4Addr::from(dice.random_range(0x0100_0000..0xdf00_0000u32)).to_string())
        .collect();
    let mut sources = Vec::new();
    // Each domain is on one or two of four lists; each address on one of two.
    for (at, id) in ["openphish", "urlhaus", "hagezi_tif", "maltrail_malware"].iter().enumerate() {
        let names = domains.iter().enumerate().filter(|(n, _)| n % 4 == at || n % 7 == at);
        sources.push(source(id, names.map(|(_, name)| name.as_str())));
    }
    for (at, id) in ["threatfox", "et_compromised"].iter().enumerate() {
        let listed = addresses.iter().enumerate().filter(|(n, _)| n % 2 == at);
        sources.push(source(id, listed.map(|(_, address)| address.as_str())));
    }
    sources.push(source("certpl", domains.iter().step_by(DOMAINS / UPDATED).map(String::as_str)));
    let mut pipeline = pipeline();
    pipeline.set_sources(sources);

    let (_, first) = timed(|| {
        pipeline.accept(pipeline.case(NOW).judge());
        pipeline.assemble(NOW).expect("zones fit together")
    });
    say(&format!("{DOMAINS} domains, {ADDRESSES} addresses, scored and compiled: {first:.3} s"));
    let again: Vec<String> = (0..UPDATED).map(|_| domain(&mut dice)).collect();
    let changed = claims(again.iter().map(String::as_str));
    let (_, update) = timed(|| {
        pipeline.set_claims(&SourceId::new("certpl"), changed.clone());
        pipeline.accept(pipeline.case(NOW.plus_seconds(60)).judge());
        pipeline.assemble(NOW.plus_seconds(60)).expect("zones fit together")
    });
    say(&format!("one source of {UPDATED} entries changed: {update:.3} s"));
    let levels = pipeline.tally().levels;
    say(&format!("names by level, from allow to block: {levels:?}"));
    say(&format!("most memory held: {} MiB", memory_mib()));
}

fn domain(dice: &mut ChaCha8Rng) -> String {
    let length = dice.random_range(6..16);
    let label: String = (0..length).map(|_| char::from(dice.random_range(b'a'..=b'z'))).collect();
    let host = if dice.random_range(0..3) == 0 { "login." } else { "" };
    format!("{host}{label}.{}", SUFFIXES[dice.random_range(0..SUFFIXES.len())])
}

fn claims<'n>(texts: impl Iterator<Item = &'n str>) -> Claims {
    let mut builder = ClaimsBuilder::default();
    for (at, text) in texts.enumerate() {
        let seen = Timestamp(NOW.0 - (at as u32 % 60) * 86_400);
        let claim = Claim {
            first_seen: seen,
            last_seen: seen,
            scope: Scope::Name,
            category: Category::Phishing,
        };
        let indicator = match text.parse() {
            Ok(address) => Indicator::Network(Network::host(address)),
            Err(_) => Indicator::Domain(Name::from_host(text).expect("a sound name")),
        };
        builder.push(&indicator, claim, false);
    }
    builder.finish(None)
}

fn source<'n>(id: &str, texts: impl Iterator<Item = &'n str>) -> Source {
    Source { profile: Profile::scored(id, id), claims: claims(texts) }
}

fn pipeline() -> Pipeline {
    let text = [("p.toml".to_owned(), "version = 1".to_owned())];
    let mut read = |_: &str| Err(std::io::ErrorKind::NotFound.into());
    let suffixes = PublicSuffixes::default();
    let policy = policy::load(&text, &mut read, &suffixes, NOW).0.expect("a sound policy");
    let suffix = Name::from_host("rpz").expect("a sound name");
    let mut pipeline = Pipeline::new(Model::shipped(), Arc::new(policy), suffix, 7);
    let day = NOW.0 / 86_400;
    let list = RankList { source: SourceId::new("ranks"), day, ranks: NameTable::empty() };
    let popularity = Popularity::join(&[list], day, &suffixes, 7);
    pipeline.set_standings(Standings { popularity: popularity.into(), ..Standings::default() });
    pipeline
}

/// What came, and seconds of processor time of this process.
fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let before = processor_seconds();
    let made = work();
    (made, processor_seconds() - before)
}

/// User and system time of this process, from `/proc` (proc_pid_stat(5)), which counts in
/// hundredths of a second.
fn processor_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let after_name = stat.rsplit_once(')').expect("the name ends").1;
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / 100.0
}

fn memory_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("it is there");
    let kib = line.split_whitespace().nth(1).and_then(|number| number.parse::<u64>().ok());
    kib.unwrap_or(0) / 1024
}

fn say(text: &str) {
    writeln!(std::io::stdout(), "{text}").expect("standard output takes a line");
}

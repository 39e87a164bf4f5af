//! What large zones cost: reading and writing a file, finding and making a change, sending and
//! taking a transfer; two million rules each.
//!
//! `cargo bench --bench zone`

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use sekisho::model::{Action, Name, Rule};
use sekisho::zone::file::{Limits, load, write_zone};
use sekisho::zone::wire::{TransferLimits, TransferReader, TransferWriter};
use sekisho::zone::{Delta, Serial, Soa, Zone, ZoneBuilder};

/// Each name has two rules: for itself and for all below.
const NAMES: u64 = 1_000_000;
const HASH_SEED: u64 = 7;
/// Of so many names one differs between two versions.
const CHANGED: u64 = 1_000;

fn origin() -> Name {
    Name::from_presentation("rpz").expect("a name")
}

/// A version without one name in [`CHANGED`].
fn version(serial: u32, without: u64) -> Zone {
    let mut zone = ZoneBuilder::new(origin(), Soa::ours(Serial(serial)), HASH_SEED);
    for index in (0..NAMES).filter(|index| index % CHANGED != without) {
        let label = index.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 24;
        let top = ["com", "net", "xyz"][(index % 3) as usize];
        let name = Name::from_presentation(&format!("{label:x}.{top}")).expect("a name");
        Rule::domain(name.as_ref(), &Action::NxDomain, 60).into_iter().for_each(|r| zone.insert(r));
    }
    zone.finish().0
}

fn text(zone: &Zone) -> Vec<u8> {
    let mut text = Vec::new();
    write_zone(zone, &mut text).expect("memory takes it");
    text
}

fn reader() -> TransferReader {
    TransferReader::full(origin(), 7, HASH_SEED, TransferLimits::default())
}

fn messages(zone: &Zone) -> Vec<Vec<u8>> {
    let reader = reader();
    let mut writer = TransferWriter::full(reader.request(), zone);
    let (mut messages, mut message) = (Vec::new(), Vec::new());
    while writer.next_message(&mut message) {
        messages.push(message.clone());
    }
    messages
}

fn zones(criterion: &mut Criterion) {
    let (old, new) = (version(1, 1), version(2, 2));
    let (file, sent) = (text(&old), messages(&old));
    let delta = Delta::between(&old, &new);
    let mut group = criterion.benchmark_group("zone");
    group.sample_size(10);
    group.bench_function("file, load", |bencher| {
        bencher.iter(|| load(&file[..], &origin(), HASH_SEED, &Limits::default()).expect("sound"));
    });
    group.bench_function("file, write", |bencher| bencher.iter(|| text(black_box(&old))));
    group.bench_function("change, find", |bencher| bencher.iter(|| Delta::between(&old, &new)));
    group.bench_function("change, make", |bencher| {
        bencher.iter(|| delta.apply(&old, HASH_SEED).expect("it fits"));
    });
    group.bench_function("transfer, send", |bencher| bencher.iter(|| messages(black_box(&old))));
    group.bench_function("transfer, take", |bencher| {
        bencher.iter(|| {
            let mut reader = reader();
            for message in &sent {
                reader.feed(message).expect("sound");
            }
            reader.finish().expect("whole")
        });
    });
    group.finish();
}

criterion_group!(benches, zones);
criterion_main!(benches);

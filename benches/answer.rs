//! What an answer costs between its two system calls: reading the question, the whole way of a
//! blocked and of a cached name, and the reply to a packet that came before.
//!
//! `cargo bench --bench answer`

#![allow(clippy::unwrap_used, reason = "a bench that cannot go on has failed")]

#[path = "../tests/support/small_world.rs"]
mod small_world;

use std::hint::black_box;
use std::net::SocketAddr;

use criterion::{Criterion, criterion_group, criterion_main};
use sekisho::resolver::handler::{Client, Fast};
use sekisho::resolver::message;
use small_world::{handler, query};

fn answers(criterion: &mut Criterion) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _inside = runtime.enter();
    let (handler, metrics) = handler();
    let shard = metrics.shard();
    let client = Client::udp(SocketAddr::from(([127, 0, 0, 1], 4000)));
    let (blocked, cached) = (query("www.bad.test"), query("www.good.test"));
    runtime.block_on(handler.answer(&cached, client, &shard)).unwrap();
    criterion.bench_function("read a question", |bencher| {
        let mut buffer = message::NameBuffer::default();
        bencher.iter(|| {
            let read = message::read(black_box(&cached), &mut buffer);
            matches!(read, message::Incoming::Query(_))
        });
    });
    let mut out = Vec::with_capacity(1232);
    let mut packets = handler.packet_cache();
    for (what, packet) in [("blocked", &blocked), ("cached", &cached)] {
        let now = handler.now();
        criterion.bench_function(&format!("{what}, made anew"), |bencher| {
            bencher.iter(|| handler.fast(black_box(packet), client, now, &shard, &mut out));
        });
        let look = handler.look(&mut packets);
        criterion.bench_function(&format!("{what}, again"), |bencher| {
            bencher.iter(|| {
                let packet = black_box(packet);
                let fast = handler.fast_from(&mut packets, &look, packet, client, &shard, &mut out);
                assert_eq!(fast, Fast::Reply);
            });
        });
    }
}

criterion_group!(benches, answers);
criterion_main!(benches);

//! The way of a query that policy or memory answers takes nothing from the allocator.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unsafe_code, reason = "an allocator that counts has no safe form")]

#[path = "support/small_world.rs"]
mod small_world;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::SocketAddr;

use sekisho::resolver::handler::{Client, Fast};
use small_world::{handler, query};

struct Counting;

thread_local! {
    static TAKEN: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: everything is left to the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = TAKEN.try_with(|taken| taken.set(taken.get() + 1));
        // SAFETY: as the caller promises.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        // SAFETY: as the caller promises.
        unsafe { System.dealloc(at, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn taken_by(work: impl FnOnce()) -> u64 {
    let before = TAKEN.get();
    work();
    TAKEN.get() - before
}

#[tokio::test]
async fn blocked_cached_and_local_names_take_nothing_from_the_allocator() {
    let (handler, metrics) = handler();
    let shard = metrics.shard();
    let client = Client::udp(SocketAddr::from(([127, 0, 0, 1], 4000)));
    let cached = query("www.good.test");
    handler.answer(&cached, client, &shard).await.unwrap();
    let mut out = Vec::with_capacity(1232);
    let mut packets = handler.packet_cache();
    for packet in [cached, query("www.bad.test"), query("localhost")] {
        let mut anew = || handler.fast(&packet, client, handler.now(), &shard, &mut out);
        // What is made once, such as a thread's own place in a lock-free list.
        assert_eq!(anew(), Fast::Reply);
        assert_eq!(taken_by(|| (0..100).for_each(|_| assert_eq!(anew(), Fast::Reply))), 0);
        let look = handler.look(&mut packets);
        let mut again =
            || handler.fast_from(&mut packets, &look, &packet, client, &shard, &mut out);
        assert_eq!(again(), Fast::Reply);
        assert_eq!(taken_by(|| (0..100).for_each(|_| assert_eq!(again(), Fast::Reply))), 0);
    }
    assert!(taken_by(|| drop(vec![0_u8; 99])) > 0, "the allocator counts");
}

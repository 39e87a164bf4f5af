//! The way of a query that policy or memory answers takes nothing from the allocator.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(unsafe_code, reason = "an allocator that counts has no safe form")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use arc_swap::ArcSwap;
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name as HickoryName, RecordType};
use prometheus_client::registry::Registry;
use sekisho::model::time::Clock;
use sekisho::model::{
    Action, AnswerFacts, AnswerStep, Name, NamePattern, Rule, Timestamp, Trigger,
};
use sekisho::ports::{Question, Record, Resolution, Sections, Security, Upstream, UpstreamError};
use sekisho::resolver::cache::{CacheSettings, CachingUpstream};
use sekisho::resolver::handler::{Client, Fast, Handler, HandlerSettings, InForce, Parts};
use sekisho::resolver::special::{SpecialSettings, SpecialZones};
use sekisho::snapshot::Snapshot;
use sekisho::telemetry::Metrics;
use sekisho::telemetry::events::EventSender;
use sekisho::zone::{PolicyZone, Serial, Soa, ZoneBuilder, ZoneOptions};

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

struct World;

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(7)
    }
}

#[async_trait::async_trait]
impl Upstream for World {
    async fn resolve(
        &self,
        question: &Question,
        _: Option<IpAddr>,
    ) -> Result<Arc<Resolution>, UpstreamError> {
        let owner = question.name.as_ref().to_wire().into();
        let record = Record { owner, rtype: 1, ttl: 300, rdata: [198, 51, 100, 1].into() };
        let step = AnswerStep {
            name: question.name.clone(),
            addresses: vec![IpAddr::from([198, 51, 100, 1])],
            ..AnswerStep::default()
        };
        Ok(Arc::new(Resolution {
            rcode: 0,
            is_negative: false,
            sections: Sections::encode(question.name.as_ref(), &[record], &[]).unwrap(),
            security: Security::Insecure,
            ttl_seconds: 300,
            facts: AnswerFacts { steps: vec![step], signed: false },
            extended_errors: Vec::new(),
        }))
    }
}

fn handler() -> (Handler, Metrics) {
    let name = |text: &str| Name::from_presentation(text).unwrap();
    let mut zone = ZoneBuilder::new(name("rpz1.policy"), Soa::ours(Serial(1)), 7);
    zone.insert(Rule {
        trigger: Trigger::QueryName(NamePattern::below(name("bad.test"))),
        action: Action::NxDomain,
        ttl: 60,
    });
    let zone = PolicyZone { zone: zone.finish().0, options: ZoneOptions::ours() };
    let snapshot = Snapshot::new(1, 7, vec![zone], Vec::new(), None).unwrap();
    let metrics = Metrics::new(Registry::default(), "test");
    let in_force = ArcSwap::from_pointee(InForce::new(snapshot.into(), &metrics));
    let parts = Parts {
        special: SpecialZones::new(&SpecialSettings::default()).unwrap(),
        in_force: Arc::new(in_force),
        upstream: Arc::new(CachingUpstream::new(CacheSettings::default(), Arc::new(World))),
        runtime: tokio::runtime::Handle::current(),
        transfers: None,
        why: None,
        clock: Arc::new(World),
        events: EventSender::nobody(),
    };
    (Handler::new(HandlerSettings::new([0; 16]), parts), metrics)
}

fn query(name: &str) -> Vec<u8> {
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(HickoryName::from_ascii(name).unwrap(), RecordType::A));
    query.edns = Some(Edns::new());
    query.to_vec().unwrap()
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

//! A handler over one policy zone and an upstream that knows one answer to everything, in memory.

use std::net::IpAddr;
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
use sekisho::resolver::handler::{Handler, HandlerSettings, InForce, Parts};
use sekisho::resolver::special::{SpecialSettings, SpecialZones};
use sekisho::snapshot::Snapshot;
use sekisho::telemetry::Metrics;
use sekisho::telemetry::events::EventSender;
use sekisho::zone::{PolicyZone, Serial, Soa, ZoneBuilder, ZoneOptions};

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

/// Blocks `bad.test` and all below.
pub fn handler() -> (Handler, Metrics) {
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

/// A question for addresses with EDNS, as a client sends it.
pub fn query(name: &str) -> Vec<u8> {
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(HickoryName::from_ascii(name).unwrap(), RecordType::A));
    query.edns = Some(Edns::new());
    query.to_vec().unwrap()
}

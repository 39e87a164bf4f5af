//! What the tests of this folder share: policy zones, a world that answers by a script, and
//! questions and replies as text.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use arc_swap::ArcSwap;
use async_trait::async_trait;
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_proto::rr::{Name as HickoryName, RecordType};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder, NameEncoding};
use hickory_proto::serialize::txt::Parser;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::sync::Semaphore;

use super::cache::{CacheSettings, CachingUpstream};
use super::handler::{Client, Fast, Handler, HandlerSettings, InForce, Parts};
use super::special::{SpecialSettings, SpecialZones};
use crate::model::time::Clock;
use crate::model::{
    Action, AnswerFacts, AnswerStep, Name, NamePattern, NameRef, Network, RrSet, Rule, Timestamp,
    Trigger,
};
use crate::ports::{
    Question, Record, Resolution, Sections, Security, TransferService, Upstream, UpstreamError,
    WhyService,
};
use crate::snapshot::Snapshot;
use crate::telemetry::events::{EventReceiver, channel};
use crate::telemetry::{Metrics, Shard, Transport};
use crate::zone::{PolicyZone, Serial, Soa, ZoneBuilder, ZoneOptions};

pub const HASH_SEED: u64 = 7;

pub fn name(text: &str) -> Name {
    Name::from_presentation(text).unwrap()
}

/// A rule from its trigger: `name`, `*.name`, `client 10.0.0.0/8` or `ip 192.0.2.0/24`.
pub fn rule(trigger: &str, action: Action) -> Rule {
    let network = |text| Network::parse_strict(text).unwrap();
    let trigger = match trigger.split_once(' ') {
        Some(("client", prefix)) => Trigger::ClientAddress(network(prefix)),
        Some((_, prefix)) => Trigger::AnswerAddress(network(prefix)),
        None => Trigger::QueryName(match trigger.strip_prefix("*.") {
            Some(parent) => NamePattern::below(name(parent)),
            None => NamePattern::exact(name(trigger)),
        }),
    };
    Rule { trigger, action, ttl: 60 }
}

/// Local data from lines such as `A 203.0.113.1`.
pub fn data(lines: &[&str]) -> Action {
    let mut sets: Vec<RrSet> = Vec::new();
    for line in lines {
        let record = record(&format!("x. 60 {line}"));
        match sets.iter_mut().find(|set| set.rtype == record.rtype) {
            Some(set) => set.rdata.push(record.rdata),
            None => sets.push(RrSet { rtype: record.rtype, ttl: 60, rdata: vec![record.rdata] }),
        }
    }
    sets.sort();
    Action::Data(sets.into())
}

pub fn policy(origin: &str, rules: impl IntoIterator<Item = Rule>) -> PolicyZone {
    let mut builder = ZoneBuilder::new(name(origin), Soa::ours(Serial(1)), HASH_SEED);
    rules.into_iter().for_each(|rule| builder.insert(rule));
    PolicyZone { zone: builder.finish().0, options: ZoneOptions::ours() }
}

/// A record from a line `owner ttl type data`; an RRSIG covers type A, whatever its data.
pub fn record(line: &str) -> Record {
    if let Some((owner, _)) = line.split_once(" RRSIG") {
        let (owner, ttl) = owner.split_once(' ').unwrap();
        let head = [0, 1, 13, 2, 0, 0, 1, 44, 0x70, 0, 0, 0, 0x60, 0, 0, 0, 0, 1];
        return Record {
            owner: name(owner).as_ref().to_wire().into(),
            rtype: 46,
            ttl: ttl.parse().unwrap(),
            rdata: [&head[..], b"\x04test\0", &[7; 64]].concat().into(),
        };
    }
    let (_, sets) = Parser::new(format!("{line}\n"), None, Some(HickoryName::root()))
        .parse()
        .unwrap_or_else(|error| panic!("{line}: {error}"));
    let set = sets.into_values().next().unwrap();
    let record = set.records(true).next().unwrap();
    Record {
        owner: uncompressed(&record.name),
        rtype: record.record_type().into(),
        ttl: record.ttl,
        rdata: uncompressed(&record.data),
    }
}

fn uncompressed(value: &impl BinEncodable) -> Box<[u8]> {
    let mut octets = Vec::new();
    let mut encoder = BinEncoder::new(&mut octets);
    encoder.set_name_encoding(NameEncoding::Uncompressed);
    value.emit(&mut encoder).unwrap();
    octets.into()
}

/// A resolution from its records: answers, then `--` and authorities where there are any.
pub fn resolution(question: NameRef<'_>, rcode: u16, lines: &str) -> Resolution {
    let (answers, authorities) = lines.split_once("--").unwrap_or((lines, ""));
    let records = |lines: &str| -> Vec<Record> {
        lines.lines().map(str::trim).filter(|l| !l.is_empty()).map(record).collect()
    };
    let (answers, authorities) = (records(answers), records(authorities));
    let facts = facts(question, &answers);
    Resolution {
        rcode,
        sections: Sections::encode(question, &answers, &authorities).unwrap(),
        is_negative: answers.is_empty(),
        security: Security::Insecure,
        ttl_seconds: 300,
        facts,
        extended_errors: Vec::new(),
    }
}

/// The query name and the names after it, with their addresses.
fn facts(question: NameRef<'_>, answers: &[Record]) -> AnswerFacts {
    let step = |name: Name| AnswerStep { name, ..AnswerStep::default() };
    let mut steps = vec![step(question.to_owned())];
    for record in answers {
        let address = match record.rtype {
            1 => IpAddr::from(<[u8; 4]>::try_from(&*record.rdata).unwrap()),
            28 => IpAddr::from(<[u8; 16]>::try_from(&*record.rdata).unwrap()),
            5 => {
                steps.push(step(Name::from_wire(&record.rdata).unwrap()));
                continue;
            }
            // A service binding in alias mode.
            65 if record.rdata[..2] == [0, 0] => {
                steps.push(step(Name::from_wire(&record.rdata[2..]).unwrap()));
                continue;
            }
            _ => continue,
        };
        let owner = Name::from_wire(&record.owner).unwrap();
        if let Some(step) = steps.iter_mut().find(|step| step.name == owner) {
            step.addresses.push(address);
        }
    }
    AnswerFacts { steps, signed: answers.iter().any(|record| record.rtype == 46) }
}

/// A world that answers what it was told to, and remembers what it was asked.
#[derive(Default)]
pub struct World {
    answers: HashMap<(Name, u16), Resolution>,
    pub asked: Mutex<Vec<String>>,
    /// Answers wait until there is a permit, where there is a semaphore.
    pub gate: Option<Semaphore>,
    pub seconds: AtomicU32,
}

impl World {
    /// `question` is `name type`.
    pub fn says(self, question: &str, lines: &str) -> Self {
        self.says_code(question, 0, lines)
    }

    pub fn says_code(self, question: &str, rcode: u16, lines: &str) -> Self {
        self.says_with(question, rcode, lines, |_| {})
    }

    pub fn says_with(
        mut self,
        question: &str,
        rcode: u16,
        lines: &str,
        change: impl FnOnce(&mut Resolution),
    ) -> Self {
        let (name, rtype) = parse_question(question);
        let mut resolution = resolution(name.as_ref(), rcode, lines);
        change(&mut resolution);
        self.answers.insert((name, rtype), resolution);
        self
    }
}

#[async_trait]
impl Upstream for World {
    async fn resolve(
        &self,
        question: &Question,
        _: Option<IpAddr>,
    ) -> Result<Arc<Resolution>, UpstreamError> {
        let asked = format!("{} {}", question.name, RecordType::from(question.rtype));
        self.asked.lock().push(asked);
        if let Some(gate) = &self.gate {
            gate.acquire().await.unwrap().forget();
        }
        let key = (question.name.clone(), question.rtype);
        self.answers.get(&key).map(|r| Arc::new(r.clone())).ok_or(UpstreamError::Timeout)
    }
}

impl Clock for World {
    fn now(&self) -> Timestamp {
        Timestamp(self.seconds.load(Ordering::Relaxed))
    }
}

fn parse_question(text: &str) -> (Name, u16) {
    let (qname, rtype) = text.split_once(' ').unwrap();
    (name(qname), rtype.parse::<RecordType>().unwrap().into())
}

/// A handler in its world.
pub struct Rig {
    pub handler: Arc<Handler>,
    pub world: Arc<World>,
    pub metrics: Metrics,
    pub in_force: Arc<ArcSwap<InForce>>,
    pub events: EventReceiver,
    pub shard: Arc<Shard>,
}

/// What tests change of a rig.
#[derive(Default)]
pub struct Plan {
    pub zones: Vec<PolicyZone>,
    pub world: World,
    pub settings: Option<HandlerSettings>,
    pub special: SpecialSettings,
    pub transfers: Option<Arc<dyn TransferService>>,
    pub why: Option<Arc<dyn WhyService>>,
}

pub fn rig(zones: impl Into<Vec<PolicyZone>>, world: World) -> Rig {
    Rig::new(Plan { zones: zones.into(), world, ..Plan::default() })
}

impl Rig {
    pub fn new(plan: Plan) -> Self {
        let world = Arc::new(plan.world);
        let metrics = Metrics::new(Registry::default(), "test");
        let snapshot = Snapshot::new(1, HASH_SEED, plan.zones, Vec::new(), None).unwrap();
        let in_force = Arc::new(ArcSwap::from_pointee(InForce::new(snapshot.into(), &metrics)));
        let (sender, events) = channel(64);
        let parts = Parts {
            special: SpecialZones::new(&plan.special).unwrap(),
            in_force: Arc::clone(&in_force),
            upstream: Arc::new(CachingUpstream::new(CacheSettings::default(), world.clone())),
            runtime: tokio::runtime::Handle::current(),
            transfers: plan.transfers,
            why: plan.why,
            clock: world.clone(),
            events: sender,
        };
        let settings = plan.settings.unwrap_or_else(|| HandlerSettings::new([0; 16]));
        let handler = Arc::new(Handler::new(settings, parts));
        let shard = metrics.shard();
        Self { handler, world, metrics, in_force, events, shard }
    }

    /// Asks `name type [tcp] [dot] [@client] [do] [rd=0] [noedns] [sde] [ede] [ad]` and writes the reply as text.
    pub async fn ask(&self, question: &str) -> String {
        let (packet, client) = query(question);
        let mut out = Vec::new();
        let now = self.handler.now();
        let reply = match self.handler.fast(&packet, client, now, &self.shard, &mut out) {
            Fast::Reply => Some(out),
            Fast::Silent => None,
            Fast::Slow => self.handler.answer(&packet, client, &self.shard).await,
        };
        reply.map_or("silence".to_owned(), |reply| shown(&reply))
    }

    /// Asks and expects the answer at once.
    pub fn ask_fast(&self, question: &str) -> String {
        let (packet, client) = query(question);
        let mut out = Vec::new();
        match self.handler.fast(&packet, client, self.handler.now(), &self.shard, &mut out) {
            Fast::Reply => shown(&out),
            Fast::Silent => "silence".to_owned(),
            Fast::Slow => "slow".to_owned(),
        }
    }

    /// What the upstream was asked.
    pub fn asked(&self) -> Vec<String> {
        self.world.asked.lock().clone()
    }
}

/// The message and the client of a question as text.
pub fn query(question: &str) -> (Vec<u8>, Client) {
    let words: Vec<&str> = question.split_whitespace().collect();
    let has = |word: &str| words.contains(&word);
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = !has("rd=0");
    message.metadata.authentic_data = has("ad");
    message.add_query(Query::query(
        HickoryName::from_ascii(words[0]).unwrap(),
        match words[1] {
            "IXFR" => RecordType::IXFR,
            "AXFR" => RecordType::AXFR,
            other => other.parse().unwrap(),
        },
    ));
    if !has("noedns") {
        let mut edns = hickory_proto::op::Edns::new();
        edns.set_max_payload(1232).set_dnssec_ok(has("do"));
        if has("sde") {
            // The option of draft-ietf-dnsop-structured-dns-error.
            edns.options_mut().insert(EdnsOption::Unknown(26, Vec::new()));
        }
        if has("ede") {
            edns.options_mut().insert(EdnsOption::Unknown(15, vec![0, 0]));
        }
        message.set_edns(edns);
    }
    let address = words.iter().find_map(|w| w.strip_prefix('@')).unwrap_or("127.0.0.1");
    let transport = match (has("tcp"), has("dot")) {
        (true, _) => Transport::Tcp,
        (_, true) => Transport::Dot,
        _ => Transport::Udp,
    };
    let address = SocketAddr::new(address.parse().unwrap(), 4000);
    (message.to_vec().unwrap(), Client { address, transport, keepalive: None })
}

/// A reply as text: code and flags, records by section, the codes of extended errors.
pub fn shown(reply: &[u8]) -> String {
    let message = Message::from_vec(reply).unwrap();
    let m = &message.metadata;
    let flags = [
        (m.authoritative, "aa"),
        (m.truncation, "tc"),
        (m.recursion_desired, "rd"),
        (m.recursion_available, "ra"),
        (m.authentic_data, "ad"),
        (m.checking_disabled, "cd"),
    ];
    let mut lines = vec![
        std::iter::once(format!("{:?}", m.response_code))
            .chain(flags.iter().filter(|(set, _)| *set).map(|(_, flag)| (*flag).to_owned()))
            .collect::<Vec<_>>()
            .join(" "),
    ];
    for (section, records) in [
        ("", &message.answers),
        ("authority ", &message.authorities),
        ("additional ", &message.additionals),
    ] {
        for record in records {
            lines.push(format!("{section}{record}").replace(" IN ", " "));
        }
    }
    if let Some(edns) = &message.edns {
        for (code, option) in edns.options().as_ref() {
            let octets = Vec::<u8>::try_from(option).unwrap();
            if *code == EdnsCode::Unknown(15) {
                let text = String::from_utf8_lossy(&octets[2..]);
                lines.push(format!("error {} {text}", octets[1]).trim().to_owned());
            }
        }
    }
    lines.join("\n")
}

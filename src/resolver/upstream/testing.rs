//! What the tests of this folder share: records from text, and name servers in this process.
//!
//! [`Network`] is without sockets; [`loopback`] has servers on real ones.

mod loopback;
mod signed;

pub(super) use loopback::{Authority, Loopback, Mapped};
pub(super) use signed::SignedZone;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::DnsHandle;
use hickory_proto::op::{DnsRequest, DnsResponse, Edns, Message, Metadata, ResponseCode};
use hickory_proto::rr::{self, RecordType};
use hickory_proto::serialize::txt::Parser;
use hickory_resolver::config::ConnectionConfig;
use hickory_resolver::{ConnectionProvider, PoolContext};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::Ask;
use super::assemble::rtype;
use super::convert::{self, Item, Outcome};
use super::delegations::Delegations;
use super::roots;
use super::route::{Engine, Route, Router, Way};
use crate::model::Name;
use crate::ports::{Question, UpstreamError};

pub(super) fn parsed(text: &str) -> Name {
    Name::from_presentation(text).unwrap()
}

/// A question for the address of a name.
pub(super) fn question(name: &str) -> Ask {
    let question = Question::plain(parsed(name), rtype::A);
    Ask::about(&question, question.name.clone())
}

/// Records from master file lines, in the order written, whatever their zone.
pub(super) fn records(lines: &str) -> Vec<rr::Record> {
    let record = |line: &str| {
        let (_, sets) = Parser::new(format!("{line}\n"), None, Some(rr::Name::root()))
            .parse()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let set = sets.into_values().next().unwrap();
        let mut of = set.records(true).cloned().collect::<Vec<_>>();
        of.remove(0)
    };
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).map(record).collect()
}

pub(super) fn items(lines: &str) -> Vec<Item> {
    records(lines).iter().filter_map(convert::item).collect()
}

pub(super) fn outcome(answers: &str, authorities: &str) -> Outcome {
    Outcome { answers: items(answers), authorities: items(authorities), ..Outcome::default() }
}

/// The empty answer to a query.
pub(super) fn respond(query: &Message) -> Message {
    let mut answer = Message::response(query.id, query.op_code);
    answer.metadata = Metadata::response_from_request(&query.metadata);
    answer.add_queries(query.queries.iter().cloned());
    if let Some(edns) = &query.edns {
        let ours = answer.edns.get_or_insert_with(Edns::new);
        ours.set_dnssec_ok(edns.flags().dnssec_ok).set_max_payload(1232);
    }
    answer
}

/// Answers a query, or not at all.
pub(super) type Responder = Arc<dyn Fn(&Message) -> Option<Message> + Send + Sync>;

/// An internet in this process: name servers by address, without sockets.
#[derive(Clone, Default)]
pub(super) struct Network {
    servers: HashMap<IpAddr, Responder>,
    asked: Arc<Mutex<Vec<String>>>,
    runtime: TokioRuntimeProvider,
}

impl Network {
    pub fn with(
        mut self,
        address: &str,
        answer: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static,
    ) -> Self {
        self.servers.insert(address.parse().unwrap(), Arc::new(answer));
        self
    }

    /// `address name TYPE` of every query so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }
}

impl ConnectionProvider for Network {
    type Conn = NetworkHandle;
    type FutureConn = std::future::Ready<Result<NetworkHandle, NetError>>;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        address: IpAddr,
        _: &ConnectionConfig,
        _: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let handle = NetworkHandle { address, network: self.clone() };
        Ok(std::future::ready(Ok(handle)))
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.runtime
    }
}

#[derive(Clone)]
pub(super) struct NetworkHandle {
    address: IpAddr,
    network: Network,
}

impl DnsHandle for NetworkHandle {
    type Response = BoxStream<'static, Result<DnsResponse, NetError>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let query = &request.queries[0];
        let line =
            format!("{} {} {}", self.address, query.name().to_lowercase(), query.query_type());
        self.network.asked.lock().push(line);
        let answer = self.network.servers.get(&self.address).and_then(|server| server(&request));
        let Some(mut answer) = answer else { return stream::pending().boxed() };
        if let Some(original) = request.original_query() {
            answer.queries = vec![original.clone()];
        }
        stream::once(async move { DnsResponse::from_message(answer).map_err(NetError::from) })
            .boxed()
    }
}

/// An authoritative server for the zone at `origin`: answers, aliases within the zone, referrals
/// with glue, NODATA and NXDOMAIN with the SOA.
pub(super) fn zone(
    origin: &str,
    lines: &str,
) -> impl Fn(&Message) -> Option<Message> + Send + Sync + Clone + 'static {
    let origin = rr::Name::from_ascii(origin).unwrap();
    let records = records(lines);
    move |query| Some(answer_from_zone(&origin, &records, query))
}

fn answer_from_zone(origin: &rr::Name, records: &[rr::Record], query: &Message) -> Message {
    let mut answer = respond(query);
    let (asked, kind) = (query.queries[0].name(), query.queries[0].query_type());
    if !origin.zone_of(asked) {
        answer.metadata.response_code = ResponseCode::Refused;
        return answer;
    }
    let is_cut = |r: &&rr::Record| {
        r.record_type() == RecordType::NS && r.name != *origin && r.name.zone_of(asked)
    };
    let with_glue = |servers: &[rr::Record]| -> Vec<rr::Record> {
        let targets: Vec<_> = servers.iter().filter_map(|r| ns_target(r)).collect();
        let is_glue = |r: &&rr::Record| r.data.ip_addr().is_some() && targets.contains(&&r.name);
        records.iter().filter(is_glue).cloned().collect()
    };
    // The parent answers for the DS of a delegation (RFC 4035 section 3.1.4.1).
    let is_referral = |cut: &&rr::Name| kind != RecordType::DS || *cut != asked;
    if let Some(cut) = records.iter().find(is_cut).map(|r| &r.name).filter(is_referral) {
        let of_cut = |r: &&rr::Record| r.record_type() == RecordType::NS && r.name == *cut;
        answer.authorities = records.iter().filter(of_cut).cloned().collect();
        answer.additionals = with_glue(&answer.authorities);
        return answer;
    }
    answer.metadata.authoritative = true;
    let mut current = asked.clone();
    loop {
        let at = |wanted: RecordType| -> Vec<rr::Record> {
            let here = records.iter().filter(|r| r.name == current && r.record_type() == wanted);
            here.cloned().collect()
        };
        let found = at(kind);
        if !found.is_empty() {
            answer.additionals = with_glue(&found);
            answer.answers.extend(found);
            return answer;
        }
        let Some(alias) = at(RecordType::CNAME).pop().filter(|_| answer.answers.len() < 32) else {
            break;
        };
        current = cname_target(&alias).unwrap().clone();
        answer.answers.push(alias);
        if !origin.zone_of(&current) {
            return answer;
        }
    }
    answer.authorities =
        records.iter().filter(|r| r.record_type() == RecordType::SOA).cloned().collect();
    if !records.iter().any(|r| current.zone_of(&r.name)) {
        answer.metadata.response_code = ResponseCode::NXDomain;
    }
    answer
}

fn ns_target(record: &rr::Record) -> Option<&rr::Name> {
    match &record.data {
        rr::RData::NS(target) => Some(&target.0),
        _ => None,
    }
}

fn cname_target(record: &rr::Record) -> Option<&rr::Name> {
    match &record.data {
        rr::RData::CNAME(target) => Some(&target.0),
        _ => None,
    }
}

/// A small internet: root 192.0.2.1, com and net 192.0.2.2, example.com 192.0.2.3, two.com
/// 192.0.2.3 and 192.0.2.4, glueless.com and host.net 192.0.2.6.
pub(super) fn internet() -> Network {
    let soa = |origin: &str| format!("{origin} 300 IN SOA ns.{origin} h.{origin} 1 2 3 4 60\n");
    let root = soa(".").replace("ns..", "ns.").replace("h..", "h.")
        + "com. 300 IN NS ns.com.
           ns.com. 300 IN A 192.0.2.2
           net. 300 IN NS ns.net.
           ns.net. 300 IN A 192.0.2.2";
    let com = soa("com.")
        + "com. 300 IN NS ns.com.
           ns.com. 300 IN A 192.0.2.2
           example.com. 300 IN NS ns1.example.com.
           ns1.example.com. 300 IN A 192.0.2.3
           two.com. 300 IN NS ns1.two.com.
           two.com. 300 IN NS ns2.two.com.
           ns1.two.com. 300 IN A 192.0.2.3
           ns2.two.com. 300 IN A 192.0.2.4
           glueless.com. 300 IN NS ns.host.net.";
    let net = soa("net.")
        + "host.net. 300 IN NS ns.host.net.
           ns.host.net. 300 IN A 192.0.2.6";
    let example = soa("example.com.")
        + "example.com. 300 IN NS ns1.example.com.
           ns1.example.com. 300 IN A 192.0.2.3
           www.example.com. 60 IN A 198.51.100.1
           gone.example.com. 60 IN CNAME step.example.com.
           empty.example.com. 60 IN CNAME step2.example.com.
           loop.example.com. 60 IN CNAME loop2.example.com.
           loop2.example.com. 60 IN CNAME loop.example.com.
           far.example.com. 60 IN CNAME loop.two.com.
           step.example.com. 60 IN CNAME nobody.two.com.
           step2.example.com. 60 IN CNAME empty.two.com.";
    let two = soa("two.com.")
        + "two.com. 300 IN NS ns1.two.com.
           host0.two.com. 60 IN A 198.51.100.2
           host1.two.com. 60 IN A 198.51.100.2
           host2.two.com. 60 IN A 198.51.100.2
           host3.two.com. 60 IN A 198.51.100.2
           loop.two.com. 60 IN CNAME far.example.com.
           empty.two.com. 60 IN TXT nothing";
    let host = soa("host.net.") + "ns.host.net. 300 IN A 192.0.2.6";
    let glueless = soa("glueless.com.") + "www.glueless.com. 60 IN A 198.51.100.3";
    let (com, net) = (zone("com.", &com), zone("net.", &net));
    let example = zone("example.com.", &example);
    let two = zone("two.com.", &two);
    let (host, glueless) = (zone("host.net.", &host), zone("glueless.com.", &glueless));
    Network::default()
        .with("192.0.2.1", zone(".", &root))
        .with("192.0.2.2", either(com, net))
        .with("192.0.2.3", either(example, two.clone()))
        .with("192.0.2.4", two)
        .with("192.0.2.6", either(host, glueless))
}

/// One server for two zones.
pub(super) fn either(
    first: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static,
    second: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static,
) -> impl Fn(&Message) -> Option<Message> + Send + Sync + 'static {
    move |query| {
        first(query)
            .filter(|answer| answer.response_code != ResponseCode::Refused)
            .or_else(|| second(query))
    }
}

/// Answers from a list of records: data, or an alias, or NXDOMAIN; counts its questions.
#[derive(Default)]
pub(super) struct Script {
    items: Vec<Item>,
    /// Whether all else it knows comes with every answer.
    is_talkative: bool,
    pub asked: Mutex<Vec<String>>,
}

impl Script {
    pub fn new(lines: &str) -> Self {
        Self { items: items(lines), ..Self::default() }
    }

    pub fn talkative(lines: &str) -> Self {
        Self { is_talkative: true, ..Self::new(lines) }
    }
}

#[async_trait::async_trait]
impl Engine for Script {
    async fn ask(&self, ask: &Ask, _: &Router) -> Result<Outcome, UpstreamError> {
        self.asked.lock().push(format!("{} {}", ask.name, RecordType::from(ask.rtype)));
        let fits =
            |item: &&Item| item.record.rtype == ask.rtype || item.record.rtype == rtype::CNAME;
        let here = |item: &&Item| item.owner == ask.name && fits(item);
        let mut answers: Vec<Item> = self.items.iter().filter(here).cloned().collect();
        if self.is_talkative && !answers.is_empty() {
            let elsewhere = |item: &&Item| item.owner != ask.name && fits(item);
            answers.extend(self.items.iter().filter(elsewhere).cloned());
        }
        let is_known =
            self.items.iter().any(|item| item.owner.as_ref().is_at_or_below(ask.name.as_ref()));
        Ok(Outcome {
            rcode: if is_known { 0 } else { 3 },
            authorities: match answers.is_empty() {
                true => items("test. 60 IN SOA ns.test. h.test. 1 2 3 4 5"),
                false => Vec::new(),
            },
            answers,
            ..Outcome::default()
        })
    }
}

/// The same script, for the router and for the test.
pub(super) struct Shared(pub Arc<Script>);

#[async_trait::async_trait]
impl Engine for Shared {
    async fn ask(&self, ask: &Ask, router: &Router) -> Result<Outcome, UpstreamError> {
        self.0.ask(ask, router).await
    }
}

impl Router {
    /// A router where nothing exists.
    pub fn none() -> Self {
        Self::saying("")
    }

    /// A router whose answers are these records.
    pub fn saying(lines: &str) -> Self {
        Self::to(Script::new(lines), Way::Unknown)
    }

    pub fn to(engine: impl Engine + 'static, way: Way) -> Self {
        let table = Arc::new(Delegations::new(1 << 20, roots::servers(None)));
        Self::new(Route { engine: Arc::new(engine), way }, table, Instant::now())
    }
}

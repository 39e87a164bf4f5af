//! Sees every answer that reaches hickory's recursor, before the recursor does.
//!
//! It does three things. It notes delegations, nameserver addresses and aliases in
//! [`Delegations`], where policy's facts and lost chains come from. It turns the answer of a lame
//! server into a failure of the connection, because hickory's pool gives up a zone at the first
//! server that refuses instead of asking the next. And it bounds the patience with one server, so
//! that a dead one leaves time for the others.
//!
//! A server may say anything, so only what the question was about is believed: servers of exactly
//! the zone asked for, the alias at exactly the name asked for, addresses of exactly the host asked
//! for. Glue counts for the zone it came with and for no other. So nobody can make us believe
//! anything about names that the recursor would not have asked them about.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{self, BoxStream};
use futures_util::{FutureExt, StreamExt};
use hickory_net::NetError;
use hickory_net::xfer::{DnsHandle, FirstAnswer};
use hickory_proto::op::{DnsRequest, DnsResponse, Query, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use hickory_resolver::ConnectionProvider;
use hickory_resolver::PoolContext;
use hickory_resolver::config::ConnectionConfig;
use tokio::time::{Instant, timeout};

use crate::model::Name;

use super::convert::{item, name};
use super::delegations::{Delegations, Side};

/// A query over UDP is repeated after this long at the latest. hickory's estimate grows with every
/// negative answer, which it counts as a failure, up to five seconds.
const RETRY_INTERVAL_MAX: Duration = Duration::from_millis(800);

/// Wraps the maker of connections.
#[derive(Clone)]
pub(super) struct Tap<P> {
    inner: P,
    shared: Arc<Shared>,
}

struct Shared {
    table: Arc<Delegations>,
    epoch: Instant,
    server_timeout: Duration,
}

impl<P> Tap<P> {
    /// `epoch` is the zero of the table's time; `server_timeout` the patience with one server for
    /// one question, retries over UDP included.
    pub fn new(
        inner: P,
        table: Arc<Delegations>,
        epoch: Instant,
        server_timeout: Duration,
    ) -> Self {
        Self { inner, shared: Arc::new(Shared { table, epoch, server_timeout }) }
    }
}

impl<P: ConnectionProvider> ConnectionProvider for Tap<P> {
    type Conn = TapHandle<P::Conn>;
    type FutureConn = BoxFuture<'static, Result<Self::Conn, NetError>>;
    type RuntimeProvider = P::RuntimeProvider;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let connecting = self.inner.new_connection(ip, config, context)?;
        let shared = self.shared.clone();
        Ok(async move {
            let limit = shared.server_timeout;
            let inner = timeout(limit, connecting).await.map_err(|_| NetError::Timeout)??;
            Ok(TapHandle { inner, shared })
        }
        .boxed())
    }

    fn runtime_provider(&self) -> &Self::RuntimeProvider {
        self.inner.runtime_provider()
    }
}

/// Wraps one connection.
#[derive(Clone)]
pub(super) struct TapHandle<H> {
    inner: H,
    shared: Arc<Shared>,
}

impl<H: DnsHandle> DnsHandle for TapHandle<H> {
    type Response = BoxStream<'static, Result<DnsResponse, NetError>>;
    type Runtime = H::Runtime;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let this = self.clone();
        stream::once(async move { this.exchange(request).await }).boxed()
    }
}

impl<H: DnsHandle> TapHandle<H> {
    async fn exchange(&self, mut request: DnsRequest) -> Result<DnsResponse, NetError> {
        let options = request.options_mut();
        options.retry_interval = options.retry_interval.min(RETRY_INTERVAL_MAX);
        let mut response = self.once(request.clone()).await?;
        if is_refusal_of_edns(&request, &response) {
            request.edns = None;
            response = self.once(request.clone()).await?;
        }
        if let Some(reason) = lameness(&response) {
            // An I/O error, and of a kind that is no closed connection: the pool then books a
            // failure for this server and asks the next.
            return Err(NetError::from(io::Error::other(reason)));
        }
        let asked = request.original_query().or_else(|| request.queries.first());
        if let Some(query) = asked {
            let now = self.shared.epoch.elapsed().as_millis();
            note(&self.shared.table, query, &response, u64::try_from(now).unwrap_or(u64::MAX));
        }
        Ok(response)
    }

    async fn once(&self, request: DnsRequest) -> Result<DnsResponse, NetError> {
        let answer = self.inner.send(request).first_answer();
        timeout(self.shared.server_timeout, answer).await.map_err(|_| NetError::Timeout)?
    }
}

/// A server that knows no EDNS says FORMERR or NOTIMP without EDNS (RFC 6891 section 7).
fn is_refusal_of_edns(request: &DnsRequest, response: &DnsResponse) -> bool {
    matches!(response.response_code, ResponseCode::FormErr | ResponseCode::NotImp)
        && request.edns.is_some()
        && response.edns.is_none()
}

/// Why another server should be asked.
fn lameness(response: &DnsResponse) -> Option<String> {
    match response.response_code {
        ResponseCode::NoError | ResponseCode::NXDomain | ResponseCode::YXDomain => {
            let upward = |record: &Record| record.name.is_root();
            let is_empty = response.answers.is_empty()
                && !response.authoritative
                && !response.truncation
                && response.response_code == ResponseCode::NoError
                && response.authorities.iter().all(upward);
            is_empty.then(|| "lame: neither an answer nor a referral downwards".to_owned())
        }
        code => Some(format!("lame: {code}")),
    }
}

/// Takes notes of what `response` says about the question.
fn note(table: &Delegations, query: &Query, response: &DnsResponse, now: u64) {
    let asked = name(query.name());
    let about = |record: &&Record| record.name == *query.name();
    let alias = response.answers.iter().filter(about).find_map(|record| match &record.data {
        RData::CNAME(target) => Some((item(record)?, name(target))),
        _ => None,
    });
    match alias {
        Some((item, target)) => table.note_alias(item, target, now),
        None if response.authoritative => table.note_no_alias(&asked),
        None => {}
    }
    match query.query_type() {
        RecordType::NS => note_servers(table, &asked, response, now),
        family @ (RecordType::A | RecordType::AAAA) => {
            let records = response.answers.iter().filter(about);
            let found: Vec<_> = records.filter(|r| r.record_type() == family).collect();
            let addresses: Vec<_> = found.iter().filter_map(|r| r.data.ip_addr()).collect();
            let ttl = found.iter().map(|record| record.ttl).min();
            if let Some(ttl) = ttl {
                table.note_addresses(&asked, family == RecordType::AAAA, addresses, ttl, now);
            }
        }
        _ => {}
    }
}

fn note_servers(table: &Delegations, zone: &Name, response: &DnsResponse, now: u64) {
    let of_zone = |records: &[Record]| -> Vec<(Name, u32)> {
        let here = records.iter().filter(|record| name(&record.name) == *zone);
        here.filter_map(|record| match &record.data {
            RData::NS(target) => Some((name(target), record.ttl)),
            _ => None,
        })
        .collect()
    };
    let child = of_zone(&response.answers);
    let (side, named) = match child.is_empty() {
        false => (Side::Child, child),
        true => (Side::Parent, of_zone(&response.authorities)),
    };
    let Some(ttl) = named.iter().map(|(_, ttl)| *ttl).min() else { return };
    // The one who speaks is responsible for the parent's names, or only for the zone's own.
    let parent = zone.as_ref().parent().unwrap_or(zone.as_ref());
    let within = if side == Side::Parent { parent } else { zone.as_ref() };
    let glue: Vec<(Name, IpAddr)> = response
        .additionals
        .iter()
        .chain(&response.answers)
        .filter_map(|record| Some((name(&record.name), record.data.ip_addr()?)))
        .filter(|(owner, _)| owner.as_ref().is_at_or_below(within))
        .collect();
    let addresses = |server: &Name| {
        glue.iter().filter(|(owner, _)| owner == server).map(|(_, address)| *address).collect()
    };
    let servers = named.into_iter().map(|(server, _)| (server.clone(), addresses(&server)));
    table.note_servers(zone, side, servers.collect(), ttl, now);
}

#[cfg(test)]
mod tests {
    use super::super::roots;
    use super::super::testing::{Network, parsed, records, respond};
    use super::*;
    use crate::model::Nameserver;
    use hickory_proto::op::{DnsRequestOptions, Message};
    use hickory_resolver::TlsConfig;
    use hickory_resolver::config::ResolverOpts;

    const SERVER: &str = "192.0.2.53";

    struct Rig {
        table: Arc<Delegations>,
        tap: Tap<Network>,
        network: Network,
    }

    fn rig(answer: impl Fn(&Message) -> Option<Message> + Send + Sync + 'static) -> Rig {
        let table = Arc::new(Delegations::new(1 << 20, roots::servers(None)));
        let network = Network::default().with(SERVER, answer);
        let patience = Duration::from_millis(1500);
        let tap = Tap::new(network.clone(), table.clone(), Instant::now(), patience);
        Rig { table, tap, network }
    }

    impl Rig {
        async fn ask(&self, of: &str, kind: RecordType) -> Result<DnsResponse, NetError> {
            let context = PoolContext::new(ResolverOpts::default(), TlsConfig::new().unwrap());
            let config = ConnectionConfig::udp();
            let handle = self.tap.new_connection(SERVER.parse().unwrap(), &config, &context);
            let handle = handle.unwrap().await?;
            let query = Query::query(of.parse().unwrap(), kind);
            let mut options = DnsRequestOptions::default();
            options.use_edns = true;
            options.case_randomization = true;
            handle.send(DnsRequest::from_query(query, options)).first_answer().await
        }

        fn path(&self, of: &str) -> Vec<String> {
            let path = self.table.path(&parsed(of), 0);
            let show = |s: &Nameserver| format!("{} {:?}", s.name, s.addresses);
            path.iter().skip(1).flat_map(|cut| cut.iter().map(show)).collect()
        }
    }

    #[tokio::test]
    async fn a_referral_is_noted_with_its_glue_and_nothing_about_other_zones() {
        let rig = rig(|query| {
            let mut answer = respond(query);
            answer.authorities = records(
                "example.com. 300 IN NS ns1.example.com.
                 example.com. 300 IN NS ns.other.net.
                 com. 300 IN NS ns.evil.test.
                 victim.com. 300 IN NS ns.evil.test.",
            );
            answer.additionals = records(
                "ns1.example.com. 300 IN A 192.0.2.1
                 ns.other.net. 300 IN A 192.0.2.66",
            );
            Some(answer)
        });
        rig.ask("example.com.", RecordType::NS).await.unwrap();
        assert_eq!(rig.path("www.example.com"), ["ns1.example.com [192.0.2.1]", "ns.other.net []"]);
        assert!(rig.path("com").is_empty() && rig.path("victim.com").is_empty());
    }

    #[tokio::test]
    async fn a_zone_speaks_for_the_addresses_below_itself_only() {
        let rig = rig(|query| {
            let mut answer = respond(query);
            answer.metadata.authoritative = true;
            answer.answers = records(
                "evil.com. 300 IN NS ns.evil.com.
                 evil.com. 300 IN NS ns.victim.com.",
            );
            answer.additionals = records(
                "ns.evil.com. 300 IN A 192.0.2.1
                 ns.victim.com. 300 IN A 192.0.2.66",
            );
            Some(answer)
        });
        rig.ask("evil.com.", RecordType::NS).await.unwrap();
        assert_eq!(rig.path("evil.com"), ["ns.evil.com [192.0.2.1]", "ns.victim.com []"]);
    }

    #[tokio::test]
    async fn addresses_of_a_nameserver_come_from_the_question_about_it() {
        let rig = rig(|query| {
            let mut answer = respond(query);
            answer.metadata.authoritative = true;
            answer.answers = records("ns.other.net. 300 IN A 192.0.2.3\nx.net. 300 IN A 192.0.2.4");
            Some(answer)
        });
        let zone = parsed("example.com");
        let servers = ["ns.other.net", "x.net"].map(|host| (parsed(host), vec![]));
        rig.table.note_servers(&zone, Side::Parent, servers.to_vec(), 300, 0);
        rig.ask("ns.other.net.", RecordType::A).await.unwrap();
        assert_eq!(rig.path("example.com"), ["ns.other.net [192.0.2.3]", "x.net []"]);
    }

    #[tokio::test]
    async fn only_the_alias_at_the_name_asked_for_is_noted_and_taken_back() {
        let rig = rig(|query| {
            let mut answer = respond(query);
            answer.metadata.authoritative = true;
            if query.queries[0].query_type() == RecordType::A {
                answer.answers = records(
                    "a.evil.com. 300 IN CNAME www.victim.com.
                     www.victim.com. 300 IN CNAME evil.com.",
                );
            }
            Some(answer)
        });
        rig.ask("a.evil.com.", RecordType::A).await.unwrap();
        let alias = |of: &str| rig.table.alias(&parsed(of), 0).map(|a| a.target.to_string());
        assert_eq!(alias("a.evil.com").as_deref(), Some("www.victim.com"));
        assert_eq!(alias("www.victim.com"), None);
        rig.ask("a.evil.com.", RecordType::TXT).await.unwrap();
        assert_eq!(alias("a.evil.com"), None);
    }

    #[tokio::test]
    async fn lame_answers_become_failures_that_send_the_pool_on() {
        for code in [
            ResponseCode::Refused,
            ResponseCode::ServFail,
            ResponseCode::NotImp,
            ResponseCode::FormErr,
            ResponseCode::NotAuth,
        ] {
            let rig = rig(move |query| {
                let mut answer = respond(query);
                answer.metadata.response_code = code;
                Some(answer)
            });
            let error = rig.ask("example.com.", RecordType::A).await.unwrap_err();
            assert!(matches!(&error, NetError::Io(_)) && !error.is_connection_closed(), "{code}");
        }
        let upward = rig(|query| {
            let mut answer = respond(query);
            answer.authorities = records(". 300 IN NS a.root-servers.net.");
            Some(answer)
        });
        assert!(upward.ask("example.com.", RecordType::A).await.is_err());
        let nodata = rig(|query| {
            let mut answer = respond(query);
            answer.metadata.authoritative = true;
            Some(answer)
        });
        assert!(nodata.ask("example.com.", RecordType::A).await.is_ok());
    }

    #[tokio::test]
    async fn a_server_without_edns_is_asked_again_without() {
        let rig = rig(|query| {
            let mut answer = respond(query);
            answer.edns = None;
            answer.metadata.authoritative = true;
            if query.edns.is_some() {
                answer.metadata.response_code = ResponseCode::FormErr;
            }
            Some(answer)
        });
        assert!(rig.ask("example.com.", RecordType::A).await.is_ok());
        assert_eq!(rig.network.asked().len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_server_is_given_up_in_time_for_the_next() {
        let rig = rig(|_| None);
        let start = Instant::now();
        let error = rig.ask("example.com.", RecordType::A).await.unwrap_err();
        assert!(matches!(error, NetError::Timeout));
        assert_eq!(start.elapsed().as_millis(), 1500);
    }
}

//! Forwarding: a set of servers that answer for everything, or for a part of the name space.
//!
//! The whole message of the server is wanted (the chain before a negative end, the SOA, AD,
//! extended errors), and a server's SERVFAIL is a reason to ask the next one; hickory's resolver
//! gives neither, so this is our own. Servers are asked as listed. Where one fails, or takes
//! longer than the others should be kept waiting, the next is asked as well and the first good
//! answer wins.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream, FuturesUnordered};
use hickory_net::NetError;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::DnsHandle;
use hickory_proto::op::{DnsRequest, DnsResponse, Message, ResponseCode};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use crate::ports::{ExtendedError, Security, UpstreamError};

use super::assemble::{CHAIN_MAX, Chain, End, alias_of, failed, is_followed, rtype};
use super::convert::{self, Outcome};
use super::health::{self, Health};
use super::route::{Engine, Router};
use super::server::{CertificateRoots, Manner, Server, ServerError, ServerSettings};
use super::validate::{Anchors, Validation, Validator};
use super::{Ask, SettingsError};

/// How to forward.
#[derive(Debug, Clone)]
pub struct ForwardSettings {
    /// Whom to ask, in order of preference.
    pub servers: Vec<ServerSettings>,
    /// Whether and from which keys their answers are validated here. They are asked with DO and CD
    /// then, so that what they think of the signatures does not matter.
    pub validation: Validation,
    /// Whether, where nothing is validated here, the AD bit of the servers is believed and passed
    /// on. Only for servers that validate, over a path that nobody else can write to.
    pub trust_ad: bool,
    /// Who may have signed the servers' certificates.
    pub certificate_roots: CertificateRoots,
    /// The patience with one server for one question, connecting included.
    pub server_timeout: Duration,
    /// The next server is asked as well after this long.
    pub hedge_after: Duration,
    /// Random case of letters in questions over UDP; for servers that do not give it back, each
    /// answer costs a second question over TCP.
    pub case_randomization: bool,
    /// The UDP payload size we offer (RFC 9715 section 3.1: 1,232).
    pub edns_payload_octets: u16,
}

impl Default for ForwardSettings {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            validation: Validation::Off,
            trust_ad: false,
            certificate_roots: CertificateRoots::WebPki,
            server_timeout: Duration::from_secs(2),
            hedge_after: Duration::from_millis(600),
            case_randomization: true,
            edns_payload_octets: 1232,
        }
    }
}

impl ForwardSettings {
    fn manner(&self, recursion_desired: bool) -> Manner {
        Manner {
            recursion_desired,
            authentic_data: self.trust_ad,
            case_randomization: self.case_randomization,
            edns_payload_octets: self.edns_payload_octets,
            timeout: self.server_timeout,
        }
    }
}

/// Servers that answer for the same names.
pub(super) struct Pool {
    servers: Vec<Server>,
    health: Vec<Mutex<Health>>,
    hedge_after: Duration,
    epoch: Instant,
}

impl Pool {
    /// The servers of the settings, asked for recursion (RD=1) or not.
    pub fn new(
        settings: &ForwardSettings,
        recursion_desired: bool,
        epoch: Instant,
    ) -> Result<Self, SettingsError> {
        if settings.servers.is_empty() {
            return Err(SettingsError::NoServers);
        }
        let server = |of: &ServerSettings| {
            Server::new(of, settings.manner(recursion_desired), &settings.certificate_roots)
        };
        let servers = settings.servers.iter().map(server).collect::<Result<_, _>>()?;
        Ok(Self::of(servers, settings.hedge_after, epoch))
    }

    /// Servers that a referral named: plain DNS without recursion.
    pub fn referred(
        addresses: impl IntoIterator<Item = SocketAddr>,
        settings: &ForwardSettings,
        epoch: Instant,
    ) -> Self {
        let server = |address| Server::plain(address, settings.manner(false));
        Self::of(addresses.into_iter().map(server).collect(), settings.hedge_after, epoch)
    }

    fn of(servers: Vec<Server>, hedge_after: Duration, epoch: Instant) -> Self {
        let health = servers.iter().map(|_| Mutex::default()).collect();
        Self { servers, health, hedge_after, epoch }
    }

    /// The first usable answer, or the failure that says most.
    pub async fn ask(&self, ask: &Ask) -> Result<Message, ServerError> {
        let mut waiting = self.order().into_iter();
        let mut asked = Vec::new();
        let mut asking = FuturesUnordered::new();
        let mut failure = ServerError::Network("no server".to_owned());
        // Each turn begins with one more server: at first, after a failure, when it is time.
        loop {
            if let Some(at) = waiting.next() {
                asked.push(at);
                asking.push(async move { (at, self.servers[at].ask(ask).await) });
            }
            let (at, result) = tokio::select! {
                Some(done) = asking.next() => done,
                () = sleep(self.hedge_after), if waiting.len() > 0 => continue,
                else => return Err(failure),
            };
            match result {
                Ok(message) => {
                    self.note_success(at, &asked);
                    return Ok(message);
                }
                Err(error) => {
                    tracing::debug!(server = at, name = %ask.name, ?error, "upstream server failed");
                    if error.concerns_the_server() {
                        self.health[at].lock().failed(self.now());
                    }
                    asked.retain(|&other| other != at);
                    failure = the_more_telling(failure, error);
                }
            }
        }
    }

    fn order(&self) -> Vec<usize> {
        let health: Vec<Health> = self.health.iter().map(|health| *health.lock()).collect();
        health::order(&health, self.now())
    }

    /// A server that was overtaken by one asked later is as good as failed, for a while.
    fn note_success(&self, at: usize, asked: &[usize]) {
        self.health[at].lock().succeeded();
        for &overtaken in asked.iter().take_while(|&&other| other != at) {
            self.health[overtaken].lock().failed(self.now());
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// A server's own words say more than silence.
fn the_more_telling(a: ServerError, b: ServerError) -> ServerError {
    let rank = |error: &ServerError| match error {
        ServerError::Refused { extended: Some(_), .. } => 3,
        ServerError::Refused { code: ResponseCode::ServFail, .. } => 2,
        ServerError::Refused { .. } | ServerError::Unusable => 1,
        ServerError::Network(_) | ServerError::Timeout => 0,
    };
    if rank(&a) > rank(&b) { a } else { b }
}

impl From<ServerError> for UpstreamError {
    fn from(error: ServerError) -> Self {
        match error {
            ServerError::Timeout => {
                failed(ExtendedError::NO_REACHABLE_AUTHORITY, "no upstream server answered in time")
            }
            ServerError::Network(text) => failed(ExtendedError::NETWORK_ERROR, text),
            ServerError::Unusable => {
                failed(ExtendedError::OTHER, "the upstream server's answer is not to the question")
            }
            ServerError::Refused { extended: Some(extended), .. } => Self::Failed(extended),
            ServerError::Refused { code, .. } => {
                failed(ExtendedError::NETWORK_ERROR, format!("the upstream server said {code}"))
            }
        }
    }
}

/// Servers that recurse for us.
pub(super) struct Forwarding {
    pool: Arc<Pool>,
    trust_ad: bool,
    anchors: Option<Anchors>,
    validator: ArcSwapOption<Validator<Pooled>>,
}

impl Forwarding {
    pub fn new(settings: &ForwardSettings, epoch: Instant) -> Result<Self, SettingsError> {
        let forwarding = Self {
            pool: Arc::new(Pool::new(settings, true, epoch)?),
            trust_ad: settings.trust_ad,
            anchors: Anchors::of(&settings.validation)?,
            validator: ArcSwapOption::empty(),
        };
        forwarding.flush()?;
        Ok(forwarding)
    }

    /// As the servers say it.
    async fn plain(&self, ask: &Ask) -> Result<Outcome, UpstreamError> {
        let message = self.pool.ask(ask).await?;
        let mut outcome = convert::outcome(&message);
        let security = match (self.trust_ad, message.metadata.authentic_data) {
            (false, _) => Security::Indeterminate,
            (true, false) => Security::Insecure,
            (true, true) => Security::Secure,
        };
        for item in outcome.answers.iter_mut().chain(&mut outcome.authorities) {
            item.security = security;
        }
        Ok(outcome)
    }

    /// The alias at the name, where the servers fail at what it leads to.
    async fn alias(&self, ask: &Ask, error: UpstreamError) -> Result<Outcome, UpstreamError> {
        if !is_followed(ask.rtype) || !matches!(error, UpstreamError::Failed(_)) {
            return Err(error);
        }
        let about_alias = Ask { rtype: rtype::CNAME, ..ask.clone() };
        match self.plain(&about_alias).await {
            Ok(outcome) if alias_of(&ask.name, &outcome.answers).is_some() => Ok(outcome),
            _ => Err(error),
        }
    }
}

/// Where a chain of aliases ends in nothing, the proofs are about its end, and a validator takes
/// them for those of its beginning. So the alias is asked for on its own, and the router then asks
/// for its target.
async fn validated(validator: &Validator<Pooled>, ask: &Ask) -> Result<Outcome, UpstreamError> {
    let found = validator.resolve(&ask.name, ask.rtype).await.map_err(of_pool)?;
    let answers = &found.outcome.answers;
    let chain = Chain::follow(&ask.name, ask.rtype, answers, CHAIN_MAX, |_| false);
    if chain.names.is_empty() || chain.end != End::Nothing {
        return Ok(found.outcome);
    }
    let alias = validator.resolve(&ask.name, rtype::CNAME).await.map_err(of_pool)?;
    Ok(alias.outcome)
}

/// The servers as hickory's validator asks them.
#[derive(Clone)]
struct Pooled(Arc<Pool>);

impl DnsHandle for Pooled {
    type Response = BoxStream<'static, Result<DnsResponse, NetError>>;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let pool = self.0.clone();
        stream::once(async move {
            let query = request.queries.first().cloned().unwrap_or_default();
            let ask = Ask {
                name: convert::name(query.name()),
                rtype: query.query_type().into(),
                dnssec_ok: true,
                checking_disabled: true,
                depth: 0,
            };
            let answer = pool.ask(&ask).await;
            let message = answer.map_err(|error| NetError::from(io::Error::other(error)))?;
            DnsResponse::from_message(message).map_err(NetError::from)
        })
        .boxed()
    }
}

/// What the pool said to the validator.
fn of_pool(error: NetError) -> UpstreamError {
    let NetError::Io(io) = &error else {
        return failed(ExtendedError::OTHER, error.to_string());
    };
    match io.get_ref().and_then(|error| error.downcast_ref::<ServerError>()) {
        Some(error) => error.clone().into(),
        None => failed(ExtendedError::NETWORK_ERROR, error.to_string()),
    }
}

#[async_trait]
impl Engine for Forwarding {
    /// Asks the servers, and validates what they say. Where it is not validated, their own
    /// validation counts if their AD bit is trusted.
    async fn ask(&self, ask: &Ask, _: &Router) -> Result<Outcome, UpstreamError> {
        let validator = self.validator.load_full().filter(|of| of.covers(&ask.name));
        let answer = match &validator {
            Some(validator) => validated(validator, ask).await,
            None => self.plain(ask).await,
        };
        match answer {
            Err(error) => self.alias(ask, error).await,
            answer => answer,
        }
    }

    /// The validator remembers what it has validated.
    fn flush(&self) -> Result<(), SettingsError> {
        let validator =
            self.anchors.as_ref().map(|of| Validator::new(of, Pooled(self.pool.clone())));
        self.validator.store(validator.transpose()?.map(Arc::new));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::server::Transport;
    use super::super::testing::{Authority, Loopback, outcome, parsed, question, records, respond};
    use super::*;
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};

    fn to(servers: &[ServerSettings]) -> ForwardSettings {
        ForwardSettings { servers: servers.to_vec(), ..ForwardSettings::default() }
    }

    async fn ask(settings: &ForwardSettings, name: &str) -> Result<Outcome, UpstreamError> {
        Forwarding::new(settings, Instant::now())
            .unwrap()
            .ask(&question(name), &Router::none())
            .await
    }

    fn good(query: &Message) -> Option<Message> {
        let mut answer = respond(query);
        answer.answers = records(&format!("{} 60 IN A 192.0.2.1", query.queries[0].name()));
        Some(answer)
    }

    fn saying(code: ResponseCode) -> impl Fn(&Message) -> Option<Message> + Send + Sync + 'static {
        move |query| {
            let mut answer = respond(query);
            answer.metadata.response_code = code;
            Some(answer)
        }
    }

    #[tokio::test]
    async fn the_whole_message_comes_back_chain_and_negative_end_together() {
        let server = Loopback::new(|query| {
            let mut answer = respond(query);
            answer.metadata.response_code = ResponseCode::NXDomain;
            answer.answers = records("www.a.test. 60 IN CNAME gone.b.test.");
            answer.authorities = records("b.test. 60 IN SOA ns.b.test. h.b.test. 1 2 3 4 5");
            let option = EdnsOption::Unknown(15, vec![0, 0, b'h', b'i']);
            let options = answer.edns.as_mut().unwrap().options_mut();
            options.options.push((EdnsCode::Unknown(15), option));
            Some(answer)
        })
        .await;
        let mut expected = outcome(
            "www.a.test. 60 IN CNAME gone.b.test.",
            "b.test. 60 IN SOA ns.b.test. h.b.test. 1 2 3 4 5",
        );
        expected.rcode = 3;
        expected.extended = vec![ExtendedError::new(0, "hi")];
        assert_eq!(ask(&to(&[server.udp()]), "www.a.test").await, Ok(expected));
    }

    #[tokio::test]
    async fn refusals_and_dead_servers_send_the_question_on() {
        let good = Loopback::new(good).await;
        for code in [ResponseCode::ServFail, ResponseCode::Refused, ResponseCode::NotImp] {
            let bad = Loopback::new(saying(code)).await;
            let outcome = ask(&to(&[bad.udp(), good.udp()]), "www.a.test").await.unwrap();
            assert_eq!(outcome.answers.len(), 1, "{code}");
        }
        let dead = Loopback::closed().await;
        for transport in [Transport::Udp, Transport::Tcp] {
            let dead = ServerSettings { transport, ..dead.udp() };
            let hedge_after = Duration::from_millis(20);
            let settings = ForwardSettings { hedge_after, ..to(&[dead, good.udp()]) };
            assert!(ask(&settings, "www.a.test").await.is_ok());
        }
    }

    #[tokio::test]
    async fn a_silent_server_is_overtaken_and_not_asked_first_again() {
        let silent = Loopback::new(|_| None).await;
        let good = Loopback::new(good).await;
        let hedge_after = Duration::from_millis(150);
        let settings = ForwardSettings { hedge_after, ..to(&[silent.udp(), good.udp()]) };
        let forwarding = Forwarding::new(&settings, Instant::now()).unwrap();
        for _ in 0..3 {
            assert!(forwarding.ask(&question("www.a.test"), &Router::none()).await.is_ok());
        }
        assert_eq!((silent.asked().len(), good.asked().len()), (1, 3));
    }

    #[tokio::test]
    async fn the_failure_that_says_most_is_told() {
        let closed = Loopback::closed().await;
        let closed = ServerSettings { transport: Transport::Tcp, ..closed.udp() };
        let refusing = Loopback::new(|query| {
            let mut answer = saying(ResponseCode::ServFail)(query)?;
            let option = EdnsOption::Unknown(15, vec![0, 9, b'k']);
            let options = answer.edns.as_mut()?.options_mut();
            options.options.push((EdnsCode::Unknown(15), option));
            Some(answer)
        })
        .await;
        for servers in [[closed.clone(), refusing.udp()], [refusing.udp(), closed.clone()]] {
            let error = ask(&to(&servers), "www.a.test").await.unwrap_err();
            assert_eq!(error, UpstreamError::Failed(ExtendedError::new(9, "k")));
        }
    }

    #[tokio::test]
    async fn a_truncated_answer_is_fetched_over_tcp() {
        let server = Loopback::by_transport(|query, is_udp| {
            let mut answer = good(query)?;
            if is_udp {
                answer.metadata.truncation = true;
                answer.answers.clear();
            }
            Some(answer)
        })
        .await;
        assert_eq!(ask(&to(&[server.udp()]), "www.a.test").await.unwrap().answers.len(), 1);
        assert_eq!(server.asked(), ["udp www.a.test. A", "tcp www.a.test. A"]);
    }

    #[tokio::test]
    async fn another_case_of_letters_over_udp_is_taken_for_a_forgery() {
        let server = Loopback::by_transport(|query, _| {
            let mut answer = good(query)?;
            answer.queries[0].name = answer.queries[0].name.to_lowercase();
            Some(answer)
        })
        .await;
        let name = "a-name-of-many-letters-so-that-one-is-surely-upper-case.test";
        assert!(ask(&to(&[server.udp()]), name).await.is_ok());
        assert_eq!(server.asked().len(), 2);
        assert!(server.asked()[1].starts_with("tcp "));
        let settings = ForwardSettings { case_randomization: false, ..to(&[server.udp()]) };
        assert!(ask(&settings, name).await.is_ok());
        assert_eq!(server.asked().len(), 3);
    }

    #[tokio::test]
    async fn an_answer_to_another_question_is_none() {
        let server = Loopback::new(|query| {
            let mut answer = good(query)?;
            answer.queries[0].name = "evil.test.".parse().unwrap();
            Some(answer)
        })
        .await;
        let tcp = ServerSettings { transport: Transport::Tcp, ..server.udp() };
        let error = ask(&to(&[tcp]), "www.a.test").await.unwrap_err();
        assert!(
            matches!(&error, UpstreamError::Failed(e) if e.text.contains("not to the question"))
        );
    }

    #[tokio::test]
    async fn many_questions_share_one_tls_connection_to_a_server_with_the_right_name() {
        let authority = Authority::new("dns.test");
        let server = Loopback::tls(&authority, good).await;
        let settings = ForwardSettings {
            certificate_roots: CertificateRoots::Only(vec![authority.certificate()]),
            ..to(&[server.over_tls("dns.test")])
        };
        let forwarding = Forwarding::new(&settings, Instant::now()).unwrap();
        let names = (0..100).map(|n| question(&format!("n{n}.test")));
        let asks = names.map(|ask| {
            let forwarding = &forwarding;
            async move {
                forwarding.ask(&ask, &Router::none()).await.unwrap().answers[0].owner == ask.name
            }
        });
        assert!(futures_util::future::join_all(asks).await.into_iter().all(|is_right| is_right));
        assert_eq!(server.connections(), 1);
        for (name, roots) in [
            ("other.test", settings.certificate_roots.clone()),
            ("dns.test", CertificateRoots::WebPki),
        ] {
            let settings =
                ForwardSettings { certificate_roots: roots, ..to(&[server.over_tls(name)]) };
            assert!(ask(&settings, "www.a.test").await.is_err(), "{name}");
        }
    }

    #[tokio::test]
    async fn a_connection_that_the_server_closed_is_opened_again() {
        // After each answer the server takes one more question, and hangs up instead of answering.
        let server = Loopback::tcp_hanging_up_after(1, good).await;
        let tcp = ServerSettings { transport: Transport::Tcp, ..server.udp() };
        let forwarding = Forwarding::new(&to(&[tcp]), Instant::now()).unwrap();
        for n in 0..4 {
            assert!(forwarding.ask(&question("www.a.test"), &Router::none()).await.is_ok(), "{n}");
        }
        assert_eq!(server.connections(), 4);
    }

    #[tokio::test]
    async fn dns_over_https_asks_the_path_given_and_checks_the_name() {
        let authority = Authority::new("doh.test");
        let server = Loopback::https(&authority, "/dns-query", good).await;
        let roots = CertificateRoots::Only(vec![authority.certificate()]);
        let settings = |name: &str, path: &str| ForwardSettings {
            certificate_roots: roots.clone(),
            ..to(&[server.over_https(name, path)])
        };
        let forwarding =
            Forwarding::new(&settings("doh.test", "/dns-query"), Instant::now()).unwrap();
        for _ in 0..3 {
            let outcome = forwarding.ask(&question("www.a.test"), &Router::none()).await.unwrap();
            assert_eq!(outcome.answers.len(), 1);
        }
        assert_eq!(server.connections(), 1);
        assert!(ask(&settings("other.test", "/dns-query"), "www.a.test").await.is_err());
        assert!(ask(&settings("doh.test", "/elsewhere"), "www.a.test").await.is_err());
    }

    #[tokio::test]
    async fn the_ad_bit_counts_only_where_it_is_trusted() {
        let server = Loopback::new(|query| {
            let mut answer = good(query)?;
            answer.metadata.authentic_data = query.metadata.authentic_data;
            Some(answer)
        })
        .await;
        for (trust_ad, expected) in [(true, Security::Secure), (false, Security::Indeterminate)] {
            let settings = ForwardSettings { trust_ad, ..to(&[server.udp()]) };
            let outcome = ask(&settings, "www.a.test").await.unwrap();
            assert_eq!(outcome.answers[0].security, expected);
        }
    }

    #[tokio::test]
    async fn do_and_cd_are_passed_on() {
        let server = Loopback::new(|query| {
            let mut answer = good(query)?;
            let is_passed = query.edns.as_ref().is_some_and(|edns| edns.flags().dnssec_ok)
                && query.metadata.checking_disabled
                && query.metadata.recursion_desired;
            if !is_passed {
                answer.metadata.response_code = ResponseCode::Refused;
            }
            Some(answer)
        })
        .await;
        let forwarding = Forwarding::new(&to(&[server.udp()]), Instant::now()).unwrap();
        let mut ask = Ask { dnssec_ok: true, checking_disabled: true, ..question("a.test") };
        assert!(forwarding.ask(&ask, &Router::none()).await.is_ok());
        ask.checking_disabled = false;
        assert!(forwarding.ask(&ask, &Router::none()).await.is_err());
    }

    #[test]
    fn settings_without_sense_are_refused() {
        let of = |settings: &ForwardSettings| Forwarding::new(settings, Instant::now()).err();
        assert_eq!(of(&to(&[])), Some(SettingsError::NoServers));
        let address = "127.0.0.1:853".parse().unwrap();
        let transport = Transport::Tls { name: "not a name".to_owned() };
        let error = of(&to(&[ServerSettings { address, transport }]));
        assert_eq!(error, Some(SettingsError::ServerName("not a name".to_owned())));
        assert_eq!(parsed("a.test"), question("a.test").name);
    }
}

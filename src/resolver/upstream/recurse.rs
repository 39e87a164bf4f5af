//! Recursion from the root servers, by hickory's recursor behind the [tap](super::tap).
//!
//! What the recursor leaves out is made good here: a chain of aliases that ends in NXDOMAIN or
//! NODATA comes back whole (the recursor only tells the end, and a validator takes the proof of the
//! end for that of the beginning and calls it bogus), and each kind of failure is told apart.

use std::io;
use std::net::{IpAddr, Ipv6Addr, UdpSocket};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::DnsHandle;
use hickory_net::{DnsError, NetError, NoRecords};
use hickory_proto::op::{DnsRequest, DnsResponse, Message, Query};
use hickory_proto::rr::RecordType;
use hickory_resolver::ConnectionProvider;
use hickory_resolver::recursor::{DnssecPolicy, Recursor, RecursorError, RecursorOptions};
use ipnet::IpNet;
use tokio::time::Instant;

use crate::model::Name;
use crate::ports::{ExtendedError, UpstreamError};

use super::assemble::{CHAIN_MAX, alias_loop, alias_of, failed, is_followed, rtype};
use super::convert::{self, Item, Outcome};
use super::delegations::Delegations;
use super::route::{Engine, Router};
use super::tap::Tap;
use super::validate::{Anchors, Found, Validation, Validator};
use super::{Ask, SettingsError, roots};

/// How to recurse.
#[derive(Debug, Clone)]
pub struct RecursionSettings {
    /// Addresses of the root servers; the thirteen of IANA if none are given.
    pub roots: Option<Vec<IpAddr>>,
    /// Whether and from which keys to validate.
    pub validation: Validation,
    /// Networks whose servers are never asked. The recommended list (private, documentation,
    /// loopback and other networks that cannot serve the public) if none is given.
    pub deny_servers: Option<Vec<IpNet>>,
    /// Networks whose servers are asked although `deny_servers` has them.
    pub allow_servers: Vec<IpNet>,
    /// Whether servers can be reached over IPv6; [`host_has_ipv6`] finds out.
    pub ipv6: bool,
    /// The patience with one server for one question, repeats over UDP included. Three servers in
    /// turn fit the deadline of four seconds.
    pub server_timeout: Duration,
    /// Zones whose servers the recursor remembers, and as many server addresses. hickory's own
    /// default, 1,024, is less than a small network touches in an hour.
    pub nameserver_cache_entries: usize,
    /// Answers the recursor remembers, 1 to 3 kB each; clients are answered from the front cache.
    pub response_cache_entries: u64,
    /// The UDP payload size we offer (RFC 9715 section 3.1: 1,232).
    pub edns_payload_octets: u16,
}

impl Default for RecursionSettings {
    fn default() -> Self {
        Self {
            roots: None,
            validation: Validation::On { anchors: None },
            deny_servers: None,
            allow_servers: Vec::new(),
            ipv6: true,
            server_timeout: Duration::from_millis(1200),
            nameserver_cache_entries: 50_000,
            response_cache_entries: 32_768,
            edns_payload_octets: 1232,
        }
    }
}

/// Whether the host has a route to the IPv6 Internet. Sends nothing.
pub fn host_has_ipv6() -> bool {
    let far = roots::addresses().into_iter().find(IpAddr::is_ipv6);
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0));
    match (socket, far) {
        (Ok(socket), Some(address)) => socket.connect((address, 53)).is_ok(),
        _ => false,
    }
}

/// The recursor.
pub(super) struct Recursion<P: ConnectionProvider = TokioRuntimeProvider> {
    settings: RecursionSettings,
    provider: P,
    table: Arc<Delegations>,
    epoch: Instant,
    anchors: Option<Anchors>,
    recursor: ArcSwap<Validated<P>>,
}

/// The recursor, and what validates its answers.
struct Validated<P: ConnectionProvider> {
    plain: Arc<Recursor<Tap<P>>>,
    validator: Option<Validator<Recursing<P>>>,
}

impl<P: ConnectionProvider> Recursion<P> {
    /// Builds the recursor; `epoch` is the zero of the table's time.
    pub fn new(
        settings: RecursionSettings,
        provider: P,
        table: Arc<Delegations>,
        epoch: Instant,
    ) -> Result<Self, SettingsError> {
        let anchors = Anchors::of(&settings.validation)?;
        let plain = build(&settings, provider.clone(), table.clone(), epoch)?;
        let recursor = ArcSwap::from_pointee(Validated::new(plain, anchors.as_ref())?);
        Ok(Self { settings, provider, table, epoch, anchors, recursor })
    }

    async fn follow(&self, ask: &Ask) -> Result<Outcome, UpstreamError> {
        let mut links = Vec::new();
        let mut current = ask.name.clone();
        for _ in 0..=CHAIN_MAX {
            let found = self.resolve(&current, ask.rtype, ask.dnssec_ok).await?;
            let alias = match found.is_negative && is_followed(ask.rtype) {
                true => self.alias(&current, &found, ask.dnssec_ok).await,
                false => None,
            };
            let Some((items, target)) = alias else {
                let mut outcome = found.outcome;
                outcome.answers.splice(0..0, links);
                return Ok(outcome);
            };
            links.extend(items);
            current = target;
        }
        Err(alias_loop())
    }

    /// The alias at `name` that a negative result hides, if there is one.
    async fn alias(
        &self,
        name: &Name,
        found: &Found,
        dnssec_ok: bool,
    ) -> Option<(Vec<Item>, Name)> {
        let now = self.now();
        let noted = self.table.alias(name, now);
        let is_validating = self.recursor.load().validator.is_some();
        if let Some(alias) = &noted
            && !is_validating
            && !dnssec_ok
        {
            return Some((vec![alias.aged(now)], alias.target.clone()));
        }
        // A result about an ancestor says that the ancestor does not exist (RFC 8020).
        let is_elsewhere = !name.as_ref().is_at_or_below(found.about.as_ref());
        if noted.is_none() && !is_elsewhere {
            return None;
        }
        let outcome = self.resolve(name, rtype::CNAME, dnssec_ok).await.ok()?.outcome;
        let target = alias_of(name, &outcome.answers)?.clone();
        Some((outcome.answers, target))
    }

    async fn resolve(
        &self,
        name: &Name,
        wanted: u16,
        dnssec_ok: bool,
    ) -> Result<Found, UpstreamError> {
        let recursor = self.recursor.load_full();
        if let Some(validator) = &recursor.validator {
            return validator.resolve(name, wanted).await.map_err(|error| failure(name, &error));
        }
        let query = Query::query(convert::hickory_name(name.as_ref()), RecordType::from(wanted));
        let resolving = recursor.plain.resolve(query, Instant::now().into_std(), dnssec_ok);
        match Box::pin(resolving).await {
            Ok(message) => Ok(Found::of_message(name, &message)),
            Err(RecursorError::Negative(data)) => Ok(Found::negative(NoRecords::from(data))),
            Err(error) => {
                let found = Found::read(name, Err(passed_on(error)));
                found.map_err(|error| failure(name, &error))
            }
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[async_trait]
impl<P: ConnectionProvider> Engine for Recursion<P> {
    /// Resolves one question, with the whole chain of aliases also where it ends in nothing.
    async fn ask(&self, ask: &Ask, _: &Router) -> Result<Outcome, UpstreamError> {
        self.follow(ask).await
    }

    /// hickory's caches cannot be emptied, so the recursor is made anew; resolutions under way end
    /// with the old one.
    fn flush(&self) -> Result<(), SettingsError> {
        let (provider, table) = (self.provider.clone(), self.table.clone());
        let plain = build(&self.settings, provider, table, self.epoch)?;
        self.recursor.store(Arc::new(Validated::new(plain, self.anchors.as_ref())?));
        Ok(())
    }
}

impl<P: ConnectionProvider> Validated<P> {
    fn new(plain: Recursor<Tap<P>>, anchors: Option<&Anchors>) -> Result<Self, SettingsError> {
        let plain = Arc::new(plain);
        let validator = anchors.map(|anchors| Validator::new(anchors, Recursing(plain.clone())));
        Ok(Self { plain, validator: validator.transpose()? })
    }
}

/// The recursor as hickory's validator asks it.
struct Recursing<P: ConnectionProvider>(Arc<Recursor<Tap<P>>>);

impl<P: ConnectionProvider> Clone for Recursing<P> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<P: ConnectionProvider> DnsHandle for Recursing<P> {
    type Response = BoxStream<'static, Result<DnsResponse, NetError>>;
    type Runtime = P::RuntimeProvider;

    fn send(&self, request: DnsRequest) -> Self::Response {
        let recursor = self.0.clone();
        stream::once(async move {
            let query = request.queries.first().cloned().unwrap_or_default();
            let now = Instant::now().into_std();
            let found = recursor.resolve(query.clone(), now, true).await.map_err(passed_on)?;
            let mut message = Message::query();
            message.metadata.response_code = found.metadata.response_code;
            message.add_query(query);
            message.add_answers(found.answers);
            message.add_authorities(found.authorities);
            DnsResponse::from_message(message.into_response()).map_err(NetError::from)
        })
        .boxed()
    }
}

/// A recursor's error in the form that its users pass on, and that tells it apart again.
fn passed_on(error: RecursorError) -> NetError {
    match error {
        RecursorError::Negative(_) => NetError::from(error),
        RecursorError::Net(error) => error,
        error => NetError::from(io::Error::other(error)),
    }
}

fn failure(name: &Name, error: &NetError) -> UpstreamError {
    tracing::debug!(%name, %error, "resolution failed");
    let NetError::Io(io) = error else {
        return match error {
            NetError::Dns(DnsError::DnssecBogus) => super::assemble::bogus([]),
            _ => failed(
                ExtendedError::NO_REACHABLE_AUTHORITY,
                "no nameserver of the zone gave a usable answer",
            ),
        };
    };
    match io.get_ref().and_then(|error| error.downcast_ref::<RecursorError>()) {
        Some(
            RecursorError::MaxRecordLimitExceeded { .. }
            | RecursorError::RecursionLimitExceeded { .. },
        ) => alias_loop(),
        Some(RecursorError::QueryBudgetExceeded) => {
            failed(ExtendedError::OTHER, "the way to the answer needs too many queries")
        }
        None | Some(RecursorError::Io(_)) => failed(
            ExtendedError::NETWORK_ERROR,
            "the nameservers cannot be reached or refuse to answer",
        ),
        _ => failed(
            ExtendedError::NO_REACHABLE_AUTHORITY,
            "no nameserver of the zone gave a usable answer",
        ),
    }
}

fn build<P: ConnectionProvider>(
    settings: &RecursionSettings,
    provider: P,
    table: Arc<Delegations>,
    epoch: Instant,
) -> Result<Recursor<Tap<P>>, SettingsError> {
    let mut roots = settings.roots.clone().unwrap_or_else(roots::addresses);
    roots.retain(|address| settings.ipv6 || address.is_ipv4());
    if roots.is_empty() {
        return Err(SettingsError::NoRoots);
    }
    let defaults = RecursorOptions::default();
    let mut deny_server = settings.deny_servers.clone().unwrap_or(defaults.deny_server);
    if !settings.ipv6 {
        deny_server.push(IpNet::from_str("::/0").expect("a network"));
    }
    let tap = Tap::new(provider, table, epoch, settings.server_timeout);
    let options = RecursorOptions {
        ns_cache_size: settings.nameserver_cache_entries,
        response_cache_size: settings.response_cache_entries,
        // Seen to for recursion and forwarding alike, see `rebinding`.
        allow_answers: Vec::new(),
        deny_answers: Vec::new(),
        allow_server: settings.allow_servers.clone(),
        deny_server,
        case_randomization: true,
        edns_payload_len: settings.edns_payload_octets,
        ..RecursorOptions::default()
    };
    // It asks with DO, and leaves validation to us.
    Recursor::new(&roots, DnssecPolicy::ValidationDisabled, None, options, tap)
        .map_err(|error| SettingsError::Recursor(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Network, internet, parsed, question, respond, zone};
    use super::*;
    use crate::ports::Security;
    use hickory_proto::op::{Message, ResponseCode};

    fn recursion(network: &Network, validation: Validation) -> Recursion<Network> {
        let settings = RecursionSettings {
            roots: Some(vec!["192.0.2.1".parse().unwrap()]),
            validation,
            deny_servers: Some(Vec::new()),
            ..RecursionSettings::default()
        };
        let table = Delegations::new(1 << 20, roots::servers(settings.roots.as_deref()));
        Recursion::new(settings, network.clone(), Arc::new(table), Instant::now()).unwrap()
    }

    async fn ask(network: &Network, name: &str) -> Result<Outcome, UpstreamError> {
        recursion(network, Validation::Off).follow(&question(name)).await
    }

    fn shown(outcome: &Outcome) -> Vec<String> {
        let of = |item: &Item| format!("{} {}", item.owner, item.record.rtype);
        outcome.answers.iter().map(of).collect()
    }

    #[tokio::test]
    async fn an_answer_is_found_from_the_root_down() {
        let network = internet();
        let recursion = recursion(&network, Validation::Off);
        let outcome = recursion.follow(&question("www.example.com")).await.unwrap();
        assert_eq!((outcome.rcode, shown(&outcome)), (0, vec!["www.example.com 1".to_owned()]));
        let path = recursion.table.path(&parsed("www.example.com"), recursion.now());
        let path: Vec<String> = path
            .iter()
            .map(|c| format!("{} {} {:?}", c[0].zone, c[0].name, c[0].addresses))
            .collect();
        assert_eq!(
            path,
            [
                ". . [192.0.2.1]",
                "com ns.com [192.0.2.2]",
                "example.com ns1.example.com [192.0.2.3]"
            ]
        );
    }

    #[tokio::test]
    async fn one_lame_server_among_two_does_not_break_a_zone() {
        for code in [ResponseCode::Refused, ResponseCode::ServFail] {
            let network = internet().with("192.0.2.4", move |query| {
                let mut answer = respond(query);
                answer.metadata.response_code = code;
                Some(answer)
            });
            let recursion = recursion(&network, Validation::Off);
            for n in 0..4 {
                let name = format!("host{n}.two.com");
                let outcome = recursion.follow(&question(&name)).await.unwrap();
                assert_eq!(outcome.answers.len(), 1, "{code} {name}");
            }
            assert!(network.asked().iter().any(|line| line.starts_with("192.0.2.4 ")));
        }
    }

    #[tokio::test]
    async fn a_chain_that_ends_in_nothing_comes_back_whole() {
        for (name, step, rcode) in
            [("gone.example.com", "step", 3), ("empty.example.com", "step2", 0)]
        {
            let network = internet();
            let recursion = recursion(&network, Validation::Off);
            // The second time hickory answers from its caches.
            for _ in 0..2 {
                let outcome = recursion.follow(&question(name)).await.unwrap();
                assert_eq!(outcome.rcode, rcode, "{name}");
                let chain = [format!("{name} 5"), format!("{step}.example.com 5")];
                assert_eq!(shown(&outcome), chain);
                assert!(outcome.is_negative(), "the SOA of the end is there");
            }
            let asked = network.asked().iter().filter(|q| q.ends_with("CNAME")).count();
            assert!(asked <= 1, "the tap noted the first step: {asked}");
        }
    }

    #[tokio::test]
    async fn a_chain_is_found_again_where_the_table_has_forgotten_it() {
        let network = internet();
        let recursion = recursion(&network, Validation::Off);
        recursion.follow(&question("gone.example.com")).await.unwrap();
        recursion.table.clear();
        let outcome = recursion.follow(&question("gone.example.com")).await.unwrap();
        assert_eq!((outcome.rcode, outcome.answers.len()), (3, 2));
    }

    #[tokio::test]
    async fn with_do_the_chain_is_asked_for_so_that_its_signatures_come_along() {
        let network = internet();
        let recursion = recursion(&network, Validation::Off);
        let ask = Ask { dnssec_ok: true, ..question("gone.example.com") };
        let outcome = recursion.follow(&ask).await.unwrap();
        assert_eq!(outcome.answers.len(), 2);
        assert!(network.asked().contains(&"192.0.2.3 gone.example.com. CNAME".to_owned()));
    }

    #[tokio::test]
    async fn plain_negative_answers_have_no_chain_and_cost_no_extra_question() {
        let network = internet();
        let outcome = ask(&network, "nobody.example.com").await.unwrap();
        assert_eq!((outcome.rcode, outcome.answers.len()), (3, 0));
        assert!(outcome.is_negative());
        assert!(!network.asked().iter().any(|q| q.ends_with("CNAME")));
    }

    #[tokio::test]
    async fn a_loop_of_aliases_is_a_failure() {
        for name in ["loop.example.com", "far.example.com"] {
            let outcome = ask(&internet(), name).await;
            let Ok(outcome) = outcome else { continue };
            let end = super::super::assemble::Chain::follow(
                &parsed(name),
                rtype::A,
                &outcome.answers,
                CHAIN_MAX,
                |_| false,
            );
            assert_eq!(end.end, super::super::assemble::End::Loop, "{name}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silent_servers_are_a_failure() {
        let network = internet().with("192.0.2.3", |_| None);
        let error = ask(&network, "www.example.com").await.unwrap_err();
        assert!(matches!(&error, UpstreamError::Failed(of) if of.code == 22), "{error}");
    }

    #[tokio::test]
    async fn a_flush_forgets_and_recursion_goes_on() {
        let network = internet();
        let recursion = recursion(&network, Validation::Off);
        for expected in [true, false] {
            let before = network.asked().len();
            recursion.follow(&question("www.example.com")).await.unwrap();
            assert_eq!(network.asked().len() > before, expected);
        }
        recursion.flush().unwrap();
        let before = network.asked().len();
        recursion.follow(&question("www.example.com")).await.unwrap();
        assert!(network.asked().len() > before);
    }

    #[tokio::test]
    async fn an_unsigned_answer_below_a_signed_root_is_bogus() {
        // Nothing here is signed, but the anchors say that the root is.
        let recursion = recursion(&internet(), Validation::On { anchors: None });
        let found = recursion.follow(&question("www.example.com")).await.unwrap();
        assert_eq!(found.answers[0].security, Security::Bogus);
        let found = recursion.follow(&question("nobody.example.com")).await.unwrap();
        assert_eq!(found.security, Some(Security::Bogus));
    }

    #[test]
    fn bad_settings_are_refused_with_the_reason() {
        let of = |settings: RecursionSettings| {
            let table = Arc::new(Delegations::new(1000, roots::servers(None)));
            Recursion::new(settings, Network::default(), table, Instant::now()).err()
        };
        let only_v6 = Some(vec!["2001:db8::1".parse().unwrap()]);
        let settings = RecursionSettings { roots: only_v6, ipv6: false, ..Default::default() };
        assert_eq!(of(settings), Some(SettingsError::NoRoots));
        for text in ["", "example. IN A 1.2.3.4", "nonsense"] {
            let validation = Validation::On { anchors: Some(text.to_owned()) };
            let settings = RecursionSettings { validation, ..Default::default() };
            assert!(matches!(of(settings), Some(SettingsError::TrustAnchors(_))), "{text}");
        }
    }

    #[tokio::test]
    async fn glueless_nameservers_are_found_and_their_addresses_noted() {
        let network = internet();
        let recursion = recursion(&network, Validation::Off);
        recursion.follow(&question("www.glueless.com")).await.unwrap();
        let path = recursion.table.path(&parsed("www.glueless.com"), recursion.now());
        let server = &path.last().unwrap()[0];
        assert_eq!(format!("{} {:?}", server.name, server.addresses), "ns.host.net [192.0.2.6]");
    }

    #[test]
    fn the_test_internet_answers_like_one() {
        let com = zone("com.", "com. 60 IN SOA a. b. 1 2 3 4 60\nx.com. 60 IN NS ns.x.com.");
        let query = |text: &str| {
            let mut message = Message::query();
            let name = hickory_proto::rr::Name::from_ascii(text).unwrap();
            message.add_query(Query::query(name, RecordType::A));
            com(&message).unwrap()
        };
        assert!(!query("www.x.com.").authoritative && query("www.x.com.").authorities.len() == 1);
        assert_eq!(query("y.com.").response_code, ResponseCode::NXDomain);
        assert_eq!(query("net.").response_code, ResponseCode::Refused);
    }
}

//! Answers from the rest of the world: recursion from the roots, forwarders, and both for parts of
//! the name space. The only module that uses hickory-resolver.
//!
//! A question passes `flight` (bounds, one resolution for identical questions), then `route`
//! (whose name is it), then an engine: `recurse`, `forward` or `stub`. The engines
//! give pieces; `assemble` makes a [`Resolution`] of them, with the facts that policy needs, of
//! which the nameservers come from `delegations`, where the `tap` or the `walk` noted them.
//! Nothing here filters, and nothing here is the clients' cache.

mod assemble;
mod convert;
mod delegations;
mod flight;
mod forward;
mod health;
mod rebinding;
mod recurse;
mod roots;
mod route;
mod server;
mod stream;
mod stub;
mod tap;
#[cfg(test)]
mod testing;
mod validate;
mod walk;

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_resolver::ConnectionProvider;
use tokio::time::Instant;

use crate::model::Name;
use crate::ports::{Question, Resolution, Upstream, UpstreamError};

use delegations::Delegations;
use flight::Flights;
use forward::Forwarding;
use recurse::Recursion;
use route::{Route, Router, Way};
use stub::Stub;

pub use flight::Bounds;
pub use forward::ForwardSettings;
pub use rebinding::Rebinding;
pub use recurse::{RecursionSettings, host_has_ipv6};
pub use server::{CertificateRoots, ServerSettings, Transport};
pub use validate::{Validation, check_anchors};

/// Where answers come from.
#[derive(Debug, Clone)]
pub struct UpstreamSettings {
    /// For all names that no zone has.
    pub default: DefaultRoute,
    /// Parts of the name space that are answered by servers of their own.
    pub zones: Vec<ZoneRoute>,
    /// Where names of others must not lead.
    pub rebinding: Rebinding,
    /// How much at once, and how long.
    pub bounds: Bounds,
    /// Octets for delegations and aliases.
    pub delegations_bytes_max: u64,
}

impl UpstreamSettings {
    /// The settings with their defaults for everything but where answers come from.
    pub fn new(default: DefaultRoute) -> Self {
        Self {
            default,
            zones: Vec::new(),
            rebinding: Rebinding::default(),
            bounds: Bounds::default(),
            delegations_bytes_max: 32 << 20,
        }
    }
}

/// Where answers come from by default.
#[derive(Debug, Clone)]
pub enum DefaultRoute {
    /// From the authoritative servers, from the root down.
    Recurse(RecursionSettings),
    /// From other resolvers.
    Forward(ForwardSettings),
}

/// A part of the name space with servers of its own.
#[derive(Debug, Clone)]
pub struct ZoneRoute {
    /// The name at its top.
    pub zone: Name,
    /// How its servers are asked.
    pub kind: ZoneKind,
    /// Whom to ask.
    pub servers: ForwardSettings,
}

/// How the servers of a zone are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ZoneKind {
    /// They are authoritative: without recursion, referrals are followed.
    Stub,
    /// They are resolvers: with recursion.
    Forward,
}

/// Why settings cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// Without IPv6 no root server is left.
    #[error("no root server has an address that can be reached")]
    NoRoots,
    /// There is nobody to forward to.
    #[error("no server is given")]
    NoServers,
    /// No certificate can have this name.
    #[error("`{0}` is not a server name")]
    ServerName(String),
    /// A certificate of those that may sign is none.
    #[error("certificate: {0}")]
    Certificate(String),
    /// The trust anchors are not DNSKEY records.
    #[error("trust anchors: {0}")]
    TrustAnchors(String),
    /// The recursor does not take the settings.
    #[error("recursor: {0}")]
    Recursor(String),
    /// Two zones have the same name.
    #[error("the zone {0} is there twice")]
    ZoneTwice(Name),
}

/// The upstream as the settings want it. To change settings make another and let this one go.
pub struct UpstreamResolver {
    router: Arc<Router>,
    flights: Flights,
}

impl UpstreamResolver {
    /// Opens nothing yet; connections are made when there is a question.
    pub fn new(settings: UpstreamSettings) -> Result<Self, SettingsError> {
        Self::with_provider(settings, TokioRuntimeProvider::new())
    }

    fn with_provider<P: ConnectionProvider>(
        settings: UpstreamSettings,
        provider: P,
    ) -> Result<Self, SettingsError> {
        let epoch = Instant::now();
        let given_roots = match &settings.default {
            DefaultRoute::Recurse(of) => of.roots.as_deref(),
            DefaultRoute::Forward(_) => None,
        };
        let root = roots::servers(given_roots);
        let table = Arc::new(Delegations::new(settings.delegations_bytes_max, root));
        let default = match settings.default {
            DefaultRoute::Recurse(of) => Route {
                engine: Arc::new(Recursion::new(of, provider, table.clone(), epoch)?),
                way: Way::Noted,
            },
            DefaultRoute::Forward(of) => {
                Route { engine: Arc::new(Forwarding::new(&of, epoch)?), way: Way::Asked }
            }
        };
        let mut router = Router::new(default, table, epoch);
        router.refuse(settings.rebinding);
        add_zones(&mut router, settings.zones, epoch)?;
        Ok(Self { router: Arc::new(router), flights: Flights::new(settings.bounds) })
    }

    /// Whether policy has triggers on nameservers. A forwarder is asked for them only while this is
    /// on; answers that were cached before lack them, so flush the cache after switching it on.
    /// Recursion knows them in any case.
    pub fn want_nameservers(&self, is_wanted: bool) {
        self.router.walk().want(is_wanted);
    }

    /// Forgets all that was learnt; settings stay.
    pub fn flush(&self) -> Result<(), SettingsError> {
        self.router.flush()
    }

    /// Resolutions under way now.
    pub fn in_flight(&self) -> usize {
        self.flights.count()
    }

    /// Octets that delegations and aliases take, by our own account.
    pub fn delegations_bytes(&self) -> u64 {
        self.router.table_bytes()
    }
}

#[async_trait]
impl Upstream for UpstreamResolver {
    async fn resolve(
        &self,
        question: &Question,
        client: Option<IpAddr>,
    ) -> Result<Arc<Resolution>, UpstreamError> {
        let (router, asked) = (self.router.clone(), question.clone());
        let resolution = || async move { Box::pin(router.resolve(&asked)).await };
        match self.flights.answer(question, client, resolution).await {
            Err(UpstreamError::Timeout) => Err(self.router.late(question)),
            answer => answer,
        }
    }
}

fn add_zones(
    router: &mut Router,
    zones: Vec<ZoneRoute>,
    epoch: Instant,
) -> Result<(), SettingsError> {
    let mut names: Vec<&Name> = zones.iter().map(|zone| &zone.zone).collect();
    names.sort_unstable();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(SettingsError::ZoneTwice(twice[0].clone()));
    }
    for ZoneRoute { zone, kind, servers } in zones {
        let route = match kind {
            ZoneKind::Stub => Route {
                engine: Arc::new(Stub::new(zone.clone(), servers, epoch)?),
                way: Way::NotedBelow,
            },
            ZoneKind::Forward => {
                Route { engine: Arc::new(Forwarding::new(&servers, epoch)?), way: Way::Unknown }
            }
        };
        router.add(zone, route);
    }
    Ok(())
}

/// One question on its way inside this folder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Ask {
    name: Name,
    rtype: u16,
    dnssec_ok: bool,
    checking_disabled: bool,
    /// How many questions deep this one was needed for another.
    depth: u8,
}

impl Ask {
    /// The question asked of another name.
    fn about(question: &Question, name: Name) -> Self {
        Self {
            name,
            rtype: question.rtype,
            dnssec_ok: question.dnssec_ok,
            checking_disabled: question.checking_disabled,
            depth: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{Loopback, Mapped, SignedZone, internet, parsed, zone};
    use super::*;
    use crate::model::AnswerStep;
    use crate::ports::{ExtendedError, Security};

    fn recursion(validation: Validation) -> UpstreamSettings {
        UpstreamSettings::new(DefaultRoute::Recurse(RecursionSettings {
            roots: Some(vec!["192.0.2.1".parse().unwrap()]),
            validation,
            deny_servers: Some(Vec::new()),
            ..RecursionSettings::default()
        }))
    }

    fn forward_to(server: &Loopback) -> ForwardSettings {
        ForwardSettings { servers: vec![server.udp()], ..ForwardSettings::default() }
    }

    async fn ask(
        upstream: &UpstreamResolver,
        name: &str,
    ) -> Result<Arc<Resolution>, UpstreamError> {
        upstream.resolve(&Question::plain(parsed(name), 1), None).await
    }

    fn chain(resolution: &Resolution) -> Vec<String> {
        resolution.facts.steps[1..].iter().map(|step| step.name.to_string()).collect()
    }

    fn zones(resolution: &Resolution) -> Vec<Vec<String>> {
        let of = |step: &AnswerStep| {
            step.nameservers.iter().map(|cut| cut[0].zone.to_string()).collect()
        };
        resolution.facts.steps.iter().map(of).collect()
    }

    #[tokio::test]
    async fn recursion_over_real_sockets_goes_from_the_root_to_the_leaf() {
        let soa = |of: &str| format!("{of} 300 IN SOA ns. h. 1 2 3 4 60\n");
        let lines = "com. 300 IN NS ns.com.\nns.com. 300 IN A 192.0.2.2";
        let root = Loopback::new(zone(".", &(soa(".") + lines))).await;
        let lines = "example.com. 300 IN NS ns.example.com.\nns.example.com. 300 IN A 192.0.2.3";
        let com = Loopback::new(zone("com.", &(soa("com.") + lines))).await;
        let many: String =
            (0..200).map(|n| format!("big.example.com. 60 A 10.0.0.{n}\n")).collect();
        let lines = soa("example.com.")
            + "www.example.com. 60 IN CNAME gone.example.com.
               ns.example.com. 300 IN A 192.0.2.3
               "
            + &many;
        let answer = zone("example.com.", &lines);
        let leaf = Loopback::by_transport(move |query, is_udp| {
            let mut answer = answer(query)?;
            if is_udp && answer.answers.len() > 20 {
                answer.metadata.truncation = true;
                answer.answers.clear();
            }
            Some(answer)
        })
        .await;
        let network =
            Mapped::new(&[("192.0.2.1", &root), ("192.0.2.2", &com), ("192.0.2.3", &leaf)]);
        let settings = recursion(Validation::Off);
        let upstream = UpstreamResolver::with_provider(settings, network).unwrap();
        let gone = ask(&upstream, "www.example.com").await.unwrap();
        assert_eq!((gone.rcode, gone.ttl_seconds, gone.is_negative), (3, 60, true));
        assert_eq!(chain(&gone), ["gone.example.com"]);
        assert_eq!(zones(&gone), [[".", "com", "example.com"], [".", "com", "example.com"]]);
        let big = ask(&upstream, "big.example.com").await.unwrap();
        assert_eq!(big.facts.steps[0].addresses.len(), 200);
        assert!(leaf.asked().iter().any(|q| q.starts_with("tcp big.example.com.")));
        assert!(root.asked().iter().all(|q| q.ends_with(" com. NS")), "{:?}", root.asked());
        assert!(upstream.delegations_bytes() > 0);
    }

    #[tokio::test]
    async fn zones_with_servers_of_their_own_are_part_of_one_name_space() {
        let stub = Loopback::new(zone(
            "corp.example.",
            "corp.example. 60 IN SOA ns. h. 1 2 3 4 5
             www.corp.example. 60 IN CNAME www.example.com.
             host.corp.example. 60 IN A 10.1.2.3",
        ))
        .await;
        let mut settings = recursion(Validation::Off);
        settings.zones.push(ZoneRoute {
            zone: parsed("corp.example"),
            kind: ZoneKind::Stub,
            servers: forward_to(&stub),
        });
        let upstream = UpstreamResolver::with_provider(settings, internet()).unwrap();
        let host = ask(&upstream, "host.corp.example").await.unwrap();
        assert_eq!(zones(&host), [Vec::<String>::new()]);
        let www = ask(&upstream, "www.corp.example").await.unwrap();
        assert_eq!(chain(&www), ["www.example.com"]);
        assert_eq!(www.facts.steps[1].addresses.len(), 1);
        assert_eq!(zones(&www), [vec![], vec![".".to_owned(), "com".into(), "example.com".into()]]);
        assert_eq!(stub.asked().len(), 2);
    }

    #[tokio::test]
    async fn names_of_strangers_do_not_lead_inside_when_forwarding_either() {
        let lines = "example. 60 IN SOA ns. h. 1 2 3 4 5
                     evil.example. 60 IN A 10.0.0.1
                     host.corp.example. 60 IN A 10.0.0.2";
        let server = Loopback::new(zone("example.", lines)).await;
        let mut settings = UpstreamSettings::new(DefaultRoute::Forward(forward_to(&server)));
        settings.rebinding = Rebinding {
            deny: vec!["10.0.0.0/8".parse().unwrap()],
            names: vec![parsed("corp.example")],
            ..Rebinding::default()
        };
        let upstream = UpstreamResolver::new(settings).unwrap();
        let error = ask(&upstream, "evil.example").await.unwrap_err();
        assert_eq!(error.extended_error().code, ExtendedError::BLOCKED);
        assert!(ask(&upstream, "host.corp.example").await.is_ok());
    }

    #[tokio::test]
    async fn a_zone_cannot_be_there_twice() {
        let server = Loopback::closed().await;
        let mut settings = recursion(Validation::Off);
        let (zone, kind) = (parsed("corp.example"), ZoneKind::Stub);
        settings.zones = vec![ZoneRoute { zone, kind, servers: forward_to(&server) }; 2];
        let error = UpstreamResolver::new(settings).err();
        assert_eq!(error, Some(SettingsError::ZoneTwice(parsed("corp.example"))));
    }

    const SIGNED: &str = ". 300 IN SOA ns. h. 1 2 3 4 60
        . 300 IN NS ns.
        ns. 300 IN A 192.0.2.1
        www. 60 IN A 198.51.100.7
        alias. 60 IN CNAME www.
        lost. 60 IN CNAME gone.
        blank. 60 IN CNAME text.
        text. 60 IN TXT here
        com. 300 IN NS ns.com.
        ns.com. 300 IN A 192.0.2.2";

    fn signed(tamper: fn(&mut hickory_proto::op::Message)) -> UpstreamResolver {
        let root = SignedZone::new(".", SIGNED);
        let settings = recursion(Validation::On { anchors: Some(root.anchor()) });
        let network = internet().with("192.0.2.1", move |query| {
            let mut answer = root.answer(query)?;
            tamper(&mut answer);
            Some(answer)
        });
        UpstreamResolver::with_provider(settings, network).unwrap()
    }

    #[tokio::test]
    async fn signed_answers_are_secure_also_through_aliases_and_where_there_is_nothing() {
        let upstream = signed(|_| {});
        for (name, rcode, answers, security) in [
            ("www", 0, 1, Security::Secure),
            ("alias", 0, 2, Security::Secure),
            ("nobody", 3, 0, Security::Secure),
            ("text", 0, 0, Security::Secure),
            ("lost", 3, 1, Security::Secure),
            ("blank", 0, 1, Security::Secure),
            ("www.example.com", 0, 1, Security::Insecure),
            ("nobody.example.com", 3, 0, Security::Insecure),
        ] {
            let found = ask(&upstream, name).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            let shown = (found.rcode, found.sections.answer_count(), found.security);
            assert_eq!(shown, (rcode, answers, security), "{name}");
        }
    }

    #[tokio::test]
    async fn dnssec_records_come_with_do_only() {
        let upstream = signed(|_| {});
        for (name, with_do, without) in [("lost", (2, 4), (1, 1)), ("www", (2, 0), (1, 0))] {
            for (dnssec_ok, expected) in [(true, with_do), (false, without)] {
                let question = Question { dnssec_ok, ..Question::plain(parsed(name), 1) };
                let sections = upstream.resolve(&question, None).await.unwrap().sections.clone();
                let kinds = |records: Vec<crate::ports::Record>| -> Vec<u16> {
                    records.iter().map(|r| r.rtype).collect()
                };
                let shown = (sections.answer_count(), sections.authority_count());
                let (answers, authorities) =
                    (kinds(sections.answers()), kinds(sections.authorities()));
                assert!(shown >= expected, "{name} {dnssec_ok}: {answers:?} {authorities:?}");
                let has_dnssec = answers.iter().chain(&authorities).any(|&k| k == 46 || k == 47);
                assert_eq!(has_dnssec, dnssec_ok, "{name}: {answers:?} {authorities:?}");
            }
        }
    }

    #[tokio::test]
    async fn a_tampered_answer_is_a_failure_unless_checking_is_disabled() {
        let upstream = signed(|answer| {
            let forged = "198.51.100.66".parse::<std::net::Ipv4Addr>().unwrap();
            for record in &mut answer.answers {
                if let hickory_proto::rr::RData::A(address) = &mut record.data {
                    address.0 = forged;
                }
            }
        });
        for name in ["www", "alias"] {
            let error = ask(&upstream, name).await.unwrap_err();
            assert!(
                matches!(&error, UpstreamError::Bogus(of) if of.code == ExtendedError::DNSSEC_BOGUS)
            );
            let question = Question { checking_disabled: true, ..Question::plain(parsed(name), 1) };
            let found = upstream.resolve(&question, None).await.unwrap();
            assert_eq!(found.security, Security::Bogus, "{name}");
        }
    }

    #[tokio::test]
    async fn a_denial_without_proof_is_a_failure_unless_checking_is_disabled() {
        let upstream = signed(|answer| {
            answer.authorities.retain(|r| r.record_type() != hickory_proto::rr::RecordType::NSEC);
        });
        let error = ask(&upstream, "nobody").await.unwrap_err();
        assert!(matches!(error, UpstreamError::Bogus(_)));
        let question = Question { checking_disabled: true, ..Question::plain(parsed("nobody"), 1) };
        let found = upstream.resolve(&question, None).await.unwrap();
        assert_eq!((found.rcode, found.security), (3, Security::Bogus));
    }

    const CORP: &str = "corp. 300 IN SOA ns.corp. h.corp. 1 2 3 4 60
        corp. 300 IN NS ns.corp.
        ns.corp. 300 IN A 192.0.2.9
        www.corp. 60 IN A 198.51.100.9
        alias.corp. 60 IN CNAME www.corp.
        lost.corp. 60 IN CNAME gone.corp.
        out.corp. 60 IN CNAME www.example.com.";

    fn island(tamper: fn(&mut hickory_proto::op::Message)) -> UpstreamResolver {
        let corp = SignedZone::new("corp.", CORP);
        let anchors = Some(corp.anchor());
        let lines = ". 300 IN SOA ns. h. 1 2 3 4 60
                     com. 300 IN NS ns.com.
                     ns.com. 300 IN A 192.0.2.2
                     corp. 300 IN NS ns.corp.
                     ns.corp. 300 IN A 192.0.2.9";
        let network =
            internet().with("192.0.2.1", zone(".", lines)).with("192.0.2.9", move |query| {
                let mut answer = corp.answer(query)?;
                tamper(&mut answer);
                Some(answer)
            });
        let settings = recursion(Validation::On { anchors });
        UpstreamResolver::with_provider(settings, network).unwrap()
    }

    #[tokio::test]
    async fn a_key_of_a_lower_zone_makes_it_an_island_of_trust() {
        let upstream = island(|_| {});
        for (name, rcode, answers, security) in [
            ("www.corp", 0, 1, Security::Secure),
            ("alias.corp", 0, 2, Security::Secure),
            ("nobody.corp", 3, 0, Security::Secure),
            ("lost.corp", 3, 1, Security::Secure),
            ("out.corp", 0, 2, Security::Indeterminate),
            ("www.example.com", 0, 1, Security::Indeterminate),
            ("nobody.example.com", 3, 0, Security::Indeterminate),
        ] {
            let found = ask(&upstream, name).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            let shown = (found.rcode, found.sections.answer_count(), found.security);
            assert_eq!(shown, (rcode, answers, security), "{name}");
        }
        let upstream = island(forge);
        assert!(matches!(ask(&upstream, "www.corp").await, Err(UpstreamError::Bogus(_))));
        assert!(ask(&upstream, "www.example.com").await.is_ok());
    }

    fn forge(answer: &mut hickory_proto::op::Message) {
        for record in &mut answer.answers {
            if let hickory_proto::rr::RData::A(address) = &mut record.data {
                address.0 = std::net::Ipv4Addr::new(198, 51, 100, 66);
            }
        }
    }

    fn unsign(answer: &mut hickory_proto::op::Message) {
        for section in [&mut answer.answers, &mut answer.authorities] {
            section.retain(|r| r.record_type() != hickory_proto::rr::RecordType::RRSIG);
        }
    }

    async fn forwarding(
        tamper: fn(&mut hickory_proto::op::Message),
    ) -> (UpstreamResolver, Loopback) {
        let root = SignedZone::new(".", SIGNED);
        let validation = Validation::On { anchors: Some(root.anchor()) };
        let server = Loopback::new(move |query| {
            assert!(query.metadata.checking_disabled && query.metadata.recursion_desired);
            let mut answer = root.answer(query)?;
            if query.queries[0].query_type() == hickory_proto::rr::RecordType::A {
                tamper(&mut answer);
            }
            Some(answer)
        })
        .await;
        let settings = ForwardSettings { validation, ..forward_to(&server) };
        let settings = UpstreamSettings::new(DefaultRoute::Forward(settings));
        (UpstreamResolver::new(settings).unwrap(), server)
    }

    #[tokio::test]
    async fn what_forwarders_say_is_validated_here() {
        let (upstream, _server) = forwarding(|_| {}).await;
        for (name, rcode, answers, security) in [
            ("www", 0, 1, Security::Secure),
            ("alias", 0, 2, Security::Secure),
            ("nobody", 3, 0, Security::Secure),
            ("text", 0, 0, Security::Secure),
            ("lost", 3, 1, Security::Secure),
            ("blank", 0, 1, Security::Secure),
        ] {
            let found = ask(&upstream, name).await.unwrap_or_else(|e| panic!("{name}: {e}"));
            let shown = (found.rcode, found.sections.answer_count(), found.security);
            assert_eq!(shown, (rcode, answers, security), "{name}");
        }
    }

    #[tokio::test]
    async fn why_a_forwarders_answer_is_bogus_is_told() {
        for (tamper, name, code) in [
            (forge as fn(&mut _), "www", ExtendedError::DNSSEC_BOGUS),
            (unsign, "www", ExtendedError::RRSIGS_MISSING),
            (forge, "alias", ExtendedError::DNSSEC_BOGUS),
        ] {
            let (upstream, _server) = forwarding(tamper).await;
            let error = ask(&upstream, name).await.unwrap_err();
            assert!(
                matches!(error.cause(), UpstreamError::Bogus(of) if of.code == code),
                "{error:?}"
            );
            let question = Question { checking_disabled: true, ..Question::plain(parsed(name), 1) };
            let found = upstream.resolve(&question, None).await.unwrap();
            assert_eq!(found.security, Security::Bogus, "{name}");
        }
    }

    #[tokio::test]
    async fn a_failure_behind_aliases_comes_with_the_aliases() {
        let refuse = |query: &hickory_proto::op::Message| {
            let mut answer = testing::respond(query);
            answer.metadata.response_code = hickory_proto::op::ResponseCode::Refused;
            Some(answer)
        };
        let lines = "example.com. 300 IN SOA ns. h. 1 2 3 4 60
                     www.example.com. 60 IN CNAME far.example.com.
                     far.example.com. 60 IN CNAME www.host.net.";
        let network = internet().with("192.0.2.3", zone("example.com.", lines));
        let refusing = network.clone().with("192.0.2.6", refuse);
        let upstream =
            UpstreamResolver::with_provider(recursion(Validation::Off), refusing).unwrap();
        let error = ask(&upstream, "www.example.com").await.unwrap_err();
        let chain = error.chain().expect("the aliases");
        assert_eq!((self::chain(chain).len(), chain.sections.answer_count()), (2, 2));
        // When the time is up, what is known already must do.
        let silent = network.with("192.0.2.6", |_| None);
        let mut settings = recursion(Validation::Off);
        settings.bounds.deadline = std::time::Duration::from_millis(300);
        let upstream = UpstreamResolver::with_provider(settings, silent).unwrap();
        let error = ask(&upstream, "www.example.com").await.unwrap_err();
        assert_eq!(error.cause(), &UpstreamError::Timeout);
        assert_eq!(self::chain(error.chain().expect("the alias")), ["far.example.com"]);
        let server = Loopback::new(|query| {
            let mut answer = testing::respond(query);
            let (asked, kind) =
                (query.queries[0].name().to_string(), query.queries[0].query_type());
            match (asked.as_str(), kind) {
                ("www.example.", hickory_proto::rr::RecordType::CNAME) => {
                    answer.answers = testing::records("www.example. 60 IN CNAME gone.example.");
                }
                _ => answer.metadata.response_code = hickory_proto::op::ResponseCode::ServFail,
            }
            Some(answer)
        })
        .await;
        let mut settings = forward_to(&server);
        settings.case_randomization = false;
        let settings = UpstreamSettings::new(DefaultRoute::Forward(settings));
        let upstream = UpstreamResolver::new(settings).unwrap();
        let error = ask(&upstream, "www.example").await.unwrap_err();
        assert_eq!(self::chain(error.chain().expect("the alias")), ["gone.example"]);
        assert!(ask(&upstream, "other.example").await.unwrap_err().chain().is_none());
    }
}

//! A zone whose servers are named by the operator and are asked without recursion (RD=0), as
//! iteration would ask them.
//!
//! This is no second recursor with other roots: hickory's walk asks for the nameservers of every
//! label from the top, which servers of a private zone refuse, and it must find the addresses of
//! the zone's NS names, which private zones often leave out. Here the given servers are asked for
//! the name at once; a referral below the zone is followed to its glue or, where there is none, to
//! what the names of the servers resolve to. Only names in the zone are taken from them: an alias
//! that leads out is followed by the router.

use std::net::SocketAddr;

use async_trait::async_trait;
use hickory_proto::op::Message;
use tokio::time::Instant;

use crate::model::Name;
use crate::ports::{ExtendedError, UpstreamError};

use super::assemble::{failed, rtype};
use super::convert::{self, Item, Meaning, Outcome};
use super::forward::{ForwardSettings, Pool};
use super::route::{Engine, Router};
use super::{Ask, SettingsError};

/// Referrals followed for one question.
const REFERRALS_MAX: usize = 8;
/// Servers of a referral without glue whose addresses are looked up (hickory's bound against
/// NXNSAttack is 5).
const GLUELESS_MAX: usize = 3;
/// Servers of a referral that are asked.
const SERVERS_MAX: usize = 8;
/// Where the servers of a referral listen.
const DNS_PORT: u16 = 53;

/// The servers of a zone.
pub(super) struct Stub {
    zone: Name,
    settings: ForwardSettings,
    pool: Pool,
    epoch: Instant,
    referral_port: u16,
}

impl Stub {
    pub fn new(
        zone: Name,
        settings: ForwardSettings,
        epoch: Instant,
    ) -> Result<Self, SettingsError> {
        let pool = Pool::new(&settings, false, epoch)?;
        Ok(Self { zone, settings, pool, epoch, referral_port: DNS_PORT })
    }

    /// The addresses of the servers that a referral names.
    async fn servers(
        &self,
        referral: &Referral,
        message: &Message,
        router: &Router,
        depth: u8,
    ) -> Vec<SocketAddr> {
        let glue = message.additionals.iter().filter_map(convert::item).filter(|item| {
            referral.servers.contains(&item.owner)
                && item.owner.as_ref().is_at_or_below(self.zone.as_ref())
        });
        let mut items: Vec<Item> = glue.collect();
        for name in referral.servers.iter().take(GLUELESS_MAX) {
            if items.iter().any(|item| matches!(item.meaning, Meaning::Address(_))) {
                break;
            }
            for kind in [rtype::A, rtype::AAAA] {
                items.extend(router.answers(name, kind, depth + 1).await.unwrap_or_default());
            }
        }
        let addresses = items.iter().filter_map(|item| match item.meaning {
            Meaning::Address(address) => Some(SocketAddr::new(address, self.referral_port)),
            _ => None,
        });
        addresses.take(SERVERS_MAX).collect()
    }
}

#[async_trait]
impl Engine for Stub {
    async fn ask(&self, ask: &Ask, router: &Router) -> Result<Outcome, UpstreamError> {
        let mut zone = self.zone.clone();
        let mut referred = None;
        for _ in 0..REFERRALS_MAX {
            let pool = referred.as_ref().unwrap_or(&self.pool);
            let message = pool.ask(ask).await?;
            let outcome = within(&self.zone, convert::outcome(&message));
            let Some(referral) = Referral::of(&outcome, &zone, &ask.name) else {
                return Ok(outcome);
            };
            let servers = self.servers(&referral, &message, router, ask.depth).await;
            if servers.is_empty() {
                let text = format!("no address of the nameservers of {} is known", referral.zone);
                return Err(failed(ExtendedError::NO_REACHABLE_AUTHORITY, text));
            }
            referred = Some(Pool::referred(servers, &self.settings, self.epoch));
            zone = referral.zone;
        }
        Err(failed(ExtendedError::OTHER, "too many referrals"))
    }
}

/// What lies in the zone.
fn within(zone: &Name, mut outcome: Outcome) -> Outcome {
    let is_in = |item: &Item| item.owner.as_ref().is_at_or_below(zone.as_ref());
    outcome.answers.retain(is_in);
    outcome.authorities.retain(is_in);
    outcome
}

/// Other servers to ask.
struct Referral {
    zone: Name,
    servers: Vec<Name>,
}

impl Referral {
    /// Downwards only: the new zone lies below `zone` and holds `name`.
    fn of(outcome: &Outcome, zone: &Name, name: &Name) -> Option<Self> {
        if !outcome.answers.is_empty() || outcome.is_negative() {
            return None;
        }
        let is_down = |owner: &Name| {
            owner != zone
                && owner.as_ref().is_at_or_below(zone.as_ref())
                && name.as_ref().is_at_or_below(owner.as_ref())
        };
        let mut named = outcome.authorities.iter().filter_map(|item| match &item.meaning {
            Meaning::Nameserver(server) if is_down(&item.owner) => Some((&item.owner, server)),
            _ => None,
        });
        let (cut, first) = named.next()?;
        let rest = named.filter(|(owner, _)| *owner == cut).map(|(_, server)| server.clone());
        Some(Self {
            zone: cut.clone(),
            servers: std::iter::once(first.clone()).chain(rest).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Loopback, parsed, question, zone};
    use super::*;

    const SOA: &str = "corp.test. 60 IN SOA ns.corp.test. h.corp.test. 1 2 3 4 5\n";

    async fn ask(
        servers: &Loopback,
        referral_port: u16,
        router: &Router,
        name: &str,
    ) -> Result<Outcome, UpstreamError> {
        let settings = ForwardSettings { servers: vec![servers.udp()], ..Default::default() };
        let stub = Stub::new(parsed("corp.test"), settings, Instant::now()).unwrap();
        Stub { referral_port, ..stub }.ask(&question(name), router).await
    }

    #[tokio::test]
    async fn the_zone_is_asked_without_recursion_and_speaks_for_itself_only() {
        let server = Loopback::new(|query| {
            assert!(!query.metadata.recursion_desired);
            let lines = "www.corp.test. 60 IN CNAME www.example.com.";
            let mut answer = zone("corp.test.", lines)(query)?;
            answer
                .answers
                .extend(super::super::testing::records("www.example.com. 9 A 192.0.2.66"));
            Some(answer)
        })
        .await;
        let outcome = ask(&server, 53, &Router::none(), "www.corp.test").await.unwrap();
        assert_eq!(outcome.answers.len(), 1);
        assert_eq!(outcome.answers[0].owner, parsed("www.corp.test"));
    }

    #[tokio::test]
    async fn a_referral_below_the_zone_is_followed_to_its_glue() {
        let below = zone("lab.corp.test.", "www.lab.corp.test. 60 IN A 192.0.2.9");
        let below = Loopback::new(below).await;
        let lines = "lab.corp.test. 60 IN NS ns.lab.corp.test.\nns.lab.corp.test. 60 A 127.0.0.1";
        let above = Loopback::new(zone("corp.test.", &format!("{SOA}{lines}"))).await;
        let port = below.address().port();
        let outcome = ask(&above, port, &Router::none(), "www.lab.corp.test").await.unwrap();
        assert_eq!(outcome.answers.len(), 1);
        assert_eq!((above.asked().len(), below.asked().len()), (1, 1));
    }

    #[tokio::test]
    async fn a_referral_without_glue_is_followed_to_what_its_servers_resolve_to() {
        let below = zone("lab.corp.test.", "www.lab.corp.test. 60 IN A 192.0.2.9");
        let below = Loopback::new(below).await;
        let lines = "lab.corp.test. 60 IN NS ns.elsewhere.test.";
        let above = Loopback::new(zone("corp.test.", &format!("{SOA}{lines}"))).await;
        let router = Router::saying("ns.elsewhere.test. 60 IN A 127.0.0.1");
        let port = below.address().port();
        let outcome = ask(&above, port, &router, "www.lab.corp.test").await.unwrap();
        assert_eq!(outcome.answers.len(), 1);
        let error = ask(&above, port, &Router::none(), "www.lab.corp.test").await.unwrap_err();
        assert!(matches!(&error, UpstreamError::Failed(of) if of.code == 22), "{error}");
    }

    #[tokio::test]
    async fn glue_from_outside_the_zone_does_not_count() {
        let lines = "lab.corp.test. 60 IN NS ns.elsewhere.test.\nns.elsewhere.test. 60 A 127.0.0.1";
        let above = Loopback::new(zone("corp.test.", &format!("{SOA}{lines}"))).await;
        let port = above.address().port();
        let error = ask(&above, port, &Router::none(), "www.lab.corp.test").await.unwrap_err();
        assert!(matches!(&error, UpstreamError::Failed(of) if of.code == 22), "{error}");
        assert_eq!(above.asked().len(), 1);
    }

    #[tokio::test]
    async fn referrals_upwards_and_in_circles_are_not_followed() {
        let outcome = |authorities: &str| super::super::testing::outcome("", authorities);
        let of = |authorities: &str| {
            let name = parsed("www.lab.corp.test");
            Referral::of(&outcome(authorities), &parsed("corp.test"), &name).map(|r| r.zone)
        };
        assert_eq!(of("lab.corp.test. 9 IN NS ns.test."), Some(parsed("lab.corp.test")));
        for other in ["corp.test", "test", "other.corp.test", "www.lab.corp.test.x"] {
            assert_eq!(of(&format!("{other}. 9 IN NS ns.test.")), None, "{other}");
        }
    }
}

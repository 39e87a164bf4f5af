//! Nameservers for policy where answers come from a forwarder, which never tells them.
//!
//! For every label from the top down the forwarder is asked who serves it, and then for the
//! addresses of the servers; all of it is remembered in the side table, so that a second name of
//! the same zone costs nothing. Only done while somebody wants it, and never longer than
//! [`TIME_MAX`]: what is not known by then is left out.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use tokio::time::{Instant, timeout};

use crate::model::{Name, NameRef};

use super::assemble::rtype;
use super::convert::Meaning;
use super::delegations::{Delegations, Side};
use super::route::Router;

/// The walk may delay the first answer about a zone by this much.
const TIME_MAX: Duration = Duration::from_millis(1_500);
/// Labels from the top that are looked at: deeper zone cuts are rare outside of reverse zones.
const LABELS_MAX: usize = 8;
/// Servers of a zone whose addresses are asked for; two questions each.
const SERVERS_MAX: usize = 8;
/// Questions under way at once for one walk.
const CONCURRENT_MAX: usize = 32;
/// A name that is no zone cut is not asked about again for so long.
const NO_CUT_SECONDS: u32 = 3_600;

/// Asks for nameservers.
pub(super) struct Walk {
    table: Arc<Delegations>,
    epoch: Instant,
    is_wanted: AtomicBool,
}

impl Walk {
    pub fn new(table: Arc<Delegations>, epoch: Instant) -> Self {
        Self { table, epoch, is_wanted: AtomicBool::new(false) }
    }

    /// Whether policy has a use for nameservers.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Switches the walk on or off.
    pub fn want(&self, is_wanted: bool) {
        self.is_wanted.store(is_wanted, Ordering::Relaxed);
    }

    /// Finds the zone cuts on the way to `names`, and their servers' addresses.
    pub async fn run(&self, names: &[&Name], router: &Router) {
        let walk = async {
            let cuts = self.unknown_zones(names);
            self.each(cuts, async |zone| self.ask_servers(&zone, router).await).await;
            let hosts = self.unknown_hosts(names);
            self.each(hosts, async |host| self.ask_addresses(&host, router).await).await;
        };
        if timeout(TIME_MAX, walk).await.is_err() {
            tracing::debug!(name = %names[0], "nameservers are not all known in time");
        }
    }

    async fn each<F: Future<Output = ()>>(&self, names: Vec<Name>, of: impl Fn(Name) -> F) {
        stream::iter(names).map(of).buffer_unordered(CONCURRENT_MAX).collect::<()>().await;
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn unknown_zones(&self, names: &[&Name]) -> Vec<Name> {
        let now = self.now();
        let mut zones: Vec<Name> = zones_of(names)
            .filter(|zone| !self.table.knows(*zone, now))
            .map(NameRef::to_owned)
            .collect();
        zones.sort_unstable();
        zones.dedup();
        zones
    }

    fn unknown_hosts(&self, names: &[&Name]) -> Vec<Name> {
        let now = self.now();
        let mut hosts: Vec<Name> = zones_of(names)
            .flat_map(|zone| self.table.servers(zone, now).into_iter().take(SERVERS_MAX))
            .filter(|host| !self.table.knows_addresses(host, now))
            .collect();
        hosts.sort_unstable();
        hosts.dedup();
        hosts
    }

    async fn ask_servers(&self, zone: &Name, router: &Router) {
        let Ok(items) = router.answers(zone, rtype::NS, 0).await else { return };
        let here = items.iter().filter(|item| item.owner == *zone);
        let servers: Vec<_> = here
            .filter_map(|item| match &item.meaning {
                Meaning::Nameserver(server) => Some((server.clone(), Vec::new())),
                _ => None,
            })
            .collect();
        let ttl = items.iter().map(|item| item.record.ttl).min().unwrap_or(NO_CUT_SECONDS);
        self.table.note_servers(zone, Side::Child, servers, ttl, self.now());
    }

    async fn ask_addresses(&self, host: &Name, router: &Router) {
        for kind in [rtype::A, rtype::AAAA] {
            let Ok(items) = router.answers(host, kind, 0).await else { continue };
            let addresses = items.iter().filter_map(|item| match item.meaning {
                Meaning::Address(address) => Some(address),
                _ => None,
            });
            let ttl = items.iter().map(|item| item.record.ttl).min().unwrap_or(NO_CUT_SECONDS);
            let (is_v6, addresses) = (kind == rtype::AAAA, addresses.collect());
            self.table.note_addresses(host, is_v6, addresses, ttl, self.now());
        }
    }
}

/// The zones that may lie on the way to the names, without the root.
fn zones_of<'n>(names: &[&'n Name]) -> impl Iterator<Item = NameRef<'n>> {
    let ancestors = |name: &'n Name| {
        let top = name.as_ref().top(LABELS_MAX);
        top.ancestors().take(top.label_count())
    };
    names.iter().flat_map(move |name| ancestors(name)).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use super::super::Ask;
    use super::super::convert::Outcome;
    use super::super::route::{Engine, Way};
    use super::super::testing::{Script, Shared, parsed};
    use super::*;
    use crate::model::Nameserver;
    use crate::ports::{Question, UpstreamError};

    const WORLD: &str = "com. 900 IN NS ns.com.
        ns.com. 900 IN A 192.0.2.1
        example.com. 900 IN NS ns.other.net.
        www.example.com. 900 IN A 192.0.2.9
        mail.example.com. 900 IN A 192.0.2.9
        net. 900 IN NS ns.com.
        ns.other.net. 900 IN A 192.0.2.2
        ns.other.net. 900 IN AAAA 2001:db8::2";

    fn shown(path: &[Arc<[Nameserver]>]) -> Vec<String> {
        path.iter()
            .skip(1)
            .map(|c| format!("{}: {} {:?}", c[0].zone, c[0].name, c[0].addresses))
            .collect()
    }

    #[tokio::test]
    async fn nameservers_are_asked_for_once_and_only_while_wanted() {
        let script = Arc::new(Script::new(WORLD));
        let router = Router::to(Shared(script.clone()), Way::Asked);
        let ask = async |name: &str| {
            let question = Question::plain(parsed(name), rtype::A);
            shown(&router.resolve(&question).await.unwrap().facts.steps[0].nameservers)
        };
        assert!(ask("www.example.com").await.is_empty());
        assert_eq!(script.asked.lock().len(), 1);
        router.walk().want(true);
        let expected =
            ["com: ns.com [192.0.2.1]", "example.com: ns.other.net [192.0.2.2, 2001:db8::2]"];
        assert_eq!(ask("www.example.com").await, expected);
        let before = script.asked.lock().len();
        assert_eq!(ask("www.example.com").await, expected);
        assert_eq!(script.asked.lock().len(), before + 1, "only the answer itself");
        assert_eq!(ask("mail.example.com").await, expected);
        assert_eq!(script.asked.lock().len(), before + 3, "and whether mail is a zone");
    }

    /// Answers about addresses, and never about nameservers.
    struct Silent;

    #[async_trait::async_trait]
    impl Engine for Silent {
        async fn ask(&self, ask: &Ask, router: &Router) -> Result<Outcome, UpstreamError> {
            if ask.rtype == rtype::NS {
                std::future::pending::<()>().await;
            }
            Script::new(WORLD).ask(ask, router).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_walk_without_answers_delays_no_longer_than_allowed() {
        let router = Router::to(Silent, Way::Asked);
        router.walk().want(true);
        let start = Instant::now();
        let question = Question::plain(parsed("www.example.com"), rtype::A);
        assert!(router.resolve(&question).await.is_ok());
        assert_eq!(start.elapsed(), TIME_MAX);
    }
}

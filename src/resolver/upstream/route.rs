//! Which engine answers for which part of the name space, and the way of a question through them.
//!
//! The longest configured suffix decides. Each name of a chain of aliases is answered by the route
//! that is its own: what a server says about a name of another route is left out, and that route is
//! asked instead.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use crate::model::{Name, NameRef, Nameserver};
use crate::ports::{ExtendedError, Question, Resolution, UpstreamError};

use super::assemble::{Assembly, Chain, End, alias_loop, failed, is_followed, rtype};
use super::convert::{Item, Outcome};
use super::delegations::{Delegations, Side};
use super::rebinding::Rebinding;
use super::walk::Walk;
use super::{Ask, SettingsError};

/// A question may need another, and that one a third.
const DEPTH_MAX: u8 = 3;

/// Answers questions for a part of the name space.
#[async_trait]
pub(super) trait Engine: Send + Sync {
    /// What the servers say. `router` is for names that must be known on the way.
    async fn ask(&self, ask: &Ask, router: &Router) -> Result<Outcome, UpstreamError>;

    /// Forgets what it has learnt.
    fn flush(&self) -> Result<(), SettingsError> {
        Ok(())
    }
}

/// How the nameservers on the way to a name become known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// The engine notes them as it goes.
    Noted,
    /// They can be asked for.
    Asked,
    /// The engine notes what lies below the zone, whose own servers the operator named.
    NotedBelow,
    /// Not at all: the operator named the servers.
    Unknown,
}

/// An engine and what it tells of the way.
pub(super) struct Route {
    pub engine: Arc<dyn Engine>,
    pub way: Way,
}

/// Servers of a zone cut as a referral names them.
pub(super) struct NotedServers {
    pub servers: Vec<(Name, Vec<IpAddr>)>,
    pub ttl_seconds: u32,
}

/// The name space in parts.
pub(super) struct Router {
    /// The first is for names that no zone covers.
    routes: Vec<Route>,
    zones: HashMap<Name, usize>,
    table: Arc<Delegations>,
    walk: Walk,
    rebinding: Rebinding,
    epoch: Instant,
}

impl Router {
    /// `epoch` is the zero of the table's time.
    pub fn new(default: Route, table: Arc<Delegations>, epoch: Instant) -> Self {
        let walk = Walk::new(table.clone(), epoch);
        let rebinding = Rebinding::default();
        Self { routes: vec![default], zones: HashMap::new(), table, walk, rebinding, epoch }
    }

    /// Refuses answers of the default route that lead where they must not.
    pub fn refuse(&mut self, rebinding: Rebinding) {
        self.rebinding = rebinding;
    }

    /// Routes `zone` and what is below it, down to the next zone.
    pub fn add(&mut self, zone: Name, route: Route) {
        self.zones.insert(zone, self.routes.len());
        self.routes.push(route);
    }

    fn position(&self, name: &Name) -> usize {
        let found = name.as_ref().ancestors().find_map(|zone| self.zones.get(zone.key()));
        found.copied().unwrap_or(0)
    }

    /// Asks for nameservers where the way does not note them.
    pub fn walk(&self) -> &Walk {
        &self.walk
    }

    /// Remembers the servers of a zone cut below a zone whose servers the operator named.
    pub fn note_referral(&self, zone: &Name, noted: &NotedServers) {
        let servers = noted.servers.clone();
        self.table.note_servers(zone, Side::Parent, servers, noted.ttl_seconds, self.now());
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Octets of the table.
    pub fn table_bytes(&self) -> u64 {
        self.table.size_bytes()
    }

    /// Forgets what the engines and the table have learnt.
    pub fn flush(&self) -> Result<(), SettingsError> {
        self.table.clear();
        self.routes.iter().try_for_each(|route| route.engine.flush())
    }

    /// Resolves a question.
    pub async fn resolve(&self, question: &Question) -> Result<Resolution, UpstreamError> {
        let mut assembly = Assembly::new(question);
        let gathered = self.gather(&mut assembly, question, 0).await;
        if self.walk.is_wanted() {
            let asked = |name: &&Name| self.routes[self.position(name)].way == Way::Asked;
            let names: Vec<&Name> = assembly.names().filter(asked).collect();
            Box::pin(self.walk.run(&names, self)).await;
        }
        let now = self.now();
        match gathered {
            Ok((outcome, end)) => assembly.finish(&outcome, end, |name| self.path(name, now)),
            Err(error) => {
                if error != alias_loop() {
                    self.complete(&mut assembly, question).await;
                }
                Err(self.broken(assembly, error))
            }
        }
    }

    /// Follows the aliases to the end before which resolution failed. Of a chain in one answer only
    /// the first alias is noted; the others are asked for.
    async fn complete(&self, assembly: &mut Assembly<'_>, question: &Question) {
        let now = self.now();
        while assembly.steps_left() > 0 && is_followed(question.rtype) {
            if self.follow_noted(assembly, now).is_some() {
                continue;
            }
            let name = assembly.current().clone();
            let at = self.position(&name);
            if assembly.names().nth(1).is_none() || self.routes[at].way != Way::Noted {
                return;
            }
            let ask = Ask { rtype: rtype::CNAME, ..Ask::about(question, name) };
            let Ok(outcome) = self.routes[at].engine.ask(&ask, self).await else { return };
            let answers = &outcome.answers;
            let chain = Chain::follow(&ask.name, question.rtype, answers, 1, |_| true);
            if chain.names.is_empty() || assembly.extend(&outcome, &chain).is_err() {
                return;
            }
        }
    }

    /// A resolution that did not end in time.
    pub fn late(&self, question: &Question) -> UpstreamError {
        self.broken(Assembly::new(question), UpstreamError::Timeout)
    }

    /// A failure with the aliases that are known to lead to it: those in hand, and those that the
    /// table has of the way.
    fn broken(&self, mut assembly: Assembly<'_>, error: UpstreamError) -> UpstreamError {
        let now = self.now();
        while self.follow_noted(&mut assembly, now).is_some() {}
        assembly.broken(error, |name| self.path(name, now))
    }

    fn follow_noted(&self, assembly: &mut Assembly<'_>, now: u64) -> Option<()> {
        let name = assembly.current().clone();
        let is_noted = self.routes[self.position(&name)].way == Way::Noted;
        if !is_noted || !is_followed(assembly.wanted()) || assembly.steps_left() == 0 {
            return None;
        }
        let alias = self.table.alias(&name, now)?;
        let outcome = Outcome { answers: vec![alias.aged(now)], ..Outcome::default() };
        let chain = Chain::follow(&name, assembly.wanted(), &outcome.answers, 1, |_| true);
        assembly.extend(&outcome, &chain).ok()
    }

    /// Asks route after route until the chain has its end.
    async fn gather(
        &self,
        assembly: &mut Assembly<'_>,
        question: &Question,
        depth: u8,
    ) -> Result<(Outcome, End), UpstreamError> {
        loop {
            let name = assembly.current().clone();
            let at = self.position(&name);
            let ask = Ask { depth, ..Ask::about(question, name) };
            let outcome = self.routes[at].engine.ask(&ask, self).await?;
            if at == 0 && self.rebinding.refuses(&outcome.answers) {
                let text = "the name leads into a network that is not its own";
                return Err(failed(ExtendedError::BLOCKED, text));
            }
            let steps = assembly.steps_left();
            let elsewhere = |name: &Name| self.position(name) != at;
            let chain = Chain::follow(&ask.name, ask.rtype, &outcome.answers, steps, elsewhere);
            assembly.extend(&outcome, &chain)?;
            let is_open = match chain.end {
                End::Elsewhere => true,
                // An alias, and not a word about its target: who was asked stops at aliases.
                End::Nothing => !chain.names.is_empty() && !outcome.is_negative(),
                End::Data => false,
                End::Loop => return Err(alias_loop()),
            };
            if !is_open {
                return Ok((outcome, chain.end));
            }
            if assembly.steps_left() == 0 {
                return Err(alias_loop());
            }
        }
    }

    /// The records of one type at a name, aliases followed, for an engine that needs them on its
    /// way to something else.
    pub async fn answers(
        &self,
        name: &Name,
        rtype: u16,
        depth: u8,
    ) -> Result<Vec<Item>, UpstreamError> {
        if depth > DEPTH_MAX {
            return Err(failed(ExtendedError::OTHER, "the way to the nameservers is too deep"));
        }
        let question = Question::plain(name.clone(), rtype);
        let mut assembly = Assembly::new(&question);
        let gathering = self.gather(&mut assembly, &question, depth);
        let (outcome, _) = Box::pin(gathering).await?;
        Ok(outcome.answers.into_iter().filter(|item| item.record.rtype == rtype).collect())
    }

    /// The cuts below the zone of the route, of which alone the engine tells.
    fn path_below_zone(&self, name: &Name, now: u64) -> Vec<Arc<[Nameserver]>> {
        let labels = |zone: NameRef<'_>| zone.label_count();
        let found = name.as_ref().ancestors().find(|zone| self.zones.contains_key(zone.key()));
        let top = found.map_or(0, labels);
        let mut path = self.table.path(name, now);
        path.retain(|cut| cut.first().is_some_and(|s| labels(s.zone.as_ref()) > top));
        path
    }

    fn path(&self, name: &Name, now: u64) -> Vec<Arc<[Nameserver]>> {
        match self.routes[self.position(name)].way {
            Way::Noted => self.table.path(name, now),
            Way::Asked if self.walk.is_wanted() => self.table.path(name, now),
            Way::NotedBelow => self.path_below_zone(name, now),
            Way::Asked | Way::Unknown => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Script, Shared, parsed};
    use super::*;

    fn router(default: &str, zones: &[(&str, &str)]) -> (Router, Vec<Arc<Script>>) {
        let mut scripts = vec![Arc::new(Script::talkative(default))];
        let mut router = Router::new(
            Route { engine: scripts[0].clone(), way: Way::Noted },
            Arc::new(Delegations::new(1 << 20, super::super::roots::servers(None))),
            Instant::now(),
        );
        for (zone, lines) in zones {
            let script = Arc::new(Script::talkative(lines));
            scripts.push(script.clone());
            router.add(parsed(zone), Route { engine: script, way: Way::Unknown });
        }
        (router, scripts)
    }

    async fn resolve(router: &Router, name: &str) -> Result<Resolution, UpstreamError> {
        router.resolve(&Question::plain(parsed(name), 1)).await
    }

    fn chain(resolution: &Resolution) -> Vec<String> {
        resolution.facts.steps[1..].iter().map(|step| step.name.to_string()).collect()
    }

    #[tokio::test]
    async fn the_longest_suffix_decides() {
        let (router, scripts) = router(
            "www.example.com. 9 IN A 192.0.2.1",
            &[
                ("corp.test", "www.corp.test. 9 IN A 192.0.2.2"),
                ("lab.corp.test", "www.lab.corp.test. 9 IN A 192.0.2.3"),
            ],
        );
        for (name, last) in [
            ("www.example.com", 1),
            ("www.corp.test", 2),
            ("www.lab.corp.test", 3),
            ("WWW.Lab.Corp.Test", 3),
        ] {
            let facts = resolve(&router, name).await.unwrap().facts;
            let expected: IpAddr = format!("192.0.2.{last}").parse().unwrap();
            assert_eq!(facts.steps[0].addresses, [expected], "{name}");
        }
        resolve(&router, "notcorp.test").await.unwrap();
        assert_eq!(*scripts[0].asked.lock(), ["www.example.com A", "notcorp.test A"]);
    }

    #[tokio::test]
    async fn each_name_of_a_chain_is_answered_by_its_own_route() {
        let (router, scripts) = router(
            "www.example.com. 9 IN CNAME host.corp.test.
             host.corp.test. 9 IN A 192.0.2.66
             cdn.example.net. 9 IN A 192.0.2.1",
            &[("corp.test", "host.corp.test. 9 IN CNAME cdn.example.net.")],
        );
        let resolution = resolve(&router, "www.example.com").await.unwrap();
        assert_eq!(chain(&resolution), ["host.corp.test", "cdn.example.net"]);
        assert_eq!(resolution.sections.answer_count(), 3);
        let good: IpAddr = "192.0.2.1".parse().unwrap();
        assert_eq!(resolution.facts.steps[2].addresses, [good]);
        assert_eq!(resolution.facts.steps[2].addresses.len(), 1);
        assert_eq!(*scripts[1].asked.lock(), ["host.corp.test A"]);
    }

    #[tokio::test]
    async fn a_loop_through_routes_is_a_failure() {
        let (router, scripts) = router(
            "a.example.com. 9 IN CNAME b.corp.test.",
            &[("corp.test", "b.corp.test. 9 IN CNAME a.example.com.")],
        );
        let error = resolve(&router, "a.example.com").await.unwrap_err();
        assert_eq!(error.cause(), &alias_loop());
        assert_eq!(scripts[0].asked.lock().len() + scripts[1].asked.lock().len(), 2);
    }

    #[tokio::test]
    async fn an_endless_chain_ends_with_a_failure() {
        let lines: String = (0..99)
            .map(|n| format!("n{n}.example.com. 9 IN CNAME n{}.example.com.\n", n + 1))
            .collect();
        let (router, _) = router(&lines, &[]);
        let error = resolve(&router, "n0.example.com").await.unwrap_err();
        assert_eq!(error.cause(), &alias_loop());
    }

    #[tokio::test]
    async fn a_server_that_stops_at_the_alias_is_asked_for_its_target() {
        let script = Arc::new(Script::new("a.example.com. 9 IN CNAME gone.example.com."));
        let router = Router::to(Shared(script.clone()), Way::Noted);
        let resolution = resolve(&router, "a.example.com").await.unwrap();
        assert_eq!(
            (resolution.rcode, chain(&resolution)),
            (3, vec!["gone.example.com".to_owned()])
        );
        assert_eq!(resolution.sections.authority_count(), 1);
        assert_eq!(script.asked.lock().len(), 2);
    }

    #[tokio::test]
    async fn questions_needed_for_questions_have_a_bound() {
        let (router, _) = router("ns.test. 9 IN A 192.0.2.1", &[]);
        assert_eq!(router.answers(&parsed("ns.test"), 1, DEPTH_MAX).await.unwrap().len(), 1);
        assert!(router.answers(&parsed("ns.test"), 1, DEPTH_MAX + 1).await.is_err());
    }

    #[tokio::test]
    async fn servers_on_the_way_are_told_for_the_routes_that_know_them() {
        use super::super::delegations::Side;
        let (router, _) = router(
            "www.example.com. 9 IN CNAME host.corp.test.",
            &[("corp.test", "host.corp.test. 9 IN A 192.0.2.1")],
        );
        let servers = || vec![(parsed("ns.test"), vec![])];
        for zone in ["example.com", "corp.test"] {
            router.table.note_servers(&parsed(zone), Side::Parent, servers(), 300, 0);
        }
        let steps = resolve(&router, "www.example.com").await.unwrap().facts.steps;
        assert_eq!(steps.iter().map(|s| s.nameservers.len()).collect::<Vec<_>>(), [2, 0]);
    }
}

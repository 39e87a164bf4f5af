//! The plain reading of draft-vixie-dnsop-dns-rpz-00: every rule is held against everything it
//! could match, and of all matches the best is taken by comparing them pair by pair. Slow, and
//! nothing is shared with the engine but the nouns.

use std::cmp::Ordering;
use std::net::IpAddr;

use sekisho::model::{
    Action, AnswerFacts, GroupSet, Name, NamePattern, NameRef, Network, Rule, Trigger, TriggerKind,
};
use sekisho::snapshot::Transport;
use sekisho::zone::{Mode, Override};

use super::world::{PlainZone, Question, World};

/// What a rule makes of the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    Does(Action),
    TooLong,
}

/// A rule that matches and takes part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlainHit {
    pub zone: usize,
    pub trigger: Trigger,
    /// The server whose name matched.
    pub server: Option<Name>,
    pub stage: usize,
    pub name: Name,
    pub reply: Reply,
    pub ttl: u32,
    pub ttl_max: u32,
    /// Signatures that are not known yet would make it drop out.
    pub unless_signed: bool,
}

/// What is known of an answer: nothing, or these facts.
pub type Known<'f> = Option<&'f AnswerFacts>;

impl World {
    /// The best match in zones that act.
    pub fn decides(&self, known: Known<'_>) -> Option<PlainHit> {
        let hits = self.matches(known).into_iter().filter(|h| self.zones[h.zone].acts());
        hits.min_by(preferred)
    }

    /// The best match of each zone that only observes, where it is preferred to the one that
    /// decides; the preferred ones first.
    pub fn observed(&self, known: Known<'_>) -> Vec<PlainHit> {
        let decides = self.decides(known);
        let matches = self.matches(known);
        let watching = (0..self.zones.len()).filter(|at| !self.zones[*at].acts());
        let mut hits: Vec<PlainHit> = watching
            .filter_map(|at| matches.iter().filter(|h| h.zone == at).min_by(|a, b| preferred(a, b)))
            .filter(|hit| decides.as_ref().is_none_or(|d| preferred(hit, d).is_lt()))
            .cloned()
            .collect();
        hits.sort_by(preferred);
        hits
    }

    /// The rule that decides before the answer is known: nothing the answer could bring would be
    /// preferred, and its zone does not want to wait.
    pub fn decides_early(&self) -> Option<PlainHit> {
        // A match that signatures may undo neither decides nor lets a later one decide.
        let hit = self.decides(None).filter(|hit| !hit.unless_signed)?;
        let zone = &self.zones[hit.zone];
        let of_answer = |rule: &Rule| {
            !matches!(rule.trigger.kind(), TriggerKind::ClientAddress | TriggerKind::QueryName)
        };
        let rival = |zone: &PlainZone| {
            zone.acts() && self.applies(zone) && zone.rules.iter().any(of_answer)
        };
        let waits = zone.options.qname_wait_recurse
            && hit.trigger.kind() == TriggerKind::QueryName
            && changes_answer(&hit.reply, self.question.transport);
        (!waits && !self.zones[..hit.zone].iter().any(rival)).then_some(hit)
    }

    /// Every match that takes part, in no order.
    pub fn matches(&self, known: Known<'_>) -> Vec<PlainHit> {
        let mut hits = Vec::new();
        for (zone_at, zone) in self.zones.iter().enumerate().filter(|(_, z)| self.applies(z)) {
            for stage in self.stages(known) {
                for rule in &zone.rules {
                    hits.extend(self.hits_of(zone_at, zone, rule, &stage, known));
                }
            }
        }
        hits
    }

    /// Whether a zone as a whole applies to the query.
    fn applies(&self, zone: &PlainZone) -> bool {
        let options = &zone.options;
        let for_everyone = options.groups.is_empty();
        let shared = options.groups.0 & self.groups().0 != 0;
        options.mode != Mode::Off
            && (for_everyone || shared)
            && (self.question.recursion_desired || !options.recursive_only)
    }

    /// The groups of the longest prefix that holds the client.
    fn groups(&self) -> GroupSet {
        let client = self.question.client.to_canonical();
        let holding = || self.clients.iter().filter(|(network, _)| holds(*network, client));
        let longest = holding().map(|(network, _)| network.length()).max();
        holding()
            .filter(|(network, _)| Some(network.length()) == longest)
            .fold(GroupSet::NONE, |all, (_, groups)| all.union(*groups))
    }

    fn stages(&self, known: Known<'_>) -> Vec<Stage> {
        let mut stages = vec![Stage {
            number: 0,
            name: self.question.name.clone(),
            client: Some(self.question.client.to_canonical()),
            ..Stage::default()
        }];
        let Some(facts) = known else { return stages };
        for (number, step) in facts.steps.iter().enumerate() {
            if number > 0 {
                stages.push(Stage { number, name: step.name.clone(), ..Stage::default() });
            }
            let stage = stages.last_mut().expect("the query is a stage");
            stage.addresses = step.addresses.clone();
            stage.servers = step
                .nameservers
                .iter()
                .flat_map(|cut| cut.iter())
                .map(|s| (s.zone.clone(), s.name.clone(), s.addresses.clone()))
                .collect();
        }
        // ANY, CNAME and DNAME are not followed.
        if [255, 5, 39].contains(&self.question.rtype) {
            stages.truncate(1);
        }
        stages
    }

    /// A rule's hits at a stage: several where it matches several servers.
    fn hits_of(
        &self,
        zone_at: usize,
        zone: &PlainZone,
        rule: &Rule,
        stage: &Stage,
        known: Known<'_>,
    ) -> Vec<PlainHit> {
        let servers = || {
            let dots_min = usize::from(zone.options.min_ns_dots);
            stage.servers.iter().filter(move |(cut, name, _)| {
                let labels = cut.as_ref().label_count();
                labels > 0 && labels > dots_min && *name != Name::root()
            })
        };
        let kind = rule.trigger.kind();
        let matched: Vec<Option<Name>> = match &rule.trigger {
            Trigger::ClientAddress(n) => when(stage.client.is_some_and(|a| holds(*n, a))),
            Trigger::AnswerAddress(n) => when(stage.addresses.iter().any(|a| holds(*n, *a))),
            Trigger::NameserverAddress(n) => {
                when(servers().any(|(_, _, all)| all.iter().any(|a| holds(*n, *a))))
            }
            Trigger::QueryName(pattern) => when(zone.finds(kind, pattern, &stage.name)),
            Trigger::NameserverName(pattern) => servers()
                .filter(|(_, name, _)| zone.finds(kind, pattern, name))
                .map(|(_, name, _)| Some(name.clone()))
                .collect(),
        };
        matched
            .into_iter()
            .filter_map(|server| self.hit(zone_at, zone, rule, stage, server, known))
            .collect()
    }

    /// The rule's hit, unless an override or the DO bit takes the rule out.
    fn hit(
        &self,
        zone_at: usize,
        zone: &PlainZone,
        rule: &Rule,
        stage: &Stage,
        server: Option<Name>,
        known: Known<'_>,
    ) -> Option<PlainHit> {
        let action = zone.overridden(rule, &self.question)?;
        let own = match &rule.trigger {
            Trigger::NameserverName(_) => server.clone(),
            _ => None,
        };
        let reply = match action {
            Action::Redirect(target) if target == stage.name || Some(&target) == own.as_ref() => {
                Reply::Does(Action::Passthru)
            }
            Action::RedirectBelow(target) => expanded(&stage.name, &target),
            action => Reply::Does(action),
        };
        let breaks = self.question.dnssec_ok
            && !zone.options.break_dnssec
            && changes_answer(&reply, self.question.transport);
        if breaks && known.is_some_and(|facts| facts.signed) {
            return None;
        }
        Some(PlainHit {
            zone: zone_at,
            trigger: rule.trigger.clone(),
            server,
            stage: stage.number,
            name: stage.name.clone(),
            reply,
            ttl: rule.ttl.min(zone.options.max_policy_ttl),
            ttl_max: zone.options.max_policy_ttl,
            unless_signed: breaks && known.is_none(),
        })
    }
}

#[derive(Default)]
struct Stage {
    number: usize,
    name: Name,
    client: Option<IpAddr>,
    addresses: Vec<IpAddr>,
    /// Zone cut, name and addresses of each server.
    servers: Vec<(Name, Name, Vec<IpAddr>)>,
}

fn when(matches: bool) -> Vec<Option<Name>> {
    if matches { vec![None] } else { vec![] }
}

impl PlainZone {
    pub fn acts(&self) -> bool {
        self.options.mode == Mode::Enforce && self.options.policy != Override::Disabled
    }

    /// Section 6.1.
    fn overridden(&self, rule: &Rule, question: &Question) -> Option<Action> {
        let has_none = match &rule.action {
            Action::Data(sets) => {
                question.rtype != 255
                    && sets.iter().all(|s| ![question.rtype, 5].contains(&s.rtype))
            }
            _ => false,
        };
        match &self.options.policy {
            Override::Given | Override::Disabled => Some(rule.action.clone()),
            Override::Action(action) => Some(action.clone()),
            Override::LocalDataOrPassthru if has_none => Some(Action::Passthru),
            Override::LocalDataOrDisabled if has_none => None,
            Override::LocalDataOrPassthru | Override::LocalDataOrDisabled => {
                Some(rule.action.clone())
            }
        }
    }

    /// Whether the search of RFC 1034 section 4.3.2, as RFC 4592 puts it, finds the rule with
    /// this pattern among all of its kind.
    fn finds(&self, kind: TriggerKind, pattern: &NamePattern, name: &Name) -> bool {
        let owners: Vec<Vec<Vec<u8>>> = self
            .rules
            .iter()
            .filter(|rule| rule.trigger.kind() == kind)
            .filter_map(|rule| match &rule.trigger {
                Trigger::QueryName(p) | Trigger::NameserverName(p) => Some(owner(p)),
                _ => None,
            })
            .collect();
        // A node exists if it is an owner name or above one (RFC 4592 section 2.2.2).
        let exists = |node: &[Vec<u8>]| owners.iter().any(|owner| owner.starts_with(node));
        let wanted = labels(name.as_ref());
        if exists(&wanted) {
            return owner(pattern) == wanted;
        }
        let encloser = (0..wanted.len()).rev().map(|n| &wanted[..n]).find(|node| exists(node));
        let source = encloser.map(|node| [node, &[b"*".to_vec()]].concat());
        source.is_some_and(|source| owner(pattern) == source)
    }
}

/// Labels from the top down.
fn labels(name: NameRef<'_>) -> Vec<Vec<u8>> {
    name.labels().map(<[u8]>::to_vec).collect()
}

/// The owner name of a pattern, which for a wildcard has an asterisk of its own.
fn owner(pattern: &NamePattern) -> Vec<Vec<u8>> {
    let mut owner = labels(pattern.name.as_ref());
    if pattern.wildcard {
        owner.push(b"*".to_vec());
    }
    owner
}

/// `name` before `target`, as text.
fn expanded(name: &Name, target: &Name) -> Reply {
    let text = match *name == Name::root() {
        true => target.to_string(),
        false => format!("{name}.{target}"),
    };
    match Name::from_presentation(&text) {
        Ok(alias) => Reply::Does(Action::Redirect(alias)),
        Err(_) => Reply::TooLong,
    }
}

fn changes_answer(reply: &Reply, transport: Transport) -> bool {
    match reply {
        Reply::Does(Action::Passthru) => false,
        Reply::Does(Action::TcpOnly) => transport == Transport::Udp,
        _ => true,
    }
}

fn holds(network: Network, address: IpAddr) -> bool {
    let number = |address: IpAddr| match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    };
    let whole = if address.is_ipv4() { 32 } else { 128 };
    let loose = u32::from(whole - network.length().min(whole));
    let front = |address| number(address).checked_shr(loose).unwrap_or(0);
    network.address().is_ipv4() == address.is_ipv4() && front(network.address()) == front(address)
}

/// Which of two matches is preferred: `Less` is the first. The rules of section 5 in its order.
pub fn preferred(a: &PlainHit, b: &PlainHit) -> Ordering {
    let address = |hit: &PlainHit| match hit.trigger {
        Trigger::ClientAddress(n) | Trigger::AnswerAddress(n) | Trigger::NameserverAddress(n) => {
            Some(n)
        }
        _ => None,
    };
    let prefix = |hit: &PlainHit| address(hit).map(|n| n.rpz_length());
    let number = |hit: &PlainHit| address(hit).map(|n| (n.rpz_number(), n.address().is_ipv6()));
    a.stage
        .cmp(&b.stage) // 5.1
        .then(a.zone.cmp(&b.zone)) // 5.2
        .then(a.trigger.kind().cmp(&b.trigger.kind())) // 5.4
        .then(b.server.cmp(&a.server)) // 5.5; 5.3 is the search of RFC 4592
        .then(prefix(b).cmp(&prefix(a))) // 5.6
        .then(number(a).cmp(&number(b))) // 5.7
}

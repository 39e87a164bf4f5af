//! The best match of one kind of trigger in one zone, at one stage of resolution.

use std::cmp::Reverse;
use std::net::IpAddr;
use std::sync::Arc;

use super::names::{self, Suffixes};
use super::networks::NetworkIndex;
use super::query::{Hit, Matched, Query};
use super::ruling::{Ruling, Signed, rule_on};
use crate::model::{AnswerFacts, NameRef, Nameserver, Network, TriggerKind};
use crate::zone::{Effect, PolicyZone};

/// A policy zone with the indexes of its address triggers.
#[derive(Debug)]
pub(super) struct IndexedZone {
    pub(super) policy: PolicyZone,
    /// By [`TriggerKind`]; empty for the kinds that are names.
    pub(super) indexes: [Arc<NetworkIndex>; 5],
}

/// What the triggers of one stage are held against.
pub(super) struct Stage<'a> {
    /// How many aliases were followed before.
    pub(super) number: usize,
    pub(super) name: NameRef<'a>,
    /// The name's suffixes; none where query names need no look.
    pub(super) suffixes: Option<Suffixes<'a>>,
    /// The client, at the first stage.
    pub(super) client: Option<IpAddr>,
    pub(super) addresses: &'a [IpAddr],
    pub(super) nameservers: &'a [Arc<[Nameserver]>],
    pub(super) signed: Signed,
    /// The seed of the tables of names.
    pub(super) hash_seed: u64,
}

impl<'a> Stage<'a> {
    /// The first stage as far as the query alone tells.
    pub(super) fn of_query(query: &Query<'a>, look_at_name: bool, hash_seed: u64) -> Self {
        Self {
            number: 0,
            name: query.name,
            suffixes: look_at_name.then(|| Suffixes::new(query.name, hash_seed)),
            client: Some(query.client.to_canonical()),
            addresses: &[],
            nameservers: &[],
            signed: Signed::Unknown,
            hash_seed,
        }
    }

    /// The same stage with what the answer tells.
    pub(super) fn with_answer(self, facts: &'a AnswerFacts) -> Self {
        let step = facts.steps.first();
        Self {
            addresses: step.map_or(&[], |step| &step.addresses),
            nameservers: step.map_or(&[], |step| &step.nameservers),
            signed: Signed::Known(facts.signed),
            ..self
        }
    }

    /// The stage behind `number` aliases, which the facts have.
    pub(super) fn of_target(
        number: usize,
        facts: &'a AnswerFacts,
        look_at_name: bool,
        hash_seed: u64,
    ) -> Self {
        let step = &facts.steps[number];
        let name = step.name.as_ref();
        Self {
            number,
            name,
            suffixes: look_at_name.then(|| Suffixes::new(name, hash_seed)),
            client: None,
            addresses: &step.addresses,
            nameservers: &step.nameservers,
            signed: Signed::Known(facts.signed),
            hash_seed,
        }
    }

    /// The servers on the data path.
    pub(super) fn servers(&self) -> impl Iterator<Item = &'a Nameserver> + use<'a> {
        self.nameservers.iter().flat_map(|of_cut| of_cut.iter())
    }
}

/// A hit, and whether signatures in the answer, not known yet, would undo it.
pub(super) struct Candidate<'a> {
    pub(super) hit: Hit<'a>,
    pub(super) unless_signed: bool,
}

/// One zone held against one stage of one query.
pub(super) struct Look<'l, 'a> {
    pub(super) position: usize,
    pub(super) zone: &'a IndexedZone,
    pub(super) stage: &'l Stage<'a>,
    pub(super) query: &'l Query<'a>,
}

impl<'a> Look<'_, 'a> {
    /// The best match of a kind that takes part.
    pub(super) fn best(&self, kind: TriggerKind) -> Option<Candidate<'a>> {
        let stage = self.stage;
        match kind {
            TriggerKind::ClientAddress => self.best_address(kind, stage.client.into_iter()),
            TriggerKind::QueryName => self.query_name(),
            TriggerKind::AnswerAddress => self.best_address(kind, stage.addresses.iter().copied()),
            TriggerKind::NameserverName => self.nameserver_name(),
            TriggerKind::NameserverAddress => {
                let servers = stage.servers().filter(|s| self.looks_at(s));
                self.best_address(kind, servers.flat_map(|s| s.addresses.iter().copied()))
            }
        }
    }

    fn query_name(&self) -> Option<Candidate<'a>> {
        let zone = &self.zone.policy.zone;
        let suffixes = self.stage.suffixes.as_ref()?;
        self.name_candidate(
            TriggerKind::QueryName,
            self.stage.name,
            names::find(zone, zone.query_names(), suffixes)?,
        )
    }

    /// Of several servers the one whose name comes last in canonical order (section 5.5). Their
    /// own names are compared, and whether a wildcard matched does not matter between them.
    fn nameserver_name(&self) -> Option<Candidate<'a>> {
        let zone = &self.zone.policy.zone;
        let mut best: Option<(NameRef<'a>, Candidate<'a>)> = None;
        for server in self.stage.servers().filter(|s| self.looks_at(s)) {
            let name = server.name.as_ref();
            if best.as_ref().is_some_and(|(held, _)| *held >= name) {
                continue;
            }
            let suffixes = Suffixes::new(name, self.stage.hash_seed);
            let candidate = names::find(zone, zone.nameserver_names(), &suffixes)
                .and_then(|found| self.name_candidate(TriggerKind::NameserverName, name, found));
            best = candidate.map(|candidate| (name, candidate)).or(best);
        }
        best.map(|(_, candidate)| candidate)
    }

    fn name_candidate(
        &self,
        kind: TriggerKind,
        name: NameRef<'a>,
        found: names::NameMatch<'a>,
    ) -> Option<Candidate<'a>> {
        let ruling = self.rule_on(found.effect, Some(name))?;
        let matched = Matched::Name { name, pattern: found.pattern, wildcard: found.wildcard };
        Some(self.candidate(kind, matched, found.effect, ruling))
    }

    /// The longest prefix over all addresses, then the smallest trigger address (sections 5.6
    /// and 5.7). A shorter prefix gets its turn where a longer one drops out.
    fn best_address(
        &self,
        kind: TriggerKind,
        addresses: impl Iterator<Item = IpAddr>,
    ) -> Option<Candidate<'a>> {
        let networks = self.zone.policy.zone.networks(kind);
        let effects = self.zone.policy.zone.effects();
        let mut best: Option<(Network, Candidate<'a>)> = None;
        for address in addresses {
            for at in self.zone.indexes[kind as usize].holding(networks, address) {
                let (network, effect) = networks[at];
                if best.as_ref().is_some_and(|(held, _)| rank(*held) <= rank(network)) {
                    break;
                }
                let effect = &effects[effect as usize];
                if let Some(ruling) = self.rule_on(effect, None) {
                    let matched = Matched::Address { address, network };
                    best = Some((network, self.candidate(kind, matched, effect, ruling)));
                    break;
                }
            }
        }
        best.map(|(_, candidate)| candidate)
    }

    /// Whether the servers of this zone cut are looked at (`min-ns-dots`, section 9.3). As in
    /// BIND the root's servers never are, nor is the `NS .` of those who want no server known.
    pub(super) fn looks_at(&self, server: &Nameserver) -> bool {
        let dots_min = usize::from(self.zone.policy.options.min_ns_dots);
        server.zone.as_ref().label_count() > dots_min && !server.name.as_ref().is_root()
    }

    fn rule_on(&self, effect: &'a Effect, own: Option<NameRef<'a>>) -> Option<Ruling<'a>> {
        let Stage { name, signed, .. } = *self.stage;
        rule_on(&self.zone.policy, effect, name, own, self.query, signed).ok()
    }

    pub(super) fn candidate(
        &self,
        kind: TriggerKind,
        matched: Matched<'a>,
        effect: &Effect,
        ruling: Ruling<'a>,
    ) -> Candidate<'a> {
        let ttl_max = self.zone.policy.options.max_policy_ttl;
        let hit = Hit {
            zone: self.position,
            kind,
            matched,
            stage: self.stage.number,
            name: self.stage.name,
            response: ruling.response,
            ttl: effect.ttl.min(ttl_max),
            ttl_max,
        };
        Candidate { hit, unless_signed: ruling.unless_signed }
    }
}

/// The order of address triggers in a zone, the best first (sections 5.6 and 5.7). IPv4 comes
/// first where the numbers are the same, which the draft leaves open.
pub(super) fn rank(network: Network) -> impl Ord {
    (Reverse(network.rpz_length()), network.rpz_number(), network.address().is_ipv6())
}

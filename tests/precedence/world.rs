//! Random worlds: a few zones over so few names and addresses that rules collide all the time.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use sekisho::model::{
    Action, AnswerFacts, AnswerStep, GroupSet, Name, NamePattern, Nameserver, Network, RrSet, Rule,
    Trigger, TriggerKind,
};
use sekisho::snapshot::Transport;
use sekisho::zone::{Mode, Override, ZoneOptions};

/// A zone as its rules, which is all that the plain reading knows of it.
#[derive(Debug)]
pub struct PlainZone {
    pub rules: Vec<Rule>,
    pub options: ZoneOptions,
}

/// A query that owns its name.
#[derive(Debug, Clone)]
pub struct Question {
    pub name: Name,
    pub rtype: u16,
    pub client: IpAddr,
    pub transport: Transport,
    pub recursion_desired: bool,
    pub dnssec_ok: bool,
}

#[derive(Debug)]
pub struct World {
    pub zones: Vec<PlainZone>,
    pub clients: Vec<(Network, GroupSet)>,
    pub question: Question,
    pub facts: AnswerFacts,
}

const TYPES: [u16; 8] = [1, 1, 1, 1, 28, 5, 39, 255];

impl World {
    pub fn random(seed: u64) -> World {
        let mut dice = Dice(ChaCha8Rng::seed_from_u64(seed));
        let zones = (0..dice.below(3) + 3).map(|_| dice.zone()).collect();
        let clients = dice.some(0, 3, |d| (d.network(), GroupSet(d.below(4) as u64)));
        let question = dice.question();
        let facts = dice.facts(&question.name);
        World { zones, clients, question, facts }
    }
}

struct Dice(ChaCha8Rng);

impl Dice {
    fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound)
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.0.random_ratio(percent, 100)
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of.choose(&mut self.0).expect("there is something to choose from").clone()
    }

    fn some<T>(&mut self, low: usize, high: usize, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..low + self.below(high - low + 1)).map(|_| make(self)).collect()
    }

    fn zone(&mut self) -> PlainZone {
        let mut rules = Vec::new();
        for (kind, most) in TriggerKind::ALL.into_iter().zip([1, 5, 2, 3, 3]) {
            if self.chance(if kind == TriggerKind::QueryName { 90 } else { 50 }) {
                rules.extend(self.some(0, most, |d| d.rule(kind)));
            }
        }
        // A zone has one rule for a trigger; the builder is tested elsewhere.
        let mut kept: Vec<Rule> = Vec::new();
        for rule in rules {
            if kept.iter().all(|k| k.trigger != rule.trigger) {
                kept.push(rule);
            }
        }
        PlainZone { rules: kept, options: self.options() }
    }

    fn rule(&mut self, kind: TriggerKind) -> Rule {
        let trigger = match kind {
            TriggerKind::ClientAddress => Trigger::ClientAddress(self.network()),
            TriggerKind::QueryName => Trigger::QueryName(self.pattern()),
            TriggerKind::AnswerAddress => Trigger::AnswerAddress(self.network()),
            TriggerKind::NameserverName => Trigger::NameserverName(self.pattern()),
            TriggerKind::NameserverAddress => Trigger::NameserverAddress(self.network()),
        };
        let action = self.action();
        // Local data is kept as long as its shortest set.
        let ttl = match &action {
            Action::Data(sets) => sets.iter().map(|set| set.ttl).min().unwrap_or_default(),
            _ => self.below(100) as u32,
        };
        Rule { trigger, action, ttl }
    }

    fn action(&mut self) -> Action {
        match self.below(10) {
            0 | 1 => Action::NxDomain,
            2 => Action::NoData,
            3 | 4 => Action::Passthru,
            5 => Action::Drop,
            6 => Action::TcpOnly,
            7 => Action::Redirect(self.name(3)),
            8 if self.chance(30) => Action::RedirectBelow(long_name()),
            8 => Action::RedirectBelow(self.name(2)),
            _ => {
                let mut sets = self.some(1, 2, |d| RrSet {
                    rtype: d.one(&[1, 5, 16, 28]),
                    ttl: d.below(100) as u32,
                    rdata: vec![vec![0].into()],
                });
                sets.sort();
                sets.dedup_by_key(|set| set.rtype);
                Action::Data(sets.into())
            }
        }
    }

    fn options(&mut self) -> ZoneOptions {
        let policy = match self.below(20) {
            0 => Override::Disabled,
            1 => Override::Action(self.action()),
            2 | 3 => Override::LocalDataOrPassthru,
            4 | 5 => Override::LocalDataOrDisabled,
            _ => Override::Given,
        };
        let mode = match self.below(20) {
            0 => Mode::Off,
            1 | 2 => Mode::Observe,
            _ => Mode::Enforce,
        };
        ZoneOptions {
            policy,
            mode,
            recursive_only: self.chance(50),
            break_dnssec: self.chance(50),
            qname_wait_recurse: self.chance(40),
            nsip_wait_recurse: self.chance(50),
            nsdname_wait_recurse: self.chance(50),
            min_ns_dots: self.one(&[0, 0, 1, 2]),
            max_policy_ttl: self.one(&[50, 3600]),
            groups: GroupSet(self.one(&[0, 0, 0, 1, 2])),
            ..ZoneOptions::ours()
        }
    }

    fn question(&mut self) -> Question {
        Question {
            name: self.name(4),
            rtype: self.one(&TYPES),
            client: match self.address() {
                IpAddr::V4(v4) if self.chance(30) => IpAddr::V6(v4.to_ipv6_mapped()),
                other => other,
            },
            transport: self.one(&[Transport::Udp, Transport::Tcp]),
            recursion_desired: self.chance(80),
            dnssec_ok: self.chance(30),
        }
    }

    fn facts(&mut self, query_name: &Name) -> AnswerFacts {
        let mut steps = self.some(0, 3, Self::step);
        if let Some(first) = steps.first_mut() {
            first.name = query_name.clone();
        }
        AnswerFacts { steps, signed: self.chance(50) }
    }

    fn step(&mut self) -> AnswerStep {
        let name = self.name(4);
        let nameservers = self.some(0, 3, |d| {
            let labels = d.below(name.as_ref().label_count() + 1);
            Nameserver {
                zone: name.as_ref().top(labels).to_owned(),
                name: if d.chance(3) { Name::root() } else { d.name(4) },
                addresses: d.some(0, 2, Self::address),
            }
        });
        // One server a cut: evaluation looks at servers, whichever cut names them.
        let nameservers = nameservers.into_iter().map(|server| [server].into()).collect();
        AnswerStep { addresses: self.some(0, 3, Self::address), nameservers, name }
    }

    /// A name of up to that many labels out of four, an asterisk seldom among them.
    fn name(&mut self, labels_max: usize) -> Name {
        let mut name = Name::root();
        for _ in 0..1 + self.below(labels_max) {
            let label: &[u8] = if self.chance(4) { b"*" } else { self.one(&[b"a", b"a", b"b"]) };
            name = name.child(label).expect("the names are short");
        }
        name
    }

    /// An owner as zone files write it: a first asterisk makes it a wildcard.
    fn pattern(&mut self) -> NamePattern {
        let (name, labels) = (self.name(4), self.below(4));
        match self.chance(45) {
            true => NamePattern::below(name.as_ref().top(labels).to_owned()),
            false if name.as_ref().labels().next_back() == Some(b"*") => {
                NamePattern::below(name.as_ref().parent().expect("it has a label").to_owned())
            }
            false => NamePattern::exact(name),
        }
    }

    /// Eight addresses of each family with the same numbers, so that the families compete.
    fn address(&mut self) -> IpAddr {
        let low = self.below(8) as u8;
        match self.chance(60) {
            true => IpAddr::V4(Ipv4Addr::new(0, 0, 0, low)),
            false => IpAddr::V6(Ipv6Addr::from_bits(low.into())),
        }
    }

    fn network(&mut self) -> Network {
        let address = self.address();
        let whole = if address.is_ipv4() { 32 } else { 128 };
        let cut = self.one(&[0, 0, 1, 1, 2, 3, 24, 32]);
        Network::new(address, whole - cut).expect("the length is in range")
    }
}

/// A target before which no label fits but one.
fn long_name() -> Name {
    let label = "x".repeat(61);
    let text = [label.as_str(); 4].join(".");
    Name::from_presentation(&text).expect("248 octets and the root")
}

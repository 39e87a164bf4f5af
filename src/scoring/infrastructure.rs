//! The infrastructure channel (SCORING 2.7): what the neighbourhood of a domain says of it. Alone
//! it never blocks.

use super::chain::{Chains, Coupling, Item};
use super::decay::rdiv;
use super::direct::cap;
use super::facts::{Facts, Host};
use super::part::{Label, Part, Sink};
use super::{Kind, Model};

/// What a host can say, in mban.
const HOST_MBAN: (i32, i32) = (-400, 1200);

/// What name servers can say, in mban.
const NS_MBAN: (i32, i32) = (-400, 1000);

/// What name servers of 10,000 domains and more can say, in mban.
const NS_LARGE_MBAN: (i32, i32) = (-100, 200);

/// What siblings can say, in mban.
const SIBLINGS_MBAN: (i32, i32) = (0, 1000);

/// Coupling of any two of host, name servers and siblings, in permille.
const PERMILLE: u32 = 500;

/// In the order of the ids, which breaks ties.
const HOST: u16 = 0;
const NS: u16 = 1;
const SIBLINGS: u16 = 2;

/// Scores the channel: nothing for other kinds than domains, nor where the neighbourhood is that of
/// a sinkhole or a parking company.
pub(super) fn score(model: &Model, facts: &Facts, sink: &mut impl Sink) -> i32 {
    if facts.kind != Kind::Domain || facts.sinkholed || facts.parked {
        return 0;
    }
    let mut chains = Chains::default();
    let mut add = |rank: u16, mban: i32| chains.add(0, rank, rank, mban);
    let infrastructure = &facts.infrastructure;
    let host = infrastructure.host.map(cumulative);
    if let Some([_, _, ip]) = host {
        add(HOST, ip);
    }
    if let Some(ns) = infrastructure.ns {
        let (min, max) = if infrastructure.ns_large { NS_LARGE_MBAN } else { NS_MBAN };
        add(NS, ns.clamp(min, max));
    }
    if let Some(siblings) = infrastructure.siblings {
        add(SIBLINGS, siblings.clamp(SIBLINGS_MBAN.0, SIBLINGS_MBAN.1));
    }
    chains.run(&InfrastructureCoupling);
    let gained = sum(&chains.positive, host, sink);
    let lost = sum(&chains.negative, host, sink);
    cap(gained, model.infrastructure_max, Label::CapInfrastructurePositive, sink)
        + cap(lost, model.infrastructure_min, Label::CapInfrastructureNegative, sink)
}

/// The weights of AS, prefix and address; an unknown level says what the one above it says.
fn cumulative(host: Host) -> [i32; 3] {
    let clamp = |mban: i32| mban.clamp(HOST_MBAN.0, HOST_MBAN.1);
    let asn = clamp(host.asn.unwrap_or(0));
    let prefix = host.prefix.map_or(asn, clamp);
    [asn, prefix, host.ip.map_or(prefix, clamp)]
}

fn sum(items: &[Item], host: Option<[i32; 3]>, sink: &mut impl Sink) -> i32 {
    let mut sum = 0;
    for item in items {
        sum += item.contribution();
        match (item.tag(), host) {
            (HOST, Some(host)) => telescope(host, item.factor_ppm, sink),
            (NS, _) => sink.part(Part::of_item(Label::Ns, item)),
            _ => sink.part(Part::of_item(Label::Siblings, item)),
        }
    }
    sum
}

/// Each level adds only what the level above it did not say. The three values are multiplied and
/// rounded before they are subtracted, so they sum to the last one exactly.
fn telescope(host: [i32; 3], factor_ppm: u32, sink: &mut impl Sink) {
    let (mut said, mut raw_said) = (0, 0);
    for (label, raw) in [Label::HostAsn, Label::HostPrefix, Label::HostIp].into_iter().zip(host) {
        let mban = rdiv(i64::from(raw) * i64::from(factor_ppm), 1_000_000) as i32;
        sink.part(Part {
            raw_mban: raw - raw_said,
            independence_ppm: factor_ppm,
            ..Part::whole(label, mban - said)
        });
        (said, raw_said) = (mban, raw);
    }
}

struct InfrastructureCoupling;

impl Coupling for InfrastructureCoupling {
    fn permille(&self, _: &Item, _: &Item) -> u32 {
        PERMILLE
    }

    fn copies(&self, _: &Item, _: &Item) -> bool {
        false
    }
}

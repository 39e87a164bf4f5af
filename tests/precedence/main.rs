//! The indexed evaluation gives what the plain reading of the rules gives, on random worlds.
//!
//! A failure names its world; `World::random` of that number makes it again.

mod plain;
mod world;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use plain::{PlainHit, Reply, preferred};
use sekisho::model::{Action, AnswerFacts, AnswerStep, Name, Nameserver, Trigger, TriggerKind};
use sekisho::snapshot::{
    Fate, Hit, Match, Matched, Need, Needs, Outcome, Query, Response, Snapshot, Step,
};
use sekisho::zone::{PolicyZone, Serial, Soa, Zone, ZoneBuilder};
use world::{PlainZone, World};

const WORLDS: u64 = 100_000;
const HASH_SEED: u64 = 0x5e15_0000;

#[test]
fn evaluation_follows_the_plain_reading() {
    let seen = std::thread::scope(|scope| {
        let halves = [0..WORLDS / 2, WORLDS / 2..WORLDS];
        let running = halves.map(|worlds| scope.spawn(|| compare(worlds)));
        let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
        for half in running {
            let half = half.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            half.into_iter().for_each(|(event, times)| *seen.entry(event).or_default() += times);
        }
        seen
    });
    // What was compared must have happened often enough for the comparison to mean something:
    // each kind of trigger decides in 1 % of the worlds, all else happens in 1 of 1000.
    let kinds = TriggerKind::ALL.map(|kind| (kind.as_str(), 100));
    let events = EVENTS.map(|event| (event, 1000));
    for (event, one_in) in kinds.into_iter().chain(events) {
        let times = seen.get(event).copied().unwrap_or_default();
        assert!(times * one_in >= WORLDS, "{event}: {times} of {WORLDS} worlds: {seen:?}");
    }
}

const EVENTS: [&str; 18] = [
    "decided early",
    "waited",
    "nobody decided",
    "decided behind an alias",
    "observed",
    "alias made of the name",
    "alias too long",
    "tcp-only over tcp",
    "zone off",
    "other group",
    "saved by RD",
    "saved by DO",
    "no such data",
    "too few dots",
    "closer name",
    "disabled",
    "exempted",
    "outranked",
];

/// Compares many worlds and counts in how many each event happened.
fn compare(worlds: Range<u64>) -> BTreeMap<&'static str, u64> {
    let mut seen = BTreeMap::new();
    for number in worlds {
        let world = World::random(number);
        let snapshot = snapshot(&world);
        let checked = std::panic::catch_unwind(|| check(&world, &snapshot));
        let Ok(events) = checked else { panic!("world {number}: {world:#?}") };
        events.into_iter().for_each(|event| *seen.entry(event).or_default() += 1);
    }
    seen
}

/// Compares everything in one world and says what happened in it.
fn check(world: &World, snapshot: &Snapshot) -> Vec<&'static str> {
    let query = query(world);
    let facts = &world.facts;
    let decides = world.decides(Some(facts));
    let early = world.decides_early();
    let outcome = match snapshot.begin(&query) {
        Step::Decided { hit, observed } => {
            assert_eq!(Some(plain_hit(&hit)), early, "decided early");
            assert_eq!(plain_hits(&observed), certain(world.observed(None)), "observed early");
            // Shortcuts must not change the outcome.
            assert_eq!(early, decides, "early and late");
            Outcome { hit: Some(hit), observed }
        }
        Step::Resolve(evaluation) => {
            assert_eq!(early, None, "waits");
            let outcome = evaluation.finish(facts);
            assert_eq!(plain_hits(&outcome.observed), world.observed(Some(facts)), "observed");
            let needed = only_needed(facts, evaluation.needs());
            let again = evaluation.finish(&needed);
            assert_eq!(again.hit.as_ref().map(plain_hit), decides, "with the needed facts");
            outcome
        }
    };
    assert_eq!(outcome.hit.as_ref().map(plain_hit), decides, "decides");
    let matches = snapshot.explain(&query, Some(facts));
    check_explanation(world, &matches, &outcome);
    let early_matches = snapshot.explain(&query, None);
    let deciding = early_matches.iter().find(|m| m.fate == Fate::Decides);
    assert_eq!(deciding.map(|m| plain_hit(&m.hit)), early, "explained early decision");
    events(world, &matches, early.is_some(), &outcome)
}

/// The explanation names the same rule, and lists what takes part in the same order.
fn check_explanation(world: &World, matches: &[Match<'_>], outcome: &Outcome<'_>) {
    let deciding: Vec<&Hit<'_>> =
        matches.iter().filter(|m| m.fate == Fate::Decides).map(|m| &m.hit).collect();
    assert_eq!(deciding, outcome.hit.iter().collect::<Vec<_>>(), "explained decision");
    let taking_part = matches.iter().filter(|m| {
        matches!(
            m.fate,
            Fate::Decides
                | Fate::Observes
                | Fate::Disabled
                | Fate::Outranked(_)
                | Fate::Exempted(_)
        )
    });
    let explained: Vec<PlainHit> = taking_part.map(|m| plain_hit(&m.hit)).collect();
    let mut plain = world.matches(Some(&world.facts));
    plain.sort_by(preferred);
    // One server can stand at several zone cuts.
    plain.dedup();
    assert_eq!(explained, plain, "explained matches");
}

fn events(
    world: &World,
    matches: &[Match<'_>],
    early: bool,
    outcome: &Outcome<'_>,
) -> Vec<&'static str> {
    let mut events = vec![if early { "decided early" } else { "waited" }];
    let mut note = |happened: bool, event| events.extend(happened.then_some(event));
    note(outcome.hit.is_none(), "nobody decided");
    note(!outcome.observed.is_empty(), "observed");
    if let Some(hit) = &outcome.hit {
        let transport = world.question.transport;
        note(true, hit.kind.as_str());
        note(hit.stage > 0, "decided behind an alias");
        note(hit.response == Response::TooLong, "alias too long");
        note(matches!(hit.response, Response::Alias(Cow::Owned(_))), "alias made of the name");
        note(
            hit.response == Response::TcpOnly && !hit.response.rewrites(transport),
            "tcp-only over tcp",
        );
    }
    for fate in matches.iter().map(|m| m.fate) {
        events.push(match fate {
            Fate::ZoneOff => "zone off",
            Fate::OtherGroup => "other group",
            Fate::SavedByRecursionBit => "saved by RD",
            Fate::SavedByDnssecBit => "saved by DO",
            Fate::NoSuchData => "no such data",
            Fate::TooFewDots => "too few dots",
            Fate::CloserName => "closer name",
            Fate::Disabled => "disabled",
            Fate::Exempted(_) => "exempted",
            Fate::Outranked(_) => "outranked",
            Fate::Observes | Fate::Decides => continue,
            Fate::Waits => unreachable!("the answer is known"),
        });
    }
    events.sort_unstable();
    events.dedup();
    events
}

/// The facts without what the evaluation says it needs not.
fn only_needed(facts: &AnswerFacts, needs: Needs) -> AnswerFacts {
    let step = |step: &AnswerStep| {
        let mut step = step.clone();
        if !needs.answer_addresses {
            step.addresses.clear();
        }
        let is_looked_at = |server: &Nameserver| {
            server.zone.as_ref().label_count() > usize::from(needs.zone_labels_ignored)
        };
        let mut servers: Vec<Nameserver> =
            step.nameservers.iter().flat_map(|cut| cut.iter()).cloned().collect();
        servers.retain(is_looked_at);
        for server in &mut servers {
            if needs.nameserver_addresses == Need::No {
                server.addresses.clear();
            }
            // A server without a name (`NS .`) is not looked at in any case.
            if needs.nameserver_names == Need::No && server.name != Name::root() {
                server.name = Name::from_host("nobody").expect("a name");
            }
        }
        step.nameservers = servers.into_iter().map(|server| [server].into()).collect();
        step
    };
    AnswerFacts { steps: facts.steps.iter().map(step).collect(), signed: facts.signed }
}

fn query(world: &World) -> Query<'_> {
    let q = &world.question;
    Query {
        name: q.name.as_ref(),
        rtype: q.rtype,
        client: q.client,
        transport: q.transport,
        recursion_desired: q.recursion_desired,
        dnssec_ok: q.dnssec_ok,
    }
}

fn snapshot(world: &World) -> Snapshot {
    let zones = world
        .zones
        .iter()
        .map(|zone| PolicyZone { zone: compiled(zone), options: zone.options.clone() })
        .collect();
    Snapshot::new(1, HASH_SEED, zones, world.clients.clone(), None).expect("few zones, one seed")
}

fn compiled(zone: &PlainZone) -> Zone {
    let origin = Name::from_host("rpz.test").expect("a name");
    let mut builder = ZoneBuilder::new(origin, Soa::ours(Serial(1)), HASH_SEED);
    zone.rules.iter().for_each(|rule| builder.insert(rule.clone()));
    builder.finish().0
}

fn plain_hits(hits: &[Hit<'_>]) -> Vec<PlainHit> {
    hits.iter().map(plain_hit).collect()
}

fn certain(hits: Vec<PlainHit>) -> Vec<PlainHit> {
    hits.into_iter().filter(|hit| !hit.unless_signed).collect()
}

/// A hit in the plain reading's words.
fn plain_hit(hit: &Hit<'_>) -> PlainHit {
    let trigger = hit.trigger();
    let server = match (hit.matched, &trigger) {
        (Matched::Name { name, .. }, Trigger::NameserverName(_)) => Some(name.to_owned()),
        (Matched::Address { address, network }, _) => {
            assert!(network.contains(address));
            None
        }
        _ => None,
    };
    let reply = match &hit.response {
        Response::NxDomain => Reply::Does(Action::NxDomain),
        Response::NoData => Reply::Does(Action::NoData),
        Response::Passthru => Reply::Does(Action::Passthru),
        Response::Drop => Reply::Does(Action::Drop),
        Response::TcpOnly => Reply::Does(Action::TcpOnly),
        Response::Alias(target) => Reply::Does(Action::Redirect(target.clone().into_owned())),
        Response::Data(data) => Reply::Does(Action::Data((*data).clone())),
        Response::TooLong => Reply::TooLong,
    };
    PlainHit {
        zone: hit.zone,
        trigger,
        server,
        stage: hit.stage,
        name: hit.name.to_owned(),
        reply,
        ttl: hit.ttl,
        ttl_max: hit.ttl_max,
        unless_signed: false,
    }
}

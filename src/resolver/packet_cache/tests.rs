//! That a reply given out again is the one that would have been made anew.

use hickory_proto::op::Message;
use hickory_proto::rr::rdata::opt::EdnsOption;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::handler::{Client, Fast, InForce, Now, PacketCache as Packets};
use super::super::script::{HASH_SEED, Plan, Rig, World, data, name, policy, query, rule};
use super::*;
use crate::model::{Action, Network, Timestamp};
use crate::snapshot::Snapshot;
use crate::zone::{Mode, PolicyZone, ZoneOptions};

fn world() -> World {
    World::default()
        .says("www.good.test A", "www.good.test. 300 A 198.51.100.10")
        .says(
            "short.good.test A",
            "short.good.test. 20 A 198.51.100.11\nshort.good.test. 300 A 198.51.100.12",
        )
        .says(
            "alias.good.test A",
            "alias.good.test. 60 CNAME www.good.test.\nwww.good.test. 300 A 198.51.100.10",
        )
        .says("listed.good.test A", "listed.good.test. 300 A 203.0.113.9")
        .says_code("none.good.test A", 3, "--good.test. 60 SOA a. b. 1 2 3 4 60")
}

fn zones() -> Vec<PolicyZone> {
    let of = |zone: PolicyZone, change: fn(&mut ZoneOptions)| {
        let mut options = zone.options.clone();
        change(&mut options);
        PolicyZone { options, ..zone }
    };
    vec![
        of(policy("watch.policy", [rule("*.bad.test", Action::NoData)]), |o| {
            o.mode = Mode::Observe
        }),
        of(policy("kids.policy", [rule("www.good.test", Action::NxDomain)]), |o| {
            o.groups = GroupSet::of(1)
        }),
        policy(
            "block.policy",
            [
                rule("*.bad.test", Action::NxDomain),
                rule("data.test", data(&["A 203.0.113.1", "A 203.0.113.2"])),
                rule("drop.test", Action::Drop),
                rule("tcp.test", Action::TcpOnly),
                rule("ip 203.0.113.0/24", Action::NoData),
            ],
        ),
    ]
}

const QUESTIONS: [&str; 14] = [
    "www.bad.test A",
    "www.bad.test A noedns",
    "data.test A",
    "data.test AAAA",
    "drop.test A",
    "tcp.test A",
    "www.good.test A",
    "www.good.test A do",
    "www.good.test A @10.1.0.1",
    "short.good.test A",
    "alias.good.test A",
    "listed.good.test A",
    "none.good.test A",
    "localhost A",
];

/// The same rig twice: one remembers packets, one makes every reply anew.
struct Pair {
    remembering: (Rig, Packets),
    plain: Rig,
    clients: Vec<(Network, GroupSet)>,
}

impl Pair {
    fn new() -> Self {
        let rig = || Rig::new(Plan { zones: zones(), world: world(), ..Plan::default() });
        let remembering = rig();
        let packets = remembering.handler.packet_cache();
        let clients = vec![(Network::parse_strict("10.1.0.0/16").unwrap(), GroupSet::of(1))];
        Self { remembering: (remembering, packets), plain: rig(), clients }
    }

    fn put_in_force(&self, zones: &[PolicyZone]) {
        for rig in [&self.remembering.0, &self.plain] {
            let clients = self.clients.clone();
            let snapshot = Snapshot::new(2, HASH_SEED, zones.to_vec(), clients, None).unwrap();
            rig.in_force.store(Arc::new(InForce::new(snapshot.into(), &rig.metrics)));
        }
    }

    /// Both replies to a packet.
    async fn ask(&mut self, packet: &[u8], client: Client, now: Now) -> [Option<Vec<u8>>; 2] {
        let (rig, packets) = &mut self.remembering;
        let mut out = Vec::new();
        let mut look = rig.handler.look(packets);
        look.now = now;
        let fast = rig.handler.fast_from(packets, &look, packet, client, &rig.shard, &mut out);
        let first = settled(rig, fast, out, packet, client).await;
        let (rig, mut out) = (&self.plain, Vec::new());
        let fast = rig.handler.fast(packet, client, now, &rig.shard, &mut out);
        [first, settled(rig, fast, out, packet, client).await]
    }
}

async fn settled(
    rig: &Rig,
    fast: Fast,
    out: Vec<u8>,
    packet: &[u8],
    client: Client,
) -> Option<Vec<u8>> {
    match fast {
        Fast::Reply => Some(out),
        Fast::Silent => None,
        Fast::Slow => rig.handler.answer(packet, client, &rig.shard).await,
    }
}

#[tokio::test(start_paused = true)]
async fn a_packet_that_comes_again_gets_what_would_be_made_anew() {
    let mut rng = ChaCha8Rng::seed_from_u64(2308);
    let (mut again, mut rounds) = (0, 0);
    for _ in 0..20 {
        let mut pair = Pair::new();
        pair.put_in_force(&zones());
        let mut now = Now { time: Timestamp(9), cache: 0 };
        for _ in 0..600 {
            match rng.random_range(0..60) {
                0 => pair.put_in_force(&zones()[rng.random_range(0..3)..]),
                1 => {
                    let flushed = name("good.test");
                    pair.remembering.0.handler.upstream().cache().flush_below(flushed.as_ref());
                    pair.plain.handler.upstream().cache().flush_below(flushed.as_ref());
                }
                2..12 => now.cache += rng.random_range(1..9_000),
                _ => {}
            }
            let (mut packet, client) = query(QUESTIONS[rng.random_range(0..QUESTIONS.len())]);
            packet[..2].copy_from_slice(&rng.random::<[u8; 2]>());
            let before = pair.remembering.1.given();
            let [remembered, made] = pair.ask(&packet, client, now).await;
            assert_eq!(remembered, made, "{packet:?} at {now:?}");
            again += usize::from(pair.remembering.1.given() > before);
            rounds += 1;
        }
        // What is counted is the same as well: queries, hits of rules, lookups.
        assert_eq!(pair.remembering.0.metrics.encode(), pair.plain.metrics.encode());
        let counts = |rig: &Rig| rig.handler.upstream().counts();
        assert_eq!(counts(&pair.remembering.0), counts(&pair.plain));
        assert_eq!(pair.remembering.0.asked(), pair.plain.asked());
    }
    assert!(again * 3 > rounds, "{again} of {rounds} replies were given out again");
}

impl Packets {
    /// How often replies were given out, by the entries that are there.
    fn given(&self) -> u64 {
        self.entries.iter().map(|entry| u64::from(entry.given)).sum()
    }
}

#[tokio::test(start_paused = true)]
async fn records_count_down_to_the_second() {
    let mut pair = Pair::new();
    let (packet, client) = query("short.good.test A");
    for second in 0..200 {
        let now = Now { time: Timestamp(9), cache: second * 1000 + 999 };
        let [remembered, made] = pair.ask(&packet, client, now).await;
        assert_eq!(remembered, made, "second {second}");
    }
    assert!(pair.remembering.1.given() > 100);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_kept_for_packets_with_options_or_where_clients_are_told_apart() {
    let mut pair = Pair::new();
    let now = Now { time: Timestamp(9), cache: 0 };
    let (packet, client) = query("www.bad.test A");
    let mut message = Message::from_vec(&packet).unwrap();
    let options = message.edns.as_mut().unwrap().options_mut();
    options.insert(EdnsOption::Unknown(10, vec![5; 8]));
    let with_cookie = message.to_vec().unwrap();
    for _ in 0..3 {
        let [remembered, made] = pair.ask(&with_cookie, client, now).await;
        assert_eq!(remembered, made);
    }
    assert_eq!(pair.remembering.1.given(), 0);
    let by_client = [policy("block.policy", [rule("client 10.2.0.0/16", Action::NxDomain)])];
    pair.put_in_force(&by_client);
    for question in ["www.good.test A", "www.good.test A @10.2.0.1", "www.good.test A"] {
        let (packet, client) = query(question);
        let [remembered, made] = pair.ask(&packet, client, now).await;
        assert_eq!(remembered, made, "{question}");
    }
    assert_eq!(pair.remembering.1.given(), 0);
}

#[test]
fn of_a_pair_the_one_in_use_stays() {
    let mut packets: PacketCache<(), ()> = PacketCache::new(7);
    let account = Account { outcome: Outcome::Rewritten, cache: None, counted: None };
    let key = |hash| Key { hash, groups: GroupSet::NONE };
    let packet = |number: u8| [&[0, 0][..], &[number; 20]].concat();
    let mut out = Vec::new();
    for number in 0..2 {
        packets.keep(key(8), &packet(number), &[number; 12], account, None);
        assert_eq!(packets.find(key(8), &packet(number), 0, &mut out), Found::Reply(account));
    }
    // Both were used, so the third only takes their marks away; the next time it finds room.
    packets.keep(key(8), &packet(2), &[2; 12], account, None);
    assert_eq!(packets.find(key(8), &packet(2), 0, &mut out), Found::Nothing);
    assert_eq!(packets.find(key(8), &packet(1), 0, &mut out), Found::Reply(account));
    packets.keep(key(8), &packet(2), &[2; 12], account, None);
    assert_eq!(packets.find(key(8), &packet(0), 0, &mut out), Found::Nothing);
    assert_eq!(packets.find(key(8), &packet(1), 0, &mut out), Found::Reply(account));
    assert_eq!(packets.find(key(8), &packet(2), 0, &mut out), Found::Reply(account));
    assert_eq!(out, [&[0, 0][..], &[2; 10]].concat());
}

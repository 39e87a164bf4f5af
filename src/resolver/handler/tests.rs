//! What queries come to before and after policy, in scripted worlds.

use std::net::IpAddr;

use async_trait::async_trait;
use hickory_proto::op::{Edns, Message};
use hickory_proto::rr::rdata::opt::EdnsOption;
use hickory_proto::rr::{DNSClass, RecordType};
use rand::{RngExt, SeedableRng};
use tokio::sync::Semaphore;

use super::super::script::{Plan, Rig, World, policy, query, rig, rule, shown};
use super::*;
use crate::model::{Action, NameRef};
use crate::ports::{MessageSender, WhyAnswer};

const GOOD: &str = "www.good.test. 300 A 198.51.100.10";

fn plain() -> Rig {
    let rules = [rule("*.bad.test", Action::NxDomain)];
    rig([policy("rpz1.policy", rules)], World::default().says("www.good.test A", GOOD))
}

/// The reply to a query that was changed, if it comes at once.
fn changed(rig: &Rig, change: impl FnOnce(&mut Message)) -> String {
    let (packet, client) = query("www.good.test A");
    let mut message = Message::from_vec(&packet).unwrap();
    change(&mut message);
    fast(rig, &message.to_vec().unwrap(), client)
}

fn fast(rig: &Rig, packet: &[u8], client: Client) -> String {
    let mut out = Vec::new();
    match rig.handler.fast(packet, client, rig.handler.now(), &rig.shard, &mut out) {
        Fast::Reply => shown(&out),
        other => format!("{other:?}"),
    }
}

#[tokio::test]
async fn strangers_are_refused_whatever_they_send() {
    let rig = plain();
    for question in ["www.good.test A @192.0.2.7", "www.bad.test A @2001:db8::7 tcp"] {
        assert_eq!(rig.ask_fast(question), "Refused rd ra\nerror 18");
    }
    let (mut packet, client) = query("www.good.test A @192.0.2.7");
    packet.truncate(20);
    assert_eq!(fast(&rig, &packet, client), "Refused rd ra");
    assert_eq!(rig.metrics.queries(Outcome::Refused), 3);
}

#[tokio::test]
async fn responses_beyond_the_rate_slip_or_stay_away_but_for_connections_and_cookies() {
    let rates = RateSettings { responses_per_second: 1, ..RateSettings::default() };
    let settings = HandlerSettings { rates, ..HandlerSettings::new([0; 16]) };
    let rules = [rule("*.bad.test", Action::NxDomain)];
    let zones = vec![policy("rpz1.policy", rules)];
    let rig = Rig::new(Plan { zones, settings: Some(settings), ..Plan::default() });
    let heads = |question: &str| {
        let head = |reply: String| reply.lines().next().unwrap_or_default().to_owned();
        [(); 3].map(|()| head(rig.ask_fast(question)))
    };
    assert_eq!(heads("www.bad.test A"), ["NXDomain rd ra", "silence", "NXDomain tc rd ra"]);
    assert_eq!(heads("www.bad.test A tcp"), ["NXDomain rd ra"; 3]);
    let (packet, client) = query("www.bad.test A");
    let mut message = Message::from_vec(&packet).unwrap();
    let now = rig.handler.now();
    let ours = cookie(&[0; 16], &[5; 8], client.address.ip(), now.time).unwrap();
    let edns = message.edns.as_mut().unwrap();
    edns.options_mut().insert(EdnsOption::Unknown(10, ours.to_vec()));
    let packet = message.to_vec().unwrap();
    assert!((0..9).all(|_| fast(&rig, &packet, client).starts_with("NXDomain rd")));
}

#[tokio::test]
async fn questions_that_nobody_can_answer_are_turned_away() {
    let rig = plain();
    let typed = |rtype: u16| {
        changed(&rig, |m| {
            m.queries[0].set_query_type(RecordType::from(rtype));
        })
    };
    assert_eq!(typed(252), "Refused rd ra");
    assert_eq!(typed(254), "NotImp rd ra");
    for rtype in [0, 41, 128, 249, 250] {
        assert_eq!(typed(rtype), "FormErr rd ra\nerror 30", "{rtype}");
    }
    let classed = changed(&rig, |m| {
        m.queries[0].set_query_class(DNSClass::CH);
    });
    assert_eq!(classed, "Refused rd ra");
    let versioned = changed(&rig, |m| {
        let mut edns = Edns::new();
        edns.set_version(1);
        m.set_edns(edns);
    });
    assert!(versioned.starts_with("BADVERS") || versioned.starts_with("BADSIG"), "{versioned}");
    let (mut packet, client) = query("www.good.test A noedns");
    packet[11] = 1;
    packet.extend([0, 0, 250, 0, 255, 0, 0, 0, 0, 0, 0]);
    assert_eq!(fast(&rig, &packet, client), "NotAuth rd ra");
    assert_eq!(rig.asked(), [""; 0]);
}

#[tokio::test]
async fn bits_that_mean_nothing_in_a_query_do_not_come_back() {
    let rig = plain();
    let expected = rig.ask_fast("www.bad.test A");
    let (mut packet, client) = query("www.bad.test A");
    // AA, TC, RA, Z and a response code.
    packet[2] |= 0x06;
    packet[3] |= 0xcf;
    assert_eq!(fast(&rig, &packet, client), expected);
}

#[tokio::test]
async fn a_cookie_comes_back_with_ours_and_keepalive_over_connections_alone() {
    let rig = plain();
    let with = |code: u16, value: &[u8], client: Client| {
        let mut message = Message::from_vec(&query("www.bad.test A").0).unwrap();
        let edns = message.edns.as_mut().unwrap();
        edns.options_mut().insert(EdnsOption::Unknown(code, value.to_vec()));
        let mut out = Vec::new();
        let packet = message.to_vec().unwrap();
        let now = Now { time: Timestamp(9), cache: 0 };
        rig.handler.fast(&packet, client, now, &rig.shard, &mut out);
        let reply = Message::from_vec(&out).unwrap();
        let options = reply.edns.unwrap().options().as_ref().to_vec();
        let found = options.iter().find(|(c, _)| u16::from(*c) == code);
        found.map(|(_, option)| Vec::<u8>::try_from(option).unwrap())
    };
    let (_, udp) = query("www.bad.test A");
    let expected = cookie(&[0; 16], &[5; 8], udp.address.ip(), Timestamp(9)).unwrap();
    assert_eq!(with(10, &[5; 8], udp), Some(expected.to_vec()));
    let tcp = Client { transport: Transport::Tcp, keepalive: Some(100), ..udp };
    assert_eq!(with(11, &[], tcp), Some(vec![0, 100]));
    assert_eq!(with(11, &[], udp), None);
    assert_eq!(with(12, &[0; 8], tcp), None, "nobody pads what all can read");
    let dot = Client { transport: Transport::Dot, ..udp };
    assert!(with(12, &[0; 8], dot).is_some());
}

#[tokio::test(start_paused = true)]
async fn a_client_waits_no_longer_than_the_deadline() {
    let mut world = World::default().says("www.good.test A", GOOD);
    world.gate = Some(Semaphore::new(0));
    let mut rig = rig([], world);
    let start = Instant::now();
    let reply = rig.ask("www.good.test A").await;
    assert_eq!(reply, "ServFail rd ra\nerror 22 no answer before the deadline");
    assert_eq!(start.elapsed(), Duration::from_millis(4500));
    let event = rig.events.drain(1).next().unwrap();
    assert_eq!((event.outcome, event.waited_microseconds), (Outcome::Failed, 4_500_000));
}

#[tokio::test]
async fn each_query_makes_one_event() {
    let mut rig = plain();
    rig.ask("Www.bad.test A tcp @10.0.0.9").await;
    rig.ask("www.good.test A").await;
    let events: Vec<QueryEvent> = rig.events.drain(9).collect();
    let [blocked, resolved] = &events[..] else { panic!("{events:?}") };
    assert_eq!(blocked.client.to_string(), "10.0.0.9");
    assert_eq!(blocked.name.to_name().unwrap().to_string(), "www.bad.test");
    assert_eq!((blocked.transport, blocked.rcode), (Transport::Tcp, 3));
    assert_eq!((blocked.outcome, resolved.outcome), (Outcome::Rewritten, Outcome::Resolved));
    let hit = blocked.policy.as_ref().unwrap();
    assert_eq!((&*hit.zone, hit.action, hit.enforced), ("rpz1.policy", "nxdomain", true));
    assert_eq!(resolved.policy, None);
}

#[tokio::test]
async fn a_new_policy_holds_for_the_very_next_query() {
    let rig = plain();
    let good = rig.ask("www.good.test A").await;
    assert_eq!(good, format!("NoError rd ra\n{GOOD}"));
    let zone = policy("rpz1.policy", [rule("www.good.test", Action::NxDomain)]);
    let seed = super::super::script::HASH_SEED;
    let snapshot = Snapshot::new(2, seed, vec![zone], Vec::new(), None).unwrap();
    rig.in_force.store(InForce::new(snapshot.into(), &rig.metrics).into());
    assert!(rig.ask_fast("www.good.test A").starts_with("NXDomain"));
}

struct Publisher;

#[async_trait]
impl TransferService for Publisher {
    fn publishes(&self, zone: NameRef<'_>) -> bool {
        zone.to_string() == "rpz1.policy"
    }

    async fn datagram(&self, message: &[u8], _: SocketAddr) -> Option<Vec<u8>> {
        Some([message, b"!"].concat())
    }

    async fn stream(&self, _: &[u8], _: SocketAddr, _: MessageSender) {}
}

#[tokio::test]
async fn messages_about_published_zones_go_to_whoever_publishes_them() {
    let without = plain();
    let with = Rig::new(Plan { transfers: Some(Arc::new(Publisher)), ..Plan::default() });
    let (mut notify, client) = query("rpz1.policy SOA @192.0.2.7");
    notify[2] = 4 << 3;
    let (soa, _) = query("rpz1.policy SOA @192.0.2.7");
    let (ixfr, _) = query("other.policy IXFR @192.0.2.7");
    for (packet, refused) in [
        (&notify, "Refused ra"),
        (&soa, "Refused rd ra\nerror 18"),
        (&ixfr, "Refused rd ra\nerror 18"),
    ] {
        assert_eq!(fast(&without, packet, client), refused);
        assert_eq!(fast(&with, packet, client), "Slow", "strangers to us, not to them");
        let answer = with.handler.answer(packet, client, &with.shard).await.unwrap();
        assert_eq!(answer.last(), Some(&b'!'));
        assert!(with.handler.transfer_service(packet).is_some());
    }
    let own = Client { address: "127.0.0.1:53".parse().unwrap(), ..client };
    assert_eq!(fast(&without, &notify, own), "NotImp ra");
    assert!(with.handler.transfer_service(&query("www.test SOA").0).is_none());
}

struct Desk;

impl WhyService for Desk {
    fn answer(&self, asked: NameRef<'_>, client: IpAddr) -> Option<WhyAnswer> {
        let mine = asked.to_string().ends_with("why.rpz1.policy");
        mine.then(|| match client.to_string() == "192.0.2.7" {
            true => WhyAnswer::Text("v=1 act=nxdomain".to_owned()),
            false => WhyAnswer::Refused,
        })
    }
}

#[tokio::test]
async fn a_why_zone_is_answered_at_once_to_those_who_may_ask() {
    let rig = Rig::new(Plan { why: Some(Arc::new(Desk)), ..Plan::default() });
    let ask = |text: &str| {
        let (packet, client) = query(text);
        fast(&rig, &packet, client)
    };
    // The resolver's own access list does not apply: this client may ask nothing else.
    let told = ask("www.bad.test.why.rpz1.policy TXT @192.0.2.7");
    assert!(told.contains("v=1 act=nxdomain") && told.starts_with("NoError aa"), "{told}");
    assert!(ask("www.bad.test.why.rpz1.policy A @192.0.2.7").starts_with("NoError aa"));
    assert!(ask("www.bad.test.why.rpz1.policy TXT @192.0.2.8").starts_with("Refused"));
    assert!(ask("www.bad.test TXT @192.0.2.7").starts_with("Refused"));
}

#[tokio::test]
async fn noise_gets_silence_and_ten_thousand_random_packets_do_no_harm() {
    let rig = plain();
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(1035);
    let (base, client) = query("www.bad.test A do");
    assert_eq!(fast(&rig, &base[..8], client), "Silent");
    for _ in 0..10_000 {
        let mut packet = base.clone();
        for _ in 0..rng.random_range(0..6) {
            let at = rng.random_range(0..packet.len());
            packet[at] = rng.random();
        }
        packet.truncate(rng.random_range(0..=packet.len()));
        let mut out = Vec::new();
        let now = Now { time: Timestamp(rng.random()), cache: rng.random() };
        if rig.handler.fast(&packet, client, now, &rig.shard, &mut out) == Fast::Reply {
            assert_eq!(out[..2], packet[..2]);
            assert!(out[2] & 0x80 != 0 && out.len() <= 1232);
        }
    }
    assert!(rig.ask_fast("www.bad.test A").starts_with("NXDomain"));
}

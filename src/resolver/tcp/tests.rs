//! Connections to a front on loopback.

use std::net::TcpListener as StdTcpListener;

use async_trait::async_trait;
use tokio::sync::Semaphore;

use super::super::script::{Plan, Rig, World, policy, query, rule, shown};
use super::*;
use crate::model::{Action, NameRef};
use crate::ports::{MessageSender, TransferService};

const GOOD: &str = "www.good.test. 300 A 198.51.100.10";

struct Served {
    rig: Rig,
    front: TcpFront,
    address: SocketAddr,
}

fn serve(world: World, settings: TcpSettings) -> Served {
    let zone = policy(
        "rpz1.policy",
        [
            rule("*.bad.test", Action::NxDomain),
            rule("drop.test", Action::Drop),
            rule("www.good.test", Action::TcpOnly),
        ],
    );
    let transfers: Option<Arc<dyn TransferService>> = Some(Arc::new(Publisher));
    let rig = Rig::new(Plan { zones: vec![zone], world, transfers, ..Plan::default() });
    let listener = StdTcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let front = TcpFront::start(vec![listener], &rig.handler, &rig.metrics, settings).unwrap();
    Served { rig, front, address }
}

fn world() -> World {
    World::default().says("www.good.test A", GOOD)
}

/// Holds back all answers of the upstream.
fn gated() -> World {
    let mut world = world();
    world.gate = Some(Semaphore::new(0));
    world
}

struct Publisher;

#[async_trait]
impl TransferService for Publisher {
    fn publishes(&self, _: NameRef<'_>) -> bool {
        false
    }

    async fn datagram(&self, _: &[u8], _: SocketAddr) -> Option<Vec<u8>> {
        None
    }

    /// The message in so many copies that no buffer holds them.
    async fn stream(&self, message: &[u8], _: SocketAddr, answers: MessageSender) {
        for _ in 0..1000 {
            if answers.send(message.to_vec()).await.is_err() {
                return;
            }
        }
    }
}

struct Connection(TcpStream);

impl Connection {
    async fn to(served: &Served) -> Self {
        Self(TcpStream::connect(served.address).await.unwrap())
    }

    async fn send(&mut self, question: &str) {
        self.0.write_all(&framed(question)).await.unwrap();
    }

    /// The next message, or nothing at the end of the connection.
    async fn message(&mut self) -> Option<Vec<u8>> {
        let length = self.0.read_u16().await.ok()?;
        let mut message = vec![0; length.into()];
        self.0.read_exact(&mut message).await.unwrap();
        Some(message)
    }

    async fn reply(&mut self) -> String {
        shown(&self.message().await.expect("a reply"))
    }

    async fn is_over(&mut self) -> bool {
        self.message().await.is_none()
    }
}

fn framed(question: &str) -> Vec<u8> {
    let (packet, _) = query(question);
    [&(packet.len() as u16).to_be_bytes()[..], &packet].concat()
}

async fn until(holds: impl Fn() -> bool) {
    while !holds() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn one_connection_carries_many_questions_and_the_truth_of_tcp_only() {
    let served = serve(world(), TcpSettings::default());
    let mut connection = Connection::to(&served).await;
    connection.send("www.bad.test A").await;
    assert!(connection.reply().await.starts_with("NXDomain"));
    connection.send("www.good.test A").await;
    assert_eq!(connection.reply().await, format!("NoError rd ra\n{GOOD}"));
    connection.send("drop.test A").await;
    connection.send("www.bad.test A").await;
    assert!(connection.reply().await.starts_with("NXDomain"), "a dropped question is passed over");
}

#[tokio::test]
async fn answers_come_as_they_are_ready_and_not_in_order() {
    let served = serve(gated(), TcpSettings::default());
    let mut connection = Connection::to(&served).await;
    connection.send("www.good.test A").await;
    connection.send("www.bad.test A").await;
    assert!(connection.reply().await.starts_with("NXDomain"));
    served.rig.world.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(connection.reply().await, format!("NoError rd ra\n{GOOD}"));
}

#[tokio::test]
async fn a_question_may_come_in_pieces_and_several_at_once() {
    let served = serve(world(), TcpSettings::default());
    let mut connection = Connection::to(&served).await;
    let octets = [framed("www.bad.test A"), framed("x.bad.test A")].concat();
    for piece in octets.chunks(7) {
        connection.0.write_all(piece).await.unwrap();
        tokio::task::yield_now().await;
    }
    for _ in 0..2 {
        assert!(connection.reply().await.starts_with("NXDomain"));
    }
}

#[tokio::test]
async fn a_client_that_stops_sending_still_gets_its_answers() {
    let served = serve(gated(), TcpSettings::default());
    let mut connection = Connection::to(&served).await;
    connection.send("www.good.test A").await;
    connection.0.shutdown().await.unwrap();
    until(|| served.rig.asked().len() == 1).await;
    served.rig.world.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(connection.reply().await, format!("NoError rd ra\n{GOOD}"));
    assert!(connection.is_over().await);
}

#[tokio::test]
async fn no_more_questions_are_read_than_may_be_under_way() {
    let settings = TcpSettings { pipelined_max: 2, ..TcpSettings::default() };
    let served = serve(gated(), settings);
    let mut connection = Connection::to(&served).await;
    for name in ["a.test A", "b.test A", "c.test A"] {
        connection.send(name).await;
    }
    connection.send("www.bad.test A").await;
    until(|| served.rig.asked().len() == 2).await;
    served.rig.world.gate.as_ref().unwrap().add_permits(1);
    assert!(connection.reply().await.starts_with("ServFail"));
    until(|| served.rig.asked().len() == 3).await;
}

#[tokio::test]
async fn a_message_too_long_to_be_a_question_ends_the_connection() {
    let served = serve(world(), TcpSettings::default());
    let mut connection = Connection::to(&served).await;
    connection.0.write_all(&[0xff, 0xff, 0, 0]).await.unwrap();
    assert!(connection.is_over().await);
    let mut malformed = Connection::to(&served).await;
    malformed.0.write_all(&[&[0, 20][..], &[0; 20]].concat()).await.unwrap();
    assert!(malformed.reply().await.starts_with("FormErr"), "but one can be malformed");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_so_is_one_that_sends_too_slowly() {
    let settings = TcpSettings { idle: Duration::from_millis(100), ..TcpSettings::default() };
    let served = serve(world(), settings);
    let mut idle = Connection::to(&served).await;
    idle.send("www.bad.test A").await;
    assert!(idle.reply().await.starts_with("NXDomain"));
    let mut slow = Connection::to(&served).await;
    slow.0.write_all(&framed("www.bad.test A")[..9]).await.unwrap();
    assert!(idle.is_over().await && slow.is_over().await);
    until(|| served.front.open() == 0).await;
}

#[tokio::test]
async fn connections_beyond_the_limits_are_closed_at_once() {
    let connections = Limits { all_max: 5, client_max: 2 };
    let served = serve(world(), TcpSettings { connections, ..TcpSettings::default() });
    let mut first = Connection::to(&served).await;
    let _second = Connection::to(&served).await;
    let mut third = Connection::to(&served).await;
    assert!(third.is_over().await);
    assert_eq!((served.front.open(), served.front.turned_away()), (2, 1));
    first.send("www.bad.test A").await;
    assert!(first.reply().await.starts_with("NXDomain"));
}

#[tokio::test]
async fn a_transfer_runs_beside_other_questions_and_waits_for_its_reader() {
    let served = serve(world(), TcpSettings::default());
    let mut connection = Connection::to(&served).await;
    connection.send("other.policy AXFR").await;
    connection.send("www.bad.test A").await;
    let (mut transferred, mut answered) = (0, 0);
    while transferred < 1000 || answered < 1 {
        let message = connection.message().await.unwrap();
        match message[2] & 0x80 {
            0 => transferred += 1,
            _ => answered += 1,
        }
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off() {
    let settings = TcpSettings { write: Duration::from_millis(100), ..TcpSettings::default() };
    let served = serve(world(), settings);
    let mut connection = Connection::to(&served).await;
    // More than the buffers of both ends hold.
    for _ in 0..400 {
        connection.send("other.policy AXFR").await;
        if served.front.open() == 0 {
            break;
        }
    }
    until(|| served.front.open() == 0).await;
}

#[tokio::test]
async fn questions_under_way_are_answered_before_the_end() {
    let served = serve(gated(), TcpSettings::default());
    let mut connection = Connection::to(&served).await;
    let mut idle = Connection::to(&served).await;
    connection.send("www.good.test A").await;
    until(|| served.rig.asked().len() == 1).await;
    let draining = tokio::spawn(served.front.drain(Duration::from_secs(20)));
    assert!(idle.is_over().await);
    served.rig.world.gate.as_ref().unwrap().add_permits(1);
    assert_eq!(connection.reply().await, format!("NoError rd ra\n{GOOD}"));
    assert!(connection.is_over().await);
    draining.await.unwrap();
}

//! DNS over UDP: a thread for each socket, datagrams in batches, answers at once where nobody has
//! to be asked.
//!
//! What has to be asked goes to the runtime, bounded over all clients and for each one. A query
//! beyond the bounds gets no answer, so that its client asks again or elsewhere and nobody can use
//! us to send more than they sent; each is counted.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::runtime::Handle;

use super::batch::{Batch, ReturnPath, Slot, send_one, tell_destination};
use super::handler::{Client, Fast, Handler, PacketCache};
use super::message::QUERY_OCTETS_MAX;
use super::quota::{Full, Limits, Quota};
use crate::telemetry::{Loss, Metrics, Shard, Transport};

/// How often a thread that waits for datagrams looks whether it is to end.
const STOP_LOOK: Duration = Duration::from_millis(200);
/// How long a thread rests after an error of its socket.
const ERROR_REST: Duration = Duration::from_millis(20);

/// How datagrams are taken and how much may be under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UdpSettings {
    /// Datagrams taken and sent by one system call. At full load 22 came with each call where 32
    /// had room.
    pub batch_datagrams: usize,
    /// Octets the kernel keeps for a socket while its thread is busy; it allows no more than
    /// `net.core.rmem_max`. 0 leaves its default.
    pub receive_buffer_octets: usize,
    /// Octets of replies to begin with; larger ones make room for themselves.
    pub reply_octets: usize,
    /// Queries that wait for the upstream.
    pub limits: Limits,
}

impl Default for UdpSettings {
    fn default() -> Self {
        Self {
            batch_datagrams: 32,
            receive_buffer_octets: 1 << 20,
            reply_octets: 1232,
            limits: Limits { all_max: 10_000, client_max: 1_000 },
        }
    }
}

/// The threads that serve UDP. Dropping it ends them.
#[derive(Debug)]
pub struct UdpFront {
    threads: Vec<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
    waiting: Arc<Quota>,
}

/// Sockets for one address, so many that each thread has its own; the kernel spreads clients over
/// them.
pub fn bind(address: SocketAddr, count: usize) -> io::Result<Vec<UdpSocket>> {
    let mut address = address;
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        if address.is_ipv6() {
            // IPv4 has sockets of its own.
            socket.set_only_v6(true)?;
        }
        socket.set_reuse_port(true)?;
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        // The first one chooses where the port is left open.
        address.set_port(socket.local_addr()?.port());
        sockets.push(socket);
    }
    Ok(sockets)
}

impl UdpFront {
    /// Serves sockets that are bound already, each by a thread of its own.
    pub fn start(
        sockets: Vec<UdpSocket>,
        handler: &Arc<Handler>,
        metrics: &Metrics,
        runtime: &Handle,
        settings: UdpSettings,
    ) -> io::Result<Self> {
        let mut front = Self {
            threads: Vec::with_capacity(sockets.len()),
            stop: Arc::default(),
            waiting: Quota::new(settings.limits),
        };
        let waiting_shard = metrics.shard();
        for (number, socket) in sockets.into_iter().enumerate() {
            prepare(&socket, &settings)?;
            let worker = Worker {
                socket: Arc::new(socket),
                handler: Arc::clone(handler),
                runtime: runtime.clone(),
                shard: metrics.shard(),
                waiting: Arc::clone(&front.waiting),
                waiting_shard: Arc::clone(&waiting_shard),
                stop: Arc::clone(&front.stop),
                settings,
            };
            let thread = std::thread::Builder::new().name(format!("udp-{number}"));
            front.threads.push(thread.spawn(move || worker.run())?);
        }
        Ok(front)
    }

    /// Queries that wait for the upstream now.
    pub fn waiting(&self) -> usize {
        self.waiting.count()
    }

    /// Takes no more queries, and waits for so long until those that are waiting have their
    /// answers.
    pub async fn drain(mut self, grace: Duration) {
        self.stop.store(true, Ordering::Relaxed);
        let threads = std::mem::take(&mut self.threads);
        let ended = tokio::task::spawn_blocking(|| threads.into_iter().for_each(join));
        let waiting = Arc::clone(&self.waiting);
        let drained = async {
            // A thread that ends may have left a last query.
            let _ = ended.await;
            waiting.idle().await;
        };
        if tokio::time::timeout(grace, drained).await.is_err() {
            tracing::warn!(waiting = self.waiting(), "queries were left without an answer");
        }
    }
}

impl Drop for UdpFront {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

fn join(thread: JoinHandle<()>) {
    if thread.join().is_err() {
        tracing::error!("a thread of the UDP front ended by a panic");
    }
}

fn prepare(socket: &UdpSocket, settings: &UdpSettings) -> io::Result<()> {
    socket.set_nonblocking(false)?;
    socket.set_read_timeout(Some(STOP_LOOK))?;
    if settings.receive_buffer_octets > 0 {
        SockRef::from(socket).set_recv_buffer_size(settings.receive_buffer_octets)?;
    }
    tell_destination(socket)
}

struct Worker {
    socket: Arc<UdpSocket>,
    handler: Arc<Handler>,
    runtime: Handle,
    shard: Arc<Shard>,
    waiting: Arc<Quota>,
    waiting_shard: Arc<Shard>,
    stop: Arc<AtomicBool>,
    settings: UdpSettings,
}

impl Worker {
    fn run(&self) {
        let UdpSettings { batch_datagrams, reply_octets, .. } = self.settings;
        let mut packets = self.handler.packet_cache();
        let mut batch = Batch::new(batch_datagrams, QUERY_OCTETS_MAX, reply_octets);
        while !self.stop.load(Ordering::Relaxed) {
            match batch.receive(&self.socket) {
                Ok(received) => {
                    // One query must not take all later ones with it.
                    let serve = || self.serve(&mut batch, &mut packets, received);
                    let serving = AssertUnwindSafe(serve);
                    if catch_unwind(serving).is_err() {
                        tracing::error!("a panic while queries were answered; going on");
                    }
                }
                Err(error) if is_wait_over(&error) => {}
                Err(error) => {
                    tracing::debug!(%error, "receiving datagrams");
                    std::thread::park_timeout(ERROR_REST);
                }
            }
        }
    }

    fn serve(&self, batch: &mut Batch, packets: &mut PacketCache, received: usize) {
        let look = self.handler.look(packets);
        for at in 0..received {
            let slot = batch.slot(at);
            // Nobody listens at port 0, so the source is forged.
            let Some(path) = slot.path.filter(|path| path.peer.port() != 0) else {
                self.shard.lost(Transport::Udp, Loss::NoQuery);
                continue;
            };
            let client = Client::udp(path.peer);
            let Slot { packet, reply, .. } = slot;
            match self.handler.fast_from(packets, &look, packet, client, &self.shard, reply) {
                Fast::Reply => {}
                Fast::Silent => reply.clear(),
                Fast::Slow => {
                    reply.clear();
                    self.wait(packet, client, path);
                }
            }
        }
        let failed = batch.send(&self.socket).failed;
        (0..failed).for_each(|_| self.shard.unsent());
    }

    /// Hands a query to the runtime.
    fn wait(&self, packet: &[u8], client: Client, path: ReturnPath) {
        let permit = match self.waiting.enter(client.address.ip()) {
            Ok(permit) => permit,
            Err(Full::All) => return self.shard.lost(Transport::Udp, Loss::QueueFull),
            Err(Full::Client) => return self.shard.lost(Transport::Udp, Loss::RateLimited),
        };
        let (socket, handler) = (Arc::clone(&self.socket), Arc::clone(&self.handler));
        let shard = Arc::clone(&self.waiting_shard);
        let packet: Box<[u8]> = packet.into();
        self.runtime.spawn(async move {
            let reply = handler.answer(&packet, client, &shard).await;
            if let Some(reply) = reply
                && send_one(&socket, &path, &reply).is_err()
            {
                shard.unsent();
            }
            drop(permit);
        });
    }
}

/// Whether a wait for datagrams ended without one, which is no error.
fn is_wait_over(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use tokio::sync::Semaphore;

    use super::super::script::{Rig, World, policy, query, rig, rule, shown};
    use super::*;
    use crate::model::Action;
    use crate::telemetry::Outcome;

    const GOOD: &str = "www.good.test. 300 A 198.51.100.10";

    fn world() -> World {
        World::default().says("www.good.test A", GOOD)
    }

    /// A front on loopback, and a client of it.
    struct Served {
        rig: Rig,
        front: UdpFront,
        client: UdpSocket,
    }

    fn serve(world: World, settings: UdpSettings) -> Served {
        let rules = [
            rule("*.bad.test", Action::NxDomain),
            rule("drop.test", Action::Drop),
            rule("tcp.test", Action::TcpOnly),
        ];
        let rig = rig([policy("rpz1.policy", rules)], world);
        let sockets = bind("127.0.0.1:0".parse().unwrap(), 2).unwrap();
        let to = sockets[0].local_addr().unwrap();
        let runtime = Handle::current();
        let front = UdpFront::start(sockets, &rig.handler, &rig.metrics, &runtime, settings);
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(to).unwrap();
        client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Served { rig, front: front.unwrap(), client }
    }

    impl Served {
        fn send(&self, question: &str) {
            self.client.send(&query(question).0).unwrap();
        }

        /// The next reply.
        async fn reply(&self) -> String {
            let client = self.client.try_clone().unwrap();
            let receive = move || {
                let mut octets = [0; 4096];
                let length = client.recv(&mut octets).unwrap();
                shown(&octets[..length])
            };
            tokio::task::spawn_blocking(receive).await.unwrap()
        }

        async fn ask(&self, question: &str) -> String {
            self.send(question);
            self.reply().await
        }

        /// Waits until the series has this value.
        async fn until(&self, series: &str) {
            while !self.rig.metrics.encode().lines().any(|line| line == series) {
                tokio::task::yield_now().await;
            }
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn queries_are_answered_from_policy_and_from_the_upstream() {
        let served = serve(world(), UdpSettings::default());
        assert!(served.ask("www.bad.test A").await.starts_with("NXDomain rd ra\nauthority"));
        for _ in 0..2 {
            assert_eq!(served.ask("www.good.test A").await, format!("NoError rd ra\n{GOOD}"));
        }
        assert_eq!(served.rig.asked(), ["www.good.test A"]);
        assert_eq!(served.ask("tcp.test A").await, "NoError tc rd ra");
        served.send("drop.test A");
        assert_eq!(served.ask("tcp.test A noedns").await, "NoError tc rd ra", "nothing before it");
        served.front.drain(Duration::from_secs(20)).await;
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn ten_thousand_random_packets_do_no_harm() {
        let served = serve(world(), UdpSettings::default());
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(8914);
        let base = query("www.bad.test A").0;
        for round in 0..100 {
            for _ in 0..100 {
                let mut packet = base.clone();
                for _ in 0..rng.random_range(1..9) {
                    let at = rng.random_range(2..packet.len());
                    packet[at] = rng.random();
                }
                packet.truncate(rng.random_range(0..=packet.len()));
                // A number that no question of the test has.
                packet.iter_mut().take(2).for_each(|octet| *octet = 0xff);
                served.client.send(&packet).unwrap();
            }
            // The service goes on; what the noise was answered is passed over.
            served.send("www.bad.test A");
            let reply = loop {
                let mut octets = [0; 4096];
                let length = served.client.recv(&mut octets).unwrap();
                if octets[..2] != [0xff, 0xff] {
                    break shown(&octets[..length]);
                }
            };
            assert!(reply.starts_with("NXDomain"), "round {round}: {reply}");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn queries_beyond_the_bounds_are_lost_and_counted() {
        let mut world = world();
        world.gate = Some(Semaphore::new(0));
        let limits = Limits { all_max: 3, client_max: 2 };
        let served = serve(world, UdpSettings { limits, ..UdpSettings::default() });
        for name in ["a.test A", "b.test A", "c.test A", "d.test A"] {
            served.send(name);
        }
        served.until(r#"sekisho_queries_lost_total{reason="rate-limited"} 2"#).await;
        assert_eq!(served.front.waiting(), 2);
        assert!(served.ask("www.bad.test A").await.starts_with("NXDomain"), "policy needs nobody");
        served.rig.world.gate.as_ref().unwrap().add_permits(2);
        for _ in 0..2 {
            assert!(served.reply().await.starts_with("ServFail"));
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn who_is_waiting_at_the_end_still_gets_an_answer() {
        let mut world = world();
        world.gate = Some(Semaphore::new(0));
        let served = serve(world, UdpSettings::default());
        served.send("www.good.test A");
        while served.rig.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        let Served { rig, front, client } = served;
        let draining = tokio::spawn(front.drain(Duration::from_secs(20)));
        rig.world.gate.as_ref().unwrap().add_permits(1);
        draining.await.unwrap();
        client.set_nonblocking(true).unwrap();
        let mut octets = [0; 512];
        let length = client.recv(&mut octets).expect("answered before the end");
        assert_eq!(shown(&octets[..length]), format!("NoError rd ra\n{GOOD}"));
        assert_eq!(rig.metrics.queries(Outcome::Resolved), 1);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_wildcard_socket_answers_over_both_families_from_the_address_asked() {
        let rig = rig([policy("rpz1.policy", [rule("*.bad.test", Action::NxDomain)])], world());
        for (wildcard, asked) in [("0.0.0.0:0", "127.0.0.7"), ("[::]:0", "::1")] {
            let sockets = bind(wildcard.parse().unwrap(), 1).unwrap();
            let to =
                SocketAddr::new(asked.parse().unwrap(), sockets[0].local_addr().unwrap().port());
            let runtime = Handle::current();
            let settings = UdpSettings::default();
            let front = UdpFront::start(sockets, &rig.handler, &rig.metrics, &runtime, settings);
            let client = if to.is_ipv4() { "127.0.0.1:0" } else { "[::1]:0" };
            let client = UdpSocket::bind(client).unwrap();
            // A connected socket takes answers from the address it asked alone.
            client.connect(to).unwrap();
            client.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let served = Served {
                rig: super::super::script::rig([], World::default()),
                front: front.unwrap(),
                client,
            };
            assert!(served.ask("www.bad.test A").await.starts_with("NXDomain"));
            assert!(served.ask("www.good.test A").await.starts_with("NoError"));
        }
    }
}

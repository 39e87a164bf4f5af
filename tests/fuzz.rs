//! Malformed, hostile and truncated messages at every listener of the running program: it neither
//! ends nor grows, and goes on answering. A seed makes a run; a failure prints it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use quinn::crypto::rustls::QuicClientConfig;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustls_pki_types::pem::PemObject as _;
use support::free_port;
use support::instance::Instance;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::time::{Instant, timeout};

const BLOCKED: &str = "blocked.sekisho.test";
const SEED: u64 = 8914;
/// How long an attacker waits for an answer that may never come.
const PATIENCE: Duration = Duration::from_millis(50);
/// What allocator and caches may take for themselves. A leak of a single query's memory at each
/// message of a long run is a multiple of it.
const GROWTH_MAX_KIB: u64 = 64 << 10;

struct Target {
    instance: Instance,
    tls: u16,
    https: u16,
    quic: u16,
    http3: u16,
    client: rustls::ClientConfig,
}

fn target() -> Target {
    let instance = Instance::new("");
    let [tls, https, quic, http3] = [(); 4].map(|()| free_port());
    let made = rcgen::generate_simple_self_signed(["dns.sekisho.test".to_owned()]).unwrap();
    instance.write("key.pem", &made.signing_key.serialize_pem());
    instance.write("chain.pem", &made.cert.pem());
    let path = instance.path("sekisho.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let more = format!(
        "[resolver.encrypted]\ntls = '127.0.0.1:{tls}'\nhttps = '127.0.0.1:{https}'\n\
         quic = '127.0.0.1:{quic}'\nhttp3 = '127.0.0.1:{http3}'\n\
         certificate = '{}'\nkey = '{}'\n",
        instance.path("chain.pem").display(),
        instance.path("key.pem").display()
    );
    std::fs::write(&path, text + &more).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_pki_types::CertificateDer::pem_slice_iter(made.cert.pem().as_bytes())
    {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Target { instance: instance.start(), tls, https, quic, http3, client }
}

impl Target {
    fn speaking(&self, protocol: &[u8]) -> rustls::ClientConfig {
        let mut client = self.client.clone();
        client.alpn_protocols = vec![protocol.to_vec()];
        client
    }

    /// Memory that the program has now, in KiB.
    fn memory_kib(&mut self) -> u64 {
        let path = format!("/proc/{}/status", self.instance.daemon().id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

fn sound(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut query = Message::new(rng.random(), MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    // Names that policy answers; beyond it nobody answers upstream.
    let name = if rng.random_bool(0.9) {
        BLOCKED.to_owned()
    } else {
        format!("n{}.localhost", rng.random::<u32>())
    };
    let rtype = RecordType::from(rng.random_range(1..300_u16));
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), rtype));
    if rng.random_bool(0.7) {
        let mut edns = Edns::new();
        edns.set_max_payload(rng.random()).set_dnssec_ok(rng.random());
        query.set_edns(edns);
    }
    query.to_vec().unwrap()
}

/// A message with some octets changed, cut, doubled or made up.
fn hostile(rng: &mut ChaCha8Rng) -> Vec<u8> {
    let mut packet = sound(rng);
    match rng.random_range(0..6) {
        0 => {}
        1 => packet.truncate(rng.random_range(0..=packet.len())),
        2 => (0..rng.random_range(0..600)).for_each(|_| packet.push(rng.random())),
        // Counts that promise what is not there.
        3 => packet[4..12].iter_mut().for_each(|octet| *octet = rng.random()),
        // Pointers, to themselves too.
        4 => (0..4).for_each(|_| {
            let at = rng.random_range(12..packet.len());
            packet[at] = 0xc0;
        }),
        _ => packet = (0..rng.random_range(0..1500)).map(|_| rng.random()).collect(),
    }
    for _ in 0..rng.random_range(0..4) {
        if !packet.is_empty() {
            let at = rng.random_range(0..packet.len());
            packet[at] = rng.random();
        }
    }
    packet
}

async fn datagrams(port: u16, rng: &mut ChaCha8Rng, count: usize) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    socket.connect(at(port)).await.unwrap();
    for _ in 0..count {
        // A full socket buffer is the fuzzer's own affair.
        let _ = socket.send(&hostile(rng)).await;
    }
}

/// Messages in frames, some of which lie about their length.
async fn frames(mut stream: impl AsyncRead + AsyncWrite + Unpin, rng: &mut ChaCha8Rng) {
    for _ in 0..rng.random_range(1..20) {
        let packet = hostile(rng);
        let length = match rng.random_range(0..10) {
            0 => rng.random(),
            _ => u16::try_from(packet.len()).unwrap(),
        };
        let framed = [&length.to_be_bytes()[..], &packet].concat();
        if stream.write_all(&framed).await.is_err() {
            return;
        }
    }
    let _ = stream.flush().await;
    let mut octets = [0; 4096];
    let _ = timeout(PATIENCE, stream.read(&mut octets)).await;
}

async fn noise(port: u16, rng: &mut ChaCha8Rng) {
    let Ok(mut stream) = TcpStream::connect(at(port)).await else { return };
    let octets: Vec<u8> = (0..rng.random_range(0..2000)).map(|_| rng.random()).collect();
    let _ = stream.write_all(&octets).await;
}

async fn tls(
    target: &Target,
    port: u16,
    protocol: &[u8],
) -> Option<tokio_rustls::client::TlsStream<TcpStream>> {
    let connector = tokio_rustls::TlsConnector::from(Arc::new(target.speaking(protocol)));
    let stream = TcpStream::connect(at(port)).await.ok()?;
    connector.connect("dns.sekisho.test".try_into().unwrap(), stream).await.ok()
}

/// Requests of HTTP/1.1, some of them none.
async fn requests(mut stream: impl AsyncRead + AsyncWrite + Unpin, rng: &mut ChaCha8Rng) {
    let packet = hostile(rng);
    let encoded = data_encoding::BASE64URL_NOPAD.encode(&packet);
    let mut request = match rng.random_range(0..3) {
        0 => format!("GET /dns-query?dns={encoded} HTTP/1.1\r\nhost: x\r\n\r\n").into_bytes(),
        1 => {
            let head = format!(
                "POST /dns-query HTTP/1.1\r\nhost: x\r\ncontent-type: application/dns-message\r\n\
                 content-length: {}\r\n\r\n",
                packet.len()
            );
            [head.as_bytes(), &packet].concat()
        }
        _ => packet,
    };
    if rng.random_bool(0.3) && !request.is_empty() {
        let place = rng.random_range(0..request.len());
        request[place] = rng.random();
    }
    let _ = stream.write_all(&request).await;
    let _ = stream.flush().await;
    let mut octets = [0; 4096];
    let _ = timeout(PATIENCE, stream.read(&mut octets)).await;
}

/// Streams of a QUIC connection.
async fn streams(target: &Target, port: u16, protocol: &[u8], rng: &mut ChaCha8Rng) {
    let tls = QuicClientConfig::try_from(target.speaking(protocol)).unwrap();
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    let Ok(connecting) = endpoint.connect(at(port), "dns.sekisho.test") else { return };
    let Ok(Ok(connection)) = timeout(Duration::from_secs(5), connecting).await else { return };
    for _ in 0..rng.random_range(1..8) {
        let Ok(Ok((mut sender, mut receiver))) = timeout(PATIENCE, connection.open_bi()).await
        else {
            break;
        };
        let mut packet = hostile(rng);
        if rng.random_bool(0.5) {
            packet.iter_mut().take(2).for_each(|octet| *octet = 0);
        }
        let length = u16::try_from(packet.len()).unwrap();
        let framed = [&length.to_be_bytes()[..], &packet].concat();
        let _ = sender.write_all(&framed).await;
        let _ = sender.finish();
        let _ = timeout(PATIENCE, receiver.read_to_end(65_537)).await;
    }
    connection.close(0_u32.into(), b"");
}

async fn round(target: &Target, rng: &mut ChaCha8Rng) {
    datagrams(target.instance.port(), rng, 200).await;
    datagrams(target.quic, rng, 20).await;
    datagrams(target.http3, rng, 20).await;
    for port in [target.instance.port(), target.tls, target.https] {
        noise(port, rng).await;
    }
    if let Ok(stream) = TcpStream::connect(at(target.instance.port())).await {
        frames(stream, rng).await;
    }
    if let Some(stream) = tls(target, target.tls, b"dot").await {
        frames(stream, rng).await;
    }
    for protocol in [&b"http/1.1"[..], b"h2"] {
        if let Some(stream) = tls(target, target.https, protocol).await {
            requests(stream, rng).await;
        }
    }
    streams(target, target.quic, b"doq", rng).await;
    streams(target, target.http3, b"h3", rng).await;
}

/// Whether each listener still serves.
async fn check(target: &Target) {
    assert_eq!(target.instance.code(BLOCKED), ResponseCode::NXDomain);
    let over_tcp = target.instance.ask_over_tcp(BLOCKED, RecordType::A);
    assert_eq!(over_tcp.metadata.response_code, ResponseCode::NXDomain);
    assert!(tls(target, target.tls, b"dot").await.is_some());
    assert!(tls(target, target.https, b"h2").await.is_some());
    for (port, protocol) in [(target.quic, &b"doq"[..]), (target.http3, b"h3")] {
        let tls = QuicClientConfig::try_from(target.speaking(protocol)).unwrap();
        let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
        let connecting = endpoint.connect(at(port), "dns.sekisho.test").unwrap();
        connecting.await.unwrap();
    }
}

/// Rounds until `goes_on` says no.
async fn fuzz(seed: u64, mut goes_on: impl FnMut(usize) -> bool) -> usize {
    let mut target = target();
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    // Caches, pools and threads come with the first load.
    for _ in 0..5 {
        round(&target, &mut rng).await;
    }
    let before = target.memory_kib();
    let mut rounds = 0;
    while goes_on(rounds) {
        round(&target, &mut rng).await;
        rounds += 1;
        if rounds % 5 == 0 {
            check(&target).await;
        }
    }
    check(&target).await;
    let after = target.memory_kib();
    let figures = format!("seed {seed}: {rounds} rounds, {before} KiB before, {after} KiB after\n");
    std::io::Write::write_all(&mut std::io::stderr(), figures.as_bytes()).unwrap();
    assert!(after < before + GROWTH_MAX_KIB, "seed {seed}: {before} KiB became {after} KiB");
    // A panic that was caught would still be one.
    let said = target.instance.daemon().output();
    assert!(!said.contains("panic"), "seed {seed}: {said}");
    rounds
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_messages_at_every_listener_do_no_harm() {
    fuzz(SEED, |rounds| rounds < 10).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "long: ten minutes of hostile messages"]
async fn ten_minutes_of_hostile_messages_do_no_harm() {
    let start = Instant::now();
    let rounds = fuzz(SEED + 1, |_| start.elapsed() < Duration::from_secs(600)).await;
    assert!(rounds > 100, "{rounds} rounds");
}

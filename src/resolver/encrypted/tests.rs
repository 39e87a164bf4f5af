//! Clients of other implementations (rustls, hyper, quinn, h3) on loopback.

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use data_encoding::BASE64URL_NOPAD;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use quinn::crypto::rustls::QuicClientConfig;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::super::quota::Limits;
use super::super::script::{Rig, World, policy, query, rig, rule, shown};
use super::certificates::tests::generated;
use super::*;
use crate::model::Action;
use crate::telemetry::{Outcome, Transport};

const GOOD: &str = "www.good.test. 300 A 198.51.100.10";

struct Served {
    rig: Rig,
    certificates: Arc<Certificates>,
    /// In PEM.
    chain: String,
}

fn served() -> Served {
    served_in(World::default().says("www.good.test A", GOOD))
}

fn served_in(world: World) -> Served {
    let rules = [rule("*.bad.test", Action::NxDomain), rule("drop.test", Action::Drop)];
    let (chain, key) = generated("dns.test");
    let certificates = Certificates::from_pem(chain.as_bytes(), key.as_bytes()).unwrap();
    Served { rig: rig([policy("rpz1.policy", rules)], world), certificates, chain }
}

impl Served {
    fn encrypted(&self) -> Encrypted<'_> {
        self.with(TcpSettings::default())
    }

    fn with(&self, settings: TcpSettings) -> Encrypted<'_> {
        Encrypted {
            certificates: Arc::clone(&self.certificates),
            handler: &self.rig.handler,
            metrics: &self.rig.metrics,
            settings,
        }
    }

    /// A client that trusts the certificate and speaks this protocol.
    fn client(&self, protocol: &[u8]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(self.chain.as_bytes()) {
            roots.add(certificate.unwrap()).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![protocol.to_vec()];
        config
    }

    async fn tls(&self, address: SocketAddr, protocol: &[u8]) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.client(protocol)));
        let stream = TcpStream::connect(address).await?;
        connector.connect(ServerName::try_from("dns.test").unwrap(), stream).await
    }

    async fn quic(&self, address: SocketAddr, protocol: &[u8]) -> quinn::Connection {
        let tls = QuicClientConfig::try_from(self.client(protocol)).unwrap();
        let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
        endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
        endpoint.connect(address, "dns.test").unwrap().await.unwrap()
    }
}

fn listener() -> (Vec<TcpListener>, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (vec![listener], address)
}

fn socket() -> (Vec<UdpSocket>, SocketAddr) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    (vec![socket], address)
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

async fn ask_tls(stream: &mut TlsStream<TcpStream>, message: &[u8]) -> Vec<u8> {
    stream.write_all(&framed(message)).await.unwrap();
    let mut reply = vec![0; stream.read_u16().await.unwrap().into()];
    stream.read_exact(&mut reply).await.unwrap();
    reply
}

/// A question whose number is 0, as QUIC wants it and HTTPS likes it.
fn question(text: &str) -> Vec<u8> {
    let (mut message, _) = query(text);
    message[..2].fill(0);
    message
}

#[tokio::test]
async fn dns_over_tls_carries_questions_and_pads_the_answers_of_who_pads() {
    let served = served();
    let (listeners, address) = listener();
    let front = served.encrypted().tls(listeners).unwrap();
    let mut stream = served.tls(address, b"dot").await.unwrap();
    let reply = ask_tls(&mut stream, &query("www.bad.test A").0).await;
    assert!(shown(&reply).starts_with("NXDomain"));
    let reply = ask_tls(&mut stream, &query("www.good.test A").0).await;
    assert_eq!(shown(&reply), format!("NoError rd ra\n{GOOD}"));
    let mut padded = query("www.good.test A").0;
    let end = padded.len();
    // The OPT record's length, and an option of padding.
    padded[end - 1] = 8;
    padded.extend([0, 12, 0, 4, 0, 0, 0, 0]);
    assert_eq!(ask_tls(&mut stream, &padded).await.len(), 468);
    assert_eq!(served.rig.metrics.queries(Outcome::Resolved), 2);
    front.drain(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn who_talks_no_tls_is_let_go() {
    let served = served();
    let (listeners, address) = listener();
    let handshake = Duration::from_millis(100);
    let front = served.with(TcpSettings { handshake, ..TcpSettings::default() });
    let front = front.tls(listeners).unwrap();
    let mut plain = TcpStream::connect(address).await.unwrap();
    plain.write_all(&framed(&query("www.bad.test A").0)).await.unwrap();
    let mut silent = TcpStream::connect(address).await.unwrap();
    let mut rest = Vec::new();
    let _ = plain.read_to_end(&mut rest).await;
    let _ = silent.read_to_end(&mut rest).await;
    while front.open() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(served.tls(address, b"smtp").await.is_err(), "another protocol");
}

#[tokio::test]
async fn a_new_certificate_is_shown_to_the_next_connection() {
    let mut served = served();
    let (listeners, address) = listener();
    let _front = served.encrypted().tls(listeners).unwrap();
    let mut old = served.tls(address, b"dot").await.unwrap();
    let (chain, key) = generated("dns.test");
    served.certificates.replace(chain.as_bytes(), key.as_bytes()).unwrap();
    assert!(served.tls(address, b"dot").await.is_err(), "the old one is not shown any more");
    served.chain = chain;
    assert!(served.tls(address, b"dot").await.is_ok());
    let reply = ask_tls(&mut old, &query("www.bad.test A").0).await;
    assert!(shown(&reply).starts_with("NXDomain"), "the old connection goes on");
}

/// Sends one request on a connection of its own.
async fn https(
    served: &Served,
    address: SocketAddr,
    protocol: &[u8],
    request: Request<Full<Bytes>>,
) -> hyper::Result<Response<Bytes>> {
    let stream = TokioIo::new(served.tls(address, protocol).await.unwrap());
    let response = if protocol == b"h2" {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
        tokio::spawn(connection);
        sender.send_request(request).await?
    };
    let (parts, body) = response.into_parts();
    Ok(Response::from_parts(parts, body.collect().await?.to_bytes()))
}

fn request(method: Method, path: &str, body: Vec<u8>) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("https://dns.test{path}"))
        .header(CONTENT_TYPE, "application/dns-message")
        .header(ACCEPT, "application/dns-message")
        .body(Full::from(body))
        .unwrap()
}

fn get(message: &[u8]) -> Request<Full<Bytes>> {
    let path = format!("/dns-query?ct=x&dns={}", BASE64URL_NOPAD.encode(message));
    request(Method::GET, &path, Vec::new())
}

#[tokio::test]
async fn dns_over_https_answers_get_and_post_on_both_versions() {
    let served = served();
    let (listeners, address) = listener();
    let _front = served.encrypted().https(listeners).unwrap();
    for protocol in [&b"h2"[..], b"http/1.1"] {
        let message = question("www.good.test A");
        let post = request(Method::POST, "/dns-query", message.clone());
        for request in [get(&message), post] {
            let response = https(&served, address, protocol, request).await.unwrap();
            assert_eq!(response.status(), StatusCode::OK);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/dns-message");
            let age = response.headers()[CACHE_CONTROL].to_str().unwrap();
            assert_eq!(age, "max-age=300");
            assert_eq!(shown(response.body()), format!("NoError rd ra\n{GOOD}"));
        }
        let response = https(&served, address, protocol, get(&question("www.bad.test A"))).await;
        let response = response.unwrap();
        assert_eq!(response.headers()[CACHE_CONTROL], "max-age=60", "as the policy's SOA");
        assert!(shown(response.body()).starts_with("NXDomain"));
        let silence = https(&served, address, protocol, get(&question("drop.test A"))).await;
        assert!(silence.is_err(), "a dropped query has no response");
    }
}

#[tokio::test]
async fn requests_that_are_none_get_the_status_that_says_why() {
    let served = served();
    let (listeners, address) = listener();
    let _front = served.encrypted().https(listeners).unwrap();
    let message = question("www.bad.test A");
    let mut typed = request(Method::POST, "/dns-query", message.clone());
    typed.headers_mut().insert(CONTENT_TYPE, "text/plain".parse().unwrap());
    for (request, status) in [
        (request(Method::GET, "/dns-query", Vec::new()), StatusCode::BAD_REQUEST),
        (request(Method::GET, "/dns-query?dns=%%", Vec::new()), StatusCode::BAD_REQUEST),
        (request(Method::GET, "/", Vec::new()), StatusCode::NOT_FOUND),
        (request(Method::PUT, "/dns-query", message), StatusCode::METHOD_NOT_ALLOWED),
        (typed, StatusCode::UNSUPPORTED_MEDIA_TYPE),
        (request(Method::POST, "/dns-query", vec![0; 5000]), StatusCode::PAYLOAD_TOO_LARGE),
    ] {
        let shown = format!("{request:?}");
        let response = https(&served, address, b"http/1.1", request).await.unwrap();
        assert_eq!(response.status(), status, "{shown}");
    }
    let noise = get(&[0; 5]);
    assert!(https(&served, address, b"http/1.1", noise).await.is_err(), "no message, no response");
    let malformed = https(&served, address, b"h2", get(&[0; 12])).await.unwrap();
    assert!(shown(malformed.body()).starts_with("FormErr"));
}

#[tokio::test]
async fn an_https_connection_is_closed_when_idle_and_answers_what_is_under_way_at_the_end() {
    let mut world = World::default().says("www.good.test A", GOOD);
    world.gate = Some(Semaphore::new(0));
    let served = served_in(world);
    let (listeners, address) = listener();
    let idle = Duration::from_millis(100);
    let front = served.with(TcpSettings { idle, ..TcpSettings::default() });
    let front = front.https(listeners).unwrap();
    let _quiet = served.tls(address, b"h2").await.unwrap();
    while front.open() < 1 {
        tokio::task::yield_now().await;
    }
    while front.open() > 0 {
        tokio::task::yield_now().await;
    }
    let asking = https(&served, address, b"h2", get(&question("www.good.test A")));
    let ending = async {
        while served.rig.asked().is_empty() {
            tokio::task::yield_now().await;
        }
        let draining = front.drain(Duration::from_secs(20));
        served.rig.world.gate.as_ref().unwrap().add_permits(1);
        draining.await;
    };
    let (response, ()) = tokio::join!(asking, ending);
    assert_eq!(shown(response.unwrap().body()), format!("NoError rd ra\n{GOOD}"));
}

async fn ask_doq(connection: &quinn::Connection, octets: &[u8]) -> Option<String> {
    let (mut sender, mut receiver) = connection.open_bi().await.ok()?;
    sender.write_all(octets).await.ok()?;
    sender.finish().ok()?;
    let reply = receiver.read_to_end(70_000).await.ok()?;
    assert_eq!(usize::from(u16::from_be_bytes([reply[0], reply[1]])), reply.len() - 2);
    Some(shown(&reply[2..]))
}

#[tokio::test]
async fn dns_over_quic_answers_each_stream_and_resets_those_that_policy_drops() {
    let served = served();
    let (sockets, address) = socket();
    let front = served.encrypted().quic(sockets).unwrap();
    let connection = served.quic(address, b"doq").await;
    let ask = |text: &str| framed(&question(text));
    let reply = ask_doq(&connection, &ask("www.bad.test A")).await.unwrap();
    assert!(reply.starts_with("NXDomain"));
    assert_eq!(ask_doq(&connection, &ask("drop.test A")).await, None);
    let reply = ask_doq(&connection, &ask("www.good.test A")).await;
    assert_eq!(reply.unwrap(), format!("NoError rd ra\n{GOOD}"), "the connection goes on");
    connection.close(0_u32.into(), b"");
    front.drain(Duration::from_secs(20)).await;
}

#[tokio::test]
async fn a_breach_of_the_protocol_ends_a_quic_connection() {
    let served = served();
    let (sockets, address) = socket();
    let _front = served.encrypted().quic(sockets).unwrap();
    let numbered = framed(&query("www.bad.test A").0);
    let short = framed(&question("www.bad.test A"))[..20].to_vec();
    for (octets, code) in [(numbered, 2_u32), (short, 2), (vec![0; 5000], 4)] {
        let connection = served.quic(address, b"doq").await;
        assert_eq!(ask_doq(&connection, &octets).await, None);
        match connection.closed().await {
            quinn::ConnectionError::ApplicationClosed(close) => {
                assert_eq!(close.error_code, code.into());
            }
            other => panic!("{other}"),
        }
    }
}

#[tokio::test]
async fn quic_connections_beyond_the_limits_are_refused() {
    let served = served();
    let (sockets, address) = socket();
    let connections = Limits { all_max: 10, client_max: 1 };
    let front = served.with(TcpSettings { connections, ..TcpSettings::default() });
    let front = front.quic(sockets).unwrap();
    let first = served.quic(address, b"doq").await;
    let tls = QuicClientConfig::try_from(served.client(b"doq")).unwrap();
    let mut endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap();
    endpoint.set_default_client_config(quinn::ClientConfig::new(Arc::new(tls)));
    let second = endpoint.connect(address, "dns.test").unwrap().await;
    assert!(matches!(second, Err(quinn::ConnectionError::ConnectionClosed(_))), "{second:?}");
    assert_eq!(front.open(), 1);
    drop(first);
}

async fn http3(
    served: &Served,
    address: SocketAddr,
    request: Request<Full<Bytes>>,
) -> Option<Response<Vec<u8>>> {
    let connection = h3_quinn::Connection::new(served.quic(address, b"h3").await);
    let (mut driver, mut sender) = h3::client::new(connection).await.ok()?;
    let driving = tokio::spawn(async move { driver.wait_idle().await });
    let (parts, body) = request.into_parts();
    let mut stream = sender.send_request(Request::from_parts(parts, ())).await.ok()?;
    let body = body.collect().await.ok()?.to_bytes();
    stream.send_data(body).await.ok()?;
    stream.finish().await.ok()?;
    let response = stream.recv_response().await.ok()?;
    let mut octets = Vec::new();
    while let Some(mut data) = stream.recv_data().await.ok()? {
        octets.extend_from_slice(&data.copy_to_bytes(data.remaining()));
    }
    driving.abort();
    Some(response.map(|()| octets))
}

#[tokio::test]
async fn dns_over_http3_answers_get_and_post() {
    let mut served = served();
    let (sockets, address) = socket();
    let front = served.encrypted().http3(sockets).unwrap();
    let message = question("www.good.test A");
    let post = request(Method::POST, "/dns-query", message.clone());
    for request in [get(&message), post] {
        let response = http3(&served, address, request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CACHE_CONTROL], "max-age=300");
        assert_eq!(shown(response.body()), format!("NoError rd ra\n{GOOD}"));
    }
    let large = request(Method::POST, "/dns-query", vec![0; 5000]);
    let response = http3(&served, address, large).await.unwrap();
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert!(http3(&served, address, get(&question("drop.test A"))).await.is_none());
    let transports: Vec<Transport> = served.rig.events.drain(9).map(|e| e.transport).collect();
    assert_eq!(transports, [Transport::Doh3; 3]);
    front.drain(Duration::from_secs(20)).await;
}

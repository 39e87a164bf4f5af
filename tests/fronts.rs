//! The running program and other people's clients, over every transport.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use data_encoding::BASE64URL_NOPAD;
use hickory_net::quic::QuicClientStream;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::{DnsExchange, DnsHandle as _, FirstAnswer as _};
use hickory_proto::op::{DnsRequest, DnsRequestOptions, Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RecordType};
use rustix::process::Signal;
use rustls_pki_types::pem::PemObject as _;
use support::instance::Instance;
use support::{free_port, peer};

const BLOCKED: &str = "blocked.sekisho.test";

/// An instance with all transports, and where they are.
struct Fronts {
    instance: Instance,
    tls: u16,
    https: u16,
    quic: u16,
    http3: u16,
}

fn certificate(instance: &Instance) -> String {
    let made = rcgen::generate_simple_self_signed(["dns.sekisho.test".to_owned()]).unwrap();
    instance.write("key.pem", &made.signing_key.serialize_pem());
    instance.write("chain.pem", &made.cert.pem());
    made.cert.pem()
}

fn fronts(configuration: &str) -> Fronts {
    let [tls, https, quic, http3] = [(); 4].map(|()| free_port());
    let probe = Instance::new("");
    let (chain, key) = (probe.path("chain.pem"), probe.path("key.pem"));
    let text = format!(
        "[resolver.encrypted]\ntls = '127.0.0.1:{tls}'\nhttps = '127.0.0.1:{https}'\n\
         quic = '127.0.0.1:{quic}'\nhttp3 = '127.0.0.1:{http3}'\nname = 'dns.sekisho.test'\n\
         certificate = '{}'\nkey = '{}'\n{configuration}",
        chain.display(),
        key.display()
    );
    let path = probe.path("sekisho.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, before + &text).unwrap();
    certificate(&probe);
    Fronts { instance: probe.start(), tls, https, quic, http3 }
}

/// What a program prints.
fn said(program: &std::path::Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

fn query(name: &str) -> Message {
    let mut query = Message::new(0, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    query.edns = Some(Edns::new());
    query
}

#[test]
fn dig_and_kdig_are_served_over_every_transport_they_speak() {
    let (Some(dig), Some(kdig)) = (peer("dig"), peer("kdig")) else { return };
    let fronts = fronts("");
    let port = fronts.instance.port().to_string();
    for more in ["+notcp", "+tcp", "+dnssec", "+noedns"] {
        let reply = said(&dig, &["@127.0.0.1", "-p", &port, more, BLOCKED]);
        assert!(reply.contains("status: NXDOMAIN"), "{more}: {reply}");
    }
    let reply = said(&dig, &["@127.0.0.1", "-p", &port, "+cookie", "+tcp", "+keepalive", BLOCKED]);
    assert!(reply.contains("(good)") && reply.contains("TCP KEEPALIVE: 10.0 secs"), "{reply}");
    let reply = said(&dig, &["@127.0.0.1", "-p", &port, "ANY", "example.com"]);
    assert!(reply.contains("RFC8482"), "{reply}");
    let chain = fronts.instance.path("chain.pem").display().to_string();
    for (port, more) in
        [(fronts.tls, "+tls"), (fronts.https, "+https"), (fronts.https, "+https-get")]
    {
        let (port, ca) = (port.to_string(), format!("+tls-ca={chain}"));
        let all = ["@127.0.0.1", "-p", &port, &ca, "+tls-hostname=dns.sekisho.test", more, BLOCKED];
        let reply = said(&kdig, &all);
        assert!(reply.contains("status: NXDOMAIN"), "{more}: {reply}");
        assert!(reply.contains("PADDING"), "{more}: {reply}");
    }
    let status = fronts.instance.say(&["status"]);
    for (word, port) in
        [("dot", fronts.tls), ("doh", fronts.https), ("doq", fronts.quic), ("doh3", fronts.http3)]
    {
        assert!(status.contains(&format!("{word} 127.0.0.1:{port}")), "{status}");
    }
}

#[test]
fn clients_of_plain_dns_are_told_what_else_listens() {
    let Some(dig) = peer("dig") else { return };
    let fronts = fronts("");
    let port = fronts.instance.port().to_string();
    let reply = said(&dig, &["@127.0.0.1", "-p", &port, "+short", "SVCB", "_dns.resolver.arpa"]);
    let told = |alpn: &str, port: u16| {
        let service = format!("dns.sekisho.test. alpn=\"{alpn}\" port={port}");
        reply.lines().any(|line| line.contains(&service))
    };
    let Fronts { tls, https, quic, http3, .. } = fronts;
    for (alpn, port) in [("dot", tls), ("h2", https), ("doq", quic), ("h3", http3)] {
        assert!(told(alpn, port), "{alpn}: {reply}");
    }
}

#[test]
fn curl_asks_over_https_by_get_and_post() {
    let Some(curl) = peer("curl") else { return };
    let fronts = fronts("");
    let message = query(BLOCKED).to_vec().unwrap();
    let body = fronts.instance.path("query");
    std::fs::write(&body, &message).unwrap();
    let url = format!("https://dns.sekisho.test:{}/dns-query", fronts.https);
    let resolve = format!("dns.sekisho.test:{}:127.0.0.1", fronts.https);
    let chain = fronts.instance.path("chain.pem").display().to_string();
    let (data, get) =
        (format!("@{}", body.display()), format!("{url}?dns={}", BASE64URL_NOPAD.encode(&message)));
    let base = ["-sS", "--fail", "--cacert", &chain, "--resolve", &resolve];
    let post = ["-H", "content-type: application/dns-message", "--data-binary", &data, &url];
    for (version, request) in [
        ("--http2", vec![get.as_str()]),
        ("--http1.1", vec![get.as_str()]),
        ("--http2", post.to_vec()),
        ("--http1.1", post.to_vec()),
    ] {
        let mut command = Command::new(&curl);
        let output = command.args(base).arg(version).args(&request).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        let reply = Message::from_vec(&output.stdout).unwrap_or_else(|e| panic!("{e}: {error}"));
        assert_eq!(reply.metadata.response_code.to_string(), "Non-Existent Domain", "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quic_client_of_hickory_is_served() {
    let fronts = tokio::task::spawn_blocking(|| fronts("")).await.unwrap();
    let chain = std::fs::read(fronts.instance.path("chain.pem")).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in rustls_pki_types::CertificateDer::pem_slice_iter(&chain) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"doq".to_vec()];
    let address = SocketAddr::from(([127, 0, 0, 1], fronts.quic));
    let name = Arc::from("dns.sekisho.test");
    let stream = QuicClientStream::builder().crypto_config(config).build(address, name);
    let (exchange, background) =
        DnsExchange::<TokioRuntimeProvider>::from_stream(stream.await.unwrap());
    tokio::spawn(background);
    let request = DnsRequest::new(query(BLOCKED), DnsRequestOptions::default());
    let reply = exchange.send(request).first_answer().await.unwrap();
    assert_eq!(reply.metadata.response_code.to_string(), "Non-Existent Domain");
}

#[test]
fn a_hangup_takes_over_a_renewed_certificate_and_who_is_answered() {
    let Some(kdig) = peer("kdig") else { return };
    let mut fronts = fronts("");
    certificate(&fronts.instance);
    let path = fronts.instance.path("sekisho.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let narrow = text.replace("[resolver]\n", "[resolver]\nallow_from = ['127.0.0.2']\n");
    std::fs::write(&path, narrow).unwrap();
    fronts.instance.daemon().signal(Signal::HUP);
    fronts.instance.daemon().wait_for_line("certificate is in force");
    let chain = fronts.instance.path("chain.pem").display().to_string();
    let (port, ca) = (fronts.tls.to_string(), format!("+tls-ca={chain}"));
    let all = ["@127.0.0.1", "-p", &port, &ca, "+tls-hostname=dns.sekisho.test", "+tls", BLOCKED];
    let reply = said(&kdig, &all);
    assert!(reply.contains("status: REFUSED"), "the new certificate, the new list: {reply}");
    // A broken file changes nothing.
    std::fs::write(&path, "allow_form = 1\n").unwrap();
    fronts.instance.daemon().signal(Signal::HUP);
    fronts.instance.daemon().wait_for_line("what was in force stays");
    assert!(said(&kdig, &all).contains("status: REFUSED"));
}

#[test]
fn a_flush_is_a_command_and_a_name_that_is_none_is_said() {
    let fronts = fronts("");
    let said = fronts.instance.say(&["flush", "example.com", "--below"]);
    assert!(said.contains("example.com and all names below are asked for anew"), "{said}");
    let said = fronts.instance.say(&["flush", "a..b"]);
    assert!(said.contains("error: `a..b` is not a name"), "{said}");
}

//! Recursion and validation over other people's servers, compared with what BIND and Unbound say of
//! the same tree of zones, and every kind of client served from it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hickory_net::quic::QuicClientStream;
use hickory_net::runtime::TokioRuntimeProvider;
use hickory_net::xfer::{DnsExchange, DnsHandle as _, FirstAnswer as _};
use hickory_proto::op::{
    DnsRequest, DnsRequestOptions, Edns, Message, MessageType, OpCode, Query, ResponseCode,
};
use hickory_proto::rr::{Name, RecordType};
use support::encrypted::{Fronts, NAME};
use support::instance::Instance;
use support::tree::{ROOT, Tools, Tree};
use support::{Daemon, PATIENCE, free_port, peer, world};

/// What is asked: name, type, and whether with CD.
const QUESTIONS: [(&str, RecordType, bool); 44] = [
    ("test", RecordType::SOA, false),
    ("test", RecordType::DNSKEY, false),
    ("www.test", RecordType::A, false),
    ("nobody.test", RecordType::A, false),
    ("good.test", RecordType::DS, false),
    ("plain.test", RecordType::DS, false),
    ("good.test", RecordType::NS, false),
    ("www.good.test", RecordType::A, false),
    ("WWW.Good.test", RecordType::AAAA, false),
    ("www.good.test", RecordType::TXT, false),
    ("nobody.good.test", RecordType::A, false),
    ("ent.good.test", RecordType::A, false),
    ("a.ent.good.test", RecordType::A, false),
    ("x.wild.good.test", RecordType::A, false),
    ("x.wild.good.test", RecordType::AAAA, false),
    ("alias.good.test", RecordType::A, false),
    ("alias.good.test", RecordType::CNAME, false),
    ("chain.good.test", RecordType::AAAA, false),
    ("chain.good.test", RecordType::TXT, false),
    ("out.good.test", RecordType::A, false),
    ("lost.good.test", RecordType::A, false),
    ("mail.good.test", RecordType::MX, false),
    ("svc.good.test", RecordType::HTTPS, false),
    ("www.branch.good.test", RecordType::A, false),
    ("www.below.good.test", RecordType::A, false),
    ("nobody.below.good.test", RecordType::A, false),
    ("www.plain.test", RecordType::A, false),
    ("nobody.plain.test", RecordType::A, false),
    ("alias.plain.test", RecordType::A, false),
    ("lost.plain.test", RecordType::A, false),
    ("www.hashed.test", RecordType::A, false),
    ("nobody.hashed.test", RecordType::A, false),
    ("www.hashed.test", RecordType::TXT, false),
    ("x.wild.hashed.test", RecordType::A, false),
    ("www.glueless.test", RecordType::A, false),
    ("www.lame.test", RecordType::A, false),
    ("www.dead.test", RecordType::A, false),
    ("www.refused.test", RecordType::A, false),
    ("www.expired.test", RecordType::A, false),
    ("www.expired.test", RecordType::A, true),
    ("www.forged.test", RecordType::A, false),
    ("www.forged.test", RecordType::A, true),
    ("www.otherkey.test", RecordType::A, false),
    ("www.stripped.test", RecordType::A, false),
];

/// How a resolver answers: code, AD, and the answer section without signatures.
fn verdict(port: u16, (name, rtype, checking_disabled): (&str, RecordType, bool)) -> String {
    let mut query = Message::new(4711, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.metadata.checking_disabled = checking_disabled;
    query.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), rtype));
    let mut edns = Edns::new();
    edns.set_dnssec_ok(true).set_max_payload(1232);
    query.edns = Some(edns);
    let octets = query.to_vec().unwrap();
    let mut reply = over_udp(port, &octets);
    // A first question may meet servers that are not known yet.
    for _ in 0..2 {
        if reply.metadata.response_code == ResponseCode::ServFail {
            reply = over_udp(port, &octets);
        }
    }
    if reply.metadata.truncation {
        reply = over_tcp(port, &octets);
    }
    let code = reply.metadata.response_code;
    if code == ResponseCode::ServFail {
        return code.to_string();
    }
    let unsigned = reply.answers.iter().filter(|r| r.record_type() != RecordType::RRSIG);
    let mut records: Vec<String> = unsigned
        .map(|r| format!("{} {} {}", r.name.to_lowercase(), r.record_type(), r.data))
        .collect();
    records.sort();
    let secure = if reply.metadata.authentic_data { " ad" } else { "" };
    format!("{code}{secure} {}", records.join("; "))
}

fn over_udp(port: u16, query: &[u8]) -> Message {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket.send_to(query, ("127.0.0.1", port)).unwrap();
    let mut reply = [0; 65_535];
    let length = socket.recv(&mut reply).expect("it answers");
    Message::from_vec(&reply[..length]).unwrap()
}

fn over_tcp(port: u16, query: &[u8]) -> Message {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let length = u16::try_from(query.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length, query].concat()).unwrap();
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut reply).unwrap();
    Message::from_vec(&reply).unwrap()
}

fn configuration(tree: &Tree) -> String {
    format!(
        "[upstream]\nmode = 'recursion'\nroots = ['{ROOT}']\nallow_servers = ['127.0.0.0/8']\n\
         ipv6 = 'off'\n[resolver.local_zones]\nenabled = false\n\
         [dnssec]\nvalidate = true\ntrust_anchors = '{}'\n",
        tree.anchor
    )
}

fn start_named(named: &Path, folder: &Path, tree: &Tree, port: u16) -> Daemon {
    let key: Vec<&str> = tree.anchor.split_whitespace().collect();
    let at = key.iter().position(|word| *word == "DNSKEY").unwrap();
    let (numbers, key) = (&key[at + 1..at + 4], key[at + 4..].concat());
    let text = format!(
        "options {{ directory \"{0}\"; pid-file none; session-keyfile none; recursion yes;\n\
         listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
         dnssec-validation yes; empty-zones-enable no; notify no; }};\ncontrols {{ }};\n\
         trust-anchors {{ \".\" static-key {1} \"{key}\"; }};\n\
         zone \".\" {{ type hint; file \"{0}/hints\"; }};\n",
        folder.display(),
        numbers.join(" "),
    );
    let configuration = folder.join("resolver.conf");
    std::fs::write(&configuration, text).unwrap();
    let mut command = Command::new(named);
    command.args(["-4", "-g", "-n", "1", "-c"]).arg(configuration);
    let mut daemon = Daemon::start(command);
    daemon.wait_for_line("running");
    daemon
}

fn start_unbound(unbound: &Path, folder: &Path, tree: &Tree, port: u16) -> Daemon {
    let text = format!(
        "server:\n directory: \"{0}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n\
         interface: 127.0.0.1\n port: {port}\n do-ip6: no\n do-not-query-localhost: no\n\
         root-hints: \"{0}/hints\"\n module-config: \"validator iterator\"\n use-syslog: no\n\
         trust-anchor: \"{1}\"\n local-zone: \"test.\" nodefault\n harden-dnssec-stripped: yes\n\
         val-clean-additional: no\nremote-control:\n control-enable: no\n",
        folder.display(),
        tree.anchor.split_whitespace().collect::<Vec<_>>().join(" ")
    );
    let configuration = folder.join("unbound.conf");
    std::fs::write(&configuration, text).unwrap();
    let mut command = Command::new(unbound);
    command.args(["-d", "-p", "-c"]).arg(configuration);
    let mut daemon = Daemon::start(command);
    daemon.wait_for_line("start of service");
    daemon
}

#[test]
fn we_resolve_and_validate_as_bind_and_unbound_do() {
    let (Some(named), Some(unbound), Some(tools)) = (peer("named"), peer("unbound"), Tools::find())
    else {
        return;
    };
    if !world::in_own_network("we_resolve_and_validate_as_bind_and_unbound_do") {
        return;
    }
    let folder = support::temporary_folder();
    let tree = Tree::start(&tools, folder.path());
    let hints = format!(". 3600000 NS ns.root-server.\nns.root-server. 3600000 A {ROOT}\n");
    std::fs::write(folder.path().join("hints"), hints).unwrap();
    let instance = Instance::new(&configuration(&tree)).start();
    let (port1, port2) = (free_port(), free_port());
    let _named = start_named(&named, folder.path(), &tree, port1);
    let _unbound = start_unbound(&unbound, folder.path(), &tree, port2);
    let mut different = String::new();
    for question in QUESTIONS {
        let ours = verdict(instance.port(), question);
        for (peer, port) in [("named", port1), ("unbound", port2)] {
            let theirs = verdict(port, question);
            if ours != theirs {
                writeln!(different, "{question:?}:\n  we {ours}\n  {peer} {theirs}").unwrap();
            }
        }
    }
    assert!(different.is_empty(), "{different}");
    // A loop of aliases has no right answer; nobody may hang on it, or call it NXDOMAIN.
    let looped = verdict(instance.port(), ("loop1.good.test", RecordType::A, false));
    assert!(looped.starts_with(&ResponseCode::ServFail.to_string()), "{looped}");
    let why = extended_error(instance.port(), "www.expired.test");
    assert!(why.contains("has expired"), "{why}");
    let why = extended_error(instance.port(), "www.stripped.test");
    assert!(why.contains("no signature"), "{why}");
}

/// The text of the extended error that comes with a SERVFAIL: what is printable of the reply.
fn extended_error(port: u16, name: &str) -> String {
    let mut query = Message::new(1, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_ascii(format!("{name}.")).unwrap(), RecordType::A));
    query.edns = Some(Edns::new());
    let reply = over_udp(port, &query.to_vec().unwrap()).to_vec().unwrap();
    let shown = |c: &char| c.is_ascii_graphic() || *c == ' ';
    reply.iter().map(|octet| char::from(*octet)).filter(shown).collect()
}

/// What a program prints.
fn said(program: &Path, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

#[test]
fn clients_of_every_transport_are_served_by_recursion() {
    let (Some(dig), Some(kdig), Some(tools)) = (peer("dig"), peer("kdig"), Tools::find()) else {
        return;
    };
    if !world::in_own_network("clients_of_every_transport_are_served_by_recursion") {
        return;
    }
    let folder = support::temporary_folder();
    let tree = Tree::start(&tools, folder.path());
    let fronts = Fronts::over(&configuration(&tree));
    let port = fronts.instance.port().to_string();
    for transport in ["+notcp", "+tcp"] {
        let all = ["@127.0.0.1", "-p", &port, transport, "+dnssec", "www.good.test"];
        let reply = said(&dig, &all);
        assert!(reply.contains("198.51.100.2") && reply.contains(" ad;"), "{transport}: {reply}");
    }
    let ca = format!("+tls-ca={}", fronts.instance.path("chain.pem").display());
    let hostname = format!("+tls-hostname={NAME}");
    for (port, transport) in [(fronts.tls, "+tls"), (fronts.https, "+https")] {
        let port = port.to_string();
        let all =
            ["@127.0.0.1", "-p", &port, &ca, &hostname, transport, "+dnssec", "www.hashed.test"];
        let reply = said(&kdig, &all);
        assert!(reply.contains("198.51.100.2") && reply.contains(" ad;"), "{transport}: {reply}");
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let reply = runtime.block_on(over_quic(&fronts, "www.lame.test."));
    assert_eq!(reply.answers[0].data.to_string(), "198.51.100.2");
}

async fn over_quic(fronts: &Fronts, name: &str) -> Message {
    let address = SocketAddr::from(([127, 0, 0, 1], fronts.quic));
    let stream = QuicClientStream::builder()
        .crypto_config(fronts.client(b"doq"))
        .build(address, Arc::from(NAME));
    let (exchange, background) =
        DnsExchange::<TokioRuntimeProvider>::from_stream(stream.await.unwrap());
    tokio::spawn(background);
    let mut query = Message::new(0, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_ascii(name).unwrap(), RecordType::A));
    let request = DnsRequest::new(query, DnsRequestOptions::default());
    exchange.send(request).first_answer().await.unwrap().into_message()
}

#[test]
fn why_resolves_what_rules_depend_on_and_says_who_gets_around_them() {
    let Some(tools) = Tools::find() else { return };
    if !world::in_own_network("why_resolves_what_rules_depend_on_and_says_who_gets_around_them") {
        return;
    }
    let folder = support::temporary_folder();
    let tree = Tree::start(&tools, folder.path());
    let zone = "[[zone]]\nfile = 'foreign.rpz'\n";
    let instance = Instance::new(&(configuration(&tree) + zone));
    instance.write("zones/foreign.rpz", "32.2.100.51.198.rpz-ip CNAME .\n");
    let instance = instance.start();
    let why = instance.json(&["why", "alias.good.test"]);
    assert_eq!(why["outcome"]["action"], "nxdomain", "{why}");
    let decided = &why["matches"][0];
    let says = ["zone", "trigger", "behind"].map(|key| decided[key].as_str().unwrap_or_default());
    assert_eq!(says, ["foreign.rpz", "198.51.100.2", "www.good.test"], "{why}");
    assert_eq!(why["answer"][1]["addresses"][0], "198.51.100.2", "{why}");
    let changes = why["changes"].to_string();
    assert!(changes.contains("sets DO") && changes.contains("leaves RD out"), "{changes}");
    for (bit, reason) in [("--dnssec", "DO=1 saves"), ("--no-recursion", "RD=0 saves")] {
        let why = instance.json(&["why", "alias.good.test", bit]);
        assert_eq!(why["outcome"]["action"], "resolved", "{why}");
        assert!(why["matches"][0]["reason"].as_str().unwrap().starts_with(reason), "{why}");
    }
    let why = instance.json(&["why", "alias.good.test", "--no-resolve"]);
    assert!(why["matches"].as_array().unwrap().is_empty(), "{why}");
    assert!(why["missing"][0].as_str().unwrap().contains("not resolved"), "{why}");
    let said = instance.say(&["why", "alias.good.test", "--transport", "tcp", "--type", "A"]);
    assert!(said.contains("198.51.100.2 for www.good.test"), "{said}");
}

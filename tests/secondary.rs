//! Policy zones of other publishers: named and knotd as primaries of our daemon, with TSIG, NOTIFY,
//! changes and TLS, and a web server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use hickory_proto::op::ResponseCode;
use rustix::process::Signal;
use support::instance::Instance;
use support::{Daemon, free_port, peer, temporary_folder};
use tempfile::TempDir;

const SECRET: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A policy zone as a master file: it blocks `blocked0.test` up to the serial.
fn zone_text(serial: u32) -> String {
    let mut text =
        format!("$TTL 60\n@ SOA ns.test. host.test. {serial} 3600 600 86400 60\n@ NS ns.test.\n");
    for at in 0..=serial {
        writeln!(text, "blocked{at}.test CNAME .").unwrap();
    }
    // Enough that the changes are less than the zone.
    for at in 0..500 {
        writeln!(text, "listed{at}.test CNAME .").unwrap();
    }
    text
}

/// Another server with the zone `vendor.rpz`.
struct Primary {
    daemon: Daemon,
    folder: TempDir,
    tls: Option<(u16, PathBuf)>,
}

impl Primary {
    fn write(&self, serial: u32) {
        std::fs::write(self.folder.path().join("vendor.rpz"), zone_text(serial)).unwrap();
    }

    /// A new version, which it tells us of.
    fn change(&mut self, serial: u32) {
        self.write(serial);
        self.daemon.signal(Signal::HUP);
    }

    fn named(named: &Path, port: u16, notified: u16) -> Self {
        let folder = temporary_folder();
        std::fs::write(folder.path().join("vendor.rpz"), zone_text(1)).unwrap();
        let made = rcgen::generate_simple_self_signed(["xfr.test".to_owned()]).unwrap();
        let (chain, key) = (folder.path().join("chain.pem"), folder.path().join("key.pem"));
        std::fs::write(&chain, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let (dir, tls_port) = (folder.path().display(), free_port());
        let (chain_shown, key_shown) = (chain.display(), key.display());
        let config = format!(
            "key \"transfer.key\" {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};
             tls xot {{ cert-file \"{chain_shown}\"; key-file \"{key_shown}\"; }};
             controls {{ }};
             options {{ directory \"{dir}\"; listen-on port {port} {{ 127.0.0.1; }};
               listen-on port {tls_port} tls xot {{ 127.0.0.1; }};
               listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion no;
               dnssec-validation no; notify explicit; notify-delay 0; }};
             zone \"vendor.rpz\" {{ type primary; file \"vendor.rpz\"; ixfr-from-differences yes;
               check-names ignore; also-notify {{ 127.0.0.1 port {notified} key transfer.key; }};
               allow-transfer {{ key transfer.key; }}; }};"
        );
        let path = folder.path().join("named.conf");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(named);
        command.arg("-g").arg("-c").arg(&path).args(["-n", "1"]);
        let mut daemon = Daemon::start(command);
        daemon.wait_for_line("all zones loaded");
        Self { daemon, folder, tls: Some((tls_port, chain)) }
    }

    fn knotd(knotd: &Path, port: u16, notified: u16) -> Self {
        let folder = temporary_folder();
        std::fs::write(folder.path().join("vendor.rpz"), zone_text(1)).unwrap();
        let dir = folder.path().display();
        let config = format!(
            "server:\n  rundir: {dir}\n  listen: 127.0.0.1@{port}\n\
             database:\n  storage: {dir}\n\
             log:\n  - target: stderr\n    any: info\n\
             key:\n  - id: transfer.key\n    algorithm: hmac-sha256\n    secret: {SECRET}\n\
             remote:\n  - id: ours\n    address: 127.0.0.1@{notified}\n    key: transfer.key\n\
             acl:\n  - id: ours\n    key: transfer.key\n    action: transfer\n\
             zone:\n  - domain: vendor.rpz\n    storage: {dir}\n    file: vendor.rpz\n    \
             zonefile-load: difference\n    zonefile-sync: -1\n    journal-content: changes\n    \
             notify: ours\n    acl: ours\n    semantic-checks: off\n"
        );
        let path = folder.path().join("knot.conf");
        std::fs::write(&path, config).unwrap();
        let mut command = Command::new(knotd);
        command.arg("-c").arg(&path);
        let mut daemon = Daemon::start(command);
        daemon.wait_for_line("server started");
        Self { daemon, folder, tls: None }
    }
}

/// Our daemon with the zone from these primaries.
fn secondary(zone: &str) -> Instance {
    let text = format!(
        "[[key]]\nname = 'transfer.key'\nfile = 'KEY'\n\
         [[zone]]\nname = 'vendor.rpz'\nstanding = 'first'\noptions = 'ours'\n{zone}\n"
    );
    let instance = Instance::new("");
    let path = instance.path("transfer.key");
    std::fs::write(&path, SECRET).unwrap();
    let configuration = std::fs::read_to_string(instance.path("sekisho.toml")).unwrap();
    let text = text.replace("KEY", &path.display().to_string());
    instance.write("sekisho.toml", &(configuration + &text));
    instance
}

/// Waits for the next version and gives the line that tells of it.
fn next_version(instance: &mut Instance) -> String {
    let line = instance.daemon().wait_for_line("zone transferred");
    instance.daemon().wait_for_line("the version is in force");
    line
}

fn is_blocked(instance: &Instance, name: &str) -> bool {
    instance.code(name) == ResponseCode::NXDomain
}

/// The whole zone, a change that is told, and a restart without the primary.
fn follow(mut primary: Primary, mut ours: Instance) {
    ours.restart();
    let line = next_version(&mut ours);
    assert!(line.contains("axfr"), "{line}");
    assert!(is_blocked(&ours, "blocked1.test") && !is_blocked(&ours, "blocked2.test"));

    primary.change(2);
    let line = next_version(&mut ours);
    assert!(line.contains("ixfr"), "{line}");
    assert!(is_blocked(&ours, "blocked2.test"));
    let zones = ours.json(&["zones"]);
    let zone = zones.as_array().unwrap().iter().find(|zone| zone["name"] == "vendor.rpz").unwrap();
    assert_eq!((&zone["serial"], &zone["rules"]), (&2.into(), &503.into()), "{zone}");
    assert_eq!(zone["secondary"]["state"], "current", "{zone}");

    drop(primary);
    ours.restart();
    assert!(is_blocked(&ours, "blocked2.test"), "the last version is in force at once");
    let said = ours.say(&["zones"]);
    assert!(said.contains("from elsewhere"), "{said}");
}

#[test]
fn named_hands_us_a_zone_and_its_changes() {
    let Some(named) = peer("named") else { return };
    let port = free_port();
    let ours = secondary(&format!("primaries = '127.0.0.1:{port}'\nkey = 'transfer.key'"));
    follow(Primary::named(&named, port, ours.port()), ours);
}

#[test]
fn knotd_hands_us_a_zone_and_its_changes() {
    let Some(knotd) = peer("knotd") else { return };
    let port = free_port();
    let ours = secondary(&format!("primaries = '127.0.0.1:{port}'\nkey = 'transfer.key'"));
    follow(Primary::knotd(&knotd, port, ours.port()), ours);
}

#[test]
fn named_hands_us_a_zone_over_tls() {
    let Some(named) = peer("named") else { return };
    let notified = free_port();
    let primary = Primary::named(&named, free_port(), notified);
    let (port, chain) = primary.tls.clone().unwrap();
    let mut ours = secondary(&format!(
        "primaries = 'tls://127.0.0.1:{port}@xfr.test'\nkey = 'transfer.key'\nca = '{}'",
        chain.display()
    ));
    ours.restart();
    let line = next_version(&mut ours);
    assert!(line.contains("axfr") && line.contains("tls://"), "{line}");
    assert!(is_blocked(&ours, "blocked1.test"));
}

#[test]
fn a_primary_without_our_key_or_without_the_zone_brings_nothing_and_the_file_stays() {
    let Some(named) = peer("named") else { return };
    let port = free_port();
    let mut ours = secondary(&format!("primaries = '127.0.0.1:{port}'\nfile = 'vendor.rpz'"));
    std::fs::write(ours.path("zones/vendor.rpz"), zone_text(0)).unwrap();
    let _primary = Primary::named(&named, port, ours.port());
    ours.restart();
    ours.daemon().wait_for_line("the zone is not refreshed");
    assert!(is_blocked(&ours, "blocked0.test"), "what the file holds is in force");
    let said = ours.say(&["status"]);
    assert!(said.contains("zone vendor.rpz: no version came yet, and udp://127.0.0.1"), "{said}");
    assert!(said.contains("the primary answers REFUSED"), "{said}");
}

/// Answers each request with the zone.
fn web_server() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 4096];
            let _ = stream.read(&mut request);
            let body = zone_text(3);
            let head = format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nETag: \"3\"\r\nConnection: close\r\n\r\n",
                body.len()
            );
            let _ = stream.write_all((head + &body).as_bytes());
        }
    });
    port
}

#[test]
fn a_zone_comes_from_a_web_server() {
    let port = web_server();
    let mut ours = secondary(&format!("url = 'http://127.0.0.1:{port}/vendor.rpz'"));
    ours.restart();
    let line = next_version(&mut ours);
    assert!(line.contains("http"), "{line}");
    assert!(is_blocked(&ours, "blocked3.test"));
}

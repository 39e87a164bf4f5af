//! Others take our zones by transfer: BIND, Unbound, PowerDNS Recursor and Knot DNS as they come,
//! through rounds of additions and removals and restarts of either side, and then say what our
//! resolver says. And the tools people try first, `dig` and `kdig`, on zones of all sizes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fmt::Write as _;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use support::instance::{Instance, addresses};
use support::{Daemon, PATIENCE, peer, world};

/// Where each server answers, in a network of the test's own. BIND listens only on addresses that
/// an interface has.
const NAMED: &str = "127.0.0.1:5301";
const UNBOUND: &str = "127.0.2.2:53";
const PDNS: &str = "127.0.2.3:53";
const KNOT: &str = "127.0.2.4:53";
/// Whence everybody asks on loopback.
const HOME: &str = "127.0.0.1";

/// Names on the list at a time, and how many go and come in a round.
const LISTED: usize = 3_000;
const STEP: usize = 100;
/// Names asked of each server after the last round, and on the way.
const NAMES_AT_THE_END: usize = 5_000;
const NAMES_ON_THE_WAY: usize = 200;

/// Every secondary with a key, by name. Unbound knows no keys.
const KEYS: [&str; 3] = ["named", "pdns", "knot"];

fn secret(name: &str) -> String {
    data_encoding::BASE64.encode(format!("{name:-<32}").as_bytes())
}

/// The list of a round: a window over numbered names that moves on, and a name of the round's own.
fn list(round: usize) -> String {
    let mut text = format!("round-{round}.marker.net\n");
    for number in round * STEP..round * STEP + LISTED {
        writeln!(text, "evil-{number}.com").unwrap();
    }
    text
}

/// Names that were, are and will be listed, below such names, and others.
fn names(count: usize, rounds: usize) -> Vec<String> {
    let span = LISTED + (rounds + 2) * STEP;
    let name = |at: usize| {
        let number = at * 7919 % span;
        match at % 3 {
            0 => format!("evil-{number}.com"),
            1 => format!("www.evil-{number}.com"),
            _ => format!("fine-{number}.org"),
        }
    };
    (0..count).map(name).collect()
}

/// An instance with a list, keys and secondaries; not started. `[publish.transfer]` has these
/// lines as well.
fn instance(transfer: &str) -> Instance {
    let mut text = format!(
        "[upstream]\nmode = 'recursion'\nroots = ['{}']\nallow_servers = ['127.0.0.0/8']\n\
         [dnssec]\nvalidate = false\n[publish.transfer]\ninterval = '0s'\ninterval_large = '0s'\n\
         {transfer}[[secondary]]\nname = 'unbound'\naddress = '{UNBOUND}'\nfrom = ['{HOME}']\n",
        world::ROOT
    );
    for (name, address) in [("named", NAMED), ("pdns", PDNS), ("knot", KNOT)] {
        let notify = name != "pdns";
        write!(
            text,
            "[[key]]\nname = '{name}.key'\nfile = 'KEYS/{name}.key'\n\
             [[secondary]]\nname = '{name}'\naddress = '{address}'\nkey = '{name}.key'\n\
             notify = {notify}\n"
        )
        .unwrap();
    }
    let instance = Instance::new(&text);
    for name in KEYS {
        let file = format!("{name}.key");
        instance.write(&file, &secret(name));
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(instance.path(&file), private).unwrap();
    }
    support::encrypted::renew_certificate(&instance);
    let path = instance.path("sekisho.toml");
    let folder = path.parent().unwrap().display().to_string();
    instance.write("list.txt", &list(0));
    let text = std::fs::read_to_string(&path).unwrap().replace("KEYS", &folder);
    let source = format!(
        "[[source]]\nid = 'mine'\nurl = '{folder}/list.txt'\nformat = 'domains'\n\
         trust = 'operator'\n"
    );
    std::fs::write(&path, text + &source).unwrap();
    instance
}

/// The published zones in order of precedence.
fn published(instance: &Instance) -> Vec<String> {
    let zones = instance.json(&["zones"]);
    let zones = zones.as_array().unwrap().iter().filter(|zone| !zone["published"].is_null());
    zones.map(|zone| zone["name"].as_str().unwrap().to_owned()).collect()
}

/// A server of another project, with what starts it again.
struct Peer {
    program: PathBuf,
    arguments: Vec<String>,
    ready: &'static str,
    address: SocketAddr,
    daemon: Option<Daemon>,
}

impl Peer {
    fn start(&mut self) {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        let mut daemon = Daemon::start(command);
        daemon.wait_for_line(self.ready);
        self.daemon = Some(daemon);
    }

    fn stop(&mut self) {
        self.daemon = None;
    }
}

fn hints() -> String {
    format!(". 3600000 NS a.root.world.\na.root.world. 3600000 A {}\n", world::ROOT)
}

fn folder_for(folder: &Path, name: &str) -> PathBuf {
    let own = folder.join(name);
    std::fs::create_dir(&own).unwrap();
    std::fs::write(own.join("hints"), hints()).unwrap();
    own
}

fn named(program: PathBuf, folder: &Path, zones: &[String], port: u16) -> Peer {
    let own = folder_for(folder, "named");
    let policy: String =
        zones.iter().map(|name| format!("zone \"{name}\" min-update-interval 1; ")).collect();
    let address: SocketAddr = NAMED.parse().unwrap();
    let mut text = format!(
        "key \"named.key\" {{ algorithm hmac-sha256; secret \"{1}\"; }};\n\
         options {{ directory \"{0}\"; pid-file none; session-keyfile none; recursion yes;\n\
         listen-on port {3} {{ {2}; }}; listen-on-v6 {{ none; }};\n\
         dnssec-validation no; empty-zones-enable no; notify no; serial-query-rate 1000;\n\
         response-policy {{ {policy} }} break-dnssec yes qname-wait-recurse no recursive-only no;\n\
         }};\ncontrols {{ }};\nzone \".\" {{ type hint; file \"{0}/hints\"; }};\n",
        own.display(),
        secret("named"),
        address.ip(),
        address.port(),
    );
    for name in zones {
        writeln!(
            text,
            "zone \"{name}\" {{ type secondary; file \"{name}.db\"; \
             primaries {{ {HOME} port {port} key \"named.key\"; }}; }};"
        )
        .unwrap();
    }
    let path = own.join("named.conf");
    std::fs::write(&path, text).unwrap();
    let arguments = ["-g", "-n", "2", "-c", path.to_str().unwrap()].map(str::to_owned).to_vec();
    Peer { program, arguments, ready: "running", address, daemon: None }
}

fn unbound(program: PathBuf, folder: &Path, zones: &[String], port: u16) -> Peer {
    let own = folder_for(folder, "unbound");
    let address: SocketAddr = UNBOUND.parse().unwrap();
    let mut text = format!(
        "server:\n directory: \"{0}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n\
         interface: {1}\n port: 53\n do-ip6: no\n do-not-query-localhost: no\n\
         root-hints: \"{0}/hints\"\n module-config: \"respip iterator\"\n use-syslog: no\n\
         verbosity: 1\n log-queries: no\n local-zone: \"test.\" nodefault\n\
         target-fetch-policy: \"0 0 0 0 0\"\nremote-control:\n control-enable: no\n",
        own.display(),
        address.ip()
    );
    for name in zones {
        write!(
            text,
            "rpz:\n name: \"{name}\"\n zonefile: \"{name}.zone\"\n primary: {HOME}@{port}\n \
             allow-notify: {HOME}\n"
        )
        .unwrap();
    }
    let path = own.join("unbound.conf");
    std::fs::write(&path, text).unwrap();
    let arguments = ["-d", "-p", "-c", path.to_str().unwrap()].map(str::to_owned).to_vec();
    Peer { program, arguments, ready: "start of service", address, daemon: None }
}

fn pdns(program: PathBuf, folder: &Path, zones: &[String], port: u16) -> Peer {
    let own = folder_for(folder, "pdns");
    let address: SocketAddr = PDNS.parse().unwrap();
    let mut lua = String::new();
    for name in zones {
        writeln!(
            lua,
            "rpzPrimary({{'{HOME}:{port}'}}, '{name}', {{tsigname='pdns.key', \
             tsigalgo='hmac-sha256', tsigsecret='{}', refresh=1}})",
            secret("pdns")
        )
        .unwrap();
    }
    std::fs::write(own.join("rpz.lua"), lua).unwrap();
    let own = own.display();
    let arguments = [
        format!("--config-dir={own}"),
        format!("--socket-dir={own}"),
        format!("--hint-file={own}/hints"),
        format!("--lua-config-file={own}/rpz.lua"),
        format!("--local-address={}", address.ip()),
        "--local-port=53".to_owned(),
        "--daemon=no".to_owned(),
        "--disable-packetcache=yes".to_owned(),
        "--dont-query=".to_owned(),
        "--dnssec=off".to_owned(),
        "--qname-minimization=no".to_owned(),
        "--security-poll-suffix=".to_owned(),
        "--serve-rfc1918=no".to_owned(),
        "--threads=1".to_owned(),
    ];
    Peer {
        program,
        arguments: arguments.to_vec(),
        ready: "Enabled multiplexer",
        address,
        daemon: None,
    }
}

fn knot(program: PathBuf, folder: &Path, zones: &[String], port: u16) -> Peer {
    let own = folder_for(folder, "knot");
    let address: SocketAddr = KNOT.parse().unwrap();
    let mut text = format!(
        "server:\n  rundir: \"{0}\"\n  listen: {1}@53\nlog:\n  - target: stderr\n    any: info\n\
         database:\n  storage: \"{0}\"\n\
         key:\n  - id: knot.key\n    algorithm: hmac-sha256\n    secret: \"{2}\"\n\
         remote:\n  - id: primary\n    address: {HOME}@{port}\n    key: knot.key\n\
         acl:\n  - id: news\n    address: {HOME}\n    key: knot.key\n    action: notify\n\
         \x20 - id: all\n    address: 127.0.0.0/8\n    action: transfer\n\
         template:\n  - id: default\n    storage: \"{0}\"\n    master: primary\n    acl: [news, all]\n\
         zone:\n",
        own.display(),
        address.ip(),
        secret("knot")
    );
    for name in zones {
        writeln!(text, "  - domain: {name}").unwrap();
    }
    let path = own.join("knot.conf");
    std::fs::write(&path, text).unwrap();
    let arguments = ["-c", path.to_str().unwrap()].map(str::to_owned).to_vec();
    Peer { program, arguments, ready: "server started", address, daemon: None }
}

/// What a server says of a name: code and addresses.
fn verdict(server: SocketAddr, name: &str) -> String {
    let socket = UdpSocket::bind((HOME, 0)).unwrap();
    socket.set_read_timeout(Some(PATIENCE / 6)).unwrap();
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_str(&format!("{name}.")).unwrap(), RecordType::A));
    let query = query.to_vec().unwrap();
    let mut reply = [0; 4096];
    // A server remembers a failure for some seconds.
    let start = tokio::time::Instant::now();
    while start.elapsed() < PATIENCE / 3 {
        socket.send_to(&query, server).unwrap();
        if let Ok(length) = socket.recv(&mut reply) {
            let reply = Message::from_vec(&reply[..length]).unwrap();
            // A datagram of the small Internet was lost: that is no verdict.
            if reply.metadata.response_code == ResponseCode::ServFail {
                continue;
            }
            let mut found = addresses(&reply);
            found.sort();
            return format!("{} {}", reply.metadata.response_code, found.join(" "));
        }
    }
    "no answer".to_owned()
}

fn verdicts(server: SocketAddr, names: &[String]) -> Vec<String> {
    names.iter().map(|name| verdict(server, name)).collect()
}

fn assert_same(who: SocketAddr, names: &[String], ours: &[String]) {
    let theirs = verdicts(who, names);
    let different: Vec<String> = names
        .iter()
        .zip(ours.iter().zip(&theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(name, (ours, theirs))| format!("{name}: we {ours}, they {theirs}"))
        .collect();
    let first = different.iter().take(10).cloned().collect::<Vec<_>>().join("\n");
    assert!(different.is_empty(), "{who}: {} of {}:\n{first}", different.len(), names.len());
}

/// Asks again until it is so. Each look takes its time, so nothing needs to sleep.
#[track_caller]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = tokio::time::Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE * 2, "not in time: {what}");
    }
}

/// What is known of a secondary with a zone.
fn known(instance: &Instance, zone: &str, secondary: &str) -> serde_json::Value {
    let zones = instance.json(&["zones"]);
    let zones = zones.as_array().unwrap();
    let found = zones.iter().find(|held| held["name"] == zone).unwrap();
    let secondaries = found["published"]["secondaries"].as_array().unwrap().clone();
    secondaries.into_iter().find(|held| held["name"] == secondary).unwrap()
}

fn kind(instance: &Instance, secondary: &str) -> String {
    let known = known(instance, "lists.rpz", secondary);
    known["transfer"]["kind"].as_str().unwrap_or("none").to_owned()
}

/// Puts the list of a round in force and waits until the secondaries that enforce it do so.
fn round(instance: &mut Instance, peers: &[&Peer], round: usize) {
    instance.write("list.txt", &list(round));
    instance.say(&["refresh", "mine"]);
    instance.daemon().wait_for_line("published zone=lists.rpz");
    let marker = format!("round-{round}.marker.net");
    for peer in peers {
        until(&format!("{} enforces {marker}", peer.address), || {
            verdict(peer.address, &marker).starts_with("Non-Existent")
        });
    }
    let ours = SocketAddr::from_str(&format!("{HOME}:{}", instance.port())).unwrap();
    let names = names(NAMES_ON_THE_WAY, round);
    let said = verdicts(ours, &names);
    peers.iter().for_each(|peer| assert_same(peer.address, &names, &said));
}

fn compare(test: &str, rounds: usize) {
    let programs = ["named", "unbound", "pdns_recursor", "knotd", "kdig"].map(peer);
    let [Some(p1), Some(p2), Some(p3), Some(p4), Some(kdig)] = programs else { return };
    if !world::in_own_network(test) {
        return;
    }
    world::start();
    let folder = support::temporary_folder();
    let mut instance = instance("").start();
    instance.daemon().wait_for_line("published zone=lists.rpz");
    let zones = published(&instance);
    assert!(zones.iter().any(|name| name == "lists.rpz"), "{zones:?}");
    let (path, port) = (folder.path(), instance.port());
    let mut named = named(p1, path, &zones, port);
    let mut unbound = unbound(p2, path, &zones, port);
    let mut pdns = pdns(p3, path, &zones, port);
    let mut knot = knot(p4, path, &zones, port);
    [&mut named, &mut unbound, &mut pdns, &mut knot].into_iter().for_each(Peer::start);
    for peer in [&named, &unbound, &pdns] {
        until(&format!("{} has the first version", peer.address), || {
            verdict(peer.address, "round-0.marker.net").starts_with("Non-Existent")
        });
    }
    // A server that is asked before it knows the root may fail and remember that for seconds.
    let ours = SocketAddr::from_str(&format!("{HOME}:{port}")).unwrap();
    for server in [ours, named.address, unbound.address, pdns.address] {
        for top in ["com", "org", "net"] {
            let name = format!("first.alone.{top}");
            until(&format!("{server} answers {name}"), || verdict(server, &name) != "no answer");
        }
    }
    until("knotd has the first version", || kind(&instance, "knot") == "full");
    for secondary in ["named", "unbound", "pdns", "knot"] {
        assert_eq!(kind(&instance, secondary), "full", "{secondary}");
    }

    let half = rounds / 2;
    for number in 1..=half {
        round(&mut instance, &[&named, &unbound, &pdns], number);
    }
    until("knotd has changes", || kind(&instance, "knot") == "changes");
    for secondary in ["named", "pdns"] {
        assert_eq!(kind(&instance, secondary), "changes", "{secondary}");
    }
    // Whoever was away, on either side, goes on with changes.
    named.stop();
    unbound.stop();
    instance.restart();
    named.start();
    unbound.start();
    for number in half + 1..=rounds {
        round(&mut instance, &[&named, &unbound, &pdns], number);
    }
    for secondary in ["named", "pdns"] {
        assert_eq!(kind(&instance, secondary), "changes", "{secondary}");
    }
    let serial = known(&instance, "lists.rpz", "named")["offered"].clone();
    until("knotd has the last version", || {
        known(&instance, "lists.rpz", "knot")["serial"] == serial
    });

    let names = names(NAMES_AT_THE_END, rounds);
    let said = verdicts(ours, &names);
    let blocked = said.iter().filter(|v| v.starts_with("Non-Existent")).count();
    assert!(blocked > NAMES_AT_THE_END / 3 && blocked < NAMES_AT_THE_END * 2 / 3, "{blocked}");
    [&named, &unbound, &pdns].into_iter().for_each(|p| assert_same(p.address, &names, &said));
    // A store holds record for record what we hand out.
    let stored = records(&kdig, KNOT, None);
    let handed = records(&kdig, &format!("{HOME}:{port}"), Some("knot"));
    assert_eq!(stored, handed);
    assert!(stored.len() > 2 * LISTED);
}

/// The records of `lists.rpz`, sorted.
fn records(kdig: &Path, server: &str, key: Option<&str>) -> Vec<String> {
    let (address, port) = server.rsplit_once(':').unwrap();
    let mut command = Command::new(kdig);
    if let Some(name) = key {
        command.args(["-y", &format!("hmac-sha256:{name}.key:{}", secret(name))]);
    }
    command.args([&format!("@{address}"), "-p", port, "lists.rpz", "AXFR", "+noall", "+answer"]);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let fields = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut records: Vec<String> = text
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with(';') && !line.contains("TSIG"))
        .map(fields)
        .collect();
    records.sort();
    records
}

#[test]
fn four_secondaries_follow_through_rounds_and_restarts() {
    compare("four_secondaries_follow_through_rounds_and_restarts", 6);
}

#[test]
#[ignore = "long: pdns-recursor asks every ten seconds, fifty times"]
fn four_secondaries_follow_through_fifty_rounds() {
    compare("four_secondaries_follow_through_fifty_rounds", 50);
}

/// What `dig` or `kdig` says of a transfer.
fn transfer(tool: &Path, port: u16, key: Option<&str>, question: &[&str]) -> String {
    let mut command = Command::new(tool);
    if let Some(key) = key {
        command.args(["-y", key]);
    }
    command.args(["@127.0.0.1", "-p", &port.to_string(), "lists.rpz"]).args(question);
    let output = command.output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// The answer without comments and signatures.
fn answer(text: &str) -> Vec<&str> {
    text.lines()
        .filter(|line| !line.is_empty() && !line.starts_with(';') && !line.contains("TSIG"))
        .collect()
}

#[test]
fn dig_and_kdig_take_zones_of_all_sizes() {
    let (Some(dig), Some(kdig)) = (peer("dig"), peer("kdig")) else { return };
    let good = format!("hmac-sha256:named.key:{}", secret("named"));
    let wrong = format!("hmac-sha256:named.key:{}", secret("somebody"));
    // Two rules for each name on the list.
    for names in [0, 1, 500, 50_000] {
        let instance = instance("");
        let text: String = (0..names).map(|n| format!("evil-{n}.com\n")).collect();
        instance.write("list.txt", &(text.clone() + "always.com\n"));
        let mut instance = instance.start();
        let line = instance.daemon().wait_for_line("published zone=lists.rpz");
        let field = |name: &str| {
            let from = line.split(name).nth(1).unwrap();
            from.split(' ').next().unwrap().to_owned()
        };
        // Beside those of the list there are rules that keep the zone safe on its own.
        let (first, rules) = (field("serial="), field("rules=").parse::<usize>().unwrap());
        assert!(rules >= 2 * (names + 1), "{line}");
        let port = instance.port();
        for tool in [&dig, &kdig] {
            for key in [None, Some(good.as_str())] {
                let said = transfer(tool, port, key, &["AXFR"]);
                let records = answer(&said);
                // Framed by the SOA, with NS.
                assert_eq!(records.len(), 2 + 1 + rules, "{key:?} {tool:?}");
                for end in [records.first(), records.last()] {
                    let end = end.unwrap();
                    assert!(end.contains("SOA") && end.contains(&first), "{end}");
                }
                assert!(records[1].contains("NS") && records[1].contains("localhost."));
            }
            let said = transfer(tool, port, Some(&wrong), &["AXFR"]);
            assert_eq!(answer(&said), [""; 0], "{said}");
        }
        instance.write("list.txt", &(text + "news.com\n"));
        instance.say(&["refresh", "mine"]);
        instance.daemon().wait_for_line("published zone=lists.rpz");
        let question = format!("IXFR={first}");
        for key in [None, Some(good.as_str())] {
            let said = transfer(&dig, port, key, &[&question]);
            let records = answer(&said);
            let soas = records.iter().filter(|record| record.contains("SOA")).count();
            assert_eq!((soas, records.len()), (4, 8), "{names}: {said}");
        }
    }
}

#[test]
fn transfers_have_addresses_of_their_own_and_tls() {
    let Some(kdig) = peer("kdig") else { return };
    let (plain, tls) = (support::free_port(), support::free_port());
    let mut instance = instance(&format!(
        "listen = ['127.0.0.1:{plain}']\ntls = ['127.0.0.1:{tls}']\n\
         certificate = 'KEYS/chain.pem'\nkey = 'KEYS/key.pem'\n"
    ))
    .start();
    instance.daemon().wait_for_line("published zone=lists.rpz");
    let good = format!("hmac-sha256:named.key:{}", secret("named"));
    let expected = answer(&transfer(&kdig, instance.port(), Some(&good), &["AXFR"])).len();
    assert!(expected > 2 * LISTED);
    for (port, how) in [(plain, vec!["AXFR"]), (tls, vec!["AXFR", "+tls"])] {
        let said = transfer(&kdig, port, Some(&good), &how);
        assert_eq!(answer(&said).len(), expected, "{how:?}: {said}");
    }
    let said = transfer(&kdig, plain, Some(&good), &["SOA", "+notcp"]);
    assert!(answer(&said).iter().any(|line| line.contains("SOA")), "{said}");
    // Other questions have no place there.
    let said = transfer(&kdig, plain, None, &["A", "+notcp"]);
    assert!(said.contains("NOTIMP"), "{said}");
}

/// A server that is told of nothing but the catalog.
fn store(program: PathBuf, folder: &Path, name: &str, key: &str, port: u16) -> Peer {
    let own = folder_for(folder, name);
    let address: SocketAddr = format!("{HOME}:{}", support::free_port()).parse().unwrap();
    let text = format!(
        "key \"{key}.key\" {{ algorithm hmac-sha256; secret \"{1}\"; }};\n\
         options {{ directory \"{0}\"; pid-file none; session-keyfile none; recursion no;\n\
         listen-on port {2} {{ {HOME}; }}; listen-on-v6 {{ none; }}; notify no;\n\
         dnssec-validation no; serial-query-rate 1000; allow-transfer {{ any; }};\n\
         catalog-zones {{ zone \"catalog.rpz\" \
         default-primaries {{ {HOME} port {port} key \"{key}.key\"; }}; }};\n\
         }};\ncontrols {{ }};\nzone \"catalog.rpz\" {{ type secondary; file \"catalog.db\"; \
         primaries {{ {HOME} port {port} key \"{key}.key\"; }}; }};\n",
        own.display(),
        secret(key),
        address.port(),
    );
    let path = own.join("named.conf");
    std::fs::write(&path, text).unwrap();
    let arguments = ["-g", "-n", "1", "-c", path.to_str().unwrap()].map(str::to_owned).to_vec();
    Peer { program, arguments, ready: "running", address, daemon: None }
}

#[test]
fn a_catalog_sets_up_two_servers_of_which_one_is_the_canary() {
    let (Some(named), Some(dig)) = (peer("named"), peer("dig")) else { return };
    let folder = support::temporary_folder();
    let mut instance = instance("catalog = 'catalog.rpz'\ncanary_time = '1h'\n");
    let port = instance.port();
    let mut first = store(named.clone(), folder.path(), "first", "named", port);
    let mut other = store(named, folder.path(), "other", "knot", port);
    let path = instance.path("sekisho.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let text = text
        .replace(
            &format!("address = '{NAMED}'\n"),
            &format!("address = '{}'\ncanary = true\n", first.address),
        )
        .replace(&format!("address = '{KNOT}'\n"), &format!("address = '{}'\n", other.address));
    std::fs::write(&path, text).unwrap();
    instance.restart();
    instance.daemon().wait_for_line("published zone=lists.rpz");
    first.start();
    other.start();
    let serial = |server: SocketAddr| {
        let said = transfer(&dig, server.port(), None, &["SOA", "+short"]);
        said.split_whitespace().nth(2).and_then(|serial| serial.parse::<u32>().ok())
    };
    let offered = |instance: &Instance, who: &str| {
        let known = known(instance, "lists.rpz", who);
        known["offered"].as_u64().and_then(|serial| u32::try_from(serial).ok())
    };
    let start = offered(&instance, "named");
    until("both have what the catalog lists", || {
        start.is_some() && [first.address, other.address].iter().all(|at| serial(*at) == start)
    });

    instance.write("list.txt", &list(1));
    instance.say(&["refresh", "mine"]);
    instance.daemon().wait_for_line("published zone=lists.rpz");
    let news = offered(&instance, "named");
    assert!(news > start && offered(&instance, "knot") == start);
    until("the canary has the news", || serial(first.address) == news);
    assert_eq!(serial(other.address), start, "and the other has not");
    instance.say(&["zones", "promote", "lists.rpz"]);
    until("both have the news", || serial(other.address) == news);

    let said = instance.say(&["zones", "rollback", "lists.rpz", &start.unwrap().to_string()]);
    assert!(said.contains("until `sekisho zones resume lists.rpz`"), "{said}");
    let back = offered(&instance, "knot");
    assert!(back > news && back == offered(&instance, "named"));
    until("both are back", || [first.address, other.address].iter().all(|at| serial(*at) == back));
    for server in [&first, &other] {
        let text = transfer(&dig, server.address.port(), None, &["AXFR"]);
        assert!(text.contains("round-0.marker.net") && !text.contains("round-1.marker.net"));
    }
    instance.say(&["zones", "resume", "lists.rpz"]);
    until("the canary has what is in force", || {
        transfer(&dig, first.address.port(), None, &["AXFR"]).contains("round-1.marker.net")
    });
}

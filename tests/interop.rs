//! What we export is what we enforce: BIND and Unbound load the exported zones and then say what
//! our resolver says, over a small Internet that answers every name.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RecordType};
use support::dice::Dice;
use support::instance::{Instance, addresses};
use support::{Daemon, PATIENCE, peer, shared, world};

/// Names asked of each server.
const NAMES: usize = 10_000;
/// Names of a list of our own, for a checkout that stands alone.
const OWN_NAMES: usize = 5_000;

/// Lists to block, and names to ask: listed, below listed, popular, made up.
struct Material {
    sources: String,
    names: Vec<String>,
}

/// A recorded list: its file, and how it is written.
type Recorded = (&'static str, &'static str);

/// One list with dates, for a test of a minute.
const ONE_LIST: [Recorded; 1] = [("feeds/openphish.tsv.xz", DATED)];
/// Every list, with 1.7 million names.
const ALL_LISTS: [Recorded; 6] = [
    ("feeds/openphish.tsv.xz", DATED),
    ("feeds/tweetfeed.tsv.xz", DATED),
    ("feeds/maltrail.tsv.xz", DATED),
    ("feeds/blp_20260720.txt.xz", "'domains'"),
    ("feeds/shadowwhisperer_20260729.txt.xz", "'domains'"),
    ("feeds/jarelllama_20250320.txt.xz", "'domains'"),
];
const DATED: &str =
    "'csv'\ncsv = { delimiter = \"\\t\", subject = 1, kind = 'name', first_seen = 2 }";
const RANKS: &str = "popularity/tranco10k_20250115.txt.xz";

fn material(instance_folder: &Path, lists: &[Recorded]) -> Material {
    let mut dice = Dice(20_261_124);
    let mut sources = String::new();
    let recorded: Option<Vec<_>> =
        lists.iter().map(|(file, format)| Some((shared(file)?, *format))).collect();
    let (listed, popular): (Vec<String>, Vec<String>) = match (recorded, shared(RANKS)) {
        (Some(recorded), Some(ranks)) => {
            let mut listed = Vec::new();
            for (at, (file, format)) in recorded.iter().enumerate() {
                write!(
                    sources,
                    "[[source]]\nid = 'list{at}'\nurl = '{}'\ntrust = 'operator'\n\
                     format = {format}\n",
                    file.display()
                )
                .unwrap();
                listed.extend(first_column(file));
            }
            write!(
                sources,
                "[[source]]\nid = 'tranco'\nurl = '{}'\nformat = 'ranks'\ntier = 10000\n",
                ranks.display()
            )
            .unwrap();
            (listed, first_column(&ranks))
        }
        _ => {
            let list: Vec<String> =
                (0..OWN_NAMES).map(|n| format!("evil-{n}.site{}.com", n % 97)).collect();
            let path = instance_folder.join("list.txt");
            std::fs::write(&path, list.join("\n")).unwrap();
            write!(
                sources,
                "[[source]]\nid = 'mine'\nurl = '{}'\nformat = 'domains'\ntrust = 'operator'\n",
                path.display()
            )
            .unwrap();
            (list, (0..1000).map(|n| format!("popular-{n}.org")).collect())
        }
    };
    let mut names = Vec::new();
    while names.len() < NAMES {
        let listed = &listed[dice.throw(listed.len())];
        let name = match dice.throw(4) {
            0 => listed.clone(),
            1 => format!("www.{listed}"),
            2 => popular[dice.throw(popular.len())].clone(),
            _ => format!("made-up-{}.example{}.net", dice.throw(1 << 20), dice.throw(500)),
        };
        let is_host = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
        // We answer `.onion` ourselves whatever the zones say (RFC 7686); named asks for it.
        let is_asked_for = !name.ends_with(".onion");
        if name.len() < 200 && is_host && is_asked_for && Name::from_str(&name).is_ok() {
            names.push(name);
        }
    }
    Material { sources, names }
}

/// The first field of every line of a packed list.
fn first_column(path: &Path) -> Vec<String> {
    let output = Command::new("xz").arg("-dc").arg(path).output().expect("xz is there");
    let text = String::from_utf8(output.stdout).expect("lists are UTF-8");
    text.lines().filter_map(|line| line.split('\t').next()).map(str::to_owned).collect()
}

/// What a server says of each name: code and addresses. One name of each top-level domain goes
/// first and alone: a server that is asked by many before it knows the root may fail and remember
/// that for seconds.
fn verdicts(port: u16, names: &[String]) -> Vec<String> {
    let tops: BTreeSet<&str> = names.iter().filter_map(|name| name.rsplit('.').next()).collect();
    for top in tops {
        verdict(port, &format!("first.alone.{top}"));
    }
    let part = names.len().div_ceil(8);
    std::thread::scope(|scope| {
        let parts: Vec<_> = names
            .chunks(part)
            .map(|names| scope.spawn(move || names.iter().map(|n| verdict(port, n)).collect()))
            .collect();
        parts.into_iter().flat_map(|p| -> Vec<String> { p.join().unwrap() }).collect()
    })
}

fn verdict(port: u16, name: &str) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE / 6)).unwrap();
    let mut query = Message::new(7, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(Name::from_str(&format!("{name}.")).unwrap(), RecordType::A));
    let query = query.to_vec().unwrap();
    let mut reply = [0; 4096];
    for _ in 0..5 {
        socket.send_to(&query, ("127.0.0.1", port)).unwrap();
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

/// The exported zones in order of precedence: name and file.
fn exported(instance: &Instance) -> Vec<(String, String)> {
    let zones = instance.json(&["zones"]);
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    zones
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|zone| Some((text(&zone["name"])?, text(&zone["exported"])?)))
        .collect()
}

fn start_named(named: &Path, folder: &Path, zones: &[(String, String)], port: u16) -> Daemon {
    let policy: String = zones.iter().map(|(name, _)| format!("zone \"{name}\"; ")).collect();
    let mut text = format!(
        "options {{ directory \"{0}\"; pid-file none; session-keyfile none; recursion yes;\n\
         listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};\n\
         dnssec-validation no; empty-zones-enable no; notify no;\n\
         response-policy {{ {policy} }} break-dnssec yes qname-wait-recurse no recursive-only no;\n\
         }};\ncontrols {{ }};\nzone \".\" {{ type hint; file \"{0}/hints\"; }};\n",
        folder.display()
    );
    for (name, file) in zones {
        writeln!(text, "zone \"{name}\" {{ type primary; file \"{file}\"; }};").unwrap();
    }
    std::fs::write(folder.join("hints"), hints()).unwrap();
    std::fs::write(folder.join("named.conf"), text).unwrap();
    let mut command = Command::new(named);
    command.args(["-g", "-n", "2", "-c"]).arg(folder.join("named.conf"));
    let mut daemon = Daemon::start(command);
    daemon.wait_for_line("running");
    // Policy is summarised beside the service; the largest zone is last.
    for _ in zones {
        daemon.wait_for_line("reload done: success");
    }
    daemon
}

fn start_unbound(unbound: &Path, folder: &Path, zones: &[(String, String)], port: u16) -> Daemon {
    let mut text = format!(
        "server:\n directory: \"{0}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n\
         interface: 127.0.0.1\n port: {port}\n do-ip6: no\n do-not-query-localhost: no\n\
         root-hints: \"{0}/hints\"\n module-config: \"respip iterator\"\n use-syslog: no\n\
         verbosity: 1\n log-queries: no\n local-zone: \"test.\" nodefault\n\
         target-fetch-policy: \"0 0 0 0 0\"\nremote-control:\n control-enable: no\n",
        folder.display()
    );
    for (name, file) in zones {
        write!(text, "rpz:\n name: \"{name}\"\n zonefile: \"{file}\"\n").unwrap();
    }
    std::fs::write(folder.join("hints"), hints()).unwrap();
    std::fs::write(folder.join("unbound.conf"), text).unwrap();
    let mut command = Command::new(unbound);
    command.args(["-d", "-p", "-c"]).arg(folder.join("unbound.conf"));
    let mut daemon = Daemon::start(command);
    daemon.wait_for_line("start of service");
    daemon
}

fn hints() -> String {
    format!(". 3600000 NS a.root.world.\na.root.world. 3600000 A {}\n", world::ROOT)
}

#[test]
fn bind_and_unbound_say_what_we_say() {
    compare("bind_and_unbound_say_what_we_say", &ONE_LIST);
}

#[test]
#[ignore = "long: BIND and Unbound load three million rules"]
fn bind_and_unbound_say_what_we_say_of_all_lists() {
    compare("bind_and_unbound_say_what_we_say_of_all_lists", &ALL_LISTS);
}

fn compare(test: &str, lists: &[Recorded]) {
    let (Some(named), Some(unbound)) = (peer("named"), peer("unbound")) else { return };
    if !world::in_own_network(test) {
        return;
    }
    world::start();
    let folder = support::temporary_folder();
    let Material { sources, names } = material(folder.path(), lists);
    let configuration = format!(
        "[upstream]\nmode = 'recursion'\nroots = ['{}']\nallow_servers = ['127.0.0.0/8']\n\
         [dnssec]\nvalidate = false\n{sources}",
        world::ROOT
    );
    let mut instance = Instance::new(&configuration).start();
    instance.daemon().wait_for_line("exported zone=threat.rpz");
    let zones = exported(&instance);
    assert!(zones.iter().any(|(name, _)| name == "lists.rpz"), "{zones:?}");

    let mut named = start_named(&named, folder.path(), &zones, 5301);
    let ours = verdicts(instance.port(), &names);
    let blocked = ours.iter().filter(|v| v.starts_with("Non-Existent")).count();
    let answered = ours.iter().filter(|v| v.contains(&world::ANSWER.to_string())).count();
    assert!(blocked > NAMES / 4 && answered > NAMES / 4, "{blocked} blocked, {answered} answered");

    differences("named", &names, &ours, &verdicts(5301, &names));
    named.kill();
    let _unbound = start_unbound(&unbound, folder.path(), &zones, 5302);
    differences("unbound", &names, &ours, &verdicts(5302, &names));
}

fn differences(peer: &str, names: &[String], ours: &[String], theirs: &[String]) {
    let different: Vec<String> = names
        .iter()
        .zip(ours.iter().zip(theirs))
        .filter(|(_, (ours, theirs))| ours != theirs)
        .map(|(name, (ours, theirs))| format!("{name}: we {ours}, {peer} {theirs}"))
        .collect();
    let first = different.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(different.is_empty(), "{} of {} differ:\n{first}", different.len(), names.len());
}

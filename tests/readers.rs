//! What readers of our zones get: files that their programs load, blocks of configuration that
//! their checkers pass, artefacts over HTTP, and answers to why.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Output};

use hickory_proto::op::ResponseCode;
use hickory_proto::rr::{RData, RecordType};
use support::instance::Instance;
use support::{Daemon, PATIENCE, free_port, peer};

const POLICY: &str = "[[allow]]\nname = 'good.bad.example'\n\
    [[block]]\nname = ['bad.example', 'worse.example']\nnetwork = '45.67.89.0/24'\n";

fn instance(configuration: &str) -> Instance {
    let instance = Instance::new(configuration);
    instance.write("policies/50-readers.toml", POLICY);
    instance
}

fn run(program: &Path, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap()
}

fn assert_passes(what: &str, output: &Output) {
    let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{what}: {out}{err}");
}

#[test]
fn what_is_exported_for_a_consumer_loads_there_and_lints_clean() {
    let instance = instance("").start();
    for (profile, checker) in [
        ("bind", "named-checkzone"),
        ("unbound", "unbound-checkconf"),
        ("pdns-recursor", "pdns_recursor"),
        ("knot-5", "kresd"),
    ] {
        let folder = instance.path(profile);
        let shown = folder.display().to_string();
        let output = instance.run(&["export", "--profile", profile, &shown]);
        assert_passes("export", &output);
        let files: Vec<_> =
            std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.iter().any(|file| file.ends_with("block.rpz")), "{files:?}");
        for file in &files {
            let name = file.file_name().unwrap().to_str().unwrap();
            let file = file.display().to_string();
            let lint = ["rpz", "lint", "--profile", profile, "--origin", name, &file];
            assert_passes("lint", &instance.run(&lint));
        }
        let Some(program) = peer(checker) else { continue };
        match checker {
            "named-checkzone" => {
                for file in &files {
                    let name = file.file_name().unwrap().to_str().unwrap();
                    let file = file.display().to_string();
                    assert_passes(name, &run(&program, &[name, &file]));
                }
            }
            "unbound-checkconf" => load_in_unbound(&files),
            "pdns_recursor" => load_in_pdns(&program, &files),
            _ => load_in_kresd(&program, &files),
        }
    }
}

/// Unbound loads zones when it starts, not when its configuration is checked.
fn load_in_unbound(files: &[std::path::PathBuf]) {
    let Some(unbound) = peer("unbound") else { return };
    let folder = support::temporary_folder();
    let mut text = format!(
        "server:\n directory: \"{0}\"\n chroot: \"\"\n username: \"\"\n pidfile: \"\"\n \
         interface: 127.0.0.1\n port: {1}\n module-config: \"respip iterator\"\n use-syslog: no\n\
         remote-control:\n control-enable: no\n",
        folder.path().display(),
        free_port()
    );
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        text += &format!("rpz:\n name: \"{name}\"\n zonefile: \"{}\"\n", file.display());
    }
    let path = folder.path().join("unbound.conf");
    std::fs::write(&path, text).unwrap();
    let mut command = Command::new(unbound);
    command.args(["-d", "-p", "-c"]).arg(&path);
    let mut daemon = Daemon::start(command);
    daemon.wait_for_line("start of service");
    let heard = daemon.output();
    assert!(!heard.contains("error"), "{heard}");
}

fn load_in_pdns(program: &Path, files: &[std::path::PathBuf]) {
    let folder = support::temporary_folder();
    let mut lua = String::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        lua += &format!("rpzFile(\"{}\", {{ policyName=\"{name}\" }})\n", file.display());
    }
    std::fs::write(folder.path().join("rpz.lua"), lua).unwrap();
    let mut daemon = start_pdns(program, folder.path(), "rpz.lua");
    daemon.wait_for_line("Launching worker threads");
    let heard = daemon.output();
    assert!(!heard.contains("Exception while loading RPZ"), "{heard}");
}

fn start_pdns(program: &Path, folder: &Path, lua: &str) -> Daemon {
    let mut command = Command::new(program);
    let at = folder.display();
    command.args([
        format!("--config-dir={at}"),
        format!("--socket-dir={at}"),
        "--local-address=127.0.0.1".to_owned(),
        format!("--local-port={}", free_port()),
        format!("--lua-config-file={at}/{lua}"),
        "--daemon=no".to_owned(),
        "--disable-syslog".to_owned(),
        "--loglevel=6".to_owned(),
    ]);
    Daemon::start(command)
}

fn load_in_kresd(program: &Path, files: &[std::path::PathBuf]) {
    let folder = support::temporary_folder();
    let mut lua = format!("net.listen('127.0.0.1', {}, {{ kind = 'dns' }})\n", free_port());
    for file in files {
        lua += &format!("policy.add(policy.rpz(policy.DENY, '{}', false))\n", file.display());
    }
    lua += "print('rules ' .. #policy.rules)\nquit()\n";
    let path = folder.path().join("config");
    std::fs::write(&path, lua).unwrap();
    let mut command = Command::new(program);
    command.args(["-n", "-c"]).arg(&path).arg(folder.path());
    let (_, heard) = Daemon::start(command).wait_for_exit();
    assert!(heard.contains("rules "), "{heard}");
    assert!(!heard.contains("failed to parse"), "{heard}");
}

#[test]
fn blocks_of_configuration_pass_the_consumers_own_checkers() {
    let instance = instance(
        "[[key]]\nname = 'transfer.example'\nfile = 'transfer.key'\n\
         [[secondary]]\nname = 'ns1'\nfrom = ['192.0.2.0/24']\nkey = 'transfer.example'\n",
    );
    let key = instance.path("transfer.key").display().to_string();
    let text = std::fs::read_to_string(instance.path("sekisho.toml")).unwrap();
    instance.write("sekisho.toml", &text.replace("'transfer.key'", &format!("'{key}'")));
    instance.write("transfer.key", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3\n");
    let mut instance = instance.start();
    instance.daemon().wait_for_line("exported");
    let block = |arguments: &[&str]| {
        let all = [&["rpz", "snippet"], arguments].concat();
        let output = instance.run(&all);
        assert_passes("snippet", &output);
        String::from_utf8(output.stdout).unwrap()
    };
    let folder = support::temporary_folder();
    let check = |program: &str, text: &str| {
        let Some(program) = peer(program) else { return };
        let path = folder.path().join("checked.conf");
        std::fs::write(&path, text).unwrap();
        let output = Command::new(program).arg(&path).current_dir(folder.path()).output().unwrap();
        assert_passes(text, &output);
    };
    let server = ["--server", "192.0.2.1:53"];
    for by in ["file", "transfer"] {
        let of = |consumer: &'static str| block(&[&[consumer, "--by", by], &server[..]].concat());
        check("named-checkconf", &of("bind"));
        let quiet = "server:\n chroot: \"\"\n username: \"\"\n";
        check("unbound-checkconf", &(of("unbound") + quiet));
        if let Some(program) = peer("pdns_recursor") {
            let folder = support::temporary_folder();
            std::fs::write(folder.path().join("snippet.lua"), of("pdns-recursor")).unwrap();
            let mut daemon = start_pdns(&program, folder.path(), "snippet.lua");
            daemon.wait_for_line("Launching worker threads");
        }
    }
    let path = folder.path().join("knot.conf");
    std::fs::write(&path, block(&["knot", "--server", "192.0.2.1:53"])).unwrap();
    if let Some(knotc) = peer("knotc") {
        let path = path.display().to_string();
        assert_passes("knotc", &run(&knotc, &["-c", &path, "conf-check"]));
    }
    let with_secret = block(&["bind", "--secrets", "--server", "192.0.2.1:53"]);
    let without = block(&["bind", "--server", "192.0.2.1:53"]);
    assert!(with_secret.contains("MDEyMzQ1Njc4OWFi") && !without.contains("MDEyMzQ1Njc4OWFi"));
}

/// Status, head and body of a GET.
fn get(port: u16, path: &str, headers: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request =
        format!("GET {path} HTTP/1.1\r\nHost: here\r\nConnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    let end = reply.windows(4).position(|w| w == b"\r\n\r\n").expect("a head");
    let head = String::from_utf8(reply[..end].to_vec()).unwrap().to_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, reply[end + 4..].to_vec())
}

fn header<'h>(head: &'h str, name: &str) -> &'h str {
    let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    line.unwrap_or_else(|| panic!("no {name} in {head}"))
}

#[test]
fn artefacts_are_fetched_whole_in_part_and_verified() {
    let port = free_port();
    let made = instance("");
    let key = made.path("artefacts.key").display().to_string();
    assert_passes("key", &made.run(&["key", "signing", &key]));
    assert!(!made.run(&["key", "signing", &key]).status.success(), "a key is not replaced");
    let token = made.path("token").display().to_string();
    made.write("token", "0123456789abcdef0123\n");
    let text = std::fs::read_to_string(made.path("sekisho.toml")).unwrap();
    let http = format!(
        "[publish.http]\nlisten = '127.0.0.1:{port}'\nsigning_key = '{key}'\n\
         tokens = '{token}'\ninterval = '1s'\n"
    );
    made.write("sekisho.toml", &(text + &http));
    let mut instance = made.start();
    instance.daemon().wait_for_line("artefacts made");

    assert_eq!(get(port, "/domains.txt", "").0, 401);
    let with = "Authorization: Bearer 0123456789abcdef0123\r\n";
    let (status, head, whole) = get(port, "/domains.txt", with);
    assert_eq!(status, 200);
    let text = String::from_utf8(whole.clone()).unwrap();
    assert!(text.contains("worse.example\n"), "{text}");
    // A list without exceptions does not block what has one.
    assert!(!text.contains("\nbad.example\n"), "{text}");
    let tag = header(&head, "etag").to_owned();
    assert_eq!(get(port, "/domains.txt", &format!("{with}If-None-Match: {tag}\r\n")).0, 304);
    let (status, head, part) = get(port, "/domains.txt", &format!("{with}Range: bytes=2-9\r\n"));
    assert_eq!((status, &part[..]), (206, &whole[2..10]));
    assert!(header(&head, "content-range").starts_with("bytes 2-9/"));
    let (_, head, packed) = get(port, "/domains.txt", &format!("{with}Accept-Encoding: gzip\r\n"));
    assert_eq!(header(&head, "content-encoding"), "gzip");
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&packed[..]).read_to_end(&mut plain).unwrap();
    assert_eq!(plain, whole);
    assert_eq!(get(port, "/nothing", with).0, 404);
    assert_eq!(get(port, "/../sekisho.toml", with).0, 404);

    for (path, part) in [
        ("/hosts.txt", "0.0.0.0 bad.example\n"),
        ("/adguard.txt", "||worse.example^\n"),
        ("/dnsmasq.conf", "address=/worse.example/\n"),
        ("/unbound.conf", "local-zone: \"worse.example.\" always_nxdomain\n"),
        ("/names.jsonl", "\"name\":\"worse.example\""),
        ("/addresses.txt", "45.67.89.0/24\n"),
        ("/addresses.nft", "45.67.89.0/24"),
        ("/addresses.ipset", "add sekisho4-new 45.67.89.0/24\n"),
        ("/zones/block.rpz", "good.bad.example CNAME rpz-passthru.\n"),
        ("/stix.json", "[domain-name:value = 'worse.example'"),
        ("/index.json", "/domains.txt"),
    ] {
        let (status, _, body) = get(port, path, with);
        let body = String::from_utf8(body).unwrap();
        assert!(status == 200 && body.contains(part), "{path}: {status} {body}");
    }
    let (_, _, bundle) = get(port, "/stix.json", with);
    let bundle: serde_json::Value = serde_json::from_slice(&bundle).unwrap();
    assert!(bundle["objects"].as_array().unwrap().len() >= 3, "{bundle}");

    let (_, _, signature) = get(port, "/domains.txt.minisig", with);
    let (_, _, public) = get(port, "/sekisho.pub", with);
    if let Some(minisign) = peer("minisign") {
        let folder = support::temporary_folder();
        let file = |name: &str, octets: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, octets).unwrap();
            path.display().to_string()
        };
        let (content, public) = (file("domains.txt", &whole), file("sekisho.pub", &public));
        file("domains.txt.minisig", &signature);
        assert_passes("minisign", &run(&minisign, &["-Vm", &content, "-p", &public]));
        file("domains.txt", b"something else");
        assert!(!run(&minisign, &["-Vm", &content, "-p", &public]).status.success());
    }

    let taxii = |path: &str| {
        let (status, head, body) = get(port, path, with);
        (status, head, serde_json::from_slice::<serde_json::Value>(&body).unwrap())
    };
    assert_eq!(taxii("/taxii2/").2["default"], "/taxii2/root/");
    let (_, _, collections) = taxii("/taxii2/root/collections/");
    let id = collections["collections"][0]["id"].as_str().unwrap().to_owned();
    let objects = format!("/taxii2/root/collections/{id}/objects/");
    let mut seen = Vec::new();
    let mut query = "?limit=2".to_owned();
    loop {
        let (status, head, page) = taxii(&format!("{objects}{query}"));
        assert_eq!(status, 200, "{page}");
        assert!(header(&head, "x-taxii-date-added-last").ends_with('z'));
        let ids = page["objects"].as_array().unwrap().iter();
        seen.extend(ids.map(|object| object["id"].as_str().unwrap().to_owned()));
        if page["more"] != true {
            break;
        }
        query = format!("?limit=2&next={}", page["next"].as_str().unwrap());
    }
    let all = bundle["objects"].as_array().unwrap().len();
    let different: std::collections::BTreeSet<&String> = seen.iter().collect();
    assert_eq!((seen.len(), different.len()), (all, all));
    assert_eq!(taxii(&format!("{objects}{}/", seen[1])).2["objects"][0]["id"], seen[1]);
    let chosen = taxii(&format!("{objects}?match[id]={},{}", seen[0], seen[2])).2;
    assert_eq!(chosen["objects"].as_array().unwrap().len(), 2);
    let manifest = taxii(&format!("/taxii2/root/collections/{id}/manifest/")).2;
    assert_eq!(manifest["objects"][1]["id"], seen[1]);
    assert_eq!(
        taxii(&format!("{objects}?added_after=2100-01-01T00:00:00Z")).2,
        serde_json::json!({})
    );
    assert_eq!(taxii(&format!("{objects}?limit=x")).0, 400);
}

#[test]
fn why_is_answered_over_dns_to_those_who_may_ask() {
    let instance = instance("").start();
    let why = "bad.example.why.block.rpz";
    // Not configured, it is a name like others, which nobody resolves here.
    assert_eq!(instance.ask(why, RecordType::TXT).metadata.response_code, ResponseCode::ServFail);
    let mut instance = instance;
    let text = std::fs::read_to_string(instance.path("sekisho.toml")).unwrap();
    let publish = "[publish]\nwhy_from = ['127.0.0.0/8']\n";
    instance.write("sekisho.toml", &text.replace("[publish]\n", publish));
    instance.restart();
    let texts = |name: &str| -> Vec<String> {
        let reply = instance.ask(name, RecordType::TXT);
        let text = |data: &RData| match data {
            RData::TXT(txt) => Some(txt.to_string()),
            _ => None,
        };
        reply.answers.iter().filter_map(|record| text(&record.data)).collect()
    };
    let told = texts(why);
    assert!(told[0].starts_with("v=1 act=nxdomain") && told[0].contains("serial="), "{told:?}");
    assert!(told[0].len() < 200);
    assert!(texts("www.worse.example.why.rpz")[0].contains("zone=block.rpz"));
    assert!(texts("fine.example.why.block.rpz")[0].starts_with("v=1 act=none"));
}

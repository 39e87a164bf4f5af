//! The whole program as its user meets it: what it answers, what it takes over, what it survives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fmt::Write as _;

use hickory_proto::op::{Message, MessageType, OpCode, ResponseCode};
use hickory_proto::rr::{RData, Record, RecordType};
use rustix::process::Signal;
use support::instance::{Instance, addresses};
use support::peer;

/// A source with trust `operator` in a file of the instance's folder.
fn operator_source(path: &std::path::Path) -> String {
    format!(
        "[[source]]\nid = 'mine'\nurl = '{}'\nformat = 'domains'\ntrust = 'operator'\n",
        path.display()
    )
}

/// An instance with a list of its own that names these.
fn with_list(names: &[&str]) -> Instance {
    let mut instance = Instance::new("");
    let list = instance.path("list.txt");
    std::fs::write(&list, names.join("\n") + "\n").unwrap();
    instance = append(instance, &operator_source(&list));
    instance.start()
}

fn append(instance: Instance, text: &str) -> Instance {
    let path = instance.path("sekisho.toml");
    let mut configuration = std::fs::read_to_string(&path).unwrap();
    configuration.push_str(text);
    std::fs::write(&path, configuration).unwrap();
    instance
}

#[test]
fn the_three_names_of_the_readme_answer_without_a_network() {
    let instance = Instance::new("").start();
    let blocked = instance.ask("blocked.sekisho.test", RecordType::A);
    assert_eq!(blocked.metadata.response_code, ResponseCode::NXDomain);
    assert!(!blocked.authorities.is_empty(), "a negative answer has an SOA");
    let redirected = instance.ask("redirect.sekisho.test", RecordType::A);
    assert_eq!(addresses(&redirected), ["127.0.0.1"]);
    for reply in [
        instance.ask("ok.sekisho.test", RecordType::A),
        instance.ask_over_tcp("ok.sekisho.test", RecordType::A),
    ] {
        assert_eq!(addresses(&reply), ["192.0.2.1"]);
    }
    let why = instance.say(&["why", "blocked.sekisho.test"]);
    assert!(why.contains("NXDOMAIN") && why.contains("00-default.toml:"), "{why}");
    let status = instance.json(&["status"]);
    assert_eq!(status["running"], true);
}

#[test]
fn a_list_becomes_answers_and_a_zone_and_says_why() {
    let names = ["evil-site.com", "cdn.half-evil.net", "evil-site.com", "not a name", "github.io"];
    let mut instance = with_list(&names);
    for (name, code) in [
        ("evil-site.com", ResponseCode::NXDomain),
        ("www.evil-site.com", ResponseCode::NXDomain),
        ("cdn.half-evil.net", ResponseCode::NXDomain),
        // Nobody answers upstream.
        ("half-evil.net", ResponseCode::ServFail),
        ("github.io", ResponseCode::ServFail),
    ] {
        assert_eq!(instance.code(name), code, "{name}");
    }
    let why = instance.json(&["why", "www.evil-site.com"]);
    assert_eq!(why["outcome"]["zone"], "lists.rpz");
    assert_eq!(why["sources"][0]["listed"], "evil-site.com");
    let feeds = instance.json(&["feeds", "mine"]);
    assert_eq!((&feeds[0]["entries"], &feeds[0]["rejects"]), (&3.into(), &1.into()));
    assert_eq!(feeds[0]["samples"][0][0], 4);

    instance.daemon().wait_for_line("exported zone=lists.rpz");
    let zone = std::fs::read_to_string(instance.path("rpz/lists.rpz")).unwrap();
    assert!(zone.contains("evil-site.com") && !zone.contains("github.io"), "{zone}");
}

#[test]
fn an_edit_is_enforced_and_a_broken_one_changes_nothing() {
    let mut instance = Instance::new("").start();
    assert_eq!(instance.code("mine.com"), ResponseCode::ServFail);
    instance.write("policies/10-mine.toml", "[[block]]\nname = 'mine.com'\nreason = 'a test'\n");
    instance.daemon().wait_for_line("policy is in force");
    assert_eq!(instance.code("www.mine.com"), ResponseCode::NXDomain);

    instance.write("policies/10-mine.toml", "[[block]]\nnmae = 'mine.com'\n");
    instance.daemon().wait_for_line("the last good policy stays in force");
    assert_eq!(instance.code("www.mine.com"), ResponseCode::NXDomain);
    let status = instance.json(&["status"]);
    assert_eq!(status["policy"]["broken"], true);
    let findings = status["policy"]["findings"].to_string();
    assert!(findings.contains("10-mine.toml:2:1"), "{findings}");
    let check = instance.run(&["check"]);
    assert!(!check.status.success());

    // A start with broken files goes by the policy that was accepted last.
    instance.restart();
    assert_eq!(instance.code("www.mine.com"), ResponseCode::NXDomain);
    std::fs::remove_file(instance.path("policies/10-mine.toml")).unwrap();
    instance.daemon().signal(Signal::HUP);
    instance.daemon().wait_for_line("policy is in force");
    assert_eq!(instance.code("www.mine.com"), ResponseCode::ServFail);
}

#[test]
fn a_feed_that_no_longer_looks_like_itself_changes_nothing() {
    let mut names = String::new();
    (0..100).for_each(|n| writeln!(names, "evil-{n}.com").unwrap());
    let mut instance = with_list(&[names.trim()]);
    for (content, said) in [
        ("<!DOCTYPE html><title>404</title>\n".to_owned(), "HTML page"),
        ("evil-1.com\n".to_owned(), "tenth"),
        ("??? \n".repeat(120) + &names, "lines"),
    ] {
        std::fs::write(instance.path("list.txt"), content).unwrap();
        instance.say(&["refresh", "mine"]);
        let line = instance.daemon().wait_for_line("the last good copy stays");
        assert!(line.contains("mine"), "{said}: {line}");
        assert_eq!(instance.code("evil-99.com"), ResponseCode::NXDomain, "{line}");
        assert_eq!(instance.json(&["feeds", "mine"])[0]["state"], "stale", "{said}");
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing() {
    let mut names = String::new();
    (0..20_000).for_each(|n| writeln!(names, "evil-{n}.com").unwrap());
    let mut instance = with_list(&[names.trim()]);
    let serial = |instance: &Instance| {
        let zones = instance.json(&["zones"]);
        let zones = zones.as_array().unwrap().clone();
        let found = zones.into_iter().find(|zone| zone["name"] == "lists.rpz").unwrap();
        found["serial"].as_u64().unwrap()
    };
    instance.daemon().wait_for_line("exported zone=lists.rpz");
    let first = serial(&instance);
    for moment in ["taken over", "zone changed", "exported zone=lists.rpz"] {
        writeln!(names, "evil-at-{}.com", moment.len()).unwrap();
        std::fs::write(instance.path("list.txt"), &names).unwrap();
        instance.say(&["refresh", "mine"]);
        instance.daemon().wait_for_line("taken over");
        if moment != "taken over" {
            instance.daemon().wait_for_line(moment);
        }
        instance.daemon().kill();
        instance.restart();
        assert_eq!(instance.code("evil-19999.com"), ResponseCode::NXDomain, "{moment}");
        assert!(serial(&instance) >= first, "{moment}");
        let zone = std::fs::read_to_string(instance.path("rpz/lists.rpz")).unwrap();
        assert!(zone.contains("evil-19999.com") && zone.ends_with('\n'), "{moment}");
    }
}

#[test]
fn a_restart_without_news_keeps_serials() {
    let mut instance = with_list(&["evil-site.com"]);
    instance.daemon().wait_for_line("exported zone=lists.rpz");
    let before = instance.json(&["zones"]);
    instance.daemon().signal(Signal::TERM);
    instance.restart();
    assert_eq!(instance.code("evil-site.com"), ResponseCode::NXDomain);
    assert_eq!(instance.json(&["zones"]), before);
}

#[test]
fn exported_zones_load_in_bind_without_a_word() {
    let Some(checkzone) = peer("named-checkzone") else { return };
    let mut instance = with_list(&["evil-site.com", "half-evil.net"]);
    instance.daemon().wait_for_line("exported zone=threat.rpz");
    for entry in std::fs::read_dir(instance.path("rpz")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let output = std::process::Command::new(&checkzone).arg(&name).arg(&path).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}");
        let words: Vec<&str> = said.lines().collect();
        assert_eq!(words.len(), 2, "{said}");
        assert_eq!(words[1], "OK", "{said}");
    }
}

#[test]
fn a_training_that_has_nothing_to_learn_from_says_so() {
    let instance = Instance::new("").start();
    let said = instance.say(&["model", "train"]);
    assert!(
        said.contains("error: no model was trained") && said.contains("500 are needed"),
        "{said}"
    );
    let status = instance.json(&["status"]);
    assert_eq!(status["prediction"]["model"], serde_json::Value::Null);
    let not_running = status["not_running"].to_string();
    assert!(
        not_running.contains("prediction: the popularity lists name 0 domains"),
        "{not_running}"
    );
    let off = Instance::new("[prediction]\nenabled = false\n").start();
    let said = off.say(&["model", "train"]);
    assert!(said.contains("prediction is switched off"), "{said}");
}

/// A resolver that has one address for every name, until the process ends.
fn answering_upstream(address: [u8; 4]) -> u16 {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut octets = [0; 1500];
        while let Ok((length, from)) = socket.recv_from(&mut octets) {
            let Ok(query) = Message::from_vec(&octets[..length]) else { continue };
            let mut reply = Message::new(query.metadata.id, MessageType::Response, OpCode::Query);
            reply.metadata.recursion_desired = true;
            reply.metadata.recursion_available = true;
            for question in &query.queries {
                reply.add_query(question.clone());
                if question.query_type() == RecordType::A {
                    let data = RData::A(std::net::Ipv4Addr::from(address).into());
                    reply.add_answer(Record::from_rdata(question.name().clone(), 300, data));
                }
            }
            let _ = socket.send_to(&reply.to_vec().unwrap(), from);
        }
    });
    port
}

#[test]
fn what_was_resolved_is_remembered_without_the_client() {
    let port = answering_upstream([192, 0, 2, 80]);
    let upstream = format!(
        "[upstream]\nmode = 'forward'\nservers = ['udp://127.0.0.1:{port}']\n\
         [dnssec]\nvalidate = false\n"
    );
    let mut instance = Instance::new(&upstream).start();
    for name in ["www.shop-one.com", "shop-two.net", "www.shop-one.com"] {
        assert_eq!(addresses(&instance.ask(name, RecordType::A)), ["192.0.2.80"]);
    }
    // The thread that remembers is told of an answer after the client is.
    let remembered = |instance: &Instance| {
        let names = instance.json(&["pdns", "192.0.2.80"])["records"].clone();
        names.as_array().map(Vec::len)
    };
    assert!((0..600).any(|_| remembered(&instance) == Some(2)), "both names are remembered");
    let said = instance.say(&["pdns", "www.shop-one.com"]);
    assert!(said.contains("shop-one.com  first seen") && said.contains("192.0.2.80"), "{said}");
    let cof = instance.say(&["pdns", ".", "--cof"]);
    let first: serde_json::Value = serde_json::from_str(cof.lines().next().unwrap()).unwrap();
    assert_eq!((&first["rrname"], &first["rrtype"]), (&"www.shop-one.com".into(), &"A".into()));
    assert!(!cof.contains("127.0.0.1"), "{cof}");

    // A restart knows it, and so does the command line while nothing runs.
    instance.end();
    assert_eq!(remembered(&instance), Some(2));
    instance.restart();
    assert_eq!(remembered(&instance), Some(2));
    let off = Instance::new("[pdns]\nenabled = false\n").start();
    let said = off.say(&["pdns", "shop-two.net"]);
    assert!(said.contains("nothing is remembered"), "{said}");
}

#[test]
fn reviews_are_drawn_noted_and_summed_up() {
    let instance = Instance::new("");
    let list = instance.path("list.txt");
    std::fs::write(&list, "evil-one.com\n").unwrap();
    let source = format!(
        "[[source]]\nid = 'openphish'\nurl = '{}'\nformat = 'domains'\ncategory = 'phishing'\n",
        list.display()
    );
    let instance = append(instance, &source).start();
    let draw = instance.json(&["audit", "next"]);
    assert_eq!(
        (&draw["indicator"], &draw["source"]),
        (&"evil-one.com".into(), &"openphish".into())
    );
    assert_eq!(draw["drawn_from"], 1);
    assert_eq!(instance.json(&["audit", "next"])["waiting"], true);
    let noted = instance.json(&["audit", "evil-one.com", "--malicious", "--by", "amy"]);
    assert_eq!(noted["drawn_from"], "openphish");
    let report = instance.json(&["report", "www.evil-one.com", "--benign", "--note", "a customer"]);
    assert_eq!(report["sources"][0], serde_json::json!(["openphish", 1000]));
    let found = instance.json(&["audit"]);
    assert_eq!((&found[0]["malicious"], &found[0]["reported_benign"]), (&1.into(), &1.into()));
    let said = instance.say(&["audit", "evil-one.com"]);
    assert!(said.contains("needs a name and what it is"), "{said}");
    let value = instance.json(&["feeds", "--value"]);
    assert_eq!((&value[0]["names"], &value[0]["unique"]), (&1.into(), &1.into()));
    assert_eq!(value[0]["hit"], 0);
    assert_eq!(instance.json(&["audit", "next"])["waiting"], false);
}

#[test]
fn what_was_learnt_is_reviewed_applied_and_taken_back() {
    let instance = Instance::new("");
    let mut sources = String::new();
    for (id, from) in [("openphish", 0), ("mirror", 0)] {
        let list = instance.path(&format!("{id}.txt"));
        let names: Vec<String> = (from..from + 80).map(|n| format!("evil-{n}.com")).collect();
        std::fs::write(&list, names.join("\n") + "\n").unwrap();
        writeln!(
            sources,
            "[[source]]\nid = '{id}'\nurl = '{}'\nformat = 'domains'\ncategory = 'phishing'",
            list.display()
        )
        .unwrap();
    }
    let mut instance = append(instance, &sources).start();
    let file = instance.path("learnt.toml").display().to_string();
    let said = instance.say(&["learn", "--output", &file]);
    assert!(said.contains("copy of openphish") && said.contains("model apply"), "{said}");
    let said = instance.say(&["model", "apply", &file]);
    assert!(said.contains("in force, model"), "{said}");
    let again = instance.say(&["model", "apply", &file]);
    assert!(again.contains("they are changes of model"), "{again}");
    let learnt = instance.json(&["learn"]);
    assert!(learnt["learnt"]["changes"]["copy"].is_null(), "{learnt}");
    instance.restart();
    let kept = instance.json(&["learn"])["learnt"]["changes"]["base"].clone();
    assert_eq!(kept, learnt["learnt"]["changes"]["base"], "a restart goes by the same model");
    instance.say(&["model", "apply", "--shipped"]);
    let learnt = instance.json(&["learn"]);
    assert_eq!(learnt["learnt"]["changes"]["copy"][0]["source"], "mirror");
}

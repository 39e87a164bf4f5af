//! Routes, ranks of networks and verdicts about addresses in the whole program, up and down.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;

use support::instance::Instance;

/// A source on this machine's disk.
fn source(directory: &Path, id: &str, format: &str, text: &str) -> String {
    let file = directory.join(format!("{id}.txt"));
    std::fs::write(&file, text).unwrap();
    let url = file.display();
    format!("[[source]]\nid = '{id}'\nurl = '{url}'\nformat = '{format}'\n")
}

const ROUTES: &str = "8.8.0.0\t8.8.255.255\t3333\tNL\tRIPE-NCC-AS\n\
                      9.9.0.0\t9.9.255.255\t4444\tUS\tEXAMPLE-HOSTING\n\
                      11.0.0.0\t11.255.255.255\t5555\tUS\tEXAMPLE-ACCESS\n";

fn instance() -> Instance {
    let instance = Instance::new("");
    let directory = instance.path("").to_owned();
    let sources = [
        source(&directory, "ranked", "ranks", "1,popular.com\n"),
        source(&directory, "iptoasn", "iptoasn", ROUTES),
        source(&directory, "feodo", "networks", "9.9.9.9\n9.9.9.10\n"),
        source(&directory, "ipsum3", "networks", "9.9.1.1\n11.0.0.1\n8.8.8.8\n"),
        source(&directory, "spamhaus_asndrop", "networks", "AS3333\n"),
        source(&directory, "scanners", "networks", "11.0.0.0/24\n") + "ranks = 'exclude'\n",
    ];
    let path = instance.path("sekisho.toml");
    let mut configuration = std::fs::read_to_string(&path).unwrap();
    configuration.push_str(&sources.concat());
    std::fs::write(&path, configuration).unwrap();
    instance.start()
}

#[test]
fn address_lists_become_ranks_rules_and_reasons_that_outlive_the_daemon() {
    let mut instance = instance();
    instance.daemon().wait_for_line("exported zone=threat.rpz");

    let ranking = instance.json(&["asn", "rank"]);
    let systems: Vec<_> =
        ranking["systems"].as_array().unwrap().iter().map(|row| &row["system"]).collect();
    assert_eq!(systems[0], 4444, "{ranking}");
    // The one address of AS 5555 is a scanner's.
    assert!(!systems.iter().any(|system| **system == 5555), "{ranking}");
    // Two addresses of impact 5 and one of impact 1 among 65,536.
    assert_eq!(ranking["systems"][0]["circl"], 11.0 / 65_536.0);
    let circl = instance.json(&["asn", "rank", "--circl"]);
    assert_eq!(circl["definition"], "circl");
    assert_eq!(circl["systems"].as_array().unwrap().len(), 2, "{circl}");

    let says = instance.json(&["asn", "AS4444"]);
    assert_eq!(says["name"], "EXAMPLE-HOSTING, US");
    assert_eq!(says["families"][0]["listed"], 3);
    assert_eq!(says["families"][0]["sources"][0]["source"], "feodo");
    assert_eq!(says["families"][0]["worst_prefixes"][0][0], "9.9.0.0/16");
    assert!(instance.say(&["asn", "AS4444"]).contains("EXAMPLE-HOSTING"));

    // Direct evidence becomes rules about answer addresses; weak evidence does not.
    let zone = std::fs::read_to_string(instance.path("rpz/threat.rpz")).unwrap();
    assert!(zone.contains("32.9.9.9.9.rpz-ip"), "{zone}");
    assert!(zone.contains("16.0.0.8.8.rpz-ip") && !zone.contains("32.1.1.9.9"), "{zone}");
    let why = instance.json(&["why", "9.9.9.9"]);
    assert_eq!(why["outcome"]["zone"], "threat.rpz");
    assert_eq!(why["standing"]["origins"][0], "AS4444 EXAMPLE-HOSTING, US");
    let sum: i64 = why["score"]["contributions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| part["mban"].as_i64().unwrap())
        .sum();
    assert_eq!(why["score"]["score"], sum);
    let of_system = instance.json(&["why", "AS3333"]);
    assert_eq!(of_system["score"]["level"], "block");
    assert_eq!(instance.json(&["why", "8.8.4.4"])["outcome"]["trigger"], "8.8.0.0/16");

    // The same from the state directory, and after a restart.
    instance.restart();
    assert_eq!(instance.json(&["asn", "rank"])["systems"], ranking["systems"]);
    instance.stop();
    assert_eq!(instance.json(&["asn", "rank"])["systems"], ranking["systems"]);
    assert_eq!(instance.json(&["asn", "AS4444"])["families"], says["families"]);
}

#[test]
fn a_table_that_lost_most_of_its_routes_is_refused() {
    let mut instance = instance();
    instance.daemon().wait_for_line("exported zone=threat.rpz");
    std::fs::write(instance.path("iptoasn.txt"), "9.9.0.0\t9.9.255.255\t1\tUS\tX\n").unwrap();
    instance.run(&["refresh", "iptoasn"]);
    instance.daemon().wait_for_line("less than half of the last good 3");
    assert_eq!(instance.json(&["asn", "AS4444"])["name"], "EXAMPLE-HOSTING, US");
}

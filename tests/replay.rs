//! Scenarios against the whole program: ours of `tests/scenarios`, over a world of their own, and
//! those of the replay tool where it is here.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};
use support::instance::Instance;
use support::scenario::{Question, World};

/// What the tool's scenarios ask that no resolver can give: an owner name that is not canonical.
const IMPOSSIBLE: [&str; 1] = ["rpz_respip"];

fn scenarios(file: &str) -> (Vec<Value>, World) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let read = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
    let text: Value = serde_json::from_str(&read(file)).unwrap();
    let world = World::read(&read(text["world"].as_str().unwrap()));
    (text["cases"].as_array().unwrap().clone(), world)
}

/// A zone of a case.
struct Zone {
    name: String,
    text: String,
    configuration: String,
}

fn zones(of: &Value) -> Vec<Zone> {
    match of {
        Value::Array(zones) => {
            zones.iter().map(|zone| read_zone(zone.as_object().unwrap())).collect()
        }
        Value::Object(zones) => zones
            .iter()
            .map(|(name, rules)| {
                let of = [("name", Value::from(name.as_str())), ("rules", rules.clone())];
                read_zone(&of.map(|(k, v)| (k.to_owned(), v)).into_iter().collect())
            })
            .collect(),
        other => panic!("these are no zones: {other}"),
    }
}

fn read_zone(zone: &Map<String, Value>) -> Zone {
    let text = |key: &str| zone.get(key).and_then(Value::as_str);
    let name = format!("{}.policy", text("name").unwrap());
    let policy = match (text("override"), text("target")) {
        (Some("cname"), Some(target)) => format!("cname {target}"),
        (policy, _) => policy.unwrap_or("given").to_owned(),
    };
    let mut configuration = format!(
        "[[zone]]\nname = '{name}'\nfile = '{name}'\nstanding = 'first'\npolicy = '{policy}'\n"
    );
    for (key, value) in zone {
        match key.as_str() {
            "name" | "rules" | "override" | "target" => {}
            "tags" => writeln!(configuration, "groups = {value}").unwrap(),
            "ede" => writeln!(configuration, "extended_error = {value}").unwrap(),
            "options" => value
                .as_object()
                .unwrap()
                .iter()
                .for_each(|(key, value)| writeln!(configuration, "{key} = {value}").unwrap()),
            other => panic!("what is `{other}` of a zone?"),
        }
    }
    let rules = text("rules").unwrap();
    let text = format!(
        "$ORIGIN {name}.\n$TTL 300\n@ 300 IN SOA localhost. admin.{name}. 1 3600 900 86400 300\n\
         @ 300 IN NS localhost.\n{rules}"
    );
    Zone { name, text, configuration }
}

/// Runs a case; gives what was wrong.
fn run(case: &Value, upstream: std::net::SocketAddr) -> Vec<String> {
    let whole = [case.clone()];
    let steps = case["steps"].as_array().map_or(&whole[..], Vec::as_slice);
    let first = zones(&steps[0]["zones"]);
    let mut text = format!(
        "[upstream]\nmode = 'forward'\nservers = ['udp://{upstream}']\n\
         [dnssec]\nvalidate = false\n[resolver.local_zones]\nenabled = false\n"
    );
    first.iter().for_each(|zone| text.push_str(&zone.configuration));
    let instance = Instance::new(&text);
    let mut groups = String::new();
    for (network, tags) in case["client_tags"].as_object().into_iter().flatten() {
        for tag in tags.as_array().unwrap() {
            write!(groups, "[group.{tag}]\nnetworks = ['{network}']\n").unwrap();
        }
    }
    instance.write("policies/99-groups.toml", &groups);
    first.iter().for_each(|zone| instance.write(&format!("zones/{}", zone.name), &zone.text));
    let instance = instance.start();
    let mut wrong = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        if at > 0 {
            for zone in zones(&step["zones"]) {
                instance.write(&format!("zones/{}", zone.name), &zone.text);
            }
            let reloaded = instance.run(&["reload"]);
            assert!(reloaded.status.success(), "{reloaded:?}");
        }
        for line in step["queries"].as_array().unwrap() {
            let found = Question::read(line.as_str().unwrap()).ask(instance.port());
            wrong.extend(found.map(|found| format!("{} step {at}: {found}", case["id"])));
        }
    }
    wrong
}

fn run_all(file: &str) {
    let (cases, world) = scenarios(file);
    let upstream = world.serve();
    assert!(!cases.is_empty());
    let wrong: Vec<String> = cases.iter().flat_map(|case| run(case, upstream)).collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn our_scenarios_come_out_as_they_say() {
    run_all("cases.json");
}

#[test]
fn policies_change_over_answers_that_are_known() {
    run_all("changes.json");
}

/// Whether the tool can run: it makes networks of its own, and needs dnspython.
fn can_replay() -> bool {
    let python = Command::new("/usr/bin/python3").args(["-c", "import dns.message"]).output();
    if !python.is_ok_and(|output| output.status.success()) {
        support::skip("dnspython is not installed");
        return false;
    }
    let network = Command::new("unshare").args(["--net", "true"]).status();
    if !network.is_ok_and(|status| status.success()) {
        support::skip("network namespaces are not allowed here");
        return false;
    }
    true
}

#[test]
#[ignore = "long: a minute"]
fn the_replay_tool_finds_nothing_but_what_cannot_be() {
    let Some(tool) = support::shared("../rpz/replay/rpzh.py") else { return };
    if !can_replay() {
        return;
    }
    let (root, work) = (Path::new(env!("CARGO_MANIFEST_DIR")), support::temporary_folder());
    let tool = tool.canonicalize().unwrap();
    let folder = tool.parent().unwrap();
    let report = work.path().join("report.json");
    let mut scenarios: Vec<_> = std::fs::read_dir(folder.join("rpl"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "rpl"))
        .collect();
    scenarios.push(folder.join("cases/rpz_cases.json"));
    scenarios.push(root.join("tests/scenarios/cases.json"));
    let output = Command::new("/usr/bin/python3")
        .current_dir(folder)
        .arg(&tool)
        .arg("--plugin")
        .arg(root.join("tests/replay/sekisho.py"))
        .arg("--cmd")
        .arg(format!("{} serve --config {{conf}}", env!("CARGO_BIN_EXE_sekisho")))
        .args(["--raw", "-q", "-j", "2", "--work"])
        .arg(work.path())
        .arg("--json")
        .arg(&report)
        .args(&scenarios)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let report = std::fs::read_to_string(&report).unwrap_or_else(|_| panic!("{output:?}"));
    let report: Value = serde_json::from_str(&report).unwrap();
    let results = report["results"].as_array().unwrap();
    assert!(results.len() > 60, "{said}");
    let failed: Vec<&str> = results
        .iter()
        .filter(|result| result["status"] != "passed")
        .filter_map(|result| result["scenario"].as_str())
        .filter(|scenario| !IMPOSSIBLE.contains(scenario))
        .collect();
    assert!(failed.is_empty(), "{failed:?}\n{said}");
}

//! Look-ups at stand-ins of all services: what is asked, what is counted, what faults do, and that no
//! key is seen anywhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sekisho::config::{self, Config};
use sekisho::daemon::desk::{Desk, Outcome};
use sekisho::ledger::SqliteLedger;
use sekisho::model::Timestamp;
use sekisho::model::lookup::{Aspect, Fact, Service, Target};
use sekisho::model::time::Clock;
use sekisho::source::provider::{Client, ClientSettings, Purpose, Question};
use support::standin::{EVIL, EVIL_ADDRESS, EVIL_SYSTEM, FINE, Fault, Standin, UNKNOWN, key};
use support::temporary_folder;
use tempfile::TempDir;

/// A clock that a test sets.
struct Hand(AtomicU32);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::Relaxed))
    }
}

/// 2026-08-21 12:00 UTC.
const NOON: u32 = 1_787_313_600;

struct World {
    standin: Standin,
    folder: TempDir,
    clock: Arc<Hand>,
    config: Config,
}

impl World {
    fn new(more: &str) -> Self {
        let (standin, folder) = (Standin::start(), temporary_folder());
        let text = standin.configuration(folder.path(), more);
        let (config, found) = config::read("s.toml", &format!("licence = 'personal'\n{text}"));
        assert_eq!(found, []);
        let clock = Arc::new(Hand(AtomicU32::new(NOON)));
        Self { standin, folder, clock, config: config.unwrap() }
    }

    /// The desk as a start of the program makes it.
    async fn desk(&self) -> Desk {
        let path = SqliteLedger::path(self.folder.path());
        let ledger = Arc::new(SqliteLedger::open(&path).unwrap());
        let settings =
            ClientSettings { time_max: Duration::from_millis(1500), ..ClientSettings::default() };
        let client = Client::new(settings).unwrap();
        let (desk, found) = Desk::open(&self.config, client, ledger, self.clock.clone()).await;
        assert_eq!(found, []);
        desk
    }

    fn pass(&self, seconds: u32) {
        self.clock.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

fn question(service: Service, target: &str, aspect: Aspect) -> Question {
    Question::new(service, Target::parse(target).unwrap(), aspect)
}

async fn ask(desk: &Desk, service: Service, target: &str, aspect: Aspect) -> Outcome {
    desk.ask(&question(service, target, aspect), Purpose::Interactive, Duration::ZERO).await
}

fn facts(outcome: &Outcome) -> &[Fact] {
    match outcome {
        Outcome::Answered { answer, .. } => &answer.facts,
        other => panic!("{other:?}"),
    }
}

fn class(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Answered { .. } => "answered".to_owned(),
        Outcome::Failed { class, .. } => class.clone(),
        Outcome::Unasked { reason, .. } => format!("unasked: {reason}"),
    }
}

#[tokio::test]
async fn every_service_is_asked_as_it_wants_and_its_answer_is_kept() {
    let world = World::new("");
    let desk = world.desk().await;
    for (service, target, asked) in [
        (Service::VirusTotal, EVIL, "GET domains/evil.login-update.net "),
        (Service::VirusTotal, EVIL_ADDRESS, "GET ip_addresses/192.0.2.66 "),
        (
            Service::ThreatIntelligencePlatform,
            EVIL,
            "GET v2/reputation?domainName=evil.login-update.net&mode=full ",
        ),
        (Service::ApiVoid, EVIL, r#"POST domain-reputation {"host":"evil.login-update.net"}"#),
        (Service::DnsDumpster, EVIL, "GET domain/evil.login-update.net "),
        (Service::BgpRanking, EVIL_SYSTEM, r#"POST json/asn {"asn":"64496","date":"2026-08-20"}"#),
        (Service::IpasnHistory, EVIL_ADDRESS, r#"POST ip {"ip":"192.0.2.66"}"#),
    ] {
        let first = ask(&desk, service, target, Aspect::Report).await;
        assert!(!facts(&first).is_empty(), "{service}");
        assert_eq!(world.standin.asked(service.as_str()).last().unwrap(), asked);
        let asked = world.standin.asked(service.as_str()).len();
        world.pass(3600);
        let again = ask(&desk, service, target, Aspect::Report).await;
        assert!(matches!(again, Outcome::Answered { kept: true, asked_at: Timestamp(at), .. }
            if at == world.clock.now().0 - 3600));
        assert_eq!(facts(&again), facts(&first));
        assert_eq!(world.standin.asked(service.as_str()).len(), asked, "{service} asked again");
        world.pass(3600);
    }
}

#[tokio::test]
async fn what_is_counted_is_counted_before_and_over_restarts() {
    let world = World::new("per_day = 3\n");
    let desk = world.desk().await;
    for name in ["a.example.com", "b.example.com"] {
        assert_eq!(class(&ask(&desk, Service::VirusTotal, name, Aspect::Report).await), "answered");
    }
    drop(desk);
    let desk = world.desk().await;
    let says = desk.says().await;
    assert_eq!((says[0].service.as_str(), says[0].day), ("virustotal", (2, 3)));
    assert_eq!(class(&ask(&desk, Service::VirusTotal, "c.net", Aspect::Report).await), "answered");
    assert_eq!(
        class(&ask(&desk, Service::VirusTotal, "d.net", Aspect::Report).await),
        "unasked: the day's 3 look-ups are used up"
    );
    assert_eq!(world.standin.asked("virustotal").len(), 3);
    world.pass(12 * 3600);
    assert_eq!(class(&ask(&desk, Service::VirusTotal, "d.net", Aspect::Report).await), "answered");
}

#[tokio::test]
async fn a_fault_is_named_and_stays_with_its_service() {
    let world = World::new("");
    let desk = world.desk().await;
    let gzip = |body: &[u8]| {
        use std::io::Write as _;
        let mut out = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        out.write_all(body).unwrap();
        out.finish().unwrap()
    };
    let packed = || vec![("content-encoding", "gzip".to_owned())];
    let elsewhere = Standin::start();
    let to = |location: String| vec![("location", location)];
    let cases: Vec<(Fault, &str)> = vec![
        (Fault::Reply(200, vec![], b"{\"data\": {\"attr".to_vec()), "malformed"),
        (Fault::Reply(200, vec![], b"<html>login</html>".to_vec()), "malformed"),
        (Fault::Reply(200, vec![], b"".to_vec()), "malformed"),
        (Fault::Reply(200, vec![], vec![b'['; 100_000]), "malformed"),
        (Fault::Reply(200, packed(), b"{\"data\": []}".to_vec()), "answered"),
        (Fault::Reply(200, packed(), gzip(b"{\"data\": []}")), "answered"),
        (Fault::Reply(200, packed(), gzip(b"{\"data\": []}")[..20].to_vec()), "packed"),
        (Fault::Reply(200, packed(), gzip(&vec![b' '; 64 << 20])), "packed"),
        (Fault::Reply(200, vec![], vec![b' '; 9 << 20]), "too-large"),
        (Fault::Reply(302, to(elsewhere.base("virustotal")), vec![]), "redirect"),
        (Fault::Reply(302, to("/virustotal/again".to_owned()), vec![]), "redirect"),
        (Fault::Reply(503, vec![], b"down".to_vec()), "server"),
        (Fault::Reply(204, vec![], vec![]), "quota"),
        (Fault::Silence, "too-slow"),
    ];
    for (at, (fault, expected)) in cases.into_iter().enumerate() {
        world.standin.fault("virustotal", Some(fault));
        let name = format!("n{at}.example.com");
        let outcome = ask(&desk, Service::VirusTotal, &name, Aspect::Report).await;
        assert_eq!(class(&outcome), expected, "{at}: {outcome:?}");
        let other = ask(&desk, Service::DnsDumpster, &name, Aspect::Report).await;
        assert_eq!(class(&other), "answered");
        world.pass(2 * 86_400);
    }
    assert!(elsewhere.asked("virustotal").is_empty(), "nothing went to the other host");
    world.standin.fault("virustotal", None);
    assert_eq!(class(&ask(&desk, Service::VirusTotal, FINE, Aspect::Report).await), "answered");
    assert_eq!(class(&ask(&desk, Service::VirusTotal, UNKNOWN, Aspect::Report).await), "not-found");
}

#[tokio::test]
async fn quotas_and_refused_keys_are_honoured_by_everybody() {
    let world = World::new("");
    let desk = world.desk().await;
    world.standin.quota("dnsdumpster", 1);
    let dumpster = |name: &'static str| question(Service::DnsDumpster, name, Aspect::Report);
    let ask = async |question: &Question| {
        class(&desk.ask(question, Purpose::Interactive, Duration::ZERO).await)
    };
    assert_eq!(ask(&dumpster("a.net")).await, "answered");
    assert_eq!(ask(&dumpster("b.net")).await, "unasked: one request in 2 s");
    world.pass(2);
    assert_eq!(ask(&dumpster("b.net")).await, "quota");
    world.pass(6 * 3600);
    assert!(ask(&dumpster("c.net")).await.starts_with("unasked: the quota of the day"));
    assert_eq!(world.standin.asked("dnsdumpster").len(), 2);
    // Free plans are not told of URLs, so that none is spent to hear so.
    let urls = question(Service::VirusTotal, EVIL, Aspect::Urls);
    assert_eq!(ask(&urls).await, "unasked: a paid plan is needed");

    std::fs::write(world.folder.path().join("apivoid.key"), "another-key").unwrap();
    let desk = world.desk().await;
    let ask = async |name: &str| {
        let question = question(Service::ApiVoid, name, Aspect::Report);
        class(&desk.ask(&question, Purpose::Interactive, Duration::ZERO).await)
    };
    assert_eq!(ask("a.net").await, "key-refused");
    assert!(ask("b.net").await.starts_with("unasked: the key is refused"));
    assert_eq!(world.standin.asked("apivoid").len(), 1);
}

#[tokio::test]
async fn no_key_is_in_anything_that_is_kept_or_said() {
    let world = World::new("");
    world.standin.fault("apivoid", Some(Fault::Silence));
    world.standin.fault("dnsdumpster", Some(Fault::Reply(500, vec![], b"no".to_vec())));
    let desk = world.desk().await;
    let mut said = format!("{:?}", world.config);
    for service in Service::ALL {
        for (target, aspect) in [(EVIL, Aspect::Report), (EVIL, Aspect::LegacyReport)] {
            said.push_str(&format!("{:?}", ask(&desk, service, target, aspect).await));
        }
    }
    said.push_str(&format!("{:?}", desk.says().await));
    drop(desk);
    for entry in std::fs::read_dir(world.folder.path()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "key") {
            said.push_str(&String::from_utf8_lossy(&std::fs::read(path).unwrap()));
        }
    }
    assert!(said.contains("login") || said.contains("phishing"), "something was kept");
    for service in Service::ALL {
        assert!(!said.contains(&key(service.as_str())), "the key of {service} is shown");
    }
    assert!(!said.contains("SECRET-"));
}

//! What was kept is there again, whatever happens to the process.

use std::io::{BufRead as _, Write as _};

use super::*;
use crate::ports::ledger::{Answer, LookupOutcome, RegistrationProtocol};

const NOW: Timestamp = Timestamp(1_790_000_000);

fn name(text: &str) -> Name {
    Name::from_presentation(text).unwrap()
}

fn lookup(indicator: &str, asked_at: Timestamp) -> Lookup {
    Lookup {
        provider: "virustotal".to_owned(),
        indicator: indicator.to_owned(),
        asked_at,
        outcome: LookupOutcome::Found,
        body_sha256: Some("ab".repeat(32)),
        facts: serde_json::json!({"malicious": 3}),
        keep_until: asked_at.plus_seconds(86_400),
    }
}

fn registration(domain: &str, outcome: LookupOutcome) -> Registration {
    Registration {
        domain: name(domain),
        outcome,
        protocol: RegistrationProtocol::Rdap,
        server: "https://rdap.test/".to_owned(),
        asked_at: NOW,
        keep_until: NOW.plus_seconds(100),
        registered_at: Some(Timestamp(1_000_000_000)),
        changed_at: None,
        expires_at: Some(Timestamp(1_900_000_000)),
        registrar: Some("9999".to_owned()),
        statuses: vec!["active".to_owned()],
        name_servers: vec![name("ns1.dns.test")],
        body_sha256: None,
    }
}

fn audit(indicator: &str, answer: Answer) -> Audit {
    Audit {
        indicator: indicator.to_owned(),
        answer,
        by: "amy".to_owned(),
        at: NOW,
        sources: vec!["openphish".to_owned()],
        drawn: None,
    }
}

#[tokio::test]
async fn records_come_back_as_they_went_in() {
    let ledger = SqliteLedger::in_memory().unwrap();
    let (first, second) = (lookup("bad.test", NOW), lookup("bad.test", NOW.plus_seconds(5)));
    for kept in [&first, &second, &lookup("other.test", NOW)] {
        ledger.keep_lookup(kept.clone()).await.unwrap();
    }
    assert_eq!(ledger.lookups("bad.test".to_owned()).await.unwrap(), [second, first]);

    let known = registration("b.test", LookupOutcome::Found);
    let missing = registration("a.test", LookupOutcome::NotFound);
    for kept in [&known, &missing] {
        ledger.keep_registration(kept.clone()).await.unwrap();
    }
    assert_eq!(ledger.registrations().await.unwrap(), [missing, known.clone()]);

    let report = Report {
        indicator: "shop.test".to_owned(),
        answer: Answer::Benign,
        by: "amy".to_owned(),
        at: NOW,
        note: Some("our supplier's \"shop\"".to_owned()),
        sources: vec![("certpl".to_owned(), 700)],
        level: "block".to_owned(),
    };
    ledger.keep_report(report.clone()).await.unwrap();
    assert_eq!(ledger.reports().await.unwrap(), [report]);
    let counts = ledger.counts().await.unwrap();
    assert_eq!((counts.lookups, counts.registrations, counts.reports), (3, 2, 1));
}

#[tokio::test]
async fn a_failure_does_not_undo_what_is_known_of_a_registration() {
    let ledger = SqliteLedger::in_memory().unwrap();
    let known = registration("b.test", LookupOutcome::Found);
    ledger.keep_registration(known.clone()).await.unwrap();
    let later = Registration {
        registered_at: None,
        keep_until: NOW.plus_seconds(9_999),
        ..registration("b.test", LookupOutcome::Failed)
    };
    ledger.keep_registration(later.clone()).await.unwrap();
    let expected = Registration { keep_until: later.keep_until, ..known };
    assert_eq!(ledger.registration(name("b.test")).await.unwrap(), Some(expected));
    ledger.keep_registration(registration("b.test", LookupOutcome::NotFound)).await.unwrap();
    let gone = ledger.registration(name("b.test")).await.unwrap().unwrap();
    assert_eq!(gone.outcome, LookupOutcome::NotFound);
}

#[tokio::test]
async fn an_audit_takes_the_draw_that_waits_for_it() {
    let ledger = SqliteLedger::in_memory().unwrap();
    let draw = Draw {
        indicator: "bad.test".to_owned(),
        source: "openphish".to_owned(),
        drawn_from: 239_777,
        drawn_at: NOW,
    };
    ledger.keep_draw(draw.clone()).await.unwrap();
    assert_eq!(ledger.draws().await.unwrap(), [draw]);
    let other = ledger.keep_audit(audit("other.test", Answer::Benign)).await.unwrap();
    assert_eq!(other.drawn, None);
    let drawn = ledger.keep_audit(audit("bad.test", Answer::Malicious)).await.unwrap();
    assert_eq!(drawn.drawn, Some(("openphish".to_owned(), 239_777)));
    assert_eq!(ledger.draws().await.unwrap(), []);
    let again = ledger.keep_audit(audit("bad.test", Answer::Malicious)).await.unwrap();
    assert_eq!(again.drawn, None, "one draw is one part of the sample");
    assert_eq!(ledger.audits().await.unwrap(), [other, drawn, again]);
}

#[tokio::test]
async fn signs_join_and_mutes_end() {
    let ledger = SqliteLedger::in_memory().unwrap();
    let sign = |at: u32, evidence: u32| Sign {
        kind: "tunnel".to_owned(),
        group: "staff".to_owned(),
        subject: name("t.test"),
        first_at: Timestamp(at),
        last_at: Timestamp(at + 60),
        count: 1,
        evidence: serde_json::json!({ "names": evidence }),
    };
    ledger.keep_sign(sign(1000, 5)).await.unwrap();
    ledger.keep_sign(sign(2000, 7)).await.unwrap();
    let joined = ledger.signs().await.unwrap();
    assert_eq!(joined.len(), 1);
    let joined = &joined[0];
    assert_eq!((joined.first_at.0, joined.last_at.0, joined.count), (1000, 2060, 2));
    assert_eq!(joined.evidence, serde_json::json!({ "names": 7 }));

    let mute = Mute {
        subject: name("t.test"),
        kind: None,
        group: None,
        until: Timestamp(500),
        by: "amy".to_owned(),
        at: Timestamp(100),
        reason: None,
    };
    ledger.keep_mute(mute.clone()).await.unwrap();
    assert_eq!(ledger.mutes(Timestamp(499)).await.unwrap(), [mute]);
    assert_eq!(ledger.mutes(Timestamp(500)).await.unwrap(), []);
    assert_eq!(ledger.unmute(name("t.test"), Timestamp(200)).await.unwrap(), 1);
    assert_eq!(ledger.mutes(Timestamp(300)).await.unwrap(), []);
}

#[tokio::test]
async fn what_is_old_goes_and_what_is_too_long_does_not_come_in() {
    let ledger = SqliteLedger::in_memory().unwrap();
    ledger.keep_lookup(lookup("old.test", NOW)).await.unwrap();
    ledger.keep_lookup(lookup("new.test", NOW.plus_seconds(300 * 86_400))).await.unwrap();
    ledger.tidy(NOW.plus_seconds(401 * 86_400)).await.unwrap();
    assert_eq!(ledger.counts().await.unwrap().lookups, 1);
    let long = Audit { by: "x".repeat(501), ..audit("bad.test", Answer::Benign) };
    assert!(matches!(ledger.keep_audit(long).await, Err(LedgerError::TooLong { .. })));
    let facts = serde_json::Value::String("x".repeat(256 << 10));
    let large = Lookup { facts, ..lookup("bad.test", NOW) };
    assert!(matches!(ledger.keep_lookup(large).await, Err(LedgerError::TooLong { .. })));
}

/// Not a test of its own: the process that the next one kills. It says how many records were
/// acknowledged.
#[tokio::test]
async fn writer_to_be_killed() {
    let Some(path) = std::env::args().find_map(|a| a.strip_prefix("ledger=").map(PathBuf::from))
    else {
        return;
    };
    let ledger = SqliteLedger::open(&path).unwrap();
    for round in 1.. {
        ledger.keep_lookup(lookup("bad.test", Timestamp(round))).await.unwrap();
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {round}").unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn a_kill_loses_nothing_that_was_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger.sqlite");
    for round in [30, 7, 60] {
        let before = match SqliteLedger::open(&path) {
            Ok(ledger) => block_on(ledger.counts()).unwrap().lookups,
            Err(error) => panic!("{error}"),
        };
        let mut child = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["ledger::tests::writer_to_be_killed", "--exact", "--nocapture"])
            .arg("--skip")
            .arg(format!("ledger={}", path.display()))
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let out = std::io::BufReader::new(child.stdout.take().unwrap());
        let said = out.lines().map_while(Result::ok).filter(|l| l.contains("acknowledged"));
        let acknowledged = said.take(round).count();
        // SIGKILL, while it goes on writing.
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(acknowledged, round, "the writer stopped by itself");
        let ledger = SqliteLedger::open(&path).unwrap();
        let after = block_on(ledger.counts()).unwrap().lookups;
        assert!(after >= before + round as u64, "{before} and {round} became {after}");
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(future)
}

#[tokio::test]
async fn what_was_asked_is_counted_by_minute_and_key_and_outlives_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = SqliteLedger::path(folder.path());
    let spend = |key: &str, at: u32, units: u32| Spend {
        provider: "virustotal".to_owned(),
        key_tag: key.to_owned(),
        at: Timestamp(at),
        units,
    };
    let ledger = SqliteLedger::open(&path).unwrap();
    for (key, at, units) in [("a", 120, 1), ("a", 179, 2), ("a", 180, 1), ("b", 120, 7)] {
        ledger.keep_spend(spend(key, at, units)).await.unwrap();
    }
    drop(ledger);
    let ledger = SqliteLedger::open(&path).unwrap();
    let found = |key: &str, since: u32| {
        ledger.spends("virustotal".to_owned(), key.to_owned(), Timestamp(since))
    };
    assert_eq!(found("a", 0).await.unwrap(), [spend("a", 120, 3), spend("a", 180, 1)]);
    assert_eq!(found("a", 180).await.unwrap(), [spend("a", 180, 1)]);
    assert_eq!(found("c", 0).await.unwrap(), []);
}

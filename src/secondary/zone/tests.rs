//! A zone over hours of paused time, brought by a script.

use super::super::testing::{NOW, name, zone};
use super::*;
use crate::ports::Validators;
use crate::secondary::TransferKind;
use crate::zone::Soa;
use async_trait::async_trait;
use prometheus_client::registry::Registry;
use std::collections::VecDeque;

/// A clock that goes with the test's time.
struct Going(Instant);

impl Clock for Going {
    fn now(&self) -> Timestamp {
        NOW.plus_seconds(self.0.elapsed().as_secs() as u32)
    }
}

type Outcome = Result<Refreshed, Vec<Failure>>;

/// Gives what a test says in turn, then fails; notes when it was asked and with which serial.
struct Scripted {
    outcomes: Mutex<VecDeque<Outcome>>,
    asked: Mutex<Vec<(u32, Option<u32>)>>,
    clock: Arc<Going>,
}

#[async_trait]
impl Refresh for Scripted {
    async fn refresh(&self, held: Option<Held<'_>>) -> Outcome {
        let at = self.clock.now().0 - NOW.0;
        self.asked.lock().push((at, held.map(|held| held.zone.soa().serial.0)));
        let failure = Failure { from: "a".to_owned(), reason: "silent".to_owned() };
        self.outcomes.lock().pop_front().unwrap_or(Err(vec![failure]))
    }
}

fn brought(serial: u32) -> Outcome {
    let soa = Soa { refresh: 3600, retry: 600, expire: 7200, ..Soa::ours(Serial(serial)) };
    let transfer = Transfer {
        from: "udp://192.0.2.1:53".to_owned(),
        kind: TransferKind::Full,
        duration: Duration::ZERO,
        records: 12,
        octets: 1,
        rejected: 1,
        rejects: vec!["x.rpz.test: no rule".to_owned()],
        exact: true,
        validators: Validators::default(),
    };
    Ok(Refreshed::Transferred(zone(serial, 10).with_soa(soa), transfer))
}

struct Rig {
    zone: Arc<SecondaryZone>,
    scripted: Arc<Scripted>,
    clock: Arc<Going>,
    put: Arc<Mutex<Vec<Option<u32>>>>,
    store: Store,
    _state: Option<tempfile::TempDir>,
}

impl Rig {
    fn new(outcomes: Vec<Outcome>, unload_expired: bool) -> Self {
        let state = tempfile::tempdir().unwrap();
        std::fs::create_dir(state.path().join("transferred")).unwrap();
        let store = Store::of(state.path());
        Self { _state: Some(state), ..Self::over(store, outcomes, unload_expired, "a") }
    }

    /// The zone after a restart.
    fn over(store: Store, outcomes: Vec<Outcome>, unload_expired: bool, from: &str) -> Self {
        let clock = Arc::new(Going(Instant::now()));
        let scripted = Arc::new(Scripted {
            outcomes: Mutex::new(outcomes.into()),
            asked: Mutex::default(),
            clock: clock.clone(),
        });
        let put = Arc::new(Mutex::new(Vec::new()));
        let puts = put.clone();
        let around = Arc::new(Surroundings {
            store: store.clone(),
            clock: clock.clone(),
            metrics: Arc::new(Metrics::new(Registry::default(), "1")),
            put: Box::new(move |_: &Name, version: Option<Zone>| {
                puts.lock().push(version.map(|zone| zone.soa().serial.0));
            }),
            refreshes: Semaphore::new(REFRESHES_MAX),
        });
        let settings = ZoneSettings {
            name: name("rpz.test"),
            configured: vec![from.to_owned()],
            refresh: scripted.clone(),
            pause_min: 0,
            unload_expired,
            seed: 7,
        };
        let kept = store.load(&name("rpz.test")).unwrap();
        let zone = Arc::new(SecondaryZone::new(settings, around, kept));
        Self { zone, scripted, clock, put, store, _state: None }
    }

    /// Lets so many seconds go by.
    async fn run_for(&self, seconds: u64) {
        let _ = tokio::time::timeout(Duration::from_secs(seconds), self.zone.keep_fresh()).await;
    }

    fn asked(&self) -> Vec<(u32, Option<u32>)> {
        self.scripted.asked.lock().clone()
    }

    fn says(&self) -> SecondarySays {
        self.zone.says(self.clock.now())
    }
}

#[tokio::test(start_paused = true)]
async fn a_zone_is_taken_at_once_and_asked_for_again_when_its_soa_says() {
    let rig = Rig::new(vec![brought(1), Ok(Refreshed::Unchanged), brought(2)], false);
    assert_eq!(rig.says().state, "waiting");
    rig.run_for(7300).await;
    assert_eq!(*rig.put.lock(), [Some(1), Some(2)]);
    let asked = rig.asked();
    assert_eq!(asked.iter().map(|(_, held)| *held).collect::<Vec<_>>(), [None, Some(1), Some(1)]);
    for pair in asked.windows(2) {
        assert!((3240..=3600).contains(&(pair[1].0 - pair[0].0)), "{asked:?}");
    }
    let says = rig.says();
    assert_eq!((says.state.as_str(), says.rejected), ("current", 1));
    assert_eq!(says.from.as_deref(), Some("udp://192.0.2.1:53"));
    let (kept, record) = rig.store.load(&name("rpz.test")).unwrap().unwrap();
    assert_eq!((kept.soa().serial, record.serial), (Serial(2), 2));
}

#[tokio::test(start_paused = true)]
async fn a_failure_keeps_the_version_and_is_tried_again_as_the_soa_says() {
    let rig = Rig::new(vec![brought(1)], false);
    rig.run_for(5000).await;
    assert_eq!(*rig.put.lock(), [Some(1)]);
    let asked = rig.asked();
    assert!((540..=600).contains(&(asked[2].0 - asked[1].0)), "{asked:?}");
    let says = rig.says();
    assert_eq!(says.state, "stale");
    assert_eq!(says.error.as_deref(), Some("a: silent"));
}

#[tokio::test(start_paused = true)]
async fn a_version_that_expired_stays_or_goes_as_configured_and_then_any_is_taken() {
    for (unload, put, state) in
        [(false, vec![Some(1)], "expired"), (true, vec![Some(1), None], "unloaded")]
    {
        let rig = Rig::new(vec![brought(1)], unload);
        rig.run_for(9000).await;
        assert_eq!(*rig.put.lock(), put);
        assert_eq!(rig.says().state, state);
        assert_eq!(rig.asked().last().unwrap().1, None, "serials do not count any more");
        rig.scripted.outcomes.lock().push_back(brought(1));
        rig.run_for(700).await;
        assert_eq!(rig.put.lock().last(), Some(&Some(1)));
        assert_eq!(rig.says().state, "current");
    }
}

#[tokio::test(start_paused = true)]
async fn word_of_a_newer_version_leads_to_a_question_at_once() {
    let rig = Rig::new(vec![brought(5), brought(6), brought(7)], false);
    rig.run_for(10).await;
    rig.zone.notified(Some(Serial(5)));
    rig.run_for(10).await;
    assert_eq!(rig.asked().len(), 1, "that version is there already");
    rig.zone.notified(Some(Serial(6)));
    rig.run_for(10).await;
    rig.zone.notified(None);
    rig.run_for(10).await;
    assert_eq!(*rig.put.lock(), [Some(5), Some(6), Some(7)]);
    assert_eq!(rig.asked().iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 20, 30]);
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_word_leads_to_a_question_a_second() {
    let rig = Rig::new(vec![brought(1)], false);
    let flood = async {
        loop {
            rig.zone.notified(None);
            sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::select! {
        () = flood => {}
        () = rig.run_for(10) => {}
    }
    assert!((8..=11).contains(&rig.asked().len()), "{:?}", rig.asked());
}

#[tokio::test(start_paused = true)]
async fn after_a_restart_the_version_is_built_upon_unless_it_came_from_elsewhere() {
    let rig = Rig::new(vec![brought(5)], false);
    rig.run_for(10).await;
    let again = Rig::over(rig.store.clone(), vec![brought(6)], false, "a");
    again.run_for(1).await;
    assert!(again.asked().is_empty(), "it was asked for a moment ago");
    assert_eq!(again.says().state, "current");
    let moved = Rig::over(rig.store.clone(), vec![brought(2)], false, "b");
    moved.run_for(1).await;
    assert_eq!(moved.asked(), [(0, None)]);
    assert_eq!(*moved.put.lock(), [Some(2)]);
}

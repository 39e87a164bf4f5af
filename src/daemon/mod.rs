//! Wires the program: start order, reload, shutdown.
//!
//! The order of a start, and why: the state directory first, so that no other daemon writes it;
//! then everything that decides ([`restore`]), since the resolver opens its doors only with a
//! snapshot in force; then the doors; then what may take its time (feeds, a fresh judgement, the
//! export). A stop goes the other way round.

pub mod answers;
pub mod artefacts;
pub mod asker;
pub mod book;
pub mod clock;
pub mod designation;
pub mod desk;
pub mod exporter;
pub mod feeds;
pub mod investigation;
pub mod keeper;
pub mod keys;
pub mod learning;
pub mod local;
pub mod local_facts;
pub mod neighbourhood;
pub mod notices;
pub mod observer;
pub mod offline;
pub mod opinions;
pub mod publisher;
pub mod records;
pub mod registrations;
pub mod releases;
pub mod reload;
pub mod resolver;
pub mod restore;
pub mod reviews;
pub mod secondaries;
pub mod service;
pub mod sockets;
pub mod state;
pub mod training;
pub mod transfers;
pub mod watch;
pub mod watching;
pub mod why;
pub mod writer;
pub mod zone_service;

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread::JoinHandle;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use prometheus_client::registry::Registry;
use tokio::net::{TcpListener, UnixListener};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch as state_watch;
use tokio_util::sync::CancellationToken;

use crate::api::{self, Answers as _};
use crate::archive::Generations;
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::model::time::Clock;
use crate::pipeline::Published;
use crate::pipeline::report::{PolicySays, Status};
use crate::ports::WhyService;
use crate::resolver::garden::Garden;
use crate::resolver::handler::InForce;
use crate::resolver::upstream::UpstreamResolver;
use crate::source::fetch::{Fetcher, HttpClient, HttpConfig};
use crate::source::provider::{Client as LookupClient, ClientSettings};
use crate::source::rdap::whois::TcpWhois;
use crate::source::rdap::{Registries, Whois};
use crate::telemetry::Metrics;
use crate::telemetry::events::EventSender;

use self::answers::{Fixed, Voice};
use self::asker::Asker;
use self::clock::SystemClock;
use self::desk::Desk;
use self::exporter::Exporter;
use self::feeds::Feeds;
use self::investigation::Investigator;
use self::keys::KeyRing;
use self::opinions::Memory;
use self::publisher::Publisher;
use self::reload::Reloader;
use self::restore::{Restored, restore};
use self::secondaries::Secondaries;
use self::sockets::Sockets;
use self::state::State;
use self::writer::{Event, Writer};
use self::zone_service::ZoneService;

/// What somebody who watches a start is told.
pub trait Watcher: Send + Sync {
    /// What is being done now; `None` when it is over.
    fn doing(&self, what: Option<&str>);
    /// How the program is, once it answers.
    fn ready(&self, status: &Status);
}

/// Runs until told to stop.
pub async fn serve(
    config: Config,
    reread: Box<keeper::Reread>,
    watcher: &dyn Watcher,
) -> Result<(), Vec<Diagnostic>> {
    let config = Arc::new(config);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let started_at = clock.now();
    let metrics = Arc::new(Metrics::new(Registry::default(), env!("CARGO_PKG_VERSION")));
    let (keys, weak) = KeyRing::read(&config)?;
    let state = State::take(&config.state_directory)?;
    watcher.doing(Some("reading the state directory"));
    let restored = restore(&config, state.directory(), state.seed, started_at)?;
    let Restored {
        mut pipeline,
        mut standings,
        mut counting,
        prediction,
        book,
        local,
        fell_back,
        has_generation,
        transferred,
        findings,
    } = restored;
    for finding in weak.iter().chain(&findings).chain(&local.findings) {
        tracing::warn!("{finding}");
    }
    if !fell_back && let Err(error) = local.keep(state.directory()) {
        tracing::error!(%error, "a start with broken files would not know this policy");
    }

    let (ledger, finding) = records::open(state.directory(), started_at)?;
    if let Some(finding) = finding {
        tracing::warn!("{finding}");
    }

    let registrations = ledger.registrations().await.unwrap_or_else(|error| {
        tracing::error!(%error, "scores do not know when domains were registered");
        Vec::new()
    });
    standings.registered = Arc::new(registrations::registered(&registrations));
    pipeline.set_standings(standings.clone());

    let (events, inbox) = mpsc::channel();
    let memory = Memory::load(&ledger, events.clone(), started_at).await;
    let memory = memory.map_err(|error| Diagnostic::error(error.to_string()))?;
    standings.opinions = memory.opinions();
    let memory = Arc::new(memory);
    let book = Arc::new(book);
    let fetch = Arc::new(Fetcher::new(http_client(state.directory())?));
    let secondaries = Arc::new(Secondaries::open(secondaries::Needs {
        config: &config,
        state: state.directory(),
        keys: &keys,
        fetch: fetch.clone(),
        clock: clock.clone(),
        events: events.clone(),
        metrics: metrics.clone(),
        seed: state.seed,
        transferred,
    })?);
    let feeds = Arc::new(Feeds::new(
        book.clone(),
        fetch.clone(),
        clock.clone(),
        events.clone(),
        metrics.clone(),
    ));
    feeds.take_local_files(&|source| watcher.doing(Some(&format!("reading {source}")))).await;
    watcher.doing(Some("judging"));
    let learnt = take_in(&inbox, &mut pipeline, &mut standings, &mut counting);
    counting.count(pipeline.model(), pipeline.sources(), clock.now());
    standings.neighbourhood = Arc::new(counting.neighbourhood());
    pipeline.set_standings(standings.clone());
    let kept =
        pipeline.generated().iter().map(|(o, zone)| (o.clone(), zone.soa().serial)).collect();
    let first = match has_generation {
        true => pipeline.assemble(clock.now()),
        false => pipeline.rebuild(clock.now()),
    };
    let first = first.map_err(|error| vec![Diagnostic::error(error.to_string())])?;
    let remembered = match config.pdns.enabled {
        true => {
            watcher.doing(Some("reading what was seen"));
            let now = clock.now();
            let (file, table, finding) =
                observer::open(state.directory(), config.pdns.limits, &standings, now)?;
            if let Some(finding) = finding {
                tracing::warn!("{finding}");
            }
            // The first judgement knows what the last one before the stop knew.
            standings.seen = Arc::new(observer::view(&table, &first, now));
            pipeline.set_standings(standings.clone());
            Some((file, Arc::new(parking_lot::RwLock::new(table))))
        }
        false => None,
    };

    let upstream = UpstreamResolver::new(resolver::upstream(&config));
    let upstream = Arc::new(upstream.map_err(|error| vec![resolver::unusable(&error)])?);
    let in_force = Arc::new(ArcSwap::from_pointee(InForce::new(first.snapshot.clone(), &metrics)));
    let (published, readers) = state_watch::channel(first.clone());
    let publisher = Publisher {
        in_force: in_force.clone(),
        published,
        upstream: upstream.clone(),
        metrics: metrics.clone(),
    };
    publisher.publish(first);
    let writer = Writer {
        pipeline,
        standings,
        counting,
        publisher,
        generations: Generations::of(state.directory()),
        clock: clock.clone(),
        metrics: metrics.clone(),
        kept,
        reports: events.clone(),
    };
    let judge_at_once = !has_generation || learnt;
    let writing = std::thread::Builder::new()
        .name("pipeline".to_owned())
        .spawn(move || writer.run(&inbox, judge_at_once))
        .map_err(|error| vec![Diagnostic::error(format!("no thread: {error}"))])?;

    let out = transfers::prepare(&config, &keys, state.directory(), state.seed, &clock, &metrics);
    let transfers = out.as_ref().map(|out| out.transfers.clone());
    let stop = CancellationToken::new();
    let again = Arc::new(tokio::sync::Notify::new());
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let pdns = remembered.as_ref().map(|(_, table)| table.clone());
    let (mut tap, mut telling, mut observing) = (None, EventSender::nobody(), None);
    if let Some((file, table)) = remembered {
        let (answered, answers) = resolver::tap();
        let (sender, queries) = resolver::queries();
        (tap, telling) = (Some(answered), sender);
        let observer = observer::Observer {
            table,
            file,
            answers,
            queries,
            watching: config.pdns.signs.then(|| {
                watching::Watching::new(ledger.clone(), tokio::runtime::Handle::current())
            }),
            published: readers.clone(),
            clock: clock.clone(),
            events: events.clone(),
            metrics: metrics.clone(),
        };
        observing = Some(observer.start(stop.clone())?);
    }
    let sockets = Sockets::open(&config.resolver, workers)?;
    let (listening, has_encrypted) = (sockets.addresses(), sockets.has_encrypted());
    let zone_service = ZoneService {
        secondaries: Some(secondaries.clone()).filter(|zones| !zones.is_empty()),
        published: transfers.as_ref().map(|transfers| transfers.service()),
    };
    let doors = resolver::open(resolver::Needs {
        config: &config,
        sockets,
        transfers: zone_service.service(),
        in_force,
        upstream: upstream.clone(),
        clock: clock.clone(),
        metrics: metrics.clone(),
        seed: state.seed,
        events: telling,
        tap,
        stop: stop.clone(),
        reread,
        again: again.clone(),
        why: why_desk(&config, &readers, transfers.clone()),
    })?;
    let mut not_running = Vec::new();
    if !config.pdns.enabled {
        not_running
            .push("passive DNS: `[pdns]` is off, so nothing is known of who uses what".to_owned());
    }
    if !has_encrypted {
        not_running.push("encrypted DNS: `[resolver.encrypted]` has no addresses".to_owned());
    }
    open_garden(&config, &readers, &clock, state.seed, &stop, &mut not_running).await?;
    feeds.look_at(readers.clone());
    feeds.run(&stop);
    secondaries.run(&stop);
    let trainer = Arc::new(training::Trainer::new(
        config.prediction,
        state.directory(),
        prediction,
        book.clone(),
        readers.clone(),
        clock.clone(),
        events.clone(),
    ));
    if config.registration.enabled {
        let whois = config.registration.whois.then(|| Arc::new(TcpWhois) as Arc<dyn Whois>);
        let inquirer = registrations::Inquirer {
            settings: config.registration,
            registries: Registries::new(fetch, whois),
            ledger: ledger.clone(),
            published: readers.clone(),
            clock: clock.clone(),
            events: events.clone(),
            seed: state.seed,
        };
        tokio::spawn(inquirer.run(stop.clone()));
    } else {
        not_running
            .push("ages of domains: `[registration]` is off, so no registry is asked".to_owned());
    }
    tokio::spawn(trainer.clone().run(stop.clone()));
    tokio::spawn(records::keep_tidy(ledger.clone(), clock.clone(), stop.clone()));

    let (says, policy) =
        state_watch::channel(PolicySays::of(fell_back, started_at.0, &local.findings));
    let (reload, commands) = tokio::sync::mpsc::channel(4);
    let export = open_export(&config, &readers, &clock)?;
    if !artefacts::open(&config, state.directory(), &readers, &clock, &stop).await? {
        not_running.push("artefacts over HTTP: `[publish.http] listen` is empty".to_owned());
    }
    let mut transfer_doors = Vec::new();
    match out {
        Some(out) => {
            transfer_doors = out.open(&config.publish.transfer, &stop)?;
            out.run(readers.clone(), &stop);
        }
        None => not_running.push("zone transfer: there is no `[[secondary]]`".to_owned()),
    }
    let client = LookupClient::new(ClientSettings::default());
    let client = client.map_err(|error| Diagnostic::error(format!("HTTP client: {error}")))?;
    let (desk, found) = Desk::open(&config, client, ledger.clone(), clock.clone()).await;
    found.iter().for_each(|finding| tracing::warn!("{finding}"));
    not_running.extend(desk.not_running());
    let desk = Arc::new(desk);
    let asker = Arc::new(Asker {
        desk: desk.clone(),
        memory: memory.clone(),
        published: readers.clone(),
        clock: clock.clone(),
        seed: state.seed,
        internal: config.upstream.zones.iter().map(|zone| zone.name.clone()).collect(),
        asked: asker::asked(&ledger, started_at).await.into(),
        plans: Mutex::default(),
    });
    asker.start(&stop);
    let investigator = Arc::new(Investigator {
        desk: desk.clone(),
        memory: memory.clone(),
        published: readers.clone(),
        caching: Some(doors.caching.clone()),
        clock: clock.clone(),
    });
    let voice = Arc::new(Voice {
        published: readers,
        book,
        secondaries,
        policy,
        reload,
        metrics: metrics.clone(),
        clock: clock.clone(),
        ledger: ledger.clone(),
        transfers,
        desk,
        investigator,
        asker,
        trainer,
        events: events.clone(),
        state: state.directory().to_owned(),
        pdns,
        caching: doors.caching.clone(),
        upstream,
        fixed: Fixed {
            started_at: Some(started_at),
            listening,
            upstream: resolver::describe(&config),
            not_running,
            export,
        },
    });
    open_api(&config, &voice, &stop).await?;
    let (_watch, saved) = watch_files(&config)?;
    let hangup = signal(SignalKind::hangup()).map_err(no_signals)?;
    let reloader = Reloader {
        config: config.clone(),
        state: state.directory().to_owned(),
        hash_seed: state.seed,
        clock,
        events: events.clone(),
        says,
        metrics,
        configuration: again,
    };
    tokio::spawn(reloader.run(saved, hangup, commands));

    watcher.doing(None);
    watcher.ready(&voice.status());
    service::run_until_told(&stop).await.map_err(no_signals)?;
    drop(transfer_doors);
    doors.close().await;
    // The writer may have ended with an error of its own, which it has logged.
    let _ = events.send(Event::Stop);
    let ended = move || (writing.join(), observing.map(JoinHandle::join));
    let _ = tokio::task::spawn_blocking(ended).await;
    Ok(())
}

/// Takes in what was learnt before the writer runs. Whether anything was.
fn take_in(
    inbox: &mpsc::Receiver<Event>,
    pipeline: &mut crate::pipeline::Pipeline,
    standings: &mut crate::pipeline::Standings,
    counting: &mut neighbourhood::Counting,
) -> bool {
    let mut learnt = false;
    for event in inbox.try_iter() {
        match event {
            Event::Claims { source, claims, .. } => {
                pipeline.set_claims(&source, claims);
            }
            Event::Standings(change) => {
                change(standings);
                pipeline.set_standings(standings.clone());
            }
            Event::Routes(routes) => {
                let (table, names) = *routes;
                counting.set_routes(table, names);
            }
            // Nothing is judged and no file watched before the writer runs.
            Event::Model(..)
            | Event::Local(..)
            | Event::Version(..)
            | Event::Judged(..)
            | Event::Kept(_)
            | Event::Stop => continue,
        }
        learnt = true;
    }
    learnt
}

fn http_client(state: &Path) -> Result<HttpClient, Diagnostic> {
    let settings = HttpConfig::new(state.join("spool"));
    HttpClient::new(settings).map_err(|error| Diagnostic::error(format!("HTTP client: {error}")))
}

/// Opens the page for redirected clients, where one is configured.
async fn open_garden(
    config: &Config,
    readers: &state_watch::Receiver<Arc<Published>>,
    clock: &Arc<dyn Clock>,
    seed: u64,
    stop: &CancellationToken,
    not_running: &mut Vec<String>,
) -> Result<(), Diagnostic> {
    if config.page.listen.is_empty() {
        not_running.push("the page for redirected clients: `[page] listen` is empty".to_owned());
    }
    for address in &config.page.listen {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Diagnostic::error(format!("walled garden on {address}: {error}"))
                .hint("`[page] listen` names its addresses")
        })?;
        let reasons = Arc::new(notices::Notices(readers.clone()));
        let garden = Arc::new(Garden { reasons, clock: clock.clone(), seed });
        let stop = stop.clone();
        tokio::spawn(async move {
            tokio::select! {
                _ = garden.serve(listener) => {}
                () = stop.cancelled() => {}
            }
        });
    }
    Ok(())
}

/// Who says why names are blocked, where somebody may ask over DNS.
fn why_desk(
    config: &Config,
    readers: &state_watch::Receiver<Arc<Published>>,
    transfers: Option<Arc<transfers::Transfers>>,
) -> Option<Arc<dyn WhyService>> {
    let networks = config.publish.why_from.clone();
    let (published, origin) = (readers.clone(), config.publish.origin.clone());
    (!networks.is_empty())
        .then(|| Arc::new(why::WhyDesk { published, networks, origin, transfers }) as _)
}

/// Starts the export, where one is configured.
fn open_export(
    config: &Config,
    readers: &state_watch::Receiver<Arc<Published>>,
    clock: &Arc<dyn Clock>,
) -> Result<Option<std::path::PathBuf>, Diagnostic> {
    for folder in config.publish.all_folders() {
        let shown = folder.directory.display().to_string();
        let exporter = Exporter::open(folder, clock.clone()).map_err(|error| {
            Diagnostic::error(format!("{shown}: {error}"))
                .hint("`[publish] directory` names where zones are exported to")
        })?;
        tokio::spawn(exporter.run(readers.clone()));
    }
    Ok(config.publish.directory.clone())
}

async fn open_api(
    config: &Config,
    voice: &Arc<Voice>,
    stop: &CancellationToken,
) -> Result<(), Diagnostic> {
    let path = &config.api.socket;
    let failed = |error: &dyn std::fmt::Display| {
        Diagnostic::error(format!("{}: {error}", path.display()))
            .hint("`[api] socket` names the socket for `sekisho status` and the like")
    };
    // The state directory is ours alone, so a socket that is there is one of a run that ended.
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&error)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(|error| failed(&error))?;
    let private = std::fs::Permissions::from_mode(0o660);
    std::fs::set_permissions(path, private).map_err(|error| failed(&error))?;
    let local = axum::serve(listener, api::local(voice.clone()));
    let stopped = stop.clone();
    tokio::spawn(async move {
        let served = local.with_graceful_shutdown(stopped.cancelled_owned()).await;
        if let Err(error) = served {
            tracing::error!(%error, "the socket for commands is closed");
        }
    });
    if let Some(address) = config.api.http {
        let listener = TcpListener::bind(address).await.map_err(|error| {
            Diagnostic::error(format!("{address}: {error}")).hint("see `[api] http`")
        })?;
        let public = axum::serve(listener, api::public(voice.clone()));
        let stopped = stop.clone();
        tokio::spawn(async move {
            let served = public.with_graceful_shutdown(stopped.cancelled_owned()).await;
            if let Err(error) = served {
                tracing::error!(%error, "metrics are no longer served");
            }
        });
    }
    Ok(())
}

fn watch_files(
    config: &Config,
) -> Result<(watch::Watch, tokio::sync::mpsc::Receiver<()>), Diagnostic> {
    let directories = [config.policies_directory.as_path(), config.zones_directory.as_path()];
    watch::watch(&directories).map_err(|error| {
        Diagnostic::error(format!("the policy cannot be watched: {error}"))
            .hint("`policies_directory` and `zones_directory` must be there")
    })
}

fn no_signals(error: std::io::Error) -> Vec<Diagnostic> {
    vec![Diagnostic::error(format!("signals: {error}"))]
}

//! `sekisho investigate`: asked of the daemon, which has the keys and the cache; without one, done
//! here with what can be read.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use super::args::{Arguments, Investigate};
use super::questions::{client, refused, runtime};
use super::{Failure, configuration, print, print_json, render};
use crate::api::client::escaped;
use crate::api::{ClientError, InvestigateQuestion};
use crate::config::Config;
use crate::daemon::clock::SystemClock;
use crate::daemon::desk::Desk;
use crate::daemon::investigation::{Investigator, WAIT_SECONDS_MAX};
use crate::daemon::offline::Offline;
use crate::daemon::opinions::Memory;
use crate::daemon::records;
use crate::diagnostic::{Diagnostic, nearest};
use crate::disk;
use crate::document::listed;
use crate::investigate::{Dossier, Progress, graph, html, misp, stix, table, xlsx};
use crate::model::lookup::Service;
use crate::model::time::Clock;
use crate::source::provider::{Client as LookupClient, ClientSettings};

/// Investigates and hands out the dossier in the forms that were asked for.
pub fn run(arguments: &Arguments, investigate: &Investigate) -> Result<(), Failure> {
    let question = question(investigate)?;
    let config = configuration(arguments)?;
    let quiet = arguments.json;
    let dossier = runtime()?.block_on(async {
        let mut dossier = None;
        let (daemon, at) = (client(&config), path(&question));
        let asked = daemon.lines(&at, |line| {
            take(line, quiet, &mut dossier);
        });
        match asked.await {
            Ok(()) => Ok(dossier),
            Err(ClientError::Down { .. }) => here(&config, question, quiet).await.map(Some),
            Err(error) => Err(refused(error)),
        }
    })?;
    let dossier = dossier.ok_or_else(|| Diagnostic::error("the daemon stopped before the end"))?;
    let printed = hand_out(investigate, &dossier)?;
    match (arguments.json, printed) {
        (true, _) => print_json(&dossier)?,
        (false, false) => print(&render::investigate::dossier(&dossier)),
        (false, true) => {}
    }
    Ok(())
}

fn question(investigate: &Investigate) -> Result<InvestigateQuestion, Failure> {
    if investigate.wait > WAIT_SECONDS_MAX {
        let message = format!("nobody waits {} s", investigate.wait);
        return Err(Diagnostic::error(message).hint(format!("at most {WAIT_SECONDS_MAX}")).into());
    }
    for word in &investigate.service {
        if Service::of_word(word).is_none() {
            let known = Service::ALL.map(Service::as_str);
            let hint = match nearest(word, known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("known are {}", listed(known, "and")),
            };
            return Err(Diagnostic::error(format!("there is no service `{word}`"))
                .hint(hint)
                .into());
        }
    }
    let question = InvestigateQuestion {
        target: investigate.target.clone(),
        wait_seconds: investigate.wait,
        services: investigate.service.join(","),
    };
    Investigator::target(&question)?;
    Ok(question)
}

fn path(question: &InvestigateQuestion) -> String {
    format!(
        "/v1/investigate?target={}&wait_seconds={}&services={}",
        escaped(&question.target),
        question.wait_seconds,
        escaped(&question.services)
    )
}

/// Takes in a line of the daemon.
fn take(line: &str, quiet: bool, dossier: &mut Option<Dossier>) {
    match serde_json::from_str(line) {
        Ok(Progress::Done { dossier: done }) => *dossier = Some(*done),
        Ok(step) => tell(&step, quiet),
        // A daemon of another version says what this one does not know.
        Err(_) => {}
    }
}

/// Says how it goes, where people read along.
fn tell(step: &Progress, quiet: bool) {
    let Progress::Step { service, what, outcome, done, of } = step else { return };
    if !quiet {
        let outcome = render::harmless(outcome);
        anstream::eprintln!("[{done}/{of}] {service} {what}: {outcome}");
    }
}

/// The investigation in this process, with what the state directory has.
async fn here(
    config: &Config,
    question: InvestigateQuestion,
    quiet: bool,
) -> Result<Dossier, Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let now = clock.now();
    let offline = Offline::open(config, now)?;
    let (ledger, _) = records::open(&config.state_directory, now)?;
    let http = |error: &dyn std::fmt::Display| Diagnostic::error(format!("HTTP client: {error}"));
    let lookups = LookupClient::new(ClientSettings::default()).map_err(|error| http(&error))?;
    let (desk, findings) = Desk::open(config, lookups, ledger.clone(), clock.clone()).await;
    super::say(&findings);
    // Nobody judges here; the sender alone keeps what is said from being an error.
    let (events, _inbox) = std::sync::mpsc::channel();
    let memory = Memory::load(&ledger, events, now).await;
    let memory = memory.map_err(|error| Diagnostic::error(error.to_string()))?;
    let (_keep, published) = watch::channel(offline.published.clone());
    let investigator = Investigator {
        desk: Arc::new(desk),
        memory: Arc::new(memory),
        published,
        caching: None,
        clock,
    };
    let target = Investigator::target(&question)?;
    let (say, mut told) = mpsc::channel(16);
    let listening = async {
        let mut dossier = None;
        while let Some(step) = told.recv().await {
            match step {
                Progress::Done { dossier: done } => dossier = Some(*done),
                step => tell(&step, quiet),
            }
        }
        dossier
    };
    let (ran, dossier) = tokio::join!(investigator.run(target, question, say), listening);
    ran?;
    dossier.ok_or_else(|| Diagnostic::error("the investigation ended without a dossier").into())
}

/// Writes the forms that have a file. Whether one went to standard output.
fn hand_out(investigate: &Investigate, dossier: &Dossier) -> Result<bool, Failure> {
    let pretty = |value: &serde_json::Value| format!("{value:#}\n").into_bytes();
    let mut printed = false;
    let mut write = |path: &Option<PathBuf>, make: &dyn Fn() -> Vec<u8>| match path {
        None => Ok(()),
        Some(path) => out(path, &make(), &mut printed),
    };
    write(&investigate.html, &|| html::page(dossier).into_bytes())?;
    write(&investigate.dot, &|| graph::graph(dossier).dot().into_bytes())?;
    write(&investigate.graphml, &|| graph::graph(dossier).graphml().into_bytes())?;
    write(&investigate.stix, &|| pretty(&stix::bundle(dossier)))?;
    write(&investigate.misp, &|| pretty(&misp::event(dossier)))?;
    write(&investigate.csv, &|| table::csv(dossier))?;
    write(&investigate.xlsx, &|| xlsx::xlsx(dossier))?;
    Ok(printed)
}

fn out(path: &Path, octets: &[u8], printed: &mut bool) -> Result<(), Failure> {
    use std::io::Write as _;
    let failed = |error: std::io::Error| Diagnostic::error(format!("{}: {error}", path.display()));
    if path.as_os_str() == "-" {
        *printed = true;
        return std::io::stdout().write_all(octets).map_err(|error| failed(error).into());
    }
    disk::replace(path, |out| out.write_all(octets)).map_err(|error| failed(error).into())
}

//! Questions: to the running daemon, or to its state directory where none runs.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::{Arguments, Asn, Feeds, FeedsCommand, Flush, Refresh, Why};
use super::{Failure, configuration, print, print_json, render};
use crate::api::client::escaped;
use crate::api::{AsnQuestion, AsnRankQuestion, Client, ClientError, Reloaded, WhyQuestion};
use crate::config::Config;
use crate::daemon::clock::SystemClock;
use crate::daemon::offline::Offline;
use crate::diagnostic::Diagnostic;
use crate::model::Indicator;
use crate::model::time::Clock as _;
use crate::pipeline::{FeedValue, report};
use crate::ports::budget::BudgetSays;

/// How often a training is looked at.
const LOOK: std::time::Duration = std::time::Duration::from_millis(500);

/// Why a name is answered as it is.
pub fn why(arguments: &Arguments, why: &Why) -> Result<(), Failure> {
    let question = WhyQuestion {
        indicator: why.name.clone(),
        client: why.client,
        rtype: why.rtype.clone(),
        transport: why.transport.clone(),
        dnssec_ok: why.dnssec,
        no_recursion: why.no_recursion,
        resolve: !why.no_resolve,
    };
    let mut path = format!(
        "/v1/why?indicator={}&dnssec_ok={}&no_recursion={}&resolve={}",
        escaped(&why.name),
        question.dnssec_ok,
        question.no_recursion,
        question.resolve
    );
    for (key, value) in [
        ("client", why.client.map(|c| c.to_string())),
        ("rtype", why.rtype.clone()),
        ("transport", why.transport.clone()),
    ] {
        if let Some(value) = value {
            path.push_str(&format!("&{key}={}", escaped(&value)));
        }
    }
    let now = SystemClock.now();
    let answer: report::Why = ask(arguments, &path, |offline| offline.why(&question, now))?;
    show(arguments, &answer, render::why::why)
}

/// How the program is.
pub fn status(arguments: &Arguments) -> Result<(), Failure> {
    let answer = ask_status(arguments)?;
    show(arguments, &answer, render::status::status)
}

pub(super) fn ask_status(arguments: &Arguments) -> Result<report::Status, Failure> {
    let now = SystemClock.now();
    ask(arguments, "/v1/status", |offline| Ok(offline.status(now)))
}

/// Has the model of names trained and waits for it.
pub fn train(arguments: &Arguments) -> Result<(), Failure> {
    let _: serde_json::Value = command(arguments, "/v1/model/train")?;
    let config = configuration(arguments)?;
    let waiting = async {
        loop {
            let status: report::Status = client(&config).get("/v1/status").await?;
            match status.prediction {
                Some(says) if says.running => tokio::time::sleep(LOOK).await,
                says => return Ok(says.unwrap_or_default()),
            }
        }
    };
    let says: report::PredictionSays = runtime()?.block_on(waiting).map_err(refused)?;
    if let Some((_, error)) = &says.failure {
        let finding = Diagnostic::error(format!("no model was trained: {error}"));
        return Err(finding.hint("the model in force, if there is one, stays").into());
    }
    let now = SystemClock.now();
    show(arguments, &says, |says| render::status::prediction(says, now.0))
}

/// The sources.
pub fn feeds(arguments: &Arguments, feeds: &Feeds) -> Result<(), Failure> {
    if let Some(FeedsCommand::Accept { source }) = &feeds.command {
        let path = format!("/v1/feeds/accept?source={}", escaped(source));
        let answer: serde_json::Value = command(arguments, &path)?;
        return show(arguments, &answer, |answer| match answer["held"].as_u64().unwrap_or(0) {
            0 => "nothing was put aside; the next copy is taken as it is".to_owned(),
            1 => "the entry that was put aside comes into force".to_owned(),
            held => format!("{held} entries that were put aside come into force"),
        });
    }
    let now = SystemClock.now();
    if feeds.value {
        let values: Vec<FeedValue> = get(arguments, "/v1/feeds/value")?;
        return show(arguments, &values, |values| render::reviews::values(values));
    }
    let mut answer: Vec<report::FeedSays> =
        ask(arguments, "/v1/feeds", |offline| Ok(offline.feeds(now)))?;
    if let Some(id) = &feeds.source {
        let known: Vec<String> = answer.iter().map(|feed| feed.id.clone()).collect();
        answer.retain(|feed| feed.id == *id);
        if answer.is_empty() {
            let finding = Diagnostic::error(format!("there is no source `{id}`"));
            let near = crate::diagnostic::nearest(id, known.iter().map(String::as_str));
            return Err(match near {
                Some(near) => finding.hint(format!("did you mean `{near}`?")).into(),
                None => finding.into(),
            });
        }
    }
    let samples = feeds.source.is_some();
    show(arguments, &answer, |feeds| render::feeds::feeds(feeds, now.0, samples))
}

/// The worst AS, or one of them.
pub fn asn(arguments: &Arguments, asn: &Asn) -> Result<(), Failure> {
    let (days, now) = (usize::from(asn.days), SystemClock.now());
    if asn.what == "rank" {
        let count = usize::from(asn.count);
        let question = AsnRankQuestion { v6: asn.v6, circl: asn.circl, days, count };
        let path =
            format!("/v1/asn/rank?v6={}&circl={}&days={days}&count={count}", asn.v6, asn.circl);
        let answer: report::AsnRanking =
            ask(arguments, &path, |offline| Ok(offline.asn_ranking(&question, now)))?;
        return show(arguments, &answer, render::asn::ranking);
    }
    let system = match Indicator::parse(&asn.what) {
        Ok(Indicator::As(system)) => system,
        _ => {
            return Err(Diagnostic::error(format!("`{}` is not an AS", asn.what))
                .hint("write `rank`, or an AS such as `AS64500`")
                .into());
        }
    };
    let question = AsnQuestion { system, days };
    let path = format!("/v1/asn?system={system}&days={days}");
    let answer: report::AsnSays = ask(arguments, &path, |offline| Ok(offline.asn(&question, now)))?;
    show(arguments, &answer, render::asn::system)
}

/// How look-ups stand. Only a daemon has the keys and counts what is asked.
pub fn budget(arguments: &Arguments) -> Result<(), Failure> {
    let config = configuration(arguments)?;
    let answer: BudgetSays =
        runtime()?.block_on(client(&config).get("/v1/budget")).map_err(refused)?;
    show(arguments, &answer, render::budget::budget)
}

/// Reads policies and zones again.
pub fn reload(arguments: &Arguments) -> Result<(), Failure> {
    let answer: Reloaded = command(arguments, "/v1/reload")?;
    let accepted = answer.accepted;
    show(arguments, &answer, |answer| {
        let outcome = match answer.accepted {
            true => "the files are in force",
            false => "the files are not in force: what was in force stays",
        };
        format!("{}\n{outcome}", answer.findings.join("\n"))
    })?;
    if accepted { Ok(()) } else { Err(Failure(Vec::new())) }
}

/// Forgets the answers about a name.
pub fn flush(arguments: &Arguments, flush: &Flush) -> Result<(), Failure> {
    let path = format!("/v1/flush?name={}&below={}", escaped(&flush.name), flush.below);
    let answer: serde_json::Value = command(arguments, &path)?;
    show(arguments, &answer, |_| match flush.below {
        true => format!("{} and all names below are asked for anew", flush.name),
        false => format!("{} is asked for anew", flush.name),
    })
}

/// Fetches a source now, or all of them.
pub fn refresh(arguments: &Arguments, refresh: &Refresh) -> Result<(), Failure> {
    let path = match &refresh.source {
        Some(source) => format!("/v1/refresh?source={}", escaped(source)),
        None => "/v1/refresh".to_owned(),
    };
    let answer: serde_json::Value = command(arguments, &path)?;
    show(arguments, &answer, |answer| format!("{} sources are being fetched", answer["due"]))
}

pub(super) fn show<T: Serialize>(
    arguments: &Arguments,
    answer: &T,
    render: impl FnOnce(&T) -> String,
) -> Result<(), Failure> {
    match arguments.json {
        true => print_json(answer)?,
        false => print(&render(answer)),
    }
    Ok(())
}

/// Asks the daemon, or its state directory.
pub(super) fn ask<T: DeserializeOwned>(
    arguments: &Arguments,
    path: &str,
    offline: impl FnOnce(&Offline) -> Result<T, Diagnostic>,
) -> Result<T, Failure> {
    let config = configuration(arguments)?;
    match runtime()?.block_on(client(&config).get(path)) {
        Ok(answer) => Ok(answer),
        Err(ClientError::Down { .. }) => {
            let state = Offline::open(&config, SystemClock.now())?;
            Ok(offline(&state)?)
        }
        Err(error) => Err(refused(error)),
    }
}

/// Asks the daemon something that its state directory alone does not tell.
pub(super) fn get<T: DeserializeOwned>(arguments: &Arguments, path: &str) -> Result<T, Failure> {
    let config = configuration(arguments)?;
    runtime()?.block_on(client(&config).get(path)).map_err(refused)
}

/// Sends the daemon a text.
pub(super) fn send<T: DeserializeOwned>(
    arguments: &Arguments,
    path: &str,
    text: String,
) -> Result<T, Failure> {
    let config = configuration(arguments)?;
    runtime()?.block_on(client(&config).send(path, text)).map_err(refused)
}

/// Tells the daemon to do something.
pub(super) fn command<T: DeserializeOwned>(
    arguments: &Arguments,
    path: &str,
) -> Result<T, Failure> {
    let config = configuration(arguments)?;
    runtime()?.block_on(client(&config).post(path)).map_err(refused)
}

pub(super) fn client(config: &Config) -> Client {
    Client::new(&config.api.socket)
}

pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|error| Diagnostic::error(format!("no runtime: {error}")).into())
}

pub(super) fn refused(error: ClientError) -> Failure {
    let hint = match &error {
        ClientError::Refused { hint, .. } => hint.clone(),
        ClientError::Down { .. } => Some("start it with `sekisho serve`".to_owned()),
        _ => None,
    };
    let finding = Diagnostic::error(error.to_string());
    match hint {
        Some(hint) => finding.hint(hint).into(),
        None => finding.into(),
    }
}

//! The routes, and the listeners they are served on.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::reviews::{DrawQuestion, Word};
use super::signs::MuteQuestion;
use super::{Answers, AsnQuestion, AsnRankQuestion, InvestigateQuestion, WhyQuestion, ZoneOrder};
use crate::diagnostic::Diagnostic;
use crate::pdns::question::Question;

/// Octets of a request that carries a command.
const BODY_OCTETS_MAX: usize = 64 * 1024;
/// Octets of a file of changes to the model: one for a thousand lists is smaller.
const CHANGES_OCTETS_MAX: usize = 4 << 20;
/// OpenMetrics 1.0.
const METRICS_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// All routes, for the unix socket.
pub fn local(answers: Arc<dyn Answers>) -> Router {
    let changes = axum::extract::DefaultBodyLimit::max(CHANGES_OCTETS_MAX);
    Router::new()
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .route("/v1/status", get(status))
        .route("/v1/zones/history", get(zone_history))
        .route("/v1/zones/promote", post(promote))
        .route("/v1/zones/rollback", post(roll_back))
        .route("/v1/zones/resume", post(resume))
        .route("/v1/feeds", get(feeds))
        .route("/v1/why", get(why))
        .route("/v1/asn/rank", get(asn_ranking))
        .route("/v1/asn", get(asn))
        .route("/v1/budget", get(budget))
        .route("/v1/investigate", post(investigate))
        .route("/v1/feeds/value", get(feed_values))
        .route("/v1/audit", get(reviews).post(audit))
        .route("/v1/audit/next", post(draw))
        .route("/v1/report", post(report))
        .route("/v1/pdns", get(pdns))
        .route("/v1/signs", get(signs))
        .route("/v1/mute", post(mute))
        .route("/v1/learn", get(learn))
        .route("/v1/model/apply", post(apply).layer(changes))
        .route("/v1/model/shipped", post(apply_shipped))
        .route("/v1/model/train", post(train))
        .route("/v1/reload", post(reload))
        .route("/v1/refresh", post(refresh))
        .route("/v1/feeds/accept", post(accept))
        .route("/v1/flush", post(flush))
        .layer(axum::extract::DefaultBodyLimit::max(BODY_OCTETS_MAX))
        .with_state(answers)
}

/// What anybody on the machine may read, for a loopback port.
pub fn public(answers: Arc<dyn Answers>) -> Router {
    Router::new().route("/health", get(health)).route("/metrics", get(metrics)).with_state(answers)
}

/// An error as the socket gives it.
#[derive(Serialize, Deserialize)]
pub(super) struct Refusal {
    pub error: String,
    pub hint: Option<String>,
}

fn refusal(finding: Diagnostic) -> Response {
    let refusal = Refusal { error: finding.message, hint: finding.hint };
    (StatusCode::UNPROCESSABLE_ENTITY, Json(refusal)).into_response()
}

type Daemon = State<Arc<dyn Answers>>;

async fn health(State(answers): Daemon) -> Response {
    match answers.health() {
        Ok(word) => (StatusCode::OK, word + "\n").into_response(),
        Err(word) => (StatusCode::SERVICE_UNAVAILABLE, word + "\n").into_response(),
    }
}

async fn metrics(State(answers): Daemon) -> Response {
    ([(header::CONTENT_TYPE, METRICS_TYPE)], answers.metrics()).into_response()
}

async fn status(State(answers): Daemon) -> Response {
    Json(answers.status()).into_response()
}

/// A value, or why there is none.
fn answered<T: Serialize>(answer: Result<T, Diagnostic>) -> Response {
    match answer {
        Ok(answer) => Json(answer).into_response(),
        Err(finding) => refusal(finding),
    }
}

async fn signs(State(answers): Daemon) -> Response {
    answered(answers.signs().await)
}

async fn mute(State(answers): Daemon, Query(question): Query<MuteQuestion>) -> Response {
    answered(answers.mute(question).await.map(|ended| serde_json::json!({ "ended": ended })))
}

async fn learn(State(answers): Daemon) -> Response {
    answered(answers.learn().await)
}

async fn apply(State(answers): Daemon, changes: String) -> Response {
    answered(answers.apply(changes).await)
}

async fn apply_shipped(State(answers): Daemon) -> Response {
    answered(answers.apply_shipped().await.map(|()| serde_json::json!({ "shipped": true })))
}

async fn feed_values(State(answers): Daemon) -> Response {
    answered(answers.feed_values().await)
}

async fn reviews(State(answers): Daemon) -> Response {
    answered(answers.reviews().await)
}

async fn draw(State(answers): Daemon, Query(question): Query<DrawQuestion>) -> Response {
    answered(answers.draw(question).await)
}

async fn audit(State(answers): Daemon, Query(word): Query<Word>) -> Response {
    answered(answers.audit(word).await)
}

async fn report(State(answers): Daemon, Query(word): Query<Word>) -> Response {
    answered(answers.report(word).await)
}

async fn pdns(State(answers): Daemon, Query(question): Query<Question>) -> Response {
    answered(answers.pdns(question))
}

async fn train(State(answers): Daemon) -> Response {
    match answers.train() {
        Ok(()) => Json(serde_json::json!({ "training": true })).into_response(),
        Err(finding) => refusal(finding),
    }
}

#[derive(Deserialize)]
struct ZoneQuestion {
    zone: String,
}

#[derive(Deserialize)]
struct RollBack {
    zone: String,
    serial: u32,
}

async fn zone_history(State(answers): Daemon, Query(question): Query<ZoneQuestion>) -> Response {
    match answers.zone_history(&question.zone) {
        Ok(versions) => Json(versions).into_response(),
        Err(finding) => refusal(finding),
    }
}

async fn order(answers: &dyn Answers, zone: &str, order: ZoneOrder) -> Response {
    match answers.order_zone(zone, order).await {
        Ok(said) => Json(serde_json::json!({ "zone": zone, "said": said })).into_response(),
        Err(finding) => refusal(finding),
    }
}

async fn promote(State(answers): Daemon, Query(question): Query<ZoneQuestion>) -> Response {
    order(&*answers, &question.zone, ZoneOrder::Promote).await
}

async fn resume(State(answers): Daemon, Query(question): Query<ZoneQuestion>) -> Response {
    order(&*answers, &question.zone, ZoneOrder::Resume).await
}

async fn roll_back(State(answers): Daemon, Query(question): Query<RollBack>) -> Response {
    let RollBack { zone, serial } = question;
    order(&*answers, &zone, ZoneOrder::RollBack { serial }).await
}

async fn feeds(State(answers): Daemon) -> Response {
    Json(answers.feeds()).into_response()
}

async fn investigate(
    State(answers): Daemon,
    Query(question): Query<InvestigateQuestion>,
) -> Response {
    let lines = match answers.investigate(question).await {
        Ok(lines) => lines,
        Err(finding) => return refusal(finding),
    };
    let stream = futures_util::stream::unfold(lines, |mut lines| async {
        let line = lines.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(line + "\n"), lines))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    (kind, axum::body::Body::from_stream(stream)).into_response()
}

async fn budget(State(answers): Daemon) -> Response {
    Json(answers.budget().await).into_response()
}

async fn why(State(answers): Daemon, Query(question): Query<WhyQuestion>) -> Response {
    match answers.why(question).await {
        Ok(why) => Json(why).into_response(),
        Err(finding) => refusal(finding),
    }
}

async fn asn_ranking(State(answers): Daemon, Query(question): Query<AsnRankQuestion>) -> Response {
    Json(answers.asn_ranking(question)).into_response()
}

async fn asn(State(answers): Daemon, Query(question): Query<AsnQuestion>) -> Response {
    Json(answers.asn(question)).into_response()
}

async fn reload(State(answers): Daemon) -> Response {
    Json(answers.reload().await).into_response()
}

#[derive(Deserialize)]
struct Flush {
    name: String,
    #[serde(default)]
    below: bool,
}

async fn flush(State(answers): Daemon, Query(flush): Query<Flush>) -> Response {
    match answers.flush(&flush.name, flush.below) {
        Ok(()) => Json(serde_json::json!({ "flushed": flush.name })).into_response(),
        Err(finding) => refusal(finding),
    }
}

#[derive(Deserialize)]
struct Accept {
    source: String,
}

async fn accept(State(answers): Daemon, Query(question): Query<Accept>) -> Response {
    match answers.accept(question.source).await {
        Ok(held) => Json(serde_json::json!({ "held": held })).into_response(),
        Err(finding) => refusal(finding),
    }
}

#[derive(Deserialize)]
struct Refresh {
    source: Option<String>,
}

async fn refresh(State(answers): Daemon, Query(refresh): Query<Refresh>) -> Response {
    match answers.refresh(refresh.source).await {
        Ok(due) => Json(serde_json::json!({ "due": due })).into_response(),
        Err(finding) => refusal(finding),
    }
}

//! `sekisho audit` and `sekisho report`.

use super::args::{Arguments, Audit, Report};
use super::{Failure, questions, render};
use crate::api::client::escaped;
use crate::api::reviews::{DrawSays, Noted, SourceReviews};
use crate::diagnostic::Diagnostic;
use crate::ports::ledger::Answer;

/// Asks for something to review, notes an answer, or says what was found so far.
pub fn audit(arguments: &Arguments, audit: &Audit) -> Result<(), Failure> {
    let answer = answer(audit.malicious, audit.benign, audit.unsure);
    match (audit.what.as_deref(), answer) {
        (None, None) => {
            let said: Vec<SourceReviews> = questions::get(arguments, "/v1/audit")?;
            questions::show(arguments, &said, |said| render::reviews::summary(said))
        }
        (Some("next"), None) => {
            let path = match &audit.source {
                Some(source) => format!("/v1/audit/next?source={}", escaped(source)),
                None => "/v1/audit/next".to_owned(),
            };
            let draw: DrawSays = questions::command(arguments, &path)?;
            questions::show(arguments, &draw, render::reviews::draw)
        }
        (Some(name), Some(answer)) if name != "next" => {
            let path = word("/v1/audit", name, answer, audit.by.as_deref(), None);
            let noted: Noted = questions::command(arguments, &path)?;
            questions::show(arguments, &noted, render::reviews::noted)
        }
        _ => Err(Diagnostic::error("an audit needs a name and what it is")
            .hint("`sekisho audit next`, then `sekisho audit NAME --malicious` or `--benign`")
            .into()),
    }
}

/// Notes what somebody says about an answer they got.
pub fn report(arguments: &Arguments, report: &Report) -> Result<(), Failure> {
    let answer = if report.malicious { Answer::Malicious } else { Answer::Benign };
    let (by, note) = (report.by.as_deref(), report.note.as_deref());
    let path = word("/v1/report", &report.name, answer, by, note);
    let noted: Noted = questions::command(arguments, &path)?;
    questions::show(arguments, &noted, render::reviews::noted)
}

const fn answer(malicious: bool, benign: bool, unsure: bool) -> Option<Answer> {
    match (malicious, benign, unsure) {
        (true, ..) => Some(Answer::Malicious),
        (_, true, _) => Some(Answer::Benign),
        (.., true) => Some(Answer::Unsure),
        _ => None,
    }
}

fn word(at: &str, name: &str, answer: Answer, by: Option<&str>, note: Option<&str>) -> String {
    let by = by.map_or_else(super::whoever_runs_this, str::to_owned);
    let mut path =
        format!("{at}?indicator={}&answer={}&by={}", escaped(name), answer.as_str(), escaped(&by));
    if let Some(note) = note {
        path.push_str(&format!("&note={}", escaped(note)));
    }
    path
}

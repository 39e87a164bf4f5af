//! `sekisho pdns`.

use super::args::{Arguments, Pdns};
use super::{Failure, print, questions, render};
use crate::api::client::escaped;
use crate::daemon::clock::SystemClock;
use crate::diagnostic::Diagnostic;
use crate::model::time::Clock as _;
use crate::pdns::question::{Answer, Question, Record};

/// Says what was resolved here.
pub fn run(arguments: &Arguments, pdns: &Pdns) -> Result<(), Failure> {
    let mut question = Question { what: pdns.what.clone(), below: pdns.below, after: None };
    let now = SystemClock.now();
    if !pdns.cof {
        let answer = ask(arguments, &question)?;
        return questions::show(arguments, &answer, |answer| render::pdns::answer(answer, now));
    }
    loop {
        let answer = ask(arguments, &question)?;
        let lines: Result<Vec<String>, _> = answer.records.iter().map(line).collect();
        let lines = lines?;
        if !lines.is_empty() {
            print(&lines.join("\n"));
        }
        match answer.next {
            Some(next) => question.after = Some(next),
            None => return Ok(()),
        }
    }
}

fn ask(arguments: &Arguments, question: &Question) -> Result<Answer, Failure> {
    let mut path = format!("/v1/pdns?what={}&below={}", escaped(&question.what), question.below);
    if let Some(after) = &question.after {
        path.push_str(&format!("&after={}", escaped(after)));
    }
    questions::ask(arguments, &path, |offline| offline.pdns(question, SystemClock.now()))
}

/// An object a line (draft-dulaunoy-dnsop-passive-dns-cof).
fn line(record: &Record) -> Result<String, Diagnostic> {
    serde_json::to_string(record)
        .map_err(|error| Diagnostic::error(format!("a record cannot be written: {error}")))
}

//! `sekisho learn` and `sekisho model apply`.

use std::io::Write as _;
use std::path::Path;

use super::args::{Arguments, Learn};
use super::{Failure, questions, render};
use crate::api::learning::{AppliedSays, LearnSays};
use crate::diagnostic::Diagnostic;
use crate::disk;

/// A file of changes for a thousand lists is smaller.
const CHANGES_OCTETS_MAX: u64 = 4 << 20;

/// Says what would be changed, and writes it down for review.
pub fn learn(arguments: &Arguments, learn: &Learn) -> Result<(), Failure> {
    let says: LearnSays = questions::get(arguments, "/v1/learn")?;
    if let Some(path) = &learn.output {
        let written = disk::replace(path, |out| out.write_all(says.file.as_bytes()));
        written.map_err(|e| Diagnostic::error(format!("{}: {e}", path.display())))?;
    }
    questions::show(arguments, &says, |says| {
        render::learning::learnt(says, learn.output.as_deref())
    })
}

/// Puts a reviewed file in force, or goes back to the model that ships.
pub fn apply(arguments: &Arguments, file: Option<&Path>) -> Result<(), Failure> {
    let Some(path) = file else {
        let _: serde_json::Value = questions::command(arguments, "/v1/model/shipped")?;
        return questions::show(arguments, &serde_json::json!({ "shipped": true }), |_| {
            "the model that ships is in force\n".to_owned()
        });
    };
    let named = |what: String| Diagnostic::error(format!("{}: {what}", path.display()));
    let octets = disk::read_small(path, CHANGES_OCTETS_MAX).map_err(|e| named(e.to_string()))?;
    let octets = octets.ok_or_else(|| named("no such file".to_owned()))?;
    let text = String::from_utf8(octets).map_err(|_| named("not UTF-8".to_owned()))?;
    let says: AppliedSays = questions::send(arguments, "/v1/model/apply", text)?;
    questions::show(arguments, &says, render::learning::applied)
}

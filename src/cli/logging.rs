//! Where the log goes: the one place that looks at the terminal and at systemd's environment.

use std::io::IsTerminal as _;

use super::Failure;
use crate::config::Log;
use crate::diagnostic::Diagnostic;
use crate::telemetry::log::{self, Form};

/// Sets the program's log up.
pub fn start(settings: &Log) -> Result<(), Failure> {
    let form = match &settings.form {
        Some(word) => Form::parse(word).map_err(|error| Diagnostic::error(error.to_string()))?,
        None => fitting(),
    };
    let subscriber = log::subscriber(form, &settings.levels, std::io::stderr)
        .map_err(|error| Diagnostic::error(format!("the log cannot be set up: {error}")))?;
    tracing::subscriber::set_global_default(subscriber)
        .map_err(|error| Diagnostic::error(format!("the log cannot be set up: {error}")).into())
}

fn is_terminal() -> bool {
    std::io::stderr().is_terminal()
}

#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
fn fitting() -> Form {
    let journal = std::env::var("JOURNAL_STREAM").ok();
    let stderr = rustix::fs::fstat(std::io::stderr()).ok().map(|s| (s.st_dev, s.st_ino));
    Form::fitting(is_terminal(), journal.as_deref(), stderr)
}

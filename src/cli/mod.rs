//! The commands; thin.
//!
//! A question is put to the running daemon over its socket. Where none runs, the same functions
//! answer it from the state directory.

pub mod args;
mod check;
mod evaluate;
mod export;
mod investigate;
mod key;
mod learning;
mod logging;
mod model;
mod pdns;
mod questions;
pub mod render;
mod reviews;
pub mod rpz;
mod serve;
mod signs;
mod snippet;
mod zones;

use std::path::Path;
use std::process::ExitCode;

use clap::Parser as _;

use self::args::{Arguments, Command, Key, Rpz};
use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::disk;

/// A configuration file is written by people.
const CONFIG_OCTETS_MAX: u64 = 4 << 20;

/// Why a command failed: what was found, each once said.
#[derive(Debug)]
pub struct Failure(pub Vec<Diagnostic>);

impl From<Diagnostic> for Failure {
    fn from(finding: Diagnostic) -> Self {
        Self(vec![finding])
    }
}

/// Runs the command line. 0: well; 1: failed, or findings; 2: not understood.
pub fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are no errors; where even printing fails there is nobody to tell.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failure(findings)) => {
            say(&findings);
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Model(command) => model::run(arguments, command),
        Command::Evaluate(evaluation) => evaluate::run(arguments, evaluation),
        Command::Check(check) => check::run(arguments, check),
        Command::Serve => serve::run(arguments),
        Command::Why(why) => questions::why(arguments, why),
        Command::Status => questions::status(arguments),
        Command::Zones(zones) => zones::run(arguments, zones),
        Command::Feeds(feeds) => questions::feeds(arguments, feeds),
        Command::Asn(asn) => questions::asn(arguments, asn),
        Command::Investigate(investigate) => investigate::run(arguments, investigate),
        Command::Budget => questions::budget(arguments),
        Command::Export(export) => export::run(arguments, export),
        Command::Rpz(Rpz::Lint(lint)) => rpz::lint(arguments, lint),
        Command::Rpz(Rpz::Snippet(snippet)) => snippet::run(arguments, snippet),
        Command::Key(Key::Signing { file }) => key::signing(arguments, file),
        Command::Audit(audit) => reviews::audit(arguments, audit),
        Command::Report(report) => reviews::report(arguments, report),
        Command::Signs(signs) => signs::signs(arguments, signs),
        Command::Mute(mute) => signs::mute(arguments, mute),
        Command::Learn(learn) => learning::learn(arguments, learn),
        Command::Pdns(pdns) => pdns::run(arguments, pdns),
        Command::Reload => questions::reload(arguments),
        Command::Flush(flush) => questions::flush(arguments, flush),
        Command::Refresh(refresh) => questions::refresh(arguments, refresh),
    }
}

/// Prints findings where people read errors.
fn say(findings: &[Diagnostic]) {
    for finding in findings {
        anstream::eprintln!("{}", render::finding(finding));
    }
}

/// The configuration that the arguments name, or the embedded one.
fn configuration(arguments: &Arguments) -> Result<Config, Failure> {
    let (config, findings) = read_configuration(arguments.config.as_deref())?;
    match config {
        Some(config) => {
            say(&findings);
            Ok(config)
        }
        None => Err(Failure(findings)),
    }
}

#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
fn read_configuration(path: Option<&Path>) -> Result<(Option<Config>, Vec<Diagnostic>), Failure> {
    let read = |file: &str, text: &str| {
        let (config, findings) = config::read(file, text);
        // The one word of systemd's that is about configuration; it has no other way to say it.
        let credentials_directory = std::env::var_os("CREDENTIALS_DIRECTORY").map(Into::into);
        (config.map(|config| Config { credentials_directory, ..config }), findings)
    };
    let Some(path) = path else { return Ok(read(config::DEFAULT_FILE, config::DEFAULT)) };
    let shown = path.display().to_string();
    let failed = |what: String| Failure::from(Diagnostic::error(format!("{shown}: {what}")));
    let octets = disk::read_small(path, CONFIG_OCTETS_MAX).map_err(|e| failed(e.to_string()))?;
    let octets = octets.ok_or_else(|| failed("no such file".to_owned()))?;
    let text = String::from_utf8(octets).map_err(|_| failed("not UTF-8".to_owned()))?;
    Ok(read(&shown, &text))
}

/// Prints a value for machines.
fn print_json(value: &impl serde::Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Diagnostic::error(format!("an answer cannot be written: {error}")))?;
    print(&text);
    Ok(())
}

/// Prints an answer. A reader that has gone away, such as `head`, is no error.
fn print(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(anstream::stdout().lock(), "{}", text.trim_end());
}

/// The name of whoever runs this, as the system has it.
#[expect(clippy::disallowed_methods, reason = "the command line alone reads the environment")]
fn whoever_runs_this() -> String {
    let named = ["SUDO_USER", "USER"].into_iter().find_map(|key| std::env::var(key).ok());
    named.unwrap_or_else(|| "somebody".to_owned())
}

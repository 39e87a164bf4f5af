//! `sekisho check`.

use super::args::{Arguments, Check};
use super::render::counted;
use super::{Failure, print, print_json, read_configuration, render};
use crate::daemon::clock::SystemClock;
use crate::daemon::keys::KeyRing;
use crate::daemon::{local, secondaries};
use crate::diagnostic::{Diagnostic, Severity};
use crate::model::time::Clock as _;

/// Checks configuration, policies and zones, and prints every finding.
pub fn run(arguments: &Arguments, check: &Check) -> Result<(), Failure> {
    let now = SystemClock.now();
    let mut findings = Vec::new();
    let mut checked = Vec::new();
    if check.paths.is_empty() {
        let (config, found) = read_configuration(arguments.config.as_deref())?;
        findings.extend(found);
        if let Some(config) = config {
            findings.extend(KeyRing::check(&config));
            findings.extend(secondaries::check(&config));
            findings.extend(local::read(&config, 0, now).findings);
            checked.push(format!(
                "{} and {}",
                config.policies_directory.display(),
                config.zones_directory.display()
            ));
        }
    }
    for path in &check.paths {
        findings.extend(local::check(path, now));
        checked.push(path.display().to_string());
    }
    report(arguments, &findings, &checked)
}

fn report(
    arguments: &Arguments,
    findings: &[Diagnostic],
    checked: &[String],
) -> Result<(), Failure> {
    let errors = findings.iter().filter(|f| f.severity == Severity::Error).count();
    if arguments.json {
        print_json(&findings)?;
    } else {
        for finding in findings {
            print(&render::finding(finding));
            print("");
        }
        let warnings = findings.len() - errors;
        print(&match (errors, warnings) {
            (0, 0) => format!("{}: no findings", checked.join(", ")),
            _ => format!(
                "{}: {}, {}",
                checked.join(", "),
                counted(errors, "error"),
                counted(warnings, "warning")
            ),
        });
    }
    match errors {
        0 => Ok(()),
        _ => Err(Failure(Vec::new())),
    }
}

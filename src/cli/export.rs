//! `sekisho export DIRECTORY`.

use super::args::{Arguments, Export};
use super::render::counted;
use super::{Failure, configuration, print, print_json};
use crate::daemon::clock::SystemClock;
use crate::daemon::offline::Offline;
use crate::diagnostic::Diagnostic;
use crate::model::time::Clock as _;
use crate::publish::file;
use crate::publish::leaving::leaving;
use crate::zone::profile::fit::{FitOptions, Losses, fit};

/// A file that was written, or that held the same already.
#[derive(Debug, serde::Serialize)]
struct Written {
    path: String,
    rules: usize,
    losses: Losses,
}

/// Writes the policy zones of the state directory as RPZ files. A running daemon is not disturbed:
/// it keeps its state on disk, and that is what is written.
pub fn run(arguments: &Arguments, export: &Export) -> Result<(), Failure> {
    let config = configuration(arguments)?;
    let now = SystemClock.now();
    let offline = Offline::open(&config, now)?;
    let profile = export.profile.as_deref().map(super::rpz::profile).transpose()?;
    let directory = &export.directory;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::from(Diagnostic::error(format!("{}: {error}", directory.display())))
    };
    std::fs::create_dir_all(directory).map_err(|error| failed(&error))?;
    let mut written = Vec::new();
    for leaving in leaving(&offline.published.snapshot) {
        let mut zone = leaving.made();
        let mut losses = Losses::new();
        if let Some(profile) = profile {
            (zone, losses) = fit(&zone, profile, FitOptions::default());
        }
        let path = file::path(directory, zone.origin());
        file::publish(&path, &zone, now).map_err(|error| failed(&error))?;
        written.push(Written { path: path.display().to_string(), rules: zone.len(), losses });
    }
    if arguments.json {
        return print_json(&written);
    }
    for Written { path, rules, losses } in &written {
        print(&format!("{path}  {}", counted(*rules, "rule")));
        for (loss, count) in losses {
            print(&format!("  {count} {}", loss.text()));
        }
    }
    Ok(())
}

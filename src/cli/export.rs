//! `sekisho export DIRECTORY`.

use super::args::{Arguments, Export};
use super::render::counted;
use super::{Failure, configuration, print, print_json};
use crate::daemon::clock::SystemClock;
use crate::daemon::offline::Offline;
use crate::diagnostic::Diagnostic;
use crate::model::time::Clock as _;
use crate::publish::file;

/// Writes the policy zones of the state directory as RPZ files. A running daemon is not disturbed:
/// it keeps its state on disk, and that is what is written.
pub fn run(arguments: &Arguments, export: &Export) -> Result<(), Failure> {
    let config = configuration(arguments)?;
    let offline = Offline::open(&config, SystemClock.now())?;
    let directory = &export.directory;
    let failed = |error: &dyn std::fmt::Display| {
        Failure::from(Diagnostic::error(format!("{}: {error}", directory.display())))
    };
    std::fs::create_dir_all(directory).map_err(|error| failed(&error))?;
    let mut written = Vec::new();
    for zone in offline.published.snapshot.zones().filter(|zone| file::is_exported(zone)) {
        let path = file::path(directory, zone.zone.origin());
        file::write(&path, &zone.zone).map_err(|error| failed(&error))?;
        written.push((path.display().to_string(), zone.zone.len()));
    }
    if arguments.json {
        return print_json(&written);
    }
    for (path, rules) in &written {
        print(&format!("{path}  {}", counted(*rules, "rule")));
    }
    Ok(())
}

//! `sekisho rpz lint`: what other resolvers would make of a zone.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use serde::Serialize;

use super::args::{Arguments, Lint};
use super::{Failure, configuration, print, print_json, render};
use crate::daemon::clock::SystemClock;
use crate::daemon::offline::Offline;
use crate::diagnostic::{Diagnostic, nearest};
use crate::model::Name;
use crate::model::time::Clock as _;
use crate::publish::leaving::leaving;
use crate::zone::file::{Limits, RecordReader};
use crate::zone::lint::{self, Report, Weight};
use crate::zone::profile::fit::{FitOptions, Losses, fit};
use crate::zone::profile::{Family, PROFILES, Profile};

/// What was found in one zone, for some consumers.
#[derive(Debug, Serialize)]
pub struct Linted {
    /// The file, where it is one.
    pub file: Option<String>,
    /// The zone.
    pub zone: String,
    /// The consumers that were thought of.
    pub profiles: Vec<&'static str>,
    /// Rules that are not in what the consumer gets, or are there in another form.
    pub losses: Losses,
    /// What was found.
    #[serde(flatten)]
    pub report: Report,
}

/// Looks at files, or at the zones of ours as they leave.
pub fn lint(arguments: &Arguments, lint: &Lint) -> Result<(), Failure> {
    let profiles = profiles(&lint.profile)?;
    let linted = match lint.files.is_empty() {
        true => of_ours(arguments, lint, &profiles)?,
        false => {
            let origin = lint.origin.as_deref().map(zone_name).transpose()?;
            let files = lint.files.iter();
            let linted = files.map(|path| of_file(path, origin.as_ref(), &profiles));
            linted.collect::<Result<Vec<_>, _>>()?
        }
    };
    match arguments.json {
        true => print_json(&linted)?,
        false => linted.iter().for_each(|linted| print(&render::lint::linted(linted))),
    }
    let refused = linted.iter().any(|linted| linted.report.weight() == Some(Weight::Error));
    if refused { Err(Failure(Vec::new())) } else { Ok(()) }
}

/// The profiles of a word: one, or for `all` one of each family.
fn profiles(word: &str) -> Result<Vec<&'static Profile>, Diagnostic> {
    if word == "all" {
        return Ok(Family::ALL.map(Profile::of).to_vec());
    }
    Ok(vec![profile(word)?])
}

/// The profile of a word on the command line.
pub(super) fn profile(word: &str) -> Result<&'static Profile, Diagnostic> {
    Profile::named(word).ok_or_else(|| {
        let finding = Diagnostic::error(format!("there is no profile `{word}`"));
        match nearest(word, Profile::names()) {
            Some(near) => finding.hint(format!("did you mean `{near}`?")),
            None => {
                let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
                finding.hint(format!("there are {} and all", names.join(", ")))
            }
        }
    })
}

fn zone_name(text: &str) -> Result<Name, Diagnostic> {
    let read = match text {
        "." => Ok(Name::root()),
        _ => Name::from_presentation(text),
    };
    read.map_err(|error| Diagnostic::error(format!("`{text}` is no name for a zone: {error}")))
}

fn of_file(
    path: &Path,
    origin: Option<&Name>,
    profiles: &[&'static Profile],
) -> Result<Linted, Diagnostic> {
    let shown = path.display().to_string();
    let failed = |error: std::io::Error| Diagnostic::error(format!("{shown}: {error}"));
    let open = || File::open(path).map(BufReader::new).map_err(failed);
    let reader = |origin: Name| Ok(RecordReader::new(open()?, origin, &Limits::default()));
    let origin = match origin {
        Some(origin) => origin.clone(),
        None => match lint::origin_of(reader(Name::root())?).map_err(failed)? {
            Some(origin) => origin,
            // The file's own name, as `[[zone]]` has it.
            None => {
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                zone_name(name).map_err(|finding| finding.hint("name the zone with `--origin`"))?
            }
        },
    };
    let upper = lint::upper_case_lines(open()?).map_err(failed)?;
    let report = lint::file(reader(origin.clone())?, &origin, profiles, &upper).map_err(failed)?;
    Ok(Linted {
        file: Some(shown),
        zone: origin.to_string(),
        profiles: profiles.iter().map(|profile| profile.name).collect(),
        losses: Losses::new(),
        report,
    })
}

fn of_ours(
    arguments: &Arguments,
    lint: &Lint,
    profiles: &[&'static Profile],
) -> Result<Vec<Linted>, Failure> {
    let config = configuration(arguments)?;
    let offline = Offline::open(&config, SystemClock.now())?;
    let leaving = leaving(&offline.published.snapshot);
    let names: Vec<String> = leaving.iter().map(|l| l.zone.name().to_string()).collect();
    for wanted in &lint.zone {
        if !names.contains(wanted) {
            let finding = Diagnostic::error(format!("no zone `{wanted}` leaves"));
            let finding = match nearest(wanted, names.iter().map(String::as_str)) {
                Some(near) => finding.hint(format!("did you mean `{near}`?")),
                None => finding.hint(format!("those that do are {}", names.join(", "))),
            };
            return Err(finding.into());
        }
    }
    let wanted = |name: &String| lint.zone.is_empty() || lint.zone.contains(name);
    let mut linted = Vec::new();
    for (leaving, name) in leaving.iter().zip(&names).filter(|(_, name)| wanted(name)) {
        let zone = leaving.made();
        for profile in profiles {
            let (fitted, losses) = fit(&zone, profile, FitOptions::default());
            let mut report = lint::zone(&fitted, &[profile]);
            lint::count_zones(&mut report, names.len(), &[profile]);
            linted.push(Linted {
                file: None,
                zone: name.clone(),
                profiles: vec![profile.name],
                losses,
                report,
            });
        }
    }
    Ok(linted)
}

//! The model of scores in force, and what the installation has learnt of it.
//!
//! ```text
//! STATE/model.toml    the description with the changes that were applied
//! STATE/model.json    the same compiled; the model that ships where there is none
//! ```
//!
//! The JSON is what counts: a model is compiled once and then only read (SCORING 2.1).

use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::api::learning::{AppliedSays, LearnSays};
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::learn::{self, Changes, Learnt, Material, Reviewed};
use crate::model::{Indicator, Timestamp};
use crate::pipeline::Published;
use crate::ports::Ledger;
use crate::ports::ledger::{Answer, Audit};
use crate::scoring::{MODEL_SIZE_BYTES_MAX, Model, SHIPPED_DESCRIPTION, SHIPPED_JSON};

/// More of the verdicts than this is a change that two people should look at (SCORING 4.6), in ppm.
const CHANGED_PPM_MAX: u64 = 1_000;

fn description_path(state: &Path) -> PathBuf {
    state.join("model.toml")
}

fn model_path(state: &Path) -> PathBuf {
    state.join("model.json")
}

/// The model that a state directory holds, or the one that ships. What does not read is said.
pub fn model(state: &Path) -> (Model, Option<Diagnostic>) {
    let path = model_path(state);
    let read = || -> Result<Option<Model>, Box<dyn std::error::Error>> {
        match disk::read_small(&path, MODEL_SIZE_BYTES_MAX as u64)? {
            Some(json) => Ok(Some(Model::from_json(&json)?)),
            None => Ok(None),
        }
    };
    match read() {
        Ok(model) => (model.unwrap_or_else(Model::shipped), None),
        Err(error) => {
            let finding = Diagnostic::warning(format!("{}: {error}", path.display()))
                .hint("scores go by the model that ships; `sekisho learn` proposes changes anew");
            (Model::shipped(), Some(finding))
        }
    }
}

/// What the lists, reviews and reports say of the model in force, and what would come of it.
pub async fn learn(
    ledger: &dyn Ledger,
    state: &std::sync::Arc<Published>,
    directory: &Path,
    now: Timestamp,
) -> Result<LearnSays, Diagnostic> {
    let failed = |error: crate::ports::LedgerError| Diagnostic::error(error.to_string());
    let audits = ledger.audits().await.map_err(failed)?;
    let reports = ledger.reports().await.map_err(failed)?;
    let (state, directory) = (state.clone(), directory.to_owned());
    let learning = move || {
        let description = description(&directory)?;
        let reviewed = reviewed(&state, &audits, now);
        let learnt = learn::learn(&Material {
            sources: &state.sources,
            model: &state.model,
            pinned: &|a, b| is_pinned(a, b),
            popularity: &state.standings.popularity,
            registrable: &|name| state.standings.suffixes.registrable(name).label_count(),
            audits: &audits,
            reports: &reports,
            reviewed: &reviewed,
            now,
        });
        rehearsed(&state, &description, learnt, now)
    };
    let broke_off = |_| Diagnostic::error("learning broke off");
    tokio::task::spawn_blocking(learning).await.map_err(broke_off)?
}

fn rehearsed(
    state: &Published,
    description: &str,
    learnt: Learnt,
    now: Timestamp,
) -> Result<LearnSays, Diagnostic> {
    let rehearsal = match learnt.changes.is_empty() {
        true => None,
        false => {
            let applied = applied(state, description, &learnt.changes)?;
            Some(state.rehearse(&applied.model, now))
        }
    };
    Ok(LearnSays { file: learnt.changes.write(), learnt, rehearsal })
}

/// Makes the model with the changes of a reviewed file, keeps it, and hands it over.
pub fn apply(
    state: &Published,
    directory: &Path,
    text: &str,
    now: Timestamp,
) -> Result<(AppliedSays, Model), Diagnostic> {
    let changes = Changes::read(text)
        .map_err(|error| Diagnostic::error(error.to_string()).hint("`sekisho learn` writes one"))?;
    let applied = applied(state, &description(directory)?, &changes)?;
    let rehearsal = state.rehearse(&applied.model, now);
    let write = |path: &Path, octets: &[u8]| {
        disk::replace(path, |out| out.write_all(octets))
            .map_err(|error| Diagnostic::error(format!("{}: {error}", path.display())))
    };
    write(&description_path(directory), applied.description.as_bytes())?;
    write(&model_path(directory), &applied.json)?;
    let says = AppliedSays {
        model: applied.model.id().to_owned(),
        changes: changes.len(),
        two_people: rehearsal.changed_ppm() > CHANGED_PPM_MAX,
        rehearsal,
    };
    tracing::info!(model = %says.model, changes = says.changes, "a reviewed model comes into force");
    Ok((says, applied.model))
}

/// Goes back to the model that ships.
pub fn reset(directory: &Path) -> Result<Model, Diagnostic> {
    for path in [model_path(directory), description_path(directory)] {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Diagnostic::error(format!("{}: {error}", path.display())));
            }
            _ => {}
        }
    }
    Ok(Model::shipped())
}

fn applied(
    state: &Published,
    description: &str,
    changes: &Changes,
) -> Result<learn::Applied, Diagnostic> {
    let weighs_as = |id: &str| {
        let source = state.sources.iter().find(|source| source.profile.id.as_str() == id);
        source.map(|source| source.profile.weighs_as.to_string())
    };
    learn::apply(description, &state.model, changes, weighs_as).map_err(|error| {
        Diagnostic::error(error.to_string())
            .hint("changes are of the model in force when `sekisho learn` was asked: ask it again")
    })
}

fn description(directory: &Path) -> Result<String, Diagnostic> {
    let path = description_path(directory);
    let failed = |error: &dyn std::fmt::Display| {
        Diagnostic::error(format!("{}: {error}", path.display()))
            .hint("`sekisho model apply --shipped` goes back to the model that ships")
    };
    match disk::read_small(&path, MODEL_SIZE_BYTES_MAX as u64).map_err(|error| failed(&error))? {
        Some(octets) => String::from_utf8(octets).map_err(|_| failed(&"not UTF-8")),
        None => Ok(SHIPPED_DESCRIPTION.to_owned()),
    }
}

/// Whether the model that ships names a coupling of its own for two sources.
fn is_pinned(a: &str, b: &str) -> bool {
    let pair = |a: &str, b: &str| SHIPPED_JSON.contains(&format!("\"{a}|{b}\""));
    pair(a, b) || pair(b, a)
}

/// Scores of what was reviewed and is listed.
fn reviewed(state: &Published, audits: &[Audit], now: Timestamp) -> Vec<Reviewed> {
    let appraiser = state.appraiser(now);
    let score = |audit: &Audit| {
        let malicious = match audit.answer {
            Answer::Malicious => true,
            Answer::Benign => false,
            Answer::Unsure => return None,
        };
        match Indicator::parse(&audit.indicator).ok()? {
            Indicator::Domain(name) => {
                Some(Reviewed { mban: appraiser.appraise(name.as_ref()).score, malicious })
            }
            _ => None,
        }
    };
    audits.iter().filter_map(score).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_model_is_said_and_the_shipped_one_counts() {
        let state = tempfile::tempdir().unwrap();
        assert!(model(state.path()).1.is_none());
        std::fs::write(model_path(state.path()), "{}").unwrap();
        let (found, finding) = model(state.path());
        assert_eq!(found.id(), Model::shipped().id());
        assert!(finding.unwrap().to_string().contains("model.json"));
        reset(state.path()).unwrap();
        assert!(model(state.path()).1.is_none());
    }

    #[test]
    fn couplings_that_the_shipped_model_names_are_pinned() {
        assert!(is_pinned("hagezi_tif", "certpl") && is_pinned("certpl", "hagezi_tif"));
        assert!(!is_pinned("certpl", "openphish"));
    }
}

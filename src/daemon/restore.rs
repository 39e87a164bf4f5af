//! What a start finds: the operator's files, the last good claims, the last generation of zones.
//!
//! The daemon begins with it and the command line looks at it, so both say the same of a state
//! directory.

use std::path::Path;
use std::sync::Arc;

use super::book::Book;
use super::local::{self, Local};
use super::neighbourhood::Counting;
use super::secondaries::{self, Transferred};
use super::{learning, training};
use crate::archive::{Archive, Generation, Generations};
use crate::config::{self, Config};
use crate::diagnostic::Diagnostic;
use crate::model::Timestamp;
use crate::pipeline::{Pipeline, Profile, Source, Standings};
use crate::policy::Policy;
use crate::scoring::Model;
use crate::source::settings::Role;

/// The source of the model that weighs for lists that the model does not know.
const UNREVIEWED: &str = "unreviewed_list";

/// Everything a start found.
pub struct Restored {
    /// What decides, filled.
    pub pipeline: Pipeline,
    /// What guards look into.
    pub standings: Standings,
    /// The ranks of networks.
    pub counting: Counting,
    /// What was predicted by.
    pub prediction: training::Kept,
    /// The sources.
    pub book: Book,
    /// The operator's files as they are now.
    pub local: Local,
    /// The files are broken, and the policy is the one that was accepted last.
    pub fell_back: bool,
    /// The versions of other publishers' zones that came last.
    pub transferred: Transferred,
    /// A generation of zones was there.
    pub has_generation: bool,
    /// Findings about the state directory.
    pub findings: Vec<Diagnostic>,
}

/// Reads everything. An error where there is no policy to go by.
pub fn restore(
    config: &Config,
    state: &Path,
    hash_seed: u64,
    now: Timestamp,
) -> Result<Restored, Vec<Diagnostic>> {
    let mut findings = Vec::new();
    let archive = Archive::open(state).map_err(|e| vec![Diagnostic::error(e.to_string())])?;
    let settings = config.sources.iter().map(|source| source.settings.clone()).collect();
    let (book, found) = Book::open(settings, config.licence, archive, hash_seed);
    findings.extend(found);

    let local = local::read(config, hash_seed, now);
    let (policy, fell_back) = policy(&local, state, now)?;
    let (model, found) = learning::model(state);
    findings.extend(found);
    let mut pipeline = Pipeline::new(model, policy, config.publish.origin.clone(), hash_seed);
    pipeline.set_named_zones(local.zones.clone());
    let transferred = secondaries::transferred(config, state, &mut findings);
    for (name, version) in secondaries::in_force(config, &transferred, now) {
        pipeline.set_version(name, version);
    }

    let suffixes = Arc::new(book.suffixes());
    let popularity = Arc::new(book.popularity(&suffixes, now));
    let (table, names) = book.routes();
    let (counting, found) = Counting::open(state, table, names);
    findings.extend(found);
    let neighbourhood = Arc::new(counting.neighbourhood());
    let prediction = match config.prediction.enabled {
        true => {
            let (kept, found) = training::Kept::read(state);
            findings.extend(found);
            kept
        }
        false => training::Kept::default(),
    };
    let predictor = prediction.predictor.clone();
    let standings =
        Standings { suffixes, popularity, neighbourhood, predictor, ..Standings::default() };
    pipeline.set_standings(standings.clone());
    pipeline.set_sources(sources(config, &book, &mut findings));
    pipeline.set_model(Model::clone(&pipeline.model().clone()));

    let has_generation = match Generations::of(state).load() {
        Ok(Some(Generation { zones, local, verdicts, tally })) => {
            pipeline.restore(zones, local, verdicts, tally);
            true
        }
        Ok(None) => false,
        Err(error) => {
            let finding = Diagnostic::warning(error.to_string());
            findings.push(finding.hint("the zones are made anew from the last good claims"));
            false
        }
    };
    Ok(Restored {
        pipeline,
        standings,
        counting,
        prediction,
        book,
        local,
        fell_back,
        transferred,
        has_generation,
        findings,
    })
}

/// The policy of the files, or the last accepted one where the files are broken.
fn policy(
    local: &Local,
    state: &Path,
    now: Timestamp,
) -> Result<(Arc<Policy>, bool), Vec<Diagnostic>> {
    if let (Some(policy), true) = (&local.policy, local.is_sound()) {
        return Ok((policy.clone(), false));
    }
    match local::last_accepted(state, now) {
        Ok(Some(policy)) => Ok((policy, true)),
        Ok(None) | Err(_) => Err(local.findings.clone()),
    }
}

/// The sources that claim something and are in use, with their last good claims.
fn sources(config: &Config, book: &Book, findings: &mut Vec<Diagnostic>) -> Vec<Source> {
    let claiming = |source: &&config::Source| {
        source.settings.role == Role::Claims && source.off(config.licence).is_none()
    };
    config
        .sources
        .iter()
        .filter(claiming)
        .map(|source| {
            let (claims, finding) = book.last_good(&source.settings);
            findings.extend(finding);
            Source { profile: profile(source), claims }
        })
        .collect()
}

fn profile(source: &config::Source) -> Profile {
    let model = Model::shipped();
    let own = source.id().as_str();
    let weighs_as = match &source.weighs_as {
        Some(name) => name.as_str(),
        None if model.source_index(own).is_some() => own,
        None => UNREVIEWED,
    };
    Profile {
        id: source.id().clone(),
        trust: source.settings.trust.clone(),
        mode: source.mode,
        weighs_as: weighs_as.into(),
        weighed_as: None,
        reference: source.reference,
        ranks: source.ranks,
    }
}

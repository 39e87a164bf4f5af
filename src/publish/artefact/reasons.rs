//! Blocked names with their scores and reasons, a JSON object a line.

use std::io::{self, Write};

use serde::Serialize;

use super::Tally;
use super::blocked::{Blocked, BlockedName};
use crate::model::{NameRef, Timestamp};
use crate::pipeline::Published;

/// The most sources that are named for one name; a few say it, and a line stays a line.
const SOURCES_MAX: usize = 16;

/// Why a name is blocked, as far as it is kept beside it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Reason {
    /// The name.
    pub name: String,
    /// Whether the names below it are meant as well.
    pub below: bool,
    /// What happens.
    pub action: &'static str,
    /// The policy zone that says so.
    pub zone: String,
    /// The score in points, where it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub score: Option<f64>,
    /// What the evidence speaks of most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<String>,
    /// Since when it is blocked, in seconds since 1970, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<u32>,
    /// The sources that name it.
    pub sources: Vec<String>,
}

impl Reason {
    /// Of a blocked name.
    pub fn of(state: &Published, blocked: &BlockedName<'_>) -> Self {
        let verdict = state.verdicts.of(blocked.name);
        Self {
            name: blocked.name.to_string(),
            below: blocked.below,
            action: blocked.action.as_str(),
            zone: blocked.zone.zone.origin().to_string(),
            score: verdict.map(|verdict| f64::from(verdict.score) / 100.0),
            category: verdict.map(|verdict| verdict.category.to_string()),
            since: since(state, blocked.name).map(|at| at.0),
            sources: sources(state, blocked.name),
        }
    }
}

/// Since when a name is blocked: its verdict, or else the first time that a source named it.
pub fn since(state: &Published, name: NameRef<'_>) -> Option<Timestamp> {
    state.verdicts.of(name).map(|verdict| verdict.since).or_else(|| first_seen(state, name))
}

/// When a source first named it.
pub fn first_seen(state: &Published, name: NameRef<'_>) -> Option<Timestamp> {
    let claims = state.sources.iter().filter_map(|source| source.claims.name(name));
    claims.filter(|claim| !claim.exception).map(|claim| claim.claim.first_seen).min()
}

/// The sources that name it, in the order of the configuration.
pub fn sources(state: &Published, name: NameRef<'_>) -> Vec<String> {
    let naming = state
        .sources
        .iter()
        .filter(|source| source.claims.name(name).is_some_and(|claim| !claim.exception));
    naming.take(SOURCES_MAX).map(|source| source.profile.id.to_string()).collect()
}

/// Writes a line for every blocked name.
pub fn write(blocked: Blocked<'_>, out: &mut impl Write) -> io::Result<Tally> {
    let mut tally = Tally::default();
    blocked.each_name(|name| {
        tally.entries += 1;
        serde_json::to_writer(&mut *out, &Reason::of(blocked.state, &name))?;
        out.write_all(b"\n")
    })?;
    Ok(tally)
}

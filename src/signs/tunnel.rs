//! Data in names: many different long names below one domain.
//!
//! A tunnel carries up to some hundred octets in each name and never asks twice for the same one.
//! Within ten minutes an honest domain has a handful of hosts, and those of content networks are
//! popular.

use serde_json::{Value, json};

use super::{Distinct, Query};
use crate::model::Timestamp;

/// The window.
const WINDOW_SECONDS: u32 = 600;
/// So many different names in it.
const NAMES_MIN: usize = 100;
/// Names that are told apart: more say no more.
const NAMES_MAX: usize = 400;
/// With so many octets below the domain on average: base32 of sixteen octets and more.
const OCTETS_MIN: usize = 26;

/// Names below one domain.
#[derive(Debug, Default)]
pub struct Flow {
    since: Option<Timestamp>,
    names: Distinct,
    octets: usize,
    queries: u32,
}

impl Flow {
    /// Takes a query. Since when, and the evidence, where it is a sign.
    pub fn see(&mut self, query: &Query<'_>) -> Option<(Timestamp, Value)> {
        let fresh = self.since.is_some_and(|at| at.age_seconds(query.at) < WINDOW_SECONDS);
        if !fresh || self.since.is_some_and(|at| at > query.at) {
            *self = Self { since: Some(query.at), ..Self::default() };
        }
        self.queries = self.queries.saturating_add(1);
        if self.names.add(query.name, NAMES_MAX) {
            self.octets += query.name.key().len().saturating_sub(query.holder.key().len());
        }
        let names = self.names.len();
        let mean = self.octets / names.max(1);
        let since = self.since?;
        (names >= NAMES_MIN && mean >= OCTETS_MIN).then(|| {
            let evidence = json!({
                "names": names,
                "queries": self.queries,
                "seconds": since.age_seconds(query.at),
                "mean_octets": mean,
                "samples": self.names.samples,
            });
            (since, evidence)
        })
    }
}

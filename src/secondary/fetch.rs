//! A refresh over HTTP: the zone is a master file, which comes only if it changed.

use std::io::BufReader;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::time::Instant;

use super::refresh::{Failure, Held, Refresh, Refreshed, Transfer, TransferKind};
use crate::model::Name;
use crate::ports::{Fetch, FetchLimits, FetchOutcome, FetchRequest, Fetched, Location, Validators};
use crate::zone::Zone;
use crate::zone::file::{self, Limits, LoadReport};

/// As much as a transfer may bring: lists of several million rules have some hundred MB as text.
const OCTETS_MAX: u64 = 4 << 30;

/// Asks a web server.
pub struct ByUrl {
    /// The zone's name.
    pub origin: Name,
    /// Where it is.
    pub location: Location,
    /// Who fetches.
    pub fetch: Arc<dyn Fetch>,
    /// Keys the zone's hash tables, and chooses the jitter between attempts.
    pub hash_seed: u64,
}

#[async_trait]
impl Refresh for ByUrl {
    async fn refresh(&self, held: Option<Held<'_>>) -> Result<Refreshed, Vec<Failure>> {
        let from = self.location.to_string();
        let failed = |reason: String| vec![Failure { from: from.clone(), reason }];
        let validators = held.map_or_else(Validators::default, |held| held.validators.clone());
        let limits = FetchLimits { octets_max: OCTETS_MAX, ..FetchLimits::default() };
        let (location, seed) = (self.location.clone(), self.hash_seed);
        let request = FetchRequest { location, validators, limits, accept: None, seed };
        let start = Instant::now();
        let fetched = match self.fetch.fetch(&request).await {
            Ok(FetchOutcome::Unchanged) => return Ok(Refreshed::Unchanged),
            Ok(FetchOutcome::Fetched(fetched)) => fetched,
            Err(error) => return Err(failed(error.to_string())),
        };
        let Fetched { body, octets, validators } = fetched;
        let (origin, hash_seed) = (self.origin.clone(), self.hash_seed);
        let reading = tokio::task::spawn_blocking(move || {
            file::load(BufReader::new(body), &origin, hash_seed, &Limits::default())
        });
        let read = reading.await.map_err(|_| failed("interrupted".to_owned()))?;
        let (zone, report) = read.map_err(|error| failed(error.diagnostic().message))?;
        if held.is_some_and(|held| is_same(held.zone, &zone)) {
            return Ok(Refreshed::Unchanged);
        }
        let rejects = report.rejects.iter();
        let rejects = rejects.map(|reject| format!("line {}: {}", reject.line, reject.problem));
        let LoadReport { records, rejected, .. } = report;
        let transfer = Transfer {
            from,
            kind: TransferKind::File,
            duration: start.elapsed(),
            records: records as u64,
            octets,
            rejected,
            rejects: rejects.collect(),
            exact: true,
            validators,
        };
        Ok(Refreshed::Transferred(zone, transfer))
    }
}

/// A server without validators sends what is there already.
fn is_same(held: &Zone, zone: &Zone) -> bool {
    held.soa() == zone.soa() && held.same_rules(zone)
}

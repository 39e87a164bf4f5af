//! The ledger of a running daemon: opened at the start, tidied once a day.
//!
//! ```text
//! STATE/ledger.sqlite    answers of providers, registrations, audits, reports, signs, mutes
//! ```
//!
//! A damaged file is put aside and said; the daemon begins a new one, since nothing that decides
//! rests on it alone. A file of another program or of a later version stops the start: it would be
//! overwritten, or half understood.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::diagnostic::Diagnostic;
use crate::ledger::{SqliteLedger, put_aside};
use crate::model::Timestamp;
use crate::model::time::Clock;
use crate::ports::Ledger;

/// Between two rounds of removing what is too old.
const TIDY: Duration = Duration::from_secs(24 * 3600);

/// Opens the ledger of a state directory, with what was found on the way.
pub fn open(
    state: &Path,
    now: Timestamp,
) -> Result<(Arc<dyn Ledger>, Option<Diagnostic>), Diagnostic> {
    let path = SqliteLedger::path(state);
    let refused = |error: &dyn std::fmt::Display| Diagnostic::error(error.to_string());
    match SqliteLedger::open(&path) {
        Ok(ledger) => Ok((Arc::new(ledger), None)),
        Err(refusal) if refusal.is_damage() => {
            let aside = put_aside(&path, now.0).map_err(|error| refused(&error))?;
            let ledger = SqliteLedger::open(&path).map_err(|error| refused(&error))?;
            let finding = Diagnostic::warning(refusal.to_string())
                .hint(format!("it is kept as {}; a new one is begun", aside.display()));
            Ok((Arc::new(ledger), Some(finding)))
        }
        Err(refusal) => Err(refused(&refusal)
            .hint("move the file away, or run the version of this program that wrote it")),
    }
}

/// Removes what is too old or too much, now and then once a day, until told to stop.
pub async fn keep_tidy(ledger: Arc<dyn Ledger>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    loop {
        if let Err(error) = ledger.tidy(clock.now()).await {
            tracing::error!(%error, "what is old stays in the ledger");
        }
        tokio::select! {
            () = tokio::time::sleep(TIDY) => {}
            () = stop.cancelled() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_damaged_ledger_is_put_aside_and_a_foreign_one_stops_the_start() {
        let state = tempfile::tempdir().unwrap();
        let path = SqliteLedger::path(state.path());
        std::fs::write(&path, vec![b'x'; 8192]).unwrap();
        let (ledger, finding) = open(state.path(), Timestamp(7)).unwrap();
        assert_eq!(ledger.counts().await.unwrap().audits, 0);
        assert!(finding.unwrap().hint.unwrap().contains("ledger.sqlite.damaged-7"));
        drop(ledger);

        std::fs::remove_file(&path).unwrap();
        let theirs = rusqlite::Connection::open(&path).unwrap();
        theirs.execute("CREATE TABLE theirs (x)", []).unwrap();
        drop(theirs);
        let refusal = open(state.path(), Timestamp(8)).err().unwrap();
        assert!(refusal.message.contains("not a file of this program"), "{refusal}");
    }
}

//! The ledger in SQLite: one file, one thread that writes it.
//!
//! ```text
//! STATE/ledger.sqlite     records; beside it SQLite's write-ahead log (-wal, -shm)
//! ```
//!
//! A record is durable once its call returns: the write-ahead log is synced with each. A process
//! that is killed at any moment leaves every record that was acknowledged and no part of another.
//! The schema has a version in the file (`PRAGMA user_version`); an older file is brought forward
//! when it is opened, a newer one is refused.
//!
//! [`SqliteLedger`] is a handle to the thread. What waits for it is bounded: beyond that, callers
//! are told that the ledger is busy.

mod pdns;
mod rows;
mod schema;

use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use async_trait::async_trait;
use parking_lot::Mutex;
use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::model::{Name, Timestamp};
use crate::ports::ledger::{
    Audit, Draw, LedgerCounts, Lookup, Mute, Registration, Report, Sign, Spend,
};
use crate::ports::{Ledger, LedgerError};

pub use pdns::PdnsFile;
pub use schema::{Refusal, put_aside};

/// Work that waits for the thread: a few seconds' worth at some thousand small writes a second.
const QUEUE_MAX: usize = 4096;

type Work = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the ledger's thread. The thread ends, with all that was accepted done, when the
/// handle is dropped.
pub struct SqliteLedger {
    work: Option<SyncSender<Work>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl SqliteLedger {
    /// The file below a state directory.
    pub fn path(state: &Path) -> PathBuf {
        state.join("ledger.sqlite")
    }

    /// Opens the file, making it where it is not there.
    pub fn open(path: &Path) -> Result<Self, Refusal> {
        Self::start(schema::open(path, &schema::LEDGER)?)
    }

    /// A ledger that is gone with the handle, for tests.
    pub fn in_memory() -> Result<Self, Refusal> {
        Self::start(schema::in_memory(&schema::LEDGER)?)
    }

    fn start(connection: Connection) -> Result<Self, Refusal> {
        let (work, inbox) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || run(connection, &inbox))
            .map_err(Refusal::Thread)?;
        Ok(Self { work: Some(work), thread: Mutex::new(Some(thread)) })
    }

    /// Has the thread do something and waits for what comes of it.
    async fn ask<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, LedgerError> {
        let (say, told) = oneshot::channel();
        let work: Work = Box::new(move |connection| {
            // Nobody may be waiting any more; what was to be done is done all the same.
            let _ = say.send(work(connection));
        });
        match self.work.as_ref().ok_or(LedgerError::Closed)?.try_send(work) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(LedgerError::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(LedgerError::Closed),
        }
        let done = told.await.map_err(|_| LedgerError::Closed)?;
        done.map_err(|error| LedgerError::Database(error.to_string()))
    }
}

fn run(mut connection: Connection, inbox: &Receiver<Work>) {
    for work in inbox {
        work(&mut connection);
    }
    // What the log holds goes into the file, so that the next start has less to do.
    let _ = connection.pragma_update(None, "wal_checkpoint", "TRUNCATE");
}

impl Drop for SqliteLedger {
    fn drop(&mut self) {
        self.work = None;
        if let Some(thread) = self.thread.lock().take() {
            // A panic of the thread has been reported when it happened.
            let _ = thread.join();
        }
    }
}

#[async_trait]
impl Ledger for SqliteLedger {
    async fn keep_lookup(&self, lookup: Lookup) -> Result<(), LedgerError> {
        let facts = rows::checked_facts(&lookup)?;
        self.ask(move |c| rows::keep_lookup(c, &lookup, &facts)).await
    }

    async fn lookups(&self, indicator: String) -> Result<Vec<Lookup>, LedgerError> {
        self.ask(move |c| rows::lookups(c, &indicator)).await
    }

    async fn lookups_since(&self, since: Timestamp) -> Result<Vec<Lookup>, LedgerError> {
        self.ask(move |c| rows::lookups_since(c, since)).await
    }

    async fn keep_spend(&self, spend: Spend) -> Result<(), LedgerError> {
        self.ask(move |c| rows::keep_spend(c, &spend)).await
    }

    async fn spends(
        &self,
        provider: String,
        key_tag: String,
        since: Timestamp,
    ) -> Result<Vec<Spend>, LedgerError> {
        self.ask(move |c| rows::spends(c, &provider, &key_tag, since)).await
    }

    async fn keep_registration(&self, registration: Registration) -> Result<(), LedgerError> {
        self.ask(move |c| rows::keep_registration(c, &registration)).await
    }

    async fn registration(&self, domain: Name) -> Result<Option<Registration>, LedgerError> {
        self.ask(move |c| rows::registration(c, &domain)).await
    }

    async fn registrations(&self) -> Result<Vec<Registration>, LedgerError> {
        self.ask(rows::registrations).await
    }

    async fn keep_draw(&self, draw: Draw) -> Result<(), LedgerError> {
        self.ask(move |c| rows::keep_draw(c, &draw)).await
    }

    async fn draws(&self) -> Result<Vec<Draw>, LedgerError> {
        self.ask(rows::draws).await
    }

    async fn keep_audit(&self, audit: Audit) -> Result<Audit, LedgerError> {
        rows::check_text("the reviewer", &audit.by)?;
        self.ask(move |c| rows::keep_audit(c, audit)).await
    }

    async fn audits(&self) -> Result<Vec<Audit>, LedgerError> {
        self.ask(rows::audits).await
    }

    async fn keep_report(&self, report: Report) -> Result<(), LedgerError> {
        rows::check_text("the reporter", &report.by)?;
        rows::check_text("the note", report.note.as_deref().unwrap_or_default())?;
        self.ask(move |c| rows::keep_report(c, &report)).await
    }

    async fn reports(&self) -> Result<Vec<Report>, LedgerError> {
        self.ask(rows::reports).await
    }

    async fn keep_sign(&self, sign: Sign) -> Result<(), LedgerError> {
        self.ask(move |c| rows::keep_sign(c, &sign)).await
    }

    async fn signs(&self) -> Result<Vec<Sign>, LedgerError> {
        self.ask(rows::signs).await
    }

    async fn keep_mute(&self, mute: Mute) -> Result<(), LedgerError> {
        rows::check_text("the reason", mute.reason.as_deref().unwrap_or_default())?;
        rows::check_text("who mutes", &mute.by)?;
        self.ask(move |c| rows::keep_mute(c, &mute)).await
    }

    async fn mutes(&self, now: Timestamp) -> Result<Vec<Mute>, LedgerError> {
        self.ask(move |c| rows::mutes(c, now)).await
    }

    async fn unmute(&self, subject: Name, now: Timestamp) -> Result<usize, LedgerError> {
        self.ask(move |c| rows::unmute(c, &subject, now)).await
    }

    async fn tidy(&self, now: Timestamp) -> Result<(), LedgerError> {
        self.ask(move |c| rows::tidy(c, now)).await
    }

    async fn counts(&self) -> Result<LedgerCounts, LedgerError> {
        self.ask(rows::counts).await
    }
}

#[cfg(test)]
mod tests;

//! Files of SQLite: how they are opened, and how their schema came to be.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode};

/// Another process, such as a command beside the daemon, holds a lock no longer than this.
const PATIENCE: Duration = Duration::from_secs(5);
/// The write-ahead log is put into the file at this many pages of 4 KiB and cut off beyond: SQLite's
/// own default for the first.
const LOG_PAGES: u32 = 1000;
/// What the log may leave behind on disk after that, in octets.
const LOG_OCTETS_MAX: u32 = 16 << 20;

/// What one kind of file is made of.
pub struct Schema {
    /// Marks the file as ours (`PRAGMA application_id`).
    pub application: i32,
    /// The steps from an empty file to the schema of today; their number is the version. A step
    /// that was released is never edited.
    pub steps: &'static [&'static str],
    /// Whether each record must survive a loss of power. Without, one may be lost that was written
    /// last, and the file is sound all the same.
    pub durable: bool,
}

/// The ledger's records.
pub const LEDGER: Schema = Schema {
    application: 0x736b_6c31,
    steps: &[include_str!("schema/ledger-1.sql"), include_str!("schema/ledger-2.sql")],
    durable: true,
};

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// SQLite said no.
    #[error("{}: {error}", path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What it said.
        error: rusqlite::Error,
    },
    /// Another program's database.
    #[error("{}: not a file of this program", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A later version of this program wrote it.
    #[error("{}: version {found}, and this program knows {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u32,
        /// The latest known here.
        known: u32,
    },
    /// What is broken could not be put aside.
    #[error("{}: {error}", path.display())]
    Aside {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// There is no thread to be had.
    #[error("no thread: {0}")]
    Thread(io::Error),
}

impl Refusal {
    /// Whether the file is damaged, so that it is of no use to anybody.
    pub fn is_damage(&self) -> bool {
        let Self::Database { error, .. } = self else { return false };
        let code = error.sqlite_error_code();
        matches!(code, Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
    }
}

/// Opens a file for reading and writing, making it where it is not there.
pub fn open(path: &Path, schema: &Schema) -> Result<Connection, Refusal> {
    let failed = |error| Refusal::Database { path: path.to_owned(), error };
    let connection = Connection::open(path).map_err(failed)?;
    prepare(connection, path, schema)
}

/// A database without a file.
pub fn in_memory(schema: &Schema) -> Result<Connection, Refusal> {
    let path = Path::new(":memory:");
    let failed = |error| Refusal::Database { path: path.to_owned(), error };
    prepare(Connection::open_in_memory().map_err(failed)?, path, schema)
}

/// Renames a damaged file and its log, so that a new one can take its place and nothing is lost
/// that somebody may still read.
pub fn put_aside(path: &Path, seconds: u32) -> Result<PathBuf, Refusal> {
    let with = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let aside = with(&format!(".damaged-{seconds}"));
    std::fs::rename(path, &aside)
        .map_err(|error| Refusal::Aside { path: path.to_owned(), error })?;
    for log in ["-wal", "-shm"].map(with) {
        match std::fs::remove_file(&log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Refusal::Aside { path: log, error });
            }
            _ => {}
        }
    }
    Ok(aside)
}

fn known(schema: &Schema) -> u32 {
    u32::try_from(schema.steps.len()).expect("a handful of steps")
}

/// The file's version, where it is one of ours that can be read here.
fn checked_version(connection: &Connection, path: &Path, schema: &Schema) -> Result<u32, Refusal> {
    let failed = |error| Refusal::Database { path: path.to_owned(), error };
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let application = number("application_id").map_err(failed)?;
    let found = number("user_version").map_err(failed)?;
    let found = u32::try_from(found).unwrap_or(u32::MAX);
    let tables: i64 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(failed)?;
    if application != i64::from(schema.application) && (application, found, tables) != (0, 0, 0) {
        return Err(Refusal::Foreign { path: path.to_owned() });
    }
    match found > known(schema) {
        true => Err(Refusal::Newer { path: path.to_owned(), found, known: known(schema) }),
        false => Ok(found),
    }
}

fn prepare(
    mut connection: Connection,
    path: &Path,
    schema: &Schema,
) -> Result<Connection, Refusal> {
    let version = checked_version(&connection, path, schema)?;
    let prepared = (|| {
        connection.busy_timeout(PATIENCE)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let synchronous = if schema.durable { "FULL" } else { "NORMAL" };
        connection.pragma_update(None, "synchronous", synchronous)?;
        connection.pragma_update(None, "wal_autocheckpoint", LOG_PAGES)?;
        connection.pragma_update(None, "journal_size_limit", LOG_OCTETS_MAX)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        bring_forward(&mut connection, version, schema)
    })();
    match prepared {
        Ok(()) => Ok(connection),
        Err(error) => Err(Refusal::Database { path: path.to_owned(), error }),
    }
}

/// Takes the steps that the file has not seen, each as a whole.
fn bring_forward(
    connection: &mut Connection,
    version: u32,
    schema: &Schema,
) -> rusqlite::Result<()> {
    for (at, step) in schema.steps.iter().enumerate().skip(version as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "application_id", schema.application)?;
        transaction.pragma_update(None, "user_version", at as i64 + 1)?;
        transaction.commit()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: Schema = Schema {
        application: 7,
        steps: &["CREATE TABLE a (x INTEGER NOT NULL) STRICT;"],
        durable: false,
    };
    const TWO: Schema = Schema {
        steps: &[ONE.steps[0], "ALTER TABLE a ADD COLUMN y INTEGER NOT NULL DEFAULT 5;"],
        ..ONE
    };

    #[test]
    fn an_older_file_is_brought_forward_with_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        open(&path, &ONE).unwrap().execute("INSERT INTO a VALUES (3)", []).unwrap();
        for _ in 0..2 {
            let later = open(&path, &TWO).unwrap();
            let row = later.query_row("SELECT x, y FROM a", [], |r| Ok((r.get(0)?, r.get(1)?)));
            assert_eq!(row.unwrap(), (3, 5));
        }
    }

    #[test]
    fn a_newer_file_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        drop(open(&path, &TWO).unwrap());
        assert!(matches!(open(&path, &ONE), Err(Refusal::Newer { found: 2, known: 1, .. })));
        open(&path, &TWO).unwrap();
    }

    #[test]
    fn a_step_that_fails_changes_nothing() {
        const BROKEN: Schema =
            Schema { steps: &[ONE.steps[0], "CREATE TABLE b (x); CREATE TABLE a (x);"], ..ONE };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        drop(open(&path, &ONE).unwrap());
        assert!(matches!(open(&path, &BROKEN), Err(Refusal::Database { .. })));
        let sound = open(&path, &ONE).unwrap();
        assert!(sound.prepare("SELECT x FROM b").is_err());
    }

    #[test]
    fn files_of_others_are_refused_and_damaged_ones_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        Connection::open(&path).unwrap().execute("CREATE TABLE theirs (x)", []).unwrap();
        assert!(matches!(open(&path, &ONE), Err(Refusal::Foreign { .. })));
        let damaged = folder.path().join("damaged");
        std::fs::write(&damaged, vec![b'x'; 8192]).unwrap();
        let refusal = open(&damaged, &ONE).err().unwrap();
        assert!(refusal.is_damage(), "{refusal}");
        let aside = put_aside(&damaged, 11).unwrap();
        assert!(aside.exists() && !damaged.exists());
        open(&damaged, &ONE).unwrap();
    }
}

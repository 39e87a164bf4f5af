//! One refresh of a source, from the request to an accepted snapshot or a reason.
//!
//! Whatever goes wrong, nothing of the new snapshot is used and the old validators stay, so that
//! the next refresh asks for the whole again.

use super::contract::{self, History, Violation};
use super::decompress::{self, DecompressError};
use super::feed::{self, Entry, ParseError, Report};
use super::settings::Source;
use crate::diagnostic::Diagnostic;
use crate::ports::{Fetch, FetchError, FetchOutcome, FetchRequest, Fetched, Validators};

/// What a refresh brought.
#[derive(Debug)]
pub enum Refresh {
    /// What the source said before is still what it says.
    Unchanged,
    /// The source says something else, which replaces all it said before.
    Accepted(Box<Snapshot>),
}

/// All that a source says, once it has been judged.
#[derive(Debug)]
pub struct Snapshot {
    /// The entries, in the order of the feed; the same subject may come twice.
    pub entries: Vec<Entry>,
    /// What reading found.
    pub report: Report,
    /// To ask with the next time.
    pub validators: Validators,
}

/// Why a refresh brought nothing. The last good snapshot stays.
#[derive(Debug, thiserror::Error)]
pub enum RefreshError {
    /// It could not be fetched.
    #[error(transparent)]
    Fetch(#[from] FetchError),
    /// It could not be unpacked.
    #[error(transparent)]
    Decompress(#[from] DecompressError),
    /// It is not the list it should be.
    #[error(transparent)]
    Parse(#[from] ParseError),
    /// It is a list, but not the one it was.
    #[error(transparent)]
    Contract(#[from] Violation),
    /// The task that read it was lost, as at a shutdown.
    #[error("reading it was interrupted: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

impl RefreshError {
    /// How long the server asks to be left alone, in seconds.
    pub fn retry_after_seconds(&self) -> Option<u32> {
        match self {
            Self::Fetch(error) => error.retry_after_seconds(),
            _ => None,
        }
    }

    /// The same as a finding about the source.
    pub fn diagnostic(&self, source: &Source) -> Diagnostic {
        let finding = Diagnostic::error(format!("source {}: {self}", source.id));
        let format = source.format.as_str();
        match self {
            Self::Fetch(_) | Self::Interrupted(_) => finding,
            Self::Parse(ParseError::ColumnMissing { .. }) => {
                finding.hint("the feed has changed its columns: name the new ones")
            }
            Self::Decompress(DecompressError::MemberMissing { .. })
            | Self::Decompress(DecompressError::MemberUnclear { .. }) => {
                finding.hint("set `member` to the file that is meant")
            }
            Self::Decompress(_) | Self::Parse(ParseError::Read(_)) => {
                finding.hint("the last good copy stays; if the file is meant, raise its limits")
            }
            Self::Parse(_) | Self::Contract(_) => finding.hint(format!(
                "the last good copy stays; see whether {} is still a list in the format {format}",
                source.location
            )),
        }
    }
}

/// Refreshes a source. `validators` and `history` are those of the snapshots accepted before;
/// `seed` chooses the pauses between attempts.
pub async fn refresh(
    source: &Source,
    fetch: &dyn Fetch,
    validators: &Validators,
    history: &History,
    seed: u64,
) -> Result<Refresh, RefreshError> {
    let request = FetchRequest {
        location: source.location.clone(),
        validators: validators.clone(),
        limits: source.fetch_limits,
        seed,
    };
    let fetched = match fetch.fetch(&request).await? {
        FetchOutcome::Unchanged => return Ok(Refresh::Unchanged),
        FetchOutcome::Fetched(fetched) => fetched,
    };
    let source = source.clone();
    let history = history.clone();
    let snapshot = tokio::task::spawn_blocking(move || read(&source, fetched, &history)).await??;
    Ok(Refresh::Accepted(Box::new(snapshot)))
}

/// Unpacks, parses and judges what was fetched.
fn read(source: &Source, fetched: Fetched, history: &History) -> Result<Snapshot, RefreshError> {
    let Fetched { body, validators, .. } = fetched;
    let mut entries = Vec::new();
    let report =
        decompress::read(body, source.member.as_deref(), &source.decompress_limits, |reader| {
            feed::parse(&source.format, reader, &source.limits(), &mut |entry| entries.push(entry))
        })??;
    contract::check(&report, history)?;
    Ok(Snapshot { entries, report, validators })
}

#[cfg(test)]
mod tests {
    use super::super::feed::Format;
    use super::super::fetch::loopback::{Server, answer};
    use super::super::fetch::{Fetcher, HttpClient, HttpConfig};
    use super::*;
    use crate::model::{Category, SourceId};
    use crate::ports::Location;
    use std::io::Write as _;

    /// Refreshes a list of names that a server answers with.
    async fn refreshed(status: &str, body: &[u8], history: &History) -> Result<Refresh, String> {
        let directory = tempfile::tempdir().unwrap();
        let client = HttpClient::new(HttpConfig::new(directory.path().to_owned())).unwrap();
        let server = Server::start(vec![answer(status, &["ETag: \"v2\""], body)]).await;
        let location = Location::parse(&server.url("/list")).unwrap();
        let source =
            Source::new(SourceId::new("mine"), location, Format::Domains, Category::Malware);
        let validators = Validators { etag: Some("\"v1\"".into()), last_modified: None };
        let address = server.address.to_string();
        refresh(&source, &Fetcher::new(client), &validators, history, 1)
            .await
            .map_err(|e| e.diagnostic(&source).to_string().replace(&address, "lists.example"))
    }

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test]
    async fn a_good_list_is_accepted_with_its_validators() {
        let body = gzip(b"bad.example\nworse.example\n");
        let Ok(Refresh::Accepted(snapshot)) =
            refreshed("200 OK", &body, &History::of([2, 3, 2])).await
        else {
            panic!("refused")
        };
        assert_eq!(snapshot.entries.len(), 2);
        assert_eq!(snapshot.validators.etag.as_deref(), Some("\"v2\""));
    }

    #[tokio::test]
    async fn an_unchanged_list_is_not_read() {
        let outcome = refreshed("304 Not Modified", b"", &History::default()).await;
        assert!(matches!(outcome, Ok(Refresh::Unchanged)));
    }

    #[tokio::test]
    async fn whatever_is_not_the_list_it_was_is_refused_with_a_clear_message() {
        let bomb = gzip(&vec![b'x'; 20 * 1024 * 1024]);
        let usual = History::of([1000, 1000, 1000]);
        for (status, body, message) in [
            (
                "200 OK",
                &b"<!doctype html><title>Moved</title>"[..],
                "error: source mine: this is an HTML page, not a list; it begins with \
                 \"<!doctype html><title>Moved</title>\"\nhint: the last good copy stays; see whether \
                 http://lists.example/list is still a list in the format domains",
            ),
            (
                "200 OK",
                b"Couldn't find the requested file.\nsorry\n",
                "error: source mine: only 0 of 2 lines parse, so this is not the list it was (R1)\n\
                 hint: the last good copy stays; see whether http://lists.example/list is still a \
                 list in the format domains",
            ),
            (
                "200 OK",
                b"bad.example\n",
                "error: source mine: it has shrunk from the usual 1000 entries to 1, less than a tenth (R2)\nhint: the \
                 last good copy stays; see whether http://lists.example/list is still a list in the \
                 format domains",
            ),
            (
                "410 Gone",
                b"",
                "error: source mine: http://lists.example/list answered 410 (not found: the feed \
                 may have moved or been retired)",
            ),
        ] {
            assert_eq!(refreshed(status, body, &usual).await.unwrap_err(), message);
        }
        let message = refreshed("200 OK", &bomb, &usual).await.unwrap_err();
        assert!(message.contains("it unpacks to more than 200 times its size"), "{message}");
        assert!(message.ends_with("raise its limits"), "{message}");
    }
}

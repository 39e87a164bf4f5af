//! The log: where it goes, in which form, and what is left out.
//!
//! Nothing here is global. [`subscriber`] returns a value; the daemon makes it the process's
//! subscriber, which is the one global that `tracing` needs.

use std::fmt;
use std::io;

use thiserror::Error;
use tracing::Subscriber;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::{EnvFilter, Registry};

/// What is logged unless the configuration says otherwise.
///
/// The resolver crates warn of every name that is no zone cut and of every answer that does not
/// fit, so that whoever sends questions or answers would fill the log.
pub const FILTER_DEFAULT: &str = "info,hickory_resolver=off,hickory_net=off,hickory_proto=off";

/// The name under which the journal files our lines (`journalctl -t sekisho`).
const JOURNAL_IDENTIFIER: &str = "sekisho";

/// What goes before our field names in the journal, since fields without a prefix can be taken
/// for the journal's own.
const JOURNAL_FIELD_PREFIX: &str = "SEKISHO";

/// Why there is no log.
#[derive(Debug, Error)]
pub enum LogError {
    /// The filter is not in the form `level,target=level,…`.
    #[error("the log filter `{filter}` cannot be read: {source}")]
    Filter {
        /// The filter as it was given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The form has no such name.
    #[error("`{0}` is no form of log; there are `human`, `json` and `journald`")]
    Form(String),
    /// The journal's socket cannot be reached.
    #[error("the journal cannot be reached: {0}")]
    Journal(#[source] io::Error),
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For a person's eyes, with or without colour.
    Human {
        /// Whether levels and field names are coloured.
        colour: bool,
    },
    /// One JSON object a line.
    Json,
    /// The journal's own protocol, with every field searchable.
    Journald,
}

impl Form {
    /// The form that suits standard error: human on a terminal, the journal's where systemd has
    /// connected it to the journal, JSON otherwise (a pipe, a file, a container's log).
    ///
    /// `journal_stream` is the environment's `JOURNAL_STREAM`, `device:inode` of the stream that
    /// systemd made. A process can inherit the variable and have its output sent elsewhere, so
    /// systemd.exec(5) asks to compare it with `stderr`, the device and inode as they are.
    pub fn fitting(
        is_terminal: bool,
        journal_stream: Option<&str>,
        stderr: Option<(u64, u64)>,
    ) -> Form {
        if is_terminal {
            Form::Human { colour: true }
        } else if stderr.is_some() && journal_stream.and_then(device_and_inode) == stderr {
            Form::Journald
        } else {
            Form::Json
        }
    }

    /// The form of that name, as the configuration writes it.
    pub fn parse(word: &str) -> Result<Form, LogError> {
        match word {
            "human" => Ok(Form::Human { colour: false }),
            "json" => Ok(Form::Json),
            "journald" => Ok(Form::Journald),
            _ => Err(LogError::Form(word.to_owned())),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Form::Human { .. } => "human",
            Form::Json => "json",
            Form::Journald => "journald",
        })
    }
}

fn device_and_inode(journal_stream: &str) -> Option<(u64, u64)> {
    let (device, inode) = journal_stream.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

/// A subscriber that writes lines of `form` to `writer`, or to the journal. `filter` is a list of
/// levels such as [`FILTER_DEFAULT`]; the environment has no say in it.
pub fn subscriber<W>(
    form: Form,
    filter: &str,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LogError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    // Patterns in a filter could be made slow on purpose; a level for a target needs none.
    let levels = EnvFilter::builder()
        .with_regex(false)
        .parse(filter)
        .map_err(|source| LogError::Filter { filter: filter.to_owned(), source })?;
    let base = Registry::default().with(levels);
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    Ok(match form {
        Form::Human { colour } => Box::new(base.with(lines.with_ansi(colour).with_target(false))),
        Form::Json => Box::new(base.with(lines.json().flatten_event(true))),
        Form::Journald => Box::new(base.with(journal()?)),
    })
}

fn journal() -> Result<tracing_journald::Layer, LogError> {
    Ok(tracing_journald::layer()
        .map_err(LogError::Journal)?
        .with_field_prefix(Some(JOURNAL_FIELD_PREFIX.to_owned()))
        .with_syslog_identifier(JOURNAL_IDENTIFIER.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(octets);
            Ok(octets.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn logged(form: Form, filter: &str, act: impl FnOnce()) -> String {
        let page = Page::default();
        let writer = page.clone();
        let subscriber = subscriber(form, filter, move || writer.clone()).unwrap();
        tracing::subscriber::with_default(subscriber, act);
        let octets = page.0.lock().unwrap().clone();
        String::from_utf8(octets).unwrap()
    }

    #[test]
    fn a_person_reads_one_line_with_fields() {
        let text = logged(Form::Human { colour: false }, FILTER_DEFAULT, || {
            tracing::info!(feed = "urlhaus", entries = 312, "feed refreshed");
        });
        assert!(text.ends_with("INFO feed refreshed feed=\"urlhaus\" entries=312\n"), "{text}");
    }

    #[test]
    fn a_machine_reads_fields_at_the_top_of_the_object() {
        let text = logged(Form::Json, FILTER_DEFAULT, || {
            tracing::warn!(feed = "urlhaus", status = 503, "feed not refreshed");
        });
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "WARN");
        assert_eq!(line["message"], "feed not refreshed");
        assert_eq!(line["feed"], "urlhaus");
        assert_eq!(line["status"], 503);
    }

    #[test]
    fn the_default_filter_keeps_the_resolver_crates_out() {
        let text = logged(Form::Json, FILTER_DEFAULT, || {
            tracing::warn!(target: "sekisho::resolver::udp", "socket lost");
            tracing::warn!(target: "hickory_resolver::recursor::handle", "lookup error");
            tracing::error!(target: "hickory_net::dnssec", "rejecting response");
            tracing::debug!("one query");
        });
        assert_eq!(text.lines().count(), 1, "{text}");
        assert!(text.contains("socket lost"));
    }

    #[test]
    fn a_filter_with_a_slip_is_refused_by_name() {
        let result = subscriber(Form::Json, "info,sekisho=lowd", io::sink);
        let message = result.err().map(|e| e.to_string()).unwrap_or_default();
        assert!(message.contains("`info,sekisho=lowd`"), "{message}");
    }

    #[test]
    fn the_journal_is_used_only_where_standard_error_is_its_stream() {
        let fitting = |journal, stderr| Form::fitting(false, journal, stderr);
        assert_eq!(fitting(Some("8:4242"), Some((8, 4242))), Form::Journald);
        assert_eq!(fitting(Some("8:4242"), Some((8, 7))), Form::Json);
        assert_eq!(fitting(Some("nonsense"), None), Form::Json);
        assert_eq!(fitting(None, Some((8, 7))), Form::Json);
        assert_eq!(Form::fitting(true, Some("8:4242"), Some((8, 7))), Form::Human { colour: true });
    }

    #[test]
    fn every_form_is_read_by_the_name_it_shows() {
        for word in ["human", "json", "journald"] {
            assert_eq!(Form::parse(word).unwrap().to_string(), word);
        }
        assert!(Form::parse("syslog").unwrap_err().to_string().contains("`syslog`"));
    }
}

//! Answers: what a path stands for, and how it leaves.

use std::io;
use std::path::PathBuf;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE,
    CONTENT_TYPE, ETAG, IF_NONE_MATCH, IF_RANGE, RANGE, RETRY_AFTER, VARY,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;

use super::range::{Part, part};
use crate::publish::artefact::shelf::{Artefact, OBJECTS_FILE, Stock};

/// A response as hyper sends it.
pub type Response = http::Response<BoxBody<Bytes, io::Error>>;

/// How much of a file is read at once.
const PIECE_OCTETS: usize = 64 << 10;

/// What is said to a request.
#[derive(Debug)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, String)>,
    body: Body,
}

/// The octets of an answer.
#[derive(Debug)]
enum Body {
    Text(String),
    /// A piece of a file with something before and behind.
    File {
        before: String,
        path: PathBuf,
        start: u64,
        length: u64,
        behind: String,
    },
}

/// An answer whose file is open.
pub struct Opened {
    answer: Answer,
    file: Option<tokio::fs::File>,
}

impl Answer {
    /// A text.
    pub fn text(status: StatusCode, text: impl Into<String>) -> Self {
        let answer = Self { status, headers: Vec::new(), body: Body::Text(text.into()) };
        answer.with(CONTENT_TYPE, "text/plain; charset=utf-8")
    }

    /// A text of another type.
    pub fn typed(status: StatusCode, media_type: &str, text: impl Into<String>) -> Self {
        let answer = Self { status, headers: Vec::new(), body: Body::Text(text.into()) };
        answer.with(CONTENT_TYPE, media_type)
    }

    /// A piece of a file with something before and behind.
    pub fn around(
        media_type: &str,
        before: String,
        piece: (PathBuf, u64, u64),
        behind: &str,
    ) -> Self {
        let (path, start, length) = piece;
        let body = Body::File { before, path, start, length, behind: behind.to_owned() };
        let answer = Self { status: StatusCode::OK, headers: Vec::new(), body };
        answer.with(CONTENT_TYPE, media_type)
    }

    /// The same with a header.
    pub fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Opens its file, if it has one.
    pub async fn open(self) -> io::Result<Opened> {
        let file = match &self.body {
            Body::Text(_) => None,
            Body::File { path, start, .. } => {
                let mut file = tokio::fs::File::open(path).await?;
                file.seek(io::SeekFrom::Start(*start)).await?;
                Some(file)
            }
        };
        Ok(Opened { answer: self, file })
    }

    /// The response of an answer without a file.
    pub fn plain(self, is_head: bool) -> Response {
        Opened { answer: self, file: None }.respond(is_head)
    }
}

impl Opened {
    /// The response; to HEAD without its body.
    pub fn respond(self, is_head: bool) -> Response {
        let Self { answer: Answer { status, headers, body }, file } = self;
        let length = match &body {
            Body::Text(text) => text.len() as u64,
            Body::File { before, length, behind, .. } => {
                before.len() as u64 + length + behind.len() as u64
            }
        };
        let body = match (body, file) {
            _ if is_head || status == StatusCode::NOT_MODIFIED => full(String::new()),
            (Body::Text(text), _) => full(text),
            (Body::File { .. }, None) => full(String::new()),
            (Body::File { before, length, behind, .. }, Some(file)) => {
                let reader = io::Cursor::new(before).chain(file.take(length));
                let reader = reader.chain(io::Cursor::new(behind));
                let pieces = ReaderStream::with_capacity(reader, PIECE_OCTETS);
                StreamBody::new(pieces.map_ok(Frame::data)).boxed()
            }
        };
        let mut response = http::Response::new(body);
        *response.status_mut() = status;
        for (name, value) in headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                response.headers_mut().append(name, value);
            }
        }
        if status != StatusCode::NOT_MODIFIED {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        response
    }
}

fn full(text: String) -> BoxBody<Bytes, io::Error> {
    Full::new(Bytes::from(text)).map_err(|never| match never {}).boxed()
}

/// The answer to a path that is no TAXII.
pub fn artefact(
    stock: &Stock,
    public_key: Option<&str>,
    path: &str,
    headers: &HeaderMap,
) -> Answer {
    if stock.artefacts.is_empty() {
        let answer = Answer::text(StatusCode::SERVICE_UNAVAILABLE, "it is being made\n");
        return answer.with(RETRY_AFTER, "10");
    }
    let name = path.trim_start_matches('/');
    match name {
        "" => return Answer::text(StatusCode::OK, index(stock, public_key.is_some())),
        "index.json" => return machine_index(stock),
        "sekisho.pub" => {
            return match public_key {
                Some(key) => Answer::text(StatusCode::OK, key),
                None => Answer::text(StatusCode::NOT_FOUND, "artefacts are not signed here\n"),
            };
        }
        _ => {}
    }
    let held = |name: &str| stock.artefacts.get(name).filter(|_| name != OBJECTS_FILE);
    if let Some(artefact) = held(name) {
        return whole(artefact, headers);
    }
    if let Some(artefact) = name.strip_suffix(".sha256").and_then(held) {
        let file = name.trim_end_matches(".sha256").rsplit('/').next().unwrap_or(name);
        return Answer::text(StatusCode::OK, format!("{}  {file}\n", artefact.sha256));
    }
    let signature = name.strip_suffix(".minisig").and_then(held);
    match signature.and_then(|artefact| artefact.signature.clone()) {
        Some(signature) => Answer::text(StatusCode::OK, signature),
        None => Answer::text(StatusCode::NOT_FOUND, "there is no such artefact\n"),
    }
}

/// A file: unchanged, packed, in part or whole.
fn whole(artefact: &Artefact, headers: &HeaderMap) -> Answer {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let tag = format!("\"{}\"", artefact.sha256);
    let packed_tag = format!("\"{}-gzip\"", artefact.sha256);
    // A part is one of the file as it is.
    let asks_part = headers.contains_key(RANGE);
    let packed = !asks_part && accepts_gzip(header(ACCEPT_ENCODING));
    let own = if packed { &packed_tag } else { &tag };
    let described = |answer: Answer| {
        let answer = answer.with(ETAG, own.clone()).with(VARY, "Accept-Encoding");
        answer.with(CACHE_CONTROL, "no-cache").with(ACCEPT_RANGES, "bytes")
    };
    if header(IF_NONE_MATCH).is_some_and(|tags| names(tags, own)) {
        let answer = Answer::text(StatusCode::NOT_MODIFIED, "");
        return described(answer);
    }
    let piece = |start, length| {
        let piece = (artefact.path().to_owned(), start, length);
        Answer::around(artefact.media_type, String::new(), piece, "")
    };
    if packed {
        let piece = (artefact.packed_path(), 0, artefact.packed_octets);
        let answer = Answer::around(artefact.media_type, String::new(), piece, "");
        return described(answer.with(CONTENT_ENCODING, "gzip"));
    }
    // RFC 9110 section 13.1.5: a part of another version is of no use.
    let current = header(IF_RANGE).is_none_or(|known| known.trim() == tag);
    match part(header(RANGE).filter(|_| current), artefact.octets) {
        Part::Whole => described(piece(0, artefact.octets)),
        Part::Outside => {
            let answer = Answer::text(StatusCode::RANGE_NOT_SATISFIABLE, "no such part\n");
            answer.with(CONTENT_RANGE, format!("bytes */{}", artefact.octets))
        }
        Part::Octets(start, length) => {
            let end = start + length - 1;
            let mut answer = piece(start, length);
            answer.status = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {start}-{end}/{}", artefact.octets);
            described(answer.with(CONTENT_RANGE, range))
        }
    }
}

/// Whether a list of entity tags names one; weak ones count as well (RFC 9110 section 13.1.2).
fn names(tags: &str, tag: &str) -> bool {
    tags.split(',').map(str::trim).any(|t| t == "*" || t.trim_start_matches("W/") == tag)
}

/// Whether gzip may be used (RFC 9110 section 12.5.3).
fn accepts_gzip(header: Option<&str>) -> bool {
    let Some(header) = header else { return false };
    let mut by_star = None;
    for coding in header.split(',') {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or("").to_ascii_lowercase();
        let quality = parts.find_map(|p| p.strip_prefix("q=")?.trim().parse::<f32>().ok());
        let wanted = quality.unwrap_or(1.0) > 0.0;
        match &name[..] {
            "gzip" | "x-gzip" => return wanted,
            "*" => by_star = Some(wanted),
            _ => {}
        }
    }
    by_star.unwrap_or(false)
}

fn shown(stock: &Stock) -> impl Iterator<Item = (&String, &Artefact)> {
    stock.artefacts.iter().filter(|(name, _)| *name != OBJECTS_FILE)
}

fn index(stock: &Stock, signed: bool) -> String {
    let mut text = String::from("What is here, with octets and entries:\n\n");
    for (name, artefact) in shown(stock) {
        let (octets, entries) = (artefact.octets, artefact.tally.entries);
        text += &format!("/{name}  {octets}  {entries}\n");
    }
    text += "\nEach also with `.sha256`";
    text += if signed { " and `.minisig`; the key is /sekisho.pub.\n" } else { ".\n" };
    text + "The same for machines: /index.json. TAXII 2.1: /taxii2/.\n"
}

fn machine_index(stock: &Stock) -> Answer {
    let artefacts = shown(stock).map(|(name, artefact)| {
        serde_json::json!({
            "path": format!("/{name}"),
            "media_type": artefact.media_type,
            "octets": artefact.octets,
            "sha256": artefact.sha256,
            "entries": artefact.tally.entries,
            "left_out": artefact.tally.left_out,
            "changed_at": artefact.at.0,
        })
    });
    let artefacts: Vec<serde_json::Value> = artefacts.collect();
    let text = serde_json::json!({ "artefacts": artefacts }).to_string();
    Answer::typed(StatusCode::OK, "application/json", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_where_it_is_accepted() {
        for (header, accepted) in [
            ("gzip", true),
            ("deflate, gzip;q=1.0, *;q=0.5", true),
            ("gzip;q=0", false),
            ("identity", false),
            ("*", true),
            ("*;q=0", false),
            ("", false),
        ] {
            assert_eq!(accepts_gzip(Some(header)), accepted, "{header}");
        }
        assert!(!accepts_gzip(None));
    }

    #[test]
    fn entity_tags_are_found_in_a_list() {
        assert!(names("\"a\", W/\"b\"", "\"b\"") && names("*", "\"c\""));
        assert!(!names("\"a\"", "\"b\""));
    }
}

//! Lines of any length in bounded memory, and the loop that all line formats share.

use std::borrow::Cow;
use std::io::{self, BufRead, Read as _};

use super::report::Tally;
use super::{Entry, Limits, ParseError, Reason, Report, neutralised};

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads a feed line by line.
pub(super) fn parse(
    reader: &mut dyn BufRead,
    limits: &Limits,
    sink: &mut dyn FnMut(Entry),
    mut line: impl FnMut(&str, &mut Tally<'_>),
) -> Result<Report, ParseError> {
    each(reader, limits, sink, Opening::Text, |text, tally| {
        line(text, tally);
        Ok(())
    })
}

/// What the first line of a feed may look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// Anything but markup and JSON.
    Text,
    /// Anything but markup.
    Json,
}

/// Reads line by line with a parser that may refuse the whole feed.
pub(super) fn each(
    reader: &mut dyn BufRead,
    limits: &Limits,
    sink: &mut dyn FnMut(Entry),
    opening: Opening,
    mut line: impl FnMut(&str, &mut Tally<'_>) -> Result<(), ParseError>,
) -> Result<Report, ParseError> {
    let mut tally = Tally::new(limits, sink);
    let mut lines = Lines::new(reader, limits.line_octets_max);
    let mut opened = false;
    while let Some(next) = lines.next_line()? {
        if next.number > limits.lines_max {
            return Err(ParseError::TooManyLines(limits.lines_max));
        }
        tally.begin(next.number);
        match next.text {
            None => tally.reject(&next.start, Reason::LineTooLong(limits.line_octets_max)),
            Some(text) if text.trim().is_empty() => tally.blank(),
            Some(text) => {
                if !opened {
                    refuse_other_documents(&text, opening)?;
                    opened = true;
                }
                line(&text, &mut tally)?;
            }
        }
        if tally.is_full() {
            return Err(ParseError::TooManyEntries(limits.entries_max));
        }
        tally.end();
    }
    Ok(tally.report)
}

/// Names what is plainly another kind of document by how it begins.
pub(super) fn refuse_other_documents(text: &str, opening: Opening) -> Result<(), ParseError> {
    let text = text.trim_start();
    if text.starts_with('<') {
        let lower = text.get(..9).unwrap_or(text).to_ascii_lowercase();
        let kind = match () {
            () if lower.starts_with("<!doctype") || lower.starts_with("<html") => "an HTML page",
            () if lower.starts_with("<?xml") => "an XML document",
            () => "a page of markup",
        };
        return Err(ParseError::Markup { kind, start: neutralised(text) });
    }
    // `[Adblock Plus]` opens a filter list, `["` and `[{` a JSON document.
    let json = text.starts_with('{')
        || text.strip_prefix('[').is_some_and(|rest| rest.trim_start().starts_with(['"', '{']));
    match json && opening == Opening::Text {
        true => Err(ParseError::UnexpectedJson { start: neutralised(text) }),
        false => Ok(()),
    }
}

/// Names octets that cannot be the start of text in UTF-8.
pub(super) fn refuse_binary(head: &[u8]) -> Result<(), ParseError> {
    if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
        return Err(ParseError::NotText("text in UTF-16"));
    }
    match head.contains(&0) {
        true => Err(ParseError::NotText("binary data")),
        false => Ok(()),
    }
}

/// A line with its number.
struct Line<'a> {
    number: u64,
    /// The text without its end; none if the line is too long. Octets that are not UTF-8 are
    /// replaced: a comment stays a comment, and a name with one is rejected as such.
    text: Option<Cow<'a, str>>,
    /// The first characters of a line that is too long.
    start: Cow<'a, str>,
}

struct Lines<'a> {
    reader: &'a mut dyn BufRead,
    buffer: Vec<u8>,
    octets_max: usize,
    number: u64,
}

impl<'a> Lines<'a> {
    fn new(reader: &'a mut dyn BufRead, octets_max: usize) -> Self {
        Self { reader, buffer: Vec::new(), octets_max, number: 0 }
    }

    fn next_line(&mut self) -> Result<Option<Line<'_>>, ParseError> {
        self.buffer.clear();
        // Room for the end of the line, which may be two octets.
        let room = self.octets_max as u64 + 2;
        if (&mut *self.reader).take(room).read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let ended = self.buffer.ends_with(b"\n");
        let mut text = self.buffer.as_slice();
        text = text.strip_suffix(b"\n").unwrap_or(text);
        text = text.strip_suffix(b"\r").unwrap_or(text);
        if self.number == 1 {
            refuse_binary(text)?;
            text = text.strip_prefix(UTF8_MARK).unwrap_or(text);
        }
        let text = match text.len() > self.octets_max {
            // Checking first is faster than replacing nothing.
            false => Some(match std::str::from_utf8(text) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => String::from_utf8_lossy(text),
            }),
            true => None,
        };
        let is_long = text.is_none();
        if is_long && !ended {
            skip_line(self.reader)?;
        }
        let start = match is_long {
            true => String::from_utf8_lossy(&self.buffer[..self.buffer.len().min(100)]),
            false => Cow::Borrowed(""),
        };
        Ok(Some(Line { number: self.number, text, start }))
    }
}

/// Consumes the rest of a line without keeping it.
fn skip_line(reader: &mut dyn BufRead) -> io::Result<()> {
    reader.skip_until(b'\n').map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::super::tests::{claims, rejects};
    use super::super::{Format, Limits, parse};
    use super::*;

    fn texts(input: &[u8], octets_max: usize) -> Vec<Option<String>> {
        let mut reader = input;
        let mut lines = Lines::new(&mut reader, octets_max);
        let mut texts = Vec::new();
        while let Some(line) = lines.next_line().unwrap() {
            texts.push(line.text.map(Cow::into_owned));
        }
        texts
    }

    #[test]
    fn lines_end_as_any_system_writes_them() {
        let expected = ["a", "b", "", "c"].map(|t| Some(t.to_owned()));
        assert_eq!(texts(b"\xef\xbb\xbfa\r\nb\n\nc", 10), expected);
    }

    #[test]
    fn a_line_of_exactly_the_limit_is_read_and_one_more_octet_is_not() {
        assert_eq!(texts(b"1234\n12345\r\nx", 4), [Some("1234".into()), None, Some("x".into())]);
        assert_eq!(texts(b"1234\r\n1234", 4), [Some("1234".into()), Some("1234".into())]);
        assert_eq!(texts(b"12345", 4), [None]);
        assert_eq!(texts(b"123456789", 4), [None]);
    }

    /// A source of one line of `octets` octets that exist only in passing.
    struct LongLine {
        octets: u64,
        then: &'static [u8],
    }

    impl io::Read for LongLine {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            if self.octets == 0 {
                return self.then.read(out);
            }
            let count = self.octets.min(out.len() as u64);
            out[..count as usize].fill(b'x');
            self.octets -= count;
            Ok(count as usize)
        }
    }

    #[test]
    fn a_line_of_ten_gigabytes_is_one_reject_and_the_next_line_is_read() {
        let source = LongLine { octets: 10_000_000_000, then: b"\nbad.example\n" };
        let mut reader = io::BufReader::with_capacity(1 << 20, source);
        let mut entries = Vec::new();
        let report = parse(&Format::Domains, &mut reader, &Limits::default(), &mut |e| {
            entries.push(e.subject.to_string());
        })
        .unwrap();
        assert_eq!(entries, ["bad.example"]);
        assert_eq!((report.lines, report.lines_rejected), (2, 1));
        assert_eq!(report.rejects[0].reason, Reason::LineTooLong(65_536));
        assert_eq!(report.rejects[0].text.chars().count(), 81);
    }

    #[test]
    fn comments_in_other_encodings_stay_comments() {
        let text = b"# M\xfcller\nbad.example\nb\xe4d.example\n";
        let mut names = Vec::new();
        let report = parse(&Format::Domains, &mut &text[..], &Limits::default(), &mut |e| {
            names.push(e.subject.to_string());
        })
        .unwrap();
        assert_eq!(names, ["bad.example"]);
        assert_eq!((report.lines_blank, report.lines_rejected), (1, 1));
    }

    #[test]
    fn rejects_carry_the_number_of_their_line() {
        let text = "# list\n\ngood.example\nbad name\n-x.example\n";
        assert_eq!(claims(&Format::Domains, text), "good.example");
        assert_eq!(
            rejects(&Format::Domains, text),
            ["4: more than one word on the line", "5: a label starts or ends with a hyphen"]
        );
    }
}

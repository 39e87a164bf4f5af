//! The loop that all line formats share: lines of any length in bounded memory.

use std::io::{BufRead, Read as _};

use super::report::{End, Place, Reason, Tally};

/// Reads line by line. Octets that are not UTF-8 (names in old encodings) are replaced. A line that
/// gives an error is rejected with it.
pub(super) fn each(
    reader: &mut dyn BufRead,
    tally: &mut Tally<'_>,
    mut line: impl FnMut(&str, &mut Tally<'_>) -> Result<(), Reason>,
) {
    let octets_max = tally.limits.line_octets_max;
    let mut buffer = Vec::new();
    while !tally.is_full() {
        buffer.clear();
        let number = tally.report.records + 1;
        // Room for the end of the line, which may be two octets.
        let room = octets_max as u64 + 2;
        let read = (&mut *reader).take(room).read_until(b'\n', &mut buffer);
        let failed =
            |error: std::io::Error| End::Unreadable(Place::Line(number), error.to_string());
        match read {
            Ok(0) => return,
            Ok(_) => {}
            // What came before the error may be half a line.
            Err(error) => return tally.report.end = failed(error),
        }
        tally.report.records = number;
        let ended = buffer.ends_with(b"\n");
        let text = buffer.strip_suffix(b"\n").unwrap_or(&buffer);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.len() > octets_max {
            let start = String::from_utf8_lossy(&text[..text.len().min(400)]).into_owned();
            tally.reject(Place::Line(number), &start, Reason::LineTooLong(octets_max));
            if !ended && let Err(error) = reader.skip_until(b'\n') {
                return tally.report.end = failed(error);
            }
            continue;
        }
        let text = String::from_utf8_lossy(text);
        let text = if number == 1 { text.trim_start_matches('\u{feff}') } else { &text };
        if let Err(reason) = line(text, tally) {
            tally.reject(Place::Line(number), text, reason);
        }
    }
}

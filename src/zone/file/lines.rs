//! One logical line after the other: a line of a master file, or several that parentheses join.

use std::io::{self, BufRead};

use super::SyntaxError;

/// Reads logical lines into one buffer. A line that is broken is given as an error, and reading
/// goes on with the next one.
pub(super) struct Lines<'i> {
    input: Box<dyn BufRead + 'i>,
    text: Vec<u8>,
    octets_max: usize,
    /// Lines read so far, and how many of them before the current logical line.
    read: u32,
    before: u32,
}

impl<'i> Lines<'i> {
    pub fn new(input: Box<dyn BufRead + 'i>, octets_max: usize) -> Self {
        Self { input, text: Vec::new(), octets_max, read: 0, before: 0 }
    }

    /// The current logical line, without its end.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The number of its first line, from 1.
    pub fn number(&self) -> u32 {
        self.before.saturating_add(1)
    }

    /// Line and column of an offset in it, both from 1; columns count characters.
    pub fn place(&self, offset: usize) -> (u32, u32) {
        let before = &self.text[..offset.min(self.text.len())];
        let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let lines = memchr::memchr_iter(b'\n', before).count();
        let column = String::from_utf8_lossy(&before[start..]).chars().count() + 1;
        let small = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        (self.number().saturating_add(small(lines)), small(column))
    }

    /// Moves to the next logical line; false at the end. An error says at which offset.
    pub fn advance(&mut self) -> io::Result<Result<bool, (SyntaxError, usize)>> {
        self.text.clear();
        self.before = self.read;
        let mut state = State { depth: 0, opened: 0 };
        loop {
            let start = self.text.len();
            match self.read_line()? {
                Read::End if state.depth > 0 => {
                    return Ok(Err((SyntaxError::OpenParenthesis, state.opened)));
                }
                Read::End => return Ok(Ok(false)),
                Read::TooLong => return Ok(Err((SyntaxError::TooLong(self.octets_max), start))),
                Read::Line => {}
            }
            match state.scan(&self.text, start) {
                Err(error) => return Ok(Err(error)),
                Ok(()) if state.depth == 0 => return Ok(Ok(true)),
                Ok(()) => self.text.push(b'\n'),
            }
        }
    }

    /// Appends one line without its end. What is longer than allowed is passed over.
    fn read_line(&mut self) -> io::Result<Read> {
        let (mut found, mut fits) = (false, true);
        loop {
            let octets = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                octets => octets?,
            };
            if octets.is_empty() {
                break;
            }
            found = true;
            let end = memchr::memchr(b'\n', octets);
            let part = &octets[..end.unwrap_or(octets.len())];
            fits &= self.text.len() + part.len() <= self.octets_max;
            if fits {
                self.text.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        if !found {
            return Ok(Read::End);
        }
        self.read = self.read.saturating_add(1);
        Ok(if fits { Read::Line } else { Read::TooLong })
    }
}

enum Read {
    Line,
    TooLong,
    End,
}

/// Parentheses that are open, and the offset of the outermost.
struct State {
    depth: usize,
    opened: usize,
}

impl State {
    fn scan(&mut self, text: &[u8], start: usize) -> Result<(), (SyntaxError, usize)> {
        if memchr::memchr3(b'(', b')', b'"', &text[start..]).is_none() {
            return Ok(());
        }
        let mut at = start;
        while let Some(&octet) = text.get(at) {
            match octet {
                b'\\' => at += 1,
                b';' => break,
                b'"' => {
                    let end = end_of_quoted(text, at).ok_or((SyntaxError::OpenQuote, at))?;
                    at = end - 1;
                }
                b'(' => {
                    self.opened = if self.depth == 0 { at } else { self.opened };
                    self.depth += 1;
                }
                b')' => {
                    let depth = self.depth.checked_sub(1);
                    self.depth = depth.ok_or((SyntaxError::StrayParenthesis, at))?;
                }
                _ => {}
            }
            at += 1;
        }
        Ok(())
    }
}

/// The offset after the quoted string that starts at `start`; it ends on its line.
pub(super) fn end_of_quoted(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match *text.get(at)? {
            b'"' => return Some(at + 1),
            b'\n' => return None,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// A part of a logical line between blanks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Field<'t> {
    /// Its octets with escapes, without the quotes around it.
    pub text: &'t [u8],
    /// Where it starts in the line.
    pub start: usize,
    /// Whether it stood in quotes.
    pub quoted: bool,
}

/// Gives the fields of a logical line. Parentheses and comments are blank.
#[derive(Clone)]
pub(super) struct Fields<'t> {
    text: &'t [u8],
    at: usize,
}

/// Octets that a field goes on with, whatever stands around them.
const PLAIN: [bool; 256] = {
    let mut plain = [true; 256];
    let special = b" \t\r\n();\"\\";
    let mut at = 0;
    while at < special.len() {
        plain[special[at] as usize] = false;
        at += 1;
    }
    plain
};

impl<'t> Fields<'t> {
    pub fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Where the next field is looked for.
    pub fn at(&self) -> usize {
        self.at
    }

    fn skip_blanks(&mut self) {
        while let Some(&octet) = self.text.get(self.at) {
            match octet {
                b' ' | b'\t' | b'\r' | b'\n' | b'(' | b')' => self.at += 1,
                b';' => {
                    let rest = &self.text[self.at..];
                    self.at += memchr::memchr(b'\n', rest).unwrap_or(rest.len());
                }
                _ => return,
            }
        }
    }
}

impl<'t> Iterator for Fields<'t> {
    type Item = Field<'t>;

    fn next(&mut self) -> Option<Field<'t>> {
        self.skip_blanks();
        let start = self.at;
        if *self.text.get(start)? == b'"' {
            self.at = end_of_quoted(self.text, start).unwrap_or(self.text.len());
            let end = (self.at - 1).max(start + 1);
            return Some(Field { text: &self.text[start + 1..end], start, quoted: true });
        }
        while let Some(&octet) = self.text.get(self.at) {
            self.at = match octet {
                _ if PLAIN[usize::from(octet)] => self.at + 1,
                b'\\' => self.at + 2,
                // A value in quotes after a key, as SVCB has them (RFC 9460 section 2.1).
                b'"' => end_of_quoted(self.text, self.at).unwrap_or(self.text.len()),
                _ => break,
            };
        }
        self.at = self.at.min(self.text.len());
        Some(Field { text: &self.text[start..self.at], start, quoted: false })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, octets_max: usize) -> Vec<String> {
        let mut lines = Lines::new(Box::new(text.as_bytes()), octets_max);
        let mut out = Vec::new();
        loop {
            let read = lines.advance().unwrap();
            out.push(match read {
                Ok(false) => return out,
                Ok(true) => {
                    let fields = Fields::new(lines.text());
                    let fields: Vec<_> =
                        fields.map(|f| String::from_utf8_lossy(f.text).into_owned()).collect();
                    format!("{}: {}", lines.number(), fields.join("|"))
                }
                Err((error, at)) => {
                    let (line, column) = lines.place(at);
                    format!("{line}:{column}: {error}")
                }
            });
        }
    }

    #[test]
    fn parentheses_join_lines_and_comments_and_quotes_hide_them() {
        let text = "a ( b ; one (\n  c ) d\r\ne \"f ( ;g\" h\\(i\n\n; )\nlast";
        assert_eq!(lines(text, 99), ["1: a|b|c|d", "3: e|f ( ;g|h\\(i", "4: ", "5: ", "6: last"]);
    }

    #[test]
    fn a_broken_line_is_passed_over() {
        let text = "a \"b\nb )\nc\n  0123456789 0123456789\nd ( e\nf";
        assert_eq!(
            lines(text, 20),
            [
                "1:3: a quote that is not closed on its line",
                "2:3: a closing parenthesis without an opening one",
                "3: c",
                "4:1: a record of more than 20 octets",
                "5:3: a parenthesis that is not closed",
            ]
        );
    }

    #[test]
    fn a_quoted_value_belongs_to_its_key_and_may_hold_quotes() {
        assert_eq!(lines("a \"b \\\" ( c\" d\ne", 99), ["1: a|b \\\" ( c|d", "2: e"]);
        assert_eq!(lines("a alpn=\"h2 h3\" x\n\"\" y", 99), ["1: a|alpn=\"h2 h3\"|x", "2: |y"]);
    }
}

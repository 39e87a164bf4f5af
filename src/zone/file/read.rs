//! Records from a master file (RFC 1035 section 5, RFC 2308 section 4, RFC 3597 section 5), one
//! after the other and in constant memory.

use std::io::{self, BufRead};
use std::sync::Arc;

use super::lines::{Field, Fields, Lines};
use super::{Limits, Problem, Reject, SyntaxError, text};
use crate::model::{Name, NameBuffer, NameRef};
use crate::zone::Record;
use crate::zone::record::rdata as types;

/// Files may include files that include files; more than this is a mistake. BIND has no limit,
/// NSD's is 10.
pub const INCLUDE_DEPTH_MAX: usize = 10;

/// The longest time to live (RFC 2181 section 8).
const TTL_MAX: u32 = i32::MAX as u32;

/// Opens the file that an `$INCLUDE` names.
pub type Include<'i> = Box<dyn FnMut(&str) -> io::Result<Box<dyn BufRead + 'i>> + 'i>;

/// A syntax error with its offset in the logical line.
type LineError = (SyntaxError, usize);

/// Reads a master file record by record. A record that is broken is given as a [`Reject`] and the
/// rest goes on; only a failing input ends the reading.
pub struct RecordReader<'i> {
    /// The file and those that it includes, the innermost last.
    frames: Vec<Frame<'i>>,
    include: Option<Include<'i>>,
    octets_max: usize,
    /// From `$TTL`.
    default_ttl: Option<u32>,
    /// The last one that a record stated, or the SOA's minimum.
    last_ttl: Option<u32>,
    /// For records that have no TTL from anywhere.
    assumed_ttl: Option<u32>,
    is_ttl_assumed: bool,
    scratch: NameBuffer,
    rdata: Vec<u8>,
}

/// A file that is being read.
struct Frame<'i> {
    lines: Lines<'i>,
    file: Option<Arc<str>>,
    origin: Name,
    owner: NameBuffer,
    has_owner: bool,
}

/// A record with the line on which it starts, in its file, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'r> {
    /// The record.
    pub record: Record<'r>,
    /// The line.
    pub line: u32,
}

/// What a record line says beside owner and data.
struct Head {
    rtype: u16,
    ttl: u32,
}

impl<'i> RecordReader<'i> {
    /// Reads `input`; relative names are below `origin` until the file says otherwise.
    /// `$INCLUDE` is refused.
    pub fn new(input: impl BufRead + 'i, origin: Name, limits: &Limits) -> Self {
        let octets_max = limits.record_octets_max;
        let frame = Frame::new(Box::new(input), None, origin, octets_max);
        Self {
            frames: vec![frame],
            include: None,
            octets_max,
            default_ttl: None,
            last_ttl: None,
            assumed_ttl: None,
            is_ttl_assumed: false,
            scratch: NameBuffer::default(),
            rdata: Vec::new(),
        }
    }

    /// Opens the files that `$INCLUDE` names with this function, which decides what may be read.
    pub fn with_include(self, include: Include<'i>) -> Self {
        Self { include: Some(include), ..self }
    }

    /// Gives records that have no TTL from anywhere this one, in seconds, instead of rejecting them.
    pub fn assuming_ttl(self, seconds: u32) -> Self {
        Self { assumed_ttl: Some(seconds), ..self }
    }

    /// Whether a record so far had no TTL from anywhere.
    pub fn is_ttl_assumed(&self) -> bool {
        self.is_ttl_assumed
    }

    /// The included file that the last record stood in; none for the file itself.
    pub fn file(&self) -> Option<Arc<str>> {
        self.frames.last().and_then(|frame| frame.file.clone())
    }

    /// The next record, or the reason why the next one cannot be read; none at the end. An error
    /// is the input's.
    #[expect(clippy::should_implement_trait, reason = "an iterator cannot lend from itself")]
    pub fn next(&mut self) -> io::Result<Option<Result<Entry<'_>, Reject>>> {
        let head = loop {
            let Some(frame) = self.frames.last_mut() else { return Ok(None) };
            let line = match frame.lines.advance()? {
                Ok(false) => {
                    self.frames.pop();
                    continue;
                }
                Ok(true) => self.read_line(),
                Err(error) => {
                    // The owner may have been on the broken line; the next line must not take
                    // an older one.
                    frame.has_owner &= matches!(frame.lines.text().first(), Some(b' ' | b'\t'));
                    Err(error)
                }
            };
            match line {
                Ok(None) => {}
                Ok(Some(head)) => break head,
                Err((error, offset)) => return Ok(Some(Err(self.reject(error, offset)))),
            }
        };
        let frame = self.frames.last().expect("the frame that was read");
        let Head { rtype, ttl } = head;
        let record = Record { owner: frame.owner.as_ref(), rtype, ttl, rdata: &self.rdata };
        Ok(Some(Ok(Entry { record, line: frame.lines.number() })))
    }

    fn reject(&mut self, error: SyntaxError, offset: usize) -> Reject {
        let frame = self.frames.last().expect("the frame that was read");
        let (line, column) = frame.lines.place(offset);
        let file = frame.file.clone();
        Reject { file, line, column, problem: Problem::Syntax(error) }
    }

    /// The record of the current line, if it has one.
    fn read_line(&mut self) -> Result<Option<Head>, LineError> {
        let frame = self.frames.last_mut().expect("a frame with a line");
        let text = frame.lines.text();
        let mut fields = Fields::new(text);
        match text.first() {
            None => return Ok(None),
            Some(b'$') => return self.read_directive().map(|()| None),
            Some(b' ' | b'\t' | b'\r' | b'(' | b')') => {
                if fields.clone().next().is_none() {
                    return Ok(None);
                }
                if !frame.has_owner {
                    return Err((SyntaxError::NoOwner, 0));
                }
            }
            Some(_) => {
                let Some(field) = fields.next() else { return Ok(None) };
                frame.has_owner = false;
                read_name(field, frame.origin.as_ref(), &mut frame.owner)?;
                frame.has_owner = true;
            }
        }
        let (rtype, stated) = read_head(&mut fields)?;
        self.rdata.clear();
        let origin = frame.origin.as_ref();
        text::read(rtype, &mut fields, origin, &mut self.scratch, &mut self.rdata)?;
        if let Some(field) = fields.next() {
            return Err((SyntaxError::ExtraData(shown(field.text)), field.start));
        }
        let minimum = (rtype == types::SOA).then(|| soa_minimum(&self.rdata));
        let ttl = stated.or(self.default_ttl).or(self.last_ttl).or(minimum);
        self.is_ttl_assumed |= ttl.is_none();
        let ttl = ttl.or(self.assumed_ttl).ok_or((SyntaxError::NoTtl, fields.at()))?;
        self.last_ttl = stated.or(self.last_ttl).or(minimum);
        Ok(Some(Head { rtype, ttl }))
    }

    fn read_directive(&mut self) -> Result<(), LineError> {
        let frame = self.frames.last_mut().expect("a frame with a line");
        let mut fields = Fields::new(frame.lines.text());
        let name = fields.next().expect("the field that starts with a dollar sign");
        let mut argument = || fields.next().ok_or((SyntaxError::MissingData, name.text.len()));
        match &name.text.to_ascii_uppercase()[..] {
            b"$ORIGIN" => {
                read_name(argument()?, frame.origin.as_ref(), &mut self.scratch)?;
                end_of_line(&mut fields)?;
                frame.origin = self.scratch.to_name();
            }
            b"$TTL" => {
                let field = argument()?;
                let ttl = read_ttl(field.text).ok_or((SyntaxError::Ttl, field.start))?;
                end_of_line(&mut fields)?;
                self.default_ttl = Some(ttl);
            }
            b"$INCLUDE" => {
                let file = argument()?;
                let origin = match fields.next() {
                    None => frame.origin.clone(),
                    Some(field) => {
                        read_name(field, frame.origin.as_ref(), &mut self.scratch)?;
                        self.scratch.to_name()
                    }
                };
                end_of_line(&mut fields)?;
                let path = String::from_utf8_lossy(&unescaped(file)?).into_owned();
                let start = file.start;
                return self.include(path, origin).map_err(|error| (error, start));
            }
            _ => return Err((SyntaxError::Directive(shown(name.text)), 0)),
        }
        Ok(())
    }

    /// Goes on with another file. Its origin and owners end with it (RFC 1035 section 5.1).
    fn include(&mut self, path: String, origin: Name) -> Result<(), SyntaxError> {
        let include = self.include.as_mut().ok_or(SyntaxError::IncludeRefused)?;
        if self.frames.len() > INCLUDE_DEPTH_MAX {
            return Err(SyntaxError::IncludeDepth);
        }
        let input = include(&path).map_err(|error| SyntaxError::Include {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        self.frames.push(Frame::new(input, Some(path.into()), origin, self.octets_max));
        Ok(())
    }
}

impl<'i> Frame<'i> {
    fn new(
        input: Box<dyn BufRead + 'i>,
        file: Option<Arc<str>>,
        origin: Name,
        octets_max: usize,
    ) -> Self {
        let lines = Lines::new(input, octets_max);
        Self { lines, file, origin, owner: NameBuffer::default(), has_owner: false }
    }
}

/// Reads TTL and class, which may be left out and stand in either order, and the type.
fn read_head(fields: &mut Fields<'_>) -> Result<(u16, Option<u32>), LineError> {
    let mut ttl = None;
    let mut class = false;
    loop {
        let Field { text, start, .. } =
            fields.next().ok_or((SyntaxError::MissingType, fields.at()))?;
        if ttl.is_none() && text[..].first().is_some_and(u8::is_ascii_digit) {
            ttl = Some(read_ttl(text).ok_or((SyntaxError::Ttl, start))?);
        } else if !class && text.eq_ignore_ascii_case(b"IN") {
            class = true;
        } else if let Some(rtype) = common_type(text).or_else(|| types::type_of(text)) {
            return Ok((rtype, ttl));
        } else {
            let error = match is_class(text) {
                true => SyntaxError::Class(shown(text)),
                false => SyntaxError::UnknownType(shown(text)),
            };
            return Err((error, start));
        }
    }
}

/// The types that fill policy zones, before all mnemonics are tried.
fn common_type(text: &[u8]) -> Option<u16> {
    match text {
        b"CNAME" | b"cname" => Some(types::CNAME),
        b"A" | b"a" => Some(types::A),
        b"AAAA" | b"aaaa" => Some(types::AAAA),
        b"TXT" | b"txt" => Some(types::TXT),
        _ => None,
    }
}

fn is_class(text: &[u8]) -> bool {
    let known = [&b"IN"[..], b"CS", b"CH", b"HS", b"NONE"];
    known.iter().any(|class| text.eq_ignore_ascii_case(class))
        || text.get(..5).is_some_and(|front| front.eq_ignore_ascii_case(b"CLASS"))
}

fn end_of_line(fields: &mut Fields<'_>) -> Result<(), LineError> {
    match fields.next() {
        None => Ok(()),
        Some(field) => Err((SyntaxError::ExtraData(shown(field.text)), field.start)),
    }
}

/// A name in presentation form; `@` is the origin.
pub(super) fn read_name(
    field: Field<'_>,
    origin: NameRef<'_>,
    name: &mut NameBuffer,
) -> Result<(), LineError> {
    let read = match field.text {
        _ if field.quoted => return Err((SyntaxError::QuotedName, field.start)),
        b"@" => {
            name.clear();
            name.push_name(origin)
        }
        text => name.read_presentation(text, origin),
    };
    read.map_err(|error| (SyntaxError::Name(error), field.start))
}

/// Seconds, or numbers with the units that BIND takes: `1w2d3h4m5s`.
pub(super) fn read_ttl(text: &[u8]) -> Option<u32> {
    let mut total = 0u32;
    let mut number: Option<u32> = None;
    for &octet in text {
        let unit = match octet {
            b'0'..=b'9' => {
                let digit = u32::from(octet - b'0');
                number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
                continue;
            }
            b's' | b'S' => 1,
            b'm' | b'M' => 60,
            b'h' | b'H' => 3600,
            b'd' | b'D' => 86_400,
            b'w' | b'W' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    let bare = text.last()?.is_ascii_digit();
    let total = total.checked_add(if bare { number? } else { 0 })?;
    (total <= TTL_MAX).then_some(total)
}

fn soa_minimum(rdata: &[u8]) -> u32 {
    rdata.last_chunk().map_or(0, |octets| u32::from_be_bytes(*octets))
}

/// The octets that a field stands for.
pub(super) fn unescaped(field: Field<'_>) -> Result<Vec<u8>, LineError> {
    let mut out = Vec::with_capacity(field.text.len());
    let mut rest = field.text;
    while let Some((&octet, tail)) = rest.split_first() {
        let (octet, width) = match octet {
            b'\\' => crate::model::name_buffer::unescape(rest)
                .map_err(|error| (SyntaxError::Name(error), field.start))?,
            _ => (octet, rest.len() - tail.len()),
        };
        out.push(octet);
        rest = &rest[width..];
    }
    Ok(out)
}

/// A field as it goes into a message, not too long.
pub(super) fn shown(text: &[u8]) -> String {
    const CHARACTERS_MAX: usize = 40;
    let text = String::from_utf8_lossy(text);
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into_owned(),
    }
}

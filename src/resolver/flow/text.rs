//! What an extended error says of a rewriting, written without allocation.

use std::fmt::{self, Write as _};

use super::super::handler::ZoneInForce;
use crate::model::NameRef;
use crate::ports::ExtendedError;
use crate::snapshot::{Hit, Matched};

/// INFO-CODEs of RFC 8914.
const FORGED_ANSWER: u16 = 4;
const BLOCKED: u16 = 15;

/// The extended error of a zone: its text, or else the zone and the trigger; as JSON for clients
/// that read it as data, where the zone has a contact.
pub(super) fn reason<'t>(
    zone: ZoneInForce<'t>,
    hit: &Hit<'_>,
    as_data: bool,
    text: &'t mut Text,
    json: &'t mut String,
) -> Option<(u16, &'t str)> {
    let error = zone.policy.options.extended_error.as_ref()?;
    let structured = error.structured.as_ref().filter(|_| as_data);
    if structured.is_none() && !error.text.is_empty() {
        return Some((error.code, &error.text));
    }
    write_case(zone, hit, text);
    let Some(structured) = structured else { return Some((error.code, text.as_str())) };
    let case = text.as_str();
    let justification = if error.text.is_empty() { case } else { &error.text };
    *json = structured.json(justification, case);
    // Who reads this needs no forged answer (the draft's section on the server's response).
    let code = if error.code == FORGED_ANSWER { BLOCKED } else { error.code };
    Some((code, json))
}

/// The zone and the trigger.
fn write_case(zone: ZoneInForce<'_>, hit: &Hit<'_>, text: &mut Text) {
    // Text that is too long is cut.
    let _ = text.write_str(zone.name).and_then(|()| text.write_str(": ")).and_then(|()| match hit
        .matched
    {
        Matched::Name { pattern, wildcard: false, .. } => text.write_name(pattern),
        Matched::Name { pattern, .. } if !pattern.is_root() => {
            text.write_str("*.")?;
            text.write_name(pattern)
        }
        matched => write!(text, "{matched}"),
    });
}

/// The octets of a lookup form that stand for themselves, the end of a label included.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut octet = 0;
    while octet < 256 {
        plain[octet] = matches!(octet as u8, 0 | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_');
        octet += 1;
    }
    plain
};

/// A short text without allocation.
pub(super) struct Text {
    octets: [u8; ExtendedError::TEXT_OCTETS_MAX],
    length: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { octets: [0; ExtendedError::TEXT_OCTETS_MAX], length: 0 }
    }
}

impl Text {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.octets[..self.length]).expect("whole characters were written")
    }

    /// A name in presentation form. Most have no character that needs an escape.
    fn write_name(&mut self, name: NameRef<'_>) -> fmt::Result {
        let key = name.key();
        if name.is_root() || !key.iter().all(|octet| PLAIN[usize::from(*octet)]) {
            return write!(self, "{name}");
        }
        let mut end = key.len() - 1;
        while let Some(dot) = key[..end].iter().rposition(|octet| *octet == 0) {
            self.push(&key[dot + 1..end])?;
            self.push(b".")?;
            end = dot;
        }
        self.push(&key[..end])
    }

    fn push(&mut self, ascii: &[u8]) -> fmt::Result {
        let end = self.length + ascii.len();
        let room = self.octets.get_mut(self.length..end).ok_or(fmt::Error)?;
        room.copy_from_slice(ascii);
        self.length = end;
        Ok(())
    }
}

impl fmt::Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.octets.len() - self.length;
        let fits = text.floor_char_boundary(room.min(text.len()));
        self.push(&text.as_bytes()[..fits])?;
        if fits == text.len() { Ok(()) } else { Err(fmt::Error) }
    }
}

//! Record data as master files write it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use domain::base::rdata::ComposeRecordData;
use domain::zonefile::inplace::{Entry, Zonefile};

use super::SyntaxError;
use super::lines::{Field, Fields};
use super::read::{read_name, read_ttl, shown, unescaped};
use crate::model::{NameBuffer, NameRef};
use crate::zone::record::rdata::{self, AAAA, MX, SOA, SPF, TXT};

/// The longest record data: its length has 16 bits (RFC 1035 section 3.2.1).
const RDATA_OCTETS_MAX: usize = u16::MAX as usize;
/// The longest string (RFC 1035 section 3.3).
const STRING_OCTETS_MAX: usize = u8::MAX as usize;

type LineError = (SyntaxError, usize);

/// Reads the data of a record and appends its uncompressed wire form to `out`. The types that
/// fill policy zones are read here, others by the `domain` crate, and any in the generic form.
pub(super) fn read(
    rtype: u16,
    fields: &mut Fields<'_>,
    origin: NameRef<'_>,
    scratch: &mut NameBuffer,
    out: &mut Vec<u8>,
) -> Result<(), LineError> {
    let mut ahead = fields.clone();
    if let Some(Field { text: b"\\#", quoted: false, .. }) = ahead.next() {
        *fields = ahead;
        return read_generic(rtype, fields, out);
    }
    match rtype {
        rdata::A => out.extend(parsed::<Ipv4Addr>(fields, rtype)?.octets()),
        AAAA => out.extend(parsed::<Ipv6Addr>(fields, rtype)?.octets()),
        _ if rdata::is_single_name(rtype) => name(fields, origin, scratch, out)?,
        TXT | SPF => read_strings(rtype, fields, out)?,
        MX => {
            out.extend(parsed::<u16>(fields, rtype)?.to_be_bytes());
            name(fields, origin, scratch, out)?;
        }
        SOA => {
            name(fields, origin, scratch, out)?;
            name(fields, origin, scratch, out)?;
            out.extend(parsed::<u32>(fields, rtype)?.to_be_bytes());
            for _ in 0..4 {
                let field = required(fields)?;
                let seconds = read_ttl(field.text).ok_or((SyntaxError::Ttl, field.start))?;
                out.extend(seconds.to_be_bytes());
            }
        }
        _ => read_other(rtype, fields, origin, out)?,
    }
    Ok(())
}

fn required<'t>(fields: &mut Fields<'t>) -> Result<Field<'t>, LineError> {
    fields.next().ok_or((SyntaxError::MissingData, fields.at()))
}

fn parsed<T: FromStr>(fields: &mut Fields<'_>, rtype: u16) -> Result<T, LineError> {
    let field = required(fields)?;
    let value = std::str::from_utf8(field.text).ok().and_then(|text| text.parse().ok());
    value.ok_or_else(|| (malformed(rtype, shown(field.text)), field.start))
}

fn malformed(rtype: u16, detail: String) -> SyntaxError {
    SyntaxError::Malformed { rtype, detail }
}

fn name(
    fields: &mut Fields<'_>,
    origin: NameRef<'_>,
    scratch: &mut NameBuffer,
    out: &mut Vec<u8>,
) -> Result<(), LineError> {
    read_name(required(fields)?, origin, scratch)?;
    scratch.as_ref().write_wire(out);
    Ok(())
}

fn read_strings(rtype: u16, fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), LineError> {
    let mut field = required(fields)?;
    loop {
        let string = unescaped(field)?;
        let length = u8::try_from(string.len()).ok();
        let room = out.len() + 1 + string.len() <= RDATA_OCTETS_MAX;
        let Some(length) = length.filter(|_| room) else {
            let detail = format!("a string of more than {STRING_OCTETS_MAX} octets, or too many");
            return Err((malformed(rtype, detail), field.start));
        };
        out.push(length);
        out.extend(string);
        match fields.next() {
            Some(next) => field = next,
            None => return Ok(()),
        }
    }
}

/// The length and the octets in hexadecimal, in as many fields as one likes (RFC 3597 section 5).
fn read_generic(rtype: u16, fields: &mut Fields<'_>, out: &mut Vec<u8>) -> Result<(), LineError> {
    let start = fields.at();
    let length: u16 = parsed(fields, rtype)?;
    let hex: Vec<u8> = fields.flat_map(|field| field.text.iter().copied()).collect();
    let octets = data_encoding::HEXLOWER_PERMISSIVE.decode(&hex).ok();
    let octets = octets
        .filter(|octets| octets.len() == usize::from(length))
        .ok_or_else(|| (malformed(rtype, format!("not {length} octets in hexadecimal")), start))?;
    match rdata::read(rtype, &octets, 0, octets.len(), out) {
        true => Ok(()),
        false => Err((malformed(rtype, "these octets are no such data".into()), start)),
    }
}

/// Reads with the `domain` crate what is rare in policy zones.
fn read_other(
    rtype: u16,
    fields: &mut Fields<'_>,
    origin: NameRef<'_>,
    out: &mut Vec<u8>,
) -> Result<(), LineError> {
    let start = fields.at();
    if !rdata::has_text(rtype) {
        return Err((SyntaxError::NoTextForm(rtype), start));
    }
    let mut line = format!("$ORIGIN {}\n@ 0 IN {}", origin.fqdn(), rdata::type_name(rtype));
    let mut line = std::mem::take(&mut line).into_bytes();
    for field in fields {
        line.push(b' ');
        let quote = if field.quoted { &b"\""[..] } else { b"" };
        line.extend([quote, field.text, quote].concat());
    }
    line.push(b'\n');
    let mut file = Zonefile::from(&line[..]);
    let refused = |detail: String| (malformed(rtype, detail), start);
    match file.next_entry() {
        Ok(Some(Entry::Record(record))) => {
            let Ok(()) = record.data().compose_canonical_rdata(out);
        }
        Ok(_) => return Err(refused("nothing to read".into())),
        Err(error) => {
            // The crate's line and column are those of the line made above.
            let text = error.to_string();
            let reason = text.splitn(3, ':').last().unwrap_or_default().trim();
            return Err(refused(reason.to_owned()));
        }
    }
    match out.len() <= RDATA_OCTETS_MAX {
        true => Ok(()),
        false => Err(refused(format!("more than {RDATA_OCTETS_MAX} octets"))),
    }
}

//! Record types and their data, in wire form and as text.

use domain::base::ParsedName;
use domain::base::iana::Rtype;
use domain::base::rdata::{ComposeRecordData, ParseRecordData};
use domain::base::zonefile_fmt::{DisplayKind, ZonefileFmt};
use domain::dep::octseq::Parser;
use domain::rdata::ZoneRecordData;

use crate::model::{Name, NameBuffer};

/// An IPv4 address.
pub const A: u16 = Rtype::A.to_int();
/// A name server.
pub const NS: u16 = Rtype::NS.to_int();
/// An alias.
pub const CNAME: u16 = Rtype::CNAME.to_int();
/// Start of authority.
pub const SOA: u16 = Rtype::SOA.to_int();
/// A name for an address.
pub const PTR: u16 = Rtype::PTR.to_int();
/// A mail server.
pub const MX: u16 = Rtype::MX.to_int();
/// Texts.
pub const TXT: u16 = Rtype::TXT.to_int();
/// An IPv6 address.
pub const AAAA: u16 = Rtype::AAAA.to_int();
/// An alias for all names below.
pub const DNAME: u16 = Rtype::DNAME.to_int();
/// Texts of a withdrawn kind (RFC 7208 section 3.1), written like [`TXT`].
pub const SPF: u16 = 99;

/// Types that are never rules: SOA, NS, DNAME and DNSSEC's (draft section 3), the older DNSSEC's
/// SIG, KEY, NXT, DLV and TA, and ZONEMD, which is about a whole zone.
const NEVER_RULES: [u16; 17] =
    [SOA, NS, DNAME, 24, 25, 30, 43, 46, 47, 48, 50, 51, 59, 60, 63, 32768, 32769];

/// Whether records of this type can be local data or an action. Types that exist only in queries
/// and messages (0, OPT, 128 to 255, RFC 6895 section 3.1) cannot.
pub fn may_be_rule(rtype: u16) -> bool {
    !matches!(rtype, 0 | 41 | 128..=255) && !NEVER_RULES.contains(&rtype)
}

/// The mnemonic of a type, or `TYPEnnn` (RFC 3597 section 5).
pub fn type_name(rtype: u16) -> String {
    Rtype::from_int(rtype).to_string()
}

/// The type of a mnemonic or of `TYPEnnn`, in any case.
pub fn type_of(text: &[u8]) -> Option<u16> {
    Rtype::from_bytes(text).map(Rtype::to_int)
}

/// Whether the data is a single name.
pub fn is_single_name(rtype: u16) -> bool {
    matches!(rtype, CNAME | NS | PTR | DNAME)
}

/// Reads the record data that lies in `message` at `start..end`, and appends it to `out` as it is
/// compared and stored: names without compression and, where RFC 4034 section 6.2 says so, in
/// lower case. False where it is not what the type asks for; `out` may then hold a part of it.
/// Types that are not known are taken as they are.
pub fn read(rtype: u16, message: &[u8], start: usize, end: usize, out: &mut Vec<u8>) -> bool {
    let Some(rdata) = message.get(start..end) else { return false };
    match rtype {
        A | AAAA => {
            out.extend_from_slice(rdata);
            rdata.len() == if rtype == A { 4 } else { 16 }
        }
        _ if is_single_name(rtype) => {
            let mut name = NameBuffer::default();
            let after = name.read_wire(&message[..end], start);
            name.as_ref().write_wire(out);
            after == Ok(end)
        }
        SPF => read(TXT, message, start, end, out),
        _ => read_other(rtype, message, start, end, out).is_some(),
    }
}

fn read_other(
    rtype: u16,
    message: &[u8],
    start: usize,
    end: usize,
    out: &mut Vec<u8>,
) -> Option<()> {
    let (data, rest) = parse(rtype, message, start, end)?;
    match (&data, rest) {
        (_, 1..) => None,
        // The crate writes a text of no strings, which RFC 1035 section 3.3.14 does not have.
        (ZoneRecordData::Txt(_), _) if start == end => None,
        _ => data.compose_canonical_rdata(out).ok(),
    }
}

type Parsed<'m> = ZoneRecordData<&'m [u8], ParsedName<&'m [u8]>>;

/// The data, and how many octets are left behind it.
fn parse(rtype: u16, message: &[u8], start: usize, end: usize) -> Option<(Parsed<'_>, usize)> {
    let mut parser = Parser::from_ref(message);
    parser.advance(start).ok()?;
    let mut parser = parser.parse_parser(end.checked_sub(start)?).ok()?;
    let data = Parsed::parse_rdata(Rtype::from_int(rtype), &mut parser).ok()??;
    Some((data, parser.remaining()))
}

/// The presentation form of record data in uncompressed wire form, where there is one.
pub fn text(rtype: u16, rdata: &[u8]) -> Option<String> {
    if is_single_name(rtype) {
        return Name::from_wire(rdata).ok().map(|name| name.as_ref().fqdn());
    }
    let rtype = if rtype == SPF { TXT } else { rtype };
    match parse(rtype, rdata, 0, rdata.len())? {
        (ZoneRecordData::Unknown(_), _) | (_, 1..) => None,
        (data, 0) => Some(data.display_zonefile(DisplayKind::Simple).to_string()),
    }
}

/// Whether data of this type has a presentation form here.
pub fn has_text(rtype: u16) -> bool {
    let unknown = Parsed::parse_rdata(Rtype::from_int(rtype), &mut Parser::from_ref(&[][..]));
    !matches!(unknown, Ok(None | Some(ZoneRecordData::Unknown(_))))
}

/// The generic form, which any type has: `\# length hexadecimal` (RFC 3597 section 5).
pub fn generic_text(rdata: &[u8]) -> String {
    let hex = data_encoding::HEXLOWER.encode(rdata);
    format!("\\# {} {hex}", rdata.len()).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_about_the_zone_or_its_signatures_is_never_a_rule() {
        for text in ["SOA", "ns", "DNAME", "DS", "RRSIG", "ZONEMD", "ANY", "AXFR", "OPT", "TYPE0"] {
            assert!(!may_be_rule(type_of(text.as_bytes()).unwrap()), "{text}");
        }
        for text in ["A", "cname", "TXT", "HTTPS", "TYPE65280", "LOC"] {
            assert!(may_be_rule(type_of(text.as_bytes()).unwrap()), "{text}");
        }
        assert_eq!((type_name(65280).as_str(), type_name(A).as_str()), ("TYPE65280", "A"));
    }

    #[test]
    fn names_come_out_whole_and_in_lower_case() {
        let message = b"\x04TesT\0\0\x0a\x02Mx\xc0\x00";
        let mut out = Vec::new();
        assert!(read(MX, message, 6, 13, &mut out));
        assert_eq!(out, b"\0\x0a\x02mx\x04test\0");
        assert_eq!(text(MX, &out).unwrap(), "10 mx.test.");
    }

    #[test]
    fn data_that_does_not_fit_its_type_is_refused() {
        for (rtype, rdata) in [
            (A, &b"\x01\x02\x03"[..]),
            (AAAA, b"\0\0\0\0"),
            (CNAME, b"\x01a"),
            (CNAME, b"\0\0"),
            (MX, b"\0\x0a\0\0"),
            (TXT, b""),
            (TXT, b"\x05ab"),
            (CNAME, b"\xc0\x00"),
            (MX, b"\0\x0a\xc0\x02"),
        ] {
            assert!(!read(rtype, rdata, 0, rdata.len(), &mut Vec::new()), "{rtype} {rdata:?}");
        }
        assert!(read(65280, b"\x01\x02", 0, 2, &mut Vec::new()));
        assert_eq!(generic_text(b"\x01\xab"), "\\# 2 01ab");
    }

    proptest! {
        #[test]
        fn any_octets_are_read_or_refused(rtype in 0u16..300, octets: Vec<u8>, start in 0usize..9) {
            let mut out = Vec::new();
            if read(rtype, &octets, start, octets.len(), &mut out) {
                let mut again = Vec::new();
                prop_assert!(read(rtype, &out, 0, out.len(), &mut again));
                prop_assert_eq!(&out, &again);
                let _ = text(rtype, &out);
            }
        }
    }
}

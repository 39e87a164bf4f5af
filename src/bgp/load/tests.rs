//! Tables as their publishers write them.

use std::io::{self, BufReader, Read};

use super::*;
use crate::model::Network;
use proptest::prelude::*;

/// What a table says, as text, and the report.
pub(super) fn shown(format: Format, input: &[u8]) -> (String, Report) {
    shown_within(format, input, &Limits::default())
}

pub(super) fn shown_within(format: Format, input: &[u8], limits: &Limits) -> (String, Report) {
    let mut items = Vec::new();
    let report = read(format, &mut &input[..], limits, &mut |item| items.push(text_of(item)));
    (items.join(", "), report)
}

fn text_of(item: Item<'_>) -> String {
    match item {
        Item::Name { system, name } => format!("{system} = {name}"),
        Item::Route { network, origins } => {
            let origins: Vec<String> = origins.iter().map(u32::to_string).collect();
            let network = match network.is_host() {
                true => format!("{network}/{}", network.length()),
                false => network.to_string(),
            };
            format!("{network} {}", origins.join("+"))
        }
    }
}

fn rejects(report: &Report) -> Vec<String> {
    report.rejects.iter().map(|reject| format!("{}: {}", reject.place, reject.reason)).collect()
}

#[test]
fn caidas_tables_keep_the_order_of_origins() {
    let text = "192.0.2.0\t24\t64496\n198.51.100.0\t24\t64498_64497\r\n\
                203.0.113.0\t24\t64499,64500_64499\n2001:db8::\t32\t1.10\n0.0.0.0\t0\t1\n";
    let (items, report) = shown(Format::Pfx2as, text.as_bytes());
    assert_eq!(
        items,
        "192.0.2.0/24 64496, 198.51.100.0/24 64498+64497, 203.0.113.0/24 64499+64500, \
         2001:db8::/32 65546"
    );
    assert_eq!((report.records, report.routes, report.default_routes), (5, 4, 1));
    let bad =
        "192.0.2.0 24\n192.0.2.0\t33\t1\nx\t8\t1\n192.0.2.0\t24\t1_x\n192.0.2.0\t24\t1\t2\n\n#\n";
    let report = shown(Format::Pfx2as, bad.as_bytes()).1;
    assert_eq!(
        rejects(&report),
        [
            "line 1: not the columns of this format",
            "line 2: not an address or prefix",
            "line 3: not an address or prefix",
            "line 4: not an AS number",
            "line 5: not the columns of this format",
        ]
    );
    let many = format!(
        "192.0.2.0\t24\t{}\n",
        (1..=256).map(|n| n.to_string()).collect::<Vec<_>>().join("_")
    );
    let report = shown(Format::Pfx2as, many.as_bytes()).1;
    assert_eq!(rejects(&report), ["line 1: more than 255 origins"]);
}

#[test]
fn pyasns_tables_are_read() {
    let text = "; IP-ASN32-DAT file\n; CIDRs : 2\n;\n192.0.2.0/24\t64496\n2001:db8::/32\t64497\n\
                198.51.100.0/24\nbad\t1\n";
    let (items, report) = shown(Format::Pyasn, text.as_bytes());
    assert_eq!(items, "192.0.2.0/24 64496, 2001:db8::/32 64497");
    assert_eq!(report.rejects_total, 2);
}

#[test]
fn iptoasns_tables_are_read_with_names() {
    let text = "192.0.2.0\t192.0.2.255\t64496\tNL\tEXAMPLE-HOSTING\n\
                198.51.100.0\t198.51.100.255\t0\tNone\tNot routed\n\
                203.0.113.0\t203.0.113.2\t64497\tNone\tOTHER, Inc.\n\
                2001:db8::\t2001:db8::3\t64498\tDE\tX\n\
                192.0.2.9\t192.0.2.1\t64496\tNL\tX\n192.0.2.0\t2001:db8::\t1\tNL\tX\n";
    let (items, report) = shown(Format::Iptoasn, text.as_bytes());
    assert_eq!(
        items,
        "192.0.2.0/24 64496, 64496 = EXAMPLE-HOSTING, NL, 203.0.113.0/31 64497, \
         203.0.113.2/32 64497, 64497 = OTHER, Inc., 2001:db8::/126 64498, 64498 = X, DE"
    );
    assert_eq!((report.not_routed, report.names), (1, 3));
    assert_eq!(
        rejects(&report),
        ["line 5: the range does not run upwards", "line 6: the range does not run upwards"]
    );
}

#[test]
fn ranges_are_read_with_and_without_a_header_and_as_numbers() {
    let plain = "192.0.2.0,192.0.2.255,64496,\"Example, Inc.\"\n\
                 3325256704,3325256959,64497,Numbers\n2001:db8::,2001:db8::1,64498,\n";
    let (items, _) = shown(Format::Ranges, plain.as_bytes());
    assert_eq!(
        items,
        "192.0.2.0/24 64496, 64496 = Example, Inc., 198.51.100.0/24 64497, 64497 = Numbers, \
         2001:db8::/127 64498"
    );
    let ipinfo = "network,country,country_code,continent,continent_code,asn,as_name,as_domain\n\
                  192.0.2.0/24,Netherlands,NL,Europe,EU,AS64496,\"Example, Inc.\",x.example\n\
                  203.0.113.0/24,Netherlands,NL,Europe,EU,,,\n192.0.2.1,x\n";
    let (items, report) = shown(Format::Ranges, ipinfo.as_bytes());
    assert_eq!(items, "192.0.2.0/24 64496, 64496 = Example, Inc.");
    assert_eq!((report.not_routed, report.rejects_total), (1, 1));
    let named = "start_ip,end_ip,asn,name\n192.0.2.0,192.0.2.1,64496,X\n";
    assert_eq!(shown(Format::Ranges, named.as_bytes()).0, "192.0.2.0/31 64496, 64496 = X");
}

#[test]
fn names_are_read_as_a_stream_and_kept_where_the_document_ends_early() {
    let text =
        "{\"64496\": \"EXAMPLE Example Ltd., ZZ\", \"x\": \"y\", \"1\": null, \"2\": \"\\u00e9\"}";
    let (items, report) = shown(Format::Asnames, text.as_bytes());
    assert_eq!(items, "64496 = EXAMPLE Example Ltd., ZZ, 2 = é");
    assert_eq!((report.records, report.names, report.rejects_total), (4, 2, 1));
    let (items, report) = shown(Format::Asnames, &text.as_bytes()[..50]);
    assert_eq!(items, "64496 = EXAMPLE Example Ltd., ZZ");
    assert_eq!(report.end, End::CutShort(Place::Line(1)));
    let (items, report) = shown(Format::Asnames, b"<html>");
    assert_eq!((items.as_str(), report.rejects_total), ("", 1));
}

/// Input that fails after some octets, as a truncated archive does.
struct Failing<'i>(&'i [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self.0.read(out)? {
            0 => Err(io::Error::new(io::ErrorKind::UnexpectedEof, "archive ends early")),
            read => Ok(read),
        }
    }
}

#[test]
fn what_came_before_a_read_error_is_kept() {
    let text = b"192.0.2.0\t24\t64496\n198.51.100.0\t24\t6449";
    let mut items = Vec::new();
    let mut reader = BufReader::new(Failing(text));
    let report = read(Format::Pfx2as, &mut reader, &Limits::default(), &mut |item| {
        items.push(text_of(item));
    });
    assert_eq!(items, ["192.0.2.0/24 64496"], "half a line is no line");
    assert_eq!(report.end, End::Unreadable(Place::Line(2), "archive ends early".into()));
}

#[test]
fn limits_end_the_reading_and_long_lines_are_skipped() {
    let text =
        format!("192.0.2.0\t24\t1\n#{}\n192.0.3.0\t24\t1\n192.0.4.0\t24\t1\n", "x".repeat(90));
    let limits = Limits { line_octets_max: 80, routes_max: 1, ..Limits::default() };
    let (items, report) = shown_within(Format::Pfx2as, text.as_bytes(), &limits);
    assert_eq!(items, "192.0.2.0/24 1");
    assert_eq!(report.end, End::TooManyRoutes(1));
    assert_eq!(rejects(&report), ["line 2: the line is longer than 80 octets"]);
    assert_eq!(report.records, 3, "the rest is not read");
}

#[test]
fn formats_have_words() {
    for format in Format::ALL {
        assert_eq!(Format::parse(format.as_str()), Some(format));
    }
    assert_eq!(Format::parse("x"), None);
}

proptest! {
    #[test]
    fn no_reader_panics_on_octets(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        for format in Format::ALL {
            read(format, &mut &bytes[..], &Limits::default(), &mut |_| ());
        }
    }

    #[test]
    fn no_reader_panics_on_near_misses(
        lines in proptest::collection::vec("[0-9a-f.:/\\t ,_\"AS{}x-]{0,50}", 0..10),
    ) {
        let text = lines.join("\n");
        for format in Format::ALL {
            let report = read(format, &mut text.as_bytes(), &Limits::default(), &mut |item| {
                if let Item::Route { network, origins } = item {
                    assert!(network.length() > 0 && !origins.is_empty());
                }
            });
            prop_assert!(report.rejects.len() as u64 <= report.rejects_total);
        }
    }

    #[test]
    fn ranges_come_to_prefixes_that_hold_exactly_the_range(first: u32, size in 0u32..5000) {
        let last = first.saturating_add(size);
        let [first, last] = [first, last].map(std::net::Ipv4Addr::from_bits);
        let text = format!("{first},{last},1,");
        let mut held: Vec<Network> = Vec::new();
        read(Format::Ranges, &mut text.as_bytes(), &Limits::default(), &mut |item| {
            if let Item::Route { network, .. } = item {
                held.push(network);
            }
        });
        let mut next = u64::from(first.to_bits());
        for network in held.iter().filter(|network| network.length() > 0) {
            prop_assert_eq!(network.address().to_string(), std::net::Ipv4Addr::from_bits(next as u32).to_string());
            next += 1 << (32 - network.length());
        }
        prop_assert_eq!(next, u64::from(last.to_bits()) + 1);
    }
}

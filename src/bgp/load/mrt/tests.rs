//! MRT files made by hand, whole and broken.

use super::*;
use crate::bgp::load::tests::{shown, shown_within};
use crate::bgp::load::{Format, Limits, Report};
use proptest::prelude::*;

fn record(kind: u16, subtype: u16, body: &[u8]) -> Vec<u8> {
    let mut out = vec![0; 4];
    out.extend(kind.to_be_bytes());
    out.extend(subtype.to_be_bytes());
    out.extend((body.len() as u32).to_be_bytes());
    out.extend_from_slice(body);
    out
}

/// An AS_PATH of one sequence.
fn path(numbers: &[u32]) -> Vec<u8> {
    let mut value = vec![2, numbers.len() as u8];
    value.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    [vec![0x40, 2, value.len() as u8], value].concat()
}

fn path_of_two_octets(numbers: &[u16]) -> Vec<u8> {
    let mut value = vec![2, numbers.len() as u8];
    value.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
    [vec![0x40, 2, value.len() as u8], value].concat()
}

fn sized(attributes: &[u8]) -> Vec<u8> {
    [&(attributes.len() as u16).to_be_bytes()[..], attributes].concat()
}

/// A TABLE_DUMP_V2 body; `extra` octets stand before each path (8 make room for a path id).
fn rib(prefix: &[u8], length: u8, has_path_ids: bool, paths: &[&[u32]]) -> Vec<u8> {
    let mut body = vec![0, 0, 0, 1, length];
    body.extend_from_slice(prefix);
    body.extend((paths.len() as u16).to_be_bytes());
    for numbers in paths {
        body.extend([0; 6]);
        body.extend(vec![0; if has_path_ids { 4 } else { 0 }]);
        body.extend(sized(&path(numbers)));
    }
    body
}

fn kept() -> Limits {
    Limits { reserved_origins: true, ..Limits::default() }
}

fn items(input: &[u8]) -> (String, Report) {
    shown_within(Format::Mrt, input, &kept())
}

#[test]
fn origins_of_a_prefix_come_in_the_order_of_their_paths() {
    let body = rib(&[192, 0, 2], 24, false, &[&[1, 9], &[2, 7], &[3, 7], &[4, 8], &[]]);
    let (found, report) = items(&record(13, 2, &body));
    assert_eq!(found, "192.0.2.0/24 7+8+9");
    assert_eq!((report.paths, report.paths_without_origin, report.routes), (5, 1, 1));
}

#[test]
fn all_unicast_kinds_are_read_and_others_counted() {
    let v6 = [0x20, 1, 0x0d, 0xb8];
    let input = [
        record(13, 1, &[0; 8]),
        record(13, 2, &rib(&[192, 0, 2], 24, false, &[&[1]])),
        record(13, 8, &rib(&[198, 51, 100], 24, true, &[&[1], &[2]])),
        record(13, 4, &rib(&v6, 32, false, &[&[3]])),
        record(13, 10, &rib(&v6, 29, true, &[&[4]])),
        record(13, 3, &rib(&[224], 4, false, &[&[5]])),
        record(16, 4, &[0; 20]),
        record(13, 2, &rib(&[], 0, false, &[&[1]])),
    ]
    .concat();
    let (found, report) = items(&input);
    assert_eq!(found, "192.0.2.0/24 1, 198.51.100.0/24 1+2, 2001:db8::/32 3, 2001:db8::/29 4");
    assert_eq!((report.records, report.other_records, report.default_routes), (8, 3, 1));
    assert_eq!(report.end, End::Complete);
}

#[test]
fn table_dump_gathers_the_records_of_a_prefix() {
    let body = |prefix: [u8; 4], numbers: &[u16]| {
        let mut body = vec![0; 4];
        body.extend(prefix);
        body.extend([24, 1, 0, 0, 0, 0, 192, 0, 2, 9, 0, 1]);
        body.extend(sized(&path_of_two_octets(numbers)));
        record(12, 1, &body)
    };
    let v6 = {
        let mut body = vec![0; 4];
        body.extend(u128::to_be_bytes(0x2001_0db8 << 96));
        body.extend([32, 1, 0, 0, 0, 0]);
        body.extend([0; 16 + 2]);
        body.extend(sized(&path_of_two_octets(&[6])));
        record(12, 2, &body)
    };
    let input = [
        body([192, 0, 2, 0], &[1, 5]),
        body([192, 0, 2, 0], &[2, 4]),
        body([192, 0, 2, 0], &[3, 5]),
        body([198, 51, 100, 0], &[3]),
        v6,
    ]
    .concat();
    let (found, report) = items(&input);
    assert_eq!(found, "192.0.2.0/24 5+4, 198.51.100.0/24 3, 2001:db8::/32 6");
    assert_eq!((report.records, report.paths, report.routes), (5, 5, 3));
}

#[test]
fn origins_that_nobody_may_announce_are_left_out_and_counted() {
    let body = rib(&[192, 0, 2], 24, false, &[&[1, 64512], &[2, 7], &[23456], &[4_200_000_000]]);
    let alone = rib(&[198, 51, 100], 24, false, &[&[1, 0]]);
    let input = [record(13, 2, &body), record(13, 2, &alone)].concat();
    let (found, report) = shown(Format::Mrt, &input);
    assert_eq!(found, "192.0.2.0/24 7");
    assert_eq!((report.reserved_origins, report.not_routed), (4, 1));
    for (system, reserved) in [
        (64495, false),
        (64496, true),
        (65536, true),
        (131_071, true),
        (131_072, false),
        (u32::MAX, true),
    ] {
        assert_eq!(is_reserved(system), reserved, "{system}");
    }
}

#[test]
fn a_dump_cut_anywhere_keeps_what_is_whole() {
    let first = record(13, 2, &rib(&[192, 0, 2], 24, false, &[&[1]]));
    let second = record(13, 2, &rib(&[198, 51, 100], 24, false, &[&[2]]));
    let whole = [&first[..], &second].concat();
    for end in 0..whole.len() {
        let (found, report) = items(&whole[..end]);
        let (expected, complete) = match end {
            0 => ("", true),
            end if end < first.len() => ("", false),
            end => ("192.0.2.0/24 1", end == first.len()),
        };
        assert_eq!(found, expected, "cut at {end}");
        let start = if end < first.len() { 0 } else { first.len() as u64 };
        let cut = End::CutShort(Place::Octet(start));
        assert_eq!(report.end, if complete { End::Complete } else { cut }, "cut at {end}");
    }
}

#[test]
fn a_record_whose_parts_do_not_fit_is_rejected_with_its_octet_and_the_next_one_read() {
    let mut short = rib(&[192, 0, 2], 24, false, &[&[1], &[2]]);
    short.truncate(short.len() - 3);
    let long_prefix = rib(&[1, 2, 3, 4, 5], 40, false, &[&[1]]);
    let sound = record(13, 2, &rib(&[198, 51, 100], 24, false, &[&[3]]));
    let input = [record(13, 2, &short), record(13, 2, &long_prefix), sound].concat();
    let (found, report) = items(&input);
    assert_eq!(found, "192.0.2.0/24 1, 198.51.100.0/24 3", "what stands before damage is kept");
    let places: Vec<_> = report.rejects.iter().map(|reject| reject.place).collect();
    assert_eq!(places, [Place::Octet(0), Place::Octet(12 + short.len() as u64)]);
}

#[test]
fn a_record_of_hundreds_of_megabytes_is_skipped_in_little_memory() {
    let mut head = record(13, 2, &[]);
    head[8..12].copy_from_slice(&200_000_000u32.to_be_bytes());
    let sound = record(13, 2, &rib(&[198, 51, 100], 24, false, &[&[3]]));
    let input = io::Read::chain(&head[..], io::Read::take(io::repeat(0), 200_000_000));
    let mut reader = io::BufReader::new(io::Read::chain(input, &sound[..]));
    let mut routes = 0;
    let report = crate::bgp::load::read(Format::Mrt, &mut reader, &kept(), &mut |_| routes += 1);
    assert_eq!(report.rejects[0].reason, Reason::RecordTooLong(200_000_000));
    assert_eq!((routes, report.records), (1, 2));
}

#[test]
fn a_prefix_with_thousands_of_origins_keeps_the_first_ones() {
    let numbers: Vec<Vec<u32>> = (1..3000).map(|number| vec![number]).collect();
    let paths: Vec<&[u32]> = numbers.iter().map(Vec::as_slice).collect();
    let mut origins_seen = 0;
    let input = record(13, 2, &rib(&[192, 0, 2], 24, false, &paths));
    crate::bgp::load::read(Format::Mrt, &mut &input[..], &kept(), &mut |item| {
        if let crate::bgp::load::Item::Route { origins, .. } = item {
            origins_seen = origins.len();
        }
    });
    assert_eq!(origins_seen, 255);
}

proptest! {
    #[test]
    fn damage_never_panics(at in 0usize..200, octet: u8, end in 0usize..200) {
        let mut input = [
            record(13, 2, &rib(&[192, 0, 2], 24, false, &[&[1, 2], &[3]])),
            record(13, 8, &rib(&[192, 0, 3], 24, true, &[&[1, 2], &[3]])),
        ]
        .concat();
        let length = input.len();
        input[at % length] = octet;
        items(&input[..end.min(length)]);
        items(&input);
    }
}

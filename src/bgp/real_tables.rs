//! Tables and lists that no one here wrote, read with exact counts. They are not part of the
//! repository: without a `shared/data` directory beside the checkout these tests skip and say so.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::sync::Arc;

use super::circl::impact_hundredths;
use super::load::{self, End, Format, Item, Limits, Place, Report};
use super::*;
use crate::model::recorded::shared;
use crate::model::{Network, SourceId};

/// The unpacked file.
fn open(path: &str) -> Option<Box<dyn BufRead>> {
    let file = File::open(shared(path)?).unwrap();
    let unpacked: Box<dyn Read> = match path.rsplit('.').next() {
        Some("xz") => Box::new(liblzma::read::XzDecoder::new(file)),
        Some("bz2") => Box::new(bzip2::read::MultiBzDecoder::new(file)),
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(file)),
        _ => Box::new(file),
    };
    Some(Box::new(BufReader::with_capacity(1 << 16, unpacked)))
}

/// Everything that a file says.
#[derive(Default)]
struct Contents {
    routes: RouteTableBuilder,
    names: AsNamesBuilder,
    report: Report,
}

fn read(path: &str, format: Format, limits: &Limits) -> Option<Contents> {
    let mut reader = open(path)?;
    let mut read = Contents::default();
    read.report = load::read(format, &mut reader, limits, &mut |item| match item {
        Item::Route { network, origins } => read.routes.add(network, origins),
        Item::Name { system, name } => read.names.add(system, name),
    });
    Some(read)
}

fn laboratory() -> Limits {
    Limits { reserved_origins: true, ..Limits::default() }
}

fn origins_of(table: &RouteTable, address: &str) -> String {
    format!("{:?}", table.lookup(address.parse().unwrap()))
}

#[test]
fn range_tables_of_both_families_are_read_to_the_last_line() {
    for (path, family, lines, routes, prefixes) in [
        // One prefix of the Department of Defense stands in two overlapping ranges.
        ("asn/asndb_ipv4_20260617.csv.xz", Family::V4, 411_961, 564_580, 564_579),
        ("asn/asndb_ipv6_20260617.csv.xz", Family::V6, 103_197, 167_903, 167_903),
    ] {
        let Some(read) = read(path, Format::Ranges, &Limits::default()) else { return };
        let report = &read.report;
        assert_eq!((report.records, report.routes, report.names), (lines, routes, lines), "{path}");
        assert_eq!((report.rejects_total, &report.end), (0, &End::Complete), "{path}");
        let table = read.routes.finish();
        assert_eq!(table.count(family), prefixes, "{path}");
        match family {
            Family::V4 => {
                assert_eq!(origins_of(&table, "1.0.0.77"), "Some(1.0.0.0/24 [13335])");
                assert_eq!(origins_of(&table, "1.0.1.0"), "None");
                assert_eq!(read.names.finish().name(13335), Some("Cloudflare, Inc."));
            }
            Family::V6 => {
                assert_eq!(origins_of(&table, "2001:200:1bb::9"), "Some(2001:200:1bb::/48 [2500])");
            }
        }
    }
}

#[test]
fn a_table_of_pyasn_and_its_names_are_read() {
    let path = "asn/ipasn_20140513_v12.dat.gz";
    let Some(read_table) = read(path, Format::Pyasn, &Limits::default()) else { return };
    let report = &read_table.report;
    assert_eq!((report.records, report.routes, report.rejects_total), (512_495, 512_490, 0));
    let table = read_table.routes.finish();
    assert_eq!(table.count(Family::V4), 512_490);
    assert_eq!(origins_of(&table, "1.0.130.200"), "Some(1.0.130.0/24 [23969])");
    let Some(read_names) = read("asn/asnames.json.xz", Format::Asnames, &Limits::default()) else {
        return;
    };
    let report = &read_names.report;
    assert_eq!(
        (report.records, report.names, report.rejects_total),
        (77_586, 77_585, 0),
        "not AS 0"
    );
    let names = read_names.names.finish();
    assert_eq!(names.len(), 77_585);
    assert_eq!(names.name(14061), Some("DIGITALOCEAN-ASN - Digital Ocean, Inc., US"));
}

#[test]
fn maxminds_test_files_are_read_and_the_broken_one_ends() {
    let path = "asn/GeoLite2-ASN-Test.mmdb";
    let Some(sound) = read(path, Format::Mmdb, &Limits::default()) else { return };
    assert_eq!((sound.report.routes, sound.report.other_records), (412, 0));
    assert_eq!(sound.report.end, End::Complete);
    let table = sound.routes.finish();
    assert_eq!([table.count(Family::V4), table.count(Family::V6)], [182, 230]);
    assert_eq!(origins_of(&table, "1.128.0.1"), "Some(1.128.0.0/11 [1221])");
    assert_eq!(sound.names.finish().name(1221), Some("Telstra Pty Ltd"));
    let path = "asn/MaxMind-DB-test-broken-search-tree-24.mmdb";
    let Some(broken) = read(path, Format::Mmdb, &Limits::default()) else { return };
    assert_eq!((broken.report.routes, broken.report.rejects_total), (0, 1));
    assert_eq!(broken.report.end, End::CutShort(Place::Octet(186)));
}

#[test]
fn a_truncated_dump_keeps_what_came_before_its_end() {
    for (path, family, records, paths, prefixes, several, end) in [
        ("mrt/rib.20140523.0600_firstMB.bz2", Family::V4, 9_073, 270_005, 9_071, 63, 15_274_550),
        ("mrt/rib6.20151101.0600_firstMB.bz2", Family::V6, 6_871, 149_578, 6_870, 82, 12_132_997),
    ] {
        let Some(read) = read(path, Format::Mrt, &laboratory()) else { return };
        let report = &read.report;
        assert_eq!((report.records, report.paths), (records, paths), "{path}");
        assert_eq!((report.rejects_total, report.paths_without_origin), (0, 0), "{path}");
        let End::Unreadable(place, _) = &report.end else { panic!("{path}: {report:?}") };
        assert_eq!(*place, Place::Octet(end), "{path}");
        let table = read.routes.finish();
        let multiple = table.routes(family).filter(|route| route.origins().len() > 1).count();
        assert_eq!((table.count(family), multiple), (prefixes, several), "{path}");
        assert_eq!(report.default_routes, u64::from(family == Family::V4), "{path}");
    }
}

#[test]
fn dumps_of_four_daemons_are_read() {
    // Records, paths, paths without an origin (routes of the daemon itself), prefixes of both
    // families; messages and OpenBGPD's table of the old kind have no entries.
    for (path, records, paths, without, v4, v6) in [
        ("mrt/bird-mrtdump_rib", 14, 18, 6, 3, 0),
        ("mrt/bird6-mrtdump_rib", 9, 10, 4, 0, 3),
        ("mrt/bview.20140112.1600_3samples.bz2", 3, 3, 1, 2, 0),
        ("mrt/openbgpd_rib_table-v2", 24, 31, 29, 2, 0),
        ("mrt/openbgpd_rib_table-mp", 31, 0, 0, 0, 0),
        ("mrt/quagga_rib", 7, 9, 0, 3, 3),
        ("mrt/bird_bgp", 29, 0, 0, 0, 0),
        ("mrt/openbgpd_bgp", 87, 0, 0, 0, 0),
        ("mrt/quagga_bgp", 67, 0, 0, 0, 0),
    ] {
        let Some(read) = read(path, Format::Mrt, &laboratory()) else { return };
        let report = &read.report;
        assert_eq!(
            (report.records, report.paths, report.paths_without_origin, report.rejects_total),
            (records, paths, without, 0),
            "{path}"
        );
        assert_eq!(report.end, End::Complete, "{path}");
        let table = read.routes.finish();
        assert_eq!([table.count(Family::V4), table.count(Family::V6)], [v4, v6], "{path}");
    }
}

/// The addresses that begin the lines of a list, where the second column is at least `minimum`.
fn addresses(path: &str, minimum: u32) -> Option<AddressSet> {
    let lines = open(path)?.lines().map(|line| line.unwrap());
    let network = |line: String| {
        let mut words = line.split_whitespace();
        let address: IpAddr = words.next()?.parse().ok()?;
        let enough = minimum == 0 || words.next()?.parse::<u32>().ok()? >= minimum;
        enough.then(|| Network::host(address))
    };
    Some(lines.filter_map(network).collect())
}

/// Four lists as SCORING 2.3 weighs them: π for addresses in percent.
fn lists() -> Option<Vec<AddressList>> {
    [
        ("threatfox", 92, "ip/threatfox_ips.txt.xz", 0),
        ("cins", 10, "ip/cinsscore.txt.xz", 0),
        ("blocklist_de", 5, "ip/blocklist_de_all.txt.xz", 0),
        ("ipsum3", 30, "ip/ipsum.txt.xz", 3),
    ]
    .into_iter()
    .map(|(name, percent, path, minimum)| {
        let source = SourceId::new(name);
        Some(AddressList {
            precision_ppm: percent * 10_000,
            impact_hundredths: impact_hundredths(&source),
            addresses: Arc::new(addresses(path, minimum)?),
            source,
        })
    })
    .collect()
}

/// One day of four lists on the range table, worked out by hand for three AS. κ = 4096, λ =
/// 2^(−1/7) = 0.905724, and the first day starts at E = g.
///
/// ```text
/// on the lists, each address with its best one: ThreatFox 2,320 · IPsum ≥ 3 14,201 ·
/// CINS 130,616 · blocklist.de 97,445 of announced space
///   ΣH = .92·2320 + .30·14201 + .10·130616 + .05·97445 = 24,328.55
///   ΣN = 3,310,151,665;  g = ΣH/ΣN = 7.349678e-6;  κ·g = .0301043
///
/// AS14061 DigitalOcean    106, 650, 20244, 2650 → H = 97.52 + 195 + 2024.4 + 132.5 = 2449.42
///   N = 3,183,616   R = (2449.42 + .03)/(3183616 + 4096) = 7.684038e-4 = 104.5493 g
///   E = (.905724 + .094276·104.5493) g = 10.76225 g           1000·log10 = 1031.9 → 1032
///   CIRCL: (106·5 + 20702·5 + 3445·3 + 650·1)/3183616 = 115025/3183616 = .03613030, place 643
/// AS4134 Chinanet         8, 305, 12695, 1785 → H = 7.36 + 91.5 + 1269.5 + 89.25 = 1457.61
///   N = 100,935,424 R = 1457.6401/100939520 = 1.444073e-5 = 1.964811 g
///   E = (.905724 + .094276·1.964811) g = 1.090959 g           37.8 → 38
///   CIRCL: (8·5 + 12724·5 + 2211·3 + 305)/100935424 = 70598/100935424 = 6.994373e-4, place 8742
/// AS45090 Tencent         163, 28, 257, 788 → H = 149.96 + 8.4 + 25.7 + 39.4 = 223.46
///   N = 6,907,392   R = 223.4901/6911488 = 3.233603e-5 = 4.399653 g
///   E = (.905724 + .094276·4.399653) g = 1.320507 g           120.7 → 121
///   CIRCL: (163·5 + 266·5 + 841·3 + 28)/6907392 = 4696/6907392 = 6.798514e-4, place 8790
/// ```
#[test]
fn the_ranks_of_three_as_are_those_worked_out_by_hand() {
    let path = "asn/asndb_ipv4_20260617.csv.xz";
    let Some(read) = read(path, Format::Ranges, &Limits::default()) else { return };
    let Some(lists) = lists() else { return };
    let counts: Vec<u64> = lists.iter().map(|list| list.addresses.v4_count()).collect();
    assert_eq!(counts, [2_338, 138_091, 109_045, 14_217]);
    let table = read.routes.finish();
    let announced = Arc::new(Announced::of(&table));
    assert_eq!(announced.total(Family::V4), 3_310_151_665);
    let census = Census::take(UtcDay(20_665), &table, &announced, &lists, &AddressSet::default());
    let counted = census.family(Family::V4);
    assert_eq!(counted.weight_ppm, 24_328_550_000);
    assert_eq!(counted.systems.len(), 11_529);
    assert_eq!(counted.systems.iter().map(|system| system.listed).sum::<u64>(), 244_582);
    let reputation = Reputation::start().counted(&census);
    let standing = reputation.live();
    let day = Day::of(standing, &census);
    for (system, listed, weight, space, by_source, mban, circl, place, percentile_ppm) in [
        (
            14061,
            23_650,
            2_449_420_000,
            3_183_616,
            [106, 20702, 3445, 650],
            1032,
            115_025,
            643,
            999_108,
        ),
        (
            4134,
            14_793,
            1_457_610_000,
            100_935_424,
            [8, 12724, 2211, 305],
            38,
            70_598,
            8742,
            903_158,
        ),
        (45090, 1_236, 223_460_000, 6_907_392, [163, 266, 841, 28], 121, 4_696, 8790, 945_765),
    ] {
        let name = format!("AS{system}");
        let record = day.system(Family::V4, system).unwrap();
        assert_eq!((record.listed, record.weight_ppm), (listed, weight), "{name}");
        assert_eq!(record.announced, space, "{name}");
        let sources = day.sources(Family::V4, system);
        assert_eq!(sources.iter().map(|s| s.listed).collect::<Vec<_>>(), by_source, "{name}");
        assert_eq!(standing.system_mban(Family::V4, system), Some(mban), "{name}");
        let expected = f64::from(circl) / space as f64;
        assert!((record.circl / expected - 1.0).abs() < 1e-15, "{name}: {}", record.circl);
        assert_eq!(day.circl_position(Family::V4, system), Some((place, 11_529)), "{name}");
        let percentile = standing.percentile_ppm(Family::V4, &announced, system);
        assert_eq!(percentile, Some(percentile_ppm), "{name}");
    }
}

/// Scanners lead the ranks, since they are on every list of attackers: what the exclusion is for.
#[test]
fn without_their_addresses_scanners_have_no_rank() {
    let path = "asn/asndb_ipv4_20260617.csv.xz";
    let Some(read) = read(path, Format::Ranges, &Limits::default()) else { return };
    let Some(lists) = lists() else { return };
    let (table, names) = (read.routes.finish(), read.names.finish());
    let announced = Arc::new(Announced::of(&table));
    let scanners = [213_412, 211_298, 398_324];
    let theirs = |excluded: &AddressSet| {
        let census = Census::take(UtcDay(20_665), &table, &announced, &lists, excluded);
        let standing = Reputation::start().counted(&census);
        let listed: BTreeMap<u32, u64> =
            census.family(Family::V4).systems.iter().map(|s| (s.system, s.listed)).collect();
        scanners.map(|system| {
            let rank = standing.live().system_mban(Family::V4, system).unwrap();
            (
                listed.get(&system).copied().unwrap_or(0),
                rank > 0,
                census.circl.position(Family::V4, system).is_some(),
            )
        })
    };
    assert_eq!(names.name(398_324), Some("Censys, Inc."));
    assert_eq!(
        theirs(&AddressSet::default()),
        [(996, true, true), (863, true, true), (433, true, true)]
    );
    let own = scanners.into_iter().flat_map(|system| table.announced_by(system));
    let excluded: AddressSet = own.map(|route| route.network()).collect();
    assert_eq!(theirs(&excluded), [(0, false, false); 3]);
}

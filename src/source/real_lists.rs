//! Public lists that no one here wrote, read with exact counts. They are not part of the
//! repository: without a `shared/data` directory beside the checkout these tests skip and say so.

use std::fs::File;
use std::path::Path;

use super::decompress::{self, DecompressLimits};
use super::feed::{self, Column, CsvLayout, Entry, Format, Limits, ParseError, Report};
use crate::model::recorded::shared;
use crate::model::{Category, Indicator, Scope};

/// Warninglists claim no malice and may name whole top-level domains.
fn read(path: &Path, format: &Format, sink: &mut dyn FnMut(Entry)) -> Result<Report, ParseError> {
    let labels_min = if *format == Format::MispWarninglist { 1 } else { 2 };
    let limits = Limits { labels_min, ..Limits::default() };
    let file = File::open(path).unwrap();
    decompress::read(file, None, &DecompressLimits::default(), |reader| {
        feed::parse(format, reader, &limits, sink)
    })
    .unwrap()
}

/// Reads the file and compares the counts of names, claims about URLs, networks, and rejects.
fn expect(path: &str, format: &Format, names: u64, urls: u64, networks: u64, rejects: u64) {
    let Some(file) = shared(path) else { return };
    let mut counts = [0; 3];
    let report = read(&file, format, &mut |entry| match (entry.scope, entry.subject) {
        (Scope::Url, _) => counts[1] += 1,
        (Scope::Name, Indicator::Domain(_)) => counts[0] += 1,
        (Scope::Name, _) => counts[2] += 1,
    })
    .unwrap();
    assert_eq!(
        (counts, report.rejects_total),
        ([names, urls, networks], rejects),
        "{path}: {:#?}",
        report.rejects
    );
}

fn dated(first_seen: usize) -> CsvLayout {
    CsvLayout {
        first_seen: Some(Column::Number(first_seen)),
        ..CsvLayout::new('\t', Column::Number(1))
    }
}

#[test]
fn the_same_list_in_four_syntaxes_gives_the_same_names() {
    // Two of its 4,875 lines run many names together, beyond 63 octets a label.
    let mut lists: Vec<Vec<Entry>> = Vec::new();
    for (file, format) in [
        ("tweetfeed_domains.txt", Format::Domains),
        ("tweetfeed_hosts.txt", Format::Hosts),
        ("tweetfeed_adguard.txt", Format::Adguard),
        ("tweetfeed_dnsmasq.txt", Format::Dnsmasq),
    ] {
        expect(&format!("formats/{file}"), &format, 4_873, 0, 0, 2);
        let Some(path) = shared(&format!("formats/{file}")) else { return };
        let mut entries = Vec::new();
        let report = read(&path, &format, &mut |entry| entries.push(entry)).unwrap();
        assert_eq!(report.header.entries_declared, Some(4_875));
        assert_eq!(report.header.updated.as_deref(), Some("2026-08-22T18:10:19Z"));
        lists.push(entries);
    }
    assert!(lists.windows(2).all(|pair| pair[0] == pair[1]));
}

#[test]
fn lists_of_names_are_read_to_the_last_line() {
    expect("formats/blp_basic.adguard.txt", &Format::Adguard, 76_036, 0, 0, 0);
    expect("formats/jarelllama_scams_light.adblock.txt", &Format::Adguard, 18_254, 0, 0, 0);
    expect("formats/someonewhocares_2022.hosts.txt", &Format::Hosts, 12_974, 0, 0, 0);
    expect("formats/stalkerware_hosts", &Format::Domains, 925, 0, 0, 0);
    expect("feeds/blp_20260720.txt.xz", &Format::Domains, 200_614, 0, 0, 0);
    expect("feeds/jarelllama_20250320.txt.xz", &Format::Domains, 18_254, 0, 0, 0);
    expect("feeds/shadowwhisperer_20260729.txt.xz", &Format::Domains, 124_403, 0, 0, 0);
}

#[test]
fn tables_are_read_by_their_columns() {
    let stalkerware = CsvLayout::new(',', Column::Name("indicator".into()));
    expect("formats/stalkerware_network.csv", &Format::Csv(stalkerware), 966, 2, 66, 0);
    expect("feeds/openphish.tsv.xz", &Format::Csv(dated(2)), 239_777, 0, 0, 0);
    expect("feeds/tweetfeed.tsv.xz", &Format::Csv(dated(2)), 108_572, 0, 0, 0);
    expect("ip/maltrail_ips.tsv.xz", &Format::Csv(dated(2)), 0, 0, 211_439, 0);
}

#[test]
fn lists_of_urls_are_read() {
    expect("formats/tweetfeed_urls.txt", &Format::Urls, 4_140, 1_065, 288, 2);
}

#[test]
fn lists_of_networks_are_read() {
    expect("ip/blocklist_de_all.txt.xz", &Format::Networks, 0, 0, 109_047, 0);
    expect("ip/cinsscore.txt.xz", &Format::Networks, 0, 0, 138_091, 0);
    expect("ip/ipsum.txt.xz", &Format::Networks, 0, 0, 120_430, 0);
    expect("ip/threatfox_ips.txt.xz", &Format::Networks, 0, 0, 3_483, 0);
    expect("ip/spamhaus_drop.netset", &Format::Networks, 0, 0, 926, 0);
}

#[test]
fn warninglists_are_read_and_those_about_hashes_are_refused() {
    for (file, names, networks, rejects) in [
        ("akamai", 0, 268, 0),
        ("amazon-aws", 0, 3_847, 0),
        ("cloudflare", 0, 22, 0),
        ("dynamic-dns", 35_467, 0, 0),
        ("fastly", 0, 21, 0),
        ("google-gcp", 0, 471, 0),
        ("link-in-bio", 91, 0, 0),
        ("lots-project", 175, 0, 0),
        ("parking-domain-ns", 129, 0, 0),
        ("parking-domain", 0, 108, 0),
        ("public-dns-v4", 0, 62_745, 0),
        ("public-ipfs-gateways", 89, 0, 0),
        ("second-level-tlds", 10_231, 0, 0),
        ("sinkholes", 0, 107, 0),
        ("url-shortener", 255, 0, 0),
    ] {
        let path = format!("warninglists/misp_{file}.json");
        expect(&path, &Format::MispWarninglist, names, 0, networks, rejects);
    }
    let Some(path) = shared("warninglists/misp_ti-falsepositives.json") else { return };
    let error = read(&path, &Format::MispWarninglist, &mut |_| {}).unwrap_err();
    assert!(matches!(error, ParseError::WarninglistSubject(_)), "{error}");
}

#[test]
fn a_million_dated_names_keep_their_dates_and_classes() {
    let Some(path) = shared("feeds/maltrail.tsv.xz") else { return };
    let layout = CsvLayout {
        category: Some(Column::Number(3)),
        categories: [("malicious".to_owned(), Category::Suspicious)].into(),
        ..dated(2)
    };
    let mut counts = [0u64; 6];
    let mut dated = 0;
    let report = read(&path, &Format::Csv(layout), &mut |entry| {
        counts[entry.category.unwrap() as usize] += 1;
        dated += u64::from(entry.first_seen.is_some());
    })
    .unwrap();
    assert_eq!((report.entries, report.rejects_total, dated), (1_119_882, 0, 1_119_882));
    assert_eq!(counts[Category::Malware as usize] + counts[Category::Suspicious as usize], dated);
}

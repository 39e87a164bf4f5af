//! Master files as people and other programs write them.

use std::collections::HashMap;
use std::path::PathBuf;

use domain::base::ToName as _;
use domain::base::iana::Class;
use domain::base::rdata::{ComposeRecordData as _, RecordData as _};
use domain::zonefile::inplace::{Entry as DomainEntry, Zonefile};
use proptest::prelude::*;

use super::*;
use crate::model::{Action, NamePattern, Network, RrSet, Rule, Trigger, TriggerKind};
use crate::zone::record::Unwritable;
use crate::zone::{OwnedRecord, Record, Serial, ZoneBuilder};

fn name(text: &str) -> Name {
    Name::from_presentation(text).unwrap()
}

/// Every record or reject as one line.
fn read(text: &str) -> Vec<String> {
    let reader = RecordReader::new(text.as_bytes(), name("rpz.test"), &Limits::default());
    shown(reader)
}

fn shown(mut reader: RecordReader<'_>) -> Vec<String> {
    let mut out = Vec::new();
    while let Some(read) = reader.next().unwrap() {
        out.push(match read {
            Ok(Entry { record: Record { owner, rtype, ttl, rdata }, line }) => {
                let data = rdata::text(rtype, rdata).unwrap_or_else(|| rdata::generic_text(rdata));
                format!("{line} {owner} {ttl} {} {data}", rdata::type_name(rtype))
            }
            Err(Reject { file, line, column, problem }) => {
                format!("{}{line}:{column} {problem}", file.as_deref().unwrap_or_default())
            }
        });
    }
    out
}

#[test]
fn owners_ttls_and_classes_may_be_left_out_as_rfc_1035_section_5_1_says() {
    let zone = "\
@ SOA localhost. root.localhost. 1 1h 10m 1w 1m30s
  NS localhost.
$TTL 1h30m
a CNAME .
*.A 60 IN CNAME rpz-passthru.
b IN 1d CNAME @
c.rpz.test. in cname *
$ORIGIN sub
d A 192.0.2.1
$ORIGIN other.test.
 AAAA 2001:db8::1 ; the owner before
@ TXT one \"two three\" \\052\\\"
";
    assert_eq!(
        read(zone),
        [
            "1 rpz.test 90 SOA localhost. root.localhost. 1 3600 600 604800 90",
            "2 rpz.test 90 NS localhost.",
            "4 a.rpz.test 5400 CNAME .",
            "5 *.a.rpz.test 60 CNAME rpz-passthru.",
            "6 b.rpz.test 86400 CNAME rpz.test.",
            "7 c.rpz.test 5400 CNAME *.rpz.test.",
            "9 d.sub.rpz.test 5400 A 192.0.2.1",
            "11 d.sub.rpz.test 5400 AAAA 2001:db8::1",
            "12 other.test 5400 TXT \"one\" \"two three\" \"4\\\"\"",
        ]
    );
}

#[test]
fn data_of_any_type_is_read_by_name_or_in_the_generic_form() {
    for (data, expected) in [
        ("MX 10 Mail", "MX 10 mail.rpz.test."),
        ("SRV 1 2 3 host.test.", "SRV 1 2 3 host.test."),
        ("PTR (\n host.test.\n)", "PTR host.test."),
        ("DNAME x.test.", "DNAME x.test."),
        ("CAA 0 issue \"ca.test\"", "CAA 0 issue \"ca.test\""),
        ("HINFO cpu \"an os\"", "HINFO \"cpu\" \"an os\""),
        ("TYPE65280 \\# 3 01 02fF", "TYPE65280 \\# 3 0102ff"),
        ("TYPE1 \\# 4 C0000201", "A 192.0.2.1"),
        ("A \\# 4 C0000201", "A 192.0.2.1"),
        ("TYPE65280 \\# 0", "TYPE65280 \\# 0"),
        ("SPF \"v=spf1 -all\"", "SPF \"v=spf1 -all\""),
        ("LOC \\# 1 00", "LOC \\# 1 00"),
        (
            "NAPTR 100 50 \"s\" \"z3950+I2L\" \"\" _z._tcp.test.",
            "NAPTR 100 50 \"s\" \"z3950+I2L\" \"\" _z._tcp.test.",
        ),
        ("TLSA 3 1 1 0a0b", "TLSA 3 1 1 0A0B"),
        ("SSHFP 1 1 0a0b", "SSHFP 1 1 0A0B"),
        ("DS 1 8 2 0a0b", "DS 1 8 2 0A0B"),
    ] {
        assert_eq!(read(&format!("x 60 {data}")), [format!("1 x.rpz.test 60 {expected}")]);
    }
    let https = read("x 60 HTTPS 1 . alpn=\"h2,h3\" ipv4hint=192.0.2.1");
    assert_eq!(https.len(), 1);
    assert!(https[0].starts_with("1 x.rpz.test 60 HTTPS 1 . alpn="), "{}", https[0]);
}

#[test]
fn a_broken_record_is_left_out_with_its_place_and_the_rest_goes_on() {
    let zone = " A 192.0.2.1
a CNAME .
$TTL 60
a..b CNAME .
  TXT lost-owner
a A 192.0.2.256
a A
a 99999999999 A 192.0.2.1
a CH TXT x
a WRONG x
a IN
a CNAME . .
a TXT \"open
  TXT kept
b\" TXT lost
  TXT lost too
a MX ( 10
   x..y )
\"a\" CNAME .
$GENERATE 1-9 a CNAME .
$INCLUDE other
$TTL x
$ORIGIN
a LOC 1 2 3
a A \\# 3 010203
a SRV 1 2
z A 192.0.2.1";
    let expected = [
        "1:1 no owner, and none before to take it from",
        "2:10 no TTL, and neither $TTL nor a record before to take it from",
        "4:1 empty label",
        "5:1 no owner, and none before to take it from",
        "6:5 malformed A record data: 192.0.2.256",
        "7:4 record data is missing",
        "8:3 not a time to live",
        "9:3 class CH, and policy zones are of class IN",
        "10:3 unknown record type `WRONG`",
        "11:5 no record type",
        "12:11 `.` after the end of the record",
        "13:7 a quote that is not closed on its line",
        "14:1 no owner, and none before to take it from",
        "15:2 a quote that is not closed on its line",
        "16:1 no owner, and none before to take it from",
        "18:4 empty label",
        "19:1 a name cannot stand in quotes",
        "20:1 unknown directive `$GENERATE`",
        "21:10 $INCLUDE is not allowed here",
        "22:6 not a time to live",
        "23:8 record data is missing",
        "24:6 LOC record data can be given as `\\# length hexadecimal` only",
        "25:7 malformed A record data: these octets are no such data",
    ];
    let found = read(zone);
    assert_eq!(found[..expected.len()], expected);
    assert!(found[23].starts_with("26:6 malformed SRV record data: "), "{}", found[23]);
    assert_eq!(found[24..], ["27 z.rpz.test 60 A 192.0.2.1"]);
}

#[test]
fn files_include_others_as_deep_as_is_sane_and_return_to_their_own_origin() {
    let files = HashMap::from([
        ("more", "$ORIGIN deep.test.\nx CNAME .\n$INCLUDE \"last one\" y"),
        ("last one", "x CNAME .\n@ CNAME *"),
        ("loop", "$INCLUDE loop"),
        ("bad", "\n x"),
    ]);
    let include = |text: &str| {
        let files = files.clone();
        let reader = RecordReader::new(text.as_bytes(), name("rpz.test"), &Limits::default());
        shown(reader.with_include(Box::new(move |path| {
            let file = *files.get(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(Box::new(file.as_bytes()))
        })))
    };
    assert_eq!(
        include("$TTL 60\na CNAME .\n$INCLUDE more\n TXT a\nb CNAME ."),
        [
            "2 a.rpz.test 60 CNAME .",
            "2 x.deep.test 60 CNAME .",
            "1 x.y.deep.test 60 CNAME .",
            "2 y.deep.test 60 CNAME *.y.deep.test.",
            "4 a.rpz.test 60 TXT \"a\"",
            "5 b.rpz.test 60 CNAME .",
        ]
    );
    assert_eq!(include("$INCLUDE loop"), ["loop1:10 more than 10 files include one another"]);
    assert_eq!(include("$INCLUDE bad"), ["bad2:1 no owner, and none before to take it from"]);
    assert_eq!(include("$INCLUDE none"), ["1:10 cannot include `none`: entity not found"]);
}

#[test]
fn what_is_no_rule_is_left_out_and_reported() {
    let zone = "\
$TTL 60
@ SOA localhost. root.localhost. 5 3600 600 86400 60
@ NS localhost.
@ TXT note
a CNAME .
a CNAME *.
a A 192.0.2.1
a CNAME .
b DNAME c.
24.1.2.0.192.rpz-ip CNAME .
c CNAME rpz-log.
d.example. CNAME .
e A 192.0.2.1
e A 192.0.2.2
";
    let load = |limits: &Limits| load(zone.as_bytes(), &name("rpz.test"), 7, limits).unwrap();
    let (zone_read, report) = load(&Limits::default());
    assert_eq!(zone_read.soa().serial, Serial(5));
    assert_eq!(zone_read.len(), 2);
    let found: Vec<String> =
        report.rejects.iter().map(|r| format!("{} {}", r.line, r.problem)).collect();
    assert_eq!(
        found,
        [
            "4 TXT at the zone's own name is no rule",
            "9 DNAME records are never rules",
            "10 bits are set beyond the prefix length",
            "11 `rpz-log.` is no action that is known",
            "12 the owner is not in the zone",
            "6 a second, different CNAME; the record of line 5 stays",
            "7 CNAME and other data at one owner; the record of line 5 stays",
        ]
    );
    assert_eq!((report.records, report.rejected, report.out_of_zone), (13, 7, 1));
    assert_eq!(
        report.rejects[0].diagnostic("rpz.zone").to_string(),
        "warning: record left out: TXT at the zone's own name is no rule\n  --> rpz.zone:4:1"
    );
    let (_, report) = load(&Limits { rejects_kept_max: 2, ..Limits::default() });
    assert_eq!((report.rejects.len(), report.rejected), (2, 7));
}

#[test]
fn a_file_that_is_no_zone_says_what_to_look_at() {
    let limits = Limits { records_max: 2, ..Limits::default() };
    let finding = |text: &str| {
        load(text.as_bytes(), &name("rpz.test"), 7, &limits).unwrap_err().diagnostic().to_string()
    };
    let none = "error: the zone has no SOA record at its own name, `rpz.test.`\nhint: ";
    assert_eq!(finding(""), format!("{none}the first record of a zone is its SOA"));
    assert_eq!(
        finding("@ 60 SOA a. b. x 1 1 1 1"),
        format!("{none}line 1 was left out: malformed SOA record data: x")
    );
    assert_eq!(
        finding("other.test. 60 SOA a. b. 1 1 1 1 1"),
        format!("{none}there is one for `other.test.`; is that the zone's name?")
    );
    assert_eq!(
        finding("$TTL 1\na A 192.0.2.1\n A 192.0.2.2\n A 192.0.2.3"),
        "error: the zone has more than 2 records"
    );
}

/// The directory of test data beside the checkout or beside one of the directories above it.
fn shared(path: &str) -> Option<PathBuf> {
    #[expect(clippy::disallowed_methods, reason = "tests find their data")]
    let set = std::env::var("SEKISHO_SHARED").ok().map(PathBuf::from);
    let mut above = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let shared = set.or_else(|| {
        above.find_map(|dir| Some(dir.join("shared")).filter(|dir| dir.join("data").is_dir()))
    });
    let found = shared.map(|dir| dir.join("data").join(path)).filter(|path| path.exists());
    if found.is_none() {
        #[expect(clippy::print_stderr, reason = "a test that did not run says so")]
        {
            eprintln!("SKIPPED: no test data at shared/data/{path}");
        }
    }
    found
}

#[test]
fn a_file_of_rules_alone_is_a_zone_with_an_soa_and_a_ttl_of_ours() {
    let load = |text: &str| load(text.as_bytes(), &name("rpz.test"), 1, &Limits::default());
    let (zone, report) = load("$ORIGIN rpz.test.\na CNAME .\nb 5 TXT x\n").unwrap();
    assert_eq!((zone.soa().serial, zone.len()), (Serial(1), 2));
    let found: Vec<String> = report.diagnostics("z").iter().map(ToString::to_string).collect();
    let shown = [
        "warning: the zone has no SOA record, and gets one of ours\n  --> z:1:1\n\
         hint: begin with `@ 60 SOA localhost. nobody.invalid. 1 3600 600 2592000 60`",
        "warning: records without a TTL get 3600 seconds\n  --> z:1:1\nhint: begin with `$TTL 60`",
    ];
    assert_eq!(found, shown);
    let (_, report) = load("$TTL 60\na CNAME .\n").unwrap();
    assert!(report.is_soa_assumed && !report.is_ttl_assumed);
    for text in [
        "",
        "a CNAM .",
        "@ SOA a. b. x 1 1 1 1\na CNAME .",
        "other. SOA a. b. 1 1 1 1 1\na CNAME .",
    ] {
        assert!(load(text).is_err(), "{text}");
    }
}

#[test]
fn published_policy_zones_load_but_for_what_no_resolver_could_take() {
    for (file, origin, rules, rejected, serial) in [
        // Two of its owners, each with a wildcard, run many names together; BIND refuses it.
        ("tweetfeed_rpz.txt", "rpz", 9746, 4, 1_787_422_219),
        // Its owners are absolute, so they are read under the root.
        ("dnsbunker_rpz.txt", ".", 12_250, 0, 1_787_419_808),
    ] {
        let Some(path) = shared("rpz").map(|dir| dir.join(file)) else { return };
        let input = io::BufReader::new(std::fs::File::open(path).unwrap());
        let (zone, report) = load(input, &name(origin), 7, &Limits::default()).unwrap();
        let found = (zone.len(), report.rejected);
        assert_eq!(found, (rules, rejected), "{file}: {:?}", report.rejects);
        let too_long = Problem::Syntax(SyntaxError::Name(NameError::NameTooLong));
        assert!(report.rejects.iter().all(|reject| reject.problem == too_long));
        assert_eq!(zone.soa().serial, Serial(serial));
    }
}

/// The records of a text by the `domain` crate.
fn read_by_domain(text: &str) -> Vec<OwnedRecord> {
    let mut file = Zonefile::from(text);
    file.set_default_class(Class::IN);
    let mut out = Vec::new();
    while let Some(entry) = file.next_entry().unwrap() {
        let DomainEntry::Record(record) = entry else { continue };
        let mut rdata = Vec::new();
        let Ok(()) = record.data().compose_canonical_rdata(&mut rdata);
        let owner: Vec<u8> = record.owner().to_vec().as_slice().into();
        out.push(OwnedRecord {
            owner: Name::from_wire(&owner).unwrap(),
            rtype: record.data().rtype().to_int(),
            ttl: record.ttl().as_secs(),
            rdata,
        });
    }
    out
}

fn any_label() -> impl Strategy<Value = String> {
    prop_oneof![
        8 => "[a-zA-Z0-9_-]{1,6}".boxed(),
        1 => Just("*".to_owned()).boxed(),
        1 => prop_oneof![Just(r"a\.b"), Just(r"\032x"), Just(r"\\"), Just(r#"q\"q"#)]
            .prop_map(str::to_owned)
            .boxed(),
    ]
}

fn any_name() -> impl Strategy<Value = String> {
    let labels = proptest::collection::vec(any_label(), 1..4);
    (labels, any::<bool>()).prop_map(|(labels, absolute)| {
        format!("{}{}", labels.join("."), if absolute { "." } else { "" })
    })
}

fn any_data() -> impl Strategy<Value = String> {
    prop_oneof![
        any_name().prop_map(|n| format!("CNAME {n}")),
        Just("CNAME .".to_owned()),
        any::<[u8; 4]>().prop_map(|a| format!("A {}", std::net::Ipv4Addr::from(a))),
        any::<u128>().prop_map(|a| format!("AAAA {}", std::net::Ipv6Addr::from_bits(a))),
        (any::<u16>(), any_name()).prop_map(|(p, n)| format!("MX {p} {n}")),
        (any::<u16>(), any_name()).prop_map(|(p, n)| format!("SRV {p} ( 0\n 53 ) {n}")),
        "[ a-z;()]{0,9}".prop_map(|t| format!("TXT plain \"{t}\" ; comment \"(")),
        (any_name(), any_name()).prop_map(|(m, r)| format!("SOA {m} {r} ( 1 2\n;x\n 3 4 5 )")),
        "[a-z]{1,5}".prop_map(|t| format!("CAA 0 issue \"{t}.test\"")),
        proptest::collection::vec(any::<u8>(), 1..6).prop_map(|octets| {
            let hex = data_encoding::HEXLOWER.encode(&octets);
            format!("TYPE65280 \\# {} {hex}", octets.len())
        }),
    ]
}

fn any_line() -> impl Strategy<Value = String> {
    let owner = prop_oneof![
        4 => any_name().boxed(),
        1 => Just("@".to_owned()).boxed(),
        2 => Just(" ".to_owned()).boxed(),
    ];
    let between = prop_oneof![
        Just(""),
        Just("IN"),
        Just("30"),
        Just("30 IN"),
        Just("IN 30"),
        Just("(\n 7 in )")
    ];
    let record = (owner, between, any_data());
    prop_oneof![
        12 => record.prop_map(|(owner, between, data)| format!("{owner} {between}\t{data}")),
        1 => any_name().prop_map(|n| format!("$ORIGIN {n}")),
        1 => (0u32..9999).prop_map(|ttl| format!("$TTL {ttl}")),
        1 => Just(" ; only a comment".to_owned()),
    ]
}

proptest! {
    #[test]
    fn zones_read_as_the_domain_crate_reads_them(
        lines in proptest::collection::vec(any_line(), 0..20),
    ) {
        let text = format!("$ORIGIN rpz.test.\n$TTL 77\nfirst CNAME .\n{}\n", lines.join("\n"));
        let mut reader = RecordReader::new(text.as_bytes(), Name::root(), &Limits::default());
        let mut found = Vec::new();
        while let Some(read) = reader.next().unwrap() {
            match read {
                Ok(entry) => found.push(entry.record.to_owned()),
                Err(reject) => prop_assert!(false, "{reject:?} in {text}"),
            }
        }
        prop_assert_eq!(found, read_by_domain(&text), "{}", text);
    }

    #[test]
    fn any_octets_are_read_to_the_end(
        octets in proptest::collection::vec(
            prop_oneof![
                4 => proptest::sample::select(&b" \t\r\n()\"\\;.@$*#0123459aAimnrstINCTX"[..]),
                1 => any::<u8>(),
            ],
            0..200,
        ),
        front in prop_oneof![
            Just(""), Just("x 5 HTTPS 1 . "), Just("x 5 NAPTR 1 1 "), Just("x 5 CAA 0 "),
            Just("x 5 TXT "), Just("x 5 RRSIG "), Just("x 5 NSEC . "), Just("x 5 IPSECKEY 1 "),
        ],
    ) {
        let limits = Limits { record_octets_max: 64, ..Limits::default() };
        let text = [front.as_bytes(), &octets].concat();
        let mut reader = RecordReader::new(&text[..], name("rpz.test"), &limits);
        let mut entries = 0;
        while reader.next().unwrap().is_some() {
            entries += 1;
        }
        prop_assert!(entries <= octets.len() + 1);
    }
}

fn rule(trigger: Trigger, action: Action) -> Rule {
    Rule { trigger, action, ttl: 60 }
}

/// A zone with every kind of trigger and action.
fn sample() -> Zone {
    let data = [
        RrSet {
            rtype: rdata::A,
            ttl: 5,
            rdata: vec![[192, 0, 2, 1].into(), [192, 0, 2, 2].into()],
        },
        RrSet { rtype: rdata::TXT, ttl: 60, rdata: vec![(*b"\x05a\"; (\x02\x00\xff").into()] },
        RrSet { rtype: 65, ttl: 60, rdata: vec![(*b"\0\x01\0\0\x01\0\x03\x02h2").into()] },
        RrSet { rtype: 65280, ttl: 60, rdata: vec![(*b"\x01\x02").into(), (*b"").into()] },
    ];
    let data = data.map(|set| RrSet { rdata: sorted(set.rdata), ..set });
    let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(9)), 7);
    for action in [
        Action::NxDomain,
        Action::NoData,
        Action::Passthru,
        Action::Drop,
        Action::TcpOnly,
        Action::Redirect(name("garden.test")),
        Action::RedirectBelow(name("garden.test")),
        Action::Data(data.into()),
    ] {
        let number = builder.effect(crate::zone::Effect { action: action.clone(), ttl: 60 });
        let label = format!("n{number}");
        let pattern = |wildcard| NamePattern { name: name(&format!("{label}.test")), wildcard };
        let v4 = Network::parse_strict(&format!("192.0.{number}.0/24")).unwrap();
        let v6 = Network::parse_strict(&format!("2001:db8:{number}::/48")).unwrap();
        for trigger in [
            Trigger::QueryName(pattern(false)),
            Trigger::QueryName(pattern(true)),
            Trigger::NameserverName(pattern(false)),
            Trigger::ClientAddress(v4),
            Trigger::AnswerAddress(v6),
            Trigger::NameserverAddress(v4),
        ] {
            builder.insert(rule(trigger, action.clone()));
        }
    }
    builder.finish().0
}

fn sorted(mut rdata: Vec<Box<[u8]>>) -> Vec<Box<[u8]>> {
    rdata.sort();
    rdata
}

fn written(zone: &Zone) -> (String, WriteReport) {
    let mut out = Vec::new();
    let report = write_zone(zone, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), report)
}

#[test]
fn a_zone_is_written_as_people_would_write_it() {
    let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(9)), 7);
    let pattern = |text, wildcard| NamePattern { name: name(text), wildcard };
    let network = |text| Network::parse_strict(text).unwrap();
    for (trigger, action, ttl) in [
        (Trigger::QueryName(pattern("bad.test", false)), Action::NxDomain, 60),
        (Trigger::QueryName(pattern("bad.test", true)), Action::NxDomain, 60),
        (Trigger::QueryName(pattern(r"a\.b\$.test", false)), Action::Passthru, 30),
        (Trigger::AnswerAddress(network("192.0.2.0/24")), Action::Drop, 60),
    ] {
        builder.insert(Rule { trigger, action, ttl });
    }
    let (text, report) = written(&builder.finish().0);
    assert_eq!(
        text,
        "\
$ORIGIN rpz.test.
$TTL 60
@ SOA localhost. nobody.invalid. 9 3600 600 2592000 60
@ NS localhost.
a\\.b\\$.test 30 CNAME rpz-passthru.
bad.test CNAME .
*.bad.test CNAME .
24.0.2.0.192.rpz-ip CNAME rpz-drop.
"
    );
    assert_eq!(report, WriteReport { records: 6, ..WriteReport::default() });
}

#[test]
fn a_zone_reads_back_as_it_was_written() {
    let zone = sample();
    let (text, report) = written(&zone);
    assert_eq!(report.skipped, 0);
    let (back, loaded) = load(text.as_bytes(), &name("rpz.test"), 7, &Limits::default()).unwrap();
    assert_eq!(loaded.rejects, []);
    assert_eq!(back.soa(), zone.soa());
    assert!(back.same_rules(&zone), "{text}");
    assert_eq!(loaded.records, report.records);
}

#[test]
fn rules_that_cannot_be_written_are_left_out_and_reported() {
    let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(9)), 7);
    let root = Trigger::QueryName(NamePattern::exact(Name::root()));
    let own = Trigger::QueryName(NamePattern::exact(name("own.test")));
    builder.insert(rule(root.clone(), Action::NxDomain));
    builder.insert(rule(own.clone(), Action::Redirect(name("own.test"))));
    builder.insert(rule(Trigger::QueryName(NamePattern::exact(name("x"))), Action::NxDomain));
    let (text, report) = written(&builder.finish().0);
    assert!(text.ends_with("@ NS localhost.\nx CNAME .\n"), "{text}");
    assert_eq!(report.kept, [(root, Unwritable::RootName), (own, Unwritable::OwnTarget)]);
    assert_eq!((report.records, report.skipped), (3, 2));
}

/// Whether a program answers at all; says so where it does not.
fn present(program: &str) -> bool {
    let found = std::process::Command::new(program).arg("-v").output().is_ok();
    if !found {
        #[expect(clippy::print_stderr, reason = "a test that did not run says so")]
        {
            eprintln!("SKIPPED: no {program} here");
        }
    }
    found
}

#[test]
fn bind_loads_what_we_write_without_a_word() {
    if !present("named-checkzone") {
        return;
    }
    let zone = sample();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("rpz.zone");
    std::fs::write(&path, written(&zone).0).unwrap();
    let output = std::process::Command::new("named-checkzone")
        .args(["-k", "fail", "-n", "fail", "-i", "full", "rpz.test"])
        .arg(&path)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}");
    assert_eq!(said, "zone rpz.test/IN: loaded serial 9\nOK\n");
}

proptest! {
    #[test]
    fn any_rules_read_back_as_they_were_written(
        rules in proptest::collection::vec(any_rule(), 0..40),
    ) {
        let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(9)), 7);
        rules.into_iter().for_each(|rule| builder.insert(rule));
        let zone = builder.finish().0;
        let (text, report) = written(&zone);
        let limits = Limits::default();
        let (back, loaded) = load(text.as_bytes(), &name("rpz.test"), 7, &limits).unwrap();
        prop_assert_eq!(&loaded.rejects, &[], "{}", text);
        let left_out: Vec<&Trigger> = report.kept.iter().map(|(trigger, _)| trigger).collect();
        let kept: Vec<Rule> =
            zone.rules().filter(|rule| !left_out.contains(&&rule.trigger)).collect();
        prop_assert_eq!(back.rules().collect::<Vec<_>>(), kept, "{}", text);
    }
}

fn any_plain_name() -> impl Strategy<Value = Name> {
    let label = prop_oneof![
        6 => "[a-z0-9-]{1,4}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 1..5),
        1 => Just(b"*".to_vec()),
    ];
    proptest::collection::vec(label, 0..4).prop_map(|labels| {
        let mut name = crate::model::NameBuffer::default();
        labels.iter().for_each(|label| name.push_label(label).unwrap());
        name.to_name()
    })
}

fn any_rule() -> impl Strategy<Value = Rule> {
    let network = (any::<u128>(), 0u8..=128).prop_map(|(bits, length)| match length {
        ..=32 => Network::new(std::net::Ipv4Addr::from_bits(bits as u32).into(), length).unwrap(),
        _ => Network::new(std::net::Ipv6Addr::from_bits(bits).into(), length).unwrap(),
    });
    let trigger = (0usize..5, any_plain_name(), any::<bool>(), network).prop_map(
        |(kind, name, wildcard, network)| match TriggerKind::ALL[kind] {
            TriggerKind::QueryName => Trigger::QueryName(NamePattern { name, wildcard }),
            TriggerKind::NameserverName => Trigger::NameserverName(NamePattern { name, wildcard }),
            TriggerKind::ClientAddress => Trigger::ClientAddress(network),
            TriggerKind::AnswerAddress => Trigger::AnswerAddress(network),
            TriggerKind::NameserverAddress => Trigger::NameserverAddress(network),
        },
    );
    let text = proptest::collection::vec(any::<u8>(), 0..9);
    let addresses = proptest::collection::btree_set(any::<[u8; 4]>(), 0..3);
    let sets =
        (text, addresses, any_plain_name(), 0u32..99).prop_map(|(text, addresses, target, ttl)| {
            let addresses: Vec<Box<[u8]>> = addresses.iter().map(|a| a[..].into()).collect();
            let text = [&[text.len() as u8][..], &text].concat();
            let srv = [&[0, 1, 0, 2, 0, 3][..], &target.as_ref().to_wire()].concat();
            let a = RrSet { rtype: rdata::A, ttl: 60, rdata: addresses };
            let txt = RrSet { rtype: rdata::TXT, ttl, rdata: vec![text.into()] };
            let srv = RrSet { rtype: 33, ttl, rdata: vec![srv.into()] };
            let sets = [a, txt, srv].into_iter().filter(|set| !set.rdata.is_empty());
            Action::Data(sets.collect())
        });
    let action = prop_oneof![
        Just(Action::NxDomain),
        Just(Action::NoData),
        Just(Action::Passthru),
        any_plain_name().prop_map(Action::Redirect),
        any_plain_name().prop_map(Action::RedirectBelow),
        sets,
    ];
    (trigger, action, 0u32..99).prop_map(|(trigger, action, ttl)| Rule { trigger, action, ttl })
}

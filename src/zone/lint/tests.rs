//! Files made to show each thing that bites somebody.

use super::*;
use crate::zone::file::Limits;
use crate::zone::profile::{Family, PROFILES};

const HEAD: &str =
    "$TTL 60\n@ SOA localhost. nobody.invalid. 1 3600 600 86400 60\n@ NS localhost.\n";

fn report(text: &str, profiles: &[&Profile]) -> Report {
    let origin = Name::from_presentation("t.rpz").unwrap();
    let reader = RecordReader::new(text.as_bytes(), origin.clone(), &Limits::default());
    file(reader, &origin, profiles, &[]).unwrap()
}

/// The findings below a sound head: code, line, and who refuses or misreads it.
fn found(records: &str) -> Vec<String> {
    let all = Family::ALL.map(Profile::of);
    let report = report(&format!("{HEAD}{records}"), &all);
    let shown = |finding: &Finding| {
        let grave = finding.concerns.iter().filter(|c| c.weight > Weight::Note);
        let grave: Vec<String> = grave.map(|c| format!("{} {:?}", c.profile, c.weight)).collect();
        format!("{}:{} {}", finding.spot.line, finding.code.as_str(), grave.join(", "))
    };
    report.findings.iter().map(shown).collect()
}

#[test]
fn a_sound_zone_has_no_findings() {
    let records = "bad.test CNAME .\n*.bad.test CNAME .\nb.bad.test CNAME *.\n*.b.bad.test CNAME *.\n\
                   www.worse.test A 192.0.2.1\n";
    assert_eq!(found(records), [""; 0]);
}

/// Every row of what is known to bite somebody, in a file made to show it.
#[test]
fn each_known_trouble_is_found_where_it_stands() {
    let long = format!("{}aaaaaa", "a.".repeat(121));
    let many: String = (0..=100).map(|n| format!("many.test A 192.0.2.{n}\n")).collect();
    for (records, expected) in [
        // BIND: one malformed or conflicting owner and the whole zone is refused.
        (
            "a.test CNAME .\nb..test CNAME .\n",
            "5:syntax bind Error, unbound Error, pdns-recursor Error, generic Error",
        ),
        (
            "a.test CNAME .\na.test CNAME *.\n",
            "5:conflict bind Error, unbound Warning, pdns-recursor Error, generic Error",
        ),
        (
            "a.test CNAME .\na.test A 192.0.2.1\n",
            "5:conflict bind Error, unbound Warning, pdns-recursor Error, generic Error",
        ),
        // Identical duplicates load in BIND and not in PowerDNS.
        ("a.test CNAME .\na.test CNAME .\n", "5:duplicate pdns-recursor Error, generic Error"),
        // Owner and origin must fit 255 octets.
        (&format!("{long} CNAME .\n"), "4:owner-too-long bind Error, unbound Error, generic Error"),
        // TTLs beyond a minute.
        ("a.test 600 CNAME .\n", "4:ttl "),
        // Anything at the apex but SOA and NS.
        (
            &format!("@ ZONEMD 1 1 1 {}\n", "00".repeat(48)),
            "4:apex-record unbound Error, pdns-recursor Warning, generic Error",
        ),
        ("@ TXT x\n", "4:apex-record unbound Error, pdns-recursor Warning, generic Error"),
        ("@ A 192.0.2.1\n", "4:apex-record unbound Error, pdns-recursor Warning, generic Error"),
        // Rules for everything or for a whole top-level domain.
        (
            "* CNAME .\n",
            "4:root-rule bind Warning, unbound Warning, pdns-recursor Warning, knot Warning, \
             generic Warning",
        ),
        ("com CNAME .\n*.com CNAME .\n", "4:top-rule \n5:top-rule "),
        // Owners outside.
        ("a.test. CNAME .\n", "4:out-of-zone bind Warning, unbound Error, generic Error"),
        // Too many records of one type.
        (&many, "4:too-many-records bind Error, generic Error"),
        // Address owners.
        (
            "33.1.2.0.192.rpz-ip CNAME .\n",
            "4:address-malformed bind Warning, unbound Warning, pdns-recursor Error, generic Error",
        ),
        (
            "24.10.2.0.192.rpz-ip CNAME .\n",
            "4:address-host-bits bind Warning, unbound Error, pdns-recursor Error, generic Error",
        ),
        (
            "128.1.zz.0db8.2001.rpz-ip CNAME .\n",
            "4:address-form bind Warning, unbound Warning, generic Warning",
        ),
        // Types that are never rules, targets that are no actions, the old PASSTHRU.
        (
            "a.test DNAME b.test.\n",
            "4:record-type bind Warning, pdns-recursor Warning, generic Warning",
        ),
        ("a.test CNAME rpz-log.\n", "4:unknown-action bind Warning, generic Warning"),
        (
            "a.test CNAME a.test.\n",
            "4:old-passthru unbound Warning, pdns-recursor Warning, knot Warning, generic Warning\n\
             4:action knot Warning",
        ),
        // What not every consumer has.
        ("32.1.2.0.192.rpz-ip CNAME .\n", "4:trigger knot Warning"),
        ("32.1.2.0.192.rpz-client-ip CNAME .\n", "4:trigger pdns-recursor Warning, knot Warning"),
        ("a.test CNAME rpz-passthru.\n", "4:no-exceptions knot Error"),
        ("a.test CNAME rpz-drop.\n", "4:action knot Warning"),
        (
            "ns.test.rpz-nsdname CNAME rpz-tcp-only.\n",
            "4:trigger knot Warning\n\
             4:tcp-only-nameserver unbound Error, pdns-recursor Warning, knot Warning, generic \
             Error",
        ),
        (
            "32.1.2.0.192.rpz-ip CNAME *.garden.test.\n",
            "4:trigger knot Warning\n4:not-expanded unbound Warning, knot Warning",
        ),
        ("a.test TYPE65280 \\# 1 00\n", "4:unknown-type pdns-recursor Warning, generic Warning"),
        // A wildcard beside a deeper owner.
        (
            "*.bad.test CNAME .\nc.b.bad.test CNAME .\n*.c.b.bad.test CNAME .\n",
            "5:shadowed-wildcard bind Warning, unbound Warning, generic Warning",
        ),
        ("a.test CNAME .\n", "4:subtree "),
        // Exceptions: of another kind, and in the same zone.
        (
            "a.test CNAME .\n*.a.test CNAME .\n32.1.2.0.192.rpz-ip CNAME rpz-passthru.\n",
            "6:trigger knot Warning\n6:no-exceptions knot Error\n\
             6:exception-kind unbound Warning, pdns-recursor Warning, generic Warning\n\
             6:passthru-ends ",
        ),
    ] {
        let found = found(records).join("\n");
        // A rule for a name alone is a matter of its own.
        let kept: Vec<&str> = found
            .lines()
            .filter(|line| expected.contains("subtree") || !line.contains(":subtree"))
            .collect();
        assert_eq!(kept.join("\n"), expected, "{records}");
    }
}

#[test]
fn the_head_of_a_zone_is_looked_at() {
    let all = Family::ALL.map(Profile::of);
    let codes = |text: &str| -> Vec<Code> {
        report(text, &all).findings.iter().map(|finding| finding.code).collect()
    };
    assert_eq!(codes("$TTL 60\na.test CNAME .\n*.a.test CNAME .\n"), [Code::NoSoa, Code::NoNs]);
    let soa = "$TTL 60\n@ SOA localhost. nobody.invalid. 1 86400 600 86400 60\n";
    assert_eq!(codes(&format!("{soa}@ NS ns\n")), [Code::Refresh, Code::NsInZone]);
    let origin = Name::from_presentation("https-lists-example-net-a-very-long-file.rpz").unwrap();
    let report = Linter::new(origin, &all).finish();
    assert!(report.findings.iter().any(|finding| finding.code == Code::LongOrigin));
}

#[test]
fn upper_case_is_seen_in_the_text() {
    let text =
        "a.test CNAME .\n128.1.ZZ.db8.2001.rpz-ip CNAME .\nzz.test CNAME .\nZZ.test CNAME .\n";
    assert_eq!(upper_case_lines(text.as_bytes()).unwrap(), [2]);
}

#[test]
fn findings_of_one_sort_are_counted_beyond_those_kept() {
    let records: String = (0..2 * KEPT_MAX).map(|n| format!("a{n}.test. 60 CNAME .\n")).collect();
    let report = report(&format!("{HEAD}{records}"), &[Profile::of(Family::Unbound)]);
    assert_eq!(report.counts[&Code::OutOfZone], 2 * KEPT_MAX);
    assert_eq!(report.findings.len(), KEPT_MAX);
    assert_eq!(report.weight(), Some(Weight::Error));
}

/// What is made for a consumer is without a complaint of it.
#[test]
fn what_a_profile_makes_of_a_zone_has_no_findings_for_it() {
    use crate::zone::profile::fit::{FitOptions, fit};
    let records = "bad.test CNAME .\n*.bad.test CNAME .\ngood.bad.test CNAME rpz-passthru.\n\
                   only.test 900 CNAME rpz-drop.\na.only.test CNAME rpz-tcp-only.\n\
                   32.1.2.0.192.rpz-client-ip CNAME .\n24.0.2.0.192.rpz-ip CNAME *.garden.test.\n\
                   ns.test.rpz-nsdname CNAME rpz-tcp-only.\n* CNAME .\n\
                   data.test TYPE65280 \\# 1 00\ndata.test A 192.0.2.1\n";
    let text = format!("{HEAD}{records}");
    let origin = Name::from_presentation("t.rpz").unwrap();
    let (loaded, _) =
        crate::zone::file::load(text.as_bytes(), &origin, 7, &Limits::default()).unwrap();
    for profile in &PROFILES {
        let (fitted, _) = fit(&loaded, profile, FitOptions::default());
        let report = zone(&fitted, &[profile]);
        let grave: Vec<&Finding> =
            report.findings.iter().filter(|f| f.weight() == Weight::Error).collect();
        assert!(grave.is_empty(), "{}: {grave:?}", profile.name);
    }
}

//! Investigations by the whole program against stand-ins of all services.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use serde_json::Value;
use support::instance::Instance;
use support::standin::{EVIL, EVIL_ADDRESS, EVIL_SYSTEM, FINE, Fault, Standin};

const ROUTES: &str = "192.0.2.0\t192.0.2.255\t64496\tZZ\tBULLET\n";

/// A program with all services, a list that names one domain, and a table of routes.
fn instance(standin: &Standin) -> Instance {
    let instance = Instance::new("");
    let folder = instance.path("");
    let source = |id: &str, format: &str, text: &str| {
        let file = instance.path(&format!("{id}.txt"));
        std::fs::write(&file, text).unwrap();
        format!("[[source]]\nid = '{id}'\nurl = '{}'\nformat = '{format}'\n", file.display())
    };
    let more = [
        source("ranked", "ranks", "1,popular.com\n"),
        source("iptoasn", "iptoasn", ROUTES),
        source("openphish", "domains", &format!("{EVIL}\n")),
        standin.configuration(&folder, ""),
    ];
    let path = instance.path("sekisho.toml");
    let configuration = std::fs::read_to_string(&path).unwrap();
    let configuration = format!("licence = 'personal'\n{configuration}{}", more.concat());
    std::fs::write(&path, configuration).unwrap();
    instance.start()
}

/// The rows of a service by what they are called.
fn row<'d>(dossier: &'d Value, service: &str, what: &str) -> &'d Value {
    let services = dossier["services"].as_array().unwrap();
    let service = services.iter().find(|s| s["service"] == service).unwrap();
    let rows = service["rows"].as_array().unwrap();
    rows.iter().find(|row| row["what"] == what).unwrap_or_else(|| panic!("{what}: {service}"))
}

fn has(dossier: &Value, service: &str, what: &str, part: &str) {
    let row = row(dossier, service, what);
    assert!(row["facts"].to_string().contains(part), "{service} {what}: {row}");
}

#[test]
fn a_malicious_domain_has_every_fact_or_the_reason_why_not() {
    let standin = Standin::start();
    let instance = instance(&standin);
    let dossier = instance.json(&["investigate", EVIL]);
    assert_eq!(dossier["kind"], "domain");
    let vt = "virustotal";
    for (service, what, part) in [
        (vt, "Engines", "\"malicious\":14"),
        (vt, "Community score", "-4200"),
        (vt, "Passive DNS", EVIL_ADDRESS),
        (vt, "WHOIS", "Earlier Ltd"),
        (vt, "Subdomains", "www.evil.login-update.net"),
        (vt, "Communicating files", &"a".repeat(64)),
        (vt, "Referrer files", &"b".repeat(64)),
        (vt, "Graph summary", "g1"),
        (vt, "Certificates", "Old CA"),
        (vt, "DNS records", EVIL_ADDRESS),
        ("threatintelligenceplatform", "Malware detection", "\"code\":82"),
        ("threatintelligenceplatform", "Domains on the same address", "pay.example.com"),
        ("threatintelligenceplatform", "Infrastructure: addresses, MX and NS hosts", "mail server"),
        ("threatintelligenceplatform", "Website analysis", "exe"),
        ("threatintelligenceplatform", "Host configuration issues", "index"),
        ("threatintelligenceplatform", "Open ports and services", "port 23"),
        ("threatintelligenceplatform", "Certificate chain", "RSA 2048"),
        ("threatintelligenceplatform", "TLS configuration", "TLS 1.0"),
        ("threatintelligenceplatform", "WHOIS", "2 days ago"),
        ("threatintelligenceplatform", "SOA", "minimum"),
        ("apivoid", "Blacklist report", "\"malicious\":5"),
        ("apivoid", "Reverse DNS", "host.bullet.example.com"),
        ("apivoid", "Geolocation", "ZZ"),
        ("apivoid", "ASN", "64496"),
        ("dnsdumpster", "Hosts with their AS and country", "64496"),
        ("dnsdumpster", "Banners", "http"),
        ("dnsdumpster", "DNS records", "10 mail.evil"),
        ("dnsdumpster", "Hosting per AS over time", "AS64496 BULLET: 1 hosts"),
    ] {
        has(&dossier, service, what, part);
    }
    for (service, what, reason) in [
        (vt, "Detected URLs", "a paid plan is needed"),
        (vt, "Downloaded files", "a paid plan is needed"),
        (vt, "Google results", "web page"),
        (vt, "ASN", "its address is not known"),
        ("apivoid", "HTTP headers", "none for programs"),
        ("bgpranking", "Rank", "the AS of its address is not known"),
    ] {
        let missing = row(&dossier, service, what)["missing"].to_string();
        assert!(missing.contains(reason), "{service} {what}: {missing}");
    }
    // The list alone asks for a redirect; what services say makes it a block.
    let verdict = &dossier["verdict"];
    assert_eq!(verdict["level"], "block", "{verdict}");
    assert!(verdict["contributions"].to_string().contains("\"vt\""), "{verdict}");

    // It is in force soon after, and `why` shows it.
    let why = instance.json(&["why", EVIL]);
    assert!(why["score"]["contributions"].to_string().contains("openphish"), "{why}");

    // A second time nothing is asked, and the age is said.
    let asked = standin.asked(vt).len();
    let again = instance.json(&["investigate", EVIL]);
    assert_eq!(standin.asked(vt).len(), asked);
    assert_eq!(row(&again, vt, "Engines")["kept"], true);
    let text = instance.say(&["investigate", EVIL]);
    assert!(text.contains("kept from") && text.contains("14 of 91 malicious"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'), "hostile text is harmless");
    let budget = instance.json(&["budget"]);
    let used = budget["services"][0]["day"][0].as_u64().unwrap();
    assert_eq!(used as usize, asked, "{budget}");
    assert!(instance.say(&["budget"]).contains("virustotal"));
}

#[test]
fn benign_domains_addresses_prefixes_and_systems_are_investigated_too() {
    let standin = Standin::start();
    let instance = instance(&standin);
    let fine = instance.json(&["investigate", FINE]);
    assert_ne!(fine["verdict"]["level"], "block");
    has(&fine, "virustotal", "Engines", "\"malicious\":0");
    let subdomains = row(&fine, "virustotal", "Subdomains");
    assert_eq!(subdomains["missing"], "the service knows of none");

    let address = instance.json(&["investigate", EVIL_ADDRESS]);
    assert_eq!(address["kind"], "address");
    has(&address, "virustotal", "ASN", "64496");
    has(&address, "apivoid", "Traits", "is_tor");
    has(&address, "bgpranking", "Rank", "\"position\":3");
    has(&address, "ipasnhistory", "AS over time", "64505");
    has(&address, "ipasnhistory", "AS over time", "not-announced");
    let local = address["local"].to_string();
    assert!(local.contains("BULLET") && local.contains("PTR of 192.0.2.66"), "{local}");

    let system = instance.json(&["investigate", EVIL_SYSTEM]);
    assert_eq!(system["kind"], "AS");
    has(&system, "bgpranking", "Rank over time", "0.03125");
    has(&system, "bgpranking", "Names of the AS", "OLD, ZZ");
    has(&system, "ipasnhistory", "Prefixes of the AS", "192.0.2.0/24");

    let prefix = instance.json(&["investigate", "192.0.2.0/24"]);
    assert!(prefix["local"].to_string().contains("192.0.2.255"), "{prefix}");
    let refused = instance.say(&["investigate", "not a name"]);
    assert!(refused.contains("error: `not a name` is nothing to investigate"), "{refused}");
    assert!(refused.contains("hint:"), "{refused}");
}

#[test]
fn a_dead_service_holds_up_nobody_and_what_was_known_before_is_shown() {
    let standin = Standin::start();
    let instance = instance(&standin);
    instance.json(&["investigate", EVIL, "--service", "dnsdumpster"]);
    standin.fault("dnsdumpster", Some(Fault::Reply(500, vec![], b"no".to_vec())));
    standin.fault("apivoid", Some(Fault::Reply(200, vec![], b"<html>".to_vec())));
    let dossier = instance.json(&["investigate", "other.example.com"]);
    has(&dossier, "virustotal", "Engines", "\"malicious\":0");
    let missing = row(&dossier, "apivoid", "Blacklist report")["missing"].to_string();
    assert!(missing.contains("it is not JSON"), "{missing}");
    let missing = row(&dossier, "dnsdumpster", "Banners")["missing"].to_string();
    assert!(missing.contains("HTTP status 500"), "{missing}");
    let dossier = instance.json(&["investigate", EVIL]);
    has(&dossier, "dnsdumpster", "Banners", "http");
}

#[test]
fn a_dossier_leaves_in_every_form_and_without_a_daemon() {
    let standin = Standin::start();
    let mut instance = instance(&standin);
    instance.json(&["investigate", EVIL]);
    instance.stop();
    let at = |name: &str| instance.path(name).display().to_string();
    let forms = ["html", "dot", "graphml", "stix", "misp", "csv", "xlsx"];
    let mut arguments = vec!["investigate".to_owned(), EVIL.to_owned()];
    for form in forms {
        arguments.extend([format!("--{form}"), at(&format!("out.{form}"))]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = instance.say(&arguments);
    assert!(text.contains("kept from"), "{text}");
    let read = |form: &str| std::fs::read(instance.path(&format!("out.{form}"))).unwrap();
    let text = |form: &str| String::from_utf8(read(form)).unwrap();
    let page = text("html");
    assert_eq!(page.matches("<script").count(), 1);
    assert!(page.contains("&lt;script&gt;") && page.contains("<svg id=\"graph\""));
    assert!(text("dot").contains(EVIL_ADDRESS) && text("graphml").contains(EVIL_ADDRESS));
    let bundle: Value = serde_json::from_slice(&read("stix")).unwrap();
    assert!(
        bundle["objects"].to_string().contains("[domain-name:value = 'evil.login-update.net']")
    );
    let event: Value = serde_json::from_slice(&read("misp")).unwrap();
    assert_eq!(event["Event"]["Attribute"][0]["to_ids"], true);
    assert!(text("csv").lines().count() > 40);
    assert!(read("xlsx").starts_with(b"PK"));
    for form in forms {
        let octets = read(form);
        let shown = String::from_utf8_lossy(&octets).into_owned();
        assert!(!shown.contains("SECRET-"), "a key is in {form}");
    }
}

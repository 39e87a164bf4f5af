//! Recorded answers of all services, read as they would be. They are no part of the repository.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;
use crate::model::lookup::Fact;
use crate::model::recorded;

/// The folder of recorded answers beside that of recorded feeds.
fn folder() -> Option<PathBuf> {
    Some(recorded::shared("../providers/samples/index.json")?.parent()?.to_owned())
}

/// The question that has such a path, by the services' own descriptions; none for what this
/// program never asks.
fn question(service: Service, path: &str, body: &Value) -> Option<Question> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let parameter = |name: &str| {
        let mut parameters = query.split('&').filter_map(|p| p.split_once('='));
        parameters.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
    };
    let member = |name: &str| match &body[name] {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let target = |text: &str| {
        let text = text.strip_prefix("not").map_or(text, |_| "unsound.example");
        Target::parse(text).unwrap_or(Target::parse("unsound.example").unwrap())
    };
    let system = |text: &str| target(&format!("AS{}", text.trim_start_matches("AS")));
    let (target, aspect) = match (service, parts.as_slice()) {
        (Service::VirusTotal, ["vtapi", ..]) => {
            (target(&parameter("domain")?), Aspect::LegacyReport)
        }
        (Service::VirusTotal, ["users", ..]) => (target("a.example"), Aspect::Quota),
        (Service::VirusTotal, ["urls", ..] | ["analyses", ..]) => {
            (target("http://login-update.example/verify"), Aspect::Report)
        }
        (Service::VirusTotal, [_, name]) => (target(name), Aspect::Report),
        (Service::VirusTotal, [_, name, .., relation]) => {
            let aspect = match *relation {
                "resolutions" => Aspect::Resolutions,
                "subdomains" => Aspect::Subdomains,
                "communicating_files" => Aspect::CommunicatingFiles,
                "referrer_files" => Aspect::ReferrerFiles,
                "downloaded_files" => Aspect::DownloadedFiles,
                "urls" => Aspect::Urls,
                "historical_whois" => Aspect::HistoricalWhois,
                "historical_ssl_certificates" => Aspect::HistoricalCertificates,
                "votes" => Aspect::Votes,
                "graphs" => Aspect::Graphs,
                other => panic!("{other}"),
            };
            (target(name), aspect)
        }
        (Service::ThreatIntelligencePlatform, [_, endpoint]) => {
            let name = parameter("domainName").unwrap_or_else(|| "unsound.example".to_owned());
            let aspect = match *endpoint {
                "reputation" => Aspect::Report,
                "infrastructureAnalysis" => Aspect::Infrastructure,
                "sslCertificatesChain" => Aspect::CertificateChain,
                "sslConfiguration" => Aspect::TlsConfiguration,
                "malwareCheck" => Aspect::MalwareCheck,
                "connectedDomains" => Aspect::ConnectedDomains,
                other => panic!("{other}"),
            };
            (target(&name), aspect)
        }
        (Service::ApiVoid, ["v2", "account-info"]) => (target("a.example"), Aspect::Quota),
        (Service::ApiVoid, _) => {
            let given = [member("host"), member("ip"), member("url"), parameter("host")];
            let given = given.into_iter().flatten().next().or(parameter("ip"));
            (target(&given?), Aspect::Report)
        }
        (Service::DnsDumpster, [_, name]) => (target(name), Aspect::Report),
        (Service::BgpRanking, ["json", endpoint]) => {
            let asn = member("asn").unwrap_or_else(|| "64496".to_owned());
            let aspect = match *endpoint {
                "asn" => Aspect::Report,
                "asn_history" => Aspect::RankHistory,
                "asn_descriptions" => Aspect::Descriptions,
                "asns_global_ranking" => Aspect::Ranking,
                _ => return None,
            };
            (system(&asn), aspect)
        }
        (Service::IpasnHistory, ["ip"]) => {
            let aspect = match body["first"].is_string() {
                true => Aspect::OriginHistory,
                false => Aspect::Report,
            };
            (target(&parameter("ip").or(member("ip"))?), aspect)
        }
        (Service::IpasnHistory, ["asn_meta"]) => (system(&member("asn")?), Aspect::Prefixes),
        _ => return None,
    };
    let mut question = Question::new(service, target, aspect);
    question.page = parameter("cursor").or(parameter("page"));
    question.source = body["source"].as_str().map(str::to_owned);
    Some(question)
}

fn signs(headers: &Value) -> Signs {
    let text = |name: &str| headers[name].as_str().map(str::to_owned);
    Signs {
        retry_after_seconds: text("Retry-After").and_then(|t| t.parse().ok()),
        service_quota: text("X-Service-Quota"),
        rate_remaining: text("X-RateLimit-Remaining").and_then(|t| t.parse().ok()),
    }
}

/// Every recorded answer of a service that is asked: what was asked, and what was read.
fn read_all(folder: &Path) -> BTreeMap<String, Result<Answer, ProviderError>> {
    let index = std::fs::read(folder.join("index.json")).unwrap();
    let index: Vec<Value> = serde_json::from_slice(&index).unwrap();
    let mut read = BTreeMap::new();
    for entry in &index {
        let file = entry["file"].as_str().unwrap();
        let Some(service) = Service::of_word(file.split('/').next().unwrap()) else { continue };
        let path = entry["path"].as_str().unwrap();
        let Some(question) = question(service, path, &entry["request_body"]) else { continue };
        let reply = Reply {
            status: u16::try_from(entry["status"].as_u64().unwrap()).unwrap(),
            signs: signs(&entry["headers"]),
            body: std::fs::read(folder.join(file)).unwrap(),
        };
        read.insert(file.to_owned(), parse(&question, &reply));
    }
    read
}

#[test]
fn every_recorded_answer_gives_facts_or_the_error_that_it_is() {
    let Some(folder) = folder() else { return };
    let read = read_all(&folder);
    let errors: Vec<String> = read
        .iter()
        .filter_map(|(file, answer)| Some(format!("{file} {}", answer.as_ref().err()?.class())))
        .collect();
    assert_eq!(errors.join("\n"), include_str!("samples/errors.txt").trim_end());
    // An empty collection is the one answer without a fact that is no error.
    let empty = |answer: &Answer| answer.facts.is_empty();
    let empty = read.iter().filter(|(_, answer)| answer.as_ref().is_ok_and(empty));
    let empty: Vec<&str> = empty.map(|(file, _)| file.as_str()).collect();
    assert_eq!(
        empty,
        ["threatintelligenceplatform/connected_domains_none.json", "virustotal/empty_list.json"]
    );
    assert_eq!(read.len(), 123);
}

/// The facts of one recorded answer, as people would check them against its text.
#[track_caller]
fn facts(read: &BTreeMap<String, Result<Answer, ProviderError>>, file: &str) -> Vec<Fact> {
    read[file].as_ref().unwrap().facts.clone()
}

#[test]
fn facts_are_those_of_the_recorded_answers() {
    let Some(folder) = folder() else { return };
    let read = read_all(&folder);
    let has = |file: &str, wanted: &str| {
        let facts = facts(&read, file);
        let texts: Vec<String> =
            facts.iter().map(|fact| serde_json::to_string(fact).unwrap()).collect();
        let found = texts.iter().any(|text| text.contains(wanted));
        assert!(found, "{file} has no {wanted}\n{}", texts.join("\n"));
    };
    for (file, wanted) in [
        (
            "virustotal/domain_malicious.json",
            r#""malicious":14,"suspicious":2,"harmless":55,"undetected":20"#,
        ),
        ("virustotal/domain_malicious.json", r#""hundredths":-4200,"scale":"low-is-bad""#),
        ("virustotal/domain_malicious.json", r#""registrar":"Budget Names Ltd""#),
        ("virustotal/domain_malicious.json", r#""value":"10 mail.login-update.example""#),
        ("virustotal/domain_malicious.json", r#""names":["login-update.example","www."#),
        ("virustotal/domain_benign.json", r#""fact":"popularity","list":"Example Majestic""#),
        ("virustotal/ip_malicious.json", r#""asn":64496,"name":"EXAMPLE-BULLETPROOF""#),
        ("virustotal/domain_resolutions_page1.json", r#""address":"192.0.2.66""#),
        ("virustotal/ip_resolutions.json", r#""name":"secure-pay.example""#),
        ("virustotal/domain_subdomains.json", r#""name":"www.login-update.example""#),
        ("virustotal/domain_communicating_files.json", r#""relation":"communicating""#),
        ("virustotal/domain_urls_paid.json", r#""malicious":9,"engines":91"#),
        ("virustotal/domain_graphs.json", r#""title":"Login lures","nodes":1"#),
        ("virustotal/domain_votes.json", r#""verdict":"malicious""#),
        ("virustotal/v2_domain_report.json", r#""relation":"downloaded""#),
        (
            "virustotal/overall_quotas_free.json",
            r#""window":"day","allowed":500,"used":499,"left":1"#,
        ),
        (
            "threatintelligenceplatform/reputation_v2_malicious_domain.json",
            r#""code":82,"name":"Malware databases check","status":"warning""#,
        ),
        (
            "threatintelligenceplatform/reputation_v2_malicious_domain.json",
            r#""hundredths":1137,"scale":"low-is-bad""#,
        ),
        (
            "threatintelligenceplatform/reputation_v1_malicious_domain.json",
            r#""warnings":["Domain is listed as phishing by Example Phish Registry"]"#,
        ),
        (
            "threatintelligenceplatform/reputation_v2_benign_domain.json",
            r#""code":82,"name":"Malware databases check","status":"ok""#,
        ),
        (
            "threatintelligenceplatform/infrastructure_analysis_malicious.json",
            r#""role":"mail server","address":"192.0.2.67""#,
        ),
        (
            "threatintelligenceplatform/ssl_certificates_chain.json",
            r#""names":["login-update.example"]"#,
        ),
        (
            "threatintelligenceplatform/ssl_configuration_warnings.json",
            r#""name":"supportedProtocols","status":"warning""#,
        ),
        ("threatintelligenceplatform/malware_check_listed.json", r#""name":"safe","hundredths":0"#),
        ("threatintelligenceplatform/connected_domains.json", r#""name":"secure-pay.example""#),
        (
            "apivoid/v2_domain_malicious.json",
            r#""malicious":5,"suspicious":0,"harmless":0,"undetected":35"#,
        ),
        ("apivoid/v2_domain_free_hosting_one_hit.json", r#""name":"is_free_hosting""#),
        ("apivoid/v2_domain_malicious_with_age.json", r#""fact":"registration""#),
        ("apivoid/v2_ip_tor_exit.json", r#""name":"is_tor""#),
        ("apivoid/v2_ip_benign.json", r#""fact":"reverse-name","name":"www.library.example""#),
        ("apivoid/v1_ip_malicious.json", r#""malicious":3"#),
        ("apivoid/v1_dns_lookup.json", r#""rtype":"NS","value":"ns1.library.example""#),
        ("dnsdumpster/domain_malicious.json", r#""asn":64499,"network":"EXAMPLE-VPS""#),
        ("dnsdumpster/domain_malicious.json", r#""protocol":"https""#),
        ("dnsdumpster/domain_benign.json", r#""rtype":"CNAME","value":"library.example""#),
        ("bgpranking/asn_malicious.json", r#""rank":0.033203125,"position":3,"total":15375"#),
        ("bgpranking/asn_unknown.json", r#""position":null"#),
        ("bgpranking/asn_history_malicious.json", r#""rank":0.021484375"#),
        ("bgpranking/asns_global_ranking_one_source.json", r#""source":"dshield-topips""#),
        ("ipasnhistory/ip_history.json", r#""asn":64505"#),
        ("ipasnhistory/ip_history.json", r#""fact":"not-announced""#),
        ("ipasnhistory/asn_meta.json", r#""count":512"#),
    ] {
        has(file, wanted);
    }
    let page = read["virustotal/domain_resolutions_page1.json"].as_ref().unwrap();
    assert_eq!((page.total, page.next.is_some()), (Some(3), true));
    let page = read["virustotal/domain_resolutions_page2.json"].as_ref().unwrap();
    assert_eq!(page.next, None);
    let page = read["dnsdumpster/domain_page1_of_3_plus.json"].as_ref().unwrap();
    assert_eq!((page.total, page.next.as_deref()), (Some(10), Some("2")));
}

#[test]
fn a_recorded_answer_cut_anywhere_or_mistyped_is_an_error_and_no_verdict() {
    let Some(folder) = folder() else { return };
    let question = Question::new(
        Service::VirusTotal,
        Target::parse("login-update.example").unwrap(),
        Aspect::Report,
    );
    let body = std::fs::read(folder.join("virustotal/domain_malicious.json")).unwrap();
    let body = body.trim_ascii_end();
    for end in (0..body.len()).step_by(97) {
        let reply = Reply { status: 200, body: body[..end].to_vec(), ..Reply::default() };
        let error = parse(&question, &reply).unwrap_err();
        assert_eq!(error.class(), "malformed", "{end}: {error}");
    }
    let text = String::from_utf8(body.to_vec()).unwrap();
    let text = text.replace("\"malicious\": 14", "\"malicious\": \"many\"");
    let reply = Reply { status: 200, body: text.into_bytes(), ..Reply::default() };
    assert_eq!(
        parse(&question, &reply).unwrap_err().to_string(),
        "the answer cannot be read: data.attributes.last_analysis_stats.malicious is a string and \
         not a whole number"
    );
}

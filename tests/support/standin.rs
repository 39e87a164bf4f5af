//! Stand-ins for the services that are asked about indicators: one server on loopback that answers
//! for all of them as they describe themselves, with their keys, quotas and faults.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, mpsc};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// A name with much against it, an address and an AS likewise.
pub const EVIL: &str = "evil.login-update.net";
pub const EVIL_ADDRESS: &str = "192.0.2.66";
pub const EVIL_SYSTEM: &str = "AS64496";
/// A name with nothing against it.
pub const FINE: &str = "fine.library-site.org";
/// A name that nobody knows.
pub const UNKNOWN: &str = "unknown.nowhere-site.net";
/// What hostile services put into every text: escapes of terminals, HTML, a turn of direction.
pub const HOSTILE: &str = "x\u{1b}[2J<script>alert(1)</script>\u{202e}\"'&";

/// What is wrong with a service.
#[derive(Clone)]
pub enum Fault {
    /// This status, headers and body, whatever is asked.
    Reply(u16, Vec<(&'static str, String)>, Vec<u8>),
    /// No answer.
    Silence,
}

#[derive(Default)]
struct Inside {
    faults: BTreeMap<String, Fault>,
    quotas: BTreeMap<String, usize>,
    requests: Vec<(String, String)>,
}

/// The running server; it ends with the test's process.
pub struct Standin {
    address: SocketAddr,
    inside: Arc<Mutex<Inside>>,
}

/// An hour ago, in seconds since 1970: old analyses weigh nothing.
fn analysed_at() -> u32 {
    use sekisho::model::time::Clock as _;
    sekisho::daemon::clock::SystemClock.now().0 - 3600
}

/// The key that a service takes; a text that must not be seen anywhere.
pub fn key(service: &str) -> String {
    format!("SECRET-{service}-0123456789abcdef")
}

impl Standin {
    pub fn start() -> Self {
        let inside = Arc::new(Mutex::new(Inside::default()));
        let (told, address) = mpsc::channel();
        let state = inside.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime can be made").block_on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
                let listener = listener.expect("loopback has a free port");
                told.send(listener.local_addr().expect("it is bound")).expect("the test waits");
                let router = Router::new().fallback(answer).with_state(state);
                axum::serve(listener, router).await.expect("it serves until the end");
            });
        });
        Self { address: address.recv().expect("the server starts"), inside }
    }

    /// The base URL of a service.
    pub fn base(&self, service: &str) -> String {
        format!("http://{}/{service}", self.address)
    }

    /// From now on the service has a fault; none takes it away.
    pub fn fault(&self, service: &str, fault: Option<Fault>) {
        let mut inside = self.inside.lock().expect("no panic holds it");
        match fault {
            Some(fault) => inside.faults.insert(service.to_owned(), fault),
            None => inside.faults.remove(service),
        };
    }

    /// The service answers so often and then says that its quota is used up.
    pub fn quota(&self, service: &str, answers: usize) {
        let mut inside = self.inside.lock().expect("no panic holds it");
        inside.quotas.insert(service.to_owned(), answers);
    }

    /// What a service was asked: method, path and body of each request.
    pub fn asked(&self, service: &str) -> Vec<String> {
        let inside = self.inside.lock().expect("no panic holds it");
        let of = |(s, request): &(String, String)| (s == service).then(|| request.clone());
        inside.requests.iter().filter_map(of).collect()
    }

    /// Configuration for all services, with files of keys in a folder.
    pub fn configuration(&self, folder: &std::path::Path, more: &str) -> String {
        let mut text = String::new();
        for service in ["virustotal", "threatintelligenceplatform", "apivoid", "dnsdumpster"] {
            let file = folder.join(format!("{service}.key"));
            std::fs::write(&file, key(service) + "\n").expect("the folder can be written");
            text.push_str(&format!(
                "[provider.{service}]\nurl = '{}'\nfile = '{}'\nper_minute = 1000\n{more}",
                self.base(service),
                file.display()
            ));
        }
        for service in ["bgpranking", "ipasnhistory"] {
            let base = self.base(service);
            text.push_str(&format!("[provider.{service}]\nurl = '{base}'\n{more}"));
        }
        text
    }
}

async fn answer(
    State(inside): State<Arc<Mutex<Inside>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let (service, path) = path.trim_start_matches('/').split_once('/').unwrap_or(("", ""));
    let legacy = service == "vtapi";
    let service = if legacy { "virustotal" } else { service };
    let path = if legacy { format!("vtapi/{path}") } else { path.to_owned() };
    let text = String::from_utf8_lossy(&body).into_owned();
    let (fault, over_quota) = {
        let mut inside = inside.lock().expect("no panic holds it");
        let request = format!("{method} {path} {text}");
        inside.requests.push((service.to_owned(), request));
        let quota = inside.quotas.get_mut(service);
        let over = quota.is_some_and(|left| {
            let over = *left == 0;
            *left = left.saturating_sub(1);
            over
        });
        (inside.faults.get(service).cloned(), over)
    };
    match fault {
        Some(Fault::Silence) => std::future::pending::<()>().await,
        Some(Fault::Reply(status, headers, body)) => return reply(status, &headers, body),
        None => {}
    }
    if !has_key(service, &path, &headers) {
        return refused_key(service);
    }
    if over_quota {
        return exceeded(service);
    }
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    match service {
        "virustotal" => virustotal(&path),
        "threatintelligenceplatform" => tip(&path),
        "apivoid" => apivoid(&path, &body),
        "dnsdumpster" => dnsdumpster(&path),
        "bgpranking" => bgpranking(&path, &body),
        "ipasnhistory" => ipasnhistory(&path, &body),
        other => reply(404, &[], format!("no service {other}").into_bytes()),
    }
}

fn reply(status: u16, headers: &[(&'static str, String)], body: Vec<u8>) -> Response {
    let mut response = (StatusCode::from_u16(status).expect("a status"), body).into_response();
    for (name, value) in headers {
        let value = HeaderValue::from_str(value).expect("a header");
        response.headers_mut().insert(HeaderName::from_static(name), value);
    }
    response
}

fn json_reply(status: u16, value: &Value) -> Response {
    reply(status, &[("content-type", "application/json".to_owned())], value.to_string().into())
}

fn has_key(service: &str, path: &str, headers: &HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).and_then(|v| v.to_str().ok()).map(str::to_owned);
    let given = match service {
        "virustotal" if path.starts_with("vtapi") => {
            path.split_once("apikey=").map(|(_, key)| key.to_owned())
        }
        "virustotal" => header("x-apikey"),
        "threatintelligenceplatform" => header("authorization"),
        "apivoid" | "dnsdumpster" => header("x-api-key"),
        _ => return true,
    };
    given == Some(key(service))
}

fn refused_key(service: &str) -> Response {
    match service {
        "virustotal" => json_reply(
            401,
            &json!({"error": {"code": "WrongCredentialsError", "message": "Wrong API key"}}),
        ),
        "threatintelligenceplatform" => json_reply(401, &json!({"messages": "Unknown user"})),
        _ => json_reply(401, &json!({"error": "API key is not valid"})),
    }
}

fn exceeded(service: &str) -> Response {
    match service {
        "virustotal" => json_reply(
            429,
            &json!({"error": {"code": "QuotaExceededError", "message": "Quota exceeded"}}),
        ),
        "threatintelligenceplatform" => reply(
            429,
            &[("retry-after", "60".to_owned())],
            br#"{"messages": "Too many requests"}"#.to_vec(),
        ),
        "dnsdumpster" => json_reply(429, &json!({"error": "Daily quota exceeded"})),
        _ => json_reply(429, &json!({"error": "Insufficient credits"})),
    }
}

/// What a path is about.
fn about(path: &str) -> (bool, bool) {
    let bad = path.contains("evil") || path.contains(EVIL_ADDRESS);
    (bad, path.contains("unknown"))
}

fn virustotal(path: &str) -> Response {
    let (bad, unknown) = about(path);
    if unknown {
        let error = json!({"error": {"code": "NotFoundError", "message": "not found"}});
        return json_reply(404, &error);
    }
    if path.starts_with("vtapi") {
        return json_reply(
            200,
            &json!({"response_code": 1, "detected_urls": [
                {"url": format!("http://{EVIL}/{HOSTILE}"), "positives": 7, "total": 90,
                 "scan_date": "2026-08-20 09:00:00"}],
                "detected_downloaded_samples": [
                {"sha256": "c".repeat(64), "positives": 40, "total": 70, "date": "2026-08-20 09:00:00"}]}),
        );
    }
    let parts: Vec<&str> = path.split(['/', '?']).collect();
    let stats = match bad {
        true => json!({"malicious": 14, "suspicious": 2, "undetected": 20, "harmless": 55}),
        false => json!({"malicious": 0, "suspicious": 0, "undetected": 20, "harmless": 71}),
    };
    if let Some(relation) = parts.get(2) {
        return json_reply(200, &json!({"data": related(relation, bad), "meta": {"count": 1}}));
    }
    let id = parts.get(1).copied().unwrap_or_default();
    let mut attributes = json!({
        "last_analysis_stats": stats, "last_analysis_date": analysed_at(),
        "last_analysis_results": {"OpenPhish": {"engine_name": "OpenPhish", "method": "blacklist",
            "category": if bad { "malicious" } else { "harmless" }, "result": HOSTILE}},
        "reputation": if bad { -42 } else { 30 },
        "total_votes": {"harmless": if bad { 0 } else { 12 }, "malicious": if bad { 7 } else { 0 }},
        "creation_date": if bad { 1_787_043_600 } else { 1_156_496_400 },
        "registrar": format!("Registrar {HOSTILE}"), "whois": format!("Domain: {HOSTILE}"),
        "categories": {"Alpha Labs": if bad { "phishing" } else { "education" }},
        "last_dns_records": [{"type": "A", "value": EVIL_ADDRESS, "ttl": 60}],
        "last_https_certificate": {"issuer": {"CN": "Free CA", "O": HOSTILE},
            "subject": {"CN": id}, "validity": {"not_before": "2026-08-18 10:00:00",
            "not_after": "2026-11-16 10:00:00"}, "serial_number": "04aa",
            "thumbprint_sha256": "d".repeat(64),
            "extensions": {"subject_alternative_name": [id]}},
    });
    if parts[0] == "ip_addresses" {
        attributes["asn"] = json!(64_496);
        attributes["as_owner"] = json!(format!("BULLET {HOSTILE}"));
        attributes["network"] = json!("192.0.2.0/24");
        attributes["country"] = json!("ZZ");
    }
    json_reply(200, &json!({"data": {"type": "domain", "id": id, "attributes": attributes}}))
}

fn related(relation: &str, bad: bool) -> Value {
    let file = |letter: &str| {
        json!([{"type": "file", "id": letter.repeat(64), "attributes":
            {"meaningful_name": HOSTILE, "type_description": "Win32 EXE",
             "last_analysis_stats": {"malicious": 51}}}])
    };
    match relation {
        _ if !bad => json!([]),
        "resolutions" => json!([{"type": "resolution", "id": "r", "attributes":
            {"date": 1_787_216_400, "host_name": EVIL, "ip_address": EVIL_ADDRESS}}]),
        "subdomains" => json!([{"type": "domain", "id": format!("www.{EVIL}"), "attributes": {}}]),
        "communicating_files" => file("a"),
        "referrer_files" => file("b"),
        "historical_whois" => json!([{"type": "whois", "id": "w", "attributes":
            {"registrar_name": "Earlier Ltd", "first_seen_date": 1_787_130_000}}]),
        "historical_ssl_certificates" => json!([{"type": "ssl_cert", "id": "s", "attributes":
            {"serial_number": "05bb", "subject": {"CN": EVIL}, "issuer": {"CN": "Old CA"}}}]),
        "graphs" => json!([{"type": "graph", "id": "g1", "attributes":
            {"graph_data": {"description": HOSTILE}, "nodes": [{}, {}]}}]),
        "votes" => json!([{"type": "vote", "id": "v", "attributes": {"verdict": "malicious"}}]),
        _ => json!([]),
    }
}

fn tip(path: &str) -> Response {
    let (bad, unknown) = about(path);
    if unknown {
        return json_reply(422, &json!({"messages": "Domain name doesn't exist"}));
    }
    let value = match path.split('?').next().unwrap_or_default() {
        "v2/reputation" if bad => json!({"mode": "full", "reputationScore": 11.37, "testResults": [
            {"test": "Malware databases check", "testCode": 82,
             "warnings": [{"warningDescription": HOSTILE, "warningCode": 4001}]},
            {"test": "Open ports and services", "warnings": [{"warningDescription": "port 23"}]},
            {"test": "Host configuration issues", "warnings": [{"warningDescription": "index"}]},
            {"test": "WHOIS Domain check", "testCode": 93,
             "warnings": [{"warningDescription": "registered 2 days ago"}]},
            {"test": "SOA record configuration check", "testCode": 84,
             "warnings": [{"warningDescription": "minimum"}]},
            {"test": "Potentially dangerous content", "warnings": [{"warningDescription": "exe"}]}]}),
        "v2/reputation" => json!({"mode": "full", "reputationScore": 99.5, "testResults": []}),
        "v1/infrastructureAnalysis" => json!([
            {"domainName": EVIL, "resourceType": "web", "ipv4": EVIL_ADDRESS,
             "geolocation": {"country": "ZZ", "city": HOSTILE},
             "subnetwork": {"cidr": "192.0.2.0/24"}},
            {"domainName": format!("mail.{EVIL}"), "resourceType": "mail server",
             "ipv4": "192.0.2.67", "geolocation": {}, "subnetwork": {}},
            {"domainName": "ns1.bullet.example.com", "resourceType": "name server",
             "ipv4": "192.0.2.53", "geolocation": {}, "subnetwork": {}}]),
        "v1/sslCertificatesChain" => json!([{"chainHierarchy": "end-user", "commonName": EVIL,
            "validFrom": "2026-08-18 10:00:00", "validTo": "2026-11-16 10:00:00",
            "issuer": {"commonName": "Free CA"}, "publicKey": {"type": "RSA", "bits": "2048"},
            "extensions": {"subjectAlternativeName": format!("DNS:{EVIL}")}}]),
        "v1/sslConfiguration" => json!({"hasWarnings": true, "testResults":
            {"supportedProtocols": {"status": "Warning", "details": ["TLS 1.0 is supported"]}}}),
        "v1/malwareCheck" => json!({"safeScore": if bad { 0 } else { 100 },
            "warningDetails": if bad { json!(["listed"]) } else { json!([]) }}),
        "v1/connectedDomains" => {
            json!({"numberOfDomains": 2, "domains": [EVIL, "pay.example.com"]})
        }
        other => return reply(404, &[], other.as_bytes().to_vec()),
    };
    json_reply(200, &value)
}

fn apivoid(path: &str, body: &Value) -> Response {
    let (bad, _) = about(&body.to_string());
    let engines = json!({"engines": {"0": {"name": format!("List {HOSTILE}"), "detected": bad}},
        "detections": if bad { 5 } else { 0 }, "engines_count": 40});
    let quota = "call-usage=1; available=24; reset=1999999999; overage-allowed=false";
    let value = match path {
        "domain-reputation" => json!({"host": body["host"], "blacklists": engines,
            "server_details": {"ip": EVIL_ADDRESS, "reverse_dns": "host.bullet.example.com",
                "country_code": "ZZ", "city_name": HOSTILE, "isp": "Bullet", "asn": "AS64496"},
            "category": {"is_free_hosting": false}, "risk_score": {"result": if bad { 95 } else { 0 }}}),
        "ip-reputation" => json!({"ip": body["ip"], "blacklists": engines,
            "information": {"reverse_dns": "host.bullet.example.com", "country_code": "ZZ", "isp": "B"},
            "asn": {"asn": "AS64496", "asname": "BULLET", "route": "192.0.2.0/24"},
            "anonymity": {"is_tor": bad}, "risk_score": {"result": if bad { 95 } else { 0 }}}),
        "url-reputation" => json!({"url": body["url"], "domain_blacklist": engines,
            "risk_score": {"result": 100}}),
        other => return reply(404, &[], other.as_bytes().to_vec()),
    };
    let headers = [("x-service-quota", quota.to_owned())];
    reply(200, &headers, value.to_string().into_bytes())
}

fn dnsdumpster(path: &str) -> Response {
    let (_, unknown) = about(path);
    let name = path.trim_start_matches("domain/");
    let value = match unknown {
        true => json!({"a": [], "cname": [], "mx": [], "ns": [], "txt": [], "total_a_recs": 0}),
        false => json!({"a": [{"host": format!("www.{name}"), "ips": [{"ip": EVIL_ADDRESS,
            "asn": "64496", "asn_name": "BULLET", "asn_range": "192.0.2.0/24", "country_code": "ZZ",
            "ptr": "host.bullet.example.com",
            "banners": {"http": {"server": HOSTILE, "title": HOSTILE}}}]}],
            "cname": [], "mx": [{"host": format!("10 mail.{name}"), "ips": []}],
            "ns": [{"host": "ns1.bullet.example.com", "ips": []}],
            "txt": [format!("v=spf1 {HOSTILE}")], "total_a_recs": 1}),
    };
    json_reply(200, &value)
}

fn bgpranking(path: &str, body: &Value) -> Response {
    let response = match path {
        "json/asn" if body["asn"] == "64496" => json!({"asn_description": "BULLET, ZZ",
            "ranking": {"rank": 0.033_203_125, "position": 3, "total_known_asns": 15_375}}),
        "json/asn" => json!({"asn_description": {},
            "ranking": {"rank": 0.0, "position": null, "total_known_asns": 15_375}}),
        "json/asn_history" => json!({"asn_history":
            [["2026-08-18", 0.031_25], ["2026-08-19", 0.0], ["2026-08-20", 0.033_203_125]]}),
        "json/asn_descriptions" => json!({"asn_descriptions":
            {"2024-01-10T02:00:00": "OLD, ZZ", "2026-03-02T02:00:00": "BULLET, ZZ"}}),
        other => return reply(404, &[], other.as_bytes().to_vec()),
    };
    json_reply(200, &json!({"meta": body, "response": response}))
}

fn ipasnhistory(path: &str, body: &Value) -> Response {
    let response = match path {
        "ip" if body["first"].is_string() => json!({
            "2026-08-20T12:00:00": {"asn": "64496", "prefix": "192.0.2.0/24", "source": "caida"},
            "2026-08-18T12:00:00": {"asn": "64505", "prefix": "192.0.2.0/23", "source": "caida"},
            "2026-08-17T12:00:00": {"asn": "0", "prefix": "0.0.0.0/0", "source": "caida"}}),
        "ip" => json!({
            "2026-08-20T12:00:00": {"asn": "64496", "prefix": "192.0.2.0/24", "source": "caida"}}),
        "asn_meta" => json!({"2026-08-20T12:00:00":
            {"64496": {"prefixes": ["192.0.2.0/24"], "ipcount": "256"}}}),
        other => return reply(404, &[], other.as_bytes().to_vec()),
    };
    json_reply(200, &json!({"meta": body, "response": response}))
}

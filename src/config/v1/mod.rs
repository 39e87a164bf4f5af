//! What may stand in a configuration file of version 1. `default.toml` beside the parent module
//! has every key with what it is for.

mod elsewhere;
mod files;
mod key;
mod pdns;
mod prediction;
mod provider;
mod publish;
mod registration;
mod resolver;
mod source;
mod upstream;
mod words;
mod zone;

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Api, Config, Dnssec, Log, Page};
use crate::diagnostic::Diagnostic;
use crate::document::{Table, Value};
use crate::model::Network;
use crate::source::settings::LicenceMode;
use crate::telemetry::log::FILTER_DEFAULT;

/// The most addresses to listen on.
const LISTEN_MAX: usize = 64;
/// The longest text that is kept, in octets.
const TEXT_OCTETS_MAX: usize = 4096;

/// Reads the file; what is missing or wrong has its default.
pub(super) fn read(root: &Table<'_>, file: &str) -> Config {
    if let Some(version) = root.get("version")
        && version.integer(0..=i64::MAX).is_some_and(|number| number != 1)
    {
        version.report(Diagnostic::error("this program reads version 1 of the configuration"));
    }
    let directory = |key, otherwise: &str| {
        PathBuf::from(root.get(key).and_then(|v| path(&v)).unwrap_or(otherwise))
    };
    let licences = [("personal", LicenceMode::Personal), ("commercial", LicenceMode::Commercial)];
    let dnssec = section(root, "dnssec", dnssec);
    let keys = key::keys(root, file);
    Config {
        state_directory: directory("state_directory", "var"),
        policies_directory: directory("policies_directory", "policies"),
        zones_directory: directory("zones_directory", "zones"),
        licence: root
            .get("licence")
            .and_then(|v| v.word(&licences))
            .unwrap_or(LicenceMode::Commercial),
        resolver: section(root, "resolver", resolver::resolver),
        upstream: section(root, "upstream", |table| upstream::upstream(table, dnssec.validate)),
        dnssec,
        page: section(root, "page", |table| Page {
            listen: table.map_or_else(Vec::new, |table| listen(table, "listen")),
        }),
        api: section(root, "api", api),
        publish: section(root, "publish", |table| publish::publish(root, table, &keys, file)),
        log: section(root, "log", log),
        pdns: section(root, "pdns", pdns::pdns),
        registration: section(root, "registration", registration::registration),
        prediction: section(root, "prediction", prediction::prediction),
        sources: source::sources(root, file),
        providers: provider::providers(root, file),
        zones: zone::zones(root, file, &keys),
        keys,
        credentials_directory: None,
    }
}

/// Reads a section that may be missing.
fn section<T>(root: &Table<'_>, key: &'static str, read: impl Fn(Option<&Table<'_>>) -> T) -> T {
    root.table(key, |table| read(Some(table))).unwrap_or_else(|| read(None))
}

fn dnssec(table: Option<&Table<'_>>) -> Dnssec {
    let get = |key| table.and_then(|table| table.get(key));
    Dnssec {
        validate: get("validate").and_then(|v| v.flag()).unwrap_or(true),
        trust_anchors: get("trust_anchors").and_then(|v| v.parse(words::trust_anchors)),
    }
}

fn api(table: Option<&Table<'_>>) -> Api {
    let get = |key| table.and_then(|table| table.get(key));
    let http = get("http").and_then(|v| {
        let address = v.parse(words::socket_address)?;
        if address.ip().is_loopback() {
            return Some(address);
        }
        v.report(
            Diagnostic::error(format!("`{address}` can be reached by others"))
                .hint("the API has no passwords: use an address of this machine, 127.0.0.1 or ::1"),
        );
        None
    });
    Api {
        socket: PathBuf::from(get("socket").and_then(|v| path(&v)).unwrap_or("var/sekisho.sock")),
        http,
    }
}

fn log(table: Option<&Table<'_>>) -> Log {
    let get = |key| table.and_then(|table| table.get(key));
    let forms = [("human", "human"), ("json", "json"), ("journald", "journald")];
    Log {
        form: get("form").and_then(|v| v.word(&forms)).map(str::to_owned),
        levels: get("levels")
            .and_then(|v| v.parse(words::levels))
            .unwrap_or_else(|| FILTER_DEFAULT.to_owned()),
    }
}

fn path<'d>(value: &Value<'d>) -> Option<&'d str> {
    let path = value.text_within(TEXT_OCTETS_MAX)?;
    if path.is_empty() {
        value.report(Diagnostic::error(format!("`{}` is empty", value.key())));
        return None;
    }
    Some(path)
}

fn listen(table: &Table<'_>, key: &'static str) -> Vec<SocketAddr> {
    let values = table.list(key);
    if let Some(beyond) = values.get(LISTEN_MAX) {
        beyond.report(Diagnostic::error(format!("more than {LISTEN_MAX} addresses")));
    }
    values.iter().take(LISTEN_MAX).filter_map(|v| v.parse(words::socket_address)).collect()
}

fn networks(table: &Table<'_>, key: &'static str) -> Vec<Network> {
    table.list(key).iter().filter_map(|v| v.parse(words::network)).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::config::{self, DEFAULT, DEFAULT_FILE};

    /// The configuration of a text, and the findings as people see them.
    pub fn read(text: &str) -> (Option<Config>, String) {
        let (config, findings) = config::read("s.toml", text);
        (config, findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    }

    fn findings(text: &str) -> String {
        read(text).1
    }

    #[test]
    fn the_built_in_configuration_is_without_findings_and_shows_the_defaults() {
        let (shown, found) = config::read(DEFAULT_FILE, DEFAULT);
        assert_eq!(found, []);
        let (otherwise, found) = config::read("s.toml", "");
        assert_eq!(found, []);
        let (shown, otherwise) = (shown.unwrap(), otherwise.unwrap());
        assert_eq!(shown.page.listen, ["127.0.0.1:5380".parse().unwrap()]);
        assert_eq!(shown.publish.directory, Some("var/rpz".into()));
        // Lists, the page and the export are as they stand in the file.
        let same = Config {
            sources: Vec::new(),
            zones: Vec::new(),
            page: otherwise.page.clone(),
            publish: otherwise.publish.clone(),
            ..shown
        };
        assert_eq!(same, otherwise);
    }

    #[test]
    fn values_that_are_wrong_are_found() {
        for (text, finding) in [
            (
                "version = 2\n",
                "error: this program reads version 1 of the configuration\n  --> s.toml:1:11",
            ),
            (
                "licence = 'comercial'\n",
                "error: `licence` cannot be `comercial`\n  --> s.toml:1:11\n\
                 hint: did you mean `commercial`?",
            ),
            ("state_directory = ''\n", "error: `state_directory` is empty\n  --> s.toml:1:19"),
            (
                "[resolver]\nlisten = ['127.0.0.1']\n",
                "error: `127.0.0.1` is not an address with a port\n  --> s.toml:2:11\n\
                 hint: as in `127.0.0.1:53` or `[::1]:53`",
            ),
            (
                "[resolver]\nlisten = []\n",
                "error: there is no address to listen on\n  --> s.toml:2:10",
            ),
            (
                "[resolver]\nallow_from = ['192.0.2.7/24', 'x']\n",
                "error: the network `192.0.2.7/24` is refused: bits are set beyond the prefix \
                 length\n  --> s.toml:2:15\nhint: write `192.0.2.0/24`\n\
                 error: the network `x` is refused: not an address or prefix\n  --> s.toml:2:31\n\
                 hint: an address, or an address and a prefix length: `192.0.2.0/24`",
            ),
            (
                "[resolver]\ncache_size = '64MB'\n",
                "error: `64MB` is no size that fits here\n  --> s.toml:2:14\n\
                 hint: a number and `KiB`, `MiB` or `GiB`, from 1 MiB to 1048576 MiB",
            ),
            (
                "[resolver]\ntls = 1\n",
                "error: unknown key `tls` in `[resolver]`\n  --> s.toml:2:1\n\
                 hint: known here are `allow_from`, `listen`, `cache_size`, `prefetch`, `serve_stale`, \
                 `local_zones`, `dns64`, `encrypted`, `limits` and `rate_limit`",
            ),
            (
                "[api]\nhttp = '192.0.2.1:80'\n",
                "error: `192.0.2.1:80` can be reached by others\n  --> s.toml:2:8\n\
                 hint: the API has no passwords: use an address of this machine, 127.0.0.1 or ::1",
            ),
            (
                "[publish]\norigin = 'a b'\n",
                "error: the name `a b` is refused: the character ' ' cannot stand in a host name\n  \
                 --> s.toml:2:10",
            ),
            (
                "[dnssec]\ntrust_anchors = ''\n",
                "error: trust anchors: no key\n  --> s.toml:2:17\n\
                 hint: DNSKEY records, one a line: `. 172800 IN DNSKEY 257 3 8 AwEA…`; a line `iana` \
                 stands for the root's published keys",
            ),
            (
                "[upstream]\nmode = 'forward'\nservers = 'udp://192.0.2.1'\ntrust_ad = true\n",
                "error: answers are validated here, so nobody's word is needed\n  --> s.toml:4:12\n\
                 hint: leave `trust_ad` out, or say `validate = false` in `[dnssec]`",
            ),
        ] {
            assert_eq!(findings(text), finding, "{text}");
        }
        assert!(
            findings("[log]\nlevels = 'a=b=c'\n").starts_with("error: the levels are refused: ")
        );
        let many = vec!["'127.0.0.1:53'"; LISTEN_MAX + 1].join(", ");
        assert_eq!(
            findings(&format!("[page]\nlisten = [{many}]\n")),
            "error: more than 64 addresses\n  --> s.toml:2:1035"
        );
    }

    #[test]
    fn an_empty_list_of_clients_answers_nobody() {
        let (config, _) = config::read("s.toml", "[resolver]\nallow_from = []\n");
        assert_eq!(config.unwrap().resolver.allow_from, []);
    }
}

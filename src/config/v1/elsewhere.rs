//! Where a zone of `[[zone]]` comes from, if not from a file alone: `primaries` or `url`.

use std::path::PathBuf;

use data_encoding::BASE64;

use super::super::TransferKey;
use super::super::zone::{Elsewhere, Origin, Primaries, Primary, PrimaryTransport};
use super::upstream::{address_with_port, host};
use super::{networks, path, words};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Table, Value, listed};
use crate::model::Name;
use crate::ports::Location;

/// The most primaries of a zone: each costs seconds where all are silent.
const PRIMARIES_MAX: usize = 16;
/// The most keys of servers; one for each, and one more while it is replaced.
const PINS_MAX: usize = 32;

/// Reads where the zone comes from; none where neither key is there.
pub(super) fn elsewhere(table: &Table<'_>, keys: &[TransferKey]) -> Option<Elsewhere> {
    let (primaries, url) = (table.get("primaries"), table.get("url"));
    let origin = match (primaries, &url) {
        (None, None) => return None,
        (Some(values), None) => Origin::Primaries(self::primaries(table, values, keys)?),
        (None, Some(url)) => Origin::Url(url.parse(location)?),
        (Some(_), Some(url)) => {
            url.report(
                Diagnostic::error("a zone comes from `primaries` or from a `url`")
                    .hint("take one of them away"),
            );
            return None;
        }
    };
    let encrypted = match &origin {
        Origin::Url(_) => true,
        Origin::Primaries(primaries) => primaries.pins.is_empty() && has_tls(&primaries.servers),
    };
    let authorities = match encrypted {
        true => table.get("ca").and_then(|v| path(&v)).map(PathBuf::from),
        false => None,
    };
    let words = [("keep", false), ("unload", true)];
    let unload_expired = table.get("expired").and_then(|v| v.word(&words)).unwrap_or(false);
    Some(Elsewhere { origin, authorities, unload_expired })
}

fn has_tls(servers: &[Primary]) -> bool {
    servers.iter().any(|server| matches!(server.transport, PrimaryTransport::Tls { .. }))
}

fn primaries(table: &Table<'_>, values: Value<'_>, keys: &[TransferKey]) -> Option<Primaries> {
    let of_list = values.clone();
    let values = values.items();
    if values.is_empty() {
        of_list.report(Diagnostic::error("there is no primary to ask"));
    }
    if let Some(beyond) = values.get(PRIMARIES_MAX) {
        beyond.report(Diagnostic::error(format!("more than {PRIMARIES_MAX} primaries")));
    }
    let values = values.into_iter().take(PRIMARIES_MAX);
    let servers: Vec<_> = values.filter_map(|v| Some((v.parse(primary)?, v))).collect();
    let key = table.get("key").and_then(|value| value.parse(|text| key_name(text, keys)));
    let tls = servers.iter().any(|(p, _)| matches!(p.transport, PrimaryTransport::Tls { .. }));
    let pins = if tls { pins(table) } else { Vec::new() };
    for (server, value) in &servers {
        if server.transport == (PrimaryTransport::Tls { name: None }) && pins.is_empty() {
            value
                .report(Diagnostic::error("nothing says how to know this server").hint(
                    "write the name of its certificate, `tls://ADDRESS@NAME`, or add `pins`",
                ));
        }
    }
    let servers: Vec<Primary> = servers.into_iter().map(|(server, _)| server).collect();
    let allow_notify = networks(table, "allow_notify");
    (!servers.is_empty()).then_some(Primaries { servers, key, pins, allow_notify })
}

/// Reads the name of a key that the file has.
pub(super) fn key_name(text: &str, keys: &[TransferKey]) -> Result<Name, Diagnostic> {
    let name = words::zone_name(text)?;
    if keys.iter().any(|key| key.name == name) {
        return Ok(name);
    }
    let known: Vec<String> = keys.iter().map(|key| key.name.to_string()).collect();
    let known = || known.iter().map(String::as_str);
    let hint = match nearest(text, known()) {
        Some(near) => format!("did you mean `{near}`?"),
        None if keys.is_empty() => "add it as `[[key]]`".to_owned(),
        None => format!("known are {}", listed(known(), "and")),
    };
    Err(Diagnostic::error(format!("there is no `[[key]]` of the name `{text}`")).hint(hint))
}

/// Reads `ADDRESS` or `udp://ADDRESS`, `tcp://ADDRESS`, `tls://ADDRESS` or `tls://ADDRESS@NAME`,
/// each with an optional port after the address.
fn primary(text: &str) -> Result<Primary, Diagnostic> {
    let refused = |what: &str| {
        Diagnostic::error(format!("the primary `{text}` is refused: {what}")).hint(
            "as in `192.0.2.53`, `tcp://[2001:db8::53]:5353` or `tls://192.0.2.53@xfr.example`",
        )
    };
    let (scheme, rest) = text.split_once("://").unwrap_or(("udp", text));
    let (address, name) = match rest.split_once('@') {
        Some((address, name)) => (address, Some(name)),
        None => (rest, None),
    };
    let port = match scheme {
        "udp" | "tcp" => 53,
        "tls" => 853,
        _ => return Err(refused("its scheme is not `udp`, `tcp` or `tls`")),
    };
    let address = address_with_port(address, port)
        .ok_or_else(|| refused("it has no address, or a port that is none"))?;
    let transport = match (scheme, name) {
        ("udp", None) => PrimaryTransport::Udp,
        ("tcp", None) => PrimaryTransport::Tcp,
        ("tls", name) => {
            let name = name.map(host).transpose().map_err(|error| refused(&error))?;
            PrimaryTransport::Tls { name }
        }
        _ => return Err(refused("plain DNS has no name to check")),
    };
    Ok(Primary { address, transport })
}

fn pins(table: &Table<'_>) -> Vec<[u8; 32]> {
    let values = table.list("pins");
    if let Some(beyond) = values.get(PINS_MAX) {
        beyond.report(Diagnostic::error(format!("more than {PINS_MAX} pins")));
    }
    values.iter().take(PINS_MAX).filter_map(|value| value.parse(pin)).collect()
}

/// Reads the SHA-256 of a public key, as RFC 7858 section 4.2 writes it.
fn pin(text: &str) -> Result<[u8; 32], Diagnostic> {
    let octets = BASE64.decode(text.as_bytes()).ok();
    octets.and_then(|octets| octets.try_into().ok()).ok_or_else(|| {
        Diagnostic::error(format!("`{text}` is no SHA-256 in base64")).hint(
            "`openssl x509 -in FILE -pubkey -noout | openssl pkey -pubin -outform der | \
             openssl dgst -sha256 -binary | base64` makes one",
        )
    })
}

fn location(text: &str) -> Result<Location, Diagnostic> {
    match Location::parse(text) {
        Ok(location @ Location::Http(_)) => Ok(location),
        Ok(Location::File(_)) => Err(Diagnostic::error("a `url` begins with `https://`")
            .hint("a zone on this machine is a `file`, and watched")),
        Err(error) => Err(Diagnostic::error(format!("the url is refused: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::v1::tests::read;

    const PIN: &str = "8vyoVUMJpQkuZUKKGwQrHEhYyN8qfYJN8yTZuVvH7RA=";

    fn findings(zone: &str) -> String {
        read(&format!("[[key]]\nname = 'k'\nfile = 'k.key'\n[[zone]]\nname = 'v.rpz'\n{zone}\n")).1
    }

    #[test]
    fn primaries_of_every_transport_are_read() {
        for (text, expected) in [
            ("192.0.2.53", "udp://192.0.2.53:53"),
            ("udp://192.0.2.53:5353", "udp://192.0.2.53:5353"),
            ("tcp://2001:db8::53", "tcp://[2001:db8::53]:53"),
            ("tls://192.0.2.53@Xfr.Example", "tls://192.0.2.53:853@xfr.example"),
            ("tls://[2001:db8::53]:8853", "tls://[2001:db8::53]:8853"),
        ] {
            assert_eq!(primary(text).unwrap().to_string(), expected);
        }
    }

    #[test]
    fn a_zone_from_elsewhere_has_a_name_and_what_belongs_to_it() {
        let text = format!(
            "[[key]]\nname = 'k'\nfile = 'k.key'\n\
             [[zone]]\nname = 'a.rpz'\nprimaries = ['192.0.2.1', 'tls://192.0.2.2']\nkey = 'k'\n\
             pins = '{PIN}'\nallow_notify = '198.51.100.0/24'\nexpired = 'unload'\nfile = 'a'\n\
             [[zone]]\nname = 'b.rpz'\nurl = 'https://lists.example/b.rpz'\nca = 'ca.pem'\n"
        );
        let (config, found) = read(&text);
        assert_eq!(found, "");
        let zones = config.unwrap().zones;
        assert_eq!(zones[0].file, Some("a".into()));
        let a = zones[0].elsewhere.clone().unwrap();
        assert!(a.unload_expired);
        let Origin::Primaries(primaries) = a.origin else { panic!("{a:?}") };
        assert_eq!((primaries.servers.len(), primaries.pins.len()), (2, 1));
        assert_eq!(primaries.key.map(|key| key.to_string()), Some("k".to_owned()));
        let b = zones[1].elsewhere.clone().unwrap();
        assert_eq!(b.authorities, Some("ca.pem".into()));
        assert!(matches!(b.origin, Origin::Url(_)));
    }

    #[test]
    fn what_cannot_be_meant_is_found() {
        for (zone, finding) in [
            (
                "primaries = ['quic://192.0.2.1']",
                "error: the primary `quic://192.0.2.1` is refused: its scheme is not `udp`, `tcp` \
                 or `tls`\n  --> s.toml:6:14\n\
                 hint: as in `192.0.2.53`, `tcp://[2001:db8::53]:5353` or \
                 `tls://192.0.2.53@xfr.example`",
            ),
            (
                "primaries = ['192.0.2.1']\nkey = 'vendor'",
                "error: there is no `[[key]]` of the name `vendor`\n  --> s.toml:7:7\n\
                 hint: known are `k`",
            ),
            (
                "primaries = ['tls://192.0.2.1']",
                "error: nothing says how to know this server\n  --> s.toml:6:14\n\
                 hint: write the name of its certificate, `tls://ADDRESS@NAME`, or add `pins`",
            ),
            (
                "primaries = '192.0.2.1'\nurl = 'https://a.example/'",
                "error: a zone comes from `primaries` or from a `url`\n  --> s.toml:7:7\n\
                 hint: take one of them away",
            ),
            ("primaries = []", "error: there is no primary to ask\n  --> s.toml:6:13"),
            (
                "url = '/etc/a.rpz'",
                "error: a `url` begins with `https://`\n  --> s.toml:6:7\n\
                 hint: a zone on this machine is a `file`, and watched",
            ),
        ] {
            assert_eq!(findings(zone), finding, "{zone}");
        }
        let found = findings("primaries = ['192.0.2.1']\nca = 'x'");
        assert!(found.starts_with("error: unknown key `ca` in `[[zone]]`"), "{found}");
        let found = findings("file = 'x'\nexpired = 'keep'");
        assert!(found.starts_with("error: unknown key `expired` in `[[zone]]`"), "{found}");
    }
}

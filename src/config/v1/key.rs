//! The tables `[[key]]`, and secrets wherever one is named.

use std::path::PathBuf;

use super::super::{Secret, TransferKey};
use super::{TEXT_OCTETS_MAX, path, words};
use crate::diagnostic::{Diagnostic, nearest};
use crate::document::{Table, Value, listed};
use crate::zone::tsig::Algorithm;

/// A key for each neighbour, of which nobody has more.
const KEYS_MAX: usize = 1000;

/// Algorithms that are no longer made for, with the reason that people look for.
const WEAK: [&str; 4] = ["hmac-md5", "hmac-md5.sig-alg.reg.int", "hmac-sha1", "hmac-sha224"];

/// Reads all keys.
pub(super) fn keys(root: &Table<'_>, file: &str) -> Vec<TransferKey> {
    let mut keys: Vec<TransferKey> = Vec::new();
    root.each("key", |table| {
        let Some(key) = key(table, file) else { return };
        if let Some(other) = keys.iter().find(|other| other.name == key.name) {
            let message = format!("there is another key `{}` at {}", key.name, other.place);
            table.report(Diagnostic::error(message).hint("both sides know a key by its name"));
        }
        if keys.len() == KEYS_MAX {
            table.report(Diagnostic::error(format!("more than {KEYS_MAX} keys")));
        }
        if keys.len() < KEYS_MAX {
            keys.push(key);
        }
    });
    keys
}

fn key(table: &Table<'_>, file: &str) -> Option<TransferKey> {
    let name = table.need("name").and_then(|v| v.parse(words::zone_name));
    let algorithm = match table.get("algorithm") {
        Some(value) => value.parse(algorithm),
        None => Some(Algorithm::HmacSha256),
    };
    let secret = secret(table);
    let place = table.position().in_file(file);
    Some(TransferKey { name: name?, algorithm: algorithm?, secret: secret?, place })
}

fn algorithm(text: &str) -> Result<Algorithm, Diagnostic> {
    Algorithm::parse(text).ok_or_else(|| {
        let known = Algorithm::ALL.map(Algorithm::as_str);
        if WEAK.iter().any(|weak| weak.eq_ignore_ascii_case(text)) {
            let message = format!("`{text}` is too weak (RFC 8945 section 6)");
            return Diagnostic::error(message).hint(format!("it takes {}", listed(known, "or")));
        }
        let hint = match nearest(text, known) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("it takes {}", listed(known, "or")),
        };
        Diagnostic::error(format!("`algorithm` cannot be `{text}`")).hint(hint)
    })
}

/// Reads where a secret is kept: `file` or `credential`.
pub(super) fn secret(table: &Table<'_>) -> Option<Secret> {
    let hint = "the secret stands in a `file`, or systemd hands it over as a `credential`";
    match (table.get("file"), table.get("credential")) {
        (Some(file), None) => Some(Secret::File(PathBuf::from(path(&file)?))),
        (None, Some(credential)) => credential_name(&credential).map(Secret::Credential),
        (Some(_), Some(second)) => {
            second.report(Diagnostic::error("there are two places for one secret").hint(hint));
            None
        }
        (None, None) => {
            table.report(Diagnostic::error("there is no secret").hint(hint));
            None
        }
    }
}

/// What systemd takes for the name of a credential: a file name.
fn credential_name(value: &Value<'_>) -> Option<String> {
    let name = value.text_within(TEXT_OCTETS_MAX)?;
    let sound = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.starts_with('.') || !name.bytes().all(sound) {
        value
            .report(Diagnostic::error(format!("`{name}` is no name of a credential")).hint(
                "letters, digits, `-`, `_` and `.`, as `LoadCredential=` of the unit has it",
            ));
        return None;
    }
    Some(name.to_owned())
}

#[cfg(test)]
mod tests {
    use crate::config::v1::tests::read;

    #[test]
    fn keys_are_read_with_where_their_secret_is() {
        let (config, found) = read(
            "[[key]]\nname = 'transfer.example'\nfile = '/etc/x.key'\n\
             [[key]]\nname = 'b'\nalgorithm = 'hmac-sha512'\ncredential = 'b.key'\n",
        );
        assert_eq!(found, "");
        let config = config.unwrap();
        let shown: Vec<String> = config
            .keys
            .iter()
            .map(|key| format!("{} {} {:?}", key.name, key.algorithm.as_str(), key.secret))
            .collect();
        assert_eq!(
            shown,
            [
                "transfer.example hmac-sha256 File(\"/etc/x.key\")",
                "b hmac-sha512 Credential(\"b.key\")"
            ]
        );
        let path = config.keys[1].secret.path(Some("/run/credentials/s".as_ref()));
        assert_eq!(path, Some("/run/credentials/s/b.key".into()));
        assert_eq!(config.keys[1].secret.path(None), None);
    }

    #[test]
    fn keys_that_cannot_be_used_are_found() {
        for (text, finding) in [
            (
                "name = 'k'\n",
                "error: there is no secret\n  --> s.toml:1:1\n\
                 hint: the secret stands in a `file`, or systemd hands it over as a `credential`",
            ),
            (
                "name = 'k'\nfile = 'a'\ncredential = 'b'\n",
                "error: there are two places for one secret\n  --> s.toml:4:14\n\
                 hint: the secret stands in a `file`, or systemd hands it over as a `credential`",
            ),
            ("file = 'a'\n", "error: `[[key]]` needs `name`\n  --> s.toml:1:1"),
            (
                "name = 'k'\nfile = 'a'\nalgorithm = 'hmac-md5'\n",
                "error: `hmac-md5` is too weak (RFC 8945 section 6)\n  --> s.toml:4:13\n\
                 hint: it takes `hmac-sha256`, `hmac-sha384` or `hmac-sha512`",
            ),
            (
                "name = 'k'\ncredential = '../x'\n",
                "error: `../x` is no name of a credential\n  --> s.toml:3:14\n\
                 hint: letters, digits, `-`, `_` and `.`, as `LoadCredential=` of the unit has it",
            ),
            (
                "name = 'k'\nfile = 'a'\n[[key]]\nname = 'k'\nfile = 'b'\n",
                "error: there is another key `k` at s.toml:1:1\n  --> s.toml:4:1\n\
                 hint: both sides know a key by its name",
            ),
            (
                "name = 'k'\nsecret = 'c2VjcmV0'\nfile = 'a'\n",
                "error: unknown key `secret` in `[[key]]`\n  --> s.toml:3:1\n\
                 hint: known here are `name`, `algorithm`, `file` and `credential`",
            ),
        ] {
            assert_eq!(read(&format!("[[key]]\n{text}")).1, finding, "{text}");
        }
    }
}

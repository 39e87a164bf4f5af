//! The keys that sign transfers, with their secrets, for whoever takes zones in or hands them out.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use data_encoding::BASE64;

use crate::config::{Config, TransferKey};
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::model::NameRef;
use crate::zone::tsig::{Key, Keys};

/// A secret is some dozen octets.
const SECRET_FILE_OCTETS_MAX: u64 = 4096;
/// Shorter ones can be guessed. What `tsig-keygen` makes has 32 octets or more.
const SECRET_OCTETS_MIN: usize = 16;

/// Every key of the configuration.
#[derive(Debug, Clone, Default)]
pub struct KeyRing(Vec<Arc<Key>>);

impl KeyRing {
    /// Reads the secrets. Where one cannot be had the program does not start: transfers that are
    /// to be signed never go out unsigned.
    pub fn read(config: &Config) -> Result<(Self, Vec<Diagnostic>), Diagnostic> {
        let (mut keys, mut findings) = (Vec::new(), Vec::new());
        for key in &config.keys {
            let secret = secret(key, config.credentials_directory.as_deref(), &mut findings);
            let secret = secret.map_err(|finding| finding.at(key.place.clone()))?;
            keys.push(Arc::new(Key::new(key.name.clone(), key.algorithm, &secret)));
        }
        Ok((Self(keys), findings))
    }

    /// What is wrong with the secrets. Those that systemd hands to the service alone cannot be
    /// looked at by others.
    pub fn check(config: &Config) -> Vec<Diagnostic> {
        let (mut findings, credentials) = (Vec::new(), config.credentials_directory.as_deref());
        for key in config.keys.iter().filter(|key| key.secret.path(credentials).is_some()) {
            if let Err(finding) = secret(key, credentials, &mut findings) {
                findings.push(finding.at(key.place.clone()));
            }
        }
        findings
    }

    /// The key of that name.
    pub fn find(&self, name: NameRef<'_>) -> Option<&Arc<Key>> {
        self.0.iter().find(|key| key.name() == name)
    }

    /// All of them, as a server looks keys up.
    pub fn all(&self) -> Keys {
        Keys::new(self.0.clone())
    }
}

fn secret(
    key: &TransferKey,
    credentials: Option<&Path>,
    findings: &mut Vec<Diagnostic>,
) -> Result<Vec<u8>, Diagnostic> {
    let refused = |what: String| Diagnostic::error(format!("the key `{}`: {what}", key.name));
    let path = key.secret.path(credentials).ok_or_else(|| {
        refused("systemd handed over no credentials".to_owned())
            .hint("add `LoadCredential=NAME:/path` to the unit, or name a `file`")
    })?;
    let shown = path.display();
    let octets = disk::read_small(&path, SECRET_FILE_OCTETS_MAX);
    let octets = octets.map_err(|error| refused(format!("{shown}: {error}")))?;
    let octets = octets.ok_or_else(|| refused(format!("{shown}: no such file")))?;
    // What is wrong with a secret is said without a part of it.
    let secret = BASE64.decode(octets.trim_ascii()).map_err(|_| {
        refused(format!("{shown} is not base64"))
            .hint("the file holds the secret alone, as `openssl rand -base64 32` makes one")
    })?;
    if secret.len() < SECRET_OCTETS_MIN {
        let what = format!("the secret in {shown} has fewer than {SECRET_OCTETS_MIN} octets");
        return Err(refused(what).hint("make a new one, as with `openssl rand -base64 32`"));
    }
    if std::fs::metadata(&path).is_ok_and(|file| file.permissions().mode() & 0o007 != 0) {
        let message = format!("everybody on this machine can read {shown}");
        findings.push(
            Diagnostic::warning(message).at(key.place.clone()).hint("take that away: `chmod o=`"),
        );
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    fn ring(secret: &str, mode: u32) -> Result<(KeyRing, Vec<Diagnostic>), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("k.key");
        std::fs::write(&path, secret).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        let text = "[[key]]\nname = 'k'\ncredential = 'k.key'\n";
        let mut config = crate::config::read("s.toml", text).0.unwrap();
        config.credentials_directory = Some(folder.path().to_owned());
        let shown = folder.path().display().to_string();
        KeyRing::read(&config).map_err(|finding| finding.to_string().replace(&shown, "DIR"))
    }

    #[test]
    fn secrets_are_read_and_not_shown() {
        let (keys, found) = ring("MDEyMzQ1Njc4OWFiY2RlZg==\n", 0o600).unwrap();
        assert_eq!(found, []);
        let name = Name::from_host("k").unwrap();
        assert!(keys.find(name.as_ref()).is_some());
        assert_eq!(format!("{keys:?}"), "KeyRing([Key(k hmac-sha256)])");
        let (_, found) = ring("MDEyMzQ1Njc4OWFiY2RlZg==\n", 0o644).unwrap();
        assert!(found[0].to_string().starts_with("warning: everybody on this machine can read"));
    }

    #[test]
    fn a_check_finds_what_is_wrong_with_files_and_leaves_credentials_alone() {
        let text = "[[key]]\nname = 'k'\ncredential = 'k.key'\n\
                    [[key]]\nname = 'l'\nfile = '/nowhere/l.key'\n";
        let config = crate::config::read("s.toml", text).0.unwrap();
        let found: Vec<String> = KeyRing::check(&config).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["error: the key `l`: /nowhere/l.key: no such file\n  --> s.toml:4:1"]);
    }

    #[test]
    fn a_secret_that_is_none_stops_the_start_and_is_not_repeated() {
        assert_eq!(
            ring("not base64!", 0o600).unwrap_err(),
            "error: the key `k`: DIR/k.key is not base64\n  --> s.toml:1:1\n\
             hint: the file holds the secret alone, as `openssl rand -base64 32` makes one"
        );
        let error = ring("c2hvcnQ=", 0o600).unwrap_err();
        assert!(error.contains("has fewer than 16 octets"), "{error}");
        let text = "[[key]]\nname = 'k'\ncredential = 'k.key'\n";
        let config = crate::config::read("s.toml", text).0.unwrap();
        let error = KeyRing::read(&config).unwrap_err().to_string();
        assert!(error.contains("systemd handed over no credentials"), "{error}");
    }
}

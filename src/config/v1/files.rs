//! What `[publish]` says of files: for which consumer, in which further directories, and over HTTP.

use std::path::PathBuf;

use super::super::publish::{Folder, HttpPublish};
use super::{listen, networks, path, words};
use crate::diagnostic::Diagnostic;
use crate::document::{Table, Value};
use crate::zone::profile::{PROFILES, Profile};

/// More consumers than there are.
const FOLDERS_MAX: usize = 64;
/// One for each who fetches.
const TOKENS_MAX: usize = 1000;
/// A day: who fetches more rarely does not need this.
const INTERVAL_SECONDS_MAX: u32 = 86_400;

/// Reads the name of a consumer's profile.
pub(super) fn profile(value: &Value<'_>) -> Option<&'static Profile> {
    let words: Vec<(&'static str, &'static Profile)> =
        PROFILES.iter().map(|profile| (profile.name, profile)).collect();
    value.word(&words)
}

/// Reads `[[publish.folder]]`.
pub(super) fn folders(table: &Table<'_>) -> Vec<Folder> {
    let mut folders: Vec<Folder> = Vec::new();
    table.each("folder", |table| {
        let directory = table.need("directory").and_then(|v| path(&v)).map(PathBuf::from);
        let zones = table.get("zones").map(|_| {
            table.list("zones").iter().filter_map(|v| v.parse(words::zone_name)).collect()
        });
        let folder = Folder {
            directory: directory.unwrap_or_default(),
            profile: table.get("profile").and_then(|v| profile(&v)),
            zones,
            root_rules: table.get("root_rules").and_then(|v| v.flag()).unwrap_or(false),
        };
        if folders.iter().any(|other| other.directory == folder.directory) {
            let shown = folder.directory.display();
            let message = format!("another folder writes into `{shown}` as well");
            table.report(Diagnostic::error(message).hint("give each a directory of its own"));
        }
        if folders.len() == FOLDERS_MAX {
            table.report(Diagnostic::error(format!("more than {FOLDERS_MAX} folders")));
        }
        if folders.len() < FOLDERS_MAX {
            folders.push(folder);
        }
    });
    folders
}

/// Reads `[publish.http]`.
pub(super) fn http(table: &Table<'_>) -> HttpPublish {
    let usual = HttpPublish::default();
    let paths = table.list("tokens");
    if let Some(beyond) = paths.get(TOKENS_MAX) {
        beyond.report(Diagnostic::error(format!("more than {TOKENS_MAX} tokens")));
    }
    let interval = |text: &str| words::seconds(text, 1..=INTERVAL_SECONDS_MAX);
    HttpPublish {
        listen: listen(table, "listen"),
        allow_from: match table.get("allow_from") {
            Some(_) => networks(table, "allow_from"),
            None => usual.allow_from,
        },
        tokens: paths.iter().take(TOKENS_MAX).filter_map(path).map(PathBuf::from).collect(),
        signing_key: table.get("signing_key").and_then(|v| path(&v)).map(PathBuf::from),
        interval_seconds: table
            .get("interval")
            .and_then(|v| v.parse(interval))
            .unwrap_or(usual.interval_seconds),
    }
}

#[cfg(test)]
mod tests {
    use crate::config::v1::tests::read;

    #[test]
    fn folders_are_for_consumers() {
        let (config, found) = read(
            "[publish]\ndirectory = 'a'\nprofile = 'bind'\n\
             [[publish.folder]]\ndirectory = 'b'\nprofile = 'unbound-1.19'\n\
             zones = ['threat.rpz']\nroot_rules = true\n[[publish.folder]]\ndirectory = 'c'\n",
        );
        assert_eq!(found, "");
        let folders = config.unwrap().publish.all_folders();
        let shown: Vec<_> = folders
            .iter()
            .map(|f| (f.directory.to_str().unwrap(), f.profile.map(|p| p.name), f.root_rules))
            .collect();
        assert_eq!(
            shown,
            [("a", Some("bind"), false), ("b", Some("unbound-1.19"), true), ("c", None, false)]
        );
        assert_eq!(folders[1].zones.as_ref().unwrap().len(), 1);
    }

    #[test]
    fn what_cannot_be_written_or_served_is_found() {
        for (text, finding) in [
            (
                "[publish]\nprofile = 'bnd'\n",
                "error: `profile` cannot be `bnd`\n  --> s.toml:2:11\nhint: did you mean `bind`?",
            ),
            (
                "[[publish.folder]]\ndirectory = 'b'\n[[publish.folder]]\ndirectory = 'b'\n",
                "error: another folder writes into `b` as well\n  --> s.toml:3:1\n\
                 hint: give each a directory of its own",
            ),
            (
                "[publish.http]\nlisten = ['x']\n",
                "error: `x` is not an address with a port\n  --> s.toml:2:11\n\
                 hint: as in `127.0.0.1:53` or `[::1]:53`",
            ),
        ] {
            assert_eq!(read(text).1, finding);
        }
    }

    #[test]
    fn artefacts_are_for_this_machine_unless_told_otherwise() {
        let (config, found) = read("[publish.http]\nlisten = '127.0.0.1:8080'\n");
        assert_eq!(found, "");
        let http = config.unwrap().publish.http;
        assert_eq!(http.allow_from.len(), 2);
        assert_eq!((http.listen.len(), http.interval_seconds), (1, 300));
        let (config, _) = read("[publish.http]\nallow_from = '192.0.2.0/24'\ninterval = '1m'\n");
        let http = config.unwrap().publish.http;
        assert_eq!((http.allow_from.len(), http.interval_seconds), (1, 60));
    }
}

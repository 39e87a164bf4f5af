//! `sekisho rpz snippet CONSUMER`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::args::{Arguments, Snippet, SnippetBy};
use super::rpz::profile;
use super::{Failure, configuration, print, print_json};
use crate::config::{Config, SecondaryServer, TransferKey};
use crate::daemon::clock::SystemClock;
use crate::daemon::offline::Offline;
use crate::diagnostic::{Diagnostic, nearest};
use crate::disk;
use crate::model::Name;
use crate::model::time::Clock as _;
use crate::publish::file;
use crate::publish::leaving::leaving;
use crate::publish::snippet::{By, Facts, KeyFacts, ZoneFacts, snippet};

/// A secret is some dozen octets.
const SECRET_OCTETS_MAX: u64 = 4096;

/// Prints a block for a consumer's configuration.
pub fn run(arguments: &Arguments, wanted: &Snippet) -> Result<(), Failure> {
    let profile = profile(&wanted.consumer)?;
    let config = configuration(arguments)?;
    let offline = Offline::open(&config, SystemClock.now())?;
    let secondary = secondary(&config, wanted.secondary.as_deref())?;
    let by = match wanted.by {
        SnippetBy::File => By::File,
        SnippetBy::Transfer => By::Transfer,
    };
    let names = chosen(wanted, secondary)?;
    let directory = directory(&config, wanted)?;
    let policy = &offline.published.policy;
    let zones: Vec<ZoneFacts> = leaving(&offline.published.snapshot)
        .iter()
        .map(|leaving| leaving.zone)
        .filter(|zone| match &names {
            Some(names) => names.contains(&zone.name()),
            None => zone.options.groups.is_empty(),
        })
        .map(|zone| ZoneFacts {
            name: zone.name(),
            file: file::path(&directory, zone.zone.origin()),
            groups: policy.group_names(zone.options.groups).map(str::to_owned).collect(),
        })
        .collect();
    if zones.is_empty() {
        let finding = Diagnostic::error("no zone leaves that this consumer gets");
        return Err(finding.hint("`sekisho zones` lists the zones and their modes").into());
    }
    let key = secondary.and_then(|secondary| secondary.key.as_ref());
    let key = key.and_then(|name| config.keys.iter().find(|key| key.name == *name));
    let facts = Facts {
        zones,
        server: match by {
            By::Transfer => server(&config, wanted)?,
            By::File => SocketAddr::from(([127, 0, 0, 1], 53)),
        },
        key: key.map(|key| key_facts(&config, key, wanted.secrets)).transpose()?,
    };
    let text = snippet(&facts, profile, by).ok_or_else(|| {
        Diagnostic::error(format!("there is no block for `{}`", profile.name))
            .hint("there are blocks for bind, unbound, pdns-recursor and knot")
    })?;
    if arguments.json {
        return print_json(&serde_json::json!({ "profile": profile.name, "snippet": text }));
    }
    print(&text);
    Ok(())
}

/// The secondary that the block is for: the one named, or the first.
fn secondary<'c>(
    config: &'c Config,
    name: Option<&str>,
) -> Result<Option<&'c SecondaryServer>, Diagnostic> {
    let secondaries = &config.publish.secondaries;
    let Some(name) = name else { return Ok(secondaries.first()) };
    let found = secondaries.iter().find(|secondary| secondary.name == name);
    found.map(Some).ok_or_else(|| {
        let finding = Diagnostic::error(format!("there is no secondary `{name}`"));
        match nearest(name, secondaries.iter().map(|secondary| secondary.name.as_str())) {
            Some(near) => finding.hint(format!("did you mean `{near}`?")),
            None => finding.hint("add it as a `[[secondary]]`"),
        }
    })
}

/// The zones that were asked for, or those that the secondary gets; none for all.
fn chosen(
    wanted: &Snippet,
    secondary: Option<&SecondaryServer>,
) -> Result<Option<Vec<Name>>, Diagnostic> {
    if wanted.zone.is_empty() {
        return Ok(secondary.and_then(|secondary| secondary.zones.clone()));
    }
    let read = |text: &String| {
        Name::from_presentation(text)
            .map_err(|error| Diagnostic::error(format!("`{text}` is no name of a zone: {error}")))
    };
    wanted.zone.iter().map(read).collect::<Result<_, _>>().map(Some)
}

/// Where the consumer finds the files.
fn directory(config: &Config, wanted: &Snippet) -> Result<PathBuf, Diagnostic> {
    let configured = || {
        let folders = config.publish.all_folders();
        let own = folders
            .iter()
            .find(|folder| folder.profile.is_some_and(|profile| profile.name == wanted.consumer));
        own.or(folders.first()).map(|folder| folder.directory.clone())
    };
    let Some(directory) = wanted.directory.clone().or_else(configured) else {
        if wanted.by == SnippetBy::Transfer {
            return Ok(PathBuf::new());
        }
        let finding = Diagnostic::error("zones do not leave as files");
        return Err(finding.hint("set `[publish] directory`, or name one with `--directory`"));
    };
    std::path::absolute(&directory)
        .map_err(|error| Diagnostic::error(format!("{}: {error}", directory.display())))
}

/// Where transfers are answered.
fn server(config: &Config, wanted: &Snippet) -> Result<SocketAddr, Diagnostic> {
    if let Some(server) = wanted.server {
        return Ok(server);
    }
    let listen = &config.resolver.listen;
    let of_others =
        listen.iter().find(|address| !address.ip().is_loopback() && !address.ip().is_unspecified());
    let only_here = || listen.iter().find(|address| address.ip().is_loopback());
    // An address of all interfaces is none that a consumer could ask.
    let any = listen.iter().any(|address| address.ip().is_unspecified());
    of_others.or_else(|| only_here().filter(|_| !any)).copied().ok_or_else(|| {
        Diagnostic::error("no address in `[resolver] listen` says where others reach this server")
            .hint("name it with `--server ADDRESS:PORT`")
    })
}

fn key_facts(config: &Config, key: &TransferKey, shown: bool) -> Result<KeyFacts, Diagnostic> {
    let secret = match shown {
        false => None,
        true => {
            let path = key.secret.path(config.credentials_directory.as_deref());
            let path = path.ok_or_else(|| {
                Diagnostic::error(format!("the secret of `{}` is a credential", key.name))
                    .hint("systemd hands it to the service alone; read it where it was made")
            })?;
            let failed = |what: String| Diagnostic::error(format!("{}: {what}", path.display()));
            let octets = disk::read_small(&path, SECRET_OCTETS_MAX);
            let octets = octets.map_err(|error| failed(error.to_string()))?;
            let octets = octets.ok_or_else(|| failed("no such file".to_owned()))?;
            let text = String::from_utf8(octets).map_err(|_| failed("not base64".to_owned()))?;
            Some(text.trim().to_owned())
        }
    };
    let algorithm = key.algorithm.as_str().to_owned();
    Ok(KeyFacts { name: key.name.clone(), algorithm, secret })
}

//! The operator's own files: policies and hand-written zones.
//!
//! They are read as a whole. Where anything in them is an error, nothing of them is taken over and
//! what is in force stays; a start falls back to the last policy that was accepted, which the
//! state directory keeps.

use std::fs;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::diagnostic::{Diagnostic, Place};
use crate::disk;
use crate::model::{Name, Timestamp};
use crate::policy::{self, Policy, Suffixes};
use crate::zone::file::{self, Limits};
use crate::zone::{PolicyZone, ZoneOptions};

/// A policy file is written by people; a larger one is not one.
const POLICY_OCTETS_MAX: u64 = 16 << 20;
/// The texts of the last accepted policy.
const KEPT_OCTETS_MAX: u64 = 256 << 20;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// `*.toml`, and the files of names that they mention.
    pub policies: PathBuf,
    /// `*.rpz`, in the order of their names.
    pub zones: PathBuf,
}

/// What the files say.
pub struct Local {
    /// The policy; none where it has an error.
    pub policy: Option<Arc<Policy>>,
    /// The hand-written zones; none where the directory cannot be read.
    pub zones: Option<Vec<PolicyZone>>,
    /// Everything found.
    pub findings: Vec<Diagnostic>,
    texts: Texts,
}

/// The texts that a policy was read from.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
struct Texts {
    policies: Vec<(String, String)>,
    names: Vec<(String, String)>,
}

impl Local {
    /// Whether everything may be put in force.
    pub fn is_sound(&self) -> bool {
        self.policy.is_some()
            && self.zones.is_some()
            && !self.findings.iter().any(Diagnostic::is_error)
    }

    /// Keeps the texts of an accepted policy for a start at which the files are broken.
    pub fn keep(&self, state: &Path) -> io::Result<()> {
        disk::replace(&kept_path(state), |out| Ok(serde_json::to_writer(out, &self.texts)?))
    }
}

fn kept_path(state: &Path) -> PathBuf {
    state.join("policy.accepted")
}

/// Reads the files.
pub fn read(places: &Places, hash_seed: u64, now: Timestamp) -> Local {
    let mut findings = Vec::new();
    let policies = policy_texts(&places.policies, &mut findings);
    let mut names = Vec::new();
    let mut read_names = |path: &str| {
        let text =
            read_text(&places.policies.join(path), policy::file::NAMES_FILE_OCTETS_MAX as u64)?;
        names.push((path.to_owned(), text.clone()));
        Ok(text)
    };
    let (policy, found) = policy::load(&policies, &mut read_names, &Suffixes::default(), now);
    findings.extend(found);
    let zones = zones(&places.zones, hash_seed, &mut findings);
    let texts = Texts { policies, names };
    Local { policy: policy.map(Arc::new), zones, findings, texts }
}

/// The policy that was accepted last; none where none ever was.
pub fn last_accepted(state: &Path, now: Timestamp) -> io::Result<Option<Arc<Policy>>> {
    let Some(kept) = disk::read_small(&kept_path(state), KEPT_OCTETS_MAX)? else { return Ok(None) };
    let Texts { policies, names } = serde_json::from_slice(&kept)?;
    let mut read_names = |path: &str| {
        let found = names.iter().find(|(name, _)| name == path);
        found.map(|(_, text)| text.clone()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let (policy, _) = policy::load(&policies, &mut read_names, &Suffixes::default(), now);
    Ok(policy.map(Arc::new))
}

/// The files of a directory with an ending, in the order of their names.
pub fn files(directory: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
        if !hidden && path.is_file() && path.extension().is_some_and(|e| e == ending) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

fn policy_texts(directory: &Path, findings: &mut Vec<Diagnostic>) -> Vec<(String, String)> {
    let paths = files(directory, "toml").unwrap_or_else(|error| {
        findings.push(unreadable(directory, &error));
        Vec::new()
    });
    let read = paths.into_iter().filter_map(|path| match read_text(&path, POLICY_OCTETS_MAX) {
        Ok(text) => Some((path.display().to_string(), text)),
        Err(error) => {
            findings.push(unreadable(&path, &error));
            None
        }
    });
    read.collect()
}

fn read_text(path: &Path, octets_max: u64) -> io::Result<String> {
    let octets = disk::read_small(path, octets_max)?;
    let octets = octets.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    String::from_utf8(octets).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}

fn zones(
    directory: &Path,
    hash_seed: u64,
    findings: &mut Vec<Diagnostic>,
) -> Option<Vec<PolicyZone>> {
    let paths = match files(directory, "rpz") {
        Ok(paths) => paths,
        Err(error) => {
            findings.push(unreadable(directory, &error));
            return None;
        }
    };
    Some(paths.iter().filter_map(|path| zone(path, hash_seed, findings)).collect())
}

/// A zone file; its name is the zone's. A bad record is a finding and the others load.
fn zone(path: &Path, hash_seed: u64, findings: &mut Vec<Diagnostic>) -> Option<PolicyZone> {
    let shown = path.display().to_string();
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let origin = match Name::from_host(name) {
        Ok(origin) => origin,
        Err(error) => {
            findings.push(
                Diagnostic::error(format!("{shown}: {error}"))
                    .hint("a zone file is named after its zone, such as `local.rpz`"),
            );
            return None;
        }
    };
    let opened = match fs::File::open(path) {
        Ok(opened) => opened,
        Err(error) => {
            findings.push(unreadable(path, &error));
            return None;
        }
    };
    match file::load(BufReader::new(opened), &origin, hash_seed, &Limits::default()) {
        Ok((zone, report)) => {
            findings.extend(report.rejects.iter().map(|reject| reject.diagnostic(&shown)));
            Some(PolicyZone { zone, options: ZoneOptions::ours() })
        }
        Err(error) => {
            let start = Place { file: shown, line: 1, column: 1 };
            findings.push(error.diagnostic().at(start));
            None
        }
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Diagnostic {
    Diagnostic::error(format!("{}: {error}", path.display()))
}

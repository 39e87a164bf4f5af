//! The operator's own files: policies and hand-written zones.
//!
//! They are read as a whole. Where anything in them is an error, nothing of them is taken over and
//! what is in force stays; a start falls back to the last policy that was accepted, which the
//! state directory keeps.

use std::fs;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::config::{Config, Zone, check_against};
use crate::diagnostic::{Diagnostic, Place};
use crate::disk;
use crate::evidence::PublicSuffixes;
use crate::model::{Name, Timestamp};
use crate::pipeline::NamedZone;
use crate::policy::{self, Policy};
use crate::zone::ZoneOptions;
use crate::zone::file::{self, Limits};

/// A policy file is written by people; a larger one is not one.
const POLICY_OCTETS_MAX: u64 = 16 << 20;
/// The texts of the last accepted policy.
const KEPT_OCTETS_MAX: u64 = 256 << 20;

/// What the files say.
pub struct Local {
    /// The policy; none where it has an error.
    pub policy: Option<Arc<Policy>>,
    /// The zones that the configuration names, with what their files hold. Hand-written ones that
    /// could not be read are not there.
    pub zones: Vec<NamedZone>,
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
        self.policy.is_some() && !self.findings.iter().any(Diagnostic::is_error)
    }

    /// Keeps the texts of an accepted policy for a start at which the files are broken.
    pub fn keep(&self, state: &Path) -> io::Result<()> {
        disk::replace(&kept_path(state), |out| Ok(serde_json::to_writer(out, &self.texts)?))
    }
}

fn kept_path(state: &Path) -> PathBuf {
    state.join("policy.accepted")
}

/// Reads all files that the configuration names.
pub fn read(config: &Config, hash_seed: u64, now: Timestamp) -> Local {
    let mut findings = Vec::new();
    let policies = policy_texts(&config.policies_directory, &mut findings);
    let (policy, names) = policy_of(&policies, now, &mut findings);
    if let Some(policy) = &policy {
        findings.extend(check_against(config, policy));
    }
    let zones = config.zones.iter().filter_map(|zone| {
        let options = options_of(zone, policy.as_ref());
        let foreign = zone.elsewhere.is_some();
        let path = zone.file.as_ref().map(|file| config.zones_directory.join(file));
        let own = path.and_then(|path| zone_of(&path, &zone.name, hash_seed, &mut findings));
        let (name, order) = (zone.name.clone(), zone.order);
        (own.is_some() || foreign).then_some(NamedZone { name, order, options, own, foreign })
    });
    let zones = zones.collect();
    let texts = Texts { policies, names };
    Local { policy: policy.map(Arc::new), zones, findings, texts }
}

/// Checks a policy file, a zone file, or a directory of either.
pub fn check(path: &Path, now: Timestamp) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let (policies, zones) = if path.is_dir() {
        let list = |ending, findings: &mut Vec<Diagnostic>| {
            files(path, ending).unwrap_or_else(|error| {
                findings.push(unreadable(path, &error));
                Vec::new()
            })
        };
        (list("toml", &mut findings), list("rpz", &mut findings))
    } else if path.extension().is_some_and(|e| e == "rpz") {
        (Vec::new(), vec![path.to_owned()])
    } else {
        (vec![path.to_owned()], Vec::new())
    };
    if !policies.is_empty() {
        let texts = texts_of(&policies, &mut findings);
        policy_of(&texts, now, &mut findings);
    }
    for path in &zones {
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
        match Name::from_host(name) {
            Ok(name) => {
                zone_of(path, &name, 0, &mut findings);
            }
            Err(error) => findings.push(unreadable(path, &io::Error::other(error))),
        }
    }
    findings
}

/// The policy that was accepted last; none where none ever was.
pub fn last_accepted(state: &Path, now: Timestamp) -> io::Result<Option<Arc<Policy>>> {
    let Some(kept) = disk::read_small(&kept_path(state), KEPT_OCTETS_MAX)? else { return Ok(None) };
    let Texts { policies, names } = serde_json::from_slice(&kept)?;
    let mut read_names = |path: &str| {
        let found = names.iter().find(|(name, _)| name == path);
        found.map(|(_, text)| text.clone()).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    };
    let (policy, _) = policy::load(&policies, &mut read_names, &PublicSuffixes::default(), now);
    Ok(policy.map(Arc::new))
}

/// The files of a directory with an ending, in the order of their names.
fn files(directory: &Path, ending: &str) -> io::Result<Vec<PathBuf>> {
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
    texts_of(&paths, findings)
}

fn texts_of(paths: &[PathBuf], findings: &mut Vec<Diagnostic>) -> Vec<(String, String)> {
    let read = paths.iter().filter_map(|path| match read_text(path, POLICY_OCTETS_MAX) {
        Ok(text) => Some((path.display().to_string(), text)),
        Err(error) => {
            findings.push(unreadable(path, &error));
            None
        }
    });
    read.collect()
}

/// The policy of these texts, and the files of names that they mention.
fn policy_of(
    texts: &[(String, String)],
    now: Timestamp,
    findings: &mut Vec<Diagnostic>,
) -> (Option<Policy>, Vec<(String, String)>) {
    let mut names = Vec::new();
    let mut read_names = |path: &str| {
        let text = read_text(Path::new(path), policy::file::NAMES_FILE_OCTETS_MAX as u64)?;
        names.push((path.to_owned(), text.clone()));
        Ok(text)
    };
    let (policy, found) = policy::load(texts, &mut read_names, &PublicSuffixes::default(), now);
    findings.extend(found);
    (policy, names)
}

fn read_text(path: &Path, octets_max: u64) -> io::Result<String> {
    let octets = disk::read_small(path, octets_max)?;
    let octets = octets.ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
    String::from_utf8(octets).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
}

fn options_of(zone: &Zone, policy: Option<&Policy>) -> ZoneOptions {
    let groups = policy.map_or(zone.options.groups, |policy| zone.groups(policy));
    ZoneOptions { groups, ..zone.options.clone() }
}

/// A zone file. A bad record is a finding and the others load.
fn zone_of(
    path: &Path,
    name: &Name,
    hash_seed: u64,
    findings: &mut Vec<Diagnostic>,
) -> Option<crate::zone::Zone> {
    let shown = path.display().to_string();
    let opened = match fs::File::open(path) {
        Ok(opened) => opened,
        Err(error) => {
            findings.push(unreadable(path, &error));
            return None;
        }
    };
    match file::load(BufReader::new(opened), name, hash_seed, &Limits::default()) {
        Ok((zone, report)) => {
            findings.extend(report.diagnostics(&shown));
            Some(zone)
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

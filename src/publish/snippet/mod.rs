//! A ready block of another resolver's configuration that takes our zones, with what one has to
//! know about that resolver.
//!
//! Plain functions from [`Facts`] to text; each is shown whole in a test, and checked by the
//! consumer's own checker in the interop tests.

mod bind;
mod knot;
mod pdns;
mod unbound;

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::model::Name;
use crate::zone::profile::{Family, Profile};

/// How zones get to the consumer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// From files.
    File,
    /// By transfer.
    Transfer,
}

/// A zone to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneFacts {
    /// Its name.
    pub name: Name,
    /// Its file, where the consumer finds it.
    pub file: PathBuf,
    /// The client groups that it is for; none means everyone.
    pub groups: Vec<String>,
}

/// The key that signs transfers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// Its name.
    pub name: Name,
    /// Its algorithm, in the standard's word.
    pub algorithm: String,
    /// Its secret in base64, where it may be shown.
    pub secret: Option<String>,
}

/// What a block is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The zones in order of precedence.
    pub zones: Vec<ZoneFacts>,
    /// Where we answer transfers.
    pub server: SocketAddr,
    /// The key, where transfers are signed.
    pub key: Option<KeyFacts>,
}

/// What stands in place of a secret that is not shown: base64, so that checkers take it.
const NO_SECRET: &str = "REPLACE/WITH/THE/SECRET/OF/KEY//";

impl KeyFacts {
    fn secret(&self) -> &str {
        self.secret.as_deref().unwrap_or(NO_SECRET)
    }
}

/// The block for a consumer; none where there is none for it.
pub fn snippet(facts: &Facts, profile: &Profile, by: By) -> Option<String> {
    let body = match (profile.family, by) {
        (Family::Bind, By::Transfer) => bind::by_transfer(facts, profile),
        (Family::Bind, By::File) => bind::by_file(facts, profile),
        (Family::Unbound, By::Transfer) => unbound::by_transfer(facts, profile),
        (Family::Unbound, By::File) => unbound::by_file(facts, profile),
        (Family::PdnsRecursor, By::Transfer) => pdns::by_transfer(facts, profile),
        (Family::PdnsRecursor, By::File) => pdns::by_file(facts, profile),
        (Family::Knot, By::Transfer) => knot::by_transfer(facts, profile),
        (Family::Knot, By::File) => knot::by_file(facts, profile),
        (Family::Generic, _) => return None,
    };
    Some(body)
}

/// The lines of a head: what it is for, and what one has to know.
fn head(comment: &str, profile: &Profile, by: By, facts: &Facts, caveats: &[&str]) -> String {
    let way = match by {
        By::File => "from files".to_owned(),
        By::Transfer => format!("by transfer from {}", facts.server),
    };
    let title = profile.family.title();
    let mut out = format!("{comment} {title} {}, {way}.\n{comment}\n", profile.versions);
    let name = facts.zones.first().map(|zone| zone.name.to_string()).unwrap_or_default();
    let canary = format!(
        "Does it work? `dig TXT canary.{name}` answers `v=1 zone={name}` where the zone is applied."
    );
    for caveat in caveats.iter().copied().chain([&canary[..]]) {
        for (at, line) in wrapped(caveat).into_iter().enumerate() {
            out += &format!("{comment} {} {line}\n", if at == 0 { "-" } else { " " });
        }
    }
    for zone in facts.zones.iter().filter(|zone| !zone.groups.is_empty()) {
        let groups = zone.groups.join(", ");
        out += &format!("{comment} - {} is for the clients of {groups} alone.\n", zone.name);
    }
    let signs = by == By::Transfer && profile.family != Family::Unbound;
    if signs && facts.key.as_ref().is_some_and(|key| key.secret.is_none()) {
        out += &format!(
            "{comment} - The secret is not shown: put it in, or ask again with `--secrets`.\n"
        );
    }
    out
}

/// Lines of at most 92 characters.
fn wrapped(text: &str) -> Vec<String> {
    const CHARACTERS_MAX: usize = 92;
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is a line");
        if !line.is_empty() && line.chars().count() + 1 + word.chars().count() > CHARACTERS_MAX {
            lines.push(word.to_owned());
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests;

//! Investigations: all that is known of one indicator, gathered into a dossier, and the forms in
//! which it is handed out.
//!
//! ```text
//! wanted rows ─▶ (questions) ─▶ facts ─▶ dossier ─▶ text, JSON, HTML, graph, STIX, tables, MISP
//! ```
//!
//! Pure: whoever asks the services fills the rows. A row without facts says why it has none, so that
//! silence never looks like innocence.

pub mod graph;
pub mod html;
pub mod misp;
pub mod stix;
pub mod table;
pub mod wanted;
pub mod words;
pub mod xlsx;

use serde::{Deserialize, Serialize};

use crate::model::lookup::Fact;
use crate::pipeline::report::Why;

/// All that is known of one indicator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Dossier {
    /// What it is about.
    pub target: String,
    /// `domain`, `address`, `prefix`, `AS` or `URL`.
    pub kind: String,
    /// When it was made, in seconds since 1970.
    pub at: u32,
    /// What this program decides, and why.
    pub verdict: Verdict,
    /// What was found out without any service.
    pub local: Vec<Row>,
    /// What each service says.
    pub services: Vec<ServiceRows>,
}

/// What this program decides.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// What happens to a query, in words.
    pub outcome: String,
    /// The level of the score: `allow`, `monitor`, `redirect` or `block`.
    pub level: Option<String>,
    /// The score in points.
    pub score: Option<String>,
    /// What it is made of: the item, its points, and words.
    pub contributions: Vec<(String, String, String)>,
    /// Guards that lowered the level, in words.
    pub guards: Vec<String>,
    /// Lists that name it or a name above: the list, and what it names.
    pub listed_by: Vec<(String, String)>,
    /// What would change it.
    pub changes: Vec<String>,
}

/// One wanted fact with what there is of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Row {
    /// What it is called.
    pub what: String,
    /// What is known.
    pub facts: Vec<Fact>,
    /// Why nothing is, or not all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
    /// Where a web page has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// When it was asked, where a service was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked_at: Option<u32>,
    /// Whether that was an earlier investigation.
    #[serde(default)]
    pub kept: bool,
    /// How many there are in all, where there are more than are shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<u64>,
}

/// The rows of one service.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServiceRows {
    /// Its word.
    pub service: String,
    /// Its name for people.
    pub title: String,
    /// Why it was not asked at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub off: Option<String>,
    /// What is known by it.
    pub rows: Vec<Row>,
}

/// What is said while an investigation goes on: one a line, in JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Progress {
    /// A question was settled.
    Step {
        /// The service, or `local`.
        service: String,
        /// What was asked.
        what: String,
        /// How it went, in a word or two.
        outcome: String,
        /// Questions settled.
        done: usize,
        /// Questions in all.
        of: usize,
    },
    /// It cannot go on.
    Failed {
        /// Why.
        error: String,
    },
    /// It is over.
    Done {
        /// What was found.
        dossier: Box<Dossier>,
    },
}

impl Verdict {
    /// The verdict as `why` explains it.
    pub fn of(why: &Why) -> Self {
        let score = why.score.as_ref();
        let contributions = score.map_or_else(Vec::new, |score| {
            let one = |c: &crate::pipeline::report::Contribution| {
                (c.id.clone(), c.mban.to_string(), c.text.clone())
            };
            score.contributions.iter().map(one).collect()
        });
        let guards = score.map_or_else(Vec::new, |score| {
            let one = |g: &crate::pipeline::report::GuardSays| {
                format!("{} {}: {}", g.guard, g.text, g.effect)
            };
            score.guards.iter().map(one).collect()
        });
        Self {
            outcome: why.outcome.text.clone(),
            level: score.map(|score| score.level.clone()),
            score: score.map(|score| score.score.to_string()),
            contributions,
            guards,
            listed_by: why.sources.iter().map(|s| (s.source.clone(), s.listed.clone())).collect(),
            changes: why.changes.clone(),
        }
    }

    /// Whether it is held against the indicator.
    pub fn is_bad(&self) -> bool {
        matches!(self.level.as_deref(), Some("redirect" | "block"))
    }
}

impl Dossier {
    /// Every fact with who says it: a service's word, or `local`.
    pub fn facts(&self) -> impl Iterator<Item = (&str, &Row, &Fact)> {
        let local = self.local.iter().map(|row| ("local", row));
        let services = self.services.iter();
        let of_services = services.flat_map(|s| s.rows.iter().map(|row| (s.service.as_str(), row)));
        local.chain(of_services).flat_map(|(who, row)| row.facts.iter().map(move |f| (who, row, f)))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::model::Timestamp;
    use crate::model::lookup::{Certificate, FileRelation};

    /// A dossier with a bit of everything, and hostile text wherever text can be.
    pub(crate) fn dossier() -> Dossier {
        let hostile = "<script>alert(1)</script>\u{fffd}\"'&".to_owned();
        let facts = vec![
            Fact::Resolution {
                name: "evil.test".to_owned(),
                address: "192.0.2.66".to_owned(),
                last_seen: Some(Timestamp(1_787_216_400)),
                malicious: Some(2),
            },
            Fact::Origin {
                address: Some("192.0.2.66".to_owned()),
                asn: 64_496,
                name: Some(hostile.clone()),
                prefix: Some("192.0.2.0/24".to_owned()),
                at: None,
            },
            Fact::Record {
                owner: None,
                rtype: "NS".to_owned(),
                value: "ns1.bullet.test".to_owned(),
                ttl: Some(60),
            },
            Fact::Subdomain { name: "www.evil.test".to_owned(), malicious: None },
            Fact::File {
                relation: FileRelation::Communicating,
                sha256: "ab".repeat(32),
                name: Some(hostile.clone()),
                kind: Some("Win32 EXE".to_owned()),
                malicious: Some(50),
                at: None,
            },
            Fact::UrlSeen {
                url: "http://evil.test/x".to_owned(),
                malicious: 9,
                engines: Some(90),
                at: None,
            },
            Fact::Certificate(Certificate {
                subject: Some("evil.test".to_owned()),
                issuer: Some(hostile.clone()),
                serial: Some("04aa".to_owned()),
                sha256: Some("cd".repeat(32)),
                names: vec!["evil.test".to_owned(), "pay.test".to_owned()],
                ..Certificate::default()
            }),
            Fact::Note { name: "note".to_owned(), text: "=1+cmd|' /C calc'!A0".to_owned() },
        ];
        Dossier {
            target: "evil.test".to_owned(),
            kind: "domain".to_owned(),
            at: 1_787_300_000,
            verdict: Verdict {
                outcome: "nxdomain by evil.test in threat.rpz".to_owned(),
                level: Some("block".to_owned()),
                score: Some("31.00".to_owned()),
                contributions: vec![("vt".to_owned(), "22.50".to_owned(), hostile.clone())],
                guards: Vec::new(),
                listed_by: vec![("openphish".to_owned(), "evil.test".to_owned())],
                changes: vec!["an entry in the allow list".to_owned()],
            },
            local: vec![Row {
                what: "PTR".to_owned(),
                missing: Some("only for addresses".to_owned()),
                ..Row::default()
            }],
            services: vec![ServiceRows {
                service: "virustotal".to_owned(),
                title: "VirusTotal".to_owned(),
                off: None,
                rows: vec![Row {
                    what: "Everything".to_owned(),
                    facts,
                    asked_at: Some(1_787_299_000),
                    kept: true,
                    total: Some(57),
                    ..Row::default()
                }],
            }],
        }
    }

    #[test]
    fn a_dossier_comes_back_from_json_as_it_was() {
        let dossier = dossier();
        let text = serde_json::to_string(&dossier).unwrap();
        assert_eq!(serde_json::from_str::<Dossier>(&text).unwrap(), dossier);
        assert_eq!(dossier.facts().count(), 8);
    }
}

//! What the program says of itself and of one indicator, as values: the command line prints them,
//! `--json` and the socket give them as they are.

mod published;

use serde::{Deserialize, Serialize};

pub use published::{CanarySays, FleetSays, NotifySays, PublishedSays, TransferSays, VersionSays};

use crate::diagnostic::Diagnostic;

/// A score in mban, written in points (a hundredth of it) wherever people read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mban(pub i64);

/// Points with two decimals and a sign: `+15.00`.
impl std::fmt::Display for Mban {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        f.pad(&format!("{sign}{}.{:02}", self.0.abs() / 100, self.0.abs() % 100))
    }
}

/// Why a name is answered as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// What was asked about.
    pub indicator: String,
    /// The time the answer speaks of, in seconds since 1970.
    pub at: u32,
    /// The snapshot in force.
    pub snapshot: String,
    /// What a client is told.
    pub outcome: Outcome,
    /// The answer as it was resolved for this: the name and what its aliases lead to. Empty where
    /// nothing had to be resolved.
    #[serde(default)]
    pub answer: Vec<StepSays>,
    /// Every rule that matches, in order of precedence.
    pub matches: Vec<Match>,
    /// Entries of the policy's own lists that take it in.
    pub entries: Vec<EntrySays>,
    /// Every source that names it or a name above it.
    pub sources: Vec<SourceSays>,
    /// The score, for names that a scored source names.
    pub score: Option<ScoreSays>,
    /// What is known of the name otherwise.
    pub standing: StandingSays,
    /// What would make the outcome another.
    pub changes: Vec<String>,
    /// What could be known and is not, with the reason.
    pub missing: Vec<String>,
}

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// `resolved`, `nxdomain`, `nodata`, `passthru`, `drop`, `tcp-only`, `cname`, `local-data`.
    pub action: String,
    /// The policy zone whose rule decided.
    pub zone: Option<String>,
    /// The rule's trigger, such as `*.bad.net`.
    pub trigger: Option<String>,
    /// A sentence for people.
    pub text: String,
}

/// A name of an answer's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepSays {
    /// The name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<std::net::IpAddr>,
    /// The servers on the way to it, from the top down, each once.
    pub nameservers: Vec<String>,
}

/// A rule that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// The policy zone.
    pub zone: String,
    /// The kind of trigger, in the draft's word.
    pub kind: String,
    /// The trigger.
    pub trigger: String,
    /// The alias's target that it matched, where that is not the query name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
    /// The action that applies, overrides included.
    pub action: String,
    /// Whether this rule decided.
    pub decided: bool,
    /// Why it did not, where it did not.
    pub reason: String,
}

/// An entry of the policy's own lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntrySays {
    /// `allow`, `block` or `redirect`.
    pub list: String,
    /// Where it stands: file, line, column.
    pub place: String,
    /// Why it is there, where somebody wrote it.
    pub reason: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// When it ends, in seconds since 1970.
    pub until: Option<u32>,
    /// The groups it holds for; none means everyone.
    pub groups: Vec<String>,
}

/// What a source says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceSays {
    /// The source.
    pub source: String,
    /// `scored`, `operator`, or the policy category that it fills.
    pub trust: String,
    /// The name that it lists: the one asked about or one above it.
    pub listed: String,
    /// First seen, in seconds since 1970.
    pub first_seen: u32,
    /// Last seen, in seconds since 1970.
    pub last_seen: u32,
    /// What it says the name is.
    pub category: String,
    /// Whether the claim is about one URL only.
    pub url_only: bool,
    /// Why the claim has no effect, where it has none.
    pub note: Option<String>,
}

/// The score with its parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScoreSays {
    /// The name that was scored.
    pub scored: String,
    /// The sum.
    pub score: Mban,
    /// What the score calls for after guards.
    pub level: String,
    /// What was in force before.
    pub previous: String,
    /// The kind of malice that weighs most.
    pub category: Option<String>,
    /// The parts; they sum to the score exactly.
    pub contributions: Vec<Contribution>,
    /// Guards that spoke.
    pub guards: Vec<GuardSays>,
    /// How many independent groups of evidence there are, in millionths.
    pub diversity_ppm: u32,
    /// Thresholds from monitor to block: on and off.
    pub thresholds: Vec<(String, Mban, Mban)>,
    /// SHA-256 of the model.
    pub model: String,
    /// When it is judged anew at the latest, in seconds since 1970.
    pub valid_until: u32,
}

/// One part of a score.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// Whose.
    pub id: String,
    /// What it adds.
    pub mban: Mban,
    /// What it would add alone.
    pub raw: Mban,
    /// How much of it is independent of what was counted before, in millionths.
    pub independence_ppm: u32,
    /// How old the fact is, in hours.
    pub age_h: Option<u32>,
    /// It in words.
    pub text: String,
}

/// A guard that spoke.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuardSays {
    /// `G0` to `G10`.
    pub guard: String,
    /// The level before and after, such as `block to monitor`.
    pub effect: String,
    /// Why.
    pub text: String,
}

/// What is known of a name whatever the sources say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StandingSays {
    /// Its registrable domain.
    pub registrable: Option<String>,
    /// The worst rank in 30 days.
    pub rank: Option<u32>,
    /// The ranks have less than 27 days of history.
    pub short_history: bool,
    /// Popularity lists in force.
    pub popularity_lists: usize,
    /// Of special use (RFC 6761 and others).
    pub special_use: bool,
    /// A public suffix.
    pub public_suffix: bool,
    /// A name that must resolve, or one above such a name.
    pub critical: bool,
    /// A platform that many parties publish on.
    pub shared_platform: bool,
    /// A tenant of such a platform.
    pub tenant: bool,
    /// Of an address or prefix: the announced prefix around it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// The AS that announce it, with their names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub origins: Vec<String>,
    /// What the neighbourhood's rank says, in mban and not clamped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network_ratio: Option<i32>,
}

/// The worst AS of one family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsnRanking {
    /// Now, in seconds since 1970.
    pub at: u32,
    /// The newest day that was counted.
    pub day: Option<String>,
    /// `v4` or `v6`.
    pub family: String,
    /// `sekisho` (SCORING 2.8) or `circl` (BGP Ranking).
    pub definition: String,
    /// AS with a record of that day.
    pub ranked: usize,
    /// The worst first.
    pub systems: Vec<AsnRow>,
    /// What could be known and is not, with the reason.
    pub missing: Vec<String>,
}

/// An AS in a ranking.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsnRow {
    /// Its place, from 1.
    pub place: usize,
    /// The AS.
    pub system: u32,
    /// Its name.
    pub name: Option<String>,
    /// Its rank as the score counts it.
    pub rank: Mban,
    /// The same not clamped: 1000 · log10 of its smoothed rate over everybody's.
    pub ratio: Mban,
    /// By how much the ratio changed in a week.
    pub trend: Option<Mban>,
    /// The newest day's rank in CIRCL's definition.
    pub circl: f64,
    /// Listed addresses or /64s of that day.
    pub listed: u32,
    /// IPv4 addresses or IPv6 /48s that it announces.
    pub announced: u64,
    /// The last days, the oldest first.
    pub history: Vec<AsnDay>,
}

/// What a day gave for an AS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsnDay {
    /// The day.
    pub day: String,
    /// Its ratio after that day; none where nothing was listed and it is 0 or less.
    pub ratio: Option<Mban>,
    /// Listed addresses or /64s.
    pub listed: u32,
    /// The rank in CIRCL's definition.
    pub circl: f64,
}

/// How much of an AS one source lists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AsnSource {
    /// The source.
    pub source: String,
    /// Addresses or /64s.
    pub listed: u32,
}

/// Everything known of one AS.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsnSays {
    /// Now, in seconds since 1970.
    pub at: u32,
    /// The AS.
    pub system: u32,
    /// Its name.
    pub name: Option<String>,
    /// By family, where it announces something or has a rank.
    pub families: Vec<AsnFamily>,
    /// Sources that name the AS as such.
    pub sources: Vec<SourceSays>,
    /// The score of the AS.
    pub score: Option<ScoreSays>,
    /// Names that were seen there.
    pub names_seen: Vec<String>,
    /// What could be known and is not, with the reason.
    pub missing: Vec<String>,
}

/// An AS in one family.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AsnFamily {
    /// `v4` or `v6`.
    pub family: String,
    /// Its rank as the score counts it.
    pub rank: Mban,
    /// The same not clamped.
    pub ratio: Mban,
    /// How many AS are better, in millionths.
    pub percentile_ppm: Option<u32>,
    /// By how much the ratio changed in a week.
    pub trend: Option<Mban>,
    /// Prefixes that it announces.
    pub prefixes: u32,
    /// IPv4 addresses or IPv6 /48s in them.
    pub announced: u64,
    /// Listed addresses or /64s.
    pub listed: u32,
    /// The rank in CIRCL's definition.
    pub circl: f64,
    /// The place by it, from 1.
    pub circl_place: Option<usize>,
    /// How many AS have one.
    pub circl_ranked: usize,
    /// The last days, the oldest first.
    pub history: Vec<AsnDay>,
    /// Sources of the newest day.
    pub sources: Vec<AsnSource>,
    /// The worst prefixes with listed addresses: prefix, ratio, listed.
    pub worst_prefixes: Vec<(String, Mban, u32)>,
}

/// How the program is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The program's version.
    pub version: String,
    /// The daemon runs; else this was read from its state directory.
    pub running: bool,
    /// Since when, in seconds since 1970.
    pub started_at: Option<u32>,
    /// Now, in seconds since 1970.
    pub at: u32,
    /// Where the resolver listens.
    pub listening: Vec<String>,
    /// How names are resolved.
    pub upstream: String,
    /// `off`, `observe` or `enforce`.
    pub mode: String,
    /// The snapshot in force.
    pub snapshot: SnapshotSays,
    /// Names by level: allow, monitor, redirect, block.
    pub levels: [usize; 4],
    /// Popularity, as guards see it.
    pub popularity: PopularitySays,
    /// Prediction from names; none where nobody asked.
    #[serde(default)]
    pub prediction: Option<PredictionSays>,
    /// The policy zones in order.
    pub zones: Vec<ZoneSays>,
    /// How many sources are fresh, stale or failing, waiting for a first copy, and off.
    pub sources: SourceCounts,
    /// Whether the policy in force is that of the files; findings of the last edit otherwise.
    pub policy: PolicySays,
    /// What is not running, and why.
    pub not_running: Vec<String>,
}

/// The model of names, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PredictionSays {
    /// Whether the configuration has it on.
    pub enabled: bool,
    /// A model is being trained.
    pub running: bool,
    /// SHA-256 of the model in force, in hex.
    pub model: Option<String>,
    /// When it was trained, in seconds since 1970: nothing later was looked at.
    pub trained_at: Option<u32>,
    /// How many weights it has.
    pub weights: usize,
    /// What it was trained on, where that is known.
    pub training: Option<TrainingSays>,
    /// When the next one is trained, in seconds since 1970.
    pub due_at: Option<u32>,
    /// Why the last training gave none, and when.
    pub failure: Option<(u32, String)>,
}

/// What a model was trained on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrainingSays {
    /// SHA-256 of the model, in hex.
    pub model: String,
    /// When, in seconds since 1970.
    pub trained_at: u32,
    /// Milliseconds that it took.
    pub took_ms: u64,
    /// Names that became listed in the weeks before.
    pub malicious: usize,
    /// Popular names.
    pub honest: usize,
    /// Names that became listed in the month of the calibration.
    pub calibrated_on: usize,
    /// The sources.
    pub sources: Vec<String>,
    /// The popularity lists.
    pub lists: Vec<String>,
}

/// The snapshot in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSays {
    /// Its number.
    pub id: String,
    /// When it was made, in seconds since 1970.
    pub made_at: u32,
    /// Rules in all zones.
    pub rules: usize,
    /// Octets of all zones.
    pub octets: usize,
}

/// Popularity lists in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PopularitySays {
    /// Lists.
    pub lists: usize,
    /// Ranked domains.
    pub domains: usize,
    /// Less than 27 days of history.
    pub short_history: bool,
}

/// A policy zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ZoneSays {
    /// Its name.
    pub name: String,
    /// Its serial.
    pub serial: u32,
    /// Its rules.
    pub rules: usize,
    /// `off`, `observe` or `enforce`.
    pub mode: String,
    /// The groups it applies to; none means everyone.
    pub groups: Vec<String>,
    /// The file it is exported to, if it is.
    pub exported: Option<String>,
    /// How it leaves by transfer, if it does.
    #[serde(default)]
    pub published: Option<PublishedSays>,
    /// How it comes, where another publisher makes it. A zone of which nothing came yet has serial
    /// 0 and no rules, and is not in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secondary: Option<SecondarySays>,
}

/// How a zone of another publisher comes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecondarySays {
    /// `current`; `waiting` for a first version; `stale`: the last attempt failed and the version
    /// stays in force; `expired`: so for longer than its SOA allows; `unloaded`: expired, and not
    /// in force any more.
    pub state: String,
    /// Where it is to come from, in order.
    pub configured: Vec<String>,
    /// Who brought the version.
    pub from: Option<String>,
    /// `axfr`, `ixfr` or `http`.
    pub kind: Option<String>,
    /// When the version came, in seconds since 1970; so are the times below.
    pub taken_at: Option<u32>,
    /// When it last came or was confirmed.
    pub confirmed_at: Option<u32>,
    /// When somebody was asked last.
    pub asked_at: Option<u32>,
    /// When somebody is asked next; none where nobody will.
    pub next_at: Option<u32>,
    /// When it expires.
    pub expires_at: Option<u32>,
    /// How often in a row nothing came of asking.
    pub failures: u32,
    /// What went wrong then.
    pub error: Option<String>,
    /// Records of the version that were left out.
    pub rejected: usize,
    /// The first of them.
    pub rejects: Vec<String>,
}

/// Sources by state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SourceCounts {
    /// The last attempt succeeded.
    pub ok: usize,
    /// The last attempt failed; the last good copy is in force.
    pub stale: usize,
    /// No copy was ever taken over.
    pub empty: usize,
    /// Switched off, by the operator or by the licence mode.
    pub off: usize,
}

/// The policy in force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct PolicySays {
    /// The files could not be taken over, and the last good policy is in force.
    pub broken: bool,
    /// When the policy in force was taken over, in seconds since 1970.
    pub accepted_at: u32,
    /// What was found in the files last, as people read it.
    pub findings: Vec<String>,
}

/// A source and its state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedSays {
    /// Its name.
    pub id: String,
    /// `ok`, `held` (its contract puts entries aside or keeps removed ones), `stale`, `empty` or
    /// `off`.
    pub state: String,
    /// `scored`, `operator`, or the policy category that it fills.
    pub trust: String,
    /// Where it comes from.
    pub url: String,
    /// Entries in force.
    pub entries: usize,
    /// Lines of the last good copy that could not be read.
    pub rejects: usize,
    /// Some of them: line, text, reason.
    pub samples: Vec<(usize, String, String)>,
    /// When the last good copy was taken over, in seconds since 1970.
    pub accepted_at: Option<u32>,
    /// When it was last found to be current, in seconds since 1970.
    pub confirmed_at: Option<u32>,
    /// When it is due again, in seconds since 1970.
    pub due_at: Option<u32>,
    /// Entries that its contract puts aside: they weigh nothing.
    pub held: usize,
    /// Until when, in seconds since 1970.
    pub held_until: Option<u32>,
    /// What it broke of its contract lately, and when.
    pub breaches: Vec<(u32, String)>,
    /// The last error, where the last attempt failed, and when.
    pub error: Option<(u32, String)>,
    /// Why it is off, where it is.
    pub off_because: Option<String>,
}

impl PolicySays {
    /// Findings as people read them.
    pub fn of(broken: bool, accepted_at: u32, findings: &[Diagnostic]) -> Self {
        let findings = findings.iter().map(ToString::to_string).collect();
        Self { broken, accepted_at, findings }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_hundredths_and_carry_a_sign() {
        for (mban, points) in [(1500, "+15.00"), (-2000, "-20.00"), (-5, "-0.05"), (0, "+0.00")] {
            assert_eq!(Mban(mban).to_string(), points);
        }
        assert_eq!(format!("{:>8}", Mban(1500)), "  +15.00");
    }
}

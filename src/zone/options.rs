//! What an operator may choose for a policy zone on top of its rules.

use super::Zone;
use super::structured::StructuredError;
use crate::model::{Action, GroupSet, Name};

/// Whether rules act.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As if the rules were not there.
    Off,
    /// Rules are matched, counted and logged, and change nothing.
    Observe,
    /// Rules act.
    #[default]
    Enforce,
}

/// An action that replaces those of all rules of a zone (draft section 6.1).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Override {
    /// The rules' own actions.
    #[default]
    Given,
    /// The rules act no more than in [`Mode::Observe`]: the next best match is used, and what
    /// would have happened is reported.
    Disabled,
    /// This action for every rule.
    Action(Action),
    /// Local data without records of the type asked for passes instead of answering NODATA; all
    /// else keeps its action.
    LocalDataOrPassthru,
    /// Local data without records of the type asked for is as if the rule were not there; all
    /// else keeps its action.
    LocalDataOrDisabled,
}

/// An extended error code (RFC 8914) with its text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtendedError {
    /// INFO-CODE: 15 Blocked, 16 Censored, 17 Filtered, 18 Prohibited, 4 Forged Answer.
    pub code: u16,
    /// EXTRA-TEXT for people; may be empty.
    pub text: String,
    /// More, for clients that read it as data.
    pub structured: Option<StructuredError>,
}

impl ExtendedError {
    /// A code with its text.
    pub fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into(), structured: None }
    }
}

/// How a policy zone is applied. The names are BIND's where it has one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneOptions {
    /// Replaces the rules' actions.
    pub policy: Override,
    /// Whether the rules act.
    pub mode: Mode,
    /// Whether a hit is written to the log.
    pub log: bool,
    /// Applies to queries with RD=1 only.
    pub recursive_only: bool,
    /// Rewrites also where the client set DO=1 and the answer is signed.
    pub break_dnssec: bool,
    /// A query-name hit waits for the answer before it acts.
    pub qname_wait_recurse: bool,
    /// Nameserver addresses that are not known yet are waited for.
    pub nsip_wait_recurse: bool,
    /// Nameserver names that are not known yet are waited for.
    pub nsdname_wait_recurse: bool,
    /// The servers of zone cuts of fewer dots are not looked at; those of the root never are.
    pub min_ns_dots: u8,
    /// Upper bound of the TTL of rewritten answers, in seconds.
    pub max_policy_ttl: u32,
    /// Whether the zone's SOA goes into the additional section of rewritten answers.
    pub add_soa: bool,
    /// What an extended error says, if anything.
    pub extended_error: Option<ExtendedError>,
    /// The client groups it applies to; none means everyone.
    pub groups: GroupSet,
}

impl ZoneOptions {
    /// For zones of our own: DO or RD is no way around a block, and nothing is asked of a
    /// blocked name's servers.
    pub fn ours() -> Self {
        Self {
            policy: Override::Given,
            mode: Mode::Enforce,
            log: true,
            recursive_only: false,
            break_dnssec: true,
            qname_wait_recurse: false,
            nsip_wait_recurse: true,
            nsdname_wait_recurse: true,
            min_ns_dots: 1,
            max_policy_ttl: 3600,
            add_soa: true,
            extended_error: Some(ExtendedError::new(15, "")),
            groups: GroupSet::NONE,
        }
    }

    /// For zones of others: as the draft says (sections 6 and 9) and BIND does.
    pub fn draft() -> Self {
        Self {
            recursive_only: true,
            break_dnssec: false,
            qname_wait_recurse: true,
            extended_error: None,
            ..Self::ours()
        }
    }
}

/// A zone with the way it is applied. The order among policy zones is that of the list they
/// stand in.
#[derive(Debug, Clone)]
pub struct PolicyZone {
    /// The rules.
    pub zone: Zone,
    /// How they are applied.
    pub options: ZoneOptions,
}

impl PolicyZone {
    /// The zone's own name.
    pub fn name(&self) -> Name {
        self.zone.origin().to_owned()
    }
}

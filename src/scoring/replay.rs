//! Scores recorded facts again: same model and facts, same bytes (SCORING 2.1).

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::decision::{Previous, decide};
use super::facts::or_default;
use super::record::{FactRecord, UnknownSource};
use super::{Level, Model, ModelError, explain};

/// Most octets of recorded facts that are read at once: about a hundred thousand cases.
pub const FACTS_SIZE_BYTES_MAX: usize = 64 << 20;

/// A recorded case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// A label.
    pub id: String,
    /// What was known.
    pub facts: FactRecord,
    /// What was in force; allow if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prev: Option<PreviousRecord>,
    /// Extra lists, `id: [like, origin]`.
    #[serde(default, deserialize_with = "or_default", skip_serializing_if = "BTreeMap::is_empty")]
    pub overlay: BTreeMap<String, (String, String)>,
    /// What came of it then; not read.
    #[serde(default, skip_serializing)]
    pub expect: Option<IgnoredAny>,
}

impl Case {
    /// The model with the overlay of the case.
    pub fn model<'a>(&self, model: &'a Model) -> Result<Cow<'a, Model>, ModelError> {
        if self.overlay.is_empty() {
            return Ok(Cow::Borrowed(model));
        }
        model.overlaid(&self.overlay).map(Cow::Owned)
    }
}

/// What was in force: a level that was held for long, or all that is known of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged, expecting = "a level, or its `level`, `held_h` and `changes`")]
pub enum PreviousRecord {
    /// A level, held for more than the least time, without changes in the last seven days.
    Level(Level),
    /// A level with its history.
    Held(HeldRecord),
}

/// A level with its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeldRecord {
    /// The level.
    pub level: Level,
    /// Hours that it was in force.
    pub held_h: u32,
    /// Changes in the last seven days.
    pub changes: u32,
}

impl From<PreviousRecord> for Previous {
    fn from(record: PreviousRecord) -> Self {
        match record {
            PreviousRecord::Level(level) => Self::held(level),
            PreviousRecord::Held(HeldRecord { level, held_h, changes }) => {
                Self { level, held_h, changes }
            }
        }
    }
}

/// What comes of a case, in the form that test vectors expect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Output {
    /// The label of the case.
    pub id: String,
    /// Log-odds in millibans.
    #[serde(rename = "S")]
    pub mban: i64,
    /// What is to be done.
    pub action: Level,
    /// The guards that spoke, in order.
    pub guards: Vec<String>,
    /// How many independent groups speak against it, in ppm of one group.
    pub diversity_ppm: u32,
    /// `prior` first, then the largest first; none is 0.
    pub contributions: Vec<(String, i32)>,
}

/// Why facts are not replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The model is none.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// There are too many facts for one run.
    #[error("the facts are {size_bytes} octets long; at most {FACTS_SIZE_BYTES_MAX} are read")]
    TooLong {
        /// Their length.
        size_bytes: usize,
    },
    /// They are not JSON, or have other keys or types than cases.
    #[error("the facts do not read: {0}")]
    Json(#[from] serde_json::Error),
    /// A case names a source that the model does not have.
    #[error("case `{case}`: {source}")]
    Source {
        /// The case.
        case: String,
        /// The source.
        source: UnknownSource,
    },
    /// The overlay of a case does not fit the model.
    #[error("case `{case}`: {source}")]
    Overlay {
        /// The case.
        case: String,
        /// Why.
        source: ModelError,
    },
}

/// Scores a list of cases `{id, facts, prev?, overlay?}` with a model, both as JSON.
pub fn run(model_json: &[u8], facts_json: &[u8]) -> Result<Vec<Output>, ReplayError> {
    let model = Model::from_json(model_json)?;
    if facts_json.len() > FACTS_SIZE_BYTES_MAX {
        return Err(ReplayError::TooLong { size_bytes: facts_json.len() });
    }
    let cases: Vec<Case> = serde_json::from_slice(facts_json)?;
    cases.iter().map(|case| replay(&model, case)).collect()
}

/// Scores one case.
pub fn replay(model: &Model, case: &Case) -> Result<Output, ReplayError> {
    let of_overlay = |source| ReplayError::Overlay { case: case.id.clone(), source };
    let model = &*case.model(model).map_err(of_overlay)?;
    let of_record = |source| ReplayError::Source { case: case.id.clone(), source };
    let facts = case.facts.resolve(model).map_err(of_record)?;
    let (score, parts) = explain::parts(model, &facts);
    let previous = case.prev.map(Previous::from).unwrap_or_default();
    let decision = decide(model, &facts, &score, &previous);
    Ok(Output {
        id: case.id.clone(),
        mban: score.mban,
        action: decision.level,
        guards: decision.guards.iter().map(ToString::to_string).collect(),
        diversity_ppm: score.diversity_ppm,
        contributions: parts
            .iter()
            .map(|part| (part.label.id(model).to_owned(), part.mban))
            .collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scoring::SHIPPED_JSON;

    fn error(cases: &str) -> String {
        run(SHIPPED_JSON.as_bytes(), cases.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn an_output_reads_like_the_expectation_of_a_vector() {
        let cases = r#"[{"id": "one", "prev": "block", "expect": {"any": [1]}, "facts":
            {"type": "domain", "lists": [{"source": "openphish", "age_h": 1}]}}]"#;
        let outputs = run(SHIPPED_JSON.as_bytes(), cases.as_bytes()).unwrap();
        assert_eq!(
            serde_json::to_string(&outputs).unwrap(),
            concat!(
                r#"[{"id":"one","S":1380,"action":"redirect","#,
                r#""guards":["G9 one group: block->redirect"],"diversity_ppm":1000000,"#,
                r#""contributions":[["prior",-2000],["openphish",3380]]}]"#
            )
        );
    }

    #[test]
    fn what_is_wrong_with_a_case_is_named() {
        let cases = [
            (r#"{"id": "x"}"#, "missing field `facts`"),
            (
                r#"{"id": "x", "facts": {"type": "ip"}, "previous": "block"}"#,
                "unknown field `previous`",
            ),
            (r#"{"id": "x", "facts": {"type": "url"}}"#, "unknown variant `url`"),
            (
                r#"{"id": "x", "facts": {"type": "ip"}, "prev": "nxdomain"}"#,
                "a level, or its `level`",
            ),
            (
                r#"{"id": "x", "facts": {"type": "ip", "lists": [{"source": "y"}]}}"#,
                "case `x`: `y` is no",
            ),
            (
                r#"{"id": "x", "facts": {"type": "ip"}, "overlay": {"a": ["b", "c"]}}"#,
                "case `x`: the overlay clones `b`",
            ),
        ];
        for (case, expected) in cases {
            let error = error(&format!("[{case}]"));
            assert!(error.contains(expected), "{case}: {error}");
        }
        assert!(error(&" ".repeat(FACTS_SIZE_BYTES_MAX + 1)).contains("at most"));
    }
}

//! The file of changes that a person looks at before they are applied: TOML, each change with its
//! reason. What is not wanted is taken out.

use serde::{Deserialize, Serialize};

use super::{AggregatorChange, CopyChange, CouplingChange, PrecisionChange};

/// A file of changes for a thousand lists is smaller.
pub const CHANGES_OCTETS_MAX: usize = 4 << 20;

/// The changes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Changes {
    /// SHA-256 of the model that they are changes of, in hex.
    pub base: String,
    /// Lists that repeat others word for word.
    #[serde(default, rename = "copy", skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<CopyChange>,
    /// How much lists repeat each other.
    #[serde(default, rename = "coupling", skip_serializing_if = "Vec::is_empty")]
    pub couplings: Vec<CouplingChange>,
    /// Lists that take in others.
    #[serde(default, rename = "aggregator", skip_serializing_if = "Vec::is_empty")]
    pub aggregators: Vec<AggregatorChange>,
    /// How often lists are right.
    #[serde(default, rename = "precision", skip_serializing_if = "Vec::is_empty")]
    pub precisions: Vec<PrecisionChange>,
}

/// Why a file is none of changes.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// Longer than any.
    #[error("the file is {0} octets long; at most {CHANGES_OCTETS_MAX} are read")]
    TooLong(usize),
    /// Not TOML, or with other keys.
    #[error("the file does not read: {}", .0.message())]
    Toml(#[from] toml::de::Error),
}

impl Changes {
    /// Reads a file.
    pub fn read(text: &str) -> Result<Self, ChangesError> {
        match text.len() > CHANGES_OCTETS_MAX {
            true => Err(ChangesError::TooLong(text.len())),
            false => Ok(toml::from_str(text)?),
        }
    }

    /// The file.
    pub fn write(&self) -> String {
        let changes = toml::to_string_pretty(self).expect("numbers and strings have a TOML form");
        format!(
            "# Changes that `sekisho learn` proposes to the model of scores. Take out what you do not \
             want,\n# then: sekisho model apply THIS-FILE. Precisions are in millionths, couplings in \
             thousandths.\n\n{changes}"
        )
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.copies.len() + self.couplings.len() + self.aggregators.len() + self.precisions.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn sort(&mut self) {
        self.copies.sort();
        self.couplings.sort();
        self.aggregators.sort();
        self.precisions.sort();
    }
}

//! What a score calls for, from letting through to blocking.

use std::fmt;

/// What is done about an indicator, in rising order. What the answer then looks like is the
/// policy's choice.
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
#[repr(u8)]
pub enum Level {
    /// Nothing is done.
    #[default]
    Allow = 0,
    /// Answered, but noted.
    Monitor = 1,
    /// Answered with the address of a walled garden (SCORING 2.9).
    Redirect = 2,
    /// Not answered.
    Block = 3,
}

impl Level {
    /// All levels, lowest first.
    pub const ALL: [Level; 4] = [Self::Allow, Self::Monitor, Self::Redirect, Self::Block];

    /// The word used in files and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Monitor => "monitor",
            Self::Redirect => "redirect",
            Self::Block => "block",
        }
    }

    /// The level of that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == word)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_rise_from_allow_to_block_and_read_as_they_are_written() {
        assert!(Level::ALL.is_sorted());
        for level in Level::ALL {
            assert_eq!(Level::parse(&level.to_string()), Some(level));
        }
        assert_eq!(Level::parse("Block"), None);
    }
}

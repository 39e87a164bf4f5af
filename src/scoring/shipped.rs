//! The model that comes with the program (SCORING 2.11).

use super::Model;

/// It as people describe it.
pub const SHIPPED_DESCRIPTION: &str = include_str!("shipped.toml");

/// It as it is compiled; a test checks that it is what the compiler makes of the description.
pub const SHIPPED_JSON: &str = include_str!("shipped.json");

impl Model {
    /// The model that comes with the program.
    pub fn shipped() -> Self {
        Self::from_json(SHIPPED_JSON.as_bytes()).expect("the tests read the shipped model")
    }
}

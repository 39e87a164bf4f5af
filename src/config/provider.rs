//! A service that is asked about single indicators.

use super::Secret;
use crate::diagnostic::Place;
use crate::source::provider::Provider as Settings;

/// A table `[provider.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// How it is asked.
    pub settings: Settings,
    /// Where its key is; none for a service that takes none.
    pub secret: Option<Secret>,
    /// Where it is declared.
    pub place: Place,
}

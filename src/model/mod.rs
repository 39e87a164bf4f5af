//! The nouns of the field: names, indicators, rules, groups and points in time.
//!
//! Values only: nothing here opens a file or socket, reads a clock or awaits.

pub mod answer;
pub mod evidence;
pub mod group;
pub mod indicator;
pub mod lookup;
pub mod name;
pub mod name_buffer;
pub mod network;
#[cfg(test)]
pub mod recorded;
pub mod rule;
pub mod time;

pub use answer::{AnswerFacts, AnswerStep, Nameserver};
pub use evidence::{Category, Claim, Scope, SourceId, Trust};
pub use group::GroupSet;
pub use indicator::Indicator;
pub use name::{Name, NameError, NameRef};
pub use name_buffer::NameBuffer;
pub use network::{Network, NetworkError};
pub use rule::{Action, Data, NamePattern, RrSet, Rule, Trigger, TriggerKind};
pub use time::Timestamp;

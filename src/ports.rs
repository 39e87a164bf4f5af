//! The traits that join modules of layer 5; the daemon wires them.

pub mod sections;
pub mod upstream;

pub use sections::{Record, Sections, Ttl};
pub use upstream::{
    AnswerFacts, ExtendedError, Question, Resolution, Security, Server, Upstream, UpstreamError,
    ZoneCut,
};

//! The traits that join modules of layer 5; the daemon wires them.

pub mod sections;
pub mod transfer;
pub mod upstream;

pub use sections::{Record, Sections, Ttl};
pub use transfer::{MessageSender, TransferService};
pub use upstream::{
    AnswerFacts, ExtendedError, Question, Resolution, Security, Server, Upstream, UpstreamError,
    ZoneCut,
};

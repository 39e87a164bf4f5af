//! The traits that join modules of layer 5; the daemon wires them.

pub mod budget;
pub mod fetch;
pub mod ledger;
pub mod sections;
pub mod transfer;
pub mod upstream;
pub mod why;

pub use fetch::{
    Fetch, FetchError, FetchLimits, FetchOutcome, FetchRequest, Fetched, Location, LocationError,
    RedirectRefusal, Validators,
};
pub use ledger::{Ledger, LedgerError};
pub use sections::{Record, Sections, Ttl};
pub use transfer::{MessageSender, TransferService};
pub use upstream::{ExtendedError, Question, Resolution, Security, Upstream, UpstreamError};
pub use why::{WhyAnswer, WhyService};

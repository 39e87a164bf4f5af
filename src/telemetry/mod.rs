//! What the program tells about itself: log, metrics and the bounded stream of query events.
//!
//! [`log`] makes the subscriber that the daemon installs, [`metrics`] holds every series in one
//! registry that is passed in, [`shard`] and [`hits`] hold the counters of the query path, [`transfers`] those of zones out, and
//! [`events`] carries one event for each query to whoever wants to see them.

pub mod events;
pub mod hits;
pub mod log;
pub mod metrics;
pub mod secondaries;
pub mod shard;
pub mod transfers;

pub use hits::ZoneHits;
pub use metrics::Metrics;
pub use secondaries::SecondaryMetrics;
pub use shard::{CacheLookup, Loss, Outcome, Shard, Transport};

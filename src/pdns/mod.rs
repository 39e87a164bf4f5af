//! Passive DNS of our own: which names were resolved here, where they led, since when.
//!
//! ```text
//! answers of the upstream ─▶ Table ─┬─▶ View ─▶ scores: first seen here, local history, company
//! queries of clients ──────▶        └─▶ `sekisho pdns`, Passive DNS Common Output Format
//! ```
//!
//! A [`Table`] keeps names with the days they were used on, and records (addresses, aliases, name
//! servers) with when they were seen first and last. It is bounded in octets and days, and in what
//! any one domain may take of it. No client is in it: of a day's clients it keeps a few octets of
//! hashes under a key that is thrown away with the day, enough to tell two clients from five and
//! of no other use.
//!
//! A [`View`] is what scores need of a table at one moment, immutable. Rates of malicious names on
//! addresses, prefixes, AS and name servers follow SCORING 2.7.

pub mod question;
mod rates;
mod seen;
mod table;
mod view;

pub use seen::{CLIENTS_MAX, ClientMark, Seen};
pub use table::{Changes, Holder, Limits, NameKind, NameRow, RecordRow, Span, Table, Value};
pub use view::{Company, Hosted, Material, View};

/// A domain that was not seen in so many days counts in no rate (SCORING 2.7).
const RATE_DAYS: u32 = 30;
/// Seconds of a day.
const DAY_SECONDS: u32 = 86_400;

//! Asking over DNS why a name is blocked.

use std::net::IpAddr;

use crate::model::NameRef;

/// What is said to a question in a why zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyAnswer {
    /// Not to this client.
    Refused,
    /// A TXT record of one string, of at most 255 octets.
    Text(String),
}

/// Someone who knows why names are blocked, asked as `NAME.why.ZONE`. Who may ask is for the
/// service to decide: the resolver's access list does not apply. It never waits.
pub trait WhyService: Send + Sync {
    /// The answer, if the name asked for is one of a why zone.
    fn answer(&self, asked: NameRef<'_>, client: IpAddr) -> Option<WhyAnswer>;
}

//! What the walled garden's page says, from the state in force.

use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;

use crate::model::Name;
use crate::pipeline::Published;
use crate::resolver::garden::{Notice, Reasons};

/// Reads the policy in force.
pub struct Notices(pub watch::Receiver<Arc<Published>>);

impl Reasons for Notices {
    fn notice(&self, host: &Name, _client: IpAddr) -> Notice {
        let state = self.0.borrow().clone();
        let words = &state.policy.notice;
        // The score's own word on what the host is, where it has one.
        let verdict = host.as_ref().ancestors().find_map(|name| state.verdicts.of(name));
        let reason = match verdict {
            Some(verdict) => format!("{} ({})", words.redirected, verdict.category),
            None => words.redirected.clone(),
        };
        Notice { organisation: words.organisation.clone(), contact: words.contact.clone(), reason }
    }
}

//! Signs on their way into the ledger, and out to people.

use std::sync::Arc;

use tokio::runtime::Handle;

use crate::api::signs::{MuteQuestion, SignSays};
use crate::diagnostic::Diagnostic;
use crate::model::{GroupSet, Name, NameRef, Timestamp};
use crate::pipeline::{Published, Standings};
use crate::ports::Ledger;
use crate::ports::ledger::{LedgerError, Mute, Sign};
use crate::ports::upstream::RCODE_NAME_ERROR;
use crate::signs::{Found, Kind, Query, Watch};
use crate::telemetry::Outcome;
use crate::telemetry::events::QueryEvent;

/// Clients in no group.
const NO_GROUP: &str = "others";
/// A mute lasts a year at most: what it is about has changed by then.
const MUTE_SECONDS_MAX: u32 = 366 * 86_400;

/// Watches queries and keeps what it finds.
pub struct Watching {
    watch: Watch,
    ledger: Arc<dyn Ledger>,
    runtime: Handle,
}

impl Watching {
    /// Has nothing seen yet.
    pub fn new(ledger: Arc<dyn Ledger>, runtime: Handle) -> Self {
        Self { watch: Watch::default(), ledger, runtime }
    }

    /// Takes a query.
    pub fn see(
        &mut self,
        state: &Published,
        event: &QueryEvent,
        name: NameRef<'_>,
        holder: NameRef<'_>,
    ) {
        if event.outcome != Outcome::Resolved {
            return;
        }
        let group = group(state, event);
        let query = Query {
            at: event.at,
            group: &group,
            name,
            holder,
            missing: event.rcode == RCODE_NAME_ERROR,
            usual: is_usual(&state.standings, name, holder),
        };
        let (ledger, runtime) = (&self.ledger, &self.runtime);
        self.watch.see(&query, |found| {
            tracing::info!(
                kind = found.kind.as_str(),
                group = found.group,
                subject = %found.subject,
                evidence = %found.evidence,
                "a sign in what a group asks"
            );
            let (ledger, sign) = (ledger.clone(), sign(found));
            runtime.spawn(async move {
                if let Err(error) = ledger.keep_sign(sign).await {
                    tracing::error!(%error, "a sign is not kept");
                }
            });
        });
    }
}

fn is_usual(standings: &Standings, name: NameRef<'_>, holder: NameRef<'_>) -> bool {
    standings.of(name).rank.is_some() || standings.seen.local_history(holder)
}

fn group(state: &Published, event: &QueryEvent) -> String {
    let groups: GroupSet = state.policy.clients.groups_of(event.client);
    let names: Vec<&str> = state.policy.group_names(groups).collect();
    if names.is_empty() { NO_GROUP.to_owned() } else { names.join("+") }
}

fn sign(found: Found) -> Sign {
    Sign {
        kind: found.kind.as_str().to_owned(),
        group: found.group,
        subject: found.subject,
        first_at: found.first_at,
        last_at: found.at,
        count: 1,
        evidence: found.evidence,
    }
}

/// All signs, the latest first, with those that are muted.
pub async fn signs(ledger: &dyn Ledger, now: Timestamp) -> Result<Vec<SignSays>, Diagnostic> {
    let signs = ledger.signs().await.map_err(|error| failed(&error))?;
    let mutes = ledger.mutes(now).await.map_err(|error| failed(&error))?;
    let muted = |sign: &Sign| {
        let covering = mutes.iter().filter(|mute| mute.covers(sign, now));
        covering.map(|mute| mute.until.0).max()
    };
    let says = |sign| SignSays { muted_until: muted(&sign), sign };
    Ok(signs.into_iter().map(says).collect())
}

/// Mutes signs, or ends the mutes of a subject. How many were ended.
pub async fn mute(
    ledger: &dyn Ledger,
    question: MuteQuestion,
    now: Timestamp,
) -> Result<usize, Diagnostic> {
    let subject = match question.subject.trim() {
        "." => Ok(Name::root()),
        text => Name::from_host(text),
    };
    let subject = subject.map_err(|error| {
        Diagnostic::error(format!("`{}` is not a name: {error}", question.subject))
            .hint("write the domain of the sign, or `.` for bursts")
    })?;
    let kinds = [Kind::Tunnel, Kind::Dga, Kind::Beacon].map(Kind::as_str);
    if let Some(kind) = question.kind.as_deref().filter(|kind| !kinds.contains(kind)) {
        let finding = Diagnostic::error(format!("there are no signs of kind `{kind}`"));
        return Err(finding.hint(format!("there are {}", kinds.join(", "))));
    }
    if question.seconds == 0 {
        return ledger.unmute(subject, now).await.map_err(|error| failed(&error));
    }
    if question.seconds > MUTE_SECONDS_MAX {
        return Err(Diagnostic::error("a mute lasts a year at most"));
    }
    let mute = Mute {
        subject,
        kind: question.kind,
        group: question.group,
        until: now.plus_seconds(question.seconds),
        by: question.by,
        at: now,
        reason: question.reason,
    };
    ledger.keep_mute(mute).await.map_err(|error| failed(&error))?;
    Ok(0)
}

fn failed(error: &LedgerError) -> Diagnostic {
    Diagnostic::error(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::SqliteLedger;

    const NOW: Timestamp = Timestamp(1_000_000);

    fn question(subject: &str, seconds: u32) -> MuteQuestion {
        MuteQuestion {
            subject: subject.to_owned(),
            kind: None,
            group: None,
            seconds,
            by: "amy".to_owned(),
            reason: None,
        }
    }

    #[tokio::test]
    async fn a_mute_covers_a_sign_until_it_ends() {
        let ledger = SqliteLedger::in_memory().unwrap();
        let found = Found {
            kind: Kind::Beacon,
            group: "staff".to_owned(),
            subject: Name::from_host("home.evil.net").unwrap(),
            first_at: Timestamp(1),
            at: Timestamp(2),
            evidence: serde_json::json!({ "calls": 21 }),
        };
        ledger.keep_sign(sign(found)).await.unwrap();
        let muted = async |now| signs(&ledger, now).await.unwrap()[0].muted_until;
        assert_eq!(muted(NOW).await, None);
        mute(&ledger, question("evil.net", 60), NOW).await.unwrap();
        assert_eq!(muted(NOW).await, Some(NOW.0 + 60));
        assert_eq!(muted(NOW.plus_seconds(60)).await, None);
        assert_eq!(mute(&ledger, question("evil.net", 0), NOW).await.unwrap(), 1);
        assert_eq!(muted(NOW).await, None);
        let odd = MuteQuestion { kind: Some("tunel".to_owned()), ..question("a.net", 60) };
        assert!(mute(&ledger, odd, NOW).await.is_err());
        assert!(mute(&ledger, question("not a name", 60), NOW).await.is_err());
        assert!(mute(&ledger, question("a.net", u32::MAX), NOW).await.is_err());
    }
}

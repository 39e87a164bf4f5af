//! Reviews and reports: what is drawn at random for a person to look at, and what people say.
//!
//! Entries are drawn uniformly from what a source names now, so that the answers are a fair sample
//! of it (SCORING 4.2). A report is none: only what is blocked gets reported, so it is noted with
//! the share that each source had in it.

use crate::api::reviews::{DrawSays, Noted, SourceReviews, Word};
use crate::diagnostic::Diagnostic;
use crate::evidence::Claims;
use crate::model::{Indicator, Timestamp, Trust};
use crate::pipeline::report::Why;
use crate::pipeline::{Published, Ranks, Source, Subject};
use crate::ports::Ledger;
use crate::ports::ledger::{Answer, Audit, Draw, LedgerError, Report};
use crate::snapshot::Transport;
use crate::zone::Mode;

/// Something to review: what waits for an answer already, or an entry drawn with `chance`.
pub async fn next(
    ledger: &dyn Ledger,
    state: &Published,
    source: Option<&str>,
    chance: u64,
    now: Timestamp,
) -> Result<DrawSays, Diagnostic> {
    let draws = ledger.draws().await.map_err(|error| failed(&error))?;
    let waiting = draws.iter().find(|draw| source.is_none_or(|source| draw.source == source));
    if let Some(draw) = waiting {
        return Ok(says(state, draw.clone(), true, now));
    }
    let source = match source {
        Some(id) => named(state, id)?,
        None => least_reviewed(ledger, state).await?,
    };
    let claims = &source.claims;
    let entries = claims.len() as u64;
    let indicator = (entries > 0).then(|| entry(claims, chance % entries)).flatten();
    let indicator = indicator.ok_or_else(|| {
        Diagnostic::error(format!("`{}` names nothing that could be reviewed", source.profile.id))
    })?;
    let draw = Draw {
        indicator: indicator.to_string(),
        source: source.profile.id.to_string(),
        drawn_from: entries,
        drawn_at: now,
    };
    ledger.keep_draw(draw.clone()).await.map_err(|error| failed(&error))?;
    Ok(says(state, draw, false, now))
}

/// Notes a reviewer's answer.
pub async fn audit(
    ledger: &dyn Ledger,
    state: &Published,
    word: Word,
    now: Timestamp,
) -> Result<Noted, Diagnostic> {
    let indicator = indicator(&word.indicator)?;
    let why = why(state, &indicator, now);
    let audit = Audit {
        indicator: indicator.to_string(),
        answer: word.answer,
        by: word.by,
        at: now,
        sources: claiming(&why),
        drawn: None,
    };
    let audit = ledger.keep_audit(audit).await.map_err(|error| failed(&error))?;
    Ok(Noted {
        indicator: audit.indicator,
        answer: audit.answer,
        sources: shares(state, &why),
        drawn_from: audit.drawn.map(|(source, _)| source),
        level: level(&why),
    })
}

/// Notes what somebody says about an answer they got.
pub async fn report(
    ledger: &dyn Ledger,
    state: &Published,
    word: Word,
    now: Timestamp,
) -> Result<Noted, Diagnostic> {
    let indicator = indicator(&word.indicator)?;
    let why = why(state, &indicator, now);
    let report = Report {
        indicator: indicator.to_string(),
        answer: word.answer,
        by: word.by,
        at: now,
        note: word.note,
        sources: shares(state, &why),
        level: level(&why),
    };
    ledger.keep_report(report.clone()).await.map_err(|error| failed(&error))?;
    let Report { indicator, answer, sources, level, .. } = report;
    Ok(Noted { indicator, answer, sources, drawn_from: None, level })
}

/// What reviews and reports say of every scored source.
pub async fn summary(
    ledger: &dyn Ledger,
    state: &Published,
) -> Result<Vec<SourceReviews>, Diagnostic> {
    let audits = ledger.audits().await.map_err(|error| failed(&error))?;
    let draws = ledger.draws().await.map_err(|error| failed(&error))?;
    let reports = ledger.reports().await.map_err(|error| failed(&error))?;
    let of = |source: &Source| {
        let id = source.profile.id.as_str();
        let drawn = |audit: &&Audit| audit.drawn.as_ref().is_some_and(|(from, _)| from == id);
        let found = |answer| audits.iter().filter(drawn).filter(|a| a.answer == answer).count();
        let said = |answer| {
            let about = |report: &&Report| report.sources.iter().any(|(source, _)| source == id);
            reports.iter().filter(about).filter(|report| report.answer == answer).count()
        };
        SourceReviews {
            source: id.to_owned(),
            malicious: found(Answer::Malicious),
            benign: found(Answer::Benign),
            unsure: found(Answer::Unsure),
            waiting: draws.iter().filter(|draw| draw.source == id).count(),
            reported_malicious: said(Answer::Malicious),
            reported_benign: said(Answer::Benign),
        }
    };
    Ok(scored(state).map(of).collect())
}

fn scored(state: &Published) -> impl Iterator<Item = &Source> {
    state.sources.iter().filter(|source| {
        let profile = &source.profile;
        profile.trust == Trust::Scored
            && profile.mode == Mode::Enforce
            && profile.ranks != Ranks::Exclude
    })
}

fn named<'s>(state: &'s Published, id: &str) -> Result<&'s Source, Diagnostic> {
    let found = scored(state).find(|source| source.profile.id.as_str() == id);
    found.ok_or_else(|| {
        let known = scored(state).map(|source| source.profile.id.as_str());
        let finding = Diagnostic::error(format!("no scored source `{id}` is in force"));
        match crate::diagnostic::nearest(id, known) {
            Some(near) => finding.hint(format!("did you mean `{near}`?")),
            None => finding.hint("`sekisho feeds` lists them"),
        }
    })
}

async fn least_reviewed<'s>(
    ledger: &dyn Ledger,
    state: &'s Published,
) -> Result<&'s Source, Diagnostic> {
    let audits = ledger.audits().await.map_err(|error| failed(&error))?;
    let reviewed = |source: &&Source| {
        let id = source.profile.id.as_str();
        let of = |audit: &&Audit| audit.drawn.as_ref().is_some_and(|(from, _)| from == id);
        audits.iter().filter(of).count()
    };
    let sources = scored(state).filter(|source| !source.claims.is_empty());
    sources.min_by_key(|source| (reviewed(source), source.profile.id.clone())).ok_or_else(|| {
        Diagnostic::error("no scored source names anything yet")
            .hint("`sekisho feeds` says how they stand")
    })
}

/// The entry at a position: names in order, then networks, then AS.
fn entry(claims: &Claims, at: u64) -> Option<Indicator> {
    let mut at = usize::try_from(at).ok()?;
    if at < claims.names.len() {
        let mut cursor = claims.names.iter();
        while let Some((name, _)) = cursor.next() {
            match at {
                0 => return Some(Indicator::Domain(name.to_owned())),
                _ => at -= 1,
            }
        }
        return None;
    }
    at -= claims.names.len();
    if let Some((network, _)) = claims.networks.get(at) {
        return Some(Indicator::Network(*network));
    }
    claims.systems.get(at - claims.networks.len()).map(|(system, _)| Indicator::As(*system))
}

fn says(state: &Published, draw: Draw, waiting: bool, now: Timestamp) -> DrawSays {
    let why = Indicator::parse(&draw.indicator).ok().map(|indicator| why(state, &indicator, now));
    DrawSays {
        indicator: draw.indicator,
        source: draw.source,
        drawn_from: draw.drawn_from,
        waiting,
        sources: why.as_ref().map_or_else(Vec::new, claiming),
        level: why.as_ref().map_or_else(String::new, level),
    }
}

fn why(state: &Published, indicator: &Indicator, now: Timestamp) -> Why {
    match indicator {
        Indicator::Domain(name) => {
            let subject = Subject {
                name: name.clone(),
                rtype: 1,
                client: std::net::Ipv4Addr::UNSPECIFIED.into(),
                transport: Transport::Udp,
                dnssec_ok: false,
                recursion_desired: true,
            };
            state.why(&subject, None, now)
        }
        network => state.why_network(network, now),
    }
}

/// The scored sources that claim exactly this.
fn claiming(why: &Why) -> Vec<String> {
    let exactly = why.sources.iter().filter(|s| s.listed == why.indicator && s.trust == "scored");
    let mut sources: Vec<String> = exactly.map(|source| source.source.clone()).collect();
    sources.sort();
    sources.dedup();
    sources
}

/// The scored sources behind a score, with their shares of the positive direct contributions in
/// permille. Sources that weigh as one in the model share what it has.
fn shares(state: &Published, why: &Why) -> Vec<(String, u16)> {
    let Some(score) = &why.score else { return Vec::new() };
    let direct = |id: &str| state.model.source_index(id).is_some();
    let positive = score.contributions.iter().filter(|c| c.mban.0 > 0 && direct(&c.id));
    let all: i64 = positive.clone().map(|c| c.mban.0).sum();
    let mut shares = Vec::new();
    for contribution in positive {
        let speaking: Vec<String> = scored(state)
            .filter(|source| *source.profile.weighs_as == *contribution.id)
            .map(|source| source.profile.id.to_string())
            .filter(|id| why.sources.iter().any(|source| source.source == *id))
            .collect();
        let each = contribution.mban.0 * 1000 / all.max(1) / (speaking.len().max(1) as i64);
        let each = u16::try_from(each).unwrap_or(1000);
        shares.extend(speaking.into_iter().map(|id| (id, each)));
    }
    shares
}

fn level(why: &Why) -> String {
    why.score.as_ref().map_or_else(|| "none".to_owned(), |score| score.level.clone())
}

fn indicator(text: &str) -> Result<Indicator, Diagnostic> {
    Indicator::parse(text).map_err(|error| {
        Diagnostic::error(format!("`{text}` is not a name: {error}"))
            .hint("write a host name such as `login.bad.net`, an address, a prefix or `AS64500`")
    })
}

fn failed(error: &LedgerError) -> Diagnostic {
    Diagnostic::error(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::ClaimsBuilder;
    use crate::ledger::SqliteLedger;
    use crate::model::{Category, Claim, Scope};

    #[test]
    fn every_entry_can_be_drawn_and_none_twice() {
        let claim = Claim {
            first_seen: Timestamp(1),
            last_seen: Timestamp(1),
            scope: Scope::Name,
            category: Category::C2,
        };
        let mut builder = ClaimsBuilder::default();
        let entries = ["a.net", "b.net", "192.0.2.1", "198.51.100.0/24", "AS64500"];
        for text in entries {
            builder.push(&Indicator::parse(text).unwrap(), claim, false);
        }
        let claims = builder.finish(None);
        let drawn: Vec<String> = (0..5).map(|at| entry(&claims, at).unwrap().to_string()).collect();
        assert_eq!(drawn, entries);
        assert!(entry(&claims, 5).is_none());
    }

    #[tokio::test]
    async fn an_answer_about_nothing_is_refused() {
        let ledger = SqliteLedger::in_memory().unwrap();
        assert!(indicator("not a name").is_err());
        assert_eq!(ledger.counts().await.unwrap().audits, 0);
    }
}

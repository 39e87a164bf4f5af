//! A look at the state directory of a daemon that is down.

use std::sync::Arc;

use super::answers::{self, Fixed};
use super::book::Book;
use super::observer;
use super::restore::{Restored, restore};
use super::secondaries;
use super::state::State;
use super::training;
use crate::api::{AsnQuestion, AsnRankQuestion, WhyQuestion};
use crate::config::Config;
use crate::diagnostic::Diagnostic;
use crate::ledger::PdnsFile;
use crate::model::{Name, Timestamp};
use crate::pdns::Table;
use crate::pdns::question::{Answer, Question};
use crate::pipeline::report::{
    AsnRanking, AsnSays, FeedSays, PolicySays, PredictionSays, SecondarySays, Status, Why,
};
use crate::pipeline::{Pipeline, Published};

/// What the daemon would begin with.
pub struct Offline {
    /// The state that would be in force.
    pub published: Arc<Published>,
    book: Book,
    policy: PolicySays,
    secondaries: Vec<(Name, SecondarySays)>,
    prediction: PredictionSays,
    pdns: Option<Table>,
}

impl Offline {
    /// Reads the state directory and the operator's files.
    pub fn open(config: &Config, now: Timestamp) -> Result<Self, Diagnostic> {
        let directory = &config.state_directory;
        let looked = State::look(directory);
        let looked =
            looked.map_err(|e| Diagnostic::error(format!("{}: {e}", directory.display())))?;
        let state = looked.ok_or_else(|| {
            Diagnostic::error(format!("{} is no state directory", directory.display()))
                .hint("`sekisho serve` makes one; or name its configuration with `--config`")
        })?;
        let restored = restore(config, directory, state.seed, now);
        let restored = restored.map_err(|findings| {
            let first = findings.into_iter().find(Diagnostic::is_error);
            first.unwrap_or_else(|| Diagnostic::error("there is no policy to go by"))
        })?;
        let Restored { mut pipeline, book, local, fell_back, prediction, transferred, .. } =
            restored;
        let secondaries = secondaries::says_offline(config, directory, &transferred, now);
        let prediction =
            PredictionSays { enabled: config.prediction.enabled, ..training::says_of(&prediction) };
        let published = pipeline.assemble(now).map_err(|e| Diagnostic::error(e.to_string()))?;
        let policy = PolicySays::of(fell_back, now.0, &local.findings);
        let (pdns, published) = match with_what_was_seen(config, &mut pipeline, &published, now)? {
            Some((table, published)) => (Some(table), published),
            None => (None, published),
        };
        Ok(Self { published, book, policy, secondaries, prediction, pdns })
    }

    /// Why an indicator would be answered as it would.
    pub fn why(&self, question: &WhyQuestion, now: Timestamp) -> Result<Why, Diagnostic> {
        answers::why(&self.published, question, now)
    }

    /// What was seen of a name or address.
    pub fn pdns(&self, question: &Question, now: Timestamp) -> Result<Answer, Diagnostic> {
        let table = self.pdns.as_ref().ok_or_else(|| {
            Diagnostic::error("nothing is remembered of what was resolved")
                .hint("set `enabled = true` in `[pdns]` of the configuration")
        })?;
        answers::pdns(table, &self.published, question, now)
    }

    /// The worst AS.
    pub fn asn_ranking(&self, question: &AsnRankQuestion, now: Timestamp) -> AsnRanking {
        answers::asn_ranking(&self.published, question, now)
    }

    /// Everything known of one AS.
    pub fn asn(&self, question: &AsnQuestion, now: Timestamp) -> AsnSays {
        self.published.asn(question.system, question.days, now)
    }

    /// How the program would be.
    pub fn status(&self, now: Timestamp) -> Status {
        let fixed = Fixed {
            started_at: None,
            listening: Vec::new(),
            upstream: "nothing: not running".to_owned(),
            not_running: vec!["the daemon".to_owned()],
            export: None,
        };
        let says = answers::status(&self.published, &self.book, self.policy.clone(), &fixed, now);
        let says = answers::with_secondaries(says, self.secondaries.clone());
        answers::with_prediction(says, self.prediction.clone())
    }

    /// Every source and its state.
    pub fn feeds(&self, now: Timestamp) -> Vec<FeedSays> {
        self.book.says(now)
    }
}

/// What was seen, and the state with it in force, where there is a record of it.
fn with_what_was_seen(
    config: &Config,
    pipeline: &mut Pipeline,
    published: &Published,
    now: Timestamp,
) -> Result<Option<(Table, Arc<Published>)>, Diagnostic> {
    let directory = &config.state_directory;
    if !config.pdns.enabled || !PdnsFile::path(directory).exists() {
        return Ok(None);
    }
    let mut standings = published.standings.clone();
    let (_, table, _) = observer::open(directory, config.pdns.limits, &standings, now)?;
    standings.seen = Arc::new(observer::view(&table, published, now));
    pipeline.set_standings(standings);
    let published = pipeline.assemble(now).map_err(|e| Diagnostic::error(e.to_string()))?;
    Ok(Some((table, published)))
}

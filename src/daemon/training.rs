//! Prediction in the daemon: trained on what the installation itself gathers, kept, and in force.
//!
//! ```text
//! STATE/prediction.json           the model in force
//! STATE/prediction-training.json  when it was trained and on what
//! ```
//!
//! Training looks at the claims of the scored sources in force and the popularity lists of the
//! archive. It has a thread of its own that steps back for everything else, and one runs at a time.
//! What was trained goes to disk first and then in force, so that a restart predicts the same. Where
//! nothing can be learnt, as on the first days of an installation, the model in force stays.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::book::Book;
use super::writer::{Event, Events};
use crate::config::Prediction as Settings;
use crate::diagnostic::Diagnostic;
use crate::disk;
use crate::evidence::{PublicSuffixes, RankList, SharedHosts};
use crate::model::time::Clock;
use crate::model::{Timestamp, Trust};
use crate::pipeline::report::{PredictionSays, TrainingSays};
use crate::pipeline::{Published, Source};
use crate::predict::{self, PredictionModel, Predictor};
use crate::zone::Mode;

/// How nice the thread is: as far as an unprivileged one can step back.
const NICENESS: i32 = 19;
/// After a start, feeds are fetched first.
const SETTLING_SECONDS: u32 = 10 * 60;
/// A training that failed is tried again after so long: an hour may bring a list that was missing.
const RETRY_SECONDS: u32 = 3600;
/// A record of a training names sources and numbers.
const RECORD_OCTETS_MAX: u64 = 1 << 20;

fn model_path(state: &Path) -> PathBuf {
    state.join("prediction.json")
}

fn record_path(state: &Path) -> PathBuf {
    state.join("prediction-training.json")
}

/// What is kept of the last training: the model ready for use, and how it came about.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The model.
    pub predictor: Option<Arc<Predictor>>,
    /// How it was trained; none where only the model is there.
    pub training: Option<TrainingSays>,
}

impl Kept {
    /// Reads what a state directory holds. What cannot be read is said and trained anew.
    pub fn read(state: &Path) -> (Self, Option<Diagnostic>) {
        match Self::try_read(state) {
            Ok(kept) => (kept, None),
            Err(error) => {
                let path = model_path(state);
                let finding = Diagnostic::warning(format!("{}: {error}", path.display()));
                (
                    Self::default(),
                    Some(finding.hint("nothing is predicted until the next training")),
                )
            }
        }
    }

    fn try_read(state: &Path) -> Result<Self, Box<dyn std::error::Error>> {
        let octets_max = predict::MODEL_SIZE_BYTES_MAX as u64;
        let Some(octets) = disk::read_small(&model_path(state), octets_max)? else {
            return Ok(Self::default());
        };
        let predictor = Predictor::new(PredictionModel::from_json(&octets)?);
        let record = disk::read_small(&record_path(state), RECORD_OCTETS_MAX)?;
        let training: Option<TrainingSays> =
            record.and_then(|octets| serde_json::from_slice(&octets).ok());
        // A stop between the two files leaves the record of the model before.
        let training = training.filter(|training| training.model == predictor.id());
        Ok(Self { predictor: Some(Arc::new(predictor)), training })
    }

    fn write(&self, state: &Path) -> io::Result<()> {
        let (Some(predictor), Some(training)) = (&self.predictor, &self.training) else {
            return Ok(());
        };
        let model = predictor.model().to_canonical();
        disk::replace(&model_path(state), |out| out.write_all(&model))?;
        let record = serde_json::to_vec_pretty(training).map_err(io::Error::other)?;
        disk::replace(&record_path(state), |out| out.write_all(&record))
    }
}

/// How training stands.
#[derive(Debug, Default)]
struct Standing {
    kept: Kept,
    running: bool,
    failure: Option<(Timestamp, String)>,
    due_at: Option<Timestamp>,
}

/// Trains on a schedule and by command.
pub struct Trainer {
    settings: Settings,
    state: PathBuf,
    book: Arc<Book>,
    published: watch::Receiver<Arc<Published>>,
    clock: Arc<dyn Clock>,
    events: Events,
    standing: Mutex<Standing>,
    asked: Notify,
}

impl Trainer {
    /// A trainer that knows what was kept.
    pub fn new(
        settings: Settings,
        state: &Path,
        kept: Kept,
        book: Arc<Book>,
        published: watch::Receiver<Arc<Published>>,
        clock: Arc<dyn Clock>,
        events: Events,
    ) -> Self {
        Self {
            settings,
            state: state.to_owned(),
            book,
            published,
            clock,
            events,
            standing: Mutex::new(Standing { kept, ..Standing::default() }),
            asked: Notify::new(),
        }
    }

    /// How training stands.
    pub fn says(&self) -> PredictionSays {
        let standing = self.standing.lock();
        PredictionSays {
            enabled: self.settings.enabled,
            running: standing.running,
            due_at: standing.due_at.map(|at| at.0),
            failure: standing.failure.as_ref().map(|(at, error)| (at.0, error.clone())),
            ..says_of(&standing.kept)
        }
    }

    /// Has a model trained now. It takes up to minutes; [`Self::says`] tells when it is done.
    pub fn train_now(&self) -> Result<(), Diagnostic> {
        if !self.settings.enabled {
            return Err(Diagnostic::error("prediction is switched off")
                .hint("set `enabled = true` in `[prediction]` of the configuration"));
        }
        let mut standing = self.standing.lock();
        if standing.running {
            return Err(Diagnostic::error("a model is being trained already"));
        }
        // It counts as running from here on, so that whoever asks next sees it.
        standing.running = true;
        standing.failure = None;
        drop(standing);
        self.asked.notify_one();
        Ok(())
    }

    /// Trains whenever it is due, until told to stop.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) {
        if !self.settings.enabled {
            return;
        }
        let mut due = self.first_due();
        loop {
            self.standing.lock().due_at = Some(due);
            let wait = due.0.saturating_sub(self.clock.now().0);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_secs(wait.into())) => {}
                () = self.asked.notified() => {}
                () = stop.cancelled() => return,
            }
            let trained = self.clone().train_aside().await;
            let after = if trained { self.settings.interval_seconds } else { RETRY_SECONDS };
            due = self.clock.now().plus_seconds(after);
        }
    }

    fn first_due(&self) -> Timestamp {
        let settled = self.clock.now().plus_seconds(SETTLING_SECONDS);
        let standing = self.standing.lock();
        let trained_at = standing.kept.predictor.as_ref().map(|p| p.model().cut);
        let due = trained_at.map(|at| at.plus_seconds(self.settings.interval_seconds));
        due.map_or(settled, |due| due.max(settled))
    }

    /// Trains on a thread of its own. Whether there is a new model.
    async fn train_aside(self: Arc<Self>) -> bool {
        self.standing.lock().running = true;
        let (say, told) = tokio::sync::oneshot::channel();
        let trainer = self.clone();
        let thread = std::thread::Builder::new().name("training".to_owned()).spawn(move || {
            if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
                tracing::debug!(%error, "training has the priority of everything else");
            }
            // Nobody waits any more where the daemon stops.
            let _ = say.send(trainer.train());
        });
        let outcome = match thread {
            Ok(_) => told.await.unwrap_or_else(|_| Err("the training broke off".to_owned())),
            Err(error) => Err(format!("no thread: {error}")),
        };
        let mut standing = self.standing.lock();
        standing.running = false;
        match outcome {
            Ok(kept) => {
                standing.failure = None;
                standing.kept = kept;
                true
            }
            Err(error) => {
                tracing::warn!(%error, "no model was trained; the one in force stays");
                standing.failure = Some((self.clock.now(), error));
                false
            }
        }
    }

    fn train(&self) -> Result<Kept, String> {
        let published = self.published.borrow().clone();
        let now = self.clock.now();
        let started = tokio::time::Instant::now();
        let popular = self.book.rank_lists();
        let standings = &published.standings;
        let mut kept =
            train(&published.sources, &popular, &standings.suffixes, &standings.shared_hosts, now)?;
        let took = started.elapsed();
        if let Some(training) = &mut kept.training {
            training.took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
            tracing::info!(
                model = %training.model,
                malicious = training.malicious,
                honest = training.honest,
                took_ms = training.took_ms,
                "a model of names was trained"
            );
        }
        kept.write(&self.state)
            .map_err(|error| format!("{}: {error}", model_path(&self.state).display()))?;
        let predictor = kept.predictor.clone();
        // A writer that is gone is being stopped; the next start finds the model on disk.
        let change: Box<dyn FnOnce(&mut crate::pipeline::Standings) + Send> =
            Box::new(move |standings| standings.predictor = predictor);
        let _ = self.events.send(Event::Standings(change));
        Ok(kept)
    }
}

/// Trains on what is in force. The same material and time give the same model.
fn train(
    sources: &[Source],
    popular: &[RankList],
    suffixes: &PublicSuffixes,
    shared_hosts: &SharedHosts,
    now: Timestamp,
) -> Result<Kept, String> {
    let speaks = |source: &&Source| {
        source.profile.trust == Trust::Scored && source.profile.mode == Mode::Enforce
    };
    let feeds: Vec<&Source> = sources.iter().filter(speaks).collect();
    let material = predict::Material {
        feeds: feeds.iter().map(|source| &source.claims).collect(),
        popular,
        suffixes,
        shared_hosts,
        cut: now,
    };
    let training = predict::train(&material).map_err(|error| error.to_string())?;
    let mut lists: Vec<String> = popular.iter().map(|list| list.source.to_string()).collect();
    lists.sort();
    lists.dedup();
    let named = |source: &&&Source| !source.claims.names.is_empty();
    let says = TrainingSays {
        model: training.model.id(),
        trained_at: now.0,
        took_ms: 0,
        malicious: training.malicious,
        honest: training.honest,
        calibrated_on: training.calibrated_on,
        sources: feeds.iter().filter(named).map(|source| source.profile.id.to_string()).collect(),
        lists,
    };
    let predictor = Some(Arc::new(Predictor::new(training.model)));
    Ok(Kept { predictor, training: Some(says) })
}

/// What is kept, for people.
pub fn says_of(kept: &Kept) -> PredictionSays {
    let model = kept.predictor.as_ref().map(|predictor| predictor.model());
    PredictionSays {
        enabled: true,
        running: false,
        model: kept.predictor.as_ref().map(|predictor| predictor.id().to_owned()),
        trained_at: model.map(|model| model.cut.0),
        weights: model.map_or(0, PredictionModel::len),
        training: kept.training.clone(),
        due_at: None,
        failure: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::ClaimsBuilder;
    use crate::model::{Category, Claim, Indicator, Name, Scope, SourceId};
    use crate::names::{NameTable, NameTableBuilder};
    use crate::pipeline::Profile;

    const DAY: u32 = 86_400;
    const NOW: Timestamp = Timestamp(20_000 * DAY);

    /// Two thousand bad names over three months, and as many honest ones.
    fn world() -> (Vec<Source>, Vec<RankList>) {
        let mut claims = ClaimsBuilder::default();
        for n in 0..2_000u32 {
            let seen = Timestamp(NOW.0 - (n % 90) * DAY - 3600);
            let claim = Claim {
                first_seen: seen,
                last_seen: seen,
                scope: Scope::Name,
                category: Category::Phishing,
            };
            let name = Indicator::parse(&format!("secure-login-{n}.top")).unwrap();
            claims.push(&name, claim, false);
        }
        let source = Source {
            profile: Profile::scored("openphish", "openphish"),
            claims: claims.finish(None),
        };
        let mut names: Vec<Name> =
            (0..2_000).map(|n| Name::from_host(&format!("garden{n}.com")).unwrap()).collect();
        names.sort();
        let mut ranks = NameTableBuilder::new(4, None);
        for (at, name) in names.iter().enumerate() {
            ranks.push(name.as_ref(), &(at as u32 + 1).to_le_bytes());
        }
        let list = RankList {
            source: SourceId::new("majestic"),
            day: NOW.0 / DAY - 1,
            ranks: NameTable::built(ranks),
        };
        (vec![source], vec![list])
    }

    #[test]
    fn what_was_trained_is_read_back_with_what_it_was_trained_on() {
        let state = tempfile::tempdir().unwrap();
        let (sources, popular) = world();
        let (suffixes, hosts) = (PublicSuffixes::default(), SharedHosts::default());
        let kept = train(&sources, &popular, &suffixes, &hosts, NOW).unwrap();
        assert!(kept.training.as_ref().unwrap().malicious >= 500);
        kept.write(state.path()).unwrap();
        let (back, finding) = Kept::read(state.path());
        assert!(finding.is_none());
        assert_eq!(back.training, kept.training);
        let says = says_of(&back);
        assert_eq!(says.model, says_of(&kept).model);
        let training = says.training.unwrap();
        assert_eq!(
            (training.sources, training.lists),
            (vec!["openphish".to_owned()], vec!["majestic".to_owned()])
        );
    }

    #[test]
    fn a_broken_model_is_said_and_predicts_nothing() {
        let state = tempfile::tempdir().unwrap();
        std::fs::write(model_path(state.path()), "{}").unwrap();
        let (kept, finding) = Kept::read(state.path());
        assert!(kept.predictor.is_none());
        assert!(finding.unwrap().to_string().contains("prediction.json"));
    }

    #[test]
    fn nothing_is_learnt_from_a_source_that_is_only_observed() {
        let (mut sources, popular) = world();
        sources[0].profile.mode = Mode::Observe;
        let (suffixes, hosts) = (PublicSuffixes::default(), SharedHosts::default());
        let error = train(&sources, &popular, &suffixes, &hosts, NOW).unwrap_err();
        assert!(error.contains("0 names became listed"), "{error}");
    }
}

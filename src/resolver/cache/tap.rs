//! Where answers of the upstream are told on, for those who remember what was seen.
//!
//! Telling never waits: a full channel loses the answer and counts it, since a resolver that is
//! busy has better things to do than to be remembered.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use crate::ports::{Question, Resolution};

/// An answer of the upstream.
#[derive(Debug, Clone)]
pub struct Answered {
    /// What was asked.
    pub question: Question,
    /// What was said, unfiltered.
    pub resolution: Arc<Resolution>,
}

/// The end that tells.
#[derive(Debug, Clone)]
pub struct Tap {
    answers: SyncSender<Answered>,
    lost: Arc<AtomicU64>,
}

/// The end that listens.
#[derive(Debug)]
pub struct Tapped {
    answers: Receiver<Answered>,
    lost: Arc<AtomicU64>,
}

/// A channel that holds so many answers; the cache has most of them anyway.
pub fn tap(answers_max: usize) -> (Tap, Tapped) {
    let (sender, receiver) = sync_channel(answers_max);
    let lost = Arc::new(AtomicU64::new(0));
    (Tap { answers: sender, lost: Arc::clone(&lost) }, Tapped { answers: receiver, lost })
}

impl Tap {
    /// Tells of an answer, or loses it.
    pub fn tell(&self, question: &Question, resolution: &Arc<Resolution>) {
        let answered = Answered { question: question.clone(), resolution: Arc::clone(resolution) };
        if self.answers.try_send(answered).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Tapped {
    /// The next answer, waited for no longer than `patience`. An error where nobody tells any more.
    pub fn wait(&self, patience: Duration) -> Result<Option<Answered>, RecvTimeoutError> {
        match self.answers.recv_timeout(patience) {
            Ok(answered) => Ok(Some(answered)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(gone @ RecvTimeoutError::Disconnected) => Err(gone),
        }
    }

    /// What has come in, at most so many.
    pub fn drain(&self, answers_max: usize) -> impl Iterator<Item = Answered> + '_ {
        self.answers.try_iter().take(answers_max)
    }

    /// Answers lost since the last time this was asked.
    pub fn take_lost(&self) -> u64 {
        self.lost.swap(0, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{about, address};
    use super::*;

    #[test]
    fn a_full_channel_loses_the_newest_and_counts_them() {
        let (tap, tapped) = tap(2);
        for name in ["a.test", "b.test", "c.test"] {
            tap.tell(&about(name), &address(name, 60));
        }
        let names: Vec<String> = tapped.drain(9).map(|a| a.question.name.to_string()).collect();
        assert_eq!(names, ["a.test", "b.test"]);
        assert_eq!((tapped.take_lost(), tapped.take_lost()), (1, 0));
        assert!(matches!(tapped.wait(Duration::ZERO), Ok(None)));
        drop(tap);
        assert!(tapped.wait(Duration::ZERO).is_err());
    }
}

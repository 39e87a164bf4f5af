//! A program that calls home: one domain, asked for at even intervals for hours.
//!
//! People come and go; a program that waits a fixed time between two calls shows it, even with the
//! few percent of jitter that malware adds. Caches make intervals longer, not less even.

use serde_json::{Value, json};

use crate::model::Timestamp;

/// Intervals that are looked at together.
const INTERVALS: usize = 20;
/// Shorter ones are retries and pages with many parts.
const SECONDS_MIN: u32 = 30;
/// Longer ones take days to be seen at all.
const SECONDS_MAX: u32 = 4 * 3600;
/// It goes on for at least so long.
const SPAN_SECONDS_MIN: u32 = 3600;
/// How far intervals lie from their median at most, on average, in percent of it.
const JITTER_PERCENT_MAX: u32 = 10;

/// When a domain was asked for.
#[derive(Debug, Default)]
pub struct Beat {
    last: Option<Timestamp>,
    intervals: std::collections::VecDeque<u32>,
}

impl Beat {
    /// Takes a query. Since when, and the evidence, where it is a sign.
    pub fn see(&mut self, at: Timestamp) -> Option<(Timestamp, Value)> {
        let last = self.last.replace(at)?;
        let interval = last.age_seconds(at);
        if interval < SECONDS_MIN {
            // One call makes several queries: the first of them counts.
            self.last = Some(last);
            return None;
        }
        if interval > SECONDS_MAX {
            self.intervals.clear();
            return None;
        }
        if self.intervals.len() == INTERVALS {
            self.intervals.pop_front();
        }
        self.intervals.push_back(interval);
        if self.intervals.len() < INTERVALS {
            return None;
        }
        let mut sorted: Vec<u32> = self.intervals.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted[INTERVALS / 2];
        let off: u32 = sorted.iter().map(|interval| interval.abs_diff(median)).sum();
        let span: u32 = sorted.iter().sum();
        let jitter_percent = off * 100 / span.max(1);
        let even = jitter_percent <= JITTER_PERCENT_MAX && span >= SPAN_SECONDS_MIN;
        even.then(|| {
            let evidence = json!({
                "interval_seconds": median,
                "jitter_percent": jitter_percent,
                "calls": INTERVALS + 1,
                "seconds": span,
            });
            (Timestamp(at.0.saturating_sub(span)), evidence)
        })
    }
}

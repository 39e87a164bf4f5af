//! How long an answer need not be asked for again (SCORING 5.1, Cache).

use super::DAY_SECONDS;
use super::error::ProviderError;
use crate::model::Timestamp;
use crate::model::lookup::{Answer, Fact};

/// An answer about a name that was known for less than this may change at any hour.
const FRESH_SECONDS: u32 = DAY_SECONDS;
/// The longest that anything is kept.
const CLEAN_SECONDS_MAX: u32 = 30 * DAY_SECONDS;
/// One or two engines are a beginning or an error.
const FEW_SECONDS: u32 = 2 * DAY_SECONDS;
/// Three are a verdict.
const SOME_SECONDS: u32 = 7 * DAY_SECONDS;
/// Engines from which on it is one.
const SOME_ENGINES: u32 = 3;
/// What is not known today may be tomorrow.
const NOT_FOUND_SECONDS: u32 = 2 * DAY_SECONDS;
/// Faults pass.
const FAULT_SECONDS: u32 = 3600;

/// Until when an answer is used as it is. `clean_before` is how often the same question was
/// answered clean before.
pub fn keep_until(
    outcome: Result<&Answer, &ProviderError>,
    clean_before: u32,
    now: Timestamp,
) -> Timestamp {
    let seconds = match outcome {
        Err(ProviderError::NotFound | ProviderError::NoData) => NOT_FOUND_SECONDS,
        Err(_) => FAULT_SECONDS,
        Ok(answer) => match against(answer) {
            0 if is_fresh(answer, now) => {
                (DAY_SECONDS << clean_before.min(5)).min(CLEAN_SECONDS_MAX)
            }
            0 => CLEAN_SECONDS_MAX,
            count if count < SOME_ENGINES => FEW_SECONDS,
            _ => SOME_SECONDS,
        },
    };
    now.plus_seconds(seconds)
}

/// Engines that speak against the target; a test for malware that found something is a verdict.
pub fn against(answer: &Answer) -> u32 {
    let of_fact = |fact: &Fact| match fact {
        Fact::Engines { malicious, suspicious, .. } => malicious.saturating_add(*suspicious),
        Fact::Test(test)
            if test.status != "ok" && test.name.to_ascii_lowercase().contains("malware") =>
        {
            SOME_ENGINES
        }
        _ => 0,
    };
    answer.facts.iter().map(of_fact).max().unwrap_or(0)
}

/// Whether what is asked about was new when it was looked at, as far as the answer says.
fn is_fresh(answer: &Answer, now: Timestamp) -> bool {
    answer.facts.iter().any(|fact| match fact {
        Fact::Engines { known_since, analysed_at, .. } => {
            let analysed = analysed_at.unwrap_or(now);
            known_since.is_none_or(|since| since.age_seconds(analysed) < FRESH_SECONDS)
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_790_000_000);

    fn engines(malicious: u32, known_since: Option<u32>) -> Answer {
        let fact = Fact::Engines {
            malicious,
            suspicious: 0,
            harmless: 60,
            undetected: 30,
            analysed_at: Some(NOW),
            known_since: known_since.map(Timestamp),
            engines: Vec::new(),
        };
        Answer { facts: vec![fact], ..Answer::default() }
    }

    #[test]
    fn an_answer_is_kept_by_what_it_says() {
        let days = |outcome: Result<&Answer, &ProviderError>, before| {
            keep_until(outcome, before, NOW).0.saturating_sub(NOW.0) / DAY_SECONDS
        };
        let old = NOW.0 - 900 * DAY_SECONDS;
        assert_eq!(days(Ok(&engines(0, Some(old))), 0), 30);
        let fresh = engines(0, Some(NOW.0 - 3600));
        let kept: Vec<u32> = (0..7).map(|before| days(Ok(&fresh), before)).collect();
        assert_eq!(kept, [1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(days(Ok(&engines(2, Some(old))), 0), 2);
        assert_eq!(days(Ok(&engines(3, Some(old))), 0), 7);
        assert_eq!(days(Err(&ProviderError::NotFound), 0), 2);
        let fault = ProviderError::Server { status: 500, says: String::new() };
        assert_eq!(keep_until(Err(&fault), 0, NOW), NOW.plus_seconds(3600));
    }
}

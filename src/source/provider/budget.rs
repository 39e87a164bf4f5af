//! How much may still be asked of one service with one key.
//!
//! Whoever asks takes from the budget first and asks then, so that a crash costs a unit at most and
//! never a quota. A service that says that it was asked too much, refuses the key or has a fault is
//! left alone for a while; the others go on.

use std::collections::VecDeque;

use super::error::{ProviderError, Window};
use super::settings::Limits;
use super::{DAY_SECONDS, Signs};
use crate::model::Timestamp;

/// A minute's limit holds in any sixty seconds.
const MINUTE_SECONDS: u32 = 60;
/// Of a day this share is kept for people, in percent (SCORING 5.1).
const INTERACTIVE_PERCENT: u32 = 5;
/// Of a day this share is kept for its last hours, in percent (SCORING 5.1).
const EVENING_PERCENT: u32 = 15;
/// When those begin, in seconds after midnight.
const EVENING_SECONDS: u32 = 18 * 3600;
/// After a quota was exceeded the background asks at half its pace for this long (SCORING 5.1).
const HALF_PACE_SECONDS: u32 = 3600;
/// Without a word on when, a service is asked again after this long.
const PAUSE_SECONDS: u32 = 60;
/// A refused key does not come right by itself; it may have been a slip of the service.
const KEY_PAUSE_SECONDS: u32 = 3600;
/// Faults are waited out twice as long each time, up to this.
const FAULT_PAUSE_SECONDS_MAX: u32 = 3600;
/// Nobody is kept waiting by a service for longer than this, whatever it says.
const RETRY_SECONDS_MAX: u32 = 31 * DAY_SECONDS;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Somebody waits.
    Interactive,
    /// Nobody does.
    Background,
}

/// Why nothing is asked now, and from when on it may be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Hold {
    /// Why.
    pub reason: String,
    /// Until when.
    pub until: Timestamp,
}

/// Units that were asked in one minute, as the ledger keeps them.
pub type Minute = (Timestamp, u32);

/// The budget of one service and key.
#[derive(Debug, Clone)]
pub struct Budget {
    limits: Limits,
    day: (String, u32),
    month: (String, u32),
    /// What was asked in the last sixty seconds.
    recent: VecDeque<Minute>,
    last_at: Option<Timestamp>,
    hold: Option<Hold>,
    /// Whether the hold is for a fault that may be over for the next who asks.
    fault: bool,
    half_pace_until: Timestamp,
    faults: u32,
    exceeded: u32,
    /// What the service says is left of its credits.
    credits_left: Option<u64>,
}

impl Budget {
    /// A budget of which this much was used since the beginning of the month.
    pub fn new(limits: Limits, used: &[Minute], now: Timestamp) -> Self {
        let mut budget = Self {
            limits,
            day: (day(now), 0),
            month: (month(now), 0),
            recent: VecDeque::new(),
            last_at: None,
            hold: None,
            fault: false,
            half_pace_until: Timestamp(0),
            faults: 0,
            exceeded: 0,
            credits_left: None,
        };
        for &(at, units) in used {
            budget.day.1 += if day(at) == budget.day.0 { units } else { 0 };
            budget.month.1 += if month(at) == budget.month.0 { units } else { 0 };
            // Of a minute it is not known when in it, so the latest counts.
            let at = at.plus_seconds(MINUTE_SECONDS - 1).min(now);
            if at.age_seconds(now) < MINUTE_SECONDS {
                budget.recent.push_back((at, units));
            }
        }
        budget
    }

    /// Whether so many units may be asked now.
    pub fn check(&self, purpose: Purpose, units: u32, now: Timestamp) -> Result<(), Hold> {
        let interactive = purpose == Purpose::Interactive;
        if let Some(hold) = self.hold.as_ref().filter(|hold| now < hold.until)
            && !(interactive && self.fault)
        {
            return Err(hold.clone());
        }
        let held = |reason: String, until| Err(Hold { reason, until });
        if units == 0 {
            return Ok(());
        }
        if self.credits_left.is_some_and(|left| left < u64::from(units)) {
            return held("the service says that no credits are left".to_owned(), next_month(now));
        }
        let limits = &self.limits;
        if self.used_in_month(now) + units > limits.per_month {
            let reason = format!("the month's {} look-ups are used up", limits.per_month);
            return held(reason, next_month(now));
        }
        let used = self.used_today(now) + units;
        if used > limits.per_day {
            let reason = format!("the day's {} look-ups are used up", limits.per_day);
            return held(reason, next_day(now));
        }
        if !interactive {
            let (for_background, until) = background_share(limits.per_day, now);
            if used > for_background {
                let rest = limits.per_day - for_background;
                let reason = format!("the day's last {rest} look-ups are kept for people");
                let reason = match until == next_day(now) {
                    true => reason,
                    false => format!("{reason} and for the evening"),
                };
                return held(reason, until);
            }
        }
        self.check_pace(interactive, units, now)
    }

    fn check_pace(&self, interactive: bool, units: u32, now: Timestamp) -> Result<(), Hold> {
        if let Some(last) = self.last_at
            && last.age_seconds(now) < self.limits.spacing_seconds
        {
            let reason = format!("one request in {} s", self.limits.spacing_seconds);
            return Err(Hold { reason, until: last.plus_seconds(self.limits.spacing_seconds) });
        }
        let halved = !interactive && now < self.half_pace_until;
        let pace =
            if halved { (self.limits.per_minute / 2).max(1) } else { self.limits.per_minute };
        let recent = || self.recent.iter().filter(|(at, _)| at.age_seconds(now) < MINUTE_SECONDS);
        // One question that costs more than a minute allows is asked alone.
        let mut used: u32 = recent().map(|(_, units)| units).sum();
        if used == 0 || used + units <= pace {
            return Ok(());
        }
        let mut until = now.plus_seconds(1);
        for (at, units_then) in recent() {
            if used + units <= pace {
                break;
            }
            used -= units_then;
            until = at.plus_seconds(MINUTE_SECONDS);
        }
        Err(Hold { reason: format!("{pace} look-ups a minute"), until })
    }

    /// Takes units.
    pub fn take(&mut self, units: u32, now: Timestamp) {
        let (today, this_month) = (self.used_today(now), self.used_in_month(now));
        self.day = (day(now), today + units);
        self.month = (month(now), this_month + units);
        while self.recent.front().is_some_and(|(at, _)| at.age_seconds(now) >= MINUTE_SECONDS) {
            self.recent.pop_front();
        }
        self.recent.push_back((now, units));
        self.last_at = Some(now);
    }

    /// Learns from how a question went.
    pub fn learn(&mut self, signs: &Signs, error: Option<&ProviderError>, now: Timestamp) {
        if let Some((left, _)) = signs.credits() {
            self.credits_left = Some(left);
        }
        let Some(error) = error.filter(|error| error.degrades()) else {
            (self.hold, self.fault, self.faults, self.exceeded) = (None, false, 0, 0);
            if signs.rate_remaining == Some(0) {
                let reason = "the service says that its minute is used up".to_owned();
                self.hold = Some(Hold { reason, until: now.plus_seconds(PAUSE_SECONDS) });
            }
            return;
        };
        self.fault = false;
        let until = match error {
            ProviderError::Quota { window, retry_after_seconds, until, .. } => {
                self.half_pace_until = now.plus_seconds(HALF_PACE_SECONDS);
                self.exceeded += 1;
                self.quota_until(*window, *retry_after_seconds, *until, now)
            }
            ProviderError::KeyMissing { .. } | ProviderError::KeyRefused { .. } => {
                now.plus_seconds(KEY_PAUSE_SECONDS)
            }
            _ => {
                self.fault = true;
                let pause = PAUSE_SECONDS << self.faults.min(6);
                self.faults += 1;
                let asked = signs.retry_after_seconds.unwrap_or(0).min(RETRY_SECONDS_MAX);
                now.plus_seconds(pause.min(FAULT_PAUSE_SECONDS_MAX).max(asked))
            }
        };
        self.hold = Some(Hold { reason: error.to_string(), until });
    }

    /// When a quota is there again: as the service says; else by the window; and where it does not
    /// say which, after a minute, and if that was too early, on the next day.
    fn quota_until(
        &self,
        window: Window,
        retry_after_seconds: Option<u32>,
        until: Option<Timestamp>,
        now: Timestamp,
    ) -> Timestamp {
        if let Some(seconds) = retry_after_seconds {
            return now.plus_seconds(seconds.clamp(1, RETRY_SECONDS_MAX));
        }
        match (window, until) {
            (_, Some(until)) if until > now => until.min(now.plus_seconds(RETRY_SECONDS_MAX)),
            (Window::Day, _) => next_day(now),
            (Window::Month, _) => next_month(now),
            (Window::Unknown, _) if self.exceeded > 1 => next_day(now),
            _ => now.plus_seconds(PAUSE_SECONDS),
        }
    }

    /// Units that the background may still use today.
    pub fn left_for_background(&self, now: Timestamp) -> u32 {
        let (share, _) = background_share(self.limits.per_day, now);
        let month = self.limits.per_month.saturating_sub(self.used_in_month(now));
        share.saturating_sub(self.used_today(now)).min(month)
    }

    /// Units used today.
    pub fn used_today(&self, now: Timestamp) -> u32 {
        if self.day.0 == day(now) { self.day.1 } else { 0 }
    }

    /// Units used in this month.
    pub fn used_in_month(&self, now: Timestamp) -> u32 {
        if self.month.0 == month(now) { self.month.1 } else { 0 }
    }

    /// What the service says is left.
    pub fn credits_left(&self) -> Option<u64> {
        self.credits_left
    }

    /// Why the service is left alone, if it is.
    pub fn hold(&self, now: Timestamp) -> Option<&Hold> {
        self.hold.as_ref().filter(|hold| now < hold.until)
    }

    /// How much there is.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// What the background may use of a day, and until when no more than that.
fn background_share(per_day: u32, now: Timestamp) -> (u32, Timestamp) {
    let kept = |percent: u32| (per_day * percent).div_ceil(100);
    let rest = per_day.saturating_sub(kept(INTERACTIVE_PERCENT));
    match now.0 % DAY_SECONDS < EVENING_SECONDS {
        true => {
            let evening = Timestamp(now.0 - now.0 % DAY_SECONDS + EVENING_SECONDS);
            (rest.saturating_sub(kept(EVENING_PERCENT)), evening)
        }
        false => (rest, next_day(now)),
    }
}

/// Quotas follow UTC.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn month(at: Timestamp) -> String {
    at.to_string().chars().take(7).collect()
}

/// The first second of the month.
pub fn month_start(now: Timestamp) -> Timestamp {
    Timestamp::parse(&format!("{}-01", month(now))).unwrap_or_default()
}

fn next_day(now: Timestamp) -> Timestamp {
    Timestamp(now.0 - now.0 % DAY_SECONDS).plus_seconds(DAY_SECONDS)
}

fn next_month(now: Timestamp) -> Timestamp {
    // A month and four days after its first day lies in the next one.
    month_start(month_start(now).plus_seconds(32 * DAY_SECONDS + 12 * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits =
        Limits { per_minute: 4, spacing_seconds: 0, per_day: 100, per_month: 1000 };

    fn at(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn hold(budget: &Budget, purpose: Purpose, now: Timestamp) -> Option<(String, String)> {
        let hold = budget.check(purpose, 1, now).err()?;
        Some((hold.reason, hold.until.to_string()))
    }

    fn quota(window: Window) -> ProviderError {
        ProviderError::Quota {
            window,
            retry_after_seconds: None,
            until: None,
            says: "no".to_owned(),
        }
    }

    #[test]
    fn any_sixty_seconds_have_the_minutes_limit() {
        let now = at("2026-08-20 12:00:50");
        let mut budget = Budget::new(LIMITS, &[], now);
        (0..4).for_each(|second| budget.take(1, now.plus_seconds(second)));
        let later = at("2026-08-20 12:01:40");
        let (reason, until) = hold(&budget, Purpose::Interactive, later).unwrap();
        assert_eq!(
            (reason.as_str(), until.as_str()),
            ("4 look-ups a minute", "2026-08-20T12:01:50Z")
        );
        assert_eq!(hold(&budget, Purpose::Interactive, at("2026-08-20 12:01:50")), None);
    }

    #[test]
    fn a_restart_knows_what_was_used() {
        let now = at("2026-08-20 12:00:30");
        let used = [
            (at("2026-07-31 23:59"), 500),
            (at("2026-08-19 10:00"), 900),
            (at("2026-08-20 11:00"), 60),
            (at("2026-08-20 12:00"), 4),
        ];
        let budget = Budget::new(LIMITS, &used, now);
        assert_eq!((budget.used_today(now), budget.used_in_month(now)), (64, 964));
        assert!(hold(&budget, Purpose::Interactive, now).is_some(), "four in this minute");
        let later = at("2026-08-20 12:02");
        assert_eq!(hold(&budget, Purpose::Interactive, later), None);
    }

    #[test]
    fn the_background_leaves_some_to_people_and_to_the_evening() {
        let noon = at("2026-08-20 12:00");
        let budget = |used| Budget::new(LIMITS, &[(at("2026-08-20 01:00"), used)], noon);
        assert_eq!(hold(&budget(79), Purpose::Background, noon), None);
        let (reason, until) = hold(&budget(80), Purpose::Background, noon).unwrap();
        assert_eq!(reason, "the day's last 20 look-ups are kept for people and for the evening");
        assert_eq!(until, "2026-08-20T18:00:00Z");
        let evening = at("2026-08-20 18:00");
        assert_eq!(hold(&budget(94), Purpose::Background, evening), None);
        assert!(hold(&budget(95), Purpose::Background, evening).is_some());
        assert_eq!(hold(&budget(99), Purpose::Interactive, noon), None);
        let (_, until) = hold(&budget(100), Purpose::Interactive, noon).unwrap();
        assert_eq!(until, "2026-08-21T00:00:00Z");
    }

    #[test]
    fn a_quota_that_does_not_say_which_is_a_minute_first_and_a_day_then() {
        let now = at("2026-12-31 12:00");
        let mut budget = Budget::new(LIMITS, &[], now);
        budget.learn(&Signs::default(), Some(&quota(Window::Unknown)), now);
        let (_, until) = hold(&budget, Purpose::Interactive, now).unwrap();
        assert_eq!(until, "2026-12-31T12:01:00Z");
        budget.learn(&Signs::default(), Some(&quota(Window::Unknown)), now);
        assert_eq!(hold(&budget, Purpose::Interactive, now).unwrap().1, "2027-01-01T00:00:00Z");
        budget.learn(&Signs::default(), Some(&quota(Window::Month)), now);
        assert_eq!(hold(&budget, Purpose::Background, now).unwrap().1, "2027-01-01T00:00:00Z");
        budget.learn(&Signs::default(), None, now);
        assert_eq!(hold(&budget, Purpose::Interactive, now), None);
        // The background keeps to half the pace for an hour.
        (0..2).for_each(|_| budget.take(1, now));
        assert!(hold(&budget, Purpose::Background, now).is_some());
        assert_eq!(hold(&budget, Purpose::Interactive, now), None);
    }

    #[test]
    fn what_the_service_says_goes_before() {
        let now = at("2026-02-10 12:00");
        let mut budget = Budget::new(LIMITS, &[], now);
        let error = ProviderError::Quota {
            window: Window::Minute,
            retry_after_seconds: Some(300),
            until: None,
            says: String::new(),
        };
        budget.learn(&Signs::default(), Some(&error), now);
        assert_eq!(hold(&budget, Purpose::Interactive, now).unwrap().1, "2026-02-10T12:05:00Z");
        let text = "call-usage=1; available=0; reset=1788220800";
        let signs = Signs { service_quota: Some(text.to_owned()), ..Signs::default() };
        budget.learn(&signs, None, now);
        let (reason, until) = hold(&budget, Purpose::Interactive, now).unwrap();
        assert_eq!(reason, "the service says that no credits are left");
        assert_eq!(until, "2026-03-01T00:00:00Z");
    }

    #[test]
    fn faults_are_waited_out_longer_each_time_but_do_not_stop_people() {
        let now = at("2026-08-20 12:00");
        let mut budget = Budget::new(LIMITS, &[], now);
        let fault = ProviderError::Server { status: 503, says: String::new() };
        for until in ["12:01:00", "12:02:00", "12:04:00"] {
            budget.learn(&Signs::default(), Some(&fault), now);
            let shown = hold(&budget, Purpose::Background, now).unwrap().1;
            assert_eq!(shown, format!("2026-08-20T{until}Z"));
            assert_eq!(hold(&budget, Purpose::Interactive, now), None);
        }
        (0..40).for_each(|_| budget.learn(&Signs::default(), Some(&fault), now));
        assert_eq!(hold(&budget, Purpose::Background, now).unwrap().1, "2026-08-20T13:00:00Z");
        // That it knows nothing of a name is no fault.
        budget.learn(&Signs::default(), Some(&ProviderError::NotFound), now);
        assert_eq!(hold(&budget, Purpose::Background, now), None);
    }
}

//! Points in time, always handed in: no module below the daemon reads a clock.

use std::fmt;

/// Seconds since 1970-01-01 UTC, until the year 2106.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
pub struct Timestamp(pub u32);

impl Timestamp {
    /// Whole hours from `self` to `now`; a time in the future has age 0 (SCORING 2.1).
    pub fn age_hours(self, now: Timestamp) -> u32 {
        now.0.saturating_sub(self.0) / 3600
    }

    /// Seconds from `self` to `now`; a time in the future has age 0.
    pub fn age_seconds(self, now: Timestamp) -> u32 {
        now.0.saturating_sub(self.0)
    }

    /// This time plus some seconds, at most the last second that can be written.
    pub fn plus_seconds(self, seconds: u32) -> Timestamp {
        Timestamp(self.0.saturating_add(seconds))
    }

    /// Reads `2026-11-24T05:06:07Z`, `2026-11-24 05:06:07` (taken as UTC), `2026-11-24` and
    /// seconds since 1970, as feeds write them.
    pub fn parse(text: &str) -> Option<Timestamp> {
        let text = text.trim().trim_end_matches(" UTC");
        if let Ok(seconds) = text.parse::<u32>() {
            return Some(Timestamp(seconds));
        }
        let zoned = text.parse::<jiff::Timestamp>().ok();
        let seconds = match zoned {
            Some(at) => at.as_second(),
            None => {
                let civil = text.parse::<jiff::civil::DateTime>().ok()?;
                jiff::tz::TimeZone::UTC.to_timestamp(civil).ok()?.as_second()
            }
        };
        u32::try_from(seconds).ok().map(Timestamp)
    }
}

/// `2026-11-24T05:06:07Z`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_second(i64::from(self.0)) {
            Ok(at) => at.fmt(f),
            Err(_) => self.0.fmt(f),
        }
    }
}

/// Reads the time. The one implementation that asks the system is the daemon's.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> Timestamp;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_read_as_feeds_write_them() {
        let at = Timestamp(1_787_419_808);
        for text in
            ["1787419808", "2026-08-22T17:30:08Z", "2026-08-22 17:30:08", "2026-08-22 17:30:08 UTC"]
        {
            assert_eq!(Timestamp::parse(text), Some(at), "{text}");
        }
        assert_eq!(Timestamp::parse("2026-08-22").unwrap().to_string(), "2026-08-22T00:00:00Z");
        assert_eq!(Timestamp::parse("yesterday"), None);
        assert_eq!(Timestamp::parse("1850-01-01"), None);
    }

    #[test]
    fn ages_are_whole_hours_and_never_negative() {
        assert_eq!(Timestamp(0).age_hours(Timestamp(7199)), 1);
        assert_eq!(Timestamp(9000).age_hours(Timestamp(0)), 0);
    }
}

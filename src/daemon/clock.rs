//! The one place that asks the system for the time.

use crate::model::Timestamp;
use crate::model::time::Clock;

/// The system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "everybody else takes the time as an argument")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 or after 2106 is wrong; the ends of the range keep ages sensible.
        let seconds = since.map_or(0, |since| since.as_secs());
        Timestamp(u32::try_from(seconds).unwrap_or(u32::MAX))
    }
}

//! The table `[prediction]`.

use super::super::Prediction;
use super::words;
use crate::document::Table;

/// Training more often than the feeds bring news teaches nothing; less often than monthly, the
/// model is older than what it was calibrated on.
const INTERVAL_SECONDS: std::ops::RangeInclusive<u32> = 3600..=30 * 86_400;

/// Reads the table; what is missing has its default.
pub(super) fn prediction(table: Option<&Table<'_>>) -> Prediction {
    let get = |key| table.and_then(|table| table.get(key));
    let otherwise = Prediction::default();
    Prediction {
        enabled: get("enabled").and_then(|v| v.flag()).unwrap_or(otherwise.enabled),
        interval_seconds: get("interval")
            .and_then(|v| v.parse(|text| words::seconds(text, INTERVAL_SECONDS)))
            .unwrap_or(otherwise.interval_seconds),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn it_is_on_and_daily_unless_the_file_says_otherwise() {
        let (config, _) = read("");
        let daily = Prediction { enabled: true, interval_seconds: 86_400 };
        assert_eq!(config.unwrap().prediction, daily);
        let (config, _) = read("[prediction]\nenabled = false\ninterval = '7d'\n");
        let weekly = Prediction { enabled: false, interval_seconds: 7 * 86_400 };
        assert_eq!(config.unwrap().prediction, weekly);
        let (_, findings) = read("[prediction]\ninterval = '5m'\n");
        assert!(findings.contains("no span of time that fits here"), "{findings}");
    }
}

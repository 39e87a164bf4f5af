//! The table `[registration]`.

use super::super::RegistrationLookups;
use crate::document::Table;

/// Registries ask for moderation; a thousand new domains a day are more than a network meets.
const PER_DAY: std::ops::RangeInclusive<i64> = 1..=10_000;

/// Reads the table; what is missing has its default.
pub(super) fn registration(table: Option<&Table<'_>>) -> RegistrationLookups {
    let get = |key| table.and_then(|table| table.get(key));
    let otherwise = RegistrationLookups::default();
    RegistrationLookups {
        enabled: get("enabled").and_then(|v| v.flag()).unwrap_or(otherwise.enabled),
        per_day: get("per_day")
            .and_then(|v| v.integer(PER_DAY))
            .and_then(|number| u32::try_from(number).ok())
            .unwrap_or(otherwise.per_day),
        whois: get("whois").and_then(|v| v.flag()).unwrap_or(otherwise.whois),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn nobody_is_asked_unless_the_file_says_so() {
        let (config, _) = read("");
        assert!(!config.unwrap().registration.enabled);
        let (config, _) = read("[registration]\nenabled = true\nper_day = 9\nwhois = false\n");
        let few = RegistrationLookups { enabled: true, per_day: 9, whois: false };
        assert_eq!(config.unwrap().registration, few);
        let (_, findings) = read("[registration]\nper_day = 0\n");
        assert!(findings.contains("per_day"), "{findings}");
    }
}

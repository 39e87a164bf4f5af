//! The table `[pdns]`.

use super::super::PassiveDns;
use super::words;
use crate::document::Table;
use crate::pdns::Limits;

/// A local history looks back on 60 days; what is older than two years says nothing of today.
const AGE_SECONDS: std::ops::RangeInclusive<u32> = 86_400..=730 * 86_400;
/// Less holds no network's names, more no machine that runs a resolver has to spare.
const SIZE_OCTETS: std::ops::RangeInclusive<u64> = 1 << 20..=16 << 30;

/// Reads the table; what is missing has its default.
pub(super) fn pdns(table: Option<&Table<'_>>) -> PassiveDns {
    let get = |key| table.and_then(|table| table.get(key));
    let otherwise = PassiveDns::default();
    let size = get("size_max").and_then(|v| v.parse(|text| words::octets(text, SIZE_OCTETS)));
    let age = get("age_max").and_then(|v| v.parse(|text| words::seconds(text, AGE_SECONDS)));
    PassiveDns {
        enabled: get("enabled").and_then(|v| v.flag()).unwrap_or(otherwise.enabled),
        signs: get("signs").and_then(|v| v.flag()).unwrap_or(otherwise.signs),
        limits: Limits {
            size_octets_max: size
                .and_then(|size| usize::try_from(size).ok())
                .unwrap_or(otherwise.limits.size_octets_max),
            age_seconds_max: age.unwrap_or(otherwise.limits.age_seconds_max),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::read;
    use super::*;

    #[test]
    fn it_is_on_within_bounds_unless_the_file_says_otherwise() {
        let (config, _) = read("");
        assert_eq!(config.unwrap().pdns, PassiveDns::default());
        let (config, _) =
            read("[pdns]\nenabled = false\nsigns = false\nsize_max = '1MiB'\nage_max = '1d'\n");
        let limits = Limits { size_octets_max: 1 << 20, age_seconds_max: 86_400 };
        assert_eq!(config.unwrap().pdns, PassiveDns { enabled: false, signs: false, limits });
        let (_, findings) = read("[pdns]\nage_max = '1h'\n");
        assert!(findings.contains("no span of time that fits here"), "{findings}");
    }
}

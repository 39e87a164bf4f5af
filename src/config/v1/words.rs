//! Values that are written as strings: sizes, spans of time, addresses, names.

use std::net::SocketAddr;
use std::ops::RangeInclusive;

use crate::diagnostic::Diagnostic;
use crate::model::{Name, Network, NetworkError};
use crate::resolver::upstream::check_anchors;

/// Reads a number with a unit from the table of units.
fn with_unit(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let unit = text[digits..].trim();
    let (_, factor) = units.iter().find(|(word, _)| *word == unit)?;
    number.checked_mul(*factor)
}

/// Reads a span of time, `90s`, `5m`, `12h` or `1d`, in seconds.
pub(super) fn seconds(text: &str, range: RangeInclusive<u32>) -> Result<u32, Diagnostic> {
    let units = [("s", 1), ("m", 60), ("h", 3600), ("d", 86_400)];
    let seconds = with_unit(text, &units).and_then(|seconds| u32::try_from(seconds).ok());
    seconds.filter(|seconds| range.contains(seconds)).ok_or_else(|| {
        Diagnostic::error(format!("`{text}` is no span of time that fits here")).hint(format!(
            "a number and `s`, `m`, `h` or `d`, from {} to {} seconds",
            range.start(),
            range.end()
        ))
    })
}

/// Reads a size, `64KiB`, `64MiB` or `2GiB`, in octets.
pub(super) fn octets(text: &str, range: RangeInclusive<u64>) -> Result<u64, Diagnostic> {
    let units = [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)];
    let octets = with_unit(text, &units);
    octets.filter(|octets| range.contains(octets)).ok_or_else(|| {
        Diagnostic::error(format!("`{text}` is no size that fits here")).hint(format!(
            "a number and `KiB`, `MiB` or `GiB`, from {} MiB to {} MiB",
            range.start() >> 20,
            range.end() >> 20
        ))
    })
}

/// Reads an address with a port.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, Diagnostic> {
    text.parse().map_err(|_| {
        Diagnostic::error(format!("`{text}` is not an address with a port"))
            .hint("as in `127.0.0.1:53` or `[::1]:53`")
    })
}

/// Reads an address or a network.
pub(super) fn network(text: &str) -> Result<Network, Diagnostic> {
    Network::parse_strict(text).map_err(|error| {
        let finding = Diagnostic::error(format!("the network `{text}` is refused: {error}"));
        match (error, Network::parse_lenient(text)) {
            (NetworkError::HostBits, Ok(network)) => finding.hint(format!("write `{network}`")),
            _ => finding.hint("an address, or an address and a prefix length: `192.0.2.0/24`"),
        }
    })
}

/// Reads the name of a zone; `.` is the root.
pub(super) fn zone_name(text: &str) -> Result<Name, Diagnostic> {
    match text {
        "." => Ok(Name::root()),
        _ => Name::from_host(text)
            .map_err(|error| Diagnostic::error(format!("the name `{text}` is refused: {error}"))),
    }
}

/// Checks trust anchors: DNSKEY records in master file form.
pub(super) fn trust_anchors(text: &str) -> Result<String, Diagnostic> {
    match check_anchors(text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(Diagnostic::error(error.to_string()).hint(
            "DNSKEY records, one a line: `. 172800 IN DNSKEY 257 3 8 AwEA…`; a line `iana` stands \
             for the root's published keys",
        )),
    }
}

/// Checks levels of the log.
pub(super) fn levels(text: &str) -> Result<String, Diagnostic> {
    let parsed = tracing_subscriber::EnvFilter::builder().with_regex(false).parse(text);
    match parsed {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(Diagnostic::error(format!("the levels are refused: {error}"))
            .hint("`error`, `warn`, `info`, `debug` or `trace`, or `info,sekisho::source=debug`")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_and_sizes_need_a_unit_and_fit_their_range() {
        let read = |text| seconds(text, 1..=100_000).ok();
        assert_eq!(["90s", "5 m", "12h", "1d"].map(read), [90, 300, 43_200, 86_400].map(Some));
        assert_eq!(["90", "m", "2d", "-5m", "5M", ""].map(read), [None; 6]);
        let read = |text| octets(text, 1 << 20..=1 << 40).ok();
        assert_eq!(["64MiB", "2 GiB", "1024KiB"].map(read), [64 << 20, 2 << 30, 1 << 20].map(Some));
        assert_eq!(["64MB", "1KiB", "99999999999999999999GiB"].map(read), [None; 3]);
    }

    #[test]
    fn trust_anchors_are_dnskey_records() {
        let key = "AwEAAaz/tAm8yTn4Mfeh5eyI96WSVexTBAvkMgJzkKTOiW1vkIbzxeF3+/4RgWOq7HrxRixHlFlExOLA\
                   Jr5emLvN7SWXgnLh4+B5xQlNVz8Og8kvArMtNROxVQuCaSnIDdD5LKyWbRd2n9WGe2R8PzgCmr3EgVLr\
                   jyBxWezF0jLHwVN8efS3rCj/EWgvIWgb9tarpVUDK/b58Da+sqqls3eNbuv7pr+eoZG+SrDK6nWeL3c6\
                   H5Apxz7LjVc1uTIdsIXxuOLYA4/ilBmSVIzuDWfdRUfhHdY6+cn8HFRm+2hM8AnXGXws9555KrUB5qih\
                   ylGa8subX2Nn6UwNR1AkUTV74bU=";
        assert!(trust_anchors(&format!(". 172800 IN DNSKEY 257 3 8 {key}")).is_ok());
        assert!(trust_anchors(". IN DNSKEY 257 3 8 x").is_err());
        assert!(trust_anchors("").is_err());
    }
}

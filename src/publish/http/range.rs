//! Parts of a file (RFC 9110 section 14): one range of octets. Several at once are answered with the
//! whole, as a server may.

/// What is asked for of a file of some octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// From the first octet on, so many.
    Octets(u64, u64),
    /// Nothing that there is.
    Outside,
}

/// Reads a `Range` header.
pub fn part(header: Option<&str>, octets: u64) -> Part {
    let Some(ranges) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = ranges.split_once('-') else { return Part::Whole };
    let number = |text: &str| -> Option<u64> {
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        // More digits than a number holds are beyond every file.
        digits.then(|| text.parse().unwrap_or(u64::MAX))
    };
    match (first.trim(), last.trim()) {
        ("", last) => match number(last) {
            None => Part::Whole,
            Some(0) => Part::Outside,
            Some(_) if octets == 0 => Part::Outside,
            Some(count) => {
                let count = count.min(octets);
                Part::Octets(octets - count, count)
            }
        },
        (first, last) => {
            let Some(first) = number(first) else { return Part::Whole };
            let last = match last {
                "" => Some(u64::MAX),
                last => number(last),
            };
            match last {
                None => Part::Whole,
                // An invalid range is as if it were not there.
                Some(last) if last < first => Part::Whole,
                Some(_) if first >= octets => Part::Outside,
                Some(last) => Part::Octets(first, last.min(octets - 1) - first + 1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_as_the_standard_has_it() {
        for (header, expected) in [
            ("bytes=0-9", Part::Octets(0, 10)),
            ("bytes=90-", Part::Octets(90, 10)),
            ("bytes=90-999", Part::Octets(90, 10)),
            ("bytes=-10", Part::Octets(90, 10)),
            ("bytes=-999", Part::Octets(0, 100)),
            ("bytes=99-99", Part::Octets(99, 1)),
            ("bytes=100-", Part::Outside),
            ("bytes=-0", Part::Outside),
            ("bytes=99999999999999999999999-", Part::Outside),
            ("bytes=9-5", Part::Whole),
            ("bytes=0-1,5-6", Part::Whole),
            ("bytes=x-1", Part::Whole),
            ("lines=0-1", Part::Whole),
        ] {
            assert_eq!(part(Some(header), 100), expected, "{header}");
        }
        assert_eq!(part(None, 100), Part::Whole);
        assert_eq!(part(Some("bytes=-5"), 0), Part::Outside);
    }
}

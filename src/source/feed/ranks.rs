//! Popularity lists: a name a line, with its rank or tier where the list gives one.
//!
//! `1,google.com` (Tranco, Umbrella), `1,1,google.com,com,…` (Majestic), `https://www.a.com,1000`
//! (CrUX), `google.com<tab>200` and `google.com,100k` (tiers, of which the bound counts), or the name
//! alone, whose tier is then that of the whole list.

use super::Entry;
use super::Reason;
use super::domains::without_comment;
use super::report::{Tally, host_name};
use crate::model::Indicator;

/// The rank of a name that stands alone on its line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RankLayout {
    /// The list holds the names up to this rank, in no order; none where each line has a rank.
    pub tier: Option<u32>,
}

pub(super) fn line(layout: RankLayout, text: &str, tally: &mut Tally<'_>) {
    let text = text.trim();
    if let Some(comment) = text.strip_prefix('#') {
        return tally.comment(comment);
    }
    let text = without_comment(text);
    let fields = || text.split([',', '\t', ' ', ';']).map(|field| field.trim_matches('"'));
    let given = fields().find_map(rank);
    let Some(rank) = given.or(layout.tier) else {
        return tally.reject(text, Reason::RankMissing);
    };
    // The name is the first field with a dot in it; a lone word is none.
    let host = fields().find(|field| field.contains('.')).unwrap_or(text);
    let host = host.split_once("://").map_or(host, |(_, host)| host);
    match host_name(host, tally.limits) {
        Ok(name) => {
            let entry = Entry::of(Indicator::Domain(name));
            tally.entry(Entry { rank: Some(rank), ..entry });
        }
        Err(reason) => tally.reject(text, reason),
    }
}

/// `200`, `100k`, `1m`.
fn rank(text: &str) -> Option<u32> {
    let (digits, unit) = match text.as_bytes().last()?.to_ascii_lowercase() {
        b'k' => (&text[..text.len() - 1], 1_000),
        b'm' => (&text[..text.len() - 1], 1_000_000),
        _ => (text, 1),
    };
    digits.parse::<u32>().ok()?.checked_mul(unit).filter(|rank| *rank > 0)
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{read, rejects};
    use super::RankLayout;

    fn ranks(tier: Option<u32>, text: &str) -> Vec<(String, u32)> {
        let (entries, _) = read(&Format::Ranks(RankLayout { tier }), text.as_bytes());
        entries.iter().map(|e| (e.subject.to_string(), e.rank.unwrap())).collect()
    }

    #[test]
    fn ranks_and_tiers_stand_before_or_after_the_name_or_hold_for_the_whole_list() {
        let named = |list: &[(&str, u32)]| -> Vec<(String, u32)> {
            list.iter().map(|(name, rank)| ((*name).to_owned(), *rank)).collect()
        };
        assert_eq!(
            ranks(None, "1,google.com\n2,a.org\n"),
            named(&[("google.com", 1), ("a.org", 2)])
        );
        assert_eq!(
            ranks(None, "0-0c.com\t100k\ngoogle.com\t200\n\"b.com\",1m\n"),
            named(&[("0-0c.com", 100_000), ("google.com", 200), ("b.com", 1_000_000)])
        );
        assert_eq!(
            ranks(None, "7,3,c.com,com,1,2\nhttps://www.d.com,1000\n"),
            named(&[("c.com", 7), ("www.d.com", 1_000)])
        );
        assert_eq!(ranks(Some(10_000), "10086.cn\n# end\n"), named(&[("10086.cn", 10_000)]));
    }

    #[test]
    fn a_line_without_a_rank_is_rejected() {
        let format = Format::Ranks(RankLayout { tier: None });
        assert_eq!(
            rejects(&format, "a.com\nb.com,x\n1,nodot\n0,c.com\n"),
            [
                "1: no rank, and the list has no tier",
                "2: no rank, and the list has no tier",
                "3: the character ',' cannot stand in a host name",
                "4: no rank, and the list has no tier",
            ]
        );
    }
}

//! Names made up by a program: many domains in a short time that do not exist.
//!
//! Malware tries the names of its day until one answers. People mistype one at a time; a search
//! suffix makes many names below one domain, which counts once.

use serde_json::{Value, json};

use super::{Distinct, Query};
use crate::model::{NameRef, Timestamp};

/// The window.
const WINDOW_SECONDS: u32 = 300;
/// So many domains in it.
const DOMAINS_MIN: usize = 30;
/// Domains that are told apart: more say no more.
const DOMAINS_MAX: usize = 400;
/// So much of a hundred of them look made up.
const MADE_UP_PERCENT: usize = 60;
/// A label this short says nothing of how it was made.
const LABEL_OCTETS_MIN: usize = 7;
/// Shannon's entropy of a label in hundredths of a bit, from which on it looks made up: words of
/// ten letters have about 2.8 bits, random ones 3.2.
const ENTROPY_MIN: u32 = 290;

/// Domains that do not exist.
#[derive(Debug, Default)]
pub struct Burst {
    since: Option<Timestamp>,
    domains: Distinct,
    made_up: usize,
}

impl Burst {
    /// Takes a query for a name that does not exist.
    pub fn see(&mut self, query: &Query<'_>) -> Option<(Timestamp, Value)> {
        let fresh = self.since.is_some_and(|at| at.age_seconds(query.at) < WINDOW_SECONDS);
        if !fresh || self.since.is_some_and(|at| at > query.at) {
            self.since = Some(query.at);
            self.made_up = 0;
            self.domains.clear();
        }
        if self.domains.add(query.holder, DOMAINS_MAX) {
            self.made_up += usize::from(looks_made_up(query.holder));
        }
        let domains = self.domains.len();
        let since = self.since?;
        (domains >= DOMAINS_MIN && self.made_up * 100 >= MADE_UP_PERCENT * domains).then(|| {
            let evidence = json!({
                "domains": domains,
                "made_up": self.made_up,
                "seconds": since.age_seconds(query.at),
                "samples": self.domains.samples,
            });
            (since, evidence)
        })
    }
}

/// Whether the label that was registered looks random: long enough, and with digits among its
/// letters, hardly a vowel, or evenly spread letters.
fn looks_made_up(holder: NameRef<'_>) -> bool {
    let label = holder.labels().last().unwrap_or_default();
    if label.len() < LABEL_OCTETS_MIN {
        return false;
    }
    let of = |test: fn(&u8) -> bool| label.iter().filter(|b| test(b)).count();
    let (digits, vowels) = (of(u8::is_ascii_digit), of(|b| b"aeiouy".contains(b)));
    digits * 4 >= label.len() || vowels * 5 <= label.len() || entropy(label) >= ENTROPY_MIN
}

/// In hundredths of a bit.
fn entropy(label: &[u8]) -> u32 {
    let mut counts = [0u32; 256];
    label.iter().for_each(|b| counts[usize::from(*b)] += 1);
    let all = label.len() as f64;
    let shares = counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / all);
    (shares.map(|share| -share * share.log2()).sum::<f64>() * 100.0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Name;

    #[test]
    fn random_labels_look_made_up_and_words_do_not() {
        let looks = |text: &str| looks_made_up(Name::from_host(text).unwrap().as_ref());
        for random in ["xkqzvbnwtr.com", "a8f3k29d1m.net", "qwxzkjhgfd.org", "ukmbhjdraetf.com"] {
            assert!(looks(random), "{random}");
        }
        for word in ["gardening.com", "tomato.net", "banana-bread.org", "mississippi.com", "abc.de"]
        {
            assert!(!looks(word), "{word}");
        }
    }
}

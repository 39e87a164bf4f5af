//! Why a line of a feed says nothing that can be used.

use crate::diagnostic::{Diagnostic, Place};
use crate::model::NameError;

/// The most characters of a line that a reject keeps: enough for a person to find it again.
const TEXT_CHARACTERS_MAX: usize = 80;

/// A line, or a part of one, that gave no entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reject {
    /// Its number, from 1.
    pub line: u64,
    /// The text, cut short and without control characters.
    pub text: String,
    /// Why.
    pub reason: Reason,
}

impl Reject {
    /// The same as a finding about `feed`.
    pub fn diagnostic(&self, feed: &str) -> Diagnostic {
        let line = usize::try_from(self.line).unwrap_or(usize::MAX);
        Diagnostic::warning(format!("{}: \"{}\"", self.reason, self.text)).at(Place {
            file: feed.to_owned(),
            line,
            column: 1,
        })
    }
}

/// Why a line gave no entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// A popularity list must say how popular.
    #[error("no rank, and the list has no tier")]
    RankMissing,
    /// The line is longer than the limit and was skipped.
    #[error("the line is longer than {0} octets")]
    LineTooLong(usize),
    /// A line or record of a table of routes.
    #[error("{0}")]
    Table(crate::bgp::load::Reason),
    /// Not a host name.
    #[error("{0}")]
    Name(#[from] NameError),
    /// A name of one label (SCORING 4.4 R6).
    #[error("one label alone is a top-level domain or a local name")]
    SingleLabel,
    /// Something follows the one thing a line may have.
    #[error("more than one word on the line")]
    SeveralWords,
    /// Not an address, prefix or range.
    #[error("not an address, prefix or range")]
    Network,
    /// A range whose last address comes before its first, or is of the other family.
    #[error("the range does not run upwards")]
    Range,
    /// A prefix of length 0, or a pattern that every name matches.
    #[error("this would cover everything")]
    CoversEverything,
    /// Not an AS number.
    #[error("not an AS number")]
    AsNumber,
    /// No host in the URL, or a port that is none.
    #[error("not a URL with a host")]
    Url,
    /// The line of a hosts file has an address and nothing else, or no address.
    #[error("not an address followed by names")]
    HostsLine,
    /// The list sends the name to a real address, which is a redirection and no claim.
    #[error("sends the name to a real address; only unspecified and loopback addresses block")]
    Redirection,
    /// dnsmasq asks another server for these names, which is no claim.
    #[error("forwards the names to another server")]
    Forwarding,
    /// Another option of dnsmasq than the three about names.
    #[error("not an address=, local= or server= option for names")]
    DnsmasqOption,
    /// A rule for elements of a web page.
    #[error("a cosmetic rule is about pages, not names")]
    Cosmetic,
    /// A rule for URLs.
    #[error("a rule with a path or scheme is about URLs, not names")]
    Path,
    /// A rule with a regular expression.
    #[error("a regular expression is not a name")]
    Regex,
    /// A wildcard elsewhere than in front.
    #[error("a wildcard inside a name is not a name")]
    Wildcard,
    /// A modifier that makes the rule hold for some questions or clients only.
    #[error("the modifier `{0}` restricts the rule, so it is no claim about the name")]
    Modifier(&'static str),
    /// A modifier that makes the rule answer something else.
    #[error("the modifier `dnsrewrite` changes the answer, so it is no claim about the name")]
    Rewrite,
    /// A modifier that takes another rule back.
    #[error("the modifier `badfilter` takes another rule back and claims nothing")]
    Badfilter,
    /// A row without the wanted column.
    #[error("the row has no column {0}")]
    ColumnMissing(usize),
    /// The wanted field is empty.
    #[error("the field is empty")]
    Empty,
    /// A quotation that does not end on its line.
    #[error("a quotation does not end on its line")]
    OpenQuotation,
    /// A policy rule with an answer of its own.
    #[error("answers something else, which redirects and claims nothing")]
    OtherAnswer,
    /// A policy rule that lets the answer through over TCP.
    #[error("asks for TCP, which claims nothing")]
    TcpOnly,
    /// A policy rule with a trigger about something else than names and answers.
    #[error("a trigger about {0} is no claim about a name or an answer")]
    Trigger(&'static str),
    /// A record that is no policy rule, in the words of what read it.
    #[error("{0}")]
    Record(Box<str>),
    /// Not a JSON object of the expected form.
    #[error("not a JSON object with `cidr` or `asn`")]
    JsonLine,
}

/// `text` cut to what a person needs, with control, bidirectional and other invisible characters
/// written as escapes: what a feed says must not steer the terminal that shows it.
pub fn neutralised(text: &str) -> String {
    let mut shown = String::new();
    for (count, c) in text.trim().chars().enumerate() {
        if count == TEXT_CHARACTERS_MAX {
            shown.push('…');
            break;
        }
        match c {
            '"' | '\'' | '\\' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_text_cannot_steer_a_terminal() {
        let shown = neutralised("bad\x1b[2J\u{202e}elpmaxe\r\0 \"ok\" é");
        assert_eq!(shown, "bad\\u{1b}[2J\\u{202e}elpmaxe\\r\\0 \"ok\" é");
        assert_eq!(neutralised(&"x".repeat(1000)).chars().count(), 81);
    }

    #[test]
    fn a_reject_reads_as_a_finding() {
        let reject = Reject { line: 7, text: "a b".into(), reason: Reason::SeveralWords };
        assert_eq!(
            reject.diagnostic("feeds/x.txt").to_string(),
            "warning: more than one word on the line: \"a b\"\n  --> feeds/x.txt:7:1"
        );
    }
}

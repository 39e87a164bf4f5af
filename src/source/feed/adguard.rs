//! AdGuard's syntax of DNS filtering rules
//! (<https://adguard-dns.io/kb/general/dns-filtering-syntax/>): `||name^`, exceptions, modifiers,
//! and the hosts lines and bare names that the syntax also allows.
//!
//! That text demands that a rule with a modifier it does not list is ignored as a whole, so that
//! lists written for browsers do no harm; such rules are counted as ignored. A rule whose modifiers
//! narrow it to some clients or types is understood but claims nothing about the name, and a
//! pattern that is no name (a path, a regular expression, a wildcard inside) cannot become one: both
//! are rejected with the reason.
//!
//! `|name^` and a bare `name` stand for that name alone in this syntax; a claim about a name
//! includes what lies below it, as with every other list.

use super::report::{Tally, host_name};
use super::{Entry, Reason, hosts};
use crate::model::{Indicator, Network};

pub(super) fn line(text: &str, tally: &mut Tally<'_>) {
    let text = text.trim();
    if let Some(comment) = comment(text) {
        return tally.comment(comment);
    }
    if is_cosmetic(text) {
        return tally.reject(text, Reason::Cosmetic);
    }
    let rule = super::domains::without_comment(text);
    if is_hosts_line(rule) {
        return hosts::line(rule, tally);
    }
    match parse(rule) {
        Ok(Parsed::Ignored) => {}
        Ok(Parsed::Claim { host, exception }) => match subject(host, tally) {
            Ok(subject) => tally.entry(Entry { exception, ..Entry::of(subject) }),
            Err(reason) => tally.reject(text, reason),
        },
        Err(reason) => tally.reject(text, reason),
    }
}

/// `!` or `#` starts a comment, and `[Adblock Plus 2.0]` is the title line of browser lists.
fn comment(text: &str) -> Option<&str> {
    text.strip_prefix(['!', '#'])
        .or_else(|| text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')))
}

/// Rules for elements of pages stand after one of these marks (AdGuard's and uBlock Origin's).
fn is_cosmetic(text: &str) -> bool {
    const MARKS: [&str; 10] =
        ["##", "#@#", "#?#", "#@?#", "#$#", "#@$#", "#%#", "#@%#", "$$", "$@$"];
    MARKS.iter().any(|mark| text.contains(mark))
}

fn is_hosts_line(text: &str) -> bool {
    let mut words = text.split_whitespace();
    words.next().is_some_and(|word| hosts::address(word).is_some()) && words.next().is_some()
}

enum Parsed<'a> {
    /// The rule has a modifier that DNS filters do not know.
    Ignored,
    /// The rule is about a host as a whole.
    Claim { host: &'a str, exception: bool },
}

fn parse(rule: &str) -> Result<Parsed<'_>, Reason> {
    let (rule, exception) = match rule.strip_prefix("@@") {
        Some(rest) => (rest, true),
        None => (rule, false),
    };
    let is_regex = rule.len() > 1 && rule.starts_with('/') && rule[1..].contains('/');
    let (pattern, modifiers) = match is_regex {
        // `$` is also a character of regular expressions: only one after the last slash counts.
        true => {
            let end = rule.rfind('/').map_or(rule.len(), |at| at + 1);
            (&rule[..end], rule[end..].strip_prefix('$'))
        }
        false => rule.split_once('$').map_or((rule, None), |(p, m)| (p, Some(m))),
    };
    match modifiers.map_or(Ok(Effect::None), effect)? {
        Effect::Unknown => return Ok(Parsed::Ignored),
        Effect::Rewrite if exception => return Err(Reason::Rewrite),
        Effect::None | Effect::Rewrite => {}
    }
    match is_regex && pattern.ends_with('/') {
        true => Err(Reason::Regex),
        false => host(pattern).map(|host| Parsed::Claim { host, exception }),
    }
}

/// What the modifiers make of a rule that is still about the name as a whole.
#[derive(Debug, PartialEq, Eq)]
enum Effect {
    None,
    /// Answers NXDOMAIN or REFUSED, which blocks the name.
    Rewrite,
    /// At least one is not in the syntax.
    Unknown,
}

fn effect(modifiers: &str) -> Result<Effect, Reason> {
    let mut result = Ok(Effect::None);
    for modifier in split_unescaped(modifiers) {
        let (name, value) = modifier.split_once('=').unwrap_or((modifier, ""));
        let this = match name.trim() {
            "important" => Ok(Effect::None),
            "badfilter" => Err(Reason::Badfilter),
            "client" => Err(Reason::Modifier("client")),
            "ctag" => Err(Reason::Modifier("ctag")),
            "denyallow" => Err(Reason::Modifier("denyallow")),
            "dnstype" => Err(Reason::Modifier("dnstype")),
            "dnsrewrite" => match value.trim_end_matches(';') {
                "NXDOMAIN" | "REFUSED" => Ok(Effect::Rewrite),
                _ => Err(Reason::Rewrite),
            },
            // However the other modifiers read, the whole rule is to be ignored.
            _ => return Ok(Effect::Unknown),
        };
        if result.is_ok() && this != Ok(Effect::None) {
            result = this;
        }
    }
    result
}

/// Splits at commas; a backslash keeps the comma after it.
fn split_unescaped(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let splits = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        splits
    })
}

/// The host that a pattern is about.
fn host(pattern: &str) -> Result<&str, Reason> {
    let body = pattern.trim_start_matches('|');
    let body = body.trim_end_matches(['^', '|']);
    if body.contains('/') || body.contains('^') || body.contains('|') {
        return Err(Reason::Path);
    }
    if body.is_empty() || body.bytes().all(|b| matches!(b, b'*' | b'.')) {
        return Err(Reason::CoversEverything);
    }
    match body.strip_prefix("*.").unwrap_or(body).contains('*') {
        true => Err(Reason::Wildcard),
        false if body.contains(char::is_whitespace) => Err(Reason::SeveralWords),
        false => Ok(body),
    }
}

/// A rule may also hold an address, which the syntax matches against answers.
fn subject(host: &str, tally: &Tally<'_>) -> Result<Indicator, Reason> {
    match Network::parse_lenient(host) {
        Ok(network) => Ok(Indicator::Network(network)),
        Err(_) => host_name(host, tally.limits).map(Indicator::Domain),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{claims, read, rejects};

    #[test]
    fn rules_about_whole_names_are_claims() {
        let text = "[Adblock Plus 2.0]\n! Title: mine\n# note\n||a.example^\n|b.example^\nc.example\n\
                    d.example^\n||*.e.example^\n||f.example^$important\n||g.example\n.h.example^\n\
                    ||i.example^| # why\n||192.0.2.1^\n||bücher.example^\n||j.example^$dnsrewrite=NXDOMAIN;;\n";
        assert_eq!(
            claims(&Format::Adguard, text),
            "a.example b.example c.example d.example e.example f.example g.example h.example \
             i.example 192.0.2.1 xn--bcher-kva.example j.example"
        );
    }

    #[test]
    fn exceptions_are_kept_as_the_lists_own() {
        let text = "@@||a.example^\n@@|b.example^$important\n@@c.example\n";
        assert_eq!(claims(&Format::Adguard, text), "!a.example !b.example !c.example");
    }

    #[test]
    fn hosts_lines_are_allowed() {
        let text = "0.0.0.0 a.example b.example # both\n127.0.0.1 localhost\n192.0.2.1 c.example\n";
        assert_eq!(claims(&Format::Adguard, text), "a.example b.example");
        assert_eq!(rejects(&Format::Adguard, text).len(), 1);
    }

    #[test]
    fn a_rule_with_a_modifier_outside_the_syntax_is_ignored_as_a_whole() {
        let text = "||a.example^$third-party\n||b.example^$important,script\n||c.example/x/*$image\n\
                    @@||d.example^$document\n||e.example^$client=x,domain=y.example\n||f.example^$\n\
                    /ads[0-9]+/$~third-party\n||g.example^$client='a\\,b',popup\n";
        let (entries, report) = read(&Format::Adguard, text.as_bytes());
        assert!(entries.is_empty(), "{entries:?}");
        assert_eq!((report.lines_ignored, report.rejects_total), (8, 0), "{:?}", report.rejects);
    }

    #[test]
    fn a_rule_that_holds_for_some_questions_only_is_no_claim() {
        let text = "||a.example^$dnstype=AAAA\n||b.example^$client=~'Mary\\'s\\, and more'\n\
                    ||c.example^$denyallow=x.c.example\n||d.example^$important,ctag=user_child\n\
                    ||e.example^$dnsrewrite=192.0.2.1\n||f.example^$badfilter\n\
                    @@||g.example^$dnsrewrite=NXDOMAIN\n";
        assert_eq!(claims(&Format::Adguard, text), "");
        assert_eq!(
            rejects(&Format::Adguard, text),
            [
                "1: the modifier `dnstype` restricts the rule, so it is no claim about the name",
                "2: the modifier `client` restricts the rule, so it is no claim about the name",
                "3: the modifier `denyallow` restricts the rule, so it is no claim about the name",
                "4: the modifier `ctag` restricts the rule, so it is no claim about the name",
                "5: the modifier `dnsrewrite` changes the answer, so it is no claim about the name",
                "6: the modifier `badfilter` takes another rule back and claims nothing",
                "7: the modifier `dnsrewrite` changes the answer, so it is no claim about the name",
            ]
        );
    }

    #[test]
    fn patterns_that_are_no_names_are_rejected_with_the_reason() {
        let text = "a.example##.ad\nb.example#@#.ad\nc.example$$script\n||d.example/path^\n\
                    https://e.example^\n/^ads[0-9]\\.example$/\n||f*.example^\n*\n||^\n||com^\n\
                    ||g.example^h\nfoo bar.example\n||h..example^\n";
        assert_eq!(claims(&Format::Adguard, text), "");
        assert_eq!(
            rejects(&Format::Adguard, text),
            [
                "1: a cosmetic rule is about pages, not names",
                "2: a cosmetic rule is about pages, not names",
                "3: a cosmetic rule is about pages, not names",
                "4: a rule with a path or scheme is about URLs, not names",
                "5: a rule with a path or scheme is about URLs, not names",
                "6: a regular expression is not a name",
                "7: a wildcard inside a name is not a name",
                "8: this would cover everything",
                "9: this would cover everything",
                "10: one label alone is a top-level domain or a local name",
                "11: a rule with a path or scheme is about URLs, not names",
                "12: more than one word on the line",
                "13: empty label",
            ]
        );
    }
}

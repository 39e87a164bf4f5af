//! One name a line.
//!
//! A claim about a name includes what lies below it (SCORING's `Scope::Name`), so `*.name` and
//! `.name` say the same as `name`. Comments start with `#`, `;`, `!` or `//`, and may follow a name.

use super::Reason;
use super::report::Tally;

pub(super) fn line(text: &str, tally: &mut Tally<'_>) {
    let text = text.trim();
    if let Some(comment) = comment(text) {
        return tally.comment(comment);
    }
    let name = without_comment(text);
    match name.contains(char::is_whitespace) {
        true => tally.reject(text, Reason::SeveralWords),
        false => tally.host(name),
    }
}

fn comment(text: &str) -> Option<&str> {
    text.strip_prefix(['#', ';', '!']).or_else(|| text.strip_prefix("//"))
}

/// `text` up to a `#` that follows white space.
pub(super) fn without_comment(text: &str) -> &str {
    let follows_space = |at: &usize| text[..*at].ends_with(char::is_whitespace);
    match text.match_indices('#').map(|(at, _)| at).find(follows_space) {
        Some(at) => text[..at].trim_end(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::super::tests::{claims, rejects};

    #[test]
    fn names_are_read_in_every_spelling_lists_use() {
        let text = "# list\n! note\n; note\n// note\nBad.Example.\n*.wild.example # why\n.dot.example\n\
                    www.keep.example\nbücher.example\n_dmarc.under_score.example\n";
        assert_eq!(
            claims(&Format::Domains, text),
            "bad.example wild.example dot.example www.keep.example xn--bcher-kva.example \
             _dmarc.under_score.example"
        );
    }

    #[test]
    fn impossible_names_are_rejected_with_the_reason() {
        let text = format!(
            "a..example\n{}.example\nhttp://a.example/\n192.0.2.1\nx\u{ad}\u{378}.example\n*.*.example\n",
            "x".repeat(64)
        );
        assert_eq!(claims(&Format::Domains, &text), "");
        assert_eq!(
            rejects(&Format::Domains, &text),
            [
                "1: empty label",
                "2: a label is longer than 63 octets",
                "3: the character ':' cannot stand in a host name",
                "4: the last label is a number",
                "5: not a valid internationalised name",
                "6: the character '*' cannot stand in a host name",
            ]
        );
    }
}

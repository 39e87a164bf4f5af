//! Files of names: one name, `*.name`, address or network a line, with comments after `#`.

use crate::diagnostic::Diagnostic;
use crate::document::Position;
use crate::model::{Name, NameError, Network, NetworkError};
use crate::policy::{Mark, Reach, Subject, Target};

/// The most findings about one file of names: whoever names the wrong file needs no more.
pub const FINDINGS_MAX: usize = 20;

/// Reads a file of names. A name reaches as far as `scope` says, and `*.name` always means the
/// names below.
pub(super) fn read(
    path: &str,
    text: &str,
    file: u32,
    scope: Reach,
) -> (Vec<Subject>, Vec<Diagnostic>) {
    let mut subjects = Vec::new();
    let mut findings = Vec::new();
    let mut refused = 0;
    for (number, line) in text.lines().enumerate() {
        // An editor on Windows may put a byte order mark before the first line.
        let line = line.strip_prefix('\u{feff}').unwrap_or(line);
        let content = without_comment(line);
        let word = content.trim();
        if word.is_empty() {
            continue;
        }
        let indent = content.len() - content.trim_start().len();
        let position = Position {
            line: u32::try_from(number + 1).unwrap_or(u32::MAX),
            column: u32::try_from(content[..indent].chars().count() + 1).unwrap_or(u32::MAX),
        };
        match target(word, scope) {
            Ok(target) => subjects.push(Subject { target, mark: Mark { file, position } }),
            Err(finding) => {
                refused += 1;
                if refused <= FINDINGS_MAX {
                    findings.push(finding.at(position.in_file(path)));
                }
            }
        }
    }
    if refused > FINDINGS_MAX {
        findings.push(Diagnostic::error(format!(
            "{} more lines of {path} are refused",
            refused - FINDINGS_MAX
        )));
    }
    (subjects, findings)
}

/// A comment starts at the line's start or after white space.
fn without_comment(line: &str) -> &str {
    let starts =
        |(at, _): &(usize, &str)| line[..*at].chars().next_back().is_none_or(char::is_whitespace);
    line.match_indices('#').find(starts).map_or(line, |(at, _)| &line[..at])
}

fn target(word: &str, scope: Reach) -> Result<Target, Diagnostic> {
    if word.contains(char::is_whitespace) {
        return Err(Diagnostic::error(format!("one name a line, and this is `{word}`")).hint(
            "name a hosts file as a source in the configuration, with `format = \"hosts\"`",
        ));
    }
    match Network::parse_strict(word) {
        Ok(network) => Ok(Target::Network(network)),
        Err(NetworkError::Malformed) => name(word, scope),
        Err(NetworkError::HostBits) => network(word).map(Target::Network),
    }
}

/// Reads a name as people write it, or `*.` before one.
pub(super) fn name(text: &str, scope: Reach) -> Result<Target, Diagnostic> {
    let (host, reach) = match text.strip_prefix("*.") {
        Some(host) => (host, Reach::Below),
        None => (text, scope),
    };
    let refused = |error: NameError| {
        let finding = Diagnostic::error(format!("the name `{text}` is refused: {error}"));
        match error {
            NameError::NumericTopLabel => finding.hint("write an address as `network`"),
            NameError::BadCharacter('/' | ':') => {
                finding.hint("a name is not a URL: leave out the scheme and the path")
            }
            NameError::BadCharacter('*') => {
                finding.hint("`*` can only stand for the whole first label, as in `*.example.com`")
            }
            _ => finding,
        }
    };
    Ok(Target::Name(Name::from_host(host).map_err(refused)?, reach))
}

/// Reads an address or a network.
pub(super) fn network(text: &str) -> Result<Network, Diagnostic> {
    Network::parse_strict(text).map_err(|error| {
        let finding = Diagnostic::error(format!("the network `{text}` is refused: {error}"));
        match (error, Network::parse_lenient(text)) {
            (NetworkError::HostBits, Ok(network)) => {
                let address = text.split('/').next().unwrap_or(text);
                finding.hint(format!("write `{network}`, or `{address}` for the one address"))
            }
            _ => finding.hint("an address, or an address and a prefix length: `192.0.2.0/24`"),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> (Vec<String>, Vec<String>) {
        let (subjects, findings) = read("n.txt", text, 0, Reach::Subdomains);
        let subject = |s: &Subject| format!("{} {}", s.mark.position.line, s.target);
        (subjects.iter().map(subject).collect(), findings.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_networks_and_comments_read() {
        let text = "\u{feff}# a comment\nbad.example # why\n\n  *.worse.example\n192.0.2.0/24\n\
                    Bücher.example.\n2001:db8::1\n";
        let (subjects, findings) = shown(text);
        assert_eq!(
            subjects,
            [
                "2 bad.example",
                "4 *.worse.example",
                "5 192.0.2.0/24",
                "6 xn--bcher-kva.example",
                "7 2001:db8::1"
            ]
        );
        assert_eq!(findings, [""; 0]);
    }

    #[test]
    fn each_bad_line_is_found_where_it_stands() {
        let (subjects, findings) =
            shown("good.example\n0.0.0.0 bad.example\n  a..b\n192.0.2.1/24\nhttp://x.example/\n");
        assert_eq!(subjects, ["1 good.example"]);
        assert_eq!(
            findings,
            [
                "error: one name a line, and this is `0.0.0.0 bad.example`\n  --> n.txt:2:1\n\
                 hint: name a hosts file as a source in the configuration, with \
                 `format = \"hosts\"`",
                "error: the name `a..b` is refused: empty label\n  --> n.txt:3:3",
                "error: the network `192.0.2.1/24` is refused: bits are set beyond the prefix \
                 length\n  --> n.txt:4:1\nhint: write `192.0.2.0/24`, or `192.0.2.1` for the one \
                 address",
                "error: the name `http://x.example/` is refused: the character ':' cannot stand \
                 in a host name\n  --> n.txt:5:1\nhint: a name is not a URL: leave out the scheme and \
                 the path"
            ]
        );
    }

    #[test]
    fn the_wrong_file_does_not_flood() {
        let (_, findings) = shown(&"<html>\n".repeat(100));
        assert_eq!(findings.len(), FINDINGS_MAX + 1);
        assert_eq!(findings[FINDINGS_MAX], "error: 80 more lines of n.txt are refused");
    }
}

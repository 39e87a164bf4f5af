//! Answers as people read them: aligned and coloured on a terminal, plain in a pipe.

pub mod asn;
pub mod budget;
pub mod evaluate;
pub mod feeds;
pub mod fleet;
pub mod investigate;
pub mod learning;
pub mod lint;
pub mod pdns;
pub mod reviews;
pub mod signs;
pub mod status;
pub mod why;

use anstyle::{AnsiColor, Style};

use crate::diagnostic::Diagnostic;
use crate::model::Timestamp;

/// What is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// What asks for a look.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// What is wrong, or blocked.
pub const BAD: Style = AnsiColor::Red.on_default();
/// What matters less.
pub const FAINT: Style = Style::new().dimmed();
/// What matters more.
pub const STRONG: Style = Style::new().bold();

/// A text in a style.
pub fn styled(style: Style, text: impl std::fmt::Display) -> String {
    format!("{style}{text}{style:#}")
}

/// A finding with its severity in colour.
pub fn finding(finding: &Diagnostic) -> String {
    let text = finding.to_string();
    let style = if finding.is_error() { BAD.bold() } else { WARN.bold() };
    match text.split_once(':') {
        Some((severity, rest)) => format!("{}:{rest}", styled(style, severity)),
        None => text,
    }
}

/// How many there are of something: `1 rule`, `2 rules`.
pub fn counted(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// A number with thin groups of three: `1 412 908`.
pub fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// How long ago something was, in the largest unit that fits.
pub fn ago(then: u32, now: u32) -> String {
    let seconds = Timestamp(then).age_seconds(Timestamp(now));
    match seconds {
        0..=1 => "now".to_owned(),
        2..=119 => format!("{seconds} s ago"),
        120..=7199 => format!("{} min ago", seconds / 60),
        7200..=172_799 => format!("{} h ago", seconds / 3600),
        _ => format!("{} d ago", seconds / 86_400),
    }
}

/// In how long something will be, in the largest unit that fits.
pub fn ahead(then: u32, now: u32) -> String {
    match then.saturating_sub(now) {
        0..=1 => "now".to_owned(),
        seconds => format!("in {}", ago(now, now + seconds).trim_end_matches(" ago")),
    }
}

/// An amount of memory or disk.
pub fn octets(count: usize) -> String {
    match count {
        0..=9_999 => format!("{count} B"),
        10_000..=9_999_999 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1024.0 / 1024.0),
    }
}

/// Columns that are as wide as their widest cell, two spaces apart.
#[derive(Default)]
pub struct Columns {
    rows: Vec<Vec<(Style, String)>>,
    right: Vec<usize>,
}

impl Columns {
    /// Columns of which some are aligned to the right, by position.
    pub fn right(positions: &[usize]) -> Self {
        Self { rows: Vec::new(), right: positions.to_vec() }
    }

    /// Adds a row.
    pub fn row<const N: usize>(&mut self, cells: [(Style, String); N]) {
        self.rows.push(cells.into());
    }

    /// The rows, each behind `indent` spaces.
    pub fn lines(&self, indent: usize) -> String {
        let width = |at: usize| {
            self.rows
                .iter()
                .filter_map(|r| r.get(at))
                .map(|c| c.1.chars().count())
                .max()
                .unwrap_or(0)
        };
        let mut out = String::new();
        for row in &self.rows {
            let mut line = " ".repeat(indent);
            for (at, (style, text)) in row.iter().enumerate() {
                let space = " ".repeat(width(at) - text.chars().count());
                let last = at + 1 == row.len();
                match self.right.contains(&at) {
                    true => line.push_str(&format!("{space}{style}{text}{style:#}")),
                    false if last => line.push_str(&format!("{style}{text}{style:#}")),
                    false => line.push_str(&format!("{style}{text}{style:#}{space}")),
                }
                if !last {
                    line.push_str("  ");
                }
            }
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }
}

/// A cell without a style.
pub fn plain(text: impl std::fmt::Display) -> (Style, String) {
    (Style::new(), text.to_string())
}

/// A cell in a style.
pub fn cell(style: Style, text: impl std::fmt::Display) -> (Style, String) {
    (style, text.to_string())
}

/// Text from outside, safe for a terminal: control characters shown as escapes.
pub fn harmless(text: &str) -> String {
    text.chars()
        .flat_map(|c| match c.is_control() {
            true => c.escape_default().collect::<Vec<_>>(),
            false => vec![c],
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_ages_read_at_a_glance() {
        assert_eq!(grouped(1_412_908), "1 412 908");
        assert_eq!(grouped(12), "12");
        assert_eq!(ago(0, 60), "60 s ago");
        assert_eq!(ago(0, 3 * 86_400), "3 d ago");
        assert_eq!(octets(24 << 20), "24.0 MiB");
    }

    #[test]
    fn columns_line_up_and_end_without_spaces() {
        let mut columns = Columns::right(&[1]);
        columns.row([plain("urlhaus"), plain("12"), plain("")]);
        columns.row([plain("x"), plain("1 412"), plain("late")]);
        assert_eq!(columns.lines(2), "  urlhaus     12\n  x        1 412  late\n");
    }

    #[test]
    fn hostile_text_cannot_move_the_cursor() {
        assert_eq!(harmless("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}

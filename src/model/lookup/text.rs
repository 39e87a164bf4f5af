//! Text from services, made harmless.

/// The longest single text that is kept, in octets: a registrant's whole WHOIS record has three
/// to four thousand.
pub const LONG_OCTETS_MAX: usize = 4096;
/// The longest name, title or value that is kept, in octets.
pub const TEXT_OCTETS_MAX: usize = 512;

/// Text that cannot move a cursor, turn the direction of writing or hide: control characters but
/// for line ends and tabs become U+FFFD, and so do the characters that set directions. What is
/// longer than `octets_max` is cut at a character and ends in `…`.
pub fn harmless(text: &str, octets_max: usize) -> String {
    let mut out = String::with_capacity(text.len().min(octets_max));
    for character in text.trim().chars() {
        let character = match character {
            '\n' | '\t' => character,
            '\r' => continue,
            c if c.is_control() || is_invisible(c) => char::REPLACEMENT_CHARACTER,
            c => c,
        };
        if out.len() + character.len_utf8() > octets_max {
            out.push('…');
            break;
        }
        out.push(character);
    }
    out
}

/// Characters that change how their neighbours are shown, or are not shown themselves: marks of
/// direction (UAX #9), joiners, the byte order mark, tags.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_turns_text_is_left() {
        assert_eq!(harmless("\u{1b}[2Jevil\u{7}", 99), "\u{fffd}[2Jevil\u{fffd}");
        assert_eq!(harmless("gpj.\u{202e}exe", 99), "gpj.\u{fffd}exe");
        assert_eq!(harmless(" two\r\nlines\t", 99), "two\nlines");
        assert_eq!(harmless("\u{9b}31m", 99), "\u{fffd}31m");
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(harmless("äöü", 4), "äö…");
        assert_eq!(harmless("äöü", 6), "äöü");
    }
}

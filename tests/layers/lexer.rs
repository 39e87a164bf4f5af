//! Just enough of Rust's lexical structure to find paths: comments, strings and character literals
//! are left out, and every word and mark that remains knows its line.

/// A word, `::`, or any other mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Token<'t> {
    pub text: &'t str,
    pub line: usize,
}

/// The tokens of a source text.
pub fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let length = skipped(rest).unwrap_or_else(|| {
            let length = token(rest, first);
            found.push(Token { text: &rest[..length], line });
            length
        });
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

/// The length of the white space, comment or literal that `rest` begins with.
fn skipped(rest: &str) -> Option<usize> {
    if rest.starts_with(char::is_whitespace) {
        return Some(rest.len() - rest.trim_start().len());
    }
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment(rest));
    }
    let opening = rest.trim_start_matches(['b', 'c']);
    let prefix = rest.len() - opening.len();
    if prefix > 1 {
        return None;
    }
    let length = match opening.as_bytes() {
        [b'"', ..] => quoted(opening, '"'),
        [b'r', b'"' | b'#', ..] => raw_string(opening)?,
        [b'\'', ..] => character(opening)?,
        _ => return None,
    };
    Some(prefix + length)
}

fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < rest.len() {
        let step = &rest.as_bytes()[at..];
        if step.starts_with(b"/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if step.starts_with(b"*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                break;
            }
        } else {
            at += 1;
        }
    }
    at
}

/// The length of a literal between two `quote`s, in which a backslash hides the next character.
fn quoted(rest: &str, quote: char) -> usize {
    let mut hidden = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if hidden => hidden = false,
            '\\' => hidden = true,
            _ if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// The length of `r"…"` or `r#"…"#`; `r#word` is a word.
fn raw_string(rest: &str) -> Option<usize> {
    let hashes = rest[1..].len() - rest[1..].trim_start_matches('#').len();
    let body = rest[1 + hashes..].strip_prefix('"')?;
    let closing = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&closing).map_or(body.len(), |at| at + closing.len());
    Some(2 + hashes + end)
}

/// The length of `'x'`; a lifetime is not a literal.
fn character(rest: &str) -> Option<usize> {
    let mut after = rest[1..].chars();
    let is_literal = after.next()? == '\\' || after.next()? == '\'';
    is_literal.then(|| quoted(rest, '\''))
}

/// The length of the token that `rest` begins with.
fn token(rest: &str, first: char) -> usize {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    if rest.starts_with("::") {
        2
    } else if is_word(first) {
        rest.find(|c| !is_word(c)).unwrap_or(rest.len())
    } else {
        first.len_utf8()
    }
}

#[test]
fn comments_and_literals_are_left_out_and_lines_counted() {
    let source = r####"// crate::a
/* crate::b /* nested */ crate::c */ x
let s = "crate::d \" crate::e"; let r = r#"crate::f " crate::g"#; b"crate::h" c"i" br"j"
'"' '\'' '\\' fn f<'a>(x: &'a str) {} crate::k r#type b'"' buffer
"####;
    let texts: Vec<_> = tokens(source).iter().map(|t| t.text).collect();
    assert_eq!(
        texts.join(" "),
        "x let s = ; let r = ; fn f < ' a > ( x : & ' a str ) { } crate :: k r # type buffer"
    );
    assert_eq!(tokens(source).last().unwrap().line, 4);
}

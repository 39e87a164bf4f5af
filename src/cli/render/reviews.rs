//! `sekisho audit`, `sekisho report` and `sekisho feeds --value`.

use super::{BAD, Columns, FAINT, GOOD, STRONG, WARN, cell, grouped, harmless, plain, styled};
use crate::api::reviews::{DrawSays, Noted, SourceReviews};
use crate::pipeline::FeedValue;
use crate::ports::ledger::Answer;

/// Something to review.
pub fn draw(draw: &DrawSays) -> String {
    let name = styled(STRONG, harmless(&draw.indicator));
    let waiting = if draw.waiting { ", drawn before and not answered yet" } else { "" };
    let others: Vec<&str> =
        draw.sources.iter().map(String::as_str).filter(|s| *s != draw.source).collect();
    let others = match others.is_empty() {
        true => "no other source names it".to_owned(),
        false => format!("also named by {}", others.join(", ")),
    };
    format!(
        "{name}\n  one of {} entries of {}{waiting}; {others}; level {}\n  look at it from a safe \
         place, then: sekisho audit {} --malicious | --benign | --unsure\n",
        grouped(usize::try_from(draw.drawn_from).unwrap_or(usize::MAX)),
        draw.source,
        draw.level,
        harmless(&draw.indicator),
    )
}

/// What was noted.
pub fn noted(noted: &Noted) -> String {
    let sample = match &noted.drawn_from {
        Some(source) => format!(", as part of the sample of {source}"),
        None => String::new(),
    };
    let shares: Vec<String> = noted
        .sources
        .iter()
        .map(|(source, permille)| format!("{source} {}.{} %", permille / 10, permille % 10))
        .collect();
    let shares = match shares.is_empty() {
        true => "no source speaks against it".to_owned(),
        false => format!("what speaks against it: {}", shares.join(", ")),
    };
    format!(
        "noted: {} is {}{sample}\n  level {}; {shares}\n",
        styled(STRONG, harmless(&noted.indicator)),
        styled(if noted.answer == Answer::Malicious { BAD } else { GOOD }, noted.answer.as_str()),
        noted.level,
    )
}

/// What was found so far, by source.
pub fn summary(reviews: &[SourceReviews]) -> String {
    let mut columns = Columns::right(&[1, 2, 3, 4, 5, 6]);
    let heads =
        ["source", "malicious", "benign", "unsure", "waiting", "reported right", "reported wrong"];
    columns.row(heads.map(|head| cell(FAINT, head)));
    for review in reviews {
        columns.row([
            cell(STRONG, &review.source),
            plain(review.malicious),
            cell(if review.benign > 0 { WARN } else { FAINT }, review.benign),
            plain(review.unsure),
            plain(review.waiting),
            plain(review.reported_malicious),
            plain(review.reported_benign),
        ]);
    }
    columns.lines(0)
}

/// What each source is worth.
pub fn values(values: &[FeedValue]) -> String {
    let mut columns = Columns::right(&[2, 3, 4, 5, 6]);
    let heads = ["source", "trust", "names", "unique", "overlapping", "asked for", "sole cause"];
    columns.row(heads.map(|head| cell(FAINT, head)));
    for value in values {
        columns.row([
            cell(STRONG, &value.id),
            plain(&value.trust),
            plain(grouped(value.names)),
            plain(grouped(value.unique)),
            plain(grouped(value.overlapping)),
            plain(value.hit.map_or_else(|| "-".to_owned(), grouped)),
            plain(grouped(value.sole_cause)),
        ]);
    }
    columns.lines(0)
}

//! `sekisho feeds`.

use super::{BAD, Columns, FAINT, GOOD, STRONG, WARN, ago, cell, grouped, harmless, plain};
use crate::pipeline::report::FeedSays;

/// What the contract of a source holds back of it, and why.
fn held(feed: &FeedSays, now: u32) -> String {
    let why =
        feed.breaches.last().map(|(at, text)| format!("{} ({})", harmless(text), ago(*at, now)));
    match (feed.state.as_str(), feed.held) {
        ("held", 0) => why.unwrap_or_default(),
        ("held", held) => format!("{} put aside: {}", grouped(held), why.unwrap_or_default()),
        _ => String::new(),
    }
}

/// The list of sources; with `samples`, lines that could not be read below each.
pub fn feeds(feeds: &[FeedSays], now: u32, samples: bool) -> String {
    let mut columns = Columns::right(&[2, 3]);
    columns.row([
        cell(FAINT, "source"),
        cell(FAINT, "state"),
        cell(FAINT, "entries"),
        cell(FAINT, "rejects"),
        cell(FAINT, "trust"),
        cell(FAINT, "current"),
        cell(FAINT, "remark"),
    ]);
    for feed in feeds {
        let style = match feed.state.as_str() {
            "ok" => GOOD,
            "stale" => BAD,
            "empty" | "held" => WARN,
            _ => FAINT,
        };
        let current = feed.confirmed_at.map_or("never".to_owned(), |at| ago(at, now));
        let remark = match (&feed.error, &feed.off_because) {
            (Some((at, error)), _) => format!("{} ({})", harmless(error), ago(*at, now)),
            (None, Some(reason)) => reason.clone(),
            (None, None) => held(feed, now),
        };
        columns.row([
            cell(STRONG, &feed.id),
            cell(style, &feed.state),
            plain(grouped(feed.entries)),
            plain(grouped(feed.rejects)),
            plain(&feed.trust),
            plain(current),
            plain(remark),
        ]);
    }
    let mut out = columns.lines(0);
    for feed in feeds.iter().filter(|feed| samples && !feed.samples.is_empty()) {
        out.push_str(&format!("\n{}: lines that could not be read, for example\n", feed.id));
        let mut columns = Columns::right(&[0]);
        for (line, text, reason) in &feed.samples {
            columns.row([cell(FAINT, line), plain(harmless(text)), cell(WARN, reason)]);
        }
        out.push_str(&columns.lines(2));
    }
    out
}

//! `sekisho investigate`.

use super::{BAD, FAINT, GOOD, STRONG, WARN, ago, harmless, styled};
use crate::investigate::words::words;
use crate::investigate::{Dossier, Row};

/// Facts of one row that are shown; `--json` and the page have all.
const FACTS_SHOWN: usize = 12;

/// A dossier for the terminal.
pub fn dossier(dossier: &Dossier) -> String {
    let verdict = &dossier.verdict;
    let style = if verdict.is_bad() { BAD } else { GOOD };
    let mut out = format!(
        "{} ({})\n{}\n",
        styled(STRONG, harmless(&dossier.target)),
        dossier.kind,
        styled(style, harmless(&verdict.outcome))
    );
    if let (Some(level), Some(score)) = (&verdict.level, &verdict.score) {
        out.push_str(&format!("score {score} points: {level}\n"));
    }
    for (id, points, text) in &verdict.contributions {
        out.push_str(&format!("  {points:>8}  {:<16} {}\n", harmless(id), harmless(text)));
    }
    for guard in &verdict.guards {
        out.push_str(&format!("  guard {}\n", harmless(guard)));
    }
    for (list, name) in &verdict.listed_by {
        out.push_str(&format!("  {} lists {}\n", harmless(list), harmless(name)));
    }
    for change in &verdict.changes {
        out.push_str(&format!("  {}\n", styled(FAINT, harmless(change))));
    }
    section(&mut out, "found out here", &dossier.local, dossier.at);
    for service in &dossier.services {
        match &service.off {
            Some(off) => {
                out.push_str(&format!("\n{}\n", styled(STRONG, &service.title)));
                out.push_str(&format!(
                    "  {}\n",
                    styled(FAINT, format!("not asked: {}", harmless(off)))
                ));
            }
            None => section(&mut out, &service.title, &service.rows, dossier.at),
        }
    }
    out
}

fn section(out: &mut String, title: &str, rows: &[Row], now: u32) {
    if rows.is_empty() {
        return;
    }
    out.push_str(&format!("\n{}\n", styled(STRONG, title)));
    for row in rows {
        let age = match (row.asked_at, row.kept) {
            (Some(at), true) => styled(FAINT, format!(" (kept from {})", ago(at, now))),
            _ => String::new(),
        };
        out.push_str(&format!("  {}{age}\n", row.what));
        for fact in row.facts.iter().take(FACTS_SHOWN) {
            let (name, text) = words(fact);
            out.push_str(&format!("    {:<14} {}\n", harmless(&name), harmless(&text)));
        }
        let more = row.facts.len().saturating_sub(FACTS_SHOWN);
        if more > 0 {
            out.push_str(&format!("    {}\n", styled(FAINT, format!("and {more} more"))));
        }
        if let Some(total) = row.total.filter(|total| *total > row.facts.len() as u64) {
            let text = format!("the service has {total}");
            out.push_str(&format!("    {}\n", styled(FAINT, text)));
        }
        if let Some(missing) = &row.missing {
            out.push_str(&format!("    {}\n", styled(WARN, harmless(missing))));
        }
        if let Some(link) = &row.link {
            out.push_str(&format!("    {}\n", harmless(link)));
        }
    }
}

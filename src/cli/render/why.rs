//! `sekisho why NAME`.

use anstyle::Style;

use super::{BAD, Columns, FAINT, GOOD, STRONG, WARN, ago, cell, harmless, plain, styled};
use crate::pipeline::report::{Mban, ScoreSays, Why};

/// Why a name is answered as it is.
pub fn why(why: &Why) -> String {
    let style = match why.outcome.action.as_str() {
        "resolved" | "passthru" => GOOD,
        "local-data" | "cname" => WARN,
        _ => BAD,
    };
    let mut out = format!(
        "{}  {}  {}\n",
        styled(STRONG, &why.indicator),
        styled(style, why.outcome.action.to_uppercase()),
        why.outcome.text
    );
    out.push_str(&styled(FAINT, format!("snapshot {}\n", why.snapshot)));
    if !why.answer.is_empty() {
        section(&mut out, "the answer", answer(why));
    }
    section(&mut out, "rules that match, in order of precedence", matches(why));
    if !why.entries.is_empty() {
        section(&mut out, "entries of the policy", entries(why));
    }
    section(&mut out, "sources", sources(why));
    if let Some(score) = &why.score {
        out.push_str(&score_section(score));
    }
    section(&mut out, "standing", standing(why));
    list(&mut out, "what would change the outcome", &why.changes);
    list(&mut out, "not known", &why.missing);
    out
}

fn section(out: &mut String, title: &str, lines: String) {
    let lines = if lines.is_empty() { "  none\n".to_owned() } else { lines };
    out.push_str(&format!("\n{}\n{lines}", styled(STRONG, title)));
}

fn list(out: &mut String, title: &str, items: &[String]) {
    if !items.is_empty() {
        section(out, title, items.iter().map(|item| format!("  {}\n", harmless(item))).collect());
    }
}

fn answer(why: &Why) -> String {
    let mut columns = Columns::default();
    for step in &why.answer {
        let addresses: Vec<String> = step.addresses.iter().map(ToString::to_string).collect();
        columns.row([
            plain(&step.name),
            plain(addresses.join(", ")),
            cell(FAINT, harmless(&step.nameservers.join(", "))),
        ]);
    }
    columns.lines(2)
}

fn matches(why: &Why) -> String {
    let mut columns = Columns::default();
    for m in &why.matches {
        let style = if m.decided { STRONG } else { Style::new() };
        columns.row([
            cell(style, if m.decided { "*" } else { " " }),
            cell(style, &m.zone),
            plain(&m.kind),
            cell(
                style,
                m.behind
                    .as_ref()
                    .map_or_else(|| m.trigger.clone(), |b| format!("{} for {b}", m.trigger)),
            ),
            cell(style, &m.action),
            cell(FAINT, &m.reason),
        ]);
    }
    columns.lines(2)
}

fn entries(why: &Why) -> String {
    let mut columns = Columns::default();
    for entry in &why.entries {
        let until = entry.until.map(|at| format!("until {}", crate::model::Timestamp(at)));
        columns.row([
            cell(STRONG, &entry.list),
            plain(&entry.place),
            plain(entry.reason.as_deref().map_or(String::new(), harmless)),
            cell(FAINT, entry.owner.as_deref().map_or(String::new(), harmless)),
            cell(FAINT, until.unwrap_or_default()),
            cell(FAINT, entry.groups.join(", ")),
        ]);
    }
    columns.lines(2)
}

fn sources(why: &Why) -> String {
    let mut columns = Columns::default();
    for s in &why.sources {
        columns.row([
            cell(STRONG, &s.source),
            plain(&s.trust),
            plain(&s.category),
            plain(&s.listed),
            plain(format!("first {}", ago(s.first_seen, why.at))),
            plain(format!("last {}", ago(s.last_seen, why.at))),
            cell(FAINT, s.note.as_deref().unwrap_or(if s.url_only { "one URL only" } else { "" })),
        ]);
    }
    columns.lines(2)
}

pub(super) fn score_section(score: &ScoreSays) -> String {
    let mut columns = Columns::right(&[0, 2, 3, 4]);
    let sum = |mban: Mban| cell(STRONG, mban);
    for c in &score.contributions {
        let style = if c.mban.0 > 0 { BAD } else { GOOD };
        let independent = c.independence_ppm / 10_000;
        columns.row([
            cell(style, c.mban),
            plain(&c.id),
            plain(if c.raw == c.mban { String::new() } else { format!("of {}", c.raw) }),
            plain(if independent == 100 { String::new() } else { format!("× {independent} %") }),
            plain(&c.text),
        ]);
    }
    columns.row([sum(score.score), cell(STRONG, "score"), plain(""), plain(""), plain("")]);
    let thresholds: Vec<String> = score
        .thresholds
        .iter()
        .map(|(level, on, off)| format!("{level} {on} (off {off})"))
        .collect();
    let mut out = String::new();
    let title = format!("score of {} in points: {}", score.scored, score.level);
    section(&mut out, &title, columns.lines(2));
    out.push_str(&format!(
        "  {}\n",
        styled(FAINT, format!("thresholds: {}", thresholds.join(", ")))
    ));
    out.push_str(&format!(
        "  {}\n",
        styled(
            FAINT,
            format!(
                "independent groups {}.{:02}, before: {}, judged anew by {}, model {}",
                score.diversity_ppm / 1_000_000,
                score.diversity_ppm % 1_000_000 / 10_000,
                score.previous,
                crate::model::Timestamp(score.valid_until),
                score.model.get(..12).unwrap_or(&score.model)
            )
        )
    ));
    if !score.guards.is_empty() {
        let mut columns = Columns::default();
        for g in &score.guards {
            columns.row([cell(WARN, &g.guard), plain(&g.effect), plain(&g.text)]);
        }
        section(&mut out, "guards", columns.lines(2));
    }
    out
}

fn standing(why: &Why) -> String {
    let s = &why.standing;
    let mut columns = Columns::default();
    let mut line = |name: &str, text: String| columns.row([plain(name), plain(text)]);
    if let Some(registrable) = &s.registrable {
        line("registrable domain", registrable.clone());
    }
    let history = if s.short_history { ", short history" } else { "" };
    line(
        "popularity",
        match (s.popularity_lists, s.rank) {
            (0, _) => "not known: no popularity list is in force".to_owned(),
            (lists, Some(rank)) => format!("rank {rank} at worst by {lists} lists{history}"),
            (lists, None) => format!("not ranked by {lists} lists{history}"),
        },
    );
    if let Some(prefix) = &s.prefix {
        line("announced as", prefix.clone());
    }
    if !s.origins.is_empty() {
        line("origin", harmless(&s.origins.join(", ")));
    }
    if let Some(ratio) = s.network_ratio {
        line("neighbourhood", format!("{} points against the average", Mban(ratio.into())));
    }
    for (flag, text) in [
        (s.special_use, "a name of special use (RFC 6761)"),
        (s.public_suffix, "a public suffix: rules for it would take all that is registered below"),
        (s.critical, "a name that must resolve, or one above such a name"),
        (s.shared_platform, "a platform that many parties publish on"),
        (s.tenant, "a tenant of a platform: its guilt is not its neighbours'"),
    ] {
        if flag {
            line("it is", text.to_owned());
        }
    }
    columns.lines(2)
}

//! A dossier as one page that needs nothing else: no script from elsewhere, no picture, no network.
//!
//! Whatever a service wrote stands in it as text. The page forbids itself every request and every
//! script but its own by a content security policy, so that a slip here would still run nothing.

use std::fmt::Write as _;

use super::graph::{NodeKind, escaped, graph};
use super::words::words;
use super::{Dossier, Row};
use crate::model::Timestamp;

/// What draws the graph's hand: drag to move a node or the whole, wheel to zoom, double click to
/// hide what hangs on a node alone, and boxes for kinds of nodes.
const SCRIPT: &str = include_str!("page.js");
const STYLE: &str = include_str!("page.css");
/// More facts than these of one row are folded away.
const OPEN_FACTS: usize = 8;

/// The page.
pub fn page(dossier: &Dossier) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, SCRIPT.as_bytes());
    let hash = data_encoding::BASE64.encode(digest.as_ref());
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src \
         'unsafe-inline'; script-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n",
        escaped(&dossier.target)
    );
    head(&mut out, dossier);
    connections(&mut out, dossier);
    if !dossier.local.is_empty() {
        out.push_str("<section><h2>Found out here</h2>\n");
        rows(&mut out, &dossier.local);
        out.push_str("</section>\n");
    }
    for service in &dossier.services {
        let _ = writeln!(out, "<section><h2>{}</h2>", escaped(&service.title));
        match &service.off {
            Some(off) => {
                let _ = writeln!(out, "<p class=\"missing\">not asked: {}</p>", escaped(off));
            }
            None => rows(&mut out, &service.rows),
        }
        out.push_str("</section>\n");
    }
    let _ = write!(out, "<script>{SCRIPT}</script>\n</body>\n</html>\n");
    out
}

fn head(out: &mut String, dossier: &Dossier) {
    let verdict = &dossier.verdict;
    let class = if verdict.is_bad() { "bad" } else { "fine" };
    let _ = writeln!(
        out,
        "<header><h1>{}</h1><p>{}, {}</p>\n<p class=\"verdict {class}\">{}</p>",
        escaped(&dossier.target),
        escaped(&dossier.kind),
        Timestamp(dossier.at),
        escaped(&verdict.outcome)
    );
    if let (Some(level), Some(score)) = (&verdict.level, &verdict.score) {
        let _ = writeln!(out, "<p>score {} points: {}</p>", escaped(score), escaped(level));
    }
    if !verdict.contributions.is_empty() {
        out.push_str("<table>\n");
        for (id, points, text) in &verdict.contributions {
            let _ = writeln!(
                out,
                "<tr><th>{}</th><td class=\"number\">{}</td><td>{}</td></tr>",
                escaped(id),
                escaped(points),
                escaped(text)
            );
        }
        out.push_str("</table>\n");
    }
    let listed = verdict.listed_by.iter().map(|(list, name)| format!("{list} lists {name}"));
    let notes = verdict.guards.iter().cloned().chain(listed).chain(verdict.changes.iter().cloned());
    let notes: Vec<String> = notes.map(|note| format!("<li>{}</li>", escaped(&note))).collect();
    if !notes.is_empty() {
        let _ = writeln!(out, "<ul>{}</ul>", notes.join("\n"));
    }
    out.push_str("</header>\n");
}

fn connections(out: &mut String, dossier: &Dossier) {
    let graph = graph(dossier);
    if graph.nodes.len() < 2 {
        return;
    }
    out.push_str("<section><h2>Connections</h2>\n<p id=\"kinds\">");
    for kind in NodeKind::ALL {
        let count = graph.nodes.iter().filter(|node| node.kind == kind).count();
        if count > 0 {
            let word = kind.as_str();
            let _ = write!(
                out,
                "<label><input type=\"checkbox\" data-kind=\"{word}\" checked> <span \
                 style=\"color:{}\">●</span> {word} ({count})</label> ",
                kind.colour()
            );
        }
    }
    out.push_str("<button id=\"reset\" type=\"button\">show all</button></p>\n");
    out.push_str(&graph.svg());
    if graph.left_out > 0 {
        let _ = writeln!(out, "<p class=\"missing\">{} more are not drawn</p>", graph.left_out);
    }
    out.push_str("</section>\n");
}

fn rows(out: &mut String, rows: &[Row]) {
    out.push_str("<table>\n");
    for row in rows {
        let _ = write!(out, "<tr><th>{}</th><td>", escaped(&row.what));
        let lines: Vec<String> = row
            .facts
            .iter()
            .map(|fact| {
                let (name, text) = words(fact);
                format!("<li><b>{}</b> {}</li>", escaped(&name), escaped(&text))
            })
            .collect();
        let (open, folded) = lines.split_at(lines.len().min(OPEN_FACTS));
        if !open.is_empty() {
            let _ = write!(out, "<ul>{}</ul>", open.join(""));
        }
        if !folded.is_empty() {
            let (count, rest) = (folded.len(), folded.join(""));
            let _ =
                write!(out, "<details><summary>{count} more</summary><ul>{rest}</ul></details>");
        }
        if let Some(missing) = &row.missing {
            let _ = write!(out, "<p class=\"missing\">{}</p>", escaped(missing));
        }
        // Only links that this program wrote itself come here; the target in them is escaped.
        if let Some(link) = row.link.as_ref().filter(|link| link.starts_with("https://")) {
            let link = escaped(link);
            let _ = write!(out, "<a rel=\"noreferrer noopener\" href=\"{link}\">{link}</a>");
        }
        if let Some(asked_at) = row.asked_at {
            let kept = if row.kept { "kept from" } else { "asked" };
            let _ = write!(out, "<p class=\"when\">{kept} {}", Timestamp(asked_at));
            if let Some(total) = row.total.filter(|total| *total > row.facts.len() as u64) {
                let _ = write!(out, "; the service has {total}");
            }
            out.push_str("</p>");
        }
        out.push_str("</td></tr>\n");
    }
    out.push_str("</table>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_whole_and_holds_no_markup_of_others() {
        let page = page(&super::super::tests::dossier());
        assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"));
        assert_eq!(page.matches("<script").count(), 1, "its own alone");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
        assert!(!page.contains("src=") && !page.contains("@import") && !page.contains("url("));
        assert!(page.contains("kept from 2026-08-2"), "its age");
        assert!(page.contains("the service has 57"));
        assert!(page.contains("only for addresses"), "why something is missing");
    }
}

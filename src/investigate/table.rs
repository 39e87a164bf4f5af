//! A dossier as a table: a line for each fact, as CSV.

use super::Dossier;
use super::words::words;
use crate::model::Timestamp;

/// What the columns are called.
pub const COLUMNS: [&str; 6] = ["target", "by", "row", "name", "value", "asked_at"];

/// The lines, without that of the columns. What a program for tables would take for a formula has
/// a `'` in front.
pub fn lines(dossier: &Dossier) -> Vec<[String; 6]> {
    let mut lines = Vec::new();
    let mut line = |by: &str, row: &str, name: &str, value: &str, asked_at: Option<u32>| {
        let asked_at = asked_at.map(|at| Timestamp(at).to_string()).unwrap_or_default();
        let cells = [&dossier.target, by, row, name, value, &asked_at].map(plain);
        lines.push(cells);
    };
    let verdict = &dossier.verdict;
    line("sekisho", "verdict", "outcome", &verdict.outcome, Some(dossier.at));
    if let (Some(level), Some(score)) = (&verdict.level, &verdict.score) {
        line("sekisho", "verdict", "level", level, Some(dossier.at));
        line("sekisho", "verdict", "score", score, Some(dossier.at));
    }
    for (list, name) in &verdict.listed_by {
        line("sekisho", "listed by", list, name, Some(dossier.at));
    }
    for (by, row, fact) in dossier.facts() {
        let (name, value) = words(fact);
        line(by, &row.what, &name, &value, row.asked_at);
    }
    let local = dossier.local.iter().map(|row| ("local", row));
    let of_services = dossier
        .services
        .iter()
        .flat_map(|s| s.rows.iter().map(move |row| (s.service.as_str(), row)));
    for (by, row) in local.chain(of_services) {
        if let Some(missing) = &row.missing {
            line(by, &row.what, "missing", missing, row.asked_at);
        }
    }
    for service in &dossier.services {
        if let Some(off) = &service.off {
            line(&service.service, "", "not asked", off, None);
        }
    }
    lines
}

/// A cell that is text to every program (OWASP, CSV injection).
fn plain(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

/// The table as CSV (RFC 4180).
pub fn csv(dossier: &Dossier) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let rows = std::iter::once(COLUMNS.map(str::to_owned)).chain(lines(dossier));
    for row in rows {
        writer.write_record(&row).expect("rows have one length and memory takes them");
    }
    writer.into_inner().expect("memory takes all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_is_a_line_and_no_cell_is_a_formula() {
        let text = String::from_utf8(csv(&super::super::tests::dossier())).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
        let of = |name: &str| rows.iter().filter(|row| &row[3] == name).count();
        assert_eq!((of("resolution"), of("missing"), of("level")), (1, 1, 1));
        assert!(rows.iter().any(|row| row[4].starts_with("'=1+cmd")));
        assert!(!rows.iter().flatten().any(|cell| cell.starts_with('=')));
    }
}

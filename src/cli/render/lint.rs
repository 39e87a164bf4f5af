//! What was found in zones, for people.

use super::{BAD, FAINT, STRONG, WARN, counted, grouped, styled};
use crate::cli::rpz::Linted;
use crate::zone::lint::{Finding, Weight};

/// One zone with everything found in it.
pub fn linted(linted: &Linted) -> String {
    let report = &linted.report;
    let mut out = String::new();
    for finding in &report.findings {
        out += &self::finding(linted, finding);
        out.push('\n');
    }
    for (code, count) in &report.counts {
        let kept = report.findings.iter().filter(|finding| finding.code == *code).count();
        if *count > kept {
            out += &format!("and {} more of {}\n\n", grouped(count - kept), code.as_str());
        }
    }
    let name = linted.file.as_ref().unwrap_or(&linted.zone);
    let found: usize = report.counts.values().sum();
    let verdict = match (report.weight(), found) {
        (None, _) => "no findings".to_owned(),
        (Some(Weight::Error), 1) => "1 finding, which is grave".to_owned(),
        (Some(Weight::Error), _) => format!("{}, some of them grave", counted(found, "finding")),
        (Some(_), _) => counted(found, "finding"),
    };
    let rules =
        format!("{} rule{}", grouped(report.rules), if report.rules == 1 { "" } else { "s" });
    let serial = report.serial.map_or_else(String::new, |serial| format!(", serial {serial}"));
    let who = linted.profiles.join(", ");
    out += &format!("{} for {who}: {rules}{serial}: {verdict}\n", styled(STRONG, name));
    for (loss, count) in &linted.losses {
        out += &format!("  {} {}\n", grouped(*count), loss.text());
    }
    out
}

fn finding(linted: &Linted, finding: &Finding) -> String {
    let (style, word) = match finding.weight() {
        Weight::Error => (BAD, "error"),
        Weight::Warning => (WARN, "warning"),
        Weight::Note => (FAINT, "note"),
    };
    let code = finding.code.as_str();
    let mut out = format!("{}: {} [{code}]\n", styled(style, word), finding.text);
    let spot = &finding.spot;
    let file = spot.file.as_deref().or(linted.file.as_deref());
    match (file, spot.line) {
        (Some(file), 1..) => {
            out += &format!("  --> {file}:{}:{}\n", spot.line, spot.column.max(1));
        }
        (Some(file), 0) => out += &format!("  --> {file}\n"),
        (None, _) => out += &format!("  --> {}\n", linted.zone),
    }
    for concern in &finding.concerns {
        out += &format!("  {}: {}\n", concern.profile, concern.effect);
    }
    if let Some(hint) = &finding.hint {
        out += &format!("hint: {hint}\n");
    }
    out
}

//! `sekisho learn` and `sekisho model apply`.

use std::path::Path;

use super::{Columns, FAINT, STRONG, WARN, cell, counted, grouped, harmless, plain, styled};
use crate::api::learning::{AppliedSays, LearnSays};
use crate::pipeline::Rehearsal;

/// What would be changed.
pub fn learnt(says: &LearnSays, written: Option<&Path>) -> String {
    let changes = &says.learnt.changes;
    let mut out = String::new();
    if changes.is_empty() {
        out.push_str("nothing to change: the lists, reviews and reports bear the model out\n");
    }
    let mut columns = Columns::right(&[2, 3]);
    let parts = |n: u32, places: usize| format!("{:.*}", places, f64::from(n) / 1000.0);
    for copy in &changes.copies {
        columns.row([
            cell(STRONG, &copy.source),
            plain(format!("copy of {}", copy.of)),
            plain(""),
            plain(""),
            cell(FAINT, harmless(&copy.reason)),
        ]);
    }
    for aggregator in &changes.aggregators {
        columns.row([
            cell(STRONG, &aggregator.source),
            plain("aggregator"),
            plain(""),
            plain(""),
            cell(FAINT, harmless(&aggregator.reason)),
        ]);
    }
    for coupling in &changes.couplings {
        columns.row([
            cell(STRONG, coupling.sources.join(" and ")),
            plain("repeat each other"),
            plain(parts(coupling.before, 3)),
            plain(parts(coupling.after, 3)),
            cell(FAINT, harmless(&coupling.reason)),
        ]);
    }
    for precision in &changes.precisions {
        columns.row([
            cell(STRONG, &precision.source),
            plain(format!("precision, {}", precision.kind.as_str())),
            plain(parts(precision.before / 1000, 3)),
            plain(parts(precision.after / 1000, 3)),
            cell(FAINT, harmless(&precision.reason)),
        ]);
    }
    out.push_str(&columns.lines(0));
    for note in &says.learnt.notes {
        out.push_str(&format!("{} {}\n", styled(WARN, "note:"), harmless(note)));
    }
    if let Some(c) = &says.learnt.calibration {
        out.push_str(&format!(
            "of {} reviewed names the odds are {}.{:03} times the score {:+}.{:02} points; that is off \
             by {} % (scores as they are: {} %)\n",
            c.reviews,
            c.slope_permille / 1000,
            c.slope_permille.rem_euclid(1000),
            c.intercept_mban / 100,
            c.intercept_mban.rem_euclid(100),
            percent(c.error_after_ppm),
            percent(c.error_before_ppm),
        ));
    }
    if let Some(rehearsal) = &says.rehearsal {
        out.push_str(&self::rehearsal(rehearsal));
    }
    match written {
        Some(path) => out.push_str(&format!(
            "look it through, take out what you do not want, then: sekisho model apply {}\n",
            path.display()
        )),
        None if !changes.is_empty() => {
            out.push_str("`sekisho learn --output FILE` writes it down for review\n");
        }
        None => {}
    }
    out
}

/// What was changed.
pub fn applied(says: &AppliedSays) -> String {
    let mut out = format!(
        "{} in force, model {:.12}\n{}",
        counted(says.changes, "change"),
        says.model,
        rehearsal(&says.rehearsal)
    );
    if says.two_people {
        let note = "more than a thousandth of the decisions changes: a second person should look";
        out.push_str(&format!("{} {note}\n", styled(WARN, "note:")));
    }
    out
}

fn rehearsal(rehearsal: &Rehearsal) -> String {
    let ppm = u32::try_from(rehearsal.changed_ppm()).unwrap_or(u32::MAX);
    let mut out = format!(
        "decisions: {} of {} change ({} %)\n",
        grouped(rehearsal.changed),
        grouped(rehearsal.before.iter().sum()),
        percent(ppm)
    );
    let mut columns = Columns::right(&[1, 2]);
    columns.row(["level", "before", "after"].map(|head| cell(FAINT, head)));
    for (at, level) in ["allow", "monitor", "redirect", "block"].into_iter().enumerate() {
        let counts = (rehearsal.before[at], rehearsal.after[at]);
        columns.row([plain(level), plain(grouped(counts.0)), plain(grouped(counts.1))]);
    }
    out.push_str(&columns.lines(2));
    for (name, before, after) in &rehearsal.examples {
        out.push_str(&format!("  {}: {before} to {after}\n", harmless(name)));
    }
    out
}

fn percent(ppm: u32) -> String {
    format!("{}.{:02}", ppm / 10_000, ppm % 10_000 / 100)
}

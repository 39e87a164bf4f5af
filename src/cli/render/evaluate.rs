//! `sekisho evaluate`.

use super::{BAD, Columns, FAINT, GOOD, STRONG, WARN, cell, grouped, plain, styled};
use crate::evaluate::report::{AtRate, BaselineRun, Benign, Enforced, Levels, Report, Run, Truth};
use crate::model::Timestamp;

/// Names that are shown of a list of names; the JSON has all.
const NAMES_SHOWN: usize = 12;

/// The whole report.
pub fn report(report: &Report) -> String {
    let mut out = inputs(report);
    for run in &report.runs {
        out.push_str(&self::run(run));
    }
    for popularity in [true, false] {
        let of: Vec<&BaselineRun> =
            report.baselines.iter().filter(|b| b.popularity == popularity).collect();
        out.push_str(&heading(&format!(
            "Simpler rules on the same claims, {}",
            evidence(popularity)
        )));
        out.push_str(&baselines(&of));
    }
    out
}

fn heading(text: &str) -> String {
    format!("\n{}\n", styled(STRONG, text))
}

fn evidence(popularity: bool) -> &'static str {
    if popularity { "popularity lists as evidence" } else { "popularity evidence withheld" }
}

fn inputs(report: &Report) -> String {
    let cut = Timestamp(report.cut);
    let mut out = format!("cut {cut}, model {}\n", &report.model);
    match &report.prediction {
        Ok(says) => out.push_str(&format!(
            "prediction {}: {} weights, learnt from {} names that became listed and {} looks at \
             popular ones, calibrated on {} more\n",
            says.model,
            grouped(says.weights),
            grouped(says.malicious),
            grouped(says.honest),
            grouped(says.calibrated_on),
        )),
        Err(error) => out.push_str(&format!("{} {error}\n", styled(WARN, "no prediction:"))),
    }
    let mut columns = Columns::right(&[2]);
    for input in &report.inputs {
        columns.row([
            plain(input.role),
            plain(&input.id),
            plain(grouped(input.entries)),
            plain(format!("latest {}", Timestamp(input.latest))),
            plain(input.weighs_as.as_deref().map_or(String::new(), |s| format!("weighs as {s}"))),
        ]);
    }
    for left in &report.left_out {
        columns.row([
            cell(WARN, "left out"),
            plain(&left.file),
            plain(grouped(left.rows)),
            plain(&left.reason),
            plain(""),
        ]);
    }
    out.push_str(&columns.lines(2));
    out
}

fn run(run: &Run) -> String {
    let with = if run.prediction { "with prediction" } else { "without prediction" };
    let mut out = heading(&format!("{}, {with}", capital(evidence(run.popularity))));
    let [_, monitor, redirect, block] = run.verdicts;
    out.push_str(&format!(
        "  verdicts: {} block, {} redirect, {} monitor\n",
        grouped(block),
        grouped(redirect),
        grouped(monitor)
    ));
    out.push_str(&truths(run));
    out.push_str(&benign(run));
    out.push_str(&listed(run));
    let count = run.platforms_blocked.len();
    let style = if count == 0 { GOOD } else { BAD };
    let text = format!("{count} of {} platforms are taken as a whole", run.platforms);
    out.push_str(&format!("  {}{}\n", styled(style, text), names(&run.platforms_blocked)));
    out
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn truths(run: &Run) -> String {
    let mut columns = Columns::right(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    columns.row(
        [
            "new names",
            "all",
            "block",
            "redirect",
            "monitor",
            "by prediction",
            "at 0.1 %",
            "at 1 %",
            "AUC",
            "precision",
            "noticed",
        ]
        .map(|title| cell(FAINT, title)),
    );
    for truth in &run.truths {
        columns.row([
            plain(&truth.id),
            plain(grouped(truth.all.names)),
            plain(part(truth.all.block, &truth.all)),
            plain(part(truth.all.redirect, &truth.all)),
            plain(part(truth.all.monitor, &truth.all)),
            plain(part(truth.all.by_prediction, &truth.all)),
            plain(at(truth.at_rates.first(), |rate| rate.detection)),
            plain(at(truth.at_rates.get(1), |rate| rate.detection)),
            plain(truth.auc.map_or("-".to_owned(), |auc| format!("{auc:.4}"))),
            plain(percent(truth.precision.enforced)),
            plain(percent(truth.precision.noticed)),
        ]);
        columns.row(shared_row(truth));
    }
    columns.lines(2)
}

fn shared_row(truth: &Truth) -> [(anstyle::Style, String); 11] {
    let shared = &truth.shared;
    [
        cell(FAINT, "  on platforms"),
        plain(grouped(shared.names)),
        plain(part(shared.block, shared)),
        plain(part(shared.redirect, shared)),
        plain(part(shared.monitor, shared)),
        plain(part(shared.by_prediction, shared)),
        plain(at(truth.at_rates.first(), |rate| rate.shared)),
        plain(at(truth.at_rates.get(1), |rate| rate.shared)),
        plain(""),
        plain(""),
        plain(""),
    ]
}

fn benign(run: &Run) -> String {
    let mut columns = Columns::right(&[1, 2, 3, 4, 5]);
    columns.row(
        [
            "benign list",
            "names",
            "block",
            "redirect",
            "monitor",
            "by prediction",
            "blocked or redirected",
        ]
        .map(|title| cell(FAINT, title)),
    );
    for list in run.benign.iter().chain([&run.pooled, &run.top]) {
        columns.row(benign_row(list));
    }
    let (enforced, noticed) = &run.worst;
    let mut out = columns.lines(2);
    out.push_str(&format!("  highest rates: {enforced} enforced, {noticed} monitored or more\n"));
    out
}

fn benign_row(list: &Benign) -> [(anstyle::Style, String); 7] {
    let levels = &list.levels;
    let counted = |count: usize| format!("{count} ({})", part(count, levels));
    let style = if list.enforced.is_empty() { FAINT } else { BAD };
    [
        plain(&list.id),
        plain(grouped(levels.names)),
        plain(counted(levels.block)),
        plain(counted(levels.redirect)),
        plain(counted(levels.monitor)),
        plain(counted(levels.by_prediction)),
        cell(style, names(&list.enforced).trim_start_matches([':', ' '])),
    ]
}

/// `: a.net (block: openphish, tweetfeed), b.net …`.
fn names(enforced: &[Enforced]) -> String {
    if enforced.is_empty() {
        return String::new();
    }
    let shown = enforced.iter().take(NAMES_SHOWN);
    let shown = shown.map(|e| format!("{} ({}: {})", e.name, e.level, e.lists.join(", ")));
    let more = enforced.len().saturating_sub(NAMES_SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(": {}{more}", shown.collect::<Vec<_>>().join(", "))
}

fn listed(run: &Run) -> String {
    let mut columns = Columns::right(&[1, 2, 3, 4, 5]);
    columns.row(
        ["listed before the cut", "days", "names", "block", "redirect", "monitor"]
            .map(|title| cell(FAINT, title)),
    );
    for listed in &run.listed {
        columns.row([
            plain(&listed.id),
            plain(listed.days),
            plain(grouped(listed.levels.names)),
            plain(part(listed.levels.block, &listed.levels)),
            plain(part(listed.levels.redirect, &listed.levels)),
            plain(part(listed.levels.monitor, &listed.levels)),
        ]);
    }
    columns.lines(2)
}

fn baselines(rules: &[&BaselineRun]) -> String {
    let mut columns = Columns::right(&[2, 3, 4, 5, 6]);
    columns.row(
        ["rule", "new names", "blocked", "at 0.1 %", "at 1 %", "AUC", "precision"]
            .map(|title| cell(FAINT, title)),
    );
    for rule in rules {
        for truth in &rule.truths {
            columns.row([
                cell(STRONG, &rule.rule),
                plain(&truth.id),
                plain(part(truth.all.block, &truth.all)),
                plain(at(truth.at_rates.first(), |rate| rate.detection)),
                plain(at(truth.at_rates.get(1), |rate| rate.detection)),
                plain(truth.auc.map_or("-".to_owned(), |auc| format!("{auc:.4}"))),
                plain(percent(truth.precision)),
            ]);
        }
        let blocked =
            |levels: &Levels| format!("{} ({})", levels.block, part(levels.block, levels));
        columns.row([
            cell(FAINT, ""),
            cell(FAINT, "benign, all lists"),
            plain(blocked(&rule.pooled)),
            cell(FAINT, "top"),
            plain(blocked(&rule.top)),
            plain(""),
            plain(""),
        ]);
    }
    columns.lines(2)
}

fn at(rate: Option<&AtRate>, of: impl Fn(&AtRate) -> Option<f64>) -> String {
    percent(rate.and_then(of))
}

fn part(count: usize, levels: &Levels) -> String {
    match levels.names {
        0 => "-".to_owned(),
        names => percent(Some(count as f64 / names as f64)),
    }
}

/// Two digits that tell something: `43.1 %`, `.056 %`, `0 %`.
fn percent(share: Option<f64>) -> String {
    match share.map(|share| share * 100.0) {
        None => "-".to_owned(),
        Some(0.0) => "0 %".to_owned(),
        Some(percent) if percent < 1.0 => {
            format!("{percent:.3} %").trim_start_matches('0').to_owned()
        }
        Some(percent) => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_shares_keep_their_digits() {
        assert_eq!(percent(Some(0.431)), "43.1 %");
        assert_eq!(percent(Some(0.00056)), ".056 %");
        assert_eq!(percent(Some(0.0)), "0 %");
        assert_eq!(percent(None), "-");
    }

    #[test]
    fn names_say_which_lists_claim_them_and_how_many_are_not_shown() {
        let name = |n: usize| Enforced {
            name: format!("n{n}.net"),
            level: "block".to_owned(),
            lists: vec!["a".to_owned(), "b".to_owned()],
        };
        assert_eq!(names(&[name(1)]), ": n1.net (block: a, b)");
        let many: Vec<Enforced> = (0..15).map(name).collect();
        assert!(names(&many).ends_with("n11.net (block: a, b) and 3 more"));
        assert_eq!(names(&[]), "");
    }
}

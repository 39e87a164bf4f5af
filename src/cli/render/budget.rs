//! `sekisho budget`.

use super::{BAD, Columns, FAINT, GOOD, STRONG, WARN, cell, counted, harmless, plain, styled};
use crate::model::Timestamp;
use crate::ports::budget::{BudgetSays, ServiceSays};

/// How look-ups stand.
pub fn budget(says: &BudgetSays) -> String {
    let mut columns = Columns::right(&[1, 2, 3, 4]);
    columns.row([
        cell(FAINT, "service"),
        cell(FAINT, "today"),
        cell(FAINT, "left"),
        cell(FAINT, "month"),
        cell(FAINT, "left"),
        cell(FAINT, "asked for"),
        cell(FAINT, "state"),
    ]);
    for service in &says.services {
        columns.row(row(service));
    }
    let mut out = columns.lines(0);
    if !says.next.is_empty() {
        out.push_str(&format!("\n{}\n", styled(STRONG, "next")));
        let mut columns = Columns::right(&[2]);
        for next in &says.next {
            columns.row([
                plain(harmless(&next.indicator)),
                plain(&next.service),
                plain(format!("{:.5}", next.value)),
                plain(harmless(&next.reason)),
            ]);
        }
        out.push_str(&columns.lines(2));
    }
    if !says.passed_over.is_empty() {
        out.push_str(&format!("\n{}\n", styled(STRONG, "not asked")));
        let mut columns = Columns::default();
        for passed in &says.passed_over {
            columns.row([
                plain(counted(passed.count, "name")),
                plain(&passed.reason),
                cell(FAINT, format!("such as {}", harmless(&passed.example))),
            ]);
        }
        out.push_str(&columns.lines(2));
    }
    out
}

fn row(service: &ServiceSays) -> [(anstyle::Style, String); 7] {
    let name = cell(STRONG, &service.service);
    if let Some(off) = &service.off {
        let none = || cell(FAINT, "-");
        return [name, none(), none(), none(), none(), none(), cell(FAINT, format!("off: {off}"))];
    }
    let left = |(used, allowed): (u32, u32)| allowed.saturating_sub(used);
    let state = match (&service.hold, service.credits_left) {
        (Some((reason, until)), _) => {
            cell(BAD, format!("waits until {}: {}", Timestamp(*until), harmless(reason)))
        }
        (None, Some(0)) => cell(WARN, "no credits left, by its own word"),
        (None, Some(credits)) => cell(GOOD, format!("ready, {credits} credits by its own word")),
        (None, None) => cell(GOOD, "ready"),
    };
    [
        name,
        plain(service.day.0),
        plain(left(service.day)),
        plain(service.month.0),
        plain(left(service.month)),
        plain(&service.uses),
        state,
    ]
}

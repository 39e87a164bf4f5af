//! Zones that leave by transfer, and who takes them.

use super::{BAD, Columns, FAINT, GOOD, STRONG, WARN, ago, cell, grouped, octets, plain};
use crate::pipeline::report::{FleetSays, NotifySays, PublishedSays, VersionSays, ZoneSays};

/// What is published and who has it; nothing where nothing is.
pub fn fleet(zones: &[ZoneSays], now: u32) -> String {
    let published: Vec<(&str, &PublishedSays)> = zones
        .iter()
        .filter_map(|zone| Some((zone.name.as_str(), zone.published.as_ref()?)))
        .collect();
    if published.is_empty() {
        return String::new();
    }
    let mut out = String::from("\n");
    let mut columns = Columns::right(&[1, 2, 3]);
    columns.row([
        cell(FAINT, "published"),
        cell(FAINT, "serial"),
        cell(FAINT, "rules"),
        cell(FAINT, "versions"),
        cell(FAINT, "since"),
        cell(FAINT, ""),
    ]);
    for (name, zone) in &published {
        let note = match (&zone.rolled_back_to, &zone.canary) {
            (Some(serial), _) => cell(WARN, format!("rolled back to {serial}")),
            (None, Some(canary)) => {
                let left = canary.until.saturating_sub(now);
                cell(WARN, format!("canaries have {}, all others in {left} s", canary.serial))
            }
            (None, None) => plain(""),
        };
        columns.row([
            cell(STRONG, name),
            plain(zone.serial),
            plain(grouped(zone.rules)),
            plain(zone.versions),
            plain(ago(zone.at, now)),
            note,
        ]);
    }
    out.push_str(&columns.lines(0));
    out.push('\n');
    out.push_str(&secondaries(&published, now));
    out
}

fn secondaries(published: &[(&str, &PublishedSays)], now: u32) -> String {
    let mut columns = Columns::right(&[2, 3]);
    columns.row([
        cell(FAINT, "secondary"),
        cell(FAINT, "zone"),
        cell(FAINT, "has"),
        cell(FAINT, "behind"),
        cell(FAINT, "last transfer"),
        cell(FAINT, "told of news"),
    ]);
    for (zone, says) in published {
        for secondary in &says.secondaries {
            let name = match secondary.canary {
                true => format!("{} (canary)", secondary.name),
                false => secondary.name.clone(),
            };
            columns.row([
                cell(STRONG, name),
                plain(zone),
                plain(secondary.serial.map_or_else(|| "?".to_owned(), |s| s.to_string())),
                lag(secondary),
                plain(transfer(secondary, now)),
                notify(&secondary.notify, now),
            ]);
        }
    }
    columns.lines(0)
}

fn lag(secondary: &FleetSays) -> (anstyle::Style, String) {
    match secondary.lag_seconds {
        None => cell(WARN, "?"),
        Some(0) => cell(GOOD, "0 s"),
        Some(seconds) => cell(WARN, format!("{seconds} s")),
    }
}

fn transfer(secondary: &FleetSays, now: u32) -> String {
    let failures = match secondary.failures {
        0 => String::new(),
        n => format!(", {n} broken off"),
    };
    match (&secondary.transfer, secondary.asked_at) {
        (None, None) => "never asked".to_owned(),
        (None, Some(at)) => format!("none, asked {}{failures}", ago(at, now)),
        (Some(last), _) => format!(
            "{}, {}, {}, {} ms{failures}",
            last.kind,
            ago(last.at, now),
            octets(usize::try_from(last.octets).unwrap_or(usize::MAX)),
            last.took_ms
        ),
    }
}

fn notify(says: &NotifySays, now: u32) -> (anstyle::Style, String) {
    let tried = match says.attempts {
        1 => "once".to_owned(),
        n => format!("{n} times"),
    };
    match (says.state.as_str(), says.acknowledged_at, &says.error) {
        ("acknowledged", Some(at), _) => cell(GOOD, format!("acknowledged {}", ago(at, now))),
        ("trying", _, Some(error)) => cell(BAD, format!("tried {tried}: {error}")),
        (state, ..) => plain(state),
    }
}

/// The versions of a zone, newest first.
pub fn history(versions: &[VersionSays], now: u32) -> String {
    let mut columns = Columns::right(&[0, 2, 3, 4]);
    columns.row([
        cell(FAINT, "serial"),
        cell(FAINT, "published"),
        cell(FAINT, "rules"),
        cell(FAINT, "removed"),
        cell(FAINT, "added"),
        cell(FAINT, "zone's serial"),
        cell(FAINT, "snapshot"),
        cell(FAINT, ""),
    ]);
    for version in versions {
        let note = match (version.rolled_back_to, version.current) {
            (Some(to), true) => cell(WARN, format!("content of {to}, current")),
            (Some(to), false) => plain(format!("content of {to}")),
            (None, true) => cell(GOOD, "current"),
            (None, false) => plain(""),
        };
        columns.row([
            cell(STRONG, version.serial),
            plain(ago(version.at, now)),
            plain(grouped(version.rules)),
            plain(grouped(version.removed)),
            plain(grouped(version.added)),
            plain(version.source),
            plain(&version.snapshot),
            note,
        ]);
    }
    columns.lines(0)
}

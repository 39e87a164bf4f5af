//! `sekisho status` and `sekisho zones`.

use super::{
    BAD, Columns, FAINT, GOOD, STRONG, WARN, ago, ahead, cell, counted, grouped, harmless, octets,
    plain, styled,
};
use crate::pipeline::report::{PredictionSays, Status, ZoneSays};

/// Records that were left out of a zone and are shown; `--json` has more.
const REJECTS_SHOWN: usize = 5;

/// How the program is.
pub fn status(status: &Status) -> String {
    let mut out = String::new();
    let now = status.at;
    let running = match (status.running, status.started_at) {
        (true, Some(at)) => styled(GOOD, format!("running since {}", ago(at, now))),
        (true, None) => styled(GOOD, "running"),
        (false, _) => styled(WARN, "not running; read from the state directory"),
    };
    let mut columns = Columns::default();
    let mut line = |name: &str, text: String| columns.row([cell(STRONG, name), plain(text)]);
    line("sekisho", format!("{} {running}", status.version));
    line(
        "listens on",
        match status.listening.is_empty() {
            true => "nothing".to_owned(),
            false => status.listening.join(", "),
        },
    );
    line("resolves by", status.upstream.clone());
    line("mode", status.mode.clone());
    let s = &status.snapshot;
    line(
        "snapshot",
        format!(
            "{}, made {}, {} rules in {} zones, {}",
            s.id,
            ago(s.made_at, now),
            grouped(s.rules),
            status.zones.len(),
            octets(s.octets)
        ),
    );
    let [allow, monitor, redirect, block] = status.levels;
    line(
        "scored names",
        format!(
            "{} block, {} redirect, {} monitor, {} allow",
            grouped(block),
            grouped(redirect),
            grouped(monitor),
            grouped(allow)
        ),
    );
    let p = &status.popularity;
    line(
        "popularity",
        match p.lists {
            0 => "no list in force: scored sources enforce nothing".to_owned(),
            lists => format!(
                "{lists} lists, {} domains{}",
                grouped(p.domains),
                if p.short_history { ", short history" } else { "" }
            ),
        },
    );
    if let Some(says) = &status.prediction {
        line("prediction", prediction(says, now));
    }
    let c = status.sources;
    line("sources", format!("{} ok, {} stale, {} empty, {} off", c.ok, c.stale, c.empty, c.off));
    line("policy", policy(status));
    out.push_str(&columns.lines(0));
    for finding in &status.policy.findings {
        out.push_str(&format!("\n{finding}\n"));
    }
    out.push('\n');
    out.push_str(&zones(&status.zones, now));
    if !status.not_running.is_empty() {
        out.push_str(&format!("\n{}\n", styled(STRONG, "not running")));
        for what in &status.not_running {
            out.push_str(&format!("  {what}\n"));
        }
    }
    out
}

/// The model of names, and what it was trained on.
pub fn prediction(says: &PredictionSays, now: u32) -> String {
    let mut out = match (&says.model, says.trained_at) {
        _ if !says.enabled => return "off".to_owned(),
        (Some(model), Some(at)) => {
            format!(
                "model {:.12}, {} weights, trained {}",
                model,
                grouped(says.weights),
                ago(at, now)
            )
        }
        _ => "no model yet".to_owned(),
    };
    if let Some(t) = &says.training {
        out.push_str(&format!(
            " in {}.{} s on {} listed and {} popular names of {} and {}",
            t.took_ms / 1000,
            t.took_ms % 1000 / 100,
            grouped(t.malicious),
            grouped(t.honest),
            t.sources.join(", "),
            t.lists.join(", "),
        ));
    }
    if says.running {
        out.push_str("; being trained now");
    }
    if let Some((at, error)) = &says.failure {
        out.push_str(&format!("; {} {}", styled(WARN, ago(*at, now)), harmless(error)));
    }
    out
}

fn policy(status: &Status) -> String {
    let accepted = ago(status.policy.accepted_at, status.at);
    match (status.policy.broken, status.policy.findings.len()) {
        (true, n) => styled(
            BAD,
            format!("{n} findings in the files: the last good policy ({accepted}) stays in force"),
        ),
        (false, 0) => format!("taken over {accepted}, no findings"),
        (false, n) => styled(WARN, format!("taken over {accepted}, {n} findings")),
    }
}

/// The policy zones in order of precedence.
pub fn zones(zones: &[ZoneSays], now: u32) -> String {
    let mut columns = Columns::right(&[1, 2]);
    columns.row([
        cell(FAINT, "policy zone"),
        cell(FAINT, "serial"),
        cell(FAINT, "rules"),
        cell(FAINT, "mode"),
        cell(FAINT, "for"),
        cell(FAINT, "exported to"),
    ]);
    for zone in zones {
        let everyone = || "everyone".to_owned();
        columns.row([
            cell(STRONG, &zone.name),
            plain(zone.serial),
            plain(grouped(zone.rules)),
            cell(if zone.mode == "enforce" { GOOD } else { WARN }, &zone.mode),
            plain(if zone.groups.is_empty() { everyone() } else { zone.groups.join(", ") }),
            plain(zone.exported.as_deref().unwrap_or("-")),
        ]);
    }
    let foreign = secondaries(zones, now);
    format!("{}{foreign}{}", columns.lines(0), super::fleet::fleet(zones, now))
}

/// How zones of other publishers come.
fn secondaries(zones: &[ZoneSays], now: u32) -> String {
    let mut columns = Columns::default();
    columns.row([
        cell(FAINT, "from elsewhere"),
        cell(FAINT, "state"),
        cell(FAINT, "changed"),
        cell(FAINT, "confirmed"),
        cell(FAINT, "next"),
        cell(FAINT, "expires"),
        cell(FAINT, "from"),
    ]);
    let (mut none, mut notes) = (true, String::new());
    for zone in zones {
        let Some(says) = &zone.secondary else { continue };
        none = false;
        let style = match says.state.as_str() {
            "current" => GOOD,
            "expired" | "unloaded" => BAD,
            _ => WARN,
        };
        let past = |at: Option<u32>| at.map_or_else(|| "never".to_owned(), |at| ago(at, now));
        let future = |at: Option<u32>| at.map_or_else(|| "-".to_owned(), |at| ahead(at, now));
        let from = match (&says.from, &says.kind) {
            (Some(from), Some(kind)) => format!("{from} ({kind})"),
            _ => says.configured.join(", "),
        };
        columns.row([
            cell(STRONG, &zone.name),
            cell(style, &says.state),
            plain(past(says.taken_at)),
            plain(past(says.confirmed_at)),
            plain(future(says.next_at)),
            plain(future(says.expires_at)),
            plain(harmless(&from)),
        ]);
        if let Some(error) = &says.error {
            notes.push_str(&format!("  {}: {}\n", zone.name, harmless(error)));
        }
        if says.rejected > 0 {
            let records = counted(says.rejected, "record");
            notes.push_str(&format!("  {}: {records} left out, such as\n", zone.name));
        }
        for reject in says.rejects.iter().take(REJECTS_SHOWN) {
            notes.push_str(&format!("    {}\n", harmless(reject)));
        }
    }
    if none { String::new() } else { format!("\n{}{notes}", columns.lines(0)) }
}

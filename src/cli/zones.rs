//! `sekisho zones`: what is published, to whom, and what is to become of it.

use super::args::{Arguments, Zones, ZonesCommand};
use super::questions::{ask, ask_status, command, show};
use super::{Failure, render};
use crate::api::client::escaped;
use crate::daemon::clock::SystemClock;
use crate::diagnostic::Diagnostic;
use crate::model::time::Clock as _;
use crate::pipeline::report::VersionSays;

/// Lists zones, or does something with one.
pub fn run(arguments: &Arguments, zones: &Zones) -> Result<(), Failure> {
    let now = SystemClock.now().0;
    let order = |what: &str, zone: &str, more: &str| {
        let path = format!("/v1/zones/{what}?zone={}{more}", escaped(zone));
        let answer: serde_json::Value = command(arguments, &path)?;
        let said = |answer: &serde_json::Value| answer["said"].as_str().unwrap_or("").to_owned();
        show(arguments, &answer, said)
    };
    match &zones.command {
        None => {
            let status = ask_status(arguments)?;
            show(arguments, &status.zones, |zones| render::status::zones(zones, status.at))
        }
        Some(ZonesCommand::History { zone }) => {
            let path = format!("/v1/zones/history?zone={}", escaped(zone));
            let down = |_: &_| {
                Err(Diagnostic::error("only a running daemon knows the versions of a zone")
                    .hint("start it with `sekisho serve`"))
            };
            let answer: Vec<VersionSays> = ask(arguments, &path, down)?;
            show(arguments, &answer, |versions| render::fleet::history(versions, now))
        }
        Some(ZonesCommand::Promote { zone }) => order("promote", zone, ""),
        Some(ZonesCommand::Resume { zone }) => order("resume", zone, ""),
        Some(ZonesCommand::Rollback { zone, serial }) => {
            order("rollback", zone, &format!("&serial={serial}"))
        }
    }
}

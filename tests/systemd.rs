//! The systemd units: accepted by systemd, and as closed as promised.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use support::{peer, temporary_folder};

/// The most that `systemd-analyze security` may rate the service's exposure, in tenths of 10.
const EXPOSURE_MAX: &str = "15";

fn unit(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd").join(name)
}

fn text(name: &str) -> String {
    fs::read_to_string(unit(name)).expect("the unit is in the repository")
}

fn output(command: &mut Command) -> (Output, String) {
    let output = command.env("SYSTEMD_PAGER", "").output().expect("systemd-analyze runs");
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    (output, String::from_utf8_lossy(&text).into_owned())
}

/// What systemd says of the units with our program at the place where it was built. It accepts a
/// unit with an unknown key, so that silence is what counts.
fn verified(change: impl Fn(String) -> String) -> Option<(bool, String)> {
    let analyze = peer("systemd-analyze")?;
    let folder = temporary_folder();
    let units = ["sekisho.service", "sekisho.socket"].map(|name| {
        let installed = text(name).replace("/usr/bin/sekisho", env!("CARGO_BIN_EXE_sekisho"));
        let path = folder.path().join(name);
        fs::write(&path, change(installed)).expect("the folder takes a file");
        path
    });
    let (output, text) = output(Command::new(analyze).arg("verify").args(units));
    Some((output.status.success(), text))
}

#[test]
fn systemd_accepts_the_units_without_a_word() {
    if let Some(verdict) = verified(|unit| unit) {
        assert_eq!(verdict, (true, String::new()));
    }
}

#[test]
fn a_slip_in_a_unit_would_be_noticed() {
    if let Some((_, text)) = verified(|unit| unit.replace("WatchdogSec", "WatchdogSek")) {
        assert!(text.contains("WatchdogSek"), "{text}");
    }
}

#[test]
fn the_service_is_as_closed_as_promised() {
    let Some(analyze) = peer("systemd-analyze") else { return };
    let (output, text) = output(
        Command::new(analyze)
            .args(["security", "--offline=true", "--threshold", EXPOSURE_MAX])
            .arg(unit("sekisho.service")),
    );
    assert!(output.status.success(), "{text}");
    assert!(text.contains("Overall exposure level for sekisho.service"), "{text}");
}

#[test]
fn every_address_has_one_stream_socket_and_one_datagram_socket_for_each_of_two_workers() {
    let text = text("sekisho.socket");
    let addresses = |key: &str| -> Vec<String> {
        text.lines().filter_map(|l| l.strip_prefix(key)).map(str::to_owned).collect()
    };
    let streams = addresses("ListenStream=");
    assert_eq!(streams, ["0.0.0.0:53", "[::]:53"]);
    let twice: Vec<_> = streams.iter().flat_map(|a| [a.clone(), a.clone()]).collect();
    assert_eq!(addresses("ListenDatagram="), twice);
}

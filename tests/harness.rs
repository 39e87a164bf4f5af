//! The tools of the whole-program tests do what those tests rely on.

mod support;

use std::process::Command;

use rustix::process::{Pid, Signal, test_kill_process};
use support::{Daemon, free_port, peer, peer_or_skip, temporary_folder};

fn shell(script: &str) -> Daemon {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    Daemon::start(command)
}

#[test]
fn a_line_is_waited_for_on_either_stream() {
    let mut daemon = shell("echo first; echo second >&2; exec tail -f /dev/null");
    assert_eq!(daemon.wait_for_line("sec"), "second");
}

#[test]
#[should_panic(expected = "the program ended without a line with `ready`")]
fn a_program_that_ends_is_not_waited_for() {
    shell("echo broken").wait_for_line("ready");
}

#[test]
fn readiness_is_waited_for_as_under_systemd() {
    let script = "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); \
        s.sendto(b'STATUS=late\\nREADY=1', os.environ['NOTIFY_SOCKET']); print('sent')";
    let mut command = Command::new("python3");
    command.args(["-c", script]);
    if peer("python3").is_some() {
        Daemon::start(command).wait_until_ready();
    }
}

#[test]
#[should_panic(expected = "before `READY=1`")]
fn a_program_that_ends_is_not_awaited_to_be_ready() {
    shell("exit 3").wait_until_ready();
}

#[test]
fn a_program_is_killed_when_its_test_ends() {
    let mut daemon = shell("trap '' TERM; echo here; exec tail -f /dev/null");
    daemon.wait_for_line("here");
    let id = Pid::from_raw(daemon.id().try_into().unwrap()).unwrap();
    drop(daemon);
    assert!(test_kill_process(id).is_err());
}

#[test]
fn a_signal_ends_a_program_and_its_output_is_kept() {
    let mut daemon = shell("trap 'echo bye; exit 7' USR1; echo here; while :; do :; done");
    daemon.wait_for_line("here");
    daemon.signal(Signal::USR1);
    let (status, output) = daemon.wait_for_exit();
    assert_eq!((status.code(), output.as_str()), (Some(7), "here\nbye"));
}

#[test]
#[should_panic(expected = "no-such-program is not installed")]
fn a_missing_peer_fails_a_test_where_peers_are_required() {
    peer_or_skip("no-such-program", true);
}

#[test]
fn a_free_port_can_be_bound() {
    let port = free_port();
    assert!(std::net::UdpSocket::bind(("127.0.0.1", port)).is_ok());
}

#[test]
fn a_temporary_folder_goes_with_its_value() {
    let folder = temporary_folder();
    let path = folder.path().to_owned();
    assert!(path.is_dir());
    drop(folder);
    assert!(!path.exists());
}

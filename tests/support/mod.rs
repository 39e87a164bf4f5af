//! What whole-program tests share: peers and data that may be missing, free ports, and programs
//! that are stopped when a test ends.
//!
//! Nothing here sleeps: a test waits for a line or for a readiness message, and gives up after
//! [`PATIENCE`].

#![allow(dead_code, reason = "each test file uses its own part of this")]

pub mod dice;
pub mod encrypted;
pub mod instance;
pub mod scenario;
pub mod standin;
pub mod tree;
pub mod world;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a test waits for something that must happen. Long, since a machine that runs many
/// tests at once is slow and nothing depends on the figure.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Where Debian keeps servers, which is not in everyone's `PATH`.
const SERVER_FOLDERS: [&str; 2] = ["/usr/sbin", "/usr/local/sbin"];

/// The path of another project's program, or a loud skip: `let Some(named) = peer("named") else {
/// return };`. With `SEKISHO_REQUIRE_PEERS=1`, as in `.ci/run`, a missing peer fails the test.
pub fn peer(program: &str) -> Option<PathBuf> {
    peer_or_skip(program, variable("SEKISHO_REQUIRE_PEERS").as_deref() == Some("1"))
}

/// As [`peer`], with the choice made by the caller.
pub fn peer_or_skip(program: &str, required: bool) -> Option<PathBuf> {
    let found = find_program(program);
    if found.is_none() {
        let missing = format!("{program} is not installed");
        assert!(!required, "{missing}");
        skip(&missing);
    }
    found
}

fn find_program(program: &str) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SERVER_FOLDERS.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|path| path.is_file())
}

/// A file or folder of the recorded feeds, zones and tables, or a loud skip. They lie outside the
/// repository: in `$SEKISHO_SHARED/data`, or in a folder `shared/data` beside the checkout or
/// beside one of the folders it lies in.
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = shared_folder().map(|folder| folder.join(path)).filter(|found| found.exists());
    if found.is_none() {
        skip(&format!("shared/data/{path} is not here"));
    }
    found
}

fn shared_folder() -> Option<PathBuf> {
    if let Some(folder) = variable("SEKISHO_SHARED") {
        return Some(Path::new(&folder).join("data"));
    }
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR"));
    checkout.ancestors().map(|folder| folder.join("shared/data")).find(|folder| folder.is_dir())
}

#[expect(clippy::disallowed_methods, reason = "tests take their surroundings from the environment")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Says that the running test is skipped, on the standard error of the whole run: what goes
/// through `eprintln!` is shown for failed tests only.
pub fn skip(reason: &str) {
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let crate_name = env!("CARGO_CRATE_NAME");
    // The run may be in the middle of a line of its own.
    let line = format!("\nSKIPPED {crate_name}::{test}: {reason}\n");
    std::io::stderr().write_all(line.as_bytes()).expect("standard error takes a line");
}

/// A new empty folder that is removed when the value is dropped.
pub fn temporary_folder() -> TempDir {
    tempfile::tempdir().expect("a temporary folder can be made")
}

/// A loopback port that is free for UDP and TCP. Another program can take it before the test
/// does, so servers that accept a bound socket should get one instead.
pub fn free_port() -> u16 {
    loop {
        let tcp = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let port = tcp.local_addr().expect("a bound socket has an address").port();
        if UdpSocket::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// A running program whose output is read line by line, and which is killed on drop.
pub struct Daemon {
    child: Child,
    lines: Receiver<String>,
    heard: Vec<String>,
    notifications: UnixDatagram,
    folder: TempDir,
}

impl Daemon {
    /// Starts our own program with these arguments.
    pub fn sekisho(arguments: &[&str]) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
        command.args(arguments);
        Daemon::start(command)
    }

    /// Starts any program. It finds a socket for readiness messages in `NOTIFY_SOCKET`
    /// (sd_notify(3)), as under systemd.
    pub fn start(mut command: Command) -> Daemon {
        let folder = temporary_folder();
        let socket = folder.path().join("notify");
        let notifications = UnixDatagram::bind(&socket).expect("a socket can be made");
        notifications.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        command.env("NOTIFY_SOCKET", &socket).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}"));
        let (sender, lines) = mpsc::channel();
        read_lines(child.stdout.take().expect("stdout is piped"), sender.clone());
        read_lines(child.stderr.take().expect("stderr is piped"), sender);
        Daemon { child, lines, heard: Vec::new(), notifications, folder }
    }

    /// A folder of its own, removed with the daemon.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends the program at once, as a crash or a power cut does.
    pub fn kill(&mut self) {
        self.child.kill().expect("the program can be killed");
        self.child.wait().expect("a child can be waited for");
    }

    /// The next line, of either stream, that contains `part`.
    pub fn wait_for_line(&mut self, part: &str) -> String {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => {
                    self.heard.push(line);
                    if let Some(line) = self.heard.last().filter(|line| line.contains(part)) {
                        return line.clone();
                    }
                }
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no line with `{part}`; {}", self.output())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    panic!("the program ended without a line with `{part}`; {}", self.output())
                }
            }
        }
    }

    /// Returns when the program has told its service manager that it is ready.
    pub fn wait_until_ready(&mut self) {
        self.wait_for_notification("READY=1");
    }

    /// Returns when a message to the service manager has the line `wanted`. Between messages it
    /// looks whether the program still runs.
    pub fn wait_for_notification(&mut self, wanted: &str) {
        let mut message = [0; 4096];
        self.notifications.set_read_timeout(Some(PATIENCE / 600)).expect("a timeout can be set");
        for _ in 0..600 {
            if let Ok(length) = self.notifications.recv(&mut message) {
                let text = String::from_utf8_lossy(&message[..length]).into_owned();
                if text.lines().any(|line| line == wanted) {
                    return;
                }
            } else if let Ok(Some(status)) = self.child.try_wait() {
                panic!("{status} before `{wanted}`; {}", self.output());
            }
        }
        panic!("no `{wanted}`; {}", self.output());
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program can be signalled");
    }

    /// Waits for the program to end by itself, and returns how, with all its output.
    pub fn wait_for_exit(mut self) -> (ExitStatus, String) {
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(line) => self.heard.push(line),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end; {}", self.output()),
            }
        }
        let status = self.child.wait().expect("a child can be waited for");
        (status, std::mem::take(&mut self.heard).join("\n"))
    }

    /// All it has printed so far.
    pub fn output(&mut self) -> String {
        self.heard.extend(self.lines.try_iter());
        format!("its output:\n{}", self.heard.join("\n"))
    }
}

#[expect(clippy::print_stderr, reason = "shown with the test that fails")]
impl Drop for Daemon {
    fn drop(&mut self) {
        let ended = matches!(self.child.try_wait(), Ok(Some(_)));
        if !ended {
            let _ = self.child.kill();
        }
        let status = self.child.wait().unwrap_or(ExitStatus::from_raw(0));
        if thread::panicking() {
            let output = self.output();
            eprintln!("{status}, {output}");
        }
    }
}

fn read_lines(stream: impl Read + Send + 'static, sender: mpsc::Sender<String>) {
    thread::spawn(move || {
        let lines = BufReader::new(stream).lines().map_while(Result::ok);
        // The receiver is gone when the test has ended.
        let _ = lines.map(|line| sender.send(line)).find(Result::is_err);
    });
}

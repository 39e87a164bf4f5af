//! Our own program with a configuration, folders and a port of its own.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::str::FromStr;

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, RecordType};
use rustix::process::Signal;
use tempfile::TempDir;

use super::{Daemon, PATIENCE, free_port, temporary_folder};

/// A daemon with folders of its own.
pub struct Instance {
    folder: TempDir,
    port: u16,
    daemon: Option<Daemon>,
}

impl Instance {
    /// Folders with the shipped policy and zones and this configuration behind the usual one; not
    /// started yet. The upstream is a port where nobody answers.
    pub fn new(configuration: &str) -> Self {
        let folder = temporary_folder();
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        for part in ["policies", "zones"] {
            copy(&root.join(part), &folder.path().join(part));
        }
        let (port, dead) = (free_port(), free_port());
        let instance = Self { folder, port, daemon: None };
        let at = |name: &str| instance.path(name).display().to_string();
        let mut text = String::new();
        write!(
            text,
            "state_directory = '{}'\npolicies_directory = '{}'\nzones_directory = '{}'\n\
             [resolver]\nlisten = ['127.0.0.1:{port}']\n\
             [page]\nlisten = []\n[api]\nsocket = '{}'\n[publish]\ndirectory = '{}'\n\
             [log]\nform = 'human'\n\
             [[zone]]\nfile = 'local.rpz'\nstanding = 'first'\noptions = 'ours'\n\
             [[zone]]\nfile = 'protected.rpz'\nstanding = 'before-generated'\noptions = 'ours'\n",
            at("state"),
            at("policies"),
            at("zones"),
            at("socket"),
            at("rpz"),
        )
        .expect("writing to memory");
        if !configuration.contains("[upstream]") {
            write!(
                text,
                "[upstream]\nmode = 'forward'\nservers = ['udp://127.0.0.1:{dead}']\n\
                 [dnssec]\nvalidate = false\n"
            )
            .expect("writing to memory");
        }
        text.push_str(configuration);
        instance.write("sekisho.toml", &text);
        instance
    }

    /// Starts it and waits until it answers.
    pub fn start(mut self) -> Self {
        self.restart();
        self
    }

    /// Starts it anew.
    pub fn restart(&mut self) {
        self.daemon = None;
        let configuration = self.path("sekisho.toml").display().to_string();
        let mut daemon = Daemon::sekisho(&["serve", "--config", &configuration]);
        daemon.wait_until_ready();
        self.daemon = Some(daemon);
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.daemon = None;
    }

    /// Has it end by itself, with everything written.
    pub fn end(&mut self) {
        let daemon = self.daemon.take().expect("it was started");
        daemon.signal(Signal::TERM);
        let (status, output) = daemon.wait_for_exit();
        assert!(status.success(), "{output}");
    }

    /// The running daemon.
    pub fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("it was started")
    }

    /// The port it answers on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// A path in its folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file of its folder as an editor does: beside, then renamed.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        let draft = path.with_extension("draft");
        std::fs::write(&draft, text).expect("its folder can be written");
        std::fs::rename(&draft, &path).expect("a file can be renamed");
    }

    /// Runs a command of ours with its configuration.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sekisho"));
        command.arg("--config").arg(self.path("sekisho.toml")).args(arguments);
        command.output().expect("our program can be run")
    }

    /// What a command of ours prints.
    pub fn say(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
        text(&output.stdout) + &text(&output.stderr)
    }

    /// What a command of ours answers to machines.
    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        let output = self.run(&all);
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
            panic!("{arguments:?}: {error}: {}", String::from_utf8_lossy(&output.stderr))
        })
    }

    /// Asks over UDP.
    pub fn ask(&self, name: &str, rtype: RecordType) -> Message {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("loopback has a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let query = query(name, rtype);
        socket.send_to(&query, ("127.0.0.1", self.port)).expect("a datagram can be sent");
        let mut reply = [0; 65_535];
        let length = socket.recv(&mut reply).expect("it answers");
        Message::from_vec(&reply[..length]).expect("the reply is a message")
    }

    /// Asks over TCP.
    pub fn ask_over_tcp(&self, name: &str, rtype: RecordType) -> Message {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout can be set");
        let query = query(name, rtype);
        let length = u16::try_from(query.len()).expect("a query is short").to_be_bytes();
        stream.write_all(&[&length, query.as_slice()].concat()).expect("it reads");
        let mut length = [0; 2];
        stream.read_exact(&mut length).expect("it answers");
        let mut reply = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut reply).expect("it answers in full");
        Message::from_vec(&reply).expect("the reply is a message")
    }

    /// The response code of a name's address.
    pub fn code(&self, name: &str) -> ResponseCode {
        self.ask(name, RecordType::A).metadata.response_code
    }
}

/// The addresses in an answer.
pub fn addresses(reply: &Message) -> Vec<String> {
    let address = |data: &RData| match data {
        RData::A(a) => Some(a.to_string()),
        RData::AAAA(aaaa) => Some(aaaa.to_string()),
        _ => None,
    };
    reply.answers.iter().filter_map(|record| address(&record.data)).collect()
}

fn query(name: &str, rtype: RecordType) -> Vec<u8> {
    let mut query = Message::new(4711, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query
        .add_query(Query::query(Name::from_str(&format!("{name}.")).expect("a sound name"), rtype));
    query.edns = Some(Edns::new());
    query.to_vec().expect("a query can be encoded")
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder can be made");
    for entry in std::fs::read_dir(from).expect("a folder can be read") {
        let path = entry.expect("an entry can be read").path();
        let target = to.join(path.file_name().expect("an entry has a name"));
        match path.is_dir() {
            true => copy(&path, &target),
            false => {
                std::fs::copy(&path, &target).expect("a file can be copied");
            }
        }
    }
}

//! Transfers with other people's programs, where they are installed.

use std::io::{self, BufRead as _, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::*;
use crate::model::{Action, Name, NamePattern, Rule, Timestamp, Trigger};
use crate::zone::file::write_zone;
use crate::zone::tsig::{Algorithm, ClientSequence, Key, Keys, ServerSequence};
use crate::zone::{Delta, Serial, Soa, Zone, ZoneBuilder};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

fn name(text: &str) -> Name {
    Name::from_presentation(text).unwrap()
}

fn zone(serial: u32, count: u32) -> Zone {
    let mut builder = ZoneBuilder::new(name("rpz.test"), Soa::ours(Serial(serial)), 7);
    for at in 0..count {
        let pattern = NamePattern { name: name(&format!("n{at}.test")), wildcard: at % 2 == 1 };
        let action = if at % 3 == 0 { Action::NxDomain } else { Action::Passthru };
        builder.insert(Rule { trigger: Trigger::QueryName(pattern), action, ttl: 60 });
    }
    builder.finish().0
}

fn key() -> Arc<Key> {
    Arc::new(Key::new(name("transfer.key"), Algorithm::HmacSha256, SECRET))
}

fn present(program: &str) -> bool {
    let found = Command::new(program).arg("-v").output().is_ok();
    if !found {
        #[expect(clippy::print_stderr, reason = "a test that did not run says so")]
        {
            eprintln!("SKIPPED: no {program} here");
        }
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "other programs sign with the time of the day")]
fn now() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    Timestamp(since.unwrap().as_secs() as u32)
}

fn read_frame(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut length = [0; 2];
    stream.read_exact(&mut length)?;
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message)?;
    Ok(message)
}

fn write_frame(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap();
    stream.write_all(&[&length.to_be_bytes()[..], message].concat()).unwrap();
}

/// Answers one request as a primary would.
fn answer(listener: &TcpListener, current: &Zone, delta: &Delta) {
    let mut stream = listener.accept().unwrap().0;
    let mut message = read_frame(&mut stream).unwrap();
    let keys = Keys::new(vec![key()]);
    let mut sequence = match ServerSequence::check(&keys, &mut message, now()) {
        Ok(sequence) => sequence,
        Err(refusal) => return write_frame(&mut stream, &refusal.response.unwrap()),
    };
    let request = Request::read(&message).unwrap();
    let writer = match &request.kind {
        RequestKind::Changes(soa) if soa.serial == delta.from() => {
            TransferWriter::changes(&request, current, [delta])
        }
        _ => TransferWriter::full(&request, current),
    };
    let mut writer = writer.with_size(MESSAGE_OCTETS, key().signature_octets());
    let mut message = Vec::new();
    while writer.next_message(&mut message) {
        if let Some(sequence) = &mut sequence {
            sequence.sign(&mut message, now());
        }
        write_frame(&mut stream, &message);
    }
}

#[test]
fn dig_takes_whole_zones_and_changes_signed_or_not() {
    if !present("dig") {
        return;
    }
    let (old, new) = (zone(1, 20_000), zone(2, 20_010));
    let delta = Delta::between(&old, &new);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let secret = data_encoding::BASE64.encode(SECRET);
    let good = format!("hmac-sha256:transfer.key:{secret}");
    let bad = format!("hmac-sha256:transfer.key:{}", &secret[4..]);
    let unknown = format!("hmac-sha256:other.key:{secret}");
    for (kind, key, said) in [
        ("axfr", None, "XFR size: 20013 records"),
        ("axfr", Some(&good), "XFR size: 20013 records"),
        ("ixfr=1", Some(&good), "XFR size: 14 records"),
        ("ixfr=0", None, "XFR size: 20013 records"),
        ("axfr", Some(&bad), "BADSIG"),
        ("axfr", Some(&unknown), "BADKEY"),
    ] {
        let mut dig = Command::new("dig");
        dig.args(["@127.0.0.1", "-p", &port, "rpz.test", kind, "+tcp", "+time=20", "+tries=1"]);
        if let Some(key) = key {
            dig.args(["-y", key]);
        }
        let child = dig.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        answer(&listener, &new, &delta);
        let output = child.wait_with_output().unwrap();
        let said_all = [output.stdout, output.stderr].concat();
        let said_all = String::from_utf8_lossy(&said_all);
        let end: String = said_all.lines().rev().take(12).collect::<Vec<_>>().join("\n");
        assert!(said_all.contains(said), "{kind} {key:?}: {end}");
        let signed = key.is_some() && said.starts_with("XFR");
        assert!(!signed || !said_all.contains("Couldn't verify"), "{end}");
    }
}

/// A name server that ends with the test.
struct Named(Child, io::BufReader<std::process::ChildStderr>);

impl Named {
    /// Starts it as the primary of a zone, and waits until it serves.
    fn start(directory: &Path, port: u16) -> Named {
        let secret = data_encoding::BASE64.encode(SECRET);
        let dir = directory.display();
        let config = format!(
            "key \"transfer.key\" {{ algorithm hmac-sha256; secret \"{secret}\"; }};
             controls {{ }};
             options {{ directory \"{dir}\"; listen-on port {port} {{ 127.0.0.1; }};
               listen-on-v6 {{ none; }}; pid-file none; session-keyfile none; recursion no;
               notify no; dnssec-validation no; }};
             zone \"rpz.test\" {{ type primary; file \"rpz.zone\"; ixfr-from-differences yes;
               allow-transfer {{ key transfer.key; }}; max-ixfr-ratio unlimited; }};"
        );
        std::fs::write(directory.join("named.conf"), config).unwrap();
        let mut named = Command::new("named");
        let config = directory.join("named.conf");
        named.arg("-g").arg("-c").arg(config).args(["-n", "1"]);
        let mut child = named.stderr(Stdio::piped()).spawn().unwrap();
        let log = io::BufReader::new(child.stderr.take().unwrap());
        let mut named = Named(child, log);
        named.wait_for("all zones loaded");
        named
    }

    fn wait_for(&mut self, words: &str) {
        let mut seen = String::new();
        loop {
            let start = seen.len();
            let read = self.1.read_line(&mut seen).unwrap();
            assert!(read > 0, "named ended: {seen}");
            if seen[start..].contains(words) {
                return;
            }
        }
    }

    fn reload(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks a server, signed, until the transfer is whole.
fn transfer(mut reader: TransferReader, port: u16) -> Transferred {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let mut request = Vec::new();
    reader.request().write(&mut request);
    let mut sequence = ClientSequence::sign(key(), &mut request, now());
    write_frame(&mut stream, &request);
    loop {
        let mut message = read_frame(&mut stream).unwrap();
        sequence.check(&mut message, now()).unwrap();
        if reader.feed(&message).unwrap() == Progress::Done {
            sequence.finish().unwrap();
            return reader.finish().unwrap().0;
        }
    }
}

#[test]
fn bind_sends_us_the_zone_and_then_its_changes() {
    if !present("named") {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let write = |zone: &Zone| {
        let mut text = Vec::new();
        write_zone(zone, &mut text).unwrap();
        std::fs::write(directory.path().join("rpz.zone"), text).unwrap();
    };
    let (old, new) = (zone(1, 3000), zone(2, 3010));
    write(&old);
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let mut named = Named::start(directory.path(), port);

    let limits = TransferLimits::default();
    let first = transfer(TransferReader::full(name("rpz.test"), 4711, 7, limits), port);
    let Transferred::Full(first) = first else { panic!("{first:?}") };
    assert_eq!(first.soa(), old.soa());
    assert!(first.same_rules(&old));
    let changes = |base: &Zone| TransferReader::changes(base.clone(), 4712, 7, limits);
    assert!(matches!(transfer(changes(&first), port), Transferred::Unchanged));

    write(&new);
    named.reload();
    named.wait_for("loaded serial 2");
    let second = transfer(changes(&first), port);
    let Transferred::Changed(second) = second else { panic!("{second:?}") };
    assert_eq!(second.soa(), new.soa());
    assert!(second.same_rules(&new));
    let whole = transfer(changes(&zone(0, 5)), port);
    assert!(matches!(whole, Transferred::Full(whole) if whole.same_rules(&new)));
}

//! A small Internet on loopback, served by other people's programs: a signed root (NSD), a signed
//! top-level zone `test` (BIND) and zones below it (NSD), some of them broken on purpose.
//!
//! | address | serves |
//! |---|---|
//! | `127.10.0.1` | the root |
//! | `127.10.0.2` | `test` |
//! | `127.10.0.3` | the zones below `test` |
//! | `127.10.0.4` | nothing that it is asked for: REFUSED |
//! | `127.10.0.5` | nobody listens |
//!
//! The servers listen on port 53, so a test that uses them runs in a network namespace of its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Daemon, peer};

/// The root's server.
pub const ROOT: &str = "127.10.0.1";

/// What the tree is made with; none where something is not installed.
pub struct Tools {
    nsd: PathBuf,
    named: PathBuf,
    keygen: PathBuf,
    signzone: PathBuf,
    dsfromkey: PathBuf,
}

impl Tools {
    /// Those installed here.
    pub fn find() -> Option<Self> {
        Some(Self {
            nsd: peer("nsd")?,
            named: peer("named")?,
            keygen: peer("dnssec-keygen")?,
            signzone: peer("dnssec-signzone")?,
            dsfromkey: peer("dnssec-dsfromkey")?,
        })
    }
}

/// The running servers.
pub struct Tree {
    /// The root's key-signing key, as a DNSKEY record.
    pub anchor: String,
    _servers: Vec<Daemon>,
}

/// How a zone below `test` is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signed {
    /// Not at all.
    No,
    /// With NSEC.
    Nsec,
    /// With NSEC3, unsigned delegations left out.
    Nsec3,
    /// Once, long ago.
    Expired,
    /// And an address changed afterwards.
    Forged,
    /// By another key than its parent says.
    OtherKey,
    /// Not at all, although its parent says so.
    Stripped,
}

const ADDRESSES: &str = "@ A 198.51.100.1\nwww A 198.51.100.2\nwww AAAA 2001:db8::2\n";

/// A server's name, and its address where the parent zone gives one.
type Served = (&'static str, Option<&'static str>);

/// A zone below `test`.
type Leaf = (&'static str, &'static [Served], Signed, &'static str);

/// Zones below `test`: name, servers as `test` names them, signatures, and what is in them beside
/// [`ADDRESSES`].
const LEAVES: [Leaf; 12] = [
    (
        "good",
        &[("ns.good.test.", Some("127.10.0.3"))],
        Signed::Nsec,
        "alias CNAME www\nchain CNAME alias\nout CNAME www.plain.test.\nlost CNAME nobody\n\
         tolame CNAME www.refused.test.\nloop1 CNAME loop2\nloop2 CNAME loop1\n\
         *.wild A 198.51.100.3\na.ent A 198.51.100.4\nmail MX 10 www\nbranch DNAME plain.test.\n\
         below NS ns.below\nns.below A 127.10.0.3\nsvc HTTPS 1 . alpn=h2\n",
    ),
    (
        "plain",
        &[("ns.plain.test.", Some("127.10.0.3"))],
        Signed::No,
        "alias CNAME www.good.test.\nlost CNAME nobody.good.test.\nns.host A 127.10.0.3\n",
    ),
    (
        "hashed",
        &[("ns.hashed.test.", Some("127.10.0.3"))],
        Signed::Nsec3,
        "*.wild A 198.51.100.5\n",
    ),
    ("glueless", &[("ns.host.plain.test.", None)], Signed::No, ""),
    (
        "lame",
        &[("ns1.lame.test.", Some("127.10.0.4")), ("ns2.lame.test.", Some("127.10.0.3"))],
        Signed::No,
        "",
    ),
    (
        "dead",
        &[("ns1.dead.test.", Some("127.10.0.5")), ("ns2.dead.test.", Some("127.10.0.3"))],
        Signed::No,
        "",
    ),
    ("refused", &[("ns.refused.test.", Some("127.10.0.4"))], Signed::No, ""),
    ("expired", &[("ns.expired.test.", Some("127.10.0.3"))], Signed::Expired, ""),
    ("forged", &[("ns.forged.test.", Some("127.10.0.3"))], Signed::Forged, ""),
    ("otherkey", &[("ns.otherkey.test.", Some("127.10.0.3"))], Signed::OtherKey, ""),
    ("stripped", &[("ns.stripped.test.", Some("127.10.0.3"))], Signed::Stripped, ""),
    ("below.good", &[], Signed::No, "ns A 127.10.0.3\n"),
];

impl Tree {
    /// Signs the zones in `folder` and starts the servers.
    pub fn start(tools: &Tools, folder: &Path) -> Self {
        let mut top = format!("{}ns A 127.10.0.2\nwww A 198.51.100.9\n", head("ns.test."));
        let mut leaves = Vec::new();
        for (leaf, servers, signed, more) in LEAVES {
            let zone = format!("{leaf}.test.");
            let own = servers.first().map_or("ns.below.good.test.", |(name, _)| *name);
            let mut text = head(own) + ADDRESSES;
            for (server, address) in servers {
                writeln!(top, "{leaf} NS {server}").unwrap();
                writeln!(text, "@ NS {server}").unwrap();
                if let Some(address) = address {
                    writeln!(top, "{server} A {address}").unwrap();
                    writeln!(text, "{server} A {address}").unwrap();
                }
            }
            text.push_str(more);
            let (file, ds) = make(tools, folder, &zone, &text, signed);
            top.push_str(&ds);
            leaves.push((zone, file));
        }
        let (top, ds) = make(tools, folder, "test.", &top, Signed::Nsec);
        let root = format!(
            "{}ns.root-server A {ROOT}\ntest NS ns.test.\nns.test A 127.10.0.2\n{ds}",
            head("ns.root-server.")
        );
        let (root, _) = make(tools, folder, ".", &root, Signed::Nsec);
        let anchor = fs::read_to_string(folder.join("root.anchor")).unwrap();
        let nothing = folder.join("nothing.zone");
        fs::write(&nothing, format!("$ORIGIN nothing.\n{}", head("ns.nothing."))).unwrap();
        let servers = vec![
            nsd(tools, folder, "root", ROOT, &[(".".to_owned(), root)]),
            named(tools, folder, "127.10.0.2", &top),
            nsd(tools, folder, "leaves", "127.10.0.3", &leaves),
            nsd(tools, folder, "nothing", "127.10.0.4", &[("nothing.".to_owned(), nothing)]),
        ];
        Self { anchor, _servers: servers }
    }
}

fn head(server: &str) -> String {
    format!("$TTL 300\n@ SOA {server} nobody.invalid. 1 3600 600 86400 60\n@ NS {server}\n")
}

/// Writes a zone, signed as it is to be, and says what its parent says of its keys.
fn make(tools: &Tools, folder: &Path, zone: &str, text: &str, signed: Signed) -> (PathBuf, String) {
    let stem = if zone == "." { "root" } else { zone.trim_end_matches('.') };
    let plain = folder.join(format!("{stem}.plain"));
    fs::write(&plain, format!("$ORIGIN {zone}\n{text}")).unwrap();
    if signed == Signed::No {
        return (plain, String::new());
    }
    let keys = folder.join(format!("{stem}.keys"));
    fs::create_dir(&keys).unwrap();
    let ksk = key(tools, &keys, zone, true);
    key(tools, &keys, zone, false);
    let signer = match signed {
        Signed::OtherKey => {
            let others = folder.join(format!("{stem}.others"));
            fs::create_dir(&others).unwrap();
            others.join(key(tools, &others, zone, true))
        }
        _ => keys.join(&ksk),
    };
    let signer = signer.display().to_string();
    let ds = run(&tools.dsfromkey, &["-2", &format!("{signer}.key")], folder);
    if zone == "." {
        let record = fs::read_to_string(format!("{signer}.key")).unwrap();
        let record = record.lines().find(|line| !line.starts_with(';')).unwrap();
        fs::write(folder.join("root.anchor"), record).unwrap();
    }
    if signed == Signed::Stripped {
        return (plain, ds);
    }
    let out = folder.join(format!("{stem}.signed"));
    let paths = [&keys, &out, &plain].map(|path| path.display().to_string());
    let mut arguments = vec!["-S", "-K", &paths[0], "-d", &paths[0], "-o", zone, "-f", &paths[1]];
    match signed {
        Signed::Nsec3 => arguments.extend(["-3", "-", "-H", "0", "-A"]),
        Signed::Expired => arguments.extend(["-P", "-s", "20200101000000", "-e", "20200201000000"]),
        _ => {}
    }
    arguments.push(&paths[2]);
    run(&tools.signzone, &arguments, folder);
    if signed == Signed::Forged {
        let text = fs::read_to_string(&out).unwrap();
        fs::write(&out, text.replace("198.51.100.2", "198.51.100.66")).unwrap();
    }
    (out, ds)
}

fn key(tools: &Tools, folder: &Path, zone: &str, is_ksk: bool) -> String {
    let place = folder.display().to_string();
    let mut arguments = vec!["-q", "-a", "ECDSAP256SHA256", "-K", &place];
    if is_ksk {
        arguments.extend(["-f", "KSK"]);
    }
    arguments.push(zone);
    run(&tools.keygen, &arguments, folder).trim().to_owned()
}

fn run(program: &Path, arguments: &[&str], folder: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{} {arguments:?}: {errors}", program.display());
    String::from_utf8(output.stdout).unwrap()
}

fn nsd(
    tools: &Tools,
    folder: &Path,
    stem: &str,
    address: &str,
    zones: &[(String, PathBuf)],
) -> Daemon {
    let place = folder.join(stem);
    fs::create_dir(&place).unwrap();
    let mut text = format!(
        "server:\n ip-address: {address}\n port: 53\n username: \"\"\n chroot: \"\"\n\
         database: \"\"\n zonesdir: \"{0}\"\n pidfile: \"{0}/pid\"\n xfrdfile: \"{0}/xfrd\"\n xfrdir: \"{0}\"\n\
         zonelistfile: \"{0}/list\"\n verbosity: 1\nremote-control:\n control-enable: no\n",
        place.display()
    );
    for (zone, file) in zones {
        write!(text, "zone:\n name: \"{zone}\"\n zonefile: \"{}\"\n", file.display()).unwrap();
    }
    let configuration = place.join("nsd.conf");
    fs::write(&configuration, text).unwrap();
    let mut command = Command::new(&tools.nsd);
    command.arg("-d").arg("-c").arg(configuration);
    let mut daemon = Daemon::start(command);
    daemon.wait_for_line("nsd started");
    daemon
}

fn named(tools: &Tools, folder: &Path, address: &str, zone: &Path) -> Daemon {
    // BIND listens on addresses that an interface has, and loopback has but one of its network.
    run(Path::new("ip"), &["address", "add", &format!("{address}/32"), "dev", "lo"], folder);
    let configuration = folder.join("top.conf");
    let text = format!(
        "options {{ directory \"{0}\"; pid-file none; session-keyfile none; recursion no;\n\
         listen-on {{ {address}; }}; listen-on-v6 {{ none; }}; notify no; dnssec-validation no; }};\ncontrols {{ }};\n\
         zone \"test\" {{ type primary; file \"{1}\"; }};\n",
        folder.display(),
        zone.display()
    );
    fs::write(&configuration, text).unwrap();
    let mut command = Command::new(&tools.named);
    command.args(["-g", "-n", "1", "-c"]).arg(configuration);
    let mut daemon = Daemon::start(command);
    daemon.wait_for_line("running");
    daemon
}

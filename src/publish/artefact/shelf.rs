//! Artefacts on disk, made once for a state.
//!
//! A file on the shelf never changes: its name begins with its hash, and the next version has
//! another name. So whoever reads one reads it to its end, also while the next is put in its place.
//! Beside each lies the same packed with gzip. [`Shelf::fill`] makes what changed, streaming; what
//! it keeps in memory for an artefact is a few lines of text.
//!
//! ```text
//! DIRECTORY/zones/threat.rpz     the last version of each zone, which knows its serial
//! DIRECTORY/HASH-NAME            an artefact
//! DIRECTORY/HASH-NAME.gz         the same, packed
//! ```

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Read, Seek as _, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use flate2::Compression;
use flate2::write::GzEncoder;
use ring::digest;

use super::blocked::Blocked;
use super::{Format, Tally, firewall, lists, reasons, stix};
use crate::model::Timestamp;
use crate::pipeline::Published;
use crate::publish::file;
use crate::publish::leaving::Outgoing;
use crate::publish::signing::{ContentHasher, SigningKey};

/// Hexadecimal digits of a file's hash in its name: enough to tell versions apart.
const NAME_DIGITS: usize = 32;
/// How much is copied at once.
const COPY_OCTETS: usize = 64 << 10;

/// A file to be fetched.
#[derive(Debug, Clone)]
pub struct Artefact {
    /// Its media type.
    pub media_type: &'static str,
    /// Its octets.
    pub octets: u64,
    /// Its octets when packed.
    pub packed_octets: u64,
    /// SHA-256 in hexadecimal, which is also its entity tag.
    pub sha256: String,
    /// The signature file, where there is a key.
    pub signature: Option<String>,
    /// What it holds.
    pub tally: Tally,
    /// When these octets were first put here.
    pub at: Timestamp,
    path: PathBuf,
}

impl Artefact {
    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where it lies packed.
    pub fn packed_path(&self) -> PathBuf {
        let mut path = self.path.clone().into_os_string();
        path.push(".gz");
        path.into()
    }
}

/// Everything that can be fetched, by its path below the root: `domains.txt`,
/// `zones/threat.rpz`.
#[derive(Debug, Clone, Default)]
pub struct Stock {
    /// The artefacts.
    pub artefacts: BTreeMap<String, Artefact>,
    /// Where STIX objects lie in [`OBJECTS_FILE`].
    pub objects: Arc<stix::Index>,
}

/// The artefact that [`Stock::objects`] is about: STIX objects in the order of time, with commas.
pub const OBJECTS_FILE: &str = "stix.objects";

/// Keeps artefacts.
pub struct Shelf {
    directory: PathBuf,
    key: Option<SigningKey>,
    stock: Stock,
}

impl Shelf {
    /// A shelf in a directory of its own, which is emptied of artefacts of an earlier run.
    pub fn open(directory: &Path, key: Option<SigningKey>) -> io::Result<Self> {
        fs::create_dir_all(directory.join("zones"))?;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_file() {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self { directory: directory.to_owned(), key, stock: Stock::default() })
    }

    /// Makes everything of a state and takes away what it replaces. What failed keeps its last
    /// version, and the errors are given.
    pub fn fill(
        &mut self,
        state: &Published,
        zones: &[Outgoing],
        now: Timestamp,
    ) -> (Arc<Stock>, Vec<(String, io::Error)>) {
        let before = std::mem::take(&mut self.stock);
        let mut errors = Vec::new();
        let mut next = Stock { objects: before.objects.clone(), ..Stock::default() };
        let mut keep = |name: String, made: io::Result<Artefact>| match made {
            Ok(artefact) => drop(next.artefacts.insert(name, artefact)),
            Err(error) => {
                if let Some(held) = before.artefacts.get(&name) {
                    next.artefacts.insert(name.clone(), held.clone());
                }
                errors.push((name, error));
            }
        };
        for zone in zones {
            let origin = zone.made.origin();
            let name = file::path(Path::new("zones"), origin).display().to_string();
            keep(name.clone(), self.zone(&name, zone, before.artefacts.get(&name), now));
        }
        let blocked = Blocked { state, zones };
        let networks = blocked.networks();
        for format in Format::ALL.into_iter().filter(|format| *format != Format::Stix) {
            let name = format.file().to_owned();
            let held = before.artefacts.get(&name);
            let made = self.make(&name, format.media_type(), held, now, &mut |out| match format {
                Format::JsonLines => reasons::write(blocked, out),
                Format::Addresses | Format::Nftables | Format::Ipset => {
                    firewall::write(format, &networks, out)
                }
                _ => lists::write(format, blocked, out),
            });
            keep(name, made);
        }
        match self.objects(blocked, &networks, before.artefacts.get(OBJECTS_FILE), now) {
            Ok((artefact, index)) => {
                let bundle = self.bundle(&artefact, before.artefacts.get(Format::Stix.file()), now);
                keep(Format::Stix.file().to_owned(), bundle);
                keep(OBJECTS_FILE.to_owned(), Ok(artefact));
                next.objects = Arc::new(index);
            }
            Err(error) => keep(OBJECTS_FILE.to_owned(), Err(error)),
        }
        self.stock = next;
        self.sweep();
        (Arc::new(self.stock.clone()), errors)
    }

    /// The RPZ text of a zone. The file in `zones/` is the memory of its serial.
    fn zone(
        &self,
        name: &str,
        zone: &Outgoing,
        held: Option<&Artefact>,
        now: Timestamp,
    ) -> io::Result<Artefact> {
        let path = self.directory.join(name);
        let published = file::publish(&path, &zone.made, now)?;
        let rules = zone.made.len();
        if let (None, Some(held)) = (&published.written, held) {
            return Ok(held.clone());
        }
        self.make(name, "text/dns; charset=utf-8", held, now, &mut |out| {
            io::copy(&mut File::open(&path)?, out)?;
            Ok(Tally { entries: rules, left_out: 0 })
        })
    }

    fn objects(
        &self,
        blocked: Blocked<'_>,
        networks: &[crate::model::Network],
        held: Option<&Artefact>,
        now: Timestamp,
    ) -> io::Result<(Artefact, stix::Index)> {
        let mut draft = tempfile::tempfile_in(&self.directory)?;
        let mut buffered = BufWriter::with_capacity(COPY_OCTETS, &mut draft);
        let mut entries = stix::write(blocked, networks, now, &mut buffered)?;
        buffered.flush()?;
        drop(buffered);
        // Those of one time stay in the order of names, which are read one after the other.
        entries.sort_by_key(|entry| entry.added);
        draft.rewind()?;
        let mut input = BufReader::with_capacity(COPY_OCTETS, draft);
        let mut sorted = Vec::with_capacity(entries.len());
        let media_type = "application/octet-stream";
        let artefact = self.make(OBJECTS_FILE, media_type, held, now, &mut |out| {
            sorted.clear();
            let mut offset = 0;
            let mut octets = Vec::new();
            for entry in &entries {
                let place = i64::try_from(entry.offset).map_err(io::Error::other)?;
                let at = i64::try_from(input.stream_position()?).map_err(io::Error::other)?;
                input.seek_relative(place - at)?;
                octets.resize(entry.length as usize + stix::SEPARATOR.len(), 0);
                input.read_exact(&mut octets)?;
                out.write_all(&octets)?;
                sorted.push(stix::Entry { offset, ..*entry });
                offset += octets.len() as u64;
            }
            Ok(Tally { entries: entries.len(), left_out: 0 })
        })?;
        Ok((artefact, stix::Index::new(sorted)))
    }

    /// All objects as one bundle, whose id follows from them.
    fn bundle(
        &self,
        objects: &Artefact,
        held: Option<&Artefact>,
        now: Timestamp,
    ) -> io::Result<Artefact> {
        let (_, id) = stix::id_of(&objects.sha256);
        let name = Format::Stix.file();
        self.make(name, Format::Stix.media_type(), held, now, &mut |out| {
            writeln!(out, "{{\"type\":\"bundle\",\"id\":\"bundle--{id}\",\"objects\":[")?;
            let length = objects.octets.saturating_sub(stix::SEPARATOR.len() as u64);
            io::copy(&mut File::open(&objects.path)?.take(length), out)?;
            out.write_all(b"\n]}\n")?;
            Ok(objects.tally)
        })
    }

    /// Makes an artefact; the held one where its octets are the same.
    fn make(
        &self,
        name: &str,
        media_type: &'static str,
        held: Option<&Artefact>,
        now: Timestamp,
        write: &mut dyn FnMut(&mut BufWriter<Sink>) -> io::Result<Tally>,
    ) -> io::Result<Artefact> {
        let sink = Sink::new(&self.directory)?;
        let mut buffered = BufWriter::with_capacity(COPY_OCTETS, sink);
        let tally = write(&mut buffered)?;
        let sink = buffered.into_inner().map_err(io::IntoInnerError::into_error)?;
        let Finished { plain, packed, octets, packed_octets, sha256, hash } = sink.finish()?;
        if let Some(held) = held.filter(|held| held.sha256 == sha256) {
            return Ok(Artefact { tally, ..held.clone() });
        }
        let short = name.replace('/', "-");
        let path = self.directory.join(format!("{}-{short}", &sha256[..NAME_DIGITS]));
        let signature = self.key.as_ref().map(|key| {
            let file = name.rsplit('/').next().unwrap_or(name);
            key.sign(&hash, &format!("timestamp:{}\tfile:{file}\thashed", now.0))
        });
        let artefact =
            Artefact { media_type, octets, packed_octets, sha256, signature, tally, at: now, path };
        packed.persist(artefact.packed_path()).map_err(|error| error.error)?;
        plain.persist(&artefact.path).map_err(|error| error.error)?;
        Ok(artefact)
    }

    /// Takes away files that are no artefact any more. Who reads one reads it to its end.
    fn sweep(&self) {
        let kept: Vec<PathBuf> = self
            .stock
            .artefacts
            .values()
            .flat_map(|artefact| [artefact.path.clone(), artefact.packed_path()])
            .collect();
        let Ok(entries) = fs::read_dir(&self.directory) else { return };
        for entry in entries.flatten() {
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if is_file && !kept.contains(&entry.path()) {
                // What cannot be removed now is removed with the next state, or the next start.
                let _ = fs::remove_file(entry.path());
            }
        }
    }
}

/// Takes an artefact's octets: to disk, packed to disk, and into two hashes.
pub struct Sink {
    plain: BufWriter<tempfile::NamedTempFile>,
    packed: GzEncoder<BufWriter<tempfile::NamedTempFile>>,
    sha256: digest::Context,
    blake2: ContentHasher,
    octets: u64,
}

struct Finished {
    plain: tempfile::NamedTempFile,
    packed: tempfile::NamedTempFile,
    octets: u64,
    packed_octets: u64,
    sha256: String,
    hash: crate::publish::signing::ContentHash,
}

impl Sink {
    fn new(directory: &Path) -> io::Result<Self> {
        let file = || {
            let file = tempfile::NamedTempFile::new_in(directory)?;
            io::Result::Ok(BufWriter::with_capacity(COPY_OCTETS, file))
        };
        Ok(Self {
            plain: file()?,
            packed: GzEncoder::new(file()?, Compression::fast()),
            sha256: digest::Context::new(&digest::SHA256),
            blake2: ContentHasher::default(),
            octets: 0,
        })
    }

    fn finish(self) -> io::Result<Finished> {
        let whole = |file: BufWriter<tempfile::NamedTempFile>| {
            file.into_inner().map_err(io::IntoInnerError::into_error)
        };
        let (plain, packed) = (whole(self.plain)?, whole(self.packed.finish()?)?);
        Ok(Finished {
            packed_octets: packed.as_file().metadata()?.len(),
            plain,
            packed,
            octets: self.octets,
            sha256: HEXLOWER.encode(self.sha256.finish().as_ref()),
            hash: self.blake2.finish(),
        })
    }
}

impl Write for Sink {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.plain.write_all(piece)?;
        self.packed.write_all(piece)?;
        self.sha256.update(piece);
        self.blake2.update(piece);
        self.octets += piece.len() as u64;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.plain.flush()
    }
}

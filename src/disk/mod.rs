//! Files that are replaced as a whole, and read where they lie.
//!
//! Everything this program keeps is written beside its place, made durable and renamed into it, so
//! that a stop at any moment leaves the old file or the new one and never a part. Large files are
//! mapped and not copied.

mod map;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

pub use map::map;

/// The ending of a file that is being written.
const PARTIAL: &str = "partial";

/// Replaces a file with what `write` writes. Until the rename the old file stays as it was.
pub fn replace(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let partial = partial_path(path);
    let written = write_durably(&partial, write).and_then(|()| fs::rename(&partial, path));
    if written.is_err() {
        // The place of a failed write is free again; that it was not there is no further news.
        let _ = fs::remove_file(&partial);
    }
    written?;
    sync_directory(path)
}

fn write_durably(
    partial: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(partial)?);
    write(&mut out)?;
    out.flush()?;
    out.get_ref().sync_all()
}

/// A rename is durable once its directory is.
fn sync_directory(path: &Path) -> io::Result<()> {
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(directory) => File::open(directory)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

fn partial_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(PARTIAL);
    name.into()
}

/// Removes what an earlier run was writing when it was stopped. Returns how many files.
pub fn sweep(directory: &Path) -> io::Result<usize> {
    let mut swept = 0;
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == PARTIAL) {
            fs::remove_file(&path)?;
            swept += 1;
        }
    }
    Ok(swept)
}

/// The content of a small file, at most `octets_max`; none where there is no such file.
pub fn read_small(path: &Path, octets_max: u64) -> io::Result<Option<Vec<u8>>> {
    use io::Read as _;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.take(octets_max + 1).read_to_end(&mut content)?;
    match content.len() as u64 > octets_max {
        true => Err(io::Error::new(
            io::ErrorKind::FileTooLarge,
            format!("more than {octets_max} octets"),
        )),
        false => Ok(Some(content)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_fails_leaves_the_old_file_and_no_litter() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("kept");
        replace(&path, |out| out.write_all(b"old")).unwrap();
        let failed = replace(&path, |out| {
            out.write_all(b"half of the ne")?;
            Err(io::Error::other("disk full"))
        });
        assert!(failed.is_err());
        assert_eq!(&map(&path).unwrap().unwrap()[..], b"old");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_a_stopped_run_was_writing_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("a.zone.partial"), b"x").unwrap();
        fs::write(directory.path().join("a.zone"), b"x").unwrap();
        assert_eq!(sweep(directory.path()).unwrap(), 1);
        assert!(directory.path().join("a.zone").exists());
    }

    #[test]
    fn small_files_have_a_bound() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("note");
        assert_eq!(read_small(&path, 3).unwrap(), None);
        fs::write(&path, b"1234").unwrap();
        assert!(read_small(&path, 3).is_err());
        assert_eq!(read_small(&path, 4).unwrap().unwrap(), b"1234");
    }
}

//! Mapping a file: one of the named places where `unsafe` is needed.
#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::path::Path;

use bytes::Bytes;

/// The octets of a file, mapped; none where there is no such file. The file may be replaced or
/// removed while the octets are in use: they are those of the file that was opened.
pub fn map(path: &Path) -> io::Result<Option<Bytes>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    if file.metadata()?.len() == 0 {
        return Ok(Some(Bytes::new()));
    }
    // SAFETY: a mapping is sound as long as nobody changes the file below it. Files here are only
    // ever replaced by rename (`disk::replace`), never written in place, and live in the state
    // directory, which belongs to this program.
    let map = unsafe { memmap2::Mmap::map(&file)? };
    Ok(Some(Bytes::from_owner(map)))
}

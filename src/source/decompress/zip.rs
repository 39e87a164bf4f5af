//! The one member of a zip file that is meant.

use std::io::{BufReader, Read, Seek, SeekFrom};

use zip::ZipArchive;

use super::{BUFFER_OCTETS, DecompressError};
use crate::source::feed::neutralised;

/// A published list is one file, perhaps with a licence beside it. The bound keeps a directory of
/// millions of members out of memory.
const MEMBERS_MAX: usize = 1000;

/// How many names an error shows.
const NAMES_SHOWN: usize = 5;

/// APPNOTE 4.3.16: the end record of 22 octets with a comment of up to 65,535.
const END_OCTETS_MAX: u64 = 22 + 65_535;
const END_MARK: &[u8] = b"PK\x05\x06";

/// Hands the content of the member to `consume`.
pub(super) fn read<R: Read + Seek, T>(
    mut file: R,
    member: Option<&str>,
    consume: impl FnOnce(&mut dyn Read) -> T,
) -> Result<T, DecompressError> {
    refuse_many_members(&mut file)?;
    let mut archive =
        ZipArchive::new(BufReader::with_capacity(BUFFER_OCTETS, file)).map_err(malformed)?;
    let index = choose(&archive, member)?;
    let mut content = archive.by_index(index).map_err(malformed)?;
    Ok(consume(&mut content))
}

fn malformed(error: zip::result::ZipError) -> DecompressError {
    DecompressError::Zip(neutralised(&error.to_string()))
}

/// Looks at the count of members before the directory is read. Every place that could be an end
/// record must pass, since readers differ in which of several they believe.
fn refuse_many_members<R: Read + Seek>(file: &mut R) -> Result<(), DecompressError> {
    let octets = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(octets.saturating_sub(END_OCTETS_MAX)))?;
    let mut end = Vec::new();
    file.by_ref().take(END_OCTETS_MAX).read_to_end(&mut end)?;
    file.rewind()?;
    let counts = end
        .windows(12)
        .filter(|window| window.starts_with(END_MARK))
        .map(|window| usize::from(u16::from_le_bytes([window[10], window[11]])));
    match counts.max() {
        None => Err(DecompressError::Zip("it has no end record, so it may be cut short".into())),
        Some(count) if count > MEMBERS_MAX => Err(DecompressError::MembersTooMany(MEMBERS_MAX)),
        Some(_) => Ok(()),
    }
}

/// The member of that name, or the only file there is.
fn choose<R: Read + Seek>(
    archive: &ZipArchive<R>,
    member: Option<&str>,
) -> Result<usize, DecompressError> {
    let mut files = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(malformed)?;
        let name = entry.name().map_err(malformed)?.into_owned();
        // macOS adds its own files about files.
        if entry.is_file() && !name.starts_with("__MACOSX/") {
            files.push((index, name));
        }
    }
    let found = || {
        let names: Vec<String> =
            files.iter().take(NAMES_SHOWN).map(|(_, name)| neutralised(name)).collect();
        names.join(", ")
    };
    match (member, files.as_slice()) {
        (Some(wanted), files) => match files.iter().find(|(_, name)| name == wanted) {
            Some((index, _)) => Ok(*index),
            None => {
                Err(DecompressError::MemberMissing { wanted: wanted.to_owned(), found: found() })
            }
        },
        (None, [(index, _)]) => Ok(*index),
        (None, files) => Err(DecompressError::MemberUnclear { count: files.len(), found: found() }),
    }
}

#[cfg(test)]
mod tests {
    use super::super::DecompressLimits;
    use super::super::tests::{gzip, unpacked};
    use super::*;
    use std::io::{Cursor, Write as _};
    use zip::write::SimpleFileOptions;

    const LIST: &[u8] = b"1,a.example\n2,b.example\n";

    fn archive(members: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, content) in members {
            match name.strip_suffix('/') {
                Some(directory) => {
                    writer.add_directory(directory, SimpleFileOptions::default()).unwrap();
                }
                None => {
                    writer.start_file(*name, SimpleFileOptions::default()).unwrap();
                    writer.write_all(content).unwrap();
                }
            }
        }
        writer.finish().unwrap().into_inner()
    }

    fn read_member(file: &[u8], member: Option<&str>) -> Result<Vec<u8>, String> {
        unpacked(file, member, &DecompressLimits::default()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_only_file_needs_no_name() {
        let file = archive(&[("x/", b""), ("x/top.csv", LIST), ("__MACOSX/top.csv", b"junk")]);
        assert_eq!(read_member(&file, None).unwrap(), LIST);
        assert_eq!(read_member(&archive(&[("a.gz", &gzip(LIST))]), None).unwrap(), LIST);
    }

    #[test]
    fn one_of_several_files_is_chosen_by_name() {
        let file = archive(&[("README", b"r"), ("list.txt", LIST)]);
        assert_eq!(read_member(&file, Some("list.txt")).unwrap(), LIST);
        assert_eq!(
            read_member(&file, Some("gone.txt")).unwrap_err(),
            "the zip file has no member \"gone.txt\"; it has README, list.txt"
        );
        assert_eq!(
            read_member(&file, None).unwrap_err(),
            "the zip file has 2 members (README, list.txt); name the one that is meant"
        );
    }

    #[test]
    fn damage_is_an_error() {
        let file = archive(&[("list.txt", &LIST.repeat(100))]);
        let cut = read_member(&file[..file.len() - 30], None).unwrap_err();
        assert!(cut.contains("no end record"), "{cut}");
        let mut damaged = file.clone();
        damaged[45] ^= 0xff;
        let damaged = read_member(&damaged, None).unwrap_err();
        assert!(damaged.starts_with("the zip data is damaged"), "{damaged}");
    }

    #[test]
    fn a_zip_inside_a_gzip_is_refused() {
        let file = gzip(&archive(&[("list.txt", LIST)]));
        assert_eq!(
            read_member(&file, None).unwrap_err(),
            "it holds another zip file, which is one layer too many"
        );
    }

    #[test]
    fn a_bomb_in_a_zip_ends_in_an_error() {
        let file = archive(&[("list.txt", &vec![b'x'; 20 * 1024 * 1024])]);
        assert!(read_member(&file, None).unwrap_err().contains("as bombs do"));
    }

    #[test]
    fn a_directory_of_too_many_members_is_not_read() {
        let names: Vec<String> = (0..=MEMBERS_MAX).map(|n| n.to_string()).collect();
        let members: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &b""[..])).collect();
        let error = read_member(&archive(&members), None).unwrap_err();
        assert_eq!(error, "the zip file has more than 1000 members");
    }
}

//! Compressed feeds, recognised by what they begin with and not by what they are called.
//!
//! gzip (of several members), xz, zstd, bzip2 and zip are unpacked while they are read; nothing is
//! written and nothing but the decoder's window is held, which is bounded for each. What comes out
//! is bounded in octets and in proportion to what went in, so that a bomb ends in an error. Two
//! layers are unpacked, since a server may compress once more what is compressed already.
//!
//! An error while reading is an [`io::Error`] that holds a [`DecompressError`].

mod zip;

use std::io::{self, BufRead, BufReader, Cursor, Read, Seek};

/// Compressed octets are read in pieces of this size.
const BUFFER_OCTETS: usize = 64 * 1024;

/// How many layers of compression are unpacked: the file's own and that of the transfer.
const LAYERS_MAX: u8 = 2;

/// The longest beginning that tells a format: bzip2's ten octets.
const HEAD_OCTETS: u64 = 10;

/// xz(1): `-9` needs 65 MiB to decompress; more is nothing a feed has a reason for.
const XZ_MEMORY_OCTETS_MAX: u64 = 96 * 1024 * 1024;

/// RFC 8878 section 3.1.1.1.2 recommends to support at least 8 MiB; `zstd --long=25` uses 32 MiB.
const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// A small file may unpack to this much whatever its ratio: short repetitive lists compress well.
const RATIO_FREE_OCTETS: u64 = 16 * 1024 * 1024;

/// A way to compress a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// RFC 1952.
    Gzip,
    /// The .xz format 1.2.
    Xz,
    /// RFC 8878.
    Zstd,
    /// bzip2 1.0.
    Bzip2,
    /// PKWARE's APPNOTE, with stored or deflated members.
    Zip,
}

impl Compression {
    /// What a file is compressed with, by its first octets; none if it is not.
    pub fn recognise(head: &[u8]) -> Option<Self> {
        let is_bzip2 = head.starts_with(b"BZh") && head.get(4..10) == Some(b"1AY&SY");
        match head {
            [0x1f, 0x8b, 8, ..] => Some(Self::Gzip),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstd),
            [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(Self::Zip),
            _ => is_bzip2.then_some(Self::Bzip2),
        }
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Xz => "xz",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Zip => "zip",
        }
    }
}

/// What unpacking will not go beyond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecompressLimits {
    /// Octets that come out.
    pub octets_max: u64,
    /// Octets that come out for each that goes in, once there are many.
    pub ratio_max: u32,
}

impl Default for DecompressLimits {
    /// 512 MiB hold any public list many times over. Sorted lists of names shrink to a tenth, and
    /// lists of one repeated pattern to a fiftieth; deflate's bound, which bombs come near, is
    /// 1032.
    fn default() -> Self {
        Self { octets_max: 512 * 1024 * 1024, ratio_max: 200 }
    }
}

/// Why a file could not be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum DecompressError {
    /// Reading the compressed file failed.
    #[error("the file could not be read: {0}")]
    Read(#[from] io::Error),
    /// More came out than allowed.
    #[error("it unpacks to more than {0} octets")]
    TooLarge(u64),
    /// More came out than anything but a bomb would give.
    #[error("it unpacks to more than {ratio} times its size of {octets} octets, as bombs do")]
    Bomb {
        /// The ratio allowed.
        ratio: u32,
        /// The size of the compressed file.
        octets: u64,
    },
    /// The compressed data is damaged, cut short, or needs more memory than allowed.
    #[error("the {compression} data is damaged or cut short: {source}")]
    Damaged {
        /// What it is compressed with.
        compression: &'static str,
        /// What the decoder said.
        source: io::Error,
    },
    /// Compressed more often than anyone has a reason to, or a zip file inside another file.
    #[error("it holds another {0} file, which is one layer too many")]
    Layers(&'static str),
    /// The zip file has no member of the configured name.
    #[error("the zip file has no member {wanted:?}; it has {found}")]
    MemberMissing {
        /// The configured name.
        wanted: String,
        /// The names there are, as far as they fit.
        found: String,
    },
    /// The zip file has several members and none is configured, or it has none at all.
    #[error("the zip file has {count} members ({found}); name the one that is meant")]
    MemberUnclear {
        /// How many files there are.
        count: usize,
        /// Their names, as far as they fit.
        found: String,
    },
    /// The zip file has more members than anyone would read.
    #[error("the zip file has more than {0} members")]
    MembersTooMany(usize),
    /// The zip file is malformed, encrypted or uses another method.
    #[error("the zip file cannot be read: {0}")]
    Zip(String),
}

/// Hands the text of `file`, unpacked as far as it is packed, to `consume`. `member` names the file
/// inside a zip file that has several.
pub fn read<R: Read + Seek, T>(
    mut file: R,
    member: Option<&str>,
    limits: &DecompressLimits,
    consume: impl FnOnce(&mut dyn BufRead) -> T,
) -> Result<T, DecompressError> {
    let octets = file.seek(io::SeekFrom::End(0))?;
    file.rewind()?;
    let bound = Bound::of(octets, limits);
    let mut head = Vec::new();
    file.by_ref().take(HEAD_OCTETS).read_to_end(&mut head)?;
    file.rewind()?;
    match Compression::recognise(&head) {
        Some(Compression::Zip) => zip::read(file, member, |content| {
            let bounded = Bounded::new(content, bound, Compression::Zip);
            unpack(Box::new(BufReader::new(bounded)), 1, bound, consume)
        })?,
        _ => unpack(Box::new(BufReader::with_capacity(BUFFER_OCTETS, file)), 0, bound, consume),
    }
}

/// Unpacks layer after layer.
fn unpack<T>(
    mut packed: Box<dyn BufRead + '_>,
    layer: u8,
    bound: Bound,
    consume: impl FnOnce(&mut dyn BufRead) -> T,
) -> Result<T, DecompressError> {
    let mut head = Vec::new();
    packed.by_ref().take(HEAD_OCTETS).read_to_end(&mut head).map_err(unwrapped)?;
    let compression = Compression::recognise(&head);
    let mut packed = Cursor::new(head).chain(packed);
    let Some(compression) = compression else { return Ok(consume(&mut packed)) };
    if layer == LAYERS_MAX || compression == Compression::Zip {
        return Err(DecompressError::Layers(compression.as_str()));
    }
    let decoder = decoder(compression, packed)
        .map_err(|source| DecompressError::Damaged { compression: compression.as_str(), source })?;
    let bounded = Bounded::new(decoder, bound, compression);
    unpack(Box::new(BufReader::with_capacity(BUFFER_OCTETS, bounded)), layer + 1, bound, consume)
}

fn decoder<'a>(
    compression: Compression,
    packed: impl BufRead + 'a,
) -> io::Result<Box<dyn Read + 'a>> {
    Ok(match compression {
        Compression::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(packed)),
        Compression::Xz => {
            let stream = liblzma::stream::Stream::new_stream_decoder(
                XZ_MEMORY_OCTETS_MAX,
                liblzma::stream::CONCATENATED,
            )?;
            Box::new(liblzma::bufread::XzDecoder::new_stream(packed, stream))
        }
        Compression::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(packed)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
            Box::new(decoder)
        }
        Compression::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(packed)),
        Compression::Zip => return Err(io::Error::other("a zip file is no stream")),
    })
}

/// The typed error that an [`io::Error`] of this module holds.
fn unwrapped(error: io::Error) -> DecompressError {
    error.downcast::<DecompressError>().unwrap_or_else(DecompressError::Read)
}

/// How much may come out, and which limit that is.
#[derive(Debug, Clone, Copy)]
struct Bound {
    octets: u64,
    ratio: Option<(u32, u64)>,
}

impl Bound {
    fn of(packed_octets: u64, limits: &DecompressLimits) -> Self {
        let by_ratio = packed_octets.saturating_mul(limits.ratio_max.into()).max(RATIO_FREE_OCTETS);
        match by_ratio < limits.octets_max {
            true => Self { octets: by_ratio, ratio: Some((limits.ratio_max, packed_octets)) },
            false => Self { octets: limits.octets_max, ratio: None },
        }
    }

    fn error(self) -> DecompressError {
        match self.ratio {
            Some((ratio, octets)) => DecompressError::Bomb { ratio, octets },
            None => DecompressError::TooLarge(self.octets),
        }
    }
}

/// A decoder that ends in an error when it gives more than it may, and names itself in its errors.
struct Bounded<R> {
    decoder: R,
    bound: Bound,
    octets: u64,
    compression: Compression,
}

impl<R: Read> Bounded<R> {
    fn new(decoder: R, bound: Bound, compression: Compression) -> Self {
        Self { decoder, bound, octets: 0, compression }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = match self.decoder.read(out) {
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) if is_typed(&error) => return Err(error),
            Err(source) => {
                let compression = self.compression.as_str();
                let error = DecompressError::Damaged { compression, source };
                return Err(io::Error::new(io::ErrorKind::InvalidData, error));
            }
        };
        self.octets += count as u64;
        match self.octets > self.bound.octets {
            true => Err(io::Error::new(io::ErrorKind::InvalidData, self.bound.error())),
            false => Ok(count),
        }
    }
}

/// Whether the error comes from the layer below, which named itself.
fn is_typed(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<DecompressError>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const TEXT: &[u8] = b"bad.example\nworse.example\n";

    pub(super) fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn xz(text: &[u8]) -> Vec<u8> {
        let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 6);
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn bzip2(text: &[u8]) -> Vec<u8> {
        let mut encoder = ::bzip2::write::BzEncoder::new(Vec::new(), ::bzip2::Compression::best());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        // Without a checksum, which zstd leaves to the writer, damage is not seen.
        let mut encoder = ::zstd::Encoder::new(Vec::new(), 3).unwrap();
        encoder.include_checksum(true).unwrap();
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The unpacked text or the error, whether it comes at once or while reading.
    pub(super) fn unpacked(
        file: &[u8],
        member: Option<&str>,
        limits: &DecompressLimits,
    ) -> Result<Vec<u8>, DecompressError> {
        read(Cursor::new(file), member, limits, |reader| {
            let mut text = Vec::new();
            reader.read_to_end(&mut text).map(|_| text)
        })?
        .map_err(unwrapped)
    }

    fn plain(file: &[u8]) -> Vec<u8> {
        unpacked(file, None, &DecompressLimits::default()).unwrap()
    }

    fn refusal(file: &[u8]) -> String {
        let text = unpacked(file, None, &DecompressLimits::default());
        text.map(|text| text.len()).unwrap_err().to_string()
    }

    #[test]
    fn every_compression_is_recognised_by_its_beginning() {
        for file in [TEXT.to_vec(), gzip(TEXT), xz(TEXT), bzip2(TEXT), zstd(TEXT)] {
            assert_eq!(plain(&file), TEXT);
        }
        for text in ["", "BZh9.example\n", "PK\n", "\u{1f}"] {
            assert_eq!(plain(text.as_bytes()), text.as_bytes());
        }
    }

    #[test]
    fn files_of_several_parts_are_read_to_the_end() {
        for pack in [gzip, xz, bzip2, zstd] {
            assert_eq!(plain(&[pack(TEXT), pack(TEXT)].concat()), [TEXT, TEXT].concat());
        }
    }

    #[test]
    fn what_a_server_compresses_once_more_is_unpacked_twice_and_no_more() {
        assert_eq!(plain(&gzip(&xz(TEXT))), TEXT);
        assert_eq!(
            refusal(&gzip(&gzip(&gzip(TEXT)))),
            "it holds another gzip file, which is one layer too many"
        );
    }

    #[test]
    fn data_that_is_cut_short_or_damaged_is_an_error() {
        let text = TEXT.repeat(100);
        for (pack, name) in
            [(gzip as fn(&[u8]) -> Vec<u8>, "gzip"), (xz, "xz"), (bzip2, "bzip2"), (zstd, "zstd")]
        {
            let file = pack(&text);
            let cut = refusal(&file[..file.len() - 3]);
            assert!(cut.starts_with(&format!("the {name} data is damaged or cut")), "{cut}");
            let mut damaged = file.clone();
            let middle = file.len() / 2;
            damaged[middle] ^= 0xff;
            let damaged = refusal(&damaged);
            assert!(damaged.starts_with(&format!("the {name} data is damaged")), "{damaged}");
        }
    }

    #[test]
    fn a_bomb_ends_in_an_error_after_sixteen_mebibytes() {
        for pack in [gzip, xz, bzip2, zstd] {
            let file = pack(&vec![b'x'; 20 * 1024 * 1024]);
            let error = unpacked(&file, None, &DecompressLimits::default()).unwrap_err();
            assert!(matches!(error, DecompressError::Bomb { ratio: 200, .. }), "{error}");
        }
    }

    #[test]
    fn the_limit_on_octets_is_exact() {
        let limits = DecompressLimits { octets_max: TEXT.len() as u64, ratio_max: 200 };
        assert!(unpacked(&gzip(TEXT), None, &limits).is_ok());
        let one_less = DecompressLimits { octets_max: TEXT.len() as u64 - 1, ratio_max: 200 };
        let error = unpacked(&gzip(TEXT), None, &one_less).unwrap_err();
        assert_eq!(error.to_string(), "it unpacks to more than 25 octets");
    }

    #[test]
    fn an_xz_file_that_wants_more_memory_than_allowed_is_an_error() {
        use liblzma::stream::{Check, Filters, LzmaOptions, Stream};
        let mut options = LzmaOptions::new_preset(0).unwrap();
        options.dict_size(256 * 1024 * 1024);
        let mut filters = Filters::new();
        filters.lzma2(&options);
        let stream = Stream::new_stream_encoder(&filters, Check::Crc32).unwrap();
        let mut encoder = liblzma::write::XzEncoder::new_stream(Vec::new(), stream);
        encoder.write_all(TEXT).unwrap();
        let error = refusal(&encoder.finish().unwrap());
        assert!(error.starts_with("the xz data is damaged"), "{error}");
    }
}

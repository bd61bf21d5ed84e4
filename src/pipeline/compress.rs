//! Codecs: zstd and gzip streams that the usual tools read.

use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;

use zstd::zstd_safe::CParameter;

use crate::config::Compression;
use crate::error::{Error, Result};

/// How data parts are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// Zstandard at a level from 1 to 19.
    Zstd(i32),
    /// gzip at a level from 1 to 9.
    Gzip(u32),
    /// As it is.
    None,
}

impl Codec {
    /// The codec where nothing else is configured: zstd at level 1 costs less time than writing
    /// the bytes it saves.
    pub const DEFAULT: Self = Self::Zstd(1);

    /// What file names end with: `.zst`, `.gz` or nothing.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Zstd(_) => ".zst",
            Self::Gzip(_) => ".gz",
            Self::None => "",
        }
    }

    /// The codec that a stored file's name tells; the level is not known from it.
    pub fn of_path(path: &str) -> Self {
        if path.ends_with(".zst") {
            Self::DEFAULT
        } else if path.ends_with(".gz") {
            Self::Gzip(6)
        } else {
            Self::None
        }
    }

    /// A writer that compresses into `inner`.
    pub fn encoder<W: Write>(self, inner: W) -> io::Result<Encoder<W>> {
        Ok(match self {
            Self::Zstd(level) => Encoder::Zstd(Frames::new(inner, level)?),
            Self::Gzip(level) => {
                Encoder::Gzip(flate2::write::GzEncoder::new(inner, flate2::Compression::new(level)))
            }
            Self::None => Encoder::None(inner),
        })
    }

    /// A reader of what the encoder wrote; several frames or members in a row are one stream.
    pub fn decoder<'a, R: Read + Send + 'a>(
        self,
        inner: R,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::Zstd(_) => Box::new(zstd::Decoder::new(inner)?),
            Self::Gzip(_) => Box::new(flate2::read::MultiGzDecoder::new(inner)),
            Self::None => Box::new(inner),
        })
    }
}

impl From<Compression> for Codec {
    fn from(compression: Compression) -> Self {
        match compression {
            Compression::Zstd(level) => Self::Zstd(i32::from(level)),
            Compression::Gzip(level) => Self::Gzip(u32::from(level)),
            Compression::None => Self::None,
        }
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            Self::Gzip(level) => write!(f, "gzip:{level}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for Codec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::usage(format!("`{text}` is not a compression"))
                .hint("write zstd[:1-19], gzip[:1-9] or none")
        };
        let (name, level) = match text.split_once(':') {
            Some((name, level)) => (name, Some(level.parse::<u32>().map_err(|_| wrong())?)),
            None => (text, None),
        };
        match (name, level) {
            ("zstd", None) => Ok(Self::DEFAULT),
            ("zstd", Some(level @ 1..=19)) => Ok(Self::Zstd(level.cast_signed())),
            ("gzip", None) => Ok(Self::Gzip(6)),
            ("gzip", Some(level @ 1..=9)) => Ok(Self::Gzip(level)),
            ("none", None) => Ok(Self::None),
            _ => Err(wrong()),
        }
    }
}

/// A compressing writer. What one call of `write` is given is one zstd frame: blocks come whole,
/// so that the compressor need not keep a window of its own, and a stream of frames is still one
/// file to every tool.
pub enum Encoder<W: Write> {
    /// Zstandard.
    Zstd(Frames<W>),
    /// gzip.
    Gzip(flate2::write::GzEncoder<W>),
    /// Nothing.
    None(W),
}

/// The window of level 1, as a power of two. Below 2^19 zstd searches without branches that the
/// processor cannot foretell: 5 % faster on rows, and no larger.
const FAST_WINDOW_LOG: u32 = 18;

/// Writes zstd frames.
pub struct Frames<W: Write> {
    compressor: zstd::bulk::Compressor<'static>,
    frame: Vec<u8>,
    any: bool,
    inner: W,
}

impl<W: Write> Frames<W> {
    fn new(inner: W, level: i32) -> io::Result<Self> {
        let mut compressor = zstd::bulk::Compressor::new(level)?;
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        if level == 1 {
            compressor.set_parameter(CParameter::WindowLog(FAST_WINDOW_LOG))?;
        }
        Ok(Self { compressor, frame: Vec::new(), any: false, inner })
    }

    fn frame(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.frame.clear();
        self.frame.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        self.compressor.compress_to_buffer(bytes, &mut self.frame)?;
        self.any = true;
        self.inner.write_all(&self.frame)
    }

    /// A file without a frame is no zstd file, so that an empty one gets an empty frame.
    fn finish(mut self) -> io::Result<W> {
        if !self.any {
            self.frame(&[])?;
        }
        Ok(self.inner)
    }
}

impl<W: Write> Encoder<W> {
    /// Ends the stream and gives the inner writer back.
    pub fn finish(self) -> io::Result<W> {
        match self {
            Self::Zstd(frames) => frames.finish(),
            Self::Gzip(encoder) => encoder.finish(),
            Self::None(writer) => Ok(writer),
        }
    }
}

impl<W: Write> Write for Encoder<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Zstd(frames) => frames.frame(bytes).map(|()| bytes.len()),
            Self::Gzip(encoder) => encoder.write(bytes),
            Self::None(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Zstd(frames) => frames.inner.flush(),
            Self::Gzip(encoder) => encoder.flush(),
            Self::None(writer) => writer.flush(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_comes_back() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for name in ["zstd", "zstd:3", "gzip", "gzip:1", "none"] {
            let codec: Codec = name.parse().unwrap();
            let mut encoder = codec.encoder(Vec::new()).unwrap();
            for piece in text.chunks(99_999) {
                encoder.write_all(piece).unwrap();
            }
            let stored = encoder.finish().unwrap();
            let mut back = Vec::new();
            let path = format!("x{}", codec.suffix());
            Codec::of_path(&path).decoder(&stored[..]).unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(back, text, "{name}");
            let empty = codec.encoder(Vec::new()).unwrap().finish().unwrap();
            let mut back = Vec::new();
            Codec::of_path(&path).decoder(&empty[..]).unwrap().read_to_end(&mut back).unwrap();
            assert!(back.is_empty(), "{name}");
        }
    }

    #[test]
    fn only_known_codecs_and_levels_parse() {
        for bad in ["", "lz4", "zstd:0", "zstd:20", "gzip:10", "none:1", "zstd:x", "zstd:-1"] {
            assert!(bad.parse::<Codec>().is_err(), "{bad}");
        }
        assert_eq!("zstd:9".parse::<Codec>().unwrap().to_string(), "zstd:9");
    }
}

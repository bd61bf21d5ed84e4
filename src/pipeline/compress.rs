//! Codecs: zstd and gzip streams that the usual tools read.

use std::io::{self, Read, Write};

use zstd::zstd_safe::{CParameter, ParamSwitch};

use crate::pipeline::codec::{Codec, Compression};

impl Compression {
    /// What file names end with: `.zst`, `.gz` or nothing.
    pub fn suffix(self) -> &'static str {
        match self {
            Self::Zstd(_) => ".zst",
            Self::Gzip(_) => ".gz",
            Self::None => "",
        }
    }

    /// A writer that compresses into `inner`.
    pub fn encoder<W: Write>(self, inner: W) -> io::Result<Encoder<W>> {
        Ok(match self {
            Self::Zstd(level) => Encoder::Zstd(Frames::new(inner, i32::from(level))?),
            Self::Gzip(level) => Encoder::Gzip(flate2::write::GzEncoder::new(
                inner,
                flate2::Compression::new(u32::from(level)),
            )),
            Self::None => Encoder::None(inner),
        })
    }
}

impl Codec {
    /// The codec that a stored file's name tells, for manifests that do not.
    pub fn of_path(path: &str) -> Self {
        if path.ends_with(".zst") {
            Self::Zstd
        } else if path.ends_with(".gz") {
            Self::Gzip
        } else {
            Self::None
        }
    }

    /// A reader of what the encoder wrote; several frames or members in a row are one stream.
    pub fn decoder<'a, R: Read + Send + 'a>(
        self,
        inner: R,
    ) -> io::Result<Box<dyn Read + Send + 'a>> {
        Ok(match self {
            Self::Zstd => Box::new(zstd::Decoder::new(inner)?),
            Self::Gzip => Box::new(flate2::read::MultiGzDecoder::new(inner)),
            Self::None => Box::new(inner),
        })
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

/// What level 1 does otherwise than the library's: on COPY text and BSON it is a fifth faster and
/// the files are as large. Below a window of 2^19 zstd searches without branches that the
/// processor cannot foretell; a target length of 2 looks at every third byte instead of every
/// second, and would leave literals uncompressed if that were not asked for.
const LEVEL_1: [CParameter; 3] = [
    CParameter::WindowLog(18),
    CParameter::TargetLength(2),
    CParameter::LiteralCompressionMode(ParamSwitch::Enable),
];

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
            for parameter in LEVEL_1 {
                compressor.set_parameter(parameter)?;
            }
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
            let compression: Compression = name.parse().unwrap();
            let mut encoder = compression.encoder(Vec::new()).unwrap();
            for piece in text.chunks(99_999) {
                encoder.write_all(piece).unwrap();
            }
            let stored = encoder.finish().unwrap();
            let mut back = Vec::new();
            let path = format!("x{}", compression.suffix());
            Codec::of_path(&path).decoder(&stored[..]).unwrap().read_to_end(&mut back).unwrap();
            assert_eq!(back, text, "{name}");
            let empty = compression.encoder(Vec::new()).unwrap().finish().unwrap();
            let mut back = Vec::new();
            Codec::of_path(&path).decoder(&empty[..]).unwrap().read_to_end(&mut back).unwrap();
            assert!(back.is_empty(), "{name}");
        }
    }
}

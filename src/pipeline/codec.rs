//! The codec of stored parts, as it is written: `zstd[:L]`, `gzip[:L]`, `none`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How stored parts are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// zstd at a level from 1 to 22.
    Zstd(u8),
    /// gzip at a level from 1 to 9.
    Gzip(u8),
    /// Stored as it is.
    None,
}

/// What a stored part has to be unpacked with; the level plays no part in that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Codec {
    /// One or more zstd frames.
    Zstd,
    /// One or more gzip members.
    Gzip,
    /// The bytes as they are.
    None,
}

impl Compression {
    /// What unpacks what this packs.
    pub fn codec(self) -> Codec {
        match self {
            Self::Zstd(_) => Codec::Zstd,
            Self::Gzip(_) => Codec::Gzip,
            Self::None => Codec::None,
        }
    }
}

/// What a codec looks like, for messages.
pub(crate) const COMPRESSION: &str = "`zstd[:1-22]`, `gzip[:1-9]` or `none`";

impl Default for Compression {
    /// zstd at level 1: about the speed of no compression at a third of the bytes.
    fn default() -> Self {
        Self::Zstd(1)
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Zstd(level) => write!(f, "zstd:{level}"),
            Self::Gzip(level) => write!(f, "gzip:{level}"),
            Self::None => f.write_str("none"),
        }
    }
}

impl FromStr for Compression {
    type Err = String;

    /// Without a level: zstd 1, gzip 6. The error is a message without the text.
    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || format!("compression must be {COMPRESSION}");
        let (codec, level) = match text.split_once(':') {
            Some((codec, level)) => {
                let digits = level.bytes().all(|byte| byte.is_ascii_digit());
                let level = digits.then(|| level.parse::<u8>().ok()).flatten();
                (codec, Some(level.ok_or_else(bad)?))
            }
            None => (text, None),
        };
        match (codec, level) {
            ("zstd", None) => Ok(Self::Zstd(1)),
            ("zstd", Some(level @ 1..=22)) => Ok(Self::Zstd(level)),
            ("gzip", None) => Ok(Self::Gzip(6)),
            ("gzip", Some(level @ 1..=9)) => Ok(Self::Gzip(level)),
            ("none", None) => Ok(Self::None),
            _ => Err(bad()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codecs() {
        for (text, written) in [
            ("zstd", "zstd:1"),
            ("zstd:22", "zstd:22"),
            ("gzip", "gzip:6"),
            ("gzip:9", "gzip:9"),
            ("none", "none"),
        ] {
            assert_eq!(text.parse::<Compression>().unwrap().to_string(), written);
        }
        for bad in
            ["", "lz4", "zstd:", "zstd:0", "zstd:23", "zstd:-1", "gzip:0", "gzip:10", "none:1"]
        {
            assert!(bad.parse::<Compression>().is_err(), "{bad}");
        }
    }
}

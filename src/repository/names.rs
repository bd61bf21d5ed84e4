//! Names in paths: what a table may be called and what a file may be called differ.

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// The longest path component, in bytes of its encoded form.
const COMPONENT_BYTES_MAX: usize = 80;
/// How much of a longer one is kept in front of its digest.
const COMPONENT_BYTES_KEPT: usize = 60;

/// A name as a path component: every byte outside `[A-Za-z0-9_-]` becomes `%XX`; what is then
/// longer than 80 bytes is cut to 60 plus `~` and 16 hex digits of the SHA-256 of the name.
pub fn component(name: &str) -> String {
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-' {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    if encoded.len() > COMPONENT_BYTES_MAX {
        encoded.truncate(COMPONENT_BYTES_KEPT);
        encoded.push('~');
        encoded.push_str(&hex(&Sha256::digest(name.as_bytes())[..8]));
    }
    encoded
}

/// Lower-case hex digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Bytes of the operating system's randomness as hex digits.
pub fn random_hex(bytes: usize) -> String {
    let mut buffer = vec![0_u8; bytes];
    rand::fill(&mut buffer[..]);
    hex(&buffer)
}

/// Refuses a stored path that leaves the snapshot's folder: a manifest is data, not trusted.
pub fn check_relative(path: &str) -> Result<()> {
    let plain =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains('\\');
    if path.split('/').all(plain) && !path.contains('\0') {
        return Ok(());
    }
    Err(Error::failed(format!(
        "a manifest names the path `{path}`, which is not below its snapshot"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_safe_and_distinct() {
        assert_eq!(component("users"), "users");
        assert_eq!(component("a.b/c d"), "a%2Eb%2Fc%20d");
        assert_eq!(component("é"), "%C3%A9");
        assert_eq!(component(".."), "%2E%2E");
        let (one, two) = ("x".repeat(90), format!("{}y", "x".repeat(89)));
        assert_eq!(component(&one).len(), 60 + 1 + 16);
        assert_ne!(component(&one), component(&two));
    }

    #[test]
    fn paths_stay_below_their_snapshot() {
        assert!(check_relative("postgres/data/public.users.1.copy.zst").is_ok());
        for bad in ["../x", "/etc/passwd", "a//b", "a/../b", "", "a\\b", "a/\0"] {
            assert!(check_relative(bad).is_err(), "{bad}");
        }
    }
}

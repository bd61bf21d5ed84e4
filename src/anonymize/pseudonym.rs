//! The key, and what is derived from it: a sub-key per identity domain, a digest per value.
//!
//! `HKDF-SHA-256(secret)` gives every domain a sub-key of its own; `HMAC-SHA-256(sub-key,
//! normalized value)` gives every value 256 bits that nobody without the key can guess or
//! reverse. Words are drawn from those bits, so the mapping needs no state and no order.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use sha2::block_api::compress256;

use crate::config::secret::Secret;
use crate::error::{Error, Result};

/// The version of the mapping. Raise it whenever a pseudonym changes for the same key and value:
/// the fingerprint changes with it, so that old and new pseudonyms are never mixed.
pub const MAPPING_VERSION: u32 = 1;

/// The shortest secret that is accepted, in bytes.
pub const MIN_KEY_BYTES: usize = 32;

/// The 256 bits of one value in one domain.
pub type Digest = [u8; 32];

/// The key that all pseudonyms of a job depend on.
#[derive(Clone)]
pub struct Key {
    root: Hkdf<Sha256>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Takes a secret of at least [`MIN_KEY_BYTES`] bytes as it is, never decoded.
    pub fn new(secret: &Secret) -> Result<Self> {
        let bytes = secret.expose().as_bytes();
        if bytes.len() < MIN_KEY_BYTES {
            return Err(Error::usage(format!(
                "the anonymization key has {} bytes and needs at least {MIN_KEY_BYTES}",
                bytes.len()
            ))
            .hint("make one with: openssl rand -base64 32"));
        }
        let salt = format!("pfdata anonymize v{MAPPING_VERSION}");
        Ok(Self { root: Hkdf::new(Some(salt.as_bytes()), bytes) })
    }

    /// Tells two keys and two versions of the mapping apart without revealing either key:
    /// `v1-` and 16 hex digits of an HKDF output that nothing else uses.
    pub fn fingerprint(&self) -> String {
        let mut bytes = [0u8; 8];
        self.expand(b"fingerprint", &mut bytes);
        let mut text = format!("v{MAPPING_VERSION}-");
        for byte in bytes {
            text.push_str(&format!("{byte:02x}"));
        }
        text
    }

    /// The keyed function of one identity domain.
    pub(crate) fn domain(&self, domain: &Domain) -> Keyed {
        let (kind, name) = match domain {
            Domain::Link(name) => ("link", name.as_str()),
            Domain::Place(name) => ("place", name.as_str()),
        };
        let mut sub_key = [0u8; 32];
        self.expand(format!("{kind}\0{name}").as_bytes(), &mut sub_key);
        Keyed::new(&sub_key)
    }

    fn expand(&self, info: &[u8], out: &mut [u8]) {
        // HKDF-SHA-256 gives up to 8160 bytes; what is asked for here is at most 32.
        if self.root.expand(info, out).is_err() {
            out.fill(0);
            debug_assert!(false, "HKDF refused a short output");
        }
    }
}

/// Which values share their pseudonyms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Domain {
    /// All places with this `link`.
    Link(String),
    /// One place without a link.
    Place(String),
}

/// HMAC-SHA-256 (RFC 2104) with its key already absorbed: the states of both hashes after their
/// first block. A value of up to 55 bytes costs two compressions, without the buffers that a
/// streaming interface has to carry; a test holds it against the `hmac` crate.
#[derive(Clone)]
pub(crate) struct Keyed {
    inner: [u32; 8],
    outer: [u32; 8],
}

/// The first state of SHA-256 (FIPS 180-4, 5.3.3).
const START: [u32; 8] = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// SHA-256 works on blocks of so many bytes.
const BLOCK: usize = 64;

impl Keyed {
    fn new(key: &[u8; 32]) -> Self {
        let absorbed = |pad: u8| {
            let mut block = [pad; BLOCK];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut state = START;
            compress256(&mut state, &[block]);
            state
        };
        Self { inner: absorbed(0x36), outer: absorbed(0x5c) }
    }

    /// The bits of one value.
    pub(crate) fn digest(&self, value: &[u8]) -> Digest {
        let mut state = self.inner;
        let (blocks, rest) = value.as_chunks::<BLOCK>();
        compress256(&mut state, blocks);
        let inner = finish(state, rest, value.len());
        finish(self.outer, &inner, inner.len())
    }
}

/// Ends a hash that has absorbed one block of key and `length` bytes but for the last `rest`,
/// which is shorter than a block.
fn finish(mut state: [u32; 8], rest: &[u8], length: usize) -> Digest {
    let mut last = [[0u8; BLOCK]; 2];
    let bytes = last.as_flattened_mut();
    bytes[..rest.len()].copy_from_slice(rest);
    bytes[rest.len()] = 0x80;
    let blocks = if rest.len() < BLOCK - 8 { 1 } else { 2 };
    let bits = (BLOCK + length) as u64 * 8;
    bytes[blocks * BLOCK - 8..blocks * BLOCK].copy_from_slice(&bits.to_be_bytes());
    compress256(&mut state, &last[..blocks]);
    let mut digest = [0u8; 32];
    for (bytes, word) in digest.chunks_exact_mut(4).zip(state) {
        bytes.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

impl fmt::Debug for Keyed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed(…)")
    }
}

/// Draws choices from a digest, always the same ones in the same order (SplitMix64).
#[derive(Debug, Clone)]
pub struct Draw(u64);

impl Draw {
    /// Starts from the first eight bytes; the rest is left to [`suffix`].
    pub fn new(digest: &Digest) -> Self {
        let mut head = [0u8; 8];
        head.copy_from_slice(&digest[..8]);
        Self(u64::from_le_bytes(head))
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `limit`; 0 where `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(limit)) >> 64) as u64
    }

    /// One of `words`; empty where there are none.
    pub fn pick<'a, W: AsRef<str>>(&mut self, words: &'a [W]) -> &'a str {
        let index = self.below(words.len() as u64) as usize;
        words.get(index).map(W::as_ref).unwrap_or_default()
    }

    /// A fraction in -1..1.
    pub fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// How many characters [`suffix`] writes.
pub const SUFFIX_CHARS: usize = 16;

/// Writes 80 bits of the digest that [`Draw`] does not use as 16 lower-case base32 characters:
/// with a billion values the chance of one collision is below one in a million.
pub fn suffix(digest: &Digest, out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    for group in digest[16..26].chunks_exact(5) {
        let mut bits = group.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
        let mut text = [0u8; 8];
        for slot in text.iter_mut().rev() {
            *slot = ALPHABET[(bits & 31) as usize];
            bits >>= 5;
        }
        out.extend_from_slice(&text);
    }
}

/// Writes bytes as lower-case hex.
pub fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac::{Hmac, KeyInit, Mac};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_keyed_hash_is_hmac(key: [u8; 32], value in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut block = [0u8; 64];
            block[..32].copy_from_slice(&key);
            let mut mac = Hmac::<Sha256>::new(&block.into());
            mac.update(&value);
            let expected: Digest = mac.finalize().into_bytes().into();
            prop_assert_eq!(Keyed::new(&key).digest(&value), expected);
        }
    }

    #[test]
    fn the_keyed_hash_is_hmac_at_every_length() {
        for length in 0..200 {
            let value = vec![7u8; length];
            let mut mac = Hmac::<Sha256>::new(&[0u8; 64].into());
            mac.update(&value);
            let expected: Digest = mac.finalize().into_bytes().into();
            assert_eq!(Keyed::new(&[0; 32]).digest(&value), expected, "{length}");
        }
    }

    fn key(text: &str) -> Key {
        Key::new(&Secret::new(text)).unwrap()
    }

    #[test]
    fn short_keys_are_refused_and_never_shown() {
        let error = Key::new(&Secret::new("x".repeat(31))).unwrap_err();
        assert!(error.to_string().contains("31 bytes"), "{error}");
        assert!(!format!("{:?}", key(&"k".repeat(32))).contains('k'));
    }

    #[test]
    fn fingerprints_tell_keys_apart_and_hold_the_version() {
        let (a, b) = (key(&"a".repeat(32)), key(&"b".repeat(32)));
        assert_ne!(a.fingerprint(), b.fingerprint());
        assert_eq!(a.fingerprint(), key(&"a".repeat(32)).fingerprint());
        assert!(a.fingerprint().starts_with("v1-"));
        assert_eq!(a.fingerprint().len(), 19);
    }

    #[test]
    fn domains_are_independent() {
        let key = key(&"a".repeat(32));
        let of = |domain: Domain| key.domain(&domain).digest(b"value");
        let digests = [
            of(Domain::Link("email".into())),
            of(Domain::Place("email".into())),
            of(Domain::Link("name".into())),
        ];
        assert_ne!(digests[0], digests[1]);
        assert_ne!(digests[0], digests[2]);
    }

    #[test]
    fn suffixes_are_sixteen_base32_characters() {
        let mut out = Vec::new();
        suffix(&[0xff; 32], &mut out);
        assert_eq!(out, b"7777777777777777");
        assert_eq!(out.len(), SUFFIX_CHARS);
    }

    #[test]
    fn draws_stay_in_range() {
        let mut draw = Draw::new(&[7; 32]);
        for _ in 0..1000 {
            assert!(draw.below(10) < 10);
            assert!((-1.0..1.0).contains(&draw.fraction()));
        }
        assert_eq!(draw.below(0), 0);
        assert_eq!(draw.pick::<&str>(&[]), "");
    }
}

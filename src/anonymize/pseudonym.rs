//! The key, and what is derived from it: a sub-key per identity domain, a digest per value.
//!
//! `HKDF-SHA-256(secret)` gives every domain a sub-key of its own; `HMAC-SHA-256(sub-key,
//! normalized value)` gives every value 256 bits that nobody without the key can guess or
//! reverse. Words are drawn from those bits, so the mapping needs no state and no order.
//!
//! Whoever holds masked data and knows one original can try keys against them, as fast as a hash
//! is computed. That the key cannot be guessed is all that stands against it, which is why weak
//! ones are refused. The fingerprint, which stands in every manifest, is no such help: each try
//! against it costs [`FINGERPRINT_MEMORY`].

use std::fmt;
use std::sync::{Arc, OnceLock};

use argon2::{Algorithm, Argon2, Params, Version};
use hkdf::Hkdf;
use sha2::Sha256;
use sha2::block_api::compress256;

use crate::config::secret::Secret;
use crate::config::strength;
use crate::error::{Error, Result};

/// The version of the mapping. Raise it whenever a pseudonym changes for the same key and value:
/// the fingerprint changes with it, so that old and new pseudonyms are never mixed.
pub const MAPPING_VERSION: u32 = 2;

/// What a fingerprint costs to derive: memory in KiB. With [`FINGERPRINT_PASSES`] some 40 ms,
/// which a job pays once and a guesser for each key. One of the settings of
/// <https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html>, which are
/// meant for passwords; a key has 128 bits beside.
pub const FINGERPRINT_MEMORY: u32 = 46 << 10;

/// How often that memory is gone through.
const FINGERPRINT_PASSES: u32 = 1;

/// The 256 bits of one value in one domain.
pub type Digest = [u8; 32];

/// The key that all pseudonyms of a job depend on.
#[derive(Clone)]
pub struct Key {
    root: Hkdf<Sha256>,
    /// Derived when it is first asked for, once for all clones.
    fingerprint: Arc<OnceLock<String>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(…)")
    }
}

impl Key {
    /// Takes a secret as it is, never decoded, if it is one: see [`strength`].
    ///
    /// # Errors
    ///
    /// Exit 2 when it is too short or can be guessed.
    pub fn new(secret: &Secret) -> Result<Self> {
        strength::check(secret, "the anonymization key")?;
        let salt = format!("pfdata anonymize v{MAPPING_VERSION}");
        let root = Hkdf::new(Some(salt.as_bytes()), secret.expose().as_bytes());
        Ok(Self { root, fingerprint: Arc::default() })
    }

    /// Tells two keys and two versions of the mapping apart without revealing either key: `v2-`
    /// and 16 hex digits. They are Argon2id of an HKDF output that nothing else uses, so that
    /// they are no cheap way to try keys. Blocks for some 40 ms when first asked for.
    ///
    /// # Errors
    ///
    /// Exit 1 when the memory that it takes is not there.
    pub fn fingerprint(&self) -> Result<String> {
        if let Some(known) = self.fingerprint.get() {
            return Ok(known.clone());
        }
        let mut derived = [0u8; 32];
        self.expand(b"fingerprint", &mut derived);
        let mut bytes = [0u8; 8];
        let salt = format!("pfdata fingerprint v{MAPPING_VERSION}");
        Params::new(FINGERPRINT_MEMORY, FINGERPRINT_PASSES, 1, Some(bytes.len()))
            .map(|cost| Argon2::new(Algorithm::Argon2id, Version::V0x13, cost))
            .and_then(|argon| argon.hash_password_into(&derived, salt.as_bytes(), &mut bytes))
            .map_err(|error| {
                Error::failed("the fingerprint of the anonymization key cannot be derived")
                    .because(error.to_string())
                    .hint(format!("it takes {} MiB of memory", FINGERPRINT_MEMORY >> 10))
            })?;
        let mut digits = Vec::with_capacity(2 * bytes.len());
        hex(&bytes, &mut digits);
        let text = format!("v{MAPPING_VERSION}-{}", String::from_utf8_lossy(&digits));
        Ok(self.fingerprint.get_or_init(|| text).clone())
    }

    /// The keyed function of one identity domain.
    pub(crate) fn domain(&self, domain: &Domain) -> Keyed {
        let (kind, name) = match domain {
            Domain::Link(name) => ("link", name.as_str()),
            Domain::Place(name) => ("place", name.as_str()),
            Domain::By(name) => ("by", name.as_str()),
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
    /// All places whose values are drawn by the same field or the same link of `by`.
    By(String),
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

    /// Equal for equal keys alone; never to be shown, as it gives the key away.
    pub(crate) fn identity(&self) -> [u32; 8] {
        self.inner
    }

    /// A keyed function of its own for each name.
    pub(crate) fn below(&self, name: &[u8]) -> Self {
        Self::new(&self.digest(name))
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
pub(crate) struct Draw(u64);

impl Draw {
    /// Starts from the first eight bytes; the rest is left to [`suffix`].
    pub(crate) fn new(digest: &Digest) -> Self {
        let mut head = [0u8; 8];
        head.copy_from_slice(&digest[..8]);
        Self(u64::from_le_bytes(head))
    }

    /// The next 64 bits.
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number below `limit`; 0 where `limit` is 0.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.bits()) * u128::from(limit)) >> 64) as u64
    }

    /// One of `words`; empty where there are none.
    pub(crate) fn pick<'a, W: AsRef<str>>(&mut self, words: &'a [W]) -> &'a str {
        let index = self.below(words.len() as u64) as usize;
        words.get(index).map(W::as_ref).unwrap_or_default()
    }

    /// A fraction in -1..1.
    pub(crate) fn fraction(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 52) as f64 - 1.0
    }
}

/// How many characters [`suffix`] writes.
pub(crate) const SUFFIX_CHARS: usize = 16;

/// Writes 80 bits of the digest that [`Draw`] does not use as 16 lower-case base32 characters:
/// with a billion values the chance of one collision is below one in a million.
pub(crate) fn suffix(digest: &Digest, out: &mut Vec<u8>) {
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
pub(crate) fn hex(bytes: &[u8], out: &mut Vec<u8>) {
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

    const STRONG: &str = "Zp9xV2mQ7tLr0sWbNc4KfJhYd8EuGa1i3oTnR6XMzPk";

    #[test]
    fn weak_keys_are_refused_and_no_key_is_shown() {
        let error = Key::new(&Secret::new("x".repeat(31))).unwrap_err();
        assert!(error.to_string().contains("32 bytes"), "{error}");
        for weak in [" ".repeat(32), "changeme".repeat(5), "correct horse ".repeat(4)] {
            let error = Key::new(&Secret::new(&*weak)).unwrap_err();
            assert!(error.to_string().contains("must be worth at least 128"), "{error}");
            assert!(!format!("{error:?}").contains(&weak), "{error:?}");
        }
        assert_eq!(format!("{:?}", key(STRONG)), "Key(…)");
    }

    #[test]
    fn fingerprints_tell_keys_apart_and_hold_the_version() {
        let other = STRONG.replace('Z', "z");
        let (a, b) = (key(STRONG).fingerprint().unwrap(), key(&other).fingerprint().unwrap());
        assert_ne!(a, b);
        // Pinned: it is compared with what older manifests hold.
        assert_eq!(a, "v2-6c855127f7e602d6");
        assert_eq!(a, key(STRONG).fingerprint().unwrap());
    }

    #[test]
    fn a_fingerprint_is_derived_once_and_is_nothing_that_is_cheap() {
        let key = key(STRONG);
        let copy = key.clone();
        let first = key.fingerprint().unwrap();
        assert_eq!(copy.fingerprint.get(), Some(&first), "clones share it");
        let start = std::time::Instant::now();
        for _ in 0..1000 {
            assert_eq!(copy.fingerprint().unwrap(), first);
        }
        assert!(start.elapsed() < std::time::Duration::from_millis(50), "it is derived again");
        let mut cheap = [0u8; 32];
        key.expand(b"fingerprint", &mut cheap);
        let mut digits = Vec::new();
        hex(&cheap, &mut digits);
        let digits = String::from_utf8(digits).unwrap();
        assert!(!digits.contains(first.trim_start_matches("v2-")));
    }

    #[test]
    fn domains_are_independent() {
        let key = key(STRONG);
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

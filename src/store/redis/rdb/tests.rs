//! The codec against a file of a real server, hand-made files of older and newer ones, and damage.

use proptest::prelude::*;

use super::contents::Contents;
use super::listpack::Builder;
use super::output::{put_length, put_string};
use super::rewrite::{Summary, rewrite};
use super::sink::StreamId;
use super::stream::NodeBuilder;
use super::{crc64, kind, opcode};
use crate::error::{Kind, Result};
use crate::pipeline::transform::{
    ElementVerdict, KeyKind, KeyTransform, KeyVerdict, Part, UnruledKeys,
};
use crate::policy::{Class, Clearance, Permit, UnruledPermit};

/// Written by `SAVE` of Redis 7.0.15: every kind in index 3, a function, a key in index 4.
const SAVED: &[u8] = include_bytes!("../../../../tests/data/redis-7.0.15.rdb");

fn permit() -> Permit {
    unruled().rows().clone()
}

/// For what goes through as it is.
fn unruled() -> UnruledPermit {
    UnruledPermit::new(Class::Synthetic, false, Clearance::Anonymized).unwrap()
}

fn cleared_by(
    transform: &mut dyn KeyTransform,
    bytes: &[u8],
    db: u32,
) -> Result<(Summary, Vec<u8>)> {
    let mut out = Vec::new();
    let summary = rewrite(bytes, db, transform, &mut |block| {
        out.extend_from_slice(block.bytes());
        Ok(())
    })?;
    Ok((summary, out))
}

fn cleared(bytes: &[u8], db: u32) -> Result<(Summary, Vec<u8>)> {
    cleared_by(&mut UnruledKeys(unruled()), bytes, db)
}

/// Changes every element so that it stays distinct.
struct Reverse(Permit);

impl KeyTransform for Reverse {
    fn key(&mut self, key: &[u8], _kind: KeyKind, name: &mut Vec<u8>) -> Result<KeyVerdict> {
        name.extend(key.iter().rev());
        Ok(KeyVerdict::Rewrite)
    }

    fn element(
        &mut self,
        _field: Option<&[u8]>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<ElementVerdict> {
        out.extend(value.iter().rev());
        Ok(ElementVerdict::Write)
    }

    fn name(&mut self, _: Part, name: &[u8], out: &mut Vec<u8>) -> Result<ElementVerdict> {
        out.extend(name.iter().rev());
        Ok(ElementVerdict::Write)
    }

    fn score(&mut self, _member: &[u8], score: f64) -> Result<f64> {
        Ok(-score)
    }

    fn keeps_functions(&self) -> bool {
        true
    }

    fn permit(&self) -> &Permit {
        &self.0
    }
}

/// Writes every element as it was: what a rule leaves that changes nothing.
struct Same(Permit);

impl KeyTransform for Same {
    fn key(&mut self, key: &[u8], _kind: KeyKind, name: &mut Vec<u8>) -> Result<KeyVerdict> {
        name.extend_from_slice(key);
        Ok(KeyVerdict::Rewrite)
    }

    fn element(
        &mut self,
        _field: Option<&[u8]>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<ElementVerdict> {
        out.extend_from_slice(value);
        Ok(ElementVerdict::Write)
    }

    fn name(&mut self, _: Part, _: &[u8], _: &mut Vec<u8>) -> Result<ElementVerdict> {
        Ok(ElementVerdict::Keep)
    }

    fn score(&mut self, _member: &[u8], score: f64) -> Result<f64> {
        Ok(score)
    }

    fn keeps_functions(&self) -> bool {
        true
    }

    fn may_drop_elements(&self) -> bool {
        false
    }

    fn permit(&self) -> &Permit {
        &self.0
    }
}

/// A file of version 11 without a checksum that holds `body`.
fn file(body: &[u8]) -> Vec<u8> {
    let mut bytes = b"REDIS0011".to_vec();
    bytes.extend_from_slice(body);
    bytes.push(opcode::EOF);
    bytes.extend_from_slice(&[0; 8]);
    bytes
}

/// A file with one key `k` in index 0.
fn one(kind: u8, value: &[u8]) -> Vec<u8> {
    let mut body = vec![kind, 1, b'k'];
    body.extend_from_slice(value);
    file(&body)
}

fn contents(bytes: &[u8]) -> Contents {
    cleared(bytes, 0).unwrap().0.contents
}

#[test]
fn a_saved_file_is_rewritten_and_rewritten_again() {
    let (summary, out) = cleared(SAVED, 3).unwrap();
    assert_eq!((summary.keys, summary.expiring, summary.functions), (19, 1, 1));
    assert_eq!((summary.elsewhere, summary.dropped), (1, 0));
    assert_eq!(summary.server_version.as_deref(), Some("7.0.15"));
    assert!(out.starts_with(b"REDIS0010"));
    assert_eq!(summary.bytes_written, out.len() as u64);
    assert_eq!(summary.bytes_read, SAVED.len() as u64);
    assert!(memchr::memmem::find(&out, b"secret-of-index-four").is_none());
    let (again, twice) = cleared(&out, 3).unwrap();
    assert_eq!(again.contents, summary.contents);
    assert_eq!(again.digest, summary.digest);
    assert_eq!(summary.digest, summary.contents.digest());
    assert_eq!(twice, out);
    let crc = crc64::update(0, &out[..out.len() - 8]);
    assert_eq!(out[out.len() - 8..], crc.to_le_bytes());
    // Reversing names, values and scores twice gives the same content, through another encoding
    // of streams.
    let (masked, there) = cleared_by(&mut Reverse(permit()), SAVED, 3).unwrap();
    let (back, _) = cleared_by(&mut Reverse(permit()), &there, 3).unwrap();
    let (same, _) = cleared_by(&mut Same(permit()), SAVED, 3).unwrap();
    assert_eq!((back.digest, same.digest), (summary.digest, summary.digest));
    let holds = |bytes: &[u8], text: &[u8]| memchr::memmem::find(bytes, text).is_some();
    for name in [b"workers".as_slice(), b"alice"] {
        assert!(holds(SAVED, name) && !holds(&there, name), "{name:?}");
    }
    assert_eq!((masked.keys, masked.dropped), (summary.keys, 0));
}

#[test]
fn every_truncation_and_every_flipped_bit_is_an_error() {
    for cut in 0..SAVED.len() {
        assert!(cleared(&SAVED[..cut], 3).is_err(), "cut at {cut}");
    }
    let mut bytes = SAVED.to_vec();
    for position in 0..SAVED.len() {
        for bit in 0..8 {
            bytes[position] ^= 1 << bit;
            // Another version number in the head is the one thing that the CRC alone tells.
            assert!(cleared(&bytes, 3).is_err(), "bit {bit} of byte {position}");
            bytes[position] ^= 1 << bit;
        }
    }
}

#[test]
fn every_encoding_of_a_list_is_the_same_list() {
    let mut listpack = Builder::default();
    listpack.clear();
    listpack.string(b"a").unwrap();
    listpack.string(b"12").unwrap();
    let listpack = listpack.finish().unwrap().to_vec();
    let ziplist = [17, 0, 0, 0, 13, 0, 0, 0, 2, 0, 0, 1, b'a', 3, 0xfe, 12, 0xff];
    let plain = one(kind::LIST, b"\x02\x01a\x0212");
    let mut quicklist2 = vec![2, 2];
    put_string(&mut quicklist2, &listpack);
    quicklist2.extend_from_slice(b"\x01\x03big");
    let mut quicklist = vec![1];
    put_string(&mut quicklist, &ziplist);
    let mut single = Vec::new();
    put_string(&mut single, &ziplist);
    let expected = contents(&plain);
    assert_eq!(expected.keys(), 1);
    assert_eq!(contents(&one(kind::LIST_ZIPLISTS, &quicklist)), expected);
    assert_eq!(contents(&one(kind::LIST_ZIPLIST, &single)), expected);
    let longer = contents(&one(kind::LIST, b"\x03\x01a\x0212\x03big"));
    assert_eq!(contents(&one(kind::LIST_LISTPACKS, &quicklist2)), longer);
}

#[test]
fn every_encoding_of_sets_hashes_and_sorted_sets_is_the_same() {
    let packed = |values: &[&[u8]]| {
        let mut listpack = Builder::default();
        listpack.clear();
        values.iter().for_each(|value| listpack.string(value).unwrap());
        let mut out = Vec::new();
        put_string(&mut out, listpack.finish().unwrap());
        out
    };
    let mut intset = Vec::new();
    put_string(&mut intset, &[2, 0, 0, 0, 2, 0, 0, 0, 1, 0, 12, 0]);
    let set = contents(&one(kind::SET, b"\x02\x0212\xc0\x01"));
    assert_eq!(contents(&one(kind::SET_INTSET, &intset)), set);
    assert_eq!(contents(&one(kind::SET_LISTPACK, &packed(&[b"12", b"1"]))), set);
    let ziplist = b"\x11\x11\0\0\0\x0d\0\0\0\x02\0\0\x01f\x03\xfe\x0c\xff";
    let hash = contents(&one(kind::HASH, b"\x01\x01f\x0212"));
    assert_eq!(contents(&one(kind::HASH_ZIPLIST, ziplist)), hash);
    assert_eq!(contents(&one(kind::HASH_LISTPACK, &packed(&[b"f", b"12"]))), hash);
    assert_eq!(contents(&one(kind::HASH_ZIPMAP, b"\x08\x01\x01f\x02\x0012\xff")), hash);
    let mut binary = b"\x01\x01f".to_vec();
    binary.extend_from_slice(&12_f64.to_le_bytes());
    let zset = contents(&one(kind::ZSET, &binary));
    assert_eq!(contents(&one(kind::ZSET_TEXT, b"\x01\x01f\x0212")), zset);
    assert_eq!(contents(&one(kind::ZSET_ZIPLIST, ziplist)), zset);
    assert_eq!(contents(&one(kind::ZSET_LISTPACK, &packed(&[b"f", b"1.2e1"]))), zset);
    assert!(cleared(&one(kind::ZSET_TEXT, b"\x01\x01f\xfd"), 0).is_err());
    assert!(cleared(&one(kind::ZSET_LISTPACK, &packed(&[b"f"])), 0).is_err());
}

/// A stream value of type 15, 19 or 21 with two entries, a group, a consumer and its entry.
fn stream_value(kind: u8) -> Vec<u8> {
    let mut out = stream_entries(kind);
    out.extend_from_slice(b"\x01\x01g\x05\x00");
    if kind != kind::STREAM {
        out.push(1);
    }
    out.push(1);
    let master = StreamId { ms: 5, sequence: 0 };
    out.extend_from_slice(&master.to_be());
    out.extend_from_slice(&7_u64.to_le_bytes());
    out.extend_from_slice(b"\x03\x01\x02me");
    out.extend_from_slice(&9_u64.to_le_bytes());
    if kind == kind::STREAM_3 {
        out.extend_from_slice(&9_u64.to_le_bytes());
    }
    out.push(1);
    out.extend_from_slice(&master.to_be());
    out
}

/// The same up to the number of groups.
fn stream_entries(kind: u8) -> Vec<u8> {
    let mut node = NodeBuilder::default();
    let master = StreamId { ms: 5, sequence: 0 };
    node.begin(master);
    for (sequence, field) in [(0, b"f"), (1, b"g")] {
        node.begin_entry();
        node.field(field, b"value").unwrap();
        node.end_entry(StreamId { ms: 5, sequence }).unwrap();
    }
    let mut out = vec![1];
    put_string(&mut out, &master.to_be());
    put_string(&mut out, node.finish().unwrap());
    out.extend_from_slice(&[2, 5, 1]);
    if kind != kind::STREAM {
        out.extend_from_slice(&[5, 0, 0, 0, 2]);
    }
    out
}

#[test]
fn every_version_of_a_stream_is_the_same_stream() {
    let expected = contents(&one(kind::STREAM, &stream_value(kind::STREAM)));
    for kind in [kind::STREAM_2, kind::STREAM_3] {
        let bytes = one(kind, &stream_value(kind));
        assert_eq!(contents(&bytes), expected);
        let (_, out) = cleared(&bytes, 0).unwrap();
        assert_eq!(contents(&out), expected);
        let (_, there) = cleared_by(&mut Reverse(permit()), &bytes, 0).unwrap();
        let (_, back) = cleared_by(&mut Reverse(permit()), &there, 0).unwrap();
        assert_eq!(contents(&back), expected);
    }
    // A stream of a server before 7.0 stays one that such a server loads.
    let mut old = one(kind::STREAM, &stream_value(kind::STREAM));
    old[8] = b'9';
    old[7] = b'0';
    let (_, out) = cleared(&old, 0).unwrap();
    assert!(out.starts_with(b"REDIS0009"));
    // Passed over in another index, all of them take exactly their bytes.
    for kind in [kind::STREAM, kind::STREAM_2, kind::STREAM_3] {
        let (summary, _) = cleared(&one(kind, &stream_value(kind)), 7).unwrap();
        assert_eq!((summary.keys, summary.elsewhere), (0, 1));
    }
}

#[test]
fn what_is_not_built_is_refused_by_name_and_passed_over_elsewhere() {
    let module = b"\x81\0\0\0\0\0\0\0\x05\x02\x07\x05\x03abc\x04\0\0\0\0\0\0\0\0\x00";
    let expiring = b"\0\0\0\0\0\0\0\0\x01\x00\x01f\x01v";
    for (kind, value, word) in
        [(kind::MODULE, &module[..], "module"), (kind::HASH_EXPIRING, &expiring[..], "expire")]
    {
        let error = cleared(&one(kind, value), 0).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(cleared(&one(kind, value), 1).unwrap().0.elsewhere, 1);
    }
    for head in [&b"REDIS0099"[..], b"VALKEY080"] {
        assert_eq!(cleared(head, 0).unwrap_err().kind(), Kind::Usage);
    }
    assert_eq!(cleared(&file(&[243]), 0).unwrap_err().kind(), Kind::Usage);
    assert!(cleared(&one(77, b""), 0).unwrap_err().to_string().contains("77"));
}

#[test]
fn lengths_that_lie_cost_nothing() {
    let mut bomb = vec![0xc3];
    put_length(&mut bomb, 4);
    put_length(&mut bomb, 1 << 40);
    bomb.extend_from_slice(b"\x02abc");
    assert!(cleared(&one(kind::STRING, &bomb), 0).is_err());
    for length in [1_u64 << 20, 1 << 29, 1 << 40, u64::MAX] {
        let mut value = Vec::new();
        put_length(&mut value, length);
        for kind in [0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21] {
            assert!(cleared(&one(kind, &value), 0).is_err(), "type {kind}, {length}");
            assert!(cleared(&one(kind, &value), 1).is_err(), "type {kind}, {length}");
        }
    }
    // Compressed strings come out whole, in one piece and in many.
    let mut zeros = vec![0xc3];
    let mut packed = vec![0, b'z'];
    for _ in 0..80_000 {
        packed.extend_from_slice(&[0xe0, 0xff, 0]);
    }
    put_length(&mut zeros, packed.len() as u64);
    put_length(&mut zeros, 1 + 80_000 * 264);
    zeros.extend_from_slice(&packed);
    let whole = vec![b'z'; 1 + 80_000 * 264];
    let mut plain = Vec::new();
    put_string(&mut plain, &whole);
    assert_eq!(contents(&one(0, &zeros)), contents(&one(0, &plain)));
    let (summary, _) = cleared_by(&mut Reverse(permit()), &one(0, &zeros), 0).unwrap();
    assert_eq!(summary.digest, contents(&one(0, &plain)).digest());
}

#[test]
fn large_keys_of_unknown_and_known_length_go_through() {
    let item = vec![b'x'; 100_000];
    let (mut known, mut unknown) = (Vec::new(), Vec::new());
    put_length(&mut known, 200);
    put_length(&mut unknown, 200);
    for number in 0..200_u32 {
        let mut item = item.clone();
        item[..4].copy_from_slice(&number.to_le_bytes());
        put_string(&mut known, &item);
        unknown.push(1);
        put_string(&mut unknown, &item);
    }
    let expected = contents(&one(kind::LIST, &known));
    let (summary, spilled) = cleared(&one(kind::LIST_LISTPACKS, &unknown), 0).unwrap();
    assert_eq!(summary.contents, expected);
    assert_eq!(contents(&spilled), expected);
    let (_, direct) = cleared(&one(kind::LIST, &known), 0).unwrap();
    assert_eq!(direct[9..], spilled[9..]);
    assert!(cleared(&one(kind::SET, &known), 0).is_ok());
}

fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0_u8..4);
    prop::collection::vec(change, 1..8).prop_map(|changes| {
        let mut bytes = SAVED.to_vec();
        // Without a checksum, so that what is wrong must be found where it is.
        let end = bytes.len() - 8;
        bytes[end..].fill(0);
        for (place, byte, how) in changes {
            let at = place.index(bytes.len());
            match how {
                0 => bytes[at] = byte,
                1 => bytes[at] ^= 1 << (byte % 8),
                2 => bytes.insert(at, byte),
                _ => drop(bytes.remove(at)),
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, ..ProptestConfig::default() })]

    #[test]
    fn mutations_never_panic_and_what_is_taken_is_sound(bytes in mutated()) {
        for db in [3, 4] {
            if let Ok((summary, out)) = cleared(&bytes, db) {
                let (again, _) = cleared(&out, db).unwrap();
                prop_assert_eq!(again.digest, summary.digest);
            }
            if let Ok((summary, out)) = cleared_by(&mut Reverse(permit()), &bytes, db) {
                let (again, _) = cleared(&out, db).unwrap();
                prop_assert_eq!(again.digest, summary.digest);
            }
        }
    }

    #[test]
    fn noise_never_panics(kind in 0_u8..26, value in prop::collection::vec(any::<u8>(), 0..200)) {
        drop(cleared(&one(kind, &value), 0));
        drop(cleared(&one(kind, &value), 1));
        drop(cleared_by(&mut Reverse(permit()), &one(kind, &value), 0));
        drop(cleared(&file(&value), 0));
    }
}

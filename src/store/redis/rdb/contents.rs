//! Digests of keys, whatever their encoding and whatever the order of a hash table.
//!
//! A key's hash is XXH3-128 over its name's hash, its kind, the hash of its elements and their
//! number; the expiry is left out. The hash of the elements is, for a string, that of the string;
//! for a list and a stream one over all elements in order, each with its length; for a set, a
//! sorted set and a hash the sum of one hash per member, (member, score) and (field, value). Of a
//! stream count the entries that are not deleted, the last id, and the sum of one hash per group: a
//! server sorts groups by name, and rules change names. Of a group count its pending entries with
//! their delivery counts, and the sum of one hash per consumer. Times do not count, nor what Redis
//! before 7.0 does not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use super::listpack::Packed;
use super::sink::StreamEvent;
use super::stream::Entries;
use crate::error::Result;
use crate::pipeline::digest::ContentDigest;
use crate::pipeline::transform::KeyKind;

/// Hashes one key after the other.
pub struct KeyHasher {
    name: u128,
    kind: u8,
    sum: u128,
    count: u64,
    /// Of what has an order.
    sequence: Box<Xxh3>,
    ordered: bool,
    groups: GroupsHasher,
}

/// Hashes the groups of a stream, in whatever order they and their consumers come.
#[derive(Default)]
struct GroupsHasher {
    /// The sum over the groups that have ended.
    sum: u128,
    group: Option<Box<Xxh3>>,
    /// The sum over the consumers of the group that have ended.
    consumers: u128,
    consumer: Option<Box<Xxh3>>,
}

fn counted(hash: &mut Xxh3, value: &[u8]) {
    hash.update(&(value.len() as u64).to_le_bytes());
    hash.update(value);
}

impl GroupsHasher {
    fn of_consumers(&self) -> u128 {
        let open = self.consumer.as_ref().map_or(0, |consumer| consumer.digest128());
        self.consumers.wrapping_add(open)
    }

    fn finish(&self) -> u128 {
        let open = self.group.as_ref().map(|group| join(group.digest128(), self.of_consumers()));
        self.sum.wrapping_add(open.unwrap_or_default())
    }

    fn event(&mut self, event: &StreamEvent<'_>) {
        match *event {
            StreamEvent::Node(..) | StreamEvent::Info(_) => {}
            StreamEvent::Group(name, last, _, pending) => {
                let sum = self.finish();
                let mut group = Box::new(Xxh3::new());
                counted(&mut group, name);
                group.update(&last.to_be());
                group.update(&pending.to_le_bytes());
                *self = Self { sum, group: Some(group), ..Self::default() };
            }
            StreamEvent::Pending(id, _, times) => {
                if let Some(group) = &mut self.group {
                    group.update(&id.to_be());
                    group.update(&times.to_le_bytes());
                }
            }
            StreamEvent::Consumers(count) => {
                if let Some(group) = &mut self.group {
                    group.update(&count.to_le_bytes());
                }
            }
            StreamEvent::Consumer(name, _, owned) => {
                self.consumers = self.of_consumers();
                let mut consumer = Box::new(Xxh3::new());
                counted(&mut consumer, name);
                consumer.update(&owned.to_le_bytes());
                self.consumer = Some(consumer);
            }
            StreamEvent::Owned(id) => {
                if let Some(consumer) = &mut self.consumer {
                    consumer.update(&id.to_be());
                }
            }
        }
    }
}

impl Default for KeyHasher {
    fn default() -> Self {
        let sequence = Box::new(Xxh3::new());
        let groups = GroupsHasher::default();
        Self { name: 0, kind: 0, sum: 0, count: 0, sequence, ordered: false, groups }
    }
}

/// One hash of two.
fn join(first: u128, second: u128) -> u128 {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&first.to_le_bytes());
    bytes[16..].copy_from_slice(&second.to_le_bytes());
    xxh3_128(&bytes)
}

impl KeyHasher {
    /// Begins a key.
    pub fn begin(&mut self, name: &[u8], kind: KeyKind) {
        self.name = xxh3_128(name);
        self.kind = kind as u8;
        (self.sum, self.count) = (0, 0);
        self.ordered = matches!(kind, KeyKind::List | KeyKind::Stream);
        if self.ordered {
            self.sequence.reset();
        }
        self.groups = GroupsHasher::default();
    }

    /// The hash of the key's name.
    pub fn name_hash(&self) -> u128 {
        self.name
    }

    /// The whole of a string.
    pub fn string(&mut self, value: &[u8]) {
        self.sum = xxh3_128(value);
    }

    /// A long string begins; it comes in pieces.
    pub fn begin_pieces(&mut self) {
        self.ordered = true;
        self.sequence.reset();
    }

    /// A piece of a long string.
    pub fn piece(&mut self, piece: &[u8]) {
        self.sequence.update(piece);
    }

    fn in_order(&mut self, value: &[u8]) {
        counted(&mut self.sequence, value);
    }

    fn number(&mut self, number: u64) {
        self.sequence.update(&number.to_le_bytes());
    }

    /// A list item.
    pub fn item(&mut self, value: &[u8]) {
        self.in_order(value);
        self.count += 1;
    }

    fn add(&mut self, element: u128) {
        self.sum = self.sum.wrapping_add(element);
        self.count += 1;
    }

    /// A member of a set.
    pub fn member(&mut self, member: &[u8]) {
        self.hashed_member(xxh3_128(member));
    }

    /// A member of a set, by its hash (XXH3-128).
    pub fn hashed_member(&mut self, hash: u128) {
        self.add(hash);
    }

    /// A member of a sorted set.
    pub fn scored(&mut self, member: &[u8], score: f64) {
        self.hashed_scored(xxh3_128(member), score);
    }

    /// A member of a sorted set, by its hash.
    pub fn hashed_scored(&mut self, hash: u128, score: f64) {
        // Adding zero makes one of the two zeros.
        self.add(join(hash, u128::from((score + 0.0).to_bits())));
    }

    /// A field of a hash.
    pub fn field(&mut self, field: &[u8], value: &[u8]) {
        self.hashed_field(xxh3_128(field), value);
    }

    /// A field of a hash, by the hash of its name.
    pub fn hashed_field(&mut self, hash: u128, value: &[u8]) {
        self.add(join(hash, xxh3_128(value)));
    }

    /// A piece of a stream.
    pub fn stream(&mut self, event: &StreamEvent<'_>) -> Result<()> {
        match *event {
            StreamEvent::Node(master, listpack) => {
                let mut entries = Entries::new(master, listpack)?;
                while let Some(mut entry) = entries.next_entry()? {
                    if entry.deleted {
                        continue;
                    }
                    self.begin_entry(entry.id.to_be());
                    for _ in 0..entry.count {
                        let (field, value) = entry.field()?;
                        self.entry_element(field);
                        self.entry_element(value);
                    }
                }
            }
            StreamEvent::Info(info) => {
                self.sequence.update(b"i");
                self.sequence.update(&info.last_id.to_be());
                self.number(info.groups);
            }
            _ => self.groups.event(event),
        }
        Ok(())
    }

    /// A live entry of a stream begins; its fields and values follow in turn.
    pub fn begin_entry(&mut self, id: [u8; 16]) {
        self.sequence.update(b"e");
        self.sequence.update(&id);
        self.count += 1;
    }

    /// A field or a value of the entry.
    pub fn entry_element(&mut self, element: Packed<'_>) {
        let mut room = None;
        let text = element.text(&mut room);
        self.sequence.update(&(text.len() as u64).to_le_bytes());
        self.sequence.update(text);
    }

    /// The key's hash.
    pub fn finish(&self) -> u128 {
        let elements = if self.ordered { self.sequence.digest128() } else { self.sum };
        let elements = match self.kind {
            kind if kind == KeyKind::Stream as u8 => join(elements, self.groups.finish()),
            _ => elements,
        };
        let mut bytes = [0; 41];
        bytes[..16].copy_from_slice(&self.name.to_le_bytes());
        bytes[16..32].copy_from_slice(&elements.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.count.to_le_bytes());
        bytes[40] = self.kind;
        xxh3_128(&bytes)
    }
}

/// Some keys: how many, and the sum of their hashes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// How many.
    pub keys: u64,
    /// The sum of their hashes.
    pub digest: ContentDigest,
}

impl Bucket {
    fn add(&mut self, other: Self) {
        self.keys += other.keys;
        self.digest.merge(other.digest);
    }
}

/// How many buckets of expiring keys are kept before they are made coarser.
const MOST_BUCKETS: usize = 1 << 16;

/// What an index holds, such that keys which expire meanwhile can be told from keys that are
/// missing: one bucket of keys that stay, and one for each minute in which keys expire. Beyond
/// 65536 minutes buckets are joined in pairs, so that memory is bounded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// Keys without an expiry.
    pub persistent: Bucket,
    /// How many minutes a bucket spans: a power of two.
    pub minutes: u64,
    /// Keys by the span in which they expire: minutes since 1970 divided by `minutes`.
    pub expiring: BTreeMap<u64, Bucket>,
}

impl Default for Contents {
    fn default() -> Self {
        Self { persistent: Bucket::default(), minutes: 1, expiring: BTreeMap::new() }
    }
}

/// How two contents differ, for messages: counts only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Keys expected and not found that may have expired.
    pub expired: u64,
    /// Keys in buckets that were not compared by digest since some of them may have expired.
    pub uncertain: u64,
    /// Persistent keys or buckets whose number or digest differs.
    pub differences: u64,
}

impl Contents {
    /// Adds a key with the hash `hash` that expires at `expires` (milliseconds since 1970).
    pub fn add(&mut self, hash: u128, expires: Option<u64>) {
        let key = Bucket { keys: 1, digest: ContentDigest(hash) };
        match expires {
            None => self.persistent.add(key),
            Some(at) => {
                self.expiring.entry(at / 60_000 / self.minutes).or_default().add(key);
                while self.expiring.len() > MOST_BUCKETS {
                    self.coarsen(self.minutes * 2);
                }
            }
        }
    }

    fn coarsen(&mut self, minutes: u64) {
        let factor = minutes / self.minutes;
        if factor > 1 {
            for (span, bucket) in std::mem::take(&mut self.expiring) {
                self.expiring.entry(span / factor).or_default().add(bucket);
            }
            self.minutes = minutes;
        }
    }

    /// Number of keys.
    pub fn keys(&self) -> u64 {
        self.persistent.keys + self.expiring_keys()
    }

    /// Number of keys that expire.
    pub fn expiring_keys(&self) -> u64 {
        self.expiring.values().map(|bucket| bucket.keys).sum()
    }

    /// The sum of all keys' hashes: the digest for the manifest.
    pub fn digest(&self) -> ContentDigest {
        let mut digest = self.persistent.digest;
        self.expiring.values().for_each(|bucket| digest.merge(bucket.digest));
        digest
    }

    /// How many keys may have expired by `now` (milliseconds since 1970): those in buckets that
    /// begin before it.
    pub fn may_have_expired(&self, now: u64) -> u64 {
        let last = now / 60_000 / self.minutes;
        self.expiring.range(..=last).map(|(_, bucket)| bucket.keys).sum()
    }

    /// Compares with what was found by the time `now` (milliseconds since 1970).
    pub fn compare(&self, found: &Self, now: u64) -> Comparison {
        let (mut expected, mut found) = (self.clone(), found.clone());
        let minutes = expected.minutes.max(found.minutes);
        expected.coarsen(minutes);
        found.coarsen(minutes);
        let last = now / 60_000 / minutes;
        let mut outcome = Comparison::default();
        outcome.differences += u64::from(expected.persistent != found.persistent);
        for (span, bucket) in &expected.expiring {
            let other = found.expiring.remove(span).unwrap_or_default();
            if *span > last {
                outcome.differences += u64::from(*bucket != other);
            } else if bucket != &other {
                outcome.differences += u64::from(other.keys > bucket.keys);
                outcome.differences += u64::from(other.keys == bucket.keys);
                outcome.expired += bucket.keys.saturating_sub(other.keys);
                outcome.uncertain += other.keys;
            }
        }
        outcome.differences += found.expiring.len() as u64;
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash_of(build: impl Fn(&mut KeyHasher), kind: KeyKind) -> u128 {
        let mut hasher = KeyHasher::default();
        hasher.begin(b"key", kind);
        build(&mut hasher);
        hasher.finish()
    }

    #[test]
    fn order_counts_where_it_should() {
        let set =
            |members: &[&[u8]]| hash_of(|h| members.iter().for_each(|m| h.member(m)), KeyKind::Set);
        assert_eq!(set(&[b"a", b"b"]), set(&[b"b", b"a"]));
        assert_ne!(set(&[b"a", b"b"]), set(&[b"a", b"c"]));
        assert_ne!(set(&[]), set(&[b""]));
        let list = |items: &[&[u8]]| {
            hash_of(|h| items.iter().for_each(|item| h.item(item)), KeyKind::List)
        };
        assert_ne!(list(&[b"a", b"b"]), list(&[b"b", b"a"]));
        assert_ne!(list(&[b"ab", b""]), list(&[b"a", b"b"]));
        let zset = |score: f64| hash_of(|h| h.scored(b"a", score), KeyKind::SortedSet);
        assert_eq!(zset(0.0), zset(-0.0));
        assert_ne!(zset(1.0), zset(1.000_000_000_000_000_2));
        let hash = |field: &[u8], value: &[u8]| hash_of(|h| h.field(field, value), KeyKind::Hash);
        assert_ne!(hash(b"a", b"b"), hash(b"b", b"a"));
    }

    #[test]
    fn groups_and_consumers_have_no_order() {
        let id = |ms| super::super::sink::StreamId { ms, sequence: 0 };
        type Consumer = (&'static [u8], u64);
        let stream = |groups: &[(&[u8], u64, &[Consumer])]| {
            hash_of(
                |h| {
                    for (name, pending, consumers) in groups {
                        h.stream(&StreamEvent::Group(name, id(9), None, *pending)).unwrap();
                        h.stream(&StreamEvent::Pending(id(*pending), 0, 1)).unwrap();
                        h.stream(&StreamEvent::Consumers(consumers.len() as u64)).unwrap();
                        for (name, owned) in *consumers {
                            h.stream(&StreamEvent::Consumer(name, 0, 1)).unwrap();
                            h.stream(&StreamEvent::Owned(id(*owned))).unwrap();
                        }
                    }
                },
                KeyKind::Stream,
            )
        };
        let (a, b): (Consumer, Consumer) = ((b"a", 1), (b"b", 2));
        let both = stream(&[(b"g", 1, &[a, b]), (b"h", 2, &[a])]);
        assert_eq!(both, stream(&[(b"h", 2, &[a]), (b"g", 1, &[b, a])]));
        // What belongs to which group and consumer still counts.
        assert_ne!(both, stream(&[(b"g", 1, &[a]), (b"h", 2, &[a, b])]));
        assert_ne!(both, stream(&[(b"g", 2, &[a, b]), (b"h", 1, &[a])]));
        assert_ne!(both, stream(&[(b"g", 1, &[(b"a", 2), (b"b", 1)]), (b"h", 2, &[a])]));
        assert_ne!(stream(&[(b"g", 1, &[])]), stream(&[]));
    }

    #[test]
    fn a_string_in_pieces_is_the_same_string() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|n| (n % 253) as u8).collect();
        let whole = hash_of(|h| h.string(&bytes), KeyKind::String);
        let pieces = hash_of(
            |h| {
                h.begin_pieces();
                bytes.chunks(777).for_each(|piece| h.piece(piece));
            },
            KeyKind::String,
        );
        assert_eq!(whole, pieces);
    }

    #[test]
    fn only_keys_that_may_have_expired_may_be_missing() {
        let mut expected = Contents::default();
        expected.add(1, None);
        expected.add(2, Some(60_000 * 10));
        expected.add(3, Some(60_000 * 20));
        let mut found = Contents::default();
        found.add(1, None);
        found.add(3, Some(60_000 * 20));
        let early = expected.compare(&found, 60_000 * 9 + 59_999);
        assert_eq!(early, Comparison { differences: 1, ..Comparison::default() });
        let late = expected.compare(&found, 60_000 * 10);
        assert_eq!(late, Comparison { expired: 1, uncertain: 0, differences: 0 });
        assert_eq!(expected.may_have_expired(60_000 * 10), 1);
        found.add(4, None);
        assert_eq!(expected.compare(&found, 60_000 * 10).differences, 1);
    }

    #[test]
    fn buckets_stay_bounded_and_comparable() {
        let (mut many, mut all) = (Contents::default(), Contents::default());
        for minute in 0..100_000_u64 {
            many.add(u128::from(minute), Some(minute * 60_000));
            all.add(u128::from(minute), Some(minute * 60_000));
        }
        assert!(many.expiring.len() <= MOST_BUCKETS);
        assert_eq!(many.keys(), 100_000);
        assert_eq!(many.compare(&all, 0).differences, 0);
        all.add(7, Some(50 * 60_000));
        assert_eq!(many.compare(&all, 0).differences, 1);
    }
}

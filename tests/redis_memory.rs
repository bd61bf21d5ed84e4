//! Memory stays the same however large one key is. One test, so that the process is its own.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod redis_support;

use std::io::Read;

use pfdata::pipeline::block::Block;
use pfdata::pipeline::transform::UnruledKeys;
use pfdata::policy::{Class, Clearance, Permit, UnruledPermit};
use pfdata::store::redis::load::Expiry;
use pfdata::store::redis::rdb::rewrite::{Summary, rewrite};
use pfdata::store::redis::target::Target;
use tokio::sync::mpsc;

/// Bytes in one item.
const ITEM: usize = 16_000;

/// An RDB with one list of `items` items, made while it is read.
struct Made {
    items: u64,
    quicklist: bool,
    next: u64,
    pending: Vec<u8>,
}

impl Made {
    fn new(items: u64, quicklist: bool) -> Self {
        let mut pending = b"REDIS0010\xfe\0".to_vec();
        pending.extend_from_slice(if quicklist {
            b"\x12\x04huge\x81"
        } else {
            b"\x01\x04huge\x81"
        });
        pending.extend_from_slice(&items.to_be_bytes());
        Self { items, quicklist, next: 0, pending }
    }
}

impl Read for Made {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        if self.pending.is_empty() && self.next < self.items {
            if self.quicklist {
                self.pending.push(1);
            }
            self.pending.extend_from_slice(&(0x4000 | ITEM as u16).to_be_bytes());
            self.pending.extend_from_slice(&[b'x'; ITEM - 8]);
            self.pending.extend_from_slice(&self.next.to_le_bytes());
            self.next += 1;
            if self.next == self.items {
                self.pending.extend_from_slice(b"\xff\0\0\0\0\0\0\0\0");
            }
        }
        let count = out.len().min(self.pending.len());
        out[..count].copy_from_slice(&self.pending[..count]);
        self.pending.drain(..count);
        Ok(count)
    }
}

fn permit() -> Permit {
    unruled().rows().clone()
}

/// For what goes through as it is.
fn unruled() -> UnruledPermit {
    UnruledPermit::new(Class::Synthetic, false, Clearance::Anonymized).unwrap()
}

fn rewritten(items: u64, quicklist: bool) -> (Summary, u64) {
    let mut bytes = 0;
    let mut transform = UnruledKeys(unruled());
    let summary = rewrite(Made::new(items, quicklist), 0, &mut transform, &mut |block| {
        bytes += block.bytes().len() as u64;
        Ok(())
    });
    (summary.unwrap(), bytes)
}

/// The most memory that this process ever had, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() >> 10
}

#[test]
fn a_key_ten_times_as_large_takes_no_more_memory() {
    let (small, _) = rewritten(1_000, true);
    rewritten(1_000, false);
    let before = peak();
    let (listed, bytes) = rewritten(20_000, false);
    assert!(bytes > 300_000_000);
    let (quick, other) = rewritten(20_000, true);
    assert_eq!((quick.digest, bytes), (listed.digest, other));
    assert_ne!(small.digest, quick.digest);
    assert!(peak() < before + 16, "{before} MiB before, {} MiB after", peak());

    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(load(5_000));
    assert!(peak() < 128, "{} MiB", peak());
}

async fn load(items: u64) {
    let server = redis_support::Server::start(&[]).await;
    let endpoint = server.at(0);
    let (send, blocks) = mpsc::channel(2);
    let writing = tokio::task::spawn_blocking(move || {
        let mut transform = UnruledKeys(unruled());
        rewrite(Made::new(items, false), 0, &mut transform, &mut |block| {
            send.blocking_send(Block::cleared(block.into_bytes(), 0, &permit())).unwrap();
            Ok(())
        })
        .unwrap()
    });
    let mut target = Target::prepare(&endpoint, "memory", "job").await.unwrap();
    let report = target.load(blocks, Expiry::Absolute).await.unwrap();
    let summary = writing.await.unwrap();
    assert_eq!((report.rebuilt, report.stored.digest), (1, summary.digest));
    assert!(target.verify(true).await.unwrap().digests);
}

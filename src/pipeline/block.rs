//! Blocks: about a mebibyte of whole records, raw or cleared.
//!
//! A block is what flows through the pipeline: whole rows of COPY text, whole BSON documents, or
//! a stretch of RDB bytes. `Block<Raw>` came from a store; `Block<Cleared>` may be stored or
//! loaded. The only way from the one to the other is a [`Permit`], and only the policy hands
//! those out. What holds no rows passes under a [`StructurePermit`] and under no other.

use std::marker::PhantomData;
use std::sync::{Mutex, PoisonError};

use crate::policy::{Permit, StructurePermit};

/// How large a block is filled before it is sent on, in bytes; one record may exceed it.
pub const BLOCK_BYTES: usize = 1 << 20;

/// The capacity of a fresh buffer: room behind a block for the record that overflows it, so that
/// a block seldom moves.
const BUFFER_BYTES: usize = BLOCK_BYTES + (BLOCK_BYTES >> 3);
/// Buffers that are larger than this, after a large record, are not kept.
const KEPT_BYTES_MAX: usize = 2 * BLOCK_BYTES;
/// How many empty buffers are kept; more are in use at a time only in a burst.
const KEPT_MAX: usize = 8;

/// The buffers of blocks that have been dropped. A fresh mebibyte costs 290 page faults, and
/// memory that the processor does not hold.
static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty buffer for a block.
pub fn buffer() -> Vec<u8> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner).pop();
    kept.unwrap_or_else(|| Vec::with_capacity(BUFFER_BYTES))
}

/// Keeps a buffer whose block is done with.
fn keep(mut buffer: Vec<u8>) {
    if !(BUFFER_BYTES..=KEPT_BYTES_MAX).contains(&buffer.capacity()) {
        return;
    }
    buffer.clear();
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    if kept.len() < KEPT_MAX {
        kept.push(buffer);
    }
}

/// Marks data as a store gave it.
#[derive(Debug)]
pub struct Raw;

/// Marks data that a rule set or the policy has cleared.
#[derive(Debug)]
pub struct Cleared;

/// Whole records in their wire form.
#[derive(Debug)]
pub struct Block<S> {
    bytes: Vec<u8>,
    records: u64,
    state: PhantomData<S>,
}

impl Block<Raw> {
    /// Data as a store gave it: `bytes` holds exactly `records` whole records.
    pub fn raw(bytes: Vec<u8>, records: u64) -> Self {
        Self { bytes, records, state: PhantomData }
    }

    /// The same data, cleared as it stands.
    pub fn clear(mut self, _permit: &Permit) -> Block<Cleared> {
        let bytes = std::mem::take(&mut self.bytes);
        Block { bytes, records: self.records, state: PhantomData }
    }
}

impl Block<Cleared> {
    /// One piece of structure: a schema, settings, metadata, sequences.
    pub fn structure(bytes: Vec<u8>, _permit: &StructurePermit) -> Self {
        Self { bytes, records: 1, state: PhantomData }
    }

    /// Rows, documents or keys that were made or admitted under `permit`.
    pub fn cleared(bytes: Vec<u8>, records: u64, _permit: &Permit) -> Self {
        Self { bytes, records, state: PhantomData }
    }
}

impl<S> Block<S> {
    /// The records, back to back.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many records there are.
    pub fn records(&self) -> u64 {
        self.records
    }

    /// The buffer itself, to be filled again or handed to a socket.
    pub fn into_bytes(mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }
}

impl<S> AsRef<[u8]> for Block<S> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl<S> Drop for Block<S> {
    fn drop(&mut self) {
        keep(std::mem::take(&mut self.bytes));
    }
}

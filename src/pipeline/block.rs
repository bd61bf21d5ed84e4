//! Blocks: about a mebibyte of whole records, raw or cleared.
//!
//! A block is what flows through the pipeline: whole rows of COPY text, whole BSON documents, or
//! a stretch of RDB bytes. `Block<Raw>` came from a store; `Block<Cleared>` may be stored or
//! loaded. The only way from the one to the other is a [`Permit`], and only the policy hands
//! those out.

use std::marker::PhantomData;

use crate::config::policy::Permit;

/// How large a block is filled before it is sent on, in bytes; one record may exceed it.
pub const BLOCK_BYTES: usize = 1 << 20;

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
    pub fn clear(self, _permit: &Permit) -> Block<Cleared> {
        Block { bytes: self.bytes, records: self.records, state: PhantomData }
    }
}

impl Block<Cleared> {
    /// Data that was made or admitted under `permit`.
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
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

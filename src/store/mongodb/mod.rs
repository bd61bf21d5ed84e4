//! MongoDB 5.0 and later: raw BSON at one cluster time, loaded beside what is live, renamed over
//! it at the end.
//!
//! Documents are never decoded: what a server sends is copied once into blocks and sent back as
//! it is. Only metadata (options, indexes) passes through values, as canonical Extended JSON in
//! the form that mongodump writes.

pub mod catalog;
pub mod check;
mod command;
pub mod connect;
pub mod extended_json;
mod finish;
pub mod kind;
mod load;
pub mod metadata;
mod moment;
pub mod options;
pub mod ranges;
mod raw;
mod scan;
pub mod seed;
mod session;
pub mod source;
mod spellings;
pub mod structure;
pub mod swap;
pub mod target;
mod verify;

/// The prefix of the collections that are being loaded; a number follows.
pub const NEW_PREFIX: &str = "pfdata.new.";

/// The name under which the collection that the caller numbered `n` is loaded.
pub fn new_name(n: usize) -> String {
    format!("{NEW_PREFIX}{n}")
}

/// Whether a collection is one that is being loaded; any other name is the application's.
pub fn is_new_name(name: &str) -> bool {
    name.strip_prefix(NEW_PREFIX)
        .is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
}

//! What users and their scripts rely on, letter by letter: `--json` documents, help, errors. The
//! files beside this one hold it; a test that fails says how to renew them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails so")]

#[path = "../common/mod.rs"]
mod common;
mod compare;
mod documents;
mod errors;
mod help;
mod steady;

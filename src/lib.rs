//! pfdata owns the life of an environment's data: it snapshots, anonymizes, restores, seeds and
//! refreshes the Postgres, Redis and MongoDB stores of each environment.
//!
//! # The map
//!
//! ```text
//! main         parse, run, print the error once, exit code
//! cli/         one file per subcommand: flags → plan → confirm → job → print
//! output/      the only code that prints: human, json, tables, progress, confirmation
//! job/         one file or folder per job: plan() → execute() → Summary; the journal
//! anonymize/   rules, coverage, pseudonyms (keyed), transformers/ (one file each)
//! seed/        files of known data that an environment gets on top
//! store/       postgres/ mongodb/ redis/, each: connect catalog source target swap check
//! repository/  manifest, ids, part reader and writer, leases, facts; layout (every name in it),
//!              storage/ (bytes under names: a folder, later an object store)
//! config/      layers, environments, secrets (a type that cannot be printed)
//! hardening    what the process does for its own safety: no core dumps
//! pipeline/    source → transform → compress → hash → repository; blocks, bounded
//! policy       which data may flow where: class, clearance, the permits that are the only doors
//! terms        which stores there are, how consistent a read was, what makes a store this one
//! files        files that are created whole or not at all
//! error        what failed, on what, why, and what to do; the exit codes
//! ```
//!
//! Later issues bring `retention/`, `migrate/`, `schedule/` and `report/`.
//!
//! # The journey of a row
//!
//! 1. [`cli`] reads the flags; [`config`] says which environment that is and what its class allows.
//! 2. [`job::snapshot`] opens every store at one consistency point, and asks [`anonymize`] whether
//!    the rules cover all that is there. If not, it stops.
//! 3. A store's reader fills [`pipeline::block::Block`]s of about a mebibyte, whole rows each, as
//!    [`pipeline::block::Raw`]. A bounded channel hands them to a blocking thread.
//! 4. There a [`pipeline::transform::BlockTransform`] turns them into
//!    [`pipeline::block::Cleared`]: through the rules, or under a
//!    [`policy::UnruledPermit`], which only the policy gives out and which a job that masks
//!    does not have. What holds no rows passes under a [`policy::StructurePermit`]. Nothing
//!    else can be stored.
//! 5. [`repository::part`] hashes, digests, compresses, hashes again and writes, under a temporary
//!    name until the part is whole and synced. The manifest comes last: with it the snapshot
//!    exists.
//! 6. [`job::load`] verifies the stored bytes, loads them beside what is live, reads them back,
//!    compares counts and digests, applies SQL and seeds, and only then swaps: per store, each
//!    swap journaled, so that a crash between two is finished or undone by the next job.
//!
//! # Boundaries (`tests/boundaries.rs` holds them)
//!
//! The map is an order: a file imports from rooms below its own, never from above, and no files
//! import each other in a circle but for one recursion that the test names. Stores know nothing of
//! rules, compression or retention; the repository knows nothing of how a store is spoken to; only
//! `output` prints; only `cli` uses clap; only `main` exits.
#![warn(missing_docs)]

pub mod anonymize;
pub mod cli;
pub mod config;
pub mod error;
pub mod files;
pub mod hardening;
pub mod job;
pub mod output;
pub mod pipeline;
pub mod policy;
pub mod repository;
pub mod seed;
pub mod store;
pub mod terms;

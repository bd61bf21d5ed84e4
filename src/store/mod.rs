//! The three stores. Each folder has the same files: connect, catalog, source, target, check.
//!
//! A store knows how to be read consistently and how to be loaded beside what is live and then
//! swapped. It knows nothing of rules, compression or retention.

pub mod credentials;
pub mod finding;
pub mod mongodb;
pub mod postgres;
pub mod redis;
pub mod shape;
pub mod tls;

//! The rules engine: what stands between a store and everything that keeps data.
//!
//! Read top-down: [`rules`] turns TOML into a [`RuleSet`]; `postgres`, `mongodb` and `redis` lay
//! it over what a store holds and give a plan with its [`coverage`]; a plan hands out transforms
//! for the pipeline. A transform finds the places (`rows`, `json`, `bson`), an `action` says
//! what happens there, a [`transformers`] file makes the new value, and [`pseudonym`] holds the
//! key. Whatever no rule covers is an error: there is no way through but a rule.
//!
//! What is promised of the mapping:
//!
//! - Equal originals of one `link` give equal pseudonyms in every store and every kind of place.
//!   A place without a link is a domain of its own.
//! - "Equal" is judged after the transformer's normalization (an e-mail: trimmed, NFC, lower
//!   case). Where a unique index tells spellings of one value apart, their pseudonyms differ in
//!   the same way.
//! - Nulls stay null; empty strings, objects and arrays stay empty, except under `null` and `drop`.
//! - Names of fields and map keys are data like values, but for those that a rule spells out.

pub(crate) mod action;
pub(crate) mod arrays;
pub(crate) mod automaton;
pub(crate) mod bson;
pub(crate) mod bsonvalue;
pub(crate) mod by;
pub(crate) mod coverage;
#[cfg(test)]
mod cross_store_tests;
pub(crate) mod detect;
pub(crate) mod document;
pub(crate) mod forms;
pub(crate) mod json;
pub(crate) mod json_scan;
pub(crate) mod json_walk;
pub(crate) mod jsontext;
pub(crate) mod link;
pub(crate) mod listing;
mod load;
pub(crate) mod location;
pub(crate) mod masker;
pub(crate) mod missing;
pub(crate) mod mongodb;
mod mongodb_indexes;
mod mongodb_plan;
pub(crate) mod observer;
pub(crate) mod parse;
pub(crate) mod paste;
pub(crate) mod paths;
pub(crate) mod pattern;
pub(crate) mod places;
pub(crate) mod postgres;
pub(crate) mod postgres_checks;
pub(crate) mod postgres_decide;
pub(crate) mod postgres_types;
pub(crate) mod problem;
pub(crate) mod problems;
mod proposals;
pub(crate) mod pseudonym;
pub(crate) mod recent;
pub(crate) mod redis;
pub(crate) mod redis_keys;
pub(crate) mod redis_masks;
pub(crate) mod redis_names;
pub(crate) mod redis_plan;
pub(crate) mod redis_sample;
pub(crate) mod review;
pub(crate) mod rivals;
pub(crate) mod route;
pub(crate) mod rows;
pub(crate) mod rules;
pub(crate) mod samples;
pub(crate) mod seen;
pub(crate) mod spelling;
#[cfg(test)]
mod testing;
pub(crate) mod transformers;
mod warnings;

pub use coverage::{Coverage, Verdict};
pub use pseudonym::Key;
pub use review::Reviewed;
pub use rules::RuleSet;

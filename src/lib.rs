//! pfdata owns the life of an environment's data. The map of the code is completed as its rooms are.
#![warn(missing_docs)]

pub mod anonymize;
pub mod config;
pub mod error;
pub mod pipeline;
pub mod repository;
pub mod store;

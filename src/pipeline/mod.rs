//! The pipeline, read top-down: source → transform → compress → hash → repository.

pub mod block;
pub mod codec;
pub mod compress;
pub(crate) mod copytext;
pub mod digest;
pub mod flow;
pub mod progress;
pub mod spellings;
pub mod transform;

//! The pipeline, read top-down: source → transform → compress → hash → repository.

pub mod block;
pub mod compress;
pub mod digest;
pub mod flow;
pub mod progress;
pub mod transform;

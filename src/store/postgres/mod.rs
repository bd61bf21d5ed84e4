//! PostgreSQL, 13 to 18.

pub mod archive;
pub mod catalog;
pub mod check;
pub mod connect;
mod copy_out;
pub mod database;
mod filter;
pub mod grants;
mod large_objects;
pub mod load;
pub mod names;
pub mod parts;
pub mod quote;
pub mod reader;
pub mod reason;
pub mod restore;
pub mod sample;
pub mod schema;
pub mod script;
pub mod sequences;
pub mod settings;
mod socket;
pub mod source;
mod spellings;
pub mod swap;
pub mod target;
mod tls;
mod toc;
pub mod tools;
pub mod trial;
mod types;

pub use load::Loader;
pub use parts::{Slice, TablePart};
pub use reader::{Reader, TableRef};
pub use source::{Source, SourceOptions};
pub use target::{Target, TargetOptions};

//! Redis 6.2 and later, and Valkey.
//!
//! [`source`] reads one index of a server at one moment; [`target`] loads a stored RDB into a
//! spare index beside the live one and swaps the two ([`swap`]); [`rdb`] is the format between
//! them. [`connect`] speaks the protocol, [`catalog`] asks a server who it is, [`check`] says
//! whether pfdata can work with it.

pub mod catalog;
pub mod check;
pub mod connect;
mod functions;
pub mod load;
pub mod rdb;
mod rebuild;
pub mod reply;
mod restore;
mod room;
pub mod seed;
pub mod source;
pub mod swap;
pub mod target;
pub mod verify;

//! The `pfdata` command.

fn main() {}

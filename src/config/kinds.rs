//! Checks that every key of the `data` block holds what its row says, whether or not anything
//! reads it. Called when an environment is loaded.

use super::cron;
use super::key::{Holds, Key};
use super::reader::Reader;
use super::{table, units};
use crate::error::Result;
use crate::terms::StoreKind;

/// Checks the block but for `connect`: how a store is reached is checked with the store, where a
/// url may beat a key.
pub(crate) fn check(reader: Reader<'_>) -> Result<()> {
    let sets = reader.names("data.snapshots");
    let here = |row: &&Key| row.path.starts_with("data.") && !row.path.starts_with("data.connect");
    for row in table::rows().filter(here) {
        for path in table::paths(row, &sets, &StoreKind::ALL) {
            check_one(reader, row.holds, &path)?;
        }
    }
    Ok(())
}

fn check_one(reader: Reader<'_>, holds: Holds, path: &str) -> Result<()> {
    match holds {
        // Objects were looked through already; the others have a shape that only their reader
        // knows.
        Holds::Object
        | Holds::FlagOrObject
        | Holds::Sets
        | Holds::Repository
        | Holds::Compression
        | Holds::Source
        | Holds::FlagOrDuration
        | Holds::Foreign => Ok(()),
        Holds::Text => reader.template(path).map(drop),
        Holds::Filled => reader.filled(path).map(drop),
        Holds::Word(words) => {
            let words: Vec<_> = words().into_iter().map(|word| (word, ())).collect();
            reader.word(path, &words).map(drop)
        }
        Holds::Duration => reader.duration(path).map(drop),
        Holds::Rate => reader.parsed(path, units::RATE, units::parse_rate).map(drop),
        Holds::Cron => cron::at(reader, path).map(drop),
        Holds::Flag => reader.flag(path).map(drop),
        Holds::Number(..) => reader.number(path).map(drop),
        Holds::Texts => reader.texts(path).map(drop),
        Holds::Commands => reader.command_lines(path).map(drop),
    }
}

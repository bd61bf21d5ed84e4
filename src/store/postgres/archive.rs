//! The schema archive: its table of contents read, judged and rewritten.
//!
//! The layout is that of `pg_backup_archiver.c` (`ReadHead`, `ReadToc`) and
//! `pg_backup_custom.c` (`_ReadExtraToc`), versions 1.12 to 1.16 (pg_dump 13 to 18 write 1.14 to
//! 1.16). An archive of a schema has entries and no data, so that an entry can be left out by
//! leaving out its bytes; pg_restore passes over dependencies on entries that are not there.

use std::ops::Range;

use super::entry::Entry;
use super::secrets::credential;
use crate::error::{Error, Result};

/// What an entry is called that holds the settings of the database and of roles in it.
const PROPERTIES: &str = "DATABASE PROPERTIES";

/// What holds rows or large objects, which no archive of a schema does.
const DATA: [&str; 5] = ["TABLE DATA", "BLOB", "BLOBS", "BLOB METADATA", "SEQUENCE SET"];

/// The oldest and the newest version whose layout is known.
const KNOWN: std::ops::RangeInclusive<(u8, u8)> = (1, 12)..=(1, 16);

/// More entries than any schema has.
const ENTRIES_MAX: i64 = 10_000_000;

/// An archive of a schema in memory.
#[derive(Debug)]
pub struct Archive {
    bytes: Vec<u8>,
    count: Range<usize>,
    int_size: usize,
    database: String,
    entries: Vec<Entry>,
}

impl Archive {
    /// Reads what pg_dump wrote with `--format=custom --schema-only`.
    ///
    /// # Errors
    ///
    /// Exit 1 for an archive whose layout is not known: nothing of it can be judged then.
    pub fn parse(bytes: Vec<u8>) -> Result<Self> {
        let mut reader =
            Reader { bytes: &bytes, at: 0, int_size: 4, offset_size: 8, version: (0, 0) };
        let (count, database) = reader.head()?;
        let entries = reader.entries(&count)?;
        if reader.at != bytes.len() {
            return Err(unknown("data stands behind its table of contents"));
        }
        let int_size = reader.int_size;
        Ok(Self { count, int_size, database, entries, bytes })
    }

    /// The objects.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The archive without the settings of the database and of roles in it, which pg_restore
    /// applies only where it creates the database itself; and without statistics (pg_dump 18 and
    /// later can write them), which are made of the most frequent values of the rows.
    pub fn without_settings(self) -> Result<Self> {
        let left_out = |kind: &str| kind == PROPERTIES || kind.ends_with("STATISTICS DATA");
        let kept: Vec<&Entry> =
            self.entries.iter().filter(|entry| !left_out(&entry.kind)).collect();
        let mut bytes = Vec::with_capacity(self.bytes.len());
        bytes.extend_from_slice(&self.bytes[..self.count.start]);
        // A sign, then the number, the lowest byte first.
        bytes.push(0);
        let number = (kept.len() as u64).to_le_bytes();
        bytes.extend_from_slice(&number[..self.int_size.min(number.len())]);
        for entry in kept {
            bytes.extend_from_slice(&self.bytes[entry.span.clone()]);
        }
        Self::parse(bytes)
    }

    /// The bytes of the file.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Fails if a value of `withheld` of 8 bytes or more stands anywhere in the archive, however
    /// SQL quotes it. What is the name of an object is no secret: names are carried.
    pub fn refuse_withheld(&self, withheld: &[Withheld]) -> Result<()> {
        let all = bare(&self.bytes);
        for setting in withheld.iter().filter(|setting| setting.value.len() >= WITHHELD_MIN) {
            let value = bare(&setting.value);
            let holds = |bytes: &[u8], bare: &[u8]| {
                memchr::memmem::find(bytes, &setting.value).is_some()
                    || (value.len() >= WITHHELD_MIN && memchr::memmem::find(bare, &value).is_some())
            };
            if !holds(&self.bytes, &all) || self.is_name(&setting.value) {
                continue;
            }
            let entry = self.entries.iter().find(|entry| {
                let bytes = &self.bytes[entry.span.clone()];
                holds(bytes, &bare(bytes))
            });
            let place = entry.map_or("its head".to_owned(), |entry| {
                format!("the {} {}", entry.kind.to_lowercase(), entry.name())
            });
            return Err(refused(&setting.name, &place));
        }
        Ok(())
    }

    /// Whether a value is that of a name that is carried anyway.
    fn is_name(&self, value: &[u8]) -> bool {
        let is = |name: &String| name.as_bytes() == value;
        is(&self.database)
            || self.entries.iter().any(|entry| {
                // A comment's tag is a phrase: `TABLE people`.
                is(&entry.tag) || is(&entry.schema) || is(&entry.owner)
            })
    }

    /// What looks like a credential, one phrase each, never the value.
    pub fn credentials(&self) -> Vec<String> {
        // Judged by themselves: whether the role can see them decides.
        let apart = |kind: &str| matches!(kind, "SUBSCRIPTION" | "USER MAPPING" | PROPERTIES);
        let entries = self.entries.iter().filter(|entry| !apart(&entry.kind));
        entries.filter_map(credential).collect()
    }
}

/// The shortest value that is searched for: shorter ones stand in any text by chance.
pub(super) const WITHHELD_MIN: usize = 8;

/// A setting whose value a masked snapshot does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Withheld {
    /// Its name.
    pub name: String,
    /// Its value, in the encoding of the database.
    pub value: Vec<u8>,
}

/// Exit 4: the value stands in another place too.
pub(super) fn refused(setting: &str, place: &str) -> Error {
    Error::findings(format!(
        "the value of the setting {setting}, which a masked snapshot withholds, stands in {place} \
         too"
    ))
    .hint("take it out of there: read it with current_setting, or from outside")
}

/// A text without quotes and backslashes: so a value looks the same however often it was quoted,
/// by itself or within code that is quoted again.
fn bare(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().filter(|byte| !b"'\"\\".contains(byte)).collect()
}

fn unknown(why: &str) -> Error {
    Error::failed(format!("the schema archive that pg_dump wrote is not understood: {why}"))
        .hint("a masked snapshot needs pg_dump 13 to 18")
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    int_size: usize,
    offset_size: usize,
    version: (u8, u8),
}

impl Reader<'_> {
    fn take(&mut self, count: usize) -> Result<&[u8]> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or_else(|| unknown("it ends too early"))?;
        let taken = &self.bytes[self.at..end];
        self.at = end;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8> {
        Ok(self.take(1)?.first().copied().unwrap_or_default())
    }

    /// A sign and so many bytes, the lowest first.
    fn int(&mut self) -> Result<i64> {
        let negative = self.byte()? != 0;
        let mut number = 0i64;
        for (index, byte) in self.take(self.int_size)?.iter().enumerate() {
            number |= i64::from(*byte) << (8 * index);
        }
        Ok(if negative { -number } else { number })
    }

    /// A length and so many bytes; no text where the length is below zero.
    fn text(&mut self) -> Result<Option<String>> {
        let length = self.int()?;
        let Ok(length) = usize::try_from(length) else { return Ok(None) };
        Ok(Some(String::from_utf8_lossy(self.take(length)?).into_owned()))
    }

    fn word(&mut self) -> Result<String> {
        Ok(self.text()?.unwrap_or_default())
    }

    /// Everything before the entries; gives where their number stands, and the database's name.
    fn head(&mut self) -> Result<(Range<usize>, String)> {
        if self.take(5)? != b"PGDMP" {
            return Err(unknown("it does not begin as one"));
        }
        let version = (self.byte()?, self.byte()?);
        self.byte()?;
        if !KNOWN.contains(&version) {
            return Err(unknown(&format!("its version is {}.{}", version.0, version.1)));
        }
        self.int_size = usize::from(self.byte()?);
        self.offset_size = usize::from(self.byte()?);
        if !(1..=7).contains(&self.int_size) || self.byte()? != 1 {
            return Err(unknown("its format is not the custom one"));
        }
        if version >= (1, 15) {
            self.byte()?;
        } else {
            self.int()?;
        }
        // When it was made: seconds to year, and whether summer time held.
        for _ in 0..7 {
            self.int()?;
        }
        let database = self.word()?;
        // The server's version, and pg_dump's.
        for _ in 0..2 {
            self.text()?;
        }
        self.version = version;
        let start = self.at;
        self.int()?;
        Ok((start..self.at, database))
    }

    fn entries(&mut self, count: &Range<usize>) -> Result<Vec<Entry>> {
        let number = Reader { at: count.start, ..*self }.int()?;
        if !(0..=ENTRIES_MAX).contains(&number) {
            return Err(unknown("the number of its entries is not one"));
        }
        (0..number).map(|_| self.entry()).collect()
    }

    fn entry(&mut self) -> Result<Entry> {
        let start = self.at;
        // Its number, whether it has data, and its two object ids.
        self.int()?;
        let has_data = self.int()? != 0;
        self.text()?;
        self.text()?;
        let (tag, kind) = (self.word()?, self.word()?);
        self.int()?;
        let mut definition = self.word()?;
        // How it is dropped, and how its rows are copied.
        self.text()?;
        definition.push_str(&self.word()?);
        let schema = self.word()?;
        // Tablespace, then what later versions have.
        self.text()?;
        if self.version >= (1, 14) {
            self.text()?;
        }
        if self.version >= (1, 16) {
            self.int()?;
        }
        // The owner, and whether rows have object ids.
        let owner = self.word()?;
        self.text()?;
        while self.text()?.is_some() {}
        // Where its data begins: a mark and an offset.
        self.take(1 + self.offset_size)?;
        if has_data || DATA.contains(&kind.as_str()) {
            return Err(unknown("it holds data"));
        }
        Ok(Entry { span: start..self.at, kind, schema, tag, owner, definition })
    }
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;

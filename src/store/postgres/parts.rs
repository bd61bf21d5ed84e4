//! How tables are divided into parts that readers take one by one.

use std::fmt;

use super::catalog::Catalog;

/// Tables up to this size are one part, in bytes.
const WHOLE_BYTES: u64 = 64 << 20;
/// No part is larger than this, in bytes of the table (with TOAST, which is compressed).
const LARGEST_PART_BYTES: u64 = 256 << 20;
/// How many parts the largest tables are to yield together, so that readers finish together.
const WANTED_PARTS: u64 = 32;
/// The first major version that reads a ctid range without reading the whole table.
const TID_RANGE_SCAN_MAJOR: u32 = 14;

/// Which rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slice {
    /// All of them.
    All,
    /// Those stored on the pages from `from_page` up to, not including, `to_page`.
    Ctid {
        /// First page.
        from_page: u64,
        /// The page after the last; `None` is the end of the table, wherever that is by now.
        to_page: Option<u64>,
    },
}

impl Slice {
    /// The condition, to stand after `WHERE`; `None` for all rows.
    pub fn condition(&self) -> Option<String> {
        match self {
            Self::All => None,
            Self::Ctid { from_page, to_page: None } => {
                Some(format!("ctid >= '({from_page},0)'::pg_catalog.tid"))
            }
            Self::Ctid { from_page, to_page: Some(to_page) } => Some(format!(
                "ctid >= '({from_page},0)'::pg_catalog.tid \
                 AND ctid < '({to_page},0)'::pg_catalog.tid"
            )),
        }
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("all"),
            Self::Ctid { from_page, to_page: Some(to_page) } => {
                write!(f, "ctid {from_page}..{to_page}")
            }
            Self::Ctid { from_page, to_page: None } => write!(f, "ctid {from_page}.."),
        }
    }
}

/// A piece of work for a reader.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePart {
    /// Place of the table in [`Catalog::tables`].
    pub table: usize,
    /// Which of its rows.
    pub slice: Slice,
    /// How many bytes the server stores for it; what COPY writes may be more or less.
    pub bytes_estimate: u64,
}

/// Divides the tables of a catalog, largest part first. Every row is in exactly one part.
pub fn divide(catalog: &Catalog) -> Vec<TablePart> {
    let total: u64 = catalog.tables.iter().map(|table| table.bytes).sum();
    let piece = (total / WANTED_PARTS).clamp(WHOLE_BYTES / 2, LARGEST_PART_BYTES);
    let ranges = catalog.server.major() >= TID_RANGE_SCAN_MAJOR;
    let mut parts = Vec::with_capacity(catalog.tables.len());
    for (place, (table, storage)) in catalog.tables.iter().zip(&catalog.storage).enumerate() {
        let splittable = ranges && storage.heap && table.bytes > WHOLE_BYTES && table.pages > 1;
        let count = if splittable { table.bytes.div_ceil(piece).min(table.pages) } else { 1 };
        slices(place, table.pages, table.bytes, count, &mut parts);
    }
    parts.sort_by_key(|part| std::cmp::Reverse(part.bytes_estimate));
    parts
}

fn slices(table: usize, pages: u64, bytes: u64, count: u64, parts: &mut Vec<TablePart>) {
    if count <= 1 {
        parts.push(TablePart { table, slice: Slice::All, bytes_estimate: bytes });
        return;
    }
    let step = pages.div_ceil(count).max(1);
    let mut from_page = 0;
    while from_page < pages {
        let next = from_page + step;
        let to_page = (next < pages).then_some(next);
        let share = to_page.unwrap_or(pages) - from_page;
        let bytes_estimate =
            u64::try_from(u128::from(bytes) * u128::from(share) / u128::from(pages))
                .unwrap_or(bytes);
        let slice = Slice::Ctid { from_page, to_page };
        parts.push(TablePart { table, slice, bytes_estimate });
        from_page = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn slices_are_disjoint_and_leave_nothing_out(
            pages in 1_u64..1_000_000, count in 1_u64..100
        ) {
            let mut parts = Vec::new();
            slices(0, pages, pages * 8192, count, &mut parts);
            if let [TablePart { slice: Slice::All, .. }] = parts[..] {
                return Ok(());
            }
            let mut expected = 0;
            for (place, part) in parts.iter().enumerate() {
                let Slice::Ctid { from_page, to_page } = part.slice else { panic!("all") };
                prop_assert_eq!(from_page, expected);
                prop_assert_eq!(to_page.is_none(), place + 1 == parts.len());
                expected = to_page.unwrap_or_default();
            }
        }
    }

    #[test]
    fn a_slice_says_what_it_is() {
        let open = Slice::Ctid { from_page: 7, to_page: None };
        assert_eq!(open.to_string(), "ctid 7..");
        assert_eq!(open.condition().unwrap(), "ctid >= '(7,0)'::pg_catalog.tid");
        assert_eq!(Slice::All.to_string(), "all");
    }
}

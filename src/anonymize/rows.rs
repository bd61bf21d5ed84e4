//! Rows of COPY text, masked block by block.
//!
//! A block is scanned once. Fields without a transformer are never looked into: the bytes
//! between two changed fields are copied in one piece, across rows too, and after the last
//! ruled column of a row the scan jumps to its end.

use super::Applied;
use super::action::{Action, Problem};
use super::copytext::{self, ArrayRewriter, Kind, Made};
use crate::config::policy::Permit;
use crate::error::{Error, Result};
use crate::pipeline::block::{self, Block, Cleared, Raw};
use crate::pipeline::transform::BlockTransform;

/// A column that a rule changes.
#[derive(Clone)]
pub(crate) struct RuledColumn {
    /// Its position in COPY.
    pub(crate) index: usize,
    /// Its name, for messages.
    pub(crate) name: String,
    /// What happens to its values.
    pub(crate) action: Action,
    /// What its values, or those of its elements, are.
    pub(crate) kind: Kind,
}

/// Masks the rows of one table.
pub(crate) struct RowTransform {
    pub(crate) table: String,
    pub(crate) columns: usize,
    /// In the order of their positions.
    pub(crate) ruled: Vec<RuledColumn>,
    pub(crate) buffers: Buffers,
    pub(crate) permit: Permit,
}

/// Scratch space of one transform.
#[derive(Clone)]
pub(crate) struct Buffers {
    text: Vec<u8>,
    made: Vec<u8>,
    arrays: ArrayRewriter,
}

impl Buffers {
    /// Empty.
    pub(crate) fn new() -> Self {
        Self { text: Vec::new(), made: Vec::new(), arrays: ArrayRewriter::new() }
    }
}

impl RowTransform {
    /// For a table of so many columns, of which these are changed.
    pub(crate) fn new(table: String, columns: usize, ruled: Vec<RuledColumn>) -> Self {
        let permit = Permit::ruled(&Applied(()));
        Self { table, columns, ruled, buffers: Buffers::new(), permit }
    }

    /// The rows must be those of the table that the rules were laid over.
    fn check(&self, input: &[u8]) -> Result<()> {
        let Some(end) = memchr::memchr(b'\n', input) else { return Ok(()) };
        let tabs = memchr::memchr_iter(b'\t', &input[..end]).count();
        if tabs + 1 != self.columns && !(self.columns == 0 && end == 0) {
            return Err(self.torn());
        }
        Ok(())
    }

    fn torn(&self) -> Error {
        Error::failed(format!(
            "a row of {} does not have the {} columns that the rules were checked against",
            self.table, self.columns
        ))
    }

    fn mask(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut copied = 0;
        let mut row = 0;
        while row < input.len() {
            let mut at = row;
            let mut index = 0;
            for ruled in 0..self.ruled.len() {
                let target = self.ruled[ruled].index;
                // Step over the fields before it.
                for end in memchr::memchr2_iter(b'\t', b'\n', &input[at..]) {
                    if index == target {
                        break;
                    }
                    if input[at + end] == b'\n' {
                        return Err(self.torn());
                    }
                    index += 1;
                    if index == target {
                        at += end + 1;
                        break;
                    }
                }
                if index != target {
                    return Err(self.torn());
                }
                let length = memchr::memchr2(b'\t', b'\n', &input[at..]);
                let end = at + length.ok_or_else(|| self.torn())?;
                let field = &input[at..end];
                let nulled = matches!(self.ruled[ruled].action, Action::Null);
                if (nulled || !field.is_empty()) && field != copytext::NULL {
                    out.extend_from_slice(&input[copied..at]);
                    copied = end;
                    let column = &mut self.ruled[ruled];
                    mask_field(column, &mut self.buffers, field, out).map_err(|problem| {
                        let name = &self.ruled[ruled].name;
                        let place = format!("column `{name}` of {}", self.table);
                        problem.into_error(&place, |path| {
                            format!("add \"{path}\" to the json rule of `{name}`")
                        })
                    })?;
                }
                at = end;
            }
            let end = memchr::memchr(b'\n', &input[at..]).ok_or_else(|| self.torn())?;
            row = at + end + 1;
        }
        out.extend_from_slice(&input[copied..]);
        Ok(())
    }
}

impl BlockTransform for RowTransform {
    fn apply(&mut self, block: Block<Raw>) -> Result<Block<Cleared>> {
        self.check(block.bytes())?;
        if self.ruled.is_empty() {
            return Ok(block.clear(&self.permit));
        }
        let records = block.records();
        let mut out = block::buffer();
        out.reserve(block.bytes().len() + block.bytes().len() / 8);
        self.mask(block.bytes(), &mut out)?;
        Ok(Block::cleared(out, records, &self.permit))
    }
}

/// Writes the new field for one that is neither null nor empty.
pub(crate) fn mask_field(
    column: &mut RuledColumn,
    buffers: &mut Buffers,
    field: &[u8],
    out: &mut Vec<u8>,
) -> Result<(), Problem> {
    let Buffers { text, made, arrays } = buffers;
    if matches!(column.action, Action::Null) {
        out.extend_from_slice(copytext::NULL);
        return Ok(());
    }
    let mut value = field;
    if memchr::memchr(b'\\', field).is_some() {
        text.clear();
        copytext::unescape(field, text)?;
        value = text;
    }
    let start = out.len();
    let outcome = match &mut column.action {
        Action::Each(element) => {
            arrays.rewrite(value, element, column.kind, out)?;
            Made::Wrote
        }
        action => copytext::apply(action, value, column.kind, out)?,
    };
    match outcome {
        Made::Keep => out.extend_from_slice(field),
        Made::Null => out.extend_from_slice(copytext::NULL),
        Made::Wrote => copytext::escape_from(start, made, out),
    }
    Ok(())
}

//! Rows of COPY text, masked block by block.
//!
//! A block is scanned once. Fields without a transformer are never looked into: the bytes
//! between two changed fields are copied in one piece, across rows too, and after the last
//! ruled column of a row the scan jumps to its end.

use super::action::{Action, Masker};
use super::arrays::{self, ArrayRewriter, Kind, Made};
use super::pattern::suggest;
use super::problem::Problem;
use super::route::{Part, is_frequent, json_has};
use crate::error::{Error, Result};
use crate::pipeline::block::{self, Block, Cleared, Raw};
use crate::pipeline::copytext;
use crate::pipeline::transform::BlockTransform;
use crate::policy::Applied;
use crate::policy::Permit;
use crate::store::shape::{Column, Table};

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
    /// Where the rule draws per row: what tells rows apart.
    pub(crate) record: Option<RowRecord>,
}

/// The columns, by their positions in COPY, that tell the rows of a table apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RowRecord {
    /// Those that `by` names.
    pub(crate) by: Vec<(String, usize)>,
    /// Those of the primary key.
    pub(crate) own: Vec<usize>,
}

impl RowRecord {
    /// What tells rows apart for the transformers in an action, where one of them draws per row.
    pub(crate) fn of(table: &Table, column: &Column, action: &mut Action) -> Result<Option<Self>> {
        let position = |name: &str| table.columns.iter().position(|other| other.name == name);
        let own: Vec<usize> = table.primary_key.iter().filter_map(|name| position(name)).collect();
        let has_own = !own.is_empty() && own.len() == table.primary_key.len();
        let mut record = Self { by: Vec::new(), own: if has_own { own } else { Vec::new() } };
        let (mut draws, mut result) = (false, Ok(()));
        action.each_masker(&mut |masker| {
            if masker.needs_record() && result.is_ok() {
                draws = true;
                result = record.note(table, column, masker);
            }
        });
        result.map(|()| draws.then_some(record))
    }

    fn note(&mut self, table: &Table, column: &Column, masker: &Masker) -> Result<()> {
        let refuse = |reason: &str| {
            let (at, item, table) = (masker.at(), &column.name, table.full_name());
            Error::usage(format!("{at}: {reason} (for column `{item}` of {table})"))
        };
        let outer = masker.by().filter(|by| !by.field.starts_with('$'));
        let named = outer.map(|by| {
            let index = table.columns.iter().position(|other| other.name == by.field);
            index.map(|index| (by.field.clone(), index)).ok_or_else(|| {
                let error =
                    refuse(&format!("`by` names the column `{}`, which is not there", by.field));
                let names = table.columns.iter().map(|other| other.name.as_str());
                match suggest(&by.field, names) {
                    Some(similar) => error.hint(format!("did you mean `{similar}`?")),
                    None => error,
                }
            })
        });
        let named = named.transpose()?;
        let always = named.as_ref().and_then(|(_, index)| table.columns.get(*index));
        if self.own.is_empty() && !always.is_some_and(|column| column.not_null) {
            return Err(refuse("values are drawn per row, and the table has no primary key")
                .hint("say by = COLUMN, a NOT NULL column whose values tell the rows apart"));
        }
        if let Some(named) = named.filter(|named| !self.by.contains(named)) {
            self.by.push(named);
        }
        Ok(())
    }

    fn last(&self) -> usize {
        self.by.iter().map(|(_, index)| *index).chain(self.own.iter().copied()).max().unwrap_or(0)
    }
}

/// Masks the rows of one table.
pub(crate) struct RowTransform {
    pub(crate) table: String,
    pub(crate) columns: usize,
    /// In the order of their positions.
    pub(crate) ruled: Vec<RuledColumn>,
    pub(crate) buffers: Buffers,
    pub(crate) permit: Permit,
    /// Where a rule draws per row: the last position that tells rows apart.
    told_by: Option<usize>,
    /// The fields of the row at hand up to that one.
    fields: Vec<(usize, usize)>,
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
        let permit = Permit::ruled(&Applied::by_the_rules());
        let records = ruled.iter().filter_map(|ruled| ruled.record.as_ref());
        let told_by = records.map(RowRecord::last).max();
        let buffers = Buffers::new();
        Self { table, columns, ruled, buffers, permit, told_by, fields: Vec::new() }
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

    /// Tells the transformers that draw per row which row begins here.
    fn begin(&mut self, row: &[u8], last: usize) -> Result<()> {
        self.fields.clear();
        let mut start = 0;
        for end in memchr::memchr2_iter(b'\t', b'\n', row).take(last + 1) {
            self.fields.push((start, end));
            start = end + 1;
            if row[end] == b'\n' {
                break;
            }
        }
        if self.fields.len() <= last {
            return Err(self.torn());
        }
        let fields = &self.fields;
        let field = |index: &usize| {
            fields.get(*index).and_then(|(start, end)| row.get(*start..*end)).unwrap_or_default()
        };
        let Buffers { text, made: own, .. } = &mut self.buffers;
        for ruled in &mut self.ruled {
            let Some(record) = &ruled.record else { continue };
            own.clear();
            for index in &record.own {
                // Lengths keep apart what the boundary between two columns would blur.
                own.extend_from_slice(&(field(index).len() as u32).to_be_bytes());
                own.extend_from_slice(field(index));
            }
            if !own.is_empty() {
                ruled.action.each_masker(&mut |masker| masker.own_record(own));
            }
            for (name, index) in &record.by {
                let value = field(index);
                if value == copytext::NULL || value.is_empty() {
                    continue;
                }
                text.clear();
                if copytext::unescape(value, text).is_none() {
                    return Err(Error::failed(format!("a row of {} cannot be read", self.table)));
                }
                let text = text.trim_ascii_end();
                ruled.action.each_masker(&mut |masker| {
                    if masker.by().is_some_and(|by| by.field == *name) {
                        masker.record(text);
                    }
                });
            }
        }
        Ok(())
    }

    fn mask(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        let mut copied = 0;
        let mut row = 0;
        while row < input.len() {
            let mut at = row;
            let mut index = 0;
            if let Some(last) = self.told_by {
                self.begin(&input[row..], last)?;
            }
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
                        problem
                            .told(&|parts| frequent(input, target, parts))
                            .into_error(&place, |path| {
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

/// Whether so many of the JSON values of a column have a field that its name is none of their
/// data.
fn frequent(rows: &[u8], column: usize, parts: &[Part]) -> bool {
    let (mut having, mut looked_at) = (0, 0);
    let mut text = Vec::new();
    for row in rows.split(|byte| *byte == b'\n') {
        let field = row.split(|byte| *byte == b'\t').nth(column);
        let Some(field) = field.filter(|field| *field != copytext::NULL) else { continue };
        text.clear();
        looked_at += 1;
        if copytext::unescape(field, &mut text).is_some() {
            having += u64::from(json_has(&text, parts));
        }
    }
    is_frequent(having, looked_at)
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
        if copytext::unescape(field, text).is_none() {
            return Err(Problem::Broken("a field of COPY text ends inside an escape"));
        }
        value = text;
    }
    let start = out.len();
    let outcome = match &mut column.action {
        Action::Each(element) => {
            arrays.rewrite(value, element, column.kind, out)?;
            Made::Wrote
        }
        action => arrays::apply(action, value, column.kind, out)?,
    };
    match outcome {
        Made::Keep => out.extend_from_slice(field),
        Made::Null => out.extend_from_slice(copytext::NULL),
        Made::Wrote => copytext::escape_from(start, made, out),
    }
    Ok(())
}

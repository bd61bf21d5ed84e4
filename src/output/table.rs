//! Tables: aligned columns, no borders, readable by people and by `awk`.

use comfy_table::{CellAlignment, ContentArrangement, Table as Comfy, presets};

/// A table being filled.
pub struct Table {
    inner: Comfy,
}

impl Table {
    /// A table with these headings; none for a plain list.
    pub fn new(headings: &[&str]) -> Self {
        let mut inner = Comfy::new();
        inner.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled);
        if !headings.is_empty() {
            inner.set_header(headings.to_vec());
        }
        Self { inner }
    }

    /// Adds a row.
    pub fn row<I: IntoIterator<Item = String>>(&mut self, cells: I) {
        let cells = cells.into_iter().map(|cell| super::visible::visible(&cell, &[]).into_owned());
        self.inner.add_row(cells.collect::<Vec<_>>());
    }

    /// Sets columns of numbers flush right.
    pub fn right(&mut self, columns: &[usize]) {
        for column in columns {
            if let Some(column) = self.inner.column_mut(*column) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }

    /// The text, without blanks at line ends.
    pub fn render(&self) -> String {
        self.inner.to_string().lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    }
}

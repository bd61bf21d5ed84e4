//! Texts at one path that differ in case, spaces, normal form or, if asked for, punctuation
//! alone.

use super::ranges::Slice;
use super::raw::{ARRAY, DOCUMENT, Element, Elements, STRING};
use super::scan::{Broken, Scan, Sink, scan};
use super::source::Source;
use crate::error::{Error, Result};
use crate::pipeline::spellings::{MOST, Next, Search};
use crate::store::shape::Spelled;

/// The size taken for a document of which one field is read, in bytes.
const ONE_FIELD: u64 = 64;

impl Source {
    /// Every text at a path of which another spelling is there too. What counts as one value
    /// here may be more than what a transformer takes for one, never less.
    ///
    /// # Errors
    ///
    /// As [`Source::read`]; exit 4 if there are too many.
    pub async fn spellings(&self, collection: usize, place: Spelled<'_>) -> Result<Vec<String>> {
        let Some(info) = self.catalog().collections.get(collection) else { return Ok(Vec::new()) };
        let name = &info.shape.name;
        // The server takes no such names in a filter or a projection, takes a number for a field's
        // name there and not for a position, and reads `_id` whole: so are documents.
        let strange = |name: &str| {
            name.is_empty() || name.starts_with('$') || name.bytes().all(|b| b.is_ascii_digit())
        };
        let strange = place.name.split('.').any(strange) || place.name.starts_with("_id.");
        let work = Scan {
            client: self.client(),
            database: self.database_name(),
            collection: name,
            slice: &Slice::All,
            only: (!strange).then_some(place.name),
            average: if strange { info.average_bytes } else { ONE_FIELD },
            moment: self.moment_of(info),
        };
        let path = place.name.split('.').map(str::as_bytes).collect();
        let mut texts = Texts { path, search: Search::new(place.folding) };
        loop {
            scan(&work, &mut texts).await.map_err(|broken| match broken {
                Broken::Ours(error) => error.context(format!("reading collection `{name}` failed")),
                Broken::Server(error) => self.failed(name, &error),
            })?;
            match texts.search.pass() {
                Ok(Next::Again) => {}
                Ok(Next::Done) => return Ok(texts.search.found()),
                Err(_) => return Err(too_many(name, place)),
            }
        }
    }
}

fn too_many(collection: &str, place: Spelled<'_>) -> Error {
    Error::findings(format!(
        "`{}` of `{collection}` holds more than {MOST} values that differ in their spelling alone",
        place.name
    ))
    .hint("keep the field, or bring its values to one spelling")
}

/// Hands the strings at a path, through arrays as well, to the search.
struct Texts<'a> {
    path: Vec<&'a [u8]>,
    search: Search,
}

impl Sink for Texts<'_> {
    async fn take(&mut self, documents: Elements<'_>) -> Result<u64> {
        let mut count = 0;
        for document in documents {
            below(document?, &self.path, &mut self.search)?;
            count += 1;
        }
        Ok(count)
    }
}

/// As an index on the path sees it: an array on the way stands for its elements, and a name that
/// is a number may also be the position of one.
fn below(element: Element<'_>, path: &[&[u8]], search: &mut Search) -> Result<()> {
    let Some((first, rest)) = path.split_first() else {
        match element.kind {
            STRING => {
                if let Some(text) = text(element.value) {
                    search.look(text);
                }
            }
            ARRAY => {
                for inner in Elements::of(element.value)? {
                    let inner = inner?;
                    if inner.kind == STRING {
                        below(inner, path, search)?;
                    }
                }
            }
            _ => {}
        }
        return Ok(());
    };
    if element.kind != DOCUMENT && element.kind != ARRAY {
        return Ok(());
    }
    for inner in Elements::of(element.value)? {
        let inner = inner?;
        if inner.name == *first {
            below(inner, rest, search)?;
        } else if element.kind == ARRAY && inner.kind == DOCUMENT {
            below(inner, path, search)?;
        }
    }
    Ok(())
}

/// The text of a string's value: a length, the bytes, a zero.
fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value.get(4..)?.strip_suffix(b"\0")?).ok()
}

//! Keys of the contract that this version reads and checks but does not honour yet. A job that
//! would have to is refused: nothing is ignored silently. Asked when a job is planned; which keys
//! those are, and for which jobs, the table of keys says.

use super::data::Data;
use super::document::Content;
use super::key::{Built, JobKind, When};
use super::reader::Reader;
use super::sets::SetOptions;
use super::table;
use crate::error::{Error, Result};
use crate::terms::StoreKind;

/// Refuses the first key that `job` would have to honour. `set` is the one that a snapshot goes to.
pub(crate) fn refuse(
    data: &Data,
    reader: Reader<'_>,
    job: JobKind,
    set: Option<&str>,
) -> Result<()> {
    let set = data.sets.iter().find(|known| Some(known.name.as_str()) == set);
    let names: Vec<&str> = set.iter().map(|set| set.name.as_str()).collect();
    for row in table::rows() {
        let Built::Not { jobs, when } = row.built else { continue };
        if !jobs.contains(&job) {
            continue;
        }
        for path in table::paths(row, &names, &StoreKind::ALL) {
            if asks(reader, &path, when, job, set)? {
                return Err(Error::not_built(format!("{}: `{path}`", reader.origin(&path)))
                    .hint("this version would not honour it; take it out to go on without it"));
            }
        }
    }
    Ok(())
}

/// Whether the value at `path` asks for what is not built. What is built in asks for nothing.
fn asks(
    reader: Reader<'_>,
    path: &str,
    when: When,
    job: JobKind,
    set: Option<&SetOptions>,
) -> Result<bool> {
    let one_of = |words: &[&str]| -> Result<bool> {
        Ok(reader.text(path)?.is_some_and(|text| words.contains(&text.as_str())))
    };
    match when {
        When::Given => Ok(reader.present(path)),
        When::True => Ok(reader.flag(path)? == Some(true)),
        When::NotEmpty => Ok(matches!(
            reader.node(path).map(|node| &node.content),
            Some(Content::Leaf(serde_json::Value::Array(items))) if !items.is_empty()
        )),
        When::Words(words) => one_of(words),
        When::WordsOfMasking(words) => {
            let masks = job != JobKind::Snapshot || set.is_none_or(|set| set.anonymize);
            Ok(masks && one_of(words)?)
        }
    }
}

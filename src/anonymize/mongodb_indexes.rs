//! What the indexes and options of a MongoDB collection ask of the values that rules write. What
//! they would refuse in the target is refused before the first document.

use super::action::{Action, Masker, Outcome};
use super::document::{Document, Naming, Ruling};
use super::forms::Form;
use super::paths::Step;
use super::rules::PathRule;
use super::samples;
use super::transformers::Wrote;
use crate::error::{Error, Result};
use crate::store::shape::{Collection, Need};

/// What happens at a dotted path of an index, through arrays as well, and whether the names on
/// the way stay.
pub(super) fn action_at<'a>(document: &'a Document, path: &str) -> (Option<&'a Action>, bool) {
    let layout = &document.layout;
    let mut state = layout.automaton.start();
    let mut ruling = Ruling::default();
    let mut named = true;
    for name in path.split('.') {
        let (next, spelled) = layout.automaton.field(state, name.as_bytes());
        if !spelled {
            let naming = layout.naming(state, ruling);
            let naming = naming.and_then(|path| document.names.get(path));
            named &= !matches!(naming, Some(Naming::Mask(_)));
        }
        state = next;
        ruling = layout.rule(state, (0, 0), ruling);
        let element = layout.automaton.element(state);
        ruling = layout.rule(element, (0, 0), ruling);
        // An index path does not say where arrays are: follow elements where rules do.
        if layout.automaton.on_the_way(element) {
            state = element;
        }
    }
    (ruling.path.and_then(|path| document.actions.get(path)), named)
}

/// Every document needs an `_id` of its own.
pub(super) fn check_id(
    collection: &Collection,
    document: &Document,
    paths: &[PathRule],
) -> Result<()> {
    if matches!(action_at(document, "_id").0, Some(Action::Null | Action::Drop)) {
        let at = paths.first().map_or(String::new(), |path| format!("{}: ", path.at));
        let name = &collection.name;
        return Err(Error::usage(format!("{at}`_id` of `{name}` cannot be dropped or null"))
            .hint("add a rule for _id, such as _id = \"keep\""));
    }
    Ok(())
}

/// Unique indexes, the one on `_id` too, need fields whose different values stay different; null
/// and nothing are values to an index like any other.
pub(super) fn check_unique(
    collection: &Collection,
    document: &Document,
    paths: &[PathRule],
) -> Result<()> {
    let id = vec!["_id".to_owned()];
    for index in std::iter::once(&id).chain(&collection.unique) {
        let stays = |path: &str| match action_at(document, path) {
            // Under another name the index does not find it.
            (_, false) => false,
            (Some(Action::Leaf(masker) | Action::Whole(masker)), _) => masker.injective(),
            (Some(Action::Null | Action::Drop), _) => false,
            _ => true,
        };
        // An index that contains `_id` is unique by that alone.
        let held = index.iter().any(|path| path == "_id") && stays("_id");
        let Some(broken) = index.iter().find(|path| !stays(path)).filter(|_| !held) else {
            continue;
        };
        let (action, named) = action_at(document, broken);
        let masker = action.and_then(Action::masker);
        let at = masker.map(Masker::at).or(paths.first().map(|path| &path.at));
        let at = at.map_or(String::new(), |at| format!("{at}: "));
        return Err(Error::usage(format!(
            "{at}the rule for `{broken}` of `{}` would break the unique index on ({})",
            collection.name,
            index.join(", ")
        ))
        .hint(if named {
            "say unique = true where the transformer can, or keep the field"
        } else {
            "its name would change: spell the field out in a rule of its own"
        }));
    }
    Ok(())
}

/// What an index or the collection itself needs of a field must still hold of what rules write.
pub(super) fn check_need(
    collection: &Collection,
    need: &Need,
    document: &Document,
    paths: &[PathRule],
) -> Result<()> {
    match need {
        Need::Point(path) => check_point(collection, path, document, paths),
        Need::Language(path) => check_language(collection, path, document),
        Need::LanguageAnywhere(field) => {
            let spelled = paths.iter().filter_map(|rule| below("", &rule.path.steps));
            let named = |path: &String| path.rsplit('.').next() == Some(field);
            for path in spelled.filter(named).chain([field.clone()]) {
                check_language(collection, &path, document)?;
            }
            Ok(())
        }
        Need::Time(path) => match action_at(document, path).0 {
            Some(Action::Null | Action::Drop) => Err(refused(collection, path, None, TIME)),
            _ => Ok(()),
        },
    }
}

const POINT: (&str, &str) = (
    "a geospatial index, which takes points and shapes alone",
    "keep the field, or replace it by null, drop or redact as a whole",
);
const LANGUAGE: (&str, &str) = (
    "the text index, which takes names of languages there alone",
    "keep or drop the field, or choose among languages",
);
const TIME: (&str, &str) =
    ("the time series, which needs a date there", "keep the field, or use date_shift");

fn refused(
    collection: &Collection,
    path: &str,
    masker: Option<&Masker>,
    (what, hint): (&str, &str),
) -> Error {
    let at = masker.map_or(String::new(), |masker| format!("{}: ", masker.at()));
    let name = &collection.name;
    Error::usage(format!("{at}the rule for `{path}` of `{name}` would break {what}")).hint(hint)
}

/// The fields of GeoJSON that are read of what stands at an indexed path, and those of its parts
/// (<https://www.mongodb.com/docs/manual/reference/geojson/>).
const GEOJSON: [&str; 4] = ["type", "coordinates", "geometries.type", "geometries.coordinates"];

/// Whether what replaces an object or a list leaves it empty, which is no point to an index and
/// nothing that it refuses.
fn empties(masker: &Masker) -> bool {
    let outcome = masker.clone().apply(b"x", Form::Object, &mut Vec::new());
    outcome == Ok(Outcome::Wrote(Wrote::Same))
}

/// The names that legacy pairs of coordinates mostly have.
const LEGACY: [&str; 8] = ["lng", "lon", "long", "longitude", "lat", "latitude", "x", "y"];

/// A point may go as a whole; no part of it may change.
fn check_point(
    collection: &Collection,
    path: &str,
    document: &Document,
    paths: &[PathRule],
) -> Result<()> {
    let whole = action_at(document, path).0;
    if matches!(whole, Some(Action::Null | Action::Drop)) {
        return Ok(());
    }
    if let Some(masker) = whole.and_then(Action::masker) {
        let neutral = matches!(whole, Some(Action::Whole(_))) && empties(masker);
        return if neutral { Ok(()) } else { Err(refused(collection, path, Some(masker), POINT)) };
    }
    // Other fields beside those of GeoJSON change nothing, but for those of legacy pairs.
    let spelled = paths.iter().filter_map(|rule| below(path, &rule.path.steps));
    let spelled = spelled.filter(|part| LEGACY.contains(&part.as_str()));
    for part in GEOJSON.iter().map(|part| (*part).to_owned()).chain(spelled) {
        let part = format!("{path}.{part}");
        match action_at(document, &part).0 {
            Some(action) if changes(action) => {
                return Err(refused(collection, &part, action.masker(), POINT));
            }
            _ => {}
        }
    }
    Ok(())
}

fn check_language(collection: &Collection, path: &str, document: &Document) -> Result<()> {
    let (action, named) = action_at(document, path);
    let within = path.rsplit_once('.').and_then(|(within, _)| action_at(document, within).0);
    let replaced = matches!(within, Some(Action::Whole(_) | Action::Null | Action::Drop));
    let same = within.zip(action).is_some_and(|(one, other)| std::ptr::eq(one, other));
    // Where the document goes that the field is in, or its name does, there is no such field.
    if !named || replaced && same {
        return Ok(());
    }
    let masker = match action {
        Some(Action::Null) => return Err(refused(collection, path, None, LANGUAGE)),
        action => action.and_then(Action::masker),
    };
    match masker {
        Some(masker) if !writes_languages(masker) => {
            Err(refused(collection, path, Some(masker), LANGUAGE))
        }
        _ => Ok(()),
    }
}

fn changes(action: &Action) -> bool {
    matches!(action, Action::Null | Action::Drop) || action.masker().is_some()
}

/// What a rule's path spells out below an indexed one, or from the top where that is empty.
fn below(path: &str, steps: &[Step]) -> Option<String> {
    let mut names = steps.iter().filter(|step| !matches!(step, Step::Element));
    for wanted in path.split('.').filter(|name| !name.is_empty()) {
        match names.next()? {
            Step::Key(name) if name == wanted => {}
            _ => return None,
        }
    }
    let rest: Option<Vec<&str>> = names
        .map(|step| match step {
            Step::Key(name) => Some(name.as_str()),
            _ => None,
        })
        .collect();
    rest.filter(|rest| !rest.is_empty()).map(|rest| rest.join("."))
}

/// The languages of text indexes, version 3
/// (<https://www.mongodb.com/docs/manual/reference/text-search-languages/>).
const LANGUAGES: [&str; 31] = [
    "none",
    "danish",
    "da",
    "dutch",
    "nl",
    "english",
    "en",
    "finnish",
    "fi",
    "french",
    "fr",
    "german",
    "de",
    "hungarian",
    "hu",
    "italian",
    "it",
    "norwegian",
    "nb",
    "portuguese",
    "pt",
    "romanian",
    "ro",
    "russian",
    "ru",
    "spanish",
    "es",
    "swedish",
    "sv",
    "turkish",
    "tr",
];

fn writes_languages(masker: &Masker) -> bool {
    let values = samples::values(masker, Form::Text);
    let known = |value: &Option<String>| {
        value.as_ref().is_some_and(|value| LANGUAGES.contains(&value.to_lowercase().as_str()))
    };
    !values.is_empty() && values.iter().all(known)
}

//! The rules of one kind of document, JSON or BSON: paths, and what happens at each.

use std::sync::Arc;

use super::action::{Action, Site};
use super::by::Records;
use super::paths::{Automaton, PathError, PathPattern, Step};
use super::pattern::shape;
use super::pseudonym::Key;
use super::rules::{Location, PathRule, Rule};
use crate::error::{Error, Result};

/// How deep documents may nest. MongoDB allows 100 levels, jsonb more than anyone uses.
pub(crate) const MAX_DEPTH: usize = 256;

/// Paths and actions.
#[derive(Clone)]
pub(crate) struct Document {
    /// Finds the path that decides.
    pub(crate) automaton: Arc<Automaton>,
    /// What happens, by the number of the path.
    pub(crate) actions: Vec<Action>,
    /// What tells apart the records that values are drawn for.
    pub(crate) records: Records,
}

/// What happens to a value, before its type is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It stays with all that is below.
    Keep,
    /// It becomes null.
    Null,
    /// It goes.
    Drop,
    /// It is replaced, whatever it is.
    Whole(usize),
    /// It is text that holds JSON.
    Json(usize),
    /// A scalar is decided by this path, if any; the values below an object or an array each
    /// have a fate of their own.
    Descend(Option<usize>),
    /// No rule covers it nor can cover anything below.
    Uncovered,
}

impl Document {
    /// Compiles the rules of one kind of document; `place` is where such documents are.
    pub(crate) fn compile(paths: &[PathRule], key: &Key, place: &str) -> Result<Self> {
        let mut flat = Vec::new();
        for path in paths {
            flatten(path.path.clone(), &path.rule, &path.at, &mut flat)?;
        }
        let places: Vec<(&PathPattern, &Location)> =
            flat.iter().map(|(path, _, at)| (path, *at)).collect();
        let automaton = Automaton::new(&places).map_err(|error| match error {
            PathError::Tie(tie) => Error::usage(format!(
                "the paths at {} and {} are equally specific and can match the same value",
                tie.0, tie.1
            )),
            PathError::TooMany => {
                let at = paths.first().map_or(String::new(), |path| format!("{}: ", path.at));
                Error::usage(format!("{at}the paths have too many wildcards"))
            }
        })?;
        let actions: Result<Vec<Action>> = flat
            .iter()
            .map(|(path, rule, _)| {
                let place = format!("{place}|{}", path.text);
                Action::compile(rule, key, Site { place: &place, room: None })
            })
            .collect();
        let mut actions = actions?;
        let records = Records::new(&mut actions)?;
        Ok(Self { automaton: Arc::new(automaton), actions, records })
    }

    /// What happens at a place that is reached in `state`, below a place decided by `inherited`.
    pub(crate) fn fate(&self, state: u32, inherited: Option<usize>) -> Fate {
        fate(&self.automaton, &self.actions, state, inherited)
    }
}

/// See [`Document::fate`]; apart so that the actions can be borrowed for writing afterwards.
pub(crate) fn fate(
    automaton: &Automaton,
    actions: &[Action],
    state: u32,
    inherited: Option<usize>,
) -> Fate {
    let decision = automaton.decision(state).or(inherited);
    let last = automaton.is_last(state, decision);
    let Some(path) = decision else {
        return if last { Fate::Uncovered } else { Fate::Descend(None) };
    };
    match actions.get(path) {
        Some(Action::Drop) => Fate::Drop,
        Some(_) if !last => Fate::Descend(decision),
        Some(Action::Keep) => Fate::Keep,
        Some(Action::Null) => Fate::Null,
        Some(Action::Whole(_)) => Fate::Whole(path),
        Some(Action::Json(_)) => Fate::Json(path),
        Some(Action::Leaf(_)) => Fate::Descend(decision),
        Some(Action::Each(_)) | None => Fate::Uncovered,
    }
}

type Flat<'a> = Vec<(PathPattern, &'a Rule, &'a Location)>;

/// `a = { each = r }` is `a[] = r`.
fn flatten<'a>(
    mut path: PathPattern,
    rule: &'a Rule,
    at: &'a Location,
    out: &mut Flat<'a>,
) -> Result<()> {
    if let Rule::Each(element) = rule {
        path.steps.push(Step::Element);
        return flatten(path, element, at, out);
    }
    let drops = rule.spec().is_some_and(|spec| spec.definition.name == "drop");
    if drops && path.steps.last() == Some(&Step::Element) {
        return Err(Error::not_built(format!("{at}: dropping elements of an array")));
    }
    if drops && path.steps.is_empty() {
        return Err(Error::usage(format!("{at}: a whole value cannot be dropped")));
    }
    out.push((path, rule, at));
    Ok(())
}

/// The steps to the current value, for messages; only written where something is wrong.
#[derive(Debug, Default, Clone)]
pub(crate) struct Trail(Vec<Option<(usize, usize)>>);

impl Trail {
    /// Whether this is the value as a whole.
    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Begins anew.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Into the field whose name is this span of the input.
    pub(crate) fn field(&mut self, span: (usize, usize)) {
        self.0.push(Some(span));
    }

    /// Into an element.
    pub(crate) fn element(&mut self) {
        self.0.push(None);
    }

    /// Out again.
    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    /// The path as a rule would write it; names that look like data are left out.
    pub(crate) fn path(&self, input: &[u8], root: &str, element: &str) -> String {
        let mut path = root.to_owned();
        for step in &self.0 {
            match step {
                Some((start, end)) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&shape(input.get(*start..*end).unwrap_or_default()));
                }
                None => path.push_str(element),
            }
        }
        path
    }
}

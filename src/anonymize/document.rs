//! The rules of one kind of document, JSON or BSON: paths, and what happens at each.

use super::action::{Action, Masker};
use super::automaton::{Automaton, PathError, Ruled};
use super::by::Records;
use super::location::Location;
use super::masker::Site;
use super::paths::{PathPattern, Step};
use super::pattern::Tie;
use super::pseudonym::Key;
use super::rules::{OnError, PathRule, Rule, Spec};
use super::transformers::Effect;
use super::{route, transformers};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::sync::Arc;

/// How deep documents may nest. MongoDB allows 100 levels, jsonb more than anyone uses.
pub(crate) const MAX_DEPTH: usize = 256;

/// Paths and actions.
#[derive(Clone)]
pub(crate) struct Document {
    /// Finds the path that decides, and what that means.
    pub(crate) layout: Arc<Layout>,
    /// What happens to values, by the number of the path.
    pub(crate) actions: Vec<Action>,
    /// What happens to names that no rule spells out, by the number of the path.
    pub(crate) names: Vec<Naming>,
    /// What tells apart the records that values are drawn for.
    pub(crate) records: Records,
}

/// What does not change while documents are rewritten.
#[derive(Clone)]
pub(crate) struct Layout {
    /// Finds the path that decides.
    pub(crate) automaton: Automaton,
    kinds: Vec<Kind>,
    /// By path: whether it ends in a star, so that the name there tells its values apart.
    starred: Vec<bool>,
    /// By path: whether its rule writes neutral values.
    neutral: Vec<bool>,
}

/// What a path does, as far as it bears on where to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Values pass, names too.
    Keep,
    /// Values pass, names below do not.
    KeepValues,
    Null,
    Drop,
    Whole,
    Leaf,
    Json,
    /// Nobody has decided.
    Undecided,
}

/// What happens to a name that no rule spells out.
#[derive(Clone)]
pub(crate) enum Naming {
    /// It passes.
    Keep,
    /// It is replaced.
    Mask(Box<Masker>),
    /// Its shape stands for it: a preview.
    Shape,
    /// No rule says it.
    Unsaid,
}

/// Which path decides about a place, and the name under which the place is that it matches.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Ruling {
    /// The number of the path.
    pub(crate) path: Option<usize>,
    /// The span of the name in the input.
    pub(crate) name: (usize, usize),
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
    /// It goes, unless it is an object or an array with something that a rule spells out.
    Thin,
    /// It is replaced, whatever it is.
    Whole(usize),
    /// It is text that holds JSON.
    Json(usize),
    /// A scalar is decided by the path that decides here, if any; the values below an object or
    /// an array each have a fate of their own.
    Descend,
    /// No rule covers it nor can cover anything below.
    Uncovered,
}

impl Layout {
    /// Which path decides about a place reached in `state`, under the name at `name`, below a
    /// place with the ruling `above`.
    pub(crate) fn rule(&self, state: u32, name: (usize, usize), above: Ruling) -> Ruling {
        let (path, here) = self.automaton.decide(state, above.path);
        Ruling { path, name: if here { name } else { above.name } }
    }

    /// What happens at a place reached in `state`.
    pub(crate) fn fate(&self, state: u32, ruling: Ruling) -> Fate {
        let last = self.automaton.is_last(state, ruling.path);
        let Some(path) = ruling.path else {
            return if last { Fate::Uncovered } else { Fate::Descend };
        };
        match self.kinds.get(path) {
            Some(Kind::Drop) if self.automaton.spelled_below(state) => Fate::Thin,
            Some(Kind::Drop) => Fate::Drop,
            Some(_) if !last => Fate::Descend,
            Some(Kind::Keep) => Fate::Keep,
            Some(Kind::Null) => Fate::Null,
            Some(Kind::Whole) => Fate::Whole(path),
            Some(Kind::Json) => Fate::Json(path),
            Some(Kind::Leaf | Kind::KeepValues) => Fate::Descend,
            Some(Kind::Undecided) | None => Fate::Uncovered,
        }
    }

    /// What a path does.
    pub(crate) fn kind(&self, path: usize) -> Kind {
        self.kinds.get(path).copied().unwrap_or(Kind::Undecided)
    }

    /// The path whose naming decides about the names that no rule spells out, in an object
    /// reached in `state` below or at a place with the ruling `above`: that of their star, or
    /// that which decides about their values.
    pub(crate) fn naming(&self, state: u32, above: Ruling) -> Option<usize> {
        let own = || self.automaton.decide(self.automaton.other(state), above.path).0;
        self.automaton.names(state).or_else(own)
    }

    /// Whether the name under which a value stands tells it apart.
    pub(crate) fn is_starred(&self, path: usize) -> bool {
        self.starred.get(path) == Some(&true)
    }

    /// Whether the rule of a path writes neutral values.
    pub(crate) fn is_neutral(&self, path: usize) -> bool {
        self.neutral.get(path) == Some(&true)
    }
}

impl Document {
    /// Compiles the rules of one kind of document; `place` is where such documents are, `schema`
    /// are names of their uppermost fields that are no data.
    pub(crate) fn compile(
        paths: &[PathRule],
        key: &Key,
        place: &str,
        schema: &[&str],
    ) -> Result<Self> {
        let flat = flatten_all(paths)?;
        let automaton = Automaton::new(&ruled(&flat), schema).map_err(|error| match error {
            PathError::Tie(tie) => tied(&tie, "are equally specific and can match the same value"),
            PathError::Names(tie) => tied(&tie, "say different things of the same names")
                .hint("the names under one star are decided once, by one `names`"),
            PathError::TooMany => {
                let at = paths.first().map_or(String::new(), |path| format!("{}: ", path.at));
                Error::usage(format!("{at}the paths have too many wildcards"))
            }
        })?;
        let mut document = Self {
            layout: Arc::new(Layout {
                automaton,
                kinds: Vec::new(),
                starred: flat.iter().map(Flat::is_starred).collect(),
                neutral: flat.iter().map(Flat::is_neutral).collect(),
            }),
            actions: Vec::with_capacity(flat.len()),
            names: Vec::with_capacity(flat.len()),
            records: Records::default(),
        };
        let mut kinds = Vec::with_capacity(flat.len());
        for path in &flat {
            let naming = path.naming(key, place)?;
            kinds.push(path.kind(&naming));
            document.names.push(naming);
            document.actions.push(path.action(key, place)?);
        }
        if let Some(layout) = Arc::get_mut(&mut document.layout) {
            layout.kinds = kinds;
        }
        document.records = Records::new(&mut document.actions)?;
        Ok(document)
    }

    /// The same for a preview: what is kept shows as `‹kept›`, and names that are kept without
    /// being spelled out as their shapes.
    pub(crate) fn preview(&self, key: &Key) -> Result<Self> {
        let mut document = self.clone();
        let layout = Arc::make_mut(&mut document.layout);
        for (kind, action) in layout.kinds.iter_mut().zip(&mut document.actions) {
            if matches!(kind, Kind::Keep | Kind::KeepValues) {
                *kind = Kind::Whole;
            }
            action.preview(key)?;
        }
        for naming in &mut document.names {
            if matches!(naming, Naming::Keep) {
                *naming = Naming::Shape;
            }
        }
        Ok(document)
    }
}

fn tied(tie: &Tie, what: &str) -> Error {
    Error::usage(format!("the paths at {} and {} {what}", tie.0, tie.1))
}

/// What the automaton needs to know of paths.
pub(crate) fn ruled<'a>(flat: &'a [Flat<'a>]) -> Vec<Ruled<'a>> {
    flat.iter()
        .map(|flat| Ruled {
            path: &flat.path,
            at: flat.at,
            keeps: flat.rule.keeps(),
            names: flat.names,
        })
        .collect()
}

/// A path with its rule, `each` resolved: `a = { each = r }` is `a[] = r`.
pub(crate) struct Flat<'a> {
    pub(crate) path: PathPattern,
    pub(crate) rule: &'a Rule,
    pub(crate) names: Option<&'a Spec>,
    pub(crate) at: &'a Location,
}

/// The rules with every `each` resolved, in their order.
pub(crate) fn flatten_all(paths: &[PathRule]) -> Result<Vec<Flat<'_>>> {
    paths.iter().map(flatten).collect()
}

fn flatten(rule: &PathRule) -> Result<Flat<'_>> {
    let PathRule { path, rule, names, at } = rule;
    let mut flat = Flat { path: path.clone(), rule, names: names.as_ref(), at };
    while let Rule::Each(element) = flat.rule {
        flat.path.steps.push(Step::Element);
        flat.rule = element;
    }
    let drops = flat.rule.spec().is_some_and(|spec| spec.definition.drops());
    if drops && flat.path.steps.last() == Some(&Step::Element) {
        return Err(Error::not_built(format!("{at}: dropping elements of an array")));
    }
    if drops && flat.path.steps.is_empty() {
        return Err(Error::usage(format!("{at}: a whole value cannot be dropped")));
    }
    Ok(flat)
}

impl Flat<'_> {
    fn is_starred(&self) -> bool {
        let end = self.path.steps.iter().rev().find(|step| **step != Step::Element);
        end.is_some_and(Step::is_star)
    }

    fn is_neutral(&self) -> bool {
        self.rule.spec().is_some_and(|spec| {
            spec.definition.name == "redact" || spec.on_error == OnError::Redact
        })
    }

    fn effect(&self) -> Option<Effect> {
        match self.rule {
            Rule::Use(spec) => Some(spec.definition.effect),
            _ => None,
        }
    }

    fn kind(&self, naming: &Naming) -> Kind {
        match (self.rule, self.effect()) {
            (Rule::Undecided(_), _) => Kind::Undecided,
            (_, Some(Effect::Keep)) if matches!(naming, Naming::Keep) => Kind::Keep,
            (_, Some(Effect::Keep)) => Kind::KeepValues,
            (_, Some(Effect::Null)) => Kind::Null,
            (_, Some(Effect::Drop)) => Kind::Drop,
            (_, Some(Effect::Whole(_))) => Kind::Whole,
            (_, Some(Effect::Leaf(_))) => Kind::Leaf,
            (_, None) => Kind::Json,
        }
    }

    fn action(&self, key: &Key, place: &str) -> Result<Action> {
        if matches!(self.rule, Rule::Undecided(_)) {
            return Ok(Action::Undecided);
        }
        let place = format!("{place}|{}", self.path.show(&self.path.steps));
        Action::compile(self.rule, key, Site { place: &place, room: None })
    }

    /// What this rule makes of names: of those at its last star, and of those below.
    fn naming(&self, key: &Key, place: &str) -> Result<Naming> {
        let steps = &self.path.steps;
        let end = steps.iter().rposition(Step::is_star).map_or(steps.len(), |star| star + 1);
        let star = self.path.show(&steps[..end]);
        let place = format!("{place}|{star}|names");
        let site = Site { place: &place, room: None };
        let masker = |spec: &Spec| Ok(Naming::Mask(Box::new(Masker::new(spec, key, site)?)));
        match (self.names, self.effect()) {
            (Some(names), _) if names.definition.keeps() => Ok(Naming::Keep),
            (Some(names), _) => masker(names),
            (None, Some(Effect::Keep)) => Ok(Naming::Keep),
            // What replaces the whole value leaves nothing that the names could be needed for.
            (None, Some(Effect::Null | Effect::Whole(_) | Effect::Drop)) => {
                masker(&hash_of_names(self.at)?)
            }
            (None, _) => Ok(Naming::Unsaid),
        }
    }
}

/// The transformer of names that no rule needs to say.
fn hash_of_names(at: &Location) -> Result<Spec> {
    let Some((definition, _)) = transformers::find("hash") else {
        return Err(Error::failed("there is no transformer `hash`"));
    };
    Ok(Spec {
        definition,
        literals: BTreeMap::new(),
        link: None,
        by: None,
        unique: true,
        on_error: OnError::Fail,
        at: at.clone(),
    })
}

/// The steps to the current value, for messages; only written where something is wrong.
#[derive(Debug, Default, Clone)]
pub(crate) struct Trail(Vec<Option<((usize, usize), bool)>>);

impl Trail {
    /// Whether this is the value as a whole.
    pub(crate) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Back to the value as a whole, before another document.
    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// Into the field whose name is this span of the input, spelled out by a rule or not.
    pub(crate) fn field(&mut self, span: (usize, usize), spelled: bool) {
        self.0.push(Some((span, spelled)));
    }

    /// Down into an element, whose position is not told.
    pub(crate) fn element(&mut self) {
        self.0.push(None);
    }

    /// Back up to what holds the last step.
    pub(crate) fn leave(&mut self) {
        self.0.pop();
    }

    /// The span of the nearest name.
    pub(crate) fn name(&self) -> (usize, usize) {
        self.0.iter().rev().find_map(|step| step.map(|step| step.0)).unwrap_or_default()
    }

    /// The route that it stands for; `name` reads the name at a span.
    pub(crate) fn route(
        &self,
        style: route::Style,
        name: impl Fn((usize, usize)) -> Vec<u8>,
    ) -> route::Route {
        let part = |step: &Option<((usize, usize), bool)>| match step {
            Some((span, spelled)) => route::Part::Name { name: name(*span), spelled: *spelled },
            None => route::Part::Element(style),
        };
        route::Route { style, parts: self.0.iter().map(part).collect() }
    }
}

//! A rule set: every `*.toml` of the rules folder, read, checked and brought together.

use std::collections::BTreeMap;
use std::fmt;

use super::location::Location;
use super::paths::PathPattern;
use super::pattern::Pattern;
use super::transformers::Definition;
use super::transformers::{Arguments, Literal, Transformer};
use crate::error::{Error, Result};
use crate::policy::Applied;
use crate::policy::StructurePermit;
use crate::terms::StoreKind;

/// What happens when a transformer cannot handle a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum OnError {
    /// The job fails.
    #[default]
    Fail,
    /// The value becomes null.
    Null,
    /// The value becomes the neutral one of its type.
    Redact,
}

/// A decision about a place.
#[derive(Debug, Clone)]
pub(crate) enum Rule {
    /// A transformer.
    Use(Spec),
    /// The value is JSON and these paths decide.
    Json(JsonRule),
    /// The value is an array and this decides about its elements.
    Each(Box<Rule>),
    /// `"?"`: nobody has decided yet. The place counts as uncovered.
    Undecided(Location),
}

/// `{ json = { PATH = rule, … } }`.
#[derive(Debug, Clone)]
pub(crate) struct JsonRule {
    /// What happens inside.
    pub(crate) paths: Vec<PathRule>,
    /// What happens to a value that is not JSON.
    pub(crate) on_error: OnError,
    /// Where it stands.
    pub(crate) at: Location,
}

/// What tells the records of a place apart, or whose offset they share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct By {
    /// Another column of the row, path of the document (in an array: of the element) or field of
    /// the hash; `$…` is a path of the JSON value itself.
    pub(crate) field: String,
    /// The link that shares it with other places.
    pub(crate) link: Option<String>,
}

impl Rule {
    /// The transformer, where there is just one.
    pub(crate) fn spec(&self) -> Option<&Spec> {
        match self {
            Self::Use(spec) => Some(spec),
            Self::Json(..) | Self::Undecided(..) => None,
            Self::Each(element) => element.spec(),
        }
    }

    /// Whether somebody has yet to decide about it, or about a part of it.
    pub(crate) fn is_undecided(&self) -> bool {
        match self {
            Self::Undecided(_) => true,
            Self::Json(json) => json.paths.iter().any(|path| path.rule.is_undecided()),
            Self::Each(element) => element.is_undecided(),
            Self::Use(_) => false,
        }
    }

    /// Calls `visit` for every transformer in the rule, those for names too.
    pub(crate) fn visit(&self, visit: &mut impl FnMut(&Spec)) {
        match self {
            Self::Use(spec) => visit(spec),
            Self::Json(json) => json.paths.iter().for_each(|path| {
                path.names.iter().for_each(&mut *visit);
                path.rule.visit(visit);
            }),
            Self::Each(element) => element.visit(visit),
            Self::Undecided(_) => {}
        }
    }

    /// The same, to change them.
    pub(crate) fn visit_mut(&mut self, visit: &mut impl FnMut(&mut Spec)) {
        match self {
            Self::Use(spec) => visit(spec),
            Self::Json(json) => json.paths.iter_mut().for_each(|path| {
                path.names.iter_mut().for_each(&mut *visit);
                path.rule.visit_mut(visit);
            }),
            Self::Each(element) => element.visit_mut(visit),
            Self::Undecided(_) => {}
        }
    }

    /// Whether nothing is masked under it.
    pub(crate) fn keeps(&self) -> bool {
        let mut keeps = !self.is_undecided();
        self.visit(&mut |spec| keeps &= spec.definition.name == "keep");
        keeps
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Use(spec) => spec.fmt(f),
            Self::Json(json) => write!(f, "json, {} paths", json.paths.len()),
            Self::Each(element) => write!(f, "each {element}"),
            Self::Undecided(_) => f.write_str("?"),
        }
    }
}

/// A transformer with its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) definition: &'static Definition,
    pub(crate) literals: BTreeMap<String, Literal>,
    pub(crate) link: Option<String>,
    pub(crate) by: Option<By>,
    /// After [`unite`](super::link::unite): whether any place of the link asks for it.
    pub(crate) unique: bool,
    pub(crate) on_error: OnError,
    pub(crate) at: Location,
}

impl Spec {
    /// Builds the transformer for a place of `room` characters.
    pub(crate) fn build(&self, room: Option<usize>) -> Result<Box<dyn Transformer>> {
        let name = self.definition.name;
        let build = self.definition.build();
        let build = build.ok_or_else(|| Error::failed(format!("`{name}` makes no values")))?;
        let arguments = Arguments { literals: &self.literals, unique: self.unique, room };
        build(&arguments).map_err(|reason| Error::usage(format!("{}: `{name}` {reason}", self.at)))
    }

    /// Checks the arguments, as far as that needs no place.
    pub(crate) fn check(&self) -> Result<()> {
        if self.definition.build().is_none() {
            return Ok(());
        }
        self.build(None).map(drop)
    }

    /// What the rule gives away for want of a `by`.
    pub(crate) fn warning(&self) -> Option<&'static str> {
        if self.by.is_none() { self.definition.warning() } else { None }
    }

    /// Whether both map equal values alike.
    pub(crate) fn same_mapping(&self, other: &Self) -> bool {
        self.definition.name == other.definition.name
            && self.literals == other.literals
            && self.link == other.link
            && self.by == other.by
            && self.unique == other.unique
    }
}

impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.definition.name)?;
        if let Some(link) = &self.link {
            write!(f, " link={link}")?;
        }
        if self.unique {
            f.write_str(" unique")?;
        }
        if let Some(by) = &self.by {
            write!(f, " by={}", by.field)?;
        }
        Ok(())
    }
}

/// A rule for a path into a document.
#[derive(Debug, Clone)]
pub(crate) struct PathRule {
    pub(crate) path: PathPattern,
    pub(crate) rule: Rule,
    /// What becomes of the names that its stars stand for, and of those below it.
    pub(crate) names: Option<Spec>,
    pub(crate) at: Location,
}

/// A rule for a name: a column, a field.
#[derive(Debug, Clone)]
pub(crate) struct NameRule {
    pub(crate) name: String,
    pub(crate) rule: Rule,
    /// Redis fields: what becomes of the names that its stars stand for.
    pub(crate) names: Option<Spec>,
    pub(crate) at: Location,
}

/// `[postgres."…"]`.
#[derive(Debug, Clone)]
pub(crate) struct PostgresSection {
    pub(crate) header: String,
    pub(crate) at: Location,
    pub(crate) columns: Vec<NameRule>,
}

/// `[mongodb."…"]`.
#[derive(Debug, Clone)]
pub(crate) struct MongoSection {
    pub(crate) collection: String,
    pub(crate) at: Location,
    pub(crate) paths: Vec<PathRule>,
}

/// `[redis."…"]`.
#[derive(Debug, Clone)]
pub(crate) struct RedisSection {
    pub(crate) header: String,
    pub(crate) pattern: Pattern,
    pub(crate) at: Location,
    pub(crate) body: RedisBody,
    /// What becomes of the text that each `*` of the key stands for.
    pub(crate) names: Option<Spec>,
}

/// What a Redis section decides.
#[derive(Debug, Clone)]
pub(crate) enum RedisBody {
    /// `action = "keep"`.
    Keep,
    /// `action = "drop"`.
    Drop,
    /// By type; each has one rule (the name is empty) or rules by field.
    Types(Vec<TypeRules>),
}

/// What happens to the keys of one kind under a Redis section.
#[derive(Debug, Clone)]
pub(crate) struct TypeRules {
    pub(crate) kind: crate::pipeline::transform::KeyKind,
    pub(crate) fields: Vec<NameRule>,
    /// Sorted sets: what happens to the scores.
    pub(crate) score: Option<Spec>,
    pub(crate) at: Location,
}

/// Every rule of an environment.
#[derive(Debug, Clone)]
pub struct RuleSet {
    pub(crate) postgres: Vec<PostgresSection>,
    pub(crate) mongodb: Vec<MongoSection>,
    pub(crate) redis: Vec<RedisSection>,
    /// `[redis.":functions"] action = "keep"`: where it stands.
    pub(crate) keep_functions: Option<Location>,
    pub(crate) links: BTreeMap<String, Spec>,
    pub(super) digest: String,
    pub(super) files: usize,
}

impl RuleSet {
    /// SHA-256 of the files' names and texts, in name order; 64 hex digits.
    pub fn digest(&self) -> String {
        self.digest.clone()
    }

    /// The permit under which a masked snapshot stores what holds no data of its own: schemas,
    /// options, indexes, the settings of a database. Rows, documents and keys get theirs from the
    /// transforms.
    pub fn permit_for_structure(&self) -> StructurePermit {
        StructurePermit::ruled(&Applied::by_the_rules())
    }

    /// How many files there are.
    pub fn files(&self) -> usize {
        self.files
    }

    /// Whether any section is for `store`.
    pub fn has(&self, store: StoreKind) -> bool {
        match store {
            StoreKind::Postgres => !self.postgres.is_empty(),
            StoreKind::Mongodb => !self.mongodb.is_empty(),
            StoreKind::Redis => !self.redis.is_empty(),
        }
    }

    /// Calls `visit` for every transformer.
    pub(crate) fn visit(&self, visit: &mut impl FnMut(&Spec)) {
        for rule in self.postgres.iter().flat_map(|section| &section.columns) {
            rule.rule.visit(visit);
        }
        for path in self.mongodb.iter().flat_map(|section| &section.paths) {
            path.names.iter().for_each(&mut *visit);
            path.rule.visit(visit);
        }
        for section in &self.redis {
            section.names.iter().for_each(&mut *visit);
            let RedisBody::Types(types) = &section.body else { continue };
            for rules in types {
                rules.score.iter().for_each(&mut *visit);
                for field in &rules.fields {
                    field.names.iter().for_each(&mut *visit);
                    field.rule.visit(visit);
                }
            }
        }
    }

    /// Calls `visit` for every transformer, to change it.
    pub(crate) fn visit_mut(&mut self, visit: &mut impl FnMut(&mut Spec)) {
        for rule in self.postgres.iter_mut().flat_map(|section| &mut section.columns) {
            rule.rule.visit_mut(visit);
        }
        for path in self.mongodb.iter_mut().flat_map(|section| &mut section.paths) {
            path.names.iter_mut().for_each(&mut *visit);
            path.rule.visit_mut(visit);
        }
        for section in &mut self.redis {
            section.names.iter_mut().for_each(&mut *visit);
            let RedisBody::Types(types) = &mut section.body else { continue };
            for rules in types {
                rules.score.iter_mut().for_each(&mut *visit);
                for field in &mut rules.fields {
                    field.names.iter_mut().for_each(&mut *visit);
                    field.rule.visit_mut(visit);
                }
            }
        }
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;

//! TOML into rules; every complaint names file and line.

use std::cell::RefCell;
use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::location::Location;
use super::paths::PathPattern;
use super::pattern::{Pattern, suggest};
use super::problems::Problems;
use super::rules::{
    By, JsonRule, MongoSection, NameRule, OnError, PathRule, PostgresSection, RedisBody,
    RedisSection, Rule, Spec, TypeRules,
};
use super::transformers::{self, Definition, Draws, ParameterKind, Uniqueness};
use super::transformers::{Effect, Literal};
use crate::error::{Error, Result};
use crate::pipeline::transform::KeyKind;

/// The rules of one file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) postgres: Vec<PostgresSection>,
    pub(crate) mongodb: Vec<MongoSection>,
    pub(crate) redis: Vec<RedisSection>,
    /// Where `[redis.":functions"] action = "keep"` stands.
    pub(crate) keep_functions: Option<Location>,
}

/// The header of the section for Redis functions.
const FUNCTIONS: &str = ":functions";

/// Which rules a place allows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Column,
    Path,
    Redis,
}

type Entries<'a> = Vec<(&'a str, usize, &'a Spanned<DeValue<'a>>)>;

struct Source<'a> {
    name: &'a str,
    /// The offset at which each line begins.
    lines: Vec<usize>,
    problems: RefCell<Problems>,
}

impl File {
    /// Reads the text of the file `name`; what is wrong goes to `problems`, and the rest is given.
    pub(crate) fn parse(name: &str, text: &str, problems: &mut Problems) -> Self {
        let starts = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        let source = Source {
            name,
            lines: std::iter::once(0).chain(starts).collect(),
            problems: RefCell::new(std::mem::take(problems)),
        };
        let file = source.file(text);
        *problems = source.problems.into_inner();
        file
    }
}

/// The entries of a table in the order of the file.
fn entries<'a>(table: &'a DeTable<'a>) -> Entries<'a> {
    let mut entries: Entries<'_> = table
        .iter()
        .map(|(key, value)| (key.get_ref().as_ref(), key.span().start, value))
        .collect();
    entries.sort_by_key(|entry| entry.1);
    entries
}

fn unknown<'k>(
    at: &Location,
    what: &str,
    word: &str,
    known: impl Iterator<Item = &'k str>,
) -> Error {
    let error = Error::usage(format!("{at}: unknown {what} `{word}`"));
    match suggest(word, known) {
        Some(similar) => error.hint(format!("did you mean `{similar}`?")),
        None => error,
    }
}

impl Source<'_> {
    /// Takes the error of a part of the file, so that the other parts are read all the same.
    fn note<T>(&self, result: Result<T>) -> Option<T> {
        self.problems.borrow_mut().note(result)
    }

    fn file(&self, text: &str) -> File {
        let mut file = File::default();
        let parsed = DeTable::parse(text).map_err(|error| {
            let at = self.at(error.span().map_or(0, |span| span.start));
            Error::usage(format!("{at}: {}", error.message()))
        });
        let Some(table) = self.note(parsed) else { return file };
        let mut version = false;
        for (key, offset, value) in entries(table.get_ref()) {
            let at = self.at(offset);
            match key {
                "version" => {
                    version = true;
                    let number = value.get_ref().as_integer().map(|number| number.as_str());
                    if number != Some("1") {
                        self.note::<()>(Err(Error::usage(format!("{at}: the version must be 1"))));
                    }
                }
                "postgres" => file.postgres = self.sections(value, Self::postgres),
                "mongodb" => file.mongodb = self.sections(value, Self::mongodb),
                "redis" => {
                    let sections = self.sections(value, Self::redis);
                    let (functions, keys): (Vec<_>, Vec<_>) =
                        sections.into_iter().partition(|section| section.header == FUNCTIONS);
                    let kept = |section: &RedisSection| matches!(section.body, RedisBody::Keep);
                    file.keep_functions =
                        functions.into_iter().find(kept).map(|section| section.at);
                    file.redis = keys;
                }
                _ => {
                    let known = ["version", "postgres", "mongodb", "redis"];
                    self.note::<()>(Err(unknown(&at, "key", key, known.into_iter())));
                }
            }
        }
        if !version {
            let name = self.name;
            self.note::<()>(Err(Error::usage(format!("{name}: `version = 1` is missing"))));
        }
        file
    }

    fn at(&self, offset: usize) -> Location {
        Location::new(self.name, self.lines.partition_point(|start| *start <= offset))
    }

    fn table<'a>(&self, value: &'a Spanned<DeValue<'a>>, what: &str) -> Result<&'a DeTable<'a>> {
        value.get_ref().as_table().ok_or_else(|| {
            Error::usage(format!("{}: {what} must be a table", self.at(value.span().start)))
        })
    }

    fn string<'a>(&self, value: &'a Spanned<DeValue<'a>>, what: &str) -> Result<&'a str> {
        value.get_ref().as_str().ok_or_else(|| {
            Error::usage(format!("{}: `{what}` must be a string", self.at(value.span().start)))
        })
    }

    fn sections<T>(
        &self,
        value: &Spanned<DeValue<'_>>,
        section: fn(&Self, &str, Location, &DeTable<'_>) -> Result<T>,
    ) -> Vec<T> {
        let Some(table) = self.note(self.table(value, "a store's rules")) else {
            return Vec::new();
        };
        let read = |(header, offset, body): (&str, usize, &Spanned<DeValue<'_>>)| {
            let what = format!("`{header}` is a header and its value");
            let made = self
                .table(body, &what)
                .and_then(|body| section(self, header, self.at(offset), body));
            self.note(made)
        };
        entries(table).into_iter().filter_map(read).collect()
    }

    fn postgres(&self, header: &str, at: Location, body: &DeTable<'_>) -> Result<PostgresSection> {
        if header != "pg_largeobject" && !header.contains(['.', '*']) {
            return Err(Error::usage(format!("{at}: `{header}` must be schema.table"))
                .hint(format!("write [postgres.\"public.{header}\"], with the quotes")));
        }
        Ok(PostgresSection {
            header: header.to_owned(),
            at,
            columns: self.names(body, Place::Column),
        })
    }

    fn mongodb(&self, header: &str, at: Location, body: &DeTable<'_>) -> Result<MongoSection> {
        if header.contains('*') {
            return Err(Error::usage(format!("{at}: a header must name one collection")));
        }
        let mut paths = Vec::new();
        for (text, offset, value) in entries(body) {
            let at = self.at(offset);
            // `a.b = …` without quotes is a table in TOML, and a rule table has no such keys.
            let path = PathPattern::mongodb(text)
                .map_err(|reason| Error::usage(format!("{at}: path `{text}`: {reason}")));
            paths.extend(self.path_rule(path, value, Place::Path, at));
        }
        Ok(MongoSection { collection: header.to_owned(), at, paths })
    }

    fn path_rule(
        &self,
        path: Result<PathPattern>,
        value: &Spanned<DeValue<'_>>,
        place: Place,
        at: Location,
    ) -> Option<PathRule> {
        let path = self.note(path);
        let rule = self.note(self.rule_and_names(value, place));
        let (path, (rule, names)) = (path?, rule?);
        Some(PathRule { path, rule, names, at })
    }

    fn redis(&self, header: &str, at: Location, body: &DeTable<'_>) -> Result<RedisSection> {
        let pattern = Pattern::redis(header)
            .map_err(|reason| Error::usage(format!("{at}: key `{header}`: {reason}")))?;
        let mut types = Vec::new();
        let (mut action, mut names) = (None, None);
        for (key, offset, value) in entries(body) {
            let here = self.at(offset);
            let kind = match key {
                "action" => {
                    action = Some(match self.string(value, "action")? {
                        "keep" => RedisBody::Keep,
                        "drop" => RedisBody::Drop,
                        _ => return Err(Error::usage(format!("{here}: action is keep or drop"))),
                    });
                    continue;
                }
                "names" => {
                    names = self.note(self.names_spec(value));
                    continue;
                }
                "string" => KeyKind::String,
                "list" => KeyKind::List,
                "set" => KeyKind::Set,
                "zset" => KeyKind::SortedSet,
                "hash" => KeyKind::Hash,
                "stream" => KeyKind::Stream,
                _ => {
                    let known =
                        ["action", "names", "string", "list", "set", "zset", "hash", "stream"];
                    return Err(unknown(&here, "key", key, known.into_iter()));
                }
            };
            let by_field = matches!(kind, KeyKind::Hash | KeyKind::Stream);
            let rules = if by_field && value.get_ref().is_table() {
                self.names(self.table(value, "fields")?, Place::Redis)
            } else if by_field {
                return Err(Error::usage(format!("{here}: `{key}` needs a table of fields"))
                    .hint(format!("{key} = {{ \"*\" = … }} is every field")));
            } else {
                let rule = self.rule(value, Place::Redis)?;
                self.fits_kind(&rule, kind, &here)?;
                vec![NameRule { name: String::new(), rule, names: None, at: here.clone() }]
            };
            let score = self.score(value, kind)?;
            types.push(TypeRules { kind, fields: rules, score, at: here });
        }
        let body = match action {
            Some(_) if !types.is_empty() => {
                return Err(Error::usage(format!("{at}: either an action or rules by type")));
            }
            Some(action) => action,
            None if types.is_empty() => {
                return Err(Error::usage(format!("{at}: needs an action or rules by type")));
            }
            None => RedisBody::Types(types),
        };
        if header == FUNCTIONS && !matches!(body, RedisBody::Keep | RedisBody::Drop) {
            return Err(Error::usage(format!("{at}: functions can only be kept or dropped"))
                .hint("say action = \"keep\" or action = \"drop\""));
        }
        Ok(RedisSection { header: header.to_owned(), pattern, at, body, names })
    }

    /// What a rule for sorted sets says of the scores.
    fn score(&self, value: &Spanned<DeValue<'_>>, kind: KeyKind) -> Result<Option<Spec>> {
        let Some(table) = value.get_ref().as_table() else { return Ok(None) };
        let said = entries(table).into_iter().find(|(key, ..)| *key == "score");
        let Some((_, offset, score)) = said else { return Ok(None) };
        match (kind, self.rule(score, Place::Redis)?) {
            (KeyKind::SortedSet, Rule::Use(spec)) if !spec.definition.drops() => Ok(Some(spec)),
            (KeyKind::Hash | KeyKind::Stream, _) => Ok(None),
            _ => Err(Error::usage(format!(
                "{}: `score` is a rule for the scores of a sorted set",
                self.at(offset)
            ))),
        }
    }

    /// The rule of `names`: one that keeps names apart.
    fn names_spec(&self, value: &Spanned<DeValue<'_>>) -> Result<Spec> {
        let at = self.at(value.span().start);
        let Rule::Use(mut spec) = self.rule(value, Place::Redis)? else {
            return Err(Error::usage(format!("{at}: `names` is one transformer or \"keep\"")));
        };
        if spec.definition.name == "hash" {
            spec.unique = true;
        }
        let keeps_apart = match spec.definition.effect {
            Effect::Keep => true,
            Effect::Leaf(_) => {
                spec.unique || spec.link.is_some() || spec.definition.unique == Uniqueness::Always
            }
            Effect::Null | Effect::Drop | Effect::Whole(_) => false,
        };
        if !keeps_apart {
            let name = spec.definition.name;
            return Err(Error::usage(format!(
                "{at}: `{name}` may make two names equal, and `names` must keep them apart"
            ))
            .hint("hash and uuid do, email, name, username, company and url with unique = true"));
        }
        Ok(spec)
    }

    /// Members must stay different, and a string cannot lose its only value.
    fn fits_kind(&self, rule: &Rule, kind: KeyKind, at: &Location) -> Result<()> {
        let dropped = rule.spec().is_some_and(|spec| spec.definition.drops());
        if kind == KeyKind::String && dropped {
            return Err(Error::usage(format!("{at}: a string cannot be dropped from its key"))
                .hint("action = \"drop\" leaves the key out"));
        }
        Ok(())
    }

    fn names(&self, body: &DeTable<'_>, place: Place) -> Vec<NameRule> {
        let read = |(name, offset, value): (&str, usize, &Spanned<DeValue<'_>>)| {
            let (rule, names) = self.note(self.rule_and_names(value, place))?;
            Some(NameRule { name: name.to_owned(), rule, names, at: self.at(offset) })
        };
        entries(body).into_iter().filter_map(read).collect()
    }

    /// A rule, and what it says of the names that its place goes over.
    fn rule_and_names(
        &self,
        value: &Spanned<DeValue<'_>>,
        place: Place,
    ) -> Result<(Rule, Option<Spec>)> {
        let rule = self.rule(value, place)?;
        let table = value.get_ref().as_table();
        let said =
            table.and_then(|table| entries(table).into_iter().find(|(key, ..)| *key == "names"));
        let Some((_, offset, names)) = said else { return Ok((rule, None)) };
        if place == Place::Column {
            return Err(Error::usage(format!(
                "{}: the names of columns are schema; `names` is for paths, keys and fields",
                self.at(offset)
            )));
        }
        Ok((rule, Some(self.names_spec(names)?)))
    }

    fn rule(&self, value: &Spanned<DeValue<'_>>, place: Place) -> Result<Rule> {
        let at = self.at(value.span().start);
        if value.get_ref().as_str() == Some("?") {
            return Ok(Rule::Undecided(at));
        }
        if let Some(name) = value.get_ref().as_str() {
            return self.checked(Rule::Use(spec(name, &at)?), place);
        }
        let Some(table) = value.get_ref().as_table() else {
            return Err(Error::usage(format!("{at}: a rule is a name or a table")));
        };
        let list = entries(table);
        let Some((first, _, inner)) =
            list.iter().find(|(key, ..)| matches!(*key, "json" | "each")).copied()
        else {
            let spec = self.spec(&list, at)?;
            return self.checked(Rule::Use(spec), place);
        };
        let beside =
            |key: &str| key == first || key == "names" || (key == "on_error" && first == "json");
        if let Some((other, offset, _)) = list.iter().find(|(key, ..)| !beside(key)) {
            let at = self.at(*offset);
            return Err(Error::usage(format!("{at}: `{other}` cannot stand beside `{first}`")));
        }
        match first {
            "json" => self.json(inner, &list, at, place),
            _ if place == Place::Redis => Err(Error::usage(format!("{at}: `each` is for arrays"))),
            _ => Ok(Rule::Each(Box::new(self.rule(inner, place)?))),
        }
    }

    fn checked(&self, rule: Rule, place: Place) -> Result<Rule> {
        if let (Rule::Use(spec), Place::Redis) = (&rule, place)
            && (spec.definition.nulls() || spec.on_error == OnError::Null)
        {
            return Err(Error::usage(format!("{}: Redis has no null", spec.at))
                .hint("use \"drop\" or \"redact\""));
        }
        Ok(rule)
    }

    fn json(
        &self,
        value: &Spanned<DeValue<'_>>,
        list: &Entries<'_>,
        at: Location,
        place: Place,
    ) -> Result<Rule> {
        let mut paths = Vec::new();
        let on_error = match list.iter().find(|(key, ..)| *key == "on_error") {
            Some((_, offset, word)) => self.on_error(word, &self.at(*offset))?,
            None => OnError::Fail,
        };
        if place == Place::Redis && on_error == OnError::Null {
            return Err(Error::usage(format!("{at}: Redis has no null")));
        }
        for (text, offset, value) in entries(self.table(value, "`json`")?) {
            let at = self.at(offset);
            let path = PathPattern::json(text)
                .map_err(|reason| Error::usage(format!("{at}: path `{text}`: {reason}")));
            paths.extend(self.path_rule(path, value, Place::Path, at));
        }
        if paths.is_empty() && self.problems.borrow().is_empty() {
            return Err(Error::usage(format!("{at}: `json` names no path")));
        }
        Ok(Rule::Json(JsonRule { paths, on_error, at }))
    }

    fn spec(&self, list: &Entries<'_>, at: Location) -> Result<Spec> {
        let Some((_, _, name)) = list.iter().find(|(key, ..)| *key == "use") else {
            return Err(Error::usage(format!("{at}: a rule needs `use`, `json` or `each`"))
                .hint("a path with dots needs quotes: \"a.b\" = …"));
        };
        let mut spec = spec(self.string(name, "use")?, &at)?;
        for (key, offset, value) in list {
            let here = self.at(*offset);
            match *key {
                "use" | "names" | "score" => {}
                "by" => spec.by = Some(self.by(value, &here)?),
                "link" => spec.link = Some(self.string(value, "link")?.to_owned()),
                "unique" => {
                    let word = value.get_ref().as_bool();
                    spec.unique = word.ok_or_else(|| {
                        Error::usage(format!("{here}: `unique` is true or false"))
                    })?;
                }
                "when" => return Err(Error::not_built(format!("{here}: `when`"))),
                "on_error" => spec.on_error = self.on_error(value, &here)?,
                _ => self.parameter(&mut spec, key, value, &here)?,
            }
        }
        check(&spec)?;
        Ok(spec)
    }

    fn on_error(&self, value: &Spanned<DeValue<'_>>, at: &Location) -> Result<OnError> {
        match self.string(value, "on_error")? {
            "fail" => Ok(OnError::Fail),
            "null" => Ok(OnError::Null),
            "redact" => Ok(OnError::Redact),
            _ => Err(Error::usage(format!("{at}: on_error is fail, null or redact"))),
        }
    }

    /// `by = FIELD` or `by = { field = FIELD, link = DOMAIN }`.
    fn by(&self, value: &Spanned<DeValue<'_>>, at: &Location) -> Result<By> {
        let mut by = By { field: String::new(), link: None };
        if let Some(field) = value.get_ref().as_str() {
            field.clone_into(&mut by.field);
        } else {
            for (key, offset, value) in entries(self.table(value, "`by`")?) {
                match key {
                    "field" => self.string(value, key)?.clone_into(&mut by.field),
                    "link" => by.link = Some(self.string(value, key)?.to_owned()),
                    _ => {
                        let known = ["field", "link"].into_iter();
                        return Err(unknown(&self.at(offset), "key of `by`", key, known));
                    }
                }
            }
        }
        if by.field.is_empty() || by.link.as_deref() == Some("") {
            return Err(Error::usage(format!(
                "{at}: `by` names a field, and a link if it is shared"
            ))
            .hint("by = \"user_id\", or by = { field = \"user_id\", link = \"person\" }"));
        }
        Ok(by)
    }

    fn parameter(
        &self,
        spec: &mut Spec,
        key: &str,
        value: &Spanned<DeValue<'_>>,
        at: &Location,
    ) -> Result<()> {
        let definition = spec.definition;
        let known = definition.parameters.iter().find(|parameter| parameter.name == key);
        let Some(parameter) = known else {
            let names = definition.parameters.iter().map(|parameter| parameter.name);
            let names = names.chain(["use", "link", "unique", "on_error", "by", "names", "score"]);
            return Err(unknown(at, &format!("parameter of `{}`", definition.name), key, names));
        };
        let literal = literal(value.get_ref());
        let fits = match (parameter.kind, &literal) {
            (ParameterKind::Text, Some(Literal::Text(_)))
            | (ParameterKind::Integer, Some(Literal::Integer(_)))
            | (ParameterKind::Number, Some(Literal::Integer(_) | Literal::Float(_)))
            | (ParameterKind::Boolean, Some(Literal::Bool(_))) => true,
            (ParameterKind::Scalar, Some(literal)) => !matches!(literal, Literal::List(_)),
            (ParameterKind::Scalars, Some(Literal::List(values))) => {
                !values.iter().any(|value| matches!(value, Literal::List(_)))
            }
            _ => false,
        };
        let Some(literal) = literal.filter(|_| fits) else {
            let kind = parameter.kind.word();
            return Err(Error::usage(format!("{at}: `{key}` must be {kind}")));
        };
        if spec.literals.insert(key.to_owned(), literal).is_some() {
            return Err(Error::usage(format!("{at}: `{key}` is already said by the name")));
        }
        Ok(())
    }
}

fn literal(value: &DeValue<'_>) -> Option<Literal> {
    match value {
        DeValue::String(text) => Some(Literal::Text(text.clone().into_owned())),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).ok().map(Literal::Integer)
        }
        DeValue::Float(number) => number.as_str().parse().ok().map(Literal::Float),
        DeValue::Boolean(value) => Some(Literal::Bool(*value)),
        DeValue::Array(values) => {
            let values = values.iter().map(|value| literal(value.get_ref()));
            values.collect::<Option<Vec<Literal>>>().map(Literal::List)
        }
        DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// The rule that a bare name is.
fn spec(name: &str, at: &Location) -> Result<Spec> {
    let Some((definition, preset)) = transformers::find(name) else {
        return Err(unknown(at, "transformer", name, transformers::names()));
    };
    let preset = preset.map(|(key, value)| (key.to_owned(), Literal::Text(value.to_owned())));
    let literals: BTreeMap<String, Literal> = preset.into_iter().collect();
    let on_error = OnError::default();
    Ok(Spec { definition, literals, link: None, by: None, unique: false, on_error, at: at.clone() })
}

fn check(spec: &Spec) -> Result<()> {
    let Definition { name, keyed, unique, draws, .. } = spec.definition;
    if spec.by.is_some() && *draws == Draws::Original {
        return Err(Error::usage(format!(
            "{}: `{name}` depends on the value alone: `by` means nothing there",
            spec.at
        ))
        .hint("choice and country draw by it, date_shift and number_noise move by it"));
    }
    if spec.link.is_some() && *draws == Draws::Record {
        return Err(Error::usage(format!(
            "{}: `{name}` draws per record and has no `link`",
            spec.at
        ))
        .hint("places share what they draw with by = { field = FIELD, link = DOMAIN }"));
    }
    if spec.link.is_some() && spec.by.is_some() {
        return Err(Error::usage(format!(
            "{}: `link` goes by the value and `by` by the record: say one of them",
            spec.at
        ))
        .hint("places share what they draw with by = { field = FIELD, link = DOMAIN }"));
    }
    if spec.link.is_some() && !keyed {
        return Err(Error::usage(format!("{}: `{name}` gives no identity to link", spec.at)));
    }
    if spec.link.as_deref() == Some("") {
        return Err(Error::usage(format!("{}: `link` is empty", spec.at)));
    }
    if spec.unique && *unique == Uniqueness::Never {
        return Err(Error::usage(format!("{}: `{name}` cannot be unique", spec.at))
            .hint("email, name, username, company, url, hash and uuid can"));
    }
    Ok(())
}

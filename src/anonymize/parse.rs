//! TOML into rules; every complaint names file and line.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::paths::PathPattern;
use super::pattern::{Pattern, suggest};
use super::registry::{self, Definition, ParameterKind, Uniqueness};
use super::rules::{
    Location, MongoSection, NameRule, OnError, PathRule, PostgresSection, RedisBody, RedisSection,
    Rule, Spec,
};
use super::transformers::{Effect, Literal};
use crate::error::{Error, Result};
use crate::pipeline::transform::KeyKind;

/// The rules of one file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) postgres: Vec<PostgresSection>,
    pub(crate) mongodb: Vec<MongoSection>,
    pub(crate) redis: Vec<RedisSection>,
}

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
}

impl File {
    /// Reads the text of the file `name`.
    pub(crate) fn parse(name: &str, text: &str) -> Result<Self> {
        let starts = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        let source = Source { name, lines: std::iter::once(0).chain(starts).collect() };
        let table = DeTable::parse(text).map_err(|error| {
            let at = source.at(error.span().map_or(0, |span| span.start));
            Error::usage(format!("{at}: {}", error.message()))
        })?;
        let mut file = Self::default();
        let mut version = false;
        for (key, offset, value) in entries(table.get_ref()) {
            let at = source.at(offset);
            match key {
                "version" => {
                    let number = value.get_ref().as_integer().map(|number| number.as_str());
                    if number != Some("1") {
                        return Err(Error::usage(format!("{at}: the version must be 1")));
                    }
                    version = true;
                }
                "postgres" => file.postgres = source.sections(value, Source::postgres)?,
                "mongodb" => file.mongodb = source.sections(value, Source::mongodb)?,
                "redis" => file.redis = source.sections(value, Source::redis)?,
                _ => {
                    let known = ["version", "postgres", "mongodb", "redis"];
                    return Err(unknown(&at, "key", key, known.into_iter()));
                }
            }
        }
        if !version {
            return Err(Error::usage(format!("{name}: `version = 1` is missing")));
        }
        Ok(file)
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
    ) -> Result<Vec<T>> {
        let mut sections = Vec::new();
        for (header, offset, body) in entries(self.table(value, "a store's rules")?) {
            let what = format!("`{header}` is a header and its value");
            sections.push(section(self, header, self.at(offset), self.table(body, &what)?)?);
        }
        Ok(sections)
    }

    fn postgres(&self, header: &str, at: Location, body: &DeTable<'_>) -> Result<PostgresSection> {
        if header != "pg_largeobject" && !header.contains(['.', '*']) {
            return Err(Error::usage(format!("{at}: `{header}` must be schema.table"))
                .hint(format!("write [postgres.\"public.{header}\"], with the quotes")));
        }
        Ok(PostgresSection {
            header: header.to_owned(),
            at,
            columns: self.names(body, Place::Column)?,
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
                .map_err(|reason| Error::usage(format!("{at}: path `{text}`: {reason}")))?;
            paths.push(PathRule { path, rule: self.rule(value, Place::Path)?, at });
        }
        Ok(MongoSection { collection: header.to_owned(), at, paths })
    }

    fn redis(&self, header: &str, at: Location, body: &DeTable<'_>) -> Result<RedisSection> {
        let pattern = Pattern::redis(header)
            .map_err(|reason| Error::usage(format!("{at}: key `{header}`: {reason}")))?;
        let mut types = Vec::new();
        let mut action = None;
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
                "string" => KeyKind::String,
                "list" => KeyKind::List,
                "set" => KeyKind::Set,
                "zset" => KeyKind::SortedSet,
                "hash" => KeyKind::Hash,
                "stream" => KeyKind::Stream,
                _ => {
                    let known = ["action", "string", "list", "set", "zset", "hash", "stream"];
                    return Err(unknown(&here, "key", key, known.into_iter()));
                }
            };
            let by_field = matches!(kind, KeyKind::Hash | KeyKind::Stream);
            let rules = if by_field && value.get_ref().is_table() {
                self.names(self.table(value, "fields")?, Place::Redis)?
            } else if by_field {
                return Err(Error::usage(format!("{here}: `{key}` needs a table of fields"))
                    .hint(format!("{key} = {{ \"*\" = … }} is every field")));
            } else {
                let rule = self.rule(value, Place::Redis)?;
                self.fits_kind(&rule, kind, &here)?;
                vec![NameRule { name: String::new(), rule, at: here }]
            };
            types.push((kind, rules));
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
        Ok(RedisSection { header: header.to_owned(), pattern, at, body })
    }

    /// Members must stay different, and a string cannot lose its only value.
    fn fits_kind(&self, rule: &Rule, kind: KeyKind, at: &Location) -> Result<()> {
        let dropped = rule.spec().is_some_and(|spec| spec.definition.effect == Effect::Drop);
        if kind == KeyKind::String && dropped {
            return Err(Error::usage(format!("{at}: a string cannot be dropped from its key"))
                .hint("action = \"drop\" leaves the key out"));
        }
        Ok(())
    }

    fn names(&self, body: &DeTable<'_>, place: Place) -> Result<Vec<NameRule>> {
        let mut rules = Vec::new();
        for (name, offset, value) in entries(body) {
            let rule = self.rule(value, place)?;
            rules.push(NameRule { name: name.to_owned(), rule, at: self.at(offset) });
        }
        Ok(rules)
    }

    fn rule(&self, value: &Spanned<DeValue<'_>>, place: Place) -> Result<Rule> {
        let at = self.at(value.span().start);
        if let Some(name) = value.get_ref().as_str() {
            return self.checked(Rule::Use(spec(name, &at)?), place);
        }
        let Some(table) = value.get_ref().as_table() else {
            return Err(Error::usage(format!("{at}: a rule is a name or a table")));
        };
        let list = entries(table);
        if let Some((first, ..)) = list.iter().find(|(key, ..)| matches!(*key, "json" | "each"))
            && list.len() > 1
        {
            return Err(Error::usage(format!("{at}: `{first}` must stand alone in its table")));
        }
        if let [(key, _, inner)] = list.as_slice() {
            match *key {
                "json" => return self.json(inner, at, place),
                "each" if place == Place::Redis => {
                    return Err(Error::usage(format!("{at}: `each` is for arrays")));
                }
                "each" => return Ok(Rule::Each(Box::new(self.rule(inner, place)?))),
                _ => {}
            }
        }
        let spec = self.spec(&list, at)?;
        self.checked(Rule::Use(spec), place)
    }

    fn checked(&self, rule: Rule, place: Place) -> Result<Rule> {
        if let (Rule::Use(spec), Place::Redis) = (&rule, place)
            && (spec.definition.effect == Effect::Null || spec.on_error == OnError::Null)
        {
            return Err(Error::usage(format!("{}: Redis has no null", spec.at))
                .hint("use \"drop\" or \"redact\""));
        }
        Ok(rule)
    }

    fn json(&self, value: &Spanned<DeValue<'_>>, at: Location, place: Place) -> Result<Rule> {
        let mut paths = Vec::new();
        for (text, offset, value) in entries(self.table(value, "`json`")?) {
            let at = self.at(offset);
            let path = PathPattern::json(text)
                .map_err(|reason| Error::usage(format!("{at}: path `{text}`: {reason}")))?;
            let place = if place == Place::Redis { Place::Path } else { place };
            paths.push(PathRule { path, rule: self.rule(value, place)?, at });
        }
        if paths.is_empty() {
            return Err(Error::usage(format!("{at}: `json` names no path")));
        }
        Ok(Rule::Json(paths))
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
                "use" => {}
                "link" => spec.link = Some(self.string(value, "link")?.to_owned()),
                "unique" => {
                    let word = value.get_ref().as_bool();
                    spec.unique = word.ok_or_else(|| {
                        Error::usage(format!("{here}: `unique` is true or false"))
                    })?;
                }
                "when" => return Err(Error::not_built(format!("{here}: `when`"))),
                "on_error" => {
                    spec.on_error = match self.string(value, "on_error")? {
                        "fail" => OnError::Fail,
                        "null" => OnError::Null,
                        "redact" => OnError::Redact,
                        _ => {
                            return Err(Error::usage(format!(
                                "{here}: on_error is fail, null or redact"
                            )));
                        }
                    };
                }
                _ => self.parameter(&mut spec, key, value, &here)?,
            }
        }
        check(&spec)?;
        Ok(spec)
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
            let names = names.chain(["use", "link", "unique", "on_error"]);
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
    let Some((definition, preset)) = registry::find(name) else {
        return Err(unknown(at, "transformer", name, registry::names()));
    };
    let preset = preset.map(|(key, value)| (key.to_owned(), Literal::Text(value.to_owned())));
    let literals: BTreeMap<String, Literal> = preset.into_iter().collect();
    let on_error = OnError::default();
    Ok(Spec { definition, literals, link: None, unique: false, on_error, at: at.clone() })
}

fn check(spec: &Spec) -> Result<()> {
    let Definition { name, keyed, unique, .. } = spec.definition;
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

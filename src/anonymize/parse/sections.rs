//! The sections of a rule file: a table, a collection, a key pattern, each with the rules of its
//! places. Called by the reader of the file; asks `rule` about each rule.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{FUNCTIONS, Place, Source, entries, unknown};
use crate::anonymize::location::Location;
use crate::anonymize::paths::PathPattern;
use crate::anonymize::pattern::Pattern;
use crate::anonymize::rules::{
    MongoSection, NameRule, PathRule, PostgresSection, RedisBody, RedisSection, Rule, Spec,
    TypeRules,
};
use crate::error::{Error, Result};
use crate::pipeline::transform::KeyKind;

/// The types of Redis keys, as a section names them.
const KEY_KINDS: [(&str, KeyKind); 6] = [
    ("string", KeyKind::String),
    ("list", KeyKind::List),
    ("set", KeyKind::Set),
    ("zset", KeyKind::SortedSet),
    ("hash", KeyKind::Hash),
    ("stream", KeyKind::Stream),
];

impl Source<'_> {
    pub(super) fn postgres(
        &self,
        header: &str,
        at: Location,
        body: &DeTable<'_>,
    ) -> Result<PostgresSection> {
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

    pub(super) fn mongodb(
        &self,
        header: &str,
        at: Location,
        body: &DeTable<'_>,
    ) -> Result<MongoSection> {
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

    pub(super) fn path_rule(
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

    pub(super) fn redis(
        &self,
        header: &str,
        at: Location,
        body: &DeTable<'_>,
    ) -> Result<RedisSection> {
        let pattern = Pattern::redis(header)
            .map_err(|reason| Error::usage(format!("{at}: key `{header}`: {reason}")))?;
        let mut types = Vec::new();
        let (mut action, mut names) = (None, None);
        for (key, offset, value) in entries(body) {
            let here = self.at(offset);
            match (key, KEY_KINDS.iter().find(|(name, _)| *name == key)) {
                ("action", _) => action = Some(self.action(value, &here)?),
                ("names", _) => names = self.note(self.names_spec(value)),
                (_, Some((_, kind))) => types.push(self.of_type(key, *kind, value, here)?),
                (_, None) => {
                    let kinds = KEY_KINDS.iter().map(|(name, _)| *name);
                    let known = ["action", "names"].into_iter().chain(kinds);
                    return Err(unknown(&here, "key", key, known));
                }
            }
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

    fn action(&self, value: &Spanned<DeValue<'_>>, at: &Location) -> Result<RedisBody> {
        match self.string(value, "action")? {
            "keep" => Ok(RedisBody::Keep),
            "drop" => Ok(RedisBody::Drop),
            _ => Err(Error::usage(format!("{at}: action is keep or drop"))),
        }
    }

    /// The rules for the keys of one type: one for each field, or one for all values.
    fn of_type(
        &self,
        key: &str,
        kind: KeyKind,
        value: &Spanned<DeValue<'_>>,
        at: Location,
    ) -> Result<TypeRules> {
        let by_field = matches!(kind, KeyKind::Hash | KeyKind::Stream);
        let fields = if by_field && value.get_ref().is_table() {
            self.names(self.table(value, "fields")?, Place::Redis)
        } else if by_field {
            return Err(Error::usage(format!("{at}: `{key}` needs a table of fields"))
                .hint(format!("{key} = {{ \"*\" = … }} is every field")));
        } else {
            let rule = self.rule(value, Place::Redis)?;
            self.fits_kind(&rule, kind, &at)?;
            vec![NameRule { name: String::new(), rule, names: None, at: at.clone() }]
        };
        let score = self.score(value, kind)?;
        Ok(TypeRules { kind, fields, score, at })
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
}

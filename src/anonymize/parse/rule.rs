//! One rule: a transformer, or rules for what is inside. Called for each place of a section; asks
//! `spec` about each transformer.

use toml::Spanned;
use toml::de::DeValue;

use super::spec::named;
use super::{Entries, Place, Source, entries};
use crate::anonymize::location::Location;
use crate::anonymize::paths::PathPattern;
use crate::anonymize::rules::{JsonRule, OnError, Rule, Spec};
use crate::anonymize::transformers::{Effect, Uniqueness};
use crate::error::{Error, Result};

impl Source<'_> {
    /// A rule, and what it says of the names that its place goes over.
    pub(super) fn rule_and_names(
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

    pub(super) fn rule(&self, value: &Spanned<DeValue<'_>>, place: Place) -> Result<Rule> {
        let at = self.at(value.span().start);
        if value.get_ref().as_str() == Some("?") {
            return Ok(Rule::Undecided(at));
        }
        if let Some(name) = value.get_ref().as_str() {
            return self.checked(Rule::Use(named(name, &at)?), place);
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

    /// The rule of `names`: one that keeps names apart.
    pub(super) fn names_spec(&self, value: &Spanned<DeValue<'_>>) -> Result<Spec> {
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
}

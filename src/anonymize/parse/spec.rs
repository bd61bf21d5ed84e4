//! A transformer with its arguments, as a rule says it. Called for each rule that is one.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::DeValue;

use super::{Entries, Source, entries, unknown};
use crate::anonymize::location::Location;
use crate::anonymize::rules::{By, OnError, Spec};
use crate::anonymize::transformers::{self, Definition, Draws, Literal, ParameterKind, Uniqueness};
use crate::error::{Error, Result};

impl Source<'_> {
    pub(super) fn spec(&self, list: &Entries<'_>, at: Location) -> Result<Spec> {
        let Some((_, _, name)) = list.iter().find(|(key, ..)| *key == "use") else {
            return Err(Error::usage(format!("{at}: a rule needs `use`, `json` or `each`"))
                .hint("a path with dots needs quotes: \"a.b\" = …"));
        };
        let mut spec = named(self.string(name, "use")?, &at)?;
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

    pub(super) fn on_error(&self, value: &Spanned<DeValue<'_>>, at: &Location) -> Result<OnError> {
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

/// The rule that a bare name is.
pub(super) fn named(name: &str, at: &Location) -> Result<Spec> {
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

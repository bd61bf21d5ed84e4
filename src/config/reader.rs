//! Typed reading of the merged tree, with messages that name file and path.

use std::time::Duration;

use serde_json::Value;

use super::document::{Content, Node};
use super::interpolate::{Commands, Template};
use super::key::{Holds, Preset};
use super::layers::Loaded;
use super::origin::Origin;
use super::{known, table, units};
use crate::error::{Error, Result};

/// Whether references are resolved.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// At load: references are checked for their form only, and such a value reads as absent.
    Check,
    /// References are resolved.
    Use,
}

/// Reads one environment's values.
#[derive(Clone, Copy)]
pub(crate) struct Reader<'a> {
    loaded: &'a Loaded,
    mode: Mode,
    commands: Commands,
}

/// A scalar and whether a reference took part in it.
struct Scalar {
    value: Value,
    referred: bool,
}

impl<'a> Reader<'a> {
    /// A reader that checks.
    pub(crate) fn checking(loaded: &'a Loaded) -> Self {
        Self { loaded, mode: Mode::Check, commands: Commands::Refuse }
    }

    /// A reader that resolves.
    pub(crate) fn using(loaded: &'a Loaded) -> Self {
        Self { loaded, mode: Mode::Use, commands: Commands::Run }
    }

    /// A reader that resolves everything but commands: for comparing with a neighbour.
    pub(crate) fn comparing(loaded: &'a Loaded) -> Self {
        Self { loaded, mode: Mode::Use, commands: Commands::Refuse }
    }

    /// The environment.
    pub(crate) fn loaded(&self) -> &'a Loaded {
        self.loaded
    }

    /// Whether this reader resolves references.
    pub(crate) fn resolves(&self) -> bool {
        self.mode == Mode::Use
    }

    /// What is at `path`; `null` counts as nothing.
    pub(crate) fn node(&self, path: &str) -> Option<&'a Node> {
        self.loaded.tree.at(path).filter(|node| !node.is_null())
    }

    /// Whether something is at `path`.
    pub(crate) fn present(&self, path: &str) -> bool {
        self.node(path).is_some()
    }

    /// Where `path`, or the nearest block around it, was given; the environment's file otherwise.
    pub(crate) fn origin(&self, path: &str) -> Origin {
        let mut path = path;
        loop {
            if let Some(node) = self.loaded.tree.at(path) {
                return node.source.origin.clone();
            }
            match path.rsplit_once('.') {
                Some((outer, _)) => path = outer,
                None => return Origin::File(self.loaded.file.clone()),
            }
        }
    }

    /// Exit 2: what is at `path` is not what is `expected`.
    pub(crate) fn wrong(&self, path: &str, expected: &str) -> Error {
        Error::usage(format!("{}: `{path}` must be {expected}", self.origin(path)))
    }

    /// The names below `path`.
    pub(crate) fn names(&self, path: &str) -> Vec<&'a str> {
        let members = self.node(path).map_or(&[][..], Node::members);
        members.iter().filter(|(_, node)| !node.is_null()).map(|(name, _)| name.as_str()).collect()
    }

    /// The string at `path` with its references. Strings given by variables stand for themselves.
    pub(crate) fn template(&self, path: &str) -> Result<Option<Template>> {
        let Some(node) = self.node(path) else { return Ok(None) };
        let Content::Leaf(Value::String(text)) = &node.content else {
            return Err(self.wrong(path, "a string"));
        };
        self.template_of(text, node, path).map(Some)
    }

    fn template_of(&self, text: &str, node: &Node, path: &str) -> Result<Template> {
        let origin = &node.source.origin;
        match origin {
            Origin::File(_) => Template::parse(text).map_err(|why| {
                Error::usage(format!("{origin}: `{path}` {why}"))
                    .hint("write `$${` for a `${` that stands for itself")
            }),
            _ => Ok(Template::literal(text)),
        }
    }

    /// The text of a template that stands at `path`.
    pub(crate) fn resolve(&self, template: &Template, path: &str) -> Result<String> {
        self.loaded.context.resolve(template, &self.origin(path), path, self.commands)
    }

    fn scalar_of(&self, value: &Value, node: &Node, path: &str) -> Result<Option<Scalar>> {
        let Value::String(text) = value else {
            return Ok(Some(Scalar { value: value.clone(), referred: false }));
        };
        let template = self.template_of(text, node, path)?;
        if let Some(text) = template.as_literal() {
            return Ok(Some(Scalar { value: Value::String(text.to_owned()), referred: false }));
        }
        match self.mode {
            Mode::Check => Ok(None),
            Mode::Use => {
                let value = Value::String(self.resolve(&template, path)?);
                Ok(Some(Scalar { value, referred: true }))
            }
        }
    }

    fn scalar(&self, path: &str, expected: &str) -> Result<Option<Scalar>> {
        let Some(node) = self.node(path) else { return Ok(None) };
        match &node.content {
            Content::Leaf(value) => self.scalar_of(value, node, path),
            Content::Branch(_) => Err(self.wrong(path, expected)),
        }
    }

    /// A string.
    pub(crate) fn text(&self, path: &str) -> Result<Option<String>> {
        match self.scalar(path, "a string")? {
            None => Ok(None),
            Some(Scalar { value: Value::String(text), .. }) => Ok(Some(text)),
            Some(_) => Err(self.wrong(path, "a string")),
        }
    }

    /// A string that is not empty.
    pub(crate) fn filled(&self, path: &str) -> Result<Option<String>> {
        match self.text(path)? {
            Some(text) if text.trim().is_empty() => Err(self.wrong(path, "a string with content")),
            text => Ok(text),
        }
    }

    /// A string that `parse` understands.
    pub(crate) fn parsed<T>(
        &self,
        path: &str,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(scalar) = self.scalar(path, expected)? else { return Ok(None) };
        let parsed = scalar.value.as_str().and_then(parse);
        parsed.map(Some).ok_or_else(|| self.wrong(path, expected))
    }

    /// A duration of more than nothing.
    pub(crate) fn duration(&self, path: &str) -> Result<Option<Duration>> {
        let parse = |text: &str| units::parse_duration(text).filter(|time| !time.is_zero());
        self.parsed(path, units::DURATION, parse)
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, path: &str, words: &[(&str, T)]) -> Result<Option<T>> {
        let names = || words.iter().map(|(word, _)| *word);
        let list = names().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ");
        let expected = format!("one of {list}");
        let Some(scalar) = self.scalar(path, &expected)? else { return Ok(None) };
        let given = scalar.value.as_str().unwrap_or("");
        if let Some((_, meaning)) = words.iter().find(|(word, _)| *word == given) {
            return Ok(Some(*meaning));
        }
        let error = self.wrong(path, &expected);
        let hint = known::suggest(given, names());
        Err(if hint.starts_with("did you mean") { error.hint(hint) } else { error })
    }

    /// The same, or what counts where it is not given.
    pub(crate) fn word_or_preset<T: Copy>(&self, path: &str, words: &[(&str, T)]) -> Result<T> {
        if let Some(meaning) = self.word(path, words)? {
            return Ok(meaning);
        }
        let preset = table::preset_text(path);
        let found = words.iter().find(|(word, _)| *word == preset);
        found.map(|(_, meaning)| *meaning).ok_or_else(|| self.wrong(path, "given"))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self, path: &str) -> Result<Option<bool>> {
        let Some(scalar) = self.scalar(path, "true or false")? else { return Ok(None) };
        match (&scalar.value, scalar.referred) {
            (Value::Bool(flag), _) => Ok(Some(*flag)),
            (Value::String(text), true) if text == "true" => Ok(Some(true)),
            (Value::String(text), true) if text == "false" => Ok(Some(false)),
            _ => Err(self.wrong(path, "true or false")),
        }
    }

    /// The same, or what counts where it is not given.
    pub(crate) fn flag_or_preset(&self, path: &str) -> Result<bool> {
        let preset = matches!(table::preset(path), Preset::Flag(true));
        Ok(self.flag(path)?.unwrap_or(preset))
    }

    /// A whole number in the range of its key. In the application's blocks (ports, mostly) and from
    /// a reference it may be written as a string of digits.
    pub(crate) fn number(&self, path: &str) -> Result<Option<u64>> {
        let (low, high) = match table::row(path).map(|row| row.holds) {
            Some(Holds::Number(low, high)) => (low, high),
            _ => (0, u64::MAX),
        };
        let expected = match high {
            u64::MAX => format!("a whole number, {low} or more"),
            high => format!("a whole number from {low} to {high}"),
        };
        let Some(scalar) = self.scalar(path, &expected)? else { return Ok(None) };
        let number = match &scalar.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text)
                if (scalar.referred || !path.starts_with("data.") || path.ends_with(".port"))
                    && text.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                text.parse().ok()
            }
            _ => None,
        };
        match number {
            Some(number) if (low..=high).contains(&number) => Ok(Some(number)),
            _ => Err(self.wrong(path, &expected)),
        }
    }

    /// A list of strings, none of them empty.
    pub(crate) fn texts(&self, path: &str) -> Result<Option<Vec<String>>> {
        let expected = "a list of strings";
        let Some(node) = self.node(path) else { return Ok(None) };
        let Content::Leaf(Value::Array(items)) = &node.content else {
            return Err(self.wrong(path, expected));
        };
        self.texts_of(items, node, path, expected).map(Some)
    }

    fn texts_of(
        &self,
        items: &[Value],
        node: &Node,
        path: &str,
        expected: &str,
    ) -> Result<Vec<String>> {
        let mut texts = Vec::with_capacity(items.len());
        for item in items {
            match self.scalar_of(item, node, path)? {
                None => {}
                Some(Scalar { value: Value::String(text), .. }) if !text.is_empty() => {
                    texts.push(text);
                }
                Some(_) => return Err(self.wrong(path, expected)),
            }
        }
        Ok(texts)
    }

    /// A list of command lines, each a list of strings: program and arguments.
    pub(crate) fn command_lines(&self, path: &str) -> Result<Option<Vec<Vec<String>>>> {
        let expected = "a list of commands, each a list of strings such as [\"scripts/wake\"]";
        let Some(node) = self.node(path) else { return Ok(None) };
        let Content::Leaf(Value::Array(items)) = &node.content else {
            return Err(self.wrong(path, expected));
        };
        let mut lines = Vec::with_capacity(items.len());
        for item in items {
            match item {
                Value::Array(words) if !words.is_empty() => {
                    lines.push(self.texts_of(words, node, path, expected)?);
                }
                _ => return Err(self.wrong(path, expected)),
            }
        }
        Ok(Some(lines))
    }
}

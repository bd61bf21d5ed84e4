//! `${NAME}`, `${file:PATH}` and `${cmd:LINE}` in the strings of the JSON files.
//!
//! `$${` stands for a literal `${`. Only what was written in a JSON file is interpolated: the
//! value of a variable is taken as it is, whatever characters a password holds.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock};

use super::origin::Origin;
use super::outside::{read_file, run_command};
use super::secret::Secret;
use super::withheld::Withheld;
use crate::error::{Error, Result};

/// A piece of a string. Not `Debug`: a literal may be a secret.
#[cfg_attr(test, derive(Debug))]
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    /// Text that stands for itself.
    Literal(String),
    /// `${NAME}`.
    Variable(String),
    /// `${file:PATH}`: the file's text without the newlines at its end.
    File(String),
    /// `${cmd:LINE}`: what `sh -c LINE` prints, without the newlines at its end.
    Command(String),
}

/// A string with its references.
#[derive(Clone, PartialEq, Eq, Default)]
pub(crate) struct Template(pub(crate) Vec<Segment>);

impl Template {
    /// A string that stands for itself.
    pub(crate) fn literal(text: impl Into<String>) -> Self {
        Self(vec![Segment::Literal(text.into())])
    }

    /// Takes a string apart; the error says what is wrong without quoting the string.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        let mut segments = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            if rest[..at].ends_with('$') {
                literal.push_str(&rest[..at]);
                literal.push('{');
                rest = &rest[at + 2..];
                continue;
            }
            literal.push_str(&rest[..at]);
            let inner = &rest[at + 2..];
            let end = closing_brace(inner).ok_or("holds `${` without `}`")?;
            if !literal.is_empty() {
                segments.push(Segment::Literal(std::mem::take(&mut literal)));
            }
            segments.push(reference(&inner[..end])?);
            rest = &inner[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() || segments.is_empty() {
            segments.push(Segment::Literal(literal));
        }
        Ok(Self(segments))
    }

    /// The text, when it refers to nothing.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Segment::Literal(text)] => Some(text),
            _ => None,
        }
    }
}

/// The end of a reference; braces inside it (`awk '{print $1}'`) come in pairs.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'{' => depth += 1,
            b'}' if depth == 0 => return Some(at),
            b'}' => depth -= 1,
            _ => {}
        }
    }
    None
}

fn reference(inner: &str) -> Result<Segment, &'static str> {
    if let Some(path) = inner.strip_prefix("file:") {
        if path.is_empty() || path.contains("${") {
            return Err("holds `${file:…}` without a plain path");
        }
        return Ok(Segment::File(path.to_owned()));
    }
    if let Some(line) = inner.strip_prefix("cmd:") {
        if line.trim().is_empty() {
            return Err("holds `${cmd:…}` without a command");
        }
        return Ok(Segment::Command(line.to_owned()));
    }
    let mut bytes = inner.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
    if first && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
        Ok(Segment::Variable(inner.to_owned()))
    } else {
        Err("holds a `${…}` that is no name, `file:PATH` or `cmd:LINE`")
    }
}

/// A `.env` file's variables and its name for messages.
#[derive(Default)]
pub(crate) struct Variables {
    /// The file, as the user would name it.
    pub(crate) file: String,
    /// Name to value.
    pub(crate) values: HashMap<String, String>,
}

/// What commands have printed, or how they failed, so that a secret manager is asked once. Who asks
/// while a command runs waits for it.
#[derive(Clone, Default)]
pub(crate) struct Answers(Arc<Mutex<HashMap<String, Arc<Answer>>>>);

type Answer = OnceLock<Result<Secret>>;

impl Answers {
    fn to(&self, line: &str) -> Arc<Answer> {
        let mut all = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(all.entry(line.to_owned()).or_default())
    }
}

/// What references are resolved against: one environment's view of the world.
pub(crate) struct Context {
    /// The folder that relative paths start from.
    pub(crate) base: PathBuf,
    /// The process environment.
    pub(crate) process: Arc<HashMap<String, String>>,
    /// `config/secrets/<env>.env`.
    pub(crate) secrets: Variables,
    /// `.env`.
    pub(crate) dotenv: Arc<Variables>,
    /// What commands have answered.
    pub(crate) answers: Answers,
    /// What commands do not get to see.
    pub(crate) withheld: Arc<Withheld>,
}

/// Whether `${cmd:…}` may be run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Commands {
    /// Run them.
    Run,
    /// Fail instead: the value is wanted for a comparison only.
    Refuse,
}

impl Context {
    /// The value of a variable and where it stands.
    pub(crate) fn variable(&self, name: &str) -> Option<(&str, Origin)> {
        let origin = |file: Option<&str>| Origin::Variable {
            name: name.to_owned(),
            file: file.map(str::to_owned),
        };
        if let Some(value) = self.process.get(name) {
            return Some((value, origin(None)));
        }
        [&self.secrets, self.dotenv.as_ref()].into_iter().find_map(|variables| {
            let value = variables.values.get(name)?;
            Some((value.as_str(), origin(Some(&variables.file))))
        })
    }

    /// Puts the values in. `origin` and `path` name the place in messages; no message holds a
    /// value.
    pub(crate) fn resolve(
        &self,
        template: &Template,
        origin: &Origin,
        path: &str,
        commands: Commands,
    ) -> Result<String> {
        let mut text = String::new();
        for segment in &template.0 {
            match segment {
                Segment::Literal(literal) => text.push_str(literal),
                Segment::Variable(name) => match self.variable(name) {
                    Some((value, _)) => text.push_str(value),
                    None => return Err(self.unset(name, origin, path)),
                },
                Segment::File(file) => {
                    let content = read_file(&self.base.join(file)).map_err(|error| {
                        error.context(format!("{origin}: `{path}` cannot be resolved"))
                    })?;
                    text.push_str(&content);
                }
                Segment::Command(line) => {
                    let output = self.command(line, commands).map_err(|error| {
                        error.context(format!("{origin}: `{path}` cannot be resolved"))
                    })?;
                    text.push_str(output.expose());
                }
            }
        }
        Ok(text)
    }

    fn command(&self, line: &str, commands: Commands) -> Result<Secret> {
        let answer = self.answers.to(line);
        let run = || run_command(line, &self.base, &self.withheld).map(Secret::new);
        match commands {
            Commands::Run => answer.get_or_init(run).clone(),
            Commands::Refuse => answer
                .get()
                .cloned()
                .unwrap_or_else(|| Err(Error::usage("its `${cmd:…}` is not run for a comparison"))),
        }
    }

    fn unset(&self, name: &str, origin: &Origin, path: &str) -> Error {
        Error::usage(format!("{origin}: `{path}` needs ${{{name}}}, which is not set")).hint(
            format!(
                "set it in the process environment, in {} or in {}",
                self.secrets.file, self.dotenv.file
            ),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Segment::{Command, File, Literal, Variable};

    #[test]
    fn templates() {
        let parsed = |text: &str| Template::parse(text).map(|template| template.0);
        let s = str::to_owned;
        assert_eq!(parsed("").ok(), Some(vec![Literal(s(""))]));
        assert_eq!(parsed("a$b}").ok(), Some(vec![Literal(s("a$b}"))]));
        assert_eq!(
            parsed("a${B_1}c${file:/x y}").ok(),
            Some(vec![Literal(s("a")), Variable(s("B_1")), Literal(s("c")), File(s("/x y"))])
        );
        assert_eq!(
            parsed("${cmd:a | awk '{print $1}'}").ok(),
            Some(vec![Command(s("a | awk '{print $1}'"))])
        );
        assert_eq!(parsed("p$${A}").ok(), Some(vec![Literal(s("p${A}"))]));
        for bad in ["${", "x${A", "${}", "${A-b}", "${1A}", "${A:-d}", "${file:}", "${cmd: }"] {
            assert!(parsed(bad).is_err(), "{bad}");
        }
    }
}

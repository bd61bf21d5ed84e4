//! What a transformer is: its definition, as rules and users know it, and what makes the new values.
//! Every file of a transformer is written in these words.

use std::collections::BTreeMap;

pub use crate::anonymize::forms::Form;
use crate::anonymize::pseudonym::Digest;

/// A transformer as rules and users know it.
pub struct Definition {
    /// The name that rules use.
    pub name: &'static str,
    /// Other names, each with the argument it stands for.
    pub aliases: &'static [(&'static str, (&'static str, &'static str))],
    /// One line: what it makes.
    pub summary: &'static str,
    /// What of the original survives: type, length, uniqueness, order, format.
    pub preserves: &'static str,
    /// The types of places it fits.
    pub accepts: &'static str,
    /// What a rule may say beside `use`, `link`, `unique` and `on_error`.
    pub parameters: &'static [Parameter],
    /// A line as it stands in a rule file.
    pub example: &'static str,
    /// What it does to its place, and what makes the new values if it makes any.
    pub effect: Effect,
    /// Whether its values depend on the key, so that a `link` means something.
    pub keyed: bool,
    /// What its values are drawn from.
    pub draws: Draws,
    /// Whether different originals stay different.
    pub unique: Uniqueness,
}

/// Checks the arguments of a rule; the error says what is wrong with them.
pub type Build = fn(&Arguments<'_>) -> Result<Box<dyn Transformer>, String>;

/// What a keyed transformer draws its values from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Draws {
    /// The original: equal ones give equal values.
    Original,
    /// The record that holds it, and nothing of the original: with few outputs, equal values for
    /// equal originals would be a substitution that a count undoes.
    Record,
    /// With `by`, the record; the original is moved by what is drawn. Without, the original.
    Shift,
}

/// Whether different originals give different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uniqueness {
    /// Always.
    Always,
    /// Where a rule says `unique = true`.
    OnRequest,
    /// Never.
    Never,
}

impl Uniqueness {
    /// The word that `rules list` shows.
    pub fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OnRequest => "with unique = true",
            Self::Never => "no",
        }
    }
}

/// An argument of a transformer.
#[derive(Debug, Clone, Copy)]
pub struct Parameter {
    /// The key in a rule.
    pub name: &'static str,
    /// What it may be.
    pub kind: ParameterKind,
    /// What it is when it is not given; empty where it must be.
    pub default: &'static str,
    /// One line.
    pub summary: &'static str,
}

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterKind {
    /// A string.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// A string, a number or a boolean.
    Scalar,
    /// A list of those.
    Scalars,
}

impl ParameterKind {
    /// The word for messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Integer => "a whole number",
            Self::Number => "a number",
            Self::Boolean => "true or false",
            Self::Scalar => "a string, a number or true or false",
            Self::Scalars => "a list of strings, numbers or booleans",
        }
    }
}

impl Definition {
    /// Whether a value passes as it is.
    pub fn keeps(&self) -> bool {
        matches!(self.effect, Effect::Keep)
    }

    /// Whether every value becomes null.
    pub fn nulls(&self) -> bool {
        matches!(self.effect, Effect::Null)
    }

    /// Whether a value goes.
    pub fn drops(&self) -> bool {
        matches!(self.effect, Effect::Drop)
    }

    /// What makes its values; nothing where it makes none.
    pub fn build(&self) -> Option<Build> {
        match self.effect {
            Effect::Whole(build) | Effect::Leaf(build) => Some(build),
            Effect::Keep | Effect::Null | Effect::Drop => None,
        }
    }

    /// What a rule without `by` gives away, in a sentence that begins with the rule.
    pub fn warning(&self) -> Option<&'static str> {
        if self.draws != Draws::Shift {
            return None;
        }
        Some(match self.name {
            "date_shift" => {
                "moves equal days alike and others apart: it shows who shares a day, and the order \
                 and the intervals of one person's dates are lost; say by = FIELD"
            }
            _ => {
                "gives equal numbers equal noise: it shows who shares a number, and the ratios of \
                 one person's numbers are lost; say by = FIELD"
            }
        })
    }
}

/// A value of a rule file.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    /// A string.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// A number with a fraction.
    Float(f64),
    /// A boolean.
    Bool(bool),
    /// A list of the others.
    List(Vec<Literal>),
}

/// The arguments of one rule.
#[derive(Debug)]
pub struct Arguments<'a> {
    /// What the rule says, already checked against the parameters of the definition.
    pub literals: &'a BTreeMap<String, Literal>,
    /// Whether different originals must stay different.
    pub unique: bool,
    /// The most characters that the place holds, where the transformer may adapt to it.
    pub room: Option<usize>,
}

/// One value to be replaced.
#[derive(Debug)]
pub struct Value<'a> {
    /// The original, neither null nor empty.
    pub text: &'a str,
    /// What kind of value it is, and the new one must be.
    pub form: Form,
    /// The keyed bits of the normalized original; zero for transformers that are not keyed.
    pub digest: &'a Digest,
}

/// What was written: the type matters where a place can hold any (JSON, BSON).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wrote {
    /// A value of the form that was there.
    Same,
    /// Characters.
    Text,
    /// A whole number.
    Integer,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
}

/// A value that a transformer cannot handle: why, never what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mismatch(pub &'static str);

/// What a transformer does to its place.
#[derive(Debug, Clone, Copy)]
pub enum Effect {
    /// Nothing.
    Keep,
    /// Makes it null.
    Null,
    /// Takes it away.
    Drop,
    /// Replaces it whatever it is, objects and lists as a whole.
    Whole(Build),
    /// Replaces a scalar; of an object or a list each scalar below.
    Leaf(Build),
}

/// How long what a transformer writes can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// As many characters as the original, or fewer.
    Same,
    /// At most so many characters.
    AtMost(usize),
}

/// Makes new values.
pub trait Transformer: Send + Sync {
    /// Whether a value of this form can be replaced by one of the same form.
    fn accepts(&self, form: Form) -> bool;

    /// Whether it may put a value of another type in a place that can hold any.
    fn retypes(&self) -> bool {
        false
    }

    /// The longest text it writes for a [`Form::Text`].
    fn longest(&self) -> Length;

    /// Whether different (normalized) originals give different values, but for a chance below
    /// one in 2^80 per pair.
    fn injective(&self) -> bool {
        false
    }

    /// Whether punctuation makes no difference between originals either.
    fn ignores_punctuation(&self) -> bool {
        false
    }

    /// What of the original counts for being equal; `scratch` comes empty.
    fn normalize<'a>(
        &self,
        text: &'a str,
        _form: Form,
        _scratch: &'a mut String,
    ) -> Result<&'a str, Mismatch> {
        Ok(text)
    }

    /// Writes the new value behind what `out` holds.
    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch>;

    /// The same where the digest is that of the record and not of the value.
    fn write_drawn(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        self.write(value, out)
    }
}

//! What a transformer is: its definition, as rules and users know it, and what makes the new values.
//! Every file of a transformer is written in these words.

use std::collections::BTreeMap;

pub(crate) use crate::anonymize::forms::Form;
use crate::anonymize::pseudonym::Digest;

/// A transformer as rules and users know it.
pub(crate) struct Definition {
    /// The name that rules use.
    pub(crate) name: &'static str,
    /// Other names, each with the argument it stands for.
    pub(crate) aliases: &'static [(&'static str, (&'static str, &'static str))],
    /// One line: what it makes.
    pub(crate) summary: &'static str,
    /// What of the original survives: type, length, uniqueness, order, format.
    #[cfg_attr(not(test), expect(dead_code, reason = "told of no transformer yet"))]
    pub(crate) preserves: &'static str,
    /// The types of places it fits.
    #[cfg_attr(not(test), expect(dead_code, reason = "told of no transformer yet"))]
    pub(crate) accepts: &'static str,
    /// What a rule may say beside `use`, `link`, `unique` and `on_error`.
    pub(crate) parameters: &'static [Parameter],
    /// A line as it stands in a rule file.
    pub(crate) example: &'static str,
    /// What it does to its place, and what makes the new values if it makes any.
    pub(crate) effect: Effect,
    /// Whether its values depend on the key, so that a `link` means something.
    pub(crate) keyed: bool,
    /// What its values are drawn from.
    pub(crate) draws: Draws,
    /// Whether different originals stay different.
    pub(crate) unique: Uniqueness,
}

/// Checks the arguments of a rule; the error says what is wrong with them.
pub(crate) type Build = fn(&Arguments<'_>) -> Result<Box<dyn Transformer>, String>;

/// What a keyed transformer draws its values from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Draws {
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
pub(crate) enum Uniqueness {
    /// Always.
    Always,
    /// Where a rule says `unique = true`.
    OnRequest,
    /// Never.
    Never,
}

impl Uniqueness {
    /// The word that `rules list` shows.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Always => "always",
            Self::OnRequest => "with unique = true",
            Self::Never => "no",
        }
    }
}

/// An argument of a transformer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Parameter {
    /// The key in a rule.
    pub(crate) name: &'static str,
    /// What a rule may give for it; anything else is refused with this word.
    pub(crate) kind: ParameterKind,
    /// What it is when it is not given; empty where it must be.
    pub(crate) default: &'static str,
    /// One line: what it changes.
    pub(crate) summary: &'static str,
}

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParameterKind {
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
    pub(crate) fn word(self) -> &'static str {
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
    pub(crate) fn keeps(&self) -> bool {
        matches!(self.effect, Effect::Keep)
    }

    /// Whether every value becomes null.
    pub(crate) fn nulls(&self) -> bool {
        matches!(self.effect, Effect::Null)
    }

    /// Whether a value goes.
    pub(crate) fn drops(&self) -> bool {
        matches!(self.effect, Effect::Drop)
    }

    /// What makes its values; nothing where it makes none.
    pub(crate) fn build(&self) -> Option<Build> {
        match self.effect {
            Effect::Whole(build) | Effect::Leaf(build) => Some(build),
            Effect::Keep | Effect::Null | Effect::Drop => None,
        }
    }

    /// What a rule without `by` gives away, in a sentence that begins with the rule.
    pub(crate) fn warning(&self) -> Option<&'static str> {
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
pub(crate) enum Literal {
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
pub(crate) struct Arguments<'a> {
    /// What the rule says, already checked against the parameters of the definition.
    pub(crate) literals: &'a BTreeMap<String, Literal>,
    /// Whether different originals must stay different.
    pub(crate) unique: bool,
    /// The most characters that the place holds, where the transformer may adapt to it.
    pub(crate) room: Option<usize>,
}

/// One value to be replaced.
#[derive(Debug)]
pub(crate) struct Value<'a> {
    /// The original, neither null nor empty.
    pub(crate) text: &'a str,
    /// What kind of value it is, and the new one must be.
    pub(crate) form: Form,
    /// The keyed bits of the normalized original; zero for transformers that are not keyed.
    pub(crate) digest: &'a Digest,
}

/// What was written: the type matters where a place can hold any (JSON, BSON).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wrote {
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
pub(crate) struct Mismatch(pub &'static str);

/// What a transformer does to its place.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Effect {
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
pub(crate) enum Length {
    /// As many characters as the original, or fewer.
    Same,
    /// At most so many characters.
    AtMost(usize),
}

/// Makes the new values of one place; shared by all workers, so it keeps nothing of what it saw.
pub(crate) trait Transformer: Send + Sync {
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

//! The catalogue of transformers: what `rules list` shows and what rules are checked against.

use super::transformers::{ALL, Arguments, Effect, Transformer};

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
    /// What it does to its place.
    pub effect: Effect,
    /// Whether its values depend on the key, so that a `link` means something.
    pub keyed: bool,
    /// What its values are drawn from.
    pub draws: Draws,
    /// Whether different originals stay different.
    pub unique: Uniqueness,
    /// Checks the arguments of a rule; the error says what is wrong with them.
    pub build: fn(&Arguments<'_>) -> Result<Box<dyn Transformer>, String>,
}

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

/// Every transformer, in the order in which they are listed.
pub fn list() -> &'static [Definition] {
    &ALL
}

/// The definition of a name or alias, and the argument that an alias stands for.
pub fn find(name: &str) -> Option<(&'static Definition, Option<(&'static str, &'static str)>)> {
    ALL.iter().find_map(|definition| {
        if definition.name == name {
            return Some((definition, None));
        }
        let alias = definition.aliases.iter().find(|(alias, _)| *alias == name)?;
        Some((definition, Some(alias.1)))
    })
}

/// Every name and alias, for suggestions.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|definition| {
        std::iter::once(definition.name).chain(definition.aliases.iter().map(|alias| alias.0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_whole_and_every_example_is_a_rule() {
        let mut seen: Vec<&str> = names().collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), names().count(), "a name is used twice");
        for definition in list() {
            assert!(!definition.summary.is_empty() && !definition.preserves.is_empty());
            assert!(!definition.accepts.is_empty(), "{}", definition.name);
            let text = format!("version = 1\n[postgres.\"public.t\"]\n{}\n", definition.example);
            let mut problems = crate::anonymize::problems::Problems::default();
            crate::anonymize::parse::File::parse("example.toml", &text, &mut problems);
            let found = problems.finish();
            assert!(found.is_ok(), "{}: {:?}", definition.name, found.err());
        }
        assert!(find("first_name").is_some_and(|found| found.0.name == "name"));
        assert!(find("nonsense").is_none());
    }
}

//! The transformers: one file each, all of the same shape.
//!
//! A file holds a [`Definition`] (what `rules list` shows and what a rule may say) whose [`Build`](definition::Build)
//! checks the arguments of a rule and gives a [`Transformer`]. A transformer knows no store: it
//! gets the text of one scalar, the [`Form`] it stands in, and the digest of the normalized
//! value, and writes the text of the new one. It never sees a null or an empty value. One that
//! writes words is a [`recipe`]: the words and their shape.

mod choice;
mod city;
mod company;
mod constant;
mod country;
mod date_shift;
mod decision;
mod definition;
mod email;
mod hash;
mod ip;
mod literal;
mod mask;
mod name;
mod number_noise;
mod phone;
mod postcode;
mod recipe;
pub(crate) mod redact;
mod street;
mod support;
mod text;
mod url;
mod username;
mod uuid;

pub(crate) use definition::{
    Arguments, Definition, Draws, Effect, Length, Literal, Mismatch, ParameterKind, Transformer,
    Uniqueness, Value, Wrote,
};

/// Every definition, in the order in which they are listed.
pub(crate) static ALL: [Definition; 23] = [
    decision::KEEP,
    decision::NULL,
    decision::DROP,
    constant::DEFINITION,
    redact::DEFINITION,
    mask::DEFINITION,
    hash::DEFINITION,
    email::DEFINITION,
    name::DEFINITION,
    username::DEFINITION,
    phone::DEFINITION,
    street::DEFINITION,
    city::DEFINITION,
    postcode::DEFINITION,
    country::DEFINITION,
    company::DEFINITION,
    date_shift::DEFINITION,
    number_noise::DEFINITION,
    uuid::DEFINITION,
    ip::DEFINITION,
    url::DEFINITION,
    text::DEFINITION,
    choice::DEFINITION,
];

/// Every transformer, in the order in which they are listed.
pub(crate) fn list() -> &'static [Definition] {
    &ALL
}

/// The definition of a name or alias, and the argument that an alias stands for.
pub(crate) fn find(
    name: &str,
) -> Option<(&'static Definition, Option<(&'static str, &'static str)>)> {
    ALL.iter().find_map(|definition| {
        if definition.name == name {
            return Some((definition, None));
        }
        let alias = definition.aliases.iter().find(|(alias, _)| *alias == name)?;
        Some((definition, Some(alias.1)))
    })
}

/// Every name and alias, for suggestions.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().flat_map(|definition| {
        std::iter::once(definition.name).chain(definition.aliases.iter().map(|alias| alias.0))
    })
}

#[cfg(test)]
#[path = "golden_tests.rs"]
mod golden_tests;

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

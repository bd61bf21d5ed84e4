//! Spellings of one value in one unique column: which columns are looked at, and what becomes of
//! those that are found.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::action::{Action, Masker, Outcome};
use super::forms::Form;
use super::masker::Rivals;
use super::mongodb::MongodbPlan;
use super::mongodb_indexes::action_at;
use super::postgres::PostgresPlan;
use super::postgres_checks as checks;
use crate::error::{Error, Result};
use crate::pipeline::spellings::Folding;
use crate::store::shape::{Column, Spelled};

/// A column whose unique index may tell apart what its rule takes for equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpelledColumn {
    /// The position of the table in the plan.
    table: usize,
    /// The position of the column among those that a rule changes.
    ruled: usize,
    /// Its name.
    pub name: String,
    /// What its rule takes for no difference.
    pub folding: Folding,
    /// Whether they are the elements of an array.
    pub elements: bool,
    /// Whether the type itself compares without regard to case.
    folds: bool,
}

impl SpelledColumn {
    /// What the store is asked for.
    pub fn spelled(&self) -> Spelled<'_> {
        Spelled { name: &self.name, folding: self.folding, elements: self.elements }
    }
}

impl SpelledPath {
    /// What the store is asked for.
    pub fn spelled(&self) -> Spelled<'_> {
        Spelled { name: &self.path, folding: self.folding, elements: false }
    }
}

type Domain = [u32; 8];

impl PostgresPlan {
    /// The columns of a table, by its position in the plan, whose spellings matter.
    pub fn spelled(&self, table: usize) -> Result<Vec<SpelledColumn>> {
        let plan = self.table(table)?;
        let unique = |name: &String| plan.unique.iter().any(|index| index.contains(name));
        let mut columns = Vec::new();
        for (position, ruled) in plan.ruled.iter().enumerate() {
            let Some(column) = plan.columns.get(ruled.index) else { continue };
            let Some(masker) = texts_of(&ruled.action, column) else { continue };
            if checks::form(column) == Form::Text
                && masker.injective()
                && unique(&column.name)
                && let Some(folding) = masker.folding()
            {
                columns.push(SpelledColumn {
                    table,
                    ruled: position,
                    name: column.name.clone(),
                    folding,
                    elements: column.array,
                    folds: is_citext(column),
                });
            }
        }
        Ok(columns)
    }

    /// Whether pseudonyms of a column's texts are made one by one, so that spellings of one value
    /// may become values of their own.
    pub fn is_spelled(&self, table: usize, column: &str) -> Result<bool> {
        Ok(self.text_masker(table, column)?.is_some())
    }

    /// References whose two ends are equal to the server and spelled differently must stay equal.
    ///
    /// # Errors
    ///
    /// [`Kind::Findings`](crate::error::Kind::Findings) with a count where they would not.
    pub fn stay_joined(&self, table: usize, column: &str, ends: &[(String, String)]) -> Result<()> {
        let Some((masker, folds)) = self.text_masker(table, column)? else { return Ok(()) };
        let mut masker = masker.clone();
        let mut made = |text: &str| {
            let mut made = Vec::new();
            masker.apply(text.as_bytes(), Form::Text, &mut made).ok()?;
            let made = String::from_utf8(made).ok()?;
            // What else than case a collation takes for equal is not known here.
            Some(if folds { made.to_lowercase() } else { made })
        };
        let lost = ends.iter().filter(|(from, to)| made(from) != made(to)).count();
        if lost == 0 {
            return Ok(());
        }
        let (name, at) = (&self.table(table)?.name, masker.at().clone());
        Err(Error::findings(format!(
            "column `{column}` of {name} refers to {lost} values in another spelling than theirs, \
             and the rule at {at} makes two pseudonyms of them"
        ))
        .hint("mend the data, keep the column, or use a transformer that takes them for one"))
    }

    /// What masks a column of texts, and whether its type compares them without regard to case.
    fn text_masker(&self, table: usize, column: &str) -> Result<Option<(&Masker, bool)>> {
        let plan = self.table(table)?;
        let ruled = plan.ruled.iter().find(|ruled| ruled.name == column);
        Ok(ruled.and_then(|ruled| match (&ruled.action, plan.columns.get(ruled.index)) {
            (Action::Leaf(masker), Some(column)) if checks::form(column) == Form::Text => {
                Some((masker, is_citext(column)))
            }
            _ => None,
        }))
    }

    /// Takes what was found in such columns: texts of which some differ in their spelling alone.
    /// Every column that shares its pseudonyms with such a column spells them alike.
    ///
    /// # Errors
    ///
    /// [`Kind::Findings`](crate::error::Kind::Findings) where pseudonyms cannot be kept apart.
    pub fn tell_apart(&mut self, found: &[(SpelledColumn, Vec<String>)]) -> Result<()> {
        let mut domains = Domains::default();
        for (place, texts) in found {
            let plan = self.table(place.table)?;
            let Some(ruled) = plan.ruled.get(place.ruled) else { continue };
            let Some(masker) =
                plan.columns.get(ruled.index).and_then(|column| texts_of(&ruled.action, column))
            else {
                continue;
            };
            let place_name = format!("column `{}` of {}", place.name, plan.name);
            domains.note(masker, texts, place.folds, &place_name)?;
        }
        let ruled = self.tables.iter_mut().flat_map(|table| &mut table.ruled);
        domains.set(ruled.map(|ruled| &mut ruled.action));
        Ok(())
    }
}

fn is_citext(column: &Column) -> bool {
    column.type_name.trim_end_matches("[]").ends_with("citext")
}

/// What masks the texts of a column, or the elements of an array.
fn texts_of<'a>(action: &'a Action, column: &Column) -> Option<&'a Masker> {
    match action {
        Action::Leaf(masker) if !column.array => Some(masker),
        Action::Each(inner) => match &**inner {
            Action::Leaf(masker) => Some(masker),
            _ => None,
        },
        _ => None,
    }
}

/// A path of a collection whose unique index may tell apart what its rule takes for equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpelledPath {
    /// The position of the collection in the plan.
    collection: usize,
    /// The path, as the index has it.
    pub path: String,
    /// What its rule takes for no difference.
    pub folding: Folding,
}

impl MongodbPlan {
    /// The paths of a collection, by its position in the plan, whose spellings matter.
    pub fn spelled(&self, collection: usize) -> Result<Vec<SpelledPath>> {
        let plan = self.collection(collection)?;
        let Some(document) = &plan.document else { return Ok(Vec::new()) };
        let id = ["_id".to_owned()];
        let mut found: Vec<SpelledPath> = Vec::new();
        for path in id.iter().chain(plan.unique.iter().flatten()) {
            let Some(Action::Leaf(masker)) = action_at(document, path).0 else { continue };
            if masker.injective()
                && masker.accepts(Form::Text)
                && let Some(folding) = masker.folding()
                && !found.iter().any(|known| known.path == *path)
            {
                found.push(SpelledPath { collection, path: path.clone(), folding });
            }
        }
        Ok(found)
    }

    /// The same as [`PostgresPlan::tell_apart`].
    ///
    /// # Errors
    ///
    /// [`Kind::Findings`](crate::error::Kind::Findings) where pseudonyms cannot be kept apart.
    pub fn tell_apart(&mut self, found: &[(SpelledPath, Vec<String>)]) -> Result<()> {
        let mut domains = Domains::default();
        for (place, texts) in found {
            let plan = self.collection(place.collection)?;
            let action = plan.document.as_ref().and_then(|doc| action_at(doc, &place.path).0);
            let Some(Action::Leaf(masker)) = action else { continue };
            domains.note(masker, texts, false, &format!("`{}` of `{}`", place.path, plan.name))?;
        }
        let documents = self.collections.iter_mut().filter_map(|plan| plan.document.as_mut());
        domains.set(documents.flat_map(|document| &mut document.actions));
        Ok(())
    }
}

/// The rivals of every domain: what shares its pseudonyms is spelled alike.
#[derive(Default)]
struct Domains(HashMap<Domain, HashSet<Box<[u8]>>>);

impl Domains {
    fn note(&mut self, masker: &Masker, texts: &[String], folds: bool, place: &str) -> Result<()> {
        let (rivals, lost) = rivals(masker, texts, folds);
        if lost > 0 {
            return Err(Error::findings(format!(
                "{place} holds {lost} values that differ from others in their spelling alone, \
                 and the rule at {} cannot keep their pseudonyms apart",
                masker.at()
            ))
            .hint("keep the place, mend the data, or give the pseudonyms more room"));
        }
        if let Some(domain) = masker.domain() {
            self.0.entry(domain).or_default().extend(rivals);
        }
        Ok(())
    }

    fn set<'a>(self, actions: impl Iterator<Item = &'a mut Action>) {
        let domains: HashMap<Domain, Rivals> =
            self.0.into_iter().map(|(domain, rivals)| (domain, Arc::new(rivals))).collect();
        if domains.is_empty() {
            return;
        }
        for action in actions {
            action.each_masker(&mut |masker| {
                if let Some(rivals) = masker.domain().and_then(|domain| domains.get(&domain)) {
                    masker.set_rivals(Arc::clone(rivals));
                }
            });
        }
    }
}

/// The normalized values that texts share, and how many of those texts cannot be told apart.
fn rivals(masker: &Masker, texts: &[String], folds: bool) -> (HashSet<Box<[u8]>>, usize) {
    let mut masker = masker.clone();
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for text in texts {
        // What cannot be normalized meets its rule's `on_error` when the rows are read.
        let Ok(normalized) = masker.normalized(text).map(str::to_owned) else { continue };
        groups.entry(normalized).or_default().push(text);
    }
    groups.retain(|_, texts| texts.len() > 1);
    let mut lost = 0;
    for texts in groups.values() {
        let mut seen = HashSet::new();
        for text in texts {
            let mut made = Vec::new();
            let outcome = masker.variant(text.as_bytes(), &mut made);
            let mut made = String::from_utf8(made).unwrap_or_default();
            if folds {
                made = made.to_lowercase();
            }
            lost += usize::from(!matches!(outcome, Ok(Outcome::Wrote(_))) || !seen.insert(made));
        }
    }
    (groups.into_keys().map(|value| value.into_bytes().into_boxed_slice()).collect(), lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anonymize::testing::{foreign_key, key, rules, table, told};

    fn plan(rule: &str, type_name: &str) -> PostgresPlan {
        let mut users = table("users", &[("email", type_name)]);
        users.unique = vec![vec!["email".to_owned()]];
        let mut logins = table("logins", &[("email", type_name)]);
        logins.foreign_keys = vec![foreign_key("email", "users", "email")];
        let rules = rules(&format!("[postgres.\"public.*\"]\nemail = {rule}\n"));
        rules.postgres(&[users, logins], false, &key()).unwrap()
    }

    fn told_apart(rule: &str, type_name: &str, texts: &[&str]) -> Result<Vec<String>> {
        let mut plan = plan(rule, type_name);
        // Whose transformer takes no two texts for one, is not searched.
        let places = plan.spelled(0).unwrap();
        assert_eq!(places.is_empty(), rule.contains("hash"));
        let texts_of = |place| (place, texts.iter().map(|text| (*text).to_owned()).collect());
        plan.tell_apart(&places.into_iter().map(texts_of).collect::<Vec<_>>())?;
        let made =
            |table: usize, text: &str| plan.apply_one(table, 0, Some(text)).unwrap().unwrap();
        for text in texts {
            assert_eq!(made(0, text), made(1, text), "what refers to it is spelled alike");
        }
        Ok(texts.iter().map(|text| made(0, text)).collect())
    }

    const EMAIL: &str = "{ use = \"email\", unique = true }";

    #[test]
    fn spellings_stay_apart_and_the_normal_one_stays_as_it_is() {
        let base = plan(EMAIL, "text").apply_one(0, 0, Some("Bob@x.com")).unwrap().unwrap();
        let texts =
            ["bob@x.com", "Bob@X.com", "BOB@x.com", " bob@x.com", "bob@x.com\t", "Only@x.com"];
        let made = told_apart(EMAIL, "text", &texts).unwrap();
        assert_eq!(made[0], base);
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), texts.len(), "{made:?}");
        for spelled in &made[..5] {
            assert_eq!(spelled.trim().to_lowercase(), base);
        }
        assert_eq!(made[5], made[5].to_lowercase(), "without a rival it stays");
    }

    #[test]
    fn every_transformer_that_can_be_unique_keeps_its_spellings_apart() {
        for (rule, texts) in [
            ("{ use = \"name\", unique = true }", ["Ann Lee", "ann lee", "ANN  LEE", "ann lee "]),
            ("{ use = \"company\", unique = true }", ["Acme", "ACME", " acme", "acme"]),
            ("{ use = \"username\", unique = true }", ["ann", " ann", "ann ", "ann\t"]),
            ("{ use = \"url\", unique = true }", ["x/a", " x/a", "x/a ", "x/a\n"]),
            ("{ use = \"hash\", unique = true }", ["a", "A", " a", "a "]),
            (
                "{ use = \"username\", unique = true }",
                ["jos\u{e9}", "jose\u{301}", " jos\u{e9}", "Jos\u{e9}"],
            ),
        ] {
            let made = told_apart(rule, "text", &texts).unwrap();
            assert_eq!(made.iter().collect::<HashSet<_>>().len(), 4, "{rule} {made:?}");
        }
        let id = "7f3a9c00-0000-4000-8000-000000000001";
        let texts = [id, &id.to_uppercase(), &format!("{{{id}}}"), &id.replace('-', "")];
        let made = told_apart("\"uuid\"", "text", &texts).unwrap();
        assert_eq!(made.iter().collect::<HashSet<_>>().len(), 4, "{made:?}");
    }

    #[test]
    fn what_cannot_be_kept_apart_is_told_with_place_and_count_alone() {
        let rule = "{ use = \"email\", unique = true, max_length = 28 }";
        let error =
            told_apart(rule, "character varying(28)", &["bob@x.com", " bob@x.com"]).unwrap_err();
        let told = told(&error);
        assert_eq!(error.kind(), crate::error::Kind::Findings);
        assert!(told.contains("`email` of public.users holds 1 values"), "{told}");
        assert!(!told.contains("bob"), "{told}");
    }
}

//! What the rules of a table would write, tried before the first row: the values that a rule
//! holds, and pseudonyms of originals that are made up.

use super::action::{Action, Masker, Outcome};
use super::forms::Form;
use super::postgres::PostgresPlan;
use super::postgres_checks as checks;
use super::transformers::{Length, redact};
use crate::error::Result;
use crate::store::shape::Sample;

/// So many pseudonyms show whether a check holds for them.
const PSEUDONYMS: usize = 3;

/// So many draws show all of a short list.
const DRAWS: usize = 64;

impl PostgresPlan {
    /// What can be known before of the values of a table, by its position in the plan. Values
    /// that follow the shape of their original cannot.
    pub fn samples(&self, table: usize) -> Result<Vec<Sample>> {
        let plan = self.table(table)?;
        let mut samples = Vec::new();
        let coverage = self.coverage_of(&plan.name);
        for ruled in &plan.ruled {
            let Some(column) = plan.columns.get(ruled.index) else { continue };
            let form = checks::form(column);
            let values = match &ruled.action {
                Action::Null => vec![None],
                Action::Leaf(masker) | Action::Whole(masker) if !column.array => {
                    values(masker, form)
                }
                Action::Each(inner) if column.array => {
                    let elements =
                        inner.masker().map_or_else(Vec::new, |masker| values(masker, form));
                    elements.into_iter().flatten().map(|element| Some(array(&element))).collect()
                }
                _ => continue,
            };
            if !values.is_empty() {
                let entry = coverage.entries.iter().find(|entry| entry.item == column.name);
                let at = entry.and_then(|entry| entry.at.as_ref()).map(ToString::to_string);
                let at = at.unwrap_or_default();
                let (column, type_name) = (column.name.clone(), column.type_name.clone());
                samples.push(Sample { column, type_name, at, values });
            }
        }
        Ok(samples)
    }
}

/// An array of one element, as the server reads it.
fn array(element: &str) -> String {
    format!("{{\"{}\"}}", element.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Values that a masker writes, as far as they do not follow their original.
pub(super) fn values(masker: &Masker, form: Form) -> Vec<Option<String>> {
    let follows = form == Form::Text && masker.longest() == Length::Same;
    let shifts = masker.needs_record() && masker.by().is_some() && masker.longest() == Length::Same;
    if follows || shifts || masker.longest() == Length::Same && masker.domain().is_some() {
        return Vec::new();
    }
    let mut masker = masker.clone();
    let count = if masker.needs_record() { DRAWS } else { PSEUDONYMS };
    let mut values: Vec<Option<String>> = Vec::new();
    for number in 0..count {
        masker.own_record(&number.to_be_bytes());
        for original in originals(form, number) {
            let mut made = Vec::new();
            let outcome = masker.apply(original.as_bytes(), form, &mut made);
            let made = match outcome {
                Ok(Outcome::Wrote(_)) => String::from_utf8(made).ok(),
                Ok(Outcome::Null) => continue,
                Err(_) => continue,
            };
            if !values.contains(&made) {
                values.push(made);
            }
            break;
        }
    }
    values
}

/// Originals that nobody has, of a form; the first that a transformer takes will do.
fn originals(form: Form, number: usize) -> Vec<String> {
    let digit = number % 10;
    match form {
        Form::Text => vec![
            format!("00000000-0000-4000-8000-0000000000{number:02}"),
            format!("192.0.2.{number}"),
        ],
        Form::Uuid => vec![format!("00000000-0000-4000-8000-0000000000{number:02}")],
        Form::Integer { bits: 16 } => vec![format!("1000{digit}")],
        Form::Integer { .. } | Form::Float { .. } => vec![format!("1202555{number:02}")],
        Form::Inet { cidr: false } => vec![format!("192.0.2.{number}")],
        Form::Inet { cidr: true } => vec![format!("192.0.{number}.0/24")],
        Form::Bytes => vec![format!("\\x{number:02}ff")],
        Form::Object => vec!["{\"a\": 1}".to_owned()],
        other => {
            let mut neutral = Vec::new();
            let made = redact::neutral(other, None, &mut neutral);
            let text = String::from_utf8(neutral).unwrap_or_default();
            vec![if made.is_ok() { text } else { "x".to_owned() }]
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::anonymize::testing::{key, rules, table};

    #[test]
    fn what_is_known_before_is_tried_and_what_follows_the_original_is_not() {
        let mut t = table(
            "t",
            &[
                ("a", "plan"),
                ("b", "text"),
                ("c", "text"),
                ("d", "text"),
                ("e", "date"),
                ("f", "integer"),
                ("g", "tsrange"),
            ],
        );
        t.primary_key = vec!["f".to_owned()];
        let rules = rules(
            "[postgres.\"public.t\"]\na = { use = \"choice\", values = [\"x\", \"y\"] }\n\
             b = \"email\"\nc = \"mask\"\nd = \"null\"\ne = \"date_shift\"\nf = \"redact\"\n\
             g = { use = \"constant\", value = \"empty\" }\n",
        );
        let plan = rules.postgres(&[t], false, &key()).unwrap();
        let samples = plan.samples(0).unwrap();
        let of = |name: &str| samples.iter().find(|sample| sample.column == name);
        let mut choices = of("a").unwrap().values.clone();
        choices.sort();
        assert_eq!(choices, [Some("x".to_owned()), Some("y".to_owned())]);
        assert_eq!(of("b").unwrap().values.len(), 3);
        assert!(of("c").is_none() && of("e").is_none());
        assert_eq!(of("d").unwrap().values, [None]);
        assert_eq!(of("f").unwrap().values, [Some("0".to_owned())]);
        assert_eq!(of("g").unwrap().values, [Some("empty".to_owned())]);
    }
}

//! Every refusal of a rule set in one run: a reader who mends one should not have to run again to
//! see the next.

use crate::error::{Error, Result};

/// The most problems that are told one by one.
const TOLD: usize = 100;

/// Collects what is wrong, in the order in which it was found.
#[derive(Debug, Default)]
pub(crate) struct Problems(Vec<Error>);

impl Problems {
    /// Takes the error, if there is one.
    pub(crate) fn note<T>(&mut self, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.0.push(error);
                None
            }
        }
    }

    /// Takes an error, to be told with the others.
    pub(crate) fn add(&mut self, error: Error) {
        self.0.push(error);
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The one error, or one that names all: each a cause, its hint behind it. The kind is that
    /// of the first.
    pub(crate) fn finish(mut self) -> Result<()> {
        if self.0.len() < 2 {
            return self.0.pop().map_or(Ok(()), Err);
        }
        let count = self.0.len();
        let kind = self.0.first().map_or(crate::error::Kind::Usage, Error::kind);
        let mut all = Error::new(kind, format!("the rules have {count} problems"));
        for error in self.0.iter().take(TOLD) {
            let hint = error.hint_text().map_or(String::new(), |hint| format!(" ({hint})"));
            all = all.because(format!("{error}{hint}"));
        }
        if count > TOLD {
            all = all.because(format!("and {} more", count - TOLD));
        }
        Err(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_problem_is_itself_and_many_are_told_together() {
        let told = |problems: &[&str]| {
            let mut all = Problems::default();
            for problem in problems {
                all.add(Error::usage(*problem).hint("mend it"));
            }
            all.finish().err().map(|error| error.to_string())
        };
        assert_eq!(told(&[]), None);
        assert_eq!(told(&["a"]).unwrap(), "a");
        assert_eq!(
            told(&["a", "b"]).unwrap(),
            "the rules have 2 problems: a (mend it): b (mend it)"
        );
        let many = told(&vec!["x"; TOLD + 3]).unwrap();
        assert!(many.ends_with("and 3 more"), "{many}");
    }
}

//! Transformers that write words: a recipe says which words and in what shape, and [`Made`] does
//! the rest, once for all of them.
//!
//! Called by the file of each such transformer, through [`definition`]. It touches nothing but the
//! bytes that it is asked to write.

use super::definition::{
    Arguments, Definition, Draws, Effect, Form, Length, Mismatch, Transformer, Uniqueness, Value,
    Wrote,
};
use super::support::{self, clip, is_text};
use crate::anonymize::forms::{number::push_digits, text};
use crate::anonymize::pseudonym::{Draw, SUFFIX_CHARS, suffix};

/// Which words a transformer writes, and in what shape:
/// head, words, gap, suffix, tail, of which only the words are ever cut.
pub(super) trait Recipe: Default + Send + Sync + 'static {
    /// Whether originals that differ in case and spaces alone are one.
    const FOLDS: bool = true;
    /// Where the suffix goes that keeps different originals apart.
    const SUFFIX: Suffix;
    /// What parts the words from the suffix, and never ends what was cut.
    const GAP: u8 = b' ';
    /// One of these goes before the words; ASCII, and all are equally long.
    const HEADS: &[&str] = &[];
    /// One of these goes behind all else; the same.
    const TAILS: &[&str] = &[];
    /// How many digits stand behind the words where no suffix does.
    const DIGITS: usize = 0;

    /// Reads the arguments that are the recipe's own; the error says what is wrong with them.
    fn read(_arguments: &Arguments<'_>) -> Result<Self, String> {
        Ok(Self::default())
    }

    /// The fewest characters that words make sense with.
    fn least(&self) -> usize {
        1
    }

    /// The most characters that [`words`](Self::words) writes.
    fn longest(&self) -> usize;

    /// Writes the words.
    fn words(&self, pen: &mut Pen<'_>);
}

/// Where the suffix goes that keeps different originals apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Suffix {
    /// There is none: a rule cannot ask for it.
    Never,
    /// Behind the words and a gap.
    Apart,
    /// Right behind the words.
    Joined,
    /// In place of the words.
    Instead,
}

/// Draws words and writes them.
pub(super) struct Pen<'a> {
    draw: Draw,
    out: &'a mut Vec<u8>,
}

impl Pen<'_> {
    /// Draws a number below `limit`.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.draw.below(limit)
    }

    /// Draws one of `words`.
    pub(super) fn pick<'w, W: AsRef<str>>(&mut self, words: &'w [W]) -> &'w str {
        self.draw.pick(words)
    }

    /// Writes a text.
    pub(super) fn put(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    /// Draws one of `words` and writes it.
    pub(super) fn word<W: AsRef<str>>(&mut self, words: &[W]) {
        let word = self.draw.pick(words);
        self.put(word);
    }

    /// Writes a number.
    pub(super) fn number(&mut self, number: u64) {
        push_digits(number, 1, self.out);
    }
}

/// A recipe at work in a place.
struct Made<R> {
    recipe: R,
    unique: bool,
    /// The most characters in all.
    limit: Option<usize>,
    /// The most characters of the words and the digits.
    room: Option<usize>,
}

/// What the definitions of all recipes have in common; name, summary and example are their own.
pub(super) const fn definition<R: Recipe>() -> Definition {
    let never = matches!(R::SUFFIX, Suffix::Never);
    Definition {
        name: "",
        aliases: &[],
        summary: "",
        preserves: if never {
            "null and empty"
        } else {
            "null and empty; uniqueness on request (16 characters are added)"
        },
        accepts: "text",
        parameters: &[support::MAX_LENGTH],
        example: "",
        effect: Effect::Leaf(build::<R>),
        keyed: true,
        draws: Draws::Original,
        unique: if never { Uniqueness::Never } else { Uniqueness::OnRequest },
    }
}

fn build<R: Recipe>(arguments: &Arguments<'_>) -> Result<Box<dyn Transformer>, String> {
    let (recipe, unique) = (R::read(arguments)?, arguments.unique);
    let ends = support::longest(R::HEADS) + support::longest(R::TAILS);
    let least = if unique { SUFFIX_CHARS } else { recipe.least() };
    let limit = arguments.limit(ends + least)?;
    let fixed = ends + if unique { SUFFIX_CHARS + gap::<R>() } else { 0 };
    let room = limit.map(|limit| limit.saturating_sub(fixed));
    Ok(Box::new(Made { recipe, unique, limit, room }))
}

/// How many characters part the words from the suffix.
const fn gap<R: Recipe>() -> usize {
    matches!(R::SUFFIX, Suffix::Apart) as usize
}

impl<R: Recipe> Made<R> {
    /// Writes the words, cut to the room that is left beside the rest.
    fn words(&self, pen: &mut Pen<'_>) {
        let start = pen.out.len();
        self.recipe.words(pen);
        if !self.unique {
            for _ in 0..R::DIGITS {
                let digit = b'0' + pen.below(10) as u8;
                pen.out.push(digit);
            }
        }
        clip(pen.out, start, self.room, R::GAP);
        if self.unique && R::SUFFIX == Suffix::Apart && pen.out.len() > start {
            pen.out.push(R::GAP);
        }
    }
}

impl<R: Recipe> Transformer for Made<R> {
    fn accepts(&self, form: Form) -> bool {
        is_text(form)
    }

    fn longest(&self) -> Length {
        let ends = support::longest(R::HEADS) + support::longest(R::TAILS);
        let middle = match (self.unique, R::SUFFIX) {
            (false, _) => self.recipe.longest() + R::DIGITS,
            (true, Suffix::Instead) => SUFFIX_CHARS,
            (true, _) => self.recipe.longest() + gap::<R>() + SUFFIX_CHARS,
        };
        Length::AtMost((ends + middle).min(self.limit.unwrap_or(usize::MAX)))
    }

    fn injective(&self) -> bool {
        self.unique
    }

    fn normalize<'a>(
        &self,
        text: &'a str,
        _form: Form,
        scratch: &'a mut String,
    ) -> Result<&'a str, Mismatch> {
        Ok(text::tidy(text, R::FOLDS, scratch))
    }

    fn write(&self, value: &Value<'_>, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        let mut pen = Pen { draw: Draw::new(value.digest), out };
        if !R::HEADS.is_empty() {
            pen.word(R::HEADS);
        }
        if !(self.unique && R::SUFFIX == Suffix::Instead) {
            self.words(&mut pen);
        }
        if self.unique {
            suffix(value.digest, pen.out);
        }
        if !R::TAILS.is_empty() {
            pen.word(R::TAILS);
        }
        Ok(Wrote::Same)
    }
}

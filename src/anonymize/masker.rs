//! A transformer at work at one place, with its key and its memory.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::forms::Form;
use super::forms::text::tidy;
use super::location::Location;
use super::pseudonym::{Digest, Domain, Key, Keyed};
use super::recent::{Recent, SLOTS};
use super::rules::{By, OnError, Spec};
use super::spelling;
use super::transformers::Draws;
use super::transformers::redact;
use super::transformers::{Length, Mismatch, Transformer, Value, Wrote};
use crate::error::Result;
use crate::pipeline::spellings::Folding;

/// The place that a rule is compiled for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Site<'a> {
    /// What no other place is called: pseudonyms without a link belong to it alone.
    pub(crate) place: &'a str,
    /// The most characters that it holds.
    pub(crate) room: Option<usize>,
}

/// What came of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A new value was written.
    Wrote(Wrote),
    /// The value becomes null, because a transformer could not handle it and the rule says so.
    Null,
}

/// Normalized values that a place holds in more than one spelling.
pub(crate) type Rivals = Arc<HashSet<Box<[u8]>>>;

/// A transformer with its key and its memory.
#[derive(Clone)]
pub(crate) struct Masker {
    transformer: Arc<dyn Transformer>,
    keyed: Option<Keyed>,
    on_error: OnError,
    room: Option<usize>,
    at: Location,
    scratch: String,
    recent: Recent,
    /// Whether a name under a final star tells its values apart.
    salts: bool,
    salt: Option<(Box<[u8]>, Keyed)>,
    /// Present where values are drawn per record.
    record: Option<Record>,
    rivals: Option<Rivals>,
}

/// What tells the record at hand apart.
#[derive(Clone)]
struct Record {
    by: Option<By>,
    /// Several values of one record are told apart by their number, unless all move alike.
    counts: bool,
    /// The record's own identity, and its values so far; empty until it is known.
    own: (Vec<u8>, u32),
    /// The same of what `by` names.
    named: (Vec<u8>, u32),
    /// Whether the field of `by` has a value.
    is_named: bool,
    /// Where the part of the document begins that `by` was last looked for in.
    unit: usize,
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Masker({})", self.at)
    }
}

impl Masker {
    /// Compiles a rule. A linked rule does not adapt to the room of its place: every place of
    /// the link must get the same value.
    pub(crate) fn new(spec: &Spec, key: &Key, site: Site<'_>) -> Result<Self> {
        let room = site.room;
        let linked = spec.link.is_some() || spec.by.as_ref().is_some_and(|by| by.link.is_some());
        let transformer = spec.build(if linked { None } else { room })?;
        let record = match spec.definition.draws {
            Draws::Original => None,
            Draws::Shift if spec.by.is_none() => None,
            draws => Some(Record {
                by: spec.by.clone(),
                counts: draws == Draws::Record,
                own: (Vec::new(), 0),
                named: (Vec::new(), 0),
                is_named: false,
                unit: usize::MAX,
            }),
        };
        Ok(Self {
            transformer: Arc::from(transformer),
            keyed: spec.definition.keyed.then(|| key.domain(&domain(spec, site.place))),
            on_error: spec.on_error,
            room,
            at: spec.at.clone(),
            scratch: String::new(),
            recent: Recent::default(),
            salts: spec.link.is_none() && record.is_none(),
            salt: None,
            record,
            rivals: None,
        })
    }

    /// The rule's place in its file.
    pub(crate) fn at(&self) -> &Location {
        &self.at
    }

    /// Whether it can replace a value of this form.
    pub(crate) fn accepts(&self, form: Form) -> bool {
        self.transformer.accepts(form)
    }

    /// The longest text it writes.
    pub(crate) fn longest(&self) -> Length {
        self.transformer.longest()
    }

    /// Whether different originals stay different.
    pub(crate) fn injective(&self) -> bool {
        self.transformer.injective()
    }

    /// Whether [`Masker::record`] or [`Masker::own_record`] must be called for each record.
    pub(crate) fn needs_record(&self) -> bool {
        self.record.is_some()
    }

    /// The field whose original value tells records apart, where the rule names one.
    pub(crate) fn by(&self) -> Option<&By> {
        self.record.as_ref()?.by.as_ref()
    }

    /// Begins a record that the value of `by` tells apart, as text: a whole number in decimal
    /// digits, a uuid or an ObjectId in lower-case hex, whatever the store.
    pub(crate) fn record(&mut self, by: &[u8]) {
        if let Some(record) = &mut self.record {
            begin(&mut record.named, b'=', common(by, &mut String::new()).as_bytes());
            record.is_named = true;
            record.unit = usize::MAX;
        }
    }

    /// Begins a record that is told apart by its own identity (primary key, `_id`, key and
    /// field): where the rule has no `by`, or where that field is null or missing.
    pub(crate) fn own_record(&mut self, identity: &[u8]) {
        if let Some(record) = &mut self.record {
            begin(&mut record.own, b'#', identity);
            record.is_named = false;
            record.unit = usize::MAX;
        }
    }

    /// Begins what `by` tells apart inside one record: the part of a document that begins at
    /// `unit`. Within one part the draws go on; without a value of `by` those of the record do.
    pub(crate) fn record_in(&mut self, by: Option<&[u8]>, unit: usize) {
        if self.record.as_ref().is_none_or(|record| record.unit == unit) {
            return;
        }
        if let Some(by) = by {
            self.record(by);
        }
        if let Some(record) = &mut self.record {
            record.is_named = by.is_some();
            record.unit = unit;
        }
    }

    /// Tells values apart that stand under different names at one star of a path. Linked places
    /// and those that draw per record are not concerned.
    pub(crate) fn salt(&mut self, name: &[u8]) {
        let (true, Some(keyed)) = (self.salts, &self.keyed) else { return };
        if self.salt.as_ref().is_none_or(|(known, _)| **known != *name) {
            self.salt = Some((name.into(), keyed.below(name)));
        }
    }

    /// Which normalized values stand at the place in more than one spelling: their pseudonyms
    /// are spelled apart too.
    pub(crate) fn set_rivals(&mut self, rivals: Rivals) {
        self.rivals = (!rivals.is_empty()).then_some(rivals);
        self.recent = Recent::default();
    }

    /// What tells its domain apart from every other; equal where pseudonyms are shared.
    pub(crate) fn domain(&self) -> Option<[u32; 8]> {
        self.keyed.as_ref().map(Keyed::identity)
    }

    /// What makes no difference between originals; nothing where each is a value of its own. Found
    /// out by what its transformer makes of spellings.
    pub(crate) fn folding(&self) -> Option<Folding> {
        let mut masker = self.clone();
        let mut stays = |text: &str| masker.normalized(text).is_ok_and(|same| same == text);
        let (case, rest) = (!stays("A"), !stays(" e\u{301} "));
        let punctuation = self.transformer.ignores_punctuation();
        (case || rest || punctuation).then_some(Folding { case, punctuation })
    }

    /// What of a text counts for being equal.
    pub(crate) fn normalized<'a>(&'a mut self, text: &'a str) -> Result<&'a str, Mismatch> {
        self.scratch.clear();
        self.transformer.normalize(text, Form::Text, &mut self.scratch)
    }

    /// Writes the new value of `original` behind what `out` holds; an empty one stays empty.
    pub(crate) fn apply(
        &mut self,
        original: &[u8],
        form: Form,
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Mismatch> {
        if original.is_empty() {
            return Ok(Outcome::Wrote(Wrote::Same));
        }
        let start = out.len();
        let mismatch = match self.write(original, form, out) {
            Ok(wrote) => return Ok(Outcome::Wrote(wrote)),
            Err(mismatch) => mismatch,
        };
        out.truncate(start);
        match self.on_error {
            OnError::Fail => Err(mismatch),
            OnError::Null => Ok(Outcome::Null),
            OnError::Redact => redact::instead(original, form, self.room, out).map(Outcome::Wrote),
        }
    }

    /// The pseudonym of a text in a spelling of its own: for an original whose pseudonym is
    /// taken by one that differs from it in case, spaces or normal form alone. An original that
    /// is spelled as its normal form keeps the pseudonym itself.
    pub(crate) fn variant(
        &mut self,
        original: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Outcome, Mismatch> {
        let start = out.len();
        let text = as_text(original)?;
        let Some(keyed) = self.salt.as_ref().map(|(_, keyed)| keyed).or(self.keyed.as_ref()) else {
            return Err(Mismatch("its rule gives one value to all"));
        };
        self.scratch.clear();
        let normalized = self.transformer.normalize(text, Form::Text, &mut self.scratch)?;
        let digest = keyed.digest(normalized.as_bytes());
        let value = Value { text, form: Form::Text, digest: &digest };
        let wrote = self.transformer.write(&value, out)?;
        if normalized != text {
            let fits = self.room;
            spelling::respell(text, normalized, keyed, fits, start, out)?;
        }
        Ok(Outcome::Wrote(wrote))
    }

    fn write(&mut self, original: &[u8], form: Form, out: &mut Vec<u8>) -> Result<Wrote, Mismatch> {
        if !self.transformer.accepts(form) && !self.transformer.retypes() {
            return Err(Mismatch("it is of a type that the transformer does not take"));
        }
        let Some(keyed) = &self.keyed else {
            let text = as_text(original)?;
            return self.transformer.write(&Value { text, form, digest: &[0; 32] }, out);
        };
        if let Some(record) = &mut self.record {
            let digest = record.draw(keyed)?;
            let value = Value { text: as_text(original)?, form, digest: &digest };
            return self.transformer.write_drawn(&value, out);
        }
        let keyed = self.salt.as_ref().map_or(keyed, |(_, keyed)| keyed);
        let remembers = self.salt.is_none() && self.recent.wants(original);
        let index = if remembers { xxh3_64(original) as usize % SLOTS } else { 0 };
        if remembers && let Some(slot) = self.recent.find(index, original, form) {
            out.extend_from_slice(&slot.pseudonym);
            return Ok(slot.wrote);
        }
        let text = as_text(original)?;
        self.scratch.clear();
        let normalized = self.transformer.normalize(text, form, &mut self.scratch)?;
        let digest: Digest = keyed.digest(normalized.as_bytes());
        let start = out.len();
        let wrote = self.transformer.write(&Value { text, form, digest: &digest }, out)?;
        if let Some(rivals) = &self.rivals
            && form == Form::Text
            && normalized != text
            && rivals.contains(normalized.as_bytes())
        {
            spelling::respell(text, normalized, keyed, self.room, start, out)?;
        }
        if remembers {
            self.recent.keep(index, original, form, wrote, &out[start..]);
        }
        Ok(wrote)
    }
}

impl Record {
    /// The bits of the next value of the record.
    fn draw(&mut self, keyed: &Keyed) -> Result<Digest, Mismatch> {
        let (text, drawn) = if self.is_named { &mut self.named } else { &mut self.own };
        if text.is_empty() {
            return Err(Mismatch("nothing tells its record apart"));
        }
        let length = text.len();
        text.extend_from_slice(&drawn.to_be_bytes());
        let digest = keyed.digest(text);
        text.truncate(length);
        *drawn += u32::from(self.counts);
        Ok(digest)
    }
}

/// The spelling that all stores have in common: one person stays one, whether the number comes as
/// `7` or as `7.00` and the address in capitals or not. That two share their draws tells nothing.
fn common<'a>(by: &'a [u8], scratch: &'a mut String) -> std::borrow::Cow<'a, str> {
    let Ok(text) = std::str::from_utf8(by) else { return String::from_utf8_lossy(by) };
    let text = tidy(text, true, scratch);
    let whole = text.split_once('.').filter(|(whole, fraction)| {
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        !digits.is_empty()
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && fraction.bytes().all(|byte| byte == b'0')
    });
    whole.map_or(text, |(whole, _)| whole).into()
}

fn begin((known, drawn): &mut (Vec<u8>, u32), tag: u8, text: &[u8]) {
    *drawn = 0;
    known.clear();
    known.push(tag);
    known.extend_from_slice(text);
}

/// Which values share their pseudonyms, or their draws, with those of this place.
fn domain(spec: &Spec, place: &str) -> Domain {
    let name = spec.definition.name;
    match (&spec.link, &spec.by) {
        (Some(link), _) => Domain::Link(link.clone()),
        (None, Some(By { link: Some(link), .. })) => Domain::By(format!("link\0{name}\0{link}")),
        (None, Some(By { field, link: None })) => {
            // The table, collection or key pattern: `store|name|…`.
            let end = place.match_indices('|').nth(1).map_or(place.len(), |(at, _)| at);
            let owner = place.get(..end).unwrap_or(place);
            let literals = &spec.literals;
            Domain::By(format!("field\0{name}\0{literals:?}\0{owner}\0{field}"))
        }
        (None, None) => Domain::Place(place.to_owned()),
    }
}

fn as_text(bytes: &[u8]) -> Result<&str, Mismatch> {
    std::str::from_utf8(bytes).map_err(|_| Mismatch("it is not valid UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::common;

    #[test]
    fn what_tells_persons_apart_is_spelled_alike_in_all_stores() {
        for (one, other) in [
            ("7", "7.00"),
            ("-7", "-7.0"),
            ("Ann@Corp.example ", "ann@corp.example"),
            ("7F3A9C00-0000", "7f3a9c00-0000"),
        ] {
            let spelled = |text: &str| common(text.as_bytes(), &mut String::new()).into_owned();
            assert_eq!(spelled(one), spelled(other));
        }
        for (one, other) in [("7", "70"), ("7.5", "7"), ("a.0", "a"), ("10", "1.0")] {
            let spelled = |text: &str| common(text.as_bytes(), &mut String::new()).into_owned();
            assert_ne!(spelled(one), spelled(other));
        }
        assert_ne!(common(&[0xff], &mut String::new()), "");
    }
}

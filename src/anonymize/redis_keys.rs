//! The transform of a Redis index: key by key, element by element, name by name.

use super::action::{Action, Masker, Outcome};
use super::forms::Form;
use super::pattern::bare_shape;
use super::problem::Problem;
use super::redis_masks::{begin_record, mask, masked_score, own_record, respell};
use super::redis_plan::{Body, Field, Name, Section, Type, find, kind_word, told, type_index};
use super::transformers::Mismatch;
use crate::error::{Error, Result};
use crate::pipeline::transform::{ElementVerdict, KeyKind, KeyTransform, KeyVerdict, Part};
use crate::policy::Permit;

pub(super) struct RedisTransform {
    sections: Vec<Section>,
    keep_functions: bool,
    /// The section and type of the current key, where its elements are looked at.
    current: Option<(usize, usize)>,
    /// The section of the current key.
    section: Option<usize>,
    /// The field rule that decided about the last element.
    last: usize,
    spans: Vec<(usize, usize)>,
    /// What tells the elements of the current key apart, for values that are drawn per record.
    record: Vec<u8>,
    /// How much of it is the key's own.
    of_key: usize,
    entry: [u8; 16],
    position: u64,
    permit: Permit,
}

impl RedisTransform {
    pub(super) fn new(sections: Vec<Section>, keep_functions: bool, permit: Permit) -> Self {
        Self {
            sections,
            keep_functions,
            current: None,
            section: None,
            last: 0,
            spans: Vec::new(),
            record: Vec::new(),
            of_key: 0,
            entry: [0; 16],
            position: 0,
            permit,
        }
    }

    /// Writes the key with the parts that links and stars stand for replaced, each on its own; in
    /// the spelling number `attempt` where one is asked for.
    fn rename(
        &mut self,
        index: usize,
        key: &[u8],
        attempt: Option<u8>,
        name: &mut Vec<u8>,
    ) -> Result<()> {
        let Some(section) = self.sections.get_mut(index) else { return Err(lost()) };
        if section.wild.iter().all(|wild| matches!(wild, Some(Name::Keep))) {
            name.extend_from_slice(key);
            return Ok(());
        }
        self.spans.clear();
        let spans = &mut self.spans;
        section.pattern.find(key, |_, span| spans.push(span));
        let (mut copied, mut wrong) = (0, None);
        for (&(start, end), wild) in spans.iter().zip(&mut section.wild) {
            name.extend_from_slice(&key[copied..start]);
            copied = end;
            let part = &key[start..end];
            let done = match (wild, attempt) {
                (Some(Name::Keep), _) => {
                    name.extend_from_slice(part);
                    Ok(())
                }
                (Some(Name::Mask(masker)), None) => mask(masker, part, name),
                (Some(Name::Mask(masker)), Some(attempt)) => respell(masker, part, attempt, name),
                (None, _) => Err(Mismatch("nobody has decided about it")),
            };
            wrong = wrong.or(done.err());
        }
        name.extend_from_slice(&key[copied..]);
        let Some(Mismatch(reason)) = wrong else { return Ok(()) };
        let at = Some(section.at.clone());
        let place = format!("the name of redis key `{}`", told(&self.sections, key));
        Err(Problem::Mismatch { path: String::new(), at, reason }
            .into_error(&place, |_| String::new()))
    }

    fn of_type(&mut self) -> Option<&mut Type> {
        let (index, of_type) = self.current?;
        match &mut self.sections.get_mut(index)?.body {
            Body::Types(types) => types.get_mut(of_type),
            Body::Keep | Body::Drop => None,
        }
    }

    /// Begins what tells the elements of a key apart, where values of its kind are drawn so.
    fn begin_records(&mut self, key: &[u8]) {
        (self.position, self.entry) = (0, [0; 16]);
        self.record.clear();
        let Some(of_type) = self.of_type() else { return };
        of_type.by.iter_mut().for_each(|(_, value)| *value = None);
        let scored = of_type.score.as_ref().is_some_and(Masker::needs_record);
        if scored || of_type.fields.iter().any(|field| field.draws) {
            self.record.extend_from_slice(&(key.len() as u64).to_le_bytes());
            self.record.extend_from_slice(key);
        }
        self.of_key = self.record.len();
    }

    /// Why an element has no rule.
    fn without_rule(&self, field: &[u8]) -> Error {
        let place = self.place();
        let error =
            Error::findings(format!("no rule covers field `{}` of {place}", bare_shape(field)));
        match self.section.and_then(|index| self.sections.get(index)) {
            Some(section) => error.hint(format!("add it at {}, or a rule for \"*\"", section.at)),
            None => error,
        }
    }

    fn undecided_groups(&self) -> Error {
        let place = self.place();
        let error = Error::findings(format!("no rule covers the names of the groups of {place}"));
        match self.section.and_then(|index| self.sections.get(index)) {
            Some(section) => error.hint(format!(
                "say names = \"hash\" or names = \"keep\" in the section at {}",
                section.at
            )),
            None => error,
        }
    }

    /// What a name inside the current key becomes.
    fn name_of(&mut self, part: Part) -> Result<&mut Name> {
        let last = self.last;
        if part != Part::Field && self.of_type().is_some_and(|of_type| of_type.groups.is_none()) {
            return Err(self.undecided_groups());
        }
        let of_type = self.of_type().ok_or_else(lost)?;
        let name = match part {
            Part::Field => of_type.fields.get_mut(last).map(|field| &mut field.names),
            _ => of_type.groups.as_mut(),
        };
        name.ok_or_else(lost)
    }

    fn name_error(&self, part: Part, reason: &'static str) -> Error {
        let what = match part {
            Part::Group => "a group",
            Part::Consumer => "a consumer",
            _ => "a field",
        };
        let place = format!("the name of {what} of {}", self.place());
        Problem::Mismatch { path: String::new(), at: None, reason }
            .into_error(&place, |_| String::new())
    }

    fn element_error(&self, problem: Problem) -> Error {
        let at = self.current.and_then(|(index, of_type)| {
            let Body::Types(types) = &self.sections.get(index)?.body else { return None };
            Some(types.get(of_type)?.fields.get(self.last)?.at.to_string())
        });
        problem.into_error(&self.place(), |path| {
            format!("add \"{path}\" to the json rule at {}", at.unwrap_or_default())
        })
    }
}

impl KeyTransform for RedisTransform {
    fn key(&mut self, key: &[u8], kind: KeyKind, name: &mut Vec<u8>) -> Result<KeyVerdict> {
        (self.current, self.section, self.last) = (None, None, 0);
        let Some(index) = find(&self.sections, key) else {
            return Err(uncovered(&self.sections, key, kind, None));
        };
        self.section = Some(index);
        let section = &self.sections[index];
        let of_type = match &section.body {
            Body::Drop => return Ok(KeyVerdict::Drop),
            Body::Keep => {
                self.rename(index, key, None, name)?;
                return Ok(KeyVerdict::Keep);
            }
            Body::Types(_) => type_index(section, kind),
        };
        let Some(of_type) = of_type else {
            return Err(uncovered(&self.sections, key, kind, Some(section)));
        };
        self.rename(index, key, None, name)?;
        self.current = Some((index, of_type));
        if self.of_type().is_some_and(|of_type| of_type.kept) {
            return Ok(KeyVerdict::Keep);
        }
        self.begin_records(key);
        Ok(KeyVerdict::Rewrite)
    }

    fn element(
        &mut self,
        field: Option<&[u8]>,
        value: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<ElementVerdict> {
        let Some((index, of_type)) = self.current else {
            return Err(Error::failed("an element of a redis key came without its key"));
        };
        let Some(Body::Types(types)) = self.sections.get_mut(index).map(|found| &mut found.body)
        else {
            return Err(lost());
        };
        let Some(Type { fields, by, .. }) = types.get_mut(of_type) else { return Err(lost()) };
        let named = field.unwrap_or_default();
        let Some(last) = fields.iter().position(|rule| rule.pattern.matches(named)) else {
            return Err(self.without_rule(named));
        };
        self.last = last;
        self.position += 1;
        let found = &mut fields[last];
        if found.draws {
            let own = (self.of_key, self.entry, self.position);
            own_record(&mut self.record, own, field);
            begin_record(found, by, &self.record);
        }
        let problem = match &mut found.action {
            Action::Keep => return Ok(ElementVerdict::Keep),
            Action::Drop => return Ok(ElementVerdict::Drop),
            _ if value.is_empty() => return Ok(ElementVerdict::Keep),
            Action::Leaf(masker) | Action::Whole(masker) => {
                match masker.apply(value, Form::Text, out) {
                    Ok(Outcome::Wrote(_)) => return Ok(ElementVerdict::Write),
                    Ok(Outcome::Null) => mismatch(found, "Redis has no null"),
                    Err(Mismatch(reason)) => mismatch(found, reason),
                }
            }
            Action::Json(rewriter) => match rewriter.rewrite(value, out) {
                Ok(()) => return Ok(ElementVerdict::Write),
                Err(problem) => problem,
            },
            Action::Null | Action::Each(_) | Action::Undecided => {
                Problem::Broken("the rule does not fit Redis")
            }
        };
        Err(self.element_error(problem))
    }

    fn name(&mut self, part: Part, original: &[u8], out: &mut Vec<u8>) -> Result<ElementVerdict> {
        let done = match self.name_of(part)? {
            Name::Keep => return Ok(ElementVerdict::Keep),
            Name::Mask(_) if original.is_empty() => return Ok(ElementVerdict::Keep),
            Name::Mask(masker) => mask(masker, original, out),
        };
        done.map_err(|Mismatch(reason)| self.name_error(part, reason))?;
        Ok(ElementVerdict::Write)
    }

    fn score(&mut self, member: &[u8], score: f64) -> Result<f64> {
        let own = (self.of_key, self.entry, self.position);
        let Some((index, of_type)) = self.current else { return Err(lost()) };
        let types = match self.sections.get_mut(index).map(|section| &mut section.body) {
            Some(Body::Types(types)) => types,
            _ => return Err(lost()),
        };
        let masker = types.get_mut(of_type).and_then(|of_type| of_type.score.as_mut());
        let Some(masker) = masker else { return Ok(score) };
        if score.is_infinite() {
            return Ok(score);
        }
        if masker.needs_record() {
            own_record(&mut self.record, own, Some(member));
            masker.own_record(&self.record);
        }
        let at = Some(masker.at().clone());
        masked_score(masker, score).map_err(|Mismatch(reason)| {
            let path = String::new();
            let problem = Problem::Mismatch { path, at, reason };
            let place = format!("the scores of {}", self.place());
            problem.into_error(&place, |_| String::new())
        })
    }

    fn variant(
        &mut self,
        part: Part,
        original: &[u8],
        attempt: u8,
        out: &mut Vec<u8>,
    ) -> Result<bool> {
        if let (Part::Key, Some(index)) = (part, self.section) {
            return Ok(self.rename(index, original, Some(attempt), out).is_ok());
        }
        let last = self.last;
        let masker = match part {
            Part::Element => match self.of_type().and_then(|of| of.fields.get_mut(last)) {
                Some(Field { action: Action::Leaf(masker) | Action::Whole(masker), .. }) => masker,
                _ => return Ok(false),
            },
            _ => match self.name_of(part)? {
                Name::Keep => return Ok(false),
                Name::Mask(masker) => masker,
            },
        };
        Ok(respell(masker, original, attempt, out).is_ok())
    }

    fn looks_ahead(&self) -> bool {
        let Some((index, of_type)) = self.current else { return false };
        match self.sections.get(index).map(|section| &section.body) {
            Some(Body::Types(types)) => types.get(of_type).is_some_and(|of| !of.by.is_empty()),
            _ => false,
        }
    }

    fn ahead(&mut self, field: &[u8], value: &[u8]) {
        let Some(of_type) = self.of_type() else { return };
        for (name, known) in &mut of_type.by {
            if name.as_bytes() == field {
                *known = Some(value.to_vec());
            }
        }
    }

    fn entry(&mut self, id: [u8; 16]) {
        self.entry = id;
        if let Some(of_type) = self.of_type() {
            of_type.by.iter_mut().for_each(|(_, value)| *value = None);
        }
    }

    fn keeps_functions(&self) -> bool {
        self.keep_functions
    }

    fn place(&self) -> String {
        let Some(section) = self.section.and_then(|index| self.sections.get(index)) else {
            return "the index".to_owned();
        };
        let kind = match (&section.body, self.current) {
            (Body::Types(types), Some((_, of_type))) => types.get(of_type).map(|of| of.kind),
            _ => None,
        };
        let kind = kind.map_or("key", kind_word);
        format!("a {kind} under `{}`", section.header)
    }

    fn may_drop_elements(&self) -> bool {
        let Some((index, of_type)) = self.current else { return false };
        match self.sections.get(index).map(|section| &section.body) {
            Some(Body::Types(types)) => types.get(of_type).is_some_and(|of_type| {
                of_type.fields.iter().any(|field| matches!(field.action, Action::Drop))
            }),
            _ => false,
        }
    }

    fn permit(&self) -> &Permit {
        &self.permit
    }
}

fn lost() -> Error {
    Error::failed("the rules of the current redis key are gone")
}

fn mismatch(field: &Field, reason: &'static str) -> Problem {
    Problem::Mismatch { path: String::new(), at: Some(field.at.clone()), reason }
}

fn uncovered(sections: &[Section], key: &[u8], kind: KeyKind, section: Option<&Section>) -> Error {
    let (shape, kind) = (told(sections, key), kind_word(kind));
    let error = Error::findings(format!("no rule covers redis key `{shape}` of type {kind}"));
    match section {
        Some(section) => error.hint(format!(
            "the section `{}` at {} says nothing of a {kind}",
            section.header, section.at
        )),
        None => error.hint("decide: [redis.\"PATTERN\"] action = \"drop\", or rules by type"),
    }
}

//! Rules for the keys of a Redis index: what they say, compiled, and what they leave open.
//!
//! The section with the most specific pattern decides about a key alone. Inside a hash or an entry
//! of a stream a field that is spelled out comes first, then masks, then keeps, and `"*"` last.
//! Names are data too: the text under a `*` of the key, a field under a pattern, the groups and
//! consumers of a stream, and so is the score of a sorted set; see [`super::redis_names`].
//!
//! The ids of a stream's entries are times and stay, as do the times at which groups delivered.

use super::action::{Action, Masker};
use super::coverage::{Coverage, Entry, Verdict};
use super::forms::Form;
use super::location::Location;
use super::masker::Site;
use super::pattern::{Pattern, Piece};
use super::problems::Problems;
use super::pseudonym::Key;
use super::redis_keys::RedisTransform;
use super::redis_names::{self, Decision};
use super::redis_plan::{Body, Field, Name, RedisPlan, Section, Type};
use super::redis_plan::{FUNCTIONS, kind_word};
use super::redis_sample::KeyObserver;
use super::rules::{NameRule, RedisBody, RedisSection, RuleSet, Spec, TypeRules};
use crate::error::{Error, Result};
use crate::pipeline::transform::{KeyKind, KeyTransform};
use crate::policy::Applied;
use crate::policy::Permit;
use crate::terms::StoreKind;

impl RuleSet {
    /// Compiles the rules for Redis. Which keys there are is known only when they are read.
    pub fn redis(&self, key: &Key) -> Result<RedisPlan> {
        let mut compiler = Compiler {
            rules: self,
            key,
            coverage: Coverage::default(),
            problems: Problems::default(),
        };
        let compiled: Vec<Section> =
            self.redis.iter().map(|section| compiler.section(section)).collect();
        let sections = compiler.sorted(compiled, "key", |section| Rank {
            class: 0,
            pattern: &section.pattern,
            at: &section.at,
        });
        if let Some(at) = &self.keep_functions {
            let told = (Verdict::Kept, "keep".to_owned(), Some(at.clone()));
            compiler.tell(FUNCTIONS, "", told);
        }
        compiler.problems.finish()?;
        let keep_functions = self.keep_functions.is_some();
        Ok(RedisPlan { sections, coverage: compiler.coverage, keep_functions })
    }
}

/// Goes through the rules, and notes what they decide and what is wrong with them.
struct Compiler<'a> {
    rules: &'a RuleSet,
    key: &'a Key,
    coverage: Coverage,
    problems: Problems,
}

impl Compiler<'_> {
    fn tell(&mut self, place: &str, item: &str, told: (Verdict, String, Option<Location>)) {
        let (verdict, rule, at) = told;
        self.coverage.entries.push(Entry {
            store: StoreKind::Redis,
            place: place.to_owned(),
            item: item.to_owned(),
            verdict,
            rule: Some(rule),
            at,
            starred: verdict == Verdict::Kept
                && (place.contains('*') || (item != "*" && item.contains('*'))),
        });
    }

    fn section(&mut self, section: &RedisSection) -> Section {
        let header = section.header.as_str();
        let at = Some(section.at.clone());
        let stars = self.named(header, "names", redis_names::of_key(section), &section.at);
        let body = match &section.body {
            RedisBody::Keep => {
                self.tell(header, "*", (Verdict::Kept, "keep".to_owned(), at));
                Body::Keep
            }
            RedisBody::Drop => {
                self.tell(header, "*", (Verdict::Masked, "drop".to_owned(), at));
                Body::Drop
            }
            RedisBody::Types(types) => {
                Body::Types(types.iter().map(|rules| self.of_type(section, rules)).collect())
            }
        };
        let mut wild = Vec::new();
        for piece in section.pattern.pieces() {
            match piece {
                Piece::Literal(_) => {}
                Piece::Any => wild.push(stars.clone()),
                Piece::Link(link) => wild.push(self.link(link, section)),
            }
        }
        let (header, pattern) = (section.header.clone(), section.pattern.clone());
        Section { header, pattern, at: section.at.clone(), wild, body }
    }

    /// The masker of a link in a key.
    fn link(&mut self, link: &str, section: &RedisSection) -> Option<Name> {
        let spec = self.rules.links.get(link)?;
        let spec = Spec { at: section.at.clone(), ..spec.clone() };
        let made = Masker::new(&spec, self.key, Site { place: &section.header, room: None });
        self.problems.note(made).map(|masker| Name::Mask(Box::new(masker)))
    }

    /// What a decision about names comes to; `None` where nobody has decided.
    fn named(
        &mut self,
        header: &str,
        item: &str,
        decision: Decision,
        at: &Location,
    ) -> Option<Name> {
        let spec = match decision {
            Decision::SpelledOut => return Some(Name::Keep),
            Decision::Keep(at) => {
                self.tell(header, item, (Verdict::Kept, "keep".to_owned(), Some(at)));
                return Some(Name::Keep);
            }
            Decision::Undecided => {
                let told = (Verdict::Uncovered, "no `names`".to_owned(), Some(at.clone()));
                self.tell(header, item, told);
                return None;
            }
            Decision::Use(spec) => spec,
        };
        self.tell(header, item, (Verdict::Masked, spec.to_string(), Some(spec.at.clone())));
        let place = place(header, &format!("{item}|names"));
        let made = Masker::new(&spec, self.key, Site { place: &place, room: None });
        self.problems.note(made).map(|masker| Name::Mask(Box::new(masker)))
    }

    fn of_type(&mut self, section: &RedisSection, rules: &TypeRules) -> Type {
        let (header, kind) = (section.header.as_str(), rules.kind);
        let mut fields = Vec::with_capacity(rules.fields.len());
        for rule in &rules.fields {
            fields.extend(self.field(header, kind, rule));
        }
        let fields = self.sorted(fields, "field", |field| Rank {
            class: class(field),
            pattern: &field.pattern,
            at: &field.at,
        });
        let score = self.score(header, rules);
        let groups = match kind {
            KeyKind::Stream => redis_names::of_groups(section, rules),
            _ => Some(Decision::SpelledOut),
        };
        let groups =
            groups.and_then(|decision| self.named(header, "stream (groups)", decision, &rules.at));
        let every = |rule: &NameRule| !has_fields(kind) || Pattern::name(&rule.name).is_any();
        let kept = rules.fields.iter().any(every)
            && rules.fields.iter().all(redis_names::keeps)
            && score.is_none()
            && matches!(groups, Some(Name::Keep));
        let mut by: Vec<(String, Option<Vec<u8>>)> = Vec::new();
        for field in fields.iter().flat_map(|field| &field.by) {
            if by.iter().all(|(known, _)| known != field) {
                by.push((field.clone(), None));
            }
        }
        Type { kind, fields, score, groups, kept, by }
    }

    /// A rule for values; `None` where it decides nothing or cannot work, which has been noted.
    fn field(&mut self, header: &str, kind: KeyKind, rule: &NameRule) -> Option<Field> {
        let item = format!("{} {}", kind_word(kind), rule.name);
        let item = item.trim_end();
        let verdict = match &rule.rule {
            rule if rule.is_undecided() => Verdict::Uncovered,
            rule if rule.keeps() => Verdict::Kept,
            _ => Verdict::Masked,
        };
        self.tell(header, item, (verdict, rule.rule.to_string(), Some(rule.at.clone())));
        let names = match kind {
            _ if has_fields(kind) => redis_names::of_field(rule),
            _ => Decision::SpelledOut,
        };
        let names = self.named(header, &format!("{item} (names)"), names, &rule.at);
        if verdict == Verdict::Uncovered {
            return None;
        }
        let place = place(header, &format!("{}|{}", kind_word(kind), rule.name));
        let site = Site { place: &place, room: None };
        let compiled = Action::compile(&rule.rule, self.key, site);
        let mut action = self.problems.note(compiled)?;
        let (mut draws, mut by) = (false, Vec::new());
        action.each_masker(&mut |masker| {
            draws |= masker.needs_record();
            // What begins with `$` is a path of the JSON value itself.
            let outer = masker.by().filter(|said| !said.field.starts_with('$'));
            by.extend(outer.map(|said| said.field.clone()));
        });
        if !by.is_empty() && !has_fields(kind) {
            self.problems.add(without_fields(&rule.at));
        }
        let fits = fits(kind, rule, &action);
        self.problems.note(fits)?;
        let pattern = Pattern::name(&rule.name);
        Some(Field { pattern, at: rule.at.clone(), action, names: names?, draws, by })
    }

    /// What happens to the scores of a sorted set: nothing where `None`.
    fn score(&mut self, header: &str, rules: &TypeRules) -> Option<Masker> {
        if rules.kind != KeyKind::SortedSet {
            return None;
        }
        let item = "zset (score)";
        let spec = match redis_names::of_score(rules) {
            Decision::SpelledOut => return None,
            Decision::Keep(at) => {
                self.tell(header, item, (Verdict::Kept, "keep".to_owned(), Some(at)));
                return None;
            }
            Decision::Undecided => {
                let told = (Verdict::Uncovered, "no `score`".to_owned(), Some(rules.at.clone()));
                self.tell(header, item, told);
                return None;
            }
            Decision::Use(spec) => spec,
        };
        self.tell(header, item, (Verdict::Masked, spec.to_string(), Some(spec.at.clone())));
        let place = place(header, "zset|score");
        let made = Masker::new(&spec, self.key, Site { place: &place, room: None });
        let masker = self.problems.note(made)?;
        let name = spec.definition.name;
        if !masker.accepts(Form::Float { single: false }) {
            self.problems.add(
                Error::usage(format!("{}: `{name}` makes no score: scores are numbers", spec.at))
                    .hint("keep, number_noise, constant with a number and redact (which is 0) do"),
            );
        }
        if masker.by().is_some() {
            self.problems.add(without_fields(&spec.at));
        }
        Some(masker)
    }

    /// Sorts what has a pattern, the most specific first, and refuses two that are equally
    /// specific and can match the same name.
    fn sorted<T>(
        &mut self,
        mut items: Vec<T>,
        what: &str,
        rank: impl for<'t> Fn(&'t T) -> Rank<'t>,
    ) -> Vec<T> {
        items.sort_by_key(|item| {
            let of = rank(item);
            (of.class, std::cmp::Reverse(of.pattern.rank()))
        });
        for (index, item) in items.iter().enumerate() {
            let first = rank(item);
            for other in &items[index + 1..] {
                let second = rank(other);
                if first.class == second.class
                    && first.pattern.rank() == second.pattern.rank()
                    && first.pattern.overlaps(second.pattern)
                {
                    let (a, b) = (first.at.min(second.at), first.at.max(second.at));
                    self.problems.add(Error::usage(format!(
                        "the rules at {a} and {b} are equally specific and can match the same {what}"
                    )));
                }
            }
        }
        items
    }
}

/// What decides which of two rules comes first.
struct Rank<'a> {
    class: u8,
    pattern: &'a Pattern,
    at: &'a Location,
}

/// A field that is spelled out, then masks, then keeps, then what is said of every field.
fn class(field: &Field) -> u8 {
    match &field.action {
        _ if field.pattern.is_exact() => 0,
        _ if field.pattern.is_any() => 3,
        Action::Keep => 2,
        _ => 1,
    }
}

/// What a place of a section is called among all places: `redis|header|…`.
fn place(header: &str, item: &str) -> String {
    format!("redis|{}|{item}", header.replace('|', "\0"))
}

/// Members must stay different.
fn fits(kind: KeyKind, rule: &NameRule, action: &Action) -> Result<()> {
    let members = matches!(kind, KeyKind::Set | KeyKind::SortedSet);
    let distinct = match action {
        Action::Keep | Action::Drop => true,
        Action::Json(_) => rule.rule.keeps(),
        action => action.masker().is_some_and(Masker::injective),
    };
    if members && !distinct {
        return Err(Error::usage(format!(
            "{}: `{}` may make two members of a {} equal",
            rule.at,
            rule.rule,
            kind_word(kind)
        ))
        .hint("say unique = true where the transformer can, or drop the key"));
    }
    Ok(())
}

fn has_fields(kind: KeyKind) -> bool {
    matches!(kind, KeyKind::Hash | KeyKind::Stream)
}

fn without_fields(at: &Location) -> Error {
    Error::usage(format!("{at}: `by` names another field, and only hashes and streams have fields"))
}

impl RedisPlan {
    /// What the rules say, by key pattern, type and field.
    pub fn coverage(&self) -> Coverage {
        self.coverage.clone()
    }

    /// A transform for all keys; it fails with
    /// [`Kind::Findings`](crate::error::Kind::Findings) at the first key, type or field without a
    /// rule. Fails likewise if the rules themselves leave something open.
    pub fn transform(&self) -> Result<Box<dyn KeyTransform>> {
        self.coverage.require_complete()?;
        let permit = Permit::ruled(&Applied::by_the_rules());
        Ok(Box::new(RedisTransform::new(self.sections.clone(), self.keep_functions, permit)))
    }

    /// Collects sampled keys for `rules check`.
    pub fn observer(&self) -> KeyObserver<'_> {
        KeyObserver::new(self)
    }

    /// Whether functions are carried.
    pub fn keeps_functions(&self) -> bool {
        self.keep_functions
    }
}

#[cfg(test)]
#[path = "redis_tests.rs"]
mod tests;

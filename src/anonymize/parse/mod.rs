//! TOML into rules; every complaint names file and line.

mod rule;
mod sections;
mod spec;

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::location::Location;
use super::pattern::suggest;
use super::problems::Problems;
use super::rules::{MongoSection, PostgresSection, RedisBody, RedisSection};
use crate::error::{Error, Result};

/// The rules of one file.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) postgres: Vec<PostgresSection>,
    pub(crate) mongodb: Vec<MongoSection>,
    pub(crate) redis: Vec<RedisSection>,
    /// Where `[redis.":functions"] action = "keep"` stands.
    pub(crate) keep_functions: Option<Location>,
}

/// The header of the section for Redis functions.
const FUNCTIONS: &str = ":functions";

/// Which rules a place allows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Column,
    Path,
    Redis,
}

type Entries<'a> = Vec<(&'a str, usize, &'a Spanned<DeValue<'a>>)>;

struct Source<'a> {
    name: &'a str,
    /// The offset at which each line begins.
    lines: Vec<usize>,
    problems: RefCell<Problems>,
}

impl File {
    /// Reads the text of the file `name`; what is wrong goes to `problems`, and the rest is given.
    pub(crate) fn parse(name: &str, text: &str, problems: &mut Problems) -> Self {
        let starts = memchr::memchr_iter(b'\n', text.as_bytes()).map(|at| at + 1);
        let source = Source {
            name,
            lines: std::iter::once(0).chain(starts).collect(),
            problems: RefCell::new(std::mem::take(problems)),
        };
        let file = source.file(text);
        *problems = source.problems.into_inner();
        file
    }
}

/// The entries of a table in the order of the file.
fn entries<'a>(table: &'a DeTable<'a>) -> Entries<'a> {
    let mut entries: Entries<'_> = table
        .iter()
        .map(|(key, value)| (key.get_ref().as_ref(), key.span().start, value))
        .collect();
    entries.sort_by_key(|entry| entry.1);
    entries
}

fn unknown<'k>(
    at: &Location,
    what: &str,
    word: &str,
    known: impl Iterator<Item = &'k str>,
) -> Error {
    let error = Error::usage(format!("{at}: unknown {what} `{word}`"));
    match suggest(word, known) {
        Some(similar) => error.hint(format!("did you mean `{similar}`?")),
        None => error,
    }
}

impl Source<'_> {
    /// Takes the error of a part of the file, so that the other parts are read all the same.
    fn note<T>(&self, result: Result<T>) -> Option<T> {
        self.problems.borrow_mut().note(result)
    }

    fn file(&self, text: &str) -> File {
        let mut file = File::default();
        let parsed = DeTable::parse(text).map_err(|error| {
            let at = self.at(error.span().map_or(0, |span| span.start));
            Error::usage(format!("{at}: {}", error.message()))
        });
        let Some(table) = self.note(parsed) else { return file };
        let mut version = false;
        for (key, offset, value) in entries(table.get_ref()) {
            let at = self.at(offset);
            match key {
                "version" => {
                    version = true;
                    let number = value.get_ref().as_integer().map(|number| number.as_str());
                    if number != Some("1") {
                        self.note::<()>(Err(Error::usage(format!("{at}: the version must be 1"))));
                    }
                }
                "postgres" => file.postgres = self.sections(value, Self::postgres),
                "mongodb" => file.mongodb = self.sections(value, Self::mongodb),
                "redis" => {
                    let sections = self.sections(value, Self::redis);
                    let (functions, keys): (Vec<_>, Vec<_>) =
                        sections.into_iter().partition(|section| section.header == FUNCTIONS);
                    let kept = |section: &RedisSection| matches!(section.body, RedisBody::Keep);
                    file.keep_functions =
                        functions.into_iter().find(kept).map(|section| section.at);
                    file.redis = keys;
                }
                _ => {
                    let known = ["version", "postgres", "mongodb", "redis"];
                    self.note::<()>(Err(unknown(&at, "key", key, known.into_iter())));
                }
            }
        }
        if !version {
            let name = self.name;
            self.note::<()>(Err(Error::usage(format!("{name}: `version = 1` is missing"))));
        }
        file
    }

    fn at(&self, offset: usize) -> Location {
        Location::new(self.name, self.lines.partition_point(|start| *start <= offset))
    }

    fn table<'a>(&self, value: &'a Spanned<DeValue<'a>>, what: &str) -> Result<&'a DeTable<'a>> {
        value.get_ref().as_table().ok_or_else(|| {
            Error::usage(format!("{}: {what} must be a table", self.at(value.span().start)))
        })
    }

    fn string<'a>(&self, value: &'a Spanned<DeValue<'a>>, what: &str) -> Result<&'a str> {
        value.get_ref().as_str().ok_or_else(|| {
            Error::usage(format!("{}: `{what}` must be a string", self.at(value.span().start)))
        })
    }

    fn sections<T>(
        &self,
        value: &Spanned<DeValue<'_>>,
        section: fn(&Self, &str, Location, &DeTable<'_>) -> Result<T>,
    ) -> Vec<T> {
        let Some(table) = self.note(self.table(value, "a store's rules")) else {
            return Vec::new();
        };
        let read = |(header, offset, body): (&str, usize, &Spanned<DeValue<'_>>)| {
            let what = format!("`{header}` is a header and its value");
            let made = self
                .table(body, &what)
                .and_then(|body| section(self, header, self.at(offset), body));
            self.note(made)
        };
        entries(table).into_iter().filter_map(read).collect()
    }
}

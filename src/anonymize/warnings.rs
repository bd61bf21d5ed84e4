//! What a rule set gives away, as far as its files alone tell it: said in a snapshot's plan.

use std::collections::BTreeMap;

use super::location::Location;
use super::pattern::Piece;
use super::postgres::LARGE_OBJECTS;
use super::postgres_types::type_key;
use super::redis_plan::kind_word;
use super::rules::{NameRule, PathRule, PostgresSection, RedisBody, RedisSection, Rule, RuleSet};

/// The most warnings that are told one by one.
const TOLD: usize = 50;

impl RuleSet {
    /// Files whose rules mask nothing, and rules that keep text by a star, in the order of files
    /// and lines.
    pub fn warnings(&self) -> Vec<String> {
        let mut found = Found::default();
        for section in &self.postgres {
            found.postgres(section);
        }
        for section in &self.mongodb {
            found.masks(&section.at, false);
            for path in &section.paths {
                found.path(path, &section.collection);
            }
        }
        for section in &self.redis {
            found.redis(section);
        }
        let idle = found.masks.iter().filter(|(_, masks)| !**masks);
        let mut warnings: Vec<String> =
            idle.map(|(file, _)| format!("no rule of {file} masks anything")).collect();
        found.starred.sort();
        self.visit(&mut |spec| {
            if let Some(warning) = spec.warning() {
                let told = format!("{}: `{}` {warning}", spec.at, spec.definition.name);
                if !warnings.contains(&told) {
                    warnings.push(told);
                }
            }
        });
        warnings.extend(found.starred.into_iter().map(|(at, what)| format!("{at} keeps {what}")));
        if warnings.len() > TOLD {
            let more = warnings.len() - TOLD;
            warnings.truncate(TOLD);
            warnings.push(format!("and {more} more rules keep text by a star"));
        }
        warnings
    }
}

#[derive(Default)]
struct Found {
    /// Whether any rule of a file masks something.
    masks: BTreeMap<String, bool>,
    starred: Vec<(Location, String)>,
}

impl Found {
    fn masks(&mut self, at: &Location, masks: bool) {
        *self.masks.entry(at.file().to_owned()).or_default() |= masks;
    }

    fn rule(&mut self, at: &Location, rule: &Rule) {
        self.masks(at, !rule.keeps() && !rule.is_undecided());
    }

    fn star(&mut self, at: &Location, what: String) {
        self.starred.push((at.clone(), what));
    }

    fn postgres(&mut self, section: &PostgresSection) {
        self.masks(&section.at, false);
        let header = match section.header.contains('*') {
            true => format!("the tables {}", section.header),
            false => section.header.clone(),
        };
        for column in &section.columns {
            let NameRule { name, rule, at, .. } = column;
            self.rule(at, rule);
            self.json(rule, &format!("column `{name}` of {header}"));
            if section.header == LARGE_OBJECTS || !matches!(rule, Rule::Use(_)) || !rule.keeps() {
                continue;
            }
            match name.strip_prefix(':') {
                _ if name == "*" => {
                    self.star(at, format!("every text column of {header} by a star"));
                }
                Some(kind) if holds_text(kind) => {
                    self.star(at, format!("every column of type {kind} of {header}"));
                }
                Some(_) => {}
                None if name.contains('*') || section.header.contains('*') => {
                    self.star(at, format!("the text columns `{name}` of {header} by a star"));
                }
                None => {}
            }
        }
    }

    fn path(&mut self, path: &PathRule, place: &str) {
        self.rule(&path.at, &path.rule);
        if path.names.as_ref().is_some_and(|names| names.definition.name != "keep") {
            self.masks(&path.at, true);
        }
        if !path.path.is_literal() && path.rule.keeps() {
            self.star(&path.at, format!("all text at `{}` of {place} by a star", path.path.text));
        }
        self.json(&path.rule, &format!("`{}` of {place}", path.path.text));
    }

    /// The paths of a value that holds JSON.
    fn json(&mut self, rule: &Rule, place: &str) {
        match rule {
            Rule::Each(inner) => self.json(inner, place),
            Rule::Json(json) => json.paths.iter().for_each(|path| self.path(path, place)),
            Rule::Use(_) | Rule::Undecided(_) => {}
        }
    }

    fn redis(&mut self, section: &RedisSection) {
        let RedisSection { header, at, .. } = section;
        self.masks(at, section.names.as_ref().is_some_and(|names| names.definition.name != "keep"));
        let starred = section.pattern.pieces().contains(&Piece::Any);
        let types = match &section.body {
            RedisBody::Keep => {
                if starred {
                    self.star(at, format!("all text of the keys `{header}` by a star"));
                }
                return;
            }
            RedisBody::Drop => return self.masks(at, true),
            RedisBody::Types(types) => types,
        };
        for of_kind in types {
            let kind = kind_word(of_kind.kind);
            for field in &of_kind.fields {
                let NameRule { name, rule, at, names } = field;
                self.rule(at, rule);
                let masks = |spec: &Option<super::rules::Spec>| {
                    spec.as_ref().is_some_and(|spec| spec.definition.name != "keep")
                };
                self.masks(at, masks(names) || masks(&of_kind.score));
                self.json(rule, &format!("{kind} `{header}`"));
                if !matches!(rule, Rule::Use(_)) || !rule.keeps() {
                } else if name.contains('*') {
                    self.star(
                        at,
                        format!("the text of all fields `{name}` of {kind} `{header}` by a star"),
                    );
                } else if name.is_empty() && starred {
                    self.star(at, format!("the text of every {kind} `{header}` by a star"));
                }
            }
        }
    }
}

/// Whether columns of a type may hold text: all but those that are known to hold none.
fn holds_text(kind: &str) -> bool {
    const OTHERS: &[&str] = &[
        "boolean",
        "smallint",
        "integer",
        "bigint",
        "numeric",
        "real",
        "double precision",
        "date",
        "timestamp with time zone",
        "timestamp without time zone",
        "time with time zone",
        "time without time zone",
        "interval",
        "uuid",
        "inet",
        "cidr",
        "macaddr",
        "money",
        "enum",
    ];
    !OTHERS.contains(&type_key(kind).name())
}

#[cfg(test)]
mod tests {

    use crate::anonymize::testing::rules;

    #[test]
    fn what_keeps_text_by_a_star_is_told() {
        let text = r#"[postgres."public.settings"]
"*" = "keep"
"*_at" = "keep"
":bool" = "keep"
":jsonb" = "keep"
name = "keep"
about = { json = { "$.a" = "hash", "$..b" = "keep", "$" = "keep", "$.c" = "keep" } }
[postgres."audit.*"]
"*" = "redact"
note = "keep"
[postgres.pg_largeobject]
"*" = "keep"
[mongodb.c]
"*" = "keep"
"a.*.b" = "keep"
"d.*" = "hash"
e = "keep"
[redis."tmp:*"]
action = "keep"
[redis."u:*"]
string = "keep"
hash = { a = "keep", "*" = "keep" }
[redis.one]
string = "keep"
"#;
        assert_eq!(
            rules(text).warnings(),
            [
                "t.toml:3 keeps every text column of public.settings by a star",
                "t.toml:4 keeps the text columns `*_at` of public.settings by a star",
                "t.toml:6 keeps every column of type jsonb of public.settings",
                "t.toml:8 keeps all text at `$..b` of column `about` of public.settings by a star",
                "t.toml:8 keeps all text at `$` of column `about` of public.settings by a star",
                "t.toml:11 keeps the text columns `note` of the tables audit.* by a star",
                "t.toml:15 keeps all text at `*` of c by a star",
                "t.toml:16 keeps all text at `a.*.b` of c by a star",
                "t.toml:19 keeps all text of the keys `tmp:*` by a star",
                "t.toml:22 keeps the text of every string `u:*` by a star",
                "t.toml:23 keeps the text of all fields `*` of hash `u:*` by a star",
            ]
        );
    }

    #[test]
    fn a_file_that_masks_nothing_is_told() {
        for (text, masks) in [
            ("[postgres.\"a.b\"]\nx = \"keep\"\ny = \"?\"\n", false),
            ("[mongodb.a]\nx = { json = { \"$.a\" = \"keep\" } }\n", false),
            ("[redis.a]\naction = \"keep\"\n", false),
            ("[redis.a]\naction = \"drop\"\n", true),
            ("[redis.a]\nzset = { use = \"keep\", score = \"redact\" }\n", true),
            (
                "[postgres.\"a.b\"]\nx = { json = { \"$.a\" = \"keep\", \"$.b\" = \"null\" } }\n",
                true,
            ),
        ] {
            let expected: &[&str] = if masks { &[] } else { &["no rule of t.toml masks anything"] };
            assert_eq!(rules(text).warnings(), expected, "{text}");
        }
    }
}

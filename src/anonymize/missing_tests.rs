use super::*;
use crate::anonymize::rules::RuleSet;
use crate::anonymize::testing::{column, foreign_key, key, rules, table};

fn schema() -> Vec<Table> {
    let mut users = table(
        "users",
        &[
            ("id", "uuid"),
            ("email", "character varying(120)"),
            ("name", "text"),
            ("about", "jsonb"),
            ("born", "date"),
            ("tags", "text[]"),
            ("rank", "integer"),
            ("code", "character(2)"),
            ("place", "point"),
        ],
    );
    users.primary_key = vec!["id".into()];
    users.unique = vec![vec!["id".into()], vec!["email".into()], vec!["code".into()]];
    users.columns.iter_mut().for_each(|column| column.not_null = true);
    let mut orders =
        table("orders", &[("nr", "bigint"), ("user_id", "uuid"), ("total", "numeric(10,2)")]);
    orders.columns[0].serial = true;
    orders.foreign_keys = vec![foreign_key("user_id", "users", "id")];
    let mut a = table("a", &[("b", "uuid")]);
    a.foreign_keys = vec![foreign_key("b", "b", "a")];
    let mut b = table("b", &[("a", "uuid")]);
    b.foreign_keys = vec![foreign_key("a", "a", "b")];
    let odd = ["*", ":json", "a b", "q\"t", "b\\s", "nl\nx", "ü.€", "\u{7f}", "#", "'", "", "x*y"];
    let odd: Vec<(&str, &str)> = odd.into_iter().map(|name| (name, "text")).collect();
    let mut odd = table("odd.\"t\n*\\", &odd);
    odd.columns.push(column("type", "\"my\ntype\""));
    let mut leaves = Vec::new();
    for name in ["events_1", "events_2"] {
        let mut leaf = table(name, &[("id", "bigint"), ("what", "text")]);
        leaf.primary_key = vec!["id".into()];
        leaf.columns.iter_mut().for_each(|column| column.inherited = true);
        leaf.parents = vec![("public".into(), "events".into())];
        leaves.push(leaf);
    }
    let mut tables = vec![a, b, odd, orders, users];
    tables.extend(leaves);
    tables
}

/// The file for what `rules` lacks.
fn lacks(rules: &RuleSet, tables: &[Table]) -> Option<String> {
    let plan = rules.postgres(tables, true, &key()).unwrap();
    file(&[postgres(tables, &plan, &key())])
}

fn parsed(text: &str) -> RuleSet {
    RuleSet::parse(&[("m.toml".to_owned(), text.to_owned())])
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn the_file_is_accepted_and_leaves_nothing_but_placeholders() {
    let tables = schema();
    let text = lacks(&rules(""), &tables).unwrap();
    let with = parsed(&text);
    let coverage = with.postgres(&tables, true, &key()).unwrap().coverage();
    for entry in coverage.uncovered() {
        let rule = entry.rule.as_deref().unwrap_or("nothing");
        assert!(rule == "?" || rule.starts_with("follows "), "{} {rule}: {text}", entry.item);
    }
    assert!(coverage.remarks.is_empty(), "{:?}", coverage.remarks);
    assert_eq!(lacks(&with, &tables), None);
    for line in [
        "[postgres.\"public.users\"]",
        "id    = \"keep\"  # uuid not null primary key",
        "email = \"?\"     # character varying(120) not null unique; proposed: { use = \"email\", link = \"person.email\", unique = true }",
        "born  = \"?\"     # date not null; proposed: { use = \"date_shift\", by = \"id\" }",
        "nr    = \"keep\"  # bigint",
        "# user_id uuid: follows public.users.id",
        "[postgres.\"public.events\"]",
    ] {
        assert!(text.lines().any(|own| own == line), "{line}: {text}");
    }
    assert_eq!(text.matches("public.events\"]").count(), 1, "{text}");
    // Of a circle one is asked for, and the other follows.
    assert_eq!(
        text.matches(": follows public.a.b").count() + text.matches(": follows public.b.a").count(),
        1
    );
}

#[test]
fn every_proposal_fits() {
    let tables = schema();
    let text = lacks(&rules(""), &tables).unwrap();
    let mut decided = String::new();
    for line in text.lines() {
        let proposal = line.split_once("; proposed: ").map(|(_, proposal)| proposal);
        let proposal = proposal.map(|text| text.split(" or { json").next().unwrap());
        match (line.split_once("= \"?\""), proposal) {
            (Some((key, _)), Some(proposal)) => decided.push_str(&format!("{key}= {proposal}\n")),
            (Some((key, _)), None) => decided.push_str(&format!("{key}= \"drop\"\n")),
            _ => decided.push_str(&format!("{line}\n")),
        }
    }
    let coverage = parsed(&decided).postgres(&tables, true, &key()).unwrap().coverage();
    assert!(coverage.require_complete().is_ok(), "{decided}");
}

#[test]
fn what_a_rule_covers_is_left_out() {
    let tables = schema();
    let some = rules(
        "[postgres.\"public.users\"]\n\"*\" = \"keep\"\n[postgres.\"public.o*\"]\n\"*\" = \"?\"\n",
    );
    let text = lacks(&some, &tables).unwrap();
    assert!(!text.contains("public.users\"]") && !text.contains("public.orders\"]"), "{text}");
    let both = RuleSet::parse(&[
        ("a.toml".into(), "version = 1\n[postgres.\"public.users\"]\n\"*\" = \"keep\"\n[postgres.\"public.o*\"]\n\"*\" = \"?\"\n".into()),
        ("b.toml".into(), text),
    ]);
    assert!(both.unwrap().postgres(&tables, true, &key()).is_ok());
}

fn uncovered(store: StoreKind, place: &str, item: &str) -> Entry {
    Entry {
        store,
        place: place.to_owned(),
        item: item.to_owned(),
        verdict: Verdict::Uncovered,
        rule: None,
        at: None,
        starred: false,
    }
}

#[test]
fn documents_and_keys_get_sections_that_parse() {
    let mut coverage = Coverage::default();
    for (place, item) in [
        ("people", "_id"),
        ("people", "contacts[].<…>"),
        ("people", "contacts[].line#"),
        ("people", "a.b[]"),
        ("new.one\"", ""),
    ] {
        coverage.entries.push(uncovered(StoreKind::Mongodb, place, item));
    }
    for (place, item) in [
        ("session:<…>", "string"),
        ("user:#:cart", "hash"),
        ("user:<…>:cart", "zset"),
        ("a*{b}\\", "list"),
        ("<email>", "set"),
        ("x:…<email>…", "stream"),
        ("<binary>", "set"),
    ] {
        coverage.entries.push(uncovered(StoreKind::Redis, place, item));
    }
    let text = file(&[mongodb(&coverage), redis(&coverage)]).unwrap();
    let found = parsed(&text);
    let paths: Vec<&str> = found
        .mongodb
        .iter()
        .flat_map(|section| &section.paths)
        .map(|path| path.path.text.as_str())
        .collect();
    assert_eq!(paths, ["*", "_id", "a.b[]", "contacts[].*"]);
    let keys: Vec<&str> = found.redis.iter().map(|section| section.header.as_str()).collect();
    assert_eq!(keys, ["*", "a\\*\\{b}\\\\", "session:*", "user:*:cart", "x:*"]);
    assert_eq!(file(&[mongodb(&Coverage::default()), redis(&Coverage::default())]), None);
}

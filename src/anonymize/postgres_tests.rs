use proptest::prelude::*;

use super::*;
use crate::anonymize::testing::{copy, foreign_key, key, pass, rules, table, told, try_rules};
use crate::error::Kind;

fn users() -> Table {
    table(
        "users",
        &[("id", "integer"), ("email", "text"), ("name", "text"), ("seen_at", "timestamptz")],
    )
}

fn plan(text: &str, tables: &[Table]) -> Result<PostgresPlan> {
    try_rules(text)?.postgres(tables, false, &key())
}

fn refused(text: &str, tables: &[Table]) -> String {
    match plan(text, tables) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => {
            assert_eq!(error.kind(), Kind::Usage, "{error}");
            told(&error)
        }
    }
}

/// Which line decides about each column; 0 is none.
fn lines(text: &str, tables: &[Table]) -> Vec<usize> {
    let coverage = plan(text, tables).unwrap().coverage();
    coverage.entries.iter().map(|entry| entry.at.as_ref().map_or(0, Location::line)).collect()
}
use crate::anonymize::location::Location;

#[test]
fn the_most_specific_rule_decides_per_column_across_sections() {
    let text = r#"[postgres."public.users"]
"*" = "keep"
"*_at" = "keep"
[postgres."public.*"]
email = "email"
":integer" = "keep"
"#;
    assert_eq!(lines(text, &[users()]), [7, 6, 3, 4]);
    let text = "[postgres.\"*.*\"]\nemail = \"email\"\n[postgres.\"public.*\"]\nemail = \"null\"\n[postgres.\"public.users\"]\nemail = \"keep\"\n";
    assert_eq!(lines(text, &[users()]), [0, 7, 0, 0]);
}

#[test]
fn equally_specific_rules_name_both_lines() {
    let with = |one: &str, other: &str| {
        format!(
            "[postgres.\"{one}\"]\nemail = \"email\"\n[postgres.\"{other}\"]\nemail = \"null\"\n"
        )
    };
    // More fixed characters win; a tie between them is settled by what is more specific still.
    assert_eq!(lines(&with("public.us*", "*ic.users"), &[users()])[1], 3);
    assert_eq!(lines(&with("*ic.users", "public.us*"), &[users()])[1], 5);
    let tie = with("public.us*", "publi*sers");
    let exact = format!("{tie}[postgres.\"public.users\"]\nemail = \"keep\"\n");
    assert_eq!(lines(&exact, &[users()])[1], 7);
    let error = refused(&tie, &[users()]);
    assert!(error.contains("t.toml:3 and t.toml:5 are equally specific"), "{error}");
    let error =
        refused("[postgres.\"public.users\"]\n\"e*\" = \"null\"\n\"*l\" = \"hash\"\n", &[users()]);
    assert!(error.contains("t.toml:3 and t.toml:4"), "{error}");
}

#[test]
fn parents_cover_their_children() {
    let mut leaf = users();
    leaf.name = "users_2026".into();
    leaf.columns.iter_mut().for_each(|column| column.inherited = true);
    leaf.parents = vec![("public".into(), "users_q".into()), ("public".into(), "users".into())];
    let text = "[postgres.\"public.users\"]\n\"*\" = \"keep\"\nemail = \"email\"\n[postgres.\"public.users_q\"]\nemail = \"null\"\n";
    assert_eq!(lines(text, &[leaf.clone()]), [3, 6, 3, 3]);
    let own = format!("{text}[postgres.\"public.users_2026\"]\nemail = \"keep\"\n");
    assert_eq!(lines(&own, &[leaf]), [3, 8, 3, 3]);
}

#[test]
fn names_that_do_not_exist_are_errors_with_a_suggestion() {
    let error = refused("[postgres.\"public.usres\"]\n\"*\" = \"keep\"\n", &[users()]);
    assert!(
        error.contains("t.toml:2: there is no table `public.usres`")
            && error.contains("did you mean `public.users`?"),
        "{error}"
    );
    let error = refused("[postgres.\"public.users\"]\nemial = \"email\"\n", &[users()]);
    assert!(error.contains("t.toml:3") && error.contains("did you mean `email`?"), "{error}");
    assert!(refused("[postgres.users]\nemail = \"email\"\n", &[users()]).contains("schema.table"));
    let unused = plan("[postgres.\"audit.*\"]\n\"*\" = \"keep\"\n", &[users()]).unwrap();
    assert_eq!(unused.coverage().remarks, ["t.toml:2: no table matches `audit.*`"]);
}

#[test]
fn uncovered_columns_stop_the_job() {
    let plan = plan("[postgres.\"public.users\"]\nid = \"keep\"\nemail = \"email\"\n", &[users()])
        .unwrap();
    let error = plan.coverage().require_complete().unwrap_err();
    assert_eq!(error.kind(), Kind::Findings);
    assert!(error.message().contains("2 places: postgres public.users name"), "{error}");
    assert_eq!(plan.transform(0).err().map(|error| error.kind()), Some(Kind::Findings));
    assert_eq!(plan.apply_one(0, 2, Some("Ann")).unwrap_err().kind(), Kind::Findings);
    assert_eq!(plan.apply_one(0, 0, Some("7")).unwrap().as_deref(), Some("7"));
    assert_eq!(plan.apply_one(0, 1, None).unwrap(), None);
    assert!(plan.transform(1).is_err());
}

#[test]
fn not_null_and_unique_columns_are_guarded() {
    let mut users = users();
    users.columns[1].not_null = true;
    users.unique = vec![vec!["id".into()], vec!["email".into()]];
    let with =
        |rule: &str| format!("[postgres.\"public.users\"]\n\"*\" = \"keep\"\nemail = {rule}\n");
    assert!(refused(&with("\"null\""), &[users.clone()]).contains("NOT NULL"));
    let on_error = "{ use = \"email\", unique = true, on_error = \"null\" }";
    assert!(refused(&with(on_error), &[users.clone()]).contains("NOT NULL"));
    let error = refused(&with("\"email\""), &[users.clone()]);
    assert!(error.contains("unique index on (email)") && error.contains("t.toml:4"), "{error}");
    assert!(refused(&with("\"redact\""), &[users.clone()]).contains("unique index"));
    assert!(plan(&with("{ use = \"email\", unique = true }"), &[users.clone()]).is_ok());
    // Another place of the link asks for it: a link has one definition.
    let linked = format!(
        "{}\n[mongodb.c]\nm = {{ use = \"email\", link = \"e\", unique = true }}\n",
        with("{ use = \"email\", link = \"e\" }")
    );
    assert!(plan(&linked, &[users.clone()]).is_ok());
    // An index that holds another one is unique by that.
    users.unique = vec![vec!["id".into()], vec!["id".into(), "email".into()]];
    assert!(plan(&with("\"email\""), &[users.clone()]).is_ok());
    users.unique = vec![vec!["name".into(), "email".into()]];
    assert!(refused(&with("\"email\""), &[users]).contains("(name, email)"));
}

#[test]
fn foreign_keys_tie_decisions_together() {
    let mut orders = table("orders", &[("id", "integer"), ("who", "text")]);
    orders.foreign_keys = vec![foreign_key("who", "users", "email")];
    let tables = [users(), orders.clone()];
    let with = |email: &str, who: &str| {
        format!("[postgres.\"public.*\"]\n\"*\" = \"keep\"\nemail = {email}\nwho = {who}\n")
    };
    let error = refused(&with("\"email\"", "\"keep\""), &tables);
    assert!(
        error.contains("t.toml:4") && error.contains("t.toml:5") && error.contains("one decision"),
        "{error}"
    );
    refused(&with("\"email\"", "{ use = \"email\", link = \"e\" }"), &tables);
    refused(&with("\"email\"", "\"name\""), &tables);
    for (email, who) in [
        ("\"keep\"", "\"keep\""),
        ("\"email\"", "\"email\""),
        ("\"email\"", "\"null\""),
        ("{ use = \"email\", link = \"e\" }", "{ use = \"email\", link = \"e\", unique = true }"),
    ] {
        assert!(plan(&with(email, who), &tables).is_ok(), "{email} {who}");
    }
    // Without a link values adapt to the column's length, so lengths must be the same.
    orders.columns[1] = crate::anonymize::testing::column("who", "character varying(20)");
    refused(&with("\"email\"", "\"email\""), &[users(), orders.clone()]);
    // The referenced table may be a parent.
    let mut leaf = users();
    leaf.name = "users_1".into();
    leaf.parents = vec![("public".into(), "users".into())];
    refused(&with("\"email\"", "\"keep\""), &[leaf, orders]);
}

#[test]
fn a_follower_is_told_as_such_and_masked_alike() {
    let mut orders = table("orders", &[("id", "integer"), ("who", "text"), ("city", "text")]);
    orders.foreign_keys = vec![foreign_key("who", "users", "email")];
    let tables = [users(), orders.clone()];
    let text = "[postgres.\"public.*\"]\nid = \"keep\"\nemail = \"email\"\nname = \"?\"\n\"*_at\" = \"keep\"\ncity = \"email\"\n";
    let plan = plan(text, &tables).unwrap();
    let told: Vec<String> = plan
        .coverage()
        .entries
        .iter()
        .map(|entry| {
            let rule = entry.rule.as_deref().unwrap_or("-");
            let star = if entry.starred { " *" } else { "" };
            format!("{} {} {rule}{star}", entry.item, entry.verdict.word())
        })
        .collect();
    assert_eq!(
        told,
        [
            "id kept keep *",
            "email masked email",
            "name uncovered ?",
            "seen_at kept keep *",
            "id kept keep *",
            "who masked follows public.users.email",
            "city masked email",
        ]
    );
    let of = |table, column| plan.apply_one(table, column, Some("ann@x.org")).unwrap();
    assert_eq!(of(0, 1), of(1, 1));
    // A place that nothing ties to it is a domain of its own.
    assert_ne!(of(0, 1), of(1, 2));
    assert_eq!(plan.transform(0).err().map(|error| error.kind()), Some(Kind::Findings));
    assert!(plan.transform(1).is_ok());
}

#[test]
fn all_refusals_are_told_in_one_run() {
    let mut orders = table("orders", &[("id", "integer"), ("who", "text"), ("at", "date")]);
    orders.foreign_keys = vec![foreign_key("who", "users", "email")];
    let mut users = users();
    users.unique = vec![vec!["email".into()]];
    users.columns[0].not_null = true;
    let text = "[postgres.\"public.users\"]\nid = \"null\"\nemail = \"email\"\nnmae = \"name\"\n[postgres.\"public.orders\"]\nwho = \"name\"\nat = \"email\"\n[postgres.\"public.oders\"]\nx = \"keep\"\n[postgres.\"*.orders\"]\n\"i*\" = \"hash\"\n\"*d\" = \"redact\"\n[postgres.pg_largeobject]\n\"*\" = \"email\"\n";
    let error = refused(text, &[users, orders]);
    for part in [
        "8 problems",
        "t.toml:3: `null` does not fit",
        "t.toml:4: `email` does not fit column `email` of public.users: the unique index",
        "t.toml:5: `public.users` has no column `nmae`",
        "t.toml:8: `email` does not fit column `at`",
        "tied by foreign key",
        "t.toml:9: there is no table `public.oders`",
        "t.toml:12 and t.toml:13 are equally specific",
        "t.toml:15: large objects can be",
    ] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn a_placeholder_is_uncovered_wherever_it_stands() {
    for rule in ["\"?\"", "{ json = { \"$.a\" = \"keep\", \"$.b\" = \"?\" } }"] {
        let about = table("t", &[("a", "jsonb")]);
        let plan = plan(&format!("[postgres.\"public.t\"]\na = {rule}\n"), &[about]).unwrap();
        assert_eq!(plan.coverage().count(Verdict::Uncovered), 1, "{rule}");
        assert_eq!(plan.transform(0).err().map(|error| error.kind()), Some(Kind::Findings));
        assert_eq!(plan.apply_one(0, 0, Some("{}")).unwrap_err().kind(), Kind::Findings);
    }
    let objects = rules("[postgres.pg_largeobject]\n\"*\" = \"?\"\n");
    let plan = objects.postgres(&[], true, &key()).unwrap();
    assert_eq!(plan.coverage().count(Verdict::Uncovered), 1);
    assert!(plan.large_object_transform().is_err());
}

#[test]
fn json_is_told_path_by_path() {
    let text = "[postgres.\"public.t\"]\na = { json = { \"$.mail\" = \"email\", \"$.n\" = \"keep\", \"$.m.*\" = \"keep\", \"$\" = \"keep\" } }\n\"*\" = { each = { json = { \"$.x\" = \"keep\", \"$.y\" = \"hash\" } } }\n";
    let about = table("t", &[("a", "jsonb"), ("b", "jsonb[]")]);
    let coverage = plan(text, &[about]).unwrap().coverage();
    let told = coverage.entries.iter().map(|entry| {
        let at = entry.at.as_ref().map_or(0, Location::line);
        format!(
            "{} {} {at}{}",
            entry.item,
            entry.verdict.word(),
            if entry.starred { " *" } else { "" }
        )
    });
    assert_eq!(
        told.collect::<Vec<_>>(),
        [
            "a $.mail masked 3",
            "a $.n kept 3",
            "a $.m.* kept 3 *",
            "a $ kept 3 *",
            "a $.m.* (names) kept 3 *",
            "b[] $.x kept 4 *",
            "b[] $.y masked 4",
        ]
    );
}

#[test]
fn checks_are_named_and_links_must_agree() {
    let mut users = users();
    users.checks = vec![("email_has_at".into(), vec!["email".into()])];
    let text = "[postgres.\"public.users\"]\n\"*\" = \"keep\"\nemail = \"email\"\n";
    let remarks = plan(text, &[users.clone()]).unwrap().coverage().remarks;
    assert!(remarks[0].contains("email_has_at"), "{remarks:?}");
    for (a, b, reason) in [
        (
            "{ use = \"email\", link = \"x\" }",
            "{ use = \"name\", link = \"x\" }",
            "is `email` at t.toml:3 and `name` at t.toml:4",
        ),
        (
            "{ use = \"name\", link = \"x\" }",
            "{ use = \"first_name\", link = \"x\" }",
            "different parameters at t.toml:3 and t.toml:4",
        ),
        (
            "{ use = \"email\", link = \"x\", max_length = 40 }",
            "{ use = \"email\", link = \"x\" }",
            "different parameters",
        ),
    ] {
        let text = format!("[postgres.\"public.users\"]\nemail = {a}\nname = {b}\n");
        let error = refused(&text, &[users.clone()]);
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn large_objects_are_kept_dropped_or_emptied_by_a_rule() {
    let with = |rule: &str| rules(&format!("[postgres.\"pg_largeobject\"]\n\"*\" = \"{rule}\"\n"));
    let uncovered = rules("").postgres(&[], true, &key()).unwrap();
    assert_eq!(uncovered.coverage().require_complete().unwrap_err().kind(), Kind::Findings);
    assert!(uncovered.large_object_transform().is_err());
    assert!(rules("").postgres(&[], false, &key()).unwrap().coverage().require_complete().is_ok());
    let keep = with("keep").postgres(&[], true, &key()).unwrap();
    assert_eq!(keep.large_objects(), Some(LargeObjects::Keep));
    assert_eq!(pass(keep.large_object_transform().unwrap().as_mut(), b"x").unwrap(), b"x");
    let drop = with("drop").postgres(&[], true, &key()).unwrap();
    assert!(drop.coverage().require_complete().is_ok());
    assert_eq!(pass(drop.large_object_transform().unwrap().as_mut(), b"x").unwrap(), b"");
    let redact = with("redact").postgres(&[], true, &key()).unwrap();
    let objects = b"SELECT pg_catalog.lo_create(7);\nSELECT pg_catalog.lo_put(7, 0, '\\x41');\n";
    assert_eq!(
        pass(redact.large_object_transform().unwrap().as_mut(), objects).unwrap(),
        b"SELECT pg_catalog.lo_create(7);\n"
    );
    assert!(with("email").postgres(&[], true, &key()).is_err());
}

const KEEP_ALL: &str = "[postgres.\"public.t\"]\n\"*\" = \"keep\"\n";

#[test]
fn rows_are_masked_in_place() {
    let table = table("t", &[("a", "text"), ("b", "text"), ("c", "text")]);
    let first = format!("{KEEP_ALL}a = \"mask\"\n");
    assert_eq!(
        copy(&first, &table, "ab\tx\ty\n\\N\tx\t\\N\n\tq\t\n").unwrap(),
        "**\tx\ty\n\\N\tx\t\\N\n\tq\t\n"
    );
    let last = format!("{KEEP_ALL}c = \"null\"\n");
    assert_eq!(
        copy(&last, &table, "a\tb\tc\n\\N\tx\t\\N\na\tb\t\n").unwrap(),
        "a\tb\t\\N\n\\N\tx\t\\N\na\tb\t\\N\n"
    );
    let both =
        format!("{KEEP_ALL}a = \"mask\"\nc = {{ use = \"constant\", value = \"t\\tn\\\\\" }}\n");
    assert_eq!(
        copy(&both, &table, "a\\tb\tb\tc\n\\\\\t\t\\N\n").unwrap(),
        "*\\t*\tb\tt\\tn\\\\\n\\\\\t\t\\N\n"
    );
    assert_eq!(copy(KEEP_ALL, &table, "").unwrap(), "");
}

#[test]
fn rows_of_another_shape_are_refused() {
    let two = table("t", &[("a", "text"), ("b", "text")]);
    for text in [KEEP_ALL.to_owned(), format!("{KEEP_ALL}b = \"mask\"\n")] {
        for rows in ["a\n", "a\tb\tc\n", "\n"] {
            assert!(copy(&text, &two, rows).is_err(), "{rows:?}");
        }
    }
    assert!(copy(&format!("{KEEP_ALL}b = \"mask\"\n"), &two, "a\tb\na\n").is_err());
    assert!(copy(&format!("{KEEP_ALL}b = \"mask\"\n"), &two, "a\tb").is_err());
    assert!(copy(&format!("{KEEP_ALL}b = \"mask\"\n"), &two, "a\tb\\\n").is_err());
    let none = table("t", &[]);
    assert_eq!(copy("", &none, "\n\n").unwrap(), "\n\n");
}

proptest! {
    #[test]
    fn any_rows_pass_unchanged_under_keep(rows in prop::collection::vec(prop::collection::vec("(\\\\N|[a-z\\\\é\"{}]{0,9})", 3), 0..8)) {
        let table = table("t", &[("a", "text"), ("b", "jsonb"), ("c", "text[]")]);
        let mut text = String::new();
        for row in &rows {
            let fields: Vec<String> = row.iter().map(|field| {
                if field == "\\N" { return field.clone(); }
                let mut out = Vec::new();
                copytext::escape(field.as_bytes(), &mut out);
                String::from_utf8(out).unwrap()
            }).collect();
            text.push_str(&fields.join("\t"));
            text.push('\n');
        }
        prop_assert_eq!(&copy(KEEP_ALL, &table, &text).unwrap(), &text);
        let masked = copy(&format!("{KEEP_ALL}a = \"null\"\n"), &table, &text).unwrap();
        for (before, after) in text.lines().zip(masked.lines()) {
            let rest = before.split_once('\t').unwrap().1;
            prop_assert_eq!(after, format!("\\N\t{rest}"));
        }
    }

    #[test]
    fn masked_columns_never_leak(secret in "[A-Z]{8,20}", other in "[a-z\\\\]{0,9}", place in 0usize..3) {
        let table = table("t", &[("a", "text"), ("b", "text"), ("c", "text")]);
        let mut fields = vec![other.replace('\\', "\\\\"); 3];
        fields[place] = secret.clone();
        let name = ["a", "b", "c"][place];
        let rows = format!("{}\n", fields.join("\t")).repeat(3);
        for rule in ["email", "hash", "redact", "text", "mask", "null"] {
            let made = copy(&format!("{KEEP_ALL}{name} = \"{rule}\"\n"), &table, &rows).unwrap();
            prop_assert!(!made.contains(&secret));
            prop_assert_eq!(made.matches('\t').count(), 6);
        }
    }

    #[test]
    fn hostile_rows_do_not_panic(bytes in prop::collection::vec(prop_oneof![Just(b'\t'), Just(b'\n'), Just(b'\\'), any::<u8>()], 0..60)) {
        let table = table("t", &[("a", "text"), ("b", "text[]"), ("c", "jsonb")]);
        let text = format!("{KEEP_ALL}a = \"email\"\nb = {{ each = \"mask\" }}\nc = {{ json = {{ \"$\" = \"mask\" }} }}\n");
        let plan = plan(&text, &[table]).unwrap();
        let made = pass(plan.transform(0).unwrap().as_mut(), &bytes);
        prop_assert!(made.is_ok() || made.is_err());
    }
}

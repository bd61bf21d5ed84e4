use mongodb::bson::{Bson, doc};

use super::*;
use crate::anonymize::testing::{collection, key, rules, told, try_rules};
use crate::error::Kind;

fn plan_error(text: &str, collection: Collection) -> String {
    match try_rules(text).and_then(|rules| rules.mongodb(&[collection], &key())) {
        Ok(_) => panic!("accepted: {text}"),
        Err(error) => {
            assert_eq!(error.kind(), Kind::Usage);
            told(&error)
        }
    }
}

#[test]
fn collections_without_rules_are_uncovered() {
    let rules = rules("[mongodb.a]\nx = \"keep\"\ny = \"email\"\n[mongodb.z]\nx = \"keep\"\n");
    let plan = rules.mongodb(&[collection("a"), collection("b")], &key()).unwrap();
    let coverage = plan.coverage();
    let error = coverage.require_complete().unwrap_err();
    assert_eq!(error.message(), "no rule covers 1 place: mongodb b");
    assert_eq!(coverage.count(Verdict::Kept), 1);
    assert_eq!(coverage.count(Verdict::Masked), 1);
    assert_eq!(coverage.remarks, ["t.toml:5: there is no collection `z`"]);
    assert!(plan.transform(0).is_ok());
    assert_eq!(plan.transform(1).err().map(|error| error.kind()), Some(Kind::Findings));
    assert!(plan.transform(2).is_err());
}

#[test]
fn sections_of_one_collection_in_two_files_are_one() {
    let file =
        |name: &str, body: &str| (name.to_owned(), format!("version = 1\n[mongodb.c]\n{body}\n"));
    let both =
        RuleSet::parse(&[file("a.toml", "x = \"keep\""), file("b.toml", "y = \"null\"")]).unwrap();
    assert!(both.mongodb(&[collection("c")], &key()).unwrap().transform(0).is_ok());
    let clash =
        RuleSet::parse(&[file("a.toml", "x = \"keep\""), file("b.toml", "x = \"null\"")]).unwrap();
    let error = clash.mongodb(&[collection("c")], &key()).err().unwrap();
    assert!(
        error.message().contains("a.toml:3") && error.message().contains("b.toml:3"),
        "{error}"
    );
}

#[test]
fn unique_indexes_and_ids_stay_unique() {
    let unique = |paths: &[&str]| Collection {
        unique: vec![paths.iter().map(|path| (*path).to_owned()).collect()],
        ..collection("c")
    };
    let refused = plan_error("[mongodb.c]\nmail = \"email\"\n", unique(&["mail"]));
    assert!(
        refused.contains("unique index on (mail)") && refused.contains("t.toml:3"),
        "{refused}"
    );
    plan_error("[mongodb.c]\nmail = \"null\"\n", unique(&["mail"]));
    plan_error("[mongodb.c]\nmail = \"drop\"\n", unique(&["mail"]));
    plan_error("[mongodb.c]\n_id = \"redact\"\n", collection("c"));
    plan_error("[mongodb.c]\n_id = \"drop\"\n", collection("c"));
    plan_error("[mongodb.c]\n\"*\" = \"text\"\n", collection("c"));
    plan_error("[mongodb.c]\n\"phones[].number\" = \"phone\"\n", unique(&["phones.number"]));
    for text in [
        "_id = \"uuid\"\nmail = { use = \"email\", unique = true }",
        "_id = \"keep\"\nmail = \"keep\"",
    ] {
        let rules = rules(&format!("[mongodb.c]\n{text}\n"));
        assert!(rules.mongodb(&[unique(&["mail"])], &key()).is_ok(), "{text}");
    }
    let compound = rules("[mongodb.c]\n_id = \"keep\"\nmail = \"email\"\n");
    assert!(compound.mongodb(&[unique(&["_id", "mail"])], &key()).is_ok());
}

#[test]
fn samples_tell_what_paths_there_are() {
    let rules = rules("[mongodb.c]\n_id = \"keep\"\n\"p.phones[].number\" = \"phone\"\n");
    let plan = rules.mongodb(&[collection("c"), collection("d")], &key()).unwrap();
    let mut observer = plan.observer(0).unwrap();
    for document in [
        doc! { "_id": 1, "p": { "phones": [{ "number": "1" }, { "number": "2", "kind": "x" }] } },
        doc! { "_id": 2, "p": Bson::Null, "extra": { "ann@x.org": 1 } },
    ] {
        observer.observe(&document.to_vec().unwrap()).unwrap();
    }
    let seen: Vec<(String, Verdict)> =
        observer.finish().entries.into_iter().map(|entry| (entry.item, entry.verdict)).collect();
    let expected = [
        ("<…>", Verdict::Uncovered),
        ("_id", Verdict::Kept),
        ("p.phones[].<…>", Verdict::Uncovered),
        ("p.phones[].number", Verdict::Masked),
    ];
    assert_eq!(seen, expected.map(|(path, verdict)| (path.to_owned(), verdict)));
    let mut observer = plan.observer(1).unwrap();
    observer.observe(&doc! { "a": 1 }.to_vec().unwrap()).unwrap();
    assert_eq!(observer.finish().entries[0].verdict, Verdict::Uncovered);
}

#[test]
fn one_document_can_be_previewed() {
    let rules =
        rules("[mongodb.c]\n\"*\" = { use = \"mask\", names = \"keep\" }\n_id = \"keep\"\n");
    let plan = rules.mongodb(&[collection("c")], &key()).unwrap();
    let out = plan.apply_one(0, &doc! { "_id": 1, "a": "xy" }.to_vec().unwrap()).unwrap();
    assert_eq!(
        mongodb::bson::Document::from_reader(out.as_slice()).unwrap(),
        doc! { "_id": 1, "a": "**" }
    );
}

#[test]
fn coverage_is_by_path_and_tells_of_names() {
    let rules = rules(
        "[mongodb.c]\n_id = \"keep\"\nabout = { json = { \"$.mail\" = \"email\", \"$.x\" = \"?\", \"$\" = \"keep\" } }\n\
         \"d.*.m\" = { use = \"mask\", names = \"hash\" }\n\"d.*.n\" = \"keep\"\ntags = { each = \"text\" }\n\"*\" = \"redact\"\n\
         \"e.*\" = \"keep\"\n",
    );
    let plan = rules.mongodb(&[collection("c")], &key()).unwrap();
    let told: Vec<String> = plan
        .coverage()
        .entries
        .iter()
        .map(|entry| {
            let star = if entry.starred { " *" } else { "" };
            format!(
                "{} {} {}{star}",
                entry.item,
                entry.verdict.word(),
                entry.rule.as_deref().unwrap()
            )
        })
        .collect();
    let expected = [
        "_id kept keep",
        "about $.mail masked email",
        "about $.x uncovered ?",
        "about $ kept keep *",
        "d.*.m masked mask",
        "d.*.n kept keep *",
        "tags[] masked text",
        "* masked redact",
        "e.* kept keep *",
        "d.* (names) masked hash unique",
        "* (names) masked hash",
        "e.* (names) kept keep *",
    ];
    assert_eq!(told, expected);
}

#[test]
fn samples_tell_of_names_that_nobody_decided_about() {
    let rules = rules("[mongodb.c]\n_id = \"keep\"\n\"d.*.m\" = \"keep\"\nx = \"?\"\n");
    let plan = rules.mongodb(&[collection("c")], &key()).unwrap();
    let mut observer = plan.observer(0).unwrap();
    for name in ["Ann Lee", "Bob", "Cem"] {
        let document = doc! { "_id": 1, "d": { name: { "m": 1 } }, "x": 1, "often": 1 };
        observer.observe(&document.to_vec().unwrap()).unwrap();
    }
    let seen: Vec<(String, Verdict)> =
        observer.finish().entries.into_iter().map(|entry| (entry.item, entry.verdict)).collect();
    let expected = [
        ("_id", Verdict::Kept),
        ("d.*.m", Verdict::Kept),
        ("d.* (names)", Verdict::Uncovered),
        ("often", Verdict::Uncovered),
        ("x", Verdict::Uncovered),
    ];
    let expected: Vec<(String, Verdict)> = expected
        .iter()
        .map(|(path, verdict)| ((*path).replace("*.m", "<…>.m"), *verdict))
        .collect();
    assert_eq!(seen.len(), expected.len());
    for place in expected {
        assert!(seen.contains(&place), "{place:?} {seen:?}");
    }
}

#[test]
fn an_index_needs_the_names_of_its_fields() {
    let unique = Collection { unique: vec![vec!["mail".to_owned()]], ..collection("c") };
    let text = "[mongodb.c]\n_id = \"keep\"\n\"*\" = { use = \"keep\", names = \"hash\" }\n";
    assert!(plan_error(text, unique.clone()).contains("spell the field out"));
    assert!(rules(&format!("{text}mail = \"keep\"\n")).mongodb(&[unique], &key()).is_ok());
}

#[test]
fn every_refusal_of_every_collection_is_told_in_one_run() {
    let rules = rules(
        "[mongodb.a]\n_id = \"null\"\n[mongodb.b]\n\"x.*.c\" = \"mask\"\n\"*.y.c\" = \"mask\"\n",
    );
    let error = rules.mongodb(&[collection("a"), collection("b")], &key()).err().unwrap();
    let told = told(&error);
    assert!(told.contains("`_id` of `a`") && told.contains("t.toml:5"), "{told}");
}

#[test]
fn a_preview_of_a_document_shows_no_original() {
    let rules = rules(
        "[mongodb.c]\n_id = \"keep\"\nm = \"mask\"\n\"d.*\" = \"keep\"\n\"e.*\" = { use = \"mask\", names = \"keep\" }\n",
    );
    let plan = rules.mongodb(&[collection("c")], &key()).unwrap();
    let document =
        doc! { "_id": 4711, "m": "xy", "d": { "Ann": { "Lee": 1 } }, "e": { "Bob": "z" } };
    let out = plan.preview_one(0, &document.to_vec().unwrap(), &key()).unwrap();
    let out = mongodb::bson::Document::from_reader(out.as_slice()).unwrap();
    let kept = "‹kept›";
    assert_eq!(out, doc! { "_id": kept, "m": "**", "d": { "<…>": kept }, "e": { "<…>": "*" } });
}

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
        ("_id", Verdict::Kept),
        ("extra", Verdict::Uncovered),
        ("p.phones[].kind", Verdict::Uncovered),
        ("p.phones[].number", Verdict::Masked),
    ];
    assert_eq!(seen, expected.map(|(path, verdict)| (path.to_owned(), verdict)));
    let mut observer = plan.observer(1).unwrap();
    observer.observe(&doc! { "a": 1 }.to_vec().unwrap()).unwrap();
    assert_eq!(observer.finish().entries[0].verdict, Verdict::Uncovered);
}

#[test]
fn one_document_can_be_previewed() {
    let rules = rules("[mongodb.c]\n\"*\" = \"mask\"\n_id = \"keep\"\n");
    let plan = rules.mongodb(&[collection("c")], &key()).unwrap();
    let out = plan.apply_one(0, &doc! { "_id": 1, "a": "xy" }.to_vec().unwrap()).unwrap();
    assert_eq!(
        mongodb::bson::Document::from_reader(out.as_slice()).unwrap(),
        doc! { "_id": 1, "a": "**" }
    );
}

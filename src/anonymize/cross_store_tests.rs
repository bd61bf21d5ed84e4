//! One person stays one person (promise 3), wherever the e-mail stands and however it is spelled.

use mongodb::bson::doc;

use super::testing::{copy, mongo, redis, table};
use crate::pipeline::transform::KeyKind;

const RULES: &str = r#"
[postgres."public.t"]
plain = { use = "email", link = "person.email", unique = true }
document = { json = { "$.to[*].mail" = { use = "email", link = "person.email" }, "$" = "keep" } }
list = { each = { use = "email", link = "person.email" } }
text = { json = { "$..mail" = { use = "email", link = "person.email", names = "keep" } } }
[mongodb.c]
mail = { use = "email", link = "person.email" }
"people[].mail" = { use = "email", link = "person.email" }
text = { json = { "$.mail" = { use = "email", link = "person.email" } } }
[redis."user:{person.email}"]
hash = { mail = { use = "email", link = "person.email" } }
string = { json = { "$.mail" = { use = "email", link = "person.email" } } }
"#;

#[test]
fn one_person_stays_one_person() {
    let table = table(
        "t",
        &[("plain", "text"), ("document", "jsonb"), ("list", "text[]"), ("text", "text")],
    );
    let rows = "ann@corp.example\t{\"to\": [{\"mail\": \"Ann@corp.example\"}]}\t{\" ANN@corp.example\"}\t\
                {\"a\":{\"mail\":\"ann@CORP.example\"}}\n";
    let row = copy(RULES, &table, rows).unwrap();
    let fields: Vec<&str> = row.trim_end().split('\t').collect();
    let fake = fields[0];
    assert!(fake.contains("@example.") && fake != "ann@corp.example", "{fake}");
    assert_eq!(fields[1], format!("{{\"to\": [{{\"mail\": \"{fake}\"}}]}}"));
    assert_eq!(fields[2], format!("{{{fake}}}"));
    assert_eq!(fields[3], format!("{{\"a\":{{\"mail\":\"{fake}\"}}}}"));

    let document = doc! {
        "mail": "ANN@corp.example",
        "people": [{ "mail": "ann@corp.example" }, { "mail": "bob@corp.example" }],
        "text": "{\"mail\":\"Ann@Corp.Example \"}",
    };
    let made = mongo(RULES, &document).unwrap();
    assert_eq!(made.get_str("mail").unwrap(), fake);
    let people = made.get_array("people").unwrap();
    assert_eq!(people[0].as_document().unwrap().get_str("mail").unwrap(), fake);
    assert_ne!(people[1].as_document().unwrap().get_str("mail").unwrap(), fake);
    assert_eq!(made.get_str("text").unwrap(), format!("{{\"mail\":\"{fake}\"}}"));

    let hash = [(Some("mail"), "ANN@CORP.EXAMPLE")];
    let (name, values) =
        redis(RULES, "user:Ann@corp.example", KeyKind::Hash, &hash).unwrap().unwrap();
    assert_eq!((name, values), (format!("user:{fake}"), vec![fake.to_owned()]));
    let string = [(None, "{\"mail\":\"ann@corp.example\"}")];
    let (_, values) =
        redis(RULES, "user:ann@corp.example", KeyKind::String, &string).unwrap().unwrap();
    assert_eq!(values, [format!("{{\"mail\":\"{fake}\"}}")]);
}

#[test]
fn numbers_and_uuids_are_one_across_types_too() {
    let rules = r#"
[postgres."public.t"]
id = { use = "uuid", link = "account" }
born = { use = "date_shift", link = "born" }
[mongodb.c]
id = { use = "uuid", link = "account" }
text = { use = "uuid", link = "account" }
born = { use = "date_shift", link = "born" }
"#;
    let table = table("t", &[("id", "uuid"), ("born", "date")]);
    let row = copy(rules, &table, "7f3a9c00-0000-4000-8000-000000000001\t2026-11-21\n").unwrap();
    let (id, born) = row.trim_end().split_once('\t').unwrap();
    let uuid = mongodb::bson::Uuid::parse_str("7f3a9c00-0000-4000-8000-000000000001").unwrap();
    let date = mongodb::bson::DateTime::parse_rfc3339_str("2026-11-21T03:00:00Z").unwrap();
    let document = doc! { "id": uuid, "text": "7F3A9C00000040008000000000000001", "born": date };
    let made = mongo(rules, &document).unwrap();
    assert_eq!(made.get_str("text").unwrap(), id);
    let mongodb::bson::Bson::Binary(binary) = made.get("id").unwrap() else { panic!() };
    assert_eq!(binary.to_uuid().unwrap().to_string(), id);
    let shifted = made.get_datetime("born").unwrap().try_to_rfc3339_string().unwrap();
    assert_eq!(shifted, format!("{born}T03:00:00Z"));
}

use std::fs;

use super::*;
use crate::anonymize::testing::{told, try_rules};
use crate::error::Kind;

#[test]
fn mistakes_name_file_line_and_what_was_meant() {
    for (text, expected) in [
        (
            "[postgres.\"a.b\"]\nx = \"emial\"\n",
            "t.toml:3: unknown transformer `emial` [did you mean `email`?]",
        ),
        (
            "[postgres.\"a.b\"]\nx = { use = \"email\", unqiue = true }\n",
            "t.toml:3: unknown parameter of `email` `unqiue` [did you mean `unique`?]",
        ),
        ("[postgres.\"a.b\"]\nx = { use = \"mask\", kep_last = 2 }\n", "did you mean `keep_last`?"),
        (
            "[postgres.\"a.b\"]\nx = { use = \"mask\", keep_last = \"2\" }\n",
            "t.toml:3: `keep_last` must be a whole number",
        ),
        (
            "[postgres.\"a.b\"]\nx = { use = \"mask\", keep_last = 200 }\n",
            "t.toml:3: `mask` `keep_last` must be between 0 and 64",
        ),
        (
            "[postgress.\"a.b\"]\nx = \"keep\"\n",
            "unknown key `postgress` [did you mean `postgres`?]",
        ),
        ("[postgres.\"a.b\"]\nx = 5\n", "t.toml:3: a rule is a name or a table"),
        ("[postgres.\"a.b\"]\nx.y = \"keep\"\n", "needs quotes"),
        ("[postgres.\"a.b\"]\nx = { use = \"email\", when = \"y\" }\n", "`when` is not built yet"),
        (
            "[postgres.\"a.b\"]\nx = { use = \"keep\", link = \"l\" }\n",
            "`keep` gives no identity to link",
        ),
        (
            "[postgres.\"a.b\"]\nx = { use = \"phone\", unique = true }\n",
            "`phone` cannot be unique",
        ),
        (
            "[postgres.\"a.b\"]\nx = { use = \"email\", on_error = \"ignore\" }\n",
            "on_error is fail, null or redact",
        ),
        ("[postgres.\"a.b\"]\nx = { json = {} }\n", "names no path"),
        (
            "[postgres.\"a.b\"]\nx = { json = { \"$\" = \"keep\" }, use = \"mask\" }\n",
            "cannot stand beside `json`",
        ),
        ("[postgres.\"a.b\"]\nx = { use = \"first_name\", part = \"last\" }\n", "already said"),
        ("[postgres.\"a.b\"]\nx = \"constant\"\n", "t.toml:3: `constant` needs a `value`"),
        ("[postgres.\"a.b\"]\nx = { use = \"choice\", values = [[1]] }\n", "must be a list"),
        ("[postgres.\"a.b\"]\nx = \"keep\"\nx = \"null\"\n", "t.toml:4"),
        ("[mongodb.\"a*\"]\nx = \"keep\"\n", "one collection"),
        ("[mongodb.a]\n\"x[0]\" = \"keep\"\n", "t.toml:3: path `x[0]`"),
        ("mongodb = 1\n", "must be a table"),
        ("[mongodb.a\n", "t.toml:2"),
    ] {
        let error = try_rules(text).err().unwrap_or_else(|| panic!("accepted: {text}"));
        assert_eq!(error.kind(), Kind::Usage, "{text}");
        assert!(told(&error).contains(expected), "{text}: {}", told(&error));
    }
}

#[test]
fn the_version_must_be_one() {
    let parse = |text: &str| RuleSet::parse(&[("v.toml".into(), text.into())]);
    assert!(parse("").unwrap_err().message().contains("`version = 1` is missing"));
    assert!(parse("\nversion = 2\n").unwrap_err().message().contains("v.toml:2"));
    assert!(parse("version = 1\n").is_ok());
}

#[test]
fn a_folder_is_read_in_the_order_of_names() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("b.toml", "version = 1\n[mongodb.b]\nx = \"keep\"\n");
    write("a.toml", "version = 1\n[postgres.\"s.a\"]\nx = \"keep\"\n");
    write("readme.txt", "not a rule");
    let rules = RuleSet::load(folder.path()).unwrap();
    assert_eq!(rules.files(), 2);
    assert!(rules.has(StoreKind::Postgres) && rules.has(StoreKind::Mongodb));
    assert!(!rules.has(StoreKind::Redis));
    let digest = rules.digest();
    assert_eq!(digest.len(), 64);
    assert_eq!(RuleSet::load(folder.path()).unwrap().digest(), digest);
    write("a.toml", "version = 1\n[postgres.\"s.a\"]\nx = \"null\"\n");
    assert_ne!(RuleSet::load(folder.path()).unwrap().digest(), digest);
    assert_eq!(RuleSet::load(&folder.path().join("no")).unwrap_err().kind(), Kind::Usage);
}

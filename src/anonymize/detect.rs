//! What a column probably holds, by its name and type: proposals, never decisions.

use crate::store::shape::{BaseType, Column, Table};

/// Rules that may suit a column, the best first, as rule files write them. Whether one fits the
/// type, the length and the indexes is for others to try; the last ones fit nearly everything.
pub(crate) fn candidates(table: &Table, column: &Column, unique: bool) -> Vec<String> {
    let words = words(&column.name);
    let mut found = match column.base {
        BaseType::Text => of_text(table, &words, unique),
        BaseType::Inet => vec![quoted("ip")],
        BaseType::Uuid => vec![quoted("uuid")],
        BaseType::Date | BaseType::Timestamp | BaseType::Timestamptz => of_date(table, &words),
        BaseType::Int2 | BaseType::Int4 | BaseType::Int8 | BaseType::Numeric | BaseType::Float => {
            of_number(table, column, &words)
        }
        BaseType::Bool | BaseType::Enum => vec![quoted("keep")],
        BaseType::Json | BaseType::Bytea | BaseType::Other => Vec::new(),
    };
    if unique && !found.iter().any(|rule| rule.contains("keep")) {
        found.push(quoted("hash"));
        if let Some(room) = column.max_chars.filter(|room| (8..64).contains(room)) {
            found.push(format!("{{ use = \"hash\", length = {room} }}"));
        }
        found.push(quoted("uuid"));
    }
    found.extend(["redact", "null", "keep"].map(quoted));
    if column.array {
        let each = found.iter().filter(|rule| !rule.contains("\"null\""));
        let mut each: Vec<String> = each.map(|rule| format!("{{ each = {rule} }}")).collect();
        each.extend(["null", "keep"].map(quoted));
        return each;
    }
    found
}

fn quoted(name: &str) -> String {
    format!("\"{name}\"")
}

/// The words of a name: `billingEmail_2` is billing, email, 2.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before = ' ';
    for letter in name.chars() {
        let begins = letter.is_uppercase() && before.is_lowercase();
        if !letter.is_alphanumeric() || begins {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut().filter(|_| letter.is_alphanumeric()) {
            word.extend(letter.to_lowercase());
        }
        before = letter;
    }
    words.retain(|word| !word.is_empty());
    words
}

fn any(words: &[String], of: &[&str]) -> bool {
    words.iter().any(|word| of.contains(&word.as_str()))
}

/// What is told apart by names of people: with the link that joins it over all stores, and without,
/// where the column is too short for that.
fn linked(name: &str, link: &str, unique: bool) -> Vec<String> {
    let unique = if unique { ", unique = true" } else { "" };
    vec![
        format!("{{ use = \"{name}\", link = \"{link}\"{unique} }}"),
        format!("{{ use = \"{name}\"{unique} }}"),
    ]
}

const PEOPLE: &[&str] = &[
    "user",
    "users",
    "person",
    "persons",
    "people",
    "customer",
    "customers",
    "contact",
    "contacts",
    "employee",
    "employees",
    "member",
    "members",
    "patient",
    "patients",
    "account",
    "accounts",
    "profile",
    "profiles",
    "author",
    "authors",
    "owner",
    "staff",
    "student",
    "students",
];

fn of_text(table: &Table, words: &[String], unique: bool) -> Vec<String> {
    let has = |of: &[&str]| any(words, of);
    if has(&[
        "token",
        "tokens",
        "secret",
        "hash",
        "password",
        "passwd",
        "digest",
        "salt",
        "otp",
        "session",
        "signature",
        "fingerprint",
        "encrypted",
        "apikey",
        "key",
    ]) {
        return vec![quoted("hash")];
    }
    if has(&["email", "mail", "emails"]) {
        return linked("email", "person.email", unique);
    }
    if has(&["phone", "mobile", "tel", "telephone", "fax", "cell", "msisdn"]) {
        return vec!["{ use = \"phone\", link = \"person.phone\" }".to_owned(), quoted("phone")];
    }
    if has(&["iban", "bic", "card", "ssn", "tax", "vat", "passport", "licence", "license"]) {
        return vec!["{ use = \"mask\", keep_last = 4 }".to_owned()];
    }
    if has(&["username", "login", "nick", "nickname", "handle"]) {
        return linked("username", "person.username", unique);
    }
    let name = has(&["name", "fullname", "surname", "firstname", "lastname"]);
    if name && has(&["first", "given", "firstname"]) {
        return vec![quoted("first_name")];
    }
    if name && has(&["last", "family", "surname", "lastname"]) {
        return vec![quoted("last_name")];
    }
    if has(&["company", "employer", "organization", "organisation"]) {
        return linked("company", "company.name", unique);
    }
    let of_person = any(&self::words(&table.name), PEOPLE)
        || has(&["full", "fullname", "display", "contact", "author", "owner"]);
    if name && of_person {
        return linked("name", "person.name", unique);
    }
    if has(&["street", "address", "addr", "line1", "line2"]) && !has(&["ip"]) {
        return vec![quoted("street")];
    }
    if has(&["city", "town"]) {
        return vec![quoted("city")];
    }
    if has(&["zip", "postcode", "postal", "zipcode"]) {
        return vec![quoted("postcode")];
    }
    if has(&["country"]) && !table.primary_key.is_empty() {
        return vec![quoted("country")];
    }
    if has(&["ip"]) {
        return vec![quoted("ip")];
    }
    if has(&["url", "uri", "link", "website", "homepage", "avatar"]) {
        let unique = if unique { "{ use = \"url\", unique = true }" } else { "\"url\"" };
        return vec![unique.to_owned()];
    }
    if has(&[
        "notes",
        "note",
        "comment",
        "comments",
        "description",
        "body",
        "message",
        "content",
        "bio",
        "about",
        "title",
        "subject",
        "text",
        "raw",
        "cooked",
        "excerpt",
        "summary",
    ]) {
        return vec![quoted("text")];
    }
    if has(&[
        "status", "state", "type", "kind", "locale", "language", "currency", "timezone", "version",
        "format", "mode", "level", "role",
    ]) {
        return vec![quoted("keep")];
    }
    Vec::new()
}

fn of_date(table: &Table, words: &[String]) -> Vec<String> {
    if any(
        words,
        &["birth", "birthday", "birthdate", "dob", "born", "death", "admission", "discharge"],
    ) {
        return vec![with_by(table, "date_shift")];
    }
    vec![quoted("keep")]
}

fn of_number(table: &Table, column: &Column, words: &[String]) -> Vec<String> {
    let amount = any(
        words,
        &[
            "amount",
            "price",
            "total",
            "balance",
            "salary",
            "cost",
            "fee",
            "income",
            "revenue",
            "wage",
            "tax",
            "latitude",
            "longitude",
            "lat",
            "lng",
        ],
    );
    if amount {
        return vec![with_by(table, "number_noise")];
    }
    if any(words, &["phone", "mobile"]) {
        return vec![quoted("phone")];
    }
    if matches!(column.base, BaseType::Numeric | BaseType::Float) {
        return vec![quoted("redact"), quoted("keep")];
    }
    vec![quoted("keep")]
}

/// The same offset or factor for all of one person, where a column tells who that is.
fn with_by(table: &Table, name: &str) -> String {
    let person = table.columns.iter().find(|column| {
        let words = words(&column.name);
        words.last().is_some_and(|word| word == "id") && any(&words, PEOPLE)
    });
    let by = person.map(|column| &column.name).or(match table.primary_key.as_slice() {
        [own] => Some(own),
        _ => None,
    });
    match by {
        Some(by) => format!("{{ use = \"{name}\", by = {} }}", super::paste::toml_text(by)),
        None => quoted(name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::anonymize::testing::table;

    #[test]
    fn names_and_types_propose_what_is_usual() {
        let mut users = table(
            "users",
            &[
                ("id", "integer"),
                ("billingEmail", "text"),
                ("first_name", "text"),
                ("name", "text"),
                ("api_token", "text"),
                ("birth_date", "date"),
                ("created_at", "date"),
                ("total", "numeric"),
                ("is_new", "boolean"),
                ("ip_address", "inet"),
                ("notes", "text"),
                ("emails", "text[]"),
                ("odd", "text"),
            ],
        );
        users.primary_key = vec!["id".into()];
        let best: Vec<String> = users
            .columns
            .iter()
            .map(|column| candidates(&users, column, false).swap_remove(0))
            .collect();
        assert_eq!(
            best,
            [
                "\"keep\"",
                "{ use = \"email\", link = \"person.email\" }",
                "\"first_name\"",
                "{ use = \"name\", link = \"person.name\" }",
                "\"hash\"",
                "{ use = \"date_shift\", by = \"id\" }",
                "\"keep\"",
                "{ use = \"number_noise\", by = \"id\" }",
                "\"keep\"",
                "\"ip\"",
                "\"text\"",
                "{ each = { use = \"email\", link = \"person.email\" } }",
                "\"redact\"",
            ]
        );
    }
}

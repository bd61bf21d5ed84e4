use super::*;
use crate::error::Kind;

/// Writes an archive as pg_dump of `version` does.
struct Writer {
    bytes: Vec<u8>,
    version: (u8, u8),
}

impl Writer {
    fn new(version: (u8, u8), entries: i64) -> Self {
        let mut writer = Self { bytes: b"PGDMP".to_vec(), version };
        writer.bytes.extend_from_slice(&[version.0, version.1, 0, 4, 8, 1]);
        if version >= (1, 15) {
            writer.bytes.push(0);
        } else {
            writer.int(0);
        }
        (0..7).for_each(|_| writer.int(1));
        ["database", "15.4", "15.4"].iter().for_each(|text| writer.text(Some(text)));
        writer.int(entries);
        writer
    }

    fn int(&mut self, number: i64) {
        self.bytes.push(u8::from(number < 0));
        self.bytes.extend_from_slice(&(number.unsigned_abs() as u32).to_le_bytes());
    }

    fn text(&mut self, text: Option<&str>) {
        self.int(text.map_or(-1, |text| text.len() as i64));
        self.bytes.extend_from_slice(text.unwrap_or_default().as_bytes());
    }

    fn entry(&mut self, kind: &str, tag: &str, definition: &str) {
        self.int(7);
        self.int(0);
        for text in ["1262", "5", tag, kind] {
            self.text(Some(text));
        }
        self.int(2);
        for text in [Some(definition), Some("DROP x"), None, Some("public"), None] {
            self.text(text);
        }
        if self.version >= (1, 14) {
            self.text(None);
        }
        if self.version >= (1, 16) {
            self.int(0);
        }
        for text in [Some("owner"), Some("false"), Some("12"), None] {
            self.text(text);
        }
        self.bytes.extend_from_slice(&[3, 0, 0, 0, 0, 0, 0, 0, 0]);
    }
}

fn archive(entries: &[(&str, &str, &str)], version: (u8, u8)) -> Archive {
    let mut writer = Writer::new(version, entries.len() as i64);
    entries.iter().for_each(|(kind, tag, definition)| writer.entry(kind, tag, definition));
    Archive::parse(writer.bytes).unwrap()
}

fn withheld(name: &str, value: &str) -> Withheld {
    Withheld { name: name.to_owned(), value: value.as_bytes().to_vec() }
}

#[test]
fn settings_of_the_database_are_taken_out_of_every_version() {
    for version in [(1, 12), (1, 13), (1, 14), (1, 15), (1, 16)] {
        let whole = archive(
            &[
                ("TABLE", "users", "CREATE TABLE public.users ();"),
                (
                    "DATABASE PROPERTIES",
                    "app",
                    "ALTER DATABASE app SET \"app.k\" TO 's3cret-value';",
                ),
                ("VIEW", "v", "CREATE VIEW public.v AS SELECT 1;"),
            ],
            version,
        );
        let withheld = [withheld("app.k", "s3cret-value")];
        assert_eq!(whole.refuse_withheld(&withheld).unwrap_err().kind(), Kind::Findings);
        let less = whole.without_settings().unwrap();
        assert!(less.refuse_withheld(&withheld).is_ok());
        let names: Vec<String> = less.entries().iter().map(Entry::name).collect();
        assert_eq!(names, ["public.users", "public.v"], "{version:?}");
    }
}

#[test]
fn withheld_values_are_found_in_every_spelling_and_never_told() {
    for (value, body) in [
        ("it's a secret", "SELECT 'it''s a secret'"),
        ("back\\slash-value", "SELECT E'back\\\\slash-value'"),
        ("plain-secret-1", "-- plain-secret-1"),
        ("two'times quoted", "EXECUTE 'SELECT ''two''''times quoted'' '"),
        ("four\\times' it", "EXECUTE E'SELECT E''four\\\\\\\\times'''' it'''"),
        ("a \"b\" c long", "COMMENT ON x IS 'a \"b\" c long'"),
    ] {
        let held = archive(&[("FUNCTION", "f()", body)], (1, 14));
        let error = held.refuse_withheld(&[withheld("app.x", value)]).unwrap_err();
        assert!(error.message().contains("the function public.f()"), "{error}");
        assert!(error.message().contains("app.x") && !error.message().contains(value), "{error}");
    }
    let latin = Withheld { name: "app.x".to_owned(), value: b"stra\xdfe-von-mir".to_vec() };
    let mut bytes = archive(&[("FUNCTION", "f()", "xstra?e-von-mirx")], (1, 14)).into_bytes();
    let at = memchr::memchr(b'?', &bytes).unwrap();
    bytes[at] = 0xdf;
    assert!(Archive::parse(bytes).unwrap().refuse_withheld(&[latin]).is_err());
    let named = archive(&[("TABLE", "production", "CREATE TABLE public.production ()")], (1, 14));
    assert!(named.refuse_withheld(&[withheld("app.env", "production")]).is_ok(), "a name is told");
    let short = archive(&[("FUNCTION", "f()", "SELECT 'on'")], (1, 14));
    assert!(short.refuse_withheld(&[withheld("app.debug", "on")]).is_ok());
}

#[test]
fn credentials_are_told_by_object_and_option() {
    let held = archive(
        &[
            (
                "FOREIGN TABLE",
                "rates",
                "CREATE FOREIGN TABLE public.rates (a text OPTIONS (column_name 'a')) SERVER s \
                 OPTIONS (\n    program 'curl -H \"Authorization: Bearer abcd\" https://x',\n    \
                 format 'csv'\n);",
            ),
            (
                "SERVER",
                "s",
                "CREATE SERVER s FOREIGN DATA WRAPPER w OPTIONS (host 'db', \"api_key\" 'it''s');",
            ),
            (
                "SERVER",
                "fine",
                "CREATE SERVER fine FOREIGN DATA WRAPPER w OPTIONS (host 'db', port '1');",
            ),
            ("FUNCTION", "g()", "$$ select dblink('host=a user=b password=c', 'x') $$"),
            ("FUNCTION", "h()", "$$ update u set password = crypt(new.password, 'x') $$"),
        ],
        (1, 14),
    );
    assert_eq!(
        held.credentials(),
        [
            "the option `program` of the foreign table public.rates",
            "the option `api_key` of the server public.s",
            "a connection string with a password in the function public.g()",
        ]
    );
}

#[test]
fn what_holds_literals_is_named() {
    let held = archive(
        &[
            ("INDEX", "i", "CREATE INDEX i ON t USING btree (a) WHERE (b = 'x'::text);"),
            ("INDEX", "plain", "CREATE INDEX plain ON t USING btree (a);"),
            ("TABLE", "t", "CREATE TABLE t (a text DEFAULT 'x'::text NOT NULL);"),
            ("POLICY", "t p", "CREATE POLICY p ON t TO bob USING (true);"),
            ("TYPE", "mood", "CREATE TYPE mood AS ENUM (\n 'sad');"),
        ],
        (1, 15),
    );
    let told: Vec<(&str, usize)> =
        held.carried().iter().map(|found| (found.kind, found.names.len())).collect();
    assert_eq!(
        told,
        [
            ("defaults", 1),
            ("index predicates", 1),
            ("policies", 1),
            ("enum labels", 1),
            ("role names in grants", 1),
            ("role names of owners", 1),
        ]
    );
}

#[test]
fn what_is_not_understood_is_refused() {
    let mut writer = Writer::new((1, 17), 0);
    assert!(Archive::parse(writer.bytes).is_err(), "a later version");
    writer = Writer::new((1, 14), 2);
    writer.entry("TABLE", "t", "x");
    let torn = writer.bytes.clone();
    assert!(Archive::parse(torn).is_err(), "an entry is missing");
    writer.entry("TABLE", "u", "y");
    let whole = writer.bytes.clone();
    assert!(Archive::parse(whole.clone()).is_ok());
    for cut in [0, 4, 20, whole.len() - 1] {
        assert!(Archive::parse(whole[..cut].to_vec()).is_err(), "{cut}");
    }
    let more = [whole, b"data".to_vec()].concat();
    assert!(Archive::parse(more).is_err(), "data behind it");
    assert!(Archive::parse(b"PGDMPx".to_vec()).is_err());
    for kind in ["TABLE DATA", "BLOBS", "BLOB METADATA", "SEQUENCE SET"] {
        writer = Writer::new((1, 16), 1);
        writer.entry(kind, "t", "");
        assert!(Archive::parse(writer.bytes).is_err(), "{kind}");
    }
}

#[test]
fn statistics_which_are_made_of_rows_are_left_out() {
    let values = "SELECT pg_catalog.pg_restore_attribute_stats('most_common_vals', '{Jane Doe}')";
    let held = archive(
        &[
            ("TABLE", "t", "CREATE TABLE public.t ();"),
            ("STATISTICS DATA", "t", values),
            ("EXTENDED STATISTICS DATA", "s", values),
            ("STATISTICS", "s", "CREATE STATISTICS public.s ON ((a)) FROM public.t;"),
        ],
        (1, 16),
    );
    let cleared = held.without_settings().unwrap();
    assert_eq!(cleared.entries().len(), 2);
    assert!(memchr::memmem::find(&cleared.into_bytes(), b"Jane Doe").is_none());
}

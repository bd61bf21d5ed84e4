//! What went in comes out: every kind of column, table and name.

use pfdata::store::postgres::{TableRef, Target, swap};
use pfdata::store::shape::BaseType;

use crate::{Carried, Scratch};

const AWKWARD: &str = include_str!("awkward.sql");

#[tokio::test]
async fn every_kind_of_table_comes_back_with_equal_digests() {
    let source = Scratch::new(AWKWARD).await;
    let target = Scratch::absent();
    let carried = Carried::from(&source.endpoint).await;
    let loaded = Target::prepare(&target.endpoint, carried.options()).await.unwrap();
    carried.load(&loaded).await;

    let mut reader = carried.source.reader().await.unwrap();
    let catalog = loaded.catalog().await.unwrap();
    let names = |catalog: &pfdata::store::postgres::catalog::Catalog| -> Vec<String> {
        catalog.tables.iter().map(pfdata::store::shape::Table::full_name).collect()
    };
    assert_eq!(names(&catalog), names(carried.source.catalog()));
    let mut rows = 0;
    for table in &carried.source.catalog().tables {
        let table = TableRef::from(table);
        let before = reader.digest(&table, pfdata::store::postgres::Slice::All).await.unwrap();
        let after = loaded.digest(&table).await.unwrap();
        assert_eq!(before, after, "{}", table.full_name());
        assert_eq!(loaded.count(&table).await.unwrap(), before.0);
        rows += before.0;
    }
    assert!(rows > 40, "{rows}");
    carried.source.finish().await.unwrap();

    swap::swap(&target.endpoint).await.unwrap();
    for query in [
        "SELECT string_agg(id::text, ',' ORDER BY id) FROM app.\"we\"\"ird. na\nmé 表\"",
        "SELECT md5(string_agg(t::text, '' ORDER BY id)) FROM app.kinds t",
        "SELECT count(*) FROM app.nothing",
        "SELECT string_agg(total::text, ',' ORDER BY total) FROM app.totals",
        "SELECT string_agg(twice::text, ',' ORDER BY id) FROM app.generated",
        "SELECT count(*) FROM ONLY app.parent",
        "SELECT count(*) FROM app.parent",
        "SELECT string_agg(md5(lo_get(oid)), ',' ORDER BY oid) FROM pg_largeobject_metadata",
        "SELECT string_agg(c.relname || c.relpersistence::text, ',' ORDER BY c.relname) \
           FROM pg_class c WHERE relnamespace = 'app'::regnamespace",
        "SELECT last_value::text || is_called FROM app.\"se'q\"",
        "SELECT last_value::text || is_called FROM app.identity_id_seq",
        "SELECT string_agg(conname || convalidated::text, ',' ORDER BY conname) \
           FROM pg_constraint WHERE connamespace = 'app'::regnamespace",
    ] {
        assert_eq!(target.value(query).await, source.value(query).await, "{query}");
    }
    let next = "INSERT INTO app.identity (name) VALUES ('next') RETURNING id";
    assert_eq!(target.value(next).await, "1001");
}

#[tokio::test]
async fn the_catalog_tells_what_rules_need() {
    let source = Scratch::new(AWKWARD).await;
    let carried = Carried::from(&source.endpoint).await;
    let catalog = carried.source.catalog();
    let table = |name: &str| catalog.tables.iter().find(|table| table.name == name).unwrap();

    let kinds = table("kinds");
    let column = |name: &str| kinds.columns.iter().find(|column| column.name == name).unwrap();
    assert!(kinds.columns.iter().all(|column| column.name != "dropped"));
    let limited = column("limited");
    assert_eq!((limited.max_chars, limited.base), (Some(40), BaseType::Text));
    let domain = column("mail");
    assert_eq!((domain.base, domain.not_null, domain.max_chars), (BaseType::Text, true, Some(90)));
    let array = column("words");
    assert!(array.array && array.base == BaseType::Text && array.type_name == "text[]");
    assert_eq!(column("mood").base, BaseType::Enum);
    assert_eq!(column("moods").base, BaseType::Enum);
    assert_eq!(column("pair").base, BaseType::Other);
    assert_eq!(column("document").base, BaseType::Json);

    let generated = table("generated");
    assert_eq!(generated.columns.len(), 2);
    assert!(generated.unique.contains(&vec!["label".to_owned()]), "{:?}", generated.unique);
    let key = &table("child_of_key").foreign_keys[0];
    assert_eq!(
        (key.target_table.as_str(), &key.target_columns[..]),
        ("identity", &["id".to_owned()][..])
    );
    assert_eq!(table("checked").checks[0].1, ["low", "high"]);
    let leaf = table("events_2026_a");
    let parents: Vec<&str> = leaf.parents.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(parents, ["events_2026", "events"]);
    assert!(catalog.tables.iter().all(|table| table.name != "events"));
    assert_eq!(catalog.large_objects, 3);
    assert_eq!(catalog.materialized_views.len(), 3);
}

#[tokio::test]
async fn large_tables_are_read_in_slices_that_add_up() {
    let source = Scratch::new(
        "CREATE TABLE public.wide (id int, filler text);
         ALTER TABLE public.wide ALTER filler SET STORAGE EXTERNAL;
         INSERT INTO public.wide SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 90000) i;
         DELETE FROM public.wide WHERE id % 7 = 0",
    )
    .await;
    let carried = Carried::from(&source.endpoint).await;
    let parts = carried.source.parts();
    let ranges = carried.source.catalog().server.major() >= 14;
    assert_eq!(parts.len() > 1, ranges, "{parts:?}");
    assert!(parts.windows(2).all(|pair| pair[0].bytes_estimate >= pair[1].bytes_estimate));
    let mut reader = carried.source.reader().await.unwrap();
    let table = carried.source.table(&parts[0]).unwrap();
    let whole = reader.digest(&table, pfdata::store::postgres::Slice::All).await.unwrap();
    let (mut rows, mut sum) = (0, pfdata::pipeline::digest::ContentDigest::default());
    for part in &parts {
        let (count, digest) = reader.digest(&table, part.slice).await.unwrap();
        rows += count;
        sum.merge(digest);
    }
    assert_eq!((rows, sum), whole);
    let expected = source.value("SELECT count(*) FROM public.wide").await;
    assert_eq!(rows.to_string(), expected);

    let target = Scratch::absent();
    let loaded = Target::prepare(&target.endpoint, carried.options()).await.unwrap();
    carried.load(&loaded).await;
    assert_eq!(loaded.digest(&table).await.unwrap(), whole);
}

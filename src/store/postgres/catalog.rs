//! What a database holds, as of the session's snapshot: tables, sequences, and the rest by name.

use std::collections::HashMap;

use tokio_postgres::{Client, Row};

use super::reason::OrPostgres;
use super::types::Types;
use crate::error::{Error, Result};
use crate::store::shape::{Column, ForeignKey, Table};

/// What a database holds.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// Tables with rows of their own, by schema and name.
    pub tables: Vec<Table>,
    /// What only this store needs to know of them, in the order of `tables`.
    pub storage: Vec<Storage>,
    /// Sequences, those of identity and serial columns too, as (schema, name).
    pub sequences: Vec<(String, String)>,
    /// Materialized views.
    pub materialized_views: Vec<MaterializedView>,
    /// Foreign tables, as `schema.table`: their definition is carried, their rows are not ours.
    pub foreign_tables: Vec<String>,
    /// How many large objects there are.
    pub large_objects: u64,
    /// The server and the database.
    pub server: Server,
    /// Extensions, by name.
    pub extensions: Vec<String>,
    /// What of the schema holds credentials that the session's role can see, and that an archive
    /// of the schema would hold too; one phrase each.
    pub credentials: Vec<String>,
    /// What a snapshot does not carry, or only in part; one sentence each.
    pub unsupported: Vec<String>,
}

/// How the rows of a table are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Storage {
    /// `pg_class.relfilenode`: another number means that the rows were truncated or rewritten.
    pub filenode: u32,
    /// Whether it is an ordinary heap, whose rows have a ctid to split by.
    pub heap: bool,
    /// Whether it is unlogged, and so empty on a standby.
    pub unlogged: bool,
}

/// A materialized view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MaterializedView {
    /// Schema name, as stored.
    pub schema: String,
    /// View name, as stored.
    pub name: String,
    /// Whether it holds rows (`WITH NO DATA` and never refreshed: no).
    pub populated: bool,
}

/// The server and the database that a session is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `server_version`, as the server writes it.
    pub version: String,
    /// `server_version_num`, such as 150018.
    pub version_num: u32,
    /// `server_encoding` of the database.
    pub encoding: String,
    /// Whether it is a standby.
    pub in_recovery: bool,
    /// `pg_control_system().system_identifier`, as text.
    pub system_identifier: String,
    /// The database's name.
    pub database: String,
}

impl Server {
    /// The major version.
    pub fn major(&self) -> u32 {
        self.version_num / 10_000
    }
}

const TABLES: &str = include_str!("../../../sql/catalog/tables.sql");
const COLUMNS: &str = include_str!("../../../sql/catalog/columns.sql");
const UNIQUES: &str = include_str!("../../../sql/catalog/uniques.sql");
const PARTITION_KEYS: &str = include_str!("../../../sql/catalog/partition_keys.sql");
const CONSTRAINTS: &str = include_str!("../../../sql/catalog/constraints.sql");
const PARENTS: &str = include_str!("../../../sql/catalog/parents.sql");
const RELATIONS: &str = include_str!("../../../sql/catalog/relations.sql");
const SERVER: &str = include_str!("../../../sql/catalog/server.sql");
const UNSUPPORTED: &str = include_str!("../../../sql/catalog/unsupported.sql");

/// Reads the catalog of the session's database; `schemas` empty means all of it.
///
/// # Errors
///
/// Exit 1 if the server refuses a query, exit 12 if the connection is lost, exit 2 if a
/// configured schema does not exist.
pub async fn read(client: &Client, schemas: &[String]) -> Result<Catalog> {
    let failed = || "the catalog cannot be read";
    let (server, large_objects) = read_server(client).await?;
    let schemas = schemas.to_vec();
    check_schemas(client, &schemas).await?;
    let (mut tables, storage) = read_tables(client, &schemas).await?;
    read_details(client, &mut tables).await?;

    let mut catalog = Catalog {
        tables,
        storage,
        sequences: Vec::new(),
        materialized_views: Vec::new(),
        foreign_tables: Vec::new(),
        large_objects,
        server,
        extensions: Vec::new(),
        credentials: Vec::new(),
        unsupported: Vec::new(),
    };
    for row in client.query(RELATIONS, &[&schemas]).await.or_postgres(failed)? {
        let (kind, schema, name): (String, String, String) = (row.get(0), row.get(1), row.get(2));
        match kind.as_str() {
            "S" => catalog.sequences.push((schema, name)),
            "m" => {
                let populated = row.get(3);
                catalog.materialized_views.push(MaterializedView { schema, name, populated });
            }
            _ => catalog.foreign_tables.push(format!("{schema}.{name}")),
        }
    }
    read_unsupported(client, &mut catalog).await?;
    Ok(catalog)
}

/// The server alone, and the number of large objects.
pub async fn read_server(client: &Client) -> Result<(Server, u64)> {
    let row =
        client.query_one(SERVER, &[]).await.or_postgres(|| "the server's state is unknown")?;
    let server = Server {
        version: row.get("version"),
        version_num: unsigned(row.get::<_, i32>("version_num").into()),
        encoding: row.get("encoding"),
        in_recovery: row.get("in_recovery"),
        system_identifier: row.get("system_identifier"),
        database: row.get("database"),
    };
    Ok((server, row.get::<_, i64>("large_objects").unsigned_abs()))
}

fn unsigned(number: i64) -> u32 {
    u32::try_from(number).unwrap_or_default()
}

async fn check_schemas(client: &Client, schemas: &Vec<String>) -> Result<()> {
    let missing = "SELECT s FROM pg_catalog.unnest($1::text[]) s \
                   WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.nspname = s)";
    let rows = client.query(missing, &[schemas]).await.or_postgres(|| "schemas cannot be read")?;
    match rows.first() {
        Some(row) => {
            let name: String = row.get(0);
            Err(Error::usage(format!("the database has no schema `{name}`"))
                .hint("correct `database.postgres.schemas`"))
        }
        None => Ok(()),
    }
}

async fn read_tables(client: &Client, schemas: &Vec<String>) -> Result<(Vec<Table>, Vec<Storage>)> {
    let rows = client.query(TABLES, &[schemas]).await.or_postgres(|| "tables cannot be read")?;
    let table = |row: &Row| Table {
        oid: unsigned(row.get(0)),
        schema: row.get(1),
        name: row.get(2),
        columns: Vec::new(),
        parents: Vec::new(),
        unique: Vec::new(),
        nulls_equal: Vec::new(),
        partition_key: Vec::new(),
        primary_key: Vec::new(),
        foreign_keys: Vec::new(),
        checks: Vec::new(),
        rows_estimate: row.get::<_, i64>("rows_estimate").unsigned_abs(),
        pages: row.get::<_, i64>("pages").unsigned_abs(),
        bytes: row.get::<_, i64>("bytes").unsigned_abs(),
    };
    let storage = |row: &Row| Storage {
        filenode: unsigned(row.get(3)),
        unlogged: row.get("unlogged"),
        heap: row.get("heap"),
    };
    Ok((rows.iter().map(table).collect(), rows.iter().map(storage).collect()))
}

async fn read_details(client: &Client, tables: &mut [Table]) -> Result<()> {
    let failed = || "the tables' definitions cannot be read";
    let oids: Vec<i64> = tables.iter().map(|table| table.oid.into()).collect();
    let places: HashMap<i64, usize> =
        oids.iter().enumerate().map(|(place, oid)| (*oid, place)).collect();
    let place = |row: &Row| places.get(&row.get::<_, i64>(0)).copied();
    let types = Types::read(client).await?;

    for row in client.query(COLUMNS, &[&oids]).await.or_postgres(failed)? {
        let Some(place) = place(&row) else { continue };
        tables[place].columns.push(column(&row, &types));
    }
    for row in client.query(UNIQUES, &[&oids]).await.or_postgres(failed)? {
        let Some(place) = place(&row) else { continue };
        if row.get("indisprimary") {
            tables[place].primary_key = row.get("columns");
        }
        if row.get("nulls_equal") {
            tables[place].nulls_equal.extend(row.get::<_, Vec<String>>("columns"));
        }
        tables[place].unique.push(row.get("columns"));
    }
    for row in client.query(PARTITION_KEYS, &[&oids]).await.or_postgres(failed)? {
        let Some(place) = place(&row) else { continue };
        tables[place].partition_key = row.get("columns");
    }
    for row in client.query(CONSTRAINTS, &[&oids]).await.or_postgres(failed)? {
        let Some(place) = place(&row) else { continue };
        let (name, columns) = (row.get("conname"), row.get("columns"));
        if row.get("is_foreign_key") {
            tables[place].foreign_keys.push(ForeignKey {
                name,
                columns,
                target_schema: row.get("target_schema"),
                target_table: row.get("target_table"),
                target_columns: row.get("target_columns"),
            });
        } else {
            tables[place].checks.push((name, columns));
        }
    }
    for row in client.query(PARENTS, &[&oids]).await.or_postgres(failed)? {
        let Some(place) = place(&row) else { continue };
        tables[place].parents.push((row.get(1), row.get(2)));
    }
    Ok(())
}

fn column(row: &Row, types: &Types) -> Column {
    let resolved = types.resolve(unsigned(row.get("atttypid")), row.get("atttypmod"));
    let not_null: bool = row.get("attnotnull");
    Column {
        name: row.get("attname"),
        type_name: row.get("type_name"),
        base: resolved.base,
        array: resolved.array,
        not_null: not_null || resolved.not_null,
        max_chars: resolved.max_chars,
        spelling: resolved.spelling,
        inherited: row.get("inherited"),
        serial: row.get("serial"),
    }
}

async fn read_unsupported(client: &Client, catalog: &mut Catalog) -> Result<()> {
    let failed = || "extensions and other objects cannot be read";
    let mut remarks = Vec::new();
    for row in client.query(UNSUPPORTED, &[]).await.or_postgres(failed)? {
        let (kind, name): (String, String) = (row.get(0), row.get(1));
        match kind.as_str() {
            "extension" => catalog.extensions.push(name),
            "credentials" => catalog.credentials.push(name),
            "extension-table" => remarks
                .push(format!("rows of {name}, which belongs to an extension, are not carried")),
            "user-mapping" => remarks.push(format!(
                "the user mapping {name} stands in the schema archive and is never restored"
            )),
            "subscription" => remarks.push(format!(
                "the subscription {name} stands in the schema archive and is never restored"
            )),
            "security-label" => remarks.push(format!(
                "security labels of the provider {name} need that provider on the target"
            )),
            _ => {}
        }
    }
    for table in &catalog.foreign_tables {
        remarks.push(format!("rows of the foreign table {table} are not carried"));
    }
    catalog.unsupported = remarks;
    Ok(())
}

//! Sequences: where they stand, and the statements that put them there again.

use super::connect::Session;
use super::quote::{literal, qualified};
use super::reason::OrPostgres;
use super::reason::is_gone;
use crate::error::Result;

/// How many sequences one statement reads.
const BATCH: usize = 100;

/// Where a sequence stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// Schema name, as stored.
    pub schema: String,
    /// Sequence name, as stored.
    pub name: String,
    /// `last_value`.
    pub last_value: i64,
    /// Whether `last_value` was handed out.
    pub is_called: bool,
}

/// Reads the given sequences; `None` if one of them is gone. Sequences know no snapshots: read
/// after the snapshot was taken, each is at or beyond every value that the snapshot holds.
pub(super) async fn read(
    session: &Session,
    names: &[(String, String)],
) -> Result<Option<Vec<Sequence>>> {
    let mut found = Vec::with_capacity(names.len());
    for batch in names.chunks(BATCH) {
        let selects: Vec<String> = batch
            .iter()
            .enumerate()
            .map(|(number, (schema, name))| {
                let relation = qualified(schema, name);
                format!("SELECT {number}::int8, last_value, is_called FROM {relation}")
            })
            .collect();
        let rows = match session.query(&selects.join(" UNION ALL "), &[]).await {
            Ok(rows) => rows,
            Err(error) if is_gone(&error) => return Ok(None),
            Err(error) => return Err(error).or_postgres(|| "sequences cannot be read"),
        };
        for row in rows {
            let number = usize::try_from(row.get::<_, i64>(0)).unwrap_or_default();
            let Some((schema, name)) = batch.get(number) else { continue };
            found.push(Sequence {
                schema: schema.clone(),
                name: name.clone(),
                last_value: row.get(1),
                is_called: row.get(2),
            });
        }
    }
    Ok(Some(found))
}

/// `SELECT setval(…)` for each, one a line unless a name holds a line feed.
pub fn to_sql(sequences: &[Sequence]) -> String {
    let mut sql =
        String::from("-- Where the sequences stood; to be run after the data is loaded.\n");
    for sequence in sequences {
        let name = qualified(&sequence.schema, &sequence.name);
        sql.push_str(&format!(
            "SELECT pg_catalog.setval({}, {}, {});\n",
            literal(&name).trim_start(),
            sequence.last_value,
            sequence.is_called
        ));
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_survive_two_layers_of_quotes() {
        let sequence = Sequence {
            schema: "a'b".into(),
            name: "c\"d\\".into(),
            last_value: -5,
            is_called: false,
        };
        let sql = to_sql(&[sequence]);
        let line = sql.lines().nth(1).unwrap();
        assert_eq!(line, r#"SELECT pg_catalog.setval(E'"a''b"."c""d\\"', -5, false);"#);
    }
}

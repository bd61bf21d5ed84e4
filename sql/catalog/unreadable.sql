-- What the role cannot read, or could read only in part. $1: schemas, empty for all.
SELECT n.nspname || '.' || c.relname AS name,
       CASE WHEN NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE') THEN 'no usage of the schema'
            WHEN c.relkind = 'S' THEN 'no select'
            WHEN NOT pg_catalog.has_table_privilege(c.oid, 'SELECT') THEN 'no select'
            ELSE 'row security' END AS why
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'S')
   AND c.relpersistence IN ('p', 'u')
   AND n.nspname !~ '^pg_'
   AND n.nspname <> 'information_schema'
   AND (pg_catalog.cardinality($1::text[]) = 0 OR n.nspname::text = ANY ($1::text[]))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
   AND (NOT pg_catalog.has_schema_privilege(n.oid, 'USAGE')
        OR CASE c.relkind WHEN 'S' THEN NOT pg_catalog.has_sequence_privilege(c.oid, 'SELECT')
                ELSE NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')
                     OR pg_catalog.row_security_active(c.oid) END)
 ORDER BY 1

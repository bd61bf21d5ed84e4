-- Everything else that has a name of its own: sequences, materialized views, foreign tables.
-- $1: schemas, empty for all.
SELECT c.relkind::text,
       n.nspname::text,
       c.relname::text,
       c.relispopulated
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('S', 'm', 'f')
   AND c.relpersistence IN ('p', 'u')
   AND n.nspname !~ '^pg_'
   AND n.nspname <> 'information_schema'
   AND (pg_catalog.cardinality($1::text[]) = 0 OR n.nspname::text = ANY ($1::text[]))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY 1, n.nspname::text COLLATE "C", c.relname::text COLLATE "C"

-- Tables that hold rows of their own: ordinary tables, leaf partitions, inheritance parents.
-- $1: schemas, empty for all. Members of extensions are the extensions' business.
SELECT c.oid::int8,
       n.nspname::text,
       c.relname::text,
       c.relfilenode::int8,
       c.relpersistence = 'u' AS unlogged,
       coalesce(a.amname = 'heap', false) AS heap,
       greatest(c.reltuples, 0)::float8::int8 AS rows_estimate,
       coalesce(pg_catalog.pg_relation_size(c.oid), 0)
           / pg_catalog.current_setting('block_size')::int8 AS pages,
       coalesce(pg_catalog.pg_table_size(c.oid), 0) AS bytes
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_am a ON a.oid = c.relam
 WHERE c.relkind = 'r'
   AND c.relpersistence IN ('p', 'u')
   AND n.nspname !~ '^pg_'
   AND n.nspname <> 'information_schema'
   AND (pg_catalog.cardinality($1::text[]) = 0 OR n.nspname::text = ANY ($1::text[]))
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY n.nspname::text COLLATE "C", c.relname::text COLLATE "C"

-- The columns that COPY carries, in its order: neither dropped nor generated.
-- $1: table oids.
SELECT a.attrelid::int8,
       a.attname::text,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name,
       a.atttypid::int8,
       a.atttypmod::int4,
       a.attnotnull,
       a.attinhcount > 0 AS inherited,
       a.attidentity <> ''
           OR EXISTS (SELECT FROM pg_catalog.pg_depend d
                       WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                         AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                         AND d.refobjid = a.attrelid AND d.refobjsubid = a.attnum
                         AND d.deptype = 'a'
                         AND EXISTS (SELECT FROM pg_catalog.pg_class s
                                      WHERE s.oid = d.objid AND s.relkind = 'S')) AS serial,
       a.attnum::int4
  FROM pg_catalog.pg_attribute a
 WHERE a.attrelid = ANY ($1::int8[]::oid[])
   AND a.attnum > 0
   AND NOT a.attisdropped
   AND a.attgenerated = ''
 ORDER BY a.attrelid, a.attnum

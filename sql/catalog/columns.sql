-- The columns that COPY carries, in its order: neither dropped nor generated.
-- $1: table oids.
SELECT a.attrelid::int8,
       a.attname::text,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type_name,
       a.atttypid::int8,
       a.atttypmod::int4,
       a.attnotnull,
       a.attnum::int4
  FROM pg_catalog.pg_attribute a
 WHERE a.attrelid = ANY ($1::int8[]::oid[])
   AND a.attnum > 0
   AND NOT a.attisdropped
   AND a.attgenerated = ''
 ORDER BY a.attrelid, a.attnum

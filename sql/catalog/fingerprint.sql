-- What must not have changed between the snapshot and the locks: which table it is, where its
-- rows are stored, and its columns. Run in the snapshot and outside it, and compared.
-- $1: table oids.
SELECT c.oid::int8,
       pg_catalog.concat_ws(E'\n', n.nspname, c.relname, c.relfilenode,
           (SELECT pg_catalog.string_agg(
                       pg_catalog.concat_ws(' ', a.attnum, a.atttypid, a.atttypmod,
                                            a.attgenerated::text, a.attname),
                       E'\n' ORDER BY a.attnum)
              FROM pg_catalog.pg_attribute a
             WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)) AS fingerprint
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.oid = ANY ($1::int8[]::oid[])
 ORDER BY c.oid

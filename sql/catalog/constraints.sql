-- Foreign keys and checks. The copies that a foreign key to a partitioned table leaves for each
-- referenced partition are left out. $1: table oids.
SELECT k.conrelid::int8,
       k.conname::text,
       k.contype = 'f' AS is_foreign_key,
       coalesce((SELECT pg_catalog.array_agg(a.attname::text ORDER BY u.position)
                   FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY u (attnum, position)
                   JOIN pg_catalog.pg_attribute a
                     ON a.attrelid = k.conrelid AND a.attnum = u.attnum), '{}') AS columns,
       coalesce(n.nspname::text, '') AS target_schema,
       coalesce(t.relname::text, '') AS target_table,
       coalesce((SELECT pg_catalog.array_agg(a.attname::text ORDER BY u.position)
                   FROM pg_catalog.unnest(k.confkey) WITH ORDINALITY u (attnum, position)
                   JOIN pg_catalog.pg_attribute a
                     ON a.attrelid = k.confrelid AND a.attnum = u.attnum), '{}') AS target_columns
  FROM pg_catalog.pg_constraint k
  LEFT JOIN pg_catalog.pg_constraint p ON p.oid = k.conparentid
  LEFT JOIN pg_catalog.pg_class t ON t.oid = k.confrelid
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.relnamespace
 WHERE k.conrelid = ANY ($1::int8[]::oid[])
   AND k.contype IN ('f', 'c')
   AND (p.oid IS NULL OR p.conrelid <> k.conrelid)
 ORDER BY k.conrelid, k.conname::text COLLATE "C"

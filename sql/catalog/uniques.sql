-- Unique and exclusion indexes: the key columns, and, where there are expressions or a
-- predicate, every column that the index depends on. $1: table oids.
SELECT i.indrelid::int8,
       i.indexrelid::int8,
       i.indisprimary,
       pg_catalog.array_agg(DISTINCT a.attname::text) AS columns
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum > 0
 WHERE i.indrelid = ANY ($1::int8[]::oid[])
   AND (i.indisunique OR i.indisexclusion)
   AND (a.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
        OR ((i.indexprs IS NOT NULL OR i.indpred IS NOT NULL)
            AND EXISTS (SELECT FROM pg_catalog.pg_depend d
                         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                           AND d.objid = i.indexrelid
                           AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                           AND d.refobjid = i.indrelid
                           AND d.refobjsubid = a.attnum)))
 GROUP BY i.indrelid, i.indexrelid, i.indisprimary
 ORDER BY i.indrelid, i.indexrelid

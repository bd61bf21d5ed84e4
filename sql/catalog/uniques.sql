-- Unique and exclusion indexes: the key columns, and, where there are expressions or a
-- predicate, every column that the index depends on. Of a generated column those that it is made
-- of. Servers before 15 tell all nulls apart. $1: table oids.
SELECT i.indrelid::int8,
       i.indexrelid::int8,
       i.indisprimary,
       coalesce((pg_catalog.to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false) AS nulls_equal,
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
                           AND d.refobjsubid = a.attnum))
        OR EXISTS (SELECT FROM pg_catalog.pg_attribute g
                     JOIN pg_catalog.pg_depend d
                       ON d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.refobjid = i.indrelid AND d.refobjsubid = a.attnum
                    WHERE g.attrelid = i.indrelid AND g.attgenerated <> '' AND a.attgenerated = ''
                      AND (g.attnum = ANY ((i.indkey::int2[])[0:i.indnkeyatts - 1])
                           OR EXISTS (SELECT FROM pg_catalog.pg_depend x
                                       WHERE x.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                         AND x.objid = i.indexrelid
                                         AND x.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                         AND x.refobjid = i.indrelid
                                         AND x.refobjsubid = g.attnum))
                      AND ((d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                            AND d.objid = i.indrelid AND d.objsubid = g.attnum)
                           OR (d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass
                               AND d.objid IN (SELECT f.oid FROM pg_catalog.pg_attrdef f
                                                WHERE f.adrelid = i.indrelid
                                                  AND f.adnum = g.attnum)))))
 GROUP BY i.indrelid, i.indexrelid, i.indisprimary, nulls_equal
 ORDER BY i.indrelid, i.indexrelid

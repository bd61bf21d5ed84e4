-- What to analyze: partitioned tables with all their partitions, and every other table by
-- itself; the largest first.
SELECT n.nspname::text, c.relname::text
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'm')
   AND NOT c.relispartition
   AND c.relpersistence IN ('p', 'u')
   AND n.nspname !~ '^pg_'
   AND n.nspname <> 'information_schema'
   AND (c.relkind <> 'm' OR c.relispopulated)
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND d.objid = c.oid AND d.deptype = 'e')
 ORDER BY c.relkind = 'p' DESC, pg_catalog.pg_relation_size(c.oid) DESC

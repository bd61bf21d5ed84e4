-- Schemas other than $1 in which a user has put something.
SELECT n.nspname::text
  FROM pg_catalog.pg_namespace n
 WHERE n.nspname !~ '^pg_'
   AND n.nspname <> 'information_schema'
   AND n.nspname::text <> ALL ($1::text[])
   AND (EXISTS (SELECT FROM pg_catalog.pg_class c
                 WHERE c.relnamespace = n.oid
                   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                                    WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                                      AND d.objid = c.oid AND d.deptype IN ('e', 'i')))
        OR EXISTS (SELECT FROM pg_catalog.pg_proc p
                    WHERE p.pronamespace = n.oid
                      AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                                       WHERE d.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                                         AND d.objid = p.oid AND d.deptype = 'e')))
 ORDER BY 1

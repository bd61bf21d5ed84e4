-- What grants can be on in this database, written as sql/catalog/grants.sql writes it; columns
-- have the table before them.
SELECT 'SCHEMA' AS kind, pg_catalog.quote_ident(n.nspname) AS identity, NULL::text AS part,
       n.nspname::text AS schema, n.nspname::text AS name
  FROM pg_catalog.pg_namespace n
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL
SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
       pg_catalog.format('%I.%I', n.nspname, c.relname), NULL, n.nspname, c.relname
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x
                    WHERE x.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                      AND x.objid = c.oid AND x.deptype = 'e')
UNION ALL
SELECT 'TABLE', pg_catalog.format('%I.%I', n.nspname, c.relname),
       pg_catalog.quote_ident(a.attname), n.nspname, c.relname
  FROM pg_catalog.pg_attribute a
  JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT a.attisdropped AND a.attnum > 0
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
UNION ALL
SELECT 'ROUTINE',
       pg_catalog.format('%I.%I(%s)', n.nspname, p.proname,
                         pg_catalog.pg_get_function_identity_arguments(p.oid)), NULL,
       n.nspname, p.proname
  FROM pg_catalog.pg_proc p
  JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
 WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x
                    WHERE x.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                      AND x.objid = p.oid AND x.deptype = 'e')
UNION ALL
SELECT 'TYPE', pg_catalog.format('%I.%I', n.nspname, t.typname), NULL, n.nspname, t.typname
  FROM pg_catalog.pg_type t
  JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
 WHERE t.typtype IN ('c', 'd', 'e', 'r', 'b') AND t.typelem = 0
   AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'

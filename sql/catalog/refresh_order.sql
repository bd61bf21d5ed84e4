-- Materialized views, each after those that it reads, directly or through views; and whether
-- it reads a foreign table.
WITH RECURSIVE reads (view, relation) AS (
    SELECT DISTINCT r.ev_class, d.refobjid
      FROM pg_catalog.pg_rewrite r
      JOIN pg_catalog.pg_depend d
        ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
       AND d.objid = r.oid
       AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
       AND d.refobjid <> r.ev_class
), reach (root, relation) AS (
    SELECT c.oid, c.oid FROM pg_catalog.pg_class c WHERE c.relkind = 'm'
    UNION
    SELECT reach.root, reads.relation
      FROM reach JOIN reads ON reads.view = reach.relation
)
SELECT n.nspname::text,
       c.relname::text,
       pg_catalog.bool_or(u.relkind = 'f') AS foreign_rows
  FROM reach
  JOIN pg_catalog.pg_class c ON c.oid = reach.root
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class u ON u.oid = reach.relation
 WHERE n.nspname !~ '^pg_'
 GROUP BY c.oid, n.nspname, c.relname
 ORDER BY count(*) FILTER (WHERE u.relkind = 'm'), 1, 2

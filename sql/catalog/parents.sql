-- Partitioned and inheritance parents, nearest first. $1: table oids.
WITH RECURSIVE up (child, parent, distance, position) AS (
    SELECT i.inhrelid, i.inhparent, 1, i.inhseqno
      FROM pg_catalog.pg_inherits i
     WHERE i.inhrelid = ANY ($1::int8[]::oid[])
    UNION
    SELECT u.child, i.inhparent, u.distance + 1, i.inhseqno
      FROM up u
      JOIN pg_catalog.pg_inherits i ON i.inhrelid = u.parent
)
SELECT u.child::int8, n.nspname::text, c.relname::text
  FROM up u
  JOIN pg_catalog.pg_class c ON c.oid = u.parent
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY u.child, u.distance, u.position

-- The columns of leaf partitions that a partition key above them is made of, also inside an
-- expression. $1: table oids.
SELECT leaf.relid::int8,
       pg_catalog.array_agg(DISTINCT a.attname::text) AS columns
  FROM (SELECT c.oid AS relid, up.relid AS parent
          FROM pg_catalog.pg_class c
          CROSS JOIN LATERAL pg_catalog.pg_partition_ancestors(c.oid) up (relid)
         WHERE c.oid = ANY ($1::int8[]::oid[]) AND c.relispartition) leaf
  JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = leaf.parent
  JOIN pg_catalog.pg_attribute a ON a.attrelid = p.partrelid AND a.attnum > 0
 WHERE a.attnum = ANY (p.partattrs::int2[])
    OR EXISTS (SELECT FROM pg_catalog.pg_depend d
                WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.objid = p.partrelid AND d.objsubid = a.attnum
                  AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
                  AND d.refobjid = p.partrelid AND d.refobjsubid = 0
                  AND d.deptype = 'i')
 GROUP BY leaf.relid
 ORDER BY leaf.relid

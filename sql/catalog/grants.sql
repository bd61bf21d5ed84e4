-- Every grant, those of owners too, by what it is on. Types and languages only where someone
-- changed them. `part` is a column of a table.
WITH objects (kind, identity, part, acl) AS (
    SELECT 'DATABASE', pg_catalog.quote_ident(d.datname), NULL::text,
           coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))
      FROM pg_catalog.pg_database d
     WHERE d.datname = pg_catalog.current_database()
    UNION ALL
    SELECT 'SCHEMA', pg_catalog.quote_ident(n.nspname), NULL,
           coalesce(n.nspacl, pg_catalog.acldefault('n', n.nspowner))
      FROM pg_catalog.pg_namespace n
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END,
           pg_catalog.format('%I.%I', n.nspname, c.relname), NULL,
           coalesce(c.relacl,
                    pg_catalog.acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char",
                                          c.relowner))
      FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x
                        WHERE x.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
                          AND x.objid = c.oid AND x.deptype = 'e')
    UNION ALL
    SELECT 'TABLE', pg_catalog.format('%I.%I', n.nspname, c.relname),
           pg_catalog.quote_ident(a.attname), a.attacl
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE a.attacl IS NOT NULL AND NOT a.attisdropped
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    UNION ALL
    SELECT 'ROUTINE',
           pg_catalog.format('%I.%I(%s)', n.nspname, p.proname,
                             pg_catalog.pg_get_function_identity_arguments(p.oid)), NULL,
           coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))
      FROM pg_catalog.pg_proc p
      JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend x
                        WHERE x.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass
                          AND x.objid = p.oid AND x.deptype = 'e')
    UNION ALL
    SELECT 'TYPE', pg_catalog.format('%I.%I', n.nspname, t.typname), NULL, t.typacl
      FROM pg_catalog.pg_type t
      JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
     WHERE t.typacl IS NOT NULL
       AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
)
SELECT o.kind,
       o.identity,
       o.part,
       CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END AS grantee,
       a.privilege_type AS privilege,
       a.is_grantable AS grantable
  FROM objects o
  LEFT JOIN LATERAL pg_catalog.aclexplode(o.acl) a ON true
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
 ORDER BY 1, 2, 3 NULLS FIRST, 4, 5

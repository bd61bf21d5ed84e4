-- Default privileges: who gets what on objects that a role creates from now on.
SELECT pg_catalog.quote_ident(o.rolname) AS owner,
       n.nspname::text AS schema,
       CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
            WHEN 'f' THEN 'ROUTINES' WHEN 'T' THEN 'TYPES' WHEN 'n' THEN 'SCHEMAS' END AS kind,
       CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE pg_catalog.quote_ident(r.rolname) END AS grantee,
       a.privilege_type AS privilege,
       a.is_grantable AS grantable
  FROM pg_catalog.pg_default_acl d
  JOIN pg_catalog.pg_roles o ON o.oid = d.defaclrole
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = d.defaclnamespace
 CROSS JOIN LATERAL pg_catalog.aclexplode(d.defaclacl) a
  LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee
 WHERE d.defaclobjtype IN ('r', 'S', 'f', 'T', 'n')
   AND (a.grantee = 0 OR r.oid IS NOT NULL)
 ORDER BY 1, 2 NULLS FIRST, 3, 4, 5

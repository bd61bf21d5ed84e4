-- The database itself. Columns that a version lacks come out of the row's JSON as null.
SELECT pg_catalog.jsonb_build_object(
           'name', d.datname,
           'owner', pg_catalog.pg_get_userbyid(d.datdba),
           'encoding', pg_catalog.pg_encoding_to_char(d.encoding),
           'collate', d.datcollate,
           'ctype', d.datctype,
           'provider', coalesce(pg_catalog.to_jsonb(d) ->> 'datlocprovider', 'c'),
           'locale', coalesce(pg_catalog.to_jsonb(d) ->> 'datlocale',
                              pg_catalog.to_jsonb(d) ->> 'daticulocale'),
           'icu_rules', pg_catalog.to_jsonb(d) ->> 'daticurules',
           'connection_limit', d.datconnlimit,
           'tablespace', t.spcname,
           'comment', pg_catalog.shobj_description(d.oid, 'pg_database'),
           'public_schema', EXISTS (SELECT FROM pg_catalog.pg_namespace n
                                     WHERE n.nspname = 'public'))::text AS properties,
       coalesce((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                            'role', r.rolname,
                            'setting', pg_catalog.split_part(c.setting, '=', 1),
                            'value', pg_catalog.substr(c.setting,
                                         pg_catalog.strpos(c.setting, '=') + 1))
                        ORDER BY r.rolname NULLS FIRST, c.setting)
                   FROM pg_catalog.pg_db_role_setting s
                   LEFT JOIN pg_catalog.pg_roles r ON r.oid = s.setrole
                  CROSS JOIN LATERAL pg_catalog.unnest(s.setconfig) AS c (setting)
                  WHERE s.setdatabase = d.oid), '[]')::text AS settings,
       coalesce((SELECT pg_catalog.jsonb_agg(pg_catalog.jsonb_build_object(
                            'grantee', coalesce(r.rolname, 'PUBLIC'),
                            'privilege', a.privilege_type,
                            'grantable', a.is_grantable)
                        ORDER BY r.rolname NULLS FIRST, a.privilege_type)
                   FROM pg_catalog.aclexplode(coalesce(d.datacl,
                            pg_catalog.acldefault('d', d.datdba))) a
                   LEFT JOIN pg_catalog.pg_roles r ON r.oid = a.grantee), '[]')::text AS grants
  FROM pg_catalog.pg_database d
  JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
 WHERE d.datname = pg_catalog.current_database()

-- What the database holds and a snapshot does not carry, or carries only in part.
SELECT kind, name
  FROM (
    SELECT 'extension-table' AS kind, n.nspname || '.' || c.relname AS name
      FROM pg_catalog.pg_extension e
      CROSS JOIN LATERAL pg_catalog.unnest(e.extconfig) AS x (oid)
      JOIN pg_catalog.pg_class c ON c.oid = x.oid AND c.relkind = 'r'
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    UNION ALL
    SELECT 'extension', e.extname::text
      FROM pg_catalog.pg_extension e
    UNION ALL
    SELECT 'user-mapping', m.srvname || ' for ' || m.usename
      FROM pg_catalog.pg_user_mappings m
    UNION ALL
    -- NULL where the role may not see them, and then pg_dump does not write them either.
    SELECT 'credentials', 'the user mapping ' || m.srvname || ' for ' || m.usename
      FROM pg_catalog.pg_user_mappings m
     WHERE m.umoptions IS NOT NULL
    UNION ALL
    SELECT 'credentials', 'the subscription ' || s.subname
      FROM pg_catalog.pg_subscription s
     WHERE s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d
                         WHERE d.datname = pg_catalog.current_database())
       AND pg_catalog.has_column_privilege('pg_catalog.pg_subscription', 'subconninfo', 'SELECT')
    UNION ALL
    SELECT 'foreign-server', s.srvname::text
      FROM pg_catalog.pg_foreign_server s
    UNION ALL
    SELECT 'event-trigger', t.evtname::text
      FROM pg_catalog.pg_event_trigger t
    UNION ALL
    SELECT 'subscription', s.subname::text
      FROM pg_catalog.pg_subscription s
     WHERE s.subdbid = (SELECT d.oid FROM pg_catalog.pg_database d
                         WHERE d.datname = pg_catalog.current_database())
    UNION ALL
    SELECT 'security-label', l.provider
      FROM pg_catalog.pg_seclabel l
  ) AS found
 GROUP BY kind, name
 ORDER BY kind, name

-- Enabled event triggers whose code could reach out of the database.
SELECT t.evtname::text
  FROM pg_catalog.pg_event_trigger t
  JOIN pg_catalog.pg_proc p ON p.oid = t.evtfoid
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang
 WHERE t.evtenabled <> 'D'
   AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d
                    WHERE d.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass
                      AND d.objid = t.oid AND d.deptype = 'e')
   AND (NOT l.lanpltrusted
        OR p.prosrc ~* 'dblink|http|copy\s.*\mprogram\M')
 ORDER BY 1

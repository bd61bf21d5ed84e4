-- The server and the database that the session is in.
SELECT pg_catalog.current_setting('server_version') AS version,
       pg_catalog.current_setting('server_version_num')::int4 AS version_num,
       pg_catalog.current_setting('server_encoding') AS encoding,
       pg_catalog.pg_is_in_recovery() AS in_recovery,
       (SELECT s.system_identifier::text
          FROM pg_catalog.pg_control_system() s) AS system_identifier,
       pg_catalog.current_database()::text AS database,
       (SELECT count(*) FROM pg_catalog.pg_largeobject_metadata) AS large_objects

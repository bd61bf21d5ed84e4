-- Where the sequences stood; to be run after the data is loaded.
SELECT pg_catalog.setval('"public"."people_id_seq"', 20, true);

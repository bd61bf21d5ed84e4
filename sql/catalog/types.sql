-- Every type, to resolve domains and arrays down to what transformers know.
SELECT t.oid::int8,
       t.typname::text,
       t.typtype::text,
       t.typcategory = 'A' AND t.typelem <> 0 AS is_array,
       t.typelem::int8,
       t.typbasetype::int8,
       t.typtypmod::int4,
       t.typnotnull
  FROM pg_catalog.pg_type t

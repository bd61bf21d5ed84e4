"""The reference data set of scripts/bench: people, orders and events of one size, times a factor."""

import json
import random

import stores

PEOPLE, ORDERS, EVENTS = 1_000_000, 2_000_000, 4_000_000
DOCUMENTS = 1_200_000
KEYS = 400_000

TABLES = """
create table public.people (id bigint, email text not null, username text not null, full_name text not null,
    phone text, address jsonb, notes text, created_at timestamptz not null);
create table public.orders (id bigint, person_id bigint not null, status text not null, amount numeric(12,2),
    billing jsonb not null, created_at timestamptz not null);
create table public.events (id bigint, person_id bigint not null, kind text not null, ip inet,
    detail jsonb, at timestamptz not null);
"""

PEOPLE_SQL = """
insert into public.people
select i, 'person' || i || '.' || substr(md5(i::text), 1, 6) || '@mail' || i % 50 || '.example',
    'user_' || substr(md5((i * 7)::text), 1, 12),
    (array['Ada','Benoît','Chloé','Dmitri','Esra','Fionn','Grete','Kenji'])[1 + i % 8] || ' ' || initcap(substr(md5((i * 3)::text), 1, 9)),
    '+44 ' || 7000000000 + i * 13,
    jsonb_build_object('street', i % 400 || ' High Street', 'city', (array['Leeds','Lyon','Lisboa','Austin'])[1 + i % 4],
        'postcode', (10000 + i % 80000)::text, 'geo', jsonb_build_object('lat', i % 90 + 0.123456, 'lon', i % 180 + 0.654321)),
    'note ' || md5(i::text) || ' ' || md5((i + 1)::text), '2024-01-01Z'::timestamptz + i * interval '37 s'
from generate_series(1::bigint, %d) i;
"""
ORDERS_SQL = """
insert into public.orders
select i, 1 + i * 7919 %% %d, (array['paid','open','sent'])[1 + i %% 3], (i %% 100000) / 7.0,
    jsonb_build_object('contact', jsonb_build_object('email', 'person' || i %% 1000000 || '@mail.example',
        'name', 'Name ' || substr(md5(i::text), 1, 8)), 'vat', i %% 23, 'reference', substr(md5((i * 11)::text), 1, 20)),
    '2025-01-01Z'::timestamptz + i * interval '11 s'
from generate_series(1::bigint, %d) i;
"""
EVENTS_SQL = """
insert into public.events
select i, 1 + i * 104729 %% %d, (array['login','view','export','share'])[1 + i %% 4],
    ('10.' || i %% 250 || '.' || i / 250 %% 250 || '.' || i %% 199)::inet,
    jsonb_build_object('page', '/v5/' || substr(md5(i::text), 1, 12), 'took', i %% 997, 'agent', 'Mozilla/5.0 (build ' || i %% 8999 || ')', 'flags', jsonb_build_array(i %% 2, i %% 3)),
    '2025-06-01Z'::timestamptz + i * interval '5 s'
from generate_series(1::bigint, %d) i;
"""
INDEXES = """
alter table public.people add primary key (id);
create unique index people_email on public.people (email);
alter table public.orders add primary key (id);
create index orders_person on public.orders (person_id);
alter table public.events add primary key (id);
"""

RULES = """version = 1

[postgres."public.people"]
id = "keep"
email = { use = "email", link = "person.email", unique = true }
username = "username"
full_name = { use = "name", link = "person.name" }
phone = "phone"
address = { json = { "$.street" = "street", "$" = "keep" } }
notes = "keep"
created_at = "keep"

[postgres."public.orders"]
billing = { json = { "$.contact.email" = { use = "email", link = "person.email" }, "$.contact.name" = { use = "name", link = "person.name" }, "$" = "keep" } }
"*" = "keep"

[postgres."public.events"]
ip = "ip"
"*" = "keep"

[mongodb.runs]
"*" = "keep"

[redis."user:{person.email}:profile"]
hash = { email = { use = "email", link = "person.email" }, name = { use = "name", link = "person.name" }, "*" = "keep" }

[redis."session:*"]
string = { json = { "$.email" = { use = "email", link = "person.email" }, "$" = "keep" } }

[redis."recent:*"]
list = "keep"

[redis."tags:*"]
set = "keep"

[redis."scores:*"]
zset = "keep"

[redis."stream:*"]
stream = { email = { use = "email", link = "person.email" }, "*" = "keep" }
"""


def fill_postgres(url, factor):
    maintenance, name = stores.database_of(url)
    stores.psql(maintenance, f"drop database if exists {stores.quoted(name)} with (force);")
    stores.psql(maintenance, f"create database {stores.quoted(name)} template template0;")
    people = max(1, round(PEOPLE * factor))
    stores.psql(url, TABLES)
    stores.psql(url, PEOPLE_SQL.replace("%d", str(people)))
    stores.psql(url, ORDERS_SQL % (people, round(ORDERS * factor)))
    stores.psql(url, EVENTS_SQL % (people, round(EVENTS * factor)))
    stores.psql(url, INDEXES)
    stores.psql(url, "vacuum analyze;")
    stores.psql(url, "checkpoint;")
    return f"{round((PEOPLE + ORDERS + EVENTS) * factor)} rows"


def _text(*parts):
    return {"$concat": [part if isinstance(part, str) and not part.startswith("$") else {"$toString": part} for part in parts]}


DOCUMENT = {
    "_id": "$n",
    "runKey": _text("run-", {"$multiply": ["$n", 7919]}),
    "owner": {
        "email": _text("person", "$n", "@mail.example"),
        "name": _text("Name ", {"$mod": [{"$multiply": ["$n", 31]}, 99991]}, " Surname"),
        "address": {
            "street": _text({"$mod": ["$n", 400]}, " High Street"),
            "city": {"$arrayElemAt": [["Leeds", "Lyon", "Lisboa", "Austin"], {"$mod": ["$n", 4]}]},
            "postcode": _text({"$add": [10000, {"$mod": ["$n", 80000]}]}),
        },
    },
    "steps": [
        {"tool": "search", "input": {"query": _text("find ", {"$multiply": ["$n", 104729]}, " in the reports")}, "took": {"$mod": ["$n", 997]}},
        {"tool": "mail", "input": {"query": _text("tell ", {"$mod": [{"$multiply": ["$n", 65537]}, 1000003]}, " at noon")}, "took": {"$rand": {}}},
    ],
    "note": _text("seen by the owner and by reviewer ", {"$mod": [{"$multiply": ["$n", 48271]}, 100003]}, " in the morning"),
    "usage": {"tokens": {"$mod": ["$n", 100000]}, "cost": {"$multiply": ["$n", 0.000123]}},
    "startedAt": {"$add": [{"$toDate": {"$literal": "2026-01-01T00:00:00Z"}}, {"$multiply": ["$n", 1000]}]},
}


def fill_mongodb(url, factor):
    """The server makes the documents: each of the rows of a small collection becomes a thousand."""
    mongo = stores.Mongo(url)
    mongo.command({"dropDatabase": 1})
    blocks = max(1, round(DOCUMENTS * factor / 1000))
    mongo.insert("seed", ({"_id": block} for block in range(blocks)))
    numbers = {"$range": [{"$multiply": ["$_id", 1000]}, {"$multiply": [{"$add": ["$_id", 1]}, 1000]}]}
    pipeline = [{"$project": {"n": numbers}}, {"$unwind": "$n"}, {"$project": DOCUMENT}, {"$out": "runs"}]
    mongo.command({"aggregate": "seed", "pipeline": pipeline, "cursor": {}, "allowDiskUse": True})
    mongo.command({"drop": "seed"})
    indexes = [{"key": {"owner.email": 1}, "name": "owner"}, {"key": {"startedAt": -1}, "name": "started"}]
    mongo.command({"createIndexes": "runs", "indexes": indexes})
    size = mongo.command({"collStats": "runs"})
    mongo.close()
    return f"{size['count']} documents, {size['size'] / 1e6:.0f} MB"


def push_key(redis, chance, number):
    email = f"person{number}@mail{number % 50}.example"
    kind = number % 40
    if kind < 20:
        value = json.dumps({"userId": number, "email": email, "roles": ["member"], "token": chance.randbytes(24).hex()})
        redis.push("SET", f"session:{number:08x}", value, *(("EX", 30 * 86400) if number % 2 else ()))
    elif kind < 30:
        pairs = ("id", number, "email", email, "name", f"Ada Name{number}", "plan", "pro", "note", chance.randbytes(30).hex())
        redis.push("HSET", f"user:{email}:profile", *pairs)
    elif kind < 33:
        redis.push("RPUSH", f"recent:{number}", *(chance.randrange(10**9) for _ in range(20)))
    elif kind < 36:
        redis.push("SADD", f"tags:{number}", *(f"tag-{chance.randrange(10**6)}" for _ in range(10)))
    elif kind < 39:
        redis.push("ZADD", f"scores:{number}", *(word for n in range(10) for word in (chance.random(), f"member-{n}")))
    else:
        for entry in range(5):
            redis.push("XADD", f"stream:{number}", f"{1767225600000 + entry}-0", "email", email, "kind", "login")


def fill_redis(url, factor):
    redis, chance = stores.Redis(url), random.Random(1)
    redis.call("FLUSHDB")
    for number in range(round(KEYS * factor)):
        push_key(redis, chance, number)
    count = redis.call("DBSIZE")
    redis.close()
    return f"{count} keys"


def write_restore_commands(url, path):
    """Every key as a RESTORE command in Redis's own protocol, for redis-cli --pipe."""
    redis = stores.Redis(url)
    with open(path, "wb") as file:
        for keys in redis.scan():
            values = redis.many([command for key in keys for command in (("DUMP", key), ("PTTL", key))])
            for key, value, expiry in zip(keys, values[::2], values[1::2]):
                file.write(stores.resp("RESTORE", key, max(0, expiry), value))
    redis.close()

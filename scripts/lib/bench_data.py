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

# Values are drawn by a hash of the row's number, each on its own: rows that repeat the one before them would flatter
# whatever compresses well.
DRAW = """
create function public.draw(i bigint, seed bigint, n bigint) returns bigint language sql immutable parallel safe
    as $$ select (hashint8extended(i, seed) & 9007199254740991) % n $$;
create function public.pick(i bigint, seed bigint, words text[]) returns text language sql immutable parallel safe
    as $$ select words[1 + public.draw(i, seed, cardinality(words))] $$;
"""
FIRST = "Ada,Ben,Chloé,Dmitri,Esra,Fionn,Grete,Hana,Ines,Jonas,Kenji,Lucía,Mateo,Nora,Oskar,Priya,Quentin,Rosa,Søren,Tomás,Uma,Vera,Wanda,Ximena,Yusuf,Zoë"
LAST = "Abbott,Bauer,Castro,Dubois,Eriksen,Fischer,García,Haddad,Ivanov,Jensen,Kowalski,Larsen,Moreau,Novak,Okafor,Petrov,Quispe,Rossi,Schmidt,Tanaka,Ueda,Vargas,Weber,Xu,Yilmaz,Zhang"
STREETS = "High Street,Station Road,Church Lane,Mill Lane,Park Avenue,Victoria Road,Green Street,King Street,Rue de Lyon,Lange Gasse,Calle Mayor,Via Roma,Dorfstraße,Queens Road,New Street"
CITIES = "Leeds,Lyon,Lisboa,Austin,Graz,Porto,Malmö,Gdańsk,Sevilla,Torino,Bergen,Leuven,Basel,Brno,Split,Cork,Tartu,Utrecht,Aarhus,Nantes"
WORDS = "asked,about,invoice,called,back,renewal,prefers,email,delivery,late,refund,issued,address,changed,contract,signed,trial,ended,upgrade,offered,customer,since,spring,complaint,closed,waiting,for,the,next,order,team,plan"
AGENTS = "Mozilla/5.0 (X11) Firefox/,Mozilla/5.0 (Mac) Safari/,Mozilla/5.0 (Win64) Chrome/,okhttp/,curl/,Dart/"


def _array(words):
    return "array['" + words.replace(",", "','") + "']"


def _sentence(words):
    return " || ' ' || ".join(f"public.pick(i, {seed}, {_array(WORDS)})" for seed in range(20, 20 + words))


PEOPLE_SQL = f"""
insert into public.people
select i, lower(public.pick(i, 1, {_array(FIRST)})) || '.' || lower(public.pick(i, 2, {_array(LAST)})) || i || '@mail' || public.draw(i, 3, 50) || '.example',
    'user_' || substr(md5((i * 7)::text), 1, 12),
    public.pick(i, 1, {_array(FIRST)}) || ' ' || public.pick(i, 2, {_array(LAST)}),
    '+44 7' || lpad(public.draw(i, 4, 1000000000)::text, 9, '0'),
    jsonb_build_object('street', 1 + public.draw(i, 5, 400) || ' ' || public.pick(i, 6, {_array(STREETS)}),
        'city', public.pick(i, 7, {_array(CITIES)}), 'postcode', (10000 + public.draw(i, 8, 80000))::text,
        'geo', jsonb_build_object('lat', round(public.draw(i, 9, 90000000) / 1e6, 6), 'lon', round(public.draw(i, 10, 180000000) / 1e6, 6))),
    {_sentence(10)},
    '2024-01-01Z'::timestamptz + i * interval '37 s' + public.draw(i, 11, 37000000) * interval '1 us'
from generate_series(1::bigint, %d) i;
"""
ORDERS_SQL = f"""
insert into public.orders
select i, 1 + public.draw(i, 1, %d), (array['paid','open','sent'])[1 + public.draw(i, 2, 3)], public.draw(i, 3, 2000000) / 100.0,
    jsonb_build_object('contact', jsonb_build_object('email', 'person' || public.draw(i, 1, %d) || '@mail.example',
        'name', public.pick(i, 4, {_array(FIRST)}) || ' ' || public.pick(i, 5, {_array(LAST)})),
        'vat', public.draw(i, 6, 23), 'reference', substr(md5(i::text), 1, 20)),
    '2025-01-01Z'::timestamptz + i * interval '11 s' + public.draw(i, 7, 11000000) * interval '1 us'
from generate_series(1::bigint, %d) i;
"""
EVENTS_SQL = f"""
insert into public.events
select i, 1 + public.draw(i, 1, %d), (array['login','view','export','share'])[1 + public.draw(i, 2, 4)],
    ('10.' || public.draw(i, 3, 250) || '.' || public.draw(i, 4, 250) || '.' || public.draw(i, 5, 250))::inet,
    jsonb_build_object('page', '/v5/' || substr(md5(i::text), 1, 12), 'took', public.draw(i, 6, 2000),
        'agent', public.pick(i, 7, {_array(AGENTS)}) || public.draw(i, 8, 140), 'flags', jsonb_build_array(public.draw(i, 9, 2), public.draw(i, 10, 3))),
    '2025-06-01Z'::timestamptz + i * interval '5 s' + public.draw(i, 11, 5000000) * interval '1 us'
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
_id = "keep"
"owner.email" = { use = "email", link = "person.email" }
"owner.name" = { use = "name", link = "person.name" }
"owner.address.street" = "street"
"owner.address.city" = "keep"
"owner.address.postcode" = "postcode"
"steps[].tool" = "keep"
"steps[].took" = "keep"
"steps[].input.query" = "redact"
note = "redact"
"*" = "keep"

[redis."user:{person.email}:profile"]
hash = { email = { use = "email", link = "person.email" }, name = { use = "name", link = "person.name" }, "*" = "keep" }

[redis."session:*"]
names = "keep"
string = { json = { "$.email" = { use = "email", link = "person.email" }, "$" = "keep" } }

[redis."recent:*"]
list = "keep"

[redis."tags:*"]
set = "keep"

[redis."scores:*"]
zset = "keep"

[redis."stream:*"]
names = "keep"
stream = { email = { use = "email", link = "person.email" }, "*" = "keep" }
"""


def fill_postgres(url, factor):
    maintenance, name = stores.database_of(url)
    stores.psql(maintenance, f"drop database if exists {stores.quoted(name)} with (force);")
    stores.psql(maintenance, f"create database {stores.quoted(name)} template template0;")
    people = max(1, round(PEOPLE * factor))
    stores.psql(url, DRAW + TABLES)
    stores.psql(url, PEOPLE_SQL % people)
    stores.psql(url, ORDERS_SQL % (people, people, round(ORDERS * factor)))
    stores.psql(url, EVENTS_SQL % (people, round(EVENTS * factor)))
    stores.psql(url, "drop function public.pick, public.draw;")
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

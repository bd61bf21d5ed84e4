"""prove.py POSTGRES_URL REDIS_URL MONGODB_URL: shows that development is production, anonymized, in all three stores.

The arguments are the servers' URLs; the databases are those of config/. Exits with 1 when a proof fails.
"""

import collections
import json
import pathlib
import re
import shlex
import subprocess
import sys
import urllib.parse

import stores

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What scripts/sample-data puts into every original address, name and user name, and nothing invented later holds.
ORIGINALS = ("corp-original.test", "old-mail.test", "quorvel")
# Values of other kinds, as scripts/sample-data makes them and no transformer does.
KINDS = {
    "phone": rb"\+\d{1,3} 555 [1-9]\d{6}",
    "ip": rb"(?<![\d.])10\.\d{1,3}\.\d{1,3}\.\d{1,3}(?![\d.])",
    "street": rb"(?:Rua do Ouro|Briggate|Rue Merci.{1,6}re|Congress Ave) \d+",
    "iban": rb"PT50\d{21}",
    "coordinates": rb'\\?"lat\\?": ?-?\d+\.\d+',
    "csrf_token": rb'\\?"csrf\\?": ?\\?"[0-9a-f]{16}',
    "session_id": rb"sid-[0-9a-f]{32}",
    "device_id": rb"dvc-[0-9a-f]{12}",
    "group_or_consumer": rb"(?:grp|wrk)-[a-z]+",
    "birthday_score": rb"score=(?:19|20)\d{6}(?!\d)",
}
FIRST_SEED_ID = 900_000_001
OVERLAP = 200


class Environment:
    """The three stores of one environment, as config/ names them."""

    def __init__(self, name, servers):
        postgres, redis, mongodb = servers
        database = json.loads((ROOT / "config" / f"{name}.json").read_text())["database"]
        self.name = name
        self.postgres = with_path(postgres, database["postgres"]["database"])
        self.redis = stores.Redis(with_path(redis, str(database["redis"]["db"])))
        self.mongo = stores.Mongo(with_path(mongodb, database["mongodb"]["database"]))


def with_path(url, path):
    return urllib.parse.urlunsplit(urllib.parse.urlsplit(url)._replace(path=f"/{path}"))


# --- counts ----------------------------------------------------------------------------------------------------

RELATIONS = """
select quote_ident(nspname) || '.' || quote_ident(relname)
from pg_class join pg_namespace n on n.oid = relnamespace
where relkind in ('r', 'p', 'm') and not relispartition and nspname !~ '^(pg_|information_schema$)'
order by 1
"""


def postgres_counts(url):
    names = stores.psql(url, RELATIONS).splitlines()
    counts = {name: int(stores.psql(url, f"select count(*) from {name}")) for name in names}
    counts["(large objects)"] = int(stores.psql(url, "select count(*) from pg_largeobject_metadata"))
    return counts


def counts(environment):
    found = {("postgres", name): count for name, count in postgres_counts(environment.postgres).items()}
    for name in environment.mongo.collections():
        found["mongodb", name] = environment.mongo.count(name)
    found["redis", "(keys)"] = environment.redis.call("DBSIZE")
    return found


def seeded(environment):
    """How many rows, documents and keys of development are the seeds'."""
    found = {}
    for table in ("public.users", "public.accounts"):
        sql = f"select count(*) from {table} where id >= {FIRST_SEED_ID}"
        found["postgres", table] = int(stores.psql(environment.postgres, sql))
    query = {"userId": {"$gte": stores.Int64(FIRST_SEED_ID)}}
    found["mongodb", "profiles"] = environment.mongo.count("profiles", query)
    files = sorted((ROOT / "seeds" / environment.name / "redis").glob("*.redis"))
    keys = {shlex.split(line)[1] for path in files for line in path.read_text().splitlines() if line.strip()}
    found["redis", "(keys)"] = environment.redis.call("EXISTS", *keys)
    return found


def prove_counts(production, development):
    source, target, seeds = counts(production), counts(development), seeded(development)
    print(f"{'store':<10}{'what':<34}{'production':>12}{'development':>13}{'of seeds':>10}")
    good = True
    for what in sorted(source.keys() | target.keys()):
        there, here, extra = source.get(what), target.get(what), seeds.get(what, 0)
        same = there is not None and here is not None and there == here - extra
        good = good and same
        print(f"{what[0]:<10}{what[1]:<34}{there!s:>12}{here!s:>13}{extra or '':>10}{'' if same else '   DIFFERS'}")
    return good


# --- leaks -----------------------------------------------------------------------------------------------------


def needle_pattern(production):
    """Every kind of original, as a group of its own: names and addresses as text and as PostgreSQL writes bytea."""
    texts = [re.escape(word) for word in ORIGINALS]
    hexes = ["".join(f"(?:{ord(c.lower()):02x}|{ord(c.upper()):02x})" for c in word) for word in ORIGINALS]
    kinds = {"name_or_address": "|".join(texts + hexes).encode(), **KINDS}
    homes = production.redis.call("ZRANGE", "geo:homes", 0, -1, "WITHSCORES")[1::2]
    kinds["home_score"] = b"score=(?:" + b"|".join(sorted(homes, reverse=True)) + b")(?!\\d)"
    secret = stores.psql(production.postgres, "show app.jwt_secret").strip()
    kinds["setting"] = re.escape(secret).encode()
    groups = "|".join(f"(?P<{name}>{pattern.decode()})" for name, pattern in kinds.items())
    return re.compile(groups.encode(), re.IGNORECASE), list(kinds)


class Hits(collections.Counter):
    """Counts the originals of each kind in what it is shown."""

    def __init__(self, pattern):
        super().__init__()
        self.pattern = pattern

    def text(self, text):
        self.update(match.lastgroup for match in self.pattern.finditer(text))

    def stream(self, stream):
        tail = b""
        while block := stream.read(1 << 20):
            text = tail + block
            cut = max(0, len(text) - OVERLAP) if len(block) == 1 << 20 else len(text)
            found = [match for match in self.pattern.finditer(text) if match.start() < cut]
            self.update(match.lastgroup for match in found)
            tail = text[max([cut, *(match.end() for match in found[-1:])]) :]
        self.text(tail)

    def output(self, command):
        with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
            self.stream(process.stdout)
        if process.returncode != 0:
            raise stores.StoreError(f"{command[0]} ended with {process.returncode}")


SETTINGS = "select unnest(setconfig) from pg_db_role_setting join pg_database d on d.oid = setdatabase where datname = current_database()"


def postgres_leaks(url, hits):
    """A whole dump, then what a dump does not hold: the rows of materialized views, large objects in one piece, settings."""
    hits.output(["pg_dump", f"--dbname={url}"])
    views = "select quote_ident(schemaname) || '.' || quote_ident(matviewname) from pg_matviews"
    queries = [f"select * from {view}" for view in stores.psql(url, views).splitlines()]
    for query in (*queries, "select lo_get(oid) from pg_largeobject_metadata", SETTINGS):
        hits.output(stores.psql_command(url, f"--command=copy ({query}) to stdout"))


def mongodb_leaks(mongo, hits):
    """Documents with the names of their fields, and indexes."""
    for name in mongo.collections():
        hits.text(name.encode())
        hits.text(mongo.raw_command({"listIndexes": name}))
        for raw in mongo.scan_raw(name):
            hits.text(raw)


READERS = {
    b"string": ("GET",),
    b"hash": ("HGETALL",),
    b"list": ("LRANGE", 0, -1),
    b"set": ("SMEMBERS",),
    b"zset": ("ZRANGE", 0, -1, "WITHSCORES"),
    b"stream": ("XRANGE", "-", "+"),
}


def flat(value):
    if isinstance(value, list):
        for item in value:
            yield from flat(item)
    elif isinstance(value, bytes):
        yield value


def redis_leaks(redis, hits):
    """Keys, fields, members, scores and values, and the names of groups and consumers."""
    for keys in redis.scan():
        kinds = redis.many([("TYPE", key) for key in keys])
        known = [(key, kind) for key, kind in zip(keys, kinds) if kind in READERS]
        read = redis.many([(READERS[kind][0], key, *READERS[kind][1:]) for key, kind in known])
        for part in flat([keys, read]):
            hits.text(part)
        for (_, kind), value in zip(known, read):
            if kind == b"zset":
                for score in value[1::2]:
                    hits.text(b"score=" + score)
        for key in (key for key, kind in known if kind == b"stream"):
            groups = redis.call("XINFO", "GROUPS", key)
            consumers = [redis.call("XINFO", "CONSUMERS", key, group[1]) for group in groups]
            for part in flat([groups, consumers]):
                hits.text(part)


def leaks(environment, pattern):
    found = {store: Hits(pattern) for store in ("postgres", "mongodb", "redis")}
    postgres_leaks(environment.postgres, found["postgres"])
    mongodb_leaks(environment.mongo, found["mongodb"])
    redis_leaks(environment.redis, found["redis"])
    return found


def birth_dates(url):
    # No day before Christ is anybody's birthday, and date_shift leaves it alone.
    sql = "select id, birth_date from public.users where isfinite(birth_date) and birth_date > '0001-01-01'"
    return set(stores.psql(url, sql).splitlines())


def prove_no_leak(production, development):
    """Production is searched too: a search that finds nothing there would prove nothing."""
    pattern, kinds = needle_pattern(production)
    source, target = leaks(production, pattern), leaks(development, pattern)
    print(f"{'kind':<20}{'store':<10}{'originals in production':>25}{'in development':>16}")
    good = True
    for kind in kinds:
        good = good and any(found[kind] for found in source.values())
        for store, found in source.items():
            leaked = target[store][kind]
            good = good and not leaked
            if found[kind] or leaked:
                print(f"{kind:<20}{store:<10}{found[kind]:>25}{leaked:>16}{'   LEAK' if leaked else ''}")
    born, kept = birth_dates(production.postgres), birth_dates(development.postgres)
    print(f"{'birth_date':<20}{'postgres':<10}{len(born):>25}{len(born & kept):>16}{'   LEAK' if born & kept else ''}")
    return good and bool(born) and not born & kept


# --- one person ------------------------------------------------------------------------------------------------


def addresses(environment, number):
    """What each store says is the e-mail address of the user with this number."""
    sql = f"select lower(email) from public.users where id = {number}"
    column = stores.psql(environment.postgres, sql).strip()
    nested = f"select lower(billing #>> '{{contact,email}}') from public.accounts where owner_id = {number} limit 1"
    document = environment.mongo.find_one("profiles", {"userId": stores.Int64(number)}) or {}
    index = environment.redis.call("HGET", "index:id-to-email", number) or b""
    profile = environment.redis.call("HGET", f"user:{column}:profile", "email") or b""
    found = {
        "postgres users.email": column,
        "postgres accounts.billing": stores.psql(environment.postgres, nested).strip() or None,
        "mongodb profiles.email": document.get("email", "").lower(),
        "redis index:id-to-email": index.decode().lower(),
        f"redis user:{column}:profile": profile.decode().lower(),
    }
    return {place: address for place, address in found.items() if address is not None}


# People with an account; of every seventh the address is not in lower case in PostgreSQL.
SAMPLE_PEOPLE = """
select distinct users.id, email from public.users join public.accounts on owner_id = users.id
where users.id % 7 in (0, 1) order by 1 limit 3
"""


def prove_one_person(production, development):
    good = True
    people = [line.split("|") for line in stores.psql(production.postgres, SAMPLE_PEOPLE).splitlines()]
    for number, original in people:
        after = addresses(development, int(number))
        pseudonym = next(iter(after.values()))
        same = len(set(after.values())) == 1 and "@" in pseudonym and pseudonym != original.lower()
        good = good and same
        print(f"user {number}: {original}{'' if same else '   NOT THE SAME EVERYWHERE'}")
        for place, address in after.items():
            print(f"    {place:<62} {address}")
    return good and bool(people)


def main():
    production, development = (Environment(name, sys.argv[1:4]) for name in ("production", "development"))
    proofs = (
        ("Every row, document and key is there", prove_counts),
        ("No original of any kind is", prove_no_leak),
        ("One person is one person in all three stores", prove_one_person),
    )
    failed = []
    for claim, proof in proofs:
        print(f"\n== {claim}")
        if not proof(production, development):
            failed.append(claim)
    if failed:
        sys.exit("\nNOT PROVED: " + "; ".join(failed))
    print("\nAll proved.")


if __name__ == "__main__":
    try:
        main()
    except (stores.StoreError, OSError) as error:
        sys.exit(f"error: {error}")

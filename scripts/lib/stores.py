"""Small clients for the three stores, on nothing but the standard library.

The scripts beside this folder fill, scan and measure stores on machines where no driver is installed. What they
need of each protocol is little: OP_MSG and BSON for MongoDB, RESP for Redis, and psql for PostgreSQL.
"""

import datetime
import decimal
import os
import socket
import struct
import subprocess
import time
import urllib.parse
import uuid

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)


# --- BSON ------------------------------------------------------------------------------------------------------


class ObjectId(bytes):
    """Twelve bytes."""


class Int64(int):
    """An integer that is stored in eight bytes whatever its size."""


class Opaque:
    """A value of a kind these scripts only carry (timestamps, expressions): its type byte and its bytes."""

    def __init__(self, kind, data):
        self.kind, self.data = kind, data


def _decimal128(value):
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        high = {"n": 0x7C00000000000000, "F": 0x7800000000000000}[exponent]
        return struct.pack("<QQ", 0, high | sign << 63)
    coefficient = int("".join(map(str, digits)))
    bits = sign << 127 | (exponent + 6176) << 113 | coefficient
    return bits.to_bytes(16, "little")


def _from_decimal128(data):
    bits = int.from_bytes(data, "little")
    if bits >> 122 & 31 == 31:
        return decimal.Decimal("NaN")
    if bits >> 122 & 31 == 30:
        return decimal.Decimal("-Infinity" if bits >> 127 else "Infinity")
    digits = tuple(map(int, str(bits & (1 << 113) - 1)))
    return decimal.Decimal((bits >> 127, digits, (bits >> 113 & 0x3FFF) - 6176))


def milliseconds(moment):
    return (moment - EPOCH) // datetime.timedelta(milliseconds=1)


def _element(name, value):
    """One field: type byte, name, value."""
    key = name.encode() + b"\0"
    kind = type(value)
    if kind is str:
        data = value.encode()
        return b"\x02" + key + struct.pack("<i", len(data) + 1) + data + b"\0"
    if kind is int:
        if -(1 << 31) <= value < 1 << 31:
            return b"\x10" + key + struct.pack("<i", value)
        return b"\x12" + key + struct.pack("<q", value)
    if kind is dict:
        return b"\x03" + key + encode(value)
    if kind is list:
        return b"\x04" + key + encode({str(i): item for i, item in enumerate(value)})
    if kind is float:
        return b"\x01" + key + struct.pack("<d", value)
    if kind is bool:
        return b"\x08" + key + (b"\1" if value else b"\0")
    if value is None:
        return b"\x0a" + key
    if kind is ObjectId:
        return b"\x07" + key + value
    if kind is Int64:
        return b"\x12" + key + struct.pack("<q", value)
    if kind is datetime.datetime:
        return b"\x09" + key + struct.pack("<q", milliseconds(value))
    if kind is uuid.UUID:
        return b"\x05" + key + struct.pack("<ib", 16, 4) + value.bytes
    if kind is bytes:
        return b"\x05" + key + struct.pack("<ib", len(value), 0) + value
    if kind is decimal.Decimal:
        return b"\x13" + key + _decimal128(value)
    if kind is Opaque:
        return bytes([value.kind]) + key + value.data
    raise TypeError(f"no BSON for {kind.__name__} in field {name}")


def encode(document):
    body = b"".join(_element(name, value) for name, value in document.items())
    return struct.pack("<i", len(body) + 5) + body + b"\0"


_FIXED = {0x06: 0, 0x07: 12, 0x08: 1, 0x09: 8, 0x01: 8, 0x0A: 0, 0x10: 4, 0x11: 8, 0x12: 8, 0x13: 16, 0x7F: 0, 0xFF: 0}


def _value_end(kind, data, at):
    if kind in _FIXED:
        return at + _FIXED[kind]
    length = struct.unpack_from("<i", data, at)[0]
    if kind in (0x02, 0x0D, 0x0E):
        return at + 4 + length
    if kind in (0x03, 0x04, 0x0F):
        return at + length
    if kind == 0x05:
        return at + 5 + length
    if kind == 0x0B:
        return data.index(b"\0", data.index(b"\0", at) + 1) + 1
    raise ValueError(f"BSON type {kind:#x}")


def _value(kind, data, at, end):
    if kind == 0x02:
        return data[at + 4 : end - 1].decode()
    if kind == 0x03:
        return decode(data[at:end])
    if kind == 0x04:
        return list(decode(data[at:end]).values())
    if kind == 0x10:
        return struct.unpack_from("<i", data, at)[0]
    if kind == 0x12:
        return Int64(struct.unpack_from("<q", data, at)[0])
    if kind == 0x01:
        return struct.unpack_from("<d", data, at)[0]
    if kind == 0x08:
        return data[at] == 1
    if kind == 0x0A:
        return None
    if kind == 0x07:
        return ObjectId(data[at:end])
    if kind == 0x09:
        return EPOCH + datetime.timedelta(milliseconds=struct.unpack_from("<q", data, at)[0])
    if kind == 0x05:
        content = data[at + 5 : end]
        return uuid.UUID(bytes=content) if data[at + 4] == 4 else content
    if kind == 0x13:
        return _from_decimal128(data[at:end])
    return Opaque(kind, data[at:end])


def decode(data):
    document, at = {}, 4
    while data[at] != 0:
        kind, stop = data[at], data.index(b"\0", at + 1)
        end = _value_end(kind, data, stop + 1)
        document[data[at + 1 : stop].decode()] = _value(kind, data, stop + 1, end)
        at = end
    return document


def raw_documents(array):
    """The documents of a BSON array, undecoded."""
    at = 4
    while array[at] != 0:
        start = array.index(b"\0", at + 1) + 1
        at = start + struct.unpack_from("<i", array, start)[0]
        yield array[start:at]


# --- MongoDB ---------------------------------------------------------------------------------------------------


class StoreError(Exception):
    """A store answered with an error."""


class Mongo:
    """One connection that speaks OP_MSG to one server."""

    BATCH_BYTES = 8 << 20

    def __init__(self, url, timeout=600):
        parsed = urllib.parse.urlsplit(url)
        if parsed.username:
            raise StoreError("these scripts reach MongoDB without a password only")
        self.database = urllib.parse.unquote(parsed.path.lstrip("/")) or "test"
        address = (parsed.hostname or "127.0.0.1", parsed.port or 27017)
        self.socket = socket.create_connection(address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.request = 0

    def close(self):
        self.socket.close()

    def _read(self, size):
        parts = []
        while size:
            part = self.socket.recv(min(size, 1 << 20))
            if not part:
                raise StoreError("MongoDB closed the connection")
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _exchange(self, sections):
        self.request += 1
        body = struct.pack("<I", 0) + sections
        self.socket.sendall(struct.pack("<iiii", len(body) + 16, self.request, 0, 2013) + body)
        length = struct.unpack("<iiii", self._read(16))[0]
        return self._read(length - 16)[5:]

    def raw_command(self, command, database=None, sequence=b""):
        """The undecoded reply. The `sequence` is a document sequence section, for inserts."""
        command = {**command, "$db": database or self.database}
        return self._exchange(b"\0" + encode(command) + sequence)

    def command(self, command, database=None, sequence=b""):
        reply = decode(self.raw_command(command, database, sequence))
        problems = reply.get("writeErrors") or reply.get("writeConcernError")
        if reply.get("ok") != 1 or problems:
            raise StoreError(f"{next(iter(command))}: {problems or reply.get('errmsg', reply)}")
        return reply

    def insert_raw(self, collection, documents):
        """Inserts encoded documents, in messages of some megabytes."""
        batch, size, total = [], 0, 0
        for document in documents:
            batch.append(document)
            size += len(document)
            if size >= self.BATCH_BYTES or len(batch) >= 50_000:
                total += self._insert_batch(collection, batch)
                batch, size = [], 0
        return total + (self._insert_batch(collection, batch) if batch else 0)

    def _insert_batch(self, collection, batch):
        content = b"documents\0" + b"".join(batch)
        section = b"\1" + struct.pack("<i", len(content) + 4) + content
        self.command({"insert": collection, "ordered": False}, sequence=section)
        return len(batch)

    def insert(self, collection, documents):
        return self.insert_raw(collection, map(encode, documents))

    def collections(self):
        reply = self.command({"listCollections": 1, "nameOnly": True, "cursor": {"batchSize": 100_000}})
        names = (item["name"] for item in reply["cursor"]["firstBatch"] if item["type"] == "collection")
        return sorted(name for name in names if not name.startswith("system."))

    def count(self, collection, query=None):
        pipeline = [{"$match": query or {}}, {"$count": "n"}]
        reply = self.command({"aggregate": collection, "pipeline": pipeline, "cursor": {}})
        batch = reply["cursor"]["firstBatch"]
        return int(batch[0]["n"]) if batch else 0

    def find_one(self, collection, query):
        reply = self.command({"find": collection, "filter": query, "limit": 1})
        return next(iter(reply["cursor"]["firstBatch"]), None)

    def scan_raw(self, collection):
        """Every document of a collection, undecoded."""
        command = {"find": collection, "batchSize": 5000}
        while True:
            reply = self.raw_command(command)
            cursor_id, batch = _raw_cursor(reply)
            yield from raw_documents(batch)
            if cursor_id == 0:
                return
            command = {"getMore": Int64(cursor_id), "collection": collection, "batchSize": 5000}


def _raw_cursor(reply):
    """The id and the undecoded batch of a cursor reply."""
    fields = dict(_raw_fields(reply))
    if "cursor" not in fields:
        raise StoreError(str(decode(reply).get("errmsg")))
    cursor = dict(_raw_fields(fields["cursor"]))
    batch = cursor.get("firstBatch") or cursor.get("nextBatch")
    return struct.unpack("<q", cursor["id"])[0], batch


def _raw_fields(data):
    at = 4
    while data[at] != 0:
        stop = data.index(b"\0", at + 1)
        end = _value_end(data[at], data, stop + 1)
        yield data[at + 1 : stop].decode(), data[stop + 1 : end]
        at = end


def _member_host(mongo, name, host):
    """Makes `host` the only member of the replica set, whatever was there before."""
    status = mongo.raw_command({"replSetGetConfig": 1}, "admin")
    config = decode(status).get("config")
    if config is None:
        config = {"_id": name, "members": [{"_id": 0, "host": host}], "settings": {"electionTimeoutMillis": 1000}}
        mongo.command({"replSetInitiate": config}, "admin")
    elif [member["host"] for member in config["members"]] != [host]:
        config["version"] += 1
        config["members"] = [{"_id": 0, "host": host}]
        mongo.command({"replSetReconfig": config, "force": True}, "admin")


def initiate_replica_set(url, name, host, seconds=60):
    """Turns the server into the writable primary of a one-member replica set; nothing to do where it is one."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            mongo = Mongo(url, timeout=10)
            try:
                _member_host(mongo, name, host)
                if mongo.command({"hello": 1}, "admin").get("isWritablePrimary"):
                    return
            finally:
                mongo.close()
        except (OSError, StoreError) as error:
            if time.monotonic() > deadline:
                raise StoreError(f"the replica set {name} has no primary: {error}") from error
        if time.monotonic() > deadline:
            raise StoreError(f"the replica set {name} has no primary after {seconds} s")
        time.sleep(0.2)


# --- Redis -----------------------------------------------------------------------------------------------------


def resp(*words):
    """One command as Redis reads it."""
    parts = [b"*%d\r\n" % len(words)]
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


class Redis:
    """One connection, with one database selected, and pipelines of a bounded size."""

    PIPELINE = 5000

    def __init__(self, url, timeout=600):
        parsed = urllib.parse.urlsplit(url)
        address = (parsed.hostname or "127.0.0.1", parsed.port or 6379)
        self.socket = socket.create_connection(address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.input = self.socket.makefile("rb", buffering=1 << 20)
        self.pending, self.waiting, self.size = [], 0, 0
        if parsed.password:
            self.call("AUTH", *filter(None, (parsed.username, urllib.parse.unquote(parsed.password))))
        self.call("SELECT", parsed.path.lstrip("/") or "0")

    def close(self):
        self.input.close()
        self.socket.close()

    def _reply(self):
        line = self.input.readline()
        if not line:
            raise StoreError("Redis closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.input.read(int(rest) + 2)[:-2]
        if kind == b"*":
            return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]
        raise StoreError(f"Redis: {rest.decode(errors='replace')}")

    def call(self, *words):
        self.flush()
        self.socket.sendall(resp(*words))
        return self._reply()

    def push(self, *words):
        """Queues a command whose answer only matters when it is an error."""
        command = resp(*words)
        self.pending.append(command)
        self.size += len(command)
        if len(self.pending) >= self.PIPELINE or self.size > 1 << 20:
            self.flush()

    def flush(self):
        count = len(self.pending)
        if count:
            self.socket.sendall(b"".join(self.pending))
            self.pending, self.size = [], 0
            for _ in range(count):
                self._reply()

    def many(self, commands):
        """The answers to several commands, sent together."""
        self.flush()
        self.socket.sendall(b"".join(resp(*command) for command in commands))
        return [self._reply() for _ in commands]

    def scan(self):
        """Every key once, in lists."""
        cursor, seen = b"0", set()
        while True:
            cursor, keys = self.call("SCAN", cursor, "COUNT", 2000)
            fresh = [key for key in dict.fromkeys(keys) if key not in seen]
            seen.update(fresh)
            if fresh:
                yield fresh
            if cursor == b"0":
                return


# --- PostgreSQL ------------------------------------------------------------------------------------------------


def database_of(url):
    """The URL of the server's maintenance database, and the database that `url` names."""
    parsed = urllib.parse.urlsplit(url)
    name = urllib.parse.unquote(parsed.path.lstrip("/"))
    if not name:
        raise StoreError(f"{url} names no database")
    return urllib.parse.urlunsplit(parsed._replace(path="/postgres")), name


def psql_command(url, *options):
    return ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", *options, url]


def psql(url, sql, *options):
    """What psql prints for `sql`, unaligned and without headings."""
    command = psql_command(url, "--no-align", "--tuples-only", *options)
    done = subprocess.run(command, input=sql.encode(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise StoreError(f"psql: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout.decode()


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def copy_field(value):
    """One field of COPY's text format."""
    if value is None:
        return "\\N"
    if value is True or value is False:
        return "t" if value else "f"
    if isinstance(value, bytes):
        return "\\\\x" + value.hex()
    text = str(value)
    for plain, escaped in (("\\", "\\\\"), ("\t", "\\t"), ("\n", "\\n"), ("\r", "\\r")):
        text = text.replace(plain, escaped)
    return text


def array_literal(items):
    """A one-dimensional array as PostgreSQL writes it."""
    if items is None:
        return None
    escaped = ('"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' if item is not None else "NULL" for item in items)
    return "{" + ",".join(escaped) + "}"


def copy_rows(url, table, columns, rows):
    """Loads rows through one psql that runs COPY; triggers and foreign keys rest meanwhile."""
    names = ", ".join(map(quoted, columns))
    environment = {**os.environ, "PGOPTIONS": "-c session_replication_role=replica"}
    command = psql_command(url, "--command", f"copy {table} ({names}) from stdin")
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        count = 0
        try:
            for row in rows:
                process.stdin.write(("\t".join(map(copy_field, row)) + "\n").encode())
                count += 1
            process.stdin.close()
        except BrokenPipeError:
            pass
        complaint = process.stderr.read().decode(errors="replace")
        if process.wait() != 0:
            raise StoreError(f"copy to {table}: {complaint.strip()}")
    return count

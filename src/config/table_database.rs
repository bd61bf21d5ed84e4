//! The keys of the `database` block, which belongs to the application, and of `data.connect`,
//! pfdata's own way in. A row is all that is to be said of a key; the order is that of messages.

use super::key::Holds::{Flag, FlagOrObject, Foreign, Number, Object, Text, Texts, Word};
use super::key::{CONNECT_TIMEOUT, HIGHEST_INDEX, Key, Preset, key};
use super::words::{TLS_VERSIONS, names};

const PORT: super::key::Holds = Number(1, 65_535);
const TIMEOUT: super::key::Holds = Number(0, 3_600_000);
const INDEX: super::key::Holds = Number(0, HIGHEST_INDEX);

/// `database`.
#[rustfmt::skip] // a row is a line
pub(crate) const DATABASE: &[Key] = &[
    key("database", Object, "The application's own block: which stores there are."),
    key("database.postgres", Object, "The Postgres; `false` switches it off."),
    key("database.redis", Object, "The Redis; `false` switches it off."),
    key("database.mongodb", Object, "The MongoDB; `false` switches it off."),
    key("database.<store>.url", Text, "A connection string. A key of the same or a higher layer beats its part of it."),
    key("database.postgres.host", Text, "Host name, address, or the folder of a socket.").or_unless(Preset::Text("localhost"), &["url"]),
    key("database.redis.host", Text, "Host name or address.").or_unless(Preset::Text("localhost"), &["url"]),
    key("database.mongodb.host", Text, "Host name or address.").or_unless(Preset::Text("localhost"), &["url", "cluster"]),
    key("database.postgres.port", PORT, "Port.").or_unless(Preset::Number(5432), &["url"]),
    key("database.redis.port", PORT, "Port.").or_unless(Preset::Number(6379), &["url"]),
    key("database.mongodb.port", PORT, "Port.").or_unless(Preset::Number(27017), &["url", "cluster"]),
    key("database.redis.db", INDEX, "The index that holds the environment's keys.").or_unless(Preset::Number(0), &["url", "database"]),
    key("database.postgres.database", Text, "The database that holds the environment's data."),
    // What some Redis clients call `db`: ignoring it would mean index 0.
    key("database.redis.database", INDEX, "What some clients call `db`; a word is left to the application."),
    key("database.mongodb.database", Text, "The database that holds the environment's data."),
    key("database.<store>.username", Text, "The user to log in as."),
    key("database.<store>.password", Text, "Its password. For Postgres, where it is nowhere else, `DEV_DB_PASSWORD`, `STAGING_DB_PASSWORD` and so on are asked.").secret(),
    key("database.mongodb.authSource", Text, "The database that knows the user."),
    key("database.mongodb.replicaSet", Text, "The name of the replica set."),
    key("database.<store>.ssl", FlagOrObject, "Encryption; `true` requires it and checks the certificate."),
    key("database.<store>.ssl.required", Flag, "Whether to refuse to speak in the clear; `true` where `ssl` is an object."),
    key("database.<store>.ssl.rejectUnauthorized", Flag, "Whether the certificate is checked; as `required` where it is not given."),
    key("database.<store>.ssl.ca", Text, "A PEM file of authorities to trust instead of the system's."),
    key("database.<store>.ssl.cert", Text, "A client's certificate.").not_in_store(),
    key("database.<store>.ssl.key", Text, "Its key.").secret().not_in_store(),
    key("database.<store>.ssl.minVersion", Word(|| names(&TLS_VERSIONS)), "The oldest TLS that is spoken."),
    key("database.postgres.schemas", Texts, "The schemas that are the environment's; none means the whole database."),
    key("database.postgres.readReplicas", Texts, "Replicas.").later(),
    key("database.redis.cluster", Foreign, "The nodes of a cluster; `false` and an empty list mean none.").not_in_store(),
    key("database.mongodb.cluster", Foreign, "A connection string that beats `host` and `port`; `false` means none."),
    key("database.redis.spareDb", INDEX, "The index to load beside the live one. Without it: the highest that no environment names and that is empty."),
    key("database.<store>.connectionTimeout", TIMEOUT, "How long a connection attempt may take, in milliseconds; 0 is the default.").or(Preset::Number(CONNECT_TIMEOUT)),
];

/// `data.connect`. Which data it is stays with the `database` block.
#[rustfmt::skip] // a row is a line
pub(crate) const CONNECT: &[Key] = &[
    key(
        "data.connect",
        Object,
        "pfdata's own way in, over `database`: another user, another host, the same data.",
    ),
    key("data.connect.<store>", Object, "The way into one store."),
    key(
        "data.connect.<store>.url",
        Text,
        "A connection string; it names the database of `database` or none.",
    ),
    key("data.connect.<store>.host", Text, "Host name or address."),
    key("data.connect.<store>.port", PORT, "Port."),
    key("data.connect.<store>.username", Text, "The user to log in as."),
    key(
        "data.connect.<store>.password",
        Text,
        "Its password; that of `database` is not sent for another user.",
    )
    .secret(),
    key("data.connect.mongodb.authSource", Text, "The database that knows the user."),
    key("data.connect.mongodb.replicaSet", Text, "The name of the replica set."),
    key("data.connect.<store>.ssl", FlagOrObject, "Encryption, as in `database`."),
    key("data.connect.<store>.ssl.required", Flag, "As in `database`."),
    key("data.connect.<store>.ssl.rejectUnauthorized", Flag, "As in `database`."),
    key("data.connect.<store>.ssl.ca", Text, "As in `database`."),
    key("data.connect.<store>.ssl.cert", Text, "As in `database`.").not_in_store(),
    key("data.connect.<store>.ssl.key", Text, "As in `database`.").secret().not_in_store(),
    key("data.connect.<store>.ssl.minVersion", Word(|| names(&TLS_VERSIONS)), "As in `database`."),
    key("data.connect.<store>.connectionTimeout", TIMEOUT, "As in `database`."),
];

//! Where a store is and how it is spoken to, with every `${NAME}` resolved.

use std::path::PathBuf;
use std::time::Duration;

use super::secret::Secret;

/// How a connection is encrypted.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Refuse to speak in the clear.
    pub required: bool,
    /// Check the server's certificate and name.
    pub verify: bool,
    /// A PEM file of authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Refuse TLS 1.2.
    pub tls13_only: bool,
}

/// A Postgres database.
#[derive(Debug, Clone)]
pub struct PostgresEndpoint {
    /// Host name, address, or the folder of a Unix socket.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The database that holds the environment's data.
    pub database: String,
    /// The role to log in as.
    pub username: String,
    /// Its password, when one is configured.
    pub password: Option<Secret>,
    /// Encryption.
    pub tls: Tls,
    /// The schemas that belong to the environment; empty means all of the database.
    pub schemas: Vec<String>,
    /// How long a connection attempt may take.
    pub connect_timeout: Duration,
}

/// A logical database ("index") of a Redis server.
#[derive(Debug, Clone)]
pub struct RedisEndpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The index that holds the environment's data.
    pub db: u32,
    /// ACL user; `None` is the default user.
    pub username: Option<String>,
    /// Its password, when one is configured.
    pub password: Option<Secret>,
    /// Encryption.
    pub tls: Tls,
    /// The index to load beside the live one; `None` lets pfdata choose.
    pub spare_db: Option<u32>,
    /// Indexes that other environments use on the same server: never to be chosen.
    pub taken: Vec<u32>,
    /// How long a connection attempt may take.
    pub connect_timeout: Duration,
}

/// A MongoDB database.
#[derive(Debug, Clone)]
pub struct MongoEndpoint {
    /// A connection string without the database: `mongodb://…` or `mongodb+srv://…`. It may hold
    /// a password, hence a secret.
    pub uri: Secret,
    /// `host:port`, for messages.
    pub address: String,
    /// The database that holds the environment's data.
    pub database: String,
    /// The user to log in as; the same as in the URI, if that has one.
    pub username: Option<String>,
    /// Its password; the same as in the URI, if that has one.
    pub password: Option<Secret>,
    /// The database that knows the user.
    pub auth_source: Option<String>,
    /// The name of the replica set, when configured.
    pub replica_set: Option<String>,
    /// Encryption.
    pub tls: Tls,
    /// How long a connection attempt and the choice of a server may take.
    pub connect_timeout: Duration,
}

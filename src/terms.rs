//! The words that every room uses: which stores there are, how consistent a read was, and what makes
//! a store this one and no other. Called by all rooms; touches nothing.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Which of the stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoreKind {
    /// PostgreSQL 13 to 18.
    Postgres,
    /// Redis 6.2 and later, and Valkey.
    Redis,
    /// MongoDB 5.0 and later.
    Mongodb,
}

impl StoreKind {
    /// Every store, in the order in which they are listed and swapped. MongoDB comes last: its
    /// swap is the only one that cannot be taken back at once.
    pub const ALL: [Self; 3] = [Self::Postgres, Self::Redis, Self::Mongodb];

    /// The word used in flags, files and output.
    pub fn word(self) -> &'static str {
        match self {
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::Mongodb => "mongodb",
        }
    }
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// How consistent what was read is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    /// All of it as of one moment.
    PointInTime,
    /// Each piece as of the moment it was read.
    BestEffort,
}

/// The moment that a store's data is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consistency {
    /// How consistent it is.
    pub level: Level,
    /// The store's own name of the moment: an LSN, a clusterTime `T.I`, a replication offset.
    pub point: String,
    /// The Postgres exported snapshot, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exported: Option<String>,
}

/// What makes a store this one and no other; two equal identities are the same data.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "store", rename_all = "lowercase")]
pub enum Identity {
    /// A database of a cluster.
    Postgres {
        /// `pg_control_system().system_identifier`, as text.
        system_identifier: String,
        /// Database name.
        database: String,
        /// Configured schemas; empty means all.
        schemas: Vec<String>,
    },
    /// An index of a server.
    Redis {
        /// `host:port` as the server itself knows it is not stable across networks, so: the
        /// server's `run_id` of this run and the configured address.
        server: String,
        /// `run_id` of `INFO server`, which changes at a restart.
        run_id: String,
        /// Index.
        db: u32,
    },
    /// A database of a replica set.
    Mongodb {
        /// The replica set's id (`settings.replicaSetId`), or the address of a standalone.
        deployment: String,
        /// Database name.
        database: String,
    },
}

impl Identity {
    /// Which store it is of.
    pub fn kind(&self) -> StoreKind {
        match self {
            Self::Postgres { .. } => StoreKind::Postgres,
            Self::Redis { .. } => StoreKind::Redis,
            Self::Mongodb { .. } => StoreKind::Mongodb,
        }
    }

    /// Whether both name the same data.
    pub fn same_data(&self, other: &Self) -> bool {
        match (self, other) {
            (
                Self::Postgres { system_identifier: a, database: da, schemas: sa },
                Self::Postgres { system_identifier: b, database: db, schemas: sb },
            ) => {
                let overlap =
                    sa.is_empty() || sb.is_empty() || sa.iter().any(|schema| sb.contains(schema));
                a == b && da == db && overlap
            }
            (
                Self::Redis { server: a, run_id: ra, db: da },
                Self::Redis { server: b, run_id: rb, db: other },
            ) => (a == b || ra == rb) && da == other,
            (
                Self::Mongodb { deployment: a, database: da },
                Self::Mongodb { deployment: b, database: db },
            ) => a == b && da == db,
            _ => false,
        }
    }
}

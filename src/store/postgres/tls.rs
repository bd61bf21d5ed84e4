//! TLS for connections to Postgres: for the driver, and the same choice as libpq's environment
//! variables, for the tools that [`super::tools`] starts. What is trusted says [`crate::store::tls`].

use std::path::{Path, PathBuf};

use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::endpoint::Tls;
use crate::error::Result;
use crate::store::tls::{authorities, client, verified};

/// What connects with TLS as configured. Fails with exit 2 if the authorities cannot be read.
pub fn connector(tls: &Tls) -> Result<MakeRustlsConnect> {
    client(tls).map(MakeRustlsConnect::new)
}

/// The environment variables that make libpq (pg_dump, pg_restore) encrypt and check alike.
pub fn libpq(tls: &Tls) -> Result<Vec<(&'static str, PathBuf)>> {
    let value = |text: &str| Path::new(text).to_owned();
    let mode = match (tls.required, verified(tls)) {
        (false, _) => "prefer",
        (true, false) => "require",
        (true, true) => "verify-full",
    };
    let mut variables = vec![("PGSSLMODE", value(mode))];
    if verified(tls) {
        variables.push(("PGSSLROOTCERT", authorities(tls)?));
    } else {
        // A root certificate in the home folder would turn `require` into `verify-ca`.
        variables.push(("PGSSLROOTCERT", value("/nonexistent")));
    }
    if tls.tls13_only {
        variables.push(("PGSSLMINPROTOCOLVERSION", value("TLSv1.3")));
    }
    Ok(variables)
}

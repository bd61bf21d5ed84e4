//! Connecting, and knowing what one is connected to.

use std::time::Duration;

use mongodb::Client;
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{DateTime, Document, Timestamp, doc};
use mongodb::options::{Acknowledgment, ClientOptions, Credential, Tls, TlsOptions};

use super::command::{SHORT, run, told};
use crate::config::endpoint::MongoEndpoint;
use crate::error::{Error, Result};
use crate::store::tls::{self, authorities, verified};
use crate::terms::Identity;

/// The most connections a client opens per server; more than any number of workers.
const POOL: u32 = 64;

/// The first wire version of MongoDB 5.0
/// (<https://github.com/mongodb/specifications/blob/master/source/wireversion-featurelist>).
const WIRE_VERSION_5_0: i32 = 13;

/// What a server says about itself.
#[derive(Debug, Clone)]
pub(super) struct Hello {
    /// The replica set it belongs to.
    pub set: Option<String>,
    /// `host:port` of the members that hold data.
    pub hosts: Vec<String>,
    /// The id of the replica set, which no other replica set has.
    pub set_id: Option<ObjectId>,
    /// Whether it takes writes.
    pub writable: bool,
    /// Its clock.
    pub local_time: Option<DateTime>,
    /// The cluster time of this answer; none on a standalone.
    pub operation_time: Option<Timestamp>,
    /// The most documents that one insert command may carry.
    pub max_write_batch: u32,
}

impl Hello {
    /// Whether reads at a cluster time and transactions are possible.
    pub fn replicated(&self) -> bool {
        self.set.is_some()
    }
}

/// Opens a client and makes sure that a server of a supported version answers and accepts the
/// user. Nothing is looked up in the database: it need not exist.
///
/// # Errors
/// Exit 12 if no server answers within `endpoint.connect_timeout` or it refuses the user; exit 2
/// if the connection string is wrong or weakens consistency; the message names the address and
/// never a password.
pub async fn connect(endpoint: &MongoEndpoint) -> Result<Client> {
    let options = options(endpoint).await?;
    let at = |error: &mongodb::error::Error| {
        let failed = told(format!("mongodb at {} cannot be reached", endpoint.address), error);
        let hint = tls::hint(&failed.to_string())
            .unwrap_or("check host and port, user and password, and that the server runs");
        failed.hint(hint)
    };
    let client = Client::with_options(options).map_err(|error| at(&error))?;
    // Twice the time: choosing the server and opening the connection each take up to one.
    let limit = endpoint.connect_timeout.saturating_mul(2).max(Duration::from_secs(1));
    let command = doc! { "ping": 1 };
    run(&client.database("admin"), command, limit).await.map_err(|error| at(&error))?;
    hello(&client, endpoint).await?;
    Ok(client)
}

async fn options(endpoint: &MongoEndpoint) -> Result<ClientOptions> {
    let mut options = parse(endpoint).await?;
    refuse_weak(&options, endpoint)?;
    options.app_name = Some("pfdata".to_owned());
    options.max_pool_size = Some(POOL);
    options.connect_timeout = Some(endpoint.connect_timeout);
    options.server_selection_timeout = Some(endpoint.connect_timeout);
    if let Some(set) = &endpoint.replica_set {
        options.repl_set_name = Some(set.clone());
    }
    authenticate(&mut options, endpoint);
    encrypt(&mut options, endpoint)?;
    Ok(options)
}

async fn parse(endpoint: &MongoEndpoint) -> Result<ClientOptions> {
    let uri = endpoint.uri.expose();
    ClientOptions::parse(uri).await.map_err(|error| {
        // The driver's message may quote a piece of the string, and that may be of a password.
        let wrong = Error::usage(format!(
            "the connection string of mongodb at {} is wrong",
            endpoint.address
        ));
        match error.kind.as_ref() {
            mongodb::error::ErrorKind::DnsResolve { .. } => Error::unreachable(format!(
                "the servers of mongodb at {} cannot be looked up in the DNS",
                endpoint.address
            )),
            mongodb::error::ErrorKind::InvalidArgument { message, .. } if !uri.contains('@') => {
                wrong.because(message.clone())
            }
            _ => wrong.hint("percent-encode special characters in the user name and password"),
        }
    })
}

/// Options that would make a snapshot or a load less than it claims to be. A read concern on the
/// client overrides the one of snapshot sessions (`Command::set_snapshot_read_concern`).
fn refuse_weak(options: &ClientOptions, endpoint: &MongoEndpoint) -> Result<()> {
    let refuse = |option: &str| {
        Err(Error::usage(format!(
            "the connection string of mongodb at {} sets `{option}`, which weakens consistency",
            endpoint.address
        ))
        .hint(format!("remove `{option}` from the url; pfdata chooses it itself")))
    };
    if options.read_concern.is_some() {
        return refuse("readConcernLevel");
    }
    if let Some(concern) = &options.write_concern {
        if matches!(concern.w, Some(Acknowledgment::Nodes(0))) {
            return refuse("w=0");
        }
        if concern.journal == Some(false) {
            return refuse("journal=false");
        }
    }
    Ok(())
}

fn authenticate(options: &mut ClientOptions, endpoint: &MongoEndpoint) {
    if endpoint.username.is_none() && endpoint.password.is_none() && endpoint.auth_source.is_none()
    {
        return;
    }
    let mut credential = options.credential.take().unwrap_or_default();
    if let Some(username) = &endpoint.username {
        credential.username = Some(username.clone());
    }
    if let Some(password) = &endpoint.password {
        credential.password = Some(password.expose().to_owned());
    }
    if let Some(source) = &endpoint.auth_source {
        credential.source = Some(source.clone());
    }
    // An authSource without a user is what an application's file may hold; there is nothing to
    // authenticate then.
    options.credential = if credential.username.is_some() || credential.mechanism.is_some() {
        Some(credential)
    } else {
        None::<Credential>
    };
}

fn encrypt(options: &mut ClientOptions, endpoint: &MongoEndpoint) -> Result<()> {
    let tls = &endpoint.tls;
    let mut wanted = match (options.tls.take(), tls.required) {
        (Some(Tls::Disabled), true) => {
            return Err(Error::usage(format!(
                "mongodb at {} requires ssl but its connection string turns tls off",
                endpoint.address
            )));
        }
        (Some(Tls::Enabled(given)), _) => given,
        (None, true) => TlsOptions::default(),
        (off, false) => {
            options.tls = off;
            return Ok(());
        }
    };
    if tls.tls13_only {
        return Err(Error::not_built("ssl.minVersion 1.3 for mongodb"));
    }
    // The driver speaks TLS to a `+srv` name by itself, and checks; that is not given up.
    if tls.required {
        wanted.allow_invalid_certificates = Some(!verified(tls));
    }
    if wanted.allow_invalid_certificates != Some(true) {
        wanted.ca_file_path = Some(authorities(tls)?);
    }
    options.tls = Some(Tls::Enabled(wanted));
    Ok(())
}

/// Asks the server what it is. Refuses servers before 5.0 and, for now, sharded clusters.
pub(super) async fn hello(client: &Client, endpoint: &MongoEndpoint) -> Result<Hello> {
    // `$replData` adds the replica set's metadata to any answer; it needs no privilege, unlike
    // replSetGetConfig (`ReplicationCoordinatorImpl::prepareReplMetadata`).
    let command = doc! { "hello": 1, "$replData": 1 };
    let reply = run(&client.database("admin"), command, SHORT).await.map_err(|error| {
        told(format!("mongodb at {} does not say what it is", endpoint.address), &error)
    })?;
    if reply.get_str("msg").is_ok_and(|message| message == "isdbgrid") {
        return Err(Error::not_built("a sharded mongodb cluster"));
    }
    if reply.get_i32("maxWireVersion").unwrap_or(0) < WIRE_VERSION_5_0 {
        return Err(Error::failed(format!(
            "mongodb at {} is older than 5.0, the oldest version that pfdata knows",
            endpoint.address
        )));
    }
    Ok(read_hello(&reply))
}

fn read_hello(reply: &Document) -> Hello {
    let hosts = reply
        .get_array("hosts")
        .map(|hosts| hosts.iter().filter_map(|host| host.as_str().map(str::to_owned)).collect());
    let set_id =
        reply.get_document("$replData").and_then(|data| data.get_object_id("replicaSetId"));
    Hello {
        set: reply.get_str("setName").ok().map(str::to_owned),
        hosts: hosts.unwrap_or_default(),
        set_id: set_id.ok(),
        writable: reply.get_bool("isWritablePrimary").unwrap_or(false),
        local_time: reply.get_datetime("localTime").ok().copied(),
        operation_time: reply.get_timestamp("operationTime").ok(),
        max_write_batch: reply
            .get_i32("maxWriteBatchSize")
            .ok()
            .and_then(|most| u32::try_from(most).ok())
            .unwrap_or(1000),
    }
}

/// Which deployment and database `endpoint` is: the replica set's own id, so that two names of
/// one server are one identity; the address for a standalone.
pub async fn identity(client: &Client, endpoint: &MongoEndpoint) -> Result<Identity> {
    let hello = hello(client, endpoint).await?;
    let deployment = match (&hello.set_id, &hello.set) {
        (Some(id), _) => id.to_hex(),
        (None, Some(set)) => set_id_of_config(client, &hello, set).await,
        (None, None) => endpoint.address.to_ascii_lowercase(),
    };
    Ok(Identity::Mongodb { deployment, database: endpoint.database.clone() })
}

/// The set's id where `$replData` did not tell it: from its configuration, and else its name
/// with its members.
async fn set_id_of_config(client: &Client, hello: &Hello, set: &str) -> String {
    let command = doc! { "replSetGetConfig": 1 };
    let config = run(&client.database("admin"), command, SHORT).await.ok();
    let id = config.as_ref().and_then(|reply| {
        let settings = reply.get_document("config").ok()?.get_document("settings").ok()?;
        settings.get_object_id("replicaSetId").ok()
    });
    id.map_or_else(
        || {
            let mut hosts = hello.hosts.clone();
            hosts.sort();
            format!("{set}/{}", hosts.join(","))
        },
        ObjectId::to_hex,
    )
}

/// The server's version, as it says it: `6.0.5`.
pub async fn server_version(client: &Client) -> Result<String> {
    let reply = run(&client.database("admin"), doc! { "buildInfo": 1 }, SHORT)
        .await
        .map_err(|error| told("the version of mongodb cannot be read", &error))?;
    Ok(reply.get_str("version").unwrap_or("unknown").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret::Secret;

    fn endpoint(uri: &str) -> MongoEndpoint {
        MongoEndpoint {
            uri: Secret::new(uri),
            address: "h:1".to_owned(),
            database: "d".to_owned(),
            username: None,
            password: None,
            auth_source: None,
            replica_set: None,
            tls: crate::config::endpoint::Tls::default(),
            connect_timeout: Duration::from_secs(1),
        }
    }

    #[tokio::test]
    async fn weak_and_wrong_strings_are_usage_errors_without_secrets() {
        for uri in [
            "mongodb://u:pa%20ss@h:1/?readConcernLevel=local",
            "mongodb://h:1/?w=0",
            "mongodb://h:1/?journal=false",
            "mongodb://u:p@ss@h:1/",
            "mongodb://h:1/?foo=bar",
        ] {
            let error = options(&endpoint(uri)).await.unwrap_err();
            assert_eq!(error.kind(), crate::error::Kind::Usage, "{uri}");
            let text = format!("{error} {:?}", error.hint_text());
            assert!(!text.contains("pa") || !text.contains("ss@"), "{text}");
            assert!(!text.contains("p@ss"), "{text}");
        }
    }

    #[tokio::test]
    async fn credentials_and_tls_come_from_the_endpoint() {
        let mut place = endpoint("mongodb://h:1/");
        place.username = Some("u".to_owned());
        place.password = Some(Secret::new("secret"));
        place.auth_source = Some("admin".to_owned());
        place.tls.required = true;
        let made = options(&place).await.unwrap();
        let credential = made.credential.unwrap();
        assert_eq!(credential.username.as_deref(), Some("u"));
        assert_eq!(credential.source.as_deref(), Some("admin"));
        assert!(matches!(
            made.tls,
            Some(Tls::Enabled(TlsOptions { allow_invalid_certificates: Some(true), .. }))
        ));
        place.tls.tls13_only = true;
        assert!(options(&place).await.is_err());
    }
}

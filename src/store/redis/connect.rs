//! A connection to a Redis server: RESP 2 over TCP or TLS, pipelined, with timeouts.
//!
//! It is our own and small because what matters here no client library offers: the replication
//! stream, and payloads of bytes that are written as they are and answered in bulk.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::reply::{Reply, put_command, refusal, without_arguments};
use crate::config::endpoint::RedisEndpoint;
use crate::error::{Error, OrFail, Result};
use crate::store::tls;

/// How long an answer may take, and how long a write may stall.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The longest status line or length.
const LONGEST_LINE: usize = 64 << 10;

/// The longest byte string in an answer: what a server itself allows by default.
const LONGEST_BULK: usize = (512 << 20) + 1024;

/// Bytes read from the socket at once.
const READ: usize = 64 << 10;

/// A byte stream in both directions.
pub trait Wire: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Wire for T {}

/// A connection.
pub struct Connection {
    wire: Box<dyn Wire>,
    buffer: Vec<u8>,
    at: usize,
    address: String,
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.address)
    }
}

/// `host:port` of an endpoint, for messages.
pub fn address(endpoint: &RedisEndpoint) -> String {
    format!("{}:{}", endpoint.host, endpoint.port)
}

impl Connection {
    /// Connects, encrypts and logs in, within the endpoint's timeout. Errors (exit 12) name host
    /// and port, never the password.
    pub async fn open(endpoint: &RedisEndpoint) -> Result<Self> {
        let address = address(endpoint);
        let limit = endpoint.connect_timeout;
        match timeout(limit, Self::establish(endpoint, address.clone())).await {
            Ok(connection) => connection,
            Err(_) => Err(Error::unreachable(format!(
                "redis at {address} did not answer within {} ms",
                limit.as_millis()
            ))),
        }
    }

    /// As [`open`](Self::open), with index `db` selected.
    pub async fn open_at(endpoint: &RedisEndpoint, db: u32) -> Result<Self> {
        let mut connection = Self::open(endpoint).await?;
        connection.select(db).await?;
        Ok(connection)
    }

    async fn establish(endpoint: &RedisEndpoint, address: String) -> Result<Self> {
        let failed = || format!("redis at {address} cannot be reached");
        let host = endpoint.host.trim_start_matches('[').trim_end_matches(']');
        let socket = TcpStream::connect((host, endpoint.port))
            .await
            .or_unreachable(failed)
            .map_err(|error| error.hint("check host and port, and that the server runs"))?;
        socket.set_nodelay(true).or_unreachable(failed)?;
        let wire: Box<dyn Wire> = if endpoint.tls.required {
            let name = rustls::pki_types::ServerName::try_from(host.to_owned())
                .or_usage(|| format!("`{host}` is no name that tls can check"))?;
            let connector = TlsConnector::from(Arc::new(tls::client(&endpoint.tls)?));
            let secured = connector.connect(name, socket).await.or_unreachable(|| {
                format!("redis at {address} does not speak tls as the configuration asks")
            });
            let secured = secured.map_err(|error| match tls::hint(&error.to_string()) {
                Some(hint) => error.hint(hint),
                None => error,
            })?;
            Box::new(secured)
        } else {
            Box::new(socket)
        };
        let mut connection = Self { wire, buffer: Vec::new(), at: 0, address };
        connection.log_in(endpoint).await?;
        Ok(connection)
    }

    async fn log_in(&mut self, endpoint: &RedisEndpoint) -> Result<()> {
        let password = endpoint.password.as_ref().map(|secret| secret.expose().as_bytes());
        let reply = match (&endpoint.username, password) {
            (Some(user), password) => {
                self.command(&[b"AUTH", user.as_bytes(), password.unwrap_or_default()]).await?
            }
            (None, Some(password)) => self.command(&[b"AUTH", password]).await?,
            (None, None) => self.command(&[b"PING"]).await?,
        };
        let Reply::Failure(text) = reply else {
            return Ok(());
        };
        let user = endpoint.username.as_deref().unwrap_or("default");
        let address = &self.address;
        let error = match text.split(' ').next() {
            Some("NOAUTH") => Error::unreachable(format!("redis at {address} wants a password")),
            Some("WRONGPASS") => Error::unreachable(format!(
                "redis at {address} does not accept the password of user `{user}`"
            )),
            // Loading its data, unable to save: whatever is wrong, it is not the login.
            Some("LOADING" | "MISCONF" | "MASTERDOWN" | "BUSY") => return Ok(()),
            _ if text.contains("without any password configured") => {
                tracing::warn!(%address, "a redis password is configured, and the server has none");
                return Ok(());
            }
            _ => Error::unreachable(format!("redis at {address} refuses user `{user}`"))
                .because(text.as_str()),
        };
        Err(error.hint("check username and password in the environment's `database.redis`"))
    }

    /// `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    fn lost(&self) -> Error {
        Error::unreachable(format!("redis at {} closed the connection", self.address))
    }

    /// Writes bytes that are commands already.
    pub async fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let address = &self.address;
        let write = async {
            // In pieces, so that the limit is one on stalling and not on size.
            for piece in bytes.chunks(1 << 20) {
                match timeout(PATIENCE, self.wire.write_all(piece)).await {
                    Ok(written) => written?,
                    Err(_) => return Err(std::io::ErrorKind::TimedOut.into()),
                }
            }
            self.wire.flush().await
        };
        let written: std::io::Result<()> = write.await;
        written.or_unreachable(|| format!("redis at {address} stopped taking commands"))
    }

    /// Sends a command and waits for its answer, which may be a failure.
    pub async fn command(&mut self, arguments: &[&[u8]]) -> Result<Reply> {
        let mut bytes = Vec::with_capacity(128);
        put_command(&mut bytes, arguments);
        self.send(&bytes).await?;
        self.reply().await
    }

    /// As [`command`](Self::command); a failure is an error that says that `what` was refused.
    pub async fn run(&mut self, what: &str, arguments: &[&[u8]]) -> Result<Reply> {
        self.command(arguments).await?.checked(what)
    }

    /// Selects an index.
    pub async fn select(&mut self, db: u32) -> Result<()> {
        let number = db.to_string();
        match self.command(&[b"SELECT", number.as_bytes()]).await? {
            Reply::Failure(text) => Err(refusal(&format!("index {db}"), &text)),
            _ => Ok(()),
        }
    }

    /// Reads more from the socket; an error at its end.
    async fn fill(&mut self) -> Result<()> {
        if self.at == self.buffer.len() {
            self.buffer.clear();
            self.at = 0;
        } else if self.at > READ {
            self.buffer.drain(..self.at);
            self.at = 0;
        }
        self.buffer.reserve(READ);
        let read = timeout(PATIENCE, self.wire.read_buf(&mut self.buffer)).await;
        let address = &self.address;
        match read {
            Ok(Ok(0)) => Err(self.lost()),
            Ok(read) => {
                read.or_unreachable(|| format!("the connection to redis at {address} broke"))?;
                Ok(())
            }
            Err(_) => Err(Error::unreachable(format!(
                "redis at {address} did not answer within {} s",
                PATIENCE.as_secs()
            ))),
        }
    }

    /// Where the next line ends (its CR LF excluded), as an index into the buffer.
    async fn line_end(&mut self) -> Result<usize> {
        let mut searched = 0;
        loop {
            let rest = &self.buffer[self.at + searched..];
            if let Some(position) = memchr::memchr(b'\n', rest) {
                return Ok(self.at + searched + position);
            }
            searched += rest.len();
            if searched > LONGEST_LINE {
                return Err(self.nonsense());
            }
            self.fill().await?;
        }
    }

    fn nonsense(&self) -> Error {
        Error::failed(format!("what answers at {} does not speak redis", self.address))
    }

    /// The next line without its end.
    pub async fn line(&mut self) -> Result<Vec<u8>> {
        let end = self.line_end().await?;
        let line = self.buffer[self.at..end].trim_ascii_end().to_vec();
        self.at = end + 1;
        Ok(line)
    }

    /// The next answer.
    pub async fn reply(&mut self) -> Result<Reply> {
        self.reply_within(0).await
    }

    async fn reply_within(&mut self, depth: u32) -> Result<Reply> {
        let line = self.line().await?;
        let (mark, rest) = line.split_first().ok_or_else(|| self.nonsense())?;
        let text = || String::from_utf8_lossy(rest).into_owned();
        let number = || std::str::from_utf8(rest).ok()?.parse::<i64>().ok();
        match mark {
            b'+' => Ok(Reply::Status(text())),
            b'-' => Ok(Reply::Failure(without_arguments(&text()))),
            b':' => Ok(Reply::Integer(number().ok_or_else(|| self.nonsense())?)),
            b'$' => match number() {
                Some(-1) => Ok(Reply::Bulk(None)),
                Some(length) => self.bulk(length).await,
                None => Err(self.nonsense()),
            },
            b'*' => match number() {
                Some(-1) => Ok(Reply::Array(None)),
                Some(length @ 0..) if depth < 8 => {
                    let mut items = Vec::with_capacity(length.min(1024) as usize);
                    for _ in 0..length {
                        items.push(Box::pin(self.reply_within(depth + 1)).await?);
                    }
                    Ok(Reply::Array(Some(items)))
                }
                _ => Err(self.nonsense()),
            },
            _ => Err(self.nonsense()),
        }
    }

    async fn bulk(&mut self, length: i64) -> Result<Reply> {
        let length = usize::try_from(length)
            .ok()
            .filter(|length| *length <= LONGEST_BULK)
            .ok_or_else(|| self.nonsense())?;
        while self.buffer.len() - self.at < length + 2 {
            self.fill().await?;
        }
        let end = self.at + length;
        let bytes = self.buffer[self.at..end].to_vec();
        self.at = end + 2;
        Ok(Reply::Bulk(Some(bytes)))
    }

    /// Waits for `count` answers and looks only at those that are failures: the first becomes an
    /// error saying that `what` was refused.
    pub async fn expect_successes(&mut self, count: u64, what: &str) -> Result<()> {
        let mut first = None;
        for _ in 0..count {
            let end = self.line_end().await?;
            if self.buffer[self.at] == b'+' || self.buffer[self.at] == b':' {
                self.at = end + 1;
                continue;
            }
            if let Reply::Failure(text) = self.reply().await? {
                first.get_or_insert(text);
            }
        }
        match first {
            Some(text) => Err(refusal(what, &text)),
            None => Ok(()),
        }
    }

    /// The next bytes, at least one and whatever has arrived; empty at the end of the stream.
    /// Waits for `patience` at the most.
    pub async fn bytes(&mut self, patience: Duration) -> Result<Vec<u8>> {
        if self.at < self.buffer.len() {
            let rest = self.buffer.split_off(self.at);
            self.buffer.clear();
            self.at = 0;
            return Ok(rest);
        }
        let mut bytes = Vec::with_capacity(4 * READ);
        let address = &self.address;
        match timeout(patience, self.wire.read_buf(&mut bytes)).await {
            Ok(read) => {
                read.or_unreachable(|| format!("the connection to redis at {address} broke"))?;
                Ok(bytes)
            }
            Err(_) => Err(Error::unreachable(format!(
                "redis at {address} sent nothing for {} s",
                patience.as_secs()
            ))),
        }
    }
}

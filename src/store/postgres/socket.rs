//! The stream below a session, and lending it.
//!
//! The driver owns a session's stream and hands on every row of a COPY as a message of its own,
//! through a channel: a third of the client's time. While the driver has nothing to say and
//! nothing to hear, [`Shared::lend`] gives the stream to someone who reads in larger pieces
//! ([`CopyOut`](super::copy_out::CopyOut)); the driver waits until it is given back.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_util::future::BoxFuture;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_postgres_rustls::MakeRustlsConnect;

/// What connects the driver's TLS over a shared stream.
type Rustls = <MakeRustlsConnect as MakeTlsConnect<Shared>>::TlsConnect;
/// The stream that this gives.
type RustlsStream = <MakeRustlsConnect as MakeTlsConnect<Shared>>::Stream;

/// What bytes go through: a socket, or TLS over one.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {
    /// What ties a login to the TLS session that it runs through.
    fn binding(&self) -> ChannelBinding {
        ChannelBinding::none()
    }
}

impl Stream for TcpStream {}
impl Stream for UnixStream {}
#[cfg(test)]
impl Stream for tokio::io::DuplexStream {}

impl Stream for RustlsStream {
    fn binding(&self) -> ChannelBinding {
        self.channel_binding()
    }
}

/// A stream that can be lent; clones are the same stream.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<State>>);

struct State {
    stream: Box<dyn Stream>,
    holder: Holder,
    /// The driver, which waits for bytes, for room, or for the stream.
    waiting: Option<Waker>,
}

/// Who may use the stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Driver,
    Borrower,
    /// The borrower gave up halfway through an answer: what comes next means nothing.
    Nobody,
}

impl Shared {
    pub(super) fn new(stream: impl Stream + 'static) -> Self {
        let stream = Box::new(stream);
        Self(Arc::new(Mutex::new(State { stream, holder: Holder::Driver, waiting: None })))
    }

    /// Takes the stream away from the driver until the loan is given back.
    ///
    /// The driver must be idle: every answer that it waits for has come (see `Session::lend`).
    pub(super) fn lend(&self) -> Loan {
        self.state().holder = Holder::Borrower;
        Loan { shared: self.clone(), returned: false }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below panics while it holds the lock, and no state of it is half-made.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `work` for the driver, as soon as it has the stream.
    fn driven<T>(
        &self,
        context: &mut Context<'_>,
        work: impl FnOnce(Pin<&mut dyn Stream>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let mut state = self.state();
        let done = match state.holder {
            Holder::Driver => work(Pin::new(&mut *state.stream), context),
            Holder::Borrower => Poll::Pending,
            Holder::Nobody => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
        };
        // Also where the stream itself will wake the driver: a borrower takes that place.
        if done.is_pending() {
            state.waiting = Some(context.waker().clone());
        }
        done
    }
}

impl AsyncRead for Shared {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.driven(context, |stream, context| stream.poll_read(context, buffer))
    }
}

impl AsyncWrite for Shared {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.driven(context, |stream, context| stream.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.driven(context, |stream, context| stream.poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.driven(context, |stream, context| stream.poll_shutdown(context))
    }
}

impl TlsStream for Shared {
    fn channel_binding(&self) -> ChannelBinding {
        self.state().stream.binding()
    }
}

/// A stream on loan. Dropped without [`give_back`](Self::give_back), it is of no use to anyone.
pub(super) struct Loan {
    shared: Shared,
    returned: bool,
}

impl Loan {
    /// Gives the stream back to the driver, at the end of an answer.
    pub(super) fn give_back(mut self) {
        self.returned = true;
    }

    /// Reads what there is, up to the length of `buffer`; 0 is the end of the stream.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        poll_fn(|context| {
            let mut buffer = ReadBuf::new(buffer);
            let stream = &mut *self.shared.state().stream;
            Pin::new(stream).poll_read(context, &mut buffer).map_ok(|()| buffer.filled().len())
        })
        .await
    }

    /// Writes all of `bytes` and sees them off.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = poll_fn(|context| {
                Pin::new(&mut *self.shared.state().stream).poll_write(context, rest)
            });
            match written.await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                written => rest = &rest[written..],
            }
        }
        poll_fn(|context| Pin::new(&mut *self.shared.state().stream).poll_flush(context)).await
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        let mut state = self.shared.state();
        state.holder = if self.returned { Holder::Driver } else { Holder::Nobody };
        if let Some(waker) = state.waiting.take() {
            waker.wake();
        }
    }
}

/// The driver's TLS, whose stream is shared too: over TLS, that is the one to lend.
pub(super) struct Connector {
    rustls: Rustls,
    made: Arc<OnceLock<Shared>>,
}

impl Connector {
    /// A connector to `host`; the second value is where the stream will be if TLS is spoken.
    pub(super) fn new(
        mut rustls: MakeRustlsConnect,
        host: &str,
    ) -> io::Result<(Self, Arc<OnceLock<Shared>>)> {
        let rustls = MakeTlsConnect::<Shared>::make_tls_connect(&mut rustls, host)
            .map_err(io::Error::other)?;
        let made = Arc::new(OnceLock::new());
        Ok((Self { rustls, made: Arc::clone(&made) }, made))
    }
}

impl TlsConnect<Shared> for Connector {
    type Stream = Shared;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Shared>>;

    fn connect(self, stream: Shared) -> Self::Future {
        let connecting = self.rustls.connect(stream);
        Box::pin(async move {
            let shared = Shared::new(connecting.await?);
            Ok(self.made.get_or_init(|| shared).clone())
        })
    }
}

/// How long a silent peer is waited for: one that vanished is noticed within a minute, not after
/// the system's two hours.
const KEEPALIVE: TcpKeepalive = TcpKeepalive::new()
    .with_time(Duration::from_secs(30))
    .with_interval(Duration::from_secs(10))
    .with_retries(3);

/// A stream to `host`, which is a name, an address or the folder of a Unix socket.
pub(super) async fn dial(host: &str, port: u16) -> io::Result<Shared> {
    if host.starts_with('/') {
        let path = format!("{host}/.s.PGSQL.{port}");
        return Ok(Shared::new(UnixStream::connect(path).await?));
    }
    // Every address of the name is tried, in order.
    let stream = TcpStream::connect((host, port)).await?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE)?;
    Ok(Shared::new(stream))
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn the_driver_waits_for_a_loan_to_end_and_goes_on_after_it() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut driver = Shared::new(near);
        let shared = driver.clone();
        let driven = tokio::spawn(async move {
            let mut bytes = [0; 6];
            driver.read_exact(&mut bytes).await.map(|_| bytes)
        });
        tokio::task::yield_now().await;
        let mut loan = shared.lend();
        far.write_all(b"lent").await.unwrap();
        let mut bytes = [0; 4];
        assert_eq!(loan.read(&mut bytes).await.unwrap(), 4);
        assert_eq!(&bytes, b"lent");
        loan.write(b"asked").await.unwrap();
        loan.give_back();
        far.write_all(b"driven").await.unwrap();
        assert_eq!(&driven.await.unwrap().unwrap(), b"driven");
        let mut heard = [0; 5];
        far.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"asked");
    }

    #[tokio::test]
    async fn a_loan_that_is_not_given_back_ends_the_driver() {
        let (near, _far) = tokio::io::duplex(64);
        let mut driver = Shared::new(near);
        let shared = driver.clone();
        let driven = tokio::spawn(async move { driver.read_u8().await });
        tokio::task::yield_now().await;
        drop(shared.lend());
        let error = driven.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
    }
}

//! Connections: how many there may be, and how long one may wait before it says something.
//!
//! At the other end is a stranger until it sends a request, a caller until a request proves
//! who sends it, and somebody known from then on. Strangers have a moment. When there are as
//! many connections as there may be, one that nobody is known to be behind makes room for a
//! new one: whoever can log in gets in, however many others only hold on. Of the known,
//! none has more than half of all.

mod body;
mod places;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use prometheus_client::metrics::gauge::Gauge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::{Connected, TcpConnectInfo};
use tracing::{debug, warn};

pub(crate) use self::body::receive;
use self::places::{All, Seat, Standing};
pub(crate) use self::places::{Peer, room};

/// For the handshake of TLS, the preface of HTTP/2 and the headers of the first request.
const PATIENCE: Duration = Duration::from_secs(20);
/// For the other end to take anything at all of what is written to it.
const STALLED: Duration = Duration::from_secs(10 * 60);
/// After an error that does not pass by itself, such as too many open files.
const BREATH: Duration = Duration::from_millis(50);

/// How long connections have for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    /// For the first request.
    patience: Duration,
    /// For the other end to take something.
    stalled: Duration,
    /// For all that a connection does.
    life: Duration,
}

impl Times {
    /// Those of connections that live for `life` at most.
    pub(crate) fn new(life: Duration) -> Self {
        Self {
            patience: PATIENCE,
            stalled: STALLED,
            life,
        }
    }
}

/// The connections that `listener` takes, at most `most` of them at a time; `open` says how many.
pub(crate) fn accept(
    listener: TcpListener,
    most: usize,
    times: Times,
    open: Gauge,
) -> impl Stream<Item = io::Result<Connection>> {
    let all = All::new(most, times.patience);
    let state = (listener, all, open);
    futures::stream::unfold(state, move |(listener, all, open)| async move {
        loop {
            let tcp = match listener.accept().await {
                Ok((tcp, _)) => tcp,
                Err(error) => {
                    warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(BREATH).await;
                    continue;
                }
            };
            if let Err(error) = tcp.set_nodelay(true) {
                debug!(%error, "a connection was gone at once");
                continue;
            }
            match all.admit() {
                Some(seat) => {
                    let counted = Counted::new(open.clone());
                    let connection = Connection::new(tcp, seat, times, counted);
                    return Some((Ok(connection), (listener, all, open)));
                }
                None => warn!(most, "no room for another connection"),
            }
        }
    })
}

/// A connection among those that are open, until it is dropped.
#[derive(Debug)]
struct Counted(Gauge);

impl Counted {
    fn new(open: Gauge) -> Self {
        open.inc();
        Self(open)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// A connection that ends when its place is taken, when its patience with a stranger is over,
/// when the other end takes nothing, and when it has lived as long as one may.
#[derive(Debug)]
pub(crate) struct Connection {
    tcp: TcpStream,
    info: TcpConnectInfo,
    seat: Seat,
    times: Times,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until the other end is no stranger any more.
    patience: Option<Pin<Box<Sleep>>>,
    /// While the other end takes nothing.
    stalled: Option<Pin<Box<Sleep>>>,
    life: Pin<Box<Sleep>>,
    _counted: Counted,
}

impl Connection {
    fn new(tcp: TcpStream, seat: Seat, times: Times, counted: Counted) -> Self {
        Self {
            info: tcp.connect_info(),
            tcp,
            closing: Box::pin(seat.closing().cancelled_owned()),
            patience: Some(Box::pin(tokio::time::sleep(times.patience))),
            stalled: None,
            life: Box::pin(tokio::time::sleep(times.life)),
            times,
            seat,
            _counted: counted,
        }
    }

    /// Why the connection ends, if it does. Asked before reads and writes alike: whoever waits
    /// for room to write reads nothing meanwhile.
    fn poll_end(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        if self.closing.as_mut().poll(cx).is_ready() {
            return Some(io::ErrorKind::ConnectionAborted.into());
        }
        if self.life.as_mut().poll(cx).is_ready() {
            return Some(io::ErrorKind::TimedOut.into());
        }
        let over = self.patience.as_mut()?.as_mut().poll(cx).is_ready();
        if self.seat.standing() > Standing::Stranger {
            self.patience = None;
            return None;
        }
        over.then(|| io::ErrorKind::TimedOut.into())
    }

    /// Something was to be written, with this result.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        written: Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.stalled = None;
            return written;
        }
        let stalled = self.times.stalled;
        let stalled = self
            .stalled
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(stalled)));
        match stalled.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.seat.peer(self.info.clone())
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Some(end) = self.poll_end(cx) {
            return Poll::Ready(Err(end));
        }
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(end) = self.poll_end(cx) {
            return Poll::Ready(Err(end));
        }
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.written(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Some(end) = self.poll_end(cx) {
            return Poll::Ready(Err(end));
        }
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.written(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    // Neither waits for the other end: what is written is the kernel's.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_stranger_is_not_waited_for_and_a_caller_is() {
        use tokio::io::AsyncReadExt;

        const PATIENCE: Duration = Duration::from_millis(100);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let times = Times {
            patience: PATIENCE,
            ..Times::new(Duration::from_secs(60))
        };
        let mut incoming = Box::pin(accept(listener, 10, times, Gauge::default()));
        let mut next = async || {
            let client = TcpStream::connect(address).await.unwrap();
            let connection = futures::StreamExt::next(&mut incoming).await;
            (client, connection.unwrap().unwrap())
        };
        let (_client, mut silent) = next().await;
        let ended = silent.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);

        let (_client, mut called) = next().await;
        called.connect_info().calls();
        let waiting = tokio::time::timeout(10 * PATIENCE, called.read_u8()).await;
        assert!(waiting.is_err());
    }

    /// A client that has its say and never reads, while there is ever more to write.
    #[tokio::test]
    async fn who_takes_nothing_is_not_written_to_for_ever() {
        use tokio::io::AsyncWriteExt;

        const MOMENT: Duration = Duration::from_millis(200);
        let long = Duration::from_secs(60);
        let times = |patience, stalled, life| Times {
            patience,
            stalled,
            life,
        };
        for (times, reason) in [
            (times(MOMENT, long, long), io::ErrorKind::TimedOut),
            (times(long, MOMENT, long), io::ErrorKind::TimedOut),
            (times(long, long, MOMENT), io::ErrorKind::TimedOut),
            (times(long, long, long), io::ErrorKind::ConnectionAborted),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut incoming = Box::pin(accept(listener, 1, times, Gauge::default()));
            let _client = TcpStream::connect(address).await.unwrap();
            let connection = futures::StreamExt::next(&mut incoming).await;
            let mut connection = connection.unwrap().unwrap();
            let closing = connection.seat.closing();
            let evicted = async {
                tokio::time::sleep(MOMENT).await;
                if reason == io::ErrorKind::ConnectionAborted {
                    closing.cancel();
                }
                std::future::pending::<()>().await;
            };
            let bytes = vec![0; 64 << 20];
            let ended = tokio::select! {
                ended = connection.write_all(&bytes) => ended.unwrap_err(),
                () = evicted => unreachable!("it waits for ever"),
                () = tokio::time::sleep(long / 2) => panic!("{times:?} wait on"),
            };
            assert_eq!(ended.kind(), reason, "{times:?}");
        }
    }
}

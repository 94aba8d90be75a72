//! Connections: how many there may be, and how long one may wait before it says something.
//!
//! At the other end is a stranger until it sends a request, a caller until a request proves
//! who sends it, and somebody known from then on. Strangers have a moment. When there are as
//! many connections as there may be, the oldest stranger makes room for a new one, else the
//! oldest caller: whoever can log in gets in, however many others only hold on.

mod body;

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::{Connected, TcpConnectInfo, TlsConnectInfo};
use tracing::{debug, warn};

pub(crate) use self::body::receive;

/// For the handshake of TLS, the preface of HTTP/2 and the headers of the first request.
const PATIENCE: Duration = Duration::from_secs(20);
/// After an error that does not pass by itself, such as too many open files.
const BREATH: Duration = Duration::from_millis(50);

/// What is known of who is at the other end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    Stranger,
    Caller,
    Known,
}

/// Who is at the other end of a connection; in the extensions of each of its requests.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) tcp: TcpConnectInfo,
    place: Arc<Place>,
}

impl Peer {
    /// Who is at the other end of the connection that a request with these extensions came by.
    pub(crate) fn of(extensions: &http::Extensions) -> Option<&Self> {
        let tls = extensions.get::<TlsConnectInfo<Self>>();
        extensions
            .get()
            .or_else(|| tls.map(TlsConnectInfo::get_ref))
    }

    /// It has sent a request.
    pub(crate) fn calls(&self) {
        self.place.rise(Standing::Caller);
    }

    /// It has proved who it is.
    pub(crate) fn is_let_in(&self) {
        self.place.rise(Standing::Known);
    }

    pub(crate) fn is_known(&self) -> bool {
        self.place.standing() == Standing::Known
    }
}

/// A connection among all.
#[derive(Debug)]
struct Place {
    standing: AtomicU8,
    closing: CancellationToken,
}

impl Place {
    fn standing(&self) -> Standing {
        match self.standing.load(Ordering::Relaxed) {
            0 => Standing::Stranger,
            1 => Standing::Caller,
            _ => Standing::Known,
        }
    }

    fn rise(&self, standing: Standing) {
        self.standing.fetch_max(standing as u8, Ordering::Relaxed);
    }
}

/// All open connections.
#[derive(Debug)]
struct All {
    most: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// The oldest first.
    places: BTreeMap<u64, Arc<Place>>,
}

impl All {
    /// Makes a place for a new connection, if there is or can be room.
    fn admit(self: &Arc<Self>) -> Option<Seat> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.places.len() >= self.most {
            let unknown = open.places.iter().filter_map(|(number, place)| {
                let standing = place.standing();
                (standing < Standing::Known).then_some((standing, *number))
            });
            let (_, oldest) = unknown.min()?;
            let evicted = open.places.remove(&oldest)?;
            debug!("a connection that nobody is known to be behind makes room for another");
            evicted.closing.cancel();
        }
        let number = open.next;
        open.next += 1;
        let place = Arc::new(Place {
            standing: AtomicU8::new(Standing::Stranger as u8),
            closing: CancellationToken::new(),
        });
        open.places.insert(number, Arc::clone(&place));
        Some(Seat {
            number,
            place,
            all: Arc::clone(self),
        })
    }
}

/// A place that is held.
#[derive(Debug)]
struct Seat {
    number: u64,
    place: Arc<Place>,
    all: Arc<All>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.all.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.places.remove(&self.number);
    }
}

/// The connections that `listener` takes, at most `most` of them at a time.
pub(crate) fn accept(
    listener: TcpListener,
    most: usize,
) -> impl Stream<Item = io::Result<Connection>> {
    accept_with(PATIENCE, listener, most)
}

fn accept_with(
    patience: Duration,
    listener: TcpListener,
    most: usize,
) -> impl Stream<Item = io::Result<Connection>> {
    let all = Arc::new(All {
        most,
        open: Mutex::default(),
    });
    futures::stream::unfold((listener, all), move |(listener, all)| async move {
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
                    let connection = Connection::new(tcp, seat, patience);
                    return Some((Ok(connection), (listener, all)));
                }
                None => warn!(most = all.most, "no room for another connection"),
            }
        }
    })
}

/// A connection that ends when its place is taken, or when its patience with a stranger is over.
#[derive(Debug)]
pub(crate) struct Connection {
    tcp: TcpStream,
    info: TcpConnectInfo,
    seat: Seat,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until the other end is no stranger any more.
    patience: Option<Pin<Box<Sleep>>>,
}

impl Connection {
    fn new(tcp: TcpStream, seat: Seat, patience: Duration) -> Self {
        Self {
            info: tcp.connect_info(),
            tcp,
            closing: Box::pin(seat.place.closing.clone().cancelled_owned()),
            patience: Some(Box::pin(tokio::time::sleep(patience))),
            seat,
        }
    }

    fn poll_end(&mut self, cx: &mut Context<'_>) -> Option<io::Error> {
        if self.closing.as_mut().poll(cx).is_ready() {
            return Some(io::ErrorKind::ConnectionAborted.into());
        }
        let over = self.patience.as_mut()?.as_mut().poll(cx).is_ready();
        if self.seat.place.standing() > Standing::Stranger {
            self.patience = None;
            return None;
        }
        over.then(|| io::ErrorKind::TimedOut.into())
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        Peer {
            tcp: self.info.clone(),
            place: Arc::clone(&self.seat.place),
        }
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
        Pin::new(&mut self.tcp).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

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

    fn all(most: usize) -> Arc<All> {
        Arc::new(All {
            most,
            open: Mutex::default(),
        })
    }

    #[test]
    fn strangers_make_room_first_then_callers_and_the_known_stay() {
        let all = all(3);
        let known = all.admit().unwrap();
        known.place.rise(Standing::Known);
        let caller = all.admit().unwrap();
        caller.place.rise(Standing::Caller);
        let stranger = all.admit().unwrap();
        let closed = |seat: &Seat| seat.place.closing.is_cancelled();

        let fourth = all.admit().unwrap();
        assert!(closed(&stranger) && !closed(&caller));
        // That its task ends later takes nobody's place.
        drop(stranger);
        fourth.place.rise(Standing::Known);
        let fifth = all.admit().unwrap();
        assert!(closed(&caller) && !closed(&known) && !closed(&fourth));
        fifth.place.rise(Standing::Known);
        assert!(all.admit().is_none());
        drop(known);
        assert!(all.admit().is_some());
    }

    #[test]
    fn standing_never_falls() {
        let seat = all(1).admit().unwrap();
        seat.place.rise(Standing::Known);
        seat.place.rise(Standing::Caller);
        assert_eq!(seat.place.standing(), Standing::Known);
    }

    #[tokio::test]
    async fn a_stranger_is_not_waited_for_and_a_caller_is() {
        use tokio::io::AsyncReadExt;

        const PATIENCE: Duration = Duration::from_millis(100);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let mut incoming = Box::pin(accept_with(PATIENCE, listener, 10));
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
}

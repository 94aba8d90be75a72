//! Connections: how many there may be, and how long one may wait before it says something.
//!
//! At the other end is a stranger until it sends a request, a caller until a request proves
//! who sends it, and somebody known from then on. Strangers have a moment. When there are as
//! many connections as there may be, one that nobody is known to be behind makes room for a
//! new one: whoever can log in gets in, however many others only hold on. Of the known,
//! none has more than half of all.

mod body;

use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::Stream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;
use tonic::transport::server::{Connected, TcpConnectInfo, TlsConnectInfo};
use tracing::{debug, warn};
use weft_policy::PrincipalId;

pub(crate) use self::body::receive;
use crate::stream::ROOM_KIBIBYTES;

/// For the handshake of TLS, the preface of HTTP/2 and the headers of the first request.
const PATIENCE: Duration = Duration::from_secs(20);
/// For the other end to take anything at all of what is written to it.
const STALLED: Duration = Duration::from_secs(10 * 60);
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
    number: u64,
    place: Arc<Place>,
    all: Arc<All>,
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

    /// It has proved that it is `principal`. The first counts: a gateway's connections are
    /// its own, whoever it calls for.
    ///
    /// # Errors
    /// When `principal` has as many connections as one may have.
    pub(crate) fn is_let_in(&self, principal: &PrincipalId) -> Result<(), Status> {
        if self.is_known() {
            return Ok(());
        }
        self.all.let_in(self.number, principal)?;
        self.place.rise(Standing::Known);
        Ok(())
    }

    /// For results, on this connection.
    pub(crate) fn room(&self) -> Arc<Semaphore> {
        Arc::clone(&self.place.room)
    }

    pub(crate) fn is_known(&self) -> bool {
        self.place.standing() == Standing::Known
    }
}

/// A connection among all.
#[derive(Debug)]
struct Place {
    since: Instant,
    standing: AtomicU8,
    /// Bytes of requests that are held before anybody is known to have sent them.
    held: AtomicUsize,
    /// For results, as they are on their way.
    room: Arc<Semaphore>,
    closing: CancellationToken,
}

/// The room for results on one connection.
pub(crate) fn room() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(ROOM_KIBIBYTES as usize))
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
    /// As in a place, of all places.
    held: AtomicUsize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    /// The oldest first.
    places: BTreeMap<u64, Arc<Place>>,
    owners: HashMap<u64, PrincipalId>,
    owned: HashMap<PrincipalId, usize>,
}

impl All {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            held: AtomicUsize::new(0),
            open: Mutex::default(),
        })
    }

    /// Makes a place somebody's.
    fn let_in(&self, number: u64, principal: &PrincipalId) -> Result<(), Status> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let open = &mut *open;
        if !open.places.contains_key(&number) || open.owners.contains_key(&number) {
            return Ok(());
        }
        let most = self.most.div_ceil(2);
        let count = open.owned.entry(principal.clone()).or_default();
        if *count >= most {
            return Err(Status::resource_exhausted(format!(
                "too many connections: {principal} has {most}, half of `--max-connections`; use fewer, or close some"
            )));
        }
        *count += 1;
        open.owners.insert(number, principal.clone());
        Ok(())
    }

    /// Makes a place for a new connection, if there is or can be room.
    fn admit(self: &Arc<Self>) -> Option<Seat> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.places.len() >= self.most {
            // Those who had their moment, the strangers among them first; else whoever came
            // first of those who still have it.
            let unknown = open.places.iter().filter_map(|(number, place)| {
                let standing = place.standing();
                let young = place.since.elapsed() < PATIENCE;
                (standing < Standing::Known).then_some((young, standing, *number))
            });
            let (_, _, oldest) = unknown.min()?;
            let evicted = open.places.remove(&oldest)?;
            debug!("a connection that nobody is known to be behind makes room for another");
            evicted.closing.cancel();
        }
        let number = open.next;
        open.next += 1;
        let place = Arc::new(Place {
            since: Instant::now(),
            standing: AtomicU8::new(Standing::Stranger as u8),
            held: AtomicUsize::new(0),
            room: room(),
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
        let open = &mut *open;
        open.places.remove(&self.number);
        let Some(owner) = open.owners.remove(&self.number) else {
            return;
        };
        if let Some(count) = open.owned.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                open.owned.remove(&owner);
            }
        }
    }
}

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

/// The connections that `listener` takes, at most `most` of them at a time.
pub(crate) fn accept(
    listener: TcpListener,
    most: usize,
    times: Times,
) -> impl Stream<Item = io::Result<Connection>> {
    let all = All::new(most);
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
                    let connection = Connection::new(tcp, seat, times);
                    return Some((Ok(connection), (listener, all)));
                }
                None => warn!(most = all.most, "no room for another connection"),
            }
        }
    })
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
}

impl Connection {
    fn new(tcp: TcpStream, seat: Seat, times: Times) -> Self {
        Self {
            info: tcp.connect_info(),
            tcp,
            closing: Box::pin(seat.place.closing.clone().cancelled_owned()),
            patience: Some(Box::pin(tokio::time::sleep(times.patience))),
            stalled: None,
            life: Box::pin(tokio::time::sleep(times.life)),
            times,
            seat,
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
        if self.seat.place.standing() > Standing::Stranger {
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
        Peer {
            tcp: self.info.clone(),
            number: self.seat.number,
            place: Arc::clone(&self.seat.place),
            all: Arc::clone(&self.seat.all),
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

    #[test]
    fn strangers_make_room_first_then_callers_and_the_known_stay() {
        let all = All::new(3);
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
        let seat = All::new(1).admit().unwrap();
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
        let times = Times {
            patience: PATIENCE,
            ..Times::new(Duration::from_secs(60))
        };
        let mut incoming = Box::pin(accept(listener, 10, times));
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

    #[test]
    fn none_of_the_known_has_more_than_half() {
        let all = All::new(5);
        let seats: Vec<_> = (0..5).map(|_| all.admit().unwrap()).collect();
        let [ana, bo] = ["ana", "bo"].map(PrincipalId::user);
        let let_in = |seat: &Seat, who| all.let_in(seat.number, who);
        for seat in &seats[..3] {
            let_in(seat, &ana).unwrap();
            // A second call takes no second place.
            let_in(seat, &ana).unwrap();
        }
        let refused = let_in(&seats[3], &ana).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
        let_in(&seats[3], &bo).unwrap();
        drop(seats);
        let open = all.open.lock().unwrap();
        assert!(open.places.is_empty() && open.owners.is_empty() && open.owned.is_empty());
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
            let mut incoming = Box::pin(accept(listener, 1, times));
            let _client = TcpStream::connect(address).await.unwrap();
            let connection = futures::StreamExt::next(&mut incoming).await;
            let mut connection = connection.unwrap().unwrap();
            let closing = connection.seat.place.closing.clone();
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

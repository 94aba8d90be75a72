//! Bodies of requests: how much of them is held at a time, and for how long.
//!
//! A call is read whole before it can be asked who makes it. Until a connection has proved
//! who is behind it, its calls are small, together with all others of their kind, and come at
//! once; those of others have limits that no client means to reach.

use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use tonic::Status;
use tonic::body::Body;

use super::Peer;

/// What bodies are held to.
#[derive(Debug, PartialEq, Eq)]
struct Limits {
    /// For one body.
    body: usize,
    /// For all bodies of a connection.
    place: usize,
    /// For all bodies of all connections.
    all: usize,
    /// What a connection has even where others have used up what is for all.
    small: usize,
    /// For a body to come.
    patience: Duration,
}

const MEBIBYTE: usize = 1024 * 1024;

/// Enough for a login, and for a statement that comes with one.
const OF_THE_UNKNOWN: Limits = Limits {
    body: MEBIBYTE,
    place: 2 * MEBIBYTE,
    all: 256 * MEBIBYTE,
    small: 32 * 1024,
    patience: Duration::from_secs(30),
};
/// Statements and parameters of 16 MiB, several at a time.
const OF_THE_KNOWN: Limits = Limits {
    body: 20 * MEBIBYTE,
    place: 64 * MEBIBYTE,
    all: 1024 * MEBIBYTE,
    small: MEBIBYTE,
    patience: Duration::from_secs(10 * 60),
};

/// Of gRPC: whether a message is compressed, and its length, four bytes.
const PREFIX_BYTES: usize = 5;

/// Takes note that `request` came, and holds its body to the limits.
pub(crate) fn receive(request: http::Request<Body>) -> http::Request<Body> {
    let Some(peer) = Peer::of(request.extensions()).cloned() else {
        return request;
    };
    peer.calls();
    request.map(|body| {
        if body.is_end_stream() {
            return body;
        }
        Body::new(Held {
            body,
            prefix: Vec::with_capacity(PREFIX_BYTES),
            bytes: 0,
            begun: Instant::now(),
            patience: Box::pin(tokio::time::sleep(limits(&peer).patience)),
            peer,
        })
    })
}

fn limits(peer: &Peer) -> &'static Limits {
    if peer.is_known() {
        &OF_THE_KNOWN
    } else {
        &OF_THE_UNKNOWN
    }
}

/// A body that is held to the limits.
struct Held {
    body: Body,
    /// What has come of the first message's prefix: room is made for as much as it says.
    prefix: Vec<u8>,
    /// What was read.
    bytes: usize,
    begun: Instant,
    patience: Pin<Box<Sleep>>,
    peer: Peer,
}

impl Held {
    /// Whether the body took too long. Somebody may have become known meanwhile.
    fn is_late(&mut self, cx: &mut Context<'_>) -> bool {
        let end = self.begun + limits(&self.peer).patience;
        if end > self.patience.deadline() {
            self.patience.as_mut().reset(end);
        }
        self.patience.as_mut().poll(cx).is_ready()
    }

    fn take(&mut self, part: &Bytes) -> Result<(), Status> {
        let limits = limits(&self.peer);
        let missing = PREFIX_BYTES - self.prefix.len();
        self.prefix.extend(part.iter().take(missing));
        let says = match self.prefix.as_slice() {
            [_, length @ ..] => <[u8; 4]>::try_from(length).map_or(0, u32::from_be_bytes),
            [] => 0,
        };
        self.bytes += part.len();
        let place = &self.peer.place.held;
        let place = place.fetch_add(part.len(), Ordering::Relaxed) + part.len();
        let all = &self.peer.all.held;
        let all = all.fetch_add(part.len(), Ordering::Relaxed) + part.len();
        if self.bytes > limits.body || says as usize > limits.body {
            let most = limits.body;
            return Err(Status::resource_exhausted(if self.peer.is_known() {
                format!("the request takes more than {most} bytes")
            } else {
                format!(
                    "the first request of a connection takes more than {most} bytes: log in first"
                )
            }));
        }
        if place > limits.place || (all > limits.all && place > limits.small) {
            return Err(Status::resource_exhausted(if self.peer.is_known() {
                "too much is sent at a time: send one request after the other"
            } else {
                "too much is sent before anybody has logged in: log in first"
            }));
        }
        Ok(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let (place, all) = (&self.peer.place.held, &self.peer.all.held);
        place.fetch_sub(self.bytes, Ordering::Relaxed);
        all.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        match &frame {
            Poll::Pending if self.is_late(cx) => Poll::Ready(Some(Err(Status::deadline_exceeded(
                "the request took too long to arrive",
            )))),
            Poll::Ready(Some(Ok(part))) => {
                let taken = part.data_ref().map_or(Ok(()), |bytes| self.take(bytes));
                match taken {
                    Ok(()) => frame,
                    Err(status) => Poll::Ready(Some(Err(status))),
                }
            }
            Poll::Pending | Poll::Ready(None | Some(Err(_))) => frame,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use tokio::net::{TcpListener, TcpStream};
    use tonic::transport::server::Connected;

    use super::super::places::{All, Seat};
    use super::*;

    async fn peer(all: &Arc<All>) -> (Peer, Seat) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = TcpStream::connect(listener.local_addr().unwrap()).await;
        let seat = all.admit().unwrap();
        let peer = seat.peer(tcp.unwrap().connect_info());
        (peer, seat)
    }

    fn held(peer: &Peer, bytes: Vec<u8>) -> http::Request<Body> {
        let mut request = http::Request::new(Body::new(http_body_util::Full::<Bytes>::from(bytes)));
        request.extensions_mut().insert(peer.clone());
        receive(request)
    }

    async fn read(request: &mut http::Request<Body>) -> bool {
        request.body_mut().frame().await.unwrap().is_ok()
    }

    fn message(size: usize) -> Vec<u8> {
        let length = u32::try_from(size).unwrap().to_be_bytes();
        [&[0][..], &length, &vec![0; size]].concat()
    }

    #[tokio::test]
    async fn no_room_is_made_for_what_is_too_large() {
        let (peer, _seat) = peer(&All::new(10, Duration::from_secs(20))).await;
        assert!(!read(&mut held(&peer, vec![0, 1, 0, 0, 0, 1, 2, 3])).await);
        assert!(read(&mut held(&peer, vec![0, 0, 0, 0, 3, 1, 2, 3])).await);
    }

    #[tokio::test]
    async fn requests_of_the_unknown_are_held_to_a_sum() {
        let all = All::new(1_000, Duration::from_secs(20));
        let Limits {
            body,
            place,
            all: sum,
            ..
        } = OF_THE_UNKNOWN;
        let large = body - PREFIX_BYTES;
        let (mut waiting, mut seats) = (Vec::new(), Vec::new());
        for _ in 0..sum / place {
            let (peer, seat) = peer(&all).await;
            for fits in [true, true, false] {
                let mut request = held(&peer, message(large));
                assert_eq!(read(&mut request).await, fits);
                waiting.push(request);
            }
            waiting.pop();
            seats.push(seat);
        }
        let (peer, _seat) = peer(&all).await;
        assert!(!read(&mut held(&peer, message(large))).await);
        assert!(read(&mut held(&peer, message(1_000))).await);
        drop(waiting);
        assert_eq!(all.held.load(Ordering::Relaxed), 0);
        assert!(read(&mut held(&peer, message(large))).await);
    }

    #[tokio::test]
    async fn so_are_those_of_the_known_to_a_larger_one() {
        let (peer, _seat) = peer(&All::new(10, Duration::from_secs(20))).await;
        peer.is_let_in(&weft_policy::PrincipalId::user("ana"))
            .unwrap();
        let mut waiting: Vec<_> = (0..6).map(|_| held(&peer, message(16 << 20))).collect();
        let mut fit = 0;
        for request in &mut waiting {
            fit += usize::from(read(request).await);
        }
        assert_eq!(fit, 3);
        drop(waiting);
        assert!(read(&mut held(&peer, message(16 << 20))).await);
    }
}

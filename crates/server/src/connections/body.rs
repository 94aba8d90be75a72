//! Bodies of requests from those whom nobody knows yet.
//!
//! A call is read whole before it can be asked who makes it. Until a connection has proved
//! who is behind it, its calls are small and come at once.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::Sleep;
use tonic::Status;
use tonic::body::Body;

use super::Peer;

/// Enough for a login, and for a statement that comes with one.
const LIMIT_BYTES: usize = 1024 * 1024;
/// For all of the body.
const PATIENCE: Duration = Duration::from_secs(30);

/// Takes note that `request` came, and holds those who are not known to the limits.
pub(crate) fn receive(request: http::Request<Body>) -> http::Request<Body> {
    let Some(peer) = Peer::of(request.extensions()).cloned() else {
        return request;
    };
    peer.calls();
    if peer.is_known() {
        return request;
    }
    request.map(|body| {
        Body::new(Held {
            body,
            left: LIMIT_BYTES,
            patience: Box::pin(tokio::time::sleep(PATIENCE)),
            peer,
        })
    })
}

/// A body that is held to the limits until its peer is known.
struct Held {
    body: Body,
    left: usize,
    patience: Pin<Box<Sleep>>,
    peer: Peer,
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        if self.peer.is_known() {
            return frame;
        }
        match &frame {
            Poll::Pending if self.patience.as_mut().poll(cx).is_ready() => Poll::Ready(Some(Err(
                Status::deadline_exceeded("the request took too long to arrive"),
            ))),
            Poll::Ready(Some(Ok(part))) => {
                let length = part.data_ref().map_or(0, Bytes::len);
                match self.left.checked_sub(length) {
                    Some(left) => {
                        self.left = left;
                        frame
                    }
                    None => Poll::Ready(Some(Err(Status::resource_exhausted(format!(
                        "the first request of a connection takes more than {LIMIT_BYTES} bytes: log in first"
                    ))))),
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

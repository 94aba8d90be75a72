//! Result streams: the schema at once, then messages as they come.
//!
//! A producer task runs the query and encodes; a channel of two messages lies
//! between it and the connection, so a slow client slows the query down. When
//! the client goes away the stream is dropped, and the producer and its query
//! with it. Whatever ends a producer early reaches the client as a status: a
//! truncated result never looks complete.

mod cut;
mod encode;
mod recorded;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use arrow::ipc::CompressionType;
use arrow_flight::FlightData;
use futures::{FutureExt, Stream};
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;
use weft_audit::Outcome;
use weft_engine::RunningQuery;

pub use self::encode::messages;

use self::encode::Encoder;
use self::recorded::Recorded;
use crate::audit::{Begun, outcome_of};
use crate::metrics::{Measured, Metrics};
use crate::status;

/// Messages that wait for the client.
const WAITING: usize = 2;
/// Without a message for so long, an empty one is sent: proxies close
/// connections on which nothing flows, whatever their pings say.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Most statements are over by then.
const SOON: Duration = Duration::from_millis(100);

/// What `DoGet` answers with.
pub(crate) type FlightDataStream =
    Pin<Box<dyn Stream<Item = Result<FlightData, Status>> + Send + 'static>>;

/// Where a producer puts the batches of its result.
#[derive(Debug)]
pub(crate) struct Sink {
    encoder: Encoder,
    messages: Sender<Waiting>,
    recorded: Option<Recorded>,
    /// Where the result is that of a statement.
    measured: Option<Measured>,
    terms: Terms,
}

/// A message of so many rows.
type Message = (FlightData, usize);

/// A message on its way, and the room that it takes until its successor is asked for.
type Waiting = (FlightData, OwnedSemaphorePermit);

/// Room for what is on its way to one client, whichever results it is of, in kibibytes: a client
/// that takes nothing of many results holds no more than that.
pub(crate) const ROOM_KIBIBYTES: u32 = 256 * 1024;

/// On what terms a result is sent.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    /// Ends it with `UNAVAILABLE` when the server may wait no longer.
    pub(crate) stop: CancellationToken,
    /// How long it waits for a client that takes nothing.
    pub(crate) patience: Duration,
    /// The client's share of [`ROOM_KIBIBYTES`].
    pub(crate) room: Arc<Semaphore>,
    /// Of its messages, where the client asks for it.
    pub(crate) compression: Option<CompressionType>,
    pub(crate) metrics: Arc<Metrics>,
}

/// Why a producer stopped before its end.
#[derive(Debug)]
pub(crate) enum Stopped {
    Failed(Status),
    /// Access to what the result was made of has changed.
    Revoked(Status),
    /// The client went away: there is nobody left to tell.
    Gone,
}

impl From<Status> for Stopped {
    fn from(status: Status) -> Self {
        Self::Failed(status)
    }
}

impl Stopped {
    /// An error of the engine, about `query_id`.
    pub(crate) fn of_engine(error: &weft_engine::Error, query_id: Uuid) -> Self {
        let status = status::of_engine(error, Some(query_id));
        if error.is_revoked() {
            Self::Revoked(status)
        } else {
            Self::Failed(status)
        }
    }
}

impl Sink {
    /// From here on the result is recorded and counted as that of the statement that has begun.
    pub(crate) fn record(&mut self, begun: Begun) {
        let Begun { entry, measured } = begun;
        self.recorded = entry.map(|entry| Recorded::new(entry, self.terms.stop.clone()));
        self.measured = Some(measured);
    }

    /// Sends `batch` in messages of about a megabyte, as the client takes them.
    pub(crate) async fn send(&mut self, batch: &RecordBatch) -> Result<(), Stopped> {
        for range in Encoder::cut(batch)? {
            let message = self.encoder.slice(batch, &range)?;
            let ready = match &mut self.recorded {
                Some(recorded) => recorded.hold(message, range.len()).await?,
                None => Some((message, range.len())),
            };
            if let Some(message) = ready {
                self.pass(message).await?;
            }
        }
        Ok(())
    }

    /// Waits for `work` of the statement. What takes long is written down as running, so that
    /// it is seen, and known should the server end first.
    pub(crate) async fn wait_for<F: Future>(&mut self, work: F) -> Result<F::Output, Stopped> {
        let mut work = std::pin::pin!(work);
        if let Ok(done) = tokio::time::timeout(SOON, &mut work).await {
            return Ok(done);
        }
        if let Some(recorded) = &mut self.recorded {
            recorded.begun().await?;
        }
        Ok(work.await)
    }

    async fn pass(&self, (message, rows): Message) -> Result<(), Stopped> {
        let patience = self.terms.patience;
        let bytes = message.data_header.len() + message.data_body.len();
        let kibibytes = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX);
        let sent = async {
            // Room last: what cannot be put into the channel yet takes none.
            let place = self.messages.reserve().await;
            let place = place.map_err(|_| Stopped::Gone)?;
            let room = Arc::clone(&self.terms.room);
            let room = room.acquire_many_owned(kibibytes.min(ROOM_KIBIBYTES));
            place.send((message, room.await.map_err(|_| Stopped::Gone)?));
            self.terms.metrics.sent(rows, bytes);
            if let Some(measured) = &self.measured {
                measured.sent(rows, bytes);
            }
            Ok(())
        };
        let sent = tokio::time::timeout(patience, sent).await;
        sent.map_err(|_| {
            Status::deadline_exceeded(format!(
                "the client took nothing of the result for {} seconds: run the statement again, \
                 and read its result without such a pause",
                patience.as_secs()
            ))
        })?
    }

    /// The result is over. How it ended is on record before the client can know.
    pub(crate) async fn end(mut self, ran: Result<RunningQuery, Stopped>) -> Result<(), Stopped> {
        let ended = match self.recorded.take() {
            Some(mut recorded) => {
                let ran = ran.and_then(|running| match running.revoked().now_or_never() {
                    Some(reason) => Err(Stopped::of_engine(&reason, running.query_id())),
                    None => Ok(running),
                });
                recorded.end(ran.map(drop)).await
            }
            None => ran.map(|_| None),
        };
        if let (Some(measured), Some(outcome)) = (&mut self.measured, outcome(&ended)) {
            measured.end(outcome);
        }
        match ended? {
            Some(last) => self.pass(last).await,
            None => Ok(()),
        }
    }
}

/// How a statement ended; it tells itself when nobody is left to wait for that.
fn outcome<T>(ended: &Result<T, Stopped>) -> Option<Outcome> {
    match ended {
        Ok(_) => Some(Outcome::Ok),
        Err(Stopped::Failed(status)) => Some(outcome_of(status)),
        Err(Stopped::Revoked(_)) => Some(Outcome::Revoked),
        Err(Stopped::Gone) => None,
    }
}

/// A stream of the wire `schema` that `produce` fills.
pub(crate) fn spawn<P, F>(
    schema: SchemaRef,
    terms: Terms,
    produce: P,
) -> Result<FlightDataStream, Status>
where
    P: FnOnce(Sink) -> F,
    F: Future<Output = Result<(), Stopped>> + Send + 'static,
{
    spawn_with(KEEP_ALIVE, schema, terms, produce)
}

/// A stream of one batch that is already there.
pub(crate) fn of_batch(batch: RecordBatch, terms: Terms) -> Result<FlightDataStream, Status> {
    let schema = batch.schema();
    spawn(
        schema,
        terms,
        |mut sink| async move { sink.send(&batch).await },
    )
}

fn spawn_with<P, F>(
    keep_alive: Duration,
    schema: SchemaRef,
    terms: Terms,
    produce: P,
) -> Result<FlightDataStream, Status>
where
    P: FnOnce(Sink) -> F,
    F: Future<Output = Result<(), Stopped>> + Send + 'static,
{
    let mut encoder = Encoder::new(schema, terms.compression)?;
    let first = encoder.schema();
    let empty = encoder.empty()?;
    let (sender, messages) = mpsc::channel(WAITING);
    let sink = Sink {
        encoder,
        messages: sender,
        recorded: None,
        measured: None,
        terms: terms.clone(),
    };
    let result = produce(sink);
    let mut producer = JoinSet::new();
    producer.spawn(result);
    let state = Outgoing {
        first: Some(first),
        empty,
        messages,
        room: None,
        producer,
        keep_alive,
        stop: terms.stop,
        ended: false,
    };
    Ok(Box::pin(futures::stream::unfold(
        state,
        |mut state| async {
            let item = state.next().await?;
            Some((item, state))
        },
    )))
}

/// The connection's end of the channel.
struct Outgoing {
    first: Option<FlightData>,
    empty: FlightData,
    messages: Receiver<Waiting>,
    /// Of the message that was handed over last: it is on its way until the next is asked for.
    room: Option<OwnedSemaphorePermit>,
    /// Aborted when dropped.
    producer: JoinSet<Result<(), Stopped>>,
    keep_alive: Duration,
    stop: CancellationToken,
    ended: bool,
}

impl Outgoing {
    async fn next(&mut self) -> Option<Result<FlightData, Status>> {
        if self.ended {
            return None;
        }
        self.room = None;
        if let Some(first) = self.first.take() {
            return Some(Ok(first));
        }
        let received = tokio::select! {
            biased;
            () = self.stop.cancelled() => {
                self.ended = true;
                self.producer.abort_all();
                return Some(Err(status::unavailable("the server is stopping")));
            }
            received = tokio::time::timeout(self.keep_alive, self.messages.recv()) => received,
        };
        match received {
            Err(_) => Some(Ok(self.empty.clone())),
            Ok(Some((message, room))) => {
                self.room = Some(room);
                Some(Ok(message))
            }
            Ok(None) => {
                self.ended = true;
                self.outcome().await
            }
        }
    }

    /// The channel is closed: at the end of the result, or because of an error or a panic.
    async fn outcome(&mut self) -> Option<Result<FlightData, Status>> {
        match self.producer.join_next().await {
            Some(Err(error)) => Some(Err(status::internal(&format!(
                "a result's producer ended early: {error}"
            )))),
            Some(Ok(Err(Stopped::Failed(status) | Stopped::Revoked(status)))) => Some(Err(status)),
            Some(Ok(Ok(()) | Err(Stopped::Gone))) | None => None,
        }
    }
}

//! Giving way to others.
//!
//! Tasks are not interrupted: one that always has another batch at hand holds its thread until
//! the runtime's budget of 128 batches is used up, and somebody who asks about one row waits for
//! that at each step of the way. And what a statement has begun goes on while it waits for its
//! turn, unless the streams at the bottom of its plan stop.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::watch;
use tokio::task::coop::has_budget_remaining;

/// How long a stream goes on without giving way.
const LONGEST: Duration = Duration::from_millis(2);

/// The same where its statement is alone. A stream that gives way wakes another thread, which takes
/// it over, and a core may be idle until that runs: of one that has the machine for itself a tenth
/// of the time.
const LONGEST_ALONE: Duration = Duration::from_millis(20);

/// Whether a statement may run now. It travels as an extension of the session's configuration.
#[derive(Clone, Debug)]
pub struct Gate {
    is_open: watch::Sender<bool>,
    /// How many statements run, its own included; nobody counts them where there is none.
    running: Option<Arc<AtomicUsize>>,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            is_open: watch::Sender::new(true),
            running: None,
        }
    }
}

impl Gate {
    /// That of a statement which counts in `running` while it runs.
    pub fn among(running: &Arc<AtomicUsize>) -> Self {
        Self {
            running: Some(Arc::clone(running)),
            ..Self::default()
        }
    }

    fn is_alone(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|running| running.load(Ordering::Relaxed) <= 1)
    }

    /// From here on nothing is read for the statement.
    pub fn close(&self) {
        self.is_open.send_replace(false);
    }

    /// It goes on.
    pub fn open(&self) {
        self.is_open.send_replace(true);
    }

    fn is_open(&self) -> bool {
        *self.is_open.borrow()
    }

    fn opened(&self) -> BoxFuture<'static, ()> {
        let mut gate = self.is_open.subscribe();
        async move {
            // Where the sender is gone, so is the statement.
            let _ = gate.wait_for(|is_open| *is_open).await;
        }
        .boxed()
    }
}

/// A stream that gives way every few milliseconds, and waits at the gate of its statement.
pub struct Paced {
    inner: SendableRecordBatchStream,
    gate: Option<Arc<Gate>>,
    /// While the gate is closed.
    opened: Option<BoxFuture<'static, ()>>,
    /// Since when it has not given way; `None` when it just has.
    since: Option<Instant>,
}

impl Paced {
    /// The same batches as `inner`, at the gate of `context`'s statement if it has one.
    pub fn new(inner: SendableRecordBatchStream, context: &TaskContext) -> Self {
        Self {
            inner,
            gate: context.session_config().get_extension(),
            opened: None,
            since: None,
        }
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(gate) = self.gate.as_ref().filter(|gate| !gate.is_open()) {
            self.opened.get_or_insert_with(|| gate.opened());
        }
        if let Some(opened) = &mut self.opened {
            self.since = None;
            ready!(opened.poll_unpin(cx));
            self.opened = None;
        }
        let since = *self.since.get_or_insert_with(Instant::now);
        let longest = match &self.gate {
            Some(gate) if gate.is_alone() => LONGEST_ALONE,
            Some(_) | None => LONGEST,
        };
        if since.elapsed() < longest && has_budget_remaining() {
            return Poll::Ready(());
        }
        self.since = None;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl fmt::Debug for Paced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Paced")
    }
}

impl Stream for Paced {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        ready!(self.poll_turn(cx));
        let next = self.inner.poll_next_unpin(cx);
        if next.is_pending() {
            self.since = None;
        }
        next
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl RecordBatchStream for Paced {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use datafusion::arrow::datatypes::Schema;
    use datafusion::execution::config::SessionConfig;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::stream;

    use super::*;

    /// Twenty batches, each of which takes a while.
    fn slow(context: &TaskContext) -> Paced {
        let schema = Arc::new(Schema::empty());
        let batch = RecordBatch::new_empty(Arc::clone(&schema));
        let slow = stream::iter(0..20).map(move |_| {
            std::thread::sleep(Duration::from_millis(1));
            Ok(batch.clone())
        });
        Paced::new(
            Box::pin(RecordBatchStreamAdapter::new(schema, slow)),
            context,
        )
    }

    #[test]
    fn one_that_always_has_a_batch_gives_way_in_time_and_loses_none() {
        let gave_way = gave_way(slow(&TaskContext::default()));
        assert!(gave_way >= 5, "{gave_way}");
    }

    #[test]
    fn one_that_is_alone_gives_way_less_often_until_another_comes() {
        let running = Arc::new(AtomicUsize::new(1));
        let config = SessionConfig::new().with_extension(Arc::new(Gate::among(&running)));
        let context = TaskContext::default().with_session_config(config);
        let began = Instant::now();
        let alone = gave_way(slow(&context));
        let most = began.elapsed().as_millis() / LONGEST_ALONE.as_millis();
        assert!(alone as u128 <= most, "{alone}, {most}");
        running.store(2, Ordering::Relaxed);
        let beside = gave_way(slow(&context));
        assert!(beside >= 5, "{beside}");
    }

    /// How often it does so, with all its batches.
    fn gave_way(mut paced: Paced) -> usize {
        let mut cx = Context::from_waker(Waker::noop());
        let (mut batches, mut gave_way, mut at_once) = (0, 0, 0);
        loop {
            match paced.poll_next_unpin(&mut cx) {
                Poll::Ready(Some(batch)) => {
                    batch.unwrap();
                    batches += 1;
                    at_once = 0;
                }
                Poll::Ready(None) => break,
                Poll::Pending => {
                    gave_way += 1;
                    at_once += 1;
                    assert_eq!(at_once, 1, "it goes on when it has given way");
                }
            }
        }
        assert_eq!(batches, 20);
        gave_way
    }

    #[tokio::test]
    async fn nothing_is_read_while_the_gate_is_closed() {
        let gate = Gate::default();
        let config = SessionConfig::new().with_extension(Arc::new(gate.clone()));
        let context = TaskContext::default().with_session_config(config);
        let mut paced = slow(&context);
        assert!(paced.next().await.is_some());
        gate.close();
        let waits = tokio::time::timeout(Duration::from_millis(50), paced.next()).await;
        assert!(waits.is_err());
        // Opened and closed again before anybody looked, and opened while it waits.
        gate.open();
        gate.close();
        let opener = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            gate.open();
        };
        let (rest, ()) = tokio::join!(paced.count(), opener);
        assert_eq!(rest, 19);
    }
}

//! Giving way to others.
//!
//! Tasks are not interrupted: one that always has another batch at hand holds its thread until
//! the runtime's budget of 128 batches is used up, and somebody who asks about one row waits for
//! that at each step of the way.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Result;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};

/// How long a stream goes on without giving way.
const LONGEST: Duration = Duration::from_millis(2);

/// A stream that gives way every few milliseconds.
pub struct Paced {
    inner: SendableRecordBatchStream,
    /// Since when it has not given way; `None` when it just has.
    since: Option<Instant>,
}

impl Paced {
    /// The same batches as `inner`.
    pub fn new(inner: SendableRecordBatchStream) -> Self {
        Self { inner, since: None }
    }

    fn poll_turn(&mut self, cx: &Context<'_>) -> Poll<()> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if since.elapsed() < LONGEST {
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
    use std::sync::Arc;
    use std::task::Waker;

    use datafusion::arrow::datatypes::Schema;
    use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
    use futures::stream;

    use super::*;

    #[test]
    fn one_that_always_has_a_batch_gives_way_in_time_and_loses_none() {
        let schema = Arc::new(Schema::empty());
        let batch = RecordBatch::new_empty(Arc::clone(&schema));
        let slow = stream::iter(0..20).map(move |_| {
            std::thread::sleep(Duration::from_millis(1));
            Ok(batch.clone())
        });
        let inner = Box::pin(RecordBatchStreamAdapter::new(schema, slow));
        let mut paced = Paced::new(inner);
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
        assert!(gave_way >= 5, "{gave_way}");
    }
}

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::{ArrayRef, Int64Array};
use futures::StreamExt;
use tonic::Code;

use super::*;

fn batch() -> RecordBatch {
    let array: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    RecordBatch::try_from_iter([("n", array)]).unwrap()
}

fn terms() -> Terms {
    Terms {
        stop: CancellationToken::new(),
        patience: Duration::from_secs(300),
        room: Arc::new(Semaphore::new(ROOM_KIBIBYTES as usize)),
        compression: None,
        metrics: Arc::default(),
    }
}

fn stream<P, F>(produce: P) -> FlightDataStream
where
    P: FnOnce(Sink) -> F,
    F: Future<Output = Result<(), Stopped>> + Send + 'static,
{
    spawn(batch().schema(), terms(), produce).unwrap()
}

#[tokio::test]
async fn the_schema_comes_before_the_result_is_there() {
    let mut stream = stream(|_sink| futures::future::pending());
    assert!(stream.next().await.unwrap().is_ok());
}

#[tokio::test]
async fn a_result_ends_and_stays_ended() {
    let mut stream = of_batch(batch(), terms()).unwrap();
    assert!(stream.next().await.unwrap().is_ok());
    assert!(stream.next().await.unwrap().is_ok());
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn an_error_after_rows_is_the_last_item() {
    let mut stream = stream(|mut sink| async move {
        sink.send(&batch()).await?;
        Err(Status::cancelled("stop").into())
    });
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Cancelled);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn a_panic_does_not_look_like_the_end() {
    let mut stream = stream(|mut sink| async move {
        sink.send(&batch()).await?;
        panic!("a bug");
    });
    stream.next().await.unwrap().unwrap();
    stream.next().await.unwrap().unwrap();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Internal);
    assert!(!error.message().contains("bug"), "{error}");
}

#[tokio::test]
async fn a_slow_client_slows_the_producer_and_a_gone_one_stops_it() {
    let sent = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&sent);
    let mut stream = stream(|mut sink| async move {
        loop {
            sink.send(&batch()).await?;
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    stream.next().await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(sent.load(Ordering::SeqCst), WAITING);
    assert_eq!(Arc::strong_count(&sent), 2);
    drop(stream);
    for _ in 0..100 {
        if Arc::strong_count(&sent) == 1 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("the producer lives on");
}

#[tokio::test]
async fn silence_is_filled_with_empty_messages() {
    let often = Duration::from_millis(20);
    let produce = |mut sink: Sink| async move {
        tokio::time::sleep(Duration::from_millis(200)).await;
        sink.send(&batch()).await
    };
    let mut stream = spawn_with(often, batch().schema(), terms(), produce).unwrap();
    stream.next().await.unwrap().unwrap();
    assert!(stream.next().await.unwrap().unwrap().data_body.is_empty());
    let messages: Vec<_> = stream.map(Result::unwrap).collect().await;
    assert!(!messages.last().unwrap().data_body.is_empty());
}

#[tokio::test]
async fn a_stopping_server_ends_the_stream() {
    let terms = terms();
    let stop = terms.stop.clone();
    let mut stream = spawn(batch().schema(), terms, |_sink| futures::future::pending()).unwrap();
    stream.next().await.unwrap().unwrap();
    stop.cancel();
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::Unavailable);
    assert!(stream.next().await.is_none());
}

#[tokio::test]
async fn results_that_nobody_takes_have_so_much_room_together() {
    let terms = Terms {
        room: Arc::new(Semaphore::new(4)),
        ..terms()
    };
    let result = || {
        let produce = |mut sink: Sink| async move {
            loop {
                sink.send(&batch()).await?;
            }
        };
        spawn(batch().schema(), terms.clone(), produce).unwrap()
    };
    let (mut taken, mut left) = (result(), result());
    for stream in [&mut taken, &mut left] {
        // The schema, and a message of a kibibyte.
        stream.next().await.unwrap().unwrap();
        stream.next().await.unwrap().unwrap();
    }
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(terms.room.available_permits(), 0);
    // One is read on, whatever becomes of the other.
    for _ in 0..10 {
        let next = tokio::time::timeout(Duration::from_secs(1), taken.next());
        let message = next.await.unwrap().unwrap().unwrap();
        assert!(!message.data_body.is_empty());
    }
    drop(taken);
    drop(left);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(terms.room.available_permits(), 4);
}

#[tokio::test]
async fn a_result_does_not_wait_for_ever_for_a_client_that_takes_nothing() {
    let held = Arc::new(());
    let query = Arc::clone(&held);
    let terms = Terms {
        patience: Duration::from_millis(500),
        ..terms()
    };
    let mut stream = spawn(batch().schema(), terms, |mut sink| async move {
        let _query = query;
        loop {
            sink.send(&batch()).await?;
        }
    })
    .unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(Arc::strong_count(&held), 2);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(Arc::strong_count(&held), 1);
    // What was on its way is there still, and then why there is no more.
    for _ in 0..WAITING {
        stream.next().await.unwrap().unwrap();
    }
    let error = stream.next().await.unwrap().unwrap_err();
    assert_eq!(error.code(), Code::DeadlineExceeded);
    assert!(stream.next().await.is_none());
}

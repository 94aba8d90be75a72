//! A result on its way, and its record.
//!
//! The last message waits until it is known to be the last and the record of the whole result
//! is on disk: a client that has everything is on record, whatever happens to the server then.

use arrow_flight::FlightData;
use tokio_util::sync::CancellationToken;
use weft_audit::{Entry, Outcome};

use super::{Message, Stopped};
use crate::audit::{note_status, outcome_of, unwritable};

/// The entry of a result, and the message that waits.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// None when it has ended.
    entry: Option<Entry>,
    held: Option<Message>,
    /// Ends what still runs when the server does.
    stop: CancellationToken,
}

impl Recorded {
    pub(crate) fn new(entry: Entry, stop: CancellationToken) -> Self {
        Self {
            entry: Some(entry),
            held: None,
            stop,
        }
    }

    /// Keeps `message` of `rows` back; the one before it may go.
    pub(crate) async fn hold(
        &mut self,
        message: FlightData,
        rows: usize,
    ) -> Result<Option<Message>, Stopped> {
        let Some((ready, rows)) = self.held.replace((message, rows)) else {
            return Ok(None);
        };
        self.begun().await?;
        if let Some(entry) = &mut self.entry {
            count(entry, &ready, rows);
        }
        Ok(Some((ready, rows)))
    }

    /// Writes down that the statement runs: before any of its rows leave while more may follow,
    /// and when it takes long.
    pub(crate) async fn begun(&mut self) -> Result<(), Stopped> {
        let Some(entry) = &mut self.entry else {
            return Ok(());
        };
        let begun = entry.begun().await;
        begun.map_err(|why| Stopped::Failed(unwritable(&why)))
    }

    /// Records how the result ended; the last message, which may go now.
    pub(crate) async fn end(
        &mut self,
        ran: Result<(), Stopped>,
    ) -> Result<Option<Message>, Stopped> {
        let Some(mut entry) = self.entry.take() else {
            return ran.map(|()| None);
        };
        let (outcome, ended) = match ran {
            Ok(()) => (Outcome::Ok, Ok(self.held.take())),
            Err(Stopped::Failed(status)) => {
                note_status(entry.record(), &status);
                (outcome_of(&status), Err(Stopped::Failed(status)))
            }
            Err(Stopped::Revoked(status)) => {
                note_status(entry.record(), &status);
                (Outcome::Revoked, Err(Stopped::Revoked(status)))
            }
            // Nobody waits for the record: it says so when it is dropped.
            Err(Stopped::Gone) => {
                self.entry = Some(entry);
                return Err(Stopped::Gone);
            }
        };
        let (rows, bytes) = (entry.record().rows, entry.record().bytes);
        if let Ok(Some((last, rows))) = &ended {
            count(&mut entry, last, *rows);
        }
        match entry.end(outcome).await {
            Ok(()) => ended,
            Err(why) => {
                let status = unwritable(&why);
                let record = entry.record();
                (record.rows, record.bytes) = (rows, bytes);
                note_status(record, &status);
                entry.end_later(Outcome::Error);
                Err(Stopped::Failed(status))
            }
        }
    }
}

fn count(entry: &mut Entry, message: &FlightData, rows: usize) {
    let record = entry.record();
    record.rows += rows as u64;
    record.bytes += (message.data_header.len() + message.data_body.len()) as u64;
}

/// The producer was stopped: by the end of its connection, by the server's, or by its own fault.
impl Drop for Recorded {
    fn drop(&mut self) {
        let Some(mut entry) = self.entry.take() else {
            return;
        };
        if std::thread::panicking() {
            entry.record().error = Some("internal error".to_owned());
            entry.end_later(Outcome::Error);
        } else if self.stop.is_cancelled() {
            entry.record().error = Some("the server is stopping".to_owned());
            entry.end_later(Outcome::Interrupted);
        }
    }
}

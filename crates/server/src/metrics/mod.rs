//! What the server counts for its operator: statements by how they ended, as the audit trail
//! records it, and what was sent. Labels are words of ours, and names of domains.

mod port;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};
use tokio_util::sync::CancellationToken;
use tracing::Span;
use weft_audit::{Kind, Outcome};
use weft_engine::{Engine, SECONDS, counted};

use crate::trace;

pub(crate) use self::port::MetricsPort;

type Label = [(&'static str, &'static str); 1];

/// How a statement may end.
const OUTCOMES: [Outcome; 7] = [
    Outcome::Ok,
    Outcome::Error,
    Outcome::Refused,
    Outcome::Cancelled,
    Outcome::TimedOut,
    Outcome::Revoked,
    Outcome::Interrupted,
];

/// What may be refused beside statements.
const OTHER_CALLS: [Kind; 3] = [Kind::Login, Kind::Metadata, Kind::Call];

/// The counters of one server.
#[derive(Debug)]
pub(crate) struct Metrics {
    statements: Family<Label, Counter>,
    refused_calls: Family<Label, Counter>,
    seconds: Histogram,
    sent_rows: Counter,
    sent_bytes: Counter,
    /// Connections that are open; clones are the same.
    pub(crate) connections: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            statements: Family::default(),
            refused_calls: Family::default(),
            seconds: Histogram::new(SECONDS),
            sent_rows: Counter::default(),
            sent_bytes: Counter::default(),
            connections: Gauge::default(),
        }
    }
}

impl Metrics {
    /// A call was refused.
    pub(crate) fn refused(&self, kind: Kind) {
        match kind {
            Kind::Statement | Kind::Plan | Kind::Prepare => self.ended(Outcome::Refused),
            Kind::Metadata | Kind::Login | Kind::Call | Kind::Trail => {
                self.refused_calls.get_or_create(&kind_label(kind)).inc();
            }
        }
    }

    /// A statement has ended, whether it ran or not.
    pub(crate) fn ended(&self, outcome: Outcome) {
        self.statements.get_or_create(&outcome_label(outcome)).inc();
    }

    /// A message of `rows` was handed to its connection.
    pub(crate) fn sent(&self, rows: usize, bytes: usize) {
        self.sent_rows.inc_by(rows as u64);
        self.sent_bytes.inc_by(bytes as u64);
    }

    /// Everything there is to tell of a server and its engine.
    pub(crate) fn registry(&self, engine: &Engine) -> Registry {
        // What has not happened yet is known to be zero.
        for outcome in OUTCOMES {
            self.statements.get_or_create_owned(&outcome_label(outcome));
        }
        for kind in OTHER_CALLS {
            self.refused_calls.get_or_create_owned(&kind_label(kind));
        }
        let mut registry = Registry::with_prefix("weft");
        let version: Label = [("version", env!("CARGO_PKG_VERSION"))];
        registry.register("build", "What runs", Info::new(version));
        registry.register(
            "statements",
            "Statements by how they ended, as the audit trail says it",
            self.statements.clone(),
        );
        registry.register_with_unit(
            "statement",
            "How long statements took that ran: from the call to the end of their result",
            Unit::Seconds,
            self.seconds.clone(),
        );
        registry.register(
            "calls_refused",
            "Refused calls that name no statement",
            self.refused_calls.clone(),
        );
        registry.register(
            "sent_rows",
            "Rows that were handed to connections",
            self.sent_rows.clone(),
        );
        registry.register_with_unit(
            "sent",
            "Encoded Arrow data that was handed to connections",
            Unit::Bytes,
            self.sent_bytes.clone(),
        );
        registry.register(
            "connections",
            "Connections that are open",
            self.connections.clone(),
        );
        engine.register_metrics(&mut registry);
        registry
    }
}

fn outcome_label(outcome: Outcome) -> Label {
    [("outcome", outcome.as_str())]
}

fn kind_label(kind: Kind) -> Label {
    [("kind", kind.as_str())]
}

/// A statement that runs, counted once when it ends. It travels with the statement's entry in
/// the audit trail, where there is one, and is dropped when that is.
#[derive(Debug)]
pub(crate) struct Measured {
    metrics: Arc<Metrics>,
    /// When its call came.
    since: Instant,
    /// Of its call, where traces are collected.
    span: Span,
    /// Ends what still runs when the server does.
    stop: CancellationToken,
    rows: AtomicUsize,
    bytes: AtomicUsize,
    has_ended: bool,
}

impl Measured {
    /// A statement that begins, with a call that came at `since`.
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        since: Instant,
        span: Span,
        stop: CancellationToken,
    ) -> Self {
        Self {
            metrics,
            since,
            span,
            stop,
            rows: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            has_ended: false,
        }
    }

    /// A message of `rows` was handed to its connection.
    pub(crate) fn sent(&self, rows: usize, bytes: usize) {
        self.rows.fetch_add(rows, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How it ended.
    pub(crate) fn end(&mut self, outcome: Outcome) {
        self.has_ended = true;
        self.metrics.ended(outcome);
        let seconds = self.since.elapsed().as_secs_f64();
        self.metrics.seconds.observe(seconds);
        trace::ended(&self.span, outcome);
    }
}

/// The producer was stopped: by its own fault, by the end of the server, or by that of its
/// connection.
impl Drop for Measured {
    fn drop(&mut self) {
        let (rows, bytes) = (*self.rows.get_mut(), *self.bytes.get_mut());
        self.span.record("weft.rows", counted(rows));
        self.span.record("weft.bytes", counted(bytes));
        if self.has_ended {
            return;
        }
        self.end(if std::thread::panicking() {
            Outcome::Error
        } else if self.stop.is_cancelled() {
            Outcome::Interrupted
        } else {
            Outcome::Cancelled
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(metrics: &Metrics, outcome: Outcome) -> u64 {
        let counter = metrics
            .statements
            .get_or_create_owned(&outcome_label(outcome));
        counter.get()
    }

    #[test]
    fn a_statement_is_counted_once_however_it_ends() {
        let metrics = Arc::new(Metrics::default());
        let stop = CancellationToken::new();
        let measured = || {
            let metrics = Arc::clone(&metrics);
            Measured::new(metrics, Instant::now(), Span::none(), stop.clone())
        };
        measured().end(Outcome::Ok);
        drop(measured());
        stop.cancel();
        drop(measured());
        for outcome in [Outcome::Ok, Outcome::Cancelled, Outcome::Interrupted] {
            assert_eq!(count(&metrics, outcome), 1, "{outcome}");
        }
    }

    #[test]
    fn a_refused_login_is_no_refused_statement() {
        let metrics = Metrics::default();
        metrics.refused(Kind::Login);
        assert_eq!(count(&metrics, Outcome::Refused), 0);
        metrics.refused(Kind::Plan);
        assert_eq!(count(&metrics, Outcome::Refused), 1);
    }
}

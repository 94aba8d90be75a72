//! What the server tells the audit trail of each call.
//!
//! [`Asked`] collects what is known of a call while it is answered. A refusal is recorded when
//! the call ends, a statement that runs when it begins and when it ends: its [`Entry`] travels
//! with its rows.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::trace::SpanContext;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Status};
use tracing::Span;
use uuid::Uuid;
use weft_audit::{AuditRecord, Entry, Kind, Outcome, TableUse, Trail, Unwritable};
use weft_engine::{GovernedSession, NamedTable, PlannedQuery};
use weft_mesh::Grantee;
use weft_policy::{Owner, PolicySnapshot, PrincipalId};

use crate::authenticate::Credentials;
use crate::call::Call;
use crate::connections::Peer;
use crate::metrics::{Measured, Metrics};
use crate::{status, trace};

/// What a client says of itself is kept up to here.
const CLAIM_LIMIT: usize = 200;
/// The engine takes no longer statement; a refused one may be.
const SQL_LIMIT: usize = 1 << 20;
/// Refused logins that are recorded one by one in a second: anybody can make them.
const LOGINS_A_SECOND: u64 = 20;

/// The trail, where the mesh has one, and what is counted of the same.
#[derive(Debug)]
pub(crate) struct Audit {
    trail: Option<Arc<Trail>>,
    metrics: Arc<Metrics>,
    logins: Mutex<Logins>,
}

/// What is known of a call so far.
#[derive(Debug)]
pub(crate) struct Asked {
    record: Box<AuditRecord>,
    since: Instant,
    metrics: Arc<Metrics>,
    names_statement: bool,
    is_settled: bool,
    /// What the client calls the call, and what it says that it is part of.
    method: &'static str,
    parent: Option<SpanContext>,
    /// For a collector of traces, from when a statement is named by somebody who was let in.
    span: Span,
    /// Where a call that nobody waits for any more is recorded.
    trail: Option<Arc<Trail>>,
}

/// A statement that begins: its entry, where there is a trail, and its place among what is counted.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) entry: Option<Entry>,
    pub(crate) measured: Measured,
}

impl Audit {
    pub(crate) fn new(trail: Option<Arc<Trail>>, metrics: Arc<Metrics>) -> Self {
        Self {
            trail,
            metrics,
            logins: Mutex::default(),
        }
    }

    /// A call begins.
    pub(crate) fn asked<T>(&self, kind: Kind, request: &Request<T>) -> Asked {
        let mut record = Box::new(AuditRecord::new(kind));
        let peer = Peer::of(request.extensions());
        let address = peer.and_then(|peer| peer.tcp.remote_addr());
        record.peer = address.map(|address| address.to_string());
        let client = request.metadata().get("user-agent");
        record.client = client
            .and_then(|client| client.to_str().ok())
            .map(|client| shortened(client, CLAIM_LIMIT));
        Asked {
            record,
            since: Instant::now(),
            metrics: Arc::clone(&self.metrics),
            names_statement: false,
            is_settled: false,
            method: "",
            parent: trace::parent(request.metadata()),
            span: Span::none(),
            trail: self.trail.clone(),
        }
    }

    /// Refuses what could not be recorded.
    pub(crate) fn check(&self) -> Result<(), Status> {
        let trail = self.trail.iter();
        let mut checked = trail.map(|trail| trail.check());
        checked
            .try_for_each(|checked| checked)
            .map_err(|why| unwritable(&why))
    }

    /// A call ends: an error is recorded before the client reads it.
    pub(crate) async fn settle<T>(
        &self,
        mut asked: Asked,
        answer: Result<T, Status>,
    ) -> Result<T, Status> {
        asked.is_settled = true;
        if answer.is_err() {
            self.metrics.refused(asked.record.kind);
            trace::ended(&asked.span, Outcome::Refused);
        }
        let status = match (answer, asked.trail.take()) {
            (Err(status), Some(trail)) => {
                if asked.record.kind == Kind::Login {
                    match self.may_record_login() {
                        Some(left_out) => asked.record.left_out = left_out,
                        None => return Err(status),
                    }
                }
                asked.record.outcome = Outcome::Refused;
                note_status(&mut asked.record, &status);
                let recorded = trail.record(AuditRecord::clone(&asked.record)).await;
                recorded.err().map_or(status, |why| unwritable(&why))
            }
            (answer, _) => return answer,
        };
        Err(status)
    }

    /// Whether a refused login is recorded; how many before it were not.
    fn may_record_login(&self) -> Option<u64> {
        let mut logins = self.logins.lock().unwrap_or_else(PoisonError::into_inner);
        logins.take(Instant::now())
    }

    /// A statement begins, and ends with `stop` at the latest.
    pub(crate) fn begin(
        &self,
        asked: &Asked,
        planned: &PlannedQuery,
        stop: &CancellationToken,
    ) -> Begun {
        Begun {
            entry: self.entry(asked, planned),
            measured: Measured::new(
                Arc::clone(&self.metrics),
                asked.since,
                asked.span.clone(),
                stop.clone(),
            ),
        }
    }

    fn entry(&self, asked: &Asked, planned: &PlannedQuery) -> Option<Entry> {
        let trail = self.trail.as_ref()?;
        let mut record = AuditRecord::clone(&asked.record);
        record.query_id = Some(planned.query_id());
        let tables = planned.tables().iter().map(|(id, read)| TableUse {
            domain: id.domain.to_string(),
            table: id.table.to_string(),
            version: Some(id.major),
            columns: read.columns.iter().cloned().collect(),
            grants: read.grants.clone(),
            guardrails: read.guardrails.clone(),
            snapshot: read.listing.map(|listing| format!("{listing:016x}")),
        });
        record.tables = tables.collect();
        // What it names and does not read, such as a CTE that nothing uses: its text tells of
        // that as well.
        for named in planned.named_tables() {
            let name = named.table.split('@').next().unwrap_or_default();
            let is_read = |it: &TableUse| it.domain == named.schema && it.table == name;
            if !named.schema.is_empty() && !record.tables.iter().any(is_read) {
                record.tables.push(named_only(named));
            }
        }
        let edges = planned.lineage().edges();
        record.set_lineage(edges.map(|(output, part, source)| {
            let output = output.map(|(_, name)| name);
            let table = source.table.to_string();
            (output, part.as_str(), table, source.column.as_str())
        }));
        Some(trail.begin(record))
    }
}

impl Asked {
    /// A call of `method`, which may carry a statement.
    pub(crate) fn by(mut self, method: &'static str) -> Self {
        self.method = method;
        self
    }

    /// Where what the call does is to be seen, where traces are collected.
    pub(crate) fn span(&self) -> &Span {
        &self.span
    }

    /// Whose rights count from here on.
    pub(crate) fn entered(&mut self, call: &Call) {
        self.owned_by(call.owner());
        self.record.epoch = Some(call.snapshot.epoch().0);
        let purpose = call.options.query.purpose.as_ref();
        self.record.purpose = purpose.map(ToString::to_string);
    }

    pub(crate) fn owned_by(&mut self, owner: &Owner) {
        self.record.principal = Some(owner.principal.to_string());
        self.record.acting = owner.acting.as_ref().map(ToString::to_string);
    }

    /// Nobody was let in.
    pub(crate) fn not_let_in(
        &mut self,
        credentials: Option<&Credentials>,
        policy: &PolicySnapshot,
    ) {
        self.record.kind = Kind::Login;
        self.record.claimed = match credentials {
            Some(Credentials::Basic { user, .. }) => Some(known(user, policy)),
            Some(Credentials::Bearer(_)) | None => None,
        };
    }

    /// A principal was not let in as somebody else.
    pub(crate) fn not_acting_for(
        &mut self,
        service: &str,
        headers: &MetadataMap,
        policy: &PolicySnapshot,
    ) {
        self.record.kind = Kind::Login;
        self.record.acting = Some(service.to_owned());
        let claimed = headers.get(crate::authenticate::ON_BEHALF_OF);
        self.record.claimed = claimed
            .and_then(|claimed| claimed.to_str().ok())
            .map(|claimed| known(claimed, policy));
    }

    pub(crate) fn kind(&mut self, kind: Kind) {
        self.record.kind = kind;
    }

    pub(crate) fn query_id(&mut self, query_id: Uuid) {
        self.record.query_id = Some(query_id);
        self.span
            .record("weft.query_id", tracing::field::display(query_id));
    }

    pub(crate) fn statement(&mut self, sql: &str) {
        if !self.names_statement {
            self.names_statement = true;
            self.span = trace::of_call(self.method, self.parent.as_ref());
        }
        if self.trail.is_some() {
            self.record.sql = Some(shortened(sql, SQL_LIMIT));
        }
    }

    /// The purpose of a handle that is used.
    pub(crate) fn purpose(&mut self, purpose: Option<&weft_mesh::Purpose>) {
        self.record.purpose = purpose.map(ToString::to_string);
    }

    /// What was bound, as texts.
    pub(crate) fn parameters(&mut self, rows: &[Vec<datafusion_common::ScalarValue>]) {
        if self.trail.is_none() || rows.is_empty() {
            return;
        }
        let text =
            |value: &datafusion_common::ScalarValue| (!value.is_null()).then(|| value.to_string());
        let rows: Vec<Vec<_>> = rows
            .iter()
            .map(|row| row.iter().map(text).collect())
            .collect();
        self.record.set_parameters(&rows);
    }

    /// The tables that a refused statement names.
    pub(crate) fn names(&mut self, session: &GovernedSession) {
        self.record.tables = session.named_tables().iter().map(named_only).collect();
    }
}

fn named_only(named: &NamedTable) -> TableUse {
    TableUse {
        domain: named.schema.clone(),
        table: named.table.clone(),
        ..TableUse::default()
    }
}

/// A name that somebody of the mesh has: anything else that was sent in its place may be a
/// password or a token.
fn known(name: &str, policy: &PolicySnapshot) -> String {
    let known = policy.authenticator();
    let principals = match Grantee::parse(name) {
        Ok(Grantee::User(name)) => vec![PrincipalId::user(&name)],
        Ok(Grantee::Service(name)) => vec![PrincipalId::service(&name)],
        Ok(Grantee::Group(_) | Grantee::Everyone) | Err(_) => {
            vec![PrincipalId::user(name), PrincipalId::service(name)]
        }
    };
    if principals.iter().any(|it| known.principal(it).is_some()) {
        name.to_owned()
    } else {
        "unknown".to_owned()
    }
}

/// The client went away before it had an answer.
impl Drop for Asked {
    fn drop(&mut self) {
        if self.is_settled || !self.names_statement {
            return;
        }
        self.metrics.ended(Outcome::Cancelled);
        trace::ended(&self.span, Outcome::Cancelled);
        if let Some(trail) = self.trail.take() {
            self.record.outcome = Outcome::Cancelled;
            self.record.error = Some("the client went away".to_owned());
            trail.record_later(AuditRecord::clone(&self.record));
        }
    }
}

/// What the client reads.
pub(crate) fn note_status(record: &mut AuditRecord, status: &Status) {
    record.code = Some(format!("{:?}", status.code()));
    record.error = Some(status.message().to_owned());
}

/// How a statement ended that a status ended.
pub(crate) fn outcome_of(status: &Status) -> Outcome {
    match status.code() {
        Code::Cancelled => Outcome::Cancelled,
        Code::DeadlineExceeded => Outcome::TimedOut,
        Code::Ok
        | Code::Unknown
        | Code::InvalidArgument
        | Code::NotFound
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::Unavailable
        | Code::DataLoss
        | Code::Unauthenticated => Outcome::Error,
    }
}

pub(crate) fn unwritable(why: &Unwritable) -> Status {
    status::unavailable(&why.to_string())
}

fn shortened(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(limit);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Refused logins of the second.
#[derive(Debug, Default)]
struct Logins {
    since: Option<Instant>,
    recorded: u64,
    left_out: u64,
}

impl Logins {
    fn take(&mut self, now: Instant) -> Option<u64> {
        let is_over = |since: Instant| now.duration_since(since) >= Duration::from_secs(1);
        if self.since.is_none_or(is_over) {
            self.since = Some(now);
            self.recorded = 0;
        }
        if self.recorded >= LOGINS_A_SECOND {
            self.left_out += 1;
            return None;
        }
        self.recorded += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refused_logins_are_recorded_up_to_a_rate_and_then_counted() {
        let mut logins = Logins::default();
        let now = Instant::now();
        for _ in 0..LOGINS_A_SECOND {
            assert_eq!(logins.take(now), Some(0));
        }
        for _ in 0..7 {
            assert_eq!(logins.take(now), None);
        }
        assert_eq!(logins.take(now + Duration::from_secs(1)), Some(7));
        assert_eq!(logins.take(now + Duration::from_secs(1)), Some(0));
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(shortened("short", 10), "short");
        assert_eq!(shortened("üüü", 3), "ü…");
    }
}

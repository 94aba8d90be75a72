//! A query that runs: a stream with an end in time, that can be cancelled.

mod declared;
mod interrupt;
mod returned;
mod revocation;
mod running;

use std::{
    collections::BTreeSet,
    fmt,
    panic::{AssertUnwindSafe, resume_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use datafusion::{
    arrow::{datatypes::SchemaRef, record_batch::RecordBatch},
    error::Result as DataFusionResult,
    execution::{SendableRecordBatchStream, TaskContext},
    physical_plan::{EmptyRecordBatchStream, ExecutionPlan, execute_stream},
};
use futures::{FutureExt, Stream, StreamExt, future::BoxFuture};
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinSet,
    time::{Instant, timeout, timeout_at},
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{Instrument, Span};
use uuid::Uuid;
use weft_catalog::{Gate, counted};
use weft_mesh::TableId;
use weft_policy::Owner;

use self::{declared::Declared, interrupt::Interrupt, revocation::Claim, running::Registered};
use crate::{
    admission::{Admission, Place},
    error::{Error, Result, Timeout, classify},
    metrics::Metrics,
    plan::{Again, Deep, PhysicalQuery},
    runtime::panicked,
    session::GovernedSession,
    system::reads_system,
    trace,
};

pub(crate) use self::{
    returned::Returned, revocation::end_what_is_revoked, running::RunningQueries,
};

/// Batches that wait for a slow reader.
const AHEAD: usize = 2;

/// The rows of a query, as they come. Dropping it stops the work.
pub struct RunningQuery {
    query_id: Uuid,
    schema: SchemaRef,
    batches: mpsc::Receiver<Result<RecordBatch>>,
    interrupt: Interrupt,
    cut_off: CutOff,
    ended: bool,
    stop: Option<DropGuard>,
    _work: JoinSet<()>,
    _registered: Registered,
}

/// The reader's own view of the end of its patience: work that is deep in an
/// operator may hear of it late.
type CutOff = Pin<Box<dyn Future<Output = Error> + Send>>;

/// Stops a running query from elsewhere.
#[derive(Debug, Clone)]
pub struct CancelHandle(Interrupt);

impl CancelHandle {
    /// The stream ends with [`Error::Cancelled`] unless it has ended already.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}

impl RunningQuery {
    pub(crate) async fn start(
        session: &GovernedSession,
        query_id: Uuid,
        schema: SchemaRef,
        (physical, again): (PhysicalQuery, Option<Deep<Again>>),
        tables: &BTreeSet<TableId>,
    ) -> Result<Self> {
        let shared = session.shared();
        let (sender, batches) = mpsc::channel(AHEAD);
        let interrupt = Interrupt::default();
        let claim = shared
            .config
            .kill_on_revoke
            .then(|| Claim::new(session, tables, reads_system(&physical.plan)));
        let registered = shared
            .running
            .register(query_id, session.owner(), &interrupt, claim);
        let (timeout, started) = (session.statement_timeout().clone(), Instant::now());
        // Of all runs of the statement, where it has several rows of parameters.
        let deadline = session.returned().began() + timeout.after;
        let stop = physical.stop.clone();
        let work = Work {
            query_id,
            owner: session.owner().clone(),
            timeout: timeout.clone(),
            deadline,
            started,
            interrupt: interrupt.clone(),
            declared: Declared::new(&schema),
            admission: shared.admission.clone(),
            metrics: shared.metrics.clone(),
            rows: AtomicUsize::new(0),
            sender,
            // The runtime lives as long as its work.
            session: session.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn_on(work.run(physical, again), shared.runtime.handle());
        Ok(Self {
            query_id,
            schema,
            batches,
            cut_off: Box::pin(cut_off(interrupt.clone(), deadline, timeout)),
            interrupt,
            ended: false,
            stop: Some(stop.drop_guard()),
            _work: tasks,
            _registered: registered,
        })
    }

    /// The schema of every batch.
    pub fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// What [`Engine::cancel`](crate::Engine::cancel) knows the query by.
    pub fn query_id(&self) -> Uuid {
        self.query_id
    }

    pub fn cancel_handle(&self) -> CancelHandle {
        CancelHandle(self.interrupt.clone())
    }

    /// Comes when access to what the query reads has changed: what the query
    /// has returned so far, and was not sent yet, must not be sent any more.
    /// Never comes unless the engine is told to
    /// [end such queries](crate::EngineConfig::kill_on_revoke).
    pub fn revoked(&self) -> impl Future<Output = Error> + Send + use<> {
        let interrupt = self.interrupt.clone();
        async move { interrupt.revoked().await }
    }
}

impl Stream for RunningQuery {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let next = match self.batches.poll_recv(cx) {
            // Rows that wait for the reader are withheld too.
            Poll::Ready(_) if self.interrupt.is_revoked() => Some(Err(Error::revoked())),
            Poll::Ready(next) => next,
            Poll::Pending => Some(Err(std::task::ready!(self.cut_off.poll_unpin(cx)))),
        };
        self.ended = !matches!(next, Some(Ok(_)));
        if self.ended {
            self.stop = None;
        }
        Poll::Ready(next)
    }
}

/// Whether `plan` makes one row out of nothing, as what connection pools ask to see whether
/// anybody is there: it waits for nobody.
fn is_constant(plan: &dyn ExecutionPlan) -> bool {
    match plan.children().as_slice() {
        [] => matches!(plan.name(), "PlaceholderRowExec" | "EmptyExec"),
        [input] => {
            let passes_on = matches!(
                plan.name(),
                "ProjectionExec" | "FilterExec" | "CooperativeExec"
            );
            passes_on && is_constant(input.as_ref())
        }
        _ => false,
    }
}

async fn cut_off(interrupt: Interrupt, deadline: Instant, timeout: Timeout) -> Error {
    match timeout_at(deadline, interrupt.interrupted()).await {
        Ok(reason) => reason,
        Err(_) => Error::DeadlineExceeded(timeout),
    }
}

impl fmt::Debug for RunningQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningQuery")
            .field("query_id", &self.query_id)
            .field("schema", &self.schema)
            .finish_non_exhaustive()
    }
}

/// What is logged of a query when it ends, once: also where its reader has gone, and
/// its task with it.
struct LogLine {
    work: Arc<Work>,
    /// For a collector of traces: it ends with the line.
    span: Span,
    is_written: bool,
}

impl LogLine {
    fn new(work: &Arc<Work>) -> Self {
        Self {
            work: Arc::clone(work),
            span: trace::execution(work.session.span(), work.query_id),
            is_written: false,
        }
    }

    fn write(&mut self, ended: &Result<()>) {
        self.is_written = true;
        let Work {
            query_id, started, ..
        } = *self.work;
        let rows = self.work.rows.load(Ordering::Relaxed);
        let Owner { principal, acting } = &self.work.owner;
        let milliseconds = started.elapsed().as_millis();
        let acting = acting.as_ref().map(tracing::field::display);
        self.span.record("weft.rows", counted(rows));
        if ended.is_err() {
            self.span.record("otel.status_code", "ERROR");
        }
        match ended {
            Ok(()) => {
                tracing::info!(%query_id, %principal, acting, rows, milliseconds, "query finished")
            }
            Err(error) => {
                tracing::info!(%query_id, %principal, acting, rows, milliseconds, %error, "query ended early");
            }
        }
    }
}

impl Drop for LogLine {
    fn drop(&mut self) {
        if !self.is_written {
            self.write(&Err(Error::Cancelled));
        }
    }
}

/// The task that pulls a plan.
struct Work {
    query_id: Uuid,
    owner: Owner,
    timeout: Timeout,
    deadline: Instant,
    started: Instant,
    interrupt: Interrupt,
    declared: Declared,
    admission: Admission,
    metrics: Metrics,
    /// Returned so far.
    rows: AtomicUsize,
    sender: mpsc::Sender<Result<RecordBatch>>,
    session: GovernedSession,
}

impl Work {
    async fn run(self, physical: PhysicalQuery, again: Option<Deep<Again>>) {
        let work = Arc::new(self);
        let mut log = LogLine::new(&work);
        let stop = physical.stop.clone();
        let lines = trace::of_log(work.query_id);
        let ended = {
            let pull = AssertUnwindSafe(Arc::clone(&work).pull(physical, again)).catch_unwind();
            let pull = pull.instrument(lines.clone());
            tokio::select! {
                biased;
                reason = work.interrupt.interrupted() => Err(reason),
                ended = timeout_at(work.deadline, pull) => match ended {
                    Ok(Ok(ended)) => ended,
                    Ok(Err(panic)) => Err(lines.in_scope(|| panicked(panic.as_ref()))),
                    Err(_) => Err(Error::DeadlineExceeded(work.timeout.clone())),
                },
            }
        };
        // Operators may be at work on other threads.
        stop.cancel();
        log.write(&ended);
        if let Err(error) = ended {
            // A reader that is gone does not need the reason.
            let _ = work.sender.send(Err(error)).await;
        }
    }

    /// A place that `get` waits for, and how long that takes.
    async fn queued(&self, get: impl Future<Output = Result<Place>>) -> Result<Place> {
        let since = Instant::now();
        let place = get.instrument(trace::queue(self.session.span())).await;
        self.metrics.queued(since.into_std());
        place
    }

    async fn pull(
        self: Arc<Self>,
        physical: PhysicalQuery,
        again: Option<Deep<Again>>,
    ) -> Result<()> {
        if is_constant(physical.plan.as_ref()) {
            return self.go(Run::begin(physical)?, None, None).await;
        }
        let limit = self.session.allowance().concurrency.as_ref();
        let enter = self.admission.enter(&self.owner, limit, physical.statement);
        let place = self.queued(enter).await?;
        if place.quick_until().is_none() {
            return Arc::clone(&self)
                .on_long_threads(
                    async move { self.go(Run::begin(physical)?, Some(place), None).await },
                )
                .await;
        }
        self.go(Run::begin(physical)?, Some(place), again).await
    }

    /// Returns the rows of `run`. What outlasts its time in a quick `place`, finds no turn among
    /// the long ones and has returned no row is let go, and begins anew with one, made `again`.
    async fn go(
        self: Arc<Self>,
        mut run: Run,
        mut place: Option<Place>,
        mut again: Option<Deep<Again>>,
    ) -> Result<()> {
        loop {
            let Some(batch) = run.next(place.as_ref()).await else {
                let Some(mut quick) = place.take() else {
                    continue;
                };
                // It is made once more at most.
                let again = again.take();
                if quick.lengthened() {
                    place = Some(quick);
                    continue;
                }
                run.gate.close();
                let is_new = self.rows.load(Ordering::Relaxed) == 0;
                let Some(again) = again.filter(|_| is_new) else {
                    place = Some(self.queued(quick.lengthen_begun()).await?);
                    run.gate.open();
                    continue;
                };
                run.stop();
                let place = self.queued(quick.lengthen()).await?;
                run.gate.open();
                let stop = run.stop.child_token();
                let plan = Box::pin(again.plan(&self.session, self.query_id, stop)).await?;
                return Arc::clone(&self)
                    .on_long_threads(self.begin_anew(run, place, plan))
                    .await;
            };
            let Some(batch) = batch else {
                if let Some(place) = place {
                    place.finished();
                }
                return Ok(());
            };
            let batch = self.declared.wrap(&batch.map_err(classify)?)?;
            let allowance = self.session.allowance();
            self.session.returned().add(&batch, allowance)?;
            self.rows.fetch_add(batch.num_rows(), Ordering::Relaxed);
            match self.sender.try_send(Ok(batch)) {
                Ok(()) => {}
                Err(TrySendError::Closed(_)) => return Err(Error::Cancelled),
                Err(TrySendError::Full(batch)) => {
                    // Others can run while the reader takes its time.
                    let resting = place.take().map(Place::rest);
                    let send = self.sender.send(batch);
                    let sent = held_after_a_while(&run.gate, send).await;
                    sent.map_err(|_| Error::Cancelled)?;
                    if let Some(resting) = resting {
                        let again = resting.again();
                        place = Some(held_after_a_while(&run.gate, again).await?);
                    }
                    run.gate.open();
                }
            }
        }
    }

    /// Boxed, for it is part of itself.
    fn begin_anew(
        self: Arc<Self>,
        mut run: Run,
        place: Place,
        plan: Arc<dyn ExecutionPlan>,
    ) -> BoxFuture<'static, Result<()>> {
        async move {
            run.stream = execute_stream(plan, Arc::clone(&run.context)).map_err(classify)?;
            self.go(run, Some(place), None).await
        }
        .boxed()
    }

    /// What comes of `work` on the threads of what runs long; it ends with the caller.
    async fn on_long_threads(
        self: Arc<Self>,
        work: impl Future<Output = Result<()>> + Send + 'static,
    ) -> Result<()> {
        let mut task = JoinSet::new();
        let work = work.instrument(trace::of_log(self.query_id));
        task.spawn_on(work, self.session.shared().runtime.long());
        match task.join_next().await {
            Some(Ok(ended)) => ended,
            Some(Err(error)) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                Err(_) => Err(Error::Cancelled),
            },
            None => Err(Error::Cancelled),
        }
    }
}

/// How long a statement may wait for its reader, and for its turn then, before what it has begun
/// stops: a moment is no reason, for then there would be nothing at hand afterwards.
const A_WHILE: Duration = Duration::from_millis(100);

/// A plan at work.
struct Run {
    stream: SendableRecordBatchStream,
    context: Arc<TaskContext>,
    /// What the streams at the bottom of the plan wait at.
    gate: Gate,
    stop: CancellationToken,
    /// Its child, of this plan alone.
    running: CancellationToken,
}

impl Run {
    fn begin(physical: PhysicalQuery) -> Result<Self> {
        let context = physical.context;
        // Nobody else holds the plan: what its operators have begun ends with their streams.
        let stream = execute_stream(physical.plan, Arc::clone(&context)).map_err(classify)?;
        Ok(Self {
            stream,
            context,
            gate: physical.gate,
            stop: physical.stop,
            running: physical.running,
        })
    }

    /// Lets go of all that it has made.
    fn stop(&mut self) {
        self.running.cancel();
        self.stream = Box::pin(EmptyRecordBatchStream::new(self.stream.schema()));
    }

    /// The next batch, `Some(None)` at the end; `None` when the time that the statement has among
    /// the quick ones is over before.
    async fn next(
        &mut self,
        place: Option<&Place>,
    ) -> Option<Option<DataFusionResult<RecordBatch>>> {
        match place.and_then(Place::quick_until) {
            None => Some(self.stream.next().await),
            // One that always has a batch at hand never waits for it.
            Some(until) if until <= Instant::now() => None,
            Some(until) => timeout_at(until, self.stream.next()).await.ok(),
        }
    }
}

/// What `waiting` comes to. If that takes longer than a while, `gate` is closed.
async fn held_after_a_while<T>(gate: &Gate, waiting: impl Future<Output = T>) -> T {
    tokio::pin!(waiting);
    match timeout(A_WHILE, &mut waiting).await {
        Ok(done) => done,
        Err(_) => {
            gate.close();
            waiting.await
        }
    }
}

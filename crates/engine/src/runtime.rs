//! Where queries are planned and run: threads with deep stacks, apart from
//! those that serve the network.
//!
//! Planning and running recurse over the expressions of a statement, and so
//! does dropping them; the limits of [`crate::sql`] bound that depth, and the
//! stacks here hold it.
//!
//! What is known to run long has threads of its own, and the system gives its processors to the
//! others first: an operator is not interrupted by the runtime, but a thread is by the system.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use futures::FutureExt;
use thread_priority::ThreadPriority;
use tokio::{
    runtime::{Builder, Handle, Runtime},
    sync::{Semaphore, oneshot},
    time::timeout,
};
use tracing::Span;
use uuid::Uuid;

use crate::error::{Error, Result};

/// Virtual memory: a page is used when a stack first reaches it.
const STACK: usize = 64 << 20;

/// How many threads a core has for what may be over soon: the side of a join is put into memory
/// at one go, and whoever asks for a row meanwhile should not wait behind it for a thread.
const MORE_THREADS: usize = 2;

/// The engine's own runtime and the turns for planning.
#[derive(Debug)]
pub(crate) struct QueryRuntime {
    quick: Option<Runtime>,
    long: Option<Runtime>,
    handle: Handle,
    long_handle: Handle,
    /// Its threads plan: those of `quick` that block wait for files as well.
    planners: Option<Runtime>,
    planning: Arc<Semaphore>,
}

impl QueryRuntime {
    /// With `threads` for queries that run long, and more for the others, of which `running` may
    /// run at a time.
    pub(crate) fn start(threads: usize, running: usize) -> Result<Self> {
        let cannot =
            |error| Error::internal(&format!("the query threads cannot be started: {error}"));
        let runtime = |name: &str, threads: usize| {
            let mut builder = Builder::new_multi_thread();
            builder
                .worker_threads(threads.max(1))
                .thread_stack_size(STACK)
                .thread_name(name)
                .enable_all();
            builder
        };
        let many = threads.saturating_mul(MORE_THREADS);
        let quick = runtime("weft-query", many).build().map_err(cannot)?;
        let long = runtime("weft-long", threads)
            .on_thread_start(come_later)
            .build()
            .map_err(cannot)?;
        let (handle, long_handle) = (quick.handle().clone(), long.handle().clone());
        let planning = 4 * threads.max(2);
        let planners = Builder::new_current_thread()
            .max_blocking_threads(planning + running)
            .thread_stack_size(STACK)
            .thread_name("weft-plan")
            .build()
            .map_err(cannot)?;
        Ok(Self {
            quick: Some(quick),
            long: Some(long),
            handle,
            long_handle,
            planners: Some(planners),
            planning: Arc::new(Semaphore::new(planning)),
        })
    }

    pub(crate) fn handle(&self) -> &Handle {
        &self.handle
    }

    /// For what is known to run long.
    pub(crate) fn long(&self) -> &Handle {
        &self.long_handle
    }

    /// Runs `job` on a thread that nothing else uses meanwhile, so that it can neither
    /// overflow a stack that others share nor block them. Synchronous work cannot be
    /// stopped: after `limit` the caller is told, the thread keeps its turn
    /// until it ends. What it logs is within `lines`.
    pub(crate) async fn plan<T, J, F>(&self, limit: Duration, lines: Span, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<T>>,
    {
        let turn = Arc::clone(&self.planning).acquire_owned();
        let Ok(Ok(turn)) = timeout(limit, turn).await else {
            return Err(Error::Unavailable(
                "too many statements are being planned, try again".to_owned(),
            ));
        };
        self.plan_with(turn, limit, lines, job).await
    }

    /// The same for a job that needs no turn.
    pub(crate) async fn plan_now<T, J, F>(&self, limit: Duration, lines: Span, job: J) -> Result<T>
    where
        T: Send + 'static,
        J: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<T>>,
    {
        self.plan_with((), limit, lines, job).await
    }

    async fn plan_with<T, J, F>(
        &self,
        turn: impl Send + 'static,
        limit: Duration,
        lines: Span,
        job: J,
    ) -> Result<T>
    where
        T: Send + 'static,
        J: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<T>>,
    {
        let (mut sender, receiver) = oneshot::channel();
        let handle = self.handle.clone();
        let work = move || {
            let _lines = lines.entered();
            let job = AssertUnwindSafe(async { job().await }).catch_unwind();
            let result = handle.block_on(async {
                tokio::select! {
                    result = timeout(limit, job) => result,
                    () = sender.closed() => return None,
                }
                .map_or_else(
                    |_| Some(Err(Error::DeadlineExceeded(limit.into()))),
                    |result| Some(result.unwrap_or_else(|panic| Err(panicked(panic.as_ref())))),
                )
            });
            drop(turn);
            if let Some(result) = result {
                // The caller may have left meanwhile.
                let _ = sender.send(result);
            }
        };
        // It panics where the system gives no thread.
        let planners = self.planners.as_ref();
        let spawn = || planners.map(|planners| planners.spawn_blocking(work));
        if !matches!(catch_unwind(AssertUnwindSafe(spawn)), Ok(Some(_))) {
            return Err(Error::internal(&"no thread for planning"));
        }
        match timeout(limit, receiver).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(Error::internal(
                &"the planning thread ended without a result",
            )),
            Err(_) => Err(Error::DeadlineExceeded(limit.into())),
        }
    }

    /// Drops `value` on a deep stack.
    pub(crate) fn drop_there<T: Send + 'static>(&self, value: T) {
        // From one of its own threads: a thread inherits the priority of who starts it.
        self.handle.spawn(async move {
            Handle::current().spawn_blocking(move || drop(value));
        });
    }
}

impl Drop for QueryRuntime {
    fn drop(&mut self) {
        // The last session may be dropped inside another runtime, which a
        // waiting shutdown must not block.
        for runtime in [self.quick.take(), self.long.take(), self.planners.take()] {
            runtime.into_iter().for_each(Runtime::shutdown_background);
        }
    }
}

/// Lets the threads of others run first, but not alone: a nice value of 2 is two thirds of their
/// weight. Where the system does not let us, statements share as equals.
fn come_later() {
    // Elsewhere the same number may mean the contrary.
    if cfg!(target_os = "linux") {
        const NICE_2: u8 = 42;
        if let Ok(priority) = NICE_2.try_into() {
            let _ = ThreadPriority::Crossplatform(priority).set_for_current();
        }
    }
}

/// The error of a panic: its text is for the log.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> Error {
    let text = panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text");
    let reference = Uuid::new_v4();
    tracing::error!(%reference, panic = text, "a query panicked");
    Error::Internal { reference }
}

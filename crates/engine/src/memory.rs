//! One memory pool for all queries, and a cap for each of them on top.

use std::{
    fmt, fs,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use datafusion::{
    common::resources_datafusion_err,
    error::{DataFusionError, Result},
    execution::memory_pool::{MemoryConsumer, MemoryLimit, MemoryPool, MemoryReservation},
};
use weft_mesh::ByteSize;
use weft_policy::Limit;

use crate::error::over_memory;

/// A share of the global pool for one query.
#[derive(Debug)]
pub(crate) struct QueryPool {
    global: Arc<dyn MemoryPool>,
    cap: usize,
    /// Where the cap is that of a limit of the mesh.
    limit: Option<Limit<ByteSize>>,
    used: AtomicUsize,
}

impl QueryPool {
    /// `own` bytes, or less where a limit of the mesh says so.
    pub(crate) fn new(
        global: Arc<dyn MemoryPool>,
        own: usize,
        limit: Option<&Limit<ByteSize>>,
    ) -> Self {
        let bytes =
            |limit: &Limit<ByteSize>| usize::try_from(limit.most.bytes()).unwrap_or(usize::MAX);
        let limit = limit.filter(|limit| bytes(limit) < own);
        Self {
            global,
            cap: limit.map_or(own, bytes),
            limit: limit.cloned(),
            used: AtomicUsize::new(0),
        }
    }

    /// Operators that can spill do so on this kind of error alone.
    fn refusal(&self) -> DataFusionError {
        match &self.limit {
            Some(limit) => DataFusionError::ResourcesExhausted(over_memory(limit)),
            None => resources_datafusion_err!("the query needs more than its share of memory"),
        }
    }
}

impl fmt::Display for QueryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("query")
    }
}

impl MemoryPool for QueryPool {
    fn name(&self) -> &str {
        "query"
    }

    fn register(&self, consumer: &MemoryConsumer) {
        self.global.register(consumer);
    }

    fn unregister(&self, consumer: &MemoryConsumer) {
        self.global.unregister(consumer);
    }

    fn grow(&self, reservation: &MemoryReservation, additional: usize) {
        self.global.grow(reservation, additional);
        self.used.fetch_add(additional, Ordering::Relaxed);
    }

    fn shrink(&self, reservation: &MemoryReservation, shrink: usize) {
        self.global.shrink(reservation, shrink);
        self.used.fetch_sub(shrink, Ordering::Relaxed);
    }

    fn try_grow(&self, reservation: &MemoryReservation, additional: usize) -> Result<()> {
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(additional).filter(|sum| *sum <= self.cap)
            })
            .map_err(|_| self.refusal())?;
        self.global
            .try_grow(reservation, additional)
            .inspect_err(|_| {
                self.used.fetch_sub(additional, Ordering::Relaxed);
            })
    }

    fn reserved(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }

    fn memory_limit(&self) -> MemoryLimit {
        MemoryLimit::Finite(self.cap)
    }
}

/// 65 % of what the cgroup or the host has: scans, repartition buffers and
/// Flight encoding are not accounted and live in the rest.
pub(crate) fn default_limit() -> usize {
    const UNKNOWN_HOST: usize = 4 << 30;
    let available = [host_memory(), cgroup_memory()].into_iter().flatten().min();
    available.unwrap_or(UNKNOWN_HOST) / 100 * 65
}

fn host_memory() -> Option<usize> {
    let meminfo = fs::read_to_string("/proc/meminfo").ok()?;
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn cgroup_memory() -> Option<usize> {
    let limit = fs::read_to_string("/sys/fs/cgroup/memory.max").ok()?;
    limit.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use datafusion::execution::memory_pool::GreedyMemoryPool;

    use super::*;

    #[test]
    fn a_query_stops_at_its_share_and_gives_back() {
        let global: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(100));
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryPool::new(Arc::clone(&global), 60, None));
        let reservation = MemoryConsumer::new("test").register(&pool);
        reservation.try_grow(50).unwrap();
        assert!(reservation.try_grow(20).is_err());
        assert_eq!(global.reserved(), 50);
        drop(reservation);
        assert_eq!((pool.reserved(), global.reserved()), (0, 0));
    }

    #[test]
    fn a_limit_of_the_mesh_takes_and_never_gives() {
        let limit = |size: &str| Limit {
            name: "interns".into(),
            most: ByteSize::parse(size).unwrap(),
        };
        let global: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(1 << 20));
        let refused = |size: &str| {
            let pool = QueryPool::new(Arc::clone(&global), 2048, Some(&limit(size)));
            let pool: Arc<dyn MemoryPool> = Arc::new(pool);
            let reservation = MemoryConsumer::new("test").register(&pool);
            reservation.try_grow(1024).unwrap();
            reservation.try_grow(1025).unwrap_err().to_string()
        };
        assert!(refused("1KiB").contains("limit `interns` (memory 1KiB)"));
        assert!(!refused("2KiB").contains("interns"));
        assert!(!refused("1GiB").contains("interns"));
    }

    #[test]
    fn what_the_global_pool_refuses_is_not_counted() {
        let global: Arc<dyn MemoryPool> = Arc::new(GreedyMemoryPool::new(10));
        let pool: Arc<dyn MemoryPool> = Arc::new(QueryPool::new(global, 60, None));
        let reservation = MemoryConsumer::new("test").register(&pool);
        assert!(reservation.try_grow(20).is_err());
        assert_eq!(pool.reserved(), 0);
    }
}

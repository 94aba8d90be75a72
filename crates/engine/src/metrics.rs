//! What the engine tells its operator: how much runs and waits, how long that takes, what it
//! holds, and what is read of the domains. Never who asks, nor what.

use std::{fmt, sync::Arc, time::Instant};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge, histogram::Histogram},
    registry::{Registry, Unit},
};
use weft_catalog::{LiveMesh, MeshCounts};

use crate::engine::Shared;

/// The steps of every histogram of a time, in seconds.
pub const SECONDS: [f64; 15] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 30.0, 120.0, 600.0,
];

/// What is measured as it happens; clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    plan: Histogram,
    queue: Histogram,
}

impl Default for Metrics {
    fn default() -> Self {
        Self {
            plan: Histogram::new(SECONDS),
            queue: Histogram::new(SECONDS),
        }
    }
}

impl Metrics {
    /// A plan was made, or not, in the time since.
    pub(crate) fn planned(&self, since: Instant) {
        self.plan.observe(since.elapsed().as_secs_f64());
    }

    /// A statement has got its turn, or not, in the time since.
    pub(crate) fn queued(&self, since: Instant) {
        self.queue.observe(since.elapsed().as_secs_f64());
    }

    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register_with_unit(
            "plan",
            "How long plans took, those that failed as well",
            Unit::Seconds,
            self.plan.clone(),
        );
        registry.register_with_unit(
            "queue",
            "How long statements waited for their turn",
            Unit::Seconds,
            self.queue.clone(),
        );
    }
}

/// What is looked up when somebody asks.
#[derive(Debug)]
pub(crate) struct Gauges {
    pub(crate) shared: Arc<Shared>,
    pub(crate) live: Arc<LiveMesh>,
}

impl Collector for Gauges {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        let (running, waiting) = self.shared.admission.counts();
        out.gauge(
            "statements_running",
            "Statements that have a turn.",
            None,
            running as u64,
        )?;
        out.gauge(
            "statements_waiting",
            "Statements that wait for a turn.",
            None,
            waiting as u64,
        )?;
        out.gauge(
            "memory_reserved",
            "What the operators of running statements hold.",
            Some(&Unit::Bytes),
            self.shared.memory_reserved() as u64,
        )?;
        out.gauge(
            "memory_limit",
            "What the operators of all statements may hold together.",
            Some(&Unit::Bytes),
            self.shared.config.memory_limit as u64,
        )?;
        out.gauge(
            "spill_disk",
            "What running statements have put on disk.",
            Some(&Unit::Bytes),
            self.shared.disk_used(),
        )?;
        out.mesh(&self.live.counts())
    }
}

struct Out<'a>(DescriptorEncoder<'a>);

impl Out<'_> {
    fn mesh(&mut self, counts: &MeshCounts) -> fmt::Result {
        let MeshCounts {
            epoch,
            stale_tables,
            reads,
            footers,
            blocks,
            reloads,
        } = counts;
        self.gauge(
            "mesh_epoch",
            "Which reading of the manifests is in force.",
            None,
            epoch.0,
        )?;
        self.gauge(
            "mesh_stale_tables",
            "Tables whose last refresh failed, or that were never listed.",
            None,
            *stale_tables as u64,
        )?;
        let reloads = [
            ([("result", "applied")], reloads.applied),
            ([("result", "partial")], reloads.partial),
            ([("result", "refused")], reloads.refused),
        ];
        self.counters(
            "mesh_reloads",
            "Reloads of the manifests by how they ended.",
            None,
            reloads,
        )?;
        self.counters(
            "read",
            "What was read of the storages of a domain.",
            Some(&Unit::Bytes),
            reads
                .iter()
                .map(|it| ([("domain", it.domain.as_str())], it.bytes)),
        )?;
        let requests = reads.iter().flat_map(|it| {
            let domain = it.domain.as_str();
            let labels = move |operation| [("domain", domain), ("operation", operation)];
            [(labels("get"), it.gets), (labels("list"), it.lists)]
        });
        self.counters(
            "read_requests",
            "Requests to the storages of a domain.",
            None,
            requests,
        )?;
        self.counter(
            "footer_cache_hits",
            "Parquet footers that were in the cache.",
            footers.hits,
        )?;
        self.counter(
            "footer_cache_misses",
            "Parquet footers that were not in the cache.",
            footers.misses,
        )?;
        self.gauge(
            "footer_cache",
            "What the cache of Parquet footers holds.",
            Some(&Unit::Bytes),
            footers.bytes,
        )?;
        let Some(blocks) = blocks else {
            return Ok(());
        };
        self.counter(
            "block_cache_hits",
            "Blocks of files that were in the block cache.",
            blocks.hits,
        )?;
        self.counter(
            "block_cache_misses",
            "Blocks of files that were not in the block cache.",
            blocks.misses,
        )
    }

    fn gauge(&mut self, name: &str, help: &str, unit: Option<&Unit>, value: u64) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Gauge)?;
        ConstGauge::new(value).encode(encoder)
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) -> fmt::Result {
        let encoder = self
            .0
            .encode_descriptor(name, help, None, MetricType::Counter)?;
        ConstCounter::new(value).encode(encoder)
    }

    /// One counter for each set of labels.
    fn counters<'l, const N: usize>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<&Unit>,
        values: impl IntoIterator<Item = ([(&'l str, &'l str); N], u64)>,
    ) -> fmt::Result {
        let mut family = self
            .0
            .encode_descriptor(name, help, unit, MetricType::Counter)?;
        for (labels, value) in values {
            let encoder = family.encode_family(&labels)?;
            ConstCounter::new(value).encode(encoder)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;

    use super::*;

    #[derive(Debug)]
    struct Two;

    impl Collector for Two {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            let values = [([("domain", "hr")], 1), ([("domain", "sales")], 2)];
            Out(encoder).counters("read", "Read.", Some(&Unit::Bytes), values)
        }
    }

    #[test]
    fn counters_are_written_with_prefix_unit_and_labels() {
        let mut registry = Registry::with_prefix("weft");
        registry.register_collector(Box::new(Two));
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        assert!(
            text.contains("weft_read_bytes_total{domain=\"hr\"} 1\n"),
            "{text}"
        );
        assert!(
            text.contains("weft_read_bytes_total{domain=\"sales\"} 2\n"),
            "{text}"
        );
    }
}

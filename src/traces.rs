//! Traces for a collector: the spans of the target [`TRACES`], sent by OTLP in the background.
//!
//! What is done for a statement never waits for them: a span that finds no room in the queue is
//! lost.

use std::time::Duration;

use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithTonicConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{BatchConfigBuilder, BatchSpanProcessor, SdkTracerProvider};
use tonic::transport::ClientTlsConfig;
use tracing::{Level, Subscriber, warn};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;
use weft_engine::TRACES;

use crate::error::{Error, Result};

/// Spans that wait to be sent.
const WAITING: usize = 4096;
/// How long they wait for others to go with them.
const DELAY: Duration = Duration::from_secs(1);
/// For the collector to take some.
const PATIENCE: Duration = Duration::from_secs(5);
/// For the last of them, when the process ends.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Sends spans until it is ended.
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// To be called on a runtime. Nothing is sent yet: a collector may come later, or never.
    pub(crate) fn start(endpoint: &str) -> Result<Self> {
        let exporter = SpanExporter::builder()
            .with_tonic()
            .with_endpoint(endpoint)
            .with_timeout(PATIENCE);
        let exporter = if endpoint.starts_with("https:") {
            exporter.with_tls_config(ClientTlsConfig::new().with_native_roots())
        } else {
            exporter
        };
        let exporter = exporter
            .build()
            .map_err(|cause| Error::Usage(format!("`--otlp-endpoint` cannot be used: {cause}")))?;
        let batches = BatchConfigBuilder::default()
            .with_max_queue_size(WAITING)
            .with_scheduled_delay(DELAY)
            .build();
        let processor = BatchSpanProcessor::builder(exporter)
            .with_batch_config(batches)
            .build();
        let resource = Resource::builder()
            .with_service_name("weft")
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(processor)
            .with_resource(resource)
            .build();
        Ok(Self(provider))
    }

    /// Takes the spans of traces, and nothing else, out of everything.
    pub(crate) fn layer<S>(&self) -> impl Layer<S> + use<S>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("weft"))
            .with_location(false)
            .with_threads(false)
            .with_tracked_inactivity(false)
            .with_filter(
                filter_fn(|it| it.is_span() && it.target() == TRACES)
                    .with_max_level_hint(Level::INFO),
            )
    }

    /// Sends what is left, as far as that can be done soon.
    pub(crate) fn end(self) {
        if let Err(error) = self.0.shutdown_with_timeout(LAST_WORDS) {
            warn!(%error, "the last traces could not be sent");
        }
    }
}

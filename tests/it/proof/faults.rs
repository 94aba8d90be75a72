//! What the log says of internal errors: the client is told a reference alone.

use std::collections::HashMap;
use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::util::SubscriberInitExt as _;

/// By their reference.
static DETAILS: Mutex<Option<HashMap<String, String>>> = Mutex::new(None);

/// What stands in the log where the last look at a plan refused it.
const REFUSED: &str = "the verifier refused a plan";

/// Listens from here on; with `WEFT_PROVE_LOG` the log is printed as well.
pub(super) fn listen() {
    static LISTENING: Once = Once::new();
    LISTENING.call_once(|| {
        let printed = std::env::var_os("WEFT_PROVE_LOG")
            .map(|_| tracing_subscriber::fmt::layer().with_writer(std::io::stderr));
        tracing_subscriber::registry()
            .with(Recorder.with_filter(tracing_subscriber::filter::LevelFilter::ERROR))
            .with(printed)
            .init();
    });
}

/// What the log says under the reference in this text, once.
pub(super) fn detail(text: &str) -> Option<String> {
    let (_, reference) = text.split_once("ref ")?;
    details().as_mut()?.remove(reference)
}

/// Whether a source was not sealed, or not for whom it should be.
pub(super) fn is_refusal(detail: &str) -> bool {
    detail.contains(REFUSED)
}

fn details() -> MutexGuard<'static, Option<HashMap<String, String>>> {
    DETAILS.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Recorder;

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        if let (Some(reference), Some(detail)) = (fields.reference, fields.detail) {
            details()
                .get_or_insert_with(HashMap::new)
                .insert(reference, detail);
        }
    }
}

#[derive(Default)]
struct Fields {
    reference: Option<String>,
    detail: Option<String>,
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "reference" => self.reference = Some(format!("{value:?}")),
            "detail" => self.detail = Some(format!("{value:?}")),
            _ => {}
        }
    }
}

//! The span of a call that carries a statement, for a collector of traces: below that of the
//! client, where its header `traceparent` names one (W3C Trace Context).

use opentelemetry::Context;
use opentelemetry::trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState};
use tonic::metadata::MetadataMap;
use tracing::Span;
use tracing::field::Empty;
use tracing_opentelemetry::OpenTelemetrySpanExt;
use weft_engine::TRACES;

/// The span of a call of `method`, of a caller who has been let in.
pub(crate) fn of_call(method: &'static str, parent: Option<&SpanContext>) -> Span {
    let span = tracing::info_span!(
        target: TRACES,
        parent: None,
        "call",
        "otel.name" = method,
        "otel.kind" = "server",
        "otel.status_code" = Empty,
        "db.system.name" = "weft",
        "rpc.system" = "grpc",
        "rpc.method" = method,
        "weft.query_id" = Empty,
        "weft.outcome" = Empty,
        "weft.rows" = Empty,
        "weft.bytes" = Empty,
    );
    if let Some(parent) = parent.filter(|_| !span.is_disabled()) {
        let parent = Context::new().with_remote_span_context(parent.clone());
        // An error says that traces are not collected, or that the span has begun.
        let _ = span.set_parent(parent);
    }
    span
}

/// Notes how a statement ended.
pub(crate) fn ended(span: &Span, outcome: weft_audit::Outcome) {
    span.record("weft.outcome", outcome.as_str());
    if outcome != weft_audit::Outcome::Ok {
        span.record("otel.status_code", "ERROR");
    }
}

/// What the client says that its call is part of; what is malformed is not said.
pub(crate) fn parent(headers: &MetadataMap) -> Option<SpanContext> {
    let mut values = headers.get_all("traceparent").iter();
    let value = values.next()?.to_str().ok()?;
    if values.next().is_some() {
        return None;
    }
    parse(value)
}

/// `version-trace-span-flags` in hexadecimal. Later versions may say more behind that.
fn parse(value: &str) -> Option<SpanContext> {
    let mut parts = value.trim().splitn(5, '-');
    let mut part = |length| parts.next().filter(|part| is_hex(part, length));
    let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    if version == "ff" || (version == "00" && parts.next().is_some()) {
        return None;
    }
    let flags = u8::from_str_radix(flags, 16).ok()?;
    let parent = SpanContext::new(
        TraceId::from_hex(trace).ok()?,
        SpanId::from_hex(span).ok()?,
        TraceFlags::new(flags) & TraceFlags::SAMPLED,
        true,
        TraceState::default(),
    );
    parent.is_valid().then_some(parent)
}

fn is_hex(text: &str, length: usize) -> bool {
    let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == length && text.bytes().all(digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_parent_is_named_as_the_standard_says() {
        let parent = parse(&format!("00-{TRACE}-{SPAN}-01")).unwrap();
        assert_eq!(parent.trace_id().to_string(), TRACE);
        assert_eq!(parent.span_id().to_string(), SPAN);
        assert!(parent.is_sampled() && parent.is_remote());
        let parent = parse(&format!("00-{TRACE}-{SPAN}-00")).unwrap();
        assert!(!parent.is_sampled());
        assert!(parse(&format!("01-{TRACE}-{SPAN}-01-more")).is_some());
    }

    #[test]
    fn what_is_malformed_is_ignored() {
        let zeros = "0".repeat(32);
        for wrong in [
            String::new(),
            "nonsense".to_owned(),
            format!("00-{TRACE}-{SPAN}"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{zeros}-{SPAN}-01"),
            format!("00-{TRACE}-{}-01", &zeros[..16]),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{}-{SPAN}-01", &TRACE[1..]),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("00 {TRACE} {SPAN} 01"),
        ] {
            assert!(parse(&wrong).is_none(), "{wrong}");
        }
    }
}

//! What the command line may set beyond single words: durations, logging, TLS files.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};
use weft_engine::TRACES;
use weft_mesh::ByteSize;

use crate::error::{Error, Result};
use crate::traces::Traces;

/// The variable that sets what is logged, in `tracing` filter syntax: `WEFT_LOG=debug`, `WEFT_LOG=weft_engine=trace,info`.
const LOG_VARIABLE: &str = "WEFT_LOG";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// What a command logs where the environment does not say otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Logging {
    pub(crate) filter: &'static str,
    pub(crate) format: LogFormat,
    /// Where traces are collected, by OTLP.
    pub(crate) collector: Option<String>,
}

impl Logging {
    /// For a command that lives for one answer.
    pub(crate) const QUIET: Self = Self {
        filter: "error",
        format: LogFormat::Text,
        collector: None,
    };
    pub(crate) const SERVER: Self = Self {
        filter: "info",
        format: LogFormat::Text,
        collector: None,
    };
}

/// Logs go to standard error: standard output belongs to results. Traces go to a collector, until
/// what is returned is [ended](Traces::end).
pub(crate) fn start_logging(logging: &Logging) -> Result<Option<Traces>> {
    let mut filter =
        EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new(logging.filter));
    // Spans of traces are no part of the log, whatever it is asked for.
    if let Ok(no_traces) = format!("{TRACES}=off").parse() {
        filter = filter.add_directive(no_traces);
    }
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr)
        // Where nobody reads the log a server serves on.
        .log_internal_errors(false);
    let lines: Box<dyn Layer<Registry> + Send + Sync> = match logging.format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    let traces = logging.collector.as_deref().map(Traces::start);
    let traces = traces.transpose()?;
    let subscriber = tracing_subscriber::registry()
        .with(lines.with_filter(filter))
        .with(traces.as_ref().map(Traces::layer));
    // Fails only if a logger is there already, which then does the work.
    let _ = subscriber.try_init();
    Ok(traces)
}

/// `500ms`, `30s`, `5m`, `1h`, `90d`. A bare number is refused: nobody remembers its unit.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number
        .parse()
        .map_err(|_| format!("`{text}` is not a duration such as `30s` or `5m`"))?;
    let seconds = |factor: u64| number.checked_mul(factor).map(Duration::from_secs);
    let duration = match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => seconds(1),
        "m" => seconds(60),
        "h" => seconds(3600),
        "d" => seconds(24 * 3600),
        _ => return Err(format!("`{text}` needs a unit: `ms`, `s`, `m`, `h` or `d`")),
    };
    match duration {
        Some(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(format!("`{text}` is out of range")),
    }
}

/// `512KiB`, `64MiB`, `1GiB`. A bare number is refused, as of durations.
pub(crate) fn parse_size(text: &str) -> Result<ByteSize, String> {
    ByteSize::parse(text).map_err(|error| error.to_string())
}

/// The certificate and key of a server, read before it starts.
#[derive(Debug, Clone)]
pub(crate) struct TlsFiles {
    pub(crate) cert: PathBuf,
    pub(crate) key: PathBuf,
    /// Whose certificates services may show instead of a token.
    pub(crate) client_ca: Option<PathBuf>,
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|cause| Error::file("read", path, &cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_carry_their_unit() {
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("1h"), Ok(Duration::from_secs(3600)));
        assert_eq!(parse_duration("2d"), Ok(Duration::from_secs(2 * 86_400)));
        for bad in [
            "30",
            "s",
            "",
            "-1s",
            "0s",
            "1 s",
            "1w",
            "99999999999999999999s",
        ] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }
}

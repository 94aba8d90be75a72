//! `weft serve`: the server, for as long as it is wanted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use weft_catalog::BlockCacheConfig;
use weft_mesh::{ByteSize, SecretRef};

use crate::config::{self, LogFormat, Logging, TlsFiles};
use crate::error::{Error, Result};
use crate::output;
use crate::running::{self, Capacity, Running, Transport};

const EXAMPLES: &str = "\
Examples:
  weft serve --mesh mesh.yaml
  weft serve --mesh mesh.yaml --listen 0.0.0.0:50051 --tls-cert cert.pem --tls-key key.pem
  weft serve --mesh mesh.yaml --memory-limit 48GiB --statements 32 --statement-timeout 5m
  weft serve --mesh mesh.yaml --metrics 127.0.0.1:9464

It prints `weft is ready on grpc://127.0.0.1:50051` on standard output as soon as it answers.
Files of the mesh that change are loaded again by themselves; SIGHUP does it now. A domain with a
fault keeps its last good version. SIGTERM or Ctrl-C ends it: running queries finish first.

What the manifests say is decided anew with every call. A query that runs already goes on to its
end with the access it began with; with --kill-on-revoke it ends at once, with PERMISSION_DENIED,
when a reload or the end of a grant (`until`) changes what it reads: a grant or its rows and masks,
a guardrail, the groups or the password of who asks, or whom a service may act for.

--statements to --query-memory-limit are for everybody. `limits` in mesh.yaml take more away from
some: statements at a time, memory, time, rows and bytes of the members of a group.";

/// Serve a mesh over Arrow Flight SQL
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// The mesh's file
    #[arg(long, value_name = "FILE")]
    mesh: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
    /// How often to look for new files in the storages: `30s`, `5m`
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = config::parse_duration)]
    refresh: Duration,
    /// The server's certificate chain, PEM
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The key of that certificate, PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Certificates, PEM, of those who may vouch for services: a service that `certificate` in
    /// mesh.yaml names logs in with one that they signed
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,
    /// What handles and sessions are sealed with, as `env:NAME` or `file:PATH`, instead of the
    /// mesh's `secret`. Given several times the first seals and all open: to replace one, add the
    /// new one as second on every server, then put it first, then leave the old one out a day later
    #[arg(long, value_name = "REFERENCE", value_parser = parse_reference)]
    handle_secret: Vec<SecretRef>,
    /// Allow plaintext on an address that others can reach: passwords and data travel in the open
    #[arg(long)]
    insecure: bool,
    /// End running queries when access to what they read changes
    #[arg(long)]
    kill_on_revoke: bool,
    /// How many connections there may be at a time, half of them for one user or service at most;
    /// beyond, new ones take the places of those that have not logged in
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    max_connections: usize,
    /// After about so long a connection takes no new call, and its client makes another: so that
    /// load comes to servers that were added. Running calls go on
    #[arg(long, value_name = "DURATION", default_value = "1h", value_parser = config::parse_duration)]
    connection_age: Duration,
    /// How long a result waits for a client that takes nothing of it, before its query is ended
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = config::parse_duration)]
    reader_timeout: Duration,
    /// How many statements run for long at a time, half of them of one user or service at most;
    /// others wait. As many more may begin: each has 150 ms, and more where others use the cores,
    /// before it needs a turn among the long ones, so that short questions do not wait for them.
    /// One that ran long the last time, or must read much as far as is known, needs it at once
    /// [default: 2 for each core, at least 4]
    #[arg(long, value_name = "NUMBER", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..))]
    statements: Option<usize>,
    /// How many statements may wait to begin, and as many for a turn among the long ones, half of
    /// them of one user or service at most; beyond, they are refused and may be sent again
    /// [default: 100]
    #[arg(long, value_name = "NUMBER", value_parser = clap::builder::RangedU64ValueParser::<usize>::new())]
    waiting_statements: Option<usize>,
    /// How long a statement waits for a turn before it is refused [default: 30s]
    #[arg(long, value_name = "DURATION", value_parser = config::parse_duration)]
    queue_timeout: Option<Duration>,
    /// How long a statement may take, waiting included, unless its session says less [default: 10m]
    #[arg(long, value_name = "DURATION", value_parser = config::parse_duration)]
    statement_timeout: Option<Duration>,
    /// What joins, sorts and groups of all statements may hold together; leave about a third of the
    /// machine for the rest [default: 65 % of the memory of the machine or its cgroup]
    #[arg(long, value_name = "SIZE", value_parser = config::parse_size)]
    memory_limit: Option<ByteSize>,
    /// What those of one statement may hold [default: half of --memory-limit]
    #[arg(long, value_name = "SIZE", value_parser = config::parse_size)]
    query_memory_limit: Option<ByteSize>,
    /// Keep what is read of files in S3 on a disk of this machine, below this folder, and read it
    /// there the next time: data before any grant, encrypted with a key of this process alone.
    /// Nothing is left when the server ends; of a storage with `cache: false` nothing is kept
    #[arg(long, value_name = "FOLDER")]
    block_cache: Option<PathBuf>,
    /// How much of the disk that takes from the start, at least 128MiB
    #[arg(long, value_name = "SIZE", default_value = "10GiB", requires = "block_cache", value_parser = config::parse_size)]
    block_cache_size: ByteSize,
    /// Where to answer `GET /metrics`, for Prometheus: how much runs, waits, is read and sent.
    /// It asks nobody who they are and names domains: take an address that only operators reach
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<SocketAddr>,
    /// Where to send traces, by OTLP over gRPC: what each statement waited for, planned and
    /// scanned, below the trace that its client names in the header `traceparent`
    #[arg(long, value_name = "URL", env = "OTEL_EXPORTER_OTLP_ENDPOINT")]
    otlp_endpoint: Option<String>,
    /// Answer `grpc.reflection`, for tools such as `grpcurl`
    #[arg(long)]
    reflection: bool,
    /// How log lines look; those of a statement have its `query_id`
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
}

impl ServeArgs {
    pub(crate) fn logging(&self) -> Logging {
        Logging {
            format: self.log_format,
            collector: self.otlp_endpoint.clone().filter(|url| !url.is_empty()),
            ..Logging::SERVER
        }
    }

    fn tls(&self) -> Option<TlsFiles> {
        let (cert, key) = self.tls_cert.as_ref().zip(self.tls_key.as_ref())?;
        Some(TlsFiles {
            cert: cert.clone(),
            key: key.clone(),
            client_ca: self.tls_client_ca.clone(),
        })
    }
}

fn parse_reference(text: &str) -> Result<SecretRef, String> {
    // The text may be a secret that somebody has written out.
    SecretRef::parse(text).map_err(|_| "write `env:NAME` or `file:PATH`".to_owned())
}

pub(crate) async fn run(args: ServeArgs) -> Result<ExitCode> {
    let tls = args.tls();
    if tls.is_none() && !args.listen.ip().is_loopback() && !args.insecure {
        return Err(Error::Usage(format!(
            "`{}` can be reached from elsewhere, and without TLS passwords and data travel in the open: \
             give `--tls-cert` and `--tls-key`, or say `--insecure` if something in front does TLS",
            args.listen
        )));
    }
    if let (Some(all), Some(one)) = (args.memory_limit, args.query_memory_limit)
        && one > all
    {
        return Err(Error::Usage(format!(
            "`--query-memory-limit` is {one}, more than the {all} of `--memory-limit` that all statements have together"
        )));
    }
    let block_cache = args.block_cache.map(|folder| BlockCacheConfig {
        folder,
        size: args.block_cache_size.bytes(),
    });
    if let Some(BlockCacheConfig { size, .. }) = block_cache
        && size < BlockCacheConfig::LEAST
    {
        return Err(Error::Usage(format!(
            "`--block-cache-size` is {}, and a cache needs at least 128MiB",
            args.block_cache_size
        )));
    }
    let running = Running::start(running::Options {
        mesh: args.mesh,
        listen: args.listen,
        refresh: args.refresh,
        block_cache,
        tls,
        kill_on_revoke: args.kill_on_revoke,
        handle_secrets: args.handle_secret,
        transport: Transport {
            connections: args.max_connections,
            connection_age: args.connection_age,
            reader_timeout: args.reader_timeout,
            reflection: args.reflection,
            metrics: args.metrics,
        },
        capacity: Capacity {
            statements: args.statements,
            waiting_statements: args.waiting_statements,
            queue_timeout: args.queue_timeout,
            statement_timeout: args.statement_timeout,
            memory: args.memory_limit,
            query_memory: args.query_memory_limit,
        },
    })
    .await?;
    output::line(format_args!("weft is ready on {}", running.url()))?;
    running.until_stopped().await?;
    Ok(ExitCode::SUCCESS)
}

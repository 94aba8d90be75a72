//! `weft`: governed SQL over the domains of a data mesh.
//!
//! Here a command line becomes a [`command::Command`], and its outcome an exit code. Everything
//! else is in `command/<subcommand>.rs`, or in the crates.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

mod access_tests;
mod client;
mod command;
mod config;
mod demo_mesh;
mod error;
mod format;
mod offline;
mod output;
mod progress;
mod running;
mod traces;

use std::process::ExitCode;

use clap::Parser as _;

use crate::command::Cli;
use crate::error::{Error, Result};

/// Deeply nested SQL is parsed, planned and dropped by recursion.
const THREAD_STACK: usize = 16 * 1024 * 1024;

fn main() -> ExitCode {
    // Two TLS providers are linked in, and rustls picks none by itself. An error says that one is
    // installed already.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();

    match run(Cli::parse()) {
        Ok(code) => code,
        Err(Error::OutputClosed) => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error);
            error.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_stack_size(THREAD_STACK)
        .thread_name("weft")
        .build()
        .map_err(|cause| Error::io("start the runtime", &cause))?;
    let traces = {
        // The connection to a collector of traces belongs to the runtime.
        let _entered = runtime.enter();
        config::start_logging(&cli.command.logging())?
    };
    let ended = runtime.block_on(cli.command.run());
    if let Some(traces) = traces {
        traces.end();
    }
    ended
}

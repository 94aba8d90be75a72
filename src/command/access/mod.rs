//! `weft access`: who sees what, and why, from the files of a mesh alone.

mod diff;
mod explain;
mod test;

use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::error::Result;

/// Explain access, test it, or see what a change does to it
///
/// All of it works on the files of a mesh, in a domain's own CI: no server, no network, no secrets.
#[derive(Debug, Args)]
pub(crate) struct AccessArgs {
    #[command(subcommand)]
    command: AccessCommand,
}

#[derive(Debug, Subcommand)]
enum AccessCommand {
    Explain(explain::ExplainArgs),
    Test(test::TestArgs),
    Diff(diff::DiffArgs),
}

pub(crate) async fn run(args: AccessArgs) -> Result<ExitCode> {
    match args.command {
        AccessCommand::Explain(args) => explain::run(args).await,
        AccessCommand::Test(args) => test::run(args).await,
        AccessCommand::Diff(args) => diff::run(args).await,
    }
}

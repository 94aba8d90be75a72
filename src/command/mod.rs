//! The command line: one file a subcommand, each with its arguments and its `run`.

mod access;
mod check;
mod demo;
mod hash_password;
mod init;
mod query;
mod serve;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Logging;
use crate::error::Result;

const EXAMPLES: &str = "\
First steps:
  weft demo                                    see what it does, on a mesh of its own
  weft init my-mesh                            write a small mesh to begin with
  weft check my-mesh/mesh.yaml                 find every mistake in it
  weft serve --mesh my-mesh/mesh.yaml          answer SQL on grpc://127.0.0.1:50051
  weft query --user ana \"SHOW TABLES\"          ask, as somebody

What is logged, on standard error, is set by WEFT_LOG: `WEFT_LOG=debug weft serve …`";

/// Governed SQL over the domains of a data mesh
///
/// A mesh is a folder of files: who owns which data, what it looks like, and who may see which
/// rows and columns of it. weft serves it as one database over Arrow Flight SQL, and everybody
/// who connects sees exactly what they were granted.
#[derive(Debug, Parser)]
#[command(name = "weft", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(serve::ServeArgs),
    Check(check::CheckArgs),
    Access(access::AccessArgs),
    Query(query::QueryArgs),
    Init(init::InitArgs),
    HashPassword(hash_password::HashPasswordArgs),
    Token(token::TokenArgs),
    Demo(demo::DemoArgs),
}

impl Command {
    pub(crate) fn logging(&self) -> Logging {
        match self {
            Self::Serve(args) => args.logging(),
            Self::Check(_)
            | Self::Access(_)
            | Self::Query(_)
            | Self::Init(_)
            | Self::HashPassword(_)
            | Self::Token(_)
            | Self::Demo(_) => Logging::QUIET,
        }
    }

    pub(crate) async fn run(self) -> Result<ExitCode> {
        match self {
            Self::Serve(args) => serve::run(args).await,
            Self::Check(args) => check::run(&args),
            Self::Access(args) => access::run(args).await,
            Self::Query(args) => query::run(args).await,
            Self::Init(args) => init::run(&args),
            Self::HashPassword(_) => hash_password::run(),
            Self::Token(args) => token::run(&args),
            Self::Demo(args) => demo::run(args).await,
        }
    }
}

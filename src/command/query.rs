//! `weft query`: one question over the wire, as any other client asks it.

use std::env;
use std::io::{self, IsTerminal as _, Read as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use futures::TryStreamExt as _;
use weft_mesh::Purpose;

use crate::client::{Answer, Connection, Credentials, Headers, Target};
use crate::error::{Error, Result};
use crate::format::{self, Format};
use crate::progress::Progress;

const EXAMPLES: &str = "\
Examples:
  weft query --user ana \"SELECT region, sum(amount) FROM sales.orders GROUP BY region\"
  weft query --user ana --format csv - < question.sql > answer.csv
  ANA=ana-demo weft query --user ana --password-env ANA \"SHOW TABLES\"
  BI=… weft query --url grpc+tls://mesh.example:50051 --token-env BI --format json \"SELECT …\"
  weft query --user ana --purpose fulfilment \"SELECT address FROM sales.orders\"
  BI=… weft query --token-env BI --on-behalf-of user:ana \"SELECT count(*) FROM sales.orders\"

A person's password is asked for at the terminal; scripts name an environment variable.

Some grants are for a purpose only, and some columns are for nobody without one: --purpose says
what the answer is for. A service that mesh.yaml lets act for the members of a group asks
with --on-behalf-of as one of them: with that user's rights, and none of its own.

Exit codes:
  0  answered
  1  the query is wrong or failed
  2  the command line is wrong
  3  no server there, or it takes no queries now
  4  who you are was not accepted
  5  not found or denied (what you may not see does not exist)
  6  stopped by a limit: time, memory, size, or cancelled
  7  a fault inside the server; its message carries a reference for the log";

/// Ask a running server one question
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct QueryArgs {
    /// The server: grpc://host:port, or grpc+tls://host:port
    #[arg(long, default_value = "grpc://127.0.0.1:50051", env = "WEFT_URL")]
    url: String,
    /// Who is asking
    #[arg(long, required_unless_present = "token_env")]
    user: Option<String>,
    /// The environment variable that holds the password
    #[arg(long, value_name = "VAR", conflicts_with = "token_env")]
    password_env: Option<String>,
    /// The environment variable that holds a bearer token
    #[arg(long, value_name = "VAR", conflicts_with = "user")]
    token_env: Option<String>,
    /// How to write the result
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Where unqualified names are looked up: the mesh
    #[arg(long)]
    catalog: Option<String>,
    /// Where unqualified names are looked up: the domain
    #[arg(long)]
    schema: Option<String>,
    /// What the answer is for: grants with `purposes` ask. Letters, digits, `-`, `_`, `.`
    #[arg(long, value_parser = purpose)]
    purpose: Option<Purpose>,
    /// The user that a service asks for: `user:NAME`
    #[arg(long, value_name = "user:NAME", value_parser = on_behalf_of)]
    on_behalf_of: Option<String>,
    /// A certificate authority to trust for grpc+tls, PEM
    #[arg(long, value_name = "FILE")]
    tls_ca: Option<PathBuf>,
    /// The question; `-` reads it from standard input
    sql: String,
}

pub(crate) async fn run(args: QueryArgs) -> Result<ExitCode> {
    if args.format.is_binary() && io::stdout().is_terminal() {
        return Err(Error::Usage(
            "`--format arrow` is not for a terminal: redirect it".to_owned(),
        ));
    }
    let sql = sql(&args.sql)?;
    let credentials = credentials(&args)?;
    let target = Target {
        url: args.url,
        tls_ca: args.tls_ca,
    };

    let mut progress = Progress::start();
    let mut connection = progress
        .during(Connection::open(&target, &credentials))
        .await?;
    connection.set_headers(&Headers {
        catalog: args.catalog,
        schema: args.schema,
        purpose: args.purpose,
        on_behalf_of: args.on_behalf_of,
    });
    let answer = progress.during(connection.query(&sql)).await?;
    print(answer, args.format, &mut progress).await?;
    Ok(ExitCode::SUCCESS)
}

async fn print(mut answer: Answer, format: Format, progress: &mut Progress) -> Result<()> {
    let mut encoder = format.encoder(&answer.schema)?;
    let mut bytes = encoder.head()?;
    while let Some(batch) = progress.during(answer.batches.try_next()).await? {
        bytes.extend(encoder.batch(&batch)?);
        progress.add_rows(batch.num_rows());
        if !bytes.is_empty() {
            progress.clear();
            format::write(&bytes)?;
            bytes.clear();
        }
    }
    progress.clear();
    bytes.extend(encoder.tail()?);
    format::write(&bytes)
}

fn purpose(text: &str) -> Result<Purpose, String> {
    Purpose::parse(text).map_err(|error| error.to_string())
}

fn on_behalf_of(text: &str) -> Result<String, String> {
    match text.strip_prefix("user:") {
        Some(name) if !name.is_empty() && name.chars().all(|c| matches!(c, '!'..='~')) => {
            Ok(text.to_owned())
        }
        _ => Err("name a user as `user:NAME`".to_owned()),
    }
}

fn sql(argument: &str) -> Result<String> {
    if argument != "-" {
        return Ok(argument.to_owned());
    }
    let mut sql = String::new();
    io::stdin()
        .lock()
        .read_to_string(&mut sql)
        .map_err(|cause| Error::io("read the query from standard input", &cause))?;
    Ok(sql)
}

fn credentials(args: &QueryArgs) -> Result<Credentials> {
    if let Some(variable) = &args.token_env {
        return Ok(Credentials::Token(from_env("--token-env", variable)?));
    }
    let user = args.user.clone().unwrap_or_default();
    let password = match &args.password_env {
        Some(variable) => from_env("--password-env", variable)?,
        None => rpassword::prompt_password(format!("Password of {user}: ")).map_err(|cause| {
            Error::Usage(format!(
                "cannot ask for a password here ({cause}): name an environment variable with `--password-env`"
            ))
        })?,
    };
    Ok(Credentials::Password { user, password })
}

fn from_env(option: &str, variable: &str) -> Result<String> {
    match env::var(variable) {
        Ok(value) if !value.is_empty() => Ok(value),
        Ok(_) => Err(Error::Usage(format!(
            "`{option} {variable}`: the variable is empty"
        ))),
        Err(_) => Err(Error::Usage(format!(
            "`{option} {variable}`: no such variable"
        ))),
    }
}

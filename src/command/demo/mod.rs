//! `weft demo`: one question, asked by three people, and three answers.

mod reasons;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use futures::TryStreamExt as _;

use crate::client::{Connection, Credentials, Target};
use crate::demo_mesh;
use crate::error::{Error, Result};
use crate::format::{self, Encoder as _, TableEncoder};
use crate::output;
use crate::running::{Capacity, Options, Running, Transport};

const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 50051);
const REFRESH: Duration = Duration::from_secs(30);
/// Wide enough for a name, narrow enough for a hash not to fill the screen.
const MAX_CELL: usize = 28;

const QUESTION: &str = include_str!("late_parcels.sql");
/// The tables that the question joins.
const TABLES: [(&str, &str); 3] = [
    ("sales", "orders"),
    ("crm", "customers"),
    ("logistics", "shipments"),
];

struct Person {
    login: &'static str,
    who: &'static str,
    look_for: &'static str,
}

const PEOPLE: [Person; 3] = [
    Person {
        login: "ana",
        who: "who sells in Europe",
        look_for: "Europe's orders to the cent; of other regions only the large ones, in steps of a thousand.\n\
                   Customers can be counted and joined, but not known.",
    },
    Person {
        login: "ben",
        who: "who answers customers",
        look_for: "Names and addresses, because he has to write to them. Amounts in steps of a hundred.",
    },
    Person {
        login: "carla",
        who: "who keeps the books",
        look_for: "Every amount to the cent, and no person behind it.",
    },
];

const EXAMPLES: &str = "\
Examples:
  weft demo                            asks, shows, and serves on until Ctrl-C
  weft demo --once                     asks, shows, and ends
  weft demo --listen 127.0.0.1:0       serves on a free port";

/// See what weft does, on a mesh of its own
///
/// Starts a server on a small mesh of four domains, asks one question across three of them as
/// three people, and shows what each of them sees and which grants make the difference.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DemoArgs {
    /// End after the answers
    #[arg(long)]
    once: bool,
    /// Where to listen [default: 127.0.0.1:50051; a free port with --once]
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
}

pub(crate) async fn run(args: DemoArgs) -> Result<ExitCode> {
    let dir = tempfile::Builder::new()
        .prefix("weft-demo-")
        .tempdir()
        .map_err(|cause| Error::io("create a folder for the demo", &cause))?;
    let mesh = demo_mesh::extract(dir.path())?;
    let any_port = SocketAddr::new(DEFAULT_LISTEN.ip(), 0);
    let listen = args
        .listen
        .unwrap_or(if args.once { any_port } else { DEFAULT_LISTEN });
    if !listen.ip().is_loopback() {
        return Err(Error::Usage(format!(
            "`{listen}` can be reached from elsewhere, and the demo's passwords are known to all"
        )));
    }
    let running = Running::start(Options {
        mesh,
        listen,
        refresh: REFRESH,
        block_cache: None,
        tls: None,
        kill_on_revoke: false,
        handle_secrets: Vec::new(),
        transport: Transport::default(),
        capacity: Capacity::default(),
    })
    .await?;
    let snapshot = running.live().snapshot();
    let url = running.url();

    let mut serving = Box::pin(running.until_stopped());
    let asking = Box::pin(async {
        output::line(introduction(&snapshot))?;
        for person in &PEOPLE {
            ask(person, &url, &snapshot).await?;
        }
        Ok::<_, Error>(())
    });
    tokio::select! {
        stopped = &mut serving => return stopped.map(|()| ExitCode::SUCCESS),
        asked = asking => asked?,
    }
    if args.once {
        return Ok(ExitCode::SUCCESS);
    }
    output::line(farewell(&url, dir.path()))?;
    serving.await?;
    Ok(ExitCode::SUCCESS)
}

fn introduction(snapshot: &weft_catalog::MeshSnapshot) -> String {
    let question: String = QUESTION
        .lines()
        .map(|line| format!("    {line}\n"))
        .collect();
    format!(
        "\
One mesh, one question, three people, three answers.

The mesh `{}` belongs to nobody as a whole. Each domain keeps its own data, and grants:

{}
Whose parcels came late, and what were they worth? That is a question to three domains at once:

{question}",
        snapshot.mesh_name(),
        reasons::domains(snapshot),
    )
}

async fn ask(person: &Person, url: &str, snapshot: &weft_catalog::MeshSnapshot) -> Result<()> {
    let target = Target {
        url: url.to_owned(),
        tls_ca: None,
    };
    let credentials = Credentials::Password {
        user: person.login.to_owned(),
        password: format!("{}-demo", person.login),
    };
    let mut connection = Connection::open(&target, &credentials).await?;
    let mut answer = connection.query(QUESTION).await?;
    let mut encoder = TableEncoder::new(&answer.schema).with_max_cell(MAX_CELL);
    let mut table = encoder.head()?;
    while let Some(batch) = answer.batches.try_next().await? {
        table.extend(encoder.batch(&batch)?);
    }
    table.extend(encoder.tail()?);

    output::line(format_args!(
        "━━ {}, {} ━━ {}\n",
        person.login,
        person.who,
        reasons::principal(snapshot, person.login)?
    ))?;
    format::write(&table)?;
    output::line(format_args!("\n{}\n\nWhy:", person.look_for))?;
    for (domain, table) in TABLES {
        output::line(reasons::of(snapshot, person.login, domain, table)?)?;
    }
    output::line("")
}

fn farewell(url: &str, dir: &Path) -> String {
    let weft = std::env::current_exe()
        .map_or_else(|_| "weft".to_owned(), |path| path.display().to_string());
    format!(
        "\
The server stays on {url}. In another terminal, with the name and `-demo` as password:

  {weft} query --url {url} --user ana \"SHOW TABLES\"
  {weft} query --url {url} --user ben \"SELECT name, title, salary FROM hr.people\"

  python: adbc_driver_flightsql.dbapi.connect(\"{url}\",
              db_kwargs={{\"username\": \"ana\", \"password\": \"ana-demo\"}})

Change who sees what in {}/domains/sales/grants.yaml
and ask again: it is loaded as soon as it is saved. Ctrl-C ends the demo.",
        dir.display()
    )
}

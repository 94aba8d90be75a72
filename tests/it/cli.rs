//! The binary, run as a person or a script runs it.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::{WeftProcess, weft};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/demo/mesh.yaml");

/// How a command ended.
#[derive(Debug)]
struct Outcome {
    code: i32,
    out: String,
    err: String,
}

fn finish(command: &mut Command) -> Outcome {
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run(arguments: &[&str]) -> Outcome {
    finish(weft().args(arguments))
}

fn run_with_input(arguments: &[&str], input: &str) -> Outcome {
    let mut child = weft()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// `weft init` in a new folder below `dir`: the path of its mesh.yaml, and the password.
fn init(dir: &Path) -> (PathBuf, String) {
    let mesh = dir.join("mesh");
    let outcome = run(&["init", mesh.to_str().unwrap()]);
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
    let password = outcome
        .out
        .lines()
        .find_map(|line| line.trim().strip_prefix("password"))
        .and_then(|rest| rest.split_whitespace().next())
        .unwrap()
        .to_owned();
    (mesh.join("mesh.yaml"), password)
}

fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(file, text.replace(from, to)).unwrap();
}

/// A running server, and questions to it.
struct Server(WeftProcess);

impl Server {
    fn start(mesh: &Path) -> Self {
        Self(WeftProcess::start(mesh))
    }

    fn command(&self, user: &str, password: &str) -> Command {
        let mut command = weft();
        command
            .args([
                "query",
                "--url",
                &self.0.url(),
                "--user",
                user,
                "--password-env",
                "PW",
            ])
            .env("PW", password);
        command
    }

    fn query(&self, user: &str, arguments: &[&str]) -> Outcome {
        finish(self.command(user, &format!("{user}-demo")).args(arguments))
    }

    /// Sends a signal and returns the exit code.
    fn stop(mut self, signal: &str) -> Option<i32> {
        self.0.stop(signal)
    }
}

/// `weft check mesh.yaml | head -0` in a script must not pass a mesh with faults.
#[test]
fn check_fails_even_if_nobody_reads_the_faults() {
    let folder = tempfile::tempdir().unwrap();
    let mesh = folder.path().join("mesh.yaml");
    fs::write(&mesh, "apiVersion: weft/v1\nkind: Mesh\n").unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let status = weft()
        .args(["check", mesh.to_str().unwrap()])
        .stdout(writer)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(1));
}

#[test]
fn help_teaches_by_example() {
    let top = run(&["--help"]);
    assert!(top.out.contains("First steps:"));
    for command in [
        "serve",
        "check",
        "query",
        "init",
        "hash-password",
        "token",
        "demo",
    ] {
        assert!(
            top.out.contains(&format!("\n  {command} ")),
            "{command} is not listed"
        );
        let help = run(&[command, "--help"]);
        assert!(
            help.out.contains("Examples:\n  "),
            "{command}: {}",
            help.out
        );
    }
    assert!(run(&["query", "--help"]).out.contains("Exit codes:"));
}

#[test]
fn check_counts_what_is_good() {
    let outcome = run(&["check", DEMO]);
    assert_eq!(
        outcome.out,
        "acme: 4 domains, 7 tables, 18 grants: no faults\n"
    );
    assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
}

#[test]
fn check_prints_every_fault_and_a_summary() {
    let dir = tempfile::tempdir().unwrap();
    let (mesh, _) = init(dir.path());
    replace(
        &mesh.with_file_name("domains/shop/grants.yaml"),
        "on: orders",
        "om: orders",
    );
    replace(
        &mesh.with_file_name("domains/support/grants.yaml"),
        ", topic]",
        ", topics]",
    );

    let outcome = run(&["check", mesh.to_str().unwrap()]);
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (1, ""),
        "{}",
        outcome.out
    );
    let shop = outcome.out.find("shop/grants.yaml:").unwrap();
    let support = outcome.out.find("support/grants.yaml:").unwrap();
    assert!(shop < support, "in the order of the files: {}", outcome.out);
    assert!(
        outcome.out.contains("error[unknown-key]"),
        "{}",
        outcome.out
    );
    assert!(outcome.out.contains("`topics`"), "{}", outcome.out);
    assert!(
        outcome.out.ends_with("errors in 7 files\n"),
        "{}",
        outcome.out
    );
}

#[test]
fn check_of_a_missing_file_says_so() {
    let outcome = run(&["check", "/nonexistent/mesh.yaml"]);
    assert_eq!(outcome.code, 1);
    assert!(
        outcome.out.contains("/nonexistent/mesh.yaml"),
        "{outcome:?}"
    );
}

#[test]
fn init_writes_a_mesh_that_serves() {
    let dir = tempfile::tempdir().unwrap();
    let (mesh, password) = init(dir.path());
    let checked = run(&["check", mesh.to_str().unwrap()]);
    assert_eq!(
        checked.out,
        "mesh: 2 domains, 2 tables, 2 grants: no faults\n"
    );

    let server = Server::start(&mesh);
    let sql = "SELECT o.item, t.topic FROM shop.orders o JOIN support.tickets t ON t.order_id = o.order_id ORDER BY 1";
    let answer = finish(
        server
            .command("you", &password)
            .args(["--format", "csv", sql]),
    );
    assert_eq!(
        answer.out, "item,topic\nTeapot,damage\nTray,invoice\n",
        "{}",
        answer.err
    );
    assert_eq!(server.stop("-TERM"), Some(0));
}

#[test]
fn init_leaves_a_folder_with_files_alone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("mine"), "mine").unwrap();
    let outcome = run(&["init", dir.path().to_str().unwrap()]);
    assert_eq!(outcome.code, 2);
    assert!(outcome.err.ends_with("is not empty\n"), "{}", outcome.err);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn hash_password_reads_a_line() {
    let outcome = run_with_input(&["hash-password"], "correct horse\n");
    assert_eq!(outcome.code, 0);
    assert!(
        outcome.out.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
        "{}",
        outcome.out
    );
    assert_eq!(run_with_input(&["hash-password"], "\n").code, 2);
}

#[test]
fn the_demo_answers_three_people() {
    let outcome = run(&["demo", "--once"]);
    assert_eq!(
        (outcome.code, outcome.err.as_str()),
        (0, ""),
        "{}",
        outcome.out
    );
    for person in ["ana", "ben", "carla"] {
        assert!(
            outcome.out.contains(&format!("━━ {person}, who ")),
            "{}",
            outcome.out
        );
    }
    assert_eq!(
        outcome.out.matches("(6 rows)").count(),
        3,
        "{}",
        outcome.out
    );
    assert!(
        outcome.out.contains("T**********"),
        "ana sees a pseudonym: {}",
        outcome.out
    );
    assert!(
        outcome.out.contains("Tess Moreau"),
        "ben sees a name: {}",
        outcome.out
    );
    assert!(
        outcome.out.contains(
            "grant own-region: every column\n      only rows where region = session.attr('region')"
        ),
        "{}",
        outcome.out
    );
}

#[test]
fn serve_refuses_what_it_should_not_do() {
    let open = run(&["serve", "--mesh", DEMO, "--listen", "0.0.0.0:0"]);
    assert_eq!(open.code, 2);
    assert!(
        open.err.contains("--tls-cert") && open.err.contains("--insecure"),
        "{}",
        open.err
    );

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let outcome = run(&["serve", "--mesh", DEMO, "--listen", &address]);
    assert_eq!((outcome.code, outcome.out.as_str()), (1, ""));
    assert!(
        outcome.err.contains(&address) && outcome.err.contains("in use"),
        "{}",
        outcome.err
    );

    let missing = run(&[
        "serve",
        "--mesh",
        "/nonexistent/mesh.yaml",
        "--listen",
        "127.0.0.1:0",
    ]);
    assert_eq!((missing.code, missing.out.as_str()), (1, ""));
    assert!(
        missing.err.contains("/nonexistent/mesh.yaml"),
        "{}",
        missing.err
    );
}

#[test]
fn serve_takes_what_statements_may_take() {
    let serve = |flags: &[&str]| {
        let (begin, listen) = (["serve", "--mesh", DEMO], ["--listen", "127.0.0.1:0"]);
        run(&[&begin[..], &listen[..], flags].concat())
    };
    let cases: [(&[&str], &str); 8] = [
        (&["--statements", "0"], "--statements"),
        (&["--block-cache-size", "1GiB"], "--block-cache <FOLDER>"),
        (
            &["--block-cache", "x", "--block-cache-size", "64MiB"],
            "`--block-cache-size` is 64MiB, and a cache needs at least 128MiB",
        ),
        (&["--queue-timeout", "30"], "needs a unit"),
        (&["--statement-timeout", "0s"], "out of range"),
        (
            &["--memory-limit", "64"],
            "`64` is not a size such as `512KiB`, `64MiB` or `1GiB`",
        ),
        (&["--query-memory-limit", "0MiB"], "is not a size"),
        (
            &["--memory-limit", "1GiB", "--query-memory-limit", "2GiB"],
            "`--query-memory-limit` is 2GiB, more than the 1GiB of `--memory-limit`",
        ),
    ];
    for (flags, text) in cases {
        let outcome = serve(flags);
        assert_eq!((outcome.code, outcome.out.as_str()), (2, ""), "{flags:?}");
        assert!(outcome.err.contains(text), "{flags:?}: {}", outcome.err);
    }

    let outcome = serve(&["--block-cache", DEMO]);
    assert_eq!((outcome.code, outcome.out.as_str()), (1, ""));
    let why = format!("the block cache cannot be kept in `{DEMO}`: ");
    assert!(outcome.err.contains(&why), "{}", outcome.err);

    let folder = tempfile::tempdir().unwrap();
    let blocks = folder.path().join("blocks");
    let blocks = blocks.to_str().unwrap();
    let flags = [
        "--block-cache",
        blocks,
        "--block-cache-size",
        "128MiB",
        "--statements",
        "2",
        "--waiting-statements",
        "0",
        "--queue-timeout",
        "1s",
        "--statement-timeout",
        "1s",
        "--memory-limit",
        "256MiB",
        "--query-memory-limit",
        "32MiB",
    ];
    let server = Server(WeftProcess::start_with(Path::new(DEMO), &flags, &[]));
    let long = "SELECT sum(a.value * b.value) FROM generate_series(1, 1000000) a, generate_series(1, 1000000) b";
    let outcome = server.query("ana", &[long]);
    assert_eq!(outcome.code, 6, "{}", outcome.err);
    assert!(outcome.err.contains("stopped after 1 s"), "{}", outcome.err);
    let large = "SELECT array_length(array_agg(value)) FROM generate_series(1, 10000000)";
    let outcome = server.query("ana", &[large]);
    assert_eq!(outcome.code, 6, "{}", outcome.err);
}

#[test]
fn query_writes_what_is_asked_for() {
    let server = Server::start(Path::new(DEMO));
    let sql = "SELECT person_id, name, manager FROM hr.people WHERE login IN ('carla', 'dora') ORDER BY 1";
    let as_format = |format: &str| server.query("dora", &["--format", format, sql]);

    let table = as_format("table");
    assert_eq!((table.code, table.err.as_str()), (0, ""));
    assert_eq!(
        table.out,
        concat!(
            " person_id  name         manager\n",
            " ─────────  ───────────  ───────\n",
            "        71  Carla Costa  NULL\n",
            "        74  Dora Dvorak  carla\n",
            "(2 rows)\n",
        )
    );
    assert_eq!(
        as_format("csv").out,
        "person_id,name,manager\n71,Carla Costa,\n74,Dora Dvorak,carla\n"
    );
    assert_eq!(
        as_format("json").out,
        concat!(
            "{\"person_id\":71,\"name\":\"Carla Costa\",\"manager\":null}\n",
            "{\"person_id\":74,\"name\":\"Dora Dvorak\",\"manager\":\"carla\"}\n",
        )
    );
    let arrow = server
        .command("dora", "dora-demo")
        .args(["--format", "arrow", sql])
        .output()
        .unwrap();
    let rows: usize = arrow::ipc::reader::StreamReader::try_new(arrow.stdout.as_slice(), None)
        .unwrap()
        .map(|batch| batch.unwrap().num_rows())
        .sum();
    assert_eq!(rows, 2);

    let none = server.query(
        "dora",
        &[
            "--format",
            "csv",
            "SELECT login, skills FROM hr.people WHERE false",
        ],
    );
    assert_eq!(none.out, "login,skills\n");
    let nested = "SELECT login, skills FROM hr.people WHERE login = 'ana'";
    let nested = server.query("dora", &["--format", "csv", nested]);
    assert_eq!(
        nested.out,
        "login,skills\nana,\"[english, excel, french]\"\n"
    );

    let unqualified = [
        "--schema",
        "logistics",
        "--format",
        "csv",
        "SELECT count(*) AS n FROM carriers",
    ];
    assert_eq!(server.query("ana", &unqualified).out, "n\n4\n");
}

#[test]
fn query_ends_with_a_code_for_scripts() {
    let server = Server::start(Path::new(DEMO));
    let code = |user: &str, sql: &str| {
        let outcome = server.query(user, &[sql]);
        assert_eq!(outcome.out, "", "{sql}");
        assert!(outcome.err.starts_with("weft: "), "{}", outcome.err);
        assert!(!outcome.err.contains("Status"), "{}", outcome.err);
        outcome.code
    };
    assert_eq!(code("ana", "SELEC 1"), 1);
    assert_eq!(code("ana", "SELECT nothing FROM sales.orders"), 1);
    assert_eq!(code("dora", "SELECT * FROM sales.orders"), 5);
    assert_eq!(code("ana", "DROP TABLE sales.orders"), 5);
    assert_eq!(code("nobody", "SELECT 1"), 4);

    assert_eq!(run(&["query", "SELECT 1"]).code, 2, "nobody asks");
    let unset = run(&[
        "query",
        "--user",
        "ana",
        "--password-env",
        "WEFT_NO_SUCH",
        "SELECT 1",
    ]);
    assert_eq!(unset.code, 2);
    assert!(unset.err.contains("WEFT_NO_SUCH"), "{}", unset.err);
    let argument = run(&[
        "query",
        "--user",
        "ana",
        "--password",
        "ana-demo",
        "SELECT 1",
    ]);
    assert_eq!(argument.code, 2, "a password is never an argument");

    let url = server.0.url();
    assert_eq!(server.stop("-INT"), Some(0));
    let gone = finish(
        weft()
            .args([
                "query",
                "--url",
                &url,
                "--user",
                "ana",
                "--password-env",
                "PW",
                "SELECT 1",
            ])
            .env("PW", "ana-demo"),
    );
    assert_eq!(gone.code, 3);
    assert!(gone.err.contains(&url), "{}", gone.err);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let server = Server::start(Path::new(DEMO));
    let mut child = server
        .command("carla", "carla-demo")
        .args([
            "--format",
            "csv",
            "SELECT a.* FROM sales.orders a CROSS JOIN sales.products",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = [0; 8];
    child.stdout.take().unwrap().read_exact(&mut first).unwrap();
    assert_eq!(&first, b"order_id");
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

//! Documents that are executed: every command with its output, in `docs/*.md`.
//!
//! Each document with a `console` block runs in a folder of its own that begins
//! as a copy of the demo mesh. Its blocks are taken in order:
//!
//! - `` ```console ``: each line that begins with `$ ` is run by `sh`; the lines
//!   after it are what it prints, both outputs together. `…` in a line stands
//!   for any text, alone on a line for any lines. `export` lasts.
//! - `` ```yaml file=PATH `` (any language): the file is written.
//! - `` ```yaml append=PATH ``: the text is put behind it.
//! - `` ```console serve ``: `$ weft serve …` is started on a free port, and ends
//!   with the document or with the next such block; clients find it by `WEFT_URL`.
//!
//! `WEFT_DOCS=update` writes what was printed into the documents.

mod page;
// Of an application, not of weft.
#[allow(dead_code, clippy::print_stdout, reason = "it is a program of its own")]
mod rust_client;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use self::page::{Block, Page, matches};
use crate::support::{WeftProcess, copy_folder};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

#[test]
fn documents_say_what_is_printed() {
    let update = std::env::var("WEFT_DOCS").is_ok_and(|it| it == "update");
    let mut failures = Vec::new();
    let mut files: Vec<PathBuf> = fs::read_dir(Path::new(ROOT).join("docs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|it| it == "md"))
        .collect();
    files.sort();
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let mut page = Page::read(&text);
        if !page.is_executed() {
            continue;
        }
        let wrong = Place::new().execute(&mut page);
        if wrong.is_empty() {
            continue;
        }
        if update {
            fs::write(&file, page.text()).unwrap();
        }
        failures.push(format!("{}:\n{}", file.display(), wrong.join("\n")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[tokio::test]
async fn the_program_for_rust_is_that_of_its_page_and_runs() {
    let page = include_str!("../../../docs/clients/rust.md");
    let program = include_str!("rust_client.rs");
    assert!(page.contains(&format!("```rust not-run\n{program}```\n")));
    let weft = WeftProcess::start(&Path::new(ROOT).join("testdata/demo/mesh.yaml"));
    let address = format!("http://{}", weft.address);
    rust_client::weft(&address).await.unwrap();
}

/// Where one document happens.
struct Place {
    folder: TempDir,
    programs: TempDir,
    exports: Vec<String>,
    server: Option<Server>,
}

struct Server {
    child: Child,
    url: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Place {
    fn new() -> Self {
        let (folder, programs) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        copy_folder(&Path::new(ROOT).join("testdata/demo"), folder.path());
        let weft = programs.path().join("weft");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_weft"), weft).unwrap();
        Self {
            folder,
            programs,
            exports: Vec::new(),
            server: None,
        }
    }

    /// What is not as the document says; the page is put right.
    fn execute(mut self, page: &mut Page) -> Vec<String> {
        let mut wrong = Vec::new();
        for block in page.blocks() {
            match block {
                Block::Write { path, text } => self.write(path, text),
                Block::Append { path, text } => {
                    let path = self.folder.path().join(path);
                    let before = fs::read_to_string(&path).unwrap();
                    fs::write(&path, before + text).unwrap();
                }
                Block::Serve { command } => self.serve(command),
                Block::Console { runs } => {
                    for run in runs {
                        let found = self.run(&run.command);
                        if !matches(&run.output, &found) {
                            wrong.push(format!(
                                "$ {}\nshould print:\n{}\nprints:\n{}",
                                run.command,
                                run.output.join("\n"),
                                found.join("\n")
                            ));
                            run.output = found;
                        }
                    }
                }
            }
        }
        wrong
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn shell(&self, command: &str) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut shell = Command::new("sh");
        let script = format!("{}\n{command}", self.exports.join("\n"));
        shell
            .args(["-c", &script])
            .current_dir(self.folder.path())
            .env("PATH", format!("{}:{path}", self.programs.path().display()))
            .env_remove("WEFT_LOG")
            .env_remove("WEFT_URL")
            .stdin(Stdio::null());
        if let Some(server) = &self.server {
            shell.env("WEFT_URL", &server.url);
        }
        shell
    }

    fn run(&mut self, command: &str) -> Vec<String> {
        if command.starts_with("export ") {
            self.exports.push(command.to_owned());
            return Vec::new();
        }
        let output = self.shell(&format!("{{ {command}\n}} 2>&1")).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        text.lines()
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    /// Starts a server and waits until it answers.
    fn serve(&mut self, command: &str) {
        self.server = None;
        let mut child = self
            .shell(&format!("exec {command} --listen 127.0.0.1:0"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let out = child.stdout.as_mut().unwrap();
        BufReader::new(out).read_line(&mut line).unwrap();
        let url = line.trim_end().strip_prefix("weft is ready on ");
        let url = url
            .unwrap_or_else(|| panic!("{command}: {line}"))
            .to_owned();
        self.server = Some(Server { child, url });
    }
}

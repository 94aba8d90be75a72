//! `weft access` and `weft check --strict`: who sees what, from the files of a mesh.

mod diff;
mod explain;
mod lint;
mod over_the_wire;
mod scale;
mod test;

use std::process::{Command, Stdio};

/// How a command ended.
#[derive(Debug)]
struct Outcome {
    code: i32,
    out: String,
    err: String,
}

fn weft(arguments: &[&str]) -> Outcome {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command
        .args(arguments)
        .env_remove("WEFT_URL")
        .env_remove("WEFT_LOG")
        .stdin(Stdio::null());
    let output = command.output().unwrap();
    Outcome {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

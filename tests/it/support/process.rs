//! A server in a process of its own, on a free port.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// The binary, without what this process has in its environment for it.
pub(crate) fn weft() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weft"));
    command
        .env_remove("WEFT_URL")
        .env_remove("WEFT_LOG")
        .stdin(Stdio::null());
    command
}

/// A running `weft serve`; it is killed when dropped.
#[derive(Debug)]
pub(crate) struct WeftProcess {
    child: Child,
    /// As `host:port`.
    pub(crate) address: String,
}

impl WeftProcess {
    pub(crate) fn start(mesh: &Path) -> Self {
        Self::start_with(mesh, &[], &[])
    }

    /// With more arguments of `weft serve`, and variables of its environment.
    pub(crate) fn start_with(mesh: &Path, more: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = weft()
            .args(["serve", "--listen", "127.0.0.1:0", "--mesh"])
            .arg(mesh)
            .args(more)
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let address = line.trim_end().strip_prefix("weft is ready on grpc://");
        let address = address.unwrap_or_else(|| panic!("it does not start: {line:?}"));
        let address = address.to_owned();
        Self { child, address }
    }

    /// As `weft query` takes it.
    pub(crate) fn url(&self) -> String {
        format!("grpc://{}", self.address)
    }

    /// Its resident memory; none where the system does not tell.
    pub(crate) fn memory_bytes(&self) -> Option<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).ok()?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// How many files and connections it has open; none where the system does not tell.
    pub(crate) fn open_files(&self) -> Option<usize> {
        let path = format!("/proc/{}/fd", self.child.id());
        Some(std::fs::read_dir(path).ok()?.count())
    }

    /// The hard way.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal, such as `-TERM`, and returns the exit code.
    pub(crate) fn stop(&mut self, signal: &str) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
        assert!(sent.success());
        self.child.wait().unwrap().code()
    }
}

impl Drop for WeftProcess {
    fn drop(&mut self) {
        // It has ended where the test went well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

//! A line on standard error while a person waits.

use std::future::Future;
use std::io::{self, IsTerminal as _, Write as _};
use std::pin::pin;
use std::time::{Duration, Instant};

/// Quick answers leave no trace.
const PATIENCE: Duration = Duration::from_millis(400);
const TICK: Duration = Duration::from_millis(200);
const CLEAR_LINE: &str = "\r\x1b[2K";

/// Shows how long and how far, while its futures are polled. Silent where standard error is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    since: Instant,
    rows: usize,
    visible: bool,
    /// Off where rows appear on the same terminal: they are progress enough.
    enabled: bool,
}

impl Progress {
    pub(crate) fn start() -> Self {
        Self {
            since: Instant::now(),
            rows: 0,
            visible: false,
            enabled: io::stderr().is_terminal(),
        }
    }

    pub(crate) fn add_rows(&mut self, rows: usize) {
        self.rows += rows;
    }

    /// Awaits `work`, with a line that counts the seconds until it is done.
    pub(crate) async fn during<F: Future>(&mut self, work: F) -> F::Output {
        if !self.enabled {
            return work.await;
        }
        let mut work = pin!(work);
        loop {
            tokio::select! {
                output = &mut work => return output,
                () = tokio::time::sleep(TICK) => self.draw(),
            }
        }
    }

    /// Takes the line away, before anything else is written.
    pub(crate) fn clear(&mut self) {
        if self.visible {
            write_raw(CLEAR_LINE);
            self.visible = false;
        }
    }

    fn draw(&mut self) {
        let waited = self.since.elapsed();
        if waited < PATIENCE {
            return;
        }
        let seconds = waited.as_secs_f32();
        match self.rows {
            0 => write_raw(&format!("{CLEAR_LINE}waiting … {seconds:.1} s")),
            rows => write_raw(&format!("{CLEAR_LINE}{rows} rows … {seconds:.1} s")),
        }
        self.visible = true;
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn write_raw(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes());
    let _ = stderr.flush();
}

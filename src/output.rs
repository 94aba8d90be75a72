//! Standard output and standard error, for a person or a pipe.
//!
//! Nothing here panics when the reader has gone: it becomes [`Error::OutputClosed`].

use std::fmt::Display;
use std::io::{self, Write as _};

use crate::error::{Error, Result};

/// One line on standard output, there at once even where it is a pipe.
pub(crate) fn line(text: impl Display) -> Result<()> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}")
        .and_then(|()| stdout.flush())
        .map_err(|cause| Error::io("write to standard output", &cause))
}

/// A note for the person at the terminal; nobody misses it if standard error is closed.
pub(crate) fn note(text: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

pub(crate) fn error(error: &Error) {
    note(format_args!("weft: {error}"));
}

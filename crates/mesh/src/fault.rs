//! What is wrong with a manifest, where, and what to do about it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// How bad a [`Fault`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The manifest does not take effect.
    Error,
    /// The manifest takes effect; its author should look again.
    Warning,
}

/// A place in a manifest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Span {
    /// The file, as the mesh was named when it was loaded.
    pub file: Arc<Path>,
    /// Counted from 1; 0 means the file as a whole.
    pub line: u32,
    /// In characters, counted from 1; 0 means the line or file as a whole.
    pub column: u32,
}

impl Span {
    /// The file as a whole.
    ///
    /// ```
    /// let span = weft_mesh::Span::of_file("mesh.yaml");
    /// assert_eq!(span.to_string(), "mesh.yaml");
    /// ```
    pub fn of_file(file: impl AsRef<Path>) -> Self {
        Self {
            file: Arc::from(file.as_ref()),
            line: 0,
            column: 0,
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        if self.line > 0 {
            write!(f, ":{}:{}", self.line, self.column)?;
        }
        Ok(())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A value and the place that it was read from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spanned<T> {
    pub value: T,
    pub span: Span,
}

impl<T> Spanned<T> {
    /// Ties a value to its place.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// One thing that is wrong with a manifest. `Display` is what a person reads:
/// place, rule, message, the source line with a caret, and what to do.
///
/// ```
/// use weft_mesh::{Fault, Span};
///
/// let fault = Fault::error(Span::of_file("mesh.yaml"), "missing-file", "there is no such file")
///     .with_help("create it, or name another");
/// assert_eq!(
///     fault.to_string(),
///     "mesh.yaml: error[missing-file]: there is no such file\n  = help: create it, or name another"
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub severity: Severity,
    pub span: Span,
    /// The rule that is broken, in kebab-case; stable, so that scripts may match it.
    pub rule: &'static str,
    /// What is wrong. Holds no secret.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    pub(crate) snippet: Option<Snippet>,
}

/// The line of a manifest that a fault points at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Snippet {
    /// The line's text.
    Line(String),
    /// The line may hold a secret and is not shown.
    Redacted,
}

impl Fault {
    /// A fault that keeps its manifest out of force.
    pub fn error(span: Span, rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, span, rule, message.into())
    }

    /// A fault that only wants attention.
    pub fn warning(span: Span, rule: &'static str, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, span, rule, message.into())
    }

    /// The same fault, saying what to do about it.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Whether this fault keeps its manifest out of force.
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    fn new(severity: Severity, span: Span, rule: &'static str, message: String) -> Self {
        Self {
            severity,
            span,
            rule,
            message,
            help: None,
            snippet: None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(
            f,
            "{}: {severity}[{}]: {}",
            self.span, self.rule, self.message
        )?;
        if let Some(snippet) = &self.snippet {
            let number = self.span.line.to_string();
            let margin = " ".repeat(number.len());
            match snippet {
                Snippet::Line(line) => {
                    // Tabs stay tabs, so that the caret stands below its character.
                    let indent: String = line
                        .chars()
                        .take(self.span.column.saturating_sub(1) as usize)
                        .map(|c| if c == '\t' { '\t' } else { ' ' })
                        .collect();
                    write!(f, "\n{number} | {line}\n{margin} | {indent}^")?;
                }
                Snippet::Redacted => {
                    write!(f, "\n{number} | (not shown: this line may hold a secret)")?;
                }
            }
        }
        if let Some(help) = &self.help {
            write!(f, "\n  = help: {help}")?;
        }
        Ok(())
    }
}

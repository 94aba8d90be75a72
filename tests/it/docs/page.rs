//! A Markdown page as the blocks that are executed and the text between them.

pub(super) struct Page {
    parts: Vec<Part>,
}

enum Part {
    Text(String),
    Block(Fence, Block),
}

/// The lines that open and close a block.
struct Fence {
    open: String,
    close: String,
}

pub(super) enum Block {
    Write { path: String, text: String },
    Append { path: String, text: String },
    Serve { command: String },
    Console { runs: Vec<Run> },
}

/// A command and what it prints.
pub(super) struct Run {
    pub(super) command: String,
    pub(super) output: Vec<String>,
}

impl Page {
    pub(super) fn read(text: &str) -> Self {
        let mut parts = Vec::new();
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            let Some(info) = line.strip_prefix("```") else {
                parts.push(Part::Text(format!("{line}\n")));
                continue;
            };
            let body: Vec<&str> = lines.by_ref().take_while(|it| *it != "```").collect();
            let fence = Fence {
                open: line.to_owned(),
                close: "```".to_owned(),
            };
            parts.push(match Block::read(info, &body) {
                Some(block) => Part::Block(fence, block),
                None => Part::Text(format!("{line}\n{}```\n", joined(&body))),
            });
        }
        Self { parts }
    }

    /// Whether there is a command in it.
    pub(super) fn is_executed(&self) -> bool {
        let mut parts = self.parts.iter();
        parts.any(|part| matches!(part, Part::Block(_, Block::Console { .. })))
    }

    pub(super) fn blocks(&mut self) -> impl Iterator<Item = &mut Block> {
        self.parts.iter_mut().filter_map(|part| match part {
            Part::Block(_, block) => Some(block),
            Part::Text(_) => None,
        })
    }

    pub(super) fn text(&self) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Block(fence, block) => {
                format!("{}\n{}{}\n", fence.open, block.text(), fence.close)
            }
        };
        self.parts.iter().map(part).collect()
    }
}

impl Block {
    fn read(info: &str, body: &[&str]) -> Option<Self> {
        let words: Vec<&str> = info.split_whitespace().collect();
        let value = |key: &str| words.iter().find_map(|word| word.strip_prefix(key));
        if let Some(path) = value("file=") {
            let (path, text) = (path.to_owned(), joined(body));
            return Some(Self::Write { path, text });
        }
        if let Some(path) = value("append=") {
            let (path, text) = (path.to_owned(), joined(body));
            return Some(Self::Append { path, text });
        }
        match words.as_slice() {
            ["console", "serve"] => {
                let command = body.first()?.strip_prefix("$ ")?.to_owned();
                Some(Self::Serve { command })
            }
            ["console"] => Some(Self::Console { runs: runs(body) }),
            _ => None,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Write { text, .. } | Self::Append { text, .. } => text.clone(),
            Self::Serve { command } => format!("$ {command}\n"),
            Self::Console { runs } => runs
                .iter()
                .map(|run| format!("$ {}\n{}", run.command, joined(&run.output)))
                .collect(),
        }
    }
}

fn runs(body: &[&str]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for line in body {
        match (line.strip_prefix("$ "), runs.last_mut()) {
            (Some(command), _) => runs.push(Run {
                command: command.to_owned(),
                output: Vec::new(),
            }),
            (None, Some(run)) => run.output.push((*line).to_owned()),
            (None, None) => panic!("`{line}` comes before any command"),
        }
    }
    runs
}

fn joined(lines: &[impl AsRef<str>]) -> String {
    lines
        .iter()
        .map(|line| format!("{}\n", line.as_ref()))
        .collect()
}

/// Whether a command printed what is written.
pub(super) fn matches(written: &[String], printed: &[String]) -> bool {
    match (written.split_first(), printed.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first.trim() == "…" => {
            (0..=printed.len()).any(|skipped| matches(rest, &printed[skipped..]))
        }
        (Some((line, rest)), Some((found, others))) => {
            line_matches(line, found) && matches(rest, others)
        }
        _ => false,
    }
}

fn line_matches(written: &str, printed: &str) -> bool {
    let mut parts = written.trim_end().split('…');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = printed.strip_prefix(first) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in between {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = &rest[at + part.len()..];
    }
    rest.len() >= last.len() && rest.ends_with(last)
}

#[test]
fn dots_stand_for_anything() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let written = lines("took … ms\n…\nend");
    assert!(matches(&written, &lines("took 12 ms\na\nb\nend")));
    assert!(matches(&written, &lines("took 12 ms\nend")));
    assert!(!matches(&written, &lines("took 12 s\nend")));
    assert!(!matches(&written, &lines("took 12 ms\nend\nmore")));
    assert!(!matches(&written, &lines("")));
}

#[test]
fn a_page_is_read_and_written_alike() {
    let text = "# T\n\n```console\n$ a\nb\n$ c\n```\n\n```yaml file=x/y.yaml\na: 1\n```\n\n```sh\nleft\n```\n";
    let mut page = Page::read(text);
    assert_eq!(page.text(), text);
    assert_eq!(page.blocks().count(), 2);
}

//! `weft access diff`: who gains and who loses what, before it is merged.

mod count;
mod json;
mod markdown;
mod text;
mod words;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use chrono::{DateTime, Utc};
use clap::{Args, ValueEnum};
use weft_policy::diff::{Direction, MeshState, compare};

use self::count::Counts;
use crate::error::{Error, Result};
use crate::offline::OfflineMesh;
use crate::output;

const EXAMPLES: &str = "\
Examples:
  git worktree add /tmp/main main
  weft access diff /tmp/main/mesh.yaml mesh.yaml
  weft access diff --fail-on gain --format markdown /tmp/main/mesh.yaml mesh.yaml > comment.md
  weft access diff --data --format json old/mesh.yaml new/mesh.yaml

Everybody is compared whom either mesh knows or names, a member of each group alone whatever
their name and attributes, and anybody in no group; for no purpose, for each that is named,
and for any other; now, and from each later moment at which a grant begins or ends.
What is not proved to be the same or less is a gain, and likewise a loss: no gain is missed.

Exit codes:
  0  compared, and nothing happens that --fail-on names
  1  a mesh has faults, or cannot be read
  2  the command line is wrong
  3  somebody gains, or loses, or anything is otherwise: what --fail-on names";

/// The code of a comparison that --fail-on asked to fail.
const FAILED_ON: u8 = 3;

/// Who gains or loses access between two states of a mesh
///
/// Principal by principal and group by group: which tables, columns and rows are seen that were
/// not, or no longer; which masks change; who may act for whom, answers for which domain, and reads
/// which tables together.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct DiffArgs {
    /// The mesh's file as it was
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The mesh's file as it is to be
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Fail where somebody gains, or loses, or anything at all is otherwise
    #[arg(long, value_enum, value_name = "WHAT")]
    fail_on: Option<FailOn>,
    /// How to write it
    #[arg(long, value_enum, default_value_t = DiffFormat::Text)]
    format: DiffFormat,
    /// Count the rows that are seen before and after, in the data of NEW that lies in local folders
    #[arg(long)]
    data: bool,
    /// Compare as of this moment instead of now, like 2027-01-01T00:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum FailOn {
    Gain,
    Loss,
    Any,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum DiffFormat {
    /// For people
    Text,
    /// For tools
    Json,
    /// For a pull request
    Markdown,
}

pub(crate) async fn run(args: DiffArgs) -> Result<ExitCode> {
    let old = Loaded::load(&args.old)?;
    let new = Loaded::load(&args.new)?;
    let now = args.at.unwrap_or_else(Utc::now);
    let diff = compare(&old.state(), &new.state(), now);
    let counts = if args.data {
        Counts::of(&diff, old.offline.policy, &new.offline.domains, &args.new).await?
    } else {
        Counts::default()
    };
    let Direction { gain, loss } = diff.direction();
    let fails = match args.fail_on {
        None => false,
        Some(FailOn::Gain) => gain,
        Some(FailOn::Loss) => loss,
        Some(FailOn::Any) => !diff.is_empty(),
    };
    let text = match args.format {
        DiffFormat::Text => text::text(&diff, &counts),
        DiffFormat::Json => json::text(&diff, &counts)?,
        DiffFormat::Markdown => markdown::text(&diff, &counts),
    };
    // A reader that leaves early does not make a change harmless.
    match output::line(text.trim_end()) {
        Ok(()) | Err(Error::OutputClosed) => {}
        Err(other) => return Err(other),
    }
    Ok(if fails {
        ExitCode::from(FAILED_ON)
    } else {
        ExitCode::SUCCESS
    })
}

/// A mesh, and where it is.
struct Loaded {
    offline: OfflineMesh,
    folder: PathBuf,
}

impl Loaded {
    fn load(file: &Path) -> Result<Self> {
        let offline = OfflineMesh::load(file)?;
        let folder = match file.parent() {
            Some(folder) if folder != Path::new("") => folder,
            Some(_) | None => Path::new("."),
        };
        let folder =
            fs::canonicalize(folder).map_err(|cause| Error::file("find", folder, &cause))?;
        Ok(Self { offline, folder })
    }

    fn state(&self) -> MeshState<'_> {
        MeshState {
            mesh: &self.offline.mesh,
            folder: &self.folder,
            domains: &self.offline.domains,
            policy: &self.offline.policy,
        }
    }
}

//! `weft init`: a small mesh to begin with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rand::Rng as _;
use rand::distr::Alphanumeric;

use super::hash_password;
use crate::error::{Error, Result};
use crate::output;

const PASSWORD_LENGTH: usize = 20;
const HASH_PLACEHOLDER: &str = "{password-hash}";

const EXAMPLES: &str = "\
Examples:
  weft init my-mesh
  weft check my-mesh/mesh.yaml
  weft serve --mesh my-mesh/mesh.yaml";

/// Where a file goes, and what is in it.
macro_rules! template {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_str!(concat!("init_template/", $path)))),+]
    };
}

const TEMPLATE: &[(&str, &str)] = template![
    "mesh.yaml",
    "domains/shop/domain.yaml",
    "domains/shop/grants.yaml",
    "domains/shop/products/orders.odcs.yaml",
    "domains/shop/data/orders.csv",
    "domains/support/domain.yaml",
    "domains/support/grants.yaml",
    "domains/support/products/tickets.odcs.yaml",
    "domains/support/data/tickets.ndjson",
];

/// Write a small mesh to begin with
///
/// Two domains with a table each, a user, and grants to read and change. It passes `weft check` and
/// can be served as it is.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct InitArgs {
    /// A folder that is empty or does not exist yet
    dir: PathBuf,
}

pub(crate) fn run(args: &InitArgs) -> Result<ExitCode> {
    let dir = &args.dir;
    refuse_non_empty(dir)?;
    let password = generate_password();
    let hash = hash_password::hash(&password)?;
    for (path, text) in TEMPLATE {
        write(&dir.join(path), &text.replace(HASH_PLACEHOLDER, &hash))?;
    }
    output::line(next_steps(dir, &password))?;
    Ok(ExitCode::SUCCESS)
}

fn refuse_non_empty(dir: &Path) -> Result<()> {
    match fs::read_dir(dir) {
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) => Err(Error::Usage(format!("`{}` is not empty", dir.display()))),
        },
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(cause) => Err(Error::file("read", dir, &cause)),
    }
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(|cause| Error::file("create", parent, &cause))?;
    }
    fs::write(path, text).map_err(|cause| Error::file("write", path, &cause))
}

fn generate_password() -> String {
    rand::rng()
        .sample_iter(Alphanumeric)
        .take(PASSWORD_LENGTH)
        .map(char::from)
        .collect()
}

fn next_steps(dir: &Path, password: &str) -> String {
    let mesh = dir.join("mesh.yaml");
    let mesh = mesh.display();
    format!(
        "\
A mesh of two domains is in {}.

  user      you
  password  {password}     (shown once; mesh.yaml keeps only its hash)

Next:
  weft check {mesh}
  weft serve --mesh {mesh}
  weft query --user you \"SELECT o.item, t.topic FROM shop.orders o JOIN support.tickets t ON t.order_id = o.order_id\"

Then read domains/shop/grants.yaml, and change who sees what: a running server loads it by itself.",
        dir.display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_file_takes_the_hash() {
        let takers: Vec<_> = TEMPLATE
            .iter()
            .filter(|(_, text)| text.contains(HASH_PLACEHOLDER))
            .collect();
        assert_eq!(takers.len(), 1);
        assert_eq!(takers[0].0, "mesh.yaml");
    }

    #[test]
    fn passwords_are_long_and_differ() {
        assert_eq!(generate_password().len(), PASSWORD_LENGTH);
        assert_ne!(generate_password(), generate_password());
    }
}

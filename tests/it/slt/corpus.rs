//! DataFusion's own SQL test files, from the package that it publishes them in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use sha2::{Digest, Sha256};

/// Of the release that weft is built on; `Cargo.lock` says the same number.
const VERSION: &str = "55.2.0";
/// What crates.io's index says of the package.
const SHA256: &str = "b270cea4d8c2b2c42773e60164204386fb97d7936736e5f126ac751b86d7dabe";

/// The folder `test_files`, or which tool this machine lacks to get it.
///
/// # Panics
/// When the package cannot be fetched, and when it is not the one that is expected.
pub(super) fn files() -> Result<PathBuf, String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let name = format!("datafusion-sqllogictest-{VERSION}");
    let folder = target.join("slt");
    let unpacked = folder.join(&name);
    let files = unpacked.join("test_files");
    if unpacked.join(".ok").exists() {
        return Ok(files);
    }
    fs::create_dir_all(&folder).unwrap();
    let package = folder.join(format!("{name}.crate"));
    let url = format!("https://static.crates.io/crates/datafusion-sqllogictest/{name}.crate");
    run(Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--fail",
            "--location",
            "--retry",
            "3",
        ])
        .arg("--output")
        .arg(&package)
        .arg(&url))?;
    let digest = Sha256::digest(fs::read(&package).unwrap());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(digest, SHA256, "{url} is not the package that is expected");
    run(Command::new("tar")
        .arg("-xzf")
        .arg(&package)
        .arg("-C")
        .arg(&folder))?;
    fs::write(unpacked.join(".ok"), "").unwrap();
    Ok(files)
}

fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|error| format!("`{name}` does not start: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    panic!(
        "`{name}` fails: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

//! `weft hash-password`: what an identity file holds instead of a password.

use std::io::{self, BufRead as _, IsTerminal as _};
use std::process::ExitCode;

use argon2::password_hash::{PasswordHasher as _, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use clap::Args;
use rand::RngCore as _;

use crate::error::{Error, Result};
use crate::output;

// OWASP's recommendation for Argon2id.
const MEMORY_KIB: u32 = 19 * 1024;
const ITERATIONS: u32 = 2;
const LANES: u32 = 1;

const EXAMPLES: &str = "\
Examples:
  weft hash-password                       asks for the password, twice
  pwgen 24 1 | tee pw | weft hash-password  takes it from standard input, one line

The output is the value of `password` in mesh.yaml. Put it in double quotes.";

/// Hash a password for mesh.yaml
///
/// Prints an Argon2id hash (a PHC string). The password itself is never an argument: those are
/// seen by every process and kept by the shell.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct HashPasswordArgs {}

pub(crate) fn run() -> Result<ExitCode> {
    let password = if io::stdin().is_terminal() {
        prompt_twice()?
    } else {
        read_line()?
    };
    if password.is_empty() {
        return Err(Error::Usage("the password is empty".to_owned()));
    }
    output::line(hash(&password)?)?;
    Ok(ExitCode::SUCCESS)
}

/// A PHC string with a fresh salt.
pub(crate) fn hash(password: &str) -> Result<String> {
    let failed =
        |cause: &dyn std::fmt::Display| Error::Failed(format!("cannot hash the password: {cause}"));
    let params =
        Params::new(MEMORY_KIB, ITERATIONS, LANES, None).map_err(|cause| failed(&cause))?;
    let mut salt = [0; 16];
    rand::rng().fill_bytes(&mut salt);
    let salt = SaltString::encode_b64(&salt).map_err(|cause| failed(&cause))?;
    let hash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password(password.as_bytes(), &salt)
        .map_err(|cause| failed(&cause))?;
    Ok(hash.to_string())
}

fn prompt_twice() -> Result<String> {
    let ask = |prompt: &str| {
        rpassword::prompt_password(prompt)
            .map_err(|cause| Error::io("ask for the password", &cause))
    };
    let password = ask("Password: ")?;
    if ask("Again: ")? != password {
        return Err(Error::Usage("the two passwords differ".to_owned()));
    }
    Ok(password)
}

fn read_line() -> Result<String> {
    let mut line = String::new();
    io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(|cause| Error::io("read the password", &cause))?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use argon2::password_hash::{PasswordHash, PasswordVerifier as _};

    use super::*;

    #[test]
    fn a_hash_verifies_and_is_salted() {
        let phc = hash("correct horse").unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{phc}");
        assert_ne!(phc, hash("correct horse").unwrap());
        let parsed = PasswordHash::new(&phc).unwrap();
        assert!(
            Argon2::default()
                .verify_password(b"correct horse", &parsed)
                .is_ok()
        );
        assert!(
            Argon2::default()
                .verify_password(b"wrong", &parsed)
                .is_err()
        );
    }
}

//! `weft token`: personal access tokens, made, listed and taken back.

use std::fs::Permissions;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use clap::{Args, Subcommand};
use rand::RngCore as _;
use sha2::{Digest as _, Sha256};
use weft_mesh::{AccessToken, Grantee, LoadReport, Mesh, TOKEN_PREFIX, is_token_id, is_unseen};

use crate::error::{Error, Result};
use crate::output;

const EXAMPLES: &str = "\
Examples:
  weft token create --mesh mesh.yaml --for user:ana --name laptop --expires 90d
  weft token list --mesh mesh.yaml
  weft token revoke --mesh mesh.yaml 3f9a2c1d

mesh.yaml says where they are kept, and a running server sees each change by itself:

  identity:
    tokens: tokens/

A token stands in place of a password, as `Bearer` token: `weft query --token-env TOKEN …`,
`token=` in a JDBC URL, `authorization_header` in ADBC. It lets in as its owner, with what they
may see at that moment. What is kept is a digest: whoever reads the files cannot log in with them.";

/// Make, list and take back personal access tokens
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TokenArgs {
    #[command(subcommand)]
    command: TokenCommand,
}

#[derive(Debug, Subcommand)]
enum TokenCommand {
    /// Make a token and print it, once
    Create(CreateArgs),
    /// List the tokens that there are
    List(ListArgs),
    /// Take a token back, by its id
    Revoke(RevokeArgs),
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The mesh's file
    #[arg(long, value_name = "FILE")]
    mesh: PathBuf,
    /// Whom it lets in as: a user of mesh.yaml
    #[arg(long = "for", value_name = "user:NAME")]
    user: String,
    /// What it is used in: `laptop`, `nightly report`
    #[arg(long, value_name = "TEXT")]
    name: String,
    /// For how long: `90d`, `12h`; at most 366 days
    #[arg(long, value_name = "DURATION", default_value = "90d", value_parser = parse_life)]
    expires: TimeDelta,
}

#[derive(Debug, Args)]
struct ListArgs {
    /// The mesh's file
    #[arg(long, value_name = "FILE")]
    mesh: PathBuf,
}

#[derive(Debug, Args)]
struct RevokeArgs {
    /// The mesh's file
    #[arg(long, value_name = "FILE")]
    mesh: PathBuf,
    /// The part of the token between the underscores
    #[arg(value_name = "ID")]
    id: String,
}

pub(crate) fn run(args: &TokenArgs) -> Result<ExitCode> {
    match &args.command {
        TokenCommand::Create(args) => create(args),
        TokenCommand::List(args) => list(&args.mesh),
        TokenCommand::Revoke(args) => revoke(args),
    }
}

fn create(args: &CreateArgs) -> Result<ExitCode> {
    let (mesh, folder, _) = load(&args.mesh)?;
    let Ok(Grantee::User(user)) = Grantee::parse(&args.user) else {
        let message = format!("`{}` is not a user: write `--for user:NAME`", args.user);
        return Err(Error::Usage(message));
    };
    let is_known = |it: &weft_mesh::IdentityUser| {
        it.name.value == user && matches!(it.credential, weft_mesh::IdentityCredential::Password(_))
    };
    if !mesh.identity.users.iter().any(is_known) {
        return Err(Error::Usage(format!(
            "`identity` in mesh.yaml has no user `{user}`: a token is for one of them"
        )));
    }
    let is_odd = |c: char| c.is_control() || is_unseen(c) || c == '\u{2028}' || c == '\u{2029}';
    if args.name.trim().is_empty() || args.name.chars().any(is_odd) || args.name.len() > 200 {
        let message = "`--name` is one short line that says what the token is used in";
        return Err(Error::Usage(message.to_owned()));
    }
    let (mut id, mut secret) = ([0; 5], [0; 32]);
    rand::rng().fill_bytes(&mut id);
    rand::rng().fill_bytes(&mut secret);
    let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    let token = format!(
        "{TOKEN_PREFIX}{id}_{}",
        BASE64_URL_SAFE_NO_PAD.encode(secret)
    );
    let digest: String = Sha256::digest(&token)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let now = Utc::now();
    let moment = |moment: DateTime<Utc>| moment.to_rfc3339_opts(SecondsFormat::Secs, true);
    let expires = moment(now + args.expires);
    // JSON strings are YAML strings.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let text = format!(
        "apiVersion: weft/v1\nkind: Token\nfor: {}\nname: {}\ndigest: sha256:{digest}\ncreated: {}\nexpires: {expires}\n",
        quoted(&format!("user:{user}")),
        quoted(&args.name),
        moment(now),
    );
    let path = folder.join(format!("{id}.yaml"));
    write(&folder, &path, &text)?;
    // A token that nobody has read, or that lets nobody in, is not left behind.
    let works = weft_mesh::load(&args.mesh).mesh.is_some_and(|mesh| {
        let mut tokens = mesh.identity.tokens.iter();
        tokens.any(|token| token.id.value == id)
    });
    let printed = if works {
        output::line(&token)
    } else {
        let why = format!("`{}` cannot be read back", path.display());
        Err(Error::Failed(why))
    };
    if let Err(error) = printed {
        std::fs::remove_file(&path).map_err(|cause| Error::file("remove", &path, &cause))?;
        return Err(error);
    }
    output::note(format_args!(
        "it lets in as user:{user} until {expires}, and is kept nowhere: `{}` has its digest; `weft token revoke --mesh {} {id}` takes it back",
        path.display(),
        args.mesh.display()
    ));
    Ok(ExitCode::SUCCESS)
}

/// Whole or not at all: a server that watches the folder never reads half.
fn write(folder: &Path, path: &Path, text: &str) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|cause| Error::file("make", folder, &cause))?;
    let failed = |cause: &std::io::Error| Error::file("write", path, cause);
    // There is no secret in it, and the server may be another user of the machine.
    let mut draft = tempfile::Builder::new()
        .permissions(Permissions::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(|cause| failed(&cause))?;
    draft
        .write_all(text.as_bytes())
        .and_then(|()| draft.as_file().sync_all())
        .map_err(|cause| failed(&cause))?;
    draft
        .persist_noclobber(path)
        .map_err(|error| failed(&error.error))?;
    Ok(())
}

fn list(mesh: &Path) -> Result<ExitCode> {
    let (mesh, _, report) = load(mesh)?;
    for fault in report.faults.iter().filter(|fault| !fault.is_error()) {
        if fault.message.starts_with("a token lets nobody in") {
            output::note(fault);
        }
    }
    let now = Utc::now();
    let mut rows = vec![["ID", "FOR", "NAME", "EXPIRES"].map(str::to_owned)];
    rows.extend(mesh.identity.tokens.iter().map(|token| row(token, now)));
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths = [width(0), width(1), width(2)];
    for [id, user, name, expires] in &rows {
        let [a, b, c] = widths;
        output::line(format_args!("{id:a$}  {user:b$}  {name:c$}  {expires}"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn row(token: &AccessToken, now: DateTime<Utc>) -> [String; 4] {
    let expires = token.expires.to_rfc3339_opts(SecondsFormat::Secs, true);
    let over = if token.expires <= now { " (over)" } else { "" };
    [
        token.id.value.clone(),
        format!("user:{}", token.user),
        token.name.clone(),
        format!("{expires}{over}"),
    ]
}

fn revoke(args: &RevokeArgs) -> Result<ExitCode> {
    // Not the whole mesh: taking back must work whatever else is wrong with it.
    let report = weft_mesh::load(&args.mesh);
    let folder = report
        .token_folder
        .clone()
        .ok_or_else(|| no_folder(&args.mesh, &report))?;
    // Whoever pastes the whole token means its id.
    let id = args.id.strip_prefix(TOKEN_PREFIX).unwrap_or(&args.id);
    let id = id.split_once('_').map_or(id, |(id, _)| id);
    let path = folder.join(format!("{id}.yaml"));
    if !is_token_id(id) || !path.is_file() {
        return Err(Error::Usage(format!(
            "there is no token `{id}`: `weft token list --mesh {}` lists them",
            args.mesh.display()
        )));
    }
    std::fs::remove_file(&path).map_err(|cause| Error::file("remove", &path, &cause))?;
    output::note(format_args!(
        "token {id} is taken back: servers refuse it from now on"
    ));
    Ok(ExitCode::SUCCESS)
}

/// The mesh, and the folder of its tokens.
fn load(file: &Path) -> Result<(Mesh, PathBuf, LoadReport)> {
    let mut report = weft_mesh::load(file);
    let Some(mesh) = report.mesh.take() else {
        return Err(Error::Failed(errors(&report)));
    };
    match report.token_folder.clone() {
        Some(folder) => Ok((mesh, folder, report)),
        None => Err(no_folder(file, &report)),
    }
}

fn no_folder(file: &Path, report: &LoadReport) -> Error {
    if report.has_errors() {
        return Error::Failed(format!(
            "{}\nto take a token back all the same, remove its file from the folder of tokens: it is called by its id",
            errors(report)
        ));
    }
    Error::Usage(format!(
        "`{}` does not say where tokens are kept: add `tokens: tokens/` to `identity`",
        file.display()
    ))
}

fn errors(report: &LoadReport) -> String {
    let faults = report.faults.iter().filter(|fault| fault.is_error());
    let faults: Vec<String> = faults.map(ToString::to_string).collect();
    faults.join("\n")
}

/// `90d`, `12h`.
fn parse_life(text: &str) -> Result<TimeDelta, String> {
    let longest = Duration::from_secs(366 * 24 * 60 * 60);
    let shortest = Duration::from_secs(60);
    let life = Some(crate::config::parse_duration(text)?);
    let life = life.filter(|life| (shortest..=longest).contains(life));
    life.and_then(|life| TimeDelta::from_std(life).ok())
        .ok_or_else(|| format!("`{text}` is not a duration of a minute to 366 days, such as `90d`"))
}

//! A decision, told from the grants that made it.

use std::fmt::Write as _;
use std::sync::Arc;

use chrono::Utc;
use weft_catalog::MeshSnapshot;
use weft_mesh::{ColumnSelection, Domain, Format, GrantManifest, Spanned};
use weft_policy::{Access, Principal, PrincipalId, Viewer};

use crate::error::{Error, Result};

/// One line for each domain: what it has, in which format.
pub(super) fn domains(snapshot: &MeshSnapshot) -> String {
    let mut text = String::new();
    for domain in snapshot.domains() {
        let tables: Vec<_> = domain
            .tables
            .iter()
            .map(|table| format!("{} ({})", table.name, format_name(&table.source.format)))
            .collect();
        let _ = writeln!(
            text,
            "    {:<10} {}",
            domain.name.to_string(),
            tables.join(", ")
        );
    }
    text
}

/// What the mesh knows of `login`: groups and attributes, which grants refer to.
pub(super) fn principal(snapshot: &MeshSnapshot, login: &str) -> Result<String> {
    let principal = find(snapshot, login)?;
    let groups = principal
        .groups()
        .iter()
        .map(|group| format!("group {group}"));
    let attributes = principal
        .attributes()
        .iter()
        .map(|(name, value)| format!("{name} {value}"));
    Ok(groups.chain(attributes).collect::<Vec<_>>().join(", "))
}

/// Why `login` sees of `domain.table` what it sees.
pub(super) fn of(
    snapshot: &MeshSnapshot,
    login: &str,
    domain: &str,
    table: &str,
) -> Result<String> {
    let principal = find(snapshot, login)?;
    let domain = snapshot
        .domains()
        .find(|candidate| candidate.name.as_str() == domain)
        .ok_or_else(|| unknown(domain))?;
    let owned = domain
        .tables
        .iter()
        .find(|candidate| candidate.name.as_str() == table)
        .ok_or_else(|| unknown(table))?;
    let access = snapshot
        .policy()
        .decide(&Viewer::new(principal, Utc::now()), &owned.id(&domain.name));

    let mut text = format!("  {}.{table}", domain.name);
    match access {
        Access::Denied(_) => text.push_str("\n    no grant: for them this table does not exist"),
        Access::Granted(access) => {
            for reason in &access.grants {
                let grant = named(domain, &reason.grant).ok_or_else(|| unknown(&reason.grant))?;
                let _ = write!(text, "\n    grant {}: {}", reason.grant, describe(grant));
            }
        }
    }
    Ok(text)
}

fn find(snapshot: &MeshSnapshot, login: &str) -> Result<Arc<Principal>> {
    snapshot
        .policy()
        .authenticator()
        .principal(&PrincipalId::user(login))
        .ok_or_else(|| unknown(login))
}

fn unknown(what: &str) -> Error {
    Error::Failed(format!("the demo mesh has no `{what}`"))
}

fn named<'a>(domain: &'a Domain, grant: &str) -> Option<&'a GrantManifest> {
    domain
        .grants
        .iter()
        .find(|candidate| candidate.name.value == grant)
}

fn describe(grant: &GrantManifest) -> String {
    let names = |columns: &[Spanned<String>]| {
        columns
            .iter()
            .map(|column| column.value.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let mut text = match &grant.columns {
        ColumnSelection::All => "every column".to_owned(),
        ColumnSelection::Nothing => "nothing but its name and description".to_owned(),
        ColumnSelection::Only(columns) => names(columns),
        ColumnSelection::Except(columns) => format!("every column except {}", names(columns)),
        ColumnSelection::Tags(tags) => format!("the columns tagged {}", names(tags)),
    };
    for (column, mask) in &grant.masks {
        let _ = write!(text, "\n      {} as {}", column.value, mask.value);
    }
    if let Some(rows) = &grant.rows {
        let _ = write!(text, "\n      only rows where {}", rows.value);
    }
    text
}

fn format_name(format: &Format) -> &'static str {
    match format {
        Format::Parquet => "Parquet",
        Format::Csv(_) => "CSV",
        Format::Json(_) => "JSON",
    }
}

//! A mesh read from its files alone: what everybody may see, without a
//! network, a secret or a server.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use chrono::Utc;
use clap::Args;
use weft_mesh::{Domain, Fault, Grantee, LoadReport, Mesh, Purpose};
use weft_policy::{
    Authenticator, DomainPolicy, Guardrails, PolicySnapshot, Principal, PrincipalId, Viewer,
};

use crate::error::{Error, Result};

/// A sound mesh, with its policy.
#[derive(Debug)]
pub(crate) struct OfflineMesh {
    pub(crate) mesh: Mesh,
    pub(crate) domains: Vec<Arc<Domain>>,
    pub(crate) policy: PolicySnapshot,
}

impl OfflineMesh {
    /// # Errors
    /// Every fault of the mesh, in one text.
    pub(crate) fn load(file: &Path) -> Result<Self> {
        let report = weft_mesh::load(file);
        let faults: Vec<String> = all_faults(&report)
            .iter()
            .filter(|fault| fault.is_error())
            .map(ToString::to_string)
            .collect();
        let domains: Vec<Arc<Domain>> = report
            .domains
            .iter()
            .filter_map(|load| load.domain.clone())
            .collect();
        let held: Vec<&Domain> = domains.iter().map(AsRef::as_ref).collect();
        let compiled = |domain: &&Domain| DomainPolicy::compile(domain, &held).ok().map(Arc::new);
        let policies: Option<Vec<_>> = held.iter().map(compiled).collect();
        let mesh = report.mesh.as_ref();
        let guardrails = mesh.and_then(|mesh| Guardrails::compile(&mesh.guardrails, &held).ok());
        match (report.mesh, policies, guardrails) {
            (Some(mesh), Some(policies), Some(guardrails)) if faults.is_empty() => {
                let who = Authenticator::without_credentials(&mesh.identity);
                let policy = PolicySnapshot::new(who, policies, guardrails)
                    .with_auditors(mesh.auditors.clone());
                Ok(Self {
                    mesh,
                    domains,
                    policy,
                })
            }
            _ => Err(Error::Failed(format!(
                "{} has faults; `weft check` shows them all\n\n{}",
                file.display(),
                faults.join("\n\n")
            ))),
        }
    }
}

/// The faults of loading and those of compiling grants and guardrails, in the order of the files.
pub(crate) fn all_faults(report: &LoadReport) -> Vec<Fault> {
    let now = Utc::now();
    let mut faults = report.faults.clone();
    let domains: Vec<_> = report
        .domains
        .iter()
        .filter_map(|load| load.domain.as_deref())
        .collect();
    let mut policies = Vec::new();
    for domain in &domains {
        match DomainPolicy::compile(domain, &domains) {
            Ok(policy) => {
                faults.extend(policy.warnings(now));
                policies.push(policy);
            }
            Err(found) => faults.extend(found),
        }
    }
    if let Some(mesh) = &report.mesh {
        match Guardrails::compile(&mesh.guardrails, &domains) {
            Ok(guardrails) => {
                let all_there = domains.len() == report.domains.len();
                faults.extend(guardrails.warnings(all_there).cloned());
                faults.extend(guardrails.contradictions(&policies));
            }
            Err(found) => faults.extend(found),
        }
    }
    faults.sort_by(|one, other| one.span.cmp(&other.span));
    faults
}

/// Somebody to look at a mesh as.
#[derive(Debug, Args)]
pub(crate) struct AsWhom {
    /// Whose view: `user:ana` or `service:bi`
    #[arg(long = "as", value_name = "PRINCIPAL", value_parser = parse_principal)]
    pub(crate) principal: PrincipalId,
    /// A group of theirs, where the mesh's identity file does not know them; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    groups: Vec<String>,
    /// An attribute of theirs, likewise
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = parse_attribute)]
    attributes: Vec<(String, String)>,
    /// What they say that the data is for
    #[arg(long, value_name = "PURPOSE", value_parser = parse_purpose)]
    pub(crate) purpose: Option<Purpose>,
}

impl AsWhom {
    /// The principal of the identity file, or the one that the options describe.
    ///
    /// # Errors
    /// Nobody of that name and no option that describes them; or both.
    pub(crate) fn viewer(&self, policy: &PolicySnapshot) -> Result<Viewer> {
        let described = !(self.groups.is_empty() && self.attributes.is_empty());
        let known = policy.authenticator().principal(&self.principal);
        let principal = match known {
            Some(_) if described => {
                return Err(Error::Usage(format!(
                    "{} is in the mesh's identity file: its groups and attributes stand there, so leave `--group` and `--attribute` out",
                    self.principal
                )));
            }
            Some(known) => known,
            None if described => Arc::new(Principal::new(
                self.principal.clone(),
                self.groups.iter().cloned().collect::<BTreeSet<_>>(),
                self.attributes.iter().cloned().collect::<BTreeMap<_, _>>(),
            )),
            None => {
                return Err(Error::Usage(format!(
                    "{} is not in the mesh's identity file: say with `--group` and `--attribute` who they are",
                    self.principal
                )));
            }
        };
        Ok(Viewer::new(principal, Utc::now()).with_purpose(self.purpose.clone()))
    }
}

pub(crate) fn parse_principal(text: &str) -> Result<PrincipalId, String> {
    match Grantee::parse(text) {
        Ok(Grantee::User(name)) => Ok(PrincipalId::user(name)),
        Ok(Grantee::Service(name)) => Ok(PrincipalId::service(name)),
        Ok(Grantee::Group(_) | Grantee::Everyone) | Err(_) => {
            Err("write `user:NAME` or `service:NAME`".to_owned())
        }
    }
}

pub(crate) fn parse_attribute(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write `NAME=VALUE`")?;
    Ok((name.to_owned(), value.to_owned()))
}

fn parse_purpose(text: &str) -> Result<Purpose, String> {
    Purpose::parse(text).map_err(|error| error.to_string())
}

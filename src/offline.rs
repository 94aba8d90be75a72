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

use crate::access_tests;
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
        Self::of(file, &weft_mesh::load(file))
    }

    /// The same of what was loaded from `file`.
    ///
    /// # Errors
    /// Every fault of the mesh, in one text.
    pub(crate) fn of(file: &Path, report: &LoadReport) -> Result<Self> {
        let compiled = Compiled::of(report);
        let faults: Vec<String> = compiled
            .faults
            .iter()
            .filter(|fault| fault.is_error())
            .map(ToString::to_string)
            .collect();
        match (&report.mesh, compiled.guardrails) {
            (Some(mesh), Some(guardrails)) if faults.is_empty() => {
                let who = Authenticator::without_credentials(&mesh.identity);
                let policy = PolicySnapshot::new(who, compiled.policies, guardrails)
                    .with_auditors(mesh.auditors.clone());
                let domains = report.domains.iter();
                Ok(Self {
                    mesh: mesh.clone(),
                    domains: domains.filter_map(|load| load.domain.clone()).collect(),
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

/// Grants and guardrails, held against the contracts.
struct Compiled {
    /// Those of loading too, in the order of the files.
    faults: Vec<Fault>,
    /// Of every domain without a fault.
    policies: Vec<Arc<DomainPolicy>>,
    /// `None` where they, or mesh.yaml, have a fault.
    guardrails: Option<Guardrails>,
}

impl Compiled {
    fn of(report: &LoadReport) -> Self {
        let now = Utc::now();
        let mut faults = report.faults.clone();
        let domains = domains(report);
        let mut policies = Vec::new();
        for domain in &domains {
            match DomainPolicy::compile(domain, &domains) {
                Ok(policy) => {
                    faults.extend(policy.warnings(now));
                    policies.push(Arc::new(policy));
                }
                Err(found) => faults.extend(found),
            }
        }
        let mut guardrails = None;
        if let Some(mesh) = &report.mesh {
            match Guardrails::compile(&mesh.guardrails, &domains) {
                Ok(compiled) => {
                    let all_there = domains.len() == report.domains.len();
                    faults.extend(compiled.warnings(all_there).cloned());
                    faults.extend(compiled.contradictions(policies.iter().map(AsRef::as_ref)));
                    guardrails = Some(compiled);
                }
                Err(found) => faults.extend(found),
            }
        }
        faults.sort_by(|one, other| one.span.cmp(&other.span));
        Self {
            faults,
            policies,
            guardrails,
        }
    }
}

fn domains(report: &LoadReport) -> Vec<&Domain> {
    let domains = report.domains.iter();
    domains.filter_map(|load| load.domain.as_deref()).collect()
}

/// Whether what is no fault and not good either is said as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Strictness {
    Faults,
    /// What a good data product owes, where nothing is wrong otherwise.
    Owed,
}

/// The faults of loading, of grants and guardrails, and of access tests, in the order of the
/// files.
pub(crate) fn all_faults(report: &LoadReport, strictness: Strictness) -> Vec<Fault> {
    let Compiled {
        mut faults,
        policies,
        guardrails,
    } = Compiled::of(report);
    faults.extend(access_tests::faults(report));
    let sound = !faults.iter().any(Fault::is_error);
    if let (Some(mesh), Some(guardrails), Strictness::Owed) =
        (&report.mesh, &guardrails, strictness)
        && sound
    {
        let owed = weft_policy::lint(mesh, &domains(report), &policies, guardrails);
        faults.extend(owed.into_iter().map(|fault| report.annotate(fault)));
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

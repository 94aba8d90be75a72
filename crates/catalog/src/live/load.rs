//! From manifests to a snapshot, keeping of the last one what is still true.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use weft_mesh::{Domain, Fault, LoadReport, Mesh, Secret, SecretRef};
use weft_policy::{Authenticator, DomainPolicy, Guardrails, PolicySnapshot};

use super::tables::open_tables;
use super::{Caches, CatalogConfig, ReloadReport};
use crate::error::{Error, Result};
use crate::mask::MaskKeys;
use crate::mesh_snapshot::{Epoch, Governance, MeshSnapshot};

/// Loads of manifests that change while they are read, before we take what we have.
const ATTEMPTS: usize = 4;

/// What is remembered from one reload to the next.
#[derive(Default)]
pub(super) struct Known {
    /// The last version of each domain without a fault, by its manifest.
    good: HashMap<PathBuf, Good>,
    /// Of the manifests that the current snapshot was built from; none where
    /// they may have changed while they were read.
    fingerprint: Option<u64>,
    /// Every manifest and folder of the last load.
    pub(super) files: Vec<PathBuf>,
    generated: Option<Arc<Secret>>,
    /// Of the last load: said once, not at every try.
    said: Vec<String>,
    /// The manifests that had errors, with which the current snapshot was built.
    faulty: Vec<PathBuf>,
}

impl Known {
    /// Whether the manifests are not what they were when they were loaded.
    pub(super) fn is_outdated(&self) -> bool {
        self.fingerprint != Some(weft_mesh::fingerprint(&self.files))
    }

    /// Whether a load without any change of manifests may end better: a fault
    /// can lie in what they name, a folder that is not there yet.
    pub(super) fn may_heal(&self) -> bool {
        !self.faulty.is_empty()
    }
}

#[derive(Clone)]
struct Good {
    domain: Arc<Domain>,
    policy: Arc<DomainPolicy>,
}

/// Reads the manifests and builds the snapshot that follows `previous`.
///
/// `known` changes only where the manifests are applied, except for `files`.
pub(super) async fn assemble(
    manifest: &Path,
    config: &CatalogConfig,
    caches: &Caches,
    known: &mut Known,
    previous: Option<&MeshSnapshot>,
) -> Result<(MeshSnapshot, ReloadReport)> {
    let (path, files) = (manifest.to_owned(), known.files.clone());
    let last: HashMap<PathBuf, Arc<Domain>> = known
        .good
        .iter()
        .map(|(manifest, good)| (manifest.clone(), Arc::clone(&good.domain)))
        .collect();
    let loaded = SpawnedTask::spawn_blocking(move || Loaded::read(&path, files, &last))
        .await
        .map_err(joined)?;
    let Loaded {
        report,
        policies,
        authenticator,
        fingerprint,
    } = loaded;
    known.files.clone_from(&report.files);
    let mut faults = report.faults;
    let Some((mesh, (authenticator, unresolved))) = report.mesh.zip(authenticator) else {
        known.say(&faults, &[], &[]);
        return Err(Error::Manifests(faults));
    };
    let secret = resolve_secret(&mesh, known)?;
    faults.extend(unresolved);

    let mut kept = Vec::new();
    let mut absent = Vec::new();
    let mut faulty = Vec::new();
    let mut good = HashMap::new();
    let mut served = Vec::new();
    let mut names = HashSet::new();
    for (load, policy) in report.domains.into_iter().zip(policies) {
        let fresh = match (load.domain, policy) {
            (Some(domain), Some(Ok(policy))) => {
                faults.extend(policy.warnings(chrono::Utc::now()));
                Some(Good {
                    domain,
                    policy: Arc::new(policy),
                })
            }
            (_, Some(Err(wrong))) => {
                faults.extend(wrong);
                None
            }
            (_, None) | (None, Some(Ok(_))) => None,
        };
        let is_kept = fresh.is_none();
        if is_kept {
            faulty.push(load.manifest.clone());
        }
        let Some(domain) = fresh.or_else(|| known.good.get(&load.manifest).cloned()) else {
            absent.push(load.manifest);
            continue;
        };
        let name = domain.domain.name.to_string();
        if !names.insert(name.clone()) {
            // Only a kept domain can be in the way of a new one: `load` refuses two of one name.
            faulty.push(load.manifest.clone());
            absent.push(load.manifest);
            continue;
        }
        if is_kept {
            kept.push(name);
        }
        good.insert(load.manifest, domain.clone());
        served.push(domain);
    }
    let domains: Vec<Arc<Domain>> = served.iter().map(|good| Arc::clone(&good.domain)).collect();
    let guarded: Vec<&Domain> = domains.iter().map(AsRef::as_ref).collect();
    let guardrails = match Guardrails::compile(&mesh.guardrails, &guarded) {
        Ok(guardrails) => guardrails,
        // Without the limits of the mesh nothing of it is served.
        Err(wrong) => {
            faults.extend(wrong);
            known.say(&faults, &[], &[]);
            return Err(Error::Manifests(faults));
        }
    };
    faults.extend(guardrails.warnings(absent.is_empty()).cloned());
    faults.extend(guardrails.contradictions(served.iter().map(|good| good.policy.as_ref())));
    faults.sort_by(|a, b| {
        (&a.span.file, a.span.line, a.span.column).cmp(&(&b.span.file, b.span.line, b.span.column))
    });
    faults.dedup_by(|a, b| a.to_string() == b.to_string());
    known.say(&faults, &kept, &absent);

    let unchanged =
        fingerprint.is_some() && fingerprint == known.fingerprint && faulty == known.faulty;
    let epoch = match previous {
        Some(previous) if unchanged => previous.epoch(),
        Some(previous) => previous.epoch().next(),
        None => Epoch(1),
    };
    let (store, products) = open_tables(&domains, caches, config, previous).await;
    let governance = Governance {
        mesh_name: mesh.name.to_string(),
        policy: PolicySnapshot::new(
            authenticator,
            served.into_iter().map(|good| good.policy),
            guardrails,
        )
        .with_auditors(mesh.auditors.clone())
        .with_limits(mesh.limits.clone()),
        domains,
        mask_keys: Arc::new(MaskKeys::new(secret.expose().as_bytes())),
        secret,
        audit: mesh.audit,
    };
    known.good = good;
    known.fingerprint = fingerprint;
    known.faulty = faulty;
    let report = ReloadReport {
        epoch,
        applied: true,
        faults,
        kept,
        absent,
    };
    Ok((
        MeshSnapshot::new(epoch, governance, store, products),
        report,
    ))
}

fn joined(error: tokio::task::JoinError) -> Error {
    Error::Engine(datafusion::error::DataFusionError::ExecutionJoin(Box::new(
        error,
    )))
}

impl Known {
    /// Logs what is wrong, unless it was wrong last time.
    fn say(&mut self, faults: &[Fault], kept: &[String], absent: &[PathBuf]) {
        let said: Vec<String> = faults.iter().map(ToString::to_string).collect();
        if said == self.said {
            return;
        }
        for (fault, text) in faults.iter().zip(&said) {
            if fault.is_error() {
                tracing::error!("{text}");
            } else {
                tracing::warn!("{text}");
            }
        }
        for domain in kept {
            tracing::error!(
                domain,
                "manifests have faults: the last good version stays in force"
            );
        }
        for manifest in absent {
            tracing::error!(manifest = %manifest.display(), "domain is not served");
        }
        self.said = said;
    }
}

/// Everything that reads files or hashes passwords.
struct Loaded {
    report: LoadReport,
    /// For each domain of the report that has no fault yet.
    policies: Vec<Option<Result<DomainPolicy, Vec<Fault>>>>,
    authenticator: Option<(Authenticator, Vec<Fault>)>,
    fingerprint: Option<u64>,
}

impl Loaded {
    /// Loads until two looks at all files around a load agree, so that the
    /// fingerprint stands for what was read.
    fn read(
        manifest: &Path,
        mut files: Vec<PathBuf>,
        last: &HashMap<PathBuf, Arc<Domain>>,
    ) -> Self {
        let mut attempt = 0;
        let (report, fingerprint) = loop {
            let before = weft_mesh::fingerprint(&files);
            let report = weft_mesh::load(manifest);
            let after = weft_mesh::fingerprint(&report.files);
            attempt += 1;
            if before == after {
                break (report, Some(after));
            }
            if attempt == ATTEMPTS {
                break (report, None);
            }
            files = report.files;
        };
        // A domain with a fault is still there for the predicates of others.
        let domains: Vec<&Domain> = report
            .domains
            .iter()
            .filter_map(|load| load.domain.as_ref().or_else(|| last.get(&load.manifest)))
            .map(AsRef::as_ref)
            .collect();
        let policies = report
            .domains
            .iter()
            .map(|load| Some(DomainPolicy::compile(load.domain.as_deref()?, &domains)))
            .collect();
        let authenticator = report
            .mesh
            .as_ref()
            .map(|mesh| Authenticator::resolve(&mesh.identity));
        Self {
            report,
            policies,
            authenticator,
            fingerprint,
        }
    }
}

/// A generated secret lasts as long as the process.
fn resolve_secret(mesh: &Mesh, known: &mut Known) -> Result<Arc<Secret>> {
    match &mesh.secret {
        Some(reference) => named_secret(reference),
        None => Ok(Arc::clone(known.generated.get_or_insert_with(|| {
            tracing::warn!(
                "the mesh names no `secret`: hash masks and handles change with every start"
            );
            let random: [u8; 32] = rand::random();
            Arc::new(Secret::new(
                random.iter().map(|byte| format!("{byte:02x}")).collect(),
            ))
        }))),
    }
}

fn named_secret(reference: &SecretRef) -> Result<Arc<Secret>> {
    reference
        .resolve()
        .map(Arc::new)
        .map_err(|e| Error::Secret(e.to_string()))
}

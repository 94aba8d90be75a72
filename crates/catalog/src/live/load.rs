//! From manifests to a snapshot, keeping of the last one what is still true.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use datafusion::execution::cache::cache_manager::CacheManager;
use weft_mesh::{Column, Domain, Fault, LoadReport, Mesh, Secret, SecretRef, Table};
use weft_policy::{Authenticator, DomainPolicy, PolicySnapshot};

use super::refresh::list_tables;
use super::{CatalogConfig, ReloadReport};
use crate::error::{Error, Result};
use crate::mask::MaskKeys;
use crate::mesh_snapshot::{Epoch, Governance, MeshSnapshot};
use crate::product::ProductTable;
use crate::store::{MeshStore, Storage, StorageKey};

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
    caches: &Arc<CacheManager>,
    known: &mut Known,
    previous: Option<&MeshSnapshot>,
) -> Result<(MeshSnapshot, ReloadReport)> {
    let (path, files) = (manifest.to_owned(), known.files.clone());
    let loaded = SpawnedTask::spawn_blocking(move || Loaded::read(&path, files)).await.map_err(joined)?;
    let Loaded { report, policies, authenticator, fingerprint } = loaded;
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
                Some(Good { domain, policy: Arc::new(policy) })
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
    faults.sort_by(|a, b| (&a.span.file, a.span.line, a.span.column).cmp(&(&b.span.file, b.span.line, b.span.column)));
    faults.dedup_by(|a, b| a.to_string() == b.to_string());
    known.say(&faults, &kept, &absent);

    let unchanged = fingerprint.is_some() && fingerprint == known.fingerprint && faulty == known.faulty;
    let epoch = match previous {
        Some(previous) if unchanged => previous.epoch(),
        Some(previous) => previous.epoch().next(),
        None => Epoch(1),
    };
    let domains: Vec<Arc<Domain>> = served.iter().map(|good| Arc::clone(&good.domain)).collect();
    let (store, products) = open_tables(&domains, caches, config, previous).await?;
    let governance = Governance {
        mesh_name: mesh.name.to_string(),
        policy: PolicySnapshot::new(authenticator, served.into_iter().map(|good| good.policy)),
        domains,
        mask_keys: Arc::new(MaskKeys::new(secret.expose().as_bytes())),
        secret,
    };
    known.good = good;
    known.fingerprint = fingerprint;
    known.faulty = faulty;
    let report = ReloadReport { epoch, applied: true, faults, kept, absent };
    Ok((MeshSnapshot::new(epoch, governance, store, products), report))
}

fn joined(error: tokio::task::JoinError) -> Error {
    Error::Engine(datafusion::error::DataFusionError::ExecutionJoin(Box::new(error)))
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
            tracing::error!(domain, "manifests have faults: the last good version stays in force");
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
    fn read(manifest: &Path, mut files: Vec<PathBuf>) -> Self {
        let mut attempt = 0;
        let (report, fingerprint) = loop {
            let before = fingerprint_of(&files);
            let report = weft_mesh::load(manifest);
            let after = fingerprint_of(&report.files);
            attempt += 1;
            if before == after {
                break (report, Some(after));
            }
            if attempt == ATTEMPTS {
                break (report, None);
            }
            files = report.files;
        };
        let policies = report.domains.iter().map(|load| load.domain.as_deref().map(DomainPolicy::compile)).collect();
        let authenticator = report.mesh.as_ref().map(|mesh| Authenticator::resolve(&mesh.identity));
        Self { report, policies, authenticator, fingerprint }
    }
}

fn fingerprint_of(files: &[PathBuf]) -> u64 {
    let mut hasher = DefaultHasher::new();
    for file in files {
        file.hash(&mut hasher);
        // A folder's entries show in the list of files.
        std::fs::read(file).ok().hash(&mut hasher);
    }
    hasher.finish()
}

/// A generated secret lasts as long as the process.
fn resolve_secret(mesh: &Mesh, known: &mut Known) -> Result<Arc<Secret>> {
    match &mesh.secret {
        Some(reference) => named_secret(reference),
        None => Ok(Arc::clone(known.generated.get_or_insert_with(|| {
            tracing::warn!("the mesh names no `secret`: hash masks and handles change with every start");
            let random: [u8; 32] = rand::random();
            Arc::new(Secret::new(random.iter().map(|byte| format!("{byte:02x}")).collect()))
        }))),
    }
}

fn named_secret(reference: &SecretRef) -> Result<Arc<Secret>> {
    reference.resolve().map(Arc::new).map_err(|e| Error::Secret(e.to_string()))
}

/// Storages and tables of `domains`; what `previous` has of them is reused, new
/// tables are listed for as long as `start_wait` allows.
async fn open_tables(
    domains: &[Arc<Domain>],
    caches: &Arc<CacheManager>,
    config: &CatalogConfig,
    previous: Option<&MeshSnapshot>,
) -> Result<(MeshStore, Vec<Arc<ProductTable>>)> {
    let mut storages = HashMap::new();
    for domain in domains {
        for manifest in &domain.storages {
            let key = StorageKey { domain: domain.name.to_string(), storage: manifest.name.to_string() };
            let existing = previous.and_then(|p| p.store().storage(&key)).filter(|s| s.is_current(manifest));
            let storage = existing.map_or_else(|| Arc::new(Storage::open(key.clone(), manifest)), Arc::clone);
            storages.insert(key, storage);
        }
    }
    let mut products = Vec::new();
    for domain in domains {
        for table in &domain.tables {
            let key = StorageKey { domain: domain.name.to_string(), storage: table.source.storage.to_string() };
            let Some(storage) = storages.get(&key) else { continue };
            let old = previous.and_then(|p| p.product(&table.id(&domain.name)));
            products.push(product(domain, table, storage, caches, old)?);
        }
    }
    let store = MeshStore::new(storages.into_values());
    let new = products.iter().filter(|p| p.is_unlisted());
    match tokio::time::timeout(config.start_wait, list_tables(&store, new)).await {
        Ok(listed) => {
            for table in &mut products {
                if let Some((_, new)) = listed.iter().find(|(old, _)| Arc::ptr_eq(old, table)) {
                    *table = Arc::clone(new);
                }
            }
        }
        Err(_) => tracing::warn!(waited = ?config.start_wait, "some tables are not listed yet and unavailable until then"),
    }
    Ok((store, products))
}

fn product(
    domain: &Domain,
    table: &Table,
    storage: &Arc<Storage>,
    caches: &Arc<CacheManager>,
    old: Option<&Arc<ProductTable>>,
) -> Result<Arc<ProductTable>> {
    let old = old.filter(|old| Arc::ptr_eq(old.storage(), storage) && reads_alike(old.table(), table));
    if let Some(old) = old
        && is_same(old.table(), table)
    {
        return Ok(Arc::clone(old));
    }
    let id = table.id(&domain.name);
    let new = ProductTable::unlisted(id, Arc::new(table.clone()), Arc::clone(storage), Arc::clone(caches))?;
    Ok(Arc::new(match old {
        // Only words have changed: the files and their values are the same.
        Some(old) => new.with_data(old.data().cloned().map_err(Clone::clone)),
        None => new,
    }))
}

/// Whether two versions of a contract read the same files the same way.
fn reads_alike(a: &Table, b: &Table) -> bool {
    let stored = |c: &Column| (c.name.clone(), c.physical_name.clone(), c.data_type.clone(), c.required, c.partition);
    a.source.format == b.source.format
        && a.source.location == b.source.location
        && a.columns.iter().map(stored).eq(b.columns.iter().map(stored))
}

/// Whether two versions of a contract differ in nothing but where they stand.
fn is_same(a: &Table, b: &Table) -> bool {
    let unplaced = |c: &Column| Column { span: weft_mesh::Span::of_file(""), ..c.clone() };
    a.newest == b.newest
        && a.status == b.status
        && a.description == b.description
        && a.tags == b.tags
        && a.columns.iter().map(unplaced).eq(b.columns.iter().map(unplaced))
}

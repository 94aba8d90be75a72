//! The mesh at one moment: manifests, policy and data as one immutable value.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::Arc;

use weft_mesh::{AuditManifest, Domain, Secret, TableId};
use weft_policy::PolicySnapshot;

use crate::mask::MaskKeys;
use crate::product::ProductTable;
use crate::store::{MeshStore, StorageRequests};

/// Counts the versions of the manifests that a process has served, from 1.
///
/// A refresh of data keeps it: what a principal may see has not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

impl Epoch {
    pub(crate) fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Everything that a statement depends on. A statement takes one and keeps it:
/// its tables, its grants and the files it reads do not change under it.
pub struct MeshSnapshot {
    epoch: Epoch,
    governance: Arc<Governance>,
    store: Arc<MeshStore>,
    products: Vec<Arc<ProductTable>>,
    by_id: HashMap<TableId, Arc<ProductTable>>,
    by_name: Arc<Names>,
}

/// Tables by domain and SQL name. Made once: every statement opens a catalog over them.
pub(crate) type Names = BTreeMap<String, Arc<BTreeMap<String, Named>>>;

/// A table under one of its SQL names.
pub(crate) struct Named {
    pub(crate) product: Arc<ProductTable>,
    /// `orders@2` can be queried and is not listed beside `orders`.
    pub(crate) listed: bool,
}

/// What the manifests say, apart from data.
pub(crate) struct Governance {
    pub(crate) mesh_name: String,
    pub(crate) domains: Vec<Arc<Domain>>,
    pub(crate) policy: PolicySnapshot,
    pub(crate) secret: Arc<Secret>,
    pub(crate) mask_keys: Arc<MaskKeys>,
    pub(crate) audit: Option<AuditManifest>,
}

impl MeshSnapshot {
    pub(crate) fn new(
        epoch: Epoch,
        governance: Governance,
        store: MeshStore,
        products: Vec<Arc<ProductTable>>,
    ) -> Self {
        Self {
            epoch,
            governance: Arc::new(governance),
            store: Arc::new(store),
            by_id: by_id(&products),
            by_name: Arc::new(by_name(&products)),
            products,
        }
    }

    /// The same mesh with newer data.
    pub(crate) fn with_products(&self, products: Vec<Arc<ProductTable>>) -> Self {
        Self {
            epoch: self.epoch,
            governance: Arc::clone(&self.governance),
            store: Arc::clone(&self.store),
            by_id: by_id(&products),
            by_name: Arc::new(by_name(&products)),
            products,
        }
    }

    /// The same data under another policy, to see what that would show. Its
    /// contracts have to be those of this mesh, at least of the tables that are
    /// looked at.
    #[must_use]
    pub fn under(&self, policy: PolicySnapshot) -> Self {
        let governance = Governance {
            mesh_name: self.governance.mesh_name.clone(),
            domains: self.governance.domains.clone(),
            policy,
            audit: self.governance.audit.clone(),
            secret: Arc::clone(&self.governance.secret),
            mask_keys: Arc::clone(&self.governance.mask_keys),
        };
        Self {
            epoch: self.epoch,
            governance: Arc::new(governance),
            store: Arc::clone(&self.store),
            products: self.products.clone(),
            by_id: self.by_id.clone(),
            by_name: Arc::clone(&self.by_name),
        }
    }

    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// The SQL catalog.
    pub fn mesh_name(&self) -> &str {
        &self.governance.mesh_name
    }

    pub fn policy(&self) -> &PolicySnapshot {
        &self.governance.policy
    }

    /// Whether both come from one reading of the manifests. Epochs say less: a
    /// credential that lies outside of the manifests can change within one.
    pub fn is_governed_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.governance, &other.governance)
    }

    /// The domains that are served, in the order of the mesh.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        self.governance.domains.iter().map(AsRef::as_ref)
    }

    /// Where the manifests keep the audit trail.
    pub fn audit(&self) -> Option<&AuditManifest> {
        self.governance.audit.as_ref()
    }

    /// The mesh's secret: what keys derive from. It is kept across reloads.
    pub fn secret(&self) -> &Secret {
        &self.governance.secret
    }

    /// Requests to each storage (`sales.lake`) since it was opened.
    pub fn storage_requests(&self) -> Vec<(String, StorageRequests)> {
        self.store
            .storages()
            .map(|storage| (storage.key().to_string(), storage.requests()))
            .collect()
    }

    /// Tables whose last refresh failed, or that have never been listed.
    pub fn stale_tables(&self) -> impl Iterator<Item = &TableId> {
        self.products
            .iter()
            .filter(|p| p.is_stale() || p.data().is_err())
            .map(|p| p.id())
    }

    pub(crate) fn mask_keys(&self) -> &Arc<MaskKeys> {
        &self.governance.mask_keys
    }

    pub(crate) fn store(&self) -> &Arc<MeshStore> {
        &self.store
    }

    /// Files of all tables.
    pub(crate) fn listed_files(&self) -> u64 {
        let files = self
            .products
            .iter()
            .filter_map(|product| product.data().ok());
        files.map(|data| data.files().len() as u64).sum()
    }

    /// How many principals are known to see how large a table, over all tables.
    pub(crate) fn known_sizes(&self) -> u64 {
        let known = self.products.iter().map(|product| product.visible_counts());
        known.map(|counts| counts.len() as u64).sum()
    }

    /// Every table, in the order of the mesh.
    pub(crate) fn products(&self) -> &[Arc<ProductTable>] {
        &self.products
    }

    /// The table that SQL calls `domain.sql_name`.
    #[cfg(test)]
    pub(crate) fn table(&self, domain: &str, sql_name: &str) -> Option<&Arc<ProductTable>> {
        self.products
            .iter()
            .find(|p| p.id().domain.as_str() == domain && p.table().is_called(sql_name))
    }

    /// Every table by domain and SQL name.
    pub(crate) fn by_name(&self) -> &Names {
        &self.by_name
    }

    pub(crate) fn product(&self, id: &TableId) -> Option<&Arc<ProductTable>> {
        self.by_id.get(id)
    }

    /// Whether this very listing of a table is this snapshot's.
    pub(crate) fn holds(&self, product: &Arc<ProductTable>) -> bool {
        self.product(product.id())
            .is_some_and(|own| Arc::ptr_eq(own, product))
    }
}

fn by_id(products: &[Arc<ProductTable>]) -> HashMap<TableId, Arc<ProductTable>> {
    let entry = |product: &Arc<ProductTable>| (product.id().clone(), Arc::clone(product));
    products.iter().map(entry).collect()
}

fn by_name(products: &[Arc<ProductTable>]) -> Names {
    let mut names: BTreeMap<String, BTreeMap<String, Named>> = BTreeMap::new();
    for product in products {
        let tables = names.entry(product.id().domain.to_string()).or_default();
        for (position, name) in product.table().sql_names().into_iter().enumerate() {
            let named = Named {
                product: Arc::clone(product),
                listed: position == 0,
            };
            tables.insert(name, named);
        }
    }
    let names = names.into_iter();
    names
        .map(|(domain, tables)| (domain, Arc::new(tables)))
        .collect()
}

/// Hand-written: no policy, no secret, no paths.
impl fmt::Debug for MeshSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MeshSnapshot")
            .field("mesh", &self.governance.mesh_name)
            .field("epoch", &self.epoch)
            .field("tables", &self.products.len())
            .finish_non_exhaustive()
    }
}

//! From domains to open storages and tables, taking over what has not changed.

use std::collections::HashMap;
use std::sync::Arc;

use weft_mesh::{Column, Domain, Span, Table};

use super::refresh::list_tables;
use super::{Caches, CatalogConfig};
use crate::mesh_snapshot::MeshSnapshot;
use crate::product::ProductTable;
use crate::store::{MeshStore, Storage, StorageKey};

/// Storages and tables of `domains`; what `previous` has of them is reused, new
/// tables are listed for as long as `start_wait` allows.
pub(super) async fn open_tables(
    domains: &[Arc<Domain>],
    caches: &Caches,
    config: &CatalogConfig,
    previous: Option<&MeshSnapshot>,
) -> (MeshStore, Vec<Arc<ProductTable>>) {
    let traffic = previous.map(|p| Arc::clone(p.store().traffic()));
    let traffic = traffic.unwrap_or_default();
    let mut storages = HashMap::new();
    for domain in domains {
        for manifest in &domain.storages {
            let key = StorageKey {
                domain: domain.name.to_string(),
                storage: manifest.name.to_string(),
            };
            let existing = previous
                .and_then(|p| p.store().storage(&key))
                .filter(|s| s.is_current(manifest));
            let storage = existing.map_or_else(
                || {
                    let storage = Storage::open(key.clone(), manifest);
                    let storage = storage.counted_in(traffic.of(&key.domain));
                    Arc::new(storage.cached_in(caches.blocks.clone()))
                },
                Arc::clone,
            );
            storages.insert(key, storage);
        }
    }
    let mut products = Vec::new();
    for domain in domains {
        for table in &domain.tables {
            let key = StorageKey {
                domain: domain.name.to_string(),
                storage: table.source.storage.to_string(),
            };
            let Some(storage) = storages.get(&key) else {
                continue;
            };
            let old = previous.and_then(|p| p.product(&table.id(&domain.name)));
            products.push(product(domain, table, storage, caches, old));
        }
    }
    let store = MeshStore::new(storages.into_values()).counted_in(traffic);
    let is_waited_for = !config.start_wait.is_zero();
    let new = products.iter().filter(|p| is_waited_for && p.is_unlisted());
    let listed = list_tables(&store, new, Some(config.start_wait))
        .await
        .changed;
    for table in &mut products {
        if let Some((_, new)) = listed.iter().find(|(old, _)| Arc::ptr_eq(old, table)) {
            *table = Arc::clone(new);
        }
    }
    (store, products)
}

fn product(
    domain: &Domain,
    table: &Table,
    storage: &Arc<Storage>,
    caches: &Caches,
    old: Option<&Arc<ProductTable>>,
) -> Arc<ProductTable> {
    let old =
        old.filter(|old| Arc::ptr_eq(old.storage(), storage) && reads_alike(old.table(), table));
    if let Some(old) = old
        && is_same(old.table(), table)
    {
        return Arc::clone(old);
    }
    let id = table.id(&domain.name);
    let new = ProductTable::unlisted(
        id,
        Arc::new(table.clone()),
        Arc::clone(storage),
        Arc::clone(&caches.all),
    );
    Arc::new(match old {
        // Only words have changed: the files and their values are the same.
        Some(old) => new.with_data(old.data().cloned().map_err(Clone::clone)),
        None => new,
    })
}

/// Whether two versions of a contract read the same files the same way.
fn reads_alike(a: &Table, b: &Table) -> bool {
    let stored = |c: &Column| {
        (
            c.name.clone(),
            c.physical_name.clone(),
            c.data_type.clone(),
            c.required,
            c.partition,
        )
    };
    a.source.format == b.source.format
        && a.source.location == b.source.location
        && a.columns
            .iter()
            .map(stored)
            .eq(b.columns.iter().map(stored))
}

/// Whether two versions of a contract differ in nothing but where they stand.
fn is_same(a: &Table, b: &Table) -> bool {
    let unplaced = |c: &Column| Column {
        span: Span::of_file(""),
        ..c.clone()
    };
    a.newest == b.newest
        && a.product == b.product
        && a.version == b.version
        && a.status == b.status
        && a.description == b.description
        && a.tags == b.tags
        && a.columns
            .iter()
            .map(unplaced)
            .eq(b.columns.iter().map(unplaced))
}

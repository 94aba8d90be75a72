//! From listings to tables: what has changed is replaced, the rest stays.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::Error as StoreError;
use tokio::time::timeout;
use weft_mesh::TableId;

use super::LiveMesh;
use crate::error::SourceErrorKind;
use crate::mesh_snapshot::MeshSnapshot;
use crate::product::{Listing, ProductTable, Unavailable};
use crate::store::{MeshStore, Storage};

impl LiveMesh {
    /// Lists one storage for all of its tables. A failure keeps what is there.
    pub(super) async fn refresh_storage(&self, storage: &Arc<Storage>) {
        let _one_at_a_time = storage.refreshing().await;
        let snapshot = self.snapshot();
        let tables = snapshot
            .products()
            .iter()
            .filter(|t| Arc::ptr_eq(t.storage(), storage));
        let listed = list_tables(snapshot.store(), tables, None).await;
        if listed.is_whole {
            storage.note_listed(true);
        }
        let changed = listed.changed;
        if changed.is_empty() {
            return;
        }
        self.swap(|now| {
            let products = now.products().iter().map(|table| {
                // A reload may have replaced the table meanwhile: its listing is newer.
                changed
                    .iter()
                    .find(|(old, _)| Arc::ptr_eq(old, table))
                    .map_or_else(|| Arc::clone(table), |(_, new)| Arc::clone(new))
            });
            Some(now.with_products(products.collect()))
        });
    }
}

/// What came of listing some tables.
pub(super) struct Listed {
    /// Old and new.
    pub(super) changed: Vec<(Arc<ProductTable>, Arc<ProductTable>)>,
    /// Whether no listing failed.
    is_whole: bool,
}

/// Lists what `tables` need. A listing that takes longer than `at_most` is left for another time.
pub(super) async fn list_tables<'a>(
    store: &MeshStore,
    tables: impl IntoIterator<Item = &'a Arc<ProductTable>>,
    at_most: Option<Duration>,
) -> Listed {
    let mut by_prefix: BTreeMap<_, Vec<&Arc<ProductTable>>> = BTreeMap::new();
    for table in tables {
        let prefix = table.table().source.location.prefix();
        let of_prefix = by_prefix.entry((table.storage().key(), prefix));
        of_prefix.or_default().push(table);
    }
    let listings = by_prefix.into_iter().map(|((key, prefix), tables)| async move {
        let listing = Listing::fetch(store, key, prefix);
        let listing = match at_most {
            None => listing.await,
            Some(at_most) => match timeout(at_most, listing).await {
                Ok(listing) => listing,
                Err(_) => {
                    let tables = tables.len();
                    tracing::warn!(storage = %key, tables, "tables are not listed yet and unavailable until then");
                    return (false, Vec::new());
                }
            },
        };
        if listing.is_err() {
            tables.iter().for_each(|it| it.storage().note_listed(false));
        }
        let changed = tables
            .into_iter()
            .filter_map(|old| Some((Arc::clone(old), listed(old, &listing)?)))
            .collect();
        (listing.is_ok(), changed)
    });
    let listed: Vec<(bool, Vec<_>)> = futures::future::join_all(listings).await;
    Listed {
        is_whole: listed.iter().all(|(is_listed, _)| *is_listed),
        changed: listed
            .into_iter()
            .flat_map(|(_, changed)| changed)
            .collect(),
    }
}

/// The table over a new listing, if it is not the table that it was.
fn listed(
    table: &Arc<ProductTable>,
    listing: &Result<Listing, StoreError>,
) -> Option<Arc<ProductTable>> {
    let id = table.id();
    let read = match listing {
        Ok(listing) => table.read(listing),
        Err(error) => Err(Unavailable {
            kind: SourceErrorKind::Unavailable,
            reason: format!("listing failed: {error}"),
        }),
    };
    match (table.data(), read) {
        (Ok(old), Ok(new)) if old.listed() == new.listed() => {
            if table.set_stale(false) {
                tracing::info!(table = %id, "data is fresh again");
            }
            None
        }
        (Ok(_), Ok(new)) => {
            tracing::info!(table = %id, data = ?new, bytes = new.total_bytes(), "data has changed");
            Some(Arc::new(table.with_data(Ok(Arc::new(new)))))
        }
        (Err(_), Ok(new)) => {
            warn_if_empty(id, new.files().len());
            tracing::info!(table = %id, data = ?new, bytes = new.total_bytes(), "data listed");
            Some(Arc::new(table.with_data(Ok(Arc::new(new)))))
        }
        (Ok(_), Err(why)) => {
            if !table.set_stale(true) {
                tracing::warn!(table = %id, reason = why.reason, "refresh failed, the last listing stays in use");
            }
            None
        }
        (Err(old), Err(why)) if *old == why => None,
        (Err(_), Err(why)) => {
            tracing::error!(table = %id, reason = why.reason, "table is unavailable");
            Some(Arc::new(table.with_data(Err(why))))
        }
    }
}

fn warn_if_empty(table: &TableId, files: usize) {
    if files == 0 {
        tracing::warn!(%table, "no file matches the table's location");
    }
}

/// `next` with the data that `now` has learned since `before`, from which `next` was made.
pub(super) fn carried_over(
    before: &MeshSnapshot,
    now: &MeshSnapshot,
    next: &MeshSnapshot,
) -> MeshSnapshot {
    let products = next.products().iter().map(|table| {
        let reused = before.holds(table);
        reused
            .then(|| now.product(table.id()))
            .flatten()
            .map_or_else(|| Arc::clone(table), Arc::clone)
    });
    next.with_products(products.collect())
}

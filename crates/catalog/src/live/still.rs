//! A mesh held still, for tests of access: loaded elsewhere, listed only where
//! it is asked for, and with rows of a test in place of what a source holds.
//!
//! Who sees what is decided and enforced as ever: a snapshot with other rows
//! has the very policy, keys and contracts of the one that it was made from,
//! and its tables are read by the same scan inside the same seal.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::RecordBatch;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use parquet::arrow::ArrowWriter;
use weft_mesh::{
    Column, Credentials, Domain, Format, Location, Mesh, Secret, StorageName, StorageUrl, Table,
    TableId, TableSource,
};
use weft_policy::PolicySnapshot;

use super::load::Known;
use super::refresh::list_tables;
use super::tables::open_tables;
use super::{Caches, CatalogConfig, LiveMesh};
use crate::error::{Error, Result};
use crate::mask::MaskKeys;
use crate::mesh_snapshot::{Epoch, Governance, MeshSnapshot};
use crate::product::ProductTable;
use crate::store::{MeshStore, Storage, StorageKey};

/// Where the rows of a test lie. No manifest can call a storage so.
const ROUTE: &str = "rows-of-a-test";

/// The one file of a table's rows.
const FILE: &str = "rows.parquet";

impl LiveMesh {
    /// A mesh that has been loaded, under keys that derive from `secret`. It is
    /// never reloaded, and no table of it can be read before it is
    /// [listed](Self::list).
    ///
    /// # Errors
    /// The engine's caches cannot be set up.
    pub async fn still(
        mesh: &Mesh,
        domains: Vec<Arc<Domain>>,
        policy: PolicySnapshot,
        secret: Secret,
    ) -> Result<Arc<Self>> {
        let config = CatalogConfig {
            start_wait: Duration::ZERO,
            ..CatalogConfig::default()
        };
        let caches = Caches::open(&config).await?;
        let (store, products) = open_tables(&domains, &caches, &config, None).await;
        let governance = Governance {
            mesh_name: mesh.name.to_string(),
            domains,
            policy,
            mask_keys: Arc::new(MaskKeys::new(secret.expose().as_bytes())),
            secret: Arc::new(secret),
            // Who tests is not who reads.
            audit: None,
        };
        let snapshot = MeshSnapshot::new(Epoch(1), governance, store, products);
        let known = Known::default();
        Ok(Self::new(None::<PathBuf>, config, caches, snapshot, known))
    }

    /// Lists the files of these tables, and of no others, for as long as
    /// `at_most` allows. Returns those of which there is nothing to read: no
    /// file, or no listing.
    pub async fn list(&self, tables: &BTreeSet<TableId>, at_most: Duration) -> BTreeSet<TableId> {
        let snapshot = self.snapshot();
        let wanted = snapshot
            .products()
            .iter()
            .filter(|product| tables.contains(product.id()));
        let listed = list_tables(snapshot.store(), wanted, Some(at_most))
            .await
            .changed;
        self.swap(|now| {
            let products = now.products().iter().map(|table| {
                let new = listed.iter().find(|(old, _)| Arc::ptr_eq(old, table));
                new.map_or_else(|| Arc::clone(table), |(_, new)| Arc::clone(new))
            });
            Some(now.with_products(products.collect()))
        });
        let products = self.snapshot();
        let products = products.products().iter();
        let nothing = products.filter(|product| {
            let files = product.data().map(|data| data.files().len());
            tables.contains(product.id()) && files.unwrap_or(0) == 0
        });
        nothing.map(|product| product.id().clone()).collect()
    }

    /// The mesh as it is now, with these rows as all that some tables hold. A
    /// batch has the columns of its table's contract.
    ///
    /// # Errors
    /// Rows that cannot be written.
    pub async fn with_rows(
        &self,
        rows: impl IntoIterator<Item = (TableId, RecordBatch)>,
    ) -> Result<Arc<MeshSnapshot>> {
        let snapshot = self.snapshot();
        let mut replaced: BTreeMap<TableId, Arc<ProductTable>> = BTreeMap::new();
        for (id, rows) in rows {
            if let Some(product) = snapshot.product(&id) {
                let product = self.holding(product, &rows).await?;
                replaced.insert(id, product);
            }
        }
        let products = snapshot.products().iter().map(|product| {
            let other = replaced.get(product.id());
            Arc::clone(other.unwrap_or(product))
        });
        Ok(Arc::new(snapshot.with_products(products.collect())))
    }

    /// The table over one file with these rows.
    async fn holding(
        &self,
        product: &ProductTable,
        rows: &RecordBatch,
    ) -> Result<Arc<ProductTable>> {
        let (key, storage) = storage_of(product.id())?;
        let bucket = InMemory::new();
        let bytes = PutPayload::from(parquet(rows)?);
        bucket.put(&Path::from(FILE), bytes).await.map_err(failed)?;
        let bucket: Arc<dyn ObjectStore> = Arc::new(bucket);
        let storage = Arc::new(Storage::over(key, &storage, bucket, ""));
        let table = over_rows(product.table(), &storage)?;
        let unlisted = Arc::new(ProductTable::unlisted(
            product.id().clone(),
            Arc::new(table),
            Arc::clone(&storage),
            Arc::clone(&self.caches.all),
        ));
        let store = MeshStore::new([storage]);
        let listed = list_tables(&store, [&unlisted], None).await.changed;
        Ok(listed
            .into_iter()
            .next()
            .map_or(unlisted, |(_, listed)| listed))
    }
}

/// One storage for each table and version: their files have one name.
fn storage_of(table: &TableId) -> Result<(StorageKey, weft_mesh::Storage)> {
    let TableId {
        domain,
        table,
        major,
    } = table;
    let key = StorageKey {
        domain: domain.to_string(),
        storage: format!("{ROUTE}-{table}-{major}"),
    };
    let storage = weft_mesh::Storage {
        name: StorageName::parse("rows").map_err(unexpected)?,
        url: StorageUrl::Local {
            root: PathBuf::new(),
        },
        options: BTreeMap::new(),
        credentials: Credentials::None,
        cache: false,
    };
    Ok((key, storage))
}

/// The same contract, read from one Parquet file that has all of its columns
/// under their own names.
fn over_rows(table: &Table, storage: &Storage) -> Result<Table> {
    let column = |column: &Column| Column {
        physical_name: column.name.clone(),
        partition: None,
        ..column.clone()
    };
    Ok(Table {
        columns: table.columns.iter().map(column).collect(),
        source: TableSource {
            storage: storage.manifest().name.clone(),
            format: Format::Parquet,
            location: Location::parse(FILE).map_err(unexpected)?,
            span: table.source.span.clone(),
        },
        ..table.clone()
    })
}

fn parquet(rows: &RecordBatch) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).map_err(failed)?;
    writer.write(rows).map_err(failed)?;
    writer.close().map_err(failed)?;
    Ok(bytes)
}

fn failed(error: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::Engine(datafusion::error::DataFusionError::External(Box::new(
        error,
    )))
}

fn unexpected(error: weft_mesh::Error) -> Error {
    failed(error)
}

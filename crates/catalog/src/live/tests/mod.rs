//! Meshes in temporary folders that change while they are served.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;

use super::{CatalogConfig, LiveMesh};
use crate::error::Error;
use crate::mesh_snapshot::Epoch;
use crate::product::ProductTable;

/// A mesh of two domains, `sales` and `crm`, with one CSV table each.
struct Mesh(TempDir);

impl Mesh {
    fn new() -> Self {
        let mesh = Self(TempDir::new().unwrap());
        mesh.write("secret", "a mesh secret of some length");
        mesh.write("mesh.yaml", &mesh_yaml("acme"));
        mesh.domain("sales", "orders", "");
        mesh.domain("crm", "customers", "");
        let faults = weft_mesh::load(&mesh.path("mesh.yaml")).faults;
        assert!(
            faults.is_empty(),
            "{}",
            faults.iter().map(ToString::to_string).collect::<String>()
        );
        mesh
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    /// Replaces a file as editors do: a new one is renamed over it.
    fn write(&self, file: &str, text: &str) {
        let (path, beside) = (self.path(file), self.path(&format!("{file}.new")));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&beside, text).unwrap();
        fs::rename(beside, path).unwrap();
    }

    fn domain(&self, name: &str, table: &str, description: &str) {
        self.write(&format!("{name}/domain.yaml"), &domain_yaml(name));
        self.write(&format!("{name}/grants.yaml"), &grants_yaml(name, table));
        self.write(
            &format!("{name}/{table}.odcs.yaml"),
            &contract(name, table, description),
        );
        self.write(&format!("{name}/data/{table}/a.csv"), "id,name\n1,a\n");
    }

    async fn open(&self) -> Arc<LiveMesh> {
        LiveMesh::open(&self.path("mesh.yaml"), quick())
            .await
            .unwrap()
    }
}

fn quick() -> CatalogConfig {
    CatalogConfig {
        refresh: Duration::from_millis(300),
        manifest_poll: Duration::from_millis(200),
        ..CatalogConfig::default()
    }
}

fn mesh_yaml(name: &str) -> String {
    format!(
        "apiVersion: weft/v1
kind: Mesh
name: {name}
secret: file:secret
domains:
  - sales/domain.yaml
  - crm/domain.yaml
"
    )
}

fn domain_yaml(name: &str) -> String {
    format!(
        "apiVersion: weft/v1
kind: Domain
name: {name}
storage:
  - name: local
    url: ./data/
products: ['*.odcs.yaml']
grants: grants.yaml
"
    )
}

fn grants_yaml(domain: &str, table: &str) -> String {
    format!(
        "apiVersion: weft/v1
kind: Grants
domain: {domain}
grants:
  - name: all
    to: [everyone]
    on: [{table}]
    columns: '*'
"
    )
}

fn contract(domain: &str, table: &str, description: &str) -> String {
    format!(
        "apiVersion: v3.1.0
kind: DataContract
id: 5f1d9a52-6a0f-4b6e-9a4a-0f6f6d1f2c11
name: {table}
version: 2.1.0
status: active
domain: {domain}
servers:
  - server: dev
    type: local
    path: ./data/{table}/
    format: csv
schema:
  - name: {table}
    description: \"{description}\"
    properties:
      - name: id
        logicalType: integer
        required: true
      - name: name
        logicalType: string
"
    )
}

fn table(live: &LiveMesh, domain: &str, name: &str) -> Arc<ProductTable> {
    Arc::clone(live.snapshot().table(domain, name).unwrap())
}

fn files(live: &LiveMesh, domain: &str, name: &str) -> usize {
    table(live, domain, name).data().unwrap().files().len()
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..200 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("did not happen in time: {what}");
}

#[tokio::test]
async fn an_opened_mesh_has_its_tables_under_their_names() {
    let mesh = Mesh::new();
    let live = mesh.open().await;
    let snapshot = live.snapshot();
    assert_eq!((snapshot.mesh_name(), snapshot.epoch()), ("acme", Epoch(1)));
    assert_eq!(snapshot.products().len(), 2);
    let orders = snapshot.table("sales", "orders").unwrap();
    assert!(Arc::ptr_eq(
        orders,
        snapshot.table("sales", "orders@2").unwrap()
    ));
    assert_eq!(orders.data().unwrap().files().len(), 1);
    assert!(snapshot.holds(orders));
    for (domain, name) in [
        ("sales", "orders@1"),
        ("sales", "customers"),
        ("hr", "orders"),
    ] {
        assert!(snapshot.table(domain, name).is_none());
    }
    assert!(!format!("{live:?} {snapshot:?} {orders:?}").contains("secret of some"));
}

#[tokio::test]
async fn a_refresh_finds_new_files_and_keeps_what_has_not_changed() {
    let mesh = Mesh::new();
    let live = mesh.open().await;
    let before = live.snapshot();
    let (orders, customers) = (
        table(&live, "sales", "orders"),
        table(&live, "crm", "customers"),
    );
    live.refresh().await;
    assert!(
        Arc::ptr_eq(&before, &live.snapshot()),
        "nothing has changed"
    );

    mesh.write("sales/data/orders/b.csv", "id,name\n2,b\n");
    live.refresh().await;
    assert_eq!(files(&live, "sales", "orders"), 2);
    assert_eq!(live.snapshot().epoch(), before.epoch());
    assert!(Arc::ptr_eq(&customers, &table(&live, "crm", "customers")));
    // Whoever began before goes on with what was there.
    assert_eq!(orders.data().unwrap().files().len(), 1);
    assert!(before.holds(&orders) && !live.snapshot().holds(&orders));
}

#[tokio::test]
async fn a_failed_refresh_keeps_the_last_good_listing() {
    let mesh = Mesh::new();
    let live = mesh.open().await;
    let orders = table(&live, "sales", "orders");
    fs::rename(mesh.path("sales/data"), mesh.path("sales/gone")).unwrap();
    fs::write(mesh.path("sales/data"), "a file where the folder was").unwrap();
    live.refresh().await;
    assert!(Arc::ptr_eq(&orders, &table(&live, "sales", "orders")));
    assert!(orders.is_stale());
    assert_eq!(live.snapshot().stale_tables().count(), 1);
    fs::remove_file(mesh.path("sales/data")).unwrap();
    fs::rename(mesh.path("sales/gone"), mesh.path("sales/data")).unwrap();
    live.refresh().await;
    assert!(!orders.is_stale());
}

#[tokio::test]
async fn a_reload_takes_what_is_new_and_reuses_the_rest() {
    let mesh = Mesh::new();
    let live = mesh.open().await;
    let before = live.snapshot();
    let same = live.reload().await;
    assert!(same.applied);
    assert_eq!(same.epoch, Epoch(1), "nothing has changed");
    assert_eq!(live.counts().reloads.applied, 1);
    let reads = live.counts().reads;
    assert!(reads.iter().any(|it| it.domain == "sales" && it.lists > 0));
    assert!(Arc::ptr_eq(
        before.table("sales", "orders").unwrap(),
        &table(&live, "sales", "orders")
    ));

    mesh.write(
        "sales/orders.odcs.yaml",
        &contract("sales", "orders", "Every order."),
    );
    let report = live.reload().await;
    assert_eq!(report.epoch, Epoch(2));
    assert_eq!(
        table(&live, "sales", "orders")
            .table()
            .description
            .as_deref(),
        Some("Every order.")
    );
    let lists = |name| {
        live.snapshot()
            .storage_requests()
            .into_iter()
            .find(|(n, _)| n == name)
            .unwrap()
            .1
            .list
    };
    assert_eq!(
        lists("sales.local"),
        1,
        "other words in a contract do not list its files again"
    );
    assert!(Arc::ptr_eq(
        before.table("crm", "customers").unwrap(),
        &table(&live, "crm", "customers")
    ));
    assert_eq!(before.epoch(), Epoch(1));

    mesh.write("sales/returns.odcs.yaml", &contract("sales", "returns", ""));
    mesh.write("sales/data/returns/a.csv", "id,name\n1,a\n");
    live.reload().await;
    assert_eq!(files(&live, "sales", "returns"), 1);
}

#[tokio::test]
async fn a_broken_domain_keeps_its_last_good_version() {
    let mesh = Mesh::new();
    let live = mesh.open().await;
    mesh.write(
        "sales/grants.yaml",
        "apiVersion: weft/v1\nkind: Grants\ngrnts: []\n",
    );
    mesh.write(
        "crm/customers.odcs.yaml",
        &contract("crm", "customers", "Everyone."),
    );
    let report = live.reload().await;
    assert!(report.applied);
    assert_eq!(report.kept, ["sales"]);
    assert!(
        report
            .faults
            .iter()
            .any(|f| f.to_string().contains("grants.yaml")),
        "{:?}",
        report.faults
    );
    assert_eq!(files(&live, "sales", "orders"), 1);
    assert_eq!(
        table(&live, "crm", "customers")
            .table()
            .description
            .as_deref(),
        Some("Everyone.")
    );

    // A grant that fits no contract is found one step later, with the same end.
    mesh.write("sales/grants.yaml", &grants_yaml("sales", "nothing"));
    assert_eq!(live.reload().await.kept, ["sales"]);
    mesh.write("sales/grants.yaml", &grants_yaml("sales", "orders"));
    let healed = live.reload().await;
    assert!(
        healed.kept.is_empty() && healed.faults.iter().all(|f| !f.is_error()),
        "{:?}",
        healed.faults
    );
}

#[tokio::test]
async fn a_broken_mesh_yaml_changes_nothing_and_a_broken_start_is_an_error() {
    let mesh = Mesh::new();
    let live = mesh.open().await;
    let before = live.snapshot();
    mesh.write("mesh.yaml", "kind: Mesh\nnames: [");
    let report = live.reload().await;
    assert!(!report.applied && !report.faults.is_empty());
    assert!(Arc::ptr_eq(&before, &live.snapshot()));
    match LiveMesh::open(&mesh.path("mesh.yaml"), quick()).await {
        Err(Error::Manifests(faults)) => assert!(!faults.is_empty()),
        other => panic!("{other:?}"),
    }
    mesh.write("mesh.yaml", &mesh_yaml("acme"));
    fs::remove_file(mesh.path("secret")).unwrap();
    assert!(
        !live.reload().await.applied,
        "a secret that is gone is not replaced by another"
    );
    assert!(matches!(
        LiveMesh::open(&mesh.path("mesh.yaml"), quick()).await,
        Err(Error::Secret(_))
    ));
}

#[tokio::test]
async fn a_domain_broken_at_the_start_is_absent() {
    let mesh = Mesh::new();
    mesh.write("sales/domain.yaml", "kind: Domain\n");
    let live = mesh.open().await;
    assert!(live.snapshot().table("sales", "orders").is_none());
    assert_eq!(files(&live, "crm", "customers"), 1);
    mesh.write("sales/domain.yaml", &domain_yaml("sales"));
    let report = live.reload().await;
    assert!(report.absent.is_empty());
    assert_eq!(files(&live, "sales", "orders"), 1);
}

#[tokio::test]
async fn a_secret_is_generated_once() {
    let mesh = Mesh::new();
    mesh.write(
        "mesh.yaml",
        &mesh_yaml("acme").replace("secret: file:secret\n", ""),
    );
    let live = mesh.open().await;
    let secret = live.snapshot().secret().expose().to_owned();
    assert_eq!(secret.len(), 64);
    live.reload().await;
    assert_eq!(live.snapshot().secret().expose(), secret);
    assert_ne!(mesh.open().await.snapshot().secret().expose(), secret);
}

#[cfg(unix)]
#[tokio::test]
async fn a_table_with_a_link_out_of_its_storage_is_unavailable() {
    let mesh = Mesh::new();
    // One among the files of a table costs this table, and no other.
    std::os::unix::fs::symlink(mesh.path("secret"), mesh.path("sales/data/orders/b.csv")).unwrap();
    let live = mesh.open().await;
    let reason = table(&live, "sales", "orders")
        .data()
        .unwrap_err()
        .reason
        .clone();
    assert!(reason.contains("leaves the storage's folder"), "{reason}");
    assert_eq!(files(&live, "crm", "customers"), 1);
}

/// It would wait for a writer for ever, and every revocation with it.
#[cfg(unix)]
#[tokio::test]
async fn a_pipe_among_the_manifests_holds_nothing_up() {
    let mesh = Mesh::new();
    let live = mesh.open().await;
    let pipe = mesh.path("sales/pipe.odcs.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    mesh.write("mesh.yaml", &mesh_yaml("acme2"));
    let reloaded = tokio::time::timeout(Duration::from_secs(20), live.reload());
    let report = reloaded.await.expect("it reads no pipe");
    assert!(report.applied, "{report:?}");
    assert_eq!(live.snapshot().mesh_name(), "acme2");
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_background_manifests_and_data_are_followed() {
    let mesh = Mesh::new();
    let live = mesh.open().await;
    let background = live.spawn_background();

    mesh.write("sales/data/orders/b.csv", "id,name\n2,b\n");
    eventually("a new file is seen", || {
        files(&live, "sales", "orders") == 2
    })
    .await;

    mesh.write("mesh.yaml", &mesh_yaml("acme2"));
    eventually("the mesh is reloaded", || {
        live.snapshot().mesh_name() == "acme2"
    })
    .await;
    assert_eq!(live.snapshot().epoch(), Epoch(2));

    // A new file in a folder that a contract's glob names; its data come later.
    mesh.write("sales/returns.odcs.yaml", &contract("sales", "returns", ""));
    tokio::time::sleep(Duration::from_millis(900)).await;
    mesh.write("sales/data/returns/a.csv", "id,name\n1,a\n");
    eventually("a new contract is seen", || {
        live.snapshot().table("sales", "returns").is_some()
    })
    .await;
    eventually("its table is listed", || {
        table(&live, "sales", "returns").data().is_ok()
    })
    .await;
    let reads = live.snapshot().epoch();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(live.snapshot().epoch(), reads, "nothing changes by itself");

    drop(background);
    tokio::time::sleep(Duration::from_millis(100)).await;
    mesh.write("mesh.yaml", &mesh_yaml("acme3"));
    tokio::time::sleep(Duration::from_millis(800)).await;
    assert_eq!(live.snapshot().mesh_name(), "acme2");
    assert!(Path::new(&mesh.path("mesh.yaml")).exists());
}

//! A small sound mesh in a temporary folder, to be broken one edit at a time.

use std::fs;
use std::path::{Path, PathBuf};

use crate::{Domain, LoadReport, Table, load};

const MESH: &str = "\
apiVersion: weft/v1
kind: Mesh
name: acme
domains:
  - domains/sales/domain.yaml
  - domains/crm/domain.yaml
identity:
  users:
    - name: ana
      password: env:ANA_HASH
      groups: [analysts]
      attributes: {region: EU}
";

const SALES: &str = "\
apiVersion: weft/v1
kind: Domain
name: sales
owner: Sales Data
stewards: [group:stewards]
storage:
  - name: lake
    url: ./data/
products: [products/*.odcs.yaml]
grants: grants.yaml
";

const CRM: &str = "\
apiVersion: weft/v1
kind: Domain
name: crm
storage: []
products: []
";

const GRANTS: &str = "\
apiVersion: weft/v1
kind: Grants
domain: sales
grants:
  - name: analysts
    to: [group:analysts]
    on: orders
    columns: \"*\"
";

const ORDERS: &str = "\
apiVersion: v3.1.0
kind: DataContract
id: orders
name: Orders
version: 2.1.0
status: active
domain: sales
servers:
  - server: prod
    type: local
    path: ./data/orders/*.csv
    format: csv
schema:
  - name: orders
    properties:
      - name: order_id
        logicalType: integer
        required: true
      - name: amount
        physicalType: DECIMAL(12,2)
";

pub(super) const MESH_YAML: &str = "mesh.yaml";
pub(super) const SALES_YAML: &str = "domains/sales/domain.yaml";
pub(super) const GRANTS_YAML: &str = "domains/sales/grants.yaml";
pub(super) const ORDERS_YAML: &str = "domains/sales/products/orders.odcs.yaml";

pub(super) struct Fixture {
    folder: tempfile::TempDir,
}

impl Fixture {
    pub(super) fn new() -> Self {
        let fixture = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fixture
            .write(MESH_YAML, MESH)
            .write(SALES_YAML, SALES)
            .write("domains/crm/domain.yaml", CRM)
            .write(GRANTS_YAML, GRANTS)
            .write(ORDERS_YAML, ORDERS)
            .write(
                "domains/sales/data/orders/a.csv",
                "order_id,amount\n1,2.50\n",
            );
        fixture
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    pub(super) fn write(&self, path: &str, text: &str) -> &Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Replaces `from`, which must be there.
    pub(super) fn edit(&self, path: &str, from: &str, to: &str) -> &Self {
        let text = fs::read_to_string(self.path(path)).unwrap();
        assert!(text.contains(from), "`{from}` is not in {path}");
        self.write(path, &text.replace(from, to))
    }

    pub(super) fn append(&self, path: &str, more: &str) -> &Self {
        let text = fs::read_to_string(self.path(path)).unwrap();
        self.write(path, &(text + more))
    }

    pub(super) fn link(&self, path: &str, target: &Path) -> &Self {
        std::os::unix::fs::symlink(target, self.path(path)).unwrap();
        self
    }

    pub(super) fn load(&self) -> LoadReport {
        load(&self.path(MESH_YAML))
    }

    /// Every fault as people read it, without the temporary folder.
    pub(super) fn faults(&self) -> Vec<String> {
        let prefix = format!("{}/", self.folder.path().display());
        self.load()
            .faults
            .iter()
            .map(|fault| fault.to_string().replace(&prefix, ""))
            .collect()
    }

    /// The one fault.
    pub(super) fn fault(&self) -> String {
        let faults = self.faults();
        assert_eq!(faults.len(), 1, "{}", faults.join("\n\n"));
        faults.into_iter().next().unwrap()
    }

    /// The rules of all faults, sorted by place.
    pub(super) fn rules(&self) -> Vec<&'static str> {
        self.load().faults.iter().map(|fault| fault.rule).collect()
    }

    /// The sales domain, which must be sound.
    pub(super) fn sales(&self) -> Domain {
        let report = self.load();
        assert!(!report.has_errors(), "{}", self.faults().join("\n\n"));
        let domain = report.domains[0].domain.as_ref().unwrap();
        Domain::clone(domain)
    }

    /// The one table of the sales domain.
    pub(super) fn orders(&self) -> Table {
        let mut tables = self.sales().tables;
        assert_eq!(tables.len(), 1);
        tables.remove(0)
    }
}

//! `testdata/demo`, inside the binary: the demo needs no checkout.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

macro_rules! embed {
    ($($path:literal),+ $(,)?) => {
        &[$(($path, include_bytes!(concat!("../testdata/demo/", $path)))),+]
    };
}

/// Every file of the demo mesh with its path below `testdata/demo`.
const FILES: &[(&str, &[u8])] = embed![
    "mesh.yaml",
    "secrets/bi.token",
    "secrets/mesh.secret",
    "domains/sales/domain.yaml",
    "domains/sales/grants.yaml",
    "domains/sales/products/orders.odcs.yaml",
    "domains/sales/products/products.odcs.yaml",
    "domains/sales/data/orders/month=2026-04/part-0.parquet",
    "domains/sales/data/orders/month=2026-05/part-0.parquet",
    "domains/sales/data/orders/month=2026-06/part-0.parquet",
    "domains/sales/data/orders/month=2026-07/part-0.parquet",
    "domains/sales/data/orders/month=2026-08/part-0.parquet",
    "domains/sales/data/orders/month=2026-09/part-0.parquet",
    "domains/sales/data/products.csv",
    "domains/crm/domain.yaml",
    "domains/crm/grants.yaml",
    "domains/crm/products/customers.odcs.yaml",
    "domains/crm/products/tickets.odcs.yaml",
    "domains/crm/data/customers/part-0.parquet",
    "domains/crm/data/tickets/part-0.parquet",
    "domains/logistics/domain.yaml",
    "domains/logistics/grants.yaml",
    "domains/logistics/products/shipments.odcs.yaml",
    "domains/logistics/data/shipments.csv",
    "domains/logistics/data/carriers.csv",
    "domains/hr/domain.yaml",
    "domains/hr/grants.yaml",
    "domains/hr/products/people.odcs.yaml",
    "domains/hr/data/people.ndjson",
];

/// Writes the demo mesh below `dir` and returns the path of its `mesh.yaml`.
pub(crate) fn extract(dir: &Path) -> Result<PathBuf> {
    for (path, bytes) in FILES {
        let path = dir.join(path);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|cause| Error::file("create", parent, &cause))?;
        }
        fs::write(&path, bytes).map_err(|cause| Error::file("write", &path, &cause))?;
    }
    Ok(dir.join("mesh.yaml"))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn walk(dir: &Path, found: &mut BTreeSet<PathBuf>) {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found)
            } else {
                assert!(found.insert(path))
            }
        }
    }

    #[test]
    fn nothing_of_the_demo_mesh_is_left_out() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/demo");
        let mut on_disk = BTreeSet::new();
        walk(&root, &mut on_disk);
        on_disk.remove(&root.join("generate.py"));
        on_disk.retain(|path| {
            !path
                .components()
                .any(|part| part.as_os_str() == "__pycache__")
        });
        let embedded: BTreeSet<_> = FILES.iter().map(|(path, _)| root.join(path)).collect();
        assert_eq!(embedded, on_disk);
    }
}

//! Who is let in: tokens of OpenID providers, tokens of people, certificates.

mod certificates;
mod oidc;
mod provider;
mod tokens;

use crate::support::{MeshDir, contract};

const GRANTS: &str = "
- name: by-region
  to: [group:analysts, group:partner/analysts]
  on: orders
  columns: \"*\"
  rows: \"region = session.attr('region')\"
- name: by-name
  to: [user:cy, service:loader]
  on: orders
  columns: [id]
- name: not-blocked
  to: [user:eve]
  on: orders
  columns: [id]
  rows: \"NOT session.in_group('blocked people')\"
";

const ORDERS: &str = "SELECT id FROM sales.orders ORDER BY id";

/// Ana is a user, `bi` a service; `identity` has more keys.
fn mesh_with(identity: &str) -> MeshDir {
    let table = contract(
        "orders",
        "csv",
        "./data/orders.csv",
        "- {name: id, logicalType: integer}\n- {name: region, logicalType: string}",
    );
    let mesh = MeshDir::new("acme")
        .user("ana", "pw-of-ana", &["analysts"], &[("region", "US")])
        .service_for("bi", "token-of-bi", &[], &[], &["analysts"])
        .domain("sales", GRANTS, &[&table]);
    mesh.write(
        "domains/sales/data/orders.csv",
        "id,region\n1,EU\n2,US\n3,EU\n",
    );
    mesh.change(
        "mesh.yaml",
        "identity:\n",
        &format!("identity:\n{identity}"),
    );
    mesh
}

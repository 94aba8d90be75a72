"""A mesh of which the service `bi` sees a part: for what is hidden, and must show nowhere.

`shop.orders` it sees without the column `margin` and without the rows of the region `north`;
`shop.payroll` and all of the domain `vault` it does not see. `ana` (password `ana-demo`) sees all.
"""

from pathlib import Path

import pyarrow as pa

import mesh_files

TOKEN = "governed-token"
# None of these words may reach the service.
HIDDEN = ("margin", "payroll", "salary", "vault", "formulas", "north", "MARGIN-REMARK")


def column(name, physical, logical, **more):
    return {"name": name, "logicalType": logical, "physicalType": physical, **more}


def write(folder):
    """Returns the path of mesh.yaml."""
    folder = Path(folder)
    orders = [
        column("order_id", "BIGINT", "integer", description="One an order."),
        column("region", "VARCHAR", "string"),
        column("margin", "DECIMAL(12,2)", "number", description="MARGIN-REMARK"),
        column("amount", "DECIMAL(12,2)", "number"),
    ]
    payroll = [column("person", "VARCHAR", "string"), column("salary", "BIGINT", "integer")]
    formulas = [column("formula", "VARCHAR", "string")]
    contract = mesh_files.contract
    all_to_ana = {"name": "owner", "to": ["user:ana"], "on": "*", "columns": "*"}
    to_bi = {
        "name": "dashboard",
        "to": ["service:bi"],
        "on": "orders",
        "columns": {"except": ["margin"]},
        "rows": "region <> 'north'",
    }
    domains = {
        "shop": (
            # The hidden column is part of the key: the visible part is no key.
            [
                contract("shop", "orders", orders, primary_key=["order_id", "margin"], description="All orders."),
                contract("shop", "payroll", payroll, primary_key=["person"]),
            ],
            [all_to_ana, to_bi],
        ),
        "vault": ([contract("vault", "formulas", formulas)], [all_to_ana]),
    }
    users = [mesh_files.person("ana"), {"name": "bi", "kind": "service", "token": "file:bi.token"}]
    mesh = mesh_files.write_mesh(folder, "acme", domains, users)
    (folder / "bi.token").write_text(TOKEN)
    money = pa.decimal128(12, 2)
    rows = pa.table(
        {
            "order_id": pa.array([1, 2, 3], pa.int64()),
            "region": ["south", "north", "west"],
            "margin": pa.array([1, 2, 3], pa.int64()).cast(pa.decimal128(20, 0)).cast(money),
            "amount": pa.array([10, 20, 30], pa.int64()).cast(pa.decimal128(20, 0)).cast(money),
        }
    )
    mesh_files.write_rows(folder, "shop", "orders", rows)
    mesh_files.write_rows(folder, "shop", "payroll", pa.table({"person": ["ana"], "salary": pa.array([1], pa.int64())}))
    mesh_files.write_rows(folder, "vault", "formulas", pa.table({"formula": ["H2O"]}))
    return mesh

"""The mesh that the JDBC tests browse: catalog `acme`, of which `ben` sees a part and `ana` all.

What `ben` does not see: the column `shop.orders.margin`, the rows of the region `north`, the tables
`shop.payroll` and `shop.key_parts.secret_part`, the whole domain `vault`. Some names differ from
others only where a pattern has `_`.
"""

import datetime
import json
from decimal import Decimal
from pathlib import Path

import pyarrow as pa

import mesh_files

TOKEN = "jdbc-token"
# None of these words may reach `ben`.
HIDDEN = ("margin", "payroll", "salary", "vault", "formula", "secret_part", "north", "MARGIN-REMARK")


def column(name, logical, physical=None, **more):
    return {"name": name, "logicalType": logical, **({"physicalType": physical} if physical else {}), **more}


def write(folder, oidc=None):
    """Returns the path of mesh.yaml; `oidc`: an OpenID provider, as mesh.yaml has it."""
    folder = Path(folder)
    orders = [
        column("order_id", "integer", "BIGINT", description="One an order."),
        column("region", "string", "VARCHAR", required=True),
        column("margin", "number", "DECIMAL(12,2)", description="MARGIN-REMARK"),
        column("amount", "number", "DECIMAL(12,2)", description="In €, “net”; 100 % of it."),
        column("weight", "number", "REAL"),
        column("pieces", "integer", "INTEGER", required=True),
        column("paid", "boolean", "BOOLEAN"),
        column("due", "date", "DATE"),
        column("ordered_at", "timestamp", "TIMESTAMP(6) WITH TIME ZONE"),
        column("note", "string", "VARCHAR(200)"),
    ]
    lines = [
        column("sku", "string", "VARCHAR"),
        column("line_no", "integer", "INTEGER"),
        column("order_id", "integer", "BIGINT"),
    ]
    key_parts = [column("open_part", "integer", "BIGINT"), column("secret_part", "integer", "BIGINT")]
    contract = mesh_files.contract
    to_ana = {"name": "owner", "to": ["user:ana"], "on": "*", "columns": "*"}
    part = [
        {"name": "part", "to": ["user:ben", "group:sales-analysts"], "on": "orders", "columns": {"except": ["margin"]}, "rows": "region <> 'north'"},
        {"name": "lines", "to": ["user:ben"], "on": ["order_lines", "order1lines"], "columns": "*"},
        {"name": "keys", "to": ["user:ben"], "on": "key_parts", "columns": ["open_part"]},
    ]
    domains = {
        "shop": (
            [
                contract("shop", "orders", orders, primary_key=["order_id"], description="All orders."),
                # The order of the key is not that of the columns.
                contract("shop", "order_lines", lines, primary_key=["order_id", "line_no"]),
                contract("shop", "order1lines", lines),
                contract("shop", "key_parts", key_parts, primary_key=["open_part", "secret_part"]),
                contract("shop", "payroll", [column("person", "string"), column("salary", "integer")], primary_key=["person"]),
            ],
            [to_ana, *part],
        ),
        "hr_data": ([contract("hr_data", "people", [column("name", "string")])], [to_ana, {**to_ana, "name": "ben", "to": ["user:ben"]}]),
        "hr1data": ([contract("hr1data", "people", [column("name", "string")])], [to_ana, {**to_ana, "name": "ben", "to": ["user:ben"]}]),
        "vault": ([contract("vault", "formulas", [column("formula", "string")])], [to_ana]),
    }
    users = [mesh_files.person("ana"), mesh_files.person("ben"), mesh_files.person("carla"), {"name": "bi", "kind": "service", "token": "file:bi.token"}]
    mesh = mesh_files.write_mesh(folder, "acme", domains, users)
    (folder / "bi.token").write_text(TOKEN)
    if oidc:
        manifest = json.loads(mesh.read_text())
        manifest["identity"]["oidc"] = [oidc]
        mesh_files.write_json(mesh, manifest)
    utc = datetime.timezone.utc
    rows = pa.table(
        {
            "order_id": pa.array([1, 2, 3], pa.int64()),
            "region": ["south", "north", "west"],
            "margin": pa.array([Decimal("1.00")] * 3, pa.decimal128(12, 2)),
            "amount": pa.array([Decimal("10.50"), Decimal("20.00"), None], pa.decimal128(12, 2)),
            "weight": pa.array([0.5, None, 2.5], pa.float32()),
            "pieces": pa.array([1, 2, 3], pa.int32()),
            "paid": [True, None, False],
            "due": [datetime.date(2026, 12, 24), None, datetime.date(1969, 12, 31)],
            "ordered_at": pa.array([datetime.datetime(2026, 11, 25, 13, 37, 42, 123456, utc)] * 3, pa.timestamp("us", tz="UTC")),
            "note": ["Grüße", None, ""],
        }
    )
    mesh_files.write_rows(folder, "shop", "orders", rows)
    numbers = pa.array([1, 2], pa.int64())
    for table in ("order_lines", "order1lines"):
        mesh_files.write_rows(folder, "shop", table, pa.table({"sku": ["a", "b"], "line_no": numbers.cast(pa.int32()), "order_id": numbers}))
    mesh_files.write_rows(folder, "shop", "key_parts", pa.table({"open_part": numbers, "secret_part": numbers}))
    mesh_files.write_rows(folder, "shop", "payroll", pa.table({"person": ["ana"], "salary": pa.array([1], pa.int64())}))
    for domain in ("hr_data", "hr1data"):
        mesh_files.write_rows(folder, domain, "people", pa.table({"name": ["ana"]}))
    mesh_files.write_rows(folder, "vault", "formulas", pa.table({"formula": ["H2O"]}))
    return mesh

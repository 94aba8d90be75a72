"""Writes a mesh: manifests, and Parquet files that pyarrow makes.

All manifests are JSON, which is YAML as well.
"""

import json
import re
from pathlib import Path

import pyarrow.parquet

DEMO_MESH = Path(__file__).parents[2] / "testdata" / "demo" / "mesh.yaml"


def demo_password(user):
    """The hash of `<user>-demo`, for one of the demo's people."""
    return re.search(rf'- name: {user}\b.*\n\s+password: "([^"]+)"', DEMO_MESH.read_text())[1]


def person(user, groups=(), **more):
    """Logs in as in the demo: ana, ben, carla or dora, with `<user>-demo`."""
    return {"name": user, "password": demo_password(user), "groups": list(groups), **more}


def contract(domain, table, columns, *, primary_key=(), description=None, **more):
    """`columns`: the properties of an ODCS contract, dicts with at least name and type."""
    properties = [dict(column) for column in columns]
    for position, key in enumerate(primary_key, start=1):
        (column,) = (column for column in properties if column["name"] == key)
        column.update(primaryKey=True, primaryKeyPosition=position, required=True)
    schema = {"name": table, "logicalType": "object", "properties": properties, **more}
    if description:
        schema["description"] = description
    return {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"{domain}-{table}",
        "name": table,
        "version": "1.0.0",
        "status": "active",
        "domain": domain,
        "dataProduct": table,
        "servers": [
            {"server": "here", "type": "local", "environment": "test", "path": f"./data/{table}/*.parquet", "format": "parquet"}
        ],
        "schema": [schema],
    }


def write_json(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False))


def write_mesh(folder, name, domains, users):
    """Returns the path of mesh.yaml.

    `domains`: {domain: (contracts, grants)}; the files of the tables go to `data_folder`.
    """
    mesh = {
        "apiVersion": "weft/v1",
        "kind": "Mesh",
        "name": name,
        "environment": "test",
        "domains": [f"domains/{domain}/domain.yaml" for domain in domains],
        "identity": {"users": list(users)},
    }
    write_json(folder / "mesh.yaml", mesh)
    for domain, (contracts, grants) in domains.items():
        home = folder / "domains" / domain
        manifest = {
            "apiVersion": "weft/v1",
            "kind": "Domain",
            "name": domain,
            "storage": [{"name": "files", "url": "./data/"}],
            "products": ["products/*.odcs.yaml"],
            "grants": "grants.yaml",
        }
        write_json(home / "domain.yaml", manifest)
        write_json(home / "grants.yaml", {"apiVersion": "weft/v1", "kind": "Grants", "domain": domain, "grants": list(grants)})
        for document in contracts:
            table = document["schema"][0]["name"]
            write_json(home / "products" / f"{table}.odcs.yaml", document)
            data_folder(folder, domain, table).mkdir(parents=True, exist_ok=True)
    return folder / "mesh.yaml"


def data_folder(folder, domain, table):
    return folder / "domains" / domain / "data" / table


def write_rows(folder, domain, table, rows, **options):
    """Returns the file. Written before the server starts, so that it is there at once."""
    path = data_folder(folder, domain, table) / "part-0.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pyarrow.parquet.write_table(rows, path, **options)
    return path

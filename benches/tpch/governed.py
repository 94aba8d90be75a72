"""The same mesh under other grants, and the same by hand in SQL.

`open` gives everything; `rows` hides about half of every large table; `masks` has three masks;
`cells` has two grants that overlap, so that a cell depends on its row.
"""

import json

import tpch

ROWS = {
    "lineitem": "l_quantity <= 25",
    "orders": "o_totalprice <= 140000",
    "customer": "c_acctbal <= 4500",
    "part": "p_size <= 25",
    "partsupp": "ps_availqty <= 5000",
    "supplier": "s_acctbal <= 4500",
}
MASKS = {
    "customer": {"c_name": ("fixed('somebody')", "'somebody'"), "c_address": ("nullify", "CAST(NULL AS VARCHAR)")},
    "orders": {"o_orderdate": ("truncate_month", "CAST(date_trunc('month', o_orderdate) AS DATE)")},
}
# What the second grant adds to the rows of the first, without these columns.
WIDER = {
    "lineitem": ("l_quantity <= 45", ["l_comment", "l_tax"]),
    "orders": ("o_totalprice <= 300000", ["o_clerk", "o_comment"]),
    "customer": ("c_acctbal <= 9000", ["c_phone", "c_address"]),
}


def grant(name, on="*", **more):
    return {"name": name, "to": ["user:ana"], "on": on, "columns": "*", **more}


def grants(variant):
    """{domain: grants}"""
    found = {}
    for domain, tables in tpch.DOMAINS.items():
        found[domain] = []
        for table in tables:
            rows = ROWS.get(table)
            if variant == "rows" and rows:
                found[domain].append(grant(table, table, rows=rows))
            elif variant == "masks" and table in MASKS:
                masks = {column: mask for column, (mask, _) in MASKS[table].items()}
                found[domain].append(grant(table, table, masks=masks))
            elif variant == "cells" and table in WIDER:
                more, without = WIDER[table]
                found[domain].append(grant(table, table, rows=rows))
                found[domain].append({**grant(f"{table}-wider", table, rows=more), "columns": {"except": without}})
            else:
                found[domain].append(grant(table, table))
    return found


def write_mesh(folder, files, variant):
    mesh = tpch.write_mesh(folder, files)
    for domain, given in grants(variant).items():
        path = folder / "domains" / domain / "grants.yaml"
        path.write_text(json.dumps({**json.loads(path.read_text()), "grants": given}, indent=2))
    return mesh


def views(variant, columns):
    """{table: SELECT by hand}; `columns`: {table: names}. `{raw}` stands for the raw table."""
    found = {}
    if variant == "rows":
        found = {table: f"SELECT * FROM {{raw}} WHERE {rows}" for table, rows in ROWS.items()}
    elif variant == "masks":
        for table, masks in MASKS.items():
            shown = [f"{masks[it][1]} AS {it}" if it in masks else it for it in columns[table]]
            found[table] = f"SELECT {', '.join(shown)} FROM {{raw}}"
    elif variant == "cells":
        for table, (more, without) in WIDER.items():
            shown = [f"CASE WHEN {ROWS[table]} THEN {it} END AS {it}" if it in without else it for it in columns[table]]
            found[table] = f"SELECT {', '.join(shown)} FROM {{raw}} WHERE {ROWS[table]} OR {more}"
    return found

"""What it costs to grow: more files a table, more products a mesh, more grants a table.

    make bench-growth
    make bench-growth ARGS="--files 1,100 --products 1,1000 --grants 1,100"

Each mesh is started anew, and asked the same few things again and again. Prints a table, writes
`growth.json` and a chart. What larger files cost: `make bench` with other scales.
"""

import argparse
import json
import shutil
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "python"))

import pyarrow as pa
import pyarrow.parquet

import contenders
import mesh_files
import report
from weft_process import Weft

ROWS = 1_000_000
COLUMNS = [
    {"name": "id", "physicalType": "BIGINT", "logicalType": "integer"},
    {"name": "place", "physicalType": "INTEGER", "logicalType": "integer"},
    {"name": "amount", "physicalType": "DOUBLE", "logicalType": "number"},
]
PLACES = 1000
EVERYTHING = {"name": "all", "to": ["user:ana"], "on": "*", "columns": "*"}


def table(first, count):
    ids = pa.array(range(first, first + count), pa.int64())
    places = pa.array([it % PLACES for it in range(first, first + count)], pa.int32())
    amounts = pa.array([it * 0.5 for it in range(first, first + count)], pa.float64())
    return pa.table({"id": ids, "place": places, "amount": amounts})


def mesh(folder, products, files, grants):
    """`products` tables of one domain; the first has `files` files, which hold all rows together."""
    shutil.rmtree(folder, ignore_errors=True)
    contracts = [mesh_files.contract("shop", f"t{number}", COLUMNS) for number in range(products)]
    path = mesh_files.write_mesh(folder, "growth", {"shop": (contracts, grants)}, [mesh_files.person("ana")])
    size = ROWS // files
    data = mesh_files.data_folder(folder, "shop", "t0")
    for number in range(files):
        pyarrow.parquet.write_table(table(number * size, size), data / f"{number:05}.parquet")
    if products > 1:
        small = folder / "small.parquet"
        pyarrow.parquet.write_table(table(0, 100), small)
        for number in range(1, products):
            (mesh_files.data_folder(folder, "shop", f"t{number}") / "0.parquet").hardlink_to(small)
    return path


ASKED = {
    "select 1": "SELECT 1",
    "a row": f"SELECT amount FROM shop.t0 WHERE id = {ROWS // 2}",
    "all rows": "SELECT place, sum(amount) FROM shop.t0 GROUP BY place",
}


def measure(path, rounds):
    begin = time.perf_counter()
    weft = Weft(path)
    ready = time.perf_counter() - begin
    with weft.connect("ana") as connection, connection.cursor() as cursor:
        cursor.execute(ASKED["a row"])
        answered = len(cursor.fetchall())
        first = time.perf_counter() - begin
        memory = contenders.memory_bytes(weft.process.pid)
        found = {"ready s": ready, "first answer s": first, "MB at rest": memory / 1e6, "rows": answered}
        for name, sql in ASKED.items():
            took = []
            for _ in range(rounds + 1):
                begin = time.perf_counter()
                cursor.execute(sql)
                cursor.fetchall()
                took.append((time.perf_counter() - begin) * 1000)
            found[f"{name} ms"] = statistics.median(took[1:])
    weft.stop()
    return found


def some_places_each(count):
    """Each grant opens some places; together they open the table."""

    def of(number):
        return ", ".join(str(place) for place in range(PLACES) if place % count == number)

    return [{"name": f"places{number}", "to": ["user:ana"], "on": "t0", "columns": "*", "rows": f"place IN ({of(number)})"} for number in range(count)]


def numbers(text):
    return [int(it) for it in text.split(",")]


def chart(found, path):
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, all_axes = plt.subplots(1, len(found), figsize=(5 * len(found), 4), squeeze=False)
    for axes, (what, measured) in zip(all_axes[0], found.items()):
        for name in ("select 1 ms", "a row ms", "all rows ms"):
            axes.plot([int(it) for it in measured], [it[name] for it in measured.values()], "o-", label=name)
        axes.plot([int(it) for it in measured], [it["first answer s"] * 1000 for it in measured.values()], "o--", label="start to first answer ms")
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.set_xlabel(what)
        axes.legend(fontsize="small")
    figure.savefig(path, bbox_inches="tight")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=numbers, default=[1, 10, 100, 1000, 10000], help="files of one table")
    parser.add_argument("--products", type=numbers, default=[1, 10, 100, 1000, 10000], help="tables of the mesh")
    parser.add_argument("--grants", type=numbers, default=[1, 10, 100, 1000], help="grants of one table to one user, 1000 at most")
    parser.add_argument("--rounds", type=int, default=15, help="how often everything is asked (15)")
    parser.add_argument("--output", type=Path, required=True, help="a folder for data and results")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    folder = options.output / "mesh"
    make = {
        "files": (options.files, lambda it: mesh(folder, 1, it, [EVERYTHING])),
        "products": (options.products, lambda it: mesh(folder, it, 1, [EVERYTHING])),
        "grants": (options.grants, lambda it: mesh(folder, 1, 1, some_places_each(it))),
    }
    found = {}
    for what, (counts, write) in make.items():
        found[what] = {}
        for count in counts:
            path = write(count)
            found[what][str(count)] = measure(path, options.rounds)
            print(time.strftime("%H:%M:%S"), what, count, {name: round(it, 2) for name, it in found[what][str(count)].items()}, file=sys.stderr, flush=True)
    (options.output / "growth.json").write_text(json.dumps(found, indent=1))
    chart({what: it for what, it in found.items() if it}, options.output / "growth.svg")
    for what, measured in found.items():
        names = [name for name in next(iter(measured.values())) if name != "rows"]
        rows = [[count, *(f"{it[name]:.2f}" if name.endswith(" s") else f"{it[name]:.1f}" for name in names)] for count, it in measured.items()]
        print(report.table([what, *names], rows) + "\n")


if __name__ == "__main__":
    main()

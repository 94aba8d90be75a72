"""TPC-H through weft and through its peers, side by side in one run.

    make bench SF=1              # everything, into target/bench/sf1
    make bench SF=1 ARGS="--only queries,bulk --contenders weft,datafusion"

Every measurement asks all contenders in turn, again and again, and compares medians: a machine
that slows down slows all of them. Results are compared with DuckDB's. Writes `results.json`,
`results.md` and charts.
"""

import argparse
import json
import math
import os
import platform
import random
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "python"))

import pyarrow as pa
import pyarrow.parquet

import contenders
import governed
import report
import tpch

PARTS = ("queries", "governed", "bulk", "latency", "points", "start")
PEERS = ("sail", "roapi", "bare-flight", "datafusion", "duckdb")
VARIANTS = ("rows", "masks", "cells")


def timed(work):
    begin = time.perf_counter()
    result = work()
    return time.perf_counter() - begin, result


def say(*words):
    print(time.strftime("%H:%M:%S"), *words, file=sys.stderr, flush=True)


def in_turn(contenders, work, rounds):
    """{name: seconds of each round}; the first, which warms up, is left out, and so is who fails."""
    seconds = {it.name: [] for it in contenders}
    failed = {}
    for turn in range(rounds + 1):
        order = contenders[turn % len(contenders) :] + contenders[: turn % len(contenders)]
        for contender in order:
            if contender.name in failed:
                continue
            try:
                took, _ = timed(lambda: work(contender))
            except Exception as error:
                failed[contender.name] = str(error).splitlines()[0][:200]
                say(contender.name, "fails:", failed[contender.name])
                continue
            if turn:
                seconds[contender.name].append(took)
    return {name: it for name, it in seconds.items() if name not in failed}, failed


def rows(table):
    """What was answered, so that it can be compared: sorted by what is exact."""

    def plain(value):
        """Whole numbers as they are written: engines give sums of them other types."""
        if isinstance(value, float) or hasattr(value, "as_tuple"):
            return str(int(value)) if math.isfinite(value) and value == int(value) else float(value)
        return str(value)

    def key(row):
        return [it for it in row if isinstance(it, str)], [f"{it:.3g}" for it in row if isinstance(it, float)]

    return sorted((tuple(map(plain, row.values())) for row in table.to_pylist()), key=key)


def same(rows, others):
    """Numbers with a fraction to six digits: some engines make averages of no more."""

    def close(one, other):
        if one == other:
            return True
        try:
            return math.isclose(float(one), float(other), rel_tol=1e-6, abs_tol=1e-6)
        except ValueError:
            return False

    return len(rows) == len(others) and all(all(map(close, row, other)) for row, other in zip(rows, others))


def queries(found, all, oracle, rounds):
    """The 22 queries, warm."""
    found = found.setdefault("queries", {})
    for number, (_, sql) in tpch.QUERIES.items():
        expected = rows(oracle.query(sql))
        wrong = {}
        for contender in all:
            try:
                if not same(rows(contender.query(sql)), expected):
                    wrong[contender.name] = "another result than DuckDB"
            except Exception as error:
                wrong[contender.name] = str(error).splitlines()[0][:200]
        seconds, failed = in_turn([it for it in all if it.name not in wrong], lambda it: it.query(sql), rounds)
        found[number] = {"seconds": seconds, "failed": {**wrong, **failed}}
        say(f"q{number}", {name: f"{statistics.median(it) * 1000:.0f} ms" for name, it in seconds.items()}, wrong or "")


def governed_queries(found, variant, weft, by_hand, rounds):
    found = found.setdefault("governed", {}).setdefault(variant, {})
    for number, (_, sql) in tpch.QUERIES.items():
        equal = same(rows(weft.query(sql)), rows(by_hand.query(sql)))
        seconds, failed = in_turn([weft, by_hand], lambda it: it.query(sql), rounds)
        found[number] = {"seconds": seconds, "failed": failed, "same": equal}
        say(variant, f"q{number}", {name: f"{statistics.median(it) * 1000:.0f} ms" for name, it in seconds.items()}, "" if equal else "DIFFERS")


def bulk(found, servers, rounds):
    """All of lineitem over the wire; bytes are those of the Arrow table."""
    size = {}

    def read(contender):
        table = contender.query("SELECT * FROM sales.lineitem")
        size[contender.name] = table.nbytes
        return table.num_rows

    seconds, failed = in_turn(servers, read, rounds)
    found["bulk"] = {"seconds": seconds, "failed": failed, "bytes": size}
    say("bulk", {name: f"{size[name] / statistics.median(it) / 1e9:.2f} GB/s" for name, it in seconds.items()})


def latency(found, servers, calls):
    """`SELECT 1`, one call after the other."""
    seconds, failed = in_turn(servers, lambda it: it.query("SELECT 1"), calls)
    found["latency"] = {"seconds": seconds, "failed": failed}
    say("select 1", {name: f"{statistics.median(it) * 1000:.2f} ms" for name, it in seconds.items()})


def points(found, servers, scale, duration):
    """Orders by their keys, with 1, 8 and 32 clients, each with a connection of its own."""
    found = found.setdefault("points", {})
    for clients in (1, 8, 32):
        for contender in servers:
            took, failures = [], []
            end = time.perf_counter() + duration

            def client(seed):
                chosen = random.Random(seed)
                try:
                    with contender.connect() as connection, connection.cursor() as cursor:
                        while time.perf_counter() < end:
                            # TPC-H uses 8 of every 32 keys.
                            block, rest = chosen.randrange(int(1_500_000 * scale) // 8), chosen.randrange(1, 8)
                            sql = f"SELECT o_orderkey, o_totalprice, o_orderdate FROM sales.orders WHERE o_orderkey = {block * 32 + rest}"
                            begin = time.perf_counter()
                            cursor.execute(contender.sql(sql))
                            cursor.fetchall()
                            took.append(time.perf_counter() - begin)
                except Exception as error:
                    failures.append(str(error).splitlines()[0][:200])

            threads = [threading.Thread(target=client, args=(seed,)) for seed in range(clients)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            ordered = sorted(took) or [math.nan]
            found.setdefault(str(clients), {})[contender.name] = {
                "per_second": len(took) / duration,
                "p50": ordered[len(ordered) // 2],
                "p99": ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)],
                "failed": failures,
            }
            say(f"points, {clients} clients", contender.name, f"{len(took) / duration:.0f}/s p50 {ordered[len(ordered) // 2] * 1000:.1f} ms", failures[:1] or "")


def start(found, make, rounds):
    """From nothing to the first answer, and what is in memory then."""
    found = found.setdefault("start", {})
    for name, begin in make.items():
        seconds, memory = [], []
        for _ in range(rounds):
            took, contender = timed(lambda: (it := begin(), it.query("SELECT count(*) FROM reference.nation"))[0])
            seconds.append(took)
            memory.append(contenders.memory_bytes(contender.pid))
            contender.close()
        found[name] = {"seconds": seconds, "bytes": memory}
        say("start", name, f"{statistics.median(seconds):.2f} s, {statistics.median(memory) / 1e6:.0f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1, help="TPC-H's scale factor (1)")
    parser.add_argument("--rounds", type=int, default=5, help="how often everything is asked (5)")
    parser.add_argument("--output", type=Path, required=True, help="a folder for data and results")
    parser.add_argument("--only", default=",".join(PARTS), help="parts to run (%(default)s)")
    parser.add_argument("--contenders", default=",".join(("weft", *PEERS)), help="beside weft (%(default)s)")
    parser.add_argument("--bare-flight", type=Path, help="the program of benches/flight; without it that one is left out")
    options = parser.parse_args()
    parts, wanted = options.only.split(","), options.contenders.split(",")
    unknown = {*parts} - {*PARTS} | {*wanted} - {"weft", *PEERS}
    if unknown:
        parser.error(f"unknown: {', '.join(sorted(unknown))}")

    options.output.mkdir(parents=True, exist_ok=True)
    data = options.output / "data"
    if not (data / "lineitem.parquet").exists():
        say("generating TPC-H, scale", options.scale)
        data.mkdir(exist_ok=True)
        tpch.generate(data, f"{options.scale:g}")
    files = {table: data / f"{table}.parquet" for table in contenders.TABLES}
    columns = {table: pyarrow.parquet.read_schema(path).names for table, path in files.items()}

    def mesh(variant):
        folder = options.output / "mesh" / variant
        if folder.exists():
            return folder / "mesh.yaml"
        return governed.write_mesh(folder, files, variant)

    make = {
        "weft": lambda: contenders.WeftServer("weft", mesh("open")),
        "sail": lambda: contenders.Sail(files, options.output),
        "roapi": lambda: contenders.Roapi(files, options.output),
        "bare-flight": lambda: contenders.BareFlight(options.bare_flight.resolve(), files, options.output),
        "datafusion": lambda: contenders.DataFusion(files),
        "duckdb": lambda: contenders.DuckDB(files),
    }
    if not options.bare_flight:
        wanted = [it for it in wanted if it != "bare-flight"]
    found = {
        "scale": options.scale,
        "rounds": options.rounds,
        "cores": os.cpu_count(),
        "machine": platform.platform(),
        "versions": report.versions(),
    }
    say("starting", ", ".join(wanted))
    running = {name: make[name]() for name in wanted}
    oracle = running.get("duckdb") or make["duckdb"]()
    servers = [it for it in running.values() if isinstance(it, contenders.Server)]
    engines = [it for it in running.values() if it.name != "bare-flight"]
    if "latency" in parts:
        latency(found, servers + [it for it in engines if it.pid is None], 200)
    if "points" in parts:
        points(found, [it for it in servers if it.name != "bare-flight"], options.scale, 5)
    if "queries" in parts:
        queries(found, engines, oracle, options.rounds)
    if "bulk" in parts:
        bulk(found, servers + [it for it in engines if it.name == "datafusion"], max(3, options.rounds // 2))
    found["peak_bytes"] = {it.name: contenders.memory_bytes(it.pid, "VmHWM") for it in servers}
    for contender in running.values():
        contender.close()
    if "governed" in parts:
        for variant in VARIANTS:
            weft = contenders.WeftServer("weft", mesh(variant))
            by_hand = contenders.DataFusion(files, "by hand", governed.views(variant, columns))
            governed_queries(found, variant, weft, by_hand, options.rounds)
            weft.close()
    if "start" in parts:
        start(found, {name: make[name] for name in ("weft", "sail", "roapi") if name in wanted}, 3)
    (options.output / "results.json").write_text(json.dumps(found, indent=1))
    text = report.markdown(found)
    (options.output / "results.md").write_text(text)
    report.charts(found, options.output)
    print(text)


if __name__ == "__main__":
    main()

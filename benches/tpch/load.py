"""What holds when everybody presses "run": many clients at once, and statements that do not fit.

    make bench-load SF=1 SECONDS=600

A crowd of clients: most run heavy joins one after the other, the others ask for a row now and
then, as dashboards do, each as a user of its own. Beside them somebody asks whether the server is
healthy, and how much memory it has. Then statements that need three times the memory they may
have, many at once. Prints a table and writes `load.json`; fails if a statement ended with
anything but its rows or a clear refusal.
"""

import argparse
import json
import random
import re
import shutil
import statistics
import sys
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "python"))

import grpc

import contenders
import report
import tpch
from weft_process import Weft

PASSWORD = "ana-demo"
HEAVY = (5, 7, 8, 9, 18, 21)
# What a refusal says that is no failure: the queue, or a limit by its name.
CLEAR = re.compile(r"the server is busy|limit `|more memory than it may have")
POINT = "SELECT o_orderkey, o_totalprice, o_orderdate FROM sales.orders WHERE o_orderkey = {key}"
# Sorts and groups what has several times the memory of one statement.
LARGE = (
    "SELECT l_orderkey, l_comment FROM sales.lineitem ORDER BY l_comment, l_orderkey LIMIT 3000000",
    "SELECT count(*) FROM (SELECT l_comment, l_orderkey, count(*) FROM sales.lineitem GROUP BY l_comment, l_orderkey)",
)


def user(number):
    return f"user{number}"


def key(chosen, scale):
    # TPC-H uses 8 of every 32 keys.
    return chosen.randrange(int(1_500_000 * scale) // 8) * 32 + chosen.randrange(1, 8)


def quantile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))] if ordered else float("nan")


class Crowd:
    """Everybody who asks, until `seconds` are over."""

    def __init__(self, weft, scale, seconds):
        self.weft, self.scale = weft, scale
        self.end = time.monotonic() + seconds
        self.heavy, self.points, self.health, self.memory = [], [], [], []
        self.refused, self.failed = [], []

    def ask(self, cursor, sql, took):
        begin = time.perf_counter()
        try:
            cursor.execute(sql)
            cursor.fetchall()
            took.append(time.perf_counter() - begin)
        except Exception as error:
            text = str(error).splitlines()[0][:300]
            (self.refused if CLEAR.search(text) else self.failed).append(text)
            # As a client that is told to try again.
            time.sleep(1)

    def client(self, work, number):
        try:
            work(number)
        except Exception as error:
            self.failed.append(f"client {number}: {error}")

    def heavy_client(self, number):
        chosen = random.Random(number)
        with self.weft.connect(user(number), PASSWORD) as connection, connection.cursor() as cursor:
            while time.monotonic() < self.end:
                self.ask(cursor, tpch.QUERIES[chosen.choice(HEAVY)][1], self.heavy)

    def point_client(self, number):
        chosen = random.Random(number)
        with self.weft.connect(user(number), PASSWORD) as connection, connection.cursor() as cursor:
            while time.monotonic() < self.end:
                time.sleep(chosen.uniform(0.5, 1.5))
                self.ask(cursor, POINT.format(key=key(chosen, self.scale)), self.points)

    def watch(self):
        with grpc.insecure_channel(self.weft.url.removeprefix("grpc://")) as channel:
            check = channel.unary_unary("/grpc.health.v1.Health/Check", request_serializer=bytes, response_deserializer=bytes)
            while time.monotonic() < self.end:
                begin = time.perf_counter()
                try:
                    check(b"", timeout=10)
                    self.health.append(time.perf_counter() - begin)
                except grpc.RpcError as error:
                    self.failed.append(f"health: {error.code()}")
                self.memory.append(contenders.memory_bytes(self.weft.process.pid))
                time.sleep(0.2)

    def run(self, heavy, points):
        threads = [threading.Thread(target=self.client, args=(self.heavy_client, number)) for number in range(heavy)]
        threads += [threading.Thread(target=self.client, args=(self.point_client, heavy + number)) for number in range(points)]
        threads.append(threading.Thread(target=self.watch))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def idle_points(weft, scale, count=200):
    took, chosen = [], random.Random(0)
    with weft.connect(user(0), PASSWORD) as connection, connection.cursor() as cursor:
        for _ in range(count):
            begin = time.perf_counter()
            cursor.execute(POINT.format(key=key(chosen, scale)))
            cursor.fetchall()
            took.append(time.perf_counter() - begin)
    return took[count // 10 :]


def crowd(weft, options):
    idle = quantile(idle_points(weft, options.scale), 0.5)
    it = Crowd(weft, options.scale, options.seconds)
    it.run(options.heavy, options.points)
    quarter = len(it.memory) // 4
    return {
        "clients": {"heavy": options.heavy, "points": options.points},
        "seconds": options.seconds,
        "heavy": {"done": len(it.heavy), "p50": quantile(it.heavy, 0.5), "p99": quantile(it.heavy, 0.99)},
        "points": {"done": len(it.points), "idle p50": idle, "p50": quantile(it.points, 0.5), "p99": quantile(it.points, 0.99)},
        "health": {"asked": len(it.health), "p50": quantile(it.health, 0.5), "p99": quantile(it.health, 0.99)},
        "memory": {"second quarter": statistics.median(it.memory[quarter : 2 * quarter]), "last quarter": statistics.median(it.memory[-quarter:]), "peak": max(it.memory)},
        "refused": sorted({re.sub(r"[0-9a-f-]{36}", "…", text) for text in it.refused}),
        "refusals": len(it.refused),
        "failed": it.failed,
    }


def large(mesh, options):
    """Statements that need several times what one may have, all at once."""
    weft = Weft(mesh, "--query-memory-limit", options.memory, "--memory-limit", options.memory_of_all)
    ended = {"rows": 0, "refused": []}
    failed = []

    def client(number):
        try:
            with weft.connect(user(number), PASSWORD) as connection, connection.cursor() as cursor:
                cursor.execute(LARGE[number % len(LARGE)])
                reader = cursor.fetch_record_batch()
                for _ in reader:
                    pass
                ended["rows"] += 1
        except Exception as error:
            text = str(error).splitlines()[0][:300]
            (ended["refused"] if CLEAR.search(text) else failed).append(text)

    begin = time.perf_counter()
    threads = [threading.Thread(target=client, args=(number,)) for number in range(options.large)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    alive = weft.process.poll() is None and weft.rows(user(0), "SELECT 1", password=PASSWORD) == [(1,)]
    peak = contenders.memory_bytes(weft.process.pid, "VmHWM") if alive else None
    weft.stop()
    return {
        "statements": options.large,
        "memory of one": options.memory,
        "memory of all": options.memory_of_all,
        "seconds": took,
        "answered": ended["rows"],
        "refused": len(ended["refused"]),
        "refusals": sorted({re.sub(r"[0-9a-f-]{36}", "…", text) for text in ended["refused"]}),
        "failed": failed,
        "alive": alive,
        "peak": peak,
    }


def milliseconds(seconds):
    return f"{seconds * 1000:.1f}"


def markdown(found):
    lines = []
    if it := found.get("crowd"):
        clients = it["clients"]
        head = [f"{clients['heavy']} clients with heavy joins, {clients['points']} with points, {it['seconds']} s", "count", "p50 ms", "p99 ms"]
        rows = [
            ["points, nobody else", "", milliseconds(it["points"]["idle p50"]), ""],
            *([name, it[name][count], milliseconds(it[name]["p50"]), milliseconds(it[name]["p99"])] for name, count in (("points", "done"), ("heavy", "done"), ("health", "asked"))),
        ]
        memory = {name: f"{size / 1e6:.0f} MB" for name, size in it["memory"].items()}
        lines += [report.table(head, rows), "", f"Refused {it['refusals']}, failed {len(it['failed'])}; memory: {memory}"]
        lines += [f"- {text}" for text in it["refused"] + it["failed"][:5]]
    if it := found.get("large"):
        peak = f"{it['peak'] / 1e6:.0f} MB at most" if it["alive"] else "THE SERVER DIED"
        lines += ["", f"{it['statements']} statements that need more than their {it['memory of one']} ({it['memory of all']} for all): {it['answered']} answered, {it['refused']} refused, {len(it['failed'])} failed in {it['seconds']:.0f} s; {peak}"]
        lines += [f"- {text}" for text in it["refusals"] + it["failed"][:5]]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1, help="TPC-H's scale factor (1)")
    parser.add_argument("--seconds", type=int, default=600, help="how long the crowd asks (600)")
    parser.add_argument("--heavy", type=int, default=48, help="clients that run joins (48)")
    parser.add_argument("--points", type=int, default=16, help="clients that ask for rows (16)")
    parser.add_argument("--large", type=int, default=50, help="statements at once that do not fit (50)")
    parser.add_argument("--memory", default="64MiB", help="what one of them may have (64MiB)")
    parser.add_argument("--memory-of-all", default="512MiB", help="what all may have together (512MiB)")
    parser.add_argument("--only", default="crowd,large", help="parts to run (%(default)s)")
    parser.add_argument("--output", type=Path, required=True, help="a folder for data and results")
    options = parser.parse_args()
    data = options.output / "data"
    if not (data / "lineitem.parquet").exists():
        data.mkdir(parents=True, exist_ok=True)
        tpch.generate(data, f"{options.scale:g}")
    files = {table: data / f"{table}.parquet" for table in contenders.TABLES}
    mesh = options.output / "mesh" / "load" / "mesh.yaml"
    shutil.rmtree(mesh.parent, ignore_errors=True)
    users = max(options.heavy + options.points, options.large)
    tpch.write_mesh(mesh.parent, files, [user(number) for number in range(users)])
    found = {}
    if "crowd" in options.only:
        weft = Weft(mesh)
        found["crowd"] = crowd(weft, options)
        weft.stop()
    if "large" in options.only:
        found["large"] = large(mesh, options)
    (options.output / "load.json").write_text(json.dumps(found, indent=1))
    print(markdown(found))
    sys.exit(any(it["failed"] or not it.get("alive", True) for it in found.values()))


if __name__ == "__main__":
    main()

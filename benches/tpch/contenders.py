"""What is measured side by side: weft, other Flight SQL servers, and engines in this process.

Each has `name`, `query(sql)` which returns a pyarrow table, `connect()` for a connection of its
own where it is a server, and `close()`. SQL names tables as weft does, `domain.table`.
"""

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import adbc_driver_flightsql
import adbc_driver_flightsql.dbapi as flightsql
import datafusion
import duckdb

import tpch
from weft_process import Weft

TABLES = {table: domain for domain, tables in tpch.DOMAINS.items() for table in tables}
QUALIFIED = re.compile(r"\b(?:sales|supply|reference)\.(?=\w)")


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def memory_bytes(pid, key="VmRSS"):
    """Of a process and its children."""
    total = 0
    for process in [pid, *children(pid)]:
        try:
            status = Path(f"/proc/{process}/status").read_text()
        except FileNotFoundError:
            continue
        found = re.search(rf"^{key}:\s+(\d+) kB", status, re.MULTILINE)
        total += int(found[1]) * 1024 if found else 0
    return total


def children(pid):
    found = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *children(int(child))]
    return found


class Server:
    """A Flight SQL server, asked through ADBC."""

    pid = None
    options = {}

    def connect(self):
        large = adbc_driver_flightsql.DatabaseOptions.WITH_MAX_MSG_SIZE.value
        return flightsql.connect(self.url, db_kwargs={large: str(256 << 20), **self.options}, autocommit=True)

    def sql(self, sql):
        return sql

    def query(self, sql):
        if not hasattr(self, "connection"):
            self.connection = self.connect()
        with self.connection.cursor() as cursor:
            cursor.execute(self.sql(sql))
            return cursor.fetch_arrow_table()

    def close(self):
        if hasattr(self, "connection"):
            self.connection.close()
            del self.connection
        self.stop()


class WeftServer(Server):
    def __init__(self, name, mesh):
        self.name = name
        self.weft = Weft(mesh)
        self.url, self.pid = self.weft.url, self.weft.process.pid
        self.options = {"username": "ana", "password": "ana-demo"}

    def stop(self):
        self.weft.stop()


class Peer(Server):
    """A program that serves until it is killed."""

    def start(self, command, port, log):
        self.url = f"grpc://127.0.0.1:{port}"
        self.process = subprocess.Popen(command, stdout=log.open("wb"), stderr=subprocess.STDOUT)
        self.pid = self.process.pid
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"{self.name} does not start: see {log}") from None
                time.sleep(0.1)

    def sql(self, sql):
        return QUALIFIED.sub("", sql)

    def stop(self):
        self.process.kill()
        self.process.wait()


class Sail(Peer):
    name = "sail"

    def __init__(self, files, folder):
        port = free_port()
        program = Path(sys.executable).with_name("sail")
        self.start([program, "flight", "server", "--port", str(port)], port, folder / "sail.log")
        for table, path in files.items():
            self.query(f"CREATE TABLE {table} USING parquet LOCATION '{path}'")


class Roapi(Peer):
    name = "roapi"

    def __init__(self, files, folder):
        port = free_port()
        lines = [f"addr:\n  http: 127.0.0.1:{free_port()}\n  postgres: 127.0.0.1:{free_port()}\n  flight_sql: 127.0.0.1:{port}\ntables:"]
        lines += [f"  - name: {table}\n    uri: {path}\n    option: {{format: parquet, use_memory_table: false}}" for table, path in files.items()]
        config = folder / "roapi.yml"
        config.write_text("\n".join(lines) + "\n")
        program = Path(sys.executable).with_name("roapi")
        self.start([program, "-c", config], port, folder / "roapi.log")


class BareFlight(Peer):
    """arrow-flight's server with lineitem in memory and a constant: what the protocol costs by itself."""

    name = "bare-flight"

    def __init__(self, program, files, folder):
        port = free_port()
        self.start([program, f"127.0.0.1:{port}", files["lineitem"]], port, folder / "bare-flight.log")


class DataFusion:
    """In this process; `views` are made of the raw tables by hand: {table: SELECT}."""

    pid = None

    def __init__(self, files, name="datafusion", views=None):
        self.name = name
        self.context = datafusion.SessionContext()
        for domain, tables in tpch.DOMAINS.items():
            self.context.sql(f"CREATE SCHEMA {domain}")
            self.context.sql(f"CREATE SCHEMA raw_{domain}")
            for table in tables:
                view = (views or {}).get(table)
                place = f"raw_{domain}.{table}" if view else f"{domain}.{table}"
                self.context.sql(f"CREATE EXTERNAL TABLE {place} STORED AS PARQUET LOCATION '{files[table]}'")
                if view:
                    self.context.sql(f"CREATE VIEW {domain}.{table} AS {view.format(raw=place)}")

    def query(self, sql):
        return self.context.sql(sql).to_arrow_table()

    def close(self):
        pass


class DuckDB:
    name, pid = "duckdb", None

    def __init__(self, files):
        self.connection = duckdb.connect()
        self.connection.execute(f"SET threads = {os.cpu_count()}")
        for table, path in files.items():
            self.connection.execute(f"CREATE SCHEMA IF NOT EXISTS {TABLES[table]}")
            self.connection.execute(f"CREATE VIEW {TABLES[table]}.{table} AS SELECT * FROM '{path}'")

    def query(self, sql):
        return self.connection.execute(sql).to_arrow_table()

    def close(self):
        self.connection.close()

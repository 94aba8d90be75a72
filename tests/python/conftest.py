"""A built `weft`, a mesh on real files and a real S3, and clients that we did not write."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql
import pytest

from object_store import ObjectStore

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "testdata" / "demo"
READY = re.compile(r"^weft is ready on (grpc(?:\+tls)?://\S+)$")


def weft_bin():
    path = os.environ.get("WEFT_BIN")
    if not path or not Path(path).is_file():
        pytest.exit("WEFT_BIN names no built binary: run `make test-python`", returncode=2)
    return path


class Weft:
    """A running `weft serve`."""

    def __init__(self, mesh, *arguments, env=None):
        self.mesh = Path(mesh)
        self.process = subprocess.Popen(
            [weft_bin(), "serve", "--mesh", str(mesh), "--listen", "127.0.0.1:0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.log = []
        threading.Thread(target=self._keep_log, daemon=True).start()
        line = self.process.stdout.readline().rstrip("\n")
        ready = READY.match(line)
        if not ready:
            self.process.wait(10)
            time.sleep(0.2)
            raise RuntimeError(f"not ready: {line!r}\n{''.join(self.log)}")
        self.url = ready[1]

    def _keep_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def connect(self, user, password=None, **options):
        return flightsql.connect(
            self.url,
            db_kwargs={"username": user, "password": password or f"{user}-demo", **options},
            autocommit=True,
        )

    def rows(self, user, sql, **options):
        with self.connect(user, **options) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def stop(self, signal_number=signal.SIGTERM):
        """Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def wait_until(self, condition, seconds=15):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("it did not happen in time:\n" + "".join(self.log[-20:]))
            time.sleep(0.1)


def copy_demo(to):
    shutil.copytree(DEMO, to, ignore=shutil.ignore_patterns("generate.py", "__pycache__"))
    return to / "mesh.yaml"


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """The demo mesh as committed, on local files."""
    weft = Weft(copy_demo(tmp_path_factory.mktemp("demo") / "mesh"))
    yield weft
    assert weft.stop() == 0, "".join(weft.log)


@pytest.fixture(scope="session")
def object_store():
    """moto's S3 with its IAM enforced: a bucket and a user for each domain on it."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        store = ObjectStore(f"http://127.0.0.1:{port}", process)
        for domain in ("sales", "crm"):
            store.add_domain(domain, DEMO / "domains" / domain / "data")
        store.enforce()
        yield store
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def lake_mesh(object_store, tmp_path_factory):
    """The demo mesh with sales' orders and crm on S3, logistics and hr on local files."""
    mesh = copy_demo(tmp_path_factory.mktemp("lake") / "mesh")
    text = mesh.read_text()
    mesh.write_text(text.replace("environment: demo", "environment: prod"))
    for domain in ("sales", "crm"):
        manifest = mesh.parent / "domains" / domain / "domain.yaml"
        storage = object_store.storage_yaml(domain)
        manifest.write_text(manifest.read_text().replace("storage:\n", "storage:\n" + storage))
        shutil.rmtree(mesh.parent / "domains" / domain / "data" / ("orders" if domain == "sales" else "customers"))
    return mesh


@pytest.fixture(scope="session")
def lake(lake_mesh, object_store):
    weft = Weft(lake_mesh, env=object_store.environment())
    yield weft
    assert weft.stop() == 0, "".join(weft.log)

"""A built `weft`, a mesh on real files and a real S3, and clients that we did not write."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from object_store import ObjectStore
from weft_process import Weft, weft_bin

__all__ = ["DEMO", "ROOT", "Weft", "copy_demo", "free_port", "make_certificate", "weft_bin"]

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "testdata" / "demo"


def copy_demo(to):
    shutil.copytree(DEMO, to, ignore=shutil.ignore_patterns("generate.py", "__pycache__"))
    return to / "mesh.yaml"


def make_certificate(folder):
    """For localhost, signed by itself. Returns the files of the certificate and its key."""
    openssl = shutil.which("openssl")
    if not openssl:
        pytest.skip("needs openssl to make a certificate")
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
         "-addext", "basicConstraints=critical,CA:FALSE", "-keyout", str(key), "-out", str(cert)],
        check=True, capture_output=True,
    )
    return cert, key


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

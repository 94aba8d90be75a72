"""arrow-go's Flight SQL client and its database/sql driver: runs the tests in tests/go."""

import os
import shutil
import subprocess

import pytest

import all_types
from conftest import ROOT, make_certificate
from weft_process import Weft

GO_TESTS = ROOT / "tests" / "go"
NO_NETWORK = ("dial tcp", "no such host", "i/o timeout", "proxyconnect", "connection refused")


@pytest.fixture(scope="module")
def go():
    """The program, with the modules it needs on this machine."""
    program = shutil.which("go") or shutil.which("/usr/local/go/bin/go")
    if not program:
        pytest.skip("Go is not installed")
    fetched = subprocess.run([program, "mod", "download"], cwd=GO_TESTS, capture_output=True, text=True)
    if fetched.returncode and any(text in fetched.stderr for text in NO_NETWORK):
        pytest.skip(f"Go's modules cannot be fetched: {fetched.stderr.strip().splitlines()[-1]}")
    assert fetched.returncode == 0, fetched.stderr
    return program


@pytest.fixture(scope="module")
def types(tmp_path_factory):
    folder = tmp_path_factory.mktemp("types")
    return folder, all_types.write(folder)


@pytest.fixture(scope="module")
def plain(types):
    weft = Weft(types[1])
    yield weft
    assert weft.stop() == 0, "".join(weft.log)


@pytest.fixture(scope="module")
def encrypted(types, tmp_path_factory):
    certificate, key = make_certificate(tmp_path_factory.mktemp("tls"))
    weft = Weft(types[1], "--tls-cert", str(certificate), "--tls-key", str(key))
    yield weft, certificate
    assert weft.stop() == 0, "".join(weft.log)


# The first time, all of gRPC is compiled.
@pytest.mark.timeout(600)
def test_go_clients(go, types, plain, encrypted):
    done = subprocess.run(
        [go, "test", "-count=1", "-timeout=120s", "./..."],
        cwd=GO_TESTS,
        env={
            **os.environ,
            # The Go of this machine, and no newer one from the network.
            "GOTOOLCHAIN": "local",
            "WEFT_ADDRESS": plain.url.split("://")[1],
            "WEFT_TLS_ADDRESS": encrypted[0].url.split("://")[1],
            "WEFT_TLS_CA": str(encrypted[1]),
            "WEFT_TOKEN": all_types.TOKEN,
            "WEFT_TYPES": str(types[0]),
        },
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]

"""The tests in adbc/ again, in an environment with an old driver (1.0.0)."""

import os
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent


@pytest.mark.timeout(300)
def test_with_an_old_driver():
    python = os.environ.get("WEFT_OLD_ADBC_PYTHON")
    if not python:
        pytest.skip("WEFT_OLD_ADBC_PYTHON names no Python with requirements-old-adbc.txt: run `make test-python`")
    done = subprocess.run(
        # Without the conftest.py beside this file, which needs more than that environment has.
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--tb=short", "--confcutdir", HERE / "adbc", HERE / "adbc"],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr

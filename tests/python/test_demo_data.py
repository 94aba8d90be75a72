"""testdata/demo is what its script writes."""

import subprocess
import sys

import pyarrow.parquet as parquet

from conftest import DEMO


def test_the_script_writes_the_committed_files(tmp_path):
    subprocess.run([sys.executable, str(DEMO / "generate.py"), str(tmp_path)], check=True)
    written = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    committed = sorted(path.relative_to(DEMO) for path in DEMO.glob("domains/*/data/**/*") if path.is_file())
    assert written == committed
    for path in written:
        if path.suffix == ".parquet":
            # Another pyarrow may lay the same rows out in other bytes.
            one, other = (parquet.ParquetFile(root / path).read() for root in (tmp_path, DEMO))
            assert one.equals(other), path
        else:
            assert (tmp_path / path).read_bytes() == (DEMO / path).read_bytes(), path


def test_the_demo_stays_small():
    assert sum(path.stat().st_size for path in DEMO.rglob("*") if path.is_file()) < 400_000

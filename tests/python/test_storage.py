"""A domain reads with its own credentials, and with no other's."""

import re
import shutil

import botocore.exceptions
import pytest

from conftest import Weft, copy_demo


def test_the_store_itself_keeps_the_domains_apart(object_store):
    crm = object_store.client("s3", object_store.keys["crm"])
    assert crm.list_objects_v2(Bucket="acme-crm", Prefix="lake/")["KeyCount"] > 0
    key = "lake/orders/month=2026-04/part-0.parquet"
    with pytest.raises(botocore.exceptions.ClientError, match="AccessDenied|403"):
        crm.get_object(Bucket="acme-sales", Key=key)
    assert object_store.client("s3", object_store.keys["sales"]).get_object(Bucket="acme-sales", Key=key)


def test_a_domain_with_the_other_domains_credentials_reads_nothing(object_store, lake_mesh, tmp_path):
    """crm is given the keys of sales: its tables fail, without a word of the store; the others serve on."""
    mesh = tmp_path / "mesh"
    shutil.copytree(lake_mesh.parent, mesh)
    manifest = mesh / "domains" / "crm" / "domain.yaml"
    manifest.write_text(manifest.read_text().replace("env:CRM_", "env:SALES_"))
    weft = Weft(mesh / "mesh.yaml", env=object_store.environment())
    try:
        with pytest.raises(Exception) as refusal:
            weft.rows("ben", "SELECT count(*) FROM crm.customers")
        text = str(refusal.value)
        for secret in ("acme-crm", "lake/", "127.0.0.1:" + object_store.endpoint.rsplit(":", 1)[1], *object_store.keys["sales"]):
            assert secret not in text, text
        assert weft.rows("ben", "SELECT count(*) FROM sales.orders") == [(1800,)]
    finally:
        assert weft.stop() == 0
    log = "".join(weft.log)
    for _, secret in object_store.keys.values():
        assert secret not in log


def test_a_wrong_secret_is_an_error_that_names_no_secret(object_store, lake_mesh):
    environment = {**object_store.environment(), "CRM_SECRET": "not-the-secret-of-crm"}
    weft = Weft(lake_mesh, env=environment)
    try:
        with pytest.raises(Exception) as refusal:
            weft.rows("ben", "SELECT count(*) FROM crm.customers")
        assert "not-the-secret" not in str(refusal.value)
        assert weft.rows("ben", "SELECT count(*) FROM sales.orders") == [(1800,)]
    finally:
        assert weft.stop() == 0
    assert "not-the-secret" not in "".join(weft.log)


@pytest.mark.parametrize(
    ("content", "path_in_log"),
    [
        (b"PAR1" + b"not a footer" * 100 + (12).to_bytes(4, "little") + b"PAR1", True),
        (b"not Parquet at all" * 100, True),
        # The parquet crate panics on a footer that is longer than its file, before anybody knows the path.
        (b"PAR1" + b"not a footer" * 100 + (1 << 30).to_bytes(4, "little") + b"PAR1", False),
    ],
    ids=["garbled-footer", "no-footer", "endless-footer"],
)
def test_a_corrupt_file_is_a_reference_to_the_client_and_a_path_to_the_log(tmp_path, content, path_in_log):
    mesh = copy_demo(tmp_path / "mesh")
    broken = mesh.parent / "domains" / "crm" / "data" / "customers" / "part-0.parquet"
    broken.write_bytes(content)
    weft = Weft(mesh)
    try:
        with pytest.raises(Exception) as refusal:
            weft.rows("ben", "SELECT count(*), max(name) FROM crm.customers")
        text = str(refusal.value)
        reference = re.search(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f-]{22}", text)
        assert reference, text
        assert "part-0" not in text and str(tmp_path) not in text
        assert weft.rows("ben", "SELECT count(*) FROM sales.orders") == [(1800,)]
    finally:
        assert weft.stop() == 0
    found = [line for line in weft.log if reference[0] in line and "ERROR" in line]
    assert found, "".join(weft.log)
    if path_in_log:
        assert any("part-0.parquet" in line for line in found), found

"""Starting, reloading and stopping."""

import shutil
import signal
import subprocess
import time

import pyarrow.flight
import pytest

from conftest import Weft, copy_demo, make_certificate, weft_bin


@pytest.fixture
def weft(tmp_path):
    weft = Weft(copy_demo(tmp_path / "mesh"), "--refresh", "500ms")
    yield weft
    weft.stop()


def grants(weft, domain="sales"):
    return weft.mesh.parent / "domains" / domain / "grants.yaml"


def count(weft, user="ana", table="sales.orders"):
    return weft.rows(user, f"SELECT count(*) FROM {table}")[0][0]


def test_a_rewritten_grants_file_takes_effect_by_itself(weft):
    assert count(weft) == 818
    path = grants(weft)
    path.write_text(path.read_text().replace("amount >= 5000", "amount >= 2000"))
    weft.wait_until(lambda: count(weft) > 818)


def test_an_open_connection_sees_the_new_grants(weft):
    with weft.connect("ana") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sales.orders")
        assert cursor.fetchone() == (818,)
        path = grants(weft)
        path.write_text(path.read_text().replace("group:sales-analysts", "group:nobody"))

        def hidden():
            try:
                cursor.execute("SELECT count(*) FROM sales.orders")
                cursor.fetchall()
            except Exception as error:
                return "not" in str(error).lower()
            return False

        weft.wait_until(hidden)


def test_a_broken_grants_file_leaves_the_last_good_one_in_force(weft):
    path = grants(weft)
    good = path.read_text()
    path.write_text(good.replace("columns:", "colums:", 1))
    weft.process.send_signal(signal.SIGHUP)
    weft.wait_until(lambda: "colums" in "".join(weft.log))
    assert count(weft) == 818
    checked = subprocess.run([weft_bin(), "check", str(weft.mesh)], capture_output=True, text=True)
    assert checked.returncode == 1
    assert "grants.yaml:8:5: error[unknown-key]" in checked.stdout, checked.stdout
    path.write_text(good.replace("amount >= 5000", "amount >= 2000"))
    weft.wait_until(lambda: count(weft) > 818)


def test_an_expired_grant_is_the_same_as_none(weft):
    path = grants(weft)
    path.write_text(path.read_text().replace("  - name: care-desk\n", "  - name: care-desk\n    until: 2026-01-31T00:00:00Z\n"))

    def hidden():
        try:
            count(weft, "ben")
        except Exception as error:
            return "NOT_FOUND" in str(error).upper().replace("NOTFOUND", "NOT_FOUND")
        return False

    weft.wait_until(hidden)
    checked = subprocess.run([weft_bin(), "check", str(weft.mesh)], capture_output=True, text=True)
    assert checked.returncode == 0
    assert "warning[expired-grant]" in checked.stdout
    assert checked.stdout.endswith("18 grants: 1 warning\n"), checked.stdout


def test_a_new_file_appears(weft):
    data = weft.mesh.parent / "domains" / "sales" / "data" / "orders"
    (data / "month=2026-10").mkdir()
    shutil.copy(data / "month=2026-04" / "part-0.parquet", data / "month=2026-10" / "part-0.parquet")
    weft.wait_until(lambda: count(weft, "carla") > 1800)
    assert weft.rows("carla", "SELECT count(*) > 0 FROM sales.orders WHERE month = '2026-10'") == [(True,)]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(tmp_path, number):
    weft = Weft(copy_demo(tmp_path / "mesh"))
    with weft.connect("ana") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    assert weft.stop(number) == 0


def test_one_faulty_domain_does_not_stop_the_others(tmp_path):
    mesh = copy_demo(tmp_path / "mesh")
    path = mesh.parent / "domains" / "crm" / "grants.yaml"
    path.write_text(path.read_text().replace("kind: Grants", "kind: Grant"))
    weft = Weft(mesh)
    try:
        assert count(weft, "carla") == 1800
        with pytest.raises(Exception, match="(?i)not.?found"):
            count(weft, "ben", "crm.customers")
    finally:
        assert weft.stop() == 0
    assert "crm" in "".join(weft.log)


def test_tls(tmp_path):
    cert, key = make_certificate(tmp_path)
    weft = Weft(copy_demo(tmp_path / "mesh"), "--tls-cert", str(cert), "--tls-key", str(key))
    try:
        assert weft.url.startswith("grpc+tls://")
        from adbc_driver_flightsql import DatabaseOptions

        trusted = {DatabaseOptions.TLS_ROOT_CERTS.value: cert.read_text()}
        assert weft.rows("carla", "SELECT count(*) FROM sales.orders", **trusted) == [(1800,)]
        with pytest.raises(Exception, match="(?i)certificate|unavailable"):
            weft.rows("carla", "SELECT 1")
        asked = subprocess.run(
            [weft_bin(), "query", "--url", weft.url, "--tls-ca", str(cert), "--user", "carla", "--password-env", "PW",
             "--format", "csv", "SELECT count(*) AS n FROM sales.orders"],
            capture_output=True, text=True, env={"PW": "carla-demo"},
        )
        assert (asked.returncode, asked.stdout) == (0, "n\n1800\n"), asked.stderr
    finally:
        assert weft.stop() == 0


def test_nobody_notices_that_a_connection_is_of_age(tmp_path):
    weft = Weft(copy_demo(tmp_path / "mesh"), "--connection-age", "300ms")
    by_hand = pyarrow.flight.connect(weft.url)
    options = pyarrow.flight.FlightCallOptions(headers=[by_hand.authenticate_basic_token("ana", "ana-demo")])
    with weft.connect("ana") as connection, connection.cursor() as cursor:
        begin = time.monotonic()
        while time.monotonic() < begin + 3:
            cursor.execute("SELECT 1")
            assert cursor.fetchone() == (1,)
            assert list(by_hand.list_actions(options))
            time.sleep(0.01)
    assert weft.stop() == 0

"""For whom and for what: purposes, a service that acts for a person, access that ends."""

import re

import adbc_driver_flightsql.dbapi as flightsql
import pytest
from adbc_driver_flightsql import DatabaseOptions

from conftest import Weft, copy_demo

HEADER = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value
PURPOSE = HEADER + "x-weft-purpose"
ON_BEHALF_OF = HEADER + "x-weft-on-behalf-of"


@pytest.fixture
def weft(tmp_path):
    mesh = copy_demo(tmp_path / "mesh")
    mesh.write_text(mesh.read_text().replace("kind: service", "kind: service\n      impersonates: [group:sales-analysts]"))
    grants = mesh.parent / "domains" / "hr" / "grants.yaml"
    grants.write_text(
        grants.read_text()
        + "\n  - name: budget\n    to: [group:sales-analysts]\n    on: people\n"
        + "    columns: [person_id, salary]\n    purposes: [budget]\n"
    )
    weft = Weft(mesh, "--refresh", "500ms", "--kill-on-revoke")
    yield weft
    assert weft.stop() == 0, "".join(weft.log)


def as_bi(weft, **headers):
    token = (weft.mesh.parent / "secrets" / "bi.token").read_text().strip()
    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}", **headers}
    return flightsql.connect(weft.url, db_kwargs=options, autocommit=True)


def rows(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchall()


SALARIES = "SELECT count(salary) FROM hr.people"


def test_a_purpose_by_header(weft):
    with weft.connect("ana") as connection:
        (few,) = rows(connection, SALARIES)[0]
    with weft.connect("ana", **{PURPOSE: "budget"}) as connection:
        assert rows(connection, SALARIES) == [(40,)]
        assert few < 40
        # Prepared, as ADBC does with everything, and with parameters.
        assert rows(connection, f"{SALARIES} WHERE person_id >= ?", (0,)) == [(40,)]
    with weft.connect("ana", **{PURPOSE: "marketing"}) as connection:
        assert rows(connection, SALARIES) == [(few,)]
    with pytest.raises(Exception, match="x-weft-purpose"):
        weft.rows("ana", "SELECT 1", **{PURPOSE: "just looking"})


def test_a_purpose_by_session_option(weft):
    option = "adbc.flight.sql.session.option.purpose"
    with weft.connect("ana") as connection:
        (few,) = rows(connection, SALARIES)[0]
        connection.adbc_connection.set_options(**{option: "budget"})
        assert connection.adbc_connection.get_option(option) == "budget"
        assert rows(connection, SALARIES) == [(40,)]
        connection.adbc_connection.set_options(**{option: ""})
        assert rows(connection, SALARIES) == [(few,)]


def test_a_service_sees_what_the_person_sees(weft):
    sql = "SELECT region, count(*) FROM sales.orders GROUP BY region ORDER BY region"
    own = weft.rows("ana", sql)
    with as_bi(weft, **{ON_BEHALF_OF: "user:ana"}) as connection:
        assert rows(connection, sql) == own
        assert rows(connection, "SELECT current_user") == [("ana",)]
        names = connection.adbc_get_objects(db_schema_filter="sales").read_all().to_pylist()
        with weft.connect("ana") as ana:
            assert names == ana.adbc_get_objects(db_schema_filter="sales").read_all().to_pylist()
    with as_bi(weft) as connection:
        assert rows(connection, "SELECT current_user") == [("bi",)]
    for nobody in ("user:ben", "user:nobody"):
        with pytest.raises(Exception, match="there is no such user, or you may not act for it"):
            with as_bi(weft, **{ON_BEHALF_OF: nobody}) as connection:
                rows(connection, "SELECT 1")
    with pytest.raises(Exception, match="there is no such user, or you may not act for it"):
        weft.rows("ana", "SELECT 1", **{ON_BEHALF_OF: "user:ben"})
    finished = [line for line in weft.log if "query finished" in line and "service:bi" in line]
    assert any(re.search(r"principal=user:ana acting=service:bi", line) for line in finished), weft.log[-20:]


def test_a_running_query_ends_with_its_grant(weft):
    with as_bi(weft, **{ON_BEHALF_OF: "user:ana"}) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT o.order_id, x.value FROM sales.orders o CROSS JOIN generate_series(1, 100000) x "
            "CROSS JOIN generate_series(1, 100000) y"
        )
        reader = cursor.fetch_record_batch()
        reader.read_next_batch()
        path = weft.mesh.parent / "domains" / "sales" / "grants.yaml"
        path.write_text(path.read_text().replace("group:sales-analysts", "group:nobody"))
        with pytest.raises(Exception, match="access was revoked while the query ran"):
            while True:
                reader.read_next_batch()

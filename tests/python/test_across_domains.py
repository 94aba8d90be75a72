"""One query, four people, one of three storages a real S3: equal to filtering by hand."""

import pytest

import oracle

# Three domains in three formats: Parquet on S3, CSV, NDJSON.
THREE_FORMATS = """
SELECT p.login, p.salary, s.carrier, count(*) AS tickets,
       sum(CASE WHEN s.delivered_on > s.promised_on THEN 1 ELSE 0 END) AS late
FROM crm.tickets t
JOIN logistics.shipments s ON s.order_id = t.order_id
JOIN hr.people p ON p.login = t.agent
GROUP BY p.login, p.salary, s.carrier
ORDER BY p.login, s.carrier
"""
LATE_PARCELS = """
SELECT o.customer_id, c.name, o.region, count(*) AS late_parcels, sum(o.amount) AS worth
FROM sales.orders o
JOIN crm.customers c ON c.customer_id = o.customer_id
JOIN logistics.shipments s ON s.order_id = o.order_id
WHERE s.delivered_on > s.promised_on
GROUP BY o.customer_id, c.name, o.region
ORDER BY worth DESC, o.customer_id
"""


@pytest.mark.parametrize("person", oracle.PEOPLE)
def test_three_domains_in_three_formats(lake, person):
    expected = oracle.answer(person, THREE_FORMATS)
    assert expected, "the oracle must have something to say"
    assert oracle.normal(lake.rows(person, THREE_FORMATS)) == expected


@pytest.mark.parametrize("person", ["ana", "ben", "carla"])
@pytest.mark.parametrize("where", ["demo", "lake"])
def test_the_question_of_the_demo(request, where, person):
    weft = request.getfixturevalue(where)
    assert oracle.normal(weft.rows(person, LATE_PARCELS)) == oracle.answer(person, LATE_PARCELS)


def everything(person):
    return [(person, table) for table in oracle.VISIBLE[person]]


@pytest.mark.parametrize(("person", "table"), [pair for person in oracle.PEOPLE for pair in everything(person)])
def test_every_cell_of_every_table(lake, person, table):
    name = f"{oracle.SCHEMA_OF[table]}.{table}"
    order = {"people": "person_id", "tickets": "ticket_id", "orders": "order_id"}.get(table, "1")
    columns = [row[0] for row in oracle.answer(person, f"SELECT column_name FROM (DESCRIBE {name})")]
    sql = f"SELECT {', '.join(columns)} FROM {name} ORDER BY {order}"
    assert oracle.normal(lake.rows(person, sql)) == oracle.answer(person, sql)
    # And nothing beyond what the oracle names, but for the hash that only the mesh can compute.
    visible = {row[0] for row in lake.rows(person, f"DESCRIBE {name}")}
    assert visible - set(columns) == ({"email"} if (person, table) == ("ana", "customers") else set())


def test_a_hash_is_stable_joins_and_hides(demo):
    rows = demo.rows("ana", "SELECT customer_id, email FROM crm.customers ORDER BY customer_id")
    assert rows == demo.rows("ana", "SELECT customer_id, email FROM crm.customers ORDER BY customer_id")
    assert all(len(email) == 64 and set(email) <= set("0123456789abcdef") for _, email in rows)
    raw = oracle.answer("ben", "SELECT count(DISTINCT email) FROM crm.customers")
    assert [(len({email for _, email in rows}),)] == raw


def test_who_has_no_grant_finds_no_table(lake):
    with pytest.raises(Exception, match="(?i)not.?found"):
        lake.rows("dora", LATE_PARCELS)


def test_a_service_comes_with_a_token(demo):
    import adbc_driver_flightsql.dbapi as flightsql
    from adbc_driver_flightsql import DatabaseOptions

    token = (demo.mesh.parent / "secrets" / "bi.token").read_text().strip()
    options = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {token}"}
    with flightsql.connect(demo.url, db_kwargs=options, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM sales.orders")
        assert cursor.fetchall() == [(1800,)]
        cursor.execute("DESCRIBE crm.customers")
        assert [row[0] for row in cursor.fetchall()] == ["customer_id", "segment", "country", "region", "joined_on"]

"""What Python's clients do beyond a plain query: metadata, parameters, frames."""

from datetime import date, datetime, timezone
from decimal import Decimal

import pandas
import polars
import pyarrow
import pytest

import oracle


def tables(connection, **filters):
    objects = connection.adbc_get_objects(**filters).read_all().to_pylist()
    return {
        (catalog["catalog_name"], schema["db_schema_name"], table["table_name"])
        for catalog in objects
        for schema in catalog["catalog_db_schemas"] or []
        for table in schema["db_schema_tables"] or []
        if schema["db_schema_name"] not in ("information_schema", "system")
    }


def test_a_person_browses_what_they_may_query(demo):
    with demo.connect("dora") as connection:
        assert tables(connection) == {
            ("acme", "sales", "products"),
            ("acme", "crm", "tickets"),
            ("acme", "logistics", "shipments"),
            ("acme", "logistics", "carriers"),
            ("acme", "hr", "people"),
        }
    with demo.connect("ana") as connection:
        assert ("acme", "sales", "orders") in tables(connection)
        assert tables(connection, db_schema_filter="sales", table_name_filter="ord%") == {("acme", "sales", "orders")}
        assert tables(connection, table_name_filter="nothing") == set()


def test_hidden_columns_are_in_no_metadata(demo):
    with demo.connect("ana") as connection:
        objects = connection.adbc_get_objects(depth="columns", db_schema_filter="crm", table_name_filter="customers")
        (catalog,) = objects.read_all().to_pylist()
        (schema,) = catalog["catalog_db_schemas"]
        (table,) = schema["db_schema_tables"]
        names = [column["column_name"] for column in table["table_columns"]]
        assert "phone" not in names and "email" in names
        assert connection.adbc_get_table_schema("customers", db_schema_filter="crm").names == names


def test_the_schema_of_a_table_is_the_schema_of_its_rows(demo):
    with demo.connect("carla") as connection, connection.cursor() as cursor:
        schema = connection.adbc_get_table_schema("orders", db_schema_filter="sales")
        cursor.execute("SELECT * FROM sales.orders")
        result = cursor.fetch_arrow_table()
        assert schema.names == result.schema.names
        assert schema.types == result.schema.types
        assert schema.field("amount").type == pyarrow.decimal128(12, 2)
        assert schema.field("ordered_at").type == pyarrow.timestamp("us", tz="UTC")
        assert result.num_rows == 1800


def test_catalogs_and_table_types(demo):
    with demo.connect("ana") as connection:
        assert "TABLE" in connection.adbc_get_table_types()
        info = connection.adbc_get_info()
        assert info["vendor_name"].lower().startswith("weft"), info


@pytest.mark.parametrize(
    ("condition", "parameters"),
    [
        ("region = ? AND amount > ?", ("AMER", 6000)),
        ("amount > ? AND region = ?", (Decimal("6000.00"), "AMER")),
        ("region = $2 AND amount > $1", (6000, "AMER")),
        ("ordered_at >= ? AND channel = ?", (datetime(2026, 9, 1, tzinfo=timezone.utc), "app")),
        ("order_id IN (?, ?, ?)", (500_001, 500_002, 1)),
        ("month = ? AND '?' <> sku", ("2026-05",)),
    ],
)
def test_parameters(demo, condition, parameters):
    literal = condition
    for number, value in enumerate(parameters, start=1):
        text = f"'{value}'" if isinstance(value, (str, datetime)) else str(value)
        if f"${number}" in literal:
            literal = literal.replace(f"${number}", text)
        else:
            literal = literal.replace("?", text, 1)
    sql = "SELECT order_id, amount FROM sales.orders WHERE {} ORDER BY order_id"
    expected = oracle.answer("carla", sql.format(literal))
    assert expected
    with demo.connect("carla") as connection, connection.cursor() as cursor:
        cursor.execute(sql.format(condition), parameters)
        assert oracle.normal(cursor.fetchall()) == expected


def test_a_prepared_statement_is_used_again(demo):
    with demo.connect("ana") as connection, connection.cursor() as cursor:
        sql = "SELECT count(*) FROM hr.people WHERE login = ?"
        counts = []
        for login in ("ana", "carla", "ana"):
            cursor.execute(sql, (login,))
            counts.append(cursor.fetchone()[0])
        assert counts == [1, 0, 1]


def test_pandas(demo):
    with demo.connect("carla") as connection:
        frame = pandas.read_sql("SELECT region, sum(amount) AS worth FROM sales.orders GROUP BY region", connection)
    worth = dict(zip(frame["region"], frame["worth"]))
    expected = oracle.answer("carla", "SELECT region, sum(amount) FROM sales.orders GROUP BY region")
    assert {region: Decimal(value).normalize() for region, value in worth.items()} == dict(expected)


def test_polars(demo):
    with demo.connect("ben") as connection:
        frame = polars.read_database("SELECT login, salary, hired_on FROM hr.people ORDER BY person_id", connection)
    assert frame.columns == ["login", "salary", "hired_on"]
    assert frame.height == 24
    assert frame["hired_on"].dtype == polars.Date
    # Roughly, for those who report to him.
    assert frame.filter(polars.col("login") != "ben")["salary"].unique().sort().to_list() == [30_000, 40_000, 50_000]


def test_types_come_as_they_are(demo):
    with demo.connect("dora") as connection, connection.cursor() as cursor:
        cursor.execute("SELECT person_id, name, manager, salary, hired_on, skills FROM hr.people WHERE login IN ('ana', 'carla') ORDER BY 1")
        assert cursor.fetchall() == [
            (71, "Carla Costa", None, 98_000, date(2020, 3, 5), []),
            (72, "Ana Ahlers", "carla", 61_500, date(2023, 5, 1), ["english", "excel", "french"]),
        ]


def test_a_default_domain(demo):
    """The `schema` header: an unqualified name is looked up there and nowhere else."""
    header = "adbc.flight.sql.rpc.call_header.schema"
    assert demo.rows("ana", "SELECT count(*) FROM carriers", **{header: "logistics"}) == [(4,)]
    with pytest.raises(Exception, match="(?i)not.?found"):
        demo.rows("ana", "SELECT count(*) FROM carriers", **{header: "sales"})

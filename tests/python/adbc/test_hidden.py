"""A service that logs in by token sees a part of the mesh; the rest shows in no path of metadata."""

import adbc_driver_flightsql.dbapi as flightsql
import pytest
from adbc_driver_flightsql import DatabaseOptions

import governed_mesh


@pytest.fixture
def service(governed):
    login = {DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {governed_mesh.TOKEN}"}
    with flightsql.connect(governed.url, db_kwargs=login, autocommit=True) as connection:
        yield connection


def shows_nothing_hidden(text):
    for word in governed_mesh.HIDDEN:
        assert word not in text, text
    return text


def ask(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetch_arrow_table()


def refusal(connection, sql):
    with pytest.raises(connection.Error) as caught:
        ask(connection, sql)
    return str(caught.value)


def test_the_owner_sees_what_is_hidden(governed):
    """Or these tests would show nothing."""
    with governed.connect("ana") as connection:
        text = str(connection.adbc_get_objects().read_all().to_pylist())
        assert all(word in text for word in ("margin", "payroll", "salary", "vault", "formulas"))
        assert "MARGIN-REMARK" in str(connection.adbc_get_table_schema("orders", db_schema_filter="shop"))
        assert ask(connection, "SELECT * FROM shop.orders").num_rows == 3


@pytest.mark.parametrize("depth", ["catalogs", "db_schemas", "tables", "all"])
def test_objects(service, depth):
    found = service.adbc_get_objects(depth=depth).read_all().to_pylist()
    shows_nothing_hidden(str(found))
    assert len(found) == 1
    for filters in ({"db_schema_filter": "vault"}, {"table_name_filter": "payroll"}, {"column_name_filter": "margin"}):
        shows_nothing_hidden(str(service.adbc_get_objects(depth=depth, **filters).read_all().to_pylist()))


def test_schemas(service):
    schema = service.adbc_get_table_schema("orders", db_schema_filter="shop")
    assert schema.names == ["order_id", "region", "amount"]
    # With its metadata.
    shows_nothing_hidden("\n".join(f"{field.name} {field.type} {field.metadata}" for field in schema) + str(schema.metadata))
    for table, domain in (("payroll", "shop"), ("formulas", "vault"), ("formulas", None)):
        with pytest.raises(service.ProgrammingError, match="NOT_FOUND"):
            service.adbc_get_table_schema(table, db_schema_filter=domain)
    with service.cursor() as cursor:
        assert cursor.adbc_execute_schema("SELECT * FROM shop.orders").names == schema.names
        partitions, of_partitions = cursor.adbc_execute_partitions("SELECT * FROM shop.orders")
        assert of_partitions.names == schema.names
        cursor.adbc_read_partition(partitions[0])
        shows_nothing_hidden(str(cursor.fetchall()))


@pytest.mark.parametrize(
    "sql",
    [
        "SHOW TABLES",
        "DESCRIBE shop.orders",
        "SHOW COLUMNS FROM shop.orders",
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM information_schema.columns",
        "SELECT * FROM information_schema.schemata",
        "SELECT * FROM information_schema.views",
        "SELECT * FROM system.products",
        "SELECT * FROM system.columns",
        "SELECT * FROM system.grants",
        "EXPLAIN SELECT * FROM shop.orders",
        "EXPLAIN SELECT * FROM shop.orders ORDER BY amount LIMIT 1",
        "SELECT * FROM shop.orders ORDER BY order_id",
    ],
)
def test_statements(service, sql):
    table = ask(service, sql)
    text = shows_nothing_hidden(str(table.to_pylist()) + str(table.schema))
    if "schemata" not in sql and "views" not in sql:
        assert "order" in text


def test_rows(service):
    assert ask(service, "SELECT order_id FROM shop.orders ORDER BY 1").to_pylist() == [{"order_id": 1}, {"order_id": 3}]
    assert ask(service, "SELECT count(*) AS n FROM shop.orders").to_pylist() == [{"n": 2}]
    assert ask(service, "SELECT order_id FROM shop.orders WHERE region = ?", ("north",)).num_rows == 0


@pytest.mark.parametrize(
    ("hidden", "absent"),
    [
        ("SELECT margin FROM shop.orders", "SELECT morgan FROM shop.orders"),
        ("SELECT o.margin FROM shop.orders o", "SELECT o.morgan FROM shop.orders o"),
        ("SELECT order_id FROM shop.orders WHERE margin > 1", "SELECT order_id FROM shop.orders WHERE morgan > 1"),
        ("SELECT * FROM shop.payroll", "SELECT * FROM shop.payrool"),
        ("SELECT * FROM vault.formulas", "SELECT * FROM voult.formulas"),
        ("SELECT * FROM vault.nothing", "SELECT * FROM voult.nothing"),
        ("DESCRIBE vault.formulas", "DESCRIBE voult.formulas"),
    ],
)
def test_what_is_hidden_reads_as_what_never_was(service, hidden, absent):
    def shape(sql):
        text = refusal(service, sql).split(" (query ")[0]
        for pair in (("margin", "morgan"), ("payroll", "payrool"), ("vault", "voult")):
            for word in pair:
                text = text.replace(word, "<name>")
        return text

    assert shape(hidden) == shape(absent)


@pytest.mark.parametrize("sql", ["SELECT morgin FROM shop.orders", "SELECT * FROM shop.payrol", "SELECT * FROM vaul.formula"])
def test_no_hint_names_what_is_hidden(service, sql):
    shows_nothing_hidden(refusal(service, sql).replace(sql, ""))

"""What there is: the catalog as ADBC asks for it, at every depth and with every filter."""

import pyarrow as pa
import pytest

import all_types

KINDS = {"everything", "maps", "long_text"}


def objects(connection, **filters):
    return connection.adbc_get_objects(**filters).read_all().to_pylist()


def schemas(connection, **filters):
    return {
        schema["db_schema_name"]: schema["db_schema_tables"]
        for catalog in objects(connection, **filters)
        for schema in catalog["catalog_db_schemas"] or []
    }


def tables(connection, **filters):
    return {
        (schema, table["table_name"]): table
        for schema, inside in schemas(connection, **filters).items()
        for table in inside or []
        if schema == "kinds"
    }


def names(connection, **filters):
    return {table for _, table in tables(connection, **filters)}


def test_depths(connection):
    assert objects(connection, depth="catalogs") == [{"catalog_name": "allsorts", "catalog_db_schemas": None}]
    assert schemas(connection, depth="db_schemas")["kinds"] is None
    found = tables(connection, depth="tables")
    assert {table for _, table in found} == KINDS
    assert {table["table_type"] for table in found.values()} == {"TABLE"}
    assert all(table["table_columns"] is None for table in found.values())
    for depth in ("columns", "all"):
        columns = tables(connection, depth=depth)["kinds", "everything"]["table_columns"]
        assert [column["column_name"] for column in columns] == all_types.expected().column_names
        assert [column["ordinal_position"] for column in columns] == list(range(1, len(columns) + 1))


@pytest.mark.parametrize("depth", ["catalogs", "db_schemas", "tables", "all"])
def test_catalog_filters(connection, depth):
    assert len(objects(connection, depth=depth)) == 1
    assert len(objects(connection, depth=depth, catalog_filter="allsorts")) == 1
    # ADBC's are patterns; the driver compares them itself.
    assert len(objects(connection, depth=depth, catalog_filter="all%")) == 1
    assert len(objects(connection, depth=depth, catalog_filter="_llsorts")) == 1
    assert objects(connection, depth=depth, catalog_filter="other") == []
    # The empty name: what has no catalog, which is nothing.
    assert objects(connection, depth=depth, catalog_filter="") == []


@pytest.mark.parametrize("depth", ["db_schemas", "tables", "all"])
def test_schema_filters(connection, depth):
    for pattern in ("kinds", "k_nds", "kin%", "%"):
        assert "kinds" in schemas(connection, depth=depth, db_schema_filter=pattern), pattern
    for pattern in ("kind", "KINDS", "other", "k\\_nds", ""):
        assert "kinds" not in schemas(connection, depth=depth, db_schema_filter=pattern), pattern


@pytest.mark.parametrize("depth", ["tables", "all"])
def test_table_filters(connection, depth):
    for pattern, found in (
        ("maps", {"maps"}),
        ("%", KINDS),
        ("%s", {"maps"}),
        ("long_text", {"long_text"}),
        ("long\\_text", {"long_text"}),
        ("map_", {"maps"}),
        ("map\\_", set()),
        ("MAPS", set()),
        ("", set()),
        ("ma'ps", set()),
    ):
        assert names(connection, depth=depth, table_name_filter=pattern) == found, pattern


@pytest.mark.parametrize("depth", ["tables", "all"])
def test_table_type_filters(connection, driver_version, depth):
    assert names(connection, depth=depth, table_types_filter=["TABLE"]) == KINDS
    assert names(connection, depth=depth, table_types_filter=["TABLE", "VIEW"]) == KINDS
    if driver_version >= (1, 10):
        assert names(connection, depth=depth, table_types_filter=["VIEW"]) == set()
        assert names(connection, depth=depth, table_types_filter=["no such type"]) == set()
    else:
        # 1.0 does not pass this filter on.
        assert names(connection, depth=depth, table_types_filter=["VIEW"]) == KINDS


def test_column_filters(connection):
    def columns(pattern):
        found = tables(connection, depth="columns", table_name_filter="everything", column_name_filter=pattern)
        return [column["column_name"] for table in found.values() for column in table["table_columns"] or []]

    assert columns("id") == ["id"]
    assert columns("c_decimal_76%") == ["c_decimal_76_0", "c_decimal_76_38"]
    assert columns("%_tz") == [name for name in all_types.expected().column_names if name.endswith("_tz")]
    assert columns("nothing") == []


def test_all_filters_together(connection):
    found = objects(
        connection,
        depth="all",
        catalog_filter="allsorts",
        db_schema_filter="kinds",
        table_name_filter="long%",
        table_types_filter=["TABLE"],
        column_name_filter="b%",
    )
    ((schema,),) = [catalog["catalog_db_schemas"] for catalog in found]
    (table,) = schema["db_schema_tables"]
    assert [column["column_name"] for column in table["table_columns"]] == ["body"]


def test_what_is_said_of_columns(connection, driver_version):
    if driver_version < (1, 10):
        pytest.skip("1.0 passes on the names alone")
    columns = tables(connection, table_name_filter="everything")["kinds", "everything"]["table_columns"]
    by_name = {column["column_name"]: column for column in columns}
    assert by_name["c_decimal_12_2"]["xdbc_type_name"] == "DECIMAL"
    assert by_name["c_integer"]["xdbc_type_name"] == "INTEGER"
    assert by_name["c_varchar"]["xdbc_type_name"] == "VARCHAR"
    assert by_name["c_date"]["xdbc_type_name"] == "DATE"
    assert by_name["id"]["xdbc_scope_schema"] == "kinds"
    assert by_name["id"]["xdbc_is_autoincrement"] is False


def test_the_schema_of_a_table(connection):
    schema = connection.adbc_get_table_schema("everything", db_schema_filter="kinds")
    assert schema.equals(all_types.expected().schema)
    assert not schema.field("id").nullable
    metadata = schema.field("id").metadata
    assert metadata[b"ARROW:FLIGHT:SQL:TYPE_NAME"] == b"BIGINT"
    assert metadata[b"ARROW:FLIGHT:SQL:REMARKS"] == b"Which row; from 1."
    assert metadata[b"ARROW:FLIGHT:SQL:IS_READ_ONLY"] == b"1"
    metadata = schema.field("c_decimal_12_2").metadata
    assert (metadata[b"ARROW:FLIGHT:SQL:PRECISION"], metadata[b"ARROW:FLIGHT:SQL:SCALE"]) == (b"12", b"2")
    assert connection.adbc_get_table_schema("maps", catalog_filter="allsorts", db_schema_filter="kinds").field("id").type == pa.int64()


@pytest.mark.parametrize(
    "where",
    [{"db_schema_filter": "other"}, {"catalog_filter": "other", "db_schema_filter": "kinds"}, {"catalog_filter": ""}],
    ids=str,
)
def test_the_schema_of_no_table(connection, where):
    with pytest.raises(connection.ProgrammingError, match="NOT_FOUND"):
        connection.adbc_get_table_schema("everything", **where)
    with pytest.raises(connection.ProgrammingError, match="NOT_FOUND"):
        connection.adbc_get_table_schema("everythin_g", db_schema_filter="kinds")


@pytest.mark.xfail(strict=True, reason="the engine's own table counts from zero; `system.columns` counts from one")
def test_the_information_schema_counts_from_one(cursor):
    """As the SQL standard has it, and as `adbc_get_objects` does."""
    cursor.execute("SELECT column_name, ordinal_position FROM information_schema.columns WHERE table_name = 'long_text' ORDER BY 2")
    assert cursor.fetchall() == [("id", 1), ("length", 2), ("body", 3)]


def test_results_have_no_remarks(cursor):
    """JDBC would show them for the column's name."""
    cursor.execute("SELECT id FROM kinds.everything")
    assert b"ARROW:FLIGHT:SQL:REMARKS" not in (cursor.fetch_record_batch().schema.field("id").metadata or {})


def test_table_types(connection):
    assert set(connection.adbc_get_table_types()) == {"TABLE", "VIEW"}


def test_info(connection):
    info = connection.adbc_get_info()
    assert info["vendor_name"] == "weft"
    assert len(info["vendor_version"].split(".")) == 3
    assert info["vendor_arrow_version"][0].isdigit()


def test_statistics(connection):
    if not hasattr(connection, "adbc_get_statistics"):
        pytest.skip("came after 1.0")
    # The driver has none for Flight SQL.
    for call in (connection.adbc_get_statistics, connection.adbc_get_statistic_names):
        with pytest.raises(connection.NotSupportedError):
            call()

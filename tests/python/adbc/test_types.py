"""Every type of a contract comes through ADBC as it is in the files, in type and value."""

import math

import pyarrow as pa
import pytest

import all_types
from all_types import COLUMNS, LENGTHS, TABLES


def fetch(cursor, sql):
    cursor.execute(sql)
    return cursor.fetch_arrow_table()


def same(actual, expected):
    """By all_types' texts, in which NaN is NaN and negative zero is not zero."""
    assert actual.schema.equals(expected.schema), f"{actual.schema}\n\n{expected.schema}"
    for name in expected.column_names:
        kind = expected.schema.field(name).type
        texts = [[all_types.text(cell, kind) for cell in table[name]] for table in (actual, expected)]
        assert texts[0] == texts[1], name


@pytest.mark.parametrize("table", TABLES)
def test_values_and_types(cursor, table):
    same(fetch(cursor, f"SELECT * FROM kinds.{table} ORDER BY id"), all_types.expected(table))


def test_the_schemas_that_metadata_tells(connection, cursor):
    for table in TABLES:
        schema = all_types.expected(table).schema
        assert connection.adbc_get_table_schema(table, db_schema_filter="kinds").equals(schema)
        assert cursor.adbc_execute_schema(f"SELECT * FROM kinds.{table}").equals(schema)


def test_python_values(cursor):
    """What `fetchall` makes of them, which is what the DB-API promises; nanoseconds need pandas."""
    names = [name for name, kind, *_ in COLUMNS if "_ns" not in name]
    cursor.execute(f"SELECT {', '.join(names)} FROM kinds.everything ORDER BY id")
    expected = all_types.expected().select(names).to_pylist()
    for row, wanted in zip(cursor.fetchall(), expected, strict=True):
        for name, cell in zip(names, row, strict=True):
            want = wanted[name]
            if isinstance(want, float) and math.isnan(want):
                assert math.isnan(cell), name
            elif "nan" not in repr(want):
                assert (cell, type(cell)) == (want, type(want)), name


@pytest.mark.parametrize("length", LENGTHS[:-1])
def test_a_long_text(cursor, length):
    cursor.execute("SELECT body FROM kinds.long_text WHERE length = ?", (length,))
    ((body,),) = cursor.fetchall()
    assert body == all_types.body(length)


def test_a_text_of_20_mb_is_more_than_the_driver_takes_untold(kinds, connection, cursor):
    cursor.execute("SELECT body FROM kinds.long_text ORDER BY id")
    # The driver knows no RESOURCE_EXHAUSTED: it calls it internal.
    with pytest.raises(connection.InternalError, match="received message larger than max"):
        cursor.fetch_arrow_table()
    options = {"adbc.flight.sql.client_option.with_max_msg_size": str(64 << 20)}
    rows = kinds.rows(all_types.USER, "SELECT body FROM kinds.long_text ORDER BY id", **options)
    assert [body for (body,) in rows] == [all_types.body(length) for length in LENGTHS]


@pytest.mark.parametrize(
    ("expression", "kind"),
    [
        # Types that a contract cannot declare and a query can still make.
        ("NULL", pa.string()),
        ("INTERVAL '1 month 2 days'", pa.month_day_nano_interval()),
        ("TIMESTAMP '2026-01-02' - TIMESTAMP '2026-01-01'", None),
        ("arrow_cast('x', 'LargeUtf8')", pa.string()),
        ("arrow_cast('x', 'Utf8View')", pa.string()),
        ("arrow_cast('x', 'Dictionary(Int32, Utf8)')", pa.string()),
        ("arrow_cast(1.5, 'Float16')", pa.float32()),
        ("arrow_cast([1, 2], 'LargeList(Int64)')", pa.list_(pa.int64())),
        ("arrow_cast('ab', 'BinaryView')", pa.binary()),
        ("arrow_cast(1, 'Duration(Millisecond)')", pa.duration("ms")),
        ("TIMESTAMPTZ '2026-01-01T00:00:00+02:00'", None),
    ],
)
def test_types_of_expressions(cursor, expression, kind):
    """Only types that every client reads go over the wire: no views, dictionaries, halves, large offsets."""
    table = fetch(cursor, f"SELECT {expression} AS x, [{expression}] AS xs")
    actual = table.schema.field("x").type
    if kind is not None:
        assert actual == kind
    assert not pa.types.is_dictionary(actual) and not pa.types.is_large_string(actual)
    assert table.schema.field("xs").type == pa.list_(actual)
    assert table["xs"].to_pylist() == [[table["x"][0].as_py()]]

"""TPC-H's queries over the wire, across three domains, against DataFusion in this process on the same files."""

import datafusion
import pyarrow as pa
import pytest

import tpch
from weft_process import Weft


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    return tpch.generate(tmp_path_factory.mktemp("tpch"), 0.01)


@pytest.fixture(scope="module")
def connection(files):
    weft = Weft(tpch.write_mesh(files["orders"].parent / "mesh", files))
    with weft.connect("ana") as connection:
        yield connection
    assert weft.stop() == 0, "".join(weft.log)


@pytest.fixture(scope="module")
def in_process(files):
    context = datafusion.SessionContext()
    for domain, tables in tpch.DOMAINS.items():
        context.sql(f"CREATE SCHEMA {domain}")
        for table in tables:
            context.sql(f"CREATE EXTERNAL TABLE {domain}.{table} STORED AS PARQUET LOCATION '{files[table]}'")
    return lambda sql: context.sql(sql).to_arrow_table()


def on_the_wire(kind):
    return pa.string() if pa.types.is_string_view(kind) or pa.types.is_large_string(kind) else kind


@pytest.mark.parametrize("number", tpch.QUERIES)
def test_query(connection, in_process, number):
    order, sql = tpch.QUERIES[number]
    with connection.cursor() as cursor:
        cursor.execute(sql)
        actual = cursor.fetch_arrow_table()
    expected = in_process(sql)
    assert actual.schema.names == expected.schema.names
    assert actual.schema.types == [on_the_wire(kind) for kind in expected.schema.types]
    rows, wanted = (list(zip(*table.to_pydict().values())) for table in (actual, expected))
    # Rows that are equal in what they are ordered by come in any order.
    assert [[row[key] for key in order] for row in rows] == [[row[key] for key in order] for row in wanted]
    same(sorted(rows, key=repr), sorted(wanted, key=repr))
    assert rows, "too little data to show anything"


def same(rows, wanted):
    """Floats come of sums in any order; all else is exact."""
    assert len(rows) == len(wanted)
    for row, want in zip(rows, wanted):
        assert [pytest.approx(cell) if isinstance(cell, float) else cell for cell in want] == list(row)

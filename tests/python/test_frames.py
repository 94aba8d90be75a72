"""Those who use the ADBC driver: Polars, pandas, DuckDB over Arrow, and Harlequin."""

import duckdb
import pandas
import polars
import pyarrow as pa
import pytest
from harlequin.catalog import CatalogItem
from harlequin.exception import HarlequinQueryError
from harlequin_adbc.adapter import HarlequinAdbcAdapter
from polars.testing import assert_frame_equal

import all_types
from weft_process import Weft

EVERYTHING = "SELECT * FROM kinds.everything ORDER BY id"


@pytest.fixture(scope="module")
def weft(tmp_path_factory):
    weft = Weft(all_types.write(tmp_path_factory.mktemp("types")))
    yield weft
    assert weft.stop() == 0, "".join(weft.log)


@pytest.fixture(scope="module")
def connection(weft):
    with weft.connect(all_types.USER) as connection:
        yield connection


def readable_by_polars():
    """Polars has no time of day in seconds or milliseconds before it is cast, and no 256-bit decimals."""
    return [field.name for field in all_types.expected().schema if not pa.types.is_decimal256(field.type)]


def test_polars_on_a_connection(connection):
    names = readable_by_polars()
    frame = polars.read_database(f"SELECT {', '.join(names)} FROM kinds.everything ORDER BY id", connection)
    assert_frame_equal(frame, polars.from_arrow(all_types.expected().select(names)))
    assert frame.schema["c_decimal_12_2"] == polars.Decimal(12, 2)
    assert frame.schema["n_lists"] == polars.List(polars.List(polars.Int64))


def test_polars_with_parameters_and_in_batches(connection):
    sql = "SELECT id FROM kinds.everything WHERE id >= ? ORDER BY id"
    frame = polars.read_database(sql, connection, execute_options={"parameters": (9,)})
    assert frame["id"].to_list() == [9, 10, 11]
    with connection.cursor() as cursor:
        parts = polars.read_database(EVERYTHING.replace("*", "id"), cursor, iter_batches=True, batch_size=4)
        assert polars.concat(parts)["id"].to_list() == list(range(1, 12))


@pytest.mark.filterwarnings("ignore:Cannot disable autocommit")
def test_polars_by_uri(weft):
    """It passes on the URI alone, and this driver takes no name and password out of one: it can only ask unknown."""
    host = weft.url.removeprefix("grpc://")
    for uri in (f"flightsql://{host}?transport=tcp", f"flightsql://ana:ana-demo@{host}?transport=tcp"):
        with pytest.raises(Exception, match="UNAUTHENTICATED.*no credentials"):
            polars.read_database_uri("SELECT 1", uri, engine="adbc")


def test_pandas(connection):
    sql = "SELECT id, label, c_double, c_timestamp_us_tz, c_boolean FROM kinds.everything WHERE id <> 2 ORDER BY id"
    frame = pandas.read_sql(sql, connection)
    expected = all_types.expected().select(list(frame.columns)).to_pandas()
    expected = expected[expected["id"] != 2].reset_index(drop=True)
    pandas.testing.assert_frame_equal(frame, expected, check_dtype=False)
    arrow = pandas.read_sql(EVERYTHING.replace("*", "id, c_decimal_76_0"), connection, dtype_backend="pyarrow")
    assert arrow.dtypes["c_decimal_76_0"] == pandas.ArrowDtype(pa.decimal256(76, 0))
    # pandas passes on no parameters to ADBC.
    with pytest.raises(NotImplementedError):
        pandas.read_sql("SELECT ?", connection, params=(1,))


def test_pandas_on_a_table(weft):
    """It writes the statement itself, with names that it quotes, and without the schema: the default one is to say."""
    with weft.connect(all_types.USER) as connection:
        connection.adbc_current_db_schema = "kinds"
        frame = pandas.read_sql_table("everything", connection, columns=["id", "label"])
        assert sorted(frame["label"]) == sorted(all_types.LABELS)


def test_pandas_does_not_write(connection):
    with pytest.raises(pandas.errors.DatabaseError) as caught:
        pandas.DataFrame({"a": [1]}).to_sql("mine", connection)
    assert "weft is read-only: it takes no data in" in str(caught.value.__cause__)


def test_duckdb_reads_the_result(connection):
    """As a table and as a stream: all of the types are ones that it knows, but 256-bit decimals."""
    names = readable_by_polars()
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {', '.join(names)} FROM kinds.everything ORDER BY id")
        result = cursor.fetch_arrow_table()
        expected = all_types.expected().select(names)
        both = "SELECT count(*), min(c_bigint), max(c_ubigint), sum(c_decimal_38_0), count(n_deep.a.b) FROM {}"
        assert duckdb.sql(both.format("result")).fetchall() == duckdb.sql(both.format("expected")).fetchall()
        cursor.execute("SELECT x.value AS n FROM generate_series(1, 100000) x")
        stream = cursor.fetch_record_batch()
        assert duckdb.sql("SELECT count(*), sum(n) FROM stream").fetchall() == [(100_000, 5_000_050_000)]


@pytest.fixture(scope="module")
def harlequin(weft):
    adapter = HarlequinAdbcAdapter(
        (weft.url,), driver_type="flightsql", db_kwargs_str=f"username={all_types.USER};password={all_types.PASSWORD}"
    )
    # It asks for transactions, as the DB-API does.
    with pytest.warns(Warning, match="Cannot disable autocommit"):
        connection = adapter.connect()
    yield connection
    connection.conn.close()


def test_harlequins_catalog(harlequin, monkeypatch):
    # harlequin-adbc 0.1.2 knows DuckDB before 1.4, whose `arrow()` was a table.
    monkeypatch.setattr(duckdb.DuckDBPyRelation, "arrow", duckdb.DuckDBPyRelation.to_arrow_table)
    (database,) = harlequin.get_catalog().items
    assert database.label == "allsorts"
    schemas = {schema.label: schema for schema in database.children}
    tables = {table.label: table for table in schemas["kinds"].children}
    assert set(tables) == {"everything", "maps", "long_text"}
    assert {table.type_label for table in tables.values()} == {"t"}
    columns = tables["everything"].children
    assert [column.label for column in columns] == all_types.expected().column_names
    assert all(isinstance(column, CatalogItem) for column in columns)
    assert tables["maps"].query_name == '"allsorts"."kinds"."maps"'


def test_harlequin_runs_what_its_catalog_names(harlequin):
    """A double click puts the qualified name into the editor."""
    cursor = harlequin.execute('SELECT id, label FROM "allsorts"."kinds"."everything" ORDER BY "id"')
    assert cursor.columns() == [("id", "##"), ("label", "s")]
    assert cursor.fetchall()["label"].to_pylist() == list(all_types.LABELS)
    limited = harlequin.execute(EVERYTHING.replace("*", "id")).set_limit(2)
    assert limited.fetchall() == [(1,), (2,)]
    with pytest.raises(HarlequinQueryError, match="line 1, column 1"):
        harlequin.execute("SELEC 1")

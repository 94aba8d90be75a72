"""The DB-API (PEP 249) and its extensions by ADBC, method by method."""

import warnings

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow as pa
import pytest

import all_types

ROWS = "SELECT id, label FROM kinds.everything ORDER BY id"
EXPECTED = list(enumerate(all_types.LABELS, start=1))


def test_the_module():
    assert flightsql.apilevel == "2.0"
    assert flightsql.paramstyle == "qmark"
    assert flightsql.threadsafety == 1


def test_before_anything_ran(connection, cursor):
    assert (cursor.description, cursor.rowcount, cursor.rownumber) == (None, -1, None)
    assert cursor.connection is connection
    for fetch in (cursor.fetchone, cursor.fetchmany, cursor.fetchall, cursor.fetch_arrow_table, cursor.fetch_record_batch, cursor.fetch_df):
        with pytest.raises(connection.ProgrammingError, match="before execute"):
            fetch()


def test_fetching(cursor):
    cursor.execute(ROWS)
    assert cursor.fetchone() == EXPECTED[0]
    assert cursor.rownumber == 1
    assert cursor.fetchmany(3) == EXPECTED[1:4]
    cursor.arraysize = 2
    assert cursor.fetchmany() == EXPECTED[4:6]
    assert cursor.fetchall() == EXPECTED[6:]
    assert cursor.fetchone() is None
    assert cursor.fetchmany() == []
    assert cursor.fetchall() == []


def test_iterating(cursor):
    cursor.execute(ROWS)
    assert next(cursor) == EXPECTED[0]
    assert list(cursor) == EXPECTED[1:]


def test_what_a_result_is_described_as(cursor):
    cursor.execute(ROWS)
    assert [column[:2] for column in cursor.description] == [("id", pa.int64()), ("label", pa.string())]
    assert all(len(column) == 7 for column in cursor.description)
    assert cursor.description[0][1] == flightsql.NUMBER
    assert cursor.description[1][1] == flightsql.STRING
    # Unknown before the end: nothing has been run when the answer begins.
    assert cursor.rowcount == -1


def test_fetching_arrow(cursor):
    for fetch in (
        cursor.fetch_arrow_table,
        cursor.fetchallarrow,
        lambda: cursor.fetch_record_batch().read_all(),
    ):
        cursor.execute(ROWS)
        assert list(zip(*fetch().to_pydict().values())) == EXPECTED


def test_fetching_an_arrow_stream(cursor):
    if not hasattr(cursor, "fetch_arrow"):
        pytest.skip("came with 1.1.0")
    cursor.execute(ROWS)
    assert pa.RecordBatchReader.from_stream(cursor.fetch_arrow()).read_all().num_rows == len(EXPECTED)


def test_fetching_frames(cursor):
    pandas = pytest.importorskip("pandas")
    cursor.execute(ROWS)
    frame = cursor.fetch_df()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame.itertuples(index=False, name=None)) == EXPECTED
    polars = pytest.importorskip("polars")
    cursor.execute(ROWS)
    frame = cursor.fetch_polars()
    assert isinstance(frame, polars.DataFrame)
    assert frame.rows() == EXPECTED


def test_no_rows_still_have_a_schema(cursor):
    cursor.execute("SELECT id, label FROM kinds.everything WHERE id < 0")
    assert [column[0] for column in cursor.description] == ["id", "label"]
    table = cursor.fetch_arrow_table()
    assert (table.num_rows, table.schema.types) == (0, [pa.int64(), pa.string()])


def test_names_of_columns(cursor):
    cursor.execute('SELECT 1 AS x, 2 AS y, 3 AS "Größe €", 4 AS "a.b"')
    assert [column[0] for column in cursor.description] == ["x", "y", "Größe €", "a.b"]
    assert cursor.fetchall() == [(1, 2, 3, 4)]


def test_a_statement_as_bytes_is_none(connection, cursor):
    """Bytes are a Substrait plan."""
    with pytest.raises(connection.NotSupportedError, match="weft takes SQL, not Substrait plans"):
        cursor.execute(b"\x00")


def test_a_new_statement_ends_the_last(cursor):
    cursor.execute("SELECT x.value FROM generate_series(1, 10000000) x")
    assert cursor.fetchone() is not None
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == [(1,)]


def test_two_cursors_are_apart(connection):
    with connection.cursor() as one, connection.cursor() as other:
        one.execute(ROWS)
        other.execute("SELECT 7")
        assert one.fetchone() == EXPECTED[0]
        assert other.fetchall() == [(7,)]
        assert one.fetchall() == EXPECTED[1:]


def test_what_the_driver_does_not_have(connection, cursor):
    for call in (lambda: cursor.callproc("p", []), cursor.nextset):
        with pytest.raises(connection.NotSupportedError):
            call()
    # The standard lets these do nothing.
    assert cursor.setinputsizes([1]) is None
    assert cursor.setoutputsize(1) is None


def test_there_are_no_transactions(kinds, connection):
    """The driver warns, and goes on as with autocommit; with it, commit and rollback do nothing."""
    connection.commit()
    connection.rollback()
    with pytest.raises(connection.NotSupportedError, match="transaction"):
        connection.adbc_connection.set_autocommit(False)
    credentials = {"username": all_types.USER, "password": all_types.PASSWORD}
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        with flightsql.connect(kinds.url, db_kwargs=credentials) as plain, plain.cursor() as cursor:
            cursor.execute("SELECT 1")
            assert cursor.fetchall() == [(1,)]
            plain.commit()
            plain.rollback()
    assert any("Cannot disable autocommit" in str(warning.message) for warning in warned)


@pytest.mark.parametrize("sql", ["INSERT INTO kinds.everything (id) VALUES (?)", "UPDATE kinds.everything SET id = ?", "SELECT ?"])
def test_executemany_is_for_updates(connection, cursor, sql):
    """It asks for an update, whatever the statement is."""
    with pytest.raises(connection.ProgrammingError, match="weft is read-only"):
        cursor.executemany(sql, [(1,), (2,)])
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == [(1,)]


@pytest.mark.parametrize("mode", ["create", "append", "replace", "create_append"])
def test_ingest(connection, cursor, driver_version, mode):
    # 1.0 has no ingest and says so itself.
    message = "weft is read-only: it takes no data in" if driver_version >= (1, 10) else "adbc.ingest"
    with pytest.raises(connection.NotSupportedError, match=message):
        cursor.adbc_ingest("everything", pa.table({"id": [1]}), mode=mode)


def test_executescript_is_for_updates(connection):
    for script in ("DELETE FROM kinds.everything", "SELECT 1; SELECT 2"):
        with connection.cursor() as cursor, pytest.raises(connection.ProgrammingError, match="weft is read-only"):
            cursor.executescript(script)


def test_the_schema_without_the_rows(connection, cursor):
    assert cursor.adbc_execute_schema(ROWS).types == [pa.int64(), pa.string()]
    assert cursor.adbc_execute_schema("SELECT count(*) AS n FROM kinds.everything WHERE id = ?", (1,)).types == [pa.int64()]
    with pytest.raises(connection.ProgrammingError, match="NOT_FOUND.*kinds.nothing"):
        cursor.adbc_execute_schema("SELECT * FROM kinds.nothing")


def test_partitions(kinds, cursor):
    """One, which any connection of the same principal reads, more than once."""
    partitions, schema = cursor.adbc_execute_partitions(ROWS)
    assert len(partitions) == 1
    assert schema.types == [pa.int64(), pa.string()]
    for _ in range(2):
        with kinds.connect(all_types.USER) as other, other.cursor() as reader:
            reader.adbc_read_partition(partitions[0])
            assert reader.fetchall() == EXPECTED


def test_a_partition_is_nobody_elses(kinds, cursor):
    partitions, _ = cursor.adbc_execute_partitions(ROWS)
    headers = {"adbc.flight.sql.authorization_header": f"Bearer {all_types.TOKEN}"}
    with flightsql.connect(kinds.url, db_kwargs=headers, autocommit=True) as service, service.cursor() as reader:
        with pytest.raises(service.Error, match="handle|ticket"):
            reader.adbc_read_partition(partitions[0])
            reader.fetchall()


def test_a_clone(connection):
    with pytest.warns(Warning, match="Cannot disable autocommit"):
        clone = connection.adbc_clone()
    with clone, clone.cursor() as cursor:
        cursor.execute(ROWS)
        assert cursor.fetchall() == EXPECTED


def test_closing(kinds):
    connection = kinds.connect(all_types.USER)
    cursor = connection.cursor()
    cursor.execute(ROWS)
    cursor.close()
    cursor.close()
    with pytest.raises(connection.ProgrammingError):
        cursor.execute("SELECT 1")
    connection.close()
    connection.close()
    with pytest.raises(connection.ProgrammingError):
        connection.cursor()


@pytest.mark.parametrize(
    ("sql", "kind", "message"),
    [
        ("SELEC 1", "ProgrammingError", r"INVALID_ARGUMENT.*line 1, column 1"),
        ("SELECT nothing FROM kinds.maps", "ProgrammingError", "INVALID_ARGUMENT.*column `nothing` does not exist"),
        ("SELECT no_such(1)", "ProgrammingError", "INVALID_ARGUMENT.*no_such"),
        ("SELECT * FROM kinds.nothing", "ProgrammingError", "NOT_FOUND.*kinds.nothing"),
        ("DROP TABLE kinds.maps", "ProgrammingError", "UNAUTHORIZED.*weft is read-only"),
        ("SELECT CAST('x' AS BIGINT)", "ProgrammingError", "INVALID_ARGUMENT"),
        ("SELECT 1 / (id - id) FROM kinds.everything", "ProgrammingError", "INVALID_ARGUMENT.*(?i:divi)"),
        ("-- nothing", "ProgrammingError", "INVALID_ARGUMENT"),
    ],
)
def test_errors(connection, cursor, sql, kind, message):
    with pytest.raises(getattr(connection, kind), match=message) as caught:
        cursor.execute(sql)
        cursor.fetchall()
    assert type(caught.value).__name__ == kind
    assert len(str(caught.value)) < 2500

"""Parameters: of every type, wrong in number or type, and many rows of them."""

import datetime
from decimal import Decimal

import pyarrow as pa
import pytest

import all_types
from all_types import COLUMNS


def cells(label, columns):
    """Of the row `label` of the expected table, in a batch to bind: parameters of exactly the columns' types."""
    row = all_types.LABELS.index(label)
    arrays = [all_types.expected()[column].combine_chunks()[row : row + 1] for column in columns]
    return pa.record_batch(arrays, names=[str(number) for number in range(len(columns))])


@pytest.mark.parametrize("label", sorted({label for _, kind, _, values in COLUMNS for label in values}))
def test_every_value_finds_itself(cursor, label):
    """Extremes and NaN too: neither the wire nor the files' statistics lose them. And lists, which compare as a whole."""
    columns = [name for name, kind, _, values in COLUMNS if label in values and comparable(kind)]
    condition = " AND ".join(f"{column} = ?" for column in columns)
    cursor.execute(f"SELECT label FROM kinds.everything WHERE {condition}", cells(label, columns))
    assert (label,) in cursor.fetchall()


def comparable(kind):
    return not pa.types.is_struct(kind) and not (pa.types.is_list(kind) and pa.types.is_nested(kind.value_type))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (True, "BOOLEAN"),
        (42, "BIGINT"),
        (1.5, "DOUBLE"),
        ("text", "VARCHAR"),
        (b"\x00\xff", "BYTEA"),
        (Decimal("1.50"), "DECIMAL(12,2)"),
        (datetime.date(2026, 11, 25), "DATE"),
        (datetime.time(13, 37, 42, 123456), "TIME"),
        (datetime.datetime(2026, 11, 25, 13, 37, 42, 123456), "TIMESTAMP(6)"),
        (datetime.datetime(2026, 11, 25, 13, 37, tzinfo=datetime.timezone.utc), "TIMESTAMP(6) WITH TIME ZONE"),
        ([1, 2, None], "BIGINT[]"),
    ],
    ids=lambda value: str(value).replace(" ", ""),
)
def test_a_python_value_comes_back(cursor, value, kind):
    """The cast says what the parameter is."""
    cursor.execute(f"SELECT CAST(? AS {kind}) AS x", (value,))
    assert cursor.fetchall() == [(value,)]


def test_null(cursor):
    cursor.execute("SELECT count(*) FROM kinds.everything WHERE c_integer = ?", (None,))
    assert cursor.fetchall() == [(0,)]
    cursor.execute("SELECT count(*) FROM kinds.everything WHERE c_integer IS NOT DISTINCT FROM ?", (None,))
    ((nulls,),) = cursor.fetchall()
    assert nulls == all_types.expected()["c_integer"].null_count
    cursor.execute("SELECT count(*) FROM kinds.everything WHERE c_varchar = ?", cells("null", ["c_varchar"]))
    assert cursor.fetchall() == [(0,)]


def test_a_value_is_brought_to_the_columns_type(cursor):
    """Clients bind what they have: Python's int is 64 bits wide, JDBC binds text."""
    for name, value in (("c_tinyint", 42), ("c_ubigint", 42), ("c_double", 1.5), ("c_decimal_12_2", "4.20"), ("c_date", "2026-11-25")):
        cursor.execute(f"SELECT label FROM kinds.everything WHERE {name} = ?", (value,))
        assert cursor.fetchall() == [("ordinary",)], name


@pytest.mark.parametrize(
    ("sql", "parameters", "expected"),
    [
        ("SELECT id FROM kinds.everything ORDER BY id LIMIT ? OFFSET ?", (2, 1), [2, 3]),
        ("SELECT id FROM kinds.everything WHERE id IN (?, ?) ORDER BY id", (2, 1), [1, 2]),
        ("SELECT id FROM kinds.everything WHERE id BETWEEN ? AND ? ORDER BY id", (2, 3), [2, 3]),
        ("SELECT id FROM kinds.everything WHERE label LIKE ?", ("ord%",), [1]),
        ("SELECT ? + 1", (1,), [2]),
        ("SELECT coalesce(c_integer, ?) FROM kinds.everything WHERE id = 2", (7,), [7]),
        ("SELECT date_trunc(?, c_timestamp_us) FROM kinds.everything WHERE id = 1", ("month",), [datetime.datetime(2026, 11, 1)]),
        # The type of an argument is the function's to say, that of a branch the other branch's.
        pytest.param(
            "SELECT substr(label, ?) FROM kinds.everything WHERE id = 1",
            (3,),
            ["dinary"],
            marks=pytest.mark.xfail(strict=True, reason="a parameter is text to functions; `CAST(? AS BIGINT)` says more"),
        ),
        ("SELECT CASE WHEN id = 1 THEN ? ELSE c_integer END FROM kinds.everything WHERE id = 1", (7,), [7]),
    ],
)
def test_wherever_a_value_may_stand(cursor, sql, parameters, expected):
    cursor.execute(sql, parameters)
    assert [value for (value,) in cursor.fetchall()] == expected


def test_injection_is_text(cursor):
    cursor.execute("SELECT ? AS x", ("'; DROP TABLE kinds.everything; --",))
    assert cursor.fetchall() == [("'; DROP TABLE kinds.everything; --",)]
    cursor.execute("SELECT '?' AS a, \"label\" /* ? */ FROM kinds.everything WHERE id = ? -- ?", (1,))
    assert cursor.fetchall() == [("?", "ordinary")]


@pytest.mark.parametrize(
    ("sql", "parameters", "message"),
    [
        ("SELECT id FROM kinds.everything WHERE id = ?", None, "the statement has 1 parameters, 0 are bound"),
        ("SELECT id FROM kinds.everything WHERE id = ?", (1, 2), "the statement has 1 parameters, 2 are bound"),
        ("SELECT 1", (1,), "the statement has 0 parameters, 1 are bound"),
        ("SELECT ?, $1", (1,), r"use either `\?` or `\$n`, not both \(line 1, column 11\)"),
        ("SELECT $name", (1,), r"`\$name` is not a parameter"),
        ("SELECT id FROM kinds.everything WHERE id = ?", ("one",), r"parameter `\$1` is Int64: this Utf8 does not fit"),
        ("SELECT id FROM kinds.everything WHERE c_date = ?", ("2026-02-31",), r"parameter `\$1` is Date32: this Utf8 does not fit"),
        ("SELECT id FROM kinds.everything WHERE c_integer = ?", (2**40,), r"parameter `\$1` is Int32: this Int64 does not fit"),
    ],
)
def test_wrong_parameters(connection, cursor, sql, parameters, message):
    with pytest.raises(connection.ProgrammingError, match=message) as caught:
        cursor.execute(sql, parameters)
        cursor.fetchall()
    assert "INVALID_ARGUMENT" in str(caught.value)
    # The cursor lives on.
    cursor.execute("SELECT 7")
    assert cursor.fetchall() == [(7,)]


def test_several_rows_of_parameters_run_once_each(cursor):
    """The results follow each other."""
    batch = pa.record_batch([pa.array([3, 1, 99, 2], pa.int64())], names=["0"])
    cursor.execute("SELECT label FROM kinds.everything WHERE id = ?", batch)
    assert [label for (label,) in cursor.fetchall()] == ["minimum", "ordinary", "null"]


def test_the_schema_of_parameters(cursor):
    assert cursor.adbc_prepare("SELECT id FROM kinds.everything WHERE c_integer = ? AND c_date > ? AND label LIKE ?") == pa.schema(
        [("$1", pa.int32()), ("$2", pa.date32()), ("$3", pa.string())]
    )
    # By number, however they are used.
    assert cursor.adbc_prepare("SELECT id FROM kinds.everything WHERE label = $2 AND id = $1").types == [pa.int64(), pa.string()]
    # Nothing says of which type: text.
    assert cursor.adbc_prepare("SELECT ?").types == [pa.string()]
    assert len(cursor.adbc_prepare("SELECT 1")) == 0


def test_a_prepared_statement_runs_again(cursor):
    sql = "SELECT label FROM kinds.everything WHERE id = ?"
    cursor.adbc_prepare(sql)
    for number in (1, 2, 1):
        cursor.execute(sql, (number,))
        assert cursor.fetchall() == [(all_types.LABELS[number - 1],)]

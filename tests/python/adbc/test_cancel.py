"""Queries that are not waited for: they end, and take nothing more of the server."""

import os
import threading
import time
from pathlib import Path

import pytest

import all_types

# Each has a number of its own, for the log.
COUNT = "SELECT count(*) AS n{} FROM generate_series(1, 100000) x CROSS JOIN generate_series(1, 100000) y WHERE x.value + y.value < {}"
ROWS = "SELECT x.value AS x{}, y.value AS y FROM generate_series(1, 100000) x CROSS JOIN generate_series(1, 100000) y"


@pytest.fixture
def connection(kinds):
    """Each its own."""
    with kinds.connect(all_types.USER) as connection:
        yield connection


def processor_seconds(weft):
    fields = Path(f"/proc/{weft.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def assert_idle(weft):
    """Nothing runs on: in some second of the next five, hardly any processor time is used."""
    used = []
    for _ in range(10):
        before = processor_seconds(weft)
        time.sleep(0.5)
        used.append(processor_seconds(weft) - before)
        if used[-1] < 0.1:
            return
    raise AssertionError(f"still running: {used}")


def ended(weft):
    """How many queries the log says to have ended."""
    return sum("query ended early" in line or "query finished" in line for line in weft.log)


def test_from_another_thread_while_it_waits_for_the_first_row(kinds, cursor):
    def cancel():
        time.sleep(0.5)
        cursor.adbc_cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    began = time.monotonic()
    with pytest.raises(Exception, match="(?i)cancel"):
        cursor.execute(COUNT.format(1, 1))
        cursor.fetchall()
    assert time.monotonic() - began < 5
    thread.join()
    assert_idle(kinds)
    # The connection and the cursor live on.
    cursor.execute("SELECT 1")
    assert cursor.fetchall() == [(1,)]


def test_between_two_batches(kinds, cursor):
    cursor.execute(ROWS.format(2))
    reader = cursor.fetch_record_batch()
    assert reader.read_next_batch().num_rows > 0
    cursor.adbc_cancel()
    with pytest.raises(Exception, match="(?i)cancel"):
        # What is in the driver's queue still comes.
        for _ in range(100):
            reader.read_next_batch()
    assert_idle(kinds)


def test_by_its_connection(kinds, connection):
    """The connection's cancel is for its own calls, such as metadata; the driver has no more to it."""
    try:
        connection.adbc_cancel()
    except connection.NotSupportedError:
        pass
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]


@pytest.mark.parametrize("ending", ["cursor", "connection", "another statement"])
def test_by_leaving(kinds, ending):
    connection = kinds.connect(all_types.USER)
    cursor = connection.cursor()
    cursor.execute(ROWS.format(3))
    assert len(cursor.fetchmany(10)) == 10
    if ending == "another statement":
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [(1,)]
    cursor.close()
    if ending == "connection":
        connection.close()
    assert_idle(kinds)
    connection.close()


def test_a_reader_that_stands_still_holds_no_more_than_a_few_batches(kinds, cursor):
    cursor.execute(ROWS.format(4))
    reader = cursor.fetch_record_batch()
    reader.read_next_batch()
    assert_idle(kinds)


@pytest.mark.parametrize("sql", [COUNT, ROWS], ids=["before the first row", "among the rows"])
def test_the_log_has_a_line_for_it(kinds, connection, sql):
    """As for every query: who looks for what kept the server busy finds those that were given up too."""
    before = ended(kinds)
    with connection.cursor() as cursor:
        cursor.execute(sql.format(5, 5))
        thread = threading.Timer(0.3, cursor.adbc_cancel)
        thread.start()
        with pytest.raises(Exception, match="(?i)cancel"):
            cursor.fetch_arrow_table()
        thread.join()
    kinds.wait_until(lambda: ended(kinds) > before, 3)

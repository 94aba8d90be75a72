"""Session options, call headers, time limits and the ways to log in."""

import json
import time

import adbc_driver_flightsql.dbapi as flightsql
import pytest
from adbc_driver_flightsql import ConnectionOptions, DatabaseOptions

import all_types

OPTION = ConnectionOptions.OPTION_SESSION_OPTION_PREFIX.value
ERASE = ConnectionOptions.OPTION_ERASE_SESSION_OPTION_PREFIX.value
BOOLEAN = ConnectionOptions.OPTION_BOOL_SESSION_OPTION_PREFIX.value
LIST = ConnectionOptions.OPTION_STRING_LIST_SESSION_OPTION_PREFIX.value
ALL = ConnectionOptions.OPTION_SESSION_OPTIONS.value
HEADER = DatabaseOptions.RPC_CALL_HEADER_PREFIX.value
ENDLESS = "SELECT count(*) AS n FROM generate_series(1, 100000) x CROSS JOIN generate_series(1, 100000) y WHERE x.value + y.value < {}"


@pytest.fixture
def connection(kinds):
    """Each its own."""
    with kinds.connect(all_types.USER) as connection:
        yield connection


def options(connection):
    return json.loads(connection.adbc_connection.get_option(ALL))


def put(connection, **changes):
    connection.adbc_connection.set_options(**{OPTION + name: value for name, value in changes.items()})


def ask(connection, sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall()


def test_options_are_set_read_and_erased(connection):
    assert options(connection) == {"catalog": "allsorts"}
    put(connection, schema="kinds", timezone="Europe/Berlin", statement_timeout="30s", purpose="testing")
    assert options(connection) == {
        "catalog": "allsorts",
        "schema": "kinds",
        "timezone": "Europe/Berlin",
        "statement_timeout": "30000ms",
        "purpose": "testing",
    }
    assert connection.adbc_connection.get_option(OPTION + "timezone") == "Europe/Berlin"
    for name in ("timezone", "statement_timeout", "purpose", "schema"):
        connection.adbc_connection.set_options(**{ERASE + name: ""})
    assert options(connection) == {"catalog": "allsorts"}


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        (OPTION + "colour", "red", r"'colour' \(invalid name\)"),
        (OPTION + "timezone", "Mars/Base", r"'timezone' \(invalid value\)"),
        (OPTION + "statement_timeout", "never", r"'statement_timeout' \(invalid value\)"),
        (OPTION + "purpose", "just looking", r"'purpose' \(invalid value\)"),
        (BOOLEAN + "timezone", "true", r"'timezone' \(invalid value\)"),
        (LIST + "schema", '["kinds"]', r"'schema' \(invalid value\)"),
        (OPTION + "catalog", "other", "NOT_FOUND.*catalog `other` does not exist or is not granted to you"),
        (OPTION + "schema", "other", "NOT_FOUND.*schema `other` does not exist or is not granted to you"),
    ],
)
def test_options_that_cannot_be(connection, option, value, message):
    with pytest.raises(connection.ProgrammingError, match=message):
        connection.adbc_connection.set_options(**{option: value})
    assert options(connection) == {"catalog": "allsorts"}


def test_the_current_schema_and_catalog(connection):
    """What ADBC calls them are the session options."""
    with pytest.raises(connection.ProgrammingError, match="NOT_FOUND"):
        ask(connection, "SELECT count(*) FROM maps")
    connection.adbc_current_catalog = "allsorts"
    connection.adbc_current_db_schema = "kinds"
    assert (connection.adbc_current_catalog, connection.adbc_current_db_schema) == ("allsorts", "kinds")
    assert ask(connection, "SELECT max(id) FROM long_text") == [(4,)]


def test_a_session_is_its_connections_alone(kinds, connection):
    put(connection, schema="kinds")
    with kinds.connect(all_types.USER) as other:
        assert options(other) == {"catalog": "allsorts"}


def test_the_time_zone(connection):
    sql = "SELECT CAST(c_timestamp_us_tz AS VARCHAR) FROM kinds.everything WHERE id = 1"
    assert ask(connection, sql)[0][0].startswith("2026-11-25T13:37:42.123456")
    put(connection, timezone="Europe/Berlin")
    assert ask(connection, "SELECT CAST(TIMESTAMPTZ '2026-07-01T00:00:00' AS VARCHAR)")[0][0].startswith("2026-07-01T00:00:00+02:00")


def test_call_headers(kinds):
    """Those of weft take effect, those of others do not matter."""
    headers = {HEADER + "schema": "kinds", HEADER + "x-trace-id": "abc", HEADER + "x-something": "ü".encode().hex()}
    with kinds.connect(all_types.USER, **headers) as connection:
        assert ask(connection, "SELECT max(id) FROM long_text") == [(4,)]
    with kinds.connect(all_types.USER, **{HEADER + "schema": "other"}) as connection:
        with pytest.raises(connection.ProgrammingError, match="NOT_FOUND"):
            ask(connection, "SELECT max(id) FROM long_text")
    # On the connection, and on a statement above the database's.
    with kinds.connect(all_types.USER) as connection:
        connection.adbc_connection.set_options(**{HEADER + "schema": "kinds"})
        assert ask(connection, "SELECT max(id) FROM long_text") == [(4,)]
    with kinds.connect(all_types.USER, **{HEADER + "schema": "system"}) as connection:
        with connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{HEADER + "schema": "kinds"})
            cursor.execute("SELECT max(id) FROM long_text")
            assert cursor.fetchall() == [(4,)]


def test_cookies(kinds):
    """A client that keeps cookies keeps its session by them too."""
    cookies = {DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: "true"}
    with kinds.connect(all_types.USER, **cookies) as connection:
        put(connection, schema="kinds")
        assert ask(connection, "SELECT max(id) FROM long_text") == [(4,)]
        assert options(connection)["schema"] == "kinds"


@pytest.mark.parametrize("cookies", ["true", "false"])
def test_a_token(kinds, cookies):
    """No handshake: what is set is kept only where the client keeps the cookie."""
    login = {
        DatabaseOptions.AUTHORIZATION_HEADER.value: f"Bearer {all_types.TOKEN}",
        DatabaseOptions.WITH_COOKIE_MIDDLEWARE.value: cookies,
    }
    with flightsql.connect(kinds.url, db_kwargs=login, autocommit=True) as connection:
        assert ask(connection, "SELECT current_user") == [("bi",)]
        put(connection, schema="kinds")
        assert options(connection).get("schema") == ("kinds" if cookies == "true" else None)


@pytest.mark.parametrize(
    "login",
    [
        {},
        {"username": "ana", "password": "wrong"},
        {"username": "", "password": ""},
        {"username": "bi", "password": all_types.TOKEN},
        {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer wrong"},
        {DatabaseOptions.AUTHORIZATION_HEADER.value: "Bearer "},
        {DatabaseOptions.AUTHORIZATION_HEADER.value: "Basic !!!"},
        {DatabaseOptions.AUTHORIZATION_HEADER.value: "Digest x"},
    ],
    ids=str,
)
def test_a_wrong_login(kinds, login):
    with pytest.raises(flightsql.Error, match="(?i)unauthenticated"):
        with flightsql.connect(kinds.url, db_kwargs=login, autocommit=True) as connection:
            ask(connection, "SELECT 1")


def test_a_limit_of_time_by_session_option(connection):
    put(connection, statement_timeout="300ms")
    began = time.monotonic()
    with pytest.raises(connection.OperationalError, match="TIMEOUT.*the statement was stopped after 300 ms|TIMEOUT.*stopped after 0.3 s"):
        ask(connection, ENDLESS.format(1))
    assert time.monotonic() - began < 5
    connection.adbc_connection.set_options(**{ERASE + "statement_timeout": ""})
    assert ask(connection, "SELECT 1") == [(1,)]


@pytest.mark.parametrize("level", ["database", "connection", "statement"])
def test_a_limit_of_time_by_the_client(kinds, level):
    """It ends the call on its side; the server sees that nobody waits and stops."""
    limit = {DatabaseOptions.TIMEOUT_FETCH.value: "0.3"}
    with kinds.connect(all_types.USER, **(limit if level == "database" else {})) as connection:
        if level == "connection":
            connection.adbc_connection.set_options(**limit)
        with connection.cursor() as cursor:
            if level == "statement":
                cursor.adbc_statement.set_options(**limit)
            began = time.monotonic()
            with pytest.raises(connection.Error, match="(?i)timeout|deadline|cancel"):
                cursor.execute(ENDLESS.format(2))
                cursor.fetchall()
            assert time.monotonic() - began < 5


def test_other_limits_of_time_are_met(kinds):
    limits = {DatabaseOptions.TIMEOUT_QUERY.value: "20", DatabaseOptions.TIMEOUT_UPDATE.value: "20"}
    with kinds.connect(all_types.USER, **limits) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT label FROM kinds.everything WHERE id = ?", (1,))
            assert cursor.fetchall() == [("ordinary",)]


def test_small_messages(kinds):
    """Ordinary rows fit the 4 MiB at which plain gRPC clients stop, however much there is of them."""
    with kinds.connect(all_types.USER, **{DatabaseOptions.WITH_MAX_MSG_SIZE.value: str(4 << 20)}) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT x.value, repeat('x', 1000) AS y FROM generate_series(1, 20000) x")
            table = cursor.fetch_arrow_table()
            assert (table.num_rows, len(table["y"][19_999].as_py())) == (20_000, 1000)

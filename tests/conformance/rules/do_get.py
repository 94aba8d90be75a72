"""DoGet: the stream of a result."""

import time

from grpc import RpcError

from ..messages import sql
from ..rule import Skipped, expect, expect_equal, rule
from ..server import Server
from ..stream import RECORD_BATCH, SCHEMA

ONE = "SELECT 1 AS n"


@rule("must", "Flight DoGet", "A statement's rows arrive", required=True)
def statement(server: Server) -> None:
    expect_equal(server.client.rows(ONE), [{"n": 1}], "rows")


@rule("must", "Flight DoGet", "A table's rows arrive, as many as SQL counts")
def table(server: Server) -> str:
    name = server.relation.sql
    ((count,),) = (row.values() for row in server.client.rows(f"SELECT count(*) AS n FROM {name}"))
    expect_equal(server.client.get(f"SELECT * FROM {name}").table.num_rows, count, f"rows of {name}")
    return f"{count} rows of {name}"


@rule("must", "Arrow IPC", "The first message of a stream with a header is its schema, and there is one")
def schema_first(server: Server) -> None:
    for asked in (ONE, sql.CommandGetTableTypes()):
        for endpoint in server.client.get_flight_info(asked).endpoint:
            messages = server.at(server.client, endpoint).do_get(endpoint.ticket).messages
            kinds = [message.kind for message in messages if message.kind is not None]
            expect_equal(kinds[:1], [SCHEMA], "kinds of messages")
            expect(SCHEMA not in kinds[1:], f"the schema comes again: {kinds}")


@rule("must", "Flight DoGet", "A result without rows is a stream with its schema")
def no_rows(server: Server) -> None:
    stream = server.client.get("SELECT * FROM (SELECT 1 AS n) AS t WHERE n = 0")
    expect_equal((stream.schema.names, stream.table.num_rows), (["n"], 0), "columns and rows")


@rule("must", "Flight SQL CommandStatementQuery", "Columns have the names and the order of the statement")
def names(server: Server) -> None:
    stream = server.client.get("SELECT 1 AS b, 2 AS a, 'x' AS c")
    expect_equal(stream.rows(), [{"b": 1, "a": 2, "c": "x"}], "rows")
    expect_equal(stream.schema.names, ["b", "a", "c"], "columns")


@rule("must", "Arrow IPC", "NULL is null, in a column that may hold it")
def null(server: Server) -> None:
    stream = server.client.get("SELECT CAST(NULL AS INTEGER) AS n")
    expect_equal(stream.rows(), [{"n": None}], "rows")
    expect(stream.schema.field("n").nullable, "the column is not nullable")


@rule("must", "Arrow IPC", "Text beyond ASCII arrives whole")
def text(server: Server) -> None:
    expect_equal(server.client.rows("SELECT 'žluťoučký 🐎 漢字' AS t"), [{"t": "žluťoučký 🐎 漢字"}], "rows")


@rule("must", "Flight FlightEndpoint", "Before its expiration_time a ticket can be redeemed again")
def retry_before_expiration(server: Server) -> None:
    info = server.client.get_flight_info(ONE)
    if not all(endpoint.HasField("expiration_time") for endpoint in info.endpoint):
        raise Skipped("no expiration_time, so a client does not retry")
    for _ in range(2):
        expect_equal(server.client.fetch(info).rows(), [{"n": 1}], "rows")


@rule("should", "Flight Ticket", "A ticket can be redeemed again")
def replay(server: Server) -> None:
    info = server.client.get_flight_info(ONE)
    for _ in range(3):
        expect_equal(server.client.fetch(info).rows(), [{"n": 1}], "rows")


@rule("must", "Flight Ticket", "A ticket is good on another connection of the same login")
def another_connection(server: Server) -> None:
    info = server.client.get_flight_info(ONE)
    with server.own_client() as client:
        expect_equal(client.fetch(info).rows(), [{"n": 1}], "rows")


@rule("should", "Flight Ticket", "A ticket is good for another login of the same user")
def another_login(server: Server) -> None:
    info = server.client.get_flight_info(ONE)
    with server.new_session() as client:
        expect_equal(client.fetch(info).rows(), [{"n": 1}], "rows")


@rule("must", "Flight FlightInfo", "With ORDER BY, endpoints read in their order are in the order of the rows")
def order(server: Server) -> None:
    stream = server.client.get(f"SELECT a.v AS v FROM {server.series(20_000)} ORDER BY v DESC")
    values = stream.table["v"].to_pylist()
    expect_equal(len(values), 20_000, "number of rows")
    expect(values == sorted(values, reverse=True), "the rows are not in order")


@rule("must", "Flight DoGet", "Two columns of one name arrive as two", name="same_name_twice")
def same_name(server: Server) -> str:
    asked = "SELECT a.n, b.n FROM (SELECT 1 AS n) AS a CROSS JOIN (SELECT 2 AS n) AS b"
    if not server.works(asked):
        raise Skipped("the server refuses two columns of one name")
    stream = server.client.get(asked)
    expect_equal([column.to_pylist() for column in stream.table.columns], [[1], [2]], "columns")
    return ", ".join(stream.schema.names)


@rule("should", "Flight DoGet", "The schema comes before the first row is ready")
def schema_before_rows(server: Server) -> str:
    info = server.client.get_flight_info(server.endless())
    began = time.monotonic()
    call = server.client.messages(info.endpoint[0].ticket, timeout=8)
    try:
        kind = next(message.kind for message in call if message.kind is not None)
    finally:
        call.cancel()
    expect_equal(kind, SCHEMA, "kind of the first message")
    return f"after {time.monotonic() - began:.2f} s"


@rule("must", "Flight DoGet", "A stream that is left early leaves the server in order")
def left_early(server: Server) -> None:
    for _ in range(3):
        info = server.client.get_flight_info(server.flood())
        call = server.client.messages(info.endpoint[0].ticket)
        next(message for message in call if message.kind == RECORD_BATCH)
        call.cancel()
        expect_equal(server.client.rows(ONE), [{"n": 1}], "rows afterwards")


@rule("must", "Flight DoGet", "A fault while rows are made ends the stream with an error, not with fewer rows")
def fault_while_running(server: Server) -> str:
    faulty = f"SELECT 1 / (a.v - 15000) AS n FROM {server.series(20_000)}"
    try:
        rows = server.client.get(faulty).table.num_rows
    except RpcError as error:
        return error.code().name
    expect_equal(rows, 20_000, "rows of a query that divides by zero once")
    raise Skipped("here, division by zero is no fault")

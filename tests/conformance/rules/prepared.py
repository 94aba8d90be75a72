"""Prepared statements. JDBC sends no others, and ADBC for Python prepares each."""

from grpc import StatusCode

from ..client import descriptor, prepared
from ..messages import packed, sql
from ..rule import Skipped, expect, expect_equal, refused, rule
from ..server import Server
from ..stream import schema_of

CREATE = "Flight SQL CreatePreparedStatement"
QUERY = "Flight SQL CommandPreparedStatementQuery"
CLOSE = "Flight SQL ClosePreparedStatement"
ONE = "SELECT 1 AS n, 'x' AS t"
ROWS = [{"n": 1, "t": "x"}]


@rule("must", CREATE, "A query is prepared, and one result with a handle comes back")
def create(server: Server) -> str:
    return f"a handle of {len(server.client.prepare(ONE).prepared_statement_handle)} bytes"


@rule("must", CREATE, "dataset_schema is the schema of the query's result")
def dataset_schema(server: Server) -> None:
    created = server.client.prepare(ONE)
    expect(created.dataset_schema, "dataset_schema is empty")
    found, expected = schema_of(created.dataset_schema), server.client.get(ONE).schema
    expect(found.equals(expected), f"{found} / {expected}")


@rule("must", CREATE, "dataset_schema of a table is the schema of its rows")
def dataset_schema_of_table(server: Server) -> None:
    asked = f"SELECT * FROM {server.relation.sql}"
    found, expected = schema_of(server.client.prepare(asked).dataset_schema), server.client.get(asked).schema
    expect(found.equals(expected), f"{found} / {expected}")


@rule("must", CREATE, "A query without parameters has no field in parameter_schema")
def no_parameters(server: Server) -> None:
    data = server.client.prepare(ONE).parameter_schema
    expect_equal(schema_of(data).names if data else [], [], "fields")


@rule("should", CREATE, "A query is not said to be an update")
def is_no_update(server: Server) -> str:
    created = server.client.prepare(ONE)
    expect(not created.is_update, "is_update is true")
    return "false" if created.HasField("is_update") else "not told"


@rule("should", CREATE, "is_update is told, so that clients need not guess")
def is_update_is_told(server: Server) -> None:
    expect(server.client.prepare(ONE).HasField("is_update"), "is_update is not set")


@rule("must", CREATE, "What is no SQL is refused, at preparing at the earliest and at running at the latest")
def wrong_statement(server: Server) -> str:
    try:
        handle = server.client.prepare("SELEC 1").prepared_statement_handle
    except Exception:
        return refused(lambda: server.client.prepare("SELEC 1")).code().name
    return refused(lambda: server.client.get(prepared(handle))).code().name


@rule("should", CREATE, "What is no SQL is refused at preparing, as INVALID_ARGUMENT")
def wrong_statement_early(server: Server) -> None:
    refused(lambda: server.client.prepare("SELEC 1"), StatusCode.INVALID_ARGUMENT)
    refused(lambda: server.client.prepare("SELECT no_such_column FROM (SELECT 1 AS n) AS t"), StatusCode.INVALID_ARGUMENT)


@rule("must", QUERY, "A prepared query's rows arrive")
def rows(server: Server) -> None:
    expect_equal(server.client.rows(prepared(server.client.prepare(ONE).prepared_statement_handle)), ROWS, "rows")


@rule("must", QUERY, "A prepared query can be run again")
def again(server: Server) -> None:
    handle = server.client.prepare(ONE).prepared_statement_handle
    for _ in range(3):
        expect_equal(server.client.rows(prepared(handle)), ROWS, "rows")


@rule("must", QUERY, "Two prepared queries are two")
def two(server: Server) -> None:
    first, second = (server.client.prepare(f"SELECT {n} AS n").prepared_statement_handle for n in (1, 2))
    expect_equal(server.client.rows(prepared(first)), [{"n": 1}], "rows of the first")
    expect_equal(server.client.rows(prepared(second)), [{"n": 2}], "rows of the second")


@rule("should", QUERY, "A handle is good on another connection of the same login: pools move them")
def another_connection(server: Server) -> None:
    handle = server.client.prepare(ONE).prepared_statement_handle
    with server.own_client() as client:
        expect_equal(client.rows(prepared(handle)), ROWS, "rows")


@rule("must", QUERY, "Closing one prepared query leaves another of the same text")
def closed_apart(server: Server) -> None:
    first, second = (server.client.prepare(ONE).prepared_statement_handle for _ in range(2))
    server.client.close_prepared(first)
    expect_equal(server.client.rows(prepared(second)), ROWS, "rows")


@rule("must", QUERY, "A handle that the server never gave is refused")
def unknown_handle(server: Server) -> str:
    return refused(lambda: server.client.get(prepared(b"there is no such handle"))).code().name


@rule("should", QUERY, "A handle that the server never gave is INVALID_ARGUMENT or NOT_FOUND")
def unknown_handle_code(server: Server) -> None:
    for handle in (b"there is no such handle", b"", bytes(range(256))):
        refused(lambda: server.client.get_flight_info(prepared(handle)), StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND)


@rule("must", CLOSE, "A prepared statement can be closed")
def close(server: Server) -> None:
    server.client.close_prepared(server.client.prepare(ONE).prepared_statement_handle)


@rule("should", CLOSE, "Closing is idempotent: what is closed already is no fault")
def close_twice(server: Server) -> None:
    handle = server.client.prepare(ONE).prepared_statement_handle
    for _ in range(2):
        server.client.close_prepared(handle)


@rule("should", CLOSE, "Closing never fails, whatever the handle")
def close_unknown(server: Server) -> None:
    for handle in (b"there is no such handle", b"", bytes(range(256))):
        server.client.close_prepared(handle)


@rule("must", CREATE, "A transaction that was never begun is refused, or passed over by a server without transactions")
def unknown_transaction(server: Server) -> str:
    request = sql.ActionCreatePreparedStatementRequest(query=ONE, transaction_id=b"none")
    if not server.info.get(8):
        raise Skipped("the server does not say that it has transactions")
    return refused(lambda: server.client.action("CreatePreparedStatement", packed(request))).code().name


@rule("must", QUERY, "A prepared query is polled as others are")
def poll(server: Server) -> None:
    handle = server.client.prepare(ONE).prepared_statement_handle
    answer = server.client.poll(descriptor(prepared(handle)))
    if not answer.HasField("flight_descriptor"):
        expect_equal(server.client.fetch(answer.info).rows(), ROWS, "rows")

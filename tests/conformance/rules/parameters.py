"""Parameters of prepared statements, bound by DoPut."""

import datetime
from typing import Any

import grpc
import pyarrow as pa
from grpc import StatusCode

from ..client import prepared
from ..messages import sql
from ..rule import Skipped, expect, expect_equal, refused, rule
from ..server import Server
from ..stream import schema_of

BIND = "Flight SQL DoPut bind"
CREATE = "Flight SQL CreatePreparedStatement"


def batch(*columns: list[Any] | pa.Array, kind: pa.DataType | None = pa.int64()) -> pa.RecordBatch:
    """Parameters are told by their place; the names are those that ADBC gives."""
    arrays = [column if isinstance(column, pa.Array) else pa.array(column, kind) for column in columns]
    return pa.record_batch(arrays, names=[str(number) for number in range(len(arrays))])


def prepare(server: Server, query: str) -> bytes:
    return server.client.prepare(query).prepared_statement_handle


def answer(server: Server, query: str, bound: pa.RecordBatch) -> list[dict[str, Any]]:
    return server.client.rows(prepared(server.client.bind(prepare(server, query), bound)))


def one(server: Server) -> str:
    return f"SELECT {server.parameter()} AS n"


@rule("must", CREATE, "parameter_schema has a field for each parameter")
def schema(server: Server) -> str:
    query = f"SELECT {server.parameter(1)} AS a, {server.parameter(2)} AS b"
    data = server.client.prepare(query).parameter_schema
    expect(data, "parameter_schema is empty")
    found = schema_of(data)
    expect_equal(len(found), 2, "fields")
    return str(found).replace("\n", ", ")


@rule("should", CREATE, "Fields of parameter_schema are nullable and have the type that the statement implies")
def schema_types(server: Server) -> None:
    found = schema_of(server.client.prepare(one(server)).parameter_schema)
    expect_equal(found.types, [pa.int64()], "types")
    expect(found.field(0).nullable, "a parameter is not nullable")


@rule("must", BIND, "A bound parameter is what the query sees")
def bind(server: Server) -> None:
    expect_equal(answer(server, one(server), batch([42])), [{"n": 42}], "rows")


@rule("should", BIND, "DoPut answers with DoPutPreparedStatementResult, for servers that keep no state")
def put_result(server: Server) -> str:
    (result,) = server.client.do_put(prepared(prepare(server, one(server))), batch([42]))
    bound = sql.DoPutPreparedStatementResult.FromString(result.app_metadata)
    expect(bound.prepared_statement_handle, "no handle")
    return f"a handle of {len(bound.prepared_statement_handle)} bytes"


@rule("must", BIND, "What DoPut answers, if it is anything, is a DoPutPreparedStatementResult")
def put_result_is_a_message(server: Server) -> None:
    for result in server.client.do_put(prepared(prepare(server, one(server))), batch([42])):
        sql.DoPutPreparedStatementResult.FromString(result.app_metadata)


@rule("must", BIND, "The handle from before goes on working, for C++ and old clients read no DoPutPreparedStatementResult")
def old_handle(server: Server) -> None:
    handle = prepare(server, one(server))
    server.client.do_put(prepared(handle), batch([42]))
    expect_equal(server.client.rows(prepared(handle)), [{"n": 42}], "rows")


@rule("must", BIND, "Bound again, the last values count")
def bind_again(server: Server) -> None:
    handle = prepare(server, one(server))
    for number in (1, 2):
        handle = server.client.bind(handle, batch([number]))
        expect_equal(server.client.rows(prepared(handle)), [{"n": number}], "rows")


@rule("must", BIND, "Values bound to one statement are not seen by another of the same text")
def bound_apart(server: Server) -> None:
    first, second = prepare(server, one(server)), prepare(server, one(server))
    first, second = server.client.bind(first, batch([1])), server.client.bind(second, batch([2]))
    expect_equal(server.client.rows(prepared(first)), [{"n": 1}], "rows of the first")
    expect_equal(server.client.rows(prepared(second)), [{"n": 2}], "rows of the second")


@rule("must", BIND, "NULL can be bound")
def null(server: Server) -> None:
    expect_equal(answer(server, one(server), batch([None])), [{"n": None}], "rows")


@rule("must", BIND, "Parameters are numbered as they stand in the text, not as they are planned")
def order_of_text(server: Server) -> None:
    # The inner one is planned first.
    query = f"SELECT {server.parameter(1)} - a AS n FROM (SELECT {server.parameter(2)} AS a) AS t"
    expect_equal(answer(server, query, batch([10], [3])), [{"n": 7}], "rows of 10 - 3")


@rule("must", BIND, "Many parameters keep their order")
def many(server: Server) -> None:
    columns = ", ".join(f"{server.parameter(n)} AS c{n}" for n in range(1, 13))
    (row,) = answer(server, f"SELECT {columns}", batch(*([n] for n in range(1, 13))))
    expect_equal(list(row.values()), list(range(1, 13)), "values")


@rule("must", BIND, "A ? in a string, a quoted name or a comment is no parameter")
def no_parameter(server: Server) -> None:
    query = f"SELECT '?' AS q, '$1' AS d, {server.parameter()} AS n -- ? $2\n"
    expect_equal(answer(server, query, batch([5])), [{"q": "?", "d": "$1", "n": 5}], "rows")


@rule("must", BIND, "A parameter filters")
def where(server: Server) -> None:
    query = f"SELECT a.v AS v FROM {server.series(100)} WHERE a.v = {server.parameter()}"
    expect_equal(answer(server, query, batch([7])), [{"v": 7}], "rows")


VALUES: dict[str, tuple[str, pa.DataType, Any]] = {
    "varchar": ("VARCHAR(100)", pa.utf8(), "it's 漢字; -- ?"),
    "boolean": ("BOOLEAN", pa.bool_(), True),
    "double": ("DOUBLE", pa.float64(), 0.1),
    "date": ("DATE", pa.date32(), datetime.date(2026, 2, 28)),
    "timestamp": ("TIMESTAMP", pa.timestamp("us"), datetime.datetime(2026, 2, 28, 12, 34, 56)),
}


def add_rule(name: str, sql_type: str, arrow_type: pa.DataType, value: Any) -> None:
    @rule("must", BIND, f"A value of type {sql_type} arrives as it was bound", name=f"of_{name}")
    def of_type(server: Server) -> None:
        query = f"SELECT {server.parameter(1, sql_type)} AS v"
        if not server.works(f"SELECT CAST(NULL AS {sql_type}) AS v"):
            raise Skipped(f"{sql_type} is no type here")
        ((found,),) = (row.values() for row in answer(server, query, batch([value], kind=arrow_type)))
        if isinstance(found, datetime.datetime):
            found = found.replace(tzinfo=None)
        expect_equal(found, value, "value")


for key, parts in VALUES.items():
    add_rule(key, *parts)


@rule("should", BIND, "A whole number of another width is taken for a BIGINT")
def width(server: Server) -> None:
    for kind in (pa.int8(), pa.int16(), pa.int32(), pa.uint8()):
        expect_equal(answer(server, one(server), batch([5], kind=kind)), [{"n": 5}], f"rows of {kind}")


@rule("should", BIND, "A large or dictionary-encoded text is taken for a VARCHAR")
def encoding(server: Server) -> None:
    query = f"SELECT {server.parameter(1, 'VARCHAR(10)')} AS t"
    expect_equal(answer(server, query, batch(["a"], kind=pa.large_utf8())), [{"t": "a"}], "rows of large text")


@rule("should", BIND, "Several rows are run one after another, or are INVALID_ARGUMENT")
def several_rows(server: Server) -> str:
    handle = prepare(server, one(server))
    try:
        rows = server.client.rows(prepared(server.client.bind(handle, batch([1, 2, 3]))))
    except grpc.RpcError as error:
        expect(error.code() == StatusCode.INVALID_ARGUMENT, f"{error.code().name}: {error.details()}")
        return "INVALID_ARGUMENT"
    expect_equal(rows, [{"n": 1}, {"n": 2}, {"n": 3}], "rows")
    return "run"


@rule("must", BIND, "Several rows are not answered with fewer: each is run, or all are refused")
def no_row_is_lost(server: Server) -> str:
    handle = prepare(server, one(server))
    try:
        rows = server.client.rows(prepared(server.client.bind(handle, batch([1, 2]))))
    except grpc.RpcError as error:
        return error.code().name
    expect_equal(sorted(row["n"] for row in rows), [1, 2], "values")
    return "run"


def faulty(server: Server, bound: pa.RecordBatch | None) -> None:
    handle = prepare(server, one(server))
    if bound is not None:
        handle = server.client.bind(handle, bound)
    server.client.get(prepared(handle))


@rule("should", BIND, "A value too few or too many is INVALID_ARGUMENT")
def number_of_values(server: Server) -> None:
    refused(lambda: faulty(server, batch([1], [2])), StatusCode.INVALID_ARGUMENT)
    refused(lambda: faulty(server, pa.RecordBatch.from_struct_array(pa.array([{}], pa.struct([])))), StatusCode.INVALID_ARGUMENT)


@rule("must", BIND, "A query whose parameters were not bound does not run")
def not_bound(server: Server) -> str:
    return refused(lambda: faulty(server, None)).code().name


@rule("should", BIND, "A query whose parameters were not bound is INVALID_ARGUMENT")
def not_bound_code(server: Server) -> None:
    refused(lambda: faulty(server, None), StatusCode.INVALID_ARGUMENT)


@rule("should", BIND, "A value that cannot be of the parameter's type is INVALID_ARGUMENT")
def type_of_value(server: Server) -> None:
    refused(lambda: faulty(server, batch(["not a number"], kind=pa.utf8())), StatusCode.INVALID_ARGUMENT)


@rule("must", BIND, "With parameters bound, the schema in FlightInfo is that of the stream")
def schema_when_bound(server: Server) -> None:
    handle = server.client.bind(prepare(server, one(server)), batch([1]))
    info = server.client.get_flight_info(prepared(handle))
    if not info.schema:
        raise Skipped("FlightInfo has no schema")
    found, expected = schema_of(info.schema), server.client.fetch(info).schema
    expect(found.equals(expected), f"{found} / {expected}")


@rule("must", BIND, "A ticket keeps the values that were bound when it was made")
def ticket_keeps_values(server: Server) -> None:
    handle = prepare(server, one(server))
    first = server.client.bind(handle, batch([1]))
    info = server.client.get_flight_info(prepared(first))
    if not all(endpoint.HasField("expiration_time") for endpoint in info.endpoint):
        raise Skipped("no expiration_time, so a ticket is promised for no time at all")
    server.client.bind(handle, batch([2]))
    expect_equal(server.client.fetch(info).rows(), [{"n": 1}], "rows")


def bind_text(server: Server, length: int) -> None:
    query = f"SELECT character_length({server.parameter(1, 'VARCHAR')}) AS n"
    if not server.works("SELECT character_length(CAST('a' AS VARCHAR)) AS n"):
        raise Skipped("character_length is not understood")
    expect_equal(answer(server, query, batch(["x" * length], kind=pa.utf8())), [{"n": length}], "rows")


@rule("should", BIND, "A value of 1 MiB can be bound")
def large_value(server: Server) -> None:
    bind_text(server, 1 << 20)


@rule("must", BIND, "A value of 5 MiB is bound or refused, and the connection lives")
def huge_value(server: Server) -> str:
    try:
        bind_text(server, 5 << 20)
        found = "bound"
    except grpc.RpcError as error:
        if error.code() == StatusCode.UNIMPLEMENTED:
            raise
        expect(error.code() != StatusCode.UNAVAILABLE, f"the connection broke: {error.details()}")
        found = error.code().name
    expect_equal(server.client.rows("SELECT 1 AS n"), [{"n": 1}], "rows of the next")
    return found


@rule("should", BIND, "Binding to a handle that the server never gave is INVALID_ARGUMENT or NOT_FOUND")
def unknown_handle(server: Server) -> None:
    bound = prepared(b"there is no such handle")
    refused(lambda: server.client.do_put(bound, batch([1])), StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND)

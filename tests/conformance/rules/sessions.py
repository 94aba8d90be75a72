"""Options of sessions. Each rule logs in anew, so that none sees another's."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from grpc import StatusCode

from ..client import Client
from ..messages import flight
from ..rule import Skipped, expect, expect_equal, refused, rule
from ..server import Server

GET, SET, CLOSE = "Flight GetSessionOptions", "Flight SetSessionOptions", "Flight CloseSession"
INVALID_NAME, INVALID_VALUE = flight.SetSessionOptionsResult.INVALID_NAME, flight.SetSessionOptionsResult.INVALID_VALUE


@contextmanager
def session(server: Server) -> Iterator[Client]:
    """The first call is what makes a server that goes by cookies begin one."""
    for kind in ("GetSessionOptions", "SetSessionOptions", "CloseSession"):
        server.needs_action(kind)
    with server.new_session() as client:
        client.action("GetSessionOptions", flight.GetSessionOptionsRequest())
        yield client


def options(client: Client) -> dict[str, Any]:
    body = client.only_action("GetSessionOptions", flight.GetSessionOptionsRequest())
    found = flight.GetSessionOptionsResult.FromString(body).session_options
    return {name: getattr(value, value.WhichOneof("option_value") or "", None) for name, value in found.items()}


def put(client: Client, **values: Any) -> dict[str, int]:
    """The errors by name. None erases."""
    request = flight.SetSessionOptionsRequest()
    for name, value in values.items():
        option = request.session_options[name]
        if isinstance(value, str):
            option.string_value = value
        elif isinstance(value, bool):
            option.bool_value = value
        elif isinstance(value, int):
            option.int64_value = value
    body = client.only_action("SetSessionOptions", request)
    return {name: error.value for name, error in flight.SetSessionOptionsResult.FromString(body).errors.items()}


def put_schema(client: Client, server: Server) -> str:
    """Sets the option that JDBC, ADBC and ODBC know; its value."""
    schema = server.relation.schema
    if not schema:
        raise Skipped("tables are in no schema")
    errors = put(client, schema=schema)
    if errors.get("schema") == INVALID_NAME:
        raise Skipped("there is no option `schema`")
    expect_equal(errors, {}, "errors")
    return schema


@rule("must", GET, "The options of a session are told")
def get(server: Server) -> str:
    with session(server) as client:
        return ", ".join(sorted(options(client))) or "none"


@rule("must", SET, "What is set is what is told")
def set_and_get(server: Server) -> None:
    with session(server) as client:
        schema = put_schema(client, server)
        expect_equal(options(client).get("schema"), schema, "schema")


@rule("must", SET, "An unknown name is INVALID_NAME in the result, not an error of the call")
def unknown_name(server: Server) -> None:
    with session(server) as client:
        expect_equal(put(client, no_such_option_here="x"), {"no_such_option_here": INVALID_NAME}, "errors")


@rule("must", SET, "A value that cannot be is INVALID_VALUE in the result, not an error of the call")
def impossible_value(server: Server) -> None:
    with session(server) as client:
        errors = put(client, timezone="Mars/Base")
        if errors == {"timezone": INVALID_NAME}:
            raise Skipped("there is no option `timezone` to try it on")
        expect_equal(errors, {"timezone": INVALID_VALUE}, "errors")


@rule("should", SET, "A value of a wrong type is INVALID_VALUE")
def type_of_value(server: Server) -> None:
    with session(server) as client:
        errors = put(client, schema=7)
        if errors == {"schema": INVALID_NAME}:
            raise Skipped("there is no option `schema` to try it on")
        expect_equal(errors, {"schema": INVALID_VALUE}, "errors")


@rule("must", SET, "Options that are right are set beside others that are not")
def right_beside_wrong(server: Server) -> None:
    with session(server) as client:
        schema = put_schema(client, server)
        put(client, schema=None)
        expect_equal(put(client, schema=schema, no_such_option_here="x"), {"no_such_option_here": INVALID_NAME}, "errors")
        expect_equal(options(client).get("schema"), schema, "schema")


@rule("must", SET, "A value that is missing erases the option")
def erase(server: Server) -> None:
    with session(server) as client:
        before = options(client).get("schema")
        put_schema(client, server)
        expect_equal(put(client, schema=None), {}, "errors")
        expect_equal(options(client).get("schema"), before, "schema")


@rule("must", SET, "Options of one session are not seen in another")
def apart(server: Server) -> None:
    with session(server) as first, session(server) as second:
        before = options(second).get("schema")
        schema = put_schema(first, server)
        if before == schema:
            raise Skipped("the table's schema is the default")
        expect_equal(options(second).get("schema"), before, "schema")


def unqualified(server: Server) -> str:
    relation = server.relation
    query = f"SELECT count(*) AS n FROM {relation.sql.rpartition('.')[2]}"
    if server.works(query):
        raise Skipped("the table is found without its schema anyhow")
    return query


@rule("should", SET, "Tables are looked up in the schema that is set")
def schema_is_default(server: Server) -> None:
    query = unqualified(server)
    with session(server) as client:
        put_schema(client, server)
        expect(client.rows(query), "no rows")


@rule("should", SET, "A catalog that is not there is NOT_FOUND, or INVALID_VALUE in the result")
def unknown_catalog(server: Server) -> str:
    with session(server) as client:
        try:
            errors = put(client, catalog="there-is-none-of-this-name")
        except grpc.RpcError as error:
            expect(error.code() == StatusCode.NOT_FOUND, f"{error.code().name}: {error.details()}")
            return "NOT_FOUND"
        if errors == {"catalog": INVALID_NAME}:
            raise Skipped("there is no option `catalog`")
        expect_equal(errors, {"catalog": INVALID_VALUE}, "errors")
        return "INVALID_VALUE"


@rule("should", "Flight call headers", "The header `schema` sets the schema for one call, as JDBC sends its URL's parameters")
def schema_by_header(server: Server) -> None:
    query = unqualified(server)
    client = server.client.with_headers(("schema", str(server.relation.schema)))
    expect(client.rows(query), "no rows")
    expect(not server.works(query), "it lasts for longer than the call")


@rule("must", CLOSE, "Closing a session answers CLOSED or CLOSING")
def close(server: Server) -> None:
    with session(server) as client:
        body = client.only_action("CloseSession", flight.CloseSessionRequest())
        status = flight.CloseSessionResult.FromString(body).status
        expect(status in (flight.CloseSessionResult.CLOSED, flight.CloseSessionResult.CLOSING), f"status {status}")


@rule("must", CLOSE, "After closing, the options are gone")
def closed(server: Server) -> None:
    with session(server) as client:
        before = options(client).get("schema")
        put_schema(client, server)
        client.only_action("CloseSession", flight.CloseSessionRequest())
        try:
            after = options(client).get("schema")
        except grpc.RpcError as error:
            # A session that is over may also be no login any more.
            expect(error.code() in (StatusCode.UNAUTHENTICATED, StatusCode.NOT_FOUND), error.code().name)
        else:
            expect_equal(after, before, "schema")


@rule("should", SET, "What is no SetSessionOptionsRequest is INVALID_ARGUMENT")
def undecodable(server: Server) -> None:
    server.needs_action("SetSessionOptions")
    refused(lambda: server.client.action("SetSessionOptions", b"\xff\xff\xff"), StatusCode.INVALID_ARGUMENT)

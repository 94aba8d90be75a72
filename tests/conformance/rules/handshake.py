"""Logging in."""

from contextlib import suppress

import pyarrow as pa
from grpc import RpcError, StatusCode

from ..client import Client, basic, descriptor
from ..messages import flight, sql
from ..rule import Broken, Skipped, described, expect, expect_equal, refused, rule
from ..server import Server

ONE = "SELECT 1 AS n"
NOBODY = "nobody-by-this-name"
EMPTY = flight.HandshakeRequest()


def with_basic(server: Server, client: Client, padded: bool = True) -> Client:
    return client.anonymous(("authorization", basic(*server.user(), padded)))


def bearer(server: Server) -> str:
    value = with_basic(server, server.client).handshake(EMPTY).get("authorization")
    expect(value, "the answer has no header `authorization`")
    expect(str(value).startswith("Bearer "), "the header `authorization` of the answer is no Bearer token")
    return str(value)


@rule("must", "Flight Handshake", "Basic credentials and one empty message, as Java and C++ send, are a login")
def one_empty_message(server: Server) -> None:
    with_basic(server, server.client).handshake(EMPTY)


@rule("must", "Flight Handshake", "Basic credentials and no message at all, as Go sends, are a login")
def no_message(server: Server) -> None:
    with_basic(server, server.client).handshake()


@rule("must", "Flight Handshake", "Basic credentials are read without the padding of base64, which Go leaves out")
def unpadded(server: Server) -> str:
    padding = basic(*server.user()).count("=")
    with_basic(server, server.client, padded=False).handshake()
    return f"{padding} characters of padding left out" if padding else "these credentials need no padding"


@rule("should", "Flight Handshake", "The scheme of the credentials is Basic in any case")
def case_of_scheme(server: Server) -> None:
    value = basic(*server.user())
    server.client.anonymous(("authorization", value.replace("Basic", "basic"))).handshake(EMPTY)


@rule("must", "Flight Handshake", "The answer carries the header `authorization: Bearer …`")
def bearer_in_answer(server: Server) -> None:
    bearer(server)


@rule("must", "Flight Handshake", "The bearer of the answer logs other calls in, on another connection too")
def bearer_is_good(server: Server) -> None:
    value = bearer(server)
    with server.connect() as client:
        client.anonymous(("authorization", value)).get_flight_info(ONE)


@rule("should", "Flight Handshake", "A bearer is itself a login, as the JDBC driver's `token=` asks")
def bearer_as_login(server: Server) -> None:
    if server.credentials.token is not None:
        value = f"Bearer {server.credentials.token}"
    else:
        value = bearer(server)
    server.client.anonymous(("authorization", value)).handshake(EMPTY)


@rule("should", "Flight authentication", "Every call may bring Basic credentials, with no Handshake before")
def basic_on_every_call(server: Server) -> None:
    with server.connect() as client:
        with_basic(server, client).get_flight_info(ONE)


def skip_if_open(server: Server) -> None:
    with suppress(RpcError):
        server.client.anonymous().get_flight_info(ONE)
        raise Skipped("the server is open to anybody")


def login_refused(server: Server, user: str, password: str) -> str:
    """In which words. Where there is no Handshake, or who logs in makes no difference, the rule is passed over."""
    try:
        server.client.anonymous(("authorization", basic(user, password))).handshake(EMPTY)
    except RpcError as error:
        if error.code() != StatusCode.UNAUTHENTICATED:
            raise
        return error.details()
    skip_if_open(server)
    raise Broken("it was a login")


@rule("must", "Flight authentication", "A wrong password is UNAUTHENTICATED, unless the server is open to anybody")
def wrong_password(server: Server) -> str:
    user, password = server.user()
    return login_refused(server, user, password + "-not")


@rule("must", "Flight authentication", "An unknown user is UNAUTHENTICATED, unless the server is open to anybody")
def unknown_user(server: Server) -> str:
    server.user()
    return login_refused(server, NOBODY, "x")


@rule("should", "Flight authentication", "A wrong password and an unknown user are refused in the same words")
def same_words(server: Server) -> None:
    user, _ = server.user()
    expect_equal(login_refused(server, NOBODY, "not-it"), login_refused(server, user, "not-it"), "an unknown user")


def refused_or_open(client: Client) -> str:
    """A server may serve anybody; one that does not says UNAUTHENTICATED, for nothing else makes a client log in."""
    try:
        client.get_flight_info(ONE)
    except RpcError as error:
        expect(error.code() == StatusCode.UNAUTHENTICATED, described(error))
        return error.details()
    raise Skipped("the server is open to anybody")


@rule("must", "Flight authentication", "A call without credentials is UNAUTHENTICATED, unless the server is open to anybody")
def no_credentials(server: Server) -> str:
    return refused_or_open(server.client.anonymous())


@rule("must", "Flight authentication", "A foreign bearer is UNAUTHENTICATED, unless the server is open to anybody")
def foreign_bearer(server: Server) -> str:
    return refused_or_open(server.client.anonymous(("authorization", "Bearer not-a-token-of-this-server")))


@rule("must", "Flight authentication", "Credentials that are no base64 are UNAUTHENTICATED, unless the server is open to anybody")
def garbled_credentials(server: Server) -> str:
    return refused_or_open(server.client.anonymous(("authorization", "Basic !!!not*base64")))


@rule("should", "Flight authentication", "No call at all is answered without credentials, unless the server is open to anybody")
def every_call_needs_credentials(server: Server) -> str:
    client = server.client.anonymous()
    refused_or_open(client)
    # What would be answered with credentials: servers may read what is asked before they look at who asks.
    ticket = server.client.get_flight_info(ONE).endpoint[0].ticket
    update, batch = sql.CommandStatementUpdate(query="DELETE FROM no_such_table_here"), pa.record_batch([pa.array([1])], names=["n"])
    calls = {
        "GetSchema": lambda: client.get_schema(ONE),
        "PollFlightInfo": lambda: client.poll(descriptor(ONE)),
        "DoGet": lambda: client.do_get(ticket),
        "DoAction": lambda: client.prepare(ONE),
        "ListActions": client.list_actions,
        "GetSqlInfo": lambda: client.get_flight_info(sql.CommandGetSqlInfo()),
        "ListFlights": lambda: client.all("ListFlights", flight.Criteria(), flight.FlightInfo),
        "DoPut": lambda: client.do_put(update, batch),
    }
    for name, call in calls.items():
        try:
            refused(call, StatusCode.UNAUTHENTICATED, StatusCode.UNIMPLEMENTED)
        except Broken as broken:
            raise Broken(f"{name}: {broken}") from broken
    return ", ".join(calls)

"""Tickets and handles: opaque to the client, and not to be trusted by the server."""

import random
import time
from collections.abc import Iterator

from grpc import RpcError, StatusCode

from ..client import prepared
from ..messages import flight, packed, sql
from ..rule import Skipped, expect, expect_equal, expect_status, refused, rule
from ..server import Server
from .handshake import skip_if_open

TICKET, RENEW = "Flight Ticket", "Flight RenewFlightEndpoint"
ONE = "SELECT 1 AS n"
# UNIMPLEMENTED, as a ticket may be a command, and a changed one a command of another name.
CODES = (
    StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.PERMISSION_DENIED, StatusCode.UNAUTHENTICATED,
    StatusCode.UNIMPLEMENTED,
)


def spoilt(good: bytes) -> Iterator[bytes]:
    """The same bytes on each run."""
    chance = random.Random(1)
    for length in sorted({0, 1, len(good) // 2, len(good) - 1}):
        yield good[:length]
    for _ in range(20):
        changed = bytearray(good)
        changed[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        yield bytes(changed)
    yield good + b"\x00"
    yield chance.randbytes(200)
    yield packed(sql.TicketStatementQuery(statement_handle=b"a handle of another server"))


def ticket(server: Server) -> bytes:
    return server.client.get_flight_info(ONE).endpoint[0].ticket.ticket


@rule("must", TICKET, "Whatever a ticket holds is answered with rows or with a status, and the server serves on")
def spoilt_tickets(server: Server) -> str:
    codes = set()
    for data in spoilt(ticket(server)):
        try:
            server.client.do_get(flight.Ticket(ticket=data))
            codes.add("OK")
        except RpcError as error:
            expect_status(error)
            codes.add(error.code().name)
    server.still_serves()
    return ", ".join(sorted(codes))


@rule("should", TICKET, "A ticket that is cut short, changed or foreign is refused as the client's fault")
def spoilt_tickets_are_refused(server: Server) -> None:
    for data in spoilt(ticket(server)):
        refused(lambda: server.client.do_get(flight.Ticket(ticket=data)), *CODES)


@rule("must", TICKET, "Whatever a prepared statement's handle holds is answered, and the server serves on")
def spoilt_handles(server: Server) -> str:
    codes = set()
    for data in spoilt(server.client.prepare(ONE).prepared_statement_handle):
        try:
            server.client.get_flight_info(prepared(data))
            codes.add("OK")
        except RpcError as error:
            expect_status(error)
            codes.add(error.code().name)
    server.still_serves()
    return ", ".join(sorted(codes))


@rule("should", TICKET, "A handle that is cut short, changed or foreign is refused as the client's fault")
def spoilt_handles_are_refused(server: Server) -> None:
    for data in spoilt(server.client.prepare(ONE).prepared_statement_handle):
        refused(lambda: server.client.get_flight_info(prepared(data)), *CODES)


@rule("should", TICKET, "A prepared statement's handle is no ticket, and a ticket no handle")
def mixed_up(server: Server) -> None:
    handle = server.client.prepare(ONE).prepared_statement_handle
    refused(lambda: server.client.do_get(flight.Ticket(ticket=handle)), *CODES)
    refused(lambda: server.client.get_flight_info(prepared(ticket(server))), *CODES)


@rule("should", TICKET, "A ticket does not show its statement to those who pass it on")
def sealed(server: Server) -> None:
    word = "a_word_that_is_only_here"
    asked = f"SELECT 1 AS {word}"
    expect(word.encode() not in server.client.get_flight_info(asked).endpoint[0].ticket.ticket, "the ticket holds the SQL")
    expect(word.encode() not in server.client.prepare(asked).prepared_statement_handle, "the handle holds the SQL")


@rule("should", TICKET, "A ticket needs its user: without credentials it is UNAUTHENTICATED, unless the server is open to anybody")
def no_authority(server: Server) -> None:
    if server.credentials.user is None and server.credentials.token is None:
        raise Skipped("no credentials are given")
    skip_if_open(server)
    data = ticket(server)
    refused(lambda: server.client.anonymous().do_get(flight.Ticket(ticket=data)), StatusCode.UNAUTHENTICATED)


@rule("must", RENEW, "A renewed endpoint is good, and for no less long than before")
def renew(server: Server) -> str:
    server.needs_action("RenewFlightEndpoint")
    info = server.client.get_flight_info(ONE)
    before = info.endpoint[0]
    body = server.client.only_action("RenewFlightEndpoint", flight.RenewFlightEndpointRequest(endpoint=before))
    after = flight.FlightEndpoint.FromString(body)
    expect(after.HasField("expiration_time"), "no expiration_time")
    left = after.expiration_time.seconds - time.time()
    expect(left > -60, f"it expired {-left:.0f} s ago")
    if before.HasField("expiration_time"):
        expect(after.expiration_time.seconds >= before.expiration_time.seconds, "it expires before the old one")
    expect_equal(server.client.do_get(after.ticket).rows(), [{"n": 1}], "rows")
    return f"for {left:.0f} s"


@rule("should", RENEW, "An endpoint that is not the server's is refused as the client's fault")
def renew_foreign(server: Server) -> None:
    server.needs_action("RenewFlightEndpoint")
    for data in (b"", b"there is no such ticket"):
        endpoint = flight.FlightEndpoint(ticket=flight.Ticket(ticket=data))
        request = flight.RenewFlightEndpointRequest(endpoint=endpoint)
        refused(lambda: server.client.action("RenewFlightEndpoint", request), *CODES)

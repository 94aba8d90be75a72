"""Ending a query early."""

import time
from collections.abc import Callable
from typing import Any

from grpc import RpcError, StatusCode

from ..messages import flight, packed, sql, unpacked
from ..rule import Broken, Skipped, described, expect, expect_equal, rule
from ..server import Server
from ..stream import RECORD_BATCH

FLIGHT_INFO, QUERY = "Flight CancelFlightInfo", "Flight SQL CancelQuery"
CANCELLED, CANCELLING, NOT_CANCELLABLE = 1, 2, 3
ONE = "SELECT 1 AS n"


def cancel_flight_info(server: Server, info: Any) -> int:
    server.needs_action("CancelFlightInfo")
    body = server.client.only_action("CancelFlightInfo", flight.CancelFlightInfoRequest(info=info))
    return flight.CancelFlightInfoResult.FromString(body).status


def cancel_query(server: Server, info: Any) -> int:
    server.needs_action("CancelQuery")
    body = server.client.only_action("CancelQuery", packed(sql.ActionCancelQueryRequest(info=info.SerializeToString())))
    return unpacked(body, sql.ActionCancelQueryResult).result


def not_running(server: Server, cancel: Callable[[Server, Any], int]) -> str:
    try:
        status = cancel(server, server.client.get_flight_info(ONE))
    except RpcError as error:
        if error.code() != StatusCode.NOT_FOUND:
            raise
        return "NOT_FOUND"
    expect(status in (CANCELLED, CANCELLING, NOT_CANCELLABLE), f"status {status}")
    return ("", "CANCELLED", "CANCELLING", "NOT_CANCELLABLE")[status]


def running(server: Server, cancel: Callable[[Server, Any], int]) -> str:
    """How the stream of a query ends that is cancelled."""
    info = server.client.get_flight_info(server.flood())
    stream = server.client.messages(info.endpoint[0].ticket)
    try:
        next(message for message in stream if message.kind == RECORD_BATCH)
        status = cancel(server, info)
        if status == NOT_CANCELLABLE:
            raise Skipped("the server says NOT_CANCELLABLE of a query that runs")
        expect(status in (CANCELLED, CANCELLING), f"status {status}")
        until = time.monotonic() + 10
        try:
            for _ in stream:
                expect(time.monotonic() < until, "10 s later rows still arrive")
        except RpcError as error:
            return described(error)
    finally:
        stream.cancel()
    raise Broken("the stream ended as if it were whole")


@rule("must", FLIGHT_INFO, "Cancelling what does not run has a status that the reference names, or is NOT_FOUND")
def flight_info_not_running(server: Server) -> str:
    return not_running(server, cancel_flight_info)


@rule("must", FLIGHT_INFO, "A running query is cancelled, and its stream ends in an error")
def flight_info_running(server: Server) -> str:
    return running(server, cancel_flight_info)


@rule("must", QUERY, "Cancelling what does not run has a status that the reference names, or is NOT_FOUND")
def query_not_running(server: Server) -> str:
    return not_running(server, cancel_query)


@rule("must", QUERY, "A running query is cancelled, and its stream ends in an error")
def query_running(server: Server) -> str:
    return running(server, cancel_query)


@rule("should", FLIGHT_INFO, "A stream that was cancelled ends as CANCELLED")
def code(server: Server) -> str:
    found = running(server, cancel_flight_info)
    expect(found.startswith("CANCELLED"), found)
    return found


@rule("should", FLIGHT_INFO, "A FlightInfo that is not the server's is NOT_CANCELLABLE, NOT_FOUND or INVALID_ARGUMENT")
def foreign(server: Server) -> str:
    ticket = flight.Ticket(ticket=b"there is no such ticket")
    try:
        status = cancel_flight_info(server, flight.FlightInfo(endpoint=[flight.FlightEndpoint(ticket=ticket)]))
    except RpcError as error:
        if error.code() not in (StatusCode.NOT_FOUND, StatusCode.INVALID_ARGUMENT):
            raise
        return error.code().name
    expect_equal(status, NOT_CANCELLABLE, "status")
    return "NOT_CANCELLABLE"


@rule("must", "gRPC cancellation", "A client that cancels its call has an answer to its next at once")
def call(server: Server) -> str:
    slowest = 0.0
    for _ in range(8):
        info = server.client.get_flight_info(server.endless())
        running = server.client.messages(info.endpoint[0].ticket)
        time.sleep(0.1)
        running.cancel()
        began = time.monotonic()
        expect_equal(server.client.rows(ONE), [{"n": 1}], "rows of the next")
        slowest = max(slowest, time.monotonic() - began)
    expect(slowest < 5, f"it took {slowest:.1f} s")
    return f"within {slowest:.2f} s"


@rule("must", "gRPC deadlines", "A call past its deadline ends, and the server serves on")
def deadline(server: Server) -> str:
    info = server.client.get_flight_info(server.endless())
    began = time.monotonic()
    try:
        for _ in server.client.messages(info.endpoint[0].ticket, timeout=1):
            pass
    except RpcError as error:
        codes = (StatusCode.DEADLINE_EXCEEDED, StatusCode.CANCELLED)
        expect(error.code() in codes, described(error))
    took = time.monotonic() - began
    expect(took < 5, f"it took {took:.1f} s")
    server.still_serves()
    return f"after {took:.1f} s"

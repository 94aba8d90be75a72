"""GetFlightInfo, GetSchema's sibling PollFlightInfo, and what an endpoint says."""

import time
from urllib.parse import urlsplit

from ..client import descriptor
from ..messages import flight, sql
from ..rule import Broken, Skipped, expect, expect_equal, rule
from ..server import Server
from ..stream import schema_of

ONE = "SELECT 1 AS n"
SCHEMES = {"grpc", "grpc+tcp", "grpc+tls", "grpc+unix", "arrow-flight-reuse-connection", "http", "https"}


@rule("must", "Flight GetFlightInfo", "A statement has a FlightInfo with an endpoint and a ticket", required=True)
def statement(server: Server) -> str:
    info = server.client.get_flight_info(ONE)
    expect(info.endpoint, "no endpoint")
    expect(all(endpoint.ticket.ticket for endpoint in info.endpoint), "an endpoint without a ticket")
    return f"{len(info.endpoint)} endpoint, a ticket of {len(info.endpoint[0].ticket.ticket)} bytes"


@rule("must", "Flight FlightInfo", "The schema is an IPC message, if there is one")
def schema_is_a_message(server: Server) -> str:
    data = server.client.get_flight_info(ONE).schema
    if not data:
        raise Skipped("FlightInfo has no schema for a statement")
    schema = schema_of(data)
    expect_equal(schema.names, ["n"], "columns")
    return str(schema).replace("\n", ", ")


@rule("should", "Flight FlightInfo", "The schema of a statement is known before it runs")
def schema_of_statement(server: Server) -> None:
    expect(server.client.get_flight_info(ONE).schema, "FlightInfo has no schema")


@rule("should", "Flight FlightInfo", "The descriptor is the one that was asked with")
def descriptor_comes_back(server: Server) -> None:
    info = server.client.get_flight_info(ONE)
    expect_equal(info.flight_descriptor, descriptor(ONE), "flight_descriptor")


@rule("should", "Flight FlightInfo", "There is one endpoint: some clients read no other")
def one_endpoint(server: Server) -> None:
    for asked in (ONE, f"SELECT * FROM {server.relation.sql}", sql.CommandGetTables()):
        expect_equal(len(server.client.get_flight_info(asked).endpoint), 1, "endpoints")


@rule("should", "Flight FlightEndpoint", "The list of locations is empty: clients dial every other, which a balancer hides")
def no_location(server: Server) -> None:
    for asked in (ONE, sql.CommandGetTables()):
        for endpoint in server.client.get_flight_info(asked).endpoint:
            expect_equal([location.uri for location in endpoint.location], [], "locations")


@rule("must", "Flight Location", "Locations are URIs of schemes that Flight knows")
def locations_are_uris(server: Server) -> str:
    info = server.client.get_flight_info(ONE)
    uris = [location.uri for endpoint in info.endpoint for location in endpoint.location]
    for uri in uris:
        expect(urlsplit(uri).scheme in SCHEMES, f"{uri!r}")
    return ", ".join(uris) or "none"


@rule("must", "Flight FlightInfo", "total_records is -1 or the number of rows")
def total_records(server: Server) -> str:
    for asked in (ONE, f"SELECT * FROM {server.relation.sql}", sql.CommandGetTableTypes()):
        info = server.client.get_flight_info(asked)
        if info.total_records != -1:
            expect_equal(info.total_records, server.client.fetch(info).table.num_rows, "total_records")
    return str(info.total_records)


@rule("should", "Flight FlightInfo", "total_bytes is -1 unless it is known")
def total_bytes(server: Server) -> str:
    info = server.client.get_flight_info(ONE)
    expect(info.total_bytes == -1 or info.total_bytes > 0, f"{info.total_bytes} for a result with a row")
    return str(info.total_bytes)


@rule("should", "Flight FlightInfo", "A result with ORDER BY says that it is ordered")
def ordered(server: Server) -> None:
    info = server.client.get_flight_info(f"SELECT a.v AS v FROM {server.series(10)} ORDER BY v")
    expect(info.ordered, "ordered is false")


@rule("should", "Flight FlightEndpoint", "An endpoint says until when its ticket is good, and that is not past")
def expiration_time(server: Server) -> str:
    for endpoint in server.client.get_flight_info(ONE).endpoint:
        expect(endpoint.HasField("expiration_time"), "no expiration_time")
        left = endpoint.expiration_time.seconds - time.time()
        expect(left > 0, f"past by {-left:.0f} s")
    return f"in {left:.0f} s"


@rule("must", "Flight FlightEndpoint", "An expiration_time, if there is one, is not past")
def not_expired(server: Server) -> None:
    for endpoint in server.client.get_flight_info(ONE).endpoint:
        if not endpoint.HasField("expiration_time"):
            raise Skipped("an endpoint has no expiration_time")
        # The clocks of two machines may differ.
        expect(endpoint.expiration_time.seconds > time.time() - 60, "it is past")


@rule("should", "Flight FlightInfo", "app_metadata tells which query it is, so that people can speak of it")
def query_id(server: Server) -> str:
    first, second = (server.client.get_flight_info(ONE).app_metadata for _ in range(2))
    expect(first and second, "app_metadata is empty")
    expect(first != second, "two queries have one app_metadata")
    return first.decode(errors="replace")


@rule("should", "Flight GetFlightInfo", "GetFlightInfo plans a statement and does not run it")
def does_not_run(server: Server) -> str:
    began = time.monotonic()
    server.client.get_flight_info(server.endless())
    took = time.monotonic() - began
    expect(took < 5, f"it took {took:.1f} s")
    return f"{took:.2f} s"


@rule("must", "Flight PollFlightInfo", "Polling goes on until no descriptor comes back, and then there is the whole FlightInfo")
def poll_completes(server: Server) -> str:
    asked = descriptor(ONE)
    for polls in range(1, 51):
        answer = server.client.poll(asked)
        if not answer.HasField("flight_descriptor"):
            expect(answer.HasField("info"), "complete and without a FlightInfo")
            expect_equal(server.client.fetch(answer.info).rows(), [{"n": 1}], "rows")
            return f"after {polls}"
        asked = answer.flight_descriptor
        time.sleep(0.05)
    raise Broken("not complete after 50 polls")


@rule("must", "Flight PollInfo", "The progress, if told, is between 0 and 1")
def poll_progress(server: Server) -> str:
    answer = server.client.poll(descriptor(ONE))
    if not answer.HasField("progress"):
        return "not told"
    expect(0 <= answer.progress <= 1, f"{answer.progress}")
    return f"{answer.progress:g}"


@rule("should", "Flight PollFlightInfo", "Metadata commands can be polled too")
def poll_metadata(server: Server) -> None:
    answer = server.client.poll(descriptor(sql.CommandGetTableTypes()))
    if not answer.HasField("flight_descriptor"):
        expect(answer.info.endpoint, "no endpoint")


@rule("must", "Flight SQL Any", "Fields of a command that the server does not know are passed over, as protobuf has it")
def unknown_fields(server: Server) -> None:
    # Field 900, a number.
    extended = sql.CommandStatementQuery.FromString(sql.CommandStatementQuery(query=ONE).SerializeToString() + b"\xa0\x38\x01")
    expect_equal(server.client.rows(extended), [{"n": 1}], "rows")

"""Faults: that they are told, by which code, and in how many words."""

from collections.abc import Callable
from typing import Any

from google.protobuf import any_pb2
from grpc import StatusCode

from ..client import Client
from ..messages import flight, sql
from ..rule import ANY_CODE, Skipped, expect, refused, rule
from ..server import Server
from .schemas import quoted

NOWHERE = "no_such_name_here"
INVALID, NOT_FOUND, UNIMPLEMENTED = StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND, StatusCode.UNIMPLEMENTED
STATUS = "gRPC status codes"
# As large as a status may be that travels in headers and passes every proxy.
LIMIT = 2048


def ask(descriptor: Any) -> Callable[[Client], Any]:
    return lambda client: client.unary("GetFlightInfo", descriptor, flight.FlightInfo)


def command(data: bytes) -> Callable[[Client], Any]:
    return ask(flight.FlightDescriptor(type=flight.FlightDescriptor.CMD, cmd=data))


def of_tomorrow() -> bytes:
    return any_pb2.Any(type_url="type.googleapis.com/arrow.flight.protocol.sql.CommandOfTomorrow").SerializeToString()


# What is asked, what it is called, and the codes that tell a client what to do about it. A fault may show when the
# statement is planned or when it runs.
FAULTS: dict[str, tuple[str, str, Callable[[Client], Any], tuple[StatusCode, ...]]] = {
    "syntax": ("What is no SQL", "CommandStatementQuery", lambda client: client.get("SELEC 1"), (INVALID,)),
    "empty_statement": ("A statement of nothing", "CommandStatementQuery", lambda client: client.get(""), (INVALID,)),
    "two_statements": (
        "Two statements in one",
        "CommandStatementQuery",
        lambda client: client.get("SELECT 1 AS n; SELECT 2 AS n"),
        (INVALID, UNIMPLEMENTED),
    ),
    "unknown_table": (
        "A table that is not there",
        "CommandStatementQuery",
        lambda client: client.get(f"SELECT * FROM {NOWHERE}"),
        (NOT_FOUND,),
    ),
    "unknown_schema": (
        "A schema that is not there",
        "CommandStatementQuery",
        lambda client: client.get(f"SELECT * FROM {NOWHERE}.t"),
        (NOT_FOUND,),
    ),
    "unknown_column": (
        "A column that is not there",
        "CommandStatementQuery",
        lambda client: client.get(f"SELECT {NOWHERE} FROM (SELECT 1 AS n) AS t"),
        (INVALID,),
    ),
    "unknown_function": (
        "A function that is not there",
        "CommandStatementQuery",
        lambda client: client.get(f"SELECT {NOWHERE}(1) AS n"),
        (INVALID,),
    ),
    "unknown_command": ("A command of tomorrow", "Any", command(of_tomorrow()), (UNIMPLEMENTED,)),
    "undecodable_command": ("A command that is no message", "Any", command(b"\xff\xff\xff\xff"), (INVALID,)),
    "empty_command": ("A command of no bytes", "Any", command(b""), (INVALID,)),
    "empty_descriptor": ("A descriptor of nothing", "FlightDescriptor", ask(flight.FlightDescriptor()), (INVALID,)),
    "path": (
        "A descriptor with a path to nowhere",
        "FlightDescriptor",
        ask(flight.FlightDescriptor(type=flight.FlightDescriptor.PATH, path=[NOWHERE])),
        (INVALID, NOT_FOUND, UNIMPLEMENTED),
    ),
    "undecodable_put": (
        "DoPut without a descriptor",
        "DoPut",
        lambda client: client.exchange("DoPut", [flight.FlightData()], flight.PutResult),
        (INVALID,),
    ),
}


def add_rules(name: str, what: str, section: str, ask: Callable[[Client], Any], codes: tuple[StatusCode, ...]) -> None:
    @rule("must", f"Flight {section}", f"{what} is refused, and the server serves on", name=name)
    def is_refused(server: Server) -> str:
        error = refused(lambda: ask(server.client), *(ANY_CODE if UNIMPLEMENTED in codes else ()))
        server.still_serves()
        return f"{error.code().name}: {error.details()}"

    @rule("should", STATUS, f"{what} is {' or '.join(code.name for code in codes)}", name=f"{name}_code", required=True)
    def has_code(server: Server) -> None:
        refused(lambda: ask(server.client), *codes)


for key, fault in FAULTS.items():
    add_rules(key, *fault)


@rule("should", STATUS, "No fault of the client is INTERNAL or UNKNOWN, which tell it to report a fault of the server")
def blame(server: Server) -> None:
    for key, (_, _, ask, _) in FAULTS.items():
        code = refused(lambda: ask(server.client), *ANY_CODE).code()
        expect(code not in (StatusCode.INTERNAL, StatusCode.UNKNOWN), f"{key} is {code.name}")


@rule("should", STATUS, "A syntax error says in which line and column")
def place_of_syntax_error(server: Server) -> str:
    error = refused(lambda: server.client.get_flight_info("SELECT 1 AS n\nGROUP n"))
    text = error.details().lower()
    expect("line" in text and "2" in text, error.details())
    return error.details()


@rule("should", STATUS, "An unknown table is named")
def table_is_named(server: Server) -> None:
    error = refused(lambda: server.client.get(f"SELECT * FROM {NOWHERE}"))
    expect(NOWHERE in error.details(), error.details())


@rule("should", STATUS, "An unknown column is named")
def column_is_named(server: Server) -> None:
    error = refused(lambda: server.client.get(f"SELECT {NOWHERE} FROM (SELECT 1 AS n) AS t"))
    expect(NOWHERE in error.details(), error.details())


@rule("should", STATUS, "An error's text stays below 2 KB, however long what was asked")
def short(server: Server) -> str:
    longest = 0
    long_name = "x" * 20_000
    for asked in (f"SELECT {long_name} FROM (SELECT 1 AS n) AS t", f"SELECT * FROM {long_name}", f"SELEC {long_name}"):
        details = refused(lambda: server.client.get_flight_info(asked)).details()
        longest = max(longest, len(details.encode()))
    many = ", ".join(f"column_{n}" for n in range(500))
    columns = ", ".join(f"{n} AS column_{n}" for n in range(500))
    details = refused(lambda: server.client.get_flight_info(f"SELECT {many}, {NOWHERE} FROM (SELECT {columns}) AS t")).details()
    longest = max(longest, len(details.encode()))
    expect(longest < LIMIT, f"{longest} bytes")
    return f"{longest} bytes at most"


@rule("must", STATUS, "An error's text arrives at a client with the usual limits, however long what was asked")
def text_arrives(server: Server) -> str:
    with Client(server, server.channel(None, ("grpc.max_metadata_size", 8192), ("grpc.absolute_max_metadata_size", 16384)),
                server.client.headers) as client:
        error = refused(lambda: client.get_flight_info(f"SELECT * FROM {'x' * 20_000}"))
    expect("metadata" not in error.details(), error.details()[:200])
    return f"{error.code().name}, {len(error.details())} characters"


@rule("should", STATUS, "Text beyond ASCII in an error arrives whole")
def text(server: Server) -> None:
    name = "žluťoučký_漢字"
    error = refused(lambda: server.client.get(f"SELECT {quoted(server, name)} FROM (SELECT 1 AS n) AS t"))
    expect(name in error.details(), error.details())


@rule("must", STATUS, "A value that SQL cannot convert is an error, in the call or in the stream", name="bad_value")
def bad_value(server: Server) -> str:
    asked = "SELECT CAST(t AS INTEGER) AS n FROM (SELECT 'not a number' AS t) AS a"
    try:
        rows = server.client.rows(asked)
    except Exception:
        return refused(lambda: server.client.get(asked)).code().name
    # As lenient databases have it.
    expect(rows == [{"n": None}], f"{rows}")
    raise Skipped("here, it is NULL")


@rule("should", "Flight ListFlights", "ListFlights lists or is UNIMPLEMENTED")
def list_flights(server: Server) -> str:
    return f"{len(server.client.all('ListFlights', flight.Criteria(), flight.FlightInfo))} flights"


@rule("should", "Flight DoExchange", "DoExchange is UNIMPLEMENTED, or is refused without a descriptor")
def do_exchange(server: Server) -> None:
    refused(lambda: server.client.exchange("DoExchange", [flight.FlightData()], flight.FlightData), UNIMPLEMENTED, INVALID)


@rule("must", "gRPC status codes", "A method that there is not is UNIMPLEMENTED", required=True)
def unknown_method(server: Server) -> None:
    refused(lambda: server.client.unary("NoSuchMethod", b"", flight.FlightInfo), UNIMPLEMENTED)


@rule("must", "gRPC status codes", "A request that is no message is refused, and the server serves on", required=True)
def undecodable_request(server: Server) -> str:
    error = refused(lambda: server.client.unary("GetFlightInfo", b"\xff\xff\xff\xff", flight.FlightInfo))
    server.still_serves()
    return error.code().name


@rule("should", "Flight GetSchema", "GetSchema refuses what GetFlightInfo refuses, by the same codes")
def get_schema(server: Server) -> None:
    for asked in ("SELEC 1", f"SELECT * FROM {NOWHERE}", f"SELECT {NOWHERE}(1) AS n", sql.CommandPreparedStatementQuery()):
        codes = [refused(lambda: call(asked), *ANY_CODE).code() for call in (server.client.get_flight_info, server.client.get_schema)]
        if codes[1] == UNIMPLEMENTED:
            raise Skipped("GetSchema is UNIMPLEMENTED")
        expect(codes[0] == codes[1], f"{codes[0].name} and {codes[1].name}")

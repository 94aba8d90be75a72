"""HTTP/2 and gRPC below the protocol."""

import time
from concurrent.futures import ThreadPoolExecutor

from grpc import StatusCode

from ..client import Client
from ..rule import Skipped, expect, expect_equal, rule
from ..server import Server
from ..stream import RECORD_BATCH

ONE = "SELECT 1 AS n"
MIB = 1 << 20
SERVING = b"\x08\x01"


def health(client: Client, service: str = "") -> bytes:
    """grpc.health.v1's only field in the request is a name, in the answer a number."""
    request = b"\x0a" + bytes([len(service)]) + service.encode() if service else b""
    call = client.channel.unary_unary("/grpc.health.v1.Health/Check")
    return call(request, timeout=client.server.remaining(), metadata=client.metadata())


@rule("should", "gRPC health", "The health service says SERVING")
def healthy(server: Server) -> None:
    expect_equal(health(server.client), SERVING, "answer")


@rule("should", "gRPC health", "The health service asks for no credentials: balancers have none")
def health_is_open(server: Server) -> None:
    expect_equal(health(server.client.anonymous()), SERVING, "answer")


@rule("must", "gRPC metadata", "Headers that the server does not know are passed over")
def unknown_headers(server: Server) -> None:
    client = server.client.with_headers(("x-no-such-header", "1"), ("thread-pool", "x"), ("x-no-such-header-bin", b"\x00\xff"))
    expect_equal(client.rows(ONE), [{"n": 1}], "rows")


@rule("should", "gRPC metadata", "32 KiB of headers are taken: JDBC sends every property that it does not know")
def many_headers(server: Server) -> None:
    headers = [(f"x-property-{n}", "v" * 1000) for n in range(32)]
    expect_equal(server.client.with_headers(*headers).rows(ONE), [{"n": 1}], "rows")


@rule("must", "gRPC HTTP/2", "Calls on one connection do not wait for one another's end")
def one_connection(server: Server) -> None:
    infos = [server.client.get_flight_info(server.endless()) for _ in range(2)]
    running = [server.client.messages(info.endpoint[0].ticket) for info in infos]
    try:
        expect_equal(server.client.rows(ONE), [{"n": 1}], "rows beside queries that run")
    finally:
        for call in running:
            call.cancel()


@rule("must", "gRPC HTTP/2", "32 calls at once on one connection have their own answers")
def concurrent_calls(server: Server) -> str:
    began = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        found = list(pool.map(lambda n: server.client.rows(f"SELECT {n} AS n"), range(32)))
    expect_equal(found, [[{"n": n}] for n in range(32)], "rows")
    return f"{time.monotonic() - began:.2f} s"


@rule("must", "gRPC HTTP/2", "8 connections at once have their own answers")
def concurrent_connections(server: Server) -> None:
    def ask(n: int) -> list[dict[str, int]]:
        with server.own_client() as client:
            return client.rows(f"SELECT {n} AS n")

    with ThreadPoolExecutor(8) as pool:
        expect_equal(list(pool.map(ask, range(8))), [[{"n": n}] for n in range(8)], "rows")


@rule("must", "Flight DoGet", "A result of tens of megabytes arrives whole", seconds=60)
def large_result(server: Server) -> str:
    table = server.client.get(server.large).table
    expect_equal(table.num_rows, server.LARGE_ROWS, "rows")
    expect_equal({len(value) for value in table["t"].to_pylist()}, {1000}, "lengths of text")
    return f"{table.nbytes / MIB:.0f} MiB"


@rule("should", "gRPC messages", "No message is above 4 MiB, where plain gRPC clients stop", seconds=60)
def message_size(server: Server) -> str:
    sizes = [message.size for message in server.client.get(server.large).messages]
    expect(max(sizes) < 4 * MIB, f"{max(sizes) / MIB:.1f} MiB")
    return f"{len(sizes)} messages, {max(sizes) / MIB:.2f} MiB at most"


@rule("should", "gRPC messages", "A value of 1 MiB arrives")
def large_value(server: Server) -> None:
    asked = f"SELECT repeat('x', {MIB}) AS t"
    if not server.works(asked):
        raise Skipped("repeat() is not understood")
    ((value,),) = (row.values() for row in server.client.rows(asked))
    expect_equal(len(value), MIB, "length")


@rule("should", "gRPC messages", "A statement of 64 KiB is taken")
def long_statement(server: Server) -> None:
    expect_equal(server.client.rows(f"SELECT character_length('{'x' * 65_000}') AS n"), [{"n": 65_000}], "rows")


@rule("must", "gRPC messages", "A statement of 5 MiB is answered or refused, and the connection lives")
def huge_statement(server: Server) -> str:
    try:
        server.client.get_flight_info(f"SELECT '{'x' * (5 * MIB)}' AS t")
        found = "answered"
    except Exception as error:
        code = getattr(error, "code", lambda: None)()
        expect(code not in (None, StatusCode.UNAVAILABLE), str(error))
        found = code.name
    expect_equal(server.client.rows(ONE), [{"n": 1}], "rows of the next")
    return found


@rule("should", "gRPC messages", "Small results come in few messages")
def few_messages(server: Server) -> str:
    messages = server.client.get(f"SELECT a.v AS v FROM {server.series(10_000)}").messages
    batches = sum(message.kind == RECORD_BATCH for message in messages)
    expect(batches <= 20, f"{batches} batches for 10,000 numbers")
    return f"{batches} batches for 10,000 numbers"


@rule("should", "gRPC HTTP/2", "While a query has no rows yet, something flows at least every 20 s, or proxies cut the line",
      slow=True, seconds=90)
def keep_alive(server: Server) -> str:
    info = server.client.get_flight_info(server.endless())
    call = server.client.messages(info.endpoint[0].ticket, timeout=60)
    last, longest, count = time.monotonic(), 0.0, 0
    try:
        for _ in call:
            now = time.monotonic()
            longest, last, count = max(longest, now - last), now, count + 1
    except Exception as error:
        expect(call.code() == StatusCode.DEADLINE_EXCEEDED, str(error))
    finally:
        call.cancel()
    longest = max(longest, time.monotonic() - last)
    expect(longest < 20, f"silent for {longest:.0f} s")
    return f"{count} messages, {longest:.0f} s apart at most"

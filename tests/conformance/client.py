"""The calls of a Flight client, each by hand."""

import base64
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import grpc
import pyarrow as pa

from .messages import flight, packed, sql, unpacked
from .rule import Broken, expect
from .stream import Message, Stream, encoded

if TYPE_CHECKING:
    from .server import Server

SERVICE = "/arrow.flight.protocol.FlightService/"
Headers = Sequence[tuple[str, str | bytes]]


def to_bytes(message: Any) -> bytes:
    """Bytes go as they are, so that they need not be a message."""
    return message if isinstance(message, bytes) else message.SerializeToString()


def command(message: Any) -> bytes:
    """A SQL text is a statement."""
    if isinstance(message, str):
        message = sql.CommandStatementQuery(query=message)
    return message if isinstance(message, bytes) else packed(message)


def descriptor(message: Any) -> Any:
    return flight.FlightDescriptor(type=flight.FlightDescriptor.CMD, cmd=command(message))


def basic(user: str, password: str, padded: bool = True) -> str:
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    return "Basic " + (credentials if padded else credentials.rstrip("="))


class Client:
    """A connection and the headers of its calls. Cookies are kept, as some servers know their sessions by them."""

    def __init__(self, server: "Server", channel: grpc.Channel, headers: Headers = ()):
        self.server, self.channel, self.headers = server, channel, tuple(headers)
        self.cookies: dict[str, str] = {}

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()

    def with_headers(self, *headers: tuple[str, str | bytes]) -> "Client":
        """The same connection with more headers."""
        return Client(self.server, self.channel, (*self.headers, *headers))

    def anonymous(self, *headers: tuple[str, str | bytes]) -> "Client":
        """The same connection with no other headers."""
        return Client(self.server, self.channel, headers)

    def metadata(self) -> list[tuple[str, str | bytes]]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return [*self.headers, *([("cookie", cookies)] if cookies else [])]

    def keep_cookies(self, call: grpc.Call) -> None:
        for name, value in call.initial_metadata() or ():
            if name == "set-cookie":
                key, _, rest = value.partition("=")
                self.cookies[key.strip()] = rest.partition(";")[0].strip()

    def unary(self, method: str, request: Any, answer: Any) -> Any:
        multicallable = self.channel.unary_unary(SERVICE + method, to_bytes, answer.FromString)
        answered, call = multicallable.with_call(request, timeout=self.server.remaining(), metadata=self.metadata())
        self.keep_cookies(call)
        return answered

    def stream(self, method: str, request: Any, answer: Any, timeout: float | None = None) -> Any:
        """The running call; an iterator of its messages."""
        multicallable = self.channel.unary_stream(SERVICE + method, to_bytes, answer)
        return multicallable(request, timeout=timeout or self.server.remaining(), metadata=self.metadata())

    def all(self, method: str, request: Any, answer: Any) -> list[Any]:
        call = self.stream(method, request, answer.FromString)
        answered = list(call)
        self.keep_cookies(call)
        return answered

    def exchange(self, method: str, requests: Iterable[Any], answer: Any) -> tuple[list[Any], dict[str, str | bytes]]:
        """The messages of a call with a stream of requests, and the headers and trailers of its answer."""
        multicallable = self.channel.stream_stream(SERVICE + method, to_bytes, answer.FromString)
        call = multicallable(iter(requests), timeout=self.server.remaining(), metadata=self.metadata())
        answered = list(call)
        self.keep_cookies(call)
        return answered, {**dict(call.trailing_metadata() or ()), **dict(call.initial_metadata() or ())}

    def handshake(self, *messages: Any) -> dict[str, str | bytes]:
        """The headers of the answer."""
        return self.exchange("Handshake", messages, flight.HandshakeResponse)[1]

    def get_flight_info(self, asked: Any) -> Any:
        return self.unary("GetFlightInfo", descriptor(asked), flight.FlightInfo)

    def get_schema(self, asked: Any) -> bytes:
        return self.unary("GetSchema", descriptor(asked), flight.SchemaResult).schema

    def poll(self, asked: Any) -> Any:
        return self.unary("PollFlightInfo", asked, flight.PollInfo)

    def messages(self, ticket: Any, timeout: float | None = None) -> Iterator[Message]:
        """A running DoGet."""
        return self.stream("DoGet", ticket, Message.decode, timeout)

    def do_get(self, ticket: Any) -> Stream:
        return Stream.read(self.messages(ticket))

    def fetch(self, info: Any) -> Stream:
        """All endpoints in order; the schema is said once."""
        expect(info.endpoint, "a FlightInfo without an endpoint")
        streams = [self.server.at(self, endpoint).do_get(endpoint.ticket) for endpoint in info.endpoint]
        for other in streams[1:]:
            expect(other.schema.equals(streams[0].schema), "endpoints of different schemas")
            streams[0].table = pa.concat_tables([streams[0].table, other.table])
            streams[0].messages += other.messages
        return streams[0]

    def get(self, asked: Any) -> Stream:
        """GetFlightInfo, then DoGet of its endpoints."""
        return self.fetch(self.get_flight_info(asked))

    def rows(self, asked: Any) -> list[dict[str, Any]]:
        return self.get(asked).rows()

    def action(self, kind: str, body: Any = b"") -> list[bytes]:
        request = flight.Action(type=kind, body=to_bytes(body))
        return [result.body for result in self.all("DoAction", request, flight.Result)]

    def only_action(self, kind: str, body: Any = b"") -> bytes:
        results = self.action(kind, body)
        if len(results) != 1:
            raise Broken(f"{kind} answered {len(results)} results instead of one")
        return results[0]

    def list_actions(self) -> list[Any]:
        return self.all("ListActions", flight.Empty(), flight.ActionType)

    def do_put(self, asked: Any, batch: pa.RecordBatch) -> list[Any]:
        messages = [flight.FlightData(data_header=header, data_body=body) for header, body in encoded(batch)]
        messages[0].flight_descriptor.CopyFrom(descriptor(asked))
        return self.exchange("DoPut", messages, flight.PutResult)[0]

    def prepare(self, query: str) -> Any:
        request = packed(sql.ActionCreatePreparedStatementRequest(query=query))
        return unpacked(self.only_action("CreatePreparedStatement", request), sql.ActionCreatePreparedStatementResult)

    def close_prepared(self, handle: bytes) -> None:
        self.action("ClosePreparedStatement", packed(sql.ActionClosePreparedStatementRequest(prepared_statement_handle=handle)))

    def bind(self, handle: bytes, batch: pa.RecordBatch) -> bytes:
        """The handle to go on with."""
        results = self.do_put(prepared(handle), batch)
        if results and results[0].app_metadata:
            bound = sql.DoPutPreparedStatementResult.FromString(results[0].app_metadata)
            if bound.HasField("prepared_statement_handle"):
                return bound.prepared_statement_handle
        return handle


def prepared(handle: bytes) -> Any:
    return sql.CommandPreparedStatementQuery(prepared_statement_handle=handle)

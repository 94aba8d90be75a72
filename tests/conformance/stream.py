"""Arrow's streams as Flight sends them: one IPC message in the header and body of each FlightData."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pyarrow as pa

from .messages import flight
from .rule import Broken, expect

CONTINUATION = b"\xff\xff\xff\xff"
# Message.fbs: MessageHeader.
SCHEMA, DICTIONARY_BATCH, RECORD_BATCH = 1, 2, 3


def schema_of(data: bytes) -> pa.Schema:
    """Of FlightInfo.schema and its like."""
    try:
        return pa.ipc.read_schema(pa.py_buffer(data))
    except (pa.ArrowInvalid, OSError) as error:
        raise Broken(f"the {len(data)} bytes of the schema are no IPC message: {error}") from error


class Table:
    """A table of a flatbuffer: no more of the format than finding a field takes."""

    def __init__(self, data: bytes, at: int):
        self.data, self.at = data, at

    @classmethod
    def root(cls, data: bytes) -> "Table":
        return cls(data, struct.unpack_from("<I", data)[0])

    def field(self, number: int, kind: str, default: Any = None) -> Any:
        vtable = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        slot = 4 + 2 * number
        if slot >= struct.unpack_from("<H", self.data, vtable)[0]:
            return default
        offset = struct.unpack_from("<H", self.data, vtable + slot)[0]
        return struct.unpack_from(f"<{kind}", self.data, self.at + offset)[0] if offset else default

    def table(self, number: int) -> "Table | None":
        offset = self.field(number, "I")
        if offset is None:
            return None
        vtable = self.at - struct.unpack_from("<i", self.data, self.at)[0]
        at = self.at + struct.unpack_from("<H", self.data, vtable + 4 + 2 * number)[0]
        return Table(self.data, at + offset)


@dataclass(frozen=True)
class Message:
    """One FlightData and its size on the wire."""

    data: Any
    size: int

    @classmethod
    def decode(cls, encoded: bytes) -> "Message":
        return cls(flight.FlightData.FromString(encoded), len(encoded))

    @cached_property
    def header(self) -> Table:
        return Table.root(self.data.data_header)

    @property
    def kind(self) -> int | None:
        """None for app_metadata alone."""
        return self.header.field(1, "B", 0) if self.data.data_header else None

    @property
    def version(self) -> int:
        """0 is V1."""
        return self.header.field(0, "h", 0)

    @property
    def compressed(self) -> bool:
        batch = self.header.table(2)
        return self.kind == RECORD_BATCH and batch is not None and batch.table(3) is not None

    def encapsulated(self) -> bytes:
        header = self.data.data_header
        header += bytes(-len(header) % 8)
        return CONTINUATION + struct.pack("<i", len(header)) + header + self.data.data_body


@dataclass
class Stream:
    """What a DoGet answered."""

    messages: list[Message] = field(default_factory=list)

    @classmethod
    def read(cls, call: Iterable[Message]) -> "Stream":
        return cls(list(call))

    @cached_property
    def table(self) -> pa.Table:
        encapsulated = [message.encapsulated() for message in self.messages if message.kind is not None]
        expect(encapsulated, "a stream without any message")
        with pa.ipc.open_stream(pa.py_buffer(b"".join(encapsulated))) as reader:
            return reader.read_all()

    @property
    def schema(self) -> pa.Schema:
        return self.table.schema

    def rows(self) -> list[dict[str, Any]]:
        return self.table.to_pylist()


def encoded(batch: pa.RecordBatch) -> list[tuple[bytes, bytes]]:
    """The header and body of each message: the schema, then the batch."""
    messages = []
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    reader = pa.ipc.MessageReader.open_stream(sink.getvalue())
    for message in reader:
        messages.append((message.metadata.to_pybytes(), message.body.to_pybytes() if message.body else b""))
    return messages

"""The messages of Flight and Flight SQL, read from their .proto files.

Nothing is generated: code that protoc makes is bound to one version of protobuf, and these files use little of its
language.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from google.protobuf import any_pb2, timestamp_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

TOKEN = re.compile(r'//.*|"[^"]*"|[\w.]+|[{}=;<>,]')
SCALARS = {name.removeprefix("TYPE_").lower(): number for name, number in FieldDescriptorProto.Type.items()}


class Reader:
    """A recursive descent over the tokens of one file."""

    def __init__(self, text: str):
        self.tokens: Iterator[str] = (token for token in TOKEN.findall(text) if not token.startswith("//"))

    def file(self, name: str) -> FileDescriptorProto:
        file = FileDescriptorProto(name=name, syntax="proto3")
        for token in self.tokens:
            if token == "message":
                self.message(file.message_type.add())
            elif token == "enum":
                self.enum(file.enum_type.add())
            else:
                *_, value = iter(lambda: next(self.tokens), ";")
                if token == "package":
                    file.package = value
                elif token == "import":
                    file.dependency.append(value.strip('"'))
        return file

    def enum(self, enum: EnumDescriptorProto) -> None:
        enum.name = next(self.tokens)
        next(self.tokens)
        for name in iter(lambda: next(self.tokens), "}"):
            enum.value.add(name=name, number=self.number())

    def message(self, message: DescriptorProto) -> None:
        message.name = next(self.tokens)
        next(self.tokens)
        optional = []
        for token in iter(lambda: next(self.tokens), "}"):
            if token == "message":
                self.message(message.nested_type.add())
            elif token == "enum":
                self.enum(message.enum_type.add())
            elif token == "oneof":
                message.oneof_decl.add(name=next(self.tokens))
                next(self.tokens)
                for kind in iter(lambda: next(self.tokens), "}"):
                    self.field(message, kind).oneof_index = len(message.oneof_decl) - 1
            elif token == "map":
                self.map(message)
            elif token == "optional":
                optional.append(self.field(message, next(self.tokens)))
            elif token == "repeated":
                self.field(message, next(self.tokens)).label = FieldDescriptorProto.LABEL_REPEATED
            else:
                self.field(message, token)
        # Whether an optional field is there is told by a oneof of its own, behind the others.
        for field in optional:
            message.oneof_decl.add(name=f"_{field.name}")
            field.oneof_index = len(message.oneof_decl) - 1
            field.proto3_optional = True

    def map(self, message: DescriptorProto) -> None:
        _, key, _, value, _ = (next(self.tokens) for _ in range(5))
        field = self.field(message, "")
        field.label = FieldDescriptorProto.LABEL_REPEATED
        field.type_name = "".join(word.capitalize() for word in field.name.split("_")) + "Entry"
        entry = message.nested_type.add(name=field.type_name)
        entry.options.map_entry = True
        for number, (name, kind) in enumerate((("key", key), ("value", value)), start=1):
            typed(entry.field.add(name=name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL), kind)

    def field(self, message: DescriptorProto, kind: str) -> FieldDescriptorProto:
        field = message.field.add(name=next(self.tokens), label=FieldDescriptorProto.LABEL_OPTIONAL)
        field.number = self.number()
        return typed(field, kind)

    def number(self) -> int:
        _, number, _ = (next(self.tokens) for _ in range(3))
        return int(number)


def typed(field: FieldDescriptorProto, kind: str) -> FieldDescriptorProto:
    if kind in SCALARS:
        field.type = SCALARS[kind]
    else:
        # Message or enumeration: the pool finds out.
        field.type_name = kind
    return field


# Not the default pool, where another package's Flight may be.
POOL = DescriptorPool()
POOL.AddSerializedFile(timestamp_pb2.DESCRIPTOR.serialized_pb)


def load(name: str) -> SimpleNamespace:
    """The message classes of a file by name."""
    file = Reader((Path(__file__).parent / "proto" / name).read_text()).file(name)
    descriptor = POOL.AddSerializedFile(file.SerializeToString())
    descriptor = descriptor or POOL.FindFileByName(name)
    return SimpleNamespace(
        **{name: GetMessageClass(message) for name, message in descriptor.message_types_by_name.items()},
        **{name: SimpleNamespace(**{value.name: value.number for value in enum.values})
           for name, enum in descriptor.enum_types_by_name.items()},
    )


flight = load("Flight.proto")
sql = load("FlightSql.proto")


def packed(message: Any) -> bytes:
    """In `Any`, as the commands and actions of Flight SQL are."""
    wrapped = any_pb2.Any(type_url=f"type.googleapis.com/{message.DESCRIPTOR.full_name}", value=message.SerializeToString())
    return wrapped.SerializeToString()


def unpacked(data: bytes, kind: type) -> Any:
    wrapped = any_pb2.Any.FromString(data)
    name = wrapped.type_url.rpartition("/")[2]
    if name != kind.DESCRIPTOR.full_name:
        raise ValueError(f"expected a {kind.DESCRIPTOR.full_name}, found {name or 'no name of a message'}")
    return kind.FromString(wrapped.value)

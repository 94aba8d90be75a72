"""The types of results, and their encoding."""

import datetime
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import Any

import pyarrow as pa

from ..messages import sql
from ..rule import Skipped, expect, expect_equal, rule
from ..server import Server
from ..stream import DICTIONARY_BATCH, RECORD_BATCH, schema_of

# What JDBC, Go, C#, ODBC and Grafana all read.
PORTABLE = (
    pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_float32, pa.types.is_float64,
    pa.types.is_string, pa.types.is_binary, pa.types.is_decimal128, pa.types.is_decimal256, pa.types.is_date32,
    pa.types.is_time, pa.types.is_timestamp, pa.types.is_duration, pa.types.is_interval,
)

# Of a SQL literal: the value, and which of Arrow's types stand for it.
VALUES: dict[str, tuple[str, Any, Any]] = {
    "boolean": ("CAST(1 AS BOOLEAN)", True, pa.types.is_boolean),
    "smallint": ("CAST(-32768 AS SMALLINT)", -32768, pa.types.is_int16),
    "integer": ("CAST(-2147483648 AS INTEGER)", -2147483648, pa.types.is_int32),
    "bigint": ("CAST(9223372036854775807 AS BIGINT)", 9223372036854775807, pa.types.is_int64),
    "real": ("CAST(1.5 AS REAL)", 1.5, pa.types.is_float32),
    "double": ("CAST(0.1 AS DOUBLE)", 0.1, pa.types.is_float64),
    "decimal": ("CAST(12345.67 AS DECIMAL(10, 2))", Decimal("12345.67"), pa.types.is_decimal),
    "varchar": ("CAST('weft' AS VARCHAR(10))", "weft", lambda kind: is_text(kind)),
    "date": ("CAST('2026-02-28' AS DATE)", datetime.date(2026, 2, 28), pa.types.is_date),
    "timestamp": (
        "CAST('2026-02-28 12:34:56' AS TIMESTAMP)",
        datetime.datetime(2026, 2, 28, 12, 34, 56),
        pa.types.is_timestamp,
    ),
}


def is_text(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def leaves(field: pa.Field) -> Iterator[pa.DataType]:
    kind = field.type
    if pa.types.is_struct(kind) or pa.types.is_list(kind) or pa.types.is_map(kind):
        for number in range(kind.num_fields):
            yield from leaves(kind.field(number))
    else:
        yield kind


def odd_types(schema: pa.Schema) -> list[str]:
    return [
        f"{field.name}: {kind}"
        for field in schema
        for kind in leaves(field)
        if not any(is_kind(kind) for is_kind in PORTABLE)
    ]


def portable(server: Server, expressions: Iterable[str]) -> str:
    understood = [expression for expression in expressions if server.works(f"SELECT {expression} AS v")]
    if not understood:
        raise Skipped("none of them is understood")
    for expression in understood:
        expect_equal(odd_types(server.client.get(f"SELECT {expression} AS v").schema), [], expression)
    return f"{len(understood)} expressions"


def add_rule(name: str, literal: str, value: Any, of_type: Any) -> None:
    @rule("must", "Arrow Schema", f"{name.upper()} arrives as its value, in a type of Arrow that stands for it", name=name)
    def arrives(server: Server) -> str:
        asked = f"SELECT {literal} AS v"
        if not server.works(asked):
            raise Skipped(f"not understood: {literal}")
        stream = server.client.get(asked)
        kind = stream.schema.field("v").type
        expect(of_type(kind), f"{literal} is of type {kind}")
        found = stream.rows()[0]["v"]
        if isinstance(found, datetime.datetime):
            found = found.replace(tzinfo=None)
        expect_equal(found, value, literal)
        return str(kind)


for key, parts in VALUES.items():
    add_rule(key, *parts)


@rule("should", "Arrow Schema", "Literals are of types that all clients read")
def portable_literals(server: Server) -> str:
    return portable(server, [literal for literal, _, _ in VALUES.values()])


@rule("should", "Arrow Schema", "A table's columns are of types that all clients read: no views, dictionaries, run ends")
def portable_table(server: Server) -> str:
    schema = server.client.get(f"SELECT * FROM {server.relation.sql}").schema
    expect_equal(odd_types(schema), [], server.relation.sql)
    return ", ".join(sorted({str(field.type) for field in schema}))


@rule("should", "Arrow Schema", "What SQL computes is of types that all clients read")
def portable_expressions(server: Server) -> str:
    computed = ("'a' || 'b'", "upper('a')", "substring('abc', 1, 2)", "CAST(NULL AS VARCHAR(10))", "NULL", "1 + 1.5")
    return portable(server, computed)


@rule("should", "Flight SQL CommandGetTables", "Every visible table_schema is of types that all clients read: one odd column "
      "is the end of JDBC's getColumns()")
def portable_table_schemas(server: Server) -> str:
    rows = server.client.rows(sql.CommandGetTables(include_schema=True))
    for row in rows:
        expect_equal(odd_types(schema_of(row["table_schema"])), [], row["table_name"])
    return f"{len(rows)} tables"


@rule("should", "Arrow IPC", "Nothing is compressed unasked: Java's driver comes without the codecs")
def no_compression(server: Server) -> str:
    stream = server.client.get(server.large)
    batches = [message for message in stream.messages if message.kind == RECORD_BATCH]
    expect(not any(message.compressed for message in batches), "record batches are compressed")
    return f"{len(batches)} batches"


@rule("should", "Arrow IPC", "No dictionary is sent")
def no_dictionary(server: Server) -> None:
    for asked in (f"SELECT * FROM {server.relation.sql}", sql.CommandGetTables(), sql.CommandGetTableTypes()):
        kinds = [message.kind for message in server.client.get(asked).messages]
        expect(DICTIONARY_BATCH not in kinds, "a dictionary batch")


@rule("must", "Arrow IPC", "Messages are of metadata version V4 or V5")
def metadata_version(server: Server) -> str:
    messages = server.client.get("SELECT 1 AS n").messages
    versions = {message.version for message in messages if message.kind is not None}
    expect(versions <= {3, 4}, f"versions {sorted(version + 1 for version in versions)}")
    return ", ".join(f"V{version + 1}" for version in sorted(versions))


@rule("should", "Flight SQL column metadata", "Results have no REMARKS, which JDBC takes for the label of a column")
def no_remarks(server: Server) -> None:
    for field in server.client.get(f"SELECT * FROM {server.relation.sql}").schema:
        expect(b"ARROW:FLIGHT:SQL:REMARKS" not in (field.metadata or {}), f"{field.name} has REMARKS")

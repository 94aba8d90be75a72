"""One result has one schema: in FlightInfo, in GetSchema, in the stream. Go's client reads no stream that differs."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from ..client import prepared
from ..messages import sql
from ..rule import Skipped, expect, rule
from ..server import Server
from ..stream import schema_of


def a_prepared_statement(server: Server) -> Any:
    return prepared(server.client.prepare("SELECT 1 AS n, 'x' AS t").prepared_statement_handle)


def aggregates(server: Server) -> str:
    name = server.relation.sql
    column = server.client.get(f"SELECT * FROM {name} LIMIT 1").schema.names[0]
    return f"SELECT count(*) AS n, min({quoted(server, column)}) AS least FROM {name}"


def quoted(server: Server, name: str) -> str:
    """As the table's own name was written."""
    mark = server.relation.sql[-1]
    return f"{mark}{name}{mark}" if mark in '"`' else name


def keys(kind: type) -> Callable[[Server], Any]:
    return lambda server: kind(table=server.relation.name)


def cross_reference(server: Server) -> Any:
    return sql.CommandGetCrossReference(pk_table=server.relation.name, fk_table=server.relation.name)


ASKED: dict[str, tuple[str, Callable[[Server], Any]]] = {
    "literals": ("CommandStatementQuery", lambda server: "SELECT 1 AS n, 'x' AS t, CAST(NULL AS INTEGER) AS m"),
    "table": ("CommandStatementQuery", lambda server: f"SELECT * FROM {server.relation.sql}"),
    "aggregates": ("CommandStatementQuery", aggregates),
    "no_rows": ("CommandStatementQuery", lambda server: "SELECT n FROM (SELECT 1 AS n) AS t WHERE n = 0"),
    "outer_join": (
        "CommandStatementQuery",
        lambda server: "SELECT a.n AS n, b.n AS m FROM (SELECT 1 AS n) AS a LEFT JOIN (SELECT 2 AS n) AS b ON a.n = b.n",
    ),
    "union": ("CommandStatementQuery", lambda server: "SELECT 1 AS n UNION ALL SELECT CAST(NULL AS INTEGER) AS n"),
    "case": ("CommandStatementQuery", lambda server: "SELECT CASE WHEN n = 1 THEN 'one' END AS t FROM (SELECT 2 AS n) AS a"),
    "coalesce": ("CommandStatementQuery", lambda server: "SELECT coalesce(CAST(NULL AS INTEGER), 1) AS n"),
    "window": (
        "CommandStatementQuery",
        lambda server: f"SELECT a.v AS v, row_number() OVER (ORDER BY a.v) AS n FROM {server.series(5)}",
    ),
    "prepared": ("CommandPreparedStatementQuery", a_prepared_statement),
    "catalogs": ("CommandGetCatalogs", lambda server: sql.CommandGetCatalogs()),
    "db_schemas": ("CommandGetDbSchemas", lambda server: sql.CommandGetDbSchemas()),
    "tables": ("CommandGetTables", lambda server: sql.CommandGetTables()),
    "tables_with_schema": ("CommandGetTables", lambda server: sql.CommandGetTables(include_schema=True)),
    "table_types": ("CommandGetTableTypes", lambda server: sql.CommandGetTableTypes()),
    "primary_keys": ("CommandGetPrimaryKeys", keys(sql.CommandGetPrimaryKeys)),
    "exported_keys": ("CommandGetExportedKeys", keys(sql.CommandGetExportedKeys)),
    "imported_keys": ("CommandGetImportedKeys", keys(sql.CommandGetImportedKeys)),
    "cross_reference": ("CommandGetCrossReference", cross_reference),
    "xdbc_type_info": ("CommandGetXdbcTypeInfo", lambda server: sql.CommandGetXdbcTypeInfo()),
    "sql_info": ("CommandGetSqlInfo", lambda server: sql.CommandGetSqlInfo()),
}


def expect_same(first: pa.Schema, second: pa.Schema, names: str, metadata: bool = False) -> None:
    """Nullability included."""
    difference = f"{names}: {describe(first, metadata)} / {describe(second, metadata)}"
    expect(first.equals(second, check_metadata=metadata), difference)


def describe(schema: pa.Schema, metadata: bool) -> str:
    fields = ", ".join(f"{f.name} {f.type}{'' if f.nullable else '!'}{f.metadata if metadata and f.metadata else ''}" for f in schema)
    return f"{{{fields}}}{schema.metadata if metadata and schema.metadata else ''}"


def add_rules(name: str, section: str, asked: Callable[[Server], Any]) -> None:
    @rule("must", f"Flight SQL {section}", f"The schema in FlightInfo is that of the stream ({name})", name=f"{name}_stream")
    def stream(server: Server) -> None:
        info = server.client.get_flight_info(asked(server))
        if not info.schema:
            raise Skipped("FlightInfo has no schema")
        expect_same(schema_of(info.schema), server.client.fetch(info).schema, "FlightInfo / stream")

    @rule("must", "Flight GetSchema", f"GetSchema says what FlightInfo says ({name})", name=f"{name}_get_schema")
    def get_schema(server: Server) -> None:
        what = asked(server)
        info = server.client.get_flight_info(what)
        expected = schema_of(info.schema) if info.schema else server.client.fetch(info).schema
        expect_same(schema_of(server.client.get_schema(what)), expected, "GetSchema / FlightInfo")


for key, (section, asked) in ASKED.items():
    add_rules(key, section, asked)


@rule("should", "Arrow IPC", "Metadata of columns is the same in FlightInfo, GetSchema and the stream")
def metadata(server: Server) -> None:
    for asked in (f"SELECT * FROM {server.relation.sql}", sql.CommandGetTables(include_schema=True)):
        info = server.client.get_flight_info(asked)
        expected = schema_of(info.schema)
        expect_same(expected, server.client.fetch(info).schema, "FlightInfo / stream", metadata=True)
        expect_same(expected, schema_of(server.client.get_schema(asked)), "FlightInfo / GetSchema", metadata=True)


@rule("must", "Arrow IPC", "No null is in a column that is said to have none")
def nulls(server: Server) -> str:
    checked = 0
    for key, (_, asked) in ASKED.items():
        try:
            table = server.client.get(asked(server)).table
        except Exception:
            # What cannot be read is another rule's.
            continue
        for field, column in zip(table.schema, table.columns):
            checked += not field.nullable
            expect(field.nullable or column.null_count == 0, f"{key}: nulls in {field.name}")
    if not checked:
        raise Skipped("no column is said to have none")
    return f"{checked} columns are not nullable"

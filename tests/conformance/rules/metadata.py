"""Catalogs, schemas, tables, keys and types, by command."""

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from .. import reference
from ..messages import sql
from ..rule import Skipped, expect, expect_equal, rule
from ..server import SEARCH_ESCAPE, Server
from ..stream import schema_of
from .schemas import ASKED, describe
from .types import is_text

NOWHERE = "there-is-none-of-this-name"
# The least that tells how a result is ordered.
ORDER = {
    "catalogs": ("catalog_name",),
    "db_schemas": ("catalog_name", "db_schema_name"),
    "tables": ("catalog_name", "db_schema_name", "table_name", "table_type"),
    "table_types": ("table_type",),
    "xdbc_type_info": ("data_type", "type_name"),
}


def add_schema_rule(name: str, expected: pa.Schema) -> None:
    section, asked = ASKED[name]

    @rule("must", f"Flight SQL {section}", f"The answer has the columns of the reference ({name})", name=f"{name}_columns")
    def columns(server: Server) -> None:
        found = server.client.get(asked(server)).schema
        # The reference writes down the order of the keys' columns in two ways.
        fields = [found.field(field.name) for field in expected if field.name in found.names] if "keys" in name else found
        kinds = [(field.name, field.type) for field in fields]
        expect(
            kinds == [(field.name, field.type) for field in expected] and len(found) == len(expected),
            f"{describe(found, False)} instead of {describe(expected, False)}",
        )

    @rule("must", f"Flight SQL {section}", f"Columns that are `not null` by the reference say so ({name})", name=f"{name}_not_null")
    def not_null(server: Server) -> None:
        found = server.client.get(asked(server)).schema
        wrong = [
            field.name
            for field in expected
            if field.name in found.names and found.field(field.name).nullable and not field.nullable
        ]
        expect_equal(wrong, [], "nullable")

    @rule("should", f"Flight SQL {section}", f"The schema is that of the reference in all ({name})", name=f"{name}_exact")
    def exact(server: Server) -> None:
        found = server.client.get(asked(server)).schema
        expect(found.equals(expected), f"{describe(found, False)} instead of {describe(expected, False)}")


for key, expected in {
    "catalogs": reference.CATALOGS,
    "db_schemas": reference.DB_SCHEMAS,
    "tables": reference.TABLES,
    "tables_with_schema": reference.TABLES_WITH_SCHEMA,
    "table_types": reference.TABLE_TYPES,
    "primary_keys": reference.PRIMARY_KEYS,
    "exported_keys": reference.FOREIGN_KEYS,
    "imported_keys": reference.FOREIGN_KEYS,
    "cross_reference": reference.FOREIGN_KEYS,
    "xdbc_type_info": reference.XDBC_TYPE_INFO,
}.items():
    add_schema_rule(key, expected)


def add_order_rule(name: str, columns: tuple[str, ...]) -> None:
    section, asked = ASKED[name]

    @rule("should", f"Flight SQL {section}", f"Rows are ordered by {', '.join(columns)}", name=f"{name}_ordered")
    def ordered(server: Server) -> str:
        rows = [tuple(row[column] for column in columns) for row in server.client.rows(asked(server))]
        # No value first.
        expect(rows == sorted(rows, key=lambda row: [(value is not None, value) for value in row]), f"{rows[:5]} …")
        return f"{len(rows)} rows"


for key, columns in ORDER.items():
    add_order_rule(key, columns)


def names(server: Server, **filters: Any) -> list[tuple[str | None, str | None, str]]:
    rows = server.client.rows(sql.CommandGetTables(**filters))
    return [(row["catalog_name"], row["db_schema_name"], row["table_name"]) for row in rows]


def place(server: Server) -> tuple[str | None, str | None, str]:
    """A table of GetTables: the one that statements are tried on, if it is there."""
    asked = server.relation
    rows = names(server)
    if not rows:
        raise Skipped("GetTables finds no table")
    return next((row for row in rows if row[2] == asked.name and asked.schema in (row[1], None)), rows[0])


def escape(server: Server) -> str:
    mark = server.info.get(SEARCH_ESCAPE)
    if not mark:
        raise Skipped("SqlInfo 513 names no escape character")
    return mark


@rule("must", "Flight SQL CommandGetTables", "Without a catalog, tables of all catalogs are found")
def no_catalog_is_all(server: Server) -> str:
    found = {row[0] for row in names(server)}
    listed = {row["catalog_name"] for row in server.client.rows(sql.CommandGetCatalogs())}
    expect(found - {None} <= listed, f"catalogs of tables that GetCatalogs lacks: {found - listed - {None}}")
    if not found:
        raise Skipped("there is no table")
    return ", ".join(map(str, found))


@rule("must", "Flight SQL CommandGetTables", "The empty catalog finds what is in none")
def empty_catalog(server: Server) -> None:
    expect_equal([row for row in names(server, catalog="") if row[0]], [], "tables")
    rows = server.client.rows(sql.CommandGetDbSchemas(catalog=""))
    expect_equal([row for row in rows if row["catalog_name"]], [], "schemas")


@rule("must", "Flight SQL CommandGetTables", "A catalog finds its own tables and no others")
def catalog(server: Server) -> str:
    wanted, _, _ = place(server)
    if not wanted:
        raise Skipped("tables are in no catalog")
    expect_equal(names(server, catalog=wanted), [row for row in names(server) if row[0] == wanted], f"tables of {wanted}")
    expect_equal(names(server, catalog=NOWHERE), [], "tables of no catalog")
    return wanted


@rule("must", "Flight SQL CommandGetTables", "A catalog is a name, not a pattern")
def catalog_is_no_pattern(server: Server) -> None:
    expect_equal(names(server, catalog="%"), [], "tables of catalog %")
    expect_equal(server.client.rows(sql.CommandGetDbSchemas(catalog="%")), [], "schemas of catalog %")


@rule("must", "Flight SQL CommandGetDbSchemas", "Every table's schema is listed, and each once")
def schemas_of_tables(server: Server) -> str:
    rows = [(row["catalog_name"], row["db_schema_name"]) for row in server.client.rows(sql.CommandGetDbSchemas())]
    expect_equal(len(rows), len(set(rows)), "distinct schemas")
    missing = {row[:2] for row in names(server) if row[1]} - set(rows)
    expect(not missing, f"not listed: {missing}")
    return f"{len(rows)} schemas"


def add_pattern_rules(kind: str, find: Callable[[Server, str], list[Any]], own: Callable[[Server], str | None], section: str) -> None:
    """`find` lists what matches a pattern, by its name; `own` is a name that is there."""

    def name_of(server: Server) -> str:
        name = own(server)
        if not name:
            raise Skipped(f"there is no {kind}")
        return name

    @rule("must", section, f"The pattern % finds all ({kind})", name=f"{kind}_percent")
    def percent(server: Server) -> None:
        name = name_of(server)
        expect(name in find(server, "%"), f"{name} is not found by %")
        expect(name in find(server, name[:1] + "%"), f"{name} is not found by {name[:1]}%")
        expect(name not in find(server, NOWHERE + "%"), f"{name} is found by {NOWHERE}%")

    @rule("must", section, f"The pattern _ is any one character ({kind})", name=f"{kind}_underscore")
    def underscore(server: Server) -> None:
        name = name_of(server)
        expect(name in find(server, "_" + name[1:]), f"{name} is not found by _{name[1:]}")
        expect(name not in find(server, name + "_"), f"{name} is found by {name}_")

    @rule("must", section, f"A pattern is matched as a whole, not as a part ({kind})", name=f"{kind}_whole")
    def whole(server: Server) -> None:
        name = name_of(server)
        expect(name in find(server, name), f"{name} is not found by its name")
        expect(name not in find(server, name[:-1]), f"{name} is found by {name[:-1]!r}")
        expect(name not in find(server, name[1:]), f"{name} is found by {name[1:]!r}")

    @rule("must", section, f"The escape character makes _ and % themselves ({kind})", name=f"{kind}_escape")
    def escaped(server: Server) -> None:
        name, mark = name_of(server), escape(server)
        for wild in ("_", "%"):
            pattern = mark + wild + name[1:]
            expect(name.startswith(wild) or name not in find(server, pattern), f"{name} is found by {pattern}")
        with_wild = [other for other in find(server, "%") if "_" in other]
        for other in with_wild[:1]:
            pattern = other.replace(mark, mark * 2).replace("_", mark + "_").replace("%", mark + "%")
            expect_equal(set(find(server, pattern)), {other}, f"found by {pattern}")

    @rule("must", section, f"No other character of a pattern is special ({kind})", name=f"{kind}_literal")
    def literal(server: Server) -> None:
        name = name_of(server)
        for pattern in (".*", ".+", "*", f"{name[:1]}.*", f"^{name}$", f"({name})", f"[{name[:1]}]{name[1:]}", f"{name}|x", "'"):
            expect(name not in find(server, pattern), f"{name} is found by {pattern}")


add_pattern_rules(
    "schema",
    lambda server, pattern: [row["db_schema_name"] for row in server.client.rows(sql.CommandGetDbSchemas(db_schema_filter_pattern=pattern))],
    lambda server: place(server)[1],
    "Flight SQL CommandGetDbSchemas",
)
add_pattern_rules(
    "table",
    lambda server, pattern: [row[2] for row in names(server, table_name_filter_pattern=pattern)],
    lambda server: place(server)[2],
    "Flight SQL CommandGetTables",
)
add_pattern_rules(
    "schema_of_table",
    lambda server, pattern: [row[1] for row in names(server, db_schema_filter_pattern=pattern)],
    lambda server: place(server)[1],
    "Flight SQL CommandGetTables",
)


@rule("must", "Flight SQL CommandGetTables", "Filters are taken together")
def filters_together(server: Server) -> None:
    catalog, schema, table = place(server)
    filters = {"catalog": catalog, "db_schema_filter_pattern": schema, "table_name_filter_pattern": table}
    filters = {name: value for name, value in filters.items() if value}
    expect((catalog, schema, table) in names(server, **filters), f"{table} is not found by all its names")
    for name in filters:
        expect_equal(names(server, **{**filters, name: NOWHERE}), [], f"tables with another {name}")


@rule("must", "Flight SQL CommandGetTables", "Table types are an exact list; none given are all")
def table_types_filter(server: Server) -> str:
    rows = server.client.rows(sql.CommandGetTables())
    if not rows:
        raise Skipped("there is no table")
    kind = rows[0]["table_type"]
    of_kind = [row["table_name"] for row in rows if row["table_type"] == kind]
    expect_equal([row[2] for row in names(server, table_types=[kind])], of_kind, f"tables of type {kind}")
    expect_equal([row[2] for row in names(server, table_types=[kind, NOWHERE])], of_kind, f"tables of type {kind} or none")
    expect_equal(names(server, table_types=[NOWHERE]), [], "tables of no type")
    expect_equal(names(server, table_types=["%"]), [], "tables of type %")
    return f"{kind}: {len(of_kind)}"


@rule("must", "Flight SQL CommandGetTableTypes", "The types of all tables are listed, and each once")
def types_of_tables(server: Server) -> str:
    types = [row["table_type"] for row in server.client.rows(sql.CommandGetTableTypes())]
    expect_equal(len(types), len(set(types)), "distinct types")
    missing = {row["table_type"] for row in server.tables} - set(types)
    expect(not missing, f"not listed: {missing}")
    return ", ".join(types)


@rule("must", "Flight SQL CommandGetTables", "With include_schema every table has a schema that can be read")
def table_schemas(server: Server) -> str:
    rows = server.client.rows(sql.CommandGetTables(include_schema=True))
    for row in rows:
        schema_of(row["table_schema"])
    expect_equal(len(rows), len(server.tables), "tables")
    return f"{len(rows)} tables"


def table_schema(server: Server) -> pa.Schema:
    relation = server.relation
    for row in server.client.rows(sql.CommandGetTables(include_schema=True)):
        if row["table_name"] == relation.name and relation.schema in (row["db_schema_name"], None):
            return schema_of(row["table_schema"])
    raise Skipped(f"GetTables does not list {relation.sql}")


@rule("must", "Flight SQL CommandGetTables", "table_schema has the columns of SELECT *")
def table_schema_columns(server: Server) -> str:
    found = table_schema(server).names
    expect_equal(found, server.client.get(f"SELECT * FROM {server.relation.sql}").schema.names, "columns")
    return ", ".join(found)


@rule("should", "Flight SQL CommandGetTables", "table_schema is the schema that SELECT * answers with")
def table_schema_on_the_wire(server: Server) -> None:
    wire = server.client.get(f"SELECT * FROM {server.relation.sql}").schema
    found = table_schema(server)
    expect(found.equals(wire), f"{describe(found, False)} / {describe(wire, False)}")


@rule("should", "Flight SQL column metadata", "Columns of table_schema say their SQL type and names")
def column_metadata(server: Server) -> None:
    relation = server.relation
    for field in table_schema(server):
        metadata = {key.decode(): value.decode() for key, value in (field.metadata or {}).items()}
        for name, value in (("TABLE_NAME", relation.name), ("SCHEMA_NAME", relation.schema), ("CATALOG_NAME", relation.catalog)):
            if value:
                expect_equal(metadata.get(f"ARROW:FLIGHT:SQL:{name}"), value, f"{name} of {field.name}")
        kind = metadata.get("ARROW:FLIGHT:SQL:TYPE_NAME", "")
        expect(kind and "(" not in kind, f"TYPE_NAME of {field.name} is {kind!r}, expected a bare name")
        if pa.types.is_decimal(field.type):
            expect_equal(metadata.get("ARROW:FLIGHT:SQL:PRECISION"), str(field.type.precision), f"PRECISION of {field.name}")
            expect_equal(metadata.get("ARROW:FLIGHT:SQL:SCALE"), str(field.type.scale), f"SCALE of {field.name}")


@rule("should", "Flight SQL column metadata", "What of a column is a number or a yes is a number, 0 or 1")
def column_metadata_values(server: Server) -> None:
    flags = ("IS_AUTO_INCREMENT", "IS_CASE_SENSITIVE", "IS_READ_ONLY", "IS_SEARCHABLE")
    for field in table_schema(server):
        for name, value in (field.metadata or {}).items():
            short = name.decode().removeprefix("ARROW:FLIGHT:SQL:")
            if short in flags:
                expect(value in (b"0", b"1"), f"{short} of {field.name} is {value!r}")
            if short in ("PRECISION", "SCALE"):
                expect(value.lstrip(b"-").isdigit(), f"{short} of {field.name} is {value!r}")


KEYS = {
    "primary_keys": lambda **names: sql.CommandGetPrimaryKeys(**names),
    "exported_keys": lambda **names: sql.CommandGetExportedKeys(**names),
    "imported_keys": lambda **names: sql.CommandGetImportedKeys(**names),
}


@rule("should", "Flight SQL keys", "Keys are answered, if only by no rows: Tableau takes UNIMPLEMENTED for a fault", required=True)
def keys_are_answered(server: Server) -> str:
    table = server.relation.name
    counts = {name: len(server.client.rows(ask(table=table))) for name, ask in KEYS.items()}
    counts["cross_reference"] = len(server.client.rows(sql.CommandGetCrossReference(pk_table=table, fk_table=table)))
    return ", ".join(f"{name}: {count}" for name, count in counts.items())


@rule("should", "Flight SQL keys", "A table that is not there has no keys")
def keys_of_no_table(server: Server) -> None:
    for name, ask in KEYS.items():
        expect_equal(server.client.rows(ask(table=NOWHERE)), [], name)


@rule("must", "Flight SQL CommandGetPrimaryKeys", "Primary keys are of the table that was asked for, counted from 1")
def primary_keys(server: Server) -> str:
    found = []
    for catalog, schema, table in names(server)[:10]:
        rows = server.client.rows(sql.CommandGetPrimaryKeys(catalog=catalog, db_schema=schema, table=table))
        expect_equal({row["table_name"] for row in rows} - {table}, set(), "other tables")
        expect_equal([row["key_sequence"] for row in rows], list(range(1, len(rows) + 1)), f"key_sequence of {table}")
        found += [f"{table}.{row['column_name']}" for row in rows]
    return ", ".join(found) or "none"


@rule("must", "Flight SQL CommandGetPrimaryKeys", "Names of keys' tables are names, not patterns")
def keys_take_no_pattern(server: Server) -> None:
    expect_equal(server.client.rows(sql.CommandGetPrimaryKeys(table="%")), [], "keys of table %")


@rule("must", "Flight SQL CommandGetXdbcTypeInfo", "data_type finds the types of that number and no others")
def xdbc_filter(server: Server) -> str:
    everything = server.client.rows(sql.CommandGetXdbcTypeInfo())
    if not everything:
        raise Skipped("there are no types")
    wanted = everything[0]["data_type"]
    found = server.client.rows(sql.CommandGetXdbcTypeInfo(data_type=wanted))
    expect_equal(found, [row for row in everything if row["data_type"] == wanted], f"types of {wanted}")
    expect_equal(server.client.rows(sql.CommandGetXdbcTypeInfo(data_type=12345)), [], "types of 12345")
    return ", ".join(dict.fromkeys(row["type_name"] for row in everything))


@rule("should", "Flight SQL CommandGetXdbcTypeInfo", "There are types for text, whole numbers, decimals, dates and yes or no")
def xdbc_types(server: Server) -> None:
    found = {row["data_type"] for row in server.client.rows(sql.CommandGetXdbcTypeInfo())}
    for name, numbers in {"text": {12, -1, 1}, "bigint": {-5}, "integer": {4}, "decimal": {3, 2}, "date": {91}, "bit": {-7, 16}}.items():
        expect(found & numbers, f"none for {name}")


@rule("should", "Flight SQL CommandGetCatalogs", "Names come as plain text, not as views or large text")
def plain_text(server: Server) -> None:
    for key in ("catalogs", "db_schemas", "tables", "table_types"):
        for field in server.client.get(ASKED[key][1](server)).schema:
            expect(not is_text(field.type) or pa.types.is_string(field.type), f"{key}: {field.name} is {field.type}")

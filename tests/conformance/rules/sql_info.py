"""CommandGetSqlInfo: what the server says that it can do, and that it is so."""

import re

import pyarrow as pa
from grpc import StatusCode

from ..messages import packed, sql, unpacked
from ..reference import SQL_INFO, SQL_INFO_CHILDREN
from ..rule import ANY_CODE, Skipped, expect, expect_equal, refused, rule
from ..server import BULK_INGESTION, CANCEL, QUOTE, READ_ONLY, SUBSTRAIT, TRANSACTION, Server
from ..standard import is_implemented

SECTION = "Flight SQL CommandGetSqlInfo"


def table(server: Server, *info: int) -> pa.Table:
    return server.client.get(sql.CommandGetSqlInfo(info=info)).table


def said(server: Server, number: int) -> object:
    if number in server.info:
        return server.info[number]
    # Newer than some drivers: a server may tell it to those alone who ask.
    values = table(server, number)["value"].to_pylist()
    if not values:
        raise Skipped(f"SqlInfo {number} is not told")
    return values[0]


@rule("must", SECTION, "The answer is info_name and a dense union of the reference's six children")
def schema(server: Server) -> None:
    found = table(server).schema
    expect_equal(found.names, ["info_name", "value"], "columns")
    expect_equal(found.field("info_name").type, pa.uint32(), "type of info_name")
    expect(not found.field("info_name").nullable, "info_name is nullable")
    union = found.field("value").type
    expect(pa.types.is_union(union) and union.mode == "dense", f"value is {union}")
    expect_equal(list(union.type_codes), list(range(6)), "type codes")
    expect_equal(tuple(union.field(n).name for n in range(union.num_fields)), SQL_INFO_CHILDREN, "children")
    kinds = [union.field(n).type for n in range(union.num_fields)]
    expected = [pa.utf8(), pa.bool_(), pa.int64(), pa.int32(), pa.list_(pa.utf8()), pa.map_(pa.int32(), pa.list_(pa.int32()))]
    for kind, other, name in zip(kinds, expected, SQL_INFO_CHILDREN):
        # Names inside lists and maps are told in several ways.
        expect_equal(str(shape(kind)), str(shape(other)), name)


def shape(kind: pa.DataType) -> object:
    if pa.types.is_map(kind):
        return ("map", shape(kind.key_type), shape(kind.item_type))
    return ("list", shape(kind.value_type)) if pa.types.is_list(kind) else kind


@rule("must", SECTION, "No list of numbers asks for everything")
def all(server: Server) -> str:
    rows = table(server).num_rows
    expect(rows > 1, f"{rows} rows")
    return f"{rows} rows"


@rule("must", SECTION, "The server's name, its version and Arrow's, and whether it only reads, are told")
def server_information(server: Server) -> str:
    # Of the set that FlightSql.proto says a server must at least return, what tells a client whom it speaks to. The rest
    # is for `complete`: the file itself knows of servers without some of it.
    found = dict(zip(*table(server).to_pydict().values()))
    for number in (0, 1, 2, READ_ONLY):
        expect(number in found, f"SqlInfo {number} is not told")
    return f"{found[0]} {found[1]}, Arrow {found[2]}"


@rule("must", SECTION, "One number asks for one row")
def one(server: Server) -> None:
    for number in (0, READ_ONLY):
        said(server, number)
        expect_equal(table(server, number)["info_name"].to_pylist(), [number], "info_name")


@rule("must", SECTION, "Several numbers ask for as many rows")
def several(server: Server) -> None:
    expect_equal(set(table(server, 0, 1, 2)["info_name"].to_pylist()), {0, 1, 2}, "info_name")


@rule("must", SECTION, "One number has one value, whether asked for alone or with all")
def same_value(server: Server) -> None:
    for number in table(server)["info_name"].to_pylist()[:10]:
        expect_equal(table(server, number)["value"].to_pylist(), [server.info[number]], f"SqlInfo {number}")


@rule("must", SECTION, "No number comes twice")
def distinct(server: Server) -> None:
    names = table(server)["info_name"].to_pylist()
    expect_equal(sorted(names), sorted(set(names)), "info_name")


@rule("should", SECTION, "A number that is not known is no row")
def unknown(server: Server) -> None:
    expect_equal(table(server, 9_999)["info_name"].to_pylist(), [], "info_name")


def child_of_each(server: Server) -> dict[int, str]:
    values = table(server)
    found = {}
    for names, column in zip(values["info_name"].chunks, values["value"].chunks):
        for name, code in zip(names.to_pylist(), column.type_codes.to_pylist()):
            found[name] = column.type.field(code).name
    return found


@rule("must", SECTION, "Each value is in the child of the union that the reference gives it")
def children(server: Server) -> str:
    found = child_of_each(server)
    for child, numbers in SQL_INFO.items():
        wrong = {number: found[number] for number in numbers if found.get(number, child) != child}
        expect(not wrong, f"expected in {child}: {wrong}")
    return f"{len(found)} values"


@rule("should", SECTION, "Of what drivers ask for by its number, nothing is left out")
def complete(server: Server) -> None:
    known = frozenset().union(*SQL_INFO.values())
    missing = sorted(known - set(table(server, *sorted(known))["info_name"].to_pylist()))
    expect(not missing, f"{len(missing)} of {len(known)} are missing: {missing}")


@rule("should", SECTION, "The version looks like n.n.n, which drivers take apart")
def version(server: Server) -> str:
    found = str(said(server, 1))
    expect(re.match(r"\d+\.\d+\.\d+", found), f"{found!r}")
    return found


@rule("should", SECTION, "Catalogs and schemas have terms: without one, ODBC shows none")
def terms(server: Server) -> str:
    expect(said(server, 529), "SQL_SCHEMA_TERM is empty")
    expect(said(server, 531) or not any(row["catalog_name"] for row in server.tables), "SQL_CATALOG_TERM is empty")
    return f"{server.info[529]}, {server.info[531]}"


@rule("must", SECTION, "The quote that is told quotes identifiers")
def quote(server: Server) -> str:
    mark = str(said(server, QUOTE))
    if not mark.strip():
        raise Skipped("identifiers cannot be quoted")
    expect_equal(server.client.rows(f"SELECT 1 AS {mark}Two words{mark}"), [{"Two words": 1}], "rows")
    return mark


@rule("must", SECTION, "Lists of functions and keywords hold names")
def functions(server: Server) -> str:
    found = {number: said(server, number) for number in range(508, 513)}
    for number, names in found.items():
        expect(isinstance(names, list) and len(names) == len(set(names)), f"SqlInfo {number}: {names}")
    return ", ".join(f"{number}: {len(names)}" for number, names in found.items())


@rule("must", SECTION, "A server that says it has transactions begins and ends one")
def transactions(server: Server) -> None:
    if not said(server, TRANSACTION):
        raise Skipped("the server says in SqlInfo that it has no transactions")
    begun = server.client.only_action("BeginTransaction", packed(sql.ActionBeginTransactionRequest()))
    identity = unpacked(begun, sql.ActionBeginTransactionResult).transaction_id
    expect(identity, "a transaction without an id")
    request = sql.ActionEndTransactionRequest(
        transaction_id=identity, action=sql.ActionEndTransactionRequest.END_TRANSACTION_ROLLBACK
    )
    server.client.action("EndTransaction", packed(request))


@rule("should", SECTION, "A server that says it has no transactions refuses to begin one as UNIMPLEMENTED")
def no_transactions(server: Server) -> None:
    if said(server, TRANSACTION):
        raise Skipped("the server has transactions")
    for kind in ("BeginTransaction", "BeginSavepoint", "EndTransaction", "EndSavepoint"):
        refused(lambda: server.client.action(kind, packed(sql.ActionBeginTransactionRequest())), StatusCode.UNIMPLEMENTED)


@rule("should", SECTION, "A server that says it reads no Substrait refuses it as UNIMPLEMENTED")
def no_substrait(server: Server) -> None:
    if said(server, SUBSTRAIT):
        raise Skipped("the server reads Substrait")
    plan = sql.SubstraitPlan(plan=b"\x00", version="0.20.0")
    refused(lambda: server.client.get_flight_info(sql.CommandStatementSubstraitPlan(plan=plan)), StatusCode.UNIMPLEMENTED)


@rule("should", SECTION, "A server that says it takes no bulk ingestion refuses it as UNIMPLEMENTED")
def no_ingestion(server: Server) -> None:
    if said(server, BULK_INGESTION):
        raise Skipped("the server takes bulk ingestion")
    batch = pa.record_batch([pa.array([1])], names=["n"])
    refused(lambda: server.client.do_put(sql.CommandStatementIngest(table="t"), batch), StatusCode.UNIMPLEMENTED)


@rule("must", SECTION, "A server that says it can cancel has CancelQuery or CancelFlightInfo")
def can_cancel(server: Server) -> str:
    if not said(server, CANCEL):
        raise Skipped("the server says in SqlInfo that it cannot cancel")
    there = [kind for kind in ("CancelQuery", "CancelFlightInfo") if is_implemented(server, kind)]
    expect(there, "there is neither")
    return ", ".join(there)


# Of a table that is not there, so that nothing is lost if it is done after all.
WRITES = ("DELETE FROM no_such_table_here", "INSERT INTO no_such_table_here VALUES (1)", "DROP TABLE no_such_table_here",
          "CREATE TABLE no_such_table_here (n INTEGER)", "UPDATE no_such_table_here SET n = 1")
BATCH = pa.record_batch([pa.array([1])], names=["n"])


def only_reads(server: Server) -> None:
    if not said(server, READ_ONLY):
        raise Skipped("the server says in SqlInfo that it also writes")


@rule("must", SECTION, "A server that says it only reads refuses writes, as statements and as updates")
def read_only(server: Server) -> None:
    only_reads(server)
    for text in WRITES:
        refused(lambda: server.client.get(text), *ANY_CODE)
        refused(lambda: server.client.do_put(sql.CommandStatementUpdate(query=text), BATCH), *ANY_CODE)


@rule("should", SECTION, "A server that only reads refuses writes as PERMISSION_DENIED, before they are planned")
def read_only_code(server: Server) -> None:
    only_reads(server)
    for text in WRITES:
        refused(lambda: server.client.get_flight_info(text), StatusCode.PERMISSION_DENIED)
        refused(lambda: server.client.prepare(text), StatusCode.PERMISSION_DENIED)
        update = sql.CommandStatementUpdate(query=text)
        refused(lambda: server.client.do_put(update, BATCH), StatusCode.PERMISSION_DENIED)
        refused(lambda: server.client.get_flight_info(update), StatusCode.PERMISSION_DENIED)


@rule("should", SECTION, "A server that only reads refuses to run a prepared query as an update")
def read_only_prepared(server: Server) -> None:
    only_reads(server)
    handle = server.client.prepare("SELECT 1 AS n").prepared_statement_handle
    update = sql.CommandPreparedStatementUpdate(prepared_statement_handle=handle)
    refused(lambda: server.client.do_put(update, BATCH), StatusCode.PERMISSION_DENIED)

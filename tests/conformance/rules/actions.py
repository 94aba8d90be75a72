"""ListActions and DoAction."""

from grpc import StatusCode

from ..messages import packed, sql
from ..rule import ANY_CODE, Skipped, expect, expect_equal, refused, rule
from ..server import Server
from ..standard import NAMES, UNKNOWN, is_implemented

LIST, DO = "Flight ListActions", "Flight DoAction"
GARBAGE = (b"\xff\xff\xff\xff", b"\x0a\x05abc", b"\x00")


def listed(server: Server) -> list[str]:
    return [action.type for action in server.client.list_actions()]


def needs(server: Server, kind: str) -> None:
    if not is_implemented(server, kind):
        raise Skipped(f"there is no action {kind}")


@rule("must", LIST, "Actions are listed, each once")
def actions(server: Server) -> str:
    found = listed(server)
    expect_equal(sorted(found), sorted(set(found)), "actions")
    return ", ".join(sorted(found)) or "none"


@rule("must", LIST, "What is listed is not UNIMPLEMENTED, nor refused as an unknown action is")
def listed_works(server: Server) -> str:
    known = [kind for kind in listed(server) if kind in NAMES]
    missing = [kind for kind in known if not is_implemented(server, kind)]
    expect(not missing, f"not there: {', '.join(missing)}")
    return f"{len(known)} of Flight SQL's"


@rule("should", LIST, "What works is listed, and no more")
def works_is_listed(server: Server) -> None:
    works = {kind for kind in NAMES if is_implemented(server, kind)}
    found = set(listed(server)) & set(NAMES)
    expect(works == found, f"not listed: {sorted(works - found)}; not there: {sorted(found - works)}")


@rule("should", LIST, "Each action is described")
def described(server: Server) -> None:
    expect_equal([action.type for action in server.client.list_actions() if not action.description], [], "not described")


@rule("must", DO, "An action that there is not is refused")
def unknown(server: Server) -> str:
    return refused(lambda: server.client.action(UNKNOWN), *ANY_CODE).code().name


@rule("should", DO, "An action that there is not is UNIMPLEMENTED")
def unknown_code(server: Server) -> None:
    for kind in (UNKNOWN, "", "createpreparedstatement"):
        refused(lambda: server.client.action(kind), StatusCode.UNIMPLEMENTED)


@rule("must", DO, "A body that is no message is refused, and the server serves on")
def undecodable(server: Server) -> None:
    needs(server, "CreatePreparedStatement")
    for body in GARBAGE:
        refused(lambda: server.client.action("CreatePreparedStatement", body))
    server.still_serves()


@rule("should", DO, "A body that is no message is INVALID_ARGUMENT")
def undecodable_code(server: Server) -> str:
    kinds = ("CreatePreparedStatement", "ClosePreparedStatement", "CancelFlightInfo", "CancelQuery")
    there = [kind for kind in kinds if is_implemented(server, kind)]
    if not there:
        raise Skipped(f"there is none of {', '.join(kinds)}")
    for kind in there:
        for body in GARBAGE:
            refused(lambda: server.client.action(kind, body), StatusCode.INVALID_ARGUMENT)
    return ", ".join(there)


@rule("should", DO, "A body that is another action's message is INVALID_ARGUMENT")
def another_message(server: Server) -> None:
    needs(server, "CreatePreparedStatement")
    body = packed(sql.ActionClosePreparedStatementRequest(prepared_statement_handle=b"x"))
    refused(lambda: server.client.action("CreatePreparedStatement", body), StatusCode.INVALID_ARGUMENT)

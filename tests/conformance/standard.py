"""The actions of Flight and Flight SQL, and whether a server has them."""

from typing import TYPE_CHECKING, Any

from google.protobuf import any_pb2
from grpc import RpcError, StatusCode

from .client import Client
from .messages import flight, packed, sql, unpacked

if TYPE_CHECKING:
    from .server import Server

ONE = "SELECT 1 AS n"
UNKNOWN = "NoSuchActionHere"
NAMES = (
    "CancelFlightInfo", "RenewFlightEndpoint", "SetSessionOptions", "GetSessionOptions", "CloseSession",
    "CreatePreparedStatement", "CreatePreparedSubstraitPlan", "ClosePreparedStatement", "CancelQuery",
    "BeginTransaction", "EndTransaction", "BeginSavepoint", "EndSavepoint",
)


def packed_as(name: str, message: Any) -> bytes:
    """Under the name of a message that proto/ does not have, and that has the fields of this one."""
    url = f"type.googleapis.com/arrow.flight.protocol.sql.{name}"
    return any_pb2.Any(type_url=url, value=message.SerializeToString()).SerializeToString()


def body_of(server: "Server", kind: str) -> Any:
    """A message that such an action takes: some servers read it before they say that they do not have the action. It
    changes nothing, or what `undo` takes back."""
    rollback = sql.ActionEndTransactionRequest(
        transaction_id=b"none", action=sql.ActionEndTransactionRequest.END_TRANSACTION_ROLLBACK
    )
    match kind:
        case "CancelFlightInfo":
            return flight.CancelFlightInfoRequest(info=server.client.get_flight_info(ONE))
        case "CancelQuery":
            return packed(sql.ActionCancelQueryRequest(info=server.client.get_flight_info(ONE).SerializeToString()))
        case "RenewFlightEndpoint":
            return flight.RenewFlightEndpointRequest(endpoint=server.client.get_flight_info(ONE).endpoint[0])
        case "SetSessionOptions":
            request = flight.SetSessionOptionsRequest()
            request.session_options["no_such_option_here"].string_value = "x"
            return request
        case "GetSessionOptions":
            return flight.GetSessionOptionsRequest()
        case "CloseSession":
            return flight.CloseSessionRequest()
        case "CreatePreparedStatement":
            return packed(sql.ActionCreatePreparedStatementRequest(query=ONE))
        case "CreatePreparedSubstraitPlan":
            plan = sql.SubstraitPlan(plan=b"\x00", version="0.20.0")
            return packed_as("ActionCreatePreparedSubstraitPlanRequest", sql.CommandStatementSubstraitPlan(plan=plan))
        case "ClosePreparedStatement":
            return packed(sql.ActionClosePreparedStatementRequest(prepared_statement_handle=b"none"))
        case "BeginTransaction":
            return packed(sql.ActionBeginTransactionRequest())
        case "EndTransaction":
            return packed(rollback)
        case "BeginSavepoint":
            request = sql.CommandStatementQuery(query="none", transaction_id=b"none")
            return packed_as("ActionBeginSavepointRequest", request)
        case "EndSavepoint":
            return packed_as("ActionEndSavepointRequest", rollback)
    return b""


def undo(client: Client, kind: str, results: list[bytes]) -> None:
    if kind == "CreatePreparedStatement":
        client.close_prepared(unpacked(results[0], sql.ActionCreatePreparedStatementResult).prepared_statement_handle)
    elif kind == "BeginTransaction":
        identity = unpacked(results[0], sql.ActionBeginTransactionResult).transaction_id
        end = sql.ActionEndTransactionRequest.END_TRANSACTION_ROLLBACK
        client.action("EndTransaction", packed(sql.ActionEndTransactionRequest(transaction_id=identity, action=end)))


def refusal(server: "Server", kind: str) -> tuple[StatusCode, str] | None:
    """Of an action of this name: the code and the words, in which the name is that of no action."""
    body = body_of(server, kind)
    # A session of its own, which the action may close.
    with server.new_session() as client:
        try:
            results = client.action(kind, body)
        except RpcError as error:
            return error.code(), error.details().replace(kind, UNKNOWN)
        undo(client, kind, results)
    return None


def is_implemented(server: "Server", kind: str) -> bool:
    """Not where it is refused as UNIMPLEMENTED, or just as an action is that there is not."""
    found = refusal(server, kind)
    return found is None or (found[0] != StatusCode.UNIMPLEMENTED and found != refusal(server, UNKNOWN))

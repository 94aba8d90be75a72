"""pyarrow's Flight client, which knows nothing of Flight SQL: each call by hand."""

import time

import pyarrow as pa
import pyarrow.flight as flight
import pytest

import all_types
import governed_mesh
from flight_sql import command, field, fields, message, unpacked
from weft_process import Weft

# How Flight tells of an option that was not set.
INVALID_NAME, INVALID_VALUE = 1, 2
CANCELLED, NOT_CANCELLABLE = 1, 3
CLOSED = 1


class Client:
    """A login, and its calls."""

    def __init__(self, weft, user=None, password=None, token=None):
        self.client = flight.FlightClient(weft.url.replace("grpc://", "grpc+tcp://"))
        header = (b"authorization", f"Bearer {token}".encode()) if token else self.client.authenticate_basic_token(user, password)
        self.options = flight.FlightCallOptions(headers=[header], timeout=30)

    def info(self, *parts):
        return self.client.get_flight_info(flight.FlightDescriptor.for_command(command(*parts)), self.options)

    def get(self, *parts):
        (endpoint,) = self.info(*parts).endpoints
        return self.client.do_get(endpoint.ticket, self.options).read_all()

    def action(self, kind, body):
        return [result.body.to_pybytes() for result in self.client.do_action(flight.Action(kind, body), self.options)]

    def query(self, sql):
        return self.get("CommandStatementQuery", sql)


@pytest.fixture(scope="module")
def weft(tmp_path_factory):
    weft = Weft(all_types.write(tmp_path_factory.mktemp("types")))
    yield weft
    assert weft.stop() == 0, "".join(weft.log)


@pytest.fixture
def ana(weft):
    client = Client(weft, all_types.USER, all_types.PASSWORD)
    yield client
    client.client.close()


def test_basic_handshake(weft):
    client = flight.FlightClient(weft.url.replace("grpc://", "grpc+tcp://"))
    name, value = client.authenticate_basic_token("ana", "ana-demo")
    assert name == b"authorization" and value.startswith(b"Bearer ")
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.authenticate_basic_token("ana", "wrong")
    with pytest.raises(flight.FlightUnauthenticatedError):
        client.get_flight_info(flight.FlightDescriptor.for_command(command("CommandStatementQuery", "SELECT 1")))


def test_every_call_may_bring_basic_credentials(weft):
    client = flight.FlightClient(weft.url.replace("grpc://", "grpc+tcp://"))
    # "ana:ana-demo", with padding and without.
    for credentials in (b"Basic YW5hOmFuYS1kZW1v", b"basic YW5hOmFuYS1kZW1v"):
        options = flight.FlightCallOptions(headers=[(b"authorization", credentials)])
        descriptor = flight.FlightDescriptor.for_command(command("CommandStatementQuery", "SELECT 1"))
        assert len(client.get_flight_info(descriptor, options).endpoints) == 1


def test_a_query(ana):
    info = ana.info("CommandStatementQuery", "SELECT * FROM kinds.everything ORDER BY id")
    assert info.schema.equals(all_types.expected().schema)
    assert (info.total_records, info.total_bytes) == (-1, -1)
    (endpoint,) = info.endpoints
    assert endpoint.locations == []
    reader = ana.client.do_get(endpoint.ticket, ana.options)
    assert reader.schema.equals(info.schema, check_metadata=True)
    table = reader.read_all()
    assert table.num_rows == len(all_types.LABELS)
    # Again: a ticket is not used up.
    assert ana.client.do_get(endpoint.ticket, ana.options).read_all().num_rows == table.num_rows


def test_a_ticket_is_good_on_another_connection_of_the_same_user_only(weft, ana):
    ticket = ana.info("CommandStatementQuery", "SELECT 1").endpoints[0].ticket
    other = Client(weft, "ana", "ana-demo")
    assert other.client.do_get(ticket, other.options).read_all().num_rows == 1
    service = Client(weft, token=all_types.TOKEN)
    with pytest.raises(pa.ArrowKeyError, match="unknown or expired"):
        service.client.do_get(ticket, service.options).read_all()
    # A bit of it changed.
    spoilt = bytearray(ticket.ticket)
    spoilt[-1] ^= 1
    with pytest.raises(pa.ArrowKeyError, match="unknown or expired"):
        ana.client.do_get(flight.Ticket(bytes(spoilt)), ana.options).read_all()


def test_schemas(ana):
    for parts in (
        ("CommandStatementQuery", "SELECT id, label FROM kinds.everything"),
        ("CommandGetTables", None, None, None, None, True),
        ("CommandGetCatalogs",),
        ("CommandGetSqlInfo",),
    ):
        descriptor = flight.FlightDescriptor.for_command(command(*parts))
        schema = ana.client.get_schema(descriptor, ana.options).schema
        assert schema.equals(ana.info(*parts).schema)
        assert schema.equals(ana.get(*parts).schema)


def test_metadata(ana):
    assert ana.get("CommandGetCatalogs").to_pydict() == {"catalog_name": ["allsorts"]}
    assert ana.get("CommandGetDbSchemas", None, "kin%").to_pydict() == {"catalog_name": ["allsorts"], "db_schema_name": ["kinds"]}
    tables = ana.get("CommandGetTables", None, "kinds", None, [], True)
    assert tables["table_name"].to_pylist() == ["everything", "long_text", "maps"]
    schema = pa.ipc.read_schema(pa.py_buffer(tables["table_schema"][0].as_py()))
    assert schema.equals(all_types.expected().schema)
    for types, found in ((["TABLE"], 3), (["BASE TABLE"], 3), (["VIEW"], 0), (["TABLE", "VIEW"], 3)):
        assert ana.get("CommandGetTables", None, "kinds", None, types).num_rows == found, types
    assert ana.get("CommandGetTables", "", "kinds").num_rows == 0
    assert ana.get("CommandGetTables", "allsorts", "kinds", "long\\_%").num_rows == 1
    assert set(ana.get("CommandGetTableTypes")["table_type"].to_pylist()) == {"TABLE", "VIEW"}


def test_keys(ana):
    (key,) = ana.get("CommandGetPrimaryKeys", None, "kinds", "everything").to_pylist()
    assert (key["db_schema_name"], key["table_name"], key["column_name"], key["key_sequence"]) == ("kinds", "everything", "id", 1)
    assert ana.get("CommandGetPrimaryKeys", None, "kinds", "nothing").num_rows == 0
    for name in ("CommandGetExportedKeys", "CommandGetImportedKeys"):
        keys = ana.get(name, None, "kinds", "everything")
        assert (keys.num_rows, keys.num_columns) == (0, 13)
    assert ana.get("CommandGetCrossReference", None, "kinds", "everything", None, "kinds", "maps").num_columns == 13


def test_sql_info(ana):
    everything = ana.get("CommandGetSqlInfo")
    names = everything["info_name"].to_pylist()
    assert len(names) > 80 and names == sorted(names)
    values = dict(zip(names, everything["value"].to_pylist()))
    # FLIGHT_SQL_SERVER_NAME, _READ_ONLY, _TRANSACTION; SQL_IDENTIFIER_QUOTE_CHAR, SQL_SCHEMA_TERM, SQL_CATALOG_TERM
    assert (values[0], values[3], values[8]) == ("weft", True, 0)
    assert (values[504], values[529], values[531]) == ('"', "schema", "catalog")
    some = ana.get("CommandGetSqlInfo", [0, 3])
    assert some["info_name"].to_pylist() == [0, 3]
    # None of them is known.
    assert ana.get("CommandGetSqlInfo", [99_999]).num_rows == 0


def test_types_of_the_database(ana):
    types = ana.get("CommandGetXdbcTypeInfo")
    assert {"BIGINT", "VARCHAR", "DECIMAL", "DATE", "BOOLEAN"} <= set(types["type_name"].to_pylist())
    # SQL_DECIMAL
    assert set(ana.get("CommandGetXdbcTypeInfo", 3)["type_name"].to_pylist()) == {"DECIMAL"}


def test_a_prepared_statement(ana):
    (body,) = ana.action("CreatePreparedStatement", command("ActionCreatePreparedStatementRequest", "SELECT label FROM kinds.everything WHERE id = ?"))
    created = unpacked(body)
    handle = created[1][0]
    parameters = pa.ipc.read_schema(pa.py_buffer(created[3][0]))
    assert parameters.types == [pa.int64()]
    descriptor = flight.FlightDescriptor.for_command(command("CommandPreparedStatementQuery", handle))
    batch = pa.record_batch([pa.array([2], pa.int64())], names=["0"])
    writer, reader = ana.client.do_put(descriptor, batch.schema, ana.options)
    writer.write_batch(batch)
    writer.done_writing()
    bound = fields(reader.read().to_pybytes())[1][0]
    writer.close()
    assert ana.get("CommandPreparedStatementQuery", bound).to_pydict() == {"label": ["null"]}
    # The C++ client goes on with the handle from before.
    assert ana.get("CommandPreparedStatementQuery", handle).to_pydict() == {"label": ["null"]}
    for _ in range(2):
        ana.action("ClosePreparedStatement", command("ActionClosePreparedStatementRequest", handle))


def options(client):
    (body,) = client.action("GetSessionOptions", b"")
    entries = [fields(entry) for entry in fields(body).get(1, [])]
    return {entry[1][0].decode(): fields(entry[2][0])[1][0].decode() for entry in entries}


def put(client, **values):
    """{name: error} of those that were not set."""
    entries = [message(name, field(1, value)) for name, value in values.items()]
    (body,) = client.action("SetSessionOptions", message(entries))
    errors = [fields(entry) for entry in fields(body).get(1, [])]
    return {error[1][0].decode(): fields(error[2][0])[1][0] for error in errors}


def test_session_options(ana):
    assert options(ana) == {"catalog": "allsorts"}
    assert put(ana, schema="kinds", timezone="UTC") == {}
    assert options(ana) == {"catalog": "allsorts", "schema": "kinds", "timezone": "UTC"}
    assert ana.query("SELECT count(*) AS n FROM everything").to_pydict() == {"n": [len(all_types.LABELS)]}
    assert put(ana, colour="red", timezone="Mars/Base") == {"colour": INVALID_NAME, "timezone": INVALID_VALUE}
    # None is set where the value is missing.
    assert put(ana, schema=None) == {}
    assert options(ana) == {"catalog": "allsorts", "timezone": "UTC"}
    (body,) = ana.action("CloseSession", b"")
    assert fields(body)[1] == [CLOSED]
    assert options(ana) == {"catalog": "allsorts"}


def test_actions_that_are_listed(ana):
    listed = {action.type for action in ana.client.list_actions(ana.options)}
    assert listed == {
        "CancelFlightInfo",
        "CancelQuery",
        "ClosePreparedStatement",
        "CloseSession",
        "CreatePreparedStatement",
        "GetSessionOptions",
        "RenewFlightEndpoint",
        "SetSessionOptions",
    }


@pytest.mark.parametrize("action", ["BeginTransaction", "EndTransaction", "BeginSavepoint", "EndSavepoint", "CreatePreparedSubstraitPlan", "nothing"])
def test_actions_that_are_not_there(ana, action):
    with pytest.raises(pa.ArrowNotImplementedError):
        ana.action(action, b"")


def test_cancelling_by_flight_info(ana):
    info = ana.info(
        "CommandStatementQuery",
        "SELECT x.value AS x FROM generate_series(1, 100000) x CROSS JOIN generate_series(1, 100000) y",
    )
    request = message(info.serialize())
    # It does not run yet.
    assert fields(ana.action("CancelFlightInfo", request)[0])[1] == [NOT_CANCELLABLE]
    reader = ana.client.do_get(info.endpoints[0].ticket, ana.options)
    reader.read_chunk()
    assert fields(ana.action("CancelFlightInfo", request)[0])[1] == [CANCELLED]
    with pytest.raises(flight.FlightCancelledError):
        # Not read_all(), which makes KeyboardInterrupt of it.
        while True:
            reader.read_chunk()


def test_cancelling_on_the_clients_side(ana):
    info = ana.info(
        "CommandStatementQuery",
        "SELECT count(*) AS n FROM generate_series(1, 100000) x CROSS JOIN generate_series(1, 100000) y WHERE x.value + y.value < 1",
    )
    reader = ana.client.do_get(info.endpoints[0].ticket, ana.options)
    reader.cancel()
    began = time.monotonic()
    with pytest.raises(flight.FlightCancelledError):
        reader.read_chunk()
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda ana: ana.info("CommandStatementUpdate", "DELETE FROM kinds.maps"), flight.FlightUnauthorizedError, "weft is read-only"),
        (lambda ana: ana.info("CommandStatementQuery", "DELETE FROM kinds.maps"), flight.FlightUnauthorizedError, "weft is read-only"),
        (lambda ana: ana.info("CommandStatementSubstraitPlan", b""), pa.ArrowNotImplementedError, "Substrait"),
        (lambda ana: ana.info("CommandOfTomorrow"), pa.ArrowNotImplementedError, "CommandOfTomorrow"),
        (lambda ana: ana.info("CommandStatementQuery", "SELEC 1"), pa.ArrowInvalid, "line 1, column 1"),
        (lambda ana: ana.info("CommandStatementQuery", "SELECT * FROM kinds.nothing"), pa.ArrowKeyError, "kinds.nothing"),
        (lambda ana: list(ana.client.list_flights(options=ana.options)), pa.ArrowNotImplementedError, None),
        (
            lambda ana: ana.client.get_flight_info(flight.FlightDescriptor.for_command(b"\xff\xff"), ana.options),
            pa.ArrowInvalid,
            "not an encoded Flight SQL message",
        ),
        (lambda ana: ana.client.get_flight_info(flight.FlightDescriptor.for_path("a"), ana.options), pa.ArrowInvalid, "path"),
        (lambda ana: ana.client.do_get(flight.Ticket(b"x"), ana.options).read_all(), pa.ArrowInvalid, None),
    ],
)
def test_what_is_refused(ana, call, error, text):
    with pytest.raises(error, match=text):
        call(ana)


@pytest.fixture(scope="module")
def governed(tmp_path_factory):
    weft = Weft(governed_mesh.write(tmp_path_factory.mktemp("governed")))
    yield weft
    assert weft.stop() == 0, "".join(weft.log)


@pytest.mark.parametrize(
    "parts",
    [
        ("CommandGetCatalogs",),
        ("CommandGetDbSchemas",),
        ("CommandGetDbSchemas", None, "vault"),
        ("CommandGetTables", None, None, None, [], True),
        ("CommandGetTables", None, "shop", "payroll", [], True),
        ("CommandGetTables", None, "vault", None, [], True),
        ("CommandGetPrimaryKeys", None, "shop", "orders"),
        ("CommandGetPrimaryKeys", None, "shop", "payroll"),
        ("CommandGetExportedKeys", None, "shop", "payroll"),
        ("CommandGetImportedKeys", None, "shop", "payroll"),
        ("CommandGetCrossReference", None, "shop", "payroll", None, "shop", "orders"),
        ("CommandGetSqlInfo",),
        ("CommandStatementQuery", "SELECT * FROM shop.orders"),
    ],
    ids=lambda parts: " ".join(str(part) for part in parts),
)
def test_what_is_hidden_is_in_no_bytes(governed, parts):
    """Of all that is answered, schemas in their encoding included."""
    client = Client(governed, token=governed_mesh.TOKEN)
    answered = [client.info(*parts).serialize(), client.info(*parts).schema.serialize().to_pybytes()]
    table = client.get(*parts)
    answered += [table.schema.serialize().to_pybytes(), repr(table.to_pylist()).encode()]
    answered += [cell for name in table.column_names if name == "table_schema" for cell in table[name].to_pylist()]
    for word in governed_mesh.HIDDEN:
        # The ticket is sealed; a short word may be in it by chance.
        assert not any(word.encode() in part for part in answered[1:]), word
    if parts[-1] in ("vault", "payroll"):
        assert table.num_rows == 0

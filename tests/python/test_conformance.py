"""The conformance suite of Flight SQL, which is for any server, on the demo; and on a server that keeps to nothing."""

import json
import os
import subprocess
import sys
from concurrent import futures
from pathlib import Path

import grpc
import pyarrow as pa
import pytest

TESTS = Path(__file__).parents[1]
# Not above the others: `python -m conformance` is run from there.
sys.path.append(str(TESTS))

from conformance import rules  # noqa: E402, F401 (registers them)
from conformance.messages import flight  # noqa: E402
from conformance.rule import RULES, try_rule, try_rules  # noqa: E402
from conformance.server import Credentials, Server  # noqa: E402
from conformance.stream import encoded  # noqa: E402

# What weft does not do, and says so.
SKIPPED = {"sql_info.transactions", "prepared.unknown_transaction", "errors.list_flights"}
CARLA = Credentials("carla", "carla-demo")


@pytest.fixture(scope="module")
def server(demo):
    server = Server(demo.url.removeprefix("grpc://"), CARLA)
    yield server
    server.client.channel.close()


@pytest.mark.parametrize("rule", [rule for rule in RULES if not rule.slow], ids=lambda rule: rule.id)
def test_rule(server, rule):
    result = try_rule(rule, server)
    assert result.outcome == ("skip" if rule.id in SKIPPED else "pass"), f"{rule.text}: {result.found}"


def test_ids_are_distinct():
    ids = [rule.id for rule in RULES]
    assert sorted(ids) == sorted(set(ids))


def run(*arguments, password="carla-demo"):
    return subprocess.run(
        [sys.executable, "-m", "conformance", *arguments],
        cwd=TESTS, capture_output=True, text=True, timeout=60, env={**os.environ, "CONFORMANCE_PASSWORD": password},
    )


def test_command_line(demo, tmp_path):
    file = tmp_path / "results.json"
    done = run(demo.url, "--user", "carla", "--table", "orders", "--schema", "sales", "--only", "do_get.*", "--only",
               "handshake.*", "--json", str(file), "--strict")
    assert done.returncode == 0, done.stdout + done.stderr
    found = {rule["id"]: rule for rule in json.loads(file.read_text())["rules"]}
    assert found["do_get.table"]["outcome"] == "pass" and '"orders"' in found["do_get.table"]["found"]
    assert f"{len(found)} rules" in done.stdout.splitlines()[-1]
    # One line a rule, aligned.
    lines = [line for line in done.stdout.splitlines() if line.startswith(("do_get.", "handshake."))]
    assert len(lines) == len(found)
    assert len({min(line.index(f" {outcome} ") for outcome in ("must", "should") if f" {outcome} " in line) for line in lines}) == 1


def test_command_line_without_a_connection_or_a_login(demo):
    assert run("grpc://127.0.0.1:1").returncode == 2
    refused = run(demo.url, "--user", "carla", password="wrong")
    assert refused.returncode == 2 and "UNAUTHENTICATED" in refused.stderr
    assert run("127.0.0.1:1").returncode == 2
    assert run("--list").stdout.count("\n") == len(RULES)


class Handler(grpc.GenericRpcHandler):
    """Serves methods of Flight by name; all others are UNIMPLEMENTED."""

    def __init__(self, **methods):
        self.methods = methods

    def service(self, details):
        return self.methods.get(details.method.rpartition("/")[2])


def serve(**methods):
    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Handler(**methods),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"


def outcomes(address, chosen):
    server = Server(address)
    found = {result.rule.id: result for result in try_rules(chosen, server)}
    server.client.channel.close()
    return found


def test_a_server_that_does_nothing():
    server, address = serve()
    found = outcomes(address, [rule for rule in RULES if not rule.slow])
    server.stop(None)
    assert {result.outcome for result in found.values()} == {"pass", "fail", "skip"}
    # UNIMPLEMENTED is no excuse where there is nothing left without it.
    for id in ("flight_info.statement", "do_get.statement", "metadata.keys_are_answered"):
        assert found[id].outcome == "fail" and "UNIMPLEMENTED" in found[id].found, found[id]
    for id in ("prepared.create", "sessions.get", "metadata.tables_columns", "sql_info.schema", "cancel.query_not_running"):
        assert found[id].outcome == "skip" and "UNIMPLEMENTED" in found[id].found, found[id]
    # What passes is that things are refused.
    passed = {id.partition(".")[0] for id, result in found.items() if result.outcome == "pass"}
    assert passed <= {"actions", "errors", "handles"}, sorted(id for id, result in found.items() if result.outcome == "pass")


WRONG = (
    "flight_info.one_endpoint", "flight_info.no_location", "flight_info.locations_are_uris", "flight_info.total_records",
    "flight_info.descriptor_comes_back", "do_get.statement", "schemas.literals_stream", "schemas.catalogs_stream",
    "metadata.catalogs_columns", "metadata.plain_text", "sql_info.schema", "errors.syntax",
    "errors.unknown_command_code", "types.portable_literals",
)


def test_a_server_that_does_wrong():
    """Whatever is asked: a column that may be null in FlightInfo and not in the stream, and beside it a view, twice."""
    said = pa.schema([pa.field("catalog_name", pa.int64())])
    sent = pa.record_batch(
        [pa.array([1]), pa.array(["x"], pa.string_view())],
        schema=pa.schema([pa.field("catalog_name", pa.int64(), nullable=False), pa.field("t", pa.string_view())]),
    )

    def get_flight_info(request, context):
        place = flight.Location(uri=f"ftp://{address}")
        endpoint = flight.FlightEndpoint(ticket=flight.Ticket(ticket=b"all"), location=[place])
        return flight.FlightInfo(schema=said.serialize().to_pybytes(), endpoint=[endpoint, endpoint])

    def do_get(request, context):
        for header, body in encoded(sent):
            yield flight.FlightData(data_header=header, data_body=body)

    descriptor, ticket, to_bytes = flight.FlightDescriptor, flight.Ticket, flight.FlightInfo.SerializeToString
    server, address = serve(
        GetFlightInfo=grpc.unary_unary_rpc_method_handler(get_flight_info, descriptor.FromString, to_bytes),
        DoGet=grpc.unary_stream_rpc_method_handler(do_get, ticket.FromString, flight.FlightData.SerializeToString),
    )
    right = ("do_get.schema_first", "types.metadata_version")
    found = outcomes(address, [rule for rule in RULES if rule.id in (*WRONG, *right, "prepared.create")])
    server.stop(None)
    assert {id: result.outcome for id, result in found.items()} == {
        **dict.fromkeys(WRONG, "fail"), **dict.fromkeys(right, "pass"), "prepared.create": "skip",
    }
    assert "catalog_name int64!" in found["schemas.literals_stream"].found


def test_a_server_that_goes_away():
    server, address = serve()

    def leave(_):
        server.stop(None).wait()
        raise RuntimeError("gone")

    first, second = RULES[:2]
    left = Server(address)
    left.patience = 2
    results = list(try_rules([type(first)(**{**vars(first), "check": leave}), second], left))
    assert [result.outcome for result in results] == ["fail", "skip"]
    assert first.id in results[1].found

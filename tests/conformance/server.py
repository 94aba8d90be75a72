"""The server that is asked: how to reach it, how to log in, and what it has told that rules build upon."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import urlsplit

import grpc

from .client import Client, basic
from .messages import sql
from .rule import Broken, Skipped

# Names of Flight SQL's SqlInfo.
READ_ONLY, SQL, SUBSTRAIT, TRANSACTION, CANCEL, BULK_INGESTION = 3, 4, 5, 8, 9, 10
QUOTE, SEARCH_ESCAPE = 504, 513

# How servers write a table of n numbers, with the column v.
SERIES = (
    "(SELECT value AS v FROM generate_series(1, {n})) AS {name}",
    "(SELECT id AS v FROM range({n})) AS {name}",
    "generate_series(1, {n}) AS {name}(v)",
    "range({n}) AS {name}(v)",
    "(SELECT generate_series AS v FROM generate_series(1, {n})) AS {name}",
)
# A table to try on is rather one of the user's.
OWN_SCHEMAS = {"information_schema", "pg_catalog", "system", "sys"}

OPTIONS = (
    # A connection of its own, and all that the server sends: what is too large is for the rules to say.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_metadata_size", 1 << 20),
    ("grpc.absolute_max_metadata_size", 1 << 20),
    ("grpc.enable_retries", 0),
)


@dataclass(frozen=True)
class Credentials:
    user: str | None = None
    password: str = ""
    token: str | None = None


@dataclass(frozen=True)
class Tls:
    root_certificates: bytes | None = None
    # Instead of the host in the address.
    server_name: str | None = None


@dataclass(frozen=True)
class Relation:
    """A table that the rules are tried on."""

    catalog: str | None
    schema: str | None
    name: str
    # As a statement names it.
    sql: str


class Server:
    LARGE_ROWS = 30_000

    def __init__(
        self,
        address: str,
        credentials: Credentials = Credentials(),
        tls: Tls | None = None,
        table: tuple[str | None, str | None, str] | None = None,
        load: bool = True,
    ):
        self.address, self.credentials, self.tls, self.asked_table = address, credentials, tls, table
        # Whether it may be given queries that run for long.
        self.load = load
        # For how many seconds it may be too busy for a new connection before it is taken for gone.
        self.patience = 60.0
        # The time by which the rule that is being tried has to be done.
        self.deadline = time.monotonic() + 20

    def remaining(self) -> float:
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise Broken("it took too long")
        return left

    def channel(self, address: str | None = None, *options: tuple[str, Any]) -> grpc.Channel:
        address = address or self.address
        # Of two of one name, gRPC takes the first.
        chosen = {**dict(OPTIONS), **dict(options)}
        if self.tls is None:
            return grpc.insecure_channel(address, tuple(chosen.items()))
        if self.tls.server_name:
            chosen["grpc.ssl_target_name_override"] = self.tls.server_name
        credentials = grpc.ssl_channel_credentials(self.tls.root_certificates)
        return grpc.secure_channel(address, credentials, tuple(chosen.items()))

    def wait_until_ready(self, seconds: float) -> None:
        with self.channel() as channel:
            grpc.channel_ready_future(channel).result(timeout=seconds)

    def is_there(self) -> bool:
        try:
            self.wait_until_ready(self.patience)
        except grpc.FutureTimeoutError:
            return False
        return True

    def connect(self) -> Client:
        """A connection of its own, not logged in."""
        return Client(self, self.channel())

    def log_in(self, client: Client) -> Client:
        """By Handshake where the server has it, else each call brings the credentials."""
        credentials = self.credentials
        if credentials.token is not None:
            return client.with_headers(("authorization", f"Bearer {credentials.token}"))
        if credentials.user is None:
            return client
        header = ("authorization", basic(credentials.user, credentials.password))
        try:
            bearer = client.with_headers(header).handshake().get("authorization")
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.UNAUTHENTICATED:
                raise
            bearer = None
        return client.with_headers(("authorization", bearer) if bearer else header)

    @cached_property
    def client(self) -> Client:
        """Logged in, and shared by the rules."""
        return self.log_in(self.connect())

    def own_client(self) -> Client:
        """A connection of its own with the login of the others."""
        return Client(self, self.channel(), self.client.headers)

    def new_session(self) -> Client:
        """A connection and a login of its own."""
        return self.log_in(self.connect())

    def at(self, client: Client, endpoint: Any) -> Client:
        """Where the ticket of the endpoint is redeemed."""
        places = [urlsplit(location.uri) for location in endpoint.location]
        if not places or any(p.scheme == "arrow-flight-reuse-connection" or p.netloc == self.address for p in places):
            return client
        return Client(self, self.elsewhere(places[0].netloc), client.headers)

    def elsewhere(self, address: str) -> grpc.Channel:
        if address not in self._elsewhere:
            self._elsewhere[address] = self.channel(address)
        return self._elsewhere[address]

    @cached_property
    def _elsewhere(self) -> dict[str, grpc.Channel]:
        return {}

    def user(self) -> tuple[str, str]:
        if self.credentials.user is None:
            raise Skipped("no --user is given")
        return self.credentials.user, self.credentials.password

    # What the server says of itself.

    @cached_property
    def info(self) -> dict[int, Any]:
        """SqlInfo by number; empty where the server has none."""
        try:
            return {row["info_name"]: row["value"] for row in self.client.rows(sql.CommandGetSqlInfo())}
        except grpc.RpcError:
            return {}

    @cached_property
    def actions(self) -> set[str] | None:
        """None where the server does not list them."""
        try:
            return {action.type for action in self.client.list_actions()}
        except grpc.RpcError:
            return None

    def needs_action(self, kind: str) -> None:
        """Not every server says UNIMPLEMENTED of an action that it does not have."""
        if self.actions is not None and kind not in self.actions:
            raise Skipped(f"ListActions does not list {kind}")

    @cached_property
    def tables(self) -> list[dict[str, Any]]:
        return self.client.rows(sql.CommandGetTables())

    @cached_property
    def relation(self) -> Relation:
        """The table that was asked for, else the first with which a statement works."""
        if self.asked_table:
            places = [self.asked_table]
        else:
            places = [(row["catalog_name"], row["db_schema_name"], row["table_name"]) for row in self.tables]
            # The user's own first; their order is kept.
            places.sort(key=lambda place: place[1] in OWN_SCHEMAS)
        quote = str(self.info.get(QUOTE) or '"').strip() or '"'
        for catalog, schema, name in places[:5]:
            parts = [part for part in (catalog, schema, name) if part]
            quoted = [quote + part.replace(quote, 2 * quote) + quote for part in parts]
            for written in (quoted, quoted[1:], parts, [f"`{part}`" for part in parts], [name]):
                if written and self.works(f"SELECT * FROM {'.'.join(written)}"):
                    return Relation(catalog, schema, name, ".".join(written))
        raise Skipped("there is no table to try it on; name one with --table")

    # What SQL it takes.

    def works(self, statement: str) -> bool:
        try:
            self.client.get_flight_info(statement)
        except grpc.RpcError:
            return False
        return True

    def first_that_works(self, statements: list[str]) -> str:
        for statement in statements:
            if self.works(statement):
                return statement
        raise Skipped(f"no such SQL is understood: {statements[0]}")

    @cached_property
    def series_form(self) -> str:
        for form in SERIES:
            if self.works(f"SELECT a.v FROM {form.format(n=3, name='a')}"):
                return form
        raise Skipped("no SQL that makes a series of numbers is understood")

    def series(self, n: int, name: str = "a") -> str:
        """A relation with the column v, for FROM."""
        return self.series_form.format(n=n, name=name)

    def pairs(self, few: int, many: int) -> str:
        """Whichever side a join keeps in memory, and a server that makes all of it at once, can bear it."""
        if not self.load:
            raise Skipped("left out by --no-load")
        return f"{self.series(few, 'a')} CROSS JOIN {self.series(many, 'b')}"

    def endless(self) -> str:
        """A statement that runs for a minute or more before it has a row."""
        return f"SELECT count(*) AS n FROM {self.pairs(5_000, 10_000_000)} WHERE (a.v * b.v) % 7919 > 10000"

    def flood(self) -> str:
        """A statement with 300 MB of rows, more than lie in any buffer on the way."""
        return f"SELECT a.v AS v, b.v AS w FROM {self.pairs(200, 100_000)}"

    @cached_property
    def large(self) -> str:
        """A statement with about 30 MB of text in its column t."""
        series = self.series(self.LARGE_ROWS)
        return self.first_that_works([f"SELECT a.v AS v, {text} AS t FROM {series}" for text in ("repeat('x', 1000)", "rpad('', 1000, 'x')")])

    @cached_property
    def placeholder(self) -> Callable[[int], str]:
        """How the n-th parameter is written."""
        forms: list[Callable[[int], str]] = [lambda n: "?", lambda n: f"${n}"]
        for form in forms:
            try:
                self.client.close_prepared(self.client.prepare(f"SELECT {self.cast(form(1))} AS n").prepared_statement_handle)
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                    raise
                continue
            return form
        raise Skipped("no parameter is understood, neither ? nor $1")

    def cast(self, value: str, kind: str = "BIGINT") -> str:
        return f"CAST({value} AS {kind})"

    def parameter(self, n: int = 1, kind: str = "BIGINT") -> str:
        return self.cast(self.placeholder(n), kind)

    def still_serves(self) -> None:
        """On a connection of its own, as the one before may have been closed."""
        with self.own_client() as client:
            try:
                client.get_flight_info("SELECT 1 AS n")
            except grpc.RpcError as error:
                raise Broken(f"the server no longer serves: {error.code().name}: {error.details()}") from error

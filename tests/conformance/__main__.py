"""python -m conformance grpc://host:port --user U --password P"""

import argparse
import os
import sys
from fnmatch import fnmatch
from pathlib import Path
from ssl import get_server_certificate
from urllib.parse import urlsplit

import grpc

from . import rules  # noqa: F401 (registers them)
from .report import Report, as_json, summary
from .rule import RULES, Rule, described, try_rules
from .server import Credentials, Server, Tls

FAILED, NOT_CONNECTED = 1, 2


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m conformance",
        description="Asks a Flight SQL server to keep to the rules of the protocol.",
        epilog="Exit code: 0 if no `must` failed, 1 if one did, 2 if there was no connection or no login.",
    )
    parser.add_argument("address", nargs="?", help="grpc://host:port or grpc+tls://host:port")
    parser.add_argument("--user")
    parser.add_argument("--password", help="else the environment's CONFORMANCE_PASSWORD")
    parser.add_argument("--token", help="sent as `authorization: Bearer`, instead of a user")
    parser.add_argument("--tls-root-certs", type=Path, metavar="FILE", help="certificates that are trusted, in PEM")
    parser.add_argument("--tls-skip-verify", action="store_true", help="trust the certificate that the server shows")
    parser.add_argument("--tls-server-name", metavar="NAME", help="the name in the certificate, if it is not the host")
    parser.add_argument("--catalog", help="of the table to try on; else the first that GetTables finds")
    parser.add_argument("--schema")
    parser.add_argument("--table")
    parser.add_argument("--only", action="append", metavar="PATTERN", help="rules by id, such as 'metadata.*'; repeatable")
    parser.add_argument("--strict", action="store_true", help="a `should` that fails counts too")
    parser.add_argument("--no-load", action="store_true", help="without the queries that run for long")
    parser.add_argument("--slow", action="store_true", help="also what takes a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the results for a program")
    parser.add_argument("--list", action="store_true", help="print the rules and end")
    return parser


def tls_of(arguments: argparse.Namespace, host: str, port: int) -> Tls:
    if arguments.tls_skip_verify:
        # gRPC verifies always; so what is shown is what is trusted.
        roots = get_server_certificate((host, port)).encode()
    else:
        roots = arguments.tls_root_certs.read_bytes() if arguments.tls_root_certs else None
    return Tls(roots, arguments.tls_server_name)


def server_of(arguments: argparse.Namespace) -> Server:
    url = urlsplit(arguments.address)
    if url.scheme not in ("grpc", "grpc+tcp", "grpc+tls") or not url.hostname or not url.port:
        parser().error(f"{arguments.address!r} is no grpc://host:port or grpc+tls://host:port")
    password = arguments.password or os.environ.get("CONFORMANCE_PASSWORD", "")
    return Server(
        url.netloc,
        Credentials(arguments.user, password, arguments.token),
        tls_of(arguments, url.hostname, url.port) if url.scheme == "grpc+tls" else None,
        (arguments.catalog, arguments.schema, arguments.table) if arguments.table else None,
        load=not arguments.no_load,
    )


def chosen(arguments: argparse.Namespace) -> list[Rule]:
    patterns = arguments.only or ["*"]
    rules = [rule for rule in RULES if any(fnmatch(rule.id, pattern) for pattern in patterns)]
    if not rules:
        parser().error(f"no rule is named {' or '.join(patterns)}; --list prints them")
    return [rule for rule in rules if arguments.slow or arguments.list or not rule.slow]


def main() -> int:
    arguments = parser().parse_args()
    rules = chosen(arguments)
    report = Report(rules)
    if arguments.list:
        for rule in rules:
            report.rule(rule)
        return 0
    if not arguments.address:
        parser().error("which server? give its address")
    try:
        server = server_of(arguments)
        server.wait_until_ready(5)
        server.client
    except (grpc.FutureTimeoutError, OSError) as error:
        print(f"no connection to {arguments.address}: {error or 'no answer'}", file=sys.stderr)
        return NOT_CONNECTED
    except grpc.RpcError as error:
        print(f"no login at {arguments.address}: {described(error)}", file=sys.stderr)
        return NOT_CONNECTED
    results = []
    for result in try_rules(rules, server):
        report.result(result)
        results.append(result)
    print(f"\n{summary(results)}")
    if arguments.json:
        arguments.json.write_text(as_json(arguments.address, results))
    return FAILED if any(result.counts_as_failure(arguments.strict) for result in results) else 0


if __name__ == "__main__":
    sys.exit(main())

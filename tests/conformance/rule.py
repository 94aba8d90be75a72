"""What a rule is, and how one is tried."""

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import grpc

if TYPE_CHECKING:
    from .server import Server

Level = Literal["must", "should"]
Outcome = Literal["pass", "fail", "skip"]

# Says what was found, or nothing.
Check = Callable[["Server"], str | None]

RULES: list["Rule"] = []


# For `refused`, where UNIMPLEMENTED is an answer like any other.
ANY_CODE = tuple(grpc.StatusCode)


class Broken(Exception):
    """The server does not keep to the rule."""


class Skipped(Exception):
    """The rule does not apply: the server says that it does not do this, or has nothing to try it on."""


@dataclass(frozen=True)
class Rule:
    id: str
    level: Level
    # Where in the protocol it belongs.
    section: str
    text: str
    check: Check
    # UNIMPLEMENTED is no excuse.
    required: bool
    # Tried only if asked for.
    slow: bool
    # For all its calls together.
    seconds: float


@dataclass(frozen=True)
class Result:
    rule: Rule
    outcome: Outcome
    found: str
    seconds: float

    def counts_as_failure(self, strict: bool) -> bool:
        return self.outcome == "fail" and (strict or self.rule.level == "must")


def rule(
    level: Level,
    section: str,
    text: str,
    *,
    name: str | None = None,
    required: bool = False,
    slow: bool = False,
    seconds: float = 20,
) -> Callable[[Check], Check]:
    """Registers a function as a rule, by the names of its module and its own."""

    def register(check: Check) -> Check:
        theme = check.__module__.rpartition(".")[2]
        RULES.append(Rule(f"{theme}.{name or check.__name__}", level, section, text, check, required, slow, seconds))
        return check

    return register


def expect(condition: Any, found: str) -> None:
    """Not `assert`, which `python -O` leaves out."""
    if not condition:
        raise Broken(found)


def expect_equal(found: Any, expected: Any, what: str) -> None:
    expect(found == expected, f"{what}: {found!r} instead of {expected!r}")


def one_of(codes: Iterable[grpc.StatusCode]) -> str:
    return " or ".join(code.name for code in codes)


def described(error: grpc.RpcError) -> str:
    return f"{error.code().name}: {error.details()}"


def expect_status(error: grpc.RpcError) -> None:
    """That the server sent it, and not the client's end of a connection or of a stream that broke."""
    expect(error.code() != grpc.StatusCode.UNAVAILABLE, f"the connection broke: {error.details()}")
    expect("RST_STREAM" not in (error.details() or ""), f"the stream broke: {described(error)}")


def refused(call: Callable[[], Any], *codes: grpc.StatusCode) -> grpc.RpcError:
    """That the call ends in an error with one of the codes; without codes, any but UNIMPLEMENTED, which says that there
    is none of it at all and is for `try_rule` to judge."""
    try:
        call()
    except grpc.RpcError as error:
        expect_status(error)
        if error.code() == grpc.StatusCode.UNIMPLEMENTED and error.code() not in codes:
            raise
        expect(not codes or error.code() in codes, f"{described(error)}; expected {one_of(codes)}")
        return error
    raise Broken(f"it was answered; expected {one_of(codes) if codes and codes != ANY_CODE else 'an error'}")


def try_rule(rule: Rule, server: "Server") -> Result:
    began = time.monotonic()
    server.deadline = began + rule.seconds
    outcome: Outcome
    try:
        found = rule.check(server) or ""
        outcome = "pass"
    except Skipped as reason:
        outcome, found = "skip", str(reason)
    except Broken as broken:
        outcome, found = "fail", str(broken)
    except grpc.RpcError as error:
        unimplemented = error.code() == grpc.StatusCode.UNIMPLEMENTED and not rule.required
        outcome, found = ("skip" if unimplemented else "fail"), described(error)
    except Exception as error:
        # Bytes that are no message, a schema that cannot be read.
        outcome, found = "fail", f"{type(error).__name__}: {error}"
    return Result(rule, outcome, " ".join(found.split()), time.monotonic() - began)


def try_rules(rules: Iterable[Rule], server: "Server") -> Iterator[Result]:
    """Until the server is gone: what is left is then passed over, and not many times the same fault."""
    gone = ""
    for rule in rules:
        result = Result(rule, "skip", gone, 0) if gone else try_rule(rule, server)
        yield result
        if result.outcome == "fail" and not server.is_there():
            gone = f"the server is gone since {rule.id}"

"""Results for people and for programs."""

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable
from typing import Any, TextIO

from .rule import Result, Rule

COLOURS = {"pass": "32", "fail": "31", "skip": "33"}


class Report:
    """One line a rule, as it is tried."""

    def __init__(self, rules: Iterable[Rule], out: TextIO = sys.stdout):
        rules = list(rules)
        self.out = out
        self.id_width = max((len(rule.id) for rule in rules), default=0)
        self.section_width = max((len(rule.section) for rule in rules), default=0)
        # A pipe has the whole text.
        self.width = shutil.get_terminal_size().columns if out.isatty() else None

    def line(self, rule: Rule, outcome: str, text: str) -> None:
        head = f"{rule.id:<{self.id_width}}  {rule.level:<6}  {rule.section:<{self.section_width}}  "
        room = max(self.width - len(head) - 6, 20) if self.width else None
        shown = text if room is None or len(text) <= room else text[: room - 1] + "…"
        mark = f"\x1b[{COLOURS[outcome]}m{outcome}\x1b[0m" if self.width and outcome in COLOURS else outcome
        print(f"{head}{mark}  {shown}".rstrip(), file=self.out, flush=True)

    def result(self, result: Result) -> None:
        text = result.found
        if result.outcome == "fail":
            # What was expected stands beside what was found.
            text = f"{result.rule.text}: {text}"
        self.line(result.rule, result.outcome, text[:2000])

    def rule(self, rule: Rule) -> None:
        self.line(rule, "", rule.text)


def summary(results: list[Result]) -> str:
    parts = []
    for level in ("must", "should"):
        counts = Counter(result.outcome for result in results if result.rule.level == level)
        parts.append(f"{level}: {counts['pass']} passed, {counts['fail']} failed, {counts['skip']} skipped")
    return f"{len(results)} rules in {sum(result.seconds for result in results):.0f} s. {'; '.join(parts)}."


def as_json(address: str, results: list[Result]) -> str:
    rules: list[dict[str, Any]] = [
        {
            "id": result.rule.id,
            "level": result.rule.level,
            "section": result.rule.section,
            "text": result.rule.text,
            "outcome": result.outcome,
            "found": result.found,
            "seconds": round(result.seconds, 3),
        }
        for result in results
    ]
    return json.dumps({"server": address, "rules": rules}, ensure_ascii=False, indent=1)

#!/usr/bin/env python3
"""Plants each fault of mutants.txt in a copy of the sources and runs the tests that ought to see it.

Usage: run.py [NAME ...]        exit code 0 only where every mutant is killed
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIST = HERE / "mutants.txt"
#: Longer than any killer takes, and shorter than a query that never ends.
TEST_SECONDS = 1800


def fail(message):
    sys.exit(f"mutants: {message}")


def read_mutants():
    """The blocks of mutants.txt, in order."""
    mutants, block, key = [], None, None
    for number, line in enumerate(LIST.read_text().splitlines(), 1):
        if line.startswith("| ") or line == "|":
            if key not in ("find", "with"):
                fail(f"{LIST.name}:{number}: a line that goes on after `{key}`")
            block[key] += "\n" + line[2:]
            continue
        if not line.strip() or line.startswith("#"):
            continue
        key, _, value = line.partition(" ")
        value = value.strip()
        if key == "mutant":
            block = {"mutant": value, "kill": []}
            mutants.append(block)
        elif block is None or key not in ("why", "file", "find", "with", "kill"):
            fail(f"{LIST.name}:{number}: `{key}` is no key here")
        elif key == "kill":
            block["kill"].append(value.split())
        else:
            block[key] = value
    for block in mutants:
        for key in ("why", "file", "find", "with", "kill"):
            if not block.get(key) and key != "with":
                fail(f"mutant `{block['mutant']}` has no `{key}`")
        block.setdefault("with", "")
    return mutants


def plant(block, copy):
    """Writes the fault into the copy; returns what puts it right again."""
    path = copy / block["file"]
    text = path.read_text()
    count = text.count(block["find"])
    if count != 1:
        fail(f"mutant `{block['mutant']}`: its text stands {count} times in {block['file']}")
    path.write_text(text.replace(block["find"], block["with"]))
    return lambda: path.write_text(text)


def build(binary, copy, env):
    """Builds a test binary; its path, or None with the compiler's errors."""
    cargo = os.environ.get("CARGO", "cargo")
    # What is built for the workspace shares its dependencies with `make test`;
    # policy alone is so small that it is built by itself.
    chosen = {"it": ["--workspace", "--test", "it"], "weft_policy": ["-p", "weft-policy", "--lib"]}
    command = [cargo, "test", "--locked", "--no-run", "--message-format=json"]
    command += chosen.get(binary, ["--workspace", "--lib"])
    run = subprocess.run(command, cwd=copy, env=env, capture_output=True, text=True)
    path, errors = None, []
    for line in run.stdout.splitlines():
        message = json.loads(line)
        if message.get("reason") == "compiler-artifact" and message.get("executable"):
            if message["profile"]["test"] and message["target"]["name"] == binary:
                path = message["executable"]
        elif message.get("reason") == "compiler-message" and message["message"]["level"] == "error":
            errors.append(message["message"]["rendered"])
    if run.returncode != 0:
        return None, "\n".join(errors) or run.stderr
    return path, f"there is no test binary `{binary}`"


def failed_test(binary, filters, copy, env):
    """The name of the first test that fails, or None. The others are not waited for: one that
    fails may look for a smaller case for long."""
    command = [binary, *filters]
    told = []
    with tempfile.TemporaryFile("w+") as errors, subprocess.Popen(
        command, cwd=copy, env=env, stdout=subprocess.PIPE, stderr=errors, text=True
    ) as run:
        late = threading.Timer(TEST_SECONDS, run.kill)
        late.start()
        for line in run.stdout:
            told.append(line)
            if line.startswith("test ") and line.endswith("... FAILED\n"):
                late.cancel()
                run.kill()
                return line.split()[1]
        code = run.wait()
        if not late.is_alive():
            fail(f"{' '.join(filters)} does not end: the mutant is not judged")
        late.cancel()
        if code == 0:
            return None
        errors.seek(0)
        fail(
            f"{' '.join(filters)} ended without a verdict:\n{''.join(told)[-2000:]}{errors.read()[-2000:]}"
        )


def check_killers(killers, copy, env):
    """A test that fails without a mutant kills whatever it is given."""
    for binary in sorted({binary for binary, _ in killers}):
        path, errors = build(binary, copy, env)
        if path is None:
            fail(f"the sources do not build:\n{errors}")
        tests = sorted({test for of, test in killers if of == binary})
        found = failed_test(path, ["--exact", *tests], copy, env)
        if found:
            fail(f"without any mutant, {binary} {found} fails: its verdicts are void")
    print(f"without a mutant, all {len(killers)} tests that killed one pass", flush=True)


def judge(block, copy, env):
    """The test binary and the test that killed the mutant, or None."""
    for binary, *filters in block["kill"]:
        path, errors = build(binary, copy, env)
        if path is None:
            fail(f"mutant `{block['mutant']}` cannot be judged:\n{errors}")
        found = failed_test(path, filters, copy, env)
        if found:
            return binary, found
    return None


def main():
    mutants = read_mutants()
    wanted = sys.argv[1:]
    unknown = set(wanted) - {block["mutant"] for block in mutants}
    if unknown:
        fail(f"there is no mutant {', '.join(sorted(unknown))}")
    chosen = [block for block in mutants if not wanted or block["mutant"] in wanted]
    width = max(len(block["mutant"]) for block in chosen)
    target = os.environ.get("CARGO_TARGET_DIR") or str(ROOT / "target")
    with tempfile.TemporaryDirectory(prefix="weft-mutants-") as folder:
        copy = pathlib.Path(folder) / "weft"
        ignored = shutil.ignore_patterns("target", ".git", "__pycache__")
        shutil.copytree(ROOT, copy, ignore=ignored)
        # A folder of its own: what is built here must not pass for the sources'.
        folder = os.path.join(os.path.abspath(target), "mutants")
        env = dict(os.environ, CARGO_TARGET_DIR=folder, RUST_BACKTRACE="0")
        env.setdefault("WEFT_PROVE_SECONDS", "20")
        survivors, killers = [], set()
        for number, block in enumerate(chosen, 1):
            started = time.monotonic()
            restore = plant(block, copy)
            killer = judge(block, copy, env)
            restore()
            took = f"{time.monotonic() - started:4.0f} s"
            verdict = f"killed by {' '.join(killer)}" if killer else f"SURVIVED: {block['why']}"
            print(f"{number:3}/{len(chosen)}  {block['mutant']:{width}}  {took}  {verdict}", flush=True)
            if killer:
                killers.add(killer)
            else:
                survivors.append(block["mutant"])
        check_killers(killers, copy, env)
    killed = len(chosen) - len(survivors)
    print(f"mutation score: {killed} of {len(chosen)} killed, {100 * killed // len(chosen)} %")
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()

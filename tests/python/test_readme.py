"""README's commands, run as they stand there.

The word after a fence's language says how: `run` runs it, `serve` runs until the end of the test,
`make` is one of the two commands, which .ci/run runs.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT, Weft, weft_bin

FENCE = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ADDRESS = "grpc://127.0.0.1:50051"


def blocks(how):
    return [(language, text) for language, mark, text in FENCE.findall((ROOT / "README.md").read_text()) if mark == how]


@pytest.fixture(scope="module")
def served():
    """What README says to serve, on a free port."""
    ((_, command),) = blocks("serve")
    program, subcommand, flag, mesh = command.split()
    assert (program, subcommand, flag) == ("weft", "serve", "--mesh")
    weft = Weft(ROOT / mesh)
    yield weft
    assert weft.stop() == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("readme")


@pytest.mark.parametrize(("language", "text"), blocks("run"))
def test_a_block_runs(served, folder, language, text):
    text = text.replace(ADDRESS, served.url)
    environment = {
        **os.environ,
        "WEFT_URL": served.url,
        "PATH": f"{Path(weft_bin()).parent}{os.pathsep}{os.environ['PATH']}",
    }
    command = {"sh": ["bash", "-euo", "pipefail", "-c", text], "python": [sys.executable, "-c", text]}[language]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_two_commands_are_what_ci_runs():
    ci = (ROOT / ".ci" / "run").read_text()
    commands = [text.strip() for _, text in blocks("make")]
    assert commands == ["make demo", "make test"]
    assert all(command in ci for command in commands)


def test_no_command_is_left_out():
    """A fence with a command in it is marked, so that it is run."""
    for language, mark, text in FENCE.findall((ROOT / "README.md").read_text()):
        assert mark or language in ("yaml", "text"), text


def test_every_subcommand_is_in_the_readme():
    text = subprocess.run([weft_bin(), "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  ([a-z-]+) ", text.split("Commands:")[1].split("Options:")[0], re.MULTILINE)
    readme = (ROOT / "README.md").read_text()
    assert len(commands) >= 6
    for command in set(commands) - {"help"}:
        assert f"weft {command}" in readme, command


def test_every_file_that_the_documents_name_exists():
    crates = "|".join(path.name for path in (ROOT / "crates").iterdir() if path.is_dir())
    named = 0
    for document in ("README.md", "ARCHITECTURE.md", "testdata/README.md"):
        text = (ROOT / document).read_text()
        for crate, path in re.findall(rf"`({crates})/([\w/]+(?:\.rs|/))`", text):
            assert (ROOT / "crates" / crate / "src" / path).exists(), f"{document}: {crate}/{path}"
            named += 1
        for path in re.findall(r"`((?:src|crates|tests|testdata)/[\w/.-]+)`", text):
            assert (ROOT / path).exists(), f"{document}: {path}"
            named += 1
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (ROOT / document).parent.joinpath(target).exists(), f"{document}: {target}"
    assert named > 10

"""docs/clients/: each page's blocks, run as they stand there, against the demo.

The words after a fence's language say how. The blocks of a page are taken in order, in a folder of
the page's own that has `testdata/demo` in it.

- `sh run`, `java run`, `r run`: a process each. `python run`: the page has one interpreter for all of its blocks.
- `go run`: as main.go of a module of its own with the versions of tests/go.
- `python cell`: the cells of a notebook, which is run by a real kernel.
- `sql panel`: as Grafana's plugin sends it, macros replaced. The types have to be ones that it reads.
- `sh serve`: `weft serve …`, until the page ends. Port 50051 of the page, as any port after `--listen`, is a free one.
- `text output`: what the block before it printed, errors too. `…` stands for any text, alone on a line for any lines.
- `LANGUAGE file=PATH`: the file is written.
- `LANGUAGE not-run`: is not run, and the page says why.

WEFT_DOCS=update writes what was printed into the pages.
"""

import functools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

import test_go
from conftest import ROOT, Weft, copy_demo, weft_bin

PAGES = ROOT / "docs" / "clients"
FENCE = re.compile(r"^```(\S+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COLOURS = re.compile("\x1b\\[[0-9;]*m")
NO_PROGRAM = ("text", "yaml", "json", "ini", "sql")
DEMO = "weft serve --mesh testdata/demo/mesh.yaml"
PORT = "50051"
UPDATE = os.environ.get("WEFT_DOCS") == "update"

# The first time Go compiles all of gRPC, and Maven downloads.
pytestmark = pytest.mark.timeout(600)

go = test_go.go

INTERPRETER = """
import contextlib, io, json, sys, traceback, warnings
names = {"__name__": "__main__"}
warnings.simplefilter("ignore")
for line in sys.stdin:
    out, code = io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        try:
            exec(compile(json.loads(line), "the page", "exec"), names)
        except BaseException:
            traceback.print_exc()
            code = 1
    print(json.dumps([code, out.getvalue()]), flush=True)
"""

# Prints the types and the first rows.
PANEL = """
from flightsql import FlightSQLClient
client = FlightSQLClient(host="127.0.0.1", port={port}, user="carla", password="carla-demo", insecure=True)
info = client.execute({sql!r})
assert len(info.endpoints) == 1
table = client.do_get(info.endpoints[0].ticket).read_all()
client.close()
kinds = [str(kind) for kind in table.schema.types]
assert set(kinds) <= {{"string", "int64", "uint32", "double", "bool", "timestamp[ns]"}}, kinds
print(*(" ".join(column) for column in zip(table.schema.names, kinds)), sep=" | ")
for row in table.slice(0, 3).to_pylist():
    print(*row.values(), sep=" | ")
if table.num_rows > 3:
    print("…")
"""


class Block:
    def __init__(self, page, number, language, mark, text, start):
        self.page, self.number, self.language, self.mark, self.text, self.start = page, number, language, mark, text, start
        self.output = None

    def __repr__(self):
        return f"{self.page}:{self.number}-{self.language}"


@functools.cache
def blocks(name):
    """Of a page, each with the output that follows it, if the page shows one."""
    found, text = [], (PAGES / name).read_text()
    for match in FENCE.finditer(text):
        language, mark, body = match.groups()
        if mark == "output":
            found[-1].output = body
        else:
            found.append(Block(name, len(found), language, mark, body, match.start()))
    return found


def pages():
    return sorted(path.name for path in PAGES.glob("*.md"))


def runs(block):
    return block.mark in ("run", "serve", "cell", "panel") or (block.mark or "").startswith("file=")


def matches(expected, printed):
    """`…` is any text in a line, alone on a line any lines."""
    pattern = ""
    for line in expected.rstrip("\n").split("\n"):
        pattern += r"(?:.*\n)*?" if line.strip() == "…" else ".*".join(re.escape(part) for part in line.rstrip().split("…")) + r"\n"
    return re.fullmatch(pattern, printed) is not None


class Page:
    """One that is read from its top, as far as it was asked for."""

    def __init__(self, name, served):
        self.blocks = [block for block in blocks(name) if runs(block)]
        self.folder = Path(tempfile.mkdtemp(prefix=f"weft-{Path(name).stem}-"))
        copy_demo(self.folder / "testdata" / "demo")
        self.servers, self.ports = [], {PORT: served.url.rsplit(":", 1)[1]}
        self.interpreter = None
        self.notebook = None
        self.printed = []
        self.failed = None

    def close(self):
        if self.notebook:
            self.notebook.end()
        if self.interpreter:
            self.interpreter.stdin.close()
            self.interpreter.wait(10)
        for server in self.servers:
            server.stop(signal.SIGTERM)
        shutil.rmtree(self.folder, ignore_errors=True)

    def read_to(self, block, tools):
        """What the block prints. Those before it are run first, if they were not."""
        number = self.blocks.index(block)
        while len(self.printed) <= number:
            if self.failed:
                pytest.skip(f"a block before it: {self.failed}")
            current = self.blocks[len(self.printed)]
            try:
                self.printed.append(self.run(current, tools))
            except pytest.skip.Exception as error:
                self.failed = str(error)
                raise
            except BaseException:
                self.failed = f"{current} failed"
                raise
        return self.printed[number]

    def on_free_ports(self, text):
        for port, free in self.ports.items():
            text = re.sub(rf"(?<=[:=]){port}\b", free, text)
        return text

    def as_in_the_page(self, text):
        text = COLOURS.sub("", text)
        for port, free in self.ports.items():
            text = re.sub(rf"(?<=[:=]){free}\b", port, text)
        return "".join(line.rstrip() + "\n" for line in text.rstrip().splitlines())

    def environment(self):
        url = f"grpc://127.0.0.1:{self.ports[PORT]}"
        path = f"{Path(weft_bin()).parent}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        known = {key: value for key, value in os.environ.items() if key not in ("WEFT_DOCS", "PYTHONPATH")}
        return {**known, "WEFT_URL": url, "PATH": path, "PYTHONWARNINGS": "ignore"}

    def run(self, block, tools):
        if (block.mark or "").startswith("file="):
            path = self.folder / block.mark.removeprefix("file=")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.on_free_ports(block.text))
            return ""
        if block.mark == "serve":
            return self.serve(block.text.strip())
        text = self.on_free_ports(block.text)
        if block.mark == "cell":
            code, printed = self.cell(text)
        elif block.mark == "panel":
            code, printed = self.panel(text)
        else:
            code, printed = getattr(self, block.language)(text, tools)
        printed = self.as_in_the_page(printed)
        assert code == 0, f"{block} ends with {code}:\n{printed}"
        return printed

    def serve(self, command):
        if command == DEMO:
            return ""
        program, subcommand, flag, mesh, *arguments = command.split()
        assert (program, subcommand, flag) == ("weft", "serve", "--mesh")
        listen = arguments.index("--listen")
        port = arguments.pop(listen + 1).rsplit(":", 1)[1]
        arguments.pop(listen)
        paths = [str(self.folder / it) if not it.startswith("--") else it for it in arguments]
        server = Weft(self.folder / mesh, *paths)
        self.servers.append(server)
        self.ports[port] = server.url.rsplit(":", 1)[1]
        return ""

    def process(self, command, folder=None, errors=True, **more):
        """Its exit code and what it prints, without the errors only if all is well."""
        done = subprocess.run(
            command, cwd=folder or self.folder, env={**self.environment(), **more}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT if errors else subprocess.PIPE, text=True, timeout=300,
        )
        return done.returncode, done.stdout + (done.stderr or "" if done.returncode else "")

    def sh(self, text, tools):
        for word in ("mvn", "java", "Rscript"):
            if re.search(rf"^{word}\b", text, re.MULTILINE) and not shutil.which(word):
                pytest.skip(f"{word} is not installed")
        code, printed = self.process(["bash", "-euo", "pipefail", "-c", text])
        if code and "mvn" in text:
            pytest.skip(f"Maven cannot have it: {printed[-300:]}")
        return code, printed

    def python(self, text, tools):
        if not self.interpreter:
            self.interpreter = subprocess.Popen(
                [sys.executable, "-c", INTERPRETER], cwd=self.folder, env=self.environment(), stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, text=True,
            )
        self.interpreter.stdin.write(json.dumps(text) + "\n")
        self.interpreter.stdin.flush()
        return json.loads(self.interpreter.stdout.readline())

    def cell(self, text):
        if not self.notebook:
            self.notebook = Notebook(self.folder, self.environment())
        return self.notebook.run(text)

    def panel(self, text):
        """In a plain statement; the plugin's source has the macros and the types (pkg/flightsql/macro.go, arrow.go)."""
        text = re.sub(r"\$__dateBin\(([\w.]+)\)", r"date_bin(interval '86400 second', \1, timestamp '1970-01-01T00:00:00Z')", text)
        text = re.sub(r"\$__timeFilter\(([\w.]+)\)", r"\1 >= '2026-05-01T00:00:00Z' AND \1 <= '2026-06-01T00:00:00Z'", text)
        return self.python(PANEL.format(sql=text, port=self.ports[PORT]), None)

    def java(self, text, tools):
        if not shutil.which("java"):
            pytest.skip("java is not installed")
        name = re.search(r"class (\w+)", text)[1]
        (self.folder / f"{name}.java").write_text(text)
        jars = os.pathsep.join(sorted(path.name for path in self.folder.glob("*.jar")))
        opens = "--add-opens=java.base/java.nio=ALL-UNNAMED"
        # Fewer threads that compile: the programs are short.
        # To standard error the driver says how it allocates memory.
        return self.process(["java", "-XX:TieredStopAtLevel=1", opens, "-cp", jars, f"{name}.java"], errors=False)

    def go(self, text, tools):
        program = tools.getfixturevalue("go")
        module = Path(tempfile.mkdtemp(prefix="go-", dir=self.folder))
        for name in ("go.mod", "go.sum"):
            shutil.copy(test_go.GO_TESTS / name, module)
        (module / "main.go").write_text(text)
        code, printed = self.process([program, "build", "-o", "program", "."], module, GOTOOLCHAIN="local", GOFLAGS="-mod=mod")
        assert code == 0, printed
        return self.process([str(module / "program")])

    def r(self, text, tools):
        if not shutil.which("Rscript"):
            pytest.skip("R is not installed")
        probe = 'quit(status = if (requireNamespace("reticulate", quietly = TRUE)) 0 else 1)'
        if subprocess.run(["Rscript", "-e", probe], capture_output=True).returncode:
            pytest.skip("R has no reticulate")
        (self.folder / "page.R").write_text(text)
        return self.process(["Rscript", "page.R"], RETICULATE_PYTHON=sys.executable)


class Notebook:
    """A kernel, as Jupyter starts one."""

    def __init__(self, folder, environment):
        nbformat = pytest.importorskip("nbformat")
        nbclient = pytest.importorskip("nbclient")
        self.v4 = nbformat.v4
        self.book = self.v4.new_notebook()
        os.environ.setdefault("JUPYTER_PLATFORM_DIRS", "1")
        self.client = nbclient.NotebookClient(self.book, timeout=120, kernel_name="python3", allow_errors=True, resources={"metadata": {"path": str(folder)}})
        self.client.create_kernel_manager()
        self.context = self.client.setup_kernel(env=environment)
        self.context.__enter__()

    def run(self, text):
        cell = self.v4.new_code_cell(text)
        self.book.cells.append(cell)
        self.client.execute_cell(cell, len(self.book.cells) - 1)
        code, printed = 0, ""
        for output in cell.outputs:
            if output.output_type == "error":
                code, printed = 1, printed + "\n".join(output.traceback)
            else:
                printed += output.text if "text" in output else output.data.get("text/plain", "") + "\n"
        return code, printed

    def end(self):
        self.context.__exit__(None, None, None)


@pytest.fixture(scope="module")
def served():
    """What the pages say to serve, on a free port."""
    weft = Weft(ROOT / "testdata" / "demo" / "mesh.yaml")
    yield weft
    assert weft.stop() == 0, "".join(weft.log)


@pytest.fixture(scope="module")
def opened(served):
    """The pages that are being read."""
    pages = {}
    yield lambda name: pages.setdefault(name, None) or pages.update({name: Page(name, served)}) or pages[name]
    for page in pages.values():
        page.close()


def put_right(block, printed):
    """Writes what was printed into the page, behind the block."""
    path, number = PAGES / block.page, -1
    text = path.read_text()
    for match in FENCE.finditer(text):
        language, mark, body = match.groups()
        if mark != "output":
            number += 1
        elif number == block.number:
            path.write_text(text[: match.start(3)] + printed + text[match.end(3) :])
            return


@pytest.mark.parametrize("block", [block for page in pages() for block in blocks(page) if runs(block)], ids=str)
def test_a_block_runs(opened, request, block):
    printed = opened(block.page).read_to(block, request)
    if block.output is None or matches(block.output, printed):
        return
    if UPDATE:
        put_right(block, printed)
    pytest.fail(f"it should print\n{block.output}\nit prints\n{printed}", pytrace=False)


def test_a_block_that_is_not_run_says_so():
    """No program is left unmarked, and where one is not run the page says why, near it."""
    for page in pages():
        text = (PAGES / page).read_text()
        for block in blocks(page):
            if block.language in NO_PROGRAM and not runs(block):
                continue
            assert runs(block) or block.mark == "not-run", block.text
            if block.mark == "not-run":
                assert "not run" in text[max(0, block.start - 500) : block.start].lower(), block.text


def test_outputs_are_of_blocks_that_run():
    outputs = 0
    for page in pages():
        for block in blocks(page):
            assert block.output is None or runs(block), block.text
            outputs += block.output is not None
    assert outputs > 30


def test_the_index_has_every_page_and_links_lead_somewhere():
    index = (PAGES / "README.md").read_text()
    for page in pages():
        assert page == "README.md" or f"({page}" in index, page
        text = (PAGES / page).read_text()
        for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", text):
            path = (PAGES / page).parent / target if target else PAGES / page
            assert path.exists(), f"{page}: {target}"
            if anchor:
                titles = re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)
                assert anchor in [re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles], f"{page}: {anchor}"


def test_versions_are_those_that_are_installed():
    """A page says `name==version` of what it was run with."""
    pinned = dict(line.strip().split("==") for line in (Path(__file__).parent / "requirements.txt").read_text().splitlines() if "==" in line)
    said = 0
    for page in pages():
        for name, version in re.findall(r"([\w-]+)==([\d.]+)", (PAGES / page).read_text()):
            assert pinned.get(name) == version, f"{page}: {name}"
            said += 1
    assert said > 5

"""The official JDBC driver, in several versions, against running servers: the cases of tests/jdbc/.

One Java process a version runs all its cases; each case is a test here. Without Java or Maven, or
where a version of the driver cannot be had, they are skipped.

WEFT_JDBC_VERSIONS names other versions; WEFT_JDBC_CASES runs only these cases or classes of them.
"""

import json
import os
import re
import shutil
import subprocess
import time
import warnings
from pathlib import Path

import pytest

import all_types
import jdbc_mesh
from conftest import ROOT
from oidc_provider import OpenIdProvider, Unavailable
from weft_process import Weft, weft_bin

VERSIONS = os.environ.get("WEFT_JDBC_VERSIONS", "19.0.0 18.3.0 15.0.2").split()
ONLY = os.environ.get("WEFT_JDBC_CASES", "").split()
PROJECT = ROOT / "tests" / "jdbc"
SOURCES = PROJECT / "src" / "main" / "java"

# The first test of a version waits for all of its cases, and the very first for downloads.
pytestmark = pytest.mark.timeout(900)


def cases():
    """As in the sources, so that all of them are told of where there is no Java."""
    for source in sorted(SOURCES.rglob("*.java")):
        for name in re.findall(r"@Case\b.*\n\s+static void (\w+)\(", source.read_text()):
            full = f"{source.stem}.{name}"
            if not ONLY or full in ONLY or source.stem in ONLY:
                yield full


def build_folder():
    """Beside the server's own build, where it outlives a run."""
    folder = Path(weft_bin()).resolve().parent
    return (folder.parent if folder.name in ("debug", "release") else folder) / "jdbc-tests"


def maven(*arguments, attempts=3):
    """Skips where something cannot be downloaded: that says nothing of weft."""
    command = ["mvn", "-B", "-q", "-ntp", "-f", str(PROJECT), f"-Dbuild.folder={build_folder()}", *arguments]
    for attempt in range(attempts):
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=240)
        except subprocess.TimeoutExpired:
            reason = "no answer in time"
            continue
        if done.returncode == 0:
            return
        output = done.stdout + done.stderr
        if "COMPILATION" in output:
            pytest.fail(output[-10_000:])
        found = re.search(r"(Could not .*?)(?: -> |\n|$)", output)
        reason = found[1] if found else output[-1000:]
        if "Could not find artifact" in reason:
            # That is an answer; others are tried again.
            break
        time.sleep(2 * attempt)
    missing = f"mvn {' '.join(arguments)}: {reason}"
    # Shown with the results, where reasons for skipping may not be.
    warnings.warn(f"no JDBC tests: {missing}", stacklevel=1)
    pytest.skip(missing)


@pytest.fixture(scope="session")
def classes():
    for program in ("java", "mvn"):
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed")
    folder = build_folder() / "classes"
    newest = max(path.stat().st_mtime for path in PROJECT.rglob("*") if path.is_file())
    done = folder / "weft" / "Main.class"
    if not done.exists() or done.stat().st_mtime < newest:
        shutil.rmtree(folder, ignore_errors=True)
        maven("compile")
    return folder


@pytest.fixture(scope="session", params=VERSIONS)
def driver(request, classes):
    jar = build_folder() / "drivers" / f"flight-sql-jdbc-driver-{request.param}.jar"
    if not jar.exists():
        # -U: an earlier "not found" is not taken for an answer.
        maven("-U", "dependency:copy@driver", f"-Ddriver.version={request.param}")
    return jar


def openssl(folder, *arguments):
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)


def write_certificates(folder):
    """A CA of our own as `ca.pem` and `ca.p12`, and what it signed as `server.pem`, `server.key`."""
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    openssl(folder, "req", "-x509", *curve, "-days", "2", "-subj", "/CN=weft test CA", "-keyout", "ca.key", "-out", "ca.pem")
    openssl(folder, "req", *curve, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
    openssl(
        folder, "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
        "-extfile", "names", "-out", "server.pem",
    )
    subprocess.run(
        ["keytool", "-importcert", "-noprompt", "-alias", "ca", "-file", "ca.pem", "-keystore", "ca.p12", "-storepass", "changeit"],
        cwd=folder, check=True, capture_output=True,
    )


def write_expected(path):
    """What is to come of all_types.py's tables: a line a cell, of table, column, label and JSON, with tabs between."""
    lines = []
    for name in all_types.TABLES:
        document = all_types.as_json(name)
        columns = [column["name"] for column in document["columns"]]
        for row in document["rows"]:
            for column, cell in zip(columns, row):
                text = json.dumps(cell, ensure_ascii=False, separators=(",", ":"))
                lines.append("\t".join([name, column, row[1], text]))
    path.write_text("\n".join(lines), encoding="utf-8")


def port(weft):
    return int(weft.url.rsplit(":", 1)[1])


@pytest.fixture(scope="session")
def settings(tmp_path_factory, classes):
    """The servers, and what tests/jdbc/ has to know of them."""
    folder = tmp_path_factory.mktemp("jdbc")
    write_expected(folder / "expected.tsv")
    servers = {"types": Weft(all_types.write(folder / "types")), "shop": Weft(jdbc_mesh.write(folder / "shop"))}
    known = {
        "expected": folder / "expected.tsv",
        "shop.token": jdbc_mesh.TOKEN,
        "hidden": " ".join(jdbc_mesh.HIDDEN),
    }
    if shutil.which("openssl"):
        write_certificates(folder)
        arguments = ["--tls-cert", str(folder / "server.pem"), "--tls-key", str(folder / "server.key")]
        servers["tls"] = Weft(jdbc_mesh.write(folder / "tls"), *arguments)
        known |= {"tls.ca": folder / "ca.pem", "tls.store": folder / "ca.p12"}
    else:
        known["tls.port.skip"] = "needs openssl to make a certificate"
    provider = None
    try:
        provider = OpenIdProvider()
    except Unavailable as error:
        known["oidc.port.skip"] = str(error)
    else:
        manifest = {
            "issuer": provider.issuer,
            "audience": "weft",
            "groupsClaim": "groups",
            "attributes": {"region": "https://acme.example/region"},
        }
        servers["oidc"] = Weft(jdbc_mesh.write(folder / "oidc", oidc=manifest))
        known["oidc.issuer"] = provider.issuer
    for name, server in servers.items():
        known |= {f"{name}.port": port(server), f"{name}.pid": server.process.pid}
    path = folder / "settings.properties"
    path.write_text("".join(f"{name}={value}\n" for name, value in known.items()))
    yield path
    if provider:
        provider.stop()
    for server in servers.values():
        assert server.stop() == 0, "".join(server.log)


@pytest.fixture(scope="session")
def outcomes(driver, classes, settings):
    """{case: what was said of it} for a version of the driver."""
    command = [
        "java",
        "--add-opens=java.base/java.nio=ALL-UNNAMED",
        f"-XX:ErrorFile={build_folder()}/jvm-error-%p.log",
        "-Xmx1g",
        # Not UTC, so that what the driver shifts by a zone shows.
        "-Duser.timezone=America/New_York",
        "-cp",
        f"{classes}{os.pathsep}{driver}",
        "weft.Main",
        str(settings),
        *ONLY,
    ]
    log = build_folder() / f"{driver.stem}.log"
    with log.open("w") as stderr:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, encoding="utf-8", timeout=600)
    said = {}
    for line in done.stdout.splitlines():
        found = re.fullmatch(r"(ok|skip|FAIL) ([\w.]+)(?:: (.*))?", line)
        if found:
            said[found[2]] = (found[1], found[3])
    return said, log, done.returncode


@pytest.mark.parametrize("case", list(cases()))
def test_jdbc(outcomes, case):
    said, log, code = outcomes
    outcome, reason = said.get(case, ("FAIL", f"it was not run; the exit code is {code}"))
    if outcome == "skip":
        pytest.skip(reason)
    if outcome == "FAIL":
        stack = log.read_text().partition(f"== {case}\n")[2].partition("\n==")[0]
        pytest.fail(f"{reason.replace(' ⏎ ', chr(10))}\n{stack[:4000]}\nall of it: {log}", pytrace=False)

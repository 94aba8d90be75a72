"""A running `weft serve`, and connections to it.

Needs no more than the ADBC driver, so that old drivers' own environments can use it too.
"""

import os
import re
import signal
import subprocess
import threading
import time
from pathlib import Path

import adbc_driver_flightsql.dbapi as flightsql
import pytest

READY = re.compile(r"^weft is ready on (grpc(?:\+tls)?://\S+)$")


def weft_bin():
    path = os.environ.get("WEFT_BIN")
    if not path or not Path(path).is_file():
        pytest.exit("WEFT_BIN names no built binary: run `make test-python`", returncode=2)
    return path


class Weft:
    """A running `weft serve`."""

    def __init__(self, mesh, *arguments, env=None):
        self.mesh = Path(mesh)
        self.process = subprocess.Popen(
            [weft_bin(), "serve", "--mesh", str(mesh), "--listen", "127.0.0.1:0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **(env or {})},
        )
        self.log = []
        threading.Thread(target=self._keep_log, daemon=True).start()
        line = self.process.stdout.readline().rstrip("\n")
        ready = READY.match(line)
        if not ready:
            self.process.wait(10)
            time.sleep(0.2)
            raise RuntimeError(f"not ready: {line!r}\n{''.join(self.log)}")
        self.url = ready[1]

    def _keep_log(self):
        for line in self.process.stderr:
            self.log.append(line)

    def connect(self, user, password=None, **options):
        return flightsql.connect(
            self.url,
            db_kwargs={"username": user, "password": password or f"{user}-demo", **options},
            autocommit=True,
        )

    def rows(self, user, sql, **options):
        with self.connect(user, **options) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchall()

    def stop(self, signal_number=signal.SIGTERM):
        """Returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            return self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def wait_until(self, condition, seconds=15):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError("it did not happen in time:\n" + "".join(self.log[-20:]))
            time.sleep(0.1)

"""A running OpenID provider: tests/oidc/server.mjs, which tells what it can do."""

import base64
import json
import shutil
import subprocess
import urllib.request
from pathlib import Path

from weft_process import weft_bin

PROJECT = Path(__file__).parents[1] / "oidc"


class Unavailable(Exception):
    """Why there can be none here."""


def installed():
    """A copy of the project with what it needs, beside the server's own build, where it outlives a run."""
    for program in ("node", "npm"):
        if not shutil.which(program):
            raise Unavailable(f"{program} is not installed")
    folder = Path(weft_bin()).resolve().parent
    folder = (folder.parent if folder.name in ("debug", "release") else folder) / "oidc-tests"
    folder.mkdir(exist_ok=True)
    lock = (PROJECT / "package-lock.json").read_text()
    for name in ("package.json", "package-lock.json", "server.mjs"):
        shutil.copy(PROJECT / name, folder / name)
    done = folder / "node_modules" / ".installed-lock.json"
    if not done.exists() or done.read_text() != lock:
        for _ in range(3):
            npm = subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=folder, capture_output=True, text=True, timeout=240)
            if npm.returncode == 0:
                done.write_text(lock)
                break
        else:
            raise Unavailable(f"npm ci: {npm.stderr[-1000:]}")
    return folder


class OpenIdProvider:
    """`arguments`: those of server.mjs; `clients`: what its --clients file holds."""

    def __init__(self, *arguments, clients=None):
        folder = installed()
        if clients is not None:
            path = folder / f"clients-{id(self)}.json"
            path.write_text(json.dumps(clients))
            arguments = (*arguments, "--clients", str(path))
        # It ends with its standard input: whatever becomes of the tests, nothing is left over.
        self.process = subprocess.Popen(
            ["node", str(folder / "server.mjs"), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        said, _, self.issuer = self.process.stdout.readline().strip().partition(" ")
        if said != "ready":
            raise RuntimeError(f"server.mjs is not ready; its exit code is {self.process.wait(10)}")
        if clients is not None:
            path.unlink()

    def token(self, client="dashboards", secret="dashboards-secret", **more):
        """An access token by client credentials; `more`: further parameters, such as `resource`."""
        form = "&".join(f"{name}={value}" for name, value in {"grant_type": "client_credentials", **more}.items())
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        request = urllib.request.Request(f"{self.issuer}/token", form.encode(), {"Authorization": f"Basic {basic}"})
        with urllib.request.urlopen(request, timeout=10) as response:
            return json.load(response)["access_token"]

    def admin(self, what, **body):
        """POST /admin/`what`, or GET where there is no body."""
        data = json.dumps(body).encode() if body else None
        with urllib.request.urlopen(urllib.request.Request(f"{self.issuer}/admin/{what}", data), timeout=10) as response:
            return json.load(response)

    def any_token(self, **asked):
        """Any token at all, right or wrong: see /admin/token."""
        return self.admin("token", **{"lifetime": 60, **asked})["access_token"]

    def stop(self):
        self.process.stdin.close()
        self.process.wait(10)

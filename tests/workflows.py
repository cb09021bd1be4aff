"""The forges' workflows as data, and what stands for the machine and for the forge that run them."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.samples import ROOT

GITHUB, FORGEJO = (ROOT / folder / "workflows" / "smarteros.yml" for folder in (".github", ".forgejo"))
BOTH = pytest.mark.parametrize("path", [GITHUB, FORGEJO], ids=["github", "forgejo"])

Step = dict[str, Any]


def workflow(path: Path) -> dict[Any, Any]:
    """The file, parsed."""
    made: dict[Any, Any] = yaml.safe_load(path.read_text())
    return made


def jobs(path: Path) -> dict[str, dict[str, Any]]:
    """Name → job."""
    found: dict[str, dict[str, Any]] = workflow(path)["jobs"]
    return found


def steps(path: Path) -> Iterator[tuple[str, Step]]:
    """Each with its job's name."""
    for name, job in jobs(path).items():
        yield from ((name, step) for step in job["steps"])


# Beneath the Makefile and .ci there is a pyinfra that says how it was called, and plans as it is told.
PYINFRA = """#!/bin/sh
{ echo "$@"; ssh-add -l | cut -d' ' -f4; echo "key: ${SSH_KEY:-none}"; echo "vault: $VAULT_ROLE_ID $VAULT_SECRET_ID"; echo "YES=$YES"; } >>calls
case "$*" in
*plan.run) printf '\\033[32m%s\\033[0m\\n' "--> the plan, with s3cret-id" >&2; cat plan.json; exit "$(cat code)" ;;
esac
"""


class Forge(BaseHTTPRequestHandler):
    """Comments of pull request 7, as GitHub's and Forgejo's API has them."""

    comments: list[dict[str, Any]]

    def _answer(self, status: int, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _wrong(self, path: str) -> bool:
        if self.headers["Authorization"] != "token t0ken":
            self._answer(401, {})
        elif self.path.partition("?")[0] != path:
            self._answer(404, {})
        else:
            return False
        return True

    def do_GET(self) -> None:
        """Fifty a page."""
        if not self._wrong("/repos/ann/stack/issues/7/comments"):
            page = int(re.findall(r"[?&]page=(\d+)", self.path)[0])
            self._answer(200, self.comments[(page - 1) * 50 : page * 50])

    def do_POST(self) -> None:
        """A new one is the token's own."""
        if not self._wrong("/repos/ann/stack/issues/7/comments"):
            self.comments.append(
                {"id": len(self.comments), "user": {"login": "github-actions[bot]"}, **self._read()}
            )
            self._answer(201, self.comments[-1])

    def do_PATCH(self) -> None:
        """In its place."""
        number = int(self.path.rpartition("/")[2])
        if not self._wrong(f"/repos/ann/stack/issues/comments/{number}"):
            self.comments[number] |= self._read()
            self._answer(200, self.comments[number])

    def _read(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert set(body) == {"body"}
        return body

    def log_message(self, *_: Any) -> None:
        """Nothing."""


class Runner:
    """A job's machine: a clone with our Makefile and .ci, and what the forge gives each step."""

    def __init__(self, root: Path, api: str) -> None:
        self.folder, self.home = root / "clone", root / "home"
        self.home.mkdir()
        (self.folder / ".venv" / "bin").mkdir(parents=True)
        shutil.copytree(ROOT / ".ci", self.folder / ".ci")
        for name in ("Makefile", "requirements.lock"):
            shutil.copy(ROOT / name, self.folder)
        (self.folder / ".venv" / "ready").touch()
        self.write(".venv/bin/pyinfra", PYINFRA).chmod(0o755)
        self.write("inventories/prod.py", "")
        self.write("inventories/prod.known_hosts", "203.0.113.7 ssh-ed25519 AAAA\n")
        self.planned(2, "Services | n8n")
        subprocess.run(["ssh-keygen", "-qt", "ed25519", "-N", "", "-C", "", "-f", root / "key"], check=True)
        self.values = {
            "secrets.SSH_KEY": (root / "key").read_text().strip(),
            "secrets.VAULT_ROLE_ID": "r0le",
            "secrets.VAULT_SECRET_ID": "s3cret-id",
            "github.token": "t0ken",
            "github.event.pull_request.number": "7",
            "vars.PRODUCTION": "inventories/prod.py",
        }
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "GITHUB_API_URL": api,
            "GITHUB_REPOSITORY": "ann/stack",
            "GITHUB_STEP_SUMMARY": str(root / "summary.md"),
            "GITHUB_SERVER_URL": f"file://{root}/forge",
            "GITHUB_REF": "refs/heads/main",
        }

    def write(self, name: str, text: str) -> Path:
        """A file of the clone."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def planned(self, code: int, *names: str) -> None:
        """What the plan finds."""
        found = {"hosts": {"smarteros-1": {"steps": [{"name": name, "says": []} for name in names]}}}
        self.write("plan.json", json.dumps(found))
        self.write("code", str(code))

    def run(self, path: Path, job: str, name: str, **more: str) -> subprocess.CompletedProcess[str]:
        """A step by its name, with the variables and secrets that it names and no others."""
        step = next(one for one in jobs(path)[job]["steps"] if one.get("name") == name)
        given = {**jobs(path)[job].get("env", {}), **step.get("env", {})}
        env = {key: self._value(value) for key, value in given.items()}
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
            cwd=self.folder,
            env=self.environment | env | more,
            capture_output=True,
            text=True,
            check=False,
        )

    def _value(self, text: str) -> str:
        expression = re.fullmatch(r"\$\{\{ (.*) \}\}", text)
        return self.values[expression[1].replace("secrets.PRODUCTION_", "secrets.")] if expression else text

    def calls(self) -> list[str]:
        """What pyinfra has noted."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

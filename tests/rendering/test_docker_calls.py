"""Docker calls: what the host, the login or root has set reaches neither our facts nor our operations nor Compose."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tasks.rendering import docker_calls
from tests.samples import ROOT

DEPLOY = """
from pyinfra.api import FactBase, StringCommand
from tasks.run import known, operation

class Seen(FactBase):
    def command(self):
        return "env | grep -E '^(DOCKER|BUILDX|OWN)_' | sort >{folder}/fact"

@operation
def look():
    known(Seen)
    yield StringCommand("env | grep -E '^(DOCKER|BUILDX|OWN)_' | sort >{folder}/operation")

look(name="Look")
"""
HOSTILE = {
    "DOCKER_HOST": "tcp://192.0.2.1:2376",
    "DOCKER_CONTEXT": "prod",
    "DOCKER_DEFAULT_PLATFORM": "linux/arm64",
}


def test_facts_and_operations_talk_to_this_hosts_docker_whatever_is_set(tmp_path: Path) -> None:
    (tmp_path / "deploy.py").write_text(DEPLOY.format(folder=tmp_path))
    (tmp_path / "inventory.py").write_text('hosts = [("@local", {"_env": {"OWN_SETTING": "kept"}})]\n')
    done = subprocess.run(
        [
            str(Path(sys.executable).with_name("pyinfra")),
            *(
                "-y",
                "--data",
                "acme_email=a@b.cl",
                str(tmp_path / "inventory.py"),
                str(tmp_path / "deploy.py"),
            ),
        ],
        cwd=ROOT,
        env={**os.environ, **HOSTILE, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    expected = [
        "BUILDX_BUILDER=default",
        "DOCKER_API_VERSION=",
        "DOCKER_BUILDKIT=",
        "DOCKER_CONTENT_TRUST=",
        "DOCKER_CONTEXT=",
        "DOCKER_CUSTOM_HEADERS=",
        "DOCKER_DEFAULT_PLATFORM=",
        "DOCKER_HOST=unix:///var/run/docker.sock",
        "DOCKER_TLS=",
        "DOCKER_TLS_VERIFY=",
        "OWN_SETTING=kept",
    ]
    assert (tmp_path / "fact").read_text().splitlines() == expected
    assert (tmp_path / "operation").read_text().splitlines() == expected


def test_no_shell_of_ours_calls_compose_in_another_way() -> None:
    """A message may name the command that an operator is to run."""
    calls = [
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for folder in ("tasks", "templates", "files")
        for path in sorted((ROOT / folder).rglob("*"))
        if path.is_file()
        and path.suffix in (".py", ".j2", ".jinja", ".sh", "")
        and "__pycache__" not in path.parts
        for line in path.read_text().splitlines()
        if "docker compose -" in re.sub(r"[`(]docker compose|docker compose -p (old-)?\{", "", line)
    ]
    assert calls == [
        'tasks/rendering/docker_calls.py: return f"{clean} docker compose -f {path} --project-name {quote(service)} --env-file /dev/null"'
    ]


def test_composes_call_names_all_that_its_environment_could_say() -> None:
    assert docker_calls.compose("n8n") == (
        'env -i PATH="$PATH" HOME=/root DOCKER_HOST=unix:///var/run/docker.sock'
        " DOCKER_CONFIG=/run/smarteros/no-docker-config COMPOSE_IGNORE_ORPHANS=1"
        " docker compose -f /root/dkcompose/n8n-deploy.yaml --project-name n8n --env-file /dev/null"
    )

"""What the host is asked about images: its Docker and its registries are real servers, and so are their logins."""

import ast
import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.facts.registries import PROGRAM, Registered, RegistriesFact, TagsFact
from tests.registries import Daemon, Registry, ask, serving

DIGEST = f"sha256:{'1' * 64}"
TAGS = ["16.1-alpine", "16.2-alpine", "16.3-alpine", "17.0-alpine", "latest"]


@pytest.fixture
def registry() -> Iterator[Registry]:
    """With one repository, for everybody."""
    found = Registry({"acme/crm": TAGS})
    with serving(found) as address:
        found.address = address
        yield found


def told(tmp_path: Path, daemon: Daemon, *images: str, tags: bool = True) -> dict[str, Registered]:
    with serving(daemon, tmp_path / "docker.sock") as socket:
        return ask(socket, list(images), tmp_path, tags=tags)


def test_digest_and_all_pages_of_tags(registry: Registry, tmp_path: Path) -> None:
    image = f"{registry.address}/acme/crm:16.1-alpine"
    daemon = Daemon({image: DIGEST})
    assert told(tmp_path, daemon, image) == {image: Registered(DIGEST, tags=tuple(TAGS))}
    # One token for all pages.
    assert registry.asked == ["/v2/acme/crm/tags/list", "/token", *["/v2/acme/crm/tags/list Bearer"] * 3]
    assert daemon.logins == {}


def test_without_tags_no_registry_is_asked_by_us(registry: Registry, tmp_path: Path) -> None:
    image = f"{registry.address}/acme/crm:16.1-alpine"
    assert told(tmp_path, Daemon({image: DIGEST}), image, tags=False) == {image: Registered(DIGEST)}
    assert registry.asked == []


def test_docker_hub_is_asked_through_dockers_mirror(registry: Registry, tmp_path: Path) -> None:
    registry.tags = {"library/redis": ["7.4.11-alpine"]}
    info = {"RegistryConfig": {"IndexConfigs": {"docker.io": {"Mirrors": [f"http://{registry.address}/"]}}}}
    found = told(tmp_path, Daemon({"redis:7.4.11-alpine": DIGEST}, info), "redis:7.4.11-alpine")
    assert found == {"redis:7.4.11-alpine": Registered(DIGEST, tags=("7.4.11-alpine",))}


def test_what_is_not_known_is_said_of_each_image_by_itself(registry: Registry, tmp_path: Path) -> None:
    good, bad = f"{registry.address}/acme/crm:16.1-alpine", f"{registry.address}/acme/gone:1"
    silent = "127.0.0.1:1/acme/crm:1"
    found = told(tmp_path, Daemon({good: DIGEST}), good, bad, silent)
    assert found[good] == Registered(DIGEST, tags=tuple(TAGS))
    assert found[bad] == Registered(
        wrong=f"pull access denied for {bad}", unlisted=f"{registry.address} answers HTTP 404"
    )
    assert found[silent].wrong == f"pull access denied for {silent}"
    assert found[silent].unlisted.startswith("127.0.0.1:1 does not answer: ")


@pytest.mark.parametrize("how", ["auths", "helper", "store"])
def test_the_login_of_the_host_is_used(how: str, registry: Registry, tmp_path: Path) -> None:
    registry.login = "ops:se:cret"
    image = f"{registry.address}/acme/crm:16.1-alpine"
    auth = base64.b64encode(registry.login.encode()).decode()
    helper = tmp_path / "docker-credential-safe"
    said = json.dumps({"ServerURL": registry.address, "Username": "ops", "Secret": "se:cret"})
    helper.write_text(
        f"#!/bin/sh\nread server\n[ \"$1 $server\" = 'get {registry.address}' ] && echo '{said}'\n"
    )
    helper.chmod(0o755)
    configs: dict[str, dict[str, Any]] = {
        "auths": {"auths": {f"https://{registry.address}/v1/": {"auth": auth}}},
        "helper": {"credHelpers": {registry.address: "safe"}, "auths": {registry.address: {}}},
        "store": {"credsStore": "safe"},
    }
    (tmp_path / ".docker").mkdir()
    (tmp_path / ".docker/config.json").write_text(json.dumps(configs[how]))
    daemon = Daemon({image: DIGEST})
    assert told(tmp_path, daemon, image) == {image: Registered(DIGEST, tags=tuple(TAGS))}
    assert daemon.logins == {image: {"username": "ops", "password": "se:cret"}}


REPOSITORY = "there is no such repository, or no access to it ({}): a private one wants docker login, as root, on the host"
SILENT = "its registry does not answer ({}): run again once it does"


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ("manifest unknown: manifest unknown", "there is no such tag"),
        ("manifest for redis:9 not found: manifest unknown: manifest unknown", "there is no such tag"),
        ("docker.io/library/redis:9: not found", "there is no such tag"),
        ("pull access denied for a/b, repository does not exist or may require 'docker login'", REPOSITORY),
        ("errors:\ndenied: requested access to the resource is denied\nunauthorized: incorrect", REPOSITORY),
        ("name unknown: repository name not known to registry", REPOSITORY),
        ("Get https://r.example/v2/: dial tcp: lookup r.example: no such host", SILENT),
        ("net/http: request canceled (Client.Timeout exceeded while awaiting headers)", SILENT),
        ("Docker does not answer: timed out", "{}"),
        ("toomanyrequests: You have reached your pull rate limit", "{}"),
        ("", "nothing was said"),
    ],
)
def test_why_a_tag_is_not_known_is_told_apart(wrong: str, why: str) -> None:
    assert Registered(wrong=wrong).why == why.format(wrong)
    assert Registered(wrong=wrong).absent == (why == "there is no such tag")


class Odd(Registry):
    """What it lists is no list."""

    def answer(self, handler: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON."""
        return 200, {}, {"tags": len(handler.path)}


def test_a_list_that_is_none_is_said(tmp_path: Path) -> None:
    with serving(Odd({})) as address:
        image = f"{address}/acme/crm:16.1-alpine"
        found = told(tmp_path, Daemon({image: DIGEST}), image)
    assert found == {image: Registered(DIGEST, unlisted=f"{address} lists no tags")}


def test_a_registry_that_wants_a_login_we_have_not_is_said(registry: Registry, tmp_path: Path) -> None:
    registry.login = "ops:secret"
    image = f"{registry.address}/acme/crm:16.1-alpine"
    found = told(tmp_path, Daemon({image: DIGEST}), image)
    assert found == {image: Registered(DIGEST, unlisted=f"{registry.address} answers HTTP 401")}


def test_a_docker_that_is_silent_ends_the_program_with_its_reason(tmp_path: Path) -> None:
    wanted = json.dumps({"images": ["redis:7"], "socket": str(tmp_path / "nothing.sock"), "tags": False})
    done = subprocess.run(
        [sys.executable, "-I", "-c", PROGRAM.read_text(), wanted], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Docker does not answer: ")
    assert "Traceback" not in done.stderr


def test_the_facts_command_is_one_line_of_json_for_each_image(tmp_path: Path) -> None:
    for fact, tags in ((RegistriesFact(), "false"), (TagsFact(), "true")):
        command = fact.command("redis:7", "it's/odd:1")
        subprocess.run(["sh", "-n", "-c", command], check=True)
        assert f'"tags": {tags}' in command
    image = "it's/odd:1"
    with serving(Daemon({image: DIGEST}), tmp_path / "docker.sock") as socket:
        command = RegistriesFact().command(image).replace("/var/run/docker.sock", socket)
        here = command.replace("command -v docker", "true").replace("python3 -I", f"{sys.executable} -I")
        done = subprocess.run(["sh", "-c", here], capture_output=True, text=True, check=True)
    assert RegistriesFact().process(done.stdout.splitlines()) == {image: Registered(DIGEST)}


@pytest.mark.parametrize(
    "line",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"image": "redis:7", "digest": "sha256:12"}',
        '{"image": "redis:7", "tags": 7}',
    ],
)
def test_what_is_no_answer_is_refused(line: str) -> None:
    with pytest.raises(FactProcessError, match=r"^cannot read what registries say: "):
        RegistriesFact().process([line])


def test_what_a_registry_says_moves_no_cursor_and_is_no_tag_by_itself() -> None:
    said = {
        "image": "redis:7",
        "wrong": "gone\x1b[2J\nbad",
        "tags": ["7.4.12", "7.4.13\n", "\x1b[2J", "-1", None],
    }
    found = RegistriesFact().process([json.dumps(said)])["redis:7"]
    assert found == Registered(wrong="gone\\x1b[2J\\nbad", tags=("7.4.12", "None"))


def test_the_program_is_read_by_the_oldest_python_of_our_hosts() -> None:
    ast.parse(PROGRAM.read_text(), feature_version=(3, 10))  # Ubuntu 22.04's

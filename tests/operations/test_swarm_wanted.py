"""What tasks are made from: an image that is the same on all nodes, what it starts, files and secrets."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tasks.model.catalogue import Service
from tasks.operations.swarm_rolling import Wanted
from tasks.operations.swarm_wanted import Carried, wanted
from tasks.rendering import render
from tasks.run import Refused
from tasks.services import load
from tests import swarm_engine
from tests.fake import fake
from tests.samples import stack

LOADED = {service.name: service for service in load(stack().with_nodes(("203.0.113.1",), 2))}
MCP, VALIDATOR = LOADED["mcp-registry"], LOADED["vault-auth-validator"]
PULLED = "i|caddy|2.11.7-alpine|sha256:abcd"
BUILT = f"i|{render.image(VALIDATOR.main).replace(':', '|')}|<none>"
STARTS = {"Entrypoint": None, "Cmd": ["python", "-m", "vault_auth_validator"]}


@pytest.fixture(autouse=True)
def _docker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The host's, which has built the validator."""
    shutil.copy(swarm_engine.__file__, tmp_path / "engine.py")
    state = {**swarm_engine.EMPTY, "images": {render.image(VALIDATOR.main): STARTS}}
    (tmp_path / "swarm.json").write_text(json.dumps(state))
    program = tmp_path / "docker"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {tmp_path}/engine.py "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")


@contextmanager
def having(*images: str) -> Iterator[None]:
    with fake({"docker image ls": [*images]}):
        yield


def only(service: Service, carried: Carried) -> Wanted:
    found = wanted(service, carried)
    assert found
    (one,) = found
    return one


def test_nothing_is_known_before_the_image_is_there() -> None:
    with having(PULLED):
        assert wanted(VALIDATOR, Carried("0123456789ab", "x")) is None
    with having(BUILT):
        assert wanted(MCP, Carried()) is None


def test_a_pulled_image_is_the_same_on_all_nodes_and_a_built_one_has_a_name_of_nobodys() -> None:
    with having(PULLED, BUILT):
        mcp, validator = only(MCP, Carried()), only(VALIDATOR, Carried("0123456789ab", "x"))
    assert mcp.spec["TaskTemplate"]["ContainerSpec"]["Image"] == "caddy:2.11.7-alpine@sha256:abcd"
    assert validator.spec["TaskTemplate"]["ContainerSpec"]["Image"] == render.image(VALIDATOR.main)
    assert render.image(VALIDATOR.main).startswith("smarteros.invalid/")


def test_they_bring_their_files_and_secrets_and_start_what_their_image_starts() -> None:
    with having(PULLED, BUILT):
        mcp, validator = only(MCP, Carried()), only(VALIDATOR, Carried("0123456789ab", "KEY='x'\n"))
    named = {item["ConfigName"] for item in mcp.spec["TaskTemplate"]["ContainerSpec"]["Configs"]}
    assert named == {*mcp.texts["configs"]}
    assert len(named) > 1
    assert (mcp.texts["secrets"], validator.texts["configs"]) == ({}, {})
    assert validator.texts["secrets"] == {"vault-auth-validator-0123456789ab": "KEY='x'\n"}
    assert validator.spec["TaskTemplate"]["ContainerSpec"]["Args"] == ["python", "-m", "vault_auth_validator"]
    # Two, and one that goes back: a start, three health checks that fail, an end, and what swarms wait.
    assert mcp.seconds == 3 * (60 + 105 + 10 + 20)


def test_an_image_that_says_nothing_of_what_it_starts_is_refused(tmp_path: Path) -> None:
    state = json.loads((tmp_path / "swarm.json").read_text())
    (tmp_path / "swarm.json").write_text(json.dumps({**state, "images": {}}))
    with (
        having(BUILT),
        pytest.raises(
            Refused, match="vault-auth-validator: nobody says what its image starts: see overrides"
        ),
    ):
        wanted(VALIDATOR, Carried("0123456789ab", "x"))


def test_a_variable_that_a_swarm_would_replace_is_refused() -> None:
    settings = stack(overrides={"mcp-registry": {"environment": {"A": "{{.Node.Hostname}}"}}})
    (mcp,) = [item for item in load(settings.with_nodes(("203.0.113.1",), 2)) if item.name == "mcp-registry"]
    with fake(
        {"docker image ls": [PULLED]},
        overrides={"mcp-registry": {"environment": {"A": "{{.Node.Hostname}}"}}},
    ):
        with pytest.raises(Refused) as raised:
            wanted(mcp, Carried())
        assert str(raised.value) == (
            "mcp-registry: environment.A has {{ in it, which a swarm replaces: see overrides.mcp-registry"
        )

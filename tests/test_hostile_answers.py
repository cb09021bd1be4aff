"""Hostile answers: whatever a host prints is a fact or a clear error, and nothing is changed on what is not known."""

import json
import os
import pkgutil
import subprocess
from collections.abc import Callable
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from pyinfra.api import DeployError, FactBase, StringCommand
from pyinfra.api.command import FunctionCommand
from pyinfra.api.exceptions import FactProcessError

from tasks import data, docker, facts, preflight, retire
from tasks.facts import (
    DockerFact,
    LinksFact,
    LoadedCaddyfileFact,
    MachineFact,
    PostgresFact,
    RedisFact,
    TakeoverFact,
    TreeFact,
)
from tasks.operations import containers, files, first_run, images, networks, origins, takeover
from tasks.operations import redis as redis_operations
from tasks.run import remember, services
from tests.facts.test_facts import DOCKER, MACHINE, SHA
from tests.fake import commands, fake

POSTGRES = [
    "server|"
    + json.dumps(
        {
            "roles": {
                "n8n": {
                    "password": "x",
                    "createdb": False,
                    "super": False,
                    "more": False,
                    "shut": False,
                    "member": [["a", "b"]],
                }
            },
            "databases": {
                "n8n": {
                    "owner": "n8n",
                    "public": False,
                    "shut": False,
                    "guests": ["odoo"],
                    "done": {"smarteros.x": "d s"},
                }
            },
        }
    ),
    'extensions|chatwoot|["plpgsql", "vector"]',
    "asked|n8n",
    "asked|odoo",
    "owned|n8n",
    "owned|odoo",
]
RECORD = {
    "keys": ["k1"],
    "environment": "env1",
    "entries": [
        {
            "id": "e1",
            "name": "crm",
            "description": "Kept by SmarterOS: x",
            "digest": SHA,
            "source": "raw",
            "kind": "docker-compose",
        }
    ],
    "cleanup": False,
    "origins": ["https://dokploy.smarterbot.store"],
    "host": "dokploy.smarterbot.cl",
    "offered": None,
}
# Fact → what a host that is well prints for it.
GOOD: dict[type[FactBase[Any]], list[str]] = {
    MachineFact: MACHINE,
    DockerFact: [
        *DOCKER,
        "m|/n8n|/proc/7/root|/etc/x|/opt/smarteros/current/x",
        f"s|{SHA}  /proc/7/root/etc/x/y",
        "c|/dokploy|dokploy|0123456789ab|s|running|healthy|0|dokploy/dokploy:v0.30|smarter-net ",
        "p|/dokploy|172.18.0.5",
        f"c|/redis|redis|{'0' * 12}|s|running|healthy|0|redis:7|smarter-net ",
    ],
    TreeFact: [
        "m|644|root:root||redis/redis.conf",
        f"s|{SHA}  ./redis/redis.conf",
        "l|/opt/x|/root/Caddyfile",
    ],
    PostgresFact: [*POSTGRES, f"dokploy|{json.dumps(RECORD)}"],
    RedisFact: [
        "follows|192.0.2.1|6379",
        "wanted|appendonly|yes",
        "named|chatwoot",
        "is|appendonly|no",
        "user|default on #other ~* &* +@all",
        "user|evil off",
    ],
    TakeoverFact: ["u|", "l|/etc/Caddyfile", "c||/traefik|traefik:v2.11|root|false|443 80 "],
    LinksFact: ["/root/Caddyfile"],
    LoadedCaddyfileFact: ["0123456789ab"],
}
EVERY_FACT = sorted(
    {
        found
        for module in pkgutil.iter_modules(facts.__path__)
        for found in vars(import_module(f"tasks.facts.{module.name}")).values()
        if isinstance(found, type)
        and issubclass(found, FactBase)
        and found.__module__.startswith("tasks.facts")
    },
    key=lambda found: found.__name__,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)
NOISE = st.text(max_size=20) | st.sampled_from(
    [
        "",
        "|",
        "c|",
        "m|",
        "{",
        "}",
        "null",
        "[]",
        "5",
        '"x"',
        "[" * 9999,
        "c||||||||",
        "\0",
        "\x1b[2J",
        "\ufeff",
    ]
)


def spoilt_json(draw: Any, value: Any) -> Any:
    """The value with one part of it, somewhere, made into something else, left out, or added."""
    if draw(st.integers(0, 3)) == 0:
        return draw(JSON)
    if isinstance(value, dict) and value:
        key = draw(st.sampled_from(sorted(value)))
        changed = {**value, key: spoilt_json(draw, value[key])}
        if draw(st.integers(0, 4)) == 0:
            changed.pop(key)
        return changed
    if isinstance(value, list) and value:
        return [spoilt_json(draw, value[0]), *value[1:]]
    return draw(JSON)


@st.composite
def spoilt(draw: Any, lines: list[str]) -> list[str]:
    """What a broken host would send: lines cut, doubled, left out, mixed, their fields and JSON replaced."""
    out = list(lines)
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(len(out) - 1, 0)))
        line = out[at] if out else ""
        way = draw(st.sampled_from(["cut", "drop", "double", "noise", "field", "json", "swap"]))
        if way == "cut":
            out[at : at + 1] = [line[: draw(st.integers(0, len(line)))]]
        elif way == "drop":
            out[at : at + 1] = []
        elif way == "double":
            out[at:at] = [line]
        elif way == "noise":
            out[at:at] = [draw(NOISE)]
        elif way == "field":
            mark = "|" if "|" in line else " "
            fields = line.split(mark)
            fields[draw(st.integers(0, len(fields) - 1))] = draw(NOISE)
            out[at : at + 1] = [mark.join(fields)]
        elif way == "json" and "{" in line:
            before, _, text = line.partition("{")
            found = json.loads(f"{{{text}") if _is_json(f"{{{text}") else {}
            out[at : at + 1] = [before + json.dumps(spoilt_json(draw, found))]
        else:
            out = draw(st.permutations(out))
    return out


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def read(fact: Any, lines: list[str]) -> Any:
    """The fact, or what it says against the lines."""
    try:
        return fact().process(lines)
    except FactProcessError as error:
        return error


@pytest.mark.parametrize("fact", GOOD, ids=lambda fact: fact.__name__)
def test_what_a_host_that_is_well_prints_is_read(fact: Any) -> None:
    assert not isinstance(read(fact, GOOD[fact]), FactProcessError)


@pytest.mark.parametrize("fact", EVERY_FACT, ids=lambda fact: fact.__name__)
@given_settings(max_examples=120, deadline=None)
@given(pick=st.data())
def test_whatever_a_host_prints_is_a_fact_or_a_clear_error(fact: Any, pick: st.DataObject) -> None:
    lines = pick.draw(spoilt(GOOD.get(fact, MACHINE)) | st.lists(NOISE, max_size=4))
    assert read(fact, lines) is not None


@pytest.mark.parametrize("fact", EVERY_FACT, ids=lambda fact: fact.__name__)
@pytest.mark.parametrize("at", range(3))
def test_an_answer_nested_deeper_than_can_be_read_is_a_fact_or_a_clear_error(fact: Any, at: int) -> None:
    assert read(fact, [*GOOD.get(fact, MACHINE)[:at], "[" * 100_000]) is not None


@pytest.mark.parametrize(
    "line", [line for kind in "cniemrsxvuaplgb" for line in (kind, f"{kind}|", f"{kind}|a")]
)
def test_a_line_of_dockers_that_is_cut_short_is_a_fact_or_a_clear_error(line: str) -> None:
    assert read(DockerFact, [line]) is not None


def applied() -> dict[str, Callable[[], list[Any]]]:
    """Every operation that reads what a host prints, on the current host."""
    stored = {name: "aZ09" * 12 for each in services() for name in [item.name for item in each.secrets]}
    for service in services():
        remember(("secrets", service.name), partial(tuple, ({**stored}, 1)))
    remember(("secrets", "smarteros"), partial(tuple, ({"DIGEST_KEY": "00" * 32}, 1)))
    redis = next(item for item in services() if item.name == "redis")
    proxy = next(item for item in services() if item.phase == "proxy")
    dokploy = next(item for item in services() if item.name == "dokploy")
    return {
        "preflight": partial(commands, preflight.checked),
        "docker": partial(commands, docker.engine),
        "networks": partial(commands, networks.bridges, ("smarter-net",)),
        "generation": partial(commands, files.generation, {"a": "b"}, "0", {"/root/Caddyfile": "/opt/x"}),
        "images": partial(commands, images.fetch, services()),
        "start": partial(commands, containers.start, redis, {"redis": "0" * 12}),
        "caddyfile": partial(commands, containers.caddyfile, proxy.main, "x"),
        "put back": partial(commands, redis_operations.put_back, redis, {"redis": "0" * 12}),
        "databases": partial(commands, data.databases),
        "first run": partial(commands, first_run.configured, services()[5]),
        "origins": partial(commands, origins.trusted, dokploy),
        "takeover": partial(commands, takeover.taken, proxy),
        "retired": partial(commands, retire.retired),
    }


# What stands in each fact's command and in no other's.
ASKED: dict[type[FactBase[Any]], str] = {
    MachineFact: "/etc/os-release",
    TakeoverFact: "takeover/unverified",
    PostgresFact: "pg_authid",
    RedisFact: "acl list",
    LinksFact: "-lname",
    LoadedCaddyfileFact: "127.0.0.1:2020",
    TreeFact: "-mindepth 1 ! -type d",
    DockerFact: "docker volume ls --format",
}
# Operation → the facts without which it cannot know what to do.
NEEDED: dict[str, list[type[FactBase[Any]]]] = {
    "docker": [MachineFact],
    "networks": [DockerFact],
    "generation": [TreeFact],
    "images": [DockerFact],
    "start": [DockerFact],
    "put back": [RedisFact],
    "databases": [PostgresFact],
    "first run": [PostgresFact],
    "origins": [PostgresFact],
    "takeover": [TakeoverFact],
    "retired": [DockerFact],
}
UNREADABLE: dict[type[FactBase[Any]], list[list[str]]] = {
    MachineFact: [["Welcome to the jungle"], MACHINE[3:], ["memory_kb lots", *MACHINE]],
    DockerFact: [["c|/redis|redis"], [*DOCKER, "Welcome"], ["n|smarter-net"], ["<html>"]],
    TreeFact: [["m|644"], ["l|only"]],
    PostgresFact: [
        ["server|null"],
        ['server|{"roles": {}}'],
        ['server|{"roles": {"n8n": 5}, "databases": {}}'],
        ["FATAL"],
        ["server"],
        [*POSTGRES, "Welcome"],
    ],
    RedisFact: [["Welcome"], ["follows|192.0.2.1"], ["is|appendonly"], ["master", "role|x"]],
    TakeoverFact: [["c||/traefik"], ["c||/t|t:1||false|many"]],
}


def wrong(found: list[Any]) -> list[str]:
    """Shell commands, and steps that do not fail, where nothing may be changed."""
    return [str(item) for item in found if isinstance(item, StringCommand | str)]


@pytest.mark.parametrize(
    ("operation", "fact", "lines"),
    [
        (operation, fact, lines)
        for operation, needed in NEEDED.items()
        for fact in needed
        for lines in UNREADABLE[fact]
    ],
)
def test_nothing_is_changed_on_what_cannot_be_read(
    operation: str, fact: type[FactBase[Any]], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    answers = {mark: GOOD[other] for other, mark in ASKED.items() if other is not fact}
    with fake({ASKED[fact]: lines, **answers}, takeover="traefik") as host:
        (step,) = applied()[operation]()
        assert isinstance(step, FunctionCommand)
        assert step.function(host.state, host) is False
    assert "Traceback" not in capsys.readouterr().err


def test_a_plan_on_what_cannot_be_read_is_refused() -> None:
    with fake({ASKED[DockerFact]: ["c|cut"]}, executing=False), pytest.raises(DeployError) as refused:
        applied()["images"]()
    assert str(refused.value).startswith("@fake/one: cannot read what docker prints: ")


@pytest.mark.parametrize("operation", ["preflight", *NEEDED, "caddyfile"])
@given_settings(max_examples=12, deadline=None)
@given(pick=st.data())
def test_no_operation_crashes_whatever_a_host_prints(operation: str, pick: st.DataObject) -> None:
    printed = {mark: pick.draw(spoilt(GOOD[fact]) | st.just(GOOD[fact])) for fact, mark in ASKED.items()}
    with fake(printed, takeover="traefik", executing=pick.draw(st.booleans())):
        try:
            found = applied()[operation]()
        except DeployError as error:
            found = [str(error)]
    assert isinstance(found, list)


def test_a_database_that_a_service_named_ends_no_quoting() -> None:
    """Odoo's role may make databases, and what it calls them is said by the superuser."""
    name = 'x"; ALTER ROLE odoo SUPERUSER; --'
    server = {
        "roles": {},
        "databases": {name: {"owner": "odoo", "public": True, "shut": False, "guests": None, "done": None}},
    }
    with fake({ASKED[PostgresFact]: [f"server|{json.dumps(server)}"]}):
        (command,) = applied()["databases"]()
    statements = command.connector_arguments["_stdin"].splitlines()
    assert [line for line in statements if "SUPERUSER; --" in line] == [
        'REVOKE ALL ON DATABASE "x""; ALTER ROLE odoo SUPERUSER; --" FROM PUBLIC;'
    ]


def test_a_name_that_is_no_text_cuts_no_answer_short(tmp_path: Path) -> None:
    """As bytes: pyinfra reads what a host prints as UTF-8, and nothing after what is not."""
    for name in (b"a\xff", "ü".encode(), b"zz"):
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_text("x")
    command = ["sh", "-c", TreeFact().command(str(tmp_path))]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    assert sorted(TreeFact().process(printed.decode().splitlines())) == ["a", "zz", "ü"]

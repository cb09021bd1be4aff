"""Hardening: what each container is let off, written out here a second time, and what the policy refuses."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from tasks import services as listed
from tasks.model import policy
from tasks.model.catalogue import Container, Volume
from tasks.model.policy import FILE_CAPABILITY, Undeclared
from tasks.rendering import render
from tasks.services import every, load
from tests.samples import HELPDESK, container, stack

CHOWN = {"CHOWN": "its entrypoint gives its folder to its user"}


def every_container(**changes: Any) -> list[Container]:
    return [item for service in load(stack(**changes)) for item in service.containers]


def test_each_exception_is_one_that_is_known_here_too() -> None:
    found = {item.name: sorted(policy.exceptions(item)) for item in every_container()}
    assert {name: exceptions for name, exceptions in found.items() if exceptions} == {
        "vault": ["capability IPC_LOCK", "port 127.0.0.1:8200:8200"],
        "chatwoot": ["user root"],
        "chatwoot-prepare": ["user root"],
        "chatwoot-sidekiq": ["user root"],
        "botpress": ["executable /tmp"],
        "mcp-registry-web": ["capability NET_BIND_SERVICE"],
        "n8n-files": ["capability CHOWN", "capability DAC_READ_SEARCH", "user root"],
        "dokploy": [
            "bind /etc/dokploy:/etc/dokploy",
            "bind /opt/smarteros:/opt/smarteros:ro",
            "bind /var/run/docker.sock:/var/run/docker.sock",
            "bind /vault/secrets:/vault/secrets:ro",
            "user root",
            "writable root",
        ],
        "caddy-proxy": [
            "capability NET_BIND_SERVICE",
            "port 127.0.0.1:3100:3100",
            "port 127.0.0.1:3200:3200",
            "port 127.0.0.1:5678:5678",
            "port 127.0.0.1:8069:8069",
            "port 443:443",
            "port 443:443/udp",
            "port 80:80",
            "user root",
        ],
    }


def test_openbao_needs_no_capability() -> None:
    (vault,) = [item for item in every_container(vault_engine="openbao") if item.name == "vault"]
    assert vault.cap_add == {}


def test_every_container_runs_as_the_user_that_is_known_here_too() -> None:
    users = {item.name: item.user for item in every_container() if not item.root}
    assert users == {
        "vault": "100",
        "postgres": "postgres",
        "redis": "redis",
        "botpress": "999",
        "n8n": "node",
        "odoo-init": "odoo",
        "odoo": "odoo",
        "smarteros-metabase": "2000:2000",
        "mcp-registry-web": "65534:65534",
        "vault-auth-validator": "10001:10001",
    }


def test_each_reason_is_a_sentence_of_its_own() -> None:
    reasons = [why for item in every_container() for why in policy.exceptions(item).values()]
    assert [why for why in reasons if "\n" in why or len(why) < 4] == []
    assert FILE_CAPABILITY in reasons


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    ({"user": "1000"}, []),
    ({"user": "1000", "cap_add": CHOWN}, []),
    ({"root": "the socket is root's"}, []),
    ({}, ["x: no user is named: name one, or say why it runs as root"]),
    ({"user": "root"}, ["x: the user root is root: say why in its place"]),
    ({"user": "0:0"}, ["x: the user 0:0 is root: say why in its place"]),
    ({"user": "1000", "root": "because"}, ["x: a reason for root, and yet the user 1000"]),
    ({"user": "1000", "cap_add": {"CHOWN": ""}}, ["x: capability CHOWN has no reason"]),
    ({"user": "1000", "binds": {"/etc:/etc": " "}}, ["x: bind /etc:/etc has no reason"]),
    ({"user": "1000", "ports": {"25:25": ""}}, ["x: port 25:25 has no reason"]),
    ({"user": "1000", "writable": " "}, ["x: writable root has no reason"]),
    ({"user": "1000", "executable": " "}, ["x: executable /tmp has no reason"]),
    ({"root": " "}, ["x: user root has no reason"]),
    (
        {"user": "1000", "extra": {"privileged": True, "pid": "host", "shm_size": "1g"}},
        ["x: extra may not hold pid", "x: extra may not hold privileged"],
    ),
    (
        {"user": "1000", "volumes": (Volume("/etc", "/etc"),)},
        ["x: the volume /etc is no name: a path of the host belongs into binds"],
    ),
]


@pytest.mark.parametrize(("changes", "lines"), REFUSED)
def test_an_exception_without_a_reason_and_a_reason_without_an_exception_are_refused(
    changes: dict[str, Any], lines: list[str]
) -> None:
    assert list(policy.problems(container("x", **changes))) == lines


def test_no_stack_is_made_of_services_that_break_the_policy(monkeypatch: pytest.MonkeyPatch) -> None:
    services = every()
    monkeypatch.setattr(
        listed,
        "every",
        lambda: {
            **services,
            "redis": lambda _: replace(HELPDESK, containers=(container("x"), container("y"))),
        },
    )
    with pytest.raises(Undeclared) as refused:
        load(stack())
    assert str(refused.value) == (
        "x: no user is named: name one, or say why it runs as root\n"
        "y: no user is named: name one, or say why it runs as root"
    )


def composed(item: Container) -> dict[str, Any]:
    service = replace(HELPDESK, name="n8n", containers=(item,))
    found: dict[str, Any] = yaml.safe_load(render.compose(stack(), service, {}))["services"][item.name]
    return found


def test_what_is_declared_is_what_compose_is_told() -> None:
    let_off = container(
        "x",
        cap_add={**CHOWN, "SETUID": "its entrypoint becomes its user"},
        binds={"/srv/x:/srv/x:ro": "it serves it"},
        ports={"127.0.0.1:99:99": "its operators"},
        root="until it has become its user",
        writable="its own package manager",
    )
    found = composed(let_off)
    assert (found["cap_add"], found["ports"]) == (["CHOWN", "SETUID"], ["127.0.0.1:99:99"])
    assert (found["volumes"], found["read_only"]) == (["/srv/x:/srv/x:ro"], False)
    assert found["user"] == "0"  # whatever its image says


def test_whatever_is_not_declared_is_closed() -> None:
    found = composed(container("x", user="1000"))
    kept = {key: found.get(key) for key in ("cap_add", "ports", "volumes", "user", "read_only", "init")}
    assert kept == {
        "cap_add": None,
        "ports": None,
        "volumes": None,
        "user": "1000",
        "read_only": True,
        "init": True,
    }


def test_a_tmpfs_holds_half_of_the_containers_memory_and_runs_nothing() -> None:
    found = composed(container("x", user="1000", tmpfs=("/tmp", "/run/x:uid=1000,mode=0700")))
    assert found["tmpfs"] == [
        "/tmp:noexec,nosuid,nodev,size=64m",
        "/run/x:uid=1000,mode=0700,noexec,nosuid,nodev,size=64m",
    ]


def test_what_holds_secrets_stays_out_of_the_swap() -> None:
    kept = {item.name for item in every_container() if not item.swaps}
    assert kept == {"vault"}
    (vault,) = [item for item in every_container() if item.name == "vault"]
    found = composed(vault)
    assert found["memswap_limit"] == found["mem_limit"] == "512m"
    assert "memswap_limit" not in composed(container("x", user="1000"))


def test_a_container_that_loads_code_from_its_temporary_folder_runs_it_there_alone() -> None:
    found = composed(
        container("x", user="1000", tmpfs=("/tmp", "/run/x"), executable="it unpacks its modules")
    )
    assert found["tmpfs"] == [
        "/tmp:exec,nosuid,nodev,size=64m",
        "/run/x:noexec,nosuid,nodev,size=64m",
    ]

"""An inventory's groups, as a run at one of its hosts sees them."""

from importlib import import_module
from typing import Any

import pytest
from pyinfra import context

from tasks.connection import grouped
from tasks.connection.said import Said
from tasks.operations import described, networks, nodes, shared
from tasks.rendering import render
from tasks.run import host, services, stack, tasked
from tests.fake import several

ADDRESSES: list[dict[str, Any]] = [{"node_address": f"10.0.0.{number}"} for number in (1, 2, 3)]
GROUPS = {"proxies": [0, 1], "data": [0], "apps": [2]}
BACKED: list[dict[str, Any]] = [
    {**each, "backup": {"endpoint": "https://s3.example.com", "bucket": "one"}} for each in ADDRESSES
]


def at(number: int, wanted: Any, *changes: dict[str, Any], **groups: list[int]) -> Any:
    """What is found at one of three nodes."""
    with several(*(changes or ADDRESSES), groups=groups or GROUPS) as first:
        target = first.state.inventory.get_host(f"@fake/{number}")
        with context.ctx_host.use(target):
            return wanted()


def test_hosts_that_no_group_says_anything_of_are_stacks_of_their_own() -> None:
    assert at(0, grouped.cluster, nodes=[0, 1, 2]) is None
    assert at(0, lambda: len(services()), nodes=[0, 1, 2]) == len(at(0, lambda: stack().services))
    assert at(0, grouped.cluster, {}, proxies=[0], data=[0]) is None
    assert at(0, lambda: (stack().peers, stack().proxies), nodes=[0, 1, 2]) == ((), ())


def test_groups_that_make_no_cluster_are_said_with_what_is_missing() -> None:
    with pytest.raises(Said, match=r"no cluster that can be deployed:\n    data: no host has that group"):
        at(0, grouped.cluster, proxies=[0, 1], apps=[2])


def names() -> list[str]:
    return [service.name for service in services()]


def test_a_proxy_runs_on_each_of_proxies_and_all_else_where_the_data_is() -> None:
    assert at(0, names) == at(0, names, nodes=[0, 1, 2])
    assert at(1, names) == ["caddy"]
    assert at(2, names) == []


def test_a_nodes_swarm_has_what_keeps_nothing_and_the_datas_node_looks_after_it() -> None:
    def wanted() -> tuple[set[str], set[str]]:
        return {item.name for item in tasked()}, {item.name for item in services() if item.nodes}

    spread = {"mcp-registry", "vault-auth-validator"}
    assert at(0, wanted) == (spread, spread)
    assert at(1, wanted) == (set(), set())
    assert at(2, wanted) == (spread, set())
    assert at(0, wanted, nodes=[0, 1, 2]) == (set(), set())
    alone = {"proxies": [0], "data": [0], "apps": [0], "monitoring": [1, 2]}
    assert at(0, wanted, **alone) == (spread, spread)
    assert at(1, wanted, **alone) == (set(), set())


def test_what_a_swarm_runs_is_in_no_file_of_a_node_but_what_it_is_built_from() -> None:
    images = at(2, lambda: described.tree()[render.TASKS_IMAGES]).splitlines()
    assert [name.partition(":")[0] for name in images] == [
        "caddy",
        "smarteros.invalid/smarteros/vault-auth-validator",
    ]
    assert at(1, lambda: render.TASKS_IMAGES in described.tree()) is False

    def validators() -> tuple[set[str], set[str]]:
        name = "vault-auth-validator"
        paths = {path for path in described.tree() if name in path or path.startswith("mcp-registry/")}
        return paths, {link for link in described.links() if name in link}

    context = {path for path in at(2, validators)[0] if path.startswith("build/vault-auth-validator/")}
    example = "env-templates/vault-auth-validator.env.example"
    assert "build/vault-auth-validator/Dockerfile" in context
    assert at(2, validators) == (context, set())
    assert at(1, validators) == (set(), set())
    assert at(0, validators) == ({*context, example}, {f"/root/{example}"})


def test_the_others_are_peers_of_a_node_and_all_know_where_proxies_are() -> None:
    assert at(0, lambda: stack().peers) == ("10.0.0.2", "10.0.0.3")
    mine = [{**ADDRESSES[0], "peers": ["192.0.2.1", "10.0.0.2"]}, *ADDRESSES[1:]]
    assert at(0, lambda: stack().peers, *mine) == ("192.0.2.1", "10.0.0.2", "10.0.0.3")
    assert at(2, lambda: stack().proxies) == ("10.0.0.1", "10.0.0.2")


def test_what_is_backed_up_is_the_data() -> None:
    assert at(0, lambda: stack().backup is not None, *BACKED)
    assert at(1, lambda: stack().backup, *BACKED) is None


def test_two_networks_are_all_nodes_and_the_others_each_ones_own() -> None:
    assert at(1, lambda: grouped.shared(stack())) == ("smarter-net", "tenants-net")
    assert at(1, lambda: grouped.own(stack())) == ()
    assert at(0, lambda: grouped.own(stack())) == ("dokploy-network", "local-net")
    assert "backup-net" in at(0, lambda: grouped.own(stack()), *BACKED)
    assert at(0, lambda: grouped.shared(stack()), nodes=[0, 1, 2]) == ()
    assert at(0, lambda: grouped.own(stack()), nodes=[0, 1, 2]) == stack_networks()


def stack_networks() -> tuple[str, ...]:
    return tuple(at(0, lambda: stack().bridges, nodes=[0, 1, 2]))


def test_nodes_have_their_domains_in_common_and_are_deployed_together() -> None:
    assert at(0, lambda: [*shared.refusals()]) == []

    def limited() -> list[str]:
        found = host()
        found.state.limit_hosts = [found]
        return [*shared.refusals(), *nodes.refusals(), *networks.refusals()]

    assert at(0, limited) == [
        "--limit: a cluster's nodes are deployed together, and @fake/1, @fake/2 would be left out: leave --limit away",
    ]


COMMANDS = ("backup", "backups", "bucket", "credentials", "drill", "give_secrets", "restore", "restore_undo", "rotate", "secret", "test_mail", "token")  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_what_is_about_services_and_data_is_done_where_they_are(command: str) -> None:
    """Else each node would say that it has none."""
    run = import_module(f"tasks.commands.{command}").run
    assert at(1, run) is None
    assert at(1, grouped.elsewhere)
    assert not at(0, grouped.elsewhere)
    assert not at(1, grouped.elsewhere, nodes=[0, 1, 2])


@pytest.mark.parametrize("command", ["rollback", "update_on"])
def test_what_is_one_hosts_alone_is_refused(command: str) -> None:
    with pytest.raises(Said):
        at(0, import_module(f"tasks.commands.{command}").run)

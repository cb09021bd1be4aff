"""What a cluster's node runs has a network of its own, and is taken into the common ones once it is well."""

from tasks.services import load
from tests.samples import stack

NODES = ("203.0.113.1", "203.0.113.2")


def containers(proxies: tuple[str, ...]) -> dict[str, tuple[tuple[str, ...], tuple[str, ...]]]:
    """Container → its networks, and those that it comes into later."""
    services = load(stack().with_nodes(proxies))
    return {item.name: (item.networks, item.shared) for service in services for item in service.containers}


def test_one_hosts_containers_are_in_their_networks_from_the_beginning() -> None:
    assert {shared for _, shared in containers(()).values()} == {()}
    assert not any("local-net" in networks for networks, _ in containers(()).values())


def test_what_docker_takes_for_stopped_comes_back_on_a_node() -> None:
    for proxies, policy in ((), "unless-stopped"), (NODES, "always"):
        found = {item.restart for service in load(stack().with_nodes(proxies)) for item in service.containers}
        assert found == {policy}


def test_a_nodes_are_in_its_own_and_in_the_common_ones_later() -> None:
    found = containers(NODES)
    assert found["postgres"] == (("local-net",), ("smarter-net",))
    assert found["n8n"] == (("local-net",), ("smarter-net", "tenants-net"))
    assert found["caddy-proxy"] == (("smarter-net",), ())
    assert found["chatwoot-prepare"] == (("local-net",), ()), "it is gone before anybody could look for it"

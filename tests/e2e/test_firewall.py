"""Firewall: what a neighbour on the same wire reaches of a deployed host, and what a hand that meddles with it brings about."""

import socket
from collections.abc import Iterator

import pytest

from tasks.operations import door
from tests.e2e.deployment import Deployment

ACCESS = "tests/e2e/deploys/access.py"
TABLE = "Firewall | our table, loaded at boot"
# Published to the world, unlike anything of ours; by an image that is there already.
PUBLISHED = 9999
CONTAINER = (
    "docker run -d --rm --name published -p {port}:2020 --entrypoint caddy "
    "$(docker inspect -f '{{{{.Config.Image}}}}' caddy-proxy) respond --listen :2020 hello"
)


def opens(host: Deployment, port: int) -> bool:
    """Whether this machine, a neighbour of the host's, gets a TCP connection."""
    try:
        socket.create_connection((host.host.address, port), timeout=3).close()
    except OSError:
        return False
    return True


@pytest.fixture
def published(deployed: Deployment) -> Iterator[Deployment]:
    """With a container that publishes a port to everybody."""
    deployed.sh(CONTAINER.format(port=f"0.0.0.0:{PUBLISHED}"))
    yield deployed
    deployed.sh("docker rm -f published")


def test_three_ports_are_open_and_a_published_one_is_not(published: Deployment) -> None:
    ports = (22, 80, 443, PUBLISHED, 8200, 3000, 5432)
    assert [port for port in ports if opens(published, port)] == [22, 80, 443]
    published.sh("nft delete table inet smarter_fw")
    try:
        assert [port for port in ports if opens(published, port)] == [22, 80, 443, PUBLISHED]
    finally:
        published.sh("systemctl restart smarteros-firewall.service")
    assert not opens(published, PUBLISHED)


def test_a_containers_own_address_is_no_way_in(published: Deployment, spare: Deployment) -> None:
    """What a neighbour gets who routes to it through the host, as Docker before 28 let him."""
    template = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}"
    address = published.sh(f"docker inspect -f '{template}' published").strip()
    ask = f"timeout 3 bash -c 'exec 3<>/dev/tcp/{address}/2020' && echo open || echo closed"
    assert published.sh(ask).strip() == "open"
    route = f"ip route replace {address}/32 via {published.host.address}"
    assert spare.sh(f"{route} && {ask}; ip route del {address}/32").strip() == "closed"


@pytest.mark.parametrize(
    "meddle",
    [
        "nft delete table inet smarter_fw",
        "nft flush ruleset inet",
        "nft flush chain inet smarter_fw pre",
        "nft insert rule inet smarter_fw pre accept",
        "nft add element inet smarter_fw peers { 192.0.2.7 }",
        "nft add element inet smarter_fw held { 80 }",
        "echo >>/etc/smarteros/firewall.nft",
        "chmod 666 /etc/smarteros/firewall.nft",
        "systemctl disable smarteros-firewall.service",
    ],
)
def test_what_a_hand_has_changed_is_found_and_put_right(deployed: Deployment, meddle: str) -> None:
    before = deployed.sh("nft -s list table inet smarter_fw")
    deployed.sh(meddle)
    assert deployed.converge(deploy=ACCESS).changes == [TABLE]
    assert deployed.sh("nft -s list table inet smarter_fw") == before
    deployed.unchanged(deploy=ACCESS)


def test_ports_that_a_killed_run_has_held_are_left_to_open_by_themselves(deployed: Deployment) -> None:
    deployed.sh(door.shut(60))
    deployed.unchanged(deploy=ACCESS)
    assert "443 timeout" in deployed.sh("nft list set inet smarter_fw held")
    deployed.sh(door.OPEN)

"""A link with a small MTU, and a path that drops larger packets without a word: containers reach the world all the same."""

from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment
from tests.lab.lab import Lab

NETWORKS = "tests/e2e/deploys/networks.py"
MADE = "Networks | smarter-net, tenants-net, dokploy-network"
MEGABYTES = 2
PORT = 7777

# Sends and takes that much to and from whoever connects; python3-minimal has no more than sockets.
SERVE = f"""
import socket
server = socket.create_server(("", {PORT}))
while True:
    line, _ = server.accept()
    line.settimeout(8)
    try:
        if line.recv(1) == b"d":
            line.sendall(bytes({MEGABYTES} << 20))
        else:
            count = 0
            while count < {MEGABYTES} << 20:
                count += len(line.recv(65536)) or 1 << 30
            line.sendall(b"%d" % count)
    except OSError:
        pass
    line.close()
"""
ASK = """
import socket, sys
line = socket.create_connection(("{address}", {port}), timeout=5)
try:
    if sys.argv[1] == "download":
        line.sendall(b"d")
        count = 0
        while chunk := line.recv(65536):
            count += len(chunk)
    else:
        line.sendall(b"u" + bytes({megabytes} << 20))
        count = line.recv(64).decode()
    print(count)
except TimeoutError:
    print("timed out")
"""

# Only whole packets, not several that a card would cut: their lengths are those on the wire.
WHOLE = "ip link set eth0 gso_max_segs 1"
HOLE = """
table inet hole {{
    chain in {{ type filter hook prerouting priority -300; ip saddr {address} meta length > 1400 drop; }}
    chain out {{ type filter hook postrouting priority 300; ip daddr {address} meta length > 1400 drop; }}
}}
"""


@pytest.fixture(scope="module")
def narrow(lab: Lab) -> Iterator[Deployment]:
    """A host behind a link of 1400 bytes, and its peer on the other side, where larger packets vanish."""
    host = Deployment(lab, lab.add_host("narrow", system="docker"))
    peer = Deployment(lab, lab.add_host("peer", system="docker"))
    host.sh("docker pull --quiet python:3.13-slim", timeout=300)
    peer.host.run("cat >/root/serve.py", input=SERVE)
    peer.host.run("nft -f -", input=HOLE.format(address=host.host.address))
    peer.sh(f"{WHOLE}; systemd-run --quiet --unit=serve python3 /root/serve.py")
    host.sh(WHOLE)
    ask = ASK.format(address=peer.host.address, port=PORT, megabytes=MEGABYTES)
    host.host.run("cat >/root/ask.py", input=ask)
    yield host
    lab.remove_host("narrow")
    lab.remove_host("peer")


def transfer(host: Deployment, way: str, network: str = "smarter-net") -> str:
    """How many bytes a container there gets across."""
    run = f"docker run --rm --network {network} -v /root/ask.py:/ask.py:ro python:3.13-slim python /ask.py {way}"
    return host.sh(run).strip()


ALL = str(MEGABYTES << 20)


def mtus(host: Deployment) -> str:
    """Those of our three networks."""
    return host.sh(
        "docker network inspect --format '{{index .Options \"com.docker.network.driver.mtu\"}}' "
        "smarter-net tenants-net dokploy-network | paste -sd' '"
    ).strip()


def test_networks_follow_the_link_and_containers_reach_the_world(narrow: Deployment) -> None:
    narrow.converge(deploy=NETWORKS)
    assert mtus(narrow) == "1500 1500 1500"
    narrow.sh(
        "docker run --detach --name stays --network smarter-net --network-alias other python:3.13-slim sleep 600"
    )
    narrow.sh("ip link set eth0 mtu 1400")
    # As it was: what is small goes through, and so a connection is made, and then nothing comes.
    assert transfer(narrow, "download") == "timed out"
    run = narrow.converge(deploy=NETWORKS)
    assert MADE in run.changes
    assert "smarter-net: its MTU is 1500, and the way out has 1400: 10.207.0.0/24" in run.lines, run.output[
        -3000:
    ]
    assert mtus(narrow) == "1400 1400 1400"
    assert {way: transfer(narrow, way) for way in ("download", "upload")} == {"download": ALL, "upload": ALL}
    # docker0, and a network that somebody else makes.
    narrow.sh("docker network create another")
    assert [transfer(narrow, "download", name) for name in ("bridge", "another")] == [ALL, ALL]
    # Docker may call the interface that comes in the place of another eth1.
    seen = narrow.sh(
        "docker start stays; docker exec stays sh -c 'cat /sys/class/net/eth*/mtu'; docker exec stays getent hosts other"
    )
    assert seen.split()[1] == "1400"
    assert seen.split()[-1] == "other"
    narrow.unchanged(deploy=NETWORKS)


def test_a_link_that_is_wide_again_has_wide_networks(narrow: Deployment) -> None:
    narrow.sh("ip link set eth0 mtu 1500")
    run = narrow.converge(deploy=NETWORKS)
    assert run.changes == ["Docker | engine, compose, buildx, daemon settings", MADE]
    assert "smarter-net: its MTU is 1400, and the way out has 1500: 10.207.0.0/24" in run.lines
    assert mtus(narrow) == "1500 1500 1500"
    narrow.unchanged(deploy=NETWORKS)

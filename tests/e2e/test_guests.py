"""Guests of a host, and what comes in without a port: cut off where nobody has said otherwise, and open where a setting does.

A network namespace stands for a virtual machine: it has an address that is led on, and one that is routed.
"""

import socket
import subprocess
import time
from collections.abc import Iterator

import pytest

from tests.e2e.deployment import Deployment
from tests.e2e.test_firewall import opens
from tests.lab import addresses

ACCESS = "tests/e2e/deploys/access.py"
GUEST, HOST = "192.0.96.2", "192.0.96.1"
GROUP = "239.1.2.3"
MADE = f"""
set -e
ip netns add guest
ip link add v-guest type veth peer name inside
ip link set inside netns guest
ip address add {HOST}/29 dev v-guest
ip link set v-guest up
ip -n guest address add {GUEST}/29 dev inside
ip -n guest link set inside up
ip -n guest route add default via {HOST}
sysctl -qw net.ipv4.ip_forward=1
cat >/run/listen.py <<'END'
import socket, time
found = socket.create_server(("", 8080), backlog=100)
time.sleep(3600)
END
systemd-run --quiet --unit=guest-web ip netns exec guest python3 /run/listen.py
systemd-run --quiet --unit=host-web python3 /run/listen.py
"""
LED_ON = f"""
nft -f - <<'END'
table ip mine {{
    chain pre {{
        type nat hook prerouting priority dstnat
        iifname "eth0" tcp dport 2222 dnat to {GUEST}:8080
    }}
}}
END
timeout 10 sh -c 'until ip netns exec guest ss -Hltn | grep -q 8080 && ss -Hltn | grep -q 8080; do sleep 0.2; done' ||
    ! systemctl status guest-web host-web
"""
# Says what comes, within a few seconds.
HEARS = """
python3 - <<'END'
import socket
found = {socket}
found.settimeout(6)
try:
    print(found.recv(200)[-5:].decode())
except TimeoutError:
    print("nothing")
END
"""
RAW = HEARS.format(socket="socket.socket(socket.AF_INET, socket.SOCK_RAW, 112)")
MANY = HEARS.format(
    socket=f"""socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
found.bind(("", 5405))
found.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton("{GROUP}") + socket.inet_aton("ADDRESS"))"""
)


@pytest.fixture(scope="module")
def host(spare: Deployment) -> Iterator[Deployment]:
    spare.sh(MADE)
    spare.converge(deploy=ACCESS)
    spare.sh(LED_ON)
    route = ["ip", "route", "replace", "192.0.96.0/29", "via", spare.host.address]
    subprocess.run(route, check=True)
    yield spare
    subprocess.run(["ip", "route", "delete", "192.0.96.0/29"], check=True)
    spare.sh(
        "systemctl stop guest-web host-web; ip link delete v-guest; ip netns delete guest; nft delete table ip mine"
    )


def reaches(address: str) -> bool:
    try:
        socket.create_connection((address, 8080), timeout=3).close()
    except OSError:
        return False
    return True


def test_a_port_that_is_led_on_and_a_range_that_is_routed_are_open_where_a_setting_says_so(
    host: Deployment,
) -> None:
    assert (opens(host, 2222), reaches(GUEST), reaches(HOST)) == (False, False, False)
    host.converge(deploy=ACCESS, open_ports=[{"port": 2222}])
    assert (opens(host, 2222), reaches(GUEST), reaches(HOST)) == (True, False, False)
    host.converge(deploy=ACCESS, guests=["192.0.96.0/29"])
    assert (opens(host, 2222), reaches(GUEST), reaches(HOST)) == (False, True, False)
    host.unchanged(deploy=ACCESS, guests=["192.0.96.0/29"])


def heard(host: Deployment, script: str, send: socket.socket, to: tuple[str, int]) -> str:
    """What a program on the host hears of what this machine sends to it, again and again."""
    listening = subprocess.Popen([*host.host.ssh(), script], stdout=subprocess.PIPE, text=True)
    with send:
        while listening.poll() is None:
            send.sendto(b"hello", to)
            time.sleep(0.5)
    assert listening.stdout
    return listening.stdout.read().strip()


def multicast(host: Deployment) -> str:
    send = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    gateway = addresses.address(f"{host.host.address}/24", 1)
    send.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(gateway))
    return heard(host, MANY.replace("ADDRESS", host.host.address), send, (GROUP, 5405))


def vrrp(host: Deployment) -> str:
    return heard(host, RAW, socket.socket(socket.AF_INET, socket.SOCK_RAW, 112), (host.host.address, 0))


def test_protocols_without_ports_and_multicast_are_open_where_a_setting_says_so(host: Deployment) -> None:
    host.converge(deploy=ACCESS)
    assert (vrrp(host), multicast(host)) == ("nothing", "nothing")
    host.converge(deploy=ACCESS, open_ports=[{"protocol": "vrrp"}, {"port": 5405, "protocol": "udp"}])
    assert (vrrp(host), multicast(host)) == ("hello", "hello")
    host.converge(deploy=ACCESS)

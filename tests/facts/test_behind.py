"""Behind: what iptables-save, nft, ip and /sys print of what the world reaches past a host's own ports."""

import subprocess
from ipaddress import IPv6Network

import pytest

from tasks.facts.behind import QUESTION, Behind, Tunnel, behind
from tasks.facts.forwards import Forward

IPTABLES = "iptables -t nat, PREROUTING"
MINE = "nft's table inet mine"


def read(*lines: str) -> Behind:
    """What MachineFact makes of these lines."""
    values: dict[str, list[str]] = {}
    for line in lines:
        key, _, value = line.partition(" ")
        values.setdefault(key, []).append(value)
    return behind(values)


@pytest.mark.parametrize(
    ("rule", "forward"),
    [
        (
            '-i eth0 -p tcp -m tcp --dport 2222 -m comment --comment "a \\"b\\" -p udp" -j DNAT --to-destination 192.168.122.10:22',
            Forward("tcp", ((2222, 2222),), "192.168.122.10:22", IPTABLES, interface="eth0"),
        ),
        (
            "-d 203.0.113.8/32 -j DNAT --to-destination 192.168.122.11",
            Forward("", (), "192.168.122.11", IPTABLES, address="203.0.113.8"),
        ),
        (
            "-p udp -m multiport --dports 5000:5010,6000 -j DNAT --to-destination 192.168.122.12",
            Forward("udp", ((5000, 5010), (6000, 6000)), "192.168.122.12", IPTABLES),
        ),
        (
            "! -i br0 ! -d 10.0.0.0/8 -p tcp -m tcp --dport 8080 -j REDIRECT --to-ports 80",
            Forward("tcp", ((8080, 8080),), "port 80 of the host itself", IPTABLES),
        ),
        ("-p gre -j DNAT --to-destination 192.168.122.13", Forward("gre", (), "192.168.122.13", IPTABLES)),
    ],
)
def test_a_rule_of_iptables_is_read(rule: str, forward: Forward) -> None:
    assert read(f"nat4 -A PREROUTING {rule}").forwards == (forward,)


def test_other_chains_are_followed_and_dockers_is_not() -> None:
    lines = [
        "nat4 -A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER",
        "nat4 -A DOCKER ! -i docker0 -p tcp -m tcp --dport 9000 -j DNAT --to-destination 172.17.0.2:80",
        "nat4 -A PREROUTING -m addrtype --dst-type LOCAL -j CNI-HOSTPORT-DNAT",
        "nat4 -A CNI-HOSTPORT-DNAT -p tcp -m multiport --dports 8090 -j CNI-DN-1",
        "nat4 -A CNI-DN-1 -j CNI-DN-1",
        "nat4 -A CNI-DN-1 -j DNAT --to-destination 10.88.0.2:80",
        "nat4 -A OUTPUT -p tcp -m tcp --dport 1 -j DNAT --to-destination 10.88.0.2:80",
        "nat6 -A PREROUTING -p tcp -m tcp --dport 2222 -j DNAT --to-destination [fd00::2]:22",
    ]
    assert read(*lines).forwards == (
        Forward("tcp", ((8090, 8090),), "10.88.0.2:80", "iptables -t nat, CNI-DN-1"),
        Forward("tcp", ((2222, 2222),), "[fd00::2]:22", "ip6tables -t nat, PREROUTING"),
    )


@pytest.mark.parametrize(
    ("rule", "forwards"),
    [
        (
            'iifname "eth0" tcp dport 3333 counter dnat ip to 192.168.122.14:33 comment "x"',
            (Forward("tcp", ((3333, 3333),), "192.168.122.14:33", MINE, interface="eth0"),),
        ),
        (
            "tcp dport { 4444, 4450-4460 } dnat ip to 192.168.122.15",
            (Forward("tcp", ((4444, 4444), (4450, 4460)), "192.168.122.15", MINE),),
        ),
        (
            "ip daddr 203.0.113.9 dnat ip to 192.168.122.16",
            (Forward("", (), "192.168.122.16", MINE, "203.0.113.9"),),
        ),
        (
            "udp dport 53 redirect to :5353",
            (Forward("udp", ((53, 53),), "port 5353 of the host itself", MINE),),
        ),
        ("meta l4proto tcp redirect", (Forward("tcp", (), "the host itself", MINE),)),
        (
            "ip6 daddr 2001:db8::7 tcp dport 25 dnat ip6 to [fd00::5]:25",
            (Forward("tcp", ((25, 25),), "[fd00::5]:25", MINE, "2001:db8::7"),),
        ),
        ("dnat ip to tcp dport map @m", (Forward("", (), "dnat ip to tcp dport map @m", MINE, known=False),)),
        (
            "ip daddr @mine tcp dport 25 dnat ip to 10.0.0.5",
            (Forward("", (), "ip daddr @mine tcp dport 25 dnat ip to 10.0.0.5", MINE, known=False),),
        ),
    ],
)
def test_a_rule_of_nft_is_read_or_named_as_it_is(rule: str, forwards: tuple[Forward, ...]) -> None:
    assert read(f"nft_rule inet mine|{rule}").forwards == forwards


def test_systemds_map_is_read_and_dockers_and_what_iptables_has_printed_is_not() -> None:
    where = "nft's table ip io.systemd.nat"
    lines = [
        "nft_rule ip io.systemd.nat|elements = { tcp . 8081 : 192.168.77.2 . 80,",
        "nft_rule ip io.systemd.nat|udp . 8082 : 192.168.77.2 . 81 }",
        "nft_rule ip io.systemd.nat|fib daddr type local dnat ip to meta l4proto . th dport map @map_port_ipport",
        "nft_rule ip docker-bridges|tcp dport 80 dnat ip to 172.17.0.2:80",
        "nft_rule ip nat|tcp dport 2222 counter dnat to 192.168.122.10:22",
        "nft_rule ip6 nat|tcp dport 2223 dnat to [fd00::2]:22",
        "nat4 -A POSTROUTING -s 192.168.122.0/24 -j MASQUERADE",
    ]
    assert read(*lines).forwards == (
        Forward("tcp", ((8081, 8081),), "192.168.77.2:80", where),
        Forward("udp", ((8082, 8082),), "192.168.77.2:81", where),
        Forward("tcp", ((2223, 2223),), "[fd00::2]:22", "nft's table ip6 nat"),
    )


def test_tunnels_bridges_and_routes_are_read() -> None:
    found = read(
        "tunnel_in gretap office 198.51.100.1",
        "tunnel_in sit he6 any",
        "tunnel_in sit sit0 any",
        "tunnel_in esp - 198.51.100.2",
        "tunnel_in esp - 198.51.100.2",
        "tunnel_in group eth0",
        "bridged br0 tap0",
        "bridged br0 vnet1",
        "bridged br-0123456789ab veth1",
        "bridged docker0 veth2",
        "bridges_filtered yes",
        "route6 2001:db8:1::/64 br0",
        "forwarding 4",
    )
    assert found == Behind(
        tunnels=(
            Tunnel("gre", "the tunnel office", "198.51.100.1"),
            Tunnel("6in4", "the tunnel he6"),
            Tunnel("esp", "IPsec", "198.51.100.2"),
            Tunnel("igmp", "multicast groups that the host has joined on eth0"),
        ),
        bridges={"br0": ("tap0", "vnet1")},
        filtered=True,
        routes=((IPv6Network("2001:db8:1::/64"), "br0"),),
        forwarding=frozenset({4}),
    )


def test_what_ip_prints_of_tunnels_and_ipsec_is_asked_for() -> None:
    """As iproute2 6.1 prints it: the devices that a module makes by itself have no remote end, or any."""
    links = (
        r"5: gre0@NONE: <NOARP> mtu 1476 qdisc noop state DOWN mode DEFAULT group default qlen 1000\    link/gre 0.0.0.0 "
        r"brd 0.0.0.0 promiscuity 0 \    gre remote any local any ttl inherit nopmtudisc addrgenmode eui64"
        "\n"
        r"7: he6@NONE: <POINTOPOINT,NOARP,UP> mtu 1480 qdisc noqueue state UNKNOWN\    link/sit 203.0.113.7 peer "
        r"198.51.100.1 promiscuity 0 \    sit ip6ip remote 198.51.100.1 local 203.0.113.7 ttl 255 nopmtudisc"
        "\n"
        r"8: vx@NONE: <UP> mtu 1450\    link/ether 02:00:00:00:00:01 \    vxlan id 5 remote 198.51.100.9 dev eth0"
    )
    states = (
        "src 198.51.100.2 dst 203.0.113.7\n\tproto esp spi 0x1 reqid 1 mode tunnel\n\treplay-window 0\n"
        "src 198.51.100.3 dst 203.0.113.7\n\tproto esp spi 0x2 reqid 1 mode tunnel\n\tencap type espinudp sport 4500 dport 4500\n"
        "src 198.51.100.4 dst 203.0.113.7\n\tproto ah spi 0x3 reqid 1 mode transport"
    )
    program = f"case $* in *link*) cat <<'L'\n{links}\nL\n;; *xfrm*) cat <<'X'\n{states}\nX\n;; esac"
    shell = f"ip() {{ {program}\n}}\n{QUESTION}\nwait"
    done = subprocess.run(["sh", "-c", shell], capture_output=True, text=True, check=True)
    found = [
        line for line in done.stdout.splitlines() if line.startswith("tunnel_in") and "group" not in line
    ]
    assert sorted(found) == [
        "tunnel_in ah - 198.51.100.4",
        "tunnel_in esp - 198.51.100.2",
        "tunnel_in gre gre0 any",
        "tunnel_in sit he6 198.51.100.1",
    ]


@pytest.mark.parametrize(
    "line",
    ["tunnel_in wifi x y", "tunnel_in gre", "bridged br0", "route6 x br0", "forwarding yes", "nat4 -A"],
)
def test_a_line_that_no_host_prints_is_an_error(line: str) -> None:
    with pytest.raises((ValueError, KeyError, IndexError)):
        read(line)

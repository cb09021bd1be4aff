"""Walls: which firewalls beside ours a host's own words give away, and what is said of each."""

import subprocess
from pathlib import Path

import pytest

from tasks.facts.walls import QUESTION
from tasks.operations import walls

UNITS = {
    "ufw": "Id=ufw.service\nAfter=\nActiveState=active\nUnitFileState=enabled",
    "firewalld": "Id=firewalld.service\nAfter=dbus.socket\nActiveState=active\nUnitFileState=enabled",
    "netfilter-persistent": "Id=netfilter-persistent.service\nActiveState=active\nUnitFileState=enabled",
    "idle": "Id=firewalld.service\nAfter=\nActiveState=inactive\nUnitFileState=enabled",
    "none": "Id=ufw.service\nActiveState=inactive\nUnitFileState=",
}
NFTABLES = "Id=nftables.service\nAfter={}\nActiveState=active\nUnitFileState={}"


def asked(folder: Path, *units: str) -> list[str]:
    """What the question says where systemd says that; with ufw and nftables as they are in files of their own."""
    (folder / "systemctl").write_text("#!/bin/sh\ncat " + str(folder / "units") + "\n")
    (folder / "systemctl").chmod(0o755)
    (folder / "units").write_text("\n\n".join(units))
    (folder / "ufw.conf").write_text("# ufw\nENABLED=yes\n")
    (folder / "nftables.conf").write_text("#!/usr/sbin/nft -f\n\nflush ruleset\n")
    question = QUESTION.replace("/etc/ufw/", f"{folder}/").replace("/etc/nftables", f"{folder}/nftables")
    words = ["sh", "-c", f"PATH={folder}:$PATH\n{question}\nwait"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize(
    ("units", "found"),
    [
        (
            ["ufw", "firewalld", "netfilter-persistent"],
            ["wall ufw", "wall firewalld", "wall netfilter-persistent"],
        ),
        (["idle", "none"], []),
    ],
)
def test_what_is_at_work_is_found(tmp_path: Path, units: list[str], found: list[str]) -> None:
    assert asked(tmp_path, *(UNITS[name] for name in units)) == found


@pytest.mark.parametrize(
    ("after", "state", "found"),
    [
        ("systemd-journald.socket", "enabled", ["wall nftables early"]),
        ("systemd-journald.socket network-online.target", "enabled", ["wall nftables late"]),
        ("systemd-journald.socket", "disabled", []),
    ],
)
def test_a_file_that_flushes_at_boot_is_found(
    tmp_path: Path, after: str, state: str, found: list[str]
) -> None:
    assert asked(tmp_path, NFTABLES.format(after, state)) == found


def test_each_is_said_in_one_line() -> None:
    found = ["firewalld", "netfilter-persistent", "nftables early", "nftables late", "ufw"]
    said = [line.split()[1] for line in walls.lines(found)]
    assert said == ["firewalld", "netfilter-persistent", "nftables.service", "nftables.service", "ufw"]
    assert list(walls.lines(["ufw"])) == [
        (
            "firewall: ufw is active and stays so: what it refuses is still refused, and what it lets in gets in only where "
            "ours does, too (`open_ports`)"
        )
    ]
    assert list(walls.lines([])) == []


# As `nft -s list ruleset` prints them (nftables 1.1.3).
RULESET = """table inet own {
\tset admins {
\t\ttype ipv4_addr
\t\telements = { 10.0.0.1 }
\t}

\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\tct state established,related accept
\t\ttcp dport 22 accept
\t}

\tchain forward {
\t\ttype filter hook forward priority filter; policy drop;
\t\tip saddr @admins drop
\t}

\tchain output {
\t\ttype filter hook output priority filter; policy drop;
\t}
}
table ip late {
\tchain fwd {
\t\ttype filter hook forward priority filter + 10; policy accept;
\t\tct state established accept
\t\tcounter log prefix "dropped: " reject with icmp port-unreachable
\t}

\tchain named {
\t\tdrop
\t}
}
table inet web {
\tchain input {
\t\ttype filter hook input priority filter; policy drop;
\t\ttcp dport { 22, 80, 443 } accept
\t}
}
table ip filter {
\tchain FORWARD {
\t\ttype filter hook forward priority filter; policy drop;
\t\tcounter jump DOCKER-USER
\t}
}
table ip f2b {
\tchain input {
\t\ttype filter hook input priority filter - 1; policy accept;
\t\tip saddr 192.0.2.1 drop
\t}
}
table inet firewalld {
\tchain filter_FORWARD {
\t\ttype filter hook forward priority filter + 10; policy accept;
\t\treject with icmpx admin-prohibited
\t}
}
"""


def chains(folder: Path, *, first: bool = True) -> list[str]:
    """What the question says where the kernel has these rules."""
    (folder / "systemctl").write_text("#!/bin/sh\n")
    (folder / "nft").write_text("#!/bin/sh\ncat " + str(folder / "rules") + "\n")
    (folder / "rules").write_text(RULESET)
    for name in ("systemctl", "nft"):
        (folder / name).chmod(0o755)
    if not first:
        (folder / "firewall.nft").touch()
    question = QUESTION.replace("/usr/sbin/nft", "nft").replace("/etc/smarteros/", f"{folder}/")
    words = ["sh", "-c", f"PATH={folder}:$PATH\n{question}\nwait"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


def test_chains_of_others_that_drop_are_found_before_the_first_run(tmp_path: Path) -> None:
    assert chains(tmp_path) == [
        "wall chain input inet own input",
        "wall chain forward inet own forward",
        "wall chain forward ip late fwd",
    ]
    assert chains(tmp_path, first=False) == []


def test_what_such_a_chain_needs_is_said() -> None:
    assert list(walls.lines(["chain forward inet own forward"])) == [
        (
            "firewall: nft's chain `inet own forward` drops what is passed on, and stays so: containers have no way out, and "
            "nobody a way to their ports 80 and 443, without: `nft insert rule inet own forward iifname 'br-*' accept`, `nft "
            "insert rule inet own forward ct status dnat accept`, `nft insert rule inet own forward ct state "
            "established,related accept`, and the same in the file that it comes from"
        )
    ]
    found = ["chain input inet own input", "chain input ip filter INPUT"]
    said = (
        "drops what it does not name, and stays so: neither visitors nor containers reach 80 and 443 of the host itself "
        "without: `nft insert rule {0} tcp dport '{{ 80, 443 }}' accept`, `nft insert rule {0} udp dport 443 accept`, and "
        "the same in the file that it comes from"
    )
    assert list(walls.lines(found)) == [
        f"firewall: nft's chain `{name}` {said.format(name)}"
        for name in ("inet own input", "ip filter INPUT")
    ]
    assert len([*walls.lines([*found, "ufw"])]) == 2

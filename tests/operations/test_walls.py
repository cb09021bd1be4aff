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

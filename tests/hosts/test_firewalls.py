"""Firewalls beside ours: a plan names each, with what it means, and leaves it as it is."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

FEW = {"services": ["vault", "postgres", "redis", "n8n", "vault-auth-validator", "caddy"]}
# As Ubuntu has it: the program itself has no part in what a plan asks.
UFW = "/etc/systemd/system/ufw.service"
TABLE = "table inet own { chain forward { type filter hook forward priority 0; policy drop; }\\n}\\n"
LATE = "/etc/systemd/system/nftables.service.d"

CONDITIONS = [
    Condition(
        "nftables.service, whose file flushes all rules at boot",
        "systemctl enable --quiet nftables.service",
        "systemctl disable --quiet nftables.service",
        said=(
            (
                "firewall: nftables.service is enabled, and its file flushes all rules: at boot ours come after it; "
                "whoever restarts it later takes ours and Docker's away, until the next run"
            ),
        ),
        settings=FEW,
    ),
    Condition(
        "nftables.service that waits for the network",
        f"mkdir {LATE} && printf '[Unit]\\nAfter=network-online.target\\n' >{LATE}/late.conf"
        " && systemctl daemon-reload && systemctl enable --quiet nftables.service",
        f"rm -r {LATE} && systemctl daemon-reload && systemctl disable --quiet nftables.service",
        said=(
            (
                "firewall: nftables.service is enabled, flushes all rules and waits for the network, so that systemd "
                "cannot load ours after it and before the network is there: take that out of its unit (`systemctl cat "
                "nftables` shows where it stands)"
            ),
        ),
        settings=FEW,
    ),
    Condition(
        "a table of an operator's that passes nothing on",
        f"printf '{TABLE}' | nft -f -",
        "nft delete table inet own",
        said=(
            (
                "firewall: nft's chain `inet own forward` drops what is passed on, and stays so: containers have no way out, "
                "and nobody a way to their ports 80 and 443, without: `nft insert rule inet own forward iifname 'br-*' "
                "accept`, `nft insert rule inet own forward ct status dnat accept`, `nft insert rule inet own forward ct "
                "state established,related accept`, and the same in the file that it comes from"
            ),
        ),
        settings=FEW,
    ),
    Condition(
        "ufw at work",
        "mkdir -p /etc/ufw && echo ENABLED=yes >/etc/ufw/ufw.conf"
        f" && printf '[Service]\\nType=oneshot\\nRemainAfterExit=yes\\nExecStart=/bin/true\\n' >{UFW}"
        " && systemctl daemon-reload && systemctl start ufw.service",
        f"systemctl stop ufw.service; rm -r {UFW} /etc/ufw && systemctl daemon-reload",
        said=(
            (
                "firewall: ufw is active and stays so: what it refuses is still refused, and what it lets in gets in "
                "only where ours does, too (`open_ports`)"
            ),
        ),
        settings=FEW,
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_another_firewall(odd: Deployment, condition: Condition) -> None:
    check(odd, condition)

"""A host that people have used before: a deploy keeps what stood there, and `make undo-host INVENTORY=inventories/lab.py` brings it back, byte for byte."""

import json
from typing import Any

from tests.e2e.deployment import Deployment

CORE: dict[str, Any] = {"services": ["vault", "postgres", "redis", "vault-auth-validator", "caddy"]}
UNDO = "tasks.commands.undo_host.run"
BROUGHT = "/etc/default/debsums"  # by its package
UNDONE = "Undo | what stood on the host before comes back"

# What its operator has there, with modes, owners and times of its own.
MADE = r"""
set -e
mkdir -p /etc/fail2ban /etc/docker /vault/secrets /opt/smarteros /root/dkcompose
printf '[sshd]\nbantime = 1h\n' >/srv/jail.local; ln -s /srv/jail.local /etc/fail2ban/jail.local
printf '{"log-level": "info"}\n' >/etc/docker/daemon.json; chmod 640 /etc/docker/daemon.json
printf ':80\nrespond "mine"\n' >/root/Caddyfile; chmod 600 /root/Caddyfile; touch -d 2020-01-01 /root/Caddyfile
printf 'Welcome\n' >/etc/issue; chmod 664 /etc/issue; chown daemon:adm /etc/issue
printf 'REDIS_PASSWORD=old\n' >/vault/secrets/redis.env; chmod 640 /vault/secrets/redis.env; chmod 755 /vault/secrets
printf 'theirs\n' >/opt/smarteros/notes.txt
printf '[Service]\nType=oneshot\nExecStart=/bin/true\n' >/etc/systemd/system/smarteros-integrity.service
printf '#!/usr/sbin/nft -f\n# mine\n' >/etc/nftables.conf; chmod 755 /etc/nftables.conf
ln -s /srv/redis.yaml /root/dkcompose/redis-deploy.yaml
printf 'POSTGRES_PASSWORD=old\n' >/root/GENERATED-SECRETS-2024-01-01.txt
touch -d 2024-01-01 /root/GENERATED-SECRETS-2024-01-01.txt
"""

# Every file and link with all that belongs to it, folders, and what the kernel does. Of packages, which stay, there are
# only more of them afterwards, but for these few.
LOOK = r"""
find /etc /root /opt /vault /srv -xdev \( -type f -o -type l \) -printf '%p|%m|%u:%g|%l|%T@|' \
    -exec sh -c 'if [ -L "$1" ]; then echo; else sha256sum <"$1"; fi' _ {} \;
find /etc /vault /root -xdev -maxdepth 1 -type d -printf '%p/ %m %u:%g\n'
sysctl -a 2>/dev/null | grep -E '^net.ipv[46].conf.(all|eth0|default).*(redirects|source_route|martians|rp_filter)'
"""
PACKAGES = ("/etc/group", "/etc/gshadow", "/etc/passwd", "/etc/shadow", "/etc/ld.so.cache", "/etc/pam.d/", "/etc/subgid", "/etc/subuid")  # fmt: skip
OURS = "find /etc /usr/local -name '*smarteros*' ! -name '*.wants' | sort; nft list tables"

KEPT = [
    "/etc/issue",
    "/etc/issue.net",
    "/etc/systemd/system/smarteros-integrity.service",
    "/etc/login.defs",
    "/etc/docker/daemon.json",
    "/root/Caddyfile",
    "/root/dkcompose/redis-deploy.yaml",
    "/vault/secrets/redis.env",
]


def look(host: Deployment) -> set[str]:
    """The host as its operator knows it."""
    return {line for line in host.sh(LOOK).splitlines() if not line.startswith(PACKAGES)}


def logged(host: Deployment) -> list[list[str]]:
    """What each run has kept, in its line of the log."""
    return [json.loads(line)["kept"] for line in host.sh("cat /var/log/smarteros/runs.log").splitlines()]


def test_a_host_with_files_of_its_own_gets_all_of_them_back(bare: Deployment) -> None:
    bare.sh(MADE)
    before = look(bare)

    run = bare.converge(**CORE)
    where = "/var/lib/smarteros/before (`make undo-host INVENTORY=inventories/lab.py` puts them back)"
    assert (
        f"changed by us, and kept as they are now in {where}: {', '.join([*KEPT, BROUGHT])}" in run.lines
    ), run.output
    assert logged(bare) == [sorted([*KEPT, BROUGHT], key=logged(bare)[0].index)]
    assert bare.sh("fail2ban-client get sshd bantime") == "3600\n"
    assert "theirs" in bare.sh("cat /opt/smarteros/notes.txt")
    bare.sh("systemctl start smarteros-first-logins.service")
    assert "POSTGRES_PASSWORD=old" in bare.sh("cat /root/GENERATED-SECRETS-2024-01-01.txt")
    bare.unchanged(**CORE)
    assert logged(bare)[1:] == [[]]

    shown = bare.run("--dry", yes=False, deploy=UNDO, **CORE)
    assert shown.code == 0, shown.output
    assert "Docker restarts, and with it every container" in shown.lines
    assert (
        bare.sh("head -n 1 /etc/issue")
        == "Authorized users only. Access to this system is monitored and recorded.\n"
    )

    assert bare.run(yes=False, typed="yes\n", deploy=UNDO, **CORE).changes == [UNDONE]
    assert sorted(before - look(bare)) == []
    assert bare.sh(OURS).splitlines() == [
        "/etc/credstore.encrypted/smarteros-unseal",
        "/etc/systemd/system/multi-user.target.wants/smarteros-unseal.service",
        "/etc/systemd/system/smarteros-first-logins.service",
        "/etc/systemd/system/smarteros-first-logins.timer",
        "/etc/systemd/system/smarteros-integrity.service",
        "/etc/systemd/system/smarteros-unseal.service",
        "/etc/systemd/system/timers.target.wants/smarteros-first-logins.timer",
        "/usr/local/lib/smarteros",
        "table ip nat",
        "table ip filter",
    ]
    again = bare.run(deploy=UNDO, **CORE)
    assert "nothing is kept in /var/lib/smarteros/before: there is nothing to undo" in again.lines
    again.unchanged()

    bare.converge(**CORE)
    bare.unchanged(**CORE)

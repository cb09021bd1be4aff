"""Files that stood on the host before us: what is left alone, what is kept and named, what has to be out of the way."""

from typing import Any

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

CADDY, SECRETS = "/root/Caddyfile", "/vault/secrets/redis.env"
UNIT = "/etc/systemd/system/smarteros-firewall.service"
JAIL, NFT = "/etc/fail2ban/jail.local", "/etc/nftables.conf"
CORE: dict[str, Any] = {"services": ["vault", "postgres", "redis", "vault-auth-validator", "caddy"]}
IN_THE_WAY = "is not ours and stands where ours has to come: move it away"


def named(*paths: str, early: str = "") -> tuple[str]:
    """What a plan says of a bare host's files with these besides."""
    found = [
        "/etc/issue",
        "/etc/issue.net",
        *filter(None, [early]),
        "/etc/login.defs",
        *paths,
        "/etc/default/debsums",
    ]
    where = "/var/lib/smarteros/before (`make undo-host INVENTORY=inventories/lab.py` puts them back)"
    return (f"changed by us, and kept as they are now in {where}: {', '.join(found)}",)


def file(path: str, text: str = "mine") -> tuple[str, str]:
    """Shell that makes and unmakes a file, with the folders that are not there."""
    parent = path.rpartition("/")[0]
    made = f"mkdir -pv {parent} | sed -n \"s/.*'\\(.*\\)'/\\1/p\" | tac >/run/made"
    return f"{made}; printf '%s\\n' '{text}' >{path}", f"rm {path}; xargs -r rmdir </run/made"


def blocked(path: str) -> tuple[str]:
    """The refusal for what stands there."""
    return (f"files: {path} {IN_THE_WAY} (mv {path} {path}.before)",)


def fixed(path: str) -> tuple[str]:
    """The refusal for what cannot be written."""
    return (
        (
            f"files: not even root can write {path}: `lsattr -d {path}` says whether it is immutable (chattr -i), "
            f"`findmnt -T {path}` whether its file system is mounted read-only"
        ),
    )


LEFT_ALONE = [
    Condition("a jail.local of the operator's", *file(JAIL, "[sshd]"), said=named()),
    Condition(
        "a jail.local that leads somewhere else",
        f"mkdir -p /etc/fail2ban; ln -s /srv/jail.local {JAIL}",
        f"rm {JAIL}; rmdir /etc/fail2ban",
        said=named(),
    ),
    Condition("firewall rules of the operator's", *file(NFT, "table ip mine"), said=named()),
    Condition("a folder /opt/smarteros of somebody else's", *file("/opt/smarteros/notes.txt"), said=named()),
    Condition("an /opt/smarteros that leads to another disk", "ln -s /srv /opt/smarteros", "rm /opt/smarteros", said=named()),
    Condition("secrets of an older installation", *file("/root/GENERATED-SECRETS-2024-01-01.txt"), said=named()),
    Condition("a timer of the operator's with a name like ours", *file("/etc/systemd/system/smarteros-backup.timer"), said=named()),
    Condition("an env file of a service that is not listed", *file("/vault/secrets/odoo.env"), said=named(), settings=CORE),
]  # fmt: skip

KEPT = [
    Condition("a daemon.json of the operator's", *file("/etc/docker/daemon.json", "{}"), said=named("/etc/docker/daemon.json")),
    Condition("a Caddyfile of the operator's", *file(CADDY), said=named(CADDY)),
    Condition("a Caddyfile that leads nowhere", f"ln -s /srv/gone {CADDY}", f"rm {CADDY}", said=named(CADDY)),
    Condition("an env file of the operator's", *file(SECRETS, "REDIS_PASSWORD=1"), said=named(SECRETS)),
    Condition("a unit of the operator's with our name", *file(UNIT, "[Unit]"), said=named(early=UNIT)),
    Condition("a unit that begins with words of ours", *file(UNIT, "# Written by the deploy."), said=named(early=UNIT)),
    Condition(
        "a compose file of the operator's",
        *file("/root/dkcompose/redis-deploy.yaml", "services: {}"),
        said=named("/root/dkcompose/redis-deploy.yaml"),
    ),
]  # fmt: skip

IN_OUR_PLACE = [
    Condition("a folder that Docker made for a Caddyfile", f"mkdir {CADDY}", f"rmdir {CADDY}", refused=blocked(CADDY)),
    Condition("another's releases in /opt/smarteros", *file("/opt/smarteros/current/app.conf"), refused=blocked("/opt/smarteros/current")),
    Condition(
        "another's link in /opt/smarteros",
        "mkdir /opt/smarteros; ln -s /srv /opt/smarteros/current",
        "rm -r /opt/smarteros",
        refused=blocked("/opt/smarteros/current"),
    ),
    Condition("a file where our folder comes", *file("/opt/smarteros"), refused=blocked("/opt/smarteros")),
    Condition("a link to a disk that is not mounted", "ln -s /mnt/none /vault", "rm /vault", refused=blocked("/vault")),
    Condition(
        "an /etc that is mounted read-only",
        "mount --bind /etc /etc && mount -o remount,bind,ro /etc",
        "umount /etc",
        refused=fixed("/etc"),
    ),
    Condition(
        "a file that is mounted read-only",
        "mount --bind /etc/issue /etc/issue && mount -o remount,bind,ro /etc/issue",
        "umount /etc/issue",
        refused=fixed("/etc/issue"),
    ),
]  # fmt: skip


@pytest.mark.parametrize("condition", LEFT_ALONE, ids=str)
def test_what_we_do_not_touch_is_not_named(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)


@pytest.mark.parametrize("condition", KEPT, ids=str)
def test_what_we_replace_is_named_before_the_first_change(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)


@pytest.mark.parametrize("condition", IN_OUR_PLACE, ids=str)
def test_what_stands_where_ours_has_to_come_is_refused(odd_bare: Deployment, condition: Condition) -> None:
    check(odd_bare, condition)

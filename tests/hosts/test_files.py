"""Files that stood on the host before us: what is left alone, what is kept and named, what has to be out of the way."""

from typing import Any

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

CADDY, SECRETS = "/root/Caddyfile", "/vault/secrets/redis.env"
COMPOSE = "/root/dkcompose/redis-deploy.yaml"
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
    parent, note = path.rpartition("/")[0], f"/run/made{path.replace('/', '.')}"
    made = f"mkdir -pv {parent} | sed -n \"s/.*'\\(.*\\)'/\\1/p\" | tac >{note}"
    return f"{made}; printf '%s\\n' '{text}' >{path}", f"rm {path}; xargs -r rmdir <{note}"


def together(*each: tuple[str, str]) -> tuple[str, str]:
    """Shell that makes all of them, and unmakes them in the opposite order."""
    return "; ".join(made for made, _ in each), "; ".join(unmade for _, unmade in reversed(each))


def link(path: str, to: str) -> tuple[str, str]:
    """Shell that makes and unmakes a link."""
    return f"ln -s {to} {path}", f"rm {path}"


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
    Condition(
        "files of the operator's: a jail.local, firewall rules, others in /opt/smarteros, secrets of an older installation, a timer with "
        "a name like ours, an env file of a service that is not listed",
        *together(
            file(JAIL, "[sshd]"),
            file(NFT, "table ip mine"),
            file("/opt/smarteros/notes.txt"),
            file("/root/GENERATED-SECRETS-2024-01-01.txt"),
            file("/etc/systemd/system/smarteros-backup.timer"),
            file("/vault/secrets/odoo.env"),
        ),
        said=named(),
        settings=CORE,
    ),
    Condition(
        "links: a jail.local that leads somewhere else, an /opt/smarteros that leads to another disk",
        *together(
            ("mkdir -p /etc/fail2ban", "rmdir /etc/fail2ban"), link(JAIL, "/srv/jail.local"), link("/opt/smarteros", "/srv")
        ),
        said=named(),
    ),
]  # fmt: skip

KEPT = [
    Condition(
        "files of the operator's: a unit with our name, a daemon.json, a Caddyfile, a compose file, an env file",
        *together(
            file(UNIT, "[Unit]"),
            file("/etc/docker/daemon.json", "{}"),
            file(CADDY),
            file(COMPOSE, "services: {}"),
            file(SECRETS, "REDIS_PASSWORD=1"),
        ),
        said=named("/etc/docker/daemon.json", CADDY, COMPOSE, SECRETS, early=UNIT),
    ),
    Condition(
        "a unit that begins with words of ours, a Caddyfile that leads nowhere",
        *together(file(UNIT, "# Written by the deploy."), link(CADDY, "/srv/gone")),
        said=named(CADDY, early=UNIT),
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

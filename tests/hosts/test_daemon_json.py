"""daemon.json as people have written it: kept where it can be, refused with the reason before anything changes."""

import pytest

from tests.e2e.deployment import Deployment
from tests.hosts.conditions import Condition, check

FILE = "/etc/docker/daemon.json"
KNOWS = "(it knows no comments, no comma after the last entry, no byte order mark): mend or remove it"


def refused(name: str, text: str, *lines: str) -> Condition:
    """A host with that file, which is refused."""
    return Condition(name, f"printf '%b' '{text}' >{FILE}", f"rm {FILE}", refused=lines)


CONDITIONS = [
    refused(
        "no rules of Docker's",
        '{"iptables": false}',
        (
            f'docker: "iptables": false in {FILE}: containers could not reach the world, nor be reached: take it out, or '
            "take another host"
        ),
    ),
    refused(
        "no way out for containers",
        '{"ip-masq": false}',
        f'docker: "ip-masq": false in {FILE}: containers could not reach the world: take it out, or take another host',
    ),
    refused(
        "other users in containers",
        '{"userns-remap": "default"}',
        (
            'docker: "userns-remap" gives containers other users than the host has, and this stack shares files with '
            "them by their numbers: take it out, or take another host"
        ),
    ),
    refused(
        "addresses that the unit gives too",
        '{"hosts": ["tcp://127.0.0.1:2375"]}',
        (
            f'docker: "hosts" stands in {FILE}, and -H in the command line of docker.service: Docker does not start with '
            "both: take one out"
        ),
    ),
    refused(
        "a setting that there is not",
        '{"nonsense": 1}',
        (
            f"docker: dockerd does not take {FILE} with what this run adds: the following directives don't match any "
            "configuration option: nonsense"
        ),
    ),
    refused(
        "a comment",
        '{\\n  "dns": ["10.0.0.1"], // ours\\n}',
        f"docker: {FILE} is no JSON: line 2, column 24: Expecting property name enclosed in double quotes {KNOWS}",
    ),
    refused(
        "a byte order mark",
        "\\0357\\0273\\0277{}",
        f"docker: {FILE} is no JSON: line 1, column 1: Unexpected UTF-8 BOM (decode using utf-8-sig) {KNOWS}",
    ),
    Condition(
        "settings of their own",
        f'printf \'{{"icc": true, "log-driver": "journald", "dns": ["10.0.0.1"]}}\' >{FILE}; touch -d "1 day ago" {FILE}',
        f"rm {FILE}",
        said=(f"docker: {FILE} keeps its own icc, log-driver, log-opts",),
    ),
    Condition(
        "another folder, which Docker does not use yet",
        "docker run --name shop -v orders:/data redis:7.4.11-alpine true && "
        f"""printf '{{"data-root": "/srv/my docker"}}' >{FILE}""",
        f"rm {FILE} && docker rm shop >/dev/null && docker volume rm orders >/dev/null",
        refused=(
            (
                f'docker: "data-root" is /srv/my docker by {FILE}, and Docker has /var/lib/docker until it restarts: the restart '
                "that this run needs would leave its containers, images and volumes behind: make it what Docker has, or move "
                "them and restart Docker yourself before the next run"
            ),
        ),
    ),
    refused(
        "a plugin that there is not, which only a start would find",
        '{"authorization-plugins": ["nobody"]}',
        (
            f"docker: {FILE} has changed since Docker started, and the restart that this run needs would be the first with what it "
            "says: restart Docker yourself (`systemctl restart docker`), then run again"
        ),
    ),
    Condition(
        "containers of others that a restart would stop",
        "docker run --detach --name shop-db redis:7.4.11-alpine >/dev/null",
        "docker rm --force --volumes shop-db >/dev/null",
        said=(
            (
                f"docker: default-ulimits, icc, log-driver, log-opts, no-new-privileges stay as they are (there is no {FILE} yet) "
                "while others' containers run here (shop-db)"
            ),
        ),
    ),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_settings_that_people_have_written(odd: Deployment, condition: Condition) -> None:
    check(odd, condition)

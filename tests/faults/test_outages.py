"""Outages: what fails around a run: packages, disk, registry, DNS. What was there before goes on serving."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from shlex import quote
from typing import Any

import pytest
from docker.models.containers import Container

from tasks.facts.holders import HOLDERS
from tasks.operations import apt
from tests.e2e.clients import browser
from tests.e2e.deployment import Deployment
from tests.e2e.test_convergence import CADDYFILE, ENV_FILES, FILES, METABASE, REDIS, ids, managed
from tests.e2e.test_host import PHASE
from tests.e2e.vault_access import opened
from tests.lab import acme, addresses, network, services

PREFLIGHT = "Preflight | system, sizes, ports, clock"
PACKAGE = "needrestart"
IMAGES = "Generation | missing images start to arrive"
N8N = "https://n8n.smarterbot.cl/healthz"


def serving(deployment: Deployment) -> bool:
    """Whether a user gets through to a service that needs its database."""
    with browser(deployment) as session:
        return session.get(N8N).status_code == 200


# Packages

INTERRUPTED = {
    "unpacked": f"cd /tmp && apt-get -q download {PACKAGE} && dpkg --unpack {PACKAGE}_*.deb && rm {PACKAGE}_*.deb",
    "half installed": (
        f"sed -i '/^Package: {PACKAGE}$/,/^$/s/^Status: .*/Status: install reinstreq half-installed/' /var/lib/dpkg/status"
    ),
}


@pytest.mark.parametrize("interrupt", INTERRUPTED.values(), ids=INTERRUPTED)
def test_what_an_interrupted_dpkg_left_is_mended_first(deployed: Deployment, interrupt: str) -> None:
    deployed.sh(interrupt)
    assert PACKAGE in deployed.sh("dpkg --audit")
    assert deployed.converge().changes == [PREFLIGHT]
    assert deployed.sh(f"dpkg --audit; dpkg-query -W -f '${{db:Status-Abbrev}}' {PACKAGE}") == "ii "
    deployed.unchanged()


LOCKS = ("/var/lib/apt/lists/lock", "/var/lib/dpkg/lock-frontend")


_HELD = f'until [ -n "$({HOLDERS})" ]; do sleep 0.1; done'


@contextmanager
def held(deployment: Deployment, path: str, seconds: int) -> Iterator[str]:
    """Another apt, as far as its lock goes; its process."""
    program = (
        f"import fcntl, time; f = open('{path}', 'w'); fcntl.lockf(f, fcntl.LOCK_EX); time.sleep({seconds})"
    )
    deployment.sh(f'systemd-run --quiet --collect --unit holder python3 -c "{program}"')
    deployment.sh(f"timeout 10 sh -c {quote(_HELD)}")
    try:
        yield deployment.sh("systemctl show --property MainPID --value holder").strip()
    finally:
        deployment.sh("systemctl stop holder 2>/dev/null || true")


@pytest.mark.parametrize("path", LOCKS)
def test_another_apt_is_named_and_waited_for(deployed: Deployment, path: str) -> None:
    deployed.sh(f"dpkg --force-depends --purge {PACKAGE} >/dev/null 2>&1")
    with held(deployed, path, 12) as process:
        began = time.monotonic()
        run = deployed.converge()
        assert time.monotonic() - began > 8
    assert run.changes == [PHASE]
    said = f"apt is at work, python3 ({process}): what has to be installed waits up to ten minutes for it"
    assert said in run.lines, run.output
    deployed.unchanged()


@pytest.mark.parametrize("path", LOCKS)
def test_another_apt_that_does_not_end_is_named_as_the_reason(deployed: Deployment, path: str) -> None:
    command = f"set -e\n{apt.UPDATE}\n{apt.GET} install -y --reinstall {PACKAGE}".replace("600", "2")
    with held(deployed, path, 60) as process:
        done = deployed.host.run(command, check=False)
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert f"held by process {process} (python3)" in said, said


# Disk


@contextmanager
def full(deployment: Deployment, folder: str) -> Iterator[None]:
    """The folder is on a disk of its own, with all that it held, and without room."""
    deployment.sh(
        f"set -e; mkdir /run/full; mount -t tmpfs -o size=32m,mode=$(stat -c %a {folder}) tmpfs /run/full;"
        f" cp -a {folder}/. /run/full/; mount --bind /run/full {folder}; umount /run/full; rmdir /run/full;"
        f" cat /dev/zero >{folder}/.filler 2>/dev/null || true"
    )
    try:
        yield
    finally:
        deployment.sh(f"umount {folder}")


def test_a_full_disk_is_said_before_anything_is_done(deployed: Deployment) -> None:
    fake = "printf '#!/bin/sh\\necho Filesystem\\necho /dev/vda1 40000000 38951424 1048576 98%% /\\n'"
    deployed.sh(f"{fake} >/usr/local/bin/df; chmod +x /usr/local/bin/df")
    try:
        run = deployed.refused()
    finally:
        deployed.sh("rm /usr/local/bin/df")
    assert (
        "disk: 1024 MB free below /var/lib, and 2048 MB are needed: choose fewer services, a smaller profile, or "
        "take a larger host"
    ) in run.lines
    assert run.changes == []


def test_a_disk_that_fills_up_meanwhile_leaves_files_and_services_as_they_were(deployed: Deployment) -> None:
    before = managed(deployed), ids(deployed)
    with full(deployed, "/opt/smarteros"):
        run = deployed.refused(overrides={"metabase": {"memory_mb": 2100}})
        assert "No space left on device" in run.output
        assert (run.changes, run.failed) == ([], {"lab-1": [FILES]})
        assert serving(deployed)
        deployed.sh("cmp /root/dkcompose/n8n-deploy.yaml /opt/smarteros/current/dkcompose/n8n-deploy.yaml")
    assert (managed(deployed), ids(deployed)) == before
    with opened(deployed) as vault:
        values, _ = vault.read("metabase")
        vault.write("metabase", {**values, "EXTRA": "x" * 9000})
        try:
            with full(deployed, "/vault/secrets"):
                run = deployed.refused()
                secrets = deployed.sh("cd /vault/secrets && sha256sum *.env")
        finally:
            vault.write("metabase", values)
    assert "No space left on device" in run.output
    assert (run.changes, run.failed) == ([], {"lab-1": [ENV_FILES]})
    assert secrets == deployed.sh("cd /vault/secrets && sha256sum *.env")
    assert (managed(deployed), ids(deployed)) == before
    deployed.unchanged()


# Registry

NEWER: dict[str, Any] = {"overrides": {"redis": {"image": "redis:7.4.99-alpine"}}}


@pytest.fixture
def registry(deployed: Deployment) -> Iterator[Container]:
    """The lab's; it runs again afterwards, and the host has what it had."""
    lab = deployed.lab
    found = network.find(lab.client, lab.state.key, "registry")
    assert found
    yield found
    found.reload()
    if found.status == "paused":
        found.unpause()
    found.start()
    services.wait_for("registry", addresses.address(lab.description.subnet, addresses.REGISTRY))
    deployed.converge()
    deployed.unchanged()


def test_without_the_registry_the_run_ends_soon_and_the_old_version_serves(
    deployed: Deployment, registry: Container
) -> None:
    before = ids(deployed)
    registry.stop(timeout=0)
    began = time.monotonic()
    run = deployed.refused(**NEWER)
    assert time.monotonic() - began < 60
    assert {*run.failed["lab-1"]} == {REDIS}
    assert "image redis:7.4.99-alpine cannot be had; see the lines above" in run.output
    assert ids(deployed) == before
    assert serving(deployed)


def test_a_registry_that_says_nothing_for_a_while_is_waited_for(
    deployed: Deployment, registry: Container
) -> None:
    deployed.lab.publish(["redis:7.4.99-alpine"])
    before = ids(deployed)
    registry.pause()
    waking = threading.Timer(20, registry.unpause)
    waking.start()
    began = time.monotonic()
    run = deployed.converge(**NEWER)
    waking.join()
    assert time.monotonic() - began > 15
    assert run.changes[:2] == [FILES, IMAGES]
    assert REDIS in run.changes
    assert ids(deployed)["redis"] != before["redis"]


# DNS


def test_a_domain_that_leads_elsewhere_is_a_warning_and_all_others_are_served(deployed: Deployment) -> None:
    lab, name = deployed.lab, "moved.smarterbot.cl"
    acme.point(addresses.address(lab.description.subnet, addresses.PEBBLE), [name], "203.0.113.9")
    orders = lab.acme_orders()
    began = time.monotonic()
    run = deployed.converge(overrides={"metabase": {"domain": name}})
    assert time.monotonic() - began < 60
    warning = (
        f"{name} leads to 203.0.113.9, not to lab-1: it gets its certificate once its DNS record is right"
    )
    assert warning in run.lines, run.output
    assert {FILES, METABASE, CADDYFILE} <= set(run.changes)
    row = next(line for line in run.lines if f"https://{name}/" in line)
    assert re.search(rf"https://{name}/ +- +- +healthy", row), row
    assert serving(deployed)
    time.sleep(20)
    assert lab.acme_orders() - orders <= 4  # no storm of retries
    deployed.converge()
    deployed.unchanged()

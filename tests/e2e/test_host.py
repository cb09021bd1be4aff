"""Host: what a hand has changed below everything else is found and mended, and nothing above it notices."""

import pytest

from tests.e2e.deployment import Deployment

PHASE = "Host | packages, updates, kernel, logs, audit, clock"
STARTED = "docker ps -q | xargs docker inspect -f '{{.Name}} {{.State.StartedAt}}' | sort"

# Command → what shows that the next run has put it right.
BY_HAND = {
    "echo 1 >/proc/sys/net/ipv4/conf/eth0/send_redirects": (
        "cat /proc/sys/net/ipv4/conf/eth0/send_redirects",
        "0\n",
    ),
    "echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter": ("cat /proc/sys/net/ipv4/conf/all/rp_filter", "2\n"),
    "echo '* hard core unlimited' >>/etc/security/limits.d/60-smarteros.conf": (
        "su -s /bin/sh nobody -c 'grep -c unlimited /etc/security/limits.d/60-smarteros.conf || true'",
        "0\n",
    ),
    "chmod 666 /etc/apt/apt.conf.d/00smarteros": ("stat -c %a /etc/apt/apt.conf.d/00smarteros", "644\n"),
    "rm /etc/systemd/journald.conf.d/60-smarteros.conf": (
        "systemd-analyze cat-config systemd/journald.conf | grep ^SystemMaxUse",
        "SystemMaxUse=1G\n",
    ),
    "systemctl disable --quiet --now apt-daily-upgrade.timer": (
        "systemctl is-active apt-daily-upgrade.timer",
        "active\n",
    ),
    "dpkg --force-depends --purge needrestart >/dev/null 2>&1": (
        "command -v needrestart",
        "/usr/sbin/needrestart\n",
    ),
    "rm /opt/smarteros/host": ("grep -c ^digest /opt/smarteros/host", "1\n"),
}


def test_what_a_hand_has_changed_is_put_right_in_one_run_without_touching_a_container(
    deployed: Deployment,
) -> None:
    started = deployed.sh(STARTED)
    for command in BY_HAND:
        deployed.sh(command)
    assert deployed.converge().changes == [PHASE]
    assert {question: deployed.sh(question) for question, _ in BY_HAND.values()} == dict(BY_HAND.values())
    assert deployed.sh(STARTED) == started
    deployed.unchanged()


def test_a_lab_host_says_in_one_line_what_only_its_machine_can_do(deployed: Deployment) -> None:
    run = deployed.converge()
    said = [line for line in run.lines if line.startswith("host: ")]
    assert len(said) == 1, run.output
    assert said[0].endswith("it is a container (docker), so kernel, audit log and clock are its machine's")


@pytest.mark.parametrize(
    "name", ["kernel/randomize_va_space", "vm/swappiness", "fs/suid_dumpable", "dev/tty/ldisc_autoload"]
)
def test_a_lab_host_cannot_change_its_machines_kernel(deployed: Deployment, name: str) -> None:
    path = f"/proc/sys/{name}"
    refusal = deployed.sh(f"value=$(cat {path}); {{ echo $value >{path}; }} 2>&1 || true")
    assert refusal.endswith("Read-only file system\n")


def test_security_fixes_would_install_themselves_without_docker(deployed: Deployment) -> None:
    said = deployed.sh("unattended-upgrade --dry-run --debug 2>&1", timeout=300)
    assert "origin=Debian,codename=trixie-security,label=Debian-Security" in said
    assert "Initial blacklist: containerd docker runc" in said
    assert (
        deployed.sh("apt-config dump APT::Periodic::Unattended-Upgrade")
        == 'APT::Periodic::Unattended-Upgrade "1";\n'
    )


def test_the_journal_is_kept_and_limited(deployed: Deployment) -> None:
    deployed.sh("logger -t smarteros-test kept && journalctl --sync")
    assert deployed.sh("journalctl --directory /var/log/journal -t smarteros-test -o cat -n 1") == "kept\n"


def test_a_user_cannot_dump_core(deployed: Deployment) -> None:
    assert deployed.sh("su -s /bin/sh nobody -c 'ulimit -Hc'") == "0\n"


def test_a_changed_program_is_noted_once_in_the_journal(deployed: Deployment) -> None:
    look = "systemctl start smarteros-integrity.service && journalctl --sync && "
    look += "journalctl -o cat _SYSTEMD_INVOCATION_ID=$(systemctl show -p InvocationID --value smarteros-integrity)"
    deployed.sh(look)
    deployed.sh("echo '#!/bin/sh' >/usr/bin/smarteros-test")
    assert "/usr/bin/smarteros-test" in deployed.sh(look)
    assert "/usr/bin/smarteros-test" not in deployed.sh(look)
    deployed.sh("rm /usr/bin/smarteros-test")
    assert "/usr/bin/smarteros-test" in deployed.sh(look)

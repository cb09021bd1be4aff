"""Undo of the host: what comes back and what goes, in words and for real below a folder."""

import os
import stat
import subprocess
from pathlib import Path

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks.commands import undo_host
from tasks.commands.undo_host import Undoing
from tasks.connection.said import Said
from tasks.facts import swap
from tasks.facts.before import BeforeFact, Index
from tasks.operations.kept import keep
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake

UNIT = "/etc/systemd/system/smarteros-firewall.service"
DROP_IN = "/etc/ssh/sshd_config.d/00-smarteros.conf"
INDEX = [
    "kept /etc/issue",
    "kept /etc/docker/daemon.json",
    "kept /vault/secrets/n8n.env",
    "kept /etc/gone",
    f"new {UNIT}",
    f"new {DROP_IN}",
    "new /root/Caddyfile",
    "new /etc/systemd/system/smarteros-unseal.service",
    "new /etc/systemd/system/smarteros-first-logins.timer",
    "new /etc/apt/sources.list.d/docker.sources",
    "earlier /etc/issue.net",
    "earlier /etc/sysctl.d/99-zz-smarteros-kernel.conf",
    "earlier /root/sync-forks.sh",
    "mode 755 root:root /etc/cron.d",
    "lost /etc/gone",
]
WHAT = Undoing(
    back=("/etc/issue", "/etc/docker/daemon.json", "/vault/secrets/n8n.env"),
    gone=(UNIT, DROP_IN, "/etc/sysctl.d/99-zz-smarteros-kernel.conf"),
    modes=(("/etc/cron.d", "755", "root:root"),),
    left=("/etc/issue.net",),
    lost=("/etc/gone",),
)


def test_what_was_there_comes_back_and_what_is_ours_alone_goes() -> None:
    assert undo_host.undoing(BeforeFact().process(INDEX)) == WHAT


@pytest.mark.parametrize("line", ["kept", "kept etc/issue", "mode 755 /etc/cron.d", "stolen /etc/issue"])
def test_a_line_that_is_none_of_ours_is_an_error(line: str) -> None:
    with pytest.raises(FactProcessError, match=r"^cannot read what was kept of the host: '"):
        BeforeFact().process([line])


def test_our_swap_goes_with_its_unit() -> None:
    what = undo_host.undoing(BeforeFact().process([f"new {swap.UNIT}"]))
    assert what.gone == (swap.UNIT,)
    lines = undo_host.script(what).splitlines()
    off = lines.index("systemctl disable --quiet --now var-lib-smarteros-swap.swap 2>/dev/null || true")
    # What the memory has no room for stays where it is.
    gone = lines.index(f"grep -qs '^{swap.FILE} ' /proc/swaps || rm -f {swap.FILE}")
    assert off < lines.index(f"rm -f {swap.UNIT}") < gone


def test_an_operator_reads_all_of_it_before_the_yes() -> None:
    with fake({}, services=["vault", "redis"]):
        *lines, containers, secrets, units, packages, tar = undo_host.said(WHAT)
    assert lines == [
        "as before: /etc/issue, /etc/docker/daemon.json, /vault/secrets/n8n.env",
        "mode and owner as before: /etc/cron.d (755 root:root)",
        f"removed, since nothing was there: {UNIT}, {DROP_IN}, /etc/sysctl.d/99-zz-smarteros-kernel.conf",
        "left as they are, since an earlier release replaced them and kept nothing: /etc/issue.net",
        "left as they are, since somebody has removed what was kept: /etc/gone",
        "from then on our firewall filters nothing: what listens on this host can be reached from the world",
        "Docker restarts, and with it every container",
    ]
    assert containers == (
        "stays: containers, volumes and networks: `docker ps --all --filter label=smarteros.service` names them, "
        "`docker compose -f /root/dkcompose/<service>-deploy.yaml down` stops one (vault, redis), with `--volumes` "
        "its data go as well"
    )
    assert secrets.startswith(
        "stays: secrets in /vault/secrets and Vault, rendered files in /opt/smarteros: "
    )
    assert units.endswith(": `systemctl disable --now smarteros-unseal smarteros-first-logins.timer`")
    assert packages.startswith(
        "stays: packages: `apt-get purge` those that you did not have before: aide apparmor apt-listchanges "
    )
    assert tar == "what is replaced or removed now is kept once more, in /var/lib/smarteros/undone-<time>.tar"


def test_ranges_that_somebody_would_miss_stay_with_what_was_there_beside_them() -> None:
    what = undo_host.undoing(
        BeforeFact().process(INDEX), "10.9.9.9, from where somebody is logged in over SSH"
    )
    assert "/etc/docker/daemon.json" not in (*what.back, *what.gone)
    with fake({}):
        assert (
            "stays: /etc/docker/daemon.json: without the ranges in it Docker could take that of 10.9.9.9, from where somebody "
            "is logged in over SSH; what stood there before, if anything, comes beside it as /etc/docker/daemon.json.before-smarteros"
        ) in undo_host.said(what)
        assert "Docker restarts, and with it every container" not in undo_host.said(what)
        script = undo_host.script(what)
    kept = '"$kept/files/etc/docker/daemon.json"'
    assert f"[ ! -e {kept} ] || cp -aT {kept} /etc/docker/daemon.json.before-smarteros" in script.splitlines()
    assert "docker.service" not in script
    rest = [line for line in INDEX if "daemon.json" not in line]
    assert undo_host.undoing(BeforeFact().process(rest), "somebody").ranges == ""


def test_settings_of_before_that_would_have_docker_store_elsewhere_are_refused() -> None:
    answers = {
        "uname -m": MACHINE,
        "/before/index": INDEX,
        "/before/files": ["info false|inactive|false|/srv/docker|"],
    }
    with fake(answers, executing=False), pytest.raises(Said) as error:
        commands(undo_host.undone)
    assert str(error.value) == (
        '@fake/one: docker: "data-root" is /var/lib/docker by /var/lib/smarteros/before/files/etc/docker/daemon.json, and Docker has '
        "/srv/docker until it restarts: the restart with it would leave its containers, images and volumes behind: make it "
        "what Docker has, or move them and restart Docker yourself before the next run"
    )


def test_docker_goes_on_where_its_settings_were_not_ours() -> None:
    with fake({}):
        assert not [
            line for line in undo_host.said(Undoing(back=("/etc/issue",))) if "Docker restarts" in line
        ]
        assert "docker.service" not in undo_host.script(Undoing(back=("/etc/issue",)))
        assert "systemctl restart docker.service" in undo_host.script(WHAT)


def test_a_host_without_anything_of_ours_is_left_alone() -> None:
    with fake({}):
        assert list(undo_host.said(undo_host.undoing(Index()))) == [
            "nothing is kept in /var/lib/smarteros/before: there is nothing to undo"
        ]
    with fake({"index": []}):
        assert commands(undo_host.undone) == []


def test_sshd_comes_first_and_stays_only_if_a_new_connection_comes_in() -> None:
    with fake({"uname -m": MACHINE, "/before/index": INDEX}):
        change, proof, disarm, rest = commands(undo_host.undone)
    assert f"back {DROP_IN} || rm -f {DROP_IN}\n/usr/sbin/sshd -t\nsystemctl restart ssh.service" in str(
        change
    )
    assert "mv -T next armed" in str(change)
    assert type(proof).__name__ == "FunctionCommand"
    assert "mv -T armed proven" in str(disarm)
    assert str(rest) == undo_host.script(WHAT)
    with fake({"/before/index": INDEX[:1]}):
        assert len(commands(undo_host.undone)) == 1


def test_users_keys_come_back_with_their_users_own_rights_and_only_if_a_new_connection_comes_in() -> None:
    path, other = "/home/ana/.ssh/authorized_keys", "/home/bo/.ssh/authorized_keys"
    index = [f"login ana 750 ana:ana {path}", f"kept {path}", f"login bo - - {other}", f"new {other}"]
    what = undo_host.undoing(BeforeFact().process(index))
    assert (what.back, what.gone) == ((path,), (other,))
    with fake({"uname -m": MACHINE, "/before/index": index}):
        change, proof, disarm, rest = commands(undo_host.undone)
        (line,) = [text for text in undo_host.said(what) if text.startswith("keys let in as before")]
    assert line.endswith(f": look into /var/lib/smarteros/before/files first: {path}, {other}")
    assert (
        f"again ana {path} /var/lib/smarteros/before/files{path} 750 ana:ana\nagain bo {other} /nonexistent\n"
        in str(change)
    )
    assert (type(proof).__name__, "mv -T armed proven" in str(disarm)) == ("FunctionCommand", True)
    assert [text for text in (f"back {path}", f"rm -f {path}", f"rm -f {other}") if text in str(rest)] == []
    # What was begun, and not kept any more, is nobody's.
    assert undo_host.undoing(BeforeFact().process(index[:1])).keys == {}


# ── for real, below a folder ──


class Host:
    """A host's root folder, and programs that only note how they were called."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for folder in ("bin", "etc/cron.d", "root", "opt/smarteros", "proc/sys/kernel"):
            (root / folder).mkdir(parents=True)
        for name in ("systemctl", "sysctl", "augenrules", "chown"):
            self.program(name, "true")

    def program(self, name: str, body: str) -> None:
        """A program that notes its call and then does ``body``."""
        path = self.root / "bin" / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.root}/called\n{body}\n')
        path.chmod(0o755)

    def sh(self, text: str) -> int:
        """Runs shell of ours there."""
        for place in ("/etc/", "/root/", "/opt/smarteros", "/var/lib/smarteros", "/proc/sys", "/usr/sbin/"):
            text = text.replace(place, f"{self.root}{place}")
        text = text.replace("tar -C /", f"tar -C {self.root}")
        environment = {"PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        return subprocess.run(["sh", "-c", text], env=environment, check=False).returncode

    def file(self, path: str) -> Path:
        """One of its files."""
        return self.root / path[1:]


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


DEPLOYED = f"""
set -e
{keep(["/etc/issue", "/etc/docker/daemon.json", "/root/Caddyfile", "/etc/fresh.conf"])}
shut /etc/cron.d 700
echo "/proc/sys/kernel/panic 0" >>/var/lib/smarteros/before/kernel
echo apport.service >>/var/lib/smarteros/before/units
rm -f /root/Caddyfile
for file in /etc/issue /etc/docker/daemon.json /root/Caddyfile /etc/fresh.conf /opt/smarteros/host; do echo ours >$file; done
echo 10 >/proc/sys/kernel/panic
mkdir -p /etc/aide/
ln -sfn smarteros.conf /etc/aide/aide.conf
"""
BACK = Undoing(
    back=("/etc/issue", "/etc/docker/daemon.json", "/root/Caddyfile"),
    gone=("/etc/fresh.conf", "/etc/systemd/system/smarteros-integrity.timer"),
    modes=(("/etc/cron.d", "755", "root:root"),),
)


def state(host: Host) -> list[object]:
    """What there was before, as it is now."""
    paths = [host.file(path) for path in ("/etc/issue", "/etc/docker/daemon.json")]
    return [
        *((path.read_text(), stat.S_IMODE(path.stat().st_mode), path.stat().st_mtime) for path in paths),
        host.file("/root/Caddyfile").is_symlink() and host.file("/root/Caddyfile").readlink(),
        host.file("/etc/fresh.conf").exists(),
        stat.S_IMODE(host.file("/etc/cron.d").stat().st_mode),
        host.file("/proc/sys/kernel/panic").read_text(),
        host.file("/var/lib/smarteros/before").exists(),
        host.file("/opt/smarteros/host").exists(),
        host.file("/etc/aide/aide.conf").is_symlink(),
    ]


def odd(host: Host) -> None:
    """What an operator had there."""
    host.file("/etc/docker").mkdir()
    for path, mode in (("/etc/issue", 0o664), ("/etc/docker/daemon.json", 0o640)):
        host.file(path).write_text(f"mine: {path}\n")
        host.file(path).chmod(mode)
        os.utime(host.file(path), (1_500_000_000, 1_500_000_000))
    host.file("/root/Caddyfile").symlink_to("/srv/Caddyfile")
    host.file("/etc/cron.d").chmod(0o755)
    host.file("/proc/sys/kernel/panic").write_text("0\n")


def test_all_is_as_it_was_and_a_second_deploy_and_undo_find_the_same(host: Host) -> None:
    odd(host)
    before = state(host)
    for _ in range(2):
        assert host.sh(DEPLOYED) == 0
        assert state(host) != before
        assert host.sh(undo_host.script(BACK)) == 0
        assert state(host) == before
    [first, *_] = sorted(host.file("/var/lib/smarteros").glob("undone-*.tar"))
    listed = subprocess.run(["tar", "-tf", first], capture_output=True, text=True, check=True).stdout.split()
    assert listed == ["etc/issue", "etc/docker/daemon.json", "root/Caddyfile", "etc/fresh.conf"]
    called = (host.root / "called").read_text().splitlines()
    assert called[: len(called) // 2] == [
        "chown root:root " + str(host.file("/etc/cron.d")),
        "systemctl disable --quiet --now smarteros-integrity.timer",
        "chown root:root " + str(host.file("/etc/cron.d")),
        "systemctl daemon-reload",
        "sysctl --quiet --system",
        "systemctl enable --quiet --now apport.service",
        "systemctl restart systemd-journald.service",
        "augenrules --load",
        "systemctl try-restart fail2ban.service",
        "systemctl restart docker.service",
    ]


@pytest.mark.parametrize("line", range(2, 60, 3))
def test_cut_short_anywhere_it_can_be_done_again(host: Host, line: int) -> None:
    odd(host)
    before = state(host)
    assert host.sh(DEPLOYED) == 0
    lines = undo_host.script(BACK).splitlines()
    own = next(number for number, text in enumerate(lines) if text.startswith("undone="))
    cut = min(own + line, len(lines))
    host.sh("\n".join([*lines[:cut], "kill -9 $$", *lines[cut:]]))
    if host.file("/var/lib/smarteros/before").exists():
        assert host.sh(undo_host.script(BACK)) == 0
    assert state(host) == before


def test_a_docker_that_does_not_start_with_the_old_settings_goes_on_with_ours(host: Host) -> None:
    odd(host)
    assert host.sh(DEPLOYED) == 0
    host.program(
        "systemctl",
        f'[ "$*" != "restart docker.service" ] || grep -q ours {host.file("/etc/docker/daemon.json")}',
    )
    assert host.sh(undo_host.script(BACK)) == 1
    assert host.file("/etc/docker/daemon.json").read_text() == "ours\n"
    assert host.file("/var/lib/smarteros/before/index").exists()

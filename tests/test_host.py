"""Host: what the phase finds wrong, what it does about it run for real below a folder, and the files it brings."""

import os
import re
import stat
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from pyinfra.api.exceptions import FactProcessError

from tasks import host
from tasks.connection import drafts
from tasks.facts import HostFact, HostState
from tasks.operations import apt, needed, theirs
from tests.fake import commands, fake, stdin
from tests.operations.test_apt import QUIET, WHY
from tests.samples import ROOT

SOURCE = ROOT / "files" / "host"
PLACES = (
    "/etc/",
    "/proc/sys",
    "/proc/modules",
    "/opt/smarteros",
    "/var/lib/aide",
    "/var/lib/smarteros",
    "/var/lib/dpkg",
    "/vault",
)
FILES = {f"/{path.relative_to(SOURCE)}": path.read_text() for path in SOURCE.rglob("*") if path.is_file()}

PACKAGES = [
    "aide",
    "apparmor",
    "apt-listchanges",
    "cron",
    "debsums",
    "fail2ban",
    "libpam-pwquality",
    "needrestart",
    "python3-systemd",
    "unattended-upgrades",
]

# A machine, and a container, on which all of it was done.
COMMON = [
    *(f"sum {sha256(text.encode()).hexdigest()}  {path}" for path, text in FILES.items()),
    *(f"stat 644 root:root {path}" for path in FILES),
    "stat 600 root:root /etc/crontab",
    "stat 700 root:root /etc/cron.d",
    "kernel /proc/sys/kernel/kptr_restrict:2",
    "kernel /proc/sys/net/ipv4/conf/eth0/send_redirects:0",
    *(f"package {name}" for name in PACKAGES),
    "unit apt-daily.timer",
    "unit apt-daily-upgrade.timer",
    "unit cron.service",
    "unit fail2ban.service",
    "login PASS_MIN_DAYS 1",
    "login SHA_CRYPT_MIN_ROUNDS 65536",
]
MACHINE = [
    *COMMON,
    "package auditd",
    "package chrony",
    "unit auditd.service",
    "unit chrony.service",
    "noted rules 7",
    "rules 7",
    "container none",
    "NTPSynchronized=yes",
]
ON_A_MACHINE_ONLY = ("/etc/sysctl.d/99-zz-smarteros-kernel.conf", "/etc/audit/rules.d/60-smarteros.rules")
CONTAINER = [
    *(line for line in COMMON if not line.endswith(ON_A_MACHINE_ONLY)),
    "noted rules 0",
    "container docker",
]


def noted(lines: list[str]) -> list[str]:
    """The lines, and the note of a run that found nothing more to do on such a host."""
    with fake({"timedatectl": lines}):
        command = commands(host.hardened)[-1]
    digest = re.search(r"^echo 'digest (\w{12})'", str(command), re.MULTILINE)
    assert digest
    return [*lines, f"noted digest {digest[1]}"]


@contextmanager
def state(lines: list[str], **options: Any) -> Iterator[Any]:
    with fake({"timedatectl": lines}, **options) as found:
        yield found


def done(lines: list[str], **options: Any) -> list[str]:
    """The first two lines of each command on a host like that."""
    with state(lines, **options):
        texts = [str(item).removeprefix(f"{WHY}\n") for item in commands(host.hardened)]
        return ["\n".join(text.splitlines()[:2]) for text in texts]


SETTLE = "set -e\numask 022"
INSTALL = f"set -e\nexport {QUIET}"


@pytest.mark.parametrize("lines", [MACHINE, CONTAINER], ids=["machine", "container"])
def test_a_host_as_it_has_to_be_is_left_alone(lines: list[str]) -> None:
    assert done(noted(lines)) == []


WRONG = {
    "a file was edited": lambda line: re.sub(r"^sum \w{64}  (/etc/issue)$", rf"sum {'0' * 64}  \1", line),
    "others may write a file": lambda line: line.replace("stat 644 root:root /etc/issue.net", "stat 666 root:root /etc/issue.net"),
    "a file is somebody's": lambda line: line.replace("stat 644 root:root /etc/issue.net", "stat 644 u:u /etc/issue.net"),
    "a file is missing": lambda line: "" if line.endswith("/etc/sysctl.d/99-zz-smarteros-kernel.conf") else line,
    "a folder is open": lambda line: line.replace("stat 700 root:root /etc/cron.d", "stat 755 root:root /etc/cron.d"),
    "a login setting was changed": lambda line: line.replace("login PASS_MIN_DAYS 1", "login PASS_MIN_DAYS 0"),
    "a kernel value was changed": lambda line: line.replace("kptr_restrict:2", "kptr_restrict:0"),
    "an interface counts for itself": lambda line: line.replace("eth0/send_redirects:0", "eth0/send_redirects:1"),
    "a timer is stopped": lambda line: "" if line == "unit apt-daily-upgrade.timer" else line,
    "nothing keeps the clock": lambda line: "" if line == "unit chrony.service" else line,
    "audit rules were removed": lambda line: line.replace("rules 7", "rules 0") if line.startswith("rules") else line,
    "an earlier run did not end": lambda line: "" if line.startswith("noted") else line,
    "an earlier run did something else": lambda line: re.sub(r"^noted digest .*", "noted digest 000000000000", line),
}  # fmt: skip


@pytest.mark.parametrize("change", WRONG.values(), ids=WRONG)
def test_what_differs_is_mended_in_one_command(change: Any) -> None:
    right = noted(MACHINE)
    lines = [changed for line in right if (changed := change(line))]
    assert lines != right
    assert done(lines) == [SETTLE]


def test_missing_packages_come_first() -> None:
    lines = [line for line in noted(MACHINE) if line not in {"package needrestart", "package apparmor"}]
    assert done(lines) == [INSTALL, SETTLE]
    with state(lines):
        later = apt.tried(["ca-certificates", "iptables", "nftables"])
        assert str(commands(host.hardened)[0]) == apt.script(["apparmor", "needrestart"], apt.KEEP, later)


def test_a_machine_without_a_time_service_gets_one_and_one_with_its_own_keeps_it() -> None:
    for clock, wanted in (
        ("", "systemd-timesyncd"),
        ("chrony", "chrony"),
        ("ntpsec", "ntpsec"),
        ("openntpd", "openntpd"),
    ):
        found = HostFact().process([f"package {clock}"])
        assert host.packages(found) - set(needed.PACKAGES) == {"auditd", wanted}
        assert host.units(found) - set(host.UNITS) == {"auditd.service", f"{wanted}.service"}


def test_a_container_gets_neither_a_clock_nor_an_audit_daemon() -> None:
    found = HostFact().process(["container lxc"])
    assert host.packages(found) == set(PACKAGES)
    assert host.units(found) == {
        "apt-daily.timer",
        "apt-daily-upgrade.timer",
        "cron.service",
        "fail2ban.service",
    }


REFUSED = [
    *(line.replace("kptr_restrict:2", "kptr_restrict:0") for line in MACHINE),
    "noted refused /proc/sys/kernel/kptr_restrict",
]


def test_what_the_kernel_refused_is_said_and_not_tried_again() -> None:
    assert done(noted(REFUSED)) == []
    found = HostFact().process(REFUSED)
    assert list(host.shortcomings(found)) == ["its kernel keeps kernel.kptr_restrict=0"]


def test_a_container_leaves_its_machines_kernel_alone_and_says_so() -> None:
    lines = [line.replace("kptr_restrict:2", "kptr_restrict:0") for line in CONTAINER]
    assert done(noted(lines)) == []
    with state(["container docker"]):
        *_, command = commands(host.hardened)
    assert {*re.findall(r"^tune '?/proc/sys/(\w+/\w+)/", str(command), re.MULTILINE)} <= {
        "net/ipv4",
        "net/ipv6",
    }
    assert set(host.files()) - set(host.files("docker")) == set(ON_A_MACHINE_ONLY)
    assert list(host.shortcomings(HostFact().process(lines))) == [
        "it is a container (docker), so kernel, audit log and clock are its machine's"
    ]


def test_a_machine_says_which_unit_does_not_run_and_that_its_clock_is_not_synchronised() -> None:
    lines = [line for line in MACHINE if line not in {"unit auditd.service", "NTPSynchronized=yes"}]
    lines = noted([*lines, "noted refused auditd.service"])
    assert done(lines) == []
    assert list(host.shortcomings(HostFact().process(lines))) == [
        "auditd.service does not run (systemctl status auditd.service says why)",
        "its clock follows no time server yet (timedatectl says since when)",
    ]


def test_a_machine_that_can_do_all_of_it_says_nothing() -> None:
    assert list(host.shortcomings(HostFact().process(noted(MACHINE)))) == []


def test_planning_on_a_bare_host_shows_both_commands_and_changes_nothing() -> None:
    assert done(["container none"], executing=False) == [INSTALL, SETTLE]


def said(lines: list[str]) -> list[str]:
    """What a plan says of a host like that, beside whole files."""
    with state(lines, executing=False), drafts.drafting() as steps:
        host.hardened(name="Host")
    return [effect for step in steps for effect in step.effects if isinstance(effect, str)]


def test_a_plan_says_of_the_kernel_one_line_a_file_with_its_settings() -> None:
    first = ["container none", "kernel /proc/sys/kernel/kptr_restrict:0", "kernel /proc/sys/kernel/panic:0"]
    for name in ("all", "default", "eth0", "lo"):
        first += [f"kernel /proc/sys/net/ipv4/conf/{name}/{key}:1" for key in ("send_redirects", "rp_filter")]
    assert said([*first, "login PASS_MIN_DAYS 0", "login SHA_CRYPT_MIN_ROUNDS 65536"])[1:] == [
        "the kernel's settings, by /etc/sysctl.d/99-zz-smarteros-kernel.conf: kernel.kptr_restrict = 2, kernel.panic = 10",
        "the kernel's settings, by /etc/sysctl.d/99-zz-smarteros-network.conf: net.ipv4.conf.*.send_redirects = 0, net.ipv4.conf.all.rp_filter = 2, net.ipv4.conf.default.rp_filter = 2",
        "/etc/login.defs: PASS_MIN_DAYS 1",
        "the rules of the audit log are loaded",
        "started: apt-daily-upgrade.timer, apt-daily.timer, auditd.service, cron.service, fail2ban.service, systemd-timesyncd.service",
    ]


def test_a_plan_says_why_of_what_is_no_file_of_ours() -> None:
    lines = [
        line.replace("stat 700 root:root /etc/cron.d", "stat 755 root:root /etc/cron.d") for line in MACHINE
    ]
    path, digest = next(iter(host.RETIRED.items()))
    again = "all of it is applied once more: what was applied last is not noted, or was another version's"
    assert said([*lines, f"sum {digest}  {path}", f"stat 644 root:root {path}", "noted digest 0"]) == [
        "/etc/cron.d: for root alone",
        f"{path}: an earlier release's, which goes",
        again,
    ]
    assert said([line for line in noted(MACHINE) if not line.startswith("noted digest")]) == [again]


@pytest.mark.parametrize("line", ["sum 00", "stat 644", "kernel /proc/sys/kernel/panic", "rules many"])
def test_a_line_that_no_host_prints_is_an_error(line: str) -> None:
    with pytest.raises(FactProcessError, match=r"^cannot read what the host says of its hardening: "):
        HostFact().process([line])


def test_a_host_is_read() -> None:
    lines = ["sum 0a  /etc/issue", "stat 644 root:root /etc/issue", "stat 755 root:root /etc/cron.d"]
    lines += ["kernel /proc/sys/kernel/panic:10", "noted refused /proc/sys/x", "rules 7", "container lxc", ""]
    assert HostFact().process(lines) == HostState(
        files={"/etc/issue": "0a 644 root:root", "/etc/cron.d": "755 root:root"},
        kernel={"/proc/sys/kernel/panic": "10"},
        noted=("refused /proc/sys/x",),
        audit_rules=7,
        container="lxc",
    )


OWN = [
    "sysctl /etc/sysctl.conf|kernel.kptr_restrict|0",
    "sysctl /etc/sysctl.d/9-vpn.conf|net.ipv4.conf.eth0.send_redirects|1",
    "loaded usb_storage",
    "update Unattended-Upgrade::Automatic-Reboot true",
]


def test_what_the_hosts_own_files_say_and_what_it_uses_stays_and_is_said() -> None:
    lines = [
        line.replace("kptr_restrict:2", "kptr_restrict:0").replace(
            "eth0/send_redirects:0", "eth0/send_redirects:1"
        )
        for line in [*MACHINE, *OWN]
    ]
    with state(lines):
        *_, command = commands(host.hardened)
    assert "kptr_restrict" not in re.sub(r"case \$path in .*", "", str(command))
    assert (
        "case $path in /proc/sys/kernel/kptr_restrict | /proc/sys/net/ipv4/conf/eth0/send_redirects) continue ;; esac"
        in str(command)
    )
    found = HostFact().process(lines)
    texts = host.wanted_files(found)
    assert "install usb-storage" not in texts[theirs.MODPROBE]
    right = [*lines]
    for path, text in texts.items():
        old, new = sha256(FILES[path].encode()).hexdigest(), sha256(text.encode()).hexdigest()
        right = [line.replace(f"sum {old}  {path}", f"sum {new}  {path}") for line in right]
    assert done(noted(right)) == []
    assert list(host.shortcomings(found)) == [
        (
            "its kernel keeps what its own files say: kernel.kptr_restrict=0 (/etc/sysctl.conf), "
            "net.ipv4.conf.eth0.send_redirects=1 (/etc/sysctl.d/9-vpn.conf)"
        ),
        "it can go on loading usb-storage, uas, which it uses or its files name",
        'its own settings of apt count: Unattended-Upgrade::Automatic-Reboot "true"',
    ]


# ── for real, below a folder ──


class Folder:
    """A small host below a folder: /etc, /proc/sys and programs that only note how they were called."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "bin").mkdir()
        self.program("systemctl", '[ "$1 $3" != "is-active auditd.service" ]')
        self.program("augenrules", "true")
        self.program("auditctl", "echo '-a always,exit -F key=smarteros-root'")
        self.program("chown", "true")
        self.program("aide", f"echo all >{root}/var/lib/aide/smarteros.db.new")
        for path in (
            "etc/cron.d",
            "proc/sys/kernel",
            "proc/sys/net/ipv4/conf/eth0",
            "proc/sys/net/ipv4/conf/all",
        ):
            (root / path).mkdir(parents=True)
        for path in ("etc/crontab", "etc/issue"):
            (root / path).write_text("before")
        (root / "etc/login.defs").write_text("# PASS_MIN_DAYS 7\nPASS_MIN_DAYS\t0\nUID_MIN 1000\n")
        for path in ("kernel/panic", "net/ipv4/conf/all/send_redirects", "net/ipv4/conf/eth0/send_redirects"):
            (root / "proc/sys" / path).write_text("1\n")
        # Nothing of this name can be written, not even by root.
        (root / "proc/sys/kernel/kptr_restrict").symlink_to("/proc/version")

    def program(self, name: str, body: str) -> None:
        """A program that notes its call and then does ``body``."""
        path = self.root / "bin" / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >>{self.root}/called\n{body}\n')
        path.chmod(0o755)

    def moved(self, text: str) -> str:
        """Shell with every place of ours below the folder."""
        for place in PLACES:
            text = text.replace(place, f"{self.root}{place}")
        return text

    def run(self, command: Any, given: str | None = None) -> int:
        """Runs a command of ours; its exit code."""
        path = {"PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        text = stdin(command) if given is None else given
        return subprocess.run(
            ["sh", "-c", self.moved(str(command))], input=text, text=True, check=False, env=path
        ).returncode

    def ask(self) -> list[str]:
        """What the fact's command prints here, as if it were below /."""
        _, *arguments = host.question()
        path = {"PATH": f"{self.root}/bin:{os.environ['PATH']}"}
        text = self.moved(HostFact().command(*arguments))
        done = subprocess.run(["sh", "-c", text], capture_output=True, text=True, check=True, env=path)
        return done.stdout.replace(str(self.root), "").splitlines()

    def read(self, path: str) -> str:
        """A file's text."""
        return (self.root / path).read_text()

    def mode(self, path: str) -> int:
        """A file's permissions."""
        return stat.S_IMODE((self.root / path).stat().st_mode)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def settle(lines: list[str] = MACHINE) -> Any:
    with state(lines):
        [command] = commands(host.hardened)
    return command


def test_all_files_stand_there_and_the_kernel_follows_with_what_it_refuses_noted(folder: Folder) -> None:
    assert folder.run(settle()) == 0
    assert {path: folder.read(path[1:]) for path in FILES} == FILES
    assert {folder.mode(path[1:]) for path in FILES} == {0o644}
    assert (folder.mode("etc/crontab"), folder.mode("etc/cron.d")) == (0o600, 0o700)
    assert folder.read("proc/sys/kernel/panic") == "10\n"
    assert folder.read("proc/sys/net/ipv4/conf/all/send_redirects") == "0\n"
    assert folder.read("proc/sys/net/ipv4/conf/eth0/send_redirects") == "0\n"
    logins = "# PASS_MIN_DAYS 7\nUID_MIN 1000\nPASS_MIN_DAYS 1\nSHA_CRYPT_MIN_ROUNDS 65536\n"
    assert (folder.read("etc/login.defs"), folder.mode("etc/login.defs")) == (logins, 0o644)
    *rest, digest = folder.read("opt/smarteros/host").splitlines()
    assert rest == [
        f"refused {folder.root}/proc/sys/kernel/kptr_restrict",
        "refused auditd.service",
        "rules 1",
    ]
    assert re.fullmatch(r"digest \w{12}", digest)
    assert sorted(path.name for path in (folder.root / "etc").iterdir() if path.name.startswith(".")) == []


def test_services_learn_of_their_files(folder: Folder) -> None:
    assert folder.run(settle()) == 0
    called = folder.read("called").splitlines()
    assert [line for line in called if "is-" not in line and "chown" not in line] == [
        "systemctl disable --quiet --now apport.service",
        "systemctl restart systemd-journald.service",
        "augenrules --load",
        "systemctl enable --quiet --now apt-daily-upgrade.timer",
        "systemctl enable --quiet --now apt-daily.timer",
        "systemctl enable --quiet --now auditd.service",
        "systemctl enable --quiet --now chrony.service",
        "systemctl enable --quiet --now cron.service",
        "systemctl enable --quiet --now fail2ban.service",
        "systemctl reload fail2ban.service",
        f"aide --config={folder.root}/etc/aide/smarteros.conf --init",
        "auditctl -l",
    ]
    assert folder.mode("vault/secrets") == 0o700
    assert folder.read("var/lib/aide/smarteros.db") == "all\n"


def test_what_is_known_of_programs_is_not_forgotten_by_a_later_run(folder: Folder) -> None:
    (folder.root / "var/lib/aide").mkdir(parents=True)
    (folder.root / "var/lib/aide/smarteros.db").write_text("before")
    assert folder.run(settle()) == 0
    assert folder.read("var/lib/aide/smarteros.db") == "before"


SHARED = ["shared /etc/cron.d", "stat 770 root:root /etc/cron.d", "stat 644 root:cronops /etc/crontab"]


def test_what_has_an_access_list_stays_as_it_is_and_what_is_closed_is_named(folder: Folder) -> None:
    (folder.root / "etc/cron.d").chmod(0o770)
    found = HostFact().process([*MACHINE, *SHARED])
    assert list(host.remarks(found)) == [
        "for root alone from now on: /etc/crontab (644 root:cronops)",
        "/etc/cron.d: open to whom an access list names, as before (getfacl)",
    ]
    assert folder.run(settle([*MACHINE, *SHARED])) == 0
    assert (folder.mode("etc/cron.d"), folder.mode("etc/crontab")) == (0o770, 0o600)


def index(folder: Folder) -> list[str]:
    """Its lines about what is no file of ours alone."""
    lines = folder.read("var/lib/smarteros/before/index").replace(str(folder.root), "").splitlines()
    return [line for line in lines if not re.match("new /.*smarteros", line)]


def test_what_stood_there_is_kept_with_its_modes_and_values_and_the_first_state_stays(folder: Folder) -> None:
    (folder.root / "etc/issue").chmod(0o640)
    (folder.root / "etc/cron.d").chmod(0o755)
    (folder.root / "etc/default").mkdir()
    (folder.root / "etc/default/debsums").symlink_to("/srv/debsums")
    kept = folder.root / f"var/lib/smarteros/before/files{folder.root}/etc"
    for _ in range(2):
        assert folder.run(settle()) == 0
        (folder.root / "etc/issue").write_text("a hand has changed this since")
        assert (kept / "issue").read_text() == "before"
        assert stat.S_IMODE((kept / "issue").stat().st_mode) == 0o640
        assert (kept / "default/debsums").readlink() == Path("/srv/debsums")
        assert (kept / "login.defs").read_text() == "# PASS_MIN_DAYS 7\nPASS_MIN_DAYS\t0\nUID_MIN 1000\n"
        owner = f"{folder.root.owner()}:{folder.root.group()}"
        assert index(folder) == [
            "kept /etc/default/debsums",
            "kept /etc/issue",
            "new /etc/issue.net",
            "kept /etc/login.defs",
            f"mode 644 {owner} /etc/crontab",
            f"mode 755 {owner} /etc/cron.d",
        ]
        values = folder.read("var/lib/smarteros/before/kernel").replace(str(folder.root), "").splitlines()
        assert "/proc/sys/kernel/panic 1" in values
        assert "/proc/sys/net/ipv4/conf/eth0/send_redirects 1" in values
    assert folder.mode("var/lib/smarteros/before") == 0o700


OURS_BEFORE = {
    "/etc/issue": FILES["/etc/issue"],
    "/etc/default/debsums": "# Written by the deploy. Otherwise then.\n",
    "/etc/login.defs": "UID_MIN 1000\nPASS_MIN_DAYS 1\nSHA_CRYPT_MIN_ROUNDS 65536\n",
}


def test_files_of_an_earlier_release_are_not_taken_for_the_operators(folder: Folder) -> None:
    (folder.root / "opt/smarteros").mkdir(parents=True)
    (folder.root / "opt/smarteros/host").write_text("digest 0123\n")
    for path, text in OURS_BEFORE.items():
        (folder.root / path[1:]).parent.mkdir(exist_ok=True)
        (folder.root / path[1:]).write_text(text)
    assert folder.run(settle()) == 0
    assert [line for line in index(folder) if "/" in line and not line.startswith("mode")] == [
        "earlier /etc/default/debsums",
        "earlier /etc/issue",
        "new /etc/issue.net",
        "earlier /etc/login.defs",
    ]
    assert not (folder.root / "var/lib/smarteros/before/files").exists()


JAIL = """# Written by the deploy. Keys alone let anybody in; this keeps those who only try out of the log for a while.
# Ten, since an agent with several keys fails several times for each login.
[DEFAULT]
backend = systemd
banaction = nftables
findtime = 10m
maxretry = 10
bantime = 10m

[sshd]
enabled = true
"""


def test_an_earlier_releases_jail_goes_and_an_operators_or_an_edited_one_stays(folder: Folder) -> None:
    jail = folder.root / "etc/fail2ban/jail.local"
    jail.parent.mkdir()
    for text, left in (
        (JAIL, None),
        (f"{JAIL}ignoreip = ::1\n", f"{JAIL}ignoreip = ::1\n"),
        ("mine\n", "mine\n"),
    ):
        jail.write_text(text)
        assert folder.run(settle()) == 0
        assert (jail.read_text() if jail.exists() else None) == left
    assert done([*noted(MACHINE), *STANDING]) == [SETTLE]


def test_an_earlier_releases_settings_of_apt_go(folder: Folder) -> None:
    old = folder.root / "etc/apt/apt.conf.d/52smarteros"
    old.parent.mkdir(parents=True)
    old.write_text("// mine")
    assert folder.run(settle()) == 0
    assert old.read_text() == "// mine"
    assert (old.parent / "00smarteros").exists()


def test_a_value_of_the_hosts_own_and_a_module_in_use_stay_on_it_for_good(folder: Folder) -> None:
    (folder.root / "etc/sysctl.d").mkdir()
    (folder.root / "etc/sysctl.d/9.conf").write_text("net.ipv4.conf.eth0.send_redirects = 1\n")
    (folder.root / "proc/modules").write_text("sctp 1 1 - Live 0x0\n")
    assert folder.run(settle([*MACHINE, *folder.ask()])) == 0
    assert folder.read("proc/sys/net/ipv4/conf/all/send_redirects") == "0\n"
    assert folder.read("proc/sys/net/ipv4/conf/eth0/send_redirects") == "1\n"
    (folder.root / "proc/modules").write_text("")
    found = HostFact().process(folder.ask())
    assert found.theirs.modules == {"sctp"}
    assert "install sctp" not in folder.read("etc/modprobe.d/smarteros.conf")
    assert (
        found.files["/etc/modprobe.d/smarteros.conf"].split()[0]
        == sha256(host.wanted_files(found)["/etc/modprobe.d/smarteros.conf"].encode()).hexdigest()
    )


STANDING = [
    f"sum {sha256(JAIL.encode()).hexdigest()}  /etc/fail2ban/jail.local",
    "stat 644 root:root /etc/fail2ban/jail.local",
]


def test_an_earlier_releases_list_of_programs_goes_with_its_database(folder: Folder) -> None:
    aide = folder.root / "var/lib/aide/aide.db"
    aide.parent.mkdir(parents=True)
    conf = folder.root / "etc/aide/aide.conf"
    conf.parent.mkdir()
    own = FILES["/etc/aide/smarteros.conf"].replace("smarteros.db", "aide.db").splitlines(keepends=True)
    for text, there in (("".join([own[0], *own[2:]]), False), ("mine\n", True)):
        aide.write_text("known")
        conf.write_text(text)
        assert folder.run(settle()) == 0
        assert aide.exists() == there
        assert (conf.read_text() if there else str(conf.readlink())) == (
            "mine\n" if there else "smarteros.conf"
        )
        conf.unlink()


def test_a_cut_transfer_changes_no_file_and_leaves_no_note_so_that_the_next_run_does_it(
    folder: Folder,
) -> None:
    command = settle()
    whole = stdin(command)
    assert folder.run(command) == 0
    (folder.root / "etc/issue").write_text("before")
    for length in (0, len(whole) // 2, len(whole) - 8):
        assert folder.run(command, whole[:length]) != 0
        assert not (folder.root / "opt/smarteros/host").exists()
        assert folder.read("etc/issue") == "before"
    assert folder.run(command) == 0
    assert folder.read("etc/issue") == FILES["/etc/issue"]
    assert (folder.root / "opt/smarteros/host").exists()


def test_a_service_that_cannot_restart_leaves_no_note(folder: Folder) -> None:
    folder.program("systemctl", '[ "$1" != restart ]')
    assert folder.run(settle()) != 0
    assert not (folder.root / "opt/smarteros/host").exists()


def test_the_fact_reads_what_the_command_did(folder: Folder) -> None:
    assert folder.run(settle()) == 0
    found = HostFact().process(folder.ask())
    owner = f"{folder.root.owner()}:{folder.root.group()}"
    expected = {path: f"{sha256(text.encode()).hexdigest()} 644 {owner}" for path, text in FILES.items()}
    assert {path: found.files[path] for path in FILES} == expected
    assert found.files["/etc/cron.d"] == f"700 {owner}"
    assert found.kernel["/proc/sys/kernel/panic"] == "10"
    assert found.kernel["/proc/sys/net/ipv4/conf/eth0/send_redirects"] == "0"
    assert found.noted[:3] == ("refused /proc/sys/kernel/kptr_restrict", "refused auditd.service", "rules 1")
    assert found.audit_rules == 1
    assert found.logins == host.LOGINS


def test_programs_that_print_at_once_do_not_cut_each_others_lines(folder: Folder) -> None:
    for number in range(2000):
        path = folder.root / f"proc/sys/net/ipv4/conf/veth{number}/send_redirects"
        path.parent.mkdir()
        path.write_text("0\n")
    folder.program("timedatectl", "for n in $(seq 60000); do echo NTPSynchronized=yes; done")
    printed = folder.ask()
    assert {line for line in printed if "NTP" in line} == {"NTPSynchronized=yes"}
    assert len(HostFact().process(printed).kernel) > 2000


# ── the files ──


def test_no_kernel_setting_can_break_docker_or_the_network() -> None:
    settings = theirs.kernel(host.files())
    patterns = set(settings)
    assert len(patterns) > 25
    forbidden = re.compile(
        r"forward|accept_ra|autoconf|disable_ipv6|modules_disabled|namespaces|proxy_arp|bridge"
    )
    assert [pattern for pattern in patterns if forbidden.search(pattern)] == []
    assert settings["/proc/sys/net/ipv4/conf/all/rp_filter"] == "2"


def test_every_line_of_the_sysctl_file_is_a_setting() -> None:
    lines = [line for path, text in FILES.items() if "/sysctl.d/" in path for line in text.splitlines()]
    assert len(lines) > 50
    wrong = [line for line in lines if line and not re.fullmatch(r"#.*|[a-z0-9_.*-]+ = \S+", line)]
    assert wrong == []


def dumped(tmp_path: Path, *texts: str) -> list[tuple[str, str]]:
    """What apt reads from files with these texts, in their order: key and value."""
    both = tmp_path / "apt.conf"
    both.write_text("\n".join(texts))
    said = subprocess.run(
        ["apt-config", "dump"],
        env={**os.environ, "APT_CONFIG": str(both)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    return re.findall(r'^(\S+?)(?:::)? "(.+)";$', said, re.MULTILINE)


def test_security_fixes_install_themselves_and_docker_stays(tmp_path: Path) -> None:
    stock = 'Unattended-Upgrade::Origins-Pattern { "origin=Debian,codename=x,label=Debian-Security"; };'
    values = dumped(tmp_path, FILES[theirs.UPDATES], stock)
    assert [value for key, value in values if key == "Unattended-Upgrade::Origins-Pattern"] == [
        "origin=Debian,codename=x,label=Debian-Security"
    ]
    held = [value for key, value in values if key == "Unattended-Upgrade::Package-Blacklist"]
    packages = [
        "docker.io",
        "docker-ce",
        "docker-ce-cli",
        "docker-compose",
        "containerd",
        "containerd.io",
        "runc",
    ]
    assert [
        name for name in [*packages, "openssl", "systemd"] if any(re.match(item, name) for item in held)
    ] == packages
    assert ("APT::Periodic::Unattended-Upgrade", "1") in values
    assert ("Unattended-Upgrade::Automatic-Reboot", "false") in values


def test_what_an_operator_says_of_updates_counts(tmp_path: Path) -> None:
    own = 'Unattended-Upgrade { Automatic-Reboot "true"; Package-Blacklist { "mysql"; }; };\nAPT::Periodic::Unattended-Upgrade "0";'
    values = dumped(tmp_path, FILES[theirs.UPDATES], own)
    assert ("Unattended-Upgrade::Automatic-Reboot", "true") in values
    assert ("APT::Periodic::Unattended-Upgrade", "0") in values
    held = [value for key, value in values if key == "Unattended-Upgrade::Package-Blacklist"]
    assert held == ["containerd", "docker", "runc", "mysql"]
    folder = {Path(path).name for path in FILES if "/apt.conf.d/" in path}
    assert folder == {"00smarteros"}  # before all others


def test_needrestart_restarts_services_but_never_docker_or_ours() -> None:
    config = SOURCE / "etc/needrestart/conf.d/smarteros.conf"
    program = f"""
        our %nrconf = (override_rc => {{ qr(^dbus) => 0 }});
        my $read = do "{config}"; die $@ if $@;
        print $nrconf{{restart}}, "\\n";
        for my $unit (qw(docker.service containerd.service smarteros-firewall.service dbus.service ssh.service)) {{
            print "$unit\\n" if grep {{ $unit =~ /$_/ && !$nrconf{{override_rc}}{{$_}} }} keys %{{$nrconf{{override_rc}}}};
        }}
    """
    done = subprocess.run(["perl", "-e", program], capture_output=True, text=True, check=True)
    kept = ["docker.service", "containerd.service", "smarteros-firewall.service", "dbus.service"]
    assert done.stdout.splitlines() == ["a", *kept]


def test_no_module_is_kept_out_that_docker_or_a_cloud_needs() -> None:
    lines = [line for line in FILES["/etc/modprobe.d/smarteros.conf"].splitlines() if line and line[0] != "#"]
    names = [line.removeprefix("install ").removesuffix(" /bin/false") for line in lines]
    assert lines == [f"install {name} /bin/false" for name in names]
    needed = {
        "overlay",
        "br_netfilter",
        "nf_tables",
        "veth",
        "vxlan",
        "bridge",
        "squashfs",
        "udf",
        "vfat",
        "isofs",
        "esp4",
    }
    assert needed & set(names) == set()


def test_every_audit_rule_has_a_key_of_ours_and_counts() -> None:
    lines = FILES["/etc/audit/rules.d/60-smarteros.rules"].splitlines()
    rules = [line for line in lines if not line.startswith("#")]
    assert rules[0] == "-i"
    assert [
        rule
        for rule in rules[1:]
        if not re.fullmatch(r"-a always,exit -F arch=b64 .* -k smarteros-\w+", rule)
    ] == []
    assert len(rules) == 8


def test_the_banner_names_no_system_and_warns() -> None:
    assert FILES["/etc/issue"] == FILES["/etc/issue.net"]
    assert not re.search(r"debian|ubuntu|linux|\\", FILES["/etc/issue"], re.IGNORECASE)
    assert "Unauthorized use is prohibited" in FILES["/etc/issue"]


@pytest.mark.parametrize("ends", [0, 7])
def test_the_timer_of_a_package_that_came_with_us_is_enabled(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, ends: int
) -> None:
    """Also by the run after one that was cut short in between, or failed: what has begun is told from what has ended."""
    monkeypatch.setattr("tasks.operations.survey.installs", list)
    monkeypatch.setattr(apt, "script", lambda _, __, *lines: "\n".join(["set -e", *lines, f"(exit {ends})"]))
    enabled = "systemctl enable --quiet --now apt-listchanges.timer"
    note = folder.root / "opt/smarteros/host"
    assert folder.run(settle()) == 0
    assert enabled not in folder.read("called").splitlines()
    assert folder.run(host.install(["aide"]), "") == ends
    assert note.exists()
    assert folder.run(host.install(["aide", "apt-listchanges"]), "") == ends
    assert not note.exists()
    assert enabled not in folder.read("called").splitlines()
    assert folder.run(settle()) == 0
    assert folder.run(settle()) == 0
    assert folder.read("called").splitlines().count(enabled) == 1
    assert [path.name for path in note.parent.iterdir()] == ["host"]

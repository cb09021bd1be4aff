"""SSH: the exact drop-in for each sshd and login, when it is written, and what is said when it is not."""

import hashlib
import os
import subprocess
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import paramiko
import pytest

from tasks import ssh
from tasks.facts import MachineFact
from tasks.facts.access import DROP_IN, EFFECTIVE, Access
from tasks.facts.ssh_says import Says
from tests.facts.test_facts import MACHINE
from tests.fake import commands, fake
from tests.samples import refusals

PQ = "mlkem768x25519-sha256 sntrup761x25519-sha512 sntrup761x25519-sha512@openssh.com"
CLASSIC = "curve25519-sha256 curve25519-sha256@libssh.org"
DEBIAN_13 = Access(
    sshd=True,
    ssh_keywords=frozenset(("requiredrsasize", "debianbanner")),
    ssh_kex=frozenset(f"{PQ} {CLASSIC} ecdh-sha2-nistp256".split()),
)
UBUNTU_22 = Access(
    sshd=True,
    ssh_keywords=frozenset(("debianbanner",)),
    ssh_kex=frozenset(f"sntrup761x25519-sha512@openssh.com {CLASSIC}".split()),
)

SETTINGS = """
AuthenticationMethods publickey
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
HostbasedAuthentication no
PermitEmptyPasswords no
PermitUserEnvironment no
StrictModes yes
RequiredRSASize 2048
KexAlgorithms mlkem768x25519-sha256,sntrup761x25519-sha512,sntrup761x25519-sha512@openssh.com
Ciphers chacha20-poly1305@openssh.com,aes256-gcm@openssh.com,aes256-ctr,aes192-ctr,aes128-gcm@openssh.com,aes128-ctr
MACs hmac-sha2-512-etm@openssh.com,hmac-sha2-256-etm@openssh.com,umac-128-etm@openssh.com
HostKey /etc/ssh/ssh_host_ed25519_key
HostKeyAlgorithms ssh-ed25519,ssh-ed25519-cert-v01@openssh.com
Compression no
MaxSessions 20
LoginGraceTime 30
MaxStartups 10:30:60
PerSourceMaxStartups 4
ClientAliveInterval 60
ClientAliveCountMax 2
TCPKeepAlive no
AllowTcpForwarding local
PermitOpen 127.0.0.1:* localhost:* *:3000
GatewayPorts no
AllowStreamLocalForwarding no
AllowAgentForwarding no
X11Forwarding no
PermitTunnel no
LogLevel VERBOSE
UseDNS no
Banner none
DebianBanner no
"""


def client(
    user: str = "root",
    shown: str = "ssh-ed25519",
    known: tuple[str, ...] = (),
    port: int = 22,
    kex: tuple[str, ...] = ("mlkem768x25519-sha256", "curve25519-sha256@libssh.org"),
) -> Any:
    """Plays pyinfra's connection: as whom it logged in, what host key it was shown, which ones known_hosts has, what its
    library can do.
    """
    keys = paramiko.HostKeys()
    name = "one.example" if port == 22 else f"[one.example]:{port}"
    for kind in known:
        key: Any = SimpleNamespace(get_name=lambda kind=kind: kind)
        keys.add(name, kind, key)
    transport = SimpleNamespace(
        get_username=lambda: user,
        auth_handler=SimpleNamespace(auth_method="publickey"),
        get_remote_server_key=lambda: SimpleNamespace(get_name=lambda: shown),
        get_security_options=lambda: SimpleNamespace(kex=kex),
        open_session=None,
    )
    return SimpleNamespace(
        get_transport=lambda: transport, get_host_keys=lambda: keys, _ssh_config={"port": port}
    )


def reached(host: Any, connection: Any) -> None:
    """The host is reached over that connection."""
    host.connector.client = connection
    host.connector.data = {
        **host.connector.data,
        "ssh_hostname": "one.example",
        "ssh_config_file": os.devnull,
    }


def text(access: Access, connection: Any, **settings: Any) -> list[str]:
    """The drop-in's settings."""
    with fake({}, **settings) as host:
        reached(host, connection)
        return [line for line in ssh.text(access, connection).splitlines() if line and line[0] != "#"]


ALGORITHMS = ("RequiredRSASize", "KexAlgorithms", "Ciphers", "MACs", "HostKey")


def test_no_client_is_shut_out_by_an_algorithm() -> None:
    everything = [line for line in SETTINGS.split("\n")[1:-1] if not line.startswith(ALGORITHMS)]
    assert text(DEBIAN_13, client()) == everything
    assert not [line for line in everything if line.startswith(("PubkeyAccepted", "MaxAuthTries"))]


def test_what_its_own_files_may_settle_is_left_to_them() -> None:
    own = [Says("/etc/ssh/sshd_config.d/own.conf", "plain", *pair) for pair in (
        ("allowagentforwarding", "yes"), ("banner", "/etc/issue.net"), ("permittunnel", "yes"))]  # fmt: skip
    found = text(replace(DEBIAN_13, ssh_says=tuple(own)), client())
    assert sorted({*text(DEBIAN_13, client())} - {*found}) == ["AllowAgentForwarding no", "Banner none"]


def test_the_drop_in_of_a_strict_one() -> None:
    assert text(DEBIAN_13, client(), strict_ssh=True) == SETTINGS.split("\n")[1:-1]


def test_an_older_sshd_gets_what_it_knows_and_what_this_program_can_do() -> None:
    found = text(UBUNTU_22, client(), strict_ssh=True)
    assert "KexAlgorithms sntrup761x25519-sha512@openssh.com" in found
    assert not [line for line in found if line.startswith("RequiredRSASize")]


def strict(access: Access, connection: Any) -> list[str]:
    """Why strict_ssh is refused."""
    answer = lines(access, connection)
    with fake({"/etc/os-release": answer}, strict_ssh=True) as host:
        reached(host, connection)
        return [*ssh.refusals()]


def test_strict_is_had_where_this_machine_can_still_log_in() -> None:
    assert strict(DEBIAN_13, client()) == []


@pytest.mark.parametrize(
    ("access", "kex", "left"),
    [
        (DEBIAN_13, ("curve25519-sha256@libssh.org",), PQ.replace(" ", ", ")),
        (UBUNTU_22, ("mlkem768x25519-sha256",), "sntrup761x25519-sha512@openssh.com"),
        (Access(sshd=True, ssh_keywords=frozenset(("x",))), ("mlkem768x25519-sha256",), "none"),
    ],
)
def test_strict_is_refused_where_this_machine_would_be_shut_out(
    access: Access, kex: tuple[str, ...], left: str
) -> None:
    assert strict(access, client(kex=kex)) == [
        (
            "strict_ssh: this machine could not log in any more: of the key exchanges that would be left there "
            f"({left}) its SSH library (paramiko {paramiko.__version__}) knows none: install what requirements.lock names, "
            "take a host whose OpenSSH is 9.9 or newer, or leave strict_ssh at False"
        )
    ]


def test_a_run_that_logs_in_with_a_password_is_refused() -> None:
    connection = client("ann")
    connection.get_transport().auth_handler = SimpleNamespace(auth_method="password")
    with fake({}) as host:
        reached(host, connection)
        assert [*ssh.refusals()] == [
            (
                "ssh_password: this run logs in with a password, and afterwards only keys count: give 'ann' one "
                "(ssh-copy-id), and take ssh_password out of the inventory"
            )
        ]


def test_the_setting_of_before_is_refused_with_what_became_of_it() -> None:
    assert refusals(older_ssh_clients=True) == [
        (
            "older_ssh_clients: unknown setting: older SSH clients are let in unless strict_ssh = True, "
            "which is what older_ssh_clients = False was"
        )
    ]


def test_whoever_has_a_key_may_go_on_logging_in_and_where_users_are_named_nobody_else() -> None:
    assert not [
        line for line in text(DEBIAN_13, client("deploy")) if line.startswith(("AllowUsers", "PermitRoot"))
    ]
    alone = text(DEBIAN_13, client("deploy"), login_users=["deploy"])
    assert alone[:2] == ["AllowUsers deploy", "PermitRootLogin no"]
    named = text(DEBIAN_13, client("deploy"), login_users=["root", "deploy"])
    assert named[:3] == ["AllowUsers deploy", "AllowUsers root", "PermitRootLogin prohibit-password"]


def test_a_second_factor_is_kept_as_the_host_has_it_and_a_key_is_asked_for_besides() -> None:
    assert text(DEBIAN_13, client(), second_factor=True) == [
        line.replace("KbdInteractiveAuthentication no", "KbdInteractiveAuthentication yes")
        for line in text(DEBIAN_13, client())
    ]
    both = Says("/etc/ssh/sshd_config", "plain", "authenticationmethods", "publickey,keyboard-interactive")
    host = replace(DEBIAN_13, ssh_says=(both,))
    assert text(host, client()) == text(DEBIAN_13, client())
    assert text(host, client(), second_factor=True)[:1] == [
        "AuthenticationMethods publickey,keyboard-interactive"
    ]


@pytest.mark.parametrize(
    ("line", "after"),
    [
        ("match 1 authenticationmethods keyboard-interactive", "nobody gets in without a key"),
        ("match 1 passwordauthentication yes", "a key alone lets people in"),
    ],
)
def test_where_pam_may_ask_what_lets_in_by_that_alone_is_refused_later_too(line: str, after: str) -> None:
    for second_factor, count in ((False, 0), (True, 1)):
        answer = lines(DEBIAN_13, client(), f"ssh_says /etc/ssh/sshd_config {line}")
        with fake({"/etc/os-release": answer}, second_factor=second_factor) as host:
            reached(host, client())
            found = [*ssh.refusals()]
        assert [after in text for text in found] == [True] * count


def test_people_get_through_to_the_hosts_behind_that_the_settings_name() -> None:
    found = text(
        DEBIAN_13, client(), jump_to=["10.0.0.5:22", "[2001:db8::5]:22"], services=["vault", "postgres"]
    )
    assert "PermitOpen 127.0.0.1:* localhost:* 10.0.0.5:22 [2001:db8::5]:22" in found


def test_without_dokploy_no_tunnel_leads_to_a_container() -> None:
    without = [name for name in fake_services() if name != "dokploy"]
    assert "PermitOpen 127.0.0.1:* localhost:*" in text(DEBIAN_13, client(), services=without)


def fake_services() -> list[str]:
    with fake({}) as host:
        return list(host.data.services)


def host_keys(connection: Any) -> list[str]:
    return [line for line in text(DEBIAN_13, connection, strict_ssh=True) if line.startswith("HostKey")]


ED25519_ONLY = [line for line in SETTINGS.split("\n") if line.startswith("HostKey")]


@pytest.mark.parametrize(
    ("shown", "kept", "algorithms"),
    [
        ("ssh-rsa", "rsa", "rsa-sha2-512,rsa-sha2-256"),
        ("ecdsa-sha2-nistp256", "ecdsa", "ecdsa-sha2-nistp256"),
    ],
)
def test_a_host_known_by_an_older_key_goes_on_showing_it(shown: str, kept: str, algorithms: str) -> None:
    assert host_keys(client(shown=shown, known=(shown,))) == [
        "HostKey /etc/ssh/ssh_host_ed25519_key",
        f"HostKey /etc/ssh/ssh_host_{kept}_key",
        f"HostKeyAlgorithms ssh-ed25519,ssh-ed25519-cert-v01@openssh.com,{algorithms}",
    ]


@pytest.mark.parametrize("port", [22, 2222])
def test_a_host_known_by_both_keys_shows_the_newer_one_alone(port: int) -> None:
    known = ("ssh-rsa", "ssh-ed25519")
    assert host_keys(client(shown="ssh-rsa", known=known, port=port)) == ED25519_ONLY


def test_a_login_that_is_not_among_the_users_is_refused_before_anything_changes() -> None:
    with fake({}, login_users=["deploy"]) as host:
        reached(host, client("root"))
        assert [*ssh.refusals()] == [
            "login_users: 'root', as whom this run logs in, is not among them: add it"
        ]
        reached(host, client("deploy"))
        assert [*ssh.refusals()] == []
    assert refusals(login_users=["two words"]) == [
        "login_users.0: 'two words' is no name of a user (like deploy)"
    ]


def lines(access: Access, connection: Any, *more: str) -> list[str]:
    """What a host answers that has this drop-in, and goes by it."""
    with fake({}) as host:
        reached(host, connection)
        digest = hashlib.sha256(ssh.text(access, connection).encode()).hexdigest()
    return [
        *MACHINE,
        "sshd yes",
        f"ssh_keywords {' '.join(access.ssh_keywords)}",
        f"ssh_kex {' '.join(access.ssh_kex)}",
        f"access_file {DROP_IN} {digest} 644 root:root",
        "ssh_newer yes",
        "ssh_effective yes",
        *more,
    ]


def hardened(answer: list[str], connection: Any) -> list[str]:
    """The first line of each command."""
    with fake({"/etc/os-release": answer}) as host:
        reached(host, connection)
        return [str(command).splitlines()[0] for command in commands(ssh.hardened)]


def test_an_sshd_that_goes_by_our_drop_in_is_left_alone() -> None:
    assert hardened(lines(DEBIAN_13, client()), client()) == []


KEYGEN = (
    "[ -s /etc/ssh/ssh_host_ed25519_key ] || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key"
)


@pytest.mark.parametrize("missing", ["access_file", "ssh_newer", "ssh_effective"])
def test_a_drop_in_that_is_not_there_or_does_not_count_is_written_and_proven(missing: str) -> None:
    answer = [line for line in lines(DEBIAN_13, client()) if not line.startswith(missing)]
    keygen, change, _, disarm = hardened(answer, client())
    assert (keygen, change, disarm) == (KEYGEN, "set -eu", "cd /var/lib/smarteros")


def test_a_drop_in_that_others_may_write_is_written_anew() -> None:
    answer = [line.replace(" 644 ", " 666 ") for line in lines(DEBIAN_13, client())]
    assert len(hardened(answer, client())) == 4


@pytest.mark.parametrize(
    ("access", "make", "undo"),
    [
        (
            Access(),
            ["systemctl restart ssh.service"],
            [
                "systemctl reset-failed ssh.service 2>/dev/null",
                "systemctl --no-block restart ssh.service",
            ],
        ),
        (
            Access(ssh_unit="mine.service"),
            ["systemctl restart mine.service"],
            [
                "systemctl reset-failed mine.service 2>/dev/null",
                "systemctl --no-block restart mine.service",
            ],
        ),
        (
            Access(ssh_socket="daemon"),
            ["systemctl try-restart ssh.service"],
            [
                "systemctl reset-failed ssh.service ssh.socket 2>/dev/null",
                "systemctl --no-block start ssh.socket",
                "systemctl --no-block try-restart ssh.service",
            ],
        ),
        (Access(ssh_socket="each"), [":"], [":"]),
    ],
)
def test_what_serves_ssh_is_what_starts_anew(access: Access, make: list[str], undo: list[str]) -> None:
    assert tuple(text.splitlines() for text in ssh.restarts(access)) == (make, undo)


def test_an_sshd_that_cannot_read_its_own_files_is_not_touched() -> None:
    answer = [line for line in lines(DEBIAN_13, client()) if not line.startswith("ssh_keywords")]
    with fake({"/etc/os-release": answer}) as host:
        reached(host, client())
        (failure,) = commands(ssh.hardened)
        assert failure.function(host.state, host) is False


@pytest.mark.parametrize(
    ("present", "connection", "said"),
    [
        (
            True,
            None,
            "sshd: left as it is: this run has not come over SSH, so that nobody could prove that a login",
        ),
        (False, client(), "sshd: none on this host"),
    ],
)
def test_without_ssh_or_sshd_nothing_is_changed_and_it_is_said(
    caplog: pytest.LogCaptureFixture, present: bool, connection: Any, said: str
) -> None:
    answer = lines(DEBIAN_13, client()) if present else MACHINE
    with fake({"/etc/os-release": answer}) as host, caplog.at_level("INFO"):
        reached(host, connection)
        assert commands(ssh.hardened) == []
    assert said in caplog.text


def test_what_a_host_says_of_its_sshd_is_read() -> None:
    access = MachineFact().process([*lines(DEBIAN_13, client()), "ssh_port 2222", "ssh_port 22"]).access
    assert (access.sshd, access.ssh_ports, access.ssh_live) == (True, (22, 2222), True)
    assert (access.ssh_keywords, access.ssh_kex) == (DEBIAN_13.ssh_keywords, DEBIAN_13.ssh_kex)


# Plays sshd -T: everything when all files count, ours alone with -f. Asked for no port, it ends at a `Match LocalPort`.
SSHD = '#!/bin/sh\ncase $* in *-f*) cat ours ;; "-T -C lport="*) cat all ;; *) exit 255 ;; esac\n'


@pytest.mark.parametrize(
    ("everything", "counts"),
    [
        ("port 22\nallowusers root\npermitrootlogin without-password\nhostkey /b\n", True),
        ("port 22\nallowusers root\npermitrootlogin yes\nhostkey /b\n", False),
        ("port 22\nallowusers root\nallowusers eve\npermitrootlogin without-password\nhostkey /b\n", False),
        ("", False),
    ],
)
def test_a_file_that_overrides_ours_is_seen(tmp_path: Path, everything: str, counts: bool) -> None:
    ours = "port 22\nallowusers root\npermitrootlogin without-password\nhostkey /a\n"
    assert effective(tmp_path, everything, ours) is counts


@pytest.mark.parametrize(
    ("everything", "named"),
    [
        ("passwordauthentication yes\nusedns no\n", ["50-own.conf:2:PasswordAuthentication=yes"]),
        (
            "passwordauthentication no\nusedns no\nallowusers ana\n",
            [
                "50-own.conf:3:AllowUsers ana",
                "AllowUsers adds up over all files: login_users has to name everybody",
            ],
        ),
    ],
)
def test_a_late_refusal_names_the_lines_that_differ_and_no_others(
    tmp_path: Path, everything: str, named: list[str]
) -> None:
    (tmp_path / "sshd").write_text(SSHD)
    (tmp_path / "sshd").chmod(0o755)
    (tmp_path / "drop-in").write_text("PasswordAuthentication no\nUseDNS no\nAllowUsers root\n")
    (tmp_path / "50-own.conf").write_text("UseDNS no\nPasswordAuthentication=yes\nAllowUsers ana\n")
    (tmp_path / "ours").write_text("passwordauthentication no\nusedns no\nallowusers root\n")
    (tmp_path / "all").write_text(f"{everything}allowusers root\n")
    script = ssh._CHECK.replace("/usr/sbin/sshd -t", "").replace(DROP_IN, "drop-in")
    script = script.replace("/usr/sbin/sshd", "./sshd").replace("/etc/ssh/sshd_config.d", "50-own.conf")
    done = subprocess.run(["sh", "-c", script], cwd=tmp_path, check=False, capture_output=True, text=True)
    said = [line for line in done.stderr.splitlines()[1:] if not line.startswith("grep: ")]
    assert (done.returncode, said) == (1, named)


def test_a_file_that_comes_later_before_ours_is_refused_before_it_fails() -> None:
    line = "ssh_says /etc/ssh/sshd_config.d/0-x.conf above 1 passwordauthentication yes"
    for live in (True, False):
        answer = [text for text in lines(DEBIAN_13, client(), line) if live or text != "ssh_effective yes"]
        with fake({"/etc/os-release": answer}) as host:
            reached(host, client())
            assert len([*ssh.refusals()]) == (0 if live else 1)


def test_an_sshd_that_says_nothing_goes_by_nothing(tmp_path: Path) -> None:
    assert effective(tmp_path, "", "") is False


def effective(tmp_path: Path, everything: str, ours: str) -> bool:
    """Whether our drop-in counts, for what this sshd makes of all files, and of ours alone."""
    (tmp_path / "sshd").write_text(SSHD)
    (tmp_path / "sshd").chmod(0o755)
    (tmp_path / "drop-in").write_text(
        "# comment\nHostKey /a\nAllowUsers root\nPermitRootLogin prohibit-password\n"
    )
    (tmp_path / "ours").write_text(ours)
    (tmp_path / "all").write_text(everything)
    script = EFFECTIVE.replace("/usr/sbin/sshd", "./sshd").replace(DROP_IN, "drop-in")
    return subprocess.run(["sh", "-c", script], cwd=tmp_path, check=False).returncode == 0

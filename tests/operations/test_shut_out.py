"""Who is shut out: each way in that ends, with whom it was for and what to do."""

from tasks.facts.listeners import Listener
from tasks.facts.logins import Logins
from tasks.operations.shut_out import named, tunnels

HOME = "~/.ssh/authorized_keys"
FOUND = Logins(keys=("root", "ann"), commands=("git",), passwords={"carol": HOME})
PASSWORD = (
    "sshd: a password logs nobody in from now on, and carol had nothing else: put a key into "
    "~/.ssh/authorized_keys there"
)
OTHERS = "sshd: not in login_users, and shut out from now on: {}"


def test_who_is_shut_out_is_named() -> None:
    assert [*named(Logins(keys=("root", "ann"), commands=("git",)), ())] == []
    assert [*named(FOUND, ())] == [PASSWORD]
    assert [*named(FOUND, ("root", "carol"))] == [PASSWORD, OTHERS.format("ann, git")]
    assert [*named(FOUND, ("root",))] == [OTHERS.format("ann, carol, git")]


def test_a_user_whom_the_host_does_not_have_is_named() -> None:
    found = Logins(keys=("root",), names=frozenset(("root", "alice")))
    assert [*named(found, ("root", "alcie"))] == [
        "login_users: no user alcie there, so nobody logs in by that name: see how it is written, or add it"
    ]
    assert [*named(Logins(keys=("root",)), ("root", "alcie"))] == []


def test_keys_are_to_come_where_sshd_looks_for_them() -> None:
    found = Logins(passwords={"carol": HOME, "files": "/etc/ssh/keys/files", "more": "/etc/ssh/keys/more"})
    assert [*named(found, ())] == [
        (
            "sshd: a password logs nobody in from now on, and carol, files, more had nothing else: put a key into "
            "/etc/ssh/keys/files, /etc/ssh/keys/more, ~/.ssh/authorized_keys there"
        )
    ]


def test_what_only_a_program_or_an_authority_knows_is_said_so() -> None:
    source = "authorizedkeyscommand /usr/bin/keys"
    found = Logins(("ann",), (), {"carol": HOME}, {"carol": source}, (source,))
    unsure = (
        "sshd: a password logs nobody in from now on, and carol had no key in a file: see that authorizedkeyscommand "
        "/usr/bin/keys has one for them (ssh -o PreferredAuthentications=publickey), or put one into "
        "~/.ssh/authorized_keys there"
    )
    assert [*named(found, ())] == [unsure]
    assert [*named(found, ("ann",))] == [
        OTHERS.format("carol, whoever else authorizedkeyscommand /usr/bin/keys lets in")
    ]


def test_ways_in_without_users_in_files_are_named() -> None:
    found = Logins(others=("gssapiauthentication",), directories=("sss", "winbind"))
    assert [*named(found, ())] == [
        (
            "sshd: a password logs nobody in from now on, nor anybody whom sss, winbind knows (/etc/nsswitch.conf) and sshd "
            "has no key of: they are not listed here"
        ),
        "sshd: gssapiauthentication logs nobody in from now on, only a key does: who came by it needs one",
    ]


def test_ports_that_a_connection_leads_elsewhere_are_named() -> None:
    session = "session-7.scope"
    found = [
        Listener("tcp", "*", 22, "sshd", 1, "ssh.service"),
        Listener("tcp", "*", 2022, "sshd", 2, "other-sshd.service"),
        Listener("tcp", "127.0.0.1", 6010, "sshd-session", 3, session),
        Listener("tcp", "127.0.0.1", 5432, "postgres", 4, "postgresql.service"),
        Listener("tcp", "::1", 2201, "sshd", 5, "ssh.service"),
        Listener("tcp", "*", 2202, "sshd-session", 6, session),
    ]
    assert [*tunnels(found, (22,))] == [
        (
            "sshd: nobody gets a port here for what is elsewhere (ssh -R) from now on, as 2201, 2202 now: that ends with the "
            "connection it is for, so reach what is behind it another way (a VPN)"
        )
    ]
    assert [*tunnels(found[:4], (22,))] == []

"""Pending: a login of the run's own that sshd's files would shut out once it restarts is said before the first change."""

import pytest

from tasks.connection import second
from tasks.facts.access import Access
from tasks.facts.listeners import Listener
from tasks.facts.pending import Pending, PendingFact
from tasks.operations import pending
from tests.fake import fake

CAME = ("192.0.2.9", "50000", "203.0.113.7", "22")
ACCESS = Access(sshd=True, came=CAME)
SSHD = (Listener("tcp", "0.0.0.0", 22, "sshd", 1),)
ANSWER = [
    "newer /etc/ssh/sshd_config.d/50-own.conf:1:AllowUsers ops",
    "bound 0.0.0.0:22",
    "bound [::]:22",
    "says allowusers ops",
    "groups root",
]


def said(
    monkeypatch: pytest.MonkeyPatch,
    why: str,
    *answer: str,
    access: Access = ACCESS,
    listening: tuple[Listener, ...] = SSHD,
) -> list[str]:
    monkeypatch.setattr(second, "why_not", lambda _: why)
    with fake({"since=": list(answer)}):
        return [*pending.problems(access, listening, "root")]


def test_what_the_second_login_meets_is_said_with_the_lines_that_are_new(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert said(monkeypatch, "User root not allowed because not listed in AllowUsers", *ANSWER) == [
        (
            "sshd: with what its files say now it would not let this run in once it restarts, which the change needs, and taking "
            "the change back would not help: User root not allowed because not listed in AllowUsers "
            "(/etc/ssh/sshd_config.d/50-own.conf:1:AllowUsers ops): mend that first, `systemctl reload ssh.service`, and see "
            "that a new login comes in before the old one ends"
        )
    ]
    assert said(monkeypatch, "", *ANSWER[1:3]) == []


def test_a_port_or_an_address_that_goes_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = said(monkeypatch, "", "bound 203.0.113.7:2222")
    assert (
        ": it would listen on 203.0.113.7:2222 alone, and this run comes in by 203.0.113.7, port 22: " in line
    )
    # What listens there is not sshd, or systemd itself does and goes on.
    assert said(monkeypatch, "", "bound 203.0.113.7:2222", listening=()) == []
    socket = Access(sshd=True, came=CAME, ssh_socket="daemon")
    assert said(monkeypatch, "", "bound 203.0.113.7:2222", access=socket) == []


def test_a_daemon_for_each_connection_has_nothing_pending(monkeypatch: pytest.MonkeyPatch) -> None:
    each = Access(sshd=True, came=CAME, ssh_socket="each")
    assert said(monkeypatch, "no", *ANSWER, access=each) == []


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        (["says allowusers root@192.0.2.*"], ""),
        (["says allowusers ops@10.0.0.1", "says allowusers root@192.0.2.0/24"], ""),
        (
            ["says allowusers root@10.0.0.*"],
            "allowusers root@10.0.0.*, and root from 192.0.2.9 is not among them",
        ),
        (["says denyusers root@192.0.2.9"], "denyusers root@192.0.2.9"),
        (["apart yes"], ""),
        (["apart yes", "says permitrootlogin no"], "permitrootlogin no"),
        (["apart yes", "says denygroups root", "groups root"], "denygroups root"),
        (
            ["apart yes", "says allowgroups ops", "groups root"],
            "allowgroups ops, and root from 192.0.2.9 is not among them",
        ),
    ],
)
def test_where_the_address_counts_its_settings_decide(
    monkeypatch: pytest.MonkeyPatch, lines: list[str], why: str
) -> None:
    found = said(monkeypatch, "User root from UNKNOWN not allowed", *lines)
    assert [why in line for line in found] == ([True] if why else [])


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        (["0.0.0.0:22"], True),
        (["[::]:22"], False),
        (["203.0.113.7:22"], True),
        (["203.0.113.7:2222"], False),
    ],
)
def test_who_listens_for_an_address(addresses: list[str], *, found: bool) -> None:
    assert pending.bound(addresses, "203.0.113.7", "22") is found
    assert pending.bound(["[2001:db8::7]:22"], "2001:db8::7", "22") is True


def test_the_question_is_for_where_the_run_comes_from() -> None:
    text = PendingFact().command("ssh.service", "root", CAME)
    assert "user=root,host=192.0.2.9,addr=192.0.2.9,laddr=203.0.113.7,lport=22" in text
    assert PendingFact().process(["says allowusers a b", "says allowusers c"]) == Pending(
        says={"allowusers": ("a", "b", "c")}
    )

"""Rotate, of Vault itself, against a real OpenBao: what opened it before is refused, and cut short anywhere it can be opened, and ended."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import hvac
import pytest

from tasks.clients import vault_kept, vault_keys, vault_session
from tasks.clients.vault_kept import Kept, kept
from tasks.commands import restore, rotate_vault
from tasks.run import Refused
from tests.fake import commands, fake
from tests.openbao import OpenBao, new_openbao
from tests.test_vault import perform, run, stored

# What a run does on the host, in order.
COURSE = (rotate_vault.begun, rotate_vault.confirmed, rotate_vault.ended)


class Cut(Exception):
    """A run is cut short."""


@pytest.fixture
def bao(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenBao]:
    """A server that a deploy has configured; the host has what the run describes."""
    for name in ("VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(rotate_vault, "as_described", lambda: None)
    with new_openbao(tmp_path) as server:
        monkeypatch.setattr(vault_session, "PORT", server.port)
        perform(tmp_path, services=["vault"])
        yield server


def rotated(state: Path) -> None:
    """A whole run."""
    with run(state, services=["vault"]) as host:
        for operation in COURSE:
            for step in commands(operation):
                assert step.function(host.state, host) is True


def opens(bao: OpenBao, keys: tuple[str, ...]) -> bool:
    """Whether these unseal it, once it is sealed; it stays as it was found otherwise."""
    client = hvac.Client(url=bao.address)
    try:
        return not client.sys.submit_unseal_keys(list(keys[:3]))["sealed"]
    except hvac.exceptions.InvalidRequest:
        return False


def logs_in(bao: OpenBao, found: Kept, secret_id: str) -> bool:
    """Whether it is the deployer's."""
    try:
        hvac.Client(url=bao.address).auth.approle.login(found.role_id, secret_id)
    except hvac.exceptions.InvalidRequest:
        return False
    return True


def test_what_opened_it_before_is_refused_and_what_is_new_opens_it(
    bao: OpenBao, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    before = stored(tmp_path)
    rotated(tmp_path)
    after = stored(tmp_path)
    assert len(after.keys) == 5
    assert not {*after.keys} & {*before.keys}
    assert (after.other_keys, after.other_secret_id, after.role_id) == ((), "", before.role_id)
    assert not logs_in(bao, before, before.secret_id)
    assert logs_in(bao, after, after.secret_id)
    bao.stop()
    bao.start()
    assert not opens(bao, before.keys)
    assert perform(tmp_path, services=["vault"]) == 1  # the unseal
    assert "the deployer that are refused now: 1;" in caplog.text
    assert [key for key in (*after.keys, after.secret_id, before.secret_id) if key in caplog.text] == []


def cut(monkeypatch: pytest.MonkeyPatch, where: Any, name: str, number: int) -> Callable[[], int]:
    """That call of a function, counted from 0, is the last thing that happens; the answer says how many there were."""
    made, real = [0], getattr(where, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        made[0] += 1
        try:
            return real(*args, **kwargs)
        finally:
            if made[0] == number + 1:
                raise Cut

    monkeypatch.setattr(where, name, counted)
    return lambda: made[0]


# Requests of Vault's, and what is written on this machine: how many there are of each, seen in a whole run.
PLACES = ((vault_keys, "_asked"), (rotate_vault, "keep"))


@pytest.mark.parametrize(("where", "name"), PLACES)
def test_cut_short_anywhere_it_opens_and_the_same_command_ends_it(
    bao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: Any, name: str
) -> None:
    with monkeypatch.context() as patched:
        many = cut(patched, where, name, -1)
        rotated(tmp_path)
    assert many() > 2
    for number in range(many()):
        with monkeypatch.context() as patched:
            cut(patched, where, name, number)
            with pytest.raises(Cut):
                rotated(tmp_path)
        left = stored(tmp_path)
        if number % 2:  # and it was started again in between
            bao.stop()
            bao.start()
        assert perform(tmp_path, services=["vault"]) == number % 2  # the unseal
        rotated(tmp_path)
        after = stored(tmp_path)
        assert (after.other_keys, after.other_secret_id) == ((), "")
        for secret_id in filter(None, (left.secret_id, left.other_secret_id)):
            assert not logs_in(bao, after, secret_id)
    bao.stop()
    bao.start()
    assert opens(bao, stored(tmp_path).keys)


def test_a_vault_that_went_back_to_before_it_is_opened_until_it_is_known_that_it_has_not(
    bao: OpenBao, tmp_path: Path
) -> None:
    """As a recovery finds it whose snapshot is older: that of after is taken before the old ones are forgotten."""
    before = stored(tmp_path)
    with run(tmp_path, services=["vault"]) as host:
        for operation in COURSE[:2]:
            for step in commands(operation):
                assert step.function(host.state, host) is True
    found = stored(tmp_path)
    assert (found.other_keys, found.other_secret_id) == (before.keys, before.secret_id)
    with run(tmp_path, services=["vault"]):
        vault_kept.keep(
            Kept(
                keys=found.other_keys,
                other_keys=found.keys,
                role_id=found.role_id,
                secret_id="gone",
                other_secret_id=found.secret_id,
            )
        )
    bao.stop()
    bao.start()
    assert perform(tmp_path, services=["vault"]) == 1
    rotated(tmp_path)
    assert not {*stored(tmp_path).keys} & {*before.keys, *found.keys}


def test_keys_that_are_not_its_own_are_said_and_nothing_is_under_way(
    bao: OpenBao, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with run(tmp_path, services=["vault"]) as host:
        good = kept() or Kept()
        vault_kept.keep(
            Kept(
                keys=tuple(reversed(good.keys[:2])) + good.keys[:1],
                role_id=good.role_id,
                secret_id=good.secret_id,
            )
        )
        done = [step.function(host.state, host) for step in commands(rotate_vault.begun)]
        assert (done, vault_keys.made(good.keys) is None) == ([True, False], False)
    assert "vault.json for its own: restore that file from your backup of it" in caplog.text


@pytest.mark.parametrize(
    ("changes", "environment", "said"),
    [
        (
            {"services": ["postgres"], "vault_address": "https://vault.example.com"},
            {},
            "SERVICE=vault: the Vault at https://vault.example.com is not ours: ",
        ),
        ({}, {"VAULT_ROLE_ID": "role"}, "SERVICE=vault: VAULT_ROLE_ID says that this machine has a credential alone; "),
    ],
)  # fmt: skip
def test_where_there_is_nothing_to_change_it_is_said(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], environment: dict[str, str], said: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with fake({}, **changes), pytest.raises(Refused) as refused:
        rotate_vault.possible()
    assert str(refused.value).startswith(said)


def test_a_host_with_something_else_to_deploy_is_left_as_it_is(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(restore, "known", lambda _: "another")
    monkeypatch.setattr(restore, "tree", dict)
    with fake({}) as host:
        assert [step.function(host.state, host) for step in commands(rotate_vault.begun)] == [False]
    assert "has other files than this machine would give it" in caplog.text

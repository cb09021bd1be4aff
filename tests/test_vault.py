"""Vault, against a real OpenBao: initialised once, unsealed again, configured with the least it needs."""

import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import httpx
import hvac
import pytest
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host

from tasks import boot, vault
from tasks.clients import vault_kept, vault_session, vault_token, vault_values
from tasks.clients.vault_kept import Kept, keep, kept
from tasks.clients.vault_past import older
from tasks.clients.vault_session import foreseen
from tasks.model.catalogue import Service
from tasks.operations import vault_policies
from tasks.rendering.docker_calls import compose
from tasks.run import Refused, services
from tasks.services import load
from tests.facts.test_facts import MACHINE
from tests.fake import Responses, commands, fake
from tests.openbao import OpenBao, free_port, new_openbao
from tests.samples import stack

CONTAINER = "c|/vault|vault|d||running|healthy|0|x:1|smarter-net "
RUNS = {"docker ps -aq": [CONTAINER]}


@pytest.fixture
def bao(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OpenBao]:
    """A server that nobody has initialised; the run reaches it as it would the host's."""
    for name in ("VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID"):
        monkeypatch.delenv(name, raising=False)
    with new_openbao(tmp_path) as server:
        monkeypatch.setattr(vault_session, "PORT", server.port)
        yield server


@contextmanager
def run(state: Path, responses: Responses = RUNS, **changes: Any) -> Iterator[Host]:
    with fake(responses, state_dir=str(state / "state"), vault_engine="openbao", **changes) as host:
        yield host


def perform(state: Path, **changes: Any) -> int:
    """One run's two operations; the number of changes. Every step has to succeed."""
    done = 0
    with run(state, **changes) as host:
        for step in both():
            assert isinstance(step, FunctionCommand)
            assert step.function(host.state, host) is True
            done += 1
    return done


def service() -> Service:
    """Vault's."""
    return next(item for item in services() if item.name == "vault")


def both() -> Iterator[Any]:
    """The phase's two operations, step by step."""
    yield from vault.ready._inner(service())  # type: ignore[attr-defined]
    yield from vault_policies.configured._inner()  # type: ignore[attr-defined]


def stored(state: Path) -> Kept:
    with run(state):
        found = kept()
    assert found is not None
    return found


def unsealed(bao: OpenBao) -> hvac.Client:
    return hvac.Client(url=bao.address)


def test_an_empty_vault_is_initialised_configured_and_then_left_alone(bao: OpenBao, tmp_path: Path) -> None:
    # init, unseal, bootstrap, a policy and a role for each service, for the check and for guards, the root token's end
    assert perform(tmp_path) == 4 + 2 * len(load(stack())) + 4
    found = stored(tmp_path)
    assert (len(found.keys), found.root_token) == (5, "")
    file = tmp_path / "state" / "fake" / "one" / "vault.json"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert perform(tmp_path) == 0
    client = unsealed(bao)
    me = client.auth.approle.login(found.role_id, found.secret_id)["auth"]
    assert me["policies"] == ["smarteros-deployer"]
    for forbidden in (client.sys.list_mounted_secrets_engines, client.sys.list_auth_methods):
        with pytest.raises(hvac.exceptions.Forbidden):
            forbidden()
    with pytest.raises(hvac.exceptions.Forbidden):
        client.auth.token.create(policies=["root"])
    bao.stop()
    bao.start()
    assert perform(tmp_path) == 1  # the unseal


def with_an_unsealer(state: Path) -> Responses:
    """A host that has Vault's container and unseals it with our keys."""
    three = "\n".join(stored(state).keys[:3])
    return {**RUNS, "/etc/os-release": [*MACHINE, f"unsealer {boot.digest(three)}"]}


def test_a_host_that_unseals_its_vault_by_itself_is_waited_for(bao: OpenBao, tmp_path: Path) -> None:
    perform(tmp_path, services=["vault"])
    responses = with_an_unsealer(tmp_path)
    bao.stop()
    bao.start()
    host = Timer(1, lambda: unsealed(bao).sys.submit_unseal_keys(list(stored(tmp_path).keys[2:])))
    with run(tmp_path, responses):
        host.start()
        assert commands(vault.ready, service()) == []
        assert not unsealed(bao).sys.is_sealed()
        assert unsealed(bao).sys.read_health_status(method="HEAD").status_code == 200
    host.join()


def test_a_host_that_does_not_in_its_time_is_helped(
    bao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    perform(tmp_path, services=["vault"])
    responses = with_an_unsealer(tmp_path)
    bao.stop()
    bao.start()
    slept: list[float] = []
    monkeypatch.setattr("tasks.vault.time.sleep", slept.append)
    with run(tmp_path, responses, executing=False):
        assert len(commands(vault.ready, service())) == 1
        assert slept == []  # a plan does not wait
    with run(tmp_path, responses) as host:
        (step,) = commands(vault.ready, service())
        assert sum(slept) == pytest.approx(10)
        assert step.function(host.state, host) is True


def test_a_host_with_other_keys_is_stopped_before_a_run_unseals(bao: OpenBao, tmp_path: Path) -> None:
    perform(tmp_path, services=["vault"])
    bao.stop()
    bao.start()
    with run(tmp_path, {**RUNS, "/etc/os-release": [*MACHINE, "unsealer differs"]}) as host:
        stop, step = commands(vault.ready, service())
        assert str(stop) == "systemctl stop smarteros-unseal.service 2>/dev/null || true"
        assert step.function(host.state, host) is True


def test_edited_policies_and_roles_are_mended_and_a_new_service_gets_its_own(
    bao: OpenBao, tmp_path: Path
) -> None:
    assert perform(tmp_path, services=["vault", "postgres", "caddy"]) == 14
    found = stored(tmp_path)
    client = unsealed(bao)
    client.auth.approle.login(found.role_id, found.secret_id)
    client.sys.create_or_update_acl_policy(
        "smarteros-postgres", 'path "secret/*" { capabilities = ["read"] }'
    )
    client.auth.approle.create_or_update_approle("caddy", token_ttl=5)
    assert perform(tmp_path, services=["vault", "postgres", "redis", "caddy"]) == 4
    assert perform(tmp_path, services=["vault", "postgres", "redis", "caddy"]) == 0


def test_a_service_reads_what_it_shares_and_no_other_does(bao: OpenBao, tmp_path: Path) -> None:
    relay = {"host": "smtp.example.com", "user": "relay", "from": "ops@example.com"}
    chosen = ["vault", "postgres", "n8n"]
    perform(tmp_path, services=chosen, mail=relay)
    found = stored(tmp_path)
    client = unsealed(bao)
    client.auth.approle.login(found.role_id, found.secret_id)
    policies = {name: client.sys.read_acl_policy(f"smarteros-{name}")["data"]["policy"] for name in chosen}
    assert [name for name, policy in policies.items() if '"secret/data/mail"' in policy] == ["n8n"]
    assert perform(tmp_path, services=chosen, mail=relay) == 0
    assert perform(tmp_path, services=chosen) == 1


def test_a_run_killed_after_any_step_is_finished_by_the_next(bao: OpenBao, tmp_path: Path) -> None:
    """Each round does one step more than the round before would have, and ends."""
    total = 0
    for _ in range(40):
        with run(tmp_path, services=["vault", "caddy"]) as host:
            step = next(both(), None)
            if step is None:
                break
            assert step.function(host.state, host) is True
            total += 1
    assert total >= 8
    assert stored(tmp_path).root_token == ""
    assert perform(tmp_path, services=["vault", "caddy"]) == 0


def test_a_mount_that_is_not_ready_is_waited_for(bao: OpenBao, tmp_path: Path) -> None:
    """A new one prepares its storage for some ms. One with many secrets of KV v1 does the same, and longer."""
    with run(tmp_path, services=["vault"]) as host:
        for step in list(vault.ready._inner(service())):  # type: ignore[attr-defined]
            assert step.function(host.state, host) is True
    bao.root_token = stored(tmp_path).root_token
    bao.call("POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "1"}})
    for number in range(250):
        bao.call("POST", f"secret/{number}", {"A": "x"})
    bao.call("POST", "sys/mounts/secret/tune", {"options": {"version": "2"}})
    with pytest.raises(httpx.HTTPStatusError, match="400 Bad Request"):
        bao.call("GET", "secret/data/0")
    with run(tmp_path, services=["vault"]) as host:
        step = next(vault_policies.configured._inner())  # type: ignore[attr-defined]
        assert step.function(host.state, host) is True
    assert bao.call("GET", "secret/data/0")["data"]["data"] == {"A": "x"}


def test_vault_is_told_by_its_api_to_keep_an_audit_log_and_by_a_second_run_not_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OpenBao with the API that Vault has, which stands in its configuration as unsafe."""
    with new_openbao(tmp_path, "unsafe_allow_api_audit_creation = true\n") as server:
        monkeypatch.setattr(vault_session, "PORT", server.port)
        vault_itself: dict[str, Any] = {"vault_engine": "vault", "services": ["vault"]}
        with fake(RUNS, state_dir=str(tmp_path / "state"), **vault_itself) as host:
            for step in list(vault.ready._inner(service())):  # type: ignore[attr-defined]
                assert step.function(host.state, host) is True
            for _ in ("a first run, killed before it noted what it had done", "the second"):
                keep(Kept(keys=kept().keys, root_token=kept().root_token))  # type: ignore[union-attr]
                step = next(vault_policies.configured._inner())  # type: ignore[attr-defined]
                assert step.function(host.state, host) is True
                server.root_token = kept().root_token  # type: ignore[union-attr]
                found = server.call("GET", "sys/audit")["data"]
                assert {path: (one["type"], one["options"]) for path, one in found.items()} == {
                    "stdout/": ("file", {"file_path": "stdout"})
                }


def test_a_vault_whose_keys_never_arrived_is_made_anew(bao: OpenBao, tmp_path: Path) -> None:
    """The run ended after Vault had initialised itself and before its answer was stored."""
    with run(tmp_path):
        keep(Kept(asked=True))
        unsealed(bao).sys.initialize(1, 1)
        first = vault.ready._inner(service())  # type: ignore[attr-defined]
        assert str(next(first)).startswith(
            f"{compose('vault')} rm --stop --force && docker volume rm vault_data\n"
        )


@pytest.mark.parametrize("line", ["e|n8n|0123", "a|volume:vault_data"], ids=["served", "adopted"])
def test_a_vault_that_has_served_secrets_or_was_adopted_is_never_made_anew(
    bao: OpenBao, tmp_path: Path, line: str
) -> None:
    with run(tmp_path, {"docker ps -aq": [CONTAINER, line]}) as host:
        keep(Kept(asked=True))
        unsealed(bao).sys.initialize(1, 1)
        (step,) = commands(vault.ready, service())
        assert step.function(host.state, host) is False
        assert kept() == Kept(asked=True)


def test_who_has_only_a_credential_makes_no_vault_whose_keys_would_be_lost(
    bao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("VAULT_ROLE_ID", "a workflow's")
    with run(tmp_path) as host:
        (step,) = commands(vault.ready, service())
        assert step.function(host.state, host) is False
        assert kept() is None
    assert (
        "Vault on @fake/one is empty, and VAULT_ROLE_ID says that this machine has a credential alone"
        in caplog.text
    )
    assert not bao.call("GET", "sys/seal-status")["initialized"]


def test_what_a_secret_was_before_is_known_as_long_as_vault_keeps_it(bao: OpenBao, tmp_path: Path) -> None:
    perform(tmp_path)
    with run(tmp_path):
        for version, value in enumerate(("a", "b", "a", "c")):
            vault_values.write("n8n", {"WORD": value}, version)
        assert older("n8n") == {"WORD": ["a", "b"]}
        for version in range(4, 15):
            vault_values.write("n8n", {"WORD": str(version)}, version)
        assert older("n8n") == {"WORD": [str(version) for version in range(13, 4, -1)]}


def test_lost_keys_are_an_error_and_never_a_second_initialisation(bao: OpenBao, tmp_path: Path) -> None:
    perform(tmp_path, services=["vault"])
    bao.stop()
    bao.start()
    elsewhere = tmp_path / "elsewhere"
    with run(elsewhere) as host:
        (step,) = commands(vault.ready, service())
        assert step.function(host.state, host) is False
        with pytest.raises(Refused) as refused:
            vault._unseal(vault_session.client())
    assert str(refused.value) == (
        "Vault is initialised, but its keys are not on this machine: restore "
        f"{elsewhere}/state/fake/one/vault.json from where it was first deployed (settings: state_dir). "
        "It is never initialised a second time, since that would lose every secret"
    )


def test_a_lost_volume_is_an_error(bao: OpenBao, tmp_path: Path) -> None:
    assert bao.call("GET", "sys/init") == {"initialized": False}
    with run(tmp_path) as host:
        keep(Kept(keys=("a2V5",)))
        (failure,) = commands(vault.ready, service())
        assert failure.function(host.state, host) is False
        with pytest.raises(Refused) as refused:
            vault._refuse_a_lost_volume()
    assert str(refused.value) == (
        f"Vault on @fake/one is empty, but {tmp_path}/state/fake/one/vault.json holds keys of it: its volume "
        "vault_data is lost. Restore the volume, or move that file away to begin with new secrets"
    )
    assert bao.call("GET", "sys/init") == {"initialized": False}


def test_a_vault_that_does_not_answer_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vault_session, "PORT", free_port())
    with run(tmp_path) as host:
        (failure,) = commands(vault.ready, service())
        assert failure.function(host.state, host) is False
        with pytest.raises(Refused) as refused, foreseen("asking"):
            vault_session.client().sys.read_seal_status()
    assert str(refused.value) == (
        "asking: Vault on @fake/one does not answer ([Errno 111] Connection refused)"
    )


def test_planning_on_a_bare_host_says_that_something_will_change(tmp_path: Path) -> None:
    with fake({}, executing=False, state_dir=str(tmp_path)):
        assert commands(vault.ready, service()) == ["true"]
        assert commands(vault_policies.configured) == ["true"]
        # One that was set up anew, whose Docker has kept Vault's volume.
        keep(Kept(keys=("a2V5",), role_id="role", secret_id="secret"))
        assert commands(vault.ready, service()) == ["true"]
        assert commands(vault_policies.configured) == ["true"]


def test_what_is_kept_is_read_back_and_a_broken_file_is_refused(tmp_path: Path) -> None:
    value = Kept(("a", "b"), "root", "role", "secret")
    with run(tmp_path):
        assert kept() is None
        keep(value)
        assert kept() == value
        vault_kept.state_file().write_text("{")
        with pytest.raises(
            Refused, match=r"vault\.json cannot be read .*: restore it from your backup of it"
        ):
            kept()


def test_an_external_vault_needs_a_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VAULT_TOKEN", "VAULT_ROLE_ID", "VAULT_SECRET_ID"):
        monkeypatch.delenv(name, raising=False)
    outside: dict[str, Any] = {"vault_address": "https://vault.example:8200", "services": ["postgres"]}
    with fake({}, state_dir=str(tmp_path), **outside), pytest.raises(Refused) as refused:
        vault_session.deployer()
    assert str(refused.value) == (
        "the Vault at https://vault.example:8200 needs a credential: set VAULT_TOKEN, "
        "or VAULT_ROLE_ID and VAULT_SECRET_ID, in the environment"
    )


def test_who_checks_the_host_gets_a_token_for_a_minute_that_may_do_nothing(
    bao: OpenBao, tmp_path: Path
) -> None:
    few = ["vault", "postgres"]
    perform(tmp_path, services=few)
    with run(tmp_path, services=few):
        client = unsealed(bao)
        with vault_token.minute() as token:
            client.token = token
            mine = client.auth.token.lookup_self()["data"]
            assert (mine["policies"], 0 < mine["ttl"] <= 60, mine["explicit_max_ttl"]) == (
                ["smarteros-check"],
                True,
                0,
            )
            for path in ("secret/data/postgres", "secret/data/smarteros", "sys/policies/acl/smarteros-check"):
                with pytest.raises(hvac.exceptions.Forbidden):
                    client.read(path)
        with pytest.raises(hvac.exceptions.Forbidden):
            client.auth.token.lookup_self()
        with vault_token.minute() as token:
            client.token = token
            client.auth.token.revoke_self()


def test_a_vault_that_was_configured_before_there_was_a_check_says_what_to_do(
    bao: OpenBao, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    few = ["vault", "postgres"]
    perform(tmp_path, services=few)
    monkeypatch.setattr(vault_token, "CHECKER", "smarteros-later")
    with run(tmp_path, services=few), pytest.raises(Refused) as refused, vault_token.minute():
        pass
    assert str(refused.value) == "Vault has no AppRole smarteros-later yet: `make deploy` makes it"


@pytest.mark.parametrize("hours", [8, 1, 24])
def test_a_person_gets_a_token_for_guarded_pages_that_may_do_nothing_else(
    bao: OpenBao, tmp_path: Path, hours: int
) -> None:
    few = ["vault", "postgres"]
    perform(tmp_path, services=few)
    with run(tmp_path, services=few):
        client = unsealed(bao)
        client.token = vault_token.lasting(hours)
        mine = client.auth.token.lookup_self()["data"]
        assert (mine["policies"], hours * 3600 - 60 < mine["ttl"] <= hours * 3600) == (
            ["smarteros-guard"],
            True,
        )
        forbidden: list[Any] = [
            client.auth.token.renew_self,
            partial(client.auth.token.create, policies=["smarteros-guard"]),
            partial(client.auth.approle.generate_secret_id, "smarteros-guard"),
            *(
                partial(client.read, path)
                for path in ("secret/data/postgres", "secret/metadata/postgres", "auth/approle/role/postgres")
            ),
        ]
        for call in forbidden:
            with pytest.raises(hvac.exceptions.Forbidden):
                call()
        client.auth.token.revoke_self()
        with pytest.raises(hvac.exceptions.Forbidden):
            client.auth.token.lookup_self()
    assert perform(tmp_path, services=few) == 0  # the role's own lifetime is back

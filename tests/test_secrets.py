"""Secrets: what is generated, what an env file holds, and that Vault's values are never overwritten."""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from hashlib import sha256
from typing import Any

import bcrypt
import httpx
import pytest
from pyinfra.api.command import FunctionCommand
from pyinfra.api.host import Host

from tasks import secrets
from tasks.clients import vault_past, vault_values
from tasks.commands import give_secrets
from tasks.connection.said import Said
from tasks.model.catalogue import Container, Health, Secret, Service, Size
from tasks.model.made import generated
from tasks.operations import lasting
from tasks.run import Refused, remember, services
from tests.fake import commands, fake
from tests.openbao import OpenBao, running_openbao

KEY = {"smarteros": {"DIGEST_KEY": "00" * 32}}
CRM = Service("crm", "CRM", (Container("crm", "crm:1", Health(("true",)), Size(memory_mb=1, cpus=1)),))


@contextmanager
def reading(secrets: Mapping[str, Mapping[str, Any]]) -> Iterator[None]:
    """A run that has read these values from Vault."""
    with fake({}):
        for path, values in secrets.items():
            remember(("secrets", path), partial(tuple, (values, 1)))
        yield


def perform(host: Host, step: FunctionCommand) -> bool:
    """One step of an operation; false when it failed."""
    return bool(step.function(host.state, host))


def planned() -> Iterator[FunctionCommand]:
    """The steps of the operation that fills Vault, each made when it is asked for, as in a run."""
    filled: Any = secrets.filled
    steps: Iterator[FunctionCommand] = filled._inner()
    return steps


def test_generated_secrets_have_their_kinds_length_and_alphabet() -> None:
    declared = (Secret("TOKEN", length=40), Secret("HEX", kind="hex", length=64))
    made = generated(declared, {})
    assert (len(made["TOKEN"]), made["TOKEN"].isalnum(), made["TOKEN"].isascii()) == (40, True, True)
    assert (len(made["HEX"]), set(made["HEX"]) <= set("0123456789abcdef")) == (64, True)


def test_no_two_generated_secrets_are_equal() -> None:
    declared = tuple(Secret(f"S{number}", length=24) for number in range(200))
    assert len(set(generated(declared, {}).values())) == 200


def test_only_what_is_missing_is_generated() -> None:
    declared = (Secret("OLD"), Secret("EMPTY"), Secret("NEW"))
    assert list(generated(declared, {"OLD": "kept", "EMPTY": "", "EXTRA": "x"})) == ["NEW"]


def test_a_hash_is_of_the_present_or_of_the_just_generated_password() -> None:
    declared = (Secret("PASSWORD"), Secret("HASH", kind="bcrypt", of="PASSWORD"))
    both = generated(declared, {})
    assert bcrypt.checkpw(both["PASSWORD"].encode(), both["HASH"].encode())
    only = generated(declared, {"PASSWORD": "present"})
    assert bcrypt.checkpw(b"present", only.pop("HASH").encode())
    assert only == {}


def test_an_env_file_holds_all_values_and_their_keyed_digest() -> None:
    with reading({**KEY, "crm": {"PASSWORD": "pa$$", "EXTRA": "by hand"}}):
        assert secrets.env_text(CRM) == (
            'EXTRA="by hand"\nPASSWORD="pa\\$\\$"\n'
            'SMARTEROS_SECRETS_DIGEST="aba1fcd98a52ff821cbe09a99ccc35ce"\n'
        )


POST = replace(CRM, name="post", secrets=(Secret("SMTP_PASSWORD", kind="given", of="mail#PASSWORD"),))


def test_what_a_person_gave_is_in_the_file_under_the_services_name_for_it() -> None:
    with reading({**KEY, "mail": {"PASSWORD": "p$1 \"'#", "OTHER": "x"}, "post": {}}):
        first, *_ = secrets.env_text(POST).splitlines()
        assert first.startswith("SMARTEROS_SECRETS_DIGEST=")
        assert secrets.env_text(POST).splitlines()[1:] == ['SMTP_PASSWORD="p\\$1 \\"\'#"']


def test_what_only_a_person_knows_is_never_made_and_asked_for_before_anything_is_written(
    bao: OpenBao,
    external: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    relay = {"host": "smtp.example.com", "user": "relay", "from": "ops@example.com"}
    settings = {**external, "services": ["postgres", "n8n"], "mail": relay}
    monkeypatch.setattr("sys.argv", ["pyinfra", "--dry", "inventories/staging.py", "deploy.py"])
    said = (
        "Vault does not hold secret/mail#PASSWORD, which only you know: `make give-secrets "
        "INVENTORY=inventories/staging.py` asks for it and writes it; then deploy again"
    )
    with fake({}, **settings) as host:
        assert list(vault_values.refusals()) == [said]
        assert [perform(host, step) for step in planned()] == [False]
    assert said in caplog.text
    monkeypatch.setattr("sys.stdin", io.StringIO("p$1 \"'#\n"))
    with fake({}, **settings) as host:
        assert [perform(host, step) for step in commands(give_secrets.written)] == [True]
    assert stored(bao, "mail") == {"PASSWORD": "p$1 \"'#"}
    with fake({}, **settings) as host:
        assert list(vault_values.refusals()) == []
        assert [perform(host, step) for step in planned()] == [True, True, True]
    assert "N8N_SMTP_PASS" not in stored(bao, "n8n")


def test_another_key_or_another_value_gives_another_digest() -> None:
    digests = set()
    for key, value in (("00", "a"), ("00", "b"), ("11", "a")):
        with reading({"smarteros": {"DIGEST_KEY": key}}):
            digests.add(secrets.keyed_digest({"PASSWORD": value}))
    assert len(digests) == 3


@pytest.mark.parametrize(
    ("present", "message"),
    [
        ({"A": "\0"}, "secret/crm#A holds a NUL character, which no environment can carry"),
        (
            {"A": "x" * 131072},
            "secret/crm#A has 131075 bytes; an environment carries at most 131072 in one variable",
        ),
        ({"A": "\ud800"}, "secret/crm#A holds a lone surrogate, which is no text"),
        ({"A B": "x"}, "secret/crm#A B is no name of a variable: use letters, digits and _"),
        ({"9": "x"}, "secret/crm#9 is no name of a variable: use letters, digits and _"),
        ({"": "x"}, "secret/crm# is no name of a variable: use letters, digits and _"),
        ({"A": 5}, "secret/crm#A is no text; write it as a string"),
        ({"A": None}, "secret/crm#A is no text; write it as a string"),
        ({"A": {"B": "x"}}, "secret/crm#A is no text; write it as a string"),
    ],
)
def test_what_no_environment_can_hold_is_refused_with_path_and_key(
    present: dict[str, Any], message: str
) -> None:
    with reading({**KEY, "crm": present}), pytest.raises(Refused) as caught:
        secrets.env_text(CRM)
    assert str(caught.value) == message


@pytest.fixture(scope="module")
def bao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    with running_openbao(tmp_path_factory.mktemp("openbao")) as server:
        server.mount()
        yield server


@pytest.fixture
def external(bao: OpenBao, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of a run against that server, as an external Vault, with nothing in it yet."""
    monkeypatch.setenv("VAULT_TOKEN", bao.root_token)
    for path in ("smarteros", "redis", "mail", "n8n", "postgres", "metabase"):
        try:
            bao.call("DELETE", f"secret/metadata/{path}")
        except httpx.HTTPStatusError as error:
            assert error.response.status_code == 404  # noqa: PT017
    return {"vault_address": bao.address, "services": ["redis"]}


def stored(bao: OpenBao, path: str) -> dict[str, str]:
    return dict(bao.call("GET", f"secret/data/{path}")["data"]["data"])


def test_a_run_fills_vault_once_and_a_second_run_has_nothing_to_write(
    bao: OpenBao, external: dict[str, Any]
) -> None:
    with fake({}, **external) as host:
        assert [perform(host, step) for step in planned()] == [True, True]
    assert (len(stored(bao, "redis")["REDIS_PASSWORD"]), len(stored(bao, "smarteros")["DIGEST_KEY"])) == (
        40,
        64,
    )
    with fake({}, **external):
        assert list(planned()) == []


def test_what_another_writes_between_our_reading_and_writing_is_kept(
    bao: OpenBao, external: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with fake({}, **external) as host:
        steps = planned()
        assert perform(host, next(steps))
        late = next(steps)  # the redis path has been read and was empty
        bao.call("POST", "secret/data/redis", {"data": {"REDIS_PASSWORD": "theirs"}})
        assert not perform(host, late)
    assert stored(bao, "redis") == {"REDIS_PASSWORD": "theirs"}
    assert "secret/redis was changed by somebody else during this run: run again" in caplog.text


def test_a_deleted_secret_is_never_made_anew(bao: OpenBao, external: dict[str, Any]) -> None:
    bao.call("POST", "secret/data/redis", {"data": {"REDIS_PASSWORD": "old"}})
    bao.call("DELETE", "secret/data/redis")
    with fake({}, **external), pytest.raises(Refused) as caught:
        vault_values.values("redis")
    assert str(caught.value) == (
        "secret/redis was deleted in Vault: bring it back (vault kv undelete -mount=secret -versions=1 redis); "
        "new secrets would lock the service out of its data"
    )


def test_a_destroyed_secret_is_never_made_anew_and_undelete_is_not_what_is_said_of_it(
    bao: OpenBao, external: dict[str, Any]
) -> None:
    for path in ("redis", "mail"):
        bao.call("POST", f"secret/data/{path}", {"data": {"PASSWORD": "old"}})
        bao.call("PUT", f"secret/destroy/{path}", {"versions": [1]})
    said = {}
    with fake({}, **external) as host:
        for path in ("redis", "mail"):
            with pytest.raises(Refused) as caught:
                vault_values.values(path)
            said[path] = str(caught.value)
    assert said["redis"] == (
        "secret/redis was destroyed in Vault (version 1), and undelete does not bring that back; new secrets would lock the service "
        f"out of its data. Write its values back (vault kv put secret/redis NAME=…), /vault/secrets/redis.env on {host.name} has those that "
        "it last ran with; or bring back an earlier version that is not destroyed (vault kv metadata get -mount=secret redis lists them, "
        "vault kv rollback -mount=secret -version=… redis). Where nothing needs them any more, vault kv metadata delete -mount=secret "
        "redis, and `make deploy` goes on with others"
    )
    assert "(vault kv put secret/mail NAME=…), where you have them; or" in said["mail"]


def test_a_value_added_by_hand_is_kept_when_a_missing_one_is_generated(
    bao: OpenBao, external: dict[str, Any]
) -> None:
    bao.call("POST", "secret/data/redis", {"data": {"EXTRA": json.dumps("é$")}})
    with fake({}, **external) as host:
        assert [perform(host, step) for step in planned()] == [True, True]
    found = stored(bao, "redis")
    assert (sorted(found), found["EXTRA"]) == (["EXTRA", "REDIS_PASSWORD"], '"\\u00e9$"')


def test_what_may_never_change_comes_back_from_an_earlier_version(
    bao: OpenBao, external: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """As `vault kv put` leaves it, which writes what it is told and nothing else."""
    chosen = {**external, "services": ["postgres", "n8n"]}
    with fake({}, **chosen) as host:
        assert all(perform(host, step) for step in planned())
    before = stored(bao, "n8n")
    assert caplog.text == ""
    for value in ("one", "two"):
        bao.call("POST", "secret/data/n8n", {"data": {"SMTP_PASSWORD": value}})
    with fake({}, **chosen) as host:
        assert all(perform(host, step) for step in planned())
    after = stored(bao, "n8n")
    assert (after["N8N_ENCRYPTION_KEY"], after["SMTP_PASSWORD"]) == (before["N8N_ENCRYPTION_KEY"], "two")
    assert after.keys() == {*before, "SMTP_PASSWORD"}
    assert after["DB_POSTGRESDB_PASSWORD"] != before["DB_POSTGRESDB_PASSWORD"]
    assert (
        "secret/n8n#N8N_ENCRYPTION_KEY is not in Vault any more; its last value, which an earlier"
        in caplog.text
    )
    assert before["N8N_ENCRYPTION_KEY"] not in caplog.text


CHOSEN = ["postgres", "n8n", "metabase"]


def test_one_that_is_named_is_asked_for_and_what_is_made_of_it_is_made_anew(
    bao: OpenBao,
    external: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    settings = {**external, "services": CHOSEN}
    with fake({}, **settings) as host:
        assert all(perform(host, step) for step in planned())
    first = stored(bao, "n8n")
    for name in ("n8n#N8N_OWNER_PASSWORD", "metabase#ADMIN_PASSWORD"):
        monkeypatch.setenv("SMARTEROS_SECRET", name)
        monkeypatch.setattr("sys.stdin", io.StringIO(f"new 1 of {name}\n"))
        give_secrets._asked.cache_clear()
        with fake({}, **settings) as host:
            assert [perform(host, step) for step in commands(give_secrets.written)] == [True]
    assert (
        "secret/n8n#N8N_OWNER_PASSWORD is written; the next deploy brings it to its services" in caplog.text
    )
    assert (
        "secret/metabase#ADMIN_PASSWORD is written; Metabase KPI itself is not told, since only its first admin is made "
        "with it: where you have not changed it there yet, do" in caplog.text
    )
    with fake({}, **settings) as host:
        assert [perform(host, step) for step in planned()] == [True]
    second = stored(bao, "n8n")
    assert {name for name in first if first[name] != second[name]} == {
        "N8N_OWNER_PASSWORD",
        "N8N_INSTANCE_OWNER_PASSWORD_HASH",
    }
    assert bcrypt.checkpw(
        b"new 1 of n8n#N8N_OWNER_PASSWORD", second["N8N_INSTANCE_OWNER_PASSWORD_HASH"].encode()
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("n8n#N8N_ENCRYPTION_KEY", "NAME=n8n#N8N_ENCRYPTION_KEY is never changed: it would cost stored credentials"),
        ("n8n#OWNER_PASSWORD", "NAME=n8n#OWNER_PASSWORD: Vault holds nothing of that name; did you mean n8n#N8N_OWNER_PASSWORD"),
    ],
)  # fmt: skip
def test_what_may_not_change_and_what_is_not_there_are_refused(name: str, said: str) -> None:
    with fake({}), pytest.raises(Refused, match=said):
        give_secrets.wanted(name)


def test_what_its_program_would_end_for_is_refused_and_the_target_named(
    bao: OpenBao, external: dict[str, Any], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SMARTEROS_SECRET", "vault-auth-validator#SESSION_KEY")
    monkeypatch.setattr("sys.stdin", io.StringIO("xyz\n"))
    before = {"SESSION_KEY": "0f" * 32}
    bao.call("POST", "secret/data/vault-auth-validator", {"data": before})
    give_secrets._asked.cache_clear()
    with fake({}, **{**external, "services": ["vault-auth-validator"]}) as host:
        assert [perform(host, step) for step in commands(give_secrets.written)] == [False]
    assert stored(bao, "vault-auth-validator") == before
    assert (
        "secret/vault-auth-validator#SESSION_KEY has to have exactly 64 hexadecimal digits (`openssl rand -hex 32` makes them): "
        "nothing is written; `make give-secrets NAME=vault-auth-validator#SESSION_KEY` asks again"
    ) in caplog.text


METABASE = {"MB_DB_PASS": "a", "MB_ENCRYPTION_SECRET_KEY": "b", "ADMIN_PASSWORD": "c"}


@contextmanager
def metabase(
    values: Mapping[str, str], responses: Mapping[str, list[str]], *, executing: bool
) -> Iterator[Service]:
    """A run that has read these values of Metabase's."""
    with fake(
        responses,
        executing=executing,
        vault_address="https://vault.example",
        services=["postgres", "metabase"],
    ):
        held = {**KEY, "postgres": {"POSTGRES_PASSWORD": "p"}, "metabase": values}
        for path, each in held.items():
            remember(("secrets", path), partial(tuple, (each, 1)))
        remember("vault", lambda: (None, float("inf")))
        yield next(item for item in services() if item.name == "metabase")


def test_a_plan_knows_the_digest_that_containers_will_have_to_show() -> None:
    with metabase(METABASE, {}, executing=False) as service:
        before = secrets.coming(service)
    with metabase({**METABASE, "MB_DB_PASS": "new"}, {}, executing=False) as service:
        after = secrets.coming(service)
        assert f'SMARTEROS_SECRETS_DIGEST="{after}"' in secrets.env_text(service)
    assert before
    assert after not in ("", before)
    with metabase(METABASE, {}, executing=True) as service:
        assert secrets.coming(service) == ""  # the file on the host says it by then


@pytest.mark.parametrize(
    ("changed", "mode", "added", "warned"),
    [
        ({"ADMIN_PASSWORD": "new"}, "600", "", True),
        ({"MB_DB_PASS": "new"}, "600", "", False),
        ({}, "600", "", False),
        ({}, "644", "", False),
        ({}, "600", "X=1\n", False),
    ],
)
def test_a_first_admins_password_makes_no_container_anew_and_a_run_says_that_it_does_not_reach_it(
    changed: dict[str, str],
    mode: str,
    added: str,
    *,
    warned: bool,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with metabase(METABASE, {}, executing=True) as service:
        digest = secrets.digest(service)
        texts = {f"{item.name}.env": secrets.env_text(item) + added for item in services() if item.secrets}
    present = [
        line
        for name, text in texts.items()
        for line in (f"s|{sha256(text.encode()).hexdigest()}  ./{name}", f"m|{mode}|root:root||{name}")
    ]
    responses = {"docker ps -aq": [f"e|metabase|{digest}"], "/vault/secrets": present}
    with metabase({**METABASE, **changed}, responses, executing=True) as service:
        assert (secrets.digest(service) == digest) is (not changed or warned)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                vault_past, "older", lambda _: {name: ["older", METABASE[name]] for name in changed}
            )
            list(secrets.rendered._inner())  # type: ignore[attr-defined]
    said = "metabase#ADMIN_PASSWORD has changed in Vault, and Metabase KPI is not told: where you have not changed it there yet, do"
    assert (said in caplog.text) is warned


N8N = {
    "N8N_ENCRYPTION_KEY": "a",
    "DB_POSTGRESDB_PASSWORD": "b",
    "N8N_OWNER_PASSWORD": "c",
    "N8N_INSTANCE_OWNER_PASSWORD_HASH": "d",
}
METABASE_BEFORE = {"metabase": {"ADMIN_PASSWORD": [METABASE["ADMIN_PASSWORD"]]}}
HELD = {**KEY, "postgres": {"POSTGRES_PASSWORD": "p"}, "metabase": METABASE, "n8n": N8N}
HASHLESS = {name: value for name, value in N8N.items() if not name.endswith("_HASH")}


@contextmanager
def plan(
    held: Mapping[str, Mapping[str, str]], responses: Mapping[str, list[str]] | None = None
) -> Iterator[dict[str, str]]:
    """What each service's containers will have to show, in a plan that has read these values."""
    settings: dict[str, Any] = {"vault_address": "https://vault.example", "services": CHOSEN}
    with fake(responses or {}, executing=False, **settings):
        for path, each in held.items():
            remember(("secrets", path), partial(tuple, (each, 1)))
        remember("vault", lambda: (None, float("inf")))
        yield {item.name: secrets.coming(item) for item in services()}


def test_a_plan_knows_whether_something_will_be_written() -> None:
    with plan(HELD):
        assert (commands(secrets.filled), vault_values.wrote()) == ([], False)
    with plan({**HELD, "n8n": HASHLESS}):
        assert (len(commands(secrets.filled)), vault_values.wrote()) == (1, True)
    with fake({}, executing=False):  # no Vault yet
        assert (commands(secrets.filled), vault_values.wrote()) == (["true"], True)


def test_a_secret_that_is_to_come_is_about_its_own_service_alone() -> None:
    with plan(HELD) as before:
        pass
    with plan({**HELD, "n8n": HASHLESS, "metabase": {**METABASE, "MB_DB_PASS": "new"}}) as after:
        assert commands(secrets.rendered)[-1] == "true"
        assert len(commands(secrets.rendered)) == 2
    assert after["postgres"] == before["postgres"]
    assert after["metabase"] not in ("", before["metabase"])
    assert after["n8n"] == "to come"


def test_a_new_password_of_postgres_own_is_told_to_it_and_makes_no_container_anew() -> None:
    with plan(HELD) as before:
        pass
    with plan({**HELD, "postgres": {"POSTGRES_PASSWORD": "new"}}) as after:
        assert after == before
        postgres = next(item for item in services() if item.name == "postgres")
        assert 'POSTGRES_PASSWORD="new"' in secrets.env_text(postgres)
    with plan({**HELD, "postgres": {"POSTGRES_PASSWORD": "p", "EXTRA": "x"}}) as after:
        assert after["postgres"] != before["postgres"]


def test_what_is_to_come_for_a_first_admin_alone_makes_no_container_anew() -> None:
    with plan(HELD) as before:
        pass
    kept = {name: value for name, value in METABASE.items() if name != "ADMIN_PASSWORD"}
    with plan({**HELD, "metabase": kept}) as after:
        assert after == before


def test_a_first_admins_changed_password_is_named_beside_what_is_to_come(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with plan(HELD) as before:
        text = secrets.env_text(next(item for item in services() if item.name == "metabase"))
    file = [f"s|{sha256(text.encode()).hexdigest()}  ./metabase.env", "m|600|root:root||metabase.env"]
    responses = {"docker ps -aq": [f"e|metabase|{before['metabase']}"], "/vault/secrets": file}
    monkeypatch.setattr(vault_past, "older", METABASE_BEFORE.__getitem__)
    held = {**HELD, "n8n": HASHLESS, "metabase": {**METABASE, "ADMIN_PASSWORD": "new"}}
    with plan(held, responses):
        commands(secrets.rendered)
    assert "metabase#ADMIN_PASSWORD has changed in Vault, and Metabase KPI" in caplog.text


@pytest.mark.parametrize(
    ("env", "begun", "refused"), [(["e|metabase|d"], 1, True), ([], 1, False), (["e|metabase|d"], 0, False)]
)
def test_a_path_that_is_gone_from_vault_is_no_reason_for_another_lasting_key(
    env: list[str], begun: int, *, refused: bool
) -> None:
    """Unless its host never had it, or all of Vault is new."""
    with fake(
        {"docker ps -aq": env},
        executing=False,
        vault_address="https://vault.example",
        services=["postgres", "metabase"],
    ) as host:
        remember("vault", lambda: (None, float("inf")))
        held = {
            "smarteros": (KEY["smarteros"], begun),
            "postgres": ({"POSTGRES_PASSWORD": "p"}, 1),
            "metabase": ({}, 0),
        }
        for path, each in held.items():
            remember(("secrets", path), partial(tuple, each))
        if not refused:
            assert commands(secrets.filled)
            return
        with pytest.raises(
            Said,
            match="secret/metabase is gone from Vault, with MB_ENCRYPTION_SECRET_KEY: others would lose ",
        ) as caught:
            commands(secrets.filled)
    assert f"/vault/secrets/metabase.env on {host.name} still has them" in str(caught.value)


@pytest.mark.parametrize(
    ("env", "line", "refused"),
    [
        (["e|metabase|d"], [f"line {'0' * 64} MB_ENCRYPTION_SECRET_KEY /vault/secrets/metabase.env"], True),
        (["e|metabase|d"], [f"line {'0' * 64} MB_DB_PASS /vault/secrets/metabase.env"], False),
        ([], [], False),
    ],
    ids=["the host has it", "a newer package's", "the host has none"],
)
def test_a_lasting_key_whose_versions_are_all_destroyed_is_not_made_anew_where_the_host_has_it(
    bao: OpenBao, external: dict[str, Any], env: list[str], line: list[str], *, refused: bool
) -> None:
    for number in (1, 2):
        bao.call("POST", "secret/data/metabase", {"data": {"MB_DB_PASS": f"p{number}"}})
    bao.call("PUT", "secret/destroy/metabase", {"versions": [1]})
    declared = (Secret("MB_ENCRYPTION_SECRET_KEY", lasting="all that it closes"), Secret("MB_DB_PASS"))
    responses = {"docker ps -aq": env, "read -r key": line}
    with fake(responses, **{**external, "services": ["postgres", "metabase"]}) as host:
        present = vault_values.values("metabase")
        if not refused:
            assert lasting.of_before("metabase", declared, present) == {}
            return
        with pytest.raises(Refused) as caught:
            lasting.of_before("metabase", declared, present)
    assert str(caught.value) == (
        "secret/metabase has no MB_ENCRYPTION_SECRET_KEY any more, and no earlier version that is still there has: others would lose all that it closes. "
        f"/vault/secrets/metabase.env on {host.name} still has them: write them back (vault kv patch secret/metabase "
        "MB_ENCRYPTION_SECRET_KEY=…), or move that file away where nothing needs them any more"
    )
